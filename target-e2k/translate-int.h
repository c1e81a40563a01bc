/*
 * The translator's own view of a region; private to target-e2k.
 *
 *   key --region_discover()--> nodes --trans_region()--> IR --tcg--> host code
 *
 * A node is one bundle in one geometry.  The same bundle appears as several
 * nodes when it is reached in several rotations: that is how a
 * software-pipelined loop is unrolled over its rotation period.
 */
#ifndef TARGET_E2K_TRANSLATE_INT_H
#define TARGET_E2K_TRANSLATE_INT_H

#include "target-e2k/translate.h"
#include "tcg/tcg.h"

/* The tags of the predicate file. */
#define PF_INVALID_BITS UINT64_C(0xaaaaaaaaaaaaaaaa)

enum {
    REGION_MAX_NODES = 192,
    REGION_QUICK_NODES = 64, /* in the first tier */
    REGION_MAX_RANGES = 8,
    REGION_IP_HASH = 64,
    WINDOW_REGS = 224,
    GUEST_REGS = WINDOW_REGS + 32, /* window registers, then globals */
};

/* What is known about a CTPR without looking at it. */
typedef enum CtprKind {
    CTPR_UNKNOWN, /* cpu->ctpr holds it */
    CTPR_EMPTY,
    CTPR_DISP,    /* value: target */
    CTPR_LDISP,
    CTPR_SYSTEM,  /* value: entry number */
    CTPR_RETURN,
} CtprKind;

typedef struct CtprFact {
    CtprKind kind;
    uint64_t value;
} CtprFact;

/* Where control is, as far as it is known at compile time. */
typedef struct Place {
    uint64_t ip;
    Geometry geo;      /* ctpr_empty is not used here, see ctpr */
    CtprFact ctpr[3];
} Place;

typedef enum NodeEnd {
    END_FALL,     /* to the next bundle */
    END_BRANCH,   /* taken or not */
    END_INDIRECT, /* by a register, or a CTPR that only run time knows */
    END_CALL,     /* known target; comes back to next */
    END_CALL_INDIRECT,
    END_RETURN,
    END_SYSTEM,   /* system call */
    END_INTERP,   /* the interpreter executes this bundle */
} NodeEnd;

/* What follows a bundle that has changed what the region was compiled for. */
typedef enum NodeLeave {
    LEAVE_NOT,
    LEAVE_REGION,  /* another region, for the same key */
    LEAVE_TO_C,    /* the dispatcher finds the key */
} NodeLeave;

enum { NODE_NONE = -1, NODE_TARGETS = 16 };

typedef struct Node {
    Place at;
    Place next;        /* not taken */
    Place taken;       /* taken; of a call, the callee's entry */
    Place after_call;  /* where a call's return comes back */
    CtprFact after[3]; /* CTPRs at the end of the bundle */
    NodeEnd end;
    /* END_INDIRECT: where it went in the first tier, as far as code for that
     * is in the region. */
    uint64_t target_ip[NODE_TARGETS];
    int target_node[NODE_TARGETS];
    unsigned n_targets;
    bool conditional;  /* the transfer has a condition */
    NodeLeave leave;   /* the bundle's end, whatever follows it */
    bool steady;       /* see translate-invariant.c */
    bool clean_result; /* a call whose first result has no tag when it
                        * comes back here */
    bool is_target;    /* reached by something other than falling through */
    int next_node;     /* NODE_NONE: leaves the region */
    int taken_node;
    int after_call_node;
    uint64_t fall_ip;  /* address after the bundle */
    int16_t hash_next; /* older node with the same hash of its address */
    Bundle bundle;
} Node;

/* Where it leads to: k from 0 to node_ways() - 1; may be NODE_NONE. */
enum { WAY_NEXT, WAY_TAKEN, WAY_AFTER_CALL, WAY_TARGETS };

static inline unsigned node_ways(const Node *node)
{
    return WAY_TARGETS + node->n_targets;
}

static inline int node_way(const Node *node, unsigned k)
{
    switch (k) {
    case WAY_NEXT:
        return node->next_node;
    case WAY_TAKEN:
        return node->taken_node;
    case WAY_AFTER_CALL:
        return node->after_call_node;
    default:
        return node->target_node[k - WAY_TARGETS];
    }
}

