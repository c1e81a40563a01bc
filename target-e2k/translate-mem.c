/*
 * Loads and stores.
 *
 * User mode: a host access at guest_base + address; when it faults the state
 * is put back to the start of the bundle and the interpreter executes it.
 * System mode: the same access through the software TLB of the CPU.
 * Otherwise a call that leaves generated code when the access traps.
 *
 *   mem_form()        what an operation and its specifier ask for; or that
 *                     the interpreter has to do it
 *   trans_mem_check() tests before the bundle has any effect
 *   trans_load(), trans_store()
 *
 * Source: shared facts "isa/semantics.md" section 5.
 */
#include "target-e2k/translate-int.h"

#include "target-e2k/sem.h"

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
};

typedef enum MemKind {
    MEM_INTERP,      /* left to the interpreter */
    MEM_PLAIN,
    MEM_LOCK_LOAD,   /* starts an atomic bracket */
    MEM_LOCK_STORE,  /* ends it: stores if nobody else has */
    MEM_UNLOCK,      /* ends it without a store */
} MemKind;

typedef struct MemForm {
    MemKind kind;
    bool big_endian;
    uint8_t mas;     /* what the memory system is told */
} MemForm;

static MemForm mem_form(unsigned isa, const AlcOp *op)
{
    bool store = insn_rows[op->row].flags & F_ST;
    unsigned mas = op->mas, mod = mas & MAS_MOD;
    MemForm form = { MEM_PLAIN, mas & MAS_BIG_ENDIAN, 0 };

    if (isa >= 6 && mod == MOD_CHECK && (mas & MAS_M1) && !form.big_endian) {
        return form; /* load-acquire, store-release */
    }
    switch (mod) {
    case MOD_PHYSICAL:
        form.kind = MEM_INTERP;
        break;
    case MOD_UNLOCK_WAIT:
        form.kind = store ? MEM_LOCK_STORE : MEM_PLAIN;
        break;
    case MOD_UNLOCK_ONLY:
        form.kind = store ? MEM_UNLOCK : MEM_PLAIN;
        break;
    case MOD_IO:
        form.mas = mas & ~MAS_BIG_ENDIAN;
        break;
    case MOD_SPECIAL:
        form.kind = !store && mas == MOD_SPECIAL ? MEM_LOCK_LOAD : MEM_INTERP;
        form.big_endian = false;
        break;
    default:
        break;
    }
    return form;
}

DamUse trans_dam_use(unsigned isa, const AlcOp *op)
{
    unsigned mas = op->mas, mod = mas & MAS_MOD;

    if (!(insn_rows[op->row].flags & F_LD) ||
        (isa >= 6 && mod == MOD_CHECK && (mas & MAS_M1) &&
         !(mas & MAS_BIG_ENDIAN))) {
        return DAM_NOT;
    }
    if (mod == MOD_DAM_LOCK && op->speculative && op->channel % 3 == 0) {
        return DAM_ENTER;
    }
    return mod == MOD_CHECK && !op->speculative && op->channel % 3 == 2
               ? DAM_CHECK : DAM_NOT;
}

/* Bytes of one access; 16 for pairs too. */
static unsigned access_size(const AlcOp *op)
{
    switch (op->insn) {
#define SIZES(prefix)                                                         \
    case INSN_##prefix##b: return 1;                                          \
    case INSN_##prefix##h: return 2;                                          \
    case INSN_##prefix##w: return 4;                                          \
    case INSN_##prefix##d: return 8;
    SIZES(ld) SIZES(st)
    SIZES(ldcs) SIZES(ldds) SIZES(ldes) SIZES(ldfs) SIZES(ldgs) SIZES(ldss)
    SIZES(stcs) SIZES(stds) SIZES(stes) SIZES(stfs) SIZES(stgs) SIZES(stss)
    SIZES(ldgd) SIZES(stgd) SIZES(ldcud)
#undef SIZES
    case INSN_stapmqp: return 0;
    default: return 16;
    }
}

static bool by_segment(const AlcOp *op)
{
    switch (insn_sem(op->insn)) {
    case SEM_load_seg: case SEM_store_seg: case SEM_load_desc:
    case SEM_store_desc: case SEM_store_seg_mask:
        return true;
    default:
        return false;
    }
}

