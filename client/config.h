/**
 * @file config.h
 * @brief client.yaml: where the signer is, whom to trust as it, how CAs are reached, where
 * certificates go. A file that is not there means defaults, unless it was named.
 */
#ifndef AW_CLIENT_CONFIG_H
#define AW_CLIENT_CONFIG_H

#include <stdint.h>
#include <sys/types.h>

#include "client/signer_link.h"
#include "common/result.h"
#include "common/yaml.h"

/** Where client.yaml is when nothing else is said. */
#define CLIENT_CONFIG_PATH "/etc/acmeward/client.yaml"

/** Settings; strings are never NULL but where said. */
struct client_config {
    char *file;         /**< what was read; NULL: there was none */
    char *signer;       /**< socket or ssh://...; default /run/acmeward/signer.sock */
    char *ssh_config;   /**< for ssh -F; NULL: the user's */
    char *signer_user;  /**< the user that the signer runs as; default acmeward */
    uid_t signer_uid;   /**< of signer_user; 0 (root only) when the default is no user here */
    char *certificates; /**< root of archive/ and live/; default /etc/acmeward */
    char *ca_file;      /**< roots of a private CA; NULL: the system's */
    char *proxy;        /**< as curl's; NULL: the environment's */
    char *application;  /**< NULL: the only one */
    char *dry_run_application; /**< whose account --dry-run orders with; NULL: it orders nothing */
    char *dry_run_ca_file;     /**< roots of that one's CA; NULL: those of ca_file */
    int key_type;              /**< index in chain_key_types; default ec-p256 */
    char *pkcs11_module;       /**< library for --key-uri; NULL: p11-kit's configuration */
    char *key_pin_file;        /**< where a key's URI has no pin-source; NULL: none */
    int64_t http_01_port;      /**< default 80 */
    char *http_01_address;     /**< NULL: any */
    int64_t tls_alpn_01_port;  /**< default 443 */
    char *tls_alpn_01_address; /**< NULL: any */
};

/**
 * Reads and checks the file; every fault is collected. It must belong to root or this user, and be
 * writable for nobody else. Release: client_config_free.
 * @param path NULL: CLIENT_CONFIG_PATH, which may be missing
 * @return AW_CODE_CONFIG when there are faults (*out is NULL then)
 */
AW_MUST_USE aw_result client_config_load(
    const char *path, struct aw_faults *faults, struct client_config **out);

/** Where the signer is; borrows from the settings. */
struct signer_place client_config_signer(const struct client_config *config);

/** Releases and nulls; NULL is allowed. */
void client_config_free(struct client_config **config);

/** Replaces a string of the settings when `value` is not NULL. */
AW_MUST_USE aw_result client_config_replace(char **slot, const char *value);

#endif
