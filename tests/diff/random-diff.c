/*
 * random-diff: the same random programs in both engines, all architectural
 * state compared afterwards.
 *
 *   random-diff [--cases N] [--seed S] [--isa V] [--only CASE] [--keep-going]
 *               [--accel jit,no-NAME...] [--both-tiers] [--repeat N] [--coverage]
 *               [--repeat N] [-d ITEMS]
 *
 * --repeat runs each program so often in the translator, without translating
 * anew in between: with --accel jit,tier-threshold=2 the second tier knows what
 * the first has seen.
 * --both-tiers fails also when the translator has not made and run code of
 * both tiers, at least one region of the second for every ten of the first.
 *
 * --coverage compares nothing: it counts what the programs execute in the
 * interpreter and fails when something is missing (random-coverage.h).
 *
 * Prints the seed; CASE numbers count from 0 and depend on the seed alone, so
 * "--seed S --only CASE" repeats one.  A difference is reduced first (fewer
 * bundles, fewer operations, simpler state) and then printed with the bytes
 * of its bundles.  Exit status 1 when there was a difference.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "target-e2k/bundle.h"
#include "target-e2k/disas.h"
#include "target-e2k/encode.h"
#include "tcg/tcg.h"
#include "tests/diff/random-coverage.h"
#include "tests/diff/random-program.h"
#include "tests/insn/box.h"
#include "util/log.h"

enum {
    COMPARED_REGS = 224,
    CODE_BYTES = 4096,  /* a page: program and callee */
    WINDOW_START = 64,  /* where box_reset() puts %r0 */
};

/* What is compared, in one flat copy. */
typedef struct Outcome {
    CpuExit exit;
    Exception exception;
    uint64_t ip;
    RegSlot regs[COMPARED_REGS + WINDOW_START];
    uint8_t tags[COMPARED_REGS + WINDOW_START];
    RegSlot g[32];
    uint8_t g_tags[32];
    uint64_t window, frame;
    uint64_t pf, lsr, ilcr, br, wd, bgr;
    uint64_t ctpr[3];
    uint64_t usd_base, usd_size;
    uint32_t pfpfr, fpcr, fpsr, upsr;
    uint64_t aad[32][2], aaind[16], aasti[16], aaincr[8];
    uint32_t area_index[64];
    uint32_t aau_tags, aasr;
    uint64_t aaldv, aaldm;
    uint8_t aalda[64];
    bool area_overflow[64];
    bool armed;
    uint8_t n_pending;
    uint64_t next_ip;
    PendingAccess pending[4];
    DamEntry dam[32]; /* what is not valid is clear */
    bool locked;
    uint8_t lock_size;
    uint64_t lock_address;
    /* Of exceptions. */
    uint64_t mask;
    uint8_t channels;
    uint64_t fault_address;
    uint8_t fault_size, fault_kind, fault_channel;
    uint8_t data[DATA_BYTES];
} Outcome;

typedef struct Differ {
    Box *boxes[ISA_MAX + 1];
    uint64_t seed;
    uint64_t bundles;
    unsigned repeat;  /* runs of each program in the translator */
    uint64_t stopped; /* programs without an end, not compared */
    Outcome interp, jit;
} Differ;

/* Programs may not change themselves: telling an engine of that is the
 * business of embedders, and a box has none. */
static void protect_code(Box *box, bool writable)
{
    int result = mprotect(box_at(box, CODE_ADDRESS), CODE_BYTES,
                          PROT_READ | (writable ? PROT_WRITE : 0));

    g_assert(result == 0);
}

/* Returns the address after the last bundle. */
static uint64_t put_program(Box *box, const Program *p)
{
    uint8_t *code = box_at(box, CODE_ADDRESS);
    uint8_t *callee = box_at(box, CALLEE_ADDRESS);
    unsigned at = 0;

    protect_code(box, true);
    for (unsigned i = 0; i < p->n; i++) {
        at += program_encode(p, i, code + at);
    }
    memset(code + at, 0xff, 64); /* cannot be decoded: the end */
    for (unsigned i = 0; i < CALLEE_BUNDLES; i++) {
        callee += program_encode_callee(p, i, callee);
    }
    memset(callee, 0xff, 64);
    protect_code(box, false);
    engine_invalidate(CODE_ADDRESS, CODE_BYTES);
    return CODE_ADDRESS + at;
}

