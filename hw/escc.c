/*
 * Z85C30-style serial controller; see escc.h.
 *
 *   control write  WR0: low bits select the register of the next access
 *   control read   RR0, or the selected register; the selection is used up
 *   data           character in or out
 *
 * What is sent leaves at once, so the transmitter is always empty; channel A
 * is the console, channel B has nothing attached.  Baud rates, modem lines
 * and synchronous modes are storage.  "system/machine.md" section 7.
 */
#include "hw/escc.h"

enum {
    COMMAND_POINT_HIGH = 1,
    COMMAND_RESET_EXTERNAL = 2,
    COMMAND_RESET_TX = 5,
    COMMAND_RESET_ERROR = 6,
    WR1_TX_IRQ = 1 << 1,
    WR1_RX_IRQ = 3 << 3,
    WR3_RX_ON = 1 << 0,
    WR5_TX_ON = 1 << 3,
    WR9 = 9,
    WR9_MASTER_IRQ = 1 << 3,
    WR9_RESET_B = 1,
    WR9_RESET_A = 2,
    WR9_RESET_ALL = 3,
    WR14_LOOP = 1 << 4,
    RR0_RX = 1 << 0,
    RR0_TX_EMPTY = 1 << 2,
    RR0_CARRIER = 1 << 3,
    RR0_CLEAR_TO_SEND = 1 << 5,
    RR1_ALL_SENT = 1 << 0,
    RR1_OVERRUN = 1 << 5,
};

static bool rx_pending(const EsccChannel *ch)
{
    return ch->fifo_used && (ch->wr[1] & WR1_RX_IRQ);
}

/* RR3: what is pending, channel A in bits 5..3, B in 2..0. */
static uint8_t pending(const Escc *escc)
{
    uint8_t bits = 0;

    for (unsigned c = 0; c < ESCC_CHANNELS; c++) {
        const EsccChannel *ch = &escc->channel[c];
        unsigned shift = c == 0 ? 3 : 0;

        bits |= rx_pending(ch) << (shift + 2);
        bits |= ch->tx_pending << (shift + 1);
    }
    return bits;
}

void escc_update(Escc *escc)
{
    escc->set_irq(escc->irq_opaque,
                  (escc->channel[0].wr[WR9] & WR9_MASTER_IRQ) &&
                      pending(escc));
}

/* RR2 of channel B: the vector, with the cause in bits 3..1. */
static uint8_t modified_vector(const Escc *escc)
{
    uint8_t bits = pending(escc);
    unsigned code = bits & 0x20   ? 6
                    : bits & 0x10 ? 4
                    : bits & 0x04 ? 2
                    : bits & 0x02 ? 0
                                  : 3;

    return (escc->channel[0].wr[2] & ~0x0e) | code << 1;
}

static uint8_t take(Escc *escc, EsccChannel *ch)
{
    uint8_t byte = 0;

    if (ch->fifo_used) {
        byte = ch->fifo[ch->fifo_at];
        ch->fifo_at = (ch->fifo_at + 1) % ESCC_FIFO;
        ch->fifo_used--;
        g_cond_signal(&escc->room);
    }
    return byte;
}

static bool put(EsccChannel *ch, uint8_t byte)
{
    if (ch->fifo_used == ESCC_FIFO) {
        ch->overrun = true;
        return false;
    }
    ch->fifo[(ch->fifo_at + ch->fifo_used++) % ESCC_FIFO] = byte;
    return true;
}

static uint8_t read_control(Escc *escc, unsigned c)
{
    EsccChannel *ch = &escc->channel[c];
    unsigned reg = ch->pointer;

    ch->pointer = 0;
    switch (reg) {
    case 0:
    case 4:
        return RR0_TX_EMPTY | RR0_CARRIER | RR0_CLEAR_TO_SEND |
               (ch->fifo_used ? RR0_RX : 0);
    case 1:
    case 5:
        return RR1_ALL_SENT | (ch->overrun ? RR1_OVERRUN : 0);
    case 2:
    case 6:
        return c == 0 ? ch->wr[2] : modified_vector(escc);
    case 3:
    case 7:
        return c == 0 ? pending(escc) : 0;
    case 8:
        return take(escc, ch);
    case 12:
    case 13:
    case 15:
        return ch->wr[reg];
    default:
        return 0;
    }
}

static void reset_channel(EsccChannel *ch)
{
    uint8_t vector = ch->wr[2];

    *ch = (EsccChannel){ .wr = { [2] = vector, [4] = 4 } };
}

