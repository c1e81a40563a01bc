/*
 * A CPU in a snapshot: its registers by table, and the live parts of the two
 * linear stacks, whose pointers become indexes.
 *
 * What follows from other state is not kept: TLBs, caches of code, limits of
 * the stacks, the interrupt inputs (the local controller drives them again).
 */
#include "system/snapshot-int.h"

#include <string.h>

#include "system/debug-traps.h"

enum {
    CPU_VERSION = 2,      /* raise it when a struct saved as bytes changes */
    WINDOW_MAX_REGS = 256, /* beyond %r0 that may hold something */
};

#define F(member) STATE_FIELD(E2kCpu, member)
#define BYTES(member) STATE_WORDS(E2kCpu, member, 1)
#define WORDS(member) STATE_WORDS(E2kCpu, member, 8)

static const StateField cpu_fields[] = {
    F(ip), F(pf), WORDS(ctpr), F(lcnt), F(ecnt), F(pcnt), F(strmd), F(ldovl),
    F(vlc), F(over), F(ldmc), F(semc), F(wsz), F(psize), F(wfx), F(wdbl),
    F(rbs), F(rsz), F(rcur), F(psz), F(pcur), F(bgr_val), F(bgr_cur),
    F(usd_base), F(usd_size), F(sbr), F(pfpfr), F(fpcr), F(fpsr), F(upsr),
    F(psr), F(cui), WORDS(g), BYTES(g_tags), F(psp_base), F(psp_size),
    F(pcsp_base), F(pcsp_size), F(psp_ind_bottom), F(pcsp_ind_bottom),
    F(ilcr_lcnt), F(ilcr_ecnt), F(ilcr_pcnt), BYTES(aau), BYTES(lock),
    BYTES(dam), F(dam_live), WORDS(state), WORDS(tir_hi), WORDS(tir_lo),
    F(n_tirs), BYTES(fault), F(exception_mask), F(exception_channels),
    BYTES(resume), F(single_step), STATE_END,
};

static const StateField sys_fields[] = {
    STATE_WORDS(SysCpu, mmu, 8),
    STATE_WORDS(SysCpu, debug_regs, 8),
    STATE_FIELD(SysCpu, waits_for_startup),
    STATE_FIELD(SysCpu, tirs_frozen),
    STATE_FIELD(SysCpu, next_tir),
    STATE_WORDS(SysCpu, fault, 4),
    STATE_WORDS(SysCpu, stack_fault, 1),
    STATE_FIELD(SysCpu, entry_faults),
    STATE_WORDS(SysCpu, counts, 8),
    STATE_END,
};

/* Indexes into the linear stacks, and how much of them is saved. */
typedef struct Stacks {
    uint64_t win, regs_bottom, regs_end;
    uint64_t frame, frames_bottom;
} Stacks;

static const StateField stacks_fields[] = {
    STATE_FIELD(Stacks, win),
    STATE_FIELD(Stacks, regs_bottom),
    STATE_FIELD(Stacks, regs_end),
    STATE_FIELD(Stacks, frame),
    STATE_FIELD(Stacks, frames_bottom),
    STATE_END,
};

void snapshot_put_cpu(SnapshotStream *s, SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    Stacks stacks = {
        .win = cpu->win - cpu->regs,
        .regs_bottom = cpu->regs_bottom - cpu->regs,
        .frame = cpu->frame - cpu->frames,
        .frames_bottom = cpu->frames_bottom - cpu->frames,
    };

    stacks.regs_end = MIN(stacks.win + WINDOW_MAX_REGS, cpu->regs_mapped);
    uint64_t n_regs = stacks.regs_end - stacks.regs_bottom;
    uint64_t n_frames = stacks.frame + 1 - stacks.frames_bottom;

    stream_put_int(s, CPU_VERSION, 4);
    stream_put_fields(s, cpu_fields, cpu);
    stream_put_fields(s, sys_fields, sys);
    stream_put_fields(s, stacks_fields, &stacks);
    stream_put(s, cpu->regs_bottom, n_regs * sizeof(RegSlot));
    stream_put(s, cpu->reg_tags + stacks.regs_bottom, n_regs);
    stream_put(s, cpu->frames_bottom, n_frames * sizeof(ChainFrame));
}

/* ---- What an engine relies on ---------------------------------------------- */

enum {
    MOST_ARRAY_FMT = 5,  /* elements of 16 bytes */
    MOST_ARRAY_STEP = 32,
};

static bool is_access_size(unsigned bytes)
{
    return bytes && bytes <= 16 && !(bytes & (bytes - 1));
}

static bool stacks_fit(const E2kCpu *cpu, const Stacks *stacks)
{
    return stacks->regs_bottom <= stacks->win &&
           stacks->win <= stacks->regs_end &&
           stacks->regs_end <= cpu->regs_mapped &&
           stacks->regs_end - stacks->regs_bottom <= cpu->regs_mapped &&
           stacks->frames_bottom <= stacks->frame &&
           stacks->frame + 2 < cpu->frames_mapped &&
           stacks->win + 2 * (uint64_t)cpu->wsz <= cpu->regs_mapped;
}

/* Fields that are smaller than their types. */
static bool geometry_fits(const E2kCpu *cpu)
{
    return cpu->wsz <= 112 && cpu->psize <= 127 && cpu->rbs < 64 &&
           cpu->rsz < 64 && cpu->rcur < 64 && cpu->psz < 32 &&
           cpu->pcur < 32 && cpu->bgr_cur < 8 && cpu->psr < 128 &&
           cpu->ecnt < 32 && cpu->pcnt < 32 && cpu->strmd < 128 &&
           cpu->ilcr_ecnt < 32 && cpu->ilcr_pcnt < 32 &&
           !(cpu->ip & ~CR0_HI_IP);
}

