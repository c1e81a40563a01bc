/*
 * Monitors, their sessions, and the two threads that serve them.
 *
 *   Monitor   a place to connect to: listener, outgoing socket, stdio
 *     Session one client: lexer in, request queue, byte buffer out
 *
 * A monitor has one session at a time; further clients wait in the listener's
 * backlog.  Sessions are reference counted: the I/O thread holds one
 * reference while the descriptor is open, queued requests one each.
 *
 * Locks: `lock` guards the list of sessions, the request queue and every
 * session's output; it is never held while a command runs.
 */
#include "monitor/monitor-int.h"
#include "monitor/wire-order.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib/gstdio.h>

#define QUEUE_LIMIT 8 /* requests of a session before we stop reading */
#define OUTPUT_LIMIT (64 * 1024 * 1024) /* a client that never reads is cut */
#define READ_SIZE 4096

typedef struct Monitor {
    MonitorAddress address; /* path and host NULL: stdio */
    MonitorMode mode;
    int listen_fd;
    int first_fd; /* client accepted by wait=on, or a connection made */
    GSource *accept_source;
    struct Session *session; /* I/O thread */
} Monitor;

typedef struct Session {
    int refs;
    Monitor *monitor;
    int in_fd, out_fd;
    GSource *in_source, *out_source; /* I/O thread */
    MonitorLexer *lexer;
    GString *line; /* of a human, not complete */
    bool negotiated, oob, closed;
    unsigned queued; /* lock */
    GString *output; /* lock */
    bool eof; /* nothing more will be read: close when answered */
} Session;

typedef struct Request {
    Session *session;
    json_t *json; /* NULL: error is to be reported in turn */
    char *line;   /* of a human, instead of json */
    GError *error;
} Request;

static GMutex lock;
static GCond queue_changed;
static GQueue requests = G_QUEUE_INIT; /* lock */
static bool stopping;                  /* lock */
static GPtrArray *sessions;            /* lock; borrowed */
static GPtrArray *monitors;            /* of Monitor; set-up, then I/O thread */
static GMainContext *context;
static GMainLoop *loop;
static MonitorHumanFn *human_fn;
static void *human_opaque;
static GThread *io_thread, *dispatch_thread;

/* ---- Output ------------------------------------------------------------- */

static void session_unref(Session *s)
{
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        monitor_lexer_free(s->lexer);
        g_string_free(s->line, TRUE);
        g_string_free(s->output, TRUE);
        g_free(s);
    }
}

static void session_ref(Session *s)
{
    __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
}

/* Writes what the descriptor takes; lock held.  False: the peer is gone. */
static bool push_output(Session *s)
{
    while (s->output->len) {
        ssize_t n = s->closed ? -1
                              : write(s->out_fd, s->output->str,
                                      s->output->len);

        if (n < 0 && !s->closed && errno == EINTR) {
            continue;
        }
        if (n < 0 && !s->closed && errno == EAGAIN) {
            return s->output->len < OUTPUT_LIMIT;
        }
        if (n <= 0) {
            g_string_set_size(s->output, 0);
            return false;
        }
        g_string_erase(s->output, 0, n);
    }
    return true;
}

static gboolean output_ready(int fd, GIOCondition condition, gpointer data)
{
    Session *s = data;
    bool more;

    g_mutex_lock(&lock);
    push_output(s);
    more = s->output->len != 0 && !s->closed;
    if (!more) {
        s->out_source = NULL;
    }
    g_mutex_unlock(&lock);
    return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void session_close(Session *s);

static gboolean close_later(gpointer data)
{
    session_close(data);
    session_unref(data);
    return G_SOURCE_REMOVE;
}

static void run_in_io_thread(GSourceFunc fn, Session *s)
{
    GSource *source = g_idle_source_new();

    session_ref(s);
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, fn, s, NULL);
    g_source_attach(source, context);
    g_source_unref(source);
}

static gboolean watch_output(gpointer data)
{
    Session *s = data;

    g_mutex_lock(&lock);
    if (!s->closed && !s->out_source && s->output->len) {
        s->out_source = g_unix_fd_source_new(s->out_fd, G_IO_OUT | G_IO_ERR |
                                                            G_IO_HUP);
        g_source_set_callback(s->out_source, G_SOURCE_FUNC(output_ready), s,
                              NULL);
        g_source_attach(s->out_source, context);
        g_source_unref(s->out_source); /* the context holds it */
    }
    g_mutex_unlock(&lock);
    session_unref(s);
    return G_SOURCE_REMOVE;
}

