/*
 * Local interrupt controllers of the v6 machines (CEPIC), one per CPU.
 *
 *   message --> PMIRR --priority at least CPR--> irq line of the CPU
 *                  \--VECT_INTA read--> in service, CPR raised --EOI--> done
 *
 * A vector has 10 bits; its priority is the upper two.  Reading VECT_INTA
 * takes the highest vector whose priority is not below CPR, and gives it
 * together with the old CPR; CPR is then one above the vector's priority.
 * Writing EOI ends the vector and sets CPR to bits [18:16] of the value, which
 * software has from VECT_INTA.  This protocol, the delivery modes (those of
 * the LAPIC) and the timer's rate are inferred; offsets and fields are
 * "system/machine.md" section 5.3.  Guest pages of the controller, its
 * non-maskable timer and error registers read as zero.
 */
#include "hw/intc.h"

#include "system/sys-cpu.h"
#include "util/log.h"

enum {
    VECTORS = 1024,
    WORDS = VECTORS / 32,
    PRIORITY_SHIFT = 8,
    CTRL_BSP = 1 << 8,
    CTRL_ENABLE = 1 << 10,
    CPR_SHIFT = 8,       /* in CPR */
    CPR_MASK = 7,
    TAKEN_CPR_SHIFT = 16, /* in VECT_INTA and EOI */
    LVT_MASKED = 1 << 16,
    LVT_PERIODIC = 1 << 17,
    VECTOR_MASK = VECTORS - 1,
    NM_NMI = 1 << 10,
    NM_INIT = 1 << 11,
    NM_STARTUP = 1 << 12,
    NM_CAUSES = 0x33e00,
    SPURIOUS = 0x3ff,
    TIMER_HZ = 100000000,
    CEPIC_BYTES = 0x2000,
};

enum {
    DELIVER_FIXED = 0,
    DELIVER_LOWEST = 1,
    DELIVER_NMI = 4,
    DELIVER_INIT = 5,
    DELIVER_STARTUP = 6,
};

enum { TO_ONE, TO_SELF, TO_OTHERS, TO_ALL };

typedef struct Cepic {
    struct CepicSet *set;
    SysCpu *cpu;
    ClockTimer *timer;
    uint32_t ctrl, cpr, svr, ctrl2, nm, nm_mask;
    uint32_t icr_lo, icr_hi;
    uint32_t lvt_timer, initial, divider;
    int64_t timer_start_ns; /* when the count was initial */
    bool timer_over;        /* a one-shot count has ended */
    uint32_t pending[WORDS], service[WORDS], level[WORDS];
} Cepic;

typedef struct CepicSet {
    Device device;
    Device *ioapic;
    unsigned n;
    Cepic *cepic;
} CepicSet;

static Cepic *own(Device *device)
{
    CepicSet *set = (CepicSet *)device;

    return &set->cepic[sys_cpu_current(device->machine)->index];
}

/* ---- Vectors ----------------------------------------------------------------- */

static void set_bit(uint32_t *bits, unsigned n, bool on)
{
    bits[n / 32] = on ? bits[n / 32] | UINT32_C(1) << n % 32
                      : bits[n / 32] & ~(UINT32_C(1) << n % 32);
}

static int highest(const uint32_t *bits)
{
    for (int i = WORDS - 1; i >= 0; i--) {
        if (bits[i]) {
            return i * 32 + 31 - __builtin_clz(bits[i]);
        }
    }
    return -1;
}

/* The vector VECT_INTA would give, or -1. */
static int deliverable(const Cepic *c)
{
    int vector = c->ctrl & CTRL_ENABLE ? highest(c->pending) : -1;

    return vector >= 0 && vector >> PRIORITY_SHIFT >= (int)c->cpr ? vector
                                                                   : -1;
}

static void update(Cepic *c)
{
    sys_cpu_set_irq(c->cpu, deliverable(c) >= 0);
    sys_cpu_set_nmi(c->cpu, c->nm & (NM_NMI | NM_INIT) & ~c->nm_mask);
}

static void request(Cepic *c, unsigned vector, bool level)
{
    if (!(c->ctrl & CTRL_ENABLE)) {
        return;
    }
    set_bit(c->pending, vector, true);
    set_bit(c->level, vector, level);
    log_printf(LOG_INT, "cpu%u: interrupt vector 0x%03x requested\n",
               c->cpu->index, vector);
    update(c);
}

