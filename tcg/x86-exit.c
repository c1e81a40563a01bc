/*
 * Control flow: branches inside a region, ways out of it, calls.
 *
 * A chainable exit is "jmp rel32" with an aligned displacement, so that one
 * store retargets it while other threads run through it:
 *
 *        jmp  stub          stub: mov rax, slot
 *             (or region)         jmp unchained
 *
 * A guest call is a host call through such a displacement.  The callee's
 * return comes back with the guest address in RAX and a check value in RDX:
 *
 *        call stub (or region)
 *        cmp  rax, return address;  jne miss          (or takes a flag off)
 *        cmp  rdx, check;           jne miss      (unless check is 0)
 *
 * so correctness never depends on the host's stack: it only predicts.
 */
#include "tcg/x86-emit.h"

/* --- branches ---------------------------------------------------------------- */

static uint8_t *known_label(Emit *e, uint32_t label)
{
    return e->labels[label];
}

void emit_jump(Emit *e, uint32_t label)
{
    uint8_t *target = known_label(e, label);

    if (target && e->x.p - target < 120) {
        x86_b(&e->x, 0xeb);
        x86_b(&e->x, target - (e->x.p + 1));
        return;
    }
    e->fixups[e->n_fixups++] = (Fixup){.at = x86_jmp32(&e->x), .label = label};
}

void emit_jump_if(Emit *e, unsigned cc, uint32_t label)
{
    uint8_t *target = known_label(e, label);

    if (target && e->x.p - target < 120) {
        x86_b(&e->x, 0x70 | cc);
        x86_b(&e->x, target - (e->x.p + 1));
        return;
    }
    e->fixups[e->n_fixups++] = (Fixup){.at = x86_jcc32(&e->x, cc),
                                       .label = label};
}

void emit_jump_to(Emit *e, const uint8_t *target)
{
    uint8_t *at = x86_jmp32(&e->x);

    x86_fix32(at, target - e->delta);
}

static void emit_jcc_to(Emit *e, unsigned cc, const uint8_t *target)
{
    uint8_t *at = x86_jcc32(&e->x, cc);

    x86_fix32(at, target - e->delta);
}

/* --- homes -------------------------------------------------------------------- */

/* All dirty bit fields of one word, merged with one load and one store. */
static void write_back_word(Emit *e, const IrReg *fields, unsigned n)
{
    X86 *x = &e->x;
    X86Rm rm = home_rm(e, fields[0]);
    uint64_t mask = 0;

    for (unsigned i = 0; i < n; i++) {
        const IrVreg *vreg = &e->ir->vregs[fields[i]];

        mask |= ((UINT64_C(1) << vreg->bit_len) - 1) << vreg->bit_pos;
    }
    x86_mov_imm(x, RAX, ~mask);
    x86_alu(x, true, ALU_AND, RAX, rm);
    for (unsigned i = 0; i < n; i++) {
        unsigned pos = e->ir->vregs[fields[i]].bit_pos;
        int host = e->info[fields[i]].reg;

        if (pos == 0) {
            x86_alu(x, true, ALU_OR, RAX, x86_r(host));
        } else if (pos <= 3) {
            x86_lea(x, true, RAX, x86_mem_index(RAX, host, pos, 0));
        } else {
            x86_mov(x, false, RCX, host);
            x86_shift_imm(x, true, SH_SHL, RCX, pos);
            x86_alu(x, true, ALU_OR, RAX, x86_r(RCX));
        }
    }
    x86_store(x, 8, rm, RAX);
    e->word_at = x->p;
    e->word_rm = rm;
}

static bool same_word(const IrVreg *a, const IrVreg *b)
{
    return a->base == b->base && a->offset == b->offset;
}

void emit_write_back(Emit *e, const uint64_t *set)
{
    IrReg fields[64];
    unsigned n_fields = 0;

    for (unsigned w = 0; w < e->c->words; w++) {
        for (uint64_t rest = set[w]; rest; rest &= rest - 1) {
            IrReg reg = e->c->cross[w * 64 + __builtin_ctzll(rest)];
            const IrVreg *vreg = &e->ir->vregs[reg];

            if (e->info[reg].loc != LOC_REG) {
                continue;
            }
            if (vreg->bit_len && e->info[reg].reg < XMM0 && n_fields < 64 &&
                (!n_fields ||
                 same_word(vreg, &e->ir->vregs[fields[0]]))) {
                fields[n_fields++] = reg;
            } else {
                store_global(e, reg, e->info[reg].reg);
            }
        }
    }
    if (n_fields) {
        write_back_word(e, fields, n_fields);
    }
}

