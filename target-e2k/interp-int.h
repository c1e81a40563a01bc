/*
 * Inside of the reference interpreter.
 *
 * One bundle is executed in the phases of semantics.md section 1 by
 * interp.c and interp-control.c; the meaning of each operation is one small
 * function per semantic family, interp_<family>(), in interp-alu.c,
 * interp-packed.c, interp-fp.c, interp-mem.c, interp-aau.c, interp-state.c.
 *
 *   Interp                        one bundle in flight
 *    |-- c[0..5]  InterpOp        one channel: operands in, result out
 *    |-- clp[]    ClpValue        @p0..@p6
 *    `-- exceptions / late        precise / late exceptions found so far
 *
 * A family function reads c->s1..s3 and sets c->d (or the predicate); it
 * touches no other state.  Poisoning, tags, width rules and the write itself
 * are the core's.  Functions with effects elsewhere (memory, state registers,
 * the array unit) only note them in the InterpOp; the core runs the
 * *_execute() or *_commit() half in the right phase.
 */
#ifndef TARGET_E2K_INTERP_INT_H
#define TARGET_E2K_INTERP_INT_H

#include "target-e2k/bundle.h"
#include "target-e2k/cpu.h"
#include "target-e2k/exec.h"

/*
 * The contents of an operand.  S: low half of lo, zero-extended.  X: mantissa
 * in lo, sign and exponent in hi[15:0].  Q: lo is the even register, hi the
 * odd one.  tag: [3:0] of lo, [7:4] of hi.
 */
typedef struct Value {
    uint64_t lo;
    uint64_t hi;
    uint8_t tag;
} Value;

/* Lanes of a value; the host is little endian. */
typedef union Lanes {
    uint8_t b[16];
    int8_t sb[16];
    uint16_t h[8];
    int16_t sh[8];
    uint32_t w[4];
    int32_t sw[4];
    uint64_t d[2];
    int64_t sd[2];
} Lanes;

enum {
    POISON_BITS = 0x40000000,
};
#define POISON_D UINT64_C(0x4000000040000000)
#define SPECULATIVE_LOAD_PATTERN UINT64_C(0x4AFAFAFA4AFAFAFA)
#define ARRAY_INVALID_PATTERN UINT64_C(0xEAED0F70EAED0F70)

/* What the core has to do for an operation after the family function. */
typedef enum Deferred {
    DEFER_NONE,
    DEFER_LOAD,
    DEFER_STORE,
    DEFER_ARRAY_LOAD,  /* ldaa */
    DEFER_ARRAY_STORE, /* staa */
    DEFER_AAU_WRITE,   /* aaurw */
    DEFER_STATE_WRITE, /* rws, rwd */
    DEFER_GETSP,
} Deferred;

typedef struct InterpOp {
    const AlcOp *op;
    const AlcOp *pair;    /* upper half of a register-pair operation */
    const InsnRow *row;
    uint8_t channel;
    bool on;              /* qualified, to be executed */
    bool cond_invalid;    /* ,sm with an invalid qualifying predicate */
    uint8_t invalid;      /* bit i: source i + 1 has a tag */
    bool poison;          /* the result becomes diagnostic */
    bool drop;            /* nothing is written (late exception, fault) */
    bool keep_upper;      /* 32-bit result that WD.dbl does not extend */
    bool pred;            /* result of a compare */
    uint8_t defer;        /* Deferred */
    Value s1;
    Value s2;
    Value s3;             /* also the value of a store */
    Value d;
    /* Memory accesses. */
    uint64_t address;
    uint8_t size;         /* bytes, 1..16 */
    bool big_endian;
    bool tagged;          /* moves the tags as well */
    bool incr_on;         /* array increment qualified */
    uint16_t byte_mask;   /* of masked stores; 0xffff otherwise */
} InterpOp;

static inline Lanes lanes_of(Value v)
{
    Lanes l;

    l.d[0] = v.lo;
    l.d[1] = v.hi;
    return l;
}

