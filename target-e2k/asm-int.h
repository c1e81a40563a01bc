/*
 * Private to the assembler.
 *
 *   asm-source.c     input: files, statements; asm-macro.c, asm-conditional.c
 *   asm-directive.c  directives that make data, symbols and sections
 *   asm-expr.c       expressions
 *   asm-symbol.c     symbols, and expressions turned into relocations
 *   asm-insn.c       an operation's text to an AsmOp or to bundle fields
 *   asm-operand.c    operands of an operation
 *   asm-control.c    operations that have no channel; asm-transfer.c,
 *                    asm-predicate.c
 *   asm-pack.c       a bundle's operations to bytes: channels, literals
 *   asm-debug.c      line-number information
 *
 * One pass over the source.  The size of a bundle never depends on the value
 * of a symbol, so every label has its final offset when it is met; what an
 * expression with symbols means is settled at the end (Fixup).
 */
#ifndef TARGET_E2K_ASM_INT_H
#define TARGET_E2K_ASM_INT_H

#include "target-e2k/asm.h"
#include "target-e2k/encode.h"

typedef struct Asm Asm;

/* Where a piece of text came from. */
typedef struct AsmPlace {
    const char *file; /* interned */
    unsigned line;
    unsigned column;  /* 0: not known, or in an expansion */
} AsmPlace;

/*
 * Expressions: trees in the assembler's arena.  A leaf is a number or a
 * symbol, optionally with a relocation operator (sym@GOTOFF).
 */
typedef enum ExprOp {
    EXPR_NUMBER,
    EXPR_SYMBOL,
    EXPR_NEG, EXPR_NOT, EXPR_LNOT,
    EXPR_ADD, EXPR_SUB, EXPR_MUL, EXPR_DIV, EXPR_MOD, EXPR_SHL, EXPR_SHR,
    EXPR_AND, EXPR_OR, EXPR_XOR, EXPR_ORNOT,
    EXPR_EQ, EXPR_NE, EXPR_LT, EXPR_LE, EXPR_GT, EXPR_GE,
    EXPR_LAND, EXPR_LOR,
} ExprOp;

/* Relocation operators, and R_NONE. */
typedef enum ExprReloc {
    RELOC_PLAIN,
    RELOC_GOT,
    RELOC_GOTOFF,
    RELOC_GOTPLT,
    RELOC_PLT,
    RELOC_TLS_GDMOD,
    RELOC_TLS_GDREL,
    RELOC_TLS_IE,
    RELOC_TLS_LE,
    RELOC_TLS_DTPREL,
    RELOC_ISLOCAL,
    RELOC_DYNOPT,
    RELOC_SIZE,
} ExprReloc;

typedef struct AsmSymbol {
    ObjSymbol *obj;
    struct Expr *equated; /* .set NAME, EXPR */
    bool evaluating;      /* guards against a cycle of .set */
    bool temporary;       /* numeric and .L labels: not in the symbol table */
    bool placed;          /* defined as a label */
} AsmSymbol;

typedef struct Expr {
    ExprOp op;
    ExprReloc reloc;
    uint64_t number;
    AsmSymbol *symbol;
    struct Expr *a, *b;
} Expr;

/* symbol - minus + number; either symbol may be absent. */
typedef struct ExprValue {
    AsmSymbol *symbol;
    AsmSymbol *minus;
    ExprReloc reloc;
    uint64_t number;
} ExprValue;

/* A cursor over one statement; column for messages is p - start. */
typedef struct Cursor {
    const char *start;
    const char *p;
    unsigned base_column;
} Cursor;

/* What a fixup's expression is stored as. */
typedef enum FixupKind {
    FIXUP_DATA8,
    FIXUP_DATA16,
    FIXUP_DATA32,
    FIXUP_DATA64,
    FIXUP_LIT16,   /* half of an LTS word */
    FIXUP_LIT32,
    FIXUP_LIT64,   /* high word first */
    FIXUP_DISP,    /* CS0[27:0] */
    FIXUP_PREF,
    FIXUP_SIZE,    /* symbol's size */
    FIXUP_ULEB,    /* not relocatable */
} FixupKind;

