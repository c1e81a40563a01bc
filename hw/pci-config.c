/*
 * Configuration space of one PCI function, and the ways it interrupts: INTx,
 * MSI, MSI-X.  See pci.h.
 *
 * config holds what reads show; a write changes the bits of writable.  BARs
 * are writable above their size, which is how software sizes them.
 */
#include "hw/pci-int.h"

#include <string.h>

#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    CAPABILITY_MSI = 0x05,
    CAPABILITY_MSIX = 0x11,
    FIRST_CAPABILITY = 0x40,
    /* MSI with 64-bit addresses */
    MSI_CONTROL = 2,
    MSI_ADDRESS = 4,
    MSI_DATA = 12,
    MSI_BYTES = 14,
    MSI_ENABLE = 1 << 0,
    MSI_64 = 1 << 7,
    /* MSI-X */
    MSIX_CONTROL = 2,
    MSIX_TABLE = 4,
    MSIX_PBA = 8,
    MSIX_BYTES = 12,
    MSIX_ENABLE = 1 << 15,
    MSIX_MASK_ALL = 1 << 14,
    MSIX_ENTRY_BYTES = 16,
    MSIX_PBA_AT = 0x800,
    BAR_IO = 1,
    BAR_64 = 4,
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_BRIDGE_REGS = 0x18,
    PCI_BRIDGE_CONTROL = 0x3e,
};

static void set_writable(PciFunction *fn, unsigned at, unsigned bytes,
                         uint64_t bits)
{
    for (unsigned i = 0; i < bytes; i++) {
        fn->writable[at + i] = bits >> (8 * i);
    }
}

static void init_bar(PciFunction *fn, unsigned bar)
{
    const PciBar *spec = &fn->type->bars[bar];
    unsigned at = PCI_BAR + 4 * bar;

    switch (spec->kind) {
    case PCI_BAR_NONE:
        break;
    case PCI_BAR_IO:
        fn->config[at] = BAR_IO;
        set_writable(fn, at, 4, 0xffff & ~(spec->size - 1));
        break;
    case PCI_BAR_MEMORY:
        set_writable(fn, at, 4, ~(spec->size - 1));
        break;
    case PCI_BAR_MEMORY64:
        fn->config[at] = BAR_64;
        set_writable(fn, at, 8, ~(uint64_t)(spec->size - 1));
        break;
    }
}

static void init_bridge(PciFunction *fn)
{
    set_writable(fn, PCI_BRIDGE_REGS, 4, ~0u);      /* bus numbers, latency */
    set_writable(fn, PCI_BRIDGE_REGS + 4, 2, 0xf0f0);    /* I/O window */
    set_writable(fn, PCI_BRIDGE_REGS + 8, 4, 0xfff0fff0); /* memory window */
    set_writable(fn, PCI_BRIDGE_REGS + 12, 4, 0xfff0fff0); /* prefetchable */
    set_writable(fn, PCI_BRIDGE_CONTROL, 2, 0x0fff);
    /* Windows are closed: base above limit. */
    fn->config[PCI_BRIDGE_REGS + 4] = 0xf0;
    stw_le_p(fn->config + PCI_BRIDGE_REGS + 8, 0xfff0);
    stw_le_p(fn->config + PCI_BRIDGE_REGS + 12, 0xfff0);
}

void pci_config_init(PciFunction *fn)
{
    const PciType *type = fn->type;
    uint8_t *c = fn->config;

    stw_le_p(c + PCI_VENDOR, type->vendor);
    stw_le_p(c + PCI_DEVICE, type->device);
    c[PCI_REVISION] = type->revision;
    c[PCI_CLASS] = type->class_code;
    c[PCI_CLASS + 1] = type->class_code >> 8;
    c[PCI_CLASS + 2] = type->class_code >> 16;
    c[PCI_HEADER] = type->bridge;
    c[PCI_INTERRUPT_PIN] = type->interrupt_pin;
    set_writable(fn, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
                 PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF | 0x140);
    set_writable(fn, PCI_CACHE_LINE, 2, 0xffff);
    set_writable(fn, PCI_INTERRUPT_LINE, 1, 0xff);
    fn->config_end = FIRST_CAPABILITY;
    if (type->bridge) {
        init_bridge(fn);
        return;
    }
    stw_le_p(c + PCI_SUB_VENDOR, type->sub_vendor);
    stw_le_p(c + PCI_SUB_DEVICE, type->sub_device);
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        init_bar(fn, bar);
    }
}

uint64_t pci_bar_base(const PciFunction *fn, unsigned bar)
{
    const PciBar *spec = &fn->type->bars[bar];
    const uint8_t *at = fn->config + PCI_BAR + 4 * bar;
    uint64_t value = spec->kind == PCI_BAR_MEMORY64 ? ldq_le_p(at)
                                                    : ldl_le_p(at);

    return spec->kind == PCI_BAR_NONE
               ? 0
               : value & ~(uint64_t)(spec->size - 1);
}

