/*
 * Registers for ptrace and core files; see user-regs.h.  State registers come
 * by number from one table.
 */
#include "linux-user/user-regs.h"

#include <string.h>

#include "util/bytes.h"

enum {
    AT_SIZE = 0, AT_G = 8, AT_CR0_LO = 400, AT_CR0_HI = 408, AT_CR1_LO = 416,
    AT_CR1_HI = 424, AT_AAD = 592, AT_AAIND = 1104, AT_AAINCR = 1232,
    AT_AALDI = 1296, AT_AALDV = 1808, AT_AALDA = 1816, AT_AALDM = 2328,
    AT_AASR = 2336, AT_AAFSTR = 2344, AT_AASTI = 2352, AT_IP = 2680,
    AT_NIP = 2688, AT_SYS_NUM = 2784, AT_ARGS = 2792, AT_GTAG = 2840,
    AT_GEXT = 2872, AT_CHAIN_BASE = 4728, AT_PROC_BASE = 4736,
    AT_GEXT_V5 = 4440, AT_GTAG_V5 = 4696,
};

static const struct {
    uint16_t offset;
    uint8_t number;
    bool settable;
} state_fields[] = {
    { 264, 0x00, false },  { 272, 0x80, true },   { 328, 0x84, true },
    { 336, 0x85, true },   { 344, 0x86, true },   { 352, 0x1e, false },
    { 360, 0x2d, false },  { 368, 0x2c, false },  { 376, 0x09, false },
    { 384, 0x07, false },  { 392, 0x0b, false },  { 440, 0x0f, false },
    { 448, 0x0d, false },  { 456, 0x13, false },  { 464, 0x31, false },
    { 472, 0x30, false },  { 480, 0x33, false },  { 488, 0x32, false },
    { 2656, 0x01, false }, { 2664, 0x88, false }, { 2672, 0x89, false },
    { 2696, 0x15, true },  { 2704, 0x16, true },  { 2712, 0x17, true },
    { 2736, 0x21, false }, { 2744, 0x25, false }, { 2760, 0x83, true },
    { 2768, 0x87, true },  { 4408, 0x8a, false },
};

/* CR1 of the running procedure, as a return into it would find it. */
static void put_cr1(const E2kCpu *cpu, uint8_t *regs)
{
    stq_le_p(regs + AT_CR1_LO,
             (uint64_t)cpu->wfx << 25 | (uint64_t)cpu->psize << 26 |
                 (uint64_t)cpu->wsz << 33 | (uint64_t)cpu->cui << 40 |
                 (uint64_t)cpu->psr << 57);
    stq_le_p(regs + AT_CR1_HI,
             (cpu_get_br(cpu) & 0xfffffff) | (uint64_t)cpu->wdbl << 35 |
                 (cpu->usd_size >> 4) << 36);
}

static void put_array_unit(const E2kCpu *cpu, uint8_t *regs)
{
    for (int i = 0; i < 32; i++) {
        stq_le_p(regs + AT_AAD + 16 * i, cpu->aau.aad[i].lo);
        stq_le_p(regs + AT_AAD + 16 * i + 8, cpu->aau.aad[i].hi);
    }
    for (int i = 0; i < 16; i++) {
        stq_le_p(regs + AT_AAIND + 8 * i, cpu->aau.aaind[i]);
        stq_le_p(regs + AT_AASTI + 8 * i, cpu->aau.aasti[i]);
    }
    for (int i = 0; i < 8; i++) {
        stq_le_p(regs + AT_AAINCR + 8 * i, cpu->aau.aaincr[i]);
    }
    for (int i = 0; i < 64; i++) {
        stq_le_p(regs + AT_AALDI + 8 * i, cpu->aau.area[i].aaldi);
        stq_le_p(regs + AT_AALDA + 8 * i, cpu->aau.aalda[i]);
    }
    stq_le_p(regs + AT_AALDV, cpu->aau.aaldv);
    stq_le_p(regs + AT_AALDM, cpu->aau.aaldm);
    stq_le_p(regs + AT_AASR, cpu->aau.aasr);
    stq_le_p(regs + AT_AAFSTR, cpu->aau.aafstr);
}

void user_regs_get(E2kCpu *cpu, uint8_t regs[USER_REGS_BYTES])
{
    memset(regs, 0, USER_REGS_BYTES);
    stq_le_p(regs + AT_SIZE, USER_REGS_BYTES);
    for (int i = 0; i < 32; i++) {
        stq_le_p(regs + AT_G + 8 * i, cpu->g[i].lo);
        regs[AT_GTAG + i] = cpu->g_tags[i];
        if (cpu->isa >= 5) {
            stq_le_p(regs + AT_GEXT_V5 + 8 * i, cpu->g[i].ext);
            regs[AT_GTAG_V5 + i] = cpu->g_tags[i] >> 4;
        } else {
            stw_le_p(regs + AT_GEXT + 2 * i, cpu->g[i].ext);
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(state_fields); i++) {
        uint64_t value = 0;

        if (cpu_read_state(cpu, state_fields[i].number, &value) == EXC_NONE) {
            stq_le_p(regs + state_fields[i].offset, value);
        }
    }
    stq_le_p(regs + AT_CR0_LO, cpu->pf);
    stq_le_p(regs + AT_CR0_HI, cpu->ip);
    put_cr1(cpu, regs);
    put_array_unit(cpu, regs);
    stq_le_p(regs + AT_IP, cpu->ip);
    stq_le_p(regs + AT_NIP, cpu->ip);
    stq_le_p(regs + AT_SYS_NUM, -1);
    stq_le_p(regs + AT_CHAIN_BASE, cpu->pcsp_base);
    stq_le_p(regs + AT_PROC_BASE, cpu->psp_base);
}

void user_regs_set(E2kCpu *cpu, const uint8_t regs[USER_REGS_BYTES])
{
    uint64_t ip = ldq_le_p(regs + AT_CR0_HI) & CR0_HI_IP;

    for (int i = 0; i < 32; i++) {
        if (ldq_le_p(regs + AT_G + 8 * i) != cpu->g[i].lo) {
            cpu->g[i].lo = ldq_le_p(regs + AT_G + 8 * i);
            cpu->g_tags[i] = 0;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(state_fields); i++) {
        if (state_fields[i].settable) {
            cpu_write_state(cpu, state_fields[i].number,
                            ldq_le_p(regs + state_fields[i].offset));
        }
    }
    cpu->pf = ldq_le_p(regs + AT_CR0_LO);
    if (ip != cpu->ip) {
        cpu->ip = ip;
        cpu->resume.armed = false;
    }
}
