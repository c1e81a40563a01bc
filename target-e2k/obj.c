/*
 * Object files in memory: construction and destruction.
 */
#include "target-e2k/obj.h"

#include <elf.h>

ObjFile *obj_file_new(const char *name)
{
    ObjFile *file = g_new0(ObjFile, 1);

    file->name = g_strdup(name);
    file->sections = g_ptr_array_new();
    file->symbols = g_ptr_array_new();
    file->section_by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return file;
}

static void section_free(ObjSection *section)
{
    g_free(section->name);
    g_byte_array_unref(section->data);
    g_array_unref(section->relocs);
    g_free(section);
}

void obj_file_free(ObjFile *file)
{
    if (!file) {
        return;
    }
    for (unsigned i = 0; i < file->sections->len; i++) {
        section_free(file->sections->pdata[i]);
    }
    for (unsigned i = 0; i < file->symbols->len; i++) {
        ObjSymbol *symbol = file->symbols->pdata[i];

        g_free(symbol->name);
        g_free(symbol);
    }
    g_ptr_array_unref(file->sections);
    g_ptr_array_unref(file->symbols);
    g_hash_table_unref(file->section_by_name);
    g_free(file->soname);
    g_free(file->name);
    g_free(file);
}

ObjSection *obj_section_new(ObjFile *file, const char *name, uint32_t type,
                            uint64_t flags)
{
    ObjSection *section = g_new0(ObjSection, 1);

    section->name = g_strdup(name);
    section->type = type;
    section->flags = flags;
    section->align = 1;
    section->data = g_byte_array_new();
    section->relocs = g_array_new(FALSE, TRUE, sizeof(ObjReloc));
    section->index = file->sections->len;
    g_ptr_array_add(file->sections, section);
    g_hash_table_insert(file->section_by_name, section->name, section);
    return section;
}

ObjSection *obj_section_find(const ObjFile *file, const char *name)
{
    return g_hash_table_lookup(file->section_by_name, name);
}

ObjSymbol *obj_symbol_new(ObjFile *file, const char *name)
{
    ObjSymbol *symbol = g_new0(ObjSymbol, 1);

    symbol->name = g_strdup(name);
    symbol->bind = STB_LOCAL;
    symbol->type = STT_NOTYPE;
    g_ptr_array_add(file->symbols, symbol);
    return symbol;
}

ObjSymbol *obj_section_symbol(ObjFile *file, ObjSection *section)
{
    if (!section->symbol) {
        ObjSymbol *symbol = obj_symbol_new(file, "");

        symbol->section = section;
        symbol->type = STT_SECTION;
        symbol->defined = true;
        section->symbol = symbol;
    }
    return section->symbol;
}

uint32_t obj_elf_flags(unsigned isa)
{
    return (uint32_t)isa << 24;
}

static const struct {
    uint32_t type;
    const char *name;
} reloc_names[] = {
    { R_E2K_32_ABS, "R_E2K_32_ABS" },
    { R_E2K_32_PC, "R_E2K_32_PC" },
    { R_E2K_AP_GOT, "R_E2K_AP_GOT" },
    { R_E2K_PL_GOT, "R_E2K_PL_GOT" },
    { R_E2K_32_JMP_SLOT, "R_E2K_32_JMP_SLOT" },
    { R_E2K_32_COPY, "R_E2K_32_COPY" },
    { R_E2K_32_RELATIVE, "R_E2K_32_RELATIVE" },
    { R_E2K_32_IRELATIVE, "R_E2K_32_IRELATIVE" },
    { R_E2K_32_SIZE, "R_E2K_32_SIZE" },
    { R_E2K_32_DYNOPT, "R_E2K_32_DYNOPT" },
    { R_E2K_64_ABS, "R_E2K_64_ABS" },
    { R_E2K_64_ABS_LIT, "R_E2K_64_ABS_LIT" },
    { R_E2K_64_PC_LIT, "R_E2K_64_PC_LIT" },
    { R_E2K_64_JMP_SLOT, "R_E2K_64_JMP_SLOT" },
    { R_E2K_64_COPY, "R_E2K_64_COPY" },
    { R_E2K_64_RELATIVE, "R_E2K_64_RELATIVE" },
    { R_E2K_64_RELATIVE_LIT, "R_E2K_64_RELATIVE_LIT" },
    { R_E2K_64_IRELATIVE, "R_E2K_64_IRELATIVE" },
    { R_E2K_64_SIZE, "R_E2K_64_SIZE" },
    { R_E2K_64_GOTOFF, "R_E2K_64_GOTOFF" },
    { R_E2K_TLS_GDMOD, "R_E2K_TLS_GDMOD" },
    { R_E2K_TLS_GDREL, "R_E2K_TLS_GDREL" },
    { R_E2K_TLS_IE, "R_E2K_TLS_IE" },
    { R_E2K_32_TLS_LE, "R_E2K_32_TLS_LE" },
    { R_E2K_64_TLS_LE, "R_E2K_64_TLS_LE" },
    { R_E2K_TLS_32_DTPMOD, "R_E2K_TLS_32_DTPMOD" },
    { R_E2K_TLS_32_DTPREL, "R_E2K_TLS_32_DTPREL" },
    { R_E2K_TLS_64_DTPMOD, "R_E2K_TLS_64_DTPMOD" },
    { R_E2K_TLS_64_DTPREL, "R_E2K_TLS_64_DTPREL" },
    { R_E2K_TLS_TPOFF32, "R_E2K_TLS_TPOFF32" },
    { R_E2K_TLS_TPOFF64, "R_E2K_TLS_TPOFF64" },
    { R_E2K_AP, "R_E2K_AP" },
    { R_E2K_PL, "R_E2K_PL" },
    { R_E2K_GOT, "R_E2K_GOT" },
    { R_E2K_GOTOFF, "R_E2K_GOTOFF" },
    { R_E2K_DISP, "R_E2K_DISP" },
    { R_E2K_PREF, "R_E2K_PREF" },
    { R_E2K_NONE, "R_E2K_NONE" },
    { R_E2K_GOTPLT, "R_E2K_GOTPLT" },
    { R_E2K_ISLOCAL, "R_E2K_ISLOCAL" },
    { R_E2K_ISLOCAL32, "R_E2K_ISLOCAL32" },
    { R_E2K_64_GOTOFF_LIT, "R_E2K_64_GOTOFF_LIT" },
    { R_E2K_64_DYNOPT, "R_E2K_64_DYNOPT" },
};

const char *e2k_reloc_name(uint32_t type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(reloc_names); i++) {
        if (reloc_names[i].type == type) {
            return reloc_names[i].name;
        }
    }
    return "R_E2K_unknown";
}
