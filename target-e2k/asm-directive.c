/*
 * Directives: sections, data, symbols.
 */
#include "target-e2k/asm-int.h"

#include <elf.h>
#include <string.h>

#include "util/bytes.h"

static bool need_end(Asm *as, Cursor *c)
{
    if (cursor_end(c)) {
        return true;
    }
    asm_error(as, cursor_column(c), "unexpected '%s'", c->p);
    return false;
}

/* Sections. */

static const struct {
    const char *prefix;
    uint32_t type;
    uint64_t flags;
} known_sections[] = {
    { ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR },
    { ".init", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR },
    { ".fini", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR },
    { ".init_array", SHT_INIT_ARRAY, SHF_ALLOC | SHF_WRITE },
    { ".fini_array", SHT_FINI_ARRAY, SHF_ALLOC | SHF_WRITE },
    { ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE },
    { ".rodata", SHT_PROGBITS, SHF_ALLOC },
    { ".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE },
    { ".tdata", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS },
    { ".tbss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS },
};

void section_use(Asm *as, const char *name, uint32_t type, uint64_t flags,
                 bool attributes_given)
{
    ObjSection *section = obj_section_find(as->file, name);

    if (!section) {
        for (unsigned i = 0;
             !attributes_given && i < G_N_ELEMENTS(known_sections); i++) {
            const char *prefix = known_sections[i].prefix;
            size_t length = strlen(prefix);

            if (strncmp(name, prefix, length) == 0 &&
                (!name[length] || name[length] == '.')) {
                type = known_sections[i].type;
                flags = known_sections[i].flags;
            }
        }
        section = obj_section_new(as->file, name, type, flags);
    }
    as->previous = as->section;
    as->section = section;
}

static uint64_t section_flags(Asm *as, Cursor *c)
{
    static const struct {
        char letter;
        uint64_t flag;
    } letters[] = {
        { 'a', SHF_ALLOC }, { 'w', SHF_WRITE }, { 'x', SHF_EXECINSTR },
        { 'M', SHF_MERGE }, { 'S', SHF_STRINGS }, { 'T', SHF_TLS },
    };
    uint64_t flags = 0;

    if (!cursor_char(c, '"')) {
        asm_error(as, cursor_column(c), "section flags in quotes expected");
        return 0;
    }
    for (; *c->p && *c->p != '"'; c->p++) {
        unsigned i = 0;

        while (i < G_N_ELEMENTS(letters) && letters[i].letter != *c->p) {
            i++;
        }
        if (i == G_N_ELEMENTS(letters)) {
            asm_error(as, cursor_column(c), "unknown section flag '%c'",
                      *c->p);
        } else {
            flags |= letters[i].flag;
        }
    }
    cursor_char(c, '"');
    return flags;
}

/* @progbits, #nobits, %note, ... */
static char *at_word(Cursor *c)
{
    if (!cursor_char(c, '@') && !cursor_char(c, '#') &&
        !cursor_char(c, '%')) {
        return NULL;
    }
    return cursor_name(c);
}

static uint32_t section_type(Asm *as, Cursor *c)
{
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {
        { "progbits", SHT_PROGBITS }, { "nobits", SHT_NOBITS },
        { "note", SHT_NOTE }, { "init_array", SHT_INIT_ARRAY },
        { "fini_array", SHT_FINI_ARRAY },
    };
    g_autofree char *name = at_word(c);

    for (unsigned i = 0; name && i < G_N_ELEMENTS(types); i++) {
        if (strcmp(name, types[i].name) == 0) {
            return types[i].type;
        }
    }
    asm_error(as, cursor_column(c), "section type expected");
    return SHT_PROGBITS;
}

/* .section NAME[, "FLAGS"[, @TYPE[, ENTSIZE]]] */
static void do_section(Asm *as, Cursor *c, int arg)
{
    g_autofree char *name = cursor_name(c);
    bool given = false;
    uint64_t flags = 0;
    uint32_t type = SHT_PROGBITS;
    int64_t entsize = 0;

    if (!name) {
        asm_error(as, cursor_column(c), "section name expected");
        return;
    }
    if (cursor_char(c, ',')) {
        given = true;
        flags = section_flags(as, c);
        if (cursor_char(c, ',')) {
            type = section_type(as, c);
        }
        if (cursor_char(c, ',')) {
            expr_constant(as, c, &entsize);
        }
    }
    if (arg) {
        g_array_append_val(as->section_stack, as->section);
    }
    section_use(as, name, type, flags, given);
    if (entsize) {
        as->section->entsize = entsize;
    }
    need_end(as, c);
}

static void do_popsection(Asm *as, Cursor *c, int arg)
{
    GArray *stack = as->section_stack;

    if (stack->len == 0) {
        asm_error(as, as->column, "'.popsection' without '.pushsection'");
        return;
    }
    as->previous = as->section;
    as->section = g_array_index(stack, ObjSection *, stack->len - 1);
    g_array_set_size(stack, stack->len - 1);
    need_end(as, c);
}

static void do_previous(Asm *as, Cursor *c, int arg)
{
    ObjSection *section = as->section;

    as->section = as->previous;
    as->previous = section;
    need_end(as, c);
}

static void do_text(Asm *as, Cursor *c, int arg)
{
    section_use(as, ".text", 0, 0, false);
    need_end(as, c);
}

static void do_data(Asm *as, Cursor *c, int arg)
{
    section_use(as, ".data", 0, 0, false);
    need_end(as, c);
}

static void do_bss(Asm *as, Cursor *c, int arg)
{
    section_use(as, ".bss", 0, 0, false);
    need_end(as, c);
}

/* Data. */

/* arg: bytes of each value */
static void do_values(Asm *as, Cursor *c, int arg)
{
    static const uint8_t zero[8];

    do {
        cursor_skip(c);
        as->place.column = as->place.column ? cursor_column(c) : 0;

        Expr *expr = expr_parse(as, c);

        if (!expr) {
            return;
        }
        fixup_add(as, arg == 1   ? FIXUP_DATA8
                      : arg == 2 ? FIXUP_DATA16
                      : arg == 4 ? FIXUP_DATA32
                                 : FIXUP_DATA64,
                  as->section->size, 0, expr);
        section_emit(as, zero, arg);
    } while (cursor_char(c, ','));
    need_end(as, c);
}

static void do_octa(Asm *as, Cursor *c, int arg)
{
    do {
        uint8_t bytes[16] = { 0 };
        int64_t value;

        if (!expr_constant(as, c, &value)) {
            return;
        }
        stq_le_p(bytes, value);
        memset(bytes + 8, value < 0 ? 0xff : 0, 8);
        section_emit(as, bytes, 16);
    } while (cursor_char(c, ','));
    need_end(as, c);
}

/* arg: bytes of each value */
static void do_floats(Asm *as, Cursor *c, int arg)
{
    do {
        char *end;
        double value;
        uint8_t bytes[8];

        cursor_skip(c);
        value = g_ascii_strtod(c->p, &end);
        if (end == c->p) {
            asm_error(as, cursor_column(c), "number expected");
            return;
        }
        c->p = end;
        if (arg == 4) {
            float narrow = value;
            uint32_t bits;

            memcpy(&bits, &narrow, 4);
            stl_le_p(bytes, bits);
        } else {
            uint64_t bits;

            memcpy(&bits, &value, 8);
            stq_le_p(bytes, bits);
        }
        section_emit(as, bytes, arg);
    } while (cursor_char(c, ','));
    need_end(as, c);
}

/* One escape after the backslash. */
static uint8_t string_escape(Cursor *c)
{
    static const char from[] = "ntrbfv";
    static const char to[] = "\n\t\r\b\f\v";
    char ch = *c->p++;
    unsigned value = 0;

    if (ch == 'x') {
        while (g_ascii_isxdigit(*c->p)) {
            value = value << 4 | g_ascii_xdigit_value(*c->p++);
        }
        return value;
    }
    if (ch >= '0' && ch <= '7') {
        value = ch - '0';
        for (unsigned i = 0; i < 2 && *c->p >= '0' && *c->p <= '7'; i++) {
            value = value << 3 | (*c->p++ - '0');
        }
        return value;
    }
    const char *found = ch ? strchr(from, ch) : NULL;

    return found ? to[found - from] : ch;
}

/* A quoted string into out; false after a message. */
static bool quoted_string(Asm *as, Cursor *c, GString *out)
{
    if (!cursor_char(c, '"')) {
        asm_error(as, cursor_column(c), "string in quotes expected");
        return false;
    }
    while (*c->p && *c->p != '"') {
        if (*c->p == '\\' && c->p[1]) {
            c->p++;
            g_string_append_c(out, string_escape(c));
        } else {
            g_string_append_c(out, *c->p++);
        }
    }
    if (!cursor_char(c, '"')) {
        asm_error(as, cursor_column(c), "string without its end");
        return false;
    }
    return true;
}

/* arg: a zero byte after each */
static void do_strings(Asm *as, Cursor *c, int arg)
{
    do {
        g_autoptr(GString) out = g_string_new(NULL);

        if (!quoted_string(as, c, out)) {
            return;
        }
        section_emit(as, out->str, out->len + arg);
    } while (cursor_char(c, ','));
    need_end(as, c);
}

static void do_space(Asm *as, Cursor *c, int arg)
{
    int64_t count;
    int64_t fill = 0;

    if (!expr_constant(as, c, &count) ||
        (cursor_char(c, ',') && !expr_constant(as, c, &fill))) {
        return;
    }
    if (count < 0) {
        asm_error(as, as->column, "negative size");
        return;
    }
    section_fill(as, count, fill);
    need_end(as, c);
}

/* .fill REPEAT[, SIZE[, VALUE]] */
static void do_fill(Asm *as, Cursor *c, int arg)
{
    int64_t repeat;
    int64_t size = 1;
    int64_t value = 0;
    uint8_t bytes[8];

    if (!expr_constant(as, c, &repeat) ||
        (cursor_char(c, ',') && !expr_constant(as, c, &size)) ||
        (cursor_char(c, ',') && !expr_constant(as, c, &value))) {
        return;
    }
    if (repeat < 0 || repeat > 1 << 28 || size < 0 || size > 8) {
        asm_error(as, as->column, "repeat or size out of range");
        return;
    }
    stq_le_p(bytes, value);
    for (int64_t i = 0; i < repeat && !as->ended; i++) {
        section_emit(as, bytes, size);
    }
    need_end(as, c);
}

static void do_org(Asm *as, Cursor *c, int arg)
{
    Expr *expr = expr_parse(as, c);
    ExprValue value;
    int64_t fill = 0;

    if (!expr || (cursor_char(c, ',') && !expr_constant(as, c, &fill))) {
        return;
    }
    if (!expr_eval(as, expr, &value) || value.minus || value.reloc ||
        (value.symbol && (!value.symbol->placed ||
                          value.symbol->obj->section != as->section))) {
        asm_error(as, as->column, "offset in this section expected");
        return;
    }
    uint64_t offset = value.number +
                      (value.symbol ? value.symbol->obj->value : 0);

    if (offset < as->section->size) {
        asm_error(as, as->column, "'.org' goes back");
        return;
    }
    section_fill(as, offset - as->section->size, fill);
    need_end(as, c);
}

/* arg: operand is a power of two's exponent */
static void do_align(Asm *as, Cursor *c, int arg)
{
    int64_t align;
    int64_t fill = 0;
    int64_t max = INT64_MAX;

    if (!expr_constant(as, c, &align)) {
        return;
    }
    if (cursor_char(c, ',')) {
        cursor_skip(c);
        if (*c->p != ',' && !cursor_end(c) && !expr_constant(as, c, &fill)) {
            return;
        }
        if (cursor_char(c, ',') && !expr_constant(as, c, &max)) {
            return;
        }
    }
    if (arg && align >= 0 && align < 30) {
        align = (int64_t)1 << align;
    }
    if (align == 0) {
        align = 1;
    }
    if (align < 0 || align > 1 << 30 || (align & (align - 1))) {
        asm_error(as, as->column, "alignment must be a power of two");
        return;
    }
    section_align(as, align, fill, max < 0 ? 0 : max);
    need_end(as, c);
}

/* arg: signed */
static void do_leb128(Asm *as, Cursor *c, int arg)
{
    do {
        int64_t value;
        bool more;

        if (!expr_constant(as, c, &value)) {
            return;
        }
        do {
            uint8_t byte = value & 0x7f;

            if (arg) {
                value >>= 7;
                more = !(value == 0 && !(byte & 0x40)) &&
                       !(value == -1 && (byte & 0x40));
            } else {
                value = (uint64_t)value >> 7;
                more = value != 0;
            }
            byte |= more ? 0x80 : 0;
            section_emit(as, &byte, 1);
        } while (more);
    } while (cursor_char(c, ','));
    need_end(as, c);
}

/* .incbin "FILE"[, SKIP[, COUNT]] */
static void do_incbin(Asm *as, Cursor *c, int arg)
{
    g_autoptr(GString) name = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    g_autofree char *data = NULL;
    gsize length = 0;
    int64_t skip = 0;
    int64_t count = INT64_MAX;

    if (!quoted_string(as, c, name) ||
        (cursor_char(c, ',') && !expr_constant(as, c, &skip)) ||
        (cursor_char(c, ',') && !expr_constant(as, c, &count)) ||
        !source_find(as, name->str, &path)) {
        return;
    }
    if (!g_file_get_contents(path, &data, &length, &error)) {
        asm_error(as, as->column, "%s", error->message);
        return;
    }
    if (skip < 0 || (guint64)skip > length || count < 0) {
        asm_error(as, as->column, "part of '%s' that does not exist", path);
        return;
    }
    section_emit(as, data + skip, MIN((guint64)count, length - skip));
    need_end(as, c);
}

static void do_include(Asm *as, Cursor *c, int arg)
{
    g_autoptr(GString) name = g_string_new(NULL);

    if (quoted_string(as, c, name) && need_end(as, c)) {
        source_include(as, name->str);
    }
}

/* Symbols. */

enum { ARG_GLOBAL, ARG_WEAK, ARG_LOCAL };

static void do_bind(Asm *as, Cursor *c, int arg)
{
    static const uint8_t binds[] = { STB_GLOBAL, STB_WEAK, STB_LOCAL };

    do {
        g_autofree char *name = cursor_name(c);

        if (!name) {
            asm_error(as, cursor_column(c), "symbol expected");
            return;
        }
        symbol_get(as, name)->obj->bind = binds[arg];
    } while (cursor_char(c, ','));
    need_end(as, c);
}

/* arg: STV_... */
static void do_visibility(Asm *as, Cursor *c, int arg)
{
    do {
        g_autofree char *name = cursor_name(c);

        if (!name) {
            asm_error(as, cursor_column(c), "symbol expected");
            return;
        }
        symbol_get(as, name)->obj->visibility = arg;
    } while (cursor_char(c, ','));
    need_end(as, c);
}

static void do_type(Asm *as, Cursor *c, int arg)
{
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {
        { "function", STT_FUNC }, { "object", STT_OBJECT },
        { "notype", STT_NOTYPE }, { "tls_object", STT_TLS },
        { "common", STT_COMMON }, { "gnu_indirect_function", STT_GNU_IFUNC },
        { "STT_FUNC", STT_FUNC }, { "STT_OBJECT", STT_OBJECT },
        { "STT_TLS", STT_TLS }, { "STT_NOTYPE", STT_NOTYPE },
    };
    g_autofree char *name = cursor_name(c);

    if (!name || !cursor_char(c, ',')) {
        asm_error(as, cursor_column(c), "symbol and ',' expected");
        return;
    }
    g_autofree char *type = at_word(c);

    if (!type) {
        type = cursor_name(c);
    }
    for (unsigned i = 0; type && i < G_N_ELEMENTS(types); i++) {
        if (strcmp(type, types[i].name) == 0) {
            symbol_get(as, name)->obj->type = types[i].type;
            need_end(as, c);
            return;
        }
    }
    asm_error(as, cursor_column(c), "unknown symbol type '%s'",
              type ? type : "");
}

static void do_size(Asm *as, Cursor *c, int arg)
{
    g_autofree char *name = cursor_name(c);
    Expr *expr;

    if (!name || !cursor_char(c, ',')) {
        asm_error(as, cursor_column(c), "symbol and ',' expected");
        return;
    }
    expr = expr_parse(as, c);
    if (expr && need_end(as, c)) {
        fixup_add(as, FIXUP_SIZE, 0, 0, expr);
        g_array_index(as->fixups, Fixup, as->fixups->len - 1).symbol =
            symbol_get(as, name);
    }
}

/* arg: only once */
static void do_set(Asm *as, Cursor *c, int arg)
{
    g_autofree char *name = cursor_name(c);
    Expr *expr;

    if (!name || !cursor_char(c, ',')) {
        asm_error(as, cursor_column(c), "symbol and ',' expected");
        return;
    }
    expr = expr_parse(as, c);
    if (expr && need_end(as, c)) {
        symbol_equate(as, name, expr, arg);
    }
}

/* .comm NAME, SIZE[, ALIGN]; arg: .lcomm, in .bss */
static void do_comm(Asm *as, Cursor *c, int arg)
{
    g_autofree char *name = cursor_name(c);
    int64_t size;
    int64_t align = 8;

    if (!name || !cursor_char(c, ',') || !expr_constant(as, c, &size) ||
        (cursor_char(c, ',') && !expr_constant(as, c, &align))) {
        asm_error(as, cursor_column(c), "'NAME, SIZE, ALIGNMENT' expected");
        return;
    }
    if (size < 0 || size > 1 << 30 || align < 1 || align > 1 << 20 ||
        (align & (align - 1))) {
        asm_error(as, as->column, "size or alignment out of range");
        return;
    }
    AsmSymbol *symbol = symbol_get(as, name);

    if (arg || symbol->obj->bind == STB_LOCAL + 100) {
        ObjSection *section = as->section;

        section_use(as, ".bss", 0, 0, false);
        section_align(as, align, 0, INT64_MAX);
        symbol_define_label(as, name);
        section_fill(as, size, 0);
        as->section = section;
    } else if (symbol->obj->defined || symbol->equated) {
        asm_error(as, as->column, "'%s' is defined already", name);
        return;
    } else {
        symbol->obj->common = true;
        symbol->obj->bind = STB_GLOBAL;
        symbol->obj->value = align;
    }
    symbol->obj->type = STT_OBJECT;
    symbol->obj->size = size;
    need_end(as, c);
}

/* Other. */

/* .ignore and .accept ld_st_style */
static void do_style(Asm *as, Cursor *c, int arg)
{
    if (cursor_word(c, "ld_st_style")) {
        as->store_value_first = arg;
    }
}

static void do_nothing(Asm *as, Cursor *c, int arg)
{
}

static void do_message(Asm *as, Cursor *c, int arg)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!cursor_end(c) && !quoted_string(as, c, text)) {
        return;
    }
    if (arg) {
        asm_error(as, as->column, "%s", text->len ? text->str : ".error");
    } else {
        asm_warning(as, as->column, "%s", text->len ? text->str : ".warning");
    }
}

