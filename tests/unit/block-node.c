/*
 * The block graph without a monitor: opening by every spelling, requests on
 * plain and aligned nodes, permissions, draining, reopening, replacing.
 */
#include "block/backend.h"
#include "block/node.h"
#include "block/options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

static char *dir;

static char *make_file(const char *name, uint64_t size)
{
    char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
    return path;
}

static BlockNode *open_text(const char *text, unsigned flags, GError **error)
{
    json_t *options = block_options_parse_any(text, "driver", error);
    BlockNode *node = options ? block_node_open(options, flags, error) : NULL;

    json_decref(options);
    return node;
}

static void assert_open_fails(const char *text, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(open_text(text, BLOCK_OPEN_RDWR, &error));
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, message);
}

static void test_bad_descriptions(void)
{
    assert_open_fails("read-only=on", "Parameter 'driver' is missing");
    assert_open_fails("driver=nosuch", "Unknown driver 'nosuch'");
    assert_open_fails("driver=null-co,sizes=1",
                      "Parameter 'sizes' is unexpected");
    assert_open_fails("driver=raw", "Parameter 'file' is missing");
    assert_open_fails("driver=raw,file=nosuch",
                      "Cannot find device='nosuch' nor node-name='nosuch'");
    assert_open_fails("driver=null-co,node-name=1x",
                      "Invalid node-name: '1x'");
    assert_open_fails("driver=file,filename=/nonexistent/x",
                      "Could not open '/nonexistent/x': "
                      "No such file or directory");
    assert_open_fails("driver=raw,file.driver=null-co,file.oops=1",
                      "Parameter 'oops' is unexpected");
    assert_open_fails("driver=null-co,cache.direkt=on",
                      "Parameter 'direkt' is unexpected");
    g_assert_null(block_node_next(NULL));
}

static void test_names(void)
{
    g_autofree char *path = make_file("names.img", 4096);
    g_autofree char *json = g_strdup_printf(
        "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\","
        "\"filename\":\"%s\"}}", path);
    g_autofree char *dotted = g_strdup_printf(
        "json:{\"driver\":\"raw\",\"file.driver\":\"file\","
        "\"file.filename\":\"%s\"}", path);
    g_autofree char *prefixed = g_strdup_printf("file:%s", path);
    const char *names[] = { path, json, dotted, prefixed };
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(BlockNode) node = block_node_open_filename(
            names[i], "raw", NULL, 0, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(block_node_driver_name(node), ==, "raw");
        g_assert_cmpstr(block_node_filename(node), ==, path);
        g_assert_cmpint(block_length(node), ==, 4096);
    }
    g_assert_null(block_node_open_filename("foo:bar", NULL, NULL, 0, &error));
    g_assert_cmpstr(error->message, ==, "Unknown protocol 'foo'");
}

static void test_requests(void)
{
    g_autofree char *path = make_file("req.img", 1 << 20);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockBackend) backend = block_backend_open(
        path, "raw", NULL, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP, &error);
    uint8_t buf[8192];
    BlockStatus status;

    g_assert_no_error(error);
    memset(buf, 0xab, sizeof(buf));
    g_assert_cmpint(block_backend_pwrite(backend, 65536, 8192, buf, 0), ==,
                    0);
    memset(buf, 0, sizeof(buf));
    g_assert_cmpint(block_backend_pread(backend, 65537, 5, buf, 0), ==, 0);
    g_assert_cmpmem(buf, 6, "\xab\xab\xab\xab\xab\0", 6);
    g_assert_cmpint(block_backend_pread(backend, (1 << 20) - 10, 11, buf, 0),
                    ==, -EINVAL);
    g_assert_cmpint(block_backend_pwrite(backend, (1 << 20) - 10, 11, buf,
                                         0), ==, -ENOSPC);
    g_assert_cmpint(block_backend_pwrite(backend, UINT64_MAX - 4, 11, buf,
                                         0), ==, -ENOSPC);
    g_assert_cmpint(block_backend_status(backend, 0, 1 << 20, &status), ==,
                    0);
    g_assert_true(status.flags & BLOCK_STATUS_ZERO);
    g_assert_cmpuint(status.bytes, ==, 65536);
    g_assert_cmpint(block_backend_pwrite_zeroes(backend, 65536, 4096,
                                                BLOCK_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmpint(block_backend_pread(backend, 65536, 8192, buf, 0), ==, 0);
    g_assert_cmpint(buf[4095], ==, 0);
    g_assert_cmpint(buf[4096], ==, 0xab);
    g_assert_cmpint(block_backend_pdiscard(backend, 0, 1 << 20), ==, 0);
    g_assert_cmpint(block_backend_flush(backend), ==, 0);
    g_assert_cmpint(block_backend_length(backend), ==, 1 << 20);
}

static void test_read_only(void)
{
    g_autofree char *path = make_file("ro.img", 4096);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockBackend) backend = block_backend_open(path, "raw", NULL, 0,
                                                         &error);
    BlockNode *node;

    g_assert_no_error(error);
    g_assert_cmpint(block_backend_pwrite(backend, 0, 4, "abcd", 0), ==,
                    -EPERM);
    node = block_backend_enter(backend);
    g_assert_cmpint(block_pwrite(node, 0, 4, "abcd", 0), ==, -EPERM);
    g_assert_cmpint(block_pwrite_zeroes(node, 0, 4, 0), ==, -EPERM);
    g_assert_cmpint(block_pdiscard(node, 0, 4), ==, -EPERM);
    block_backend_leave(backend);
    g_assert_false(block_backend_set_perm(
        backend, BLOCK_PERM_WRITE, BLOCK_PERM_ALL, &error));
    g_assert_cmpstr(error->message, ==, "Block node is read-only");
}

