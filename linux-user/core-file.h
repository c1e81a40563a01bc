/*
 * Core files of the guest: what its own kernel would have left, for debuggers
 * that know e2k.
 *
 *   ELF header | PT_NOTE | PT_LOAD ... | notes | memory
 *
 * Notes are NT_PRSTATUS of each thread, the dying one first, NT_PRPSINFO,
 * NT_SIGINFO, NT_AUXV and NT_FILE.  Memory is what the program could have
 * changed; file contents that it could not are left out.  The hardware stacks
 * of the dying thread are segments at their guest addresses, in the CPU's
 * memory format.
 */
#ifndef LINUX_USER_CORE_FILE_H
#define LINUX_USER_CORE_FILE_H

#include <signal.h>

#include "linux-user/process.h"

/*
 * Writes PROGRAM.PID.core into the current directory, when RLIMIT_CORE allows
 * any; afterwards the host writes none of the emulator.  Says where.
 */
void core_file_write(UserThread *thread, const siginfo_t *info);

#endif
