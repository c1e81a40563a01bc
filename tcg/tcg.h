/*
 * From intermediate code to running host code.
 *
 *   ir_begin() ... ir_xxx()     the translator describes a region
 *        |
 *   tcg_compile()               passes, register allocation, host code
 *        |
 *   TcgRegion                   found by (ip, key), chained to others
 *        |
 *   tcg_run(cpu, region)        runs until generated code leaves
 *
 * tcg knows nothing of the guest: TcgConfig says where in the CPU structure
 * the few fields are that generated code needs for itself.
 *
 * Threading: tcg_run() in any number of threads, one CPU each.  tcg_compile(),
 * tcg_chain() and the invalidations take a lock inside.  A region pointer is
 * valid from tcg_lookup() or tcg_compile() until the same CPU's next
 * tcg_lookup() or tcg_quiesce(); memory of dead regions is reused only when no
 * CPU can be inside.
 */
#ifndef TCG_TCG_H
#define TCG_TCG_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "tcg/ir.h"
#include "tcg/opt.h"

enum {
    TCG_JUMP_CACHE = 1024, /* entries: dynamic targets of one CPU */
    TCG_SPILL_SLOTS = 128, /* of 16 bytes */
    TCG_CALL_DEPTH = 32000,
};

/* How much work goes into a region's code. */
typedef enum TcgTier {
    TCG_TIER_QUICK = 1, /* the passes that pay for code that runs once */
    TCG_TIER_FULL = 2,  /* all of them */
} TcgTier;

typedef struct TcgRegion TcgRegion;
typedef struct TcgCpu TcgCpu;

typedef struct TcgFault {
    uint64_t info;       /* fault_info[] of the failing access */
    uint64_t address;    /* guest address */
    uint64_t host_address; /* as the signal reported it */
    uint8_t width;
    bool is_store;
} TcgFault;

/* Part of the guest's CPU structure: what generated code keeps per CPU. */
struct TcgCpu {
    /* Where the last run left for, when tcg_run() gave TCG_EXIT_LOOKUP. */
    uint64_t next_ip, next_key;
    uint64_t next_check;  /* next_key unknown: the check ir_ret() passed */
    struct TcgSlot *chain_slot; /* jump to patch, or NULL */
    uintptr_t host_sp;    /* of the running tcg_run(), for unwinding */
    uintptr_t call_sp;    /* while a helper runs */
    uintptr_t host_limit; /* calls below start the host stack afresh */
    uint32_t mxcsr;       /* floating-point modes and flags of the guest;
                           * loaded while in generated code */
    uint32_t host_mxcsr;
    uint64_t epoch;       /* 0: not in generated code (atomic) */
    void *cpu;
    struct TcgCpu *next;  /* list of CPUs, tcg's own */
    TcgFault fault;
    uint64_t slow_address; /* of an access that missed the software TLB */
    uint8_t slow_value[16] __attribute__((aligned(16)));
    uint64_t save_gpr[16];
    uint8_t save_vec[16][16] __attribute__((aligned(16)));
    uint8_t spill[TCG_SPILL_SLOTS][16];
    struct TcgJump {
        uint64_t ip, key; /* ip is odd in an empty entry */
        const void *code;
        uint64_t pad;
    } jump_cache[TCG_JUMP_CACHE];
};

typedef struct TcgConfig {
    size_t cache_bytes;     /* of host code; 0: default */
    unsigned disabled;      /* OPT_... */
    ptrdiff_t tcg_offset;   /* of the TcgCpu in the CPU structure */
    ptrdiff_t ip_offset;    /* of the 64-bit ip */
    unsigned n_pinned;      /* 64-bit fields kept in host registers */
    ptrdiff_t pinned_offset[IR_MAX_PINNED];
    const char *pinned_name[IR_MAX_PINNED];
    uintptr_t guest_base;   /* host address of guest address 0 */
    /*
     * Where the CPU structure has its pointer to SoftTlb[] (soft-tlb.h); 0:
     * guest accesses go to guest_base.  What misses there is done by
     * slow_access(), on the CPU's thread: the value comes from or goes to
     * value[].  False, with nothing done, ends tcg_run() with TCG_EXIT_FAULT.
     */
    ptrdiff_t tlb_offset;
    ptrdiff_t sites_offset; /* of the CPU's SoftTlbSites */
    bool (*slow_access)(void *cpu, uint64_t address, unsigned width,
                        bool store, void *value);
    /*
     * 0, or the one address bit that is set in every user address of the host
     * that is not the guest's: generated code faults instead of accessing
     * such an address.  Needs 2 GiB of inaccessible memory from there on.
     */
    unsigned guest_end_bit;
    /* Makes a CPU leave generated code soon (any thread); may be NULL.  Used
     * when memory of the code cache is to be reused and a CPU has not been
     * outside for long. */
    void (*kick)(void *cpu);
    /*
     * The embedder keeps calls from nesting deeper than TCG_CALL_DEPTH in one
     * tcg_run(); generated code does not look then.  lost_call (or NULL) is
     * called for each guest call whose callee had not come back when code is
     * left, the innermost first, with what ir_call_info() was given: its
     * return will be a TCG_EXIT_LOOKUP.
     */
    bool bounded_calls;
    /*
     * Or NULL: the region for (ip, key), found or made, when a jump to it is
     * not chained or cached, so that code is not left and calls stay
     * returnable.  All state is home.  NULL leaves by TCG_EXIT_LOOKUP.
     */
    const TcgRegion *(*resolve)(void *cpu, uint64_t ip, uint64_t key);
    void (*lost_call)(void *cpu, uint64_t info);
    /* The process forks: each child needs code of its own from then on. */
    bool private_code;
    bool perf_map, jitdump;
    bool validate;          /* check intermediate code around the passes */
} TcgConfig;

