/*
 * The array access unit.
 *
 * bap samples the array program: each of its 64 areas (32 left, 32 right)
 * becomes {base, index, step}.  The prefetch buffer is not modelled: a mova
 * reads memory when it executes, at base + index + offset, and an area named
 * with am moves to the next element at the end of the bundle.
 *
 *   program word --bap--> area[k] --mova--> memory[base + index + ind]
 *                                  `-- am: index += step
 *
 * Source: shared facts "isa/aau.md".
 */
#include "target-e2k/interp-fns.h"

#include <string.h>

enum {
    AASR_STB = 1 << 5,
    AASR_IAB = 1 << 6,
    AASR_LDS_SHIFT = 7,
    AASR_LDS = 7 << AASR_LDS_SHIFT,
    LDS_ACTIVE = 3,
    PROGRAM_MAX = 32,
    INSTR_BYTES = 16,
    APB_CT = 1u << 31,
    APB_SI = 1u << 30,
    MOVA_Q = 5,
    MOVA_QP = 7,
    AALDA_OVERFLOW = 1,
};

/* AAU register codes; aau.md 1.1. */
enum {
    AAU_AAD = 0x00,
    AAU_AASTI = 0x01,
    AAU_AAIND = 0x02,
    AAU_AAINCR = 0x03,
    AAU_AALDI = 0x04,
    AAU_AALDA = 0x05,
    AAU_AAFSTR = 0x08,
    AAU_AALDV = 0x09,
    AAU_AALDM = 0x0a,
    AAU_AADR = 0x10,
    AAU_AASTI_TAG = 0x11,
    AAU_AAIND_TAG = 0x12,
    AAU_AAINCR_TAG = 0x13,
    AAU_AASR = 0x1b,
};

enum {
    AAD_TAG_SHIFT = 54,
    AAD_TAG_DIAG = 1,
};
#define AAD_RW (UINT64_C(3) << 59)
#define AAD_MB_ED (UINT64_C(3) << 57)

static unsigned aad_tag(const E2kCpu *cpu, unsigned n)
{
    return cpu->aau.aad[n].lo >> AAD_TAG_SHIFT & 7;
}

static bool is_running(const E2kCpu *cpu)
{
    return (cpu->aau.aasr & AASR_LDS) >> AASR_LDS_SHIFT == LDS_ACTIVE;
}

/* ------------------------------------------------------------------------
 * Programs
 */

static Exception fetch_program_words(E2kCpu *cpu, uint64_t address,
                                     uint8_t instr[INSTR_BYTES])
{
    uint8_t bytes[64];
    unsigned got = 0;

    for (unsigned have = 0; have < INSTR_BYTES; have += got) {
        Exception e = cpu->ops->fetch(cpu, address + have, bytes, &got);
        if (e != EXC_NONE) {
            return e == EXC_INSTR_PAGE_PROT ? EXC_AINSTR_PAGE_PROT
                                            : EXC_AINSTR_PAGE_MISS;
        }
        got = MIN(got, INSTR_BYTES - have);
        memcpy(instr + have, bytes, got);
    }
    return EXC_NONE;
}

static uint32_t word_at(const uint8_t *bytes, unsigned index)
{
    uint32_t w;

    memcpy(&w, bytes + 4 * index, 4);
    return w;
}

static void load_area(E2kCpu *cpu, unsigned k, uint32_t control, uint32_t disp)
{
    AauState *a = &cpu->aau;
    unsigned ind = control >> 8 & 15;
    unsigned incr = control >> 12 & 7;
    unsigned d = control >> 15 & 31;
    unsigned mrng = control >> 20 & 31;
    unsigned fmt = control >> 25 & 7;

    memset(&a->area[k], 0, sizeof(a->area[k]));
    if (fmt == 0 || fmt > 5 || (control & APB_SI)) {
        return;
    }
    a->area[k].fmt = fmt;
    a->area[k].mrng = mrng ? mrng : 32;
    a->area[k].valid = aad_tag(cpu, d) == 0 && !(a->aaind_tag >> ind & 1) &&
                       !(a->aaincr_tag >> incr & 1);
    a->area[k].base = a->aad[d].lo & CTPR_BASE_MASK;
    a->area[k].index = (ind ? (uint32_t)a->aaind[ind] : 0) + disp;
    a->area[k].step = (int64_t)(int32_t)(incr ? a->aaincr[incr] : 1)
                      << (fmt - 1);
}

