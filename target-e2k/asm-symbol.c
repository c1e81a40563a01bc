/*
 * Symbols, section contents, and the fixups that are settled at the end.
 *
 * Source of the relocations: shared facts "linux/relocations.md".
 */
#include "target-e2k/asm-int.h"

#include <elf.h>
#include <string.h>

#include "util/bytes.h"

enum { MAX_SECTION = 1 << 30 }; /* bytes; a runaway .rept ends here */

/* Whether the current section can grow; else a message. */
static bool can_grow(Asm *as, uint64_t bytes)
{
    uint64_t max = as->options->max_section ? as->options->max_section
                                            : MAX_SECTION;

    if (bytes <= max - as->section->size) {
        return true;
    }
    asm_error(as, 0, "section '%s' grows beyond %" G_GUINT64_FORMAT " KiB",
              as->section->name, max >> 10);
    as->ended = true;
    return false;
}

AsmSymbol *symbol_lookup(Asm *as, const char *name)
{
    return g_hash_table_lookup(as->symbols, name);
}

static AsmSymbol *new_symbol(Asm *as, const char *name)
{
    AsmSymbol *symbol = g_new0(AsmSymbol, 1);

    symbol->obj = g_new0(ObjSymbol, 1);
    symbol->obj->name = g_strdup(name);
    g_ptr_array_add(as->all_symbols, symbol);
    return symbol;
}

AsmSymbol *symbol_get(Asm *as, const char *name)
{
    AsmSymbol *symbol = symbol_lookup(as, name);

    if (!symbol) {
        symbol = new_symbol(as, name);
        symbol->temporary = g_str_has_prefix(name, ".L");
        g_hash_table_insert(as->symbols, symbol->obj->name, symbol);
    }
    return symbol;
}

AsmSymbol *symbol_temporary(Asm *as)
{
    AsmSymbol *symbol = new_symbol(as, "");

    symbol->temporary = true;
    return symbol;
}

static void place_symbol(Asm *as, AsmSymbol *symbol)
{
    symbol->placed = true;
    symbol->obj->defined = true;
    symbol->obj->section = as->section;
    symbol->obj->value = as->section->size;
    if (as->section->flags & SHF_TLS) {
        symbol->obj->type = STT_TLS;
    }
}

AsmSymbol *symbol_here(Asm *as)
{
    AsmSymbol *symbol = symbol_temporary(as);

    place_symbol(as, symbol);
    return symbol;
}

void symbol_define_label(Asm *as, const char *name)
{
    AsmSymbol *symbol = symbol_get(as, name);

    if (symbol->obj->defined || symbol->equated || symbol->obj->common) {
        asm_error(as, as->column, "'%s' is defined already", name);
        return;
    }
    place_symbol(as, symbol);
}

/* Name under which the n-th definition of a numeric label is kept. */
static char *numeric_name(unsigned number, unsigned n)
{
    return g_strdup_printf(".L\001%u\002%u", number, n);
}

static unsigned numeric_count(Asm *as, unsigned number)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(as->local_count,
                                                GUINT_TO_POINTER(number)));
}

void symbol_define_numeric(Asm *as, unsigned number)
{
    unsigned n = numeric_count(as, number) + 1;
    g_autofree char *name = numeric_name(number, n);

    g_hash_table_insert(as->local_count, GUINT_TO_POINTER(number),
                        GUINT_TO_POINTER(n));
    place_symbol(as, symbol_get(as, name));
}

AsmSymbol *symbol_numeric(Asm *as, unsigned number, bool forward)
{
    unsigned n = numeric_count(as, number);

    if (!forward && n == 0) {
        return NULL;
    }
    g_autofree char *name = numeric_name(number, n + forward);

    return symbol_get(as, name);
}

void symbol_equate(Asm *as, const char *name, Expr *expr, bool once)
{
    AsmSymbol *symbol = symbol_get(as, name);
    ExprValue value;

    if (symbol->placed || symbol->obj->common ||
        (once && symbol->equated)) {
        asm_error(as, as->column, "'%s' is defined already", name);
        return;
    }
    /*
     * What is known now is kept as a number or place, so that a name may be
     * counted up.
     */
    if (expr_eval(as, expr, &value) && !value.minus && !value.reloc) {
        if (!value.symbol) {
            expr = expr_number(as, value.number);
        } else if (value.symbol != symbol) {
            expr = expr_binary(as, EXPR_ADD, expr_symbol(as, value.symbol),
                               expr_number(as, value.number));
        } else {
            asm_error(as, as->column, "'%s' is defined by itself", name);
            return;
        }
    }
    symbol->equated = expr;
}

