/*
 * Forward pass: what value does each vreg hold?
 *
 * Every vreg maps to a value number; a value knows whether it is constant,
 * which vreg holds it now, how many low bits may be set, and the operation
 * that made it.  From that follow copy and constant propagation, folding,
 * common subexpressions, compare-and-branch fusion and addressing modes, in
 * one walk.
 *
 * The map lives over extended blocks: it is kept when falling into a block
 * without a label, and forgotten at labels.
 *
 *     t1 = add r1, $8          value 7: add(value of r1, 8), held by t1
 *     r2 = mov t1              value 7 is now held by r2
 *     t2 = gld [t1 + 0]        becomes gld [r1 + 8]
 */
#include "tcg/opt-int.h"

typedef struct Value {
    bool is_const;
    uint8_t bits;       /* bits above are zero: 64 = nothing known */
    uint8_t sign_bits;  /* value is a sign extension of this many */
    IrReg holder;       /* valid while its number is this one's */
    uint64_t value;
    IrOp op;            /* that computed it; opcode nop: unknown */
    uint32_t operand[4]; /* values of its sources */
    uint32_t next;      /* hash chain */
} Value;

enum { VALUE_HASH = 1024 };

typedef struct Values {
    Compile *c;
    Ir *ir;
    Value *values;      /* [0] unused */
    uint32_t n_values, max_values;
    uint32_t *number;   /* by vreg; 0: none yet */
    uint32_t *stamp;    /* by vreg: extended block it belongs to */
    uint32_t now;
    uint32_t *uses;     /* of each temporary */
    uint32_t hash[VALUE_HASH];
    uint32_t hash_stamp[VALUE_HASH];
} Values;

/* --- the map ----------------------------------------------------------------- */

static uint32_t new_value(Values *vs, IrReg holder)
{
    if (vs->n_values == vs->max_values) {
        Value *more = ARENA_NEW(vs->c->arena, Value, 2 * vs->max_values);

        memcpy(more, vs->values, vs->n_values * sizeof(Value));
        vs->values = more;
        vs->max_values *= 2;
    }
    Value *value = &vs->values[vs->n_values];

    value->is_const = false;
    value->bits = 64;
    value->sign_bits = 64;
    value->holder = holder;
    value->op.opcode = IR_nop;
    return vs->n_values++;
}

static void set_number(Values *vs, IrReg reg, uint32_t number)
{
    if (reg >= vs->c->n_vregs_room) {
        return;
    }
    vs->number[reg] = number;
    vs->stamp[reg] = vs->now;
}

static uint32_t number_of(Values *vs, IrReg reg)
{
    if (reg < vs->c->n_vregs_room && vs->stamp[reg] == vs->now) {
        return vs->number[reg];
    }
    uint32_t n = new_value(vs, reg);
    const IrVreg *vreg = &vs->ir->vregs[reg];

    if (vreg->kind == IR_CONST) {
        vs->values[n].is_const = true;
        vs->values[n].value = vreg->value;
        vs->values[n].bits = vreg->value ? 64 - __builtin_clzll(vreg->value)
                                         : 0;
    } else if (vreg->kind == IR_GLOBAL) {
        vs->values[n].bits = vreg->bit_len ? vreg->bit_len
                             : vreg->home_size < 8 ? 8 * vreg->home_size
                                                   : 64;
    }
    set_number(vs, reg, n);
    return n;
}

/* The vreg that holds a value now, or IR_NONE. */
static IrReg holder_of(Values *vs, uint32_t number)
{
    const Value *value = &vs->values[number];

    if (value->is_const) {
        return ir_const(vs->ir, value->value);
    }
    return number_of(vs, value->holder) == number ? value->holder : IR_NONE;
}

static void forget_globals(Values *vs, uint32_t classes, IrReg single)
{
    for (unsigned i = 1; i < vs->c->n_vregs_room && i < vs->ir->n_vregs; i++) {
        const IrVreg *vreg = &vs->ir->vregs[i];

        if (vreg->kind == IR_GLOBAL &&
            (i == single || classes >> vreg->class & 1)) {
            vs->stamp[i] = 0;
        }
    }
}

/* --- rewriting sources --------------------------------------------------------- */

