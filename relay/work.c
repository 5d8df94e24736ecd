#include "relay/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "common/lock.h"
#include "common/log.h"
#include "relay/issuance.h"
#include "relay/payload.h"
#include "relay/recording.h"
#include "relay/store.h"
#include "relay/upstream.h"
#include "relay/validation.h"
#include "relay/work_queue.h"

struct relay_work {
    struct relay *relay;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    struct work_queue queue;
    bool stopping;
    size_t waiting, waiters;
    int64_t expired_at;
    size_t thread_count;
    pthread_t threads[WORK_THREADS_MAX];
};

/* The caller holds the lock. */
static void
queue_job(struct relay_work *work, struct work_job *job)
{
    work_queue_put(&work->queue, job);
    pthread_cond_broadcast(&work->changed);
}

static void
wait_until(struct relay_work *work, int64_t due)
{
    struct timespec at = {.tv_sec = due / 1000, .tv_nsec = (due % 1000) * 1000000};

    pthread_cond_timedwait(&work->changed, &work->lock, &at);
}

/* Running; without the lock. */

static aw_result
run_order(struct relay_work *work, struct work_job *job, bool *again, bool *record)
{
    AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};
    enum issuance_end end = ISSUANCE_LATER;
    bool first = job->fresh && job->tries == 0;

    aw_result r = relay_issuance_run(work->relay, job->ticket, first, &end, &problem);
    *again = !aw_ok(r) || end == ISSUANCE_LATER;
    *record = aw_ok(r) && end == ISSUANCE_UNRECORDED;
    if (aw_ok(r) && end == ISSUANCE_REFUSED) {
        job->problem = problem;
        memset(&problem, 0, sizeof(problem));
    }
    return r;
}

static aw_result
run_kind(struct relay_work *work, struct work_job *job, bool *again, bool *record)
{
    switch (job->kind) {
    case WORK_FINALIZE:
        return run_order(work, job, again, record);
    case WORK_VALIDATE:
        return relay_validation_run(work->relay, job->ticket, job->number, job->tries, again);
    case WORK_RECORD:
        return relay_recording_run(work->relay, job->ticket, again);
    }
    return AW_OK;
}

/* Whether it is to be run again; *record: the order's certificate is to be recorded. */
static bool
run_job(struct relay_work *work, struct work_job *job, bool *record)
{
    bool again = true;

    aw_result r = run_kind(work, job, &again, record);
    if (!aw_ok(r))
        aw_log_failure(AW_LOG_WARNING, "work on an order");
    job->tries++;
    return again;
}

static int64_t
next_wait(const struct work_job *job)
{
    if (job->kind == WORK_VALIDATE)
        return VALIDATION_AGAIN_MS;
    if (job->wait == 0)
        return WORK_FIRST_MS;
    return job->wait * 2 < WORK_MOST_MS ? job->wait * 2 : WORK_MOST_MS;
}

static void
put_off(struct relay_work *work, struct work_job *job)
{
    job->wait = next_wait(job);
    job->due = aw_now_ms() + job->wait;
    queue_job(work, job);
}

/* The order is the client's by now: recording it is another job. */
static void
record_later(struct relay_work *work, const struct work_job *job)
{
    struct work_job *other;

    if (!aw_ok(work_queue_join(&work->queue, job, &other))) {
        aw_log_failure(AW_LOG_WARNING, "a certificate is recorded after the next start only");
        return;
    }
    other->kind = WORK_RECORD;
    put_off(work, other);
}

/* The lock is held at both ends. */
static void
work_on(struct relay_work *work, struct work_job *job)
{
    bool record = false;

    pthread_mutex_unlock(&work->lock);
    bool again = run_job(work, job, &record);
    pthread_mutex_lock(&work->lock);
    work_queue_give_back(&work->queue, job);
    if (record && !work->stopping)
        record_later(work, job);
    if (again && !work->stopping) {
        put_off(work, job);
        return;
    }
    job->over = true;
    pthread_cond_broadcast(&work->changed);
    work_queue_drop(&work->queue, job);
}

static void
expire(struct relay_work *work)
{
    work->expired_at = aw_now_ms();
    pthread_mutex_unlock(&work->lock);
    if (!aw_ok(relay_store_expire(work->relay->store, relay_now())))
        aw_log_failure(AW_LOG_WARNING, "forgetting old orders");
    pthread_mutex_lock(&work->lock);
}

static void *
serve(void *context)
{
    struct relay_work *work = context;
    int64_t due;

    pthread_mutex_lock(&work->lock);
    while (!work->stopping) {
        struct work_job *job = work_queue_take(&work->queue, aw_now_ms(), &due);
        if (job != NULL)
            work_on(work, job);
        else if (aw_now_ms() >= work->expired_at + WORK_EXPIRE_MS)
            expire(work);
        else
            wait_until(work, due);
    }
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

/* Starting. */

static aw_result
add(struct relay_work *work, const char *application, enum work_kind kind, int64_t ticket,
    size_t number)
{
    struct work_job *job;

    AW_HOLD(&work->lock);
    AW_TRY(work_queue_job(&work->queue, application, &job));
    job->kind = kind;
    job->ticket = ticket;
    job->number = number;
    queue_job(work, job);
    return AW_OK;
}

/* One of a page of what the store says is under way. */
static aw_result
take_up(struct relay_work *work, enum work_kind kind, const struct authorization_place *place)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    AW_TRY(relay_store_order(work->relay->store, place->ticket, &order));
    return add(work, order.application, kind, place->ticket, place->number);
}

