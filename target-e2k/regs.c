/*
 * Tables behind regs.h.
 */
#include "target-e2k/regs.h"

#include <string.h>

#include <glib.h>

typedef struct StateReg {
    uint8_t number;
    const char *name;
    uint8_t first;
    uint8_t last;
    bool synonym;
} StateReg;

static const StateReg state_regs[] = {
#define STATE_REG(number, name, first, last, synonym) \
    { number, name, first, last, synonym },
#include "target-e2k/state-regs.def"
#undef STATE_REG
};

const char *state_reg_name(uint8_t number, unsigned isa)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(state_regs); i++) {
        const StateReg *reg = &state_regs[i];

        if (reg->number == number && !reg->synonym && isa >= reg->first &&
            isa <= reg->last) {
            return reg->name;
        }
    }
    return NULL;
}

int state_reg_number(const char *name, unsigned isa)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(state_regs); i++) {
        const StateReg *reg = &state_regs[i];

        if (isa >= reg->first && isa <= reg->last &&
            strcmp(reg->name, name) == 0) {
            return reg->number;
        }
    }
    return -1;
}

bool state_reg_read_only(uint8_t number)
{
    return number == 0x8a || number == 0x81; /* %idr, %ip */
}

static const AauReg aau_regs[32] = {
    [0x00] = { "%aad", AAU_NUMBER_D },
    [0x01] = { "%aasti", AAU_NUMBER_IND },
    [0x02] = { "%aaind", AAU_NUMBER_IND },
    [0x03] = { "%aaincr", AAU_NUMBER_IND },
    [0x04] = { "%aaldi", AAU_NUMBER_D },
    [0x05] = { "%aalda", AAU_NUMBER_D },
    [0x08] = { "%aafstr", AAU_NUMBER_NONE },
    [0x09] = { "%aaldv", AAU_NUMBER_NONE },
    [0x0a] = { "%aaldm", AAU_NUMBER_NONE },
    [0x0c] = { "%aabf", AAU_NUMBER_IND },
    [0x10] = { "%aadr", AAU_NUMBER_D },
    [0x11] = { "%aasti_tag", AAU_NUMBER_NONE },
    [0x12] = { "%aaind_tag", AAU_NUMBER_NONE },
    [0x13] = { "%aaincr_tag", AAU_NUMBER_NONE },
    [0x1b] = { "%aasr", AAU_NUMBER_NONE },
};

const AauReg *aau_reg(uint8_t code)
{
    return code < 32 && aau_regs[code].name ? &aau_regs[code] : NULL;
}

int aau_reg_code(const char *name, unsigned *number)
{
    size_t stem = strcspn(name, "0123456789");
    const char *digits = name + stem;
    char *end = NULL;
    unsigned long value = g_ascii_strtoull(digits, &end, 10);

    if (*end) {
        return -1;
    }
    for (unsigned code = 0; code < 32; code++) {
        const AauReg *reg = &aau_regs[code];

        if (!reg->name || strlen(reg->name) != stem ||
            memcmp(reg->name, name, stem) != 0) {
            continue;
        }
        unsigned limit = reg->number == AAU_NUMBER_D     ? 32
                         : reg->number == AAU_NUMBER_IND ? 16
                                                         : 0;
        if ((limit == 0) != (*digits == '\0') || (limit && value >= limit)) {
            return -1;
        }
        *number = limit ? value : 0;
        return code;
    }
    return -1;
}

static const MmuReg mmu_regs[] = {
#define MMU_REG(name, address, mas, channel, first, write) \
    { name, address, mas, first, write, channel },
#include "target-e2k/mmu-regs.def"
#undef MMU_REG
};

const MmuReg *mmu_reg_by_name(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(mmu_regs); i++) {
        if (strcmp(mmu_regs[i].name, name) == 0) {
            return &mmu_regs[i];
        }
    }
    return NULL;
}
