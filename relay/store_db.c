#include "relay/store_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

/* Certificates are public; evidence and contacts are nobody else's. */
enum { STORE_MODE = 0600, STORE_BUSY_MS = 5000 };

struct store_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
};

/* WAL: readers wait for no writer. FULL: what is committed survives a loss of power. */
static const char settings[] = "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA cell_size_check = ON;";

static const char restore[] = "stop the relay, move the database and its -wal and -shm files away "
                              "and start anew: orders under way are lost, the signer's records "
                              "and issued certificates are not";

/* What a failure of SQLite (primary code) means to us. */
static const struct {
    int primary;
    enum aw_code code;
    const char *hint;
} meanings[] = {
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

static aw_result
fail(const struct store_db *db, const char *what)
{
    int extended = sqlite3_extended_errcode(db->sqlite);
    enum aw_code code = AW_CODE_IO;
    const char *hint = "look at the file system of the relay's state";

    for (size_t i = 0; i < AW_COUNT(meanings); i++) {
        if (meanings[i].primary == (extended & 0xff)) {
            code = meanings[i].code;
            hint = meanings[i].hint;
        }
    }
    return aw_hint(aw_fail_cause(code, AW_CAUSE_SQLITE, (unsigned long)extended,
                       "the relay's database failed to %s: %s", what, sqlite3_errmsg(db->sqlite)),
        "%s", hint);
}

static aw_result
execute(struct store_db *db, const char *sql, const char *what)
{
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? AW_OK : fail(db, what);
}

/* First column of a statement's first row, as text. */
static aw_result
ask(struct store_db *db, const char *sql, char *out, size_t capacity)
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
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, STORE_MODE);
    struct stat status;

    if (fd < 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "cannot open the relay's database %s", path),
            "its folder must exist and belong to the relay's user");
    if (fstat(fd, &status) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine the relay's database %s", path);
    if (!S_ISREG(status.st_mode))
        return aw_fail(AW_CODE_MISMATCH, "the relay's database %s is no regular file", path);
    if ((status.st_mode & 07777) != STORE_MODE && fchmod(fd, STORE_MODE) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot set the mode of the relay's database %s", path);
    return AW_OK;
}

static aw_result
harden(struct store_db *db)
{
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    };

    for (size_t i = 0; i < AW_COUNT(options); i++)
        if (sqlite3_db_config(db->sqlite, options[i].option, options[i].value, NULL) != SQLITE_OK)
            return fail(db, "take its safety options");
    sqlite3_busy_timeout(db->sqlite, STORE_BUSY_MS);
    return AW_OK;
}

static aw_result
open_file(const char *path, int flags, struct store_db *db)
{
    int status = sqlite3_open_v2(
        path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (db->sqlite == NULL)
        return aw_fail_memory();
    sqlite3_extended_result_codes(db->sqlite, 1);
    if (status != SQLITE_OK)
        return fail(db, "open");
    return harden(db);
}

static aw_result
check_identity(struct store_db *db)
{
    char answer[64], expected[64];

    sqlite3_snprintf(
        sizeof(expected), expected, "%d/%d", STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
    AW_TRY(ask(db,
        "SELECT a.application_id || '/' || v.user_version"
        " FROM pragma_application_id() a, pragma_user_version() v",
        answer, sizeof(answer)));
    if (strcmp(answer, expected) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_UNSUPPORTED,
                       "the relay's database has the identity %s, expected %s of this version",
                       answer, expected),
        "start the version of the relay that made it, or move the database away");
}

/* Tables and identity become visible together, so a crash in between leaves an empty database. */
static aw_result
make_tables(struct store_db *db)
{
    char stamp[96];

    sqlite3_snprintf(sizeof(stamp), stamp,
        "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", STORE_APPLICATION_ID,
        STORE_SCHEMA_VERSION);
    AW_TRY(execute(db, "BEGIN IMMEDIATE", "begin"));
    AW_TRY(execute(db, store_schema, "make its tables"));
    return execute(db, stamp, "write its identity");
}

static aw_result
check_contents(struct store_db *db)
{
    char answer[256];

    AW_TRY(ask(db, "PRAGMA integrity_check(1)", answer, sizeof(answer)));
    if (strcmp(answer, "ok") != 0)
        return aw_hint(
            aw_fail(AW_CODE_CORRUPT, "the relay's database is damaged: %s", answer), "%s", restore);
    AW_TRY(ask(db, "SELECT count(*) FROM sqlite_schema", answer, sizeof(answer)));
    return strcmp(answer, "0") == 0 ? make_tables(db) : check_identity(db);
}

static aw_result
prepare_statements(struct store_db *db)
{
    for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++)
        if (sqlite3_prepare_v3(db->sqlite, store_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                &db->statements[i], NULL) != SQLITE_OK)
            return fail(db, "prepare a statement");
    return AW_OK;
}

