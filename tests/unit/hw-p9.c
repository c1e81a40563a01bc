/*
 * The 9P server: a session on a folder, and a client that wants out of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "hw/p9.h"
#include "util/bytes.h"

static uint8_t reply[P9_MESSAGE_MAX];

/* A message under construction. */
typedef struct Message {
    uint8_t bytes[8192];
    size_t n;
} Message;

static Message begin(uint8_t type)
{
    Message m = { .n = 7 };

    m.bytes[4] = type;
    m.bytes[5] = 0x55;
    return m;
}

static void put(Message *m, uint64_t value, unsigned bytes)
{
    uint8_t image[8];

    stq_le_p(image, value);
    memcpy(m->bytes + m->n, image, bytes);
    m->n += bytes;
}

static void text(Message *m, const char *value)
{
    put(m, strlen(value), 2);
    memcpy(m->bytes + m->n, value, strlen(value));
    m->n += strlen(value);
}

/* The errno of the answer, 0: it was carried out. */
static int send(P9Server *s, Message *m)
{
    stl_le_p(m->bytes, m->n);
    size_t n = p9_handle(s, m->bytes, m->n, reply);

    g_assert_cmpuint(n, >=, 7);
    g_assert_cmpuint(n, ==, ldl_le_p(reply));
    g_assert_cmpuint(reply[5], ==, 0x55);
    if (reply[4] == 7) {
        return ldl_le_p(reply + 7);
    }
    g_assert_cmpuint(reply[4], ==, m->bytes[4] + 1);
    return 0;
}

static void attach(P9Server *s)
{
    Message m = begin(100);

    put(&m, 8192, 4);
    text(&m, "9P2000.L");
    g_assert_cmpint(send(s, &m), ==, 0);
    g_assert_cmpuint(ldl_le_p(reply + 7), ==, 8192);
    m = begin(104);
    put(&m, 0, 4);
    put(&m, ~0u, 4);
    text(&m, "user");
    text(&m, "");
    put(&m, 0, 4);
    g_assert_cmpint(send(s, &m), ==, 0);
}

static int walk(P9Server *s, unsigned from, unsigned to, const char *a,
                const char *b)
{
    Message m = begin(110);

    put(&m, from, 4);
    put(&m, to, 4);
    put(&m, (a ? 1 : 0) + (b ? 1 : 0), 2);
    if (a) {
        text(&m, a);
    }
    if (b) {
        text(&m, b);
    }
    return send(s, &m);
}

static int open_fid(P9Server *s, unsigned fid, unsigned flags)
{
    Message m = begin(12);

    put(&m, fid, 4);
    put(&m, flags, 4);
    return send(s, &m);
}

static int create(P9Server *s, unsigned fid, const char *name)
{
    Message m = begin(14);

    put(&m, fid, 4);
    text(&m, name);
    put(&m, O_RDWR, 4);
    put(&m, 0644, 4);
    put(&m, 0, 4);
    return send(s, &m);
}

static int write_fid(P9Server *s, unsigned fid, const char *what)
{
    Message m = begin(118);

    put(&m, fid, 4);
    put(&m, 0, 8);
    put(&m, strlen(what), 4);
    memcpy(m.bytes + m.n, what, strlen(what));
    m.n += strlen(what);
    return send(s, &m);
}

static int read_fid(P9Server *s, unsigned fid, unsigned count)
{
    Message m = begin(116);

    put(&m, fid, 4);
    put(&m, 0, 8);
    put(&m, count, 4);
    return send(s, &m);
}

static char *make_folder(void)
{
    g_autoptr(GError) error = NULL;
    char *path = g_dir_make_tmp("e2k-p9-XXXXXX", &error);

    g_assert_no_error(error);
    return path;
}

static void remove_folder(char *path)
{
    g_autofree char *command = g_strconcat("rm -rf ", path, NULL);

    g_assert_cmpint(system(command), ==, 0);
    g_free(path);
}

static void test_session(void)
{
    char *path = make_folder();
    P9Server *s = p9_new(path, false, NULL);
    Message m;

    attach(s);
    m = begin(72); /* mkdir */
    put(&m, 0, 4);
    text(&m, "sub");
    put(&m, 0755, 4);
    put(&m, 0, 4);
    g_assert_cmpint(send(s, &m), ==, 0);
    g_assert_cmpint(walk(s, 0, 1, "sub", NULL), ==, 0);
    g_assert_cmpint(create(s, 1, "file"), ==, 0);
    g_assert_cmpint(write_fid(s, 1, "hello"), ==, 0);
    g_assert_cmpuint(ldl_le_p(reply + 7), ==, 5);
    g_assert_cmpint(walk(s, 0, 2, "sub", "file"), ==, 0);
    g_assert_cmpint(open_fid(s, 2, O_RDONLY), ==, 0);
    g_assert_cmpint(read_fid(s, 2, 1 << 30), ==, 0); /* cut to the reply */
    g_assert_cmpuint(ldl_le_p(reply + 7), ==, 5);
    g_assert_cmpmem(reply + 11, 5, "hello", 5);
    m = begin(24); /* getattr */
    put(&m, 2, 4);
    put(&m, 0x7ff, 8);
    g_assert_cmpint(send(s, &m), ==, 0);
    g_assert_cmpuint(ldq_le_p(reply + 7 + 8 + 13 + 12 + 16), ==, 5);
    g_assert_cmpint(walk(s, 0, 3, NULL, NULL), ==, 0);
    g_assert_cmpint(open_fid(s, 3, O_RDONLY), ==, 0);
    m = begin(40); /* readdir: ".", "..", "sub" */
    put(&m, 3, 4);
    put(&m, 0, 8);
    put(&m, 4096, 4);
    g_assert_cmpint(send(s, &m), ==, 0);
    g_assert_cmpuint(ldl_le_p(reply + 7), ==, 3 * 24 + 1 + 2 + 3);
    m = begin(76); /* unlinkat */
    put(&m, 0, 4);
    text(&m, "sub");
    put(&m, AT_REMOVEDIR, 4);
    g_assert_cmpint(send(s, &m), ==, ENOTEMPTY);
    p9_free(s);
    remove_folder(path);
}

