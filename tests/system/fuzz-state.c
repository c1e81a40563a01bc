/*
 * See fuzz-state.h.
 *
 * The checksum of a state depends on the pieces it is read in, so it is made
 * anew while the damaged state is read: the last eight bytes of the stream
 * are what the reader will have computed.
 */
#include "tests/system/fuzz-state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/snapshot.h"
#include "system/sys-cpu.h"
#include "target-e2k/exec.h"
#include "util/bytes.h"

/* As in system/snapshot.c. */
#define SUM_START UINT64_C(0xcbf29ce484222325)
#define SUM_FACTOR UINT64_C(0x100000001b3)

enum {
    SUM_BYTES = 8,
    HEADER_BYTES = 12, /* magic, format version */
    STEPS = 100,
};

typedef struct Stream {
    GByteArray *bytes;
    size_t at;
    uint64_t sum;
} Stream;

static bool write_bytes(void *opaque, const void *bytes, size_t n,
                        GError **error)
{
    Stream *s = opaque;

    g_byte_array_append(s->bytes, bytes, n);
    return true;
}

static bool read_bytes(void *opaque, void *bytes, size_t n, GError **error)
{
    Stream *s = opaque;
    uint8_t *to = bytes;

    if (n > s->bytes->len - s->at) {
        g_set_error_literal(error, g_quark_from_static_string("fuzz"), 0,
                            "the state ends early");
        return false;
    }
    if (s->at + SUM_BYTES == s->bytes->len && n == SUM_BYTES) {
        stq_le_p(to, s->sum);
        s->at += n;
        return true;
    }
    memcpy(to, s->bytes->data + s->at, n);
    s->at += n;
    for (; n >= 8; n -= 8, to += 8) {
        s->sum = (s->sum ^ ldq_le_p(to)) * SUM_FACTOR;
    }
    for (; n; n--, to++) {
        s->sum = (s->sum ^ *to) * SUM_FACTOR;
    }
    return true;
}

static Stream save(Machine *machine)
{
    g_autoptr(GError) error = NULL;
    Stream s = { .bytes = g_byte_array_new(), .sum = SUM_START };

    if (!snapshot_save(machine, write_bytes, &s, &error)) {
        fprintf(stderr, "fuzz-state: cannot save: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
    return s;
}

static bool load(Machine *machine, Stream *s, GError **error)
{
    bool ok = snapshot_load(machine, read_bytes, s, error);

    g_byte_array_free(s->bytes, TRUE);
    return ok;
}

/* Most of a state is memory; what counts comes before it. */
static void damage(Stream *s, GRand *rnd)
{
    unsigned n = g_rand_int_range(rnd, 0, 6);
    size_t end = s->bytes->len - SUM_BYTES;

    for (unsigned i = 0; i < n; i++) {
        size_t reach = g_rand_boolean(rnd) ? end : MIN(end, 1 << 16);
        size_t at = g_rand_int_range(rnd, HEADER_BYTES, reach);

        switch (g_rand_int_range(rnd, 0, 4)) {
        case 0:
            s->bytes->data[at] = g_rand_int(rnd);
            break;
        case 1:
            s->bytes->data[at] = 0xff;
            break;
        default:
            s->bytes->data[at] ^= 1 << g_rand_int_range(rnd, 0, 8);
            break;
        }
    }
    if (g_rand_int_range(rnd, 0, 20) == 0) {
        g_byte_array_set_size(s->bytes,
                              g_rand_int_range(rnd, 0, s->bytes->len));
    }
}

/* A CPU with nothing to run ends its machine, and says so: not here. */
static void run_a_little(Machine *machine)
{
    FILE *messages = stderr;

    stderr = fopen("/dev/null", "w");
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        SysCpu *sys = machine->cpus[i];

        sys->kicked = 1; /* one that waits goes on at once */
        for (unsigned step = 0; step < STEPS; step++) {
            trap_interrupt(sys);
            if (cpu_step(sys->cpu) == CPU_EXIT_EXCEPTION) {
                trap_exception(sys);
            }
        }
    }
    fclose(stderr);
    stderr = messages;
    g_mutex_lock(&machine->lock);
    machine->shutdown = SHUTDOWN_NONE;
    g_mutex_unlock(&machine->lock);
}

bool fuzz_state(Machine *machine, GRand *rnd)
{
    g_autoptr(GError) error = NULL;
    Stream s = save(machine);

    damage(&s, rnd);
    if (!load(machine, &s, &error)) {
        g_assert(error && *error->message);
        return false;
    }
    run_a_little(machine);
    return true;
}

static void check_refused(Machine *machine, const char *what, Stream *s)
{
    g_autoptr(GError) error = NULL;

    if (load(machine, s, &error) || !strstr(error->message, "version") ||
        !strstr(error->message, what) || strchr(error->message, '\n')) {
        fprintf(stderr, "fuzz-state: another version of %s: %s\n", what,
                error ? error->message : "not refused");
        exit(EXIT_FAILURE);
    }
}

void check_state_versions(Machine *machine)
{
    g_autoptr(GError) error = NULL;
    Stream same = save(machine);

    if (!load(machine, &same, &error)) {
        fprintf(stderr, "fuzz-state: cannot load: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
    for (guint i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);
        const DeviceClass *class = device->class;

        for (int step = -1; class->fields && step <= 1; step += 2) {
            DeviceClass other = *class;

            other.version += step; /* older, newer */
            device->class = &other;
            Stream s = save(machine);

            device->class = class;
            check_refused(machine, device->id, &s);
        }
    }
    Stream s = save(machine);

    s.bytes->data[8] ^= 3; /* of the format */
    check_refused(machine, "format", &s);
}