static void write_wr0(EsccChannel *ch, uint8_t value)
{
    unsigned command = value >> 3 & 7;

    ch->pointer = value & 7;
    switch (command) {
    case COMMAND_POINT_HIGH:
        ch->pointer |= 8;
        break;
    case COMMAND_RESET_TX:
        ch->tx_pending = false;
        break;
    case COMMAND_RESET_ERROR:
        ch->overrun = false;
        break;
    default: /* COMMAND_RESET_EXTERNAL and others have nothing to do */
        break;
    }
}

static void send(Escc *escc, unsigned c, uint8_t byte)
{
    EsccChannel *ch = &escc->channel[c];

    if (!(ch->wr[5] & WR5_TX_ON)) {
        return;
    }
    if (ch->wr[14] & WR14_LOOP) {
        put(ch, byte);
    } else if (c == 0 && escc->sink) {
        escc->sink->write(escc->sink_opaque, &byte, 1);
    }
    ch->tx_pending = ch->wr[1] & WR1_TX_IRQ;
}

/* WR9 is one register for both channels; its top bits reset. */
static void write_wr9(Escc *escc, uint8_t value)
{
    unsigned reset = value >> 6;

    if (reset & WR9_RESET_A) {
        reset_channel(&escc->channel[0]);
    }
    if (reset & WR9_RESET_B) {
        reset_channel(&escc->channel[1]);
    }
    escc->channel[0].wr[WR9] = reset == WR9_RESET_ALL ? 0 : value & 0x3f;
}

static void write_control(Escc *escc, unsigned c, uint8_t value)
{
    EsccChannel *ch = &escc->channel[c];
    unsigned reg = ch->pointer;

    ch->pointer = 0;
    switch (reg) {
    case 0:
        write_wr0(ch, value);
        break;
    case 2: /* one register for both */
        escc->channel[0].wr[2] = value;
        break;
    case 8:
        send(escc, c, value);
        break;
    case WR9:
        write_wr9(escc, value);
        break;
    default:
        ch->wr[reg] = value;
        ch->tx_pending = ch->tx_pending && (ch->wr[1] & WR1_TX_IRQ);
        break;
    }
}

uint8_t escc_read(Escc *escc, unsigned offset)
{
    unsigned c = offset >> 1 & 1;
    uint8_t value = offset & 1 ? take(escc, &escc->channel[c])
                               : read_control(escc, c);

    escc_update(escc);
    return value;
}

void escc_write(Escc *escc, unsigned offset, uint8_t value)
{
    unsigned c = offset >> 1 & 1;

    if (offset & 1) {
        send(escc, c, value);
    } else {
        write_control(escc, c, value);
    }
    escc_update(escc);
}

bool escc_put(Escc *escc, uint8_t byte)
{
    EsccChannel *ch = &escc->channel[0];

    if (!(ch->wr[3] & WR3_RX_ON)) {
        return true; /* the receiver is off: the byte is lost */
    }
    if (ch->fifo_used == ESCC_FIFO) {
        return false;
    }
    put(ch, byte);
    escc_update(escc);
    return true;
}

/*
 * As firmware leaves it: transmitter and receiver on, so that early output
 * works without any set-up.
 */
void escc_reset(Escc *escc)
{
    for (unsigned c = 0; c < ESCC_CHANNELS; c++) {
        reset_channel(&escc->channel[c]);
        escc->channel[c].wr[2] = 0;
        escc->channel[c].wr[3] = WR3_RX_ON;
        escc->channel[c].wr[5] = WR5_TX_ON;
    }
    escc_update(escc);
}

void escc_init(Escc *escc)
{
    g_cond_init(&escc->room);
}

void escc_clear(Escc *escc)
{
    g_cond_clear(&escc->room);
}

static const StateField channel_fields[] = {
    STATE_ARRAY(EsccChannel, wr),
    STATE_FIELD(EsccChannel, pointer),
    STATE_ARRAY(EsccChannel, fifo),
    STATE_FIELD(EsccChannel, fifo_at),
    STATE_FIELD(EsccChannel, fifo_used),
    STATE_FIELD(EsccChannel, tx_pending),
    STATE_FIELD(EsccChannel, overrun),
    STATE_END,
};

const StateField escc_fields[] = {
    STATE_STRUCTS(Escc, channel, channel_fields),
    STATE_END,
};
