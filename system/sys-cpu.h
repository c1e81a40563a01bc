/*
 * A CPU of a machine: the architectural CPU of target-e2k plus what only the
 * privileged architecture has - MMU registers, TLBs, interrupt inputs.
 *
 *   SysCpu --+-- E2kCpu          registers; its ops lead back here
 *            +-- mmu[]           MMU registers by number
 *            +-- contexts[]      TLBs: MMU off, and recent address spaces
 *            +-- irq, nmi        inputs, driven by the local controller
 *
 * Everything but the inputs belongs to the CPU's thread, or to anybody while
 * the machine is stopped.
 */
#ifndef SYSTEM_SYS_CPU_H
#define SYSTEM_SYS_CPU_H

#include "system/machine.h"
#include "target-e2k/cpu.h"
#include "tcg/soft-tlb.h"

/* MMU registers by number; "system/mmu.md" section 5. */
enum {
    MMU_CR = 0x00,
    MMU_CONT = 0x01,
    MMU_U_VPTB = 0x03,
    MMU_U_PPTB = 0x04,
    MMU_TRAP_POINT = 0x05,
    MMU_TRAP_COUNT = 0x06,
    MMU_US_CL_D = 0x09,
    MMU_APIC_BASE = 0x0d,
    MMU_MTRR32 = 0x30,
    MMU_OS_VPTB = 0x34,
    MMU_OS_PPTB = 0x35,
    MMU_OS_VAB = 0x4c,
    MMU_REGS = 0x80,
};

/* Debug registers behind the MMU's access path, by number; section 8. */
enum {
    MMU_DEBUG_DDBAR0 = 0,
    MMU_DEBUG_DDBCR = 4,
    MMU_DEBUG_DDBSR = 5,
    MMU_DEBUG_REGS = 9,
};

enum {
    MMU_CR_TLB_EN = 1 << 0,
    MMU_CR_CD = 3 << 1,
    CORE_MODE_SEP_VIRT_SPACE = 1 << 2,
    CORE_MODE_PT_V6 = 1 << 5,
};

/* State registers by number that system/ names. */
enum {
    SR_PSR = 0x00,
    SR_CORE_MODE = 0x04,
    SR_OSCUD_HI = 0x26,
    SR_OSCUD_LO = 0x27,
    SR_OSGD_HI = 0x28,
    SR_OSGD_LO = 0x29,
    SR_OSEM = 0x2a,
    SR_CUD_HI = 0x30,
    SR_CUD_LO = 0x31,
    SR_GD_HI = 0x32,
    SR_GD_LO = 0x33,
    SR_SCLKM1 = 0x70,
    SR_IP = 0x81,
    SR_NIP = 0x82,
    SR_IDR = 0x8a,
    SR_CLKR = 0x90,
    SR_SCLKR = 0x92,
    SR_TIR_HI = 0x9c,
    SR_TIR_LO = 0x9d,
    SR_SBBP = 0xa1,
};

enum {
    TLB_CONTEXTS = 4,     /* address spaces whose translations are kept */
    CELLAR_MAX = 7,       /* records one trap may report */
    FILE_REGS = 224,      /* windowed registers of the hardware */
    FILE_FRAMES = 32,     /* chain frames of the hardware's file */
    STACKS_SPARE_FRAMES = 8, /* of the array, for traps while it is full */
};

typedef struct TlbContext {
    bool valid;
    bool mmu_off;
    uint32_t pid;
    uint64_t root;        /* U_PPTB */
    uint64_t last_use;
    uint32_t epoch;       /* of what it translates, unique among contexts */
    uint64_t largest_page; /* bytes, among what tlb[] has entries of */
    SoftTlb tlb[2];       /* [PSR.pm] */
} TlbContext;

struct SysCpu {
    /* Set while building. */
    E2kCpu *cpu;
    Machine *machine;
    unsigned index;
    GThread *thread;
    uint8_t *ram;         /* physmem_ram() */

