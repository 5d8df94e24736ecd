/**
 * @file token.h
 * @brief The token: module, discovery, login, a pool of sessions. The one public way into pkcs11/.
 *
 * Threads share one `token`; each call takes a session from the pool, waits for one when all are
 * busy, and follows the recovery ladder: session invalid: a new session; handle invalid: find again
 * and compare the public key; not logged in: one login; device or token gone: AW_CODE_TOKEN_GONE,
 * the caller ends the process (crash-only). C_Logout is never called. Nobody forks after
 * token_open.
 */
#ifndef AW_PKCS11_TOKEN_H
#define AW_PKCS11_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/hex.h"
#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum {
    TOKEN_SESSIONS_MAX = 65,   /**< sessions in the pool: 64 that may be configured, one spare */
    TOKEN_PIN_MAX = 255,       /**< octets of a PIN */
    TOKEN_LABEL_MAX = 128,     /**< octets of a CKA_LABEL of ours */
    TOKEN_SIGNATURE_MAX = 512, /**< octets of a signature (RSA-4096) */
    TOKEN_MAC_MAX = 64,        /**< octets of a MAC (HS512) */
    TOKEN_MAC_KEY_MAX = 512,   /**< octets of an EAB HMAC key */
};

/** Octets that somebody else holds. */
struct token_octets {
    const uint8_t *data;
    size_t size;
};

/** How to reach a token. Strings are copied. */
struct token_config {
    const char *module;     /**< path of the PKCS#11 module */
    const char *uri;        /**< RFC 7512 URI that names exactly one token; no pin-value */
    const char *pin_source; /**< path of a file that holds the PIN; NULL: the URI's pin-source */
    const char *latch;      /**< path of the PIN latch marker (see token_open) */
    unsigned sessions;      /**< pool size, 1 to TOKEN_SESSIONS_MAX */
    unsigned timeout_ms;    /**< longest wait for a free session or for another's call;
                               AW_CODE_BUSY after it */
    unsigned stuck_ms;      /**< a call that takes longer will not come back (token_watch); 0: six
                               times timeout_ms, 30 s at least */
    unsigned
        start_retries;    /**< how often a start-up that sees no token looks again (100 ms apart) */
    OSSL_LIB_CTX *libctx; /**< for digests, verification and random; NULL: the default context */
    const char *properties; /**< OpenSSL property query; NULL: none */
};

/** An open, logged-in token. */
typedef struct token token;

/**
 * Loads the module, finds the token, opens the sessions and logs in. A process opens a module once:
 * a module that is initialised already is refused (AW_CODE_TOKEN).
 *
 * PIN: read from the file (mode at most 0600, owner root or ours), wiped after login. Token flags
 * are read first: no login at CKF_USER_PIN_FINAL_TRY or CKF_USER_PIN_LOCKED. Before C_Login the
 * latch marker is written durably, after success removed: a marker that is there at start means an
 * earlier PIN was wrong (or unproved), and no login is tried until an administrator removes the
 * file. It holds the time, the token's serial and its answer, nothing of the PIN.
 *
 * @return AW_CODE_TOKEN_ABSENT (module, token; says which tokens there are), AW_CODE_TOKEN_PIN
 *         (wrong, latched, locked, loose mode), AW_CODE_TOKEN, AW_CODE_CONFIG (URI)
 */
AW_MUST_USE aw_result token_open(const struct token_config *config, token **out);

/** Where token_open reads the PIN, by the URI; *out NULL: nowhere. Release with free(). */
AW_MUST_USE aw_result token_pin_source(const char *uri, const char *module, char **out);

/** Closes sessions, finalizes the module, releases, nulls; NULL is allowed. */
void token_close(token **t);

/** Sessions that the pool got: at most as many as asked. */
unsigned token_sessions(const token *t);

/**
 * Looks for a call to the token that will not come back: one that takes longer than stuck_ms, or
 * ten times that where it makes a key pair. Takes no lock. While a call hangs, others are told
 * AW_CODE_BUSY; nothing mends it but a new process. token_close would wait for it: end without.
 * @return AW_CODE_TOKEN_GONE
 */
