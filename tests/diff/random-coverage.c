/*
 * Coverage of the random programs; the interface is in random-coverage.h.
 *
 * An operation counts when it has no condition and its bundle has been
 * executed without an exception; a form when a bundle that has it was.
 */
#include "tests/diff/random-coverage.h"

#include <stdio.h>
#include <string.h>

#include "target-e2k/bundle.h"
#include "target-e2k/interp.h"

enum { MAX_STEPS = 400 };

static uint64_t executed[INSN_COUNT][ISA_MAX + 1];
static uint64_t exceptions[64];
static uint64_t bundles;

/* --- forms ------------------------------------------------------------- */

static bool any_operation(const Bundle *b, bool (*has)(const AlcOp *op))
{
    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        if (b->alc[i].present && has(&b->alc[i])) {
            return true;
        }
    }
    return false;
}

static bool is_load(const AlcOp *op)
{
    return insn_rows[op->row].sem == SEM_load;
}

static bool is_store(const AlcOp *op)
{
    return insn_rows[op->row].sem == SEM_store;
}

static unsigned mod(const AlcOp *op)
{
    return op->mas & 7;
}

static bool is_speculative(const AlcOp *op)
{
    return op->speculative;
}

static bool has_conditions(const AlcOp *op)
{
    return op->n_conds > 0;
}

static bool has_pcnt(const AlcOp *op)
{
    return op->n_conds && op->conds[0].kind == COND_PCNT;
}

static bool has_merge(const AlcOp *op)
{
    return op->has_merge;
}

static bool writes_ctpr(const AlcOp *op)
{
    return op->dst.kind == OPERAND_CTPR;
}

static bool writes_nothing(const AlcOp *op)
{
    return op->dst.kind == OPERAND_EMPTY;
}

static bool uses_based(const AlcOp *op)
{
    return op->src1.kind == OPERAND_BASED || op->src2.kind == OPERAND_BASED ||
           op->dst.kind == OPERAND_BASED;
}

static bool uses_global(const AlcOp *op)
{
    return op->src1.kind == OPERAND_GLOBAL || op->dst.kind == OPERAND_GLOBAL;
}

static bool has_literal(const AlcOp *op, LiteralForm form)
{
    return (op->src1.kind == OPERAND_CONST && op->src1.literal == form) ||
           (op->src2.kind == OPERAND_CONST && op->src2.literal == form);
}

static bool literal_16_lo(const AlcOp *op)
{
    return has_literal(op, LITERAL_16_LO);
}

static bool literal_16_hi(const AlcOp *op)
{
    return has_literal(op, LITERAL_16_HI);
}

static bool literal_32(const AlcOp *op)
{
    return has_literal(op, LITERAL_32);
}

static bool literal_64(const AlcOp *op)
{
    return has_literal(op, LITERAL_64);
}

static bool big_endian(const AlcOp *op)
{
    return (op->mas & 8) && mod(op) != 7;
}

static bool takes_lock(const AlcOp *op)
{
    return is_load(op) && op->mas == 7;
}

static bool ends_lock(const AlcOp *op)
{
    return is_store(op) && mod(op) == 2;
}

static bool enters_dam(const AlcOp *op)
{
    return is_load(op) && mod(op) == 4 && op->speculative &&
           op->channel % 3 == 0;
}

static bool checks_dam(const AlcOp *op)
{
    return is_load(op) && mod(op) == 3 && !op->speculative &&
           op->channel % 3 == 2;
}

static bool increments_array(const AlcOp *op)
{
    return op->array.am;
}

