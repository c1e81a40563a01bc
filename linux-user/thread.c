/*
 * Creating and ending threads and processes: clone in its forms, fork, exit.
 *
 * A guest thread is a host thread; a guest fork is a host fork.  A new thread
 * gets its own register and chain arrays, with the window of the procedure
 * that made the call copied to their bottom, above a zero frame.
 *
 * Source: shared facts "linux/abi.md" section 7.2.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux-user/debug.h"
#include "linux-user/hw-stack.h"
#include "linux-user/ptrace.h"
#include "linux-user/signal.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"

enum {
    HOST_STACK_BYTES = 768 << 10,
    TLS_REGISTER = 13,
};

__thread UserThread *current_thread;

static uint64_t take_hw_stack(UserProcess *process)
{
    uint64_t base;

    g_mutex_lock(&process->threads_lock);
    base = process->next_hw_stack;
    process->next_hw_stack += PROC_STACK_BYTES + CHAIN_STACK_BYTES;
    if (process->next_hw_stack > HW_STACK_AREA_END) {
        process->next_hw_stack = HW_STACK_AREA;
    }
    g_mutex_unlock(&process->threads_lock);
    return base;
}

UserThread *thread_new(UserProcess *process, GError **error)
{
    UserThread *thread = g_new0(UserThread, 1);

    thread->process = process;
    thread->cpu = cpu_new(process->model, &user_cpu_ops, thread,
                          PROC_STACK_BYTES / 16, CHAIN_STACK_BYTES / 32);
    if (!thread->cpu) {
        g_free(thread);
        g_set_error(error, g_quark_from_static_string("process-error"), 0,
                    "cannot allocate a CPU's register stacks");
        return NULL;
    }
    thread->hw_stack = take_hw_stack(process);
    thread->cpu->psp_base = thread->hw_stack;
    thread->cpu->psp_size = PROC_STACK_BYTES;
    thread->cpu->pcsp_base = thread->hw_stack + PROC_STACK_BYTES;
    thread->cpu->pcsp_size = CHAIN_STACK_BYTES;
    thread->cpu->guest_base = 0;
    thread->cpu->direct_memory = true;
    thread->cpu->direct_end = USER_LIMIT;
    g_mutex_lock(&process->threads_lock);
    g_ptr_array_add(process->threads, thread);
    g_mutex_unlock(&process->threads_lock);
    return thread;
}

void thread_free(UserThread *thread)
{
    UserProcess *process = thread->process;

    g_mutex_lock(&process->threads_lock);
    g_ptr_array_remove_fast(process->threads, thread);
    g_mutex_unlock(&process->threads_lock);
    signal_free_records(thread);
    cpu_free(thread->cpu);
    g_free(thread);
}

/* The child's CPU: the parent's state on stacks of its own. */
static void copy_cpu(E2kCpu *child, const E2kCpu *parent)
{
    E2kCpu own;
    size_t window = 2 * parent->wsz;

    hw_stack_copy_state(&own, child);
    hw_stack_copy_state(child, parent);
    child->regs = own.regs;
    child->reg_tags = own.reg_tags;
    child->n_regs = own.n_regs;
    child->regs_bottom = own.regs;
    child->frames = own.frames;
    child->n_frames = own.n_frames;
    child->frames_bottom = own.frames;
    child->psp_base = own.psp_base;
    child->psp_size = own.psp_size;
    child->pcsp_base = own.pcsp_base;
    child->pcsp_size = own.pcsp_size;
    child->regs_mapped = own.regs_mapped;
    child->frames_mapped = own.frames_mapped;
    child->win = own.regs;
    child->win_tags = own.reg_tags;
    child->frame = own.frames;
    memcpy(child->win, parent->win, window * sizeof(RegSlot));
    memcpy(child->win_tags, parent->win_tags, window);
    memset(child->frame, 0, sizeof(*child->frame));
    child->lock.armed = false;
}

typedef struct ThreadStart {
    UserThread *thread;
    uint64_t flags;
    uint64_t parent_tid;
    uint64_t child_tid;
    GMutex lock;
    GCond ready;
    int tid;
    uint64_t mask;
} ThreadStart;