/* Sends what has been appended to the output; lock held. */
static void send_locked(Session *s)
{
    if (!push_output(s)) {
        run_in_io_thread(close_later, s);
    } else if (s->output->len) {
        run_in_io_thread(watch_output, s);
    }
}

/* Appends indented text; what is empty gets its end on a line of its own, as
 * other programs print it. */
static void append_pretty(GString *to, const char *text)
{
    unsigned depth = 0;
    bool in_string = false;

    for (const char *p = text; *p; p++) {
        g_string_append_c(to, *p);
        if (in_string) {
            if (*p == '\\') {
                g_string_append_c(to, *++p);
            } else {
                in_string = *p != '"';
            }
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '{' || *p == '[') {
            depth++;
            if (p[1] == '}' || p[1] == ']') {
                g_string_append_printf(to, "\n%*s", 4 * (int)(depth - 1), "");
            }
        } else if (*p == '}' || *p == ']') {
            depth--;
        }
    }
}

/* Queues one JSON value as a line; lock held. */
static void say_locked(Session *s, json_t *json)
{
    bool pretty = s->monitor->mode == MONITOR_QMP_PRETTY;
    json_t *ordered = monitor_wire_order(json);
    char *text = json_dumps(ordered, JSON_ENSURE_ASCII | JSON_ENCODE_ANY |
                                         (pretty ? JSON_INDENT(4) : 0));

    json_decref(ordered);
    if (!text || s->closed) {
        free(text);
        return;
    }
    if (pretty) {
        append_pretty(s->output, text);
    } else {
        g_string_append(s->output, text);
    }
    g_string_append(s->output, "\r\n");
    free(text);
    send_locked(s);
}

static void say(Session *s, json_t *json)
{
    g_mutex_lock(&lock);
    say_locked(s, json);
    g_mutex_unlock(&lock);
    json_decref(json);
}

/* Text for a human: lines end as terminals want it. */
static void print(Session *s, const char *text)
{
    g_mutex_lock(&lock);
    for (; *text && !s->closed; text++) {
        if (*text == '\n') {
            g_string_append_c(s->output, '\r');
        }
        g_string_append_c(s->output, *text);
    }
    send_locked(s);
    g_mutex_unlock(&lock);
}

/* Takes over the event; lock held. */
static void tell_all(json_t *event)
{
    for (guint i = 0; sessions && i < sessions->len; i++) {
        Session *s = g_ptr_array_index(sessions, i);

        if (s->negotiated) {
            say_locked(s, event);
        }
    }
    json_decref(event);
}

void monitor_event(const char *name, json_t *data)
{
    gint64 now = g_get_real_time();
    json_t *event = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds",
                              (json_int_t)(now / G_USEC_PER_SEC),
                              "microseconds",
                              (json_int_t)(now % G_USEC_PER_SEC), "event",
                              name);

    if (data) {
        json_object_set_new(event, "data", data);
    }
    g_mutex_lock(&lock);
    tell_all(event);
    g_mutex_unlock(&lock);
}

/* ---- Requests ----------------------------------------------------------- */

/* Capabilities negotiation: everything else has to wait for it. */
static json_t *negotiate(Session *s, json_t *request)
{
    json_t *args = json_object_get(request, "arguments");
    json_t *enable = json_object_get(args, "enable");
    const QmpRegistered *found = NULL;
    g_autoptr(GError) error = NULL;
    size_t index;
    json_t *word;
    bool oob;

    if (!monitor_check_request(request, false, &oob, &found, &error)) {
        if (!g_error_matches(error, MONITOR_ERROR,
                             MONITOR_ERROR_COMMAND_NOT_FOUND)) {
            return monitor_error_reply(request, error);
        }
        g_clear_error(&error);
    }
    if (!found || strcmp(found->command->name, "qmp_capabilities") != 0) {
        error = g_error_new(MONITOR_ERROR, MONITOR_ERROR_COMMAND_NOT_FOUND,
                            "Expecting capabilities negotiation with "
                            "'qmp_capabilities'");
        return monitor_error_reply(request, error);
    }
    if (args && !qmp_check(args, found->command->args, "", &error)) {
        return monitor_error_reply(request, error);
    }
    json_array_foreach(enable, index, word) {
        s->oob |= !strcmp(json_string_value(word), "oob");
    }
    s->negotiated = true;
    word = json_pack("{s:{}}", "return");
    if (json_object_get(request, "id")) {
        json_object_set(word, "id", json_object_get(request, "id"));
    }
    return word;
}

