/*
 * Traps, interrupts, system calls and the return from them.
 *
 * A trap is a call made by hardware: a frame is pushed, a new window begins
 * above the whole of the old one, and control goes to OSCUD.base with
 * interrupts masked.  Reasons are in the TIR registers, failed memory
 * operations in the trap cellar at TRAP_POINT; "system/traps.md" and
 * "system/mmu.md" section 7.
 *
 *   precise exception     TIR0 = its bits, ip of the bundle, which is redone
 *   interrupt             TIR0 = bit 32 or 33, ip of the next bundle
 *   data page             TIR1 = bit 29 and channels, ip of the bundle;
 *                         TIR0 = no bits, ip of the next one; everything else
 *                         of the bundle is done, the cellar has the rest
 *   data_debug            TIR1 as above; the accesses are made
 *   last_wish, a step     TIR0 = bit 24 or 8, ip of the next bundle
 */
#include "system/sys-cpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "target-e2k/exec.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    TIR_AL_SHIFT = 44,
    TIR_J_SHIFT = 56,
    ENTRY_BYTES = 0x800,
    MAX_ENTRY_FAULTS = 2,
    RECORD_BYTES = 24,
    CELLAR_EXTENSION = 512,
    GLOBAL_REGS_AT = 224,
};

/* Fields of the condition word. */
enum {
    COND_VR = 8,
    COND_VL = 9,
    COND_FMT = 10,
    COND_NPSP = 13,
    COND_FMTC = 14,
    COND_STORE = 17,
    COND_S_F = 19,
    COND_MAS = 20,
    COND_SCAL = 28,
    COND_SRU = 29,
    COND_SPEC = 30,
    COND_PM = 31,
    COND_CHAN = 32,
    COND_FAULT_TYPE = 35,
    COND_MISS_LEVEL = 48,
    FMT_QUAD = 5,
    FMT_QP = 7,
    MAS_LOCK_WAIT = 7,
};

/* The simulator's stop instruction: these two words, code in the low half. */
enum {
    LMS_STOP_HS = 0x00008001,
    LMS_STOP_CS1 = 0x60000000,
};

/* What TIR1 has, and what belongs to the place where execution goes on. */
#define OF_ISSUED_BUNDLES                                                     \
    (UINT64_C(1) << EXC_DATA_PAGE | UINT64_C(1) << EXC_DATA_DEBUG)
#define AFTER_THE_BUNDLE                                                      \
    (UINT64_C(1) << EXC_LAST_WISH | UINT64_C(1) << EXC_INSTR_DEBUG)

static const char *const exception_names[64] = {
    [EXC_ILLEGAL_OPCODE] = "illegal_opcode",
    [EXC_PRIV_ACTION] = "priv_action",
    [EXC_FP_DISABLED] = "fp_disabled",
    [EXC_FP_STACK_U] = "fp_stack_u",
    [EXC_D_INTERRUPT] = "d_interrupt",
    [EXC_DIAG_CT_COND] = "diag_ct_cond",
    [EXC_DIAG_INSTR_ADDR] = "diag_instr_addr",
    [EXC_ILLEGAL_INSTR_ADDR] = "illegal_instr_addr",
    [EXC_INSTR_DEBUG] = "instr_debug",
    [EXC_WINDOW_BOUNDS] = "window_bounds",
    [EXC_USER_STACK_BOUNDS] = "user_stack_bounds",
    [EXC_PROC_STACK_BOUNDS] = "proc_stack_bounds",
    [EXC_CHAIN_STACK_BOUNDS] = "chain_stack_bounds",
    [EXC_FP_STACK_O] = "fp_stack_o",
    [EXC_DIAG_COND] = "diag_cond",
    [EXC_DIAG_OPERAND] = "diag_operand",
    [EXC_ILLEGAL_OPERAND] = "illegal_operand",
    [EXC_ARRAY_BOUNDS] = "array_bounds",
    [EXC_ACCESS_RIGHTS] = "access_rights",
    [EXC_ADDR_NOT_ALIGNED] = "addr_not_aligned",
    [EXC_INSTR_PAGE_MISS] = "instr_page_miss",
    [EXC_INSTR_PAGE_PROT] = "instr_page_prot",
    [EXC_AINSTR_PAGE_MISS] = "ainstr_page_miss",
    [EXC_AINSTR_PAGE_PROT] = "ainstr_page_prot",
    [EXC_LAST_WISH] = "last_wish",
    [EXC_BASE_NOT_ALIGNED] = "base_not_aligned",
    [EXC_SOFTWARE_TRAP] = "software_trap",
    [EXC_DATA_DEBUG] = "data_debug",
    [EXC_DATA_PAGE] = "data_page",
    [EXC_MACP] = "macp",
    [EXC_RECOVERY_POINT] = "recovery_point",
    [EXC_INTERRUPT] = "interrupt",
    [EXC_NM_INTERRUPT] = "nm_interrupt",
    [EXC_DIV] = "div",
    [EXC_FP] = "fp",
    [EXC_MEM_LOCK] = "mem_lock",
    [EXC_MEM_LOCK_AS] = "mem_lock_as",
};

