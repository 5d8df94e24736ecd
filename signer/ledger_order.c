#include "signer/ledger_order.h"

#include <stdlib.h>

static aw_result
read_row(ledger_row *row, struct ledger_order *order)
{
    order->time = ledger_row_integer(row, 0);
    order->name_count = ledger_row_integer(row, 1);
    order->finalizes = ledger_row_integer(row, 2);
    order->polls = ledger_row_integer(row, 3);
    order->certificates = ledger_row_integer(row, 4);
    AW_TRY(ledger_row_text(row, 5, &order->order_url));
    AW_TRY(ledger_row_text(row, 6, &order->finalize_url));
    AW_TRY(ledger_row_text(row, 7, &order->csr));
    AW_TRY(ledger_row_text(row, 8, &order->key));
    order->account_id = ledger_row_integer(row, 9);
    order->repeats = ledger_row_integer(row, 11);
    return ledger_row_text(row, 10, &order->evidence);
}

aw_result
ledger_order_load(ledger_db *db, int64_t seq, const char *application, const char *account,
    struct ledger_order *out)
{
    AW_CLEANUP(ledger_order_free) struct ledger_order order = {.seq = seq};
    AW_CLEANUP(ledger_row_end) ledger_row *row = NULL;

    *out = (struct ledger_order){0};
    AW_TRY(ledger_db_find(db, LEDGER_SQL_ORDER,
        LEDGER_VALUES(LEDGER_INTEGER(seq), LEDGER_TEXT(application), LEDGER_TEXT(account)), &row));
    if (row == NULL)
        return AW_OK;
    AW_TRY(read_row(row, &order));
    *out = order;
    order = (struct ledger_order){0};
    return AW_OK;
}

aw_result
ledger_order_names(ledger_db *db, int64_t seq, char **out)
{
    AW_CLEANUP(ledger_row_end) ledger_row *row = NULL;

    *out = NULL;
    AW_TRY(ledger_db_find(db, LEDGER_SQL_ORDER_NAMES, LEDGER_VALUES(LEDGER_INTEGER(seq)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_CORRUPT, "the ledger has no names of order %lld", (long long)seq);
    return ledger_row_text(row, 0, out);
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