/* ---- Lines of humans ----------------------------------------------------- */

#define PROMPT "(qemu) "
#define LINE_LIMIT 4096

void monitor_register_human(MonitorHumanFn *fn, void *opaque)
{
    human_fn = fn;
    human_opaque = opaque;
}

bool monitor_has_human(void)
{
    return human_fn != NULL;
}

/* The echo keeps a transcript readable when no terminal does it. */
static void run_line(Session *s, const char *line)
{
    g_autofree char *text = NULL;
    bool quit = false;

    print(s, line);
    print(s, "\n");
    if (line[strspn(line, " \t")]) {
        text = human_fn(human_opaque, line, &quit);
        print(s, text);
    }
    if (!quit) {
        print(s, PROMPT);
    }
}

static void queue_request(Session *s, Request *r)
{
    session_ref(s);
    r->session = s;
    g_mutex_lock(&lock);
    s->queued++;
    g_queue_push_tail(&requests, r);
    g_cond_signal(&queue_changed);
    g_mutex_unlock(&lock);
}

static void human_feed(Session *s, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            Request *r = g_new0(Request, 1);

            r->line = g_strdup(s->line->str);
            g_string_set_size(s->line, 0);
            queue_request(s, r);
        } else if (data[i] != '\r' && data[i] && s->line->len < LINE_LIMIT) {
            g_string_append_c(s->line, data[i]);
        }
    }
}

static void run_request(Request *r)
{
    Session *s = r->session;
    const QmpRegistered *found;
    g_autoptr(GError) error = NULL;
    bool oob;

    if (r->line) {
        run_line(s, r->line);
    } else if (r->error) {
        say(s, monitor_error_reply(NULL, r->error));
    } else if (!s->negotiated) {
        say(s, negotiate(s, r->json));
    } else if (!monitor_check_request(r->json, s->oob, &oob, &found,
                                      &error)) {
        say(s, monitor_error_reply(r->json, error));
    } else {
        say(s, monitor_execute(r->json, found));
    }
}

static void request_free(Request *r)
{
    json_decref(r->json);
    g_free(r->line);
    g_clear_error(&r->error);
    session_unref(r->session);
    g_free(r);
}

static gboolean input_resume(gpointer data);

static gpointer dispatch_main(gpointer unused)
{
    g_mutex_lock(&lock);
    for (;;) {
        Request *r = g_queue_pop_head(&requests);

        if (!r) {
            if (stopping) {
                break;
            }
            g_cond_wait(&queue_changed, &lock);
            continue;
        }
        g_mutex_unlock(&lock);
        if (!__atomic_load_n(&r->session->closed, __ATOMIC_ACQUIRE)) {
            run_request(r);
        }
        g_mutex_lock(&lock);
        r->session->queued--;
        if (r->session->queued == QUEUE_LIMIT - 1 || r->session->eof) {
            run_in_io_thread(input_resume, r->session);
        }
        g_mutex_unlock(&lock);
        request_free(r);
        g_mutex_lock(&lock);
    }
    g_mutex_unlock(&lock);
    return NULL;
}

/* One JSON text from the client, or a complaint about what it sent. */
static void text_arrived(void *opaque, const char *text, size_t length,
                         const char *complaint)
{
    Session *s = opaque;
    Request *r = g_new0(Request, 1);
    const QmpRegistered *found;
    json_error_t where;
    bool oob = false;

    if (text) {
        r->json = json_loadb(text, length, JSON_ALLOW_NUL, &where);
        complaint = r->json ? NULL : "JSON parse error, Invalid JSON syntax";
    }
    if (complaint) {
        r->error = g_error_new(MONITOR_ERROR, 0, "%s", complaint);
    }
    if (r->json && s->oob &&
        monitor_check_request(r->json, true, &oob, &found, NULL) && oob) {
        say(s, monitor_execute(r->json, found));
        json_decref(r->json);
        g_free(r);
        return;
    }
    queue_request(s, r);
}

