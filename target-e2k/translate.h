/*
 * What a piece of translated code was compiled for.
 *
 * A region is host code for the guest code reached from one address in one
 * machine geometry.  Everything in Geometry is a compile-time fact of the
 * region: window and rotation of registers and predicates, modes.  Two
 * dynamic states that differ in any of it are served by different regions.
 *
 * Generated code does not keep the geometry in *cpu: it is written back from
 * the exit's description when host code leaves to C.
 */
#ifndef TARGET_E2K_TRANSLATE_H
#define TARGET_E2K_TRANSLATE_H

#include "target-e2k/bundle.h"
#include "target-e2k/cpu.h"

typedef union Geometry {
    struct {
        uint64_t wsz : 7;    /* pairs */
        uint64_t psize : 7;  /* pairs */
        uint64_t rbs : 6;
        uint64_t rsz : 6;
        uint64_t rcur : 6;
        uint64_t psz : 5;
        uint64_t pcur : 5;
        uint64_t dbl : 1;
        uint64_t wfx : 1;
        uint64_t isa : 3;
        uint64_t psr : 7;
        uint64_t fp_plain : 1;  /* UPSR.fe set, all FP exceptions masked */
        uint64_t fp_checked : 1; /* UPSR.fe set, some exception not masked;
                                  * not underflow */
        uint64_t ac : 1;        /* UPSR.ac: accesses must be aligned */
        uint64_t plain : 1;     /* BGR identity, CUI 0: nothing odd */
        uint64_t ctpr_empty : 1; /* all three CTPRs are empty, whatever
                                  * cpu->ctpr says */
        uint64_t split : 1;     /* code without bases, see translate-base.c;
                                 * never in a node's geometry */
        uint64_t wary : 1;      /* there may be invalid predicates or entries
                                 * of the DAM; see translate-wary.c */
        /* Facts inside a region, tested at its entry; 0 in keys, but that a
         * jump with vlc asks for the second tier (KEY_WANTS_FULL). */
        uint64_t vlc : 1;       /* LSR.vlc is set (0: not known) */
        uint64_t pcnt0 : 1;     /* LSR.pcnt is 0 (0: not known) */
        uint64_t ecnt0 : 1;     /* LSR.ecnt is 0 (0: not known) */
    };
    uint64_t bits;
} Geometry;

/* In the key of a jump: the target is to be code of the second tier. */
#define KEY_WANTS_FULL (((Geometry){ .vlc = 1 }).bits)

typedef struct RegionKey {
    uint64_t ip;
    Geometry geo;
} RegionKey;

#endif
