#include "signer/ledger_keys.h"

#include <string.h>

#include "common/io.h"

/*
 * Refusals that say something of the key, not of its use. Weak keys are not among them: they are
 * found out anew each time, and whoever makes them by the thousand must not fill a table.
 */
static const struct {
    enum sign_operation operation;
    const char *rule;
    bool own; /* only from the application that finalized the key */
} remembered[] = {
    {SIGN_FINALIZE, "csr.key.account", false}, {SIGN_FINALIZE, "csr.key.token", false},
    {SIGN_REVOKE, "revoke.reason", true}, /* keyCompromise, said of a certificate of its own */
};

static bool
is_text(const char *text, const char *expected)
{
    return text != NULL && strcmp(text, expected) == 0;
}

static aw_result
is_own(aw_db *db, const struct audit_entry *entry, bool *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    AW_CLEANUP(aw_free) char *by = NULL;

    AW_TRY(aw_db_find(db, LEDGER_SQL_KEY, AW_DB_VALUES(AW_DB_TEXT(entry->key)), &row));
    if (row != NULL)
        AW_TRY(aw_db_text(row, 0, &by));
    *out = by != NULL && is_text(entry->application, by);
    return AW_OK;
}

/* An officer's word counts for any application's key: admin_revoke.c. So does that of whoever has
 * the key, which a client proves to a relay (RFC 8555 7.6): prove.c. */
static bool
is_compromised(const struct audit_entry *entry)
{
    return (entry->kind == AUDIT_ADMIN || entry->kind == AUDIT_DECISION) &&
           is_text(entry->verdict, "permit") && is_text(entry->operation, "revoke") &&
           is_text(entry->rule, LEDGER_RULE_COMPROMISED);
}

/* The rule for which the refusal's key is to be remembered, or NULL. */
static aw_result
rule_of(aw_db *db, const struct audit_entry *entry, const char **out)
{
    size_t i = 0;
    bool own = true;

    *out = NULL;
    if (entry->key != NULL && is_compromised(entry))
        *out = LEDGER_RULE_COMPROMISED;
    if (entry->key == NULL || entry->kind != AUDIT_DECISION || !is_text(entry->verdict, "refuse"))
        return AW_OK;
    while (i < AW_COUNT(remembered) &&
           !(is_text(entry->operation, ledger_operation_name(remembered[i].operation)) &&
               is_text(entry->rule, remembered[i].rule)))
        i++;
    if (i == AW_COUNT(remembered))
        return AW_OK;
    if (remembered[i].own)
        AW_TRY(is_own(db, entry, &own));
    if (own)
        *out = remembered[i].rule;
    return AW_OK;
}

aw_result
ledger_keys_apply(aw_db *db, int64_t seq, const struct audit_entry *entry)
{
    const char *rule;

    AW_TRY(rule_of(db, entry, &rule));
    if (rule == NULL)
        return AW_OK;
    return aw_db_run(db, LEDGER_SQL_REFUSED_KEY_ADD,
        AW_DB_VALUES(AW_DB_TEXT(entry->key), AW_DB_INTEGER(seq), AW_DB_TEXT(rule)), NULL);
}

aw_result
ledger_keys_learns(aw_db *db, const struct audit_entry *entry, bool *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    const char *rule;

    *out = false;
    AW_TRY(rule_of(db, entry, &rule));
    if (rule == NULL)
        return AW_OK;
    AW_TRY(aw_db_find(db, LEDGER_SQL_REFUSED_KEY, AW_DB_VALUES(AW_DB_TEXT(entry->key)), &row));
    *out = row == NULL;
    return AW_OK;
}

aw_result
ledger_keys_refused(struct ledger_check *check)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    AW_CLEANUP(aw_free) char *rule = NULL;

    AW_TRY(aw_db_find(
        check->db, LEDGER_SQL_REFUSED_KEY, AW_DB_VALUES(AW_DB_TEXT(check->request->key)), &row));
    if (row == NULL)
        return AW_OK;
    AW_TRY(aw_db_text(row, 1, &rule));
    return ledger_refuse(check, LEDGER_KEY_REFUSED,
        "the CSR's key %s was refused for good (rule %s, record %lld): make a new key",
        check->request->key, rule, (long long)aw_db_integer(row, 0));
}
