/*
 * The I/O hubs of the real machines: PCI functions on the bus behind the
 * virtual bridge of bus 0.
 *
 *                 IOHub      IOHub2     EIOHub
 *   bus 0         1.0        0.0        0.0       virtual bridge
 *   bus N         0.0        0.0        -         bridge to slots
 *                 2.1        2.1        2.1       I2C/SPI, addresses, reset
 *                 2.2        2.2        2.2       serial
 *                 3.0 3.1    3.0 3.1    3.0       SATA
 *                 -          4.0..9.0   5.0..8.0  PCI Express root ports
 *                 -          c.0        9.0       power management
 *
 * Absent functions (IDE, audio, GPIO, USB, Ethernet) read as all ones.  The
 * EIOHub's IO-EPIC is behind BAR 3 of 2.1; that its timer's address is where
 * IOHub2 has it, and the id of its root ports, are inferred.
 * "system/machine.md" section 4; Linux (arch/e2k/boot/dts: eioh.dtsi).
 */
#include "hw/elbrus-int.h"

#include "hw/escc.h"
#include "hw/intc.h"
#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    VENDOR_MCST = 0x1fff,
    DEVICE_VPPB = 0x8017,
    DEVICE_BRIDGE = 0x8000,
    DEVICE_I2C_SPI = 0x8018,
    DEVICE_SERIAL = 0x8019,
    DEVICE_ROOT_PORT = 0x8010,
    DEVICE_EIOH_I2C_SPI = 0x8028,
    DEVICE_EIOH_SERIAL = 0x802f,
    EIOHUB_REVISION = 0x10, /* of the virtual bridge, and above */
    DEVICE_SPMC = 0x800e,
    HUB_REVISION = 6, /* 0 and 1 need workarounds of the serial port */
    /* Configuration registers of function 2.1. */
    I2C_IOAPIC_BASE = 0x40,
    I2C_MSI_BASE = 0x48,
    I2C_LAPIC_BASE = 0x50,
    I2C_TIMER_BASE = 0x58,
    I2C_RESET_CONTROL = 0x60,
    I2C_RESET_REQUEST = 0x64,
    I2C_RESET_DURATION = 0x68,
    RESET_SOFTWARE = 1 << 2 | 1 << 4, /* a request resets hard or soft */
    AREA_BYTES = 64,
    BAR_PARALLEL = 0,
    BAR_SERIAL = 1,
    BAR_IOEPIC = 3,
    EIOHUB_PIN_SERIAL = 14,
    EIOHUB_PIN_SATA = 21,
    PIN_SERIAL = 3,
    PIN_I2C = 15,
    PIN_SATA = 20,
    /* PCI Express capability, version 2, of a root port; its registers. */
    CAPABILITY_EXPRESS = 0x10,
    EXPRESS_BYTES = 0x3c,
    EXPRESS_ROOT_PORT = 2 | 4 << 4,
    EXPRESS_CAPABILITIES = 2,
    EXPRESS_DEVICE = 4,
    EXPRESS_DEVICE_CONTROL = 8,
    EXPRESS_LINK = 12,
    EXPRESS_LINK_CONTROL = 16,
    EXPRESS_LINK_STATUS = 18,
    EXPRESS_ROLE_BASED = 1 << 15, /* error reporting */
    EXPRESS_X1 = 1 | 1 << 4,      /* 2.5 GT/s, one lane */
};

/* ---- Functions without state of their own ------------------------------------------ */

static void simple_reset(Device *device)
{
    pci_function_reset((PciFunction *)device);
}

static const StateField simple_fields[] = { STATE_PCI, STATE_END };

/* ---- Bridges --------------------------------------------------------------------- */

static const PciType vppb_type =
    PCI_BRIDGE_TYPE(VENDOR_MCST, DEVICE_VPPB, HUB_REVISION);
static const PciType eioh_vppb_type =
    PCI_BRIDGE_TYPE(VENDOR_MCST, DEVICE_VPPB, EIOHUB_REVISION);
static const PciType slots_type =
    PCI_BRIDGE_TYPE(VENDOR_MCST, DEVICE_BRIDGE, HUB_REVISION);

static void port_init(PciFunction *fn)
{
    unsigned at = pci_add_capability(fn, CAPABILITY_EXPRESS, EXPRESS_BYTES);
    uint8_t *c = fn->config + at;

    stw_le_p(c + EXPRESS_CAPABILITIES, EXPRESS_ROOT_PORT);
    stl_le_p(c + EXPRESS_DEVICE, EXPRESS_ROLE_BASED);
    stl_le_p(c + EXPRESS_LINK, EXPRESS_X1);
    stw_le_p(c + EXPRESS_LINK_STATUS, EXPRESS_X1);
    stw_le_p(fn->writable + at + EXPRESS_DEVICE_CONTROL, 0x7fff);
    stw_le_p(fn->writable + at + EXPRESS_LINK_CONTROL, 0x0ffb);
}

