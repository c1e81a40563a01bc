#include "tests/bench/kernels/twin.h"

static uint64_t from[8192], to[8192];

static uint64_t kernel(void)
{
    uint64_t sum = 0;

    for (uint64_t n = 3000; n--;) {
        for (unsigned i = 0; i < 8192; i += 2) {
            from[i] = n;
            from[i + 1] = i * 8;
        }
        __asm__ volatile("" ::: "memory");
        for (unsigned i = 0; i < 8192; i++) {
            to[i] = from[i];
        }
        __asm__ volatile("" ::: "memory");
        sum = (sum + to[8191]) ^ to[0];
    }
    return sum;
}
