/**
 * @file policy.h
 * @brief The policy: files to an immutable snapshot; decide and explain.
 *
 * policy_decide is pure: the same snapshot, subject, request and time give the same verdict with
 * the rule that decided. Default is deny. It costs O(labels) per name, whatever the number of
 * names and applications (names are hashed by suffix). Snapshots are immutable and shared by
 * reference count.
 */
#ifndef AW_POLICY_POLICY_H
#define AW_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/names.h"
#include "common/result.h"
#include "common/yaml.h"

/** Limits. */
enum {
    POLICY_LABEL_MAX = 64, /**< octets of an application's or account's name: [a-z0-9_.-] */
    POLICY_APPLICATIONS_MAX = 20000,
    POLICY_ACCOUNTS_MAX = 20000,
    POLICY_NAMES_MAX = 2000000,     /**< name rules in all */
    POLICY_REQUEST_NAMES_MAX = 100, /**< names of one request */
    POLICY_SUBJECT_GROUPS_MAX = 1024,
};

/** Operations a policy speaks of. */
enum policy_operation {
    POLICY_ORDER, /**< new-order, finalize, post-as-get, answer-challenge, record-certificate */
    POLICY_REVOKE,
};

/** Key types of certificates, as in `keys:`. */
#define POLICY_KEYS(X)      \
    X(EC_P256, "ec-p256")   \
    X(EC_P384, "ec-p384")   \
    X(RSA_2048, "rsa-2048") \
    X(RSA_3072, "rsa-3072") \
    X(RSA_4096, "rsa-4096")

/** Key types. */
enum policy_key {
#define POLICY_KEY_ENUM(name, text) POLICY_KEY_##name,
    POLICY_KEYS(POLICY_KEY_ENUM)
#undef POLICY_KEY_ENUM
        POLICY_KEY_COUNT
};

/** "ec-p256" and so on. */
const char *policy_key_name(enum policy_key key);

/**
 * Every rule that can decide, once: stable tag (in records, errors and tests), meaning. A verdict
 * names exactly one.
 */
#define POLICY_RULES(X)                                                                          \
    X(NAMES_EXACT, "names.exact", "the name itself is listed")                                   \
    X(NAMES_SUBDOMAINS, "names.subdomains_of", "the name is below a listed one")                 \
    X(NAMES_WILDCARDS, "names.wildcards_of", "the wildcard directly below a listed name")        \
    X(NAMES_ADDRESSES, "names.addresses", "the address is in a listed network")                  \
    X(NAMES_NONE, "names.none", "no rule of the application covers the name")                    \
    X(NAMES_DENY, "names.deny", "the name is denied, or below a denied one")                     \
    X(NAMES_WILDCARD_COVERS_DENIED, "names.wildcard-covers-denied",                              \
        "the wildcard would stand for a denied name")                                            \
    X(NAMES_WILDCARD_COVERS_OTHER, "names.wildcard-covers-other",                                \
        "the wildcard would stand for a name of an application that is not in shares_with")      \
    X(NAMES_SUBDOMAIN_OF_OTHER, "names.held-by-other",                                           \
        "the name is listed by an application that is not in shares_with")                       \
    X(ACCOUNT_CEILING, "account.ceiling", "the name is outside what the account may ever order") \
    X(APPLICATION_NONE, "application.none", "no application matches the subject")                \
    X(APPLICATION_UNKNOWN, "application.unknown",                                                \
        "the named application is not one of the subject's")                                     \
    X(APPLICATION_AMBIGUOUS, "application.ambiguous", "several applications match: name one")    \
    X(APPLICATION_EXPIRED, "application.expired", "the policy's expiry has passed")              \
    X(APPLICATION_INERT, "application.inert", "a user or group of the policy does not exist")    \
    X(OPERATION, "operations", "the operation is not among the application's")                   \
    X(KEYS, "keys", "the key type is not among the application's")                               \
    X(LIMIT_NAMES, "limits.names_per_certificate", "more names than one certificate may have")   \
    X(PROFILE, "profiles", "the ACME profile is not among the application's")                    \
    X(VALIDITY, "validity", "notBefore or notAfter may not be asked for")                        \
    X(RELAY, "relay", "the application may be used through a relay, or may not")                 \
    X(RELAY_NETWORKS, "relay.networks", "the relay's client is in none of the networks")         \
    X(RELAY_CERTIFICATES, "relay.client_certificates",                                           \
        "the relay's client has none of the TLS certificates")                                   \
    X(RELAY_VALIDATION, "relay.validation", "the relay has not validated the names so")          \
    X(OPERATIONS_ONLY, "operation", "no names are involved: the operation alone was decided")    \
    X(WARN_UNTIL, "warn_until", "would be refused; let through and recorded until that day")

