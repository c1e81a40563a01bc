/*
 * ELF program loading.  Every number comes from a file that may lie: header
 * fields are checked against the file size and against each other before
 * anything is mapped.
 */
#include "linux-user/elf-load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tcg/host-access.h"

enum {
    ELF_MAX_PHDRS = 512,
    ELF_MAX_INTERP = 4096,
    ELF_MAX_ALIGN = 1 << 30,
    FLAG_X86APP = 0x4,
    FLAG_INCOMPAT = 0x10,
    FLAG_PROTECTED = 0x20,
    EI_SEMANTIC = 7, /* of the old machine number: the mode */
    SEMANTIC_32 = 1,
    SEMANTIC_64 = 2,
    SEMANTIC_PROTECTED = 5,
    SEMANTIC_PROTECTED_CXX = 6,
};

static GQuark elf_error_quark(void)
{
    return g_quark_from_static_string("elf-error");
}

static bool fail(GError **error, const char *path, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, elf_error_quark(), 0, "%s: %s", path, text);
    return false;
}

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
    return pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

static void widen_header(Elf64_Ehdr *to, const Elf32_Ehdr *from)
{
    memcpy(to->e_ident, from->e_ident, EI_NIDENT);
    to->e_type = from->e_type;
    to->e_machine = from->e_machine;
    to->e_version = from->e_version;
    to->e_entry = from->e_entry;
    to->e_phoff = from->e_phoff;
    to->e_shoff = from->e_shoff;
    to->e_flags = from->e_flags;
    to->e_ehsize = from->e_ehsize;
    to->e_phentsize = from->e_phentsize;
    to->e_phnum = from->e_phnum;
    to->e_shentsize = from->e_shentsize;
    to->e_shnum = from->e_shnum;
    to->e_shstrndx = from->e_shstrndx;
}

static void widen_phdr(Elf64_Phdr *to, const Elf32_Phdr *from)
{
    to->p_type = from->p_type;
    to->p_offset = from->p_offset;
    to->p_vaddr = from->p_vaddr;
    to->p_paddr = from->p_paddr;
    to->p_filesz = from->p_filesz;
    to->p_memsz = from->p_memsz;
    to->p_flags = from->p_flags;
    to->p_align = from->p_align;
}

/* What flags and, with the old number, identification say of the mode. */
static bool check_mode(ElfImage *image, GError **error)
{
    const Elf64_Ehdr *header = &image->header;
    unsigned semantic = header->e_ident[EI_SEMANTIC];
    bool old = header->e_machine == EM_E2K_OLD;

    image->mach = old ? (header->e_flags >> 28) & 7 : header->e_flags >> 24;
    if (old ? semantic == SEMANTIC_PROTECTED ||
                  semantic == SEMANTIC_PROTECTED_CXX
            : (header->e_flags & FLAG_PROTECTED) != 0) {
        return fail(error, image->path,
                    "protected (128-bit pointer) mode is not supported");
    }
    if (old && semantic != (image->is_32bit ? SEMANTIC_32 : SEMANTIC_64)) {
        return fail(error, image->path,
                    "mode %u of its identification is not that of a %s-bit "
                    "file", semantic, image->is_32bit ? "32" : "64");
    }
    if (!old && (header->e_flags & FLAG_X86APP)) {
        return fail(error, image->path,
                    "is translated x86 code, which is not supported");
    }
    return true;
}

/* Magic, class, machine, type; fills header, is_32bit and mach. */
static bool read_header(ElfImage *image, GError **error)
{
    unsigned char ident[EI_NIDENT];
    Elf64_Ehdr *header = &image->header;

    if (!read_at(image->fd, ident, sizeof(ident), 0) ||
        memcmp(ident, ELFMAG, SELFMAG) != 0) {
        return fail(error, image->path, "not an ELF file");
    }
    if (ident[EI_DATA] != ELFDATA2LSB || ident[EI_VERSION] != EV_CURRENT) {
        return fail(error, image->path,
                    "not a little-endian ELF file of version 1");
    }
    if (ident[EI_CLASS] == ELFCLASS64) {
        if (!read_at(image->fd, header, sizeof(*header), 0)) {
            return fail(error, image->path, "truncated ELF header");
        }
    } else if (ident[EI_CLASS] == ELFCLASS32) {
        Elf32_Ehdr narrow;

        if (!read_at(image->fd, &narrow, sizeof(narrow), 0)) {
            return fail(error, image->path, "truncated ELF header");
        }
        widen_header(header, &narrow);
        image->is_32bit = true;
    } else {
        return fail(error, image->path, "invalid ELF class %u",
                    ident[EI_CLASS]);
    }
    if (header->e_machine != EM_E2K && header->e_machine != EM_E2K_OLD) {
        return fail(error, image->path,
                    "not an e2k program (machine %u, wanted %d or %d)",
                    header->e_machine, EM_E2K, EM_E2K_OLD);
    }
    if (header->e_version != EV_CURRENT) {
        return fail(error, image->path, "unknown ELF version %u",
                    header->e_version);
    }
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN) {
        return fail(error, image->path,
                    "not an executable or shared object (type %u)",
                    header->e_type);
    }
    return check_mode(image, error);
}

