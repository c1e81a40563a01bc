/*
 * Driver "blkdebug": a disk that fails when it is told to, for tests.
 *
 * Rules wait for an event ("none": from the start) in a state (0: any) and
 * then fail the requests they match; other rules change the state.  Events
 * come from the drivers above through block_debug_event().  A break stops
 * whoever passes its event until it is resumed by tag.
 */
#include "block/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/node-int.h"
#include "block/options.h"

#define IO_TYPES "read/write/write-zeroes/discard/flush/block-status"

typedef enum IoType {
    IO_READ, IO_WRITE, IO_ZEROES, IO_DISCARD, IO_FLUSH, IO_STATUS,
} IoType;

typedef struct Rule {
    char *event;
    int64_t state;  /* 0: any */
    bool inject;    /* else set-state */
    int64_t new_state;
    int error;
    int64_t sector; /* -1: any */
    unsigned types; /* bit per IoType */
    bool once;
    bool active, spent;
} Rule;

typedef struct Break {
    char *event, *tag;
    unsigned waiting;
    bool resumed;
} Break;

typedef struct DebugState {
    GMutex lock;
    GCond changed;
    int64_t state;
    GArray *rules;
    GPtrArray *breaks;
    bool any_active; /* atomic: lets requests skip the lock */
} DebugState;

static const BlockOption debug_options[] = {
    { "image", BLOCK_OPT_NODE, .required = true },
    { "config", BLOCK_OPT_STRING },
    { "align", BLOCK_OPT_SIZE },
    { "max-transfer", BLOCK_OPT_SIZE },
    { "opt-write-zero", BLOCK_OPT_SIZE },
    { "max-write-zero", BLOCK_OPT_SIZE },
    { "opt-discard", BLOCK_OPT_SIZE },
    { "max-discard", BLOCK_OPT_SIZE },
    { "inject-error", BLOCK_OPT_LIST },
    { "set-state", BLOCK_OPT_LIST },
    { NULL },
};

static const BlockOption inject_options[] = {
    { "event", BLOCK_OPT_STRING, .required = true },
    { "state", BLOCK_OPT_INT },
    { "iotype", BLOCK_OPT_ENUM, IO_TYPES },
    { "errno", BLOCK_OPT_INT },
    { "sector", BLOCK_OPT_INT },
    { "once", BLOCK_OPT_BOOL },
    { "immediately", BLOCK_OPT_BOOL },
    { NULL },
};

static const BlockOption state_options[] = {
    { "event", BLOCK_OPT_STRING, .required = true },
    { "state", BLOCK_OPT_INT },
    { "new_state", BLOCK_OPT_INT, .required = true },
    { NULL },
};

/* ---- Rules --------------------------------------------------------------- */

static bool add_rule(DebugState *s, json_t *json, bool inject, GError **error)
{
    Rule rule = { .inject = inject, .sector = -1 };
    const char *event = NULL;
    int64_t errnum = EIO;
    int type = -1;

    if (!json_is_object(json)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "A rule must be an object");
        return false;
    }
    if (!block_options_check(json, inject ? inject_options : state_options,
                             error) ||
        !block_options_string(json, "event", &event, error) ||
        !block_options_int(json, "state", &rule.state, error) ||
        !block_options_int(json, "new_state", &rule.new_state, error) ||
        !block_options_int(json, "errno", &errnum, error) ||
        !block_options_int(json, "sector", &rule.sector, error) ||
        !block_options_bool(json, "once", &rule.once, error) ||
        !block_options_enum(json, "iotype", IO_TYPES, &type, error)) {
        return false;
    }
    rule.event = g_strdup(event);
    rule.error = CLAMP(errnum, 1, 4095);
    /* Without a type: data requests and flush, as ever. */
    rule.types = type >= 0 ? 1u << type
                           : 1u << IO_READ | 1u << IO_WRITE |
                                 1u << IO_ZEROES | 1u << IO_DISCARD |
                                 1u << IO_FLUSH;
    g_array_append_val(s->rules, rule);
    return true;
}

static bool add_rules(DebugState *s, json_t *list, bool inject,
                      GError **error)
{
    size_t index;
    json_t *json;

    json_array_foreach(list, index, json) {
        if (!add_rule(s, json, inject, error)) {
            return false;
        }
    }
    return true;
}

