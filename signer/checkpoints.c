#include "signer/checkpoints.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/stored.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/lock.h"
#include "common/log.h"
#include "signer/audit_key.h"
#include "signer/core.h"
#include "signer/exporter.h"

enum {
    LOOK_SECONDS = 1,     /* how often the schedule is looked at */
    RETRY_MS = 60 * 1000, /* after a failure */
    MINUTE_MS = 60 * 1000,
};

struct checkpoints {
    struct core *core;
    char *folder; /* of the log */
    char *key_name;
    char *origin;
    exporter *exporter; /* NULL: no folder */
    bool export_line;   /* of the journal */
    int64_t every_records, every_ms;

    pthread_mutex_t lock; /* guards all below; one checkpoint at a time */
    pthread_cond_t wake;
    pthread_t thread;
    bool closing;
    struct audit_key key; /* none: not made yet */
    struct audit_stored stored;
    char *note; /* the last one; NULL: none */
    struct audit_checkpoint last;
    int64_t next_ms; /* not before then, by time alone */
    int64_t at;
    char failure[AW_ERROR_MESSAGE_SIZE];

    pthread_mutex_t told_lock; /* guards what is told; taken for a moment only */
    struct checkpoints_state told;
};

/* How it is. */

/* For who asks how it is, which must not wait for a token that signs a checkpoint. */
static void
tell(checkpoints *maker)
{
    AW_HOLD(&maker->told_lock);
    maker->told.size = maker->last.head.size;
    maker->told.at = maker->at;
    snprintf(maker->told.message, sizeof(maker->told.message), "%s",
        maker->key.key == NULL ? "there is no audit key in the token yet" : maker->failure);
}

/* The key. */

static struct audit_key_of
key_of(const checkpoints *maker)
{
    return (struct audit_key_of){
        .token = maker->core->token, .name = maker->key_name, .origin = maker->origin};
}

static aw_result
find_key(checkpoints *maker)
{
    const struct audit_key_of of = key_of(maker);
    aw_result r = audit_key_find(&of, maker->note, &maker->key);

    if (r.code != AW_CODE_TOKEN_KEY_MISSING)
        return r;
    aw_log(AW_LOG_WARNING,
        "there is no audit key in the token, so no checkpoints are made: acmeward-admin audit "
        "key create");
    return AW_OK;
}

static aw_result
no_key(const checkpoints *maker)
{
    return aw_hint(aw_fail(AW_CODE_TOKEN_KEY_MISSING, "the token has no audit key \"%s\" yet",
                       maker->key_name),
        "an officer makes it: acmeward-admin audit key create");
}

/* One that was made when memory ran out, before anybody was told: it is used from here on. */
static aw_result
take_unknown(checkpoints *maker)
{
    const struct audit_key_of of = key_of(maker);
    aw_result r = audit_key_find(&of, maker->note, &maker->key);

    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    AW_TRY(r);
    maker->next_ms = 0;
    pthread_cond_signal(&maker->wake);
    return AW_OK;
}

aw_result
checkpoints_create_key(checkpoints *maker, struct token_key_report *report)
{
    const struct audit_key_of of = key_of(maker);

    AW_HOLD(&maker->lock);
    if (maker->key.key == NULL)
        AW_TRY(take_unknown(maker));
    if (maker->key.key != NULL)
        return aw_hint(aw_fail(AW_CODE_EXISTS, "the audit key \"%s\" is there", maker->key_name),
            "to make another one in its place: acmeward-admin audit key rotate");
    AW_TRY(audit_key_make(&of, 0, false, report, &maker->key));
    tell(maker);
    maker->next_ms = 0;
    pthread_cond_signal(&maker->wake);
    return AW_OK;
}

aw_result
checkpoints_key_text(checkpoints *maker, char **line, char **pem)
{
    AW_HOLD(&maker->lock);
    if (maker->key.key == NULL)
        return no_key(maker);
    AW_TRY(audit_verifier_line(maker->key.verifier, line));
    return audit_verifier_pem(maker->key.verifier, pem);
}

