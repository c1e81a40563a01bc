/*
 * Encoding of x86-64 instructions into a buffer.
 *
 *     [gs] [66 F2 F3] [REX | VEX] opcode ModRM [SIB] [disp] [imm]
 *
 * One function, x86_op(), encodes every legacy instruction that has a
 * register and a register-or-memory operand; x86_vex() does so for VEX.  The
 * buffer must have room: the caller checks once per operation
 * (X86_OP_ROOM), not once per byte.
 */
#ifndef TCG_X86_H
#define TCG_X86_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14,
    R15,
    XMM0, /* vector registers are numbered 16 .. 31 throughout */
    X86_REGS = 32,
};

#define X86_NO_REG (-1)

/* Longest host code of one IR operation, stubs not included. */
enum { X86_OP_ROOM = 1024 };

/* A register or memory operand. */
typedef struct X86Rm {
    int8_t reg;   /* register, or X86_NO_REG: memory */
    int8_t base;  /* or X86_NO_REG */
    int8_t index; /* or X86_NO_REG */
    uint8_t scale;
    bool gs;
    int32_t disp;
} X86Rm;

typedef struct X86 {
    uint8_t *p;
} X86;

static inline X86Rm x86_r(int reg)
{
    return (X86Rm){.reg = reg};
}

static inline X86Rm x86_mem(int base, int32_t disp)
{
    return (X86Rm){.reg = X86_NO_REG, .base = base, .index = X86_NO_REG,
                   .disp = disp};
}

static inline X86Rm x86_mem_index(int base, int index, unsigned scale,
                                  int32_t disp)
{
    return (X86Rm){.reg = X86_NO_REG, .base = base, .index = index,
                   .scale = scale, .disp = disp};
}

static inline void x86_b(X86 *x, uint8_t byte)
{
    *x->p++ = byte;
}

static inline void x86_d(X86 *x, uint32_t word)
{
    memcpy(x->p, &word, 4);
    x->p += 4;
}

static inline void x86_q(X86 *x, uint64_t value)
{
    memcpy(x->p, &value, 8);
    x->p += 8;
}

/* ModRM, SIB and displacement. */
static inline void x86_modrm(X86 *x, int reg, X86Rm rm)
{
    reg = (reg & 7) << 3;
    if (rm.reg != X86_NO_REG) {
        x86_b(x, 0xc0 | reg | (rm.reg & 7));
        return;
    }
    if (rm.base == X86_NO_REG) {
        x86_b(x, 0x04 | reg);
        x86_b(x, rm.scale << 6 |
                 (rm.index == X86_NO_REG ? 4 : rm.index & 7) << 3 | 5);
        x86_d(x, rm.disp);
        return;
    }
    unsigned mod = rm.disp == 0 && (rm.base & 7) != RBP ? 0x00
                   : rm.disp == (int8_t)rm.disp         ? 0x40
                                                        : 0x80;

    if (rm.index != X86_NO_REG || (rm.base & 7) == RSP) {
        x86_b(x, mod | reg | 4);
        x86_b(x, rm.scale << 6 |
                 (rm.index == X86_NO_REG ? 4 : rm.index & 7) << 3 |
                 (rm.base & 7));
    } else {
        x86_b(x, mod | reg | (rm.base & 7));
    }
    if (mod == 0x40) {
        x86_b(x, rm.disp);
    } else if (mod == 0x80) {
        x86_d(x, rm.disp);
    }
}

static inline unsigned x86_rex_bits(int reg, X86Rm rm)
{
    unsigned bits = (reg & 8) >> 1;

    if (rm.reg != X86_NO_REG) {
        return bits | (rm.reg & 8) >> 3;
    }
    if (rm.index != X86_NO_REG) {
        bits |= (rm.index & 8) >> 2;
    }
    if (rm.base != X86_NO_REG) {
        bits |= (rm.base & 8) >> 3;
    }
    return bits;
}

/* Opcode maps of x86_op(): none, 0F, 0F38, 0F3A. */
enum { MAP_0, MAP_0F, MAP_0F38, MAP_0F3A };

/* Modifiers: 64-bit operation; an 8-bit register that may need REX. */
enum { X86_W = 1, X86_BYTE = 2 };

static inline void x86_op(X86 *x, unsigned prefix, unsigned mods, unsigned map,
                          unsigned opcode, int reg, X86Rm rm)
{
    unsigned rex = x86_rex_bits(reg, rm) | (mods & X86_W ? 8 : 0);

    if (rm.reg == X86_NO_REG && rm.gs) {
        x86_b(x, 0x65);
    }
    if (prefix) {
        x86_b(x, prefix);
    }
    if ((mods & X86_BYTE) &&
        ((reg & 15) >= RSP || (rm.reg != X86_NO_REG && rm.reg >= RSP))) {
        rex |= 0x40;
    }
    if (rex) {
        x86_b(x, 0x40 | rex);
    }
    if (map != MAP_0) {
        x86_b(x, 0x0f);
        if (map == MAP_0F38) {
            x86_b(x, 0x38);
        } else if (map == MAP_0F3A) {
            x86_b(x, 0x3a);
        }
    }
    x86_b(x, opcode);
    x86_modrm(x, reg, rm);
}

