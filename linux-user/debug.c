/*
 * The GdbTarget of a user process; see debug.h.
 *
 *   running:  threads execute; `stopping` is false
 *   stopping: one thread found a reason; each other thread parks itself at
 *             its next bundle or after its system call is interrupted
 *   stopped:  reported; resume() sets a plan per thread and lets them go
 *
 * A thread inside a blocking system call counts as parked: it touches no
 * guest state until it comes back, and then parks.
 */
#include "linux-user/debug.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gdbstub/points.h"
#include "linux-user/proc-files.h"
#include "linux-user/syscall.h"
#include "target-e2k/debug-regs.h"
#include "target-e2k/watch.h"
#include "tcg/host-access.h"

static struct {
    UserProcess *process;
    GdbStub *stub;
    GMutex lock;
    GCond changed;
    bool halted;          /* threads must park */
    GdbResume plan;       /* of the current run */
    int pass_signal;      /* debugger's choice for the stopped thread */
    uint64_t generation;  /* counts resumes */
    GdbPoints points;
} debug;

bool debug_active(void)
{
    return debug.stub != NULL;
}

static UserThread *find_thread(uint64_t id)
{
    UserProcess *process = debug.process;
    UserThread *found = NULL;

    g_mutex_lock(&process->threads_lock);
    for (guint i = 0; i < process->threads->len; i++) {
        UserThread *thread = g_ptr_array_index(process->threads, i);

        if ((uint64_t)thread->tid == id || (!id && !found)) {
            found = thread;
        }
    }
    g_mutex_unlock(&process->threads_lock);
    return found;
}

/* ------------------------------------------------------------------ */
/* Stopping and going */

/* Reports a stop and parks until the debugger resumes this thread. */
static void stop_here(UserThread *thread, GdbStopReason reason, int number,
                      uint64_t address)
{
    g_mutex_lock(&debug.lock);
    if (!debug.halted) {
        UserProcess *process = debug.process;

        debug.halted = true;
        g_mutex_lock(&process->threads_lock);
        for (guint i = 0; i < process->threads->len; i++) {
            UserThread *other = g_ptr_array_index(process->threads, i);

            cpu_request_stop(other->cpu);
        }
        g_mutex_unlock(&process->threads_lock);
        gdb_stub_stopped(debug.stub, reason, (uint64_t)thread->tid, number,
                         address);
    }
    while (debug.halted) {
        g_cond_wait(&debug.changed, &debug.lock);
    }
    g_mutex_unlock(&debug.lock);
}

static GdbAction action_of(UserThread *thread)
{
    return debug.plan.thread == (uint64_t)thread->tid ? debug.plan.action
                                                      : debug.plan.others;
}

static void target_resume(void *opaque, const GdbResume *resume)
{
    g_mutex_lock(&debug.lock);
    debug.plan = *resume;
    debug.pass_signal = resume->signal;
    debug.halted = false;
    debug.generation++;
    g_cond_broadcast(&debug.changed);
    g_mutex_unlock(&debug.lock);
}

static void target_interrupt(void *opaque)
{
    UserThread *thread = find_thread(0);

    if (!thread) {
        return;
    }
    g_mutex_lock(&debug.lock);
    if (!debug.halted) {
        UserProcess *process = debug.process;

        debug.halted = true;
        g_mutex_lock(&process->threads_lock);
        for (guint i = 0; i < process->threads->len; i++) {
            UserThread *other = g_ptr_array_index(process->threads, i);

            cpu_request_stop(other->cpu);
        }
        g_mutex_unlock(&process->threads_lock);
        gdb_stub_stopped(debug.stub, GDB_STOP_SIGNAL, (uint64_t)thread->tid,
                         SIGINT, 0);
    }
    g_mutex_unlock(&debug.lock);
}

static void target_detach(void *opaque)
{
    GdbResume run = { .others = GDB_RUN };

    g_mutex_lock(&debug.lock);
    debug.points.count = 0;
    g_mutex_unlock(&debug.lock);
    target_resume(opaque, &run);
}

static void target_kill(void *opaque)
{
    syscall(SYS_kill, getpid(), SIGKILL);
}

/* ------------------------------------------------------------------ */
/* State */

static bool target_read_register(void *opaque, uint64_t id, unsigned number,
                                 uint8_t *bytes)
{
    UserThread *thread = find_thread(id);

    return thread && debug_reg_read(thread->cpu, number, bytes);
}

static bool target_write_register(void *opaque, uint64_t id, unsigned number,
                                  const uint8_t *bytes)
{
    UserThread *thread = find_thread(id);

    return thread && debug_reg_write(thread->cpu, number, bytes);
}

