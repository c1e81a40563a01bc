/*
 * Register windows and chain frames between the CPU and guest memory.
 *
 *     guest memory                 host arrays of E2kCpu
 *     PSP.base ... + ind_bottom |  regs_bottom ... win ... win + 2*wsz
 *         older windows            callers          running procedure
 *
 * Spilling moves regs_bottom up and writes what it passes to guest memory
 * through the MMU; filling moves it down.  Nothing is written until it must
 * be: the array is full, software flushes, or it reads a register that tells
 * how much is in the file (which holds FILE_REGS registers at most, as far as
 * software can see).  Chain frames go the same way.
 *
 * When the array is full its contents slide down by a multiple of FILE_REGS,
 * which keeps physical register numbers (WD.base and the trap cellar).
 *
 * A page fault on a stack leaves everything unmoved and is reported with a
 * spill/fill record in the trap cellar; the operation is repeated as a whole.
 * PSP and PCSP bounds are applied by lowering n_regs and n_frames, so that
 * the engines' one comparison finds both a full array and a full stack.
 *
 * Memory formats: "isa/state.md" sections 4.4 and 4.6.
 */
#include "system/sys-cpu.h"

#include <string.h>

#include "system/debug-traps.h"
#include "system/tag-memory.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    PAIR_BYTES = 32,  /* two registers in memory */
    FRAME_BYTES = 32,
    KEEP_REGS = 64,   /* below the window, not spilled when making room */
    KEEP_FRAMES = 16,
    CR1_SS = 24,
    CR1_WBS_SHIFT = 33,
    CR1_WBS_MASK = 0x7f,
};

/* Word numbers of a pair's memory image: main and extension of both. */
typedef struct PairLayout {
    unsigned lo[2];
    unsigned ext[2];
} PairLayout;

static const PairLayout layout_v1 = { .lo = { 0, 1 }, .ext = { 2, 3 } };
static const PairLayout layout_v5 = { .lo = { 0, 2 }, .ext = { 1, 3 } };

static const PairLayout *layout_of(const E2kCpu *cpu)
{
    return cpu->isa >= 5 ? &layout_v5 : &layout_v1;
}

/* Reports a fault of the hardware stack at address. */
static Exception stack_fault(SysCpu *sys, bool chain, bool store)
{
    sys->stack_fault.pending = true;
    sys->stack_fault.chain = chain;
    sys->stack_fault.store = store;
    return EXC_DATA_PAGE;
}

/*
 * Where 32 bytes of a stack are, when the TLB knows; NULL: ask the page tables.
 * Pages that need care - with tags, code, watched - are not open to stores.
 */
static uint8_t *stack_host(SysCpu *sys, uint64_t address, bool store)
{
    const SoftTlbEntry *entry = soft_tlb_entry(&sys->context->tlb[1], address);
    uint64_t page = store ? entry->write : entry->read;

    if (((address + PAIR_BYTES - 1) & SOFT_TLB_PAGE_MASK) != page ||
        (address & 7) || sys->machine->slow_spills) {
        return NULL;
    }
    return (uint8_t *)(entry->host + address);
}

static bool has_tags(SysCpu *sys, const uint8_t *host)
{
    return __atomic_load_n(physmem_page_flags(sys->machine->mem, host),
                           __ATOMIC_RELAXED) & PHYS_PAGE_TAGGED;
}

static bool write_stack(SysCpu *sys, uint64_t address, const uint8_t *image)
{
    uint8_t *host = stack_host(sys, address, true);

    if (!host) {
        return sys_memory_write(sys, address, image, PAIR_BYTES);
    }
    memcpy(host, image, PAIR_BYTES);
    return true;
}

static bool read_stack(SysCpu *sys, uint64_t address, uint8_t *image)
{
    const uint8_t *host = stack_host(sys, address, false);

    if (!host) {
        return sys_memory_read(sys, address, image, PAIR_BYTES);
    }
    memcpy(image, host, PAIR_BYTES);
    return true;
}

