/*
 * Robust futexes: when a thread ends, the locks in its list get the bit that
 * says so, and one waiter each is woken.  That has to come before the word at
 * clear_child_tid changes, which the emulator does, so it walks the list, too.
 * A 64-bit list is also known to the kernel, for a process that is killed;
 * one of a 32-bit program the kernel could not read, and a SIGKILL leaves its
 * locks as they are.
 *
 *   head: list.next, futex_offset, list_op_pending (words of the mode)
 *   each entry starts with the address of the next; bit 0 marks a PI lock;
 *   the lock's word is at entry + futex_offset
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/syscall.h"
#include "tcg/host-access.h"

enum { ENTRIES_MOST = 2048 };

bool process_robust_list(UserThread *thread, int tid, uint64_t *head)
{
    UserProcess *process = thread->process;
    bool found = false;

    g_mutex_lock(&process->threads_lock);
    for (guint i = 0; i < process->threads->len && !found; i++) {
        UserThread *other = g_ptr_array_index(process->threads, i);

        found = tid ? other->tid == tid : other == thread;
        *head = other->robust_list;
    }
    g_mutex_unlock(&process->threads_lock);
    return found;
}

static void wake_one(uint64_t address)
{
    syscall(SYS_futex, address, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The owner of the lock at the address has died, if it was the thread. */
static void owner_died(UserThread *thread, uint64_t address, bool is_pi,
                       bool pending)
{
    uint32_t old;
    uint32_t new;
    bool swapped = false;

    while (!swapped) {
        if ((address & 3) || !guest_read(address, &old, 4)) {
            return;
        }
        if (pending && !is_pi && !old) {
            wake_one(address);
            return;
        }
        if ((old & FUTEX_TID_MASK) != (uint32_t)thread->tid) {
            return;
        }
        new = (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (!host_cmpxchg(address, 4, &old, &new, &swapped)) {
            return;
        }
    }
    if (!is_pi && (new & FUTEX_WAITERS)) {
        wake_one(address);
    }
}

/* A word of the list's width; the offset is signed. */
static bool list_word(UserThread *thread, uint64_t at, uint64_t *word)
{
    int32_t narrow;

    if (!thread->robust_narrow) {
        return guest_read(at, word, 8);
    }
    if (!guest_read(at, &narrow, 4)) {
        return false;
    }
    *word = (uint64_t)(int64_t)narrow;
    return true;
}

static uint64_t pointer(UserThread *thread, uint64_t word)
{
    return (thread->robust_narrow ? (uint32_t)word : word) & ~UINT64_C(1);
}

void robust_list_release(UserThread *thread)
{
    unsigned width = thread->robust_narrow ? 4 : 8;
    uint64_t list = thread->robust_list;
    uint64_t head[3];

    thread->robust_list = 0;
    if (!list) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (!list_word(thread, list + i * width, &head[i])) {
            return;
        }
    }
    for (int i = 0; i < ENTRIES_MOST && pointer(thread, head[0]) != list;
         i++) {
        uint64_t entry = head[0];
        bool more = list_word(thread, pointer(thread, entry), &head[0]);

        if (pointer(thread, entry) != pointer(thread, head[2])) {
            owner_died(thread, pointer(thread, entry) + head[1], entry & 1,
                       false);
        }
        if (!more) {
            break;
        }
    }
    if (head[2]) {
        owner_died(thread, pointer(thread, head[2]) + head[1], head[2] & 1,
                   true);
    }
    syscall(SYS_set_robust_list, NULL, 2 * sizeof(long) + sizeof(void *));
}

void robust_list_release_all(UserProcess *process)
{
    /* The others may still run, as they may before exit_group ends them. */
    g_mutex_lock(&process->threads_lock);
    for (guint i = 0; i < process->threads->len; i++) {
        robust_list_release(g_ptr_array_index(process->threads, i));
    }
    g_mutex_unlock(&process->threads_lock);
}
