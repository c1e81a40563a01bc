/*
 * Local interrupt controllers of the v3..v5 machines, one per CPU.
 *
 * x86-like, with the additions of the architecture: the BSP register, the
 * VECT register whose read acknowledges the highest deliverable vector (there
 * is no acknowledge cycle of the CPU), and the NM register with the causes of
 * non-maskable interrupts.  "system/machine.md" section 5.1.
 *
 *   message --> IRR --highest above PPR--> irq line of the CPU
 *                 \--VECT read--> ISR --EOI--> done
 *
 * The timer counts at TIMER_HZ divided by the divider register.
 */
#include "hw/intc.h"

#include <stdio.h>

#include "system/sys-cpu.h"
#include "util/log.h"

enum {
    VECTORS = 256,
    MAX_LVT = 3,
    SPIV_ENABLE = 1 << 8,
    BSP_IS_BSP = 1 << 8,
    BSP_ENABLE = 1 << 11,
    LVT_MASKED = 1 << 16,
    LVT_PERIODIC = 1 << 17,
    NM_STARTUP = 1 << 12,
    NM_INIT = 1 << 11,
    NM_NMI = 1 << 10,
    NM_CAUSES = 0x7ff00,
    TIMER_HZ = 100000000,
};

enum {
    DELIVER_FIXED = 0,
    DELIVER_LOWEST = 1,
    DELIVER_NMI = 4,
    DELIVER_INIT = 5,
    DELIVER_STARTUP = 6,
    DELIVER_EXTINT = 7,
};

typedef struct Lapic {
    struct LapicSet *set;
    SysCpu *cpu;
    ClockTimer *timer;
    uint32_t id, tpr, ldr, dfr, spiv, esr, bsp;
    uint32_t icr_lo, icr_hi;
    uint32_t lvt_timer, lvt[5], lvt_error;
    uint32_t initial, divider;
    int64_t timer_start_ns; /* when the count was initial */
    bool timer_over;        /* a one-shot count has ended */
    uint32_t m_erm, nm;
    uint32_t irr[VECTORS / 32], isr[VECTORS / 32], tmr[VECTORS / 32];
} Lapic;

typedef struct LapicSet {
    Device device;
    Device *ioapic;
    unsigned n;
    Lapic *lapic;
} LapicSet;

static Lapic *own(Device *device)
{
    LapicSet *set = (LapicSet *)device;

    return &set->lapic[sys_cpu_current(device->machine)->index];
}

/* ---- Vectors ----------------------------------------------------------------- */

static void set_bit(uint32_t *bits, unsigned n, bool on)
{
    bits[n / 32] = on ? bits[n / 32] | UINT32_C(1) << n % 32
                      : bits[n / 32] & ~(UINT32_C(1) << n % 32);
}

/* The highest vector in a set, or -1. */
static int highest(const uint32_t *bits)
{
    for (int i = VECTORS / 32 - 1; i >= 0; i--) {
        if (bits[i]) {
            return i * 32 + 31 - __builtin_clz(bits[i]);
        }
    }
    return -1;
}

static unsigned ppr(const Lapic *l)
{
    int in_service = highest(l->isr);
    unsigned isr_class = in_service < 0 ? 0 : in_service & 0xf0;

    return (l->tpr & 0xf0) >= isr_class ? l->tpr & 0xff : isr_class;
}

/* The vector VECT would give, or -1. */
static int deliverable(const Lapic *l)
{
    int vector = highest(l->irr);

    return vector >= 0 && (vector & 0xf0) > (int)(ppr(l) & 0xf0) ? vector : -1;
}

static void update(Lapic *l)
{
    sys_cpu_set_irq(l->cpu, (l->spiv & SPIV_ENABLE) && deliverable(l) >= 0);
    sys_cpu_set_nmi(l->cpu, l->nm & (NM_NMI | NM_INIT) & NM_CAUSES);
}

