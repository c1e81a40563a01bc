/*
 * Predicate logic of the reference interpreter: sources @p0..@p3, the results
 * @p4..@p6, and their way to the predicate file.
 *
 * Source: shared facts "isa/semantics.md" section 2.3.
 */
#include "target-e2k/interp-int.h"

static ClpValue elp_value(const Interp *in, const Elp *elp)
{
    const E2kCpu *cpu = in->cpu;
    ClpValue v = {false, false};

    switch (elp->kind) {
    case ELP_PRED:
        v.value = interp_pf_value(cpu, elp->index);
        v.invalid = interp_pf_invalid(cpu, elp->index);
        break;
    case ELP_LCNTEX:
        v.value = cpu->lcnt == 0;
        break;
    case ELP_SPRED:
        /* A diagnostic result in one of the listed channels. */
        for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
            const InterpOp *c = &in->c[i];
            if ((elp->index >> i & 1) && in->b->alc[i].present &&
                !in->b->alc[i].pair_second) {
                v.value |= c->on && c->poison;
            }
        }
        break;
    case ELP_BGRPRED:
        v.value = cpu->bgr_val == 0xff;
        break;
    case ELP_RNDPRED:
        v.value = cpu->state[0x91] >> (elp->index & 31) & 1;
        break;
    default:
        break;
    }
    return v;
}

static ClpValue clp_result(unsigned opc, ClpValue a, ClpValue b)
{
    ClpValue r = {a.value && b.value, a.invalid || b.invalid};

    if (opc == CLP_LANDP && !a.invalid && !a.value) {
        r.invalid = false;
    }
    return r;
}

void interp_plu(Interp *in)
{
    const Bundle *b = in->b;

    for (unsigned i = 0; i < 4; i++) {
        in->clp[i] = elp_value(in, &b->elp[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        const Clp *k = &b->clp[i];
        in->clp[4 + i] = (ClpValue){false, false};
        if (!k->present) {
            continue;
        }
        ClpValue a = in->clp[k->p0];
        ClpValue v = in->clp[k->p1];
        a.value ^= k->neg0;
        v.value ^= k->neg1;
        in->clp[4 + i] = clp_result(k->opc, a, v);
        in->mlp_condition[i] = a;
        in->mlp_value[i] = v;
    }
}

void interp_set_pred(E2kCpu *cpu, unsigned n, bool value, bool invalid)
{
    unsigned shift = 2 * interp_pred_index(cpu, n);

    cpu->pf = (cpu->pf & ~(UINT64_C(3) << shift)) |
              (uint64_t)(value | invalid << 1) << shift;
}

void interp_plu_write(Interp *in)
{
    for (unsigned i = 0; i < 3; i++) {
        const Clp *k = &in->b->clp[i];
        if (!k->present || !k->write) {
            continue;
        }
        ClpValue r = in->clp[4 + i];
        if (k->opc == CLP_MOVEP) {
            ClpValue condition = in->mlp_condition[i];
            r = in->mlp_value[i];
            if (condition.invalid) {
                r.invalid = true;
            } else if (!condition.value) {
                continue;
            }
        }
        interp_set_pred(in->cpu, k->pdst, r.value, r.invalid);
    }
}
