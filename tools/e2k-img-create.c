/*
 * e2k-img create, resize, amend, measure: everything about -o options.
 *
 * The tools' option names are older than those of QMP (cluster_size against
 * cluster-size, compat against version).  One table per format knows both,
 * the order in which they are shown and their defaults.
 */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/options.h"

typedef enum OptionKind { KIND_STR, KIND_SIZE, KIND_BOOL, KIND_NUM } OptionKind;

typedef struct LegacyOption {
    const char *name;
    const char *driver_name; /* NULL: only accepted, without effect */
    OptionKind kind;
    const char *shown_default; /* in the "Formatting" line */
    bool amend;
    const char *help;
} LegacyOption;

static const LegacyOption qcow2_options[] = {
    { "encryption", "encryption", KIND_BOOL, NULL, false,
      "Encrypt the image with format 'aes'. (Deprecated in favor of "
      "encrypt.format=aes)" },
    { "encrypt.format", "encrypt", KIND_STR, NULL, false,
      "Encrypt the image, format choices: 'aes', 'luks'" },
    { "encrypt.key-secret", NULL, KIND_STR, NULL, false,
      "ID of secret providing qcow AES key or LUKS passphrase" },
    { "cluster_size", "cluster-size", KIND_SIZE, "65536", false,
      "qcow2 cluster size" },
    { "extended_l2", "extended-l2", KIND_BOOL, "off", false,
      "Extended L2 tables" },
    { "preallocation", "preallocation", KIND_STR, NULL, false,
      "Preallocation mode (allowed values: off, metadata, falloc, full)" },
    { "compression_type", "compression-type", KIND_STR, "zlib", false,
      "Compression method used for image cluster compression" },
    { "size", "size", KIND_SIZE, NULL, true, "Virtual disk size" },
    { "compat", "version", KIND_STR, NULL, true,
      "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "data_file", "data-file", KIND_STR, NULL, true,
      "File name of an external data file" },
    { "data_file_raw", "data-file-raw", KIND_BOOL, NULL, true,
      "The external data file must stay valid as a raw image" },
    { "backing_file", "backing-file", KIND_STR, NULL, true,
      "File name of a base image" },
    { "backing_fmt", "backing-fmt", KIND_STR, NULL, true,
      "Image format of the base image" },
    { "lazy_refcounts", "lazy-refcounts", KIND_BOOL, "off", true,
      "Postpone refcount updates" },
    { "refcount_bits", "refcount-bits", KIND_NUM, "16", true,
      "Width of a reference count entry in bits" },
    { "nocow", NULL, KIND_BOOL, NULL, false,
      "Turn off copy-on-write (valid only on btrfs)" },
    { "extent_size_hint", NULL, KIND_SIZE, NULL, false,
      "Extent size hint for the image file, 0 to disable" },
    { NULL },
};

static const LegacyOption raw_options[] = {
    { "size", "size", KIND_SIZE, NULL, false, "Virtual disk size" },
    { "preallocation", "preallocation", KIND_STR, NULL, false,
      "Preallocation mode (allowed values: off, falloc, full)" },
    { "nocow", NULL, KIND_BOOL, NULL, false,
      "Turn off copy-on-write (valid only on btrfs)" },
    { "extent_size_hint", NULL, KIND_SIZE, NULL, false,
      "Extent size hint for the image file, 0 to disable" },
    { NULL },
};

static const LegacyOption *options_of(const char *format)
{
    return !strcmp(format, "qcow2") ? qcow2_options
           : !strcmp(format, "raw") || !strcmp(format, "file") ? raw_options
                                                               : NULL;
}

static const LegacyOption *find_option(const LegacyOption *table,
                                       const char *name)
{
    for (; table && table->name; table++) {
        if (!strcmp(table->name, name)) {
            return table;
        }
    }
    return NULL;
}

/* ---- -o ------------------------------------------------------------------- */

static bool asks_help(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    return g_strv_contains((const char *const *)words, "help") ||
           g_strv_contains((const char *const *)words, "?");
}

int img_add_options(json_t **options, const char *text)
{
    GError *error = NULL;
    json_t *more;

    if (asks_help(text)) {
        return 1;
    }
    if (text[0] == '\0' || text[0] == ',' ||
        (g_str_has_suffix(text, ",") && !g_str_has_suffix(text, ",,"))) {
        tool_error("Invalid option list: %s", text);
        return -1;
    }
    more = block_options_parse(text, NULL, &error);
    if (!more) {
        tool_report(error, NULL);
        return -1;
    }
    if (!*options) {
        *options = json_object();
    }
    json_object_update(*options, more);
    json_decref(more);
    return 0;
}

