/*
 * Which function executes which operation, and the families that are left
 * as illegal opcodes: protected-mode objects, trap-cellar and translator
 * support, and v7 operations whose meaning is not documented (shared facts
 * "isa/ops.md" sections 6.1, 8 and 11).
 */
#include "target-e2k/interp-fns.h"
#include "target-e2k/interp.h"

InterpFn *const interp_fns[INSN_COUNT] = {
#define INSN(id, name, alt, sem, ...) [INSN_##id] = interp_##sem,
#define ALSO(...)
#include "target-e2k/insns.def"
#undef INSN
#undef ALSO
};

enum {
    OWN_CHECK = 1 << 0, /* looks at the tags of its operands itself */
    FP = 1 << 1,        /* needs UPSR.fe */
};

static const uint8_t family_flags[] = {
    [SEM_merge] = OWN_CHECK,
    [SEM_movt] = OWN_CHECK,
    [SEM_gettag] = OWN_CHECK,
    [SEM_puttag] = OWN_CHECK,
    [SEM_insf] = OWN_CHECK,
    [SEM_store] = OWN_CHECK,
    [SEM_store_mask] = OWN_CHECK,
    [SEM_store_seg] = OWN_CHECK,
    [SEM_store_seg_mask] = OWN_CHECK,
    [SEM_store_desc] = OWN_CHECK,
    [SEM_store_tag] = OWN_CHECK,
    [SEM_staa] = OWN_CHECK,
    [SEM_aaurw] = OWN_CHECK,
    [SEM_rw] = OWN_CHECK,
    [SEM_farith] = FP,
    [SEM_fconv] = FP,
    [SEM_pfconv] = FP,
    [SEM_fxarith] = FP,
    [SEM_fcmp_pred] = FP,
    [SEM_fcmp_flags] = FP,
    [SEM_fcmp_reg] = FP,
    [SEM_pfarith] = FP,
    [SEM_pfcmp] = FP,
    [SEM_fma] = FP,
    [SEM_fp_comb] = FP,
    [SEM_fscale] = FP,
    [SEM_fapprox] = FP,
    [SEM_COUNT] = 0,
};

bool interp_checks_itself(InsnId insn)
{
    return family_flags[insn_infos[insn].sem] & OWN_CHECK;
}

bool interp_needs_fp(InsnId insn)
{
    return family_flags[insn_infos[insn].sem] & FP;
}

#define ILLEGAL(name)                                                         \
    void interp_##name(Interp *in, InterpOp *c)                               \
    {                                                                         \
        interp_raise(in, c, EXC_ILLEGAL_OPCODE);                              \
    }

ILLEGAL(getsap)
ILLEGAL(cudtoap)
ILLEGAL(gdtoap)
ILLEGAL(vfsi)
ILLEGAL(vfbgv)
ILLEGAL(modbgv)
ILLEGAL(mkfsw)
ILLEGAL(gettc)
ILLEGAL(puttc)
ILLEGAL(puttst)
ILLEGAL(invtc)
ILLEGAL(gettd)
ILLEGAL(aptoap)
ILLEGAL(aptoapb)
ILLEGAL(getva)
ILLEGAL(tdtomp)
ILLEGAL(odtoap)
ILLEGAL(cast)
ILLEGAL(getsod)
ILLEGAL(load_prot)
ILLEGAL(store_prot)
ILLEGAL(qpcheck)
ILLEGAL(qpmgme)
ILLEGAL(qpinss)
ILLEGAL(qpinsd)
ILLEGAL(byte_flags)

static bool is_left_illegal(SemFamily sem)
{
    switch (sem) {
    case SEM_getsap: case SEM_cudtoap: case SEM_gdtoap: case SEM_vfsi:
    case SEM_vfbgv: case SEM_modbgv: case SEM_mkfsw: case SEM_gettc:
    case SEM_puttc: case SEM_puttst: case SEM_invtc: case SEM_gettd:
    case SEM_aptoap: case SEM_aptoapb: case SEM_getva: case SEM_tdtomp:
    case SEM_odtoap: case SEM_cast: case SEM_getsod: case SEM_load_prot:
    case SEM_store_prot: case SEM_qpcheck: case SEM_qpmgme:
    case SEM_qpinss: case SEM_qpinsd: case SEM_byte_flags:
        return true;
    default:
        return false;
    }
}

bool interp_has(InsnId insn)
{
    switch (insn) {
    case INSN_qps2cmh: case INSN_qps2cmw: case INSN_qps2cmd:
    case INSN_qpsbgltrlo: case INSN_qpsbgltrhi: case INSN_qpkuzebgn:
    case INSN_qpkuzltr:
        return false;
    default:
        return !is_left_illegal(insn_infos[insn].sem);
    }
}

/* The transfer itself is the end of the bundle's; see interp-control.c. */
void interp_ibranchd(Interp *in, InterpOp *c)
{
    c->drop = true;
}

void interp_icalld(Interp *in, InterpOp *c)
{
    c->drop = true;
}
