/*
 * The translating engine: dispatcher, region histories, faults.
 *
 *        +--> lookup (ip, key) --miss--> translate
 *        |        |
 *        |    tcg_run()      host code, region to region
 *        |        |
 *        +--- what it left for: another region, a bundle for the
 *             interpreter, a fault, a stop request
 *
 * Generated code keeps register windows, globals and counters in *cpu, but
 * not the geometry: whenever it leaves, geometry and CTPRs are put into *cpu
 * from the key it wanted to go to, or from the site it left at.
 *
 * Generated code is entered only in states it was made for: room for a
 * window, nothing pending.  Otherwise the interpreter steps on.
 */
#include "target-e2k/jit.h"

#include <string.h>

#include "target-e2k/interp.h"
#include "target-e2k/jit-count.h"
#include "target-e2k/translate-int.h"
#include "util/log.h"

enum {
    SYSTEM_ENTRY_SHIFT = 11,
    CR1_LO_WFX = 25,
    CR1_LO_WPSZ = 26,
    CR1_LO_WBS = 33,
    CR1_LO_CUI = 40,
    CR1_LO_PSR = 57,
    CR1_HI_WDBL = 35,
    CR1_HI_USSZ = 36,
    MXCSR_MASKS = 0x1f80,
    MXCSR_MODES = 0xe03f, /* flush to zero, rounding, flags */
    MXCSR_FLAGS = 0x3f,
    DEFAULT_TIER_THRESHOLD = 1000,
};

/* Guards translation and the histories.  The turnstile comes first: who has it
 * (a thread that forks) gets the lock next, however busy the others are. */
static GMutex translate_lock;
static GMutex translate_turnstile;
static GHashTable *histories;
static uint32_t invalidations; /* atomic; how many have begun */

/* ------------------------------------------------------------------------
 * Histories: what failed entry tests have taught
 */

static guint key_hash(gconstpointer p)
{
    const RegionKey *key = p;
    uint64_t h = (key->ip >> 3) * UINT64_C(0x9e3779b97f4a7c15) ^
                 key->geo.bits * UINT64_C(0xc2b2ae3d27d4eb4f);
    return h >> 32;
}

static gboolean key_equal(gconstpointer pa, gconstpointer pb)
{
    const RegionKey *a = pa, *b = pb;
    return a->ip == b->ip && a->geo.bits == b->geo.bits;
}

static void note_guard_failure(const E2kCpu *cpu, RegionKey key)
{
    RegionHistory *h = g_hash_table_lookup(histories, &key);
    if (!h) {
        h = g_new0(RegionHistory, 1);
        h->key = key;
        g_hash_table_insert(histories, &h->key, h);
    }
    RegionHistory old = *h;
    for (unsigned i = 0; i < WINDOW_REGS; i++) {
        h->tagged[i] |= i < 2u * cpu->wsz && cpu->win_tags[i];
    }
    for (unsigned i = 0; i < 32; i++) {
        h->tagged[WINDOW_REGS + i] |= cpu->g_tags[i] != 0;
    }
    h->vlc_varies |= !cpu->vlc;
    h->pcnt_varies |= cpu->pcnt != 0;
    h->ecnt_varies |= cpu->ecnt != 0;
    /* It was not one of these, or was and will be seen next time. */
    if (!memcmp(&old, h, sizeof(old))) {
        h->ctpr_varies = h->invariants_vary = true;
    }
}

/* ------------------------------------------------------------------------
 * From where generated code left, to *cpu
 */

