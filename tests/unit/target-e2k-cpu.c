/*
 * Unit tests of target-e2k/cpu*.c: models, images of unpacked registers,
 * access rules of state registers, reset.
 */
#include <glib.h>

#include "target-e2k/cpu.h"

static const CpuOps no_ops;

static E2kCpu *make(const char *model)
{
    E2kCpu *cpu = cpu_new(cpu_model_find(model), &no_ops, NULL, 1024, 64);

    g_assert_nonnull(cpu);
    return cpu;
}

static void test_models(void)
{
    static const struct {
        const char *name;
        unsigned isa;
        unsigned mdl;
    } models[] = {
        {"e2c+", 2, 0x4}, {"e2s", 3, 0x3},   {"e4c", 3, 0x3},
        {"e8c", 4, 0x7},  {"e1c+", 4, 0x8},  {"e8c2", 5, 0x9},
        {"e12c", 6, 0xa}, {"e16c", 6, 0xb},  {"e2c3", 6, 0xc},
        {"v5", 5, 0x9},   {"elbrus-8c", 4, 0x7},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        const CpuModel *m = cpu_model_find(models[i].name);
        g_assert_nonnull(m);
        g_assert_cmpuint(m->isa, ==, models[i].isa);
        g_assert_cmpuint(m->mdl, ==, models[i].mdl);
    }
    g_assert_null(cpu_model_find("e99"));
    g_assert_null(cpu_model_find(""));
    g_assert_null(cpu_model_find("elbrus-8c,v4"));
}

static void test_lsr(void)
{
    E2kCpu *cpu = make("v3");
    uint64_t value = UINT64_C(0x1fff00ffffffffff) & ~(UINT64_C(1) << 40);

    cpu_set_lsr(cpu, value);
    g_assert_cmphex(cpu_get_lsr(cpu), ==, value & UINT64_C(0x1fffffffffffffff));
    g_assert_cmphex(cpu_get_ilcr(cpu), ==, value & UINT64_C(0x001f001fffffffff));
    cpu_set_ilcr(cpu, 7);
    g_assert_cmphex(cpu_get_ilcr(cpu), ==, 7);
    g_assert_cmphex((uint32_t)cpu_get_lsr(cpu), ==, 0xffffffff);
    cpu_free(cpu);
}

static void test_br_and_wd(void)
{
    E2kCpu *cpu = make("v3");

    cpu_set_br(cpu, 0x0a5f7e9);
    g_assert_cmphex(cpu_get_br(cpu), ==, 0x0a5f7e9);
    cpu->win = cpu->regs + 226;
    cpu->wsz = 8;
    cpu->psize = 4;
    cpu->wfx = true;
    cpu->wdbl = true;
    /* The base goes round a ring of 224 registers. */
    g_assert_cmphex(cpu_get_wd(cpu), ==,
                    UINT64_C(16) | 0x80 << 16 | UINT64_C(0x40) << 32 |
                    UINT64_C(3) << 48);
    cpu_free(cpu);
}

static void test_access(void)
{
    E2kCpu *cpu = make("v3");
    uint64_t value;

    g_assert_cmpint(cpu_write_state(cpu, 0x83, 5), ==, EXC_NONE);
    g_assert_cmpint(cpu_read_state(cpu, 0x83, &value), ==, EXC_NONE);
    g_assert_cmphex(value, ==, 5);
    /* Only the system writes the stack pointer; nobody writes IDR. */
    g_assert_cmpint(cpu_write_state(cpu, 0x2d, 0), ==, EXC_PRIV_ACTION);
    g_assert_cmpint(cpu_write_state(cpu, 0x8a, 0), ==, EXC_ILLEGAL_OPCODE);
    cpu->psr = PSR_PM;
    g_assert_cmpint(cpu_write_state(cpu, 0x2d, 0x1000), ==, EXC_NONE);
    g_assert_cmphex(cpu->usd_base, ==, 0x1000);
    /* LSR1 came with v5, and no version has register 0xff. */
    g_assert_cmpint(cpu_read_state(cpu, 0xc3, &value), ==, EXC_ILLEGAL_OPCODE);
    g_assert_cmpint(cpu_read_state(cpu, 0xff, &value), ==, EXC_ILLEGAL_OPCODE);
    g_assert_cmpint(cpu_read_state(cpu, 0x8a, &value), ==, EXC_NONE);
    g_assert_cmphex(value & 0xff, ==, 0x3);
    cpu_free(cpu);
}

static void test_reset(void)
{
    E2kCpu *cpu = make("v5");

    cpu->regs[100].lo = 1;
    cpu->reg_tags[100] = 5;
    cpu->pf = 3;
    cpu->wsz = 50;
    cpu_reset(cpu);
    g_assert_cmphex(cpu->regs[100].lo, ==, 0);
    g_assert_cmphex(cpu->reg_tags[100], ==, 0);
    g_assert_cmphex(cpu->pf, ==, 0);
    g_assert_cmpuint(cpu->wsz, ==, 4);
    g_assert_cmpuint(cpu->isa, ==, 5);
    g_assert_cmphex(cpu->pfpfr, ==, 0x1f80);
    cpu_free(cpu);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/target-e2k/cpu/models", test_models);
    g_test_add_func("/target-e2k/cpu/lsr", test_lsr);
    g_test_add_func("/target-e2k/cpu/br-wd", test_br_and_wd);
    g_test_add_func("/target-e2k/cpu/access", test_access);
    g_test_add_func("/target-e2k/cpu/reset", test_reset);
    return g_test_run();
}