static void request(Lapic *l, unsigned vector, bool level)
{
    if (!(l->spiv & SPIV_ENABLE)) {
        return;
    }
    set_bit(l->irr, vector, true);
    set_bit(l->tmr, vector, level);
    log_printf(LOG_INT, "cpu%u: interrupt vector 0x%02x requested\n",
               l->cpu->index, vector);
    update(l);
}

static void accept(Lapic *l, unsigned delivery, unsigned vector, bool level)
{
    switch (delivery) {
    case DELIVER_FIXED:
    case DELIVER_LOWEST:
    case DELIVER_EXTINT:
        request(l, vector, level);
        break;
    case DELIVER_NMI:
        l->nm |= NM_NMI;
        update(l);
        break;
    case DELIVER_INIT:
        /* A running CPU ignores it: virt's secondaries wait from reset. */
        break;
    case DELIVER_STARTUP:
        l->nm = (l->nm & ~0xff) | NM_STARTUP | vector;
        sys_cpu_start(l->cpu, (uint64_t)vector << 12);
        break;
    default:
        log_printf(LOG_GUEST_ERROR, "lapic: delivery mode %u\n", delivery);
        break;
    }
}

static bool matches(const Lapic *l, unsigned destination, bool logical)
{
    if (destination == 0xff) {
        return true;
    }
    return logical ? (l->ldr >> 24 & destination) != 0
                   : l->id >> 24 == destination;
}

void lapic_deliver(Device *device, unsigned destination, bool logical,
                   unsigned delivery, unsigned vector, bool level)
{
    LapicSet *set = (LapicSet *)device;
    Lapic *best = NULL;

    for (unsigned i = 0; i < set->n; i++) {
        Lapic *l = &set->lapic[i];

        if (!matches(l, destination, logical)) {
            continue;
        }
        if (delivery != DELIVER_LOWEST) {
            accept(l, delivery, vector, level);
        } else if (!best || ppr(l) < ppr(best)) {
            best = l;
        }
    }
    if (best) {
        accept(best, DELIVER_FIXED, vector, level);
    }
}

void lapic_set_ioapic(Device *device, Device *ioapic)
{
    ((LapicSet *)device)->ioapic = ioapic;
}

void intc_deliver(Device *local, unsigned destination, bool logical,
                  unsigned delivery, unsigned vector, bool level)
{
    if (cepic_is(local)) {
        cepic_deliver(local, destination, delivery, vector, level);
    } else {
        lapic_deliver(local, destination, logical, delivery, vector, level);
    }
}

void intc_msi(Device *device, uint64_t address, uint32_t data)
{
    g_mutex_lock(device->lock);
    intc_deliver(device, address >> 12 & 0xff, address >> 2 & 1,
                  data >> 8 & 7, data & 0xff, false);
    g_mutex_unlock(device->lock);
}

/* ---- Timer --------------------------------------------------------------------- */

static int64_t tick_ns(const Lapic *l)
{
    unsigned code = (l->divider & 3) | (l->divider >> 1 & 4);
    unsigned divide = code == 7 ? 1 : 2u << code;

    return divide * (CLOCK_NS_PER_SEC / TIMER_HZ);
}

static void arm_timer(Lapic *l)
{
    if (l->initial && !l->timer_over) {
        clock_timer_set(l->timer, l->timer_start_ns +
                                      (int64_t)l->initial * tick_ns(l));
    } else {
        clock_timer_cancel(l->timer);
    }
}

static void timer_fire(void *opaque)
{
    Lapic *l = opaque;
    Device *device = &l->set->device;
    Clock *clock = device->machine->clock;

    g_mutex_lock(device->lock);
    int64_t period_ns = (int64_t)l->initial * tick_ns(l);
    int64_t now_ns = clock_now_ns(clock);

    if (l->initial && !l->timer_over &&
        now_ns >= l->timer_start_ns + period_ns) {
        if (!(l->lvt_timer & LVT_MASKED)) {
            request(l, l->lvt_timer & 0xff, false);
        }
        l->timer_over = !(l->lvt_timer & LVT_PERIODIC);
        if (!l->timer_over) {
            /* Periods that were missed are not made up for. */
            l->timer_start_ns +=
                (now_ns - l->timer_start_ns) / period_ns * period_ns;
            arm_timer(l);
        }
    }
    g_mutex_unlock(device->lock);
}

