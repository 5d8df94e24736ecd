/**
 * @file accounts.h
 * @brief The CAs and accounts of the configuration with what became of them: pins, EAB keys, URLs.
 *
 * Each CA and account has a small JSON file under the state folder (cas/NAME.json,
 * accounts/NAME.json), replaced atomically and durably before a change counts. Keys stay in the
 * token and are looked up when first used.
 *
 * A request holds the table for reading while it uses an account. Administrators' changes and
 * reloads come one at a time (accounts_change); each works on a draft, which takes the place of
 * the account once it is on disk, so that requests never wait for a disk or a key ceremony, and a
 * change that fails has changed nothing.
 */
#ifndef AW_SIGNER_ACCOUNTS_H
#define AW_SIGNER_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/result.h"
#include "pkcs11/token.h"

/** Limits. */
enum {
    ACCOUNTS_KID_MAX = 1024,        /**< characters of an EAB key identifier */
    ACCOUNTS_CONTACT_MAX = 4096,    /**< characters of all contacts */
    ACCOUNTS_EABS_MAX = 64,         /**< EAB keys of one CA */
    ACCOUNTS_KEYS_MAX = 1000000000, /**< numbers of an account's keys */
};

/** A CA's pinned URLs (RFC 8555 7.1.1). */
struct ca_pin {
    char *new_nonce;
    char *new_account;
    char *new_order;
    char *revoke_cert; /**< NULL: the CA has none, though RFC 8555 7.1.1 wants it; as the next */
    char *key_change;
    char *renewal_info;     /**< NULL: the CA has none (RFC 9773) */
    char *terms_of_service; /**< NULL: none */
    char *caa_identities;   /**< the CA's names in CAA records, with spaces between; NULL: none */
    bool external_account_required;
};

/** An EAB key in the token. */
struct ca_eab {
    char *kid;
    enum token_mac_algorithm algorithm;
    char *label; /**< CKA_LABEL in the token */
};

/** A CA. */
struct ca {
    char *name;
    char *directory;   /**< as configured */
    int64_t pinned_at; /**< 0: not pinned, or the configured directory is another one since */
    struct ca_pin pin;
    struct ca_eab *eabs;
    size_t eab_count;
};

/** What became of an account; names as in the interface. */
enum account_state {
    ACCOUNT_NO_KEY,       /**< configured only */
    ACCOUNT_UNREGISTERED, /**< the key is in the token */
    ACCOUNT_ATTEMPTED,    /**< a newAccount was signed; its answer is not known */
    ACCOUNT_REGISTERED,   /**< the CA's account URL is known */
    ACCOUNT_DEACTIVATED,  /**< the CA takes nothing from it any more (RFC 8555 7.3.6) */
};

/** "no-key" and so on. */
const char *account_state_name(enum account_state state);

/** A key of an account beside its present one, while a key change (RFC 8555 7.3.5) is under way. */
struct account_key {
    int64_t number;   /**< in its label in the token */
    char *thumbprint; /**< NULL: there is none */
};

/** An account. */
struct account {
    char *name;
    struct ca *ca;
    enum token_key_type key_type;
    struct aw_name *ceiling;
    size_t ceiling_count;
    int64_t orders_per_day;
    enum account_state state;
    char *thumbprint; /**< of the key made for it; NULL: none yet */
    bool has_key_digest;
    uint8_t key_digest[AW_DIGEST_SIZE]; /**< SHA-256 of its SubjectPublicKeyInfo */
    char *url;                          /**< account URL (the kid of its requests) */
    char *orders;                       /**< its orders list, if the CA told */
    char *attempted_kid;                /**< EAB key of the attempt; NULL: none */
    int64_t attempted_at;
    int64_t registered_at;
    char *contact;    /**< mailto URLs as last sent to the CA, with spaces between; NULL: none */
    char *former_url; /**< account in whose place this one is (account recover); NULL: none */
    char *former_thumbprint;
    int64_t former_at;           /**< when it was given up */
    int64_t key_number;          /**< of the present key, in its label; 0: the first */
    struct account_key next;     /**< made for a key change that the CA has not confirmed */
    int64_t change_attempted_at; /**< a keyChange onto `next` was signed; 0: none was */
    struct account_key old;      /**< the CA took another in its place; to be destroyed */
    token_key *key;              /**< looked up on first use; NULL until then; see accounts_key */
};

/** The table. */
typedef struct accounts accounts;

