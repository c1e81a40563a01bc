/*
 * Bundle to bytes.
 *
 * The encoder takes the operations of the channels and the array reads from
 * their decoded fields, and everything else (SS, CS0, CS1, CDS, PLS, LTS) from
 * the raw syllables of the Bundle, whose presence the header word tells.  So
 * encoding what bundle_decode() produced gives the same bytes back, except
 * for filler and reserved bits; bundle_pack() makes the raw syllables from the
 * fields where a Bundle was put together by hand.
 */
#ifndef TARGET_E2K_ENCODE_H
#define TARGET_E2K_ENCODE_H

#include "target-e2k/bundle.h"

/*
 * Fills hs (presence bits only), ss, pls and cds of the bundle from its
 * fields.  cs0, cs1 and lts are the caller's; has_cs0 and has_cs1 say whether
 * the two exist.  Returns false when the conditions need more than six
 * descriptors.
 */
bool bundle_pack(Bundle *bundle, bool has_cs0, bool has_cs1);

/*
 * Writes the bundle; returns its length in bytes, or 0 when it would be longer
 * than 64 bytes.  offsets, unless NULL, tells where things went.
 */
typedef struct EncodeOffsets {
    uint8_t cs0;
    uint8_t cs1;
    uint8_t als[BUNDLE_CHANNELS];
    uint8_t lts[4];
} EncodeOffsets;

unsigned bundle_encode(const Bundle *bundle, unsigned isa,
                       uint8_t bytes[BUNDLE_MAX_BYTES],
                       EncodeOffsets *offsets);

#endif
