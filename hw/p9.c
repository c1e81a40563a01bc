/*
 * 9P: messages, fids, walking; see p9.h.
 */
#include "hw/p9-int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system/device.h"
#include "util/bytes.h"

enum {
    R_ERROR = 7,
    T_VERSION = 100,
    T_AUTH = 102,
    T_ATTACH = 104,
    T_FLUSH = 108,
    T_WALK = 110,
    T_CLUNK = 120,
    WALK_MAX = 16,
    PATH_MAX_BYTES = 4096,
    MESSAGE_MIN = 4096,
};

/* ---- Buffers ------------------------------------------------------------------ */

uint64_t p9_get(P9Buffer *b, unsigned bytes)
{
    uint8_t image[8] = { 0 };

    if (b->size - b->at < bytes) {
        b->bad = true;
        b->at = b->size;
        return 0;
    }
    memcpy(image, b->bytes + b->at, bytes);
    b->at += bytes;
    return ldq_le_p(image);
}

char *p9_get_text(P9Buffer *b)
{
    size_t n = p9_get(b, 2);

    if (b->bad || b->size - b->at < n ||
        memchr(b->bytes + b->at, 0, n)) {
        b->bad = true;
        return NULL;
    }
    b->at += n;
    return g_strndup((const char *)b->bytes + b->at - n, n);
}

char *p9_get_name(P9Buffer *b)
{
    g_autofree char *name = p9_get_text(b);

    if (!name || !*name || strchr(name, '/') || !strcmp(name, ".") ||
        strlen(name) > NAME_MAX) {
        b->bad = true;
        return NULL;
    }
    return g_steal_pointer(&name);
}

void p9_put(P9Buffer *b, uint64_t value, unsigned bytes)
{
    uint8_t image[8];

    if (b->size - b->at < bytes) {
        b->bad = true;
        return;
    }
    stq_le_p(image, value);
    memcpy(b->bytes + b->at, image, bytes);
    b->at += bytes;
}

void p9_put_text(P9Buffer *b, const char *text)
{
    size_t n = strlen(text);

    if (b->size - b->at < n + 2) {
        b->bad = true;
        return;
    }
    p9_put(b, n, 2);
    memcpy(b->bytes + b->at, text, n);
    b->at += n;
}

void p9_put_qid(P9Buffer *b, const struct stat *st)
{
    p9_put(b, S_ISDIR(st->st_mode) ? 0x80 : S_ISLNK(st->st_mode) ? 2 : 0, 1);
    p9_put(b, (uint32_t)st->st_mtim.tv_sec ^
                  (uint32_t)st->st_mtim.tv_nsec << 8, 4);
    p9_put(b, st->st_ino, 8);
}

/* ---- Paths and fids -------------------------------------------------------------- */

int p9_open_path(const P9Server *s, const char *path)
{
    int fd = openat(s->root_fd, ".", O_PATH | O_CLOEXEC);
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    for (char **part = parts; *part && fd >= 0; part++) {
        if (!**part) {
            continue;
        }
        int below = openat(fd, *part, O_PATH | O_NOFOLLOW | O_CLOEXEC |
                                          (part[1] ? O_DIRECTORY : 0));
        int saved = errno;

        close(fd);
        errno = saved;
        fd = below;
    }
    return fd;
}

int p9_open_parent(const P9Server *s, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    g_autofree char *parent = slash ? g_strndup(path, slash - path)
                                    : g_strdup("");

    if (!*path) {
        errno = EPERM; /* the root has no parent here */
        return -1;
    }
    *name = slash ? slash + 1 : path;
    return p9_open_path(s, parent);
}

P9Fid *p9_find(P9Server *s, uint32_t number)
{
    return g_hash_table_lookup(s->fids, GUINT_TO_POINTER(number));
}

void p9_close(P9Fid *fid)
{
    if (fid->dir) {
        closedir(fid->dir);
    } else if (fid->fd >= 0) {
        close(fid->fd);
    }
    fid->dir = NULL;
    fid->fd = -1;
}

static void free_fid(void *opaque)
{
    P9Fid *fid = opaque;

    p9_close(fid);
    g_free(fid->path);
    g_free(fid);
}

P9Fid *p9_add(P9Server *s, uint32_t number, const char *path)
{
    if (number == P9_NO_FID || p9_find(s, number) ||
        g_hash_table_size(s->fids) >= P9_FIDS_MAX ||
        strlen(path) > PATH_MAX_BYTES) {
        return NULL;
    }
    P9Fid *fid = g_new0(P9Fid, 1);

    fid->number = number;
    fid->path = g_strdup(path);
    fid->fd = -1;
    g_hash_table_insert(s->fids, GUINT_TO_POINTER(number), fid);
    return fid;
}

/* ---- Sessions ----------------------------------------------------------------------- */

static int do_version(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t size = p9_get(in, 4);
    g_autofree char *version = p9_get_text(in);
    bool known = version && !strcmp(version, "9P2000.L");

    if (in->bad || size < MESSAGE_MIN) {
        return EINVAL;
    }
    p9_reset(s);
    s->message_max = MIN(size, P9_MESSAGE_MAX);
    p9_put(out, s->message_max, 4);
    p9_put_text(out, known ? version : "unknown");
    return 0;
}