/** Rules. */
enum policy_rule {
#define POLICY_RULE_ENUM(name, tag, meaning) POLICY_RULE_##name,
    POLICY_RULES(POLICY_RULE_ENUM)
#undef POLICY_RULE_ENUM
        POLICY_RULE_COUNT
};

/** "order", "revoke". */
const char *policy_operation_name(enum policy_operation operation);

/** Stable tag of a rule. */
const char *policy_rule_tag(enum policy_rule rule);

/** Meaning of a rule in words. */
const char *policy_rule_meaning(enum policy_rule rule);

/** A network of addresses. */
struct policy_network {
    uint8_t size;        /**< 4 or 16 octets */
    uint8_t prefix;      /**< leading bits that count */
    uint8_t address[16]; /**< network byte order; the bits behind the prefix are zero */
};

/**
 * Parses "192.0.2.16/28", "2001:db8::/32" or a single address. Refused (AW_CODE_SYNTAX): an address
 * that is not in canonical form, bits set behind the prefix, a prefix shorter than 8 (IPv4) or 16
 * (IPv6).
 */
AW_MUST_USE aw_result policy_network_parse(
    const char *text, size_t length, struct policy_network *out);

/** Octets of a network's text with its NUL. */
enum { POLICY_NETWORK_TEXT_SIZE = 64 };

/** Canonical text; a single address is written without a prefix. */
void policy_network_text(const struct policy_network *network, char out[POLICY_NETWORK_TEXT_SIZE]);

/** One account, as policies must know it (from the signer's configuration). */
struct policy_account {
    const char *name;
    const struct aw_name *ceiling; /**< host names and all below them, or single addresses; none:
                                        nothing may be ordered */
    size_t ceiling_count;
    int64_t orders_per_day;                /**< 0: no limit of the account is known */
    const struct policy_network *networks; /**< addresses that may be ordered (RFC 8738) */
    size_t network_count;
};

/** Looks a user or group up: the signer's asks the system, tests a table. `found` is false where
 * there is none; a failure means that it could not be looked up, and whoever asked then fails too:
 * nobody loses or gets rights by it. */
struct policy_resolver {
    aw_result (*user)(const char *name, bool *found, uid_t *uid, void *context);
    aw_result (*group)(const char *name, bool *found, gid_t *gid, void *context);
    void *context;
};

/** An immutable, compiled policy. */
typedef struct policy_snapshot policy_snapshot;

/** Where a policy comes from. */
struct policy_source {
    const char *folder;
    const struct policy_account *accounts; /**< copied */
    size_t account_count;
    const struct policy_resolver *resolver;
};

/**
 * Loads every *.yaml file of a folder (hidden files and others are skipped; a *.yaml that is not a
 * regular file is a fault), compiles them. All faults of all files are collected, with line and
 * column: syntax, meaning (public suffix or single label in subdomains_of or wildcards_of, unknown
 * account, two applications of one name, an uid 65534 principal, `shares_with` of an unknown
 * application, sum of guaranteed shares over an account's limit, warn_until after expires ...).
 * Unknown users and groups are no faults: they make the application inert and are warned of. One
 * that can't be looked up fails the load.
 * An empty folder is a valid policy that allows nothing. The folder and its files may be writable
 * by their owner only, who is root or the user of this process.
 * @param[out] warnings unknown users, overlaps, what can never be issued; may be NULL
 * @param[out] out untouched unless AW_OK; release: policy_release
 * @return AW_CODE_CONFIG with faults; AW_CODE_NOT_FOUND or AW_CODE_PERMISSION for the folder
 * itself, AW_CODE_LIMIT, AW_CODE_MEMORY, and what the resolver fails with
 */
AW_MUST_USE aw_result policy_load(const struct policy_source *source, struct aw_faults *faults,
    struct aw_faults *warnings, policy_snapshot **out);

/** The same for a working copy, whose files may be anybody's and writable for anybody: nothing is
 * signed by it (tests and comparisons of policies). */
AW_MUST_USE aw_result policy_load_working_copy(const struct policy_source *source,
    struct aw_faults *faults, struct aw_faults *warnings, policy_snapshot **out);

