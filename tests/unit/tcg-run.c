/*
 * Small regions from builder to result: one test per mechanism of the code
 * generator (operations are tested one by one in tcg-ops.c).
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <glib.h>

#include "tcg/tcg-int.h"
#include "tests/unit/tcg-test.h"

typedef struct TestCpu {
    uint64_t *win;
    uint64_t ip;
    uint64_t pf;
    uint64_t r[16];
    uint32_t word;
    TcgCpu tcg;
} TestCpu;

static TestCpu cpu;

static IrReg global_r(Ir *ir, unsigned n)
{
    static const char *const names[] = {"r0", "r1", "r2", "r3",
                                        "r4", "r5", "r6", "r7"};

    return ir_global(ir, ir_cpu(ir), offsetof(TestCpu, r) + 8 * n, 8, 0,
                     names[n]);
}

static TcgRegion *compile(Ir *ir)
{
    static const uint64_t info[] = {100, 101, 102, 103};
    TcgRange range = {ir->ip, ir->ip + 8};
    TcgRegion *region = tcg_compile(ir, TCG_TIER_FULL, &range, 1, info, 4);

    g_assert_nonnull(region);
    return region;
}

static void test_arithmetic(void)
{
    Ir *ir = ir_begin(0x1000, 0);
    IrReg a = global_r(ir, 0);
    IrReg b = global_r(ir, 1);
    IrReg t = ir_new2(ir, IR_add, 8, a, b);

    ir_op2(ir, IR_mul, 8, b, t, ir_const(ir, 10));
    ir_op2(ir, IR_sub, 8, a, a, b);
    ir_exit(ir, 7, ir_const(ir, 0x2000));
    cpu.r[0] = 3;
    cpu.r[1] = 4;
    g_assert_cmpuint(tcg_run(&cpu, compile(ir)), ==, 7);
    g_assert_cmpuint(cpu.r[1], ==, 70);
    g_assert_cmpint((int64_t)cpu.r[0], ==, -67);
    g_assert_cmpuint(cpu.ip, ==, 0x2000);
}

static void test_loop(void)
{
    Ir *ir = ir_begin(0x1100, 0);
    IrReg n = global_r(ir, 0);
    IrReg sum = global_r(ir, 1);
    uint32_t top = ir_new_label(ir);

    ir_label(ir, top);
    ir_op2(ir, IR_add, 8, sum, sum, n);
    ir_op2(ir, IR_sub, 8, n, n, ir_const(ir, 1));
    ir_brcond(ir, IR_NE, 8, n, ir_const(ir, 0), top);
    ir_exit(ir, 1, IR_NONE);
    cpu.r[0] = 1000;
    cpu.r[1] = 5;
    g_assert_cmpuint(tcg_run(&cpu, compile(ir)), ==, 1);
    g_assert_cmpuint(cpu.r[0], ==, 0);
    g_assert_cmpuint(cpu.r[1], ==, 500505);
}

static void test_predicates(void)
{
    Ir *ir = ir_begin(0x1200, 0);
    IrReg p1 = ir_global_bits(ir, ir_cpu(ir), offsetof(TestCpu, pf), 2, 2, 1,
                              "p1");
    IrReg p9 = ir_global_bits(ir, ir_cpu(ir), offsetof(TestCpu, pf), 18, 2, 1,
                              "p9");
    IrReg p31 = ir_global_bits(ir, ir_cpu(ir), offsetof(TestCpu, pf), 62, 2,
                               1, "p31");

    ir_setcond(ir, IR_LTU, 8, p9, global_r(ir, 0), ir_const(ir, 10));
    ir_op2(ir, IR_xor, 8, p31, p31, p9);
    ir_mov(ir, p1, p31);
    ir_exit(ir, 2, IR_NONE);
    cpu.r[0] = 3;
    cpu.pf = UINT64_C(0x8000000000ff0000);
    tcg_run(&cpu, compile(ir));
    g_assert_cmphex(cpu.pf, ==, UINT64_C(0xc000000000f7000c));
}

static void test_side_exit(void)
{
    Ir *ir = ir_begin(0x1300, 0);
    IrReg a = global_r(ir, 0);
    IrReg b = global_r(ir, 1);
    uint32_t out = ir_new_label(ir);

    ir_op2(ir, IR_add, 8, a, a, ir_const(ir, 1));
    ir_brcond(ir, IR_GT, 8, a, b, out);
    ir_mov(ir, b, a);
    ir_exit(ir, 1, IR_NONE);
    ir_label_cold(ir, out);
    ir_exit(ir, 2, IR_NONE);

    TcgRegion *region = compile(ir);

    cpu.r[0] = 10;
    cpu.r[1] = 20;
    g_assert_cmpuint(tcg_run(&cpu, region), ==, 1);
    g_assert_cmpuint(cpu.r[1], ==, 11);
    g_assert_cmpuint(tcg_run(&cpu, region), ==, 2);
    g_assert_cmpuint(cpu.r[0], ==, 12);
    g_assert_cmpuint(cpu.r[1], ==, 11);
}

static void test_chain(void)
{
    Ir *ir = ir_begin(0x2000, 5);
    IrReg a = global_r(ir, 0);

    ir_op2(ir, IR_add, 8, a, a, ir_const(ir, 1));
    ir_goto_region(ir, 0x2100, 6);
    TcgRegion *first = compile(ir);

    ir = ir_begin(0x2100, 6);
    a = global_r(ir, 0);
    ir_op2(ir, IR_shl, 8, a, a, ir_const(ir, 1));
    ir_exit(ir, 3, IR_NONE);
    TcgRegion *second = compile(ir);

    cpu.r[0] = 4;
    g_assert_true(tcg_lookup(&cpu, 0x2000, 5) == first);
    g_assert_cmpuint(tcg_run(&cpu, first), ==, TCG_EXIT_LOOKUP);
    g_assert_cmphex(cpu.tcg.next_ip, ==, 0x2100);
    g_assert_cmphex(cpu.tcg.next_key, ==, 6);
    g_assert_true(tcg_lookup(&cpu, 0x2100, 6) == second);
    tcg_chain(&cpu, second);
    g_assert_cmpuint(tcg_run(&cpu, first), ==, 3);
    g_assert_cmpuint(cpu.r[0], ==, 12);
    /* Invalidation unlinks. */
    g_assert_true(tcg_invalidate(0x2104, 0x2105));
    g_assert_null(tcg_lookup(&cpu, 0x2100, 6));
    g_assert_cmpuint(tcg_run(&cpu, first), ==, TCG_EXIT_LOOKUP);
    g_assert_false(tcg_invalidate(0x2104, 0x2105));
}