static bool pending_fits(const E2kCpu *cpu, const PendingAccess *p)
{
    int32_t least = -(int32_t)G_N_ELEMENTS(cpu->g);
    int32_t most = cpu->regs_mapped;

    return p->channel < 6 && is_access_size(p->size_bytes) &&
           p->mas < 128 && p->dst >= least && p->dst < most &&
           p->dst2 >= least && p->dst2 < most;
}

static bool array_fits(const AauState *aau)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(aau->area); i++) {
        if (aau->area[i].fmt > MOST_ARRAY_FMT ||
            aau->area[i].mrng > MOST_ARRAY_STEP) {
            return false;
        }
    }
    return true;
}

static bool state_fits(const SysCpu *sys)
{
    const E2kCpu *cpu = sys->cpu;

    if (!geometry_fits(cpu) || !array_fits(&cpu->aau) ||
        cpu->n_tirs > G_N_ELEMENTS(cpu->tir_hi) ||
        sys->next_tir >= G_N_ELEMENTS(cpu->tir_hi) ||
        cpu->resume.n > G_N_ELEMENTS(cpu->resume.op) ||
        (cpu->lock.armed && !is_access_size(cpu->lock.size_bytes))) {
        return false;
    }
    for (unsigned i = 0; i < cpu->resume.n; i++) {
        if (!pending_fits(cpu, &cpu->resume.op[i])) {
            return false;
        }
    }
    return true;
}

/*
 * Frames in the array have the registers they return to there; stacks.c.
 * Their addresses are cut to what an address may be.
 */
static bool frames_fit(E2kCpu *cpu)
{
    const RegSlot *at = cpu->win;

    for (ChainFrame *f = cpu->frame; f > cpu->frames_bottom; f--) {
        ptrdiff_t below = 2 * (f->cr1_lo >> 33 & 127);

        f->cr0_hi &= CR0_HI_IP;
        if (at - cpu->regs_bottom < below) {
            return false;
        }
        at -= below;
    }
    cpu->frames_bottom->cr0_hi &= CR0_HI_IP;
    return true;
}

static void clean_flag(bool *flag)
{
    uint8_t byte;

    memcpy(&byte, flag, 1);
    *flag = byte != 0;
}

/* Flags in what was read as bytes. */
static void clean_flags(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;

    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->aau.area); i++) {
        clean_flag(&cpu->aau.area[i].overflow);
        clean_flag(&cpu->aau.area[i].valid);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->dam); i++) {
        clean_flag(&cpu->dam[i].valid);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->resume.op); i++) {
        PendingAccess *p = &cpu->resume.op[i];

        clean_flag(&p->store);
        clean_flag(&p->big_endian);
        clean_flag(&p->speculative);
        clean_flag(&p->dst_none);
        clean_flag(&p->quad);
    }
    clean_flag(&cpu->resume.armed);
    clean_flag(&cpu->lock.armed);
    clean_flag(&cpu->fault.present);
    clean_flag(&cpu->fault.demand);
    clean_flag(&sys->stack_fault.pending);
    clean_flag(&sys->stack_fault.chain);
    clean_flag(&sys->stack_fault.store);
}

static void refuse_cpu(SnapshotStream *s, SysCpu *sys, const char *what)
{
    stream_fail(s, "cpu%u: impossible %s in the snapshot", sys->index, what);
    sys_cpu_reset(sys); /* nothing out of range stays */
}

void snapshot_get_cpu(SnapshotStream *s, SysCpu *sys)
{
    g_autofree char *where = g_strdup_printf("cpu%u", sys->index);
    E2kCpu *cpu = sys->cpu;
    Stacks stacks = { 0 };
    unsigned version = stream_get_int(s, 4);

    if (!stream_failed(s) && version != CPU_VERSION) {
        stream_fail(s, "%s: version %u in the snapshot, %u here", where,
                    version, CPU_VERSION);
    }
    if (stream_failed(s)) {
        return;
    }
    sys_cpu_reset(sys);
    stream_get_fields(s, cpu_fields, cpu, where);
    stream_get_fields(s, sys_fields, sys, where);
    stream_get_fields(s, stacks_fields, &stacks, where);
    if (stream_failed(s)) {
        sys_cpu_reset(sys);
        return;
    }
    clean_flags(sys);
    if (!state_fits(sys) || !stacks_fit(cpu, &stacks)) {
        refuse_cpu(s, sys, "registers");
        return;
    }
    cpu->win = cpu->regs + stacks.win;
    cpu->win_tags = cpu->reg_tags + stacks.win;
    cpu->regs_bottom = cpu->regs + stacks.regs_bottom;
    cpu->frame = cpu->frames + stacks.frame;
    cpu->frames_bottom = cpu->frames + stacks.frames_bottom;
    uint64_t n_regs = stacks.regs_end - stacks.regs_bottom;

    stream_get(s, cpu->regs_bottom, n_regs * sizeof(RegSlot));
    stream_get(s, cpu->reg_tags + stacks.regs_bottom, n_regs);
    stream_get(s, cpu->frames_bottom, (stacks.frame + 1 -
                                       stacks.frames_bottom) *
                                          sizeof(ChainFrame));
    if (!frames_fit(cpu)) {
        refuse_cpu(s, sys, "frames");
        return;
    }
    stacks_update_limits(cpu);
    debug_traps_changed(sys);
    mmu_flush_all(sys);
    mmu_select(sys);
    mmu_update_epoch(sys);
}
