/*
 * Guest faults in generated code.
 *
 * A guest access is one host instruction, listed with its place in the
 * region's side table.  When it faults, the signal handler comes here with
 * the registers at that instruction: dirty globals are written to their homes
 * from the registers that hold them, and execution goes on at a thunk that
 * leaves generated code.  Nothing of this costs anything while no access
 * faults.
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

static void reg_value(const ucontext_t *context, int reg, uint64_t value[2])
{
    if (reg >= XMM0) {
        memcpy(value, &context->uc_mcontext.fpregs->_xmm[reg - XMM0], 16);
    } else {
        value[0] = gpr(context, reg);
        value[1] = 0;
    }
}

static void write_home(const ucontext_t *context, const FaultGlobal *global)
{
    uint8_t *home = (uint8_t *)gpr(context, global->base) + global->offset;
    uint64_t value[2];
    uint64_t word;

    reg_value(context, global->reg, value);
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

    for (unsigned i = 0; i < site->n_map; i++) {
        write_home(context, &region->fault_globals[site->map + i]);
    }
    tc->fault = (TcgFault){
        .info = site->fault < region->n_fault_info
                    ? region->fault_info[site->fault]
                    : site->fault,
        .address = site_address(context, site),
        .host_address = host_address,
        .width = site->width,
        .is_store = site->is_store,
    };
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)tcg_thunks.fault;
    return true;
}

const TcgFault *tcg_fault(void *cpu)
{
    return &((TcgCpu *)((char *)cpu + tcg_config.tcg_offset))->fault;
}