/** A file that is not in the folder yet. */
struct policy_addition {
    const char *path; /**< where it will be; for faults */
    const char *text;
    size_t size;
    bool working_copy; /**< the folder is one, as for policy_load_working_copy */
};

/** Loads a folder as if that file were in it: what is about to be written is checked with all
 * that is there. Fails as policy_load. */
AW_MUST_USE aw_result policy_load_addition(const struct policy_source *source,
    const struct policy_addition *addition, struct aw_faults *faults, struct aw_faults *warnings,
    policy_snapshot **out);

/** One more reference; thread-safe. */
policy_snapshot *policy_retain(policy_snapshot *snapshot);

/** One reference less; nulls; NULL is allowed. */
void policy_release(policy_snapshot **snapshot);

/** SHA-256 over the canonical content of all files and accounts, hex (64 characters). */
const char *policy_digest(const policy_snapshot *snapshot);

/** Numbers for `status`. */
struct policy_counts {
    size_t applications;
    size_t inert;
    size_t names;
};

/** Counts. */
void policy_count(const policy_snapshot *snapshot, struct policy_counts *out);

/** Who asks: peer identity as the kernel gave it. */
struct policy_subject {
    uid_t uid;
    const gid_t *groups; /**< primary and supplementary groups (SO_PEERCRED, SO_PEERGROUPS) */
    size_t group_count;
};

/** Proofs that a relay asks for inside the network, in the order of policy_validation_names. */
enum policy_validation {
    POLICY_VALIDATION_NONE,
    POLICY_VALIDATION_HTTP_01,
    POLICY_VALIDATION_DNS_01,
    POLICY_VALIDATION_TLS_ALPN_01,
};

/** "none", "http-01", "dns-01", "tls-alpn-01"; ended by NULL. */
extern const char *const policy_validation_names[];

/**
 * The section `relay`: whether what inner clients signed counts for the application. The conditions
 * rest on the relay's word, so they are in addition to that, never instead.
 */
struct policy_relay {
    bool allowed;
    const char *const *networks; /**< canonical; none: any */
    size_t network_count;
    const char *const *client_certificates; /**< SHA-256 of the DER, hex; none: any, and none */
    size_t certificate_count;
    enum policy_validation validation;
};

/** One application as its policy says; strings live as long as the snapshot. */
struct policy_application {
    const char *name;
    const char *owner;
    const char *account;
    const char *file;
    const char *principals; /**< as written, one a line: "user alice", "gid 2001"; empty: it is
                                 used through a relay only */
    bool inert;
    const char *missing; /**< of an inert one: the first that does not exist, "user alice" */
    int64_t expires;     /**< Unix time from which it is no longer valid; 0: never */
    int64_t warn_until;  /**< Unix time; 0: none */
    int64_t names_per_certificate;
    int64_t orders_per_day;
    int64_t revocations_per_day; /**< as many as orders_per_day where the file does not say */
    bool can_order;
    bool can_revoke;
    uint32_t keys;            /**< bit per enum policy_key */
    const char *const *exact; /**< canonical names for display, count below */
    const char *const *subdomains_of;
    const char *const *wildcards_of;
    const char *const *deny;
    const char *const *addresses;
    const char *const *profiles; /**< ACME profiles that may be asked for */
    const char *const *shares_with;
    size_t exact_count, subdomains_count, wildcards_count, deny_count, addresses_count,
        profiles_count, shares_count;
    struct policy_relay relay;
};

/** Called for each application; return false to stop. */
typedef bool (*policy_visit)(const struct policy_application *application, void *context);

/** Visits the applications whose principals match the subject (inert and expired ones too). */
void policy_visit_subject(const policy_snapshot *snapshot, const struct policy_subject *subject,
    policy_visit visit, void *context);

/** Visits all applications in order of their names. */
void policy_visit_all(const policy_snapshot *snapshot, policy_visit visit, void *context);

/** Why somebody has business here: a principal of an application. */
struct policy_ground {
    bool by_group; /**< `group`, else the user himself */
    gid_t group;
    const struct policy_application *application;
};

/** Called for each; return false to stop. */
typedef bool (*policy_visit_ground)(const struct policy_ground *ground, void *context);

/** Visits all principals that match the subject, with their applications: none for whom no policy
 * names, who is dropped at accept. An application comes once for each of its principals. */
void policy_visit_grounds(const policy_snapshot *snapshot, const struct policy_subject *subject,
    policy_visit_ground visit, void *context);

