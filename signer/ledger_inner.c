#include "signer/ledger_inner.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/hex.h"
#include "signer/ledger_app_eabs.h"

static aw_result
thumbprint_of(const char *jwk, char out[LEDGER_THUMBPRINT_SIZE])
{
    uint8_t digest[AW_DIGEST_SIZE];

    if (EVP_Q_digest(NULL, "SHA256", NULL, jwk, strlen(jwk), digest, NULL) != 1)
        return aw_fail_openssl("hashing an account's key");
    aw_hex(digest, sizeof(digest), out);
    return AW_OK;
}

/* Look-ups. */

static aw_result
read_account(aw_db_row *row, struct ledger_inner_account *out)
{
    AW_TRY(aw_db_text(row, 1, &out->application));
    AW_TRY(aw_db_text(row, 2, &out->jwk));
    out->active = aw_db_integer(row, 3) != 0;
    out->id = aw_db_integer(row, 0);
    return AW_OK;
}

static aw_result
load(aw_db *db, enum ledger_statement statement, struct aw_db_values values,
    struct ledger_inner_account *out)
{
    AW_CLEANUP(ledger_inner_account_free) struct ledger_inner_account found = {0};
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *out = (struct ledger_inner_account){0};
    AW_TRY(aw_db_find(db, statement, values, &row));
    if (row == NULL)
        return AW_OK;
    AW_TRY(read_account(row, &found));
    *out = found;
    found = (struct ledger_inner_account){0};
    return AW_OK;
}

struct wanted {
    int64_t id;
    const char *text;
    struct ledger_inner_account *account;
    int64_t *account_id;
    bool *known;
};

static aw_result
find_by_id(aw_db *db, void *context)
{
    const struct wanted *wanted = context;

    return load(
        db, LEDGER_SQL_INNER_ACCOUNT, AW_DB_VALUES(AW_DB_INTEGER(wanted->id)), wanted->account);
}

static aw_result
find_by_key(aw_db *db, void *context)
{
    const struct wanted *wanted = context;

    return load(db, LEDGER_SQL_INNER_KEY, AW_DB_VALUES(AW_DB_TEXT(wanted->text)), wanted->account);
}

static aw_result
find_order(aw_db *db, void *context)
{
    const struct wanted *wanted = context;
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, LEDGER_SQL_INNER_ORDER,
        AW_DB_VALUES(AW_DB_INTEGER(wanted->id), AW_DB_TEXT(wanted->text)), &row));
    if (row == NULL)
        return AW_OK;
    *wanted->account_id = aw_db_integer(row, 0);
    if (wanted->known != NULL)
        *wanted->known = aw_db_integer(row, 1) != 0;
    return AW_OK;
}

aw_result
ledger_inner_account_find(ledger *self, int64_t id, struct ledger_inner_account *out)
{
    return ledger_read(self, find_by_id, &(struct wanted){.id = id, .account = out});
}

aw_result
ledger_inner_account_of_key(ledger *self, const char *thumbprint, struct ledger_inner_account *out)
{
    return ledger_read(self, find_by_key, &(struct wanted){.text = thumbprint, .account = out});
}

aw_result
ledger_inner_order_find(
    ledger *self, int64_t ticket, const char *evidence, int64_t *account_id, bool *known)
{
    *account_id = 0;
    if (known != NULL)
        *known = false;
    return ledger_read(self, find_order,
        &(struct wanted){.id = ticket, .text = evidence, .account_id = account_id, .known = known});
}

void
ledger_inner_account_free(struct ledger_inner_account *account)
{
    free(account->application);
    free(account->jwk);
    *account = (struct ledger_inner_account){0};
}

/* Rules. */

aw_result
ledger_inner_active(struct ledger_check *check)
{
    AW_CLEANUP(ledger_inner_account_free) struct ledger_inner_account account = {0};
    int64_t id = check->request->account_id;

    if (id == 0)
        return AW_OK;
    AW_TRY(load(check->db, LEDGER_SQL_INNER_ACCOUNT, AW_DB_VALUES(AW_DB_INTEGER(id)), &account));
    if (account.id != id || !account.active ||
        strcmp(account.application, check->request->application) != 0)
        return ledger_refuse(check, LEDGER_INNER_ACCOUNT,
            "account %lld does not exist, or was deactivated: register anew", (long long)id);
    /* Verified before the lock was held: what the key signed counts as long as it is the key. */
    if (check->request->signed_by == NULL || strcmp(account.jwk, check->request->signed_by) == 0)
        return AW_OK;
    return ledger_refuse(check, LEDGER_INNER_ACCOUNT,
        "the key of account %lld was changed meanwhile: sign with the new one", (long long)id);
}

aw_result
ledger_inner_key_free(struct ledger_check *check)
{
    AW_CLEANUP(ledger_inner_account_free) struct ledger_inner_account account = {0};
    char thumbprint[LEDGER_THUMBPRINT_SIZE];

    AW_TRY(thumbprint_of(check->request->jwk, thumbprint));
    AW_TRY(load(check->db, LEDGER_SQL_INNER_KEY, AW_DB_VALUES(AW_DB_TEXT(thumbprint)), &account));
    if (account.id == 0)
        return AW_OK;
    check->verdict->account_id = account.id;
    return ledger_refuse(
        check, LEDGER_INNER_KEY, "account %lld has that key already", (long long)account.id);
}