typedef struct Region {
    E2kCpu *cpu;
    RegionKey key;     /* its ip is tagged with the space */
    TcgTier tier;
    uint64_t space;    /* trans_space() */
    unsigned n_nodes;
    Node *nodes;       /* REGION_MAX_NODES */
    TcgRange ranges[REGION_MAX_RANGES]; /* guest bytes translated */
    unsigned n_ranges;
    bool trim_all, trimmed;
    int16_t by_ip[REGION_IP_HASH]; /* newest node by hash of its address */
    unsigned n_joins;
    uint64_t joins[REGION_MAX_NODES]; /* addresses where paths meet */
    Geometry loop_facts; /* vlc, pcnt0, ecnt0 that the entry tests */
    CtprFact ctpr_facts[3]; /* of CTPRs, that the entry tests; or UNKNOWN */
    bool uses_loop;      /* some node looks at the loop counters */
} Region;

/* What failed entry tests have taught about a region; see jit.c. */
typedef struct RegionHistory {
    RegionKey key;
    bool tagged[GUEST_REGS]; /* had a tag at some entry */
    bool vlc_varies, pcnt_varies, ecnt_varies, ctpr_varies;
    bool invariants_vary;
} RegionHistory;

/*
 * Finds the nodes of the region that starts at key, at most max_nodes of
 * them.  Reads guest code through cpu->ops->fetch.  The first node always
 * exists; it is END_INTERP when its bundle cannot be fetched or decoded.
 */
void region_discover(Region *region, unsigned max_nodes);
/* Fills ctpr_facts for a region discovered without; true: discover again. */
bool region_guess_ctprs(Region *region);

/* Can the translator compile this bundle?  Otherwise the interpreter runs
 * it. */
bool trans_bundle_supported(const Region *region, const Node *node);

/* What tcg's instruction pointers have above the guest's. */
static inline uint64_t trans_space(const E2kCpu *cpu)
{
    return (uint64_t)cpu->code_space << CODE_SPACE_SHIFT;
}

/* Does generated code make plain accesses itself? */
static inline bool trans_inline_memory(const E2kCpu *cpu)
{
    return cpu->direct_memory || cpu->soft_tlb;
}

Geometry geometry_of_cpu(const E2kCpu *cpu);
void geometry_to_cpu(E2kCpu *cpu, Geometry geo);

/* Window register number of a based register. */
static inline unsigned geometry_based(Geometry geo, unsigned index)
{
    return 2 * geo.rbs + (2 * geo.rcur + index) % (2 * geo.rsz + 2);
}

/* Physical number of %pred<index>. */
static inline unsigned geometry_pred(Geometry geo, unsigned index)
{
    return index <= geo.psz ? (geo.pcur + index) % (geo.psz + 1) : index;
}

/* ------------------------------------------------------------------------
 * Tags
 *
 * Code is made for operands without tags.  What is known at compile time
 * about the tag bytes of the registers is tracked from node to node; an
 * operand that is not known to be clean is tested before its bundle, and the
 * interpreter executes the bundle when the test fails.
 */

/*
 * Bits of each register's tag byte that are known, what they are, and which
 * of the known ones may differ from the byte in memory: whoever looks at the
 * memory flushes first (tags_flush()).
 */
typedef struct TagState {
    uint8_t known[GUEST_REGS];
    uint8_t value[GUEST_REGS];
    uint8_t stale[GUEST_REGS];
    /* The pinned pointer to the window's tags is so many bytes ahead: a call
     * has come back, and nobody has needed it since.  C makes it anew from
     * the window whenever code is left. */
    int ahead;
} TagState;

typedef struct TagByte {
    uint8_t reg, mask, value;
} TagByte;

/* Tags that C stores when generated code is left: memory was behind. */
typedef struct TagPatch {
    uint32_t n;
    TagByte bytes[GUEST_REGS];
} TagPatch;

typedef struct TagUse {
    uint8_t reg;  /* guest register */
    uint8_t mask; /* bits of its tag byte */
    bool conditional;
    bool dynamic; /* written: the tag is known at run time only */
} TagUse;

enum {
    NODE_MAX_READS = 24,
    NODE_MAX_WRITES = 16,
    TAGS_UNDEFINED = 0x55, /* of registers that setwd brings in */
};

