/*
 * State registers: which exist, who may write them, and their images.
 *
 * Registers that the engines keep unpacked are assembled here; the rest live
 * in cpu->state[] or, where they are more than storage (clocks, MMU,
 * interrupts, hardware stacks of a machine), behind CpuOps.
 *
 * Source: shared facts "isa/state.md" section 4, "isa/state_regs.csv".
 */
#include "target-e2k/cpu.h"

typedef enum WriteAccess {
    PRIV,  /* privileged */
    USER,  /* anybody */
    FIXED, /* nobody: illegal opcode */
} WriteAccess;

typedef struct StateReg {
    uint8_t min_isa; /* 0: no such register */
    uint8_t max_isa;
    uint8_t write;   /* WriteAccess */
} StateReg;

static const StateReg state_regs[256] = {
    [0x00] = {1, 7, PRIV}, /* %psr */
    [0x01] = {1, 7, PRIV}, /* %wd */
    [0x04] = {3, 7, PRIV}, /* %core_mode */
    [0x06] = {1, 7, PRIV}, /* %cwd */
    [0x07] = {1, 7, PRIV}, /* %psp.hi */
    [0x09] = {1, 7, PRIV}, /* %psp.lo */
    [0x0b] = {1, 7, PRIV}, /* %pshtp */
    [0x0d] = {1, 7, PRIV}, /* %pcsp.hi */
    [0x0f] = {1, 7, PRIV}, /* %pcsp.lo */
    [0x13] = {1, 7, PRIV}, /* %pcshtp */
    [0x15] = {1, 7, PRIV}, /* %ctpr1 */
    [0x16] = {1, 7, PRIV}, /* %ctpr2 */
    [0x17] = {1, 7, PRIV}, /* %ctpr3 */
    [0x19] = {6, 7, PRIV}, /* %ctpr1.hi */
    [0x1a] = {6, 7, PRIV}, /* %ctpr2.hi */
    [0x1b] = {6, 7, PRIV}, /* %ctpr3.hi */
    [0x1e] = {1, 7, PRIV}, /* %sbr */
    [0x21] = {1, 7, PRIV}, /* %cutd */
    [0x22] = {6, 7, PRIV}, /* %oscutd */
    [0x23] = {1, 7, PRIV}, /* %eir */
    [0x24] = {1, 2, PRIV}, /* %tsd */
    [0x25] = {1, 7, FIXED}, /* %cuir */
    [0x26] = {1, 7, PRIV}, /* %oscud.hi */
    [0x27] = {1, 7, PRIV}, /* %oscud.lo */
    [0x28] = {1, 7, PRIV}, /* %osgd.hi */
    [0x29] = {1, 7, PRIV}, /* %osgd.lo */
    [0x2a] = {1, 7, PRIV}, /* %osem */
    [0x2b] = {6, 7, PRIV}, /* %oscuir */
    [0x2c] = {1, 7, PRIV}, /* %usd.hi */
    [0x2d] = {1, 7, PRIV}, /* %usd.lo */
    [0x2e] = {1, 2, PRIV}, /* %tr */
    [0x2f] = {1, 7, PRIV}, /* %osr0 */
    [0x30] = {1, 7, PRIV}, /* %cud.hi */
    [0x31] = {1, 7, PRIV}, /* %cud.lo */
    [0x32] = {1, 7, PRIV}, /* %gd.hi */
    [0x33] = {1, 7, PRIV}, /* %gd.lo */
    [0x34] = {1, 7, PRIV}, /* %cs.hi */
    [0x35] = {1, 7, PRIV}, /* %cs.lo */
    [0x36] = {1, 7, PRIV}, /* %ds.hi */
    [0x37] = {1, 7, PRIV}, /* %ds.lo */
    [0x38] = {1, 7, PRIV}, /* %es.hi */
    [0x39] = {1, 7, PRIV}, /* %es.lo */
    [0x3a] = {1, 7, PRIV}, /* %fs.hi */
    [0x3b] = {1, 7, PRIV}, /* %fs.lo */
    [0x3c] = {1, 7, PRIV}, /* %gs.hi */
    [0x3d] = {1, 7, PRIV}, /* %gs.lo */
    [0x3e] = {1, 7, PRIV}, /* %ss.hi */
    [0x3f] = {1, 7, PRIV}, /* %ss.lo */
    [0x40] = {1, 7, PRIV}, /* %dibcr */
    [0x41] = {1, 7, PRIV}, /* %dimcr */
    [0x42] = {1, 7, PRIV}, /* %dibsr */
    [0x43] = {1, 7, PRIV}, /* %dtcr */
    [0x46] = {6, 7, PRIV}, /* %dimtp.hi */
    [0x47] = {6, 7, PRIV}, /* %dimtp.lo */
    [0x48] = {1, 7, PRIV}, /* %dibar0 */
    [0x49] = {1, 7, PRIV}, /* %dibar1 */
    [0x4a] = {1, 7, PRIV}, /* %dibar2 */
    [0x4b] = {1, 7, PRIV}, /* %dibar3 */
    [0x4c] = {1, 7, PRIV}, /* %dimar0 */
    [0x4d] = {1, 7, PRIV}, /* %dimar1 */
    [0x4e] = {1, 7, PRIV}, /* %dtarf */
    [0x4f] = {1, 7, PRIV}, /* %dtart */
    [0x51] = {1, 7, PRIV}, /* %cr0.hi */
    [0x53] = {1, 7, PRIV}, /* %cr0.lo */
    [0x55] = {1, 7, PRIV}, /* %cr1.hi */
    [0x57] = {1, 7, PRIV}, /* %cr1.lo */
    [0x58] = {6, 7, PRIV}, /* %sh_psp.hi */
    [0x59] = {6, 7, PRIV}, /* %sh_psp.lo */
    [0x5a] = {6, 7, PRIV}, /* %bu_psp.hi */
    [0x5b] = {6, 7, PRIV}, /* %bu_psp.lo */
    [0x5c] = {6, 7, PRIV}, /* %sh_pcsp.hi */
    [0x5d] = {6, 7, PRIV}, /* %sh_pcsp.lo */
    [0x5e] = {6, 7, PRIV}, /* %sh_pshtp */
    [0x5f] = {6, 7, PRIV}, /* %sh_pcshtp */
    [0x60] = {6, 7, PRIV}, /* %virt_ctrl_cu */
    [0x61] = {6, 7, PRIV}, /* %hceb */
    [0x62] = {6, 7, PRIV}, /* %hcem */
    [0x63] = {6, 7, PRIV}, /* %g_preempt_tmr */
    [0x64] = {6, 7, PRIV}, /* %intc_info_cu */
    [0x65] = {6, 7, PRIV}, /* %intc_ptr_cu */
    [0x66] = {6, 7, PRIV}, /* %sh_psr */
    [0x67] = {6, 7, PRIV}, /* %sh_core_mode */
    [0x68] = {6, 7, PRIV}, /* %sh_oscud.hi */
    [0x69] = {6, 7, PRIV}, /* %sh_oscud.lo */
    [0x6a] = {6, 7, PRIV}, /* %sh_osgd.hi */
    [0x6b] = {6, 7, PRIV}, /* %sh_osgd.lo */
    [0x6c] = {6, 7, PRIV}, /* %sh_oscutd */
    [0x6d] = {6, 7, PRIV}, /* %sh_oscuir */
    [0x6e] = {6, 7, PRIV}, /* %sh_osr0 */
    [0x6f] = {6, 7, PRIV}, /* %sh_sclkm3 */
    [0x70] = {3, 7, PRIV}, /* %sclkm1 */
    [0x71] = {3, 7, PRIV}, /* %sclkm2 */
    [0x72] = {3, 7, PRIV}, /* %sclkm3 */
    [0x74] = {6, 7, PRIV}, /* %bu_pcsp.hi */
    [0x75] = {6, 7, PRIV}, /* %bu_pcsp.lo */
    [0x76] = {6, 7, PRIV}, /* %sh_wd */
    [0x78] = {2, 7, PRIV}, /* %cu_hw0 */
    [0x79] = {5, 7, PRIV}, /* %cu_hw1 */
    [0x80] = {1, 7, USER}, /* %upsr */
    [0x81] = {1, 7, FIXED}, /* %ip */
    [0x82] = {1, 7, PRIV}, /* %nip */
    [0x83] = {1, 7, USER}, /* %lsr */
    [0x84] = {1, 7, USER}, /* %pfpfr */
    [0x85] = {1, 7, USER}, /* %fpcr */
    [0x86] = {1, 7, USER}, /* %fpsr */
    [0x87] = {1, 7, USER}, /* %ilcr */
    [0x88] = {1, 7, PRIV}, /* %br */
    [0x89] = {1, 7, PRIV}, /* %bgr */
    [0x8a] = {2, 7, FIXED}, /* %idr */
    [0x90] = {1, 7, PRIV}, /* %clkr */
    [0x91] = {3, 7, PRIV}, /* %rndpr */
    [0x92] = {3, 7, USER}, /* %sclkr */
    [0x9c] = {1, 7, USER}, /* %tir.hi */
    [0x9d] = {1, 7, USER}, /* %tir.lo */
    [0xa0] = {1, 7, USER}, /* %rpr.lo */
    [0xa1] = {1, 7, USER}, /* %sbbp */
    [0xa2] = {1, 7, USER}, /* %rpr.hi */
    [0xc0] = {3, 7, USER}, /* %upsrm */
    [0xc3] = {5, 7, USER}, /* %lsr1 */
    [0xc7] = {5, 7, USER}, /* %ilcr1 */
};