static const PciType port_type = {
    .class = &pci_bridge_class,
    .vendor = VENDOR_MCST,
    .device = DEVICE_ROOT_PORT,
    .class_code = 0x060400,
    .revision = HUB_REVISION,
    .bridge = true,
    .init = port_init,
};

/* ---- I2C/SPI ------------------------------------------------------------------------ */

typedef struct I2c {
    PciFunction fn;
    Device *ioepic; /* behind BAR 3, or NULL */
} I2c;

static const DeviceClass i2c_class = {
    .name = "iohub-i2c-spi",
    .help = "I2C/SPI function of the IOHub; addresses and system reset",
    .state_size = sizeof(I2c),
    .version = 1,
    .reset = simple_reset,
    .fields = simple_fields,
};

/* No chip answers on the two buses. */
static uint64_t area_read(PciFunction *fn, unsigned bar, uint64_t offset,
                          unsigned size)
{
    return bar == BAR_IOEPIC ? device_read(((I2c *)fn)->ioepic, offset, size)
                             : 0;
}

static void area_write(PciFunction *fn, unsigned bar, uint64_t offset,
                       unsigned size, uint64_t value)
{
    if (bar == BAR_IOEPIC) {
        device_write(((I2c *)fn)->ioepic, offset, size, value);
    }
}

static void eioh_i2c_init(PciFunction *fn)
{
    stq_le_p(fn->config + I2C_TIMER_BASE, ELBRUS_LT);
    fn->writable[I2C_RESET_CONTROL] = 0x1f;
    fn->writable[I2C_RESET_REQUEST] = 1;
    stw_le_p(fn->writable + I2C_RESET_DURATION, 0xffff);
}

static void i2c_init(PciFunction *fn)
{
    eioh_i2c_init(fn);
    stq_le_p(fn->config + I2C_IOAPIC_BASE, ELBRUS_IOAPIC);
    stq_le_p(fn->config + I2C_MSI_BASE, ELBRUS_MSI);
    stq_le_p(fn->config + I2C_LAPIC_BASE, ELBRUS_LAPIC);
}

static void i2c_config_written(PciFunction *fn, unsigned offset,
                               unsigned size)
{
    if (offset <= I2C_RESET_REQUEST && offset + size > I2C_RESET_REQUEST &&
        (fn->config[I2C_RESET_REQUEST] & 1)) {
        fn->config[I2C_RESET_REQUEST] = 0;
        if (fn->config[I2C_RESET_CONTROL] & RESET_SOFTWARE) {
            machine_request_reset(fn->device.machine);
        }
    }
}

#define I2C_TYPE(device_id, init_function, ...)                                \
    { .class = &i2c_class, .vendor = VENDOR_MCST, .device = device_id,         \
      .class_code = 0x0c0500, .revision = HUB_REVISION, .interrupt_pin = 1,    \
      .bars = { { PCI_BAR_MEMORY, AREA_BYTES },                                \
                { PCI_BAR_MEMORY, AREA_BYTES }, __VA_ARGS__ },                 \
      .bar_read = area_read, .bar_write = area_write,                          \
      .config_written = i2c_config_written, .init = init_function }

static const PciType i2c_type = I2C_TYPE(DEVICE_I2C_SPI, i2c_init);
static const PciType eioh_i2c_type =
    I2C_TYPE(DEVICE_EIOH_I2C_SPI, eioh_i2c_init,
             [BAR_IOEPIC] = { PCI_BAR_MEMORY, IOEPIC_BYTES });

uint64_t iohub_ioepic_base(const IoHub *hub)
{
    return pci_bar_base(hub->i2c, BAR_IOEPIC);
}

/* ---- Serial ---------------------------------------------------------------------------- */

typedef struct Serial {
    PciFunction fn;
    Escc escc;
} Serial;

static void serial_irq(void *opaque, bool level)
{
    pci_set_intx(opaque, level);
}

static uint64_t serial_read(PciFunction *fn, unsigned bar, uint64_t offset,
                            unsigned size)
{
    Serial *serial = (Serial *)fn;
    uint64_t value = 0;

    for (unsigned i = 0; bar == BAR_SERIAL && i < size; i++) {
        if (offset + i < ESCC_WINDOW) {
            value |= (uint64_t)escc_read(&serial->escc, offset + i)
                     << (8 * i);
        }
    }
    return value;
}