/*
 * f(n) = n < 2 ? n : f(n - 1) + f(n - 2), with an explicit guest stack.  The
 * places behind the two calls are regions too, for when a return finds the
 * host stack gone.
 */
static void fib_call(Ir *ir, const IrReg *r, uint64_t ret_ip, uint64_t n_less)
{
    ir_st(ir, 8, r[2], 0, r[0]);
    ir_st(ir, 8, r[2], 8, r[3]);
    ir_op2(ir, IR_add, 8, r[2], r[2], ir_const(ir, 32));
    ir_op2(ir, IR_sub, 8, r[0], r[0], ir_const(ir, n_less));
    ir_mov(ir, r[3], ir_const(ir, ret_ip));
    ir_call_region(ir, 0x3000, 0, ret_ip, 77);
}

static void fib_return(Ir *ir, const IrReg *r)
{
    ir_op2(ir, IR_sub, 8, r[2], r[2], ir_const(ir, 32));
    ir_ld(ir, 8, r[0], r[2], 0);
    ir_ld(ir, 8, r[3], r[2], 8);
}

static void fib_region(uint64_t ip, unsigned stage)
{
    Ir *ir = ir_begin(ip, 0);
    IrReg r[4];
    IrReg t = ir_temp(ir);

    for (unsigned i = 0; i < 4; i++) {
        r[i] = global_r(ir, i);
    }
    if (stage == 0) {
        uint32_t recurse = ir_new_label(ir);

        ir_brcond(ir, IR_GE, 8, r[0], ir_const(ir, 2), recurse);
        ir_mov(ir, r[1], r[0]);
        ir_ret(ir, r[3], ir_const(ir, 77));
        ir_label(ir, recurse);
        fib_call(ir, r, 0x3010, 1);
    }
    if (stage <= 1) {
        fib_return(ir, r);
        ir_st(ir, 8, r[2], 16, r[1]);
        fib_call(ir, r, 0x3020, 2);
    }
    fib_return(ir, r);
    ir_ld(ir, 8, t, r[2], 16);
    ir_op2(ir, IR_add, 8, r[1], r[1], t);
    ir_ret(ir, r[3], ir_const(ir, 77));
    (void)compile(ir);
}

