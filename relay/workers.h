/**
 * @file workers.h
 * @brief Threads for what waits (signer, disk, CA, signatures), and the way back to the event loop.
 */
#ifndef AW_RELAY_WORKERS_H
#define AW_RELAY_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/result.h"

/** Something to do; embedded in what it is about. */
struct relay_job {
    void (*work)(struct relay_job *job); /**< on a worker */
    void (*done)(struct relay_job *job); /**< after that, on the loop: relay_workers_collect() */
    struct relay_job *next;              /**< of the queue it is in */
};

/** The threads and their queue. */
struct relay_workers;

/** Starts that many threads; they take no signals. Release: relay_workers_stop. */
AW_MUST_USE aw_result relay_workers_start(
    size_t threads, size_t queue_max, struct relay_workers **out);

/** Does what is queued, ends the threads, collects, releases and nulls; NULL is allowed. */
void relay_workers_stop(struct relay_workers **slot);

/** Queues a job; false when as many wait as may (`urgent` ones always may). */
bool relay_workers_put(struct relay_workers *workers, struct relay_job *job, bool urgent);

/** A descriptor that can be read when there is something to collect. */
int relay_workers_fd(const struct relay_workers *workers);

/** Calls done() of all jobs that were worked, in that order. */
void relay_workers_collect(struct relay_workers *workers);

#endif
