/*
 * State helpers of generated code: registers of the array unit and state
 * registers.
 *
 * Source: shared facts "isa/aau.md" section 1, "isa/state.md" section 4.
 */
#include "target-e2k/sem.h"

#include <immintrin.h>
#include <stdbool.h>

#include "target-e2k/translate-int.h"

enum {
    MX_FLAGS = 0x3f,
    MX_MASKS = 0x1f80,
    MX_MODES = 0xe03f,
    REG_PFPFR = 0x84,
};

/* ------------------------------------------------------------------------
 * Array unit.  where: register code | index << 8 | area or descriptor << 16 |
 * SEM_AAU_...
 */

/* Exception codes of areas d..d+3 of one side. */
static uint32_t area_codes(const AauState *a, unsigned first)
{
    uint32_t codes = 0;

    for (unsigned k = 0; k < 4; k++) {
        codes |= (uint32_t)a->aalda[first + k] << 8 * k;
    }
    return codes;
}

uint64_t sem_aau_read(E2kCpu *cpu, uint64_t where)
{
    const AauState *a = &cpu->aau;
    unsigned i = where >> 8 & 15, d = where >> 16 & 31;
    bool high = where & SEM_AAU_HIGH;

    switch (where & 0xff) {
    case 0x00: case 0x10: return high ? a->aad[d].hi : a->aad[d].lo;
    case 0x04: return a->area[high ? 32 + d : d].index;
    default: break;
    }
    if (high) {
        return 0;
    }
    switch (where & 0xff) {
    case 0x01: return a->aasti[i];
    case 0x02: return i ? a->aaind[i] : 0;
    case 0x03: return i & 7 ? a->aaincr[i & 7] : 1;
    case 0x05:
        return area_codes(a, d & 28) |
               (uint64_t)area_codes(a, 32 + (d & 28)) << 32;
    case 0x08: return a->aafstr;
    case 0x09: return a->aaldv;
    case 0x0a: return a->aaldm;
    case 0x11: return a->aasti_tag;
    case 0x12: return a->aaind_tag;
    case 0x13: return a->aaincr_tag;
    case 0x1b: return a->aasr;
    default: return 0;
    }
}

void sem_aau_write(E2kCpu *cpu, uint64_t where, uint64_t lo, uint64_t hi)
{
    enum { AASR_IAB = 1 << 6, AASR_WRITABLE = 0x3e0 };
    AauState *a = &cpu->aau;
    unsigned i = where >> 8 & 15, d = where >> 16 & 31;

    lo = where & SEM_AAU_S ? (uint32_t)lo : lo;
    uint64_t value = where & SEM_AAU_NARROW ? (uint32_t)lo : lo;

    switch (where & 0xff) {
    case 0x00:
        a->aad[d].lo = (lo & UINT64_C(0x0600ffffffffffff)) |
                       UINT64_C(3) << 59;
        if (where & SEM_AAU_PAIR) {
            a->aad[d].hi = hi;
        }
        break;
    case 0x01:
        a->aasti[i] = value;
        a->aasti_tag &= ~(1u << i);
        break;
    case 0x02:
        if (i) {
            a->aaind[i] = value;
            a->aaind_tag &= ~(1u << i);
        }
        break;
    case 0x03:
        if (i & 7) {
            a->aaincr[i & 7] = value;
            a->aaincr_tag &= ~(1u << (i & 7));
        }
        break;
    case 0x04: a->area[d].index = value; break;
    case 0x08: a->aafstr = value; break;
    case 0x09: a->aaldv = lo; break;
    case 0x0a: a->aaldm = lo; break;
    case 0x11: a->aasti_tag = value; break;
    case 0x12: a->aaind_tag = value; break;
    case 0x13: a->aaincr_tag = value; break;
    case 0x1b: a->aasr = value & AASR_WRITABLE; break;
    default: break;
    }
    a->aasr |= AASR_IAB;
}

/* ------------------------------------------------------------------------
 * State registers
 */

/* Brings *cpu up to date with what only generated code knows, but for tags:
 * those of the site are the ones from before the bundle. */
static void settle(E2kCpu *cpu, const void *site)
{
    Site place = *(const Site *)site;

    place.tags = NULL;
    site_to_cpu(cpu, &place);
    cpu->pfpfr |= _mm_getcsr() & MX_FLAGS;
    cpu->usd_base = cpu->usd_size + cpu->jit.usd_bottom;
}

uint64_t sem_state_read(E2kCpu *cpu, uint64_t number, const void *site)
{
    uint64_t value = 0;

    settle(cpu, site);
    if (cpu_read_state(cpu, number, &value) != EXC_NONE) {
        sem_leave(cpu, site);
    }
    return value;
}

/* Only registers that trans_rw_supported() names: they cannot trap. */
void sem_state_write(E2kCpu *cpu, uint64_t number, uint64_t value,
                     const void *site)
{
    settle(cpu, site);
    cpu_write_state(cpu, number, value);
    if (number == REG_PFPFR) {
        _mm_setcsr((cpu->pfpfr & MX_MODES) | MX_MASKS);
    }
}
