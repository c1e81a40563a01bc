/*
 * Loads and stores: memory address specifiers, speculation, alignment,
 * atomic brackets, late faults.  The DAM is in interp-dam.c, the completion of
 * late faults in interp-replay.c.
 *
 * A family function computes the address and makes the checks whose
 * exceptions are precise; the access itself is made by
 * interp_memory_execute(), in channel order, when it is certain that the
 * bundle executes.  An access that faults then is entered into cpu->resume.
 *
 * Source: shared facts "isa/semantics.md" sections 3.4, 4, 5 and 6.1.
 */
#include "target-e2k/interp-fns.h"

#include <string.h>

#include "tcg/host-access.h"

enum {
    MAS_MOD = 7,
    MAS_BIG_ENDIAN = 1 << 3,
    MAS_M1 = 1 << 4,
    MOD_PHYSICAL = 1,
    MOD_UNLOCK_WAIT = 2,
    MOD_CHECK = 3,
    MOD_DAM_LOCK = 4,
    MOD_UNLOCK_ONLY = 5,
    MOD_IO = 6,
    MOD_SPECIAL = 7,
    SPECIAL_LOCK_WAIT = 0,
    SPECIAL_DCACHE_LINE = 1,
    SPECIAL_ICACHE_LINE = 2,
    CACHE_LINE = 256,
    RECOVERY_FMT_QUAD = 5,
    RECOVERY_FMT_PACKED = 7,
};

/* ------------------------------------------------------------------------
 * Bytes
 */

static Exception fault(E2kCpu *cpu, uint64_t address, unsigned size,
                       AccessKind kind)
{
    cpu->fault.address = address;
    cpu->fault.size_bytes = size;
    cpu->fault.kind = kind;
    cpu->fault.present = false;
    cpu->fault.ip = cpu->ip;
    return EXC_DATA_PAGE;
}

Exception interp_load_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                            unsigned mas, bool speculative, void *value)
{
    if (cpu->direct_memory && mas == 0) {
        if (cpu_is_direct(cpu, address, size) &&
            host_load(cpu->guest_base + address, size, value)) {
            return EXC_NONE;
        }
        return fault(cpu, address, size, ACCESS_LOAD);
    }
    return cpu->ops->load(cpu, address, size, mas, speculative, value);
}

Exception interp_store_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                             unsigned mas, const void *value)
{
    if (cpu->direct_memory && mas == 0) {
        if (cpu_is_direct(cpu, address, size) &&
            host_store(cpu->guest_base + address, size, value)) {
            return EXC_NONE;
        }
        return fault(cpu, address, size, ACCESS_STORE);
    }
    return cpu->ops->store(cpu, address, size, mas, value);
}

static Exception compare_and_swap(E2kCpu *cpu, uint64_t address, unsigned size,
                                  const void *expected, const void *value,
                                  bool *swapped)
{
    if (cpu->direct_memory) {
        if (cpu_is_direct(cpu, address, size) &&
            host_cmpxchg(cpu->guest_base + address, size, expected, value,
                         swapped)) {
            return EXC_NONE;
        }
        return fault(cpu, address, size, ACCESS_STORE);
    }
    return cpu->ops->cmpxchg(cpu, address, size, expected, value, swapped);
}

void interp_reverse_bytes(uint8_t *bytes, unsigned size)
{
    for (unsigned i = 0; i < size / 2; i++) {
        uint8_t t = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = t;
    }
}

/* The bytes whose mask bit is set; the others are not touched at all. */
Exception interp_store_masked(E2kCpu *cpu, uint64_t address, unsigned mask,
                              const uint8_t *value)
{
    for (unsigned i = 0; i < 16; i++) {
        if (mask >> i & 1) {
            Exception e = interp_store_bytes(cpu, address + i, 1, 0,
                                             value + i);
            if (e != EXC_NONE) {
                return e;
            }
        }
    }
    return EXC_NONE;
}

/* ------------------------------------------------------------------------
 * What the specifier means
 */

