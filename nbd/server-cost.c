/*
 * How long does the backend keep a thread?  Kept per export and kind of
 * request, as exponential averages.
 *
 * Wall time is cheap to take but on a busy machine also counts the time other
 * programs had the CPU.  So when it looks slow, the kernel is asked what the
 * thread did: if it slept, the wall time counts; if not, its CPU time.  The
 * two questions cost nothing next to a request that takes that long.
 */
#include <sys/resource.h>
#include <time.h>

#include "nbd/server-int.h"

/* Copying a byte through the page cache is not slowness. */
#define BYTES_PER_NS 2

gint64 nbd_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static gint64 timeval_ns(const struct timeval *tv)
{
    return (tv->tv_sec * INT64_C(1000000) + tv->tv_usec) * 1000;
}

static void sample_thread(gint64 *cpu_ns, long *sleeps)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    *cpu_ns = timeval_ns(&usage.ru_utime) + timeval_ns(&usage.ru_stime);
    *sleeps = usage.ru_nvcsw;
}

/* Races between threads lose a sample at worst. */
static void average(gint *old, gint64 sample)
{
    gint value = g_atomic_int_get(old);

    sample = CLAMP(sample, 0, 100000000);
    g_atomic_int_set(old, value + (gint)((sample - value) / 8));
}

void nbd_cost_begin(NbdExport *e, unsigned type, NbdCost *cost)
{
    cost->suspect = g_atomic_int_get(&e->wall_ns[type]) > NBD_SLOW_NS;
    if (cost->suspect) {
        sample_thread(&cost->cpu_ns, &cost->sleeps);
    }
    cost->start_ns = nbd_now_ns();
}

void nbd_cost_end(NbdExport *e, unsigned type, uint64_t bytes, NbdCost *cost)
{
    gint64 wall = nbd_now_ns() - cost->start_ns;
    gint64 copying = (gint64)(MIN(bytes, NBD_MAX_PAYLOAD) / BYTES_PER_NS);
    gint64 cpu;
    long sleeps;

    average(&e->wall_ns[type], wall - copying);
    if (cost->suspect) {
        sample_thread(&cpu, &sleeps);
        average(&e->cost_ns[type],
                (sleeps != cost->sleeps ? wall : cpu - cost->cpu_ns) -
                    copying);
    }
}

bool nbd_cost_is_slow(NbdExport *e, unsigned type)
{
    return g_atomic_int_get(&e->wall_ns[type]) > NBD_SLOW_NS &&
           g_atomic_int_get(&e->cost_ns[type]) > NBD_SLOW_NS;
}
