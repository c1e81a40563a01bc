/*
 * e2k-user: runs an e2k Linux program.  Options are those that users of
 * qemu-user know; the work is in linux-user/.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux-user/debug.h"
#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/syscall.h"
#include "target-e2k/exec.h"
#include "tools/e2k-user-binfmt.h"
#include "util/log.h"

typedef struct Settings {
    UserOptions user;
    EngineKind engine;
    EngineConfig config;
    const char *gdb;
    GPtrArray *environment;
} Settings;

static void fail(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;

static void fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "e2k-user: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static void set_variable(Settings *s, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : 0;

    if (!equals) {
        fail("-E needs NAME=VALUE, not '%s'", assignment);
    }
    for (guint i = 0; i < s->environment->len; i++) {
        char *have = g_ptr_array_index(s->environment, i);

        if (strncmp(have, assignment, length + 1) == 0) {
            g_ptr_array_remove_index(s->environment, i--);
        }
    }
    g_ptr_array_add(s->environment, g_strdup(assignment));
}

static void unset_variable(Settings *s, const char *name)
{
    size_t length = strlen(name);

    for (guint i = 0; i < s->environment->len; i++) {
        char *have = g_ptr_array_index(s->environment, i);

        if (strncmp(have, name, length) == 0 && have[length] == '=') {
            g_ptr_array_remove_index(s->environment, i--);
        }
    }
}

static void for_each_word(Settings *s, const char *list,
                          void (*apply)(Settings *s, const char *word))
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);

    for (char **word = words; *word; word++) {
        apply(s, *word);
    }
}

static void list_models(FILE *to)
{
    for (const CpuModel *model = cpu_models; model->name; model++) {
        fprintf(to, "%-8s instruction set v%u  %s\n", model->name, model->isa,
                model->help ? model->help : "");
    }
}

static void opt_cpu(Settings *s, const char *value)
{
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0) {
        list_models(stdout);
        exit(EXIT_SUCCESS);
    }
    s->user.model = cpu_model_find(value);
    if (!s->user.model) {
        fprintf(stderr, "e2k-user: unknown CPU model '%s'; accepted are:\n",
                value);
        list_models(stderr);
        exit(EXIT_FAILURE);
    }
}

static void opt_sysroot(Settings *s, const char *value)
{
    s->user.sysroot = strcmp(value, "/") == 0 ? NULL : value;
}

static void opt_argv0(Settings *s, const char *value)
{
    s->user.argv0 = value;
}

static void opt_release(Settings *s, const char *value)
{
    s->user.uname_release = value;
}

static void opt_stack(Settings *s, const char *value)
{
    char *end;
    uint64_t size = g_ascii_strtoull(value, &end, 0);

    switch (*end) {
    case 'k': case 'K': size <<= 10; end++; break;
    case 'm': case 'M': size <<= 20; end++; break;
    case 'g': case 'G': size <<= 30; end++; break;
    default: break;
    }
    if (*end || size < (UINT64_C(64) << 10) || size > (UINT64_C(4) << 30)) {
        fail("invalid stack size '%s' (64K to 4G)", value);
    }
    s->user.stack_bytes = size;
}

static void opt_set(Settings *s, const char *value)
{
    for_each_word(s, value, set_variable);
}

static void opt_unset(Settings *s, const char *value)
{
    for_each_word(s, value, unset_variable);
}

static void opt_strace(Settings *s, const char *value)
{
    s->user.strace = true;
}

static void opt_log(Settings *s, const char *value)
{
    g_autoptr(GError) error = NULL;

    if (strcmp(value, "help") == 0) {
        log_help(stdout);
        exit(EXIT_SUCCESS);
    }
    if (!log_set_items(value, &error)) {
        fail("%s", error->message);
    }
}

static void opt_logfile(Settings *s, const char *value)
{
    g_autoptr(GError) error = NULL;

    if (!log_set_file(value, &error)) {
        fail("%s", error->message);
    }
}

static void opt_accel(Settings *s, const char *value)
{
    g_autoptr(GError) error = NULL;

    if (strcmp(value, "help") == 0) {
        engine_help(stdout);
        exit(EXIT_SUCCESS);
    }
    if (!engine_parse(value, &s->engine, &s->config, &error)) {
        fail("%s", error->message);
    }
}

static void opt_gdb(Settings *s, const char *value)
{
    s->gdb = value;
}

static void opt_perfmap(Settings *s, const char *value)
{
    s->config.perf_map = true;
}

static void opt_jitdump(Settings *s, const char *value)
{
    s->config.jitdump = true;
}

/* Where the kernel finds us: the real path of this program. */
static char *own_path(void)
{
    char *path = g_file_read_link("/proc/self/exe", NULL);

    return path ? path : g_strdup("/usr/bin/e2k-user");
}