static void test_odd_length(void)
{
    g_autofree char *path = make_file("odd.img", 1000);
    g_autoptr(GError) error = NULL;
    BlockBackend *backend = block_backend_open(path, "raw", NULL,
                                               BLOCK_OPEN_RDWR, &error);
    char buf[24];
    GStatBuf st;

    g_assert_no_error(error);
    g_assert_cmpint(block_backend_length(backend), ==, 1024);
    memset(buf, 1, sizeof(buf));
    g_assert_cmpint(block_backend_pread(backend, 1000, 24, buf, 0), ==, 0);
    g_assert_cmpint(buf[0] | buf[23], ==, 0);
    g_assert_cmpint(block_backend_pwrite(backend, 1020, 4, "tail", 0), ==, 0);
    g_assert_cmpint(block_backend_pread(backend, 1020, 4, buf, 0), ==, 0);
    g_assert_cmpmem(buf, 4, "tail", 4);
    block_backend_unref(backend);
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 1024);
}

/* A direct descriptor needs aligned requests; unaligned ones still work. */
static void test_unaligned_direct(void)
{
    g_autofree char *path = make_file("direct.img", 1 << 20);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockBackend) backend = block_backend_open(
        path, "raw", NULL, BLOCK_OPEN_RDWR | BLOCK_OPEN_DIRECT, &error);
    g_autofree uint8_t *model = g_malloc0(1 << 20);
    g_autofree uint8_t *buf = g_malloc(1 << 20);

    if (!backend) {
        g_test_skip("no O_DIRECT in the temporary directory");
        return;
    }
    for (int i = 0; i < 200; i++) {
        uint64_t offset = g_test_rand_int_range(0, (1 << 20) - 9000);
        uint64_t bytes = g_test_rand_int_range(1, 9000);

        if (i % 3 == 2) {
            memset(model + offset, 0, bytes);
            g_assert_cmpint(block_backend_pwrite_zeroes(backend, offset,
                                                        bytes, 0), ==, 0);
        } else {
            memset(model + offset, i + 1, bytes);
            g_assert_cmpint(block_backend_pwrite(backend, offset, bytes,
                                                 model + offset, 0), ==, 0);
        }
    }
    g_assert_cmpint(block_backend_pread(backend, 0, 1 << 20, buf, 0), ==, 0);
    g_assert_cmpmem(buf, 1 << 20, model, 1 << 20);
    g_assert_cmpint(block_backend_pread(backend, 13, 70001, buf, 0), ==, 0);
    g_assert_cmpmem(buf, 70001, model + 13, 70001);
}