const char *exception_name(unsigned exception)
{
    const char *name = exception < 64 ? exception_names[exception] : NULL;

    return name ? name : "unknown";
}

/* ---- The trap cellar -------------------------------------------------------- */

typedef struct Cellar {
    SysCpu *sys;
    unsigned n;
} Cellar;

static void put_record(Cellar *cellar, uint64_t address, uint64_t data,
                       uint64_t data_hi, uint64_t mask, uint64_t condition)
{
    PhysMem *mem = cellar->sys->machine->mem;
    uint64_t at = cellar->sys->mmu[MMU_TRAP_POINT] + RECORD_BYTES * cellar->n;
    uint8_t image[RECORD_BYTES];

    if (cellar->n == CELLAR_MAX) {
        return; /* no bundle has more memory operations */
    }
    stq_le_p(image, address);
    stq_le_p(image + 8, data);
    stq_le_p(image + 16, condition);
    if (!physmem_write(mem, at, image, sizeof(image))) {
        log_printf(LOG_GUEST_ERROR, "cpu%u: trap cellar at 0x%" PRIx64
                   " is not in RAM\n", cellar->sys->index, at);
    }
    if (cellar->sys->cpu->isa >= 5) {
        stq_le_p(image, 0);
        stq_le_p(image + 8, data_hi);
        stq_le_p(image + 16, mask);
        physmem_write(mem, at + CELLAR_EXTENSION, image, sizeof(image));
    }
    cellar->n++;
}

static unsigned channel_number(unsigned alc)
{
    return alc == 0 ? 0 : alc == 2 ? 1 : alc == 3 ? 2 : 3;
}

static unsigned fmt_of(unsigned size_bytes)
{
    return size_bytes == 16 ? FMT_QP : (unsigned)__builtin_ctz(size_bytes) + 1;
}

/*
 * The fault of [address, + size): of the first part that has one.  A load that
 * begins an atomic bracket needs what a store needs.
 */
static void classify(SysCpu *sys, const PendingAccess *op, MmuResult *result)
{
    AccessKind kind = op->store || op->mas == MAS_LOCK_WAIT ? ACCESS_STORE
                                                            : ACCESS_LOAD;
    bool privileged = sys->cpu->psr & PSR_PM;

    if (mmu_translate(sys, op->address, kind, privileged, false, result)) {
        mmu_translate(sys, op->address + op->size_bytes - 1, kind, privileged,
                      false, result);
    }
}

/* Destination field of a load: a physical register, or none. */
static uint64_t destination(int32_t dst)
{
    unsigned reg = dst < 0 ? GLOBAL_REGS_AT + ~dst : (unsigned)dst % FILE_REGS;

    return reg | 1 << COND_VR | 1 << COND_VL;
}

static void record_access(Cellar *cellar, const PendingAccess *op)
{
    SysCpu *sys = cellar->sys;
    uint64_t data[2] = { ldq_le_p(op->value), ldq_le_p(op->value + 8) };
    unsigned shift = (op->address & 7) * 8;
    unsigned chan = channel_number(op->channel);
    MmuResult result;

    classify(sys, op, &result);
    if (op->size_bytes < 8) {
        data[0] &= (UINT64_C(1) << (op->size_bytes * 8)) - 1;
        if (shift) {
            data[0] = data[0] << shift | data[0] >> (64 - shift);
        }
    }
    uint64_t condition =
        (uint64_t)(op->quad ? FMT_QUAD : fmt_of(op->size_bytes)) << COND_FMT |
        UINT64_C(1) << COND_NPSP |
        (uint64_t)op->store << COND_STORE | (uint64_t)op->mas << COND_MAS |
        UINT64_C(1) << COND_SCAL | (uint64_t)op->speculative << COND_SPEC |
        (uint64_t)(sys->cpu->psr & PSR_PM) << COND_PM |
        (uint64_t)result.fault << COND_FAULT_TYPE |
        (uint64_t)((4 - result.level) & 3) << COND_MISS_LEVEL;
    bool load = !op->store && !op->dst_none;

    if (!op->quad) {
        put_record(cellar, op->address, data[0], data[1], op->mask & 0xffff,
                   condition | (uint64_t)chan << COND_CHAN |
                       (load ? destination(op->dst) : 0));
        return;
    }
    /* Two records: loads in channels 0 and 1 or 2 and 3, stores in 1 and 3. */
    unsigned chan2 = op->store ? 3 : chan + 1;

    put_record(cellar, op->address, data[0], 0, 0,
               condition | (uint64_t)chan << COND_CHAN |
                   (load ? destination(op->dst) : 0));
    put_record(cellar, op->address + 8, data[1], 0, 0,
               condition | (uint64_t)chan2 << COND_CHAN |
                   (load ? destination(op->dst2) : 0));
}

