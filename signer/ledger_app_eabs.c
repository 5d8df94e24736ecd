#include "signer/ledger_app_eabs.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/ledger_db.h"

void
ledger_app_eab_free(struct ledger_app_eab *app_eab)
{
    free(app_eab->kid);
    free(app_eab->application);
    *app_eab = (struct ledger_app_eab){.kid = NULL};
}

/* Reading. */

static aw_result
read_row(aw_db_row *row, struct ledger_app_eab *out)
{
    AW_TRY(aw_db_text(row, 1, &out->kid));
    AW_TRY(aw_db_text(row, 2, &out->application));
    out->seq = aw_db_integer(row, 0);
    out->created = aw_db_integer(row, 3);
    out->expires = aw_db_integer(row, 4);
    out->once = aw_db_integer(row, 5) != 0;
    out->revoked = aw_db_integer(row, 6);
    out->used = aw_db_integer(row, 7);
    return AW_OK;
}

static aw_result
find(aw_db *db, const char *kid, struct ledger_app_eab *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *out = (struct ledger_app_eab){.kid = NULL};
    AW_TRY(aw_db_find(db, LEDGER_SQL_APP_EAB, AW_DB_VALUES(AW_DB_TEXT(kid)), &row));
    if (row == NULL)
        return AW_OK;
    aw_result r = read_row(row, out);
    if (!aw_ok(r))
        ledger_app_eab_free(out);
    return r;
}

struct finding {
    const char *kid;
    struct ledger_app_eab *out;
};

static aw_result
find_in(aw_db *db, void *context)
{
    const struct finding *finding = context;

    return find(db, finding->kid, finding->out);
}

aw_result
ledger_app_eab_find(ledger *self, const char *kid, struct ledger_app_eab *out)
{
    return ledger_read(self, find_in, &(struct finding){kid, out});
}

struct visiting {
    const char *application;
    int64_t after;
    bool (*visit)(void *context, const struct ledger_app_eab *found);
    void *context;
};

static aw_result
visit_in(aw_db *db, void *context)
{
    const struct visiting *v = context;
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    bool on = true;

    AW_TRY(aw_db_find(db, LEDGER_SQL_APP_EABS,
        AW_DB_VALUES(AW_DB_INTEGER(v->after), AW_DB_TEXT(v->application)), &row));
    while (row != NULL && on) {
        AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};

        AW_TRY(read_row(row, &found));
        on = v->visit(v->context, &found);
        AW_TRY(aw_db_next(db, &row));
    }
    return AW_OK;
}

aw_result
ledger_app_eab_visit(ledger *self, const char *application, int64_t after,
    bool (*visit)(void *context, const struct ledger_app_eab *found), void *context)
{
    return ledger_read(self, visit_in, &(struct visiting){application, after, visit, context});
}

struct gathering {
    const char *kid;
    int64_t *ids;
    size_t count, room;
};

static aw_result
gather_in(aw_db *db, void *context)
{
    struct gathering *g = context;
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, LEDGER_SQL_APP_EAB_ACCOUNTS, AW_DB_VALUES(AW_DB_TEXT(g->kid)), &row));
    while (row != NULL) {
        if (g->count == g->room) {
            size_t room = g->room == 0 ? 16 : 2 * g->room;
            int64_t *ids = reallocarray(g->ids, room, sizeof(*ids));

            if (ids == NULL)
                return aw_fail_memory();
            g->ids = ids;
            g->room = room;
        }
        g->ids[g->count++] = aw_db_integer(row, 0);
        AW_TRY(aw_db_next(db, &row));
    }
    return AW_OK;
}

aw_result
ledger_app_eab_accounts(ledger *self, const char *kid, int64_t **ids, size_t *count)
{
    struct gathering g = {.kid = kid};
    aw_result r = ledger_read(self, gather_in, &g);

    if (!aw_ok(r)) {
        free(g.ids);
        return r;
    }
    *ids = g.ids;
    *count = g.count;
    return AW_OK;
}

/* The rule. */

