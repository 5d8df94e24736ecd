/* Making records durable: batches, rotation, and the writer's thread. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "audit/index.h"
#include "audit/log.h"
#include "audit/rotation.h"
#include "common/io.h"

enum {
    DOZE_MS = 10,            /* after which the writer takes what nobody waits for */
    BATCH_MANY = 256 * 1024, /* octets that are not left to those who wait */
    SLOW_US = 1000,          /* a batch that takes that long is begun while others sign, */
    SLOW_ALONE_US = 100,     /* and this long, when nobody else has work for the processors */
    SMOOTHING = 8,           /* batches over which their duration is averaged, about */
};

/* The first failure stays; everybody who waits or comes later gets it. */
aw_result
audit_log_settle(audit_log *log, aw_result r)
{
    if (!aw_ok(r) && !log->broken) {
        log->broken = true;
        aw_error_save(&log->cause);
        audit_eventcount_notify_all(&log->done[0]);
        audit_eventcount_notify_all(&log->done[1]);
        pthread_cond_broadcast(&log->rotated);
        pthread_cond_signal(&log->work);
    }
    return log->broken ? aw_error_restore(&log->cause) : AW_OK;
}

/* Batches. All that is queued is one, so one fdatasync serves all that wait. Who waits first writes
 * for all: nobody has to be woken up for it. */

/* All that was appended is in the batch that is taken: where a segment may end. */
void
audit_log_set_end(audit_log *log)
{
    log->end.time = log->time;
    log->end.tree = log->tree;
    memcpy(log->end.head, log->head, sizeof(log->end.head));
}

static bool
is_rotation_due(const audit_log *log)
{
    return log->size >= log->rotate_at ||
           (log->asked != log->answered && log->durable >= log->asked_behind);
}

bool
audit_log_may_take(const audit_log *log)
{
    return !log->writing && !log->broken && log->queue.size > 0 && !is_rotation_due(log);
}

void
audit_log_take(audit_log *log)
{
    struct audit_batch taken = log->queue;

    log->queue = log->batch;
    log->queue.size = 0;
    log->batch = taken;
    log->taken = log->appended;
    audit_log_set_end(log);
    log->turn++;
    log->in_flight = taken.size;
    log->writing = true;
    log->hurry = false;
}

/*
 * Overlapping a batch with signatures costs a thread's waking up and makes batches smaller, so it
 * must be worth it.
 */
static bool
is_slow(const audit_log *log)
{
    bool alone = log->appended - log->durable == 1;

    return log->batch_us >= (alone ? SLOW_ALONE_US : SLOW_US);
}

void
audit_log_call_writer(audit_log *log)
{
    if (!log->writing && (is_slow(log) || log->queue.size > BATCH_MANY))
        log->hurry = true;
    if (log->hurry || log->asleep)
        pthread_cond_signal(&log->work);
    log->asleep = false;
}

/* Somebody has to write what came meanwhile: of those who wait one, else whoever waits first, or
 * the writer. */
static void
pass_on(audit_log *log)
{
    log->writing = false;
    if (is_rotation_due(log) || log->closing)
        pthread_cond_signal(&log->work);
    else if (log->queue.size == 0)
        return;
    else if (log->waiting[(log->turn + 1) % 2] > 0)
        audit_eventcount_notify_one(&log->done[(log->turn + 1) % 2]);
    else
        audit_log_call_writer(log);
}

static aw_result
finish_batch(audit_log *log, aw_result r, int64_t took_us)
{
    size_t size = log->batch.size;

    AUDIT_LOG_HOLD(log);
    if (aw_ok(r))
        r = audit_file_check(&log->file, log->size + (int64_t)size, log->size + (int64_t)size);
    r = audit_log_settle(log, r);
    if (aw_ok(r)) {
        audit_file_space(&log->file, &log->space);
        log->size += (int64_t)size;
        log->in_flight = 0;
        log->durable = log->taken;
        log->batch_us += (took_us - log->batch_us) / SMOOTHING;
        log->waiting[log->turn % 2] = 0;
    }
    pass_on(log);
    return r;
}

/* Of records that are durable. */
static void
write_index(audit_log *log)
{
    struct audit_noted noted;

    for (;;) {
        {
            AUDIT_LOG_HOLD(log);
            if (log->noted_count == 0 || log->noted[0].size > log->durable)
                return;
            noted = log->noted[0];
            memmove(log->noted, log->noted + 1, --log->noted_count * sizeof(log->noted[0]));
        }
        audit_index_put(log->index, noted.size, &noted.completed);
    }
}

static int64_t
monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

aw_result
audit_log_write(audit_log *log)
{
    unsigned turn = log->turn;
    int64_t begun = monotonic_us();
    aw_result r = audit_file_append(&log->file, log->batch.bytes, log->batch.size);

    r = finish_batch(log, r, monotonic_us() - begun);
    audit_eventcount_notify_all(&log->done[turn % 2]);
    write_index(log);
    return r;
}

/* Rotation, by the writer's thread between two batches: nothing is in flight, what is queued is for
 * the next segment. */

