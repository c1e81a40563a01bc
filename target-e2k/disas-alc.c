/*
 * Text of the operations in channels.
 */
#include "target-e2k/disas-int.h"

#include <string.h>

#include "target-e2k/regs.h"

static const char *prefix_text(char prefix)
{
    switch (prefix) {
    case 'd':
        return "d";
    case 'q':
        return "q";
    case 'p':
        return "qp";
    default:
        return "";
    }
}

static void print_literal(Disas *d, const Operand *operand)
{
    unsigned lts = operand->index;
    uint64_t value = operand->value;

    switch (operand->literal) {
    case LITERAL_16_LO:
    case LITERAL_16_HI:
        g_string_append_printf(d->out, "_f16s,_lts%u%s 0x%x", lts,
                               operand->literal == LITERAL_16_LO ? "lo"
                                                                 : "hi",
                               (unsigned)(uint16_t)value);
        break;
    case LITERAL_32:
        g_string_append_printf(d->out, "_f32s,_lts%u 0x%x", lts,
                               (uint32_t)value);
        break;
    case LITERAL_64:
        g_string_append_printf(d->out, "_f64,_lts%u 0x%" G_GINT64_MODIFIER
                               "x", lts, value);
        break;
    default:
        g_string_append_printf(d->out, "0x%x", (unsigned)value);
    }
}

static void print_operand(Disas *d, const Operand *operand, char prefix)
{
    const char *p = prefix_text(prefix);

    switch (operand->kind) {
    case OPERAND_BASED:
        g_string_append_printf(d->out, "%%%sb[%u]", p, operand->index);
        break;
    case OPERAND_WINDOW:
        g_string_append_printf(d->out, "%%%sr%u", p, operand->index);
        break;
    case OPERAND_GLOBAL:
        g_string_append_printf(d->out, "%%%sg%u", p, operand->index);
        break;
    case OPERAND_CONST:
        print_literal(d, operand);
        break;
    case OPERAND_PRED:
        g_string_append_printf(d->out, "%%pred%u", operand->index);
        break;
    case OPERAND_CTPR:
        g_string_append_printf(d->out, "%%ctpr%u", operand->index);
        break;
    case OPERAND_EMPTY:
        g_string_append(d->out, operand->index == 0xde ? "%empty.lo"
                                                       : "%empty.hi");
        break;
    case OPERAND_SPECIAL:
        g_string_append(d->out, operand->index == 0xcd   ? "%tst"
                                : operand->index == 0xce ? "%tc"
                                                         : "%tcd");
        break;
    case OPERAND_STATE: {
        const char *name = state_reg_name(operand->index, d->isa);

        if (name) {
            g_string_append(d->out, name);
        } else {
            g_string_append_printf(d->out, "%%sr_0x%02x", operand->index);
        }
        break;
    }
    default:
        g_string_append(d->out, "?");
    }
}

void disas_dst(Disas *d, const Operand *operand, char prefix)
{
    print_operand(d, operand, prefix);
}

/* %aadN [ %aastiN + literal ] or the name of an array-unit register */
static void print_array_place(Disas *d, const AlcOp *op, const InsnRow *row)
{
    if (row->flags & F_AAUREG) {
        const AauReg *reg = aau_reg(op->array.reg);

        g_string_append(d->out, reg ? reg->name : "?");
        if (reg && reg->number != AAU_NUMBER_NONE) {
            g_string_append_printf(d->out, "%u",
                                   reg->number == AAU_NUMBER_D
                                       ? op->array.aad : op->array.ind);
        }
        return;
    }
    g_string_append_printf(d->out, "%%aad%u [ %%%s%u", op->array.aad,
                           op->array.use_aaind ? "aaind" : "aasti",
                           op->array.ind);
    if (op->array.lit) {
        g_string_append_printf(d->out, " + _f32s,_lts%u 0x%x",
                               op->array.lit - 1, op->array.lit_value);
    }
    g_string_append(d->out, " ]");
}

static void separate(Disas *d, bool *first)
{
    if (!*first) {
        g_string_append(d->out, ", ");
    }
    *first = false;
}