/* Hardware stacks are shown at their guest addresses, read only. */
static bool read_hw_stack(uint64_t address, uint8_t *bytes, size_t size)
{
    UserThread *thread = find_thread(0);
    E2kCpu *cpu = thread ? thread->cpu : NULL;

    if (cpu && address >= cpu->pcsp_base &&
        address + size <= cpu->pcsp_base + cpu->pcsp_size) {
        memcpy(bytes, (uint8_t *)cpu->frames + (address - cpu->pcsp_base),
               size);
        return true;
    }
    if (cpu && cpu->isa >= 5 && address >= cpu->psp_base &&
        address + size <= cpu->psp_base + cpu->psp_size) {
        memcpy(bytes, (uint8_t *)cpu->regs + (address - cpu->psp_base), size);
        return true;
    }
    return false;
}

static bool target_read_memory(void *opaque, uint64_t address, uint8_t *bytes,
                               size_t size)
{
    return guest_read(address, bytes, size) ||
           read_hw_stack(address, bytes, size);
}

/* Also into read-only pages: a debugger may patch code. */
static bool target_write_memory(void *opaque, uint64_t address,
                                const uint8_t *bytes, size_t size)
{
    uint64_t page = address & ~(USER_PAGE - 1);
    uint64_t end = (address + size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    bool written = guest_write(address, bytes, size);

    if (!written && address < USER_LIMIT && end <= USER_LIMIT &&
        address_map_prot(debug.process->map, address) >= 0 &&
        mprotect((void *)page, end - page, PROT_READ | PROT_WRITE) == 0) {
        int prot = address_map_prot(debug.process->map, address);

        written = guest_write(address, bytes, size);
        mprotect((void *)page, end - page,
                 PROT_READ | (prot & PROT_WRITE));
    }
    if (written) {
        engine_invalidate(address, size);
    }
    return written;
}

static size_t target_list_threads(void *opaque, uint64_t *ids, size_t most)
{
    UserProcess *process = debug.process;
    size_t count;

    g_mutex_lock(&process->threads_lock);
    count = MIN(process->threads->len, most);
    for (size_t i = 0; i < count; i++) {
        UserThread *thread = g_ptr_array_index(process->threads, i);

        ids[i] = (uint64_t)thread->tid;
    }
    g_mutex_unlock(&process->threads_lock);
    return count;
}

static int target_set_point(void *opaque, GdbPointType type, uint64_t address,
                            uint64_t size, bool insert)
{
    int result;

    g_mutex_lock(&debug.lock);
    result = gdb_points_set(&debug.points, type, address, size, insert);
    g_mutex_unlock(&debug.lock);
    return result;
}

static GBytes *target_object(void *opaque, const char *name)
{
    UserProcess *process = debug.process;

    if (strcmp(name, "auxv") == 0) {
        return g_byte_array_free_to_bytes(process_auxv(process));
    }
    if (strcmp(name, "exec-file") == 0) {
        return g_bytes_new(process->exe, strlen(process->exe));
    }
    return NULL;
}

/* "monitor maps": what "info proc mappings" shows through vFile, too. */
static char *target_monitor(void *opaque, const char *command)
{
    char *text = NULL;
    size_t size;
    FILE *to;

    if (strcmp(command, "maps") != 0) {
        return strcmp(command, "help") == 0
                   ? g_strdup("maps   the program's address space\n") : NULL;
    }
    to = open_memstream(&text, &size);
    address_map_print(debug.process->map, to);
    fclose(to);
    return text;
}

/* "info proc mappings" and its like read /proc/PID. */
static int target_open_file(void *opaque, const char *path, int flags)
{
    /* The protocol's process number is always 1. */
    static const char protocol_name[] = "/proc/1/";
    g_autofree char *own = NULL;

    if (g_str_has_prefix(path, protocol_name)) {
        own = g_strconcat("/proc/self/", path + strlen(protocol_name), NULL);
    }
    return proc_file_open(debug.process, own ? own : path, flags);
}

static const GdbTarget user_target = {
    .architecture = "e2k",
    .register_name = debug_reg_name,
    .register_bytes = debug_reg_bytes,
    .register_type = debug_reg_type,
    .read_register = target_read_register,
    .write_register = target_write_register,
    .read_memory = target_read_memory,
    .write_memory = target_write_memory,
    .list_threads = target_list_threads,
    .resume = target_resume,
    .interrupt = target_interrupt,
    .set_point = target_set_point,
    .monitor = target_monitor,
    .object = target_object,
    .open_file = target_open_file,
    .detach = target_detach,
    .kill = target_kill,
};

/* ------------------------------------------------------------------ */
/* Running under control */

static bool at_breakpoint(uint64_t ip)
{
    bool found;

    g_mutex_lock(&debug.lock);
    found = gdb_points_break_at(&debug.points, ip);
    g_mutex_unlock(&debug.lock);
    return found;
}

/* An access of the bundle being stepped. */
static __thread GdbWatchHit watch;

static void note_access(E2kCpu *cpu, const WatchedAccess *access)
{
    g_mutex_lock(&debug.lock);
    gdb_points_access(&debug.points, access->address, access->size_bytes,
                      access->store, &watch);
    g_mutex_unlock(&debug.lock);
}

/* One bundle with every access seen. */
static CpuExit watched_step(UserThread *thread)
{
    watch.hit = false;
    return cpu_step_watched(thread->cpu, note_access);
}

static void park_if_halted(UserThread *thread)
{
    g_mutex_lock(&debug.lock);
    while (debug.halted || action_of(thread) == GDB_STAY) {
        g_cond_wait(&debug.changed, &debug.lock);
    }
    g_mutex_unlock(&debug.lock);
}

static bool needs_steps(UserThread *thread)
{
    bool needs;

    g_mutex_lock(&debug.lock);
    needs = debug.points.count || action_of(thread) == GDB_STEP;
    g_mutex_unlock(&debug.lock);
    return needs;
}

CpuExit debug_run(UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;
    uint64_t resumed_at;
    uint64_t generation;

    park_if_halted(thread);
    generation = debug.generation;
    resumed_at = cpu->ip;
    if (!needs_steps(thread)) {
        return cpu_run(cpu);
    }
    for (bool first = true;; first = false) {
        CpuExit exit;

        if (cpu->stop_request) {
            cpu->stop_request = 0;
            return CPU_EXIT_STOP;
        }
        if ((!first || cpu->ip != resumed_at ||
             generation != debug.generation) && at_breakpoint(cpu->ip)) {
            stop_here(thread, GDB_STOP_BREAKPOINT, SIGTRAP, 0);
            return CPU_EXIT_DEBUG;
        }
        exit = watched_step(thread);
        if (watch.hit) {
            stop_here(thread, watch.reason, SIGTRAP, watch.address);
            return exit;
        }
        if (action_of(thread) == GDB_STEP &&
            (exit == CPU_EXIT_DEBUG || exit == CPU_EXIT_SYSCALL)) {
            if (exit == CPU_EXIT_SYSCALL) {
                syscall_dispatch(thread);
            }
            stop_here(thread, GDB_STOP_SIGNAL, SIGTRAP, 0);
            return CPU_EXIT_DEBUG;
        }
        if (exit != CPU_EXIT_DEBUG) {
            return exit;
        }
    }
}

int debug_signal(UserThread *thread, int number)
{
    int chosen;

    if (!debug.stub || !gdb_stub_connected(debug.stub)) {
        return number;
    }
    debug.pass_signal = 0;
    stop_here(thread, GDB_STOP_SIGNAL, number, 0);
    g_mutex_lock(&debug.lock);
    chosen = debug.pass_signal;
    g_mutex_unlock(&debug.lock);
    return chosen;
}

void debug_fork_begin(void)
{
    g_mutex_lock(&debug.lock);
}

void debug_fork_end(bool child)
{
    if (child && debug.stub) {
        gdb_stub_forked(debug.stub);
        debug.stub = NULL;
        debug.halted = false;
    }
    g_mutex_unlock(&debug.lock);
}

void debug_exiting(int status, bool by_signal)
{
    if (debug.stub) {
        gdb_stub_stopped(debug.stub,
                         by_signal ? GDB_STOP_KILLED : GDB_STOP_EXITED, 0,
                         status, 0);
        /* Its thread sends what is waiting before it ends. */
        gdb_stub_free(g_steal_pointer(&debug.stub));
    }
}

bool debug_start(UserProcess *process, const char *where, GError **error)
{
    static GdbTarget target;
    UserThread *thread = g_ptr_array_index(process->threads, 0);

    target = user_target;
    target.n_registers = debug_reg_count();
    debug.process = process;
    debug.halted = true;
    debug.stub = gdb_stub_new(where, &target, NULL, NULL, error);
    if (!debug.stub) {
        return false;
    }
    gdb_stub_stopped(debug.stub, GDB_STOP_SIGNAL, (uint64_t)thread->tid,
                     SIGTRAP, 0);
    return true;
}
