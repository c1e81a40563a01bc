/*
 * Making a process from a program file, and the run loop of its threads.
 * Source of the initial state: shared facts "linux/abi.md" section 3.
 */
#include "linux-user/process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/debug.h"
#include "linux-user/elf-load.h"
#include "linux-user/ptrace.h"
#include "linux-user/signal.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"
#include "util/log.h"

/* ET_DYN programs and the data stack; see address-map.h for the map. */
#define PIE_BASE UINT64_C(0x2aaaaaaaa000)
#define PIE_BASE_32 UINT64_C(0xa0000000)
#define STACK_TOP UINT64_C(0x3ffffffff000)
#define STACK_TOP_32 UINT64_C(0xf0000000)
#define STACK_GUARD UINT64_C(0x10000)

enum {
    STATE_GD_HI = 0x32,
    STATE_GD_LO = 0x33,
    TAG_EMPTY = 5, /* diagnostic in both words */
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
    AT_FAST_SYSCALLS = 32,
    AT_SYSTEM_INFO = 34,
    FAST_SYSCALLS = 0x1f,
    SYSTEM_INFO_VFORK = 1,
};

static GQuark process_error_quark(void)
{
    return g_quark_from_static_string("process-error");
}

char *process_host_path(UserProcess *process, const char *path)
{
    const char *root = process->options.sysroot;

    if (root && path[0] == '/') {
        g_autofree char *below = g_strconcat(root, path, NULL);

        if (access(below, F_OK) == 0) {
            return g_steal_pointer(&below);
        }
    }
    return g_strdup(path);
}

/* ------------------------------------------------------------------ */
/* The initial data stack */

typedef struct StackBuilder {
    uint64_t sp;
    bool ok;
    bool narrow;
} StackBuilder;

static uint64_t push_bytes(StackBuilder *b, const void *bytes, size_t size)
{
    b->sp -= size;
    b->ok = b->ok && guest_write(b->sp, bytes, size);
    return b->sp;
}

/* Strings, last first, so that they end up contiguous and in order. */
static uint64_t *push_strings(StackBuilder *b, char **strings, size_t count)
{
    uint64_t *addresses = g_new0(uint64_t, count + 1);

    for (size_t i = count; i-- > 0;) {
        addresses[i] = push_bytes(b, strings[i], strlen(strings[i]) + 1);
    }
    return addresses;
}

static void put_word(StackBuilder *b, uint64_t *at, uint64_t value)
{
    unsigned width = b->narrow ? 4 : 8;

    b->ok = b->ok && guest_write(*at, &value, width);
    *at += width;
}

static void add_aux(UserProcess *process, uint64_t type, uint64_t value)
{
    if (process->n_auxv + 2 <= G_N_ELEMENTS(process->auxv)) {
        process->auxv[process->n_auxv++] = type;
        process->auxv[process->n_auxv++] = value;
    }
}

/*
 * Whether a kernel would run the file with an identity that is not the
 * caller's.  The emulator cannot take it on; the program is told all the same,
 * so that it does not trust its environment.  A host kernel that did change
 * the identity (binfmt_misc with flag C) has said so to the emulator itself.
 */
