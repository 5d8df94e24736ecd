#include "relay/store_db.h"

#include "common/io.h"

/* WAL: readers wait for no writer. FULL: what is committed survives a loss of power. */
static const char settings[] = "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA cell_size_check = ON;";

static const char restore[] = "stop the relay, move the database and its -wal and -shm files away "
                              "and start anew: orders under way are lost, the signer's records "
                              "and issued certificates are not";

/* What a failure of SQLite (primary code) means to us. */
static const struct aw_db_meaning meanings[] = {
    {SQLITE_CORRUPT, AW_CODE_CORRUPT, restore},
    {SQLITE_NOTADB, AW_CODE_CORRUPT, restore},
    {SQLITE_CONSTRAINT, AW_CODE_EXISTS, "it was stored before"},
    {SQLITE_FULL, AW_CODE_IO, "make room on the file system of the relay's state"},
    {SQLITE_NOMEM, AW_CODE_MEMORY, "give the relay more memory"},
    {SQLITE_BUSY, AW_CODE_BUSY, "is a second relay running with the same state folder?"},
    {SQLITE_READONLY, AW_CODE_PERMISSION, "the relay's user must be able to write its state"},
    {SQLITE_CANTOPEN, AW_CODE_PERMISSION, "the relay's user must be able to write its state"},
    {SQLITE_PERM, AW_CODE_PERMISSION, "the relay's user must be able to write its state"},
};

/* Certificates are public; evidence and contacts are nobody else's. */
static const struct aw_db_kind kind = {
    .what = "the relay's database",
    .elsewhere = "its folder must exist and belong to the relay's user",
    .otherwise = "look at the file system of the relay's state",
    .meanings = meanings,
    .meaning_count = AW_COUNT(meanings),
    .mode = 0600,
    .busy_ms = 5000,
    .application_id = STORE_APPLICATION_ID,
    .version = STORE_SCHEMA_VERSION,
    .schema = store_schema,
    .statements = store_statements,
    .statement_count = STORE_STATEMENT_COUNT,
};

/* Other failures have hints of their own. */
static aw_result
hint_at(enum aw_code code, aw_result r, const char *hint)
{
    return r.code == code ? aw_hint(r, "%s", hint) : r;
}

static aw_result
prepare_contents(aw_db *db)
{
    bool fresh;

    AW_TRY(aw_db_execute(db, settings, "take its settings"));
    AW_TRY(hint_at(AW_CODE_CORRUPT, aw_db_check(db), restore));
    AW_TRY(aw_db_execute(db, store_statements[STORE_SQL_BEGIN], "begin"));
    AW_TRY(hint_at(AW_CODE_UNSUPPORTED, aw_db_contents(db, AW_CODE_UNSUPPORTED, &fresh),
        "start the version of the relay that made it, or move the database away"));
    AW_TRY(aw_db_execute(db, store_statements[STORE_SQL_COMMIT], "commit"));
    return aw_db_prepare(db);
}

aw_result
store_db_create(const char *path, aw_db **out)
{
    AW_CLEANUP(aw_db_close) aw_db *db = NULL;

    *out = NULL;
    AW_TRY(aw_db_open(&kind, path, &db));
    AW_TRY(prepare_contents(db));
    *out = AW_MOVE(db);
    return AW_OK;
}

aw_result
store_db_read(const char *path, aw_db **out)
{
    AW_CLEANUP(aw_db_close) aw_db *db = NULL;

    *out = NULL;
    AW_TRY(aw_db_open(&kind, path, &db));
    AW_TRY(aw_db_execute(db, "PRAGMA query_only = ON;", "take its settings"));
    AW_TRY(aw_db_prepare(db));
    *out = AW_MOVE(db);
    return AW_OK;
}

aw_result
store_db_transaction(
    aw_db *db, aw_result (*work)(aw_db *db, const void *context), const void *context)
{
    struct aw_error error;

    AW_TRY(aw_db_run(db, STORE_SQL_BEGIN, AW_DB_NOTHING, NULL));
    aw_result r = work(db, context);
    if (aw_ok(r))
        r = aw_db_run(db, STORE_SQL_COMMIT, AW_DB_NOTHING, NULL);
    if (aw_ok(r) || !aw_db_in_transaction(db))
        return r;
    aw_error_save(&error);
    aw_ignore(aw_db_run(db, STORE_SQL_ROLLBACK, AW_DB_NOTHING, NULL), "the cause is told");
    return aw_error_restore(&error);
}
