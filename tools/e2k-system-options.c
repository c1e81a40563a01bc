/*
 * The options of e2k-system: one table, one small function for each that
 * needs a check.  Every refusal says what is accepted.
 */
#include "tools/e2k-system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/options.h"
#include "hw/loader.h"
#include "util/log.h"

typedef struct OptionSpec {
    const char *name;
    const char *argument; /* NULL: none */
    bool (*apply)(SystemOptions *o, const char *text, GError **error);
    const char *help;     /* NULL: accepted for other people's scripts */
} OptionSpec;

static bool refuse(GError **error, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static bool refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);

    va_end(args);
    g_set_error_literal(error, TOOL_ERROR, 0, message);
    return false;
}

static bool is_help(const char *text)
{
    return !strcmp(text, "help") || !strcmp(text, "?");
}

static bool set_machine(SystemOptions *o, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    const char *name = words[0] ? words[0] : "";
    const BoardClass *board;

    if (g_str_has_prefix(name, "type=")) {
        name += strlen("type=");
    }
    if (is_help(name)) {
        printf("Supported machines are:\n");
        for (unsigned n = 0; (board = board_nth(n)); n++) {
            printf("%-12s %s%s\n", board->name, board->help,
                   board == &board_virt ? " (default)" : "");
        }
        exit(EXIT_SUCCESS);
    }
    o->board = board_find(name);
    if (o->board && words[1]) {
        return refuse(error, "machine '%s' has no option '%s'", name,
                      words[1]);
    }
    if (!o->board) {
        g_autoptr(GString) known = g_string_new(NULL);

        for (unsigned n = 0; (board = board_nth(n)); n++) {
            g_string_append_printf(known, "%s%s", n ? ", " : "", board->name);
        }
        return refuse(error, "unknown machine '%s'; there are: %s", name,
                      known->str);
    }
    return true;
}

static bool set_cpu(SystemOptions *o, const char *text, GError **error)
{
    const CpuModel *model = cpu_model_find(text);

    if (is_help(text)) {
        printf("Supported CPUs are:\n");
        for (model = cpu_models; model->name; model++) {
            printf("%-8s %s (ISA v%u)\n", model->name, model->help,
                   model->isa);
        }
        exit(EXIT_SUCCESS);
    }
    if (!model) {
        g_autoptr(GString) known = g_string_new(NULL);

        for (model = cpu_models; model->name; model++) {
            g_string_append_printf(known, "%s%s", known->len ? ", " : "",
                                   model->name);
        }
        return refuse(error, "unknown CPU '%s'; there are: %s", text,
                      known->str);
    }
    o->config.model = model;
    return true;
}

static bool set_memory(SystemOptions *o, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    const char *size = words[0] ? words[0] : "";
    g_autofree char *with_unit = NULL;

    if (g_str_has_prefix(size, "size=")) {
        size += strlen("size=");
    }
    if (*size && g_ascii_isdigit(size[strlen(size) - 1])) {
        with_unit = g_strconcat(size, "M", NULL);
        size = with_unit;
    }
    if (!block_parse_size(size, &o->config.ram_bytes) ||
        !o->config.ram_bytes) {
        return refuse(error, "'%s' is not a memory size; say for example "
                      "256M or 2G", text);
    }
    if (o->config.ram_bytes > UINT64_C(1) << 36) {
        return refuse(error, "at most 64G of memory");
    }
    return true;
}

/*
 * [cpus=]N and how they are arranged: sockets, dies, cores, threads.  Guests
 * see a row of CPUs; what multiplies to another number is a mistake.
 */
static bool set_smp(SystemOptions *o, const char *text, GError **error)
{
    static const char *const parts[] = { "sockets", "dies", "cores",
                                         "threads" };
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    guint64 cpus = 0, product = 1;

    if (!*text) {
        return refuse(error, "'' is not a number of CPUs");
    }
    for (char **word = words; *word; word++) {
        const char *given = *word;
        const char *equals = strchr(given, '=');
        g_autofree char *key =
            equals ? g_strndup(given, equals - given)
                   : g_strdup(word == words ? "cpus" : "");
        guint64 value;
        bool is_part = g_strv_contains(parts, key);

        if (!is_part && strcmp(key, "cpus") && strcmp(key, "maxcpus")) {
            return refuse(error, "unknown option '%s'; there are: cpus, "
                          "maxcpus, sockets, dies, cores, threads", given);
        }
        if (!g_ascii_string_to_unsigned(equals ? equals + 1 : given, 10, 1,
                                        1024, &value, NULL)) {
            return refuse(error, "'%s' is not a number of CPUs", given);
        }
        product *= is_part ? value : 1;
        cpus = strcmp(key, "cpus") ? cpus : value;
    }
    if (cpus && product > 1 && product != cpus) {
        return refuse(error, "'%s': the parts multiply to %u", text,
                      (unsigned)product);
    }
    o->config.n_cpus = cpus ? cpus : product;
    return true;
}