void section_emit(Asm *as, const void *bytes, size_t size)
{
    ObjSection *section = as->section;

    if (!can_grow(as, size)) {
        return;
    }
    section->size += size;
    if (section->type != SHT_NOBITS) {
        g_byte_array_append(section->data, bytes, size);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if (((const uint8_t *)bytes)[i]) {
            asm_error(as, 0, "contents in section '%s', which has none",
                      section->name);
            return;
        }
    }
}

void section_fill(Asm *as, uint64_t count, uint8_t value)
{
    ObjSection *section = as->section;

    if (count == 0 || !can_grow(as, count)) {
        return;
    }
    section->size += count;
    if (section->type == SHT_NOBITS) {
        if (value) {
            asm_error(as, 0, "contents in section '%s', which has none",
                      section->name);
        }
        return;
    }
    g_byte_array_set_size(section->data, section->size);
    memset(section->data->data + section->size - count, value, count);
}

void section_align(Asm *as, uint64_t align, int fill, uint64_t max)
{
    ObjSection *section = as->section;
    uint64_t gap = -section->size & (align - 1);

    if (gap > max) {
        return;
    }
    section->align = MAX(section->align, align);
    section_fill(as, gap, fill);
}

void fixup_add(Asm *as, FixupKind kind, uint64_t offset,
               unsigned insn_offset, const Expr *expr)
{
    Fixup fixup = { as->section, offset, kind, insn_offset, expr, NULL,
                    as->place };

    g_array_append_val(as->fixups, fixup);
}

/* Range of values that a field takes, as signed or unsigned. */
static bool fits(uint64_t value, unsigned bits)
{
    int64_t s = value;

    return bits == 64 || value >> bits == 0 ||
           (s < 0 && s >= -((int64_t)1 << (bits - 1)));
}

static unsigned kind_bits(FixupKind kind)
{
    switch (kind) {
    case FIXUP_DATA8: return 8;
    case FIXUP_DATA16:
    case FIXUP_LIT16: return 16;
    case FIXUP_DATA32:
    case FIXUP_LIT32: return 32;
    default: return 64;
    }
}

/* Stores a number that is known. */
static void patch_number(Asm *as, const Fixup *f, uint64_t value)
{
    uint8_t *p = f->section->data->data + f->offset;

    if (!fits(value, kind_bits(f->kind))) {
        asm_error_at(as, f->place, "value 0x%" G_GINT64_MODIFIER
                     "x does not fit %u bits", value, kind_bits(f->kind));
        return;
    }
    switch (f->kind) {
    case FIXUP_DATA8:
        *p = value;
        break;
    case FIXUP_DATA16:
    case FIXUP_LIT16:
        stw_le_p(p, value);
        break;
    case FIXUP_DATA32:
    case FIXUP_LIT32:
        stl_le_p(p, value);
        break;
    case FIXUP_DATA64:
        stq_le_p(p, value);
        break;
    case FIXUP_LIT64:
        stl_le_p(p, value >> 32);
        stl_le_p(p + 4, value);
        break;
    default:
        g_assert_not_reached();
    }
}

/* CS0's displacement: value bytes from the bundle to its target. */
static void patch_disp(Asm *as, const Fixup *f, int64_t value)
{
    uint8_t *p = f->section->data->data + f->offset;

    if (value & 7) {
        asm_error_at(as, f->place, "branch target is not a multiple of 8");
    } else if (value / 8 < -(1 << 27) || value / 8 >= 1 << 27) {
        asm_error_at(as, f->place, "branch target is more than 1 GiB away");
    } else {
        stl_le_p(p, (ldl_le_p(p) & 0xf0000000) |
                        ((uint64_t)value >> 3 & 0x0fffffff));
    }
}

