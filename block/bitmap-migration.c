/* Bitmaps in a migration stream; see bitmap-migration.h. */
#include "block/bitmap-migration.h"

#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/driver.h"
#include "block/options.h"
#include "util/bytes.h"

#define MAGIC "e2kbmap1"
#define MAGIC_SIZE 8
#define MAX_BITMAPS 65536u
#define MAX_ALIAS 255u /* of a node; bitmap names may be longer */
#define CHUNK_BYTES 65536u /* of bits */

#define FAIL(...)                                                              \
    (g_set_error(error, BLOCK_ERROR, EINVAL, __VA_ARGS__), false)

enum { FLAG_ENABLED = 1, FLAG_PERSISTENT = 2, FLAGS_KNOWN = 3 };

typedef struct Travel {
    BlockDirtyBitmap *bitmap;
    char *node_alias, *alias;
    bool persistent;
} Travel;

struct BlockBitmapMigration {
    GArray *list; /* of Travel */
};

static void travel_clear(gpointer data)
{
    Travel *t = data;

    g_free(t->node_alias);
    g_free(t->alias);
}

/* ---- The mapping ---------------------------------------------------------- */

static const BlockOption node_options[] = {
    { "node-name", BLOCK_OPT_STRING, .required = true },
    { "alias", BLOCK_OPT_STRING, .required = true },
    { "bitmaps", BLOCK_OPT_LIST, .required = true },
    { NULL },
};

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* No two members of a list have the same text under key. */
static bool check_unique(json_t *list, const char *key, const char *what,
                         GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    size_t index;
    json_t *item;

    json_array_foreach(list, index, item) {
        const char *text = text_of(item, key);

        if (!text || !*text) {
            return FAIL("Invalid mapping given for block-bitmap-mapping: "
                        "'%s' is missing", key);
        }
        if (!g_hash_table_add(seen, (char *)text)) {
            return FAIL("%s '%s' is given twice in block-bitmap-mapping",
                        what, text);
        }
    }
    return true;
}

bool block_bitmap_mapping_check(json_t *mapping, GError **error)
{
    size_t index;
    json_t *node;

    if (!json_is_array(mapping)) {
        return FAIL("block-bitmap-mapping must be a list");
    }
    json_array_foreach(mapping, index, node) {
        json_t *bitmaps = json_object_get(node, "bitmaps");

        if (!json_is_object(node) ||
            !block_options_check(node, node_options, error)) {
            return error && *error
                       ? false : FAIL("block-bitmap-mapping: not an object");
        }
        if (strlen(text_of(node, "alias")) > MAX_ALIAS) {
            return FAIL("Alias '%s' is longer than %u characters",
                        text_of(node, "alias"), MAX_ALIAS);
        }
        if (!check_unique(bitmaps, "name", "Bitmap", error) ||
            !check_unique(bitmaps, "alias", "Bitmap alias", error)) {
            return false;
        }
    }
    return check_unique(mapping, "node-name", "Node name", error) &&
           check_unique(mapping, "alias", "Node alias", error);
}

/* The member of a list whose text under key is this. */
static json_t *find_member(json_t *list, const char *key, const char *text)
{
    size_t index;
    json_t *item;

    json_array_foreach(list, index, item) {
        if (!g_strcmp0(text_of(item, key), text)) {
            return item;
        }
    }
    return NULL;
}

/* What a bitmap's entry says about persistence, or what it was. */
static bool map_persistent(json_t *entry, bool was)
{
    json_t *says = json_object_get(json_object_get(entry, "transform"),
                                   "persistent");

    return says ? json_is_true(says) : was;
}

/* ---- Choosing ------------------------------------------------------------- */

/* Devices' names matter to people; node names otherwise; made-up ones never. */
static const char *node_alias(BlockNode *node)
{
    const char *name = block_node_name(node);

    for (BlockBackend *b = block_backend_next(NULL); b;
         b = block_backend_next(b)) {
        BlockNode *top = block_backend_node(b);

        if (top && *block_backend_name(b) &&
            block_node_skip_filters(top) == node) {
            return block_backend_name(b);
        }
    }
    return name[0] == '#' ? NULL : name;
}