static uint64_t read_current(Device *device, unsigned n)
{
    Lapic *l = own(device);
    int64_t gone = (clock_now_ns(device->machine->clock) -
                    l->timer_start_ns) / tick_ns(l);

    if (!l->initial) {
        return 0;
    }
    if (l->lvt_timer & LVT_PERIODIC) {
        return l->initial - gone % l->initial;
    }
    return gone >= l->initial ? 0 : l->initial - gone;
}

static void write_initial(Device *device, unsigned n, uint64_t value)
{
    Lapic *l = own(device);

    l->initial = value;
    l->timer_start_ns = clock_now_ns(device->machine->clock);
    l->timer_over = false;
    arm_timer(l);
}

static void write_divider(Device *device, unsigned n, uint64_t value)
{
    Lapic *l = own(device);

    l->divider = value & 0xf;
    l->timer_start_ns = clock_now_ns(device->machine->clock);
    l->timer_over = false;
    arm_timer(l);
}

/* ---- Registers ------------------------------------------------------------------- */

/* VECT: acknowledges. */
static uint64_t read_vect(Device *device, unsigned n)
{
    Lapic *l = own(device);
    int vector = l->spiv & SPIV_ENABLE ? deliverable(l) : -1;

    if (vector < 0) {
        return l->spiv & 0xff;
    }
    set_bit(l->irr, vector, false);
    set_bit(l->isr, vector, true);
    update(l);
    return vector;
}

static void write_eoi(Device *device, unsigned n, uint64_t value)
{
    LapicSet *set = (LapicSet *)device;
    Lapic *l = own(device);
    int vector = highest(l->isr);

    if (vector < 0) {
        return;
    }
    bool level = l->tmr[vector / 32] >> vector % 32 & 1;

    set_bit(l->isr, vector, false);
    if (level && set->ioapic) {
        ioapic_eoi(set->ioapic, vector);
    }
    update(l);
}

static void write_icr(Device *device, unsigned n, uint64_t value)
{
    LapicSet *set = (LapicSet *)device;
    Lapic *self = own(device);
    unsigned shorthand = value >> 18 & 3;
    unsigned delivery = value >> 8 & 7;

    self->icr_lo = value & ~(UINT64_C(1) << 12);
    if (delivery == DELIVER_INIT && !(value >> 14 & 1)) {
        return; /* de-assert */
    }
    if (shorthand == 0) {
        lapic_deliver(device, self->icr_hi >> 24, value >> 11 & 1, delivery,
                      value & 0xff, false);
        return;
    }
    for (unsigned i = 0; i < set->n; i++) {
        Lapic *l = &set->lapic[i];
        bool is_self = l == self;

        if (shorthand == 2 || is_self == (shorthand == 1)) {
            accept(l, delivery, value & 0xff, false);
        }
    }
}

static void write_tpr(Device *device, unsigned n, uint64_t value)
{
    Lapic *l = own(device);

    l->tpr = value & 0xff;
    update(l);
}

static void write_spiv(Device *device, unsigned n, uint64_t value)
{
    Lapic *l = own(device);

    l->spiv = value & 0x3ff;
    update(l);
}

static void write_nm(Device *device, unsigned n, uint64_t value)
{
    Lapic *l = own(device);

    l->nm &= ~(value & NM_CAUSES);
    update(l);
}

static uint64_t read_version(Device *device, unsigned n)
{
    return 0x10 | MAX_LVT << 16;
}

static uint64_t read_ppr(Device *device, unsigned n)
{
    return ppr(own(device));
}

static uint64_t read_isr(Device *device, unsigned n)
{
    return own(device)->isr[n];
}

static uint64_t read_tmr(Device *device, unsigned n)
{
    return own(device)->tmr[n];
}