static void serial_write(PciFunction *fn, unsigned bar, uint64_t offset,
                         unsigned size, uint64_t value)
{
    Serial *serial = (Serial *)fn;

    for (unsigned i = 0; bar == BAR_SERIAL && i < size; i++) {
        if (offset + i < ESCC_WINDOW) {
            escc_write(&serial->escc, offset + i, value >> (8 * i));
        }
    }
}

static void serial_reset(Device *device)
{
    pci_function_reset((PciFunction *)device);
    escc_reset(&((Serial *)device)->escc);
}

static void serial_post_load(Device *device)
{
    escc_update(&((Serial *)device)->escc);
}

static void serial_free(Device *device)
{
    escc_clear(&((Serial *)device)->escc);
}

static const StateField serial_fields[] = {
    STATE_PCI,
    STATE_STRUCT_AT("escc", offsetof(Serial, escc), Escc, escc_fields),
    STATE_END,
};

static const DeviceClass serial_class = {
    .name = "iohub-serial",
    .help = "serial and parallel function of the IOHub (am85c30)",
    .state_size = sizeof(Serial),
    .version = 1,
    .reset = serial_reset,
    .fields = serial_fields,
    .post_load = serial_post_load,
    .free = serial_free,
};

#define SERIAL_TYPE(device_id)                                                 \
    { .class = &serial_class, .vendor = VENDOR_MCST, .device = device_id,      \
      .class_code = 0x070000, .revision = HUB_REVISION, .interrupt_pin = 1,    \
      .bars = { [BAR_PARALLEL] = { PCI_BAR_MEMORY, AREA_BYTES },               \
                [BAR_SERIAL] = { PCI_BAR_MEMORY, AREA_BYTES } },               \
      .bar_read = serial_read, .bar_write = serial_write }

static const PciType serial_type = SERIAL_TYPE(DEVICE_SERIAL);
static const PciType eioh_serial_type = SERIAL_TYPE(DEVICE_EIOH_SERIAL);

/* ---- Power management --------------------------------------------------------------- */

enum {
    SPMC_TIMER = 0x40,
    SPMC_STATUS = 0x44,
    SPMC_ENABLE = 0x48,
    SPMC_CONTROL = 0x4c,
    SPMC_BUTTON = 1 << 8,   /* of status and enable */
    SPMC_SLEEP = 1 << 13,   /* of control; type in [12:10] */
    SPMC_TYPE_OFF = 4,      /* this and above are power off */
    SPMC_TIMER_HZ = 3579545,
};

static void spmc_update(PciFunction *fn)
{
    pci_set_intx(fn, ldw_le_p(fn->config + SPMC_STATUS) &
                         ldw_le_p(fn->config + SPMC_ENABLE) & SPMC_BUTTON);
}

static void spmc_config_read(PciFunction *fn, unsigned offset, unsigned size)
{
    if (offset <= SPMC_TIMER + 3 && offset + size > SPMC_TIMER) {
        unsigned __int128 now = clock_now_ns(fn->device.machine->clock);

        stl_le_p(fn->config + SPMC_TIMER,
                 now * SPMC_TIMER_HZ / CLOCK_NS_PER_SEC);
    }
}

static void spmc_config_written(PciFunction *fn, unsigned offset,
                                unsigned size)
{
    uint16_t control = ldw_le_p(fn->config + SPMC_CONTROL);

    if (offset <= SPMC_CONTROL + 1 && offset + size > SPMC_CONTROL &&
        (control & SPMC_SLEEP)) {
        stw_le_p(fn->config + SPMC_CONTROL, control & ~SPMC_SLEEP);
        if ((control >> 10 & 7) >= SPMC_TYPE_OFF) {
            machine_request_shutdown(fn->device.machine,
                                     SHUTDOWN_GUEST_SHUTDOWN, 0);
        } else {
            log_printf(LOG_GUEST_ERROR, "%s: sleep state %u is not there\n",
                       fn->device.id, control >> 10 & 7);
        }
    }
    spmc_update(fn);
}

static void spmc_init(PciFunction *fn)
{
    fn->clears[SPMC_STATUS] = 0x35;
    fn->clears[SPMC_STATUS + 1] = 0x81;
    fn->writable[SPMC_ENABLE] = 0x17;
    fn->writable[SPMC_ENABLE + 1] = 1;
    fn->writable[SPMC_CONTROL] = 1;
    fn->writable[SPMC_CONTROL + 1] = 0x3c;
}

static const DeviceClass spmc_class = {
    .name = "iohub-spmc",
    .help = "power management function of the IOHub",
    .state_size = sizeof(PciFunction),
    .version = 1,
    .reset = simple_reset,
    .fields = simple_fields,
};

