/*
 * Random regions: compiled with and without optimisations, against a walk
 * over the intermediate code in C.  The seed is printed by the test framework
 * and taken back with --seed.
 */
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "tcg/tcg-int.h"
#include "tests/unit/tcg-eval.h"
#include "tests/unit/tcg-test.h"

enum { N_FULL = 8, N_BITS = 4, N_HALF = 2, MEMORY = 32, N_TEMPS = 10 };

typedef struct State {
    uint64_t full[N_FULL];
    uint64_t pf;
    uint32_t half[N_HALF];
    uint64_t memory[MEMORY];
} State;

typedef struct TestCpu {
    uint64_t ip;
    State s;
    TcgCpu tcg;
} TestCpu;

static TestCpu cpu;

/* --- making a region ------------------------------------------------------------ */

typedef struct Gen {
    GRand *rand;
    Ir *ir;
    IrReg globals[N_FULL + N_BITS + N_HALF];
    unsigned n_globals;
    IrReg temps[N_TEMPS];
    unsigned n_temps;     /* assigned by now */
    IrReg buffer;         /* address of cpu.s.memory */
} Gen;

static unsigned pick(Gen *g, unsigned n)
{
    return g_rand_int_range(g->rand, 0, n);
}

static uint64_t any_const(Gen *g)
{
    switch (pick(g, 5)) {
    case 0:
        return pick(g, 9);
    case 1:
        return -(uint64_t)pick(g, 9);
    case 2:
        return UINT64_C(1) << pick(g, 64);
    case 3:
        return (int32_t)g_rand_int(g->rand);
    default:
        return (uint64_t)g_rand_int(g->rand) << 32 | g_rand_int(g->rand);
    }
}

static IrReg source(Gen *g)
{
    switch (pick(g, 6)) {
    case 0:
        return ir_const(g->ir, any_const(g));
    case 1:
    case 2:
        if (g->n_temps) {
            return g->temps[pick(g, g->n_temps)];
        }
        /* fall through */
    default:
        return g->globals[pick(g, g->n_globals)];
    }
}

/* A result goes to a temporary, then perhaps to a global in its range. */
static void to_global(Gen *g, IrReg value)
{
    unsigned n = pick(g, g->n_globals);
    IrReg to = g->globals[n];

    if (n < N_FULL) {
        ir_mov(g->ir, to, value);
    } else if (n < N_FULL + N_BITS) {
        ir_extract(g->ir, to, value, pick(g, 60), 2);
    } else {
        ir_extract(g->ir, to, value, 0, 32);
    }
}

static IrReg target(Gen *g)
{
    if (g->n_temps < N_TEMPS && pick(g, 2)) {
        return g->temps[g->n_temps++] = ir_temp(g->ir);
    }
    if (g->n_temps && pick(g, 2)) {
        return g->temps[pick(g, g->n_temps)];
    }
    return g->globals[pick(g, N_FULL)];
}

static void gen_pure(Gen *g)
{
    IrOpcode opcode = IR_mov + pick(g, IR_select - IR_mov + 1);
    unsigned n_src = ir_op_infos[opcode].n_src;
    unsigned pos = pick(g, 64);
    unsigned len = 1 + pick(g, 64 - pos);
    IrReg src[4] = {0};

    if (opcode >= IR_divu && opcode <= IR_rems) {
        opcode = IR_add + pick(g, 6);
        n_src = ir_op_infos[opcode].n_src;
    }
    if (pick(g, 2)) {
        pos = 0;
        len = pick(g, 2) ? 32 : 8 << pick(g, 3);
    }
    for (unsigned i = 0; i < n_src; i++) {
        src[i] = source(g);
    }
    if (opcode == IR_setcond && pick(g, 2)) {
        ir_setcond(g->ir, pick(g, IR_UN), pick(g, 2) ? 8 : 4,
                   g->globals[N_FULL + pick(g, N_BITS)], src[0], src[1]);
        return;
    }
    IrOp *op = ir_emit(g->ir, opcode, pick(g, 2) ? 8 : 4, 0, src[0], src[1],
                       src[2], src[3]);

    if (opcode >= IR_extract && opcode <= IR_deposit) {
        op->width = 8;
        op->imm = pos | len << 8;
    } else if (opcode == IR_mov) {
        op->width = 8;
    } else if (opcode >= IR_setcond) {
        op->cond = pick(g, IR_UN);
    }
    op->dst = target(g);
}

