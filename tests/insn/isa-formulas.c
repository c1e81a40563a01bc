/*
 * isa-formulas: every operation on values against its formula.
 *
 *   isa-formulas [--seed N] [--rounds N] [--tested] [NAME...]
 *
 * For each operation that formula.h describes: edge values and random ones of
 * the kinds that suit it, all rounding modes, in both engines, in every
 * channel, on the first and the last ISA version that have it and on both
 * sides of version 5.  Results, predicates, flags, exceptions and the untouched
 * half of the destination are compared; upper halves of 32-bit sources hold
 * noise.  Results that the description leaves open are not looked at.
 *
 * Prints each difference (a few for an operation), the seed and "N passed, N
 * failed"; with --tested also "tested NAME" for each operation that had
 * comparisons in both engines and no difference.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/insn/formula.h"
#include "tests/insn/one-op.h"

enum { MAX_SHOWN = 3 };

typedef struct Tally {
    uint64_t compared[2]; /* by engine */
    unsigned failed;
} Tally;

static uint64_t rng;
static uint64_t n_passed, n_failed;
static Box *boxes[ISA_MAX + 1];
static Tally tallies[INSN_COUNT];

static uint64_t random64(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned below(unsigned n)
{
    return (random64() >> 32) % n;
}

/* ------------------------------------------------------------------------
 * Operands
 */

static uint64_t any_dword(void)
{
    static const uint64_t edges[] = {
        0, 1, 2, 3, 5, UINT64_MAX, UINT64_MAX - 1, 0x7f, 0x80, 0xff, 0x7fff,
        0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
        0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
        0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x7fffffff80000000,
        0xffffffff00000000, 0xffffffff80000000,
    };

    return below(3) ? edges[below(G_N_ELEMENTS(edges))]
                    : random64() >> below(64);
}

static uint64_t halves(void)
{
    static const uint16_t edges[] = {
        0, 1, 2, 0xffff, 0xfffe, 0x7fff, 0x8000, 0x8001, 0x00ff, 0xff00,
        0x0080, 0x7f80, 0x807f, 0x80ff, 0x7f7f, 0x8080,
    };
    uint64_t v = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint16_t h = below(3) ? edges[below(G_N_ELEMENTS(edges))]
                              : (uint16_t)random64();

        v = v << 16 | h;
    }
    return v;
}

static uint64_t count(void)
{
    static const uint64_t edges[] = {
        0, 1, 2, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128,
        255, 256, 0x100000000, UINT64_MAX,
    };

    return below(4) ? edges[below(G_N_ELEMENTS(edges))] : below(64);
}

/* Sign, exponent and fraction; many near one, many at the ends. */
static uint64_t number(unsigned exp_bits, unsigned fraction_bits)
{
    unsigned max = (1u << exp_bits) - 1;
    unsigned middle = max / 2;
    uint64_t fraction = random64() & low_bits(fraction_bits);
    unsigned exp;

    switch (below(8)) {
    case 0:
        exp = 0;
        break;
    case 1:
        exp = max;
        break;
    case 2:
        exp = below(2) ? 1 + below(3) : max - 1 - below(3);
        break;
    case 3:
        exp = below(max + 1);
        break;
    default:
        exp = middle - 4 + below(9);
        break;
    }
    switch (below(6)) {
    case 0:
        fraction = 0;
        break;
    case 1:
        fraction = below(2) ? low_bits(fraction_bits) : 1;
        break;
    case 2: /* few bits, so that sums and products are often exact */
        fraction = (fraction >> (fraction_bits - 4)) << (fraction_bits - 4);
        break;
    case 3:
        fraction = below(64);
        break;
    default:
        break;
    }
    return (uint64_t)below(2) << (exp_bits + fraction_bits) |
           (uint64_t)exp << fraction_bits | fraction;
}

static U128 number80(void)
{
    U128 head = number(15, 1) >> 1; /* sign and exponent */
    uint64_t sig = (number(8, 55) & low_bits(55)) << 8;

    sig = below(4) ? sig & low_bits(63) : below(2) ? 0 : random64() >> 1;
    if (head & 0x7fff) {
        sig |= UINT64_C(1) << 63;
    }
    return head << 64 | sig;
}

/* A small whole number in the format's upper bits. */
static uint32_t small_number(void)
{
    float v = (int)below(17) - 8;
    uint32_t bits;

    memcpy(&bits, &v, 4);
    return bits;
}