/** Reads the state files of all configured CAs and accounts. Release: accounts_free. */
AW_MUST_USE aw_result accounts_open(const struct aw_config *config, token *t, accounts **out);

/** Releases and nulls; NULL is allowed. */
void accounts_free(accounts **table);

/** Takes the CAs and accounts of a configuration that was read anew; on failure nothing changes. */
AW_MUST_USE aw_result accounts_reload(accounts *table, const struct aw_config *config);

/** Holds the table for reading; not to be taken twice by one thread. */
void accounts_read(accounts *table);

/** Pointers into the table are not to be used any more. */
void accounts_read_end(accounts *table);

/** Holds off other changes and reloads; what is found stays valid, and may be read, until the end.
 */
void accounts_change(accounts *table);

/** Pointers into the table are not to be used any more. */
void accounts_change_end(accounts *table);

/** The account of that name, or NULL. While the table is held, in either way. */
struct account *accounts_find(accounts *table, const char *name);

/** The CA of that name, or NULL; likewise. */
struct ca *accounts_find_ca(accounts *table, const char *name);

/** All accounts in order of names, while the table is held. */
struct account *accounts_all(accounts *table, size_t *count);

/** All CAs in the order of the configuration, while the table is held. */
struct ca *accounts_cas(accounts *table, size_t *count);

/**
 * The account's key in the token, found on first use. While the table is held.
 * @return AW_CODE_TOKEN_KEY_MISSING; AW_CODE_MISMATCH when the token holds another key than the one
 *         the account was made with
 */
AW_MUST_USE aw_result accounts_key(accounts *table, struct account *account, token_key **out);

/** The account's key if it was looked up already, or NULL. While the table is held. */
token_key *accounts_known_key(accounts *table, const struct account *account);

/** True when this is the public key of an account. While the table is held. */
bool accounts_holds_key(accounts *table, const uint8_t digest[AW_DIGEST_SIZE]);

/**
 * @name Drafts
 * What an administrator may change is copied, what the configuration says is borrowed, so a draft
 * lives within one accounts_change. A draft has no key unless the change gives it one.
 * accounts_commit makes it durable, then puts it in the place of the account or CA; after a failure
 * nothing has changed. It is to be freed either way.
 * @{
 */
AW_MUST_USE aw_result account_draft(
    accounts *table, const struct account *account, struct account *draft);
void account_draft_free(struct account *draft);
AW_MUST_USE aw_result ca_draft(const struct ca *ca, struct ca *draft);
void ca_draft_free(struct ca *draft);
AW_MUST_USE aw_result accounts_commit(
    accounts *table, struct account *account, struct account *draft);
AW_MUST_USE aw_result accounts_commit_ca(accounts *table, struct ca *ca, struct ca *draft);
/** @} */

/**
 * A key beside the present one, looked up each time; release: token_key_free. Failures of
 * accounts_key; AW_CODE_NOT_FOUND where the account has none.
 */
AW_MUST_USE aw_result accounts_other_key(accounts *table, const struct account *account,
    const struct account_key *which, token_key **out);

/** CKA_LABEL of an account's key; number 0: its first. Allocated. */
AW_MUST_USE aw_result accounts_key_label(const char *account, int64_t number, char **out);

/** CKA_LABEL of an EAB key. Allocated. */
AW_MUST_USE aw_result accounts_eab_label(const char *ca, const char *kid, char **out);

/**
 * @name State files
 * accounts_file.c. A missing file leaves what is read into as it is; one that does not read exactly
 * is a failure. A file is replaced durably, or not at all.
 * @{
 */
AW_MUST_USE aw_result ca_file_read(const char *state, struct ca *ca);
AW_MUST_USE aw_result account_file_read(const char *state, struct account *account);
AW_MUST_USE aw_result ca_file_write(const char *state, const struct ca *ca);
AW_MUST_USE aw_result account_file_write(const char *state, const struct account *account);
/** @} */

/** Copies a pin into a zeroed one. */
AW_MUST_USE aw_result ca_pin_copy(const struct ca_pin *from, struct ca_pin *to);

/** Writes a pin as a JSON object, with the names of a directory (RFC 8555 7.1.1). */
void ca_pin_write(struct aw_json_writer *w, const struct ca_pin *pin);

/** Releases what a pin holds and zeroes it. */
void ca_pin_free(struct ca_pin *pin);

#endif