void emit_load_homes(Emit *e, const uint64_t *set)
{
    for (unsigned bit = 0; bit < e->c->n_globals; bit++) {
        IrReg reg = e->c->cross[bit];

        if (set_has(set, bit) && e->info[reg].loc == LOC_REG) {
            load_global(e, reg, e->info[reg].reg);
        }
    }
}

static void write_back_needed(Emit *e)
{
    if (e->c->need[e->op]) {
        emit_write_back(e, e->c->need[e->op]);
    }
}

static void store_pinned(Emit *e)
{
    for (unsigned i = 0; i < tcg_config.n_pinned; i++) {
        x86_store(&e->x, 8, x86_mem(RBP, tcg_config.pinned_offset[i]),
                  x86_pinned_regs[i]);
    }
}

static void load_pinned(Emit *e)
{
    for (unsigned i = 0; i < tcg_config.n_pinned; i++) {
        x86_load(&e->x, 8, x86_pinned_regs[i],
                 x86_mem(RBP, tcg_config.pinned_offset[i]));
    }
}

/* --- leaving -------------------------------------------------------------------- */

void emit_exit(Emit *e, const IrOp *op)
{
    write_back_needed(e);
    if (op->src[0]) {
        int ip = use_gpr(e, op->src[0], RAX);

        x86_store(&e->x, 8, x86_mem(RBP, tcg_config.ip_offset), ip);
    }
    x86_mov_imm(&e->x, RAX, op->imm);
    emit_jump_to(e, tcg_thunks.leave);
}

/* Pads so that the displacement of a 5-byte jump is aligned. */
static void align_jump(Emit *e)
{
    static const uint8_t nops[4][3] = {
        { 0 }, { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 },
    };
    unsigned n = -((uintptr_t)e->x.p + 1) % 4;

    for (unsigned i = 0; i < n; i++) {
        x86_b(&e->x, nops[n][i]);
    }
}

static TcgSlot *new_slot(Emit *e, const IrOp *op, uint8_t *jump, bool fresh)
{
    const IrExit *exit = &e->ir->exits[op->aux];
    TcgSlot *slot = &e->slots[e->out->n_slots++];

    *slot = (TcgSlot){.ip = exit->ip, .key = exit->key,
                      .facts = exit->facts, .jump = jump + e->delta};
    e->stubs[e->n_stubs++] = (Stub){.jump = jump, .slot = slot,
                                    .fresh_stack = fresh};
    return slot;
}

void emit_goto_region(Emit *e, const IrOp *op)
{
    write_back_needed(e);
    align_jump(e);
    new_slot(e, op, x86_jmp32(&e->x), false);
}

static void use_target(Emit *e, IrReg ip, IrReg key)
{
    use_in(e, ip, RAX, true);
    use_in(e, key, RDX, true);
}

/* RAX = ip, RDX = key, which is that vreg: to the target's code, by way of
 * the dispatcher when it is not in the cache. */
static void jump_to_target(Emit *e, IrReg key)
{
    X86 *x = &e->x;
    int32_t imm;
    size_t table = offsetof(TcgCpu, jump_cache);
    X86Rm rm = x86_mem_index(RBP, RCX, 2, tcg_config.tcg_offset + table);
    uint64_t key_value;

    if (!opt_on(OPT_ICACHE) || !ir_is_const(e->ir, key, &key_value)) {
        emit_jump_to(e, tcg_thunks.dynamic);
        return;
    }
    x86_mov(x, false, RCX, RAX);
    if (jump_cache_key(key_value)) {
        x86_alu_imm(x, false, ALU_XOR, x86_r(RCX),
                    jump_cache_key(key_value) << 3);
    }
    x86_alu_imm(x, false, ALU_AND, x86_r(RCX), (TCG_JUMP_CACHE - 1) << 3);
    x86_alu(x, true, ALU_CMP, RAX, rm);
    emit_jcc_to(e, CC_NE, tcg_thunks.dynamic);
    rm.disp += offsetof(struct TcgJump, key);
    if (imm32(e, key, true, &imm)) {
        x86_alu_imm(x, true, ALU_CMP, rm, imm);
    } else {
        x86_alu(x, true, ALU_CMP, RDX, rm);
    }
    emit_jcc_to(e, CC_NE, tcg_thunks.dynamic);
    rm.disp += offsetof(struct TcgJump, code) - offsetof(struct TcgJump, key);
    x86_op(x, 0, 0, MAP_0, 0xff, 4, rm);
}