/* [inject-error] and [set-state] sections of key = "value" lines. */
static bool read_config(DebugState *s, const char *filename, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    json_t *section = NULL;
    bool inject = false;
    bool ok = true;

    if (!g_file_get_contents(filename, &text, NULL, error)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **l = lines; ok; l++) {
        char *line = *l ? g_strstrip(*l) : NULL;
        char *equals = line ? strchr(line, '=') : NULL;

        if ((!line || *line == '[') && section) {
            ok = add_rule(s, section, inject, error);
            json_decref(section);
            section = NULL;
        }
        if (!line) {
            break;
        }
        if (*line == '[') {
            inject = g_str_has_prefix(line, "[inject-error");
            if (!inject && !g_str_has_prefix(line, "[set-state")) {
                g_set_error(error, BLOCK_ERROR, EINVAL,
                            "Unknown section '%s' in '%s'", line, filename);
                ok = false;
            }
            section = ok ? json_object() : NULL;
        } else if (equals && section) {
            json_t *value;

            *equals = '\0';
            g_strdelimit(equals + 1, "\"", ' ');
            value = json_string(g_strstrip(equals + 1));
            json_object_set_new(section, g_strchomp(line),
                                value ? value : json_string(""));
        }
    }
    json_decref(section);
    return ok;
}

static void debug_event(BlockNode *node, const char *event)
{
    DebugState *s = node->state;
    int64_t new_state;
    bool any = false;

    g_mutex_lock(&s->lock);
    new_state = s->state;
    for (guint i = 0; i < s->rules->len; i++) {
        Rule *r = &g_array_index(s->rules, Rule, i);

        if (strcmp(r->event, event) ||
            (r->state && r->state != s->state)) {
            any |= r->active && !r->spent;
            continue;
        }
        if (r->inject) {
            r->active = true;
            any |= !r->spent;
        } else {
            new_state = r->new_state;
        }
    }
    s->state = new_state;
    __atomic_store_n(&s->any_active, any, __ATOMIC_RELEASE);
    for (guint i = 0; i < s->breaks->len; i++) {
        Break *b = g_ptr_array_index(s->breaks, i);

        if (!strcmp(b->event, event) && !b->resumed) {
            b->waiting++;
            g_cond_broadcast(&s->changed);
            while (!b->resumed) {
                g_cond_wait(&s->changed, &s->lock);
            }
            b->waiting--;
            break;
        }
    }
    g_mutex_unlock(&s->lock);
}

/* 0, or the error that the first matching rule wants. */
static int inject(BlockNode *node, IoType type, uint64_t offset,
                  uint64_t bytes)
{
    DebugState *s = node->state;
    int ret = 0;

    if (!__atomic_load_n(&s->any_active, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    g_mutex_lock(&s->lock);
    for (guint i = 0; i < s->rules->len && !ret; i++) {
        Rule *r = &g_array_index(s->rules, Rule, i);
        uint64_t at = (uint64_t)r->sector * 512;

        if (r->active && !r->spent && (r->types & (1u << type)) &&
            (r->sector < 0 || (at >= offset && at < offset + bytes))) {
            ret = -r->error;
            r->spent = r->once;
        }
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

/* ---- Breaks -------------------------------------------------------------- */

static Break *find_break(DebugState *s, const char *tag)
{
    for (guint i = 0; i < s->breaks->len; i++) {
        Break *b = g_ptr_array_index(s->breaks, i);

        if (!b->resumed && !strcmp(b->tag, tag)) {
            return b;
        }
    }
    return NULL;
}

/* Resumed breaks stay in the list until close: somebody may be leaving. */
static bool debug_command(BlockNode *node, const char *command,
                          const char *argument, const char *tag,
                          GError **error)
{
    DebugState *s = node->state;
    Break *b;
    bool ok = true;

    g_mutex_lock(&s->lock);
    b = find_break(s, tag);
    if (!strcmp(command, "break")) {
        b = g_new0(Break, 1);
        b->event = g_strdup(argument);
        b->tag = g_strdup(tag);
        g_ptr_array_add(s->breaks, b);
    } else if (!b) {
        g_set_error(error, BLOCK_ERROR, ENOENT, "No break with tag '%s'",
                    tag);
        ok = false;
    } else if (!strcmp(command, "resume") ||
               !strcmp(command, "remove_break")) {
        b->resumed = true;
        g_cond_broadcast(&s->changed);
    } else if (!strcmp(command, "wait_break")) {
        while (!b->waiting) {
            g_cond_wait(&s->changed, &s->lock);
        }
    } else {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Unknown debug command '%s'",
                    command);
        ok = false;
    }
    g_mutex_unlock(&s->lock);
    return ok;
}

static void break_free(gpointer data)
{
    Break *b = data;

    g_free(b->event);
    g_free(b->tag);
    g_free(b);
}

/* ---- Opening ------------------------------------------------------------- */

static bool set_limits(BlockNode *node, json_t *options, GError **error)
{
    uint64_t align = 0;
    uint64_t max = 0;

    node->limits = node->file->node->limits;
    if (!block_options_size(options, "align", &align, error) ||
        !block_options_size(options, "max-transfer", &max, error)) {
        return false;
    }
    if (align && (align > 65536 || (align & (align - 1)))) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Cannot meet constraints with align %" G_GUINT64_FORMAT,
                    align);
        return false;
    }
    if (align) {
        node->limits.request_alignment = align;
    }
    if (max % node->limits.request_alignment) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Cannot meet constraints "
                    "with max-transfer %" G_GUINT64_FORMAT, max);
        return false;
    }
    if (max) {
        node->limits.max_transfer = max;
    }
    return true;
}