void interp_bap_check(Interp *in)
{
    E2kCpu *cpu = in->cpu;
    uint64_t ctpr = cpu->ctpr[1];
    uint64_t address = ctpr & CTPR_BASE_MASK;
    uint8_t instr[INSTR_BYTES];

    if ((ctpr >> CTPR_TAG_SHIFT & 7) != CTPR_TAG_LOCAL ||
        (ctpr >> CTPR_OPC_SHIFT & 3) != CTPR_OPC_LDISP) {
        interp_raise(in, NULL, EXC_ILLEGAL_OPCODE);
        return;
    }
    in->aau_program = address;
    for (unsigned i = 0; i < PROGRAM_MAX; i++) {
        Exception e = fetch_program_words(cpu, address, instr);
        if (e != EXC_NONE) {
            interp_raise(in, NULL, e);
            return;
        }
        if (word_at(instr, 0) & APB_CT) {
            return;
        }
        address += INSTR_BYTES;
    }
}

void interp_bap(Interp *in)
{
    E2kCpu *cpu = in->cpu;
    uint64_t address = in->aau_program;
    uint8_t instr[INSTR_BYTES];

    memset(cpu->aau.area, 0, sizeof(cpu->aau.area));
    memset(cpu->aau.aalda, 0, sizeof(cpu->aau.aalda));
    for (unsigned i = 0; i < PROGRAM_MAX; i++) {
        if (fetch_program_words(cpu, address, instr) != EXC_NONE) {
            break;
        }
        load_area(cpu, i, word_at(instr, 0), word_at(instr, 1));
        load_area(cpu, 32 + i, word_at(instr, 2), word_at(instr, 3));
        if (word_at(instr, 0) & APB_CT) {
            break;
        }
        address += INSTR_BYTES;
    }
    cpu->aau.aaldv = 0;
    cpu->aau.aaldm = 0;
    cpu->aau.aafstr = 0;
    cpu->aau.aasr = (cpu->aau.aasr & ~AASR_LDS) |
                    LDS_ACTIVE << AASR_LDS_SHIFT;
}

void interp_eap(Interp *in)
{
    in->cpu->aau.aasr &= ~AASR_LDS;
}

/* ------------------------------------------------------------------------
 * mova
 */

static unsigned mova_size(unsigned opc)
{
    return opc == MOVA_QP || opc == MOVA_Q ? 16 : 1u << (opc - 1);
}

static uint64_t byte_swap(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

/* False: there is no datum to deliver. */
static bool mova_read(E2kCpu *cpu, const MovaOp *m, unsigned k, Value *v)
{
    unsigned size = mova_size(m->opc);
    unsigned bytes = m->opc == MOVA_Q ? 8 : size;
    uint8_t buffer[16] = {0};

    if (!is_running(cpu)) {
        return false;
    }
    unsigned fmt = cpu->aau.area[k].fmt;
    if (fmt == 0 || !cpu->aau.area[k].valid || cpu->aau.area[k].overflow ||
        size > 1u << (fmt - 1) ||
        m->ind + bytes > cpu->aau.area[k].mrng) {
        return false;
    }
    uint64_t address = cpu->aau.area[k].base + cpu->aau.area[k].index +
                       m->ind;
    if (cpu->isa <= 4 && (address & (bytes - 1))) {
        return false;
    }
    cpu->array_access = true;
    Exception e = interp_load_bytes(cpu, address, bytes, 0, true, buffer);

    cpu->array_access = false;
    if (e != EXC_NONE) {
        return false;
    }
    memcpy(&v->lo, buffer, 8);
    memcpy(&v->hi, buffer + 8, 8);
    v->tag = 0;
    if (m->be && bytes == 16) {
        uint64_t lo = v->lo;
        v->lo = __builtin_bswap64(v->hi);
        v->hi = __builtin_bswap64(lo);
    } else if (m->be) {
        v->lo = byte_swap(v->lo, bytes);
    }
    return true;
}

void interp_mova(Interp *in)
{
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &in->b->mova[i];
        unsigned k = (m->area & 31) + (i >= 2 ? 32 : 0);
        if (m->present && !mova_read(in->cpu, m, k, &in->mova[i])) {
            in->mova[i] = (Value){ARRAY_INVALID_PATTERN,
                                  ARRAY_INVALID_PATTERN, 0x55};
        }
    }
}

