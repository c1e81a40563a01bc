/*
 * Writing a core file; see core-file.h.
 */
#include "linux-user/core-file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "linux-user/elf-load.h"
#include "linux-user/hw-stack.h"
#include "linux-user/signal.h"
#include "linux-user/user-regs.h"
#include "tcg/host-access.h"
#include "util/bytes.h"

enum {
    PRSTATUS_REGS = 112, PRSTATUS_BYTES = PRSTATUS_REGS + USER_REGS_BYTES + 8,
    PRPSINFO_BYTES = 136, NOTE_SIGINFO = 0x53494749, NOTE_FILE = 0x46494c45,
};

typedef struct Segment {
    uint64_t address;
    uint64_t size;        /* in memory */
    uint64_t file_size;
    int prot;
    enum { SEGMENT_MEMORY, SEGMENT_CHAIN, SEGMENT_PROC } kind;
} Segment;

typedef struct Core {
    UserThread *thread;
    GByteArray *notes;
    GArray *segments;
    GString *names;       /* of NT_FILE */
    GArray *files;        /* its words: start, end, page offset */
} Core;

static void add_note(Core *core, uint32_t type, const void *bytes,
                     uint32_t size)
{
    static const uint8_t zeros[4];
    uint8_t head[20] = { 0 };

    stl_le_p(head, 5);
    stl_le_p(head + 4, size);
    stl_le_p(head + 8, type);
    memcpy(head + 12, "CORE", 5);
    g_byte_array_append(core->notes, head, sizeof(head));
    g_byte_array_append(core->notes, bytes, size);
    g_byte_array_append(core->notes, zeros, -size & 3);
}

static void put_time(uint8_t *to, const struct timeval *time)
{
    stq_le_p(to, time->tv_sec);
    stq_le_p(to + 8, time->tv_usec);
}

static void add_prstatus(Core *core, UserThread *thread, int number)
{
    uint8_t status[PRSTATUS_BYTES] = { 0 };
    struct rusage usage = { 0 };

    getrusage(RUSAGE_SELF, &usage);
    stl_le_p(status, number);
    stw_le_p(status + 12, number);
    stq_le_p(status + 24, thread->blocked);
    stl_le_p(status + 32, thread->tid);
    stl_le_p(status + 36, getppid());
    stl_le_p(status + 40, getpgrp());
    stl_le_p(status + 44, getsid(0));
    put_time(status + 48, &usage.ru_utime);
    put_time(status + 64, &usage.ru_stime);
    user_regs_get(thread->cpu, status + PRSTATUS_REGS);
    add_note(core, NT_PRSTATUS, status, sizeof(status));
}

static void add_prpsinfo(Core *core)
{
    const UserProcess *process = core->thread->process;
    g_autofree char *name = g_path_get_basename(process->exe);
    uint8_t info[PRPSINFO_BYTES] = { 0 };
    char arguments[80] = { 0 };
    size_t size = MIN(process->arg_end - process->arg_start,
                      sizeof(arguments) - 1);

    info[1] = 'R';
    stl_le_p(info + 16, getuid());
    stl_le_p(info + 20, getgid());
    stl_le_p(info + 24, getpid());
    stl_le_p(info + 28, getppid());
    stl_le_p(info + 32, getpgrp());
    stl_le_p(info + 36, getsid(0));
    memcpy(info + 40, name, strnlen(name, 15));
    if (host_copy_from(arguments, process->arg_start, size)) {
        for (size_t i = 0; i + 1 < size; i++) {
            arguments[i] = arguments[i] ? arguments[i] : ' ';
        }
        memcpy(info + 56, arguments, sizeof(arguments));
    }
    add_note(core, NT_PRPSINFO, info, sizeof(info));
}

static void add_siginfo(Core *core, const siginfo_t *info)
{
    uint8_t guest[128];

    signal_info_to_guest(info, guest, core->thread->process->is_32bit);
    add_note(core, NOTE_SIGINFO, guest, sizeof(guest));
}

static void add_files(Core *core)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint8_t head[16];

    stq_le_p(head, core->files->len / 3);
    stq_le_p(head + 8, USER_PAGE);
    g_byte_array_append(bytes, head, sizeof(head));
    g_byte_array_append(bytes, (uint8_t *)core->files->data,
                        core->files->len * 8);
    g_byte_array_append(bytes, (uint8_t *)core->names->str, core->names->len);
    add_note(core, NOTE_FILE, bytes->data, bytes->len);
}

/* How much of a mapping is worth keeping. */
static uint64_t bytes_to_keep(const AddressRange *range, bool file)
{
    char magic[SELFMAG];

    if (!(range->prot & PROT_READ)) {
        return 0;
    }
    if (!file || (range->prot & PROT_WRITE)) {
        return range->end - range->start;
    }
    /* A program's first page says which file it was. */
    return host_copy_from(magic, range->start, SELFMAG) &&
                   memcmp(magic, ELFMAG, SELFMAG) == 0 ? USER_PAGE : 0;
}

static void visit(const AddressRange *range, void *data)
{
    Core *core = data;
    bool file = range->name && range->name[0] == '/';
    Segment segment = {
        .address = range->start, .size = range->end - range->start,
        .file_size = bytes_to_keep(range, file), .prot = range->prot,
    };

    g_array_append_val(core->segments, segment);
    if (file) {
        uint64_t words[3] = { range->start, range->end,
                              range->offset / USER_PAGE };

        g_array_append_vals(core->files, words, 3);
        g_string_append_len(core->names, range->name,
                            strlen(range->name) + 1);
    }
}

