/*
 * Shared by the files of the code generator.
 *
 *   Ir --cfg_build--> Cfg --opt_run--> Ir' --live_build--> ranges
 *      --regalloc--> locations --x86_emit--> host code + side tables
 *
 * One Compile holds the state of one compilation; everything it points to is
 * in the arena of its Ir.
 */
#ifndef TCG_TCG_INT_H
#define TCG_TCG_INT_H

#include "tcg/arena.h"
#include "tcg/tcg.h"
#include "tcg/x86.h"

extern TcgConfig tcg_config;

static inline bool opt_on(unsigned opt)
{
    return !(tcg_config.disabled & opt);
}

/* --- control flow graph ------------------------------------------------ */

typedef struct Block {
    uint32_t first, end;  /* operations */
    int32_t succ[2];      /* blocks, -1: none */
    uint32_t label;       /* that starts it, or NO_LABEL */
    uint8_t depth;        /* of loops around it */
    bool cold;
    bool back_target;     /* some later block jumps here */
    bool reachable;
    uint64_t *live_in, *live_out;   /* bits by cross number */
    uint64_t *dirty_in;   /* may differ from home */
    uint64_t *gen, *kill; /* of the flow analysis under way */
} Block;

#define NO_LABEL UINT32_MAX

/* A stretch of positions [from, to) in which a vreg holds a value. */
typedef struct Range {
    uint32_t from, to;
    struct Range *next; /* later one */
} Range;

/* Where a vreg is, for the whole region. */
enum {
    LOC_NONE = 0,  /* never used */
    LOC_REG,       /* host register */
    LOC_HOME,      /* global: always in its home */
    LOC_SPILL,     /* temporary: in TcgCpu.spill */
    LOC_CONST,
};

typedef struct VregInfo {
    uint8_t loc;       /* LOC_... */
    int8_t reg;        /* LOC_REG: 0..31 */
    bool wants_vector; /* register class */
    bool cross;        /* lives across blocks: has a bit number */
    uint16_t cross_bit;
    int32_t slot;      /* LOC_SPILL: offset in TcgCpu.spill */
    int32_t block;     /* the only block that names it, or -1 */
    Range *ranges;     /* sorted */
    float weight;      /* memory accesses saved by a register */
    float assigned;    /* how often it is assigned */
    float written;     /* how often it is written home when dirty */
    int16_t hint;      /* vreg that would like the same register */
} VregInfo;

typedef struct Compile {
    Ir *ir;
    Arena *arena;
    TcgTier tier;
    Block *blocks;
    unsigned n_blocks;
    unsigned n_vregs_room; /* tables by vreg made before constants were added */
    int32_t *label_block;
    VregInfo *info;       /* by vreg */
    IrReg *cross;         /* vreg of each cross bit */
    unsigned n_cross;     /* globals come first */
    unsigned n_globals;
    unsigned words;       /* uint64_t in a set of cross bits */
    /*
     * By operation, sets of cross bits or NULL: dirty globals an operation
     * needs (in registers for fault sites, written home by the others);
     * globals whose homes it changes; those of them it must load again.
     */
    uint64_t **need, **forget, **reload;
    uint64_t **may_need;  /* need, before it is narrowed to dirty ones */
    IrReg **call_live;    /* by call index: vregs that live across, 0 ends */
    uint64_t *class_sets; /* 32 sets: globals of each class */
    uint64_t *all_globals;
    uint64_t *checked;    /* a set for each block: bases that need no check
                           * at its start; NULL: none, see guards.c */
    bool too_large;       /* more spills than there are slots */
} Compile;

static inline bool set_has(const uint64_t *set, unsigned bit)
{
    return set[bit / 64] >> (bit % 64) & 1;
}