static bool set_smp_entry(SystemOptions *o, const char *text, GError **error)
{
    if (strcmp(text, "all") && strcmp(text, "first")) {
        return refuse(error, "'%s' is neither 'first' nor 'all'", text);
    }
    o->config.smp_entry_all = !strcmp(text, "all");
    return true;
}

static bool set_raw_base(SystemOptions *o, const char *text, GError **error)
{
    char *end;

    errno = 0;
    o->config.raw_base = g_ascii_strtoull(text, &end, 0);
    if (errno || *end || end == text || o->config.raw_base % PHYS_PAGE_BYTES) {
        return refuse(error, "'%s' is not a page-aligned address", text);
    }
    return true;
}

static bool set_accel(SystemOptions *o, const char *text, GError **error)
{
    if (is_help(text)) {
        printf("Accelerators supported:\njit\ninterp\nqtest\n\n");
        engine_help(stdout);
        exit(EXIT_SUCCESS);
    }
    if (!strcmp(text, "qtest")) {
        o->accel_qtest = true;
        return true;
    }
    if (!strcmp(text, "tcg") || g_str_has_prefix(text, "tcg,")) {
        o->engine = ENGINE_JIT; /* with options of other emulators */
        return true;
    }
    if (!g_str_has_prefix(text, "jit") && !g_str_has_prefix(text, "interp")) {
        return refuse(error, "unknown accelerator '%s'; there are: jit, "
                      "interp, qtest", text);
    }
    return engine_parse(text, &o->engine, &o->engine_config, error);
}

static bool set_serial(SystemOptions *o, const char *text, GError **error)
{
    if (!strcmp(text, "stdio") || !strcmp(text, "mon:stdio")) {
        o->console = CONSOLE_STDIO;
    } else if (!strcmp(text, "none") || !strcmp(text, "null")) {
        o->console = CONSOLE_NONE;
    } else if (g_str_has_prefix(text, "file:")) {
        o->console = CONSOLE_FILE;
        o->console_path = text + strlen("file:");
    } else {
        return refuse(error, "unknown target '%s'; there are: stdio, none, "
                      "null, file:PATH", text);
    }
    return true;
}

static bool set_log(SystemOptions *o, const char *text, GError **error)
{
    if (is_help(text)) {
        log_help(stdout);
        exit(EXIT_SUCCESS);
    }
    return *text ? log_set_items(text, error)
                 : refuse(error, "'' is no log item; 'help' lists them");
}

static bool set_log_file(SystemOptions *o, const char *text, GError **error)
{
    return log_set_file(text, error);
}

static bool add_device(SystemOptions *o, const char *text, GError **error)
{
    if (is_help(text)) {
        system_devices_help();
        exit(EXIT_SUCCESS);
    }
    g_ptr_array_add(o->devices, (char *)text);
    return true;
}

static bool add_drive(SystemOptions *o, const char *text, GError **error)
{
    if (!strcmp(text, "format=help") || !strcmp(text, "format=?")) {
        system_formats_help();
        exit(EXIT_SUCCESS);
    }
    g_ptr_array_add(o->drives, (char *)text);
    return true;
}

static bool accept_any(SystemOptions *o, const char *text, GError **error)
{
    return true;
}

#define TEXT(field)                                                            \
    static bool set_##field(SystemOptions *o, const char *text,                \
                            GError **error)                                    \
    {                                                                          \
        o->config.field = text;                                                \
        return true;                                                           \
    }
#define FLAG(field)                                                            \
    static bool set_##field(SystemOptions *o, const char *text,                \
                            GError **error)                                    \
    {                                                                          \
        o->field = true;                                                       \
        return true;                                                           \
    }
#define LIST(field)                                                            \
    static bool add_##field(SystemOptions *o, const char *text,                \
                            GError **error)                                    \
    {                                                                          \
        g_ptr_array_add(o->field, (char *)text);                               \
        return true;                                                           \
    }

TEXT(kernel)
TEXT(initrd)
TEXT(append)
TEXT(dtb)
TEXT(dump_dtb)
FLAG(paused)
FLAG(no_reboot)
FLAG(no_shutdown)
FLAG(snapshot)
FLAG(trap_exit)
LIST(blockdevs)
LIST(netdevs)
LIST(monitors)
LIST(pretty_monitors)
LIST(human_monitors)
LIST(chardevs)
LIST(mons)
LIST(objects)
LIST(exports)

