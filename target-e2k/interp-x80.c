/*
 * 80-bit floating point of the reference interpreter, on the host's x87.
 * State: FPCR (precision, rounding, masks) and FPSR (flags).  Source: shared
 * facts "isa/ops.md" section 3.
 */
#include "target-e2k/interp-fns.h"

#include "target-e2k/interp-hostfp.h"

enum {
    FPSR_ES = 1 << 7,
    X_SIGN = 0x8000,
    X_BIAS = 0x3fff,
    X_MAX_POWER = 16382,
};

static X80 power_of_two(int n)
{
    return (X80){UINT64_C(1) << 63, n + X_BIAS};
}

static X80 x_of(Value v)
{
    return (X80){v.lo, v.hi};
}

static void set_x(InterpOp *c, X80 x)
{
    c->d.lo = x.mantissa;
    c->d.hi = x.sign_exponent;
}

static void x_begin(Interp *in)
{
    host_x87_begin(in->cpu->fpcr);
}

static void x_finish(Interp *in, InterpOp *c)
{
    uint32_t flags = host_x87_end();
    uint32_t unmasked = flags & ~in->cpu->fpcr & FP_FLAGS;

    if (!unmasked) {
        in->x87_flags |= flags;
    } else if (c->op->speculative) {
        in->x87_flags |= flags & ~unmasked;
        c->poison = true;
    } else {
        in->x87_flags |= flags | FPSR_ES;
        interp_raise_late(in, c, EXC_FP);
    }
}

/* An operand in its own format, exactly. */
static X80 load_operand(Value v, unsigned width)
{
    switch (width) {
    case WIDTH_S: return host_s_to_x(v.lo);
    case WIDTH_D: return host_d_to_x(v.lo);
    default: return x_of(v);
    }
}

/* Rounded once more to the format of the destination. */
static void store_result(InterpOp *c, X80 x)
{
    switch (c->row->dst) {
    case WIDTH_S: c->d.lo = host_x_to_s(x); break;
    case WIDTH_D: c->d.lo = host_x_to_d(x); break;
    default: set_x(c, x); break;
    }
}

static X80 arith(InsnId insn, X80 a, X80 b)
{
    switch (insn) {
    case INSN_fxaddss: case INSN_fxadddd: case INSN_fxaddsx:
    case INSN_fxadddx: case INSN_fxaddxs: case INSN_fxaddxd:
    case INSN_fxaddxx:
        return host_x_add(a, b);
    case INSN_fxsubss: case INSN_fxsubdd: case INSN_fxsubsx:
    case INSN_fxsubdx: case INSN_fxsubxs: case INSN_fxsubxd:
    case INSN_fxsubxx:
        return host_x_sub(a, b);
    case INSN_fxmulss: case INSN_fxmuldd: case INSN_fxmulsx:
    case INSN_fxmuldx: case INSN_fxmulxs: case INSN_fxmulxd:
    case INSN_fxmulxx:
        return host_x_mul(a, b);
    case INSN_fxdivss: case INSN_fxdivdd: case INSN_fxdivsx:
    case INSN_fxdivdx: case INSN_fxdivxs: case INSN_fxdivxd:
    case INSN_fxdivxx:
        return host_x_div(a, b);
    case INSN_fxrsubss: case INSN_fxrsubdd: case INSN_fxrsubsx:
    case INSN_fxrsubdx:
        return host_x_sub(b, a);
    case INSN_fxdivtss: case INSN_fxdivtdd: case INSN_fxdivtsx:
    case INSN_fxdivtdx:
        return host_x_div(b, a);
    case INSN_fxsqrttxx: case INSN_fxsqrttsx: case INSN_fxsqrttdx:
        return host_x_sqrt(b);
    default: /* the first two steps of the square root pass the argument on */
        return b;
    }
}

void interp_fxarith(Interp *in, InterpOp *c)
{
    x_begin(in);
    X80 b = load_operand(c->s2, c->row->src2);
    store_result(c, arith(c->op->insn, x_of(c->s1), b));
    x_finish(in, c);
}

