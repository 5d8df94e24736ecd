/**
 * @file report_clients.h
 * @brief What a report takes from the audit log about clients of relays: app-EABs and accounts.
 *
 * Whoever has an account with a relay can have certificates for its application, as a principal on
 * the host can. The table grows with accounts, not with the log.
 */
#ifndef AW_ADMIN_REPORT_CLIENTS_H
#define AW_ADMIN_REPORT_CLIENTS_H

#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/result.h"

/** A credential. */
struct report_app_eab {
    char *kid, *application, *made_by;
    int64_t created, expires, revoked; /**< Unix seconds; expires and revoked 0: not */
    int64_t accounts;                  /**< that were made with it */
    bool once;
};

/** An account with a relay. */
struct report_client {
    int64_t id;
    char *application, *kid;
    char *jwk;                         /**< of its present key */
    int64_t created, last_used, ended; /**< Unix seconds; ended 0: it is in use */
};

/** Both, in the order of their records. Zero-initialise; release: report_clients_free. */
struct report_clients {
    struct report_app_eab *app_eabs;
    size_t app_eab_count, app_eab_room;
    struct report_client *clients;
    size_t client_count, client_room;
};

/** Takes a record in, which was not refused; others than these change nothing. */
AW_MUST_USE aw_result report_clients_take(
    struct report_clients *clients, const struct audit_record *record);

/** "usable", "revoked", "expired" or "used". */
const char *report_app_eab_state(const struct report_app_eab *app_eab, int64_t now);

/** RFC 7638 thumbprint of the present key, base64url. Allocated. */
AW_MUST_USE aw_result report_client_thumbprint(const struct report_client *client, char **out);

/** Releases and zeroes. */
void report_clients_free(struct report_clients *clients);

#endif
