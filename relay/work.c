#include "relay/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "common/log.h"
#include "relay/issuance.h"
#include "relay/payload.h"
#include "relay/store.h"
#include "relay/upstream.h"
#include "relay/validation.h"

/* One thing to do. */
struct job {
    struct job *next;
    int64_t ticket;
    size_t number; /* of an authorization to validate; 0: the order is to be finalized */
    int64_t due;   /* as aw_now_ms */
    int64_t wait;  /* before the last try */
    unsigned tries;
    bool fresh; /* its client may wait, and nothing was tried before */
    bool over;
    unsigned holders; /* queue, thread and waiter */
    struct relay_problem problem;
};

struct relay_work {
    struct relay *relay;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    struct job *queue;
    bool stopping;
    size_t waiting, waiters;
    int64_t expired_at;
    size_t thread_count;
    pthread_t threads[WORK_THREADS_MAX];
};

/* The caller holds the lock. */
static void
let_go(struct job *job)
{
    if (--job->holders > 0)
        return;
    relay_problem_free(&job->problem);
    free(job);
}

static aw_result
make_job(int64_t ticket, size_t number, bool fresh, struct job **out)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return aw_fail_memory();
    *job = (struct job){
        .ticket = ticket, .number = number, .fresh = fresh, .due = aw_now_ms(), .holders = 1};
    *out = job;
    return AW_OK;
}

static void
queue_job(struct relay_work *work, struct job *job)
{
    job->next = work->queue;
    work->queue = job;
    pthread_cond_broadcast(&work->changed);
}

/* The one that is due first, taken out; NULL: none is due yet, *due says when one is. */
static struct job *
take_due(struct relay_work *work, int64_t now, int64_t *due)
{
    struct job **first = NULL;

    for (struct job **at = &work->queue; *at != NULL; at = &(*at)->next)
        if (first == NULL || (*at)->due < (*first)->due)
            first = at;
    *due = first != NULL ? (*first)->due : now + WORK_EXPIRE_MS;
    if (first == NULL || (*first)->due > now)
        return NULL;
    struct job *job = *first;
    *first = job->next;
    return job;
}

static void
wait_until(struct relay_work *work, int64_t due)
{
    struct timespec at = {.tv_sec = due / 1000, .tv_nsec = (due % 1000) * 1000000};

    pthread_cond_timedwait(&work->changed, &work->lock, &at);
}

/* Running; without the lock. */

static aw_result
run_order(struct relay_work *work, struct job *job, bool *again)
{
    AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};
    enum issuance_end end = ISSUANCE_LATER;
    bool first = job->fresh && job->tries == 0;

    aw_result r = relay_issuance_run(work->relay, job->ticket, first, &end, &problem);
    *again = !aw_ok(r) || end == ISSUANCE_LATER;
    if (aw_ok(r) && end == ISSUANCE_REFUSED) {
        job->problem = problem;
        memset(&problem, 0, sizeof(problem));
    }
    return r;
}

static bool
run_job(struct relay_work *work, struct job *job)
{
    bool again = true;

    aw_result r = job->number == 0 ? run_order(work, job, &again)
                                   : relay_validation_run(
                                         work->relay, job->ticket, job->number, job->tries, &again);
    if (!aw_ok(r))
        aw_log_failure(AW_LOG_WARNING, "work on an order");
    job->tries++;
    return again;
}

static int64_t
next_wait(const struct job *job)
{
    if (job->number != 0)
        return VALIDATION_AGAIN_MS;
    if (job->wait == 0)
        return WORK_FIRST_MS;
    return job->wait * 2 < WORK_MOST_MS ? job->wait * 2 : WORK_MOST_MS;
}

/* The lock is held at both ends. */
static void
work_on(struct relay_work *work, struct job *job)
{
    pthread_mutex_unlock(&work->lock);
    bool again = run_job(work, job);
    pthread_mutex_lock(&work->lock);
    if (again && !work->stopping) {
        job->wait = next_wait(job);
        job->due = aw_now_ms() + job->wait;
        queue_job(work, job);
        return;
    }
    job->over = true;
    pthread_cond_broadcast(&work->changed);
    let_go(job);
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
        struct job *job = take_due(work, aw_now_ms(), &due);
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
add(struct relay_work *work, int64_t ticket, size_t number)
{
    struct job *job;

    AW_TRY(make_job(ticket, number, false, &job));
    pthread_mutex_lock(&work->lock);
    queue_job(work, job);
    pthread_mutex_unlock(&work->lock);
    return AW_OK;
}

static aw_result
take_up_orders(struct relay_work *work)
{
    int64_t tickets[WORK_PAGE], after = 0;
    size_t count = WORK_PAGE, all = 0;

    while (count == WORK_PAGE) {
        AW_TRY(relay_store_orders_in(work->relay->store, ORDER_PROCESSING, after, tickets, &count));
        for (size_t i = 0; i < count; i++)
            AW_TRY(add(work, tickets[i], 0));
        if (count > 0)
            after = tickets[count - 1];
        all += count;
    }
    if (all > 0)
        aw_log(AW_LOG_NOTICE, "%zu orders under way are gone on with", all);
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
            AW_TRY(add(work, places[i].ticket, places[i].number));
        if (count > 0)
            after = places[count - 1];
    }
    return AW_OK;
}

static aw_result
start_threads(struct relay_work *work, size_t threads)
{
    if (threads > WORK_THREADS_MAX)
        threads = WORK_THREADS_MAX;
    while (work->thread_count < threads) {
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
    work->expired_at = aw_now_ms() - WORK_EXPIRE_MS;
    pthread_mutex_init(&work->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&work->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    AW_TRY(take_up_orders(work));
    AW_TRY(take_up_validations(work));
    AW_TRY(start_threads(work, threads));
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
    for (struct job *job = work->queue, *next; job != NULL; job = next) {
        next = job->next;
        let_go(job);
    }
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->lock);
    free(work);
    *slot = NULL;
}

/* Whoever waits takes a thread of the server's: no more of them do than leave some for others. */
static void
await(struct relay_work *work, const struct job *job)
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
relay_work_finalize(struct relay_work *work, int64_t ticket, struct relay_problem *problem)
{
    struct job *job;

    memset(problem, 0, sizeof(*problem));
    AW_TRY(make_job(ticket, 0, true, &job));
    pthread_mutex_lock(&work->lock);
    job->holders++;
    queue_job(work, job);
    await(work, job);
    if (job->over) {
        *problem = job->problem;
        memset(&job->problem, 0, sizeof(job->problem));
    }
    let_go(job);
    pthread_mutex_unlock(&work->lock);
    return AW_OK;
}

aw_result
relay_work_validate(struct relay_work *work, int64_t ticket, size_t number)
{
    return add(work, ticket, number);
}
