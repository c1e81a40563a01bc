/*
 * From allocated intermediate code to x86-64: operands, memory accesses, and
 * the walk over the region.
 *
 * Most operations emit one to three instructions.  Operands in memory are
 * used in place when the instruction allows it, so a value without a register
 * costs a memory operand rather than a load.
 */
#include "tcg/x86-emit.h"

#include <limits.h>

/* --- operands ------------------------------------------------------------ */

X86Rm home_rm(Emit *e, IrReg reg)
{
    const IrVreg *vreg = &e->ir->vregs[reg];

    return x86_mem(e->info[vreg->base].reg, vreg->offset);
}

X86Rm memory_rm(Emit *e, IrReg reg)
{
    if (e->info[reg].loc == LOC_HOME) {
        return home_rm(e, reg);
    }
    return tcg_field(offsetof(TcgCpu, spill) + e->info[reg].slot);
}

bool in_gpr(Emit *e, IrReg reg, int *host)
{
    *host = e->info[reg].reg;
    return e->info[reg].loc == LOC_REG && *host < XMM0;
}

bool in_vec(Emit *e, IrReg reg, int *host)
{
    *host = e->info[reg].reg;
    return e->info[reg].loc == LOC_REG && *host >= XMM0;
}

bool imm32(Emit *e, IrReg reg, bool w, int32_t *imm)
{
    uint64_t value;

    if (!ir_is_const(e->ir, reg, &value)) {
        return false;
    }
    *imm = value;
    return !w || (int64_t)value == *imm;
}

/* Field of a byte that holds it, if one does. */
static bool bits_in_byte(const IrVreg *vreg)
{
    return vreg->bit_pos % 8 + vreg->bit_len <= 8;
}

void load_global(Emit *e, IrReg reg, int host)
{
    const IrVreg *vreg = &e->ir->vregs[reg];
    X86Rm rm = home_rm(e, reg);
    X86 *x = &e->x;

    if (host >= XMM0) {
        if (vreg->home_size == 16) {
            x86_op(x, 0, 0, MAP_0F, 0x10, host, rm);
        } else if (vreg->home_size == 8 && !vreg->bit_len) {
            x86_op(x, 0xf3, 0, MAP_0F, 0x7e, host, rm);
        } else {
            load_global(e, reg, RAX);
            x86_op(x, 0x66, X86_W, MAP_0F, 0x6e, host, x86_r(RAX));
        }
        return;
    }
    if (!vreg->bit_len) {
        x86_load(x, vreg->home_size, host, rm);
        return;
    }
    unsigned pos = vreg->bit_pos;

    if (bits_in_byte(vreg)) {
        rm.disp += pos / 8;
        pos %= 8;
        x86_load(x, 1, host, rm);
    } else {
        x86_load(x, 8, host, rm);
    }
    if (pos) {
        x86_shift_imm(x, !bits_in_byte(vreg), SH_SHR, host, pos);
    }
    x86_alu_imm(x, false, ALU_AND, x86_r(host), (1u << vreg->bit_len) - 1);
}

/*
 * Merges a bit field into its home; RDX or RCX is used.  The whole word is
 * written: it is often read as a word soon after, and the host cannot forward
 * a byte to that.
 */
static void store_bits(Emit *e, IrReg reg, int host)
{
    const IrVreg *vreg = &e->ir->vregs[reg];
    X86Rm rm = home_rm(e, reg);
    X86 *x = &e->x;
    unsigned pos = vreg->bit_pos;
    int temp = host == RDX ? RCX : RDX;

    /*
     * home ^= (home ^ value << pos) & mask << pos, on the whole word: a
     * narrow store would stall the next load of the word, which calls make.
     */
    x86_load(x, 8, temp, rm);
    if (pos) {
        x86_shift_imm(x, true, SH_ROR, temp, pos);
    }
    x86_alu(x, true, ALU_XOR, temp, x86_r(host));
    x86_alu_imm(x, false, ALU_AND, x86_r(temp), (1u << vreg->bit_len) - 1);
    if (pos) {
        x86_shift_imm(x, true, SH_SHL, temp, pos);
    }
    x86_alu_to(x, true, ALU_XOR, rm, temp);
}

