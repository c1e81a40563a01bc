/*
 * Which function executes which operation, and the families that stay illegal
 * opcodes.
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

/* The families of operations that are not emulated; see sems.def. */
void interp_no_meaning(Interp *in, InterpOp *c)
{
    interp_raise(in, c, EXC_ILLEGAL_OPCODE);
}

void interp_no_protected(Interp *in, InterpOp *c)
{
    interp_raise(in, c, EXC_ILLEGAL_OPCODE);
}

void interp_no_privileged(Interp *in, InterpOp *c)
{
    interp_raise(in, c, EXC_ILLEGAL_OPCODE);
}

bool interp_has(InsnId insn)
{
    SemFamily sem = insn_infos[insn].sem;

    return sem != SEM_no_meaning && sem != SEM_no_protected &&
           sem != SEM_no_privileged;
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
