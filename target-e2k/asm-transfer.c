/*
 * Control transfers, their conditions and their preparation.
 *
 * Source: shared facts "isa/encoding.md" sections 2.3, 5 and 6.
 */
#include "target-e2k/asm-control-int.h"

static bool ctpr(Asm *as, Cursor *c, unsigned allowed, unsigned *number)
{
    cursor_skip(c);

    unsigned column = cursor_column(c);

    for (unsigned i = 1; i <= 3; i++) {
        const char text[] = { '%', 'c', 't', 'p', 'r', '0' + i, '\0' };

        if ((allowed & (1 << i)) && cursor_word(c, text)) {
            *number = i;
            return true;
        }
    }
    asm_error(as, column, allowed == 1 << 2   ? "%%ctpr2 expected"
                          : allowed == 1 << 3 ? "%%ctpr3 expected"
                                              : "%%ctpr1 to %%ctpr3 expected");
    return false;
}

/* The transfer's target; needs CS0. */
static bool target(Asm *as, Cursor *c, uint32_t cs0)
{
    AsmBundle *ab = &as->bundle;

    if (!control_take_cs0(as, cs0)) {
        return false;
    }
    ab->disp = expr_parse(as, c);
    ab->disp_kind = FIXUP_DISP;
    return ab->disp != NULL;
}

/* "local" conditions after %MLOCK ||: compares and calculated predicates. */
static bool local_condition(Asm *as, Cursor *c)
{
    static const uint8_t compare_of_channel[5] = { 0, 1, 9, 2, 3 };
    Bundle *b = &as->bundle.bundle;
    bool negate = cursor_char(c, '~');
    unsigned n;

    b->ct_type = CT_MLOCK_LOCAL;
    if (cursor_text(c, "%clp") || cursor_text(c, "%mlp")) {
        n = *c->p - '0';
        if (n > 2) {
            return false;
        }
        c->p++;
        b->ct_psrc = 0x10 | n << 1 | negate;
        return true;
    }
    if (!cursor_text(c, "%cmp")) {
        return false;
    }
    n = *c->p - '0';
    if (n > 4 || n == 2) {
        return false;
    }
    c->p++;
    b->ct_psrc = compare_of_channel[n] << 1 | negate;
    if (cursor_text(c, "||")) {
        bool negate2 = cursor_char(c, '~');
        unsigned m = cursor_text(c, "%cmp") ? *c->p - '0' : 9;

        if ((n != 0 && n != 3) || m != n + 1) {
            return false;
        }
        c->p++;
        b->ct_psrc = 0x08 | (n == 3) << 2 | negate << 1 | negate2;
    }
    return true;
}

/* %dt_al<channels> */
static bool deferred_condition(Cursor *c, Bundle *b)
{
    static const uint8_t bit_of_channel[5] = { 1, 2, 0, 4, 8 };
    unsigned mask = 0;

    for (; *c->p >= '0' && *c->p <= '4' && bit_of_channel[*c->p - '0'];
         c->p++) {
        mask |= bit_of_channel[*c->p - '0'];
    }
    b->ct_type = CT_MLOCK;
    b->ct_psrc = mask;
    return mask != 0;
}

static bool mlock_condition(Asm *as, Cursor *c, bool mlock_allowed,
                            bool rbranch)
{
    unsigned column = cursor_column(c);
    Bundle *b = &as->bundle.bundle;
    bool ok = mlock_allowed;

    if (ok && (rbranch || cursor_text(c, "||"))) {
        ok = cursor_text(c, "%dt_al") ? deferred_condition(c, b)
                                      : local_condition(as, c);
        if (ok && b->ct_type == CT_MLOCK_LOCAL && as->isa < 3) {
            asm_error(as, column, "no such condition before instruction set "
                      "version 3");
            return false;
        }
    } else {
        b->ct_type = CT_MLOCK;
    }
    if (!ok) {
        asm_error(as, column, mlock_allowed
                  ? "malformed condition after %%MLOCK"
                  : "%%MLOCK is a condition of ibranch only");
    }
    return ok;
}

