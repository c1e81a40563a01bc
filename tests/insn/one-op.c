/*
 * See one-op.h.
 */
#include "tests/insn/one-op.h"

#include <string.h>

#include "target-e2k/encode.h"

enum {
    REG_S1 = 0, /* registers of the operands; pairs start at even ones */
    REG_S2 = 2,
    REG_S3 = 4,
    REG_D = 6,
    PRED_D = 1,
    PRED_COND = 2,
};

const InsnRow *one_op_row(InsnId insn, unsigned isa, unsigned channel)
{
    for (unsigned i = 0; i < INSN_ROWS; i++) {
        const InsnRow *row = &insn_rows[i];

        if (row->insn == insn && (row->channels[isa - 1] >> channel & 1)) {
            return row;
        }
    }
    return NULL;
}

/* The row that encodes it: an alias is one case of another operation. */
static const InsnRow *encoding_row(const InsnRow *row, unsigned *imm)
{
    InsnId insn = row->src1 == WIDTH_P ? INSN_qplog_nn : INSN_plog_nn;

    if (!(row->flags & F_ALIAS)) {
        return row;
    }
    *imm = 0x80 | row->als_value >> 24;
    return &insn_rows[insn_infos[insn].row];
}

static Operand window_register(unsigned n)
{
    return (Operand){.kind = OPERAND_WINDOW, .index = n, .byte = 0x80 + n};
}

static unsigned encode(const OneOp *v, const InsnRow *row, unsigned channel,
                       unsigned isa, uint8_t bytes[64])
{
    Bundle b = {0};
    AlcOp *op = &b.alc[channel];
    unsigned imm = v->imm;

    row = encoding_row(row, &imm);

    op->present = true;
    op->speculative = v->speculative;
    op->insn = row->insn;
    op->row = row - insn_rows;
    op->channel = channel;
    op->imm8 = imm;
    op->src1 = window_register(REG_S1);
    op->src2 = window_register(REG_S2);
    op->src3 = window_register(REG_S3);
    op->dst = window_register(REG_D);
    if (row->dst == WIDTH_PRED) {
        op->dst = (Operand){.kind = OPERAND_PRED, .index = PRED_D,
                            .byte = PRED_D};
    }
    b.alc_mask = 1 << channel;
    if (v->cond >= 0) {
        unsigned opcode = channel < 3 ? 2 : 3;

        b.n_cds = 1;
        b.cds[0] = (opcode << 14 | 1u << (10 + channel % 3) | 0x60 |
                    PRED_COND) << 16;
    }
    return bundle_encode(&b, isa, bytes, NULL);
}

static void put_register(E2kCpu *cpu, unsigned n, const OneValue *v)
{
    if (v->present) {
        cpu->win[n].lo = v->lo;
        cpu->win[n].ext = v->ext;
        cpu->win_tags[n] = v->tag;
    }
}

static void set_state(Box *box, const OneOp *v)
{
    E2kCpu *cpu = box->cpu;

    box_reset(box, 8);
    put_register(cpu, REG_S1, &v->s1);
    put_register(cpu, REG_S2, &v->s2);
    put_register(cpu, REG_S3, &v->s3);
    put_register(cpu, REG_D, &v->before);
    if (v->cond > 0) {
        cpu->pf |= UINT64_C(1) << 2 * PRED_COND;
    }
    if (v->pfpfr) {
        cpu->pfpfr = v->pfpfr;
    }
    if (v->fpcr) {
        cpu->fpcr = v->fpcr;
    }
    cpu->ip = ONE_OP_CODE;
}

bool one_op_run(Box *box, const OneOp *op, unsigned isa, unsigned channel,
                OneResult *result)
{
    const InsnRow *row = one_op_row(op->insn, isa, channel);
    const E2kCpu *cpu = box->cpu;
    uint8_t bytes[64] = {0};
    uint8_t *code = box_at(box, ONE_OP_CODE);
    unsigned length = row ? encode(op, row, channel, isa, bytes) : 0;

    if (!length) {
        return false;
    }
    /*
     * A bundle that cannot be decoded follows: the engine stops there.  Code
     * that has not changed need not be translated again.
     */
    if (memcmp(code, bytes, length) != 0 || code[length] != 0xff) {
        memcpy(code, bytes, length);
        memset(code + length, 0xff, 64);
        engine_invalidate(ONE_OP_CODE, 128);
    }
    set_state(box, op);
    result->exit = cpu_run(box->cpu);
    result->exception = cpu->ip == ONE_OP_CODE + length ? EXC_NONE
                                                        : cpu->exception;
    result->d = (OneValue){
        .present = true, .lo = cpu->win[REG_D].lo, .ext = cpu->win[REG_D].ext,
        .tag = cpu->win_tags[REG_D],
    };
    result->pred = cpu->pf >> 2 * PRED_D & 3;
    result->pfpfr = cpu->pfpfr;
    result->fpsr = cpu->fpsr;
    return true;
}
