/*
 * Local interrupt controllers of the v3..v5 machines, one per CPU.
 *
 * x86-like, with the additions of the architecture: the BSP register, the
 * VECT register whose read acknowledges the highest deliverable vector (there
 * is no acknowledge cycle of the CPU), and the NM register with the causes of
 * non-maskable interrupts.  "system/machine.md" section 5.1.
 *
 *   message --> IRR --highest above PPR--> irq line of the CPU
 *                 \--VECT read--> ISR --EOI--> done, IO-APICs are told
 */
#include "hw/intc-int.h"

enum {
    VECTORS = 256,
    WORDS = VECTORS / 32,
    MAX_LVT = 3,
    MAX_IOAPICS = 2,
    SPIV_ENABLE = 1 << 8,
    BSP_IS_BSP = 1 << 8,
    BSP_ENABLE = 1 << 11,
    LVT_MASKED = 1 << 16,
    NM_CAUSES = 0x7ff00,
};

typedef struct Lapic {
    IntcCpu common;
    uint32_t id, tpr, ldr, dfr, spiv, esr, bsp;
    uint32_t lvt[5], lvt_error;
    uint32_t m_erm;
    uint32_t irr[WORDS], isr[WORDS], tmr[WORDS];
} Lapic;

typedef struct LapicSet {
    Intc intc;
    Device *ioapics[MAX_IOAPICS];
    unsigned n_ioapics;
} LapicSet;

static Lapic *own(Device *device)
{
    return (Lapic *)intc_own(device);
}

/* ---- Vectors ----------------------------------------------------------------- */

static unsigned ppr(const Lapic *l)
{
    int in_service = intc_highest(l->isr, WORDS);
    unsigned isr_class = in_service < 0 ? 0 : in_service & 0xf0;

    return (l->tpr & 0xf0) >= isr_class ? l->tpr & 0xff : isr_class;
}

/* The vector VECT would give, or -1. */
static int deliverable(const Lapic *l)
{
    int vector = l->spiv & SPIV_ENABLE ? intc_highest(l->irr, WORDS) : -1;

    return vector >= 0 && (vector & 0xf0) > (int)(ppr(l) & 0xf0) ? vector : -1;
}

static bool is_interrupting(const IntcCpu *c)
{
    return deliverable((const Lapic *)c) >= 0;
}

static void request(IntcCpu *c, unsigned vector, bool level)
{
    Lapic *l = (Lapic *)c;

    if (l->spiv & SPIV_ENABLE) {
        intc_set_bit(l->irr, vector, true);
        intc_set_bit(l->tmr, vector, level);
    }
}

static bool matches(const IntcCpu *c, const IntcMessage *message)
{
    const Lapic *l = (const Lapic *)c;

    if (message->destination == 0xff) {
        return true;
    }
    return message->logical ? (l->ldr >> 24 & message->destination) != 0
                            : l->id >> 24 == message->destination;
}

/* Lowest priority: whose work matters least takes it. */
static bool is_better(const IntcCpu *c, const IntcCpu *than)
{
    return ppr((const Lapic *)c) < ppr((const Lapic *)than);
}

static const IntcType lapic_type = {
    .cpu_bytes = sizeof(Lapic),
    .vector_mask = VECTORS - 1,
    .matches = matches,
    .is_better = is_better,
    .request = request,
    .is_interrupting = is_interrupting,
};

void lapic_add_ioapic(Device *device, Device *ioapic)
{
    LapicSet *set = (LapicSet *)device;

    g_assert(set->n_ioapics < MAX_IOAPICS);
    set->ioapics[set->n_ioapics++] = ioapic;
}

void lapic_msi(void *lapic, uint64_t address, uint32_t data)
{
    Device *device = lapic;
    IntcMessage message = {
        .destination = address >> 12 & 0xff,
        .logical = address >> 2 & 1,
        .delivery = data >> 8 & 7,
        .vector = data & 0xff,
    };

    g_mutex_lock(device->lock);
    intc_deliver(device, &message);
    g_mutex_unlock(device->lock);
}

void lapic_lvt3(Device *device)
{
    Intc *intc = (Intc *)device;

    g_mutex_lock(device->lock);
    for (unsigned i = 0; i < intc->n; i++) {
        Lapic *l = (Lapic *)intc_cpu(intc, i);

        if (!(l->lvt[3] & LVT_MASKED)) {
            request(&l->common, l->lvt[3] & (VECTORS - 1), false);
            intc_update(&l->common);
        }
    }
    g_mutex_unlock(device->lock);
}

