/*
 * Intermediate code of one region, and the functions that build it.
 *
 * A region is a list of operations over virtual registers (vregs), with
 * labels and branches inside and exits that leave it:
 *
 *      add    t5, %r1, %r2          vregs: temporaries, constants and
 *      gld8   t6, [%r3 + 8] #4      "globals", which are guest state with
 *      mov    %r0, t5               a home in memory
 *      brcond ltu4 t6, $10 -> L1
 *      goto_region @0               exits write the changed globals home
 *   L1:
 *      goto_region @1
 *
 * Vregs are mutable, not SSA: a temporary may be assigned on several paths.
 * A temporary must be assigned before it is used on every path.
 *
 * Globals hold guest state inside the region in host registers.  Their homes
 * are brought up to date at exits, at sync and helper calls that read state,
 * and - through side tables, at no run-time cost - when a guest access
 * faults.  A fault therefore sees each global as it is at that point of the
 * list: to make a bundle all-or-nothing, compute into temporaries, make the
 * accesses, then assign the globals.
 *
 * Two globals may share memory only if they are predicates of one word
 * (ir_global_bits); everything else that overlaps needs sync and reload.
 *
 * Building never fails in the middle: when the region gets too large,
 * ir->overflow is set, further operations are dropped and tcg_compile()
 * refuses; the caller tries again with a smaller region.
 *
 * Threading: an Ir belongs to one thread at a time.
 */
#ifndef TCG_IR_H
#define TCG_IR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

/* Flags of IR_OP rows. */
enum {
    IRF_P = 1 << 0, /* pure */
    IRF_E = 1 << 1, /* side effect */
    IRF_F = 1 << 2, /* may fault at a guest address */
    IRF_T = 1 << 3, /* ends a block */
    IRF_B = 1 << 4, /* branches to a label */
    IRF_L = 1 << 5, /* a label */
    IRF_X = 1 << 6, /* leaves the region */
    IRF_R = 1 << 7, /* reads memory or modes: removable, not shared or moved */
    IRF_G = 1 << 8, /* guarded: pure but must not be moved upwards */
    IRF_V = 1 << 9, /* an IR_VEC row */
};

/* Flags of IR_VEC rows; the top byte is the ModRM extension of IRV_SH. */
enum {
    IRV_I = 1 << 0,
    IRV_G32 = 1 << 1,
    IRV_G64 = 1 << 2,
    IRV_S32 = 1 << 3,
    IRV_S64 = 1 << 4,
    IRV_SH = 1 << 5,
    IRV_C = 1 << 6,
    IRV_FP = 1 << 7, /* reads the rounding mode, may set flags in MXCSR */
};

typedef enum IrOpcode {
#define IR_OP(name, ...) IR_##name,
#define IR_VEC(name, ...) IR_##name,
#include "tcg/ir-ops.def"
#undef IR_OP
#undef IR_VEC
    IR_OPCODES
} IrOpcode;

typedef struct IrOpInfo {
    const char *name;
    const char *text;
    uint8_t n_dst, n_src;
    uint16_t flags;       /* IRF_... */
    uint8_t prefix, map, opcode; /* IRF_V */
    uint32_t vec;         /* IRV_... */
} IrOpInfo;

extern const IrOpInfo ir_op_infos[IR_OPCODES];

/* Conditions.  O and S look at a - b as the host's flags do. */
typedef enum IrCond {
    IR_EQ, IR_NE,
    IR_LT, IR_GE, IR_LE, IR_GT,     /* signed */
    IR_LTU, IR_GEU, IR_LEU, IR_GTU, /* unsigned */
    IR_TSTEQ, IR_TSTNE,             /* (a & b) == 0, != 0 */
    IR_O, IR_NO,                    /* signed overflow of a - b */
    IR_S, IR_NS,                    /* sign of a - b */
    IR_UN,                          /* fsetcond: unordered */
    IR_CONDS
} IrCond;

static inline IrCond ir_cond_invert(IrCond cond) /* not for IR_UN */
{
    return (IrCond)(cond ^ 1);
}

typedef enum IrType {
    IR_I64,
    IR_V128,
} IrType;

