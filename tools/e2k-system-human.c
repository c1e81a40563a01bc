/*
 * The human monitor's commands: text in, text out.  They stop the machine
 * while they look at it.
 */
#include "tools/e2k-system-human.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/backend.h"
#include "block/options.h"
#include "system/debug-regs.h"
#include "system/sys-cpu.h"
#include "util/bytes.h"
#include "tools/e2k-io-int.h"

static bool complain(GError **error, const char *text)
{
    g_set_error_literal(error, TOOL_ERROR, 0, text);
    return false;
}

static void info_registers(Machine *machine, FILE *to)
{
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        sys_cpu_dump(machine->cpus[i], to);
    }
}

/* Translations that the TLBs hold now. */
static void info_tlb(Machine *machine, FILE *to)
{
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        const SysCpu *sys = machine->cpus[i];
        const SoftTlb *tlb = &sys->context->tlb[sys->cpu->psr & PSR_PM];

        fprintf(to, "cpu%u: translation %s, space %u, %" PRIu64 " fills, %"
                PRIu64 " flushes\n", i, mmu_is_on(sys) ? "on" : "off",
                (unsigned)sys->mmu[MMU_CONT], sys->tlb_fills,
                sys->tlb_flushes);
        for (unsigned n = 0; n < SOFT_TLB_ENTRIES; n++) {
            const SoftTlbEntry *entry = &tlb->entry[n];

            if (entry->read != SOFT_TLB_NONE) {
                fprintf(to, "  0x%012" PRIx64 " -> RAM + 0x%08" PRIx64
                        " %s\n", entry->read,
                        (uint64_t)(entry->host + entry->read -
                                   (uintptr_t)sys->ram),
                        entry->write == entry->read ? "rw" : "r");
            }
        }
    }
}

/* The physical address space. */
static void info_mem(Machine *machine, FILE *to)
{
    const PhysRegion *region;

    for (unsigned n = 0; (region = physmem_region(machine->mem, n)); n++) {
        fprintf(to, "0x%010" PRIx64 "-0x%010" PRIx64 " %s\n", region->base,
                region->base + region->size - 1,
                region->device ? region->device->id : "ram");
    }
}

static void info_traps(Machine *machine, FILE *to)
{
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        for (unsigned e = 0; e < 64; e++) {
            uint64_t count = machine->cpus[i]->counts[e];

            if (count) {
                fprintf(to, "cpu%u: %-20s %" PRIu64 "\n", i,
                        exception_name(e), count);
            }
        }
    }
}

static void info_status(Machine *machine, FILE *to)
{
    fprintf(to, "VM status: %s\n", run_state_name(machine_state(machine)));
}

static void info_cpus(Machine *machine, FILE *to)
{
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        const SysCpu *sys = machine->cpus[i];

        fprintf(to, "cpu%u: ip 0x%012" PRIx64 "%s\n", i, sys->cpu->ip,
                sys->waits_for_startup ? ", waits for STARTUP" : "");
    }
}

/* Every device, and what it is. */
static void info_devices(Machine *machine, FILE *to)
{
    for (guint i = 0; i < machine->devices->len; i++) {
        const Device *device = g_ptr_array_index(machine->devices, i);

        fprintf(to, "%-16s %s: %s\n", device->id, device->class->name,
                device->class->help);
    }
}

static void info_pci(Machine *machine, FILE *to)
{
    system_list_pci(to);
}

static void info_snapshots(Machine *machine, FILE *to)
{
    system_list_snapshots(to);
}

static void info_migrate(Machine *machine, FILE *to)
{
    json_t *status = system_query_migrate();
    char *text = json_dumps(status, JSON_SORT_KEYS);

    fprintf(to, "%s\n", text);
    free(text);
    json_decref(status);
}