static int do_attach(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);
    struct stat st;

    p9_get(in, 4); /* no authentication */
    if (in->bad || !p9_add(s, number, "")) {
        return EINVAL;
    }
    if (fstat(s->root_fd, &st) < 0) {
        return errno;
    }
    p9_put_qid(out, &st);
    return 0;
}

/* The path of a component below, or above, another. */
static char *step(const char *path, const char *name)
{
    if (strcmp(name, "..")) {
        return *path ? g_strconcat(path, "/", name, NULL) : g_strdup(name);
    }
    const char *slash = strrchr(path, '/');

    return slash ? g_strndup(path, slash - path) : g_strdup("");
}

static int do_walk(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *from = p9_find(s, p9_get(in, 4));
    uint32_t to = p9_get(in, 4);
    unsigned n = p9_get(in, 2);
    size_t count_at = out->at;
    unsigned done = 0;

    if (in->bad || !from || n > WALK_MAX) {
        return EBADF;
    }
    g_autofree char *path = g_strdup(from->path);

    p9_put(out, 0, 2);
    for (; done < n; done++) {
        g_autofree char *name = p9_get_name(in);
        struct stat st;

        if (!name) {
            return EINVAL;
        }
        g_autofree char *next = step(path, name);
        int fd = p9_open_path(s, next);

        if (fd < 0 || fstat(fd, &st) < 0) {
            int error = errno;

            if (fd >= 0) {
                close(fd);
            }
            if (!done) {
                return error;
            }
            break;
        }
        close(fd);
        p9_put_qid(out, &st);
        g_free(path);
        path = g_steal_pointer(&next);
    }
    stw_le_p(out->bytes + count_at, done);
    if (done < n) {
        return 0; /* a part was walked: no new fid */
    }
    if (strlen(path) > PATH_MAX_BYTES) {
        return ENAMETOOLONG;
    }
    if (to == from->number) {
        p9_close(from);
        g_free(from->path);
        from->path = g_steal_pointer(&path);
        return 0;
    }
    return p9_add(s, to, path) ? 0 : EBADF;
}

static int do_clunk(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);

    return g_hash_table_remove(s->fids, GUINT_TO_POINTER(number)) ? 0 : EBADF;
}

static int do_flush(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    return 0; /* requests are carried out in order: it is done already */
}

static int do_auth(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    return EOPNOTSUPP;
}

static const P9Operation session_operations[] = {
    { T_VERSION, false, do_version }, { T_AUTH, false, do_auth },
    { T_ATTACH, false, do_attach },   { T_FLUSH, false, do_flush },
    { T_WALK, false, do_walk },       { T_CLUNK, false, do_clunk },
    { 0, false, NULL },
};

static const P9Operation *find_operation(unsigned type)
{
    const P9Operation *const tables[] = { session_operations,
                                          p9_file_operations };

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        for (const P9Operation *op = tables[i]; op->handle; op++) {
            if (op->type == type) {
                return op;
            }
        }
    }
    return NULL;
}

size_t p9_handle(P9Server *s, const uint8_t *message, size_t size,
                 uint8_t *reply)
{
    P9Buffer in = { (uint8_t *)message, P9_HEADER, size, false };
    P9Buffer out = { reply, P9_HEADER, s->message_max, false };

    if (size < P9_HEADER || size > P9_MESSAGE_MAX ||
        ldl_le_p(message) > size) {
        return 0;
    }
    in.size = ldl_le_p(message);
    if (in.size < P9_HEADER) {
        return 0;
    }
    const P9Operation *op = find_operation(message[4]);
    int error = !op                           ? EOPNOTSUPP
                : op->writes && s->read_only ? EROFS
                                              : op->handle(s, &in, &out);

    if (!error && (in.bad || out.bad)) {
        error = EINVAL;
    }
    if (error) {
        out.at = P9_HEADER;
        out.bad = false;
        p9_put(&out, error, 4);
    }
    stl_le_p(reply, out.at);
    reply[4] = error ? R_ERROR : message[4] + 1;
    memcpy(reply + 5, message + 5, 2);
    return out.at;
}

/* ---- Life --------------------------------------------------------------------------- */

P9Server *p9_new(const char *path, bool read_only, GError **error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot share '%s': %s", path,
                    g_strerror(errno));
        return NULL;
    }
    P9Server *s = g_new0(P9Server, 1);

    s->root_fd = fd;
    s->read_only = read_only;
    s->message_max = P9_MESSAGE_MAX;
    s->fids = g_hash_table_new_full(NULL, NULL, NULL, free_fid);
    return s;
}

void p9_reset(P9Server *s)
{
    g_hash_table_remove_all(s->fids);
}

void p9_free(P9Server *s)
{
    g_hash_table_unref(s->fids);
    close(s->root_fd);
    g_free(s);
}
