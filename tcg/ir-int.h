/*
 * Inside of the intermediate code: what builder, passes and back end share.
 */
#ifndef TCG_IR_INT_H
#define TCG_IR_INT_H

#include "tcg/ir.h"

IrReg ir_vreg(Ir *ir, IrKind kind, IrType type);

#endif
