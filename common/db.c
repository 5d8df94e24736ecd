#include "common/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

struct aw_db {
    const struct aw_db_kind *kind;
    sqlite3 *sqlite;
    sqlite3_stmt **statements; /* by number; NULL until they are prepared */
};

static aw_result
fail(const aw_db *db, const char *what)
{
    const struct aw_db_kind *kind = db->kind;
    int extended = sqlite3_extended_errcode(db->sqlite);
    enum aw_code code = AW_CODE_IO;
    const char *hint = kind->otherwise;

    for (size_t i = 0; i < kind->meaning_count; i++) {
        if (kind->meanings[i].primary == (extended & 0xff)) {
            code = kind->meanings[i].code;
            hint = kind->meanings[i].hint;
        }
    }
    return aw_hint(aw_fail_cause(code, AW_CAUSE_SQLITE, (unsigned long)extended,
                       "%s failed to %s: %s", kind->what, what, sqlite3_errmsg(db->sqlite)),
        "%s", hint);
}

aw_result
aw_db_execute(aw_db *db, const char *sql, const char *what)
{
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? AW_OK : fail(db, what);
}

/* First column of a statement's first row, as text: an answer of a pragma. */
static aw_result
ask(aw_db *db, const char *sql, char *out, size_t capacity)
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
make_file(const struct aw_db_kind *kind, const char *path)
{
    AW_CLEANUP(aw_close)
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, kind->mode);
    struct stat status;

    if (fd < 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "cannot open %s %s", kind->what, path), "%s",
            kind->elsewhere);
    if (fstat(fd, &status) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine %s %s", kind->what, path);
    if (!S_ISREG(status.st_mode))
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "%s %s is no regular file", kind->what, path),
            "stop the program and remove it");
    if ((status.st_mode & 07777) != kind->mode && fchmod(fd, kind->mode) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot set the mode of %s %s", kind->what, path);
    return AW_OK;
}

static aw_result
harden(aw_db *db)
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
    sqlite3_busy_timeout(db->sqlite, db->kind->busy_ms);
    return AW_OK;
}

aw_result
aw_db_open(const struct aw_db_kind *kind, const char *path, aw_db **out)
{
    static const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    AW_CLEANUP(aw_db_close) aw_db *db = calloc(1, sizeof(*db));

    *out = NULL;
    if (db == NULL)
        return aw_fail_memory();
    db->kind = kind;
    AW_TRY(make_file(kind, path));
    int status = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
    if (db->sqlite == NULL)
        return aw_fail_memory();
    sqlite3_extended_result_codes(db->sqlite, 1);
    if (status != SQLITE_OK)
        return aw_context(fail(db, "open"), "%s", path);
    AW_TRY(harden(db));
    *out = AW_MOVE(db);
    return AW_OK;
}

void
aw_db_close(aw_db **slot)
{
    aw_db *db = *slot;

    if (db == NULL)
        return;
    for (size_t i = 0; db->statements != NULL && i < db->kind->statement_count; i++)
        sqlite3_finalize(db->statements[i]);
    free(db->statements);
    sqlite3_close(db->sqlite);
    free(db);
    *slot = NULL;
}

const char *
aw_db_path(aw_db *db)
{
    return sqlite3_db_filename(db->sqlite, "main");
}

bool
aw_db_is_readonly(aw_db *db)
{
    return sqlite3_db_readonly(db->sqlite, "main") != 0;
}

bool
aw_db_in_transaction(aw_db *db)
{
    return sqlite3_get_autocommit(db->sqlite) == 0;
}

aw_result
aw_db_check(aw_db *db)
{
    char answer[256];

    AW_TRY(ask(db, "PRAGMA integrity_check(1)", answer, sizeof(answer)));
    if (strcmp(answer, "ok") != 0)
        return aw_fail(AW_CODE_CORRUPT, "%s is damaged: %s", db->kind->what, answer);
    return AW_OK;
}