static bool store_pair(SysCpu *sys, uint64_t address, const RegSlot *regs,
                       const uint8_t *tags)
{
    const PairLayout *layout = layout_of(sys->cpu);
    uint8_t image[PAIR_BYTES];
    uint8_t image_tags[4];

    for (unsigned i = 0; i < 2; i++) {
        stq_le_p(image + 8 * layout->lo[i], regs[i].lo);
        stq_le_p(image + 8 * layout->ext[i], regs[i].ext);
        image_tags[layout->lo[i]] = tags[i] & 15;
        image_tags[layout->ext[i]] = tags[i] >> 4;
    }
    /* A page that the TLB lets stores into has no tags; numbers have none. */
    if (!tags[0] && !tags[1] && stack_host(sys, address, true)) {
        return write_stack(sys, address, image);
    }
    return sys_memory_write(sys, address, image, sizeof(image)) &&
           tag_memory_set(sys, address, image_tags, 4);
}

static bool load_pair(SysCpu *sys, uint64_t address, RegSlot *regs,
                      uint8_t *tags)
{
    const PairLayout *layout = layout_of(sys->cpu);
    uint8_t image[PAIR_BYTES];
    uint8_t image_tags[4] = { 0 };
    const uint8_t *host = stack_host(sys, address, false);

    if (!read_stack(sys, address, image) ||
        (!(host && !has_tags(sys, host)) &&
         !tag_memory_get(sys, address, image_tags, 4))) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        regs[i].lo = ldq_le_p(image + 8 * layout->lo[i]);
        regs[i].ext = ldq_le_p(image + 8 * layout->ext[i]);
        tags[i] = image_tags[layout->lo[i]] | image_tags[layout->ext[i]] << 4;
    }
    return true;
}

/* Applies the stack bounds and the capacities to n_regs and n_frames. */
void stacks_update_limits(E2kCpu *cpu)
{
    uint64_t capacity = cpu->regs_mapped;
    uint64_t below = cpu->regs_bottom - cpu->regs;
    uint64_t left = cpu->psp_size > cpu->psp_ind_bottom
                        ? (cpu->psp_size - cpu->psp_ind_bottom) / 16
                        : 0;

    cpu->n_regs = MIN(capacity, below + left);
    capacity = cpu->frames_mapped - STACKS_SPARE_FRAMES;
    below = cpu->frames_bottom - cpu->frames;
    left = cpu->pcsp_size > cpu->pcsp_ind_bottom
               ? (cpu->pcsp_size - cpu->pcsp_ind_bottom) / FRAME_BYTES
               : 0;
    /* The current CR0/CR1 are registers of their own, not in the file. */
    cpu->n_frames = MIN(capacity, below + left + 1);
}

static Exception spill_frames_to(SysCpu *sys, ChainFrame *up_to)
{
    E2kCpu *cpu = sys->cpu;

    while (cpu->frames_bottom < up_to) {
        uint8_t image[FRAME_BYTES];
        const ChainFrame *frame = cpu->frames_bottom;

        stq_le_p(image, frame->cr0_lo);
        stq_le_p(image + 8, frame->cr0_hi);
        stq_le_p(image + 16, frame->cr1_lo);
        stq_le_p(image + 24, frame->cr1_hi);
        if (!write_stack(sys, cpu->pcsp_base + cpu->pcsp_ind_bottom, image)) {
            return stack_fault(sys, true, true);
        }
        cpu->frames_bottom++;
        cpu->pcsp_ind_bottom += FRAME_BYTES;
    }
    return EXC_NONE;
}

/*
 * Frames whose return needs spilled registers go out with them, so that one
 * comparison with frames_bottom tells an engine whether a return must fill.
 */