AW_MUST_USE aw_result token_watch(token *t);

/** What the token says of itself. */
struct token_info {
    char label[33];
    char manufacturer[33];
    char model[17];
    char serial[17];
    unsigned long slot;
    unsigned long flags; /**< CKF_... of CK_TOKEN_INFO */
    bool pin_count_low;
    bool pin_final_try;
    bool pin_locked;
    bool write_protected;
};

/** Reads the token's information afresh. */
AW_MUST_USE aw_result token_info_get(token *t, struct token_info *out);

/** Account key types. */
enum token_key_type {
    TOKEN_KEY_EC_P256,
    TOKEN_KEY_EC_P384,
    TOKEN_KEY_RSA_2048,
    TOKEN_KEY_RSA_3072,
    TOKEN_KEY_RSA_4096,
};

/** "ec-p256" and so on; NULL never. */
const char *token_key_type_name(enum token_key_type type);

/** The inverse; false for an unknown name. */
bool token_key_type_parse(const char *name, enum token_key_type *out);

/** HMAC algorithms (RFC 7518 3.2). */
enum token_mac_algorithm { TOKEN_HS256, TOKEN_HS384, TOKEN_HS512 };

/** "HS256" and so on. */
const char *token_mac_algorithm_name(enum token_mac_algorithm algorithm);

/** Octets of the hash's block: RFC 2104 pads shorter keys to it, and hashes longer ones. */
size_t token_mac_block(enum token_mac_algorithm algorithm);

/** The inverse; false for an unknown name. */
bool token_mac_algorithm_parse(const char *name, enum token_mac_algorithm *out);

/** Octets of a MAC, which are the shortest key that RFC 7518 3.2 allows. */
size_t token_mac_size(enum token_mac_algorithm algorithm);

/**
 * What happened on the ladder of attributes when a key was made: strict template first; an
 * attribute that the token refuses is dropped, one at a time, and named here; flags are read back.
 * SENSITIVE and not EXTRACTABLE are never dropped.
 */
struct token_key_report {
    char dropped[512];     /**< attributes the token refused, comma-separated; empty: none */
    char weaker[512];      /**< attributes that read back otherwise than asked; empty: none */
    bool padded;           /**< EAB key stored zero-padded to the block size (same MAC) */
    bool always_protected; /**< generated keys: LOCAL, ALWAYS_SENSITIVE and NEVER_EXTRACTABLE read
                              back */
};

/* Account keys. */

/** An account key in the token: private object, public key, cached handles. Thread-safe. */
typedef struct token_key token_key;

/**
 * Generates a key pair in the token: private key SIGN only, TOKEN PRIVATE SENSITIVE !EXTRACTABLE
 * !MODIFIABLE !COPYABLE, every other usage false. A trial signature is verified before success; a
 * key that fails it is destroyed again. CKA_ID is random, the label names the account.
 * @return AW_CODE_EXISTS when a key of that label is there
 */
AW_MUST_USE aw_result token_key_generate(token *t, const char *label, enum token_key_type type,
    struct token_key_report *report, token_key **out);

/**
 * Finds the one private key of that label and its public key (same CKA_ID, class and type).
 * @return AW_CODE_TOKEN_KEY_MISSING; AW_CODE_MISMATCH when there are several
 */
AW_MUST_USE aw_result token_key_find(token *t, const char *label, token_key **out);

/** Releases and nulls; the token's object stays. NULL is allowed. */
void token_key_free(token_key **key);

/** Destroys private and public object in the token. */
AW_MUST_USE aw_result token_key_destroy(token_key *key);

/** The type found. */
enum token_key_type token_key_kind(const token_key *key);

/** JWS algorithm of the key: "ES256", "ES384", "RS256". */
const char *token_key_algorithm(const token_key *key);

/** The public key as a JWK (RFC 7517) with exactly RFC 7638's required members in its order. */
const char *token_key_jwk(const token_key *key);

/** RFC 7638 thumbprint (SHA-256, base64url, 43 characters). */
const char *token_key_thumbprint(const token_key *key);