/* Load-acquire and store-release of v6: ordinary accesses on this host. */
static bool is_ordered_access(const Interp *in, unsigned mas)
{
    return in->isa >= 6 && (mas & MAS_MOD) == MOD_CHECK && (mas & MAS_M1) &&
           !(mas & MAS_BIG_ENDIAN);
}

static bool is_big_endian(unsigned mas)
{
    return (mas & MAS_BIG_ENDIAN) && (mas & MAS_MOD) != MOD_SPECIAL;
}

static unsigned special_opcode(unsigned mas)
{
    return mas >> 3;
}

static bool is_lock_wait_load(unsigned mas)
{
    return mas == MOD_SPECIAL;
}

/* Part of the specifier that the memory system sees. */
unsigned interp_system_mas(unsigned mas)
{
    unsigned mod = mas & MAS_MOD;

    if (mod == MOD_SPECIAL) {
        return is_lock_wait_load(mas) ? 0 : mas;
    }
    return mod == MOD_PHYSICAL || mod == MOD_IO ? mas & ~MAS_BIG_ENDIAN : 0;
}

/* Accesses that only the system may make. */
static bool is_privileged(unsigned mas, bool store)
{
    unsigned mod = mas & MAS_MOD;

    if (mod == MOD_SPECIAL && store) {
        return special_opcode(mas) != SPECIAL_DCACHE_LINE &&
               special_opcode(mas) != SPECIAL_ICACHE_LINE;
    }
    if (mod == MOD_SPECIAL) {
        return !is_lock_wait_load(mas);
    }
    return mod == MOD_PHYSICAL;
}

bool interp_store_suppressed(const Interp *in)
{
    return in->cpu->pcnt != 0 || (in->loop_end && in->strmd == 0);
}

/* A precise exception of an access, or its silent form under ,sm. */
static void refuse(Interp *in, InterpOp *c, Exception e)
{
    if (c->op->speculative && e != EXC_PRIV_ACTION) {
        c->drop = true; /* stores: not performed; loads: see refused_load() */
        c->defer = DEFER_NONE;
        c->d = (Value){SPECULATIVE_LOAD_PATTERN, SPECULATIVE_LOAD_PATTERN,
                       0x55};
    } else {
        interp_raise(in, c, e);
    }
}

static void refuse_load(Interp *in, InterpOp *c, Exception e)
{
    refuse(in, c, e);
    c->drop = false;
    c->poison = true;
}

/* 0: the access may go ahead. */
static Exception check_access(const Interp *in, const InterpOp *c, bool store,
                              bool always_aligned)
{
    unsigned mas = c->op->mas;

    if (is_privileged(mas, store) && !(in->cpu->psr & PSR_PM)) {
        return EXC_PRIV_ACTION;
    }
    if ((c->address & (c->size - 1)) &&
        (always_aligned || (in->cpu->upsr & UPSR_AC)) &&
        (mas & MAS_MOD) != MOD_SPECIAL) {
        return EXC_ADDR_NOT_ALIGNED;
    }
    return EXC_NONE;
}

/*
 * Masked 16-byte stores must be aligned on v5.  The same is said of ldqp and
 * stqp, but by software only, and published programs rely on the opposite.
 */
static bool needs_alignment(const Interp *in, const InterpOp *c)
{
    SemFamily sem = insn_sem(c->op->insn);

    return in->isa <= 5 && (sem == SEM_store_mask || sem == SEM_store_seg_mask);
}

