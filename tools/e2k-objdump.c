/*
 * e2k-objdump: shows ELF files and raw bytes of the architecture.
 *
 * Options and layout follow objdump.  A bundle is shown as its bytes, eight a
 * line, beside its operations, one a line.  Code that ldisp points at is shown
 * as array-prefetch instructions.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "target-e2k/disas.h"
#include "target-e2k/elf-view.h"
#include "target-e2k/obj.h"

static struct {
    gboolean disassemble;
    gboolean disassemble_all;
    gboolean file_header;
    gboolean headers;
    gboolean private_headers;
    gboolean symbols;
    gboolean dynamic_symbols;
    gboolean relocs;
    gboolean all_headers;
    gboolean contents;
    gboolean no_bytes;
    gboolean version;
    char **sections;
    char *start;
    char *stop;
    char *adjust;
    char *format;
    char *machine;
    char **files;
} opt;

static const GOptionEntry entries[] = {
    { "disassemble", 'd', 0, G_OPTION_ARG_NONE, &opt.disassemble,
      "Disassemble sections that hold code", NULL },
    { "disassemble-all", 'D', 0, G_OPTION_ARG_NONE, &opt.disassemble_all,
      "Disassemble all sections", NULL },
    { "file-headers", 'f', 0, G_OPTION_ARG_NONE, &opt.file_header,
      "Show the file header", NULL },
    { "section-headers", 'h', 0, G_OPTION_ARG_NONE, &opt.headers,
      "Show the section headers", NULL },
    { "private-headers", 'p', 0, G_OPTION_ARG_NONE, &opt.private_headers,
      "Show the program headers", NULL },
    { "syms", 't', 0, G_OPTION_ARG_NONE, &opt.symbols,
      "Show the symbol table", NULL },
    { "dynamic-syms", 'T', 0, G_OPTION_ARG_NONE, &opt.dynamic_symbols,
      "Show the dynamic symbol table", NULL },
    { "reloc", 'r', 0, G_OPTION_ARG_NONE, &opt.relocs,
      "Show relocations", NULL },
    { "all-headers", 'x', 0, G_OPTION_ARG_NONE, &opt.all_headers,
      "Same as -f -p -h -t -r", NULL },
    { "full-contents", 's', 0, G_OPTION_ARG_NONE, &opt.contents,
      "Show the bytes of sections", NULL },
    { "section", 'j', 0, G_OPTION_ARG_STRING_ARRAY, &opt.sections,
      "Only this section", "NAME" },
    { "start-address", 0, 0, G_OPTION_ARG_STRING, &opt.start,
      "Only from this address on", "ADDRESS" },
    { "stop-address", 0, 0, G_OPTION_ARG_STRING, &opt.stop,
      "Only up to this address", "ADDRESS" },
    { "adjust-vma", 0, 0, G_OPTION_ARG_STRING, &opt.adjust,
      "Add to all addresses", "OFFSET" },
    { "target", 'b', 0, G_OPTION_ARG_STRING, &opt.format,
      "elf (default) or binary: raw bytes", "FORMAT" },
    { "architecture", 'm', 0, G_OPTION_ARG_STRING, &opt.machine,
      "Instruction set, e2k:1 to e2k:7", "MACHINE" },
    { "no-show-raw-insn", 0, 0, G_OPTION_ARG_NONE, &opt.no_bytes,
      "Leave out the bytes beside the text", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &opt.version,
      "Print the version", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.files,
      NULL, "FILE..." },
    { NULL }
};

typedef struct Label {
    uint64_t address;
    unsigned section;
    const char *name;
    unsigned rank; /* lower: the better name of an address */
} Label;

typedef struct Dump {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    ElfView *view;   /* NULL: raw bytes */
    unsigned isa;
    uint64_t adjust;
    uint64_t start;
    uint64_t stop;
    GArray *labels;  /* Label, by section and address */
    unsigned section; /* being disassembled */
} Dump;

