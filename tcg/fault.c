/*
 * Guest faults in generated code.
 *
 * A guest access is one host instruction, listed with its place in the
 * region's side table.  When it faults, the signal handler comes here with
 * the registers at that instruction: dirty globals are written to their homes
 * from the registers that hold them, and execution goes on at a thunk that
 * leaves generated code.  Nothing of this costs anything while no access
 * faults.  tcg_slow_fault() does the same for an access through the software
 * TLB (x86-mem.c), whose registers a thunk has saved.
 *
 * Runs in a signal handler: no locks, no allocation.
 */
#include <string.h>
#include <ucontext.h>

#include "tcg/cache.h"

static const int8_t context_gpr[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static uint64_t gpr(const ucontext_t *context, int reg)
{
    return context->uc_mcontext.gregs[context_gpr[reg]];
}

/* Host registers at a fault. */
typedef struct HostRegs {
    uint64_t gpr[16];
    uint8_t vec[16][16];
} HostRegs;

static void regs_of_context(HostRegs *regs, const ucontext_t *context)
{
    for (unsigned i = 0; i < 16; i++) {
        regs->gpr[i] = gpr(context, i);
        memcpy(regs->vec[i], &context->uc_mcontext.fpregs->_xmm[i], 16);
    }
}

static void reg_value(const HostRegs *regs, int reg, uint64_t value[2])
{
    if (reg >= XMM0) {
        memcpy(value, regs->vec[reg - XMM0], 16);
    } else {
        value[0] = regs->gpr[reg];
        value[1] = 0;
    }
}

static void write_home(const HostRegs *regs, const FaultGlobal *global)
{
    uint8_t *home = (uint8_t *)regs->gpr[global->base] + global->offset;
    uint64_t value[2];
    uint64_t word;

    reg_value(regs, global->reg, value);
    if (global->bit_len) {
        uint64_t mask = ((UINT64_C(1) << global->bit_len) - 1)
                        << global->bit_pos;

        memcpy(&word, home, 8);
        word = (word & ~mask) | ((value[0] << global->bit_pos) & mask);
        memcpy(home, &word, 8);
    } else {
        memcpy(home, value, global->size);
    }
}

static void write_homes(const TcgRegion *region, const FaultSite *site,
                        const HostRegs *regs)
{
    for (unsigned i = 0; i < site->n_map; i++) {
        write_home(regs, &region->fault_globals[site->map + i]);
    }
}

static uint64_t site_info(const TcgRegion *region, const FaultSite *site)
{
    return site->fault < region->n_fault_info ? region->fault_info[site->fault]
                                              : site->fault;
}

static const FaultSite *find_site(const TcgRegion *region, uint32_t host)
{
    unsigned low = 0;
    unsigned high = region->n_faults;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (region->faults[middle].host == host) {
            return &region->faults[middle];
        }
        if (region->faults[middle].host < host) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* The guest address, from the registers that made it: the kernel does not
 * report non-canonical ones. */
static uint64_t site_address(const ucontext_t *context, const FaultSite *site)
{
    uint64_t address = (int64_t)site->disp;

    if (site->base != X86_NO_REG) {
        address += gpr(context, site->base);
    }
    if (site->index != X86_NO_REG) {
        address += gpr(context, site->index) << site->scale;
    }
    return address;
}

bool tcg_handle_fault(void *ucontext, uintptr_t host_address, bool write)
{
    ucontext_t *context = ucontext;
    uintptr_t pc = context->uc_mcontext.gregs[REG_RIP];
    const TcgRegion *region = cache_find((void *)pc);
    const FaultSite *site =
        region ? find_site(region, pc - (uintptr_t)region->code) : NULL;

    if (!site) {
        return false;
    }
    TcgCpu *tc = (TcgCpu *)(gpr(context, RBP) + tcg_config.tcg_offset);

    HostRegs regs;

    regs_of_context(&regs, context);
    write_homes(region, site, &regs);
    tc->fault = (TcgFault){
        .info = site_info(region, site),
        .address = site_address(context, site),
        .host_address = host_address,
        .width = site->width,
        .is_store = site->is_store,
    };
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)tcg_thunks.fault;
    return true;
}

void tcg_slow_fault(void *cpu, const void *pc)
{
    TcgCpu *tc = (TcgCpu *)((char *)cpu + tcg_config.tcg_offset);
    const TcgRegion *region = cache_find(pc);
    const FaultSite *site =
        find_site(region, (uintptr_t)pc - (uintptr_t)region->code);
    HostRegs regs;

    memcpy(regs.gpr, tc->save_gpr, sizeof(regs.gpr));
    memcpy(regs.vec, tc->save_vec, sizeof(regs.vec));
    write_homes(region, site, &regs);
    tc->fault = (TcgFault){
        .info = site_info(region, site),
        .address = tc->slow_address,
        .width = site->width,
        .is_store = site->is_store,
    };
}

const TcgFault *tcg_fault(void *cpu)
{
    return &((TcgCpu *)((char *)cpu + tcg_config.tcg_offset))->fault;
}
