/*
 * Private to the disassembler: the output and its parts.
 */
#ifndef TARGET_E2K_DISAS_INT_H
#define TARGET_E2K_DISAS_INT_H

#include "target-e2k/disas.h"

typedef struct Disas {
    GString *out;
    const DisasOptions *options;
    unsigned isa;
    uint64_t address;
    bool first;
} Disas;

/* Starts a new operation, with a separator if it is not the first. */
void disas_op(Disas *d, const char *format, ...) G_GNUC_PRINTF(2, 3);

void disas_target(Disas *d, int64_t disp);
void disas_ct_condition(Disas *d, const Bundle *bundle);
void disas_cond(Disas *d, const Cond *cond);
void disas_dst(Disas *d, const Operand *operand, char prefix);

void disas_channels(Disas *d, const Bundle *bundle);
void disas_short_ops(Disas *d, const Bundle *bundle);  /* HS and SS */
void disas_control(Disas *d, const Bundle *bundle);    /* CS0 and CS1 */
void disas_mova(Disas *d, const Bundle *bundle);
void disas_predicates(Disas *d, const Bundle *bundle);

#endif