void store_global(Emit *e, IrReg reg, int host)
{
    const IrVreg *vreg = &e->ir->vregs[reg];
    X86Rm rm = home_rm(e, reg);
    X86 *x = &e->x;

    if (host >= XMM0) {
        if (vreg->home_size == 16) {
            x86_op(x, 0, 0, MAP_0F, 0x11, host, rm);
        } else if (vreg->home_size == 8 && !vreg->bit_len) {
            x86_op(x, 0x66, 0, MAP_0F, 0xd6, host, rm);
        } else {
            x86_op(x, 0x66, X86_W, MAP_0F, 0x7e, host, x86_r(RAX));
            store_global(e, reg, RAX);
        }
        return;
    }
    if (vreg->bit_len) {
        store_bits(e, reg, host);
    } else {
        x86_store(x, vreg->home_size, rm, host);
    }
}

/* Puts a value into a chosen integer register; does not touch flags unless
 * the value is a bit field in its home. */
void use_in(Emit *e, IrReg reg, int host, bool w)
{
    int from;

    switch (e->info[reg].loc) {
    case LOC_CONST:
        x86_mov_imm(&e->x, host, w ? e->ir->vregs[reg].value
                                   : (uint32_t)e->ir->vregs[reg].value);
        break;
    case LOC_HOME:
        load_global(e, reg, host);
        break;
    case LOC_SPILL:
        x86_load(&e->x, 8, host, memory_rm(e, reg));
        break;
    case LOC_REG:
        if (in_vec(e, reg, &from)) {
            x86_op(&e->x, 0x66, X86_W, MAP_0F, 0x7e, from, x86_r(host));
        } else if (from != host) {
            x86_mov(&e->x, w, host, from);
        }
        break;
    default:
        x86_mov_imm(&e->x, host, 0); /* never assigned */
    }
}

int use_gpr(Emit *e, IrReg reg, int scratch)
{
    int host;

    if (in_gpr(e, reg, &host)) {
        return host;
    }
    use_in(e, reg, scratch, true);
    return scratch;
}

X86Rm use_rm(Emit *e, IrReg reg, unsigned width, int scratch)
{
    const IrVreg *vreg = &e->ir->vregs[reg];

    if (e->info[reg].loc == LOC_SPILL ||
        (e->info[reg].loc == LOC_HOME && !vreg->bit_len &&
         vreg->home_size >= width)) {
        return memory_rm(e, reg);
    }
    return x86_r(use_gpr(e, reg, scratch));
}

int def_gpr(Emit *e, IrReg reg, int scratch)
{
    int host;

    return in_gpr(e, reg, &host) ? host : scratch;
}

void done_gpr(Emit *e, IrReg reg, int host)
{
    int to;

    switch (e->info[reg].loc) {
    case LOC_REG:
        if (in_vec(e, reg, &to)) {
            x86_op(&e->x, 0x66, X86_W, MAP_0F, 0x6e, to, x86_r(host));
        } else if (to != host) {
            x86_mov(&e->x, true, to, host);
        }
        if (e->ir->vregs[reg].through) {
            store_global(e, reg, host);
        }
        break;
    case LOC_HOME:
        store_global(e, reg, host);
        break;
    case LOC_SPILL:
        x86_store(&e->x, 8, memory_rm(e, reg), host);
        break;
    default:
        break; /* nobody reads it */
    }
}

int reg_of(Emit *e, IrReg reg)
{
    int host;

    return in_gpr(e, reg, &host) ? host : X86_NO_REG;
}