/* The next file takes the place of the log's: from here on it is the log. */
static aw_result
turn(audit_log *log, struct audit_file *closed, struct audit_file *next)
{
    AUDIT_LOG_HOLD(log);
    AW_TRY(audit_rotation_turn(log->folder, &log->file, log->end.segment, next));
    *closed = log->file;
    log->file = *next;
    *next = (struct audit_file){.fd = -1};
    log->end.octets = log->size;
    log->size = 0;
    return AW_OK;
}

static void
begin_segment(audit_log *log)
{
    AUDIT_LOG_HOLD(log);
    log->closed = (struct audit_segment){log->end.segment, log->end.first, log->end.tree.size};
    log->end.segment++;
    log->end.first = log->end.tree.size + 1;
    log->end.octets = 0;
}

/* Nothing may be called durable in a file whose name may be lost. */
static aw_result
sync_turn(audit_log *log)
{
    aw_result r = aw_folder_sync_of(log->file.path);

    AUDIT_LOG_HOLD(log);
    return audit_log_settle(log, r);
}

static aw_result
hint_of(aw_result r)
{
    if (aw_ok(r) || aw_error_last()->hint[0] != '\0')
        return r;
    return aw_hint(r, "make space or mend the disk: the log goes on in the segment that it has, "
                      "and closes it later");
}

static aw_result
close_segment(audit_log *log)
{
    AW_CLEANUP(audit_file_close) struct audit_file next = {.fd = -1}, closed = {.fd = -1};

    if (log->end.tree.size < log->end.first)
        return aw_fail(AW_CODE_NOT_FOUND, "the segment has no records yet");
    AW_TRY(hint_of(audit_rotation_prepare(log->folder, &log->file, log->end.segment, &next)));
    AW_TRY(hint_of(turn(log, &closed, &next)));
    AW_TRY(sync_turn(log));
    /* What is left undone here, the next start does. */
    aw_result r = audit_rotation_finish(log->folder, &closed, &log->end);
    begin_segment(log);
    return aw_hint(r, "the segment is closed and nothing of it is lost: make space or mend the "
                      "disk, and the next start of the signer makes what it lacks");
}

/* One that failed is tried again when the segment has grown by an eighth, or when asked. */
static void
rotate(audit_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t asked = log->asked;
    pthread_mutex_unlock(&log->lock);
    aw_result r = close_segment(log);

    AUDIT_LOG_HOLD(log);
    log->answered = asked;
    log->rotation = (struct aw_error){.code = AW_CODE_OK};
    if (!aw_ok(r))
        aw_error_save(&log->rotation);
    log->rotate_at =
        log->size < log->segment_size ? log->segment_size : log->size + log->segment_size / 8;
    pthread_cond_broadcast(&log->rotated);
    pass_on(log);
}

/* The writer's thread: closes segments, and writes what is due and nobody waits for. */

enum task { TASK_BATCH, TASK_ROTATE, TASK_END };

/* Of records up to `left` it is known that nobody waits for them. */
static bool
find_task(audit_log *log, int64_t left, enum task *task)
{
    if (log->writing && !log->broken)
        return false;
    *task = TASK_END;
    if (log->broken)
        return true;
    if (is_rotation_due(log)) {
        *task = TASK_ROTATE;
        log->writing = true;
    } else if (log->queue.size > 0 && (log->hurry || log->closing || log->taken < left)) {
        *task = TASK_BATCH;
        audit_log_take(log);
    } else {
        return log->closing;
    }
    return true;
}

/*
 * As long as records come, the writer looks by itself every few milliseconds, so that nobody has to
 * call it; only then it sleeps. The number of the last record that was there all the while.
 */
static int64_t
rest(audit_log *log, int64_t *seen)
{
    int64_t last = log->appended;
    struct timespec until;
    int timed_out = 0;

    if (log->queue.size == 0 && last == *seen) {
        log->asleep = true;
        pthread_cond_wait(&log->work, &log->lock);
        log->asleep = false;
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += DOZE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    timed_out = pthread_cond_timedwait(&log->work, &log->lock, &until);
    *seen = last;
    return timed_out == ETIMEDOUT ? last : 0;
}

static enum task
next_task(audit_log *log, int64_t *seen)
{
    int64_t left = 0;
    enum task task;

    AUDIT_LOG_HOLD(log);
    while (!find_task(log, left, &task))
        left = rest(log, seen);
    return task;
}

static void *
writer_main(void *context)
{
    audit_log *log = context;
    int64_t seen = 0;
    enum task task;

    while ((task = next_task(log, &seen)) != TASK_END) {
        if (task == TASK_BATCH)
            aw_ignore(audit_log_write(log), "those who wait are told");
        else
            rotate(log);
    }
    return NULL;
}

/* Signals are other threads' business. A file size limit is to be EFBIG, whoever writes. */
aw_result
audit_log_start_writer(audit_log *log)
{
    sigset_t all;
    sigset_t before;

    signal(SIGXFSZ, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&log->writer, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0)
        return aw_fail_cause(AW_CODE_MEMORY, AW_CAUSE_ERRNO, (unsigned long)number,
            "cannot start the audit log's writer: %s", strerror(number));
    return AW_OK;
}
