/*
 * Text of what HS, SS, CS0 and CS1 hold.
 */
#include "target-e2k/disas-int.h"

enum {
    HS_CS0 = 1 << 14,
    HS_CS1 = 1 << 15,
};

static bool is_call(const Bundle *bundle)
{
    return (bundle->hs & HS_CS1) && bundle->cs1 >> 28 == 5;
}

static void print_ct(Disas *d, const Bundle *bundle)
{
    if (bundle->ct_type != CT_NEVER && bundle->ctop && !is_call(bundle)) {
        disas_op(d, "ct %%ctpr%u", bundle->ctop);
        disas_ct_condition(d, bundle);
    }
}

static void print_recovery(Disas *d, const Bundle *bundle)
{
    static const char *const names[4] = { "", "crp", "srp", "slrp" };

    if (!bundle->recovery) {
        return;
    }
    disas_op(d, "%s", names[bundle->recovery]);
    for (unsigned i = 0; i < bundle->n_rpc; i++) {
        g_string_append(d->out, i ? ", " : " ? ");
        disas_cond(d, &bundle->rpc[i]);
    }
}

static void print_ts_op(Disas *d, const Bundle *bundle)
{
    switch (bundle->ts_op) {
    case 2:
        disas_op(d, "invts");
        break;
    case 3:
        disas_op(d, "flushts");
        break;
    case 6:
        disas_op(d, "invts ? %%pred%u", bundle->ct_psrc);
        break;
    case 7:
        disas_op(d, "invts ? ~%%pred%u", bundle->ct_psrc);
        break;
    }
}

void disas_short_ops(Disas *d, const Bundle *b)
{
    if (b->set_mark) {
        disas_op(d, "set_mark");
    }
    if (b->loop_mode) {
        disas_op(d, "loop_mode");
    }
    if (b->nop) {
        disas_op(d, "nop %u", b->nop);
    }
    if (!b->has_ss) {
        return;
    }
    print_ct(d, b);
    disas_op(d, "ipd %u", b->ipd);
    if (b->eap) {
        disas_op(d, "eap");
    }
    if (b->bap) {
        disas_op(d, "bap");
    }
    print_recovery(d, b);
    print_ts_op(d, b);
    if (b->vfdi) {
        disas_op(d, "vfdi");
    }
    if (b->abgi || b->abgd) {
        disas_op(d, "abg abgi=%u, abgd=%u", b->abgi, b->abgd);
    }
    if (b->abnf || b->abnt) {
        disas_op(d, "abn abnf=%u, abnt=%u", b->abnf, b->abnt);
    }
    if (b->abpf || b->abpt) {
        disas_op(d, "abp abpf=%u, abpt=%u", b->abpf, b->abpt);
    }
    if (b->alcf || b->alct) {
        disas_op(d, "alc alcf=%u, alct=%u", b->alcf, b->alct);
    }
}

/* ibranch, done, iret, hret, glaunch */
static void print_cs0_transfer(Disas *d, const Bundle *b, const char *name)
{
    unsigned ctopc = b->cs1 >> 7 & 7;

    if (!b->has_ss || b->ctop) {
        disas_op(d, "invalid %s", name);
        return;
    }
    if (b->ct_type == CT_NEVER ||
        (is_call(b) && (ctopc == 1 || ctopc == 2))) {
        return;
    }
    disas_op(d, "%s", name);
    if (b->cs0 >> 28 == 0) {
        g_string_append_c(d->out, ' ');
        disas_target(d, (int64_t)((int32_t)(b->cs0 << 4) >> 4) * 8);
    }
    disas_ct_condition(d, b);
}

static const char *done_name(uint32_t cs0)
{
    switch (cs0 & 7) {
    case 2:
        return "iret";
    case 3:
        return "hret";
    case 4:
        return "glaunch";
    default:
        return "done";
    }
}

static void print_cs0(Disas *d, const Bundle *b)
{
    switch (b->prepare) {
    case PREPARE_NONE:
        print_cs0_transfer(d, b, b->cs0 >> 28 ? done_name(b->cs0)
                                              : "ibranch");
        break;
    case PREPARE_PREF:
        disas_op(d, "pref %%ipr%u, disp = 0x%x, ipd = %u", b->cs0 & 7,
                 b->cs0 >> 4 & 0xffffff, b->cs0 >> 3 & 1);
        break;
    case PREPARE_PUTTSD:
        disas_op(d, "puttsd ");
        disas_target(d, b->prepare_disp);
        break;
    case PREPARE_DISP:
        disas_op(d, "disp %%ctpr%u, ", b->prepare_ctpr);
        disas_target(d, b->prepare_disp);
        break;
    case PREPARE_LDISP:
        disas_op(d, "ldisp %%ctpr%u, ", b->prepare_ctpr);
        disas_target(d, b->prepare_disp);
        break;
    case PREPARE_SDISP:
        disas_op(d, "sdisp %%ctpr%u, 0x%x", b->prepare_ctpr,
                 b->prepare_param);
        break;
    case PREPARE_RETURN:
        disas_op(d, "return %%ctpr%u", b->prepare_ctpr);
        break;
    case PREPARE_GETTSD:
        disas_op(d, "%sgettsd %%ctpr%u", (b->cs0 & 7) == 1 ? "" : "invalid ",
                 b->prepare_ctpr);
        break;
    }
}