static unsigned access_size(const InterpOp *c, bool store)
{
    unsigned width = store ? c->row->src3 : c->row->dst;

    if (width == WIDTH_P || width == WIDTH_Q) {
        return 16;
    }
    switch (c->op->insn) {
#define SIZE_CASES(op, suffix)                                                \
    case INSN_##op##b##suffix: return 1;                                      \
    case INSN_##op##h##suffix: return 2;                                      \
    case INSN_##op##w##suffix: return 4;
    SIZE_CASES(ld, )
    SIZE_CASES(st, )
    SIZE_CASES(ldcs, ) SIZE_CASES(ldds, ) SIZE_CASES(ldes, )
    SIZE_CASES(ldfs, ) SIZE_CASES(ldgs, ) SIZE_CASES(ldss, )
    SIZE_CASES(stcs, ) SIZE_CASES(stds, ) SIZE_CASES(stes, )
    SIZE_CASES(stfs, ) SIZE_CASES(stgs, ) SIZE_CASES(stss, )
    SIZE_CASES(ldgd, ) SIZE_CASES(stgd, ) SIZE_CASES(ldcud, )
    SIZE_CASES(ldap, ) SIZE_CASES(stap, )
#undef SIZE_CASES
    default: return 8;
    }
}

/* ------------------------------------------------------------------------
 * Family functions
 */

static void start_load(Interp *in, InterpOp *c)
{
    Exception e;

    c->size = access_size(c, false);
    c->big_endian = is_big_endian(c->op->mas);
    if (c->invalid) {
        /* Only reached under ,sm: no access is made. */
        refuse_load(in, c, EXC_DIAG_OPERAND);
        return;
    }
    e = check_access(in, c, false, needs_alignment(in, c));
    if (e != EXC_NONE) {
        refuse_load(in, c, e);
        return;
    }
    c->defer = DEFER_LOAD;
}

static void start_store(Interp *in, InterpOp *c)
{
    Exception e;

    c->big_endian = is_big_endian(c->op->mas);
    if (c->invalid && !c->op->speculative) {
        interp_raise(in, c, EXC_DIAG_OPERAND);
    } else if (c->invalid & 3) {
        refuse(in, c, EXC_DIAG_OPERAND);
        return;
    }
    e = check_access(in, c, true, needs_alignment(in, c));
    if (e != EXC_NONE) {
        refuse(in, c, e);
        return;
    }
    c->defer = DEFER_STORE;
}

void interp_load(Interp *in, InterpOp *c)
{
    c->address = c->s1.lo + c->s2.lo;
    start_load(in, c);
}

void interp_store(Interp *in, InterpOp *c)
{
    c->address = c->s1.lo + c->s2.lo;
    c->size = access_size(c, true);
    c->byte_mask = 0xffff;
    start_store(in, c);
}

void interp_store_mask(Interp *in, InterpOp *c)
{
    c->address = c->s1.lo;
    c->size = 16;
    c->byte_mask = c->s2.lo;
    if (c->byte_mask == 0 && !c->invalid) {
        return;
    }
    start_store(in, c);
}

/* State register with the low word of the descriptor an operation names. */
static unsigned descriptor_register(InsnId insn)
{
    const char *name = insn_name(insn) + 2;

    static const struct {
        char name[4];
        uint8_t lo;
    } segments[] = {
        {"cud", 0x31}, {"gd", 0x33}, {"cs", 0x35}, {"ds", 0x37},
        {"es", 0x39}, {"fs", 0x3b}, {"gs", 0x3d}, {"ss", 0x3f},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(segments); i++) {
        if (g_str_has_prefix(name, segments[i].name)) {
            return segments[i].lo;
        }
    }
    return 0x33;
}

/*
 * Adds the base of the descriptor to a 32-bit offset; ops.md section 8.
 * Outside the descriptor: exc_array_bounds, which is what an empty one (as in
 * a flat process) gives for every access.
 */
static bool segment_address(Interp *in, InterpOp *c, uint64_t sum)
{
    unsigned lo = descriptor_register(c->op->insn);
    const uint64_t *state = in->cpu->state;
    uint64_t base = state[lo] & CTPR_BASE_MASK;
    uint64_t size = state[lo - 1] >> 32;
    uint64_t offset = (uint32_t)sum;

    c->address = base + offset;
    return size != 0 && (size == UINT32_MAX || offset + c->size <= size);
}

void interp_load_desc(Interp *in, InterpOp *c)
{
    c->size = access_size(c, false);
    if (!segment_address(in, c, c->s1.lo + c->s2.lo)) {
        refuse_load(in, c, EXC_ARRAY_BOUNDS);
        return;
    }
    start_load(in, c);
}

