#include "tests/bench/kernels/twin.h"

static uint64_t kernel(void)
{
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;

    for (uint64_t n = 100000000; n; n--) {
        uint64_t a1 = a + b, b1 = b ^ c, c1 = c - d;
        uint64_t d1 = d + e, e1 = e ^ f, f1 = f + a;

        (void)b1;
        (void)d1;
        b = a1 ^ f1;
        d = c1 + e1;
        a = a1;
        c = c1;
        e = e1;
        f = f1;
    }
    return a ^ b ^ c ^ d ^ e ^ f;
}
