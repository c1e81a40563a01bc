/*
 * The decoded form of one wide instruction ("bundle") and the decoder's
 * interface.
 *
 *   bytes --bundle_decode()--> Bundle --+--> disassembler
 *                                       +--> interpreter
 *                                       +--> translator
 *   text --assembler--> Bundle --bundle_encode()--> bytes
 *
 * A Bundle is plain data: nothing in it points anywhere, so it may be copied,
 * cached and compared.  All checks that need only the bytes and the ISA
 * version are done by the decoder (encoding validity, channels, literals,
 * forbidden combinations); checks that need CPU state (window bounds, tags,
 * privilege) belong to the engines.
 *
 * Source of the layout: shared facts "isa/encoding.md" and "isa/semantics.md"
 * section 9.
 */
#ifndef TARGET_E2K_BUNDLE_H
#define TARGET_E2K_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target-e2k/insn.h"

enum {
    BUNDLE_MAX_BYTES = 64,
    BUNDLE_CHANNELS = 6,
    BUNDLE_MOVA_CHANNELS = 4,
};

/* What an operand byte names. */
typedef enum OperandKind {
    OPERAND_NONE,
    OPERAND_BASED,   /* %b[index], index 0..127 */
    OPERAND_WINDOW,  /* %r<index>, index 0..63 */
    OPERAND_GLOBAL,  /* %g<index>, index 0..31 */
    OPERAND_CONST,   /* value: the operand, extended to 64 bits (see below) */
    OPERAND_PRED,    /* %pred<index>: destination of a compare */
    OPERAND_STATE,   /* state register number index */
    OPERAND_CTPR,    /* %ctpr<index>, 1..3: destination of the movt family */
    OPERAND_EMPTY,   /* %empty: result dropped, all checks still made */
    OPERAND_SPECIAL, /* %tst (0xcd) %tc (0xce) %tcd (0xcf); index: the byte */
} OperandKind;

/* How a literal was written; the disassembler and the encoder need it. */
typedef enum LiteralForm {
    LITERAL_SHORT, /* in the operand byte */
    LITERAL_16_LO, /* _f16s,_ltsNlo */
    LITERAL_16_HI, /* _f16s,_ltsNhi */
    LITERAL_32,    /* _f32s,_ltsN */
    LITERAL_64,    /* _f64,_ltsN */
} LiteralForm;

typedef struct Operand {
    uint8_t kind;    /* OperandKind */
    uint8_t index;   /* register number, or LTS number of a literal */
    uint8_t literal; /* LiteralForm of OPERAND_CONST */
    uint8_t byte;    /* the operand byte as encoded */
    uint64_t value;  /* OPERAND_CONST: literal sign-extended to 64 bits
                      * (short literals are unsigned); a 32-bit operand is
                      * its low half */
} Operand;

typedef enum CondKind {
    COND_PRED, /* %pred<index> */
    COND_PCNT, /* %pcnt<index>: true when LSR.pcnt <= index */
} CondKind;

typedef struct Cond {
    uint8_t kind; /* CondKind */
    uint8_t index;
    bool negate;
} Cond;

enum { ALC_MAX_CONDS = 6 };

/* One arithmetic-logic channel. */
typedef struct AlcOp {
    bool present;
    bool speculative;  /* ,sm */
    bool pair_second;  /* upper half of a register-pair operation: described
                        * by the lower channel, encoded here */
    uint16_t insn;     /* InsnId: what it does */
    uint16_t row;      /* index of its encoding row in insn_rows[] */
    uint8_t channel;   /* 0..5 */
    uint8_t mas;       /* memory address specifier, 7 bits, 0 when absent */
    uint8_t imm8;      /* immediate, compare code or truth table */
    Operand src1;
    Operand src2;
    Operand src3;      /* third source, or the value of a store */
    Operand dst;
    /* Array access (staa, ldaa, aaurr, aaurw). */
    struct {
        uint8_t lit;   /* 0 none, 1..3: literal LTS(lit - 1) */
        bool am;       /* increment after the access */
        bool use_aaind;
        uint8_t incr;  /* %aaincr number */
        uint8_t ind;   /* %aasti or %aaind number */
        uint8_t aad;   /* %aad number */
        uint8_t reg;   /* AAU register code of aaurr/aaurw */
        uint32_t lit_value;
    } array;
    uint8_t n_conds;   /* RLP: conditions on executing the operation */
    Cond conds[ALC_MAX_CONDS];
    bool has_merge;    /* MRGC */
    uint8_t n_merges;
    Cond merge;        /* the merge condition (first one) */
    uint8_t n_am_conds;
    Cond am_conds[ALC_MAX_CONDS]; /* conditions of the array increment */
} AlcOp;

