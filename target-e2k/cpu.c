/*
 * Life of a CPU structure and the architectural images of its unpacked state.
 *
 * The two linear stacks are anonymous mappings without reserved memory, so
 * that a stack sized for the deepest recursion allowed costs only what is
 * touched.  One spare window lies on each side of the registers: operand
 * addresses of a bundle whose bounds check failed stay inside the mapping.
 *
 * State registers are in cpu-state.c, the models in cpu-models.c.
 */
#include "target-e2k/cpu.h"

#include <string.h>
#include <sys/mman.h>

#include "target-e2k/interp.h"
#include "target-e2k/jit.h"

enum {
    SPARE_REGS = 256,
    LSR_ECNT_SHIFT = 32,
    LSR_VLC_SHIFT = 37,
    LSR_OVER_SHIFT = 38,
    LSR_LDMC_SHIFT = 39,
    LSR_LDOVL_SHIFT = 40,
    LSR_PCNT_SHIFT = 48,
    LSR_STRMD_SHIFT = 53,
    LSR_SEMC_SHIFT = 60,
};

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static size_t regs_bytes(const E2kCpu *cpu)
{
    return (cpu->regs_mapped + 2 * SPARE_REGS) * sizeof(RegSlot);
}

static size_t tags_bytes(const E2kCpu *cpu)
{
    return cpu->regs_mapped + 2 * SPARE_REGS;
}

static bool allocate_stacks(E2kCpu *cpu, size_t n_regs, size_t n_frames)
{
    cpu->n_regs = n_regs;
    cpu->n_frames = n_frames;
    cpu->regs_mapped = n_regs;
    cpu->frames_mapped = n_frames;
    RegSlot *regs = reserve(regs_bytes(cpu));
    uint8_t *tags = reserve(tags_bytes(cpu));
    cpu->frames = reserve(n_frames * sizeof(ChainFrame));
    if (!regs || !tags || !cpu->frames) {
        if (regs) {
            munmap(regs, regs_bytes(cpu));
        }
        if (tags) {
            munmap(tags, tags_bytes(cpu));
        }
        if (cpu->frames) {
            munmap(cpu->frames, n_frames * sizeof(ChainFrame));
        }
        return false;
    }
    cpu->regs = regs + SPARE_REGS;
    cpu->reg_tags = tags + SPARE_REGS;
    return true;
}

/* state.md section 9; everything else is zero. */
static void set_initial_state(E2kCpu *cpu)
{
    cpu->regs_bottom = cpu->regs;
    cpu->frames_bottom = cpu->frames;
    cpu->win = cpu->regs;
    cpu->win_tags = cpu->reg_tags;
    cpu->frame = cpu->frames;
    cpu->wsz = 4;
    cpu->psize = 4;
    cpu->wfx = true;
    cpu->upsr = UPSR_FE | UPSR_NMIE;
    cpu->pfpfr = 0x1f80;
    cpu->fpcr = 0x37f;
    cpu->bgr_val = 0xff;
    cpu->exception = EXC_NONE;
}

void cpu_reset(E2kCpu *cpu)
{
    g_autofree E2kCpu *old = g_new(E2kCpu, 1);

    *old = *cpu;
    memset(cpu, 0, sizeof(*cpu));
    cpu->guest_base = old->guest_base;
    cpu->direct_memory = old->direct_memory;
    cpu->soft_tlb = old->soft_tlb;
    cpu->tlb_generation = old->tlb_generation + 1;
    cpu->code_space = old->code_space;
    cpu->direct_end = old->direct_end;
    cpu->code_epoch = old->code_epoch + 1;
    cpu->regs = old->regs;
    cpu->reg_tags = old->reg_tags;
    cpu->n_regs = cpu->regs_mapped = old->regs_mapped;
    cpu->frames = old->frames;
    cpu->n_frames = cpu->frames_mapped = old->frames_mapped;
    cpu->tcg = old->tcg;
    cpu->jit = old->jit;
    cpu->isa = old->isa;
    cpu->model = old->model;
    cpu->ops = old->ops;
    cpu->opaque = old->opaque;
    cpu->engine = old->engine;
    cpu->interp = old->interp;
    cpu->system = old->system;
    cpu->stop_request = old->stop_request;
    madvise(cpu->regs - SPARE_REGS, regs_bytes(cpu), MADV_DONTNEED);
    madvise(cpu->reg_tags - SPARE_REGS, tags_bytes(cpu), MADV_DONTNEED);
    madvise(cpu->frames, cpu->n_frames * sizeof(ChainFrame), MADV_DONTNEED);
    set_initial_state(cpu);
}

