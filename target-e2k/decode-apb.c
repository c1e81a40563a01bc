/*
 * Array-prefetch instructions: four words, control and displacement of the
 * left half, then of the right half.
 *
 * Source: shared facts "isa/encoding.md" section 10.
 */
#include "target-e2k/bundle.h"

#include "util/bytes.h"

static void decode_half(ApbHalf *half, uint32_t word, uint32_t disp)
{
    *half = (ApbHalf){
        .word = word,
        .disp = disp,
        .abs = word & 31,
        .asz = word >> 5 & 7,
        .d = word >> 15 & 31,
        .mrng = word >> 20 & 31,
        .fmt = word >> 25 & 7,
        .dcd = word >> 28 & 3,
        .secondary = word >> 30 & 1,
        .last = word >> 31,
    };
    if (half->secondary) {
        half->area = word >> 8 & 31;
        half->am = word >> 13 & 1;
        half->be = word >> 14 & 1;
    } else {
        half->ind = word >> 8 & 15;
        half->incr = word >> 12 & 7;
    }
}

bool apb_decode(ApbInsn *insn, const uint8_t *bytes, size_t size)
{
    if (size < APB_BYTES) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        decode_half(&insn->half[i], ldl_le_p(bytes + 8 * i),
                    ldl_le_p(bytes + 8 * i + 4));
    }
    return true;
}

static uint32_t encode_half(const ApbHalf *half)
{
    uint32_t word = (half->abs & 31) | (half->asz & 7) << 5 |
                    (half->d & 31) << 15 | (half->mrng & 31) << 20 |
                    (half->fmt & 7) << 25 | (half->dcd & 3) << 28 |
                    (uint32_t)half->secondary << 30 |
                    (uint32_t)half->last << 31;

    if (half->secondary) {
        return word | (half->area & 31) << 8 | (uint32_t)half->am << 13 |
               (uint32_t)half->be << 14;
    }
    return word | (half->ind & 15) << 8 | (half->incr & 7) << 12;
}

void apb_encode(const ApbInsn *insn, uint8_t bytes[APB_BYTES])
{
    for (unsigned i = 0; i < 2; i++) {
        stl_le_p(bytes + 8 * i, encode_half(&insn->half[i]));
        stl_le_p(bytes + 8 * i + 4, insn->half[i].disp);
    }
}