static bool run_info(Machine *machine, char **words, FILE *to, GError **error)
{
    static const struct {
        const char *name;
        void (*show)(Machine *machine, FILE *to);
    } topics[] = {
        { "registers", info_registers }, { "tlb", info_tlb },
        { "mem", info_mem },             { "mtree", info_mem },
        { "block", human_info_block },   { "traps", info_traps },
        { "block-jobs", human_info_block_jobs },
        { "status", info_status },       { "cpus", info_cpus },
        { "pci", info_pci },             { "snapshots", info_snapshots },
        { "migrate", info_migrate },     { "qtree", info_devices },
    };

    for (size_t i = 0; words[1] && i < G_N_ELEMENTS(topics); i++) {
        if (!strcmp(words[1], topics[i].name)) {
            topics[i].show(machine, to);
            return true;
        }
    }
    return complain(error, "info: registers, tlb, mem, block, block-jobs, traps, "
                           "status, cpus, pci, qtree, snapshots or migrate");
}

/* A number, or a register of CPU 0 as $NAME. */
static bool parse_term(Machine *machine, const char *term, uint64_t *value,
                       GError **error)
{
    char *end;

    *value = g_ascii_strtoull(term, &end, 0);
    if (*term != '$' && end != term && !*end) {
        return true;
    }
    for (unsigned i = 0; *term == '$' && machine->n_cpus &&
                         i < sys_debug_reg_count(); i++) {
        uint8_t bytes[16] = { 0 };

        if (!strcmp(term + 1, sys_debug_reg_name(i)) &&
            sys_debug_reg_read(machine->cpus[0], i, bytes)) {
            *value = ldq_le_p(bytes);
            return true;
        }
    }
    g_set_error(error, TOOL_ERROR, 0, "'%s' is neither a number nor a "
                "register ($ip)", term);
    return false;
}

/* Terms with + and - between them. */
static bool parse_value(Machine *machine, const char *text, uint64_t *value,
                        GError **error)
{
    bool minus = false;

    *value = 0;
    do {
        size_t length = strcspn(text, "+-");
        g_autofree char *term = g_strndup(text, length);
        uint64_t part;

        if (!parse_term(machine, term, &part, error)) {
            return false;
        }
        *value += minus ? -part : part;
        minus = text[length] == '-';
        text += length;
    } while (*text++);
    return true;
}

/* [/COUNT] ADDRESS of x and xp. */
static bool parse_words(Machine *machine, char **words, const char *usage,
                        unsigned *count, uint64_t *address, GError **error)
{
    *count = 1;
    if (words[1] && words[1][0] == '/') {
        *count = CLAMP(atoi(words[1] + 1), 1, 1024);
        words++;
    }
    return words[1] ? parse_value(machine, words[1], address, error)
                    : complain(error, usage);
}

/* x [/COUNT] ADDRESS: 64-bit words as CPU 0 sees them. */
static bool run_x(Machine *machine, char **words, FILE *to, GError **error)
{
    unsigned count;
    uint64_t address;

    if (!machine->n_cpus) {
        return complain(error, "x [/COUNT] ADDRESS");
    }
    if (!parse_words(machine, words, "x [/COUNT] ADDRESS", &count, &address,
                     error)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++, address += 8) {
        uint64_t value;

        if (!sys_memory_peek(machine->cpus[0], address, &value, 8)) {
            fprintf(to, "0x%012" PRIx64 ": cannot be read\n", address);
            break;
        }
        fprintf(to, "0x%012" PRIx64 ": 0x%016" PRIx64 "\n", address, value);
    }
    return true;
}

static bool run_p(Machine *machine, char **words, FILE *to, GError **error)
{
    uint64_t value;

    if (!words[1]) {
        return complain(error, "p EXPRESSION");
    }
    if (!parse_value(machine, words[1], &value, error)) {
        return false;
    }
    fprintf(to, "0x%" PRIx64 "\n", value);
    return true;
}

/* ---- qemu-io [-d] BACKEND|NODE "COMMAND" ---------------------------------- */

/* A backend on the node for one command, with what the command needs. */
static BlockBackend *io_backend(const char *name, const char *line,
                                GError **error)
{
    BlockBackend *backend = block_backend_find(name);
    BlockNode *node = backend ? block_backend_node(backend)
                              : block_node_find(name);
    g_auto(GStrv) words = g_strsplit_set(line, " \t", 2);
    const IoCommand *command = words[0] ? io_find(words[0]) : NULL;
    unsigned perm = BLOCK_PERM_CONSISTENT_READ;

    /* A read-only disk's node may be writable by now. */
    if (backend && (!node || !command || !command->writes ||
                    block_backend_perm(backend) & BLOCK_PERM_WRITE)) {
        block_backend_ref(backend);
        return backend;
    }
    if (!node) {
        g_set_error(error, TOOL_ERROR, 0, "Cannot find device='%s' nor "
                    "node-name='%s'", name, name);
        return NULL;
    }
    if (command && command->writes) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    backend = block_backend_new(NULL, NULL, perm, BLOCK_PERM_ALL);
    if (!block_backend_attach(backend, node, error)) {
        block_backend_unref(backend);
        return NULL;
    }
    return backend;
}

