/*
 * What p9.c (messages, fids) and p9-files.c (work on files) share.
 */
#ifndef HW_P9_INT_H
#define HW_P9_INT_H

#include <dirent.h>
#include <sys/stat.h>

#include "hw/p9.h"

enum {
    P9_HEADER = 7, /* size, type, tag */
    P9_QID_BYTES = 13,
    P9_NO_FID = 0xffffffff,
};

typedef struct P9Fid {
    uint32_t number;
    char *path;   /* relative to the root, "" is the root */
    int fd;       /* opened, or -1 */
    DIR *dir;     /* opened as a folder; owns fd then */
} P9Fid;

struct P9Server {
    int root_fd;
    bool read_only;
    uint32_t message_max; /* agreed on with the client */
    GHashTable *fids;     /* number -> P9Fid */
};

/* A message being read or written; bad: it was too short or too long. */
typedef struct P9Buffer {
    uint8_t *bytes;
    size_t at, size;
    bool bad;
} P9Buffer;

uint64_t p9_get(P9Buffer *b, unsigned bytes);
char *p9_get_name(P9Buffer *b);  /* a component; to be freed; NULL: bad */
char *p9_get_text(P9Buffer *b);
void p9_put(P9Buffer *b, uint64_t value, unsigned bytes);
void p9_put_text(P9Buffer *b, const char *text);
void p9_put_qid(P9Buffer *b, const struct stat *st);

P9Fid *p9_find(P9Server *s, uint32_t number);
P9Fid *p9_add(P9Server *s, uint32_t number, const char *path);
void p9_close(P9Fid *fid);

/*
 * O_PATH file of a relative path, the last component not followed; -1 with
 * errno.  p9_open_parent() gives the folder above, and the last component.
 */
int p9_open_path(const P9Server *s, const char *path);
int p9_open_parent(const P9Server *s, const char *path, const char **name);

/* Handlers return 0, or an errno for the client. */
typedef int P9Handler(P9Server *s, P9Buffer *in, P9Buffer *out);
typedef struct P9Operation {
    uint8_t type;
    bool writes; /* refused on a read-only server */
    P9Handler *handle;
} P9Operation;

extern const P9Operation p9_file_operations[]; /* ends with handle NULL */

#endif
