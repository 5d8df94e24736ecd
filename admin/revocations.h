/**
 * @file revocations.h
 * @brief Which certificates a revocation was signed for, and when: by the audit log.
 *
 * By an application or an officer, with the account's key. What the certificate's own key asked for
 * at the CA, without the signer, is not on record, and whether the CA did it only the CA knows.
 */
#ifndef AW_ADMIN_REVOCATIONS_H
#define AW_ADMIN_REVOCATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/hex.h"

/** One: the first of its certificate. */
struct revocation {
    char certificate[AW_DIGEST_HEX_SIZE]; /**< SHA-256 of the DER, hex */
    int64_t time;                         /**< of its record */
};

/** Sorted by certificate. Release: revocations_free. */
struct revocations {
    struct revocation *items;
    size_t count, room;
};

/** Reads the log once. */
AW_MUST_USE aw_result revocations_read(const struct audit_source *source, struct revocations *out);

/** When that of a certificate was signed for; 0: none was. NULL is a certificate without digest. */
int64_t revocations_find(const struct revocations *self, const char *certificate);

/** Releases and zeroes. */
void revocations_free(struct revocations *self);

#endif
