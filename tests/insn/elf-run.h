/*
 * Runs a static e2k program that knows two system calls (write to descriptor
 * 1 and exit) in a box, without an operating system.
 */
#ifndef TESTS_INSN_ELF_RUN_H
#define TESTS_INSN_ELF_RUN_H

#include <stdbool.h>

typedef struct ElfRunResult {
    unsigned passed;
    unsigned failed;
} ElfRunResult;

/*
 * Runs path in the current engine on the ISA version it asks for, the last
 * one that runs such programs (6) and, with all_isa, on those between; what
 * it wrote is compared with the words of the .expect file beside it.  Every
 * word counts as one check; differences are printed.
 */
ElfRunResult elf_run_and_compare(const char *path, bool all_isa,
                                 const char *engine);

#endif
