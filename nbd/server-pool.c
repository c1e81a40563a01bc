/*
 * Worker threads: they execute requests whose backend is slow while their
 * connection's thread goes on receiving.
 *
 * Threads are started when work finds none idle, up to a fixed number, and
 * stay until the server ends.
 */
#include <string.h>

#include "nbd/server-int.h"

#define MAX_THREADS 32

typedef struct Job {
    NbdConnection *conn;
    NbdRequest request;
    uint8_t *payload;
} Job;

struct NbdPool {
    GMutex lock;
    GCond wake;
    GQueue jobs;
    GPtrArray *threads;
    unsigned idle;
    bool stopping;
};

static void finish(NbdConnection *conn, uint32_t payload)
{
    g_mutex_lock(&conn->lock);
    conn->in_flight--;
    conn->bytes_in_flight -= payload;
    g_cond_broadcast(&conn->progress);
    g_mutex_unlock(&conn->lock);
}

static void run(NbdSink *sink, Job *job)
{
    NbdConnection *conn = job->conn;
    uint32_t payload = job->request.payload;

    nbd_sink_init(sink, conn);
    nbd_execute(sink, &job->request, job->payload, NULL);
    nbd_sink_flush(sink);
    g_free(job->payload);
    g_free(job);
    finish(conn, payload);
}

static gpointer worker(gpointer opaque)
{
    NbdPool *pool = opaque;
    NbdSink sink = { 0 };

    g_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        Job *job = g_queue_pop_head(&pool->jobs);
        if (job) {
            g_mutex_unlock(&pool->lock);
            run(&sink, job);
            g_mutex_lock(&pool->lock);
            continue;
        }
        pool->idle++;
        g_cond_wait(&pool->wake, &pool->lock);
        pool->idle--;
    }
    g_mutex_unlock(&pool->lock);
    g_free(sink.buf);
    return NULL;
}

NbdPool *nbd_pool_new(void)
{
    NbdPool *pool = g_new0(NbdPool, 1);

    g_mutex_init(&pool->lock);
    g_cond_init(&pool->wake);
    g_queue_init(&pool->jobs);
    pool->threads = g_ptr_array_new();
    return pool;
}

void nbd_pool_free(NbdPool *pool)
{
    g_mutex_lock(&pool->lock);
    pool->stopping = true;
    g_cond_broadcast(&pool->wake);
    g_mutex_unlock(&pool->lock);
    for (guint i = 0; i < pool->threads->len; i++) {
        g_thread_join(pool->threads->pdata[i]);
    }
    g_ptr_array_unref(pool->threads);
    g_mutex_clear(&pool->lock);
    g_cond_clear(&pool->wake);
    g_free(pool);
}

void nbd_pool_submit(NbdPool *pool, NbdConnection *conn,
                     const NbdRequest *request, uint8_t *payload)
{
    Job *job = g_new(Job, 1);

    *job = (Job){ conn, *request, payload };
    g_mutex_lock(&conn->lock);
    while (conn->in_flight >= NBD_MAX_INFLIGHT ||
           (conn->in_flight &&
            conn->bytes_in_flight + request->payload > NBD_MAX_BYTES)) {
        g_cond_wait(&conn->progress, &conn->lock);
    }
    conn->in_flight++;
    conn->bytes_in_flight += request->payload;
    g_mutex_unlock(&conn->lock);

    g_mutex_lock(&pool->lock);
    g_queue_push_tail(&pool->jobs, job);
    if (pool->idle < pool->jobs.length && pool->threads->len < MAX_THREADS) {
        GThread *thread = g_thread_try_new("nbd-worker", worker, pool, NULL);
        if (thread) {
            g_ptr_array_add(pool->threads, thread);
        }
    }
    job = NULL;
    if (pool->threads->len == 0) {
        /* No thread to be had: do it here rather than never. */
        job = g_queue_pop_tail(&pool->jobs);
    } else {
        g_cond_signal(&pool->wake);
    }
    g_mutex_unlock(&pool->lock);
    if (job) {
        NbdSink sink = { 0 };
        run(&sink, job);
        g_free(sink.buf);
    }
}

void nbd_pool_wait(NbdConnection *conn, unsigned n)
{
    g_mutex_lock(&conn->lock);
    while (conn->in_flight > n) {
        g_cond_wait(&conn->progress, &conn->lock);
    }
    g_mutex_unlock(&conn->lock);
}