static void rule_clear(gpointer data)
{
    Rule *r = data;

    g_free(r->event);
}

static void debug_close(BlockNode *node)
{
    DebugState *s = node->state;

    g_array_unref(s->rules);
    g_ptr_array_unref(s->breaks);
    g_mutex_clear(&s->lock);
    g_cond_clear(&s->changed);
}

static bool debug_open(BlockNode *node, json_t *options, GError **error)
{
    DebugState *s = node->state;
    const char *config = NULL;
    BlockEdge *edge = block_open_child(node, options, "image",
                                       BLOCK_ROLE_FILTERED, false, error);

    if (!edge) {
        return false;
    }
    node->file = edge;
    node->read_only = node->read_only || edge->node->read_only;
    g_mutex_init(&s->lock);
    g_cond_init(&s->changed);
    s->state = 1;
    s->rules = g_array_new(false, false, sizeof(Rule));
    g_array_set_clear_func(s->rules, rule_clear);
    s->breaks = g_ptr_array_new_with_free_func(break_free);
    if (!set_limits(node, options, error) ||
        !block_options_string(options, "config", &config, error) ||
        (config && *config && !read_config(s, config, error)) ||
        !add_rules(s, json_object_get(options, "inject-error"), true,
                   error) ||
        !add_rules(s, json_object_get(options, "set-state"), false, error)) {
        debug_close(node);
        return false;
    }
    debug_event(node, "none");
    return true;
}

/* blkdebug:CONFIG:IMAGE */
static bool debug_parse_filename(const char *filename, json_t *options,
                                 GError **error)
{
    const char *config = strchr(filename, ':') + 1;
    const char *image = strchr(config, ':');
    g_autofree char *head = NULL;

    if (!image) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "blkdebug requires both config file and image path");
        return false;
    }
    head = g_strndup(config, image - config);
    json_object_set_new(options, "config", json_string(head));
    json_object_set_new(options, "image",
                        json_pack("{s:s}", "filename", image + 1));
    return true;
}

/* ---- Requests ------------------------------------------------------------ */

static int debug_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                        const struct iovec *iov, int niov, unsigned flags)
{
    int ret = inject(node, IO_READ, offset, bytes);

    return ret < 0 ? ret : block_preadv(node->file->node, offset, bytes, iov,
                                        niov, flags);
}

static int debug_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov, unsigned flags)
{
    int ret = inject(node, IO_WRITE, offset, bytes);

    return ret < 0 ? ret : block_pwritev(node->file->node, offset, bytes,
                                         iov, niov, flags);
}

static int debug_pwrite_zeroes(BlockNode *node, uint64_t offset,
                               uint64_t bytes, unsigned flags)
{
    int ret = inject(node, IO_ZEROES, offset, bytes);

    return ret < 0 ? ret : block_pwrite_zeroes(node->file->node, offset,
                                               bytes, flags);
}

static int debug_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int ret = inject(node, IO_DISCARD, offset, bytes);

    return ret < 0 ? ret : block_pdiscard(node->file->node, offset, bytes);
}

static int debug_flush(BlockNode *node)
{
    return inject(node, IO_FLUSH, 0, 0);
}

static int debug_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                        BlockStatus *status)
{
    int ret = inject(node, IO_STATUS, offset, bytes);

    return ret < 0 ? ret : block_status(node->file->node, offset, bytes,
                                        status);
}

static int64_t debug_get_length(BlockNode *node)
{
    return block_length(node->file->node);
}

static const char *const debug_protocols[] = { "blkdebug", NULL };

const BlockDriver block_driver_blkdebug = {
    .name = "blkdebug",
    .flags = BLOCK_DRIVER_FILTER | BLOCK_DRIVER_PROTOCOL |
             BLOCK_DRIVER_GROWABLE,
    .protocols = debug_protocols,
    .parse_filename = debug_parse_filename,
    .state_size = sizeof(DebugState),
    .options = debug_options,
    .open = debug_open,
    .close = debug_close,
    .preadv = debug_preadv,
    .pwritev = debug_pwritev,
    .pwrite_zeroes = debug_pwrite_zeroes,
    .pdiscard = debug_pdiscard,
    .flush = debug_flush,
    .status = debug_status,
    .fua_native = true,
    .get_length = debug_get_length,
    .debug_command = debug_command,
    .debug_event = debug_event,
};
