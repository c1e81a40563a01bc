/*
 * The common part of local interrupt controllers: messages and their modes,
 * non-maskable causes, the CPU's lines.  See intc-int.h.
 */
#include "hw/intc-int.h"

#include "util/log.h"

/* Causes that interrupt the CPU; the others are only shown. */
#define NM_INTERRUPTING                                                        \
    (INTC_NM_NMI | INTC_NM_INIT | INTC_NM_TIMER | INTC_NM_SPECIAL)

IntcCpu *intc_cpu(const Intc *intc, unsigned n)
{
    return (IntcCpu *)(intc->cpus + n * intc->type->cpu_bytes);
}

IntcCpu *intc_own(Device *device)
{
    return intc_cpu((Intc *)device, sys_cpu_current(device->machine)->index);
}

void intc_set_bit(uint32_t *bits, unsigned n, bool on)
{
    bits[n / 32] = on ? bits[n / 32] | UINT32_C(1) << n % 32
                      : bits[n / 32] & ~(UINT32_C(1) << n % 32);
}

int intc_highest(const uint32_t *bits, unsigned n_words)
{
    for (int i = (int)n_words - 1; i >= 0; i--) {
        if (bits[i]) {
            return i * 32 + 31 - __builtin_clz(bits[i]);
        }
    }
    return -1;
}

void intc_update(IntcCpu *c)
{
    sys_cpu_set_irq(c->cpu, c->intc->type->is_interrupting(c));
    sys_cpu_set_nmi(c->cpu, c->nm & NM_INTERRUPTING & ~c->nm_mask);
}

static void request(IntcCpu *c, unsigned vector, bool level)
{
    c->intc->type->request(c, vector, level);
    log_printf(LOG_INT, "cpu%u: interrupt vector 0x%02x requested\n",
               c->cpu->index, vector);
    intc_update(c);
}

static void raise_nm(IntcCpu *c, uint32_t cause)
{
    c->nm |= cause;
    intc_update(c);
}

static void accept(IntcCpu *c, const IntcMessage *message)
{
    unsigned vector = message->vector & c->intc->type->vector_mask;

    switch (message->delivery) {
    case INTC_FIXED:
    case INTC_LOWEST:
    case INTC_EXTINT:
        request(c, vector, message->level);
        break;
    case INTC_SMI:
        raise_nm(c, INTC_NM_SMI);
        break;
    case INTC_SPECIAL:
        raise_nm(c, INTC_NM_SPECIAL);
        break;
    case INTC_NMI:
        raise_nm(c, INTC_NM_NMI);
        break;
    case INTC_INIT:
        break; /* virt's secondaries wait from reset; a running CPU goes on */
    case INTC_STARTUP:
        c->nm = (c->nm & ~0xffu) | INTC_NM_STARTUP | (vector & 0xff);
        sys_cpu_start(c->cpu, (uint64_t)(vector & 0xff) << 12);
        break;
    }
}

bool intc_deliver(Device *local, const IntcMessage *message)
{
    Intc *intc = (Intc *)local;
    bool is_for_one = message->delivery == INTC_LOWEST && intc->type->is_better;
    IntcCpu *best = NULL;
    bool is_taken = false;

    for (unsigned i = 0; i < intc->n; i++) {
        IntcCpu *c = intc_cpu(intc, i);

        if (!intc->type->matches(c, message)) {
            continue;
        }
        is_taken = true;
        if (!is_for_one) {
            accept(c, message);
        } else if (!best || intc->type->is_better(c, best)) {
            best = c;
        }
    }
    if (best) {
        accept(best, message);
    }
    if (!is_taken) {
        log_printf(LOG_GUEST_ERROR, "%s: no controller %u\n", local->id,
                   message->destination);
    }
    return is_taken;
}

void intc_broadcast(IntcCpu *self, bool to_self, bool to_others,
                    const IntcMessage *message)
{
    for (unsigned i = 0; i < self->intc->n; i++) {
        IntcCpu *c = intc_cpu(self->intc, i);

        if (c == self ? to_self : to_others) {
            accept(c, message);
        }
    }
}