typedef enum IrKind {
    IR_TEMP,
    IR_CONST,
    IR_GLOBAL,
    IR_PINNED, /* lives in a fixed host register for good */
    IR_MEMORY, /* made by passes: CPU state in place, see opt-memory.c */
    IR_KIND_NONE,
} IrKind;

/* A vreg; 0 is none. */
typedef uint16_t IrReg;
#define IR_NONE ((IrReg)0)

enum {
    IR_MAX_VREGS = 16384,
    IR_MAX_OPS = 65536,
    IR_MAX_ARGS = 6,
    IR_MAX_PINNED = 3,
    IR_MAX_EXITS = 4096,
};

typedef struct IrVreg {
    uint8_t kind;      /* IrKind */
    uint8_t type;      /* IrType */
    uint8_t home_size; /* GLOBAL: bytes of the home, 1, 2, 4, 8, 16 */
    uint8_t class;     /* GLOBAL: 0..31, for masks of sync, reload, calls */
    uint8_t bit_pos;   /* GLOBAL of a bit field: position in a 64-bit home */
    uint8_t bit_len;   /* 0: not a bit field */
    bool through;      /* GLOBAL: assignments go home at once (allocator) */
    IrReg base;        /* GLOBAL: pinned vreg the home is relative to */
    int32_t offset;    /* GLOBAL: of the home, from base */
    uint64_t value;    /* CONST */
    const char *name;  /* GLOBAL, PINNED: for dumps; static or arena */
} IrVreg;

typedef struct IrOp {
    uint8_t opcode; /* IrOpcode */
    uint8_t width;  /* bytes */
    uint8_t cond;   /* IrCond, or the scale of gld and gst */
    uint8_t unused;
    IrReg dst;
    IrReg src[4];
    uint16_t unused2;
    uint32_t aux;   /* label, exit, call or fault index */
    int64_t imm;
} IrOp;

/* Effects of a helper call. */
enum {
    IR_CALL_PURE = 1 << 0,      /* result depends on arguments only */
    IR_CALL_MAY_RAISE = 1 << 1, /* may leave by tcg_unwind(): state is synced */
    IR_CALL_RET_V128 = 1 << 2,
};

typedef struct IrCall {
    void *function;
    const char *name;
    uint8_t n_args;
    uint8_t flags;      /* IR_CALL_... */
    IrReg args[IR_MAX_ARGS];
    uint32_t reads;     /* classes of globals it looks at in their homes */
    uint32_t writes;    /* classes it may change there */
} IrCall;

/* A way out of the region. */
typedef struct IrExit {
    uint64_t ip, key;   /* the region to go to */
    uint64_t ret_ip;    /* call_region: what the return must pass */
    uint64_t ret_check;
    uint64_t call_info; /* for TcgConfig.lost_call */
    uint64_t facts;     /* what holds there, for ir_entry() */
    IrReg flag_base;    /* see ir_call_flag(); none: IR_NONE */
    uint8_t flag_mask;
    uint32_t kept_bytes; /* see ir_call_keeps() */
} IrExit;

typedef struct Arena Arena;

typedef struct Ir {
    IrVreg *vregs;
    unsigned n_vregs;
    IrOp *ops;
    unsigned n_ops, max_ops;
    IrCall *calls;
    unsigned n_calls, max_calls;
    IrExit *exits;
    unsigned n_exits, max_exits;
    unsigned n_labels;
    bool overflow;
    IrReg cpu;                   /* the pinned CPU pointer */
    uint64_t ip, key;            /* what the region is */
    unsigned tlb;                /* number of the SoftTlb its accesses use */
    unsigned n_bundles;          /* for statistics */
    uint64_t call_info;          /* of the next call_region */
    uint64_t facts;              /* of the next exit to a known region */
    IrReg flag_base;             /* of the next call */
    uint8_t flag_mask;
    uint8_t kept_class;
    uint32_t kept_bytes;
    uint32_t entry_label;        /* ir_entry()'s, if entry_needs */
    uint64_t entry_needs;
    /* Constants by hash, for ir_const(). */
    IrReg *const_table;
    unsigned const_mask, n_consts;
    Arena *arena;
    struct IrKept *kept;         /* ir_keep() */
} Ir;

/* The per-thread builder, emptied.  Valid until the next call. */
Ir *ir_begin(uint64_t ip, uint64_t key);

