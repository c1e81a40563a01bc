/*
 * How a connection's thread waits for the next request of a client that sends
 * one at a time: asleep in recv(), or awake, looking at the socket again and
 * again.
 *
 * Being woken takes long: the client pays for it, a halted CPU (of a virtual
 * machine above all) has to be started, and the thread has to be switched to.
 * But looking takes a CPU that the client or somebody else may need.  Which
 * is better depends on the machine, the client and the load, so both are
 * tried, in windows of WINDOW requests:
 *
 *     asleep: the quickest window is remembered (and slowly forgotten);
 *             after some windows, awake is given a try
 *     awake:  goes on as long as it beats the quickest window asleep by a
 *             tenth, and by more than the CPU time that it adds; each try that
 *             fails at once doubles the time to the next
 *
 * The quickest one, because a try moves threads to other CPUs, and they need
 * some requests to find back.  Awake also ends when the client is late
 * MISSES times in a row.  Clients that keep several requests in flight are
 * waited for asleep: they come in groups, and it is the group that is woken
 * for.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "nbd/server-int.h"

#define WINDOW   32u
#define FIRST    8u    /* windows asleep before the first try */
#define AGAIN    16u   /* after a failure, the first time */
#define AT_MOST  1024u
#define REMIND   4u    /* windows asleep now and then while awake is better */
#define STAY     256u  /* windows awake before that */
#define FORGET   16    /* of the quickest window: 1/16 each */
#define BAD      3u    /* windows in a row, of a try that began well */
#define MISSES   3u
#define AWAKE_NS 100000 /* how long to look, at most */
#define PAUSES   20     /* between two looks: about a microsecond */
#define CLIP_NS  300000 /* a client that thinks for long tells nothing */

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    for (int i = 0; i < PAUSES; i++) {
        __builtin_ia32_pause();
    }
#endif
}

static gint64 thread_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void begin(NbdWait *w, bool awake, unsigned windows)
{
    w->awake = awake;
    w->windows = windows;
    w->left = WINDOW;
    w->misses = 0;
    w->spent_ns = 0;
    w->cpu_ns = thread_cpu_ns();
}

static void failed(NbdWait *w)
{
    w->pause = CLAMP(w->pause * 2, AGAIN, AT_MOST);
    w->bad = 0;
    begin(w, false, w->pause);
}

static void end_asleep(NbdWait *w, gint64 cpu)
{
    w->asleep_ns += w->asleep_ns / FORGET;
    if (w->asleep_ns == 0 || w->spent_ns < w->asleep_ns) {
        w->asleep_ns = w->spent_ns;
        w->asleep_cpu_ns = cpu;
    }
    if (w->windows == 1) {
        /* Whoever shares our CPU cannot come while we look. */
        w->look_ns = MIN(2 * w->asleep_ns / WINDOW, AWAKE_NS);
        begin(w, true, STAY);
    } else {
        begin(w, false, w->windows - 1);
    }
}

/* Quicker by a tenth, and after weighing the CPU time by a tenth still? */
static bool is_better(const NbdWait *w, gint64 cpu)
{
    double time = (double)w->spent_ns / w->asleep_ns;

    return time < 0.9 && time * cpu < 0.9 * w->asleep_cpu_ns;
}

static void end_awake(NbdWait *w, gint64 cpu)
{
    if (is_better(w, cpu)) {
        w->pause = w->bad = 0;
    } else if (w->pause || ++w->bad == BAD) {
        failed(w);
        return;
    }
    if (w->windows == 1) {
        w->asleep_ns = 0;
        begin(w, false, REMIND);
    } else {
        begin(w, true, w->windows - 1);
    }
}

/* A request has come: in time, for one who waited awake? */
static void arrived(NbdWait *w, bool in_time)
{
    gint64 now = nbd_now_ns();

    w->spent_ns += MIN(now - w->last_ns, CLIP_NS);
    w->last_ns = now;
    w->misses = in_time ? 0 : w->misses + 1;
    if (w->misses == MISSES) {
        failed(w);
    } else if (--w->left == 0) {
        gint64 cpu = thread_cpu_ns() - w->cpu_ns;

        if (w->awake) {
            end_awake(w, cpu);
        } else {
            end_asleep(w, cpu);
        }
    }
}

/* Looks for a while; then sleeps and says so. */
static ssize_t recv_awake(NbdStream *stream, void *buf, size_t size,
                          gint64 look_ns, bool *in_time)
{
    gint64 until = nbd_now_ns() + look_ns;

    do {
        ssize_t n = recv(stream->fd, buf, size, MSG_DONTWAIT);

        if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return n < 0 ? -errno : n;
        }
        relax();
    } while (nbd_now_ns() < until);
    *in_time = false;
    return nbd_stream_recv(stream, buf, size);
}

ssize_t nbd_wait_recv(NbdConnection *conn, void *buf, size_t size,
                      bool next_request)
{
    NbdWait *w = &conn->wait;
    bool in_time = true;
    ssize_t n;

    if (conn->stream.session ||
        (conn->server->params.tune & NBD_TUNE_NO_AWAKE)) {
        return nbd_stream_recv(&conn->stream, buf, size);
    }
    if (next_request && w->served != 1) {
        w->awake = false;
        w->left = 0;
    } else if (next_request && w->left == 0) {
        w->last_ns = nbd_now_ns();
        w->pause = AGAIN / 2;
        begin(w, false, FIRST);
    }
    n = w->awake ? recv_awake(&conn->stream, buf, size, w->look_ns, &in_time)
                 : nbd_stream_recv(&conn->stream, buf, size);
    if (next_request) {
        w->served = 0;
        if (w->left > 0) {
            arrived(w, in_time);
        }
    }
    return n;
}