static int compare_options(const void *a, const void *b)
{
    const LegacyOption *const *x = a;
    const LegacyOption *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static void print_options(const LegacyOption *table, bool amend)
{
    static const char *const kinds[] = { "str", "size", "bool (on/off)",
                                         "num" };
    const LegacyOption *sorted[32];
    size_t n = 0;

    for (; table->name; table++) {
        if (!amend || table->amend) {
            sorted[n++] = table;
        }
    }
    qsort(sorted, n, sizeof(sorted[0]), compare_options);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *left =
            g_strdup_printf("  %s=<%s>", sorted[i]->name,
                            kinds[sorted[i]->kind]);

        printf("%-24s - %s\n", left, sorted[i]->help);
    }
}

int img_create_help(const char *format, const char *filename)
{
    const LegacyOption *table = options_of(format);

    if (!table) {
        if (!block_driver_find(format)) {
            tool_error("Unknown file format '%s'", format);
        } else {
            tool_error("Format driver '%s' does not support image creation",
                       format);
        }
        return 1;
    }
    printf(filename ? "Supported options:\n" : "Supported %s options:\n",
           format);
    print_options(table, false);
    if (!filename) {
        printf("\nThe protocol level may support further options.\n"
               "Specify the target filename to include those options.\n");
    }
    return 0;
}

/* One value in the driver's spelling. */
static json_t *driver_value(const LegacyOption *o, const char *value,
                            GError **error)
{
    uint64_t number;
    char *end;

    if (!strcmp(o->name, "compat")) {
        bool v2 = !strcmp(value, "0.10") || !strcmp(value, "v2");
        bool v3 = !strcmp(value, "1.1") || !strcmp(value, "v3");

        if (!v2 && !v3) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter 'version' does not accept value '%s'",
                        value);
            return NULL;
        }
        return json_string(v2 ? "v2" : "v3");
    }
    switch (o->kind) {
    case KIND_BOOL:
        if (strcmp(value, "on") && strcmp(value, "off") &&
            strcmp(value, "yes") && strcmp(value, "no") &&
            strcmp(value, "true") && strcmp(value, "false") &&
            strcmp(value, "y") && strcmp(value, "n")) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter '%s' expects 'on' or 'off'", o->name);
            return NULL;
        }
        return json_boolean(strchr("oyt", value[0]) && strcmp(value, "off"));
    case KIND_NUM:
        number = g_ascii_strtoull(value, &end, 0);
        if (end == value || *end) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter '%s' expects a number", o->name);
            return NULL;
        }
        return json_integer(MIN(number, INT64_MAX));
    case KIND_SIZE:
        if (!block_parse_size(value, &number) || number > INT64_MAX) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter '%s' expects a non-negative number below "
                        "2^64\nOptional suffix k, M, G, T, P or E means "
                        "kilo-, mega-, giga-, tera-, peta-\nand exabytes, "
                        "respectively.", o->name);
            return NULL;
        }
        return json_integer(number);
    default:
        return json_string(value);
    }
}

json_t *img_driver_options(const char *format, json_t *legacy, bool amend,
                           GError **error)
{
    const LegacyOption *table = options_of(format);
    json_t *result = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(legacy, key, value) {
        const LegacyOption *o = find_option(table, key);
        json_t *converted;

        if (!o || (amend && !o->amend)) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid parameter '%s'",
                        key);
            json_decref(result);
            return NULL;
        }
        if (!strcmp(key, "encrypt.format") ||
            (!strcmp(key, "encryption") &&
             !g_strcmp0(json_string_value(value), "on"))) {
            g_set_error(error, BLOCK_ERROR, ENOTSUP, "Encryption (LUKS, AES) "
                        "of qcow2 images is not supported");
            json_decref(result);
            return NULL;
        }
        converted = json_is_string(value)
                        ? driver_value(o, json_string_value(value), error)
                        : json_incref(value);
        if (!converted) {
            json_decref(result);
            return NULL;
        }
        if (o->driver_name && strcmp(o->name, "encryption")) {
            json_object_set(result, o->driver_name, converted);
        }
        json_decref(converted);
    }
    return result;
}

/* ---- create --------------------------------------------------------------- */

