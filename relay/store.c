#include "relay/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "relay/store_internal.h"

static void
side_close(struct store_side *side)
{
    aw_db_close(&side->db);
    pthread_mutex_destroy(&side->lock);
}

aw_result
relay_store_open(const char *folder, struct relay_store **out)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(relay_store_close) struct relay_store *store = calloc(1, sizeof(*store));

    *out = NULL;
    if (store == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&store->writer.lock, NULL);
    pthread_mutex_init(&store->reader.lock, NULL);
    AW_TRY(aw_path_check(folder, geteuid(), S_IWGRP | S_IWOTH));
    AW_TRY(aw_path_join(folder, "relay.db", &path));
    AW_TRY(aw_context(store_db_create(path, &store->writer.db), "%s", path));
    AW_TRY(aw_context(store_db_read(path, &store->reader.db), "%s", path));
    *out = AW_MOVE(store);
    return AW_OK;
}

void
relay_store_close(struct relay_store **slot)
{
    if (*slot == NULL)
        return;
    side_close(&(*slot)->reader);
    side_close(&(*slot)->writer);
    free(*slot);
    *slot = NULL;
}

struct store_side *
store_enter(struct store_side *side)
{
    pthread_mutex_lock(&side->lock);
    return side;
}

void
store_leave(struct store_side **side)
{
    pthread_mutex_unlock(&(*side)->lock);
}

aw_result
store_write(struct relay_store *store, aw_result (*work)(aw_db *db, const void *context),
    const void *context)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->writer);

    return store_db_transaction(side->db, work, context);
}

/* Accounts. */

aw_result
relay_store_account_put(struct relay_store *store, int64_t id, const char *contact, int64_t created)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->writer);

    return aw_db_run(side->db, STORE_SQL_ACCOUNT_PUT,
        AW_DB_VALUES(AW_DB_INTEGER(id), AW_DB_TEXT(contact), AW_DB_INTEGER(created)), NULL);
}

aw_result
relay_store_account(struct relay_store *store, int64_t id, struct stored_account *out)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->reader);
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_db_find(side->db, STORE_SQL_ACCOUNT, AW_DB_VALUES(AW_DB_INTEGER(id)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "no contact of account %lld", (long long)id);
    out->created = aw_db_integer(row, 1);
    return aw_db_text(row, 0, &out->contact);
}

void
stored_account_free(struct stored_account *account)
{
    free(account->contact);
    memset(account, 0, sizeof(*account));
}

/* Time. */

static aw_result
expire(aw_db *db, const void *context)
{
    static const char problem[] =
        "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"status\":404,\"detail\":\"the order "
        "expired before it was finalized: make a new one\"}";
    const int64_t *now = context;

    AW_TRY(aw_db_run(db, STORE_SQL_EXPIRE,
        AW_DB_VALUES(AW_DB_INTEGER(ORDER_INVALID), AW_DB_TEXT(problem), AW_DB_INTEGER(*now),
            AW_DB_INTEGER(ORDER_PENDING), AW_DB_INTEGER(ORDER_READY)),
        NULL));
    return aw_db_run(db, STORE_SQL_FORGET,
        AW_DB_VALUES(AW_DB_INTEGER(*now - STORE_KEPT_SECONDS), AW_DB_INTEGER(ORDER_VALID),
            AW_DB_INTEGER(ORDER_INVALID)),
        NULL);
}

aw_result
relay_store_expire(struct relay_store *store, int64_t now)
{
    return store_write(store, expire, &now);
}
