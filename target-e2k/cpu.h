/*
 * State of one e2k CPU as both engines and their embedders see it.
 *
 * Windowed registers live in one linear host array used as a stack: a call
 * moves the window up by wbs pairs, a return moves it down; nothing is
 * copied.
 *
 *     regs                win = regs + window base          regs + n_regs
 *      |  ... callers ...  |%r0 %r1 ... %r(wsz-1)|  callees ... |
 *                               16 bytes each: lo (main), ext (extension)
 *     tags: a parallel byte array, one byte a register: [3:0] tag of lo,
 *     [7:4] tag of ext; 0 means "number".
 *
 * The chain stack is likewise linear; its frames have the architectural
 * memory format, so that flushing it is a copy.  frame points at the newest
 * frame: the current CR0/CR1, which describe the caller of the running
 * procedure.
 *
 * In user mode the two arrays are as large as the hardware stacks are allowed
 * to grow and registers reach guest memory only when something observes them.
 * In system mode the embedder's spill and fill callbacks move registers to
 * and from guest memory.
 *
 * Threading: a CPU belongs to the thread that runs it, except for the fields
 * grouped as "any thread".
 *
 * Source: shared facts "isa/state.md".
 */
#ifndef TARGET_E2K_CPU_H
#define TARGET_E2K_CPU_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "tcg/soft-tlb.h"
#include "tcg/tcg.h"

typedef struct E2kCpu E2kCpu;
typedef struct CpuModel CpuModel;

typedef struct RegSlot {
    uint64_t lo;
    uint64_t ext;
} __attribute__((aligned(16))) RegSlot;

/* A chain-stack frame, in its memory format. */
typedef struct ChainFrame {
    uint64_t cr0_lo; /* predicate file of the caller */
    uint64_t cr0_hi; /* return address, nothing but CR0_HI_IP */
    uint64_t cr1_lo;
    uint64_t cr1_hi;
} ChainFrame;

/* Bits of an instruction address, as far as cr0_hi holds one. */
#define CR0_HI_IP UINT64_C(0xfffffffffff8)

/* Exceptions by their TIR.hi bit number; "isa/semantics.md" section 6. */
typedef enum Exception {
    EXC_ILLEGAL_OPCODE = 0,
    EXC_PRIV_ACTION = 1,
    EXC_FP_DISABLED = 2,
    EXC_FP_STACK_U = 3,
    EXC_D_INTERRUPT = 4,
    EXC_DIAG_CT_COND = 5,
    EXC_DIAG_INSTR_ADDR = 6,
    EXC_ILLEGAL_INSTR_ADDR = 7,
    EXC_INSTR_DEBUG = 8,
    EXC_WINDOW_BOUNDS = 9,
    EXC_USER_STACK_BOUNDS = 10,
    EXC_PROC_STACK_BOUNDS = 11,
    EXC_CHAIN_STACK_BOUNDS = 12,
    EXC_FP_STACK_O = 13,
    EXC_DIAG_COND = 14,
    EXC_DIAG_OPERAND = 15,
    EXC_ILLEGAL_OPERAND = 16,
    EXC_ARRAY_BOUNDS = 17,
    EXC_ACCESS_RIGHTS = 18,
    EXC_ADDR_NOT_ALIGNED = 19,
    EXC_INSTR_PAGE_MISS = 20,
    EXC_INSTR_PAGE_PROT = 21,
    EXC_AINSTR_PAGE_MISS = 22,
    EXC_AINSTR_PAGE_PROT = 23,
    EXC_LAST_WISH = 24,
    EXC_BASE_NOT_ALIGNED = 25,
    EXC_SOFTWARE_TRAP = 26,
    EXC_DATA_DEBUG = 28,
    EXC_DATA_PAGE = 29,
    EXC_MACP = 30,
    EXC_RECOVERY_POINT = 31,
    EXC_INTERRUPT = 32,
    EXC_NM_INTERRUPT = 33,
    EXC_DIV = 34,
    EXC_FP = 35,
    EXC_MEM_LOCK = 36,
    EXC_MEM_LOCK_AS = 37,
    EXC_NONE = 255,
} Exception;

