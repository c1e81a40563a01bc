/*
 * The Elbrus system timer ("LT"), 10 MHz: one periodic counter with an
 * interrupt, and a free running power counter.
 *
 * Counter and limit are kept in bits [30:9] of their registers, in ticks of
 * 100 ns; bit 31 of the counter is the limit flag.  Reaching the limit sets
 * the flag, restarts the counter and raises the interrupt pin for the time it
 * takes to give an edge.  Nothing ticks: the counter is computed from guest
 * time when read, and one timer is armed for the next limit.
 * "system/machine.md" section 6.
 */
#include "hw/lt-timer.h"

#include "system/machine.h"

enum {
    TICK_NS = 100,
    VALUE_SHIFT = 9,
    CONTROL_START = 1 << 0,
    CONTROL_INVERT = 1 << 1,
    CONTROL_FLAG = 1 << 2,
};

#define VALUE_MASK UINT32_C(0x7ffffe00)
#define LIMIT_FLAG UINT32_C(0x80000000)

typedef struct Lt {
    Device device;
    Irq irq;
    ClockTimer *timer;
    /* Under the device's lock. */
    uint32_t limit, start, control, flag;
    int64_t zero_ns;  /* guest time when the counter was 0 */
    uint32_t stopped; /* counter in ticks while it does not run */
    uint32_t wd_prescaler, wd_limit, wd_control;
    int64_t power_zero_ns;
} Lt;

static int64_t now_ns(const Lt *lt)
{
    return clock_now_ns(lt->device.machine->clock);
}

static int64_t period_ticks(const Lt *lt)
{
    return (lt->limit & VALUE_MASK) >> VALUE_SHIFT;
}

static bool is_running(const Lt *lt)
{
    return (lt->control & CONTROL_START) && period_ticks(lt);
}

static void arm(Lt *lt)
{
    if (is_running(lt)) {
        clock_timer_set(lt->timer, lt->zero_ns + period_ticks(lt) * TICK_NS);
    } else {
        clock_timer_cancel(lt->timer);
    }
}

static void fire(void *opaque)
{
    Lt *lt = opaque;
    int64_t now = now_ns(lt);

    g_mutex_lock(lt->device.lock);
    int64_t period_ns = period_ticks(lt) * TICK_NS;

    if (is_running(lt) && now >= lt->zero_ns + period_ns) {
        lt->zero_ns += (now - lt->zero_ns) / period_ns * period_ns;
        lt->flag = lt->control & CONTROL_INVERT ? lt->flag ^ LIMIT_FLAG
                                                : LIMIT_FLAG;
        irq_set(&lt->irq, true);
        irq_set(&lt->irq, false);
        arm(lt);
    }
    g_mutex_unlock(lt->device.lock);
}

static uint64_t read_counter(Device *device, unsigned n)
{
    Lt *lt = (Lt *)device;
    int64_t ticks = lt->stopped;

    if (is_running(lt)) {
        ticks = (now_ns(lt) - lt->zero_ns) / TICK_NS % period_ticks(lt);
    }
    return lt->flag | ((uint32_t)ticks << VALUE_SHIFT & VALUE_MASK);
}

static void restart(Lt *lt, int64_t ticks)
{
    lt->stopped = ticks;
    lt->zero_ns = now_ns(lt) - ticks * TICK_NS;
    arm(lt);
}

static void write_limit(Device *device, unsigned n, uint64_t value)
{
    Lt *lt = (Lt *)device;

    lt->limit = value & VALUE_MASK;
    restart(lt, 0);
}

static void write_start(Device *device, unsigned n, uint64_t value)
{
    Lt *lt = (Lt *)device;

    lt->start = value & VALUE_MASK;
    restart(lt, lt->start >> VALUE_SHIFT);
}

static void write_control(Device *device, unsigned n, uint64_t value)
{
    Lt *lt = (Lt *)device;
    bool was_running = is_running(lt);

    lt->control = value & 7;
    lt->flag = value & CONTROL_FLAG ? LIMIT_FLAG : 0;
    if (is_running(lt) != was_running) {
        restart(lt, lt->stopped);
    }
}

static uint64_t power_counter(const Lt *lt)
{
    return (now_ns(lt) - lt->power_zero_ns) / TICK_NS;
}

static uint64_t read_power(Device *device, unsigned n)
{
    return power_counter((Lt *)device);
}

static void write_ignored(Device *device, unsigned n, uint64_t value)
{
}

static void lt_reset(Device *device)
{
    Lt *lt = (Lt *)device;

    lt->limit = lt->start = lt->control = lt->flag = lt->stopped = 0;
    lt->wd_prescaler = lt->wd_limit = lt->wd_control = 0;
    lt->power_zero_ns = lt->zero_ns = now_ns(lt);
    clock_timer_cancel(lt->timer);
}

static void lt_post_load(Device *device)
{
    arm((Lt *)device);
}

static void lt_free(Device *device)
{
    clock_timer_free(((Lt *)device)->timer);
}

static const DeviceReg lt_regs[] = {
    { .name = "LIMIT", .offset = 0x00, .size = 4,
      .field = offsetof(Lt, limit), .write = write_limit },
    { .name = "START", .offset = 0x04, .size = 4,
      .field = offsetof(Lt, start), .write = write_start },
    { .name = "COUNTER", .offset = 0x08, .size = 4,
      .read = read_counter, .write = write_ignored },
    { .name = "CONTROL", .offset = 0x0c, .size = 4,
      .field = offsetof(Lt, control), .write = write_control },
    { .name = "WD_COUNTER", .offset = 0x10, .size = 4,
      .write = write_ignored },
    { .name = "WD_PRESCALER", .offset = 0x14, .size = 4,
      .field = offsetof(Lt, wd_prescaler), .writable = ~0u },
    { .name = "WD_LIMIT", .offset = 0x18, .size = 4,
      .field = offsetof(Lt, wd_limit), .writable = ~0u },
    { .name = "POWER", .offset = 0x1c, .size = 8,
      .read = read_power, .write = write_ignored },
    { .name = "WD_CONTROL", .offset = 0x24, .size = 4,
      .field = offsetof(Lt, wd_control), .writable = 7 },
    { .name = "RESET_COUNTER", .offset = 0x28, .size = 8,
      .read = read_power, .write = write_ignored },
    { 0 },
};

static const StateField lt_fields[] = {
    STATE_FIELD(Lt, limit),
    STATE_FIELD(Lt, start),
    STATE_FIELD(Lt, control),
    STATE_FIELD(Lt, flag),
    STATE_FIELD(Lt, zero_ns),
    STATE_FIELD(Lt, stopped),
    STATE_FIELD(Lt, wd_prescaler),
    STATE_FIELD(Lt, wd_limit),
    STATE_FIELD(Lt, wd_control),
    STATE_FIELD(Lt, power_zero_ns),
    STATE_END,
};

static const DeviceClass lt_class = {
    .name = "lt-timer",
    .help = "Elbrus system timer, 10 MHz",
    .state_size = sizeof(Lt),
    .version = 1,
    .mmio_size = 0x40,
    .regs = lt_regs,
    .reset = lt_reset,
    .fields = lt_fields,
    .post_load = lt_post_load,
    .free = lt_free,
};

Device *lt_timer_new(Machine *machine, const char *id, Irq irq)
{
    Lt *lt = (Lt *)device_new(machine, &lt_class, id);

    lt->irq = irq;
    lt->timer = clock_timer_new(machine->clock, fire, lt);
    return &lt->device;
}
