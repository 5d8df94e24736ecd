/* Tables and statements of the store. */
#include "relay/store_db.h"

/* orders.recorded: NULL before there is a certificate. chains: number 0 is the certificate as the
 * CA sent it, the others are its alternates. */
const char store_schema[] =
    "CREATE TABLE accounts("
    " id INTEGER PRIMARY KEY, contact TEXT NOT NULL, created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE orders("
    " ticket INTEGER PRIMARY KEY, account INTEGER NOT NULL, application TEXT NOT NULL,"
    " state INTEGER NOT NULL, identifiers TEXT NOT NULL, not_before TEXT, not_after TEXT,"
    " profile TEXT, replaces TEXT, url TEXT NOT NULL, new_order TEXT NOT NULL,"
    " document TEXT NOT NULL, opened INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " evidence TEXT, problem TEXT, leaf TEXT, renewal TEXT, recorded INTEGER) STRICT;"
    "CREATE INDEX orders_by_account ON orders(account, ticket);"
    "CREATE INDEX orders_by_state ON orders(state, ticket);"
    "CREATE INDEX orders_by_expiry ON orders(expires);"
    "CREATE INDEX orders_by_leaf ON orders(leaf) WHERE leaf IS NOT NULL;"
    "CREATE INDEX orders_by_renewal ON orders(renewal) WHERE renewal IS NOT NULL;"
    "CREATE INDEX orders_unrecorded ON orders(ticket) WHERE recorded = 0;"
    "CREATE TABLE authorizations("
    " ticket INTEGER NOT NULL REFERENCES orders ON DELETE CASCADE, number INTEGER NOT NULL,"
    " name TEXT NOT NULL, state INTEGER NOT NULL, type TEXT NOT NULL, token TEXT NOT NULL,"
    " challenge INTEGER NOT NULL, validated INTEGER NOT NULL, problem TEXT,"
    " PRIMARY KEY(ticket, number)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX authorizations_by_challenge ON authorizations(challenge);"
    "CREATE TABLE chains("
    " ticket INTEGER NOT NULL REFERENCES orders ON DELETE CASCADE, number INTEGER NOT NULL,"
    " pem TEXT NOT NULL, PRIMARY KEY(ticket, number)) STRICT, WITHOUT ROWID;";

const char *const store_statements[STORE_STATEMENT_COUNT] = {
    [STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_SQL_COMMIT] = "COMMIT",
    [STORE_SQL_ROLLBACK] = "ROLLBACK",
    [STORE_SQL_ACCOUNT_PUT] = "INSERT INTO accounts(id, contact, created) VALUES(?1, ?2, ?3)"
                              " ON CONFLICT(id) DO UPDATE SET contact = excluded.contact",
    [STORE_SQL_ACCOUNT] = "SELECT contact, created FROM accounts WHERE id = ?1",
    [STORE_SQL_ORDER_ADD] =
        "INSERT INTO orders(ticket, account, application, state, identifiers, not_before,"
        " not_after, profile, replaces, url, new_order, document, opened, expires)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [STORE_SQL_ORDER] =
        "SELECT account, application, state, identifiers, not_before, not_after, profile,"
        " replaces, url, new_order, document, opened, expires, evidence, problem"
        " FROM orders WHERE ticket = ?1",
    /* A state is left by one of those that try. */
    [STORE_SQL_ORDER_MOVE] = "UPDATE orders SET state = ?3, problem = ?4,"
                             " evidence = coalesce(?5, evidence)"
                             " WHERE ticket = ?1 AND state = ?2",
    [STORE_SQL_ORDER_CERTIFICATE] = "UPDATE orders SET leaf = ?2, renewal = ?3, recorded = ?4,"
                                    " expires = max(expires, ?5), evidence = NULL"
                                    " WHERE ticket = ?1",
    [STORE_SQL_ORDER_RECORDED] = "UPDATE orders SET recorded = 1 WHERE ticket = ?1",
    [STORE_SQL_ORDERS_UNRECORDED] = "SELECT ticket FROM orders WHERE recorded = 0 AND ticket > ?1"
                                    " ORDER BY ticket LIMIT ?2",
    [STORE_SQL_ORDER_BY_LEAF] = "SELECT ticket FROM orders WHERE leaf = ?1",
    [STORE_SQL_ORDER_BY_RENEWAL] = "SELECT ticket FROM orders WHERE renewal = ?1",
    [STORE_SQL_ORDERS_OF] = "SELECT ticket FROM orders WHERE account = ?1 AND ticket > ?2"
                            " AND state <> ?4 ORDER BY ticket LIMIT ?3",
    [STORE_SQL_ORDERS_IN] = "SELECT ticket FROM orders WHERE state = ?1 AND ticket > ?2"
                            " ORDER BY ticket LIMIT ?3",
    [STORE_SQL_AUTHORIZATION_ADD] =
        "INSERT INTO authorizations(ticket, number, name, state, type, token, challenge,"
        " validated) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STORE_SQL_AUTHORIZATIONS] = "SELECT name, state, type, token, challenge, validated, problem"
                                 " FROM authorizations WHERE ticket = ?1 ORDER BY number",
    [STORE_SQL_AUTHORIZATION_SET] =
        "UPDATE authorizations SET state = ?3, challenge = ?4, validated = ?5, problem = ?6"
        " WHERE ticket = ?1 AND number = ?2 AND state = ?7 AND challenge = ?8",
    [STORE_SQL_AUTHORIZATIONS_IN] =
        "SELECT ticket, number FROM authorizations WHERE challenge = ?1 AND state = ?2"
        " AND (ticket, number) > (?4, ?5) ORDER BY ticket, number LIMIT ?3",
    [STORE_SQL_CHAIN_ADD] = "INSERT OR REPLACE INTO chains(ticket, number, pem)"
                            " VALUES(?1, ?2, ?3)",
    [STORE_SQL_CHAIN] = "SELECT pem FROM chains WHERE ticket = ?1 AND number = ?2",
    [STORE_SQL_CHAINS] = "SELECT count(*) FROM chains WHERE ticket = ?1",
    [STORE_SQL_EXPIRE] = "UPDATE orders SET state = ?1, problem = ?2"
                         " WHERE expires <= ?3 AND state IN (?4, ?5)",
    [STORE_SQL_FORGET] = "DELETE FROM orders WHERE expires <= ?1 AND state IN (?2, ?3)",
};