static bool is_masked(const AlcOp *op)
{
    SemFamily sem = insn_sem(op->insn);
    return sem == SEM_store_mask || sem == SEM_store_seg_mask;
}

bool trans_memory_supported(unsigned isa, const AlcOp *op)
{
    MemForm form = mem_form(isa, op);

    /* Masked stores: the plain form only. */
    return access_size(op) != 0 && form.kind != MEM_INTERP &&
           (!is_masked(op) || (form.kind == MEM_PLAIN && !form.big_endian &&
                               !form.mas));
}

unsigned trans_plain_size(unsigned isa, const AlcOp *op)
{
    if (!(insn_rows[op->row].flags & (F_LD | F_ST)) || by_segment(op) ||
        is_masked(op)) {
        return 0;
    }
    MemForm form = mem_form(isa, op);
    return form.kind == MEM_PLAIN && !form.mas ? access_size(op) : 0;
}

bool trans_ends_lock(unsigned isa, const AlcOp *op)
{
    return insn_rows[op->row].flags & F_ST &&
           mem_form(isa, op).kind == MEM_LOCK_STORE;
}

/* ------------------------------------------------------------------------
 * Addresses
 */

typedef struct Address {
    IrReg base;
    IrReg index;
    int32_t offset;
} Address;

static bool small(uint64_t value)
{
    return (int64_t)value == (int32_t)value;
}

/* s1 + s2, a literal among them as the displacement. */
static Address sum_address(Trans *t, const TransOp *o)
{
    const Operand *s1 = &o->op->src1, *s2 = &o->op->src2;

    if (is_masked(o->op)) {
        return (Address){ o->a, IR_NONE, 0 };
    }
    if (s1->kind == OPERAND_CONST && s2->kind == OPERAND_CONST) {
        return (Address){ trans_imm(t, s1->value + s2->value), IR_NONE, 0 };
    }
    if (s2->kind == OPERAND_CONST && small(s2->value)) {
        return (Address){ o->a, IR_NONE, (int32_t)s2->value };
    }
    if (s1->kind == OPERAND_CONST && small(s1->value)) {
        return (Address){ o->b, IR_NONE, (int32_t)s1->value };
    }
    return (Address){ o->a, o->b, 0 };
}

static Address guest_address(Trans *t, const TransOp *o)
{
    return o->address != IR_NONE ? (Address){ o->address, IR_NONE, 0 }
                                 : sum_address(t, o);
}

/* The same in host memory.  All CPUs of a process have the same base. */
static Address address_of(Trans *t, const TransOp *o)
{
    Address at = guest_address(t, o);
    if (t->cpu->guest_base) {
        at.base = ir_new2i(t->ir, IR_add, 8, at.base, t->cpu->guest_base);
    }
    return at;
}

static IrReg flat_address(Trans *t, const TransOp *o)
{
    Address at = guest_address(t, o);
    IrReg sum = at.index == IR_NONE
                    ? at.base : ir_new2(t->ir, IR_add, 8, at.base, at.index);
    return at.offset ? ir_new2i(t->ir, IR_add, 8, sum, (int64_t)at.offset)
                     : sum;
}

/* State register with the low word of the descriptor an operation names. */
static unsigned descriptor_of(InsnId insn)
{
    static const struct {
        char name[4];
        uint8_t lo;
    } segments[] = {
        { "cud", 0x31 }, { "cs", 0x35 }, { "ds", 0x37 }, { "es", 0x39 },
        { "fs", 0x3b },  { "gs", 0x3d }, { "ss", 0x3f },
    };
    const char *name = insn_name(insn) + 2;

    for (unsigned i = 0; i < G_N_ELEMENTS(segments); i++) {
        if (g_str_has_prefix(name, segments[i].name)) {
            return segments[i].lo;
        }
    }
    return 0x33; /* gd */
}

