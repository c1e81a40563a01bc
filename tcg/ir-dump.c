/*
 * Text form of intermediate code, for -d op and for tests.
 */
#include <inttypes.h>

#include "tcg/ir.h"

static const char *const cond_names[IR_CONDS] = {
    "eq", "ne", "lt", "ge", "le", "gt", "ltu", "geu", "leu", "gtu",
    "tsteq", "tstne", "o", "no", "s", "ns", "un",
};

static void dump_reg(const Ir *ir, IrReg reg, FILE *to)
{
    const IrVreg *vreg = &ir->vregs[reg];

    switch (reg ? vreg->kind : IR_KIND_NONE) {
    case IR_CONST:
        fprintf(to, "$%" PRIx64, vreg->value);
        break;
    case IR_MEMORY:
        fprintf(to, "[%s+%d]", ir->vregs[vreg->base].name, vreg->offset);
        break;
    case IR_GLOBAL:
    case IR_PINNED:
        if (vreg->name) {
            fprintf(to, "%%%s", vreg->name);
            break;
        }
        fprintf(to, "g%u", reg);
        break;
    case IR_TEMP:
        fprintf(to, "%c%u", vreg->type == IR_V128 ? 'v' : 't', reg);
        break;
    default:
        fputc('-', to);
    }
}

static void dump_call(const Ir *ir, const IrOp *op, FILE *to)
{
    const IrCall *call = &ir->calls[op->aux];

    fprintf(to, " %s(", call->name);
    for (unsigned i = 0; i < call->n_args; i++) {
        fputs(i ? ", " : "", to);
        dump_reg(ir, call->args[i], to);
    }
    fprintf(to, ") reads=%x writes=%x", call->reads, call->writes);
}

static bool has_cond(const IrOp *op)
{
    return op->opcode == IR_setcond || op->opcode == IR_select ||
           op->opcode == IR_brcond || op->opcode == IR_fsetcond;
}

static void dump_tail(const Ir *ir, const IrOp *op, FILE *to)
{
    switch (op->opcode) {
    case IR_ld:
    case IR_st:
        fprintf(to, ", %+" PRId64, op->imm);
        break;
    case IR_gld:
    case IR_gst:
        fprintf(to, ", <<%u %+" PRId64 " #%u", op->cond, op->imm, op->aux);
        break;
    case IR_extract:
    case IR_sextract:
    case IR_deposit:
        fprintf(to, ", [%u+:%u]", (unsigned)op->imm & 0xff,
                (unsigned)op->imm >> 8);
        break;
    case IR_brcond:
        fprintf(to, " -> L%u", op->aux);
        break;
    case IR_br:
        fprintf(to, " L%u", op->aux);
        break;
    case IR_goto_region:
    case IR_call_region:
        fprintf(to, " @%" PRIx64 "/%" PRIx64, ir->exits[op->aux].ip,
                ir->exits[op->aux].key);
        break;
    case IR_call:
        dump_call(ir, op, to);
        break;
    case IR_exit:
        fprintf(to, " #%" PRId64, op->imm);
        break;
    case IR_sync:
    case IR_reload:
        fprintf(to, " %" PRIx64, op->imm);
        break;
    default:
        if (op->imm) {
            fprintf(to, ", #%" PRId64, op->imm);
        }
    }
}

static void dump_op(const Ir *ir, const IrOp *op, FILE *to)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];

    if (op->opcode == IR_label) {
        fprintf(to, " L%u:%s\n", op->aux, op->imm ? " cold" : "");
        return;
    }
    fprintf(to, "    %s%u", info->name, op->width);
    if (has_cond(op)) {
        fprintf(to, ".%s", cond_names[op->cond]);
    }
    if (info->n_dst) {
        fputc(' ', to);
        dump_reg(ir, op->dst, to);
    }
    for (unsigned i = 0; i < info->n_src; i++) {
        fputs(i || info->n_dst ? ", " : " ", to);
        dump_reg(ir, op->src[i], to);
    }
    dump_tail(ir, op, to);
    fputc('\n', to);
}

void ir_dump(const Ir *ir, FILE *to)
{
    fprintf(to, "region %" PRIx64 "/%" PRIx64 "\n", ir->ip, ir->key);
    for (unsigned i = 0; i < ir->n_ops; i++) {
        if (ir->ops[i].opcode != IR_nop) {
            dump_op(ir, &ir->ops[i], to);
        }
    }
}
