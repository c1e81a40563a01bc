/*
 * Private to the assembler's input.
 *
 *   asm-source.c       frames, statements, files
 *   asm-conditional.c  .if and its kin
 *   asm-macro.c        macros and repeated blocks
 */
#ifndef TARGET_E2K_ASM_SOURCE_INT_H
#define TARGET_E2K_ASM_SOURCE_INT_H

#include "target-e2k/asm-int.h"

typedef struct Macro Macro;

typedef struct Frame {
    struct Frame *parent;
    char *text;
    const char *p;
    const char *line_start;
    AsmPlace place;      /* of the line p is in */
    bool fixed_line;     /* expansion: all lines count as the call's */
    unsigned conditions; /* open ones when the frame was entered */
    uint64_t repeat;     /* times to run again */
    bool is_macro;
    const char *macro;   /* its name */
    unsigned body_line;  /* of an expansion, counted from 1 */
    unsigned statement_line; /* body_line of the statement being run */
} Frame;

typedef struct Condition {
    bool active;  /* this branch is assembled */
    bool taken;   /* some branch was */
    bool parent;  /* the surrounding text is assembled */
    bool had_else;
    AsmPlace place;
} Condition;

struct AsmSource {
    Frame *top;
    unsigned depth;
    GHashTable *macros;
    GArray *conditions;
    unsigned expansions;
};

/* Takes ownership of text; NULL after a message when nested too deeply. */
Frame *source_push_frame(Asm *as, char *text, AsmPlace place);
/* Steps over the newline that p is at. */
void source_next_line(Frame *frame);

/* Whether the conditionals around the place let text be assembled. */
bool source_assembling(Asm *as);
/* Value of an .if directive's condition; *known: it is one. */
bool source_condition(Asm *as, const char *name, Cursor *c, bool *known);
void source_push_condition(Asm *as, bool value);
/* .else, .elseif, .endif; false: none of them. */
bool source_condition_change(Asm *as, const char *name, Cursor *c);
/* An argument of .ifc, or a default: quoted or up to the comma. */
char *source_text_argument(Cursor *c);

void source_call_macro(Asm *as, const Macro *macro, Cursor *c);
void source_macro_free(gpointer data);

#endif
