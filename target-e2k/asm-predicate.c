/*
 * Predicate logic: pass, andp, landp, movep and shorthands.
 *
 * Source: shared facts "isa/encoding.md" section 9.1.
 */
#include "target-e2k/asm-control-int.h"

/* @pN with N < limit. */
static bool local_pred(Asm *as, Cursor *c, unsigned limit, uint8_t *number)
{
    cursor_skip(c);

    unsigned column = cursor_column(c);

    if (!cursor_text(c, "@p") || *c->p < '0' ||
        (unsigned)(*c->p - '0') >= limit) {
        asm_error(as, column, "@p0 to @p%u expected", limit - 1);
        return false;
    }
    *number = *c->p++ - '0';
    return true;
}

static void need_pls(Asm *as, unsigned words)
{
    Bundle *b = &as->bundle.bundle;

    b->n_pls = MAX(b->n_pls, words);
}

/* Source of a pass: the byte of an ELP, or -1. */
static int elp_source(Asm *as, Cursor *c)
{
    unsigned column = (cursor_skip(c), cursor_column(c));
    int64_t n;
    unsigned mask = 0;

    if (cursor_word(c, "%lcntex")) {
        return 0;
    }
    if (cursor_word(c, "%bgrpred")) {
        return 0x40;
    }
    if (cursor_text(c, "%spred")) {
        for (; *c->p >= '0' && *c->p <= '5'; c->p++) {
            mask |= 1 << (*c->p - '0');
        }
        if (mask) {
            return mask;
        }
    } else if (cursor_text(c, "%rndpred")) {
        if (control_number_below(as, c, "%rndpred", 16, &n)) {
            if (n > 0 && as->isa >= 3) {
                return 0x40 | n;
            }
        } else {
            return -1;
        }
    } else if (cursor_text(c, "%pred")) {
        return control_number_below(as, c, "predicate", 32, &n)
                   ? 0x60 | (int)n : -1;
    }
    asm_error(as, column, "predicate source expected");
    return -1;
}

/* pass SOURCE, @pN and pass @pN, %predM */
static bool parse_pass(Asm *as, Cursor *c)
{
    AsmBundle *ab = &as->bundle;
    uint8_t p;

    cursor_skip(c);
    if (*c->p == '@') {
        Cond cond;

        if (!local_pred(as, c, 7, &p) || !control_expect(as, c, ',') ||
            !operand_cond(as, c, &cond, false)) {
            return false;
        }
        if (p < 4 || cond.negate) {
            asm_error(as, as->column, "only @p4 to @p6 can be passed to a "
                      "predicate, and not negated");
            return false;
        }
        Clp *clp = &ab->bundle.clp[p - 4];

        if (clp->write) {
            asm_error(as, as->column, "@p%u is passed already", p);
            return false;
        }
        clp->write = true;
        clp->pdst = cond.index;
        need_pls(as, p - 3);
        return true;
    }
    int source = elp_source(as, c);

    if (source < 0 || !control_expect(as, c, ',') ||
        !local_pred(as, c, 4, &p)) {
        return false;
    }
    if (ab->elp_mask & (1 << p)) {
        asm_error(as, as->column, "@p%u is taken", p);
        return false;
    }
    ab->elp_mask |= 1 << p;
    ab->bundle.elp[p].byte = source;
    need_pls(as, p / 2 + 1);
    return true;
}

/* andp, landp, movep [~]@pA, [~]@pB, @pC */
static bool calculate(Asm *as, Cursor *c, unsigned opc)
{
    static const uint8_t sources[3] = { 2, 5, 6 }; /* @p0.. that it may use */
    AsmBundle *ab = &as->bundle;
    Clp clp = { .present = true, .opc = opc };
    uint8_t p;

    clp.neg0 = cursor_char(c, '~');
    if (!local_pred(as, c, 7, &clp.p0) || !control_expect(as, c, ',')) {
        return false;
    }
    clp.neg1 = cursor_char(c, '~');
    if (!local_pred(as, c, 7, &clp.p1) || !control_expect(as, c, ',') ||
        !local_pred(as, c, 7, &p)) {
        return false;
    }
    if (p < 4 || clp.p0 >= sources[p - 4] || clp.p1 >= sources[p - 4]) {
        asm_error(as, as->column, p < 4
                  ? "result must be @p4 to @p6"
                  : "source that this calculation cannot use");
        return false;
    }
    Clp *dst = &ab->bundle.clp[p - 4];

    if (ab->clp_mask & (1 << (p - 4))) {
        asm_error(as, as->column, "@p%u is taken", p);
        return false;
    }
    ab->clp_mask |= 1 << (p - 4);
    clp.write = dst->write;
    clp.pdst = dst->pdst;
    *dst = clp;
    need_pls(as, p - 3);
    return true;
}

static bool parse_andp(Asm *as, Cursor *c)
{
    return calculate(as, c, 0);
}

static bool parse_landp(Asm *as, Cursor *c)
{
    return calculate(as, c, 1);
}

static bool parse_movep(Asm *as, Cursor *c)
{
    return calculate(as, c, 3);
}

/* clpandp, clplandp [~]%pA, [~]%pB, %pD: a whole calculation in @p4 */
static bool whole_calculation(Asm *as, Cursor *c, unsigned opc)
{
    AsmBundle *ab = &as->bundle;
    Cond a, b, d;

    if (!operand_cond(as, c, &a, false) || !control_expect(as, c, ',') ||
        !operand_cond(as, c, &b, false) || !control_expect(as, c, ',') ||
        !operand_cond(as, c, &d, false)) {
        return false;
    }
    if ((ab->elp_mask & 3) || (ab->clp_mask & 1) || d.negate) {
        asm_error(as, as->column, "predicate logic is taken");
        return false;
    }
    ab->elp_mask |= 3;
    ab->clp_mask |= 1;
    ab->bundle.elp[0].byte = 0x60 | a.index;
    ab->bundle.elp[1].byte = 0x60 | b.index;
    ab->bundle.clp[0] = (Clp){
        .present = true, .opc = opc, .neg0 = a.negate, .neg1 = b.negate,
        .p0 = 0, .p1 = 1, .write = true, .pdst = d.index,
    };
    need_pls(as, 1);
    return true;
}

static bool parse_clpandp(Asm *as, Cursor *c)
{
    return whole_calculation(as, c, 0);
}

static bool parse_clplandp(Asm *as, Cursor *c)
{
    return whole_calculation(as, c, 1);
}

const ControlOp predicate_ops[] = {
    { "andp", parse_andp, 1 },
    { "clpandp", parse_clpandp, 1 },
    { "clplandp", parse_clplandp, 1 },
    { "landp", parse_landp, 1 },
    { "movep", parse_movep, 1 },
    { "pass", parse_pass, 1 },
    { NULL, NULL, 0 },
};
