/*
 * Calls whose structures point at further memory: I/O vectors and socket
 * messages.  The vectors are copied and every address in them is checked, so
 * that the kernel never touches the emulator's memory for the guest, whatever
 * another thread writes there meanwhile.  The two layouts differ in width
 * only.
 */
#include "linux-user/syscall.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "util/bytes.h"

enum { MOST_MESSAGES = 1024 };

static bool range_ok(uint64_t address, uint64_t size)
{
    return !size || (address < USER_LIMIT && size <= USER_LIMIT - address);
}

static uint64_t word_at(const uint8_t *bytes, unsigned index, bool narrow)
{
    return narrow ? (uint64_t)ldl_le_p(bytes + 4 * index)
                  : ldq_le_p(bytes + 8 * index);
}

int64_t guest_iovec(UserThread *thread, uint64_t address, uint64_t count,
                    struct iovec **result)
{
    bool narrow = thread->narrow;
    unsigned entry = narrow ? 8 : 16;
    g_autofree struct iovec *vector = NULL;
    g_autofree uint8_t *bytes = NULL;

    *result = NULL;
    if (count > IOV_MAX) {
        return -EINVAL;
    }
    bytes = g_malloc(count * entry + 1);
    if (count && !guest_read(address, bytes, count * entry)) {
        return -EFAULT;
    }
    vector = g_new0(struct iovec, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t base = word_at(bytes, 2 * i, narrow);
        uint64_t size = word_at(bytes, 2 * i + 1, narrow);

        if ((int64_t)size < 0) {
            return -EINVAL;
        }
        if (!range_ok(base, size)) {
            return -EFAULT;
        }
        vector[i] = (struct iovec){ (void *)base, size };
    }
    *result = g_steal_pointer(&vector);
    return 0;
}

/* readv and its family: descriptor, vector, count and up to three more. */
int64_t sys_iov(UserThread *thread, const uint64_t *args)
{
    g_autofree struct iovec *vector = NULL;
    int64_t error = guest_iovec(thread, args[1], args[2], &vector);
    uint64_t position = args[3];

    if (thread->narrow && syscall_host_number() != SYS_vmsplice) {
        position |= args[4] << 32; /* low and high half */
    }
    return error ? error
                 : safe_syscall(syscall_host_number(), args[0],
                                (uint64_t)vector, args[2], position, args[4],
                                args[5]);
}

int64_t sys_process_vm(UserThread *thread, const uint64_t *args)
{
    g_autofree struct iovec *local = NULL;
    g_autofree struct iovec *remote = NULL;
    int64_t error = guest_iovec(thread, args[1], args[2], &local);

    if (!error) {
        error = guest_iovec(thread, args[3], args[4], &remote);
    }
    return error ? error
                 : safe_syscall(syscall_host_number(), args[0],
                                (uint64_t)local, args[2], (uint64_t)remote,
                                args[4], args[5]);
}

/* ------------------------------------------------------------------ */
/* Messages */

/* Words of a msghdr: name, name length, vector, count, control, its length
 * and flags; the second and the last are ints. */
enum { NAME, NAME_LENGTH, VECTOR, COUNT, CONTROL, CONTROL_LENGTH, FLAGS };
enum { MESSAGE_64 = 56, MESSAGE_32 = 28 };

/*
 * Control messages of 32-bit programs have narrow headers and alignment:
 * length u32, level, type; host: length u64, level, type.
 */
static size_t widen_control(const uint8_t *from, size_t size, uint8_t *to)
{
    size_t at = 0;
    size_t out = 0;

    while (size - at >= 12) {
        uint32_t length = ldl_le_p(from + at);

        if (length < 12 || length > size - at) {
            break;
        }
        stq_le_p(to + out, length + 4);
        memcpy(to + out + 8, from + at + 4, length - 4);
        out += (length + 4 + 7) & ~(size_t)7;
        at = MIN(size, at + ((length + 3) & ~3u));
    }
    return out;
}

static size_t narrow_control(const uint8_t *from, size_t size, uint8_t *to,
                             size_t room)
{
    size_t at = 0;
    size_t out = 0;

    while (size - at >= 16) {
        uint64_t length = ldq_le_p(from + at);

        if (length < 16 || length > size - at || length - 4 > room - out) {
            break;
        }
        stl_le_p(to + out, length - 4);
        memcpy(to + out + 4, from + at + 8, length - 8);
        out = MIN(room, out + ((length - 4 + 3) & ~UINT64_C(3)));
        at = MIN(size, at + ((length + 7) & ~UINT64_C(7)));
    }
    return out;
}

typedef struct Message {
    struct msghdr host;
    struct iovec *vector;
    uint8_t *control;       /* of a 32-bit program; NULL: in place */
    uint64_t guest_control;
    uint64_t guest_control_length;
} Message;

static void message_clear(Message *m)
{
    g_free(m->vector);
    g_free(m->control);
}

