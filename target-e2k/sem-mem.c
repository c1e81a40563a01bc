/*
 * Memory helpers of generated code: accesses through the embedder, atomic
 * brackets, masked stores.
 *
 * An access that fails leaves generated code at the site, before anything
 * else of its bundle has been changed; the interpreter executes the bundle
 * and reports the exception.
 */
#include "target-e2k/sem.h"

#include <stdbool.h>
#include <string.h>

#include "target-e2k/translate-int.h"
#include "tcg/host-access.h"

void G_GNUC_NORETURN sem_leave(E2kCpu *cpu, const void *site)
{
    cpu->jit.site = site;
    tcg_unwind(cpu, TRANS_EXIT_INTERP);
}

/* how: size in bytes | specifier << 8 */
static void load(E2kCpu *cpu, uint64_t address, uint64_t how,
                 const void *site, void *value)
{
    if (cpu->ops->load(cpu, address, how & 0xff, how >> 8, false, value) !=
        EXC_NONE) {
        sem_leave(cpu, site);
    }
}

uint64_t sem_load(E2kCpu *cpu, uint64_t address, uint64_t how,
                  const void *site)
{
    uint64_t value = 0;
    load(cpu, address, how, site, &value);
    return value;
}

SemVec sem_load16(E2kCpu *cpu, uint64_t address, uint64_t how,
                  const void *site)
{
    SemVec value;
    load(cpu, address, how, site, &value);
    return value;
}

static void store(E2kCpu *cpu, uint64_t address, uint64_t how,
                  const void *value, const void *site)
{
    if (cpu->ops->store(cpu, address, how & 0xff, how >> 8, value) !=
        EXC_NONE) {
        sem_leave(cpu, site);
    }
}

void sem_store(E2kCpu *cpu, uint64_t address, uint64_t how, uint64_t value,
               const void *site)
{
    store(cpu, address, how, &value, site);
}

/* Vector arguments do not count among the integer ones. */
void sem_store16(E2kCpu *cpu, uint64_t address, uint64_t how, SemVec value,
                 const void *site)
{
    store(cpu, address, how, &value, site);
}

/* ------------------------------------------------------------------------
 * Accesses of either kind of memory
 */

static bool read_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                       void *value)
{
    return cpu->direct_memory
               ? cpu_is_direct(cpu, address, size) &&
                     host_load(cpu->guest_base + address, size, value)
               : cpu->ops->load(cpu, address, size, 0, false, value) ==
                     EXC_NONE;
}

static bool write_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                        const void *value)
{
    return cpu->direct_memory
               ? cpu_is_direct(cpu, address, size) &&
                     host_store(cpu->guest_base + address, size, value)
               : cpu->ops->store(cpu, address, size, 0, value) == EXC_NONE;
}

static bool swap_bytes(E2kCpu *cpu, uint64_t address, unsigned size,
                       const void *value, bool *swapped)
{
    return cpu->direct_memory
               ? cpu_is_direct(cpu, address, size) &&
                     host_cmpxchg(cpu->guest_base + address, size,
                                  cpu->lock.value, value, swapped)
               : cpu->ops->cmpxchg(cpu, address, size, cpu->lock.value, value,
                                   swapped) == EXC_NONE;
}

void sem_store_masked(E2kCpu *cpu, uint64_t address, uint64_t mask,
                      SemVec value, const void *site)
{
    uint8_t bytes[16];

    memcpy(bytes, &value, 16);
    if ((mask & 0xffff) == 0xffff) {
        if (!write_bytes(cpu, address, 16, bytes)) {
            sem_leave(cpu, site);
        }
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        if (mask >> i & 1 && !write_bytes(cpu, address + i, 1, bytes + i)) {
            sem_leave(cpu, site);
        }
    }
}

/* ------------------------------------------------------------------------
 * Atomic brackets; semantics.md 5.2
 */

static void load_lock(E2kCpu *cpu, uint64_t address, unsigned size,
                      const void *site, uint8_t value[16])
{
    memset(value, 0, 16);
    /* Needs the rights of the store that is to follow. */
    if ((cpu->system && cpu->ops->probe(cpu, address, size, ACCESS_STORE) !=
                            EXC_NONE) ||
        !read_bytes(cpu, address, size, value)) {
        sem_leave(cpu, site);
    }
    cpu->lock.armed = true;
    cpu->lock.size_bytes = size;
    cpu->lock.address = address;
    memcpy(cpu->lock.value, value, 16);
}

uint64_t sem_load_lock(E2kCpu *cpu, uint64_t address, uint64_t size,
                       const void *site)
{
    uint8_t bytes[16];
    uint64_t value;

    load_lock(cpu, address, size, site, bytes);
    memcpy(&value, bytes, 8);
    return value;
}

SemVec sem_load_lock16(E2kCpu *cpu, uint64_t address, uint64_t size,
                       const void *site)
{
    uint8_t bytes[16];
    SemVec value;

    load_lock(cpu, address, size, site, bytes);
    memcpy(&value, bytes, 16);
    return value;
}

/*
 * Is the lock lost?  how: size | (a branch asks for the outcome) << 8.  The
 * lock is given up only when the store has been made or refused.
 */
static bool store_unlock(E2kCpu *cpu, uint64_t address, unsigned how,
                         const void *value, const void *site)
{
    unsigned size = how & 0xff;
    bool asked = how >> 8;
    bool lost = false, done = true;

    if (!asked) {
        done = write_bytes(cpu, address, size, value);
    } else if (!cpu->lock.armed) {
        lost = true;
    } else if (cpu->lock.address == address && cpu->lock.size_bytes == size) {
        bool swapped = false;
        done = swap_bytes(cpu, address, size, value, &swapped);
        lost = !swapped;
    } else {
        uint8_t now[16];
        lost = read_bytes(cpu, cpu->lock.address, cpu->lock.size_bytes,
                          now) &&
               memcmp(now, cpu->lock.value, cpu->lock.size_bytes) != 0;
        done = lost || write_bytes(cpu, address, size, value);
    }
    if (!done) {
        sem_leave(cpu, site);
    }
    cpu->lock.armed = false;
    return lost;
}

uint64_t sem_store_unlock(E2kCpu *cpu, uint64_t address, uint64_t how,
                          uint64_t value, const void *site)
{
    return store_unlock(cpu, address, how, &value, site);
}

uint64_t sem_store_unlock16(E2kCpu *cpu, uint64_t address, uint64_t how,
                            SemVec value, const void *site)
{
    return store_unlock(cpu, address, how, &value, site);
}