static void gen_memory(Gen *g)
{
    unsigned width = 1 << pick(g, 4);
    int32_t offset = pick(g, (MEMORY - 1) * 8);
    IrReg base = g->buffer;
    IrReg index = IR_NONE;
    unsigned scale = 0;

    if (pick(g, 2)) {
        index = ir_temp(g->ir);
        scale = pick(g, 3);
        ir_extract(g->ir, index, source(g), pick(g, 32), 4);
        offset = pick(g, MEMORY * 8 - 64 - 8);
    }
    if (pick(g, 3) == 0) {
        IrReg moved = ir_temp(g->ir);

        ir_op2(g->ir, IR_add, 8, moved, base, ir_const(g->ir, offset));
        base = moved;
        offset = 0;
    }
    if (pick(g, 2)) {
        ir_gld(g->ir, width, target(g), base, index, scale, offset, 0);
    } else {
        ir_gst(g->ir, width, base, index, scale, offset, source(g), 0);
    }
}

static uint64_t helper(TestCpu *c, uint64_t a, uint64_t b)
{
    c->s.full[1] += a;
    c->s.half[0] ^= b;
    return a * 3 + c->s.full[0] + c->s.pf;
}

static void gen_call(Gen *g)
{
    IrReg args[3] = {ir_cpu(g->ir), source(g), source(g)};

    ir_call(g->ir, target(g), (void *)helper, "helper", 0, ~0u, 1 | 4, 3,
            args);
}

static void gen_sequence(Gen *g, unsigned depth)
{
    unsigned n = 3 + pick(g, 10);

    for (unsigned i = 0; i < n; i++) {
        switch (pick(g, 14)) {
        case 0:
            gen_memory(g);
            break;
        case 1:
            if (pick(g, 3) == 0) {
                gen_call(g);
            }
            break;
        case 2:
            if (pick(g, 3) == 0) {
                ir_sync(g->ir, ~0u);
                if (pick(g, 2)) {
                    ir_reload(g->ir, ~0u);
                }
            }
            break;
        case 3:
        case 4:
            to_global(g, source(g));
            break;
        default:
            gen_pure(g);
        }
    }
}

/* if, if-else, loop with a counter, early exit */
static void gen_control(Gen *g, unsigned depth)
{
    Ir *ir = g->ir;
    uint32_t label = ir_new_label(ir);
    unsigned temps = g->n_temps;
    unsigned width = pick(g, 2) ? 8 : 4;
    IrReg counter;

    gen_sequence(g, depth);
    temps = g->n_temps;
    switch (pick(g, 4)) {
    case 0:
        ir_brcond(ir, pick(g, IR_UN), width, source(g), source(g), label);
        gen_sequence(g, depth + 1);
        if (depth < 2) {
            gen_control(g, depth + 1);
        }
        g->n_temps = temps; /* not assigned on the other path */
        ir_label(ir, label);
        break;
    case 1:
        counter = ir_temp(ir);
        ir_mov(ir, counter, ir_const(ir, 1 + pick(g, 5)));
        ir_label(ir, label);
        gen_sequence(g, depth + 1);
        if (depth < 2 && pick(g, 2)) {
            gen_control(g, depth + 1);
        }
        ir_op2(ir, IR_sub, 8, counter, counter, ir_const(ir, 1));
        ir_brcond(ir, IR_NE, 8, counter, ir_const(ir, 0), label);
        break;
    case 2: {
        uint32_t end = ir_new_label(ir);

        ir_brcond(ir, pick(g, IR_UN), width, source(g), source(g), label);
        gen_sequence(g, depth + 1);
        ir_br(ir, end);
        g->n_temps = temps;
        if (pick(g, 2)) {
            ir_label(ir, label);
        } else {
            ir_label_cold(ir, label);
        }
        gen_sequence(g, depth + 1);
        g->n_temps = temps;
        ir_label(ir, end);
        break;
    }
    default: {
        uint32_t go_on = ir_new_label(ir);

        ir_brcond(ir, pick(g, IR_UN), width, source(g), source(g), label);
        ir_br(ir, go_on);
        ir_label_cold(ir, label);
        gen_sequence(g, depth + 1);
        ir_exit(ir, 2 + depth, IR_NONE);
        g->n_temps = temps;
        ir_label(ir, go_on);
    }
    }
}

