/*
 * Register tables and the life of devices; see device.h.
 */
#include "system/device.h"

#include <inttypes.h>

#include "system/machine.h"
#include "util/log.h"

G_DEFINE_QUARK(e2k-system-error-quark, system_error)

Device *device_new(Machine *machine, const DeviceClass *class, const char *id)
{
    Device *device = g_malloc0(class->state_size);

    device->class = class;
    device->id = g_strdup(id);
    device->machine = machine;
    g_mutex_init(&device->own_lock);
    device->lock = &device->own_lock;
    machine_add_device(machine, device);
    return device;
}

void device_free(Device *device)
{
    if (device->class->free) {
        device->class->free(device);
    }
    g_mutex_clear(&device->own_lock);
    g_free(device->id);
    g_free(device);
}

void device_share_lock(Device *device, Device *other)
{
    device->lock = other->lock;
}

void device_reset(Device *device)
{
    if (device->class->reset) {
        g_mutex_lock(device->lock);
        device->class->reset(device);
        g_mutex_unlock(device->lock);
    }
}

/*
 * The register that holds bytes [offset, offset + size); *index is its
 * element, *shift the bit position of the access inside it.
 */
static const DeviceReg *find_reg(const DeviceReg *regs, uint64_t offset,
                                 unsigned size, unsigned *index,
                                 unsigned *shift)
{
    for (const DeviceReg *reg = regs; reg->name; reg++) {
        unsigned count = reg->count ? reg->count : 1;
        unsigned stride = reg->stride ? reg->stride : reg->size;

        if (offset < reg->offset ||
            offset >= reg->offset + (uint64_t)count * stride) {
            continue;
        }
        unsigned within = (offset - reg->offset) % stride;

        if (within + size <= reg->size) {
            *index = (offset - reg->offset) / stride;
            *shift = within * 8;
            return reg;
        }
    }
    return NULL;
}

static void *reg_storage(Device *device, const DeviceReg *reg, unsigned index)
{
    return (uint8_t *)device + reg->field + (size_t)index * reg->size;
}

static uint64_t storage_get(const void *at, unsigned size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

static void storage_put(void *at, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *(uint8_t *)at = value;
        break;
    case 2:
        *(uint16_t *)at = value;
        break;
    case 4:
        *(uint32_t *)at = value;
        break;
    default:
        *(uint64_t *)at = value;
    }
}

static uint64_t size_mask(unsigned size)
{
    return size >= 8 ? ~UINT64_C(0) : (UINT64_C(1) << (size * 8)) - 1;
}

static uint64_t reg_get(Device *device, const DeviceReg *reg, unsigned index)
{
    if (reg->read) {
        return reg->read(device, reg->index + index);
    }
    return reg->field ? storage_get(reg_storage(device, reg, index), reg->size)
                      : 0;
}

static void reg_put(Device *device, const DeviceReg *reg, unsigned index,
                    uint64_t value)
{
    if (reg->write) {
        reg->write(device, reg->index + index, value);
    } else if (reg->field) {
        void *at = reg_storage(device, reg, index);
        uint64_t old = storage_get(at, reg->size);

        storage_put(at, reg->size,
                    (old & ~reg->writable) | (value & reg->writable));
    }
}

static void bad_access(Device *device, const char *what, uint64_t offset,
                       unsigned size)
{
    log_printf(LOG_GUEST_ERROR, "%s: %s of %u bytes at offset 0x%" PRIx64
               ", where there is no such register\n",
               device->id, what, size, offset);
}

uint64_t device_regs_read(Device *device, const DeviceReg *regs,
                          uint64_t offset, unsigned size)
{
    unsigned index, shift;
    const DeviceReg *reg = find_reg(regs, offset, size, &index, &shift);

    if (!reg) {
        bad_access(device, "read", offset, size);
        return 0;
    }
    uint64_t value = (reg_get(device, reg, index) >> shift) & size_mask(size);

    log_printf(LOG_DEVICE, "%s: read %s = 0x%" PRIx64 "\n", device->id,
               reg->name, value);
    return value;
}

void device_regs_write(Device *device, const DeviceReg *regs, uint64_t offset,
                       unsigned size, uint64_t value)
{
    unsigned index, shift;
    const DeviceReg *reg = find_reg(regs, offset, size, &index, &shift);

    if (!reg || (size != reg->size && reg->write)) {
        bad_access(device, "write", offset, size);
        return;
    }
    log_printf(LOG_DEVICE, "%s: write %s = 0x%" PRIx64 "\n", device->id,
               reg->name, value);
    if (size != reg->size) { /* part of plain storage */
        uint64_t mask = size_mask(size) << shift;

        value = (reg_get(device, reg, index) & ~mask) | (value << shift);
    }
    reg_put(device, reg, index, value);
}

uint64_t device_read(Device *device, uint64_t offset, unsigned size)
{
    const DeviceClass *class = device->class;
    uint64_t value;

    g_mutex_lock(device->lock);
    if (class->regs) {
        value = device_regs_read(device, class->regs, offset, size);
    } else {
        value = class->read(device, offset, size) & size_mask(size);
        log_printf(LOG_DEVICE, "%s: read 0x%" PRIx64 " = 0x%" PRIx64 "\n",
                   device->id, offset, value);
    }
    g_mutex_unlock(device->lock);
    return value;
}

void device_write(Device *device, uint64_t offset, unsigned size,
                  uint64_t value)
{
    const DeviceClass *class = device->class;

    value &= size_mask(size);
    g_mutex_lock(device->lock);
    if (class->regs) {
        device_regs_write(device, class->regs, offset, size, value);
    } else {
        log_printf(LOG_DEVICE, "%s: write 0x%" PRIx64 " = 0x%" PRIx64 "\n",
                   device->id, offset, value);
        class->write(device, offset, size, value);
    }
    g_mutex_unlock(device->lock);
}