enum ledger_rule
ledger_app_eab_rule(const struct ledger_app_eab *app_eab, int64_t now)
{
    if (app_eab->kid == NULL)
        return LEDGER_INNER_BINDING;
    if (app_eab->revoked != 0)
        return LEDGER_INNER_REVOKED;
    if (app_eab->expires != 0 && now >= app_eab->expires)
        return LEDGER_INNER_EXPIRED;
    return app_eab->once && app_eab->used > 0 ? LEDGER_INNER_USED : LEDGER_NONE;
}

const char *
ledger_app_eab_fate(enum ledger_rule rule)
{
    return rule == LEDGER_INNER_REVOKED   ? "was revoked"
           : rule == LEDGER_INNER_EXPIRED ? "has expired"
                                          : "was for one account, which was made with it";
}

aw_result
ledger_app_eab_usable(struct ledger_check *check)
{
    AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab app_eab = {.kid = NULL};
    const char *kid = check->request->kid == NULL ? "" : check->request->kid;

    AW_TRY(find(check->db, kid, &app_eab));
    enum ledger_rule rule = ledger_app_eab_rule(&app_eab, check->time);
    if (rule == LEDGER_NONE && strcmp(app_eab.application, check->request->application) != 0)
        rule = LEDGER_INNER_BINDING;
    if (rule == LEDGER_NONE)
        return AW_OK;
    if (rule == LEDGER_INNER_BINDING)
        return ledger_refuse(check, rule, "application %.100s has no app-eab \"%.64s\"",
            check->request->application, kid);
    return ledger_refuse(
        check, rule, "the app-eab %.64s %s; ask for another one", kid, ledger_app_eab_fate(rule));
}

/* Effects. */

aw_result
ledger_app_eab_take_use(aw_db *db, const char *kid)
{
    int64_t changes;

    AW_TRY(aw_db_run(db, LEDGER_SQL_APP_EAB_USE, AW_DB_VALUES(AW_DB_TEXT(kid)), &changes));
    if (changes != 1)
        return aw_fail(AW_CODE_CORRUPT,
            "an account was made with the app-eab %.64s, which no record made", kid);
    return AW_OK;
}

static aw_result
take_create(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    if (entry->kid == NULL || entry->application == NULL)
        return aw_fail(
            AW_CODE_CORRUPT, "record %lld makes an app-eab and does not say which", (long long)seq);
    return aw_db_run(db, LEDGER_SQL_APP_EAB_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(seq), AW_DB_TEXT(entry->kid), AW_DB_TEXT(entry->application),
            AW_DB_INTEGER(time), AW_DB_INTEGER(entry->not_after), AW_DB_INTEGER(entry->count == 1)),
        NULL);
}

/* Once more, or of one that is not there, it changes nothing: what is revoked stays so. */
static aw_result
take_revoke(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    (void)seq;
    return aw_db_run(db, LEDGER_SQL_APP_EAB_REVOKE,
        AW_DB_VALUES(AW_DB_TEXT(entry->kid), AW_DB_INTEGER(time)), NULL);
}

/* An account that has ended meanwhile, by its client, stays so. */
static aw_result
take_end(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    (void)seq;
    (void)time;
    return aw_db_run(
        db, LEDGER_SQL_INNER_END, AW_DB_VALUES(AW_DB_INTEGER(entry->account_id)), NULL);
}

/* With the relay key all that was derived of it is gone. */
static aw_result
take_destroy(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    (void)seq;
    (void)entry;
    return aw_db_run(db, LEDGER_SQL_APP_EAB_REVOKE_ALL, AW_DB_VALUES(AW_DB_INTEGER(time)), NULL);
}

aw_result
ledger_app_eab_take(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry)
{
    static const struct {
        const char *operation;
        aw_result (*take)(aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry);
    } effects[] = {
        {"app-eab-create", take_create},
        {"app-eab-revoke", take_revoke},
        {"relay-key-destroy", take_destroy},
        {"inner-deactivate", take_end},
    };

    if (entry->kind != AUDIT_ADMIN || entry->operation == NULL || entry->verdict == NULL ||
        strcmp(entry->verdict, "permit") != 0)
        return AW_OK;
    for (size_t i = 0; i < AW_COUNT(effects); i++)
        if (strcmp(effects[i].operation, entry->operation) == 0)
            return effects[i].take(db, seq, time, entry);
    return AW_OK;
}
