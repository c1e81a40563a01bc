/*
 * Coroutines: makecontext, setcontext, swapcontext, freecontext, and the fast
 * getcontext.  A context owns hardware stacks; its key inside the process is
 * the upper bound of its data stack.
 *
 * The register and chain arrays of a context that does not run are parked in
 * an E2kCpu of its own; switching exchanges them with the thread's CPU.
 *
 * Source: shared facts "linux/abi.md" section 7.3.
 */
#include <errno.h>
#include <string.h>

#include "linux-user/hw-stack.h"
#include "linux-user/signal.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"

enum {
    UC_LINK = 8,         /* 4 in 32-bit mode */
    UC_STACK = 16,       /* 8 */
    UC_MCONTEXT = 40,    /* these three: 16 less */
    UC_SIGMASK = 1616,
    UC_EXTRA = 1744,
    MC_SBR = 32,
    MC_PCSP_LO = 72,
    MC_PCSP_HI = 80,
    EXTRA_FPCR = 12,
    CR1_PM_BIT = 57,
};

struct UserContext {
    uint64_t key;
    E2kCpu *parked;       /* state and stacks while it does not run */
    SignalRecord *records;
    uint64_t stack_low, stack_high;
    uint64_t link_at;     /* guest address of its uc_link member */
    bool busy;
    bool fresh;           /* has not run yet */
};

static void context_free(gpointer data)
{
    UserContext *context = data;

    cpu_free(context->parked);
    g_free(context);
}

/* Exchanges everything that belongs to a flow of control. */
static void exchange(E2kCpu *a, E2kCpu *b)
{
    E2kCpu old_a;

    hw_stack_copy_state(&old_a, a);
    hw_stack_copy_state(a, b);
    hw_stack_copy_state(b, &old_a);
    /* What belongs to the thread, not to the flow. */
    memcpy(a->g, old_a.g, sizeof(a->g));
    memcpy(a->g_tags, old_a.g_tags, sizeof(a->g_tags));
    a->upsr = old_a.upsr;
    a->syscall_entry = old_a.syscall_entry;
}

static UserContext *current_context(UserThread *thread)
{
    UserProcess *process = thread->process;

    if (!thread->context) {
        UserContext *context = g_new0(UserContext, 1);

        context->key = thread->stack_high;
        context->busy = true;
        context->stack_low = thread->stack_low;
        context->stack_high = thread->stack_high;
        thread->context = context;
        g_hash_table_insert(process->contexts, &context->key, context);
    }
    return thread->context;
}

/* ucontext as if its three last parts stood where 64-bit mode has them. */
static uint64_t wide_ucp(const UserThread *thread, uint64_t ucp)
{
    return thread->process->is_32bit ? ucp - 16 : ucp;
}

/* mask, key, chain position and FPU words of the running flow. */
static bool save_ucontext(UserThread *thread, uint64_t ucp, uint64_t key,
                          bool frames)
{
    E2kCpu *cpu = thread->cpu;
    uint64_t wide = wide_ucp(thread, ucp);
    uint64_t mc = wide + UC_MCONTEXT;
    uint64_t extra = wide + UC_EXTRA;
    uint64_t ind = (uint64_t)(cpu->frame - cpu->frames) * 32;
    uint64_t pcsp[2] = { cpu->pcsp_base | UINT64_C(3) << 59,
                         (ind ? ind - 32 : 0) | cpu->pcsp_size << 32 };
    uint32_t fpu[3] = { cpu->fpcr, cpu->fpsr, cpu->pfpfr };
    const ChainFrame *frame = cpu->frame;

    return guest_write(wide + UC_SIGMASK, &thread->blocked, 8) &&
           guest_write(mc + MC_SBR, &key, 8) &&
           guest_write(mc + MC_PCSP_LO, pcsp, 16) &&
           guest_write(extra + EXTRA_FPCR, fpu, 12) &&
           (!frames || guest_write(mc + 8, &frame->cr0_hi, 24));
}

int64_t context_get(UserThread *thread, uint64_t ucp, uint64_t size)
{
    UserProcess *process = thread->process;
    uint64_t key;

    if (size != 8) {
        return -EINVAL;
    }
    g_mutex_lock(&process->contexts_lock);
    key = current_context(thread)->key;
    g_mutex_unlock(&process->contexts_lock);
    return save_ucontext(thread, ucp, key, false) ? 0 : -EFAULT;
}

