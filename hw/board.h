/*
 * Boards: what a machine is made of, and what the command line may say.
 *
 *   boards[] --by name--> build(machine, config): RAM, CPUs, devices, image
 */
#ifndef HW_BOARD_H
#define HW_BOARD_H

#include "hw/pci.h"
#include "hw/serial.h"
#include "hw/virtio.h"
#include "system/machine.h"

typedef struct BoardConfig {
    uint64_t ram_bytes;
    unsigned n_cpus;
    const CpuModel *model;   /* NULL: the board's own */
    const char *kernel;      /* image path, NULL: none */
    const char *initrd;
    const char *append;
    const char *dtb;         /* replaces the board's device tree */
    uint64_t raw_base;       /* of raw kernels, IMAGE_NO_RAW: refuse them */
    bool smp_entry_all;      /* all CPUs start at the entry */
    const CharSink *console; /* of the first serial port */
    void *console_opaque;
    const char *dump_dtb;    /* write the device tree here */
} BoardConfig;

enum { BOARD_PCI_PORTS = 6 };

/* Where PCI functions are plugged: on a bus with slots, then below ports. */
typedef struct BoardPci {
    PciHost *host;
    bool has_slots;
    PciFunction *parent;  /* of the slots, NULL: bus 0 */
    unsigned first_slot;
    unsigned pins[4];     /* INTA..INTD of slot 0; they rotate */
    PciFunction *ports[BOARD_PCI_PORTS]; /* each takes one device, number 0 */
    unsigned n_ports;
    PciFunction *sata;    /* the board's own SATA controller, or NULL */
} BoardPci;

/* A place for a function. */
typedef struct BoardPciPlace {
    PciFunction *parent;
    unsigned slot;
    unsigned pin; /* the input that its INTA goes to */
} BoardPciPlace;

typedef struct BoardClass {
    const char *name;
    const char *help;
    const char *default_cpu;
    unsigned max_cpus;
    uint64_t default_ram_bytes;
    const char *drive_interface; /* of -drive: "virtio", "ide" or "none" */
    bool (*build)(Machine *machine, const BoardConfig *config,
                  GError **error);
    /* Gives a virtio device a place on the memory bus; takes it over on
     * success.  NULL: the board has PCI only. */
    bool (*plug_virtio)(Machine *machine, VirtioDevice *vdev, GError **error);
    /* Gives it back, for the caller to free; NULL: no such device. */
    VirtioDevice *(*unplug_virtio)(Machine *machine, const char *id);
    const BoardPci *(*pci)(Machine *machine); /* NULL: no PCI */
    /* Sends host input to the console. */
    void (*console_input)(Machine *machine, const uint8_t *bytes, size_t n);
    /* Device tree and other tables; after all devices are plugged. */
    bool (*finish)(Machine *machine, GError **error);
} BoardClass;

extern const BoardClass board_virt;
extern const BoardClass board_virt_epic;
extern const BoardClass board_none;
extern const BoardClass board_e8c;
extern const BoardClass board_e8c2;
extern const BoardClass board_e2s;
extern const BoardClass board_e1cp;
extern const BoardClass board_e12c;
extern const BoardClass board_e16c;
extern const BoardClass board_e2c3;

/* NULL when unknown. */
const BoardClass *board_find(const char *name);
/* Number n, NULL after the last. */
const BoardClass *board_nth(unsigned n);

/*
 * A free place for a plugged function.  bus: "pci.0" (the slots), or the id
 * of a port; NULL: any.  False, with an error, when there is no such bus or
 * it is full.
 */
bool board_pci_place(const BoardPci *pci, const char *bus,
                     BoardPciPlace *place, GError **error);

#endif
