#include "tests/bench/kernels/twin.h"

static __attribute__((noinline)) uint64_t tree(uint64_t n, uint64_t x)
{
    return n ? tree(n - 1, x + 1) + tree(n - 1, x ^ n) : x;
}

static uint64_t kernel(void)
{
    return tree(23, 7);
}
