/*
 * Values that were stored are not loaded again (tcg/opt-forward.c): which
 * loads stay, and that results are right either way.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <glib.h>

#include "tcg/tcg.h"
#include "tests/unit/tcg-test.h"

typedef struct TestCpu {
    uint64_t ip;
    uint64_t r[8];
    uint64_t scratch;
    TcgCpu tcg;
} TestCpu;

static TestCpu cpu;
static uint64_t memory[16];
static Ir *ir;
static IrReg r[8];

/* r1 is the memory's address, r2 too, r0 is for the result. */
static void begin(void)
{
    static uint64_t ip = 0x1000;

    ir = ir_begin(ip += 16, 0);
    for (unsigned i = 0; i < 8; i++) {
        r[i] = ir_global(ir, ir_cpu(ir), offsetof(TestCpu, r) + 8 * i, 8, 0,
                         "r");
        cpu.r[i] = 0x1111111111111111 * i;
    }
    cpu.r[1] = cpu.r[2] = (uintptr_t)memory;
    for (unsigned i = 0; i < 16; i++) {
        memory[i] = i + 100;
    }
}

static void store(unsigned width, IrReg base, int offset, IrReg value)
{
    ir_gst(ir, width, base, IR_NONE, 0, offset, value, 0);
}

static void load(unsigned width, IrReg to, IrReg base, int offset)
{
    ir_gld(ir, width, to, base, IR_NONE, 0, offset, 0);
}

static TcgRegion *compile(TcgTier tier, unsigned *loads)
{
    static const uint64_t info[] = {100};
    TcgRange range = {ir->ip, ir->ip + 8};
    TcgRegion *region = tcg_compile(ir, tier, &range, 1, info, 1);

    g_assert_nonnull(region);
    *loads = 0;
    for (unsigned i = 0; i < ir->n_ops; i++) {
        *loads += ir->ops[i].opcode == IR_gld;
    }
    return region;
}

/* Ends the region and runs it: so many loads are left (of guest memory, of
 * state), and r0 is that. */
static void finish_both(unsigned loads, unsigned state_loads, uint64_t result)
{
    unsigned left;
    unsigned state_left = 0;

    ir_exit(ir, 1, IR_NONE);
    TcgRegion *region = compile(TCG_TIER_FULL, &left);

    for (unsigned i = 0; i < ir->n_ops; i++) {
        state_left += ir->ops[i].opcode == IR_ld;
    }
    g_assert_cmpuint(left, ==, loads);
    g_assert_cmpuint(state_left, ==, state_loads);
    g_assert_cmpuint(tcg_run(&cpu, region), ==, 1);
    g_assert_cmphex(cpu.r[0], ==, result);
}

static void finish(unsigned loads, uint64_t result)
{
    finish_both(loads, 0, result);
}

static void finish_state(unsigned loads, uint64_t result)
{
    finish_both(0, loads, result);
}

static void test_same(void)
{
    begin();
    store(8, r[1], 8, r[5]);
    ir_mov(ir, r[5], ir_const(ir, 3));
    load(8, r[0], r[1], 8);
    finish(0, 0x5555555555555555);
    /* The low part, with zeros above; also of what is loaded twice. */
    begin();
    store(4, r[1], 8, r[5]);
    load(4, r[3], r[1], 8);
    load(4, r[4], r[1], 8);
    ir_op2(ir, IR_add, 8, r[0], r[3], r[4]);
    finish(0, 0x55555555 * UINT64_C(2));
    begin();
    store(1, r[1], 8, ir_const(ir, 0x1ff));
    load(1, r[0], r[1], 8);
    finish(0, 0xff);
    /* Not in the first tier. */
    unsigned left;
    begin();
    store(8, r[1], 8, r[5]);
    load(8, r[0], r[1], 8);
    ir_exit(ir, 1, IR_NONE);
    compile(TCG_TIER_QUICK, &left);
    g_assert_cmpuint(left, ==, 1);
}

static void test_other_width(void)
{
    begin();
    store(8, r[1], 8, r[5]);
    load(4, r[0], r[1], 8);
    finish(1, 0x55555555);
    begin();
    store(8, r[1], 8, r[5]);
    store(4, r[1], 12, ir_const(ir, 0));
    load(8, r[0], r[1], 8);
    finish(1, 0x55555555);
    begin();
    store(8, r[1], 8, r[5]);
    store(4, r[1], 4, ir_const(ir, 0));
    store(4, r[1], 16, ir_const(ir, 0));
    load(8, r[0], r[1], 8);
    finish(0, 0x5555555555555555);
}