static BlockBackend *io_backend_of_device(const char *path, GError **error)
{
    g_autofree char *id = g_path_get_basename(path);

    if (!strcmp(id, "virtio-backend")) {
        g_autofree char *parent = g_path_get_dirname(path);

        g_free(id);
        id = g_path_get_basename(parent);
    }
    for (BlockBackend *backend = block_backend_next(NULL); backend;
         backend = block_backend_next(backend)) {
        if (!g_strcmp0(block_backend_device(backend), id)) {
            block_backend_ref(backend);
            return backend;
        }
    }
    g_set_error(error, TOOL_ERROR, 0, "Device '%s' not found", path);
    return NULL;
}

/* What the command says goes to standard output, as scripts expect. */
static bool run_qemu_io(Machine *machine, char **words, FILE *to,
                        GError **error)
{
    bool by_device = words[1] && !strcmp(words[1], "-d");
    const char *name = words[by_device ? 2 : 1];
    const char *line = name ? words[by_device ? 3 : 2] : NULL;
    bool ok;

    if (!line) {
        return complain(error, "qemu-io [-d] DEVICE COMMAND");
    }
    block_graph_lock();
    io_image = by_device ? io_backend_of_device(name, error)
                         : io_backend(name, line, error);
    ok = io_image != NULL;
    if (ok && !block_backend_node(io_image)) {
        ok = complain(error, "No medium found");
    }
    block_graph_unlock();
    if (ok) {
        io_run_line(line);
    }
    block_graph_lock();
    if (io_image) {
        block_backend_unref(io_image);
        io_image = NULL;
    }
    block_graph_unlock();
    return ok;
}

static bool run_stop(Machine *machine, char **words, FILE *to, GError **error)
{
    machine_stop(machine);
    return true;
}

static bool run_cont(Machine *machine, char **words, FILE *to, GError **error)
{
    return control_cont(machine, error);
}

static bool run_quit(Machine *machine, char **words, FILE *to, GError **error)
{
    machine_request_shutdown(machine, SHUTDOWN_HOST_QMP_QUIT, 0);
    return true;
}

/* xp [/COUNT] ADDRESS: 64-bit words of physical memory. */
static bool run_xp(Machine *machine, char **words, FILE *to, GError **error)
{
    unsigned count;
    uint64_t address;

    if (!parse_words(machine, words, "xp [/COUNT] ADDRESS", &count, &address,
                     error)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++, address += 8) {
        uint64_t value;

        if (!physmem_read(machine->mem, address, &value, 8)) {
            fprintf(to, "0x%012" PRIx64 ": is not RAM\n", address);
            break;
        }
        fprintf(to, "0x%012" PRIx64 ": 0x%016" PRIx64 "\n", address, value);
    }
    return true;
}

static bool run_savevm(Machine *machine, char **words, FILE *to,
                       GError **error)
{
    return words[1] ? system_savevm(machine, words[1], error)
                    : complain(error, "savevm NAME");
}

static bool run_loadvm(Machine *machine, char **words, FILE *to,
                       GError **error)
{
    return words[1] ? system_loadvm(machine, words[1], error)
                    : complain(error, "loadvm NAME");
}

static bool run_delvm(Machine *machine, char **words, FILE *to,
                      GError **error)
{
    return words[1] ? system_delvm(words[1], error)
                    : complain(error, "delvm NAME");
}

static bool run_migrate(Machine *machine, char **words, FILE *to,
                        GError **error)
{
    bool detach = words[1] && !strcmp(words[1], "-d");
    const char *uri = words[1] ? words[detach ? 2 : 1] : NULL;

    return uri ? system_migrate(machine, uri, !detach, error)
               : complain(error, "migrate [-d] ADDRESS");
}

