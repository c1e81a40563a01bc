/*
 * Completion of a bundle that faulted late: the accesses that were entered
 * into cpu->resume are made, in order, when the handler of the exception goes
 * back to the bundle.
 *
 * Source: shared facts "isa/semantics.md" section 6.1.
 */
#include "target-e2k/interp-int.h"

#include <string.h>

static void write_slot(E2kCpu *cpu, int32_t number, uint64_t lo)
{
    RegSlot *slot = number < 0 ? &cpu->g[~number] : &cpu->regs[number];
    uint8_t *tag = number < 0 ? &cpu->g_tags[~number]
                              : &cpu->reg_tags[number];

    slot->lo = lo;
    *tag &= 0xf0;
}

static Exception replay_load(E2kCpu *cpu, const PendingAccess *p)
{
    uint8_t bytes[16] = {0};
    uint64_t lo, hi;
    Exception e = interp_load_bytes(cpu, p->address, p->size_bytes,
                                    interp_system_mas(p->mas), p->speculative, bytes);

    if (e != EXC_NONE) {
        cpu->fault.channel = p->channel;
        return e;
    }
    if (p->big_endian) {
        interp_reverse_bytes(bytes, p->size_bytes);
    }
    memcpy(&lo, bytes, 8);
    memcpy(&hi, bytes + 8, 8);
    if (!p->dst_none) {
        write_slot(cpu, p->dst, lo);
        if (p->size_bytes == 16 && !p->quad) {
            RegSlot *slot = p->dst < 0 ? &cpu->g[~p->dst] : &cpu->regs[p->dst];
            slot->ext = hi;
            *(p->dst < 0 ? &cpu->g_tags[~p->dst] : &cpu->reg_tags[p->dst]) = 0;
        }
    }
    if (p->quad) {
        write_slot(cpu, p->dst2, hi);
    }
    return EXC_NONE;
}

static Exception replay_store(E2kCpu *cpu, const PendingAccess *p)
{
    Exception e;

    if (cpu->dam_live) {
        interp_dam_store(cpu, p->address, p->size_bytes);
    }
    if (p->mask != 0xffff) {
        e = interp_store_masked(cpu, p->address, p->mask, p->value);
    } else {
        e = interp_store_bytes(cpu, p->address, p->size_bytes,
                               interp_system_mas(p->mas), p->value);
    }
    if (e != EXC_NONE) {
        cpu->fault.channel = p->channel;
    }
    return e;
}

Exception interp_replay(E2kCpu *cpu)
{
    unsigned done = 0;
    Exception e = EXC_NONE;

    while (done < cpu->resume.n) {
        const PendingAccess *p = &cpu->resume.op[done];
        e = p->store ? replay_store(cpu, p) : replay_load(cpu, p);
        if (e != EXC_NONE) {
            break;
        }
        done++;
    }
    cpu->resume.n -= done;
    memmove(cpu->resume.op, cpu->resume.op + done,
            cpu->resume.n * sizeof(cpu->resume.op[0]));
    return e;
}
