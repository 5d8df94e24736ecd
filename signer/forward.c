#include "signer/forward.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "audit/follow.h"
#include "common/io.h"
#include "common/json.h"
#include "common/lock.h"
#include "common/log.h"
#include "signer/forward_send.h"

enum {
    LOOK_MS = 200,     /* how often the log is looked at */
    BUSY_MS = 20,      /* while the receiver is slow */
    RETRY_MS = 1000,   /* after a failure */
    SAVE_MS = 5000,    /* how often the position is kept */
    POSITION_MAX = 256 /* octets of its file */
};

struct forward {
    audit_log *log;
    char *path; /* of the position */
    struct forward_target target;
    audit_follow *follow;
    struct audit_followed next; /* read, not sent yet; the thread's own */
    int64_t saved, saved_ms;    /* the position that is kept; the thread's own */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    bool closing;
    int64_t forwarded, failures;
    char message[AW_ERROR_MESSAGE_SIZE];
};

/* The position. */

static aw_result
parse_position(const char *text, size_t size, int64_t *out)
{
    static const char *const names[] = {"seq"};
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;

    AW_TRY(aw_json_parse(text, size, AW_JSON_STRICT, &json));
    AW_TRY(aw_json_only(json, names, AW_COUNT(names)));
    return aw_json_integer(json, "seq", 0, INT64_MAX >> 11, out);
}

/* One that is not of this log begins anew at its end: the log may have been restored. */
static aw_result
read_position(forward *self, int64_t durable)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;
    aw_result r = aw_file_read(self->path, POSITION_MAX, &text, &size);

    self->forwarded = durable;
    if (r.code == AW_CODE_NOT_FOUND) {
        aw_log(AW_LOG_NOTICE,
            "%s is not there: records are forwarded from record %lld on. If this is not the first "
            "start with audit: forward, it was lost, and the receiver may lack some before",
            self->path, (long long)durable + 1);
        return AW_OK;
    }
    AW_TRY(r);
    r = parse_position(text, size, &self->forwarded);
    if (aw_ok(r) && self->forwarded <= durable) {
        self->saved = self->forwarded;
        return AW_OK;
    }
    aw_log(AW_LOG_WARNING,
        "%s is no position in this log: records are forwarded from the present end on", self->path);
    self->forwarded = durable;
    return AW_OK;
}

static aw_result
write_position(forward *self, int64_t seq)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_format(&text, "{\"seq\":%lld}\n", (long long)seq));
    AW_TRY(aw_file_replace(self->path, text, strlen(text), 0640));
    self->saved = seq;
    return AW_OK;
}

static aw_result
keep_position(forward *self, bool at_once)
{
    int64_t now = aw_now_ms();

    if (self->forwarded == self->saved || (!at_once && now - self->saved_ms < SAVE_MS))
        return AW_OK;
    self->saved_ms = now;
    return write_position(self, self->forwarded);
}

/* Sending. */

static void
note_sent(forward *self, int64_t seq)
{
    AW_HOLD(&self->lock);
    self->forwarded = seq;
    self->message[0] = '\0';
}

static aw_result
send_next(forward *self, int64_t durable, bool *more)
{
    if (self->next.record == NULL)
        AW_TRY(audit_follow_next(self->follow, durable, &self->next));
    *more = self->next.record != NULL;
    if (!*more)
        return AW_OK;
    AW_TRY(forward_send(&self->target, &self->next));
    note_sent(self, self->next.record->seq);
    self->next.record = NULL;
    return AW_OK;
}

static aw_result
send_all(forward *self)
{
    int64_t appended = 0, durable = 0;
    bool more = true;

    audit_log_position(self->log, &appended, &durable);
    while (more) {
        AW_TRY(send_next(self, durable, &more));
        AW_TRY(keep_position(self, false));
    }
    return AW_OK;
}

/* Told once, and again when the reason changes; a receiver that is slow is in `status` only. */
static void
note_failure(forward *self, aw_result r)
{
    const struct aw_error *error = aw_error_last();

    AW_HOLD(&self->lock);
    self->failures++;
    if (strcmp(self->message, error->message) == 0)
        return;
    memcpy(self->message, error->message, sizeof(self->message));
    if (r.code != AW_CODE_BUSY)
        aw_log_failure(
            AW_LOG_WARNING, "audit records could not be forwarded, they wait in the log");
}

/* True when it is to end. */
static bool
pause_for(forward *self, int64_t ms)
{
    struct timespec until;

    AW_HOLD(&self->lock);
    if (self->closing)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&self->wake, &self->lock, &until);
    return self->closing;
}

static void *
thread_main(void *context)
{
    forward *self = context;
    bool ending = false;

    for (;;) {
        aw_result r = send_all(self);
        if (!aw_ok(r))
            note_failure(self, r);
        aw_result kept = keep_position(self, ending);
        if (!aw_ok(kept))
            note_failure(self, kept);
        if (ending)
            return NULL;
        ending = pause_for(self, aw_ok(r) ? LOOK_MS : r.code == AW_CODE_BUSY ? BUSY_MS : RETRY_MS);
    }
}

/* Opening and closing. */

static void
release(forward **slot)
{
    forward *self = *slot;

    if (self == NULL)
        return;
    forward_target_close(&self->target);
    audit_follow_free(&self->follow);
    free(self->path);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *slot = NULL;
}

static aw_result
prepare(const struct forward_how *how, forward *self)
{
    pthread_condattr_t monotonic;
    int64_t appended = 0, durable = 0;

    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    self->log = how->log;
    self->saved = -1;
    if (how->target == NULL) {
        AW_TRY(forward_target_open(how->to, how->socket, &self->target));
    } else {
        self->target = *how->target;
        how->target->fd = -1;
    }
    AW_TRY(aw_path_join(how->folder, "forwarded", &self->path));
    audit_log_position(how->log, &appended, &durable);
    AW_TRY(read_position(self, durable));
    AW_TRY(keep_position(self, true)); /* so that a crash before the next one forgets nothing */
    return audit_follow_new(how->folder, self->forwarded, &self->follow);
}

aw_result
forward_open(const struct forward_how *how, forward **out)
{
    *out = NULL;
    if (how->to == AW_FORWARD_NONE)
        return AW_OK;
    AW_CLEANUP(release) forward *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return aw_fail_memory();
    self->target.fd = -1;
    AW_TRY(prepare(how, self));
    if (pthread_create(&self->thread, NULL, thread_main, self) != 0)
        return aw_fail(AW_CODE_MEMORY, "cannot start the thread that forwards audit records");
    *out = AW_MOVE(self);
    return AW_OK;
}

void
forward_close(forward **slot)
{
    forward *self = *slot;

    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    release(slot);
}

void
forward_state(forward *self, struct forward_state *out)
{
    int64_t appended = 0, durable = 0;

    audit_log_position(self->log, &appended, &durable);
    AW_HOLD(&self->lock);
    out->to = aw_config_forward_names[self->target.to];
    out->forwarded = self->forwarded;
    out->behind = durable > self->forwarded ? durable - self->forwarded : 0;
    out->failures = self->failures;
    memcpy(out->message, self->message, sizeof(out->message));
}