/* ---- Sessions ----------------------------------------------------------- */

static void monitor_accept(Monitor *m);

static void session_close(Session *s)
{
    Monitor *m = s->monitor;

    if (s->closed) {
        return;
    }
    g_mutex_lock(&lock);
    __atomic_store_n(&s->closed, true, __ATOMIC_RELEASE);
    g_ptr_array_remove_fast(sessions, s);
    if (s->in_source) {
        g_source_destroy(s->in_source);
        s->in_source = NULL;
    }
    if (s->out_source) {
        g_source_destroy(s->out_source);
        s->out_source = NULL;
    }
    if (s->in_fd > 2) {
        close(s->in_fd);
    }
    g_mutex_unlock(&lock);
    m->session = NULL;
    session_unref(s);
    if (m->listen_fd >= 0) {
        monitor_accept(m);
    }
}

/* On stdio: events may still be read where the commands no longer come from. */
static bool writes_elsewhere(const Session *s)
{
    return s->in_fd != s->out_fd;
}

static gboolean input_ready(int fd, GIOCondition condition, gpointer data)
{
    Session *s = data;
    char buf[READ_SIZE];
    ssize_t n = read(fd, buf, sizeof(buf));
    bool pause;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        /* Requests in the queue are still answered to a half-closed peer. */
        g_mutex_lock(&lock);
        s->eof = true;
        s->in_source = NULL;
        pause = s->queued != 0;
        g_mutex_unlock(&lock);
        if (!pause && !writes_elsewhere(s)) {
            session_close(s);
        }
        return G_SOURCE_REMOVE;
    }
    if (s->monitor->mode == MONITOR_HUMAN) {
        human_feed(s, buf, n);
    } else {
        monitor_lexer_feed(s->lexer, buf, n, text_arrived, s);
    }
    g_mutex_lock(&lock);
    pause = s->queued >= QUEUE_LIMIT;
    if (pause) {
        s->in_source = NULL;
    }
    g_mutex_unlock(&lock);
    return pause ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void watch_input(Session *s)
{
    s->in_source = g_unix_fd_source_new(s->in_fd, G_IO_IN | G_IO_HUP |
                                                      G_IO_ERR);
    g_source_set_callback(s->in_source, G_SOURCE_FUNC(input_ready), s, NULL);
    g_source_attach(s->in_source, context);
    g_source_unref(s->in_source);
}

static gboolean input_resume(gpointer data)
{
    Session *s = data;
    unsigned queued;

    g_mutex_lock(&lock);
    queued = s->queued;
    g_mutex_unlock(&lock);
    if (s->eof && queued == 0 && !writes_elsewhere(s)) {
        session_close(s);
    } else if (!s->closed && !s->eof && !s->in_source) {
        watch_input(s);
    }
    session_unref(s);
    return G_SOURCE_REMOVE;
}

static void session_open(Monitor *m, int in_fd, int out_fd)
{
    Session *s = g_new0(Session, 1);

    s->refs = 1;
    s->monitor = m;
    s->in_fd = in_fd;
    s->out_fd = out_fd;
    s->lexer = monitor_lexer_new();
    s->line = g_string_new(NULL);
    s->output = g_string_new(NULL);
    m->session = s;
    fcntl(in_fd, F_SETFL, fcntl(in_fd, F_GETFL) | O_NONBLOCK);
    g_mutex_lock(&lock);
    g_ptr_array_add(sessions, s);
    g_mutex_unlock(&lock);
    if (m->mode == MONITOR_HUMAN) {
        print(s, "QEMU " MONITOR_COMPAT_VERSION " monitor - type 'help' for "
                 "more information\n" PROMPT);
    } else {
        say(s, json_pack("{s:{s:o, s:[s]}}", "QMP", "version",
                         monitor_version(), "capabilities", "oob"));
    }
    watch_input(s);
}

static gboolean client_waits(int fd, GIOCondition condition, gpointer data)
{
    Monitor *m = data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0) {
        return G_SOURCE_CONTINUE;
    }
    m->accept_source = NULL;
    session_open(m, client, client);
    return G_SOURCE_REMOVE;
}

