/*
 * Saving and loading a machine; see snapshot.h for the format.
 */
#include "system/snapshot-int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "util/bytes.h"

#define MAGIC "E2KSTATE"
#define SUM_START UINT64_C(0xcbf29ce484222325)
#define SUM_FACTOR UINT64_C(0x100000001b3)
#define RAM_END UINT64_MAX

enum {
    VERSION = 1,
    BUFFER_BYTES = 1 << 16,
    TEXT_MAX = 255,
    SECTION_END = 0,
    SECTION_DEVICE = 1,
    SECTION_CPU = 2,
    PAGE_DATA = 1,
    PAGE_TAGS = 2, /* and data */
    TAG_BYTES = PHYS_PAGE_BYTES / 8,
};

/* ---- The stream ------------------------------------------------------------- */

bool stream_failed(const SnapshotStream *s)
{
    return s->error != NULL;
}

void stream_fail(SnapshotStream *s, const char *format, ...)
{
    if (!s->error) {
        va_list args;

        va_start(args, format);
        g_autofree char *text = g_strdup_vprintf(format, args);

        va_end(args);
        g_set_error_literal(&s->error, SYSTEM_ERROR, 0, text);
    }
}

/* Eight bytes at a time: RAM goes through it. */
static void add_to_sum(SnapshotStream *s, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;

    for (; n >= 8; n -= 8, at += 8) {
        s->sum = (s->sum ^ ldq_le_p(at)) * SUM_FACTOR;
    }
    for (; n; n--, at++) {
        s->sum = (s->sum ^ *at) * SUM_FACTOR;
    }
}

static void flush(SnapshotStream *s)
{
    if (s->used && !s->error) {
        s->write(s->opaque, s->buffer, s->used, &s->error);
    }
    s->used = 0;
}

void stream_put(SnapshotStream *s, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;

    add_to_sum(s, bytes, n);
    while (n) {
        size_t part = MIN(n, BUFFER_BYTES - s->used);

        memcpy(s->buffer + s->used, at, part);
        s->used += part;
        at += part;
        n -= part;
        if (s->used == BUFFER_BYTES) {
            flush(s);
        }
    }
}

void stream_get(SnapshotStream *s, void *bytes, size_t n)
{
    if (s->error || !s->read(s->opaque, bytes, n, &s->error)) {
        memset(bytes, 0, n);
        return;
    }
    add_to_sum(s, bytes, n);
}

void stream_put_int(SnapshotStream *s, uint64_t value, unsigned bytes)
{
    uint8_t image[8];

    stq_le_p(image, value);
    stream_put(s, image, bytes);
}

uint64_t stream_get_int(SnapshotStream *s, unsigned bytes)
{
    uint8_t image[8] = { 0 };

    stream_get(s, image, bytes);
    return ldq_le_p(image);
}

void stream_put_text(SnapshotStream *s, const char *text)
{
    size_t n = MIN(strlen(text), TEXT_MAX);

    stream_put_int(s, n, 1);
    stream_put(s, text, n);
}

char *stream_get_text(SnapshotStream *s)
{
    char text[TEXT_MAX + 1] = "";
    size_t n = stream_get_int(s, 1);

    stream_get(s, text, n);
    text[n] = 0;
    return g_strdup(text);
}

/* ---- Header -------------------------------------------------------------------- */

/* The empty machine has no memory, CPU or clock. */
static uint64_t ram_bytes(const Machine *machine)
{
    return machine->mem ? physmem_ram_bytes(machine->mem) : 0;
}

static const char *model_name(const Machine *machine)
{
    return machine->model ? machine->model->name : "";
}

static void put_header(SnapshotStream *s, Machine *machine)
{
    stream_put(s, MAGIC, 8);
    stream_put_int(s, VERSION, 4);
    stream_put_text(s, machine->board_name);
    stream_put_text(s, model_name(machine));
    stream_put_int(s, machine->n_cpus, 4);
    stream_put_int(s, ram_bytes(machine), 8);
    stream_put_int(s, machine->clock ? clock_now_ns(machine->clock) : 0,
                   8);
}

static void expect_text(SnapshotStream *s, const char *what, const char *here)
{
    g_autofree char *there = stream_get_text(s);

    if (!stream_failed(s) && strcmp(there, here)) {
        stream_fail(s, "the snapshot is of %s '%s', this is '%s'", what,
                    there, here);
    }
}

