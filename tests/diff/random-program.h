/*
 * Random bundles and random small programs, with a random initial state, for
 * the comparison of the engines.  Everything follows from the seed.
 */
#ifndef TESTS_DIFF_RANDOM_PROGRAM_H
#define TESTS_DIFF_RANDOM_PROGRAM_H

#include "target-e2k/bundle.h"
#include "target-e2k/cpu.h"

enum {
    PROGRAM_MAX = 12,       /* bundles */
    CODE_ADDRESS = 0x10000,
    CALLEE_ADDRESS = CODE_ADDRESS + 0x400, /* after the longest program */
    DATA_ADDRESS = 0x20000, /* one page, mapped */
    DATA_BYTES = 4096,
    WINDOW_REGS = 64,
    POINTER_REGS = 4,       /* %r0..%r3 point into the data */
};

typedef struct Rng {
    uint64_t s[2];
} Rng;

void rng_seed(Rng *rng, uint64_t seed);
uint64_t rng_next(Rng *rng);
/* 0 .. n - 1 */
unsigned rng_below(Rng *rng, unsigned n);
/* True in percent of the cases. */
bool rng_chance(Rng *rng, unsigned percent);

/* The part of the CPU's state that a program starts with. */
typedef struct StartState {
    RegSlot regs[WINDOW_REGS];
    uint8_t tags[WINDOW_REGS];
    RegSlot g[32];
    uint8_t g_tags[32];
    uint64_t pf, lsr, br;
    uint64_t ctpr[3];
    uint32_t pfpfr, fpcr, upsr;
    uint8_t wsz; /* pairs */
    bool wdbl;
    uint64_t aad[4], aasti[4], aaincr[4];
    struct {
        uint8_t fmt;
        uint64_t base;
        uint32_t index;
        int64_t step;
    } area[4]; /* 0, 1 left; 2, 3 right */
    bool aau_running;
    uint8_t bgr_val, bgr_cur;
    uint64_t data_seed;
    unsigned n_dam;
    DamEntry dam[8]; /* reg: number in the window */
} StartState;

/*
 * %ctpr2 and %g12 hold the address after the last bundle, where nothing can be
 * executed; %ctpr3 and %g13 that of a procedure, which ends with a return.
 */
enum { END_GLOBAL = 12, CALLEE_GLOBAL = 13, CALLEE_BUNDLES = 2 };

typedef struct Program {
    unsigned isa;
    unsigned n;
    Bundle bundles[PROGRAM_MAX];
    Bundle callee[CALLEE_BUNDLES];
    StartState start;
} Program;

/* loops: the last bundle jumps back until the loop counter runs out. */
void random_program(Program *p, Rng *rng, unsigned isa, unsigned n_bundles,
                    bool loops);

/* The bytes of bundle i of the callee. */
unsigned program_encode_callee(const Program *p, unsigned i,
                               uint8_t bytes[64]);

/* Appends the bytes of bundle i; 0 when it is not a legal bundle any more. */
unsigned program_encode(const Program *p, unsigned i, uint8_t bytes[64]);

#endif