static void replace_source(Values *vs, IrReg *reg)
{
    uint32_t n;
    IrReg held;
    const IrVreg *vreg = &vs->ir->vregs[*reg];

    if (vreg->kind == IR_CONST) {
        return;
    }
    n = number_of(vs, *reg);
    if (vs->values[n].is_const ? !opt_on(OPT_FOLD) : !opt_on(OPT_COPY)) {
        return;
    }
    held = holder_of(vs, n);
    if (held && vs->ir->vregs[held].type == vreg->type) {
        *reg = held;
    }
}

static void replace_sources(Values *vs, IrOp *op)
{
    if (op->opcode == IR_call) {
        IrCall *call = &vs->ir->calls[op->aux];

        for (unsigned i = 0; i < call->n_args; i++) {
            replace_source(vs, &call->args[i]);
        }
        return;
    }
    if (op->opcode == IR_sync || op->opcode == IR_reload) {
        return;
    }
    for (unsigned i = 0; i < ir_op_infos[op->opcode].n_src; i++) {
        if (op->src[i]) {
            replace_source(vs, &op->src[i]);
        }
    }
}

static const Value *source_value(Values *vs, const IrOp *op, unsigned i)
{
    return &vs->values[number_of(vs, op->src[i])];
}

static bool const_source(Values *vs, const IrOp *op, unsigned i, uint64_t *v)
{
    return op->src[i] && ir_is_const(vs->ir, op->src[i], v);
}

static void make_mov(IrOp *op, IrReg from)
{
    *op = (IrOp){.opcode = IR_mov, .width = 8, .dst = op->dst, .src = {from}};
}

static void make_const(Values *vs, IrOp *op, uint64_t value)
{
    make_mov(op, ir_const(vs->ir, value));
}

/* Only the low bits of a source matter: look through what changes others. */
static void narrow_source(Values *vs, IrOp *op, unsigned i, unsigned bits)
{
    for (unsigned tries = 0; tries < 4 && op->src[i]; tries++) {
        const Value *value = source_value(vs, op, i);
        unsigned pos = value->op.imm & 0xff;
        unsigned len = value->op.imm >> 8;
        uint32_t inner;

        switch (value->op.opcode) {
        case IR_extract:
        case IR_sextract:
            if (pos != 0 || len < bits) {
                return;
            }
            inner = value->operand[0];
            break;
        case IR_deposit:
            if (pos == 0 && len >= bits) {
                inner = value->operand[1];
            } else if (pos >= bits) {
                inner = value->operand[0];
            } else {
                return;
            }
            break;
        default:
            return;
        }
        IrReg held = holder_of(vs, inner);

        if (!held) {
            return;
        }
        op->src[i] = held;
    }
}

static void narrow_sources(Values *vs, IrOp *op)
{
    switch (op->opcode) {
    case IR_st:
        if (op->width < 8) {
            narrow_source(vs, op, 1, 8 * op->width);
        }
        break;
    case IR_gst:
        if (op->width < 8) {
            narrow_source(vs, op, 2, 8 * op->width);
        }
        break;
    case IR_extract:
    case IR_sextract:
        narrow_source(vs, op, 0, (op->imm & 0xff) + (op->imm >> 8));
        break;
    case IR_deposit:
        narrow_source(vs, op, 1, op->imm >> 8);
        break;
    case IR_setcond:
    case IR_brcond:
    case IR_select:
        if (op->width == 4) {
            narrow_source(vs, op, 0, 32);
            narrow_source(vs, op, 1, 32);
        }
        break;
    default:
        if (op->width == 4 && op->opcode >= IR_add && op->opcode <= IR_ror) {
            narrow_source(vs, op, 0, 32);
            if (op->src[1]) {
                narrow_source(vs, op, 1, 32);
            }
        }
    }
}

/* --- algebra -------------------------------------------------------------------- */

static bool commutes(unsigned opcode)
{
    return opcode == IR_add || opcode == IR_and || opcode == IR_or ||
           opcode == IR_xor || opcode == IR_mul || opcode == IR_mulhu ||
           opcode == IR_mulhs;
}

static uint64_t width_mask(unsigned width)
{
    return width == 8 ? ~UINT64_C(0) : UINT32_MAX;
}

/* Makes d = a of the operation's width. */
static void make_copy(Values *vs, IrOp *op, unsigned i)
{
    if (op->width == 8 || source_value(vs, op, i)->bits <= 32) {
        make_mov(op, op->src[i]);
    } else {
        *op = (IrOp){.opcode = IR_extract, .width = 8, .dst = op->dst,
                     .src = {op->src[i]}, .imm = 32 << 8};
    }
}

