/*
 * The disassembler's entry points, conditions, array reads and predicate
 * logic.  Channels are in disas-alc.c, control syllables in disas-control.c.
 */
#include "target-e2k/disas-int.h"

#include <stdarg.h>

void disas_op(Disas *d, const char *format, ...)
{
    va_list ap;

    if (!d->first) {
        g_string_append(d->out, d->options->separator
                                    ? d->options->separator : " ; ");
    }
    d->first = false;
    va_start(ap, format);
    g_string_append_vprintf(d->out, format, ap);
    va_end(ap);
}

void disas_target(Disas *d, int64_t disp)
{
    uint64_t target = d->address + disp;

    if (!d->options->symbol ||
        !d->options->symbol(d->options->opaque, d->out, target)) {
        g_string_append_printf(d->out, "0x%" G_GINT64_MODIFIER "x", target);
    }
}

void disas_cond(Disas *d, const Cond *cond)
{
    g_string_append_printf(d->out, "%s%%%s%u", cond->negate ? "~" : "",
                           cond->kind == COND_PRED ? "pred" : "pcnt",
                           cond->index);
}

/* %MLOCK || ..., and v7's ... alone */
static void local_condition(Disas *d, unsigned psrc)
{
    static const uint8_t channel[4] = { 0, 1, 3, 4 };
    unsigned n = psrc >> 1 & 3;

    switch (psrc >> 3) {
    case 0:
        g_string_append_printf(d->out, "%s%%cmp%u", psrc & 1 ? "~" : "",
                               channel[n]);
        break;
    case 1:
        g_string_append_printf(d->out, "%s%%cmp%u || %s%%cmp%u",
                               psrc & 2 ? "~" : "", psrc & 4 ? 3 : 0,
                               psrc & 1 ? "~" : "", psrc & 4 ? 4 : 1);
        break;
    case 2:
        g_string_append_printf(d->out, "%s%%clp%u", psrc & 1 ? "~" : "", n);
        break;
    }
}

static void deferred_condition(Disas *d, unsigned psrc)
{
    static const uint8_t channel[4] = { 0, 1, 3, 4 };

    if (!(psrc & 15)) {
        return;
    }
    g_string_append(d->out, " || %dt_al");
    for (unsigned i = 0; i < 4; i++) {
        if (psrc & (1 << i)) {
            g_string_append_printf(d->out, "%u", channel[i]);
        }
    }
}

/* " ? condition" of the transfer; nothing for "always". */
void disas_ct_condition(Disas *d, const Bundle *bundle)
{
    unsigned p = bundle->ct_psrc;
    GString *out = d->out;

    switch (bundle->ct_type) {
    case CT_ALWAYS:
        break;
    case CT_NEVER:
        g_string_append(out, " ? %never");
        break;
    case CT_PRED:
        g_string_append_printf(out, " ? %%pred%u", p);
        break;
    case CT_NOT_PRED:
        g_string_append_printf(out, " ? ~%%pred%u", p);
        break;
    case CT_LOOP_END:
        g_string_append(out, " ? %LOOP_END");
        break;
    case CT_NOT_LOOP_END:
        g_string_append(out, " ? %NOT_LOOP_END");
        break;
    case CT_PRED_OR_LOOP_END:
        g_string_append_printf(out, " ? %%pred%u || %%LOOP_END", p);
        break;
    case CT_NOT_PRED_AND_NOT_LOOP_END:
        g_string_append_printf(out, " ? ~%%pred%u && %%NOT_LOOP_END", p);
        break;
    case CT_NOT_PRED_OR_LOOP_END:
        g_string_append_printf(out, " ? ~%%pred%u || %%LOOP_END", p);
        break;
    case CT_PRED_AND_NOT_LOOP_END:
        g_string_append_printf(out, " ? %%pred%u && %%NOT_LOOP_END", p);
        break;
    case CT_MLOCK:
        g_string_append(out, " ? %MLOCK");
        deferred_condition(d, p);
        break;
    case CT_MLOCK_LOCAL:
        g_string_append(out, " ? %MLOCK || ");
        local_condition(d, p);
        break;
    case CT_LOCAL:
        if (d->isa >= 7) {
            g_string_append(out, " ? ");
            local_condition(d, p);
            break;
        }
        /* fall through */
    default:
        g_string_append(out, " ? <reserved condition type>");
        break;
    }
}

void disas_mova(Disas *d, const Bundle *bundle)
{
    static const char *const names[8] = {
        "reserved", "movab", "movah", "movaw", "movad", "movaq", "reserved",
        "movaqp",
    };

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *op = &bundle->mova[i];

        if (op->present) {
            disas_op(d, "%s,%u area = %u, ind = %u, am = %u, be = %u, ",
                     names[op->opc], i, op->area, op->ind, op->am, op->be);
            disas_dst(d, &op->dst, op->opc < 5 ? 'd' : 'q');
        }
    }
}