static void accept(Cepic *c, unsigned delivery, unsigned vector, bool level)
{
    switch (delivery) {
    case DELIVER_FIXED:
    case DELIVER_LOWEST:
        request(c, vector, level);
        break;
    case DELIVER_NMI:
        c->nm |= NM_NMI;
        update(c);
        break;
    case DELIVER_INIT:
        break; /* virt's secondaries wait from reset */
    case DELIVER_STARTUP:
        c->nm = (c->nm & ~0xffu) | NM_STARTUP | (vector & 0xff);
        sys_cpu_start(c->cpu, (uint64_t)(vector & 0xff) << 12);
        break;
    default:
        log_printf(LOG_GUEST_ERROR, "cepic: delivery mode %u\n", delivery);
        break;
    }
}

void cepic_deliver(Device *device, unsigned destination, unsigned delivery,
                   unsigned vector, bool level)
{
    CepicSet *set = (CepicSet *)device;

    if (destination < set->n) {
        accept(&set->cepic[destination], delivery, vector & VECTOR_MASK,
               level);
    } else {
        log_printf(LOG_GUEST_ERROR, "cepic: no controller %u\n", destination);
    }
}

/* ---- Timer --------------------------------------------------------------------- */

static int64_t tick_ns(const Cepic *c)
{
    unsigned code = (c->divider & 3) | (c->divider >> 1 & 4);
    unsigned divide = code == 7 ? 1 : 2u << code;

    return divide * (CLOCK_NS_PER_SEC / TIMER_HZ);
}

static void arm_timer(Cepic *c)
{
    if (c->initial && !c->timer_over) {
        clock_timer_set(c->timer, c->timer_start_ns +
                                      (int64_t)c->initial * tick_ns(c));
    } else {
        clock_timer_cancel(c->timer);
    }
}

static void start_timer(Cepic *c)
{
    c->timer_start_ns = clock_now_ns(c->set->device.machine->clock);
    c->timer_over = false;
    arm_timer(c);
}

static void timer_fire(void *opaque)
{
    Cepic *c = opaque;
    Device *device = &c->set->device;

    g_mutex_lock(device->lock);
    int64_t period_ns = (int64_t)c->initial * tick_ns(c);
    int64_t gone_ns = clock_now_ns(device->machine->clock) -
                      c->timer_start_ns;

    if (c->initial && !c->timer_over && gone_ns >= period_ns) {
        if (!(c->lvt_timer & LVT_MASKED)) {
            request(c, c->lvt_timer & VECTOR_MASK, false);
        }
        c->timer_over = !(c->lvt_timer & LVT_PERIODIC);
        if (!c->timer_over) {
            /* Periods that were missed are not made up for. */
            c->timer_start_ns += gone_ns / period_ns * period_ns;
            arm_timer(c);
        }
    }
    g_mutex_unlock(device->lock);
}

static uint64_t read_current(Device *device, unsigned n)
{
    Cepic *c = own(device);
    int64_t gone = (clock_now_ns(device->machine->clock) -
                    c->timer_start_ns) / tick_ns(c);

    if (!c->initial) {
        return 0;
    }
    if (c->lvt_timer & LVT_PERIODIC) {
        return c->initial - gone % c->initial;
    }
    return gone >= c->initial ? 0 : c->initial - gone;
}

static void write_initial(Device *device, unsigned n, uint64_t value)
{
    own(device)->initial = value;
    start_timer(own(device));
}

static void write_divider(Device *device, unsigned n, uint64_t value)
{
    own(device)->divider = value & 0xf;
    start_timer(own(device));
}

/* ---- Registers ------------------------------------------------------------------- */

static uint64_t read_vect(Device *device, unsigned n)
{
    Cepic *c = own(device);
    int vector = deliverable(c);
    uint64_t value = (uint64_t)c->cpr << TAKEN_CPR_SHIFT;

    if (vector < 0) {
        return value | (c->svr & VECTOR_MASK);
    }
    set_bit(c->pending, vector, false);
    set_bit(c->service, vector, true);
    c->cpr = (vector >> PRIORITY_SHIFT) + 1;
    update(c);
    return value | vector;
}