/* add(add(x, c1), c2) -> add(x, c1 + c2) */
static void reassociate(Values *vs, IrOp *op, uint64_t b)
{
    const Value *a = source_value(vs, op, 0);
    uint64_t inner;

    if (a->op.opcode != IR_add || a->op.width != op->width ||
        !vs->values[a->operand[1]].is_const) {
        return;
    }
    inner = vs->values[a->operand[1]].value;
    IrReg held = holder_of(vs, a->operand[0]);

    if (held) {
        op->src[0] = held;
        op->src[1] = ir_const(vs->ir, (inner + b) & width_mask(op->width));
    }
}

/*
 * Of a | constant only one part is wanted: by a mask that the constant is
 * outside of, or by a shift that leaves nothing of a.
 */
static void part_of_or(Values *vs, IrOp *op, uint64_t b)
{
    const Value *value = source_value(vs, op, 0);

    if (value->op.opcode != IR_or || value->op.width != 8 || op->width != 8 ||
        !vs->values[value->operand[1]].is_const) {
        return;
    }
    uint64_t constant = vs->values[value->operand[1]].value;

    if (op->opcode == IR_shr && b < 64 &&
        vs->values[value->operand[0]].bits <= b) {
        make_const(vs, op, constant >> b);
    } else if (op->opcode == IR_and && !(constant & b)) {
        IrReg held = holder_of(vs, value->operand[0]);

        op->src[0] = held ? held : op->src[0];
    }
}

static void simplify_binary(Values *vs, IrOp *op)
{
    uint64_t a;
    uint64_t b;

    if (commutes(op->opcode) && const_source(vs, op, 0, &a) &&
        !const_source(vs, op, 1, &b)) {
        IrReg swap = op->src[0];

        op->src[0] = op->src[1];
        op->src[1] = swap;
    }
    if (!const_source(vs, op, 1, &b)) {
        if (op->src[0] == op->src[1] &&
            (op->opcode == IR_sub || op->opcode == IR_xor)) {
            make_const(vs, op, 0);
        } else if (op->src[0] == op->src[1] &&
                   (op->opcode == IR_and || op->opcode == IR_or)) {
            make_copy(vs, op, 0);
        }
        return;
    }
    b &= width_mask(op->width);
    part_of_or(vs, op, b);
    switch (op->opcode) {
    case IR_sub:
        op->opcode = IR_add;
        op->src[1] = ir_const(vs->ir, -b & width_mask(op->width));
        if (op->width == 4) { /* shorter as a signed immediate */
            op->src[1] = ir_const(vs->ir, (int64_t)(int32_t)-b);
        }
        b = -b & width_mask(op->width);
        /* fall through */
    case IR_add:
        if (b) {
            reassociate(vs, op, b);
            return;
        }
        break;
    case IR_or:
    case IR_xor:
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_rol:
    case IR_ror:
        if (b) {
            return;
        }
        break;
    case IR_and:
        if (b == 0) {
            make_const(vs, op, 0);
            return;
        }
        if (b != width_mask(op->width)) {
            const Value *value = source_value(vs, op, 0);

            /* A mask of all the bits there are. */
            if ((b & (b + 1)) || value->bits > 64 - __builtin_clzll(b)) {
                return;
            }
        }
        break;
    case IR_mul:
        if (b && !(b & (b - 1))) {
            op->opcode = IR_shl;
            op->src[1] = ir_const(vs->ir, __builtin_ctzll(b));
            if (b > 1) {
                return;
            }
            break;
        }
        return;
    default:
        return;
    }
    make_copy(vs, op, 0);
}

