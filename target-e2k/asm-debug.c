/*
 * Line-number information (-g): one DWARF 3 compilation unit whose line table
 * has an entry for every bundle.
 *
 *   .debug_abbrev   shape of the one entry
 *   .debug_info     the unit: name, directory, start of its line table
 *   .debug_line     files; for each section a run of (address, file, line)
 */
#include "target-e2k/asm-int.h"

#include <elf.h>
#include <string.h>

#include "util/bytes.h"

enum {
    DW_VERSION = 3,
    DW_TAG_COMPILE_UNIT = 0x11,
    DW_AT_NAME = 0x03,
    DW_AT_STMT_LIST = 0x10,
    DW_AT_COMP_DIR = 0x1b,
    DW_AT_LANGUAGE = 0x13,
    DW_FORM_DATA4 = 0x06,
    DW_FORM_DATA2 = 0x05,
    DW_FORM_STRING = 0x08,
    DW_LANG_ASSEMBLER = 0x8001,
    DW_LNS_COPY = 1,
    DW_LNS_ADVANCE_PC = 2,
    DW_LNS_ADVANCE_LINE = 3,
    DW_LNS_SET_FILE = 4,
    DW_LNE_END_SEQUENCE = 1,
    DW_LNE_SET_ADDRESS = 2,
    LINE_OPCODE_BASE = 10,
};

void debug_note_line(Asm *as, AsmPlace place)
{
    LineEntry entry = { as->section, as->section->size, place };

    if (as->options->debug_lines) {
        g_array_append_val(as->lines, entry);
    }
}

static void put8(Asm *as, uint8_t value)
{
    section_emit(as, &value, 1);
}

static void put16(Asm *as, uint16_t value)
{
    uint8_t b[2];

    stw_le_p(b, value);
    section_emit(as, b, 2);
}

static void put32(Asm *as, uint32_t value)
{
    uint8_t b[4];

    stl_le_p(b, value);
    section_emit(as, b, 4);
}

static void put_string(Asm *as, const char *text)
{
    section_emit(as, text, strlen(text) + 1);
}

static void put_uleb(Asm *as, uint64_t value)
{
    do {
        uint8_t byte = value & 0x7f;

        value >>= 7;
        put8(as, byte | (value ? 0x80 : 0));
    } while (value);
}

static void put_sleb(Asm *as, int64_t value)
{
    bool more;

    do {
        uint8_t byte = value & 0x7f;

        value >>= 7;
        more = !(value == 0 && !(byte & 0x40)) &&
               !(value == -1 && (byte & 0x40));
        put8(as, byte | (more ? 0x80 : 0));
    } while (more);
}

/* A length word to be filled in by end_length(). */
static uint64_t begin_length(Asm *as)
{
    put32(as, 0);
    return as->section->size;
}

static void end_length(Asm *as, uint64_t start)
{
    stl_le_p(as->section->data->data + start - 4, as->section->size - start);
}

/* Number of a file in the table of names, from 1. */
static unsigned file_number(GPtrArray *files, const char *file)
{
    for (unsigned i = 0; i < files->len; i++) {
        if (files->pdata[i] == file) { /* interned */
            return i + 1;
        }
    }
    g_ptr_array_add(files, (gpointer)file);
    return files->len;
}

static void put_set_address(Asm *as, ObjSection *section, uint64_t offset)
{
    static const uint8_t zero[8];
    unsigned size = as->options->narrow ? 4 : 8;
    AsmSymbol *symbol = symbol_temporary(as);

    symbol->placed = symbol->obj->defined = true;
    symbol->obj->section = section;
    symbol->obj->value = offset;
    put8(as, 0);
    put_uleb(as, 1 + size);
    put8(as, DW_LNE_SET_ADDRESS);
    fixup_add(as, size == 4 ? FIXUP_DATA32 : FIXUP_DATA64, as->section->size,
              0, expr_symbol(as, symbol));
    section_emit(as, zero, size);
}