/* Export. */

/* One line holds all of it: origin, size, root, key name, signature, in their order in the note. */
static aw_result
export_line(const checkpoints *maker, const char *note)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    size_t used = 0;

    if (!maker->export_line)
        return AW_OK;
    line = strdup(note);
    if (line == NULL)
        return aw_fail_memory();
    for (const char *at = note; *at != '\0'; at++) {
        if (strncmp(at, "\xe2\x80\x94 ", 4) == 0)
            at += 3; /* the dash; nothing else of a note is beyond ASCII */
        else if (*at != '\n')
            line[used++] = *at;
        else if (used > 0 && line[used - 1] != ' ')
            line[used++] = ' ';
    }
    line[used] = '\0';
    aw_log(AW_LOG_NOTICE, "audit checkpoint: %s", line);
    return AW_OK;
}

/* Signing. Everything here is under the lock. */

static aw_result
sign_head(checkpoints *maker, const struct audit_checkpoint *checkpoint, char **note)
{
    AW_CLEANUP(aw_free) char *body = NULL;
    uint8_t raw[TOKEN_SIGNATURE_MAX];
    size_t size = 0;

    AW_TRY(audit_checkpoint_body(checkpoint, &body));
    AW_TRY(token_key_sign(maker->key.key, body, strlen(body), raw, &size));
    if (size != AUDIT_RAW_SIGNATURE_SIZE)
        return aw_fail(AW_CODE_TOKEN, "the token gave a signature of %zu octets", size);
    return audit_checkpoint_seal(checkpoint, maker->key.verifier, raw, note);
}

/* The head is durable before it is signed, the checkpoint before anybody sees it. */
static aw_result
make_new(checkpoints *maker, const struct audit_head *head)
{
    struct audit_checkpoint checkpoint = {.head = *head};
    AW_CLEANUP(aw_free) char *note = NULL;

    memcpy(checkpoint.origin, maker->origin, strlen(maker->origin) + 1);
    AW_TRY(sign_head(maker, &checkpoint, &note));
    AW_TRY(audit_stored_append(maker->folder, note, &maker->stored));
    free(maker->note);
    maker->note = AW_MOVE(note);
    maker->last = checkpoint;
    maker->at = core_now();
    return export_line(maker, maker->note);
}

/* The folder has a thread of its own; under the lock nobody waits for it but a rotation, whose old
 * key goes only when its last checkpoint has left: a few seconds. */
static aw_result
give(checkpoints *maker, int64_t *ticket)
{
    *ticket = 0;
    return maker->exporter == NULL
               ? AW_OK
               : exporter_give(maker->exporter, maker->note, maker->last.head.size, ticket);
}

static aw_result
make(checkpoints *maker, int64_t *ticket)
{
    struct audit_head head;

    if (maker->key.key == NULL)
        return no_key(maker);
    AW_TRY(audit_log_head(maker->core->audit, &head));
    if (maker->note == NULL || head.size != maker->last.head.size)
        AW_TRY(make_new(maker, &head));
    return give(maker, ticket);
}

/* Notes how it went, for the schedule and for `status`. */
static aw_result
make_and_note(checkpoints *maker, int64_t *ticket)
{
    aw_result r = make(maker, ticket);

    maker->next_ms = aw_now_ms() + (aw_ok(r) ? maker->every_ms : RETRY_MS);
    snprintf(
        maker->failure, sizeof(maker->failure), "%s", aw_ok(r) ? "" : aw_error_last()->message);
    core_note_failure(maker->core, r.code);
    tell(maker);
    return r;
}