static void test_other_base(void)
{
    begin();
    store(8, r[1], 8, r[5]);
    store(8, r[2], 8, r[6]); /* the same address */
    load(8, r[0], r[1], 8);
    finish(1, 0x6666666666666666);
    begin();
    store(8, r[1], 8, r[5]);
    ir_gst(ir, 8, r[1], ir_const(ir, 0), 0, 8, r[6], 0);
    load(8, r[0], r[1], 8);
    finish(0, 0x6666666666666666); /* no index after all */
    begin();
    cpu.r[3] = 1;
    store(8, r[1], 8, r[5]);
    ir_gst(ir, 8, r[1], r[3], 3, 0, r[6], 0);
    load(8, r[0], r[1], 8);
    finish(1, 0x6666666666666666);
    begin();
    store(8, r[1], 8, r[5]);
    ir_op2(ir, IR_and, 8, r[1], r[1], r[2]);
    load(8, r[0], r[1], 8);
    finish(1, 0x5555555555555555);
    /* Addresses that are numbers are told apart. */
    begin();
    store(8, ir_const(ir, (uintptr_t)memory), 8, r[5]);
    store(8, ir_const(ir, (uintptr_t)&memory[2]), 0, r[6]);
    load(8, r[0], ir_const(ir, (uintptr_t)memory), 8);
    finish(0, 0x5555555555555555);
    begin();
    store(8, ir_const(ir, (uintptr_t)memory), 8, r[5]);
    store(1, ir_const(ir, (uintptr_t)&memory[2]), -1, r[6]);
    load(8, r[0], ir_const(ir, (uintptr_t)memory), 8);
    finish(1, 0x6655555555555555);
}

/* Offsets from one base that lead to the same place of a page. */
static void test_mapped_twice(void)
{
    int fd = memfd_create("tcg-forward", 0);

    g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
    char *twice = mmap(NULL, 3 * 4096, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(mmap(twice + 4096 * i, 4096, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_FIXED, fd, 0) ==
                      twice + 4096 * i);
    }
    for (int at = -4096; at <= 4096; at += 8192) {
        begin();
        cpu.r[1] = (uintptr_t)twice + 4096;
        store(8, r[1], 8, r[5]);
        store(8, r[1], at + 8, r[6]);
        load(8, r[0], r[1], 8);
        finish(1, 0x6666666666666666);
        begin();
        cpu.r[1] = (uintptr_t)twice + 4096;
        store(8, r[1], 8, r[5]);
        store(4, r[1], at + 4, r[6]);
        store(4, r[1], at + 16, r[6]);
        load(8, r[0], r[1], 8);
        finish(0, 0x5555555555555555);
    }
    munmap(twice, 3 * 4096);
    close(fd);
}

static void change_memory(void)
{
    memory[1] = 77;
}

static void test_between(void)
{
    begin();
    store(8, r[1], 8, r[5]);
    ir_call(ir, IR_NONE, (void *)change_memory, "change", 0, 0, 0, 0, NULL);
    load(8, r[0], r[1], 8);
    finish(1, 77);
    begin();
    store(8, r[1], 8, r[5]);
    ir_emit(ir, IR_fence, 8, 0, 0, 0, 0, 0);
    load(8, r[0], r[1], 8);
    finish(1, 0x5555555555555555);
    begin();
    store(8, r[1], 8, r[5]);
    ir_reload(ir, ~0u);
    load(8, r[0], r[1], 8);
    finish(1, 0x5555555555555555);
    /* From an earlier load: the other one may see more. */
    begin();
    load(8, r[3], r[1], 8);
    load(8, r[4], r[1], 8);
    ir_op2(ir, IR_add, 8, r[0], r[3], r[4]);
    finish(2, 202);
}

static void diamond(bool both)
{
    begin();
    uint32_t other = ir_new_label(ir);
    uint32_t join = ir_new_label(ir);

    ir_brcond(ir, IR_EQ, 8, r[3], ir_const(ir, 0), other);
    store(8, r[1], 8, r[5]);
    ir_br(ir, join);
    ir_label(ir, other);
    if (both) {
        store(8, r[1], 8, r[6]);
    }
    ir_label(ir, join);
    load(8, r[0], r[1], 8);
}

static void test_paths(void)
{
    diamond(true);
    finish(0, 0x5555555555555555);
    diamond(true);
    cpu.r[3] = 0;
    finish(0, 0x6666666666666666);
    diamond(false);
    finish(1, 0x5555555555555555);
    diamond(false);
    cpu.r[3] = 0;
    finish(1, 101);
}