static unsigned run_fib(unsigned n)
{
    static uint64_t stack[4 * 200000];
    uint64_t ip = 0x3000;
    unsigned leaves = 0;

    cpu.r[0] = n;
    cpu.r[2] = (uintptr_t)stack;
    cpu.r[3] = 0xdead0;
    while (ip != 0xdead0) {
        TcgRegion *region = tcg_lookup(&cpu, ip, 0);

        g_assert_nonnull(region);
        tcg_chain(&cpu, region);
        g_assert_cmpuint(tcg_run(&cpu, region), ==, TCG_EXIT_LOOKUP);
        ip = cpu.tcg.next_ip;
        leaves++;
    }
    g_assert_cmphex(cpu.tcg.next_key, ==, TCG_KEY_UNKNOWN);
    return leaves;
}

static void test_calls(void)
{
    fib_region(0x3000, 0);
    fib_region(0x3010, 1);
    fib_region(0x3020, 2);
    run_fib(20);
    g_assert_cmpuint(cpu.r[1], ==, 6765);
    /* Everything is chained: one entry, one miss at the very end. */
    g_assert_cmpuint(run_fib(20), ==, 1);
    g_assert_cmpuint(cpu.r[1], ==, 6765);
    /* Code that dies while its callees run is not returned to. */
    tcg_invalidate(0x3010, 0x3011);
    g_assert_null(tcg_lookup(&cpu, 0x3010, 0));
    fib_region(0x3010, 1);
    run_fib(15);
    g_assert_cmpuint(cpu.r[1], ==, 610);
}

/* Deeper than the host stack: g(n) = n == 0 ? 0 : 1 + g(n - 1). */
static void deep_region(uint64_t ip, bool rest)
{
    Ir *ir = ir_begin(ip, 0);
    IrReg n = global_r(ir, 0);
    IrReg result = global_r(ir, 1);
    IrReg depth = global_r(ir, 2);
    IrReg ret = ir_temp(ir);

    if (!rest) {
        uint32_t more = ir_new_label(ir);

        ir_brcond(ir, IR_NE, 8, n, ir_const(ir, 0), more);
        ir_mov(ir, result, ir_const(ir, 0));
        ir_ret(ir, ir_const(ir, 0x3110), ir_const(ir, 0));
        ir_label(ir, more);
        ir_op2(ir, IR_sub, 8, n, n, ir_const(ir, 1));
        ir_op2(ir, IR_add, 8, depth, depth, ir_const(ir, 1));
        ir_call_region(ir, 0x3100, 0, 0x3110, 0);
    }
    ir_op2(ir, IR_add, 8, result, result, ir_const(ir, 1));
    ir_op2(ir, IR_sub, 8, depth, depth, ir_const(ir, 1));
    ir_select(ir, IR_EQ, 8, ret, depth, ir_const(ir, 0),
              ir_const(ir, 0xdead0), ir_const(ir, 0x3110));
    ir_ret(ir, ret, ir_const(ir, 0));
    (void)compile(ir);
}