/* Why cpu_run() came back. */
typedef enum CpuExit {
    CPU_EXIT_EXCEPTION, /* cpu->exception; ip is the bundle's address */
    CPU_EXIT_SYSCALL,   /* user mode: call through a system label; ip is the
                         * next bundle, CTPRs and AAU are cleared as by any
                         * call and return, nothing else has changed */
    CPU_EXIT_STOP,      /* cpu->stop_request was set; between bundles */
    CPU_EXIT_HALT,      /* system mode: the CPU waits for an interrupt */
    CPU_EXIT_DEBUG,     /* breakpoint, watchpoint or single step */
} CpuExit;

/* Kind of a memory access, for slow paths and for faults. */
typedef enum AccessKind {
    ACCESS_LOAD,
    ACCESS_STORE,
    ACCESS_FETCH,
    ACCESS_ARRAY, /* mova: never raises, reports failure */
} AccessKind;

/*
 * How an embedder gives a CPU its memory and system.  Functions are called on
 * the CPU's thread.  Loads and stores move size_bytes (1, 2, 4, 8, 16) little
 * endian bytes; mas is the raw specifier (0 = ordinary).  They return
 * EXC_NONE, or the exception with cpu->fault filled in and no effect.
 */
typedef struct CpuOps {
    Exception (*load)(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                      unsigned mas, bool speculative, void *value);
    Exception (*store)(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                       unsigned mas, const void *value);
    /* Checks an access without making it (same faults as load or store). */
    Exception (*probe)(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                       AccessKind kind);
    /*
     * Stores new (size_bytes) if memory still holds expected; *swapped tells.
     */
    Exception (*cmpxchg)(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                         const void *expected, const void *value,
                         bool *swapped);
    /*
     * Copies up to 64 bytes of code at address (8-aligned), stopping at the
     * first page that cannot be executed; *got is at least 8 on success.
     */
    Exception (*fetch)(E2kCpu *cpu, uint64_t address, uint8_t bytes[64],
                       unsigned *got);
    /* State registers that are not plain fields: clocks, MMU, interrupts. */
    Exception (*read_state)(E2kCpu *cpu, unsigned number, uint64_t *value);
    Exception (*write_state)(E2kCpu *cpu, unsigned number, uint64_t value);
    /* Range of guest code that may have changed (icache line flush). */
    void (*flush_code)(E2kCpu *cpu, uint64_t address, uint64_t size_bytes);
    /*
     * System mode only; NULL in user mode.  spill makes room above: called
     * before a call or setwd whose registers end past regs + n_regs, or a
     * call that needs frame + 1 past frames + n_frames.  fill brings back
     * what the current frame's return needs below regs_bottom (2 * wbs of
     * its CR1.lo registers) and frame - 1 below frames_bottom.  Both may move
     * win, win_tags, frame and the two bottoms; n_regs and n_frames may
     * shrink and grow.  flush is flushr, flushc, fillr, fillc: bits 0..3.
     */
    Exception (*spill)(E2kCpu *cpu);
    Exception (*fill)(E2kCpu *cpu);
    Exception (*flush)(E2kCpu *cpu, unsigned bits);
    /*
     * Physical address of the code at address, of which translated code will
     * be kept until engine_invalidate() for that address, or for the virtual
     * one in the current code_space; false when it cannot be fetched now.
     */
    bool (*code_address)(E2kCpu *cpu, uint64_t address, uint64_t *physical);
    /*
     * An access of generated code that missed soft_tlb[]; may fill it.
     * False, with nothing done, when the interpreter has to make it: it
     * faults, or it is a device's and must not be repeated.
     */
    /* Fills soft_tlb[] as a load of the byte would; false: cannot. */
    bool (*fill_tlb)(E2kCpu *cpu, uint64_t address);
    bool (*slow_access)(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                        bool store, void *value);
    /*
     * System mode: tags of n doublewords of memory, which an access has just
     * read or written.
     */
    void (*memory_tags)(E2kCpu *cpu, uint64_t address, uint8_t *tags,
                        unsigned n, bool store);
    Exception (*system_call)(E2kCpu *cpu, unsigned entry, unsigned wbs);
    Exception (*done)(E2kCpu *cpu, uint32_t param);
    Exception (*wait)(E2kCpu *cpu, unsigned bits);
    void (*state_changed)(E2kCpu *cpu);       /* PSR/UPSR written: interrupts
                                               * may have become possible */
} CpuOps;

/* Virtual addresses of code in an address space: space << this | address. */
enum { CODE_SPACE_SHIFT = 48 };

