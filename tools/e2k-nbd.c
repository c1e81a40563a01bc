/*
 * e2k-nbd: serves disk images over NBD, or lists what a server has.
 *
 * This file reads the command line.  Options are one table, from which the
 * parser and --help are made; each names the function that takes its value.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/nbd-object.h"
#include "block/node.h"
#include "block/object.h"
#include "block/options.h"
#include "nbd/kernel.h"
#include "nbd/protocol.h"
#include "nbd/server.h"
#include "tools/e2k-nbd.h"
#include "util/log.h"

#define DEFAULT_HANDSHAKE_SECONDS 10

static void G_GNUC_PRINTF(1, 0)
print_error(const char *format, va_list ap)
{
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
}

void nbd_tool_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_error(format, ap);
    va_end(ap);
}

static void G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN die(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_error(format, ap);
    va_end(ap);
    exit(1);
}

/* ---- Values of options ------------------------------------------------------ */

static NbdToolExport *main_export(NbdToolOptions *o)
{
    return o->exports->pdata[0];
}

static NbdToolExport *new_export(void)
{
    NbdToolExport *e = g_new0(NbdToolExport, 1);

    e->bitmaps = g_ptr_array_new_with_free_func(g_free);
    return e;
}

static void set_string(char **to, const char *value)
{
    char *copy = g_strdup(value);

    g_free(*to);
    *to = copy;
}

static unsigned parse_number(const char *text, unsigned max,
                             const char *message)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, max, &value, NULL)) {
        die("%s '%s'", message, text);
    }
    return (unsigned)value;
}

static void take_port(NbdToolOptions *o, const char *value)
{
    guint64 port;

    /* Beyond 65535 only for vsock: see check_options(). */
    if (!g_ascii_string_to_unsigned(value, 10, 1, UINT32_MAX, &port, NULL)) {
        die("Invalid port '%s'", value);
    }
    set_string(&o->port, value);
}

static void take_bind(NbdToolOptions *o, const char *value)
{
    set_string(&o->bind, value);
}

static void take_socket(NbdToolOptions *o, const char *value)
{
    if (*value != '/') {
        die("socket path must be absolute");
    }
    set_string(&o->socket, value);
}

static void take_shared(NbdToolOptions *o, const char *value)
{
    o->shared = parse_number(value, INT32_MAX, "Invalid shared device number");
}

static void take_format(NbdToolOptions *o, const char *value)
{
    set_string(&main_export(o)->format, value);
}

static void take_image_opts(NbdToolOptions *o, const char *value)
{
    main_export(o)->image_opts = true;
}

static void take_name(NbdToolOptions *o, const char *value)
{
    if (strlen(value) > NBD_MAX_STRING) {
        die("export name '%s' too long", value);
    }
    set_string(&main_export(o)->name, value);
}

static void take_description(NbdToolOptions *o, const char *value)
{
    if (strlen(value) > NBD_MAX_STRING) {
        die("export description '%s' too long", value);
    }
    set_string(&main_export(o)->description, value);
}

static void take_offset(NbdToolOptions *o, const char *value)
{
    if (!block_parse_size(value, &main_export(o)->offset) ||
        main_export(o)->offset > INT64_MAX) {
        die("Invalid offset '%s'", value);
    }
}

static void take_bitmap(NbdToolOptions *o, const char *value)
{
    g_ptr_array_add(main_export(o)->bitmaps, g_strdup(value));
}

static void take_read_only(NbdToolOptions *o, const char *value)
{
    main_export(o)->read_only = true;
}

static void take_temporary(NbdToolOptions *o, const char *value)
{
    main_export(o)->temporary = true;
}

/* "snapshot.id=X", "snapshot.name=X" or just the id or name. */
static void take_snapshot(NbdToolOptions *o, const char *value)
{
    const char *tag = value;

    if (g_str_has_prefix(value, "snapshot.id=") ||
        g_str_has_prefix(value, "snapshot.name=")) {
        tag = strchr(value, '=') + 1;
    }
    set_string(&main_export(o)->snapshot_tag, tag);
    main_export(o)->read_only = true;
}

