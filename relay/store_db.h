/**
 * @file store_db.h
 * @brief One SQLite connection of the store, with its prepared statements. The caller serialises
 * all calls on one connection.
 */
#ifndef AW_RELAY_STORE_DB_H
#define AW_RELAY_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "common/result.h"

/** Statements; their text is in store_schema.c. */
enum store_statement {
    STORE_SQL_BEGIN,
    STORE_SQL_COMMIT,
    STORE_SQL_ROLLBACK,
    STORE_SQL_ACCOUNT_PUT,
    STORE_SQL_ACCOUNT,
    STORE_SQL_ORDER_ADD,
    STORE_SQL_ORDER,
    STORE_SQL_ORDER_MOVE,
    STORE_SQL_ORDER_CERTIFICATE,
    STORE_SQL_ORDER_BY_LEAF,
    STORE_SQL_ORDER_BY_RENEWAL,
    STORE_SQL_ORDERS_OF,
    STORE_SQL_ORDERS_IN,
    STORE_SQL_AUTHORIZATION_ADD,
    STORE_SQL_AUTHORIZATIONS,
    STORE_SQL_AUTHORIZATION_SET,
    STORE_SQL_AUTHORIZATIONS_IN,
    STORE_SQL_CHAIN_ADD,
    STORE_SQL_CHAIN,
    STORE_SQL_CHAINS,
    STORE_SQL_EXPIRE,
    STORE_SQL_FORGET,
    STORE_STATEMENT_COUNT
};

/** Text of the statements, by enum store_statement. */
extern const char *const store_statements[STORE_STATEMENT_COUNT];

/** The tables of a new database. */
extern const char store_schema[];

/** PRAGMA application_id ("awrs") and user_version. */
enum { STORE_APPLICATION_ID = 0x61777273, STORE_SCHEMA_VERSION = 1 };

/** An open connection. */
struct store_db;

/**
 * Opens the database; a new one is made (0600), one that is there is checked whole.
 * @return AW_CODE_CORRUPT for what is damaged, AW_CODE_UNSUPPORTED for another version's,
 * AW_CODE_BUSY when another relay has it
 */
AW_MUST_USE aw_result store_db_create(const char *path, struct store_db **out);

/** Opens a second connection to it, to read only. */
AW_MUST_USE aw_result store_db_read(const char *path, struct store_db **out);

/** Rolls back what is not committed, closes, nulls; NULL is allowed. */
void store_db_close(struct store_db **db);

/** A value to bind. */
struct store_value {
    bool is_text;
    int64_t integer;
    const char *text; /**< NULL: SQL's NULL */
};

/** Values for ?1, ?2 ... */
struct store_values {
    const struct store_value *items;
    size_t count;
};

#define STORE_INTEGER(value) ((struct store_value){.integer = (value)})
#define STORE_TEXT(value) ((struct store_value){.is_text = true, .text = (value)})
#define STORE_VALUES(...)                                             \
    ((struct store_values){(const struct store_value[]){__VA_ARGS__}, \
        AW_COUNT(((const struct store_value[]){__VA_ARGS__}))})
#define STORE_NOTHING ((struct store_values){NULL, 0})

/** Runs a statement that gives no rows. @param[out] changes rows changed; may be NULL */
AW_MUST_USE aw_result store_db_run(struct store_db *db, enum store_statement statement,
    struct store_values values, int64_t *changes);

/** A row under the statement's cursor. */
typedef sqlite3_stmt store_row;

/** Finds the first row; *out is NULL when there is none. Release: store_row_end. */
AW_MUST_USE aw_result store_db_find(struct store_db *db, enum store_statement statement,
    struct store_values values, store_row **out);

/** The next row of what store_db_find began; *row becomes NULL after the last one. */
AW_MUST_USE aw_result store_db_next(struct store_db *db, store_row **row);

/** Frees the statement for its next use; for AW_CLEANUP. */
void store_row_end(store_row **row);

/** An integer column. */
int64_t store_row_integer(store_row *row, int column);

/** A text column, allocated; NULL for SQL's NULL. */
AW_MUST_USE aw_result store_row_text(store_row *row, int column, char **out);

/** Runs BEGIN IMMEDIATE, `work`, COMMIT; ROLLBACK when that failed. */
AW_MUST_USE aw_result store_db_transaction(struct store_db *db,
    aw_result (*work)(struct store_db *db, const void *context), const void *context);

#endif
