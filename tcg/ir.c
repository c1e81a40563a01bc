/*
 * Building intermediate code.
 *
 * Each thread has one Ir whose arrays are kept from region to region.  All
 * limits are checked here: a full array sets ir->overflow and further
 * operations go to a scratch operation, so that builders need no checks.
 */
#include "tcg/ir.h"

#include <string.h>

#include "tcg/arena.h"
#include "tcg/ir-int.h"
#include "tcg/tcg-int.h"


const IrOpInfo ir_op_infos[IR_OPCODES] = {
#define IR_OP(id, dsts, srcs, bits, words) \
    [IR_##id] = {.name = #id, .text = words, .n_dst = dsts, .n_src = srcs, \
                 .flags = bits},
#define IR_VEC(id, srcs, pfx, mp, code, bits) \
    [IR_##id] = {.name = #id, .n_dst = 1, .n_src = srcs, \
                 .flags = IRF_V | (((bits) & IRV_FP) ? IRF_R : IRF_P), \
                 .prefix = pfx, .map = mp, .opcode = code, .vec = bits},
#include "tcg/ir-ops.def"
#undef IR_OP
#undef IR_VEC
};

static __thread Ir *thread_ir;

enum { IR_CONST_TABLE = 4096 };

static void ir_allocate(void)
{
    Ir *ir = g_new0(Ir, 1);

    ir->vregs = g_new0(IrVreg, IR_MAX_VREGS);
    ir->max_ops = 4096;
    ir->ops = g_new(IrOp, ir->max_ops);
    ir->max_calls = 64;
    ir->calls = g_new(IrCall, ir->max_calls);
    ir->max_exits = 64;
    ir->exits = g_new(IrExit, ir->max_exits);
    ir->const_mask = IR_CONST_TABLE - 1;
    ir->const_table = g_new0(IrReg, IR_CONST_TABLE);
    ir->arena = g_new0(Arena, 1);
    thread_ir = ir;
}

/* --- memory kept with the region --------------------------------------------- */

typedef struct IrKept {
    struct IrKept *next;
    size_t used, bytes;
    uint64_t data[];
} IrKept;

void *ir_keep(Ir *ir, size_t bytes)
{
    enum { KEPT_CHUNK = 2048 };
    IrKept *kept = ir->kept;

    bytes = (bytes + 7) & ~(size_t)7;
    if (!kept || kept->bytes - kept->used < bytes) {
        size_t size = MAX(bytes, (size_t)KEPT_CHUNK);

        kept = g_malloc0(sizeof(*kept) + size);
        *kept = (IrKept){.next = ir->kept, .bytes = size};
        ir->kept = kept;
    }
    void *place = (char *)kept->data + kept->used;

    kept->used += bytes;
    return place;
}

void ir_kept_free(IrKept *kept)
{
    while (kept) {
        IrKept *next = kept->next;

        g_free(kept);
        kept = next;
    }
}

Ir *ir_begin(uint64_t ip, uint64_t key)
{
    if (!thread_ir) {
        ir_allocate();
    }
    Ir *ir = thread_ir;

    if (ir->n_consts) {
        memset(ir->const_table, 0, IR_CONST_TABLE * sizeof(IrReg));
    }
    ir->n_vregs = 1;
    ir->n_ops = ir->n_calls = ir->n_exits = ir->n_labels = ir->n_consts = 0;
    ir->n_bundles = 0;
    ir->overflow = false;
    ir->call_info = ir->facts = ir->entry_needs = 0;
    ir->flag_base = IR_NONE;
    ir_kept_free(ir->kept);
    ir->kept = NULL;
    ir->ip = ip;
    ir->key = key;
    arena_reset(ir->arena);
    ir->cpu = ir_vreg(ir, IR_PINNED, IR_I64);
    ir->vregs[ir->cpu].name = "cpu";
    for (unsigned i = 0; i < tcg_config.n_pinned; i++) {
        IrReg reg = ir_vreg(ir, IR_PINNED, IR_I64);

        ir->vregs[reg].name = tcg_config.pinned_name[i];
        ir->vregs[reg].offset = tcg_config.pinned_offset[i];
        ir->vregs[reg].home_size = 8;
    }
    return ir;
}

/* --- vregs ------------------------------------------------------------- */

IrReg ir_vreg(Ir *ir, IrKind kind, IrType type)
{
    if (ir->n_vregs >= IR_MAX_VREGS - 1) {
        ir->overflow = true;
        return IR_MAX_VREGS - 1;
    }
    ir->vregs[ir->n_vregs] = (IrVreg){.kind = kind, .type = type};
    return ir->n_vregs++;
}

IrReg ir_temp(Ir *ir)
{
    return ir_vreg(ir, IR_TEMP, IR_I64);
}

