#include "signer/ledger_quota.h"

#include "common/io.h"

static const struct quota {
    const char *limit; /* as in policies */
    enum ledger_rule rule;
    enum ledger_statement last, time;
} quotas[] = {
    [LEDGER_COUNT_ORDERS] = {"orders_per_day", LEDGER_QUOTA_ORDERS, LEDGER_SQL_ORDER_LAST,
        LEDGER_SQL_ORDER_TIME},
    [LEDGER_COUNT_REVOCATIONS] = {"revocations_per_day", LEDGER_QUOTA_REVOCATIONS,
        LEDGER_SQL_REVOCATION_LAST, LEDGER_SQL_REVOCATION_TIME},
};

/* Number of the application's last row; 0: none. */
static aw_result
last_of(aw_db *db, const struct quota *quota, struct aw_db_value application, int64_t *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, quota->last, AW_DB_VALUES(application), &row));
    *out = row == NULL ? 0 : aw_db_integer(row, 0);
    return AW_OK;
}

static aw_result
time_of(
    aw_db *db, const struct quota *quota, struct aw_db_value application, int64_t nth, int64_t *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, quota->time, AW_DB_VALUES(application, AW_DB_INTEGER(nth)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_CORRUPT, "the ledger lacks number %lld of application %.100s (%s)",
            (long long)nth, application.text, quota->limit);
    *out = aw_db_integer(row, 0);
    return AW_OK;
}

/* The limit-th row from the end says whether the window is full, and when it moves on. */
static aw_result
ask(struct ledger_check *check, const struct quota *quota, int64_t limit)
{
    struct aw_db_value application = AW_DB_TEXT(check->request->application);
    int64_t last = 0, time = 0;

    if (limit <= 0)
        return ledger_refuse(check, quota->rule, "application %.100s has no share (%s is 0)",
            application.text, quota->limit);
    AW_TRY(last_of(check->db, quota, application, &last));
    if (last < limit)
        return AW_OK;
    AW_TRY(time_of(check->db, quota, application, last - limit + 1, &time));
    if (time + LEDGER_DAY <= check->time)
        return AW_OK;
    check->verdict->retry_after = time + LEDGER_DAY - check->time;
    return ledger_refuse(check, quota->rule,
        "application %.100s has used up its limit: %s is %lld, counted over the last 24 hours",
        application.text, quota->limit, (long long)limit);
}

aw_result
ledger_quota_orders(struct ledger_check *check)
{
    return ask(check, &quotas[LEDGER_COUNT_ORDERS], check->request->orders_per_day);
}

aw_result
ledger_quota_revocations(struct ledger_check *check)
{
    return ask(check, &quotas[LEDGER_COUNT_REVOCATIONS], check->request->revocations_per_day);
}

/* Times grow with the numbers, so the first within the window is found by halving. */
aw_result
ledger_quota_count(
    aw_db *db, enum ledger_quota quota, const char *application, int64_t since, int64_t *out)
{
    struct aw_db_value name = AW_DB_TEXT(application);
    int64_t total = 0;
    int64_t before = 0; /* numbers up to this are older */

    AW_TRY(last_of(db, &quotas[quota], name, &total));
    for (int64_t within = total + 1; within - before > 1;) {
        int64_t middle = before + (within - before) / 2;
        int64_t time = 0;

        AW_TRY(time_of(db, &quotas[quota], name, middle, &time));
        if (time > since)
            within = middle;
        else
            before = middle;
    }
    *out = total - before;
    return AW_OK;
}