/* Every area named with am once, whatever the number of operations. */
static void advance_areas(Interp *in)
{
    uint64_t areas = 0;
    AauState *a = &in->cpu->aau;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &in->b->mova[i];
        if (m->present && m->am) {
            areas |= UINT64_C(1) << ((m->area & 31) + (i >= 2 ? 32 : 0));
        }
    }
    if (!is_running(in->cpu)) {
        return;
    }
    a->aaldv |= areas;
    while (areas) {
        unsigned k = __builtin_ctzll(areas);
        areas &= areas - 1;
        int64_t next = (int64_t)a->area[k].index + a->area[k].step;
        if (next < 0 || next > UINT32_MAX) {
            a->area[k].overflow = true;
            a->aalda[k] |= AALDA_OVERFLOW;
        }
        a->area[k].index = next;
    }
}

/* ------------------------------------------------------------------------
 * staa, ldaa
 */

static unsigned array_size(const InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_staab: case INSN_ldaab: return 1;
    case INSN_staah: case INSN_ldaah: return 2;
    case INSN_staaw: case INSN_ldaaw: return 4;
    case INSN_staad: case INSN_ldaad: return 8;
    default: return 16;
    }
}

static bool increment_qualified(const Interp *in, const InterpOp *c)
{
    bool invalid;

    return c->op->array.am &&
           interp_conditions(in->cpu, c->op->am_conds, c->op->n_am_conds,
                             &invalid);
}

void interp_array_off(Interp *in, InterpOp *c)
{
    if (c->row->flags & F_ARRAY) {
        c->incr_on = increment_qualified(in, c);
    }
}

/* Address and tags; false when the access is not made. */
static bool array_address(Interp *in, InterpOp *c)
{
    E2kCpu *cpu = in->cpu;
    AauState *a = &cpu->aau;
    unsigned d = c->op->array.aad;
    unsigned i = c->op->array.ind;
    bool from_aaind = c->op->array.use_aaind;
    uint64_t index = from_aaind ? (i ? a->aaind[i] : 0) : a->aasti[i];
    bool bad = aad_tag(cpu, d) != 0 ||
               ((from_aaind ? a->aaind_tag : a->aasti_tag) >> i & 1);

    c->size = array_size(c);
    c->byte_mask = 0xffff;
    c->incr_on = increment_qualified(in, c);
    c->big_endian = c->op->mas >> 3 & 1;
    c->address = (a->aad[d].lo & CTPR_BASE_MASK) + (uint32_t)index;
    if (c->op->array.lit) {
        c->address += sext32(c->op->array.lit_value);
    }
    if (c->op->mas & 7) {
        interp_raise(in, c, EXC_ILLEGAL_OPCODE);
        return false;
    }
    if (bad) {
        interp_invalid_operand(in, c);
    } else if ((cpu->upsr & UPSR_AC) && (c->address & (c->size - 1))) {
        if (!c->op->speculative) {
            interp_raise(in, c, EXC_ADDR_NOT_ALIGNED);
        }
        bad = true;
    }
    return !bad;
}

void interp_staa(Interp *in, InterpOp *c)
{
    if (c->invalid && !c->op->speculative) {
        interp_raise(in, c, EXC_DIAG_OPERAND);
    }
    if (array_address(in, c)) {
        c->defer = DEFER_ARRAY_STORE;
    }
}

void interp_ldaa(Interp *in, InterpOp *c)
{
    if (array_address(in, c)) {
        c->defer = DEFER_ARRAY_LOAD;
    } else {
        c->d = (Value){SPECULATIVE_LOAD_PATTERN, SPECULATIVE_LOAD_PATTERN,
                       0x55};
        c->poison = true;
    }
}

static void increment_index(E2kCpu *cpu, const InterpOp *c)
{
    AauState *a = &cpu->aau;
    unsigned k = c->op->array.incr;
    int64_t step = k ? (int32_t)a->aaincr[k] : 1;
    unsigned log2 = __builtin_ctz(array_size(c));
    uint64_t *index = c->op->array.use_aaind ? &a->aaind[c->op->array.ind]
                                             : &a->aasti[c->op->array.ind];

    *index = (uint32_t)(*index + ((uint64_t)step << log2));
}

void interp_array_advance(Interp *in)
{
    static const uint8_t channels[2] = {2, 5};

    for (unsigned i = 0; i < 2; i++) {
        const AlcOp *op = &in->b->alc[channels[i]];
        const InterpOp *c = &in->c[channels[i]];
        if (op->present && !op->pair_second && c->incr_on) {
            increment_index(in->cpu, c);
        }
    }
    advance_areas(in);
}

/* ------------------------------------------------------------------------
 * aaurr, aaurw
 */

