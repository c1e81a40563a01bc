/*
 * Between the passes over intermediate code.
 */
#ifndef TCG_OPT_INT_H
#define TCG_OPT_INT_H

#include "tcg/ir-int.h"
#include "tcg/tcg-int.h"

/* The result of a pure operation on constants; false: not known. */
bool fold_op(const IrOp *op, const uint64_t v[4], uint64_t *result);
bool fold_cond(IrCond cond, unsigned width, uint64_t a, uint64_t b);

/* Value numbering: constants, copies, common subexpressions, addresses. */
void opt_values(Compile *c);
/* Loads of what was stored become copies; true when there were some. */
bool opt_forward(Compile *c);
/* Dead operations, dead stores to globals, copies merged into definitions. */
void opt_dead(Compile *c);

/* Loads of CPU state become memory operands; the last pass. */
void opt_memory(Compile *c);

static inline void op_remove(IrOp *op)
{
    *op = (IrOp){.opcode = IR_nop};
}

#endif
