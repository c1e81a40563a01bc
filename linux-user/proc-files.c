/*
 * Guest views of /proc files; see proc-files.h.
 */
#include "linux-user/proc-files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_OURS = 64 };

static int ours[MAX_OURS];
static int n_ours;

void fd_mark_ours(int fd)
{
    if (n_ours < MAX_OURS) {
        ours[n_ours++] = fd;
    }
}

bool fd_is_ours(int fd)
{
    for (int i = 0; i < n_ours; i++) {
        if (ours[i] == fd) {
            return true;
        }
    }
    return false;
}

unsigned fd_next_ours(unsigned fd)
{
    unsigned best = 0;

    for (int i = 0; i < n_ours; i++) {
        unsigned one = (unsigned)ours[i];

        if (one >= fd && (!best || one < best)) {
            best = one;
        }
    }
    return best;
}

bool proc_path_is_self(const char *path, const char *name)
{
    char mine[32];
    const char *rest;

    snprintf(mine, sizeof(mine), "/proc/%d/", getpid());
    if (g_str_has_prefix(path, "/proc/self/")) {
        rest = path + strlen("/proc/self/");
    } else if (g_str_has_prefix(path, "/proc/thread-self/")) {
        rest = path + strlen("/proc/thread-self/");
    } else if (g_str_has_prefix(path, mine)) {
        rest = path + strlen(mine);
    } else {
        return false;
    }
    return strcmp(rest, name) == 0;
}

static void write_maps(UserProcess *process, FILE *to)
{
    address_map_print(process->map, to);
}

static void write_auxv(UserProcess *process, FILE *to)
{
    g_autoptr(GByteArray) bytes = process_auxv(process);

    fwrite(bytes->data, 1, bytes->len, to);
}

static void write_cmdline(UserProcess *process, FILE *to)
{
    fwrite((const void *)process->arg_start, 1,
           process->arg_end - process->arg_start, to);
}

static void write_environ(UserProcess *process, FILE *to)
{
    fwrite((const void *)process->arg_end, 1,
           process->env_end - process->arg_end, to);
}

/* The host's line with the program's name and stack start put in. */
static void write_stat(UserProcess *process, FILE *to)
{
    g_autofree char *text = NULL;
    g_autofree char *name = g_path_get_basename(process->exe);
    g_auto(GStrv) fields = NULL;
    char *after;

    if (!g_file_get_contents("/proc/self/stat", &text, NULL, NULL) ||
        !(after = strrchr(text, ')'))) {
        return;
    }
    fields = g_strsplit(g_strchomp(after + 2), " ", -1);
    fprintf(to, "%d (%.15s)", getpid(), name);
    for (unsigned i = 0; fields[i]; i++) {
        if (i + 3 == 28) {
            fprintf(to, " %" PRIu64, process->stack_high);
        } else {
            fprintf(to, " %s", fields[i]);
        }
    }
    fputc('\n', to);
}

static void write_comm(UserProcess *process, FILE *to)
{
    g_autofree char *name = g_path_get_basename(process->exe);

    fprintf(to, "%.15s\n", name);
}

static void write_cpuinfo(UserProcess *process, FILE *to)
{
    const CpuModel *model = process->model;
    g_autofree char *upper = g_ascii_strup(model->name, -1);
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    for (long i = 0; i < n; i++) {
        fprintf(to,
                "processor\t: %ld\n"
                "vendor_id\t: %s\n"
                "cpu family\t: %u\n"
                "model\t\t: %u\n"
                "model name\t: %s\n"
                "revision\t: %u\n"
                "cpu MHz\t\t: 1000.000\n"
                "bogomips\t: 2000.00\n\n",
                i, upper, model->isa, model->mdl, upper, model->rev);
    }
}

static const struct {
    const char *name; /* below /proc/self, or an absolute path */
    void (*write)(UserProcess *process, FILE *to);
} proc_files[] = {
    { "maps", write_maps },       { "auxv", write_auxv },
    { "cmdline", write_cmdline }, { "environ", write_environ },
    { "stat", write_stat },       { "comm", write_comm },
    { "/proc/cpuinfo", write_cpuinfo },
};

static int make_file(UserProcess *process, size_t index, int flags)
{
    int fd = memfd_create(proc_files[index].name,
                          flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    int copy;
    FILE *to;

    if (fd < 0) {
        return -errno;
    }
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    to = copy < 0 ? NULL : fdopen(copy, "w");
    if (!to) {
        int error = errno;

        close(fd);
        return -error;
    }
    proc_files[index].write(process, to);
    fclose(to);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

int proc_file_open(UserProcess *process, const char *path, int flags)
{
    if (!g_str_has_prefix(path, "/proc/")) {
        return -ENOENT;
    }
    if (proc_path_is_self(path, "exe")) {
        int fd = open(process->exe, flags);

        return fd < 0 ? -errno : fd;
    }
    if (proc_path_is_self(path, "mem")) {
        return -EACCES; /* it shows the emulator's memory, too */
    }
    for (size_t i = 0; i < G_N_ELEMENTS(proc_files); i++) {
        const char *name = proc_files[i].name;

        if (name[0] == '/' ? strcmp(path, name) == 0
                           : proc_path_is_self(path, name)) {
            if ((flags & O_ACCMODE) != O_RDONLY) {
                return -EACCES;
            }
            return make_file(process, i, flags);
        }
    }
    return -ENOENT;
}