static void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) die(const char *format, ...)
{
    va_list ap;

    fputs("e2k-objdump: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t parse_address(const char *option, const char *text,
                              uint64_t missing)
{
    char *end;

    if (!text) {
        return missing;
    }
    errno = 0;

    uint64_t value = g_ascii_strtoull(text, &end, 0);

    if (errno || *end || end == text) {
        die("%s: '%s' is not an address", option, text);
    }
    return value;
}

static bool wanted_section(const char *name)
{
    return !opt.sections ||
           g_strv_contains((const char *const *)opt.sections, name);
}

/* Labels. */

static int by_place(gconstpointer a, gconstpointer b)
{
    const Label *x = a;
    const Label *y = b;

    if (x->section != y->section) {
        return x->section < y->section ? -1 : 1;
    }
    if (x->address != y->address) {
        return x->address < y->address ? -1 : 1;
    }
    return (int)x->rank - (int)y->rank;
}

static void collect_labels(Dump *d)
{
    const ElfView *v = d->view;
    bool dynamic = v->n_symbols <= 1;
    const ElfViewSymbol *symbols = dynamic ? v->dynsyms : v->symbols;
    unsigned n = dynamic ? v->n_dynsyms : v->n_symbols;

    for (unsigned i = 1; i < n; i++) {
        const ElfViewSymbol *s = &symbols[i];

        if (!*s->name || s->section == SHN_UNDEF ||
            s->section >= v->n_sections || s->type == STT_SECTION ||
            s->type == STT_FILE || s->type == STT_TLS) {
            continue;
        }
        Label label = {
            s->value, s->section, s->name,
            (s->type == STT_FUNC ? 0 : 2) + (s->bind == STB_LOCAL),
        };

        g_array_append_val(d->labels, label);
    }
    g_array_sort(d->labels, by_place);
}

/* Index of the first label at or after a place. */
static unsigned label_index(const Dump *d, uint64_t address)
{
    Label key = { address, d->section, NULL, 0 };
    unsigned low = 0;
    unsigned high = d->labels->len;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (by_place(&g_array_index(d->labels, Label, middle), &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The best label at an address, or NULL. */
static const Label *label_at(const Dump *d, uint64_t address)
{
    unsigned i = label_index(d, address);
    const Label *label = &g_array_index(d->labels, Label, i);

    return i < d->labels->len && label->section == d->section &&
                   label->address == address
               ? label : NULL;
}

/* The best of the nearest labels of the section at or before address. */
static const Label *label_before(const Dump *d, uint64_t address)
{
    const Label *label = label_at(d, address);
    unsigned i = label_index(d, address);

    if (label || i == 0) {
        return label;
    }
    label = &g_array_index(d->labels, Label, i - 1);
    return label->section == d->section ? label_at(d, label->address) : NULL;
}

static bool print_target(void *opaque, GString *out, uint64_t address)
{
    const Dump *d = opaque;
    const Label *label = d->view ? label_before(d, address - d->adjust)
                                 : NULL;

    g_string_append_printf(out, "0x%" PRIx64, address);
    if (label) {
        uint64_t distance = address - d->adjust - label->address;

        g_string_append_printf(out, " <%s", label->name);
        if (distance) {
            g_string_append_printf(out, "+0x%" PRIx64, distance);
        }
        g_string_append_c(out, '>');
    }
    return true;
}

/* Code. */

/* Eight bytes a line on the left, one line of text on the right. */
static void print_code(const Dump *d, uint64_t address, const uint8_t *bytes,
                       unsigned length, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned n_text = g_strv_length(lines);
    unsigned n_bytes = opt.no_bytes ? 1 : length / 8;

    for (unsigned i = 0; i < MAX(n_text, n_bytes); i++) {
        if (i < n_bytes) {
            printf("%8" PRIx64 ":\t", address + 8 * i);
        } else {
            printf("         \t");
        }
        for (unsigned k = 0; !opt.no_bytes && k < 8; k++) {
            if (i < n_bytes && 8 * i + k < length) {
                printf("%02x ", bytes[8 * i + k]);
            } else {
                printf("   ");
            }
        }
        if (i < n_text) {
            printf("\t%s", lines[i]);
        }
        putchar('\n');
    }
}

/* { and } around more than one operation. */
static char *brace(const GString *text)
{
    if (!text->len) {
        return g_strdup("nop");
    }
    return strchr(text->str, '\n') ? g_strdup_printf("{ %s }", text->str)
                                   : g_strdup(text->str);
}

static unsigned print_bundle(Dump *d, uint64_t address, const uint8_t *bytes,
                             uint64_t size)
{
    DisasOptions options = { .isa = d->isa, .separator = "\n  ",
                             .symbol = print_target, .opaque = d };
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned length = disassemble_bytes(text, bytes, size, address, &options);
    g_autofree char *shown = length ? brace(text) : g_strdup(text->str);

    if (!length) {
        length = MIN(size, 8);
    }
    print_code(d, address, bytes, length, shown);
    return length;
}

/* Targets of ldisp: where array-prefetch programs start. */
static GHashTable *find_programs(const Dump *d, const uint8_t *bytes,
                                 uint64_t size, uint64_t address)
{
    GHashTable *programs = g_hash_table_new(NULL, NULL);
    Bundle bundle;

    for (uint64_t at = 0; at < size;) {
        DecodeError error = bundle_decode(&bundle, bytes + at, size - at,
                                          d->isa);

        if (error && error < DECODE_SOFT) {
            at += 8;
            continue;
        }
        if (bundle.prepare == PREPARE_LDISP) {
            g_hash_table_add(programs,
                             GSIZE_TO_POINTER(address + at +
                                              bundle.prepare_disp));
        }
        at += bundle.length;
    }
    return programs;
}

/* Shows a program up to its last instruction; returns its length. */
static uint64_t print_program(Dump *d, uint64_t address,
                              const uint8_t *bytes, uint64_t size)
{
    uint64_t at = 0;
    ApbInsn insn;

    for (unsigned n = 0; n < 32; n++) {
        g_autoptr(GString) text = g_string_new(NULL);

        if (!apb_decode(&insn, bytes + at, size - at)) {
            break;
        }
        apb_disassemble(text, &insn, d->isa, "\n  ");

        g_autofree char *shown = brace(text);

        print_code(d, address + at, bytes + at, APB_BYTES, shown);
        at += APB_BYTES;
        if (insn.half[0].last) {
            break;
        }
    }
    return at;
}

static void print_label_at(const Dump *d, uint64_t address)
{
    const Label *label = label_at(d, address);

    if (label) {
        printf("\n%016" PRIx64 " <%s>:\n", address + d->adjust,
               label->name);
    }
}

static void print_reloc_target(const Dump *d, const ElfViewReloc *r,
                               const ElfViewSymbol *symbols, unsigned n)
{
    const char *name = "*ABS*";

    if (r->symbol && r->symbol < n) {
        const ElfViewSymbol *s = &symbols[r->symbol];

        name = s->type == STT_SECTION && s->section < d->view->n_sections
                   ? d->view->sections[s->section].name : s->name;
    }
    printf("%s", name);
    if (r->addend) {
        printf("%c0x%" PRIx64, r->addend < 0 ? '-' : '+',
               r->addend < 0 ? -(uint64_t)r->addend : (uint64_t)r->addend);
    }
    putchar('\n');
}

/* Relocations of a section in [from, to), for -dr. */
static void print_relocs_in(const Dump *d, uint64_t from, uint64_t to)
{
    const ElfView *v = d->view;

    for (unsigned i = 0; v && opt.relocs && i < v->n_sections; i++) {
        g_autofree ElfViewReloc *relocs = NULL;

        if (v->sections[i].type != SHT_RELA ||
            v->sections[i].info != d->section) {
            continue;
        }
        unsigned n = elf_view_relocs(v, i, &relocs);

        for (unsigned k = 0; k < n; k++) {
            if (relocs[k].offset >= from && relocs[k].offset < to) {
                printf("\t\t\t%" PRIx64 ": %s\t", relocs[k].offset,
                       e2k_reloc_name(relocs[k].type));
                print_reloc_target(d, &relocs[k], v->symbols, v->n_symbols);
            }
        }
    }
}

static void disassemble_range(Dump *d, const uint8_t *bytes, uint64_t size,
                              uint64_t address)
{
    g_autoptr(GHashTable) programs =
        find_programs(d, bytes, size, address + d->adjust);

    for (uint64_t at = 0; at < size;) {
        uint64_t here = address + at + d->adjust;
        uint64_t length;

        if (here >= d->stop) {
            break;
        }
        if (here < d->start) {
            at += MIN(d->start - here, size - at);
            continue;
        }
        print_label_at(d, address + at);
        if (g_hash_table_contains(programs, GSIZE_TO_POINTER(here)) &&
            size - at >= APB_BYTES) {
            length = print_program(d, here, bytes + at, size - at);
        } else {
            length = print_bundle(d, here, bytes + at, size - at);
        }
        print_relocs_in(d, at, at + length);
        at += length;
    }
}

static void disassemble_file(Dump *d)
{
    const ElfView *v = d->view;

    if (!v) {
        printf("\nDisassembly of %s:\n\n", d->name);
        disassemble_range(d, d->bytes, d->size, 0);
        return;
    }
    for (unsigned i = 0; i < v->n_sections; i++) {
        const ElfViewSection *s = &v->sections[i];

        if (!s->data || !s->size || !wanted_section(s->name) ||
            (!(s->flags & SHF_EXECINSTR) && !opt.disassemble_all)) {
            continue;
        }
        printf("\nDisassembly of section %s:\n", s->name);
        d->section = i;
        disassemble_range(d, s->data, s->size, s->address);
    }
}

/* Tables. */

static void show_file_header(const Dump *d)
{
    static const char *const types[] = {
        "none", "relocatable", "executable", "shared", "core",
    };
    const ElfView *v = d->view;

    printf("type %s, machine %u, flags 0x%08x", v->type < 5
           ? types[v->type] : "unknown", v->machine, v->flags);
    if (v->isa) {
        printf(" (instruction set version %u)", v->isa);
    }
    printf("\nstart address 0x%016" PRIx64 "\n\n", v->entry);
}

static void show_segments(const Dump *d)
{
    static const struct {
        uint32_t type;
        const char *name;
    } names[] = {
        { PT_LOAD, "LOAD" }, { PT_DYNAMIC, "DYNAMIC" },
        { PT_INTERP, "INTERP" }, { PT_NOTE, "NOTE" }, { PT_PHDR, "PHDR" },
        { PT_TLS, "TLS" }, { PT_GNU_STACK, "STACK" },
        { PT_GNU_RELRO, "RELRO" }, { PT_GNU_EH_FRAME, "EH_FRAME" },
    };

    printf("Program Header:\n");
    for (unsigned i = 0; i < d->view->n_segments; i++) {
        const ElfViewSegment *s = &d->view->segments[i];
        const char *name = NULL;

        for (unsigned k = 0; k < G_N_ELEMENTS(names); k++) {
            name = names[k].type == s->type ? names[k].name : name;
        }
        if (name) {
            printf("%8s", name);
        } else {
            printf("%#8x", s->type);
        }
        printf(" off    0x%016" PRIx64 " vaddr 0x%016" PRIx64
               " paddr 0x%016" PRIx64 " align 0x%" PRIx64 "\n"
               "         filesz 0x%016" PRIx64 " memsz 0x%016" PRIx64
               " flags %c%c%c\n", s->offset, s->vaddr, s->paddr, s->align,
               s->file_size, s->memory_size, s->flags & PF_R ? 'r' : '-',
               s->flags & PF_W ? 'w' : '-', s->flags & PF_X ? 'x' : '-');
    }
    putchar('\n');
}

static void show_sections(const Dump *d)
{
    static const struct {
        uint64_t flag;
        const char *name;
    } flags[] = {
        { SHF_ALLOC, "ALLOC" }, { SHF_WRITE, "WRITE" },
        { SHF_EXECINSTR, "CODE" }, { SHF_TLS, "THREAD_LOCAL" },
        { SHF_MERGE, "MERGE" }, { SHF_STRINGS, "STRINGS" },
    };

    printf("Sections:\nIdx Name          Size      VMA               "
           "File off  Algn  Flags\n");
    for (unsigned i = 1; i < d->view->n_sections; i++) {
        const ElfViewSection *s = &d->view->sections[i];

        printf("%3u %-13s %08" PRIx64 "  %016" PRIx64 "  %08" PRIx64
               "  %-4" PRIu64 " ", i, s->name, s->size,
               s->address + d->adjust, s->offset, s->align);
        if (s->type != SHT_NOBITS) {
            printf(" CONTENTS");
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(flags); k++) {
            if (s->flags & flags[k].flag) {
                printf(" %s", flags[k].name);
            }
        }
        putchar('\n');
    }
    putchar('\n');
}

static void show_symbol(const Dump *d, const ElfViewSymbol *s)
{
    static const char binds[] = { 'l', 'g', 'w' };
    static const char *const types[] = {
        " ", "O", "F", "S", "f", "C", "T",
    };
    static const char *const visibilities[] = {
        "", ".internal ", ".hidden ", ".protected ",
    };
    const char *section = s->section == SHN_UNDEF    ? "*UND*"
                          : s->section == SHN_ABS    ? "*ABS*"
                          : s->section == SHN_COMMON ? "*COM*"
                          : s->section < d->view->n_sections
                              ? d->view->sections[s->section].name
                              : "?";

    printf("%016" PRIx64 " %c %s %-8s\t%016" PRIx64 " %s%s\n", s->value,
           s->section == SHN_UNDEF && s->bind != STB_WEAK ? ' '
           : s->bind < 3                                  ? binds[s->bind]
                                                          : '?',
           s->type < 7 ? types[s->type] : s->type == STT_GNU_IFUNC ? "i"
                                                                   : "?",
           section, s->size, visibilities[s->visibility], s->name);
}

static void show_symbols(const Dump *d, const char *title,
                         const ElfViewSymbol *symbols, unsigned n)
{
    printf("%s:\n", title);
    for (unsigned i = 1; i < n; i++) {
        show_symbol(d, &symbols[i]);
    }
    if (n <= 1) {
        printf("no symbols\n");
    }
    putchar('\n');
}

static void show_relocs(const Dump *d)
{
    const ElfView *v = d->view;

    for (unsigned i = 0; i < v->n_sections; i++) {
        const ElfViewSection *s = &v->sections[i];
        g_autofree ElfViewReloc *relocs = NULL;

        if (s->type != SHT_RELA || s->link >= v->n_sections) {
            continue;
        }
        bool dynamic = v->sections[s->link].type == SHT_DYNSYM;
        unsigned n = elf_view_relocs(v, i, &relocs);

        printf("RELOCATION RECORDS IN [%s]:\nOFFSET           TYPE"
               "                 VALUE\n", s->name);
        for (unsigned k = 0; k < n; k++) {
            printf("%016" PRIx64 " %-20s ", relocs[k].offset,
                   e2k_reloc_name(relocs[k].type));
            print_reloc_target(d, &relocs[k],
                               dynamic ? v->dynsyms : v->symbols,
                               dynamic ? v->n_dynsyms : v->n_symbols);
        }
        putchar('\n');
    }
}

static void show_bytes(const Dump *d, const char *name, const uint8_t *bytes,
                       uint64_t size, uint64_t address)
{
    printf("Contents of section %s:\n", name);
    for (uint64_t at = 0; at < size; at += 16) {
        uint64_t here = address + at + d->adjust;

        if (here + 16 <= d->start || here >= d->stop) {
            continue;
        }
        printf(" %04" PRIx64 " ", here);
        for (unsigned k = 0; k < 16; k++) {
            if (at + k < size) {
                printf("%02x", bytes[at + k]);
            } else {
                printf("  ");
            }
            if (k % 4 == 3) {
                putchar(' ');
            }
        }
        putchar(' ');
        for (unsigned k = 0; k < 16 && at + k < size; k++) {
            putchar(g_ascii_isprint(bytes[at + k]) ? bytes[at + k] : '.');
        }
        putchar('\n');
    }
}

static void show_contents(const Dump *d)
{
    if (!d->view) {
        show_bytes(d, ".data", d->bytes, d->size, 0);
        return;
    }
    for (unsigned i = 0; i < d->view->n_sections; i++) {
        const ElfViewSection *s = &d->view->sections[i];

        if (s->data && s->size && wanted_section(s->name)) {
            show_bytes(d, s->name, s->data, s->size, s->address);
        }
    }
}

static void show_tables(const Dump *d)
{
    bool all = opt.all_headers;
    const ElfView *v = d->view;

    if (opt.file_header || all) {
        show_file_header(d);
    }
    if ((opt.private_headers || all) && v->n_segments) {
        show_segments(d);
    }
    if (opt.headers || all) {
        show_sections(d);
    }
    if (opt.symbols || all) {
        show_symbols(d, "SYMBOL TABLE", v->symbols, v->n_symbols);
    }
    if (opt.dynamic_symbols) {
        show_symbols(d, "DYNAMIC SYMBOL TABLE", v->dynsyms, v->n_dynsyms);
    }
    if ((opt.relocs && !opt.disassemble && !opt.disassemble_all) || all) {
        show_relocs(d);
    }
}

/* e2k:5, e2kv5, elbrus-v5, 5 */
static unsigned parse_machine(const char *text)
{
    size_t length = strlen(text);
    unsigned isa = length ? text[length - 1] - '0' : 0;

    if (isa < ISA_MIN || isa > ISA_MAX ||
        (length > 1 && g_ascii_isdigit(text[length - 2]))) {
        die("unknown machine '%s', e2k:1 to e2k:7 exist", text);
    }
    return isa;
}

static bool dump_file(const char *path)
{
    bool binary = opt.format && strcmp(opt.format, "binary") == 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;
    gsize size;
    Dump d = { .name = path };

    if (!g_file_get_contents(path, &data, &size, &error)) {
        fprintf(stderr, "e2k-objdump: %s\n", error->message);
        return false;
    }
    d.bytes = (const uint8_t *)data;
    d.size = size;
    d.adjust = parse_address("--adjust-vma", opt.adjust, 0);
    d.start = parse_address("--start-address", opt.start, 0);
    d.stop = parse_address("--stop-address", opt.stop, UINT64_MAX);
    d.labels = g_array_new(FALSE, FALSE, sizeof(Label));
    if (!binary) {
        d.view = elf_view_new(d.bytes, d.size, &error);
        if (!d.view) {
            fprintf(stderr, "e2k-objdump: %s: %s\n", path, error->message);
            g_array_unref(d.labels);
            return false;
        }
        collect_labels(&d);
    }
    d.isa = opt.machine                  ? parse_machine(opt.machine)
            : d.view && d.view->isa      ? d.view->isa
                                         : ISA_MAX;
    printf("\n%s:     file format %s\n\n", path,
           binary ? "binary" : d.view->narrow ? "elf32-e2k" : "elf64-e2k");
    if (d.view) {
        show_tables(&d);
    }
    if (opt.contents) {
        show_contents(&d);
    }
    if (opt.disassemble || opt.disassemble_all) {
        disassemble_file(&d);
    }
    elf_view_free(d.view);
    g_array_unref(d.labels);
    return true;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new(
        "- show e2k object files");
    bool ok = true;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        die("%s", error->message);
    }
    if (opt.version) {
        printf("e2k-objdump %s\n", E2K_VERSION);
        return 0;
    }
    if (!opt.files) {
        die("no input files; see --help");
    }
    if (opt.format && strcmp(opt.format, "binary") != 0 &&
        !g_str_has_prefix(opt.format, "elf")) {
        die("unknown format '%s', elf and binary exist", opt.format);
    }
    for (char **file = opt.files; *file; file++) {
        ok &= dump_file(*file);
    }
    return ok ? 0 : 1;
}