static bool check_phdr(const ElfImage *image, const Elf64_Phdr *phdr,
                       uint64_t file_size, GError **error)
{
    if (phdr->p_filesz > file_size ||
        phdr->p_offset > file_size - phdr->p_filesz) {
        return fail(error, image->path,
                    "truncated: a segment ends at %" PRIu64
                    " but the file has %" PRIu64 " bytes",
                    phdr->p_offset + phdr->p_filesz, file_size);
    }
    if (phdr->p_type != PT_LOAD) {
        return true;
    }
    if (phdr->p_filesz > phdr->p_memsz) {
        return fail(error, image->path, "segment larger in file than in memory");
    }
    if (phdr->p_vaddr >= USER_LIMIT || phdr->p_memsz > USER_LIMIT ||
        phdr->p_vaddr + phdr->p_memsz > USER_LIMIT) {
        return fail(error, image->path,
                    "segment at 0x%" PRIx64 " lies outside user space",
                    (uint64_t)phdr->p_vaddr);
    }
    if ((phdr->p_vaddr ^ phdr->p_offset) & (USER_PAGE - 1)) {
        return fail(error, image->path,
                    "segment at 0x%" PRIx64 " is not page-congruent",
                    (uint64_t)phdr->p_vaddr);
    }
    return true;
}

static bool read_phdrs(ElfImage *image, uint64_t file_size, GError **error)
{
    const Elf64_Ehdr *header = &image->header;
    size_t entry = image->is_32bit ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
    bool loads = false;

    if (header->e_phnum == 0 || header->e_phnum > ELF_MAX_PHDRS ||
        header->e_phentsize != entry) {
        return fail(error, image->path, "invalid program header table");
    }
    image->phdrs = g_new0(Elf64_Phdr, header->e_phnum);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr *phdr = &image->phdrs[i];
        Elf32_Phdr narrow;
        bool ok = image->is_32bit
                      ? read_at(image->fd, &narrow, entry,
                                header->e_phoff + i * entry)
                      : read_at(image->fd, phdr, entry,
                                header->e_phoff + i * entry);

        if (!ok) {
            return fail(error, image->path,
                        "truncated in the program header table");
        }
        if (image->is_32bit) {
            widen_phdr(phdr, &narrow);
        }
        if (!check_phdr(image, phdr, file_size, error)) {
            return false;
        }
        loads |= phdr->p_type == PT_LOAD && phdr->p_memsz;
        if (phdr->p_type == PT_INTERP && !image->interpreter) {
            if (phdr->p_filesz < 2 || phdr->p_filesz > ELF_MAX_INTERP) {
                return fail(error, image->path, "invalid interpreter name");
            }
            image->interpreter = g_malloc0(phdr->p_filesz + 1);
            if (!read_at(image->fd, image->interpreter, phdr->p_filesz,
                         phdr->p_offset)) {
                return fail(error, image->path, "truncated interpreter name");
            }
            if (image->interpreter[phdr->p_filesz - 1]) {
                return fail(error, image->path, "invalid interpreter name");
            }
        }
    }
    return loads || fail(error, image->path, "has no loadable segment");
}