void interp_store_desc(Interp *in, InterpOp *c)
{
    c->size = access_size(c, true);
    c->byte_mask = 0xffff;
    if (!segment_address(in, c, c->s1.lo + c->s2.lo)) {
        refuse(in, c, EXC_ARRAY_BOUNDS);
        return;
    }
    start_store(in, c);
}

void interp_load_seg(Interp *in, InterpOp *c)
{
    interp_load_desc(in, c);
}

void interp_store_seg(Interp *in, InterpOp *c)
{
    interp_store_desc(in, c);
}

void interp_store_seg_mask(Interp *in, InterpOp *c)
{
    c->size = 16;
    c->byte_mask = c->s2.lo;
    if (!segment_address(in, c, c->s1.lo)) {
        refuse(in, c, EXC_ARRAY_BOUNDS);
    } else if (c->byte_mask != 0 || c->invalid) {
        start_store(in, c);
    }
}

/*
 * Recovery accesses of trap handlers: the second operand describes the access
 * (signed offset, specifier, format); ops.md section 10, "system/mmu.md" 7.4.
 * Those of 8 and 16 bytes in the formats of quad and packed ones move tags.
 */
static bool recovery_access(Interp *in, InterpOp *c)
{
    static const uint8_t sizes[8] = {8, 1, 2, 4, 8, 8, 8, 16};

    if (!(in->cpu->psr & PSR_PM)) {
        interp_raise(in, c, EXC_PRIV_ACTION);
        return false;
    }
    unsigned fmt = c->s2.lo >> 40 & 7;

    if (c->invalid & 3) {
        interp_raise(in, c, EXC_DIAG_OPERAND);
        return false;
    }
    c->address = c->s1.lo + (int32_t)c->s2.lo;
    c->size = sizes[fmt];
    c->tagged = (fmt == RECOVERY_FMT_QUAD || fmt == RECOVERY_FMT_PACKED) &&
                !(c->address & 7);
    c->byte_mask = 0xffff;
    return true;
}

void interp_load_tag(Interp *in, InterpOp *c)
{
    if (c->op->mas) {
        interp_load(in, c);
    } else if (recovery_access(in, c)) {
        c->defer = DEFER_LOAD;
    }
}

void interp_store_tag(Interp *in, InterpOp *c)
{
    if (c->op->mas) {
        interp_store(in, c);
    } else if (recovery_access(in, c)) {
        c->defer = DEFER_STORE;
    }
}

/* ------------------------------------------------------------------------
 * The accesses
 */

static int32_t slot_number(E2kCpu *cpu, const Operand *o, bool *none)
{
    uint8_t *tag;
    const RegSlot *slot = interp_slot(cpu, o, &tag);

    *none = !slot;
    if (!slot) {
        return 0;
    }
    return o->kind == OPERAND_GLOBAL ? ~(int32_t)(slot - cpu->g)
                                     : (int32_t)(slot - cpu->regs);
}

/* Enters an access that has to wait for the trap handler. */
static PendingAccess *add_pending(Interp *in, const InterpOp *c, bool store)
{
    E2kCpu *cpu = in->cpu;
    PendingAccess *p = &cpu->resume.op[in->n_pending++];
    bool none;

    *p = (PendingAccess){
        .channel = c->channel,
        .store = store,
        .big_endian = c->big_endian,
        .speculative = c->op->speculative,
        .size_bytes = c->size,
        .mas = c->op->mas,
        .address = c->address,
        .mask = c->byte_mask,
    };
    p->quad = c->pair != NULL;
    if (!store) {
        p->dst = slot_number(cpu, &c->op->dst, &p->dst_none);
        if (c->pair) {
            p->dst2 = slot_number(cpu, &c->pair->dst, &none);
        }
    }
    cpu->resume.n = in->n_pending;
    return p;
}

