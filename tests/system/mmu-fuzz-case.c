/*
 * How a case of mmu-fuzz is set up; see mmu-fuzz.c.
 */
#include "tests/system/mmu-fuzz.h"

#include <string.h>

#include "system/debug-traps.h"
#include "target-e2k/exec.h"
#include "util/bytes.h"

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

uint8_t *fuzz_ram(Fuzz *f)
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
        uint8_t *entry = fuzz_ram(f) + table + 8 * index;

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
    uint8_t *table = fuzz_ram(f) + TABLES + PAGE * rng_below(rng, tables);
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

static void set_mmu(Fuzz *f, SysCpu *sys)
{
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

static void set_stacks(Fuzz *f, SysCpu *sys, unsigned offset)
{
    E2kCpu *cpu = sys->cpu;
    Rng *rng = &f->rng;
    unsigned depth = rng_below(rng, 6);
    unsigned below = 2 * rng_below(rng, 110);

    cpu->psp_base = rng_chance(rng, 80) ? PSP_BASE + offset
                                        : random_address(rng);
    cpu->psp_base &= UINT64_C(0xffffffffffff);
    cpu->psp_ind_bottom = 32 * rng_below(rng, 64);
    cpu->psp_size = rng_chance(rng, 70) ? 0x10000 : rng_below(rng, 0x2000);
    cpu->pcsp_base = rng_chance(rng, 80) ? PCSP_BASE + offset
                                         : random_address(rng);
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
    uint8_t *code = fuzz_ram(f) + at;
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

static void put_state(Fuzz *f, SysCpu *sys, const StartState *s)
{
    E2kCpu *cpu = sys->cpu;
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

/* Frames whose registers are not there belong in memory, or nowhere. */
static void begin(SysCpu *sys)
{
    mmu_flush_all(sys);
    mmu_select(sys);
    if (stacks_match(sys->cpu) != EXC_NONE) {
        sys->cpu->frames_bottom = sys->cpu->frame;
        sys->stack_fault.pending = false;
    }
}

/* Another CPU in the same tables, with stacks and a trap cellar of its own. */
static void set_second(Fuzz *f, SysCpu *sys, const SysCpu *first)
{
    static const unsigned shared[] = { MMU_U_PPTB, MMU_OS_PPTB, MMU_OS_VAB,
                                       MMU_CR };

    sys->cpu->state[SR_CORE_MODE] = first->cpu->state[SR_CORE_MODE];
    for (unsigned i = 0; i < G_N_ELEMENTS(shared); i++) {
        mmu_write_reg(sys, shared[i], first->mmu[shared[i]]);
    }
    mmu_write_reg(sys, MMU_CONT, rng_below(&f->rng, 3));
    mmu_write_reg(sys, MMU_TRAP_POINT, CELLAR + PAGE / 2);
    set_stacks(f, sys, SECOND_STACK);
    put_state(f, sys, &f->program.start);
    sys->cpu->ip = rng_chance(&f->rng, 50) ? CODE_ADDRESS : HANDLERS;
    begin(sys);
}

/*
 * Breakpoints, watchpoints and steps, where the case has some.  They have
 * random numbers of their own.
 */
static void set_debug(SysCpu *sys, uint64_t seed)
{
    static const uint64_t code[] = { CODE_ADDRESS, CALLEE_ADDRESS, HANDLERS };
    E2kCpu *cpu = sys->cpu;
    Rng rng;

    rng_seed(&rng, ~seed - sys->index);
    for (unsigned i = 0; i < 4; i++) {
        cpu->state[SR_DIBAR0 + i] =
            code[rng_below(&rng, 3)] + 8 * rng_below(&rng, 16);
        sys->debug_regs[MMU_DEBUG_DDBAR0 + i] =
            rng_chance(&rng, 70) ? DATA_ADDRESS + rng_below(&rng, PAGE)
                                 : random_address(&rng);
    }
    cpu->state[SR_DIBCR] = rng_next(&rng) & rng_next(&rng);
    sys->debug_regs[MMU_DEBUG_DDBCR] = rng_next(&rng) & rng_next(&rng);
    for (ChainFrame *frame = cpu->frames; frame <= cpu->frame; frame++) {
        frame->cr1_lo |= (uint64_t)rng_chance(&rng, 40) << 24; /* ss */
    }
    cpu->single_step = rng_chance(&rng, 30);
    if (rng_chance(&rng, 70)) {
        cpu->psr |= PSR_NMIE;
    }
    debug_traps_changed(sys);
}

void fuzz_set_up(Fuzz *f, uint64_t seed, unsigned isa, unsigned n_cpus,
                 bool debug)
{
    SysCpu *sys = f->machine->cpus[0];
    Rng data;

    rng_seed(&f->rng, seed);
    f->n_cpus = n_cpus;
    for (unsigned i = 0; i < MOST_CPUS; i++) {
        SysCpu *one = f->machine->cpus[i];

        sys_cpu_reset(one);
        memset(one->counts, 0, sizeof(one->counts));
        one->cpu->isa = isa;
        one->close_pages = 0;
        one->kicked = 1; /* a CPU that waits goes on at once */
    }
    memset(physmem_tag(f->machine->mem, fuzz_ram(f)), 0, RAM_BYTES / 8);
    memset(fuzz_ram(f), 0, RAM_BYTES);
    rng_seed(&data, seed);
    for (unsigned at = DATA_ADDRESS; at < HANDLERS; at += 8) {
        stq_le_p(fuzz_ram(f) + at, rng_next(&data));
    }
    random_program(&f->program, &f->rng, isa, 1 + rng_below(&f->rng, 11),
                   rng_chance(&f->rng, 25));
    spoil_registers(f, &f->program);
    put_program(f, HANDLERS, &f->program); /* another one than at CODE */
    memset(fuzz_ram(f) + HANDLERS + 2 * PAGE - 8, 0, 8); /* an empty bundle */
    random_program(&f->program, &f->rng, isa, 1 + rng_below(&f->rng, 11),
                   rng_chance(&f->rng, 25));
    spoil_registers(f, &f->program);
    put_program(f, CODE_ADDRESS, &f->program);
    set_mmu(f, sys);
    set_stacks(f, sys, 0);
    put_state(f, sys, &f->program.start);
    begin(sys);
    if (n_cpus > 1) {
        set_second(f, f->machine->cpus[1], sys);
    }
    for (unsigned i = 0; i < n_cpus && debug; i++) {
        set_debug(f->machine->cpus[i], seed);
    }
    engine_invalidate(0, ~UINT64_C(0));
    memcpy(f->start, fuzz_ram(f), RAM_BYTES);
}