void emit_goto_dynamic(Emit *e, const IrOp *op)
{
    write_back_needed(e);
    use_target(e, op->src[0], op->src[1]);
    jump_to_target(e, op->src[1]);
}

/* --- guest calls ------------------------------------------------------------------ */

/* Compares a register with a 64-bit constant; RCX may be used.  Returns the
 * byte of the constant that can be spoiled to make it never match. */
static uint8_t *compare_const(Emit *e, int reg, uint64_t value)
{
    X86 *x = &e->x;

    if ((int64_t)value == (int32_t)value) {
        x86_op(x, 0, X86_W, MAP_0, 0x81, ALU_CMP, x86_r(reg));
        x86_d(x, value);
        return x->p - 4;
    }
    x86_b(x, 0x48);
    x86_b(x, 0xb8 | RCX);
    x86_q(x, value);
    uint8_t *at = x->p - 8;

    x86_alu(x, true, ALU_CMP, reg, x86_r(RCX));
    return at;
}

static void emit_landing(Emit *e, const IrExit *exit)
{
    LandingStub *stub = &e->landing_stubs[e->out->n_landings];
    TcgLanding *landing = &e->out->landings[e->out->n_landings++];

    landing->host = e->x.p - e->start;
    landing->info = exit->call_info;
    stub->exit = exit;
    stub->compare = e->x.p;
    landing->spoil = compare_const(e, RAX, exit->ret_ip) + e->delta;
    stub->jump = x86_jcc32(&e->x, CC_NE);
    if (exit->ret_check) {
        compare_const(e, RDX, exit->ret_check);
        emit_jcc_to(e, CC_NE, tcg_thunks.return_miss);
    }
    if (e->c->reload[e->op]) {
        emit_load_homes(e, e->c->reload[e->op]);
    }
}

static uint8_t *check_stack(Emit *e)
{
    x86_alu(&e->x, true, ALU_CMP, RSP, TCG_FIELD(host_limit));
    return x86_jcc32(&e->x, CC_B);
}

void emit_call_region(Emit *e, const IrOp *op)
{
    X86 *x = &e->x;
    const IrExit *exit = &e->ir->exits[op->aux];

    write_back_needed(e);
    if (op->src[0]) {
        /* The lookup is behind the call: also when it misses, the return
         * address is where the callee looks for it. */
        use_target(e, op->src[0], op->src[1]);
        if (!tcg_config.bounded_calls) {
            e->stubs[e->n_stubs++] = (Stub){
                .jump = check_stack(e), .key = op->src[1],
                .fresh_stack = true,
            };
        }
        x86_b(x, 0xe8);
        x86_d(x, 0);
        e->stubs[e->n_stubs++] = (Stub){.jump = x->p - 4, .key = op->src[1]};
        emit_landing(e, exit);
        return;
    }
    if (!tcg_config.bounded_calls) {
        new_slot(e, op, check_stack(e), true);
    }
    align_jump(e);
    x86_b(x, 0xe8);
    x86_d(x, 0);
    new_slot(e, op, x->p - 4, false)->is_call = true;
    emit_landing(e, exit);
}

void emit_ret(Emit *e, const IrOp *op)
{
    uint64_t check;

    write_back_needed(e);
    use_in(e, op->src[0], RAX, true);
    if (!ir_is_const(e->ir, op->src[1], &check) || check) {
        use_in(e, op->src[1], RDX, true);
    }
    if (opt_on(OPT_RETURN)) {
        x86_b(&e->x, 0xc3);
    } else {
        emit_jump_to(e, tcg_thunks.return_jump);
    }
}

