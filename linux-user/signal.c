/*
 * Guest signals; the model is described in signal.h.
 *
 *   host signal -> host_handler(): note it, block all, stop the CPU
 *   run loop    -> signal_deliver_pending(): frame, or default action
 *   handler returns to TRAMPOLINE_SIGRETURN -> signal_return()
 */
#include "linux-user/signal-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/core-file.h"
#include "linux-user/debug.h"
#include "linux-user/ptrace.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    FRAME_BYTES = 2040,
    FRAME_INFO = 64,
    FRAME_UCONTEXT = 192,
    FRAME_RETURN_IP = 2032,
    UC_STACK = 16,       /* 8 in 32-bit mode */
    UC_SHIFT_32 = 16,    /* by which the others stand earlier there */
    UC_MCONTEXT = 40,
    UC_SIGMASK = 1616,
    UC_EXTRA = 1744,
    GUEST_SA_SIGINFO = 4,
    GUEST_SA_ONSTACK = 0x08000000,
    GUEST_SA_RESTART = 0x10000000,
    GUEST_SA_NODEFER = 0x40000000,
    CR1_PM_BIT = 57,
};
#define GUEST_SA_RESETHAND UINT64_C(0x80000000)

enum {
    STATE_PSP_HI = 0x07, STATE_PSP_LO = 0x09,
    STATE_PCSP_HI = 0x0d, STATE_PCSP_LO = 0x0f,
    STATE_USD_HI = 0x2c, STATE_USD_LO = 0x2d,
};

/*
 * What belongs to the interrupted flow of control, as one list: everything
 * else of a CPU is the process's or the thread's and stays as it is.
 */
#define FLOW_FIELDS(F)                                                         \
    F(win) F(win_tags) F(frame) F(ip) F(pf) F(lcnt) F(ecnt) F(pcnt)            \
    F(strmd) F(ldovl) F(vlc) F(over) F(ldmc) F(semc) F(wsz) F(psize)           \
    F(wfx) F(wdbl) F(rbs) F(rsz) F(rcur) F(psz) F(pcur) F(usd_base)            \
    F(usd_size) F(sbr) F(ilcr_lcnt) F(ilcr_ecnt) F(ilcr_pcnt)                  \
    F(syscall_entry) F(syscall_wbs)

typedef struct Flow {
#define F(field) __typeof__(((E2kCpu *)NULL)->field) field;
    FLOW_FIELDS(F)
#undef F
    uint64_t ctpr[3];
    RegSlot g[16];           /* %g16 to %g31 */
    uint8_t g_tags[16];
    __typeof__(((E2kCpu *)NULL)->resume) resume;
    AauState aau;
} Flow;

static void flow_save(Flow *flow, const E2kCpu *cpu)
{
#define F(field) flow->field = cpu->field;
    FLOW_FIELDS(F)
#undef F
    memcpy(flow->ctpr, cpu->ctpr, sizeof(flow->ctpr));
    memcpy(flow->g, cpu->g + 16, sizeof(flow->g));
    memcpy(flow->g_tags, cpu->g_tags + 16, sizeof(flow->g_tags));
    flow->resume = cpu->resume;
    flow->aau = cpu->aau;
}

static void flow_restore(E2kCpu *cpu, const Flow *flow)
{
#define F(field) cpu->field = flow->field;
    FLOW_FIELDS(F)
#undef F
    memcpy(cpu->ctpr, flow->ctpr, sizeof(flow->ctpr));
    memcpy(cpu->g + 16, flow->g, sizeof(flow->g));
    memcpy(cpu->g_tags + 16, flow->g_tags, sizeof(flow->g_tags));
    cpu->resume = flow->resume;
    cpu->aau = flow->aau;
    cpu->lock.armed = false;
}

struct SignalRecord {
    SignalRecord *next;
    Flow saved;              /* the interrupted state */
    uint64_t blocked;        /* mask to come back to */
    uint64_t frame;          /* guest address of the rt_sigframe */
    bool siginfo;            /* the handler may have edited the frame */
    bool restart;            /* make the interrupted system call again */
};

static bool default_ignores(int number)
{
    return SIGBIT(number) & (SIGBIT(SIGCHLD) | SIGBIT(SIGCONT) |
                             SIGBIT(SIGURG) | SIGBIT(SIGWINCH));
}

static bool default_stops(int number)
{
    return SIGBIT(number) & (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) |
                             SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU));
}

/* ------------------------------------------------------------------ */
/* Default actions */