static const struct {
    const char *name;
    unsigned flags;
    bool writethrough;
} cache_modes[] = {
    { "none", BLOCK_OPEN_DIRECT, false },
    { "off", BLOCK_OPEN_DIRECT, false },
    { "directsync", BLOCK_OPEN_DIRECT, true },
    { "writeback", 0, false },
    { "writethrough", 0, true },
    { "unsafe", BLOCK_OPEN_NO_FLUSH, false },
};

static void take_cache(NbdToolOptions *o, const char *value)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cache_modes); i++) {
        if (!strcmp(value, cache_modes[i].name)) {
            o->open_flags &= ~(unsigned)(BLOCK_OPEN_DIRECT |
                                         BLOCK_OPEN_NO_FLUSH);
            o->open_flags |= cache_modes[i].flags;
            o->writethrough = cache_modes[i].writethrough;
            return;
        }
    }
    die("Invalid cache mode `%s'", value);
}

static void take_nocache(NbdToolOptions *o, const char *value)
{
    take_cache(o, "none");
}

static void take_aio(NbdToolOptions *o, const char *value)
{
    if (!block_aio_flags(value, &o->open_flags)) {
        die("Invalid aio mode '%s'", value);
    }
}

static void take_discard(NbdToolOptions *o, const char *value)
{
    bool on = !strcmp(value, "unmap") || !strcmp(value, "on");

    if (!on && strcmp(value, "ignore") && strcmp(value, "off")) {
        die("Invalid discard mode `%s'", value);
    }
    o->open_flags &= ~(unsigned)BLOCK_OPEN_UNMAP;
    o->open_flags |= on ? BLOCK_OPEN_UNMAP : 0;
}

static void take_detect_zeroes(NbdToolOptions *o, const char *value)
{
    o->open_flags &= ~(unsigned)(BLOCK_OPEN_DETECT_ZEROES |
                                 BLOCK_OPEN_DETECT_UNMAP);
    if (!strcmp(value, "on")) {
        o->open_flags |= BLOCK_OPEN_DETECT_ZEROES;
    } else if (!strcmp(value, "unmap")) {
        o->open_flags |= BLOCK_OPEN_DETECT_ZEROES | BLOCK_OPEN_DETECT_UNMAP;
    } else if (strcmp(value, "off")) {
        die("Failed to parse detect_zeroes mode: Parameter '%s' does not "
            "accept value", value);
    }
}

static void take_object(NbdToolOptions *o, const char *value)
{
    g_autoptr(GError) error = NULL;

    if (!block_object_add_text(value, &error)) {
        die("%s", error->message);
    }
}

/* One more export: name=N,file=F[,format=X][,read-only=on][,bitmap=B]... */
static void take_add(NbdToolOptions *o, const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    NbdToolExport *e = new_export();

    g_ptr_array_add(o->exports, e);
    for (size_t i = 0; parts[i]; i++) {
        char *equals = strchr(parts[i], '=');
        const char *v = equals ? equals + 1 : "on";
        if (equals) {
            *equals = 0;
        }
        if (!strcmp(parts[i], "name")) {
            set_string(&e->name, v);
        } else if (!strcmp(parts[i], "file")) {
            set_string(&e->file, v);
        } else if (!strcmp(parts[i], "format")) {
            set_string(&e->format, v);
        } else if (!strcmp(parts[i], "description")) {
            set_string(&e->description, v);
        } else if (!strcmp(parts[i], "bitmap")) {
            g_ptr_array_add(e->bitmaps, g_strdup(v));
        } else if (!strcmp(parts[i], "read-only")) {
            e->read_only = !strcmp(v, "on");
        } else {
            die("Invalid parameter '%s' of --add", parts[i]);
        }
    }
    if (!e->file || !e->name) {
        die("--add needs file= and name=");
    }
}