static Exception spill_matching_frames(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    const RegSlot *at = cpu->win;

    for (ChainFrame *f = cpu->frame; f > cpu->frames_bottom; f--) {
        at -= 2 * ((f->cr1_lo >> CR1_WBS_SHIFT) & CR1_WBS_MASK);
        if (at < cpu->regs_bottom) {
            return spill_frames_to(sys, f);
        }
    }
    return EXC_NONE;
}

static Exception spill_regs_to(SysCpu *sys, RegSlot *up_to)
{
    E2kCpu *cpu = sys->cpu;

    while (cpu->regs_bottom < up_to) {
        size_t at = cpu->regs_bottom - cpu->regs;

        if (!store_pair(sys, cpu->psp_base + cpu->psp_ind_bottom,
                        cpu->regs_bottom, cpu->reg_tags + at)) {
            return stack_fault(sys, false, true);
        }
        cpu->regs_bottom += 2;
        cpu->psp_ind_bottom += PAIR_BYTES;
    }
    return spill_matching_frames(sys);
}

/* Moves the contents of the register array by delta registers. */
static void slide_regs(E2kCpu *cpu, ptrdiff_t delta)
{
    size_t from = cpu->regs_bottom - cpu->regs;
    size_t count = cpu->win + 2 * cpu->wsz - cpu->regs_bottom;

    memmove(cpu->regs + from + delta, cpu->regs + from,
            count * sizeof(RegSlot));
    memmove(cpu->reg_tags + from + delta, cpu->reg_tags + from, count);
    cpu->regs_bottom += delta;
    cpu->win += delta;
    cpu->win_tags += delta;
}

static void slide_frames(E2kCpu *cpu, ptrdiff_t delta)
{
    memmove(cpu->frames_bottom + delta, cpu->frames_bottom,
            (cpu->frame + 1 - cpu->frames_bottom) * sizeof(ChainFrame));
    cpu->frames_bottom += delta;
    cpu->frame += delta;
}

static Exception spill_regs(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    size_t end = cpu->win + 2 * cpu->wsz - cpu->regs;

    if (cpu->n_regs < cpu->regs_mapped && (cpu->psr & PSR_SGE)) {
        return EXC_PROC_STACK_BOUNDS; /* the stack, not the array, is full */
    }
    if (end + FILE_REGS <= cpu->regs_mapped) {
        cpu->n_regs = cpu->regs_mapped; /* guard is off: go on past it */
        return EXC_NONE;
    }
    size_t depth = cpu->win - cpu->regs_bottom;
    Exception e = depth > KEEP_REGS
                      ? spill_regs_to(sys, cpu->win - KEEP_REGS)
                      : EXC_NONE;

    if (e != EXC_NONE) {
        return e;
    }
    ptrdiff_t free_below = cpu->regs_bottom - cpu->regs;

    slide_regs(cpu, -(free_below / FILE_REGS * FILE_REGS));
    return EXC_NONE;
}

static Exception spill_frames(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    size_t used = cpu->frame + 2 - cpu->frames;

    if (used <= cpu->n_frames) {
        return EXC_NONE;
    }
    if (cpu->n_frames < cpu->frames_mapped - STACKS_SPARE_FRAMES &&
        (cpu->psr & PSR_SGE)) {
        return EXC_CHAIN_STACK_BOUNDS;
    }
    if (used <= cpu->frames_mapped - STACKS_SPARE_FRAMES) {
        cpu->n_frames = cpu->frames_mapped - STACKS_SPARE_FRAMES;
        return EXC_NONE;
    }
    Exception e = cpu->frame - cpu->frames_bottom > KEEP_FRAMES
                      ? spill_frames_to(sys, cpu->frame - KEEP_FRAMES)
                      : EXC_NONE;

    if (e == EXC_NONE) {
        slide_frames(cpu, cpu->frames - cpu->frames_bottom);
    }
    return e;
}

