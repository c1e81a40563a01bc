/*
 * A CPU in a box: one CPU with a piece of guest memory, for tests that run
 * single bundles or small programs without an operating system.
 *
 * Guest memory is one reserved range of host memory; pages exist only where
 * box_map() made them, so guest addresses 0 and all others fault.  A box may
 * run in either engine.  Behind guest memory the host has memory of its own,
 * BOX_BEYOND bytes with bits set in them: an engine that gets there is seen.
 */
#ifndef TESTS_INSN_BOX_H
#define TESTS_INSN_BOX_H

#include "target-e2k/exec.h"

#define BOX_SPACE (UINT64_C(1) << 32) /* bytes of guest address space */
#define BOX_BEYOND (UINT64_C(1) << 20)

typedef struct Box {
    E2kCpu *cpu;
    uint8_t *base;  /* host address of guest address 0 */
} Box;

/* Installs the fault handler; once per process. */
void box_init(void);

/* model: -cpu name; NULL memory means exit with a message. */
Box *box_new(const char *model);
void box_free(Box *box);

/* "v5" and the like. */
const char *box_model_of_isa(unsigned isa);

/* Pages [address, address + size), read-write and executable. */
void box_map(Box *box, uint64_t address, uint64_t size);
void *box_at(Box *box, uint64_t address);

/* A CPU as at process start: empty window of regs registers, tags clear. */
void box_reset(Box *box, unsigned window_pairs);

/* Engine selection of the whole process: interp until told otherwise. */
void box_use_engine(EngineKind kind);

/* Settings of the translator, as -accel has them, before its first use; false
 * with a message when they are wrong.  box_init() takes those of the variable
 * E2K_TEST_ACCEL. */
bool box_accel(const char *text);

#endif
