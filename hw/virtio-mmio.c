/*
 * virtio-mmio transport, version 2: one slot of virt's row of slots.
 *
 * An empty slot shows device id 0.  Interrupts are one level line; its two
 * causes (used buffer, configuration change) are kept under irq_lock, because
 * worker threads raise them without the slot's lock.
 *
 * Source: VIRTIO 1.2 section 4.2.
 */
#include "hw/virtio.h"

#include <string.h>

#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    MAGIC = 0x74726976,
    VERSION = 2,
    VENDOR = 0x324b3245, /* "E2K2" */
    INT_USED = 1,
    INT_CONFIG = 2,
    CONFIG_AT = 0x100,
    SLOT_BYTES = 0x200,
};

typedef struct Slot {
    Device device;
    Irq irq;
    VirtioDevice *vdev; /* NULL: empty */
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    GMutex irq_lock;
    uint32_t interrupt; /* under irq_lock */
} Slot;

static void raise_interrupt(void *opaque, const VirtioQueue *queue)
{
    Slot *slot = opaque;

    g_mutex_lock(&slot->irq_lock);
    slot->interrupt |= queue ? INT_USED : INT_CONFIG;
    irq_set(&slot->irq, true);
    g_mutex_unlock(&slot->irq_lock);
}

static void clear_interrupt(Slot *slot, uint32_t causes)
{
    g_mutex_lock(&slot->irq_lock);
    slot->interrupt &= ~causes;
    irq_set(&slot->irq, slot->interrupt);
    g_mutex_unlock(&slot->irq_lock);
}

static VirtioDevice *vdev_of(Device *device)
{
    return ((Slot *)device)->vdev;
}

/* The selected queue, NULL when there is no such queue. */
static VirtioQueue *queue_of(Device *device)
{
    Slot *slot = (Slot *)device;

    return slot->vdev && slot->queue_sel < slot->vdev->n_queues
               ? &slot->vdev->queues[slot->queue_sel]
               : NULL;
}

static uint64_t read_magic(Device *device, unsigned n)
{
    return MAGIC;
}

static uint64_t read_version(Device *device, unsigned n)
{
    return VERSION;
}

static uint64_t read_device_id(Device *device, unsigned n)
{
    return vdev_of(device) ? vdev_of(device)->type->id : 0;
}

static uint64_t read_vendor(Device *device, unsigned n)
{
    return VENDOR;
}

static uint64_t read_features(Device *device, unsigned n)
{
    Slot *slot = (Slot *)device;

    if (!slot->vdev || slot->device_features_sel > 1) {
        return 0;
    }
    return slot->vdev->offered >> (32 * slot->device_features_sel);
}

static void write_features(Device *device, unsigned n, uint64_t value)
{
    Slot *slot = (Slot *)device;

    if (slot->vdev) {
        virtio_accept_features(slot->vdev, slot->driver_features_sel, value);
    }
}

static uint64_t read_queue_max(Device *device, unsigned n)
{
    return queue_of(device) ? VIRTIO_QUEUE_MAX : 0;
}

static void write_queue_size(Device *device, unsigned n, uint64_t value)
{
    if (queue_of(device)) {
        virtio_queue_set_size(queue_of(device), value);
    }
}

static uint64_t read_queue_ready(Device *device, unsigned n)
{
    return queue_of(device) ? queue_of(device)->ready : 0;
}

static void write_queue_ready(Device *device, unsigned n, uint64_t value)
{
    if (queue_of(device)) {
        virtio_queue_set_ready(queue_of(device), value & 1);
    }
}

static void write_notify(Device *device, unsigned n, uint64_t value)
{
    if (vdev_of(device)) {
        virtio_bell(vdev_of(device), value);
    }
}

static uint64_t read_interrupt(Device *device, unsigned n)
{
    Slot *slot = (Slot *)device;

    g_mutex_lock(&slot->irq_lock);
    uint32_t value = slot->interrupt;

    g_mutex_unlock(&slot->irq_lock);
    return value;
}

static void write_ack(Device *device, unsigned n, uint64_t value)
{
    clear_interrupt((Slot *)device, value);
}

static uint64_t read_status(Device *device, unsigned n)
{
    return vdev_of(device) ? vdev_of(device)->status : 0;
}

static void reset_slot(Device *device)
{
    Slot *slot = (Slot *)device;

    if (slot->vdev) {
        virtio_quiesce(slot->vdev);
        virtio_reset(slot->vdev);
    }
    slot->device_features_sel = slot->driver_features_sel = 0;
    slot->queue_sel = 0;
    clear_interrupt(slot, ~0u);
}

static void write_status(Device *device, unsigned n, uint64_t value)
{
    if (!value) {
        reset_slot(device);
    } else if (vdev_of(device)) {
        virtio_set_status(vdev_of(device), value & 0xff);
    }
}

/* Queue addresses: element 0 the low half, 1 the high half. */
#define QUEUE_ADDRESS(name, field)                                             \
    static void write_##name(Device *device, unsigned n, uint64_t value)       \
    {                                                                          \
        VirtioQueue *queue = queue_of(device);                                 \
                                                                               \
        if (queue && !queue->ready) {                                          \
            queue->field = deposit64(queue->field, 32 * n, 32, value);         \
        }                                                                      \
    }

