/*
 * The linker's output: an executable or shared ELF file, or a flat image.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <string.h>

/* Largest alignment of a file that is loaded anywhere. */
enum { MAX_LOAD_ALIGN = 2 << 20 };

typedef struct Output {
    Link *link;
    GByteArray *bytes;
    GArray *segments; /* ElfSegment */
    GArray *headers;  /* ElfSection */
    GString *names;
    GString *strings;
    GByteArray *symtab;
    unsigned n_local;
    uint64_t align; /* of segments, in memory and in the file */
} Output;

static uint32_t segment_flags(const ObjSection *section)
{
    return PF_R | (section->flags & SHF_EXECINSTR ? PF_X : 0) |
           (section->flags & SHF_WRITE ? PF_W : 0);
}

static bool is_tbss(const ObjSection *section)
{
    return (section->flags & SHF_TLS) && section->type == SHT_NOBITS;
}

/* Adds a section to the last segment, or to a new one where it must. */
static void add_to_segment(Output *o, ObjSection *section)
{
    ElfSegment *last = o->segments->len
                        ? &g_array_index(o->segments, ElfSegment,
                                         o->segments->len - 1)
                        : NULL;
    uint32_t flags = segment_flags(section);
    bool joins = last && last->flags == flags &&
                 section->address >= last->vaddr + last->memory_size &&
                 section->address - (last->vaddr + last->memory_size) <
                     LINK_PAGE &&
                 (last->file_size == last->memory_size ||
                  section->type == SHT_NOBITS);

    if (!joins) {
        uint64_t inside = section->address & (o->align - 1);
        uint64_t gap;

        elf_pad(o->bytes, 8);
        /* The file offset agrees with the address modulo the alignment. */
        gap = (inside - o->bytes->len) & (o->align - 1);
        if (section->type != SHT_NOBITS && gap) {
            g_byte_array_set_size(o->bytes, o->bytes->len + gap);
            memset(o->bytes->data + o->bytes->len - gap, 0, gap);
        }
        ElfSegment segment = {
            .type = PT_LOAD, .flags = flags, .offset = o->bytes->len,
            .vaddr = section->address, .align = o->align,
        };
        if (section->type == SHT_NOBITS) {
            segment.offset = (o->bytes->len & ~(o->align - 1)) + inside;
        }
        g_array_append_val(o->segments, segment);
        last = &g_array_index(o->segments, ElfSegment, o->segments->len - 1);
    }
    uint64_t end = section->address + section->size - last->vaddr;

    last->memory_size = end;
    if (section->type != SHT_NOBITS) {
        uint64_t offset = last->offset + (section->address - last->vaddr);

        if (offset > o->bytes->len) {
            uint64_t gap = offset - o->bytes->len;

            g_byte_array_set_size(o->bytes, offset);
            memset(o->bytes->data + offset - gap, 0, gap);
        }
        last->file_size = end;
    }
}

static void add_header(Output *o, const ObjSection *section, uint64_t offset)
{
    ElfSection header = {
        .name = elf_string(o->names, section->name),
        .type = section->type,
        .flags = section->flags & ~(uint64_t)(SHF_MERGE | SHF_STRINGS),
        .address = section->address,
        .offset = offset,
        .size = section->size,
        .align = section->align,
        .entsize = section->entsize,
    };

    g_array_append_val(o->headers, header);
}

static void write_sections(Output *o)
{
    Link *link = o->link;

    for (unsigned i = 0; i < link->order->len; i++) {
        ObjSection *section = link->order->pdata[i];

        if (!is_tbss(section)) {
            add_to_segment(o, section);
        }
        section->elf_index = o->headers->len;
        add_header(o, section, o->bytes->len);
        if (section->type != SHT_NOBITS) {
            g_byte_array_append(o->bytes, section->data->data,
                                section->size);
        }
    }
    for (unsigned i = 0; i < link->out->sections->len; i++) {
        ObjSection *section = link->out->sections->pdata[i];

        if (!(section->flags & SHF_ALLOC) && section->size) {
            elf_pad(o->bytes, MIN(section->align, LINK_PAGE));
            section->elf_index = o->headers->len;
            add_header(o, section, o->bytes->len);
            g_byte_array_append(o->bytes, section->data->data,
                                section->data->len);
        }
    }
}

static void add_special_segment(Output *o, uint32_t type, uint32_t flags,
                                const char *name)
{
    ObjSection *section = obj_section_find(o->link->out, name);

    if (!section || !section->size) {
        return;
    }
    const ElfSection *h = &g_array_index(o->headers, ElfSection,
                                         section->elf_index);
    ElfSegment segment = {
        .type = type, .flags = flags, .offset = h->offset,
        .vaddr = section->address, .file_size = section->size,
        .memory_size = section->size, .align = section->align,
    };

    g_array_append_val(o->segments, segment);
}

