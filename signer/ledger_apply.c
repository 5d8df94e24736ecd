#include "signer/ledger_apply.h"

#include <string.h>

#include "common/io.h"
#include "signer/ledger_app_eabs.h"
#include "signer/ledger_claims.h"
#include "signer/ledger_freezes.h"
#include "signer/ledger_inner.h"
#include "signer/ledger_keys.h"
#include "signer/ledger_names.h"

struct taking {
    aw_db *db;
    int64_t seq, time;
    const struct audit_entry *entry;
};

/* Changes exactly one row. */
static aw_result
change(const struct taking *t, enum ledger_statement statement, struct aw_db_values values)
{
    int64_t changes;

    AW_TRY(aw_db_run(t->db, statement, values, &changes));
    if (changes != 1)
        return aw_fail(AW_CODE_CORRUPT, "record %lld is of order %lld, which no record opened",
            (long long)t->seq, (long long)t->entry->order);
    return AW_OK;
}

static aw_result
take_order(const struct taking *t)
{
    const struct audit_entry *entry = t->entry;
    AW_CLEANUP(aw_free) char *names = NULL;

    if (entry->order > 0) /* signed again: no further order */
        return ledger_inner_take_again(t->db, t->seq, entry);
    AW_TRY(ledger_names_text(entry->names, entry->name_count, &names));
    AW_TRY(aw_db_run(t->db, LEDGER_SQL_ORDER_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(t->seq), AW_DB_TEXT(entry->application),
            AW_DB_TEXT(entry->account), AW_DB_INTEGER(t->time),
            AW_DB_INTEGER((int64_t)entry->name_count), AW_DB_TEXT(names)),
        NULL));
    AW_TRY(ledger_inner_take_order(t->db, t->seq, entry));
    return aw_db_run(t->db, LEDGER_SQL_PROGRESS_ADD, AW_DB_VALUES(AW_DB_INTEGER(t->seq)), NULL);
}

static aw_result
take_finalize(const struct taking *t)
{
    const struct audit_entry *entry = t->entry;

    AW_TRY(change(t, LEDGER_SQL_PROGRESS_FINALIZE,
        AW_DB_VALUES(AW_DB_INTEGER(entry->order), AW_DB_TEXT(entry->url), AW_DB_TEXT(entry->csr),
            AW_DB_TEXT(entry->key))));
    AW_TRY(ledger_inner_take_finalize(t->db, entry));
    return aw_db_run(t->db, LEDGER_SQL_KEY_ADD,
        AW_DB_VALUES(AW_DB_TEXT(entry->key), AW_DB_TEXT(entry->application)), NULL);
}

static aw_result
take_revocation(const struct taking *t)
{
    bool again;

    AW_TRY(ledger_keys_apply(t->db, t->seq, t->entry));
    AW_TRY(ledger_inner_take_revocation(t->db, t->entry, &again));
    if (again)
        return AW_OK;
    return aw_db_run(t->db, LEDGER_SQL_REVOCATION_ADD,
        AW_DB_VALUES(
            AW_DB_INTEGER(t->seq), AW_DB_TEXT(t->entry->application), AW_DB_INTEGER(t->time)),
        NULL);
}

static aw_result
take_poll(const struct taking *t)
{
    return change(t, LEDGER_SQL_PROGRESS_POLL, AW_DB_VALUES(AW_DB_INTEGER(t->entry->order)));
}

static aw_result
take_claim(const struct taking *t)
{
    const struct audit_entry *entry = t->entry;
    struct aw_db_value order = AW_DB_INTEGER(entry->order);
    enum sign_url_kind kind;

    if (!ledger_kind_parse(entry->url_kind, &kind))
        return aw_fail(AW_CODE_CORRUPT, "record %lld claims a URL of the unknown kind %.50s",
            (long long)t->seq, entry->url_kind);
    AW_TRY(aw_db_run(t->db, LEDGER_SQL_CLAIM_ADD,
        AW_DB_VALUES(
            AW_DB_TEXT(entry->account), AW_DB_TEXT(entry->url), order, AW_DB_INTEGER(kind)),
        NULL));
    AW_TRY(aw_db_run(
        t->db, LEDGER_SQL_CLAIM_COUNT_ADD, AW_DB_VALUES(order, AW_DB_INTEGER(kind)), NULL));
    if (kind != SIGN_URL_ORDER)
        return AW_OK;
    return change(t, LEDGER_SQL_PROGRESS_URL, AW_DB_VALUES(order, AW_DB_TEXT(entry->url)));
}

enum ledger_standing
ledger_standing_of(const struct audit_entry *entry)
{
    if (!entry->has_verified)
        return LEDGER_UNCHECKED;
    return entry->verified ? LEDGER_VERIFIED : LEDGER_UNVERIFIED;
}

static aw_result
take_certificate(const struct taking *t)
{
    const struct audit_entry *entry = t->entry;
    struct aw_db_value order = AW_DB_INTEGER(entry->order);

    AW_TRY(change(t, LEDGER_SQL_PROGRESS_CERTIFICATE, AW_DB_VALUES(order)));
    return aw_db_run(t->db, LEDGER_SQL_CERTIFICATE_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(t->seq), order, AW_DB_TEXT(entry->application),
            AW_DB_TEXT(entry->account), AW_DB_TEXT(entry->serial), AW_DB_TEXT(entry->key),
            AW_DB_INTEGER(entry->not_after), AW_DB_TEXT(entry->issuer),
            AW_DB_TEXT(entry->certificate), AW_DB_INTEGER(ledger_standing_of(entry))),
        NULL);
}

