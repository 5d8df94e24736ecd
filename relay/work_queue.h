/**
 * @file work_queue.h
 * @brief What waits for the threads of work.c, and whose turn it is. The caller has a lock.
 *
 * Of what is due, the application that has the fewest threads is next, and of that the job that was
 * due first. No application has all threads, so that the next one's first job starts at once; and
 * validations, which whoever is validated can make slow, have half of them at the most.
 */
#ifndef AW_RELAY_WORK_QUEUE_H
#define AW_RELAY_WORK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "relay/problem.h"

/** What is to be done with an order. */
enum work_kind {
    WORK_FINALIZE,
    WORK_VALIDATE, /**< one of its challenges */
    WORK_RECORD,   /**< its certificate goes to the signer's inventory */
};

/** An application that has jobs. */
struct work_share;

/** One thing to do. */
struct work_job {
    struct work_job *next;
    struct work_share *share;
    enum work_kind kind;
    int64_t ticket;
    size_t number; /**< of the authorization to validate, from 1 */
    int64_t due;   /**< as aw_now_ms */
    int64_t wait;  /**< before the last try */
    unsigned tries;
    bool fresh; /**< its client may wait, and nothing was tried before */
    bool over;
    unsigned holders;             /**< whoever works on it or waits for it, and the queue */
    struct relay_problem problem; /**< that its client is told */
};

/** Zeroed but for `threads`, it is empty. */
struct work_queue {
    size_t threads; /**< that take jobs */
    struct work_job *first;
    struct work_share *shares;
    size_t validating; /**< jobs that were taken and are not given back */
};

/** Makes a job of an application, which is due now and is the caller's: work_queue_drop(). */
AW_MUST_USE aw_result work_queue_job(
    struct work_queue *queue, const char *application, struct work_job **out);

/** Whose job it is. */
const char *work_queue_application(const struct work_job *job);

/** Makes one more of a job's application and ticket. */
AW_MUST_USE aw_result work_queue_join(
    struct work_queue *queue, const struct work_job *of, struct work_job **out);

/** Puts it in; the holder is the queue from now on. */
void work_queue_put(struct work_queue *queue, struct work_job *job);

/** Whose turn it is, taken out; NULL: nobody's, *due says when to ask again, unless something is
 * put in or given back before. */
struct work_job *work_queue_take(struct work_queue *queue, int64_t now, int64_t *due);

/** The job that was taken is not worked on any more. */
void work_queue_give_back(struct work_queue *queue, const struct work_job *job);

/** One holder less; the last one releases it. */
void work_queue_drop(struct work_queue *queue, struct work_job *job);

/** Drops all that wait. */
void work_queue_empty(struct work_queue *queue);

#endif