/** The public key in SubjectPublicKeyInfo form (DER); valid as long as the key. */
void token_key_spki(const token_key *key, const uint8_t **der, size_t *size);

/**
 * Signs `input` as the key's JWS algorithm says (hash with OpenSSL, then CKM_ECDSA or CKM_RSA_PKCS;
 * ECDSA gives raw r||s, RFC 7518 3.4) and verifies the signature with the public key before it is
 * handed out: a token that signs wrongly yields AW_CODE_TOKEN and no signature.
 * @param[out] signature room for TOKEN_SIGNATURE_MAX octets
 */
AW_MUST_USE aw_result token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);

/* What is in the token. */

/** SHA-256 of the SubjectPublicKeyInfo of the keys in the token: sorted. */
struct token_held {
    uint8_t (*digests)[AW_DIGEST_SIZE];
    size_t count;
    size_t unread; /**< public keys and certificates that tell none: of other types, or broken */
};

/**
 * Reads the public half of every key and certificate in the token (RSA, and EC on P-256 and P-384:
 * the types that a certificate may have). A search of the whole token: slow where it holds much, so
 * not for every request.
 * @return AW_CODE_LIMIT for more than 65,535 objects of a class. Release: token_held_free.
 */
AW_MUST_USE aw_result token_held_read(token *t, struct token_held *out);

/** True when the token held a key of that digest. */
bool token_held_has(const struct token_held *held, const uint8_t digest[AW_DIGEST_SIZE]);

/** Releases and zeroes. */
void token_held_free(struct token_held *held);

/* EAB keys. */

/** An EAB HMAC key in the token, with cached handles. Thread-safe. */
typedef struct token_mac token_mac;

/**
 * Imports an HMAC key as a generic secret: SIGN only, SENSITIVE !EXTRACTABLE !MODIFIABLE !COPYABLE,
 * ALLOWED_MECHANISMS the one HMAC where the token takes it. A trial MAC is compared with OpenSSL's;
 * a key that fails is destroyed again. Shorter than the digest: AW_CODE_LIMIT with the reason
 * unless `force`; then the key is stored zero-padded to the hash's block size, which gives the same
 * MAC (RFC 2104 section 2), since tokens refuse short HMAC keys when they are used.
 * @return AW_CODE_EXISTS when a key of that label is there
 */
AW_MUST_USE aw_result token_mac_import(token *t, const char *label,
    enum token_mac_algorithm algorithm, const aw_secret *value, bool force,
    struct token_key_report *report);

/**
 * Generates an HMAC key in the token, as long as the algorithm's MAC, with the template of
 * token_mac_import: a key whose value nobody ever had. Trial MACs are compared with each other; a
 * key that fails is destroyed again.
 * @return AW_CODE_EXISTS when a key of that label is there; AW_CODE_UNSUPPORTED where the token
 *         makes none
 */
AW_MUST_USE aw_result token_mac_generate(token *t, const char *label,
    enum token_mac_algorithm algorithm, struct token_key_report *report);

/** An EAB key on its way into the token, encrypted to the token's wrapping key. */
struct token_wrapped {
    const char *label; /**< of the key to be made */
    enum token_mac_algorithm algorithm;
    struct token_octets wrapped;    /**< RSA-OAEP (SHA-1, MGF1 with SHA-1, no label) */
    struct token_octets check_text; /**< what its check value is the MAC of; begins with a NUL */
    struct token_octets check;      /**< that MAC */
};

/**
 * Unwraps an HMAC key inside the token, with the template of token_mac_import. Tokens are known
 * that ignore the template, or unwrap something else: each flag that the token tells is compared
 * with what was asked, the length with the hash's block (the key was padded to it before it was
 * wrapped), and the MAC over check_text with check. A key of which anything differs is destroyed
 * again.
 * @param wrapping label of the wrapping key
 * @return AW_CODE_EXISTS; AW_CODE_MISMATCH when the check value says that it is not the key that
 *         was wrapped, or that it was wrapped for something else; AW_CODE_UNSUPPORTED,
 * AW_CODE_TOKEN
 */