/* base + 32-bit offset; leaves when it is outside the descriptor. */
static void segment_address(Trans *t, TransOp *o, uint32_t leave)
{
    Ir *ir = t->ir;
    int32_t lo = offsetof(E2kCpu, state) + 8 * descriptor_of(o->op->insn);
    IrReg offset = ir_temp(ir), base = ir_temp(ir), hi = ir_temp(ir);
    uint32_t whole = ir_new_label(ir);

    ir_extract(ir, offset, flat_address(t, o), 0, 32);
    ir_ld(ir, 8, base, ir_cpu(ir), lo);
    ir_ld(ir, 8, hi, ir_cpu(ir), lo - 8);
    IrReg size = ir_new2i(ir, IR_shr, 8, hi, 32);
    IrReg end = ir_new2i(ir, IR_add, 8, offset, access_size(o->op));
    ir_brcond(ir, IR_EQ, 8, size, trans_imm(t, UINT32_MAX), whole);
    ir_brcond(ir, IR_GTU, 8, end, size, leave);
    ir_label(ir, whole);
    base = ir_new2i(ir, IR_and, 8, base, CTPR_BASE_MASK);
    o->address = ir_new2(ir, IR_add, 8, base, offset);
}

bool trans_is_bounded(const Trans *t)
{
    return t->cpu->guest_base && t->cpu->direct_memory;
}

void trans_bound(Trans *t, IrReg at, unsigned size)
{
    if (trans_is_bounded(t)) {
        uint64_t last = cpu_direct_end(t->cpu) - size;
        ir_brcond(t->ir, IR_GTU, 8, at, trans_imm(t, last),
                  trans_interp_exit(t));
    }
}

/*
 * Alignment where it matters, descriptors, and in memory that does not start
 * at host address 0 the end of it.
 */
void trans_mem_check(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    unsigned size = access_size(o->op);
    bool masked = is_masked(o->op);
    bool aligned = size > 1 && (t->node->at.geo.ac ||
                                (masked && t->cpu->isa <= 5));

    if (by_segment(o->op)) {
        segment_address(t, o, trans_interp_exit(t));
    }
    if (aligned || trans_is_bounded(t)) {
        IrReg at = flat_address(t, o);
        if (aligned) {
            ir_brcond(ir, IR_TSTNE, 8, at, trans_imm(t, size - 1),
                      trans_interp_exit(t));
        }
        trans_bound(t, at, size);
    }
}

/* ------------------------------------------------------------------------
 * Data
 */

/* The address, also where the datum takes its register's place. */
static IrReg keep_address(Trans *t, const TransOp *o)
{
    IrReg address = ir_temp(t->ir);

    ir_mov(t->ir, address, flat_address(t, o));
    return address;
}

static IrReg site_const(Trans *t)
{
    return trans_imm(t, (uintptr_t)trans_node_site(t));
}

IrReg trans_reversed(Trans *t, IrReg v, unsigned size)
{
    Ir *ir = t->ir;

    if (size == 16) {
        IrReg lo = ir_new1(ir, IR_bswap, 8, ir_new1(ir, IR_vhi, 8, v));
        IrReg hi = ir_new1(ir, IR_bswap, 8, ir_new1(ir, IR_vlo, 8, v));
        IrReg d = ir_temp_v128(ir);
        ir_op2(ir, IR_vjoin, 16, d, lo, hi);
        return d;
    }
    return size == 1 ? v : ir_new1(ir, IR_bswap, size, v);
}

/* The loaded value to where the operation wants it. */
void trans_deliver(Trans *t, TransOp *o, IrReg v)
{
    if (o->pair) {
        ir_op1(t->ir, IR_vlo, 8, o->out, v);
        ir_op1(t->ir, IR_vhi, 8, o->pair->out, v);
    } else {
        ir_mov(t->ir, o->out, v);
    }
}

IrReg trans_store_data(Trans *t, TransOp *o)
{
    if (!o->pair) {
        return o->c;
    }
    IrReg both = ir_temp_v128(t->ir);
    ir_op2(t->ir, IR_vjoin, 16, both, o->c, o->pair->c);
    return both;
}