static uint64_t read_irr(Device *device, unsigned n)
{
    return own(device)->irr[n];
}

/* Plain storage that differs from CPU to CPU. */
#define STORAGE(name, field, writable)                                         \
    static uint64_t read_##name(Device *device, unsigned n)                    \
    {                                                                          \
        return own(device)->field;                                             \
    }                                                                          \
    static void write_##name(Device *device, unsigned n, uint64_t value)       \
    {                                                                          \
        Lapic *l = own(device);                                                \
                                                                               \
        l->field = (l->field & ~(writable)) | (value & (writable));            \
    }

STORAGE(bsp, bsp, (uint32_t)BSP_ENABLE)
STORAGE(id, id, 0xff000000u)
STORAGE(ldr, ldr, 0xff000000u)
STORAGE(dfr, dfr, 0xf0000000u)
STORAGE(icr_hi, icr_hi, 0xff000000u)
STORAGE(lvt_timer, lvt_timer, 0x300ffu)
STORAGE(lvt0, lvt[0], 0x1a7ffu)
STORAGE(lvt1, lvt[1], 0x1a7ffu)
STORAGE(lvt2, lvt[2], 0x1a7ffu)
STORAGE(lvt3, lvt[3], 0x1a7ffu)
STORAGE(lvt4, lvt[4], 0x1a7ffu)
STORAGE(lvt_error, lvt_error, 0x100ffu)
STORAGE(m_erm, m_erm, ~0u)

static uint64_t read_tpr(Device *device, unsigned n)
{
    return own(device)->tpr;
}

static uint64_t read_spiv(Device *device, unsigned n)
{
    return own(device)->spiv;
}

static uint64_t read_icr_lo(Device *device, unsigned n)
{
    return own(device)->icr_lo;
}

static uint64_t read_initial(Device *device, unsigned n)
{
    return own(device)->initial;
}

static uint64_t read_divider(Device *device, unsigned n)
{
    return own(device)->divider;
}

static uint64_t read_nm(Device *device, unsigned n)
{
    return own(device)->nm;
}

static uint64_t read_zero(Device *device, unsigned n)
{
    return 0;
}

static void write_ignored(Device *device, unsigned n, uint64_t value)
{
}

#define RW(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn,            \
      .write = write_##fn }
#define RO(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn,            \
      .write = write_ignored }

static const DeviceReg lapic_regs[] = {
    RW("BSP", 0x10, bsp),
    RW("ID", 0x20, id),
    RO("VERSION", 0x30, version),
    RW("TPR", 0x80, tpr),
    RO("APR", 0x90, ppr),
    RO("PPR", 0xa0, ppr),
    { .name = "EOI", .offset = 0xb0, .size = 4, .read = read_zero,
      .write = write_eoi },
    RW("LDR", 0xd0, ldr),
    RW("DFR", 0xe0, dfr),
    RW("SPIV", 0xf0, spiv),
    { .name = "ISR", .offset = 0x100, .size = 4, .count = VECTORS / 32,
      .stride = 16, .read = read_isr, .write = write_ignored },
    { .name = "TMR", .offset = 0x180, .size = 4, .count = VECTORS / 32,
      .stride = 16, .read = read_tmr, .write = write_ignored },
    { .name = "IRR", .offset = 0x200, .size = 4, .count = VECTORS / 32,
      .stride = 16, .read = read_irr, .write = write_ignored },
    RO("ESR", 0x280, zero),
    { .name = "ICR", .offset = 0x300, .size = 4, .read = read_icr_lo,
      .write = write_icr },
    RW("ICR2", 0x310, icr_hi),
    RW("LVTT", 0x320, lvt_timer),
    RW("LVT0", 0x350, lvt0),
    RW("LVT1", 0x360, lvt1),
    RW("LVTE", 0x370, lvt_error),
    RW("TIMER_INIT", 0x380, initial),
    RO("TIMER_CURRENT", 0x390, current),
    RW("TIMER_DIVIDER", 0x3e0, divider),
    RW("LVT2", 0xf40, lvt2),
    RW("LVT3", 0xf50, lvt3),
    RW("LVT4", 0xf60, lvt4),
    RW("M_ERM", 0xfc0, m_erm),
    RW("NM", 0xfe0, nm),
    RO("VECT", 0xff0, vect),
    { 0 },
};

