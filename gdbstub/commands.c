/*
 * The commands of the remote protocol: one table by prefix, one function
 * each.  An empty reply means "not supported", as the protocol wants.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gdbstub/stub-int.h"

enum {
    MOST_THREADS = 4096,
    MOST_REGISTER_BYTES = 16,
    ANY_THREAD = 0,
};

typedef void Command(GdbStub *stub, const char *args, size_t size);

static void reply_ok(GdbStub *stub)
{
    gdb_stub_send_text(stub, "OK");
}

static void reply_error(GdbStub *stub, int number)
{
    char text[8];

    g_snprintf(text, sizeof(text), "E%02x", number & 0xff);
    gdb_stub_send_text(stub, text);
}

static void append_thread(GdbStub *stub, GString *to, uint64_t thread)
{
    g_string_append_printf(to, stub->multiprocess ? "p1.%" PRIx64
                                                  : "%" PRIx64, thread);
}

/* "p1.2", "2", "-1", "0": the thread, ANY_THREAD for the last two. */
static bool parse_thread(const char **text, uint64_t *thread)
{
    const char *at = *text;
    uint64_t value = ANY_THREAD;
    bool process_only = false;

    if (*at == 'p') {
        at++;
        if (strncmp(at, "-1", 2) == 0) {
            at += 2;
        } else if (!gdb_hex_number(&at, &value)) {
            return false;
        }
        value = ANY_THREAD;
        process_only = *at != '.';
        at += !process_only;
    }
    if (!process_only) {
        if (strncmp(at, "-1", 2) == 0) {
            at += 2;
        } else if (!gdb_hex_number(&at, &value)) {
            return false;
        }
    }
    *text = at;
    *thread = value;
    return true;
}

static uint64_t register_thread(GdbStub *stub)
{
    uint64_t first = 0;

    if (stub->reg_thread) {
        return stub->reg_thread;
    }
    if (stub->stop_thread) {
        return stub->stop_thread;
    }
    stub->target->list_threads(stub->opaque, &first, 1);
    return first;
}

/* ------------------------------------------------------------------ */
/* Stops */

void gdb_stub_send_stop(GdbStub *stub)
{
    g_autoptr(GString) text = g_string_new(NULL);
    static const char *const watches[] = {
        [GDB_STOP_WATCH_WRITE] = "watch",
        [GDB_STOP_WATCH_READ] = "rwatch",
        [GDB_STOP_WATCH_ACCESS] = "awatch",
    };

    if (stub->reason == GDB_STOP_EXITED || stub->reason == GDB_STOP_KILLED) {
        g_string_printf(text, "%c%02x",
                        stub->reason == GDB_STOP_EXITED ? 'W' : 'X',
                        stub->number & 0xff);
        if (stub->multiprocess) {
            g_string_append(text, ";process:1");
        }
    } else {
        g_string_printf(text, "T%02x", stub->number & 0xff);
        if (stub->stop_thread) {
            g_string_append(text, "thread:");
            append_thread(stub, text, stub->stop_thread);
            g_string_append_c(text, ';');
            stub->reg_thread = stub->stop_thread;
            stub->run_thread = stub->stop_thread;
        }
        if (stub->reason == GDB_STOP_BREAKPOINT) {
            g_string_append(text, "swbreak:;");
        } else if (stub->reason >= GDB_STOP_WATCH_WRITE &&
                   stub->reason <= GDB_STOP_WATCH_ACCESS) {
            g_string_append_printf(text, "%s:%" PRIx64 ";",
                                   watches[stub->reason], stub->address);
        }
    }
    gdb_stub_send(stub, text->str, text->len);
}

static void cmd_why(GdbStub *stub, const char *args, size_t size)
{
    gdb_stub_send_stop(stub);
}

/* ------------------------------------------------------------------ */
/* Registers and memory */

static void append_register(GdbStub *stub, GString *to, unsigned number)
{
    uint8_t bytes[MOST_REGISTER_BYTES];
    unsigned size = gdb_stub_register_bytes(stub, number);

    if (gdb_stub_read_register(stub, register_thread(stub), number, bytes)) {
        gdb_hex_append(to, bytes, size);
    } else {
        for (unsigned i = 0; i < size; i++) {
            g_string_append(to, "xx");
        }
    }
}

