/*
 * ioctl: those of ioctls.def are converted, and pointers in them checked; all
 * others have the host's layout in both modes.  SIOCGIFCONF, which points at
 * an array of structures, has a function of its own.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux-user/syscall-narrow.h"

typedef struct IoctlEntry {
    uint32_t request, narrow;
    const char *form;
} IoctlEntry;

static const IoctlEntry ioctls[] = {
#define IOCTL(name, request, narrow, form)                                     \
    { request, (narrow) ? (narrow) : (request), form },
#include "linux-user/ioctls.def"
#undef IOCTL
};

enum { GET_IF_CONF = 0x8912, IFREQ_32 = 32, CONF_MOST = 1 << 16 };

static const IoctlEntry *find(uint32_t request, bool narrow)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ioctls); i++) {
        if ((narrow ? ioctls[i].narrow : ioctls[i].request) == request) {
            return &ioctls[i];
        }
    }
    return NULL;
}

static int64_t converted(UserThread *thread, const IoctlEntry *entry,
                         uint64_t fd, uint64_t address)
{
    const char *layout = entry->form + 1;
    unsigned size = layout_size(layout, thread->narrow);
    uint8_t guest[LAYOUT_MOST] = { 0 };
    uint8_t host[LAYOUT_MOST] __attribute__((aligned(16))) = { 0 };
    int64_t result;

    if (entry->form[0] != '>') {
        if (!guest_read(address, guest, size)) {
            return -EFAULT;
        }
        if (thread->narrow) {
            layout_widen(layout, guest, host);
        } else {
            memcpy(host, guest, size);
        }
        if (!layout_pointers_below(layout, host, USER_LIMIT)) {
            return -EFAULT;
        }
    }
    result = safe_syscall(SYS_ioctl, fd, entry->request, (uint64_t)host, 0, 0,
                          0);
    if (result < 0 || entry->form[0] == '<') {
        return result;
    }
    if (thread->narrow) {
        layout_narrow(layout, host, guest);
    }
    return guest_write(address, thread->narrow ? guest : host, size)
               ? result : -EFAULT;
}

/* The list of interfaces: a length and a pointer, NULL asks for the length. */
static int64_t get_if_conf(UserThread *thread, uint64_t fd, uint64_t address)
{
    unsigned step = thread->narrow ? IFREQ_32 : sizeof(struct ifreq);
    size_t width = thread->narrow ? 4 : 8;
    struct ifconf conf = { 0 };
    g_autofree char *list = NULL;
    uint64_t pointer = 0;
    int32_t length;
    int64_t result;

    if (!guest_read(address, &length, 4) ||
        !guest_read(address + width, &pointer, width)) {
        return -EFAULT;
    }
    length = CLAMP(length, 0, CONF_MOST) / (int)step;
    if (pointer) {
        conf.ifc_len = length * (int)sizeof(struct ifreq);
        conf.ifc_buf = list = g_malloc0((size_t)conf.ifc_len + 1);
    }
    result = safe_syscall(SYS_ioctl, fd, GET_IF_CONF, (uint64_t)&conf, 0, 0,
                          0);
    if (result < 0) {
        return result;
    }
    length = conf.ifc_len / (int)sizeof(struct ifreq);
    for (int i = 0; pointer && i < length; i++) {
        if (!guest_write(pointer + i * step,
                         list + i * sizeof(struct ifreq), step)) {
            return -EFAULT;
        }
    }
    length *= (int)step;
    return guest_write(address, &length, 4) ? result : -EFAULT;
}

int64_t sys_ioctl(UserThread *thread, const uint64_t *args)
{
    uint32_t request = (uint32_t)args[1];
    const IoctlEntry *entry = find(request, thread->narrow);

    if (request == GET_IF_CONF) {
        return get_if_conf(thread, args[0], args[2]);
    }
    if (entry && *entry->form) {
        return converted(thread, entry, args[0], args[2]);
    }
    return safe_syscall(SYS_ioctl, args[0], entry ? entry->request : request,
                        args[2], 0, 0, 0);
}
