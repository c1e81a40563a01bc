/*
 * Loads and stores.
 *
 * User mode: a host access at guest_base + address; when it faults the state
 * is put back to the start of the bundle and the interpreter executes it.
 * System mode: the same access through the software TLB of the CPU.
 * Otherwise a call that leaves generated code when the access traps.
 */
#include "target-e2k/translate-int.h"

#include "target-e2k/sem.h"

static unsigned access_size(InsnId insn)
{
    switch (insn) {
    case INSN_ldb: case INSN_stb: return 1;
    case INSN_ldh: case INSN_sth: return 2;
    case INSN_ldw: case INSN_stw: return 4;
    case INSN_ldd: case INSN_std: return 8;
    default: return 0;
    }
}

bool trans_memory_supported(const Region *region, const AlcOp *op)
{
    return access_size(op->insn) != 0 && op->mas == 0;
}

typedef struct Address {
    IrReg base;
    IrReg index;
    int32_t offset;
} Address;

static bool small(uint64_t value)
{
    return (int64_t)value == (int32_t)value;
}

/* s1 + s2, a literal among them as the displacement. */
static Address guest_address(Trans *t, const TransOp *o)
{
    const Operand *s1 = &o->op->src1, *s2 = &o->op->src2;

    if (s1->kind == OPERAND_CONST && s2->kind == OPERAND_CONST) {
        return (Address){ trans_imm(t, s1->value + s2->value), IR_NONE, 0 };
    }
    if (s2->kind == OPERAND_CONST && small(s2->value)) {
        return (Address){ o->a, IR_NONE, (int32_t)s2->value };
    }
    if (s1->kind == OPERAND_CONST && small(s1->value)) {
        return (Address){ o->b, IR_NONE, (int32_t)s1->value };
    }
    return (Address){ o->a, o->b, 0 };
}

/* The same in host memory.  All CPUs of a process have the same base. */
static Address address_of(Trans *t, const TransOp *o)
{
    Address at = guest_address(t, o);
    if (t->cpu->guest_base) {
        at.base = ir_new2i(t->ir, IR_add, 8, at.base, t->cpu->guest_base);
    }
    return at;
}

static IrReg flat_address(Trans *t, const TransOp *o)
{
    return ir_new2(t->ir, IR_add, 8, o->a, o->b);
}

static IrReg site_const(Trans *t)
{
    return trans_imm(t, (uintptr_t)trans_node_site(t));
}

void trans_load(Trans *t, TransOp *o)
{
    unsigned size = access_size(o->op->insn);

    if (!trans_inline_memory(t->cpu)) {
        IrReg args[4] = { ir_cpu(t->ir), flat_address(t, o),
                          trans_imm(t, size), site_const(t) };
        ir_call(t->ir, o->out, sem_load, "load", IR_CALL_MAY_RAISE,
                CLASS_ALL, 0, 4, args);
        return;
    }
    Address at = address_of(t, o);
    ir_gld(t->ir, size, o->out, at.base, at.index, 0, at.offset,
           trans_fault(t));
}

void trans_store(Trans *t, TransOp *o)
{
    unsigned size = access_size(o->op->insn);

    if (!trans_inline_memory(t->cpu)) {
        IrReg args[5] = { ir_cpu(t->ir), flat_address(t, o),
                          trans_imm(t, size), o->c, site_const(t) };
        ir_call(t->ir, IR_NONE, sem_store, "store", IR_CALL_MAY_RAISE,
                CLASS_ALL, 0, 5, args);
        return;
    }
    Address at = address_of(t, o);
    ir_gst(t->ir, size, at.base, at.index, 0, at.offset, o->c,
           trans_fault(t));
}