/* Gives the context its entry frame: func above a trampoline. */
static void prepare(UserContext *context, UserThread *thread, uint64_t func,
                    const uint8_t *args, uint64_t args_size, uint64_t sp)
{
    E2kCpu *cpu = context->parked;

    cpu->win = cpu->regs;
    cpu->win_tags = cpu->reg_tags;
    cpu->frame = cpu->frames + 1;
    memset(cpu->frames, 0, 2 * sizeof(ChainFrame));
    cpu->frame->cr0_hi = TRAMPOLINE_CONTEXT;
    cpu->frame->cr1_lo = UINT64_C(1) << CR1_PM_BIT;
    cpu->wsz = 4;
    cpu->psize = 4;
    cpu->wfx = true;
    memset(cpu->win, 0, 8 * sizeof(RegSlot));
    memset(cpu->win_tags, 0, 8);
    for (uint64_t i = 0; i < 8 && 8 * i < args_size; i++) {
        cpu->win[i].lo = ldq_le_p(args + 8 * i);
    }
    cpu->usd_base = sp;
    cpu->usd_size = sp - context->stack_low;
    cpu->sbr = context->stack_high;
    cpu->frame->cr1_hi = cpu->usd_size >> 4 << 36;
    cpu->ip = func & ~UINT64_C(7);
    cpu->direct_memory = true;
    cpu->direct_end = USER_LIMIT;
    process_start_state(thread->process, cpu);
}

int64_t sys_makecontext(UserThread *thread, const uint64_t *args)
{
    UserProcess *process = thread->process;
    uint64_t ucp = args[0];
    uint64_t size = args[2];
    uint64_t wide = wide_ucp(thread, ucp);
    bool narrow = process->is_32bit;
    uint8_t stack[24];
    uint64_t stack_at;
    uint64_t stack_size;
    g_autofree uint8_t *values = NULL;
    UserContext *context;
    uint64_t low;
    uint64_t high;
    uint64_t frame;
    uint64_t out[3];

    if (args[4] != 8) {
        return -EINVAL;
    }
    if (!guest_read(ucp + (narrow ? 8 : UC_STACK), stack,
                    narrow ? 12 : sizeof(stack))) {
        return -EFAULT;
    }
    stack_at = narrow ? ldl_le_p(stack) : ldq_le_p(stack);
    stack_size = narrow ? ldl_le_p(stack + 8) : ldq_le_p(stack + 16);
    low = (stack_at + 255) & ~UINT64_C(255);
    high = (stack_at + stack_size) & ~UINT64_C(255);
    frame = (size + 15) & ~UINT64_C(15);
    if (high <= low || high > USER_LIMIT || frame > high - low) {
        return -EINVAL;
    }
    values = g_malloc0(frame + 64);
    if (!guest_read(args[3], values, size) ||
        !guest_write(high - frame, values, frame)) {
        return -EFAULT;
    }
    g_mutex_lock(&process->contexts_lock);
    context = g_hash_table_lookup(process->contexts, &high);
    if (context && context->busy) {
        g_hash_table_steal(process->contexts, &high);
        context = NULL;
    }
    if (!context) {
        UserThread *holder = thread_new(process, NULL);

        if (!holder) {
            g_mutex_unlock(&process->contexts_lock);
            return -ENOMEM;
        }
        context = g_new0(UserContext, 1);
        context->key = high;
        /* Only the CPU of the temporary thread is wanted. */
        context->parked = g_steal_pointer(&holder->cpu);
        thread_free(holder);
        context->parked->opaque = NULL;
        g_hash_table_insert(process->contexts, &context->key, context);
    }
    context->stack_low = low;
    context->stack_high = high;
    context->link_at = ucp + (narrow ? 4 : UC_LINK);
    context->fresh = true;
    prepare(context, thread, args[1], values, size, high - frame);
    out[0] = context->parked->ip;
    out[1] = context->parked->frame->cr1_lo;
    out[2] = context->parked->frame->cr1_hi;
    g_mutex_unlock(&process->contexts_lock);
    if (!guest_write(wide + UC_SIGMASK, &(uint64_t){ 0 }, 8) ||
        !guest_write(wide + UC_MCONTEXT + MC_SBR, &high, 8) ||
        !guest_write(wide + UC_MCONTEXT + 8, out, 24) ||
        !guest_write(wide + UC_EXTRA + EXTRA_FPCR,
                     (uint32_t[]){ USER_FPCR, USER_FPSR, USER_PFPFR }, 12)) {
        return -EFAULT;
    }
    return 0;
}

/*
 * If the flow now stands elsewhere than the saved position (the frame that
 * the libc function returns to), goes there like longjmp with value 0.
 */