static void load_faulted(Interp *in, InterpOp *c, Exception e)
{
    bool demand = in->cpu->fault.demand &&
                  (c->op->mas & MAS_MOD) != MOD_CHECK;

    if (c->op->speculative && !demand) {
        c->d = (Value){SPECULATIVE_LOAD_PATTERN, SPECULATIVE_LOAD_PATTERN,
                       0x55};
        c->poison = true;
        return;
    }
    in->cpu->fault.channel = c->channel;
    interp_raise_late(in, c, e);
    add_pending(in, c, false);
    in->stop_stores = true;
}

static void value_from_bytes(InterpOp *c, uint8_t *bytes)
{
    if (c->big_endian) {
        interp_reverse_bytes(bytes, c->size);
    }
    c->d = (Value){0, 0, 0};
    memcpy(&c->d.lo, bytes, MIN(c->size, 8));
    if (c->size == 16) {
        memcpy(&c->d.hi, bytes + 8, 8);
    }
}

static void execute_load(Interp *in, InterpOp *c)
{
    E2kCpu *cpu = in->cpu;
    unsigned mas = c->op->mas;
    unsigned mod = is_ordered_access(in, mas) ? 0 : mas & MAS_MOD;
    bool checks_dam = mod == MOD_CHECK && !c->op->speculative &&
                      (c->channel == 2 || c->channel == 5);
    uint8_t bytes[16] = {0};

    if (checks_dam) {
        if (interp_dam_check(cpu, interp_dam_key(cpu, &c->op->dst), c->address, c->size)) {
            c->drop = true;
            return;
        }
        in->mlock = true;
    }
    Exception e = EXC_NONE;

    if (is_lock_wait_load(mas) && cpu->system) {
        /* Needs the rights of the store that is to follow. */
        e = cpu->ops->probe(cpu, c->address, c->size, ACCESS_STORE);
    }
    if (e == EXC_NONE) {
        e = interp_load_bytes(cpu, c->address, c->size,
                              interp_system_mas(mas), c->op->speculative,
                              bytes);
    }
    if (e != EXC_NONE) {
        load_faulted(in, c, e);
        return;
    }
    if (is_lock_wait_load(mas)) {
        cpu->lock.armed = true;
        cpu->lock.size_bytes = c->size;
        cpu->lock.address = c->address;
        memcpy(cpu->lock.value, bytes, sizeof(bytes));
    }
    if (mod == MOD_DAM_LOCK && c->op->speculative &&
        (c->channel == 0 || c->channel == 3)) {
        interp_dam_enter(cpu, interp_dam_key(cpu, &c->op->dst), c->address, c->size);
    }
    value_from_bytes(c, bytes);
    if (c->tagged && cpu->ops->memory_tags) {
        uint8_t tags[2] = { 0 };

        cpu->ops->memory_tags(cpu, c->address, tags, c->size / 8, false);
        c->d.tag = tags[0] | tags[1] << 4;
    }
}

static void store_bytes_of(const InterpOp *c, uint8_t bytes[16])
{
    Value v = c->s3;

    if (c->cond_invalid) {
        v.lo |= POISON_D;
        v.hi |= POISON_D;
    }
    memcpy(bytes, &v.lo, 8);
    memcpy(bytes + 8, &v.hi, 8);
    if (c->big_endian) {
        interp_reverse_bytes(bytes, c->size);
    }
}

/*
 * The store that ends an atomic bracket; semantics.md 5.2.  It happens only
 * if the locked datum is unchanged; a bundle that cannot branch on the
 * outcome stores anyway.
 */
