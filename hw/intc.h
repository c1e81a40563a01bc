/*
 * Interrupt controllers.
 *
 * APIC machines (v3..v5):
 *
 *   device --pin--> IO-APIC --vector, destination--> LAPIC n --irq--> CPU n
 *   PCI function --MSI--------/    LAPIC m --IPI------/
 *
 * EPIC machines (v6 and later):
 *
 *   device --pin--> IO-EPIC --message--> PREPIC --> CEPIC n --irq--> CPU n
 *   PCI function --MSI-----------------/    CEPIC m --IPI--/
 *
 * All of a machine's controllers share one lock: messages between them are
 * function calls under it.
 */
#ifndef HW_INTC_H
#define HW_INTC_H

#include "system/irq.h"
#include "system/machine.h"

enum {
    IOAPIC_PINS = 24,
    LAPIC_BYTES = 0x1000,
    CEPIC_BYTES = 0x2000,
    IOEPIC_MAX_PINS = 40,
    IOEPIC_BYTES = 0x100000, /* of its window; pin n's page is the n-th */
    PREPIC_BYTES = 0x1000,
};

typedef struct IntcMessage {
    unsigned destination;
    bool logical;      /* LAPIC: destination is a mask of logical numbers */
    unsigned delivery; /* mode, as in a command register */
    unsigned vector;
    bool level;
} IntcMessage;

/* The set of controllers of all CPUs (either kind) takes a message; the
 * shared lock is held.  False: no controller is meant. */
bool intc_deliver(Device *local, const IntcMessage *message);

/* The controllers of a machine, of either kind. */
typedef struct IntcTree {
    Device *local;  /* of all CPUs */
    Device *io;     /* of the pins */
    Device *prepic; /* EPIC only */
    Irq (*pin)(void *io, unsigned pin);
    void (*msi)(void *msi_opaque, uint64_t address, uint32_t data);
    void *msi_opaque;
} IntcTree;

/* Both make the controllers and map those of the CPUs at their address. */
IntcTree intc_tree_apic(Machine *machine, uint64_t local_at);
/* msi_base: messages go to its MiB; PREPIC's registers are at prepic_at. */
IntcTree intc_tree_epic(Machine *machine, uint64_t local_at,
                        uint64_t prepic_at, uint64_t msi_base,
                        unsigned n_pins);

static inline Irq intc_tree_pin(const IntcTree *tree, unsigned pin)
{
    return tree->pin(tree->io, pin);
}

/* ---- APIC ------------------------------------------------------------------- */

/*
 * The local controllers of all CPUs, one device whose window shows each CPU
 * its own registers.
 */
Device *lapic_new(Machine *machine, const char *id);
/* A message-signalled interrupt, as from a pin.  Takes the lock. */
void lapic_msi(void *lapic, uint64_t address, uint32_t data);
/* What LVT3 is for: an error of I/O translation.  Takes the lock. */
void lapic_lvt3(Device *lapic);
/* Ends of level interrupts are told to this IO-APIC too. */
void lapic_add_ioapic(Device *lapic, Device *ioapic);

/* number: what its ID register has after a reset. */
Device *ioapic_new(Machine *machine, const char *id, Device *lapic,
                   unsigned number);
Irq ioapic_pin(void *ioapic, unsigned pin);
/* Ends a level interrupt; called by the local controllers. */
void ioapic_eoi(Device *ioapic, unsigned vector);

/* ---- EPIC ------------------------------------------------------------------- */

Device *cepic_new(Machine *machine, const char *id);

/* msi_base: messages go to its MiB. */
Device *prepic_new(Machine *machine, const char *id, Device *cepic,
                   uint64_t msi_base);
/* A message-signalled interrupt.  Takes the lock. */
void prepic_msi(void *prepic, uint64_t address, uint32_t data);
/* The same with the lock held, from a pin whose interrupts are level. */
void prepic_message(Device *prepic, uint64_t address, uint32_t data,
                    bool level);

/* number: what its ID register has after a reset. */
Device *ioepic_new(Machine *machine, const char *id, Device *prepic,
                   unsigned n_pins, unsigned number);
Irq ioepic_pin(void *ioepic, unsigned pin);

#endif
