/*
 * Names and numbers of state, MMU and array-unit registers, as instructions
 * and assembly text refer to them.  What the registers mean is the engines'
 * business.
 */
#ifndef TARGET_E2K_REGS_H
#define TARGET_E2K_REGS_H

#include <stdbool.h>
#include <stdint.h>

/* Name with the percent sign, or NULL where the ISA version has none. */
const char *state_reg_name(uint8_t number, unsigned isa);

/* Number of a name (percent sign included), or -1. */
int state_reg_number(const char *name, unsigned isa);

/* %idr, %ip: written by no instruction. */
bool state_reg_read_only(uint8_t number);

/* Where an array-unit register's number is in the instruction. */
typedef enum AauRegNumber {
    AAU_NUMBER_NONE,
    AAU_NUMBER_D,   /* the aad field, 0..31 */
    AAU_NUMBER_IND, /* the index field, 0..15 */
} AauRegNumber;

typedef struct AauReg {
    const char *name; /* percent sign included, number not */
    AauRegNumber number;
} AauReg;

/* NULL for a code that is no register. */
const AauReg *aau_reg(uint8_t code);

/*
 * Code of a register such as "%aasti3" in text; its number in *number (0
 * where it has none).  -1: no such register.
 */
int aau_reg_code(const char *name, unsigned *number);

typedef struct MmuReg {
    const char *name;
    uint32_t address;
    uint8_t mas;
    uint8_t min_isa;
    uint8_t write_isa; /* first version that may write it, 0: none */
    uint8_t channel;   /* that reads it */
} MmuReg;

const MmuReg *mmu_reg_by_name(const char *name);

#endif