static void die_of(UserThread *thread, const siginfo_t *info,
                   const char *what)
{
    int number = info->si_signo;
    HostSigaction action = { .handler = (void *)SIG_DFL };
    uint64_t mask = ~SIGBIT(number);

    if (signal_dumps(number)) {
        g_autofree char *why =
            g_strdup_printf("%s%s%s", signal_name(number),
                            what ? ": " : "", what ? what : "");

        thread_dump(thread, why);
        core_file_write(thread, info);
    }
    debug_exiting(number, true);
    ptrace_exiting(thread, number);
    robust_list_release_all(thread->process);
    fflush(NULL);
    syscall(SYS_rt_sigaction, number, &action, NULL, 8);
    syscall(SYS_tgkill, getpid(), thread->tid, number);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    _exit(128 + number);
}

/* ------------------------------------------------------------------ */
/* Frames */

static uint64_t state_of(E2kCpu *cpu, unsigned number)
{
    uint64_t value = 0;

    cpu_read_state(cpu, number, &value);
    return value;
}

/* CR1.lo and CR1.hi that describe the running procedure. */
static uint64_t cr1_lo_of(const E2kCpu *cpu, unsigned wbs)
{
    return (uint64_t)cpu->wfx << 25 | (uint64_t)cpu->psize << 26 |
           (uint64_t)wbs << 33 | (uint64_t)cpu->cui << 40 |
           (uint64_t)cpu->psr << CR1_PM_BIT;
}

static uint64_t cr1_hi_of(const E2kCpu *cpu)
{
    return (cpu_get_br(cpu) & 0xfffffff) | (uint64_t)cpu->wdbl << 35 |
           (cpu->usd_size >> 4) << 36;
}

static void fill_frame(UserThread *thread, uint8_t *frame,
                       const siginfo_t *info, uint64_t old_mask)
{
    E2kCpu *cpu = thread->cpu;
    bool narrow = thread->process->is_32bit;
    uint8_t *uc = frame + FRAME_UCONTEXT;
    uint8_t *parts = uc - (narrow ? UC_SHIFT_32 : 0);
    uint8_t *mc = parts + UC_MCONTEXT;
    uint8_t *extra = parts + UC_EXTRA;
    uint8_t stack[STACK_MOST];
    bool trap = info->si_code > 0 && (SIGBIT(info->si_signo) & SYNCHRONOUS);

    memset(frame, 0, FRAME_BYTES);
    signal_info_to_guest(info, frame + FRAME_INFO, narrow);
    signal_put_stack(thread, stack, narrow);
    memcpy(uc + (narrow ? 8 : UC_STACK), stack, narrow ? 12 : 24);
    stq_le_p(parts + UC_SIGMASK, old_mask);

    stq_le_p(mc, cpu->pf);
    stq_le_p(mc + 8, cpu->ip);
    stq_le_p(mc + 16, cr1_lo_of(cpu, cpu->wsz));
    stq_le_p(mc + 24, cr1_hi_of(cpu));
    stq_le_p(mc + 32, cpu->sbr);
    stq_le_p(mc + 40, state_of(cpu, STATE_USD_LO));
    stq_le_p(mc + 48, state_of(cpu, STATE_USD_HI));
    stq_le_p(mc + 56, state_of(cpu, STATE_PSP_LO));
    stq_le_p(mc + 64, state_of(cpu, STATE_PSP_HI));
    stq_le_p(mc + 72, state_of(cpu, STATE_PCSP_LO));
    stq_le_p(mc + 80, state_of(cpu, STATE_PCSP_HI));
    if (trap) {
        stq_le_p(mc + 112, cpu->ip);
        stq_le_p(mc + 264, UINT64_C(1) << (info->si_errno & 63));
        stq_le_p(mc + 416, (uint64_t)info->si_addr);
    }
    stl_le_p(extra, 92);
    stl_le_p(extra + 4, -1);
    stl_le_p(extra + 8, trap && info->si_errno == EXC_DATA_PAGE ? 1 : 0);
    stl_le_p(extra + 12, cpu->fpcr);
    stl_le_p(extra + 16, cpu->fpsr);
    stl_le_p(extra + 20, cpu->pfpfr);
    for (int i = 0; i < 3; i++) {
        stq_le_p(extra + 24 + 8 * i, trap ? cpu->ctpr[i] : 0);
    }
    stq_le_p(extra + 80, (uint64_t)(cpu->frame + 1 - cpu->frames) * 32);
    stq_le_p(extra + 88, (uint64_t)(cpu->win - cpu->regs) * 16);
    stq_le_p(frame + FRAME_RETURN_IP, cpu->ip);
}

