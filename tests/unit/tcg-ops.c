/*
 * Every integer operation, alone, against its meaning in C: both widths,
 * results on top of operands, constant operands, values in registers and in
 * memory, with and without optional host instructions.
 */
#include <string.h>

#include <glib.h>

#include "tcg/tcg-int.h"
#include "tests/unit/tcg-eval.h"
#include "tests/unit/tcg-test.h"

typedef struct TestCpu {
    uint64_t ip;
    uint64_t r[6];
    TcgCpu tcg;
} TestCpu;

static TestCpu cpu;
static uint64_t next_ip = 0x1000;
static bool in_temps; /* operands and results in temporaries */

static const uint64_t values[] = {
    0, 1, 2, 31, 32, 63, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff,
    0x80000000, 0xffffffff, UINT64_C(0x100000000),
    UINT64_C(0x7fffffffffffffff), UINT64_C(0x8000000000000000),
    ~UINT64_C(0), ~UINT64_C(0) - 1, UINT64_C(0x123456789abcdef0),
    UINT64_C(0xffffffff80000000),
};

static uint64_t any_value(void)
{
    unsigned choice = g_test_rand_int_range(0, 2 * G_N_ELEMENTS(values));

    if (choice < G_N_ELEMENTS(values)) {
        return values[choice];
    }
    return (uint64_t)(uint32_t)g_test_rand_int() << 32 |
           (uint32_t)g_test_rand_int();
}

static bool is_division(unsigned opcode)
{
    return opcode >= IR_divu && opcode <= IR_rems;
}

static bool allowed(const IrOp *op, const uint64_t v[4])
{
    uint64_t b = v[1] & eval_mask(op->width);

    if (!is_division(op->opcode)) {
        return true;
    }
    return b != 0 && !(eval_signed(v[1], op->width) == -1);
}

/* One shape of an operation: which operands are constants, where the result
 * goes. */
static void check_shape(IrOp op, unsigned const_mask, int dst_on)
{
    unsigned n_src = ir_op_infos[op.opcode].n_src;
    Ir *ir = ir_begin(next_ip += 16, 0);
    IrReg r[6];
    uint64_t v[4];
    unsigned tries = 0;

    do {
        for (unsigned i = 0; i < 4; i++) {
            v[i] = any_value();
        }
        if (++tries > 100) {
            return;
        }
    } while (!allowed(&op, v));
    for (unsigned i = 0; i < 6; i++) {
        if (in_temps) {
            r[i] = ir_temp(ir);
            ir_ld(ir, 8, r[i], ir_cpu(ir), offsetof(TestCpu, r) + 8 * i);
        } else {
            r[i] = ir_global(ir, ir_cpu(ir), offsetof(TestCpu, r) + 8 * i, 8,
                             0, "r");
        }
    }
    IrOp *built = ir_emit(ir, op.opcode, op.width,
                          dst_on < 0 ? r[4] : r[dst_on], 0, 0, 0, 0);

    built->cond = op.cond;
    built->imm = op.imm;
    for (unsigned i = 0; i < n_src; i++) {
        built->src[i] = const_mask >> i & 1 ? ir_const(ir, v[i]) : r[i];
    }
    for (unsigned i = 0; in_temps && i < 6; i++) {
        ir_st(ir, 8, ir_cpu(ir), offsetof(TestCpu, r) + 8 * i, r[i]);
    }
    ir_exit(ir, 1, IR_NONE);

    TcgRange range = {ir->ip, ir->ip + 8};
    TcgRegion *region = tcg_compile(ir, TCG_TIER_FULL, &range, 1, NULL, 0);

    g_assert_nonnull(region);
    for (unsigned round = 0; round < 6; round++) {
        uint64_t expect;
        unsigned at = dst_on < 0 ? 4 : dst_on;

        for (unsigned i = 0; i < 4; i++) {
            if (round && !(const_mask >> i & 1)) {
                v[i] = any_value();
            }
            cpu.r[i] = v[i];
        }
        if (!allowed(&op, v)) {
            continue;
        }
        expect = eval_op(&op, v[0], v[1], v[2], v[3]);
        tcg_run(&cpu, region);
        if (cpu.r[at] != expect) {
            g_error("%s%u cond %u imm %lx consts %x dst %d: %lx %lx %lx %lx "
                    "-> %lx, expected %lx", ir_op_infos[op.opcode].name,
                    op.width, op.cond, (long)op.imm, const_mask, dst_on, v[0],
                    v[1], v[2], v[3], cpu.r[at], expect);
        }
        for (unsigned i = 0; i < 4; i++) {
            g_assert_true(i == at || cpu.r[i] == v[i]);
        }
    }
}

static void check_op(unsigned opcode, unsigned width, unsigned cond,
                     int64_t imm)
{
    IrOp op = {.opcode = opcode, .width = width, .cond = cond, .imm = imm};
    unsigned n_src = ir_op_infos[opcode].n_src;

    for (unsigned consts = 0; consts < 1u << n_src; consts++) {
        for (int dst = -1; dst < (int)n_src; dst++) {
            check_shape(op, consts, dst);
        }
    }
}

static void check_all(void)
{
    for (unsigned opcode = IR_mov; opcode <= IR_select; opcode++) {
        for (unsigned width = 4; width <= 8; width += 4) {
            unsigned conds = opcode == IR_setcond || opcode == IR_select
                                 ? IR_UN : 1;

            for (unsigned cond = 0; cond < conds; cond++) {
                if (opcode < IR_extract || opcode > IR_deposit) {
                    check_op(opcode, width, cond, 0);
                }
            }
        }
    }
    check_op(IR_bswap, 2, 0, 0);
    for (unsigned pos = 0; pos < 64; pos += pos < 8 ? 1 : 7) {
        for (unsigned len = 1; pos + len <= 64; len += len == 8 ? 8 : 1) {
            for (unsigned opcode = IR_extract; opcode <= IR_deposit;
                 opcode++) {
                check_op(opcode, 8, 0, pos | len << 8);
            }
        }
        for (unsigned opcode = IR_extract; opcode <= IR_deposit; opcode++) {
            check_op(opcode, 8, 0, pos | (64 - pos) << 8);
            check_op(opcode, 8, 0, pos | (pos <= 32 ? 32 : 1) << 8);
        }
    }
}

static void test_ops(gconstpointer disabled)
{
    tcg_config.disabled = GPOINTER_TO_UINT(disabled);
    in_temps = true;
    check_all();
    in_temps = false;
    check_all();
    tcg_config.disabled = 0;
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
    g_test_add_data_func("/tcg-ops/registers", GUINT_TO_POINTER(0), test_ops);
    g_test_add_data_func("/tcg-ops/memory", GUINT_TO_POINTER(OPT_REGS),
                         test_ops);
    g_test_add_data_func("/tcg-ops/no-bmi", GUINT_TO_POINTER(OPT_BMI),
                         test_ops);
    return g_test_run();
}