static const char *const names[] = {
    "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "p0", "p1", "p2", "p3",
    "h0", "h1",
};

static Ir *gen_region(uint32_t seed, uint64_t ip)
{
    Gen g = {.rand = g_rand_new_with_seed(seed), .ir = ir_begin(ip, 0)};
    Ir *ir = g.ir;
    unsigned parts;

    for (unsigned i = 0; i < N_FULL; i++) {
        g.globals[g.n_globals] =
            ir_global(ir, ir_cpu(ir), offsetof(TestCpu, s.full) + 8 * i, 8, 0,
                      names[g.n_globals]);
        g.n_globals++;
    }
    for (unsigned i = 0; i < N_BITS; i++) {
        unsigned pos = i == 0 ? 0 : i == 1 ? 7 : i == 2 ? 30 : 62;

        g.globals[g.n_globals] =
            ir_global_bits(ir, ir_cpu(ir), offsetof(TestCpu, s.pf), pos, 2, 1,
                           names[g.n_globals]);
        g.n_globals++;
    }
    for (unsigned i = 0; i < N_HALF; i++) {
        g.globals[g.n_globals] =
            ir_global(ir, ir_cpu(ir), offsetof(TestCpu, s.half) + 4 * i, 4, 2,
                      names[g.n_globals]);
        g.n_globals++;
    }
    g.buffer = ir_const(ir, (uintptr_t)cpu.s.memory);
    if (pick(&g, 2)) {
        IrReg base = ir_temp(ir);

        ir_mov(ir, base, g.buffer);
        g.buffer = base;
    }
    parts = 1 + pick(&g, 5);
    for (unsigned i = 0; i < parts; i++) {
        gen_control(&g, 0);
    }
    ir_exit(ir, 1, IR_NONE);
    g_rand_free(g.rand);
    return ir;
}

/* --- walking it ------------------------------------------------------------------- */

static uint64_t read_home(const Ir *ir, IrReg reg)
{
    const IrVreg *vreg = &ir->vregs[reg];
    uint64_t value = 0;

    memcpy(&value, (char *)&cpu + vreg->offset, vreg->home_size);
    if (vreg->bit_len) {
        value = value >> vreg->bit_pos & ((1 << vreg->bit_len) - 1);
    }
    return value;
}

static void write_home(const Ir *ir, IrReg reg, uint64_t value)
{
    const IrVreg *vreg = &ir->vregs[reg];
    char *home = (char *)&cpu + vreg->offset;

    if (vreg->bit_len) {
        uint64_t mask = (UINT64_C(1) << vreg->bit_len) - 1;
        uint64_t word;

        memcpy(&word, home, 8);
        word = (word & ~(mask << vreg->bit_pos)) |
               (value & mask) << vreg->bit_pos;
        memcpy(home, &word, 8);
    } else {
        memcpy(home, &value, vreg->home_size);
    }
}

static uint64_t *temp_values;

static uint64_t get(const Ir *ir, IrReg reg)
{
    switch (ir->vregs[reg].kind) {
    case IR_CONST:
        return ir->vregs[reg].value;
    case IR_GLOBAL:
        return read_home(ir, reg);
    case IR_PINNED:
        return (uintptr_t)&cpu;
    default:
        return temp_values[reg];
    }
}

static void set(const Ir *ir, IrReg reg, uint64_t value)
{
    if (ir->vregs[reg].kind == IR_GLOBAL) {
        write_home(ir, reg, value);
    } else {
        temp_values[reg] = value;
    }
}

static void *address(const Ir *ir, const IrOp *op)
{
    uint64_t at = get(ir, op->src[0]) + op->imm;

    if (op->src[1]) {
        at += get(ir, op->src[1]) << op->cond;
    }
    return (void *)at;
}

