/*
 * The I/O port area, of which only the simulator's debug console answers:
 * port 0x300 reads 0 ("ready") and prints every non-zero byte written to it.
 * Other ports read as all ones.  "system/machine.md" section 7.
 */
#include "hw/misc.h"

#include "system/machine.h"

enum {
    PORT_DEBUG = 0x300,
    PORT_DEBUG_STATUS = 0x301,
    PORT_AREA_BYTES = 0x10000,
};

typedef struct LmsPorts {
    Device device;
    const CharSink *sink;
    void *sink_opaque;
} LmsPorts;

static uint64_t lms_read(Device *device, uint64_t offset, unsigned size)
{
    bool present = offset == PORT_DEBUG || offset == PORT_DEBUG_STATUS;

    return present && device->machine->lms ? 0 : ~UINT64_C(0);
}

static void lms_write(Device *device, uint64_t offset, unsigned size,
                      uint64_t value)
{
    LmsPorts *ports = (LmsPorts *)device;
    uint8_t byte = value;

    if (offset == PORT_DEBUG && device->machine->lms && byte && ports->sink) {
        ports->sink->write(ports->sink_opaque, &byte, 1);
    }
}

static const DeviceClass lms_class = {
    .name = "lms-ports",
    .help = "I/O ports with the simulator's debug console",
    .state_size = sizeof(LmsPorts),
    .mmio_size = PORT_AREA_BYTES,
    .read = lms_read,
    .write = lms_write,
};

Device *lms_ports_new(Machine *machine, const char *id, const CharSink *sink,
                      void *sink_opaque)
{
    LmsPorts *ports = (LmsPorts *)device_new(machine, &lms_class, id);

    ports->sink = sink;
    ports->sink_opaque = sink_opaque;
    return &ports->device;
}