Exception stacks_spill(E2kCpu *cpu)
{
    SysCpu *sys = cpu->opaque;
    Exception e = spill_frames(sys);

    if (e == EXC_NONE) {
        e = spill_regs(sys);
    }
    if (e == EXC_NONE) {
        size_t n_regs = cpu->n_regs, n_frames = cpu->n_frames;

        stacks_update_limits(cpu);
        if (!(cpu->psr & PSR_SGE)) {
            /* Limits that do not count must not stop the caller again. */
            cpu->n_regs = MAX(cpu->n_regs, n_regs);
            cpu->n_frames = MAX(cpu->n_frames, n_frames);
        }
    }
    return e;
}

static Exception fill_regs(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    unsigned wbs = (cpu->frame->cr1_lo >> CR1_WBS_SHIFT) & CR1_WBS_MASK;
    ptrdiff_t need = 2 * (ptrdiff_t)wbs - (cpu->win - cpu->regs_bottom);

    if (need <= 0) {
        return EXC_NONE;
    }
    if (cpu->regs_bottom - cpu->regs < need) {
        slide_regs(cpu, (need + FILE_REGS - 1) / FILE_REGS * FILE_REGS);
    }
    for (; need > 0; need -= 2) {
        RegSlot *regs = cpu->regs_bottom - 2;

        if (cpu->psp_ind_bottom < PAIR_BYTES && (cpu->psr & PSR_SGE)) {
            return EXC_PROC_STACK_BOUNDS;
        }
        if (!load_pair(sys,
                       cpu->psp_base + (int32_t)(cpu->psp_ind_bottom -
                                                 PAIR_BYTES),
                       regs, cpu->reg_tags + (regs - cpu->regs))) {
            return stack_fault(sys, false, false);
        }
        cpu->regs_bottom = regs;
        cpu->psp_ind_bottom = (uint32_t)(cpu->psp_ind_bottom - PAIR_BYTES);
    }
    return EXC_NONE;
}

static Exception fill_frames(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    uint8_t image[FRAME_BYTES];

    if (cpu->frame > cpu->frames_bottom) {
        return EXC_NONE;
    }
    if (cpu->pcsp_ind_bottom < FRAME_BYTES && (cpu->psr & PSR_SGE)) {
        return EXC_CHAIN_STACK_BOUNDS;
    }
    if (!read_stack(sys,
                    cpu->pcsp_base + (int32_t)(cpu->pcsp_ind_bottom -
                                               FRAME_BYTES),
                    image)) {
        return stack_fault(sys, true, false);
    }
    if (cpu->frames_bottom == cpu->frames) {
        slide_frames(cpu, KEEP_FRAMES);
    }
    ChainFrame *frame = --cpu->frames_bottom;

    frame->cr0_lo = ldq_le_p(image);
    frame->cr0_hi = ldq_le_p(image + 8) & CR0_HI_IP;
    frame->cr1_lo = ldq_le_p(image + 16);
    frame->cr1_hi = ldq_le_p(image + 24);
    if (frame->cr1_lo >> CR1_SS & 1) {
        debug_traps_changed(sys);
    }
    cpu->pcsp_ind_bottom = (uint32_t)(cpu->pcsp_ind_bottom - FRAME_BYTES);
    return EXC_NONE;
}

Exception stacks_fill(E2kCpu *cpu)
{
    Exception e = fill_regs(cpu->opaque);

    if (e == EXC_NONE) {
        e = fill_frames(cpu->opaque);
    }
    stacks_update_limits(cpu);
    return e;
}

Exception stacks_flush(E2kCpu *cpu, unsigned bits)
{
    SysCpu *sys = cpu->opaque;
    Exception e = EXC_NONE;

    if (bits & 1) {
        e = spill_regs_to(sys, cpu->win);
    }
    if (e == EXC_NONE && (bits & 2)) {
        e = spill_frames_to(sys, cpu->frame);
    }
    stacks_update_limits(cpu);
    return e;
}

