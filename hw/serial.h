/*
 * Serial ports and the host side they talk to.
 *
 * A CharSink takes what the guest sends; uart_16550_receive() gives the guest
 * what the host sends.  The sink is called with the port's lock held and must
 * not call back into the port.
 */
#ifndef HW_SERIAL_H
#define HW_SERIAL_H

#include "system/device.h"
#include "system/irq.h"

typedef struct CharSink {
    void (*write)(void *opaque, const uint8_t *bytes, size_t n);
} CharSink;

/* sink NULL: output is dropped. */
Device *uart_16550_new(Machine *machine, const char *id, Irq irq,
                       const CharSink *sink, void *sink_opaque);
/* Waits while the receive FIFO is full; not from CPU threads. */
void uart_16550_receive(Device *device, const uint8_t *bytes, size_t n);

#endif