static unsigned walk(const Ir *ir)
{
    unsigned *labels = g_newa(unsigned, ir->n_labels + 1);

    for (unsigned i = 0; i < ir->n_ops; i++) {
        if (ir->ops[i].opcode == IR_label) {
            labels[ir->ops[i].aux] = i;
        }
    }
    for (unsigned i = 0;; i++) {
        const IrOp *op = &ir->ops[i];
        uint64_t v[4] = {0};

        for (unsigned k = 0; k < ir_op_infos[op->opcode].n_src; k++) {
            v[k] = op->src[k] ? get(ir, op->src[k]) : 0;
        }
        switch (op->opcode) {
        case IR_label:
        case IR_sync:
        case IR_reload:
            break;
        case IR_br:
            i = labels[op->aux];
            break;
        case IR_brcond:
            if (eval_cond(op->cond, op->width, v[0], v[1])) {
                i = labels[op->aux];
            }
            break;
        case IR_exit:
            return op->imm;
        case IR_gld: {
            uint64_t value = 0;

            memcpy(&value, address(ir, op), op->width);
            set(ir, op->dst, value);
            break;
        }
        case IR_gst:
            memcpy(address(ir, op), &v[2], op->width);
            break;
        case IR_call: {
            const IrCall *call = &ir->calls[op->aux];

            set(ir, op->dst, helper(&cpu, get(ir, call->args[1]),
                                    get(ir, call->args[2])));
            break;
        }
        default:
            set(ir, op->dst, eval_op(op, v[0], v[1], v[2], v[3]));
        }
    }
}

/* --- comparing ---------------------------------------------------------------------- */

static void random_state(State *state, uint32_t seed)
{
    GRand *rand = g_rand_new_with_seed(seed);
    uint32_t *words = (uint32_t *)state;

    for (unsigned i = 0; i < sizeof(*state) / 4; i++) {
        words[i] = g_rand_int(rand);
        if (g_rand_int(rand) & 1) {
            words[i] = g_rand_int_range(rand, -3, 4);
        }
    }
    g_rand_free(rand);
}

static void compare(const State *expect, uint32_t seed, unsigned disabled)
{
    const uint32_t *a = (const uint32_t *)expect;
    const uint32_t *b = (const uint32_t *)&cpu.s;

    for (unsigned i = 0; i < sizeof(State) / 4; i++) {
        if (a[i] != b[i]) {
            ir_dump(gen_region(seed, 0x10), stderr);
            g_error("program %u disabled %x: word %u is %x, expected %x",
                    seed, disabled, i, b[i], a[i]);
        }
    }
}

static const unsigned settings[] = {
    0, OPT_ALL, OPT_REGS, OPT_ALL & ~OPT_REGS, OPT_ALL & ~(OPT_FOLD | OPT_REGS),
    OPT_ALL & ~(OPT_COPY | OPT_CSE | OPT_REGS), OPT_COALESCE, OPT_BMI,
    OPT_THROUGH,
};

static void check_program(uint32_t seed)
{
    State start;
    State expect;
    unsigned result;
    static uint64_t ip = 0x1000;

    random_state(&start, seed);
    Ir *ir = gen_region(seed, 0x10);

    temp_values = g_new0(uint64_t, ir->n_vregs);
    cpu.s = start;
    result = walk(ir);
    expect = cpu.s;
    g_free(temp_values);
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++) {
        TcgRange range = {ip, ip + 8};

        tcg_config.disabled = settings[i];
        ir = gen_region(seed, ip += 16);
        TcgTier tier = seed % 2 ? TCG_TIER_FULL : TCG_TIER_QUICK;
        TcgRegion *region = tcg_compile(ir, tier, &range, 1, NULL, 0);

        if (!region) {
            continue; /* too many spills: the caller would split it */
        }
        cpu.s = start;
        unsigned got = tcg_run(&cpu, region);

        compare(&expect, seed, settings[i]);
        g_assert_cmpuint(got, ==, result);
    }
}

static void test_random(void)
{
    unsigned n = g_test_slow() ? 100000 : 3000;
    const char *one = g_getenv("TCG_RANDOM_SEED");

    if (one) {
        check_program(strtoul(one, NULL, 10));
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        check_program(g_test_rand_int());
    }
}

int main(int argc, char **argv)
{
    TcgConfig config = {
        .tcg_offset = offsetof(TestCpu, tcg),
        .ip_offset = offsetof(TestCpu, ip),
    };

    if (!tcg_test_init(&argc, &argv, &cpu, config)) {
        return 0;
    }
    g_test_add_func("/tcg-random/programs", test_random);
    return g_test_run();
}