static void record_stack_fault(Cellar *cellar)
{
    SysCpu *sys = cellar->sys;
    uint64_t condition =
        (uint64_t)4 << COND_FMT | UINT64_C(1) << COND_NPSP |
        (uint64_t)sys->stack_fault.store << COND_STORE |
        UINT64_C(1) << COND_S_F | UINT64_C(1) << COND_PM |
        (uint64_t)sys->stack_fault.chain << COND_SRU |
        (uint64_t)sys->fault.fault_type << COND_FAULT_TYPE |
        (uint64_t)((4 - sys->fault.miss_level) & 3) << COND_MISS_LEVEL;

    sys->stack_fault.pending = false;
    put_record(cellar, sys->cpu->fault.address, 0, 0, 0, condition);
}

/* ---- Entry ------------------------------------------------------------------ */

static uint64_t base_of(const E2kCpu *cpu)
{
    return cpu->state[SR_OSCUD_LO] & UINT64_C(0xffffffffffff);
}

static void enter_os(SysCpu *sys, uint64_t target)
{
    E2kCpu *cpu = sys->cpu;

    cpu->psr = PSR_PM;
    cpu->cui = 0;
    cpu->state[SR_CUD_LO] = cpu->state[SR_OSCUD_LO];
    cpu->state[SR_CUD_HI] = cpu->state[SR_OSCUD_HI];
    cpu->state[SR_GD_LO] = cpu->state[SR_OSGD_LO];
    cpu->state[SR_GD_HI] = cpu->state[SR_OSGD_HI];
    cpu->ip = target;
    cpu->lock.armed = false;
    mmu_update_epoch(sys);
}

static void set_tir(E2kCpu *cpu, unsigned j, uint64_t mask, unsigned channels,
                    uint64_t ip)
{
    cpu->tir_hi[j] = mask | (uint64_t)(channels & 0x3f) << TIR_AL_SHIFT |
                     (uint64_t)j << TIR_J_SHIFT;
    cpu->tir_lo[j] = ip & UINT64_C(0xffffffffffff);
}

static void panic(SysCpu *sys, uint64_t mask, const char *why);

/* Pushes the frame and starts the handler; TIRs are set. */
static void enter_trap(SysCpu *sys, unsigned n_tirs, uint64_t resume_ip)
{
    E2kCpu *cpu = sys->cpu;
    unsigned wsz = cpu->wsz;

    if (stacks_trap_room(cpu) != EXC_NONE) {
        panic(sys, UINT64_C(1) << EXC_DATA_PAGE,
              "no memory for the chain stack in a trap");
        return;
    }
    cpu->n_tirs = n_tirs;
    sys->next_tir = n_tirs - 1;
    sys->tirs_frozen = true;
    stacks_push_frame(cpu, resume_ip, wsz);
    cpu->win += 2 * wsz;
    cpu->win_tags += 2 * wsz;
    cpu->wsz = 0;
    cpu->psize = 0;
    cpu->wfx = true;
    enter_os(sys, base_of(cpu));
}

static void log_trap(SysCpu *sys, uint64_t mask, uint64_t ip)
{
    if (!log_on(LOG_INT)) {
        return;
    }
    FILE *f = log_lock();

    fprintf(f, "cpu%u: trap", sys->index);
    for (unsigned i = 0; i < 44; i++) {
        if (mask >> i & 1) {
            fprintf(f, " %s", exception_name(i));
        }
    }
    fprintf(f, " at 0x%" PRIx64 ", psr 0x%02x, handler 0x%" PRIx64 "\n", ip,
            sys->cpu->psr, base_of(sys->cpu));
    log_unlock(f);
}

