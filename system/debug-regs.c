/*
 * See debug-regs.h.
 */
#include "system/debug-regs.h"

#include <stdio.h>
#include <string.h>

#include "system/debug-traps.h"
#include "target-e2k/debug-regs.h"
#include "util/bytes.h"

enum {
    N_WINDOW = 64,
    N_GLOBAL = 32,
    SR_PSP_HI = 0x07,
    SR_PSHTP = 0x0b,
    SR_PCSP_HI = 0x0d,
    SR_PCSHTP = 0x13,
};

typedef enum SysRegKind {
    OF_STATE,        /* a state register */
    OF_MMU,
    OF_DEBUG,        /* behind the MMU's access path */
} SysRegKind;

typedef struct SysReg {
    const char *name;
    uint8_t number;
    SysRegKind kind;
    uint8_t min_isa;
} SysReg;

static const SysReg regs[] = {
    { "core_mode", 0x04, OF_STATE, 3 }, { "pshtp", 0x0b }, { "pcshtp", 0x13 },
    { "cutd", 0x21 }, { "eir", 0x23 }, { "cuir", 0x25 },
    { "oscud_hi", 0x26 }, { "oscud_lo", 0x27 }, { "osgd_hi", 0x28 },
    { "osgd_lo", 0x29 }, { "osem", 0x2a }, { "usd_hi", 0x2c },
    { "usd_lo", 0x2d }, { "osr0", 0x2f }, { "cud_hi", 0x30 },
    { "cud_lo", 0x31 }, { "gd_hi", 0x32 }, { "gd_lo", 0x33 },
    { "dibcr", 0x40 }, { "dimcr", 0x41 }, { "dibsr", 0x42 },
    { "dibar0", 0x48 }, { "dibar1", 0x49 }, { "dibar2", 0x4a },
    { "dibar3", 0x4b },
    { "sclkm1", 0x70, OF_STATE, 3 }, { "sclkm2", 0x71, OF_STATE, 3 },
    { "sclkm3", 0x72, OF_STATE, 3 }, { "cu_hw0", 0x78, OF_STATE, 2 },
    { "clkr", 0x90 }, { "sclkr", 0x92, OF_STATE, 3 },
    { "lsr1", 0xc3, OF_STATE, 5 }, { "ilcr1", 0xc7, OF_STATE, 5 },
    { "mmu_cr", MMU_CR, OF_MMU }, { "mmu_cont", MMU_CONT, OF_MMU },
    { "mmu_u_vptb", MMU_U_VPTB, OF_MMU }, { "mmu_u_pptb", MMU_U_PPTB, OF_MMU },
    { "mmu_trap_point", MMU_TRAP_POINT, OF_MMU },
    { "mmu_trap_count", MMU_TRAP_COUNT, OF_MMU },
    { "mmu_us_cl_d", MMU_US_CL_D, OF_MMU },
    { "mmu_apic_base", MMU_APIC_BASE, OF_MMU },
    { "mmu_os_vptb", MMU_OS_VPTB, OF_MMU, 6 },
    { "mmu_os_pptb", MMU_OS_PPTB, OF_MMU, 6 },
    { "mmu_os_vab", MMU_OS_VAB, OF_MMU, 6 },
    { "ddbar0", 0, OF_DEBUG }, { "ddbar1", 1, OF_DEBUG },
    { "ddbar2", 2, OF_DEBUG }, { "ddbar3", 3, OF_DEBUG },
    { "ddbcr", MMU_DEBUG_DDBCR, OF_DEBUG },
    { "ddbsr", MMU_DEBUG_DDBSR, OF_DEBUG },
};

/* The traps of the last entry, then extensions of registers, follow. */
enum {
    N_TIRS = 19,
    FIRST_TIR = G_N_ELEMENTS(regs),       /* hi and lo of each */
    FIRST_EXTENSION = FIRST_TIR + 2 * N_TIRS,
    N_REGS = FIRST_EXTENSION + N_WINDOW + N_GLOBAL,
};