static const struct {
    const char *name;
    void (*run)(Asm *as, Cursor *c, int arg);
    int arg;
} directives[] = {
    { ".2byte", do_values, 2 },
    { ".4byte", do_values, 4 },
    { ".8byte", do_values, 8 },
    { ".accept", do_style, true },
    { ".align", do_align, false },
    { ".ascii", do_strings, 0 },
    { ".asciz", do_strings, 1 },
    { ".balign", do_align, false },
    { ".bss", do_bss, 0 },
    { ".byte", do_values, 1 },
    { ".comm", do_comm, false },
    { ".data", do_data, 0 },
    { ".double", do_floats, 8 },
    { ".dword", do_values, 8 },
    { ".equ", do_set, false },
    { ".equiv", do_set, true },
    { ".error", do_message, true },
    { ".file", do_nothing, 0 },
    { ".fill", do_fill, 0 },
    { ".float", do_floats, 4 },
    { ".global", do_bind, ARG_GLOBAL },
    { ".globl", do_bind, ARG_GLOBAL },
    { ".half", do_values, 2 },
    { ".hidden", do_visibility, STV_HIDDEN },
    { ".hword", do_values, 2 },
    { ".ias_line", do_nothing, 0 },
    { ".ident", do_nothing, 0 },
    { ".ignore", do_style, false },
    { ".incbin", do_incbin, 0 },
    { ".include", do_include, 0 },
    { ".int", do_values, 4 },
    { ".internal", do_visibility, STV_INTERNAL },
    { ".lcomm", do_comm, true },
    { ".local", do_bind, ARG_LOCAL },
    { ".long", do_values, 4 },
    { ".octa", do_octa, 0 },
    { ".org", do_org, 0 },
    { ".p2align", do_align, true },
    { ".popsection", do_popsection, 0 },
    { ".previous", do_previous, 0 },
    { ".protected", do_visibility, STV_PROTECTED },
    { ".pushsection", do_section, true },
    { ".quad", do_values, 8 },
    { ".section", do_section, false },
    { ".set", do_set, false },
    { ".short", do_values, 2 },
    { ".single", do_floats, 4 },
    { ".size", do_size, 0 },
    { ".skip", do_space, 0 },
    { ".sleb128", do_leb128, true },
    { ".space", do_space, 0 },
    { ".string", do_strings, 1 },
    { ".text", do_text, 0 },
    { ".type", do_type, 0 },
    { ".uadword", do_values, 8 },
    { ".uahalf", do_values, 2 },
    { ".uaword", do_values, 4 },
    { ".uleb128", do_leb128, false },
    { ".warning", do_message, false },
    { ".weak", do_bind, ARG_WEAK },
    { ".word", do_values, 4 },
    { ".xword", do_values, 8 },
    { ".zero", do_space, 0 },
};

void directive_run(Asm *as, const char *name, Cursor *c)
{
    if (as->bundle.started && as->bundle.braces) {
        asm_error(as, as->column, "directive inside a bundle");
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(directives); i++) {
        if (strcmp(directives[i].name, name) == 0) {
            directives[i].run(as, c, directives[i].arg);
            return;
        }
    }
    asm_error(as, as->column, "unknown directive '%s'", name);
}