static bool run_device_add(Machine *machine, char **words, FILE *to,
                           GError **error)
{
    json_t *options = words[1]
                          ? block_options_parse_any(words[1], "driver", error)
                          : NULL;
    bool ok = options && system_device_add(options, error);

    json_decref(options);
    return ok || (!words[1] &&
                  complain(error, "device_add NAME[,OPTION=VALUE]..."));
}

static bool run_device_del(Machine *machine, char **words, FILE *to,
                           GError **error)
{
    return words[1] ? system_device_del(words[1], error)
                    : complain(error, "device_del ID");
}

static bool run_reset(Machine *machine, char **words, FILE *to,
                      GError **error)
{
    machine_request_reset(machine);
    return true;
}

static bool run_powerdown(Machine *machine, char **words, FILE *to,
                          GError **error)
{
    machine_press_power(machine);
    return true;
}

static bool run_help(Machine *machine, char **words, FILE *to,
                     GError **error);

static const HumanCommand commands[] = {
    { "help", "", "this list", run_help },
    { "info", "TOPIC", "'info' lists the topics", run_info },
    { "x", "[/COUNT] ADDRESS", "memory as CPU 0 sees it", run_x },
    { "xp", "[/COUNT] ADDRESS", "physical memory", run_xp },
    { "p", "EXPRESSION", "a value: numbers and $REGISTERS, + and -", run_p },
    { "savevm", "NAME", "keeps machine and disks as a snapshot", run_savevm,
      .live = true },
    { "loadvm", "NAME", "goes back to it", run_loadvm, .live = true },
    { "delvm", "NAME", "deletes it", run_delvm, .live = true },
    { "migrate", "[-d] ADDRESS", "sends the machine away", run_migrate,
      .live = true },
    { "device_add", "NAME[,OPTION=VALUE]...", "plugs a device",
      run_device_add, .live = true },
    { "device_del", "ID", "unplugs it", run_device_del, .live = true },
    { "system_reset", "", "resets the machine", run_reset, .live = true },
    { "system_powerdown", "", "presses the power button", run_powerdown,
      .live = true },
    { "qemu-io", "[-d] DEVICE COMMAND", "a command of e2k-io on a disk",
      run_qemu_io, .live = true },
    { "stop", "", "stops the machine", run_stop, .live = true },
    { "cont", "", "lets it run", run_cont, .live = true },
    { "quit", "", "ends the program", run_quit, .live = true },
    { "q", "", "the same", run_quit, .live = true },
};

static bool run_help(Machine *machine, char **words, FILE *to, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        fprintf(to, "%s %s -- %s\n", commands[i].name, commands[i].arguments,
                commands[i].help);
    }
    human_block_help(to);
    return true;
}

static bool run_stopped(const HumanCommand *command, Machine *machine,
                        char **words, FILE *to, GError **error)
{
    bool running = !command->live && machine_is_running(machine);

    if (running) {
        machine_stop(machine);
    }
    bool ok = command->run(machine, words, to, error);

    if (running) {
        machine_cont(machine);
    }
    return ok;
}

/* Sets no error for a word that is no command. */
static void run_words(Machine *machine, char **words, FILE *to,
                      GError **error)
{
    bool known;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!strcmp(words[0], commands[i].name)) {
            run_stopped(&commands[i], machine, words, to, error);
            return;
        }
    }
    human_block_command(machine, words, to, &known, error);
    if (!known) {
        fprintf(to, "unknown command: '%s'; 'help' lists them\n", words[0]);
    }
}

char *human_command(void *opaque, const char *line)
{
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    char *copy;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (g_shell_parse_argv(line, NULL, &words, &error)) {
        run_words(opaque, words, to, &error);
    }
    if (error && !g_error_matches(error, G_SHELL_ERROR,
                                  G_SHELL_ERROR_EMPTY_STRING)) {
        fprintf(to, "Error: %s\n", error->message);
    }
    fclose(to);
    copy = g_strdup(text);
    free(text);
    return copy;
}

char *human_line(void *opaque, const char *line, bool *quit)
{
    g_autofree char *word = g_strstrip(g_strdup(line));

    *quit = !strcmp(word, "quit") || !strcmp(word, "q");
    return human_command(opaque, line);
}