unsigned sys_debug_reg_count(void)
{
    return debug_reg_count() + N_REGS;
}

const char *sys_debug_reg_name(unsigned number)
{
    static char names[N_REGS - FIRST_TIR][12];
    static gsize ready;

    if (number < debug_reg_count()) {
        return debug_reg_name(number);
    }
    number -= debug_reg_count();
    if (number < FIRST_TIR) {
        return regs[number].name;
    }
    if (g_once_init_enter(&ready)) {
        for (unsigned i = 0; i < N_REGS - FIRST_TIR; i++) {
            unsigned extension = i - 2 * N_TIRS;

            if (i < 2 * N_TIRS) {
                snprintf(names[i], sizeof(names[i]), "tir%u_%s", i / 2,
                         i % 2 ? "lo" : "hi");
            } else if (extension < N_WINDOW) {
                snprintf(names[i], sizeof(names[i]), "ext_r%u", extension);
            } else {
                snprintf(names[i], sizeof(names[i]), "ext_g%u",
                         extension - N_WINDOW);
            }
        }
        g_once_init_leave(&ready, 1);
    }
    return names[number - FIRST_TIR];
}

unsigned sys_debug_reg_bytes(unsigned number)
{
    return number < debug_reg_count() ? debug_reg_bytes(number) : 8;
}

const char *sys_debug_reg_type(unsigned number)
{
    return number < debug_reg_count() ? debug_reg_type(number) : NULL;
}

/* Registers and frames that reading the stack registers would spill. */
static void peek_stack(const E2kCpu *cpu, unsigned number, uint64_t *value)
{
    const RegSlot *end = cpu->win + 2 * cpu->wsz;
    ptrdiff_t regs_out = end - cpu->regs_bottom - FILE_REGS;
    ptrdiff_t frames_out = cpu->frame - cpu->frames_bottom - FILE_FRAMES;

    regs_out = CLAMP(regs_out, 0, cpu->win - cpu->regs_bottom);
    frames_out = MAX(frames_out, 0);
    uint64_t in_file = (cpu->win - cpu->regs_bottom - regs_out) * 8;

    switch (number) {
    case SR_PSP_HI:
        *value = (uint32_t)(cpu->psp_ind_bottom + 16 * regs_out) |
                 cpu->psp_size << 32;
        break;
    case SR_PCSP_HI:
        *value = (uint32_t)(cpu->pcsp_ind_bottom + 32 * frames_out) |
                 cpu->pcsp_size << 32;
        break;
    case SR_PSHTP:
        *value = in_file | in_file << 16 | in_file << 32 |
                 (uint64_t)cpu->wfx << 48;
        break;
    default:
        *value = (cpu->frame - cpu->frames_bottom - frames_out) * 32;
        break;
    }
}

static bool is_stack_register(unsigned number)
{
    return number == SR_PSP_HI || number == SR_PCSP_HI ||
           number == SR_PSHTP || number == SR_PCSHTP;
}

/* Of target-e2k's registers: the state register whose reading would spill. */
static unsigned spilling_register(unsigned number)
{
    const char *name = debug_reg_name(number);

    return !strcmp(name, "psp_hi") ? SR_PSP_HI
           : !strcmp(name, "pcsp_hi") ? SR_PCSP_HI : 0;
}

static uint64_t *extension(E2kCpu *cpu, unsigned i)
{
    if (i >= N_WINDOW) {
        return &cpu->g[i - N_WINDOW].ext;
    }
    return i < 2u * cpu->wsz ? &cpu->win[i].ext : NULL;
}

