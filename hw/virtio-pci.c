/*
 * virtio over PCI, version 1 only.
 *
 *   BAR 1   table of MSI-X
 *   BAR 4   common configuration | ISR | device configuration | bells
 *
 * Vector 0 of MSI-X is usually the configuration's; without MSI-X there is
 * INTx with the two causes of the ISR register.
 *
 * Source: VIRTIO 1.2 section 4.1.
 */
#include "hw/virtio-pci.h"

#include <string.h>

#include "hw/virtio-transport.h"
#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    VENDOR_ID = 0x1af4,
    DEVICE_ID_BASE = 0x1040,
    REVISION = 1,
    BAR_MSIX = 1,
    BAR_REGS = 4,
    REGION_BYTES = 0x1000,
    AT_COMMON = 0x0000,
    AT_ISR = 0x1000,
    AT_DEVICE = 0x2000,
    AT_NOTIFY = 0x3000,
    REGS_BYTES = 0x4000,
    NOTIFY_MULTIPLIER = 4,
    CAPABILITY_VENDOR = 0x09,
    CAPABILITY_COMMON = 1,
    CAPABILITY_NOTIFY = 2,
    CAPABILITY_ISR = 3,
    CAPABILITY_DEVICE = 4,
    CAPABILITY_CONFIG_ACCESS = 5,
    CAPABILITY_BYTES = 16,
    NO_VECTOR = 0xffff,
    ISR_QUEUE = 1,
    ISR_CONFIG = 2,
};

typedef struct VirtioPci {
    PciFunction fn;
    PciType type;      /* ids depend on the device */
    VirtioTransport transport;
    unsigned access;   /* offset of the configuration access capability */
    /* Written under the host's lock; read by raise() without it. */
    uint16_t config_vector, queue_vector[VIRTIO_MAX_QUEUES];
    GMutex isr_lock;
    uint32_t isr; /* under isr_lock */
} VirtioPci;

static VirtioPci *from_device(Device *device)
{
    return (VirtioPci *)device;
}

static void raise_interrupt(void *opaque, const VirtioQueue *queue)
{
    VirtioPci *p = opaque;

    if (pci_msix_enabled(&p->fn)) {
        unsigned vector = queue ? p->queue_vector[queue->index]
                                : p->config_vector;

        if (vector != NO_VECTOR) {
            pci_msix_raise(&p->fn, vector);
        }
        return;
    }
    g_mutex_lock(&p->isr_lock);
    p->isr |= queue ? ISR_QUEUE : ISR_CONFIG;
    pci_set_intx(&p->fn, true);
    g_mutex_unlock(&p->isr_lock);
}

static uint64_t read_isr(Device *device, unsigned n)
{
    VirtioPci *p = from_device(device);

    g_mutex_lock(&p->isr_lock);
    uint32_t value = p->isr;

    p->isr = 0;
    pci_set_intx(&p->fn, false);
    g_mutex_unlock(&p->isr_lock);
    return value;
}

/* ---- Common configuration ------------------------------------------------------ */

static uint64_t read_common(Device *device, unsigned reg)
{
    return virtio_transport_read(&from_device(device)->transport, reg);
}

static void write_common(Device *device, unsigned reg, uint64_t value)
{
    virtio_transport_write(&from_device(device)->transport, reg, value);
}

static void reset_transport(VirtioPci *p)
{
    virtio_transport_reset(&p->transport);
    p->config_vector = NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        p->queue_vector[i] = NO_VECTOR;
    }
    read_isr(&p->fn.device, 0);
}

static void write_status(Device *device, unsigned n, uint64_t value)
{
    VirtioPci *p = from_device(device);

    if (!value) {
        reset_transport(p);
    } else {
        virtio_set_status(p->transport.vdev, value & 0xff);
    }
}

static uint16_t checked_vector(VirtioPci *p, uint64_t value)
{
    return value < p->fn.n_vectors ? value : NO_VECTOR;
}