static Value read_register(const E2kCpu *cpu, const AlcOp *op)
{
    const AauState *a = &cpu->aau;
    unsigned i = op->array.ind;
    unsigned d = op->array.aad;
    Value v = {0, 0, 0};

    switch (op->array.reg) {
    case AAU_AAD:
    case AAU_AADR:
        v.lo = a->aad[d].lo;
        v.hi = a->aad[d].hi;
        break;
    case AAU_AASTI:
        v.lo = a->aasti[i];
        break;
    case AAU_AAIND:
        v.lo = i ? a->aaind[i] : 0;
        break;
    case AAU_AAINCR:
        v.lo = i & 7 ? a->aaincr[i & 7] : 1;
        break;
    case AAU_AALDI:
        v.lo = a->area[d].index;
        v.hi = a->area[32 + d].index;
        break;
    case AAU_AALDA:
        for (unsigned k = 0; k < 4; k++) {
            v.lo |= (uint64_t)a->aalda[(d & 28) + k] << 8 * k;
            v.lo |= (uint64_t)a->aalda[32 + (d & 28) + k] << (32 + 8 * k);
        }
        break;
    case AAU_AAFSTR: v.lo = a->aafstr; break;
    case AAU_AALDV: v.lo = a->aaldv; break;
    case AAU_AALDM: v.lo = a->aaldm; break;
    case AAU_AASTI_TAG: v.lo = a->aasti_tag; break;
    case AAU_AAIND_TAG: v.lo = a->aaind_tag; break;
    case AAU_AAINCR_TAG: v.lo = a->aaincr_tag; break;
    case AAU_AASR: v.lo = a->aasr; break;
    default: break;
    }
    return v;
}

void interp_aaurr(Interp *in, InterpOp *c)
{
    c->d = read_register(in->cpu, c->op);
    if (c->row->dst == WIDTH_S) {
        c->d.lo = (uint32_t)c->d.lo;
    }
}

void interp_aaurw(Interp *in, InterpOp *c)
{
    c->defer = DEFER_AAU_WRITE;
}

static void write_aad(E2kCpu *cpu, unsigned d, const InterpOp *c, bool invalid)
{
    uint64_t tag = (uint64_t)(invalid ? AAD_TAG_DIAG : 0) << AAD_TAG_SHIFT;
    uint64_t lo = c->s3.lo;

    cpu->aau.aad[d].lo = (lo & CTPR_BASE_MASK) | (lo & AAD_MB_ED) | AAD_RW |
                         tag;
    if (c->row->src3 == WIDTH_Q) {
        cpu->aau.aad[d].hi = c->s3.hi;
    }
}

static void set_bit16(uint16_t *mask, unsigned i, bool value)
{
    *mask = (*mask & ~(1u << i)) | (unsigned)value << i;
}

void interp_aau_commit(Interp *in, InterpOp *c)
{
    E2kCpu *cpu = in->cpu;
    AauState *a = &cpu->aau;
    bool invalid = c->invalid || c->cond_invalid;
    bool wide = in->isa >= 5 && c->row->src3 != WIDTH_S;
    uint64_t value = wide ? c->s3.lo : (uint32_t)c->s3.lo;
    unsigned i = c->op->array.ind;
    unsigned k = i & 7;

    switch (c->op->array.reg) {
    case AAU_AAD:
        write_aad(cpu, c->op->array.aad, c, invalid);
        break;
    case AAU_AASTI:
        a->aasti[i] = value;
        set_bit16(&a->aasti_tag, i, invalid);
        break;
    case AAU_AAIND:
        if (i != 0) {
            a->aaind[i] = value;
            set_bit16(&a->aaind_tag, i, invalid);
        }
        break;
    case AAU_AAINCR:
        if (k != 0) {
            a->aaincr[k] = value;
            a->aaincr_tag = (a->aaincr_tag & ~(1u << k)) | invalid << k;
        }
        break;
    case AAU_AALDI:
        a->area[c->op->array.aad].index = value;
        break;
    case AAU_AALDV: a->aaldv = c->s3.lo; break;
    case AAU_AALDM: a->aaldm = c->s3.lo; break;
    case AAU_AAFSTR: a->aafstr = value; break;
    case AAU_AASTI_TAG: a->aasti_tag = value; break;
    case AAU_AAIND_TAG: a->aaind_tag = value; break;
    case AAU_AAINCR_TAG: a->aaincr_tag = value; break;
    case AAU_AASR: a->aasr = value & (AASR_STB | AASR_IAB | AASR_LDS); break;
    default: break;
    }
    a->aasr |= AASR_IAB;
}
