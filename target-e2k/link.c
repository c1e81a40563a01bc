/*
 * The linker's entry point and its symbols.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <stdarg.h>
#include <string.h>

enum { MAX_ERRORS = 50 };

void link_error(Link *link, const char *format, ...)
{
    va_list ap;

    if (link->errors++ >= MAX_ERRORS) {
        return;
    }
    g_string_append(link->messages, "error: ");
    va_start(ap, format);
    g_string_append_vprintf(link->messages, format, ap);
    va_end(ap);
    g_string_append_c(link->messages, '\n');
}

LinkSymbol *link_symbol(Link *link, const char *name)
{
    LinkSymbol *symbol = g_hash_table_lookup(link->symbols, name);

    if (!symbol) {
        symbol = g_new0(LinkSymbol, 1);
        symbol->name = g_intern_string(name);
        symbol->weak = true;
        g_hash_table_insert(link->symbols, (gpointer)symbol->name, symbol);
        g_ptr_array_add(link->symbol_list, symbol);
    }
    return symbol;
}

LinkSymbol *link_global(Link *link, const ObjSymbol *symbol)
{
    return symbol->link;
}

const ObjSymbol *link_definition(Link *link, const ObjSymbol *symbol)
{
    const LinkSymbol *global = symbol->link;

    if (global) {
        return global->def;
    }
    return symbol->defined ? symbol : NULL;
}

uint64_t link_value(const ObjSymbol *definition)
{
    const ObjSection *section = definition->section;

    if (!section) {
        return definition->value;
    }
    if (!section->output) { /* an output section itself */
        return section->address + definition->value;
    }
    return section->output->address + section->output_offset +
           definition->value;
}

bool link_binds_locally(Link *link, const ObjSymbol *symbol)
{
    const LinkSymbol *global = symbol->link;

    if (!global || !link->dynamic) {
        return true;
    }
    if (!global->def) {
        return false;
    }
    return link->options->kind != LINK_SHARED || global->made ||
           global->visibility != STV_DEFAULT;
}

/* Which of two definitions counts: -1 the old one, 1 the new, 0 a clash. */
static int choose(const ObjSymbol *old, const ObjSymbol *new)
{
    if (old->common && new->common) {
        return new->size > old->size ? 1 : -1;
    }
    if (new->bind == STB_WEAK) {
        return -1;
    }
    if (old->bind == STB_WEAK) {
        return 1;
    }
    if (old->common || new->common) {
        return old->common ? 1 : -1;
    }
    return 0;
}

static void add_definition(Link *link, LinkSymbol *global, ObjFile *file,
                           ObjSymbol *symbol)
{
    if (global->def) {
        int which = choose(global->def, symbol);

        if (which == 0) {
            link_error(link, "'%s' is defined in %s and in %s", global->name,
                       global->file->name, file->name);
        }
        if (which <= 0) {
            return;
        }
    }
    global->def = symbol;
    global->file = file;
}

static void collect_symbols(Link *link, ObjFile *file)
{
    for (unsigned i = 0; i < file->symbols->len; i++) {
        ObjSymbol *symbol = file->symbols->pdata[i];

        if (symbol->bind == STB_LOCAL) {
            continue;
        }
        LinkSymbol *global = link_symbol(link, symbol->name);

        symbol->link = global;
        if (!global->file) {
            global->file = file;
        }
        if (symbol->visibility != STV_DEFAULT &&
            (global->visibility == STV_DEFAULT ||
             symbol->visibility < global->visibility)) {
            global->visibility = symbol->visibility;
        }
        if (symbol->defined || symbol->common) {
            add_definition(link, global, file, symbol);
        } else {
            global->weak &= symbol->bind == STB_WEAK;
            global->type = symbol->type ? symbol->type : global->type;
        }
        if (symbol->defined || symbol->common) {
            global->weak &= symbol->bind == STB_WEAK;
        }
    }
}