/* Pushes the interrupted procedure and the trampoline; a fresh window. */
static void enter_handler(UserThread *thread, const GuestSigaction *action,
                          int number, uint64_t frame, uint64_t stack_low,
                          uint64_t stack_high)
{
    E2kCpu *cpu = thread->cpu;
    bool siginfo = action->flags & GUEST_SA_SIGINFO;

    cpu->frame[1] = (ChainFrame){
        .cr0_lo = cpu->pf, .cr0_hi = cpu->ip,
        .cr1_lo = cr1_lo_of(cpu, cpu->wsz), .cr1_hi = cr1_hi_of(cpu),
    };
    cpu->frame[2] = (ChainFrame){
        .cr0_hi = TRAMPOLINE_SIGRETURN,
        .cr1_lo = UINT64_C(1) << CR1_PM_BIT | UINT64_C(1) << 26,
        .cr1_hi = (frame - stack_low) >> 4 << 36,
    };
    cpu->frame += 2;
    cpu->win += 2 * cpu->wsz;
    cpu->win_tags += 2 * cpu->wsz;
    cpu->wsz = 4;
    cpu->psize = 2;
    cpu->wfx = true;
    cpu->wdbl = false;
    memset(cpu->win, 0, 8 * sizeof(RegSlot));
    memset(cpu->win_tags, 0, 8);
    cpu->win[0].lo = number;
    cpu->win[1].lo = frame + (siginfo ? FRAME_INFO
                                      : FRAME_UCONTEXT + UC_MCONTEXT -
                              (thread->process->is_32bit ? UC_SHIFT_32 : 0));
    cpu->win[2].lo = siginfo ? frame + FRAME_UCONTEXT : 0;
    memset(cpu->g + 16, 0, 16 * sizeof(RegSlot));
    memset(cpu->g_tags + 16, 0, 16);
    memset(cpu->ctpr, 0, sizeof(cpu->ctpr));
    cpu->usd_base = frame;
    cpu->usd_size = frame - stack_low;
    cpu->sbr = stack_high;
    cpu->resume.armed = false;
    cpu->ip = action->handler & ~UINT64_C(7);
}

static bool hw_stacks_have_room(const E2kCpu *cpu)
{
    return cpu->win + 2 * cpu->wsz + 32 < cpu->regs + cpu->n_regs &&
           cpu->frame + 3 < cpu->frames + cpu->n_frames;
}

static void deliver_to_handler(UserThread *thread,
                               const GuestSigaction *action,
                               const siginfo_t *info)
{
    E2kCpu *cpu = thread->cpu;
    int number = info->si_signo;
    uint64_t stack_low = thread->stack_low;
    uint64_t stack_high = thread->stack_high;
    uint64_t top = cpu->usd_base;
    uint64_t old_mask = thread->suspended ? thread->suspend_saved
                                          : thread->blocked;
    uint8_t frame[FRAME_BYTES];
    SignalRecord *record;
    bool restart = false;
    uint64_t address;

    if (signal_on_altstack(thread, top)) {
        stack_low = thread->altstack.sp;
        stack_high = thread->altstack.sp + thread->altstack.size;
    } else if ((action->flags & GUEST_SA_ONSTACK) && thread->altstack.size) {
        stack_low = thread->altstack.sp;
        stack_high = thread->altstack.sp + thread->altstack.size;
        top = stack_high;
    } else {
        stack_low = cpu->usd_base - cpu->usd_size;
        stack_high = cpu->sbr;
    }
    if (thread->restart) {
        restart = thread->restart == RESTART_ALWAYS ||
                  (thread->restart == RESTART_SYS &&
                   (action->flags & GUEST_SA_RESTART));
        if (!restart) {
            syscall_set_result(thread, -EINTR);
        }
        thread->restart = 0;
    }
    address = (top - FRAME_BYTES) & ~UINT64_C(15);
    fill_frame(thread, frame, info, old_mask);
    if (address < stack_low || address > top || !hw_stacks_have_room(cpu) ||
        !guest_write(address, frame, FRAME_BYTES)) {
        die_of(thread, &(siginfo_t){ .si_signo = SIGSEGV,
                                     .si_code = SI_KERNEL },
               "no room for a signal frame");
    }
    record = g_new(SignalRecord, 1);
    record->next = thread->records;
    flow_save(&record->saved, cpu);
    record->blocked = old_mask;
    record->frame = address;
    record->siginfo = action->flags & GUEST_SA_SIGINFO;
    record->restart = restart;
    thread->records = record;
    thread->suspended = false;
    thread->blocked |= action->mask & ~UNBLOCKABLE;
    if (!(action->flags & GUEST_SA_NODEFER)) {
        thread->blocked |= SIGBIT(number);
    }
    enter_handler(thread, action, number, address, stack_low, stack_high);
}

