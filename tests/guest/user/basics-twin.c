/*
 * The twin of basics.s for the host: what is the same on every machine.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "tests/guest/user/twin.h"

static char buffer[4096];

static void memory(void)
{
    char *fresh = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t value = UINT64_C(0x1122334455667788);
    uint64_t found;
    uint32_t half;
    int64_t end;

    check(fresh != MAP_FAILED, "mmap");
    memcpy(&found, fresh + 8184, 8);
    check_eq((int64_t)found, 0, "fresh memory is zero");
    memcpy(fresh + 4100, &value, 8);
    memcpy(&half, fresh + 4104, 4);
    check_eq(half, 0x11223344, "misaligned store");
    fresh = mremap(fresh, 8192, 65536, MREMAP_MAYMOVE);
    memcpy(&found, fresh + 4100, 8);
    check_eq((int64_t)found, (int64_t)value, "mremap keeps contents");
    ANSWERS(0, "munmap", SYS_munmap, fresh, 65536);
    ANSWERS(-EFAULT, "unmapped memory gives EFAULT", SYS_write, 1, fresh, 1);
    ANSWERS(-EINVAL, "a misaligned fixed address is refused", SYS_mmap, 1,
            4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    end = CALL(SYS_brk, 0);
    check_eq(CALL(SYS_brk, end + 4096) - (end + 4096), 0, "brk grows");
    *(volatile int64_t *)end = end + 4096;
    check_eq(*(volatile int64_t *)end - (end + 4096), 0, "and is memory");
}

static void files(void)
{
    struct stat st;
    int ends[2];
    int fd;

    if (pipe(ends) < 0 || write(ends[1], "digit", 5) != 5) {
        return;
    }
    ANSWERS(5, "what goes into a pipe comes out", SYS_read, ends[0], buffer,
            100);
    fstat(ends[0], &st);
    check_eq(st.st_mode & S_IFMT, S_IFIFO, "fstat says that it is a pipe");
    if (CALL(SYS_readlink, "/proc/self/exe", buffer, sizeof(buffer)) < 0) {
        buffer[0] = 0;
    }
    check_eq(buffer[0], '/', "/proc/self/exe is an absolute name");
    fd = open("/proc/self/maps", O_RDONLY);
    check(CALL(SYS_read, fd, buffer, sizeof(buffer)) >= 64,
          "/proc/self/maps has text");
}

int main(int argc, char **argv)
{
    check_eq(argc, 1, "argc");
    check(argv[0] != NULL, "argv[0] is there");
    check_eq((intptr_t)argv[1], 0, "argv ends");
    ANSWERS(0, "uname", SYS_uname, buffer);
    ANSWERS(-EFAULT, "a bad pointer gives EFAULT", SYS_uname, 0x1000);
    memory();
    files();
    ANSWERS(-ENOSYS, "an unknown call gives ENOSYS", 435000);
    return plan();
}
