/*
 * Switches of single optimisations, so that the worth of each is measurable:
 * "-accel jit,no-cse" turns one off.
 */
#ifndef TCG_OPT_H
#define TCG_OPT_H

#include <stdbool.h>

/*   name         option          what it does */
#define TCG_OPTS(X) \
    X(FOLD, "fold", "constant folding and algebraic identities") \
    X(COPY, "copy", "copy propagation") \
    X(CSE, "cse", "common subexpressions in extended blocks") \
    X(FORWARD, "forward", "values that were stored are not loaded again") \
    X(DCE, "dce", "dead code and dead stores of guest state") \
    X(ADDR, "addr", "address arithmetic into addressing modes") \
    X(FUSE, "fuse", "compare and branch in one") \
    X(REGS, "regs", "guest state in host registers") \
    X(THROUGH, "through", "early write-back where exits are frequent") \
    X(COALESCE, "coalesce", "copies into one register") \
    X(BMI, "bmi", "BMI1, BMI2 and LZCNT instructions") \
    X(AVX, "avx", "three-operand vector instructions") \
    X(TIERS, "tiers", "code made quickly at first, and well once it has run often") \
    X(TARGETS, "targets", "targets that indirect jumps had are in the region") \
    X(CHAIN, "chain", "direct jumps between regions") \
    X(ICACHE, "icache", "inline lookup of dynamic targets") \
    X(RETURN, "return", "the host's call and return for the guest's") \
    X(FRAMES, "frames", "constant parts of chain frames stored when looked at") \
    X(ENTRIES, "entries", "jumps past entry tests that cannot fail") \
    X(RESULTS, "results", "callees say whether their results have tags") \
    X(AHEAD, "ahead", "the tag pointer moved back when needed after calls") \
    X(STALE, "stale", "tags of results stored when looked at") \
    X(TAILS, "tails", "short ways to a return copied for each path") \
    X(RESOLVE, "resolve", "targets found from inside generated code") \
    X(CTPRS, "ctprs", "targets prepared before a region taken for constant") \
    X(BASES, "bases", "one TLB probe for all accesses through a register") \
    X(LICM, "licm", "tests that do not change in a loop, out of it") \
    X(SPILL, "spill", "machines: register windows go to memory by the TLB") \
    X(CHECKED, "checked", "addresses checked before a block not checked in it") \
    X(GUARD, "guard", "guest addresses are checked where one could be the "\
                      "emulator's: for measuring the cost only") \
    X(TAGS, "tags", "register tags: for measuring their cost only, guests "\
                    "that need them go wrong")

enum {
#define X(name, option, text) OPT_BIT_##name,
    TCG_OPTS(X)
#undef X
    OPT_BITS
};

enum {
#define X(name, option, text) OPT_##name = 1 << OPT_BIT_##name,
    TCG_OPTS(X)
#undef X
    OPT_ALL = ((1u << (OPT_BITS - 1)) - 1) * 2 + 1,
};

/* The bit of an option's name ("cse"); 0 if there is none such. */
unsigned tcg_opt_by_name(const char *name);
/* Names and texts, one a line. */
const char *tcg_opt_name(unsigned bit);
const char *tcg_opt_text(unsigned bit);

#endif