static void finish_thread(UserThread *thread)
{
    static const uint32_t zero;

    robust_list_release(thread);
    if (thread->clear_child_tid) {
        guest_write(thread->clear_child_tid, &zero, 4);
        syscall(SYS_futex, thread->clear_child_tid, FUTEX_WAKE, INT32_MAX,
                NULL, NULL, 0);
    }
}

static void *thread_main(void *data)
{
    ThreadStart *start = data;
    UserThread *thread = start->thread;
    uint64_t mask = start->mask;

    current_thread = thread;
    thread->tid = (int)syscall(SYS_gettid);
    if (start->flags & CLONE_CHILD_SETTID) {
        guest_write(start->child_tid, &thread->tid, 4);
    }
    if (start->flags & CLONE_PARENT_SETTID) {
        guest_write(start->parent_tid, &thread->tid, 4);
    }
    g_mutex_lock(&start->lock);
    start->tid = thread->tid;
    g_cond_signal(&start->ready);
    g_mutex_unlock(&start->lock);
    signal_set_mask(thread, mask);
    if (!sigsetjmp(thread->exit_jump, 0)) {
        ptrace_forked(thread, 0);
        thread_loop(thread);
    }
    /* Signals stay out while the thread is taken apart. */
    mask = ~UINT64_C(0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    finish_thread(thread);
    current_thread = NULL;
    thread_free(thread);
    return NULL;
}

static int64_t start_thread(UserThread *parent, UserThread *child,
                            ThreadStart *start)
{
    pthread_attr_t attributes;
    uint64_t all = ~UINT64_C(0);
    pthread_t host;
    int error;

    g_mutex_init(&start->lock);
    g_cond_init(&start->ready);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, HOST_STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    start->mask = parent->blocked;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
    error = pthread_create(&host, &attributes, thread_main, start);
    pthread_attr_destroy(&attributes);
    if (error == 0) {
        g_mutex_lock(&start->lock);
        while (!start->tid) {
            g_cond_wait(&start->ready, &start->lock);
        }
        g_mutex_unlock(&start->lock);
    }
    signal_set_mask(parent, parent->blocked);
    g_cond_clear(&start->ready);
    g_mutex_clear(&start->lock);
    if (error) {
        thread_free(child);
        return -error;
    }
    return start->tid;
}

static int64_t clone_thread(UserThread *thread, uint64_t flags,
                            uint64_t stack_low, uint64_t stack_high,
                            uint64_t parent_tid, uint64_t child_tid,
                            uint64_t tls)
{
    UserThread *child = thread_new(thread->process, NULL);
    ThreadStart start = { .flags = flags, .parent_tid = parent_tid,
                          .child_tid = child_tid };
    int64_t tid;

    if (!child) {
        return -EAGAIN;
    }
    copy_cpu(child->cpu, thread->cpu);
    child->stack_low = stack_high ? stack_low : thread->stack_low;
    child->stack_high = stack_high ? stack_high : thread->stack_high;
    if (stack_high) {
        child->cpu->usd_base = stack_high;
        child->cpu->usd_size = stack_high - stack_low;
        child->cpu->sbr = stack_high;
    }
    if (flags & CLONE_SETTLS) {
        child->cpu->g[TLS_REGISTER].lo = tls;
        child->cpu->g_tags[TLS_REGISTER] = 0;
    }
    if (flags & CLONE_CHILD_CLEARTID) {
        child->clear_child_tid = child_tid;
    }
    syscall_set_result(child, 0);
    start.thread = child;
    ptrace_forking(thread, false, 0);
    ptrace_clone(thread, child);
    tid = start_thread(thread, child, &start);
    if (tid > 0) {
        ptrace_forked(thread, (int)tid);
    }
    return tid;
}

/*
 * fork() copies memory as it is: all locks are held meanwhile, in the order of
 * the README, so that no structure is half changed and no lock is another
 * thread's in the child.  (The C library does the same for its own.)  The gate
 * keeps others from taking them again and again meanwhile: they are not fair.
 */
static void fork_begin(UserProcess *process)
{
    g_mutex_lock(&process->fork_gate);
    process->forking = true;
    debug_fork_begin();
    g_mutex_lock(&process->contexts_lock);
    g_mutex_lock(&process->threads_lock);
    g_mutex_lock(&process->signal_lock);
    ptrace_fork_begin();
    aio_fork_begin();
    engine_fork_begin();
    address_map_fork_begin(process->map);
}

static void fork_end(UserThread *thread, bool child)
{
    UserProcess *process = thread->process;

    address_map_fork_end(process->map);
    engine_fork_end(child ? thread->cpu : NULL);
    aio_fork_end();
    ptrace_fork_end(child);
    g_mutex_unlock(&process->signal_lock);
    g_mutex_unlock(&process->threads_lock);
    g_mutex_unlock(&process->contexts_lock);
    debug_fork_end(child);
    process->forking = false;
    g_mutex_unlock(&process->fork_gate);
}

/*
 * In a forked child: this thread is the only one.  What the others had stays
 * allocated: one of them may have been making or freeing it just then.
 */
static void become_only_thread(UserThread *thread)
{
    UserProcess *process = thread->process;

    process->parking = 0;
    g_ptr_array_set_size(process->threads, 0);
    g_ptr_array_add(process->threads, thread);
    thread->tid = (int)syscall(SYS_gettid);
    thread->clear_child_tid = 0;
    thread->robust_list = 0;
    thread->signal_pending = 0;
}

/*
 * A copy of the process that ends with the given signal.  The C library's
 * fork() knows SIGCHLD only; a bare clone() does not prepare its locks, which
 * is right only while nobody else can hold them.
 */
static pid_t make_process(UserThread *thread, int exit_signal)
{
    if (exit_signal == SIGCHLD || thread->process->threads->len > 1 ||
        debug_active()) {
        return fork();
    }
    return (pid_t)syscall(SYS_clone, exit_signal, NULL, NULL, NULL, NULL);
}

/*
 * fork and everything like it.  A vfork parent waits until the child has
 * its own program or is gone: the write end of a close-on-exec pipe says so.
 */
static int64_t fork_process(UserThread *thread, uint64_t flags,
                            uint64_t stack_low, uint64_t stack_high,
                            uint64_t parent_tid, uint64_t child_tid,
                            uint64_t tls, int exit_signal)
{
    int gate[2] = { -1, -1 };
    pid_t child;

    if ((flags & CLONE_VFORK) && pipe2(gate, O_CLOEXEC) < 0) {
        return -errno;
    }
    ptrace_forking(thread, flags & CLONE_VFORK, exit_signal);
    fork_begin(thread->process);
    child = make_process(thread, exit_signal);
    if (child < 0) {
        int error = errno;

        fork_end(thread, false);
        if (gate[0] >= 0) {
            close(gate[0]);
            close(gate[1]);
        }
        return -error;
    }
    fork_end(thread, child == 0);
    if (child == 0) {
        become_only_thread(thread);
        if (gate[0] >= 0) {
            close(gate[0]);
        }
        if (stack_high) {
            thread->cpu->usd_base = stack_high;
            thread->cpu->usd_size = stack_high - stack_low;
            thread->cpu->sbr = stack_high;
            thread->stack_low = stack_low;
            thread->stack_high = stack_high;
        }
        if (flags & CLONE_SETTLS) {
            thread->cpu->g[TLS_REGISTER].lo = tls;
            thread->cpu->g_tags[TLS_REGISTER] = 0;
        }
        if (flags & CLONE_CHILD_SETTID) {
            guest_write(child_tid, &thread->tid, 4);
        }
        if (flags & CLONE_CHILD_CLEARTID) {
            thread->clear_child_tid = child_tid;
        }
        ptrace_forked(thread, 0);
        return 0;
    }
    if (flags & CLONE_PARENT_SETTID) {
        int tid = child;

        guest_write(parent_tid, &tid, 4);
    }
    ptrace_forked(thread, child);
    if (gate[0] >= 0) {
        char byte;

        close(gate[1]);
        while (read(gate[0], &byte, 1) < 0 && errno == EINTR) {
        }
        close(gate[0]);
        ptrace_vfork_done(thread, child);
    }
    return child;
}

int64_t thread_clone(UserThread *thread, uint64_t flags, uint64_t stack_low,
                     uint64_t stack_high, uint64_t parent_tid,
                     uint64_t child_tid, uint64_t tls, int exit_signal,
                     uint64_t pidfd)
{
    const uint64_t thread_flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
    const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                CLONE_NEWNET;

    if (stack_high && (stack_high > USER_LIMIT || stack_low >= stack_high)) {
        return -ENOMEM;
    }
    stack_low = (stack_low + 15) & ~UINT64_C(15);
    stack_high &= ~UINT64_C(15);
    if (flags & CLONE_THREAD) {
        if ((flags & thread_flags) != thread_flags) {
            return -EINVAL;
        }
        return clone_thread(thread, flags, stack_low, stack_high, parent_tid,
                            child_tid, tls);
    }
    if ((flags & namespaces) || (flags & CLONE_PIDFD) || pidfd) {
        return -EINVAL;
    }
    /* Shared memory without CLONE_THREAD only works for vfork-like use. */
    if ((flags & CLONE_VM) && !(flags & CLONE_VFORK)) {
        return -EINVAL;
    }
    return fork_process(thread, flags, stack_low, stack_high, parent_tid,
                        child_tid, tls, exit_signal);
}

int64_t sys_fork(UserThread *thread, const uint64_t *args)
{
    return thread_clone(thread, 0, 0, 0, 0, 0, 0, SIGCHLD, 0);
}

int64_t sys_vfork(UserThread *thread, const uint64_t *args)
{
    return thread_clone(thread, CLONE_VFORK | CLONE_VM, 0, 0, 0, 0, 0, SIGCHLD,
                        0);
}

int64_t sys_clone(UserThread *thread, const uint64_t *args)
{
    uint64_t high = args[1];
    uint64_t low = 0;

    if (high) {
        low = address_map_start(thread->process->map, high - 1);
        if (!low) {
            return -EFAULT;
        }
        low = MAX(low, high > UINT32_MAX ? high - UINT32_MAX : 0);
    }
    return thread_clone(thread, args[0] & ~UINT64_C(0xff), low, high, args[2],
                        args[3], args[4], (int)args[0] & 0xff, 0);
}

int64_t sys_clone2(UserThread *thread, const uint64_t *args)
{
    uint64_t flags = args[0];

    if (!flags) {
        flags = SIGCHLD | CLONE_VM | CLONE_FS | CLONE_FILES;
    }
    if (args[1] && args[2] > UINT32_MAX) {
        return -EINVAL;
    }
    return thread_clone(thread, flags & ~UINT64_C(0xff), args[1],
                        args[1] ? args[1] + args[2] : 0, args[3], args[4],
                        args[5], (int)flags & 0xff, 0);
}

int64_t sys_clone3(UserThread *thread, const uint64_t *args)
{
    /* flags pidfd child_tid parent_tid exit_signal stack stack_size tls */
    uint64_t a[8];

    if (args[1] < sizeof(a) || args[1] > USER_PAGE) {
        return -EINVAL;
    }
    if (!guest_read(args[0], a, sizeof(a))) {
        return -EFAULT;
    }
    return thread_clone(thread, a[0], a[5], a[5] ? a[5] + a[6] : 0, a[3], a[2],
                        a[7], (int)a[4], a[0] & CLONE_PIDFD ? a[1] : 0);
}

void thread_exit(UserThread *thread, int status)
{
    ptrace_exiting(thread, status << 8);
    if (thread->process->threads->len > 1) {
        if (thread->tid == getpid()) {
            /* The first thread leaves; the others go on. */
            finish_thread(thread);
            syscall(SYS_exit, status);
        }
        siglongjmp(thread->exit_jump, 1);
    }
    process_exit(thread->process, status);
}
