/*
 * binfmt_misc registration of e2k-user: the kernel then starts e2k programs
 * through it, also inside a foreign root file system.
 */
#ifndef TOOLS_E2K_USER_BINFMT_H
#define TOOLS_E2K_USER_BINFMT_H

#include <glib.h>
#include <stdio.h>

/* Prints the lines of a binfmt.d file that name the interpreter. */
void binfmt_print(FILE *to, const char *interpreter);

/*
 * Writes /etc/binfmt.d/e2k.conf and, where the kernel's binfmt_misc is
 * mounted, registers at once.  Needs root.
 */
gboolean binfmt_install(const char *interpreter, GError **error);

#endif