void signal_deliver(UserThread *thread, const siginfo_t *original, bool forced,
                    const char *what)
{
    UserProcess *process = thread->process;
    siginfo_t changed = *original;
    siginfo_t *info = &changed;
    int number = info->si_signo;
    GuestSigaction action;

    number = debug_signal(thread, number);
    if (number && ptrace_active(thread)) {
        number = ptrace_signal(thread, info);
    }
    if (!number) {
        return;
    }
    g_mutex_lock(&process->signal_lock);
    action = process->actions[number];
    if (action.handler > 1 && (action.flags & GUEST_SA_RESETHAND)) {
        process->actions[number].handler = 0;
        signal_install(process, number);
    }
    g_mutex_unlock(&process->signal_lock);
    if (thread->process->options.strace || log_on(LOG_STRACE)) {
        fprintf(stderr, "--- %s {si_code=%d, si_addr=%p} ---\n",
                signal_name(number), info->si_code, info->si_addr);
    }
    if (forced && (action.handler == 1 || (thread->blocked & SIGBIT(number)))) {
        action.handler = 0;
    }
    if (action.handler == 0) {
        if (default_stops(number)) {
            ptrace_group_stop(thread, number);
        } else if (forced || !default_ignores(number)) {
            siginfo_t last = *info;

            last.si_signo = number;
            die_of(thread, &last, what);
        }
    } else if (action.handler != 1) {
        deliver_to_handler(thread, &action, info);
    }
}

void signal_raise(UserThread *thread, int number, int code, uint64_t address,
                  int trap)
{
    siginfo_t info = { .si_signo = number, .si_errno = trap, .si_code = code };

    info.si_addr = (void *)address;
    signal_deliver(thread, &info, true, NULL);
    signal_set_mask(thread, thread->blocked);
}

void signal_deliver_pending(UserThread *thread)
{
    for (;;) {
        siginfo_t info;

        if (!thread->signal_pending) {
            return;
        }
        info = thread->pending_info;
        thread->signal_pending = 0;
        if ((thread->blocked & SIGBIT(info.si_signo)) &&
            !thread->suspended) {
            /* Only the unblockable-for-us four come here: send it again. */
            signal_host_mask(thread->blocked);
            continue;
        }
        signal_deliver(thread, &info, false, NULL);
        signal_host_mask(thread->blocked);
    }
}

void signal_return(UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;
    SignalRecord *record = thread->records;
    bool narrow = thread->process->is_32bit;
    uint64_t uc;
    uint64_t parts;
    uint8_t edited[16];
    GuestStack stack;
    bool restart;

    if (!record) {
        die_of(thread, &(siginfo_t){ .si_signo = SIGKILL }, NULL);
    }
    thread->records = record->next;
    flow_restore(cpu, &record->saved);
    uc = record->frame + FRAME_UCONTEXT;
    parts = uc - (narrow ? UC_SHIFT_32 : 0);
    if (!guest_read(parts + UC_SIGMASK, edited, 8) ||
        !guest_read(parts + UC_MCONTEXT + 8, edited + 8, 8) ||
        !signal_get_stack(uc + (narrow ? 8 : UC_STACK), narrow, &stack)) {
        g_free(record);
        signal_raise(thread, SIGSEGV, SI_KERNEL, 0, 0);
        return;
    }
    restart = record->restart;
    if (record->siginfo) {
        uint64_t ip = ldq_le_p(edited + 8) & CR0_HI_IP;

        if (ip != cpu->ip) {
            cpu->ip = ip;
            cpu->resume.armed = false;
            restart = false;
        }
    }
    if (!signal_on_altstack(thread, cpu->usd_base)) {
        thread->altstack.sp = stack.sp;
        thread->altstack.flags = stack.flags & ~(SS_ONSTACK | SS_DISABLE);
        thread->altstack.size = stack.flags & SS_DISABLE ? 0 : stack.size;
    }
    g_free(record);
    signal_set_mask(thread, ldq_le_p(edited));
    if (restart) {
        syscall_dispatch(thread);
    }
}

void signal_drop_records(UserThread *thread, const ChainFrame *frame)
{
    while (thread->records && thread->records->saved.frame >= frame) {
        SignalRecord *record = thread->records;

        thread->records = record->next;
        g_free(record);
    }
}

void signal_free_records(UserThread *thread)
{
    signal_drop_records(thread, NULL);
}