/* Gives common symbols room in .bss. */
static void place_commons(Link *link)
{
    ObjSection *bss = NULL;

    for (unsigned i = 0; i < link->symbol_list->len; i++) {
        LinkSymbol *global = link->symbol_list->pdata[i];
        ObjSymbol *def = global->def;

        if (!def || !def->common) {
            continue;
        }
        if (!bss) {
            bss = obj_section_new(link->out, "COMMON", SHT_NOBITS,
                                  SHF_ALLOC | SHF_WRITE);
        }
        bss->align = MAX(bss->align, def->value);
        bss->size = (bss->size + def->value - 1) & ~(def->value - 1);
        def->section = bss;
        def->value = bss->size;
        def->common = false;
        def->defined = true;
        bss->size += def->size;
    }
}

/* A symbol at the start or end of an output section, if it is wanted. */
static void make_symbol(Link *link, const char *name, ObjSection *section,
                        uint64_t offset)
{
    LinkSymbol *global = g_hash_table_lookup(link->symbols, name);

    if (!global || global->def) {
        return;
    }
    ObjSymbol *symbol = obj_symbol_new(link->out, name);

    symbol->bind = STB_GLOBAL;
    symbol->defined = true;
    symbol->section = section;
    symbol->value = offset;
    symbol->visibility = STV_HIDDEN;
    symbol->link = global;
    global->def = symbol;
    global->file = link->out;
    global->made = true;
}

static void make_bounds(Link *link, const char *section, const char *start,
                        const char *end)
{
    ObjSection *s = obj_section_find(link->out, section);

    make_symbol(link, start, s, 0);
    make_symbol(link, end, s, s ? s->size : 0);
}

/* Symbols every program may use; values follow the final layout. */
static void make_symbols(Link *link)
{
    ObjSection *bss = obj_section_find(link->out, ".bss");
    ObjSection *data = obj_section_find(link->out, ".data");
    ObjSection *text = obj_section_find(link->out, ".text");
    ObjSection *last = link->order->len
                           ? link->order->pdata[link->order->len - 1]
                           : NULL;

    make_bounds(link, ".init_array", "__init_array_start",
                "__init_array_end");
    make_bounds(link, ".fini_array", "__fini_array_start",
                "__fini_array_end");
    make_symbol(link, "__bss_start", bss, 0);
    make_symbol(link, "_edata", data, data ? data->size : 0);
    make_symbol(link, "edata", data, data ? data->size : 0);
    make_symbol(link, "_etext", text, text ? text->size : 0);
    make_symbol(link, "etext", text, text ? text->size : 0);
    make_symbol(link, "_end", last, last ? last->size : 0);
    make_symbol(link, "end", last, last ? last->size : 0);
    make_symbol(link, "__executable_start", text, 0);
    make_symbol(link, "__rela_iplt_start", link->rela_iplt, 0);
    make_symbol(link, "__rela_iplt_end", link->rela_iplt,
                link->rela_iplt ? link->rela_iplt->size : 0);
    make_symbol(link, "_GLOBAL_OFFSET_TABLE_", link->got, 0);
    make_symbol(link, "_DYNAMIC", link->dynamic_section, 0);
}

/* A program whose libraries were all given: what is missing stays missing. */
static bool all_known(const Link *link)
{
    return link->options->kind != LINK_SHARED && link->libraries->len &&
           !link->options->needed;
}

static void check_undefined(Link *link)
{
    for (unsigned i = 0; i < link->symbol_list->len; i++) {
        LinkSymbol *global = link->symbol_list->pdata[i];

        if (!global->def && !global->shared && global->wanted &&
            !global->weak &&
            (!link->dynamic || global->visibility != STV_DEFAULT ||
             all_known(link))) {
            link_error(link, "%s: '%s' is not defined", global->file->name,
                       global->name);
        }
    }
}