static aw_result
take_account(const struct taking *t)
{
    return ledger_inner_take_account(t->db, t->seq, t->entry);
}

static aw_result
take_key(const struct taking *t)
{
    return ledger_inner_take_key(t->db, t->seq, t->entry);
}

static aw_result
take_end(const struct taking *t)
{
    return ledger_inner_take_end(t->db, t->seq, t->entry);
}

enum {
    HAS_NAMES = 1,
    HAS_ORDER = 2,
    HAS_URL = 4,
    HAS_KIND = 8,
    HAS_CSR = 16,
    HAS_KEY = 32,
    HAS_ACCOUNT_ID = 64,
    HAS_JWK = 128,
    HAS_EVIDENCE = 256,
    HAS_KID = 512,
};

/* What a permitted operation does to the tables; no function: nothing. */
static const struct effect {
    enum audit_kind kind;
    unsigned has;
    aw_result (*take)(const struct taking *t);
} effects[SIGN_OPERATION_COUNT] = {
    [SIGN_NEW_ORDER] = {AUDIT_DECISION, HAS_NAMES, take_order},
    [SIGN_CLAIM] = {AUDIT_CLAIM, HAS_ORDER | HAS_URL | HAS_KIND, take_claim},
    [SIGN_FINALIZE] = {AUDIT_DECISION, HAS_ORDER | HAS_URL | HAS_CSR | HAS_KEY, take_finalize},
    [SIGN_POST_AS_GET] = {AUDIT_DECISION, HAS_ORDER, take_poll},
    [SIGN_ANSWER_CHALLENGE] = {AUDIT_DECISION, HAS_ORDER, take_poll},
    [SIGN_REVOKE] = {AUDIT_DECISION, 0, take_revocation},
    [SIGN_RECORD_CERTIFICATE] = {AUDIT_CERTIFICATE, HAS_ORDER | HAS_KEY, take_certificate},
    [SIGN_INNER_ACCOUNT] = {AUDIT_DECISION, HAS_JWK | HAS_EVIDENCE | HAS_KID, take_account},
    [SIGN_INNER_KEY_CHANGE] = {AUDIT_DECISION, HAS_ACCOUNT_ID | HAS_JWK | HAS_EVIDENCE, take_key},
    [SIGN_INNER_DEACTIVATE] = {AUDIT_DECISION, HAS_ACCOUNT_ID | HAS_EVIDENCE, take_end},
    [SIGN_CHECK] = {AUDIT_DECISION, 0, NULL},
    [SIGN_WHOAMI] = {AUDIT_DECISION, 0, NULL},
};

static bool
is_whole(const struct audit_entry *entry, unsigned has)
{
    return entry->application != NULL && entry->account != NULL &&
           ((has & HAS_NAMES) == 0 || entry->name_count > 0) &&
           ((has & HAS_ORDER) == 0 || entry->order > 0) &&
           ((has & HAS_URL) == 0 || entry->url != NULL) &&
           ((has & HAS_KIND) == 0 || entry->url_kind != NULL) &&
           ((has & HAS_CSR) == 0 || entry->csr != NULL) &&
           ((has & HAS_KEY) == 0 || entry->key != NULL) &&
           ((has & HAS_ACCOUNT_ID) == 0 || entry->account_id > 0) &&
           ((has & HAS_JWK) == 0 || entry->jwk != NULL) &&
           ((has & HAS_EVIDENCE) == 0 || entry->evidence != NULL) &&
           ((has & HAS_KID) == 0 || entry->kid != NULL);
}

static const struct effect *
find_effect(const struct audit_entry *entry)
{
    for (int i = 0; i < SIGN_OPERATION_COUNT; i++) {
        if (entry->operation != NULL &&
            strcmp(entry->operation, ledger_operation_name((enum sign_operation)i)) == 0)
            return effects[i].kind == entry->kind ? &effects[i] : NULL;
    }
    return NULL;
}

bool
ledger_applies(const struct audit_entry *entry)
{
    if (entry->kind != AUDIT_DECISION && entry->kind != AUDIT_CLAIM &&
        entry->kind != AUDIT_CERTIFICATE)
        return false;
    return entry->verdict != NULL &&
           (strcmp(entry->verdict, "permit") == 0 || strcmp(entry->verdict, "warn") == 0);
}

aw_result
ledger_apply(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    const struct taking taking = {db, seq, time, entry};

    AW_TRY(ledger_app_eab_take(db, seq, time, entry));
    AW_TRY(ledger_freezes_take(db, seq, time, entry));
    if (!ledger_applies(entry))
        return ledger_keys_apply(db, seq, entry);
    const struct effect *effect = find_effect(entry);
    if (effect == NULL || !is_whole(entry, effect->has))
        return aw_hint(
            aw_fail(AW_CODE_CORRUPT, "record %lld permits \"%.50s\", but is no whole %s record",
                (long long)seq, entry->operation == NULL ? "" : entry->operation,
                audit_kind_name(entry->kind)),
            "was the log written by another version of acmeward?");
    return effect->take == NULL ? AW_OK : effect->take(&taking);
}