static void cmd_read_registers(GdbStub *stub, const char *args, size_t size)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < gdb_stub_registers(stub); i++) {
        append_register(stub, text, i);
    }
    gdb_stub_send(stub, text->str, text->len);
}

static bool write_register(GdbStub *stub, unsigned number, const char *hex)
{
    uint8_t bytes[MOST_REGISTER_BYTES];
    unsigned size = gdb_stub_register_bytes(stub, number);

    return gdb_hex_bytes(hex, bytes, size) &&
           gdb_stub_write_register(stub, register_thread(stub), number, bytes);
}

static void cmd_write_registers(GdbStub *stub, const char *args, size_t size)
{
    for (unsigned i = 0; i < gdb_stub_registers(stub); i++) {
        unsigned digits = 2 * gdb_stub_register_bytes(stub, i);

        if (size < digits) {
            break;
        }
        /* Registers that cannot be written are left as they are. */
        write_register(stub, i, args);
        args += digits;
        size -= digits;
    }
    reply_ok(stub);
}

static void cmd_read_register(GdbStub *stub, const char *args, size_t size)
{
    g_autoptr(GString) text = g_string_new(NULL);
    uint64_t number;

    if (!gdb_hex_number(&args, &number) ||
        number >= gdb_stub_registers(stub)) {
        reply_error(stub, EINVAL);
        return;
    }
    append_register(stub, text, (unsigned)number);
    gdb_stub_send(stub, text->str, text->len);
}

static void cmd_write_register(GdbStub *stub, const char *args, size_t size)
{
    uint64_t number;

    if (gdb_hex_number(&args, &number) && *args == '=' &&
        number < gdb_stub_registers(stub) &&
        write_register(stub, (unsigned)number, args + 1)) {
        reply_ok(stub);
    } else {
        reply_error(stub, EINVAL);
    }
}

static bool parse_range(const char **args, uint64_t *address, uint64_t *size)
{
    if (!gdb_hex_number(args, address) || **args != ',') {
        return false;
    }
    (*args)++;
    return gdb_hex_number(args, size);
}

static void cmd_read_memory(GdbStub *stub, const char *args, size_t size)
{
    enum { MOST = GDB_PACKET_MOST / 2 - 16 };
    g_autofree uint8_t *bytes = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    uint64_t address;
    uint64_t count;

    if (!parse_range(&args, &address, &count)) {
        reply_error(stub, EINVAL);
        return;
    }
    count = MIN(count, MOST);
    bytes = g_malloc(count + 1);
    /* As much as can be read; an error only when that is nothing. */
    while (count &&
           !stub->target->read_memory(stub->opaque, address, bytes, count)) {
        count /= 2;
    }
    if (!count) {
        reply_error(stub, EFAULT);
        return;
    }
    gdb_hex_append(text, bytes, count);
    gdb_stub_send(stub, text->str, text->len);
}

static void finish_write(GdbStub *stub, uint64_t address, const uint8_t *bytes,
                         uint64_t count)
{
    if (!count ||
        stub->target->write_memory(stub->opaque, address, bytes, count)) {
        reply_ok(stub);
    } else {
        reply_error(stub, EFAULT);
    }
}

static void cmd_write_memory(GdbStub *stub, const char *args, size_t size)
{
    g_autofree uint8_t *bytes = NULL;
    uint64_t address;
    uint64_t count;

    if (!parse_range(&args, &address, &count) || *args != ':' ||
        count > GDB_PACKET_MOST) {
        reply_error(stub, EINVAL);
        return;
    }
    bytes = g_malloc(count + 1);
    if (!gdb_hex_bytes(args + 1, bytes, count)) {
        reply_error(stub, EINVAL);
        return;
    }
    finish_write(stub, address, bytes, count);
}

static void cmd_write_binary(GdbStub *stub, const char *args, size_t size)
{
    const char *end = args + size;
    uint64_t address;
    uint64_t count;

    if (!parse_range(&args, &address, &count) || *args != ':' ||
        count > (uint64_t)(end - args - 1)) {
        reply_error(stub, EINVAL);
        return;
    }
    finish_write(stub, address, (const uint8_t *)args + 1, count);
}