E2kCpu *cpu_new(const CpuModel *model, const CpuOps *ops, void *opaque,
                size_t n_regs, size_t n_frames)
{
    E2kCpu *cpu = g_try_malloc0(
        ops->slow_access ? CPU_SITES_OFFSET + sizeof(SoftTlbSites)
                         : sizeof(*cpu));

    if (!cpu) {
        return NULL;
    }
    if (!allocate_stacks(cpu, n_regs, n_frames)) {
        g_free(cpu);
        return NULL;
    }
    cpu->isa = model->isa;
    cpu->model = model;
    cpu->ops = ops;
    cpu->opaque = opaque;
    set_initial_state(cpu);
    return cpu;
}

void cpu_free(E2kCpu *cpu)
{
    if (!cpu) {
        return;
    }
    interp_cpu_free(cpu);
    engine_cpu_free(cpu);
    munmap(cpu->regs - SPARE_REGS, regs_bytes(cpu));
    munmap(cpu->reg_tags - SPARE_REGS, tags_bytes(cpu));
    munmap(cpu->frames, cpu->frames_mapped * sizeof(ChainFrame));
    g_free(cpu);
}

uint64_t cpu_get_lsr(const E2kCpu *cpu)
{
    return (uint32_t)cpu->lcnt |
           (uint64_t)(cpu->ecnt & 31) << LSR_ECNT_SHIFT |
           (uint64_t)cpu->vlc << LSR_VLC_SHIFT |
           (uint64_t)cpu->over << LSR_OVER_SHIFT |
           (uint64_t)cpu->ldmc << LSR_LDMC_SHIFT |
           (uint64_t)cpu->ldovl << LSR_LDOVL_SHIFT |
           (uint64_t)(cpu->pcnt & 31) << LSR_PCNT_SHIFT |
           (uint64_t)(cpu->strmd & 127) << LSR_STRMD_SHIFT |
           (uint64_t)cpu->semc << LSR_SEMC_SHIFT;
}

void cpu_set_lsr(E2kCpu *cpu, uint64_t value)
{
    cpu->lcnt = (uint32_t)value;
    cpu->ecnt = value >> LSR_ECNT_SHIFT & 31;
    cpu->vlc = value >> LSR_VLC_SHIFT & 1;
    cpu->over = value >> LSR_OVER_SHIFT & 1;
    cpu->ldmc = value >> LSR_LDMC_SHIFT & 1;
    cpu->ldovl = value >> LSR_LDOVL_SHIFT & 0xff;
    cpu->pcnt = value >> LSR_PCNT_SHIFT & 31;
    cpu->strmd = value >> LSR_STRMD_SHIFT & 127;
    cpu->semc = value >> LSR_SEMC_SHIFT & 1;
    cpu->ilcr_lcnt = cpu->lcnt;
    cpu->ilcr_ecnt = cpu->ecnt;
    cpu->ilcr_pcnt = cpu->pcnt;
}

uint64_t cpu_get_ilcr(const E2kCpu *cpu)
{
    return (uint32_t)cpu->ilcr_lcnt |
           (uint64_t)(cpu->ilcr_ecnt & 31) << LSR_ECNT_SHIFT |
           (uint64_t)(cpu->ilcr_pcnt & 31) << LSR_PCNT_SHIFT;
}

void cpu_set_ilcr(E2kCpu *cpu, uint64_t value)
{
    cpu->ilcr_lcnt = (uint32_t)value;
    cpu->ilcr_ecnt = value >> LSR_ECNT_SHIFT & 31;
    cpu->ilcr_pcnt = value >> LSR_PCNT_SHIFT & 31;
}

uint64_t cpu_get_wd(const E2kCpu *cpu)
{
    uint64_t base = (cpu->win - cpu->regs) % 224 * 8;

    return base | (uint64_t)cpu->wsz * 16 << 16 |
           (uint64_t)cpu->psize * 16 << 32 | (uint64_t)cpu->wfx << 48 |
           (uint64_t)(cpu->wdbl && cpu->isa >= 3) << 49;
}

uint64_t cpu_get_br(const E2kCpu *cpu)
{
    return cpu->rbs | cpu->rsz << 6 | cpu->rcur << 12 | cpu->psz << 18 |
           (uint64_t)cpu->pcur << 23;
}

void cpu_set_br(E2kCpu *cpu, uint64_t value)
{
    cpu->rbs = value & 63;
    cpu->rsz = value >> 6 & 63;
    cpu->rcur = value >> 12 & 63;
    cpu->psz = value >> 18 & 31;
    cpu->pcur = value >> 23 & 31;
}