Exception stacks_normalise(E2kCpu *cpu)
{
    SysCpu *sys = cpu->opaque;
    RegSlot *end = cpu->win + 2 * cpu->wsz;
    Exception e = EXC_NONE;

    if (end - cpu->regs_bottom > FILE_REGS) {
        e = spill_regs_to(sys, MIN(end - FILE_REGS, cpu->win));
    }
    if (e == EXC_NONE && cpu->frame - cpu->frames_bottom > FILE_FRAMES) {
        e = spill_frames_to(sys, cpu->frame - FILE_FRAMES);
    }
    stacks_update_limits(cpu);
    return e;
}

Exception stacks_match(E2kCpu *cpu)
{
    Exception e = spill_matching_frames(cpu->opaque);

    stacks_update_limits(cpu);
    return e;
}

/*
 * Handlers that trap again and again push frames without a call, which would
 * have made room.
 */
Exception stacks_trap_room(E2kCpu *cpu)
{
    size_t used = cpu->frame + 2 - cpu->frames;

    if (used < cpu->frames_mapped) {
        return EXC_NONE;
    }
    Exception e = spill_frames_to(cpu->opaque, cpu->frame - KEEP_FRAMES);

    if (e == EXC_NONE) {
        slide_frames(cpu, cpu->frames - cpu->frames_bottom);
        stacks_update_limits(cpu);
    }
    return e;
}

void stacks_push_frame(E2kCpu *cpu, uint64_t resume_ip, unsigned wbs)
{
    ChainFrame *frame = ++cpu->frame;

    frame->cr0_lo = cpu->pf;
    frame->cr0_hi = resume_ip & CR0_HI_IP;
    frame->cr1_lo = (uint64_t)cpu->single_step << CR1_SS |
                    (uint64_t)cpu->wfx << 25 | (uint64_t)cpu->psize << 26 |
                    (uint64_t)wbs << CR1_WBS_SHIFT |
                    (uint64_t)cpu->cui << 40 | (uint64_t)cpu->psr << 57;
    if (cpu->single_step) { /* until the return */
        cpu->single_step = false;
        ((SysCpu *)cpu->opaque)->step_frames = true;
    }
    frame->cr1_hi = cpu_get_br(cpu) | (uint64_t)cpu->wdbl << 35 |
                    (cpu->usd_size >> 4) << 36;
}

Exception stacks_pop_frame(E2kCpu *cpu)
{
    unsigned wbs = (cpu->frame->cr1_lo >> CR1_WBS_SHIFT) & CR1_WBS_MASK;

    if (cpu->win - cpu->regs_bottom < 2 * (ptrdiff_t)wbs ||
        cpu->frame == cpu->frames_bottom) {
        Exception e = stacks_fill(cpu);

        if (e != EXC_NONE) {
            return e;
        }
    }
    const ChainFrame *frame = cpu->frame--;

    cpu->single_step = frame->cr1_lo >> CR1_SS & 1;
    uint64_t usd_size = (frame->cr1_hi >> 36) << 4;

    cpu->win -= 2 * wbs;
    cpu->win_tags -= 2 * wbs;
    cpu->wsz = MIN(cpu->psize + wbs, FILE_REGS / 2);
    cpu->psize = (frame->cr1_lo >> 26) & 0x7f;
    cpu->wfx = (frame->cr1_lo >> 25) & 1;
    cpu->wdbl = (frame->cr1_hi >> 35) & 1;
    cpu->cui = frame->cr1_lo >> 40;
    cpu->psr = (frame->cr1_lo >> 57) & 0x7f;
    cpu->pf = frame->cr0_lo;
    cpu_set_br(cpu, frame->cr1_hi);
    cpu->usd_base += usd_size - cpu->usd_size;
    cpu->usd_size = usd_size;
    cpu->ip = frame->cr0_hi & CR0_HI_IP;
    return EXC_NONE;
}