typedef struct Fixup {
    ObjSection *section;
    uint64_t offset;
    FixupKind kind;
    unsigned insn_offset; /* of the field from the start of its bundle */
    const Expr *expr;
    AsmSymbol *symbol;    /* FIXUP_SIZE */
    AsmPlace place;
} Fixup;

/* A literal of an operation before it has a place. */
typedef struct AsmLiteral {
    bool present;
    uint8_t halves;   /* size in 16-bit units: 1, 2, 4; 0: short */
    int8_t place;     /* first half (2 * lts + high), or -1: any */
    bool reference;   /* _litNN_ref: another operation places it */
    bool known;       /* value is final */
    uint64_t value;
    const Expr *expr;
    bool src2;        /* literal of the second source ... */
    bool array;       /* ... or the array access it belongs to */
    bool raw_word;    /* CS1's word in LTS0 */
} AsmLiteral;

/* One operation of a channel, as parsed. */
typedef struct AsmOp {
    InsnId insn;
    unsigned channels;    /* candidates, by number written or by table */
    bool channel_given;
    AlcOp alc;            /* fields as they will be in the lower channel */
    bool quad;            /* register-pair operation */
    AsmLiteral literal;
    AsmPlace place;
    unsigned column;
    unsigned channel;     /* chosen */
} AsmOp;

enum { ASM_MAX_OPS = 6 };

/* A bundle being collected. */
typedef struct AsmBundle {
    bool started;     /* any operation seen, or braces */
    bool braces;
    bool failed;      /* some operation had an error: produce nothing */
    AsmPlace place;   /* of its first operation */
    Bundle bundle;    /* control and predicate fields */
    unsigned n_ops;
    AsmOp ops[ASM_MAX_OPS];
    bool has_cs0, has_cs1;
    bool ipd_given, ct_given, nop_given, nop_plain;
    bool wd_given, nfx_given, dbl_given, bn_given, bp_given, tr_given,
        vfrpsz_given;
    uint32_t cs1_word;   /* wait, setei, flush, call, vfbg */
    uint8_t cs1_opcode;  /* of cs1_word; 0xff: none */
    const Expr *disp;    /* target in CS0 */
    FixupKind disp_kind;
    uint8_t apb_mask;    /* fapb halves given */
    ApbInsn apb;
    unsigned clp_mask;   /* calculated predicates given */
    unsigned elp_mask;
    unsigned auto_nop;   /* idle cycles for a compare without braces */
} AsmBundle;

typedef struct LineEntry {
    ObjSection *section;
    uint64_t offset;
    AsmPlace place;
} LineEntry;

typedef struct AsmSource AsmSource; /* asm-source.c */

struct Asm {
    unsigned isa;
    const AsmOptions *options;
    GString *messages;
    unsigned errors;
    bool store_value_first; /* .accept ld_st_style */
    AsmPlace place;         /* of the statement being read */
    unsigned column;        /* 1-based, of its first character */

    ObjFile *file;
    ObjSection *section;
    ObjSection *previous;
    GArray *section_stack;
    GHashTable *symbols;    /* name -> AsmSymbol */
    GHashTable *local_count; /* numeric label -> how many so far */
    GPtrArray *all_symbols;  /* AsmSymbol, for freeing */
    GPtrArray *exprs;        /* arena */
    GArray *fixups;
    GArray *lines;
    AsmBundle bundle;
    AsmSource *source;
    bool no_symbols;        /* asm_bundle(): symbols are errors */
    uint64_t address;       /* asm_bundle() */
    bool ended;             /* .end */
};

