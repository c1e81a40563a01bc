/*
 * Driver "blkdebug": a disk that fails when it is told to, for tests.
 *
 * Rules wait for an event ("none": from the start) in a state (0: any) and
 * then fail the requests they match; other rules change the state.  Events
 * come from the drivers above through block_debug_event().  A break stops
 * whoever passes its event until it is resumed by tag, or the program ends.
 */
#include "block/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/filter.h"
#include "block/node-int.h"
#include "block/options.h"
#include "block/wind-up.h"

#define IO_TYPES "read/write/write-zeroes/discard/flush/block-status"

typedef enum IoType {
    IO_READ, IO_WRITE, IO_ZEROES, IO_DISCARD, IO_FLUSH, IO_STATUS,
} IoType;

/* The points drivers pass: block_debug_event() says these names. */
static const char *const event_names[] = {
    "none",
    "l1_update", "l1_grow_alloc_table", "l1_grow_write_table",
    "l1_grow_activate_table", "l1_shrink_write_table",
    "l1_shrink_free_l2_clusters",
    "l2_load", "l2_update", "l2_update_compressed", "l2_alloc_cow_read",
    "l2_alloc_write",
    "read_aio", "read_backing_aio", "read_compressed",
    "write_aio", "write_compressed", "vmstate_load", "vmstate_save",
    "cow_read", "cow_write", "cor_write",
    "reftable_load", "reftable_grow", "reftable_update",
    "refblock_load", "refblock_update", "refblock_update_part",
    "refblock_alloc", "refblock_alloc_hookup", "refblock_alloc_write",
    "refblock_alloc_write_blocks", "refblock_alloc_write_table",
    "refblock_alloc_switch_table",
    "cluster_alloc", "cluster_alloc_bytes", "cluster_alloc_space",
    "cluster_free",
    "flush_to_os", "flush_to_disk",
    "pwritev_rmw_head", "pwritev_rmw_after_head", "pwritev_rmw_tail",
    "pwritev_rmw_after_tail", "pwritev", "pwritev_zero", "pwritev_done",
    "empty_image_prepare",
    NULL
};

static bool check_event(const char *event, GError **error)
{
    if (g_strv_contains(event_names, event)) {
        return true;
    }
    g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid event name \"%s\"",
                event);
    return false;
}

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

/* Stops the next request that passes the event, once. */
typedef struct Break {
    char *event, *tag;
} Break;

/* A request that stands at a break; lives on its thread's stack. */
typedef struct Stopped {
    char *tag;
    bool resumed;
} Stopped;

