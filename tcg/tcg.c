/*
 * Regions: the process-wide table of compiled code and what links it.
 *
 *   hash (ip, key) --> TcgRegion --> code in the cache
 *                        | slots: jumps out of it, patched to other regions
 *                        | incoming: the slots that jump here
 *                        | landings: where guest returns come back
 *
 * Lookup takes no lock: hash chains only change by single stores, and regions
 * that leave the table stay readable until every CPU has been outside of
 * generated code (see cache.c).  Everything that changes the table holds
 * tcg_lock.
 */
#include "tcg/tcg.h"

#include <asm/prctl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tcg/cache.h"
#include "tcg/tcg-int.h"
#include "util/log.h"

TcgConfig tcg_config;
GMutex tcg_lock;
TcgCpu *tcg_cpus;
static TcgStats stats;

enum { HASH_BITS = 14 };

static TcgRegion *hash_table[1 << HASH_BITS];

static unsigned region_hash(uint64_t ip, uint64_t key)
{
    uint64_t h = (ip >> 3) * UINT64_C(0x9e3779b97f4a7c15) + key;

    h *= UINT64_C(0xff51afd7ed558ccd);
    return h >> (64 - HASH_BITS);
}

static TcgCpu *tcg_of(void *cpu)
{
    return (TcgCpu *)((char *)cpu + tcg_config.tcg_offset);
}

/* --- set-up ------------------------------------------------------------------ */

bool tcg_init(const TcgConfig *config, GError **error)
{
    tcg_config = *config;
    x86_detect();
    if (!x86_features.sse41 || !x86_features.sse42 || !x86_features.popcnt) {
        g_set_error(error, g_quark_from_static_string("tcg"), 1,
                    "This processor lacks SSE4.2 or POPCNT");
        return false;
    }
    perf_init();
    return cache_init(config->cache_bytes, error);
}

bool tcg_opt_enabled(unsigned opt)
{
    return opt_on(opt);
}

static void clear_jump_cache(TcgCpu *tc)
{
    for (unsigned i = 0; i < TCG_JUMP_CACHE; i++) {
        if (!(tc->jump_cache[i].ip & 1)) {
            __atomic_store_n(&tc->jump_cache[i].ip, 1, __ATOMIC_RELAXED);
        }
    }
}

void tcg_cpu_init(void *cpu)
{
    TcgCpu *tc = tcg_of(cpu);

    memset(tc, 0, sizeof(*tc));
    tc->cpu = cpu;
    tc->mxcsr = 0x1f80;
    for (unsigned i = 0; i < TCG_JUMP_CACHE; i++) {
        tc->jump_cache[i].ip = 1;
    }
    g_mutex_lock(&tcg_lock);
    tc->next = tcg_cpus;
    tcg_cpus = tc;
    g_mutex_unlock(&tcg_lock);
}

void tcg_cpu_free(void *cpu)
{
    g_mutex_lock(&tcg_lock);
    for (TcgCpu **p = &tcg_cpus; *p; p = &(*p)->next) {
        if (*p == tcg_of(cpu)) {
            *p = (*p)->next;
            break;
        }
    }
    g_mutex_unlock(&tcg_lock);
}

void tcg_fork_begin(void)
{
    g_mutex_lock(&tcg_lock);
}

void tcg_fork_end(bool child, void *cpu)
{
    if (child) {
        /* Nobody will ever say that the others have left generated code. */
        tcg_cpus = cpu ? tcg_of(cpu) : NULL;
        if (cpu) {
            tcg_cpus->next = NULL;
        }
        perf_forked();
    }
    g_mutex_unlock(&tcg_lock);
}

/* --- running ------------------------------------------------------------------ */

/* Guest accesses are relative to GS when guest addresses are not the host's;
 * the C library leaves GS alone. */
static void set_guest_base(void)
{
    static __thread uintptr_t current;

    if (current != tcg_config.guest_base) {
        current = tcg_config.guest_base;
        syscall(SYS_arch_prctl, ARCH_SET_GS, current);
    }
}

