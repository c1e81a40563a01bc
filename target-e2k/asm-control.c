/*
 * Operations without a channel: window and loop commands, waits, and what of
 * SS is neither a transfer (asm-transfer.c) nor predicate logic
 * (asm-predicate.c).
 *
 * Source: shared facts "isa/encoding.md" sections 2, 5 and 6.
 */
#include "target-e2k/asm-control-int.h"

#include <string.h>

bool control_expect(Asm *as, Cursor *c, char ch)
{
    if (cursor_char(c, ch)) {
        return true;
    }
    asm_error(as, cursor_column(c), "'%c' expected", ch);
    return false;
}

bool control_number_below(Asm *as, Cursor *c, const char *what, int64_t limit,
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

bool control_field(Asm *as, Cursor *c, const char *name, int64_t limit,
                   int64_t *number, bool *failed)
{
    if (!cursor_word(c, name)) {
        return false;
    }
    if (!control_expect(as, c, '=') ||
        !control_number_below(as, c, name, limit, number)) {
        *failed = true;
        return false;
    }
    cursor_char(c, ',');
    return true;
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

bool control_take_cs0(Asm *as, uint32_t word)
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

bool control_take_cs1(Asm *as, unsigned opcode, uint32_t word)
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
    if (!control_number_below(as, c, "nop", 8, &cycles)) {
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

    if (!control_number_below(as, c, "ipd", 4, &ipd)) {
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
        if (control_field(as, c, high, 2, &value, &failed)) {
            *h = value;
        } else if (control_field(as, c, low, 2, &value, &failed)) {
            *l = value;
        } else {
            break;
        }
        any = true;
    }
    if (failed || any) {
        return !failed;
    }
    if (!control_number_below(as, c, high, 4, &value)) {
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
        if (control_field(as, c, "wsz", 128, &v, &failed)) {
            b->wsz = v;
            sized = true;
        } else if (control_field(as, c, "nfx", 2, &v, &failed)) {
            b->nfx = v;
        } else if (as->isa >= 3 &&
                   control_field(as, c, "dbl", 2, &v, &failed)) {
            b->dbl = v;
        } else if (as->isa >= 7 &&
                   control_field(as, c, "mcn", 2, &v, &failed)) {
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
        if (control_field(as, c, "rbs", 64, &v, &failed)) {
            b->rbs = v;
        } else if (control_field(as, c, "rsz", 64, &v, &failed)) {
            b->rsz = v;
        } else if (control_field(as, c, "rcur", 64, &v, &failed)) {
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

    control_field(as, c, "psz", 32, &v, &failed);
    as->bundle.bundle.psz = v;
    as->bundle.bp_given = true;
    return !failed;
}

static bool parse_settr(Asm *as, Cursor *c)
{
    int64_t v = 0;
    bool failed = false;

    control_field(as, c, "type", 1 << 15, &v, &failed);
    as->bundle.bundle.tr_type = v;
    as->bundle.tr_given = true;
    return !failed;
}

static bool parse_vfrpsz(Asm *as, Cursor *c)
{
    int64_t v = 0;
    bool failed = false;

    control_field(as, c, "rpsz", 32, &v, &failed);
    as->bundle.bundle.rpsz = v;
    as->bundle.vfrpsz_given = true;
    return !failed;
}

static bool parse_setei(Asm *as, Cursor *c)
{
    int64_t v;

    return control_number_below(as, c, "setei", 256, &v) &&
           control_take_cs1(as, 2, v);
}

static bool parse_setsft(Asm *as, Cursor *c)
{
    return control_take_cs1(as, 2, 1 << 27);
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
                !control_field(as, c, bits[i].name, 2, &v, &failed))) {
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
    return control_take_cs1(as, 3, word);
}

static bool parse_flushr(Asm *as, Cursor *c)
{
    return control_take_cs1(as, 7, 1);
}

static bool parse_flushc(Asm *as, Cursor *c)
{
    return control_take_cs1(as, 7, 2);
}

static bool parse_fillr(Asm *as, Cursor *c)
{
    return control_take_cs1(as, 7, 4);
}

static bool parse_fillc(Asm *as, Cursor *c)
{
    return control_take_cs1(as, 7, 8);
}

static bool parse_vfbg(Asm *as, Cursor *c)
{
    int64_t v;
    bool failed = false;
    uint32_t word = 0;

    for (;;) {
        if (control_field(as, c, "umask", 256, &v, &failed)) {
            word |= v;
        } else if (control_field(as, c, "dmask", 256, &v, &failed)) {
            word |= v << 8;
        } else if (control_field(as, c, "chkm4", 2, &v, &failed)) {
            word |= v << 16;
        } else {
            break;
        }
    }
    return !failed && control_take_cs1(as, 8, word);
}

static const ControlOp control_ops[] = {
    { "abg", parse_abg, 1 },
    { "abn", parse_abn, 1 },
    { "abp", parse_abp, 1 },
    { "alc", parse_alc, 1 },
    { "bap", parse_bap, 1 },
    { "crp", parse_crp, 2 },
    { "eap", parse_eap, 1 },
    { "fillc", parse_fillc, 6 },
    { "fillr", parse_fillr, 6 },
    { "flushc", parse_flushc, 1 },
    { "flushr", parse_flushr, 1 },
    { "flushts", parse_flushts, 3 },
    { "invts", parse_invts, 1 },
    { "ipd", parse_ipd, 1 },
    { "loop_mode", parse_loop_mode, 1 },
    { "nop", parse_nop, 1 },
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
    { NULL, NULL, 0 },
};

static const ControlOp *const control_tables[] = {
    control_ops, transfer_ops, predicate_ops,
};

static const ControlOp *find_op(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(control_tables); i++) {
        for (const ControlOp *op = control_tables[i]; op->name; op++) {
            if (strcmp(op->name, name) == 0) {
                return op;
            }
        }
    }
    return NULL;
}

bool control_parse(Asm *as, const char *name, Cursor *c)
{
    const ControlOp *op = find_op(name);

    if (!op) {
        return false;
    }
    if (op->min_isa > as->isa) {
        asm_error(as, as->column, "no operation '%s' in instruction set "
                  "version %u (it appears in version %u)", name, as->isa,
                  op->min_isa);
    } else if (!op->parse(as, c)) {
        as->bundle.failed = true;
    }
    return true;
}
