/*
 * State registers and the user stack pointer: rr, rw, getsp.
 *
 * Writes are checked when the bundle is computed and done when it is certain
 * that nothing in it traps.  Source: shared facts "isa/ops.md" section 9.
 */
#include "target-e2k/interp-fns.h"

void interp_rr(Interp *in, InterpOp *c)
{
    uint64_t value;
    Exception e = cpu_read_state(in->cpu, c->op->src1.index, &value);

    if (e != EXC_NONE) {
        interp_raise(in, c, e);
        return;
    }
    c->d.lo = c->row->dst == WIDTH_S ? (uint32_t)value : value;
}

void interp_rw(Interp *in, InterpOp *c)
{
    Exception e = cpu_check_state_write(in->cpu, c->op->dst.index);

    if (c->invalid) {
        interp_raise(in, c, EXC_DIAG_OPERAND);
    }
    if (e != EXC_NONE) {
        interp_raise(in, c, e);
    }
    c->defer = DEFER_STATE_WRITE;
}

/* delta is a multiple of 16; the free space may not become negative. */
void interp_getsp(Interp *in, InterpOp *c)
{
    const E2kCpu *cpu = in->cpu;
    int64_t delta = (int32_t)c->s2.lo & ~15;

    c->d.lo = (cpu->usd_base + delta) & CTPR_BASE_MASK;
    c->d.hi = cpu->usd_size + delta; /* not part of the result */
    if (c->poison) {
        return;
    }
    if (delta < 0 && cpu->usd_size < (uint64_t)-delta) {
        if (c->op->speculative) {
            c->poison = true;
        } else {
            interp_raise(in, c, in->isa >= 7 ? EXC_USER_STACK_BOUNDS
                                             : EXC_ARRAY_BOUNDS);
        }
        return;
    }
    c->defer = DEFER_GETSP;
}

void interp_state_commit(Interp *in, InterpOp *c)
{
    E2kCpu *cpu = in->cpu;

    if (c->defer == DEFER_GETSP) {
        /* From the size before the bundle: of two, the last one stays. */
        cpu->usd_base = c->d.lo;
        cpu->usd_size = c->d.hi;
        return;
    }
    Exception e = cpu_write_state(cpu, c->op->dst.index, c->s2.lo);
    if (e != EXC_NONE) {
        interp_raise_late(in, c, e);
    }
}
