/**
 * @file foreign_key.h
 * @brief The account key of another client, in its file: read once, used to retire it, destroyed.
 */
#ifndef AW_ADMIN_FOREIGN_KEY_H
#define AW_ADMIN_FOREIGN_KEY_H

#include <openssl/types.h>

#include "common/result.h"

/**
 * Reads a private key: a JWK (certbot's private_key.json) or PEM (lego, uacme, acme.sh), RSA or EC.
 * @param[out] kind "JWK" or "PEM"
 */
AW_MUST_USE aw_result admin_foreign_key_read(const char *path, EVP_PKEY **out, const char **kind);

/**
 * Looks for an EAB HMAC key that acme.sh leaves in ca.conf, beside the account's key.
 * @param[out] out the file's path, allocated; NULL: there is none
 */
AW_MUST_USE aw_result admin_foreign_eab_find(const char *key_file, char **out);

/**
 * Overwrites the file's content, durably, and removes it, whatever its mode lets its owner do. A
 * symbolic link is refused.
 */
AW_MUST_USE aw_result admin_foreign_key_destroy(const char *path);

#endif