/* Messages; printf style.  column is 1-based, 0: the whole line. */
void asm_error(Asm *as, unsigned column, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
void asm_warning(Asm *as, unsigned column, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
void asm_error_at(Asm *as, AsmPlace place, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Cursor: all skip blanks first. */
void cursor_skip(Cursor *c);
bool cursor_char(Cursor *c, char ch);      /* accepts ch if it is next */
bool cursor_word(Cursor *c, const char *word); /* whole word */
bool cursor_text(Cursor *c, const char *text); /* prefix */
char *cursor_name(Cursor *c);              /* identifier or NULL; g_free */
bool cursor_end(Cursor *c);
unsigned cursor_column(const Cursor *c);
bool is_name_start(char ch);
bool is_name_char(char ch);

/* Expressions.  NULL after an error message. */
Expr *expr_parse(Asm *as, Cursor *c);
Expr *expr_number(Asm *as, uint64_t number);
Expr *expr_symbol(Asm *as, AsmSymbol *symbol);
Expr *expr_binary(Asm *as, ExprOp op, Expr *a, Expr *b);
/* Current value; false (without a message) if it is not of that form. */
bool expr_eval(Asm *as, const Expr *expr, ExprValue *value);
/* A number known now; false after a message. */
bool expr_constant(Asm *as, Cursor *c, int64_t *number);
/* True when expr is a number already; no message. */
bool expr_is_known(Asm *as, const Expr *expr, uint64_t *number);

/* Symbols. */
AsmSymbol *symbol_get(Asm *as, const char *name);
AsmSymbol *symbol_lookup(Asm *as, const char *name);
AsmSymbol *symbol_temporary(Asm *as);
AsmSymbol *symbol_here(Asm *as); /* label at the current place */
void symbol_define_label(Asm *as, const char *name);
void symbol_define_numeric(Asm *as, unsigned number);
AsmSymbol *symbol_numeric(Asm *as, unsigned number, bool forward);
void symbol_equate(Asm *as, const char *name, Expr *expr, bool once);
void asm_resolve_fixups(Asm *as);
void asm_finish_symbols(Asm *as);
void fixup_add(Asm *as, FixupKind kind, uint64_t offset,
               unsigned insn_offset, const Expr *expr);

/* Section contents. */
void section_use(Asm *as, const char *name, uint32_t type, uint64_t flags,
                 bool attributes_given);
void section_emit(Asm *as, const void *bytes, size_t size);
void section_fill(Asm *as, uint64_t count, uint8_t value);
void section_align(Asm *as, uint64_t align, int fill, uint64_t max);

/* Statements. */
void directive_run(Asm *as, const char *name, Cursor *c);
void insn_parse(Asm *as, Cursor *c);

/* Bundles. */
void bundle_start(Asm *as, bool braces);
void bundle_finish(Asm *as);
unsigned bundle_pack_text(Asm *as, AsmBundle *ab,
                          uint8_t bytes[BUNDLE_MAX_BYTES]);

/* Operands: parse one, false after a message. */
bool operand_register(Cursor *c, Operand *operand, char *prefix);
bool operand_cond(Asm *as, Cursor *c, Cond *cond, bool allow_pcnt);
bool operand_source(Asm *as, Cursor *c, AsmOp *op, Operand *operand,
                    char prefix, unsigned which);
bool operand_dst(Asm *as, Cursor *c, AsmOp *op, char prefix);

/* Operations without a channel; false if name is none of them. */
bool control_parse(Asm *as, const char *name, Cursor *c);
bool control_condition(Asm *as, Cursor *c, bool mlock_allowed, bool rbranch);
void ss_start(Asm *as);

/* mova, fapb, incr. */
bool array_parse(Asm *as, const char *name, Cursor *c);
bool array_operands(Asm *as, Cursor *c, AsmOp *op, const InsnRow *row);
bool literal_parse(Asm *as, Cursor *c, AsmOp *op, AsmLiteral *literal,
                   bool *is_short, unsigned short_max, bool wide);

/* Source. */
void source_run(Asm *as, const char *name, const char *text);
void source_include(Asm *as, const char *name);
bool source_find(Asm *as, const char *name, char **path);
/* Where in expansions the statement is, for messages; g_free(). */
char *source_context(Asm *as);
/* Directives of the preprocessor; false if name is none. */
bool source_directive(Asm *as, const char *name, Cursor *c);

/* Line numbers. */
void debug_note_line(Asm *as, AsmPlace place);
void debug_finish(Asm *as);

#endif