static bool set_pid_file(SystemOptions *o, const char *text, GError **error)
{
    o->pid_file = text;
    return true;
}

static bool set_qtest(SystemOptions *o, const char *text, GError **error)
{
    o->qtest = text;
    return true;
}

static bool set_loadvm(SystemOptions *o, const char *text, GError **error)
{
    o->loadvm = text;
    return true;
}

static bool set_incoming(SystemOptions *o, const char *text, GError **error)
{
    o->incoming = text;
    return true;
}

/* PORT, tcp:[HOST]:PORT or unix:PATH, each with what gdbstub.h allows behind. */
static bool set_gdb(SystemOptions *o, const char *text, GError **error)
{
    g_autofree char *where = g_strndup(text, strcspn(text, ","));
    const char *colon = strrchr(where, ':');
    const char *port = colon ? colon + 1 : where;

    if (!g_str_has_prefix(text, "unix:") && !strchr(text, '/') &&
        !g_ascii_string_to_unsigned(port, 10, 0, 65535, NULL, NULL)) {
        return refuse(error, "'%s' is not PORT, tcp:[HOST]:PORT or unix:PATH",
                      text);
    }
    o->gdb = text;
    return true;
}

static bool set_gdb_default(SystemOptions *o, const char *text,
                            GError **error)
{
    o->gdb = "tcp:127.0.0.1:1234";
    return true;
}

static bool show_help(SystemOptions *o, const char *text, GError **error);

static bool show_version(SystemOptions *o, const char *text, GError **error)
{
    printf("e2k-system " E2K_VERSION "\n");
    exit(EXIT_SUCCESS);
}

static const OptionSpec specs[] = {
    { "M", "MACHINE", set_machine, "machine; 'help' lists them" },
    { "machine", "MACHINE", set_machine, NULL },
    { "cpu", "MODEL", set_cpu, "CPU model or v3..v6; 'help' lists them" },
    { "m", "SIZE", set_memory, "memory, in MiB or with a unit" },
    { "smp", "N", set_smp, "number of CPUs" },
    { "smp-entry", "first|all", set_smp_entry,
      "which CPUs start at the entry; others wait for a STARTUP message" },
    { "accel", "NAME", set_accel, "jit (default) or interp" },
    { "kernel", "FILE", set_kernel, "guest image: ELF, e2k boot image, raw" },
    { "raw-base", "ADDRESS", set_raw_base,
      "load a raw image there; also moves boot images and linked kernels" },
    { "append", "TEXT", set_append, "command line of the guest" },
    { "initrd", "FILE", set_initrd, "initial RAM disk" },
    { "dtb", "FILE", set_dtb, "device tree in place of the built one" },
    { "dump-dtb", "FILE", set_dump_dtb, "write the built device tree" },
    { "drive", "file=F[,format=F][,if=virtio|none][,id=ID]...", add_drive,
      "disk image, and the device it is seen through" },
    { "blockdev", "OPTIONS", add_blockdevs, "node of the block graph" },
    { "device", "NAME[,OPTION=VALUE]...", add_device,
      "device; 'help' lists them" },
    { "netdev", "user|stream,id=ID[,OPTION=VALUE]...", add_netdevs,
      "network behind a card" },
    { "object", "OPTIONS", add_objects, "helper object (tls-creds-..., ...)" },
    { "export", "OPTIONS", add_exports, "block export, as block-export-add" },
    { "serial", "stdio|none|file:PATH", set_serial, "console" },
    { "nographic", NULL, accept_any, "console on standard input and output" },
    { "display", "none", accept_any, NULL },
    { "vga", "none", accept_any, NULL },
    { "nodefaults", NULL, accept_any, NULL },
    { "no-user-config", NULL, accept_any, NULL },
    { "name", "TEXT", accept_any, NULL },
    { "qmp", "ADDRESS", add_monitors,
      "QMP monitor: unix:PATH,server=on,wait=off, tcp:..., stdio" },
    { "qmp-pretty", "ADDRESS", add_pretty_monitors,
      "the same, with indented replies" },
    { "monitor", "ADDRESS", add_human_monitors,
      "human monitor: stdio, unix:..., tcp:..., or none" },
    { "qtest", "unix:PATH", set_qtest,
      "answer a test program's lines, as its client" },
    { "chardev", "OPTIONS", add_chardevs, "character device of a monitor" },
    { "mon", "OPTIONS", add_mons, "monitor on a character device" },
    { "S", NULL, set_paused, "wait for 'cont' before running" },
    { "s", NULL, set_gdb_default, "debugger at port 1234 of this host" },
    { "gdb", "WHERE", set_gdb, "debugger at a port or unix socket[,as=aarch64]" },
    { "loadvm", "NAME", set_loadvm, "begin with a snapshot of savevm" },
    { "incoming", "ADDRESS", set_incoming,
      "wait for a migration: tcp:HOST:PORT, unix:PATH, fd:N, exec:COMMAND, "
      "file:PATH" },
    { "no-reboot", NULL, set_no_reboot, "a reset ends the run" },
    { "no-shutdown", NULL, set_no_shutdown, "a power-off pauses" },
    { "snapshot", NULL, set_snapshot,
      "what is written to drives is lost at the end" },
    { "trap-exit", NULL, set_trap_exit,
      "a trap ends the run with a register dump" },
    { "d", "ITEM,...", set_log, "log items; 'help' lists them" },
    { "D", "FILE", set_log_file, "write the log there" },
    { "pidfile", "FILE", set_pid_file, "write the process id there" },
    { "help", NULL, show_help, "this text" },
    { "h", NULL, show_help, NULL },
    { "version", NULL, show_version, "version" },
};

