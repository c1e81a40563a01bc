/*
 * Private to the assembler's operations without a channel: what their files
 * share, and the table of each.
 */
#ifndef TARGET_E2K_ASM_CONTROL_INT_H
#define TARGET_E2K_ASM_CONTROL_INT_H

#include "target-e2k/asm-int.h"

typedef struct ControlOp {
    const char *name; /* NULL: end of the table */
    bool (*parse)(Asm *as, Cursor *c);
    uint8_t min_isa;
} ControlOp;

extern const ControlOp transfer_ops[];  /* asm-transfer.c */
extern const ControlOp predicate_ops[]; /* asm-predicate.c */

/* Whether the character is next; a message if not. */
bool control_expect(Asm *as, Cursor *c, char ch);
/* A number 0 <= *number < limit. */
bool control_number_below(Asm *as, Cursor *c, const char *what, int64_t limit,
                          int64_t *number);
/* "name = number", and a comma behind it if there is one; false: not it. */
bool control_field(Asm *as, Cursor *c, const char *name, int64_t limit,
                   int64_t *number, bool *failed);
/* Claims CS0, or CS1 with an opcode that may be shared. */
bool control_take_cs0(Asm *as, uint32_t word);
bool control_take_cs1(Asm *as, unsigned opcode, uint32_t word);

#endif
