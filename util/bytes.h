/*
 * Loads and stores of fixed width and byte order at any alignment.
 *
 * Guest memory, disk formats and wire formats are byte arrays; nothing in the
 * project points a wide type into them.  Names read "load/store, width, byte
 * order": ldl_le_p() loads 32 bits, little endian.  Widths: b 8, w 16, l 32,
 * q 64 bits.  All functions are safe in signal handlers.
 */
#ifndef UTIL_BYTES_H
#define UTIL_BYTES_H

#include <stdint.h>
#include <string.h>

#define BYTES_ACCESSORS(suffix, type, to_le, to_be)                            \
    static inline type ld##suffix##_le_p(const void *p)                        \
    {                                                                          \
        type v;                                                                \
        memcpy(&v, p, sizeof(v));                                              \
        return to_le(v);                                                       \
    }                                                                          \
    static inline void st##suffix##_le_p(void *p, type v)                      \
    {                                                                          \
        v = to_le(v);                                                          \
        memcpy(p, &v, sizeof(v));                                              \
    }                                                                          \
    static inline type ld##suffix##_be_p(const void *p)                        \
    {                                                                          \
        type v;                                                                \
        memcpy(&v, p, sizeof(v));                                              \
        return to_be(v);                                                       \
    }                                                                          \
    static inline void st##suffix##_be_p(void *p, type v)                      \
    {                                                                          \
        v = to_be(v);                                                          \
        memcpy(p, &v, sizeof(v));                                              \
    }

#define BYTES_KEEP(v) (v)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
BYTES_ACCESSORS(w, uint16_t, BYTES_KEEP, __builtin_bswap16)
BYTES_ACCESSORS(l, uint32_t, BYTES_KEEP, __builtin_bswap32)
BYTES_ACCESSORS(q, uint64_t, BYTES_KEEP, __builtin_bswap64)
#else
BYTES_ACCESSORS(w, uint16_t, __builtin_bswap16, BYTES_KEEP)
BYTES_ACCESSORS(l, uint32_t, __builtin_bswap32, BYTES_KEEP)
BYTES_ACCESSORS(q, uint64_t, __builtin_bswap64, BYTES_KEEP)
#endif
#undef BYTES_ACCESSORS
#undef BYTES_KEEP

/* Bits [start, start + length) of a value, right-aligned; length 1..64. */
static inline uint64_t extract64(uint64_t value, unsigned start,
                                 unsigned length)
{
    return (value >> start) & (~UINT64_C(0) >> (64 - length));
}

/* The value with bits [start, start + length) replaced by field. */
static inline uint64_t deposit64(uint64_t value, unsigned start,
                                 unsigned length, uint64_t field)
{
    uint64_t mask = (~UINT64_C(0) >> (64 - length)) << start;

    return (value & ~mask) | ((field << start) & mask);
}

/* The low bits of a value as a signed number; bits 1..64. */
static inline int64_t sextract64(uint64_t value, unsigned start,
                                 unsigned length)
{
    return (int64_t)(value << (64 - length - start)) >> (64 - length);
}

#endif
