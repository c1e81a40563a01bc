/*
 * The x86-64 back end's inside: what its files share.
 *
 *   x86-emit.c   operands, memory, the walk over operations
 *   x86-int.c    integer operations
 *   x86-mem.c    guest memory
 *   x86-soft.c   the same, through the software TLB
 *   x86-exit.c   branches, exits, calls, write-back of globals
 *   x86-vec.c    vectors and floating point
 *   x86-thunk.c  entering and leaving generated code
 *
 * RAX, RCX, RDX and XMM13..15 are scratch within one operation.  Operands
 * come as places: a register, memory (a home or a spill slot) or a constant;
 * use_xxx() brings them where an instruction needs them, def_xxx() and
 * done_xxx() bracket the making of a result.
 */
#ifndef TCG_X86_EMIT_H
#define TCG_X86_EMIT_H

#include <stddef.h>

#include "tcg/tcg-int.h"

enum { VEC_T0 = XMM0 + 13, VEC_T1 = XMM0 + 14, VEC_T2 = XMM0 + 15 };

typedef struct Fixup {
    uint8_t *at;        /* 32-bit displacement */
    uint32_t label;
} Fixup;

/* Where the check of a guest address leads: a fault like the access's. */
typedef struct GuardStub {
    uint8_t *jump;      /* displacement that leads here */
    unsigned site;      /* the access, in Emitted.faults */
} GuardStub;

enum { MOST_GUARDED = 8 };

typedef struct Stub {
    uint8_t *jump;      /* displacement that leads here */
    TcgSlot *slot;      /* unchained exit; NULL: look the target up */
    IrReg key;          /* then */
    bool fresh_stack;   /* first drop the host's return addresses */
} Stub;

/* The way of a return that does not pass just its address. */
typedef struct LandingStub {
    uint8_t *jump;      /* displacement that leads here */
    uint8_t *compare;   /* where the address is looked at */
    const IrExit *exit;
} LandingStub;

/* The way on from a guest access whose slot has another page. */
typedef struct SlowPath {
    uint8_t *jump;      /* displacement that leads there */
    uint8_t *hit;       /* where the page is known */
    uint8_t *back;      /* where the access is done */
    unsigned op;
    int32_t site;       /* the slot, from RBP */
    int address;        /* register with the guest address */
} SlowPath;

/* The most bytes of one. */
enum { SLOW_PATH_ROOM = 256 };

typedef struct Emit {
    X86 x;
    Compile *c;
    Ir *ir;
    VregInfo *info;
    uint8_t *start, *end;
    ptrdiff_t delta;     /* executable view - writable view */
    unsigned op;         /* being emitted */
    unsigned block;
    uint8_t **labels;    /* positions, NULL: not yet */
    Fixup *fixups;
    unsigned n_fixups;
    Stub *stubs;
    unsigned n_stubs;
    SlowPath *slow_paths;
    unsigned n_slow_paths;
    TcgSlot *slots;
    LandingStub *landing_stubs; /* of out->landings */
    GuardStub *guards;
    unsigned n_guards;
    IrReg guarded[MOST_GUARDED]; /* bases checked in this block */
    unsigned n_guarded;
    uint64_t *checked;   /* the same, of vregs that cross blocks; or NULL */
    Emitted *out;
    unsigned flags_op;   /* setcond whose flags are still set, or UINT_MAX */
    unsigned flags_cc;
    unsigned merged_br;  /* a br that the brcond before it has done */
    const uint64_t *last_need; /* of the newest fault map */
    unsigned last_map, last_n_map;
    const uint8_t *word_at; /* RAX holds word_rm if code is still here */
    X86Rm word_rm;
} Emit;

static inline X86Rm tcg_field(size_t offset)
{
    return x86_mem(RBP, tcg_config.tcg_offset + offset);
}

#define TCG_FIELD(name) tcg_field(offsetof(TcgCpu, name))

/* Memory of a global or a spilled temporary. */
X86Rm home_rm(Emit *e, IrReg reg);
X86Rm memory_rm(Emit *e, IrReg reg);
bool in_gpr(Emit *e, IrReg reg, int *host);
bool in_vec(Emit *e, IrReg reg, int *host);
bool imm32(Emit *e, IrReg reg, bool w, int32_t *imm);

void load_global(Emit *e, IrReg reg, int host);
void store_global(Emit *e, IrReg reg, int host);

int use_gpr(Emit *e, IrReg reg, int scratch);
void use_in(Emit *e, IrReg reg, int host, bool w);
X86Rm use_rm(Emit *e, IrReg reg, unsigned width, int scratch);
int def_gpr(Emit *e, IrReg reg, int scratch);
void done_gpr(Emit *e, IrReg reg, int host);

/* The integer register a vreg lives in, or X86_NO_REG. */
int reg_of(Emit *e, IrReg reg);
/* Does it live in memory of exactly this width? */
bool in_place(Emit *e, IrReg reg, unsigned width);
/* Do the flags hold the branch's comparison already? */
bool same_compare(Emit *e, const IrOp *op, unsigned *cc);

int use_vec(Emit *e, IrReg reg, int scratch);
int def_vec(Emit *e, IrReg reg, int scratch);
void done_vec(Emit *e, IrReg reg, int host);

/* The value of a store, in a register or an immediate. */
typedef struct StoreValue {
    int host;
    int32_t imm;
    bool is_imm;
} StoreValue;

/* Integer values that are not in a register come to scratch. */
StoreValue store_value(Emit *e, IrReg reg, unsigned width, int scratch);
void store_to(Emit *e, unsigned width, StoreValue v, X86Rm rm);
/* op's result from memory. */
void load_from(Emit *e, const IrOp *op, X86Rm rm);

/* One function per operation; vector operations share emit_vector(). */
#define IR_OP(name, ...) void emit_##name(Emit *e, const IrOp *op);
#define IR_VEC(name, ...)
#include "tcg/ir-ops.def"
#undef IR_OP
#undef IR_VEC

/* Compares and returns the host's condition code. */
unsigned emit_compare(Emit *e, const IrOp *op);

void emit_vector(Emit *e, const IrOp *op);

void emit_jump(Emit *e, uint32_t label);
void emit_jump_if(Emit *e, unsigned cc, uint32_t label);
void emit_write_back(Emit *e, const uint64_t *set);
void emit_load_homes(Emit *e, const uint64_t *set);
void emit_stubs(Emit *e);
void emit_landing_stubs(Emit *e);
void emit_slow_paths(Emit *e);
void emit_soft_load(Emit *e, const IrOp *op);
void emit_soft_store(Emit *e, const IrOp *op);
/* The operand of a guest access; RCX and RDX may be used. */
X86Rm guest_address(Emit *e, const IrOp *op);
/* The next instruction is the access, or comes back from its slow path. */
void note_fault_site(Emit *e, const IrOp *op, X86Rm rm);
/* Forgets what was known of the addresses that the operation changes. */
void forget_guarded(Emit *e, const IrOp *op);
/* Last: their faults come behind all others. */
void emit_guards(Emit *e);
/* A jump to a fixed place in the cache (executable address). */
void emit_jump_to(Emit *e, const uint8_t *target);

#endif