    /* The CPU's thread. */
    uint64_t mmu[MMU_REGS];
    uint64_t debug_regs[MMU_DEBUG_REGS];
    bool step_frames;     /* some frame in the array has CR1.ss */
    TlbContext *context;  /* current one */
    TlbContext contexts[1 + TLB_CONTEXTS]; /* [0]: MMU off */
    uint64_t context_clock;
    uint32_t last_epoch;
    struct CodeSpace *code_space; /* current one; NULL: MMU off */
    bool quiet_faults;    /* the access will be made again: log it then */
    bool parked;          /* counted in machine->n_parked; under its lock */
    bool waits_for_startup; /* secondary CPU held after reset; same lock */
    bool tirs_frozen;
    unsigned next_tir;    /* of the entry that rrd %tir shows */
    struct {
        unsigned fault_type; /* bits of "system/mmu.md" section 7.2 */
        unsigned miss_level;
    } fault;
    struct {              /* a spill or fill that could not be made */
        bool pending;
        bool chain;
        bool store;
    } stack_fault;
    unsigned debug_generation; /* of the debugger's plan it runs under */
    unsigned entry_faults; /* traps in a row whose ip is the trap entry */
    uint64_t counts[64];  /* traps taken, by exception */
    uint64_t tlb_fills, tlb_flushes;

    /* Any thread. */
    int irq;              /* atomic: maskable request present */
    int nmi;              /* atomic */
    int kicked;           /* atomic: look at the machine's state */
    int close_pages;      /* atomic: drop write permissions of the TLBs, some
                           * page is watched now */
    GMutex halt_lock;
    GCond halt_cond;      /* irq, nmi or kicked changed */
};

/* The CPU whose thread this is, or CPU 0's on other threads: for device
 * windows that differ from CPU to CPU. */
SysCpu *sys_cpu_current(Machine *machine);

SysCpu *sys_cpu_new(Machine *machine, const CpuModel *model, unsigned index,
                    GError **error);
void sys_cpu_free(SysCpu *sys);
/* Architectural reset; boards set the entry state afterwards. */
void sys_cpu_reset(SysCpu *sys);

/* Inputs; any thread. */
void sys_cpu_set_irq(SysCpu *sys, bool level);
void sys_cpu_set_nmi(SysCpu *sys, bool level);
/* Makes the thread look at the machine's state soon. */
void sys_cpu_kick(SysCpu *sys);
/* Sleeps until an input is raised or the CPU is kicked; its own thread. */
void sys_cpu_halt(SysCpu *sys);
/* Lets a CPU that waits for startup run from ip; any thread but its own. */
void sys_cpu_start(SysCpu *sys, uint64_t ip);

/* ---- MMU (mmu.c) ---------------------------------------------------------- */

/* Bits of CellarRecord's fault type. */
enum {
    FAULT_PH_PR_PAGE = 1 << 3,
    FAULT_IO_PAGE = 1 << 4,
    FAULT_PROT_PAGE = 1 << 6,
    FAULT_PRIV_PAGE = 1 << 7,
    FAULT_ILLEGAL_PAGE = 1 << 8,
    FAULT_NWRITE_PAGE = 1 << 9,
    FAULT_PAGE_MISS = 1 << 10,
    FAULT_PH_BOUND = 1 << 11,
    FAULT_RES_BITS = 1 << 12,
};

typedef struct MmuResult {
    unsigned fault;       /* fault type bits, 0: translated */
    unsigned level;       /* where the walk ended, 1..4 */
    uint64_t physical;    /* of the address asked for */
    uint64_t entry;       /* the leaf, as in memory */
    bool writable;        /* stores are allowed and the page is dirty */
    bool privileged;
    bool global;
    bool executable;
    uint64_t page_bytes;
} MmuResult;

/*
 * Translates as an access of kind would in privileged or user mode.  With
 * update the accessed and dirty bits are set as by the access itself.
 */
bool mmu_translate(SysCpu *sys, uint64_t address, AccessKind kind,
                   bool privileged, bool update, MmuResult *result);
bool mmu_is_on(const SysCpu *sys);

