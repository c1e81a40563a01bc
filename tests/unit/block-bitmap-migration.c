/*
 * Bitmaps through a migration stream: what arrives, mappings, and streams
 * that are cut or lie.
 */
#include "block/bitmap-migration.h"
#include "block/dirty-bitmap.h"
#include "block/options.h"

#include <errno.h>
#include <string.h>

#define SIZE (UINT64_C(1) << 33)

static BlockNode *open_null(const char *name, uint64_t size)
{
    json_t *options =
        json_pack("{s:s, s:s, s:I}", "driver", "null-co", "node-name", name,
                  "size", (json_int_t)size);
    BlockNode *node = block_node_open(options, BLOCK_OPEN_RDWR, NULL);

    json_decref(options);
    g_assert_nonnull(node);
    return node;
}

typedef struct Stream {
    GByteArray *bytes;
    size_t at;
} Stream;

static bool put(void *opaque, const void *data, size_t size, GError **error)
{
    g_byte_array_append(((Stream *)opaque)->bytes, data, size);
    return true;
}

static bool get(void *opaque, void *data, size_t size, GError **error)
{
    Stream *s = opaque;

    if (size > s->bytes->len - s->at) {
        g_set_error(error, BLOCK_ERROR, EIO, "end of stream");
        return false;
    }
    memcpy(data, s->bytes->data + s->at, size);
    s->at += size;
    return true;
}

static void save(Stream *s, json_t *mapping, bool success)
{
    BlockBitmapMigration *m = block_bitmap_migration_begin(mapping, NULL);

    g_assert_nonnull(m);
    s->bytes = g_byte_array_new();
    s->at = 0;
    g_assert_true(block_bitmap_migration_save(m, put, s, NULL));
    block_bitmap_migration_end(m, success);
}

/* Some of everything: dense, sparse, the last granule. */
static BlockDirtyBitmap *filled(BlockNode *node, const char *name,
                                uint32_t granularity)
{
    BlockDirtyBitmap *b =
        block_dirty_bitmap_new(node, name, granularity, NULL);

    block_dirty_bitmap_set(b, 0, 1);
    block_dirty_bitmap_set(b, 12345678, 7654321);
    block_dirty_bitmap_set(b, SIZE / 2 + 4096, 1);
    block_dirty_bitmap_set(b, SIZE - 1, 1);
    return b;
}

static void test_round_trip(void)
{
    BlockNode *node = open_null("disk", SIZE);
    BlockDirtyBitmap *one = filled(node, "one", 512);
    BlockDirtyBitmap *two = filled(node, "two", 65536);
    g_autofree char *sum_one = block_dirty_bitmap_sha256(one);
    g_autofree char *sum_two = block_dirty_bitmap_sha256(two);
    BlockBitmapMigration *m;
    Stream s;

    block_dirty_bitmap_disable(two);
    (void)block_dirty_bitmap_new(node, NULL, 65536, NULL); /* stays */
    m = block_bitmap_migration_begin(NULL, NULL);
    g_assert_true(block_dirty_bitmap_busy(one));
    g_assert_null(block_bitmap_migration_begin(NULL, NULL));
    block_bitmap_migration_end(m, false);
    g_assert_false(block_dirty_bitmap_busy(one));
    g_assert_false(block_dirty_bitmap_skip_store(one));
    save(&s, NULL, true);
    g_assert_true(block_dirty_bitmap_skip_store(one));
    block_node_unref(node);

    node = open_null("disk", SIZE);
    g_assert_true(block_bitmap_migration_load(NULL, get, &s, NULL));
    g_assert_cmpuint(s.at, ==, s.bytes->len);
    one = block_dirty_bitmap_find(node, "one");
    two = block_dirty_bitmap_find(node, "two");
    g_assert_true(block_dirty_bitmap_enabled(one));
    g_assert_false(block_dirty_bitmap_enabled(two));
    g_assert_cmpuint(block_dirty_bitmap_granularity(one), ==, 512);
    g_autofree char *new_one = block_dirty_bitmap_sha256(one);
    g_autofree char *new_two = block_dirty_bitmap_sha256(two);

    g_assert_cmpstr(sum_one, ==, new_one);
    g_assert_cmpstr(sum_two, ==, new_two);
    /* A second copy has no place: nothing is half done. */
    s.at = 0;
    g_assert_false(block_bitmap_migration_load(NULL, get, &s, NULL));
    g_assert_nonnull(block_dirty_bitmap_find(node, "one"));
    g_byte_array_unref(s.bytes);
    block_node_unref(node);
}