/* %predN alone or with the end of the loop. */
static bool pred_condition(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;
    Cond cond;

    if (!operand_cond(as, c, &cond, false)) {
        return false;
    }
    b->ct_psrc = cond.index;
    if (cursor_text(c, "||")) {
        if (!cursor_word(c, "%LOOP_END")) {
            asm_error(as, cursor_column(c), "%%LOOP_END expected");
            return false;
        }
        b->ct_type = cond.negate ? CT_NOT_PRED_OR_LOOP_END
                                 : CT_PRED_OR_LOOP_END;
    } else if (cursor_text(c, "&&")) {
        if (!cursor_word(c, "%NOT_LOOP_END")) {
            asm_error(as, cursor_column(c), "%%NOT_LOOP_END expected");
            return false;
        }
        b->ct_type = cond.negate ? CT_NOT_PRED_AND_NOT_LOOP_END
                                 : CT_PRED_AND_NOT_LOOP_END;
    } else {
        b->ct_type = cond.negate ? CT_NOT_PRED : CT_PRED;
    }
    return true;
}

/* [? condition] of a transfer; also claims the bundle's transfer. */
bool control_condition(Asm *as, Cursor *c, bool mlock_allowed, bool rbranch)
{
    AsmBundle *ab = &as->bundle;
    Bundle *b = &ab->bundle;

    if (ab->ct_given) {
        asm_error(as, as->column, "second control transfer in the bundle");
        return false;
    }
    ab->ct_given = true;
    ss_start(as);
    if (!cursor_char(c, '?')) {
        b->ct_type = rbranch ? CT_MLOCK : CT_ALWAYS;
        return true;
    }
    if (rbranch) {
        return mlock_condition(as, c, true, true);
    }
    if (cursor_word(c, "%MLOCK")) {
        return mlock_condition(as, c, mlock_allowed, false);
    }
    static const struct {
        const char *text;
        uint8_t type;
    } simple[] = {
        { "%always", CT_ALWAYS }, { "%never", CT_NEVER },
        { "%LOOP_END", CT_LOOP_END }, { "%NOT_LOOP_END", CT_NOT_LOOP_END },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(simple); i++) {
        if (cursor_word(c, simple[i].text)) {
            b->ct_type = simple[i].type;
            return true;
        }
    }
    return pred_condition(as, c);
}

static bool parse_ct(Asm *as, Cursor *c)
{
    unsigned n;

    if (!ctpr(as, c, 0xe, &n)) {
        return false;
    }
    as->bundle.bundle.ctop = n;
    return control_condition(as, c, false, false);
}

/* ", wbs = N" */
static bool parse_wbs(Asm *as, Cursor *c, unsigned ctopc)
{
    int64_t wbs;

    cursor_char(c, ',');
    if (cursor_word(c, "wbs") && !control_expect(as, c, '=')) {
        return false;
    }
    return control_number_below(as, c, "wbs", 128, &wbs) &&
           control_take_cs1(as, 5, ctopc << 7 | wbs);
}

static bool parse_call(Asm *as, Cursor *c)
{
    unsigned n;

    if (!ctpr(as, c, 0xe, &n) || !parse_wbs(as, c, 0)) {
        return false;
    }
    as->bundle.bundle.ctop = n;
    return control_condition(as, c, false, false);
}

static bool parse_icall(Asm *as, Cursor *c)
{
    int64_t disp;

    return control_number_below(as, c, "displacement", 1 << 28, &disp) &&
           control_take_cs0(as, disp) && parse_wbs(as, c, 1) &&
           control_condition(as, c, false, false);
}

static bool parse_hcall(Asm *as, Cursor *c)
{
    int64_t number;

    return control_number_below(as, c, "hypercall number", 16, &number) &&
           control_take_cs0(as, number << 1) && parse_wbs(as, c, 2) &&
           control_condition(as, c, false, false);
}

static bool parse_ibranch(Asm *as, Cursor *c)
{
    return target(as, c, 0) && control_condition(as, c, true, false);
}

static bool parse_rbranch(Asm *as, Cursor *c)
{
    return target(as, c, 0) && control_condition(as, c, true, true);
}

