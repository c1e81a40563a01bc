/*
 * isa-coverage: what the tree can do with each operation, one line each.
 *
 *   name family first-version last-version decoded disassembled assembled
 *   interpreted translated
 *
 * The first three are found by trying, for every row of the table, version and
 * channel: an instruction is encoded from the row, decoded, turned to text,
 * and the text assembled; y: all of them gave the same back.  The last two are
 * what the engines' tables say.  docs/isa-coverage.py makes the document.
 */
#include <stdio.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "target-e2k/disas.h"
#include "target-e2k/encode.h"
#include "target-e2k/interp.h"
#include "target-e2k/jit.h"

typedef struct Result {
    unsigned tried;
    unsigned decoded;
    unsigned disassembled;
    unsigned assembled;
} Result;

static Operand window(unsigned index)
{
    return (Operand){ .kind = OPERAND_WINDOW, .index = index,
                      .byte = 0x80 + index };
}

/* Operands that every operation takes: pairs start at even registers. */
static void fill_operands(AlcOp *op, const InsnRow *row)
{
    op->src1 = row->src1 == WIDTH_STATE
                   ? (Operand){ .kind = OPERAND_STATE, .byte = 0x83 }
                   : window(2);
    op->src2 = window(4);
    op->src3 = window(6);
    op->dst = row->dst == WIDTH_STATE
                  ? (Operand){ .kind = OPERAND_STATE, .byte = 0x83 }
              : row->dst == WIDTH_PRED
                  ? (Operand){ .kind = OPERAND_PRED, .index = 3, .byte = 3 }
                  : window(8);
    op->imm8 = row->format == ALF21G || row->format == ALF21GT ? 0x96 : 3;
    if (row->flags & F_MRGC) {
        op->merge = (Cond){ .kind = COND_PRED, .index = 5 };
        op->has_merge = true;
        op->n_merges = 1;
    }
    if (row->flags & F_AAUREG) {
        op->mas = 0x3f;
    }
}

static unsigned next(uint8_t width, Operand *operand)
{
    operand->byte += width == WIDTH_Q;
    return operand->byte;
}

static unsigned encode_row(const InsnRow *row, unsigned channel, unsigned isa,
                           uint8_t *bytes)
{
    Bundle b = { .nop = 0 };
    AlcOp *op = &b.alc[channel];
    unsigned step = row->flags & F_PAIR01_34   ? 1
                    : row->flags & F_PAIR02_35 ? 2
                    : row->flags & F_PAIR25    ? 3
                                               : 0;
    bool cs1 = row->flags & F_AAUREG;

    *op = (AlcOp){ .present = true, .channel = channel, .insn = row->insn,
                   .row = row - insn_rows };
    fill_operands(op, row);
    if (step) {
        AlcOp *second = &b.alc[channel + step];

        *second = *op;
        second->channel = channel + step;
        second->pair_second = true;
        next(row->flags & F_SAME_S1 ? WIDTH_NONE : row->src1, &second->src1);
        next(row->src2, &second->src2);
        next(row->src3, &second->src3);
        next(row->dst, &second->dst);
    }
    if (cs1) {
        b.cs1 = 6u << 28 | (channel == 2 ? 0x3f << 14 : 0x3f) |
                (step ? 0x3f : 0);
    }
    if (row->insn == INSN_ibranchd || row->insn == INSN_icalld) {
        b.has_ss = true;
        b.ipd = 3;
        b.ct_type = CT_ALWAYS;
    }
    bundle_pack(&b, false, cs1);
    return bundle_encode(&b, isa, bytes, NULL);
}

static bool same_operation(const AlcOp *op, const InsnRow *row)
{
    return op->insn == row->insn || (row->flags & F_ALIAS) ||
           (row->insn == INSN_aaurws && op->insn == INSN_aaurw);
}

static void try_row(Result *result, const InsnRow *row, unsigned channel,
                    unsigned isa)
{
    DisasOptions options = { .isa = isa };
    g_autoptr(GString) text = g_string_new(NULL);
    uint8_t bytes[BUNDLE_MAX_BYTES];
    uint8_t again[BUNDLE_MAX_BYTES];
    unsigned length = encode_row(row, channel, isa, bytes);
    Bundle bundle;

    result->tried++;
    if (bundle_decode(&bundle, bytes, length, isa) != DECODE_OK ||
        !same_operation(&bundle.alc[channel], row)) {
        return;
    }
    result->decoded++;
    bundle_disassemble(text, &bundle, 0, &options);
    result->disassembled +=
        strstr(text->str, row->flags & F_ALIAS || row->format == ALF21G ||
                                  row->format == ALF21GT
                              ? "plog_0x"
                          : row->insn == INSN_aaurws ? "aaurw"
                                                     : insn_name(row->insn))
            != NULL;
    result->assembled += asm_bundle(again, text->str, 0, isa, NULL) ==
                             length &&
                         memcmp(bytes, again, length) == 0;
}

static Result try_insn(InsnId insn, unsigned *first, unsigned *last)
{
    Result result = { 0 };

    for (unsigned i = insn_infos[insn].row; i < INSN_ROWS; i++) {
        const InsnRow *row = &insn_rows[i];

        if (row->insn != insn) {
            continue;
        }
        for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
            unsigned channels = row->channels[isa - 1];

            if (row->flags & F_PAIR) {
                channels &= row->flags & F_PAIR25 ? 1 << 2 : 1 << 0 | 1 << 3;
            }
            if (channels) {
                *first = *first ? MIN(*first, isa) : isa;
                *last = MAX(*last, isa);
            }
            for (; channels; channels &= channels - 1) {
                try_row(&result, row, __builtin_ctz(channels), isa);
            }
        }
    }
    return result;
}

int main(void)
{
    for (unsigned i = 1; i < INSN_COUNT; i++) {
        unsigned first = 0;
        unsigned last = 0;
        Result r = try_insn(i, &first, &last);

        printf("%s %s %u %u %c %c %c %c %c\n", insn_name(i),
               sem_name(insn_sem(i)), first, last,
               r.tried && r.decoded == r.tried ? 'y' : 'n',
               r.tried && r.disassembled == r.tried ? 'y' : 'n',
               r.tried && r.assembled == r.tried ? 'y' : 'n',
               interp_has(i) ? 'y' : 'n', trans_has(i) ? 'y' : 'n');
    }
    return 0;
}