static bool changes_identity(int fd)
{
    struct statvfs vfs;
    struct stat st;

    if (fstat(fd, &st) < 0 || fstatvfs(fd, &vfs) < 0 ||
        (vfs.f_flag & ST_NOSUID) ||
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) {
        return false;
    }
    return ((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
           ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
            st.st_gid != getgid());
}

static void make_auxv(UserProcess *process, const ElfImage *program,
                      uint64_t interpreter_base, uint64_t random,
                      uint64_t execfn)
{
    bool narrow = process->is_32bit;

    add_aux(process, AT_HWCAP, 0);
    add_aux(process, AT_PAGESZ, USER_PAGE);
    add_aux(process, AT_CLKTCK, 100);
    add_aux(process, AT_PHDR, program->phdr_address);
    add_aux(process, AT_PHENT, narrow ? sizeof(Elf32_Phdr)
                                      : sizeof(Elf64_Phdr));
    add_aux(process, AT_PHNUM, program->header.e_phnum);
    add_aux(process, AT_BASE, interpreter_base);
    add_aux(process, AT_FLAGS, 0);
    add_aux(process, AT_ENTRY, program->bias + program->header.e_entry);
    add_aux(process, AT_UID, getuid());
    add_aux(process, AT_EUID, geteuid());
    add_aux(process, AT_GID, getgid());
    add_aux(process, AT_EGID, getegid());
    add_aux(process, AT_SECURE,
            getauxval(AT_SECURE) || changes_identity(program->fd));
    add_aux(process, AT_RANDOM, random);
    add_aux(process, AT_EXECFN, execfn);
    add_aux(process, AT_FAST_SYSCALLS, FAST_SYSCALLS);
    add_aux(process, AT_SYSTEM_INFO, SYSTEM_INFO_VFORK);
    add_aux(process, AT_NULL, 0);
}

GByteArray *process_auxv(const UserProcess *process)
{
    GByteArray *bytes = g_byte_array_new();

    for (unsigned i = 0; i < process->n_auxv; i++) {
        g_byte_array_append(bytes, (const uint8_t *)&process->auxv[i],
                            process->is_32bit ? 4 : 8);
    }
    return bytes;
}

/* Returns the initial stack pointer, or 0 when it does not fit. */
static uint64_t build_stack(UserProcess *process, const ElfImage *program,
                            uint64_t interpreter_base, char **argv,
                            char **envp)
{
    StackBuilder b = { .sp = process->stack_high - 16, .ok = true,
                       .narrow = process->is_32bit };
    size_t argc = g_strv_length(argv);
    size_t envc = g_strv_length(envp);
    unsigned width = b.narrow ? 4 : 8;
    g_autofree uint64_t *arguments = NULL;
    g_autofree uint64_t *environment = NULL;
    uint8_t random[16];
    uint64_t random_at;
    uint64_t execfn;
    uint64_t at;
    size_t words;

    execfn = push_bytes(&b, process->options.program,
                        strlen(process->options.program) + 1);
    process->env_end = b.sp;
    environment = push_strings(&b, envp, envc);
    process->arg_end = b.sp;
    arguments = push_strings(&b, argv, argc);
    process->arg_start = b.sp;
    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        memset(random, 0x5a, sizeof(random));
    }
    b.sp &= ~UINT64_C(15);
    random_at = push_bytes(&b, random, sizeof(random));
    make_auxv(process, program, interpreter_base, random_at, execfn);
    words = 1 + argc + 1 + envc + 1 + process->n_auxv;
    b.sp = (b.sp - words * width) & ~UINT64_C(31);
    if (b.sp < process->stack_low + STACK_GUARD) {
        return 0;
    }
    at = b.sp;
    put_word(&b, &at, argc);
    for (size_t i = 0; i < argc; i++) {
        put_word(&b, &at, arguments[i]);
    }
    put_word(&b, &at, 0);
    for (size_t i = 0; i < envc; i++) {
        put_word(&b, &at, environment[i]);
    }
    put_word(&b, &at, 0);
    for (unsigned i = 0; i < process->n_auxv; i++) {
        put_word(&b, &at, process->auxv[i]);
    }
    return b.ok ? b.sp : 0;
}

static bool map_stack(UserProcess *process, GError **error)
{
    uint64_t top = process->is_32bit ? STACK_TOP_32 : STACK_TOP;
    uint64_t size = process->options.stack_bytes & ~(USER_PAGE - 1);
    int64_t at;

    at = address_map_mmap(process->map, top - size, size,
                          PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                              MAP_FIXED_NOREPLACE,
                          -1, 0, false, "[stack]");
    if (at == -EEXIST && process->is_32bit) {
        /* The emulator itself is there, as its sanitizers are. */
        at = address_map_mmap(process->map, 0, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                              0, true, "[stack]");
        top = at + size;
    }
    if (at < 0) {
        g_set_error(error, process_error_quark(), 0,
                    "cannot map a stack of %" PRIu64 " bytes: %s", size,
                    g_strerror((int)-at));
        return false;
    }
    process->stack_low = top - size;
    process->stack_high = top;
    return true;
}