static bool parse_done(Asm *as, Cursor *c)
{
    return control_take_cs0(as, 0x30000000) &&
           control_condition(as, c, false, false);
}

static bool parse_iret(Asm *as, Cursor *c)
{
    return control_take_cs0(as, 0x30000002) &&
           control_condition(as, c, false, false);
}

static bool parse_hret(Asm *as, Cursor *c)
{
    return control_take_cs0(as, 0x30000003) &&
           control_condition(as, c, false, false);
}

static bool parse_glaunch(Asm *as, Cursor *c)
{
    return control_take_cs0(as, 0x30000004) &&
           control_condition(as, c, false, false);
}

static bool parse_disp(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 0xe, &n) && control_expect(as, c, ',') &&
           target(as, c, (uint32_t)n << 30);
}

static bool parse_ldisp(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 1 << 2, &n) && control_expect(as, c, ',') &&
           target(as, c, 0x90000000);
}

static bool parse_sdisp(Asm *as, Cursor *c)
{
    unsigned n;
    int64_t entry;

    return ctpr(as, c, 0xe, &n) && control_expect(as, c, ',') &&
           control_number_below(as, c, "system entry", 32, &entry) &&
           control_take_cs0(as, (uint32_t)n << 30 | 0x20000000 | entry);
}

static bool parse_puttsd(Asm *as, Cursor *c)
{
    return target(as, c, 0x20000000);
}

static bool parse_return(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 1 << 3, &n) && control_take_cs0(as, 0xf0000000);
}

static bool parse_gettsd(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 0xe, &n) &&
           control_take_cs0(as, (uint32_t)n << 30 | 0x30000001);
}

/* pref %iprN, disp = D, ipd = I; D may be a symbol */
static bool parse_pref(Asm *as, Cursor *c)
{
    AsmBundle *ab = &as->bundle;
    uint64_t disp = 0;
    int64_t ipd = 0;
    bool failed = false;

    if (!cursor_text(c, "%ipr") || *c->p < '0' || *c->p > '7') {
        asm_error(as, cursor_column(c), "%%ipr0 to %%ipr7 expected");
        return false;
    }
    uint32_t word = 0x10000000 | (*c->p++ - '0');

    if (!control_expect(as, c, ',')) {
        return false;
    }
    if (cursor_word(c, "disp") && !control_expect(as, c, '=')) {
        return false;
    }
    Expr *expr = expr_parse(as, c);

    if (!expr) {
        return false;
    }
    cursor_char(c, ',');
    control_field(as, c, "ipd", 2, &ipd, &failed);
    if (failed || !control_take_cs0(as, word | ipd << 3)) {
        return false;
    }
    if (!expr_is_known(as, expr, &disp)) {
        ab->disp = expr;
        ab->disp_kind = FIXUP_PREF;
    } else if (disp >= 1 << 24) {
        asm_error(as, as->column, "disp is out of range, 0..0xffffff");
        return false;
    }
    ab->bundle.cs0 |= disp << 4;
    return true;
}

const ControlOp transfer_ops[] = {
    { "call", parse_call, 1 },
    { "ct", parse_ct, 1 },
    { "disp", parse_disp, 1 },
    { "done", parse_done, 1 },
    { "gettsd", parse_gettsd, 3 },
    { "glaunch", parse_glaunch, 6 },
    { "hcall", parse_hcall, 6 },
    { "hret", parse_hret, 6 },
    { "ibranch", parse_ibranch, 1 },
    { "icall", parse_icall, 6 },
    { "iret", parse_iret, 6 },
    { "ldisp", parse_ldisp, 1 },
    { "pref", parse_pref, 1 },
    { "prep", parse_disp, 1 },
    { "prep_apb", parse_ldisp, 1 },
    { "prep_ct", parse_disp, 1 },
    { "prep_ret", parse_return, 1 },
    { "prep_sys", parse_sdisp, 1 },
    { "puttsd", parse_puttsd, 1 },
    { "rbranch", parse_rbranch, 1 },
    { "return", parse_return, 1 },
    { "sdisp", parse_sdisp, 1 },
    { NULL, NULL, 0 },
};