IrReg ir_temp_v128(Ir *ir)
{
    return ir_vreg(ir, IR_TEMP, IR_V128);
}

static unsigned const_hash(uint64_t value)
{
    return (value * UINT64_C(0x9e3779b97f4a7c15)) >> 48;
}

IrReg ir_const(Ir *ir, uint64_t value)
{
    unsigned slot = const_hash(value) & ir->const_mask;

    while (ir->const_table[slot]) {
        if (ir->vregs[ir->const_table[slot]].value == value) {
            return ir->const_table[slot];
        }
        slot = (slot + 1) & ir->const_mask;
    }
    IrReg reg = ir_vreg(ir, IR_CONST, IR_I64);

    ir->vregs[reg].value = value;
    if (ir->n_consts < IR_CONST_TABLE / 2) {
        ir->const_table[slot] = reg;
        ir->n_consts++;
    }
    return reg;
}

IrReg ir_pinned(Ir *ir, unsigned index)
{
    g_assert(index < tcg_config.n_pinned);
    return ir->cpu + 1 + index;
}

static IrReg global_new(Ir *ir, IrReg base, int32_t offset, unsigned size,
                        unsigned class, const char *name)
{
    IrReg reg = ir_vreg(ir, IR_GLOBAL, size == 16 ? IR_V128 : IR_I64);
    IrVreg *vreg = &ir->vregs[reg];

    g_assert(ir->vregs[base].kind == IR_PINNED && class < 32);
    vreg->base = base;
    vreg->offset = offset;
    vreg->home_size = size;
    vreg->class = class;
    vreg->name = name;
    return reg;
}

IrReg ir_global(Ir *ir, IrReg base, int32_t offset, unsigned size_bytes,
                unsigned class, const char *name)
{
    return global_new(ir, base, offset, size_bytes, class, name);
}

IrReg ir_global_bits(Ir *ir, IrReg base, int32_t offset, unsigned pos,
                     unsigned len, unsigned class, const char *name)
{
    IrReg reg = global_new(ir, base, offset, 8, class, name);

    g_assert(len >= 1 && len < 32 && pos + len <= 64);
    ir->vregs[reg].bit_pos = pos;
    ir->vregs[reg].bit_len = len;
    return reg;
}

bool ir_is_const(const Ir *ir, IrReg reg, uint64_t *value)
{
    if (ir->vregs[reg].kind != IR_CONST) {
        return false;
    }
    *value = ir->vregs[reg].value;
    return true;
}

/* --- operations -------------------------------------------------------- */

IrOp *ir_emit(Ir *ir, IrOpcode opcode, unsigned width, IrReg dst, IrReg a,
              IrReg b, IrReg c, IrReg d)
{
    static __thread IrOp dropped;
    IrOp *op = &dropped;

    if (ir->n_ops >= IR_MAX_OPS) {
        ir->overflow = true;
    } else {
        if (ir->n_ops == ir->max_ops) {
            ir->max_ops *= 2;
            ir->ops = g_renew(IrOp, ir->ops, ir->max_ops);
        }
        op = &ir->ops[ir->n_ops++];
    }
    *op = (IrOp){.opcode = opcode, .width = width, .dst = dst,
                 .src = {a, b, c, d}};
    return op;
}

void ir_op1(Ir *ir, IrOpcode opcode, unsigned width, IrReg d, IrReg a)
{
    ir_emit(ir, opcode, width, d, a, 0, 0, 0);
}

void ir_op2(Ir *ir, IrOpcode opcode, unsigned width, IrReg d, IrReg a,
            IrReg b)
{
    ir_emit(ir, opcode, width, d, a, b, 0, 0);
}

IrReg ir_new1(Ir *ir, IrOpcode opcode, unsigned width, IrReg a)
{
    IrReg d = ir_temp(ir);

    ir_emit(ir, opcode, width, d, a, 0, 0, 0);
    return d;
}

IrReg ir_new2(Ir *ir, IrOpcode opcode, unsigned width, IrReg a, IrReg b)
{
    IrReg d = ir_temp(ir);

    ir_emit(ir, opcode, width, d, a, b, 0, 0);
    return d;
}

IrReg ir_new2i(Ir *ir, IrOpcode opcode, unsigned width, IrReg a, uint64_t b)
{
    return ir_new2(ir, opcode, width, a, ir_const(ir, b));
}

void ir_op3(Ir *ir, IrOpcode opcode, unsigned width, IrReg d, IrReg a,
            IrReg b, IrReg c)
{
    ir_emit(ir, opcode, width, d, a, b, c, 0);
}

