#include "signer/ledger_db.h"

/*
 * The log is the truth and is synced before anything leaves, so the database needs consistency, not
 * durability: NORMAL syncs at checkpoints only. EXCLUSIVE keeps a second process out and needs no
 * shared memory. A forged schema gets no function, trigger or view to run.
 */
const char ledger_settings[] = "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = NORMAL;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA cache_size = -8192;"
                               "PRAGMA journal_size_limit = 16777216;";

/*
 * orders: one row a signed new-order, never changed; seq is its record and the ticket, nth counts
 * the application's orders, which makes the quota a look-up; revocations are counted likewise. What
 * changes of an order is apart in `progress`, so that a poll does not rewrite the list of names. A
 * URL belongs to an account: what another account names cannot be used with this one. kind is enum
 * sign_url_kind, standing enum ledger_standing. inner_: what came through a relay (ledger_inner.h).
 * freezes: the freeze of all has the application ''.
 */
const char ledger_schema[] =
    "CREATE TABLE meta ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), last_seq INTEGER NOT NULL,"
    " last_time INTEGER NOT NULL, last_digest TEXT NOT NULL) STRICT;"
    "CREATE TABLE orders ("
    " seq INTEGER PRIMARY KEY, application TEXT NOT NULL, account TEXT NOT NULL,"
    " nth INTEGER NOT NULL, time INTEGER NOT NULL, name_count INTEGER NOT NULL,"
    " names TEXT NOT NULL) STRICT;"
    "CREATE INDEX orders_of_application ON orders (application, nth, time);"
    "CREATE TABLE revocations ("
    " seq INTEGER PRIMARY KEY, application TEXT NOT NULL, nth INTEGER NOT NULL,"
    " time INTEGER NOT NULL) STRICT;"
    "CREATE INDEX revocations_of_application ON revocations (application, nth, time);"
    "CREATE TABLE progress ("
    " seq INTEGER PRIMARY KEY, finalizes INTEGER NOT NULL DEFAULT 0,"
    " polls INTEGER NOT NULL DEFAULT 0, certificates INTEGER NOT NULL DEFAULT 0,"
    " order_url TEXT, finalize_url TEXT, csr TEXT, key TEXT) STRICT;"
    "CREATE TABLE claims ("
    " account TEXT NOT NULL, url TEXT NOT NULL, order_seq INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, PRIMARY KEY (account, url, order_seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE claim_counts ("
    " order_seq INTEGER NOT NULL, kind INTEGER NOT NULL, total INTEGER NOT NULL,"
    " PRIMARY KEY (order_seq, kind)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE keys ("
    " key TEXT PRIMARY KEY, application TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE refused_keys ("
    " key TEXT PRIMARY KEY, seq INTEGER NOT NULL, rule TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE certificates ("
    " seq INTEGER PRIMARY KEY, order_seq INTEGER NOT NULL, application TEXT NOT NULL,"
    " account TEXT NOT NULL, serial TEXT, key TEXT NOT NULL, not_after INTEGER NOT NULL,"
    " issuer TEXT, digest TEXT, standing INTEGER NOT NULL) STRICT;"
    "CREATE INDEX certificates_of_serial ON certificates (account, serial, standing, seq);"
    "CREATE INDEX certificates_of_order ON certificates (order_seq, digest, standing);"
    "CREATE TABLE app_eabs ("
    " seq INTEGER PRIMARY KEY, kid TEXT NOT NULL UNIQUE, application TEXT NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, once INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL DEFAULT 0, used INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE freezes ("
    " application TEXT PRIMARY KEY, seq INTEGER NOT NULL, since INTEGER NOT NULL,"
    " reason TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE inner_accounts ("
    " id INTEGER PRIMARY KEY, application TEXT NOT NULL, kid TEXT NOT NULL, jwk TEXT NOT NULL,"
    " thumbprint TEXT NOT NULL UNIQUE, active INTEGER NOT NULL DEFAULT 1) STRICT;"
    "CREATE TABLE inner_orders ("
    " seq INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, evidence TEXT NOT NULL,"
    " repeats INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE inner_finalizes ("
    " order_seq INTEGER NOT NULL, evidence TEXT NOT NULL,"
    " PRIMARY KEY (order_seq, evidence)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE inner_revocations ("
    " evidence TEXT PRIMARY KEY, repeats INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    "INSERT INTO meta VALUES (1, 0, 0, '');";

