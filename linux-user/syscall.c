/*
 * System calls: table, dispatch, restart, tracing, race-free host calls.
 * See syscall.h.
 */
#include "linux-user/syscall.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "linux-user/ptrace.h"
#include "linux-user/signal.h"
#include "linux-user/syscall-narrow.h"
#include "tcg/host-access.h"
#include "util/log.h"

typedef enum ArgKind {
    ARG_NONE,
    ARG_ANY,
    ARG_OFF,  /* a number of 64 bits that is never an address */
    ARG_INT,
    ARG_HEX,
    ARG_OCT,
    ARG_SIZE,
    ARG_FD,
    ARG_DIRFD,
    ARG_PTR,  /* NULL or below the user limit, else EFAULT */
    ARG_PATH, /* the same; traced as a string */
} ArgKind;

typedef struct SyscallEntry {
    const char *name;
    SyscallHandler *handler;
    int16_t host;
    uint8_t args[SYSCALL_ARGS];
} SyscallEntry;

#define NONE ARG_NONE
#define ANY ARG_ANY
#define OFF ARG_OFF
#define INT ARG_INT
#define HEX ARG_HEX
#define OCT ARG_OCT
#define SIZE ARG_SIZE
#define FD ARG_FD
#define DIRFD ARG_DIRFD
#define PTR ARG_PTR
#define PATH ARG_PATH
#define ARGS(...) { __VA_ARGS__ }

