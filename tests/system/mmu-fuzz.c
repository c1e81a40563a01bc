/*
 * Bad page tables, MMU registers, stacks and trap cellars under random
 * programs, in both engines.
 *
 * usage: mmu-fuzz [SECONDS [SEED [CASE]]]   one CASE, with its traps
 *
 * A case is a machine with one CPU and half a megabyte of memory that is set up
 * from a seed: page tables that were right before some of their entries were
 * spoilt, MMU registers, stack descriptors, frames, a random program (of
 * tests/diff) with pointers all over the place.  It runs in the translator and
 * in the reference interpreter; traps are taken as a machine takes them, and
 * then either the "system" returns from them or the code at OSCUD goes on.
 * All state must be the same in the end, and the emulator must be there to
 * tell: run it under the sanitizers.
 *
 *   physical memory     0x10000 program   0x20000 data    0x30000 handlers
 *   (also mapped so)    0x38000 cellar    0x40000 tables  0x60000 stacks
 *
 * Not compared: cases without an end, and those that have written their own
 * code or page tables, because an engine may go on with what it has kept until
 * software flushes it.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "system/machine.h"
#include "system/sys-cpu.h"
#include "target-e2k/disas.h"
#include "target-e2k/exec.h"
#include "target-e2k/interp.h"
#include "tests/diff/random-program.h"
#include "util/bytes.h"

enum {
    RAM_BYTES = 0x90000,
    PAGE = PHYS_PAGE_BYTES,
    MORE_DATA = 0x21000,
    HANDLERS = 0x30000,
    CELLAR = 0x38000,
    TABLES = 0x40000,
    TABLES_END = 0x60000,
    PSP_BASE = 0x60000,
    PCSP_BASE = 0x70000,
    FREE_BASE = 0x80000,
    MOST_TRAPS = 6,
    MOST_STEPS = 4000,   /* of the interpreter */
    LIMIT_MS = 20,       /* of the translator */
    COMPARED_REGS = 224,
};

#define HIGH_VA UINT64_C(0xd00000000000)
#define LARGE_VA UINT64_C(0x40000000)
#define HUGE_VA UINT64_C(0x8000000000)
#define TOP_VA UINT64_C(0xfffffffffff8) /* where addresses wrap */

typedef struct PteBits {
    uint64_t present, writable, valid, privileged, non_exec;
    uint64_t marks; /* accessed and dirty */
} PteBits;

static const PteBits legacy_bits = {
    1, 2, UINT64_C(1) << 40, UINT64_C(1) << 41, UINT64_C(1) << 43, 0x60,
};
static const PteBits v6_bits = {
    1, 2, 8, 4, UINT64_C(1) << 63, 0x60,
};

enum { PTE_LARGE = 0x80, PTE_GLOBAL = 0x100 };

/* What is compared, in copies. */
typedef struct Outcome {
    bool stopped;
    unsigned traps;
    E2kCpu cpu;
    uint64_t mmu[MMU_REGS];
    uint64_t counts[64];
    bool flushed;
    RegSlot regs[COMPARED_REGS]; /* the window */
    uint8_t tags[COMPARED_REGS];
    ChainFrame frame;
    uint64_t wd;
    uint8_t ram[RAM_BYTES];
    uint8_t ram_tags[RAM_BYTES / 8];
} Outcome;

typedef struct Fuzz {
    Machine *machine;
    SysCpu *sys;
    Rng rng;
    const PteBits *bits;
    uint64_t next_table;
    Program program;
    uint8_t start[RAM_BYTES]; /* memory as the case found it */
    bool trace;
    uint64_t cases, stopped, changed, unflushed;
} Fuzz;

static Outcome outcomes[2]; /* translator, interpreter */

/* ---- Setting a case up ----------------------------------------------------- */

static uint8_t *ram_of(Fuzz *f)
{
    return physmem_ram(f->machine->mem);
}

