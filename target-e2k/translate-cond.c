/*
 * Conditions: predicate logic of a bundle, when its transfer takes place, and
 * the loop counters that both look at.
 */
#include "target-e2k/translate-int.h"

#include "tcg/tcg.h"

enum { CLP_MOVEP = 3 };

/* ------------------------------------------------------------------------
 * Predicate logic
 */

static IrReg elp_value(Trans *t, const Elp *elp)
{
    if (elp->kind == ELP_PRED) {
        return trans_pred(t, elp->index);
    }
    IrReg d = ir_temp(t->ir);
    ir_setcond(t->ir, IR_EQ, 8, d, trans_lcnt(t), trans_imm(t, 0));
    return d;
}

static IrReg clp_source(Trans *t, const IrReg clp[3], unsigned source,
                        bool negate)
{
    IrReg v = source < 4 ? elp_value(t, &t->node->bundle.elp[source])
                         : clp[source - 4];
    return negate ? ir_new2i(t->ir, IR_xor, 8, v, 1) : v;
}

void trans_plu(Trans *t, IrReg clp[3], IrReg movep[3])
{
    const Bundle *b = &t->node->bundle;

    for (int i = 0; i < 3; i++) {
        const Clp *c = &b->clp[i];
        clp[i] = movep[i] = IR_NONE;
        if (!c->present) {
            continue;
        }
        IrReg v0 = clp_source(t, clp, c->p0, c->neg0);
        IrReg v1 = clp_source(t, clp, c->p1, c->neg1);
        clp[i] = ir_new2(t->ir, IR_and, 8, v0, v1);
        if (c->opc == CLP_MOVEP && c->write) {
            movep[i] = ir_temp(t->ir);
            ir_select(t->ir, IR_NE, 8, movep[i], v0, trans_imm(t, 0), v1,
                      trans_pred(t, c->pdst));
        }
    }
}

void trans_plu_commit(Trans *t, const IrReg clp[3], const IrReg movep[3])
{
    const Bundle *b = &t->node->bundle;

    for (int i = 0; i < 3; i++) {
        const Clp *c = &b->clp[i];
        if (c->present && c->write) {
            ir_mov(t->ir, trans_pred(t, c->pdst),
                   c->opc == CLP_MOVEP ? movep[i] : clp[i]);
        }
    }
}

/* Does a compare or an earlier CLP write the predicate of CLP i? */
static bool pred_written_before(const Bundle *b, int i)
{
    unsigned pred = b->clp[i].pdst;
    for (int k = 0; k < i; k++) {
        if (b->clp[k].present && b->clp[k].write && b->clp[k].pdst == pred) {
            return true;
        }
    }
    for (int k = 0; k < BUNDLE_CHANNELS; k++) {
        if (b->alc[k].present && b->alc[k].dst.kind == OPERAND_PRED &&
            b->alc[k].dst.index == pred) {
            return true;
        }
    }
    return false;
}

