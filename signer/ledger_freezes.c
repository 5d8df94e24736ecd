#include "signer/ledger_freezes.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

/* Reading. */

void
ledger_freezes_free(struct ledger_freezes *list)
{
    free(list->items);
    *list = (struct ledger_freezes){.items = NULL};
}

/* What is too long for us was not written by us: the name decides, and its record says why. */
static aw_result
read_row(aw_db_row *row, struct freeze *out)
{
    AW_CLEANUP(aw_free) char *application = NULL, *reason = NULL;

    AW_TRY(aw_db_text(row, 0, &application));
    AW_TRY(aw_db_text(row, 2, &reason));
    if (strlen(application) >= sizeof(out->application))
        return aw_fail(AW_CODE_CORRUPT, "the ledger has an application of %zu characters as frozen",
            strlen(application));
    *out = (struct freeze){.since = aw_db_integer(row, 1)};
    memcpy(out->application, application, strlen(application) + 1);
    if (strlen(reason) < sizeof(out->reason))
        memcpy(out->reason, reason, strlen(reason) + 1);
    return AW_OK;
}

static aw_result
list_in(aw_db *db, void *context)
{
    struct ledger_freezes *list = context;
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, LEDGER_SQL_FREEZES, AW_DB_NOTHING, &row));
    while (row != NULL) {
        struct freeze *items = reallocarray(list->items, list->count + 1, sizeof(*items));

        if (items == NULL)
            return aw_fail_memory();
        list->items = items;
        AW_TRY(read_row(row, &items[list->count]));
        list->count++;
        AW_TRY(aw_db_next(db, &row));
    }
    return AW_OK;
}

aw_result
ledger_freezes_list(ledger *self, struct ledger_freezes *out)
{
    *out = (struct ledger_freezes){.items = NULL};
    return ledger_read(self, list_in, out);
}

/* Effects. */

aw_result
ledger_freezes_take(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    if (entry->kind != AUDIT_ADMIN || entry->operation == NULL || entry->verdict == NULL ||
        strcmp(entry->verdict, "permit") != 0)
        return AW_OK;
    const char *application = entry->application == NULL ? "" : entry->application;
    const char *reason = entry->message == NULL ? "" : entry->message;

    if (strcmp(entry->operation, "freeze") == 0)
        return aw_db_run(db, LEDGER_SQL_FREEZE_ADD,
            AW_DB_VALUES(AW_DB_TEXT(application), AW_DB_INTEGER(seq), AW_DB_INTEGER(time),
                AW_DB_TEXT(reason)),
            NULL);
    if (strcmp(entry->operation, "unfreeze") == 0)
        return aw_db_run(db, LEDGER_SQL_FREEZE_REMOVE, AW_DB_VALUES(AW_DB_TEXT(application)), NULL);
    return AW_OK;
}
