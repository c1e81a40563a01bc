/*
 * Bad page tables, MMU registers, stacks and trap cellars under random
 * programs, in both engines.
 *
 * usage: mmu-fuzz [SECONDS [SEED [CASE]]]   one CASE, with its traps
 *
 * A case is a machine with half a megabyte of memory that is set up (by
 * mmu-fuzz-case.c) from a seed: page tables that were right before some of their entries were
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
 * Every fourth group of cases has two CPUs on the same memory and tables.  Real
 * threads would make each run another one; so the CPUs take turns on one thread,
 * each until it traps, which is the same order in both engines.  What this
 * leaves out is the race itself: smp, fair and the soak are for that.  Another
 * fourth has breakpoints, watchpoints and steps of the guest's own.
 *
 * Not compared: cases without an end, and those that have written their own
 * code or page tables, because an engine may go on with what it has kept until
 * software flushes it.  Nor what is unspecified: the values of registers that
 * setwd brings into the window.  Which words they have reached is found out
 * when the engines differ: the interpreter runs twice more, with two different
 * patterns there, and words that differ between these are nobody's fault.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "system/debug-traps.h"
#include "target-e2k/disas.h"
#include "target-e2k/exec.h"
#include "target-e2k/interp.h"
#include "tests/system/mmu-fuzz.h"
#include "util/bytes.h"

enum {
    MOST_TRAPS = 6,      /* of each CPU */
    MOST_STEPS = 4000,   /* of the interpreter */
    LIMIT_MS = 20,       /* of the translator */
    COMPARED_REGS = 224,
};

/* How a case is run. */
typedef struct Way {
    bool translated;
    bool filled;      /* unspecified registers are the pattern; interpreter */
    uint64_t pattern;
} Way;

static const Way ways[] = {
    { .translated = true },
    { .translated = false },
    { .filled = true, .pattern = UINT64_C(0x5555555555555555) },
    { .filled = true, .pattern = UINT64_C(0xaaaaaaaaaaaaaaaa) },
};

/* What is compared, in copies. */
typedef struct CpuOutcome {
    unsigned traps;
    E2kCpu cpu;
    uint64_t mmu[MMU_REGS];
    uint64_t debug_regs[MMU_DEBUG_REGS];
    uint64_t counts[64];
    bool flushed;
    RegSlot regs[COMPARED_REGS]; /* the window */
    uint8_t tags[COMPARED_REGS];
    ChainFrame frame;
    uint64_t wd;
} CpuOutcome;

typedef struct Outcome {
    bool stopped;
    CpuOutcome cpu[MOST_CPUS];
    uint8_t ram[RAM_BYTES];
    uint8_t ram_tags[RAM_BYTES / 8];
} Outcome;

static Outcome outcomes[G_N_ELEMENTS(ways)];

/* ---- Running it ------------------------------------------------------------- */

static E2kCpu *running;
static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
    alarmed = 1;
    if (running) {
        cpu_request_stop(running);
    }
}