static const struct {
    const char *name;
    unsigned bit;   /* of the server */
    unsigned flags; /* of the image */
} tune_names[] = {
    { "no-pipe", NBD_TUNE_NO_PIPE, 0 },
    { "no-pool", NBD_TUNE_NO_POOL, 0 },
    { "no-inline", NBD_TUNE_NO_INLINE, 0 },
    { "no-batch", NBD_TUNE_NO_BATCH, 0 },
    { "no-sparse", NBD_TUNE_NO_SPARSE, 0 },
    { "no-uring", NBD_TUNE_NO_URING, 0 },
    { "no-awake", NBD_TUNE_NO_AWAKE, 0 },
    { "no-pieces", NBD_TUNE_NO_PIECES, 0 },
    { "no-map", 0, BLOCK_OPEN_NO_MAP },
    { "local-pipe", NBD_TUNE_LOCAL_PIPE, 0 },
};

static void take_tune(NbdToolOptions *o, const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);

    for (size_t i = 0; parts[i]; i++) {
        size_t k = 0;
        while (k < G_N_ELEMENTS(tune_names) &&
               strcmp(parts[i], tune_names[k].name)) {
            k++;
        }
        if (k == G_N_ELEMENTS(tune_names)) {
            die("Unknown optimisation '%s'", parts[i]);
        }
        o->tune |= tune_names[k].bit;
        o->open_flags |= tune_names[k].flags;
    }
}

#define FLAG(field)                                                            \
    static void take_##field(NbdToolOptions *o, const char *value)             \
    {                                                                          \
        o->field = true;                                                       \
    }
FLAG(persistent)
FLAG(allocation_depth)
FLAG(list)
FLAG(fork)
FLAG(verbose)
#undef FLAG

#define STRING(field)                                                          \
    static void take_##field(NbdToolOptions *o, const char *value)             \
    {                                                                          \
        set_string(&o->field, value);                                          \
    }
STRING(connect_device)
STRING(disconnect_device)
STRING(tls_creds)
STRING(tls_authz)
STRING(tls_hostname)
#undef STRING

static void take_pid_file(NbdToolOptions *o, const char *value)
{
    g_autofree char *path = g_canonicalize_filename(value, NULL);

    set_string(&o->pid_file, path);
}

static void take_handshake_limit(NbdToolOptions *o, const char *value)
{
    o->handshake_seconds = parse_number(value, 1000000,
                                        "Invalid handshake limit");
}

static void take_trace(NbdToolOptions *o, const char *value)
{
    g_autoptr(GError) error = NULL;

    /* Requests are logged; patterns of other programs are accepted. */
    if (!log_set_items("nbd", &error)) {
        die("%s", error->message);
    }
}

static void take_selinux(NbdToolOptions *o, const char *value)
{
    die("SELinux support not enabled in this binary");
}

static void print_help(NbdToolOptions *o, const char *value);
static void print_version(NbdToolOptions *o, const char *value);

/* ---- The table -------------------------------------------------------------- */

typedef struct ToolOption {
    int letter; /* 0: long only */
    const char *name;
    const char *argument;
    void (*take)(NbdToolOptions *o, const char *value);
    const char *help;
} ToolOption;

