/*
 * Writing a core file; see core-file.h.
 *
 *   ELF header | program headers | notes | memory, and the hardware stacks
 *
 * The notes: NT_PRSTATUS of the thread that died, then what concerns the
 * process, then NT_PRSTATUS of each other thread.  A 32-bit program's file is
 * of class ELF32 with the kernel's narrow structures; its hardware stacks lie
 * above 4 GiB and have no place in it.
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
    STATUS_REGS = 112, STATUS_REGS_32 = 72, STATUS_MOST = 112 + 4784 + 8,
    INFO_BYTES = 136, INFO_BYTES_32 = 124,
    NOTE_SIGINFO = 0x53494749, NOTE_FILE = 0x46494c45,
};

typedef struct Segment {
    uint64_t address;
    uint64_t size;        /* in memory */
    uint64_t file_size;
    int prot;
    const E2kCpu *cpu;    /* whose hardware stack */
    enum { SEGMENT_MEMORY, SEGMENT_CHAIN, SEGMENT_PROC } kind;
} Segment;

typedef struct Core {
    UserThread *thread;
    bool narrow;
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

/* Puts words of the file's width, or of a given size, one behind the other. */
typedef struct Filler {
    uint8_t *at;
    bool narrow;
} Filler;

static void put(Filler *to, unsigned size, uint64_t value)
{
    memcpy(to->at, &value, size);
    to->at += size;
}

static void put_word(Filler *to, uint64_t value)
{
    put(to, to->narrow ? 4 : 8, value);
}

static void put_time(Filler *to, const struct timeval *time)
{
    put_word(to, (uint64_t)time->tv_sec);
    put_word(to, (uint64_t)time->tv_usec);
}

static void put_ids(Filler *to, int id)
{
    put(to, 4, (uint64_t)id);
    put(to, 4, (uint64_t)getppid());
    put(to, 4, (uint64_t)getpgrp());
    put(to, 4, (uint64_t)getsid(0));
}

static void add_status(Core *core, UserThread *thread, int number)
{
    uint8_t status[STATUS_MOST] = { 0 };
    unsigned regs = core->narrow ? STATUS_REGS_32 : STATUS_REGS;
    Filler to = { status, core->narrow };
    struct rusage usage = { 0 };

    getrusage(RUSAGE_SELF, &usage);
    put(&to, 4, (uint64_t)number);
    to.at = status + 12;
    put(&to, 4, (uint64_t)number);
    put_word(&to, 0);                /* pending */
    put_word(&to, thread->blocked);
    put_ids(&to, thread->tid);
    put_time(&to, &usage.ru_utime);
    put_time(&to, &usage.ru_stime);
    user_regs_get(thread->cpu, status + regs);
    add_note(core, NT_PRSTATUS, status, regs + USER_REGS_BYTES + 8);
}

static void add_info(Core *core)
{
    const UserProcess *process = core->thread->process;
    g_autofree char *name = g_path_get_basename(process->exe);
    uint8_t info[INFO_BYTES] = { 0 };
    Filler to = { info, core->narrow };
    char arguments[80] = { 0 };
    size_t size = MIN(process->arg_end - process->arg_start,
                      sizeof(arguments) - 1);
    unsigned id_bytes = core->narrow ? 2 : 4;

    info[1] = 'R';
    to.at += core->narrow ? 4 : 8;
    put_word(&to, 0);                /* flags */
    put(&to, id_bytes, getuid());
    put(&to, id_bytes, getgid());
    put_ids(&to, getpid());
    memcpy(to.at, name, strnlen(name, 15));
    if (host_copy_from(arguments, process->arg_start, size)) {
        for (size_t i = 0; i + 1 < size; i++) {
            arguments[i] = arguments[i] ? arguments[i] : ' ';
        }
        memcpy(to.at + 16, arguments, sizeof(arguments));
    }
    add_note(core, NT_PRPSINFO, info,
             core->narrow ? INFO_BYTES_32 : INFO_BYTES);
}

static void add_words(const Core *core, GByteArray *bytes,
                      const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        g_byte_array_append(bytes, (const uint8_t *)&words[i],
                            core->narrow ? 4 : 8);
    }
}

static void add_auxv(Core *core)
{
    g_autoptr(GByteArray) bytes = process_auxv(core->thread->process);

    add_note(core, NT_AUXV, bytes->data, bytes->len);
}

static void add_siginfo(Core *core, const siginfo_t *info)
{
    uint8_t guest[128];

    signal_info_to_guest(info, guest, core->narrow);
    add_note(core, NOTE_SIGINFO, guest, sizeof(guest));
}

static void add_files(Core *core)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint64_t head[2] = { core->files->len / 3, USER_PAGE };

    add_words(core, bytes, head, 2);
    add_words(core, bytes, (uint64_t *)core->files->data, core->files->len);
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

