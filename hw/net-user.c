/*
 * Networking without any rights, by libslirp; see net_user_new() in net.h.
 *
 * The library is not thread-safe: all calls are made by the backend's thread.
 * Its timers are kept in a list, since there are only a few.
 */
#include "hw/net-int.h"

#include "system/device.h"

#ifdef HAVE_LIBSLIRP

#include <libslirp.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

typedef struct UserTimer {
    SlirpTimerCb fire;
    void *opaque;
    int64_t at_ms; /* -1: not armed */
} UserTimer;

typedef struct NetUser {
    NetBackend net;
    Slirp *slirp;
    GPtrArray *timers;  /* UserTimer; owned */
    GArray *fds;        /* struct pollfd; [0] is wake_fd */
} NetUser;

static int64_t now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static ssize_t cb_send(const void *frame, size_t n, void *opaque)
{
    net_deliver(opaque, frame, n);
    return n;
}

static void cb_guest_error(const char *text, void *opaque)
{
    log_printf(LOG_GUEST_ERROR, "%s: %s\n", ((NetBackend *)opaque)->id, text);
}

static int64_t cb_clock_ns(void *opaque)
{
    return g_get_monotonic_time() * 1000;
}

static void *cb_timer_new(SlirpTimerCb fire, void *cb_opaque, void *opaque)
{
    NetUser *user = opaque;
    UserTimer *timer = g_new0(UserTimer, 1);

    timer->fire = fire;
    timer->opaque = cb_opaque;
    timer->at_ms = -1;
    g_ptr_array_add(user->timers, timer);
    return timer;
}

static void cb_timer_free(void *timer, void *opaque)
{
    NetUser *user = opaque;

    g_ptr_array_remove(user->timers, timer);
}

static void cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    ((UserTimer *)timer)->at_ms = expire_ms;
}

static void cb_ignore_fd(int fd, void *opaque)
{
}

static void cb_notify(void *opaque)
{
}

static const SlirpCb callbacks = {
    .send_packet = cb_send,
    .guest_error = cb_guest_error,
    .clock_get_ns = cb_clock_ns,
    .timer_new = cb_timer_new,
    .timer_free = cb_timer_free,
    .timer_mod = cb_timer_mod,
    .register_poll_fd = cb_ignore_fd,
    .unregister_poll_fd = cb_ignore_fd,
    .notify = cb_notify,
};

static const struct {
    int slirp;
    short host;
} poll_bits[] = {
    { SLIRP_POLL_IN, POLLIN },   { SLIRP_POLL_OUT, POLLOUT },
    { SLIRP_POLL_PRI, POLLPRI }, { SLIRP_POLL_ERR, POLLERR },
    { SLIRP_POLL_HUP, POLLHUP },
};

static int add_poll(int fd, int events, void *opaque)
{
    NetUser *user = opaque;
    struct pollfd item = { .fd = fd };

    for (size_t i = 0; i < G_N_ELEMENTS(poll_bits); i++) {
        item.events |= events & poll_bits[i].slirp ? poll_bits[i].host : 0;
    }
    g_array_append_val(user->fds, item);
    return user->fds->len - 1;
}

static int get_revents(int index, void *opaque)
{
    NetUser *user = opaque;
    short revents = g_array_index(user->fds, struct pollfd, index).revents;
    int events = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(poll_bits); i++) {
        events |= revents & poll_bits[i].host ? poll_bits[i].slirp : 0;
    }
    return events;
}

static void run_timers(NetUser *user)
{
    for (guint i = 0; i < user->timers->len; i++) {
        UserTimer *timer = g_ptr_array_index(user->timers, i);

        if (timer->at_ms >= 0 && timer->at_ms <= now_ms()) {
            timer->at_ms = -1;
            timer->fire(timer->opaque);
        }
    }
}

static int next_timeout(const NetUser *user, uint32_t timeout)
{
    for (guint i = 0; i < user->timers->len; i++) {
        const UserTimer *timer = g_ptr_array_index(user->timers, i);

        if (timer->at_ms >= 0) {
            timeout = MIN(timeout, MAX(timer->at_ms - now_ms(), 0));
        }
    }
    return timeout > G_MAXINT ? -1 : (int)timeout;
}

