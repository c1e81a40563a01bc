/*
 * The down counter of local interrupt controllers; see local-timer.h.  Its
 * rate is inferred: kernels take 100 MHz when firmware tells no other.
 */
#include "hw/local-timer.h"

enum { TIMER_HZ = 100000000 };

static int64_t tick_ns(const LocalTimer *timer)
{
    unsigned code = (timer->divider & 3) | (timer->divider >> 1 & 4);
    unsigned divide = code == 7 ? 1 : 2u << code;

    return divide * (CLOCK_NS_PER_SEC / TIMER_HZ);
}

static int64_t gone_ns(const LocalTimer *timer)
{
    return clock_now_ns(timer->device->machine->clock) - timer->start_ns;
}

static int64_t period_ns(const LocalTimer *timer)
{
    return (int64_t)timer->initial * tick_ns(timer);
}

void local_timer_resume(LocalTimer *timer)
{
    if (timer->initial && !timer->is_over) {
        clock_timer_set(timer->clock, timer->start_ns + period_ns(timer));
    } else {
        clock_timer_cancel(timer->clock);
    }
}

static void start(LocalTimer *timer)
{
    timer->start_ns = clock_now_ns(timer->device->machine->clock);
    timer->is_over = false;
    local_timer_resume(timer);
}

static void expire(void *opaque)
{
    LocalTimer *timer = opaque;

    g_mutex_lock(timer->device->lock);
    int64_t period = period_ns(timer), gone = gone_ns(timer);

    if (timer->initial && !timer->is_over && gone >= period) {
        if (!(timer->lvt & LOCAL_TIMER_MASKED)) {
            timer->fire(timer->opaque);
        }
        timer->is_over = !(timer->lvt & LOCAL_TIMER_PERIODIC);
        if (!timer->is_over) {
            /* Periods that were missed are not made up for. */
            timer->start_ns += gone / period * period;
            local_timer_resume(timer);
        }
    }
    g_mutex_unlock(timer->device->lock);
}

uint32_t local_timer_current(const LocalTimer *timer)
{
    int64_t gone = gone_ns(timer) / tick_ns(timer);

    if (!timer->initial) {
        return 0;
    }
    if (timer->lvt & LOCAL_TIMER_PERIODIC) {
        return timer->initial - gone % timer->initial;
    }
    return gone >= timer->initial ? 0 : timer->initial - gone;
}

void local_timer_set_initial(LocalTimer *timer, uint32_t initial)
{
    timer->initial = initial;
    start(timer);
}

void local_timer_set_divider(LocalTimer *timer, uint32_t divider)
{
    timer->divider = divider & 0xf;
    start(timer);
}

void local_timer_reset(LocalTimer *timer, uint32_t lvt)
{
    clock_timer_cancel(timer->clock);
    timer->lvt = lvt;
    timer->initial = timer->divider = 0;
    timer->is_over = false;
}

void local_timer_init(LocalTimer *timer, Device *device,
                      void (*fire)(void *opaque), void *opaque)
{
    timer->device = device;
    timer->fire = fire;
    timer->opaque = opaque;
    timer->clock = clock_timer_new(device->machine->clock, expire, timer);
}

void local_timer_clear(LocalTimer *timer)
{
    clock_timer_free(timer->clock);
}

const StateField local_timer_fields[] = {
    STATE_FIELD(LocalTimer, lvt), STATE_FIELD(LocalTimer, initial),
    STATE_FIELD(LocalTimer, divider), STATE_FIELD(LocalTimer, start_ns),
    STATE_FIELD(LocalTimer, is_over), STATE_END,
};
