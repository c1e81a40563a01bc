/*
 * Inside of the drivers "file" and "host_device": file.c opens and does
 * requests, file-create.c makes and resizes files.
 */
#ifndef BLOCK_FILE_INT_H
#define BLOCK_FILE_INT_H

#include "block/driver.h"
#include "block/file-map.h"

typedef struct FileState {
    int fd;
    int lock_fd; /* -1: no locking */
    unsigned used, unshared; /* locks held */
    bool block_device;
    bool uring; /* batches go to the kernel's io_uring */
    bool uring_writes; /* and batches of writes pay */
    /* Learnt from the first refusal; atomic, only ever turn true. */
    bool no_zero_range, no_punch_hole, no_dsync, no_seek;
    FileMap *map; /* NULL: writes are system calls */
    int sync_error; /* a failed flush lost data: all later ones fail too */
} FileState;

extern const BlockOption block_file_create_options[];
bool block_file_create(json_t *options, GError **error);
bool block_file_truncate(BlockNode *node, uint64_t size, bool exact,
                         BlockPreallocation prealloc, GError **error);

#endif
