#include "signer/exporter.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/io.h"
#include "common/lock.h"
#include "common/log.h"

enum {
    RETRY_MS = 60 * 1000, /* after a failure */
    COUNT_MS = 15 * 1000, /* how often what waits in the folder is counted */
    HANGS_MS = 2 * 1000,  /* a folder that takes longer is told */
    WAIT_MS = 3 * 1000,   /* for who asked for the checkpoint */
    END_MS = 3 * 1000,    /* for the last one */
    EXPORT_MODE = 0644,   /* a checkpoint is made to be handed around */
    DIGITS = 19,          /* of a file's name */
};

#define PREFIX "checkpoint-"

struct exporter {
    char *folder;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;  /* there is something to do */
    pthread_cond_t done;  /* an attempt is over, or the thread */
    bool closing, ended;
    bool abandoned;   /* it hung at the end: the thread releases what it works with */
    char *note;       /* to be written; NULL: none */
    int64_t size;     /* of the last one that was given */
    int64_t given;    /* how often something was to be written ... */
    int64_t tried;    /* ... and how many of these an attempt was for that is over */
    int64_t exported; /* size of the last one that was written */
    int64_t since_ms; /* the thread has been at the folder since then; 0: it is not */
    int64_t next_ms;  /* not before then */
    int64_t waiting;  /* files in the folder */
    int64_t oldest;   /* time of the oldest of them */
    bool failed;      /* the last attempt, and how: */
    struct aw_error error;
};

/* The folder: the thread alone is here, without the lock. */

/* A name a size, so that whoever fetches them misses none; the file appears whole. */
static aw_result
write_file(const exporter *self, const char *note, int64_t size)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/" PREFIX "%0*lld", self->folder, DIGITS, (long long)size));
    return aw_hint(aw_context(aw_file_replace(path, note, strlen(note), EXPORT_MODE), "export"),
        "the signer's user must be able to write to the folder (export under audit in "
        "signer.yaml), and one that was made anew or mounted since the start needs a restart; the "
        "checkpoint is stored beside the log");
}

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

/* As written above; one that is being written has another end. */
static bool
is_checkpoint(const char *name)
{
    return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0 &&
           strlen(name) == sizeof(PREFIX) - 1 + DIGITS &&
           strspn(name + sizeof(PREFIX) - 1, "0123456789") == DIGITS;
}

/* What cannot be read counts as empty: that it cannot be written to either is told. */
static void
count_files(const exporter *self, int64_t *count, int64_t *oldest)
{
    AW_CLEANUP(close_folder) DIR *folder = opendir(self->folder);
    struct dirent *entry;
    struct stat st;

    *count = 0;
    *oldest = 0;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (!is_checkpoint(entry->d_name) ||
            fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        ++*count;
        if (*oldest == 0 || st.st_mtime < *oldest)
            *oldest = st.st_mtime;
    }
}

/* The thread. */

static void
note_attempt(exporter *self, aw_result r, int64_t size, int64_t covers, char **note)
{
    self->since_ms = 0;
    self->tried = covers;
    self->failed = !aw_ok(r);
    if (aw_ok(r)) {
        self->exported = size;
        return;
    }
    aw_error_save(&self->error);
    if (self->note != NULL)
        return; /* a later one came */
    self->note = AW_MOVE(*note);
    self->next_ms = aw_now_ms() + RETRY_MS;
}

static void
attempt(exporter *self)
{
    AW_CLEANUP(aw_free) char *note = AW_MOVE(self->note);
    int64_t size = self->size, covers = self->given;

    self->since_ms = aw_now_ms();
    pthread_mutex_unlock(&self->lock);
    aw_result r = write_file(self, note, size);
    if (!aw_ok(r))
        aw_log_failure(AW_LOG_ERROR, "a checkpoint of the audit log did not leave");
    pthread_mutex_lock(&self->lock);
    note_attempt(self, r, size, covers, &note);
    pthread_cond_broadcast(&self->done);
}

static void
count(exporter *self)
{
    int64_t waiting = 0, oldest = 0;

    self->since_ms = aw_now_ms();
    pthread_mutex_unlock(&self->lock);
    count_files(self, &waiting, &oldest);
    pthread_mutex_lock(&self->lock);
    self->since_ms = 0;
    self->waiting = waiting;
    self->oldest = oldest;
}

static bool
is_due(const exporter *self)
{
    return self->note != NULL && (self->closing || aw_now_ms() >= self->next_ms);
}