static void reset_one(Lapic *l)
{
    unsigned index = l->cpu->index;

    clock_timer_cancel(l->timer);
    l->id = index << 24;
    l->bsp = BSP_ENABLE | (index == 0 ? BSP_IS_BSP : 0);
    l->tpr = l->ldr = l->esr = l->icr_lo = l->icr_hi = 0;
    l->dfr = ~0u;
    l->spiv = 0xff;
    l->lvt_timer = l->lvt_error = LVT_MASKED;
    for (unsigned i = 0; i < G_N_ELEMENTS(l->lvt); i++) {
        l->lvt[i] = LVT_MASKED;
    }
    l->initial = l->divider = l->m_erm = l->nm = 0;
    for (unsigned i = 0; i < VECTORS / 32; i++) {
        l->irr[i] = l->isr[i] = l->tmr[i] = 0;
    }
    update(l);
}

static void lapic_reset(Device *device)
{
    LapicSet *set = (LapicSet *)device;

    for (unsigned i = 0; i < set->n; i++) {
        reset_one(&set->lapic[i]);
    }
}

static void lapic_free(Device *device)
{
    LapicSet *set = (LapicSet *)device;

    for (unsigned i = 0; i < set->n; i++) {
        clock_timer_free(set->lapic[i].timer);
    }
    g_free(set->lapic);
}

static const StateField one_fields[] = {
    STATE_FIELD(Lapic, id), STATE_FIELD(Lapic, tpr), STATE_FIELD(Lapic, ldr),
    STATE_FIELD(Lapic, dfr), STATE_FIELD(Lapic, spiv),
    STATE_FIELD(Lapic, esr), STATE_FIELD(Lapic, bsp),
    STATE_FIELD(Lapic, icr_lo), STATE_FIELD(Lapic, icr_hi),
    STATE_FIELD(Lapic, lvt_timer), STATE_ARRAY(Lapic, lvt),
    STATE_FIELD(Lapic, lvt_error), STATE_FIELD(Lapic, initial),
    STATE_FIELD(Lapic, divider), STATE_FIELD(Lapic, timer_start_ns),
    STATE_FIELD(Lapic, timer_over),
    STATE_FIELD(Lapic, m_erm), STATE_FIELD(Lapic, nm),
    STATE_ARRAY(Lapic, irr), STATE_ARRAY(Lapic, isr), STATE_ARRAY(Lapic, tmr),
    STATE_END,
};

static const StateField lapic_fields[] = {
    STATE_POINTER_N(LapicSet, lapic, n, one_fields),
    STATE_END,
};

static void lapic_post_load(Device *device)
{
    LapicSet *set = (LapicSet *)device;

    for (unsigned i = 0; i < set->n; i++) {
        arm_timer(&set->lapic[i]);
        update(&set->lapic[i]);
    }
}

static const DeviceClass lapic_class = {
    .name = "lapic",
    .help = "local interrupt controllers",
    .state_size = sizeof(LapicSet),
    .version = 1,
    .mmio_size = 0x1000,
    .regs = lapic_regs,
    .reset = lapic_reset,
    .fields = lapic_fields,
    .post_load = lapic_post_load,
    .free = lapic_free,
};

Device *lapic_new(Machine *machine, const char *id)
{
    LapicSet *set = (LapicSet *)device_new(machine, &lapic_class, id);

    set->n = machine->n_cpus;
    set->lapic = g_new0(Lapic, set->n);
    for (unsigned i = 0; i < set->n; i++) {
        Lapic *l = &set->lapic[i];

        l->set = set;
        l->cpu = machine->cpus[i];
        l->timer = clock_timer_new(machine->clock, timer_fire, l);
    }
    return &set->device;
}
