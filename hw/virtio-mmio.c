/*
 * virtio-mmio transport, version 2: one slot of virt's row of slots.
 *
 * An empty slot shows device id 0.  Interrupts are one level line; its two
 * causes (used buffer, configuration change) are kept under irq_lock, because
 * worker threads raise them without the slot's lock.
 *
 * Source: VIRTIO 1.2 section 4.2.
 */
#include "hw/virtio-transport.h"

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
    VirtioTransport transport; /* without a device: empty */
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
    return ((Slot *)device)->transport.vdev;
}

static uint64_t read_common(Device *device, unsigned reg)
{
    return virtio_transport_read(&((Slot *)device)->transport, reg);
}

static void write_common(Device *device, unsigned reg, uint64_t value)
{
    virtio_transport_write(&((Slot *)device)->transport, reg, value);
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

static void reset_slot(Device *device)
{
    Slot *slot = (Slot *)device;

    virtio_transport_reset(&slot->transport);
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

#define RO(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn }
/* What all transports have. */
#define COMMON_R(reg_name, at, which)                                          \
    { .name = reg_name, .offset = at, .size = 4, .read = read_common,          \
      .index = VIRTIO_REG_##which }
#define COMMON_W(reg_name, at, which, n)                                       \
    { .name = reg_name, .offset = at, .size = 4, .count = n,                   \
      .write = write_common, .index = VIRTIO_REG_##which }
#define COMMON_RW(reg_name, at, which)                                         \
    { .name = reg_name, .offset = at, .size = 4, .read = read_common,          \
      .write = write_common, .index = VIRTIO_REG_##which }

static const DeviceReg slot_regs[] = {
    RO("Magic", 0x000, magic),
    RO("Version", 0x004, version),
    RO("DeviceID", 0x008, device_id),
    RO("VendorID", 0x00c, vendor),
    COMMON_R("DeviceFeatures", 0x010, DEVICE_FEATURES),
    COMMON_RW("DeviceFeaturesSel", 0x014, DEVICE_FEATURES_SEL),
    COMMON_W("DriverFeatures", 0x020, DRIVER_FEATURES, 1),
    COMMON_RW("DriverFeaturesSel", 0x024, DRIVER_FEATURES_SEL),
    COMMON_RW("QueueSel", 0x030, QUEUE_SEL),
    COMMON_R("QueueNumMax", 0x034, QUEUE_MAX),
    COMMON_W("QueueNum", 0x038, QUEUE_SIZE, 1),
    COMMON_RW("QueueReady", 0x044, QUEUE_READY),
    COMMON_W("QueueNotify", 0x050, BELL, 1),
    RO("InterruptStatus", 0x060, interrupt),
    { .name = "InterruptACK", .offset = 0x064, .size = 4,
      .write = write_ack },
    { .name = "Status", .offset = 0x070, .size = 4, .read = read_common,
      .write = write_status, .index = VIRTIO_REG_STATUS },
    COMMON_W("QueueDesc", 0x080, DESC, 2),
    COMMON_W("QueueDriver", 0x090, DRIVER, 2),
    COMMON_W("QueueDevice", 0x0a0, DEVICE, 2),
    COMMON_R("ConfigGeneration", 0x0fc, GENERATION),
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
    STATE_FIELD(Slot, interrupt),
    STATE_VIRTIO_TRANSPORT(Slot, transport),
    STATE_END,
};

static void slot_free(Device *device)
{
    Slot *slot = (Slot *)device;

    if (slot->transport.vdev) {
        slot->transport.vdev->type->free(slot->transport.vdev);
    }
    g_mutex_clear(&slot->irq_lock);
}

static const DeviceClass slot_class = {
    .name = "virtio-mmio",
    .help = "virtio transport on the memory bus",
    .state_size = sizeof(Slot),
    .version = 2,
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

    g_assert(!slot->transport.vdev);
    slot->transport.vdev = vdev;
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
    VirtioDevice *vdev = slot->transport.vdev;

    if (vdev) {
        virtio_quiesce(vdev);
        slot->transport.vdev = NULL;
        clear_interrupt(slot, ~0u);
    }
    g_mutex_unlock(device->lock);
    return vdev;
}

const char *virtio_mmio_id(Device *device)
{
    return vdev_of(device) ? vdev_of(device)->id : NULL;
}
