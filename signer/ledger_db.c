#include "signer/ledger_db.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/ledger_seal.h"

/* What a failure of SQLite (primary code) means to us. */
static const struct aw_db_meaning meanings[] = {
    {SQLITE_CORRUPT, AW_CODE_CORRUPT, "start the signer anew: it rebuilds the ledger from the log"},
    {SQLITE_NOTADB, AW_CODE_CORRUPT, "start the signer anew: it rebuilds the ledger from the log"},
    {SQLITE_CONSTRAINT, AW_CODE_CORRUPT,
        "start the signer anew: it rebuilds the ledger from the log"},
    {SQLITE_ERROR, AW_CODE_CORRUPT, "start the signer anew: it rebuilds the ledger from the log"},
    {SQLITE_FULL, AW_CODE_IO, "make room on the file system of the ledger, then start anew"},
    {SQLITE_NOMEM, AW_CODE_MEMORY, "give the signer more memory"},
    {SQLITE_BUSY, AW_CODE_BUSY, "another process has the ledger open: is a second signer running?"},
    {SQLITE_READONLY, AW_CODE_PERMISSION, "the signer's user must be able to write the ledger"},
    {SQLITE_CANTOPEN, AW_CODE_PERMISSION, "the signer's user must be able to write the ledger"},
    {SQLITE_PERM, AW_CODE_PERMISSION, "the signer's user must be able to write the ledger"},
};

static const struct aw_db_kind kind = {
    .what = "the ledger's database",
    .elsewhere = "its folder must exist and belong to the signer's user",
    .otherwise = "look at the file system of the ledger",
    .meanings = meanings,
    .meaning_count = AW_COUNT(meanings),
    .mode = 0640,
    .application_id = LEDGER_APPLICATION_ID,
    .version = LEDGER_SCHEMA_VERSION,
    .schema = ledger_schema,
    .statements = ledger_statements,
    .statement_count = LEDGER_STATEMENT_COUNT,
};

/* Checks the whole, unless a seal did; makes the tables of a database that is really empty, and not
 * one whose list of tables was lost. */
static aw_result
prepare_contents(aw_db *db, bool whole, bool *fresh)
{
    AW_TRY(aw_db_execute(db, ledger_settings, "take its settings"));
    AW_TRY(aw_db_execute(db, ledger_statements[LEDGER_SQL_BEGIN], "begin a transaction"));
    if (!whole)
        AW_TRY(aw_db_check(db));
    /* The file could be opened for writing: it is the database's header that forbids it. */
    if (aw_db_is_readonly(db))
        return aw_fail(AW_CODE_CORRUPT, "the ledger's database says that it must not be written");
    AW_TRY(aw_db_contents(db, AW_CODE_CORRUPT, fresh));
    return aw_db_prepare(db);
}

aw_result
ledger_db_open(const char *path, aw_db **out, bool *fresh)
{
    AW_CLEANUP(aw_db_close) aw_db *db = NULL;
    bool whole;

    *out = NULL;
    AW_TRY(ledger_seal_break(path, &whole));
    AW_TRY(aw_db_open(&kind, path, &db));
    AW_TRY(aw_context(prepare_contents(db, whole, fresh), "%s", path));
    *out = AW_MOVE(db);
    return AW_OK;
}

aw_result
ledger_db_finish(aw_db **db)
{
    AW_CLEANUP(aw_free) char *path = strdup(aw_db_path(*db));

    aw_db_close(db);
    return path == NULL ? aw_fail_memory() : ledger_seal_make(path);
}

/* Position. */

aw_result
ledger_db_position(aw_db *db, struct ledger_position *out)
{
    AW_CLEANUP(aw_free) char *digest = NULL;
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *out = (struct ledger_position){0};
    AW_TRY(aw_db_find(db, LEDGER_SQL_POSITION, (struct aw_db_values){0}, &row));
    if (row == NULL)
        return aw_fail(AW_CODE_CORRUPT, "the ledger's database does not know how far it has come");
    out->seq = aw_db_integer(row, 0);
    out->time = aw_db_integer(row, 1);
    AW_TRY(aw_db_text(row, 2, &digest));
    if (digest == NULL || strlen(digest) >= sizeof(out->digest))
        return aw_fail(
            AW_CODE_CORRUPT, "the ledger's database has a bad digest of its last record");
    memcpy(out->digest, digest, strlen(digest) + 1);
    return AW_OK;
}

aw_result
ledger_db_commit(aw_db *db, const struct ledger_position *position)
{
    struct aw_db_values none = {0};

    AW_TRY(aw_db_run(db, LEDGER_SQL_POSITION_SET,
        AW_DB_VALUES(AW_DB_INTEGER(position->seq), AW_DB_INTEGER(position->time),
            AW_DB_TEXT(position->digest)),
        NULL));
    AW_TRY(aw_db_run(db, LEDGER_SQL_COMMIT, none, NULL));
    return aw_db_run(db, LEDGER_SQL_BEGIN, none, NULL);
}
