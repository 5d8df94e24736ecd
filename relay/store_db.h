/**
 * @file store_db.h
 * @brief The database of a relay's store (common/db.h): its statements and transactions.
 */
#ifndef AW_RELAY_STORE_DB_H
#define AW_RELAY_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/db.h"
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
    STORE_SQL_ORDER_RECORDED,
    STORE_SQL_ORDERS_UNRECORDED,
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
enum { STORE_APPLICATION_ID = 0x61777273, STORE_SCHEMA_VERSION = 2 };

/**
 * Opens the database; a new one is made (0600), one that is there is checked whole.
 * @return AW_CODE_CORRUPT for what is damaged, AW_CODE_UNSUPPORTED for another version's,
 * AW_CODE_BUSY when another relay has it. Release: aw_db_close.
 */
AW_MUST_USE aw_result store_db_create(const char *path, aw_db **out);

/** Opens a second connection to it, to read only. Release: aw_db_close. */
AW_MUST_USE aw_result store_db_read(const char *path, aw_db **out);

/** Runs BEGIN IMMEDIATE, `work`, COMMIT; ROLLBACK when that failed. */
AW_MUST_USE aw_result store_db_transaction(
    aw_db *db, aw_result (*work)(aw_db *db, const void *context), const void *context);

#endif
