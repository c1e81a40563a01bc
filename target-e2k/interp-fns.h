/*
 * Prototypes of the family functions; the list is sems.def.
 */
#ifndef TARGET_E2K_INTERP_FNS_H
#define TARGET_E2K_INTERP_FNS_H

#include "target-e2k/interp-int.h"

#define SEM(name) void interp_##name(Interp *in, InterpOp *c);
#include "target-e2k/sems.def"
#undef SEM

/* interp-packed.c: shared by families. */
/* Narrows: the lanes of s2 fill the low half, those of s1 the high half. */
void interp_pack(InterpOp *c, unsigned size, bool is_signed);
/* Signs of s2's lanes in the low bits, of s1's above them. */
void interp_sign_masks(InterpOp *c, unsigned size);

/* interp-fp.c: a single as bfloat16. */
uint16_t interp_to_bfloat(uint32_t v);

/* interp-x80.c: members of families that interp-fp.c leads. */
void interp_x80_compare(Interp *in, InterpOp *c, unsigned predicate);
void interp_x80_relation(Interp *in, InterpOp *c, bool signalling);
void interp_x80_scale(Interp *in, InterpOp *c);
void interp_x80_convert(Interp *in, InterpOp *c);

#endif
