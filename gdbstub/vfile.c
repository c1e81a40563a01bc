/*
 * Host I/O packets (vFile): the debugger reads files that the target sees,
 * for example the program itself.  Reading and writing of files by name is
 * what a debugger's user may do anyway, with this process's rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gdbstub/stub-int.h"

enum { STAT_BYTES = 64, READ_MOST = GDB_PACKET_MOST / 2 - 64 };

/* GDB's own errno numbers; 9999 for all others. */
static int gdb_errno(int number)
{
    switch (number) {
    case EPERM: case ENOENT: case EINTR: case EBADF: case EACCES: case EFAULT:
    case EBUSY: case EEXIST: case ENODEV: case ENOTDIR: case EISDIR:
    case EINVAL: case ENFILE: case EMFILE: case EFBIG: case ENOSPC:
    case ESPIPE: case EROFS:
        return number;
    case ENAMETOOLONG:
        return 91;
    default:
        return 9999;
    }
}

static void reply(GdbStub *stub, int64_t result, const void *data, size_t size)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree char *head =
        result < 0 ? g_strdup_printf("F-1,%x", gdb_errno(errno))
                   : g_strdup_printf("F%lx%s", (unsigned long)result,
                                     data ? ";" : "");

    g_byte_array_append(out, (const uint8_t *)head, (guint)strlen(head));
    if (result >= 0 && data) {
        g_byte_array_append(out, data, (guint)size);
    }
    gdb_stub_send(stub, out->data, out->len);
}

/* The hex-coded name at *text, which moves to behind it. */
static char *parse_name(const char **text)
{
    size_t digits = strspn(*text, "0123456789abcdefABCDEF");
    char *name = g_malloc0(digits / 2 + 1);

    gdb_hex_bytes(*text, (uint8_t *)name, digits / 2);
    *text += digits;
    return name;
}

static bool parse_numbers(const char *text, uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i && *text++ != ',') {
            return false;
        }
        if (!gdb_hex_number(&text, &numbers[i])) {
            return false;
        }
    }
    return true;
}

static int host_flags(uint64_t flags)
{
    int host = O_CLOEXEC | (int)(flags & 3);

    host |= flags & 0x8 ? O_APPEND : 0;
    host |= flags & 0x200 ? O_CREAT : 0;
    host |= flags & 0x400 ? O_TRUNC : 0;
    host |= flags & 0x800 ? O_EXCL : 0;
    return host;
}

static void put_be(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
}

static void do_fstat(GdbStub *stub, int fd)
{
    uint8_t out[STAT_BYTES] = { 0 };
    struct stat st;

    if (fstat(fd, &st) < 0) {
        reply(stub, -1, NULL, 0);
        return;
    }
    put_be(out, st.st_dev, 4);
    put_be(out + 4, st.st_ino, 4);
    put_be(out + 8, st.st_mode, 4);
    put_be(out + 12, st.st_nlink, 4);
    put_be(out + 16, st.st_uid, 4);
    put_be(out + 20, st.st_gid, 4);
    put_be(out + 28, (uint64_t)st.st_size, 8);
    put_be(out + 36, (uint64_t)st.st_blksize, 8);
    put_be(out + 44, (uint64_t)st.st_blocks, 8);
    put_be(out + 52, (uint64_t)st.st_atime, 4);
    put_be(out + 56, (uint64_t)st.st_mtime, 4);
    put_be(out + 60, (uint64_t)st.st_ctime, 4);
    reply(stub, sizeof(out), out, sizeof(out));
}

static int open_file(GdbStub *stub, const char *name, int flags, mode_t mode)
{
    int fd = -ENOENT;

    if (stub->target->open_file) {
        fd = stub->target->open_file(stub->opaque, name, flags);
    }
    if (fd == -ENOENT) {
        return open(name, flags, mode);
    }
    errno = fd < 0 ? -fd : 0;
    return fd < 0 ? -1 : fd;
}

void gdb_stub_vfile(GdbStub *stub, const char *text, size_t size)
{
    g_autofree char *name = NULL;
    g_autofree uint8_t *bytes = NULL;
    uint64_t n[3];

    if (g_str_has_prefix(text, "setfs:")) {
        reply(stub, 0, NULL, 0);
    } else if (g_str_has_prefix(text, "open:")) {
        text += strlen("open:");
        name = parse_name(&text);
        if (*text++ != ',' || !parse_numbers(text, n, 2)) {
            errno = EINVAL;
            reply(stub, -1, NULL, 0);
            return;
        }
        reply(stub, open_file(stub, name, host_flags(n[0]), (mode_t)n[1]),
              NULL, 0);
    } else if (g_str_has_prefix(text, "close:") &&
               parse_numbers(text + strlen("close:"), n, 1)) {
        reply(stub, close((int)n[0]), NULL, 0);
    } else if (g_str_has_prefix(text, "pread:") &&
               parse_numbers(text + strlen("pread:"), n, 3)) {
        ssize_t got;

        n[1] = MIN(n[1], READ_MOST);
        bytes = g_malloc(n[1] + 1);
        got = pread((int)n[0], bytes, n[1], (off_t)n[2]);
        reply(stub, got, bytes, got > 0 ? (size_t)got : 0);
    } else if (g_str_has_prefix(text, "fstat:") &&
               parse_numbers(text + strlen("fstat:"), n, 1)) {
        do_fstat(stub, (int)n[0]);
    } else if (g_str_has_prefix(text, "readlink:")) {
        char target[4096];
        ssize_t got;

        text += strlen("readlink:");
        name = parse_name(&text);
        got = readlink(name, target, sizeof(target));
        reply(stub, got, target, got > 0 ? (size_t)got : 0);
    } else {
        gdb_stub_send_text(stub, "");
    }
}
