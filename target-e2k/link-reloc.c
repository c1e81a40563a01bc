/*
 * Relocations: what they need (scan) and what they store (apply).
 *
 * Source: shared facts "linux/relocations.md" section 1.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <string.h>

#include "util/bytes.h"

/* How a relocation stores its value. */
typedef enum Field {
    FIELD_NONE,
    FIELD_WORD,   /* 32 bits, signed or unsigned */
    FIELD_SWORD,  /* 32 bits, signed */
    FIELD_QUAD,   /* 64 bits */
    FIELD_LIT,    /* 64 bits, high word first */
    FIELD_DISP,   /* bits 27:0, in units of 8 */
    FIELD_PREF,   /* bits 27:4 */
    FIELD_BYTE2,  /* bits 23:16 */
    FIELD_BAD,
} Field;

/* What the value is. */
typedef enum Value {
    VALUE_ABS,     /* S + A */
    VALUE_PC,      /* S + A - P */
    VALUE_GOT,     /* G + A */
    VALUE_GOTOFF,  /* S + A - GOT */
    VALUE_TPOFF,
    VALUE_DTPREL,
    VALUE_SIZE,
    VALUE_ISLOCAL,
    VALUE_DYNOPT,
} Value;

typedef struct RelocInfo {
    uint32_t type;
    Field field;
    Value value;
    int8_t got; /* GotKind of the slot it needs, or -1 */
} RelocInfo;

static const RelocInfo reloc_infos[] = {
    { R_E2K_32_ABS, FIELD_WORD, VALUE_ABS, -1 },
    { R_E2K_32_PC, FIELD_SWORD, VALUE_PC, -1 },
    { R_E2K_32_SIZE, FIELD_WORD, VALUE_SIZE, -1 },
    { R_E2K_32_DYNOPT, FIELD_WORD, VALUE_DYNOPT, -1 },
    { R_E2K_64_ABS, FIELD_QUAD, VALUE_ABS, -1 },
    { R_E2K_64_ABS_LIT, FIELD_LIT, VALUE_ABS, -1 },
    { R_E2K_64_PC_LIT, FIELD_LIT, VALUE_PC, -1 },
    { R_E2K_64_SIZE, FIELD_QUAD, VALUE_SIZE, -1 },
    { R_E2K_64_GOTOFF, FIELD_QUAD, VALUE_GOTOFF, -1 },
    { R_E2K_64_GOTOFF_LIT, FIELD_LIT, VALUE_GOTOFF, -1 },
    { R_E2K_64_DYNOPT, FIELD_QUAD, VALUE_DYNOPT, -1 },
    { R_E2K_TLS_GDMOD, FIELD_SWORD, VALUE_GOT, GOT_DTPMOD },
    { R_E2K_TLS_GDREL, FIELD_SWORD, VALUE_GOT, GOT_DTPREL },
    { R_E2K_TLS_IE, FIELD_SWORD, VALUE_GOT, GOT_TPOFF },
    { R_E2K_32_TLS_LE, FIELD_WORD, VALUE_TPOFF, -1 },
    { R_E2K_64_TLS_LE, FIELD_LIT, VALUE_TPOFF, -1 },
    { R_E2K_TLS_32_DTPREL, FIELD_WORD, VALUE_DTPREL, -1 },
    { R_E2K_TLS_64_DTPREL, FIELD_QUAD, VALUE_DTPREL, -1 },
    { R_E2K_GOT, FIELD_SWORD, VALUE_GOT, GOT_ADDRESS },
    { R_E2K_GOTPLT, FIELD_SWORD, VALUE_GOT, GOT_ADDRESS },
    { R_E2K_GOTOFF, FIELD_SWORD, VALUE_GOTOFF, -1 },
    { R_E2K_DISP, FIELD_DISP, VALUE_PC, -1 },
    { R_E2K_PREF, FIELD_PREF, VALUE_ABS, -1 },
    { R_E2K_NONE, FIELD_NONE, VALUE_ABS, -1 },
    { R_E2K_ISLOCAL, FIELD_BYTE2, VALUE_ISLOCAL, -1 },
    { R_E2K_ISLOCAL32, FIELD_WORD, VALUE_ISLOCAL, -1 },
};

