/*
 * The instruction table: one description per operation, one row per encoding.
 *
 *   insns.def --+--> enum InsnId       what an operation does, one per mnemonic
 *               +--> enum SemFamily    operations that share one function
 *               +--> insn_infos[]      facts of each InsnId
 *               +--> insn_rows[]       each encoding: format, opcode bits,
 *                                      channels per ISA version
 *
 * Engines dispatch on the semantic family (and tell members apart by InsnId);
 * decoder, assembler and disassembler work on rows.  All tables are constant.
 */
#ifndef TARGET_E2K_INSN_H
#define TARGET_E2K_INSN_H

#include <stdbool.h>
#include <stdint.h>

enum { ISA_MIN = 1, ISA_MAX = 7 };

/* INSN_NONE, INSN_ands, INSN_andd, ...: mnemonics as written in insns.def. */
typedef enum InsnId {
    INSN_NONE,
#define INSN(id, ...) INSN_##id,
#define ALSO(id, ...)
#include "target-e2k/insns.def"
#undef INSN
#undef ALSO
    INSN_COUNT
} InsnId;

/* SEM_logic, SEM_shift, ...: what an engine dispatches on. */
typedef enum SemFamily {
    SEM_NONE,
#define SEM(name) SEM_##name,
#include "target-e2k/sems.def"
#undef SEM
    SEM_COUNT
} SemFamily;

/* Operand formats of the ALS and ALES words; "isa/encoding.md" section 3. */
typedef enum InsnFormat {
    ALF1, ALF1M, ALF2, ALF3, ALF7, ALF8, ALF10, ALF11, ALF11L, ALF11M, ALF12,
    ALF12P, ALF12B, ALF12C, ALF13, ALF15, ALF16, ALF17, ALF19, ALF21, ALF21M,
    ALF21T, ALF21G, ALF21GT, ALF22, AAURR, AAURW,
    INSN_FORMATS
} InsnFormat;

/* Width or class of one operand. */
typedef enum OperandWidth {
    WIDTH_NONE,
    WIDTH_S,     /* 32 bits */
    WIDTH_D,     /* 64 bits */
    WIDTH_X,     /* 80-bit float in one register */
    WIDTH_Q,     /* pair of adjacent 64-bit registers */
    WIDTH_P,     /* 128 bits in one register (v5+) */
    WIDTH_PRED,  /* predicate */
    WIDTH_STATE, /* state register */
} OperandWidth;

/* Properties of a row. */
enum {
    F_MAS = 1 << 0,      /* may carry a memory address specifier */
    F_LD = 1 << 1,       /* reads memory */
    F_ST = 1 << 2,       /* writes memory */
    F_MRGC = 1 << 3,     /* takes a merge condition */
    F_CTPR = 1 << 4,     /* may write %ctprN, in channel 0 */
    F_ALIAS = 1 << 5,    /* another name of an encoding listed elsewhere */
    F_ALES25 = 1 << 6,   /* v4 stores the extension word in channels 2, 5 */
    F_SAME_S1 = 1 << 7,  /* a pair src1 is the same in both channels */
    F_AAUMAS = 1 << 8,   /* AAU register access: MAS is 0x3f */
    F_AAUREG = 1 << 9,
    F_ARRAY = 1 << 10,   /* array access: aad, aasti, incr */
    F_IMM8 = 1 << 11,    /* 8-bit immediate in the extension half */
    F_WBS = 1 << 12,     /* window base in src1's place */
    F_V7ONLY = 1 << 13,
    F_PAIR01_34 = 1 << 14, /* pair operation in channels 0+1 or 3+4 */
    F_PAIR02_35 = 1 << 15,
    F_PAIR25 = 1 << 16,
    F_NOP2 = 1 << 17,    /* idle cycles an assembler adds after a compare */
    F_NOP4 = 1 << 18,
    F_LIT8MAX4 = 1 << 19,  /* larger immediates give undefined results */
    F_LIT8MAX7 = 1 << 20,
    F_LIT8MAX15 = 1 << 21,
    F_PAIR = F_PAIR01_34 | F_PAIR02_35 | F_PAIR25,
};

typedef struct InsnRow {
    uint16_t insn;       /* InsnId */
    uint8_t sem;         /* SemFamily */
    uint8_t format;      /* InsnFormat */
    uint32_t als_mask;   /* bit 31 (sm) is never part of it */
    uint32_t als_value;
    bool has_ales;       /* the channel's extension flag must be set */
    uint16_t ales_mask;
    uint16_t ales_value;
    uint8_t channels[ISA_MAX]; /* [isa - 1]: bit mask of channels */
    uint8_t src1, src2, src3, dst; /* OperandWidth */
    const char *print;   /* register-name prefixes in text order */
    uint32_t flags;      /* F_... */
} InsnRow;

/* Facts of an operation that do not depend on the encoding row. */
typedef struct InsnInfo {
    const char *name;    /* classic mnemonic */
    const char *alt;     /* the newer set's name where different, or NULL */
    uint8_t sem;         /* SemFamily */
    uint16_t row;        /* first row of the operation in insn_rows[] */
} InsnInfo;

enum {
#define INSN(...) +1
#define ALSO(...) +1
    INSN_ROWS = 0
#include "target-e2k/insns.def"
#undef INSN
#undef ALSO
};

extern const InsnRow insn_rows[INSN_ROWS];
extern const InsnInfo insn_infos[INSN_COUNT]; /* [INSN_NONE] is "(none)" */

/* Classic mnemonic; alt: the newer set's, or NULL. */
static inline const char *insn_name(InsnId insn)
{
    return insn_infos[insn].name;
}

static inline const char *insn_alt_name(InsnId insn)
{
    return insn_infos[insn].alt;
}

static inline SemFamily insn_sem(InsnId insn)
{
    return (SemFamily)insn_infos[insn].sem;
}

/* The operation named so in either mnemonic set, or INSN_NONE. */
InsnId insn_by_name(const char *name);

/* Name of a semantic family, for messages and the coverage table. */
const char *sem_name(SemFamily sem);

/* Bit mask of the channels that have the operation in this ISA version. */
unsigned insn_channels(InsnId insn, unsigned isa);

#endif
