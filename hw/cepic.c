/*
 * Local interrupt controllers of the v6 machines (CEPIC), one per CPU.
 *
 *   message --> PMIRR --priority at least CPR--> irq line of the CPU
 *                  \--VECT_INTA read--> CPR raised, its old value shown
 *                                       EOI written --> CPR put back
 *
 * A vector has 10 bits; its priority is the upper two, plus one.  Reading
 * VECT_INTA takes the highest vector whose priority is above CPR, and gives it
 * together with the old CPR; CPR is then the vector's priority.  Writing EOI
 * sets CPR to bits [18:16] of the value, which software has from VECT_INTA.
 * Ends of level interrupts are told to the IO-EPIC by software.
 *
 * Errors gather in ESR_NEW and request the vector of ESR2; a write of ESR
 * moves them to where they can be read.
 *
 * Source: "system/machine.md" section 5.3; what Linux does with the registers
 * (arch/l: epic.c, epicdef.h, epic_regs.h).  Which number of priority a vector
 * has, the timer's rate and when errors arise are inferred.  Guests of a
 * hypervisor are not there: their pages read as zero.
 */
#include "hw/intc-int.h"

enum {
    VECTORS = 1024,
    WORDS = VECTORS / 32,
    VECTOR_MASK = VECTORS - 1,
    PRIORITY_SHIFT = 8,
    CTRL_BSP = 1 << 8,
    CTRL_ENABLE = 1 << 10,
    CPR_SHIFT = 8,        /* in CPR */
    CPR_MASK = 7,
    TAKEN_CPR_SHIFT = 16, /* in VECT_INTA and EOI */
    CIR_PENDING = 1 << 12,
    ESR_BAD_ICR = 1 << 11,
    ESR2_MASKED = 1 << 16,
    NM_CAUSES = 0x33e00,
    SPURIOUS = 0x3ff,
    CPU_MASK = 15,        /* of a node; its number is above, from bit 8 */
    NODE_SHIFT = 8,
};

typedef struct Cepic {
    IntcCpu common;
    uint32_t ctrl, cpr, svr, ctrl2, esr, esr_new, esr2;
    uint32_t pending[WORDS];
} Cepic;

static Cepic *own(Device *device)
{
    return (Cepic *)intc_own(device);
}

/* The number that messages and ID have: 16 CPUs for each node. */
static unsigned full_number(const IntcCpu *c)
{
    unsigned index = c->cpu->index;

    return (index & CPU_MASK) | index / (CPU_MASK + 1) << NODE_SHIFT;
}

static unsigned priority_of(int vector)
{
    return (vector >> PRIORITY_SHIFT) + 1;
}

/* The vector VECT_INTA would give, or -1. */
static int deliverable(const Cepic *c)
{
    int vector = c->ctrl & CTRL_ENABLE ? intc_highest(c->pending, WORDS) : -1;

    return vector >= 0 && priority_of(vector) > c->cpr ? vector : -1;
}

static bool is_interrupting(const IntcCpu *c)
{
    return deliverable((const Cepic *)c) >= 0;
}

static void request(IntcCpu *common, unsigned vector, bool level)
{
    Cepic *c = (Cepic *)common;

    if (c->ctrl & CTRL_ENABLE) {
        intc_set_bit(c->pending, vector, true);
    }
}

static bool matches(const IntcCpu *c, const IntcMessage *message)
{
    return full_number(c) == message->destination;
}

static const IntcType cepic_type = {
    .cpu_bytes = sizeof(Cepic),
    .vector_mask = VECTOR_MASK,
    .matches = matches,
    .request = request,
    .is_interrupting = is_interrupting,
};

/* ---- Registers ------------------------------------------------------------------- */

static uint64_t read_vect(Device *device, unsigned n)
{
    Cepic *c = own(device);
    int vector = deliverable(c);
    uint64_t value = (uint64_t)c->cpr << TAKEN_CPR_SHIFT;

    if (vector < 0) {
        return value | (c->svr & VECTOR_MASK);
    }
    intc_set_bit(c->pending, vector, false);
    c->cpr = priority_of(vector);
    intc_update(&c->common);
    return value | vector;
}

static void write_eoi(Device *device, unsigned n, uint64_t value)
{
    own(device)->cpr = value >> TAKEN_CPR_SHIFT & CPR_MASK;
    intc_update(intc_own(device));
}

static void note_error(Cepic *c, uint32_t error)
{
    c->esr_new |= error;
    if (!(c->esr2 & ESR2_MASKED)) {
        request(&c->common, c->esr2 & VECTOR_MASK, false);
        intc_update(&c->common);
    }
}

enum { TO_DESTINATION, TO_SELF, TO_OTHERS, TO_ALL };

static void write_icr(Device *device, unsigned n, uint64_t value)
{
    IntcCpu *self = intc_own(device);
    unsigned shorthand = value >> 10 & 3;
    IntcMessage message = {
        .destination = self->icr_hi >> 8 & 0x3ff,
        .delivery = value >> 13 & 7,
        .vector = value & VECTOR_MASK,
    };

    self->icr_lo = value & ~(UINT64_C(1) << 12);
    if (message.delivery > INTC_STARTUP) {
        note_error((Cepic *)self, ESR_BAD_ICR);
    } else if (shorthand != TO_DESTINATION) {
        intc_broadcast(self, shorthand != TO_OTHERS, shorthand != TO_SELF,
                       &message);
    } else if (!intc_deliver(device, &message)) {
        note_error((Cepic *)self, ESR_BAD_ICR);
    }
}

static uint64_t read_id(Device *device, unsigned n)
{
    return full_number(intc_own(device));
}

static uint64_t read_cpr(Device *device, unsigned n)
{
    return own(device)->cpr << CPR_SHIFT;
}

