/*
 * The human monitor's commands: text in, text out.  They stop the machine
 * while they look at it.
 */
#include "tools/e2k-system.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/backend.h"
#include "system/sys-cpu.h"

typedef struct HumanCommand {
    const char *name;
    const char *arguments;
    const char *help;
    bool (*run)(Machine *machine, char **words, FILE *to, GError **error);
} HumanCommand;

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

static void info_block(Machine *machine, FILE *to)
{
    block_graph_lock();
    for (BlockBackend *backend = block_backend_next(NULL); backend;
         backend = block_backend_next(backend)) {
        BlockNode *node = block_backend_node(backend);

        fprintf(to, "%s: %s (%s%s)\n", block_backend_name(backend),
                node ? block_node_filename(node) : "no medium",
                node ? block_node_driver_name(node) : "-",
                node && block_node_is_read_only(node) ? ", read-only" : "");
    }
    block_graph_unlock();
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

static bool run_info(Machine *machine, char **words, FILE *to, GError **error)
{
    static const struct {
        const char *name;
        void (*show)(Machine *machine, FILE *to);
    } topics[] = {
        { "registers", info_registers }, { "tlb", info_tlb },
        { "mem", info_mem },             { "mtree", info_mem },
        { "block", info_block },         { "traps", info_traps },
        { "status", info_status },
    };

    for (size_t i = 0; words[1] && i < G_N_ELEMENTS(topics); i++) {
        if (!strcmp(words[1], topics[i].name)) {
            topics[i].show(machine, to);
            return true;
        }
    }
    return complain(error, "info: registers, tlb, mem, block, traps or "
                           "status");
}

/* x [/COUNT] ADDRESS: 64-bit words as CPU 0 sees them. */
static bool run_x(Machine *machine, char **words, FILE *to, GError **error)
{
    unsigned count = 1;

    if (words[1] && words[1][0] == '/') {
        count = CLAMP(atoi(words[1] + 1), 1, 1024);
        words++;
    }
    if (!words[1] || !machine->n_cpus) {
        return complain(error, "x [/COUNT] ADDRESS");
    }
    uint64_t address = g_ascii_strtoull(words[1], NULL, 0);

    for (unsigned i = 0; i < count; i++, address += 8) {
        uint64_t value;

        if (!sys_memory_read(machine->cpus[0], address, &value, 8)) {
            fprintf(to, "0x%012" PRIx64 ": cannot be read\n", address);
            break;
        }
        fprintf(to, "0x%012" PRIx64 ": 0x%016" PRIx64 "\n", address, value);
    }
    return true;
}

static bool run_help(Machine *machine, char **words, FILE *to,
                     GError **error);

static const HumanCommand commands[] = {
    { "help", "", "this list", run_help },
    { "info", "TOPIC", "registers, tlb, mem, block, traps, status", run_info },
    { "x", "[/COUNT] ADDRESS", "memory as CPU 0 sees it", run_x },
};

static bool run_help(Machine *machine, char **words, FILE *to, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        fprintf(to, "%s %s -- %s\n", commands[i].name, commands[i].arguments,
                commands[i].help);
    }
    return true;
}

static bool run_stopped(const HumanCommand *command, Machine *machine,
                        char **words, FILE *to, GError **error)
{
    bool running = machine_is_running(machine);

    if (running) {
        machine_stop(machine);
    }
    bool ok = command->run(machine, words, to, error);

    if (running) {
        machine_cont(machine);
    }
    return ok;
}

char *human_command(void *opaque, const char *line, GError **error)
{
    g_autofree char *squeezed = g_strstrip(g_strdup(line));
    g_auto(GStrv) words = g_strsplit_set(squeezed, " \t", -1);
    char *text = NULL;
    size_t size;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!g_strcmp0(words[0], commands[i].name)) {
            FILE *to = open_memstream(&text, &size);
            bool ok = run_stopped(&commands[i], opaque, words, to, error);

            fclose(to);
            if (!ok) {
                free(text);
                return NULL;
            }
            char *copy = g_strdup(text);

            free(text);
            return copy;
        }
    }
    g_set_error(error, TOOL_ERROR, 0, "unknown command: '%s'; 'help' lists "
                "them", words[0] ? words[0] : "");
    return NULL;
}
