/**
 * @file config.h
 * @brief signer.yaml: token, CAs, accounts, administrators, paths; read by the signer and by
 * acmeward-admin, which checks policies without a daemon.
 */
#ifndef AW_COMMON_CONFIG_H
#define AW_COMMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "common/ca_preset.h"
#include "common/names.h"
#include "common/result.h"
#include "common/yaml.h"

/** Where signer.yaml is when nothing else is said. */
#define AW_CONFIG_PATH "/etc/acmeward/signer.yaml"

/** Limits. */
enum {
    AW_CONFIG_LABEL_MAX = 64,      /**< octets of a CA's, account's or key's name: a-z 0-9 _ . - */
    AW_CONFIG_ORIGIN_MAX = 128,    /**< octets of an audit log's origin */
    AW_CONFIG_RELAY_URL_MAX = 256, /**< octets of a relay's base URL */
};

/** Where records go besides the log; names in aw_config_forward_names. */
enum aw_config_forward { AW_FORWARD_NONE, AW_FORWARD_JOURNAL, AW_FORWARD_SYSLOG };

/** Ended by NULL. */
extern const char *const aw_config_forward_names[];

/** A CA. */
struct aw_config_ca {
    char *name;
    char *directory;    /**< directory URL, https; its preset's unless another is given */
    char *ca_file;      /**< roots for a private CA, for acmeward-admin; NULL: the system's */
    char *issuers;      /**< PEM of what its certificates must chain to; NULL: none pinned */
    int preset;         /**< index in aw_ca_presets; -1: none */
    int eab;            /**< enum aw_ca_eab */
    int key_change;     /**< enum aw_ca_key_change */
    int validation;     /**< enum aw_ca_validation */
    int scope;          /**< enum aw_ca_scope */
    aw_yaml_node place; /**< line and column only: the document is gone */
};

/** An account. */
struct aw_config_account {
    char *name;
    char *ca;
    int key;                /**< index in aw_config_key_names */
    int64_t orders_per_day; /**< the CA's limit for the account; 0: none known */
    struct aw_yaml_strings ceiling_texts;
    struct aw_name *ceiling; /**< domains that the account may ever order for */
    size_t ceiling_count;
    const char **networks; /**< entries of the ceiling that are addresses or networks, as written */
    size_t network_count;
    aw_yaml_node place; /**< line and column only: the document is gone */
};

/** A user or a group, by name. Exactly one of them is set. */
struct aw_config_principal {
    char *user;
    char *group;
};

/** Administrators of one role. */
struct aw_config_role {
    struct aw_config_principal *items;
    size_t count;
};

/** A relay: who it is on this host, and the base of the URLs that its clients sign for. */
struct aw_config_relay {
    struct aw_config_principal who;
    char *url;          /**< https, without a slash at the end */
    aw_yaml_node place; /**< of the URL; line and column only: the document is gone */
};

/** Sockets that the token's module makes, in the order of aw_config_network_names. */
enum aw_config_network {
    AW_NETWORK_NONE, /**< none */
    AW_NETWORK_UNIX, /**< to daemons on this machine: pcscd, a vendor's */
    AW_NETWORK_INET, /**< to other machines too */
};

/** Which of the kernel's protections are in force; both, unless the file says otherwise. */
struct aw_config_sandbox {
    bool seccomp;
    bool landlock;
    bool allow_root; /**< the signer may be root: `allow_root` of the file, not of its section */
};

/** The whole file. */
struct aw_config {
    char *file;
    struct {
        char *module;
        char *uri;
        char *pin_source;
        int64_t sessions;
        int64_t timeout_ms;
        struct aw_yaml_strings paths;   /**< files and folders that the module reads and writes */
        struct aw_yaml_strings devices; /**< devices that it uses */
        int network;                    /**< enum aw_config_network: sockets that it makes */
    } token;
    struct aw_config_sandbox sandbox;
    struct {
        char *state;
        char *policies;
        char *application_socket;
        char *admin_socket;
    } paths;
    char *openssl_properties;
    struct {
        char *key;    /**< name of the audit key; NULL: no checkpoints are made */
        char *origin; /**< identity of the log in its checkpoints */
        int64_t every_records;
        int64_t every_minutes;
        char *export;         /**< how checkpoints leave the host: "none", "journal" or a folder;
                                   NULL: there is no key */
        int forward;          /**< where records go besides: enum aw_config_forward */
        char *forward_socket; /**< of syslog */
        int64_t segment_mib;  /**< MiB after which a segment of the log is closed */
        aw_yaml_node place;   /**< of the key; line and column only: the document is gone */
    } audit;
    struct {
        char *file;      /**< where figures for Prometheus are written; NULL: nowhere */
        int64_t seconds; /**< from one to the next */
    } metrics;
    struct aw_config_ca *cas;
    size_t ca_count;
    struct aw_config_account *accounts;
    size_t account_count;
    struct aw_config_role officers;
    struct aw_config_role operators;
    struct aw_config_relay *relays; /**< in the order of the file; no two of one user or group */
    size_t relay_count;
};

/** Account key types, in the order of the token layer's enum; ended by NULL. */
extern const char *const aw_config_key_names[];

/** Names of enum aw_config_network; ended by NULL. */
extern const char *const aw_config_network_names[];

/**
 * Reads and checks the file; every fault is collected. Release: aw_config_free.
 * @return AW_CODE_CONFIG when there are faults (*out is NULL then)
 */
AW_MUST_USE aw_result aw_config_load(
    const char *path, struct aw_faults *faults, struct aw_config **out);

/**
 * The same for those who only look at policies, on machines without a signer: nothing but
 * `accounts` is required, of each its name and ceiling. What else is there is checked all the same.
 */
AW_MUST_USE aw_result aw_config_load_accounts(
    const char *path, struct aw_faults *faults, struct aw_config **out);

/** What is worth a warning in a file without faults. */
void aw_config_warn(const struct aw_config *config, struct aw_faults *warnings);

/** Releases and nulls; NULL is allowed. */
void aw_config_free(struct aw_config **config);

/** The CA of that name, or NULL. */
const struct aw_config_ca *aw_config_find_ca(const struct aw_config *config, const char *name);

/** The account of that name, or NULL. */
const struct aw_config_account *
aw_config_find_account(const struct aw_config *config, const char *name);

/** The folder that checkpoints are dropped into, or NULL. */
const char *aw_config_export_folder(const struct aw_config *config);

/** True for 1 to AW_CONFIG_LABEL_MAX octets of a-z 0-9 _ . - that begin with a letter or digit. */
bool aw_config_label_ok(const char *text);

#endif
