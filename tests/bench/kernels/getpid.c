#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/kernels/twin.h"

static uint64_t kernel(void)
{
    long first = syscall(SYS_getpid);
    uint64_t same = 0;

    for (unsigned n = 0; n < 100000; n++) {
        same += syscall(SYS_getpid) == first;
    }
    return same;
}
