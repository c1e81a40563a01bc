/*
 * Metadata contexts: LIST_META_CONTEXT and SET_META_CONTEXT.
 *
 * Queries are read one at a time and matched against the export's contexts;
 * what a client sends is never held whole.
 */
#include <errno.h>
#include <string.h>

#include "nbd/server-int.h"
#include "util/bytes.h"

/* In LIST these stand for all contexts that begin with them. */
static const char *const wildcards[] = { "base:", "qemu:", NBD_CONTEXT_BITMAP };

void nbd_context_set_clear(NbdContextSet *set)
{
    if (set->export) {
        nbd_export_unref(set->export);
    }
    g_free(set->ids);
    memset(set, 0, sizeof(*set));
}

static bool matches(const char *query, const char *context, bool list)
{
    if (!strcmp(query, context)) {
        return true;
    }
    for (size_t i = 0; list && i < G_N_ELEMENTS(wildcards); i++) {
        if (!strcmp(query, wildcards[i]) &&
            g_str_has_prefix(context, query)) {
            return true;
        }
    }
    return false;
}

/* 1, 0 malformed, -errno. */
static int read_query(NbdConnection *conn, NbdOption *opt, char *query,
                      bool *usable)
{
    uint8_t size[4];
    uint32_t length;
    int ret = nbd_option_take(conn, opt, size, 4);

    if (ret <= 0) {
        return ret;
    }
    length = ldl_be_p(size);
    if (length > opt->left) {
        return 0;
    }
    *usable = length <= NBD_MAX_STRING;
    while (length > NBD_MAX_STRING) {
        uint32_t part = MIN(length - NBD_MAX_STRING, NBD_MAX_STRING);
        ret = nbd_option_take(conn, opt, query, part);
        if (ret <= 0) {
            return ret;
        }
        length -= part;
    }
    ret = nbd_option_take(conn, opt, query, length);
    query[length] = 0;
    /* No context has a NUL in its name. */
    *usable = *usable && ret > 0 && strlen(query) == length;
    return ret;
}

static int reply_context(NbdConnection *conn, const NbdOption *opt,
                         uint32_t id, const char *name)
{
    size_t length = strlen(name);
    g_autofree uint8_t *data = g_malloc(4 + length);

    stl_be_p(data, id);
    memcpy(data + 4, name, length);
    return nbd_option_reply(conn, opt, NBD_REP_META_CONTEXT, data,
                            (uint32_t)(4 + length));
}

/* The queries; selected[i] says whether context i was meant. */
static int read_queries(NbdConnection *conn, NbdOption *opt, NbdExport *export,
                        bool list, bool *selected)
{
    g_autofree char *query = g_malloc(NBD_MAX_STRING + 1);
    uint8_t count_bytes[4];
    uint32_t count;
    int ret = nbd_option_take(conn, opt, count_bytes, 4);

    if (ret <= 0) {
        return ret;
    }
    count = ldl_be_p(count_bytes);
    for (unsigned i = 0; list && count == 0 && i < export->ncontexts; i++) {
        selected[i] = true;
    }
    for (uint32_t q = 0; q < count; q++) {
        bool usable;
        ret = read_query(conn, opt, query, &usable);
        if (ret <= 0) {
            return ret;
        }
        for (unsigned i = 0; usable && i < export->ncontexts; i++) {
            selected[i] |= matches(query, export->contexts[i], list);
        }
    }
    return opt->left == 0;
}

int nbd_server_meta_context(NbdConnection *conn, NbdOption *opt)
{
    bool list = opt->option == NBD_OPT_LIST_META_CONTEXT;
    g_autofree bool *selected = NULL;
    NbdExport *export;
    int ret;

    if (!list) {
        nbd_context_set_clear(&conn->contexts);
    }
    if (!conn->structured) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               "request option '%s' when structured reply "
                               "is not negotiated",
                               nbd_option_name(opt->option));
    }
    export = nbd_option_export(conn, opt, &ret);
    if (!export) {
        return ret;
    }
    selected = g_new0(bool, export->ncontexts);
    ret = read_queries(conn, opt, export, list, selected);
    if (ret == 0) {
        ret = nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                              "malformed query list");
        nbd_export_unref(export);
        return ret;
    }
    if (!list && ret > 0) {
        conn->contexts.export = nbd_export_ref(export);
        conn->contexts.ids = g_new(uint32_t, export->ncontexts);
    }
    for (unsigned i = 0; ret >= 0 && i < export->ncontexts; i++) {
        if (selected[i]) {
            ret = reply_context(conn, opt, list ? 0 : i, export->contexts[i]);
            if (!list) {
                conn->contexts.ids[conn->contexts.count++] = i;
            }
        }
    }
    nbd_export_unref(export);
    return ret < 0 ? ret : nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
}