/* state.md section 5. */
enum {
    PSR_PM = 1 << 0,
    PSR_IE = 1 << 1,
    PSR_SGE = 1 << 2,
    PSR_LW = 1 << 3,
    PSR_UIE = 1 << 4,
    PSR_NMIE = 1 << 5,
    PSR_UNMIE = 1 << 6,
    UPSR_FE = 1 << 0,
    UPSR_SE = 1 << 1,
    UPSR_AC = 1 << 2,
    UPSR_DI = 1 << 3,
    UPSR_WP = 1 << 4,
    UPSR_IE = 1 << 5,
    UPSR_A20 = 1 << 6,
    UPSR_NMIE = 1 << 7,
};

/* CTPR fields, state.md section 4.1. */
enum {
    CTPR_TAG_SHIFT = 54,
    CTPR_OPC_SHIFT = 57,
    CTPR_TAG_EMPTY = 0,
    CTPR_TAG_DIAG = 1,
    CTPR_TAG_PROC = 2,
    CTPR_TAG_LOCAL = 3,
    CTPR_TAG_NUMERIC = 4,
    CTPR_TAG_SYSTEM = 5,
    CTPR_OPC_DISP = 0,
    CTPR_OPC_LDISP = 1,
    CTPR_OPC_RETURN = 3,
};
#define CTPR_BASE_MASK UINT64_C(0xffffffffffff)
/* %ctprN as disp and its kin leave it. */
#define CTPR_VALUE(base, tag, opc)                                            \
    (((uint64_t)(base) & CTPR_BASE_MASK) |                                    \
     (uint64_t)(tag) << CTPR_TAG_SHIFT | (uint64_t)(opc) << CTPR_OPC_SHIFT)

typedef struct AauState {
    struct {
        uint64_t lo;
        uint64_t hi;
    } aad[32];
    uint64_t aaind[16];
    uint64_t aaincr[8];
    uint64_t aasti[16];
    uint16_t aasti_tag, aaind_tag;
    uint8_t aaincr_tag;
    uint8_t aalda[64];
    uint64_t aaldv, aaldm;
    uint32_t aafstr, aasr;
    /* The running program, sampled at bap; area k left, 32 + k right. */
    struct {
        uint8_t fmt;     /* 0 unused, n: elements of 1 << (n - 1) bytes */
        uint8_t mrng;    /* bytes per step, 1..32 */
        bool overflow;
        bool valid;
        uint64_t base;
        uint32_t index;  /* of the next mova */
        int64_t step;
        uint32_t aaldi;
    } area[64];
} AauState;

/* A memory operation that faulted late; see E2kCpu.resume. */
typedef struct PendingAccess {
    uint8_t channel;
    bool store;
    bool big_endian;
    bool speculative;
    uint8_t size_bytes;  /* 1, 2, 4, 8, 16 */
    uint8_t mas;
    int32_t dst;         /* load: index into regs; ~n for %g<n>; see dst_none */
    bool dst_none;
    bool quad;           /* 16 bytes of a register pair: of a load, the second
                          * half goes to dst2 (else both to dst: lo and ext) */
    int32_t dst2;
    uint64_t address;
    uint64_t mask;       /* masked store: bit i enables byte i */
    uint8_t value[16];   /* store data, memory byte order */
} PendingAccess;

typedef struct DamEntry {
    bool valid;
    uint8_t reg;         /* key: destination operand byte of the load */
    uint8_t size_bytes;
    uint64_t address;
} DamEntry;