static void opt_binfmt(Settings *s, const char *value)
{
    g_autofree char *path = own_path();

    binfmt_print(stdout, path);
    exit(EXIT_SUCCESS);
}

static void opt_binfmt_install(Settings *s, const char *value)
{
    g_autofree char *path = own_path();
    g_autoptr(GError) error = NULL;

    if (!binfmt_install(path, &error)) {
        fail("cannot register with binfmt_misc: %s", error->message);
    }
    exit(EXIT_SUCCESS);
}

static void opt_version(Settings *s, const char *value)
{
    printf("e2k-user version %s\n", E2K_VERSION);
    exit(EXIT_SUCCESS);
}

static void opt_help(Settings *s, const char *value);

static const struct {
    const char *name;
    const char *variable; /* environment variable with the same meaning */
    const char *argument; /* NULL: none */
    void (*apply)(Settings *s, const char *value);
    const char *help;
} options[] = {
    { "h", NULL, NULL, opt_help, "print this help" },
    { "help", NULL, NULL, opt_help, "print this help" },
    { "version", "QEMU_VERSION", NULL, opt_version, "print the version" },
    { "cpu", "QEMU_CPU", "MODEL", opt_cpu, "CPU model ('help' lists them)" },
    { "L", "QEMU_LD_PREFIX", "DIR", opt_sysroot,
      "look for absolute paths below DIR first" },
    { "E", "QEMU_SET_ENV", "VAR=VALUE[,...]", opt_set,
      "set variables of the program" },
    { "U", "QEMU_UNSET_ENV", "VAR[,...]", opt_unset,
      "unset variables of the program" },
    { "0", "QEMU_ARGV0", "ARGV0", opt_argv0, "the program's argv[0]" },
    { "r", "QEMU_UNAME", "RELEASE", opt_release, "kernel release to report" },
    { "s", "QEMU_STACK_SIZE", "SIZE", opt_stack, "size of the data stack" },
    { "strace", "QEMU_STRACE", NULL, opt_strace, "print system calls" },
    { "d", "QEMU_LOG", "ITEM[,...]", opt_log,
      "log items ('help' lists them)" },
    { "D", "QEMU_LOG_FILENAME", "FILE", opt_logfile, "write the log to FILE" },
    { "accel", "E2K_ACCEL", "jit|interp[,OPTION...]", opt_accel,
      "execution engine" },
    { "g", "QEMU_GDB", "PORT|PATH", opt_gdb,
      "wait for a debugger at a TCP port or unix socket" },
    { "perfmap", "QEMU_PERFMAP", NULL, opt_perfmap,
      "write /tmp/perf-PID.map for perf" },
    { "jitdump", NULL, NULL, opt_jitdump,
      "write ./jit-PID.dump for perf inject --jit" },
    { "binfmt", NULL, NULL, opt_binfmt,
      "print a binfmt.d file for this program" },
    { "binfmt-install", NULL, NULL, opt_binfmt_install,
      "register e2k programs with the kernel (root)" },
};

static void opt_help(Settings *s, const char *value)
{
    printf("usage: e2k-user [options] program [arguments...]\n"
           "Runs an Elbrus (e2k) Linux program.\n\n");
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *left = g_strdup_printf(
            "-%s %s", options[i].name,
            options[i].argument ? options[i].argument : "");

        printf("  %-28s %s", left, options[i].help);
        if (options[i].variable) {
            printf(" [%s]", options[i].variable);
        }
        putchar('\n');
    }
    printf("\nThe program gets the variables of this environment; names in\n"
           "brackets are variables that act like the option.\n");
    exit(EXIT_SUCCESS);
}