static const ToolOption tool_options[] = {
    { 0, NULL, NULL, NULL, "General purpose options:" },
    { 'h', "help", NULL, print_help, "display this help and exit" },
    { 'V', "version", NULL, print_version, "output version and exit" },
    { 'v', "verbose", NULL, take_verbose, "report clients that go wrong" },
    { 'T', "trace", "[[enable=]PATTERN]", take_trace, "log requests" },
    { 0, "object", "TYPE,id=ID,...", take_object,
      "define an object such as 'tls-creds-x509'" },

    { 0, NULL, NULL, NULL, "Connection properties:" },
    { 'p', "port", "PORT", take_port, "port to listen on (default 10809)" },
    { 'b', "bind", "IFACE", take_bind,
      "interface to bind to (default 0.0.0.0), or vsock:[CID]" },
    { 'k', "socket", "PATH", take_socket, "path of a unix socket" },
    { 'e', "shared", "NUM", take_shared,
      "clients at a time (default 1, 0 for no limit)" },
    { 't', "persistent", NULL, take_persistent,
      "do not exit when the last client leaves" },
    { 'L', "list", NULL, take_list, "list the exports of another server" },
    { 0, "handshake-limit", "N", take_handshake_limit,
      "seconds to negotiate (default 10, 0 for no limit)" },
    { 0, "tls-creds", "ID", take_tls_creds, "use TLS with these credentials" },
    { 0, "tls-authz", "ID", take_tls_authz,
      "authorise clients by their certificate" },
    { 0, "tls-hostname", "NAME", take_tls_hostname,
      "override the name to check in list mode" },
    { 0, "fork", NULL, take_fork, "serve in the background" },
    { 0, "pid-file", "PATH", take_pid_file, "store the process id" },
    { 0, "selinux-label", "LABEL", take_selinux, "(not supported)" },

    { 0, NULL, NULL, NULL, "Exposing part of the image:" },
    { 'o', "offset", "OFFSET", take_offset, "offset into the image" },

    { 0, NULL, NULL, NULL, "Export properties:" },
    { 'x', "export-name", "NAME", take_name, "expose the export by this name" },
    { 'D', "description", "TEXT", take_description, "describe the export" },
    { 'A', "allocation-depth", NULL, take_allocation_depth,
      "expose the allocation depth" },
    { 'B', "bitmap", "NAME", take_bitmap,
      "expose a persistent dirty bitmap (repeatable)" },
    { 0, "add", "name=N,file=F,...", take_add,
      "one more export (format=, read-only=on, description=, bitmap=)" },

    { 0, NULL, NULL, NULL, "Kernel NBD client support:" },
    { 'c', "connect", "DEV", take_connect_device,
      "connect FILE to the device DEV" },
    { 'd', "disconnect", "DEV", take_disconnect_device,
      "disconnect the device DEV" },

    { 0, NULL, NULL, NULL, "Block device options:" },
    { 'f', "format", "FORMAT", take_format, "set image format (raw, ...)" },
    { 0, "image-opts", NULL, take_image_opts,
      "FILE is driver=...,key=value,..." },
    { 'r', "read-only", NULL, take_read_only, "export read-only" },
    { 's', "snapshot", NULL, take_temporary,
      "use FILE as the base of a temporary overlay" },
    { 'l', "load-snapshot", "SNAPSHOT", take_snapshot,
      "export an internal snapshot" },
    { 'n', "nocache", NULL, take_nocache, "bypass the host cache" },
    { 0, "cache", "MODE", take_cache,
      "none, writeback, writethrough, directsync, unsafe" },
    { 0, "aio", "MODE", take_aio, "threads, native, io_uring" },
    { 0, "discard", "MODE", take_discard, "ignore, unmap" },
    { 0, "detect-zeroes", "MODE", take_detect_zeroes, "off, on, unmap" },
    { 0, "tune", "LIST", take_tune,
      "switch optimisations off: no-pipe, no-pool, no-inline, no-batch, "
      "no-sparse, no-uring, no-awake, no-pieces, no-map; on: local-pipe" },
};

