#include "relay/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "common/io.h"

/* First in, first out. */
struct queue {
    struct relay_job *first, **last;
    size_t count;
};

struct relay_workers {
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct queue waiting, worked;
    size_t queue_max;
    bool ending;
    int fd;
    size_t count; /* of threads */
    pthread_t threads[];
};

static void
queue_put(struct queue *queue, struct relay_job *job)
{
    if (queue->first == NULL)
        queue->last = &queue->first;
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->count++;
}

static struct relay_job *
queue_take(struct queue *queue)
{
    struct relay_job *job = queue->first;

    if (job == NULL)
        return NULL;
    queue->first = job->next;
    queue->count--;
    return job;
}

/* The next job; NULL: the end, and nothing waits. */
static struct relay_job *
next_job(struct relay_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    while (workers->waiting.first == NULL && !workers->ending)
        pthread_cond_wait(&workers->wake, &workers->lock);
    struct relay_job *job = queue_take(&workers->waiting);
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void
give_back(struct relay_workers *workers, struct relay_job *job)
{
    pthread_mutex_lock(&workers->lock);
    queue_put(&workers->worked, job);
    pthread_mutex_unlock(&workers->lock);
    eventfd_write(workers->fd, 1);
}

static void *
work(void *context)
{
    struct relay_workers *workers = context;

    for (struct relay_job *job = next_job(workers); job != NULL; job = next_job(workers)) {
        job->work(job);
        give_back(workers, job);
    }
    return NULL;
}

static aw_result
start_threads(struct relay_workers *workers, size_t threads)
{
    sigset_t all, before;
    int error = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (workers->count < threads && error == 0) {
        error = pthread_create(&workers->threads[workers->count], NULL, work, workers);
        if (error == 0)
            workers->count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start a thread");
}

aw_result
relay_workers_start(size_t threads, size_t queue_max, struct relay_workers **out)
{
    AW_CLEANUP(relay_workers_stop)
    struct relay_workers *workers =
        calloc(1, sizeof(*workers) + threads * sizeof(workers->threads[0]));

    if (workers == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    workers->queue_max = queue_max;
    workers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make an eventfd");
    AW_TRY(start_threads(workers, threads));
    *out = AW_MOVE(workers);
    return AW_OK;
}

void
relay_workers_stop(struct relay_workers **slot)
{
    struct relay_workers *workers = *slot;

    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
    relay_workers_collect(workers);
    aw_close(&workers->fd);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
    *slot = NULL;
}

bool
relay_workers_put(struct relay_workers *workers, struct relay_job *job, bool urgent)
{
    pthread_mutex_lock(&workers->lock);
    bool fits = urgent || workers->waiting.count < workers->queue_max;
    if (fits) {
        queue_put(&workers->waiting, job);
        pthread_cond_signal(&workers->wake);
    }
    pthread_mutex_unlock(&workers->lock);
    return fits;
}

int
relay_workers_fd(const struct relay_workers *workers)
{
    return workers->fd;
}

void
relay_workers_collect(struct relay_workers *workers)
{
    eventfd_t count;

    eventfd_read(workers->fd, &count);
    for (;;) {
        pthread_mutex_lock(&workers->lock);
        struct relay_job *job = queue_take(&workers->worked);
        pthread_mutex_unlock(&workers->lock);
        if (job == NULL)
            return;
        job->done(job);
    }
}