static Exception store_unlock_wait(Interp *in, InterpOp *c,
                                   const uint8_t *bytes)
{
    E2kCpu *cpu = in->cpu;
    bool armed = cpu->lock.armed;
    uint8_t now[16];

    cpu->lock.armed = false;
    if (!in->has_mlock_branch) {
        return interp_store_bytes(cpu, c->address, c->size, 0, bytes);
    }
    if (!armed) {
        in->mlock = true;
        return EXC_NONE;
    }
    if (cpu->lock.address == c->address && cpu->lock.size_bytes == c->size) {
        bool swapped = false;
        Exception e = compare_and_swap(cpu, c->address, c->size,
                                       cpu->lock.value, bytes, &swapped);
        in->mlock = !swapped;
        return e;
    }
    /* The lock was on another datum: its value is the only evidence. */
    Exception e = interp_load_bytes(cpu, cpu->lock.address,
                                    cpu->lock.size_bytes, 0, false, now);
    if (e == EXC_NONE &&
        memcmp(now, cpu->lock.value, cpu->lock.size_bytes) != 0) {
        in->mlock = true;
        return EXC_NONE;
    }
    return interp_store_bytes(cpu, c->address, c->size, 0, bytes);
}

/* Line flushes: caches are not modelled, translated code is. */
static Exception store_special(Interp *in, InterpOp *c, const uint8_t *bytes)
{
    E2kCpu *cpu = in->cpu;
    unsigned opcode = special_opcode(c->op->mas);

    if (opcode == SPECIAL_ICACHE_LINE && !(cpu->psr & PSR_PM)) {
        engine_invalidate(c->address & ~(uint64_t)(CACHE_LINE - 1),
                          CACHE_LINE);
        if (cpu->ops->flush_code) {
            cpu->ops->flush_code(cpu,
                                 c->address & ~(uint64_t)(CACHE_LINE - 1),
                                 CACHE_LINE);
        }
        return EXC_NONE;
    }
    if (cpu->psr & PSR_PM) {
        return cpu->ops->store(cpu, c->address, c->size, c->op->mas, bytes);
    }
    return EXC_NONE;
}

static Exception store_now(Interp *in, InterpOp *c, const uint8_t *bytes)
{
    E2kCpu *cpu = in->cpu;
    unsigned mas = c->op->mas;
    unsigned mod = is_ordered_access(in, mas) ? 0 : mas & MAS_MOD;

    switch (mod) {
    case MOD_UNLOCK_WAIT:
        return store_unlock_wait(in, c, bytes);
    case MOD_UNLOCK_ONLY:
        cpu->lock.armed = false;
        return EXC_NONE;
    case MOD_SPECIAL:
        return store_special(in, c, bytes);
    default:
        if (c->byte_mask != 0xffff) {
            return interp_store_masked(cpu, c->address, c->byte_mask, bytes);
        }
        return interp_store_bytes(cpu, c->address, c->size, interp_system_mas(mas),
                                  bytes);
    }
}

static void execute_store(Interp *in, InterpOp *c)
{
    uint8_t bytes[16];

    store_bytes_of(c, bytes);
    if (in->stop_stores) {
        memcpy(add_pending(in, c, true)->value, bytes, sizeof(bytes));
        return;
    }
    if (in->cpu->dam_live) {
        interp_dam_store(in->cpu, c->address, c->size);
    }
    Exception e = store_now(in, c, bytes);
    if (e == EXC_NONE && c->tagged && in->cpu->ops->memory_tags) {
        uint8_t tags[2] = { c->s3.tag & 15, c->s3.tag >> 4 };

        in->cpu->ops->memory_tags(in->cpu, c->address, tags, c->size / 8,
                                  true);
    }
    if (e == EXC_NONE || c->op->speculative) {
        return;
    }
    in->cpu->fault.channel = c->channel;
    interp_raise_late(in, c, e);
    memcpy(add_pending(in, c, true)->value, bytes, sizeof(bytes));
    in->stop_stores = true;
}

void interp_memory_execute(Interp *in, InterpOp *c)
{
    switch ((Deferred)c->defer) {
    case DEFER_LOAD:
    case DEFER_ARRAY_LOAD:
        execute_load(in, c);
        break;
    case DEFER_STORE:
    case DEFER_ARRAY_STORE:
        execute_store(in, c);
        break;
    case DEFER_AAU_WRITE:
        interp_aau_commit(in, c);
        break;
    case DEFER_STATE_WRITE:
    case DEFER_GETSP:
        interp_state_commit(in, c);
        break;
    case DEFER_NONE:
        break;
    }
}