enum {
    REG_PSR = 0x00,
    REG_WD = 0x01,
    REG_PSP_HI = 0x07,
    REG_PSP_LO = 0x09,
    REG_PSHTP = 0x0b,
    REG_PCSP_HI = 0x0d,
    REG_PCSP_LO = 0x0f,
    REG_PCSHTP = 0x13,
    REG_CTPR1 = 0x15,
    REG_CTPR3 = 0x17,
    REG_SBR = 0x1e,
    REG_CUIR = 0x25,
    REG_USD_HI = 0x2c,
    REG_USD_LO = 0x2d,
    REG_CR0_HI = 0x51,
    REG_CR0_LO = 0x53,
    REG_CR1_HI = 0x55,
    REG_CR1_LO = 0x57,
    REG_UPSR = 0x80,
    REG_IP = 0x81,
    REG_NIP = 0x82,
    REG_LSR = 0x83,
    REG_PFPFR = 0x84,
    REG_FPCR = 0x85,
    REG_FPSR = 0x86,
    REG_ILCR = 0x87,
    REG_BR = 0x88,
    REG_BGR = 0x89,
    REG_IDR = 0x8a,
    REG_CLKR = 0x90,
    REG_SCLKR = 0x92,
    REG_LSR1 = 0xc3,
    REG_ILCR1 = 0xc7,
};

