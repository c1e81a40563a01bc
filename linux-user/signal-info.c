/*
 * siginfo in the guest's layout, which differs from the host's in the fault
 * and poll parts.  Source: shared facts "linux/structs.md" section 2.5.
 */
#include "linux-user/signal.h"

#include <string.h>

#include "util/bytes.h"

#define SIGBIT(n) (UINT64_C(1) << ((n) - 1))
#define FAULT_SIGNALS                                                          \
    (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGFPE) | SIGBIT(SIGILL) |      \
     SIGBIT(SIGTRAP))

void signal_info_to_guest(const siginfo_t *info, uint8_t guest[128],
                          bool narrow)
{
    uint8_t *fields = guest + (narrow ? 12 : 16);
    unsigned word = narrow ? 4 : 8;
    int code = info->si_code;

    memset(guest, 0, 128);
    stl_le_p(guest, info->si_signo);
    stl_le_p(guest + 4, info->si_errno);
    stl_le_p(guest + 8, code);
    if (code == SI_TIMER) {
        stl_le_p(fields, info->si_timerid);
        stl_le_p(fields + 4, info->si_overrun);
        memcpy(fields + 8, &info->si_value, word);
    } else if (code == SI_USER || code == SI_TKILL) {
        stl_le_p(fields, info->si_pid);
        stl_le_p(fields + 4, info->si_uid);
    } else if (code < 0) {
        stl_le_p(fields, info->si_pid);
        stl_le_p(fields + 4, info->si_uid);
        memcpy(fields + 8, &info->si_value, word);
    } else if (info->si_signo == SIGIO) {
        stl_le_p(fields, info->si_band);
        stl_le_p(fields + 4, info->si_fd);
    } else if (info->si_signo == SIGSYS) {
        memcpy(fields, &info->si_call_addr, word);
        stl_le_p(fields + word, info->si_syscall);
        stl_le_p(fields + word + 4, info->si_arch);
    } else if (SIGBIT(info->si_signo) & FAULT_SIGNALS) {
        /* Our own synthetic faults carry the trap number in si_errno. */
        memcpy(fields, &info->si_addr, word);
        stl_le_p(fields + word, info->si_errno);
        stl_le_p(guest + 4, 0);
    } else {
        /* SIGCHLD, or what else a child was to send at its end. */
        stl_le_p(fields, info->si_pid);
        stl_le_p(fields + 4, info->si_uid);
        stl_le_p(fields + 8, info->si_status);
        if (narrow) {
            stl_le_p(fields + 12, info->si_utime);
            stl_le_p(fields + 16, info->si_stime);
        } else {
            stq_le_p(fields + 16, info->si_utime);
            stq_le_p(fields + 24, info->si_stime);
        }
    }
}

void signal_info_from_guest(siginfo_t *info, const uint8_t guest[128],
                            bool narrow)
{
    const uint8_t *fields = guest + (narrow ? 12 : 16);

    memset(info, 0, sizeof(*info));
    info->si_signo = ldl_le_p(guest);
    info->si_errno = ldl_le_p(guest + 4);
    info->si_code = ldl_le_p(guest + 8);
    info->si_pid = ldl_le_p(fields);
    info->si_uid = ldl_le_p(fields + 4);
    memcpy(&info->si_value, fields + 8, narrow ? 4 : 8);
}
