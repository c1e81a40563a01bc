/*
 * One request as it came off the wire, checked.
 *
 * Everything a client can say in the transmission phase passes through
 * nbd_request_parse(); what comes out of it may be trusted: the range lies in
 * the export, the flags belong to the command, the payload is bounded.
 */
#ifndef NBD_REQUEST_H
#define NBD_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "nbd/protocol.h"

/* What was negotiated and what the export is. */
typedef struct NbdRequestRules {
    bool structured; /* or extended */
    bool extended;
    bool status_payload; /* BLOCK_STATUS may carry a list of contexts */
    bool writable;
    unsigned contexts; /* selected */
    uint64_t size;
    uint32_t max_block;
} NbdRequestRules;

typedef struct NbdRequest {
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset;
    uint64_t length;
    uint32_t payload; /* bytes that follow the header */
    int error;        /* errno to answer once the payload is skipped, or 0 */
    char message[112]; /* why, for structured errors */
} NbdRequest;

/*
 * header: NBD_REQUEST_SIZE or NBD_EXT_REQUEST_SIZE bytes.  False: the stream
 * cannot be followed any further and the connection must be closed.
 */
bool nbd_request_parse(const NbdRequestRules *rules, const uint8_t *header,
                       NbdRequest *request);

/*
 * The payload of a BLOCK_STATUS request: effect length and context ids.
 * ids: the `contexts` ids of the connection; wanted[i] tells whether id i is
 * in the list.  Sets request->length, or request->error.
 */
void nbd_request_parse_status(const NbdRequestRules *rules,
                              const uint8_t *payload, const uint32_t *ids,
                              bool *wanted, NbdRequest *request);

#endif