static void simplify_field(Values *vs, IrOp *op)
{
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;
    const Value *value = source_value(vs, op, 0);

    if (op->opcode == IR_extract) {
        if (pos == 0 && value->bits <= len) {
            make_mov(op, op->src[0]);
        } else if (value->op.opcode == IR_deposit &&
                   value->op.imm == op->imm) {
            IrReg held = holder_of(vs, value->operand[1]);

            if (held) {
                op->src[0] = held;
                op->imm = len << 8;
                if (source_value(vs, op, 0)->bits <= len) {
                    make_mov(op, held);
                }
            }
        }
    } else if (op->opcode == IR_sextract) {
        if (pos == 0 && (value->bits < len || value->sign_bits <= len)) {
            make_mov(op, op->src[0]);
        }
    } else if (pos == 0 && (len == 64 || value->bits == 0)) {
        *op = (IrOp){.opcode = IR_extract, .width = 8, .dst = op->dst,
                     .src = {op->src[1]}, .imm = len << 8};
    } else if (pos == 0 && value->bits <= len) {
        *op = (IrOp){.opcode = IR_extract, .width = 8, .dst = op->dst,
                     .src = {op->src[1]}, .imm = len << 8};
    }
}

/* A comparison of a comparison's result with 0 is that comparison. */
static void fuse_compare(Values *vs, IrOp *op)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        const Value *value = source_value(vs, op, 0);
        uint64_t b;
        bool invert;

        if (!const_source(vs, op, 1, &b) || value->op.opcode != IR_setcond) {
            return;
        }
        if ((op->cond == IR_EQ || op->cond == IR_NE) && b <= 1) {
            invert = (op->cond == IR_EQ) ^ (b == 1);
        } else if ((op->cond == IR_TSTEQ || op->cond == IR_TSTNE) &&
                   (b & 1)) {
            invert = op->cond == IR_TSTEQ;
        } else {
            return;
        }
        IrReg x = holder_of(vs, value->operand[0]);
        IrReg y = holder_of(vs, value->operand[1]);

        if (!x || !y) {
            return;
        }
        op->cond = value->op.cond ^ invert;
        op->width = value->op.width;
        op->src[0] = x;
        op->src[1] = y;
    }
}

/* Bits that are tested, of a value from which others were changed. */
static void narrow_test(Values *vs, IrOp *op)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        const Value *value = source_value(vs, op, 0);
        uint64_t b;

        if (!const_source(vs, op, 1, &b) || op->width != 8 ||
            (value->op.opcode != IR_or && value->op.opcode != IR_and) ||
            value->op.width != 8 ||
            !vs->values[value->operand[1]].is_const) {
            return;
        }
        uint64_t constant = vs->values[value->operand[1]].value;
        IrReg held = holder_of(vs, value->operand[0]);

        if (!held || (value->op.opcode == IR_or ? constant & b
                                                : b & ~constant)) {
            return;
        }
        op->src[0] = held;
    }
}

static void simplify_compare(Values *vs, IrOp *op)
{
    uint64_t a;
    uint64_t b;

    if (opt_on(OPT_FUSE)) {
        fuse_compare(vs, op);
    }
    if (!opt_on(OPT_FOLD)) {
        return;
    }
    if (op->cond == IR_TSTEQ || op->cond == IR_TSTNE) {
        narrow_test(vs, op);
    }
    if (const_source(vs, op, 0, &a) && const_source(vs, op, 1, &b)) {
        bool r = fold_cond(op->cond, op->width, a, b);

        if (op->opcode == IR_setcond) {
            make_const(vs, op, r);
        } else if (op->opcode == IR_select) {
            make_mov(op, op->src[r ? 2 : 3]);
        } else if (r) {
            *op = (IrOp){.opcode = IR_br, .width = 8, .aux = op->aux};
        } else {
            op_remove(op);
        }
        return;
    }
    if (op->opcode == IR_setcond && op->cond == IR_NE &&
        const_source(vs, op, 1, &b) && b == 0 &&
        source_value(vs, op, 0)->bits <= 1) {
        make_mov(op, op->src[0]);
    } else if (op->opcode == IR_select && op->src[2] == op->src[3]) {
        make_mov(op, op->src[2]);
    }
}

/* --- addresses -------------------------------------------------------------------- */

static bool fits(int64_t v)
{
    return v == (int32_t)v;
}

