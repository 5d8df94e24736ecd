/**
 * @file work.h
 * @brief What goes on while clients poll: orders under way and validations, in threads of their
 * own, in turn for each application (work_queue.h). Nothing of it is lost by a kill: the store says
 * what is to be gone on with at a start.
 */
#ifndef AW_RELAY_WORK_H
#define AW_RELAY_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"
#include "relay/problem.h"

struct relay;
struct stored_order;

/** Limits. */
enum {
    WORK_THREADS_MAX = 256,
    WORK_FIRST_MS = 5 * 1000,    /**< wait before an order is tried again; doubles */
    WORK_MOST_MS = 300 * 1000,   /**< longest such wait */
    WORK_AWAIT_MS = 5 * 1000,    /**< a client that finalizes is answered by then */
    WORK_PAGE = 256,             /**< orders that are read at once at a start */
    WORK_EXPIRE_MS = 600 * 1000, /**< between two looks for what is past its time */
    WORK_KEPT_OF_APPLICATION =
        4, /**< a quarter of the threads is for others than one application */
    WORK_KEPT_OF_VALIDATIONS = 2, /**< half of them is for more than validations */
};

/** Threads and what waits for them. Locks itself. */
struct relay_work;

/**
 * Starts the threads and takes up what the store says is under way.
 * @param waiters clients that may wait for an answer at a time
 */
AW_MUST_USE aw_result relay_work_start(
    struct relay *relay, size_t threads, size_t waiters, struct relay_work **out);

/** Has the threads end after what they do at the moment, waits, releases, nulls; NULL is allowed.
 */
void relay_work_stop(struct relay_work **slot);

/**
 * Finalizes an order that is processing, and waits for that, but not longer than WORK_AWAIT_MS.
 * @param[out] problem status 0, or why the signer refused it: the order is ready again; release:
 * relay_problem_free
 */
AW_MUST_USE aw_result relay_work_finalize(
    struct relay_work *work, const struct stored_order *order, struct relay_problem *problem);

/** Validates a challenge that is processing; number: of the authorization, from 1. */
AW_MUST_USE aw_result relay_work_validate(
    struct relay_work *work, const struct stored_order *order, size_t number);

#endif