static bool show_help(SystemOptions *o, const char *text, GError **error)
{
    printf("usage: e2k-system [options] [IMAGE]\n\nRuns a guest machine; "
           "IMAGE is a disk of it.\n\n");
    for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
        const OptionSpec *spec = &specs[i];

        if (spec->help) {
            printf("-%s%s%s\n        %s\n", spec->name,
                   spec->argument ? " " : "",
                   spec->argument ? spec->argument : "", spec->help);
        }
    }
    exit(EXIT_SUCCESS);
}

static const OptionSpec *find_option(const char *word)
{
    word += word[1] == '-' ? 2 : 1;
    for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
        if (!strcmp(specs[i].name, word)) {
            return &specs[i];
        }
    }
    return NULL;
}

static bool check(SystemOptions *o, GError **error)
{
    if (!o->config.ram_bytes) {
        o->config.ram_bytes = o->board->default_ram_bytes;
    }
    if (!o->config.model) {
        o->config.model = cpu_model_find(o->board->default_cpu);
    }
    if (o->config.n_cpus > o->board->max_cpus) {
        return refuse(error, "-smp: machine '%s' has at most %u CPUs",
                      o->board->name, o->board->max_cpus);
    }
    if (o->loadvm && o->incoming) {
        return refuse(error, "-loadvm and -incoming exclude each other");
    }
    if (!o->config.kernel && !o->loadvm && !o->incoming && o->board != &board_none && !o->accel_qtest) {
        return refuse(error, "no guest: give an image with -kernel");
    }
    return true;
}

/* "-drive file=..." of an image that stands alone on the command line. */
static const char *image_drive(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    g_autofree char *escaped = g_strjoinv(",,", parts);
    g_autofree char *drive = g_strconcat("file=", escaped, NULL);

    return g_intern_string(drive);
}

bool system_options_parse(SystemOptions *o, int argc, char **argv,
                          GError **error)
{
    memset(o, 0, sizeof(*o));
    o->board = &board_virt;
    o->config.n_cpus = 1;
    o->config.raw_base = IMAGE_NO_RAW;
    o->engine = ENGINE_JIT;
    o->engine_config.soft_tlb = true;
    o->lms = true;
    o->config.console = &console_sink;
    GPtrArray **lists[] = { &o->blockdevs, &o->drives, &o->devices,
                            &o->netdevs,
                            &o->monitors, &o->pretty_monitors,
                            &o->human_monitors, &o->chardevs, &o->mons,
                            &o->objects, &o->exports };

    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        *lists[i] = g_ptr_array_new();
    }
    for (int i = 1; i < argc; i++) {
        const OptionSpec *spec =
            argv[i][0] == '-' && argv[i][1] ? find_option(argv[i]) : NULL;
        const char *text = "";

        if (argv[i][0] != '-') {
            g_ptr_array_add(o->drives, (char *)image_drive(argv[i]));
            continue;
        }
        if (!spec) {
            return refuse(error, "unknown option '%s'; -help lists the "
                          "options", argv[i]);
        }
        if (spec->argument && ++i == argc) {
            return refuse(error, "option '-%s' needs an argument: %s",
                          spec->name, spec->argument);
        }
        text = spec->argument ? argv[i] : text;
        if (!spec->apply(o, text, error)) {
            g_prefix_error(error, "-%s: ", spec->name);
            return false;
        }
    }
    return check(o, error);
}

void system_options_clear(SystemOptions *o)
{
    GPtrArray *lists[] = { o->blockdevs, o->drives, o->devices, o->netdevs,
                           o->monitors,
                           o->pretty_monitors, o->human_monitors, o->chardevs, o->mons, o->objects, o->exports };

    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        if (lists[i]) {
            g_ptr_array_free(lists[i], TRUE);
        }
    }
}