static uint64_t random_address(Rng *rng)
{
    static const uint64_t bases[] = {
        DATA_ADDRESS, MORE_DATA, CODE_ADDRESS, HANDLERS, CELLAR, TABLES,
        PSP_BASE, PCSP_BASE, FREE_BASE, HIGH_VA + DATA_ADDRESS,
        HIGH_VA + MORE_DATA, LARGE_VA, LARGE_VA + DATA_ADDRESS, HUGE_VA,
        HUGE_VA + DATA_ADDRESS, RAM_BYTES, UINT64_C(0xffffffffff000),
        UINT64_C(0x1000000000000),
    };

    switch (rng_below(rng, 8)) {
    case 0:
        return rng_next(rng);
    case 1:
        return UINT64_C(1) << rng_below(rng, 64);
    case 2:
    case 3: /* about the end of a page */
        return bases[rng_below(rng, G_N_ELEMENTS(bases))] + PAGE - 20 +
               rng_below(rng, 24);
    default:
        return bases[rng_below(rng, G_N_ELEMENTS(bases))] +
               8 * rng_below(rng, PAGE / 8);
    }
}

static uint64_t new_table(Fuzz *f)
{
    uint64_t table = f->next_table;

    g_assert(table < TABLES_END);
    f->next_table += PAGE;
    return table;
}

/* Maps a page of the level (1: 4 KiB) at va. */
static void map(Fuzz *f, uint64_t root, uint64_t va, uint64_t pa,
                uint64_t flags, unsigned level)
{
    uint64_t table = root;

    for (unsigned at = 4;; at--) {
        unsigned index = va >> (12 + 9 * (at - 1)) & 511;
        uint8_t *entry = ram_of(f) + table + 8 * index;

        if (at == level) {
            stq_le_p(entry, pa | flags | (level > 1 ? PTE_LARGE : 0));
            return;
        }
        if (!ldq_le_p(entry)) {
            stq_le_p(entry, new_table(f) | f->bits->present |
                     f->bits->writable | f->bits->valid |
                     f->bits->privileged | f->bits->non_exec |
                     f->bits->marks);
        }
        table = ldq_le_p(entry) & UINT64_C(0xfffff000);
    }
}

static uint64_t random_flags(Fuzz *f)
{
    const PteBits *b = f->bits;
    uint64_t flags = b->present | b->valid;

    flags |= rng_chance(&f->rng, 85) ? b->writable : 0;
    flags |= rng_chance(&f->rng, 15) ? b->privileged : 0;
    flags |= rng_chance(&f->rng, 10) ? b->non_exec : 0;
    flags |= rng_chance(&f->rng, 50) ? b->marks : 0;
    flags |= rng_chance(&f->rng, 10) ? PTE_GLOBAL : 0;
    return flags;
}

/* Tables that map what a program needs, so far without a fault. */
static uint64_t good_tables(Fuzz *f)
{
    static const uint64_t pages[] = {
        CODE_ADDRESS, DATA_ADDRESS, MORE_DATA, HANDLERS, HANDLERS + 0x1000,
        CELLAR, FREE_BASE, FREE_BASE + 0x1000,
    };
    uint64_t root = new_table(f);

    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        uint64_t flags = pages[i] == CODE_ADDRESS
                             ? random_flags(f) & ~f->bits->non_exec
                             : random_flags(f);

        map(f, root, pages[i], pages[i], flags, 1);
        map(f, root, HIGH_VA + pages[i], pages[i], random_flags(f), 1);
    }
    for (unsigned i = 0; i < 16; i++) {
        map(f, root, PSP_BASE + i * PAGE, PSP_BASE + i * PAGE,
            random_flags(f) | f->bits->writable, 1);
        map(f, root, PCSP_BASE + i * PAGE, PCSP_BASE + i * PAGE,
            random_flags(f) | f->bits->writable, 1);
    }
    map(f, root, TOP_VA & ~(uint64_t)(PAGE - 1), HANDLERS + PAGE,
        random_flags(f) & ~f->bits->non_exec, 1);
    map(f, root, LARGE_VA, 0, random_flags(f), 2);
    map(f, root, HUGE_VA, 0, random_flags(f), 3);
    return root;
}

