#include "signer/ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/lock.h"
#include "common/log.h"
#include "signer/budget.h"
#include "signer/ledger_apply.h"
#include "signer/ledger_claims.h"
#include "signer/ledger_db.h"
#include "signer/ledger_keys.h"
#include "signer/ledger_quota.h"
#include "signer/ledger_recovery.h"
#include "signer/ledger_rules.h"

struct ledger {
    pthread_mutex_t mutex; /* guards all below, and the order of records */
    audit_log *log;
    aw_db *db;
    budget *budget;                  /* has a lock of its own */
    struct ledger_position position; /* last record taken in */
    int64_t pending;                 /* records since the last commit */
    bool broken;                     /* for good: the database may lack a record of the log */
    struct aw_error cause;
};

/* The first failure of the database stays: an index that may be behind must not decide. */
static aw_result
settle(ledger *self, aw_result r)
{
    if (!aw_ok(r) && !self->broken) {
        self->broken = true;
        aw_error_save(&self->cause);
    }
    return r;
}

static aw_result
check_usable(const ledger *self)
{
    if (!self->broken)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_UNAVAILABLE, "the ledger failed before: %.800s", self->cause.message),
        "start the signer anew: the ledger is brought up from the audit log; %.300s",
        self->cause.hint);
}

/*
 * Only records that are durable are committed, so that after a crash the log is never behind the
 * ledger. The wait is one fsync in LEDGER_COMMIT_EVERY records.
 */
static aw_result
commit(ledger *self)
{
    if (self->pending == 0)
        return AW_OK;
    AW_TRY(audit_log_wait(self->log, self->position.seq));
    AW_TRY(settle(self, ledger_db_commit(self->db, &self->position)));
    self->pending = 0;
    return AW_OK;
}

/* Opening and closing. */

aw_result
ledger_open(const char *path, const char *audit_folder, audit_log *log, ledger **out,
    struct ledger_recovery *recovery)
{
    AW_CLEANUP(ledger_close) ledger *opened = calloc(1, sizeof(*opened));
    struct ledger_source source = {.path = path, .folder = audit_folder};
    int64_t durable;

    *out = NULL;
    if (opened == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&opened->mutex, NULL);
    opened->log = log;
    AW_TRY(budget_new(&opened->budget));
    audit_log_position(log, &source.appended, &durable);
    AW_TRY(audit_log_wait(log, source.appended));
    AW_TRY(ledger_recover(&source, &opened->db, &opened->position, recovery));
    *out = AW_MOVE(opened);
    return AW_OK;
}

static aw_result
finish(ledger *self)
{
    AW_TRY(commit(self));
    return ledger_db_finish(&self->db);
}

void
ledger_close(ledger **self)
{
    if (*self == NULL)
        return;
    /* The log still holds what is not committed. */
    if ((*self)->db != NULL && !(*self)->broken && !aw_ok(finish(*self)))
        aw_log_failure(
            AW_LOG_WARNING, "the ledger was not closed in order: the next start checks all of it");
    aw_db_close(&(*self)->db);
    budget_free(&(*self)->budget);
    pthread_mutex_destroy(&(*self)->mutex);
    free(*self);
    *self = NULL;
}

aw_result
ledger_commit(ledger *self)
{
    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    return commit(self);
}

/* Submitting. */

/* Appends one record and takes it in. */
static aw_result
record_sized(ledger *self, const struct audit_entry *entry, int64_t *seq, size_t *size)
{
    struct audit_receipt receipt;

    AW_TRY(audit_log_record(self->log, entry, &receipt));
    *seq = receipt.seq;
    *size = receipt.size;
    AW_TRY(settle(self, ledger_apply(self->db, receipt.seq, receipt.time, entry)));
    self->position.seq = receipt.seq;
    self->position.time = receipt.time;
    memcpy(self->position.digest, receipt.digest, sizeof(self->position.digest));
    self->pending++;
    return AW_OK;
}