static void fact_to_cpu(E2kCpu *cpu, unsigned i, const CtprFact *fact)
{
    switch (fact->kind) {
    case CTPR_UNKNOWN:
        break;
    case CTPR_EMPTY:
        cpu->ctpr[i] = 0;
        break;
    case CTPR_DISP:
        cpu->ctpr[i] = CTPR_VALUE(fact->value, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
        break;
    case CTPR_LDISP:
        cpu->ctpr[i] = CTPR_VALUE(fact->value, CTPR_TAG_LOCAL,
                                  CTPR_OPC_LDISP);
        break;
    case CTPR_SYSTEM:
        cpu->ctpr[i] = CTPR_VALUE(fact->value << SYSTEM_ENTRY_SHIFT,
                                  CTPR_TAG_SYSTEM, CTPR_OPC_DISP);
        break;
    case CTPR_RETURN:
        cpu->ctpr[i] = CTPR_VALUE(cpu->frame->cr0_hi & ~UINT64_C(7),
                                  CTPR_TAG_PROC, CTPR_OPC_RETURN);
        break;
    }
}

void site_to_cpu(E2kCpu *cpu, const Site *site)
{
    cpu->ip = site->ip;
    geometry_to_cpu(cpu, site->geo);
    for (unsigned i = 0; i < 3; i++) {
        fact_to_cpu(cpu, i, &site->ctpr[i]);
    }
    tags_apply(cpu, site->tags);
}

static void clear_ctprs(E2kCpu *cpu)
{
    cpu->ctpr[0] = cpu->ctpr[1] = cpu->ctpr[2] = 0;
}

/*
 * A return whose call_region is not on the host stack any more: state.md 4.5.
 * The returning code has passed its psize + 1.
 */
static void finish_return(E2kCpu *cpu)
{
    const ChainFrame *f = cpu->frame--;
    unsigned wbs = f->cr1_lo >> CR1_LO_WBS & 127;
    uint64_t usd_size = (f->cr1_hi >> CR1_HI_USSZ) << 4;

    cpu->win -= 2 * wbs;
    cpu->win_tags -= 2 * wbs;
    cpu->wsz = MIN(cpu->tcg.next_check - 1 + wbs, 112);
    cpu->psize = f->cr1_lo >> CR1_LO_WPSZ & 127;
    cpu->wfx = f->cr1_lo >> CR1_LO_WFX & 1;
    cpu->wdbl = f->cr1_hi >> CR1_HI_WDBL & 1;
    cpu->pf = f->cr0_lo;
    cpu_set_br(cpu, f->cr1_hi);
    cpu->usd_base += usd_size - cpu->usd_size;
    cpu->usd_size = usd_size;
    cpu->ip = f->cr0_hi & CR0_HI_IP;
    cpu->cui = f->cr1_lo >> CR1_LO_CUI;
    clear_ctprs(cpu);
    uint8_t psr = f->cr1_lo >> CR1_LO_PSR;
    if (psr != cpu->psr) {
        cpu->psr = psr;
        if (cpu->ops->state_changed) {
            cpu->ops->state_changed(cpu);
        }
    }
}

static void finish_lookup(E2kCpu *cpu)
{
    if (cpu->tcg.next_key == TCG_KEY_UNKNOWN) {
        finish_return(cpu);
        return;
    }
    Geometry geo = { .bits = cpu->tcg.next_key };
    cpu->ip = cpu->tcg.next_ip & CTPR_BASE_MASK;
    geometry_to_cpu(cpu, geo);
    if (geo.ctpr_empty) {
        clear_ctprs(cpu);
    }
    cpu->jit.wants_full = (geo.bits & KEY_WANTS_FULL) != 0;
}

/* ------------------------------------------------------------------------
 * Running
 */

static RegionKey key_of_cpu(const E2kCpu *cpu)
{
    return (RegionKey){ trans_space(cpu) | cpu->ip, geometry_of_cpu(cpu) };
}

static RegionKey site_key(const E2kCpu *cpu, const Site *site)
{
    return (RegionKey){ trans_space(cpu) | site->ip, site->geo };
}

static void lock_translation(void)
{
    g_mutex_lock(&translate_turnstile);
    g_mutex_unlock(&translate_turnstile);
    g_mutex_lock(&translate_lock);
}

/* Does the region do for who wants the best code, or any? */
static bool is_enough(const TcgRegion *region, bool wants_full)
{
    return region &&
           (!wants_full || tcg_region_tier(region) == TCG_TIER_FULL);
}

/*
 * Code that another thread invalidates while it is translated is made again:
 * the region was not there yet to be thrown away.  Machines need not look,
 * they close a page to stores before its code is read.
 */
static bool is_outdated(const E2kCpu *cpu, RegionKey key, uint32_t seen)
{
    if (cpu->soft_tlb ||
        seen == __atomic_load_n(&invalidations, __ATOMIC_ACQUIRE)) {
        return false;
    }
    tcg_invalidate(key.ip, key.ip + 1);
    return true;
}

static TcgRegion *translate(E2kCpu *cpu, RegionKey key, bool wants_full)
{
    bool full = wants_full || !tcg_opt_enabled(OPT_TIERS);
    uint32_t seen;

    lock_translation();
    /* Another CPU may have been here. */
    TcgRegion *region = tcg_peek(cpu, key.ip, key.geo.bits);
    while (!is_enough(region, wants_full)) {
        seen = __atomic_load_n(&invalidations, __ATOMIC_ACQUIRE);
        region = trans_translate(cpu, key,
                                 full ? TCG_TIER_FULL : TCG_TIER_QUICK,
                                 g_hash_table_lookup(histories, &key));
        if (!region || !is_outdated(cpu, key, seen)) {
            break;
        }
        region = NULL;
    }
    g_mutex_unlock(&translate_lock);
    return region;
}

static TcgRegion *find_region(E2kCpu *cpu, RegionKey key, bool wants_full)
{
    TcgRegion *region = tcg_lookup(cpu, key.ip, key.geo.bits);
    return is_enough(region, wants_full) ? region
                                         : translate(cpu, key, wants_full);
}

/* Generated code's copies of TLB entries are good only while those are. */
static void refresh_sites(E2kCpu *cpu)
{
    if (cpu->soft_tlb && cpu->jit.tlb_generation != cpu->tlb_generation) {
        tcg_clear_sites(cpu);
        cpu->jit.tlb_generation = cpu->tlb_generation;
    }
}

/* From inside generated code: the next region, without leaving. */
static const TcgRegion *resolve(void *opaque, uint64_t ip, uint64_t bits)
{
    E2kCpu *cpu = opaque;
    RegionKey key = { ip, { .bits = bits & ~KEY_WANTS_FULL } };
    bool wants_full = (bits & KEY_WANTS_FULL) != 0;
    TcgRegion *region = tcg_peek(cpu, ip, key.geo.bits);

    if (__atomic_load_n(&cpu->stop_request, __ATOMIC_RELAXED)) {
        return NULL;
    }
    if (!is_enough(region, wants_full)) {
        region = translate(cpu, key, wants_full);
        refresh_sites(cpu); /* it may have closed pages with new code */
    }
    return region;
}

static void replace_region(E2kCpu *cpu, RegionKey key)
{
    lock_translation();
    note_guard_failure(cpu, key);
    const TcgRegion *old = tcg_peek(cpu, key.ip, key.geo.bits);
    TcgTier tier = old ? tcg_region_tier(old)
                   : tcg_opt_enabled(OPT_TIERS) ? TCG_TIER_QUICK
                                                : TCG_TIER_FULL;
    trans_translate(cpu, key, tier, g_hash_table_lookup(histories, &key));
    g_mutex_unlock(&translate_lock);
}

/* Bits 1, 3, 5, ... of v, and back. */
static uint32_t pack_odd_bits(uint64_t v)
{
    uint32_t packed = 0;

    for (v &= PF_INVALID_BITS; v; v &= v - 1) {
        packed |= 1u << __builtin_ctzll(v) / 2;
    }
    return packed;
}

static uint64_t spread_odd_bits(uint32_t v)
{
    uint64_t spread = 0;

    for (; v; v &= v - 1) {
        spread |= UINT64_C(2) << 2 * __builtin_ctz(v);
    }
    return spread;
}

static uint8_t *window_tags(const E2kCpu *cpu)
{
    return cpu->reg_tags + (cpu->win - cpu->regs);
}

/* The guest's rounding and flags are the host's while its code runs. */
static unsigned run_code(E2kCpu *cpu, const TcgRegion *region)
{
    cpu->jit.usd_bottom = cpu->usd_base - cpu->usd_size;
    refresh_sites(cpu);
    cpu->tcg.mxcsr = (cpu->pfpfr & MXCSR_MODES) | MXCSR_MASKS;
    cpu->jit.pf_invalid = pack_odd_bits(cpu->pf);
    cpu->frame[1].cr0_lo = cpu->pf & ~PF_INVALID_BITS; /* TRANS_PF_OFFSET */
    cpu->jit.lost_tags = NULL;
    unsigned result = tcg_run(cpu, region);
    cpu->win_tags = window_tags(cpu); /* TagState.ahead */
    cpu->pf = cpu->frame[1].cr0_lo | spread_odd_bits(cpu->jit.pf_invalid);
    cpu->pfpfr |= cpu->tcg.mxcsr & MXCSR_FLAGS;
    cpu->usd_base = cpu->usd_size + cpu->jit.usd_bottom;
    return result;
}

static bool take_stop(E2kCpu *cpu)
{
    return __atomic_load_n(&cpu->stop_request, __ATOMIC_RELAXED) &&
           __atomic_exchange_n(&cpu->stop_request, 0, __ATOMIC_ACQUIRE);
}

/* The interpreter executes the next bundle. */
static bool interpret(E2kCpu *cpu, JitReason reason)
{
    if (log_on(LOG_INTERP)) {
        jit_count(cpu, reason);
    }
    return true;
}

/* Runs translated code from here; true when the interpreter has to go on. */
static bool run_translated(E2kCpu *cpu)
{
    RegionKey key = key_of_cpu(cpu);
    key.geo.split = cpu->jit.split;
    cpu->jit.split = false;
    TcgRegion *region = find_region(cpu, key, cpu->jit.wants_full);
    cpu->jit.wants_full = false;
    if (!region) {
        return interpret(cpu, JIT_NO_REGION);
    }
    if (cpu->tcg.chain_slot) {
        tcg_chain(cpu, region);
        cpu->tcg.chain_slot = NULL;
    }
    switch (run_code(cpu, region)) {
    case TCG_EXIT_LOOKUP:
        finish_lookup(cpu);
        return false;
    case TCG_EXIT_FAULT:
        site_to_cpu(cpu, (const Site *)(uintptr_t)tcg_fault(cpu)->info);
        return interpret(cpu, JIT_FAULT);
    case TRANS_EXIT_GUARD:
        site_to_cpu(cpu, cpu->jit.site);
        replace_region(cpu, site_key(cpu, cpu->jit.site));
        return interpret(cpu, JIT_ENTRY_TEST);
    case TRANS_EXIT_INTERP:
        site_to_cpu(cpu, cpu->jit.site);
        return interpret(cpu, JIT_NOT_TRANSLATED);
    case TRANS_EXIT_SPLIT:
        site_to_cpu(cpu, cpu->jit.site);
        cpu->jit.split = true;
        return false;
    default:
        site_to_cpu(cpu, cpu->jit.site);
        return false;
    }
}

static void set_limits(E2kCpu *cpu)
{
    /* Two windows of the greatest size have room above the limit. */
    cpu->jit.win_limit = cpu->regs + cpu->n_regs - 2 * WINDOW_REGS;
    ChainFrame *limit = cpu->frames + cpu->n_frames - 3;
    __atomic_store_n(&cpu->jit.frame_limit,
                     MIN(limit, cpu->frame + TCG_CALL_DEPTH),
                     __ATOMIC_SEQ_CST);
}

/*
 * Translated procedures check for room at calls, for the window that a callee
 * may set.  A call that the interpreter made above the limit, or a trap, has
 * not been checked so: the interpreter goes on until spilling has made room.
 */
static bool has_room(const E2kCpu *cpu)
{
    return cpu->win <= cpu->jit.win_limit &&
           cpu->frame + 1 < cpu->frames + cpu->n_frames;
}

/* Is this a state that translated code is not made for? */
static bool kept_out(E2kCpu *cpu)
{
    if (!has_room(cpu)) {
        return interpret(cpu, JIT_NO_ROOM);
    }
    if (cpu->psr & PSR_LW) { /* its returns trap */
        return interpret(cpu, JIT_LAST_WISH);
    }
    return cpu->resume.armed && interpret(cpu, JIT_RESUME);
}

CpuExit jit_run(E2kCpu *cpu)
{
    CpuExit exit = CPU_EXIT_STOP;

    if (!cpu->tcg.cpu) {
        tcg_cpu_init(cpu);
    }
    cpu->tcg.chain_slot = NULL;
    for (;;) {
        set_limits(cpu); /* before the flag is read */
        if (take_stop(cpu)) {
            break;
        }
        if (!kept_out(cpu) && !run_translated(cpu)) {
            continue;
        }
        cpu->tcg.chain_slot = NULL;
        CpuExit step = interp_step(cpu);
        if (step != CPU_EXIT_DEBUG) {
            exit = step;
            break;
        }
    }
    tcg_quiesce(cpu);
    return exit;
}

/* ------------------------------------------------------------------------
 * Set-up and events
 */

static void finish_frame(const E2kCpu *cpu, ChainFrame *f,
                         const CallSite *site)
{
    uint64_t size = f->cr1_hi >> 32 & ~UINT64_C(15);

    f->cr1_lo = site->cr1_lo;
    if (cpu->system) {
        f->cr1_lo |= (uint64_t)cpu->cui << CR1_LO_CUI;
    }
    f->cr1_hi = site->cr1_hi | size << 32;
}

/*
 * Code has been left below a call: the caller's tags and the frame are stored
 * now.  Its callers come next, so that the window they are relative to moves
 * down with each.
 */
static void lost_call(void *opaque, uint64_t info)
{
    E2kCpu *cpu = opaque;
    const CallSite *site = (const CallSite *)(uintptr_t)info;

    if (!cpu->jit.lost_tags) {
        cpu->jit.lost_tags = window_tags(cpu);
        cpu->jit.lost_frame = cpu->frame;
    }
    cpu->jit.lost_tags -= 2 * site->wbs;
    if (site->lazy_frame) {
        finish_frame(cpu, cpu->jit.lost_frame, site);
    }
    cpu->jit.lost_frame--;
    for (unsigned i = 0; site->tags && i < site->tags->n; i++) {
        const TagByte *b = &site->tags->bytes[i];
        uint8_t *tag = &cpu->jit.lost_tags[b->reg];
        *tag = (*tag & ~b->mask) | (b->value & b->mask);
    }
}

static void kick(void *cpu)
{
    cpu_request_stop(cpu);
}

static bool slow_access(void *opaque, uint64_t address, unsigned width,
                        bool store, void *value)
{
    E2kCpu *cpu = opaque;

    return cpu->ops->slow_access(cpu, address, width, store, value);
}

bool jit_init(const EngineConfig *config, GError **error)
{
    TcgConfig tcg = {
        .cache_bytes = config ? config->code_cache_bytes : 0,
        .disabled = config ? config->disabled : 0,
        .private_code = config && config->forks,
        .guest_end_bit = config ? config->guest_end_bit : 0,
        .tcg_offset = offsetof(E2kCpu, tcg),
        .ip_offset = offsetof(E2kCpu, ip),
        .n_pinned = PIN_COUNT,
        .pinned_offset = {
            [PIN_WIN] = offsetof(E2kCpu, win),
            [PIN_TAGS] = offsetof(E2kCpu, win_tags),
            [PIN_FRAME] = offsetof(E2kCpu, frame),
        },
        .pinned_name = {
            [PIN_WIN] = "win",
            [PIN_TAGS] = "tags",
            [PIN_FRAME] = "frame",
        },
        .tlb_offset =
            config && config->soft_tlb ? offsetof(E2kCpu, soft_tlb) : 0,
        .sites_offset = CPU_SITES_OFFSET,
        .slow_access = slow_access,
        .kick = kick,
        .bounded_calls = true,
        .lost_call = lost_call,
        .resolve = config && config->disabled & OPT_RESOLVE ? NULL : resolve,
        .perf_map = config && config->perf_map,
        .jitdump = config && config->jitdump,
    };
    trans_without_tags = tcg.disabled & OPT_TAGS;
    trans_tier_threshold = config && config->tier_threshold
                               ? config->tier_threshold
                               : DEFAULT_TIER_THRESHOLD;
    g_clear_pointer(&histories, g_hash_table_destroy);
    histories = g_hash_table_new_full(key_hash, key_equal, NULL, g_free);
    return tcg_init(&tcg, error);
}

void jit_fork_begin(void)
{
    g_mutex_lock(&translate_turnstile);
    g_mutex_lock(&translate_lock);
    tcg_fork_begin();
}

void jit_fork_end(E2kCpu *cpu)
{
    tcg_fork_end(cpu != NULL, cpu && cpu->tcg.cpu ? cpu : NULL);
    g_mutex_unlock(&translate_lock);
    g_mutex_unlock(&translate_turnstile);
}

void jit_cpu_free(E2kCpu *cpu)
{
    if (cpu->tcg.cpu) {
        tcg_cpu_free(cpu);
    }
}

void jit_invalidate(uint64_t address, uint64_t size_bytes)
{
    uint64_t end = size_bytes > UINT64_MAX - address ? UINT64_MAX
                                                     : address + size_bytes;
    __atomic_fetch_add(&invalidations, 1, __ATOMIC_ACQ_REL);
    tcg_invalidate(address, end);
}

bool jit_handle_fault(void *ucontext, uintptr_t host_address, bool write)
{
    return tcg_handle_fault(ucontext, host_address, write);
}