#define RW_BOTH (UINT64_C(3) << 59)

static bool state_reg_exists(const E2kCpu *cpu, unsigned number)
{
    const StateReg *r = &state_regs[number & 0xff];

    return number < 256 && r->min_isa && cpu->isa >= r->min_isa &&
           cpu->isa <= r->max_isa;
}

/* Registers that a machine implements as a whole. */
static bool belongs_to_machine(const E2kCpu *cpu, unsigned number)
{
    return cpu->system && (number == REG_PSR || number == REG_WD ||
                           (number >= REG_PSP_HI && number <= REG_PCSHTP) ||
                           number == REG_CR1_LO);
}

static uint64_t idr_value(const E2kCpu *cpu)
{
    return cpu->model->mdl | (uint64_t)cpu->model->rev << 8;
}

/* Registers kept in fields of the CPU; false when number is not one. */
static bool read_field(const E2kCpu *cpu, unsigned number, uint64_t *value)
{
    uint64_t psp_ind = cpu->psp_ind_bottom +
                       (uint64_t)(cpu->win - cpu->regs_bottom) * 16;
    uint64_t pcsp_ind = cpu->pcsp_ind_bottom +
                        (uint64_t)(cpu->frame - cpu->frames_bottom) * 32;

    switch (number) {
    case REG_PSR: *value = cpu->psr; return true;
    case REG_WD: *value = cpu_get_wd(cpu); return true;
    case REG_PSP_HI: *value = (uint32_t)psp_ind | cpu->psp_size << 32; return true;
    case REG_PSP_LO: *value = cpu->psp_base | RW_BOTH; return true;
    case REG_PSHTP: *value = 0; return true;
    case REG_PCSP_HI: *value = (uint32_t)pcsp_ind | cpu->pcsp_size << 32; return true;
    case REG_PCSP_LO: *value = cpu->pcsp_base | RW_BOTH; return true;
    case REG_PCSHTP: *value = 0; return true;
    case REG_CTPR1 ... REG_CTPR3: *value = cpu->ctpr[number - REG_CTPR1]; return true;
    case REG_SBR: *value = cpu->sbr; return true;
    case REG_CUIR: *value = cpu->cui; return true;
    case REG_USD_HI: *value = cpu->usd_size << 32; return true;
    case REG_USD_LO: *value = (cpu->usd_base & CTPR_BASE_MASK) | RW_BOTH; return true;
    case REG_CR0_HI: *value = cpu->frame->cr0_hi; return true;
    case REG_CR0_LO: *value = cpu->frame->cr0_lo; return true;
    case REG_CR1_HI: *value = cpu->frame->cr1_hi; return true;
    case REG_CR1_LO: *value = cpu->frame->cr1_lo; return true;
    case REG_UPSR: *value = cpu->upsr; return true;
    case REG_IP: *value = cpu->ip; return true;
    case REG_LSR: *value = cpu_get_lsr(cpu); return true;
    case REG_PFPFR: *value = cpu->pfpfr; return true;
    case REG_FPCR: *value = cpu->fpcr; return true;
    case REG_FPSR: *value = cpu->fpsr; return true;
    case REG_ILCR: *value = cpu_get_ilcr(cpu); return true;
    case REG_BR: *value = cpu_get_br(cpu); return true;
    case REG_BGR: *value = cpu->bgr_val | cpu->bgr_cur << 8; return true;
    case REG_IDR: *value = idr_value(cpu); return true;
    case REG_LSR1: *value = cpu->lcnt; return true;
    case REG_ILCR1: *value = cpu->ilcr_lcnt; return true;
    default: return false;
    }
}