/* What was not answered is signed again with another nonce of the CA's: the CA has no order yet. */
aw_result
ledger_inner_order_again(struct ledger_check *check)
{
    const struct ledger_order *order = &check->order;

    if (order->evidence == NULL || strcmp(order->evidence, check->request->evidence) != 0)
        return ledger_refuse(check, LEDGER_INNER_EVIDENCE,
            "order %lld was opened by another request", (long long)order->seq);
    if (order->order_url != NULL)
        return ledger_refuse(check, LEDGER_INNER_EVIDENCE,
            "order %lld is known to the CA: it is not opened again", (long long)order->seq);
    if (order->repeats >= LEDGER_REPEATS_MAX)
        return ledger_refuse(check, LEDGER_ORDER_SPENT,
            "new-order of order %lld was signed again %lld times, which is the limit",
            (long long)order->seq, (long long)order->repeats);
    return AW_OK;
}

aw_result
ledger_inner_revoke_again(struct ledger_check *check)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(check->db, LEDGER_SQL_INNER_REVOCATION,
        AW_DB_VALUES(AW_DB_TEXT(check->request->evidence)), &row));
    if (row == NULL)
        return ledger_refuse(
            check, LEDGER_INNER_EVIDENCE, "that request has revoked nothing before");
    if (aw_db_integer(row, 0) < LEDGER_REPEATS_MAX)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_SPENT,
        "that revocation was signed again %lld times, which is the limit",
        (long long)aw_db_integer(row, 0));
}

/* Effects. */

static aw_result
change(aw_db *db, enum ledger_statement statement, struct aw_db_values values, int64_t seq)
{
    int64_t changes;

    AW_TRY(aw_db_run(db, statement, values, &changes));
    if (changes != 1)
        return aw_fail(AW_CODE_CORRUPT,
            "record %lld is of an account or order that no record opened", (long long)seq);
    return AW_OK;
}

aw_result
ledger_inner_take_account(aw_db *db, int64_t seq, const struct audit_entry *entry)
{
    char thumbprint[LEDGER_THUMBPRINT_SIZE];

    AW_TRY(thumbprint_of(entry->jwk, thumbprint));
    AW_TRY(change(db, LEDGER_SQL_INNER_ACCOUNT_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(seq), AW_DB_TEXT(entry->application), AW_DB_TEXT(entry->kid),
            AW_DB_TEXT(entry->jwk), AW_DB_TEXT(thumbprint)),
        seq));
    return ledger_app_eab_take_use(db, entry->kid);
}

aw_result
ledger_inner_take_key(aw_db *db, int64_t seq, const struct audit_entry *entry)
{
    char thumbprint[LEDGER_THUMBPRINT_SIZE];

    AW_TRY(thumbprint_of(entry->jwk, thumbprint));
    return change(db, LEDGER_SQL_INNER_KEY_SET,
        AW_DB_VALUES(
            AW_DB_INTEGER(entry->account_id), AW_DB_TEXT(entry->jwk), AW_DB_TEXT(thumbprint)),
        seq);
}

aw_result
ledger_inner_take_end(aw_db *db, int64_t seq, const struct audit_entry *entry)
{
    return change(db, LEDGER_SQL_INNER_END, AW_DB_VALUES(AW_DB_INTEGER(entry->account_id)), seq);
}

aw_result
ledger_inner_take_order(aw_db *db, int64_t seq, const struct audit_entry *entry)
{
    if (entry->account_id == 0)
        return AW_OK;
    return change(db, LEDGER_SQL_INNER_ORDER_ADD,
        AW_DB_VALUES(
            AW_DB_INTEGER(seq), AW_DB_INTEGER(entry->account_id), AW_DB_TEXT(entry->evidence)),
        seq);
}

aw_result
ledger_inner_take_again(aw_db *db, int64_t seq, const struct audit_entry *entry)
{
    return change(db, LEDGER_SQL_INNER_ORDER_AGAIN,
        AW_DB_VALUES(AW_DB_INTEGER(entry->order), AW_DB_INTEGER(entry->account_id)), seq);
}

aw_result
ledger_inner_take_finalize(aw_db *db, const struct audit_entry *entry)
{
    if (entry->account_id == 0)
        return AW_OK;
    return aw_db_run(db, LEDGER_SQL_INNER_FINALIZE_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(entry->order), AW_DB_TEXT(entry->evidence)), NULL);
}

aw_result
ledger_inner_take_revocation(aw_db *db, const struct audit_entry *entry, bool *again)
{
    int64_t changes;

    *again = false;
    if (entry->evidence == NULL)
        return AW_OK;
    AW_TRY(aw_db_run(db, LEDGER_SQL_INNER_REVOCATION_AGAIN,
        AW_DB_VALUES(AW_DB_TEXT(entry->evidence)), &changes));
    *again = changes == 1;
    if (*again)
        return AW_OK;
    return aw_db_run(
        db, LEDGER_SQL_INNER_REVOCATION_ADD, AW_DB_VALUES(AW_DB_TEXT(entry->evidence)), NULL);
}