/* Two variables in memory, as compilers without optimisation have them. */
static void test_loop(void)
{
    begin();
    uint32_t head = ir_new_label(ir);

    store(4, r[1], 8, ir_const(ir, 0));
    store(4, r[1], 12, ir_const(ir, 0));
    ir_label(ir, head);
    IrReg t = ir_temp(ir);
    load(4, t, r[1], 8);
    IrReg sum = ir_temp(ir);
    load(4, sum, r[1], 12);
    ir_op2(ir, IR_add, 4, sum, sum, t);
    store(4, r[1], 12, sum);
    ir_op2(ir, IR_add, 4, t, t, ir_const(ir, 1));
    store(4, r[1], 8, t);
    load(4, t, r[1], 8);
    ir_brcond(ir, IR_LT, 4, t, ir_const(ir, 1000), head);
    load(4, r[0], r[1], 12);
    finish(0, 499500);
    g_assert_cmphex(memory[1], ==, UINT64_C(499500) << 32 | 1000);
}

/* CPU state in place; r6 is a global, whose home nothing is known of. */
static void test_state(void)
{
    enum { SCRATCH = offsetof(TestCpu, scratch) };

    begin();
    ir_st(ir, 8, ir_cpu(ir), SCRATCH, r[5]);
    store(8, r[1], 8, r[6]); /* guest memory is elsewhere */
    IrReg t = ir_temp(ir);
    ir_ld(ir, 8, t, ir_cpu(ir), SCRATCH);
    ir_mov(ir, r[0], t);
    finish_state(0, 0x5555555555555555);
    begin();
    ir_st(ir, 8, ir_cpu(ir), SCRATCH, r[5]);
    ir_st(ir, 4, ir_cpu(ir), SCRATCH + 4, r[4]);
    t = ir_temp(ir);
    ir_ld(ir, 8, t, ir_cpu(ir), SCRATCH);
    ir_mov(ir, r[0], t);
    finish_state(1, 0x4444444455555555);
    begin();
    ir_sync(ir, ~0u);
    ir_st(ir, 8, ir_cpu(ir), offsetof(TestCpu, r[6]), r[5]);
    ir_reload(ir, ~0u);
    ir_mov(ir, r[6], ir_const(ir, 9));
    ir_sync(ir, ~0u);
    t = ir_temp(ir);
    ir_ld(ir, 8, t, ir_cpu(ir), offsetof(TestCpu, r[6]));
    ir_mov(ir, r[0], t);
    finish_state(1, 9);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    memory[1] = 5;
}

/* A loop that stores nothing loads what it waits for. */
static void test_wait(void)
{
    const struct itimerval soon = {.it_value.tv_usec = 20000};

    begin();
    uint32_t head = ir_new_label(ir);

    store(8, r[1], 8, ir_const(ir, 0));
    ir_label(ir, head);
    load(8, r[0], r[1], 8);
    ir_brcond(ir, IR_EQ, 8, r[0], ir_const(ir, 0), head);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &soon, NULL);
    finish(1, 5);
    /* Nor does one that stores on some ways only. */
    begin();
    head = ir_new_label(ir);
    uint32_t skip = ir_new_label(ir);

    store(8, r[1], 8, ir_const(ir, 0));
    ir_label(ir, head);
    ir_brcond(ir, IR_NE, 8, r[3], ir_const(ir, 0), skip);
    store(8, r[1], 8, ir_const(ir, 0));
    ir_label(ir, skip);
    load(8, r[0], r[1], 8);
    ir_brcond(ir, IR_EQ, 8, r[0], ir_const(ir, 0), head);
    setitimer(ITIMER_REAL, &soon, NULL);
    finish(1, 5);
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
    g_test_add_func("/tcg-forward/same", test_same);
    g_test_add_func("/tcg-forward/other-width", test_other_width);
    g_test_add_func("/tcg-forward/other-base", test_other_base);
    g_test_add_func("/tcg-forward/mapped-twice", test_mapped_twice);
    g_test_add_func("/tcg-forward/between", test_between);
    g_test_add_func("/tcg-forward/paths", test_paths);
    g_test_add_func("/tcg-forward/loop", test_loop);
    g_test_add_func("/tcg-forward/state", test_state);
    g_test_add_func("/tcg-forward/wait", test_wait);
    return g_test_run();
}