static void add_tls_segment(Output *o)
{
    Link *link = o->link;
    ElfSegment segment = {
        .type = PT_TLS, .flags = PF_R, .vaddr = link->tls_start,
        .memory_size = link->tls_size, .align = link->tls_align,
    };

    if (!link->tls_size) {
        return;
    }
    for (unsigned i = 0; i < link->order->len; i++) {
        const ObjSection *section = link->order->pdata[i];

        if (!(section->flags & SHF_TLS)) {
            continue;
        }
        const ElfSection *h = &g_array_index(o->headers, ElfSection,
                                             section->elf_index);

        if (!segment.offset) {
            segment.offset = h->offset;
        }
        if (section->type != SHT_NOBITS) {
            segment.file_size = section->address + section->size -
                                link->tls_start;
        }
    }
    g_array_append_val(o->segments, segment);
}

static void put_symbol(Output *o, const ObjSymbol *symbol, const char *name,
                       uint8_t bind)
{
    const ObjSection *section = symbol->section;

    if (section && section->output) {
        section = section->output;
    }
    ElfSymbol s = {
        .name = elf_string(o->strings, name),
        .bind = bind,
        .type = symbol->type,
        .visibility = symbol->visibility,
        .section = section ? section->elf_index : SHN_ABS,
        .value = link_value(symbol),
        .size = symbol->size,
    };

    if (symbol->type == STT_TLS) {
        s.value -= o->link->tls_start;
    }
    elf_add_symbol(o->symtab, o->link->narrow, &s);
}

static void write_symbols(Output *o)
{
    Link *link = o->link;

    elf_add_symbol(o->symtab, o->link->narrow, &(ElfSymbol){ 0 });
    for (unsigned i = 0; i < link->n_files; i++) {
        GPtrArray *symbols = link->files[i]->symbols;

        for (unsigned k = 0; k < symbols->len; k++) {
            const ObjSymbol *symbol = symbols->pdata[k];

            if (symbol->bind == STB_LOCAL && symbol->defined &&
                *symbol->name && symbol->type != STT_SECTION &&
                (!symbol->section || symbol->section->output)) {
                put_symbol(o, symbol, symbol->name, STB_LOCAL);
            }
        }
    }
    o->n_local = o->symtab->len / o->link->sizes->symbol;
    for (unsigned i = 0; i < link->symbol_list->len; i++) {
        const LinkSymbol *global = link->symbol_list->pdata[i];

        if (global->def && (!global->def->section ||
                            global->def->section->output ||
                            global->copied || global->made)) {
            put_symbol(o, global->def, global->name, global->def->bind);
        }
    }
}

static void write_tables(Output *o)
{
    ElfSection h;

    if (!o->link->options->strip) {
        write_symbols(o);
        elf_pad(o->bytes, 8);
        h = (ElfSection){ .name = elf_string(o->names, ".symtab"),
                          .type = SHT_SYMTAB, .align = o->link->sizes->word,
                          .entsize = o->link->sizes->symbol,
                          .offset = o->bytes->len, .size = o->symtab->len,
                          .link = o->headers->len + 1, .info = o->n_local };
        g_array_append_val(o->headers, h);
        g_byte_array_append(o->bytes, o->symtab->data, o->symtab->len);
        h = (ElfSection){ .name = elf_string(o->names, ".strtab"),
                          .type = SHT_STRTAB, .align = 1,
                          .offset = o->bytes->len, .size = o->strings->len };
        g_array_append_val(o->headers, h);
        g_byte_array_append(o->bytes, (const uint8_t *)o->strings->str,
                            o->strings->len);
    }
    h = (ElfSection){ .name = elf_string(o->names, ".shstrtab"),
                      .type = SHT_STRTAB, .align = 1,
                      .offset = o->bytes->len };
    h.size = o->names->len;
    g_array_append_val(o->headers, h);
    g_byte_array_append(o->bytes, (const uint8_t *)o->names->str,
                        o->names->len);
}