static void timer_fired(void *opaque)
{
    IntcCpu *c = opaque;

    request(c, c->timer.lvt & c->intc->type->vector_mask, false);
}

static void nm_timer_fired(void *opaque)
{
    raise_nm(opaque, INTC_NM_TIMER);
}

uint64_t intc_read_zero(Device *device, unsigned n)
{
    return 0;
}

void intc_write_ignored(Device *device, unsigned n, uint64_t value)
{
}

/* ---- Trees ----------------------------------------------------------------------- */

static void map(Machine *machine, uint64_t at, Device *device)
{
    physmem_map_device(machine->mem, at, device->class->mmio_size, device, 0);
}

/* The first number that is not a CPU's is the pins' controller's. */
IntcTree intc_tree_apic(Machine *machine, uint64_t local_at)
{
    Device *lapic = lapic_new(machine, "lapic");

    map(machine, local_at, lapic);
    return (IntcTree){
        .local = lapic,
        .io = ioapic_new(machine, "ioapic", lapic, machine->n_cpus),
        .pin = ioapic_pin,
        .msi = lapic_msi,
        .msi_opaque = lapic,
    };
}

IntcTree intc_tree_epic(Machine *machine, uint64_t local_at,
                        uint64_t prepic_at, uint64_t msi_base,
                        unsigned n_pins)
{
    Device *cepic = cepic_new(machine, "cepic");
    Device *prepic = prepic_new(machine, "prepic", cepic, msi_base);

    map(machine, local_at, cepic);
    map(machine, prepic_at, prepic);
    return (IntcTree){
        .local = cepic,
        .prepic = prepic,
        .io = ioepic_new(machine, "ioepic", prepic, n_pins, machine->n_cpus),
        .pin = ioepic_pin,
        .msi = prepic_msi,
        .msi_opaque = prepic,
    };
}

/* ---- Life ------------------------------------------------------------------------ */

void intc_reset_cpu(IntcCpu *c)
{
    local_timer_reset(&c->timer, LOCAL_TIMER_MASKED);
    local_timer_reset(&c->nm_timer, 0);
    c->icr_lo = c->icr_hi = c->nm = c->nm_mask = 0;
}

void intc_post_load(Device *device)
{
    Intc *intc = (Intc *)device;

    for (unsigned i = 0; i < intc->n; i++) {
        IntcCpu *c = intc_cpu(intc, i);

        local_timer_resume(&c->timer);
        local_timer_resume(&c->nm_timer);
        intc_update(c);
    }
}

void intc_free(Device *device)
{
    Intc *intc = (Intc *)device;

    for (unsigned i = 0; i < intc->n; i++) {
        local_timer_clear(&intc_cpu(intc, i)->timer);
        local_timer_clear(&intc_cpu(intc, i)->nm_timer);
    }
    g_free(intc->cpus);
}

const StateField intc_cpu_fields[] = {
    STATE_STRUCT_AT("timer", offsetof(IntcCpu, timer), LocalTimer,
                    local_timer_fields),
    STATE_STRUCT_AT("nm_timer", offsetof(IntcCpu, nm_timer), LocalTimer,
                    local_timer_fields),
    STATE_FIELD(IntcCpu, icr_lo), STATE_FIELD(IntcCpu, icr_hi),
    STATE_FIELD(IntcCpu, nm), STATE_FIELD(IntcCpu, nm_mask),
    STATE_END,
};

Intc *intc_new(Machine *machine, const DeviceClass *class,
               const IntcType *type, const char *id)
{
    Intc *intc = (Intc *)device_new(machine, class, id);

    intc->type = type;
    intc->n = machine->n_cpus;
    intc->cpus = g_malloc0_n(intc->n, type->cpu_bytes);
    for (unsigned i = 0; i < intc->n; i++) {
        IntcCpu *c = intc_cpu(intc, i);

        c->intc = intc;
        c->cpu = machine->cpus[i];
        local_timer_init(&c->timer, &intc->device, timer_fired, c);
        local_timer_init(&c->nm_timer, &intc->device, nm_timer_fired, c);
    }
    return intc;
}
