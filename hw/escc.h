/*
 * Two-channel serial controller of the Elbrus machines (Z85C30 family).
 *
 * A plain struct that a bus device embeds: the serial function of the IOHub
 * shows its four byte registers in a BAR.  Its calls are made under the lock
 * of that device.
 */
#ifndef HW_ESCC_H
#define HW_ESCC_H

#include "hw/serial.h"

enum {
    ESCC_CHANNELS = 2, /* A, B */
    ESCC_REGS = 16,
    ESCC_FIFO = 8,
    ESCC_WINDOW = 4,   /* byte registers: A control, A data, B, B */
};

typedef struct EsccChannel {
    uint8_t wr[ESCC_REGS];
    uint8_t pointer;    /* register of the next control access */
    uint8_t fifo[ESCC_FIFO];
    uint8_t fifo_at, fifo_used;
    bool tx_pending;    /* transmit buffer became empty */
    bool overrun;
} EsccChannel;

typedef struct Escc {
    EsccChannel channel[ESCC_CHANNELS];
    const CharSink *sink; /* of channel A */
    void *sink_opaque;
    void (*set_irq)(void *opaque, bool level);
    void *irq_opaque;
    GCond room;           /* channel A's FIFO has room */
} Escc;

void escc_init(Escc *escc);
void escc_clear(Escc *escc);
void escc_reset(Escc *escc);
uint8_t escc_read(Escc *escc, unsigned offset);
void escc_write(Escc *escc, unsigned offset, uint8_t value);
/* Gives channel A a byte; false when its FIFO is full. */
bool escc_put(Escc *escc, uint8_t byte);
/* After a snapshot was loaded. */
void escc_update(Escc *escc);

extern const StateField escc_fields[];

#endif