static void user_turn(NetBackend *net)
{
    NetUser *user = (NetUser *)net;
    struct pollfd wake = { .fd = net->wake_fd, .events = POLLIN };
    uint32_t timeout = UINT32_MAX;
    GBytes *frame;

    g_array_set_size(user->fds, 0);
    g_array_append_val(user->fds, wake);
    slirp_pollfds_fill(user->slirp, &timeout, add_poll, user);
    int ready = poll((struct pollfd *)user->fds->data, user->fds->len,
                     next_timeout(user, timeout));

    net_clear_wake(net);
    slirp_pollfds_poll(user->slirp, ready < 0, get_revents, user);
    run_timers(user);
    while ((frame = net_take(net))) {
        gsize n;
        const uint8_t *bytes = g_bytes_get_data(frame, &n);

        slirp_input(user->slirp, bytes, n);
        g_bytes_unref(frame);
    }
}

static void user_free(NetBackend *net)
{
    NetUser *user = (NetUser *)net;

    slirp_cleanup(user->slirp);
    g_ptr_array_unref(user->timers);
    g_array_unref(user->fds);
}

static const NetOps user_ops = { user_turn, user_free };

/* "tcp:[ADDRESS]:PORT-[GUEST]:PORT" */
static bool add_forward(NetUser *user, const char *text, GError **error)
{
    g_auto(GStrv) halves = g_strsplit(text, "-", 2);
    g_auto(GStrv) host = g_strsplit(halves[0] ? halves[0] : "", ":", 3);
    g_auto(GStrv) guest =
        g_strsplit(halves[0] && halves[1] ? halves[1] : "", ":", 2);
    struct in_addr host_address = { htonl(INADDR_LOOPBACK) };
    struct in_addr guest_address = { htonl(0x0a00020f) };

    if (g_strv_length(host) != 3 || g_strv_length(guest) != 2 ||
        (strcmp(host[0], "tcp") && strcmp(host[0], "udp")) ||
        (*host[1] && !inet_aton(host[1], &host_address)) ||
        (*guest[0] && !inet_aton(guest[0], &guest_address))) {
        g_set_error(error, SYSTEM_ERROR, 0, "'%s' is not "
                    "tcp|udp:[ADDRESS]:PORT-[GUEST]:PORT", text);
        return false;
    }
    if (slirp_add_hostfwd(user->slirp, !strcmp(host[0], "udp"), host_address,
                          atoi(host[2]), guest_address, atoi(guest[1])) < 0) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot forward '%s'", text);
        return false;
    }
    return true;
}

NetBackend *net_user_new(const char *id, const NetUserOptions *options,
                         GError **error)
{
    SlirpConfig config = {
        .version = 1,
        .restricted = options->restricted,
        .in_enabled = true,
        .vnetwork = { htonl(0x0a000200) },
        .vnetmask = { htonl(0xffffff00) },
        .vhost = { htonl(0x0a000202) },
        .vdhcp_start = { htonl(0x0a00020f) },
        .vnameserver = { htonl(0x0a000203) },
        .vhostname = "e2k-emu",
    };
    NetUser *user = net_new(sizeof(*user), &user_ops, id);
    bool ok = true;

    user->timers = g_ptr_array_new_with_free_func(g_free);
    user->fds = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    user->slirp = slirp_new(&config, &callbacks, user);
    for (const char **forward = options->forwards; ok && forward && *forward;
         forward++) {
        ok = add_forward(user, *forward, error);
    }
    if (!ok) {
        net_free(&user->net);
        return NULL;
    }
    net_start(&user->net);
    return &user->net;
}

#else

NetBackend *net_user_new(const char *id, const NetUserOptions *options,
                         GError **error)
{
    g_set_error(error, SYSTEM_ERROR, 0, "this build has no user networking "
                "(libslirp)");
    return NULL;
}

#endif