struct E2kCpu {
    /*
     * Hot: addressed by generated code relative to the CPU pointer.
     */
    RegSlot *win;        /* %r0 of the running procedure */
    uint8_t *win_tags;   /* its tag byte */
    ChainFrame *frame;   /* current CR0/CR1 */
    uint64_t ip;         /* bundle to execute next */
    uint64_t pf;         /* predicate file: bit 2N value, bit 2N+1 invalid */
    uint64_t ctpr[3];    /* architectural format */
    uint64_t lcnt;       /* LSR fields, unpacked; 64-bit counter on v5+ */
    uint8_t ecnt, pcnt, strmd, ldovl;
    bool vlc, over, ldmc, semc;
    /* Window descriptor and bases; counts in registers unless said pairs. */
    uint8_t wsz;         /* pairs, 0..112 */
    uint8_t psize;       /* pairs */
    bool wfx, wdbl;
    uint8_t rbs, rsz, rcur; /* BR: pairs; rsz is the size minus 1 */
    uint8_t psz, pcur;
    uint8_t bgr_val, bgr_cur;
    uint64_t usd_base, usd_size, sbr;
    uint32_t pfpfr, fpcr, fpsr;
    uint32_t upsr;
    uint8_t psr;
    uint16_t cui;
    uintptr_t guest_base; /* user mode: host = guest + guest_base */
    bool direct_memory;   /* plain accesses go to guest_base + address */
    uint64_t direct_end;  /* see cpu_direct_end() */
    /*
     * System mode.  Accesses of generated code look in soft_tlb[PSR.pm], the
     * TLB of the current address space.
     *
     * code_space says what an ip means, for code that is kept: as long as it
     * is the same, the same ip names the same bytes, or whoever changes that
     * calls engine_invalidate() for the address, tagged with the space (see
     * CODE_SPACE_SHIFT).  0: addresses are physical, or there is no MMU.
     *
     * code_epoch changes whenever the same ip may name other code (address
     * space switch, TLB flush, MMU on or off), for the small caches of the
     * interpreter.
     */
    SoftTlb *soft_tlb;
    uint32_t tlb_generation; /* changes when soft_tlb[] loses something */
    uint16_t code_space;
    uint32_t code_epoch;

    RegSlot g[32];
    uint8_t g_tags[32];

    /* Linear stacks. */
    RegSlot *regs;
    uint8_t *reg_tags;
    size_t n_regs;
    RegSlot *regs_bottom; /* registers below are in guest memory only */
    ChainFrame *frames;
    size_t n_frames;
    ChainFrame *frames_bottom;
    size_t regs_mapped, frames_mapped; /* as allocated */
    uint64_t psp_base, psp_size; /* guest addresses of the hardware stacks */
    uint64_t pcsp_base, pcsp_size;
    uint64_t psp_ind_bottom, pcsp_ind_bottom; /* ind of the two bottoms */

    /* Loop restart registers and the array unit. */
    uint64_t ilcr_lcnt;
    uint8_t ilcr_ecnt, ilcr_pcnt;
    AauState aau;

    /* Atomic brackets (lock-wait load ... unlock store) and the DAM. */
    struct {
        bool armed;
        uint8_t size_bytes;
        uint64_t address;
        uint8_t value[16];
    } lock;
    DamEntry dam[32];
    uint8_t dam_live;    /* 0: no entry is valid, stores need not look */

    /* State registers without a meaning to the engines, by number. */
    uint64_t state[256];
    uint64_t tir_hi[19], tir_lo[19];
    unsigned n_tirs;

    /* The last exception, and the last fault's details. */
    Exception exception;
    struct {
        uint64_t address;
        uint8_t size_bytes;
        uint8_t kind;     /* AccessKind */
        uint8_t channel;
        bool present;     /* protection fault rather than a missing page */
        bool demand;      /* machines: a page to be brought in, so that a
                           * semi-speculative load traps as well */
        uint64_t ip;
    } fault;

    uint64_t exception_mask;    /* all of them, by TIR.hi bit number */
    uint8_t exception_channels; /* TIR.hi.al: bit i for channel i */

    /*
     * A bundle that raised a late exception (data page, division, floating
     * point; semantics.md 6.1): everything but the accesses listed has been
     * done, and execution goes on at next_ip.  While armed, cpu_run() with
     * ip == resume.ip first makes the pending accesses and then continues at
     * next_ip; any other ip drops them.  An embedder that runs other guest
     * code in between (a signal handler) saves this struct with ip and puts
     * it back with it; a system embedder turns it into the trap cellar and
     * clears armed.
     */
    struct {
        bool armed;
        uint8_t n;
        uint64_t ip;
        uint64_t next_ip;
        PendingAccess op[4];
    } resume;

    /* CPU_EXIT_SYSCALL. */
    unsigned syscall_entry; /* number given to sdisp */
    unsigned syscall_wbs;   /* pairs: arguments start at win[2 * wbs] */