static const RelocInfo *find_info(uint32_t type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(reloc_infos); i++) {
        if (reloc_infos[i].type == type) {
            return &reloc_infos[i];
        }
    }
    return NULL;
}

static unsigned field_size(Field field)
{
    return field == FIELD_NONE                         ? 0
           : field == FIELD_QUAD || field == FIELD_LIT ? 8
                                                       : 4;
}

typedef void RelocFunc(Link *link, ObjSection *section, const ObjReloc *r,
                       const RelocInfo *info);

static void each_reloc(Link *link, RelocFunc *func)
{
    for (unsigned i = 0; i < link->n_files; i++) {
        for (unsigned k = 0; k < link->files[i]->sections->len; k++) {
            ObjSection *section = link->files[i]->sections->pdata[k];

            if (!section->output) {
                continue;
            }
            for (unsigned n = 0; n < section->relocs->len; n++) {
                const ObjReloc *r = &g_array_index(section->relocs, ObjReloc,
                                                   n);
                const RelocInfo *info = find_info(r->type);

                if (!info) {
                    link_error(link, "%s: %s (%u) in section '%s' is not for "
                               "object files of this kind",
                               link->files[i]->name,
                               e2k_reloc_name(r->type), r->type,
                               section->name);
                } else if (section->size - r->offset <
                           field_size(info->field)) {
                    link_error(link, "%s: relocation outside section '%s'",
                               link->files[i]->name, section->name);
                } else {
                    func(link, section, r, info);
                }
            }
        }
    }
}

/* A reference that needs a value now and that no loader can finish. */
static bool is_fixed(const Link *link, const ObjSection *section,
                     const ObjReloc *r, const RelocInfo *info)
{
    bool data = (section->flags & SHF_WRITE) && r->type == link->types->abs;

    return (section->flags & SHF_ALLOC) && info->got < 0 &&
           info->field != FIELD_NONE && r->type != R_E2K_DISP && !data &&
           (info->value == VALUE_ABS || info->value == VALUE_PC ||
            info->value == VALUE_GOTOFF);
}

static bool needs_plt(Link *link, const ObjSection *section,
                      const ObjReloc *r, const RelocInfo *info)
{
    const LinkSymbol *global = r->symbol ? r->symbol->link : NULL;

    return link->dynamic && global && !link_binds_locally(link, r->symbol) &&
           (r->type == R_E2K_DISP ||
            (global->canonical && is_fixed(link, section, r, info)));
}

/* Whether the loader has to finish this one. */
static uint32_t dynamic_type(Link *link, const ObjSection *section,
                             const ObjReloc *r, const RelocInfo *info)
{
    bool local = !r->symbol || link_binds_locally(link, r->symbol);
    const ObjSymbol *def = r->symbol ? link_definition(link, r->symbol)
                                     : NULL;

    if (!link->dynamic || !(section->flags & SHF_ALLOC) ||
        info->field == FIELD_NONE) {
        return R_E2K_NONE;
    }
    if (info->value != VALUE_ABS) {
        /* Facts of a symbol of another object, in data. */
        bool fact = r->type == link->types->size ||
                    r->type == link->types->dtprel;

        return fact && !local ? r->type : R_E2K_NONE;
    }
    if (local && !link->pic) {
        return R_E2K_NONE;
    }
    if (!local && needs_plt(link, section, r, info)) {
        return R_E2K_NONE;
    }
    if (local && (!def || !def->section)) {
        return R_E2K_NONE; /* a plain number */
    }
    if (r->type == link->types->abs) {
        return local ? link->types->relative : link->types->abs;
    }
    if (r->type == R_E2K_64_ABS_LIT) {
        return local ? link->types->relative_lit : link->types->abs_lit;
    }
    return R_E2K_NONE;
}