const char *const ledger_statements[LEDGER_STATEMENT_COUNT] = {
    [LEDGER_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [LEDGER_SQL_COMMIT] = "COMMIT",
    [LEDGER_SQL_POSITION] = "SELECT last_seq, last_time, last_digest FROM meta WHERE id = 1",
    [LEDGER_SQL_POSITION_SET] =
        "UPDATE meta SET last_seq = ?1, last_time = ?2, last_digest = ?3 WHERE id = 1",
    [LEDGER_SQL_ORDER] =
        "SELECT o.time, o.name_count, p.finalizes, p.polls, p.certificates, p.order_url,"
        " p.finalize_url, p.csr, p.key, ifnull(i.account_id, 0), i.evidence, ifnull(i.repeats, 0)"
        " FROM orders o JOIN progress p ON p.seq = o.seq LEFT JOIN inner_orders i ON i.seq = o.seq"
        " WHERE o.seq = ?1 AND o.application = ?2 AND o.account = ?3",
    [LEDGER_SQL_ORDER_NAMES] = "SELECT names FROM orders WHERE seq = ?1",
    [LEDGER_SQL_ORDER_ADD] =
        "INSERT INTO orders (seq, application, account, time, name_count, names, nth)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1 + ifnull("
        "(SELECT nth FROM orders WHERE application = ?2 ORDER BY nth DESC LIMIT 1), 0))",
    [LEDGER_SQL_ORDER_LAST] =
        "SELECT nth, time FROM orders WHERE application = ?1 ORDER BY nth DESC LIMIT 1",
    [LEDGER_SQL_ORDER_TIME] = "SELECT time FROM orders WHERE application = ?1 AND nth = ?2",
    [LEDGER_SQL_REVOCATION_ADD] =
        "INSERT INTO revocations (seq, application, time, nth) VALUES (?1, ?2, ?3, 1 + ifnull("
        "(SELECT nth FROM revocations WHERE application = ?2 ORDER BY nth DESC LIMIT 1), 0))",
    [LEDGER_SQL_REVOCATION_LAST] =
        "SELECT nth, time FROM revocations WHERE application = ?1 ORDER BY nth DESC LIMIT 1",
    [LEDGER_SQL_REVOCATION_TIME] =
        "SELECT time FROM revocations WHERE application = ?1 AND nth = ?2",
    [LEDGER_SQL_PROGRESS_ADD] = "INSERT INTO progress (seq) VALUES (?1)",
    [LEDGER_SQL_PROGRESS_FINALIZE] =
        "UPDATE progress SET finalizes = finalizes + 1, finalize_url = ifnull(finalize_url, ?2),"
        " csr = ifnull(csr, ?3), key = ifnull(key, ?4) WHERE seq = ?1",
    [LEDGER_SQL_PROGRESS_POLL] = "UPDATE progress SET polls = polls + 1 WHERE seq = ?1",
    [LEDGER_SQL_PROGRESS_CERTIFICATE] =
        "UPDATE progress SET certificates = certificates + 1 WHERE seq = ?1",
    [LEDGER_SQL_PROGRESS_URL] = "UPDATE progress SET order_url = ?2 WHERE seq = ?1",
    [LEDGER_SQL_CLAIM] =
        "SELECT kind FROM claims WHERE account = ?1 AND url = ?2 AND order_seq = ?3",
    [LEDGER_SQL_CLAIM_FIRST] =
        "SELECT c.kind, o.seq, o.application FROM claims c JOIN orders o ON o.seq = c.order_seq"
        " WHERE c.account = ?1 AND c.url = ?2 ORDER BY c.order_seq LIMIT 1",
    [LEDGER_SQL_CLAIM_COUNT] = "SELECT total FROM claim_counts WHERE order_seq = ?1 AND kind = ?2",
    [LEDGER_SQL_CLAIM_ADD] =
        "INSERT INTO claims (account, url, order_seq, kind) VALUES (?1, ?2, ?3, ?4)",
    [LEDGER_SQL_CLAIM_COUNT_ADD] =
        "INSERT INTO claim_counts (order_seq, kind, total) VALUES (?1, ?2, 1)"
        " ON CONFLICT (order_seq, kind) DO UPDATE SET total = total + 1",
    [LEDGER_SQL_KEY] = "SELECT application FROM keys WHERE key = ?1",
    [LEDGER_SQL_KEY_ADD] = "INSERT OR IGNORE INTO keys (key, application) VALUES (?1, ?2)",
    [LEDGER_SQL_REFUSED_KEY] = "SELECT seq, rule FROM refused_keys WHERE key = ?1",
    [LEDGER_SQL_REFUSED_KEY_ADD] =
        "INSERT OR IGNORE INTO refused_keys (key, seq, rule) VALUES (?1, ?2, ?3)",
    [LEDGER_SQL_CERTIFICATE_ADD] =
        "INSERT INTO certificates (seq, order_seq, application, account, serial, key, not_after,"
        " issuer, digest, standing) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [LEDGER_SQL_CERTIFICATE_FIRST] =
        "SELECT application FROM certificates WHERE account = ?1 AND serial = ?2"
        " AND standing <= ?3 ORDER BY standing, seq LIMIT 1",
    [LEDGER_SQL_CERTIFICATE_KNOWN] =
        "SELECT seq FROM certificates WHERE order_seq = ?1 AND digest = ?2 AND standing = ?3"
        " LIMIT 1",
    /* standing 2: it does not chain to the pinned issuers, and hides no end of another */
    [LEDGER_SQL_CERTIFICATES] =
        "SELECT c.application, o.names, c.not_after FROM certificates c"
        " JOIN orders o ON o.seq = c.order_seq WHERE c.not_after > ?1 AND c.standing < 2",
    [LEDGER_SQL_APP_EAB] =
        "SELECT seq, kid, application, created, expires, once, revoked, used FROM app_eabs"
        " WHERE kid = ?1",
    [LEDGER_SQL_APP_EABS] =
        "SELECT seq, kid, application, created, expires, once, revoked, used FROM app_eabs"
        " WHERE seq > ?1 AND (?2 IS NULL OR application = ?2) ORDER BY seq",
    [LEDGER_SQL_FREEZES] = "SELECT application, since, reason FROM freezes ORDER BY seq",
    [LEDGER_SQL_FREEZE_ADD] =
        "INSERT INTO freezes (application, seq, since, reason) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (application) DO UPDATE SET reason = excluded.reason",
    [LEDGER_SQL_FREEZE_REMOVE] = "DELETE FROM freezes WHERE application = ?1",
    [LEDGER_SQL_APP_EAB_ADD] =
        "INSERT INTO app_eabs (seq, kid, application, created, expires, once)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [LEDGER_SQL_APP_EAB_USE] = "UPDATE app_eabs SET used = used + 1 WHERE kid = ?1",
    [LEDGER_SQL_APP_EAB_REVOKE] = "UPDATE app_eabs SET revoked = ?2 WHERE kid = ?1 AND revoked = 0",
    [LEDGER_SQL_APP_EAB_REVOKE_ALL] = "UPDATE app_eabs SET revoked = ?1 WHERE revoked = 0",
    [LEDGER_SQL_APP_EAB_ACCOUNTS] =
        "SELECT id FROM inner_accounts WHERE kid = ?1 AND active = 1 ORDER BY id",
    [LEDGER_SQL_INNER_ACCOUNT] =
        "SELECT id, application, jwk, active FROM inner_accounts WHERE id = ?1",
    [LEDGER_SQL_INNER_KEY] =
        "SELECT id, application, jwk, active FROM inner_accounts WHERE thumbprint = ?1",
    [LEDGER_SQL_INNER_ACCOUNT_ADD] =
        "INSERT INTO inner_accounts (id, application, kid, jwk, thumbprint)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
    [LEDGER_SQL_INNER_KEY_SET] =
        "UPDATE inner_accounts SET jwk = ?2, thumbprint = ?3 WHERE id = ?1 AND active = 1",
    [LEDGER_SQL_INNER_END] = "UPDATE inner_accounts SET active = 0 WHERE id = ?1 AND active = 1",
    [LEDGER_SQL_INNER_ORDER] =
        "SELECT o.account_id, f.evidence IS NOT NULL FROM inner_orders o LEFT JOIN inner_finalizes"
        " f ON f.order_seq = o.seq AND f.evidence = ?2 WHERE o.seq = ?1",
    [LEDGER_SQL_INNER_ORDER_ADD] =
        "INSERT INTO inner_orders (seq, account_id, evidence) VALUES (?1, ?2, ?3)",
    [LEDGER_SQL_INNER_ORDER_AGAIN] =
        "UPDATE inner_orders SET repeats = repeats + 1 WHERE seq = ?1 AND account_id = ?2",
    [LEDGER_SQL_INNER_FINALIZE_ADD] =
        "INSERT OR IGNORE INTO inner_finalizes (order_seq, evidence) VALUES (?1, ?2)",
    [LEDGER_SQL_INNER_REVOCATION] = "SELECT repeats FROM inner_revocations WHERE evidence = ?1",
    [LEDGER_SQL_INNER_REVOCATION_ADD] = "INSERT INTO inner_revocations (evidence) VALUES (?1)",
    [LEDGER_SQL_INNER_REVOCATION_AGAIN] =
        "UPDATE inner_revocations SET repeats = repeats + 1 WHERE evidence = ?1",
};
