/*
 * Output sections: which input goes where, in what order, at what address.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <string.h>

/* ".text.startup" goes to ".text"; other names are kept. */
static const char *output_name(const ObjSection *section)
{
    static const char *const stems[] = {
        ".text", ".rodata", ".data", ".bss", ".tdata", ".tbss",
        ".init_array", ".fini_array",
    };

    if (strcmp(section->name, "COMMON") == 0) {
        return ".bss";
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(stems); i++) {
        size_t length = strlen(stems[i]);

        if (strncmp(section->name, stems[i], length) == 0 &&
            section->name[length] == '.') {
            return stems[i];
        }
    }
    return section->name;
}

/* Contents of a section grow, within what an output file may have. */
static bool take_room(Link *link, const char *name, uint64_t bytes)
{
    if (bytes > LINK_MAX_IMAGE - link->contents) {
        link_error(link, "section '%s' makes the output larger than 1 GiB",
                   name);
        return false;
    }
    link->contents += bytes;
    return true;
}

static void add_input(Link *link, ObjSection *section)
{
    const char *name = output_name(section);
    ObjSection *out = obj_section_find(link->out, name);

    if (out && out->output) {
        out = NULL; /* COMMON itself */
    }
    if (!out) {
        out = obj_section_new(link->out, name, section->type,
                              section->flags);
        out->entsize = section->entsize;
    }
    if (out->type == SHT_NOBITS && section->type != SHT_NOBITS) {
        if (!take_room(link, name, out->size)) {
            return;
        }
        if (out->size) {
            g_byte_array_set_size(out->data, out->size);
            memset(out->data->data, 0, out->size);
        }
        out->type = section->type;
    }
    out->flags |= section->flags & ~(uint64_t)(SHF_MERGE | SHF_STRINGS);
    out->align = MAX(out->align, section->align);

    uint64_t offset = (out->size + section->align - 1) &
                      ~(uint64_t)(section->align - 1);

    if (offset + section->size > (uint64_t)1 << 40) {
        link_error(link, "section '%s' is too large", name);
        return;
    }
    section->output = out;
    section->output_offset = offset;
    out->size = offset + section->size;
    if (out->type == SHT_NOBITS) {
        return;
    }
    uint64_t old = out->data->len;

    if (out->size == old || !take_room(link, name, out->size - old)) {
        return;
    }
    g_byte_array_set_size(out->data, out->size);
    memset(out->data->data + old, 0, out->size - old);
    if (section->type != SHT_NOBITS && section->size) {
        memcpy(out->data->data + offset, section->data->data, section->size);
    }
}

static bool is_dropped(Link *link, const ObjSection *section)
{
    bool debug = !(section->flags & SHF_ALLOC);

    return (debug && link->options->strip) ||
           (section->size == 0 && strcmp(section->name, ".text") != 0 &&
            !debug) ||
           strcmp(section->name, ".note.GNU-stack") == 0;
}

void link_layout_sections(Link *link)
{
    ObjSection *common = obj_section_find(link->out, "COMMON");

    for (unsigned i = 0; i < link->n_files; i++) {
        for (unsigned k = 0; k < link->files[i]->sections->len; k++) {
            ObjSection *section = link->files[i]->sections->pdata[k];

            if (section->size || !is_dropped(link, section)) {
                add_input(link, section);
            }
        }
    }
    if (common) {
        add_input(link, common);
    }
}

const LinkStart *link_start_of(Link *link, const char *section)
{
    for (unsigned i = link->options->n_starts; i-- > 0;) {
        if (strcmp(link->options->starts[i].section, section) == 0) {
            return &link->options->starts[i];
        }
    }
    return NULL;
}

/* Order in memory; equal ranks share a segment. */
static unsigned rank(const ObjSection *section)
{
    if (section->flags & SHF_EXECINSTR) {
        return 10;
    }
    if (!(section->flags & SHF_WRITE)) {
        return 20;
    }
    if (section->flags & SHF_TLS) {
        return section->type == SHT_NOBITS ? 31 : 30;
    }
    return section->type == SHT_NOBITS ? 50 : 40;
}

static unsigned segment_of(const ObjSection *section)
{
    unsigned r = rank(section);

    return r < 20 ? 1 : r < 30 ? 2 : 3;
}

static int by_rank(gconstpointer a, gconstpointer b)
{
    const ObjSection *x = *(ObjSection *const *)a;
    const ObjSection *y = *(ObjSection *const *)b;

    if (rank(x) != rank(y)) {
        return (int)rank(x) - (int)rank(y);
    }
    return (int)x->index - (int)y->index;
}

static void measure_tls(Link *link, const ObjSection *section)
{
    if (!(section->flags & SHF_TLS)) {
        return;
    }
    if (!link->tls_size) {
        link->tls_start = section->address;
    }
    link->tls_align = MAX(link->tls_align, section->align);
    link->tls_size = section->address + section->size - link->tls_start;
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

/* Room for the ELF header and program headers before the first section. */
static uint64_t headers_size(Link *link)
{
    return link->options->flat ? 0
                               : link->sizes->header +
                                     LINK_SEGMENTS * link->sizes->segment;
}

static void check_overlap(Link *link)
{
    for (unsigned i = 0; i < link->order->len; i++) {
        const ObjSection *a = link->order->pdata[i];

        for (unsigned k = i + 1; k < link->order->len; k++) {
            const ObjSection *b = link->order->pdata[k];
            bool tbss = (a->flags & SHF_TLS && a->type == SHT_NOBITS) ||
                        (b->flags & SHF_TLS && b->type == SHT_NOBITS);

            if (!tbss && a->size && b->size &&
                a->address < b->address + b->size &&
                b->address < a->address + a->size) {
                link_error(link, "sections '%s' and '%s' overlap", a->name,
                           b->name);
            }
        }
    }
}

/* Sections of the output that nothing was put in but the linker's own. */
static void collect_order(Link *link)
{
    for (unsigned i = 0; i < link->out->sections->len; i++) {
        ObjSection *section = link->out->sections->pdata[i];

        section->index = i;
        if ((section->flags & SHF_ALLOC) &&
            strcmp(section->name, "COMMON") != 0) {
            g_ptr_array_add(link->order, section);
        }
    }
    g_ptr_array_sort(link->order, by_rank);
    for (unsigned i = 0; i < link->order->len; i++) {
        ((ObjSection *)link->order->pdata[i])->elf_index = i + 1;
    }
}

void link_assign_addresses(Link *link)
{
    uint64_t address = link->pic ? 0 : LINK_BASE;
    unsigned segment = 1;

    address += headers_size(link);
    g_ptr_array_set_size(link->order, 0);
    collect_order(link);
    for (unsigned i = 0; i < link->order->len; i++) {
        ObjSection *section = link->order->pdata[i];
        const LinkStart *start = link_start_of(link, section->name);

        if (start) {
            address = start->address;
            if (address & (section->align - 1)) {
                link_error(link, "start of '%s' is not aligned to %u",
                           section->name, section->align);
            }
        } else if (segment_of(section) != segment && !link->options->flat) {
            address = align_up(address, LINK_PAGE);
        }
        segment = segment_of(section);
        address = align_up(address, section->align);
        section->address = address;
        uint64_t last = link->narrow ? UINT32_MAX : UINT64_MAX;

        if (address > last || section->size > last - address) {
            link_error(link, "section '%s' ends beyond the last address",
                       section->name);
            return;
        }
        measure_tls(link, section);
        if (!(section->flags & SHF_TLS && section->type == SHT_NOBITS)) {
            address += section->size;
        }
    }
    check_overlap(link);
}
