/*
 * The down counter of local interrupt controllers: LAPIC and CEPIC have it
 * twice, once for a vector and once for a non-maskable interrupt.
 *
 *   INITIAL --written--> counts at 100 MHz / DIVIDER --0--> fire(), again when
 *                                                          LVT says periodic
 *
 * Nothing ticks: the count is computed when it is read.  All of it is under
 * the lock of the device that has it.
 */
#ifndef HW_LOCAL_TIMER_H
#define HW_LOCAL_TIMER_H

#include "system/device.h"
#include "system/machine.h"

enum {
    LOCAL_TIMER_MASKED = 1 << 16,
    LOCAL_TIMER_PERIODIC = 1 << 17,
};

typedef struct LocalTimer {
    Device *device;
    ClockTimer *clock;
    void (*fire)(void *opaque); /* the count has ended; lock held */
    void *opaque;
    uint32_t lvt, initial, divider;
    int64_t start_ns; /* when the count was initial */
    bool is_over;     /* a one-shot count has ended */
} LocalTimer;

extern const StateField local_timer_fields[];

void local_timer_init(LocalTimer *timer, Device *device,
                      void (*fire)(void *opaque), void *opaque);
void local_timer_clear(LocalTimer *timer);
/* lvt: what the register has after a reset. */
void local_timer_reset(LocalTimer *timer, uint32_t lvt);
/* After a snapshot was loaded. */
void local_timer_resume(LocalTimer *timer);
uint32_t local_timer_current(const LocalTimer *timer);
void local_timer_set_initial(LocalTimer *timer, uint32_t initial);
/* The register's value: 0xb is by one. */
void local_timer_set_divider(LocalTimer *timer, uint32_t divider);

#endif
