/*
 * Fault-tolerant memory accesses; the contract is in host-access.h.
 *
 * x86-64: every routine is a leaf without a stack frame between
 * host_access_begin and host_access_end.  A fault there is answered by moving
 * the program counter to host_access_fail, which returns 0 to the caller.
 */
#include "tcg/host-access.h"

#include <string.h>
#include <ucontext.h>

#ifdef __x86_64__

/* rdi: host address, rsi: buffer; return 1, or 0 through the fault path. */
#define ACCESSOR(name, body)                                                   \
    ".type " #name ", @function\n" #name ":\n" body                            \
    "mov $1, %eax\nret\n.size " #name ", . - " #name "\n"
#define LOAD(name, reg, move)                                                  \
    ACCESSOR(name, move " (%rdi), " reg "\n" move " " reg ", (%rsi)\n")
#define STORE(name, reg, move)                                                 \
    ACCESSOR(name, move " (%rsi), " reg "\n" move " " reg ", (%rdi)\n")

/* rdi: address, rsi: expected, rdx: new value, rcx: bool *swapped. */
#define CMPXCHG(name, a, d)                                                    \
    ACCESSOR(name, "mov (%rsi), %" a "\nmov (%rdx), %" d "\n"                  \
             "lock cmpxchg %" d ", (%rdi)\nsete (%rcx)\n")

__asm__(
    ".text\n.p2align 4\nhost_access_begin:\n"
    LOAD(host_load_1, "%al", "mov")
    LOAD(host_load_2, "%ax", "mov")
    LOAD(host_load_4, "%eax", "mov")
    LOAD(host_load_8, "%rax", "mov")
    LOAD(host_load_16, "%xmm0", "movups")
    STORE(host_store_1, "%al", "mov")
    STORE(host_store_2, "%ax", "mov")
    STORE(host_store_4, "%eax", "mov")
    STORE(host_store_8, "%rax", "mov")
    STORE(host_store_16, "%xmm0", "movups")
    CMPXCHG(host_cmpxchg_1, "al", "dl")
    CMPXCHG(host_cmpxchg_2, "ax", "dx")
    CMPXCHG(host_cmpxchg_4, "eax", "edx")
    CMPXCHG(host_cmpxchg_8, "rax", "rdx")
    /* rdi: to, rsi: from, rdx: size. */
    ACCESSOR(host_copy_bytes, "mov %rdx, %rcx\nrep movsb\n")
    /* cmpxchg16b takes rbx, which the caller keeps: it waits in r8. */
    "host_access_wide:\n"
    ACCESSOR(host_cmpxchg_16,
             "mov %rbx, %r8\nmov %rcx, %r9\n"
             "mov (%rdx), %rbx\nmov 8(%rdx), %rcx\n"
             "mov (%rsi), %rax\nmov 8(%rsi), %rdx\n"
             "lock cmpxchg16b (%rdi)\nsete (%r9)\nmov %r8, %rbx\n")
    ".type host_access_fail, @function\n"
    "host_access_fail_wide:\nmov %r8, %rbx\n"
    "host_access_fail:\nxor %eax, %eax\nret\n"
    ".size host_access_fail, . - host_access_fail\n"
    "host_access_end:\n");

typedef int AccessFn(uintptr_t address, const void *buffer);
typedef int CmpxchgFn(uintptr_t address, const void *expected,
                      const void *value, bool *swapped);

extern AccessFn host_load_1, host_load_2, host_load_4, host_load_8,
    host_load_16, host_store_1, host_store_2, host_store_4, host_store_8,
    host_store_16;
extern CmpxchgFn host_cmpxchg_1, host_cmpxchg_2, host_cmpxchg_4,
    host_cmpxchg_8, host_cmpxchg_16;
extern int host_copy_bytes(uintptr_t to, uintptr_t from, size_t size);
extern const char host_access_begin[], host_access_wide[], host_access_end[],
    host_access_fail[], host_access_fail_wide[];

bool host_load(uintptr_t address, unsigned size_bytes, void *value)
{
    switch (size_bytes) {
    case 1:
        return host_load_1(address, value);
    case 2:
        return host_load_2(address, value);
    case 4:
        return host_load_4(address, value);
    case 8:
        return host_load_8(address, value);
    default:
        return host_load_16(address, value);
    }
}