/** Finds an application by name, or NULL. */
const struct policy_application *policy_find(const policy_snapshot *snapshot, const char *name);

/** What is asked. */
struct policy_request {
    enum policy_operation operation;
    const char *application;     /**< NULL: the subject's only one */
    const struct aw_name *names; /**< may be empty for an operation without names */
    size_t name_count;
    bool has_key; /**< a CSR's key type is known */
    enum policy_key key;
    const char *profile; /**< NULL: none asked */
    bool has_validity;   /**< notBefore or notAfter asked */
};

/** The verdict. Pointers live as long as the snapshot and the request. */
struct policy_verdict {
    bool allowed;
    bool warned;           /**< allowed only because of warn_until; `rule` is the refusing one */
    enum policy_rule rule; /**< the rule that decided (for a permit: that of the last name) */
    const struct policy_application *application; /**< NULL when none was chosen */
    const struct aw_name
        *name;           /**< the name that was refused; NULL when the rule is not of a name */
    const char *other;   /**< application that holds the covered name; NULL otherwise */
    const char *matched; /**< the rule's own text, for example "dept.example.edu" */
};

/**
 * Decides. The more specific claim holds a name: exact, then the longest subdomains_of; a wildcard
 * holds the names one label below it. Between equal claims of two applications neither refuses the
 * other, but a wildcard is refused where another holds all names below the same name. Claims of
 * expired and inert applications count. An application that lists the holder in shares_with is not
 * refused on its account. Order of rules: application chosen by subject and name; inert; expired;
 * operation; number of names; profile; validity; key; then each name: account's ceiling, deny,
 * other applications' names, allow. warn_until demotes only: names.none,
 * limits.names_per_certificate, keys, profiles; never the ceiling, deny, other applications' names,
 * operations, expiry.
 * @param now Unix time
 */
void policy_decide(const policy_snapshot *snapshot, const struct policy_subject *subject,
    const struct policy_request *request, int64_t now, struct policy_verdict *out);

/**
 * Decides for an application by name, whoever asks (administrators, --check by file, tests): the
 * same rules but for the choice of the application.
 */
void policy_decide_application(const policy_snapshot *snapshot,
    const struct policy_application *application, const struct policy_request *request, int64_t now,
    struct policy_verdict *out);

/** What a relay says of an inner request; NULL: it says nothing of that. */
struct policy_relayed {
    const char *address;            /**< of the client, canonical; IPv4-mapped is in no network */
    const char *client_certificate; /**< SHA-256 of the DER of its TLS certificate, hex */
    const char *validated;          /**< how the names were validated: "http-01" */
    bool finalizing;                /**< validation counts here */
};

/**
 * Decides whether an inner request counts for the application, beside policy_decide_application.
 * Pure; warn_until lets nothing through.
 * @param seen NULL: only whether there is such a section is asked
 * @param[out] rule which refused; POLICY_RULE_RELAY when it counts
 */
bool policy_decide_relay(const struct policy_application *application,
    const struct policy_relayed *seen, enum policy_rule *rule);

/** "no", or "yes; from 192.0.2.0/24; client certificate ...; validated by http-01". Allocated. */
AW_MUST_USE aw_result policy_relay_text(const struct policy_relay *relay, char **out);

/**
 * Explains in words, one line per step: which application, each name's rule path, the rule that
 * decided and, for a refusal, the nearest rule that would have matched and whom to ask. Allocated.
 */
AW_MUST_USE aw_result policy_explain(const policy_snapshot *snapshot,
    const struct policy_application *application, const struct policy_request *request, int64_t now,
    char **out);

/**
 * The one-line refusal that a user reads: "pay.dept.example.edu is not among the names of
 * dept_myapp1 (rule names.none); allowed: ...; ask myapp1-team@dept.example.edu". Allocated.
 */
AW_MUST_USE aw_result policy_refusal_text(
    const struct policy_verdict *verdict, const struct policy_request *request, char **out);

/**
 * The line about what warn_until lets through: "will be refused from 2026-12-31 on: " and the
 * refusal. Only of a verdict that is `warned`. Allocated.
 */
AW_MUST_USE aw_result policy_warning_text(
    const struct policy_verdict *verdict, const struct policy_request *request, char **out);

/** What the application allows, shortened for a message: "a.example.edu, below b.example.edu".
 * Allocated. */
AW_MUST_USE aw_result policy_allowed_text(const struct policy_application *application, char **out);

#endif
