/* Requests side by side; see parallel.h. */
#include "block/parallel.h"

#include <glib.h>

#define POOL_THREADS 64

typedef struct Group {
    BlockParallelFn *fn;
    void *opaque;
    GMutex lock;
    GCond done;
    unsigned running; /* lock */
} Group;

/* On the caller's stack until running is 0. */
typedef struct Task {
    Group *group;
    unsigned index;
} Task;

static void run_task(gpointer data, gpointer unused)
{
    Task *task = data;
    Group *group = task->group;

    group->fn(group->opaque, task->index);
    g_mutex_lock(&group->lock);
    if (--group->running == 0) {
        g_cond_signal(&group->done);
    }
    g_mutex_unlock(&group->lock);
}

static GThreadPool *pool(void)
{
    static gsize once;
    static GThreadPool *threads;

    if (g_once_init_enter(&once)) {
        threads = g_thread_pool_new(run_task, NULL, POOL_THREADS, FALSE,
                                    NULL);
        g_once_init_leave(&once, 1);
    }
    return threads;
}

void block_parallel(unsigned n, BlockParallelFn *fn, void *opaque)
{
    Task tasks[BLOCK_PARALLEL_MAX];
    Group group = { .fn = fn, .opaque = opaque, .running = n - 1 };

    if (n > 1) {
        g_mutex_init(&group.lock);
        g_cond_init(&group.done);
        for (unsigned i = 1; i < n; i++) {
            tasks[i] = (Task){ &group, i };
            g_thread_pool_push(pool(), &tasks[i], NULL);
        }
    }
    fn(opaque, 0);
    if (n > 1) {
        g_mutex_lock(&group.lock);
        while (group.running) {
            g_cond_wait(&group.done, &group.lock);
        }
        g_mutex_unlock(&group.lock);
        g_mutex_clear(&group.lock);
        g_cond_clear(&group.done);
    }
}
