/*
 * Test and power device of virt: how a guest ends the run, and how it learns
 * that somebody pressed the power button.
 *
 *   +0 CONTROL  write 0x5555: exit status 0
 *                     0x3333 | code << 16: exit status code
 *                     0x7777: reset
 *   +4 BUTTON   read: 1 after a press; write 1 clears it and the interrupt
 */
#include "hw/misc.h"

#include "system/machine.h"
#include "util/log.h"

enum {
    CONTROL_EXIT_0 = 0x5555,
    CONTROL_EXIT = 0x3333,
    CONTROL_RESET = 0x7777,
    EXIT_STATUS_MASK = 0xff,
};

typedef struct Power {
    Device device;
    Irq irq;
    uint32_t button;
} Power;

static void write_control(Device *device, unsigned n, uint64_t value)
{
    Machine *machine = device->machine;

    switch (value & 0xffff) {
    case CONTROL_EXIT_0:
        machine_request_shutdown(machine, SHUTDOWN_GUEST_SHUTDOWN, 0);
        break;
    case CONTROL_EXIT:
        machine_request_shutdown(machine, SHUTDOWN_GUEST_SHUTDOWN,
                                 value >> 16 & EXIT_STATUS_MASK);
        break;
    case CONTROL_RESET:
        machine_request_reset(machine);
        break;
    default:
        log_printf(LOG_GUEST_ERROR, "%s: unknown command 0x%x\n", device->id,
                   (unsigned)value);
        break;
    }
}

static void write_button(Device *device, unsigned n, uint64_t value)
{
    Power *power = (Power *)device;

    if (value & 1) {
        power->button = 0;
        irq_set(&power->irq, false);
    }
}

static void press(void *opaque)
{
    Power *power = opaque;

    g_mutex_lock(power->device.lock);
    power->button = 1;
    irq_set(&power->irq, true);
    g_mutex_unlock(power->device.lock);
}

static void power_reset(Device *device)
{
    write_button(device, 0, 1);
}

static void power_post_load(Device *device)
{
    Power *power = (Power *)device;

    irq_set(&power->irq, power->button);
}

static const DeviceReg power_regs[] = {
    { .name = "CONTROL", .offset = 0, .size = 4, .write = write_control },
    { .name = "BUTTON", .offset = 4, .size = 4,
      .field = offsetof(Power, button), .write = write_button },
    { 0 },
};

static const StateField power_fields[] = {
    STATE_FIELD(Power, button),
    STATE_END,
};

static const DeviceClass power_class = {
    .name = "virt-power",
    .help = "power and test control",
    .state_size = sizeof(Power),
    .version = 1,
    .mmio_size = 0x1000,
    .regs = power_regs,
    .reset = power_reset,
    .fields = power_fields,
    .post_load = power_post_load,
};

Device *power_new(Machine *machine, const char *id, Irq irq)
{
    Power *power = (Power *)device_new(machine, &power_class, id);

    power->irq = irq;
    machine->powerdown = press;
    machine->powerdown_opaque = power;
    return &power->device;
}