char *img_backing_path(const char *image, const char *backing)
{
    g_autofree char *dir = NULL;

    if (g_path_is_absolute(backing) || g_str_has_prefix(backing, "json:") ||
        block_driver_for_protocol(backing) || !strchr(image, '/')) {
        return g_strdup(backing);
    }
    dir = g_path_get_dirname(image);
    return g_build_filename(dir, backing, NULL);
}

/* Finds size and checks the format of the backing file. */
static bool look_at_backing(const ImgCreate *c, const char *backing,
                            const char *format, uint64_t *size,
                            GError **error)
{
    g_autofree char *path = img_backing_path(c->filename, backing);
    g_autoptr(BlockNode) node = NULL;
    int64_t length;

    if (format && !block_driver_find(format)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Unknown backing file format '%s'", format);
        return false;
    }
    node = block_node_open_filename(path, format, NULL,
                                    BLOCK_OPEN_NO_IO | BLOCK_OPEN_FORCE_SHARE,
                                    error);
    if (!node) {
        if (error && *error) {
            g_autofree char *text = g_strdup((*error)->message);

            g_clear_error(error);
            g_set_error(error, BLOCK_ERROR, ENOENT,
                        "%s\nCould not open backing image.", text);
        }
        return false;
    }
    if (!format) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Backing file specified "
                    "without backing format\nDetected format of %s.",
                    block_node_driver_name(node));
        return false;
    }
    length = block_length(node);
    if (length < 0) {
        block_error_set_errno(error, -length, "Could not get size of '%s'",
                              path);
        return false;
    }
    if (*size == UINT64_MAX) {
        *size = length;
    }
    return true;
}

static void print_escaped(const char *text)
{
    for (; *text; text++) {
        putchar(*text);
        if (*text == ',') {
            putchar(',');
        }
    }
}

static void print_formatting(const ImgCreate *c, json_t *legacy)
{
    const LegacyOption *table = options_of(c->format);

    printf("Formatting '%s', fmt=%s", c->filename, c->format);
    for (; table && table->name; table++) {
        json_t *value = json_object_get(legacy, table->name);
        const char *text = value ? json_string_value(value)
                                 : table->shown_default;
        uint64_t number;

        if (!text) {
            continue;
        }
        printf(" %s=", table->name);
        if (table->kind == KIND_SIZE && block_parse_size(text, &number)) {
            printf("%" PRIu64, number);
        } else {
            print_escaped(text);
        }
    }
    printf("\n");
    fflush(stdout);
}

static bool create_file(const char *filename, const char *prealloc,
                        uint64_t size, GError **error)
{
    json_t *file = json_pack("{s:s, s:s, s:I}", "driver", "file", "filename",
                             filename, "size", (json_int_t)size);
    bool ok;

    if (prealloc) {
        json_object_set_new(file, "preallocation", json_string(prealloc));
    }
    ok = block_node_create(file, error);
    json_decref(file);
    return ok;
}

/* The protocol below: made when it is a file, opened as it is otherwise. */
static json_t *make_protocol(const char *filename, GError **error)
{
    const BlockDriver *driver = block_driver_for_protocol(filename);
    json_t *options = json_object();

    if (driver && strcmp(driver->name, "file")) {
        json_object_set_new(options, "driver", json_string(driver->name));
        if (driver->parse_filename &&
            driver->parse_filename(filename, options, error)) {
            return options;
        }
        json_decref(options);
        return NULL;
    }
    if (g_str_has_prefix(filename, "file:")) {
        filename += 5;
    }
    json_object_set_new(options, "driver", json_string("file"));
    json_object_set_new(options, "filename", json_string(filename));
    if (!create_file(filename, NULL, 0, error)) {
        json_decref(options);
        return NULL;
    }
    return options;
}

static bool create_with_driver(const ImgCreate *c, json_t *options,
                               GError **error)
{
    const char *data_file =
        json_string_value(json_object_get(options, "data-file"));
    json_t *file;
    bool ok = true;

    json_object_set_new(options, "driver", json_string(c->format));
    if (!strcmp(c->format, "raw") && !block_driver_for_protocol(c->filename)) {
        json_t *pre = json_object_get(options, "preallocation");

        return create_file(c->filename, pre ? json_string_value(pre) : NULL,
                           json_integer_value(json_object_get(options,
                                                              "size")),
                           error);
    }
    file = make_protocol(c->filename, error);
    if (!file) {
        return false;
    }
    json_object_set_new(options, "file", file);
    if (data_file) {
        g_autofree char *name = g_strdup(data_file);

        ok = create_file(name, NULL, 0, error);
        json_object_set_new(options, "data-file",
                            json_pack("{s:s, s:s}", "driver", "file",
                                      "filename", name));
    }
    ok = ok && block_node_create(options, error);
    if (!ok && error && *error && block_error_errno(*error) == EFBIG) {
        g_clear_error(error);
        g_set_error(error, BLOCK_ERROR, EFBIG, "The image size is too large "
                    "for file format '%s' (try using a larger cluster size)",
                    c->format);
    }
    if (!ok && !strcmp(json_string_value(json_object_get(file, "driver")),
                       "file")) {
        unlink(c->filename); /* a half-made image is of no use */
    }
    return ok;
}