    /*
     * The translator's.  Generated code describes where it left by pointing
     * site at what was known there; calls stop growing at the limits.
     */
    TcgCpu tcg;
    struct {
        const void *site;
        bool split;          /* the next region is to be without bases */
        bool wants_full;     /* it is to be of the second tier */
        uint32_t tlb_generation; /* that the slots of accesses are of */
        uint64_t usd_bottom; /* usd_base - usd_size, the same in one stack */
        RegSlot *win_limit;
        ChainFrame *frame_limit;
        uint8_t *lost_tags; /* of the last call told of, or NULL */
        ChainFrame *lost_frame; /* of the next, unless that is NULL */
        uint32_t pf_invalid; /* predicates, while generated code runs */
        uint32_t dam_stores; /* since the last advanced load */
    } jit;

    /* Fixed after creation. */
    unsigned isa;           /* 1..7 */
    const CpuModel *model;
    const CpuOps *ops;
    void *opaque;           /* the embedder's */
    void *engine;           /* the engine's private state */
    void *interp;         /* the interpreter\'s */
    bool system;            /* privileged architecture present */

    /* System mode, of steps that are watched. */
    bool array_access;      /* the access being made is the array unit's */
    bool single_step;       /* a return found CR1.ss: one more bundle */

    /* Any thread. */
    int stop_request;       /* atomic; makes cpu_run() return soon */
};

/* A named CPU model of -cpu. */
struct CpuModel {
    const char *name;     /* "e8c" */
    const char *aliases;  /* comma separated, or NULL */
    const char *help;
    uint8_t isa;          /* 1..7 */
    uint8_t mdl;          /* IDR.mdl */
    uint8_t rev;          /* IDR.rev */
};

extern const CpuModel cpu_models[]; /* ends with name NULL */
/* By name or alias, "elbrus-8c" spellings and "v1".."v7"; NULL if unknown. */
const CpuModel *cpu_model_find(const char *name);

/*
 * A CPU in the reset state (state.md section 9).  n_regs and n_frames size
 * the two linear stacks: reserved, not committed.  NULL when memory is short.
 */
E2kCpu *cpu_new(const CpuModel *model, const CpuOps *ops, void *opaque,
                size_t n_regs, size_t n_frames);
void cpu_free(E2kCpu *cpu);
/* Back to the state after cpu_new(); system mode, between runs. */
void cpu_reset(E2kCpu *cpu);

/* Architectural images of the unpacked state. */
uint64_t cpu_get_lsr(const E2kCpu *cpu);
void cpu_set_lsr(E2kCpu *cpu, uint64_t value); /* also sets ILCR */
uint64_t cpu_get_ilcr(const E2kCpu *cpu);
void cpu_set_ilcr(E2kCpu *cpu, uint64_t value);
uint64_t cpu_get_wd(const E2kCpu *cpu);
uint64_t cpu_get_br(const E2kCpu *cpu);
void cpu_set_br(E2kCpu *cpu, uint64_t value);
/* Any state register as rrd sees it; EXC_ILLEGAL_OPCODE when undefined. */
Exception cpu_read_state(E2kCpu *cpu, unsigned number, uint64_t *value);
/*
 * As rwd: EXC_PRIV_ACTION from user code where only the system may write.
 * cpu_check_state_write() is the check alone.
 */
Exception cpu_write_state(E2kCpu *cpu, unsigned number, uint64_t value);
Exception cpu_check_state_write(const E2kCpu *cpu, unsigned number);

/* Versions before 6 trap floating point while UPSR.fe is off. */
static inline bool cpu_fp_enabled(const E2kCpu *cpu)
{
    return cpu->isa >= 6 || (cpu->upsr & UPSR_FE);
}

/* Where direct memory ends: direct_end, or with the 48-bit address. */
static inline uint64_t cpu_direct_end(const E2kCpu *cpu)
{
    return cpu->direct_end ? cpu->direct_end : UINT64_C(1) << 48;
}

/*
 * Is the access within direct memory?  Beyond its end the host may have
 * memory of its own.
 */
static inline bool cpu_is_direct(const E2kCpu *cpu, uint64_t address,
                                 unsigned size_bytes)
{
    uint64_t end = cpu_direct_end(cpu);

    return address < end && size_bytes <= end - address;
}

/* Slots of accesses, behind the CPU; only when it has ops->slow_access. */
enum { CPU_SITES_OFFSET = (sizeof(E2kCpu) + 63) / 64 * 64 };

#endif