/* False: an error.  Bitmaps that the mapping does not name stay. */
static bool choose(BlockBitmapMigration *m, BlockDirtyBitmap *bitmap,
                   const char *alias, json_t *mapped, GError **error)
{
    const char *name = block_dirty_bitmap_name(bitmap);
    json_t *entry =
        mapped ? find_member(json_object_get(mapped, "bitmaps"), "name", name)
               : NULL;
    Travel t = { .bitmap = bitmap };

    if (!name || !alias || (mapped && !entry)) {
        return true;
    }
    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_ALLOW_RO, error)) {
        return false;
    }
    t.node_alias = g_strdup(alias);
    t.alias = g_strdup(entry ? text_of(entry, "alias") : name);
    t.persistent = map_persistent(entry,
                                  block_dirty_bitmap_persistent(bitmap));
    g_array_append_val(m->list, t);
    return true;
}

static bool choose_all(BlockBitmapMigration *m, json_t *mapping,
                       GError **error)
{
    for (BlockNode *n = block_node_next(NULL); n; n = block_node_next(n)) {
        json_t *mapped =
            mapping ? find_member(mapping, "node-name", block_node_name(n))
                    : NULL;
        const char *alias = mapping ? text_of(mapped, "alias")
                                    : node_alias(n);
        BlockDirtyBitmap *b = NULL;

        while ((b = block_dirty_bitmap_next(n, b))) {
            if (!choose(m, b, alias, mapped, error)) {
                return false;
            }
        }
    }
    return true;
}

BlockBitmapMigration *block_bitmap_migration_begin(json_t *mapping,
                                                   GError **error)
{
    BlockBitmapMigration *m;

    if (mapping && !block_bitmap_mapping_check(mapping, error)) {
        return NULL;
    }
    m = g_new0(BlockBitmapMigration, 1);
    m->list = g_array_new(false, true, sizeof(Travel));
    g_array_set_clear_func(m->list, travel_clear);
    block_graph_lock();
    if (choose_all(m, mapping, error)) {
        for (guint i = 0; i < m->list->len; i++) {
            block_dirty_bitmap_set_busy(
                g_array_index(m->list, Travel, i).bitmap, true);
        }
    } else {
        g_array_unref(m->list);
        g_clear_pointer(&m, g_free);
    }
    block_graph_unlock();
    return m;
}

void block_bitmap_migration_end(BlockBitmapMigration *m, bool success)
{
    block_graph_lock();
    for (guint i = 0; i < m->list->len; i++) {
        BlockDirtyBitmap *b = g_array_index(m->list, Travel, i).bitmap;

        block_dirty_bitmap_set_busy(b, false);
        if (success) {
            block_dirty_bitmap_set_skip_store(b, true);
        }
    }
    block_graph_unlock();
    g_array_unref(m->list);
    g_free(m);
}

/* ---- Saving --------------------------------------------------------------- */

static void put_u32(GByteArray *to, uint32_t value)
{
    uint8_t disk[4];

    stl_be_p(disk, value);
    g_byte_array_append(to, disk, sizeof(disk));
}

static void put_u64(GByteArray *to, uint64_t value)
{
    uint8_t disk[8];

    stq_be_p(disk, value);
    g_byte_array_append(to, disk, sizeof(disk));
}

static void put_text(GByteArray *to, const char *text)
{
    uint8_t disk[2];

    stw_be_p(disk, strlen(text));
    g_byte_array_append(to, disk, sizeof(disk));
    g_byte_array_append(to, (const guint8 *)text, strlen(text));
}