/* Merges -b, -F and SIZE into the options, in their spelling. */
static bool complete_options(const ImgCreate *c, json_t *legacy,
                             GError **error)
{
    const char *backing, *format;
    uint64_t size = c->size;
    json_t *given = json_object_get(legacy, "size");

    if (given) {
        if (size != UINT64_MAX) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "The image size must be specified only once");
            return false;
        }
        if (!json_is_string(given) ||
            !block_parse_size(json_string_value(given), &size)) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter 'size' expects a non-negative number "
                        "below 2^64\nOptional suffix k, M, G, T, P or E "
                        "means kilo-, mega-, giga-, tera-, peta-\nand "
                        "exabytes, respectively.");
            return false;
        }
    }
    if (c->backing) {
        json_object_set_new(legacy, "backing_file", json_string(c->backing));
    }
    if (c->backing_format) {
        json_object_set_new(legacy, "backing_fmt",
                            json_string(c->backing_format));
    }
    backing = json_string_value(json_object_get(legacy, "backing_file"));
    format = json_string_value(json_object_get(legacy, "backing_fmt"));
    if (backing && *backing) {
        if (!strcmp(backing, c->filename)) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Error: Trying to create "
                        "an image with the same filename as the backing "
                        "file");
            return false;
        }
        if (!c->unsafe &&
            !look_at_backing(c, backing, format, &size, error)) {
            return false;
        }
    } else if (backing) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Expected backing file name, got empty string");
        return false;
    }
    if (size == UINT64_MAX) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Image creation needs a size parameter");
        return false;
    }
    {
        g_autofree char *text = g_strdup_printf("%" PRIu64, size);

        json_object_set_new(legacy, "size", json_string(text));
    }
    return true;
}

static bool check_format(const ImgCreate *c, GError **error)
{
    const BlockDriver *driver = block_driver_find(c->format);

    if (!driver) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Unknown file format '%s'",
                    c->format);
        return false;
    }
    if (!driver->create) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "Format driver '%s' does "
                    "not support image creation", c->format);
        return false;
    }
    if ((c->backing || c->backing_format) &&
        !(driver->flags & BLOCK_DRIVER_BACKING)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "%s not supported for file format '%s'",
                    c->backing ? "Backing file" : "Backing format",
                    c->format);
        return false;
    }
    return true;
}

static bool check_names(const char *format, json_t *legacy, GError **error)
{
    const LegacyOption *table = options_of(format);
    const char *key;
    json_t *value;

    json_object_foreach(legacy, key, value) {
        const LegacyOption *o = find_option(table, key);
        json_t *converted;

        if (!o) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid parameter '%s'",
                        key);
            return false;
        }
        if (o->kind == KIND_STR || !json_is_string(value)) {
            continue;
        }
        converted = driver_value(o, json_string_value(value), error);
        if (!converted) {
            return false;
        }
        json_decref(converted);
    }
    return true;
}

bool img_create_image(const ImgCreate *c, GError **error)
{
    json_t *legacy = c->options ? json_copy(c->options) : json_object();
    json_t *options = NULL;
    bool ok = check_format(c, error);

    /* Unknown names and odd numbers, then the rest, then what they mean. */
    ok = ok && check_names(c->format, legacy, error) &&
         complete_options(c, legacy, error);
    if (ok && !c->quiet) {
        print_formatting(c, legacy);
    }
    if (ok) {
        options = img_driver_options(c->format, legacy, false, error);
        ok = options != NULL;
    }
    if (ok) {
        json_int_t size =
            json_integer_value(json_object_get(options, "size"));

        if (size > INT64_MAX - 511) {
            g_set_error(error, BLOCK_ERROR, EFBIG, "Image is too big");
            ok = false;
        }
        json_object_set_new(options, "size",
                            json_integer((size + 511) & ~(json_int_t)511));
        if (!strcmp(c->format, "raw")) {
            json_object_set_new(options, "size", json_integer(size));
        }
    }
    ok = ok && create_with_driver(c, options, error);
    json_decref(legacy);
    json_decref(options);
    return ok;
}

