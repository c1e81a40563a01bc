/*
 * execve: e2k programs go back into the emulator, scripts to their
 * interpreter, everything else to the host kernel.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/elf-load.h"
#include "linux-user/proc-files.h"
#include "linux-user/ptrace.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"

#define BLANKS " \t"

enum { MAX_ARGS = 1 << 16, SCRIPT_LINE = 256, MAX_SCRIPT_DEPTH = 6 };

char **exec_prefix;

/* A guest vector of string pointers, copied; NULL on a bad address. */
static GPtrArray *copy_vector(UserThread *thread, uint64_t vector)
{
    GPtrArray *strings = g_ptr_array_new_with_free_func(g_free);
    unsigned width = thread->narrow ? 4 : 8;

    while (vector) {
        uint64_t pointer = 0;
        char *text;

        if (!guest_read(vector, &pointer, width) || strings->len > MAX_ARGS) {
            goto bad;
        }
        if (!pointer) {
            break;
        }
        text = guest_string(pointer);
        if (!text) {
            goto bad;
        }
        g_ptr_array_add(strings, text);
        vector += width;
    }
    return strings;

bad:
    g_ptr_array_free(strings, true);
    return NULL;
}

static bool is_e2k(const uint8_t *head, ssize_t size)
{
    return size >= 20 && memcmp(head, ELFMAG, SELFMAG) == 0 &&
           (ldw_le_p(head + 18) == EM_E2K || ldw_le_p(head + 18) == EM_E2K_OLD);
}

/*
 * "#! interpreter [argument]": puts both before the script's name.  head holds
 * the first SCRIPT_LINE bytes and a NUL.  As the kernel does it: only blanks
 * and tabs separate, the rest of the line is one argument, the line may be cut
 * off behind the interpreter's name but not in it.
 */
static bool add_interpreter(GPtrArray *argv, const char *head,
                            const char *script)
{
    const char *name = head + 2 + strspn(head + 2, BLANKS);
    const char *end = name + strcspn(name, "\n");
    const char *name_end = name + strcspn(name, BLANKS "\n");
    const char *argument = name_end + strspn(name_end, BLANKS);

    if (name == name_end || name_end == head + SCRIPT_LINE) {
        return false;
    }
    while (end > argument && strchr(BLANKS, end[-1])) {
        end--;
    }
    g_free(g_ptr_array_index(argv, 0));
    argv->pdata[0] = g_strdup(script);
    if (end > argument) {
        g_ptr_array_insert(argv, 0, g_strndup(argument, end - argument));
    }
    g_ptr_array_insert(argv, 0, g_strndup(name, name_end - name));
    return true;
}

static int64_t exec_host(const char *path, GPtrArray *argv, GPtrArray *envp)
{
    g_ptr_array_add(argv, NULL);
    g_ptr_array_add(envp, NULL);
    syscall(SYS_execve, path, argv->pdata, envp->pdata);
    return -errno;
}

static int64_t check_interpreter(UserProcess *process, const ElfImage *program,
                                 const CpuModel *model)
{
    g_autofree char *path = process_host_path(process, program->interpreter);
    ElfImage *image;
    bool good;

    if (access(path, R_OK) < 0) {
        return -errno;
    }
    image = elf_open(path, NULL);
    good = image && elf_check_interpreter(program, image, model, NULL);
    elf_free(image);
    return good ? 0 : -ELIBBAD;
}

/* What the kernel would say of an e2k program: 0 or -errno. */
static int64_t check_program(UserProcess *process, const char *path)
{
    const CpuModel *model = process->options.model;
    ElfImage *image = elf_open(path, NULL);
    int64_t result = -ENOEXEC;

    if (image && elf_choose_model(image, &model, NULL)) {
        result = image->interpreter
                     ? check_interpreter(process, image, model) : 0;
    }
    elf_free(image);
    return result;
}

static int64_t exec_guest(const char *path, GPtrArray *argv, GPtrArray *envp)
{
    char *traced = ptrace_exec_variable(current_thread);
    g_autoptr(GPtrArray) full = g_ptr_array_new();

    for (char **word = exec_prefix; *word; word++) {
        g_ptr_array_add(full, *word);
    }
    g_ptr_array_add(full, (char *)"-0");
    g_ptr_array_add(full, argv->len ? g_ptr_array_index(argv, 0) : (char *)"");
    g_ptr_array_add(full, (char *)path);
    for (guint i = 1; i < argv->len; i++) {
        g_ptr_array_add(full, g_ptr_array_index(argv, i));
    }
    if (traced) {
        g_ptr_array_add(envp, traced);
    }
    return exec_host(exec_prefix[0], full, envp);
}

int64_t process_exec(UserThread *thread, int dirfd, const char *path,
                     uint64_t argv, uint64_t envp, int flags)
{
    g_autoptr(GPtrArray) args = copy_vector(thread, argv);
    g_autoptr(GPtrArray) env = copy_vector(thread, envp);
    g_autofree char *at = NULL;

    if (!args || !env) {
        return -EFAULT;
    }
    if (!*path && (flags & AT_EMPTY_PATH)) {
        at = g_strdup_printf("/proc/self/fd/%d", dirfd);
    } else if (*path != '/' && dirfd != AT_FDCWD) {
        at = g_strdup_printf("/proc/self/fd/%d/%s", dirfd, path);
    } else if (proc_path_is_self(path, "exe")) {
        at = g_strdup(thread->process->exe); /* not the emulator */
    } else {
        at = process_host_path(thread->process, path);
    }
    for (int depth = 0; depth < MAX_SCRIPT_DEPTH; depth++) {
        uint8_t head[SCRIPT_LINE + 1] = { 0 };
        int fd = open(at, O_RDONLY | O_CLOEXEC);
        ssize_t size;

        if (fd < 0) {
            return -errno;
        }
        size = read(fd, head, SCRIPT_LINE);
        close(fd);
        if (access(at, X_OK) < 0) {
            return -errno;
        }
        if (is_e2k(head, size)) {
            int64_t wrong = check_program(thread->process, at);

            return wrong ? wrong : exec_guest(at, args, env);
        }
        if (size < 2 || head[0] != '#' || head[1] != '!') {
            return exec_host(at, args, env);
        }
        if (!args->len) {
            g_ptr_array_add(args, g_strdup(at));
        }
        if (!add_interpreter(args, (const char *)head, at)) {
            return -ENOEXEC;
        }
        g_free(at);
        at = process_host_path(thread->process, g_ptr_array_index(args, 0));
    }
    return -ELOOP;
}

int64_t sys_execve(UserThread *thread, const uint64_t *args)
{
    g_autofree char *path = guest_string(args[0]);

    return path ? process_exec(thread, AT_FDCWD, path, args[1], args[2], 0)
                : -EFAULT;
}

int64_t sys_execveat(UserThread *thread, const uint64_t *args)
{
    g_autofree char *path = guest_string(args[1]);

    return path ? process_exec(thread, (int)args[0], path, args[2], args[3],
                               (int)args[4])
                : -EFAULT;
}
