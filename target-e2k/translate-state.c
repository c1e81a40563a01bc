/*
 * Guest state as vregs, ways out of generated code, conditions: what the
 * files that translate operations have in common.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

#include "tcg/tcg.h"

/* ------------------------------------------------------------------------
 * Guest state as vregs, declared when first wanted
 */

static IrReg declare(Trans *t, IrReg *slot, size_t offset, unsigned size,
                     unsigned class, const char *name)
{
    if (*slot == IR_NONE) {
        *slot = ir_global(t->ir, ir_cpu(t->ir), offset, size, class, name);
    }
    return *slot;
}

/* Names for -d op, made once; under the translation lock. */
enum { NAME_BYTES = 8, PREDICATES = 32 };

static const char *numbered(char names[][NAME_BYTES], const char *kind,
                            unsigned slot, unsigned number)
{
    if (!names[slot][0]) {
        g_snprintf(names[slot], NAME_BYTES, "%s%u", kind, number);
    }
    return names[slot];
}

static const char *reg_name(unsigned guest_reg)
{
    static char names[GUEST_REGS][NAME_BYTES];

    return guest_reg < WINDOW_REGS
               ? numbered(names, "r", guest_reg, guest_reg)
               : numbered(names, "g", guest_reg, guest_reg - WINDOW_REGS);
}

static const char *pred_name(unsigned n)
{
    static char names[PREDICATES][NAME_BYTES];

    return numbered(names, "pred", n, n);
}

IrReg trans_reg(Trans *t, unsigned guest_reg)
{
    IrReg *slot = &t->reg[guest_reg];
    if (*slot != IR_NONE) {
        return *slot;
    }
    unsigned size = t->wide[guest_reg] ? 16 : 8;
    if (guest_reg < WINDOW_REGS) {
        *slot = ir_global(t->ir, t->win, guest_reg * sizeof(RegSlot), size,
                          CLASS_WINDOW, reg_name(guest_reg));
    } else {
        size_t offset = offsetof(E2kCpu, g) +
                        (guest_reg - WINDOW_REGS) * sizeof(RegSlot);
        *slot = ir_global(t->ir, ir_cpu(t->ir), offset, size, CLASS_GLOBAL,
                          reg_name(guest_reg));
    }
    return *slot;
}

IrReg trans_reg_lo(Trans *t, unsigned guest_reg)
{
    IrReg reg = trans_reg(t, guest_reg);
    return t->wide[guest_reg] ? ir_new1(t->ir, IR_vlo, 8, reg) : reg;
}

IrReg trans_pred(Trans *t, unsigned index)
{
    unsigned n = geometry_pred(t->node->at.geo, index);
    if (t->pred[n] == IR_NONE) {
        t->pred[n] = ir_global_bits(t->ir, t->frame, TRANS_PF_OFFSET, 2 * n,
                                    1, CLASS_PRED, pred_name(n));
    }
    return t->pred[n];
}

IrReg trans_lcnt(Trans *t)
{
    return declare(t, &t->lcnt, offsetof(E2kCpu, lcnt), 8, CLASS_LOOP,
                   "lcnt");
}

IrReg trans_loop_field(Trans *t, LoopField field)
{
    static const struct {
        uint16_t offset;
        const char *name;
    } fields[] = {
        [LOOP_ECNT] = { offsetof(E2kCpu, ecnt), "ecnt" },
        [LOOP_PCNT] = { offsetof(E2kCpu, pcnt), "pcnt" },
        [LOOP_VLC] = { offsetof(E2kCpu, vlc), "vlc" },
        [LOOP_OVER] = { offsetof(E2kCpu, over), "over" },
        [LOOP_SEMC] = { offsetof(E2kCpu, semc), "semc" },
        [LOOP_STRMD] = { offsetof(E2kCpu, strmd), "strmd" },
    };
    return declare(t, &t->loop[field], fields[field].offset, 1, CLASS_LOOP,
                   fields[field].name);
}

IrReg trans_usd_bottom(Trans *t)
{
    return declare(t, &t->usd_bottom, offsetof(E2kCpu, jit.usd_bottom), 8,
                   CLASS_STACK, "usd_bottom");
}

IrReg trans_usd_size(Trans *t)
{
    return declare(t, &t->usd_size, offsetof(E2kCpu, usd_size), 8,
                   CLASS_STACK, "usd_size");
}

/* ------------------------------------------------------------------------
 * Leaving for C
 */