typedef struct TagUses {
    unsigned n_reads, n_writes;
    TagUse reads[NODE_MAX_READS];
    TagUse writes[NODE_MAX_WRITES];
} TagUses;

/* Has the operation a register for its result?  ibranchd and icalld are encoded
 * with one, and leave it alone. */
static inline bool trans_has_result(const InsnRow *row)
{
    return row->dst != WIDTH_NONE && row->dst != WIDTH_PRED &&
           row->dst != WIDTH_STATE && row->sem != SEM_ibranchd &&
           row->sem != SEM_icalld;
}

/* Number of an operand's register in [0, GUEST_REGS); -1: not a register. */
int trans_guest_reg(Geometry geo, const Operand *operand);
void tags_of_node(const Node *node, TagUses *uses);
/* Bits that are number from now on: by a result (written: memory is behind
 * then), or because a test has said so. */
void tags_set_clean(TagState *state, unsigned reg, uint8_t mask, bool written);
bool tags_is_clean(const TagState *state, const TagUse *use);
/*
 * The bits to test for a read.  Where results of 32 bits clear the tag of the
 * whole register, the upper half is tested with the lower: then a result
 * changes nothing.
 */
uint8_t tags_read_mask(const Node *node, const TagState *state,
                       const TagUse *use);

/* Tag bytes of eight registers at once. */
enum { TAG_WORDS = GUEST_REGS / 8 };

static inline uint64_t tag_word(const uint8_t *bytes, unsigned w)
{
    uint64_t word;
    memcpy(&word, bytes + 8 * w, 8);
    return word;
}

/*
 * states[i] becomes what is known before node i.  Returns in guard what the
 * region's entry has to test: registers that are clean now and (history, may
 * be NULL) always were; others are tested where they are used.
 */
void tags_analyse(Region *region, TagState *states,
                  const RegionHistory *history, uint8_t guard[GUEST_REGS]);
/* The effect of a node on what is known; of its setwd alone. */
void tags_after(const Node *node, const TagUses *uses, TagState *state);
void tags_set_window(const Node *node, TagState *state);
/* What remains known when a call has come back. */
void tags_after_call(const Node *node, TagState *state);
/* translate-tagcode.c */
void tags_apply(E2kCpu *cpu, const TagPatch *patch);

/* ------------------------------------------------------------------------
 * From nodes to intermediate code
 */

/* Where generated code left to C, and what was known there. */
typedef struct Site {
    uint64_t ip;
    Geometry geo;
    CtprFact ctpr[3];
    const TagPatch *tags; /* or NULL */
} Site;

/* A call: what of the caller's state is not in memory until somebody may
 * look.  The registers of the patch are the caller's. */
typedef struct CallSite {
    unsigned wbs;
    const TagPatch *tags;    /* or NULL */
    bool lazy_frame;         /* the frame has the raw stack size only, and
                              * waits for these: */
    uint64_t cr1_lo, cr1_hi; /* without CUI and stack size */
} CallSite;

/* cpu->ctpr as it is at the site; window geometry, tags and ip too. */
void site_to_cpu(E2kCpu *cpu, const Site *site);

/* Results of ir_exit(). */
typedef enum TransExit {
    TRANS_EXIT_INTERP, /* the interpreter executes the bundle at the site */
    TRANS_EXIT_STOP,   /* stop_request was seen */
    TRANS_EXIT_GUARD,  /* the entry's tests failed */
    TRANS_EXIT_LOOP,   /* a call has changed the loop counters */
    TRANS_EXIT_STATE,  /* a state register was written */
    TRANS_EXIT_SPLIT,  /* on with the version that has no bases */
} TransExit;

/* Classes of IR globals. */
enum {
    CLASS_WINDOW,
    CLASS_GLOBAL,
    CLASS_PRED,
    CLASS_LOOP,
    CLASS_STACK, /* USD */
    CLASS_ARRAY,
    CLASS_ALL = -1,
};

/* Pinned host registers besides the CPU pointer. */
enum {
    PIN_WIN,
    PIN_TAGS,
    PIN_FRAME,
    PIN_COUNT,
};