/* Relocation for a value with an operator, or -1. */
static int reloc_of_operator(ExprReloc reloc, FixupKind kind)
{
    bool word = kind == FIXUP_DATA32 || kind == FIXUP_LIT32;
    bool lit = kind == FIXUP_LIT64;
    bool quad = kind == FIXUP_DATA64;

    switch (reloc) {
    case RELOC_GOT: return word ? R_E2K_GOT : -1;
    case RELOC_GOTPLT: return word ? R_E2K_GOTPLT : -1;
    case RELOC_GOTOFF:
        return word ? R_E2K_GOTOFF : lit ? R_E2K_64_GOTOFF_LIT
               : quad ? R_E2K_64_GOTOFF : -1;
    case RELOC_TLS_GDMOD: return word ? R_E2K_TLS_GDMOD : -1;
    case RELOC_TLS_GDREL: return word ? R_E2K_TLS_GDREL : -1;
    case RELOC_TLS_IE: return word ? R_E2K_TLS_IE : -1;
    case RELOC_TLS_LE:
        return word ? R_E2K_32_TLS_LE : lit ? R_E2K_64_TLS_LE : -1;
    case RELOC_TLS_DTPREL:
        return word ? R_E2K_TLS_32_DTPREL : quad ? R_E2K_TLS_64_DTPREL : -1;
    case RELOC_ISLOCAL: return word ? R_E2K_ISLOCAL32 : -1;
    case RELOC_DYNOPT:
        return word ? R_E2K_32_DYNOPT : quad ? R_E2K_64_DYNOPT : -1;
    case RELOC_SIZE: return word ? R_E2K_32_SIZE : quad ? R_E2K_64_SIZE : -1;
    case RELOC_PLT: return kind == FIXUP_DISP ? R_E2K_DISP : -1;
    default: return -1;
    }
}

static int reloc_of_kind(FixupKind kind, bool pc_relative)
{
    switch (kind) {
    case FIXUP_DATA32:
    case FIXUP_LIT32: return pc_relative ? R_E2K_32_PC : R_E2K_32_ABS;
    case FIXUP_DATA64: return pc_relative ? -1 : R_E2K_64_ABS;
    case FIXUP_LIT64: return pc_relative ? R_E2K_64_PC_LIT : R_E2K_64_ABS_LIT;
    case FIXUP_DISP: return R_E2K_DISP;
    case FIXUP_PREF: return R_E2K_PREF;
    default: return -1;
    }
}

static void add_reloc(Asm *as, const Fixup *f, int type, AsmSymbol *symbol,
                      int64_t addend)
{
    ObjReloc reloc = { f->offset, type, symbol->obj, addend };

    if (type < 0 || (type > 255 && as->options->narrow)) {
        asm_error_at(as, f->place, "no relocation for '%s' in this place%s",
                     symbol->temporary ? "local label" : symbol->obj->name,
                     type < 0 ? "" : " of a 32-bit file");
        return;
    }
    if (symbol->placed && symbol->obj->bind == STB_LOCAL &&
        symbol->obj->type != STT_GNU_IFUNC) {
        reloc.symbol = obj_section_symbol(as->file, symbol->obj->section);
        reloc.addend += symbol->obj->value;
    }
    if (as->options->narrow && !fits(reloc.addend, 32)) {
        asm_error_at(as, f->place, "offset 0x%" G_GINT64_MODIFIER "x does not "
                     "fit a 32-bit file", reloc.addend);
        return;
    }
    reloc.symbol->used = true;
    g_array_append_val(f->section->relocs, reloc);
}

static void resolve_symbolic(Asm *as, const Fixup *f, const ExprValue *value)
{
    AsmSymbol *symbol = value->symbol;
    int64_t addend = value->number;
    bool got = symbol && !symbol->placed &&
               strcmp(symbol->obj->name, "_GLOBAL_OFFSET_TABLE_") == 0;

    if (value->minus) {
        if (!symbol || value->reloc || !value->minus->placed ||
            value->minus->obj->section != f->section) {
            asm_error_at(as, f->place, "difference of symbols of different "
                         "sections");
            return;
        }
        add_reloc(as, f, reloc_of_kind(f->kind, true), symbol,
                  addend + f->offset - value->minus->obj->value);
        return;
    }
    if (value->reloc) {
        add_reloc(as, f, reloc_of_operator(value->reloc, f->kind), symbol,
                  addend + (f->kind == FIXUP_DISP ? f->insn_offset : 0));
        return;
    }
    if (f->kind == FIXUP_DISP) {
        if (symbol->placed && symbol->obj->section == f->section &&
            symbol->obj->bind == STB_LOCAL &&
            symbol->obj->type != STT_GNU_IFUNC) { /* the linker's business */
            patch_disp(as, f, symbol->obj->value + addend -
                                  (f->offset - f->insn_offset));
            return;
        }
        addend += f->insn_offset;
    } else if (got && (f->kind == FIXUP_LIT32 || f->kind == FIXUP_LIT64)) {
        add_reloc(as, f, reloc_of_kind(f->kind, true), symbol,
                  addend + f->insn_offset);
        return;
    }
    add_reloc(as, f, reloc_of_kind(f->kind, false), symbol, addend);
}