int img_create(int argc, char **argv)
{
    static const struct option longs[] = { IMG_LONG_COMMON, { 0 } };
    ImgCommon common = { 0 };
    ImgCreate c = { .format = "raw", .size = UINT64_MAX };
    GError *error = NULL;
    bool help = false;
    int opt;

    while ((opt = img_getopt(argc, argv, ":F:b:f:ho:qu", longs)) != -1) {
        switch (opt) {
        case 'F':
            c.backing_format = optarg;
            break;
        case 'b':
            c.backing = optarg;
            break;
        case 'o': {
            int ret = img_add_options(&c.options, optarg);

            if (ret < 0) {
                return 1;
            }
            help |= ret;
            break;
        }
        case 'u':
            c.unsafe = true;
            break;
        default:
            img_common_option(&common, opt, "create");
            break;
        }
    }
    c.format = common.image.format ? common.image.format : "raw";
    c.quiet = common.quiet;
    c.filename = optind < argc ? argv[optind++] : NULL;
    if (help) {
        return img_create_help(c.format, c.filename);
    }
    if (!c.filename) {
        tool_usage_error("Expecting image file name");
    }
    if (optind < argc && !tool_parse_size(argv[optind++], &c.size)) {
        return 1;
    }
    if (optind < argc) {
        tool_usage_error("Unexpected argument: %s", argv[optind]);
    }
    if (!img_create_image(&c, &error)) {
        tool_report(error, "%s: ", c.filename);
    }
    json_decref(c.options);
    return error != NULL;
}

/* ---- amend ---------------------------------------------------------------- */

static bool amend_progress(void *opaque, uint64_t done, uint64_t total)
{
    tool_progress_set(done, total);
    return false;
}

static int amend_help(const char *format)
{
    const LegacyOption *table = options_of(format);
    const BlockDriver *driver = block_driver_find(format);

    if (!driver || !driver->amend || !table) {
        tool_error(driver ? "Format driver '%s' does not support option "
                            "amendment" : "Unknown file format '%s'", format);
        return 1;
    }
    printf("Amend options for '%s':\n", format);
    print_options(table, true);
    return 0;
}

int img_amend(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "force", no_argument, NULL, OPT_FORCE },
        { 0 },
    };
    ImgCommon c = { .image.flags = BLOCK_OPEN_RDWR };
    const char *cache = "writeback";
    g_autoptr(BlockBackend) image = NULL;
    GError *error = NULL;
    json_t *legacy = NULL, *options;
    bool force = false, help = false, ok;
    BlockNode *node;
    int opt, ret;

    while ((opt = img_getopt(argc, argv, ":ho:f:t:pq", longs)) != -1) {
        if (opt == 'o') {
            ret = img_add_options(&legacy, optarg);
            if (ret < 0) {
                return 1;
            }
            help |= ret;
        } else if (opt == 't') {
            cache = optarg;
        } else if (opt == OPT_FORCE) {
            force = true;
        } else {
            img_common_option(&c, opt, "amend");
        }
    }
    if (help && c.image.format) {
        return amend_help(c.image.format);
    }
    if (!legacy && !help) {
        tool_usage_error("Must specify options (-o)");
    }
    if (optind != argc - 1) {
        tool_error("Expecting one image file name");
        return 1;
    }
    if (!tool_cache_flags(cache, &c.image.flags)) {
        tool_error("Invalid cache option: %s", cache);
        return 1;
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    if (!image) {
        return 1;
    }
    node = img_node(image);
    if (help) {
        return amend_help(block_node_driver_name(node));
    }
    if (!block_node_driver(node)->amend) {
        tool_error("Format driver '%s' does not support option amendment",
                   block_node_driver_name(node));
        return 1;
    }
    options = img_driver_options(block_node_driver_name(node), legacy, true,
                                 &error);
    if (!options) {
        tool_report(error, NULL);
        return 1;
    }
    tool_progress_start(c.progress, 1);
    block_node_drain_begin(node);
    ok = block_node_driver(node)->amend(node, options, force, amend_progress,
                                        NULL, &error);
    block_node_drain_end(node);
    tool_progress_end();
    json_decref(options);
    json_decref(legacy);
    if (!ok) {
        tool_report(error, NULL);
    }
    return !ok;
}
