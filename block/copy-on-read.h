/* The copy-on-read filter, for the stream job. */
#ifndef BLOCK_COPY_ON_READ_H
#define BLOCK_COPY_ON_READ_H

#include "block/driver.h"

/* Stores what the image below `filter` lacks in a range; 0 or -errno. */
int block_cor_populate(BlockNode *filter, uint64_t offset, uint64_t bytes,
                       uint64_t *copied);

#endif
