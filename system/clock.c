/*
 * Guest time and timers; see clock.h.
 *
 * Armed timers sit in a small array sorted by deadline, the earliest last, so
 * that taking one is O(1).  Machines have a handful of timers: no heap.
 */
#include "system/clock.h"

#include <glib.h>

struct ClockTimer {
    Clock *clock;
    void (*fire)(void *opaque);
    void *opaque;
    /* Under clock->lock. */
    bool armed;
    int64_t deadline_ns;
};

struct Clock {
    GMutex lock;
    GCond changed;    /* deadline, run state or quit changed */
    GCond fired;      /* firing became NULL */
    GThread *thread;
    /* Under lock. */
    bool running;
    bool quit;
    int64_t stopped_at_ns; /* guest time while not running */
    int64_t offset_ns;     /* guest time = host time - offset while running */
    GPtrArray *armed;      /* ClockTimer, latest deadline first */
    ClockTimer *firing;
};

static int64_t host_now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

static int64_t now_locked(const Clock *clock)
{
    return clock->running ? host_now_ns() - clock->offset_ns
                          : clock->stopped_at_ns;
}

static void disarm_locked(ClockTimer *timer)
{
    if (timer->armed) {
        g_ptr_array_remove(timer->clock->armed, timer);
        timer->armed = false;
    }
}

static ClockTimer *earliest_locked(const Clock *clock)
{
    GPtrArray *armed = clock->armed;

    return armed->len ? g_ptr_array_index(armed, armed->len - 1) : NULL;
}

/* Runs the timer with the lock dropped. */
static void fire_locked(Clock *clock, ClockTimer *timer)
{
    disarm_locked(timer);
    clock->firing = timer;
    g_mutex_unlock(&clock->lock);
    timer->fire(timer->opaque);
    g_mutex_lock(&clock->lock);
    clock->firing = NULL;
    g_cond_broadcast(&clock->fired);
}

static void *clock_thread(void *opaque)
{
    Clock *clock = opaque;

    g_mutex_lock(&clock->lock);
    while (!clock->quit) {
        ClockTimer *timer = clock->running ? earliest_locked(clock) : NULL;

        if (!timer) {
            g_cond_wait(&clock->changed, &clock->lock);
            continue;
        }
        int64_t wait_ns = timer->deadline_ns - now_locked(clock);

        if (wait_ns > 0) {
            g_cond_wait_until(&clock->changed, &clock->lock,
                              g_get_monotonic_time() + (wait_ns + 999) / 1000);
            continue;
        }
        fire_locked(clock, timer);
    }
    g_mutex_unlock(&clock->lock);
    return NULL;
}

Clock *clock_new(void)
{
    Clock *clock = g_new0(Clock, 1);

    g_mutex_init(&clock->lock);
    g_cond_init(&clock->changed);
    g_cond_init(&clock->fired);
    clock->armed = g_ptr_array_new();
    clock->thread = g_thread_new("clock", clock_thread, clock);
    return clock;
}

void clock_free(Clock *clock)
{
    if (!clock) {
        return;
    }
    g_mutex_lock(&clock->lock);
    g_assert(clock->armed->len == 0);
    clock->quit = true;
    g_cond_broadcast(&clock->changed);
    g_mutex_unlock(&clock->lock);
    g_thread_join(clock->thread);
    g_ptr_array_free(clock->armed, TRUE);
    g_mutex_clear(&clock->lock);
    g_cond_clear(&clock->changed);
    g_cond_clear(&clock->fired);
    g_free(clock);
}

int64_t clock_now_ns(Clock *clock)
{
    g_mutex_lock(&clock->lock);
    int64_t now_ns = now_locked(clock);

    g_mutex_unlock(&clock->lock);
    return now_ns;
}

void clock_start(Clock *clock)
{
    g_mutex_lock(&clock->lock);
    if (!clock->running) {
        clock->offset_ns = host_now_ns() - clock->stopped_at_ns;
        clock->running = true;
        g_cond_broadcast(&clock->changed);
    }
    g_mutex_unlock(&clock->lock);
}

void clock_stop(Clock *clock)
{
    g_mutex_lock(&clock->lock);
    clock->stopped_at_ns = now_locked(clock);
    clock->running = false;
    g_mutex_unlock(&clock->lock);
}

void clock_set_now_ns(Clock *clock, int64_t now_ns)
{
    g_mutex_lock(&clock->lock);
    g_assert(!clock->running);
    clock->stopped_at_ns = now_ns;
    g_mutex_unlock(&clock->lock);
}

ClockTimer *clock_timer_new(Clock *clock, void (*fire)(void *opaque),
                            void *opaque)
{
    ClockTimer *timer = g_new0(ClockTimer, 1);

    timer->clock = clock;
    timer->fire = fire;
    timer->opaque = opaque;
    return timer;
}

void clock_timer_free(ClockTimer *timer)
{
    if (!timer) {
        return;
    }
    Clock *clock = timer->clock;

    g_mutex_lock(&clock->lock);
    disarm_locked(timer);
    while (clock->firing == timer && g_thread_self() != clock->thread) {
        g_cond_wait(&clock->fired, &clock->lock);
    }
    disarm_locked(timer); /* its callback may have armed it again */
    g_mutex_unlock(&clock->lock);
    g_free(timer);
}

void clock_timer_set(ClockTimer *timer, int64_t deadline_ns)
{
    Clock *clock = timer->clock;
    GPtrArray *armed = clock->armed;
    guint at = 0;

    g_mutex_lock(&clock->lock);
    disarm_locked(timer);
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    while (at < armed->len && ((ClockTimer *)g_ptr_array_index(armed, at))
                                      ->deadline_ns > deadline_ns) {
        at++;
    }
    g_ptr_array_insert(armed, at, timer);
    if (at == armed->len - 1) {
        g_cond_broadcast(&clock->changed);
    }
    g_mutex_unlock(&clock->lock);
}

void clock_timer_cancel(ClockTimer *timer)
{
    g_mutex_lock(&timer->clock->lock);
    disarm_locked(timer);
    g_mutex_unlock(&timer->clock->lock);
}
