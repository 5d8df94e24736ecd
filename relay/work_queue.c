#include "relay/work_queue.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "relay/work.h"

struct work_share {
    struct work_share *next;
    size_t jobs;    /* all that there are */
    size_t running; /* that were taken */
    char application[];
};

static struct work_share *
find_share(const struct work_queue *queue, const char *application)
{
    struct work_share *share = queue->shares;

    while (share != NULL && strcmp(share->application, application) != 0)
        share = share->next;
    return share;
}

static struct work_share *
make_share(struct work_queue *queue, const char *application)
{
    size_t size = strlen(application) + 1;
    struct work_share *share = calloc(1, sizeof(*share) + size);

    if (share == NULL)
        return NULL;
    memcpy(share->application, application, size);
    share->next = queue->shares;
    queue->shares = share;
    return share;
}

static void
leave_share(struct work_queue *queue, struct work_share *share)
{
    struct work_share **at = &queue->shares;

    if (--share->jobs > 0)
        return;
    while (*at != share)
        at = &(*at)->next;
    *at = share->next;
    free(share);
}

aw_result
work_queue_job(struct work_queue *queue, const char *application, struct work_job **out)
{
    struct work_job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return aw_fail_memory();
    job->share = find_share(queue, application);
    if (job->share == NULL)
        job->share = make_share(queue, application);
    if (job->share == NULL) {
        free(job);
        return aw_fail_memory();
    }
    job->share->jobs++;
    job->due = aw_now_ms();
    job->holders = 1;
    *out = job;
    return AW_OK;
}

const char *
work_queue_application(const struct work_job *job)
{
    return job->share->application;
}

aw_result
work_queue_join(struct work_queue *queue, const struct work_job *of, struct work_job **out)
{
    AW_TRY(work_queue_job(queue, of->share->application, out));
    (*out)->ticket = of->ticket;
    return AW_OK;
}

void
work_queue_put(struct work_queue *queue, struct work_job *job)
{
    job->next = queue->first;
    queue->first = job;
}

/* With one thread there is nothing to keep free. */
static size_t
part_of(size_t threads, size_t divisor)
{
    size_t part = threads - threads / divisor;

    return part == threads && threads > 1 ? threads - 1 : part;
}

static bool
may_start(const struct work_queue *queue, const struct work_job *job)
{
    if (job->share->running >= part_of(queue->threads, WORK_KEPT_OF_APPLICATION))
        return false;
    return job->kind != WORK_VALIDATE ||
           queue->validating < part_of(queue->threads, WORK_KEPT_OF_VALIDATIONS);
}

static bool
comes_before(const struct work_job *a, const struct work_job *b)
{
    if (a->share->running != b->share->running)
        return a->share->running < b->share->running;
    return a->due < b->due;
}

struct work_job *
work_queue_take(struct work_queue *queue, int64_t now, int64_t *due)
{
    struct work_job **best = NULL;

    *due = now + WORK_EXPIRE_MS;
    for (struct work_job **at = &queue->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->due > now)
            *due = (*at)->due < *due ? (*at)->due : *due;
        else if (may_start(queue, *at) && (best == NULL || comes_before(*at, *best)))
            best = at;
    }
    if (best == NULL)
        return NULL;
    struct work_job *job = *best;
    *best = job->next;
    job->share->running++;
    queue->validating += job->kind == WORK_VALIDATE;
    return job;
}

void
work_queue_give_back(struct work_queue *queue, const struct work_job *job)
{
    job->share->running--;
    queue->validating -= job->kind == WORK_VALIDATE;
}

void
work_queue_drop(struct work_queue *queue, struct work_job *job)
{
    if (--job->holders > 0)
        return;
    leave_share(queue, job->share);
    relay_problem_free(&job->problem);
    free(job);
}

void
work_queue_empty(struct work_queue *queue)
{
    for (struct work_job *job = queue->first, *next; job != NULL; job = next) {
        next = job->next;
        work_queue_drop(queue, job);
    }
    queue->first = NULL;
}
