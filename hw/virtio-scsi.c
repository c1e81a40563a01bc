/*
 * virtio SCSI host adapter: requests of the guest become commands of disks.
 *
 *   queue 0  task management: answered at once
 *   queue 1  events: the guest's buffers stay there, none is told
 *   queue 2  commands --> worker (virtio-workers.h) --> scsi-disk.c --> push
 *
 * Disks come and go while no command runs.  Commands cannot be aborted: a
 * reset waits for those that run, an abort is refused.
 *
 * Source: VIRTIO 1.2 section 5.6.
 */
#include "hw/virtio-scsi.h"

#include <string.h>

#include "hw/scsi-disk.h"
#include "hw/virtio-workers.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    QUEUE_CONTROL, QUEUE_EVENT, QUEUE_COMMANDS, QUEUES,
};

enum {
    MAX_DISKS = 64,
    MAX_TARGET = 255,
    MAX_LUN = 255,
    WORKERS = 8,
    QUEUE_SIZE = 256,
    CDB_BYTES = 32,
    SENSE_BYTES = 96,
    REQUEST_BYTES = 19 + CDB_BYTES,
    RESPONSE_BYTES = 12 + SENSE_BYTES,
    /* Answers, and their offsets in the response. */
    AT_RESIDUAL = 4,
    AT_STATUS = 10,
    AT_RESPONSE = 11,
    RESPONSE_OK = 0,
    RESPONSE_BAD_TARGET = 3,
    /* Task management. */
    CONTROL_TASK = 0,
    TASK_LUN_RESET = 5,
    TASK_TARGET_RESET = 3,
    TASK_COMPLETE = 0,
    TASK_REJECTED = 11,
    TASK_BYTES = 24,
    OP_REPORT_LUNS = 0xa0,
};

/* Offsets in the configuration space. */
enum {
    CONFIG_NUM_QUEUES = 0,
    CONFIG_SEG_MAX = 4,
    CONFIG_MAX_SECTORS = 8,
    CONFIG_CMD_PER_LUN = 12,
    CONFIG_EVENT_SIZE = 16,
    CONFIG_SENSE_SIZE = 20,
    CONFIG_CDB_SIZE = 24,
    CONFIG_MAX_CHANNEL = 28,
    CONFIG_MAX_TARGET = 30,
    CONFIG_MAX_LUN = 32,
    CONFIG_BYTES = 36,
};

typedef struct Unit {
    ScsiDisk disk; /* without a backend: the entry is free */
    unsigned target, lun;
} Unit;

typedef struct VirtioScsi {
    VirtioDevice vdev;
    VirtioWorkers *workers;
    Unit units[MAX_DISKS]; /* change while no worker is busy */
} VirtioScsi;

/* ---- Numbers ------------------------------------------------------------------- */

/* Target and LUN of eight bytes; false when they have another form. */
static bool parse_lun(const uint8_t *at, unsigned *target, unsigned *lun)
{
    *target = at[1];
    *lun = (at[2] & 0x3f) << 8 | at[3];
    return at[0] == 1 && (at[2] >> 6) <= 1;
}

static Unit *find_unit(VirtioScsi *scsi, unsigned target, unsigned lun)
{
    for (unsigned i = 0; i < MAX_DISKS; i++) {
        Unit *unit = &scsi->units[i];

        if (unit->disk.backend && unit->target == target &&
            unit->lun == lun) {
            return unit;
        }
    }
    return NULL;
}

static bool has_target(const VirtioScsi *scsi, unsigned target)
{
    for (unsigned i = 0; i < MAX_DISKS; i++) {
        if (scsi->units[i].disk.backend && scsi->units[i].target == target) {
            return true;
        }
    }
    return false;
}

/* ---- Commands ------------------------------------------------------------------ */

static void report_luns(const VirtioScsi *scsi, unsigned target,
                        ScsiCommand *c)
{
    uint8_t list[8 + 8 * MAX_DISKS] = { 0 };
    unsigned n = 0;

    for (unsigned i = 0; i < MAX_DISKS; i++) {
        const Unit *unit = &scsi->units[i];

        if (unit->disk.backend && unit->target == target) {
            list[8 + 8 * n + 1] = unit->lun;
            n++;
        }
    }
    stl_be_p(list, 8 * n);
    scsi_copy_in(c, list, MIN(8 + 8 * n, ldl_be_p(c->cdb + 6)));
}

