#include <string.h>

#include "tests/bench/kernels/twin.h"

static double xs[1024], ys[1024];

static uint64_t kernel(void)
{
    double x = 1.0, sum = 0;
    uint64_t bits;

    for (unsigned i = 0; i < 1024; i++) {
        xs[i] = x;
        x += 1.5;
        ys[i] = 1.5;
    }
    for (unsigned n = 0; n < 30000; n++) {
        for (unsigned i = 0; i < 1024; i++) {
            sum += xs[i] * ys[i];
        }
        __asm__ volatile("" ::: "memory");
    }
    memcpy(&bits, &sum, 8);
    return bits;
}
