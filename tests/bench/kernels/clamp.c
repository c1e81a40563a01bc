#include "tests/bench/kernels/twin.h"

static uint64_t kernel(void)
{
    uint64_t x = 1, sum = 0;
    int64_t low = 0x7fffffff, high = 0;

    for (unsigned n = 0; n < 50000000; n++) {
        x = x * 6364136223846793005u + 12345;
        int64_t v = x >> 33;

        low = v < low ? v : low;
        high = high < v ? v : high;
        sum += v < 1000000000 ? v : 1000000000;
    }
    return sum ^ low ^ high;
}