bool host_store(uintptr_t address, unsigned size_bytes, const void *value)
{
    switch (size_bytes) {
    case 1:
        return host_store_1(address, value);
    case 2:
        return host_store_2(address, value);
    case 4:
        return host_store_4(address, value);
    case 8:
        return host_store_8(address, value);
    default:
        return host_store_16(address, value);
    }
}

bool host_copy_from(void *to, uintptr_t from, size_t size_bytes)
{
    return host_copy_bytes((uintptr_t)to, from, size_bytes);
}

bool host_copy_to(uintptr_t to, const void *from, size_t size_bytes)
{
    return host_copy_bytes(to, (uintptr_t)from, size_bytes);
}

bool host_cmpxchg(uintptr_t address, unsigned size_bytes, const void *expected,
                  const void *value, bool *swapped)
{
    switch (size_bytes) {
    case 1:
        return host_cmpxchg_1(address, expected, value, swapped);
    case 2:
        return host_cmpxchg_2(address, expected, value, swapped);
    case 4:
        return host_cmpxchg_4(address, expected, value, swapped);
    case 8:
        return host_cmpxchg_8(address, expected, value, swapped);
    default:
        return host_cmpxchg_16(address, expected, value, swapped);
    }
}

bool host_access_recover(void *ucontext)
{
    ucontext_t *context = ucontext;
    greg_t *pc = &context->uc_mcontext.gregs[REG_RIP];

    if ((uintptr_t)*pc < (uintptr_t)host_access_begin ||
        (uintptr_t)*pc >= (uintptr_t)host_access_end) {
        return false;
    }
    *pc = (greg_t)(uintptr_t)((uintptr_t)*pc >= (uintptr_t)host_access_wide
                                  ? host_access_fail_wide
                                  : host_access_fail);
    return true;
}

#else /* other hosts: let the kernel look */

#include <sys/uio.h>
#include <unistd.h>

bool host_copy_from(void *to, uintptr_t from, size_t size_bytes)
{
    struct iovec local = { to, size_bytes };
    struct iovec remote = { (void *)from, size_bytes };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) ==
           (ssize_t)size_bytes;
}

bool host_copy_to(uintptr_t to, const void *from, size_t size_bytes)
{
    struct iovec local = { (void *)from, size_bytes };
    struct iovec remote = { (void *)to, size_bytes };

    return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) ==
           (ssize_t)size_bytes;
}

bool host_load(uintptr_t address, unsigned size_bytes, void *value)
{
    return host_copy_from(value, address, size_bytes);
}

bool host_store(uintptr_t address, unsigned size_bytes, const void *value)
{
    return host_copy_to(address, value, size_bytes);
}

bool host_cmpxchg(uintptr_t address, unsigned size_bytes, const void *expected,
                  const void *value, bool *swapped)
{
    uint8_t old[16];

    if ((address & (size_bytes - 1)) ||
        !host_copy_from(old, address, size_bytes)) {
        return false;
    }
    switch (size_bytes) {
#define SWAP(bits)                                                             \
    case bits / 8: {                                                           \
        uint##bits##_t want;                                                   \
        uint##bits##_t put;                                                    \
        memcpy(&want, expected, sizeof(want));                                 \
        memcpy(&put, value, sizeof(put));                                      \
        *swapped = __atomic_compare_exchange_n((uint##bits##_t *)address,      \
                                               &want, put, false,              \
                                               __ATOMIC_SEQ_CST,               \
                                               __ATOMIC_SEQ_CST);              \
        return true;                                                           \
    }
    SWAP(8)
    SWAP(16)
    SWAP(32)
    SWAP(64)
#undef SWAP
    default:
        return false; /* no portable 16-byte swap */
    }
}

bool host_access_recover(void *ucontext)
{
    return false;
}

#endif

bool host_readable(uintptr_t address, size_t size_bytes)
{
    uintptr_t end = address + size_bytes;
    uint8_t byte;

    if (end < address) {
        return false;
    }
    for (uintptr_t at = address; at < end; at = (at | 4095) + 1) {
        if (!host_load(at, 1, &byte)) {
            return false;
        }
    }
    return true;
}