/* The links between dynamic sections, by name. */
static void link_headers(Output *o)
{
    static const struct {
        const char *section;
        const char *link;
    } pairs[] = {
        { ".dynsym", ".dynstr" }, { ".hash", ".dynsym" },
        { ".rela.dyn", ".dynsym" }, { ".rela.plt", ".dynsym" },
        { ".dynamic", ".dynstr" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(pairs); i++) {
        ObjSection *a = obj_section_find(o->link->out, pairs[i].section);
        ObjSection *b = obj_section_find(o->link->out, pairs[i].link);

        if (a && b && a->size) {
            ElfSection *h = &g_array_index(o->headers, ElfSection, a->elf_index);

            h->link = b->elf_index;
            h->info = h->type == SHT_DYNSYM ? 1 : 0;
        }
    }
}

static void put_segments(Output *o)
{
    const ElfSizes *sizes = o->link->sizes;

    for (unsigned i = 0; i < o->segments->len; i++) {
        ElfSegment *s = &g_array_index(o->segments, ElfSegment, i);

        s->paddr = s->vaddr;
        elf_put_segment(o->bytes->data + sizes->header + sizes->segment * i,
                        o->link->narrow, s);
    }
}

/*
 * A program at fixed addresses is right where it is; what is loaded anywhere
 * has to say what its sections need.
 */
static void find_align(Output *o)
{
    o->align = LINK_PAGE;
    for (unsigned i = 0; o->link->pic && i < o->link->order->len; i++) {
        const ObjSection *section = o->link->order->pdata[i];

        if (section->align > MAX_LOAD_ALIGN) {
            link_error(o->link, "alignment of section '%s' is too large for "
                       "a file that is loaded anywhere", section->name);
            return;
        }
        o->align = MAX(o->align, section->align);
    }
}

/*
 * Where the layout left room for them, the headers belong to the first
 * segment, so that a loader can hand them to the program.
 */
static void include_headers(Output *o)
{
    ElfSegment *first = o->segments->len
                         ? &g_array_index(o->segments, ElfSegment, 0)
                         : NULL;

    uint64_t base = o->link->pic ? 0 : LINK_BASE;

    if (first && first->type == PT_LOAD && first->file_size &&
        (first->vaddr - first->offset == base ||
         (first->offset < LINK_PAGE &&
          first->offset == (first->vaddr & (LINK_PAGE - 1))))) {
        uint64_t room = first->offset;

        first->offset = 0;
        first->vaddr -= room;
        first->file_size += room;
        first->memory_size += room;
    }
}

/* The header tables come after the loadable segments were found. */
static void order_segments(Output *o)
{
    GArray *ordered = g_array_new(FALSE, TRUE, sizeof(ElfSegment));
    const ObjSection *interp = obj_section_find(o->link->out, ".interp");

    if (interp && interp->size) {
        for (unsigned i = 0; i < o->segments->len; i++) {
            ElfSegment s = g_array_index(o->segments, ElfSegment, i);

            if (s.type == PT_INTERP) {
                g_array_append_val(ordered, s);
            }
        }
    }
    for (unsigned i = 0; i < o->segments->len; i++) {
        ElfSegment s = g_array_index(o->segments, ElfSegment, i);

        if (s.type != PT_INTERP) {
            g_array_append_val(ordered, s);
        }
    }
    g_array_unref(o->segments);
    o->segments = ordered;
}

GByteArray *link_write_elf(Link *link)
{
    Output o = {
        .link = link,
        .bytes = g_byte_array_new(),
        .segments = g_array_new(FALSE, TRUE, sizeof(ElfSegment)),
        .headers = g_array_new(FALSE, TRUE, sizeof(ElfSection)),
        .names = g_string_new(NULL),
        .strings = g_string_new(NULL),
        .symtab = g_byte_array_new(),
    };
    ElfSection none = { 0 };

    g_array_append_val(o.headers, none);
    elf_string(o.strings, "");
    g_byte_array_set_size(o.bytes,
                          link->sizes->header +
                              LINK_SEGMENTS * link->sizes->segment);
    memset(o.bytes->data, 0, o.bytes->len);
    find_align(&o);
    write_sections(&o);
    include_headers(&o);
    add_special_segment(&o, PT_INTERP, PF_R, ".interp");
    add_special_segment(&o, PT_DYNAMIC, PF_R | PF_W, ".dynamic");
    add_tls_segment(&o);
    if (o.segments->len > LINK_SEGMENTS) {
        link_error(link, "more than %u segments: sections are too scattered",
                   LINK_SEGMENTS);
    } else {
        link_headers(&o);
        write_tables(&o);
        order_segments(&o);
        elf_pad(o.bytes, 8);
        elf_put_header(o.bytes->data, link->narrow, &(ElfHeader){
            .type = link->pic ? ET_DYN : ET_EXEC,
            .flags = obj_elf_flags(link->isa),
            .entry = link->entry,
            .phoff = o.segments->len ? link->sizes->header : 0,
            .phnum = o.segments->len,
            .shoff = o.bytes->len,
            .shnum = o.headers->len,
            .shstrndx = o.headers->len - 1,
        });
        put_segments(&o);
        for (unsigned i = 0; i < o.headers->len; i++) {
            elf_add_section(o.bytes, link->narrow,
                            &g_array_index(o.headers, ElfSection, i));
        }
    }
    g_array_unref(o.segments);
    g_array_unref(o.headers);
    g_string_free(o.names, TRUE);
    g_string_free(o.strings, TRUE);
    g_byte_array_unref(o.symtab);
    return o.bytes;
}

GByteArray *link_write_flat(Link *link)
{
    GByteArray *bytes = g_byte_array_new();
    uint64_t base = UINT64_MAX;
    uint64_t end = 0;

    for (unsigned i = 0; i < link->order->len; i++) {
        const ObjSection *section = link->order->pdata[i];

        if (section->type != SHT_NOBITS && section->size) {
            base = MIN(base, section->address);
            end = MAX(end, section->address + section->size);
        }
    }
    if (end > base && end - base > LINK_MAX_IMAGE) {
        link_error(link, "flat image of more than 1 GiB: sections are too far "
                   "apart");
        return bytes;
    }
    if (end > base) {
        g_byte_array_set_size(bytes, end - base);
        memset(bytes->data, 0, bytes->len);
    }
    for (unsigned i = 0; i < link->order->len; i++) {
        const ObjSection *section = link->order->pdata[i];

        if (section->type != SHT_NOBITS && section->size) {
            memcpy(bytes->data + (section->address - base),
                   section->data->data, section->size);
        }
    }
    return bytes;
}