static void spoil(Fuzz *f)
{
    Rng *rng = &f->rng;
    unsigned tables = (f->next_table - TABLES) / PAGE;
    uint8_t *table = ram_of(f) + TABLES + PAGE * rng_below(rng, tables);
    unsigned index = rng_below(rng, 512);

    for (unsigned i = 0; i < 512 && !ldq_le_p(table + 8 * index); i++) {
        index = (index + 1) & 511; /* one that is used */
    }
    uint8_t *at = table + 8 * index;
    uint64_t entry = ldq_le_p(at);

    switch (rng_below(rng, 9)) {
    case 0:
        entry = 0;
        break;
    case 1:
        entry = f->bits->valid;
        break;
    case 2:
        entry ^= f->bits->present;
        break;
    case 3:
        entry ^= PTE_LARGE;
        break;
    case 4: /* another frame: a table, the root, or no memory */
        entry = (entry & ~UINT64_C(0xfffff000)) |
                (uint64_t)rng_below(rng, 512) << 12;
        break;
    case 5:
        entry = (entry & ~UINT64_C(0xfffff000)) | TABLES |
                (uint64_t)rng_below(rng, tables) << 12;
        break;
    case 6:
        entry = rng_next(rng);
        break;
    default:
        entry ^= UINT64_C(1) << rng_below(rng, 64);
        break;
    }
    stq_le_p(at, entry);
}

static void set_mmu(Fuzz *f)
{
    SysCpu *sys = f->sys;
    Rng *rng = &f->rng;
    bool on = rng_chance(rng, 85);

    f->next_table = TABLES;
    f->bits = &legacy_bits;
    if (sys->cpu->isa >= 6) {
        uint64_t mode = rng_chance(rng, 50) ? CORE_MODE_PT_V6 : 0;

        f->bits = mode ? &v6_bits : &legacy_bits;
        mode |= rng_chance(rng, 30) ? CORE_MODE_SEP_VIRT_SPACE : 0;
        sys->cpu->state[SR_CORE_MODE] = mode;
    }
    uint64_t root = good_tables(f);

    for (unsigned i = rng_chance(rng, 40) ? 0 : rng_below(rng, 6); i; i--) {
        spoil(f);
    }
    mmu_write_reg(sys, MMU_U_PPTB, rng_chance(rng, 95) ? root
                                                       : random_address(rng));
    mmu_write_reg(sys, MMU_OS_PPTB, rng_chance(rng, 90)
                                        ? root : random_address(rng));
    mmu_write_reg(sys, MMU_OS_VAB, HIGH_VA);
    mmu_write_reg(sys, MMU_CONT, rng_below(rng, 3));
    mmu_write_reg(sys, MMU_TRAP_POINT,
                  rng_chance(rng, 85) ? CELLAR : random_address(rng));
    mmu_write_reg(sys, MMU_CR, on ? 9 : 6);
}

static void set_stacks(Fuzz *f)
{
    E2kCpu *cpu = f->sys->cpu;
    Rng *rng = &f->rng;
    unsigned depth = rng_below(rng, 6);
    unsigned below = 2 * rng_below(rng, 110);

    cpu->psp_base = rng_chance(rng, 80) ? PSP_BASE : random_address(rng);
    cpu->psp_base &= UINT64_C(0xffffffffffff);
    cpu->psp_ind_bottom = 32 * rng_below(rng, 64);
    cpu->psp_size = rng_chance(rng, 70) ? 0x10000 : rng_below(rng, 0x2000);
    cpu->pcsp_base = rng_chance(rng, 80) ? PCSP_BASE : random_address(rng);
    cpu->pcsp_base &= UINT64_C(0xffffffffffff);
    cpu->pcsp_ind_bottom = 32 * rng_below(rng, 64);
    cpu->pcsp_size = rng_chance(rng, 70) ? 0x10000 : rng_below(rng, 0x1000);
    cpu->win = cpu->regs + below;
    cpu->win_tags = cpu->reg_tags + below;
    for (unsigned i = 0; i < below; i++) {
        cpu->regs[i] = (RegSlot){ rng_next(rng), rng_next(rng) };
        cpu->reg_tags[i] = rng_chance(rng, 10) ? 5 : 0;
    }
    for (unsigned i = 0; i <= depth; i++) {
        static const uint64_t targets[] = { CODE_ADDRESS, CALLEE_ADDRESS,
                                            HANDLERS, HIGH_VA + HANDLERS,
                                            TOP_VA };

        cpu->frame = &cpu->frames[i];
        cpu->frame->cr0_lo = rng_next(rng) & UINT64_C(0x5555555555555555);
        cpu->frame->cr0_hi = rng_chance(rng, 80)
                                 ? targets[rng_below(rng, 5)]
                                 : random_address(rng) & CR0_HI_IP;
        cpu->frame->cr1_lo = (uint64_t)rng_below(rng, 128) << 57 |
                             (uint64_t)rng_below(rng, 24) << 33 |
                             (uint64_t)rng_below(rng, 12) << 26;
        cpu->frame->cr1_hi = rng_next(rng);
    }
    stacks_update_limits(cpu);
}

