/*
 * Is intermediate code well formed?  Checked before and after the passes when
 * TcgConfig.validate is set: a mistake of a builder or a pass is reported at
 * the operation that has it, not as wrong host code.
 */
#include <string.h>

#include "tcg/arena.h"
#include "tcg/ir.h"

typedef struct Check {
    const Ir *ir;
    bool *assigned;      /* by vreg: some operation assigns it */
    uint8_t *defined;    /* by label: times */
    const char *fault;
    unsigned at;
} Check;

static bool bad(Check *c, const char *what)
{
    c->fault = what;
    return false;
}

static bool check_operands(Check *c, const IrOp *op)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];

    if (op->dst >= c->ir->n_vregs) {
        return bad(c, "result is no vreg");
    }
    if (op->dst && c->ir->vregs[op->dst].kind == IR_CONST) {
        return bad(c, "assigns a constant");
    }
    if (info->n_dst && !op->dst && op->opcode != IR_call) {
        return bad(c, "lacks a result");
    }
    for (unsigned i = 0; i < info->n_src; i++) {
        IrReg reg = op->src[i];

        if (reg >= c->ir->n_vregs) {
            return bad(c, "source is no vreg");
        }
        if (reg && c->ir->vregs[reg].kind == IR_TEMP && !c->assigned[reg]) {
            return bad(c, "reads a temporary nobody assigns");
        }
        if (!reg && (info->flags & IRF_P)) {
            return bad(c, "lacks a source");
        }
    }
    return true;
}

static bool check_width(Check *c, const IrOp *op)
{
    unsigned w = op->width;
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;

    switch (op->opcode) {
    case IR_ld:
    case IR_st:
    case IR_gld:
    case IR_gst:
        if (!w || (w & (w - 1)) || w > 16 || op->imm != (int32_t)op->imm) {
            return bad(c, "access width or offset");
        }
        return true;
    case IR_extract:
    case IR_sextract:
    case IR_deposit:
        return (len >= 1 && pos + len <= 64) || bad(c, "field bounds");
    case IR_bswap:
        return w == 2 || w == 4 || w == 8 || bad(c, "width");
    default:
        if (op->opcode >= IR_add && op->opcode <= IR_select) {
            /* Narrower ones update memory, made by the last pass. */
            bool memory = op->dst &&
                          c->ir->vregs[op->dst].kind == IR_MEMORY;

            return w == 4 || w == 8 || memory || bad(c, "width");
        }
        return true;
    }
}

static bool check_targets(Check *c, const IrOp *op)
{
    switch (op->opcode) {
    case IR_br:
    case IR_brcond:
        if (op->aux >= c->ir->n_labels || !c->defined[op->aux]) {
            return bad(c, "jumps to a label that is nowhere");
        }
        break;
    case IR_goto_region:
    case IR_call_region:
        if (op->aux >= c->ir->n_exits) {
            return bad(c, "no such exit");
        }
        break;
    case IR_call:
        if (op->aux >= c->ir->n_calls) {
            return bad(c, "no such call");
        }
        break;
    case IR_setcond:
    case IR_select:
        if (op->cond >= IR_UN) {
            return bad(c, "condition");
        }
        break;
    default:
        break;
    }
    return true;
}

static bool check_vector(Check *c, const IrOp *op)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];
    const IrVreg *dst = &c->ir->vregs[op->dst];

    if (op->dst && dst->type == IR_V128 && !(info->flags & IRF_V) &&
        op->opcode != IR_mov && op->opcode != IR_ld && op->opcode != IR_gld &&
        op->opcode != IR_vjoin && op->opcode != IR_select &&
        op->opcode != IR_call) {
        return bad(c, "integer operation on a vector");
    }
    return true;
}

static void collect(Check *c)
{
    for (unsigned i = 0; i < c->ir->n_ops; i++) {
        const IrOp *op = &c->ir->ops[i];

        if (op->opcode == IR_label && op->aux < c->ir->n_labels) {
            c->defined[op->aux]++;
        }
        if (op->dst < c->ir->n_vregs) {
            c->assigned[op->dst] = true;
        }
    }
}

const char *ir_validate(const Ir *ir, unsigned *at_op)
{
    Check c = {.ir = ir};
    unsigned last = ir->n_ops;

    c.assigned = ARENA_NEW0(ir->arena, bool, ir->n_vregs);
    c.defined = ARENA_NEW0(ir->arena, uint8_t, ir->n_labels + 1);
    collect(&c);
    for (unsigned i = 0; i < ir->n_ops; i++) {
        const IrOp *op = &ir->ops[i];

        *at_op = i;
        if (op->opcode >= IR_OPCODES) {
            return "no such operation";
        }
        if (op->opcode == IR_label &&
            (op->aux >= ir->n_labels || c.defined[op->aux] != 1)) {
            return "label placed twice";
        }
        if (!check_operands(&c, op) || !check_width(&c, op) ||
            !check_targets(&c, op) || !check_vector(&c, op)) {
            return c.fault;
        }
    }
    while (last && ir->ops[last - 1].opcode == IR_nop) {
        last--;
    }
    *at_op = last ? last - 1 : 0;
    if (!last || !ir_op_is(&ir->ops[last - 1], IRF_T)) {
        return "control runs off the end";
    }
    return NULL;
}