/* Memory that an operation of this width may change in place. */
bool in_place(Emit *e, IrReg reg, unsigned width)
{
    return (e->info[reg].loc == LOC_SPILL && width == 8) ||
           (e->info[reg].loc == LOC_HOME && !e->ir->vregs[reg].bit_len &&
            e->ir->vregs[reg].home_size == width);
}

/* --- moves and memory ------------------------------------------------------ */

void emit_mov(Emit *e, const IrOp *op)
{
    IrReg a = op->src[0];
    int host;
    int32_t imm;

    if (e->ir->vregs[op->dst].type == IR_V128 ||
        e->ir->vregs[a].type == IR_V128 || in_vec(e, op->dst, &host) ||
        in_vec(e, a, &host)) {
        done_vec(e, op->dst,
                 use_vec(e, a, def_vec(e, op->dst, VEC_T0)));
        return;
    }
    if (in_place(e, op->dst, 8) && imm32(e, a, true, &imm)) {
        x86_store_imm(&e->x, 8, memory_rm(e, op->dst), imm);
        return;
    }
    int to = def_gpr(e, op->dst, RAX);

    if (to == RAX && in_gpr(e, a, &host)) {
        to = host; /* straight to memory */
    } else {
        use_in(e, a, to, true);
    }
    done_gpr(e, op->dst, to);
}

/* Loads or stores of a vector register of 4, 8 or 16 bytes. */
static bool vec_access(Emit *e, unsigned width, bool store, int host, X86Rm rm)
{
    switch (width) {
    case 4:
        x86_op(&e->x, 0x66, 0, MAP_0F, store ? 0x7e : 0x6e, host, rm);
        return true;
    case 8:
        x86_op(&e->x, store ? 0x66 : 0xf3, 0, MAP_0F, store ? 0xd6 : 0x7e,
               host, rm);
        return true;
    case 16:
        x86_op(&e->x, 0, 0, MAP_0F, store ? 0x11 : 0x10, host, rm);
        return true;
    default:
        return false;
    }
}

void load_from(Emit *e, const IrOp *op, X86Rm rm)
{
    int host;

    if (op->width == 16 || (op->width >= 4 && in_vec(e, op->dst, &host))) {
        host = def_vec(e, op->dst, VEC_T0);
        vec_access(e, op->width, false, host, rm);
        done_vec(e, op->dst, host);
        return;
    }
    if (e->word_at == e->x.p && op->width == 8 &&
        rm.base == e->word_rm.base && rm.index == e->word_rm.index &&
        rm.disp == e->word_rm.disp) {
        done_gpr(e, op->dst, RAX); /* just written from there */
        return;
    }
    host = def_gpr(e, op->dst, RAX);
    x86_load(&e->x, op->width, host, rm);
    done_gpr(e, op->dst, host);
}

StoreValue store_value(Emit *e, IrReg reg, unsigned width, int scratch)
{
    StoreValue v = {.host = X86_NO_REG};
    uint64_t value;

    if (width <= 8 && ir_is_const(e->ir, reg, &value) &&
        (width < 8 || (int64_t)value == (int32_t)value)) {
        v.is_imm = true;
        v.imm = value;
    } else if (width == 16 || (width >= 4 && in_vec(e, reg, &v.host))) {
        v.host = use_vec(e, reg, VEC_T0);
    } else {
        v.host = use_gpr(e, reg, scratch);
    }
    return v;
}

void store_to(Emit *e, unsigned width, StoreValue v, X86Rm rm)
{
    if (v.is_imm) {
        x86_store_imm(&e->x, width, rm, v.imm);
    } else if (v.host >= XMM0) {
        vec_access(e, width, true, v.host, rm);
    } else {
        x86_store(&e->x, width, rm, v.host);
    }
}

void emit_ld(Emit *e, const IrOp *op)
{
    load_from(e, op, x86_mem(use_gpr(e, op->src[0], RCX), op->imm));
}

void emit_st(Emit *e, const IrOp *op)
{
    X86Rm rm = x86_mem(use_gpr(e, op->src[0], RCX), op->imm);

    store_to(e, op->width, store_value(e, op->src[1], op->width, RAX), rm);
}