static void monitor_accept(Monitor *m)
{
    m->accept_source = g_unix_fd_source_new(m->listen_fd, G_IO_IN);
    g_source_set_callback(m->accept_source, G_SOURCE_FUNC(client_waits), m,
                          NULL);
    g_source_attach(m->accept_source, context);
    g_source_unref(m->accept_source);
}

/* ---- Opening ------------------------------------------------------------ */

bool monitor_open_address(const MonitorAddress *a, MonitorMode mode,
                          GError **error)
{
    Monitor *m = g_new0(Monitor, 1);
    int fd;

    m->mode = mode;
    m->listen_fd = -1;
    m->first_fd = -1;
    if (!monitors) {
        monitors = g_ptr_array_new();
    }
    if (a->path || a->host) {
        fd = monitor_socket_open(a, error);
        if (fd < 0) {
            g_free(m);
            return false;
        }
        m->address = (MonitorAddress){ g_strdup(a->path), g_strdup(a->host),
                                       g_strdup(a->port), a->server,
                                       a->wait };
        if (!a->server) {
            m->first_fd = fd;
        } else {
            m->listen_fd = fd;
            if (a->wait) {
                g_printerr("%s: info: QEMU waiting for connection on: "
                           "disconnected:%s%s%s%s,server=on\n",
                           g_get_prgname() ? g_get_prgname() : "e2k",
                           a->path ? "unix:" : "tcp:", a->path ? a->path
                                                               : a->host,
                           a->path ? "" : ":", a->path ? "" : a->port);
                m->first_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
            }
        }
    }
    g_ptr_array_add(monitors, m);
    return true;
}

/* ---- Threads ------------------------------------------------------------ */

static gpointer io_main(gpointer unused)
{
    g_main_context_push_thread_default(context);
    for (guint i = 0; monitors && i < monitors->len; i++) {
        Monitor *m = g_ptr_array_index(monitors, i);

        if (m->first_fd >= 0) {
            session_open(m, m->first_fd, m->first_fd);
        } else if (m->listen_fd >= 0) {
            monitor_accept(m);
        } else {
            session_open(m, 0, 1);
        }
    }
    g_main_loop_run(loop);
    g_main_context_pop_thread_default(context);
    return NULL;
}

void monitor_start(void)
{
    g_mutex_lock(&lock);
    sessions = g_ptr_array_new();
    g_mutex_unlock(&lock);
    context = g_main_context_new();
    loop = g_main_loop_new(context, FALSE);
    dispatch_thread = g_thread_new("qmp", dispatch_main, NULL);
    io_thread = g_thread_new("monitor-io", io_main, NULL);
}

static gboolean quit_loop(gpointer unused)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

/* What was said last must arrive, but not at any price. */
static void drain_output(Session *s)
{
    gint64 deadline = g_get_monotonic_time() + G_USEC_PER_SEC;

    while (s->output->len && g_get_monotonic_time() < deadline &&
           push_output(s)) {
        g_usleep(1000);
    }
}

void monitor_shutdown(void)
{
    if (!io_thread) {
        return;
    }
    g_mutex_lock(&lock);
    stopping = true;
    g_cond_signal(&queue_changed);
    g_mutex_unlock(&lock);
    if (g_thread_self() != dispatch_thread) {
        g_thread_join(dispatch_thread);
    }
    /*
     * From inside the loop: a quit that comes before the thread runs the loop
     * would be forgotten, and the join would never end.
     */
    g_autoptr(GSource) last = g_idle_source_new();
    g_source_set_priority(last, G_PRIORITY_HIGH);
    g_source_set_callback(last, quit_loop, NULL, NULL);
    g_source_attach(last, context);
    g_thread_join(io_thread);
    g_mutex_lock(&lock);
    while (sessions->len) {
        Session *s = g_ptr_array_index(sessions, 0);

        drain_output(s);
        g_ptr_array_remove_index_fast(sessions, 0);
        if (s->in_fd > 2) {
            close(s->in_fd);
        }
        s->closed = true;
    }
    g_mutex_unlock(&lock);
    for (guint i = 0; monitors && i < monitors->len; i++) {
        Monitor *m = g_ptr_array_index(monitors, i);

        if (m->listen_fd >= 0) {
            close(m->listen_fd);
            if (m->address.path) {
                g_unlink(m->address.path);
            }
        }
    }
    io_thread = NULL;
}