static const PciType spmc_type = {
    .class = &spmc_class,
    .vendor = VENDOR_MCST,
    .device = DEVICE_SPMC,
    .class_code = 0x088000,
    .revision = HUB_REVISION,
    .interrupt_pin = 1,
    .config_read = spmc_config_read,
    .config_written = spmc_config_written,
    .init = spmc_init,
};

static void press_power(void *opaque)
{
    PciFunction *fn = opaque;

    g_mutex_lock(fn->device.lock);
    fn->config[SPMC_STATUS + 1] |= SPMC_BUTTON >> 8;
    spmc_update(fn);
    g_mutex_unlock(fn->device.lock);
}

/* ---- The hubs -------------------------------------------------------------------------- */

/* Where a kind of hub has its functions: the table of the file's head. */
typedef struct HubPlan {
    unsigned root_device;
    const PciType *root, *i2c, *serial;
    bool has_slots;
    unsigned pin_serial, pin_sata;
    unsigned n_sata;
    unsigned first_port, n_ports;
    unsigned spmc_device; /* 0: none */
} HubPlan;

static const HubPlan plans[] = {
    [HUB_IOHUB] = { 1, &vppb_type, &i2c_type, &serial_type, true, PIN_SERIAL,
                    PIN_SATA, 2, 0, 0, 0 },
    [HUB_IOHUB2] = { 0, &vppb_type, &i2c_type, &serial_type, true, PIN_SERIAL,
                     PIN_SATA, 2, 4, 6, 12 },
    [HUB_EIOHUB] = { 0, &eioh_vppb_type, &eioh_i2c_type, &eioh_serial_type,
                     false, EIOHUB_PIN_SERIAL, EIOHUB_PIN_SATA, 1, 5, 4, 9 },
};

static void add_serial(IoHub *hub, PciHost *host, const HubPlan *plan,
                       const CharSink *sink, void *sink_opaque)
{
    hub->serial = pci_add(host, hub->root, plan->serial, "serial0",
                          pci_devfn(2, 2), plan->pin_serial);
    Serial *serial = (Serial *)hub->serial;

    serial->escc.sink = sink;
    serial->escc.sink_opaque = sink_opaque;
    serial->escc.set_irq = serial_irq;
    serial->escc.irq_opaque = serial;
    escc_init(&serial->escc);
}

static void add_ports(IoHub *hub, PciHost *host, const HubPlan *plan)
{
    hub->n_ports = plan->n_ports;
    for (unsigned i = 0; i < plan->n_ports; i++) {
        g_autofree char *id = g_strdup_printf("port%u", i);

        hub->ports[i] = pci_add(host, hub->root, &port_type, id,
                                pci_devfn(plan->first_port + i, 0),
                                PCI_NO_PIN);
    }
}

void iohub_init(IoHub *hub, PciHost *host, HubKind kind, Device *io,
                const CharSink *sink, void *sink_opaque)
{
    Machine *machine = ((Device *)host)->machine;
    const HubPlan *plan = &plans[kind];

    hub->root = pci_add(host, NULL, plan->root, "vppb",
                        pci_devfn(plan->root_device, 0), PCI_NO_PIN);
    if (plan->has_slots) {
        hub->slots = pci_add(host, hub->root, &slots_type, "slots",
                             pci_devfn(0, 0), PCI_NO_PIN);
    }
    add_ports(hub, host, plan);
    hub->i2c = pci_add(host, hub->root, plan->i2c, "i2c-spi",
                       pci_devfn(2, 1), PIN_I2C);
    ((I2c *)hub->i2c)->ioepic = io;
    add_serial(hub, host, plan, sink, sink_opaque);
    for (unsigned i = 0; i < plan->n_sata; i++) {
        g_autofree char *id = g_strdup_printf("sata%u", i);

        hub->sata[i] = ahci_new(host, hub->root, id, pci_devfn(3, i),
                                plan->pin_sata + i, ELBRUS_SATA_PORTS);
    }
    if (plan->spmc_device) {
        hub->spmc = pci_add(host, hub->root, &spmc_type, "spmc",
                            pci_devfn(plan->spmc_device, 0),
                            ELBRUS_PIN_SPMC);
        machine->powerdown = press_power;
        machine->powerdown_opaque = hub->spmc;
    }
}

uint64_t iohub_serial_base(const IoHub *hub)
{
    return pci_bar_base(hub->serial, BAR_SERIAL);
}

void iohub_serial_receive(IoHub *hub, const uint8_t *bytes, size_t n)
{
    Serial *serial = (Serial *)hub->serial;
    GMutex *lock = serial->fn.device.lock;

    g_mutex_lock(lock);
    for (size_t i = 0; i < n; i++) {
        while (!escc_put(&serial->escc, bytes[i])) {
            g_cond_wait(&serial->escc.room, lock);
        }
    }
    g_mutex_unlock(lock);
}