unsigned tcg_run(void *cpu, const TcgRegion *region)
{
    if (G_UNLIKELY(tcg_config.guest_base)) {
        set_guest_base();
    }
    return tcg_thunks.enter(cpu, region->code);
}

void tcg_quiesce(void *cpu)
{
    cache_leave(tcg_of(cpu));
}

void tcg_unwind(void *cpu, unsigned result)
{
    void (*unwind)(void *, unsigned) = (void *)tcg_thunks.unwind;

    unwind(cpu, result);
    __builtin_unreachable();
}

TcgRegion *tcg_peek(void *cpu, uint64_t ip, uint64_t key)
{
    TcgRegion *region;
    TcgCpu *tc = tcg_of(cpu);

    region = __atomic_load_n(&hash_table[region_hash(ip, key)],
                             __ATOMIC_ACQUIRE);
    while (region && (region->ip != ip || region->key != key)) {
        region = __atomic_load_n(&region->hash_next, __ATOMIC_ACQUIRE);
    }
    if (region) {
        tc->jump_cache[jump_cache_slot(ip, key)] = (struct TcgJump){
            .ip = ip, .key = key, .code = region->code};
    }
    return region;
}

TcgRegion *tcg_lookup(void *cpu, uint64_t ip, uint64_t key)
{
    cache_enter(tcg_of(cpu));
    return tcg_peek(cpu, ip, key);
}

const void *tcg_resolve(void *cpu)
{
    const TcgCpu *tc = tcg_of(cpu);
    const TcgRegion *region =
        tcg_config.resolve(cpu, tc->next_ip, tc->next_key);

    if (!region) {
        return NULL;
    }
    tcg_chain(cpu, (TcgRegion *)region);
    return region->code;
}

/* --- chaining ------------------------------------------------------------------ */

static void patch_jump(TcgSlot *slot, const uint8_t *target)
{
    int32_t disp = target - (slot->jump + 4);
    uint8_t *at = cache_writable(slot->jump);

    __atomic_store_n((int32_t *)at, disp, __ATOMIC_RELEASE);
}

/* The region's entry for a jump: without the tests that must succeed. */
static const uint8_t *entry_for(const TcgSlot *slot, const TcgRegion *region)
{
    bool known = region->entry_needs &&
                 !(region->entry_needs & ~slot->facts);

    return (const uint8_t *)region->code + (known ? region->entry : 0);
}

static void unchain(TcgSlot *slot)
{
    if (!slot->target) {
        return;
    }
    patch_jump(slot, slot->stub);
    for (TcgSlot **p = &slot->target->incoming; *p; p = &(*p)->next_in) {
        if (*p == slot) {
            *p = slot->next_in;
            break;
        }
    }
    slot->target = NULL;
}

void tcg_chain(void *cpu, TcgRegion *region)
{
    TcgSlot *slot = tcg_of(cpu)->chain_slot;

    if (!slot || !opt_on(OPT_CHAIN)) {
        return;
    }
    tcg_of(cpu)->chain_slot = NULL;
    g_mutex_lock(&tcg_lock);
    if (!slot->owner->dead && !region->dead && !region->replaced &&
        slot->target != region) {
        unchain(slot);
        slot->target = region;
        slot->next_in = region->incoming;
        region->incoming = slot;
        patch_jump(slot, entry_for(slot, region));
    }
    g_mutex_unlock(&tcg_lock);
}

/* --- death ---------------------------------------------------------------------- */

/* Nothing finds the region any more, or jumps to its start. */
static void unpublish(TcgRegion *region)
{
    TcgRegion **p = &hash_table[region_hash(region->ip, region->key)];

    for (; *p; p = &(*p)->hash_next) {
        if (*p == region) {
            __atomic_store_n(p, region->hash_next, __ATOMIC_RELEASE);
            break;
        }
    }
    while (region->incoming) {
        unchain(region->incoming);
    }
}