static void fold_address(Values *vs, IrOp *op)
{
    for (unsigned tries = 0; tries < 4; tries++) {
        const Value *base = source_value(vs, op, 0);
        uint64_t index;
        IrReg x;
        IrReg y;

        if (op->src[1] && const_source(vs, op, 1, &index) &&
            fits(op->imm + (int64_t)(index << op->cond))) {
            op->imm += (int64_t)(index << op->cond);
            op->src[1] = IR_NONE;
            op->cond = 0;
            continue;
        }
        if (op->src[1]) {
            const Value *value = source_value(vs, op, 1);

            if (value->op.opcode == IR_shl && value->op.width == 8 &&
                vs->values[value->operand[1]].is_const &&
                op->cond + vs->values[value->operand[1]].value <= 3 &&
                (x = holder_of(vs, value->operand[0]))) {
                op->cond += vs->values[value->operand[1]].value;
                op->src[1] = x;
                continue;
            }
        }
        if (base->op.opcode != IR_add || base->op.width != 8) {
            return;
        }
        x = holder_of(vs, base->operand[0]);
        if (!x) {
            return;
        }
        if (vs->values[base->operand[1]].is_const) {
            int64_t offset = vs->values[base->operand[1]].value;

            if (!fits(op->imm + offset) || !fits(offset)) {
                return;
            }
            op->imm += offset;
            op->src[0] = x;
            continue;
        }
        y = holder_of(vs, base->operand[1]);
        /* A guest register is computed anyway: the access may fault. */
        if (op->src[1] || !y ||
            vs->ir->vregs[op->src[0]].kind == IR_GLOBAL) {
            return;
        }
        op->src[0] = x;
        op->src[1] = y;
        op->cond = 0;
    }
}

/* --- the walk ----------------------------------------------------------------------- */

static unsigned result_bits(Values *vs, const IrOp *op)
{
    unsigned bits = op->width < 8 ? 8 * op->width : 64;
    uint64_t b;

    switch (op->opcode) {
    case IR_setcond:
    case IR_fsetcond:
        return 1;
    case IR_extract:
        return op->imm >> 8;
    case IR_sextract:
    case IR_deposit:
    case IR_mov:
        return 64;
    case IR_ld:
    case IR_gld:
    case IR_bswap:
        return op->width >= 8 ? 64 : 8 * op->width;
    case IR_and:
        if (const_source(vs, op, 1, &b)) {
            b &= width_mask(op->width);
            bits = b ? 64 - __builtin_clzll(b) : 0;
        }
        return MIN(bits, source_value(vs, op, 0)->bits);
    case IR_or:
    case IR_xor:
        return MIN(bits, MAX(source_value(vs, op, 0)->bits,
                             source_value(vs, op, 1)->bits));
    case IR_shr:
        if (op->width == 4 && const_source(vs, op, 1, &b)) {
            return 32 - (b & 31);
        }
        return bits;
    case IR_select:
        return MAX(source_value(vs, op, 2)->bits,
                   source_value(vs, op, 3)->bits);
    case IR_clz:
    case IR_ctz:
    case IR_popcnt:
        return 7;
    default:
        return op->opcode >= IR_add && op->opcode <= IR_popcnt ? bits : 64;
    }
}

static unsigned expression_hash(const IrOp *op, const uint32_t *operand)
{
    uint64_t h = op->opcode | op->width << 16 | (uint64_t)op->cond << 24;

    h = h * UINT64_C(0x9e3779b97f4a7c15) + op->imm;
    for (unsigned i = 0; i < 4; i++) {
        h = h * UINT64_C(0x9e3779b97f4a7c15) + operand[i];
    }
    return (h ^ h >> 32) % VALUE_HASH;
}

static uint32_t find_expression(Values *vs, const IrOp *op,
                                const uint32_t *operand, unsigned slot)
{
    uint32_t n = vs->hash_stamp[slot] == vs->now ? vs->hash[slot] : 0;

    for (; n; n = vs->values[n].next) {
        const Value *value = &vs->values[n];

        if (value->op.opcode == op->opcode && value->op.width == op->width &&
            value->op.cond == op->cond && value->op.imm == op->imm &&
            !memcmp(value->operand, operand, sizeof(value->operand)) &&
            vs->ir->vregs[value->op.dst].type ==
                vs->ir->vregs[op->dst].type) {
            return n;
        }
    }
    return 0;
}

