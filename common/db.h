/**
 * @file db.h
 * @brief One connection to an SQLite database with its prepared statements: the ledger of the
 * signer, the store of a relay.
 *
 * Opened without following links, hardened (defensive, no triggers, no views, no trusted schema),
 * checked whole, told apart by application id and version. What a failure of SQLite means is said
 * by the kind of database. The caller serialises all calls on one connection.
 */
#ifndef AW_COMMON_DB_H
#define AW_COMMON_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <sqlite3.h>

#include "common/result.h"

/** What a primary result code of SQLite means. */
struct aw_db_meaning {
    int primary;
    enum aw_code code;
    const char *hint;
};

/** A kind of database; constant, and outlives its connections. */
struct aw_db_kind {
    const char *what;      /**< in messages: "the ledger's database" */
    const char *elsewhere; /**< hint for a file that can't be opened */
    const char *otherwise; /**< hint for codes without a meaning, which are AW_CODE_IO */
    const struct aw_db_meaning *meanings;
    size_t meaning_count;
    mode_t mode; /**< of the file */
    int busy_ms; /**< longest wait for another connection */
    int application_id;
    int version;                   /**< PRAGMA user_version */
    const char *schema;            /**< SQL: the tables of a new database */
    const char *const *statements; /**< what aw_db_run and aw_db_find run, by number */
    size_t statement_count;
};

/** An open connection. */
typedef struct aw_db aw_db;

/**
 * Opens a connection and makes the file when it is not there; hardens, and applies no settings.
 * @return AW_CODE_MISMATCH for what is no regular file. Release: aw_db_close.
 */
AW_MUST_USE aw_result aw_db_open(const struct aw_db_kind *kind, const char *path, aw_db **out);

/** Rolls back what is not committed, closes, nulls; NULL is allowed. */
void aw_db_close(aw_db **db);

/** The path that it was opened by; lives as long as the connection. */
const char *aw_db_path(aw_db *db);

/** True when the database's own header forbids to write it. */
bool aw_db_is_readonly(aw_db *db);

/** True between BEGIN and COMMIT or ROLLBACK; some failures of SQLite roll back by themselves. */
bool aw_db_in_transaction(aw_db *db);

/** Runs SQL that has no values and gives no rows; `what` says in a message what failed. */
AW_MUST_USE aw_result aw_db_execute(aw_db *db, const char *sql, const char *what);

/** SQLite's own check of each page and index. AW_CODE_CORRUPT: damaged. */
AW_MUST_USE aw_result aw_db_check(aw_db *db);

/**
 * In a transaction: makes the tables of a database that is really empty, and writes its identity,
 * so that both become visible together; of any other compares the identity.
 * @param[out] fresh they were made just now
 * @param other what another identity is: AW_CODE_CORRUPT, AW_CODE_UNSUPPORTED
 */
AW_MUST_USE aw_result aw_db_contents(aw_db *db, enum aw_code other, bool *fresh);

/** Prepares the statements. */
AW_MUST_USE aw_result aw_db_prepare(aw_db *db);

/** A value to bind. */
struct aw_db_value {
    bool is_text;
    int64_t integer;
    const char *text; /**< NULL: SQL's NULL */
};

/** Values for ?1, ?2 ... */
struct aw_db_values {
    const struct aw_db_value *items;
    size_t count;
};

#define AW_DB_INTEGER(value) ((struct aw_db_value){.integer = (value)})
#define AW_DB_TEXT(value) ((struct aw_db_value){.is_text = true, .text = (value)})
#define AW_DB_VALUES(...)                                             \
    ((struct aw_db_values){(const struct aw_db_value[]){__VA_ARGS__}, \
        AW_COUNT(((const struct aw_db_value[]){__VA_ARGS__}))})
#define AW_DB_NOTHING ((struct aw_db_values){NULL, 0})

/** Runs a statement that gives no rows. @param[out] changes rows changed; may be NULL */
AW_MUST_USE aw_result aw_db_run(
    aw_db *db, unsigned statement, struct aw_db_values values, int64_t *changes);

/** A row under the statement's cursor. */
typedef sqlite3_stmt aw_db_row;

/** Finds the first row; *out is NULL when there is none. Release: aw_db_row_end. */
AW_MUST_USE aw_result aw_db_find(
    aw_db *db, unsigned statement, struct aw_db_values values, aw_db_row **out);

/** The next row of what aw_db_find began; *row becomes NULL after the last one. */
AW_MUST_USE aw_result aw_db_next(aw_db *db, aw_db_row **row);

/** Frees the statement for its next use; for AW_CLEANUP. */
void aw_db_row_end(aw_db_row **row);

/** An integer column. */
int64_t aw_db_integer(aw_db_row *row, int column);

/** A text column, allocated; NULL for SQL's NULL. */
AW_MUST_USE aw_result aw_db_text(aw_db_row *row, int column, char **out);

#endif
