/**
 * @file hasher.h
 * @brief SHA-256 of a line of the log, newline included, as lower-case hex; and of other octets.
 *
 * The algorithm is fetched once and its context used again: this runs under the log's lock.
 * Private to audit/. One thread at a time.
 */
#ifndef AW_AUDIT_HASHER_H
#define AW_AUDIT_HASHER_H

#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/hex.h"
#include "common/result.h"

/** What stands for the record before the first: 64 zeros. */
#define AUDIT_HEX_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

/** A hashing context. */
typedef struct audit_hasher audit_hasher;

/** Makes one. Release: audit_hasher_free. */
AW_MUST_USE aw_result audit_hasher_new(audit_hasher **out);

/** Releases and nulls; NULL is allowed. */
void audit_hasher_free(audit_hasher **hasher);

/** Digest of `length` octets of a line and of the newline that ends it (not counted in `length`).
 */
AW_MUST_USE aw_result audit_hasher_line(
    audit_hasher *hasher, const char *line, size_t length, char out[AW_DIGEST_HEX_SIZE]);

/** Octets that stand one behind the other in what is hashed. */
struct audit_part {
    const void *bytes;
    size_t size;
};

/** Digest of all parts. */
AW_MUST_USE aw_result audit_hasher_parts(audit_hasher *hasher, const struct audit_part *parts,
    size_t count, uint8_t out[AW_DIGEST_SIZE]);

#endif