/* Unordered, less, equal by relation code; order of the eight predicates. */
static bool relation_holds(unsigned predicate, uint32_t relation)
{
    bool unordered = relation == 0x45;
    bool equal = relation == 0x40;
    bool less = relation == 0x01;
    bool holds;

    switch (predicate & 3) {
    case 0: holds = equal; break;
    case 1: holds = less; break;
    case 2: holds = less || equal; break;
    default: holds = unordered; break;
    }
    return holds != (predicate >= 4);
}

void interp_x80_compare(Interp *in, InterpOp *c, unsigned predicate)
{
    unsigned kind = predicate & 3;

    x_begin(in);
    X80 a = load_operand(c->s1, c->row->src1);
    X80 b = load_operand(c->s2, c->row->src2);
    uint32_t relation = host_x_relation(a, b, kind == 1 || kind == 2);
    c->pred = relation_holds(predicate, relation);
    x_finish(in, c);
}

void interp_x80_relation(Interp *in, InterpOp *c, bool signalling)
{
    x_begin(in);
    X80 b = load_operand(c->s2, c->row->src2);
    c->d.lo = host_x_relation(x_of(c->s1), b, signalling);
    x_finish(in, c);
}

/*
 * A product with a power of two, because the host's own scaling ignores the
 * precision control.  Two steps reach beyond the exponents of one factor.
 */
void interp_x80_scale(Interp *in, InterpOp *c)
{
    int n = CLAMP((int32_t)c->s2.lo, 2 * -X_MAX_POWER, 2 * X_MAX_POWER);
    int first = CLAMP(n, -X_MAX_POWER, X_MAX_POWER);
    X80 x = x_of(c->s1);

    x_begin(in);
    x = host_x_mul(x, power_of_two(first));
    if (n != first) {
        x = host_x_mul(x, power_of_two(n - first));
    }
    set_x(c, x);
    x_finish(in, c);
}

void interp_x80_convert(Interp *in, InterpOp *c)
{
    X80 x = x_of(c->s2);

    x_begin(in);
    switch (c->op->insn) {
    case INSN_istofx: set_x(c, host_w_to_x(c->s2.lo)); break;
    case INSN_idtofx: set_x(c, host_l_to_x(c->s2.lo)); break;
    case INSN_fstofx: set_x(c, host_s_to_x(c->s2.lo)); break;
    case INSN_fdtofx: set_x(c, host_d_to_x(c->s2.lo)); break;
    case INSN_fxtofs: c->d.lo = host_x_to_s(x); break;
    case INSN_fxtofd: c->d.lo = host_x_to_d(x); break;
    case INSN_fxtois: c->d.lo = host_x_to_w(x); break;
    case INSN_fxtoid: c->d.lo = host_x_to_l(x); break;
    case INSN_fxtoistr:
        host_x87_control(X87_MASKED | X87_PC_EXTENDED | X87_RC);
        c->d.lo = host_x_to_w(x);
        break;
    default: /* fxtoidtr */
        host_x87_control(X87_MASKED | X87_PC_EXTENDED | X87_RC);
        c->d.lo = host_x_to_l(x);
        break;
    }
    x_finish(in, c);
}

void interp_movif(Interp *in, InterpOp *c)
{
    c->d.lo = c->s1.lo;
    c->d.hi = c->s2.lo & 0xffff;
}

void interp_movfi(Interp *in, InterpOp *c)
{
    c->d.lo = c->s2.hi & 0xffff;
}

void interp_movx(Interp *in, InterpOp *c)
{
    c->d = c->s2;
    c->d.tag = 0;
}

void interp_movxa(Interp *in, InterpOp *c)
{
    interp_movx(in, c);
    c->d.hi &= ~(uint64_t)X_SIGN;
}

void interp_movxc(Interp *in, InterpOp *c)
{
    interp_movx(in, c);
    c->d.hi ^= X_SIGN;
}
