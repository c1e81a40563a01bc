/*
 * State registers that a machine implements: PSR, WD, the hardware stacks,
 * TIRs, clocks and plain storage.  The rest is target-e2k's (cpu-state.c).
 * "system/traps.md" sections 3, 4 and 8.
 */
#include "system/sys-cpu.h"

#include "system/debug-traps.h"
#include "target-e2k/exec.h"
#include "util/log.h"

enum {
    SR_WD = 0x01,
    SR_PSP_HI = 0x07,
    SR_PSP_LO = 0x09,
    SR_PSHTP = 0x0b,
    SR_PCSP_HI = 0x0d,
    SR_PCSP_LO = 0x0f,
    SR_PCSHTP = 0x13,
    SR_CR1_LO = 0x57,
    CLKR_NS_PER_TICK = 1,
};

#define STACK_BASE_MASK UINT64_C(0xffffffffffff)
#define STACK_RW (UINT64_C(3) << 59)

static uint64_t pshtp_value(const E2kCpu *cpu)
{
    uint64_t bytes = (cpu->win - cpu->regs_bottom) * 8;

    return bytes | bytes << 16 | bytes << 32 | (uint64_t)cpu->wfx << 48;
}

static uint64_t read_tir_hi(const SysCpu *sys)
{
    return sys->cpu->n_tirs ? sys->cpu->tir_hi[sys->next_tir] : 0;
}

static uint64_t read_tir_lo(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;

    if (!cpu->n_tirs) {
        return 0;
    }
    uint64_t value = cpu->tir_lo[sys->next_tir];

    if (sys->next_tir > 0) {
        sys->next_tir--;
    }
    return value;
}

Exception state_regs_read(E2kCpu *cpu, unsigned number, uint64_t *value)
{
    SysCpu *sys = cpu->opaque;
    Exception e = EXC_NONE;

    switch (number) {
    case SR_PSR:
        *value = cpu->psr;
        break;
    case SR_WD:
        *value = cpu_get_wd(cpu);
        break;
    case SR_PSP_LO:
        *value = cpu->psp_base | STACK_RW;
        break;
    case SR_PCSP_LO:
        *value = cpu->pcsp_base | STACK_RW;
        break;
    case SR_PSP_HI:
        e = stacks_normalise(cpu);
        *value = (uint32_t)cpu->psp_ind_bottom | cpu->psp_size << 32;
        break;
    case SR_PCSP_HI:
        e = stacks_normalise(cpu);
        *value = (uint32_t)cpu->pcsp_ind_bottom | cpu->pcsp_size << 32;
        break;
    case SR_PSHTP:
        e = stacks_normalise(cpu);
        *value = pshtp_value(cpu);
        break;
    case SR_PCSHTP:
        e = stacks_normalise(cpu);
        *value = (cpu->frame - cpu->frames_bottom) * sizeof(ChainFrame);
        break;
    case SR_CR1_LO:
        *value = cpu->frame->cr1_lo;
        break;
    case SR_NIP:
        *value = cpu->ip;
        break;
    case SR_CLKR:
        *value = clock_now_ns(sys->machine->clock) / CLKR_NS_PER_TICK;
        break;
    case SR_SCLKR: {
        int64_t now_ns = clock_now_ns(sys->machine->clock);

        *value = (uint64_t)(now_ns / CLOCK_NS_PER_SEC) << 32 |
                 (uint64_t)(now_ns % CLOCK_NS_PER_SEC);
        break;
    }
    case SR_TIR_HI:
        *value = read_tir_hi(sys);
        break;
    case SR_TIR_LO:
        *value = read_tir_lo(sys);
        break;
    case SR_SBBP:
        *value = 0;
        break;
    default:
        *value = cpu->state[number];
        break;
    }
    return e;
}

/* A larger window needs room as that of setwd does. */
static Exception write_wd(E2kCpu *cpu, uint64_t value)
{
    unsigned wsz = MIN((value >> 16 & 0x7ff) / 16, FILE_REGS / 2);
    unsigned psize = (value >> 32 & 0x7ff) / 16;

    if (wsz > cpu->wsz && cpu->win + 2 * wsz > cpu->regs + cpu->n_regs) {
        Exception e = stacks_spill(cpu);

        if (e != EXC_NONE) {
            return e;
        }
    }
    cpu->wsz = wsz;
    cpu->psize = MIN(psize, cpu->wsz);
    cpu->wfx = value >> 48 & 1;
    cpu->wdbl = value >> 49 & 1;
    return EXC_NONE;
}

/* Says how much below the window is in the file. */
static void write_pshtp(E2kCpu *cpu, uint64_t value)
{
    size_t regs = (value & 0x7ff) / 8 & ~1;

    cpu->regs_bottom = cpu->win - MIN(regs, (size_t)(cpu->win - cpu->regs));
}

static void write_pcshtp(E2kCpu *cpu, uint64_t value)
{
    size_t frames = (value & 0x7ff) / sizeof(ChainFrame);

    cpu->frames_bottom =
        cpu->frame - MIN(frames, (size_t)(cpu->frame - cpu->frames));
}

Exception state_regs_write(E2kCpu *cpu, unsigned number, uint64_t value)
{
    SysCpu *sys = cpu->opaque;

    switch (number) {
    case SR_PSR:
        cpu->psr = value & 0x7f;
        cpu->ops->state_changed(cpu);
        break;
    case SR_WD:
        return write_wd(cpu, value);
    case SR_CR1_LO: /* a return may need more registers now */
        cpu->frame->cr1_lo = value;
        debug_traps_changed(sys);
        return stacks_match(cpu);
    case SR_PSP_LO:
        cpu->psp_base = value & STACK_BASE_MASK;
        break;
    case SR_PSP_HI:
        cpu->psp_ind_bottom = (uint32_t)value;
        cpu->psp_size = value >> 32;
        stacks_update_limits(cpu);
        break;
    case SR_PCSP_LO:
        cpu->pcsp_base = value & STACK_BASE_MASK;
        break;
    case SR_PCSP_HI:
        cpu->pcsp_ind_bottom = (uint32_t)value;
        cpu->pcsp_size = value >> 32;
        stacks_update_limits(cpu);
        break;
    case SR_PSHTP:
        write_pshtp(cpu, value);
        return stacks_match(cpu);
    case SR_PCSHTP:
        write_pcshtp(cpu, value);
        return stacks_match(cpu);
    case SR_TIR_LO:
        sys->tirs_frozen = false;
        cpu->n_tirs = 0;
        break;
    case SR_CORE_MODE:
        cpu->state[number] = value;
        mmu_flush_all(sys);
        break;
    case SR_TIR_HI:
    case SR_CLKR:
    case SR_SBBP:
        break;
    case SR_DIBCR:
        cpu->state[number] = value;
        debug_traps_changed(sys);
        break;
    default:
        cpu->state[number] = value;
        break;
    }
    return EXC_NONE;
}