/* SS[8:5]; values are the architectural ones. */
typedef enum CtCondType {
    CT_NEVER = 0,
    CT_ALWAYS = 1,
    CT_PRED = 2,
    CT_NOT_PRED = 3,
    CT_LOOP_END = 4,
    CT_NOT_LOOP_END = 5,
    CT_PRED_OR_LOOP_END = 6,
    CT_NOT_PRED_AND_NOT_LOOP_END = 7,
    CT_MLOCK = 8,
    CT_MLOCK_LOCAL = 9,
    CT_LOCAL = 11, /* v7 */
    CT_NOT_PRED_OR_LOOP_END = 14,
    CT_PRED_AND_NOT_LOOP_END = 15,
} CtCondType;

/* The control transfer at the end of the bundle. */
typedef enum TransferKind {
    TRANSFER_NONE,
    TRANSFER_CT,      /* ct %ctpr<ctpr> */
    TRANSFER_CALL,    /* call %ctpr<ctpr>, wbs */
    TRANSFER_IBRANCH, /* target = bundle address + disp */
    TRANSFER_ICALL,
    TRANSFER_HCALL,
    TRANSFER_DONE,
    TRANSFER_IRET,
    TRANSFER_HRET,
    TRANSFER_GLAUNCH,
    TRANSFER_IBRANCHD, /* target in the register of channel 0 (v6+) */
    TRANSFER_ICALLD,
} TransferKind;

/* CS0 operations that prepare a transfer. */
typedef enum PrepareKind {
    PREPARE_NONE,
    PREPARE_DISP,
    PREPARE_LDISP,
    PREPARE_SDISP,
    PREPARE_RETURN,
    PREPARE_GETTSD,
    PREPARE_PUTTSD,
    PREPARE_PREF,
} PrepareKind;

/* One predicate-logic source (ELP). */
typedef enum ElpKind {
    ELP_NONE,
    ELP_PRED,
    ELP_LCNTEX,
    ELP_SPRED,   /* index: channel mask */
    ELP_BGRPRED,
    ELP_RNDPRED,
} ElpKind;

typedef struct Elp {
    uint8_t kind;
    uint8_t index;
    uint8_t byte; /* as encoded */
} Elp;

/* One calculated predicate (CLP or MLP). */
typedef struct Clp {
    bool present;
    uint8_t opc;  /* 0 andp, 1 landp, 3 movep */
    bool neg0;
    bool neg1;
    uint8_t p0;   /* source @p number */
    uint8_t p1;
    bool write;   /* result goes to %pred<pdst> */
    uint8_t pdst;
} Clp;

typedef struct MovaOp {
    bool present;
    uint8_t opc;  /* 1 b, 2 h, 3 w, 4 d, 5 q, 7 qp */
    uint8_t area;
    uint8_t ind;  /* byte offset */
    bool am;
    bool be;
    Operand dst;
} MovaOp;

