/*
 * Debugger registers; see debug-regs.h.  State registers are reached through
 * cpu_read_state(), fields of the CPU by their offset.
 */
#include "target-e2k/debug-regs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

enum {
    N_WINDOW = 64,
    N_GLOBAL = 32,
    FIRST_OTHER = N_WINDOW + N_GLOBAL,
};

typedef struct OtherReg {
    const char *name;
    uint8_t bytes;
    int16_t state;    /* state register number, or -1: a field */
    uint16_t offset;  /* of the field in E2kCpu */
    bool writable;
    const char *type;
} OtherReg;

#define FIELD(name, field, type)                                               \
    { name, sizeof(((E2kCpu *)0)->field), -1, offsetof(E2kCpu, field), true,  \
      type }
#define STATE(name, number) { name, 8, number, 0, false, NULL }

static const OtherReg others[] = {
    FIELD("ip", ip, "code_ptr"),
    FIELD("pf", pf, NULL),
    FIELD("ctpr1", ctpr[0], NULL),
    FIELD("ctpr2", ctpr[1], NULL),
    FIELD("ctpr3", ctpr[2], NULL),
    FIELD("upsr", upsr, NULL),
    FIELD("pfpfr", pfpfr, NULL),
    FIELD("fpcr", fpcr, NULL),
    FIELD("fpsr", fpsr, NULL),
    FIELD("usd_base", usd_base, "data_ptr"),
    FIELD("usd_size", usd_size, NULL),
    FIELD("sbr", sbr, "data_ptr"),
    STATE("psr", 0x00),
    STATE("wd", 0x01),
    STATE("psp_hi", 0x07),
    STATE("psp_lo", 0x09),
    STATE("pcsp_hi", 0x0d),
    STATE("pcsp_lo", 0x0f),
    STATE("cr0_hi", 0x51),
    STATE("cr0_lo", 0x53),
    STATE("cr1_hi", 0x55),
    STATE("cr1_lo", 0x57),
    STATE("lsr", 0x83),
    STATE("ilcr", 0x87),
    STATE("br", 0x88),
    STATE("bgr", 0x89),
    STATE("idr", 0x8a),
};

/* Tag bytes of the window and of the globals follow, one register each. */
enum { FIRST_TAG = FIRST_OTHER + G_N_ELEMENTS(others) };

unsigned debug_reg_count(void)
{
    return FIRST_TAG + N_WINDOW + N_GLOBAL;
}

const char *debug_reg_name(unsigned number)
{
    static char names[FIRST_TAG + N_WINDOW + N_GLOBAL][8];
    static gsize ready;

    if (number >= FIRST_OTHER && number < FIRST_TAG) {
        return others[number - FIRST_OTHER].name;
    }
    if (g_once_init_enter(&ready)) {
        for (unsigned i = 0; i < N_WINDOW; i++) {
            snprintf(names[i], sizeof(names[i]), "r%u", i);
            snprintf(names[FIRST_TAG + i], sizeof(names[i]), "tag_r%u", i);
        }
        for (unsigned i = 0; i < N_GLOBAL; i++) {
            snprintf(names[N_WINDOW + i], sizeof(names[i]), "g%u", i);
            snprintf(names[FIRST_TAG + N_WINDOW + i], sizeof(names[i]),
                     "tag_g%u", i);
        }
        g_once_init_leave(&ready, 1);
    }
    return names[number];
}

unsigned debug_reg_bytes(unsigned number)
{
    if (number < FIRST_OTHER) {
        return 8;
    }
    return number < FIRST_TAG ? others[number - FIRST_OTHER].bytes : 1;
}

const char *debug_reg_type(unsigned number)
{
    return number >= FIRST_OTHER && number < FIRST_TAG
               ? others[number - FIRST_OTHER].type : NULL;
}

/* Where the register's bytes are, or NULL. */
static uint8_t *place(E2kCpu *cpu, unsigned number)
{
    if (number >= FIRST_TAG) {
        number -= FIRST_TAG;
        if (number >= N_WINDOW) {
            return &cpu->g_tags[number - N_WINDOW];
        }
        return number < 2u * cpu->wsz ? &cpu->win_tags[number] : NULL;
    }
    if (number >= FIRST_OTHER) {
        const OtherReg *reg = &others[number - FIRST_OTHER];

        return reg->state < 0 ? (uint8_t *)cpu + reg->offset : NULL;
    }
    if (number >= N_WINDOW) {
        return (uint8_t *)&cpu->g[number - N_WINDOW].lo;
    }
    return number < 2u * cpu->wsz ? (uint8_t *)&cpu->win[number].lo : NULL;
}

bool debug_reg_read(E2kCpu *cpu, unsigned number, uint8_t *bytes)
{
    const uint8_t *at;
    uint64_t value;

    if (number >= debug_reg_count()) {
        return false;
    }
    if (number >= FIRST_OTHER && number < FIRST_TAG &&
        others[number - FIRST_OTHER].state >= 0) {
        if (cpu_read_state(cpu, (unsigned)others[number - FIRST_OTHER].state,
                           &value) != EXC_NONE) {
            return false;
        }
        stq_le_p(bytes, value);
        return true;
    }
    at = place(cpu, number);
    if (at) {
        memcpy(bytes, at, debug_reg_bytes(number));
    }
    return at != NULL;
}

bool debug_reg_write(E2kCpu *cpu, unsigned number, const uint8_t *bytes)
{
    uint8_t *at;

    if (number >= debug_reg_count()) {
        return false;
    }
    if (number >= FIRST_OTHER && number < FIRST_TAG &&
        others[number - FIRST_OTHER].state == 0x83) {
        cpu_set_lsr(cpu, ldq_le_p(bytes));
        return true;
    }
    at = place(cpu, number);
    if (!at) {
        return false;
    }
    memcpy(at, bytes, debug_reg_bytes(number));
    if (at == (uint8_t *)&cpu->ip) {
        cpu->resume.armed = false;
    }
    return true;
}