/* Whether something stands for the symbol's own address. */
static bool wants_address(const RelocInfo *info)
{
    return info->value == VALUE_ABS || info->value == VALUE_PC ||
           info->value == VALUE_GOTOFF || info->got == GOT_ADDRESS;
}

static void scan_indirect(Link *link, const ObjReloc *r, const RelocInfo *info)
{
    ObjSymbol *def = r->symbol ? (ObjSymbol *)link_definition(link, r->symbol)
                               : NULL;

    if (def && def->type == STT_GNU_IFUNC && info->field != FIELD_NONE &&
        wants_address(info) && link_binds_locally(link, r->symbol)) {
        link_iplt_want(link, def);
    }
}

static void scan(Link *link, ObjSection *section, const ObjReloc *r,
                 const RelocInfo *info)
{
    LinkSymbol *global = r->symbol ? r->symbol->link : NULL;

    if (global) {
        global->wanted = true;
    }
    if (is_fixed(link, section, r, info)) {
        link_refer_to_library(link, global);
    }
    scan_indirect(link, r, info);
    if (info->got >= 0) {
        link_got_slot(link, r->symbol, info->got, r->addend);
    } else if (info->value == VALUE_GOTOFF ||
               (global &&
                strcmp(global->name, "_GLOBAL_OFFSET_TABLE_") == 0)) {
        link_got_slot(link, NULL, GOT_ADDRESS, 0);
    }
    if (needs_plt(link, section, r, info) && !global->needs_plt) {
        global->needs_plt = true;
        global->plt = link->plt_symbols->len;
        g_ptr_array_add(link->plt_symbols, global);
    }
    if (dynamic_type(link, section, r, info) != R_E2K_NONE) {
        link->n_rela_dyn++;
    }
}

void link_scan_relocs(Link *link)
{
    each_reloc(link, scan);
}

static uint64_t got_address(const Link *link)
{
    return link->got ? link->got->address : 0;
}

static uint64_t compute(Link *link, const ObjSection *section,
                        const ObjReloc *r, const RelocInfo *info,
                        uint64_t place)
{
    const ObjSymbol *def = r->symbol ? link_definition(link, r->symbol)
                                     : NULL;
    uint64_t s = def ? link_target(link, def) : 0;
    uint64_t sa = s + r->addend;

    if (needs_plt(link, section, r, info)) {
        sa = link_plt_address(link, r->symbol->link) + r->addend;
    }
    switch (info->value) {
    case VALUE_PC:
        return sa - place;
    case VALUE_GOT:
        return link_got_slot(link, r->symbol, info->got, r->addend)->offset;
    case VALUE_GOTOFF:
        return sa - got_address(link);
    case VALUE_TPOFF:
        return link_tp_offset(link, sa);
    case VALUE_DTPREL:
        return sa - link->tls_start;
    case VALUE_SIZE:
        return (def ? def->size : 0) + r->addend;
    case VALUE_ISLOCAL:
        return !r->symbol || link_binds_locally(link, r->symbol);
    case VALUE_DYNOPT:
        return def ? sa : 0;
    default:
        return sa;
    }
}

static const char *symbol_text(const ObjReloc *r)
{
    return !r->symbol          ? "a number"
           : *r->symbol->name  ? r->symbol->name
           : r->symbol->section ? r->symbol->section->name
                                : "a section that is not there";
}

static void overflow(Link *link, const ObjSection *section, const ObjReloc *r)
{
    link_error(link, "%s of '%s' at %s+0x%" G_GINT64_MODIFIER "x: value out "
               "of range", e2k_reloc_name(r->type), symbol_text(r),
               section->name, r->offset);
}

static void store_disp(Link *link, const ObjSection *section,
                       const ObjReloc *r, uint8_t *p, int64_t value)
{
    if ((value & 7) || value / 8 < -(1 << 27) || value / 8 >= 1 << 27) {
        overflow(link, section, r);
        return;
    }
    stl_le_p(p, (ldl_le_p(p) & 0xf0000000) | (value >> 3 & 0x0fffffff));
}