/*
 * A caller whose rights are not ours (a set-id program by way of binfmt_misc's
 * flag C) must not choose, say, where the program's libraries come from.
 */
static void parse_variables(Settings *s)
{
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        const char *value =
            options[i].variable ? secure_getenv(options[i].variable) : NULL;

        if (value) {
            options[i].apply(s, value);
        }
    }
}

/* Returns the index of the program in argv. */
static int parse_options(Settings *s, int argc, char **argv)
{
    int at = 1;

    while (at < argc && argv[at][0] == '-' && argv[at][1]) {
        const char *name = argv[at] + 1;
        size_t i = 0;

        if (strcmp(name, "-") == 0) {
            at++;
            break;
        }
        name += name[0] == '-';
        while (i < G_N_ELEMENTS(options) &&
               strcmp(name, options[i].name) != 0) {
            i++;
        }
        if (i == G_N_ELEMENTS(options)) {
            fail("unknown option '%s' (try -help)", argv[at]);
        }
        if (options[i].argument && at + 1 >= argc) {
            fail("option '%s' needs an argument", argv[at]);
        }
        options[i].apply(s, options[i].argument ? argv[at + 1] : NULL);
        at += options[i].argument ? 2 : 1;
    }
    if (at >= argc) {
        fail("no program given (try -help)");
    }
    return at;
}

/* Our own command up to the program, for execve of e2k programs. */
static void remember_command(char **argv, int program)
{
    GPtrArray *prefix = g_ptr_array_new();
    char *self = g_file_read_link("/proc/self/exe", NULL);

    g_ptr_array_add(prefix, self ? self : g_strdup(argv[0]));
    for (int i = 1; i < program; i++) {
        const char *word = argv[i];

        word += word[0] == '-' && word[1] == '-' && word[2];
        /* argv[0] is each program's own; the debugger is with this one. */
        if (strcmp(word, "-0") == 0 || strcmp(word, "-g") == 0) {
            i++;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            continue;
        }
        g_ptr_array_add(prefix, g_strdup(argv[i]));
    }
    g_ptr_array_add(prefix, NULL);
    exec_prefix = (char **)g_ptr_array_free(prefix, false);
}

int main(int argc, char **argv)
{
    Settings s = {
        .user = { .stack_bytes = UINT64_C(16) << 20 },
        .engine = ENGINE_JIT,
        .environment = g_ptr_array_new(),
    };
    extern char **environ;
    g_autoptr(GError) error = NULL;
    UserProcess *process;
    int program;
    int status;

    for (char **variable = environ; *variable; variable++) {
        if (g_str_has_prefix(*variable, PTRACE_VARIABLE "=")) {
            s.user.traced = strchr(*variable, '=') + 1;
            continue;
        }
        if (g_str_has_prefix(*variable, "QEMU_GDB=") ||
            g_str_has_prefix(*variable, "QEMU_ARGV0=")) {
            continue; /* for this program, not for what it executes */
        }
        g_ptr_array_add(s.environment, g_strdup(*variable));
    }
    parse_variables(&s);
    program = parse_options(&s, argc, argv);
    remember_command(argv, program);
    s.user.program = argv[program];
    if (s.user.argv0) {
        argv[program] = (char *)s.user.argv0;
    }
    g_ptr_array_add(s.environment, NULL);
    s.config.guest_end_bit = USER_LIMIT_BIT;
    s.config.forks = true;
    if (!engine_init(s.engine, &s.config, &error)) {
        fail("%s", error->message);
    }
    process = process_new(&s.user, argv + program,
                          (char **)s.environment->pdata, &status, &error);
    if (!process) {
        fprintf(stderr, "e2k-user: %s\n", error->message);
        return status;
    }
    if (s.gdb && !debug_start(process, s.gdb, &error)) {
        fail("%s", error->message);
    }
    process_run(process);
}
