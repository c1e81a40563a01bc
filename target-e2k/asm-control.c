/*
 * Operations without a channel: transfers and their preparation, window and
 * loop commands, waits, predicate logic.
 *
 * Source: shared facts "isa/encoding.md" sections 2, 5, 6 and 9.
 */
#include "target-e2k/asm-int.h"

#include <string.h>

static bool expect(Asm *as, Cursor *c, char ch)
{
    if (cursor_char(c, ch)) {
        return true;
    }
    asm_error(as, cursor_column(c), "'%c' expected", ch);
    return false;
}

/* A number 0 <= *number < limit. */
static bool number_below(Asm *as, Cursor *c, const char *what, int64_t limit,
                         int64_t *number)
{
    cursor_skip(c);

    unsigned column = cursor_column(c);

    if (!expr_constant(as, c, number)) {
        return false;
    }
    if (*number < 0 || *number >= limit) {
        asm_error(as, column, "%s is out of range, 0..%" G_GINT64_FORMAT,
                  what, limit - 1);
        return false;
    }
    return true;
}

/* "name = number", and a comma behind it if there is one; false: not it. */
static bool field(Asm *as, Cursor *c, const char *name, int64_t limit,
                  int64_t *number, bool *failed)
{
    if (!cursor_word(c, name)) {
        return false;
    }
    if (!expect(as, c, '=') || !number_below(as, c, name, limit, number)) {
        *failed = true;
        return false;
    }
    cursor_char(c, ',');
    return true;
}

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

void ss_start(Asm *as)
{
    AsmBundle *ab = &as->bundle;

    if (!ab->bundle.has_ss) {
        ab->bundle.has_ss = true;
        if (!ab->ipd_given) {
            ab->bundle.ipd = 3;
        }
    }
}

static bool take_cs0(Asm *as, uint32_t word)
{
    AsmBundle *ab = &as->bundle;

    if (ab->has_cs0) {
        asm_error(as, as->column, "CS0 is taken by another operation");
        return false;
    }
    ab->has_cs0 = true;
    ab->bundle.cs0 = word;
    return true;
}

static bool take_cs1(Asm *as, unsigned opcode, uint32_t word)
{
    AsmBundle *ab = &as->bundle;

    if (ab->cs1_opcode != 0xff && ab->cs1_opcode != opcode) {
        asm_error(as, as->column, "CS1 is taken by another operation");
        return false;
    }
    ab->cs1_opcode = opcode;
    ab->cs1_word |= word;
    return true;
}

/* The transfer's target; needs CS0. */
static bool target(Asm *as, Cursor *c, uint32_t cs0)
{
    AsmBundle *ab = &as->bundle;

    if (!take_cs0(as, cs0)) {
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
    if (cursor_word(c, "wbs") && !expect(as, c, '=')) {
        return false;
    }
    return number_below(as, c, "wbs", 128, &wbs) &&
           take_cs1(as, 5, ctopc << 7 | wbs);
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

    return number_below(as, c, "displacement", 1 << 28, &disp) &&
           take_cs0(as, disp) && parse_wbs(as, c, 1) &&
           control_condition(as, c, false, false);
}

static bool parse_hcall(Asm *as, Cursor *c)
{
    int64_t number;

    return number_below(as, c, "hypercall number", 16, &number) &&
           take_cs0(as, number << 1) && parse_wbs(as, c, 2) &&
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
    return take_cs0(as, 0x30000000) && control_condition(as, c, false, false);
}

static bool parse_iret(Asm *as, Cursor *c)
{
    return take_cs0(as, 0x30000002) && control_condition(as, c, false, false);
}

static bool parse_hret(Asm *as, Cursor *c)
{
    return take_cs0(as, 0x30000003) && control_condition(as, c, false, false);
}

static bool parse_glaunch(Asm *as, Cursor *c)
{
    return take_cs0(as, 0x30000004) && control_condition(as, c, false, false);
}

static bool parse_disp(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 0xe, &n) && expect(as, c, ',') &&
           target(as, c, (uint32_t)n << 30);
}

static bool parse_ldisp(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 1 << 2, &n) && expect(as, c, ',') &&
           target(as, c, 0x90000000);
}

static bool parse_sdisp(Asm *as, Cursor *c)
{
    unsigned n;
    int64_t entry;

    return ctpr(as, c, 0xe, &n) && expect(as, c, ',') &&
           number_below(as, c, "system entry", 32, &entry) &&
           take_cs0(as, (uint32_t)n << 30 | 0x20000000 | entry);
}

static bool parse_puttsd(Asm *as, Cursor *c)
{
    return target(as, c, 0x20000000);
}

