/*
 * The twin of ioctls.s for the host: what every host has, and that
 * block-device requests to something else are refused.
 */
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/loop.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/guest/user/twin.h"

enum { CANARY = 0x5e5e5e5e };

static int32_t buffer[1024];

static void fill(void)
{
    memset(buffer, 0x5e, sizeof(buffer));
}

#define NOT_HERE(request)                                                     \
    ANSWERS(-ENOTTY, #request " is not for this", SYS_ioctl, ends[0],         \
            request, buffer)

static void pipes(void)
{
    int ends[2];

    if (pipe(ends) < 0 || write(ends[1], "abc", 3) != 3) {
        return;
    }
    fill();
    ANSWERS(0, "FIONREAD", SYS_ioctl, ends[0], FIONREAD, buffer);
    check_eq(buffer[1], CANARY, "has 4 bytes");
    check(buffer[0] != CANARY, "all of them");
    NOT_HERE(BLKGETSIZE);
    NOT_HERE(BLKGETSIZE64);
    NOT_HERE(BLKSSZGET);
    NOT_HERE(BLKROGET);
    NOT_HERE(BLKBSZGET);
    NOT_HERE(LOOP_GET_STATUS64);
    NOT_HERE(HDIO_GETGEO);
}

static void interfaces(void)
{
    struct ifreq *request = (struct ifreq *)buffer;
    struct ifconf conf = { .ifc_len = 0 };
    int fd;

    GIVES(fd, "a socket", SYS_socket, AF_INET, SOCK_DGRAM, 0);
    fill();
    memset(request->ifr_name, 0, sizeof(request->ifr_name));
    request->ifr_name[0] = 'l';
    request->ifr_name[1] = 'o';
    ANSWERS(0, "SIOCGIFINDEX", SYS_ioctl, fd, SIOCGIFINDEX, request);
    check_eq(request->ifr_ifindex, 1, "the loopback is the first");
    check_eq(buffer[sizeof(*request) / 4], CANARY,
             "the structure has its size");
    ANSWERS(0, "SIOCGIFCONF", SYS_ioctl, fd, SIOCGIFCONF, &conf);
    check_eq(conf.ifc_len % (int)sizeof(*request), 0, "has whole structures");
}

int main(void)
{
    pipes();
    interfaces();
    return plan();
}
