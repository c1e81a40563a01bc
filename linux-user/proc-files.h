/*
 * Files below /proc that must describe the guest: /proc/self/maps, exe,
 * auxv, cmdline, stat, status and /proc/cpuinfo, made when they are opened.
 * Also keeps track of which descriptors are the emulator's own.
 */
#ifndef LINUX_USER_PROC_FILES_H
#define LINUX_USER_PROC_FILES_H

#include "linux-user/process.h"

/*
 * Opens the guest's version of a path: a descriptor, -ENOENT when the path
 * is not one of these files, or another -errno.
 */
int proc_file_open(UserProcess *process, const char *path, int flags);

/* Whether the path is /proc/self/NAME or /proc/PID/NAME of this process. */
bool proc_path_is_self(const char *path, const char *name);

/* Descriptors that guest programs must not close. */
void fd_mark_ours(int fd);
bool fd_is_ours(int fd);
/* The lowest such descriptor at or above fd, or 0. */
unsigned fd_next_ours(unsigned fd);

#endif