static inline void set_lanes(InterpOp *c, Lanes l)
{
    c->d.lo = l.d[0];
    c->d.hi = l.d[1];
}

typedef struct ClpValue {
    bool value;
    bool invalid;
} ClpValue;

enum { CLP_ANDP = 0, CLP_LANDP = 1, CLP_MOVEP = 3 };

typedef struct Interp {
    E2kCpu *cpu;
    const Bundle *b;
    unsigned isa;
    uint8_t wsz;            /* after the bundle's setwd, in pairs */
    bool dbl;
    bool loop_end;          /* at the start of the bundle */
    bool mlock;
    bool has_mlock_branch;
    bool stop_stores;       /* a fault: later stores are not done */
    uint32_t fp_flags;      /* to be ORed into PFPFR */
    uint32_t x87_flags;     /* into FPSR */
    uint8_t strmd;          /* LSR.strmd as the bundle's stores use it up */
    uint8_t n_pending;      /* accesses in cpu->resume */
    CpuExit exit;           /* CPU_EXIT_DEBUG: go on */
    bool taken;             /* the transfer, once decided */
    bool decided;
    uint64_t exceptions;    /* precise, by TIR.hi bit */
    uint64_t late;
    uint8_t channels;       /* that raised them */
    uint64_t next_ip;
    uint64_t aau_program;   /* address of the program bap starts */
    InterpOp c[BUNDLE_CHANNELS];
    ClpValue clp[7];
    ClpValue mlp_condition[3];
    ClpValue mlp_value[3];
    Value mova[BUNDLE_MOVA_CHANNELS];
} Interp;

typedef void InterpFn(Interp *in, InterpOp *c);

/* A decoded bundle and what prepare_entry() found out about it. */
typedef struct CodeEntry {
    uint64_t ip;
    uint32_t generation;  /* of the code; 0: not valid */
    uint32_t epoch;       /* cpu->code_epoch it was decoded in */
    DecodeError error;
    uint8_t n_ops;        /* operations, register pairs counted once */
    uint8_t channel[BUNDLE_CHANNELS];
    uint8_t pair[BUNDLE_CHANNELS];      /* channel of the upper half, or 0 */
    bool own_check[BUNDLE_CHANNELS];
    bool needs_fp[BUNDLE_CHANNELS];
    InterpFn *fn[BUNDLE_CHANNELS];
    int16_t max_src;      /* highest %r read, -1: none */
    int16_t max_dst;      /* highest %r written */
    int16_t max_based;    /* highest %b */
    bool has_mova;
    bool has_array;       /* mova, staa, ldaa */
    bool has_plu;
    bool writes_ctpr;     /* movtd and its kin to %ctprN */
    bool simple_end;      /* no SS, no CS operations */
    Bundle b;
} CodeEntry;

/* Function of each InsnId, from the table's family column. */
extern InterpFn *const interp_fns[INSN_COUNT];

/* Families that look at their operands' tags themselves. */
bool interp_checks_itself(InsnId insn);
/* Families that need UPSR.fe. */
bool interp_needs_fp(InsnId insn);

/* Notes a precise exception of channel c (NULL: of the bundle). */
static inline void interp_raise(Interp *in, const InterpOp *c, Exception e)
{
    in->exceptions |= UINT64_C(1) << e;
    if (c) {
        in->channels |= 1 << c->channel;
    }
}

/* Notes an exception that leaves the bundle's other effects in place. */
static inline void interp_raise_late(Interp *in, InterpOp *c, Exception e)
{
    in->late |= UINT64_C(1) << e;
    in->channels |= 1 << c->channel;
    c->drop = true;
}

/* An operand with a tag: traps, or poisons the result under ,sm. */
static inline void interp_invalid_operand(Interp *in, InterpOp *c)
{
    if (c->op->speculative) {
        c->poison = true;
    } else {
        interp_raise(in, c, EXC_DIAG_OPERAND);
    }
}

static inline bool interp_is_wide(const InterpOp *c)
{
    return c->row->dst == WIDTH_D;
}

