#include "signer/ledger_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/ledger_seal.h"

enum { LEDGER_MODE = 0640 };

struct ledger_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[LEDGER_STATEMENT_COUNT];
    bool whole; /* it is what was closed in order */
};

/* What a failure of SQLite (primary code) means to us. */
static const struct {
    int primary;
    enum aw_code code;
    const char *hint;
} meanings[] = {
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

static aw_result
fail(ledger_db *db, const char *what)
{
    int extended = sqlite3_extended_errcode(db->sqlite);
    enum aw_code code = AW_CODE_IO;
    const char *hint = "look at the file system of the ledger";

    for (size_t i = 0; i < AW_COUNT(meanings); i++) {
        if (meanings[i].primary == (extended & 0xff)) {
            code = meanings[i].code;
            hint = meanings[i].hint;
        }
    }
    return aw_hint(aw_fail_cause(code, AW_CAUSE_SQLITE, (unsigned long)extended,
                       "the ledger's database failed to %s: %s", what, sqlite3_errmsg(db->sqlite)),
        "%s", hint);
}

static aw_result
execute(ledger_db *db, const char *sql, const char *what)
{
    if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, what);
    return AW_OK;
}

/* First column of a statement's first row, as text: an answer of a pragma. */
static aw_result
ask(ledger_db *db, const char *sql, char *out, size_t capacity)
{
    sqlite3_stmt *statement = NULL;
    const unsigned char *text = NULL;

    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        text = sqlite3_column_text(statement, 0);
    aw_result r = text == NULL ? fail(db, sql) : AW_OK;
    if (text != NULL)
        sqlite3_snprintf((int)capacity, out, "%s", (const char *)text);
    sqlite3_finalize(statement);
    return r;
}

/* SQLite would make the file with the umask's mode, and would follow a link. */
static aw_result
make_file(const char *path)
{
    AW_CLEANUP(aw_close)
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, LEDGER_MODE);
    struct stat status;

    if (fd < 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "cannot open the ledger %s", path),
            "its folder must exist and belong to the signer's user");
    if (fstat(fd, &status) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine the ledger %s", path);
    if (!S_ISREG(status.st_mode))
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "the ledger %s is no regular file", path),
            "remove it: the signer rebuilds the ledger from the audit log");
    if ((status.st_mode & 07777) != LEDGER_MODE && fchmod(fd, LEDGER_MODE) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot set the mode of the ledger %s", path);
    return AW_OK;
}

static aw_result
harden(ledger_db *db)
{
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    };

    for (size_t i = 0; i < AW_COUNT(options); i++) {
        if (sqlite3_db_config(db->sqlite, options[i].option, options[i].value, NULL) != SQLITE_OK)
            return fail(db, "take its safety options");
    }
    return AW_OK;
}

static aw_result
check_identity(ledger_db *db)
{
    char answer[256];
    char expected[64];

    sqlite3_snprintf(
        sizeof(expected), expected, "%d/%d", LEDGER_APPLICATION_ID, LEDGER_SCHEMA_VERSION);
    AW_TRY(ask(db,
        "SELECT a.application_id || '/' || v.user_version"
        " FROM pragma_application_id() a, pragma_user_version() v",
        answer, sizeof(answer)));
    if (strcmp(answer, expected) != 0)
        return aw_fail(AW_CODE_CORRUPT,
            "the ledger's database has the identity %s, expected %s of this version", answer,
            expected);
    return AW_OK;
}

/* Checks the whole, unless a seal did; makes the tables of a database that is really empty, and not
 * one whose list of tables was lost. */
static aw_result
check_contents(ledger_db *db, bool *fresh)
{
    char answer[256];

    if (!db->whole) {
        AW_TRY(ask(db, "PRAGMA integrity_check(1)", answer, sizeof(answer)));
        if (strcmp(answer, "ok") != 0)
            return aw_fail(AW_CODE_CORRUPT, "the ledger's database is damaged: %s", answer);
    }
    /* make_file could write it: it is the database's header that forbids it. */
    if (sqlite3_db_readonly(db->sqlite, "main") != 0)
        return aw_fail(AW_CODE_CORRUPT, "the ledger's database says that it must not be written");
    AW_TRY(ask(db, "SELECT count(*) FROM sqlite_schema", answer, sizeof(answer)));
    *fresh = strcmp(answer, "0") == 0;
    return *fresh ? execute(db, ledger_schema, "make its tables") : check_identity(db);
}

static aw_result
prepare_statements(ledger_db *db)
{
    for (size_t i = 0; i < LEDGER_STATEMENT_COUNT; i++) {
        if (sqlite3_prepare_v3(db->sqlite, ledger_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                &db->statements[i], NULL) != SQLITE_OK)
            return fail(db, "prepare a statement");
    }
    return AW_OK;
}

/* Tables and identity become visible together, so a crash in between leaves an empty database. */
static aw_result
prepare_contents(ledger_db *db, bool *fresh)
{
    char stamp[96];

    AW_TRY(execute(db, ledger_settings, "take its settings"));
    AW_TRY(execute(db, ledger_statements[LEDGER_SQL_BEGIN], "begin a transaction"));
    AW_TRY(check_contents(db, fresh));
    if (*fresh) {
        sqlite3_snprintf(sizeof(stamp), stamp,
            "PRAGMA application_id = %d; PRAGMA user_version = %d;", LEDGER_APPLICATION_ID,
            LEDGER_SCHEMA_VERSION);
        AW_TRY(execute(db, stamp, "write its identity"));
    }
    return prepare_statements(db);
}

