#include "signer/ledger_order.h"

#include <stdlib.h>

static aw_result
read_row(aw_db_row *row, struct ledger_order *order)
{
    order->time = aw_db_integer(row, 0);
    order->name_count = aw_db_integer(row, 1);
    order->finalizes = aw_db_integer(row, 2);
    order->polls = aw_db_integer(row, 3);
    order->certificates = aw_db_integer(row, 4);
    AW_TRY(aw_db_text(row, 5, &order->order_url));
    AW_TRY(aw_db_text(row, 6, &order->finalize_url));
    AW_TRY(aw_db_text(row, 7, &order->csr));
    AW_TRY(aw_db_text(row, 8, &order->key));
    order->account_id = aw_db_integer(row, 9);
    order->repeats = aw_db_integer(row, 11);
    return aw_db_text(row, 10, &order->evidence);
}

aw_result
ledger_order_load(
    aw_db *db, int64_t seq, const char *application, const char *account, struct ledger_order *out)
{
    AW_CLEANUP(ledger_order_free) struct ledger_order order = {.seq = seq};
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *out = (struct ledger_order){0};
    AW_TRY(aw_db_find(db, LEDGER_SQL_ORDER,
        AW_DB_VALUES(AW_DB_INTEGER(seq), AW_DB_TEXT(application), AW_DB_TEXT(account)), &row));
    if (row == NULL)
        return AW_OK;
    AW_TRY(read_row(row, &order));
    *out = order;
    order = (struct ledger_order){0};
    return AW_OK;
}

aw_result
ledger_order_names(aw_db *db, int64_t seq, char **out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *out = NULL;
    AW_TRY(aw_db_find(db, LEDGER_SQL_ORDER_NAMES, AW_DB_VALUES(AW_DB_INTEGER(seq)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_CORRUPT, "the ledger has no names of order %lld", (long long)seq);
    return aw_db_text(row, 0, out);
}

void
ledger_order_free(struct ledger_order *order)
{
    free(order->order_url);
    free(order->finalize_url);
    free(order->csr);
    free(order->key);
    free(order->evidence);
    *order = (struct ledger_order){0};
}