static aw_result
record(ledger *self, const struct audit_entry *entry, int64_t *seq)
{
    size_t size;

    return record_sized(self, entry, seq, &size);
}

static bool
is_afforded(ledger *self, const struct audit_entry *entry, enum budget_kind kind)
{
    struct audit_room room;

    audit_log_room(self->log, &room);
    return room.spare && budget_left(self->budget, budget_payer_of(entry), kind, aw_now_ms());
}

/*
 * What permits nothing has a record while its user's budget and the room for it last; beyond that
 * it is counted, and there is nothing to wait for.
 */
static aw_result
record_or_count(ledger *self, const struct audit_entry *entry, enum budget_kind kind, int64_t *seq)
{
    bool learns;
    size_t size;

    if (!entry->has_uid) /* the signer's own: no client can cause it */
        return record(self, entry, seq);
    AW_TRY(settle(self, ledger_keys_learns(self->db, entry, &learns)));
    if (!learns && !is_afforded(self, entry, kind)) {
        budget_count(self->budget, entry, kind, aw_now_ms());
        return AW_OK;
    }
    AW_TRY(record_sized(self, entry, seq, &size));
    budget_spend(self->budget, budget_payer_of(entry), kind, size, aw_now_ms());
    return AW_OK;
}

/* One record a URL. Without a new one the last record stands for them: wait for that. */
static aw_result
record_claims(
    ledger *self, const struct ledger_check *check, struct audit_entry *entry, int64_t *seq)
{
    *seq = self->position.seq;
    check->verdict->known = true;
    for (size_t i = 0; i < check->request->claim_count; i++) {
        if (!check->fresh[i])
            continue;
        check->verdict->known = false;
        entry->url = check->request->claims[i].url;
        entry->url_kind = ledger_kind_name(check->request->claims[i].kind);
        AW_TRY(record(self, entry, seq));
    }
    return AW_OK;
}

static aw_result
record_alarm(
    ledger *self, const struct ledger_check *check, const struct audit_entry *refusal, int64_t *seq)
{
    struct audit_entry alarm = {
        .kind = AUDIT_ALARM,
        .time = refusal->time,
        .has_uid = refusal->has_uid,
        .uid = refusal->uid,
        .user = refusal->user,
        .application = refusal->application,
        .account = refusal->account,
        .operation = refusal->operation,
        .rule = refusal->rule,
        .order = refusal->order,
        .url = refusal->url,
        .url_kind = refusal->url_kind,
        .key = refusal->key,
        .serial = refusal->serial,
        .names = refusal->names,
        .name_count = refusal->name_count,
        .issuer = refusal->issuer,
        .certificate = refusal->certificate,
        .has_verified = refusal->has_verified,
        .verified = refusal->verified,
        .account_id = refusal->account_id,
        .evidence = refusal->evidence,
        .message = check->alarm,
    };

    /* What is permitted has limits of its own, and its alarm comes with it. */
    return ledger_applies(refusal) ? record(self, &alarm, seq)
                                   : record_or_count(self, &alarm, BUDGET_ALARM, seq);
}

static aw_result
record_refusal(
    ledger *self, const struct ledger_check *check, struct audit_entry *entry, int64_t *seq)
{
    entry->verdict = "refuse";
    entry->rule = ledger_rule_tag(check->verdict->rule);
    entry->message = check->verdict->message;
    if (check->refused != NULL) {
        entry->url = check->refused->url;
        entry->url_kind = ledger_kind_name(check->refused->kind);
    }
    AW_TRY(record_or_count(self, entry, BUDGET_REFUSAL, seq));
    return check->verdict->alarm ? record_alarm(self, check, entry, seq) : AW_OK;
}

/* One that is on record already gets none: wait for the last, like claims. What is odd about it is
 * alarmed under its own tag. */