static void test_window(void)
{
    g_autofree char *path = make_file("window.img", 8192);
    g_autofree char *text = g_strdup_printf(
        "driver=raw,offset=1024,size=2k,file.driver=file,file.filename=%s",
        path);
    g_autofree char *bad = g_strdup_printf(
        "driver=raw,offset=1024,size=8k,file.driver=file,file.filename=%s",
        path);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = open_text(text, BLOCK_OPEN_RDWR, &error);

    g_assert_no_error(error);
    g_assert_cmpint(block_length(node), ==, 2048);
    g_assert_cmpint(block_pwrite(node, 0, 4, "abcd", 0), ==, 0);
    g_assert_cmpint(block_pwrite(node, 2046, 4, "abcd", 0), ==, -ENOSPC);
    g_assert_null(open_text(bad, 0, &error));
    g_assert_nonnull(strstr(error->message, "(8192)"));
}

static void test_locks(void)
{
    g_autofree char *path = make_file("lock.img", 4096);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockBackend) first = block_backend_open(
        path, "raw", NULL, BLOCK_OPEN_RDWR, &error);
    g_autoptr(BlockBackend) exclusive = NULL;
    g_autoptr(BlockNode) node = NULL;

    g_assert_no_error(error);
    node = block_node_open_filename(path, "raw", NULL, BLOCK_OPEN_RDWR,
                                    &error);
    g_assert_no_error(error);
    exclusive = block_backend_new(NULL, NULL, BLOCK_PERM_WRITE,
                                  BLOCK_PERM_CONSISTENT_READ);
    g_assert_false(block_backend_attach(exclusive, node, &error));
    g_assert_true(g_str_has_prefix(error->message,
                                   "Failed to get shared \"write\" lock\n"
                                   "Is another process using the image ["));
    g_clear_error(&error);
    block_backend_detach(first);
    g_assert_true(block_backend_attach(exclusive, node, &error));
    g_assert_no_error(error);
}

static void test_permissions(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = open_text("null-co,node-name=n",
                                          BLOCK_OPEN_RDWR, &error);
    g_autoptr(BlockBackend) a = block_backend_new(
        NULL, "export 'a'", BLOCK_PERM_WRITE,
        BLOCK_PERM_ALL & ~BLOCK_PERM_WRITE);
    g_autoptr(BlockBackend) b = block_backend_new(NULL, "export 'b'",
                                                  BLOCK_PERM_WRITE,
                                                  BLOCK_PERM_ALL);

    g_assert_true(block_backend_attach(a, node, &error));
    g_assert_false(block_backend_attach(b, node, &error));
    g_assert_nonnull(strstr(error->message, "unshared by export 'a'"));
    block_backend_detach(a);
    g_clear_error(&error);
    g_assert_true(block_backend_attach(b, node, &error));
    g_assert_false(block_backend_attach(a, node, &error));
}

typedef struct Load {
    BlockBackend *backend;
    bool stop;
    uint64_t done;
} Load;