typedef struct Bundle {
    uint8_t length;     /* bytes, multiple of 8 */
    uint8_t error_channel; /* channel that an error is about, or 0xff */
    uint8_t nop;        /* idle cycles, 0..7 */
    bool loop_mode;
    bool set_mark;

    uint8_t alc_mask;   /* bit i: alc[i].present */
    AlcOp alc[BUNDLE_CHANNELS];

    /* SS */
    bool has_ss;
    uint8_t ipd;
    bool bap;
    bool eap;
    bool alct, alcf;
    bool abpt, abpf;
    bool abnt, abnf;
    bool abgi, abgd;
    bool vfdi;
    uint8_t recovery;   /* 0 none, 1 crp, 2 srp, 3 slrp */
    uint8_t ts_op;      /* format 2: {SS[29:28], SS[26]} */
    uint8_t n_rpc;
    Cond rpc[ALC_MAX_CONDS];
    uint8_t ct_type;    /* CtCondType */
    uint8_t ct_psrc;
    uint8_t ctop;       /* SS[11:10] */

    /* Transfer, from SS, CS0 and CS1 together */
    uint8_t transfer;   /* TransferKind */
    uint8_t ctpr;       /* 1..3 of TRANSFER_CT and TRANSFER_CALL */
    uint8_t wbs;        /* of calls, in register pairs */
    int64_t disp;       /* bytes, of TRANSFER_IBRANCH and TRANSFER_ICALL */
    uint32_t param;     /* hcall number, done flags */

    /* CS0 preparation */
    uint8_t prepare;    /* PrepareKind */
    uint8_t prepare_ctpr;
    int64_t prepare_disp;   /* bytes, relative to the bundle */
    uint32_t prepare_param; /* system entry of sdisp; pref fields */

    /* CS1 */
    bool has_setwd, has_setbn, has_setbp, has_settr, has_vfrpsz;
    uint8_t wsz;        /* pairs */
    bool nfx, dbl, mcn;
    uint8_t rpsz;
    uint16_t tr_type;
    uint8_t rbs, rsz, rcur, psz;
    bool has_setei, has_setsft;
    uint8_t ei;
    bool has_wait;
    uint16_t wait;      /* bits of CS1[13:0] */
    bool has_flush;
    uint8_t flush;      /* bit 0 flushr, 1 flushc, 2 fillr, 3 fillc */
    bool has_vfbg;
    uint32_t vfbg;
    bool has_mas;

    /* Predicate logic */
    uint8_t n_pls;
    Elp elp[4];         /* @p0..@p3 */
    Clp clp[3];         /* @p4..@p6 */

    MovaOp mova[BUNDLE_MOVA_CHANNELS];

    /* Raw syllables, for the disassembler and for exact re-encoding. */
    uint8_t n_lts;      /* literal words present, 0..4 */
    uint32_t lts[4];
    uint32_t hs, ss, cs0, cs1;
    uint8_t n_cds;
    uint32_t cds[3];
    uint32_t pls[3];
} Bundle;

/*
 * Why a bundle was refused; decode_error_text() gives the sentence.  Engines
 * need only "not DECODE_OK: illegal operation".
 *
 * From DECODE_SOFT on, every part of the bundle is well formed and *bundle is
 * filled in completely, but the combination is one that the architecture
 * refuses: tools can show and encode it, a CPU must not run it.
 */