void sys_cpu_dump(SysCpu *sys, FILE *to)
{
    E2kCpu *cpu = sys->cpu;

    fprintf(to, "cpu%u: ip 0x%012" PRIx64 " psr 0x%02x upsr 0x%03x wd 0x%"
            PRIx64 " pf 0x%016" PRIx64 "\n", sys->index, cpu->ip, cpu->psr,
            cpu->upsr, cpu_get_wd(cpu), cpu->pf);
    fprintf(to, "  usd 0x%" PRIx64 " size 0x%" PRIx64 " sbr 0x%" PRIx64
            " cr0.hi 0x%" PRIx64 " cr1.lo 0x%" PRIx64 " lsr 0x%" PRIx64 "\n",
            cpu->usd_base, cpu->usd_size, cpu->sbr, cpu->frame->cr0_hi,
            cpu->frame->cr1_lo, cpu_get_lsr(cpu));
    fprintf(to, "  ctpr1 0x%" PRIx64 " ctpr2 0x%" PRIx64 " ctpr3 0x%" PRIx64
            "\n", cpu->ctpr[0], cpu->ctpr[1], cpu->ctpr[2]);
    for (unsigned i = 0; i < 2u * cpu->wsz; i++) {
        fprintf(to, "%s%%r%-3u 0x%016" PRIx64 "%c%s", i % 4 ? " " : "  ", i,
                cpu->win[i].lo, cpu->win_tags[i] & 15 ? '*' : ' ',
                i % 4 == 3 ? "\n" : "");
    }
    fputs(cpu->wsz % 2 ? "\n" : "", to);
    for (unsigned i = 0; i < 32; i++) {
        fprintf(to, "%s%%g%-3u 0x%016" PRIx64 "%c%s", i % 4 ? " " : "  ", i,
                cpu->g[i].lo, cpu->g_tags[i] & 15 ? '*' : ' ',
                i % 4 == 3 ? "\n" : "");
    }
}

/* A trap that cannot be handled: says why and ends the run. */
static void panic(SysCpu *sys, uint64_t mask, const char *why)
{
    unsigned first = mask ? (unsigned)__builtin_ctzll(mask) : 63;

    fprintf(stderr, "e2k-system: %s: %s at ip 0x%" PRIx64, why,
            exception_name(first), sys->cpu->ip);
    if (first == EXC_DATA_PAGE) {
        fprintf(stderr, ", address 0x%" PRIx64, sys->cpu->fault.address);
    }
    fputc('\n', stderr);
    sys_cpu_dump(sys, stderr);
    machine_request_shutdown(sys->machine, SHUTDOWN_GUEST_PANIC, 1);
}

/* The simulator's stop instruction at ip ends the run with its code. */
static bool lms_stop(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    MmuResult result;
    uint8_t words[8];

    if (!sys->machine->lms ||
        !mmu_translate(sys, cpu->ip, ACCESS_FETCH, cpu->psr & PSR_PM, false,
                       &result) ||
        !physmem_read(sys->machine->mem, result.physical, words,
                      sizeof(words)) ||
        !sys_is_lms_stop(words)) {
        return false;
    }
    machine_request_shutdown(sys->machine, SHUTDOWN_GUEST_SHUTDOWN,
                             ldw_le_p(words + 4) & 0xff);
    return true;
}

bool sys_is_lms_stop(const uint8_t words[8])
{
    return ldl_le_p(words) == LMS_STOP_HS &&
           (ldl_le_p(words + 4) & 0xffff0000) == LMS_STOP_CS1;
}

/* How many. */
static unsigned set_tirs(E2kCpu *cpu, uint64_t mask, uint64_t ip,
                         uint64_t resume_ip)
{
    unsigned channels = cpu->exception_channels;
    uint64_t after = mask & AFTER_THE_BUNDLE;

    if (mask & OF_ISSUED_BUNDLES) {
        set_tir(cpu, 1, mask & ~after, channels, ip);
        set_tir(cpu, 0, after, 0, resume_ip);
        return 2;
    }
    set_tir(cpu, 0, mask, channels, after == mask ? resume_ip : ip);
    return 1;
}