void ir_extract(Ir *ir, IrReg d, IrReg a, unsigned pos, unsigned len)
{
    ir_emit(ir, IR_extract, 8, d, a, 0, 0, 0)->imm = pos | len << 8;
}

void ir_sextract(Ir *ir, IrReg d, IrReg a, unsigned pos, unsigned len)
{
    ir_emit(ir, IR_sextract, 8, d, a, 0, 0, 0)->imm = pos | len << 8;
}

void ir_deposit(Ir *ir, IrReg d, IrReg a, IrReg field, unsigned pos,
                unsigned len)
{
    ir_emit(ir, IR_deposit, 8, d, a, field, 0, 0)->imm = pos | len << 8;
}

void ir_setcond(Ir *ir, IrCond cond, unsigned width, IrReg d, IrReg a, IrReg b)
{
    ir_emit(ir, IR_setcond, width, d, a, b, 0, 0)->cond = cond;
}

void ir_fsetcond(Ir *ir, IrCond cond, unsigned width, IrReg d, IrReg a,
                 IrReg b, bool signals_qnan)
{
    IrOp *op = ir_emit(ir, IR_fsetcond, width, d, a, b, 0, 0);

    op->cond = cond;
    op->imm = signals_qnan;
}

void ir_select(Ir *ir, IrCond cond, unsigned width, IrReg d, IrReg a, IrReg b,
               IrReg if_true, IrReg if_false)
{
    ir_emit(ir, IR_select, width, d, a, b, if_true, if_false)->cond = cond;
}

void ir_ld(Ir *ir, unsigned width, IrReg d, IrReg base, int32_t offset)
{
    ir_emit(ir, IR_ld, width, d, base, 0, 0, 0)->imm = offset;
}

void ir_st(Ir *ir, unsigned width, IrReg base, int32_t offset, IrReg value)
{
    ir_emit(ir, IR_st, width, 0, base, value, 0, 0)->imm = offset;
}

void ir_bump(Ir *ir, IrReg d, uint32_t *counter)
{
    ir_emit(ir, IR_bump, 4, d, 0, 0, 0, 0)->imm = (intptr_t)counter;
}

void ir_gld(Ir *ir, unsigned width, IrReg d, IrReg base, IrReg index,
            unsigned scale, int32_t offset, uint32_t fault)
{
    IrOp *op = ir_emit(ir, IR_gld, width, d, base, index, 0, 0);

    op->cond = scale;
    op->imm = offset;
    op->aux = fault;
}

void ir_gst(Ir *ir, unsigned width, IrReg base, IrReg index, unsigned scale,
            int32_t offset, IrReg value, uint32_t fault)
{
    IrOp *op = ir_emit(ir, IR_gst, width, 0, base, index, value, 0);

    op->cond = scale;
    op->imm = offset;
    op->aux = fault;
}

void ir_vec1(Ir *ir, IrOpcode opcode, IrReg d, IrReg a, unsigned imm)
{
    ir_emit(ir, opcode, 16, d, a, 0, 0, 0)->imm = imm;
}

void ir_vec2(Ir *ir, IrOpcode opcode, IrReg d, IrReg a, IrReg b, unsigned imm)
{
    ir_emit(ir, opcode, 16, d, a, b, 0, 0)->imm = imm;
}

void ir_sync(Ir *ir, uint32_t classes)
{
    ir_emit(ir, IR_sync, 8, 0, 0, 0, 0, 0)->imm = classes;
}

void ir_sync_global(Ir *ir, IrReg global)
{
    ir_emit(ir, IR_sync, 8, 0, global, 0, 0, 0);
}

void ir_reload(Ir *ir, uint32_t classes)
{
    ir_emit(ir, IR_reload, 8, 0, 0, 0, 0, 0)->imm = classes;
}

void ir_reload_after_call(Ir *ir, uint32_t classes, unsigned class,
                          uint32_t kept_bytes)
{
    IrOp *op = ir_emit(ir, IR_reload, 8, 0, 0, 0, 0, 0);

    op->imm = classes;
    op->cond = class;
    op->aux = kept_bytes;
}

void ir_reload_global(Ir *ir, IrReg global)
{
    ir_emit(ir, IR_reload, 8, 0, global, 0, 0, 0);
}

void ir_call(Ir *ir, IrReg d, void *function, const char *name,
             unsigned flags, uint32_t reads, uint32_t writes, unsigned n_args,
             const IrReg *args)
{
    g_assert(n_args <= IR_MAX_ARGS);
    if (ir->n_calls == ir->max_calls) {
        ir->max_calls *= 2;
        ir->calls = g_renew(IrCall, ir->calls, ir->max_calls);
    }
    IrCall *call = &ir->calls[ir->n_calls];

    *call = (IrCall){.function = function, .name = name, .n_args = n_args,
                     .flags = flags, .reads = reads, .writes = writes};
    if (flags & IR_CALL_MAY_RAISE) {
        call->reads = ~0u;
    }
    memcpy(call->args, args, n_args * sizeof(args[0]));
    ir_emit(ir, IR_call, 8, d, 0, 0, 0, 0)->aux = ir->n_calls++;
}