static aw_result
make_asked(checkpoints *maker, char **note, int64_t *size, int64_t *ticket)
{
    AW_HOLD(&maker->lock);
    AW_TRY(make_and_note(maker, ticket));
    *note = strdup(maker->note);
    *size = maker->last.head.size;
    return *note == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
checkpoints_make(checkpoints *maker, char **note, int64_t *size)
{
    int64_t ticket = 0;

    *note = NULL;
    AW_TRY(make_asked(maker, note, size, &ticket));
    return maker->exporter == NULL ? AW_OK : exporter_wait(maker->exporter, ticket);
}

void
checkpoints_state(checkpoints *maker, struct checkpoints_state *out)
{
    pthread_mutex_lock(&maker->told_lock);
    *out = maker->told;
    pthread_mutex_unlock(&maker->told_lock);
    out->exports = maker->exporter != NULL;
    if (out->exports)
        exporter_state(maker->exporter, &out->export);
}

/* Rotation. */

/* The record that names the next key, or the one that says that a key is gone. */
static aw_result
record_key(checkpoints *maker, const struct peer *by, const char *operation,
    const struct audit_key *key, const char *line)
{
    char digest[AW_DIGEST_HEX_SIZE];

    AW_TRY(audit_key_digest(key, digest));
    struct audit_entry entry = {.kind = AUDIT_ADMIN,
        .has_uid = true,
        .uid = by->uid,
        .user = by->user,
        .operation = operation,
        .verdict = "permit",
        .key = digest,
        .message = line};
    return core_record(maker->core, &entry);
}

/* The old key's last checkpoint covers the record of the new one: whoever trusts the old one can
 * follow. Until the old key is destroyed it stays in use, and the new one is a rest. */
static aw_result
hand_over(checkpoints *maker, const struct peer *by, const struct audit_key *next)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    int64_t ticket;

    AW_TRY(audit_verifier_line(next->verifier, &line));
    AW_TRY(record_key(maker, by, AUDIT_KEY_NEXT, next, line));
    AW_TRY(make_and_note(maker, &ticket));
    if (maker->exporter != NULL)
        AW_TRY(exporter_wait(maker->exporter, ticket));
    return token_key_destroy(maker->key.key);
}

aw_result
checkpoints_rotate_key(checkpoints *maker, const struct peer *by, struct token_key_report *report)
{
    AW_CLEANUP(audit_key_free) struct audit_key next = {.key = NULL};
    AW_CLEANUP(audit_key_free) struct audit_key old = {.key = NULL};
    const struct audit_key_of of = key_of(maker);

    AW_HOLD(&maker->lock);
    if (maker->key.key == NULL)
        return no_key(maker);
    AW_TRY(audit_key_make(&of, 1 - maker->key.place, true, report, &next));
    AW_TRY(hand_over(maker, by, &next));
    old = maker->key;
    maker->key = next;
    next = (struct audit_key){.key = NULL};
    maker->next_ms = 0; /* the new key's first one, of the record that comes now */
    return record_key(maker, by, "audit-key-destroy", &old, NULL);
}

/* The schedule. */

static bool
is_due(const checkpoints *maker)
{
    int64_t appended = 0, durable = 0;

    struct audit_log_segments segments;

    audit_log_position(maker->core->audit, &appended, &durable);
    audit_log_segments(maker->core->audit, &segments);
    if (maker->key.key == NULL || durable <= maker->last.head.size)
        return false;
    if (aw_now_ms() >= maker->next_ms)
        return true;
    /* A closed segment may be archived once a checkpoint covers it. */
    return maker->failure[0] == '\0' &&
           (segments.last > maker->last.head.size ||
               durable - maker->last.head.size >= maker->every_records);
}

static void
make_scheduled(checkpoints *maker)
{
    int64_t ticket;

    if (is_due(maker) && !aw_ok(make_and_note(maker, &ticket)))
        aw_log_failure(AW_LOG_ERROR, "no checkpoint of the audit log could be made");
}

static void *
thread_main(void *context)
{
    checkpoints *maker = context;

    AW_HOLD(&maker->lock);
    while (!maker->closing) {
        struct timespec until;

        make_scheduled(maker);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_SECONDS;
        pthread_cond_timedwait(&maker->wake, &maker->lock, &until);
    }
    make_scheduled(maker);
    return NULL;
}

/* Opening and closing. */