void emit_bump(Emit *e, const IrOp *op)
{
    int host = def_gpr(e, op->dst, RCX);

    x86_mov_imm(&e->x, RAX, op->imm);
    x86_load(&e->x, 4, host, x86_mem(RAX, 0));
    x86_alu_imm(&e->x, false, ALU_ADD, x86_r(host), 1);
    x86_store(&e->x, 4, x86_mem(RAX, 0), host);
    done_gpr(e, op->dst, host);
}

/* --- the walk ---------------------------------------------------------------- */

void emit_sync(Emit *e, const IrOp *op)
{
    if (e->c->need[e->op]) {
        emit_write_back(e, e->c->need[e->op]);
    }
}

void emit_reload(Emit *e, const IrOp *op)
{
    if (e->c->reload[e->op]) {
        emit_load_homes(e, e->c->reload[e->op]);
    }
}

void emit_label(Emit *e, const IrOp *op)
{
    e->labels[op->aux] = e->x.p;
    if (e->ir->entry_needs && op->aux == e->ir->entry_label) {
        e->out->entry = e->x.p - e->start;
        emit_load_homes(e, e->c->blocks[e->block].live_in);
    }
}

void emit_br(Emit *e, const IrOp *op)
{
    const Block *next = &e->c->blocks[e->block + 1];

    if (e->merged_br == e->op ||
        (e->block + 1 < e->c->n_blocks && next->label == op->aux)) {
        return;
    }
    emit_jump(e, op->aux);
}

/*
 * "if c go to A; go to B" is one jump when A comes next, and else has its
 * taken jump on the path that goes on to B: the back edge of most loops.
 */
static bool branch_pair(Emit *e, const IrOp *op, unsigned cc)
{
    const Compile *c = e->c;
    const Block *next = &c->blocks[e->block + 1];
    const IrOp *br = op + 1;

    if (e->block + 1 >= c->n_blocks || next->label != NO_LABEL ||
        next->end - next->first != 1 || br->opcode != IR_br ||
        (e->block + 2 < c->n_blocks && next[1].label == br->aux)) {
        return false;
    }
    emit_jump_if(e, cc ^ 1, br->aux);
    if (e->block + 2 >= c->n_blocks || next[1].label != op->aux) {
        emit_jump(e, op->aux);
    }
    e->merged_br = e->op + 1;
    return true;
}

void emit_brcond(Emit *e, const IrOp *op)
{
    unsigned cc;

    if (!same_compare(e, op, &cc)) {
        cc = emit_compare(e, op);
    }
    if (!branch_pair(e, op, cc)) {
        emit_jump_if(e, cc, op->aux);
    }
}

void emit_nop(Emit *e, const IrOp *op)
{
}

void emit_fence(Emit *e, const IrOp *op)
{
    /* lock or dword [rsp - 8], 0: cheaper than mfence */
    x86_b(&e->x, 0xf0);
    x86_alu_imm(&e->x, false, ALU_OR, x86_mem(RSP, -8), 0);
}

static void mxcsr(Emit *e, const IrOp *op)
{
    X86Rm rm = TCG_FIELD(mxcsr);

    if (op->opcode == IR_ldmxcsr) {
        x86_store(&e->x, 4, rm, use_gpr(e, op->src[0], RAX));
        x86_op(&e->x, 0, 0, MAP_0F, 0xae, 2, rm);
    } else {
        int to = def_gpr(e, op->dst, RAX);

        x86_op(&e->x, 0, 0, MAP_0F, 0xae, 3, rm);
        x86_load(&e->x, 4, to, rm);
        done_gpr(e, op->dst, to);
    }
}


void emit_ldmxcsr(Emit *e, const IrOp *op)
{
    mxcsr(e, op);
}

void emit_stmxcsr(Emit *e, const IrOp *op)
{
    mxcsr(e, op);
}