static unsigned run_command(VirtioScsi *scsi, const uint8_t *lun_bytes,
                            ScsiCommand *c)
{
    unsigned target, lun;

    if (!parse_lun(lun_bytes, &target, &lun) || !has_target(scsi, target)) {
        return RESPONSE_BAD_TARGET;
    }
    Unit *unit = find_unit(scsi, target, lun);

    if (c->cdb[0] == OP_REPORT_LUNS) {
        report_luns(scsi, target, c);
    } else if (unit) {
        scsi_disk_execute(&unit->disk, c);
    } else {
        scsi_no_disk(c);
    }
    return RESPONSE_OK;
}

static void handle(VirtioDevice *vdev, VirtioRequest *r)
{
    uint8_t request[REQUEST_BYTES], response[RESPONSE_BYTES] = { 0 };

    if (r->out_bytes < REQUEST_BYTES || r->in_bytes < RESPONSE_BYTES) {
        virtio_broken(vdev, "command without header or room for the answer");
        virtio_request_free(r);
        return;
    }
    virtio_copy_out(r, 0, request, sizeof(request));
    ScsiCommand c = {
        .cdb = request + 19,
        .out_bytes = r->out_bytes - REQUEST_BYTES,
        .in_bytes = r->in_bytes - RESPONSE_BYTES,
    };
    g_autofree struct iovec *out =
        virtio_slice(r->out, r->n_out, REQUEST_BYTES, c.out_bytes, &c.n_out);
    g_autofree struct iovec *in =
        virtio_slice(r->in, r->n_in, RESPONSE_BYTES, c.in_bytes, &c.n_in);

    c.out = out;
    c.in = in;
    response[AT_RESPONSE] = run_command((VirtioScsi *)vdev, request, &c);
    response[AT_STATUS] = c.status;
    if (c.status) {
        stl_le_p(response, SCSI_SENSE_BYTES);
        memcpy(response + 12, c.sense, SCSI_SENSE_BYTES);
    }
    stl_le_p(response + AT_RESIDUAL,
             MAX(c.out_bytes, c.in_bytes) - c.done_bytes);
    virtio_copy_in(r, 0, response, sizeof(response));
    virtio_push(r, RESPONSE_BYTES + (c.n_in ? c.done_bytes : 0));
}

/* ---- Task management ------------------------------------------------------------- */

static void answer_control(VirtioScsi *scsi, VirtioRequest *r)
{
    uint8_t request[TASK_BYTES] = { 0 }, notification[5] = { 0 };
    uint8_t task = TASK_REJECTED;

    virtio_copy_out(r, 0, request, sizeof(request));
    if (ldl_le_p(request) != CONTROL_TASK) {
        virtio_push(r, virtio_copy_in(r, 0, notification,
                                      sizeof(notification)));
        return;
    }
    uint32_t kind = ldl_le_p(request + 4);

    if (kind == TASK_LUN_RESET || kind == TASK_TARGET_RESET) {
        virtio_workers_quiesce(scsi->workers);
        virtio_workers_notify(scsi->workers);
        task = TASK_COMPLETE;
    }
    virtio_push(r, virtio_copy_in(r, 0, &task, 1));
}

static void scsi_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioScsi *scsi = (VirtioScsi *)vdev;
    VirtioRequest *r;

    if (queue == QUEUE_CONTROL) {
        while ((r = virtio_pop(&vdev->queues[QUEUE_CONTROL]))) {
            answer_control(scsi, r);
        }
    } else if (queue >= QUEUE_COMMANDS) {
        virtio_workers_notify(scsi->workers);
    }
}

static void scsi_quiesce(VirtioDevice *vdev)
{
    virtio_workers_quiesce(((VirtioScsi *)vdev)->workers);
}

/* ---- Disks ------------------------------------------------------------------------- */

static void clear_unit(Unit *unit)
{
    block_backend_set_ops(unit->disk.backend, NULL, NULL);
    block_backend_unref(unit->disk.backend);
    g_free(unit->disk.id);
    *unit = (Unit){ .disk.backend = NULL };
}