static bool read_value(SysCpu *sys, unsigned number, uint64_t *value)
{
    E2kCpu *cpu = sys->cpu;

    if (number >= FIRST_EXTENSION) {
        const uint64_t *at = extension(cpu, number - FIRST_EXTENSION);

        *value = at ? *at : 0;
        return at;
    }
    if (number >= FIRST_TIR) {
        unsigned j = (number - FIRST_TIR) / 2;

        *value = j >= cpu->n_tirs ? 0
                 : (number - FIRST_TIR) % 2 ? cpu->tir_lo[j]
                                            : cpu->tir_hi[j];
        return true;
    }
    if (cpu->isa < regs[number].min_isa) {
        return false;
    }
    if (regs[number].kind == OF_MMU) {
        *value = mmu_read_reg(sys, regs[number].number);
        return true;
    }
    if (regs[number].kind == OF_DEBUG) {
        *value = sys->debug_regs[regs[number].number];
        return true;
    }
    if (is_stack_register(regs[number].number)) {
        peek_stack(cpu, regs[number].number, value);
        return true;
    }
    return cpu_read_state(cpu, regs[number].number, value) == EXC_NONE;
}

bool sys_debug_reg_read(SysCpu *sys, unsigned number, uint8_t *bytes)
{
    uint64_t value;

    if (number < debug_reg_count()) {
        unsigned spilling = spilling_register(number);

        if (!spilling) {
            return debug_reg_read(sys->cpu, number, bytes);
        }
        peek_stack(sys->cpu, spilling, &value);
    } else if (number >= sys_debug_reg_count() ||
               !read_value(sys, number - debug_reg_count(), &value)) {
        return false;
    }
    stq_le_p(bytes, value);
    return true;
}

/* As privileged code writes it. */
static bool write_state(SysCpu *sys, unsigned number, uint64_t value)
{
    E2kCpu *cpu = sys->cpu;
    uint8_t psr = cpu->psr;

    cpu->psr |= PSR_PM;
    Exception e = cpu_write_state(cpu, number, value);

    sys->stack_fault.pending = false;
    if (number != SR_PSR) {
        cpu->psr = psr;
    }
    mmu_update_epoch(sys);
    return e == EXC_NONE;
}

static bool write_value(SysCpu *sys, unsigned number, uint64_t value)
{
    if (number >= FIRST_EXTENSION) {
        uint64_t *at = extension(sys->cpu, number - FIRST_EXTENSION);

        if (at) {
            *at = value;
        }
        return at;
    }
    if (number >= FIRST_TIR || sys->cpu->isa < regs[number].min_isa) {
        return false;
    }
    if (regs[number].kind == OF_MMU) {
        mmu_write_reg(sys, regs[number].number, value);
        return true;
    }
    if (regs[number].kind == OF_DEBUG) {
        sys->debug_regs[regs[number].number] = value;
        debug_traps_changed(sys);
        return true;
    }
    return write_state(sys, regs[number].number, value);
}

/* State registers among target-e2k's that it does not write itself. */
static int state_register(unsigned number)
{
    static const struct {
        const char *name;
        uint8_t number;
    } written[] = {
        { "psr", 0x00 }, { "wd", 0x01 }, { "psp_hi", 0x07 },
        { "psp_lo", 0x09 }, { "pcsp_hi", 0x0d }, { "pcsp_lo", 0x0f },
        { "cr0_hi", 0x51 }, { "cr0_lo", 0x53 }, { "cr1_hi", 0x55 },
        { "cr1_lo", 0x57 }, { "ilcr", 0x87 }, { "br", 0x88 },
        { "bgr", 0x89 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(written); i++) {
        if (!strcmp(debug_reg_name(number), written[i].name)) {
            return written[i].number;
        }
    }
    return -1;
}

bool sys_debug_reg_write(SysCpu *sys, unsigned number, const uint8_t *bytes)
{
    if (number >= sys_debug_reg_count()) {
        return false;
    }
    if (number >= debug_reg_count()) {
        return write_value(sys, number - debug_reg_count(), ldq_le_p(bytes));
    }
    int state = state_register(number);

    return state >= 0 ? write_state(sys, state, ldq_le_p(bytes))
                      : debug_reg_write(sys->cpu, number, bytes);
}
