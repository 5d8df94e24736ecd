/**
 * @file foreign_key.h
 * @brief The account key of another client, in its file: read once, used to retire it, destroyed.
 */
#ifndef AW_ADMIN_FOREIGN_KEY_H
#define AW_ADMIN_FOREIGN_KEY_H

#include <sys/stat.h>

#include <openssl/types.h>

#include "common/result.h"

/** The file of a key that was read. Begin with fd -1. Release: admin_foreign_file_close. */
struct admin_foreign_file {
    int fd;           /**< open, so that no other file gets its number */
    struct stat read; /**< before it was read */
};

/** Closes it. */
void admin_foreign_file_close(struct admin_foreign_file *file);

/**
 * Reads a private key: a JWK (certbot's private_key.json) or PEM (lego, uacme, acme.sh), RSA or EC.
 * @param[out] file for admin_foreign_key_destroy
 * @param[out] kind "JWK" or "PEM"
 */
AW_MUST_USE aw_result admin_foreign_key_read(
    const char *path, struct admin_foreign_file *file, EVP_PKEY **out, const char **kind);

/**
 * Looks for an EAB HMAC key that acme.sh leaves in ca.conf, beside the account's key.
 * @param[out] out the file's path, allocated; NULL: there is none
 */
AW_MUST_USE aw_result admin_foreign_eab_find(const char *key_file, char **out);

/**
 * Overwrites the file's content, durably, and removes it, whatever its mode lets its owner do. A
 * symbolic link is refused, and so is a file that is not the one that was read, or was written
 * since: it may hold a key that is worth something.
 * @return AW_CODE_MISMATCH when it is not that file
 */
AW_MUST_USE aw_result admin_foreign_key_destroy(
    const char *path, const struct admin_foreign_file *file);

#endif
