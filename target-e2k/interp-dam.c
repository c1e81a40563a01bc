/*
 * The DAM of the reference interpreter: which loads made ahead of time are
 * still good.  An entry is keyed by the register the load wrote; a store that
 * overlaps it, a check load, or a newer entry ends it.
 *
 * Source: shared facts "isa/semantics.md" section 5.3.
 */
#include "target-e2k/interp-int.h"

enum { GLOBAL_KEY = 224 };

/* Key of an entry: the physical register the load writes. */
uint8_t interp_dam_key(E2kCpu *cpu, const Operand *dst)
{
    uint8_t *tag;
    const RegSlot *slot = interp_slot(cpu, dst, &tag);

    if (!slot) {
        return 0xff;
    }
    if (dst->kind == OPERAND_GLOBAL) {
        return GLOBAL_KEY + (slot - cpu->g);
    }
    return (slot - cpu->regs) % GLOBAL_KEY;
}

void interp_dam_enter(E2kCpu *cpu, uint8_t key, uint64_t address,
                      unsigned size)
{
    DamEntry *entry = NULL;

    for (unsigned i = 0; i < 32; i++) {
        DamEntry *d = &cpu->dam[i];
        if (d->valid && d->reg == key) {
            entry = d;
            break;
        }
        if (!d->valid && !entry) {
            entry = d;
        }
    }
    if (!entry) {
        entry = &cpu->dam[key % 32];
    }
    *entry = (DamEntry){true, key, size, address};
    cpu->dam_live = 1;
}

/* Consumes the entry of key; true when it still guards this access. */
bool interp_dam_check(E2kCpu *cpu, uint8_t key, uint64_t address,
                      unsigned size)
{
    bool holds = false;
    bool live = false;

    for (unsigned i = 0; i < 32; i++) {
        DamEntry *d = &cpu->dam[i];
        if (d->valid && d->reg == key) {
            d->valid = false;
            holds = d->address == address && d->size_bytes == size;
        }
        live |= d->valid;
    }
    cpu->dam_live = live;
    return holds;
}

void interp_dam_store(E2kCpu *cpu, uint64_t address, unsigned size)
{
    bool live = false;

    for (unsigned i = 0; i < 32; i++) {
        DamEntry *d = &cpu->dam[i];
        if (d->valid && address < d->address + d->size_bytes &&
            d->address < address + size) {
            d->valid = false;
        }
        live |= d->valid;
    }
    cpu->dam_live = live;
}