static void write_eoi(Device *device, unsigned n, uint64_t value)
{
    CepicSet *set = (CepicSet *)device;
    Cepic *c = own(device);
    int vector = highest(c->service);

    c->cpr = value >> TAKEN_CPR_SHIFT & CPR_MASK;
    if (vector >= 0) {
        set_bit(c->service, vector, false);
        if (c->level[vector / 32] >> vector % 32 & 1 && set->ioapic) {
            ioapic_eoi(set->ioapic, vector);
        }
    }
    update(c);
}

static void write_icr(Device *device, unsigned n, uint64_t value)
{
    CepicSet *set = (CepicSet *)device;
    Cepic *self = own(device);
    unsigned shorthand = value >> 10 & 3, delivery = value >> 13 & 7;

    self->icr_lo = value & ~(UINT64_C(1) << 12);
    if (shorthand == TO_ONE) {
        cepic_deliver(device, self->icr_hi >> 8 & 0x3ff, delivery,
                      value & VECTOR_MASK, false);
        return;
    }
    for (unsigned i = 0; i < set->n; i++) {
        bool is_self = &set->cepic[i] == self;

        if (shorthand == TO_ALL || is_self == (shorthand == TO_SELF)) {
            accept(&set->cepic[i], delivery, value & VECTOR_MASK, false);
        }
    }
}

static uint64_t read_id(Device *device, unsigned n)
{
    unsigned index = own(device)->cpu->index;

    return (index & 15) | (index >> 4 & 3) << 8;
}

static uint64_t read_cpr(Device *device, unsigned n)
{
    return own(device)->cpr << CPR_SHIFT;
}

static void write_cpr(Device *device, unsigned n, uint64_t value)
{
    own(device)->cpr = value >> CPR_SHIFT & CPR_MASK;
    update(own(device));
}

static void write_ctrl(Device *device, unsigned n, uint64_t value)
{
    Cepic *c = own(device);

    c->ctrl = (c->ctrl & CTRL_BSP) | (value & CTRL_ENABLE);
    update(c);
}

static uint64_t read_pending(Device *device, unsigned n)
{
    return own(device)->pending[n];
}

/* The vector that would be taken; bit 12 says that there is one. */
static uint64_t read_cir(Device *device, unsigned n)
{
    int vector = deliverable(own(device));

    return vector < 0 ? 0 : (uint64_t)vector | 1 << 12;
}

static void write_nm(Device *device, unsigned n, uint64_t value)
{
    own(device)->nm &= ~(value & NM_CAUSES);
    update(own(device));
}

static void write_nm_mask(Device *device, unsigned n, uint64_t value)
{
    own(device)->nm_mask = value;
    update(own(device));
}

static uint64_t read_zero(Device *device, unsigned n)
{
    return 0;
}

static void write_ignored(Device *device, unsigned n, uint64_t value)
{
}

#define READ(name, field)                                                      \
    static uint64_t read_##name(Device *device, unsigned n)                    \
    {                                                                          \
        return own(device)->field;                                             \
    }
/* Plain storage that differs from CPU to CPU. */
#define STORAGE(name, field, writable)                                         \
    READ(name, field)                                                          \
    static void write_##name(Device *device, unsigned n, uint64_t value)       \
    {                                                                          \
        own(device)->field = value & (writable);                               \
    }

READ(ctrl, ctrl)
READ(icr_lo, icr_lo)
READ(initial, initial)
READ(divider, divider)
READ(nm, nm)
READ(nm_mask, nm_mask)
STORAGE(icr_hi, icr_hi, 0x3ff00u)
STORAGE(lvt_timer, lvt_timer, 0x303ffu)
STORAGE(svr, svr, (uint32_t)VECTOR_MASK)
STORAGE(ctrl2, ctrl2, ~0u)

#define RW(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn,            \
      .write = write_##fn }
#define RO(reg_name, at, fn)                                                   \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn,            \
      .write = write_ignored }

