/*
 * A few blocking requests of one job at the same time.
 *
 *     job thread --> task 0
 *     shared pool --> task 1, task 2, ...      all end before the call does
 */
#ifndef BLOCK_PARALLEL_H
#define BLOCK_PARALLEL_H

#define BLOCK_PARALLEL_MAX 16u

typedef void BlockParallelFn(void *opaque, unsigned index);

/* Runs fn for 0..n-1, n <= BLOCK_PARALLEL_MAX; index 0 in this thread.  fn
 * must not need locks or drained sections that the caller holds. */
void block_parallel(unsigned n, BlockParallelFn *fn, void *opaque);

#endif