static aw_result
record_certificate(
    ledger *self, const struct ledger_check *check, struct audit_entry *entry, int64_t *seq)
{
    struct audit_entry odd = *entry;

    *seq = self->position.seq;
    check->verdict->known = check->repeated;
    if (check->repeated)
        return AW_OK;
    AW_TRY(record(self, entry, seq));
    odd.rule = check->request->alarm_rule;
    return check->verdict->alarm ? record_alarm(self, check, &odd, seq) : AW_OK;
}

static aw_result
record_permit(
    ledger *self, const struct ledger_check *check, struct audit_entry *entry, int64_t *seq)
{
    if (check->request->operation == SIGN_CLAIM)
        return record_claims(self, check, entry, seq);
    if (check->request->operation == SIGN_RECORD_CERTIFICATE)
        return record_certificate(self, check, entry, seq);
    if (check->request->operation != SIGN_FINALIZE)
        return record(self, entry, seq);
    /* The record of a finalize says which order of the CA it was. */
    entry->order_url = check->order.order_url;
    aw_result r = record(self, entry, seq);
    entry->order_url = NULL;
    return r;
}

static void
check_end(struct ledger_check *check)
{
    ledger_order_free(&check->order);
}

static aw_result
decide(ledger *self, const struct ledger_request *request, struct audit_entry *entry,
    struct ledger_check *check, int64_t *seq)
{
    AW_TRY(ledger_rules_enter(request, entry));
    if (!ledger_applies(entry))
        return aw_fail(AW_CODE_INTERNAL,
            "a %s request with the verdict \"%.20s\", expected permit "
            "or warn",
            entry->operation, entry->verdict == NULL ? "" : entry->verdict);
    AW_TRY(settle(self, ledger_rules_ask(check)));
    if (check->verdict->rule != LEDGER_NONE)
        return record_refusal(self, check, entry, seq);
    return record_permit(self, check, entry, seq);
}

/* Nothing is permitted past the rules. */
static aw_result
record_only(ledger *self, const struct audit_entry *entry, int64_t *seq)
{
    if (ledger_applies(entry))
        return aw_fail(AW_CODE_INTERNAL, "a permitted %s record came without a request",
            audit_kind_name(entry->kind));
    if (entry->verdict != NULL && strcmp(entry->verdict, "refuse") == 0)
        return record_or_count(self, entry, BUDGET_REFUSAL, seq);
    return record(self, entry, seq);
}

aw_result
ledger_submit(ledger *self, const struct ledger_request *request, struct audit_entry *entry,
    int64_t now, struct ledger_verdict *verdict, int64_t *seq)
{
    AW_CLEANUP(check_end)
    struct ledger_check check = {.request = request, .entry = entry, .verdict = verdict};

    *verdict = (struct ledger_verdict){0};
    *seq = 0;
    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    check.db = self->db;
    check.time = now > self->position.time ? now : self->position.time;
    entry->time = check.time;
    if (request == NULL)
        AW_TRY(record_only(self, entry, seq));
    else
        AW_TRY(decide(self, request, entry, &check, seq));
    return self->pending >= LEDGER_COMMIT_EVERY ? commit(self) : AW_OK;
}

aw_result
ledger_read(ledger *self, aw_result (*read)(aw_db *db, void *context), void *context)
{
    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    return settle(self, read(self->db, context));
}

aw_result
ledger_used_today(ledger *self, const char *application, int64_t now, struct ledger_usage *out)
{
    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    int64_t since = (now > self->position.time ? now : self->position.time) - LEDGER_DAY;
    AW_TRY(settle(
        self, ledger_quota_count(self->db, LEDGER_COUNT_ORDERS, application, since, &out->orders)));
    return settle(self, ledger_quota_count(self->db, LEDGER_COUNT_REVOCATIONS, application, since,
                            &out->revocations));
}