aw_result
store_db_create(const char *path, struct store_db **out)
{
    AW_CLEANUP(store_db_close) struct store_db *db = calloc(1, sizeof(*db));

    *out = NULL;
    if (db == NULL)
        return aw_fail_memory();
    AW_TRY(make_file(path));
    AW_TRY(open_file(path, SQLITE_OPEN_READWRITE, db));
    AW_TRY(execute(db, settings, "take its settings"));
    AW_TRY(check_contents(db));
    AW_TRY(prepare_statements(db));
    *out = AW_MOVE(db);
    return AW_OK;
}

aw_result
store_db_read(const char *path, struct store_db **out)
{
    AW_CLEANUP(store_db_close) struct store_db *db = calloc(1, sizeof(*db));

    *out = NULL;
    if (db == NULL)
        return aw_fail_memory();
    AW_TRY(open_file(path, SQLITE_OPEN_READWRITE, db));
    AW_TRY(execute(db, "PRAGMA query_only = ON;", "take its settings"));
    AW_TRY(prepare_statements(db));
    *out = AW_MOVE(db);
    return AW_OK;
}

void
store_db_close(struct store_db **db)
{
    if (*db == NULL)
        return;
    for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++)
        sqlite3_finalize((*db)->statements[i]);
    sqlite3_close((*db)->sqlite);
    free(*db);
    *db = NULL;
}

static aw_result
bind(struct store_db *db, sqlite3_stmt *statement, struct store_values values)
{
    for (size_t i = 0; i < values.count; i++) {
        const struct store_value *value = &values.items[i];
        int status = value->is_text
                         ? sqlite3_bind_text(statement, (int)i + 1, value->text, -1, SQLITE_STATIC)
                         : sqlite3_bind_int64(statement, (int)i + 1, value->integer);
        if (status != SQLITE_OK)
            return fail(db, "take a value");
    }
    return AW_OK;
}

/* Bound texts are the caller's: none is kept. */
static void
end_statement(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

static aw_result
step(struct store_db *db, sqlite3_stmt *statement, bool *row)
{
    int status = sqlite3_step(statement);

    *row = status == SQLITE_ROW;
    if (status == SQLITE_ROW || status == SQLITE_DONE)
        return AW_OK;
    return fail(db, "run a statement");
}

aw_result
store_db_run(
    struct store_db *db, enum store_statement which, struct store_values values, int64_t *changes)
{
    sqlite3_stmt *statement = db->statements[which];
    bool row = false;

    aw_result r = bind(db, statement, values);
    if (aw_ok(r))
        r = step(db, statement, &row);
    end_statement(statement);
    if (aw_ok(r) && changes != NULL)
        *changes = sqlite3_changes64(db->sqlite);
    return r;
}

aw_result
store_db_find(
    struct store_db *db, enum store_statement which, struct store_values values, store_row **out)
{
    sqlite3_stmt *statement = db->statements[which];
    bool row = false;

    *out = NULL;
    aw_result r = bind(db, statement, values);
    if (aw_ok(r))
        r = step(db, statement, &row);
    if (row)
        *out = statement;
    else
        end_statement(statement);
    return r;
}

aw_result
store_db_next(struct store_db *db, store_row **row)
{
    bool more = false;

    aw_result r = step(db, *row, &more);
    if (!more)
        store_row_end(row);
    return r;
}

void
store_row_end(store_row **row)
{
    if (*row == NULL)
        return;
    end_statement(*row);
    *row = NULL;
}

int64_t
store_row_integer(store_row *row, int column)
{
    return sqlite3_column_int64(row, column);
}

aw_result
store_row_text(store_row *row, int column, char **out)
{
    *out = NULL;
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return AW_OK;
    const unsigned char *text = sqlite3_column_text(row, column);
    if (text == NULL)
        return aw_fail_memory();
    return aw_format(out, "%s", (const char *)text);
}

aw_result
store_db_transaction(struct store_db *db,
    aw_result (*work)(struct store_db *db, const void *context), const void *context)
{
    struct aw_error error;

    AW_TRY(store_db_run(db, STORE_SQL_BEGIN, STORE_NOTHING, NULL));
    aw_result r = work(db, context);
    if (aw_ok(r))
        r = store_db_run(db, STORE_SQL_COMMIT, STORE_NOTHING, NULL);
    if (aw_ok(r) || sqlite3_get_autocommit(db->sqlite) != 0)
        return r;
    aw_error_save(&error);
    aw_ignore(store_db_run(db, STORE_SQL_ROLLBACK, STORE_NOTHING, NULL), "the cause is told");
    return aw_error_restore(&error);
}
