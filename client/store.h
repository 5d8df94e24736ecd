/**
 * @file store.h
 * @brief Certificates on disk in certbot's layout: archive/NAME/cert1.pem ... and live/NAME links.
 *
 * A new version is written whole and synced under archive/NAME first, then the four links of
 * live/NAME are renamed into place, privkey last to change nothing half way: a crash at any point
 * leaves the old or the new version, and the next run mends the links. Modes: privkey 0600, others
 * 0644, folders 0755, archive and live 0700.
 */
#ifndef AW_CLIENT_STORE_H
#define AW_CLIENT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "common/secret.h"

/** Characters of a certificate's name: letters, digits, "_", "-", ".", "*" never; no leading dot.
 */
enum { STORE_NAME_MAX = 200 };

/** What is stored of one version. */
struct store_version {
    const char *cert;      /**< PEM of the leaf */
    const char *chain;     /**< PEM of what is above it */
    const char *fullchain; /**< both */
    const aw_secret *key;  /**< PEM, PKCS#8 */
};

/** Refuses a name that can't be a folder's (AW_CODE_USAGE). */
AW_MUST_USE aw_result store_name_check(const char *name);

/**
 * Writes a new version of certificate `name` under `root` (for example /etc/acmeward).
 * @param[out] version its number
 */
AW_MUST_USE aw_result store_write(
    const char *root, const char *name, const struct store_version *content, unsigned *version);

/** One stored certificate, as `certificates` shows it. */
struct store_entry {
    char *name;
    char *live; /**< path of live/NAME */
    unsigned version;
    char **names; /**< of the leaf's SAN */
    size_t name_count;
    char *serial;
    char *issuer;
    char *key_type;
    int64_t not_before, not_after;
    char *fault; /**< what is wrong with it (key does not match, unreadable ...); NULL: nothing */
};

/** Called for each certificate in order of names. */
typedef aw_result (*store_visit)(const struct store_entry *entry, void *context);

/** Visits all stored certificates; a damaged one is visited with its fault. */
AW_MUST_USE aw_result store_list(const char *root, store_visit visit, void *context);

#endif
