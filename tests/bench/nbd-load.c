/*
 * A load generator for NBD servers, on libnbd, so that every server sees the
 * same client.
 *
 *   nbd-load URI read|write seq|rand BLOCK DEPTH CONNECTIONS MILLISECONDS
 *
 * One thread per connection, each with DEPTH requests in flight.  Prints one
 * line: requests, bytes, seconds.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

typedef struct Slot {
    struct Job *job;
    char *buf;
    bool busy;
} Slot;

typedef struct Job {
    const char *uri;
    bool write, random;
    size_t block;
    unsigned depth, number, count;
    double seconds;

    struct nbd_handle *nbd;
    Slot *slots;
    unsigned in_flight;
    uint64_t done;
    uint64_t seed;
    int failed;
} Job;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static uint64_t next_random(Job *job)
{
    job->seed ^= job->seed << 13;
    job->seed ^= job->seed >> 7;
    job->seed ^= job->seed << 17;
    return job->seed;
}

static int completed(void *opaque, int *error)
{
    Slot *slot = opaque;

    slot->busy = false;
    slot->job->in_flight--;
    slot->job->done++;
    slot->job->failed |= *error;
    return 1;
}

static int submit(Job *job, Slot *slot, uint64_t offset)
{
    nbd_completion_callback done = { .callback = completed,
                                     .user_data = slot };
    int64_t cookie;

    slot->busy = true;
    job->in_flight++;
    cookie = job->write
                 ? nbd_aio_pwrite(job->nbd, slot->buf, job->block, offset,
                                  done, 0)
                 : nbd_aio_pread(job->nbd, slot->buf, job->block, offset,
                                 done, 0);
    return cookie < 0 ? -1 : 0;
}

static void *run(void *opaque)
{
    Job *job = opaque;
    int64_t size;
    uint64_t blocks;
    uint64_t next;
    double end;

    job->nbd = nbd_create();
    if (!job->nbd || nbd_connect_uri(job->nbd, job->uri) < 0 ||
        (size = nbd_get_size(job->nbd)) < (int64_t)job->block) {
        fprintf(stderr, "nbd-load: %s\n", nbd_get_error());
        job->failed = 1;
        return NULL;
    }
    blocks = size / job->block;
    next = blocks / job->count * job->number;
    end = now() + job->seconds;
    while (!job->failed && (now() < end || job->in_flight)) {
        bool more = now() < end;
        for (unsigned i = 0; more && i < job->depth; i++) {
            if (!job->slots[i].busy) {
                uint64_t at = job->random ? next_random(job) % blocks
                                          : next++ % blocks;
                job->failed |= submit(job, &job->slots[i], at * job->block);
            }
        }
        if (job->in_flight && nbd_poll(job->nbd, -1) < 0) {
            job->failed = 1;
        }
    }
    if (job->failed) {
        fprintf(stderr, "nbd-load: %s\n", nbd_get_error());
    }
    nbd_shutdown(job->nbd, 0);
    nbd_close(job->nbd);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned count;
    pthread_t *threads;
    uint64_t done = 0;
    double start;
    Job *jobs;
    int failed = 0;

    if (argc != 8) {
        fprintf(stderr, "usage: nbd-load URI read|write seq|rand BLOCK DEPTH "
                        "CONNECTIONS MILLISECONDS\n");
        return 1;
    }
    count = atoi(argv[6]);
    jobs = calloc(count, sizeof(*jobs));
    threads = calloc(count, sizeof(*threads));
    start = now();
    for (unsigned i = 0; i < count; i++) {
        Job *job = &jobs[i];
        *job = (Job){ .uri = argv[1], .write = !strcmp(argv[2], "write"),
                      .random = !strcmp(argv[3], "rand"),
                      .block = strtoull(argv[4], NULL, 0),
                      .depth = atoi(argv[5]), .number = i, .count = count,
                      .seconds = atoi(argv[7]) / 1e3,
                      .seed = 0x9e3779b97f4a7c15u + i };
        job->slots = calloc(job->depth, sizeof(Slot));
        for (unsigned k = 0; k < job->depth; k++) {
            job->slots[k].job = job;
            job->slots[k].buf = malloc(job->block);
            memset(job->slots[k].buf, 0x5a, job->block);
        }
        pthread_create(&threads[i], NULL, run, job);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        done += jobs[i].done;
        failed |= jobs[i].failed;
    }
    printf("requests %" PRIu64 " bytes %" PRIu64 " seconds %.6f\n", done,
           done * (uint64_t)strtoull(argv[4], NULL, 0), now() - start);
    return failed ? 1 : 0;
}