static void print_help(NbdToolOptions *o, const char *value)
{
    printf("Usage: %s [OPTIONS] FILE\n  or:  %s -L [OPTIONS] [URI]\n"
           "Serves a disk image over the NBD protocol.\n",
           program_invocation_short_name, program_invocation_short_name);
    for (size_t i = 0; i < G_N_ELEMENTS(tool_options); i++) {
        const ToolOption *t = &tool_options[i];
        g_autofree char *left = NULL;

        if (!t->name) {
            printf("\n%s\n", t->help);
            continue;
        }
        left = g_strdup_printf("%c%c%s--%s%s%s", t->letter ? '-' : ' ',
                               t->letter ? t->letter : ' ',
                               t->letter ? ", " : "  ", t->name,
                               t->argument ? "=" : "",
                               t->argument ? t->argument : "");
        printf("  %-33s %s\n", left, t->help);
    }
    exit(0);
}

static void print_version(NbdToolOptions *o, const char *value)
{
    printf("%s %s (e2k-emu)\n", program_invocation_short_name, E2K_VERSION);
    exit(0);
}

/* Long options by their index in the table, short ones by their letter. */
#define LONG_BASE 1000

static void parse_options(NbdToolOptions *o, int argc, char **argv)
{
    g_autofree struct option *longs =
        g_new0(struct option, G_N_ELEMENTS(tool_options) + 1);
    g_autoptr(GString) shorts = g_string_new(NULL);
    size_t n = 0;
    int c;

    for (size_t i = 0; i < G_N_ELEMENTS(tool_options); i++) {
        const ToolOption *t = &tool_options[i];
        bool optional = t->argument && *t->argument == '[';
        if (!t->name) {
            continue;
        }
        longs[n].name = t->name;
        longs[n].has_arg = optional ? optional_argument
                           : t->argument ? required_argument : no_argument;
        longs[n++].val = LONG_BASE + (int)i;
        if (t->letter) {
            g_string_append_printf(shorts, "%c%s", t->letter,
                                   t->argument ? ":" : "");
        }
    }
    while ((c = getopt_long(argc, argv, shorts->str, longs, NULL)) != -1) {
        const ToolOption *found = NULL;
        for (size_t i = 0; i < G_N_ELEMENTS(tool_options); i++) {
            if (c == LONG_BASE + (int)i || (c == tool_options[i].letter && c)) {
                found = &tool_options[i];
            }
        }
        if (c == '?' || !found) {
            die("Try `%s --help' for more information.",
                program_invocation_short_name);
        }
        found->take(o, optarg);
    }
}

/* ---- What does not go together ---------------------------------------------- */

static void check_list_mode(const NbdToolOptions *o, int files)
{
    const NbdToolExport *e = o->exports->pdata[0];

    if (files && !o->list_uri) {
        die("List mode is incompatible with a file name");
    }
    if (o->list_uri && (o->socket || o->bind || o->port)) {
        die("The server is given by its URI and by other options");
    }
    if (e->name || e->description || e->offset || e->format ||
        e->image_opts || e->bitmaps->len || e->read_only || e->temporary ||
        o->allocation_depth || o->exports->len > 1 || o->connect_device) {
        die("List mode is incompatible with per-device settings");
    }
    if (o->fork) {
        die("List mode is incompatible with forking");
    }
}

static void check_activation(const NbdToolOptions *o)
{
    unsigned fds = nbd_tool_activation_fds();

    if (fds == 0) {
        return;
    }
    if (o->connect_device || o->disconnect_device) {
        die("NBD device can't be set when using socket activation");
    }
    if (o->socket) {
        die("Unix socket can't be set when using socket activation");
    }
    if (o->bind) {
        die("The interface can't be set when using socket activation");
    }
    if (o->port) {
        die("TCP port number can't be set when using socket activation");
    }
    if (o->list) {
        die("List mode is incompatible with socket activation");
    }
    if (fds > 1) {
        die("%s does not support socket activation with LISTEN_FDS > 1",
            program_invocation_short_name);
    }
}