static aw_result
list(struct relay_work *work, enum work_kind kind, int64_t after, int64_t *tickets, size_t *count)
{
    struct relay_store *store = work->relay->store;

    return kind == WORK_RECORD
               ? relay_store_unrecorded(store, after, tickets, count)
               : relay_store_orders_in(store, ORDER_PROCESSING, after, tickets, count);
}

static aw_result
take_up_orders(struct relay_work *work, enum work_kind kind)
{
    int64_t tickets[WORK_PAGE], after = 0;
    size_t count = WORK_PAGE, all = 0;

    while (count == WORK_PAGE) {
        AW_TRY(list(work, kind, after, tickets, &count));
        for (size_t i = 0; i < count; i++)
            AW_TRY(take_up(work, kind, &(struct authorization_place){.ticket = tickets[i]}));
        if (count > 0)
            after = tickets[count - 1];
        all += count;
    }
    if (all > 0)
        aw_log(AW_LOG_NOTICE, "%zu orders %s are gone on with", all,
            kind == WORK_RECORD ? "that the signer has not recorded" : "under way");
    return AW_OK;
}

static aw_result
take_up_validations(struct relay_work *work)
{
    struct authorization_place places[WORK_PAGE], after = {0};
    size_t count = WORK_PAGE;

    while (count == WORK_PAGE) {
        AW_TRY(relay_store_validating(work->relay->store, &after, places, &count));
        for (size_t i = 0; i < count; i++)
            AW_TRY(take_up(work, WORK_VALIDATE, &places[i]));
        if (count > 0)
            after = places[count - 1];
    }
    return AW_OK;
}

static aw_result
start_threads(struct relay_work *work)
{
    while (work->thread_count < work->queue.threads) {
        int status = pthread_create(&work->threads[work->thread_count], NULL, serve, work);
        if (status != 0) {
            errno = status;
            return aw_fail_errno(AW_CODE_IO, "can't start a thread for orders");
        }
        work->thread_count++;
    }
    return AW_OK;
}

aw_result
relay_work_start(struct relay *relay, size_t threads, size_t waiters, struct relay_work **out)
{
    AW_CLEANUP(relay_work_stop) struct relay_work *work = calloc(1, sizeof(*work));
    pthread_condattr_t attributes;

    *out = NULL;
    if (work == NULL)
        return aw_fail_memory();
    work->relay = relay;
    work->waiters = waiters;
    work->queue.threads = threads < WORK_THREADS_MAX ? threads : WORK_THREADS_MAX;
    work->expired_at = aw_now_ms() - WORK_EXPIRE_MS;
    pthread_mutex_init(&work->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&work->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    AW_TRY(take_up_orders(work, WORK_FINALIZE));
    AW_TRY(take_up_orders(work, WORK_RECORD));
    AW_TRY(take_up_validations(work));
    AW_TRY(start_threads(work));
    *out = AW_MOVE(work);
    return AW_OK;
}

void
relay_work_stop(struct relay_work **slot)
{
    struct relay_work *work = *slot;

    if (work == NULL)
        return;
    pthread_mutex_lock(&work->lock);
    work->stopping = true;
    pthread_cond_broadcast(&work->changed);
    pthread_mutex_unlock(&work->lock);
    for (size_t i = 0; i < work->thread_count; i++)
        pthread_join(work->threads[i], NULL);
    work_queue_empty(&work->queue);
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->lock);
    free(work);
    *slot = NULL;
}

/* Whoever waits takes a thread of the server's: no more of them do than leave some for others. */
static void
await(struct relay_work *work, const struct work_job *job)
{
    int64_t end = aw_now_ms() + WORK_AWAIT_MS;

    if (work->waiting >= work->waiters)
        return;
    work->waiting++;
    while (!job->over && !work->stopping && aw_now_ms() < end)
        wait_until(work, end);
    work->waiting--;
}

aw_result
relay_work_finalize(
    struct relay_work *work, const struct stored_order *order, struct relay_problem *problem)
{
    struct work_job *job;

    memset(problem, 0, sizeof(*problem));
    AW_HOLD(&work->lock);
    AW_TRY(work_queue_job(&work->queue, order->application, &job));
    job->ticket = order->ticket;
    job->fresh = true;
    job->holders++;
    queue_job(work, job);
    await(work, job);
    if (job->over) {
        *problem = job->problem;
        memset(&job->problem, 0, sizeof(job->problem));
    }
    work_queue_drop(&work->queue, job);
    return AW_OK;
}

aw_result
relay_work_validate(struct relay_work *work, const struct stored_order *order, size_t number)
{
    return add(work, order->application, WORK_VALIDATE, order->ticket, number);
}
