#include "tests/bench/kernels/twin.h"

typedef uint64_t Fn(uint64_t a, uint64_t b);

static uint64_t f0(uint64_t a, uint64_t b) { return a + b + 1; }
static uint64_t f1(uint64_t a, uint64_t b) { return (a ^ b) + 1; }
static uint64_t f2(uint64_t a, uint64_t b) { return a - b + 1; }
static uint64_t f3(uint64_t a, uint64_t b) { return (a | b) + 1; }

static Fn *volatile table[] = {f0, f1, f2, f3};

static uint64_t kernel(void)
{
    uint64_t x = 1;

    for (uint64_t n = 20000000; n--;) {
        x = table[x & 3](x, n);
    }
    return x;
}
