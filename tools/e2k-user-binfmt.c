/*
 * binfmt_misc lines; see e2k-user-binfmt.h.  The magic is the ELF header up
 * to e_machine: class 1 or 2, little endian, version 1, any OS ABI, an
 * executable or shared object, machine 175 or the old 49.
 */
#include "tools/e2k-user-binfmt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BINFMT_DIR "/proc/sys/fs/binfmt_misc"

static const struct {
    const char *name;
    unsigned machine;
} entries[] = {
    { "e2k", 175 },
    { "e2k-old", 49 },
};

/* ":name:M::magic:mask:interpreter:F"; F: opened now, for use in chroots. */
static char *line(size_t index, const char *interpreter)
{
    return g_strdup_printf(
        ":%s:M::"
        "\\x7fELF\\x00\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
        "\\x02\\x00\\x%02x\\x00:"
        "\\xff\\xff\\xff\\xff\\xfc\\xff\\xff\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
        "\\x00\\x00\\xfe\\xff\\xff\\xff:%s:F",
        entries[index].name, entries[index].machine, interpreter);
}

void binfmt_print(FILE *to, const char *interpreter)
{
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *text = line(i, interpreter);

        fprintf(to, "%s\n", text);
    }
}

static gboolean fail(GError **error, const char *what)
{
    g_set_error(error, g_quark_from_static_string("binfmt-error"), 0, "%s: %s",
                what, g_strerror(errno));
    return FALSE;
}

static gboolean write_text(const char *path, int flags, const char *text,
                           GError **error)
{
    int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0644);
    gboolean ok;

    if (fd < 0) {
        return fail(error, path);
    }
    ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ||
         fail(error, path);
    close(fd);
    return ok;
}

gboolean binfmt_install(const char *interpreter, GError **error)
{
    g_autoptr(GString) all = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *text = line(i, interpreter);

        g_string_append_printf(all, "%s\n", text);
    }
    if (g_mkdir_with_parents("/etc/binfmt.d", 0755) < 0) {
        return fail(error, "/etc/binfmt.d");
    }
    if (!write_text("/etc/binfmt.d/e2k.conf", O_CREAT | O_TRUNC, all->str,
                    error)) {
        return FALSE;
    }
    if (access(BINFMT_DIR "/register", W_OK) < 0) {
        return TRUE; /* at the next boot, then */
    }
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *text = line(i, interpreter);
        g_autofree char *old =
            g_strdup_printf(BINFMT_DIR "/%s", entries[i].name);

        if (access(old, W_OK) == 0 && !write_text(old, 0, "-1", error)) {
            return FALSE;
        }
        if (!write_text(BINFMT_DIR "/register", 0, text, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
