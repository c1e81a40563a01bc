/*
 * See box.h.
 */
#include "tests/insn/box.h"

#include <signal.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tcg/host-access.h"

enum { PAGE = 4096 };

static void on_fault(int sig, siginfo_t *info, void *context)
{
    /* Page-fault error code, bit 1: a write. */
    ucontext_t *uc = context;
    bool write = uc->uc_mcontext.gregs[REG_ERR] & 2;

    if (!engine_handle_fault(context, (uintptr_t)info->si_addr, write)) {
        signal(sig, SIG_DFL);
    }
}

void box_init(void)
{
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    const char *accel = g_getenv("E2K_TEST_ACCEL");
    if (accel && !box_accel(accel)) {
        exit(EXIT_FAILURE);
    }
}

static Exception data_fault(E2kCpu *cpu, uint64_t address, unsigned size,
                            AccessKind kind)
{
    cpu->fault.address = address;
    cpu->fault.size_bytes = size;
    cpu->fault.kind = kind;
    return EXC_DATA_PAGE;
}

static Exception box_load(E2kCpu *cpu, uint64_t address, unsigned size,
                          unsigned mas, bool speculative, void *value)
{
    if (cpu_is_direct(cpu, address, size) &&
        host_load(cpu->guest_base + address, size, value)) {
        return EXC_NONE;
    }
    return data_fault(cpu, address, size, ACCESS_LOAD);
}

static Exception box_store(E2kCpu *cpu, uint64_t address, unsigned size,
                           unsigned mas, const void *value)
{
    if (cpu_is_direct(cpu, address, size) &&
        host_store(cpu->guest_base + address, size, value)) {
        return EXC_NONE;
    }
    return data_fault(cpu, address, size, ACCESS_STORE);
}

static Exception box_probe(E2kCpu *cpu, uint64_t address, unsigned size,
                           AccessKind kind)
{
    uint8_t bytes[16];

    if (cpu_is_direct(cpu, address, size) &&
        host_load(cpu->guest_base + address, size, bytes)) {
        return EXC_NONE;
    }
    return data_fault(cpu, address, size, kind);
}

static Exception box_cmpxchg(E2kCpu *cpu, uint64_t address, unsigned size,
                             const void *expected, const void *value,
                             bool *swapped)
{
    if (cpu_is_direct(cpu, address, size) &&
        host_cmpxchg(cpu->guest_base + address, size, expected, value,
                     swapped)) {
        return EXC_NONE;
    }
    return data_fault(cpu, address, size, ACCESS_STORE);
}

static Exception box_fetch(E2kCpu *cpu, uint64_t address, uint8_t bytes[64],
                           unsigned *got)
{
    *got = 0;
    while (*got < 64 && cpu_is_direct(cpu, address + *got, 8) &&
           host_load(cpu->guest_base + address + *got, 8, bytes + *got)) {
        *got += 8;
    }
    return *got ? EXC_NONE : EXC_INSTR_PAGE_MISS;
}

static const CpuOps box_ops = {
    .load = box_load,
    .store = box_store,
    .probe = box_probe,
    .cmpxchg = box_cmpxchg,
    .fetch = box_fetch,
};

static uint8_t *map_space(void)
{
    uint8_t *base = mmap(NULL, BOX_SPACE + BOX_BEYOND, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED || mprotect(base + BOX_SPACE, BOX_BEYOND,
                                       PROT_READ | PROT_WRITE) < 0) {
        return NULL;
    }
    memset(base + BOX_SPACE, 0xa5, BOX_BEYOND);
    return base;
}

Box *box_new(const char *model)
{
    Box *box = g_new0(Box, 1);
    const CpuModel *m = cpu_model_find(model);

    box->base = map_space();
    box->cpu = m ? cpu_new(m, &box_ops, box, 1 << 16, 1 << 12) : NULL;
    if (!box->base || !box->cpu) {
        fprintf(stderr, "cannot make a CPU of model %s\n", model);
        exit(EXIT_FAILURE);
    }
    box->cpu->guest_base = (uintptr_t)box->base;
    box->cpu->direct_memory = true;
    box->cpu->direct_end = BOX_SPACE;
    return box;
}

void box_free(Box *box)
{
    cpu_free(box->cpu);
    munmap(box->base, BOX_SPACE + BOX_BEYOND);
    g_free(box);
}

const char *box_model_of_isa(unsigned isa)
{
    static const char *const names[] = {"v1", "v2", "v3", "v4", "v5", "v6",
                                        "v7"};

    return names[isa - 1];
}

void box_map(Box *box, uint64_t address, uint64_t size)
{
    uint64_t start = address & ~(uint64_t)(PAGE - 1);
    uint64_t end = (address + size + PAGE - 1) & ~(uint64_t)(PAGE - 1);

    if (end > BOX_SPACE || end < start ||
        mprotect(box->base + start, end - start, PROT_READ | PROT_WRITE) < 0) {
        fprintf(stderr, "cannot map guest memory at 0x%" PRIx64 "\n", address);
        exit(EXIT_FAILURE);
    }
}

void *box_at(Box *box, uint64_t address)
{
    return box->base + address;
}

void box_reset(Box *box, unsigned window_pairs)
{
    E2kCpu *cpu = box->cpu;

    cpu->win = cpu->regs + 64;
    cpu->win_tags = cpu->reg_tags + 64;
    cpu->regs_bottom = cpu->regs;
    cpu->frame = cpu->frames + 1;
    memset(cpu->frames, 0, 2 * sizeof(cpu->frames[0]));
    memset(cpu->win, 0, 256 * sizeof(RegSlot));
    memset(cpu->win_tags, 0, 256);
    memset(cpu->g, 0, sizeof(cpu->g));
    memset(cpu->g_tags, 0, sizeof(cpu->g_tags));
    cpu->wsz = window_pairs;
    cpu->psize = window_pairs < 4 ? window_pairs : 4;
    cpu->wdbl = false;
    cpu->wfx = true;
    cpu_set_br(cpu, 0);
    cpu_set_lsr(cpu, 0);
    cpu->pf = 0;
    memset(cpu->ctpr, 0, sizeof(cpu->ctpr));
    cpu->pfpfr = 0x1f80;
    cpu->fpcr = 0x37f;
    cpu->fpsr = 0;
    cpu->upsr = UPSR_FE | UPSR_NMIE;
    cpu->psr = 0;
    cpu->bgr_val = 0xff;
    cpu->bgr_cur = 0;
    memset(&cpu->aau, 0, sizeof(cpu->aau));
    memset(&cpu->lock, 0, sizeof(cpu->lock));
    memset(cpu->dam, 0, sizeof(cpu->dam));
    cpu->dam_live = 0;
    cpu->resume.armed = false;
    cpu->stop_request = 0;
}

static EngineConfig engine_config;

bool box_accel(const char *text)
{
    EngineKind kind;
    g_autoptr(GError) error = NULL;

    if (!engine_parse(text, &kind, &engine_config, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return false;
    }
    return true;
}

void box_use_engine(EngineKind kind)
{
    g_autoptr(GError) error = NULL;

    if (!engine_init(kind, &engine_config, &error)) {
        fprintf(stderr, "%s\n", error->message);
        exit(EXIT_FAILURE);
    }
}