static Unit *free_unit(VirtioScsi *scsi)
{
    for (unsigned i = 0; i < MAX_DISKS; i++) {
        if (!scsi->units[i].disk.backend) {
            return &scsi->units[i];
        }
    }
    return NULL;
}

bool virtio_scsi_attach(VirtioDevice *vdev, BlockBackend *backend,
                        const ScsiDiskOptions *o, GError **error)
{
    VirtioScsi *scsi = (VirtioScsi *)vdev;
    Unit *unit = free_unit(scsi);
    unsigned target = MAX(o->target, 0), lun = MAX(o->lun, 0);

    while (o->target < 0 && target < MAX_TARGET && has_target(scsi, target)) {
        target++;
    }
    if (!unit || target > MAX_TARGET || lun > MAX_LUN ||
        find_unit(scsi, target, lun)) {
        g_set_error(error, SYSTEM_ERROR, 0, "'%s' has no free place for "
                    "scsi-id %u, lun %u: there are 0..%u and 0..%u",
                    vdev->id, target, lun, MAX_TARGET, MAX_LUN);
        return false;
    }
    virtio_workers_quiesce(scsi->workers);
    block_backend_ref(backend);
    unit->target = target;
    unit->lun = lun;
    unit->disk.id = g_strdup(o->id);
    unit->disk.read_only = o->read_only;
    g_strlcpy(unit->disk.serial, o->serial ? o->serial : o->id,
              sizeof(unit->disk.serial));
    unit->disk.backend = backend;
    virtio_workers_notify(scsi->workers);
    return true;
}

bool virtio_scsi_detach(VirtioDevice *vdev, const char *id)
{
    VirtioScsi *scsi = (VirtioScsi *)vdev;

    for (unsigned i = 0; i < MAX_DISKS; i++) {
        Unit *unit = &scsi->units[i];

        if (unit->disk.backend && !g_strcmp0(unit->disk.id, id)) {
            virtio_workers_quiesce(scsi->workers);
            clear_unit(unit);
            virtio_workers_notify(scsi->workers);
            return true;
        }
    }
    return false;
}

/* ---- Life ---------------------------------------------------------------------------- */

static void scsi_free(VirtioDevice *vdev)
{
    VirtioScsi *scsi = (VirtioScsi *)vdev;

    virtio_workers_free(scsi->workers);
    for (unsigned i = 0; i < MAX_DISKS; i++) {
        if (scsi->units[i].disk.backend) {
            clear_unit(&scsi->units[i]);
        }
    }
    virtio_clear(vdev);
    g_free(scsi);
}

static const VirtioType scsi_type = {
    .name = "virtio-scsi",
    .id = VIRTIO_ID_SCSI,
    .config_size = CONFIG_BYTES,
    .notify = scsi_notify,
    .quiesce = scsi_quiesce,
    .free = scsi_free,
};

bool virtio_scsi_is(const VirtioDevice *vdev)
{
    return vdev->type == &scsi_type;
}

VirtioDevice *virtio_scsi_new(const char *id, PhysMem *mem)
{
    VirtioScsi *scsi = g_new0(VirtioScsi, 1);
    VirtioDevice *vdev = &scsi->vdev;
    uint8_t *config = vdev->config;

    virtio_init(vdev, &scsi_type, id, mem, QUEUES, QUEUE_SIZE);
    stl_le_p(config + CONFIG_NUM_QUEUES, QUEUES - QUEUE_COMMANDS);
    stl_le_p(config + CONFIG_SEG_MAX, QUEUE_SIZE - 2);
    stl_le_p(config + CONFIG_MAX_SECTORS, 0xffff);
    stl_le_p(config + CONFIG_CMD_PER_LUN, QUEUE_SIZE / 2);
    stl_le_p(config + CONFIG_EVENT_SIZE, 16);
    stl_le_p(config + CONFIG_SENSE_SIZE, SENSE_BYTES);
    stl_le_p(config + CONFIG_CDB_SIZE, CDB_BYTES);
    stw_le_p(config + CONFIG_MAX_CHANNEL, 0);
    stw_le_p(config + CONFIG_MAX_TARGET, MAX_TARGET);
    stl_le_p(config + CONFIG_MAX_LUN, MAX_LUN);
    scsi->workers = virtio_workers_new(vdev, QUEUE_COMMANDS, WORKERS, handle);
    return vdev;
}