/* --- control flow ------------------------------------------------------ */

uint32_t ir_new_label(Ir *ir)
{
    return ir->n_labels++;
}

void ir_label(Ir *ir, uint32_t label)
{
    ir_emit(ir, IR_label, 8, 0, 0, 0, 0, 0)->aux = label;
}

void ir_label_cold(Ir *ir, uint32_t label)
{
    IrOp *op = ir_emit(ir, IR_label, 8, 0, 0, 0, 0, 0);

    op->aux = label;
    op->imm = 1;
}

void ir_br(Ir *ir, uint32_t label)
{
    ir_emit(ir, IR_br, 8, 0, 0, 0, 0, 0)->aux = label;
}

void ir_brcond(Ir *ir, IrCond cond, unsigned width, IrReg a, IrReg b,
               uint32_t label)
{
    IrOp *op = ir_emit(ir, IR_brcond, width, 0, a, b, 0, 0);

    op->cond = cond;
    op->aux = label;
}

static uint32_t exit_new(Ir *ir, IrExit exit)
{
    if (ir->n_exits >= IR_MAX_EXITS) {
        ir->overflow = true;
        return 0;
    }
    if (ir->n_exits == ir->max_exits) {
        ir->max_exits *= 2;
        ir->exits = g_renew(IrExit, ir->exits, ir->max_exits);
    }
    ir->exits[ir->n_exits] = exit;
    return ir->n_exits++;
}

void ir_entry(Ir *ir, uint64_t needs)
{
    ir->entry_label = ir_new_label(ir);
    ir->entry_needs = needs;
    ir_label(ir, ir->entry_label);
}

void ir_call_flag(Ir *ir, IrReg base, uint8_t mask)
{
    ir->flag_base = base;
    ir->flag_mask = mask;
}

void ir_call_keeps(Ir *ir, unsigned class, uint32_t bytes)
{
    ir->kept_class = class;
    ir->kept_bytes = bytes;
}

void ir_facts(Ir *ir, uint64_t facts)
{
    ir->facts = facts;
}

void ir_goto_region(Ir *ir, uint64_t ip, uint64_t key)
{
    uint32_t exit = exit_new(ir, (IrExit){.ip = ip, .key = key,
                                          .facts = ir->facts});

    ir->facts = 0;
    ir_emit(ir, IR_goto_region, 8, 0, 0, 0, 0, 0)->aux = exit;
}

void ir_goto_dynamic(Ir *ir, IrReg ip, IrReg key)
{
    ir_emit(ir, IR_goto_dynamic, 8, 0, ip, key, 0, 0);
}

/* The call itself, with all that has been said about it before. */
static void emit_call_region(Ir *ir, IrReg ip, IrReg key, IrExit exit)
{
    exit.flag_base = ir->flag_base;
    exit.flag_mask = ir->flag_mask;
    exit.call_info = ir->call_info;
    exit.kept_bytes = ir->kept_bytes;
    uint32_t index = exit_new(ir, exit);
    IrOp *op = ir_emit(ir, IR_call_region, 8, 0, ip, key, 0, 0);

    op->aux = index;
    op->cond = ir->kept_class;
    ir->call_info = 0;
    ir->flag_base = IR_NONE;
    ir->kept_bytes = 0;
}

void ir_call_region(Ir *ir, uint64_t ip, uint64_t key, uint64_t ret_ip,
                    uint64_t ret_check)
{
    emit_call_region(ir, IR_NONE, IR_NONE,
                     (IrExit){.ip = ip, .key = key, .ret_ip = ret_ip,
                              .ret_check = ret_check, .facts = ir->facts});
    ir->facts = 0;
}

void ir_call_info(Ir *ir, uint64_t info)
{
    ir->call_info = info;
}

void ir_call_dynamic(Ir *ir, IrReg ip, IrReg key, uint64_t ret_ip,
                     uint64_t ret_check)
{
    emit_call_region(ir, ip, key,
                     (IrExit){.ret_ip = ret_ip, .ret_check = ret_check});
}

void ir_ret(Ir *ir, IrReg ip, IrReg check)
{
    ir_emit(ir, IR_ret, 8, 0, ip, check, 0, 0);
}

void ir_exit(Ir *ir, unsigned result, IrReg ip)
{
    ir_emit(ir, IR_exit, 8, 0, ip, 0, 0, 0)->imm = result;
}