aw_result
ledger_db_open(const char *path, ledger_db **out, bool *fresh)
{
    static const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    AW_CLEANUP(ledger_db_close) ledger_db *db = calloc(1, sizeof(*db));

    *out = NULL;
    if (db == NULL)
        return aw_fail_memory();
    AW_TRY(ledger_seal_break(path, &db->whole));
    AW_TRY(make_file(path));
    int status = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
    if (db->sqlite == NULL)
        return aw_fail_memory();
    sqlite3_extended_result_codes(db->sqlite, 1);
    if (status != SQLITE_OK)
        return aw_context(fail(db, "open"), "%s", path);
    AW_TRY(harden(db));
    AW_TRY(aw_context(prepare_contents(db, fresh), "%s", path));
    *out = AW_MOVE(db);
    return AW_OK;
}

void
ledger_db_close(ledger_db **db)
{
    if (*db == NULL)
        return;
    for (size_t i = 0; i < LEDGER_STATEMENT_COUNT; i++)
        sqlite3_finalize((*db)->statements[i]);
    sqlite3_close((*db)->sqlite);
    free(*db);
    *db = NULL;
}

aw_result
ledger_db_finish(ledger_db **db)
{
    AW_CLEANUP(aw_free) char *path = strdup(sqlite3_db_filename((*db)->sqlite, "main"));

    ledger_db_close(db);
    return path == NULL ? aw_fail_memory() : ledger_seal_make(path);
}

sqlite3 *
ledger_db_handle(ledger_db *db)
{
    return db->sqlite;
}

/* Statements. */

void
ledger_row_end(ledger_row **row)
{
    if (*row == NULL)
        return;
    sqlite3_reset(*row);
    sqlite3_clear_bindings(*row);
    *row = NULL;
}

static aw_result
bind(ledger_db *db, sqlite3_stmt *statement, struct ledger_values values)
{
    int status = SQLITE_OK;

    for (size_t i = 0; i < values.count && status == SQLITE_OK; i++) {
        const struct ledger_value *value = &values.items[i];
        if (value->is_text)
            status = sqlite3_bind_text(statement, (int)i + 1, value->text, -1, SQLITE_STATIC);
        else
            status = sqlite3_bind_int64(statement, (int)i + 1, value->integer);
    }
    return status == SQLITE_OK ? AW_OK : fail(db, "bind a value");
}

aw_result
ledger_db_find(
    ledger_db *db, enum ledger_statement statement, struct ledger_values values, ledger_row **out)
{
    AW_CLEANUP(ledger_row_end) ledger_row *row = db->statements[statement];

    *out = NULL;
    AW_TRY(bind(db, row, values));
    int status = sqlite3_step(row);
    if (status == SQLITE_ROW)
        *out = AW_MOVE(row);
    else if (status != SQLITE_DONE)
        return fail(db, ledger_statements[statement]);
    return AW_OK;
}

aw_result
ledger_db_next(ledger_db *db, ledger_row **row)
{
    int status = sqlite3_step(*row);

    if (status == SQLITE_ROW)
        return AW_OK;
    aw_result r = status == SQLITE_DONE ? AW_OK : fail(db, sqlite3_sql(*row));
    ledger_row_end(row);
    *row = NULL;
    return r;
}

aw_result
ledger_db_run(
    ledger_db *db, enum ledger_statement statement, struct ledger_values values, int64_t *changes)
{
    AW_CLEANUP(ledger_row_end) ledger_row *row = NULL;

    AW_TRY(ledger_db_find(db, statement, values, &row));
    if (row != NULL)
        return aw_fail(AW_CODE_INTERNAL, "a row came from: %s", ledger_statements[statement]);
    if (changes != NULL)
        *changes = sqlite3_changes64(db->sqlite);
    return AW_OK;
}

int64_t
ledger_row_integer(ledger_row *row, int column)
{
    return sqlite3_column_int64(row, column);
}

aw_result
ledger_row_text(ledger_row *row, int column, char **out)
{
    *out = NULL;
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return AW_OK;
    const unsigned char *text = sqlite3_column_text(row, column);
    *out = text == NULL ? NULL : strdup((const char *)text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

/* Position. */

aw_result
ledger_db_position(ledger_db *db, struct ledger_position *out)
{
    AW_CLEANUP(aw_free) char *digest = NULL;
    AW_CLEANUP(ledger_row_end) ledger_row *row = NULL;

    *out = (struct ledger_position){0};
    AW_TRY(ledger_db_find(db, LEDGER_SQL_POSITION, (struct ledger_values){0}, &row));
    if (row == NULL)
        return aw_fail(AW_CODE_CORRUPT, "the ledger's database does not know how far it has come");
    out->seq = ledger_row_integer(row, 0);
    out->time = ledger_row_integer(row, 1);
    AW_TRY(ledger_row_text(row, 2, &digest));
    if (digest == NULL || strlen(digest) >= sizeof(out->digest))
        return aw_fail(
            AW_CODE_CORRUPT, "the ledger's database has a bad digest of its last record");
    memcpy(out->digest, digest, strlen(digest) + 1);
    return AW_OK;
}

aw_result
ledger_db_commit(ledger_db *db, const struct ledger_position *position)
{
    struct ledger_values none = {0};

    AW_TRY(ledger_db_run(db, LEDGER_SQL_POSITION_SET,
        LEDGER_VALUES(LEDGER_INTEGER(position->seq), LEDGER_INTEGER(position->time),
            LEDGER_TEXT(position->digest)),
        NULL));
    AW_TRY(ledger_db_run(db, LEDGER_SQL_COMMIT, none, NULL));
    return ledger_db_run(db, LEDGER_SQL_BEGIN, none, NULL);
}
