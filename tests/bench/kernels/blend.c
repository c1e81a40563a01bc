#include <string.h>

#include "tests/bench/kernels/twin.h"

static uint8_t pixels[4096];

static uint64_t kernel(void)
{
    static const uint8_t up[8] = {0x80, 0x70, 0x60, 0x50,
                                  0x40, 0x30, 0x20, 0x10};
    static const uint8_t down[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t seed = 0x0123456789abcdef, first;

    for (unsigned i = 0; i < 4096; i += 8) {
        memcpy(pixels + i, &seed, 8);
        seed = seed * 5 + 77;
    }
    for (unsigned n = 0; n < 60000; n++) {
        for (unsigned i = 0; i < 4096; i++) {
            unsigned p = pixels[i];
            unsigned sum = p + up[i % 8] > 255 ? 255 : p + up[i % 8];
            unsigned less = p < down[i % 8] ? 0 : p - down[i % 8];
            unsigned diff = sum < less ? 0 : sum - less;

            pixels[i] = diff + (less & up[i % 8]);
        }
        __asm__ volatile("" ::: "memory");
    }
    memcpy(&first, pixels, 8);
    return first;
}
