/*
 * Shared libraries as input: which names they define, and what a program at
 * fixed addresses needs of them before any loader runs.
 *
 *   a function whose address is a constant of the program is its linkage-table
 *   entry, in all objects (LinkSymbol.canonical)
 *   an object whose address is a constant lives in the program: the loader
 *   copies its first contents from the library (LinkSymbol.copied)
 *
 * Source: shared facts "linux/relocations.md" sections 1 to 3.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <string.h>

enum { MAX_COPIES = 1 << 30 };

static const char *library_name(const ObjFile *file)
{
    return file->soname ? file->soname : file->name;
}

static void need_library(Link *link, ObjFile *file)
{
    for (unsigned i = 0; i < link->libraries->len; i++) {
        if (strcmp(library_name(link->libraries->pdata[i]),
                   library_name(file)) == 0) {
            return;
        }
    }
    if (!file->soname) {
        file->soname = g_path_get_basename(file->name);
    }
    g_ptr_array_add(link->libraries, file);
}

void link_add_library(Link *link, ObjFile *file)
{
    if (!link->dynamic) {
        link_error(link, "%s: a static program cannot use a shared library",
                   file->name);
        return;
    }
    for (unsigned i = 0; i < file->symbols->len; i++) {
        const ObjSymbol *symbol = file->symbols->pdata[i];
        LinkSymbol *global = link_symbol(link, symbol->name);

        if (!global->shared) {
            global->shared = symbol;
            global->library = file;
        }
        if (!global->file) {
            global->file = file;
        }
    }
    need_library(link, file);
}

/* All names of the library for the same object move with it. */
static void define_copy(Link *link, const LinkSymbol *of, ObjSymbol *copy)
{
    const ObjSymbol *shared = of->shared;
    const ObjFile *library = of->library;

    for (unsigned i = 0; i < link->symbol_list->len; i++) {
        LinkSymbol *global = link->symbol_list->pdata[i];

        if (!global->def && global->shared && global->library == library &&
            global->shared->value == shared->value &&
            global->shared->type == shared->type) {
            global->def = copy;
            global->file = link->out;
            global->copied = true;
        }
    }
}

static void make_copy(Link *link, LinkSymbol *global)
{
    const ObjSymbol *shared = global->shared;

    if (!link->copies) {
        link->copies = obj_section_new(link->out, ".dynbss", SHT_NOBITS,
                                       SHF_ALLOC | SHF_WRITE);
    }
    ObjSection *s = link->copies;

    if (shared->size > MAX_COPIES || s->size > MAX_COPIES) {
        link_error(link, "%s: '%s' is too large to be copied into a program",
                   global->library->name, global->name);
        return;
    }
    if (!shared->size) {
        g_string_append_printf(link->messages, "warning: %s: '%s' has no size "
                               "and is copied as nothing\n",
                               global->library->name, global->name);
    }
    s->align = MAX(s->align, shared->align);
    s->size = (s->size + shared->align - 1) & ~(uint64_t)(shared->align - 1);

    ObjSymbol *copy = obj_symbol_new(link->out, global->name);

    copy->bind = shared->bind;
    copy->type = shared->type;
    copy->section = s;
    copy->value = s->size;
    copy->size = shared->size;
    copy->defined = true;
    s->size += shared->size;
    define_copy(link, global, copy);
    link->n_rela_dyn++;
}

bool link_refer_to_library(Link *link, LinkSymbol *global)
{
    if (link->options->kind == LINK_SHARED || !global || global->def ||
        !global->shared) {
        return false;
    }
    if (global->shared->type == STT_FUNC ||
        global->shared->type == STT_GNU_IFUNC) {
        global->canonical = true;
        return true;
    }
    if (global->shared->type == STT_TLS) {
        return false;
    }
    make_copy(link, global);
    return true;
}

void link_fill_copies(Link *link)
{
    const ObjSymbol *done = NULL;

    for (unsigned i = 0; i < link->symbol_list->len; i++) {
        LinkSymbol *global = link->symbol_list->pdata[i];

        if (!global->copied || global->def == done ||
            strcmp(global->def->name, global->name) != 0) {
            continue;
        }
        done = global->def;
        link_dyn_reloc(link, link_value(done), global, link->types->copy, 0);
    }
}