/* Zeroed memory that lives as long as the region made from ir, for what its
 * code points to; freed with the next ir_begin() if there is none. */
void *ir_keep(Ir *ir, size_t bytes);
void ir_kept_free(struct IrKept *kept);

/* --- vregs ------------------------------------------------------------- */

IrReg ir_temp(Ir *ir);
IrReg ir_temp_v128(Ir *ir);
IrReg ir_const(Ir *ir, uint64_t value);
/* The CPU pointer and the other pinned state, by index in TcgConfig. */
static inline IrReg ir_cpu(const Ir *ir)
{
    return ir->cpu;
}
IrReg ir_pinned(Ir *ir, unsigned index);
/*
 * Declares a global of size_bytes (1, 2, 4, 8: zero-extended; 16: V128) at
 * [base + offset], base ir_cpu() or ir_pinned().  Declare each once.
 */
IrReg ir_global(Ir *ir, IrReg base, int32_t offset, unsigned size_bytes,
                unsigned class, const char *name);
/*
 * A field of bits [pos, pos + len) of the 64-bit word at [base + offset]: its
 * value is 0 .. (1 << len) - 1 (the builder's duty).
 */
IrReg ir_global_bits(Ir *ir, IrReg base, int32_t offset, unsigned pos,
                     unsigned len, unsigned class, const char *name);
bool ir_is_const(const Ir *ir, IrReg reg, uint64_t *value);

/* --- operations -------------------------------------------------------- */

/* Appends; the general form behind the functions below. */
IrOp *ir_emit(Ir *ir, IrOpcode opcode, unsigned width, IrReg dst, IrReg a,
              IrReg b, IrReg c, IrReg d);

/* d = op(a), op(a, b); the 0-suffixed forms make and return a temporary. */
void ir_op1(Ir *ir, IrOpcode opcode, unsigned width, IrReg d, IrReg a);
void ir_op2(Ir *ir, IrOpcode opcode, unsigned width, IrReg d, IrReg a,
            IrReg b);
IrReg ir_new1(Ir *ir, IrOpcode opcode, unsigned width, IrReg a);
IrReg ir_new2(Ir *ir, IrOpcode opcode, unsigned width, IrReg a, IrReg b);
IrReg ir_new2i(Ir *ir, IrOpcode opcode, unsigned width, IrReg a, uint64_t b);

static inline void ir_mov(Ir *ir, IrReg d, IrReg a)
{
    ir_op1(ir, IR_mov, 8, d, a);
}

/* shld, shrd */
void ir_op3(Ir *ir, IrOpcode opcode, unsigned width, IrReg d, IrReg a,
            IrReg b, IrReg c);
void ir_extract(Ir *ir, IrReg d, IrReg a, unsigned pos, unsigned len);
void ir_sextract(Ir *ir, IrReg d, IrReg a, unsigned pos, unsigned len);
void ir_deposit(Ir *ir, IrReg d, IrReg a, IrReg field, unsigned pos,
                unsigned len);
void ir_setcond(Ir *ir, IrCond cond, unsigned width, IrReg d, IrReg a,
                IrReg b);
void ir_fsetcond(Ir *ir, IrCond cond, unsigned width, IrReg d, IrReg a,
                 IrReg b, bool signals_qnan);
void ir_select(Ir *ir, IrCond cond, unsigned width, IrReg d, IrReg a, IrReg b,
               IrReg if_true, IrReg if_false);

/* Host memory: CPU state and tables. */
void ir_ld(Ir *ir, unsigned width, IrReg d, IrReg base, int32_t offset);
void ir_st(Ir *ir, unsigned width, IrReg base, int32_t offset, IrReg value);

/* d = ++*counter, which lives as long as the region (not atomic). */
void ir_bump(Ir *ir, IrReg d, uint32_t *counter);

/* Guest memory; fault is the index reported in TcgFault. */
void ir_gld(Ir *ir, unsigned width, IrReg d, IrReg base, IrReg index,
            unsigned scale, int32_t offset, uint32_t fault);
void ir_gst(Ir *ir, unsigned width, IrReg base, IrReg index, unsigned scale,
            int32_t offset, IrReg value, uint32_t fault);