/* --- stubs ------------------------------------------------------------------------- */

void emit_stubs(Emit *e)
{
    X86 *x = &e->x;

    for (unsigned i = 0; i < e->n_stubs; i++) {
        Stub *stub = &e->stubs[i];

        x86_fix32(stub->jump, x->p);
        if (stub->fresh_stack) {
            x86_load(x, 8, RSP, TCG_FIELD(host_sp));
        }
        if (!stub->slot) {
            jump_to_target(e, stub->key);
            continue;
        }
        if (stub->fresh_stack) {
            /* The chainable jump is here, behind the stack switch. */
            align_jump(e);
            uint8_t *jump = x86_jmp32(x);

            stub->slot->jump = jump + e->delta;
            x86_fix32(jump, x->p);
        }
        stub->slot->stub = x->p + e->delta;
        x86_b(x, 0x48);
        x86_b(x, 0xb8 | RAX);
        x86_q(x, (uintptr_t)stub->slot);
        emit_jump_to(e, tcg_thunks.unchained);
    }
}

/* A flag is taken off, after the test that it asks for. */
void emit_landing_stubs(Emit *e)
{
    X86 *x = &e->x;

    for (unsigned i = 0; i < e->out->n_landings; i++) {
        const LandingStub *stub = &e->landing_stubs[i];
        IrReg base = stub->exit->flag_base;

        x86_fix32(stub->jump, x->p);
        /* test al, flag */
        x86_b(x, 0xa8);
        x86_b(x, IR_RET_FLAG);
        emit_jcc_to(e, CC_E, tcg_thunks.return_miss);
        if (base) {
            x86_op(x, 0, 0, MAP_0, 0xf6, 0,
                   x86_mem(e->info[base].reg, 0));
            x86_b(x, stub->exit->flag_mask);
            emit_jcc_to(e, CC_NE, tcg_thunks.return_miss);
        }
        x86_alu_imm(x, true, ALU_SUB, x86_r(RAX), IR_RET_FLAG);
        x86_fix32(x86_jmp32(x), stub->compare);
    }
}

/* --- helper calls --------------------------------------------------------------------- */

static const int8_t arg_gprs[IR_MAX_ARGS] = {RDI, RSI, RDX, RCX, R8, R9};

/* Registers a C function may change. */
static bool call_clobbers(int host)
{
    return host >= XMM0 || (1u << host &
                            (1u << RAX | 1u << RCX | 1u << RDX | 1u << RSI |
                             1u << RDI | 1u << R8 | 1u << R9 | 1u << R10 |
                             1u << R11));
}

static void save_around(Emit *e, const IrOp *op, bool restore)
{
    for (const IrReg *reg = e->c->call_live[op->aux]; *reg; reg++) {
        int host = e->info[*reg].reg;

        if (e->info[*reg].loc != LOC_REG || !call_clobbers(host)) {
            continue;
        }
        if (host >= XMM0) {
            x86_op(&e->x, 0, 0, MAP_0F, restore ? 0x28 : 0x29, host,
                   tcg_field(offsetof(TcgCpu, save_vec) + 16 * (host - XMM0)));
        } else {
            X86Rm rm = tcg_field(offsetof(TcgCpu, save_gpr) + 8 * host);

            if (restore) {
                x86_load(&e->x, 8, host, rm);
            } else {
                x86_store(&e->x, 8, rm, host);
            }
        }
    }
}

typedef struct ArgMove {
    int to;
    IrReg from;
    int host; /* source register, X86_NO_REG: not in one */
    int from_host; /* of a parked value */
    bool done;
    bool parked; /* the value is in RAX, or in the save area */
} ArgMove;

static void do_arg(Emit *e, ArgMove *move)
{
    if (move->to >= XMM0) {
        int host = use_vec(e, move->from, move->to);

        if (host != move->to) {
            x86_op(&e->x, 0, 0, MAP_0F, 0x28, move->to, x86_r(host));
        }
    } else {
        use_in(e, move->from, move->to, true);
    }
    move->done = true;
}

