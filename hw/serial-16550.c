/*
 * 16550A UART, 8 bits, register stride 1; the console of virt.
 *
 *   guest store to THR --> character sink (host)
 *   host input --> receive FIFO (16) --> guest load from RBR
 *
 * Transmission is instant: THRE is always set.  Input beyond the FIFO waits
 * with its sender (uart_receive says how much it took), so nothing is lost.
 * Divisor, line control and modem control are storage.
 */
#include "hw/serial.h"

#include "system/machine.h"

enum {
    REG_DATA = 0, /* RBR, THR, or DLL */
    REG_IER = 1,  /* or DLM */
    REG_IIR = 2,  /* or FCR when written */
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCR = 7,
    REG_COUNT = 8,
    FIFO_BYTES = 16,
};

enum {
    IER_RX = 1 << 0,
    IER_TX = 1 << 1,
    IIR_NONE = 1,
    IIR_TX = 2,
    IIR_RX = 4,
    IIR_FIFO_ON = 0xc0,
    FCR_ENABLE = 1 << 0,
    FCR_CLEAR_RX = 1 << 1,
    LCR_DLAB = 1 << 7,
    MCR_LOOP = 1 << 4,
    LSR_READY = 1 << 0,
    LSR_TX_EMPTY = 3 << 5, /* THRE and TEMT */
    MSR_CTS_DSR_DCD = 0xb0,
};

typedef struct Uart {
    Device device;
    Irq irq;
    const CharSink *sink;
    void *sink_opaque;
    GCond room;      /* the FIFO has room */
    /* Under the device's lock. */
    uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
    uint8_t tx_pending; /* the transmit interrupt was not yet read */
    uint8_t fifo[FIFO_BYTES];
    uint8_t fifo_at, fifo_used;
} Uart;

static unsigned interrupt_id(const Uart *uart)
{
    if ((uart->ier & IER_RX) && uart->fifo_used) {
        return IIR_RX;
    }
    return (uart->ier & IER_TX) && uart->tx_pending ? IIR_TX : IIR_NONE;
}

static void update_irq(Uart *uart)
{
    irq_set(&uart->irq, interrupt_id(uart) != IIR_NONE);
}

static uint8_t take(Uart *uart)
{
    uint8_t byte = 0;

    if (uart->fifo_used) {
        byte = uart->fifo[uart->fifo_at];
        uart->fifo_at = (uart->fifo_at + 1) % FIFO_BYTES;
        uart->fifo_used--;
        g_cond_broadcast(&uart->room);
        update_irq(uart);
    }
    return byte;
}

static bool put(Uart *uart, uint8_t byte)
{
    if (uart->fifo_used == FIFO_BYTES) {
        return false;
    }
    uart->fifo[(uart->fifo_at + uart->fifo_used++) % FIFO_BYTES] = byte;
    return true;
}

static uint64_t uart_read(Device *device, uint64_t offset, unsigned size)
{
    Uart *uart = (Uart *)device;
    bool dlab = uart->lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        return dlab ? uart->dll : take(uart);
    case REG_IER:
        return dlab ? uart->dlm : uart->ier;
    case REG_IIR: {
        unsigned id = interrupt_id(uart);

        if (id == IIR_TX) {
            uart->tx_pending = 0;
            update_irq(uart);
        }
        return id | (uart->fcr & FCR_ENABLE ? IIR_FIFO_ON : 0);
    }
    case REG_LCR:
        return uart->lcr;
    case REG_MCR:
        return uart->mcr;
    case REG_LSR:
        return LSR_TX_EMPTY | (uart->fifo_used ? LSR_READY : 0);
    case REG_MSR:
        return MSR_CTS_DSR_DCD;
    case REG_SCR:
        return uart->scr;
    default:
        return 0;
    }
}

static void transmit(Uart *uart, uint8_t byte)
{
    if (uart->mcr & MCR_LOOP) {
        put(uart, byte);
    } else if (uart->sink) {
        uart->sink->write(uart->sink_opaque, &byte, 1);
    }
    uart->tx_pending = 1;
}

static void uart_write(Device *device, uint64_t offset, unsigned size,
                       uint64_t value)
{
    Uart *uart = (Uart *)device;
    bool dlab = uart->lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        if (dlab) {
            uart->dll = value;
        } else {
            transmit(uart, value);
        }
        break;
    case REG_IER:
        if (dlab) {
            uart->dlm = value;
        } else {
            uart->tx_pending |= !(uart->ier & IER_TX) && (value & IER_TX);
            uart->ier = value & 0xf;
        }
        break;
    case REG_IIR:
        uart->fcr = value;
        if (value & FCR_CLEAR_RX) {
            uart->fifo_used = 0;
            g_cond_broadcast(&uart->room);
        }
        break;
    case REG_LCR:
        uart->lcr = value;
        break;
    case REG_MCR:
        uart->mcr = value;
        break;
    case REG_SCR:
        uart->scr = value;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
    update_irq(uart);
}

static void uart_reset(Device *device)
{
    Uart *uart = (Uart *)device;

    uart->ier = uart->lcr = uart->mcr = uart->scr = uart->fcr = 0;
    uart->dll = uart->dlm = uart->tx_pending = 0;
    uart->fifo_at = uart->fifo_used = 0;
    g_cond_broadcast(&uart->room);
    update_irq(uart);
}

static void uart_post_load(Device *device)
{
    Uart *uart = (Uart *)device;

    uart->fifo_at %= FIFO_BYTES;
    uart->fifo_used = MIN(uart->fifo_used, FIFO_BYTES);
    update_irq(uart);
}

static void uart_free(Device *device)
{
    g_cond_clear(&((Uart *)device)->room);
}

static const StateField uart_fields[] = {
    STATE_FIELD(Uart, ier),
    STATE_FIELD(Uart, lcr),
    STATE_FIELD(Uart, mcr),
    STATE_FIELD(Uart, scr),
    STATE_FIELD(Uart, fcr),
    STATE_FIELD(Uart, dll),
    STATE_FIELD(Uart, dlm),
    STATE_FIELD(Uart, tx_pending),
    STATE_ARRAY(Uart, fifo),
    STATE_FIELD(Uart, fifo_at),
    STATE_FIELD(Uart, fifo_used),
    STATE_END,
};

static const DeviceClass uart_class = {
    .name = "ns16550a",
    .help = "16550A serial port",
    .state_size = sizeof(Uart),
    .version = 1,
    .mmio_size = REG_COUNT,
    .read = uart_read,
    .write = uart_write,
    .reset = uart_reset,
    .fields = uart_fields,
    .post_load = uart_post_load,
    .free = uart_free,
};

Device *uart_16550_new(Machine *machine, const char *id, Irq irq,
                       const CharSink *sink, void *sink_opaque)
{
    Uart *uart = (Uart *)device_new(machine, &uart_class, id);

    uart->irq = irq;
    uart->sink = sink;
    uart->sink_opaque = sink_opaque;
    g_cond_init(&uart->room);
    return &uart->device;
}

void uart_16550_receive(Device *device, const uint8_t *bytes, size_t n)
{
    Uart *uart = (Uart *)device;

    g_mutex_lock(device->lock);
    for (size_t i = 0; i < n; i++) {
        while (!put(uart, bytes[i])) {
            update_irq(uart);
            g_cond_wait(&uart->room, device->lock);
        }
    }
    update_irq(uart);
    g_mutex_unlock(device->lock);
}