static gpointer run_load(gpointer data)
{
    Load *load = data;
    char buf[512];

    while (!__atomic_load_n(&load->stop, __ATOMIC_RELAXED)) {
        g_assert_cmpint(block_backend_pwrite(load->backend, 0, 512, buf, 0),
                        ==, 0);
        __atomic_fetch_add(&load->done, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* Under load from three threads, a drained section sees no progress. */
static void test_drain(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = open_text("raw,file.driver=null-co",
                                          BLOCK_OPEN_RDWR, &error);
    g_autoptr(BlockNode) other = open_text("null-co", BLOCK_OPEN_RDWR,
                                           &error);
    g_autoptr(BlockBackend) backend = block_backend_new(
        NULL, NULL, BLOCK_PERM_WRITE, BLOCK_PERM_ALL);
    Load load = { backend };
    GThread *threads[3];

    g_assert_true(block_backend_attach(backend, node, &error));
    for (int i = 0; i < 3; i++) {
        threads[i] = g_thread_new("load", run_load, &load);
    }
    for (int round = 0; round < 50; round++) {
        BlockNode *child = block_backend_node(backend) == node
                               ? block_node_primary(node) : other;
        uint64_t before;

        block_node_drain_begin(child);
        before = __atomic_load_n(&load.done, __ATOMIC_SEQ_CST);
        g_usleep(200);
        /* A thread may count a request that ended before the drain. */
        g_assert_cmpuint(__atomic_load_n(&load.done, __ATOMIC_SEQ_CST) -
                         before, <=, 3);
        block_node_drain_end(child);
        if (round % 10 == 5) {
            bool to = block_backend_node(backend) == node;

            g_assert_true(block_node_replace(to ? node : other,
                                             to ? other : node, &error));
        }
    }
    __atomic_store_n(&load.stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpuint(load.done, >, 0);
}

static void test_reopen(void)
{
    g_autofree char *path = make_file("reopen.img", 4096);
    g_autofree char *text = g_strdup_printf(
        "raw,node-name=r,read-only=on,file.driver=file,file.filename=%s",
        path);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = open_text(text, BLOCK_OPEN_RDWR, &error);

    g_assert_no_error(error);
    g_assert_cmpint(block_pwrite(node, 0, 1, "x", 0), ==, -EPERM);
    g_assert_true(block_node_reopen_read_only(node, false, &error));
    g_assert_cmpint(block_pwrite(node, 0, 1, "x", 0), ==, 0);
    g_assert_true(block_node_reopen_read_only(node, true, &error));
    g_assert_cmpint(block_pwrite(node, 0, 1, "x", 0), ==, -EPERM);
    g_chmod(path, 0400);
    if (geteuid() != 0) {
        g_assert_false(block_node_reopen_read_only(node, false, &error));
        g_assert_true(block_node_is_read_only(node));
    }
}

static void test_truncate(void)
{
    g_autofree char *path = make_file("trunc.img", 4096);
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = block_node_open_filename(
        path, "raw", NULL, BLOCK_OPEN_RDWR, &error);

    g_assert_true(block_truncate(node, 1 << 20, true, BLOCK_PREALLOC_OFF,
                                 &error));
    g_assert_cmpint(block_length(node), ==, 1 << 20);
    g_assert_true(block_truncate(node, 512, true, BLOCK_PREALLOC_FALLOC,
                                 &error));
    g_assert_cmpint(block_length(node), ==, 512);
    g_assert_false(block_truncate(node, UINT64_MAX, true, BLOCK_PREALLOC_OFF,
                                  &error));
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        { "0", 0 }, { "512", 512 }, { "1k", 1024 }, { "1.5G", 1610612736 },
        { "0x200", 512 }, { "7E", UINT64_C(7) << 60 }, { "12b", 12 },
    };
    static const char *const bad[] = { "", "k", "-1", "1x", "1kk", "16E",
                                       "1.5", "99999999999999999999" };
    uint64_t value;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(block_parse_size(good[i].text, &value));
        g_assert_cmpuint(value, ==, good[i].value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(block_parse_size(bad[i], &value));
    }
}

static void test_options(void)
{
    g_autoptr(GError) error = NULL;
    json_t *flat = block_options_parse("a.b=1,a.c.d=x,,y,l.0=p,l.1=q", NULL,
                                       &error);
    json_t *nested = block_options_nest(flat, &error);
    g_autofree char *text = json_dumps(nested, JSON_SORT_KEYS | JSON_COMPACT);
    json_t *again = block_options_flatten(nested);

    g_assert_cmpstr(text, ==, "{\"a\":{\"b\":\"1\",\"c\":{\"d\":\"x,y\"}},"
                              "\"l\":[\"p\",\"q\"]}");
    g_assert_true(json_equal(again, flat));
    json_decref(flat);
    json_decref(nested);
    json_decref(again);
    flat = block_options_parse("a=1,a.b=2", NULL, &error);
    g_assert_null(block_options_nest(flat, &error));
    json_decref(flat);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("e2k-block-XXXXXX", NULL);
    g_test_add_func("/block-node/bad-descriptions", test_bad_descriptions);
    g_test_add_func("/block-node/names", test_names);
    g_test_add_func("/block-node/requests", test_requests);
    g_test_add_func("/block-node/read-only", test_read_only);
    g_test_add_func("/block-node/odd-length", test_odd_length);
    g_test_add_func("/block-node/unaligned-direct", test_unaligned_direct);
    g_test_add_func("/block-node/window", test_window);
    g_test_add_func("/block-node/locks", test_locks);
    g_test_add_func("/block-node/permissions", test_permissions);
    g_test_add_func("/block-node/drain", test_drain);
    g_test_add_func("/block-node/reopen", test_reopen);
    g_test_add_func("/block-node/truncate", test_truncate);
    g_test_add_func("/block-node/sizes", test_sizes);
    g_test_add_func("/block-node/options", test_options);
    ret = g_test_run();
    {
        g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
        const char *name;

        while (list && (name = g_dir_read_name(list))) {
            g_autofree char *path = g_build_filename(dir, name, NULL);

            g_unlink(path);
        }
    }
    g_rmdir(dir);
    return ret;
}
