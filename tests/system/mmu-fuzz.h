/*
 * Cases of mmu-fuzz: what one is, and how it is set up from its seed.
 */
#ifndef TESTS_SYSTEM_MMU_FUZZ_H
#define TESTS_SYSTEM_MMU_FUZZ_H

#include "system/machine.h"
#include "system/sys-cpu.h"
#include "tests/diff/random-program.h"

enum {
    RAM_BYTES = 0x90000,
    PAGE = PHYS_PAGE_BYTES,
    MORE_DATA = 0x21000,
    HANDLERS = 0x30000,
    CELLAR = 0x38000,
    TABLES = 0x40000,
    TABLES_END = 0x60000,
    PSP_BASE = 0x60000,
    PCSP_BASE = 0x70000,
    SECOND_STACK = 0x8000, /* of the second CPU, above the first one's */
    FREE_BASE = 0x80000,
    MOST_CPUS = 2,
};

typedef struct Fuzz {
    Machine *machine;
    unsigned n_cpus; /* of this case */
    Rng rng;
    const struct PteBits *bits;
    uint64_t next_table;
    Program program;
    uint8_t start[RAM_BYTES]; /* memory as the case found it */
    bool trace;
    uint64_t cases, stopped, changed, unflushed, unspecified;
} Fuzz;

uint8_t *fuzz_ram(Fuzz *f);

/* Everything follows from the seed. */
void fuzz_set_up(Fuzz *f, uint64_t seed, unsigned isa, unsigned n_cpus,
                 bool debug);

#endif