static void add_hw_stacks(Core *core)
{
    const E2kCpu *cpu = core->thread->cpu;
    uint64_t proc = (cpu->win + 2 * cpu->wsz - cpu->regs) * 16;
    uint64_t chain = (cpu->frame + 1 - cpu->frames) * 32;
    Segment segments[] = {
        { cpu->psp_base, (proc + 31) & ~UINT64_C(31),
          (proc + 31) & ~UINT64_C(31), PROT_READ, SEGMENT_PROC },
        { cpu->pcsp_base, chain, chain, PROT_READ, SEGMENT_CHAIN },
    };

    g_array_append_vals(core->segments, segments, 2);
}

static void put_headers(Core *core, GByteArray *out)
{
    const UserProcess *process = core->thread->process;
    unsigned count = core->segments->len + 1;
    uint64_t offset = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    Elf64_Ehdr header = {
        .e_type = ET_CORE, .e_machine = EM_E2K, .e_version = EV_CURRENT,
        .e_phoff = sizeof(header), .e_flags = process->elf_flags,
        .e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = count,
    };
    Elf64_Phdr note = {
        .p_type = PT_NOTE, .p_offset = offset, .p_align = 4,
        .p_filesz = core->notes->len,
    };

    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    g_byte_array_append(out, (uint8_t *)&header, sizeof(header));
    g_byte_array_append(out, (uint8_t *)&note, sizeof(note));
    offset = (offset + core->notes->len + USER_PAGE - 1) & ~(USER_PAGE - 1);
    for (guint i = 0; i < core->segments->len; i++) {
        const Segment *s = &g_array_index(core->segments, Segment, i);
        Elf64_Phdr load = {
            .p_type = PT_LOAD, .p_offset = offset, .p_vaddr = s->address,
            .p_filesz = s->file_size, .p_memsz = s->size,
            .p_flags = (s->prot & PROT_READ ? PF_R : 0) |
                       (s->prot & PROT_WRITE ? PF_W : 0) |
                       (s->prot & PROT_EXEC ? PF_X : 0),
            .p_align = USER_PAGE,
        };

        g_byte_array_append(out, (uint8_t *)&load, sizeof(load));
        offset += (s->file_size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    }
    g_byte_array_append(out, core->notes->data, core->notes->len);
}

static bool put_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
    return pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

/* Holes stay holes: pages of zeros and pages that cannot be read. */
static bool put_segment(Core *core, int fd, const Segment *s, uint64_t offset)
{
    static const uint8_t zeros[USER_PAGE];
    uint8_t page[USER_PAGE];

    for (uint64_t at = 0; at < s->file_size; at += USER_PAGE) {
        size_t size = MIN(USER_PAGE, s->file_size - at);

        if (s->kind == SEGMENT_MEMORY) {
            if (!host_copy_from(page, s->address + at, size)) {
                continue;
            }
        } else {
            hw_stack_copy(core->thread->cpu, s->kind == SEGMENT_CHAIN, at,
                          page, size);
        }
        if (memcmp(page, zeros, size) != 0 &&
            !put_at(fd, page, size, offset + at)) {
            return false;
        }
    }
    return true;
}

static bool write_core(Core *core, int fd)
{
    g_autoptr(GByteArray) head = g_byte_array_new();
    uint64_t offset;
    bool ok;

    put_headers(core, head);
    ok = put_at(fd, head->data, head->len, 0);
    offset = (head->len + USER_PAGE - 1) & ~(USER_PAGE - 1);
    for (guint i = 0; ok && i < core->segments->len; i++) {
        const Segment *s = &g_array_index(core->segments, Segment, i);

        ok = put_segment(core, fd, s, offset);
        offset += (s->file_size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    }
    return ok && ftruncate(fd, (off_t)offset) == 0;
}

static void gather(Core *core, const siginfo_t *info)
{
    UserProcess *process = core->thread->process;

    address_map_foreach(process->map, visit, core);
    add_hw_stacks(core);
    add_prstatus(core, core->thread, info->si_signo);
    add_prpsinfo(core);
    add_siginfo(core, info);
    add_note(core, NT_AUXV, process->auxv, process->n_auxv * 8);
    add_files(core);
    g_mutex_lock(&process->threads_lock);
    for (guint i = 0; i < process->threads->len; i++) {
        UserThread *other = g_ptr_array_index(process->threads, i);

        if (other != core->thread) {
            add_prstatus(core, other, 0);
        }
    }
    g_mutex_unlock(&process->threads_lock);
}

void core_file_write(UserThread *thread, const siginfo_t *info)
{
    Core core = {
        .thread = thread, .notes = g_byte_array_new(),
        .segments = g_array_new(false, false, sizeof(Segment)),
        .names = g_string_new(NULL),
        .files = g_array_new(false, false, sizeof(uint64_t)),
    };
    g_autofree char *program = NULL;
    g_autofree char *name = NULL;
    struct rlimit limit;
    sigset_t all;
    int fd;

    if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_cur == 0) {
        return;
    }
    program = g_path_get_basename(thread->process->exe);
    name = g_strdup_printf("%s.%d.core", program, getpid());
    process_park_others(thread);
    gather(&core, info);
    if (limit.rlim_cur != RLIM_INFINITY) {
        struct rlimit size = { limit.rlim_cur, limit.rlim_cur };

        /* Cut there, as the kernel would: no SIGXFSZ on the way. */
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        setrlimit(RLIMIT_FSIZE, &size);
    }
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
              0600);
    if (fd >= 0 && write_core(&core, fd)) {
        fprintf(stderr, "e2k-user: core file %s\n", name);
    } else {
        fprintf(stderr, "e2k-user: cannot write %s: %s\n", name,
                g_strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &limit);
    g_byte_array_free(core.notes, true);
    g_array_free(core.segments, true);
    g_array_free(core.files, true);
    g_string_free(core.names, true);
}
