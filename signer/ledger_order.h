/**
 * @file ledger_order.h
 * @brief An order as the ledger remembers it.
 */
#ifndef AW_SIGNER_LEDGER_ORDER_H
#define AW_SIGNER_LEDGER_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "signer/ledger_db.h"

/** An order; texts are NULL until they are known. */
struct ledger_order {
    int64_t seq; /**< the ticket; 0: no such order */
    int64_t time;
    int64_t name_count;
    int64_t finalizes;    /**< finalize signatures so far */
    int64_t polls;        /**< POST-as-GET and challenge signatures so far */
    int64_t certificates; /**< certificates recorded so far */
    char *order_url;
    char *finalize_url, *csr, *key; /**< what the first finalize bound */
    int64_t account_id; /**< opened through a relay for that account; 0: by the application */
    char *evidence;     /**< by what; NULL then */
    int64_t repeats;    /**< how often the new-order was signed again */
};

/** Loads an order of this application and account; seq is 0 when there is none. */
AW_MUST_USE aw_result ledger_order_load(
    aw_db *db, int64_t seq, const char *application, const char *account, struct ledger_order *out);

/** The order's set of names (ledger_names.h). Allocated. */
AW_MUST_USE aw_result ledger_order_names(aw_db *db, int64_t seq, char **out);

/** Releases and zeroes. */
void ledger_order_free(struct ledger_order *order);

#endif