static void add_hw_stacks(Core *core, const E2kCpu *cpu)
{
    uint64_t proc = (cpu->win + 2 * cpu->wsz - cpu->regs) * 16;
    uint64_t chain = (cpu->frame + 1 - cpu->frames) * 32;
    Segment segments[] = {
        { cpu->psp_base, (proc + 31) & ~UINT64_C(31),
          (proc + 31) & ~UINT64_C(31), PROT_READ, cpu, SEGMENT_PROC },
        { cpu->pcsp_base, chain, chain, PROT_READ, cpu, SEGMENT_CHAIN },
    };

    g_array_append_vals(core->segments, segments, 2);
}

static void put_program_header(Filler *to, uint32_t type, uint32_t flags,
                               uint64_t offset, const Segment *s,
                               uint64_t align)
{
    put(to, 4, type);
    if (!to->narrow) {
        put(to, 4, flags);
    }
    put_word(to, offset);
    put_word(to, s->address);
    put_word(to, 0);
    put_word(to, s->file_size);
    put_word(to, s->size);
    if (to->narrow) {
        put(to, 4, flags);
    }
    put_word(to, align);
}

static void put_elf_header(Filler *to, const Core *core, unsigned count)
{
    unsigned size = to->narrow ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);

    memcpy(to->at, ELFMAG, SELFMAG);
    to->at[EI_CLASS] = to->narrow ? ELFCLASS32 : ELFCLASS64;
    to->at[EI_DATA] = ELFDATA2LSB;
    to->at[EI_VERSION] = EV_CURRENT;
    to->at += EI_NIDENT;
    put(to, 2, ET_CORE);
    put(to, 2, EM_E2K);
    put(to, 4, EV_CURRENT);
    put_word(to, 0);                 /* entry */
    put_word(to, size);              /* program headers */
    put_word(to, 0);                 /* sections */
    put(to, 4, core->thread->process->elf_flags);
    put(to, 2, size);
    put(to, 2, to->narrow ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr));
    put(to, 2, count);
    to->at += 6;
}

static uint64_t page_up(uint64_t size)
{
    return (size + USER_PAGE - 1) & ~(USER_PAGE - 1);
}

static void put_headers(Core *core, GByteArray *out)
{
    unsigned count = core->segments->len + 1;
    uint64_t size = core->narrow
                        ? sizeof(Elf32_Ehdr) + count * sizeof(Elf32_Phdr)
                        : sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    Segment notes = { .file_size = core->notes->len };
    uint64_t offset = page_up(size + core->notes->len);
    Filler to = { .narrow = core->narrow };

    g_byte_array_set_size(out, size);
    memset(out->data, 0, size);
    to.at = out->data;
    put_elf_header(&to, core, count);
    put_program_header(&to, PT_NOTE, 0, size, &notes, 4);
    for (guint i = 0; i < core->segments->len; i++) {
        const Segment *s = &g_array_index(core->segments, Segment, i);
        uint32_t flags = (s->prot & PROT_READ ? PF_R : 0) |
                         (s->prot & PROT_WRITE ? PF_W : 0) |
                         (s->prot & PROT_EXEC ? PF_X : 0);

        put_program_header(&to, PT_LOAD, flags, offset, s, USER_PAGE);
        offset += page_up(s->file_size);
    }
    g_byte_array_append(out, core->notes->data, core->notes->len);
}

static bool put_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
    return pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

/* Holes stay holes: pages of zeros and pages that cannot be read. */
static bool put_segment(int fd, const Segment *s, uint64_t offset)
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
            hw_stack_copy(s->cpu, s->kind == SEGMENT_CHAIN, at, page, size);
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
    offset = page_up(head->len);
    for (guint i = 0; ok && i < core->segments->len; i++) {
        const Segment *s = &g_array_index(core->segments, Segment, i);

        ok = put_segment(fd, s, offset);
        offset += page_up(s->file_size);
    }
    return ok && ftruncate(fd, (off_t)offset) == 0;
}

static void gather(Core *core, const siginfo_t *info)
{
    UserProcess *process = core->thread->process;

    address_map_foreach(process->map, visit, core);
    add_status(core, core->thread, info->si_signo);
    add_info(core);
    add_siginfo(core, info);
    add_auxv(core);
    add_files(core);
    g_mutex_lock(&process->threads_lock);
    for (guint i = 0; i < process->threads->len; i++) {
        UserThread *other = g_ptr_array_index(process->threads, i);

        if (!core->narrow) {
            add_hw_stacks(core, other->cpu);
        }
        if (other != core->thread) {
            add_status(core, other, 0);
        }
    }
    g_mutex_unlock(&process->threads_lock);
}

void core_file_write(UserThread *thread, const siginfo_t *info)
{
    Core core = {
        .thread = thread, .narrow = thread->process->is_32bit,
        .notes = g_byte_array_new(),
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