ElfImage *elf_open(const char *path, GError **error)
{
    ElfImage *image = g_new0(ElfImage, 1);
    struct stat st;

    image->path = g_canonicalize_filename(path, NULL);
    image->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (image->fd < 0) {
        fail(error, path, "%s", g_strerror(errno));
    } else if (fstat(image->fd, &st) < 0) {
        fail(error, path, "%s", g_strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        fail(error, path, "not a regular file");
    } else if (read_header(image, error) &&
               read_phdrs(image, st.st_size, error)) {
        return image;
    }
    elf_free(image);
    return NULL;
}

void elf_free(ElfImage *image)
{
    if (!image) {
        return;
    }
    if (image->fd >= 0) {
        close(image->fd);
    }
    g_free(image->phdrs);
    g_free(image->interpreter);
    g_free(image->path);
    g_free(image);
}

/* mach values that name one CPU model. */
static const struct {
    unsigned mach;
    const char *model;
} exact_models[] = {
    { 19, "e8c" },  { 20, "e1c+" }, { 21, "e12c" },
    { 22, "e16c" }, { 23, "e2c3" }, { 25, "v7" },
};

static const char *default_model(unsigned isa)
{
    static const char *const names[] = { "v7", "v1", "v2", "v3", "v4",
                                         "v5", "v6", "v7" };

    return names[isa <= 7 ? isa : 0];
}

bool elf_choose_model(const ElfImage *image, const CpuModel **model,
                      GError **error)
{
    unsigned mach = image->mach;
    bool incompat = image->header.e_machine == EM_E2K &&
                    (image->header.e_flags & FLAG_INCOMPAT);
    const char *wanted = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(exact_models); i++) {
        if (exact_models[i].mach == mach) {
            wanted = exact_models[i].model;
        }
    }
    if (!wanted && (mach == 1 || mach > 7)) {
        return fail(error, image->path,
                    "needs an unknown CPU (ELF machine flags 0x%x)", mach);
    }
    if (!*model) {
        /* Generic code runs best on the newest well-known version. */
        *model = cpu_model_find(wanted ? wanted
                                : mach < 3 ? "v5" : default_model(mach));
        return true;
    }
    if (wanted) {
        /* Exactly this model, whichever others have its instruction set. */
        return strcmp((*model)->name, cpu_model_find(wanted)->name) == 0 ||
               fail(error, image->path, "needs CPU %s, not %s", wanted,
                    (*model)->name);
    }
    if (mach >= 3 && ((*model)->isa < mach ||
                      (incompat && (*model)->isa != mach))) {
        return fail(error, image->path,
                    "needs instruction set version %u%s, but CPU %s has %u",
                    mach, incompat ? " exactly" : "", (*model)->name,
                    (*model)->isa);
    }
    return true;
}

bool elf_check_interpreter(const ElfImage *program,
                           const ElfImage *interpreter, const CpuModel *model,
                           GError **error)
{
    if (program->is_32bit != interpreter->is_32bit) {
        return fail(error, interpreter->path, "is a %s-bit file",
                    interpreter->is_32bit ? "32" : "64");
    }
    return elf_choose_model(interpreter, &model, error);
}

static int segment_prot(const Elf64_Phdr *phdr)
{
    return (phdr->p_flags & PF_R ? PROT_READ : 0) |
           (phdr->p_flags & PF_W ? PROT_WRITE : 0) |
           (phdr->p_flags & PF_X ? PROT_EXEC : 0);
}

/* The part of a segment behind its file contents: zeros. */
static bool map_bss(ElfImage *image, AddressMap *map, const Elf64_Phdr *phdr,
                    GError **error)
{
    static const uint8_t zeros[USER_PAGE];
    uint64_t start = image->bias + phdr->p_vaddr + phdr->p_filesz;
    uint64_t end = image->bias + phdr->p_vaddr + phdr->p_memsz;
    uint64_t page = phdr->p_filesz
                        ? (start + USER_PAGE - 1) & ~(USER_PAGE - 1)
                        : start & ~(USER_PAGE - 1);

    if (start < page) {
        /* Read-only segments have no room for zeros: nothing to clear. */
        host_copy_to(start, zeros, MIN(page, end) - start);
    }
    if (page < end) {
        int64_t at = address_map_mmap(map, page, end - page,
                                      segment_prot(phdr),
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                                      -1, 0, false, NULL);

        if (at < 0) {
            return fail(error, image->path, "cannot map zeros at 0x%" PRIx64
                        ": %s", page, g_strerror((int)-at));
        }
    }
    return true;
}

static bool map_segment(ElfImage *image, AddressMap *map,
                        const Elf64_Phdr *phdr, GError **error)
{
    uint64_t address = image->bias + phdr->p_vaddr;
    uint64_t page = address & ~(USER_PAGE - 1);
    uint64_t size = address - page + phdr->p_filesz;

    if (phdr->p_filesz) {
        int64_t at = address_map_mmap(map, page, size, segment_prot(phdr),
                                      MAP_PRIVATE | MAP_FIXED, image->fd,
                                      phdr->p_offset & ~(USER_PAGE - 1), false,
                                      image->path);

        if (at < 0) {
            return fail(error, image->path,
                        "cannot map a segment at 0x%" PRIx64 ": %s", page,
                        g_strerror((int)-at));
        }
    }
    if (phdr->p_memsz > phdr->p_filesz &&
        !map_bss(image, map, phdr, error)) {
        return false;
    }
    if (image->header.e_phoff >= phdr->p_offset &&
        image->header.e_phoff < phdr->p_offset + phdr->p_filesz) {
        image->phdr_address = address + image->header.e_phoff - phdr->p_offset;
    }
    image->brk = MAX(image->brk, image->bias + phdr->p_vaddr + phdr->p_memsz);
    return true;
}