static aw_result
check_identity(aw_db *db, enum aw_code other)
{
    char answer[64], expected[64];

    sqlite3_snprintf(
        sizeof(expected), expected, "%d/%d", db->kind->application_id, db->kind->version);
    AW_TRY(ask(db,
        "SELECT a.application_id || '/' || v.user_version"
        " FROM pragma_application_id() a, pragma_user_version() v",
        answer, sizeof(answer)));
    if (strcmp(answer, expected) != 0)
        return aw_fail(other, "%s has the identity %s, expected %s of this version", db->kind->what,
            answer, expected);
    return AW_OK;
}

aw_result
aw_db_contents(aw_db *db, enum aw_code other, bool *fresh)
{
    char answer[64], stamp[96];

    AW_TRY(ask(db, "SELECT count(*) FROM sqlite_schema", answer, sizeof(answer)));
    *fresh = strcmp(answer, "0") == 0;
    if (!*fresh)
        return check_identity(db, other);
    sqlite3_snprintf(sizeof(stamp), stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
        db->kind->application_id, db->kind->version);
    AW_TRY(aw_db_execute(db, db->kind->schema, "make its tables"));
    return aw_db_execute(db, stamp, "write its identity");
}

aw_result
aw_db_prepare(aw_db *db)
{
    const struct aw_db_kind *kind = db->kind;

    db->statements = calloc(kind->statement_count, sizeof(*db->statements));
    if (db->statements == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < kind->statement_count; i++)
        if (sqlite3_prepare_v3(db->sqlite, kind->statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                &db->statements[i], NULL) != SQLITE_OK)
            return fail(db, "prepare a statement");
    return AW_OK;
}

/* Statements. */

/* Bound texts are the caller's: none is kept. */
void
aw_db_row_end(aw_db_row **row)
{
    if (*row == NULL)
        return;
    sqlite3_reset(*row);
    sqlite3_clear_bindings(*row);
    *row = NULL;
}

static aw_result
bind(aw_db *db, sqlite3_stmt *statement, struct aw_db_values values)
{
    int status = SQLITE_OK;

    for (size_t i = 0; i < values.count && status == SQLITE_OK; i++) {
        const struct aw_db_value *value = &values.items[i];

        if (value->is_text)
            status = sqlite3_bind_text(statement, (int)i + 1, value->text, -1, SQLITE_STATIC);
        else
            status = sqlite3_bind_int64(statement, (int)i + 1, value->integer);
    }
    return status == SQLITE_OK ? AW_OK : fail(db, "bind a value");
}

aw_result
aw_db_find(aw_db *db, unsigned statement, struct aw_db_values values, aw_db_row **out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = db->statements[statement];

    *out = NULL;
    AW_TRY(bind(db, row, values));
    int status = sqlite3_step(row);
    if (status == SQLITE_ROW)
        *out = AW_MOVE(row);
    else if (status != SQLITE_DONE)
        return fail(db, db->kind->statements[statement]);
    return AW_OK;
}

aw_result
aw_db_next(aw_db *db, aw_db_row **row)
{
    int status = sqlite3_step(*row);

    if (status == SQLITE_ROW)
        return AW_OK;
    aw_result r = status == SQLITE_DONE ? AW_OK : fail(db, sqlite3_sql(*row));
    aw_db_row_end(row);
    return r;
}

aw_result
aw_db_run(aw_db *db, unsigned statement, struct aw_db_values values, int64_t *changes)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, statement, values, &row));
    if (row != NULL)
        return aw_fail(AW_CODE_INTERNAL, "a row came from: %s", db->kind->statements[statement]);
    if (changes != NULL)
        *changes = sqlite3_changes64(db->sqlite);
    return AW_OK;
}

int64_t
aw_db_integer(aw_db_row *row, int column)
{
    return sqlite3_column_int64(row, column);
}

aw_result
aw_db_text(aw_db_row *row, int column, char **out)
{
    *out = NULL;
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return AW_OK;
    const unsigned char *text = sqlite3_column_text(row, column);
    *out = text == NULL ? NULL : strdup((const char *)text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}
