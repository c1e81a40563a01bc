/*
 * Names for guest addresses, from the symbol tables of the mapped files.
 * Slow (reads the file each time): for crash reports only.
 */
#ifndef LINUX_USER_SYMBOLS_H
#define LINUX_USER_SYMBOLS_H

#include "linux-user/process.h"

/* "main+0x18 (prog)", "(prog+0x1234)" or "?"; owned by the caller. */
char *symbol_describe(UserProcess *process, uint64_t address);

#endif
