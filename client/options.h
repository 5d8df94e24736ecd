/**
 * @file options.h
 * @brief The command line, with certbot's names wherever the meaning is the same.
 *
 * options.c is the table; options_read.c reads by it. Options of certbot that can't mean the same
 * here are known too, so that they are answered with the reason. A secret typed on the command line
 * is overwritten before anything else happens, and never shown.
 */
#ifndef AW_CLIENT_OPTIONS_H
#define AW_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/names.h"
#include "common/result.h"

/** Names of a certificate. */
enum { OPTIONS_NAMES_MAX = 100 };

/** Commands that an option belongs to. */
enum {
    OPTIONS_CERTONLY = 1,
    OPTIONS_WHOAMI = 2,
    OPTIONS_CERTIFICATES = 4,
    OPTIONS_REVOKE = 8,
    OPTIONS_DELETE = 16,
    OPTIONS_RENEW = 32,
    OPTIONS_ORDERS = 64,
    OPTIONS_IMPORT = 128,
    OPTIONS_REPEATING = OPTIONS_RENEW | OPTIONS_ORDERS,
    OPTIONS_ORDERING = OPTIONS_CERTONLY | OPTIONS_RENEW,
    OPTIONS_DOCTOR = 1 << 14,
    OPTIONS_CONNECT = 1 << 15,
    OPTIONS_EXPORT = 512,
    OPTIONS_SIGNER = OPTIONS_ORDERING | OPTIONS_WHOAMI | OPTIONS_REVOKE | OPTIONS_ORDERS,
    OPTIONS_STORE = OPTIONS_ORDERING | OPTIONS_CERTIFICATES | OPTIONS_REVOKE | OPTIONS_DELETE |
                    OPTIONS_ORDERS | OPTIONS_IMPORT | OPTIONS_EXPORT,
    OPTIONS_CA = OPTIONS_ORDERING | OPTIONS_REVOKE | OPTIONS_ORDERS,
    OPTIONS_ALL = OPTIONS_STORE | OPTIONS_WHOAMI | OPTIONS_CONNECT | OPTIONS_DOCTOR,
};

/** A name with the web root that stood before it. */
struct options_name {
    struct aw_name name;
    const char *webroot; /**< NULL: none */
};

/** What was typed; strings are of argv, NULL when not given. Release: options_free. */
struct options {
    struct options_name *names; /**< in the order typed, without doubles */
    size_t name_count;
    const char *webroot_path; /**< the last one */
    const char *cert_name;
    const char *argument;  /**< without an option: import-certbot DIR, orders resume */
    const char *cert_path; /**< revoke, certonly --csr */
    const char *chain_path;
    const char *fullchain_path;
    const char *csr;
    const char *key_path; /**< revoke */
    const char *reason;   /**< revoke */
    const char *application;
    const char *key_uri;  /**< of a key in a token, RFC 7512; NULL: the key is a file */
    const char *key_type; /**< as chain_key_types; certbot's forms are translated */
    const char *elliptic_curve;
    const char *rsa_key_size;
    const char *authenticator;
    const char *preferred_challenges;
    const char *profile;           /**< or nothing is ordered */
    const char *preferred_profile; /**< where the CA has it */
    const char *preferred_chain;   /**< common name of an issuer */
    const char *ca_file;
    const char *proxy;
    const char *signer;
    const char *config;
    const char *config_dir;
    const char *server;
    const char *http_01_port;
    const char *http_01_address;
    const char *tls_alpn_01_port;
    const char *tls_alpn_01_address;
    const char *manual_auth_hook;
    const char *manual_cleanup_hook;
    const char *dns_rfc2136_credentials;
    const char *dns_rfc2136_seconds;
    const char *issuance_timeout;
    const char *export_format;
    const char *export_out;
    const char *passphrase_file;
    const char *passphrase_fd;
    const char *pkcs12_algorithms;
    const char *group; /**< export */
    bool delete_after_revoke;
    bool no_delete_after_revoke;
    bool webroot;
    bool standalone;
    bool manual;
    bool dns_rfc2136;
    bool check;
    const char *jobs; /**< renew: orders at a time */
    const char *pre_hook;
    const char *post_hook;
    const char *deploy_hook;
    bool dry_run;
    bool no_random_sleep;
    bool disable_hook_validation;
    bool reuse_key;
    bool new_key; /**< not that key, this once */
    bool must_staple;
    bool force_renewal;
    bool expand;
    bool renew_with_new_names;
    bool keep; /**< certbot's --keep-until-expiring: what happens anyway */
    bool json;
    bool quiet;
    bool verbose;
    bool non_interactive;
    bool account; /**< --agree-tos, --email and their like were given */
    bool help;
};

/** How the value of an option is taken. */
enum options_kind {
    OPTIONS_FLAG,    /**< sets a bool */
    OPTIONS_TEXT,    /**< sets a const char * */
    OPTIONS_DOMAIN,  /**< adds names */
    OPTIONS_NOTED,   /**< sets a bool, its value is not used */
    OPTIONS_REFUSED, /**< fails with `help` as the hint */
};

/** One row of the table. */
struct options_row {
    const char *name;  /**< without dashes */
    const char *value; /**< what to call its value; NULL: it has none */
    const char *help;  /**< NULL: another spelling, not shown */
    size_t offset;     /**< in struct options */
    unsigned commands; /**< OPTIONS_... */
    enum options_kind kind;
    char letter; /**< 0: none */
};

/** The table, ended by a row whose name is NULL. */
extern const struct options_row options_table[];

/**
 * Overwrites with "x" whatever looks like the value of --eab-hmac-key or another HMAC option: other
 * users can read it as long as it stands there. To be called first of all.
 * @return true when there was such an option: then nothing else is done, but options_refuse_secret
 */
bool options_wipe_secrets(int argc, char **argv);

/** Fails with what is to be known about an EAB key on the command line. */
AW_MUST_USE aw_result options_refuse_secret(void);

/**
 * Reads the command line behind the command. AW_CODE_USAGE.
 * @param argv argv[0] is the command's name
 */
AW_MUST_USE aw_result options_read(int argc, char **argv, unsigned command, struct options *out);

/** Adds names, with commas between, for the web root given last. AW_CODE_USAGE. */
AW_MUST_USE aw_result options_add_names(struct options *out, const char *text);

/** Checks what excludes each other and translates certbot's forms, once all is set. AW_CODE_USAGE.
 */
AW_MUST_USE aw_result options_settle(struct options *out);

/** Releases and zeroes. */
void options_free(struct options *options);

/** Writes the options of a command. */
void options_print_help(unsigned command, FILE *stream);

#endif
