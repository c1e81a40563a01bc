/*
 * Loading guest images; see loader.h.
 *
 * ELF files are 64-bit little-endian, machine 175 or 49.  Segments go to
 * p_paddr; images linked at a kernel's virtual address (p_paddr outside of
 * RAM) are moved as a block to the load address.  Formats: "isa/encoding.md"
 * does not matter here, "system/boot-contract.md" A.3 and B.1 do.
 */
#include "hw/loader.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "util/bytes.h"

enum {
    EM_E2K_OLD = 49,
    EM_E2K = 175,
    BOOT_TEMPLATE = 0x100,     /* bootblock template in a boot image */
    BOOT_MARKER = 0x10fe,
    BOOT_MARKER_VALUE = 0xaa55,
    BOOT_CODE = 0x10000,
    BOOT_ENTRY = 0x6000,       /* system-call entry 12 */
};

#define MAX_IMAGE_BYTES (UINT64_C(1) << 31)
#define DEFAULT_BASE UINT64_C(0x2000000)

uint8_t *load_file(const char *path, size_t max_bytes, size_t *size,
                   GError **error)
{
    g_autofree char *contents = NULL;
    g_autoptr(GError) failure = NULL;
    gsize length;
    struct stat st;

    if (stat(path, &st) < 0) {
        g_set_error(error, SYSTEM_ERROR, errno, "cannot open '%s': %s", path,
                    g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max_bytes) {
        g_set_error(error, SYSTEM_ERROR, 0, "'%s' is %s", path,
                    S_ISREG(st.st_mode) ? "too large" : "not a regular file");
        return NULL;
    }
    if (!g_file_get_contents(path, &contents, &length, &failure)) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot read '%s': %s", path,
                    failure->message);
        return NULL;
    }
    *size = length;
    return (uint8_t *)g_steal_pointer(&contents);
}

static bool bad(GError **error, const Image *image, const char *why)
{
    g_set_error(error, SYSTEM_ERROR, 0, "cannot load '%s': %s", image->path,
                why);
    return false;
}

/* The lowest ISA version a file needs, by e_flags; "linux/abi.md". */
static unsigned isa_of_flags(const Elf64_Ehdr *ehdr)
{
    static const uint8_t isa_of_mach[] = {
        [1] = 1,  [2] = 2,  [3] = 3,  [4] = 4,  [5] = 5,  [6] = 6,
        [7] = 7,  [19] = 4, [20] = 4, [21] = 6, [22] = 6, [23] = 6,
        [25] = 7,
    };
    unsigned mach = ehdr->e_machine == EM_E2K ? ehdr->e_flags >> 24
                                              : ehdr->e_flags >> 28 & 7;

    if (mach >= sizeof(isa_of_mach)) {
        return UINT_MAX;
    }
    return mach && !isa_of_mach[mach] ? UINT_MAX : isa_of_mach[mach];
}

static bool add_segment(Image *image, const Elf64_Phdr *phdr, GError **error)
{
    ImagePart part = {
        .address = phdr->p_paddr,
        .file_bytes = phdr->p_filesz,
        .size = phdr->p_memsz,
        .data = image->file + phdr->p_offset,
    };

    if (phdr->p_filesz > phdr->p_memsz ||
        phdr->p_memsz > MAX_IMAGE_BYTES ||
        phdr->p_paddr > UINT64_MAX - phdr->p_memsz) {
        return bad(error, image, "a program header makes no sense");
    }
    if (phdr->p_offset > image->file_bytes ||
        phdr->p_filesz > image->file_bytes - phdr->p_offset) {
        return bad(error, image, "the file is truncated");
    }
    if (part.size) {
        g_array_append_val(image->parts, part);
        image->base = MIN(image->base, part.address);
        image->end = MAX(image->end, part.address + part.size);
    }
    return true;
}

static bool check_elf_header(const Image *image, const Elf64_Ehdr *ehdr,
                             unsigned isa, GError **error)
{
    if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 ||
        ehdr->e_ident[EI_DATA] != ELFDATA2LSB) {
        return bad(error, image, "not a 64-bit little-endian ELF file");
    }
    if (ehdr->e_machine != EM_E2K && ehdr->e_machine != EM_E2K_OLD) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot load '%s': ELF file for "
                    "machine %u, not for e2k (%u)", image->path,
                    ehdr->e_machine, EM_E2K);
        return false;
    }
    if (ehdr->e_type != ET_EXEC) {
        return bad(error, image, "not an executable ELF file");
    }
    if (image->isa == UINT_MAX) {
        return bad(error, image, "unknown ISA version in its ELF flags");
    }
    if (image->isa > isa) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot load '%s': it needs ISA "
                    "version %u, the CPU has version %u; choose another -cpu",
                    image->path, image->isa, isa);
        return false;
    }
    if (ehdr->e_phentsize != sizeof(Elf64_Phdr)) {
        return bad(error, image, "bad program header size");
    }
    /* Nothing of it is used, but a file that ends before it is damaged. */
    if (ehdr->e_shoff > image->file_bytes ||
        ehdr->e_shnum * (uint64_t)sizeof(Elf64_Shdr) >
            image->file_bytes - ehdr->e_shoff) {
        return bad(error, image, "the file is truncated");
    }
    return true;
}

