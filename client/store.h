/**
 * @file store.h
 * @brief Certificates on disk in certbot's layout: archive/NAME/cert1.pem ... and live/NAME links.
 *
 * A new version is written whole and synced under archive/NAME first (the key last, since it makes
 * the version count; what is synced when is in store_step), then new links
 * are made beside the four of live/NAME, and only then renamed into place, one after the other: a
 * crash before that leaves the old version, and the next run mends links that point at two. Modes:
 * privkey 0600, others 0644, folders 0755, archive and live 0700. store.c writes, store_mend.c
 * repairs, store_list.c reads.
 */
#ifndef AW_CLIENT_STORE_H
#define AW_CLIENT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "common/secret.h"

/** Characters of a certificate's name: letters, digits, "_", "-", "."; no leading dot. */
enum { STORE_NAME_MAX = 200 };

/** What is stored of one version. */
struct store_version {
    const char *cert;      /**< PEM of the leaf */
    const char *chain;     /**< PEM of what is above it */
    const char *fullchain; /**< both */
    const aw_secret *key;  /**< PEM: PKCS#8, or what stands for a key in a token */
    const char *key_file;  /**< below the root, durable, 0600, with that very text: a link to it is
                                made instead of another file, where that can be. NULL: none */
};

/** Refuses a name that can't be a folder's (AW_CODE_USAGE). */
AW_MUST_USE aw_result store_name_check(const char *name);

/** One certificate's place on disk, locked: one run at a time works on it. */
typedef struct store store;

/**
 * Makes the folders that are missing, locks the certificate, mends what a crash left behind. Open
 * it before anything is ordered: what would stop store_add is found here.
 * @param root for example /etc/acmeward; its parent must exist
 * @return AW_CODE_BUSY when another run works on this certificate; AW_CODE_CORRUPT when live/NAME
 *         holds what no run of ours wrote; AW_CODE_PERMISSION. Release: store_close.
 */
AW_MUST_USE aw_result store_open(const char *root, const char *name, store **out);

/** Adds a version and makes it the live one. @param[out] version its number */
AW_MUST_USE aw_result store_add(store *s, const struct store_version *content, unsigned *version);

/**
 * Removes the certificate: links, versions, keys, and the folders where nothing else is in them.
 * The store is to be closed then.
 */
AW_MUST_USE aw_result store_remove(store *s);

/** The folder with the links, live/NAME. */
const char *store_live(const store *s);

/** Unlocks, releases, nulls; NULL is allowed. Folders that stayed empty are removed. */
void store_close(store **s);

/** store_open, store_add and store_close. */
AW_MUST_USE aw_result store_write(
    const char *root, const char *name, const struct store_version *content, unsigned *version);

/** One stored certificate, as `certificates` shows it. */
struct store_entry {
    char *name;
    char *live;       /**< path of live/NAME */
    unsigned version; /**< 0: not known */
    char **names;     /**< of the leaf's SAN, sorted */
    size_t name_count;
    char *serial;   /**< hex; NULL: not known, as all that follow but `fault` */
    char *issuer;   /**< RFC 2253 text */
    char *key_type; /**< as chain_key_types, or "other" */
    char *key_uri;  /**< of a key in a token (hostkey/host_key.h); NULL: it is a file */
    int64_t not_before, not_after;
    char *fault; /**< what is wrong with it (key does not match, unreadable ...); NULL: nothing */
};

/** Reads one; AW_CODE_NOT_FOUND when there is no live/NAME. Release: store_entry_free. */
AW_MUST_USE aw_result store_read(const char *root, const char *name, struct store_entry *out);

/** Releases and zeroes. */
void store_entry_free(struct store_entry *entry);

/** Called for each certificate in order of names. */
typedef aw_result (*store_visit)(const struct store_entry *entry, void *context);

/** Visits all stored certificates; a damaged one is visited with its fault. */
AW_MUST_USE aw_result store_list(const char *root, store_visit visit, void *context);

#endif