/* Once per process.  False when no executable memory is to be had. */
bool tcg_init(const TcgConfig *config, GError **error);
/* For translators with optimisations of their own: OPT_... not disabled. */
bool tcg_opt_enabled(unsigned opt);
/* Sets up a CPU's part; cpu is the structure the offsets are relative to. */
void tcg_cpu_init(void *cpu);
void tcg_cpu_free(void *cpu);
/* Around fork(): no change is under way; the child knows one CPU, or none. */
void tcg_fork_begin(void);
void tcg_fork_end(bool child, void *cpu);
/*
 * Results of tcg_run(): what ir_exit() was given (0 .. 255), or one of these.
 */
enum {
    TCG_EXIT_LOOKUP = 256, /* to (next_ip, next_key): not known or not chained */
    TCG_EXIT_FAULT = 257,  /* a guest access failed; see tcg_fault() */
};

/* next_key when the CPU state must tell. */
#define TCG_KEY_UNKNOWN (~UINT64_C(0))

/* Runs generated code on the calling thread until it leaves. */
unsigned tcg_run(void *cpu, const TcgRegion *region);

/* Leaves tcg_run() from inside a helper called with IR_CALL_MAY_RAISE. */
void tcg_unwind(void *cpu, unsigned result) G_GNUC_NORETURN;

/* --- regions ----------------------------------------------------------- */

/*
 * The region for (ip, key), or NULL.  No lock taken.  Regions found before by
 * this CPU may be gone after it.
 */
TcgRegion *tcg_lookup(void *cpu, uint64_t ip, uint64_t key);
/* The same from inside TcgConfig.resolve: nothing becomes invalid. */
TcgRegion *tcg_peek(void *cpu, uint64_t ip, uint64_t key);
/* Forgets what accesses of generated code know of the CPU's TLB; on its
 * thread, not while an access is under way. */
void tcg_clear_sites(void *cpu);
/* Offset in the CPU structure of a SoftTlbSite for code to be made. */
ptrdiff_t tcg_new_site(unsigned tlb, bool store);
/* The CPU holds no region: call before leaving the run loop. */
void tcg_quiesce(void *cpu);

/* A range of guest code a region was made from. */
typedef struct TcgRange {
    uint64_t start, end;
} TcgRange;

/*
 * Compiles and publishes.  Replaces an older region of the same (ip, key):
 * that is not found any more, but calls under way come back to it.
 * fault_info: a word for each fault index, copied (the bundle's address, say).
 * NULL when the region is too large (retry with less), or when the code cache
 * waits for other CPUs to leave old code (let the interpreter run meanwhile).
 */
TcgRegion *tcg_compile(Ir *ir, TcgTier tier, const TcgRange *ranges,
                       unsigned n_ranges, const uint64_t *fault_info,
                       unsigned n_fault_info);

/* Patches the jump that TcgCpu.chain_slot names to go to region. */
void tcg_chain(void *cpu, TcgRegion *region);

/* Forgets regions that overlap the range; the whole cache with (0, MAX).
 * True when something was dropped. */
bool tcg_invalidate(uint64_t start, uint64_t end);
/* Does any region's code overlap [start, end)?  No lock. */
bool tcg_code_in_range(uint64_t start, uint64_t end);

uint64_t tcg_region_ip(const TcgRegion *region);
uint64_t tcg_region_key(const TcgRegion *region);
TcgTier tcg_region_tier(const TcgRegion *region);

/* --- faults ------------------------------------------------------------ */

/*
 * For a signal handler: if the interrupted context is generated code at a
 * guest access, writes dirty globals home, redirects the context so that
 * tcg_run() returns TCG_EXIT_FAULT, and returns true.
 */
bool tcg_handle_fault(void *ucontext, uintptr_t host_address, bool write);
/* Details of the fault that ended the last tcg_run() on this CPU. */
const TcgFault *tcg_fault(void *cpu);

typedef struct TcgStats {
    uint64_t regions, bundles, ir_ops, host_bytes, flushes, invalidated;
    uint64_t compile_ns;
    uint64_t full_regions; /* of regions: those of TCG_TIER_FULL */
} TcgStats;

void tcg_get_stats(TcgStats *stats);

#endif