uint32_t pci_config_read(PciFunction *fn, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    if (offset + size > PCI_CONFIG_BYTES) {
        return 0; /* no extended capabilities */
    }
    if (fn->type->config_read) {
        fn->type->config_read(fn, offset, size);
    }
    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)fn->config[offset + i] << (8 * i);
    }
    if (offset <= PCI_STATUS && offset + size > PCI_STATUS) {
        g_mutex_lock(&fn->irq_lock);
        value |= fn->intx ? PCI_STATUS_INTX << 8 * (PCI_STATUS - offset) : 0;
        g_mutex_unlock(&fn->irq_lock);
    }
    return value;
}

void pci_config_write(PciFunction *fn, unsigned offset, unsigned size,
                      uint32_t value)
{
    if (offset + size > PCI_CONFIG_BYTES) {
        return;
    }
    g_mutex_lock(&fn->irq_lock); /* messages look at the capabilities */
    for (unsigned i = 0; i < size; i++) {
        uint8_t *byte = &fn->config[offset + i];
        uint8_t mask = fn->writable[offset + i];

        uint8_t bits = value >> (8 * i);

        *byte = ((*byte & ~mask) | (bits & mask)) &
                ~(bits & fn->clears[offset + i]);
    }
    g_mutex_unlock(&fn->irq_lock);
    if (offset < FIRST_CAPABILITY) {
        pci_rebuild_ranges(fn->host);
        pci_update_intx(fn);
    } else if (fn->msi || fn->msix) {
        pci_update_intx(fn);
    }
    if (fn->type->config_written) {
        fn->type->config_written(fn, offset, size);
    }
}

void pci_function_reset(PciFunction *fn)
{
    g_mutex_lock(&fn->irq_lock);
    memcpy(fn->config, fn->initial, sizeof(fn->config));
    memset(fn->msix_table, 0, sizeof(fn->msix_table));
    for (unsigned i = 0; i < PCI_MAX_VECTORS; i++) {
        fn->msix_table[i][3] = 1; /* masked */
    }
    fn->msix_pending = 0;
    g_mutex_unlock(&fn->irq_lock);
    pci_set_intx(fn, false);
}

unsigned pci_add_capability(PciFunction *fn, uint8_t id, unsigned bytes)
{
    unsigned at = fn->config_end;

    g_assert(at + bytes <= PCI_CONFIG_BYTES);
    fn->config[at] = id;
    fn->config[at + 1] = fn->config[PCI_CAPABILITIES];
    fn->config[PCI_CAPABILITIES] = at;
    fn->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    fn->config_end = (at + bytes + 3) & ~3u;
    return at;
}

void pci_add_msi(PciFunction *fn)
{
    fn->msi = pci_add_capability(fn, CAPABILITY_MSI, MSI_BYTES);
    stw_le_p(fn->config + fn->msi + MSI_CONTROL, MSI_64);
    set_writable(fn, fn->msi + MSI_CONTROL, 2, MSI_ENABLE);
    set_writable(fn, fn->msi + MSI_ADDRESS, 8, ~UINT64_C(3));
    set_writable(fn, fn->msi + MSI_DATA, 2, 0xffff);
}

void pci_add_msix(PciFunction *fn, unsigned bar, unsigned n_vectors)
{
    unsigned at = pci_add_capability(fn, CAPABILITY_MSIX, MSIX_BYTES);

    g_assert(n_vectors <= PCI_MAX_VECTORS);
    fn->msix = at;
    fn->msix_bar = bar;
    fn->n_vectors = n_vectors;
    stw_le_p(fn->config + at + MSIX_CONTROL, n_vectors - 1);
    stl_le_p(fn->config + at + MSIX_TABLE, bar);
    stl_le_p(fn->config + at + MSIX_PBA, MSIX_PBA_AT | bar);
    set_writable(fn, at + MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_MASK_ALL);
}

/* ---- Interrupts -------------------------------------------------------------- */