static void load_datum(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    unsigned size = access_size(o->op);
    MemForm form = mem_form(t->cpu->isa, o->op);
    bool through_out = !o->pair && !form.big_endian;
    IrReg v = through_out ? o->out
              : size == 16 ? ir_temp_v128(ir) : ir_temp(ir);

    if (form.kind == MEM_LOCK_LOAD) {
        IrReg args[4] = { ir_cpu(ir), flat_address(t, o), trans_imm(t, size),
                          site_const(t) };
        ir_call(ir, v, size == 16 ? (void *)sem_load_lock16
                                  : (void *)sem_load_lock,
                "load_lock",
                IR_CALL_MAY_RAISE | (size == 16 ? IR_CALL_RET_V128 : 0), 0, 0,
                4, args);
    } else if (!trans_inline_memory(t->cpu) || form.mas) {
        IrReg args[5] = { ir_cpu(ir), flat_address(t, o),
                          trans_imm(t, size | form.mas << 8), site_const(t) };
        ir_call(ir, v, size == 16 ? (void *)sem_load16 : (void *)sem_load,
                "load",
                IR_CALL_MAY_RAISE | (size == 16 ? IR_CALL_RET_V128 : 0),
                0, 0, 4, args);
    } else {
        int32_t offset;
        IrReg host = base_for_access(t, o->op, &offset);
        if (host) {
            ir_ld(ir, size, v, host, offset);
        } else {
            Address at = address_of(t, o);
            ir_gld(ir, size, v, at.base, at.index, 0, at.offset,
                   trans_fault(t));
        }
    }
    if (form.big_endian) {
        v = trans_reversed(t, v, size);
    }
    if (!through_out) {
        trans_deliver(t, o, v);
    }
}

void trans_load(Trans *t, TransOp *o)
{
    unsigned size = access_size(o->op);

    switch (trans_dam_use(t->cpu->isa, o->op)) {
    case DAM_NOT:
        load_datum(t, o);
        break;
    case DAM_ENTER: {
        IrReg address = keep_address(t, o);
        load_datum(t, o);
        trans_dam_enter(t, o, address, size);
        break;
    }
    case DAM_CHECK: {
        uint32_t holds = trans_dam_check(t, o, keep_address(t, o), size);
        load_datum(t, o);
        ir_label(t->ir, holds);
        break;
    }
    }
}

static void store_by_call(Trans *t, TransOp *o, unsigned size, unsigned mas,
                          IrReg v)
{
    Ir *ir = t->ir;
    IrReg args[5] = { ir_cpu(ir), flat_address(t, o),
                      trans_imm(t, size | mas << 8), v, site_const(t) };
    ir_call(ir, IR_NONE, size == 16 ? (void *)sem_store16 : (void *)sem_store,
            "store", IR_CALL_MAY_RAISE, 0, 0, 5, args);
}

/* The end of an atomic bracket; has the bundle a branch on the outcome? */
static void store_unlock(Trans *t, TransOp *o, unsigned size, IrReg v)
{
    Ir *ir = t->ir;
    uint8_t type = t->node->bundle.ct_type;
    bool branch = t->node->bundle.has_ss &&
                  (type == CT_MLOCK || type == CT_MLOCK_LOCAL);
    IrReg args[5] = { ir_cpu(ir), flat_address(t, o),
                      trans_imm(t, size | branch << 8), v, site_const(t) };
    ir_call(ir, t->mlock, size == 16 ? (void *)sem_store_unlock16
                                     : (void *)sem_store_unlock,
            "store_unlock", IR_CALL_MAY_RAISE, 0, 0, 5, args);
}

static void store_datum(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    unsigned size = access_size(o->op);
    MemForm form = mem_form(t->cpu->isa, o->op);
    IrReg v = trans_store_data(t, o);

    if (is_masked(o->op)) {
        IrReg args[5] = { ir_cpu(ir), flat_address(t, o), o->b, v,
                          site_const(t) };
        ir_call(ir, IR_NONE, sem_store_masked, "store_masked",
                IR_CALL_MAY_RAISE, 0, 0, 5, args);
        return;
    }
    if (form.big_endian) {
        v = trans_reversed(t, v, size);
    }
    switch (form.kind) {
    case MEM_UNLOCK:
        ir_st(ir, 1, ir_cpu(ir), offsetof(E2kCpu, lock.armed),
              trans_imm(t, 0));
        return;
    case MEM_LOCK_STORE:
        store_unlock(t, o, size, v);
        return;
    default:
        break;
    }
    if (!trans_inline_memory(t->cpu) || form.mas) {
        store_by_call(t, o, size, form.mas, v);
        return;
    }
    int32_t offset;
    IrReg host = base_for_access(t, o->op, &offset);
    if (host) {
        ir_st(ir, size, host, offset, v);
        return;
    }
    Address at = address_of(t, o);
    ir_gst(ir, size, at.base, at.index, 0, at.offset, v, trans_fault(t));
}

void trans_store(Trans *t, TransOp *o)
{
    store_datum(t, o);
    if (trans_stores_to_dam(t)) {
        trans_dam_store(t, flat_address(t, o), access_size(o->op));
    }
}