static bool save_one(const Travel *t, BlockBitmapWriteFn *write, void *opaque,
                     GError **error)
{
    uint32_t granularity = block_dirty_bitmap_granularity(t->bitmap);
    uint64_t size = block_dirty_bitmap_size(t->bitmap);
    uint64_t reach = (uint64_t)granularity * CHUNK_BYTES * 8;
    g_autoptr(GByteArray) out = g_byte_array_new();
    uint64_t at = 0, area, area_bytes;

    put_text(out, t->node_alias);
    put_text(out, t->alias);
    put_u32(out, (block_dirty_bitmap_enabled(t->bitmap) ? FLAG_ENABLED : 0) |
                     (t->persistent ? FLAG_PERSISTENT : 0));
    put_u32(out, granularity);
    put_u64(out, size);
    while (at < size && block_dirty_bitmap_next_area(t->bitmap, at, size - at,
                                                     1, &area, &area_bytes)) {
        uint64_t start = area / reach * reach;
        uint64_t bytes = MIN(reach, size - start);
        uint64_t n = block_dirty_bitmap_serial_size(t->bitmap, start, bytes);
        guint head;

        put_u32(out, n);
        put_u64(out, start);
        head = out->len;
        g_byte_array_set_size(out, head + n);
        memset(out->data + head, 0, n);
        block_dirty_bitmap_serialize(t->bitmap, out->data + head, start,
                                     bytes);
        if (!write(opaque, out->data, out->len, error)) {
            return false;
        }
        g_byte_array_set_size(out, 0);
        at = start + bytes;
    }
    put_u32(out, 0);
    return write(opaque, out->data, out->len, error);
}

bool block_bitmap_migration_save(BlockBitmapMigration *m,
                                 BlockBitmapWriteFn *write, void *opaque,
                                 GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    bool ok;

    g_byte_array_append(out, (const guint8 *)MAGIC, MAGIC_SIZE);
    put_u32(out, m->list->len);
    block_graph_lock();
    ok = write(opaque, out->data, out->len, error);
    for (guint i = 0; ok && i < m->list->len; i++) {
        ok = save_one(&g_array_index(m->list, Travel, i), write, opaque,
                      error);
    }
    block_graph_unlock();
    return ok;
}

/* ---- Loading -------------------------------------------------------------- */

typedef struct Loader {
    json_t *mapping;
    BlockBitmapReadFn *read;
    void *opaque;
    GPtrArray *made; /* of BlockDirtyBitmap */
} Loader;

static bool get_number(Loader *l, unsigned bytes, uint64_t *value,
                       GError **error)
{
    uint8_t disk[8] = { 0 };

    if (!l->read(l->opaque, disk + 8 - bytes, bytes, error)) {
        return false;
    }
    *value = ldq_be_p(disk);
    return true;
}

static bool get_text(Loader *l, unsigned max, char **text, GError **error)
{
    uint64_t length;

    if (!get_number(l, 2, &length, error)) {
        return false;
    }
    if (length == 0 || length > max) {
        return FAIL("Migration stream: a bitmap's name has %u bytes",
                    (unsigned)length);
    }
    *text = g_malloc0(length + 1);
    return l->read(l->opaque, *text, length, error);
}

/* The node and the name that two aliases mean here. */
static BlockNode *resolve(Loader *l, const char *alias, const char *bitmap,
                          const char **name, json_t **entry, GError **error)
{
    json_t *mapped = l->mapping ? find_member(l->mapping, "alias", alias)
                                : NULL;
    BlockNode *node;

    *entry = mapped ? find_member(json_object_get(mapped, "bitmaps"), "alias",
                                  bitmap)
                    : NULL;
    if (l->mapping && !*entry) {
        (void)FAIL("Migration stream: bitmap '%s' of node '%s' is not in "
                   "block-bitmap-mapping", bitmap, alias);
        return NULL;
    }
    *name = *entry ? text_of(*entry, "name") : bitmap;
    node = mapped ? block_node_lookup(NULL, text_of(mapped, "node-name"),
                                      error)
                  : block_node_lookup(alias, alias, error);
    return node ? block_node_skip_filters(node) : NULL;
}