static void write_cpr(Device *device, unsigned n, uint64_t value)
{
    own(device)->cpr = value >> CPR_SHIFT & CPR_MASK;
    intc_update(intc_own(device));
}

static void write_ctrl(Device *device, unsigned n, uint64_t value)
{
    Cepic *c = own(device);

    c->ctrl = (c->ctrl & CTRL_BSP) | (value & CTRL_ENABLE);
    intc_update(&c->common);
}

static uint64_t read_pending(Device *device, unsigned n)
{
    return own(device)->pending[n];
}

/* The vector that would be taken. */
static uint64_t read_cir(Device *device, unsigned n)
{
    int vector = deliverable(own(device));

    return vector < 0 ? 0 : vector | CIR_PENDING;
}

static void write_esr(Device *device, unsigned n, uint64_t value)
{
    Cepic *c = own(device);

    c->esr = c->esr_new;
    c->esr_new = 0;
}

static void write_nm(Device *device, unsigned n, uint64_t value)
{
    intc_own(device)->nm &= ~(value & NM_CAUSES);
    intc_update(intc_own(device));
}

static void write_nm_mask(Device *device, unsigned n, uint64_t value)
{
    intc_own(device)->nm_mask = value;
    intc_update(intc_own(device));
}

INTC_READ(Cepic, ctrl, ctrl)
INTC_READ(Cepic, esr, esr)
INTC_READ(Cepic, esr_new, esr_new)
INTC_READ(Cepic, icr, common.icr_lo)
INTC_READ(Cepic, nm, common.nm)
INTC_READ(Cepic, nm_mask, common.nm_mask)
INTC_STORAGE(Cepic, icr_hi, common.icr_hi, 0x3ff00u)
INTC_STORAGE(Cepic, esr2, esr2, ESR2_MASKED | VECTOR_MASK)
INTC_STORAGE(Cepic, svr, svr, VECTOR_MASK)
INTC_STORAGE(Cepic, ctrl2, ctrl2, ~0u)
INTC_TIMER(timer, timer, 0x303ffu)
INTC_TIMER(nm_timer, nm_timer, 0x20000u)

static const DeviceReg cepic_regs[] = {
    INTC_RW("CTRL", 0x00, ctrl),
    INTC_RO("ID", 0x10, id),
    INTC_RW("CPR", 0x70, cpr),
    INTC_RW("ESR", 0x80, esr),
    INTC_RW("ESR2", 0x90, esr2),
    INTC_WO("EOI", 0xa0, eoi),
    INTC_RO("CIR", 0xb0, cir),
    { .name = "PMIRR", .offset = 0x100, .size = 4, .count = WORDS,
      .read = read_pending, .write = intc_write_ignored },
    INTC_RW("PNMIRR", 0x1e0, nm),
    INTC_RO("ESR_NEW", 0x1f0, esr_new),
    INTC_RW("ICR", 0x200, icr),
    INTC_RW("ICR2", 0x204, icr_hi),
    INTC_RW("LVTT", 0x220, timer_lvt),
    INTC_RW("TIMER_INIT", 0x230, timer_initial),
    INTC_RO("TIMER_CURRENT", 0x240, timer_current),
    INTC_RW("TIMER_DIVIDER", 0x250, timer_divider),
    INTC_RW("NMT_LVTT", 0x260, nm_timer_lvt),
    INTC_RW("NMT_INIT", 0x270, nm_timer_initial),
    INTC_RO("NMT_CURRENT", 0x280, nm_timer_current),
    INTC_RW("NMT_DIVIDER", 0x290, nm_timer_divider),
    INTC_RW("SVR", 0x2a0, svr),
    INTC_RW("PNMIRR_MASK", 0x2d0, nm_mask),
    INTC_RO("VECT_INTA", 0x2f0, vect),
    INTC_RW("CTRL2", 0x1820, ctrl2),
    { 0 },
};

/* ---- Life -------------------------------------------------------------------------- */

static void reset_one(Cepic *c)
{
    intc_reset_cpu(&c->common);
    c->ctrl = c->common.cpu->index == 0 ? CTRL_BSP : 0;
    c->cpr = c->ctrl2 = c->esr = c->esr_new = 0;
    c->esr2 = ESR2_MASKED;
    c->svr = SPURIOUS;
    for (unsigned i = 0; i < WORDS; i++) {
        c->pending[i] = 0;
    }
    intc_update(&c->common);
}

static void cepic_reset(Device *device)
{
    Intc *intc = (Intc *)device;

    for (unsigned i = 0; i < intc->n; i++) {
        reset_one((Cepic *)intc_cpu(intc, i));
    }
}

static const StateField one_fields[] = {
    STATE_INTC_CPU,
    STATE_FIELD(Cepic, ctrl), STATE_FIELD(Cepic, cpr),
    STATE_FIELD(Cepic, svr), STATE_FIELD(Cepic, ctrl2),
    STATE_FIELD(Cepic, esr), STATE_FIELD(Cepic, esr_new),
    STATE_FIELD(Cepic, esr2), STATE_ARRAY(Cepic, pending),
    STATE_END,
};

static const StateField cepic_fields[] = {
    STATE_INTC(Cepic, one_fields),
    STATE_END,
};

static const DeviceClass cepic_class = {
    .name = "cepic",
    .help = "local interrupt controllers of v6",
    .state_size = sizeof(Intc),
    .version = 2,
    .mmio_size = CEPIC_BYTES,
    .regs = cepic_regs,
    .reset = cepic_reset,
    .fields = cepic_fields,
    .post_load = intc_post_load,
    .free = intc_free,
};

Device *cepic_new(Machine *machine, const char *id)
{
    return &intc_new(machine, &cepic_class, &cepic_type, id)->device;
}