/* Nothing is mapped between segments, as with a kernel. */
static void open_gaps(const ElfImage *image, AddressMap *map)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < image->header.e_phnum; i++) {
        const Elf64_Phdr *phdr = &image->phdrs[i];
        uint64_t start = image->bias + phdr->p_vaddr;

        if (phdr->p_type != PT_LOAD || !phdr->p_memsz) {
            continue;
        }
        if (end && (start & ~(USER_PAGE - 1)) > end) {
            address_map_munmap(map, end, (start & ~(USER_PAGE - 1)) - end);
        }
        start += phdr->p_memsz + USER_PAGE - 1;
        end = MAX(end, start & ~(USER_PAGE - 1));
    }
}

/* What the load address of a relocatable image has to be a multiple of. */
static uint64_t load_alignment(const ElfImage *image)
{
    uint64_t align = USER_PAGE;

    for (unsigned i = 0; i < image->header.e_phnum; i++) {
        const Elf64_Phdr *phdr = &image->phdrs[i];

        if (phdr->p_type == PT_LOAD && phdr->p_align <= ELF_MAX_ALIGN &&
            !(phdr->p_align & (phdr->p_align - 1))) {
            align = MAX(align, phdr->p_align);
        }
    }
    return align;
}

/* Address space for the whole image, linked at low; its address or -errno. */
static int64_t reserve(const ElfImage *image, AddressMap *map, uint64_t base,
                       uint64_t low, uint64_t size)
{
    bool fixed = image->header.e_type == ET_EXEC;
    uint64_t align = fixed ? USER_PAGE : load_alignment(image);
    uint64_t room = align > USER_PAGE ? align : 0;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                (fixed ? MAP_FIXED_NOREPLACE : 0);
    int64_t at;
    uint64_t start;
    uint64_t end;

    size = (size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    at = address_map_mmap(map, base, size + room, PROT_NONE, flags, -1, 0,
                          image->is_32bit, NULL);
    if (at < 0 && !fixed && base) {
        /* From there on nothing is free: anywhere else. */
        at = address_map_mmap(map, 0, size + room, PROT_NONE, flags, -1, 0,
                              image->is_32bit, NULL);
    }
    if (at < 0 || !room) {
        return at;
    }
    start = at + ((low - at) & (align - 1));
    end = start + size;
    if (start > (uint64_t)at) {
        address_map_munmap(map, at, start - at);
    }
    if (end < at + size + room) {
        address_map_munmap(map, end, at + size + room - end);
    }
    return start;
}

bool elf_map(ElfImage *image, AddressMap *map, uint64_t base, GError **error)
{
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    int64_t at;

    for (unsigned i = 0; i < image->header.e_phnum; i++) {
        const Elf64_Phdr *phdr = &image->phdrs[i];

        if (phdr->p_type == PT_LOAD && phdr->p_memsz) {
            low = MIN(low, phdr->p_vaddr & ~(USER_PAGE - 1));
            high = MAX(high, phdr->p_vaddr + phdr->p_memsz);
        }
    }
    if (image->header.e_type == ET_EXEC) {
        if (low < USER_MIN) {
            return fail(error, image->path,
                        "is linked at 0x%" PRIx64 ", below 0x%" PRIx64, low,
                        USER_MIN);
        }
        base = low;
    }
    /* Reserve the whole span first: segments must not land on others. */
    at = reserve(image, map, base, low, high - low);
    if (at < 0) {
        return fail(error, image->path,
                    "cannot map %" PRIu64 " bytes at 0x%" PRIx64 ": %s",
                    high - low, base, g_strerror((int)-at));
    }
    image->bias = at - low;
    image->start = at;
    image->end = image->bias + high;
    open_gaps(image, map);
    for (unsigned i = 0; i < image->header.e_phnum; i++) {
        const Elf64_Phdr *phdr = &image->phdrs[i];

        if (phdr->p_type == PT_LOAD && phdr->p_memsz &&
            !map_segment(image, map, phdr, error)) {
            return false;
        }
    }
    return true;
}
