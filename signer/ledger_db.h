/**
 * @file ledger_db.h
 * @brief The ledger's SQLite database: one connection, prepared statements, one long transaction.
 *
 * The caller serialises all calls. Whatever is not committed is lost at close: the audit log still
 * holds it. Any failure but AW_CODE_BUSY at open may have rolled the transaction back, so the
 * connection is of no further use.
 */
#ifndef AW_SIGNER_LEDGER_DB_H
#define AW_SIGNER_LEDGER_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "audit/audit.h"
#include "common/result.h"

/** Statements; their text is in ledger_schema.c. */
enum ledger_statement {
    LEDGER_SQL_BEGIN,
    LEDGER_SQL_COMMIT,
    LEDGER_SQL_POSITION,
    LEDGER_SQL_POSITION_SET,
    LEDGER_SQL_ORDER,
    LEDGER_SQL_ORDER_NAMES,
    LEDGER_SQL_ORDER_ADD,
    LEDGER_SQL_ORDER_LAST,
    LEDGER_SQL_ORDER_TIME,
    LEDGER_SQL_REVOCATION_ADD,
    LEDGER_SQL_REVOCATION_LAST,
    LEDGER_SQL_REVOCATION_TIME,
    LEDGER_SQL_PROGRESS_ADD,
    LEDGER_SQL_PROGRESS_FINALIZE,
    LEDGER_SQL_PROGRESS_POLL,
    LEDGER_SQL_PROGRESS_CERTIFICATE,
    LEDGER_SQL_PROGRESS_URL,
    LEDGER_SQL_CLAIM,
    LEDGER_SQL_CLAIM_FIRST,
    LEDGER_SQL_CLAIM_COUNT,
    LEDGER_SQL_CLAIM_ADD,
    LEDGER_SQL_CLAIM_COUNT_ADD,
    LEDGER_SQL_KEY,
    LEDGER_SQL_KEY_ADD,
    LEDGER_SQL_REFUSED_KEY,
    LEDGER_SQL_REFUSED_KEY_ADD,
    LEDGER_SQL_CERTIFICATE_ADD,
    LEDGER_SQL_CERTIFICATE_FIRST,
    LEDGER_SQL_CERTIFICATE_KNOWN,
    LEDGER_SQL_CERTIFICATES,
    LEDGER_SQL_APP_EAB,
    LEDGER_SQL_APP_EABS,
    LEDGER_SQL_APP_EAB_ADD,
    LEDGER_SQL_APP_EAB_USE,
    LEDGER_SQL_APP_EAB_REVOKE,
    LEDGER_SQL_APP_EAB_REVOKE_ALL,
    LEDGER_SQL_APP_EAB_ACCOUNTS,
    LEDGER_SQL_INNER_ACCOUNT,
    LEDGER_SQL_INNER_KEY,
    LEDGER_SQL_INNER_ACCOUNT_ADD,
    LEDGER_SQL_INNER_KEY_SET,
    LEDGER_SQL_INNER_END,
    LEDGER_SQL_INNER_ORDER,
    LEDGER_SQL_INNER_ORDER_ADD,
    LEDGER_SQL_INNER_ORDER_AGAIN,
    LEDGER_SQL_INNER_FINALIZE_ADD,
    LEDGER_SQL_INNER_REVOCATION,
    LEDGER_SQL_INNER_REVOCATION_ADD,
    LEDGER_SQL_INNER_REVOCATION_AGAIN,
    LEDGER_STATEMENT_COUNT
};

/** Text of the statements, by enum ledger_statement. */
extern const char *const ledger_statements[LEDGER_STATEMENT_COUNT];

/** Settings of every connection, and the tables of a new database. */
extern const char ledger_settings[], ledger_schema[];

/** PRAGMA application_id ("awlg") and user_version; another version is rebuilt from the log. */
enum { LEDGER_APPLICATION_ID = 0x61776c67, LEDGER_SCHEMA_VERSION = 7 };

/** What a certificate that was handed back is worth; the lower the better. */
enum ledger_standing {
    LEDGER_VERIFIED,   /**< it chains to the issuers pinned for the CA */
    LEDGER_UNCHECKED,  /**< none were pinned */
    LEDGER_UNVERIFIED, /**< it does not chain to them */
};

/** How far into which log the ledger has come. */
struct ledger_position {
    int64_t seq;  /**< last record taken in; 0: none */
    int64_t time; /**< its time: the ledger's clock never goes behind it */
    char digest[2 * AUDIT_DIGEST_SIZE + 1]; /**< its digest, which covers all before it */
};

/** An open database. */
typedef struct ledger_db ledger_db;

/**
 * Opens or creates the database (0640) and begins the transaction.
 * @param[out] fresh the tables were made just now
 * @return AW_CODE_CORRUPT for what is no ledger of this version or is damaged, AW_CODE_BUSY when
 *         another process has it open
 */
AW_MUST_USE aw_result ledger_db_open(const char *path, ledger_db **out, bool *fresh);

/** Rolls back what is not committed, closes, nulls; NULL is allowed. */
void ledger_db_close(ledger_db **db);

/** The same, and seals the file (ledger_seal.h). For a database that is not in doubt. */
AW_MUST_USE aw_result ledger_db_finish(ledger_db **db);

/** The connection itself. */
sqlite3 *ledger_db_handle(ledger_db *db);

/** Reads the committed position; all zero in a new database. */
AW_MUST_USE aw_result ledger_db_position(ledger_db *db, struct ledger_position *out);

/** Commits together with the position, and begins the next transaction. */
AW_MUST_USE aw_result ledger_db_commit(ledger_db *db, const struct ledger_position *position);

/** A value to bind. */
struct ledger_value {
    bool is_text;
    int64_t integer;
    const char *text; /**< NULL: SQL's NULL */
};

/** Values for ?1, ?2 ... */
struct ledger_values {
    const struct ledger_value *items;
    size_t count;
};

#define LEDGER_INTEGER(value) ((struct ledger_value){.integer = (value)})
#define LEDGER_TEXT(value) ((struct ledger_value){.is_text = true, .text = (value)})
#define LEDGER_VALUES(...)                                              \
    ((struct ledger_values){(const struct ledger_value[]){__VA_ARGS__}, \
        AW_COUNT(((const struct ledger_value[]){__VA_ARGS__}))})

/** Runs a statement that gives no rows. @param[out] changes rows changed; may be NULL */
AW_MUST_USE aw_result ledger_db_run(
    ledger_db *db, enum ledger_statement statement, struct ledger_values values, int64_t *changes);

/** A row under the statement's cursor. */
typedef sqlite3_stmt ledger_row;

/** Finds the first row; *out is NULL when there is none. Release: ledger_row_end. */
AW_MUST_USE aw_result ledger_db_find(
    ledger_db *db, enum ledger_statement statement, struct ledger_values values, ledger_row **out);

/** The next row of what ledger_db_find began; *row becomes NULL after the last one. */
AW_MUST_USE aw_result ledger_db_next(ledger_db *db, ledger_row **row);

/** Frees the statement for its next use; for AW_CLEANUP. */
void ledger_row_end(ledger_row **row);

/** An integer column. */
int64_t ledger_row_integer(ledger_row *row, int column);

/** A text column, allocated; NULL for SQL's NULL. */
AW_MUST_USE aw_result ledger_row_text(ledger_row *row, int column, char **out);

#endif