/* Returns 5, with 100 in r0, when its callee comes back. */
static void caller_region(void)
{
    Ir *ir = ir_begin(0x3100, 0);

    ir_mov(ir, global_r(ir, 3), ir_const(ir, 0x3108));
    ir_call_region(ir, 0x3110, 0, 0x3108, 77);
    ir_mov(ir, global_r(ir, 0), ir_const(ir, 100));
    ir_exit(ir, 5, IR_NONE);
    (void)compile(ir);
}

static void drop_caller(void)
{
    tcg_invalidate(0x3100, 0x3101);
}

static void callee_region(void (*helper)(void))
{
    Ir *ir = ir_begin(0x3110, 0);

    ir_call(ir, IR_NONE, (void *)helper, "helper", 0, 0, 0, 0, NULL);
    ir_ret(ir, global_r(ir, 3), ir_const(ir, 77));
    (void)compile(ir);
}

/* Enters the caller; the callee is chained already. */
static unsigned run_caller(void)
{
    TcgRegion *region = tcg_lookup(&cpu, 0x3100, 0);
    unsigned result = tcg_run(&cpu, region);

    if (result == TCG_EXIT_LOOKUP && cpu.tcg.chain_slot) {
        tcg_chain(&cpu, tcg_lookup(&cpu, 0x3110, 0));
        cpu.r[0] = 0;
        result = tcg_run(&cpu, region);
    }
    return result;
}

/* Code that is replaced while its callee runs is returned to; code that dies
 * is not. */
static void test_replaced(void)
{
    caller_region();
    TcgRegion *old = tcg_lookup(&cpu, 0x3100, 0);
    callee_region(caller_region);
    g_assert_cmpuint(run_caller(), ==, 5);
    g_assert_cmpuint(cpu.r[0], ==, 100);
    TcgRegion *new = tcg_lookup(&cpu, 0x3100, 0);
    g_assert_nonnull(new);
    g_assert_true(new != old);
    callee_region(drop_caller);
    g_assert_cmpuint(run_caller(), ==, TCG_EXIT_LOOKUP);
    g_assert_cmphex(cpu.tcg.next_key, ==, TCG_KEY_UNKNOWN);
    g_assert_cmphex(cpu.tcg.next_ip, ==, 0x3108);
    g_assert_null(tcg_lookup(&cpu, 0x3100, 0));
}

static void test_deep_calls(void)
{
    uint64_t ip = 0x3100;

    deep_region(0x3100, false);
    deep_region(0x3110, true);
    cpu.r[0] = 100000;
    cpu.r[2] = 0;
    while (ip != 0xdead0) {
        TcgRegion *region = tcg_lookup(&cpu, ip, 0);

        g_assert_nonnull(region);
        tcg_chain(&cpu, region);
        g_assert_cmpuint(tcg_run(&cpu, region), ==, TCG_EXIT_LOOKUP);
        ip = cpu.tcg.next_ip;
    }
    g_assert_cmpuint(cpu.r[1], ==, 100000);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    if (!tcg_handle_fault(context, (uintptr_t)info->si_addr, false)) {
        abort();
    }
}

static void test_fault(void)
{
    uint64_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO};
    Ir *ir = ir_begin(0x4000, 0);
    IrReg pointer = global_r(ir, 0);
    IrReg sum = global_r(ir, 1);
    uint32_t top = ir_new_label(ir);

    mprotect(page + 512, 4096, PROT_NONE);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    for (unsigned i = 0; i < 512; i++) {
        page[i] = i;
    }
    ir_label(ir, top);
    IrReg t = ir_temp(ir);

    ir_gld(ir, 8, t, pointer, IR_NONE, 0, 8, 2);
    ir_op2(ir, IR_add, 8, sum, sum, t);
    ir_op2(ir, IR_add, 8, pointer, pointer, ir_const(ir, 8));
    ir_br(ir, top);
    cpu.r[0] = (uintptr_t)page - 8;
    cpu.r[1] = 0;
    g_assert_cmpuint(tcg_run(&cpu, compile(ir)), ==, TCG_EXIT_FAULT);
    g_assert_cmpuint(cpu.r[1], ==, 511 * 512 / 2);
    g_assert_cmphex(cpu.r[0], ==, (uintptr_t)(page + 511));
    g_assert_cmphex(tcg_fault(&cpu)->address, ==, (uintptr_t)(page + 512));
    g_assert_cmpuint(tcg_fault(&cpu)->info, ==, 102);
    g_assert_cmpuint(tcg_fault(&cpu)->width, ==, 8);
    g_assert_false(tcg_fault(&cpu)->is_store);
    munmap(page, 8192);
}

