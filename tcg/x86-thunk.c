/*
 * Entering and leaving generated code, and what the host can do.
 *
 * The host stack while generated code runs (grows down):
 *
 *     caller of tcg_run()
 *     saved registers
 *     pad, pad
 *     address of the "return miss" thunk   <- host_sp, 16-aligned
 *     return addresses of guest calls, 8 bytes each ...
 *
 * so a guest return that has no matching call lands in the thunk.  Leaving
 * drops the whole stack back to host_sp from wherever it is, after the
 * embedder has been told of the calls on it.
 */
#include <cpuid.h>

#include "tcg/x86-emit.h"

TcgThunks tcg_thunks;
X86Features x86_features;

enum {
    SAVED_PAD = 24,
    HOST_STACK = 256 * 1024, /* for return addresses */
};

static const int8_t saved[] = {RBX, RBP, R12, R13, R14, R15};

void x86_detect(void)
{
    static bool done;
    unsigned a, b, c, d;

    if (done) {
        return; /* CPUID is slow in a virtual machine */
    }
    done = true;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        x86_features.ssse3 = c & bit_SSSE3;
        x86_features.sse41 = c & bit_SSE4_1;
        x86_features.sse42 = c & bit_SSE4_2;
        x86_features.popcnt = c & bit_POPCNT;
        /* The operating system must save the wide registers. */
        x86_features.avx = (c & bit_AVX) && __builtin_cpu_supports("avx");
        x86_features.fma = x86_features.avx && (c & bit_FMA);
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        x86_features.bmi1 = b & bit_BMI;
        x86_features.bmi2 = b & bit_BMI2;
        x86_features.avx2 = x86_features.avx && (b & bit_AVX2);
        x86_features.fsgsbase = b & bit_FSGSBASE;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        x86_features.lzcnt = c & bit_LZCNT;
    }
}

static void push_reg(X86 *x, int reg)
{
    if (reg & 8) {
        x86_b(x, 0x41);
    }
    x86_b(x, 0x50 | (reg & 7));
}

static void pop_reg(X86 *x, int reg)
{
    if (reg & 8) {
        x86_b(x, 0x41);
    }
    x86_b(x, 0x58 | (reg & 7));
}

static void pinned(X86 *x, bool store)
{
    for (unsigned i = 0; i < tcg_config.n_pinned; i++) {
        X86Rm rm = x86_mem(RBP, tcg_config.pinned_offset[i]);

        if (store) {
            x86_store(x, 8, rm, x86_pinned_regs[i]);
        } else {
            x86_load(x, 8, x86_pinned_regs[i], rm);
        }
    }
}

static void mxcsr(X86 *x, unsigned extension, X86Rm rm)
{
    x86_op(x, 0, 0, MAP_0F, 0xae, extension, rm);
}

static void emit_enter(X86 *x, uint8_t **sentinel)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(saved); i++) {
        push_reg(x, saved[i]);
    }
    x86_alu_imm(x, true, ALU_SUB, x86_r(RSP), SAVED_PAD);
    x86_mov(x, true, RBP, RDI);
    /* lea rax, [rip + return miss] */
    x86_b(x, 0x48);
    x86_b(x, 0x8d);
    x86_b(x, 0x05);
    x86_d(x, 0);
    *sentinel = x->p - 4;
    x86_store(x, 8, x86_mem(RSP, 0), RAX);
    x86_store(x, 8, TCG_FIELD(host_sp), RSP);
    x86_lea(x, true, RAX, x86_mem(RSP, -HOST_STACK));
    x86_store(x, 8, TCG_FIELD(host_limit), RAX);
    mxcsr(x, 3, TCG_FIELD(host_mxcsr));
    mxcsr(x, 2, TCG_FIELD(mxcsr));
    pinned(x, false);
    x86_op(x, 0, 0, MAP_0, 0xff, 4, x86_r(RSI));
}

/* Calls that have not come back are told of before their return addresses
 * are dropped. */
static void emit_lost_calls(X86 *x)
{
    x86_alu(x, true, ALU_CMP, RSP, TCG_FIELD(host_sp));
    uint8_t *none = x86_jcc32(x, CC_AE);

    x86_mov(x, false, RBX, RAX); /* pinned registers are stored already */
    x86_mov(x, true, RDI, RBP);
    x86_mov(x, true, RSI, RSP);
    x86_alu_imm(x, true, ALU_AND, x86_r(RSP), -16);
    x86_mov_imm(x, RAX, (uintptr_t)tcg_lost_calls);
    x86_op(x, 0, 0, MAP_0, 0xff, 2, x86_r(RAX));
    x86_mov(x, false, RAX, RBX);
    x86_fix32(none, x->p);
}

static void emit_leave(X86 *x)
{
    pinned(x, true);
    if (tcg_config.lost_call) {
        emit_lost_calls(x);
    }
    x86_load(x, 8, RSP, TCG_FIELD(host_sp));
    mxcsr(x, 3, TCG_FIELD(mxcsr));
    mxcsr(x, 2, TCG_FIELD(host_mxcsr));
    x86_alu_imm(x, true, ALU_ADD, x86_r(RSP), SAVED_PAD);
    for (int i = G_N_ELEMENTS(saved) - 1; i >= 0; i--) {
        pop_reg(x, saved[i]);
    }
    x86_b(x, 0xc3);
}

static void jump_to(X86 *x, const uint8_t *target)
{
    x86_fix32(x86_jmp32(x), target);
}