bool pci_is_master(const PciFunction *fn)
{
    return ldw_le_p(fn->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static uint16_t msix_control(const PciFunction *fn)
{
    return fn->msix ? ldw_le_p(fn->config + fn->msix + MSIX_CONTROL) : 0;
}

static bool msi_enabled(const PciFunction *fn)
{
    return fn->msi &&
           (fn->config[fn->msi + MSI_CONTROL] & MSI_ENABLE);
}

bool pci_msix_enabled(const PciFunction *fn)
{
    return msix_control(fn) & MSIX_ENABLE;
}

/* A message is a write of the function to memory, or to the controllers. */
void pci_send_message(PciFunction *fn, uint64_t address, uint32_t data)
{
    const PciHostConfig *host = &fn->host->config;
    uint8_t bytes[4];

    if (!pci_is_master(fn)) {
        return;
    }
    if (address >> 20 == host->msi_base >> 20) {
        host->msi(host->msi_opaque, address, data);
        return;
    }
    stl_le_p(bytes, data);
    if (!physmem_write(host->mem, address, bytes, sizeof(bytes))) {
        log_printf(LOG_GUEST_ERROR, "%s: message to 0x%llx, where nothing "
                   "is\n", fn->device.id, (unsigned long long)address);
    }
}

static void send_msix_locked(PciFunction *fn, unsigned vector)
{
    const uint32_t *entry = fn->msix_table[vector];

    if ((msix_control(fn) & MSIX_MASK_ALL) || (entry[3] & 1)) {
        fn->msix_pending |= UINT32_C(1) << vector;
        return;
    }
    fn->msix_pending &= ~(UINT32_C(1) << vector);
    pci_send_message(fn, entry[0] | (uint64_t)entry[1] << 32, entry[2]);
}

void pci_msix_raise(PciFunction *fn, unsigned vector)
{
    g_mutex_lock(&fn->irq_lock);
    if (pci_msix_enabled(fn) && vector < fn->n_vectors) {
        send_msix_locked(fn, vector);
    }
    g_mutex_unlock(&fn->irq_lock);
}

/* What was masked and is not any more. */
static void send_pending_locked(PciFunction *fn)
{
    uint32_t pending = pci_msix_enabled(fn) ? fn->msix_pending : 0;

    for (unsigned v = 0; pending; v++, pending >>= 1) {
        if (pending & 1) {
            send_msix_locked(fn, v);
        }
    }
}

uint64_t pci_msix_read(PciFunction *fn, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    g_mutex_lock(&fn->irq_lock);
    for (unsigned i = 0; i < size; i += 4) {
        uint64_t at = offset + i;
        uint32_t word = 0;

        if (at < (uint64_t)fn->n_vectors * MSIX_ENTRY_BYTES) {
            word = fn->msix_table[at / MSIX_ENTRY_BYTES][at / 4 % 4];
        } else if ((at & ~3u) == MSIX_PBA_AT) {
            word = fn->msix_pending;
        }
        value |= (uint64_t)(word >> 8 * (at % 4)) << (8 * i);
    }
    g_mutex_unlock(&fn->irq_lock);
    return value;
}

void pci_msix_write(PciFunction *fn, uint64_t offset, unsigned size,
                    uint64_t value)
{
    if (size < 4 || offset % 4) {
        return; /* the specification asks for whole words */
    }
    g_mutex_lock(&fn->irq_lock);
    for (unsigned i = 0; i < size; i += 4) {
        uint64_t at = offset + i;

        if (at < (uint64_t)fn->n_vectors * MSIX_ENTRY_BYTES) {
            fn->msix_table[at / MSIX_ENTRY_BYTES][at / 4 % 4] =
                value >> (8 * i);
        }
    }
    send_pending_locked(fn);
    g_mutex_unlock(&fn->irq_lock);
}

/* Drives the line as the device, the command register and MSI say. */
static void update_intx_locked(PciFunction *fn)
{
    PciHost *host = fn->host;
    bool on = fn->intx && !msi_enabled(fn) && !pci_msix_enabled(fn) &&
              !(ldw_le_p(fn->config + PCI_COMMAND) & PCI_COMMAND_INTX_OFF);

    if (on == fn->intx_driven || fn->pin >= PCI_LINES) {
        return;
    }
    fn->intx_driven = on;
    g_mutex_lock(&host->line_lock);
    host->line_count[fn->pin] += on ? 1 : -1;
    Irq line = host->config.line(host->config.line_opaque, fn->pin);

    irq_set(&line, host->line_count[fn->pin]);
    g_mutex_unlock(&host->line_lock);
}

void pci_update_intx(PciFunction *fn)
{
    g_mutex_lock(&fn->irq_lock);
    update_intx_locked(fn);
    send_pending_locked(fn);
    g_mutex_unlock(&fn->irq_lock);
}

void pci_set_intx(PciFunction *fn, bool level)
{
    g_mutex_lock(&fn->irq_lock);
    bool rise = level && !fn->intx;

    fn->intx = level;
    if (rise && msi_enabled(fn)) {
        const uint8_t *msi = fn->config + fn->msi;

        pci_send_message(fn, ldq_le_p(msi + MSI_ADDRESS),
                         ldw_le_p(msi + MSI_DATA));
    }
    update_intx_locked(fn);
    g_mutex_unlock(&fn->irq_lock);
}

/* ---- Bridges, snapshots -------------------------------------------------------- */

const StateField pci_function_fields[] = {
    STATE_ARRAY(PciFunction, config),
    STATE_FIELD(PciFunction, intx),
    STATE_WORDS(PciFunction, msix_table, 4),
    STATE_FIELD(PciFunction, msix_pending),
    STATE_END,
};

static void bridge_reset(Device *device)
{
    pci_function_reset((PciFunction *)device);
}

static const StateField bridge_fields[] = { STATE_PCI, STATE_END };

const DeviceClass pci_bridge_class = {
    .name = "pci-bridge",
    .help = "PCI-to-PCI bridge",
    .state_size = sizeof(PciFunction),
    .version = 1,
    .reset = bridge_reset,
    .fields = bridge_fields,
};
