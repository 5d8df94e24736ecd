/**
 * @file ledger_db.h
 * @brief The ledger's database (common/db.h): its statements, and one long transaction.
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

#include "audit/audit.h"
#include "common/db.h"
#include "common/hex.h"
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
    LEDGER_SQL_FREEZES,
    LEDGER_SQL_FREEZE_ADD,
    LEDGER_SQL_FREEZE_REMOVE,
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

/** Settings of the connection, and the tables of a new database. */
extern const char ledger_settings[], ledger_schema[];

/** PRAGMA application_id ("awlg") and user_version; another version is rebuilt from the log. */
enum { LEDGER_APPLICATION_ID = 0x61776c67, LEDGER_SCHEMA_VERSION = 8 };

/** What a certificate that was handed back is worth; the lower the better. */
enum ledger_standing {
    LEDGER_VERIFIED,   /**< it chains to the issuers pinned for the CA */
    LEDGER_UNCHECKED,  /**< none were pinned */
    LEDGER_UNVERIFIED, /**< it does not chain to them */
};

/** How far into which log the ledger has come. */
struct ledger_position {
    int64_t seq;                     /**< last record taken in; 0: none */
    int64_t time;                    /**< its time: the ledger's clock never goes behind it */
    char digest[AW_DIGEST_HEX_SIZE]; /**< its digest, which covers all before it */
};

/**
 * Opens or creates the database (0640), as the ledger's one connection, and begins the transaction.
 * @param[out] fresh the tables were made just now
 * @return AW_CODE_CORRUPT for what is no ledger of this version or is damaged, AW_CODE_BUSY when
 *         another process has it open. Release: aw_db_close, which rolls back what is not
 * committed.
 */
AW_MUST_USE aw_result ledger_db_open(const char *path, aw_db **out, bool *fresh);

/** Closes, and seals the file (ledger_seal.h). For a database that is not in doubt. */
AW_MUST_USE aw_result ledger_db_finish(aw_db **db);

/** Reads the committed position; all zero in a new database. */
AW_MUST_USE aw_result ledger_db_position(aw_db *db, struct ledger_position *out);

/** Commits together with the position, and begins the next transaction. */
AW_MUST_USE aw_result ledger_db_commit(aw_db *db, const struct ledger_position *position);

#endif
