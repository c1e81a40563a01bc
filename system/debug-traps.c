/*
 * See debug-traps.h.
 *
 * instr_debug comes before the bundle that a DIBAR names, with TIR0.ip there:
 * software lets the bundle pass by disarming the register and stepping.
 * data_debug comes after the bundle, with TIR1.ip at it; the access is made.
 * A step's instr_debug comes after its bundle too, also when that has called
 * the system.  A bundle that faults has not been stepped: CR1.ss of the trap's
 * frame arms the step again.
 *
 * Chosen, since the description leaves it open: the gate of non-maskable
 * interrupts is PSR's before the bundle; behind a closed gate, or without the
 * trap bit, a match sets its status bit and nothing else.  Spills and fills,
 * which the emulator makes at times of its own, and the MMU's own accesses
 * match nothing.  DIBCR.bt, .btf and .stop and the monitors are storage.
 */
#include "system/debug-traps.h"

#include "target-e2k/exec.h"

enum {
    N_POINTS = 4,
    DIBCR_VALID = 1 << 0, /* of 2 bits */
    DIBCR_TRAP = 1 << 1,
    DIBSR_SS = 1 << 7,
    DDBCR_BITS = 14,
    DDBCR_VALID = 1 << 0,
    DDBCR_ROOT = 1 << 1,  /* secondary space */
    DDBCR_WRITE = 1 << 2,
    DDBCR_READ = 1 << 3,
    DDBCR_LENGTH = 4,     /* 1: a byte, ... 5: 16 bytes */
    DDBCR_SYNC = 1 << 7,
    DDBCR_SPEC = 1 << 8,
    DDBCR_ARRAY = 1 << 9,
    DDBCR_TRAP = 1 << 12,
    DDBSR_BITS = 12,
    DDBSR_SYNC = 1 << 0,
    DDBSR_SPEC = 1 << 1,
    DDBSR_ARRAY = 1 << 2,
    CR1_SS = 24,
};

#define DDBCR_ALL_VALID UINT64_C(0x40010004001)
#define DIBCR_ALL_VALID 0x55

/* What the bundle being stepped has matched. */
static __thread struct {
    CpuWatcher *next;
    bool trap;
} watch;

static bool has_step_frame(const E2kCpu *cpu)
{
    for (const ChainFrame *f = cpu->frame; f >= cpu->frames_bottom; f--) {
        if (f->cr1_lo >> CR1_SS & 1) {
            return true;
        }
    }
    return false;
}

bool debug_traps_armed(const SysCpu *sys)
{
    return sys->cpu->single_step || sys->step_frames ||
           (sys->cpu->state[SR_DIBCR] & DIBCR_ALL_VALID) ||
           (sys->debug_regs[MMU_DEBUG_DDBCR] & DDBCR_ALL_VALID);
}

void debug_traps_changed(SysCpu *sys)
{
    sys->step_frames = has_step_frame(sys->cpu);
    if (debug_traps_armed(sys)) {
        cpu_request_stop(sys->cpu); /* out of translated code */
    }
}

/* Notes the status of the DIBARs that name the bundle; true: it traps. */
static bool match_bundle(SysCpu *sys)
{
    uint64_t *state = sys->cpu->state;
    bool trap = false;

    for (unsigned i = 0; i < N_POINTS; i++) {
        unsigned control = state[SR_DIBCR] >> (2 * i);

        if ((control & DIBCR_VALID) &&
            (state[SR_DIBAR0 + i] & CR0_HI_IP) == sys->cpu->ip) {
            state[SR_DIBSR] |= UINT64_C(1) << i;
            trap |= (control & DIBCR_TRAP) != 0;
        }
    }
    return trap;
}

/* The kind of an access in the form of DDBCR and of DDBSR. */
static unsigned status_of(const WatchedAccess *access, unsigned control)
{
    if (access->array) {
        return control & DDBCR_ARRAY ? DDBSR_ARRAY : 0;
    }
    if (access->speculative) {
        return control & DDBCR_SPEC ? DDBSR_SPEC : 0;
    }
    return control & DDBCR_SYNC ? DDBSR_SYNC : 0;
}

static void match_access(E2kCpu *cpu, const WatchedAccess *access)
{
    SysCpu *sys = cpu->opaque;

    if (watch.next) {
        watch.next(cpu, access);
    }
    if (watched_access_is_special(access)) {
        return; /* no virtual address */
    }
    for (unsigned i = 0; i < N_POINTS; i++) {
        unsigned control =
            sys->debug_regs[MMU_DEBUG_DDBCR] >> (DDBCR_BITS * i);
        unsigned length = control >> DDBCR_LENGTH & 7;
        uint64_t from = sys->debug_regs[MMU_DEBUG_DDBAR0 + i];
        unsigned status = status_of(access, control);

        if (!(control & DDBCR_VALID) || (control & DDBCR_ROOT) || !status ||
            !(control & (access->store ? DDBCR_WRITE : DDBCR_READ)) ||
            !length || length > 5 ||
            (access->address - from >= (1u << (length - 1)) &&
             from - access->address >= access->size_bytes)) {
            continue;
        }
        sys->debug_regs[MMU_DEBUG_DDBSR] |= (uint64_t)status
                                            << (DDBSR_BITS * i);
        watch.trap |= (control & DDBCR_TRAP) != 0;
    }
}

static CpuExit raise_now(E2kCpu *cpu, uint64_t mask)
{
    cpu->exception_mask |= mask;
    cpu->exception = __builtin_ctzll(cpu->exception_mask);
    return CPU_EXIT_EXCEPTION;
}

/* The bundle at ip is done; its traps come on top of what it raised. */
static CpuExit raise_after(E2kCpu *cpu, uint64_t ip, uint64_t mask)
{
    if (!cpu->resume.armed) {
        cpu->exception_mask = 0;
        cpu->exception_channels = 0;
        cpu->resume.armed = true;
        cpu->resume.n = 0;
        cpu->resume.ip = ip;
        cpu->resume.next_ip = cpu->ip;
        cpu->ip = ip;
    }
    return raise_now(cpu, mask);
}

CpuExit debug_traps_step(SysCpu *sys, CpuWatcher *watcher)
{
    E2kCpu *cpu = sys->cpu;

    if (!debug_traps_armed(sys)) {
        return watcher ? cpu_step_watched(cpu, watcher) : cpu_step(cpu);
    }
    bool open = trap_nmi_gate(cpu);
    bool step = cpu->single_step;
    uint64_t ip = cpu->ip, mask = 0;

    if (match_bundle(sys) && open) {
        cpu->exception_mask = 0;
        cpu->exception_channels = 0;
        return raise_now(cpu, UINT64_C(1) << EXC_INSTR_DEBUG);
    }
    watch.next = watcher;
    watch.trap = false;
    cpu->single_step = false; /* unless the bundle returns to such a frame */
    CpuExit exit = cpu_step_watched(cpu, match_access);

    sys->step_frames = has_step_frame(cpu);
    if (exit == CPU_EXIT_EXCEPTION &&
        (!cpu->resume.armed || sys->stack_fault.pending)) {
        cpu->single_step = step;
        return exit;
    }
    if (step) {
        cpu->state[SR_DIBSR] |= DIBSR_SS;
    }
    mask |= watch.trap ? UINT64_C(1) << EXC_DATA_DEBUG : 0;
    mask |= step ? UINT64_C(1) << EXC_INSTR_DEBUG : 0;
    return mask && open ? raise_after(cpu, ip, mask) : exit;
}
