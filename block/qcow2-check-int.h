/* What the parts of a check share: the walk that counts references
 * (qcow2-check-count.c) and what is done about them (qcow2-check.c). */
#ifndef BLOCK_QCOW2_CHECK_INT_H
#define BLOCK_QCOW2_CHECK_INT_H

#include "block/qcow2-int.h"

#define QCOW2_CHECK_CHUNK UINT64_C(4096) /* clusters whose counts lie together */

typedef struct Qcow2Check {
    Qcow2 *s;
    BlockCheckResult *result;
    unsigned fix;
    GHashTable *chunks; /* chunk number -> uint32_t[QCOW2_CHECK_CHUNK] */
    uint64_t file_clusters;
    uint64_t highest;       /* cluster with any reference or count */
    uint64_t next_offset;   /* where the next unfragmented cluster would be */
    bool rebuild;
    bool active; /* the tree walked is that of the disk itself */
} Qcow2Check;

/* Forgets what was counted and walks all structures again. */
void qcow2_check_count(Qcow2Check *c, bool refcounts_too);
/* References counted to a cluster. */
uint64_t qcow2_check_expected(Qcow2Check *c, uint64_t cluster);
/* Does anything near (in the same chunk) have a reference? */
bool qcow2_check_knows(Qcow2Check *c, uint64_t cluster);
/* Counts one reference to each cluster of a range. */
void qcow2_check_refer(Qcow2Check *c, uint64_t offset, uint64_t bytes);

#endif
