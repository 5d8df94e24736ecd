#include "signer/ledger_recovery.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/ledger_apply.h"

struct replay {
    aw_db *db;
    struct ledger_position *position;
    bool joined;      /* the record at the ledger's position was found in the log */
    int64_t replayed; /* records taken in */
};

/* A record's digest covers all before it, so one agreement is agreement on the whole past. Which of
 * two pasts is ours is not for us to settle: with another host's log all of ours is forgotten. */
static aw_result
join(struct replay *replay, const struct audit_record *record)
{
    if (record->seq != replay->position->seq ||
        strcmp(record->digest, replay->position->digest) != 0)
        return aw_hint(
            aw_fail(AW_CODE_MISMATCH,
                "ledger and audit log are not of one host or time: the ledger's record %lld has "
                "the digest %s, the log's is record %lld with %s",
                (long long)replay->position->seq, replay->position->digest, (long long)record->seq,
                record->digest),
            "if the log is the right one, remove ledger.db and ledger.db.seal: the ledger is then "
            "made anew; else bring back the log that the ledger is of, or what it knows is lost");
    replay->joined = true;
    return AW_OK;
}

static aw_result
visit(const struct audit_record *record, void *context)
{
    struct replay *replay = context;

    if (!replay->joined)
        return join(replay, record);
    AW_TRY(ledger_apply(replay->db, record->seq, record->entry.time, &record->entry));
    replay->position->seq = record->seq;
    replay->position->time = record->entry.time;
    memcpy(replay->position->digest, record->digest, sizeof(replay->position->digest));
    replay->replayed++;
    if (replay->replayed % LEDGER_COMMIT_EVERY == 0)
        return ledger_db_commit(replay->db, replay->position);
    return AW_OK;
}

/* Only durable records are taken in, so this log has lost some: that is not for us to settle. */
static aw_result
behind(const struct ledger_source *source, const struct ledger_position *position)
{
    return aw_hint(
        aw_fail(AW_CODE_NOT_FOUND,
            "the audit log ends with record %lld, but the ledger has taken in record %lld: the log "
            "was cut, removed, or restored from a backup",
            (long long)source->appended, (long long)position->seq),
        "bring the log back; if the records are lost for good, or an older copy is put back on "
        "purpose, remove ledger.db and ledger.db.seal: the ledger is then made anew, and quotas "
        "and orders of the lost records are forgotten");
}

static aw_result
take_in(const struct ledger_source *source, struct replay *replay)
{
    struct ledger_position *position = replay->position;

    AW_TRY(ledger_db_position(replay->db, position));
    if (position->seq > source->appended)
        return behind(source, position);
    if (position->seq < 0)
        return aw_fail(AW_CODE_CORRUPT, "the ledger has taken in a record before the first");
    replay->joined = position->seq == 0;
    if (source->appended == 0)
        return AW_OK;
    AW_TRY(audit_read(source->folder, position->seq == 0 ? 1 : position->seq, visit, replay));
    if (!replay->joined || position->seq != source->appended)
        return aw_fail(AW_CODE_MISMATCH, "the log gave record %lld as its last, expected %lld",
            (long long)position->seq, (long long)source->appended);
    return ledger_db_commit(replay->db, position);
}

static aw_result
attempt(const struct ledger_source *source, aw_db **out, struct ledger_position *position,
    struct ledger_recovery *recovery, bool *fresh)
{
    AW_CLEANUP(aw_db_close) aw_db *db = NULL;
    struct replay replay = {.position = position};

    AW_TRY(ledger_db_open(source->path, &db, fresh));
    replay.db = db;
    AW_TRY(take_in(source, &replay));
    recovery->replayed = replay.replayed;
    *out = AW_MOVE(db);
    return AW_OK;
}

/* Renames path + suffix to base + suffix; one that is not there is fine. */
static aw_result
move_file(const char *path, const char *base, const char *suffix)
{
    AW_CLEANUP(aw_free) char *from = NULL;
    AW_CLEANUP(aw_free) char *to = NULL;

    AW_TRY(aw_format(&from, "%s%s", path, suffix));
    AW_TRY(aw_format(&to, "%s%s", base, suffix));
    if (rename(from, to) != 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "cannot set %s aside as %s", from, to);
    return AW_OK;
}

/* A name that is free. */
static aw_result
choose_name(const char *path, char **out)
{
    AW_CLEANUP(aw_free) char *name = NULL;
    char now[32];

    aw_time_text((int64_t)time(NULL), now);
    AW_TRY(aw_format(&name, "%s.bad-%s", path, now));
    for (int i = 2; access(name, F_OK) == 0; i++) {
        aw_free(&name);
        AW_TRY(aw_format(&name, "%s.bad-%s-%d", path, now, i));
    }
    *out = AW_MOVE(name);
    return AW_OK;
}

/* What belongs to a database, the file itself last. */
static const char *const suffixes[] = {".seal", "-wal", "-shm", "-journal", ""};

static aw_result
set_aside(const char *path)
{
    AW_CLEANUP(aw_free) char *base = NULL;

    AW_TRY(choose_name(path, &base));
    for (size_t i = 0; i < AW_COUNT(suffixes); i++)
        AW_TRY(move_file(path, base, suffixes[i]));
    aw_log_failure(AW_LOG_WARNING, "the ledger is rebuilt from the audit log");
    return aw_folder_sync_of(path);
}

/* Half of a ledger that the log can't be taken into. The next start would find it wanting, set it
 * aside and make another: one more each time, until the disk of the log is full. */
static aw_result
discard(const char *path)
{
    struct aw_error error;

    aw_error_save(&error);
    for (size_t i = 0; i < AW_COUNT(suffixes); i++) {
        AW_CLEANUP(aw_free) char *file = NULL;

        if (aw_ok(aw_format(&file, "%s%s", path, suffixes[i])))
            unlink(file);
    }
    return aw_error_restore(&error);
}

aw_result
ledger_recover(const struct ledger_source *source, aw_db **out, struct ledger_position *position,
    struct ledger_recovery *recovery)
{
    bool fresh = false;

    *recovery = (struct ledger_recovery){0};
    aw_result r = attempt(source, out, position, recovery, &fresh);
    /* What fails on new tables too is a fault of the log. */
    if (!fresh && r.code == AW_CODE_CORRUPT) {
        AW_TRY(set_aside(source->path));
        r = attempt(source, out, position, recovery, &fresh);
        recovery->rebuilt = true;
    }
    if (fresh && recovery->replayed > 0)
        recovery->rebuilt = true;
    return fresh && r.code == AW_CODE_CORRUPT ? discard(source->path) : r;
}