void trap_exception(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    uint64_t mask = cpu->exception_mask;
    uint64_t ip = cpu->ip, resume_ip = cpu->ip;
    Cellar cellar = { .sys = sys };
    unsigned n_tirs = 1;

    if (cpu->exception < 44) {
        mask |= UINT64_C(1) << cpu->exception;
    }
    cpu->exception_mask = 0;
    if ((mask & 1 << EXC_ILLEGAL_OPCODE) && lms_stop(sys)) {
        return;
    }
    for (unsigned i = 0; i < 44; i++) {
        sys->counts[i] += mask >> i & 1;
    }
    log_trap(sys, mask, ip);
    sys->entry_faults = ip == base_of(cpu) ? sys->entry_faults + 1 : 0;
    if (sys->machine->trap_exit || sys->entry_faults > MAX_ENTRY_FAULTS) {
        panic(sys, mask, sys->machine->trap_exit ? "unhandled trap"
                                                 : "trap in the trap handler");
        return;
    }
    if (sys->stack_fault.pending) {
        record_stack_fault(&cellar);
    }
    if (cpu->resume.armed) {
        ip = cpu->resume.ip;
        /* A bundle that could not spill or fill is redone as a whole. */
        resume_ip = cellar.n ? ip : cpu->resume.next_ip;
        for (unsigned i = 0; i < cpu->resume.n; i++) {
            record_access(&cellar, &cpu->resume.op[i]);
        }
        cpu->resume.armed = false;
    }
    n_tirs = set_tirs(cpu, mask, ip, resume_ip);
    cpu->exception_channels = 0;
    if (cellar.n) {
        sys->mmu[MMU_TRAP_COUNT] = 3 * cellar.n;
    }
    enter_trap(sys, n_tirs, resume_ip);
}

bool trap_nmi_gate(const E2kCpu *cpu)
{
    return (cpu->psr & PSR_NMIE) &&
           (!(cpu->psr & PSR_UNMIE) || (cpu->upsr & UPSR_NMIE));
}

static bool nmi_allowed(const SysCpu *sys)
{
    return __atomic_load_n(&sys->nmi, __ATOMIC_ACQUIRE) &&
           trap_nmi_gate(sys->cpu);
}

static bool irq_allowed(const SysCpu *sys)
{
    const E2kCpu *cpu = sys->cpu;

    return __atomic_load_n(&sys->irq, __ATOMIC_ACQUIRE) &&
           (cpu->psr & PSR_IE) &&
           (!(cpu->psr & PSR_UIE) || (cpu->upsr & UPSR_IE));
}

bool trap_interrupt_allowed(const SysCpu *sys)
{
    return nmi_allowed(sys) || irq_allowed(sys);
}

bool trap_interrupt(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;
    uint64_t mask = 0;

    if (nmi_allowed(sys)) {
        mask |= UINT64_C(1) << EXC_NM_INTERRUPT;
    }
    if (irq_allowed(sys)) {
        mask |= UINT64_C(1) << EXC_INTERRUPT;
    }
    if (!mask) {
        return false;
    }
    sys->counts[EXC_INTERRUPT] += mask >> EXC_INTERRUPT & 1;
    sys->counts[EXC_NM_INTERRUPT] += mask >> EXC_NM_INTERRUPT & 1;
    log_trap(sys, mask, cpu->ip);
    set_tir(cpu, 0, mask, 0, cpu->ip);
    enter_trap(sys, 1, cpu->ip);
    return true;
}

/* ---- System calls and done ---------------------------------------------------- */

Exception trap_system_call(E2kCpu *cpu, unsigned entry, unsigned wbs)
{
    SysCpu *sys = cpu->opaque;

    if (entry >= 32 || !(cpu->state[SR_OSEM] >> entry & 1)) {
        return EXC_ILLEGAL_INSTR_ADDR;
    }
    log_printf(LOG_INT, "cpu%u: system call entry %u from 0x%" PRIx64 "\n",
               sys->index, entry, cpu->ip);
    stacks_push_frame(cpu, cpu->ip, wbs);
    cpu->win += 2 * wbs;
    cpu->win_tags += 2 * wbs;
    cpu->wsz -= wbs;
    cpu->psize = cpu->wsz;
    cpu->wfx = true;
    cpu->ctpr[0] = cpu->ctpr[1] = cpu->ctpr[2] = 0;
    enter_os(sys, base_of(cpu) + (uint64_t)entry * ENTRY_BYTES);
    return EXC_NONE;
}

Exception trap_done(E2kCpu *cpu, uint32_t param)
{
    if (!(cpu->psr & PSR_PM)) {
        return EXC_PRIV_ACTION;
    }
    Exception e = stacks_pop_frame(cpu);

    if (e == EXC_NONE) {
        cpu->ops->state_changed(cpu);
    }
    return e;
}