static void check_options(const NbdToolOptions *o, int files)
{
    const NbdToolExport *e = o->exports->pdata[0];

    if (o->port && atoll(o->port) > 65535 &&
        !(o->bind && g_str_has_prefix(o->bind, "vsock:"))) {
        die("Invalid port '%s'", o->port);
    }
    if (o->tls_authz && !o->tls_creds) {
        die("--tls-authz is not permitted without --tls-creds");
    }
    if (o->tls_hostname && !(o->list && o->tls_creds)) {
        die("TLS hostname is only supported with --list and --tls-creds");
    }
    if (e->image_opts && e->format) {
        die("--image-opts and -f are mutually exclusive");
    }
    if ((o->open_flags & BLOCK_OPEN_DETECT_UNMAP) &&
        !(o->open_flags & BLOCK_OPEN_UNMAP)) {
        die("setting detect-zeroes to unmap is not allowed without setting "
            "discard operation to unmap");
    }
    if (!o->list && files + (int)o->exports->len - 1 < 1) {
        die("Invalid number of arguments\nTry `%s --help' for more "
            "information.", program_invocation_short_name);
    }
    if (files > 1) {
        die("Invalid number of arguments\nTry `%s --help' for more "
            "information.", program_invocation_short_name);
    }
}

NbdAddress *nbd_tool_address(const NbdToolOptions *o)
{
    if (o->socket) {
        return nbd_address_new_unix(o->socket);
    }
    if (o->bind && g_str_has_prefix(o->bind, "vsock:")) {
        return nbd_address_new_vsock(o->bind + strlen("vsock:"), o->port);
    }
    return nbd_address_new_inet(o->bind ? o->bind
                                : o->list ? "localhost" : "0.0.0.0",
                                o->port);
}

static void export_free(gpointer p)
{
    NbdToolExport *e = p;

    g_free(e->file);
    g_free(e->format);
    g_free(e->name);
    g_free(e->description);
    g_free(e->snapshot_tag);
    g_ptr_array_unref(e->bitmaps);
    g_free(e);
}

static void free_options(NbdToolOptions *o)
{
    char *strings[] = {
        o->socket, o->bind, o->port, o->pid_file, o->connect_device,
        o->disconnect_device, o->tls_creds, o->tls_authz, o->tls_hostname,
    };

    g_ptr_array_unref(o->exports);
    for (size_t i = 0; i < G_N_ELEMENTS(strings); i++) {
        g_free(strings[i]);
    }
}

static int run(NbdToolOptions *o)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(NbdTlsCreds) tls = NULL;

    if (o->tls_creds) {
        tls = block_nbd_tls_creds(o->tls_creds, !o->list, &error);
        if (!tls) {
            die("Failed to get TLS creds: %s", error->message);
        }
    }
    return o->list ? nbd_tool_list(o, tls) : nbd_tool_serve(o, tls);
}

int main(int argc, char **argv)
{
    NbdToolOptions o = { .shared = 1,
                         .handshake_seconds = DEFAULT_HANDSHAKE_SECONDS };
    NbdToolExport *first;
    int files;
    int status;

    o.exports = g_ptr_array_new_with_free_func(export_free);
    first = new_export();
    g_ptr_array_add(o.exports, first);
    parse_options(&o, argc, argv);
    files = argc - optind;
    check_activation(&o);
    if (o.disconnect_device) {
        g_autoptr(GError) error = NULL;
        if (!nbd_kernel_disconnect(o.disconnect_device, &error)) {
            die("%s", error->message);
        }
        return 0;
    }
    if (o.list) {
        if (files == 1 && strstr(argv[optind], "://")) {
            o.list_uri = argv[optind];
        }
        check_list_mode(&o, files);
    }
    check_options(&o, files);
    if (files && !o.list) {
        first->file = g_strdup(argv[optind]);
        set_string(&first->name, first->name ? first->name : "");
    } else if (!o.list) {
        g_ptr_array_remove_index(o.exports, 0);
    }
    if (o.connect_device && o.exports->len > 1) {
        die("-c serves one export only");
    }
    status = run(&o);
    free_options(&o);
    return status;
}
