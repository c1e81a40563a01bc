#include <string.h>

#include "tests/bench/kernels/twin.h"

static double xs[1024], ys[1024], zs[1024];

static uint64_t kernel(void)
{
    double x = 1.0;
    uint64_t sum = 0;

    for (unsigned i = 0; i < 1024; i++) {
        xs[i] = x;
        x += 1.5;
        ys[i] = 1.5;
    }
    for (unsigned n = 0; n < 30000; n++) {
        for (unsigned i = 0; i < 1024; i++) {
            zs[i] = 1.25 * xs[i] + ys[i];
        }
        __asm__ volatile("" ::: "memory");
    }
    for (unsigned i = 0; i < 1024; i++) {
        uint64_t bits;

        memcpy(&bits, &zs[i], 8);
        sum += bits;
    }
    return sum;
}