static void test_mapping(void)
{
    BlockNode *a = open_null("a", SIZE);
    BlockNode *b = open_null("b", SIZE);
    json_t *out = json_pack("[{s:s, s:s, s:[{s:s, s:s}]}]", "node-name", "a",
                            "alias", "disk0", "bitmaps", "name", "one",
                            "alias", "checkpoint");
    json_t *in = json_pack("[{s:s, s:s, s:[{s:s, s:s}]}]", "node-name", "b",
                           "alias", "disk0", "bitmaps", "name", "here",
                           "alias", "checkpoint");
    GError *error = NULL;
    Stream s;

    filled(a, "one", 65536);
    filled(a, "other", 65536);
    save(&s, out, true);
    /* Aliases are not names here. */
    g_assert_false(block_bitmap_migration_load(NULL, get, &s, &error));
    g_clear_error(&error);
    s.at = 0;
    g_assert_false(block_bitmap_migration_load(out, get, &s, &error));
    g_clear_error(&error); /* "a" has its bitmap already */
    s.at = 0;
    g_assert_true(block_bitmap_migration_load(in, get, &s, NULL));
    g_assert_nonnull(block_dirty_bitmap_find(b, "here"));
    g_assert_null(block_dirty_bitmap_find(b, "other"));
    json_array_append(in, json_array_get(in, 0));
    g_assert_false(block_bitmap_mapping_check(in, &error));
    g_assert_nonnull(strstr(error->message, "given twice"));
    g_clear_error(&error);
    json_decref(out);
    json_decref(in);
    g_byte_array_unref(s.bytes);
    block_node_unref(a);
    block_node_unref(b);
}

static void test_inconsistent(void)
{
    BlockNode *node = open_null("disk", 1 << 20);
    GError *error = NULL;

    block_dirty_bitmap_set_inconsistent(
        block_dirty_bitmap_new(node, "bad", 65536, NULL));
    g_assert_null(block_bitmap_migration_begin(NULL, &error));
    g_assert_nonnull(strstr(error->message, "'bad' is inconsistent"));
    g_clear_error(&error);
    block_node_unref(node);
}

/* Every cut and many changed bytes: an error or a load, never worse. */
static void test_hostile(void)
{
    BlockNode *node = open_null("disk", SIZE);
    GRand *rand = g_rand_new_with_seed(g_test_rand_int());
    Stream s;

    filled(node, "one", 1 << 20);
    filled(node, "two", 1 << 22);
    save(&s, NULL, true);
    block_dirty_bitmap_release(block_dirty_bitmap_find(node, "one"));
    block_dirty_bitmap_release(block_dirty_bitmap_find(node, "two"));
    for (guint i = 0; i < 3000; i++) {
        GByteArray *whole = s.bytes;
        Stream bad = { g_byte_array_new(), 0 };
        BlockDirtyBitmap *b;

        g_byte_array_append(bad.bytes, whole->data,
                            i < 500 ? i * whole->len / 500 : whole->len);
        for (int n = 0; i >= 500 && n < 3; n++) {
            bad.bytes->data[g_rand_int_range(rand, 0, whole->len)] =
                g_rand_int(rand);
        }
        bool ok = block_bitmap_migration_load(NULL, get, &bad, NULL);

        g_assert_false(ok && i < 500);
        g_assert_true(ok || !block_dirty_bitmap_next(node, NULL));
        while ((b = block_dirty_bitmap_next(node, NULL))) {
            block_dirty_bitmap_release(b);
        }
        g_byte_array_unref(bad.bytes);
    }
    g_byte_array_unref(s.bytes);
    g_rand_free(rand);
    block_node_unref(node);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bitmap-migration/round-trip", test_round_trip);
    g_test_add_func("/bitmap-migration/mapping", test_mapping);
    g_test_add_func("/bitmap-migration/inconsistent", test_inconsistent);
    g_test_add_func("/bitmap-migration/hostile", test_hostile);
    return g_test_run();
}
