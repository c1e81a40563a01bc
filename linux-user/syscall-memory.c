/*
 * System calls that change the address space: mmap and friends, brk, shared
 * memory segments.  Source of flag values: "linux/structs.md" section 2.1.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/syscall.h"

static const struct {
    uint32_t guest;
    uint32_t host;
} mmap_flags[] = {
    { 0x10, MAP_ANONYMOUS },     { 0x100, MAP_FIXED },
    { 0x800, MAP_DENYWRITE },    { 0x4000, MAP_EXECUTABLE },
    { 0x8000, MAP_LOCKED },      { 0x10000, MAP_NORESERVE },
    { 0x20000, MAP_POPULATE },   { 0x40000, MAP_NONBLOCK },
    { 0x200000, MAP_HUGETLB },   { 0x400000, MAP_FIXED_NOREPLACE },
};

enum {
    GUEST_MAP_FIRST32 = 0x80000,
    GUEST_PROT_KNOWN = 0x7 | 0x8 | 0x20 | 0x40, /* SEM, GROWSDOWN, GROWSUP */
};

/* Name of a descriptor's file, for the maps. */
static char *fd_name(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);

    return g_file_read_link(link, NULL);
}

static int64_t do_mmap(UserThread *thread, const uint64_t *args,
                       uint64_t offset)
{
    UserProcess *process = thread->process;
    uint32_t guest = args[3];
    int flags = guest & MAP_TYPE;
    g_autofree char *name = NULL;
    int64_t result;

    if (args[2] & ~(uint64_t)GUEST_PROT_KNOWN) {
        return -EINVAL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(mmap_flags); i++) {
        if (guest & mmap_flags[i].guest) {
            flags |= mmap_flags[i].host;
        }
    }
    if (!(flags & MAP_ANONYMOUS)) {
        name = fd_name((int)args[4]);
    }
    result = address_map_mmap(process->map, args[0], args[1], args[2] & 7,
                              flags, (int)args[4], offset,
                              process->is_32bit || (guest & GUEST_MAP_FIRST32),
                              name);
    if (result >= 0 && (flags & MAP_FIXED)) {
        engine_invalidate(result, args[1]);
    }
    return result;
}

int64_t sys_mmap(UserThread *thread, const uint64_t *args)
{
    return do_mmap(thread, args, args[5]);
}

int64_t sys_mmap2(UserThread *thread, const uint64_t *args)
{
    return do_mmap(thread, args, args[5] << 12);
}

int64_t sys_munmap(UserThread *thread, const uint64_t *args)
{
    int result = address_map_munmap(thread->process->map, args[0], args[1]);

    if (result == 0) {
        engine_invalidate(args[0], args[1]);
    }
    return result;
}

int64_t sys_mprotect(UserThread *thread, const uint64_t *args)
{
    int result;

    if (args[2] & ~(uint64_t)GUEST_PROT_KNOWN) {
        return -EINVAL;
    }
    result = address_map_mprotect(thread->process->map, args[0], args[1],
                                  args[2] & 7);
    if (result == 0) {
        engine_invalidate(args[0], args[1]);
    }
    return result;
}

int64_t sys_mremap(UserThread *thread, const uint64_t *args)
{
    int64_t result = address_map_mremap(thread->process->map, args[0],
                                        args[1], args[2], (int)args[3],
                                        args[4]);

    if (result >= 0) {
        engine_invalidate(args[0], args[1]);
        engine_invalidate(result, args[2]);
    }
    return result;
}

int64_t sys_madvise(UserThread *thread, const uint64_t *args)
{
    int result = address_map_madvise(thread->process->map, args[0], args[1],
                                     (int)args[2]);

    /* MADV_DONTNEED on code drops what a program wrote there. */
    if (args[0] < USER_LIMIT && args[1] <= USER_LIMIT - args[0]) {
        engine_invalidate(args[0], args[1]);
    }
    return result;
}

int64_t sys_brk(UserThread *thread, const uint64_t *args)
{
    UserProcess *process = thread->process;
    uint64_t want = args[0];
    uint64_t mapped = (want + USER_PAGE - 1) & ~(USER_PAGE - 1);

    if (want < process->brk_start || want >= USER_LIMIT) {
        return process->brk;
    }
    if (mapped > process->brk_mapped) {
        int64_t at = address_map_mmap(
            process->map, process->brk_mapped, mapped - process->brk_mapped,
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0, false,
            "[heap]");

        if (at < 0) {
            return process->brk;
        }
    } else if (mapped < process->brk_mapped) {
        address_map_munmap(process->map, mapped, process->brk_mapped - mapped);
    }
    process->brk_mapped = mapped;
    process->brk = want;
    return want;
}

/* Code in a segment goes with it, as code under one that is put over it. */
int64_t sys_shmat(UserThread *thread, const uint64_t *args)
{
    UserProcess *process = thread->process;
    int64_t result = address_map_shmat(process->map, (int)args[0], args[1],
                                       (int)args[2], process->is_32bit);

    if (result >= 0 && ((int)args[2] & SHM_REMAP)) {
        engine_invalidate(0, USER_LIMIT);
    }
    return result;
}

int64_t sys_shmdt(UserThread *thread, const uint64_t *args)
{
    int64_t result = address_map_shmdt(thread->process->map, args[0]);

    if (result == 0) {
        engine_invalidate(0, USER_LIMIT);
    }
    return result;
}