/* Guest addresses that are not host addresses; a fault reports the former. */
static void test_guest_base(void)
{
    uint32_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Ir *ir = ir_begin(0x4100, 0);
    IrReg pointer = global_r(ir, 0);
    IrReg t = ir_temp(ir);
    TcgRegion *region;

    mprotect(page + 1024, 4096, PROT_NONE);
    tcg_config.guest_base = (uintptr_t)page - 0x10000;
    ir_gld(ir, 4, t, pointer, IR_NONE, 0, 4, 0);
    ir_gst(ir, 4, pointer, IR_NONE, 0, 8, t, 1);
    ir_exit(ir, 5, IR_NONE);
    region = compile(ir);
    page[1] = 77;
    cpu.r[0] = 0x10000;
    g_assert_cmpuint(tcg_run(&cpu, region), ==, 5);
    g_assert_cmpuint(page[2], ==, 77);
    cpu.r[0] = 0x10ff8;
    g_assert_cmpuint(tcg_run(&cpu, region), ==, TCG_EXIT_FAULT);
    g_assert_cmphex(tcg_fault(&cpu)->address, ==, 0x11000);
    g_assert_true(tcg_fault(&cpu)->is_store);
    g_assert_cmpuint(tcg_fault(&cpu)->info, ==, 101);
    tcg_config.guest_base = 0;
    munmap(page, 8192);
}

static uint64_t helper(TestCpu *c, uint64_t a, uint64_t b, uint64_t d,
                       uint64_t f, uint64_t g)
{
    c->r[2] += 1000;
    return a + 10 * b + 100 * d + 1000 * f + 10000 * g;
}

static void test_helper(void)
{
    Ir *ir = ir_begin(0x5000, 0);
    IrReg r[6];
    IrReg args[6] = {ir_cpu(ir)};
    IrReg t = ir_temp(ir);

    for (unsigned i = 0; i < 6; i++) {
        r[i] = global_r(ir, i);
        ir_op2(ir, IR_add, 8, r[i], r[i], ir_const(ir, 1));
    }
    for (unsigned i = 1; i < 6; i++) {
        args[i] = r[5 - i];
    }
    ir_call(ir, t, (void *)helper, "helper", 0, 1, 1, 6, args);
    ir_op2(ir, IR_add, 8, r[0], r[0], t);
    ir_op2(ir, IR_add, 8, r[2], r[2], ir_const(ir, 5));
    ir_op2(ir, IR_add, 8, r[5], r[5], r[4]);
    ir_exit(ir, 1, IR_NONE);
    for (unsigned i = 0; i < 6; i++) {
        cpu.r[i] = i;
    }
    tcg_run(&cpu, compile(ir));
    g_assert_cmpuint(cpu.r[0], ==, 1 + 5 + 40 + 300 + 2000 + 10000);
    g_assert_cmpuint(cpu.r[2], ==, 1008);
    g_assert_cmpuint(cpu.r[5], ==, 11);
}

static void raise_it(TestCpu *c)
{
    c->word = c->r[0];
    tcg_unwind(c, 99);
}

