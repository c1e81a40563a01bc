/*
 * System calls on the hardware stacks: longjmp, backtraces, raw access.
 * Source: shared facts "linux/abi.md" sections 4.3, 7.1, 7.4, 7.5.
 */
#include "linux-user/hw-stack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "linux-user/signal.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"

enum {
    CHAIN_FRAME = 32,
    JMP_BYTES = 64,
    JMP_PSIZE = 0x40,      /* the only psize a setjmp caller leaves */
    BOTTOM_PM_BIT = 57,
};

static unsigned frame_wbs(const ChainFrame *frame)
{
    return extract64(frame->cr1_lo, 33, 7);
}

static bool frame_is_kernel(const ChainFrame *frame)
{
    return frame->cr1_lo >> BOTTOM_PM_BIT & 1;
}

bool hw_stack_at_bottom(const E2kCpu *cpu)
{
    return cpu->frame <= cpu->frames;
}

void hw_stack_copy_state(E2kCpu *to, const E2kCpu *from)
{
    memcpy(to, from, CPU_STATE_BYTES);
}

void hw_stack_pop(E2kCpu *cpu)
{
    ChainFrame frame = *cpu->frame;
    unsigned wbs = frame_wbs(&frame);
    uint64_t size = frame.cr1_hi >> 36 << 4;

    cpu->win -= 2 * wbs;
    cpu->win_tags -= 2 * wbs;
    cpu->wsz = cpu->psize + wbs;
    cpu->psize = extract64(frame.cr1_lo, 26, 7);
    cpu->wfx = frame.cr1_lo >> 25 & 1;
    cpu->wdbl = frame.cr1_hi >> 35 & 1;
    cpu_set_br(cpu, frame.cr1_hi & 0xfffffff);
    cpu->pf = frame.cr0_lo;
    cpu->usd_base += size - cpu->usd_size;
    cpu->usd_size = size;
    cpu->ip = frame.cr0_hi & CR0_HI_IP;
    memset(cpu->ctpr, 0, sizeof(cpu->ctpr));
    cpu->frame--;
}

/* ------------------------------------------------------------------ */
/* longjmp */

static void refuse_jump(UserThread *thread)
{
    signal_raise(thread, SIGKILL, SI_KERNEL, 0, 0);
}

int64_t sys_longjmp2(UserThread *thread, const uint64_t *args)
{
    E2kCpu *cpu = thread->cpu;
    uint8_t jmp[JMP_BYTES];
    ChainFrame *target;
    uint64_t address;
    uint64_t index;
    uint64_t mask;
    unsigned wbs;

    if (!guest_read(args[0], jmp, sizeof(jmp))) {
        return -EFAULT;
    }
    address = (ldq_le_p(jmp + 24) & UINT64_C(0xffffffffffff)) +
              ldl_le_p(jmp + 32) + (int64_t)(int32_t)ldl_le_p(jmp + 40);
    index = (address - cpu->pcsp_base) / CHAIN_FRAME;
    if (address < cpu->pcsp_base || index > (uint64_t)(cpu->frame - cpu->frames)
        || (ldl_le_p(jmp + 60) & 0x7ff) != JMP_PSIZE ||
        (ldq_le_p(jmp + 16) >> BOTTOM_PM_BIT & 1)) {
        refuse_jump(thread);
        return RESULT_NONE;
    }
    target = cpu->frames + index;
    signal_drop_records(thread, target);
    while (cpu->frame > target) {
        hw_stack_pop(cpu);
    }
    /* The setjmp frame itself, with what setjmp saw in it. */
    cpu->frame->cr0_hi = ldq_le_p(jmp + 8);
    cpu->frame->cr1_lo = deposit64(
        cpu->frame->cr1_lo, 25, 15, extract64(ldq_le_p(jmp + 16), 25, 15));
    cpu->frame->cr1_hi = deposit64(cpu->frame->cr1_hi, 0, 28,
                                   ldl_le_p(jmp + 44) & 0xfffffff);
    wbs = frame_wbs(cpu->frame);
    if (2 * wbs > (size_t)(cpu->win - cpu->regs)) {
        refuse_jump(thread);
        return RESULT_NONE;
    }
    cpu->psize = JMP_PSIZE / 16;
    hw_stack_pop(cpu);
    cpu->win[2 * wbs].lo = args[1];
    cpu->win_tags[2 * wbs] = 0;
    mask = ldq_le_p(jmp);
    if (mask & (UINT64_C(1) << (SIGKILL - 1))) {
        signal_set_mask(thread, mask);
    }
    return RESULT_NONE;
}

/* ------------------------------------------------------------------ */
/* Backtraces */