/*
 * The predicates' home while generated code runs is where a call would save
 * them, in the frame above the current one: a call copies them on, a return
 * has nothing to do.
 */
#define TRANS_PF_OFFSET (sizeof(ChainFrame) + offsetof(ChainFrame, cr0_lo))
/* Where a lazy frame has the stack size, 32 bits: CR1.hi has it there, but for
 * the four lowest bits. */
#define TRANS_FRAME_SIZE_OFFSET (offsetof(ChainFrame, cr1_hi) + 4)

enum { TRANS_MAX_COLD = 8 * REGION_MAX_NODES };

typedef struct ColdExit {
    uint32_t label;
    TransExit kind;
    const Site *site;
} ColdExit;

/* Byte fields of LSR. */
typedef enum LoopField {
    LOOP_ECNT,
    LOOP_PCNT,
    LOOP_VLC,
    LOOP_OVER,
    LOOP_SEMC,
    LOOP_STRMD,
    LOOP_FIELDS
} LoopField;

/* A condition that may be fused into a branch or a select. */
typedef struct Test {
    IrCond cond;
    uint8_t width;
    IrReg a, b;
} Test;

/* (reg & mask) == value holds in the whole region. */
typedef struct Invariant {
    IrReg reg;
    uint64_t mask, value;
} Invariant;

/* What trans_invariant() does. */
typedef enum InvariantMode {
    INVARIANTS_INLINE,  /* tests before each bundle */
    INVARIANTS_CHECK,   /* looks whether it holds now */
    INVARIANTS_ENTRY,   /* tests at the region's entry */
    INVARIANTS_HOISTED, /* tests only before nodes that are not steady */
} InvariantMode;

typedef struct AauField {
    size_t offset; /* in the CPU */
    IrReg reg;
} AauField;

/* A way on to better code; see translate-tier.c. */
typedef struct Promotion {
    uint32_t label;
    Place place;
    TagState tags;
} Promotion;

enum { TRANS_MAX_PROMOTIONS = 16 };

/* A register that stands for a host address; see translate-base.c. */
typedef struct Base {
    unsigned reg;          /* guest register */
    int32_t first, last;   /* bytes accessed, relative to it */
    bool store;            /* some are written */
    unsigned from;         /* first node that uses the host address */
    ptrdiff_t site;        /* the SoftTlbSite, in the CPU */
    IrReg host;            /* its host address, a temporary */
} Base;

typedef struct BaseFill {
    const Base *base;
    uint32_t label, back, fail;
    IrReg value;
} BaseFill;

enum { TRANS_MAX_BASES = 4 };

typedef struct Trans {
    Region *region;
    E2kCpu *cpu;
    Ir *ir;
    const Node *node;
    TagState *tags;       /* before each node */
    TagState now;         /* at the point of emission */
    IrReg reg[GUEST_REGS]; /* I64, or V128 for the wide ones */
    bool wide[GUEST_REGS]; /* some node uses all 128 bits */
    IrReg pred[32];
    IrReg win, win_tags, frame;
    IrReg lcnt;
    IrReg loop[LOOP_FIELDS];
    IrReg usd_bottom, usd_size;
    AauField aau_fields[128];
    unsigned n_aau_fields;
    IrReg mova[BUNDLE_MOVA_CHANNELS];       /* values read */
    IrReg next_index[BUNDLE_MOVA_CHANNELS];
    bool more_edges;      /* code of another edge follows: no falling through */
    IrReg mlock;          /* the lock was lost, after the bundle's accesses */
    IrReg local;          /* condition on results of this bundle */
    IrReg mxcsr;          /* before the bundle's floating point */
    IrReg suppressed;     /* stores of a loop_mode bundle are off; or none */
    IrReg target;         /* of the node's indirect transfer */
    IrReg ctpr_source;    /* what movtd writes to a CTPR */
    uint32_t label[REGION_MAX_NODES];
    const Site *site;     /* of the current node, made when first wanted */
    const TagPatch *patch; /* made last */
    uint32_t interp_label; /* exit to the interpreter of the current node */
    InvariantMode invariants;
    bool invariants_hold;
    uint32_t invariant_label;
    Invariant hoisted[64];
    unsigned n_hoisted;
    unsigned n_cold;
    Base bases[TRANS_MAX_BASES];
    unsigned n_bases;
    BaseFill base_fills[TRANS_MAX_BASES * REGION_MAX_NODES / 4];
    unsigned n_base_fills;
    unsigned n_faults;
    unsigned n_promotions;
    /* Not cleared. */
    Promotion promotions[TRANS_MAX_PROMOTIONS];
    ColdExit cold[TRANS_MAX_COLD];
    uint64_t fault_info[8 * REGION_MAX_NODES];
} Trans;