Exception cpu_read_state(E2kCpu *cpu, unsigned number, uint64_t *value)
{
    *value = 0;
    if (!state_reg_exists(cpu, number)) {
        return EXC_ILLEGAL_OPCODE;
    }
    if (belongs_to_machine(cpu, number) && cpu->ops->read_state) {
        return cpu->ops->read_state(cpu, number, value);
    }
    if (read_field(cpu, number, value)) {
        return EXC_NONE;
    }
    if (cpu->ops && cpu->ops->read_state) {
        return cpu->ops->read_state(cpu, number, value);
    }
    if (number == REG_CLKR || number == REG_SCLKR) {
        *value = g_get_monotonic_time() * 1000;
        return EXC_NONE;
    }
    *value = cpu->state[number];
    return EXC_NONE;
}

/* As read_field(); may be written by privileged code or by anybody. */
static bool write_field(E2kCpu *cpu, unsigned number, uint64_t value)
{
    switch (number) {
    case REG_PSR: cpu->psr = value & 0x7f; return true;
    case REG_CTPR1 ... REG_CTPR3: cpu->ctpr[number - REG_CTPR1] = value; return true;
    case REG_SBR: cpu->sbr = value & CTPR_BASE_MASK; return true;
    case REG_USD_HI: cpu->usd_size = value >> 32; return true;
    case REG_USD_LO: cpu->usd_base = value & CTPR_BASE_MASK; return true;
    case REG_CR0_HI: cpu->frame->cr0_hi = value & CR0_HI_IP; return true;
    case REG_CR0_LO: cpu->frame->cr0_lo = value; return true;
    case REG_CR1_HI: cpu->frame->cr1_hi = value; return true;
    case REG_CR1_LO: cpu->frame->cr1_lo = value; return true;
    case REG_UPSR: cpu->upsr = value & 0x7ff; return true;
    case REG_LSR: cpu_set_lsr(cpu, value); return true;
    case REG_PFPFR: cpu->pfpfr = value & 0xfc00ffbf; return true;
    case REG_FPCR: cpu->fpcr = (value & 0x1f3f) | 0x40; return true;
    case REG_FPSR: cpu->fpsr = value & 0xffff; return true;
    case REG_ILCR: cpu_set_ilcr(cpu, value); return true;
    case REG_BR: cpu_set_br(cpu, value); return true;
    case REG_BGR: cpu->bgr_val = value; cpu->bgr_cur = value >> 8 & 7; return true;
    case REG_LSR1: cpu->lcnt = value; cpu->ilcr_lcnt = value; return true;
    case REG_ILCR1: cpu->ilcr_lcnt = value; return true;
    default: return false;
    }
}

Exception cpu_check_state_write(const E2kCpu *cpu, unsigned number)
{
    if (!state_reg_exists(cpu, number) || state_regs[number].write == FIXED) {
        return EXC_ILLEGAL_OPCODE;
    }
    if (state_regs[number].write == PRIV && !(cpu->psr & PSR_PM)) {
        return EXC_PRIV_ACTION;
    }
    return EXC_NONE;
}

Exception cpu_write_state(E2kCpu *cpu, unsigned number, uint64_t value)
{
    Exception e = cpu_check_state_write(cpu, number);

    if (e != EXC_NONE) {
        return e;
    }
    if (belongs_to_machine(cpu, number) && cpu->ops->write_state) {
        return cpu->ops->write_state(cpu, number, value);
    }
    if (write_field(cpu, number, value)) {
        if (number == REG_UPSR && cpu->ops && cpu->ops->state_changed) {
            cpu->ops->state_changed(cpu);
        }
        return EXC_NONE;
    }
    if (cpu->ops && cpu->ops->write_state) {
        return cpu->ops->write_state(cpu, number, value);
    }
    cpu->state[number] = value;
    return EXC_NONE;
}