static void jump_to_saved(E2kCpu *cpu, uint64_t ip, const uint64_t pcsp[2])
{
    uint64_t address = (pcsp[0] & UINT64_C(0xffffffffffff)) +
                       (uint32_t)pcsp[1] + 32;
    uint64_t index = (address - cpu->pcsp_base) / 32;
    uint64_t now = (uint64_t)(cpu->frame - cpu->frames);
    unsigned wbs;

    if (address < cpu->pcsp_base || index > now || index == 0 ||
        (index == now && cpu->frame->cr0_hi == ip)) {
        return;
    }
    while (cpu->frame > cpu->frames + index) {
        hw_stack_pop(cpu);
    }
    wbs = extract64(cpu->frame->cr1_lo, 33, 7);
    cpu->frame->cr0_hi = ip;
    hw_stack_pop(cpu);
    cpu->win[2 * wbs].lo = 0;
    cpu->win_tags[2 * wbs] = 0;
}

/* Makes the context of ucp the running one.  The lock is not held. */
static int64_t switch_to(UserThread *thread, uint64_t ucp)
{
    UserProcess *process = thread->process;
    E2kCpu *cpu = thread->cpu;
    uint64_t wide = wide_ucp(thread, ucp);
    UserContext *old;
    UserContext *new;
    uint64_t key;
    uint64_t mask;
    uint64_t ip;
    uint64_t pcsp[2];
    uint32_t fpu[3];

    if (!guest_read(wide + UC_MCONTEXT + MC_SBR, &key, 8) ||
        !guest_read(wide + UC_MCONTEXT + 8, &ip, 8) ||
        !guest_read(wide + UC_MCONTEXT + MC_PCSP_LO, pcsp, 16) ||
        !guest_read(wide + UC_SIGMASK, &mask, 8) ||
        !guest_read(wide + UC_EXTRA + EXTRA_FPCR, fpu, 12)) {
        return -EFAULT;
    }
    g_mutex_lock(&process->contexts_lock);
    old = current_context(thread);
    new = g_hash_table_lookup(process->contexts, &key);
    if (!new) {
        g_mutex_unlock(&process->contexts_lock);
        return -ESRCH;
    }
    if (new != old) {
        if (new->busy) {
            g_mutex_unlock(&process->contexts_lock);
            return -EBUSY;
        }
        /* What swapcontext returns when the old flow is resumed. */
        syscall_set_result(thread, 0);
        if (!old->parked) {
            old->parked = g_steal_pointer(&new->parked);
        } else {
            E2kCpu *spare = old->parked;

            old->parked = new->parked;
            new->parked = spare;
        }
        exchange(cpu, old->parked);
        old->records = thread->records;
        thread->records = new->records;
        new->records = NULL;
        old->busy = false;
        new->busy = true;
        thread->context = new;
        thread->stack_low = new->stack_low;
        thread->stack_high = new->stack_high;
    }
    g_mutex_unlock(&process->contexts_lock);
    cpu->fpcr = fpu[0];
    cpu->fpsr = fpu[1];
    cpu->pfpfr = fpu[2];
    signal_set_mask(thread, mask);
    if (new->fresh) {
        new->fresh = false;
    } else {
        jump_to_saved(cpu, ip, pcsp);
    }
    return RESULT_NONE;
}

int64_t sys_setcontext(UserThread *thread, const uint64_t *args)
{
    return args[1] == 8 ? switch_to(thread, args[0]) : -EINVAL;
}

int64_t sys_swapcontext(UserThread *thread, const uint64_t *args)
{
    UserProcess *process = thread->process;
    uint64_t key;

    if (args[2] != 8) {
        return -EINVAL;
    }
    g_mutex_lock(&process->contexts_lock);
    key = current_context(thread)->key;
    g_mutex_unlock(&process->contexts_lock);
    if (!save_ucontext(thread, args[0], key, true)) {
        return -EFAULT;
    }
    return args[0] == args[1] ? 0 : switch_to(thread, args[1]);
}

int64_t sys_freecontext(UserThread *thread, const uint64_t *args)
{
    UserProcess *process = thread->process;
    UserContext *context;
    int64_t result = 0;
    uint64_t key;

    if (!guest_read(wide_ucp(thread, args[0]) + UC_MCONTEXT + MC_SBR, &key, 8)) {
        return -EFAULT;
    }
    g_mutex_lock(&process->contexts_lock);
    context = g_hash_table_lookup(process->contexts, &key);
    if (!context) {
        result = -ENOENT;
    } else if (context->busy) {
        result = -EBUSY;
    } else {
        g_hash_table_remove(process->contexts, &key);
        context_free(context);
    }
    g_mutex_unlock(&process->contexts_lock);
    return result;
}

/* The entry function has returned: go on with uc_link, or end the thread. */
void context_finish(UserThread *thread)
{
    uint64_t link = 0;

    if (thread->context) {
        guest_read(thread->context->link_at, &link,
                   thread->process->is_32bit ? 4 : 8);
    }
    if (!link || switch_to(thread, link) != RESULT_NONE) {
        thread_exit(thread, 0);
    }
}
