/**
 * @file ec_key.h
 * @brief An EC private key from a PEM file, in the forms that Cryptoki wants.
 */
#ifndef FIXTURE_EC_KEY_H
#define FIXTURE_EC_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"

/** Room for the largest form: P-521's uncompressed point in an OCTET STRING. */
enum { FIXTURE_EC_MAX = 160 };

/** An EC key. Release: fixture_ec_key_release. */
struct fixture_ec_key {
    aw_secret *value;               /**< private value, big-endian, as long as the field */
    uint8_t params[FIXTURE_EC_MAX]; /**< DER of the curve's OID (CKA_EC_PARAMS) */
    size_t params_size;
    uint8_t point[FIXTURE_EC_MAX]; /**< DER OCTET STRING of the uncompressed point (CKA_EC_POINT) */
    size_t point_size;
};

/** Reads a private key in PEM form; AW_CODE_UNSUPPORTED unless it is EC on a named curve. */
AW_MUST_USE aw_result fixture_ec_key_read(const char *path, struct fixture_ec_key *out);

/** Wipes and releases what the key holds. */
void fixture_ec_key_release(struct fixture_ec_key *key);

#endif