/* ------------------------------------------------------------------ */
/* Running */

static void go(GdbStub *stub, const GdbResume *resume)
{
    g_mutex_lock(&stub->lock);
    stub->running = true;
    g_mutex_unlock(&stub->lock);
    stub->target->resume(stub->opaque, resume);
}

static void simple_go(GdbStub *stub, GdbAction action, int signal)
{
    GdbResume resume = {
        .thread = stub->run_thread, .action = action,
        .others = action == GDB_STEP && stub->run_thread ? GDB_STAY : GDB_RUN,
        .signal = signal,
    };

    if (!resume.thread) {
        resume.others = action;
    }
    go(stub, &resume);
}

static void cmd_continue(GdbStub *stub, const char *args, size_t size)
{
    simple_go(stub, GDB_RUN, 0);
}

static void cmd_step(GdbStub *stub, const char *args, size_t size)
{
    simple_go(stub, GDB_STEP, 0);
}

static void cmd_continue_signal(GdbStub *stub, const char *args, size_t size)
{
    uint64_t signal = 0;

    gdb_hex_number(&args, &signal);
    simple_go(stub, GDB_RUN, (int)signal);
}

static void cmd_step_signal(GdbStub *stub, const char *args, size_t size)
{
    uint64_t signal = 0;

    gdb_hex_number(&args, &signal);
    simple_go(stub, GDB_STEP, (int)signal);
}

static void cmd_vcont_query(GdbStub *stub, const char *args, size_t size)
{
    gdb_stub_send_text(stub, "vCont;c;C;s;S");
}

/* ";action[:thread]...": the first action of a thread counts. */
static void cmd_vcont(GdbStub *stub, const char *args, size_t size)
{
    GdbResume resume = { .others = GDB_STAY };
    bool default_seen = false;
    bool any = false;
    uint64_t thread;
    uint64_t signal;

    while (*args == ';') {
        char letter = args[1];
        GdbAction action = letter == 's' || letter == 'S' ? GDB_STEP : GDB_RUN;

        thread = ANY_THREAD;
        signal = 0;
        args += 2;
        if (!strchr("csCS", letter) || !letter ||
            ((letter == 'C' || letter == 'S') &&
             !gdb_hex_number(&args, &signal))) {
            reply_error(stub, EINVAL);
            return;
        }
        if (*args == ':') {
            args++;
            if (!parse_thread(&args, &thread)) {
                reply_error(stub, EINVAL);
                return;
            }
        }
        if (thread != ANY_THREAD && !resume.thread) {
            resume.thread = thread;
            resume.action = action;
        } else if (thread == ANY_THREAD && !default_seen) {
            resume.others = action;
            default_seen = true;
        }
        resume.signal = signal ? (int)signal : resume.signal;
        any = true;
    }
    if (!any) {
        reply_error(stub, EINVAL);
        return;
    }
    go(stub, &resume);
}

static void cmd_detach(GdbStub *stub, const char *args, size_t size)
{
    reply_ok(stub);
    g_mutex_lock(&stub->lock);
    stub->running = true;
    g_mutex_unlock(&stub->lock);
    stub->target->detach(stub->opaque);
}

static void cmd_kill(GdbStub *stub, const char *args, size_t size)
{
    if (size) { /* vKill wants an answer, k does not */
        reply_ok(stub);
    }
    stub->target->kill(stub->opaque);
}

/* ------------------------------------------------------------------ */
/* Points */

static void set_point(GdbStub *stub, const char *args, bool insert)
{
    int type = gdb_hex_digit(args[0]);
    const char *rest = args + 1;
    uint64_t address;
    uint64_t length;
    int result;

    if (type < 0 || *rest != ',') {
        reply_error(stub, EINVAL);
        return;
    }
    rest++;
    if (!parse_range(&rest, &address, &length)) {
        reply_error(stub, EINVAL);
        return;
    }
    if (type > GDB_POINT_ACCESS) {
        gdb_stub_send_text(stub, "");
        return;
    }
    result = stub->target->set_point(stub->opaque, (GdbPointType)type, address,
                                     length, insert);
    if (result == 0) {
        reply_ok(stub);
    } else if (result == -EOPNOTSUPP) {
        gdb_stub_send_text(stub, "");
    } else {
        reply_error(stub, -result);
    }
}