uint64_t mmu_read_reg(SysCpu *sys, unsigned number);
void mmu_write_reg(SysCpu *sys, unsigned number, uint64_t value);
void mmu_reset(SysCpu *sys);
/* Chooses the TLB after a change of MMU_CR, CONT, PSR.pm or CORE_MODE. */
void mmu_select(SysCpu *sys);
void mmu_flush_all(SysCpu *sys);
void mmu_flush_page(SysCpu *sys, uint64_t address, unsigned pid);
/* After a change of PSR.pm: code seen by user and system code differs. */
void mmu_update_epoch(SysCpu *sys);
/* The TLB has an entry of a page of this size from now on. */
void mmu_note_page_size(SysCpu *sys, uint64_t page_bytes);
/* Drops write permission of every TLB entry: code or dirty tracking. */
void mmu_forget_writable(SysCpu *sys);
/* The same, soon, on all other CPUs. */
void mmu_forget_writable_elsewhere(SysCpu *sys);

/* Operations of MAS mod 7; "system/mmu.md" section 8. */
Exception mmu_special_load(SysCpu *sys, uint64_t address, unsigned mas,
                           uint64_t *value);
Exception mmu_special_store(SysCpu *sys, uint64_t address, unsigned mas,
                            uint64_t value);
/* Results of the two probes. */
uint64_t mmu_probe_entry(SysCpu *sys, uint64_t address);
uint64_t mmu_probe_address(SysCpu *sys, uint64_t address);

/* ---- Memory (memory.c) ----------------------------------------------------- */

extern const CpuOps sys_cpu_ops;

/*
 * Reads or writes guest virtual memory as privileged code would; false, with
 * sys->fault set, when a page is missing.  For stacks, debuggers, monitors.
 */
bool sys_memory_read(SysCpu *sys, uint64_t address, void *to, size_t size);
bool sys_memory_write(SysCpu *sys, uint64_t address, const void *from,
                      size_t size);
/* Reads as debuggers do: RAM alone, and nothing in the guest changes. */
bool sys_memory_peek(SysCpu *sys, uint64_t address, void *to, size_t size);

/* ---- Traps (trap.c) -------------------------------------------------------- */

/* Delivers cpu->exception at cpu->ip. */
void trap_exception(SysCpu *sys);
/* Takes a pending and permitted interrupt; true if one was taken. */
bool trap_interrupt(SysCpu *sys);
bool trap_interrupt_allowed(const SysCpu *sys);
/* Are non-maskable interrupts and debug traps let through? */
bool trap_nmi_gate(const E2kCpu *cpu);
const char *exception_name(unsigned exception);
void sys_cpu_dump(SysCpu *sys, FILE *to);
/* The simulator's stop instruction? */
bool sys_is_lms_stop(const uint8_t words[8]);
/* CpuOps that change procedure frames. */
Exception trap_system_call(E2kCpu *cpu, unsigned entry, unsigned wbs);
Exception trap_done(E2kCpu *cpu, uint32_t param);

/* ---- Hardware stacks (stacks.c) ------------------------------------------- */

Exception stacks_spill(E2kCpu *cpu);
Exception stacks_fill(E2kCpu *cpu);
Exception stacks_flush(E2kCpu *cpu, unsigned bits);
/* Spills what does not fit the hardware's files, before software looks. */
Exception stacks_normalise(E2kCpu *cpu);
/* After regs_bottom was set: frames that need registers below go out. */
Exception stacks_match(E2kCpu *cpu);
/* After a change of PSP, PCSP or a bottom. */
void stacks_update_limits(E2kCpu *cpu);
/* Makes room for the frame of a trap; an exception: the stack has no memory. */
Exception stacks_trap_room(E2kCpu *cpu);
/* Pushes a frame for the running procedure; there is room for it. */
void stacks_push_frame(E2kCpu *cpu, uint64_t resume_ip, unsigned wbs);
/* As a return does, but keeps the CTPRs. */
Exception stacks_pop_frame(E2kCpu *cpu);

/* ---- State registers (state-regs.c) ----------------------------------------- */

Exception state_regs_read(E2kCpu *cpu, unsigned number, uint64_t *value);
Exception state_regs_write(E2kCpu *cpu, unsigned number, uint64_t value);

#endif