static void set_alarm(unsigned ms)
{
    struct itimerval timer = { .it_value.tv_usec = ms * 1000 };

    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

/* What setwd would bring into the window now. */
static void fill_unspecified(E2kCpu *cpu, uint64_t pattern)
{
    RegSlot *end = cpu->regs + cpu->regs_mapped;

    for (RegSlot *r = cpu->win + 2 * cpu->wsz;
         r < MIN(end, cpu->win + FILE_REGS); r++) {
        *r = (RegSlot){ pattern, pattern };
    }
}

static CpuExit run_interpreter(SysCpu *sys, const Way *way, unsigned *steps)
{
    while (*steps < MOST_STEPS) {
        ++*steps;
        if (way->filled) {
            fill_unspecified(sys->cpu, way->pattern);
        }
        CpuExit exit = debug_traps_step(sys, NULL);

        if (exit != CPU_EXIT_DEBUG) {
            return exit;
        }
    }
    return CPU_EXIT_STOP;
}

/* As a CPU's thread does. */
static CpuExit run_translator(SysCpu *sys)
{
    return debug_traps_armed(sys) ? debug_traps_step(sys, NULL)
                                  : cpu_run(sys->cpu);
}

/* The system's part after a trap; false: it ends the case. */
static bool serve_trap(Fuzz *f, E2kCpu *cpu)
{
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
static void take_cpu(SysCpu *sys, CpuOutcome *o)
{
    E2kCpu *cpu = sys->cpu;
    size_t end = 2 * cpu->wsz;

    memcpy(&o->cpu, cpu, sizeof(*cpu));
    cpu->psr |= PSR_PM;
    o->flushed = stacks_flush(cpu, 3) == EXC_NONE;
    o->cpu.psp_ind_bottom = cpu->psp_ind_bottom;
    o->cpu.pcsp_ind_bottom = cpu->pcsp_ind_bottom;
    o->wd = cpu_get_wd(cpu);
    memcpy(o->mmu, sys->mmu, sizeof(o->mmu));
    memcpy(o->debug_regs, sys->debug_regs, sizeof(o->debug_regs));
    memcpy(o->counts, sys->counts, sizeof(o->counts));
    memset(o->regs, 0, sizeof(o->regs));
    memset(o->tags, 0, sizeof(o->tags));
    memcpy(o->regs, cpu->win, end * sizeof(RegSlot));
    memcpy(o->tags, cpu->win_tags, end);
    o->frame = *cpu->frame;
}

static void take(Fuzz *f, Outcome *o)
{
    for (unsigned i = 0; i < f->n_cpus; i++) {
        take_cpu(f->machine->cpus[i], &o->cpu[i]);
    }
    memcpy(o->ram, fuzz_ram(f), RAM_BYTES);
    memcpy(o->ram_tags, physmem_tag(f->machine->mem, fuzz_ram(f)),
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

/* One CPU until its next trap is served; false: the case is over. */
static bool run_turn(Fuzz *f, SysCpu *sys, Outcome *o, const Way *way,
                     unsigned *steps, unsigned most_traps)
{
    CpuOutcome *mine = &o->cpu[sys->index];
    CpuExit exit;

    /* As a CPU's thread does after another one's request. */
    __atomic_store_n(&sys->cpu->stop_request, 0, __ATOMIC_SEQ_CST);
    if (sys->close_pages) {
        sys->close_pages = 0;
        mmu_forget_writable(sys);
    }
    running = way->translated ? sys->cpu : NULL;
    do {
        exit = way->translated ? run_translator(sys)
                               : run_interpreter(sys, way, steps);
    } while (exit != CPU_EXIT_EXCEPTION && !alarmed && *steps < MOST_STEPS);
    if (exit != CPU_EXIT_EXCEPTION) {
        o->stopped = true;
        return false;
    }
    mine->traps++;
    if (f->trace) {
        trace(sys->cpu, way->translated);
    }
    trap_exception(sys);
    return !ended(f) && mine->traps < most_traps &&
           serve_trap(f, sys->cpu);
}

static void run(Fuzz *f, Outcome *o, const Way *way, unsigned most_traps)
{
    unsigned steps = 0, turn = 0;

    o->stopped = false;
    for (unsigned i = 0; i < f->n_cpus; i++) {
        o->cpu[i].traps = 0;
    }
    alarmed = 0;
    if (way->translated) {
        set_alarm(LIMIT_MS);
    }
    while (run_turn(f, f->machine->cpus[turn % f->n_cpus], o, way, &steps,
                    most_traps)) {
        turn++;
    }
    set_alarm(0);
    running = NULL;
    for (unsigned i = 0; i < f->n_cpus; i++) {
        __atomic_store_n(&f->machine->cpus[i]->cpu->stop_request, 0,
                         __ATOMIC_SEQ_CST);
    }
    take(f, o);
}

/* ---- Comparison ---------------------------------------------------------------- */

typedef struct Field {
    const char *name;
    size_t at, size;
} Field;

#define OUT(member)                                                           \
    { #member, offsetof(CpuOutcome, member),                                  \
      sizeof(((CpuOutcome *)0)->member) }
#define CPU(member)                                                           \
    { #member, offsetof(CpuOutcome, cpu.member),                              \
      sizeof(((E2kCpu *)0)->member) }
#define RAM(member)                                                           \
    { #member, offsetof(Outcome, member), sizeof(((Outcome *)0)->member) }

static const Field cpu_fields[] = {
    OUT(traps), CPU(ip), CPU(psr), CPU(exception), CPU(pf), CPU(ctpr),
    CPU(lcnt), CPU(ecnt), CPU(pcnt), CPU(strmd), CPU(vlc), CPU(over),
    CPU(wsz), CPU(psize), CPU(wfx), CPU(wdbl), CPU(rbs), CPU(rsz), CPU(rcur),
    CPU(psz), CPU(pcur), CPU(bgr_val), CPU(bgr_cur), CPU(usd_base),
    CPU(usd_size), CPU(sbr), CPU(pfpfr), CPU(fpcr), CPU(fpsr), CPU(upsr),
    CPU(cui), OUT(wd), OUT(frame), OUT(flushed), CPU(psp_base),
    CPU(psp_size), CPU(psp_ind_bottom), CPU(pcsp_base),
    CPU(pcsp_size), CPU(pcsp_ind_bottom), CPU(g), CPU(g_tags), CPU(state),
    CPU(tir_hi), CPU(tir_lo), CPU(n_tirs), CPU(single_step), OUT(mmu),
    OUT(debug_regs), OUT(counts), OUT(regs),
    OUT(tags),
};

static const Field memory_fields[] = { RAM(ram), RAM(ram_tags) };

/*
 * Compares a field, base bytes into the outcomes.  Not counted: what differs
 * between two outcomes that may be given, low and high.
 */
static bool same_field(const Field *field, size_t base, const Outcome *low,
                       const Outcome *high, bool print)
{
    const uint8_t *a = (const uint8_t *)&outcomes[0] + base + field->at;
    const uint8_t *b = (const uint8_t *)&outcomes[1] + base + field->at;
    unsigned differ = 0;

    if (!memcmp(a, b, field->size)) {
        return true;
    }
    for (size_t at = 0; at < field->size; at++) {
        size_t offset = base + field->at + at;

        if (a[at] == b[at] ||
            (low && ((const uint8_t *)low)[offset] !=
                        ((const uint8_t *)high)[offset])) {
            continue;
        }
        if (print && differ < 16) {
            printf("  %s+0x%zx: jit %02x, interp %02x\n", field->name, at,
                   a[at], b[at]);
        }
        differ++;
    }
    return !differ;
}

static bool same_outcome(const Fuzz *f, const Outcome *low,
                         const Outcome *high, bool print)
{
    bool same = true;

    for (unsigned i = 0; i < f->n_cpus; i++) {
        for (unsigned k = 0; k < G_N_ELEMENTS(cpu_fields); k++) {
            same &= same_field(&cpu_fields[k], offsetof(Outcome, cpu[i]), low,
                               high, print);
        }
    }
    for (unsigned k = 0; k < G_N_ELEMENTS(memory_fields); k++) {
        same &= same_field(&memory_fields[k], 0, low, high, print);
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
    for (unsigned i = 0; i < MOST_CPUS; i++) {
        E2kCpu *cpu = &o->cpu[i].cpu;

        cpu->psp_ind_bottom = cpu->pcsp_ind_bottom = 0;
    }
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

static bool flushed(const Fuzz *f)
{
    for (unsigned i = 0; i < f->n_cpus; i++) {
        if (!outcomes[0].cpu[i].flushed && !outcomes[1].cpu[i].flushed) {
            return false;
        }
    }
    return true;
}

typedef struct Case {
    uint64_t number, seed;
    unsigned isa, n_cpus;
    bool debug;
} Case;

static void run_ways(Fuzz *f, const Case *c, unsigned first, unsigned last,
                     unsigned most_traps)
{
    for (unsigned i = first; i <= last; i++) {
        fuzz_set_up(f, c->seed, c->isa, c->n_cpus, c->debug);
        run(f, &outcomes[i], &ways[i], most_traps);
    }
}

/* Both engines, up to a number of traps; false: they differ. */
static bool agree(Fuzz *f, const Case *c, unsigned most_traps)
{
    run_ways(f, c, 0, 1, most_traps);
    if (outcomes[0].stopped || outcomes[1].stopped) {
        f->stopped++;
        return true;
    }
    if (changed_itself(f, &outcomes[0]) || changed_itself(f, &outcomes[1])) {
        f->changed++;
        return true;
    }
    bool forget = !flushed(f);

    f->unflushed += forget;
    for (unsigned i = 0; i < 2; i++) {
        if (forget) {
            forget_memory(&outcomes[i]);
        }
        clear_marks(&outcomes[i]);
    }
    if (same_outcome(f, NULL, NULL, false)) {
        return true;
    }
    run_ways(f, c, 2, 3, most_traps);
    f->unspecified++;
    return same_outcome(f, &outcomes[2], &outcomes[3], false);
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
    const Case c = {
        .number = number,
        .seed = seed + number * UINT64_C(0x632be59bd9b4e019),
        .isa = 3 + number % 4,
        .n_cpus = number / 4 % 4 == 3 ? 2 : 1,
        .debug = number / 4 % 4 == 1,
    };
    unsigned traps = 1;

    f->cases++;
    if (agree(f, &c, MOST_TRAPS)) {
        return true;
    }
    while (traps < MOST_TRAPS && agree(f, &c, traps)) {
        traps++;
    }
    if (agree(f, &c, traps)) {
        return true; /* a case that was stopped once */
    }
    printf("case %" PRIu64 " (v%u, %u CPUs) differs at trap %u:\n", number,
           c.isa, c.n_cpus, traps);
    print_code(f, c.isa, CODE_ADDRESS);
    print_code(f, c.isa, CALLEE_ADDRESS);
    print_code(f, c.isa, HANDLERS);
    same_outcome(f, &outcomes[2], &outcomes[3], true);
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
    if (!machine_add_cpus(machine, cpu_model_find("v6"), MOST_CPUS, &error)) {
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
    int64_t end = g_get_monotonic_time() + (int64_t)(seconds * 1000000);

    do {
        bad += !run_case(f, seed, number++);
    } while (argc <= 3 && bad < 5 && g_get_monotonic_time() < end);
    printf("%" PRIu64 " cases, %u differ; not compared: %" PRIu64
           " without an end, %" PRIu64 " that changed themselves, %" PRIu64
           " with stacks nowhere, memory not compared; %" PRIu64
           " with unspecified values\n", f->cases, bad, f->stopped,
           f->changed, f->unflushed, f->unspecified);
    machine_free(f->machine);
    g_free(f);
    fclose(stderr);
    stderr = messages;
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