AW_MUST_USE aw_result token_mac_unwrap(token *t, const char *wrapping,
    const struct token_wrapped *wrapped, struct token_key_report *report);

/** Finds the one generic secret of that label. AW_CODE_TOKEN_KEY_MISSING, AW_CODE_MISMATCH. */
AW_MUST_USE aw_result token_mac_find(
    token *t, const char *label, enum token_mac_algorithm algorithm, token_mac **out);

/** Releases and nulls; NULL is allowed. */
void token_mac_free(token_mac **mac);

/** Destroys the object in the token. */
AW_MUST_USE aw_result token_mac_destroy(token_mac *mac);

/** Computes the MAC in the token; `out` has room for TOKEN_MAC_MAX octets. */
AW_MUST_USE aw_result token_mac_compute(
    token_mac *mac, const void *input, size_t size, uint8_t *out, size_t *out_size);

/* The wrapping key. */

/** The public half of a wrapping key. Release: token_wrapping_free. */
struct token_wrapping {
    uint8_t *spki; /**< SubjectPublicKeyInfo, DER */
    size_t spki_size;
    uint8_t digest[AW_DIGEST_SIZE]; /**< SHA-256 of it: the fingerprint */
};

/**
 * Generates an RSA-3072 pair in the token that unwraps and does nothing else: private key UNWRAP
 * only, TOKEN PRIVATE SENSITIVE !EXTRACTABLE !MODIFIABLE !COPYABLE; where the token takes it,
 * CKA_UNWRAP_TEMPLATE says that what it unwraps is SENSITIVE and not EXTRACTABLE, and
 * ALLOWED_MECHANISMS is OAEP alone. A key is wrapped to it and unwrapped for a trial, and destroyed
 * again, before success.
 * @return AW_CODE_EXISTS; AW_CODE_UNSUPPORTED where the token has no RSA-OAEP
 */
AW_MUST_USE aw_result token_wrapping_generate(
    token *t, const char *label, struct token_key_report *report);

/** Reads the public half. AW_CODE_TOKEN_KEY_MISSING, AW_CODE_MISMATCH (of several, or no RSA). */
AW_MUST_USE aw_result token_wrapping_read(token *t, const char *label, struct token_wrapping *out);

/** Destroys both halves. */
AW_MUST_USE aw_result token_wrapping_destroy(token *t, const char *label);

/** Releases and zeroes. */
void token_wrapping_free(struct token_wrapping *wrapping);

/* Examination (token doctor). */

/** One object of the token as its attributes say, with what an attempt to read it showed. */
struct token_object {
    char label[TOKEN_LABEL_MAX + 1];
    char id[65];          /**< CKA_ID in hex, cut */
    char kind[32];        /**< "private key (EC P-256)", "secret key", ... */
    char attributes[512]; /**< those that are true, comma-separated */
    char faults[512];     /**< what a key of ours should not have; empty: as it should be */
    bool value_readable;  /**< reading CKA_VALUE (or the private exponent) gave the value: a failure
                           */
    char value_answer[64]; /**< name of the CKR code that answered the attempt */
};

/** A mechanism that acmeward needs or can use. */
struct token_mechanism {
    char name[48];
    bool present;
    bool required;
    char needed_for[64];
};

/** What token_examine found. Release: token_examination_free. */
struct token_examination {
    struct token_info info;
    struct token_object *objects;
    size_t object_count;
    struct token_mechanism *mechanisms;
    size_t mechanism_count;
    char pin_source[4096]; /**< path or "none" */
    char pin_faults[512];  /**< loose mode or owner; empty: as it should be */
};

/** Reads everything a security review wants to see; tries to read every key's value. */
AW_MUST_USE aw_result token_examine(token *t, struct token_examination **out);

/** Releases and nulls; NULL is allowed. */
void token_examination_free(struct token_examination **examination);

/** Name of a CK_RV, for example "CKR_PIN_INCORRECT"; a number in hex for an unknown one. */
const char *token_ckr_name(unsigned long rv);

#endif