typedef struct DebugState {
    GMutex lock;
    GCond changed;
    int64_t state;
    GArray *rules;
    GPtrArray *breaks;  /* of Break */
    GPtrArray *stopped; /* of Stopped, borrowed */
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
        !check_event(event, error) ||
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

static bool matches(const DebugState *s, const Rule *r, const char *event)
{
    return !strcmp(r->event, event) && (!r->state || r->state == s->state);
}

/* False when the program ends, for which nobody changes anything here. */
static bool wait_change(DebugState *s)
{
    g_cond_wait_until(&s->changed, &s->lock,
                      g_get_monotonic_time() + BLOCK_WIND_UP_LOOK_US);
    return !block_winding_up();
}

/* Waits while a break of the event says so; lock held, dropped meanwhile. */
static void stop_at_break(DebugState *s, const char *event)
{
    for (guint i = 0; i < s->breaks->len; i++) {
        Break *b = g_ptr_array_index(s->breaks, i);
        Stopped here = { NULL, false };

        if (strcmp(b->event, event)) {
            continue;
        }
        here.tag = g_strdup(b->tag);
        g_ptr_array_remove_index(s->breaks, i);
        g_ptr_array_add(s->stopped, &here);
        g_cond_broadcast(&s->changed);
        while (!here.resumed && wait_change(s)) {
        }
        g_ptr_array_remove(s->stopped, &here);
        g_free(here.tag);
        return;
    }
}

static void debug_event(BlockNode *node, const char *event)
{
    DebugState *s = node->state;
    int64_t new_state;
    bool wakes = false;
    bool any = false;

    g_mutex_lock(&s->lock);
    new_state = s->state;
    /* An event that wakes injections puts those of earlier events to rest. */
    for (guint i = 0; i < s->rules->len; i++) {
        Rule *r = &g_array_index(s->rules, Rule, i);

        wakes |= r->inject && matches(s, r, event);
        if (!r->inject && matches(s, r, event)) {
            new_state = r->new_state;
        }
    }
    for (guint i = 0; i < s->rules->len; i++) {
        Rule *r = &g_array_index(s->rules, Rule, i);

        if (wakes) {
            r->active = r->inject && matches(s, r, event);
        }
        any |= r->active && !r->spent;
    }
    s->state = new_state;
    __atomic_store_n(&s->any_active, any, __ATOMIC_RELEASE);
    stop_at_break(s, event);
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

static Stopped *find_stopped(DebugState *s, const char *tag)
{
    for (guint i = 0; i < s->stopped->len; i++) {
        Stopped *here = g_ptr_array_index(s->stopped, i);

        if (!here->resumed && !strcmp(here->tag, tag)) {
            return here;
        }
    }
    return NULL;
}

static bool resume_one(DebugState *s, const char *tag)
{
    Stopped *here = find_stopped(s, tag);

    if (here) {
        here->resumed = true;
        g_cond_broadcast(&s->changed);
    }
    return here != NULL;
}

/* Takes away all breaks of a tag and lets go of who stands there. */
static bool remove_breaks(DebugState *s, const char *tag)
{
    bool any = false;

    for (guint i = s->breaks->len; i-- > 0;) {
        Break *b = g_ptr_array_index(s->breaks, i);

        if (!strcmp(b->tag, tag)) {
            g_ptr_array_remove_index(s->breaks, i);
            any = true;
        }
    }
    while (resume_one(s, tag)) {
        any = true;
    }
    return any;
}

static void add_break(DebugState *s, const char *event, const char *tag)
{
    Break *b = g_new0(Break, 1);

    b->event = g_strdup(event);
    b->tag = g_strdup(tag);
    g_ptr_array_add(s->breaks, b);
}

static bool debug_command(BlockNode *node, const char *command,
                          const char *argument, const char *tag,
                          GError **error)
{
    DebugState *s = node->state;
    bool ok = true;

    if (!strcmp(command, "break") && !check_event(argument, error)) {
        return false;
    }
    g_mutex_lock(&s->lock);
    if (!strcmp(command, "break")) {
        add_break(s, argument, tag);
    } else if (!strcmp(command, "wait_break")) {
        while (!find_stopped(s, tag) && wait_change(s)) {
        }
    } else {
        ok = !strcmp(command, "resume") ? resume_one(s, tag)
                                        : remove_breaks(s, tag);
    }
    g_mutex_unlock(&s->lock);
    if (!ok) {
        g_set_error(error, BLOCK_ERROR, ENOENT, "No break with tag '%s'",
                    tag);
    }
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

/* A size of the options that must be a multiple of align. */
static bool get_limit(json_t *options, const char *name, uint64_t align,
                      uint64_t most, uint64_t *value, GError **error)
{
    *value = 0;
    if (!block_options_size(options, name, value, error)) {
        return false;
    }
    if (*value % align || *value > most) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Cannot meet constraints "
                    "with %s %" G_GUINT64_FORMAT, name, *value);
        return false;
    }
    return true;
}

static bool set_limits(BlockNode *node, json_t *options, GError **error)
{
    BlockLimits *limits = &node->limits;
    uint64_t align = 0, max, zeroes, discard;

    node->limits = node->file->node->limits;
    if (!block_options_size(options, "align", &align, error)) {
        return false;
    }
    if (align && (align > 65536 || (align & (align - 1)))) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Cannot meet constraints with align %" G_GUINT64_FORMAT,
                    align);
        return false;
    }
    if (align) {
        limits->request_alignment = align;
    }
    align = limits->request_alignment;
    if (!get_limit(options, "max-transfer", align, INT32_MAX, &max, error) ||
        !get_limit(options, "opt-write-zero", align, INT32_MAX, &zeroes,
                   error) ||
        !get_limit(options, "max-write-zero", MAX(zeroes, align), INT32_MAX,
                   &limits->max_zeroes, error) ||
        !get_limit(options, "opt-discard", align, INT32_MAX, &discard,
                   error) ||
        !get_limit(options, "max-discard", MAX(discard, align), INT32_MAX,
                   &limits->max_discard, error)) {
        return false;
    }
    limits->max_transfer = max ? max : limits->max_transfer;
    limits->zeroes_alignment = zeroes;
    limits->discard_alignment = discard;
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
    g_ptr_array_unref(s->stopped);
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
    s->stopped = g_ptr_array_new();
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
    .get_length = block_filter_get_length,
    .debug_command = debug_command,
    .debug_event = debug_event,
};
