/*
 * An e2k Linux process inside the emulator, and its threads.
 *
 *   UserProcess   one per emulator process: address map, signal actions,
 *                 program description, options
 *   UserThread    one per guest thread = one host thread: CPU, signal state,
 *                 hardware stacks, coroutine contexts
 *
 * The run loop (process.c) alternates between cpu_run() and the answer to
 * its exit: a system call (syscall.c), an exception turned into a signal, or
 * a pending signal (signal.c).
 */
#ifndef LINUX_USER_PROCESS_H
#define LINUX_USER_PROCESS_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "linux-user/address-map.h"
#include "target-e2k/cpu.h"
#include "target-e2k/exec.h"

enum {
    GUEST_NSIG = 64,
    /* System-call entries, the number given to sdisp. */
    ENTRY_CALL_32 = 1,
    ENTRY_CALL_64 = 3,
    ENTRY_CALL_OLD = 4,
    ENTRY_FAST_32 = 5,
    ENTRY_FAST_64 = 6,
};

/*
 * Addresses that no mapping can have: a return to one of them is a request
 * to the run loop instead of a fetch.  Real kernels have privileged
 * trampolines above the user limit; so do we.
 */
#define TRAMPOLINE_BASE UINT64_C(0xe20000000000)
#define TRAMPOLINE_SIGRETURN (TRAMPOLINE_BASE + 0x100)
#define TRAMPOLINE_CONTEXT (TRAMPOLINE_BASE + 0x200)

/* Guest addresses of hardware stacks (readable only through system calls). */
#define HW_STACK_AREA UINT64_C(0x300000000000)
#define HW_STACK_AREA_END UINT64_C(0x3f0000000000)
#define PROC_STACK_BYTES (UINT64_C(128) << 20)
#define CHAIN_STACK_BYTES (UINT64_C(8) << 20)

typedef struct UserOptions {
    const char *program;      /* as given */
    const char *argv0;        /* NULL: program */
    const char *sysroot;      /* -L; NULL: none */
    const CpuModel *model;    /* NULL: chosen from the ELF flags */
    const char *uname_release; /* NULL: default */
    uint64_t stack_bytes;     /* data stack of the main thread */
    bool strace;
    const char *traced;       /* what a traced execve hands over, or NULL */
} UserOptions;

/* Sigaction as the guest gave it (kernel layout, 64-bit). */
typedef struct GuestSigaction {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
} GuestSigaction;

/* Floating-point state of a new flow: all masks set, all flags raised. */
enum { USER_FPCR = 0x37f, USER_FPSR = 0x3f, USER_PFPFR = 0x1fbf };

typedef struct UserProcess UserProcess;
typedef struct UserThread UserThread;
typedef struct SignalRecord SignalRecord;
typedef struct UserContext UserContext;
typedef struct TraceBlock TraceBlock;

struct UserProcess {
    UserOptions options;
    const CpuModel *model;
    AddressMap *map;
    char *exe;                /* absolute path of the program */
    bool is_32bit;
    uint64_t entry;
    uint32_t elf_flags;      /* of the program, for core files */
    uint64_t load_start;      /* lowest address of the program's text */
    uint64_t brk_start;
    uint64_t brk;
    uint64_t brk_mapped;
    uint64_t stack_low;       /* main thread's data stack */
    uint64_t stack_high;
    uint64_t arg_start, arg_end, env_end; /* strings, for /proc */
    uint64_t auxv[64];
    unsigned n_auxv;          /* words */
    GMutex signal_lock;
    GuestSigaction actions[GUEST_NSIG + 1];
    GMutex threads_lock;
    GPtrArray *threads;       /* UserThread *, borrowed */
    GMutex contexts_lock;
    GHashTable *contexts;     /* key (stack top) -> UserContext * */
    uint64_t next_hw_stack;
    GMutex fork_gate;         /* held by the thread that forks */
    volatile bool forking;    /* system calls wait at the gate */
    volatile int parking;     /* tid for which all others stand still, or 0 */
};

struct UserThread {
    UserProcess *process;
    E2kCpu *cpu;
    int tid;
    uint64_t clear_child_tid;
    uint64_t robust_list;     /* head, or 0 */
    bool robust_narrow;       /* a 32-bit program's */
    uint64_t stack_low;       /* data stack bounds */
    uint64_t stack_high;
    uint64_t hw_stack;        /* base of the two hardware stacks */

    /* Signals; see signal.c. */
    uint64_t blocked;         /* guest mask: bit N - 1 for signal N */
    uint64_t suspend_saved;   /* mask to come back to after sigsuspend */
    bool suspended;
    struct {
        uint64_t sp;
        uint64_t size;
        int flags;
    } altstack;
    volatile bool parked;     /* stands still for process->parking */
    volatile bool in_call;    /* inside a host call, CPU at rest */
    volatile sig_atomic_t signal_pending; /* a host handler has run */
    siginfo_t pending_info;   /* of the one signal a host handler took */
    SignalRecord *records;    /* stack of interrupted states, newest first */
    TraceBlock *trace;        /* ptrace.c; NULL: not traced */
    volatile sig_atomic_t nudge; /* a stop that a tracer wants, or 0 */
    volatile sig_atomic_t nudge_options;
    bool narrow;              /* the call being answered is a 32-bit one */
    int restart;              /* RESTART_... of the call being answered, or 0 */

    UserContext *context;     /* coroutine that runs, NULL: main */
    int exit_status;
    sigjmp_buf exit_jump;
};

/* The thread of the calling host thread. */
extern __thread UserThread *current_thread;

/*
 * Loads the program and makes its process and first thread.  argv and envp
 * are NULL-terminated.  On failure the error is one clear sentence and
 * *status the shell-like exit status (126 not executable, 127 not found).
 */
UserProcess *process_new(const UserOptions *options, char **argv, char **envp,
                         int *status, GError **error);

/* Runs the main thread; never returns. */
void process_run(UserProcess *process) G_GNUC_NORETURN;

/* Runs the calling host thread's guest code until it exits. */
void thread_loop(UserThread *thread);

UserThread *thread_new(UserProcess *process, GError **error);
void thread_free(UserThread *thread);

/* Ends the whole process with the status, flushing what must be flushed. */
void process_exit(UserProcess *process, int status) G_GNUC_NORETURN;

/* CpuOps of user mode; see user-cpu.c. */
extern const CpuOps user_cpu_ops;

/* The head of a thread's robust list (tid 0: the caller's); false: no such. */
bool process_robust_list(UserThread *thread, int tid, uint64_t *head);
/* What a kernel does for the locks of a thread that ends, or of all. */
void robust_list_release(UserThread *thread);
void robust_list_release_all(UserProcess *process);

/*
 * Brings all other threads to a stop, for good: their CPUs are at rest between
 * two bundles or in a system call.  Waits for a moment at most.
 */
void process_park_others(UserThread *thread);

/* Sends a state dump of the thread to standard error. */
void thread_dump(UserThread *thread, const char *why);

/* The auxiliary vector in the program's width; the caller's to free. */
GByteArray *process_auxv(const UserProcess *process);

/*
 * The processor state that a program, and each of its contexts, begins with;
 * not its stacks and registers.
 */
void process_start_state(const UserProcess *process, E2kCpu *cpu);

/* The host path of a guest path: below the sysroot when it exists there. */
char *process_host_path(UserProcess *process, const char *path);

#endif
