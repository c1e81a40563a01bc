/*
 * Telling perf(1) about generated code.
 *
 *   perf map  /tmp/perf-PID.map: a line "ADDRESS SIZE NAME" per region; perf
 *             report reads it by itself.  Later regions at the same address
 *             hide earlier ones.
 *   jitdump   ./jit-PID.dump: code with times, for perf inject --jit, which
 *             also keeps recycled addresses apart.  Needs perf record -k mono.
 *
 * The map is written under tcg_lock; failing to open a file turns the writer
 * off with one warning.
 */
#include <elf.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tcg/tcg-int.h"

enum {
    JITDUMP_MAGIC = 0x4a695444,
    JITDUMP_VERSION = 1,
    JIT_CODE_LOAD = 0,
};

typedef struct JitHeader {
    uint32_t magic, version, total_size, elf_mach, pad, pid;
    uint64_t timestamp, flags;
} JitHeader;

typedef struct JitLoad {
    uint32_t id, total_size;
    uint64_t timestamp;
    uint32_t pid, tid;
    uint64_t vma, code_addr, code_size, code_index;
} JitLoad;

static FILE *map_file;
static FILE *dump_file;
static uint64_t code_index;

static uint64_t timestamp(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static void open_dump(void)
{
    g_autofree char *name = g_strdup_printf("jit-%d.dump", getpid());
    JitHeader header = {
        .magic = JITDUMP_MAGIC, .version = JITDUMP_VERSION,
        .total_size = sizeof(header), .elf_mach = EM_X86_64,
        .pid = getpid(), .timestamp = timestamp(),
    };

    dump_file = fopen(name, "we+");
    if (!dump_file) {
        g_warning("Cannot write %s", name);
        return;
    }
    fwrite(&header, sizeof(header), 1, dump_file);
    fflush(dump_file);
    /* perf record notices the file by this mapping. */
    (void)mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC,
               MAP_PRIVATE, fileno(dump_file), 0);
}

void perf_init(void)
{
    if (tcg_config.perf_map && !map_file) {
        g_autofree char *name = g_strdup_printf("/tmp/perf-%d.map", getpid());

        map_file = fopen(name, "we");
        if (!map_file) {
            g_warning("Cannot write %s", name);
        }
    }
    if (tcg_config.jitdump && !dump_file) {
        open_dump();
    }
}

/* A forked child has files of its own; perf knows the parent's code there,
 * too, so the map begins as a copy. */
void perf_forked(void)
{
    g_autofree char *theirs = g_strdup_printf("/tmp/perf-%d.map", getppid());
    g_autofree char *text = NULL;
    size_t size = 0;

    if (map_file) {
        fclose(map_file);
        map_file = NULL;
    }
    if (dump_file) {
        fclose(dump_file);
        dump_file = NULL;
    }
    perf_init();
    if (map_file && g_file_get_contents(theirs, &text, &size, NULL)) {
        fwrite(text, 1, size, map_file);
    }
}

static void dump_load(const uint8_t *code, size_t bytes, const char *name)
{
    size_t name_bytes = strlen(name) + 1;
    JitLoad load = {
        .id = JIT_CODE_LOAD,
        .total_size = sizeof(load) + name_bytes + bytes,
        .timestamp = timestamp(),
        .pid = getpid(), .tid = syscall(SYS_gettid),
        .vma = (uintptr_t)code, .code_addr = (uintptr_t)code,
        .code_size = bytes, .code_index = code_index++,
    };

    fwrite(&load, sizeof(load), 1, dump_file);
    fwrite(name, name_bytes, 1, dump_file);
    fwrite(code, bytes, 1, dump_file);
    fflush(dump_file);
}

void perf_add(const char *name, const void *code, size_t bytes)
{
    if (map_file) {
        fprintf(map_file, "%" PRIxPTR " %zx %s\n", (uintptr_t)code, bytes,
                name);
        fflush(map_file);
    }
    if (dump_file) {
        dump_load(code, bytes, name);
    }
}

bool perf_on(void)
{
    return map_file || dump_file;
}