static bool parse_return(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 1 << 3, &n) && take_cs0(as, 0xf0000000);
}

static bool parse_gettsd(Asm *as, Cursor *c)
{
    unsigned n;

    return ctpr(as, c, 0xe, &n) &&
           take_cs0(as, (uint32_t)n << 30 | 0x30000001);
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

    if (!expect(as, c, ',')) {
        return false;
    }
    if (cursor_word(c, "disp") && !expect(as, c, '=')) {
        return false;
    }
    Expr *expr = expr_parse(as, c);

    if (!expr) {
        return false;
    }
    cursor_char(c, ',');
    field(as, c, "ipd", 2, &ipd, &failed);
    if (failed || !take_cs0(as, word | ipd << 3)) {
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

/* nop, nop N, idle cycles */
static bool parse_nop(Asm *as, Cursor *c)
{
    AsmBundle *ab = &as->bundle;
    int64_t cycles;

    if (ab->nop_given) {
        asm_error(as, as->column, "second 'nop' in the bundle");
        return false;
    }
    ab->nop_given = true;
    if (cursor_end(c)) {
        ab->nop_plain = true;
        return true;
    }
    if (!number_below(as, c, "nop", 8, &cycles)) {
        return false;
    }
    ab->bundle.nop = cycles;
    return true;
}

static bool parse_loop_mode(Asm *as, Cursor *c)
{
    as->bundle.bundle.loop_mode = true;
    return true;
}

static bool parse_set_mark(Asm *as, Cursor *c)
{
    as->bundle.bundle.set_mark = true;
    return true;
}

static bool parse_ipd(Asm *as, Cursor *c)
{
    int64_t ipd;

    if (!number_below(as, c, "ipd", 4, &ipd)) {
        return false;
    }
    as->bundle.ipd_given = true;
    as->bundle.bundle.ipd = ipd;
    ss_start(as);
    return true;
}

/* Two flags: "NAMEf = V, NAMEt = V" in any order, or one number 0..3. */
static bool two_flags(Asm *as, Cursor *c, const char *high, const char *low,
                      bool *h, bool *l)
{
    int64_t value = 0;
    bool failed = false;
    bool any = false;

    ss_start(as);
    for (;;) {
        if (field(as, c, high, 2, &value, &failed)) {
            *h = value;
        } else if (field(as, c, low, 2, &value, &failed)) {
            *l = value;
        } else {
            break;
        }
        any = true;
    }
    if (failed || any) {
        return !failed;
    }
    if (!number_below(as, c, high, 4, &value)) {
        return false;
    }
    *h = value >> 1;
    *l = value & 1;
    return true;
}

static bool parse_alc(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;

    return two_flags(as, c, "alcf", "alct", &b->alcf, &b->alct);
}

static bool parse_abp(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;

    return two_flags(as, c, "abpf", "abpt", &b->abpf, &b->abpt);
}

static bool parse_abn(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;

    return two_flags(as, c, "abnf", "abnt", &b->abnf, &b->abnt);
}

static bool parse_abg(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;

    return two_flags(as, c, "abgi", "abgd", &b->abgi, &b->abgd);
}

static bool parse_bap(Asm *as, Cursor *c)
{
    ss_start(as);
    as->bundle.bundle.bap = true;
    return true;
}

static bool parse_eap(Asm *as, Cursor *c)
{
    ss_start(as);
    as->bundle.bundle.eap = true;
    return true;
}

static bool parse_vfdi(Asm *as, Cursor *c)
{
    ss_start(as);
    as->bundle.bundle.vfdi = true;
    return true;
}

static bool recovery_point(Asm *as, Cursor *c, unsigned code)
{
    Bundle *b = &as->bundle.bundle;

    if (b->recovery) {
        asm_error(as, as->column, "second recovery-point operation");
        return false;
    }
    ss_start(as);
    b->recovery = code;
    if (!cursor_char(c, '?')) {
        return true;
    }
    if (as->isa < 3) {
        asm_error(as, cursor_column(c), "no condition here before "
                  "instruction set version 3");
        return false;
    }
    if (!operand_cond(as, c, &b->rpc[0], true)) {
        return false;
    }
    b->n_rpc = 1;
    return true;
}

static bool parse_crp(Asm *as, Cursor *c)
{
    return recovery_point(as, c, 1);
}

static bool parse_srp(Asm *as, Cursor *c)
{
    return recovery_point(as, c, 2);
}

static bool parse_slrp(Asm *as, Cursor *c)
{
    return recovery_point(as, c, 3);
}

static bool parse_flushts(Asm *as, Cursor *c)
{
    ss_start(as);
    as->bundle.bundle.ts_op = 3;
    return true;
}

static bool parse_invts(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;
    Cond cond;

    ss_start(as);
    b->ts_op = 2;
    if (!cursor_char(c, '?')) {
        return true;
    }
    if (!operand_cond(as, c, &cond, false)) {
        return false;
    }
    b->ts_op = 6 | cond.negate;
    b->ct_psrc = cond.index;
    return true;
}

static bool parse_setwd(Asm *as, Cursor *c)
{
    AsmBundle *ab = &as->bundle;
    Bundle *b = &ab->bundle;
    int64_t v;
    bool failed = false;
    bool sized = false;

    for (;;) {
        if (field(as, c, "wsz", 128, &v, &failed)) {
            b->wsz = v;
            sized = true;
        } else if (field(as, c, "nfx", 2, &v, &failed)) {
            b->nfx = v;
        } else if (as->isa >= 3 && field(as, c, "dbl", 2, &v, &failed)) {
            b->dbl = v;
        } else if (as->isa >= 7 && field(as, c, "mcn", 2, &v, &failed)) {
            b->mcn = v;
        } else {
            break;
        }
    }
    if (!failed && !sized) {
        asm_error(as, cursor_column(c), "wsz expected");
    }
    ab->wd_given = true;
    return !failed && sized;
}

static bool parse_setbn(Asm *as, Cursor *c)
{
    Bundle *b = &as->bundle.bundle;
    int64_t v;
    bool failed = false;

    for (;;) {
        if (field(as, c, "rbs", 64, &v, &failed)) {
            b->rbs = v;
        } else if (field(as, c, "rsz", 64, &v, &failed)) {
            b->rsz = v;
        } else if (field(as, c, "rcur", 64, &v, &failed)) {
            b->rcur = v;
        } else {
            break;
        }
    }
    as->bundle.bn_given = true;
    return !failed;
}

static bool parse_setbp(Asm *as, Cursor *c)
{
    int64_t v = 0;
    bool failed = false;

    field(as, c, "psz", 32, &v, &failed);
    as->bundle.bundle.psz = v;
    as->bundle.bp_given = true;
    return !failed;
}

static bool parse_settr(Asm *as, Cursor *c)
{
    int64_t v = 0;
    bool failed = false;

    field(as, c, "type", 1 << 15, &v, &failed);
    as->bundle.bundle.tr_type = v;
    as->bundle.tr_given = true;
    return !failed;
}

static bool parse_vfrpsz(Asm *as, Cursor *c)
{
    int64_t v = 0;
    bool failed = false;

    field(as, c, "rpsz", 32, &v, &failed);
    as->bundle.bundle.rpsz = v;
    as->bundle.vfrpsz_given = true;
    return !failed;
}

static bool parse_setei(Asm *as, Cursor *c)
{
    int64_t v;

    return number_below(as, c, "setei", 256, &v) && take_cs1(as, 2, v);
}

static bool parse_setsft(Asm *as, Cursor *c)
{
    return take_cs1(as, 2, 1 << 27);
}

static bool parse_wait(Asm *as, Cursor *c)
{
    /* implied: bit that the hardware wants set as well */
    static const struct {
        const char *name;
        uint8_t bit;
        uint8_t min_isa;
        uint8_t implied;
    } bits[] = {
        { "all_c", 0, 1, 0 }, { "all_e", 1, 1, 0 }, { "st_c", 2, 1, 0 },
        { "ld_c", 3, 1, 0 },  { "fl_c", 4, 1, 0 },  { "ma_c", 5, 1, 0 },
        { "trap", 6, 2, 0 },  { "sas", 7, 5, 2 },   { "sal", 8, 5, 3 },
        { "las", 9, 6, 2 },   { "lal", 10, 6, 3 },  { "mt", 11, 6, 0 },
        { "int", 12, 6, 0 },  { "mem_mod", 13, 6, 0 },
    };
    uint32_t word = 0;

    for (;;) {
        unsigned i = 0;
        int64_t v = 0;
        bool failed = false;

        while (i < G_N_ELEMENTS(bits) && !failed &&
               (bits[i].min_isa > as->isa ||
                !field(as, c, bits[i].name, 2, &v, &failed))) {
            i++;
        }
        if (failed) {
            return false;
        }
        if (i == G_N_ELEMENTS(bits)) {
            break;
        }
        if (v) {
            word |= 1u << bits[i].bit;
            word |= bits[i].implied ? 1u << bits[i].implied : 0;
        }
    }
    return take_cs1(as, 3, word);
}

static bool parse_flushr(Asm *as, Cursor *c)
{
    return take_cs1(as, 7, 1);
}

static bool parse_flushc(Asm *as, Cursor *c)
{
    return take_cs1(as, 7, 2);
}

static bool parse_fillr(Asm *as, Cursor *c)
{
    return take_cs1(as, 7, 4);
}

static bool parse_fillc(Asm *as, Cursor *c)
{
    return take_cs1(as, 7, 8);
}

static bool parse_vfbg(Asm *as, Cursor *c)
{
    int64_t v;
    bool failed = false;
    uint32_t word = 0;

    for (;;) {
        if (field(as, c, "umask", 256, &v, &failed)) {
            word |= v;
        } else if (field(as, c, "dmask", 256, &v, &failed)) {
            word |= v << 8;
        } else if (field(as, c, "chkm4", 2, &v, &failed)) {
            word |= v << 16;
        } else {
            break;
        }
    }
    return !failed && take_cs1(as, 8, word);
}

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
        if (number_below(as, c, "%rndpred", 16, &n)) {
            if (n > 0 && as->isa >= 3) {
                return 0x40 | n;
            }
        } else {
            return -1;
        }
    } else if (cursor_text(c, "%pred")) {
        return number_below(as, c, "predicate", 32, &n) ? 0x60 | (int)n : -1;
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

        if (!local_pred(as, c, 7, &p) || !expect(as, c, ',') ||
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

    if (source < 0 || !expect(as, c, ',') || !local_pred(as, c, 4, &p)) {
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
    if (!local_pred(as, c, 7, &clp.p0) || !expect(as, c, ',')) {
        return false;
    }
    clp.neg1 = cursor_char(c, '~');
    if (!local_pred(as, c, 7, &clp.p1) || !expect(as, c, ',') ||
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

    if (!operand_cond(as, c, &a, false) || !expect(as, c, ',') ||
        !operand_cond(as, c, &b, false) || !expect(as, c, ',') ||
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

static const struct {
    const char *name;
    bool (*parse)(Asm *as, Cursor *c);
    uint8_t min_isa;
} control_ops[] = {
    { "abg", parse_abg, 1 },
    { "abn", parse_abn, 1 },
    { "abp", parse_abp, 1 },
    { "alc", parse_alc, 1 },
    { "andp", parse_andp, 1 },
    { "bap", parse_bap, 1 },
    { "call", parse_call, 1 },
    { "clpandp", parse_clpandp, 1 },
    { "clplandp", parse_clplandp, 1 },
    { "crp", parse_crp, 2 },
    { "ct", parse_ct, 1 },
    { "disp", parse_disp, 1 },
    { "done", parse_done, 1 },
    { "eap", parse_eap, 1 },
    { "fillc", parse_fillc, 6 },
    { "fillr", parse_fillr, 6 },
    { "flushc", parse_flushc, 1 },
    { "flushr", parse_flushr, 1 },
    { "flushts", parse_flushts, 3 },
    { "gettsd", parse_gettsd, 3 },
    { "glaunch", parse_glaunch, 6 },
    { "hcall", parse_hcall, 6 },
    { "hret", parse_hret, 6 },
    { "ibranch", parse_ibranch, 1 },
    { "icall", parse_icall, 6 },
    { "invts", parse_invts, 1 },
    { "ipd", parse_ipd, 1 },
    { "iret", parse_iret, 6 },
    { "landp", parse_landp, 1 },
    { "ldisp", parse_ldisp, 1 },
    { "loop_mode", parse_loop_mode, 1 },
    { "movep", parse_movep, 1 },
    { "nop", parse_nop, 1 },
    { "pass", parse_pass, 1 },
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
    { "set_mark", parse_set_mark, 1 },
    { "setbn", parse_setbn, 1 },
    { "setbp", parse_setbp, 1 },
    { "setei", parse_setei, 1 },
    { "setsft", parse_setsft, 2 },
    { "settr", parse_settr, 1 },
    { "setwd", parse_setwd, 1 },
    { "slrp", parse_slrp, 3 },
    { "srp", parse_srp, 1 },
    { "vfbg", parse_vfbg, 1 },
    { "vfdi", parse_vfdi, 1 },
    { "vfrpsz", parse_vfrpsz, 1 },
    { "wait", parse_wait, 1 },
};

bool control_parse(Asm *as, const char *name, Cursor *c)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(control_ops); i++) {
        if (strcmp(control_ops[i].name, name) != 0) {
            continue;
        }
        if (control_ops[i].min_isa > as->isa) {
            asm_error(as, as->column, "no operation '%s' in instruction set "
                      "version %u (it appears in version %u)", name, as->isa,
                      control_ops[i].min_isa);
        } else if (!control_ops[i].parse(as, c)) {
            as->bundle.failed = true;
        }
        return true;
    }
    return false;
}