/*
 * One channel while its bundle is translated.  Of an operation on a register
 * pair, the channel of the upper half has a TransOp too, which only holds its
 * operands and result.
 */
typedef struct TransOp {
    const AlcOp *op;
    const InsnRow *row;
    IrReg a, b, c;  /* sources */
    IrReg out;      /* where the result goes */
    int dst;        /* guest register, -1: none */
    bool direct;    /* out is the register itself */
    bool wide;      /* out is V128 */
    bool qualified; /* under cond */
    Test cond;
    bool passive;   /* the upper half of a pair */
    bool early;     /* computed before the bundle's memory accesses */
    struct TransOp *pair; /* upper half */
    IrReg address;  /* of a segment access; else none */
    IrReg incr_on;  /* condition of the array increment, or none */
    IrReg tag;      /* puttag: the new tag, or none */
} TransOp;

/* Emits the operation: sources a, b, c to out; out is assigned last. */
typedef void TransFn(Trans *t, TransOp *o);

/* translate-alc.c */
extern TransFn *const trans_fns[SEM_COUNT];
bool trans_alc_supported(const Region *region, const Node *node,
                         const AlcOp *op);
/* Loads, stores, array accesses. */
bool trans_is_access(const InsnRow *row);
/* Needs UPSR.fe and leaves flags: 32 and 64 bits. */
bool trans_is_sse(const InsnRow *row);
/* Emitted under its condition, because it does more than assign its result;
 * emitted before the accesses. */
bool trans_has_effects(const InsnRow *row);
/* Tests that must hold before the bundle has any effect. */
void trans_alc_check(Trans *t, TransOp *o);

/* translate-mem.c */
void trans_load(Trans *t, TransOp *o);
void trans_store(Trans *t, TransOp *o);
/* Tests before the bundle has any effect. */
void trans_mem_check(Trans *t, TransOp *o);
/* Where memory is not at host address 0, the test that an access is in it;
 * elsewhere the code generator sees to that (guest_end_bit). */
bool trans_is_bounded(const Trans *t);
void trans_bound(Trans *t, IrReg at, unsigned size);
bool trans_memory_supported(unsigned isa, const AlcOp *op);
/* A store that ends an atomic bracket: not to be executed twice. */
bool trans_ends_lock(unsigned isa, const AlcOp *op);
/* A datum of size bytes in the other byte order. */
IrReg trans_reversed(Trans *t, IrReg v, unsigned size);
/* A loaded value to its register or pair; what a store writes. */
void trans_deliver(Trans *t, TransOp *o, IrReg v);
IrReg trans_store_data(Trans *t, TransOp *o);

/* What a load has to do with the DAM; semantics.md 5.3. */
typedef enum DamUse { DAM_NOT, DAM_ENTER, DAM_CHECK } DamUse;
DamUse trans_dam_use(unsigned isa, const AlcOp *op);

/* translate-wary.c */
bool trans_becomes_wary(unsigned isa, const Bundle *b);
/* Tests before the bundle has an effect; those of a transfer it makes. */
void trans_wary_check(Trans *t);
void trans_wary_transfer(Trans *t);
/* Predicates it has written are valid; a return's all are. */
void trans_wary_commit(Trans *t);
void trans_wary_return(Trans *t);
/* A label for what goes on wary; ordinary code may follow here. */
uint32_t trans_wary_exit(Trans *t);
bool trans_dam_supported(const Region *region, const Node *node);
void trans_dam_enter(Trans *t, const TransOp *o, IrReg address, unsigned size);
uint32_t trans_dam_check(Trans *t, const TransOp *o, IrReg address,
                         unsigned size);
void trans_dam_commit(Trans *t, const TransOp *o);
void trans_dam_store(Trans *t, IrReg address, unsigned size);
bool trans_stores_to_dam(const Trans *t);