static inline uint64_t sext32(uint64_t value)
{
    return (int64_t)(int32_t)value;
}

/* interp.c */
RegSlot *interp_slot(E2kCpu *cpu, const Operand *o, uint8_t **tag);
void interp_write(E2kCpu *cpu, const Operand *o, const Operand *upper,
                  unsigned width, Value v, bool dbl);
/* The merge condition; notes the consequences of an invalid one. */
bool interp_merge_condition(Interp *in, InterpOp *c);
/* Value of OR/AND conditions; *invalid: a predicate that matters has a tag. */
bool interp_conditions(const E2kCpu *cpu, const Cond *conds, unsigned n,
                       bool *invalid);

/* Physical predicate of %pred<n>; state.md 1.4. */
static inline unsigned interp_pred_index(const E2kCpu *cpu, unsigned n)
{
    if (n > cpu->psz) {
        return n;
    }
    unsigned i = cpu->pcur + n;
    return i > cpu->psz ? i % (cpu->psz + 1) : i; /* pcur may be anything */
}

static inline bool interp_pf_value(const E2kCpu *cpu, unsigned n)
{
    return cpu->pf >> (2 * interp_pred_index(cpu, n)) & 1;
}

static inline bool interp_pf_invalid(const E2kCpu *cpu, unsigned n)
{
    return cpu->pf >> (2 * interp_pred_index(cpu, n) + 1) & 1;
}

/* interp-code.c: the decoded bundle at cpu->ip, or NULL with *exc set. */
CodeEntry *interp_code_lookup(E2kCpu *cpu, Exception *exc);

/* interp-plu.c */
void interp_plu(Interp *in);
void interp_plu_write(Interp *in);
void interp_set_pred(E2kCpu *cpu, unsigned n, bool value, bool invalid);

/* interp-control.c */
void interp_check_transfer(Interp *in);
void interp_end_of_bundle(Interp *in);

/* interp-alu.c */
uint64_t interp_extract_field(unsigned isa, uint64_t s1, uint64_t s2,
                              bool wide);

/* interp-state.c: rws, rwd, getsp once it is certain that nothing traps. */
void interp_state_commit(Interp *in, InterpOp *c);

/* interp-mem.c */
void interp_memory_execute(Interp *in, InterpOp *c);
/* Bytes in the other order; the bytes that a mask names; the part of a
 * specifier that the memory system sees. */
void interp_reverse_bytes(uint8_t *bytes, unsigned size);
Exception interp_store_masked(E2kCpu *cpu, uint64_t address, unsigned mask,
                              const uint8_t *value);
unsigned interp_system_mas(unsigned mas);
/* Loop-mode suppression of one store; semantics.md 3.4. */
bool interp_store_suppressed(const Interp *in);
/* Plain accesses of any engine part; fill cpu->fault on failure. */
Exception interp_load_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                            unsigned mas, bool speculative, void *value);
Exception interp_store_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                             unsigned mas, const void *value);

/* interp-replay.c: the accesses of a bundle that faulted late; EXC_NONE when
 * all are done. */
Exception interp_replay(E2kCpu *cpu);

/* interp-dam.c: the key of an entry; check consumes it, and tells whether it
 * still guards the access. */
uint8_t interp_dam_key(E2kCpu *cpu, const Operand *dst);
void interp_dam_enter(E2kCpu *cpu, uint8_t key, uint64_t address,
                      unsigned size);
bool interp_dam_check(E2kCpu *cpu, uint8_t key, uint64_t address,
                      unsigned size);
void interp_dam_store(E2kCpu *cpu, uint64_t address, unsigned size);

/* interp-aau.c */
void interp_mova(Interp *in);
void interp_array_advance(Interp *in);
void interp_aau_commit(Interp *in, InterpOp *c);
/* Checks of bap before any effect; starting and stopping the program. */
void interp_bap_check(Interp *in);
void interp_bap(Interp *in);
void interp_eap(Interp *in);
/* An array access whose own condition is false still increments. */
void interp_array_off(Interp *in, InterpOp *c);

#endif