bool trans_plu_supported(const Bundle *b)
{
    for (int i = 0; i < 4; i++) {
        uint8_t kind = b->elp[i].kind;
        if (kind != ELP_NONE && kind != ELP_PRED && kind != ELP_LCNTEX) {
            return false;
        }
    }
    for (int i = 0; i < 3; i++) {
        const Clp *c = &b->clp[i];
        if (!c->present) {
            continue;
        }
        if (c->write && pred_written_before(b, i)) {
            return false;
        }
        if ((c->p0 < 4 && b->elp[c->p0].kind == ELP_NONE) ||
            (c->p1 < 4 && b->elp[c->p1].kind == ELP_NONE) ||
            (c->p0 >= 4 && !b->clp[c->p0 - 4].present) ||
            (c->p1 >= 4 && !b->clp[c->p1 - 4].present)) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------
 * Transfer conditions
 */

static IrReg value_of(Trans *t, IrCond cond, IrReg a, uint64_t b)
{
    IrReg d = ir_temp(t->ir);
    ir_setcond(t->ir, cond, 8, d, a, trans_imm(t, b));
    return d;
}

static IrReg and_of(Trans *t, IrReg a, IrReg b)
{
    return ir_new2(t->ir, IR_and, 8, a, b);
}

/* vlc && lcnt < 2 && ecnt == 0; some of it is often known. */
static Test loop_end(Trans *t)
{
    Geometry geo = t->node->at.geo;
    if (geo.vlc && geo.ecnt0) {
        return (Test){ IR_LTU, 8, trans_lcnt(t), trans_imm(t, 2) };
    }
    IrReg v = value_of(t, IR_LTU, trans_lcnt(t), 2);
    if (!geo.vlc) {
        v = and_of(t, v, trans_loop_field(t, LOOP_VLC));
    }
    if (!geo.ecnt0) {
        v = and_of(t, v, value_of(t, IR_EQ, trans_loop_field(t, LOOP_ECNT),
                                  0));
    }
    return (Test){ IR_NE, 8, v, trans_imm(t, 0) };
}

IrReg trans_loop_end(Trans *t)
{
    Test end = loop_end(t);
    IrReg d = ir_temp(t->ir);
    ir_setcond(t->ir, end.cond, end.width, d, end.a, end.b);
    return d;
}

/* (outside the prologue and P) or LOOP_END; negate: ~P. */
static Test loop_or_pred(Trans *t, bool negate)
{
    const Bundle *b = &t->node->bundle;
    IrReg e = trans_loop_end(t);
    IrReg p = trans_pred(t, b->ct_psrc);
    if (negate) {
        p = ir_new2i(t->ir, IR_xor, 8, p, 1);
    }
    if (!t->node->at.geo.pcnt0) {
        IrReg g = value_of(t, IR_EQ, trans_loop_field(t, LOOP_PCNT), 0);
        g = ir_new2(t->ir, IR_or, 8, g, trans_loop_field(t, LOOP_SEMC));
        p = and_of(t, p, g);
    }
    return (Test){ IR_NE, 8, ir_new2(t->ir, IR_or, 8, p, e),
                   trans_imm(t, 0) };
}

static Test inverted(Test test)
{
    test.cond = ir_cond_invert(test.cond);
    return test;
}

bool trans_condition(Trans *t, Test *test)
{
    const Bundle *b = &t->node->bundle;

    if (t->node->end == END_FALL) {
        return false;
    }
    switch (b->ct_type) {
    case CT_PRED:
        *test = (Test){ IR_NE, 8, trans_pred(t, b->ct_psrc),
                        trans_imm(t, 0) };
        return true;
    case CT_NOT_PRED:
        *test = (Test){ IR_EQ, 8, trans_pred(t, b->ct_psrc),
                        trans_imm(t, 0) };
        return true;
    case CT_LOOP_END:
        *test = loop_end(t);
        return true;
    case CT_NOT_LOOP_END:
        *test = inverted(loop_end(t));
        return true;
    case CT_PRED_OR_LOOP_END:
        *test = loop_or_pred(t, false);
        return true;
    case CT_NOT_PRED_AND_NOT_LOOP_END:
        *test = inverted(loop_or_pred(t, false));
        return true;
    case CT_NOT_PRED_OR_LOOP_END:
        *test = loop_or_pred(t, true);
        return true;
    case CT_PRED_AND_NOT_LOOP_END:
        *test = inverted(loop_or_pred(t, true));
        return true;
    case CT_MLOCK:
        *test = (Test){ IR_NE, 8, t->mlock, trans_imm(t, 0) };
        return true;
    default:
        return false;
    }
}

bool trans_condition_supported(const Node *node)
{
    switch (node->bundle.ct_type) {
    case CT_MLOCK:
        /* Results that may be diagnostic (puttag) are not looked at. */
        return node->end == END_BRANCH && !(node->bundle.ct_psrc & 15);
    case CT_MLOCK_LOCAL:
    case CT_LOCAL:
        return false;
    default:
        return true;
    }
}

/* ------------------------------------------------------------------------
 * Loop counters
 */

/* x = x == 0 ? 0 : x - 1 */
static void count_down(Trans *t, IrReg x)
{
    IrReg less = ir_new2i(t->ir, IR_sub, 8, x, 1);
    ir_select(t->ir, IR_EQ, 8, x, x, trans_imm(t, 0), x, less);
}

void trans_advance_loop(Trans *t, bool goes_on)
{
    Geometry geo = t->node->at.geo;
    IrReg lcnt = trans_lcnt(t);

    if (!geo.pcnt0) {
        count_down(t, trans_loop_field(t, LOOP_PCNT));
    }
    if (goes_on) { /* lcnt > 1 */
        ir_op2(t->ir, IR_sub, 8, lcnt, lcnt, trans_imm(t, 1));
        ir_mov(t->ir, trans_loop_field(t, LOOP_OVER), trans_imm(t, 0));
        return;
    }
    count_down(t, lcnt);
    ir_setcond(t->ir, IR_EQ, 8, trans_loop_field(t, LOOP_OVER), lcnt,
               trans_imm(t, 0));
    if (!geo.ecnt0) {
        /* ecnt goes down when lcnt is 0 and vlc set. */
        IrReg ecnt = trans_loop_field(t, LOOP_ECNT);
        IrReg less = ir_new2i(t->ir, IR_sub, 8, ecnt, 1);
        IrReg down = value_of(t, IR_NE, ecnt, 0);
        down = and_of(t, down, trans_loop_field(t, LOOP_OVER));
        down = and_of(t, down, trans_loop_field(t, LOOP_VLC));
        ir_select(t->ir, IR_NE, 8, ecnt, down, trans_imm(t, 0), less, ecnt);
    }
}

void trans_loop_guard(Trans *t, TransExit kind, const Place *place)
{
    Geometry facts = t->region->loop_facts;
    IrReg zero = trans_imm(t, 0);

    if (!facts.vlc && !facts.pcnt0 && !facts.ecnt0) {
        return;
    }
    uint32_t label = trans_cold_exit(t, kind, place);
    if (facts.vlc) {
        ir_brcond(t->ir, IR_EQ, 8, trans_loop_field(t, LOOP_VLC), zero,
                  label);
    }
    if (facts.pcnt0) {
        ir_brcond(t->ir, IR_NE, 8, trans_loop_field(t, LOOP_PCNT), zero,
                  label);
    }
    if (facts.ecnt0) {
        ir_brcond(t->ir, IR_NE, 8, trans_loop_field(t, LOOP_ECNT), zero,
                  label);
    }
}