static void cmd_insert_point(GdbStub *stub, const char *args, size_t size)
{
    set_point(stub, args, true);
}

static void cmd_remove_point(GdbStub *stub, const char *args, size_t size)
{
    set_point(stub, args, false);
}

/* ------------------------------------------------------------------ */
/* Threads */

static void cmd_select_thread(GdbStub *stub, const char *args, size_t size)
{
    char what = args[0];
    const char *rest = args + 1;
    uint64_t thread = ANY_THREAD;

    if (!what || !parse_thread(&rest, &thread)) {
        reply_error(stub, EINVAL);
        return;
    }
    if (what == 'g') {
        stub->reg_thread = thread;
    } else {
        stub->run_thread = thread;
    }
    reply_ok(stub);
}

static void cmd_thread_alive(GdbStub *stub, const char *args, size_t size)
{
    g_autofree uint64_t *ids = g_new(uint64_t, MOST_THREADS);
    size_t count = stub->target->list_threads(stub->opaque, ids, MOST_THREADS);
    uint64_t thread;

    if (parse_thread(&args, &thread)) {
        for (size_t i = 0; i < count; i++) {
            if (ids[i] == thread) {
                reply_ok(stub);
                return;
            }
        }
    }
    reply_error(stub, ESRCH);
}

static void cmd_threads(GdbStub *stub, const char *args, size_t size)
{
    g_autofree uint64_t *ids = g_new(uint64_t, MOST_THREADS);
    size_t count = stub->target->list_threads(stub->opaque, ids, MOST_THREADS);
    g_autoptr(GString) text = g_string_new(NULL);

    for (size_t i = 0; i < count && text->len < GDB_PACKET_MOST - 64; i++) {
        g_string_append_c(text, i ? ',' : 'm');
        append_thread(stub, text, ids[i]);
    }
    gdb_stub_send_text(stub, count ? text->str : "l");
}

static void cmd_threads_end(GdbStub *stub, const char *args, size_t size)
{
    gdb_stub_send_text(stub, "l");
}

static void cmd_thread_extra(GdbStub *stub, const char *args, size_t size)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *name = NULL;
    uint64_t thread;

    if (!parse_thread(&args, &thread)) {
        reply_error(stub, EINVAL);
        return;
    }
    name = stub->target->thread_name
               ? stub->target->thread_name(stub->opaque, thread) : NULL;
    gdb_hex_append(text, name ? name : "running",
                   strlen(name ? name : "running"));
    gdb_stub_send_text(stub, text->str);
}

static void cmd_current_thread(GdbStub *stub, const char *args, size_t size)
{
    g_autoptr(GString) text = g_string_new("QC");

    append_thread(stub, text, register_thread(stub));
    gdb_stub_send_text(stub, text->str);
}

/* ------------------------------------------------------------------ */
/* Queries */

static void cmd_supported(GdbStub *stub, const char *args, size_t size)
{
    g_autofree char *text = g_strdup_printf(
        "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;%sswbreak+;"
        "hwbreak+;vContSupported+;multiprocess+",
        GDB_PACKET_MOST - 16,
        stub->target->object ? "qXfer:auxv:read+;qXfer:exec-file:read+;" : "");

    stub->multiprocess = strstr(args, "multiprocess+") != NULL;
    gdb_stub_send_text(stub, text);
}

static void cmd_no_ack(GdbStub *stub, const char *args, size_t size)
{
    reply_ok(stub);
    stub->no_ack = true;
}

static void cmd_attached(GdbStub *stub, const char *args, size_t size)
{
    gdb_stub_send_text(stub, "1");
}

/* "offset,length" of an object's bytes. */
static void reply_part(GdbStub *stub, const char *args, const uint8_t *bytes,
                       size_t size)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    uint64_t offset;
    uint64_t length;

    if (!parse_range(&args, &offset, &length)) {
        reply_error(stub, EINVAL);
        return;
    }
    length = MIN(length, GDB_PACKET_MOST / 2 - 16);
    if (offset >= size) {
        gdb_stub_send_text(stub, "l");
        return;
    }
    length = MIN(length, size - offset);
    g_byte_array_append(out, (const uint8_t *)
                        (offset + length < size ? "m" : "l"), 1);
    g_byte_array_append(out, bytes + offset, (guint)length);
    gdb_stub_send(stub, out->data, out->len);
}