void region_kill(TcgRegion *region)
{
    if (region->dead) {
        return;
    }
    region->dead = true;
    unpublish(region);
    for (unsigned i = 0; i < region->n_slots; i++) {
        unchain(&region->slots[i]);
    }
    /* A guest address is never odd: the comparison fails from now on. */
    for (unsigned i = 0; i < region->n_landings; i++) {
        __atomic_fetch_or(cache_writable(region->landings[i].spoil), 1,
                          __ATOMIC_RELEASE);
    }
    cache_forget_pages(region);
}

void region_free(TcgRegion *region)
{
    g_free(region->slots);
    g_free(region->landings);
    g_free(region->faults);
    g_free(region->fault_globals);
    g_free(region->fault_info);
    g_free(region->ranges);
    ir_kept_free(region->kept);
    g_free(region);
}

void regions_clear_caches(void)
{
    for (TcgCpu *tc = tcg_cpus; tc; tc = tc->next) {
        clear_jump_cache(tc);
    }
}

bool tcg_invalidate(uint64_t start, uint64_t end)
{
    bool any;

    if (!cache_may_hold(start, end)) {
        return false;
    }
    g_mutex_lock(&tcg_lock);
    any = cache_kill_range(start, end);
    if (any) {
        regions_clear_caches();
    }
    g_mutex_unlock(&tcg_lock);
    return any;
}

bool tcg_code_in_range(uint64_t start, uint64_t end)
{
    return cache_may_hold(start, end);
}

/* --- calls that will not be returned to ------------------------------------------ */

static const TcgLanding *find_landing(const TcgRegion *region, uint32_t host)
{
    unsigned low = 0, high = region->n_landings;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (region->landings[middle].host < host) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < region->n_landings && region->landings[low].host == host
               ? &region->landings[low]
               : NULL;
}

void tcg_lost_calls(void *cpu, const uint64_t *sp)
{
    const uint64_t *end = (const uint64_t *)tcg_of(cpu)->host_sp;

    for (; sp < end; sp++) {
        const TcgRegion *region = cache_find((const void *)*sp);
        const TcgLanding *landing =
            region ? find_landing(region, *sp - (uintptr_t)region->code)
                   : NULL;

        if (landing) {
            tcg_config.lost_call(cpu, landing->info);
        }
    }
}

/* --- compiling --------------------------------------------------------------------- */

static void log_ir(LogItem item, const Ir *ir)
{
    if (log_on(item)) {
        FILE *to = log_lock();

        ir_dump(ir, to);
        log_unlock(to);
    }
}

/* Malformed code is a mistake of ours. */
static void validate(const Ir *ir, const char *when)
{
    unsigned at;
    const char *fault = tcg_config.validate ? ir_validate(ir, &at) : NULL;

    if (fault) {
        ir_dump(ir, stderr);
        g_error("Intermediate code as %s: operation %u %s", when, at, fault);
    }
}

static void publish(TcgRegion *region)
{
    TcgRegion **head = &hash_table[region_hash(region->ip, region->key)];

    for (TcgRegion *old = *head; old; old = old->hash_next) {
        if (old->ip == region->ip && old->key == region->key) {
            old->replaced = true;
            unpublish(old);
            regions_clear_caches();
            break;
        }
    }
    region->hash_next = *head;
    __atomic_store_n(head, region, __ATOMIC_RELEASE);
}

static void *copy_of(const void *from, size_t bytes)
{
    return bytes ? memcpy(g_malloc(bytes), from, bytes) : NULL;
}

