/*
 * Real-time clock of virt: nanoseconds since the epoch, read as 64 bits at
 * offset 0.  It follows the host's clock, also over a pause of the machine.
 */
#include "hw/misc.h"

#include "system/machine.h"

static uint64_t read_time(Device *device, unsigned n)
{
    return (uint64_t)g_get_real_time() * 1000;
}

static const DeviceReg rtc_regs[] = {
    { .name = "TIME", .offset = 0, .size = 8, .read = read_time },
    { 0 },
};

static const DeviceClass rtc_class = {
    .name = "virt-rtc",
    .help = "wall-clock time in nanoseconds",
    .state_size = sizeof(Device),
    .mmio_size = 0x1000,
    .regs = rtc_regs,
};

Device *rtc_new(Machine *machine, const char *id)
{
    return device_new(machine, &rtc_class, id);
}
