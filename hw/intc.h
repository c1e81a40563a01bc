/*
 * The interrupt controllers of APIC machines.
 *
 *   device --pin--> IO-APIC --vector, destination--> LAPIC n --irq--> CPU n
 *                                  LAPIC m --IPI------/
 *
 * All of a machine's controllers share one lock: messages between them are
 * function calls under it.  "system/machine.md" sections 5.1 and 5.2.
 */
#ifndef HW_INTC_H
#define HW_INTC_H

#include "system/irq.h"
#include "system/machine.h"

enum { IOAPIC_PINS = 24 };

/*
 * The local controllers of all CPUs, one device whose window shows each CPU
 * its own registers.
 */
Device *lapic_new(Machine *machine, const char *id);
/*
 * Delivers a message; the shared lock is held.  delivery, logical: as in a
 * redirection entry.
 */
void lapic_deliver(Device *lapic, unsigned destination, bool logical,
                   unsigned delivery, unsigned vector, bool level);

/* The same of v6 machines (epic.c); the board decides which it has. */
Device *cepic_new(Machine *machine, const char *id);
bool cepic_is(const Device *device);
void cepic_deliver(Device *cepic, unsigned destination, unsigned delivery,
                   unsigned vector, bool level);
void cepic_set_ioapic(Device *cepic, Device *ioapic);

/* local: of either kind. */
Device *ioapic_new(Machine *machine, const char *id, Device *local);
Irq ioapic_pin(Device *ioapic, unsigned pin);
/* Where ends of level interrupts are told. */
void lapic_set_ioapic(Device *lapic, Device *ioapic);
/* Ends a level interrupt; called by the local controllers. */
void ioapic_eoi(Device *ioapic, unsigned vector);
/* A message of a pin to controllers of either kind; the lock is held. */
void intc_deliver(Device *local, unsigned destination, bool logical,
                  unsigned delivery, unsigned vector, bool level);
/* An MSI write: as a message from a pin.  Takes the lock. */
void intc_msi(Device *local, uint64_t address, uint32_t data);

#endif