/* Operands in order of text; print has one letter for each register. */
static void print_operands(Disas *d, const AlcOp *op, const InsnRow *row)
{
    const char *print = row->print;
    bool array = row->flags & (F_ARRAY | F_AAUREG);
    bool first = true;

    if (row->flags & F_WBS) {
        separate(d, &first);
        g_string_append_printf(d->out, "wbs = 0x%x", op->imm8);
    }
    if (array && row->dst != WIDTH_NONE) {
        separate(d, &first);
        print_array_place(d, op, row);
    }
    if (row->src1 != WIDTH_NONE) {
        separate(d, &first);
        print_operand(d, &op->src1,
                      row->src1 == WIDTH_STATE ? 's' : *print++);
    }
    if (row->src2 != WIDTH_NONE) {
        separate(d, &first);
        print_operand(d, &op->src2, *print++);
    }
    if (row->src3 != WIDTH_NONE) {
        separate(d, &first);
        print_operand(d, &op->src3, *print++);
    }
    if (row->flags & F_IMM8) {
        separate(d, &first);
        g_string_append_printf(d->out, "0x%x", op->imm8);
    }
    if (row->dst != WIDTH_NONE) {
        bool plain = row->dst != WIDTH_PRED && row->dst != WIDTH_STATE;

        separate(d, &first);
        print_operand(d, &op->dst, plain ? *print : 's');
    }
    if (array && row->dst == WIDTH_NONE) {
        separate(d, &first);
        print_array_place(d, op, row);
    }
}

static void print_conds(Disas *d, const Cond *conds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        g_string_append(d->out, i ? ", " : " ? ");
        disas_cond(d, &conds[i]);
    }
}

/*
 * Merge conditions.  One makes sense; where there are more, all are shown,
 * from the raw descriptors.
 */
static void print_merges(Disas *d, const Bundle *bundle, const AlcOp *op)
{
    unsigned opc = 2 + op->channel / 3;
    unsigned bit = op->channel % 3;
    bool first = true;

    for (unsigned i = 0; i < 2u * bundle->n_cds; i++) {
        uint16_t cds = bundle->cds[i / 2] >> (i & 1 ? 16 : 0);
        Cond cond = {
            .kind = (cds & 0x60) == 0x60 ? COND_PRED : COND_PCNT,
            .index = cds & 31,
            .negate = cds >> (7 + bit) & 1,
        };

        if (cds >> 14 == opc && (cds & 1 << (10 + bit))) {
            g_string_append(d->out, first ? ", " : " ");
            disas_cond(d, &cond);
            first = false;
        }
    }
}

static void print_name(Disas *d, const AlcOp *op)
{
    if (op->insn == INSN_plog_nn || op->insn == INSN_qplog_nn) {
        disas_op(d, "%splog_0x%02x", op->insn == INSN_qplog_nn ? "q" : "",
                 op->imm8);
    } else {
        disas_op(d, "%s", insn_name(op->insn));
    }
    g_string_append_printf(d->out, ",%u%s ", op->channel,
                           op->speculative ? ",sm" : "");
}

/* Whether the channel only holds the upper half of a register pair. */
static bool is_upper_half(const AlcOp *op, const InsnRow *row)
{
    if (row->flags & F_PAIR25) {
        return op->channel == 5;
    }
    return (row->flags & F_PAIR) && op->channel != 0 && op->channel != 3;
}

static void print_channel(Disas *d, const Bundle *bundle, const AlcOp *op)
{
    const InsnRow *row = &insn_rows[op->row];

    if (is_upper_half(op, row)) {
        return;
    }
    print_name(d, op);
    print_operands(d, op, row);
    if ((row->flags & F_MAS) && op->mas) {
        g_string_append_printf(d->out, ", mas = 0x%x", op->mas);
    }
    if (row->flags & F_MRGC) {
        print_merges(d, bundle, op);
    }
    if (op->insn == INSN_ibranchd || op->insn == INSN_icalld) {
        disas_ct_condition(d, bundle);
    } else {
        print_conds(d, op->conds, op->n_conds);
    }
    if ((row->flags & F_ARRAY) && op->array.am) {
        disas_op(d, "incr,%u %%aaincr%u", op->channel, op->array.incr);
        print_conds(d, op->am_conds, op->n_am_conds);
    }
}

void disas_channels(Disas *d, const Bundle *bundle)
{
    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        if (bundle->alc[c].present) {
            print_channel(d, bundle, &bundle->alc[c]);
        }
    }
}
