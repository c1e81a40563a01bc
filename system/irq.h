/*
 * Interrupt lines: one wire from a device to the input of a controller.
 *
 * A line is a value, not an object: the controller makes it, the device keeps
 * a copy and drives it.  irq_set() may be called from any thread, with the
 * lock of the driving device held; controllers take their own lock inside
 * (see "Locks" in system/README.md).
 */
#ifndef SYSTEM_IRQ_H
#define SYSTEM_IRQ_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Irq {
    void (*set)(void *opaque, unsigned pin, bool level); /* NULL: no wire */
    void *opaque;
    unsigned pin;
} Irq;

static inline void irq_set(const Irq *irq, bool level)
{
    if (irq->set) {
        irq->set(irq->opaque, irq->pin, level);
    }
}

#endif