static struct timespec
after(int64_t ms)
{
    int64_t at = aw_now_ms() + ms;

    return (struct timespec){.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
}

static void release(exporter **slot);

static void *
thread_main(void *context)
{
    exporter *self = context;
    bool last = false;

    pthread_mutex_lock(&self->lock);
    while (!last) {
        const struct timespec until = after(COUNT_MS);
        last = self->closing;
        if (is_due(self))
            attempt(self);
        count(self);
        if (!last && !self->closing && !is_due(self))
            pthread_cond_clockwait(&self->wake, &self->lock, CLOCK_MONOTONIC, &until);
    }
    self->ended = true;
    pthread_cond_broadcast(&self->done);
    bool abandoned = self->abandoned;
    pthread_mutex_unlock(&self->lock);
    if (abandoned)
        release(&self);
    return NULL;
}

/* Opening and closing. */

static void
release(exporter **slot)
{
    exporter *self = *slot;

    if (self == NULL)
        return;
    free(self->folder);
    free(self->note);
    pthread_cond_destroy(&self->wake);
    pthread_cond_destroy(&self->done);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *slot = NULL;
}

aw_result
exporter_open(const char *folder, exporter **out)
{
    *out = NULL;
    AW_CLEANUP(release) exporter *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->wake, NULL);
    pthread_cond_init(&self->done, NULL);
    AW_TRY(aw_format(&self->folder, "%s", folder));
    if (pthread_create(&self->thread, NULL, thread_main, self) != 0)
        return aw_fail(AW_CODE_MEMORY, "cannot start the thread that exports checkpoints");
    *out = AW_MOVE(self);
    return AW_OK;
}

/* False when the folder hangs. */
static bool
end_thread(exporter *self)
{
    const struct timespec until = after(END_MS);

    AW_HOLD(&self->lock);
    self->closing = true;
    pthread_cond_signal(&self->wake);
    while (!self->ended)
        if (pthread_cond_clockwait(&self->done, &self->lock, CLOCK_MONOTONIC, &until) != 0)
            break;
    self->abandoned = !self->ended;
    return self->ended;
}

void
exporter_close(exporter **slot)
{
    exporter *self = *slot;

    if (self == NULL)
        return;
    *slot = NULL;
    pthread_t thread = self->thread;
    if (end_thread(self)) {
        pthread_join(thread, NULL);
        release(&self);
        return;
    }
    pthread_detach(thread);
    aw_log(AW_LOG_ERROR,
        "the folder for checkpoints does not answer: the last one was not exported, it is stored "
        "beside the log");
}

/* What others call. */

aw_result
exporter_give(exporter *self, const char *note, int64_t size, int64_t *ticket)
{
    AW_HOLD(&self->lock);
    *ticket = self->given;
    bool known = self->given > 0 && size == self->size;
    if (known && self->note == NULL)
        return AW_OK; /* written, or about to be */
    if (!known) {
        char *copy = strdup(note);
        if (copy == NULL)
            return aw_fail_memory();
        free(self->note);
        self->note = copy;
        self->size = size;
    }
    *ticket = ++self->given;
    self->next_ms = 0;
    pthread_cond_signal(&self->wake);
    return AW_OK;
}

static aw_result
still_waits(const exporter *self)
{
    int64_t ms = self->since_ms == 0 ? WAIT_MS : aw_now_ms() - self->since_ms;

    return aw_hint(aw_fail(AW_CODE_IO, "export: %s has not answered for %lld s", self->folder,
                       (long long)ms / 1000),
        "is it a share of which the server is away? The checkpoint is stored beside the log, and "
        "is exported when the folder answers");
}

aw_result
exporter_wait(exporter *self, int64_t ticket)
{
    const struct timespec until = after(WAIT_MS);

    AW_HOLD(&self->lock);
    while (self->tried < ticket)
        if (pthread_cond_clockwait(&self->done, &self->lock, CLOCK_MONOTONIC, &until) != 0)
            break;
    if (self->tried < ticket)
        return still_waits(self);
    return self->failed ? aw_error_restore(&self->error) : AW_OK;
}

void
exporter_state(exporter *self, struct exporter_state *out)
{
    int64_t now = aw_now_ms(), today = time(NULL);

    AW_HOLD(&self->lock);
    out->exported = self->exported;
    out->waiting = self->waiting;
    out->waiting_for = self->waiting > 0 && today > self->oldest ? today - self->oldest : 0;
    out->message[0] = '\0';
    if (self->failed)
        memcpy(out->message, self->error.message, sizeof(out->message));
    if (self->since_ms != 0 && now - self->since_ms > HANGS_MS)
        snprintf(out->message, sizeof(out->message), "export: %s has not answered for %lld s",
            self->folder, (long long)(now - self->since_ms) / 1000);
}
