/*
 * Address spaces as the translator sees them.
 *
 * Translated code is kept under its virtual address and the number of its
 * space (E2kCpu.code_space), which stands for a set of page tables:
 *
 *   space 3 --+-- key: root tables, format
 *             +-- pages: virtual page -> physical page that code was made of
 *
 * Changing the space is changing a number.  A TLB flush walks the tables
 * again for the pages in question and drops code where they say something
 * else now; where they do not, translated code survives the flush.
 *
 * CPUs share spaces.  One lock guards them all; it is taken inside the
 * translator's lock, and tcg's lock inside it.
 */
#ifndef SYSTEM_CODE_SPACE_H
#define SYSTEM_CODE_SPACE_H

#include "system/sys-cpu.h"

typedef struct CodeSpaces CodeSpaces;

CodeSpaces *code_spaces_new(void);
void code_spaces_free(CodeSpaces *spaces);

/* Sets cpu->code_space from the MMU registers. */
void code_space_select(SysCpu *sys);
/* Before the CPU's MMU state is reset. */
void code_space_leave(SysCpu *sys);
/* Code will be kept that was fetched at address from physical, which is part
 * of an MMU page of page_bytes. */
void code_space_note(SysCpu *sys, uint64_t address, uint64_t physical,
                     uint64_t page_bytes);

/* The CPU's TLB was flushed. */
void code_space_flush_page(SysCpu *sys, uint64_t address);
void code_space_flush_all(SysCpu *sys);

#endif