static inline void set_add(uint64_t *set, unsigned bit)
{
    set[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void set_remove(uint64_t *set, unsigned bit)
{
    set[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

void cfg_build(Compile *c);
void opt_run(Compile *c);
void live_build(Compile *c);
/* Fills checked. */
void guards_find(Compile *c);
/* The effect of an operation on such a set. */
void guards_step(const Compile *c, unsigned i, uint64_t *checked);
IrReg guarded_base(const Compile *c, const IrOp *op);
void regalloc(Compile *c);

/* How often a block runs, relative to the region's entry. */
static inline float block_freq(const Block *block)
{
    static const float by_depth[] = {1, 8, 64, 256};

    return (block->cold ? 0.02f : 1.0f) *
           by_depth[block->depth < 3 ? block->depth : 3];
}

/* Operands of an operation, calls included; returns how many.  room: 8. */
static inline unsigned op_sources(const Ir *ir, const IrOp *op, IrReg *sources)
{
    unsigned n = 0;

    if (op->opcode == IR_call) {
        const IrCall *call = &ir->calls[op->aux];

        for (unsigned i = 0; i < call->n_args; i++) {
            sources[n++] = call->args[i];
        }
        return n;
    }
    if (op->opcode == IR_sync || op->opcode == IR_reload) {
        return 0; /* names a global, does not read it */
    }
    for (unsigned i = 0; i < ir_op_infos[op->opcode].n_src; i++) {
        if (op->src[i]) {
            sources[n++] = op->src[i];
        }
    }
    return n;
}

/* Classes of globals an operation reads from or writes to their homes. */
void op_classes(const Ir *ir, const IrOp *op, uint32_t *reads,
                uint32_t *writes);

/* --- regions and the code cache ---------------------------------------- */

/* A jump that leaves a region for a known (ip, key). */
typedef struct TcgSlot {
    uint64_t ip, key;    /* first: read by generated code */
    uint8_t *jump;       /* its 4-byte displacement, executable view */
    uint8_t *stub;       /* what it jumps to when not chained */
    TcgRegion *owner;
    TcgRegion *target;   /* or NULL */
    struct TcgSlot *next_in; /* others that jump to target */
    uint64_t facts;      /* IrExit.facts */
    bool is_call;
} TcgSlot;

/* Where a guest call comes back to. */
typedef struct TcgLanding {
    uint8_t *spoil;      /* byte to change so that returns miss (executable) */
    uint32_t host;       /* offset of the host's return address in the code */
    uint64_t info;       /* IrExit.call_info */
} TcgLanding;

enum { FAULT_REGS_MAX = 28 };

/* Registers that hold dirty globals. */
typedef struct FaultGlobal {
    int8_t reg;
    uint8_t size;
    uint8_t bit_pos, bit_len;
    int8_t base;         /* host register of the base */
    int32_t offset;
} FaultGlobal;

typedef struct FaultSite {
    uint32_t host;       /* offset of the faulting instruction in the code */
    uint32_t fault;      /* index into fault_info */
    uint32_t map;        /* first of its FaultGlobals */
    uint16_t n_map;
    uint8_t width;
    bool is_store;
    int8_t base, index;  /* host registers of the address, or X86_NO_REG */
    uint8_t scale;
    int32_t disp;
} FaultSite;

struct TcgRegion {
    uint64_t ip, key;
    void *code;          /* executable view */
    uint32_t code_bytes;
    uint32_t entry;      /* offset of the second entry; see ir_entry() */
    uint64_t entry_needs; /* facts; 0: there is none */
    uint8_t tier;        /* TcgTier */
    bool replaced;       /* not in the table any more: only returns come here */
    bool dead;           /* the same, and nothing comes here */
    uint8_t segment;
    TcgRegion *hash_next;
    TcgRegion *segment_next;
    TcgSlot *incoming;   /* slots of other regions that jump here */
    TcgSlot *slots;
    unsigned n_slots;
    TcgLanding *landings; /* by host */
    unsigned n_landings;
    FaultSite *faults;   /* sorted by host */
    unsigned n_faults;
    FaultGlobal *fault_globals;
    uint64_t *fault_info;
    unsigned n_fault_info;
    TcgRange *ranges;
    unsigned n_ranges;
    struct IrKept *kept; /* ir_keep() */
};

/* What x86_emit() produces beside code; in the arena. */
typedef struct Emitted {
    uint8_t *code;       /* executable view */
    unsigned bytes;
    unsigned entry;      /* offset of the second one */
    TcgSlot *slots;
    unsigned n_slots;
    TcgLanding *landings;
    unsigned n_landings;
    FaultSite *faults;
    unsigned n_faults;
    FaultGlobal *fault_globals;
    unsigned n_fault_globals;
} Emitted;

/* False: no room before end (writable view), or too many spills. */
bool x86_emit(Compile *c, uint8_t *start, uint8_t *end, ptrdiff_t exec_delta,
              TcgSlot *slots, Emitted *out, bool *no_room);

/* The same address with several keys takes several entries. */
static inline unsigned jump_cache_key(uint64_t key)
{
    return (key * UINT64_C(0x9e3779b97f4a7c15) >> 40) % TCG_JUMP_CACHE;
}

static inline unsigned jump_cache_slot(uint64_t ip, uint64_t key)
{
    return ((ip >> 3) ^ jump_cache_key(key)) % TCG_JUMP_CACHE;
}

/* Fixed pieces of code, executable view. */
typedef struct TcgThunks {
    unsigned (*enter)(void *cpu, const void *code);
    uint8_t *leave;      /* eax: result */
    uint8_t *unchained;  /* rax: TcgSlot */
    uint8_t *dynamic;    /* rax: ip, rdx: key */
    uint8_t *return_miss; /* rax: ip; the host's return address is popped */
    uint8_t *return_jump; /* rax: ip; not popped */
    uint8_t *fault;
    uint8_t *slow_access; /* called; TcgCpu.slow_address, edx: width,
                           * ecx: a store; all other registers survive */
    uint8_t *unwind;     /* rdi: cpu, esi: result */
} TcgThunks;

extern TcgThunks tcg_thunks;

/* The access whose call of slow_access returns to pc was refused. */
void tcg_slow_fault(void *cpu, const void *pc);
/* For each return address from sp up to host_sp: TcgConfig.lost_call. */
void tcg_lost_calls(void *cpu, const uint64_t *sp);

/* Code for next_ip and next_key, chained if there is a slot; or NULL. */
const void *tcg_resolve(void *cpu);

/* Writes the thunks; returns the bytes used. */
size_t x86_emit_thunks(uint8_t *write, ptrdiff_t exec_delta);

/* Host registers of the CPU pointer and pinned state. */
static const int8_t x86_pinned_regs[IR_MAX_PINNED] = {RBX, R12, R13};

/* Names code for perf(1), when asked for. */
void perf_init(void);
void perf_forked(void);
bool perf_on(void);
void perf_add(const char *name, const void *code, size_t bytes);

void tcg_dump_host(const char *title, const uint8_t *code, size_t bytes);

#endif