QUEUE_ADDRESS(desc, desc)
QUEUE_ADDRESS(driver, driver)
QUEUE_ADDRESS(used, device)

static uint64_t read_generation(Device *device, unsigned n)
{
    return vdev_of(device) ? vdev_of(device)->config_generation : 0;
}

#define RO(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn }
#define WO(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .write = write_##fn }
#define PLAIN(reg_name, at, member)                                            \
    { .name = reg_name, .offset = at, .size = 4,                               \
      .field = offsetof(Slot, member), .writable = ~0u }

static const DeviceReg slot_regs[] = {
    RO("Magic", 0x000, magic),
    RO("Version", 0x004, version),
    RO("DeviceID", 0x008, device_id),
    RO("VendorID", 0x00c, vendor),
    RO("DeviceFeatures", 0x010, features),
    PLAIN("DeviceFeaturesSel", 0x014, device_features_sel),
    WO("DriverFeatures", 0x020, features),
    PLAIN("DriverFeaturesSel", 0x024, driver_features_sel),
    PLAIN("QueueSel", 0x030, queue_sel),
    RO("QueueNumMax", 0x034, queue_max),
    WO("QueueNum", 0x038, queue_size),
    { .name = "QueueReady", .offset = 0x044, .size = 4,
      .read = read_queue_ready, .write = write_queue_ready },
    WO("QueueNotify", 0x050, notify),
    RO("InterruptStatus", 0x060, interrupt),
    WO("InterruptACK", 0x064, ack),
    { .name = "Status", .offset = 0x070, .size = 4, .read = read_status,
      .write = write_status },
    { .name = "QueueDesc", .offset = 0x080, .size = 4, .count = 2,
      .write = write_desc },
    { .name = "QueueDriver", .offset = 0x090, .size = 4, .count = 2,
      .write = write_driver },
    { .name = "QueueDevice", .offset = 0x0a0, .size = 4, .count = 2,
      .write = write_used },
    RO("ConfigGeneration", 0x0fc, generation),
    { 0 },
};

/* Registers are words; the configuration space is bytes of any width. */
static uint64_t slot_read(Device *device, uint64_t offset, unsigned size)
{
    if (offset < CONFIG_AT) {
        return device_regs_read(device, slot_regs, offset, size);
    }
    return vdev_of(device)
               ? virtio_config_read(vdev_of(device), offset - CONFIG_AT, size)
               : 0;
}

static void slot_write(Device *device, uint64_t offset, unsigned size,
                       uint64_t value)
{
    if (offset < CONFIG_AT) {
        device_regs_write(device, slot_regs, offset, size, value);
    } else if (vdev_of(device)) {
        virtio_config_write(vdev_of(device), offset - CONFIG_AT, size, value);
    }
}

static void slot_quiesce(Device *device)
{
    if (vdev_of(device)) {
        virtio_quiesce(vdev_of(device));
    }
}

static void slot_resume(Device *device)
{
    if (vdev_of(device)) {
        virtio_resume(vdev_of(device));
    }
}

static const StateField slot_fields[] = {
    STATE_FIELD(Slot, device_features_sel),
    STATE_FIELD(Slot, driver_features_sel),
    STATE_FIELD(Slot, queue_sel),
    STATE_FIELD(Slot, interrupt),
    STATE_POINTER(Slot, vdev, virtio_fields),
    STATE_END,
};

static void slot_free(Device *device)
{
    Slot *slot = (Slot *)device;

    if (slot->vdev) {
        slot->vdev->type->free(slot->vdev);
    }
    g_mutex_clear(&slot->irq_lock);
}

static const DeviceClass slot_class = {
    .name = "virtio-mmio",
    .help = "virtio transport on the memory bus",
    .state_size = sizeof(Slot),
    .version = 1,
    .mmio_size = SLOT_BYTES,
    .read = slot_read,
    .write = slot_write,
    .reset = reset_slot,
    .quiesce = slot_quiesce,
    .resume = slot_resume,
    .fields = slot_fields,
    .free = slot_free,
};

Device *virtio_mmio_new(Machine *machine, const char *id, Irq irq)
{
    Slot *slot = (Slot *)device_new(machine, &slot_class, id);

    slot->irq = irq;
    g_mutex_init(&slot->irq_lock);
    return &slot->device;
}

void virtio_mmio_plug(Device *device, VirtioDevice *vdev)
{
    Slot *slot = (Slot *)device;

    g_assert(!slot->vdev);
    slot->vdev = vdev;
    vdev->raise = raise_interrupt;
    vdev->transport = slot;
}

bool virtio_mmio_is_free(Device *device)
{
    return !vdev_of(device);
}

VirtioDevice *virtio_mmio_unplug(Device *device)
{
    Slot *slot = (Slot *)device;

    g_mutex_lock(device->lock);
    VirtioDevice *vdev = slot->vdev;

    if (vdev) {
        virtio_quiesce(vdev);
        slot->vdev = NULL;
        clear_interrupt(slot, ~0u);
    }
    g_mutex_unlock(device->lock);
    return vdev;
}

const char *virtio_mmio_id(Device *device)
{
    return vdev_of(device) ? vdev_of(device)->id : NULL;
}