static void start_registers(UserProcess *process, UserThread *thread,
                            uint64_t sp)
{
    E2kCpu *cpu = thread->cpu;

    thread->stack_low = process->stack_low;
    thread->stack_high = process->stack_high;
    cpu->ip = process->entry & ~UINT64_C(7);
    cpu->wsz = 4;
    cpu->psize = 4;
    memset(cpu->win, 0, 8 * sizeof(RegSlot));
    memset(cpu->win_tags, 0, 8);
    memset(cpu->frame, 0, sizeof(*cpu->frame));
    cpu->usd_base = sp;
    cpu->usd_size = sp - process->stack_low;
    cpu->sbr = process->stack_high;
    process_start_state(process, cpu);
    /* Empty: they trap when read before they are written. */
    memset(cpu->g_tags, TAG_EMPTY, sizeof(cpu->g_tags));
}

void process_start_state(const UserProcess *process, E2kCpu *cpu)
{
    cpu->psr = 0x26; /* ie, sge, nmie */
    cpu->upsr = 0x1; /* fe */
    cpu->fpcr = USER_FPCR;
    cpu->fpsr = USER_FPSR;
    cpu->pfpfr = USER_PFPFR;
    cpu->cui = process->is_32bit ? 1 : 0;
    if (process->is_32bit) {
        /* The data segment of 32-bit code: all of its address space. */
        cpu->state[STATE_GD_LO] = UINT64_C(3) << 59;
        cpu->state[STATE_GD_HI] = UINT64_C(0xffffffff) << 32;
    }
}

/* ------------------------------------------------------------------ */
/* Loading */

static bool load_interpreter(UserProcess *process, const ElfImage *program,
                             uint64_t *base, GError **error)
{
    g_autofree char *path = process_host_path(process, program->interpreter);
    ElfImage *image = elf_open(path, error);
    bool ok;

    if (!image ||
        !elf_check_interpreter(program, image, process->model, error)) {
        g_prefix_error(error, "%s: cannot load its interpreter: ",
                       program->path);
        elf_free(image);
        return false;
    }
    ok = elf_map(image, process->map, 0, error);
    *base = image->bias;
    process->entry = image->bias + image->header.e_entry;
    elf_free(image);
    return ok;
}

static bool load(UserProcess *process, ElfImage *program, char **argv,
                 char **envp, GError **error)
{
    uint64_t interpreter_base = 0;
    UserThread *thread;
    uint64_t sp;

    process->is_32bit = program->is_32bit;
    process->elf_flags = program->header.e_flags;
    if (!elf_map(program, process->map,
                 program->is_32bit ? PIE_BASE_32 : PIE_BASE, error)) {
        return false;
    }
    process->load_start = program->start;
    process->entry = program->bias + program->header.e_entry;
    process->brk_start = (program->brk + USER_PAGE - 1) & ~(USER_PAGE - 1);
    process->brk = process->brk_mapped = process->brk_start;
    if (program->interpreter &&
        !load_interpreter(process, program, &interpreter_base, error)) {
        return false;
    }
    if (!map_stack(process, error)) {
        return false;
    }
    sp = build_stack(process, program, interpreter_base, argv, envp);
    if (!sp) {
        g_set_error(error, process_error_quark(), 0,
                    "%s: arguments and environment do not fit on the stack",
                    program->path);
        return false;
    }
    thread = thread_new(process, error);
    if (!thread) {
        return false;
    }
    thread->tid = (int)syscall(SYS_gettid);
    start_registers(process, thread, sp);
    current_thread = thread;
    return true;
}