/* The value of a result; may turn the operation into a copy. */
static void number_result(Values *vs, IrOp *op)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];
    uint32_t operand[4] = {0};
    uint32_t n = 0;

    if (op->opcode == IR_mov &&
        vs->ir->vregs[op->dst].type == vs->ir->vregs[op->src[0]].type) {
        n = number_of(vs, op->src[0]);
        set_number(vs, op->dst, n);
        /* Guest registers live longer than temporaries. */
        if (vs->ir->vregs[op->dst].kind == IR_GLOBAL ||
            number_of(vs, vs->values[n].holder) != n) {
            vs->values[n].holder = op->dst;
        }
        return;
    }
    if (info->flags & IRF_P) {
        for (unsigned i = 0; i < info->n_src; i++) {
            operand[i] = number_of(vs, op->src[i]);
        }
        unsigned slot = expression_hash(op, operand);

        n = opt_on(OPT_CSE) ? find_expression(vs, op, operand, slot) : 0;
        if (n && holder_of(vs, n)) {
            make_mov(op, holder_of(vs, n));
            set_number(vs, op->dst, n);
            if (vs->ir->vregs[op->dst].kind == IR_GLOBAL) {
                vs->values[n].holder = op->dst;
            }
            return;
        }
        unsigned bits = result_bits(vs, op);

        n = new_value(vs, op->dst);
        Value *value = &vs->values[n];

        value->op = *op;
        value->bits = bits;
        value->sign_bits = op->opcode == IR_sextract ? op->imm >> 8 : 64;
        memcpy(value->operand, operand, sizeof(operand));
        value->next = vs->hash_stamp[slot] == vs->now ? vs->hash[slot] : 0;
        vs->hash[slot] = n;
        vs->hash_stamp[slot] = vs->now;
    } else {
        n = new_value(vs, op->dst);
        vs->values[n].bits = result_bits(vs, op);
    }
    set_number(vs, op->dst, n);
}

static void simplify(Values *vs, IrOp *op)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];
    uint64_t v[4] = {0};
    uint64_t r;
    bool all = opt_on(OPT_FOLD) && (info->flags & IRF_P) &&
               !(info->flags & (IRF_V | IRF_G)) && op->opcode != IR_mov;

    for (unsigned i = 0; i < info->n_src && all; i++) {
        all = const_source(vs, op, i, &v[i]);
    }
    if (all && fold_op(op, v, &r)) {
        make_const(vs, op, r);
        return;
    }
    if (op->opcode == IR_setcond || op->opcode == IR_select ||
        op->opcode == IR_brcond) {
        simplify_compare(vs, op);
    } else if (!opt_on(OPT_FOLD)) {
        return;
    } else if (op->opcode >= IR_extract && op->opcode <= IR_deposit) {
        simplify_field(vs, op);
    } else if (op->opcode >= IR_add && op->opcode <= IR_ror &&
               info->n_src == 2) {
        simplify_binary(vs, op);
    }
}

static void visit(Values *vs, IrOp *op)
{
    uint32_t reads;
    uint32_t writes;

    replace_sources(vs, op);
    if (opt_on(OPT_FOLD)) {
        narrow_sources(vs, op);
    }
    simplify(vs, op);
    if ((op->opcode == IR_gld || op->opcode == IR_gst) && opt_on(OPT_ADDR)) {
        fold_address(vs, op);
    }
    if (op->opcode == IR_reload || op->opcode == IR_call ||
        op->opcode == IR_call_region) {
        op_classes(vs->ir, op, &reads, &writes);
        forget_globals(vs, writes, op->opcode == IR_reload ? op->src[0] : 0);
    }
    if (op->dst) {
        number_result(vs, op);
    }
}

void opt_values(Compile *c)
{
    Values *vs = ARENA_NEW0(c->arena, Values, 1);
    Ir *ir = c->ir;

    vs->c = c;
    vs->ir = ir;
    vs->max_values = 2 * ir->n_ops + ir->n_vregs + 64;
    vs->values = ARENA_NEW(c->arena, Value, vs->max_values);
    vs->n_values = 1;
    /* Folding makes constants as it goes. */
    c->n_vregs_room = MIN(ir->n_vregs + 2 * ir->n_ops, IR_MAX_VREGS);
    vs->number = ARENA_NEW(c->arena, uint32_t, c->n_vregs_room);
    vs->stamp = ARENA_NEW0(c->arena, uint32_t, c->n_vregs_room);
    for (unsigned b = 0; b < c->n_blocks; b++) {
        const Block *block = &c->blocks[b];

        if (!block->reachable) {
            continue;
        }
        if (block->label != NO_LABEL || b == 0 ||
            !c->blocks[b - 1].reachable) {
            vs->now++;
        }
        for (unsigned i = block->first; i < block->end; i++) {
            visit(vs, &ir->ops[i]);
        }
    }
}
