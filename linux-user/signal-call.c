/*
 * System calls about signals: actions, masks, the alternate stack.
 */
#include "linux-user/signal-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux-user/syscall.h"
#include "util/bytes.h"

enum {
    GUEST_MINSIGSTKSZ = 4096,
};

bool signal_on_altstack(const UserThread *thread, uint64_t sp)
{
    return thread->altstack.size &&
           sp - thread->altstack.sp < thread->altstack.size;
}

void signal_put_stack(UserThread *thread, uint8_t *b, bool narrow)
{
    bool active = signal_on_altstack(thread, thread->cpu->usd_base);
    int flags = !thread->altstack.size ? SS_DISABLE
                : thread->altstack.flags | (active ? SS_ONSTACK : 0);

    memset(b, 0, STACK_MOST);
    if (narrow) {
        stl_le_p(b, thread->altstack.sp);
        stl_le_p(b + 4, flags);
        stl_le_p(b + 8, thread->altstack.size);
    } else {
        stq_le_p(b, thread->altstack.sp);
        stl_le_p(b + 8, flags);
        stq_le_p(b + 16, thread->altstack.size);
    }
}

bool signal_get_stack(uint64_t from, bool narrow, GuestStack *stack)
{
    uint8_t b[STACK_MOST];

    if (!guest_read(from, b, narrow ? 12 : STACK_MOST)) {
        return false;
    }
    *stack = narrow ? (GuestStack){ ldl_le_p(b), ldl_le_p(b + 8),
                                    (int)ldl_le_p(b + 4) }
                    : (GuestStack){ ldq_le_p(b), ldq_le_p(b + 16),
                                    (int)ldl_le_p(b + 8) };
    return true;
}

/* handler, flags, restorer in the width of the mode, then the mask. */
static bool read_action(uint64_t from, bool narrow, GuestSigaction *action)
{
    uint32_t words[5];

    if (!narrow) {
        return guest_read(from, action, sizeof(*action));
    }
    if (!guest_read(from, words, sizeof(words))) {
        return false;
    }
    *action = (GuestSigaction){ words[0], words[1], words[2],
                                words[3] | (uint64_t)words[4] << 32 };
    return true;
}

static bool write_action(uint64_t to, bool narrow,
                         const GuestSigaction *action)
{
    uint32_t words[5] = { action->handler, action->flags, action->restorer,
                          action->mask, action->mask >> 32 };

    return narrow ? guest_write(to, words, sizeof(words))
                  : guest_write(to, action, sizeof(*action));
}

int64_t signal_sigaction(UserThread *thread, int number, uint64_t act,
                         uint64_t old, uint64_t size)
{
    UserProcess *process = thread->process;
    GuestSigaction now;
    GuestSigaction new;

    if (size != 8 || number < 1 || number > GUEST_NSIG) {
        return -EINVAL;
    }
    if (act && (number == SIGKILL || number == SIGSTOP)) {
        return -EINVAL;
    }
    if (act && !read_action(act, thread->narrow, &new)) {
        return -EFAULT;
    }
    g_mutex_lock(&process->signal_lock);
    now = process->actions[number];
    if (act) {
        new.mask &= ~UNBLOCKABLE;
        process->actions[number] = new;
        signal_install(process, number);
    }
    g_mutex_unlock(&process->signal_lock);
    return old && !write_action(old, thread->narrow, &now) ? -EFAULT : 0;
}

int64_t signal_sigprocmask(UserThread *thread, int how, uint64_t set,
                           uint64_t old, size_t size)
{
    uint64_t before = thread->blocked;
    uint64_t bits = 0;

    if (set) {
        if (!guest_read(set, &bits, size)) {
            return -EFAULT;
        }
        switch (how) {
        case SIG_BLOCK:
            signal_set_mask(thread, before | bits);
            break;
        case SIG_UNBLOCK:
            signal_set_mask(thread, before & ~bits);
            break;
        case SIG_SETMASK:
            signal_set_mask(thread,
                            size < 8 ? (before >> 32 << 32) | bits : bits);
            break;
        default:
            return -EINVAL;
        }
    }
    return old && !guest_write(old, &before, size) ? -EFAULT : 0;
}

int64_t signal_sigaltstack(UserThread *thread, uint64_t ss, uint64_t old)
{
    bool narrow = thread->narrow;
    GuestStack stack;
    uint8_t now[STACK_MOST];

    signal_put_stack(thread, now, narrow);
    if (ss) {
        if (!signal_get_stack(ss, narrow, &stack)) {
            return -EFAULT;
        }
        if (signal_on_altstack(thread, thread->cpu->usd_base)) {
            return -EPERM;
        }
        if (stack.flags & ~(SS_DISABLE | SS_ONSTACK | (int)(1u << 31))) {
            return -EINVAL;
        }
        if (stack.flags & SS_DISABLE) {
            thread->altstack.size = 0;
        } else {
            if (stack.size < GUEST_MINSIGSTKSZ) {
                return -ENOMEM;
            }
            thread->altstack.sp = stack.sp;
            thread->altstack.size = stack.size;
            thread->altstack.flags = stack.flags & (int)(1u << 31);
        }
    }
    return old && !guest_write(old, now, narrow ? 12 : STACK_MOST) ? -EFAULT
                                                                   : 0;
}

int64_t signal_sigsuspend(UserThread *thread, uint64_t mask)
{
    uint64_t bits;

    if (!guest_read(mask, &bits, 8)) {
        return -EFAULT;
    }
    bits &= ~(SYNCHRONOUS | UNBLOCKABLE);
    thread->suspend_saved = thread->blocked;
    thread->suspended = true;
    thread->blocked = bits;
    safe_syscall(SYS_rt_sigsuspend, (uint64_t)&bits, 8, 0, 0, 0, 0);
    return RESTART_NEVER;
}