typedef void EmitFn(Emit *e, const IrOp *op);

static EmitFn *const emitters[IR_OPCODES] = {
#define IR_OP(name, ...) [IR_##name] = emit_##name,
#define IR_VEC(name, ...) [IR_##name] = emit_vector,
#include "tcg/ir-ops.def"
#undef IR_OP
#undef IR_VEC
};

static bool emit_blocks(Emit *e, bool *no_room)
{
    Compile *c = e->c;

    if (!e->ir->entry_needs) {
        emit_load_homes(e, c->blocks[0].live_in);
    }
    for (e->block = 0; e->block < c->n_blocks; e->block++) {
        const Block *block = &c->blocks[e->block];

        e->n_guarded = 0;
        if (c->checked) {
            memcpy(e->checked, c->checked + e->block * c->words,
                   c->words * sizeof(uint64_t));
        }
        for (e->op = block->first; e->op < block->end; e->op++) {
            const IrOp *op = &e->ir->ops[e->op];

            if (e->end - e->x.p < X86_OP_ROOM + 32 * (int)c->n_globals) {
                *no_room = true;
                return false;
            }
            emitters[op->opcode](e, op);
            forget_guarded(e, op);
        }
    }
    return true;
}

bool x86_emit(Compile *c, uint8_t *start, uint8_t *end, ptrdiff_t exec_delta,
              TcgSlot *slots, Emitted *out, bool *no_room)
{
    Arena *arena = c->arena;
    Ir *ir = c->ir;
    Emit e = {.x = {.p = start}, .c = c, .ir = ir, .info = c->info,
              .start = start, .end = end, .delta = exec_delta,
              .slots = slots, .out = out, .flags_op = UINT_MAX,
              .merged_br = UINT_MAX};
    unsigned n_faults = 0;
    unsigned n_maps = 0;
    unsigned n_branches = 0;
    const uint64_t *last = NULL;

    *no_room = false;
    *out = (Emitted){0};
    for (unsigned i = 0; i < ir->n_ops; i++) {
        n_branches += ir_op_is(&ir->ops[i], IRF_B);
        if (ir_op_is(&ir->ops[i], IRF_F)) {
            n_faults++;
            n_maps += c->need[i] != last;
            last = c->need[i];
        }
    }
    e.labels = ARENA_NEW0(arena, uint8_t *, ir->n_labels + 1);
    e.fixups = ARENA_NEW(arena, Fixup, n_branches + 1);
    e.stubs = ARENA_NEW(arena, Stub, 2 * ir->n_exits + 1);
    e.guards = ARENA_NEW(arena, GuardStub, n_faults + 1);
    out->faults = ARENA_NEW(arena, FaultSite, 2 * n_faults + 1);
    out->fault_globals = ARENA_NEW(arena, FaultGlobal,
                                   (size_t)n_maps * c->n_globals + 1);
    if (c->checked) {
        e.checked = ARENA_NEW(arena, uint64_t, c->words);
    }
    e.landing_stubs = ARENA_NEW(arena, LandingStub, ir->n_exits + 1);
    out->landings = ARENA_NEW(arena, TcgLanding, ir->n_exits + 1);
    e.slow_paths = ARENA_NEW(arena, SlowPath, n_faults + 1);
    out->slots = slots;
    if (!emit_blocks(&e, no_room)) {
        return false;
    }
    if (end - e.x.p < 96 * (int)(e.n_stubs + e.n_guards + out->n_landings + 1) +
                          SLOW_PATH_ROOM * (int)e.n_slow_paths) {
        *no_room = true;
        return false;
    }
    emit_slow_paths(&e);
    emit_stubs(&e);
    emit_landing_stubs(&e);
    emit_guards(&e);
    for (unsigned i = 0; i < e.n_fixups; i++) {
        x86_fix32(e.fixups[i].at, e.labels[e.fixups[i].label]);
    }
    out->code = start + exec_delta;
    out->bytes = e.x.p - start;
    return true;
}