static uint64_t dword_of(FormulaKind kind)
{
    switch (kind) {
    case KIND_LANES_H:
        return halves();
    case KIND_COUNT:
        return count();
    case KIND_FIELD:
        return below(4) ? random64() & 0xffff : random64();
    case KIND_F32:
        return number(8, 23) << 32 | number(8, 23);
    case KIND_F64:
        return number(11, 52);
    case KIND_MODE:
        return below(16) | (below(4) ? 0 : random64() << 32);
    case KIND_BF16_INT:
        return (uint64_t)((small_number() & 0xffff0000) |
                          small_number() >> 16) << 32 |
               (small_number() & 0xffff0000) | small_number() >> 16;
    case KIND_F32_INT:
        return (uint64_t)small_number() << 32 | small_number();
    default:
        return any_dword();
    }
}

static U128 operand(FormulaKind kind)
{
    return kind == KIND_F80 ? number80()
                            : (U128)dword_of(kind) << 64 | dword_of(kind);
}

/* What an operation of this operand width sees of a register. */
static U128 seen(U128 v, unsigned width)
{
    switch (width) {
    case WIDTH_S:
        return (uint32_t)v;
    case WIDTH_D:
        return (uint64_t)v;
    case WIDTH_X:
        return v & (((U128)1 << 80) - 1);
    default:
        return v;
    }
}

static OneValue register_of(U128 v, unsigned width)
{
    return (OneValue){ .present = true, .lo = (uint64_t)v,
                       .ext = width == WIDTH_P || width == WIDTH_X
                                  ? (uint64_t)(v >> 64) : 0 };
}

static void make_case(const Formula *f, const InsnRow *row, OneOp *op,
                      FormulaIn *in)
{
    U128 s1 = operand(f->k1);
    U128 s2 = below(5) ? operand(f->k2) : f->k1 == f->k2 ? s1 : operand(f->k2);
    U128 s3 = operand(f->k3);

    if (f->same_sources) {
        s1 = formula_widen(f, s2);
    }
    in->imm = f->has_imm ? below(f->imm_max + 1) : 0;
    in->cond = below(2);
    in->rc = below(4);
    in->flush = f->has_flags && !f->uses_fpcr && !below(4);
    in->pc = (unsigned[]){ 24, 53, 64, 64 }[below(4)];
    in->s1 = seen(s1, row->src1);
    in->s2 = seen(s2, row->src2);
    in->s3 = seen(s3, row->src3);
    op->s1 = register_of(s1, row->src1);
    op->s2 = register_of(s2, row->src2);
    op->s3 = register_of(s3, row->src3);
    op->before = register_of((U128)random64() << 64 | random64(), WIDTH_P);
    op->imm = in->imm;
    op->cond = row->flags & F_MRGC ? in->cond : -1;
    op->pfpfr = 0x1f80 | in->rc << 13 | (unsigned)in->flush << 15;
    op->fpcr = 0x7f | (in->pc == 24 ? 0 : in->pc == 53 ? 2 : 3) << 8 |
               in->rc << 10;
}

/* ------------------------------------------------------------------------
 * Comparison
 */

static bool differs_by_more(uint32_t a, uint32_t b, uint32_t units)
{
    return (a > b ? a - b : b - a) > units;
}

/* What is wrong, or NULL. */
static const char *compare(const Formula *f, const InsnRow *row,
                           const OneOp *op, const FormulaOut *out,
                           const OneResult *r)
{
    if (r->exit != CPU_EXIT_EXCEPTION) {
        return "exit";
    }
    if (r->exception != (out->traps ? out->exception : EXC_NONE)) {
        return "exception";
    }
    if (out->traps) {
        return NULL;
    }
    U128 d = seen((U128)r->d.ext << 64 | r->d.lo, row->dst);

    if (row->dst == WIDTH_PRED) {
        if (r->pred != out->pred) {
            return "predicate";
        }
    } else if (out->near) {
        if (differs_by_more((uint32_t)d, (uint32_t)out->d, out->near)) {
            return "result, not near";
        }
    } else if ((d ^ seen(out->d, row->dst)) & ~out->ignore) {
        return "result";
    }
    if (row->dst == WIDTH_S && r->d.lo >> 32 != op->before.lo >> 32) {
        return "upper half";
    }
    if (row->dst != WIDTH_PRED && r->d.tag) {
        return "tag";
    }
    unsigned flags = (f->uses_fpcr ? r->fpsr : r->pfpfr) & 0x3d;

    if (f->has_flags && !out->open_flags && flags != (out->flags & 0x3d)) {
        return "flags";
    }
    return NULL;
}