/* Allocated registers, all of them, to or from TcgCpu.save_xxx. */
static void save_regs(X86 *x, bool restore)
{
    for (int reg = RAX; reg <= R15; reg++) {
        X86Rm rm = tcg_field(offsetof(TcgCpu, save_gpr) + 8 * reg);

        if (!restore) {
            x86_store(x, 8, rm, reg);
        } else if (1u << reg & (1u << RSI | 1u << RDI | 1u << R8 | 1u << R9 |
                                1u << R10 | 1u << R11)) {
            x86_load(x, 8, reg, rm);
        }
    }
    for (int i = 0; i < VEC_T0 - XMM0; i++) {
        x86_op(x, 0, 0, MAP_0F, restore ? 0x28 : 0x29, i,
               tcg_field(offsetof(TcgCpu, save_vec) + 16 * i));
    }
}

/* Guest calls leave the stack aligned to 8 only. */
static void call_aligned(X86 *x, void *function)
{
    x86_alu_imm(x, true, ALU_AND, x86_r(RSP), -16);
    x86_mov_imm(x, RAX, (uintptr_t)function);
    x86_op(x, 0, 0, MAP_0, 0xff, 2, x86_r(RAX));
    x86_load(x, 8, RSP, TCG_FIELD(call_sp));
}

/* RAX: ip, RDX: key, RCX: slot or 0; all state is home */
static void emit_lookup(X86 *x, const uint8_t *leave, bool may_resolve)
{
    x86_store(x, 8, x86_mem(RBP, tcg_config.ip_offset), RAX);
    x86_store(x, 8, TCG_FIELD(next_ip), RAX);
    x86_store(x, 8, TCG_FIELD(next_key), RDX);
    x86_store(x, 8, TCG_FIELD(chain_slot), RCX);
    if (may_resolve && tcg_config.resolve) {
        pinned(x, true);
        mxcsr(x, 3, TCG_FIELD(mxcsr));
        mxcsr(x, 2, TCG_FIELD(host_mxcsr));
        x86_store(x, 8, TCG_FIELD(call_sp), RSP);
        x86_mov(x, true, RDI, RBP);
        call_aligned(x, tcg_resolve);
        mxcsr(x, 2, TCG_FIELD(mxcsr));
        pinned(x, false);
        x86_op(x, 0, X86_W, MAP_0, 0x85, RAX, x86_r(RAX)); /* test */
        uint8_t *none = x86_jcc32(x, CC_E);
        x86_op(x, 0, 0, MAP_0, 0xff, 4, x86_r(RAX));
        x86_fix32(none, x->p);
    }
    x86_mov_imm(x, RAX, TCG_EXIT_LOOKUP);
    jump_to(x, leave);
}

static void emit_slow_access(X86 *x, const uint8_t *fault)
{
    x86_store(x, 8, TCG_FIELD(call_sp), RSP);
    save_regs(x, false);
    x86_mov(x, true, RDI, RBP);
    x86_load(x, 8, RSI, TCG_FIELD(slow_address));
    x86_lea(x, true, R8, TCG_FIELD(slow_value));
    call_aligned(x, tcg_config.slow_access);
    x86_alu_imm(x, false, ALU_AND, x86_r(RAX), 0xff); /* a bool */
    uint8_t *refused = x86_jcc32(x, CC_E);

    save_regs(x, true);
    x86_b(x, 0xc3);
    x86_fix32(refused, x->p);
    x86_mov(x, true, RDI, RBP);
    x86_load(x, 8, RSI, x86_mem(RSP, 0));
    call_aligned(x, tcg_slow_fault);
    x86_alu_imm(x, true, ALU_ADD, x86_r(RSP), 8); /* not a guest's call */
    jump_to(x, fault);
}

size_t x86_emit_thunks(uint8_t *write, ptrdiff_t delta)
{
    X86 x = {.p = write};
    uint8_t *sentinel;
    uint8_t *lookup, *miss;

    tcg_thunks.enter = (void *)(x.p + delta);
    emit_enter(&x, &sentinel);
    tcg_thunks.leave = x.p + delta;
    uint8_t *leave = x.p;

    emit_leave(&x);
    lookup = x.p;
    emit_lookup(&x, leave, true);
    miss = x.p;
    emit_lookup(&x, leave, false);

    tcg_thunks.unchained = x.p + delta;
    x86_mov(&x, true, RCX, RAX);
    x86_load(&x, 8, RDX, x86_mem(RCX, offsetof(TcgSlot, key)));
    x86_load(&x, 8, RAX, x86_mem(RCX, offsetof(TcgSlot, ip)));
    jump_to(&x, lookup);

    /* Back on the stack: the call has not been returned to. */
    tcg_thunks.return_miss = x.p + delta;
    x86_alu_imm(&x, true, ALU_SUB, x86_r(RSP), 8);
    tcg_thunks.return_jump = x.p + delta;
    x86_fix32(sentinel, x.p);
    x86_store(&x, 8, TCG_FIELD(next_check), RDX);
    x86_mov_imm(&x, RDX, TCG_KEY_UNKNOWN);
    x86_mov_imm(&x, RCX, 0);
    jump_to(&x, miss);

    tcg_thunks.dynamic = x.p + delta;
    x86_mov_imm(&x, RCX, 0);
    jump_to(&x, lookup);

    tcg_thunks.fault = x.p + delta;
    uint8_t *fault = x.p;

    x86_mov_imm(&x, RAX, TCG_EXIT_FAULT);
    jump_to(&x, leave);

    tcg_thunks.slow_access = x.p + delta;
    emit_slow_access(&x, fault);
    tcg_thunks.unwind = x.p + delta;
    x86_mov(&x, true, RBP, RDI);
    x86_mov(&x, false, RAX, RSI);
    pinned(&x, false);
    x86_load(&x, 8, RSP, TCG_FIELD(call_sp));
    jump_to(&x, leave);
    return x.p - write;
}
