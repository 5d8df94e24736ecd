/**
 * @file config.h
 * @brief relay.yaml: where the signer is, what clients call us, where we listen, our certificate,
 * our limits.
 */
#ifndef AW_RELAY_CONFIG_H
#define AW_RELAY_CONFIG_H

#include <stdint.h>
#include <sys/types.h>

#include "client/signer_link.h"
#include "common/config.h"
#include "common/result.h"
#include "common/yaml.h"

/** Where relay.yaml is when nothing else is said. */
#define RELAY_CONFIG_PATH "/etc/acmeward/relay.yaml"

/** Octets of `url`. */
enum { RELAY_URL_MAX = 200 };

/** Settings; strings are never NULL but where said. */
struct relay_config {
    char *file;
    char *signer;          /**< socket or ssh://...; default /run/acmeward/signer.sock */
    char *signer_user;     /**< the user that the signer runs as; default acmeward */
    uid_t signer_uid;      /**< of signer_user; 0 (root only) when the default is no user here */
    char *ssh_config;      /**< for ssh -F; NULL: the user's */
    char *url;             /**< base of all URLs, as signer.yaml has it; no "/" at its end */
    const char *base_path; /**< what `url` has after its authority: "" or "/prefix"; into it */
    struct aw_yaml_strings listen; /**< "[address]:port", "address:port" */
    struct {
        char *certificate;   /**< PEM, the whole chain */
        char *key;           /**< PEM, or the URI of a key in a token */
        char *pkcs11_module; /**< of the token; NULL: those that p11-kit is configured for */
        char *key_pin_file;  /**< of the token, where the URI has no pin-source; NULL: none */
        struct aw_yaml_strings key_paths; /**< files and folders that the module reads and writes */
        char *client_ca; /**< PEM of what client certificates must chain to; NULL: none asked for
                          */
    } tls;
    char *state;                     /**< folder of the store; default /var/lib/acmeward-relay */
    char *terms_of_service;          /**< URL for the directory; NULL: none */
    char *website;                   /**< likewise */
    struct aw_yaml_strings profiles; /**< of the CA's, told in the directory */
    char *ca_file;                   /**< roots of a private CA upstream; NULL: the system's */
    char *proxy;                     /**< as curl's; NULL: the environment's */
    struct {
        int64_t connections;             /**< in all */
        int64_t connections_per_address; /**< of an IPv4 address or an IPv6 /64 */
        int64_t workers;                 /**< threads that answer */
        int64_t queue;                   /**< requests that wait for a worker */
        int64_t orders;                  /**< orders that are gone on with at once */
        int64_t handshake_seconds;       /**< for TLS's handshake */
        int64_t request_seconds;         /**< from a request's first octet to its last */
        int64_t response_seconds;        /**< for taking a response */
        int64_t idle_seconds;            /**< between requests */
    } limits;
    struct {
        char *rfc2136_credentials;   /**< file, as --dns-rfc2136-credentials; NULL: none */
        int64_t propagation_seconds; /**< wait for the zone's servers */
        char *auth_hook;             /**< shell command, as --manual-auth-hook; NULL: none */
        char *cleanup_hook;          /**< likewise */
    } dns;                           /**< how challenges of the CA are met: dns-01 */
    struct {
        char *resolver;                  /**< host of a resolver; NULL: the system's */
        int64_t resolver_port;           /**< default 53 */
        struct aw_yaml_strings networks; /**< that may be connected to; none: nothing may */
        int64_t http_port;               /**< default 80 (RFC 8555 8.3) */
        int64_t tls_port;                /**< default 443 (RFC 8737 3) */
    } validation;                        /**< of clients' names, where a policy asks for it */
    struct aw_config_sandbox sandbox;
};

/**
 * Reads and checks the file; every fault is collected. It must belong to root or this user, and be
 * writable for nobody else. Release: relay_config_free.
 * @return AW_CODE_CONFIG when there are faults (*out is NULL then)
 */
AW_MUST_USE aw_result relay_config_load(
    const char *path, struct aw_faults *faults, struct relay_config **out);

/** Where the signer is; borrows from the settings. */
struct signer_place relay_config_signer(const struct relay_config *config);

/** Releases and nulls; NULL is allowed. */
void relay_config_free(struct relay_config **config);

#endif