static void
release(checkpoints **slot)
{
    checkpoints *maker = *slot;

    if (maker == NULL)
        return;
    audit_key_free(&maker->key);
    free(maker->folder);
    free(maker->key_name);
    free(maker->origin);
    free(maker->note);
    pthread_cond_destroy(&maker->wake);
    pthread_mutex_destroy(&maker->lock);
    pthread_mutex_destroy(&maker->told_lock);
    exporter_close(&maker->exporter);
    free(maker);
    *slot = NULL;
}

static aw_result
prepare(struct core *core, checkpoints *maker)
{
    const struct aw_config *config = core->config;
    pthread_condattr_t monotonic;

    pthread_mutex_init(&maker->lock, NULL);
    pthread_mutex_init(&maker->told_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&maker->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    maker->core = core;
    maker->every_records = config->audit.every_records;
    maker->every_ms = config->audit.every_minutes * MINUTE_MS;
    AW_TRY(aw_path_join(config->paths.state, "audit", &maker->folder));
    AW_TRY(aw_format(&maker->key_name, "%s", config->audit.key));
    AW_TRY(aw_format(&maker->origin, "%s", config->audit.origin));
    maker->export_line = strcmp(config->audit.export, "none") != 0;
    if (aw_config_export_folder(config) == NULL)
        return AW_OK;
    return exporter_open(aw_config_export_folder(config), &maker->exporter);
}

static aw_result
keep_last(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    checkpoints *maker = context;

    free(maker->note);
    maker->note = strdup(note);
    maker->last = *checkpoint;
    return maker->note == NULL ? aw_fail_memory() : AW_OK;
}

/* Nothing is signed wrongly without them, but nothing here shows any more that the log was cut. */
static aw_result
tell_of_none(const checkpoints *maker)
{
    int64_t appended = 0, durable = 0;

    audit_log_position(maker->core->audit, &appended, &durable);
    if (appended > maker->every_records)
        aw_log(AW_LOG_WARNING,
            "no checkpoint of the audit log's %lld records is stored: if this is not the first "
            "start with audit: key, the file checkpoints was lost; hold the log against one that "
            "was kept elsewhere (acmeward-admin audit verify --checkpoint FILE)",
            (long long)appended);
    return AW_OK;
}

static aw_result
read_stored(checkpoints *maker)
{
    AW_TRY(audit_stored_read(maker->folder, keep_last, maker, &maker->stored));
    if (maker->stored.torn > 0)
        aw_log(AW_LOG_WARNING,
            "the stored checkpoints ended in half a one: the next one takes the place of its %zu "
            "octets",
            maker->stored.torn);
    if (maker->note == NULL)
        return tell_of_none(maker);
    if (strcmp(maker->last.origin, maker->origin) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_CONFIG,
                       "audit: origin: found \"%s\", the stored checkpoints of this log are of "
                       "\"%s\"",
                       maker->origin, maker->last.origin),
        "the origin is the log's identity: keep it, or begin a new log");
}

aw_result
checkpoints_open(struct core *core, checkpoints **out)
{
    *out = NULL;
    if (core->config->audit.key == NULL)
        return AW_OK;
    AW_CLEANUP(release) checkpoints *maker = calloc(1, sizeof(*maker));
    if (maker == NULL)
        return aw_fail_memory();
    AW_TRY(prepare(core, maker));
    AW_TRY(read_stored(maker));
    AW_TRY(find_key(maker));
    tell(maker);
    if (pthread_create(&maker->thread, NULL, thread_main, maker) != 0)
        return aw_fail(AW_CODE_MEMORY, "cannot start the thread that makes checkpoints");
    *out = AW_MOVE(maker);
    return AW_OK;
}

void
checkpoints_close(checkpoints **slot)
{
    checkpoints *maker = *slot;

    if (maker == NULL)
        return;
    pthread_mutex_lock(&maker->lock);
    maker->closing = true;
    maker->next_ms = 0;
    pthread_cond_signal(&maker->wake);
    pthread_mutex_unlock(&maker->lock);
    pthread_join(maker->thread, NULL);
    release(slot);
}