/* VEX-coded; vvvv is the second source register (0 when there is none). */
static inline void x86_vex(X86 *x, unsigned prefix, bool w, bool l256,
                           unsigned map, unsigned opcode, int reg, int vvvv,
                           X86Rm rm)
{
    unsigned rex = x86_rex_bits(reg, rm);
    unsigned pp = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2
                  : prefix == 0xf2 ? 3 : 0;
    unsigned tail = (~vvvv & 15) << 3 | l256 << 2 | pp;

    if (rm.reg == X86_NO_REG && rm.gs) {
        x86_b(x, 0x65);
    }
    if (map == MAP_0F && !w && !(rex & 3)) {
        x86_b(x, 0xc5);
        x86_b(x, (rex & 4 ? 0 : 0x80) | tail);
    } else {
        x86_b(x, 0xc4);
        x86_b(x, ((~rex & 7) << 5) | map);
        x86_b(x, w << 7 | tail);
    }
    x86_b(x, opcode);
    x86_modrm(x, reg, rm);
}

/* The eight classic operations, by their opcode extension. */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

/* reg = reg OP rm */
static inline void x86_alu(X86 *x, bool w, unsigned alu, int reg, X86Rm rm)
{
    x86_op(x, 0, w, MAP_0, alu << 3 | 3, reg, rm);
}

/* rm = rm OP reg */
static inline void x86_alu_to(X86 *x, bool w, unsigned alu, X86Rm rm, int reg)
{
    x86_op(x, 0, w, MAP_0, alu << 3 | 1, reg, rm);
}

static inline void x86_alu_imm(X86 *x, bool w, unsigned alu, X86Rm rm,
                               int32_t imm)
{
    if (imm == (int8_t)imm) {
        x86_op(x, 0, w, MAP_0, 0x83, alu, rm);
        x86_b(x, imm);
    } else {
        x86_op(x, 0, w, MAP_0, 0x81, alu, rm);
        x86_d(x, imm);
    }
}

static inline void x86_mov(X86 *x, bool w, int to, int from)
{
    x86_op(x, 0, w, MAP_0, 0x8b, to, x86_r(from));
}

/* Does not touch the flags. */
static inline void x86_mov_imm(X86 *x, int reg, uint64_t value)
{
    if (value <= UINT32_MAX) {
        if (reg & 8) {
            x86_b(x, 0x41);
        }
        x86_b(x, 0xb8 | (reg & 7));
        x86_d(x, value);
    } else if ((int64_t)value == (int32_t)value) {
        x86_op(x, 0, X86_W, MAP_0, 0xc7, 0, x86_r(reg));
        x86_d(x, value);
    } else {
        x86_b(x, 0x48 | (reg & 8) >> 3);
        x86_b(x, 0xb8 | (reg & 7));
        x86_q(x, value);
    }
}

static inline void x86_lea(X86 *x, bool w, int reg, X86Rm rm)
{
    rm.gs = false;
    x86_op(x, 0, w, MAP_0, 0x8d, reg, rm);
}

/* Shifts by their opcode extension. */
enum { SH_ROL = 0, SH_ROR = 1, SH_SHL = 4, SH_SHR = 5, SH_SAR = 7 };

static inline void x86_shift_imm(X86 *x, bool w, unsigned kind, int reg,
                                 unsigned count)
{
    x86_op(x, 0, w, MAP_0, 0xc1, kind, x86_r(reg));
    x86_b(x, count);
}

/* Zero-extending load of 1, 2, 4 or 8 bytes. */
static inline void x86_load(X86 *x, unsigned width, int reg, X86Rm rm)
{
    switch (width) {
    case 1:
        x86_op(x, 0, rm.reg == X86_NO_REG ? 0 : X86_BYTE, MAP_0F, 0xb6, reg,
               rm);
        break;
    case 2:
        x86_op(x, 0, 0, MAP_0F, 0xb7, reg, rm);
        break;
    default:
        x86_op(x, 0, width == 8, MAP_0, 0x8b, reg, rm);
    }
}

static inline void x86_store(X86 *x, unsigned width, X86Rm rm, int reg)
{
    x86_op(x, width == 2 ? 0x66 : 0,
           width == 8 ? X86_W : width == 1 ? X86_BYTE : 0, MAP_0,
           width == 1 ? 0x88 : 0x89, reg, rm);
}

/* imm must fit the width (8: sign-extended from 32). */
static inline void x86_store_imm(X86 *x, unsigned width, X86Rm rm, int32_t imm)
{
    x86_op(x, width == 2 ? 0x66 : 0, width == 8, MAP_0,
           width == 1 ? 0xc6 : 0xc7, 0, rm);
    if (width == 1) {
        x86_b(x, imm);
    } else if (width == 2) {
        x86_b(x, imm);
        x86_b(x, imm >> 8);
    } else {
        x86_d(x, imm);
    }
}

/* Condition codes. */
enum {
    CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P,
    CC_NP, CC_L, CC_GE, CC_LE, CC_G,
};

/* Jumps with a 32-bit displacement to be filled in; return its address. */
static inline uint8_t *x86_jmp32(X86 *x)
{
    x86_b(x, 0xe9);
    x86_d(x, 0);
    return x->p - 4;
}

static inline uint8_t *x86_jcc32(X86 *x, unsigned cc)
{
    x86_b(x, 0x0f);
    x86_b(x, 0x80 | cc);
    x86_d(x, 0);
    return x->p - 4;
}

static inline uint8_t *x86_jcc8(X86 *x, unsigned cc)
{
    x86_b(x, 0x70 | cc);
    x86_b(x, 0);
    return x->p - 1;
}

static inline void x86_here8(X86 *x, uint8_t *at)
{
    *at = x->p - (at + 1);
}

static inline void x86_fix32(uint8_t *at, const uint8_t *target)
{
    int32_t disp = target - (at + 4);

    memcpy(at, &disp, 4);
}

/* What the host can do beyond the baseline. */
typedef struct X86Features {
    bool bmi1, bmi2, lzcnt, popcnt, avx, avx2, sse41, ssse3, sse42, fma;
    bool fsgsbase;
} X86Features;

extern X86Features x86_features;
void x86_detect(void);

#endif