static void put_state(Box *box, const StartState *s, uint64_t end)
{
    E2kCpu *cpu = box->cpu;
    Rng data;

    box_reset(box, s->wsz);
    memcpy(cpu->win, s->regs, sizeof(s->regs));
    memcpy(cpu->win_tags, s->tags, sizeof(s->tags));
    memcpy(cpu->g, s->g, sizeof(s->g));
    memcpy(cpu->g_tags, s->g_tags, sizeof(s->g_tags));
    cpu->pf = s->pf;
    cpu_set_lsr(cpu, s->lsr);
    cpu_set_br(cpu, s->br);
    memcpy(cpu->ctpr, s->ctpr, sizeof(s->ctpr));
    cpu->ctpr[1] = CTPR_VALUE(end, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
    cpu->ctpr[2] = CTPR_VALUE(CALLEE_ADDRESS, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
    cpu->g[END_GLOBAL].lo = end;
    cpu->g[CALLEE_GLOBAL].lo = CALLEE_ADDRESS;
    cpu->bgr_val = s->bgr_val;
    cpu->bgr_cur = s->bgr_cur;
    memset(&cpu->fault, 0, sizeof(cpu->fault));
    memset(&cpu->resume, 0, sizeof(cpu->resume));
    cpu->pfpfr = s->pfpfr;
    cpu->fpcr = s->fpcr;
    cpu->upsr = s->upsr;
    cpu->wdbl = cpu->isa >= 3 && s->wdbl;
    cpu->usd_base = DATA_ADDRESS + DATA_BYTES / 2;
    cpu->usd_size = 1024;
    for (unsigned i = 0; i < 4; i++) {
        unsigned k = i < 2 ? i : 32 + i - 2;
        cpu->aau.aad[i].lo = s->aad[i];
        cpu->aau.aasti[i] = s->aasti[i];
        cpu->aau.aaincr[i] = (uint32_t)s->aaincr[i];
        cpu->aau.area[k].fmt = s->area[i].fmt;
        cpu->aau.area[k].mrng = 32;
        cpu->aau.area[k].valid = true;
        cpu->aau.area[k].base = s->area[i].base;
        cpu->aau.area[k].index = s->area[i].index;
        cpu->aau.area[k].step = s->area[i].step;
    }
    cpu->aau.aasr = s->aau_running ? 3 << 7 : 0;
    for (unsigned i = 0; i < s->n_dam; i++) {
        cpu->dam[i] = s->dam[i];
        cpu->dam[i].reg = (cpu->win + s->dam[i].reg - cpu->regs) % 224;
        cpu->dam_live = 1;
    }
    rng_seed(&data, s->data_seed);
    uint64_t *words = box_at(box, DATA_ADDRESS);
    for (unsigned i = 0; i < DATA_BYTES / 8; i++) {
        words[i] = rng_next(&data);
    }
    cpu->ip = CODE_ADDRESS;
}

/* Registers above the window are nobody's: they may hold anything. */
static void take_registers(const E2kCpu *cpu, Outcome *o)
{
    size_t visible = cpu->win + 2 * cpu->wsz - cpu->regs;

    visible = MIN(visible, G_N_ELEMENTS(o->regs));
    memcpy(o->regs, cpu->regs, visible * sizeof(RegSlot));
    memcpy(o->tags, cpu->reg_tags, visible);
    memcpy(o->g, cpu->g, sizeof(o->g));
    memcpy(o->g_tags, cpu->g_tags, sizeof(o->g_tags));
}

static void take_outcome(Box *box, CpuExit exit, Outcome *o)
{
    const E2kCpu *cpu = box->cpu;

    memset(o, 0, sizeof(*o));
    o->exit = exit;
    o->exception = cpu->exception;
    o->ip = cpu->ip;
    take_registers(cpu, o);
    o->window = cpu->win - cpu->regs;
    o->frame = cpu->frame - cpu->frames;
    o->pf = cpu->pf;
    o->lsr = cpu_get_lsr(cpu);
    o->ilcr = cpu_get_ilcr(cpu);
    o->br = cpu_get_br(cpu);
    o->wd = cpu_get_wd(cpu);
    o->bgr = cpu->bgr_val | cpu->bgr_cur << 8;
    memcpy(o->ctpr, cpu->ctpr, sizeof(o->ctpr));
    o->usd_base = cpu->usd_base;
    o->usd_size = cpu->usd_size;
    o->pfpfr = cpu->pfpfr;
    o->fpcr = cpu->fpcr;
    o->fpsr = cpu->fpsr;
    o->upsr = cpu->upsr;
    memcpy(o->aad, cpu->aau.aad, sizeof(o->aad));
    memcpy(o->aaind, cpu->aau.aaind, sizeof(o->aaind));
    memcpy(o->aasti, cpu->aau.aasti, sizeof(o->aasti));
    memcpy(o->aaincr, cpu->aau.aaincr, sizeof(o->aaincr));
    for (unsigned i = 0; i < 64; i++) {
        o->area_index[i] = cpu->aau.area[i].index;
    }
    o->aau_tags = cpu->aau.aasti_tag | (uint32_t)cpu->aau.aaind_tag << 16;
    o->aasr = cpu->aau.aasr;
    o->armed = cpu->resume.armed;
    o->n_pending = o->armed ? cpu->resume.n : 0;
    o->next_ip = o->armed ? cpu->resume.next_ip : 0;
    memcpy(o->pending, cpu->resume.op, o->n_pending * sizeof(PendingAccess));
    o->aaldv = cpu->aau.aaldv;
    o->aaldm = cpu->aau.aaldm;
    memcpy(o->aalda, cpu->aau.aalda, sizeof(o->aalda));
    for (unsigned i = 0; i < 64; i++) {
        o->area_overflow[i] = cpu->aau.area[i].overflow;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(o->dam); i++) {
        if (cpu->dam[i].valid) {
            o->dam[i].valid = true;
            o->dam[i].reg = cpu->dam[i].reg;
            o->dam[i].size_bytes = cpu->dam[i].size_bytes;
            o->dam[i].address = cpu->dam[i].address;
        }
    }
    o->locked = cpu->lock.armed;
    o->lock_size = o->locked ? cpu->lock.size_bytes : 0;
    o->lock_address = o->locked ? cpu->lock.address : 0;
    if (exit == CPU_EXIT_EXCEPTION) {
        o->mask = cpu->exception_mask;
        o->channels = cpu->exception_channels;
    }
    if (exit == CPU_EXIT_EXCEPTION && cpu->exception == EXC_DATA_PAGE) {
        o->fault_address = cpu->fault.address;
        o->fault_size = cpu->fault.size_bytes;
        o->fault_kind = cpu->fault.kind;
        o->fault_channel = cpu->fault.channel;
    }
    memcpy(o->data, box_at(box, DATA_ADDRESS), DATA_BYTES);
}

/*
 * A program that jumps back, or that reduction has robbed of its counting,
 * runs for ever: stopped after a while (of CPU time, so that a busy machine
 * changes nothing), and taken for one without a difference.
 */
static E2kCpu *running;

static void on_alarm(int sig)
{
    if (running) {
        cpu_request_stop(running);
    }
}

static void set_alarm(unsigned ms)
{
    struct itimerval timer = {.it_value.tv_sec = ms / 1000,
                              .it_value.tv_usec = ms % 1000 * 1000};

    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

static void run(Box *box, const Program *p, uint64_t end, Outcome *o)
{
    enum { LIMIT_MS = 500 };

    put_state(box, &p->start, end);
    running = box->cpu;
    set_alarm(LIMIT_MS);
    CpuExit exit = cpu_run(box->cpu);
    set_alarm(0);
    running = NULL;
    take_outcome(box, exit, o);
}

static bool differs(Differ *d, const Program *p)
{
    Box *box = d->boxes[p->isa];

    box_use_engine(ENGINE_INTERP);
    uint64_t end = put_program(box, p);
    run(box, p, end, &d->interp);
    box_use_engine(ENGINE_JIT);
    put_program(box, p); /* drops what was translated before */
    for (unsigned i = 0; i < d->repeat; i++) {
        run(box, p, end, &d->jit);
        if (d->interp.exit == CPU_EXIT_STOP &&
            d->jit.exit == CPU_EXIT_STOP) {
            d->stopped++;
            return false;
        }
        if (memcmp(&d->interp, &d->jit, sizeof(d->interp)) != 0) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------
 * Reduction
 */

static bool is_legal_program(const Program *p)
{
    uint8_t bytes[64];
    Bundle decoded;

    for (unsigned i = 0; i < p->n; i++) {
        unsigned length = program_encode(p, i, bytes);
        if (!length ||
            bundle_decode(&decoded, bytes, length, p->isa) != DECODE_OK) {
            return false;
        }
    }
    return p->n > 0;
}

/* Keeps the change when the difference is still there. */
static bool try_change(Differ *d, Program *p, const Program *changed)
{
    if (!is_legal_program(changed) || !differs(d, changed)) {
        return false;
    }
    *p = *changed;
    return true;
}

static bool drop_bundles(Differ *d, Program *p)
{
    bool any = false;

    for (unsigned i = 0; i < p->n;) {
        Program q = *p;
        memmove(q.bundles + i, q.bundles + i + 1,
                (q.n - i - 1) * sizeof(Bundle));
        q.n--;
        if (try_change(d, p, &q)) {
            any = true;
        } else {
            i++;
        }
    }
    return any;
}

static void repack(Bundle *b)
{
    bundle_pack(b, b->hs >> 14 & 1, b->hs >> 15 & 1);
}

/* Bundle i of the program, those of the callee last. */
static Bundle *bundle_of(Program *p, unsigned i)
{
    return i < p->n ? &p->bundles[i] : &p->callee[i - p->n];
}

static bool drop_operations(Differ *d, Program *p, unsigned i)
{
    bool any = false;

    for (unsigned channel = 0; channel < BUNDLE_CHANNELS; channel++) {
        Program q = *p;
        Bundle *b = bundle_of(&q, i);
        if (b->alc[channel].present) {
            b->alc[channel].present = false;
            b->alc_mask &= ~(1 << channel);
            repack(b);
            any |= try_change(d, p, &q);
        }
        q = *p;
        if (b->alc[channel].n_conds) {
            b->alc[channel].n_conds = 0;
            repack(b);
            any |= try_change(d, p, &q);
        }
    }
    return any;
}

static bool drop_extras(Differ *d, Program *p, unsigned i)
{
    bool any = false;

    for (unsigned what = 0; what < 8; what++) {
        Program q = *p;
        Bundle *b = bundle_of(&q, i);
        switch (what) {
        case 0: b->n_pls = 0; memset(b->clp, 0, sizeof(b->clp)); break;
        case 1: memset(b->mova, 0, sizeof(b->mova)); break;
        case 2: b->has_ss = false; b->transfer = 0; b->hs &= ~(1u << 14); break;
        case 3: b->hs &= ~(1u << 15); break;
        case 4: b->loop_mode = false; break;
        case 5: b->alct = b->alcf = false; break;
        case 6: b->abnt = b->abnf = b->abpt = b->abpf = false; break;
        default: b->n_lts = 0; break;
        }
        if (memcmp(b, bundle_of(p, i), sizeof(*b)) != 0) {
            repack(b);
            any |= try_change(d, p, &q);
        }
    }
    return any;
}

static void simplify_state(Differ *d, Program *p)
{
    for (unsigned what = 0; what < 6; what++) {
        Program q = *p;
        switch (what) {
        case 0: memset(q.start.tags, 0, sizeof(q.start.tags)); break;
        case 1: memset(q.start.g_tags, 0, sizeof(q.start.g_tags)); break;
        case 2: q.start.pf = 0; break;
        case 3: q.start.lsr = 0; break;
        case 4: q.start.pfpfr = 0x1f80; break;
        default: q.start.fpcr = 0x37f; break;
        }
        try_change(d, p, &q);
    }
}

static void reduce(Differ *d, Program *p)
{
    bool any;

    do {
        any = drop_bundles(d, p);
        for (unsigned i = 0; i < p->n + CALLEE_BUNDLES; i++) {
            any |= drop_operations(d, p, i);
            any |= drop_extras(d, p, i);
        }
    } while (any);
    simplify_state(d, p);
    differs(d, p);
}

/* ------------------------------------------------------------------------
 * Report
 */

static void print_value(const char *name, unsigned index, uint64_t interp,
                        uint64_t jit)
{
    if (interp != jit) {
        printf("  %s%u: interp %016" PRIx64 ", jit %016" PRIx64 "\n", name,
               index, interp, jit);
    }
}

static void print_difference(const Outcome *a, const Outcome *b)
{
    print_value("exit", 0, a->exit, b->exit);
    print_value("exception", 0, a->exception, b->exception);
    print_value("ip", 0, a->ip, b->ip);
    print_value("window", 0, a->window, b->window);
    print_value("frame", 0, a->frame, b->frame);
    for (unsigned i = 0; i < COMPARED_REGS; i++) {
        print_value("r", i, a->regs[WINDOW_START + i].lo,
                    b->regs[WINDOW_START + i].lo);
        print_value("ext", i, a->regs[WINDOW_START + i].ext,
                    b->regs[WINDOW_START + i].ext);
        print_value("tag", i, a->tags[WINDOW_START + i],
                    b->tags[WINDOW_START + i]);
    }
    for (unsigned i = 0; i < WINDOW_START; i++) {
        print_value("below window r", i, a->regs[i].lo, b->regs[i].lo);
        print_value("below window tag", i, a->tags[i], b->tags[i]);
    }
    for (unsigned i = 0; i < 32; i++) {
        print_value("g", i, a->g[i].lo, b->g[i].lo);
        print_value("gext", i, a->g[i].ext, b->g[i].ext);
        print_value("gtag", i, a->g_tags[i], b->g_tags[i]);
    }
    print_value("pf", 0, a->pf, b->pf);
    print_value("lsr", 0, a->lsr, b->lsr);
    print_value("ilcr", 0, a->ilcr, b->ilcr);
    print_value("br", 0, a->br, b->br);
    print_value("wd", 0, a->wd, b->wd);
    for (unsigned i = 0; i < 3; i++) {
        print_value("ctpr", i + 1, a->ctpr[i], b->ctpr[i]);
    }
    print_value("usd_size", 0, a->usd_size, b->usd_size);
    print_value("usd_base", 0, a->usd_base, b->usd_base);
    print_value("pfpfr", 0, a->pfpfr, b->pfpfr);
    print_value("fpcr", 0, a->fpcr, b->fpcr);
    print_value("fpsr", 0, a->fpsr, b->fpsr);
    print_value("upsr", 0, a->upsr, b->upsr);
    print_value("armed", 0, a->armed, b->armed);
    print_value("pending", 0, a->n_pending, b->n_pending);
    print_value("next_ip", 0, a->next_ip, b->next_ip);
    for (unsigned i = 0; i < 4; i++) {
        print_value("pending address", i, a->pending[i].address,
                    b->pending[i].address);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(a->dam); i++) {
        print_value("dam", i, a->dam[i].address, b->dam[i].address);
        print_value("dam_reg", i, a->dam[i].reg, b->dam[i].reg);
    }
    print_value("locked", 0, a->locked, b->locked);
    print_value("mask", 0, a->mask, b->mask);
    print_value("channels", 0, a->channels, b->channels);
    print_value("fault address", 0, a->fault_address, b->fault_address);
    print_value("fault size", a->fault_kind, a->fault_size, b->fault_size);
    print_value("fault channel", 0, a->fault_channel, b->fault_channel);
    print_value("bgr", 0, a->bgr, b->bgr);
    print_value("aasr", 0, a->aasr, b->aasr);
    print_value("aaldv", 0, a->aaldv, b->aaldv);
    for (unsigned i = 0; i < 16; i++) {
        print_value("aasti", i, a->aasti[i], b->aasti[i]);
        print_value("aaind", i, a->aaind[i], b->aaind[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        print_value("area", i, a->area_index[i], b->area_index[i]);
    }
    for (unsigned i = 0; i < DATA_BYTES; i++) {
        print_value("data+", i, a->data[i], b->data[i]);
    }
}

static void print_bundle(const char *name, unsigned i, unsigned isa,
                         const uint8_t *bytes, unsigned length)
{
    const DisasOptions options = {.isa = isa};
    g_autoptr(GString) text = g_string_new(NULL);
    Bundle b;

    if (bundle_decode(&b, bytes, length, isa) == DECODE_OK) {
        bundle_disassemble(text, &b, 0, &options);
    }
    printf("  %s %u: %s\n    ", name, i, text->str);
    for (unsigned k = 0; k < length; k++) {
        printf("%02x", bytes[k]);
    }
    printf("\n");
}

static void print_program(const Program *p)
{
    uint8_t bytes[64];

    for (unsigned i = 0; i < p->n; i++) {
        unsigned length = program_encode(p, i, bytes);
        print_bundle("bundle", i, p->isa, bytes, length);
    }
    for (unsigned i = 0; i < CALLEE_BUNDLES; i++) {
        unsigned length = program_encode_callee(p, i, bytes);
        print_bundle("callee", i, p->isa, bytes, length);
    }
}

static void make_case(const Differ *d, uint64_t number, unsigned isa,
                      Program *p)
{
    Rng rng;

    rng_seed(&rng, d->seed + number * UINT64_C(0x632be59bd9b4e019));
    if (!isa) {
        isa = 2 + rng_below(&rng, 5);
        /* Few programs are for the first and the last version. */
        isa = number % 16 == 4 ? ISA_MAX : number % 16 == 12 ? ISA_MIN : isa;
    }
    bool loops = rng_chance(&rng, 25);
    random_program(p, &rng, isa, 1 + rng_below(&rng, PROGRAM_MAX - 1), loops);
}

static bool run_case(Differ *d, uint64_t number, unsigned isa)
{
    Program p;

    make_case(d, number, isa, &p);
    if (!differs(d, &p)) {
        d->bundles += p.n;
        return true;
    }
    reduce(d, &p);
    printf("seed %" PRIu64 " case %" PRIu64 " (v%u):\n", d->seed, number,
           p.isa);
    print_program(&p);
    print_difference(&d->interp, &d->jit);
    fflush(stdout);
    return false;
}

static unsigned coverage(const Differ *d, uint64_t cases, unsigned isa)
{
    Program p;

    box_use_engine(ENGINE_INTERP);
    for (uint64_t n = 0; n < cases; n++) {
        make_case(d, n, isa, &p);
        Box *box = d->boxes[p.isa];
        put_state(box, &p.start, put_program(box, &p));
        coverage_run(box);
    }
    return coverage_report();
}

static void usage(void)
{
    fprintf(stderr, "usage: random-diff [--cases N] [--seed S] [--isa V] "
                    "[--only CASE] [--keep-going] [--accel jit,no-NAME...] "
                    "[--both-tiers] [--repeat N] [--coverage] "
                    "[-d ITEMS]\n");
    exit(2);
}

/* Regions are made when they are wanted, so that what was made has run. */
static bool ran_both_tiers(void)
{
    TcgStats stats;

    tcg_get_stats(&stats);
    printf("%" PRIu64 " regions, %" PRIu64 " of the second tier\n",
           stats.regions, stats.full_regions);
    return stats.full_regions < stats.regions &&
           stats.full_regions * 10 >= stats.regions;
}

int main(int argc, char **argv)
{
    Differ d = {.seed = g_random_int(), .repeat = 1};
    uint64_t cases = 1000, first = 0;
    unsigned isa = 0, bad = 0;
    bool keep_going = false, count = false, both_tiers = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--keep-going") == 0) {
            keep_going = true;
        } else if (strcmp(argv[i], "--coverage") == 0) {
            count = true;
        } else if (strcmp(argv[i], "--both-tiers") == 0) {
            both_tiers = true;
        } else if (i + 1 == argc) {
            usage();
        } else if (strcmp(argv[i], "--cases") == 0) {
            cases = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--repeat") == 0) {
            d.repeat = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--seed") == 0) {
            d.seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--isa") == 0) {
            int wanted = atoi(argv[++i]);
            isa = CLAMP(wanted, ISA_MIN, ISA_MAX);
        } else if (strcmp(argv[i], "--accel") == 0) {
            if (!box_accel(argv[++i])) {
                usage();
            }
        } else if (strcmp(argv[i], "-d") == 0) {
            if (!log_set_items(argv[++i], NULL)) {
                usage();
            }
        } else if (strcmp(argv[i], "--only") == 0) {
            first = strtoull(argv[++i], NULL, 0);
            cases = 1;
        } else {
            usage();
        }
    }
    box_init();
    signal(SIGVTALRM, on_alarm);
    for (unsigned v = ISA_MIN; v <= ISA_MAX; v++) {
        d.boxes[v] = box_new(box_model_of_isa(v));
        box_map(d.boxes[v], CODE_ADDRESS, 4096);
        box_map(d.boxes[v], DATA_ADDRESS, DATA_BYTES);
    }
    printf("seed %" PRIu64 ", %" PRIu64 " cases\n", d.seed, cases);
    fflush(stdout);
    if (count) {
        return coverage(&d, cases, isa) != 0;
    }
    for (uint64_t n = first; n < first + cases && (keep_going || !bad); n++) {
        bad += !run_case(&d, n, isa);
    }
    printf("%" PRIu64 " cases, %" PRIu64 " bundles, %u differ", cases,
           d.bundles, bad);
    if (d.stopped) {
        printf("; %" PRIu64 " without an end", d.stopped);
    }
    printf("\n");
    return bad != 0 || (both_tiers && !ran_both_tiers());
}