/* "OBJECT:read:ANNEX:offset,length" */
static void cmd_xfer(GdbStub *stub, const char *args, size_t size)
{
    g_auto(GStrv) words = g_strsplit(args, ":", 4);

    if (g_strv_length(words) != 4 || strcmp(words[1], "read") != 0) {
        gdb_stub_send_text(stub, "");
    } else if (strcmp(words[0], "features") == 0) {
        g_autofree char *xml = gdb_stub_describe(stub);

        if (strcmp(words[2], "target.xml") != 0) {
            reply_error(stub, 0);
            return;
        }
        reply_part(stub, words[3], (const uint8_t *)xml, strlen(xml));
    } else {
        g_autoptr(GBytes) object =
            stub->target->object ? stub->target->object(stub->opaque, words[0])
                                 : NULL;
        gsize bytes;
        const void *data;

        if (!object) {
            gdb_stub_send_text(stub, "");
            return;
        }
        data = g_bytes_get_data(object, &bytes);
        reply_part(stub, words[3], data, bytes);
    }
}

static void cmd_monitor(GdbStub *stub, const char *args, size_t size)
{
    g_autofree char *command = g_malloc0(size / 2 + 1);
    g_autofree char *answer = NULL;
    g_autoptr(GString) text = g_string_new(NULL);

    if (!gdb_hex_bytes(args, (uint8_t *)command, size / 2)) {
        reply_error(stub, EINVAL);
        return;
    }
    answer = stub->target->monitor
                 ? stub->target->monitor(stub->opaque, command) : NULL;
    if (!answer) {
        answer = g_strdup_printf("unknown command: %s\n", command);
    }
    gdb_hex_append(text, answer, strlen(answer));
    if (text->len) {
        gdb_stub_send_text(stub, text->str);
    } else {
        reply_ok(stub);
    }
}

static void cmd_vfile(GdbStub *stub, const char *args, size_t size)
{
    gdb_stub_vfile(stub, args, size);
}

static void cmd_symbols(GdbStub *stub, const char *args, size_t size)
{
    reply_ok(stub);
}

/* Longer prefixes before shorter ones. */
static const struct {
    const char *prefix;
    Command *run;
} commands[] = {
    { "qSupported", cmd_supported },
    { "qXfer:", cmd_xfer },
    { "qAttached", cmd_attached },
    { "qfThreadInfo", cmd_threads },
    { "qsThreadInfo", cmd_threads_end },
    { "qThreadExtraInfo,", cmd_thread_extra },
    { "qSymbol:", cmd_symbols },
    { "qRcmd,", cmd_monitor },
    { "qC", cmd_current_thread },
    { "QStartNoAckMode", cmd_no_ack },
    { "vCont?", cmd_vcont_query },
    { "vCont", cmd_vcont },
    { "vFile:", cmd_vfile },
    { "vKill", cmd_kill },
    { "?", cmd_why },
    { "g", cmd_read_registers },
    { "G", cmd_write_registers },
    { "p", cmd_read_register },
    { "P", cmd_write_register },
    { "m", cmd_read_memory },
    { "M", cmd_write_memory },
    { "X", cmd_write_binary },
    { "c", cmd_continue },
    { "C", cmd_continue_signal },
    { "s", cmd_step },
    { "S", cmd_step_signal },
    { "Z", cmd_insert_point },
    { "z", cmd_remove_point },
    { "H", cmd_select_thread },
    { "T", cmd_thread_alive },
    { "D", cmd_detach },
    { "k", cmd_kill },
};

void gdb_stub_command(GdbStub *stub)
{
    const char *text = (const char *)stub->reader.data;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        size_t length = strlen(commands[i].prefix);

        if (strncmp(text, commands[i].prefix, length) == 0) {
            commands[i].run(stub, text + length,
                            stub->reader.length - length);
            return;
        }
    }
    gdb_stub_send_text(stub, "");
}
