/*
 * What the local controllers of both kinds, lapic.c and epic.c, have in
 * common: a set of them is one device, each takes messages, sends messages,
 * has two timers and a register of non-maskable causes.
 */
#ifndef HW_INTC_INT_H
#define HW_INTC_INT_H

#include "hw/intc.h"
#include "hw/local-timer.h"
#include "system/sys-cpu.h"

typedef struct Intc Intc;

/* One CPU's controller; the state of each kind begins with it. */
typedef struct IntcCpu {
    Intc *intc;
    SysCpu *cpu;
    LocalTimer timer, nm_timer;
    uint32_t icr_lo, icr_hi;
    uint32_t nm;      /* pending non-maskable causes, startup page */
    uint32_t nm_mask; /* causes that do not interrupt */
} IntcCpu;

typedef struct IntcType {
    size_t cpu_bytes; /* of the struct that begins with IntcCpu */
    uint32_t vector_mask;
    bool (*matches)(const IntcCpu *c, const IntcMessage *message);
    /* Which of two gets a message that is for one of several; may be NULL. */
    bool (*is_better)(const IntcCpu *c, const IntcCpu *than);
    void (*request)(IntcCpu *c, unsigned vector, bool level);
    bool (*is_interrupting)(const IntcCpu *c);
} IntcType;

struct Intc {
    Device device;
    const IntcType *type;
    unsigned n;
    uint8_t *cpus;
};

/* Delivery modes. */
enum {
    INTC_FIXED = 0,
    INTC_LOWEST = 1, /* CEPIC: fixed, between processors */
    INTC_SMI = 2,
    INTC_SPECIAL = 3,
    INTC_NMI = 4,
    INTC_INIT = 5,
    INTC_STARTUP = 6,
    INTC_EXTINT = 7, /* LAPIC only */
};

/* Non-maskable causes, in both kinds of registers. */
enum {
    INTC_NM_SMI = 1 << 9,
    INTC_NM_NMI = 1 << 10,
    INTC_NM_INIT = 1 << 11,
    INTC_NM_STARTUP = 1 << 12,
    INTC_NM_TIMER = 1 << 16,
    INTC_NM_SPECIAL = 1 << 17,
};

Intc *intc_new(Machine *machine, const DeviceClass *class,
               const IntcType *type, const char *id);
void intc_free(Device *device);
void intc_post_load(Device *device);
/* The part of a reset that both kinds have. */
void intc_reset_cpu(IntcCpu *c);

IntcCpu *intc_cpu(const Intc *intc, unsigned n);
/* That of the CPU that accesses the window. */
IntcCpu *intc_own(Device *device);

/* Drives the CPU's lines as the state says. */
void intc_update(IntcCpu *c);
/* A message to itself, to all others, or both. */
void intc_broadcast(IntcCpu *self, bool to_self, bool to_others,
                    const IntcMessage *message);

/* Sets of vectors. */
void intc_set_bit(uint32_t *bits, unsigned n, bool on);
int intc_highest(const uint32_t *bits, unsigned n_words); /* -1: empty */

extern const StateField intc_cpu_fields[];
#define STATE_INTC_CPU STATE_STRUCT_AT("common", 0, IntcCpu, intc_cpu_fields)
/* The controllers of a set: structs of a type, described by fields. */
#define STATE_INTC(cpu_type, cpu_fields)                                       \
    { .name = "cpus", .offset = offsetof(Intc, cpus),                          \
      .size = sizeof(cpu_type), .sub = cpu_fields, .pointer = true,            \
      .count_at = offsetof(Intc, n) }

/* ---- Registers ---------------------------------------------------------------- */

uint64_t intc_read_zero(Device *device, unsigned n);
void intc_write_ignored(Device *device, unsigned n, uint64_t value);

/* Functions that read, or read and write some bits of, a member of a
 * controller. */
#define INTC_READ(cpu_type, name, member)                                      \
    static uint64_t read_##name(Device *device, unsigned n)                    \
    {                                                                          \
        return ((cpu_type *)intc_own(device))->member;                         \
    }
#define INTC_STORAGE(cpu_type, name, member, bits)                             \
    INTC_READ(cpu_type, name, member)                                          \
    static void write_##name(Device *device, unsigned n, uint64_t value)       \
    {                                                                          \
        cpu_type *c = (cpu_type *)intc_own(device);                            \
                                                                               \
        c->member = (c->member & ~(uint32_t)(bits)) | (value & (bits));        \
    }
/* The same for the registers of a timer. */
#define INTC_TIMER(name, member, lvt_bits)                                     \
    INTC_STORAGE(IntcCpu, name##_lvt, member.lvt, lvt_bits)                    \
    INTC_READ(IntcCpu, name##_initial, member.initial)                         \
    INTC_READ(IntcCpu, name##_divider, member.divider)                         \
    static uint64_t read_##name##_current(Device *device, unsigned n)          \
    {                                                                          \
        return local_timer_current(&intc_own(device)->member);                 \
    }                                                                          \
    static void write_##name##_initial(Device *device, unsigned n,             \
                                       uint64_t value)                         \
    {                                                                          \
        local_timer_set_initial(&intc_own(device)->member, value);             \
    }                                                                          \
    static void write_##name##_divider(Device *device, unsigned n,             \
                                       uint64_t value)                         \
    {                                                                          \
        local_timer_set_divider(&intc_own(device)->member, value);             \
    }

#define INTC_RW(reg_name, at, fn)                                              \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn,            \
      .write = write_##fn }
#define INTC_RO(reg_name, at, fn)                                              \
    { .name = reg_name, .offset = at, .size = 4, .read = read_##fn,            \
      .write = intc_write_ignored }
#define INTC_WO(reg_name, at, fn)                                              \
    { .name = reg_name, .offset = at, .size = 4, .read = intc_read_zero,       \
      .write = write_##fn }

#endif