static const DeviceReg cepic_regs[] = {
    RW("CTRL", 0x00, ctrl),
    RO("ID", 0x10, id),
    RW("CPR", 0x70, cpr),
    RO("ESR", 0x80, zero),
    RO("ESR2", 0x90, zero),
    { .name = "EOI", .offset = 0xa0, .size = 4, .read = read_zero,
      .write = write_eoi },
    RO("CIR", 0xb0, cir),
    { .name = "PMIRR", .offset = 0x100, .size = 4, .count = WORDS,
      .read = read_pending, .write = write_ignored },
    RW("PNMIRR", 0x1e0, nm),
    { .name = "ICR", .offset = 0x200, .size = 4, .read = read_icr_lo,
      .write = write_icr },
    RW("ICR2", 0x204, icr_hi),
    RW("LVTT", 0x220, lvt_timer),
    RW("TIMER_INIT", 0x230, initial),
    RO("TIMER_CURRENT", 0x240, current),
    RW("TIMER_DIVIDER", 0x250, divider),
    RO("NMT_LVTT", 0x260, zero),
    RO("NMT_INIT", 0x270, zero),
    RO("NMT_CURRENT", 0x280, zero),
    RO("NMT_DIVIDER", 0x290, zero),
    RW("SVR", 0x2a0, svr),
    RW("PNMIRR_MASK", 0x2d0, nm_mask),
    RO("VECT_INTA", 0x2f0, vect),
    RW("CTRL2", 0x1820, ctrl2),
    { 0 },
};

/* ---- Life -------------------------------------------------------------------------- */

static void reset_one(Cepic *c)
{
    clock_timer_cancel(c->timer);
    c->ctrl = c->cpu->index == 0 ? CTRL_BSP : 0;
    c->cpr = c->ctrl2 = c->nm = c->nm_mask = 0;
    c->icr_lo = c->icr_hi = c->initial = c->divider = 0;
    c->svr = SPURIOUS;
    c->lvt_timer = LVT_MASKED;
    for (unsigned i = 0; i < WORDS; i++) {
        c->pending[i] = c->service[i] = c->level[i] = 0;
    }
    update(c);
}

static void cepic_reset(Device *device)
{
    CepicSet *set = (CepicSet *)device;

    for (unsigned i = 0; i < set->n; i++) {
        reset_one(&set->cepic[i]);
    }
}

static void cepic_free(Device *device)
{
    CepicSet *set = (CepicSet *)device;

    for (unsigned i = 0; i < set->n; i++) {
        clock_timer_free(set->cepic[i].timer);
    }
    g_free(set->cepic);
}

static const StateField one_fields[] = {
    STATE_FIELD(Cepic, ctrl), STATE_FIELD(Cepic, cpr),
    STATE_FIELD(Cepic, svr), STATE_FIELD(Cepic, ctrl2),
    STATE_FIELD(Cepic, nm), STATE_FIELD(Cepic, nm_mask),
    STATE_FIELD(Cepic, icr_lo), STATE_FIELD(Cepic, icr_hi),
    STATE_FIELD(Cepic, lvt_timer), STATE_FIELD(Cepic, initial),
    STATE_FIELD(Cepic, divider), STATE_FIELD(Cepic, timer_start_ns),
    STATE_FIELD(Cepic, timer_over), STATE_ARRAY(Cepic, pending),
    STATE_ARRAY(Cepic, service), STATE_ARRAY(Cepic, level),
    STATE_END,
};

static const StateField cepic_fields[] = {
    STATE_POINTER_N(CepicSet, cepic, n, one_fields),
    STATE_END,
};

static void cepic_post_load(Device *device)
{
    CepicSet *set = (CepicSet *)device;

    for (unsigned i = 0; i < set->n; i++) {
        arm_timer(&set->cepic[i]);
        update(&set->cepic[i]);
    }
}

static const DeviceClass cepic_class = {
    .name = "cepic",
    .help = "local interrupt controllers of v6",
    .state_size = sizeof(CepicSet),
    .version = 1,
    .mmio_size = CEPIC_BYTES,
    .regs = cepic_regs,
    .reset = cepic_reset,
    .fields = cepic_fields,
    .post_load = cepic_post_load,
    .free = cepic_free,
};

bool cepic_is(const Device *device)
{
    return device->class == &cepic_class;
}

void cepic_set_ioapic(Device *device, Device *ioapic)
{
    ((CepicSet *)device)->ioapic = ioapic;
}

Device *cepic_new(Machine *machine, const char *id)
{
    CepicSet *set = (CepicSet *)device_new(machine, &cepic_class, id);

    set->n = machine->n_cpus;
    set->cepic = g_new0(Cepic, set->n);
    for (unsigned i = 0; i < set->n; i++) {
        Cepic *c = &set->cepic[i];

        c->set = set;
        c->cpu = machine->cpus[i];
        c->timer = clock_timer_new(machine->clock, timer_fire, c);
    }
    return &set->device;
}