static void find_entry(Link *link)
{
    const char *name = link->options->entry ? link->options->entry
                                            : "_start";
    LinkSymbol *global = g_hash_table_lookup(link->symbols, name);
    ObjSection *text = obj_section_find(link->out, ".text");
    char *end;

    if (global && global->def) {
        link->entry = link_value(global->def);
        return;
    }
    link->entry = g_ascii_strtoull(name, &end, 0);
    if (link->options->entry && (*end || end == name)) {
        link_error(link, "entry '%s' is not defined", name);
    } else if (!link->options->entry) {
        link->entry = text ? text->address : 0;
        if (!link->options->flat && link->options->kind != LINK_SHARED) {
            g_string_append_printf(link->messages, "warning: '_start' is not "
                                   "defined; entry is the start of .text\n");
        }
    }
}

static void link_init(Link *link, ObjFile *const *files, unsigned n_files,
                      const LinkOptions *options, GString *messages)
{
    *link = (Link){
        .options = options,
        .messages = messages,
        .files = files,
        .n_files = n_files,
        .narrow = n_files && files[0]->narrow,
        .isa = options->isa,
        .symbols = g_hash_table_new(g_str_hash, g_str_equal),
        .symbol_list = g_ptr_array_new_with_free_func(g_free),
        .out = obj_file_new("(linker)"),
        .order = g_ptr_array_new(),
        .pic = options->kind == LINK_PIE || options->kind == LINK_SHARED,
        .dynamic = options->kind != LINK_STATIC,
        .got_slots = g_array_new(FALSE, TRUE, sizeof(GotSlot)),
        .plt_symbols = g_ptr_array_new(),
        .dyn_symbols = g_ptr_array_new(),
        .iplt_symbols = g_ptr_array_new(),
        .libraries = g_ptr_array_new(),
        .dynstr_text = g_string_new(NULL),
        .tls_align = 1,
    };
    link->sizes = elf_sizes(link->narrow);
    link->types = link_dyn_types(link->narrow);
}

static void link_clear(Link *link)
{
    g_hash_table_unref(link->symbols);
    g_ptr_array_unref(link->symbol_list);
    g_ptr_array_unref(link->order);
    g_array_unref(link->got_slots);
    g_ptr_array_unref(link->plt_symbols);
    g_ptr_array_unref(link->dyn_symbols);
    g_ptr_array_unref(link->iplt_symbols);
    g_ptr_array_unref(link->libraries);
    g_string_free(link->dynstr_text, TRUE);
    obj_file_free(link->out);
}

/* All inputs have pointers of the same size: that of the output. */
static void check_classes(Link *link)
{
    for (unsigned i = 1; i < link->n_files; i++) {
        if (link->files[i]->narrow != link->narrow) {
            link_error(link, "%s is a %s-bit file, %s is not",
                       link->files[0]->name, link->narrow ? "32" : "64",
                       link->files[i]->name);
        }
    }
}

GByteArray *link_objects(ObjFile *const *files, unsigned n_files,
                         const LinkOptions *options, GString *messages)
{
    GByteArray *result = NULL;
    Link link;

    link_init(&link, files, n_files, options, messages);
    check_classes(&link);
    for (unsigned i = 0; i < n_files; i++) {
        if (files[i]->shared) {
            link_add_library(&link, files[i]);
        } else {
            collect_symbols(&link, files[i]);
        }
        if (!options->isa) {
            link.isa = MAX(link.isa, files[i]->isa);
        }
    }
    place_commons(&link);
    link_layout_sections(&link);
    link_dyn_prepare(&link);
    link_scan_relocs(&link);
    link_iplt_size(&link);
    link_dyn_size(&link);
    make_symbols(&link);
    check_undefined(&link);
    link_assign_addresses(&link);
    find_entry(&link);
    if (!link.errors) {
        link_fill_got(&link);
        link_apply_relocs(&link);
        link_fill_copies(&link);
        link_iplt_fill(&link);
        link_dyn_fill(&link);
    }
    if (!link.errors) {
        result = options->flat ? link_write_flat(&link)
                               : link_write_elf(&link);
    }
    if (link.errors && result) {
        g_byte_array_unref(result);
        result = NULL;
    }
    link_clear(&link);
    return result;
}
