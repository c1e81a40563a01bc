/*
 * Integer helpers of generated code.
 *
 * Source: shared facts "isa/ops.md" section 1.
 */
#include "target-e2k/sem.h"

#include <stdbool.h>

static uint64_t rotate_right(uint64_t value, unsigned count, unsigned bits)
{
    uint64_t mask = bits == 64 ? ~UINT64_C(0) : UINT32_MAX;
    value &= mask;
    return count ? (value >> count | value << (bits - count)) & mask : value;
}

static uint64_t ones(unsigned n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

uint64_t sem_sxt(uint64_t mode, uint64_t value)
{
    switch (mode & 7) {
    case 0: return (int8_t)value;
    case 1: return (int16_t)value;
    case 4: return (uint8_t)value;
    case 5: return (uint16_t)value;
    case 6:
    case 7: return (uint32_t)value;
    default: return (int32_t)value;
    }
}

/* Up to v4 the sign is a bit of the source named by its byte; from v5 it is
 * the field's own top bit. */
static uint64_t getf(unsigned isa, uint64_t value, uint64_t selector,
                     unsigned bits)
{
    unsigned off = selector & (bits - 1);
    unsigned len = selector >> 6 & (bits - 1);
    unsigned byte = selector >> 13 & (bits == 64 ? 7 : 3);
    uint64_t field = rotate_right(value, off, bits) & ones(len);
    bool sign;

    if (!(selector >> 12 & 1)) {
        return field;
    }
    if (isa >= 5) {
        sign = len && field >> (len - 1) & 1;
    } else {
        sign = value >> (8 * byte + ((off + len - 1) & 7)) & 1;
    }
    if (sign) {
        field |= ~ones(len);
    }
    return field & ones(bits);
}

uint64_t sem_getfs(uint64_t isa, uint64_t value, uint64_t selector)
{
    return getf(isa, value, selector, 32);
}

uint64_t sem_getfd(uint64_t isa, uint64_t value, uint64_t selector)
{
    return getf(isa, value, selector, 64);
}

static uint64_t getfz(uint64_t value, uint64_t selector, unsigned bits)
{
    unsigned zeros = selector >> 13 & 7;
    return getf(5, value, selector, bits) >> zeros << zeros & ones(bits);
}

uint64_t sem_getfzs(uint64_t value, uint64_t selector)
{
    return getfz(value, selector, 32);
}

uint64_t sem_getfzd(uint64_t value, uint64_t selector)
{
    return getfz(value, selector, 64);
}

static uint64_t insf(uint64_t value, uint64_t selector, uint64_t field,
                     unsigned bits)
{
    uint64_t mask = ones(selector >> 6 & (bits - 1));
    uint64_t rotated = rotate_right(value, selector & (bits - 1), bits);
    return (rotated & ~mask) | (field & mask);
}

uint64_t sem_insfs(uint64_t value, uint64_t selector, uint64_t field)
{
    return insf(value, selector, field, 32);
}

uint64_t sem_insfd(uint64_t value, uint64_t selector, uint64_t field)
{
    return insf(value, selector, field, 64);
}

uint64_t sem_bitrevd(uint64_t value)
{
    value = (value >> 1 & UINT64_C(0x5555555555555555)) |
            (value & UINT64_C(0x5555555555555555)) << 1;
    value = (value >> 2 & UINT64_C(0x3333333333333333)) |
            (value & UINT64_C(0x3333333333333333)) << 2;
    value = (value >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) |
            (value & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(value);
}

uint64_t sem_bitrevs(uint64_t value)
{
    return sem_bitrevd(value) >> 32;
}

/* ------------------------------------------------------------------------
 * 64 / 32 division
 */

uint64_t sem_udivx_ok(uint64_t dividend, uint64_t divisor)
{
    uint32_t d = divisor;
    return d != 0 && dividend / d <= UINT32_MAX;
}

uint64_t sem_udivx(uint64_t dividend, uint64_t divisor)
{
    return dividend / (uint32_t)divisor;
}

uint64_t sem_umodx(uint64_t dividend, uint64_t divisor)
{
    return dividend % (uint32_t)divisor;
}

static __int128 wide_quotient(uint64_t dividend, uint64_t divisor)
{
    return (__int128)(int64_t)dividend / (int32_t)divisor;
}

uint64_t sem_sdivx_ok(uint64_t dividend, uint64_t divisor)
{
    if ((int32_t)divisor == 0) {
        return false;
    }
    __int128 q = wide_quotient(dividend, divisor);
    return q >= INT32_MIN && q <= INT32_MAX;
}

uint64_t sem_sdivx(uint64_t dividend, uint64_t divisor)
{
    return (uint32_t)wide_quotient(dividend, divisor);
}

uint64_t sem_smodx(uint64_t dividend, uint64_t divisor)
{
    __int128 n = (int64_t)dividend;
    return (uint32_t)(n % (int32_t)divisor);
}

/* ------------------------------------------------------------------------
 * Carries
 */

uint64_t sem_addcd_c(uint64_t a, uint64_t b, uint64_t carry)
{
    return ((unsigned __int128)a + b + (carry & 1)) >> 64;
}

uint64_t sem_subcd_c(uint64_t a, uint64_t b, uint64_t borrow)
{
    return (unsigned __int128)a < (unsigned __int128)b + (borrow & 1);
}

/* ------------------------------------------------------------------------
 * Flags of x86 operations: the host has them
 */

enum {
    X86_SF_ZF_AF_PF_CF = 0xd5, /* of LAHF */
    X86_AF = 1 << 4,
    X86_OF_SHIFT = 11,
};

#define HOST_FLAGS(insn, type)                                                \
    do {                                                                      \
        type x = a;                                                           \
        type y = b;                                                           \
        uint32_t ax;                                                          \
        __asm__(insn " %2, %1\n\tlahf\n\tseto %%al"                          \
                : "=&a"(ax), "+q"(x) : "q"(y) : "cc");                        \
        flags = (ax >> 8 & X86_SF_ZF_AF_PF_CF) |                              \
                (ax & 1) << X86_OF_SHIFT;                                     \
    } while (0)

static uint32_t flags_of(bool sub, unsigned log2_bytes, uint64_t a, uint64_t b)
{
    uint32_t flags;

    switch (sub << 2 | log2_bytes) {
    case 0: HOST_FLAGS("addb", uint8_t); break;
    case 1: HOST_FLAGS("addw", uint16_t); break;
    case 2: HOST_FLAGS("addl", uint32_t); break;
    case 3: HOST_FLAGS("addq", uint64_t); break;
    case 4: HOST_FLAGS("subb", uint8_t); break;
    case 5: HOST_FLAGS("subw", uint16_t); break;
    case 6: HOST_FLAGS("subl", uint32_t); break;
    default: HOST_FLAGS("subq", uint64_t); break;
    }
    return flags;
}

/* Of a logical result: as those of adding zero, but for the auxiliary one. */
uint64_t sem_x86_flags(uint64_t code, uint64_t a, uint64_t b)
{
    unsigned width = code >> 4;

    switch (code & 15) {
    case SEM_FLAGS_ADD: return flags_of(false, width, a, b);
    case SEM_FLAGS_SUB: return flags_of(true, width, a, b);
    case SEM_FLAGS_ANDN: case SEM_FLAGS_ORN: case SEM_FLAGS_XORN:
        b = ~b;
        break;
    default:
        break;
    }
    uint64_t r = (code & 15) <= SEM_FLAGS_ANDN  ? a & b
                 : (code & 15) <= SEM_FLAGS_ORN ? a | b : a ^ b;
    return flags_of(false, width, r, 0) & ~X86_AF;
}