static void print_set(Disas *d, const Bundle *b)
{
    if (b->has_vfrpsz) {
        disas_op(d, "vfrpsz rpsz = 0x%x", b->rpsz);
    }
    if (b->has_setwd) {
        disas_op(d, "setwd wsz = 0x%x, nfx = 0x%x", b->wsz, b->nfx);
        if (d->isa >= 3) {
            g_string_append_printf(d->out, ", dbl = 0x%x", b->dbl);
        }
        if (b->mcn) {
            g_string_append(d->out, ", mcn = 0x1");
        }
    }
    if (b->has_settr) {
        disas_op(d, "settr type = 0x%x", b->tr_type);
    }
    if (b->has_setbn) {
        disas_op(d, "setbn rbs = 0x%x, rsz = 0x%x, rcur = 0x%x", b->rbs,
                 b->rsz, b->rcur);
    }
    if (b->has_setbp) {
        disas_op(d, "setbp psz = 0x%x", b->psz);
    }
}

static void print_wait(Disas *d, const Bundle *b)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } late[] = {
        { "las", 9 }, { "lal", 10 }, { "mt", 11 }, { "int", 12 },
        { "mem_mod", 13 },
    };
    unsigned w = b->wait;

    disas_op(d, "wait ");
    if (d->isa >= 5 && (w & 1 << 3)) {
        g_string_append_printf(d->out, "sal = %u, ", w >> 8 & 1);
    }
    if (d->isa >= 5 && (w & 1 << 2)) {
        g_string_append_printf(d->out, "sas = %u, ", w >> 7 & 1);
    }
    if (d->isa >= 2) {
        g_string_append_printf(d->out, "trap = %u, ", w >> 6 & 1);
    }
    g_string_append_printf(d->out, "ma_c = %u, fl_c = %u, ld_c = %u, "
                           "st_c = %u, all_e = %u, all_c = %u", w >> 5 & 1,
                           w >> 4 & 1, w >> 3 & 1, w >> 2 & 1, w >> 1 & 1,
                           w & 1);
    for (unsigned i = 0; d->isa >= 6 && i < G_N_ELEMENTS(late); i++) {
        if (w & 1 << late[i].bit) {
            g_string_append_printf(d->out, ", %s = 1", late[i].name);
        }
    }
}

static void print_call(Disas *d, const Bundle *b)
{
    unsigned ctopc = b->cs1 >> 7 & 7;

    if (b->ctop) {
        disas_op(d, "call %%ctpr%u, wbs = 0x%x", b->ctop, b->wbs);
    } else if ((ctopc == 1 || ctopc == 2) && (b->hs & HS_CS0) &&
               b->cs0 >> 28 == 0) {
        disas_op(d, "%ccall 0x%x, wbs = 0x%x", ctopc == 2 ? 'h' : 'i',
                 ctopc == 2 ? b->cs0 >> 1 & 15 : b->cs0, b->wbs);
    } else {
        disas_op(d, "<bogus call>");
        return;
    }
    disas_ct_condition(d, b);
}

static void print_flush(Disas *d, const Bundle *b)
{
    static const char *const names[4] = {
        "flushr", "flushc", "fillr", "fillc",
    };

    for (unsigned i = 0; i < 4; i++) {
        if (b->flush & (1 << i)) {
            disas_op(d, "%s%s", i >= 2 && d->isa < 6 ? "unimp " : "",
                     names[i]);
        }
    }
}

static void print_cs1(Disas *d, const Bundle *b)
{
    switch (b->cs1 >> 28) {
    case 0:
    case 1:
    case 4:
        print_set(d, b);
        break;
    case 2:
        if (b->has_setsft) {
            disas_op(d, "%s", d->isa >= 2 ? "setsft" : "unimp");
        } else {
            disas_op(d, "setei 0x%x", b->ei);
        }
        break;
    case 3:
        print_wait(d, b);
        break;
    case 5:
        print_call(d, b);
        break;
    case 7:
        print_flush(d, b);
        break;
    case 8:
        disas_op(d, "vfbg umask = 0x%x, dmask = 0x%x, chkm4 = 0x%x",
                 b->vfbg & 0xff, b->vfbg >> 8 & 0xff, b->vfbg >> 16 & 1);
        break;
    }
}

void disas_control(Disas *d, const Bundle *bundle)
{
    if (bundle->hs & HS_CS0) {
        print_cs0(d, bundle);
    }
    if (bundle->hs & HS_CS1) {
        print_cs1(d, bundle);
    }
}