static void resolve_fixup(Asm *as, const Fixup *f)
{
    ExprValue value;

    if (!expr_eval(as, f->expr, &value)) {
        asm_error_at(as, f->place, "expression cannot be computed");
        return;
    }
    if (f->kind == FIXUP_SIZE) {
        if (value.symbol || value.minus) {
            asm_error_at(as, f->place, "size of '%s' is not a number",
                         f->symbol->obj->name);
        } else {
            f->symbol->obj->size = value.number;
        }
        return;
    }
    if (f->section->type == SHT_NOBITS) {
        if (value.symbol || value.minus || value.number) {
            asm_error_at(as, f->place, "contents in section '%s', which has "
                         "none", f->section->name);
        }
        return;
    }
    if (value.symbol || value.minus) {
        resolve_symbolic(as, f, &value);
    } else if (f->kind == FIXUP_DISP) {
        asm_error_at(as, f->place, "branch to an absolute address");
    } else if (f->kind == FIXUP_PREF) {
        asm_error_at(as, f->place, "prefetch of an absolute address");
    } else {
        patch_number(as, f, value.number);
    }
}

void asm_resolve_fixups(Asm *as)
{
    for (unsigned i = 0; i < as->fixups->len; i++) {
        resolve_fixup(as, &g_array_index(as->fixups, Fixup, i));
    }
}

/* Gives an equated symbol its final section and value. */
static void finish_equated(Asm *as, AsmSymbol *symbol)
{
    ExprValue value;
    ObjSymbol *obj = symbol->obj;

    if (!expr_eval(as, symbol->equated, &value) || value.minus ||
        value.reloc || (value.symbol && !value.symbol->placed)) {
        asm_error(as, 0, "'%s' is set to an expression that cannot be "
                  "computed", obj->name);
        return;
    }
    if (as->options->narrow && !fits(value.number, 32)) {
        if (obj->bind == STB_LOCAL) {
            symbol->temporary = true; /* a number of the source's own */
            return;
        }
        asm_error(as, 0, "value 0x%" G_GINT64_MODIFIER "x of '%s' does not "
                  "fit a 32-bit file", value.number, obj->name);
        return;
    }
    obj->defined = true;
    obj->value = value.number;
    if (value.symbol) {
        obj->section = value.symbol->obj->section;
        obj->value += value.symbol->obj->value;
        obj->type = obj->type ? obj->type : value.symbol->obj->type;
        obj->size = obj->size ? obj->size : value.symbol->obj->size;
    }
}

void asm_finish_symbols(Asm *as)
{
    for (unsigned i = 0; i < as->all_symbols->len; i++) {
        AsmSymbol *symbol = as->all_symbols->pdata[i];

        if (symbol->equated) {
            finish_equated(as, symbol);
        }
    }
    /* Now that no expression looks at them, the symbols become the file's. */
    for (unsigned i = 0; i < as->all_symbols->len; i++) {
        AsmSymbol *symbol = as->all_symbols->pdata[i];
        ObjSymbol *obj = symbol->obj;

        if (!obj->defined && !obj->common) {
            if (symbol->temporary && obj->used) {
                const char *digits = strchr(obj->name, '\001');

                asm_error(as, 0, "label '%.*s' is not defined",
                          digits ? (int)strcspn(digits + 1, "\002")
                                 : (int)strlen(obj->name),
                          digits ? digits + 1 : obj->name);
            } else if (!obj->used && obj->bind != STB_WEAK) {
                continue;
            }
            if (obj->bind == STB_LOCAL) {
                obj->bind = STB_GLOBAL;
            }
        }
        if (!symbol->temporary || obj->used || obj->bind != STB_LOCAL) {
            g_ptr_array_add(as->file->symbols, obj);
            symbol->obj = NULL; /* the file's now */
        }
    }
}