static void show(const char *what, const OneOp *op, unsigned isa,
                 unsigned channel, const char *engine, const FormulaIn *in,
                 const FormulaOut *out, const OneResult *r)
{
    printf("%s,%u (v%u, %s): %s: s1 %016" PRIx64 "%016" PRIx64 " s2 %016" PRIx64
           "%016" PRIx64 " s3 %016" PRIx64 "%016" PRIx64
           " imm %u cond %u rc %u pc %u fz %u: wanted %016" PRIx64
           "%016" PRIx64 " pred %u flags %02x exc %d, found %016" PRIx64
           "%016" PRIx64 " pred %u pfpfr %02x fpsr %02x exc %d\n",
           insn_name(op->insn), channel, isa, engine, what, op->s1.ext,
           op->s1.lo, op->s2.ext, op->s2.lo, op->s3.ext, op->s3.lo, op->imm,
           in->cond, in->rc, in->pc, in->flush, (uint64_t)(out->d >> 64),
           (uint64_t)out->d, out->pred, out->flags,
           out->traps ? (int)out->exception : -1, r->d.ext, r->d.lo, r->pred,
           r->pfpfr & 0x3f, r->fpsr & 0x3f,
           r->exception == EXC_NONE ? -1 : (int)r->exception);
}

static void run_one(const Formula *f, const InsnRow *row, unsigned isa,
                    unsigned channel, unsigned engine)
{
    Tally *tally = &tallies[row->insn];
    OneOp op = { .insn = row->insn };
    FormulaIn in = { .isa = isa };
    FormulaOut out = { 0 };
    OneResult r;

    make_case(f, row, &op, &in);
    f->fn(f, &in, &out);
    if (out.open) {
        return;
    }
    const char *what = one_op_run(boxes[isa], &op, isa, channel, &r)
                           ? compare(f, row, &op, &out, &r)
                           : "cannot be encoded";

    if (!what) {
        n_passed++;
        tally->compared[engine]++;
        return;
    }
    n_failed++;
    if (tally->failed++ < MAX_SHOWN) {
        show(what, &op, isa, channel, engine ? "jit" : "interp", &in, &out,
             &r);
    }
}

/* ------------------------------------------------------------------------
 * Operations
 */

static bool find_formula(InsnId insn, Formula *f)
{
    static bool (*const groups[])(const char *name, Formula *f) = {
        formula_int, formula_shuffle, formula_packed, formula_fp, formula_x80,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        *f = (Formula){ 0 };
        if (groups[i](insn_name(insn), f)) {
            return true;
        }
    }
    return false;
}

/* First and last version that have the operation, and both sides of 5. */
static bool is_tried(InsnId insn, unsigned isa)
{
    bool before = isa > 1 && insn_channels(insn, isa - 1);
    bool after = isa < ISA_MAX && insn_channels(insn, isa + 1);

    return insn_channels(insn, isa) &&
           (!before || !after || isa == 4 || isa == 5);
}

static void run_insn(InsnId insn, unsigned rounds, unsigned engine,
                     uint64_t seed)
{
    Formula f;

    if (!find_formula(insn, &f)) {
        return;
    }
    for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
        for (unsigned c = 0; c < 6 && is_tried(insn, isa); c++) {
            const InsnRow *row = one_op_row(insn, isa, c);

            if (!row || row->flags & F_PAIR) {
                continue;
            }
            rng = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
                  (uint64_t)insn << 32 ^ isa << 8 ^ c;
            for (unsigned i = 0; i < rounds; i++) {
                run_one(&f, row, isa, c, engine);
            }
        }
    }
}

static bool is_chosen(InsnId insn, char **names)
{
    return !*names || g_strv_contains((const char *const *)names,
                                      insn_name(insn));
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    unsigned rounds = 60;
    bool print_tested = false;
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = strtoul(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--tested") == 0) {
            print_tested = true;
        } else {
            fprintf(stderr, "usage: isa-formulas [--seed N] [--rounds N] "
                            "[--tested] [NAME...]\n");
            return 2;
        }
    }
    box_init();
    for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
        boxes[isa] = box_new(box_model_of_isa(isa));
        box_map(boxes[isa], ONE_OP_CODE, 4096);
    }
    for (unsigned engine = 0; engine < 2; engine++) {
        box_use_engine(engine ? ENGINE_JIT : ENGINE_INTERP);
        for (InsnId insn = 1; insn < INSN_COUNT; insn++) {
            if (is_chosen(insn, argv + i)) {
                run_insn(insn, rounds, engine, seed);
            }
        }
    }
    for (InsnId insn = 1; print_tested && insn < INSN_COUNT; insn++) {
        const Tally *t = &tallies[insn];

        if (t->compared[0] && t->compared[1] && !t->failed) {
            printf("tested %s\n", insn_name(insn));
        }
    }
    printf("seed %" PRIu64 ", %" PRIu64 " passed, %" PRIu64 " failed\n", seed,
           n_passed, n_failed);
    return n_failed || !n_passed;
}