static int64_t take_message(UserThread *thread, uint64_t address, bool send,
                            Message *m)
{
    enum { MOST_CONTROL = 64 << 10 };
    bool narrow = thread->narrow;
    uint8_t bytes[MESSAGE_64];
    uint64_t name;
    int64_t error;

    memset(m, 0, sizeof(*m));
    if (!guest_read(address, bytes, narrow ? MESSAGE_32 : MESSAGE_64)) {
        return -EFAULT;
    }
    name = word_at(bytes, NAME, narrow);
    m->host.msg_name = (void *)name;
    m->host.msg_namelen = (uint32_t)word_at(bytes, NAME_LENGTH, narrow);
    m->guest_control = word_at(bytes, CONTROL, narrow);
    m->guest_control_length = word_at(bytes, CONTROL_LENGTH, narrow);
    m->host.msg_flags = ldl_le_p(bytes + FLAGS * (narrow ? 4 : 8));
    m->host.msg_iovlen = word_at(bytes, COUNT, narrow);
    if (name >= USER_LIMIT || m->guest_control >= USER_LIMIT) {
        return -EFAULT;
    }
    if (m->host.msg_iovlen > IOV_MAX) {
        return -EMSGSIZE;
    }
    error = guest_iovec(thread, word_at(bytes, VECTOR, narrow),
                        m->host.msg_iovlen, &m->vector);
    if (error) {
        return error;
    }
    m->host.msg_iov = m->vector;
    m->host.msg_control = (void *)m->guest_control;
    m->host.msg_controllen = m->guest_control_length;
    if (narrow && m->guest_control && m->guest_control_length) {
        size_t size = MIN(m->guest_control_length, MOST_CONTROL);
        g_autofree uint8_t *theirs = g_malloc0(size);

        m->control = g_malloc0(2 * size + 64);
        m->host.msg_control = m->control;
        m->host.msg_controllen = 2 * size + 16;
        if (send) {
            if (!guest_read(m->guest_control, theirs, size)) {
                return -EFAULT;
            }
            m->host.msg_controllen = widen_control(theirs, size, m->control);
        }
    }
    return 0;
}

/* What recvmsg changes: both lengths and the flags. */
static bool give_message(UserThread *thread, uint64_t address, Message *m)
{
    bool narrow = thread->narrow;
    unsigned word = narrow ? 4 : 8;
    uint64_t control = m->host.msg_controllen;

    if (m->control) {
        size_t room = MIN(m->guest_control_length, control);
        g_autofree uint8_t *theirs = g_malloc0(room + 1);

        control = narrow_control(m->control, control, theirs, room);
        if (!guest_write(m->guest_control, theirs, control)) {
            return false;
        }
    }
    return guest_write(address + NAME_LENGTH * word, &m->host.msg_namelen,
                       4) &&
           guest_write(address + CONTROL_LENGTH * word, &control, word) &&
           guest_write(address + FLAGS * word, &m->host.msg_flags, 4);
}

int64_t sys_sendmsg(UserThread *thread, const uint64_t *args)
{
    Message m;
    int64_t result = take_message(thread, args[1], true, &m);

    if (!result) {
        result = safe_syscall(SYS_sendmsg, args[0], (uint64_t)&m.host,
                              args[2], 0, 0, 0);
    }
    message_clear(&m);
    return result;
}

int64_t sys_recvmsg(UserThread *thread, const uint64_t *args)
{
    Message m;
    int64_t result = take_message(thread, args[1], false, &m);

    if (!result) {
        result = safe_syscall(SYS_recvmsg, args[0], (uint64_t)&m.host,
                              args[2], 0, 0, 0);
    }
    if (result >= 0 && !give_message(thread, args[1], &m)) {
        result = -EFAULT;
    }
    message_clear(&m);
    return result;
}

static int64_t many_messages(UserThread *thread, const uint64_t *args,
                             bool send)
{
    unsigned size = thread->narrow ? MESSAGE_32 + 4 : MESSAGE_64 + 8;
    unsigned length_at = thread->narrow ? MESSAGE_32 : MESSAGE_64;
    unsigned count = MIN((uint32_t)args[2], MOST_MESSAGES);
    g_autofree Message *messages = g_new0(Message, count + 1);
    g_autofree struct mmsghdr *host = g_new0(struct mmsghdr, count + 1);
    int64_t result = 0;
    unsigned n;

    for (n = 0; n < count; n++) {
        result = take_message(thread, args[1] + n * size, send, &messages[n]);
        if (result) {
            message_clear(&messages[n]);
            break;
        }
        host[n].msg_hdr = messages[n].host;
    }
    /* As in the kernel, a bad message ends the list, unless it is the first. */
    if (n || !result) {
        result = safe_syscall(send ? SYS_sendmmsg : SYS_recvmmsg, args[0],
                              (uint64_t)host, n, args[3], send ? 0 : args[4],
                              0);
    }
    for (int64_t i = 0; i < result; i++) {
        messages[i].host = host[i].msg_hdr;
        if ((!send &&
             !give_message(thread, args[1] + i * size, &messages[i])) ||
            !guest_write(args[1] + i * size + length_at, &host[i].msg_len,
                         4)) {
            result = i ? i : -EFAULT;
            break;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        message_clear(&messages[i]);
    }
    return result;
}

int64_t sys_sendmmsg(UserThread *thread, const uint64_t *args)
{
    return many_messages(thread, args, true);
}

int64_t sys_recvmmsg(UserThread *thread, const uint64_t *args)
{
    struct timespec ts;
    uint64_t copy[SYSCALL_ARGS];
    int64_t words[2];

    memcpy(copy, args, sizeof(copy));
    if (args[4] && thread->narrow) {
        int32_t pair[2];

        if (!guest_read(args[4], pair, 8)) {
            return -EFAULT;
        }
        words[0] = pair[0];
        words[1] = pair[1];
    } else if (args[4] && !guest_read(args[4], words, 16)) {
        return -EFAULT;
    }
    if (args[4]) {
        ts = (struct timespec){ words[0], words[1] };
        copy[4] = (uint64_t)&ts;
    }
    return many_messages(thread, copy, false);
}
