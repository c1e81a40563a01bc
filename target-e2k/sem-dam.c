/*
 * The DAM for generated code; semantics.md 5.3, state.md 8.
 *
 * An entry is named by the register the load wrote.  Generated code calls
 * sem_dam_store() after a store only while there are entries.
 */
#include "target-e2k/sem.h"

#include <string.h>

enum {
    DAM_KEYS = 224,     /* window registers; globals come after */
    /* Entries may be lost at any time.  After so many stores without a new
     * one, somebody does without the check. */
    DAM_STORES_MAX = 4096,
};

static uint8_t key_of(const E2kCpu *cpu, const RegSlot *win, unsigned reg)
{
    return reg < DAM_KEYS ? (win + reg - cpu->regs) % DAM_KEYS : reg;
}

static DamEntry *entry_of(E2kCpu *cpu, uint8_t key)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->dam); i++) {
        if (cpu->dam[i].valid && cpu->dam[i].reg == key) {
            return &cpu->dam[i];
        }
    }
    return NULL;
}

/* Where an entry for the key goes: its old place, the first free one, or the
 * place of another. */
static DamEntry *place_for(E2kCpu *cpu, uint8_t key)
{
    DamEntry *free_one = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->dam); i++) {
        DamEntry *e = &cpu->dam[i];
        if (e->valid && e->reg == key) {
            return e;
        }
        free_one = free_one || e->valid ? free_one : e;
    }
    return free_one ? free_one : &cpu->dam[key % G_N_ELEMENTS(cpu->dam)];
}

void sem_dam_enter(E2kCpu *cpu, const RegSlot *win, uint64_t address,
                   uint64_t what)
{
    uint8_t key = key_of(cpu, win, what & 0xff);

    *place_for(cpu, key) = (DamEntry){ true, key, what >> 8, address };
    cpu->dam_live = 1;
    cpu->jit.dam_stores = 0;
}

uint64_t sem_dam_holds(E2kCpu *cpu, const RegSlot *win, uint64_t address,
                       uint64_t what)
{
    const DamEntry *e = entry_of(cpu, key_of(cpu, win, what & 0xff));

    return e && e->address == address && e->size_bytes == what >> 8;
}

void sem_dam_consume(E2kCpu *cpu, const RegSlot *win, uint64_t reg)
{
    uint8_t key = key_of(cpu, win, reg);
    uint8_t live = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->dam); i++) {
        DamEntry *e = &cpu->dam[i];
        e->valid &= e->reg != key;
        live |= e->valid;
    }
    cpu->dam_live = live;
}

void sem_dam_store(E2kCpu *cpu, uint64_t address, uint64_t size)
{
    uint8_t live = 0;

    if (++cpu->jit.dam_stores == DAM_STORES_MAX) {
        memset(cpu->dam, 0, sizeof(cpu->dam));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->dam); i++) {
        DamEntry *e = &cpu->dam[i];
        if (e->valid) {
            e->valid = address >= e->address + e->size_bytes ||
                       e->address >= address + size;
            live |= e->valid;
        }
    }
    cpu->dam_live = live;
}