static aw_result
find_holder(ledger *self, const char *account, const char *url, enum sign_url_kind *kind,
    char **application)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *application = NULL;
    AW_TRY(aw_db_find(self->db, LEDGER_SQL_CLAIM_FIRST,
        AW_DB_VALUES(AW_DB_TEXT(account), AW_DB_TEXT(url)), &row));
    if (row == NULL)
        return AW_OK;
    *kind = (enum sign_url_kind)aw_db_integer(row, 0);
    return aw_db_text(row, 2, application);
}

aw_result
ledger_holder(ledger *self, const char *account, const char *url, enum sign_url_kind *kind,
    char **application)
{
    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    return settle(self, find_holder(self, account, url, kind, application));
}

static aw_result
find_key_owner(ledger *self, const char *key, char **application)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *application = NULL;
    AW_TRY(aw_db_find(self->db, LEDGER_SQL_KEY, AW_DB_VALUES(AW_DB_TEXT(key)), &row));
    return row == NULL ? AW_OK : aw_db_text(row, 0, application);
}

aw_result
ledger_key_owner(ledger *self, const char *key, char **application)
{
    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    return settle(self, find_key_owner(self, key, application));
}

static aw_result
visit_row(aw_db_row *row, aw_result (*visit)(void *context, const struct ledger_certificate *found),
    void *context)
{
    AW_CLEANUP(aw_free) char *application = NULL;
    AW_CLEANUP(aw_free) char *names = NULL;

    AW_TRY(aw_db_text(row, 0, &application));
    AW_TRY(aw_db_text(row, 1, &names));
    return visit(context, &(struct ledger_certificate){application, names, aw_db_integer(row, 2)});
}

aw_result
ledger_visit_certificates(ledger *self, int64_t since,
    aw_result (*visit)(void *context, const struct ledger_certificate *found), void *context)
{
    AW_HOLD(&self->mutex);
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(check_usable(self));
    AW_TRY(settle(self,
        aw_db_find(self->db, LEDGER_SQL_CERTIFICATES, AW_DB_VALUES(AW_DB_INTEGER(since)), &row)));
    while (row != NULL) {
        AW_TRY(visit_row(row, visit, context));
        AW_TRY(settle(self, aw_db_next(self->db, &row)));
    }
    return AW_OK;
}

int64_t
ledger_unrecorded(ledger *self)
{
    return budget_counted(self->budget);
}

bool
ledger_is_over(ledger *self, uint32_t uid)
{
    return !budget_left(self->budget, uid, BUDGET_REFUSAL, aw_now_ms());
}

int64_t
ledger_time(ledger *self)
{
    AW_HOLD(&self->mutex);
    return self->position.time;
}

/* Counts. */

void
ledger_count_refusal(ledger *self, const struct audit_entry *entry)
{
    budget_count(self->budget, entry, BUDGET_REFUSAL, aw_now_ms());
}

static aw_result
record_sum(ledger *self, const struct budget_sum *sum, int64_t now)
{
    int64_t seq;
    const struct audit_entry entry = {
        .kind = AUDIT_REFUSALS,
        .time = now > self->position.time ? now : self->position.time,
        .has_uid = sum->has_uid,
        .uid = sum->uid,
        .user = sum->user[0] == '\0' ? NULL : sum->user,
        .application = sum->application[0] == '\0' ? NULL : sum->application,
        .verdict = "refuse",
        .rule = sum->rule,
        .count = sum->count,
        .message = sum->message,
    };

    return record(self, &entry, &seq);
}

aw_result
ledger_record_counts(ledger *self, bool all, int64_t now)
{
    struct budget_sum sum;
    struct audit_room room;

    AW_HOLD(&self->mutex);
    AW_TRY(check_usable(self));
    for (;;) {
        audit_log_room(self->log, &room);
        if (!room.spare || !budget_take(self->budget, all, aw_now_ms(), &sum))
            return AW_OK;
        AW_TRY(record_sum(self, &sum, now));
    }
}