static bool blocked(const ArgMove *moves, unsigned n, unsigned at)
{
    for (unsigned i = 0; i < n; i++) {
        if (i != at && !moves[i].done && moves[i].host == moves[at].to) {
            return true;
        }
    }
    return false;
}

static X86Rm saved_vec(int host)
{
    return tcg_field(offsetof(TcgCpu, save_vec) + 16 * (host - XMM0));
}

/* Frees the register that a move reads. */
static void park(Emit *e, ArgMove *move)
{
    if (move->host >= XMM0) {
        x86_op(&e->x, 0, 0, MAP_0F, 0x29, move->host, saved_vec(move->host));
    } else {
        x86_mov(&e->x, true, RAX, move->host);
    }
    move->parked = true;
}

static void do_parked(Emit *e, ArgMove *move)
{
    if (move->to >= XMM0) {
        x86_op(&e->x, 0, 0, MAP_0F, 0x28, move->to, saved_vec(move->from_host));
    } else if (move->from_host >= XMM0) {
        x86_load(&e->x, 8, move->to, saved_vec(move->from_host));
    } else {
        x86_mov(&e->x, true, move->to, RAX);
    }
    move->done = true;
}

/*
 * Moves whose target nobody still reads go first; a cycle is broken by
 * parking one value: of integer registers in RAX, of vector registers where
 * the register is saved around calls (if it is live, with the same value).
 */
static void move_args(Emit *e, ArgMove *moves, unsigned n)
{
    for (unsigned left = n; left;) {
        unsigned i = 0;

        while (i < n && (moves[i].done || blocked(moves, n, i))) {
            i++;
        }
        if (i < n) {
            if (moves[i].parked) {
                do_parked(e, &moves[i]);
            } else {
                do_arg(e, &moves[i]);
            }
            left--;
            continue;
        }
        for (i = 0; moves[i].done; i++) {
        }
        park(e, &moves[i]);
        moves[i].from_host = moves[i].host;
        moves[i].host = X86_NO_REG;
    }
}

static void load_args(Emit *e, const IrCall *call)
{
    ArgMove moves[IR_MAX_ARGS];
    unsigned n_vec = 0;
    unsigned n_gpr = 0;

    for (unsigned i = 0; i < call->n_args; i++) {
        IrReg reg = call->args[i];
        bool vec = e->ir->vregs[reg].type == IR_V128;

        moves[i] = (ArgMove){
            .from = reg,
            .to = vec ? XMM0 + (int)n_vec++ : arg_gprs[n_gpr++],
            .host = e->info[reg].loc == LOC_REG ? e->info[reg].reg
                                                : X86_NO_REG,
        };
    }
    move_args(e, moves, call->n_args);
}

void emit_call(Emit *e, const IrOp *op)
{
    const IrCall *call = &e->ir->calls[op->aux];
    X86 *x = &e->x;

    write_back_needed(e);
    if (call->reads) {
        store_pinned(e);
    }
    save_around(e, op, false);
    load_args(e, call);
    /* Guest calls leave the stack aligned to 8 only. */
    x86_store(x, 8, TCG_FIELD(call_sp), RSP);
    x86_alu_imm(x, true, ALU_AND, x86_r(RSP), -16);
    x86_mov_imm(x, RAX, (uintptr_t)call->function);
    x86_op(x, 0, 0, MAP_0, 0xff, 2, x86_r(RAX));
    x86_load(x, 8, RSP, TCG_FIELD(call_sp));
    if (call->writes) {
        load_pinned(e);
    }
    if (op->dst && call->flags & IR_CALL_RET_V128) {
        /* XMM0 itself may be restored now. */
        x86_op(x, 0, 0, MAP_0F, 0x28, VEC_T0, x86_r(XMM0));
    }
    save_around(e, op, true);
    if (e->c->reload[e->op]) {
        emit_load_homes(e, e->c->reload[e->op]);
    }
    if (op->dst) {
        if (call->flags & IR_CALL_RET_V128) {
            done_vec(e, op->dst, VEC_T0);
        } else {
            done_gpr(e, op->dst, RAX);
        }
    }
}