static bool load_bits(Loader *l, BlockDirtyBitmap *bitmap, GError **error)
{
    uint64_t size = block_dirty_bitmap_size(bitmap);
    uint64_t reach = (uint64_t)block_dirty_bitmap_granularity(bitmap) *
                     CHUNK_BYTES * 8;
    g_autofree uint8_t *bits = g_malloc(CHUNK_BYTES);
    uint64_t n, start;

    for (;;) {
        if (!get_number(l, 4, &n, error)) {
            return false;
        }
        if (n == 0) {
            return true;
        }
        if (!get_number(l, 8, &start, error)) {
            return false;
        }
        if (start >= size || start % reach ||
            n != block_dirty_bitmap_serial_size(bitmap, start,
                                                MIN(reach, size - start))) {
            return FAIL("Migration stream: bitmap '%s' has bits outside of "
                        "its node", block_dirty_bitmap_name(bitmap));
        }
        if (!l->read(l->opaque, bits, n, error)) {
            return false;
        }
        block_dirty_bitmap_deserialize(bitmap, bits, start,
                                       MIN(reach, size - start));
    }
}

static BlockDirtyBitmap *make_bitmap(Loader *l, BlockNode *node,
                                     const char *name, uint64_t flags,
                                     uint64_t granularity, uint64_t size,
                                     GError **error)
{
    BlockDirtyBitmap *bitmap;

    if (flags & ~(uint64_t)FLAGS_KNOWN) {
        (void)FAIL("Migration stream: bitmap '%s' has unknown flags", name);
        return NULL;
    }
    if (block_length(node) < 0 || (uint64_t)block_length(node) != size) {
        (void)FAIL("Migration stream: node '%s' of bitmap '%s' has another "
                   "size here", block_node_name(node), name);
        return NULL;
    }
    if ((flags & FLAG_PERSISTENT) &&
        !block_dirty_bitmap_can_store(node, name, granularity, error)) {
        return NULL;
    }
    bitmap = block_dirty_bitmap_new(node, name, granularity, error);
    if (bitmap) {
        g_ptr_array_add(l->made, bitmap);
        block_dirty_bitmap_set_persistent(bitmap, flags & FLAG_PERSISTENT);
        if (!(flags & FLAG_ENABLED)) {
            block_dirty_bitmap_disable(bitmap);
        }
    }
    return bitmap;
}

static bool load_one(Loader *l, GError **error)
{
    g_autofree char *alias = NULL;
    g_autofree char *bitmap_alias = NULL;
    uint64_t flags, granularity, size;
    BlockDirtyBitmap *bitmap;
    BlockNode *node;
    const char *name;
    json_t *entry;

    if (!get_text(l, MAX_ALIAS, &alias, error) ||
        !get_text(l, BLOCK_BITMAP_NAME_MAX, &bitmap_alias, error) ||
        !get_number(l, 4, &flags, error) ||
        !get_number(l, 4, &granularity, error) ||
        !get_number(l, 8, &size, error) ||
        !(node = resolve(l, alias, bitmap_alias, &name, &entry, error))) {
        return false;
    }
    if (entry) {
        bool persistent = map_persistent(entry, flags & FLAG_PERSISTENT);

        flags = (flags & ~(uint64_t)FLAG_PERSISTENT) |
                (persistent ? FLAG_PERSISTENT : 0);
    }
    bitmap = make_bitmap(l, node, name, flags, granularity, size, error);
    return bitmap && load_bits(l, bitmap, error);
}

static bool load_all(Loader *l, GError **error)
{
    char magic[MAGIC_SIZE];
    uint64_t n;

    if (!l->read(l->opaque, magic, sizeof(magic), error) ||
        !get_number(l, 4, &n, error)) {
        return false;
    }
    if (memcmp(magic, MAGIC, MAGIC_SIZE) || n > MAX_BITMAPS) {
        return FAIL("Migration stream: not a list of bitmaps");
    }
    while (n--) {
        if (!load_one(l, error)) {
            return false;
        }
    }
    return true;
}

bool block_bitmap_migration_load(json_t *mapping, BlockBitmapReadFn *read,
                                 void *opaque, GError **error)
{
    g_autoptr(GPtrArray) made = g_ptr_array_new();
    Loader l = { mapping, read, opaque, made };
    bool ok;

    if (mapping && !block_bitmap_mapping_check(mapping, error)) {
        return false;
    }
    block_graph_lock();
    ok = load_all(&l, error);
    for (guint i = 0; !ok && i < made->len; i++) {
        block_dirty_bitmap_release(g_ptr_array_index(made, i));
    }
    block_graph_unlock();
    return ok;
}