/* Prefetch: distance in lines of 128 bytes from the instruction's line. */
static void store_pref(Link *link, const ObjSection *section,
                       const ObjReloc *r, uint8_t *p, uint64_t value,
                       uint64_t place)
{
    uint32_t word = ldl_le_p(p);
    uint64_t inside = word >> 4 & 0xffffff;
    int64_t lines = (int64_t)((value & ~127ull) -
                              ((place - inside) & ~127ull)) >> 7;

    if (lines < -(1 << 23) || lines >= 1 << 23) {
        overflow(link, section, r);
        return;
    }
    stl_le_p(p, (word & 0xf000000f) | ((uint32_t)lines & 0xffffff) << 4);
}

static void store(Link *link, const ObjSection *section, const ObjReloc *r,
                  const RelocInfo *info, uint8_t *p, uint64_t value,
                  uint64_t place)
{
    int64_t s = value;

    switch (info->field) {
    case FIELD_WORD:
        if (s < INT32_MIN || s > (int64_t)UINT32_MAX) {
            overflow(link, section, r);
        }
        stl_le_p(p, value);
        break;
    case FIELD_SWORD: /* 32-bit addresses wrap around */
        if (!link->narrow && (s < INT32_MIN || s > INT32_MAX)) {
            overflow(link, section, r);
        }
        stl_le_p(p, value);
        break;
    case FIELD_QUAD:
        stq_le_p(p, value);
        break;
    case FIELD_LIT:
        stl_le_p(p, value >> 32);
        stl_le_p(p + 4, value);
        break;
    case FIELD_DISP:
        store_disp(link, section, r, p, value);
        break;
    case FIELD_PREF:
        store_pref(link, section, r, p, value, place);
        break;
    case FIELD_BYTE2:
        p[2] = 0xc0 + value;
        break;
    default:
        break;
    }
}

static bool is_address_field(Field field)
{
    return field == FIELD_WORD || field == FIELD_QUAD || field == FIELD_LIT;
}

static void apply(Link *link, ObjSection *section, const ObjReloc *r,
                  const RelocInfo *info)
{
    ObjSection *out = section->output;
    uint64_t offset = section->output_offset + r->offset;
    uint64_t place = out->address + offset;
    uint32_t dynamic = dynamic_type(link, section, r, info);

    if (info->field == FIELD_NONE || out->type == SHT_NOBITS) {
        return;
    }
    if (link->pic && info->value == VALUE_ABS && dynamic == R_E2K_NONE &&
        is_address_field(info->field) && (section->flags & SHF_ALLOC) &&
        r->symbol && link_definition(link, r->symbol) &&
        link_definition(link, r->symbol)->section) {
        link_error(link, "%s of '%s' in section '%s': not position "
                   "independent", e2k_reloc_name(r->type), symbol_text(r),
                   section->name);
        return;
    }
    if (info->value == VALUE_TPOFF && link->options->kind == LINK_SHARED) {
        link_error(link, "%s of '%s' in section '%s': only a program knows "
                   "where its thread-local storage is", e2k_reloc_name(r->type),
                   symbol_text(r), section->name);
        return;
    }
    if (r->symbol && !link_binds_locally(link, r->symbol) &&
        dynamic == R_E2K_NONE && info->got < 0 &&
        !needs_plt(link, section, r, info) &&
        info->value != VALUE_ISLOCAL && info->value != VALUE_DYNOPT &&
        (section->flags & SHF_ALLOC)) {
        link_error(link, "%s of '%s' in section '%s': the symbol may be in "
                   "another object", e2k_reloc_name(r->type), symbol_text(r),
                   section->name);
        return;
    }
    uint64_t value = compute(link, section, r, info, place);

    if (dynamic != R_E2K_NONE) {
        bool relative = dynamic == link->types->relative ||
                        dynamic == link->types->relative_lit;

        link_dyn_reloc(link, place, relative ? NULL : r->symbol->link,
                       dynamic, relative ? (int64_t)value : r->addend);
    }
    store(link, section, r, info, out->data->data + offset, value, place);
}

void link_apply_relocs(Link *link)
{
    each_reloc(link, apply);
}