UserProcess *process_new(const UserOptions *options, char **argv, char **envp,
                         int *status, GError **error)
{
    UserProcess *process = g_new0(UserProcess, 1);
    ElfImage *program;

    process->options = *options;
    process->map = address_map_new();
    if (!process->map) {
        *status = STATUS_NOT_EXECUTABLE;
        g_set_error(error, process_error_quark(), 0,
                    "the host has no free address space at 0x%" PRIx64,
                    USER_LIMIT);
        return NULL;
    }
    process->threads = g_ptr_array_new();
    process->contexts = g_hash_table_new(g_int64_hash, g_int64_equal);
    process->next_hw_stack = HW_STACK_AREA;
    g_mutex_init(&process->signal_lock);
    g_mutex_init(&process->threads_lock);
    g_mutex_init(&process->contexts_lock);
    g_mutex_init(&process->fork_gate);
    signal_init_faults(process); /* loading touches guest memory */
    program = elf_open(options->program, error);
    if (!program) {
        *status = access(options->program, F_OK) < 0 ? STATUS_NOT_FOUND
                                                     : STATUS_NOT_EXECUTABLE;
        return NULL;
    }
    process->exe = realpath(options->program, NULL);
    process->model = options->model;
    *status = STATUS_NOT_EXECUTABLE;
    if (!elf_choose_model(program, &process->model, error) ||
        !load(process, program, argv, envp, error)) {
        elf_free(program);
        return NULL;
    }
    elf_free(program);
    return process;
}

/* ------------------------------------------------------------------ */
/* Running */

static bool at_trampoline(UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;

    if (cpu->ip == TRAMPOLINE_SIGRETURN) {
        signal_return(thread);
        return true;
    }
    if (cpu->ip == TRAMPOLINE_CONTEXT) {
        context_finish(thread);
        return true;
    }
    return false;
}

static void park(UserThread *thread)
{
    sigset_t all;

    if (thread->process->parking == thread->tid) {
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    thread->parked = true;
    for (;;) {
        pause();
    }
}

static void answer_call(UserThread *thread)
{
    if (ptrace_active(thread)) {
        ptrace_syscall_stop(thread, true);
    }
    thread->in_call = true;
    if (G_UNLIKELY(thread->process->forking)) {
        /* One that forks needs all locks at once: let it have them. */
        g_mutex_lock(&thread->process->fork_gate);
        g_mutex_unlock(&thread->process->fork_gate);
    }
    syscall_dispatch(thread);
    thread->in_call = false;
    if (ptrace_active(thread)) {
        ptrace_syscall_stop(thread, false);
    }
}

void thread_loop(UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;

    for (;;) {
        bool stepping = ptrace_stepping(thread);

        switch (debug_active() ? debug_run(thread)
                : stepping ? cpu_step(cpu) : cpu_run(cpu)) {
        case CPU_EXIT_SYSCALL:
            answer_call(thread);
            break;
        case CPU_EXIT_EXCEPTION:
            if (!at_trampoline(thread)) {
                signal_raise_exception(thread);
            }
            break;
        case CPU_EXIT_STOP:
        case CPU_EXIT_HALT:
        case CPU_EXIT_DEBUG:
            break;
        }
        if (thread->signal_pending) {
            signal_deliver_pending(thread);
        }
        if (stepping && ptrace_stepping(thread)) {
            ptrace_step_stop(thread);
        }
        if (thread->nudge) {
            ptrace_answer_nudge(thread);
        }
        if (G_UNLIKELY(thread->process->parking)) {
            park(thread);
        }
    }
}

void process_park_others(UserThread *thread)
{
    UserProcess *process = thread->process;
    enum { ROUNDS = 100, ROUND_US = 2000 };

    if (!__sync_bool_compare_and_swap(&process->parking, 0, thread->tid)) {
        park(thread); /* another one is dying already */
    }
    for (int round = 0; round < ROUNDS; round++) {
        bool all = true;

        g_mutex_lock(&process->threads_lock);
        for (guint i = 0; i < process->threads->len; i++) {
            UserThread *other = g_ptr_array_index(process->threads, i);

            if (other != thread && !other->parked && !other->in_call) {
                all = false;
                cpu_request_stop(other->cpu);
            }
        }
        g_mutex_unlock(&process->threads_lock);
        if (all) {
            return;
        }
        g_usleep(ROUND_US);
    }
}

void process_run(UserProcess *process)
{
    UserThread *thread = g_ptr_array_index(process->threads, 0);

    signal_init(process);
    ptrace_started(thread, process->options.traced);
    if (!sigsetjmp(thread->exit_jump, 0)) {
        thread_loop(thread);
    }
    process_exit(process, thread->exit_status);
}

void process_exit(UserProcess *process, int status)
{
    debug_exiting(status, false);
    robust_list_release_all(process);
    engine_report();
    fflush(NULL);
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}