int64_t sys_get_backtrace(UserThread *thread, const uint64_t *args)
{
    const E2kCpu *cpu = thread->cpu;
    const ChainFrame *frame = cpu->frame - 1 - (int64_t)MIN(args[2], 1u << 30);
    bool narrow = thread->narrow;
    uint64_t count = 0;

    if (args[3]) {
        return -EINVAL;
    }
    for (; frame > cpu->frames && count < args[1]; frame--) {
        uint64_t ip = frame->cr0_hi & CR0_HI_IP;

        if (frame_is_kernel(frame)) {
            continue;
        }
        if (!guest_write(args[0] + count * (narrow ? 4 : 8), &ip,
                         narrow ? 4 : 8)) {
            return -EFAULT;
        }
        count++;
    }
    return count;
}

int64_t sys_set_backtrace(UserThread *thread, const uint64_t *args)
{
    E2kCpu *cpu = thread->cpu;
    AddressMap *map = thread->process->map;
    ChainFrame *frame = cpu->frame - 1 - (int64_t)MIN(args[2], 1u << 30);
    bool narrow = thread->narrow;
    uint64_t count = 0;

    if (args[3]) {
        return -EINVAL;
    }
    for (; frame > cpu->frames && count < args[1]; frame--) {
        uint64_t ip = 0;
        int prot;

        if (frame_is_kernel(frame)) {
            continue;
        }
        if (!guest_read(args[0] + count * (narrow ? 4 : 8), &ip,
                        narrow ? 4 : 8)) {
            return count ? (int64_t)count : -EFAULT;
        }
        prot = address_map_prot(map, ip);
        if (prot < 0) {
            return count ? (int64_t)count : -ESRCH;
        }
        if (!(prot & PROT_EXEC)) {
            return count ? (int64_t)count : -EPERM;
        }
        frame->cr0_hi = ip & CR0_HI_IP;
        count++;
    }
    return count;
}

/* Fast call 5: the caller's return address. */
int64_t hw_stack_set_return(UserThread *thread, uint64_t ip, uint64_t flags)
{
    if (flags) {
        return -EINVAL;
    }
    if (ip >= USER_LIMIT) {
        return -EFAULT;
    }
    if (hw_stack_at_bottom(thread->cpu)) {
        return -ESRCH;
    }
    thread->cpu->frame->cr0_hi = ip & CR0_HI_IP;
    return 0;
}

int64_t sys_syswork(UserThread *thread, const uint64_t *args)
{
    const ChainFrame *frame = thread->cpu->frame;
    uint64_t value;

    switch (args[0]) {
    case 58:
        return 0;
    case 57:
        switch (args[1]) {
        case 0:
            value = frame->cr0_lo;
            break;
        case 1:
            value = frame->cr0_hi;
            break;
        case 2:
            value = frame->cr1_lo;
            break;
        case 3:
            value = frame->cr1_hi;
            break;
        default:
            return -EINVAL;
        }
        return guest_write(args[2], &value, 8) ? 0 : -EFAULT;
    case 8:
        return -EPERM;
    default:
        return 38;
    }
}

/* ------------------------------------------------------------------ */
/* access_hw_stacks */

/* Bytes of the procedure stack in memory format, from a byte offset. */
static void read_proc_stack(const E2kCpu *cpu, uint64_t offset, uint8_t *to,
                            uint64_t size)
{
    for (uint64_t i = 0; i < size; i += 8) {
        uint64_t word = (offset + i) / 8;
        uint64_t pair = word / 4;
        unsigned part = word % 4;
        /* v1..v4: lo lo ext ext; v5 and later: lo ext lo ext. */
        unsigned reg = cpu->isa >= 5 ? part / 2 : part % 2;
        bool ext = cpu->isa >= 5 ? part % 2 : part / 2;
        const RegSlot *slot = cpu->regs + 2 * pair + reg;

        stq_le_p(to + i, ext ? slot->ext : slot->lo);
    }
}

static void write_proc_stack(E2kCpu *cpu, uint64_t offset, const uint8_t *from,
                             uint64_t size)
{
    for (uint64_t i = 0; i < size; i += 8) {
        uint64_t word = (offset + i) / 8;
        unsigned part = word % 4;
        unsigned reg = cpu->isa >= 5 ? part / 2 : part % 2;
        bool ext = cpu->isa >= 5 ? part % 2 : part / 2;
        RegSlot *slot = cpu->regs + 2 * (word / 4) + reg;

        if (ext) {
            slot->ext = ldq_le_p(from + i);
        } else {
            slot->lo = ldq_le_p(from + i);
            cpu->reg_tags[slot - cpu->regs] = 0;
        }
    }
}

static void read_chain_stack(const E2kCpu *cpu, uint64_t offset, uint8_t *to,
                             uint64_t size)
{
    for (uint64_t i = 0; i < size; i += CHAIN_FRAME) {
        ChainFrame frame = cpu->frames[(offset + i) / CHAIN_FRAME];

        if ((offset + i) == 0) {
            frame = (ChainFrame){ .cr1_lo = UINT64_C(1) << BOTTOM_PM_BIT };
        }
        memcpy(to + i, &frame, CHAIN_FRAME);
    }
}