static const Site *new_site(Trans *t, const Place *place,
                            const TagPatch *tags)
{
    Site *site = ir_keep(t->ir, sizeof(*site));
    site->ip = place->ip;
    site->geo = place->geo;
    memcpy(site->ctpr, place->ctpr, sizeof(site->ctpr));
    site->tags = tags;
    return site;
}

const Site *trans_site(Trans *t, const Place *place)
{
    return new_site(t, place, tags_patch(t, &t->now));
}

const Site *trans_node_site(Trans *t)
{
    if (!t->site) {
        const TagState *before = &t->tags[t->node - t->region->nodes];
        t->site = new_site(t, &t->node->at, tags_patch(t, before));
    }
    return t->site;
}

static uint32_t cold_exit(Trans *t, TransExit kind, const Site *site)
{
    uint32_t label = ir_new_label(t->ir);
    if (t->n_cold < TRANS_MAX_COLD) {
        t->cold[t->n_cold++] = (ColdExit){ label, kind, site };
    } else {
        t->ir->overflow = true;
    }
    return label;
}

uint32_t trans_cold_exit(Trans *t, TransExit kind, const Place *place)
{
    return cold_exit(t, kind, trans_site(t, place));
}

uint32_t trans_interp_exit(Trans *t)
{
    if (!t->interp_label) {
        t->interp_label =
            1 + cold_exit(t, TRANS_EXIT_INTERP, trans_node_site(t));
    }
    return t->interp_label - 1;
}

void trans_exit(Trans *t, TransExit kind, const Site *site)
{
    ir_st(t->ir, 8, ir_cpu(t->ir), offsetof(E2kCpu, jit.site),
          trans_imm(t, (uintptr_t)site));
    ir_exit(t->ir, kind, IR_NONE);
}

void trans_leave_to_c(Trans *t, const Place *place)
{
    trans_exit(t, TRANS_EXIT_STATE, trans_site(t, place));
}

void trans_cold_exits(Trans *t)
{
    for (unsigned i = 0; i < t->n_cold; i++) {
        ir_label_cold(t->ir, t->cold[i].label);
        trans_exit(t, t->cold[i].kind, t->cold[i].site);
    }
}

uint32_t trans_fault(Trans *t)
{
    if (t->n_faults == G_N_ELEMENTS(t->fault_info)) {
        t->ir->overflow = true;
        return 0;
    }
    t->fault_info[t->n_faults] = (uintptr_t)trans_node_site(t);
    return t->n_faults++;
}

/* ------------------------------------------------------------------------
 * Conditions
 */

void trans_branch(Trans *t, const Test *test, uint32_t label)
{
    ir_brcond(t->ir, test->cond, test->width, test->a, test->b, label);
}

void trans_branch_not(Trans *t, const Test *test, uint32_t label)
{
    ir_brcond(t->ir, ir_cond_invert(test->cond), test->width, test->a,
              test->b, label);
}

static Test pred_test(Trans *t, const Cond *cond)
{
    if (cond->kind == COND_PCNT) {
        return (Test){ cond->negate ? IR_GTU : IR_LEU, 8,
                       trans_loop_field(t, LOOP_PCNT),
                       trans_imm(t, cond->index) };
    }
    return (Test){ cond->negate ? IR_EQ : IR_NE, 8,
                   trans_pred(t, cond->index), trans_imm(t, 0) };
}

IrReg trans_test_value(Trans *t, const Test *test)
{
    IrReg d = ir_temp(t->ir);
    ir_setcond(t->ir, test->cond, test->width, d, test->a, test->b);
    return d;
}

/* (any of the %pred conditions) and (any of the %pcnt conditions). */
Test trans_cond_test(Trans *t, const Cond *conds, unsigned n)
{
    IrReg any[2] = { IR_NONE, IR_NONE };

    if (n == 1) {
        return pred_test(t, &conds[0]);
    }
    for (unsigned i = 0; i < n; i++) {
        Test test = pred_test(t, &conds[i]);
        IrReg v = trans_test_value(t, &test);
        IrReg *slot = &any[conds[i].kind == COND_PCNT];
        *slot = *slot == IR_NONE ? v : ir_new2(t->ir, IR_or, 8, *slot, v);
    }
    IrReg all = any[0] == IR_NONE ? any[1]
                : any[1] == IR_NONE
                    ? any[0]
                    : ir_new2(t->ir, IR_and, 8, any[0], any[1]);
    return (Test){ IR_NE, 8, all, trans_imm(t, 0) };
}