/* Vectors: width of the result is that of d's type. */
void ir_vec1(Ir *ir, IrOpcode opcode, IrReg d, IrReg a, unsigned imm);
void ir_vec2(Ir *ir, IrOpcode opcode, IrReg d, IrReg a, IrReg b,
             unsigned imm);

void ir_sync(Ir *ir, uint32_t classes);
void ir_sync_global(Ir *ir, IrReg global);
void ir_reload(Ir *ir, uint32_t classes);
/* The same after a call, of what ir_call_keeps() does not keep. */
void ir_reload_after_call(Ir *ir, uint32_t classes, unsigned class,
                          uint32_t kept_bytes);
void ir_reload_global(Ir *ir, IrReg global);

/*
 * d (or IR_NONE) = function(args...): 64-bit integer arguments, ir_cpu()
 * included when wanted; a V128 argument passes in an SSE register.
 */
void ir_call(Ir *ir, IrReg d, void *function, const char *name,
             unsigned flags, uint32_t reads, uint32_t writes, unsigned n_args,
             const IrReg *args);

/* --- control flow ------------------------------------------------------ */

uint32_t ir_new_label(Ir *ir);
void ir_label(Ir *ir, uint32_t label);
/* The same; the block is placed after the region's other code. */
void ir_label_cold(Ir *ir, uint32_t label);
void ir_br(Ir *ir, uint32_t label);
void ir_brcond(Ir *ir, IrCond cond, unsigned width, IrReg a, IrReg b,
               uint32_t label);

/*
 * The region's second entry: operations before it test things that hold for
 * sure when all facts in needs (not 0) do, and jumps from where they hold
 * come here.  Nothing before it but tests of CPU state.
 */
void ir_entry(Ir *ir, uint64_t needs);
/* What holds at the next goto_region or call_region: a set of 64 facts that
 * only the builder knows the meaning of. */
void ir_facts(Ir *ir, uint64_t facts);

/* Leaves for the region (ip, key): a jump that is patched to go directly. */
void ir_goto_region(Ir *ir, uint64_t ip, uint64_t key);
/* Leaves for the region (ip, key) through the inline target cache. */
void ir_goto_dynamic(Ir *ir, IrReg ip, IrReg key);
/*
 * Calls the region (ip, key).  Globals are written home before and forgotten
 * after; temporaries do not survive.  Execution goes on after this operation
 * when the callee's ir_ret() passes ret_ip and ret_check (which is not looked
 * at when it is 0); when something else is passed, or the host stack was lost in between, tcg_run() returns
 * TCG_EXIT_LOOKUP with next_key TCG_KEY_UNKNOWN.
 */
void ir_call_region(Ir *ir, uint64_t ip, uint64_t key, uint64_t ret_ip,
                    uint64_t ret_check);
/*
 * ir_ret() may pass ret_ip + IR_RET_FLAG: something may not be as it should
 * be.  The call that comes next cares when base (pinned) is not none: then,
 * with the flag, the byte there must have no bit of mask set when the callee
 * returns, or the return misses.
 */
enum { IR_RET_FLAG = 2 };
/* When the call that comes next returns, globals of one class whose homes are
 * below so many bytes from their base have not changed. */
void ir_call_keeps(Ir *ir, unsigned class, uint32_t bytes);
void ir_call_flag(Ir *ir, IrReg base, uint8_t mask);
/* What TcgConfig.lost_call is told of the call that comes next. */
void ir_call_info(Ir *ir, uint64_t info);
/* The same for a callee known at run time only. */
void ir_call_dynamic(Ir *ir, IrReg ip, IrReg key, uint64_t ret_ip,
                     uint64_t ret_check);
void ir_ret(Ir *ir, IrReg ip, IrReg check);
/* Leaves generated code: tcg_run() returns result; ip (or IR_NONE) is stored
 * at TcgConfig.ip_offset. */
void ir_exit(Ir *ir, unsigned result, IrReg ip);

/* --- looking at it ----------------------------------------------------- */

void ir_dump(const Ir *ir, FILE *to);
/* Checks structure; NULL, or a static description of the first fault. */
const char *ir_validate(const Ir *ir, unsigned *at_op);

static inline bool ir_op_is(const IrOp *op, unsigned flags)
{
    return ir_op_infos[op->opcode].flags & flags;
}

#endif