/* What is outside of the folder stays out of reach. */
static void test_outside(void)
{
    char *path = make_folder();
    g_autofree char *inside = g_build_filename(path, "root", NULL);
    g_autofree char *secret = g_build_filename(path, "secret", NULL);
    g_autofree char *link = g_build_filename(inside, "link", NULL);
    g_autofree char *up = g_build_filename(inside, "up", NULL);
    g_autofree char *pipe = g_build_filename(inside, "pipe", NULL);

    g_assert_cmpint(g_mkdir(inside, 0755), ==, 0);
    g_assert_true(g_file_set_contents(secret, "secret", -1, NULL));
    g_assert_cmpint(symlink("../secret", link), ==, 0);
    g_assert_cmpint(symlink("..", up), ==, 0);
    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    P9Server *s = p9_new(inside, false, NULL);

    attach(s);
    g_assert_cmpint(walk(s, 0, 1, "..", "secret"), ==, 0);
    g_assert_cmpuint(ldw_le_p(reply + 7), ==, 1); /* ".." is the root */
    g_assert_cmpint(open_fid(s, 1, O_RDONLY), ==, EBADF);
    g_assert_cmpint(walk(s, 0, 2, "../secret", NULL), ==, EINVAL);
    g_assert_cmpint(walk(s, 0, 3, "link", NULL), ==, 0);
    g_assert_cmpint(open_fid(s, 3, O_RDONLY), !=, 0);
    g_assert_cmpint(walk(s, 0, 4, "up", "secret"), ==, 0);
    g_assert_cmpuint(ldw_le_p(reply + 7), ==, 1);
    g_assert_cmpint(walk(s, 0, 5, "pipe", NULL), ==, 0);
    g_assert_cmpint(open_fid(s, 5, O_RDONLY), ==, EPERM);
    g_assert_cmpint(walk(s, 0, 6, NULL, NULL), ==, 0);
    g_assert_cmpint(create(s, 6, ".."), !=, 0);
    g_assert_cmpint(create(s, 6, "../x"), !=, 0);
    g_assert_cmpint(create(s, 6, "link"), !=, 0); /* not through it */
    p9_free(s);
    remove_folder(path);
}

static void test_read_only(void)
{
    char *path = make_folder();
    P9Server *s = p9_new(path, true, NULL);

    attach(s);
    g_assert_cmpint(walk(s, 0, 1, NULL, NULL), ==, 0);
    g_assert_cmpint(create(s, 1, "file"), ==, EROFS);
    g_assert_cmpint(open_fid(s, 1, O_RDWR), ==, EROFS);
    g_assert_cmpint(open_fid(s, 1, O_RDONLY), ==, 0);
    g_assert_cmpint(write_fid(s, 1, "x"), ==, EROFS);
    p9_free(s);
    remove_folder(path);
}

/* Noise, and messages that are cut off: answers or nothing. */
static void test_noise(void)
{
    static const uint8_t types[] = { 8, 12, 14, 16, 22, 24, 26, 40, 50, 52,
                                     70, 72, 74, 76, 100, 104, 108, 110, 116,
                                     118, 120, 122 };
    char *path = make_folder();
    P9Server *s = p9_new(path, false, NULL);

    attach(s);
    for (unsigned i = 0; i < 20000; i++) {
        Message m = begin(types[g_test_rand_int_range(0, 22)]);
        unsigned n = g_test_rand_int_range(0, 60);

        for (unsigned k = 0; k < n; k++) {
            put(&m, g_test_rand_int_range(0, 4) ? g_test_rand_int_range(0, 4)
                                                : g_test_rand_int(), 1);
        }
        stl_le_p(m.bytes, g_test_rand_int_range(0, 10)
                              ? m.n
                              : (unsigned)g_test_rand_int());
        size_t size = p9_handle(s, m.bytes, m.n, reply);

        g_assert_cmpuint(size, <=, P9_MESSAGE_MAX);
    }
    p9_free(s);
    remove_folder(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/p9/session", test_session);
    g_test_add_func("/hw/p9/outside", test_outside);
    g_test_add_func("/hw/p9/read-only", test_read_only);
    g_test_add_func("/hw/p9/noise", test_noise);
    return g_test_run();
}