typedef enum DecodeError {
    DECODE_OK = 0,
    DECODE_TRUNCATED,      /* the bundle is longer than the bytes given */
    DECODE_BAD_ISA,        /* isa outside 1..7 */
    DECODE_BAD_LAYOUT,     /* lengths and pointers of HS contradict */
    DECODE_BAD_OPERATION,  /* no such operation in this channel and ISA */
    DECODE_BAD_LITERAL,    /* no such source operand byte */
    DECODE_NO_LITERAL_16,  /* reference to a literal word not in the bundle */
    DECODE_NO_LITERAL_32,
    DECODE_NO_LITERAL_64,
    DECODE_BAD_SRC3,
    DECODE_BAD_DST,
    DECODE_BAD_AAU_REG,
    DECODE_BAD_CDS,        /* condition that is no predicate and no counter */
    DECODE_BAD_AAS,        /* array read with a reserved operation */
    DECODE_BAD_CS0,
    DECODE_BAD_CS1,
    DECODE_NO_SETWD_WORD,  /* setwd without LTS0 */

    DECODE_SOFT,
    DECODE_PAIR = DECODE_SOFT, /* half of a register-pair operation missing */
    DECODE_ODD_PAIR,       /* register pair that starts at an odd register */
    DECODE_MEMORY_CLASH,   /* load in 3 with store in 2, load in 0 with 5 */
    DECODE_DST_CTPR,       /* %ctprN written by an operation that cannot */
    DECODE_TRANSFER_NO_SS, /* ibranch, done, ... without SS or condition */
    DECODE_TRANSFER_TWO,   /* two transfers in one bundle */
    DECODE_CALL_NO_TARGET, /* call without prepared or direct target */
    DECODE_BAD_CONDITION,  /* reserved transfer condition */
    DECODE_BAD_GETTSD,
    DECODE_BAD_WSZ,        /* setwd of more than 112 register pairs */
    DECODE_BAD_PLS,        /* reserved predicate operation or operand */
    DECODE_BAD_ELP,        /* reserved predicate source */
    DECODE_BAD_STATE_REG,  /* no such state register, or read-only */
    DECODE_BRANCHD_COND,   /* ibranchd or icalld under an RLP condition */
    DECODE_CTPR_COND,      /* %ctprN written under an RLP condition */
    DECODE_ARRAY_LITERAL,  /* array access with a literal that is not there */
    DECODE_MOVAQ_HALF,     /* movaq without its second half */
    DECODE_NOT_IN_ISA,     /* field that this ISA version does not have */
    DECODE_ERRORS
} DecodeError;

/*
 * Decodes the bundle at bytes[0 .. size).  isa is 1..7.  Never reads past
 * size.  On success returns DECODE_OK and fills *bundle; with an error before
 * DECODE_SOFT only length and error_channel of *bundle mean something.
 * Thread-safe, no allocation after the first call.
 */
DecodeError bundle_decode(Bundle *bundle, const uint8_t *bytes, size_t size,
                          unsigned isa);

const char *decode_error_text(DecodeError error);

/*
 * One word for the rule that was broken: "operation", "lit", "lit16", "dst",
 * "pred", ...; several errors may share one.
 */
const char *decode_error_class(DecodeError error);

/* Length in bytes from the header word alone: 8..64. */
static inline unsigned bundle_length(uint32_t hs)
{
    return 8 * (((hs >> 4) & 7) + 1);
}

/*
 * The asynchronous instruction of the array prefetch unit: two elementary
 * prefetches of 8 bytes, one for each half of the prefetch buffer.  Always 16
 * bytes; nothing in the bytes tells it from a bundle, only the way control
 * reaches it (ldisp %ctpr2, then bap).
 */
enum { APB_BYTES = 16 };

typedef struct ApbHalf {
    bool last;      /* left half: ct, end of the program; right half: dpl */
    bool secondary; /* v1: area index access; ind2 and friends are valid */
    uint8_t dcd;    /* cache bypass */
    uint8_t fmt;    /* 0 nothing to do, n: elements of 2^(n-1) bytes */
    uint8_t mrng;
    uint8_t d;      /* %aad number */
    uint8_t incr;   /* %aaincr number */
    uint8_t ind;    /* %aaind number */
    uint8_t asz;    /* area size code */
    uint8_t abs;    /* area base */
    uint8_t area;   /* of a secondary access */
    bool am;
    bool be;
    uint32_t disp;
    uint32_t word;  /* control word as encoded */
} ApbHalf;

typedef struct ApbInsn {
    ApbHalf half[2]; /* [0] left (APS0, APLS0), [1] right */
} ApbInsn;

/* Every 16 bytes decode; false when fewer are given. */
bool apb_decode(ApbInsn *insn, const uint8_t *bytes, size_t size);

/* The inverse, from the fields (ApbHalf.word is not looked at). */
void apb_encode(const ApbInsn *insn, uint8_t bytes[APB_BYTES]);

#endif
