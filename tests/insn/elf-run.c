/*
 * See elf-run.h.
 */
#include "tests/insn/elf-run.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target-e2k/insn.h"
#include "tests/insn/box.h"

enum {
    STACK_TOP = 0x40000000,
    STACK_SIZE = 1 << 20,
    SYS_EXIT = 1,
    SYS_WRITE = 4,
    LAST_ISA = 6,
    MAX_OUTPUT = 1 << 20,
};

static bool load_program(Box *box, const char *data, size_t size,
                         uint64_t *entry)
{
    Elf64_Ehdr h;

    if (size < sizeof(h)) {
        return false;
    }
    memcpy(&h, data, sizeof(h));
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phoff > size ||
        h.e_phnum * sizeof(Elf64_Phdr) > size - h.e_phoff) {
        return false;
    }
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, data + h.e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type != PT_LOAD) {
            continue;
        }
        if (p.p_offset > size || p.p_filesz > size - p.p_offset ||
            p.p_vaddr >= BOX_SPACE || p.p_memsz > BOX_SPACE / 4) {
            return false;
        }
        box_map(box, p.p_vaddr, p.p_memsz);
        memcpy(box_at(box, p.p_vaddr), data + p.p_offset, p.p_filesz);
    }
    *entry = h.e_entry;
    return true;
}

static void start_state(Box *box, uint64_t entry)
{
    E2kCpu *cpu = box->cpu;

    box_reset(box, 4);
    box_map(box, STACK_TOP - STACK_SIZE, STACK_SIZE);
    cpu->usd_base = STACK_TOP;
    cpu->usd_size = STACK_SIZE;
    cpu->sbr = STACK_TOP;
    cpu->ip = entry;
}

/* True when the program goes on. */
static bool system_call(Box *box, GByteArray *output)
{
    E2kCpu *cpu = box->cpu;
    RegSlot *args = cpu->win + 2 * cpu->syscall_wbs;
    uint64_t address = args[2].lo;
    uint64_t size = args[3].lo;

    if ((uint32_t)args[0].lo != SYS_WRITE || address >= BOX_SPACE ||
        size > MAX_OUTPUT) {
        return false;
    }
    g_byte_array_append(output, box_at(box, address), size);
    args[0].lo = size;
    cpu->win_tags[2 * cpu->syscall_wbs] = 0;
    return true;
}

/* What the program wrote; *why says how it ended. */
static GByteArray *run(Box *box, char **why)
{
    GByteArray *output = g_byte_array_new();
    CpuExit exit;

    do {
        exit = cpu_run(box->cpu);
    } while (exit == CPU_EXIT_SYSCALL && system_call(box, output));
    if (exit != CPU_EXIT_SYSCALL) {
        *why = g_strdup_printf("exit %d, exception %d at 0x%" PRIx64, exit,
                               box->cpu->exception, box->cpu->ip);
    }
    return output;
}

/* "index | word | what" lines, in order. */
static GArray *read_expected(const char *elf)
{
    g_autofree char *stem = g_strndup(elf, strlen(elf) - strlen(".elf"));
    g_autofree char *path = g_strconcat(stem, ".expect", NULL);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return NULL;
    }
    GArray *words = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) f = g_strsplit(*line, " | ", 3);
        if (**line == '#' || g_strv_length(f) < 2) {
            continue;
        }
        uint64_t word = g_ascii_strtoull(f[1], NULL, 16);
        g_array_append_val(words, word);
    }
    return words;
}

static void compare(const char *path, const char *where, GByteArray *output,
                    GArray *expected, ElfRunResult *result)
{
    for (unsigned i = 0; i < expected->len; i++) {
        uint64_t want = g_array_index(expected, uint64_t, i);
        uint64_t got = 0;
        if (8 * i + 8 <= output->len) {
            memcpy(&got, output->data + 8 * i, 8);
        }
        if (8 * i + 8 <= output->len && got == want) {
            result->passed++;
        } else {
            result->failed++;
            printf("%s: word %u (%s): %016" PRIx64 ", expected %016" PRIx64
                   "\n", path, i, where, got, want);
        }
    }
}

static void run_on(const char *path, const char *data, size_t size,
                   unsigned isa, const char *engine, GArray *expected,
                   ElfRunResult *result)
{
    Box *box = box_new(box_model_of_isa(isa));
    g_autofree char *where = g_strdup_printf("v%u, %s", isa, engine);
    g_autofree char *why = NULL;
    uint64_t entry;

    if (!load_program(box, data, size, &entry)) {
        printf("%s: not a program\n", path);
        result->failed++;
    } else {
        start_state(box, entry);
        GByteArray *output = run(box, &why);
        if (why) {
            printf("%s: %s: %s\n", path, where, why);
            result->failed++;
        }
        compare(path, where, output, expected, result);
        g_byte_array_unref(output);
    }
    engine_invalidate(0, BOX_SPACE);
    box_free(box);
}

ElfRunResult elf_run_and_compare(const char *path, bool all_isa,
                                 const char *engine)
{
    ElfRunResult result = {0, 0};
    g_autofree char *data = NULL;
    gsize size = 0;
    GArray *expected = read_expected(path);

    if (!g_file_get_contents(path, &data, &size, NULL) || !expected ||
        size < sizeof(Elf64_Ehdr)) {
        printf("%s: cannot be read, or has no .expect file\n", path);
        result.failed++;
    } else {
        unsigned first = ((Elf64_Ehdr *)data)->e_flags >> 24;
        first = CLAMP(first, ISA_MIN, LAST_ISA);
        for (unsigned isa = first; isa <= LAST_ISA; isa++) {
            if (all_isa || isa == first || isa == LAST_ISA) {
                run_on(path, data, size, isa, engine, expected, &result);
            }
        }
    }
    if (expected) {
        g_array_unref(expected);
    }
    return result;
}