static const SyscallEntry syscall_table[] = {
#define SYSCALL(number, name, host, handler, args)                             \
    [number] = { #name, sys_##handler, host, args },
#include "linux-user/syscalls.def"
#undef SYSCALL
};

#undef NONE
#undef ANY
#undef OFF
#undef INT
#undef HEX
#undef OCT
#undef SIZE
#undef FD
#undef DIRFD
#undef PTR
#undef PATH
#undef ARGS

/* The call being answered, for the generic handlers. */
static __thread const SyscallEntry *current_entry;
static __thread uint64_t current_number;

/* ------------------------------------------------------------------ */
/* Guest memory */

bool guest_read(uint64_t from, void *to, size_t size_bytes)
{
    return from < USER_LIMIT && size_bytes <= USER_LIMIT - from &&
           host_copy_from(to, from, size_bytes);
}

bool guest_write(uint64_t to, const void *from, size_t size_bytes)
{
    return to < USER_LIMIT && size_bytes <= USER_LIMIT - to &&
           host_copy_to(to, from, size_bytes);
}

bool guest_words(UserThread *thread, uint64_t from, uint64_t *words,
                 unsigned count)
{
    uint32_t narrow[SYSCALL_ARGS];

    if (!thread->narrow) {
        return guest_read(from, words, 8 * count);
    }
    if (!guest_read(from, narrow, 4 * count)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        words[i] = narrow[i];
    }
    return true;
}

bool guest_timespec(UserThread *thread, uint64_t from, struct timespec *ts)
{
    int32_t narrow[2];

    if (!thread->narrow) {
        return guest_read(from, ts, sizeof(*ts));
    }
    if (!guest_read(from, narrow, sizeof(narrow))) {
        return false;
    }
    *ts = (struct timespec){ narrow[0], narrow[1] };
    return true;
}

char *guest_string(uint64_t address)
{
    enum { LIMIT = 1 << 20, STEP = 256 };
    GString *text = g_string_new(NULL);

    while (text->len < LIMIT) {
        char part[STEP];
        size_t size = STEP - (address & (STEP - 1));
        size_t length;

        if (!guest_read(address, part, size)) {
            break;
        }
        length = strnlen(part, size);
        g_string_append_len(text, part, length);
        if (length < size) {
            return g_string_free(text, false);
        }
        address += size;
    }
    g_string_free(text, true);
    return NULL;
}

/* ------------------------------------------------------------------ */
/* Host calls */

#ifdef __x86_64__
/*
 * long safe_syscall_asm(volatile int *pending, long number, args...): between
 * the test of *pending and the syscall instruction the signal handler moves
 * the program counter back to the "already pending" exit, so a signal is
 * either seen here or interrupts the call.
 */
__asm__(
    ".text\n.p2align 4\n.type safe_syscall_asm, @function\n"
    "safe_syscall_asm:\n"
    "push %rbx\n"
    "mov %rdi, %rbx\n"
    "mov %rsi, %rax\n"
    "mov %rdx, %rdi\n"
    "mov %rcx, %rsi\n"
    "mov %r8, %rdx\n"
    "mov %r9, %r10\n"
    "mov 16(%rsp), %r8\n"
    "mov 24(%rsp), %r9\n"
    "safe_syscall_start:\n"
    "cmpl $0, (%rbx)\n"
    "jne safe_syscall_pending\n"
    "syscall\n"
    "safe_syscall_end:\n"
    "pop %rbx\n"
    "ret\n"
    "safe_syscall_pending:\n"
    "mov $-513, %rax\n"
    "pop %rbx\n"
    "ret\n"
    ".size safe_syscall_asm, . - safe_syscall_asm\n");

extern long safe_syscall_asm(volatile sig_atomic_t *pending, long number,
                             uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                             uint64_t e, uint64_t f);
extern const char safe_syscall_start[], safe_syscall_end[],
    safe_syscall_pending[];

void safe_syscall_rewind(void *ucontext)
{
    ucontext_t *context = ucontext;
    greg_t *pc = &context->uc_mcontext.gregs[REG_RIP];

    if ((uintptr_t)*pc >= (uintptr_t)safe_syscall_start &&
        (uintptr_t)*pc < (uintptr_t)safe_syscall_end) {
        *pc = (greg_t)(uintptr_t)safe_syscall_pending;
    }
}
#else
static long safe_syscall_asm(volatile sig_atomic_t *pending, long number,
                             uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                             uint64_t e, uint64_t f)
{
    long result;

    if (*pending) {
        return RESTART_SYS;
    }
    result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}

void safe_syscall_rewind(void *ucontext)
{
}
#endif

int64_t safe_syscall(long number, uint64_t a, uint64_t b, uint64_t c,
                     uint64_t d, uint64_t e, uint64_t f)
{
    int64_t result = safe_syscall_asm(&current_thread->signal_pending, number,
                                      a, b, c, d, e, f);

    /*
     * EINTR without a noted signal is an answer (a stopped and continued
     * call, a closed descriptor); with one it is ours to restart.
     */
    if (result == -EINTR &&
        (current_thread->signal_pending || current_thread->nudge)) {
        return RESTART_SYS;
    }
    return result;
}

int64_t sys_pass(UserThread *thread, const uint64_t *args)
{
    return safe_syscall(current_entry->host, args[0], args[1], args[2],
                        args[3], args[4], args[5]);
}

long syscall_host_number(void)
{
    return current_entry->host;
}

/* Calls that only look a path up: below the sysroot when it is there. */
int64_t sys_lookup(UserThread *thread, const uint64_t *args)
{
    char *paths[SYSCALL_ARGS] = { NULL };
    uint64_t host[SYSCALL_ARGS];
    int64_t result = 0;

    if (!thread->process->options.sysroot) {
        return sys_pass(thread, args);
    }
    for (int i = 0; i < SYSCALL_ARGS; i++) {
        host[i] = args[i];
        if (current_entry->args[i] == ARG_PATH && args[i] && !result) {
            g_autofree char *path = guest_string(args[i]);

            result = path ? 0 : -EFAULT;
            paths[i] = path ? process_host_path(thread->process, path) : NULL;
            host[i] = (uint64_t)paths[i];
        }
    }
    if (!result) {
        result = sys_pass(thread, host);
    }
    for (int i = 0; i < SYSCALL_ARGS; i++) {
        g_free(paths[i]);
    }
    return result;
}

int64_t sys_enosys(UserThread *thread, const uint64_t *args)
{
    log_printf(LOG_UNIMP, "system call %" PRIu64 " (%s) is not implemented\n",
               current_number, current_entry ? current_entry->name : "?");
    return -ENOSYS;
}

/* ------------------------------------------------------------------ */
/* Tracing */

static void trace_arg(FILE *to, ArgKind kind, uint64_t value)
{
    g_autofree char *text = NULL;
    g_autofree char *shown = NULL;

    switch (kind) {
    case ARG_OFF:
        fprintf(to, "%" PRId64, (int64_t)value);
        break;
    case ARG_INT:
    case ARG_FD:
        fprintf(to, "%d", (int)value);
        break;
    case ARG_DIRFD:
        if ((int)value == -100) {
            fprintf(to, "AT_FDCWD");
        } else {
            fprintf(to, "%d", (int)value);
        }
        break;
    case ARG_OCT:
        fprintf(to, "%#" PRIo64, value);
        break;
    case ARG_SIZE:
        fprintf(to, "%" PRIu64, value);
        break;
    case ARG_PATH:
        text = value ? guest_string(value) : NULL;
        if (text) {
            shown = g_strescape(text, NULL);
            fprintf(to, "\"%s\"", shown);
            break;
        }
        /* fall through */
    case ARG_PTR:
        if (!value) {
            fprintf(to, "NULL");
            break;
        }
        /* fall through */
    default:
        fprintf(to, "%#" PRIx64, value);
        break;
    }
}

static void trace_call(FILE *to, UserThread *thread, uint64_t number,
                       const SyscallEntry *entry, const uint64_t *args)
{
    fprintf(to, "%d ", thread->tid);
    if (!entry) {
        fprintf(to, "syscall_%" PRIu64 "(", number);
    } else {
        fprintf(to, "%s(", entry->name);
        for (int i = 0; i < SYSCALL_ARGS && entry->args[i] != ARG_NONE; i++) {
            if (i) {
                fputc(',', to);
            }
            trace_arg(to, entry->args[i], args[i]);
        }
    }
    fputc(')', to);
}

static void trace_result(FILE *to, int64_t result)
{
    if (result < 0 && result > -4096) {
        fprintf(to, " = -1 errno=%d (%s)\n", (int)-result,
                g_strerror((int)-result));
    } else if (result >= 0 && result < 0x100000) {
        fprintf(to, " = %" PRId64 "\n", result);
    } else {
        fprintf(to, " = 0x%" PRIx64 "\n", result);
    }
}

/* ------------------------------------------------------------------ */
/* Dispatch */

/*
 * No argument may be an address of the emulator, whatever its kind: some
 * calls take pointers that only another argument reveals.
 */
static bool pointer_ok(ArgKind kind, uint64_t value)
{
    switch (kind) {
    case ARG_PTR:
    case ARG_PATH:
        return value < USER_LIMIT;
    case ARG_ANY:
    case ARG_HEX:
    case ARG_SIZE:
        return value < USER_LIMIT || value >= HOST_LIMIT;
    default:
        return true;
    }
}

static bool pointers_ok(const SyscallEntry *entry, const uint64_t *args)
{
    for (int i = 0; i < SYSCALL_ARGS; i++) {
        if (!pointer_ok(entry->args[i], args[i])) {
            return false;
        }
    }
    return true;
}

static const SyscallEntry *entry_of(uint64_t number)
{
    return number < G_N_ELEMENTS(syscall_table) && syscall_table[number].name
               ? &syscall_table[number] : NULL;
}

/*
 * The host's kernel refuses to write code that the engines have a copy of, see
 * address_map_watch_code(); true: it will not any more.  openings: before the
 * call.
 */
static bool open_code(UserThread *thread, unsigned openings)
{
    AddressMap *map = thread->process->map;

    if (!address_map_open_code(map, 0, USER_LIMIT) &&
        address_map_openings(map) == openings) {
        return false;
    }
    engine_invalidate(0, USER_LIMIT);
    return true;
}

int64_t syscall_make(UserThread *thread, uint64_t number, const uint64_t *args)
{
    const SyscallEntry *entry = entry_of(number);
    const SyscallEntry *outer_entry = current_entry;
    uint64_t outer_number = current_number;
    int64_t result;

    current_entry = entry;
    current_number = number;
    if (!entry) {
        result = sys_enosys(thread, args);
    } else if (!pointers_ok(entry, args)) {
        result = -EFAULT;
    } else if (!thread->narrow ||
               !syscall_narrow(thread, number, args, &result)) {
        unsigned openings = address_map_openings(thread->process->map);

        result = entry->handler(thread, args);
        if (result == -EFAULT && open_code(thread, openings)) {
            result = entry->handler(thread, args);
        }
    }
    current_entry = outer_entry;
    current_number = outer_number;
    return result;
}

static int64_t call(UserThread *thread, uint64_t number, const uint64_t *args)
{
    bool trace = thread->process->options.strace || log_on(LOG_STRACE);
    int64_t result;

    if (trace) {
        FILE *to = log_lock();

        trace_call(to, thread, number, entry_of(number), args);
        fflush(to);
        log_unlock(to);
    }
    result = syscall_make(thread, number, args);
    if (trace) {
        FILE *to = log_lock();

        if (result <= RESTART_ALWAYS && result >= RESTART_NEVER) {
            fprintf(to, " = ? (interrupted)\n");
        } else if (result == RESULT_NONE) {
            fprintf(to, " = ?\n");
        } else {
            trace_result(to, result);
        }
        log_unlock(to);
    }
    return result;
}

/* Two words become two halves of one in 32-bit calls. */
static void pack_pair(UserThread *thread, uint64_t pair[2])
{
    if (thread->narrow) {
        pair[0] = (uint32_t)pair[0] | pair[1] << 32;
    }
}

int64_t syscall_fast(UserThread *thread, uint64_t number, const uint64_t *args)
{
    struct timespec ts;
    uint64_t pair[2];
    size_t size = thread->narrow ? 8 : 16;
    unsigned cpu = 0;
    unsigned node = 0;

    switch (number) {
    case 0: /* gettimeofday */
        clock_gettime(CLOCK_REALTIME, &ts);
        pair[0] = ts.tv_sec;
        pair[1] = ts.tv_nsec / 1000;
        pack_pair(thread, pair);
        if (args[1] && !guest_write(args[1], &(uint64_t){ 0 }, 8)) {
            return -EFAULT;
        }
        return args[0] && !guest_write(args[0], pair, size) ? -EFAULT : 0;
    case 1: /* clock_gettime */
        if (syscall(SYS_clock_gettime, (int)args[0], &ts) < 0) {
            return -errno;
        }
        pair[0] = ts.tv_sec;
        pair[1] = ts.tv_nsec;
        pack_pair(thread, pair);
        return guest_write(args[1], pair, size) ? 0 : -EFAULT;
    case 2: /* getcpu */
        syscall(SYS_getcpu, &cpu, &node, NULL);
        if ((args[0] && !guest_write(args[0], &cpu, 4)) ||
            (args[1] && !guest_write(args[1], &node, 4))) {
            return -EFAULT;
        }
        return 0;
    case 3: /* siggetmask */
        if (args[1] != 8) {
            return -EINVAL;
        }
        return guest_write(args[0], &thread->blocked, 8) ? 0 : -EFAULT;
    case 4:
        return context_get(thread, args[0], args[1]);
    case 5:
        return hw_stack_set_return(thread, args[0], args[1]);
    default:
        return -ENOSYS;
    }
}

void syscall_set_result(UserThread *thread, int64_t result)
{
    E2kCpu *cpu = thread->cpu;
    unsigned index = 2 * cpu->syscall_wbs;

    cpu->win[index].lo = result;
    cpu->win_tags[index] = 0;
}

/* The seven values of the callee window, as far as the window has them. */
static uint64_t take_arguments(UserThread *thread, uint64_t *args)
{
    E2kCpu *cpu = thread->cpu;
    unsigned base = 2 * cpu->syscall_wbs;
    unsigned have = 2 * cpu->wsz > base ? 2 * cpu->wsz - base : 0;

    for (unsigned i = 0; i < SYSCALL_ARGS; i++) {
        args[i] = i + 1 < have ? cpu->win[base + 1 + i].lo : 0;
    }
    return have ? cpu->win[base].lo : 0;
}

void syscall_dispatch(UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;

    for (;;) {
        uint64_t args[SYSCALL_ARGS];
        uint64_t number = (uint32_t)take_arguments(thread, args);
        unsigned entry = cpu->syscall_entry;
        int64_t result;

        thread->narrow = entry == ENTRY_CALL_32 || entry == ENTRY_FAST_32;
        switch (entry) {
        case ENTRY_CALL_32:
            for (int i = 0; i < SYSCALL_ARGS; i++) {
                args[i] = (uint32_t)args[i];
            }
            /* fall through */
        case ENTRY_CALL_64:
        case ENTRY_CALL_OLD:
            result = call(thread, number, args);
            break;
        case ENTRY_FAST_32:
            for (int i = 0; i < SYSCALL_ARGS; i++) {
                args[i] = (uint32_t)args[i];
            }
            /* fall through */
        case ENTRY_FAST_64:
            result = syscall_fast(thread, number, args);
            break;
        default:
            signal_raise(thread, SIGILL, 1, cpu->ip, EXC_ILLEGAL_INSTR_ADDR);
            return;
        }
        if (result == RESULT_NONE) {
            return;
        }
        if (result > RESTART_ALWAYS || result < RESTART_NEVER) {
            syscall_set_result(thread, result);
            return;
        }
        thread->restart = (int)result;
        signal_deliver_pending(thread);
        if (!thread->restart) {
            return; /* a handler runs; its return decides */
        }
        thread->restart = 0;
        if (thread->nudge) {
            ptrace_answer_nudge(thread);
        }
        if (thread->suspended) {
            thread->suspended = false;
            signal_set_mask(thread, thread->suspend_saved);
        }
    }
}