static TcgRegion *make_region(Ir *ir, const Emitted *out, TcgTier tier,
                              const TcgRange *ranges, unsigned n_ranges,
                              const uint64_t *info, unsigned n_info)
{
    TcgRegion *region = g_new0(TcgRegion, 1);

    *region = (TcgRegion){
        .ip = ir->ip, .key = ir->key, .code = out->code,
        .code_bytes = out->bytes, .entry = out->entry,
        .entry_needs = ir->entry_needs, .tier = tier, .slots = out->slots,
        .n_slots = out->n_slots, .n_landings = out->n_landings,
        .n_faults = out->n_faults, .n_fault_info = n_info,
        .n_ranges = n_ranges,
    };
    region->landings = copy_of(out->landings,
                                 out->n_landings * sizeof(TcgLanding));
    region->faults = copy_of(out->faults,
                               out->n_faults * sizeof(FaultSite));
    region->fault_globals = copy_of(
        out->fault_globals, out->n_fault_globals * sizeof(FaultGlobal));
    region->fault_info = copy_of(info, n_info * sizeof(*info));
    region->ranges = copy_of(ranges, n_ranges * sizeof(*ranges));
    region->kept = ir->kept;
    ir->kept = NULL;
    for (unsigned i = 0; i < region->n_slots; i++) {
        region->slots[i].owner = region;
    }
    return region;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static bool emit_into_cache(Compile *c, TcgSlot *slots, Emitted *out)
{
    for (unsigned tries = 0; tries < 2; tries++) {
        CacheSpace space;
        bool no_room;

        if (!cache_space(&space)) {
            return false;
        }
        if (x86_emit(c, space.start, space.end, space.delta, slots, out,
                     &no_room)) {
            return true;
        }
        if (!no_room || !cache_next_segment()) {
            return false;
        }
    }
    return false;
}

TcgRegion *tcg_compile(Ir *ir, TcgTier tier, const TcgRange *ranges,
                       unsigned n_ranges, const uint64_t *fault_info,
                       unsigned n_fault_info)
{
    Compile c = {.ir = ir, .arena = ir->arena, .tier = tier};
    uint64_t began = now_ns();
    TcgRegion *region = NULL;
    TcgSlot *slots;
    Emitted out;

    if (ir->overflow || !ir->n_ops) {
        return NULL;
    }
    log_ir(LOG_OP, ir);
    validate(ir, "built");
    cfg_build(&c);
    opt_run(&c);
    live_build(&c);
    if (tcg_config.guest_end_bit && opt_on(OPT_GUARD) && opt_on(OPT_CHECKED) &&
        tier == TCG_TIER_FULL) {
        guards_find(&c);
    }
    log_ir(LOG_OP_OPT, ir);
    validate(ir, "optimised");
    regalloc(&c);
    if (c.too_large) {
        return NULL;
    }
    slots = g_new0(TcgSlot, 2 * ir->n_exits + 1);
    g_mutex_lock(&tcg_lock);
    if (emit_into_cache(&c, slots, &out)) {
        region = make_region(ir, &out, tier, ranges, n_ranges, fault_info,
                             n_fault_info);
        cache_commit(region);
        if (perf_on()) {
            g_autofree char *name = g_strdup_printf(
                "e2k_%" PRIx64 "_%" PRIx64 "_t%u", ir->ip, ir->key, tier);

            perf_add(name, region->code, region->code_bytes);
        }
        publish(region);
        stats.regions++;
        stats.full_regions += tier == TCG_TIER_FULL;
        stats.bundles += ir->n_bundles;
        stats.ir_ops += ir->n_ops;
        stats.host_bytes += out.bytes;
    }
    stats.compile_ns += now_ns() - began;
    g_mutex_unlock(&tcg_lock);
    if (!region) {
        g_free(slots);
        return NULL;
    }
    tcg_dump_host("region", region->code, region->code_bytes);
    return region;
}

uint64_t tcg_region_ip(const TcgRegion *region)
{
    return region->ip;
}

uint64_t tcg_region_key(const TcgRegion *region)
{
    return region->key;
}

TcgTier tcg_region_tier(const TcgRegion *region)
{
    return region->tier;
}

void tcg_get_stats(TcgStats *to)
{
    g_mutex_lock(&tcg_lock);
    *to = stats;
    to->flushes = cache_recycles();
    g_mutex_unlock(&tcg_lock);
}