static void expect_int(SnapshotStream *s, const char *what, uint64_t here,
                       unsigned bytes)
{
    uint64_t there = stream_get_int(s, bytes);

    if (!stream_failed(s) && there != here) {
        stream_fail(s, "the snapshot has %s %" PRIu64 ", this machine %"
                    PRIu64, what, there, here);
    }
}

/* Returns guest time. */
static int64_t get_header(SnapshotStream *s, Machine *machine)
{
    char magic[8];

    stream_get(s, magic, sizeof(magic));
    if (!stream_failed(s) && memcmp(magic, MAGIC, sizeof(magic))) {
        stream_fail(s, "this is not the state of a machine");
    }
    expect_int(s, "format version", VERSION, 4);
    expect_text(s, "machine", machine->board_name);
    expect_text(s, "CPU", model_name(machine));
    expect_int(s, "number of CPUs", machine->n_cpus, 4);
    expect_int(s, "bytes of memory", ram_bytes(machine), 8);
    return stream_get_int(s, 8);
}

/* ---- Devices, CPUs ------------------------------------------------------------- */

static void put_devices(SnapshotStream *s, Machine *machine)
{
    for (guint i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);

        if (!device->class->fields) {
            continue;
        }
        stream_put_int(s, SECTION_DEVICE, 1);
        stream_put_text(s, device->id);
        stream_put_text(s, device->class->name);
        stream_put_int(s, device->class->version, 4);
        g_mutex_lock(device->lock);
        stream_put_fields(s, device->class->fields, device);
        g_mutex_unlock(device->lock);
    }
}

static void get_device(SnapshotStream *s, Machine *machine, GHashTable *seen)
{
    g_autofree char *id = stream_get_text(s);
    g_autofree char *class = stream_get_text(s);
    unsigned version = stream_get_int(s, 4);
    Device *device = machine_find_device(machine, id);

    if (stream_failed(s)) {
        return;
    }
    if (!device || strcmp(device->class->name, class) ||
        !device->class->fields) {
        stream_fail(s, "the snapshot has a device '%s' (%s) that this "
                    "machine has not", id, class);
    } else if (version != device->class->version) {
        stream_fail(s, "device '%s': version %u in the snapshot, %u here", id,
                    version, device->class->version);
    } else {
        g_hash_table_add(seen, device);
        g_mutex_lock(device->lock);
        stream_get_fields(s, device->class->fields, device, id);
        g_mutex_unlock(device->lock);
    }
}

static void get_sections(SnapshotStream *s, Machine *machine)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    unsigned cpus = 0;
    unsigned kind;

    while ((kind = stream_get_int(s, 1)) != SECTION_END &&
           !stream_failed(s)) {
        if (kind == SECTION_DEVICE) {
            get_device(s, machine, seen);
        } else if (kind == SECTION_CPU && cpus < machine->n_cpus) {
            snapshot_get_cpu(s, machine->cpus[cpus++]);
        } else {
            stream_fail(s, "unknown section %u", kind);
        }
    }
    if (!stream_failed(s) && cpus != machine->n_cpus) {
        stream_fail(s, "the snapshot lacks a CPU");
    }
    for (guint i = 0; i < machine->devices->len && !stream_failed(s); i++) {
        Device *device = g_ptr_array_index(machine->devices, i);

        if (device->class->fields && !g_hash_table_contains(seen, device)) {
            stream_fail(s, "the snapshot has no device '%s' (%s)", device->id,
                        device->class->name);
        }
    }
}

/* ---- RAM ------------------------------------------------------------------------ */

static bool is_zero(const uint8_t *bytes, size_t n)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, n - 1);
}

static void put_ram(SnapshotStream *s, Machine *machine)
{
    PhysMem *mem = machine->mem;
    uint64_t pages = ram_bytes(machine) / PHYS_PAGE_BYTES;

    for (uint64_t n = 0; n < pages && !stream_failed(s); n++) {
        const uint8_t *host = physmem_ram(mem) + n * PHYS_PAGE_BYTES;
        bool tagged = *physmem_page_flags(mem, host) & PHYS_PAGE_TAGGED;

        if (!tagged && is_zero(host, PHYS_PAGE_BYTES)) {
            continue;
        }
        stream_put_int(s, n, 8);
        stream_put_int(s, tagged ? PAGE_TAGS : PAGE_DATA, 1);
        stream_put(s, host, PHYS_PAGE_BYTES);
        if (tagged) {
            stream_put(s, physmem_tag(mem, host), TAG_BYTES);
        }
    }
    stream_put_int(s, RAM_END, 8);
}