/* All entries of one section. */
static void put_sequence(Asm *as, ObjSection *section, GPtrArray *files)
{
    uint64_t address = 0;
    unsigned line = 1;
    unsigned file = 1;
    bool started = false;

    for (unsigned i = 0; i < as->lines->len; i++) {
        const LineEntry *e = &g_array_index(as->lines, LineEntry, i);

        if (e->section != section) {
            continue;
        }
        if (!started) {
            put_set_address(as, section, e->offset);
            address = e->offset;
            started = true;
        }
        if (e->offset != address) {
            put8(as, DW_LNS_ADVANCE_PC);
            put_uleb(as, e->offset - address);
        }
        if (file_number(files, e->place.file) != file) {
            file = file_number(files, e->place.file);
            put8(as, DW_LNS_SET_FILE);
            put_uleb(as, file);
        }
        if (e->place.line != line) {
            put8(as, DW_LNS_ADVANCE_LINE);
            put_sleb(as, (int64_t)e->place.line - line);
        }
        put8(as, DW_LNS_COPY);
        address = e->offset;
        line = e->place.line;
    }
    if (started) {
        put8(as, DW_LNS_ADVANCE_PC);
        put_uleb(as, section->size - address);
        put8(as, 0);
        put_uleb(as, 1);
        put8(as, DW_LNE_END_SEQUENCE);
    }
}

static void put_line_table(Asm *as, GPtrArray *files, unsigned n_sections)
{
    static const uint8_t lengths[LINE_OPCODE_BASE - 1] = {
        0, 1, 1, 1, 1, 0, 0, 0, 1,
    };
    uint64_t unit = begin_length(as);
    uint64_t header;

    put16(as, DW_VERSION);
    header = begin_length(as);
    put8(as, 1);  /* unit of addresses */
    put8(as, 1);  /* entries are statements */
    put8(as, -5); /* line base, not used: no special opcodes */
    put8(as, 14);
    put8(as, LINE_OPCODE_BASE);
    section_emit(as, lengths, sizeof(lengths));
    put8(as, 0); /* no directories */
    for (unsigned i = 0; i < files->len; i++) {
        put_string(as, files->pdata[i]);
        put8(as, 0);
        put8(as, 0);
        put8(as, 0);
    }
    put8(as, 0);
    end_length(as, header);
    for (unsigned i = 0; i < n_sections; i++) {
        put_sequence(as, as->file->sections->pdata[i], files);
    }
    end_length(as, unit);
}

static void put_abbrev(Asm *as)
{
    static const uint8_t abbrev[] = {
        1, DW_TAG_COMPILE_UNIT, 0,
        DW_AT_STMT_LIST, DW_FORM_DATA4,
        DW_AT_LANGUAGE, DW_FORM_DATA2,
        DW_AT_NAME, DW_FORM_STRING,
        DW_AT_COMP_DIR, DW_FORM_STRING,
        0, 0, 0,
    };

    section_emit(as, abbrev, sizeof(abbrev));
}

/* A 32-bit offset of another debugging section. */
static void put_offset(Asm *as, AsmSymbol *start)
{
    fixup_add(as, FIXUP_DATA32, as->section->size, 0,
              expr_symbol(as, start));
    put32(as, 0);
}

static void put_info(Asm *as, AsmSymbol *abbrev, AsmSymbol *lines)
{
    g_autofree char *dir = g_get_current_dir();
    uint64_t unit = begin_length(as);

    put16(as, DW_VERSION);
    put_offset(as, abbrev);
    put8(as, as->options->narrow ? 4 : 8); /* bytes of an address */
    put_uleb(as, 1);
    put_offset(as, lines);
    put16(as, DW_LANG_ASSEMBLER);
    put_string(as, as->file->name);
    put_string(as, dir);
    end_length(as, unit);
}

static void collect_files(Asm *as, GPtrArray *files)
{
    for (unsigned i = 0; i < as->lines->len; i++) {
        file_number(files, g_array_index(as->lines, LineEntry,
                                         i).place.file);
    }
}

void debug_finish(Asm *as)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new();
    unsigned n_sections = as->file->sections->len;
    AsmSymbol *abbrev;
    AsmSymbol *lines;

    if (!as->lines->len) {
        return;
    }
    collect_files(as, files);
    section_use(as, ".debug_abbrev", SHT_PROGBITS, 0, true);
    abbrev = symbol_here(as);
    put_abbrev(as);
    section_use(as, ".debug_line", SHT_PROGBITS, 0, true);
    lines = symbol_here(as);
    put_line_table(as, files, n_sections);
    section_use(as, ".debug_info", SHT_PROGBITS, 0, true);
    put_info(as, abbrev, lines);
}
