/**
 * @file request.h
 * @brief An application's request, parsed: an operation and typed parameters, nothing to be signed.
 *
 * Parsing is all or nothing: what does not parse exactly is refused with the field's name. It knows
 * no policy, ledger or token.
 */
#ifndef AW_SIGNER_REQUEST_H
#define AW_SIGNER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "common/names.h"
#include "common/result.h"
#include "csr/csr.h"

/** Limits. */
enum {
    SIGN_NONCES_MAX = 256,          /**< nonces of one GetNonces */
    SIGN_NAMES_MAX = CSR_NAMES_MAX, /**< identifiers of an order */
    SIGN_NONCE_MAX = 512,           /**< characters of a nonce */
    SIGN_URL_MAX = 2048,            /**< characters of a URL */
    SIGN_CHAIN_MAX = 8,             /**< certificates above the leaf */
    SIGN_CLAIMS_MAX = 1000,         /**< URLs of one ClaimUrls */
    SIGN_TEXT_MAX = 128, /**< characters of an application, profile, time, certificate id */
};

/** Operations: enum name, name in records, method of org.acmeward.Signer. Those without one are of
 * an account with a relay (relay_request.h). */
#define SIGN_OPERATIONS(X)                                           \
    X(NEW_ORDER, "new-order", "NewOrder")                            \
    X(CLAIM, "claim", "ClaimUrls")                                   \
    X(FINALIZE, "finalize", "Finalize")                              \
    X(POST_AS_GET, "post-as-get", "PostAsGet")                       \
    X(ANSWER_CHALLENGE, "answer-challenge", "AnswerChallenge")       \
    X(REVOKE, "revoke", "Revoke")                                    \
    X(RECORD_CERTIFICATE, "record-certificate", "RecordCertificate") \
    X(INNER_ACCOUNT, "inner-account", "")                            \
    X(INNER_KEY_CHANGE, "inner-key-change", "")                      \
    X(INNER_DEACTIVATE, "inner-deactivate", "")                      \
    X(CHECK, "check", "Check")                                       \
    X(WHOAMI, "whoami", "WhoAmI")

/** Operations. */
enum sign_operation {
#define SIGN_OPERATION_ENUM(name, text, method) SIGN_##name,
    SIGN_OPERATIONS(SIGN_OPERATION_ENUM)
#undef SIGN_OPERATION_ENUM
        SIGN_OPERATION_COUNT
};

/** Name of an operation as in records. */
const char *sign_operation_name(enum sign_operation operation);

/** Finds an operation by its Varlink method; false for an unknown one. */
bool sign_operation_parse(const char *method, enum sign_operation *out);

/** What a URL is of an order. */
enum sign_url_kind {
    SIGN_URL_ORDER,
    SIGN_URL_FINALIZE,
    SIGN_URL_AUTHORIZATION,
    SIGN_URL_CHALLENGE,
    SIGN_URL_CERTIFICATE,
};

/** Reads "order" and so on, as in the interface; false for an unknown name. */
bool sign_url_kind_parse(const char *name, enum sign_url_kind *out);

/** One URL claimed for an order. */
struct sign_claim {
    enum sign_url_kind kind;
    char *url;
};

/** Octets with their length. */
struct sign_bytes {
    uint8_t *data;
    size_t size;
};

/** What a client signed, as it came: base64url, not looked into. */
struct sign_evidence {
    char *header, *payload, *signature;
};

/** What a relay hands over with a request; all NULL and 0 in one of an application itself. */
struct sign_relayed {
    bool is;                                        /**< the request came by org.acmeward.Relay */
    struct sign_evidence evidence;                  /**< header NULL: none */
    char *address, *client_certificate, *validated; /**< its word: additional conditions only */
    int64_t again;    /**< new-order: the ticket that the same evidence opened before; 0: none */
    bool repeated;    /**< revoke: the same evidence has revoked before */
    int64_t count;    /**< GetNonces */
    int64_t account;  /**< GetAccount */
    char *thumbprint; /**< FindAccount: base64url */
};

/** A parsed request; members that the operation has not are NULL or 0. */
struct sign_request {
    enum sign_operation operation;
    char *application;     /**< NULL: not named */
    char *nonce;           /**< base64url characters only (RFC 8555 6.5.1) */
    struct aw_name *names; /**< sorted, without duplicates */
    size_t name_count;
    char *profile;
    char *not_before, *not_after; /**< RFC 3339 UTC, checked */
    char *replaces;               /**< ARI certificate id (RFC 9773 4.1): base64url.base64url */
    char *key;                    /**< check: key type */
    int64_t order;                /**< ticket, > 0 */
    char *url; /**< of the right general form (url.h), not yet of the right origin */
    struct sign_claim *claims;
    size_t claim_count;
    struct sign_bytes csr;
    struct sign_bytes certificate;
    struct sign_bytes chain[SIGN_CHAIN_MAX];
    size_t chain_count;
    struct sign_relayed relayed;
    bool has_reason;
    int reason; /**< RFC 5280 5.3.1: 0, 1, 3, 4, 5, 9 (RFC 8555 7.6 leaves it to the CA) */
};

/**
 * Parses the parameters of a call by the operation's table: unknown members, wrong types, names
 * that are no host names, duplicates, bad base64url are refused.
 * @param[out] field the member at fault (static text) when the result is a failure; may be NULL
 *                   when no single member is
 * Release: sign_request_free.
 */
AW_MUST_USE aw_result sign_request_parse(enum sign_operation operation, const cJSON *parameters,
    struct sign_request *out, const char **field);

/** Releases and zeroes. */
void sign_request_free(struct sign_request *request);

#endif