/* translate-call.c */
void trans_call(Trans *t, TransOp *o);
bool trans_call_supported(InsnId insn);
bool trans_is_x87(const InsnRow *row);
void trans_x87(Trans *t, TransOp *o);

/* translate-lanes.c */
void trans_lanes(Trans *t, TransOp *o);
bool trans_lanes_supported(InsnId insn);
void trans_pcmp_pred(Trans *t, TransOp *o);
void trans_cctop(Trans *t, TransOp *o);
void trans_fcmp_flags(Trans *t, TransOp *o);

/* translate-sysreg.c */
void trans_rr(Trans *t, TransOp *o);
void trans_rw(Trans *t, TransOp *o);
bool trans_rr_supported(const Node *node, const AlcOp *op);
bool trans_rw_supported(const Node *node, const AlcOp *op);
/* How code goes on after a bundle that writes state registers. */
NodeLeave trans_node_leave(const Bundle *b);
void trans_gettag(Trans *t, TransOp *o);
void trans_puttag(Trans *t, TransOp *o);
void trans_puttag_check(Trans *t, TransOp *o);
/* Around floating point with exceptions that are not masked. */
void trans_fp_begin(Trans *t);
void trans_fp_check(Trans *t);

/* Bytes of a load or store of ordinary memory, 0: it is something else. */
unsigned trans_plain_size(unsigned isa, const AlcOp *op);

/* translate-base.c */
void bases_find(Trans *t);
/* Test the bases that are valid from there on. */
void bases_at_entry(Trans *t, const Place *place);
void bases_after_node(Trans *t, const Place *place);
void bases_after_call(Trans *t, const Place *place);
/* Code of the tests' unusual outcomes; before trans_cold_exits(). */
void bases_cold(Trans *t);
/* The host address to which offset is added, or IR_NONE. */
IrReg base_for_access(Trans *t, const AlcOp *op, int32_t *offset);

/* translate-tier.c */
/* Executions of a first-tier region, or of a loop in it, until the second. */
extern unsigned trans_tier_threshold;
/* Counts arrivals at place, and goes on in the second tier when there have
 * been many. */
void trans_count(Trans *t, const Place *place);
void trans_promotions(Trans *t);
/* Remembers where the node's indirect jump goes, in the first tier. */
void trans_note_target(Trans *t);
/* What was remembered for the jump at ip (with its space), of the same space;
 * returns how many. */
unsigned trans_seen_targets(uint64_t ip, uint64_t targets[NODE_TARGETS]);

/* translate-array.c */
bool trans_array_supported(const Region *region, const Node *node);
bool trans_staa_supported(const Region *region, const AlcOp *op);
void trans_mova_check(Trans *t);
void trans_mova_load(Trans *t);
void trans_mova_commit(Trans *t);
void trans_staa(Trans *t, TransOp *o);
void trans_staa_check(Trans *t, TransOp *o);
void trans_staa_commit(Trans *t, const TransOp *o);
void trans_ldaa(Trans *t, TransOp *o);
bool trans_aau_supported(const Node *node, const AlcOp *op);
void trans_aaurr(Trans *t, TransOp *o);
void trans_aaurw(Trans *t, TransOp *o);
void trans_eap(Trans *t);

/* translate-vec.c */
void trans_vec(Trans *t, TransOp *o);
bool trans_vec_supported(const AlcOp *op);
void trans_fcmp(Trans *t, TransOp *o);
bool trans_fcmp_supported(const AlcOp *op);
void trans_fp_comb(Trans *t, TransOp *o);

/* translate-cond.c */
/* Values of the predicate logic, before anything is assigned; and their
 * assignment. */
void trans_plu(Trans *t, IrReg clp[3], IrReg movep[3]);
void trans_plu_commit(Trans *t, const IrReg clp[3], const IrReg movep[3]);
bool trans_plu_supported(const Bundle *b);
bool trans_condition(Trans *t, Test *test);
bool trans_condition_supported(const Node *node);
/* 1 when LOOP_END holds. */
IrReg trans_loop_end(Trans *t);
/* Tests that the region's facts about the loop counters hold. */
void trans_loop_guard(Trans *t, TransExit kind, const Place *place);
/* alc; goes_on: more than one iteration is left. */
void trans_advance_loop(Trans *t, bool goes_on);
/* translate-invariant.c: the bundle needs (reg & mask) == value, a field that
 * few bundles change. */