void hw_stack_copy(const E2kCpu *cpu, bool chain, uint64_t offset,
                   uint8_t *to, uint64_t size)
{
    if (chain) {
        read_chain_stack(cpu, offset, to, size);
    } else {
        read_proc_stack(cpu, offset, to, size);
    }
}

/* Only addresses and window fields of user frames may change. */
static void write_chain_stack(E2kCpu *cpu, uint64_t offset,
                              const uint8_t *from, uint64_t size)
{
    for (uint64_t i = 0; i < size; i += 8) {
        ChainFrame *frame = &cpu->frames[(offset + i) / CHAIN_FRAME];
        uint64_t value = ldq_le_p(from + i);

        if (frame_is_kernel(frame) || offset + i < CHAIN_FRAME) {
            continue;
        }
        switch ((offset + i) % CHAIN_FRAME) {
        case 8:
            frame->cr0_hi = value & CR0_HI_IP;
            break;
        case 16:
            frame->cr1_lo = deposit64(frame->cr1_lo, 25, 15,
                                      extract64(value, 25, 15));
            break;
        default:
            break;
        }
    }
}

int64_t sys_access_hw_stacks(UserThread *thread, const uint64_t *args)
{
    enum {
        READ_CHAIN, READ_PROC, WRITE_PROC, CHAIN_OFFSET, CHAIN_SIZE, PROC_SIZE,
        READ_CHAIN_EX, READ_PROC_EX, WRITE_PROC_EX, WRITE_CHAIN_EX,
        READ_CHAIN_NATIVE, MODES
    };
    E2kCpu *cpu = thread->cpu;
    uint64_t mode = args[0];
    uint64_t chain_used = (uint64_t)(cpu->frame - cpu->frames) * CHAIN_FRAME;
    uint64_t proc_used = (uint64_t)(cpu->win - cpu->regs) * 16;
    bool chain = mode == READ_CHAIN || mode == READ_CHAIN_EX ||
                 mode == WRITE_CHAIN_EX || mode == READ_CHAIN_NATIVE;
    uint64_t limit = chain ? chain_used + (mode >= READ_CHAIN_EX ? CHAIN_FRAME
                                                                 : 0)
                           : proc_used;
    uint64_t base = chain ? cpu->pcsp_base : cpu->psp_base;
    g_autofree uint8_t *bytes = NULL;
    uint64_t frame = 0;
    uint64_t offset = 0;
    uint64_t size = args[3];
    bool write = mode == WRITE_PROC || mode == WRITE_PROC_EX ||
                 mode == WRITE_CHAIN_EX;

    if (mode >= MODES) {
        return -EINVAL;
    }
    if (mode == CHAIN_SIZE || mode == PROC_SIZE) {
        uint64_t result = mode == CHAIN_SIZE ? chain_used + CHAIN_FRAME
                                             : proc_used;

        return guest_write(args[4], &result, 8) ? 0 : -EFAULT;
    }
    if (mode != WRITE_PROC && !guest_read(args[1], &frame, 8)) {
        return -EFAULT;
    }
    if (mode == CHAIN_OFFSET) {
        offset = frame - cpu->pcsp_base;
        if (frame < cpu->pcsp_base || offset > chain_used) {
            return -ESRCH;
        }
        return guest_write(args[4], &offset, 8) ? 0 : -EFAULT;
    }
    if (mode == READ_CHAIN || mode == READ_PROC) {
        uint64_t want = frame - base;

        if (frame < base || want > limit) {
            return -EAGAIN;
        }
        if (args[4] && !guest_write(args[4], &want,
                                    thread->narrow ? 4 : 8)) {
            return -EFAULT;
        }
        if (want > size) {
            return -ENOMEM;
        }
        size = want;
    } else if (mode != WRITE_PROC) {
        offset = frame;
    }
    if (size > limit || offset > limit - size ||
        (size | offset) % (chain && !write ? CHAIN_FRAME : 8)) {
        return -EINVAL;
    }
    bytes = g_try_malloc(size + CHAIN_FRAME);
    if (!bytes) {
        return -ENOMEM;
    }
    if (write) {
        if (!guest_read(args[2], bytes, size)) {
            return -EFAULT;
        }
        if (chain) {
            write_chain_stack(cpu, offset, bytes, size);
        } else {
            write_proc_stack(cpu, offset, bytes, size);
        }
        return 0;
    }
    if (chain) {
        read_chain_stack(cpu, offset, bytes, size);
    } else {
        read_proc_stack(cpu, offset, bytes, size);
    }
    return guest_write(args[2], bytes, size) ? 0 : -EFAULT;
}
