/*
 * Memory helpers of generated code.
 */
#include "target-e2k/sem.h"

#include "target-e2k/translate-int.h"

static void G_GNUC_NORETURN leave(E2kCpu *cpu, const void *site)
{
    cpu->jit.site = site;
    tcg_unwind(cpu, TRANS_EXIT_INTERP);
}

uint64_t sem_load(E2kCpu *cpu, uint64_t address, uint64_t size_bytes,
                  const void *site)
{
    uint64_t value = 0;
    if (cpu->ops->load(cpu, address, size_bytes, 0, false, &value) !=
        EXC_NONE) {
        leave(cpu, site);
    }
    return value;
}

void sem_store(E2kCpu *cpu, uint64_t address, uint64_t size_bytes,
               uint64_t value, const void *site)
{
    if (cpu->ops->store(cpu, address, size_bytes, 0, &value) != EXC_NONE) {
        leave(cpu, site);
    }
}
