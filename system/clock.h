/*
 * Guest time and timers.
 *
 * A clock counts nanoseconds of guest time: host monotonic time less the time
 * the machine was stopped.  One thread per clock sleeps until the earliest
 * deadline and runs the callbacks of the timers that are due, one after
 * another; a callback may set its own timer again.
 *
 *   clock --> sorted array of armed timers --> thread
 *
 * All functions may be called from any thread.  No lock is held during a
 * callback.  A callback may still be about to run after clock_timer_cancel()
 * returns on another thread: callbacks check their device's state under its
 * lock.
 */
#ifndef SYSTEM_CLOCK_H
#define SYSTEM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NS_PER_SEC INT64_C(1000000000)

typedef struct Clock Clock;
typedef struct ClockTimer ClockTimer;

/* A clock at guest time 0, stopped. */
Clock *clock_new(void);
/* Ends the thread; all timers must be freed before. */
void clock_free(Clock *clock);

int64_t clock_now_ns(Clock *clock);
/* Starts and stops guest time; timers fire only while it runs. */
void clock_start(Clock *clock);
void clock_stop(Clock *clock);
/* Snapshots: sets guest time of a stopped clock. */
void clock_set_now_ns(Clock *clock, int64_t now_ns);

ClockTimer *clock_timer_new(Clock *clock, void (*fire)(void *opaque),
                            void *opaque);
void clock_timer_free(ClockTimer *timer);
/* Arms, or moves, a timer to an absolute guest time. */
void clock_timer_set(ClockTimer *timer, int64_t deadline_ns);
void clock_timer_cancel(ClockTimer *timer);

#endif