static bool has_elp(const Bundle *b, ElpKind kind)
{
    for (unsigned i = 0; b->n_pls && i < 4; i++) {
        if (b->elp[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static bool has_clp(const Bundle *b, unsigned opc)
{
    for (unsigned i = 0; i < b->n_pls; i++) {
        if (b->clp[i].present && b->clp[i].opc == opc) {
            return true;
        }
    }
    return false;
}

static bool has_mova(const Bundle *b, unsigned opc, bool be, bool am)
{
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (m->present && m->opc == opc && m->be == be && m->am == am) {
            return true;
        }
    }
    return false;
}

static bool transfers_if(const Bundle *b, unsigned type)
{
    return b->transfer != TRANSFER_NONE && b->ct_type == type;
}

#define OPERATION(test) any_operation(b, test)
#define MOVA(name, opc)                                                        \
    X(name, has_mova(b, opc, false, false))                                    \
    X(name " with increment", has_mova(b, opc, false, true))                   \
    X(name " big-endian", has_mova(b, opc, true, false))

/* Names of forms and when a bundle, executed with cpu's state, has them. */
#define FORMS(X)                                                               \
    X("an invalid-tolerant operation", OPERATION(is_speculative))              \
    X("a condition", OPERATION(has_conditions))                                \
    X("a condition on %pcnt", OPERATION(has_pcnt))                             \
    X("a merge condition", OPERATION(has_merge))                               \
    X("a result for a CTPR", OPERATION(writes_ctpr))                           \
    X("%empty", OPERATION(writes_nothing))                                     \
    X("%b, rotated", OPERATION(uses_based) && cpu->rcur)                       \
    X("%b, not rotated", OPERATION(uses_based) && !cpu->rcur)                  \
    X("%g, rotated", OPERATION(uses_global) && cpu->bgr_cur)                   \
    X("predicates, rotated", b->n_pls && cpu->pcur)                            \
    X("_f16s,_ltsNlo", OPERATION(literal_16_lo))                               \
    X("_f16s,_ltsNhi", OPERATION(literal_16_hi))                               \
    X("_f32s", OPERATION(literal_32))                                          \
    X("_f64", OPERATION(literal_64))                                           \
    X("big-endian access", OPERATION(big_endian))                              \
    X("atomic load", OPERATION(takes_lock))                                    \
    X("atomic store", OPERATION(ends_lock))                                    \
    X("DAM: advanced load", OPERATION(enters_dam))                             \
    X("DAM: check", OPERATION(checks_dam))                                     \
    X("array increment", OPERATION(increments_array))                          \
    X("loop_mode", b->loop_mode)                                               \
    X("store in loop_mode", b->loop_mode && OPERATION(is_store))               \
    MOVA("movab", 1) MOVA("movah", 2) MOVA("movaw", 3) MOVA("movad", 4)        \
    X("four movas", b->mova[0].present && b->mova[1].present &&                \
                        b->mova[2].present && b->mova[3].present)              \
    X("alct", b->alct) X("alcf", b->alcf)                                      \
    X("abpt", b->abpt) X("abpf", b->abpf)                                      \
    X("abnt", b->abnt) X("abnf", b->abnf)                                      \
    X("abgi", b->abgi) X("abgd", b->abgd)                                      \
    X("bap", b->bap) X("eap", b->eap)                                          \
    X("andp", has_clp(b, 0)) X("landp", has_clp(b, 1))                         \
    X("movep", has_clp(b, 3))                                                  \
    X("%pred", has_elp(b, ELP_PRED)) X("%lcntex", has_elp(b, ELP_LCNTEX))      \
    X("%spred", has_elp(b, ELP_SPRED)) X("%bgrpred", has_elp(b, ELP_BGRPRED))  \
    X("%rndpred", has_elp(b, ELP_RNDPRED))                                     \
    X("ct", b->transfer == TRANSFER_CT)                                        \
    X("call", b->transfer == TRANSFER_CALL)                                    \
    X("ibranch", b->transfer == TRANSFER_IBRANCH)                              \
    X("ibranchd", b->transfer == TRANSFER_IBRANCHD)                            \
    X("icalld", b->transfer == TRANSFER_ICALLD)                                \
    X("if 1", transfers_if(b, 1)) X("if P", transfers_if(b, 2))                \
    X("if ~P", transfers_if(b, 3)) X("if #LOOP_END", transfers_if(b, 4))       \
    X("if #NOT_LOOP_END", transfers_if(b, 5))                                  \
    X("if P || #LOOP_END", transfers_if(b, 6))                                 \
    X("if ~P && #NOT_LOOP_END", transfers_if(b, 7))                            \
    X("if MLOCK or diagnostic", transfers_if(b, 8))                            \
    X("if MLOCK or compare", transfers_if(b, 9))                               \
    X("if ~P || #LOOP_END", transfers_if(b, 14))                               \
    X("if P && #NOT_LOOP_END", transfers_if(b, 15))                            \
    X("disp", b->prepare == PREPARE_DISP)                                      \
    X("ldisp", b->prepare == PREPARE_LDISP)                                    \
    X("sdisp", b->prepare == PREPARE_SDISP)                                    \
    X("return", b->prepare == PREPARE_RETURN)                                  \
    X("setwd", b->has_setwd) X("setbn", b->has_setbn)                          \
    X("setbp", b->has_setbp) X("wait", b->has_wait)                            \
    X("below a call", cpu->frame > cpu->frames + start_frame)                  \
    X("invalid predicates", cpu->pf & UINT64_C(0xaaaaaaaaaaaaaaaa))                         \
    X("WD.dbl", cpu->wdbl) X("UPSR.ac", cpu->upsr & UPSR_AC)                   \
    X("unmasked FP", (cpu->pfpfr & 0x1f80) != 0x1f80)                          \
    X("FP rounding", (cpu->pfpfr >> 13 & 3) != 0)                              \
    X("FP to zero", cpu->pfpfr & 0x8000)

enum {
#define X(name, test) +1
    FORM_COUNT = 0 FORMS(X)
#undef X
};

static const char *const form_names[FORM_COUNT] = {
#define X(name, test) name,
    FORMS(X)
#undef X
};

static uint64_t forms[FORM_COUNT];

static void forms_before(const E2kCpu *cpu, const Bundle *b, size_t start_frame,
                         bool has[FORM_COUNT])
{
    unsigned i = 0;

#define X(name, test) has[i++] = (test);
    FORMS(X)
#undef X
}

/* --- counting ------------------------------------------------------------ */

static void count_bundle(unsigned isa, const Bundle *b,
                         const bool has[FORM_COUNT])
{
    bundles++;
    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        if (b->alc[i].present && !b->alc[i].n_conds) {
            executed[b->alc[i].insn][isa]++;
        }
    }
    for (unsigned i = 0; i < FORM_COUNT; i++) {
        forms[i] += has[i];
    }
}

void coverage_run(Box *box)
{
    E2kCpu *cpu = box->cpu;
    size_t start_frame = cpu->frame - cpu->frames;
    bool has[FORM_COUNT];
    Bundle b;

    for (unsigned step = 0; step < MAX_STEPS; step++) {
        uint8_t code[BUNDLE_MAX_BYTES];
        unsigned got = 0;
        bool good =
            !(cpu->ip & 7) &&
            cpu->ops->fetch(cpu, cpu->ip, code, &got) == EXC_NONE &&
            bundle_decode(&b, code, got, cpu->isa) == DECODE_OK;
        if (good) {
            forms_before(cpu, &b, start_frame, has);
        }
        CpuExit exit = cpu_step(cpu);
        if (exit == CPU_EXIT_EXCEPTION && cpu->exception < 64) {
            exceptions[cpu->exception]++;
        }
        if (exit != CPU_EXIT_DEBUG || !good) {
            return;
        }
        count_bundle(cpu->isa, &b, has);
    }
}

/* --- report ---------------------------------------------------------------- */

/* Exceptions that legal bundles can raise in a box; system calls, interrupts
 * and stacks belong to embedders. */
static const Exception wanted_exceptions[] = {
    EXC_ILLEGAL_OPCODE, EXC_PRIV_ACTION, EXC_FP_DISABLED, EXC_DIAG_CT_COND,
    EXC_DIAG_INSTR_ADDR, EXC_ILLEGAL_INSTR_ADDR, EXC_WINDOW_BOUNDS,
    EXC_DIAG_COND, EXC_DIAG_OPERAND, EXC_ARRAY_BOUNDS, EXC_ADDR_NOT_ALIGNED, EXC_SOFTWARE_TRAP, EXC_DATA_PAGE, EXC_DIV, EXC_FP,
};

static unsigned missing_operations(void)
{
    unsigned wanted = 0, missing = 0;

    for (unsigned insn = 1; insn < INSN_COUNT; insn++) {
        const InsnRow *row = &insn_rows[insn_infos[insn].row];
        /* aaurws is encoded as aaurw; ldrd is for the system. */
        if ((row->flags & F_ALIAS) || !interp_has(insn) ||
            insn == INSN_aaurws || insn == INSN_ldrd) {
            continue;
        }
        for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
            if (insn_channels(insn, isa)) {
                wanted++;
                if (!executed[insn][isa]) {
                    printf("never executed: %s, v%u\n", insn_name(insn), isa);
                    missing++;
                }
            }
        }
    }
    printf("operations, by version: %u of %u\n", wanted - missing, wanted);
    return missing;
}

unsigned coverage_report(void)
{
    unsigned missing = missing_operations();
    unsigned missing_forms = 0, missing_exceptions = 0;

    for (unsigned i = 0; i < FORM_COUNT; i++) {
        if (!forms[i]) {
            printf("never executed: %s\n", form_names[i]);
            missing_forms++;
        }
    }
    printf("forms: %u of %u\n", FORM_COUNT - missing_forms, FORM_COUNT);
    for (unsigned i = 0; i < G_N_ELEMENTS(wanted_exceptions); i++) {
        if (!exceptions[wanted_exceptions[i]]) {
            printf("never raised: exception %u\n", wanted_exceptions[i]);
            missing_exceptions++;
        }
    }
    printf("exceptions: %u of %zu\n",
           (unsigned)G_N_ELEMENTS(wanted_exceptions) - missing_exceptions,
           G_N_ELEMENTS(wanted_exceptions));
    return missing + missing_forms + missing_exceptions;
}