/* Makes pages [from, to) zero. */
static void clear_pages(PhysMem *mem, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++) {
        uint8_t *host = physmem_ram(mem) + n * PHYS_PAGE_BYTES;

        if (!is_zero(host, PHYS_PAGE_BYTES)) {
            memset(host, 0, PHYS_PAGE_BYTES);
            physmem_written(mem, host, PHYS_PAGE_BYTES);
        }
        if (*physmem_page_flags(mem, host) & PHYS_PAGE_TAGGED) {
            memset(physmem_tag(mem, host), 0, TAG_BYTES);
        }
    }
}

static void get_ram(SnapshotStream *s, Machine *machine)
{
    PhysMem *mem = machine->mem;
    uint64_t pages = ram_bytes(machine) / PHYS_PAGE_BYTES;
    uint64_t next = 0; /* page that is not restored yet */
    uint64_t n;

    while ((n = stream_get_int(s, 8)) != RAM_END && !stream_failed(s)) {
        unsigned kind = stream_get_int(s, 1);

        if (n >= pages || n < next || kind < PAGE_DATA || kind > PAGE_TAGS) {
            stream_fail(s, "bad page %" PRIu64 " in the snapshot", n);
            return;
        }
        uint8_t *host = physmem_ram(mem) + n * PHYS_PAGE_BYTES;

        clear_pages(mem, next, n);
        stream_get(s, host, PHYS_PAGE_BYTES);
        physmem_written(mem, host, PHYS_PAGE_BYTES);
        if (kind == PAGE_TAGS) {
            __atomic_or_fetch(physmem_page_flags(mem, host),
                              PHYS_PAGE_TAGGED, __ATOMIC_SEQ_CST);
            stream_get(s, physmem_tag(mem, host), TAG_BYTES);
        }
        next = n + 1;
    }
    if (!stream_failed(s)) {
        clear_pages(mem, next, pages);
    }
}

/* ---- All of it -------------------------------------------------------------------- */

static void for_devices(Machine *machine, size_t callback)
{
    for (guint i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);
        void (*call)(Device *device);

        memcpy(&call, (const uint8_t *)device->class + callback,
               sizeof(call));
        if (call) {
            call(device);
        }
    }
}

void snapshot_quiesce(Machine *machine)
{
    for_devices(machine, offsetof(DeviceClass, quiesce));
}

void snapshot_resume(Machine *machine)
{
    for_devices(machine, offsetof(DeviceClass, resume));
}

static bool finish(SnapshotStream *s, GError **error)
{
    g_free(s->buffer);
    if (s->error) {
        g_propagate_error(error, s->error);
        return false;
    }
    return true;
}

bool snapshot_save(Machine *machine, SnapshotWriteFn *write, void *opaque,
                   GError **error)
{
    SnapshotStream s = {
        .write = write,
        .opaque = opaque,
        .sum = SUM_START,
        .buffer = g_malloc(BUFFER_BYTES),
    };

    snapshot_quiesce(machine);
    put_header(&s, machine);
    put_devices(&s, machine);
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        stream_put_int(&s, SECTION_CPU, 1);
        snapshot_put_cpu(&s, machine->cpus[i]);
    }
    stream_put_int(&s, SECTION_END, 1);
    put_ram(&s, machine);
    stream_put_int(&s, s.sum, 8);
    flush(&s);
    return finish(&s, error);
}

bool snapshot_load(Machine *machine, SnapshotReadFn *read, void *opaque,
                   GError **error)
{
    SnapshotStream s = { .read = read, .opaque = opaque, .sum = SUM_START };

    snapshot_quiesce(machine);
    int64_t now_ns = get_header(&s, machine);

    if (!stream_failed(&s)) {
        if (machine->clock) {
            clock_set_now_ns(machine->clock, now_ns);
        }
        get_sections(&s, machine);
        get_ram(&s, machine);
        uint64_t sum = s.sum;

        if (stream_get_int(&s, 8) != sum && !stream_failed(&s)) {
            stream_fail(&s, "the snapshot is damaged: wrong checksum");
        }
    }
    if (!stream_failed(&s)) {
        for (unsigned i = 0; i < machine->n_cpus; i++) {
            mmu_flush_all(machine->cpus[i]);
        }
        for_devices(machine, offsetof(DeviceClass, post_load));
        snapshot_resume(machine);
    }
    return finish(&s, error);
}