static void test_unwind(void)
{
    Ir *ir = ir_begin(0x5100, 0);
    IrReg a = global_r(ir, 0);
    IrReg args[1] = {ir_cpu(ir)};

    ir_op2(ir, IR_add, 8, a, a, ir_const(ir, 1));
    ir_call(ir, IR_NONE, (void *)raise_it, "raise", IR_CALL_MAY_RAISE, 0, 0,
            1, args);
    ir_op2(ir, IR_add, 8, a, a, ir_const(ir, 1));
    ir_exit(ir, 1, IR_NONE);
    cpu.r[0] = 41;
    g_assert_cmpuint(tcg_run(&cpu, compile(ir)), ==, 99);
    g_assert_cmpuint(cpu.word, ==, 42);
    g_assert_cmpuint(cpu.r[0], ==, 42);
}

static void test_dynamic(void)
{
    Ir *ir = ir_begin(0x6000, 1);

    ir_goto_dynamic(ir, global_r(ir, 0), ir_const(ir, 1));
    TcgRegion *jump = compile(ir);

    ir = ir_begin(0x6100, 1);
    ir_exit(ir, 9, IR_NONE);
    TcgRegion *target = compile(ir);

    cpu.r[0] = 0x6100;
    g_assert_cmpuint(tcg_run(&cpu, jump), ==, TCG_EXIT_LOOKUP);
    g_assert_cmphex(cpu.tcg.next_ip, ==, 0x6100);
    g_assert_true(tcg_lookup(&cpu, 0x6100, 1) == target);
    g_assert_cmpuint(tcg_run(&cpu, jump), ==, 9);
    g_assert_true(tcg_invalidate(0x6100, 0x6108));
    g_assert_cmpuint(tcg_run(&cpu, jump), ==, TCG_EXIT_LOOKUP);
}

static void test_recycle(void)
{
    TcgStats stats;

    for (unsigned i = 0; i < 40000; i++) {
        Ir *ir = ir_begin(0x100000 + 16 * i, 0);

        for (unsigned k = 0; k < 8; k++) {
            IrReg r = global_r(ir, k);

            ir_op2(ir, IR_add, 8, r, r,
                   ir_const(ir, UINT64_C(0x123456789a) * (i + k + 1)));
        }
        ir_exit(ir, 4, IR_NONE);
        TcgRegion *region = compile(ir);

        if (i % 1000 == 0) {
            g_assert_true(tcg_lookup(&cpu, ir->ip, 0) == region);
            g_assert_cmpuint(tcg_run(&cpu, region), ==, 4);
        }
    }
    tcg_get_stats(&stats);
    g_assert_cmpuint(stats.flushes, >, 0);
    tcg_quiesce(&cpu);
}

int main(int argc, char **argv)
{
    TcgConfig config = {
        .tcg_offset = offsetof(TestCpu, tcg),
        .ip_offset = offsetof(TestCpu, ip),
        .n_pinned = 1,
        .pinned_offset = {offsetof(TestCpu, win)},
        .pinned_name = {"win"},
    };

    if (!tcg_test_init(&argc, &argv, &cpu, config)) {
        return 0;
    }
    g_test_add_func("/tcg-run/arithmetic", test_arithmetic);
    g_test_add_func("/tcg-run/loop", test_loop);
    g_test_add_func("/tcg-run/predicates", test_predicates);
    g_test_add_func("/tcg-run/side-exit", test_side_exit);
    g_test_add_func("/tcg-run/chain", test_chain);
    g_test_add_func("/tcg-run/calls", test_calls);
    g_test_add_func("/tcg-run/replaced", test_replaced);
    g_test_add_func("/tcg-run/deep-calls", test_deep_calls);
    g_test_add_func("/tcg-run/fault", test_fault);
    g_test_add_func("/tcg-run/guest-base", test_guest_base);
    g_test_add_func("/tcg-run/helper", test_helper);
    g_test_add_func("/tcg-run/unwind", test_unwind);
    g_test_add_func("/tcg-run/dynamic", test_dynamic);
    g_test_add_func("/tcg-run/recycle", test_recycle);
    return g_test_run();
}
