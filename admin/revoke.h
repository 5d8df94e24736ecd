/**
 * @file revoke.h
 * @brief `acmeward-admin revoke`: which certificates, and where they can be had from.
 *
 * The inventory (audit log) has digests and serial numbers; revokeCert wants the certificate itself
 * (RFC 8555 7.6), which is fetched from the URLs that applications named.
 */
#ifndef AW_ADMIN_REVOKE_H
#define AW_ADMIN_REVOKE_H

#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/result.h"

/** Limits. */
enum {
    REVOKE_MAX = 100000,     /**< certificates of one run */
    REVOKE_URLS_MAX = 10,    /**< URLs of one order's certificate, alternates included */
    REVOKE_SERIAL_SIZE = 64, /**< hex digits of a serial number, with NUL */
};

/** What is looked for; exactly one member is set. */
struct revoke_wanted {
    const char *digest;      /**< SHA-256 of the certificate, hex */
    const char *serial;      /**< hex, as people write it */
    const char *application; /**< all of it */
};

/** One certificate. */
struct revoke_item {
    char *application, *account, *serial, *digest;
    char *names; /**< for a person */
    int64_t order, not_after;
    int64_t signed_for; /**< record of a revocation that was signed before; 0: none */
    char *urls[REVOKE_URLS_MAX];
    size_t url_count;
    uint8_t *der; /**< NULL: to be fetched */
    size_t size;
};

/** Certificates, each once, by order. */
struct revoke_list {
    struct revoke_item *items;
    size_t count;
};

/** Finds those that are wanted and not expired in the log; source->absent is told once of what is
 * passed over. Release: revoke_list_free. */
AW_MUST_USE aw_result revoke_find(
    const struct audit_source *source, const struct revoke_wanted *wanted, struct revoke_list *out);

/** Releases and zeroes. */
void revoke_list_free(struct revoke_list *list);

#endif