/*
 * Registers that only the system writes, where the program writes one, and
 * those of the system where it reads one: not the ones that tell how far the
 * stacks are spilled, nor clocks.
 */
static void spoil_registers(Fuzz *f, Program *p)
{
    static const uint8_t readable[] = {
        0x00, 0x01, 0x04, 0x06, 0x09, 0x0f, 0x15, 0x17, 0x1e, 0x25, 0x26,
        0x27, 0x2a, 0x2c, 0x2d, 0x30, 0x31, 0x33, 0x51, 0x53, 0x55, 0x57,
        0x80, 0x82, 0x88, 0x89, 0x8a, 0x9c, 0x9d, 0xa1, 0xc3,
    };
    static const uint8_t registers[] = {
        0x00, 0x01, 0x04, 0x07, 0x09, 0x0b, 0x0d, 0x0f, 0x13, 0x15, 0x16,
        0x17, 0x1e, 0x26, 0x27, 0x2a, 0x2c, 0x2d, 0x30, 0x31, 0x51, 0x53,
        0x55, 0x57, 0x80, 0x88, 0x89, 0x9d, 0x82,
    };

    for (unsigned i = 0; i < p->n; i++) {
        for (unsigned k = 0; k < BUNDLE_CHANNELS; k++) {
            AlcOp *op = &p->bundles[i].alc[k];
            uint8_t bytes[64], old = op->dst.byte;

            if (op->present && insn_rows[op->row].src1 == WIDTH_STATE) {
                op->src1.byte = readable[rng_below(&f->rng,
                                                   G_N_ELEMENTS(readable))];
            }
            if (!op->present || insn_rows[op->row].dst != WIDTH_STATE ||
                rng_chance(&f->rng, 30)) {
                continue;
            }
            op->dst.byte = registers[rng_below(&f->rng,
                                               G_N_ELEMENTS(registers))];
            if (!program_encode(p, i, bytes)) {
                op->dst.byte = old;
            }
        }
    }
}

static void put_program(Fuzz *f, uint64_t at, const Program *p)
{
    uint8_t *code = ram_of(f) + at;
    uint8_t *callee = code + (CALLEE_ADDRESS - CODE_ADDRESS);

    for (unsigned i = 0; i < p->n; i++) {
        code += program_encode(p, i, code);
    }
    memset(code, 0xff, 64);
    for (unsigned i = 0; i < CALLEE_BUNDLES; i++) {
        callee += program_encode_callee(p, i, callee);
    }
    memset(callee, 0xff, 64);
}