static void print_elp(Disas *d, const Elp *elp, unsigned number)
{
    disas_op(d, "pass ");
    switch (elp->kind) {
    case ELP_LCNTEX:
        g_string_append(d->out, "%lcntex");
        break;
    case ELP_SPRED:
        g_string_append(d->out, "%spred");
        for (unsigned c = 0; c < 6; c++) {
            if (elp->index & (1 << c)) {
                g_string_append_printf(d->out, "%u", c);
            }
        }
        break;
    case ELP_BGRPRED:
        g_string_append(d->out, "%bgrpred");
        break;
    case ELP_RNDPRED:
        g_string_append_printf(d->out, "%%rndpred%u", elp->index);
        break;
    case ELP_PRED:
        g_string_append_printf(d->out, "%%pred%u", elp->index);
        break;
    default:
        g_string_append(d->out, "<invalid pred>");
        break;
    }
    g_string_append_printf(d->out, ", @p%u", number);
}

static void print_clp(Disas *d, const Clp *clp, unsigned number)
{
    static const char *const names[4] = {
        "andp", "landp", "reserved", "movep",
    };

    disas_op(d, "%s %s@p%u, %s@p%u, @p%u", names[clp->opc],
             clp->neg0 ? "~" : "", clp->p0, clp->neg1 ? "~" : "", clp->p1,
             number);
    if (clp->write) {
        disas_op(d, "pass @p%u, %%pred%u", number, clp->pdst);
    }
}

/* Bit n: @pn takes part in a result that is written. */
static unsigned needed_predicates(const Bundle *bundle)
{
    unsigned needed = 0;
    unsigned before;

    for (unsigned i = 0; i < bundle->n_pls; i++) {
        needed |= bundle->clp[i].write ? 1u << (4 + i) : 0;
    }
    do {
        before = needed;
        for (unsigned i = 0; i < bundle->n_pls; i++) {
            if (needed & (1 << (4 + i))) {
                needed |= 1 << bundle->clp[i].p0 | 1 << bundle->clp[i].p1;
            }
        }
    } while (needed != before);
    return needed;
}

void disas_predicates(Disas *d, const Bundle *bundle)
{
    unsigned needed = needed_predicates(bundle);

    for (unsigned i = bundle->n_pls; i-- > 0;) {
        for (unsigned p = 2 * i; i < 2 && p < 2 * i + 2; p++) {
            if ((needed & (1 << p)) || bundle->elp[p].kind == ELP_RNDPRED) {
                print_elp(d, &bundle->elp[p], p);
            }
        }
        if (needed & (1 << (4 + i))) {
            print_clp(d, &bundle->clp[i], 4 + i);
        }
    }
}

void bundle_disassemble(GString *out, const Bundle *bundle, uint64_t address,
                        const DisasOptions *options)
{
    Disas d = { out, options, options->isa, address, true };

    disas_short_ops(&d, bundle);
    disas_channels(&d, bundle);
    disas_control(&d, bundle);
    disas_mova(&d, bundle);
    disas_predicates(&d, bundle);
}

static void print_apb_half(Disas *d, const ApbHalf *half, unsigned which)
{
    disas_op(d, "fapb %s=%u", which ? "dpl" : "ct", half->last);
    if (!half->fmt) {
        g_string_append(d->out, ", fmt=0");
        return;
    }
    g_string_append_printf(d->out, ", dcd=%u, fmt=%u, mrng=%u, d=%u",
                           half->dcd, half->fmt, half->mrng, half->d);
    if (half->secondary && d->isa == 1) {
        g_string_append_printf(d->out, ", si=1, area=%u, am=%u, be=%u",
                               half->area, half->am, half->be);
    } else {
        g_string_append_printf(d->out, ", incr=%u, ind=%u",
                               half->word >> 12 & 7, half->word >> 8 & 15);
    }
    g_string_append_printf(d->out, ", asz=%u, abs=%u, disp=0x%x", half->asz,
                           half->abs, half->disp);
}

void apb_disassemble(GString *out, const ApbInsn *insn, unsigned isa,
                     const char *separator)
{
    DisasOptions options = { .isa = isa, .separator = separator };
    Disas d = { out, &options, isa, 0, true };

    print_apb_half(&d, &insn->half[0], 0);
    print_apb_half(&d, &insn->half[1], 1);
}

unsigned disassemble_bytes(GString *out, const uint8_t *bytes, size_t size,
                           uint64_t address, const DisasOptions *options)
{
    Bundle bundle;
    DecodeError error = bundle_decode(&bundle, bytes, size, options->isa);

    if (error && error < DECODE_SOFT) {
        g_string_append_printf(out, "(illegal: %s",
                               decode_error_text(error));
        if (bundle.error_channel < BUNDLE_CHANNELS) {
            g_string_append_printf(out, ", channel %u",
                                   bundle.error_channel);
        }
        g_string_append_c(out, ')');
        return 0;
    }
    bundle_disassemble(out, &bundle, address, options);
    return bundle.length;
}