static uint64_t read_config_vector(Device *device, unsigned n)
{
    return from_device(device)->config_vector;
}

static void write_config_vector(Device *device, unsigned n, uint64_t value)
{
    VirtioPci *p = from_device(device);

    p->config_vector = checked_vector(p, value);
}

static uint16_t *selected_vector(VirtioPci *p)
{
    const VirtioQueue *queue = virtio_transport_queue(&p->transport);

    return queue ? &p->queue_vector[queue->index] : NULL;
}

static uint64_t read_queue_vector(Device *device, unsigned n)
{
    const uint16_t *vector = selected_vector(from_device(device));

    return vector ? *vector : NO_VECTOR;
}

static void write_queue_vector(Device *device, unsigned n, uint64_t value)
{
    VirtioPci *p = from_device(device);
    uint16_t *vector = selected_vector(p);

    if (vector) {
        *vector = checked_vector(p, value);
    }
}

static void write_queue_enable(Device *device, unsigned reg, uint64_t value)
{
    if (value & 1) { /* cannot be disabled by 0 */
        write_common(device, reg, value);
    }
}

#define RW(reg_name, at, fn_name)                                              \
    { .name = reg_name, .offset = at, .size = 2,                               \
      .read = read_##fn_name, .write = write_##fn_name }
/* What all transports have; n: halves of an address are two. */
#define COMMON_R(reg_name, at, bytes, which)                                   \
    { .name = reg_name, .offset = at, .size = bytes, .read = read_common,      \
      .index = VIRTIO_REG_##which }
#define COMMON_RW(reg_name, at, bytes, which, n)                               \
    { .name = reg_name, .offset = at, .size = bytes, .count = n,               \
      .read = read_common, .write = write_common,                              \
      .index = VIRTIO_REG_##which }

static const DeviceReg common_regs[] = {
    COMMON_RW("device_feature_select", 0x00, 4, DEVICE_FEATURES_SEL, 1),
    COMMON_R("device_feature", 0x04, 4, DEVICE_FEATURES),
    COMMON_RW("driver_feature_select", 0x08, 4, DRIVER_FEATURES_SEL, 1),
    COMMON_RW("driver_feature", 0x0c, 4, DRIVER_FEATURES, 1),
    RW("config_msix_vector", 0x10, config_vector),
    COMMON_R("num_queues", 0x12, 2, N_QUEUES),
    { .name = "device_status", .offset = 0x14, .size = 1, .read = read_common,
      .write = write_status, .index = VIRTIO_REG_STATUS },
    COMMON_R("config_generation", 0x15, 1, GENERATION),
    COMMON_RW("queue_select", 0x16, 2, QUEUE_SEL, 1),
    COMMON_RW("queue_size", 0x18, 2, QUEUE_SIZE, 1),
    RW("queue_msix_vector", 0x1a, queue_vector),
    { .name = "queue_enable", .offset = 0x1c, .size = 2, .read = read_common,
      .write = write_queue_enable, .index = VIRTIO_REG_QUEUE_READY },
    COMMON_R("queue_notify_off", 0x1e, 2, QUEUE_SEL),
    COMMON_RW("queue_desc", 0x20, 4, DESC, 2),
    COMMON_RW("queue_driver", 0x28, 4, DRIVER, 2),
    COMMON_RW("queue_device", 0x30, 4, DEVICE, 2),
    { 0 },
};

/* Eight bytes at once are two halves. */
static uint64_t common_read(Device *device, uint64_t at, unsigned size)
{
    return size < 8 ? device_regs_read(device, common_regs, at, size)
                    : device_regs_read(device, common_regs, at, 4) |
                          device_regs_read(device, common_regs, at + 4, 4)
                              << 32;
}

static void common_write(Device *device, uint64_t at, unsigned size,
                         uint64_t value)
{
    device_regs_write(device, common_regs, at, MIN(size, 4),
                      size == 8 ? value & 0xffffffff : value);
    if (size == 8) {
        device_regs_write(device, common_regs, at + 4, 4, value >> 32);
    }
}

/* ---- The BAR ------------------------------------------------------------------- */

static uint64_t regs_read(PciFunction *fn, unsigned bar, uint64_t offset,
                          unsigned size)
{
    VirtioPci *p = (VirtioPci *)fn;
    uint64_t at = offset % REGION_BYTES;

    switch (offset - at) {
    case AT_COMMON:
        return common_read(&fn->device, at, size);
    case AT_ISR:
        return at == 0 ? read_isr(&fn->device, 0) : 0;
    case AT_DEVICE:
        return virtio_config_read(p->transport.vdev, at, size);
    default:
        return 0;
    }
}

static void regs_write(PciFunction *fn, unsigned bar, uint64_t offset,
                       unsigned size, uint64_t value)
{
    VirtioPci *p = (VirtioPci *)fn;
    uint64_t at = offset % REGION_BYTES;

    switch (offset - at) {
    case AT_COMMON:
        common_write(&fn->device, at, size, value);
        break;
    case AT_DEVICE:
        virtio_config_write(p->transport.vdev, at, size, value);
        break;
    case AT_NOTIFY:
        if (pci_is_master(fn)) {
            virtio_bell(p->transport.vdev, at / NOTIFY_MULTIPLIER);
        }
        break;
    default:
        break;
    }
}

/* ---- Capabilities ----------------------------------------------------------------- */

static unsigned add_capability(PciFunction *fn, unsigned kind, uint32_t at,
                               uint32_t bytes, unsigned extra)
{
    unsigned cap = pci_add_capability(fn, CAPABILITY_VENDOR,
                                      CAPABILITY_BYTES + extra);
    uint8_t *c = fn->config + cap;

    c[2] = CAPABILITY_BYTES + extra;
    c[3] = kind;
    c[4] = kind == CAPABILITY_CONFIG_ACCESS ? 0 : BAR_REGS;
    stl_le_p(c + 8, at);
    stl_le_p(c + 12, bytes);
    return cap;
}

static void init_function(PciFunction *fn)
{
    VirtioPci *p = (VirtioPci *)fn;

    pci_add_msix(fn, BAR_MSIX, VIRTIO_MAX_QUEUES + 1);
    add_capability(fn, CAPABILITY_COMMON, AT_COMMON, REGION_BYTES, 0);
    add_capability(fn, CAPABILITY_ISR, AT_ISR, REGION_BYTES, 0);
    add_capability(fn, CAPABILITY_DEVICE, AT_DEVICE, REGION_BYTES, 0);
    unsigned notify =
        add_capability(fn, CAPABILITY_NOTIFY, AT_NOTIFY, REGION_BYTES, 4);

    stl_le_p(fn->config + notify + CAPABILITY_BYTES, NOTIFY_MULTIPLIER);
    p->access = add_capability(fn, CAPABILITY_CONFIG_ACCESS, 0, 0, 4);
    fn->writable[p->access + 4] = 0xff;
    memset(fn->writable + p->access + 8, 0xff, 12);
}

/* The window in configuration space: BAR, offset, length, then data. */
static bool access_window(const VirtioPci *p, unsigned offset, unsigned size,
                          uint32_t *at, unsigned *bytes)
{
    const uint8_t *c = p->fn.config + p->access;

    *at = ldl_le_p(c + 8);
    *bytes = ldl_le_p(c + 12);
    return offset == p->access + CAPABILITY_BYTES && c[4] == BAR_REGS &&
           (*bytes == 1 || *bytes == 2 || *bytes == 4) && size >= *bytes &&
           *at < REGS_BYTES && *at % *bytes == 0;
}

static void config_read(PciFunction *fn, unsigned offset, unsigned size)
{
    VirtioPci *p = (VirtioPci *)fn;
    unsigned bytes;
    uint32_t at;

    if (access_window(p, offset, size, &at, &bytes)) {
        stl_le_p(fn->config + p->access + CAPABILITY_BYTES,
                 regs_read(fn, BAR_REGS, at, bytes));
    }
}

static void config_written(PciFunction *fn, unsigned offset, unsigned size)
{
    VirtioPci *p = (VirtioPci *)fn;
    unsigned bytes;
    uint32_t at;

    if (access_window(p, offset, size, &at, &bytes)) {
        uint32_t value =
            ldl_le_p(fn->config + p->access + CAPABILITY_BYTES);

        regs_write(fn, BAR_REGS, at, bytes,
                   bytes == 4 ? value
                              : value & ((UINT32_C(1) << 8 * bytes) - 1));
    }
}

/* ---- Life --------------------------------------------------------------------------- */

static void pci_reset(Device *device)
{
    reset_transport(from_device(device));
    pci_function_reset(&from_device(device)->fn);
}

static void pci_quiesce(Device *device)
{
    virtio_quiesce(from_device(device)->transport.vdev);
}

static void pci_resume(Device *device)
{
    virtio_resume(from_device(device)->transport.vdev);
}

static void pci_free(Device *device)
{
    VirtioPci *p = from_device(device);

    p->transport.vdev->type->free(p->transport.vdev);
    g_mutex_clear(&p->isr_lock);
}

static const StateField virtio_pci_fields[] = {
    STATE_PCI,
    STATE_FIELD(VirtioPci, config_vector),
    STATE_ARRAY(VirtioPci, queue_vector),
    STATE_FIELD(VirtioPci, isr),
    STATE_VIRTIO_TRANSPORT(VirtioPci, transport),
    STATE_END,
};

static const DeviceClass virtio_pci_class = {
    .name = "virtio-pci",
    .help = "virtio transport on PCI",
    .state_size = sizeof(VirtioPci),
    .version = 2,
    .reset = pci_reset,
    .quiesce = pci_quiesce,
    .resume = pci_resume,
    .fields = virtio_pci_fields,
    .free = pci_free,
};

/* Class codes as other virtio implementations give them. */
static uint32_t class_code(unsigned id)
{
    switch (id) {
    case VIRTIO_ID_NET:
        return 0x020000;
    case VIRTIO_ID_BLOCK:
    case VIRTIO_ID_SCSI:
        return 0x010000;
    case VIRTIO_ID_CONSOLE:
        return 0x078000;
    default:
        return 0x00ff00;
    }
}

PciFunction *virtio_pci_new(PciHost *host, PciFunction *parent,
                            VirtioDevice *vdev, unsigned devfn, unsigned pin)
{
    PciType type = {
        .class = &virtio_pci_class,
        .vendor = VENDOR_ID,
        .device = DEVICE_ID_BASE + vdev->type->id,
        .sub_vendor = VENDOR_ID,
        .sub_device = DEVICE_ID_BASE + vdev->type->id,
        .class_code = class_code(vdev->type->id),
        .revision = REVISION,
        .interrupt_pin = 1,
        .bars = {
            [BAR_MSIX] = { PCI_BAR_MEMORY, REGION_BYTES },
            [BAR_REGS] = { PCI_BAR_MEMORY64, REGS_BYTES },
        },
        .bar_read = regs_read,
        .bar_write = regs_write,
        .config_read = config_read,
        .config_written = config_written,
        .init = init_function,
    };
    PciFunction *fn = pci_add(host, parent, &type, vdev->id, devfn, pin);
    VirtioPci *p = (VirtioPci *)fn;

    p->type = type;
    fn->type = &p->type;
    p->transport.vdev = vdev;
    p->config_vector = NO_VECTOR;
    memset(p->queue_vector, 0xff, sizeof(p->queue_vector));
    g_mutex_init(&p->isr_lock);
    vdev->raise = raise_interrupt;
    vdev->transport = p;
    return fn;
}