void trans_invariant(Trans *t, IrReg reg, uint64_t mask, uint64_t value);
void trans_hoist_invariants(Trans *t, const Place *entry, bool varies);
/* Those of the current node. */
void trans_array_invariants(Trans *t);
void trans_loop_invariants(Trans *t);
/* translate-control.c */
void trans_transfer_check(Trans *t, const Test *condition);
void trans_transfer(Trans *t, const Test *condition);
/* Leaves the region for place; full: for code of the second tier. */
void trans_goto_place(Trans *t, const Place *place, bool full);
/* Tests what the region knows of CTPRs. */
void trans_ctpr_guard(Trans *t, const Place *place);
bool trans_control_supported(const Region *region, const Node *node);

/* translate-tagcode.c */
void tags_emit_guard(Trans *t, const Place *entry,
                     const uint8_t guard[GUEST_REGS]);
/* The facts (ir_facts()) that make the guard unnecessary, and those that hold
 * now in the window that begins at a register of this one. */
uint64_t tags_guard_facts(const uint8_t guard[GUEST_REGS]);
uint64_t tags_facts(const Trans *t, unsigned window);
/* Operands not known to be clean are tested. */
void tags_emit_checks(Trans *t, const TagUses *uses);
/* Tags of results. */
/* The tag bits of a register as they are now, masked. */
IrReg tags_load(Trans *t, unsigned guest_reg, uint8_t mask);
void tags_commit(Trans *t, const TagUses *uses, const TransOp *ops,
                 unsigned n);
/* Brings the tags of guest registers [first, end) up to date in memory. */
void tags_flush(Trans *t, unsigned first, unsigned end);
/* The same for all globals and so many window registers; others are left. */
void tags_flush_visible(Trans *t, unsigned window_regs);
/* Does the way to a node need code for tags?  That code. */
bool tags_edge_is_clean(const Trans *t, int target);
void tags_flush_edge(Trans *t, int target);
/* The pointer to the tags goes where the window does, wbs pairs of registers
 * up or down. */
void tags_move(Trans *t, int wbs);
/* What C has to store when code is left in that state; NULL: nothing. */
const TagPatch *tags_patch(Trans *t, const TagState *state);

/* translate-state.c */
IrReg trans_reg(Trans *t, unsigned guest_reg);
/* The main part of a register. */
IrReg trans_reg_lo(Trans *t, unsigned guest_reg);
IrReg trans_pred(Trans *t, unsigned index);
IrReg trans_lcnt(Trans *t);
IrReg trans_loop_field(Trans *t, LoopField field);
IrReg trans_usd_bottom(Trans *t);
IrReg trans_usd_size(Trans *t);
const Site *trans_site(Trans *t, const Place *place);
const Site *trans_node_site(Trans *t);
void trans_leave_to_c(Trans *t, const Place *place);
Test trans_cond_test(Trans *t, const Cond *conds, unsigned n);
IrReg trans_test_value(Trans *t, const Test *test);
void trans_exit(Trans *t, TransExit kind, const Site *site);
uint32_t trans_interp_exit(Trans *t);
uint32_t trans_cold_exit(Trans *t, TransExit kind, const Place *place);
void trans_cold_exits(Trans *t);
uint32_t trans_fault(Trans *t);
void trans_branch(Trans *t, const Test *test, uint32_t label);
void trans_branch_not(Trans *t, const Test *test, uint32_t label);
static inline IrReg trans_imm(Trans *t, uint64_t value)
{
    return ir_const(t->ir, value);
}

/* translate.c */
/* A whole 64-bit result. */
void trans_write_d(Trans *t, unsigned guest_reg, IrReg value);

/* Leaves register tags out (-accel jit,no-tags), to measure what they cost. */
extern bool trans_without_tags;

/*
 * Translates the region at the CPU's current state; NULL when nothing can be
 * gained (the first bundle belongs to the interpreter).
 */
struct TcgRegion *trans_translate(E2kCpu *cpu, RegionKey key, TcgTier tier,
                                  const RegionHistory *history);

#endif