static bool parse_elf(Image *image, unsigned isa, uint64_t ram_end,
                      uint64_t load_base, GError **error)
{
    Elf64_Ehdr ehdr;

    if (image->file_bytes < sizeof(ehdr)) {
        return bad(error, image, "the file is truncated");
    }
    memcpy(&ehdr, image->file, sizeof(ehdr));
    image->kind = IMAGE_ELF;
    image->isa = isa_of_flags(&ehdr);
    if (!check_elf_header(image, &ehdr, isa, error)) {
        return false;
    }
    for (unsigned i = 0; i < ehdr.e_phnum; i++) {
        uint64_t at = ehdr.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr phdr;

        if (ehdr.e_phoff > image->file_bytes ||
            at > image->file_bytes - sizeof(phdr)) {
            return bad(error, image, "the file is truncated");
        }
        memcpy(&phdr, image->file + at, sizeof(phdr));
        if (phdr.p_type == PT_LOAD && !add_segment(image, &phdr, error)) {
            return false;
        }
    }
    if (!image->parts->len) {
        return bad(error, image, "nothing to load in it");
    }
    if (ehdr.e_entry < image->base || ehdr.e_entry >= image->end) {
        return bad(error, image, "the entry point is outside of the image");
    }
    image->entry = ehdr.e_entry;
    if (image->end > ram_end && image->base >= ram_end) {
        uint64_t delta = load_base - image->base;

        for (guint i = 0; i < image->parts->len; i++) {
            g_array_index(image->parts, ImagePart, i).address += delta;
        }
        image->entry += delta;
        image->end += delta;
        image->base = load_base;
    }
    return true;
}

static void single_part(Image *image, uint64_t address, uint64_t offset,
                        uint64_t size)
{
    ImagePart part = {
        .address = address,
        .file_bytes = image->file_bytes - offset,
        .size = size,
        .data = image->file + offset,
    };

    g_array_append_val(image->parts, part);
    image->base = image->entry = address;
    image->end = address + part.size;
}

static bool is_boot_image(const Image *image)
{
    return image->file_bytes > BOOT_CODE &&
           ldw_le_p(image->file + BOOT_MARKER) == BOOT_MARKER_VALUE;
}

static bool parse_boot(Image *image, uint64_t base, GError **error)
{
    uint64_t kernel_bytes = ldq_le_p(image->file + BOOT_TEMPLATE + 0x10);
    uint64_t file_bytes = image->file_bytes - BOOT_CODE;

    if (kernel_bytes > MAX_IMAGE_BYTES) {
        return bad(error, image, "its boot block gives an absurd size");
    }
    image->kind = IMAGE_BOOT;
    single_part(image, base, BOOT_CODE, MAX(kernel_bytes, file_bytes));
    image->entry = base + BOOT_ENTRY;
    return true;
}

static bool parse(Image *image, unsigned isa, uint64_t raw_base,
                  uint64_t ram_end, GError **error)
{
    bool elf = image->file_bytes >= SELFMAG &&
               !memcmp(image->file, ELFMAG, SELFMAG);

    uint64_t move_to = raw_base == IMAGE_NO_RAW ? DEFAULT_BASE : raw_base;

    image->base = UINT64_MAX;
    if (elf) {
        if (!parse_elf(image, isa, ram_end, move_to, error)) {
            return false;
        }
    } else if (is_boot_image(image)) {
        if (!parse_boot(image, move_to, error)) {
            return false;
        }
    } else if (raw_base == IMAGE_NO_RAW) {
        return bad(error, image, "not an ELF file or e2k boot image (for a "
                   "raw binary give its address with -raw-base)");
    } else {
        image->kind = IMAGE_RAW;
        single_part(image, raw_base, 0, image->file_bytes);
    }
    if (image->end > ram_end || image->base > image->end) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot load '%s': it takes "
                    "0x%" PRIx64 "..0x%" PRIx64 ", guest memory ends at "
                    "0x%" PRIx64, image->path, image->base, image->end,
                    ram_end);
        return false;
    }
    if (image->entry & 7) {
        return bad(error, image, "the entry point is not 8-byte aligned");
    }
    return true;
}

Image *image_load(const char *path, unsigned isa, uint64_t raw_base,
                  uint64_t ram_end, GError **error)
{
    g_autoptr(Image) image = g_new0(Image, 1);

    image->path = g_strdup(path);
    image->parts = g_array_new(FALSE, FALSE, sizeof(ImagePart));
    image->file = load_file(path, MAX_IMAGE_BYTES, &image->file_bytes, error);
    if (!image->file) {
        return NULL;
    }
    if (!image->file_bytes) {
        bad(error, image, "the file is empty");
        return NULL;
    }
    return parse(image, isa, raw_base, ram_end, error)
               ? g_steal_pointer(&image)
               : NULL;
}

void image_free(Image *image)
{
    if (image) {
        g_array_free(image->parts, TRUE);
        g_free(image->file);
        g_free(image->path);
        g_free(image);
    }
}

void image_place(const Image *image, PhysMem *mem)
{
    for (guint i = 0; i < image->parts->len; i++) {
        const ImagePart *part = &g_array_index(image->parts, ImagePart, i);
        uint8_t *host = physmem_host(mem, part->address, part->size);

        g_assert(host);
        memcpy(host, part->data, part->file_bytes);
        memset(host + part->file_bytes, 0, part->size - part->file_bytes);
        physmem_written(mem, host, part->size);
    }
}