/* ---- Registers ------------------------------------------------------------------- */

/* VECT: acknowledges. */
static uint64_t read_vect(Device *device, unsigned n)
{
    Lapic *l = own(device);
    int vector = deliverable(l);

    if (vector < 0) {
        return l->spiv & 0xff;
    }
    intc_set_bit(l->irr, vector, false);
    intc_set_bit(l->isr, vector, true);
    intc_update(&l->common);
    return vector;
}

static void write_eoi(Device *device, unsigned n, uint64_t value)
{
    LapicSet *set = (LapicSet *)device;
    Lapic *l = own(device);
    int vector = intc_highest(l->isr, WORDS);

    if (vector < 0) {
        return;
    }
    bool level = l->tmr[vector / 32] >> vector % 32 & 1;

    intc_set_bit(l->isr, vector, false);
    for (unsigned i = 0; level && i < set->n_ioapics; i++) {
        ioapic_eoi(set->ioapics[i], vector);
    }
    intc_update(&l->common);
}

enum { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

static void write_icr(Device *device, unsigned n, uint64_t value)
{
    IntcCpu *self = intc_own(device);
    unsigned shorthand = value >> 18 & 3;
    IntcMessage message = {
        .destination = self->icr_hi >> 24,
        .logical = value >> 11 & 1,
        .delivery = value >> 8 & 7,
        .vector = value & 0xff,
    };

    self->icr_lo = value & ~(UINT64_C(1) << 12);
    if (message.delivery == INTC_INIT && !(value >> 14 & 1)) {
        return; /* de-assert */
    }
    if (shorthand == TO_DESTINATION) {
        intc_deliver(device, &message);
    } else {
        intc_broadcast(self, shorthand != TO_OTHERS, shorthand != TO_SELF,
                       &message);
    }
}

static void write_tpr(Device *device, unsigned n, uint64_t value)
{
    own(device)->tpr = value & 0xff;
    intc_update(intc_own(device));
}

static void write_spiv(Device *device, unsigned n, uint64_t value)
{
    own(device)->spiv = value & 0x3ff;
    intc_update(intc_own(device));
}

static void write_nm(Device *device, unsigned n, uint64_t value)
{
    intc_own(device)->nm &= ~(value & NM_CAUSES);
    intc_update(intc_own(device));
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

INTC_STORAGE(Lapic, bsp, bsp, BSP_ENABLE)
INTC_STORAGE(Lapic, id, id, 0xff000000u)
INTC_STORAGE(Lapic, ldr, ldr, 0xff000000u)
INTC_STORAGE(Lapic, dfr, dfr, 0xf0000000u)
INTC_STORAGE(Lapic, icr_hi, common.icr_hi, 0xff000000u)
INTC_STORAGE(Lapic, lvt0, lvt[0], 0x1a7ffu)
INTC_STORAGE(Lapic, lvt1, lvt[1], 0x1a7ffu)
INTC_STORAGE(Lapic, lvt2, lvt[2], 0x1a7ffu)
INTC_STORAGE(Lapic, lvt3, lvt[3], 0x1a7ffu)
INTC_STORAGE(Lapic, lvt4, lvt[4], 0x1a7ffu)
INTC_STORAGE(Lapic, lvt_error, lvt_error, 0x100ffu)
INTC_STORAGE(Lapic, m_erm, m_erm, ~0u)
INTC_READ(Lapic, tpr, tpr)
INTC_READ(Lapic, spiv, spiv)
INTC_READ(Lapic, icr, common.icr_lo)
INTC_READ(Lapic, nm, common.nm)
INTC_TIMER(timer, timer, 0x300ffu)
INTC_TIMER(nm_timer, nm_timer, 0x20000u)

static const DeviceReg lapic_regs[] = {
    INTC_RW("BSP", 0x10, bsp),
    INTC_RW("ID", 0x20, id),
    INTC_RO("VERSION", 0x30, version),
    INTC_RW("TPR", 0x80, tpr),
    INTC_RO("APR", 0x90, ppr),
    INTC_RO("PPR", 0xa0, ppr),
    INTC_WO("EOI", 0xb0, eoi),
    INTC_RW("LDR", 0xd0, ldr),
    INTC_RW("DFR", 0xe0, dfr),
    INTC_RW("SPIV", 0xf0, spiv),
    { .name = "ISR", .offset = 0x100, .size = 4, .count = WORDS,
      .stride = 16, .read = read_isr, .write = intc_write_ignored },
    { .name = "TMR", .offset = 0x180, .size = 4, .count = WORDS,
      .stride = 16, .read = read_tmr, .write = intc_write_ignored },
    { .name = "IRR", .offset = 0x200, .size = 4, .count = WORDS,
      .stride = 16, .read = read_irr, .write = intc_write_ignored },
    { .name = "ESR", .offset = 0x280, .size = 4, .read = intc_read_zero,
      .write = intc_write_ignored },
    INTC_RW("ICR", 0x300, icr),
    INTC_RW("ICR2", 0x310, icr_hi),
    INTC_RW("LVTT", 0x320, timer_lvt),
    INTC_RW("LVT0", 0x350, lvt0),
    INTC_RW("LVT1", 0x360, lvt1),
    INTC_RW("LVTE", 0x370, lvt_error),
    INTC_RW("TIMER_INIT", 0x380, timer_initial),
    INTC_RO("TIMER_CURRENT", 0x390, timer_current),
    INTC_RW("TIMER_DIVIDER", 0x3e0, timer_divider),
    INTC_RW("NM_LVTT", 0xf00, nm_timer_lvt),
    INTC_RW("NM_TIMER_INIT", 0xf10, nm_timer_initial),
    INTC_RO("NM_TIMER_CURRENT", 0xf20, nm_timer_current),
    INTC_RW("NM_TIMER_DIVIDER", 0xf30, nm_timer_divider),
    INTC_RW("LVT2", 0xf40, lvt2),
    INTC_RW("LVT3", 0xf50, lvt3),
    INTC_RW("LVT4", 0xf60, lvt4),
    INTC_RW("M_ERM", 0xfc0, m_erm),
    INTC_RW("NM", 0xfe0, nm),
    INTC_RO("VECT", 0xff0, vect),
    { 0 },
};

/* ---- Life -------------------------------------------------------------------------- */

static void reset_one(Lapic *l)
{
    unsigned index = l->common.cpu->index;

    intc_reset_cpu(&l->common);
    l->id = index << 24;
    l->bsp = BSP_ENABLE | (index == 0 ? BSP_IS_BSP : 0);
    l->tpr = l->ldr = l->esr = l->m_erm = 0;
    l->dfr = ~0u;
    l->spiv = 0xff;
    l->lvt_error = LVT_MASKED;
    for (unsigned i = 0; i < G_N_ELEMENTS(l->lvt); i++) {
        l->lvt[i] = LVT_MASKED;
    }
    for (unsigned i = 0; i < WORDS; i++) {
        l->irr[i] = l->isr[i] = l->tmr[i] = 0;
    }
    intc_update(&l->common);
}

static void lapic_reset(Device *device)
{
    Intc *intc = (Intc *)device;

    for (unsigned i = 0; i < intc->n; i++) {
        reset_one((Lapic *)intc_cpu(intc, i));
    }
}

static const StateField one_fields[] = {
    STATE_INTC_CPU,
    STATE_FIELD(Lapic, id), STATE_FIELD(Lapic, tpr), STATE_FIELD(Lapic, ldr),
    STATE_FIELD(Lapic, dfr), STATE_FIELD(Lapic, spiv),
    STATE_FIELD(Lapic, esr), STATE_FIELD(Lapic, bsp),
    STATE_ARRAY(Lapic, lvt), STATE_FIELD(Lapic, lvt_error),
    STATE_FIELD(Lapic, m_erm),
    STATE_ARRAY(Lapic, irr), STATE_ARRAY(Lapic, isr), STATE_ARRAY(Lapic, tmr),
    STATE_END,
};

static const StateField lapic_fields[] = {
    STATE_INTC(Lapic, one_fields),
    STATE_END,
};

static const DeviceClass lapic_class = {
    .name = "lapic",
    .help = "local interrupt controllers",
    .state_size = sizeof(LapicSet),
    .version = 2,
    .mmio_size = LAPIC_BYTES,
    .regs = lapic_regs,
    .reset = lapic_reset,
    .fields = lapic_fields,
    .post_load = intc_post_load,
    .free = intc_free,
};

Device *lapic_new(Machine *machine, const char *id)
{
    return &intc_new(machine, &lapic_class, &lapic_type, id)->device;
}