static void put_state(Fuzz *f, const StartState *s)
{
    E2kCpu *cpu = f->sys->cpu;
    Rng *rng = &f->rng;

    memcpy(cpu->win, s->regs, sizeof(s->regs));
    memcpy(cpu->win_tags, s->tags, sizeof(s->tags));
    for (unsigned i = 0; i < POINTER_REGS; i++) {
        if (rng_chance(rng, 45)) {
            cpu->win[i].lo = random_address(rng);
        }
    }
    memcpy(cpu->g, s->g, sizeof(s->g));
    memcpy(cpu->g_tags, s->g_tags, sizeof(s->g_tags));
    cpu->pf = s->pf;
    cpu_set_lsr(cpu, s->lsr);
    cpu_set_br(cpu, s->br);
    memcpy(cpu->ctpr, s->ctpr, sizeof(s->ctpr));
    cpu->ctpr[2] = CTPR_VALUE(CALLEE_ADDRESS, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
    cpu->g[END_GLOBAL].lo = HANDLERS;
    cpu->g[CALLEE_GLOBAL].lo = CALLEE_ADDRESS;
    cpu->g_tags[END_GLOBAL] = cpu->g_tags[CALLEE_GLOBAL] = 0;
    cpu->pfpfr = s->pfpfr;
    cpu->fpcr = s->fpcr;
    cpu->upsr = s->upsr;
    cpu->wsz = s->wsz;
    cpu->psize = 8;
    cpu->wdbl = cpu->isa >= 3 && s->wdbl;
    cpu->usd_base = MORE_DATA;
    cpu->usd_size = 1024;
    cpu->psr = rng_chance(rng, 50) ? rng_below(rng, 128) : PSR_PM | PSR_SGE;
    cpu->state[SR_OSCUD_LO] =
        rng_chance(rng, 90) ? HANDLERS
                            : random_address(rng) & UINT64_C(0xfffffffffff8);
    cpu->state[SR_OSEM] = rng_next(rng);
    cpu->ip = CODE_ADDRESS;
}

/* Everything follows from the seed. */
static void set_up(Fuzz *f, uint64_t seed, unsigned isa)
{
    Rng data;

    rng_seed(&f->rng, seed);
    sys_cpu_reset(f->sys);
    memset(f->sys->counts, 0, sizeof(f->sys->counts));
    f->sys->cpu->isa = isa;
    memset(physmem_tag(f->machine->mem, ram_of(f)), 0, RAM_BYTES / 8);
    memset(ram_of(f), 0, RAM_BYTES);
    rng_seed(&data, seed);
    for (unsigned at = DATA_ADDRESS; at < HANDLERS; at += 8) {
        stq_le_p(ram_of(f) + at, rng_next(&data));
    }
    random_program(&f->program, &f->rng, isa, 1 + rng_below(&f->rng, 11),
                   rng_chance(&f->rng, 25));
    spoil_registers(f, &f->program);
    put_program(f, HANDLERS, &f->program); /* another one than at CODE */
    memset(ram_of(f) + HANDLERS + 2 * PAGE - 8, 0, 8); /* an empty bundle */
    random_program(&f->program, &f->rng, isa, 1 + rng_below(&f->rng, 11),
                   rng_chance(&f->rng, 25));
    spoil_registers(f, &f->program);
    put_program(f, CODE_ADDRESS, &f->program);
    set_mmu(f);
    set_stacks(f);
    put_state(f, &f->program.start);
    mmu_flush_all(f->sys);
    mmu_select(f->sys);
    /* Frames whose registers are not there belong in memory, or nowhere. */
    if (stacks_match(f->sys->cpu) != EXC_NONE) {
        f->sys->cpu->frames_bottom = f->sys->cpu->frame;
        f->sys->stack_fault.pending = false;
    }
    engine_invalidate(0, ~UINT64_C(0));
    memcpy(f->start, ram_of(f), RAM_BYTES);
}

/* ---- Running it ------------------------------------------------------------- */

static E2kCpu *running;

static void on_alarm(int sig)
{
    if (running) {
        cpu_request_stop(running);
    }
}

static void set_alarm(unsigned ms)
{
    struct itimerval timer = { .it_value.tv_usec = ms * 1000 };

    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

static CpuExit run_interpreter(E2kCpu *cpu, unsigned *steps)
{
    while (*steps < MOST_STEPS) {
        ++*steps;
        CpuExit exit = cpu_step(cpu);

        if (exit != CPU_EXIT_DEBUG) {
            return exit;
        }
    }
    return CPU_EXIT_STOP;
}

/* The system's part after a trap; false: it ends the case. */
static bool serve_trap(Fuzz *f)
{
    E2kCpu *cpu = f->sys->cpu;
    Rng *rng = &f->rng;
    uint64_t value;

    switch (rng_below(rng, 4)) {
    case 0: /* the code at OSCUD goes on */
        break;
    case 1: /* to somewhere else */
        cpu->frame->cr0_hi = rng_chance(rng, 50) ? CALLEE_ADDRESS : HANDLERS;
        /* fall through */
    default:
        for (unsigned i = 0; i < cpu->n_tirs; i++) {
            state_regs_read(cpu, SR_TIR_HI, &value);
            state_regs_read(cpu, SR_TIR_LO, &value);
        }
        state_regs_write(cpu, SR_TIR_LO, 0);
        if (trap_done(cpu, 0) != EXC_NONE) {
            return false;
        }
        break;
    }
    return true;
}

/*
 * How much of the stacks is in memory is the engines' business until something
 * looks: it is all flushed first.
 */
static void take(Fuzz *f, Outcome *o)
{
    E2kCpu *cpu = f->sys->cpu;
    size_t end = 2 * cpu->wsz;

    memcpy(&o->cpu, cpu, sizeof(*cpu));
    cpu->psr |= PSR_PM;
    o->flushed = stacks_flush(cpu, 3) == EXC_NONE;
    o->cpu.psp_ind_bottom = cpu->psp_ind_bottom;
    o->cpu.pcsp_ind_bottom = cpu->pcsp_ind_bottom;
    o->wd = cpu_get_wd(cpu);
    memcpy(o->mmu, f->sys->mmu, sizeof(o->mmu));
    memcpy(o->counts, f->sys->counts, sizeof(o->counts));
    memset(o->regs, 0, sizeof(o->regs));
    memset(o->tags, 0, sizeof(o->tags));
    memcpy(o->regs, cpu->win, end * sizeof(RegSlot));
    memcpy(o->tags, cpu->win_tags, end);
    o->frame = *cpu->frame;
    memcpy(o->ram, ram_of(f), RAM_BYTES);
    memcpy(o->ram_tags, physmem_tag(f->machine->mem, ram_of(f)),
           RAM_BYTES / 8);
}

/* A trap that nobody can handle ends a machine, and a case. */
static bool ended(Fuzz *f)
{
    Machine *machine = f->machine;
    bool yes = machine->shutdown != SHUTDOWN_NONE;

    machine->shutdown = SHUTDOWN_NONE;
    return yes;
}

static void trace(const E2kCpu *cpu, bool translated)
{
    printf("%s: exceptions 0x%" PRIx64 " at 0x%" PRIx64 ", pf %016" PRIx64
           ", psr %02x, window %td, frame %td, wbs %u\n",
           translated ? "jit" : "interp", cpu->exception_mask, cpu->ip,
           cpu->pf, cpu->psr, cpu->win - cpu->regs, cpu->frame - cpu->frames,
           (unsigned)(cpu->frame->cr1_lo >> 33 & 127));
}

static void run(Fuzz *f, Outcome *o, bool translated, unsigned most_traps)
{
    SysCpu *sys = f->sys;
    unsigned steps = 0;

    o->stopped = false;
    o->traps = 0;
    sys->kicked = 1; /* a CPU that waits goes on at once */
    if (translated) {
        running = sys->cpu;
        set_alarm(LIMIT_MS);
    }
    while (o->traps < most_traps) {
        CpuExit exit = translated ? cpu_run(sys->cpu)
                                  : run_interpreter(sys->cpu, &steps);

        if (exit == CPU_EXIT_STOP) {
            /* A change of PSR or UPSR asks for a stop as well. */
            o->stopped = translated || steps >= MOST_STEPS;
            break;
        }
        if (exit != CPU_EXIT_EXCEPTION) {
            continue;
        }
        o->traps++;
        if (f->trace) {
            trace(sys->cpu, translated);
        }
        trap_exception(sys);
        if (ended(f) || o->traps == most_traps || !serve_trap(f)) {
            break;
        }
    }
    set_alarm(0);
    running = NULL;
    __atomic_store_n(&sys->cpu->stop_request, 0, __ATOMIC_SEQ_CST);
    take(f, o);
}

/* ---- Comparison ---------------------------------------------------------------- */

typedef struct Field {
    const char *name;
    size_t at, size;
} Field;

#define CPU(member)                                                           \
    { #member, offsetof(Outcome, cpu.member), sizeof(((E2kCpu *)0)->member) }
#define OUT(member)                                                           \
    { #member, offsetof(Outcome, member), sizeof(((Outcome *)0)->member) }

static const Field fields[] = {
    OUT(traps), CPU(ip), CPU(psr), CPU(exception), CPU(pf), CPU(ctpr),
    CPU(lcnt), CPU(ecnt), CPU(pcnt), CPU(strmd), CPU(vlc), CPU(over),
    CPU(wsz), CPU(psize), CPU(wfx), CPU(wdbl), CPU(rbs), CPU(rsz), CPU(rcur),
    CPU(psz), CPU(pcur), CPU(bgr_val), CPU(bgr_cur), CPU(usd_base),
    CPU(usd_size), CPU(sbr), CPU(pfpfr), CPU(fpcr), CPU(fpsr), CPU(upsr),
    CPU(cui), OUT(wd), OUT(frame), OUT(flushed), CPU(psp_base), CPU(psp_size), CPU(psp_ind_bottom), CPU(pcsp_base),
    CPU(pcsp_size), CPU(pcsp_ind_bottom), CPU(g), CPU(g_tags), CPU(state),
    CPU(tir_hi), CPU(tir_lo), CPU(n_tirs), OUT(mmu), OUT(counts), OUT(regs),
    OUT(tags), OUT(ram), OUT(ram_tags),
};

static bool print_differences(const Outcome *jit, const Outcome *interp,
                              bool print)
{
    bool same = true;

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        const uint8_t *a = (const uint8_t *)jit + fields[i].at;
        const uint8_t *b = (const uint8_t *)interp + fields[i].at;
        unsigned shown = 0;

        if (!memcmp(a, b, fields[i].size)) {
            continue;
        }
        for (size_t at = 0; at < fields[i].size; at++) {
            if (a[at] != b[at]) {
                same = false;
                if (print && shown++ < 16) {
                    printf("  %s+0x%zx: jit %02x, interp %02x\n",
                           fields[i].name, at, a[at], b[at]);
                }
            }
        }
    }
    return same;
}

/* Accessed bits may be set by accesses that come to nothing. */
static void clear_marks(Outcome *o)
{
    for (unsigned at = TABLES; at < TABLES_END; at += 8) {
        stq_le_p(o->ram + at, ldq_le_p(o->ram + at) & ~UINT64_C(0x20));
    }
}

/* Of stacks that cannot be flushed, more or less has gone to memory. */
static void forget_memory(Outcome *o)
{
    o->cpu.psp_ind_bottom = o->cpu.pcsp_ind_bottom = 0;
    memset(o->ram, 0, RAM_BYTES);
    memset(o->ram_tags, 0, RAM_BYTES / 8);
}

static bool same_range(const Fuzz *f, const Outcome *o, unsigned from,
                       unsigned to)
{
    return !memcmp(o->ram + from, f->start + from, to - from);
}

/* Did the program write what an engine may have kept? */
static bool changed_itself(const Fuzz *f, const Outcome *o)
{
    if (!same_range(f, o, CODE_ADDRESS, CODE_ADDRESS + PAGE) ||
        !same_range(f, o, HANDLERS, CELLAR)) {
        return true;
    }
    for (unsigned at = TABLES; at < TABLES_END; at += 8) {
        if ((ldq_le_p(o->ram + at) ^ ldq_le_p(f->start + at)) & ~0x60) {
            return true;
        }
    }
    return false;
}

/* Both engines, up to a number of traps; false: they differ. */
static bool agree(Fuzz *f, uint64_t seed, unsigned isa, unsigned most_traps)
{
    Outcome *jit = &outcomes[0], *interp = &outcomes[1];

    set_up(f, seed, isa);
    run(f, jit, true, most_traps);
    set_up(f, seed, isa);
    run(f, interp, false, most_traps);
    if (jit->stopped || interp->stopped) {
        f->stopped++;
        return true;
    }
    if (changed_itself(f, jit) || changed_itself(f, interp)) {
        f->changed++;
        return true;
    }
    if (!jit->flushed && !interp->flushed) {
        f->unflushed++;
        forget_memory(jit);
        forget_memory(interp);
    }
    clear_marks(jit);
    clear_marks(interp);
    return print_differences(jit, interp, false);
}

static void print_code(const Fuzz *f, unsigned isa, uint64_t from)
{
    const DisasOptions options = { .isa = isa };

    for (uint64_t at = from; at < from + 1024;) {
        g_autoptr(GString) text = g_string_new(NULL);
        Bundle b;

        if (bundle_decode(&b, f->start + at, 64, isa) != DECODE_OK) {
            break;
        }
        bundle_disassemble(text, &b, at, &options);
        printf("  0x%05" PRIx64 " %s\n", at, text->str);
        at += b.length;
    }
}

static bool run_case(Fuzz *f, uint32_t seed, uint64_t number)
{
    uint64_t case_seed = seed + number * UINT64_C(0x632be59bd9b4e019);
    unsigned isa = 3 + number % 4;
    unsigned traps = 1;

    f->cases++;
    if (agree(f, case_seed, isa, MOST_TRAPS)) {
        return true;
    }
    while (traps < MOST_TRAPS && agree(f, case_seed, isa, traps)) {
        traps++;
    }
    if (agree(f, case_seed, isa, traps)) {
        return true; /* a case that was stopped once */
    }
    printf("case %" PRIu64 " (v%u) differs at trap %u:\n", number, isa, traps);
    print_code(f, isa, CODE_ADDRESS);
    print_code(f, isa, CALLEE_ADDRESS);
    print_code(f, isa, HANDLERS);
    print_differences(&outcomes[0], &outcomes[1], true);
    fflush(stdout);
    return false;
}

static Machine *build(void)
{
    g_autoptr(GError) error = NULL;
    Machine *machine = machine_new("fuzz");

    machine->mem = physmem_new(RAM_BYTES, &error);
    g_assert_no_error(error);
    physmem_map_ram(machine->mem, 0, RAM_BYTES, 0);
    if (!machine_add_cpus(machine, cpu_model_find("v6"), 1, &error)) {
        fprintf(stderr, "mmu-fuzz: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
    return machine;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? g_ascii_strtod(argv[1], NULL) : 2;
    uint32_t seed = argc > 2 ? strtoul(argv[2], NULL, 0)
                             : (uint32_t)g_get_real_time();
    const EngineConfig config = { .soft_tlb = true };
    g_autoptr(GError) error = NULL;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    uint64_t number = first;
    unsigned bad = 0;

    printf("seed %u\n", seed);
    fflush(stdout);
    if (!engine_init(ENGINE_JIT, &config, &error)) {
        printf("%s\n", error->message);
        return 77;
    }
    signal(SIGVTALRM, on_alarm);
    FILE *messages = stderr;
    Fuzz *f = g_new0(Fuzz, 1);

    stderr = fopen("/dev/null", "w"); /* what a dying machine says */
    f->machine = build();
    f->trace = argc > 3;
    f->sys = f->machine->cpus[0];
    int64_t end = g_get_monotonic_time() + (int64_t)(seconds * 1000000);

    do {
        bad += !run_case(f, seed, number++);
    } while (argc <= 3 && bad < 5 && g_get_monotonic_time() < end);
    printf("%" PRIu64 " cases, %u differ; not compared: %" PRIu64
           " without an end, %" PRIu64 " that changed themselves, %" PRIu64
           " with stacks nowhere, memory not compared\n", f->cases, bad, f->stopped, f->changed,
           f->unflushed);
    machine_free(f->machine);
    g_free(f);
    fclose(stderr);
    stderr = messages;
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
