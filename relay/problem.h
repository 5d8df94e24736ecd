/**
 * @file problem.h
 * @brief Problem documents (RFC 9457, RFC 8555 6.7) that clients get, and what becomes one.
 *
 * A handler fails with relay_problem_fail() where the client is to be told what is wrong with its
 * request. Any other failure is told by its code, or by what the signer refused
 * (relay_problem_map); its text goes to the log, not to the client.
 */
#ifndef AW_RELAY_PROBLEM_H
#define AW_RELAY_PROBLEM_H

#include <stdint.h>

#include "client/acme.h"
#include "client/signer_link.h"
#include "common/result.h"
#include "relay/message.h"

/** Limits. */
enum {
    RELAY_DETAIL_SIZE = 1024,    /**< octets of a detail, with its NUL; longer ones are cut */
    RELAY_SUBPROBLEMS_MAX = 100, /**< more are left out */
    RELAY_RETRY_SECONDS = 60,    /**< Retry-After where nobody knows better */
};

/**
 * Types once: name, text after "urn:ietf:params:acme:error:", HTTP status. RFC 8555 6.7, RFC 9773
 * 7.4 (alreadyReplaced).
 */
#define RELAY_PROBLEMS(X)                                        \
    X(MALFORMED, "malformed", 400)                               \
    X(ACCOUNT_DOES_NOT_EXIST, "accountDoesNotExist", 400)        \
    X(ALREADY_REPLACED, "alreadyReplaced", 409)                  \
    X(ALREADY_REVOKED, "alreadyRevoked", 400)                    \
    X(BAD_CSR, "badCSR", 400)                                    \
    X(BAD_NONCE, "badNonce", 400)                                \
    X(BAD_PUBLIC_KEY, "badPublicKey", 400)                       \
    X(BAD_REVOCATION_REASON, "badRevocationReason", 400)         \
    X(BAD_SIGNATURE_ALGORITHM, "badSignatureAlgorithm", 400)     \
    X(CAA, "caa", 403)                                           \
    X(COMPOUND, "compound", 400)                                 \
    X(CONNECTION, "connection", 400)                             \
    X(DNS, "dns", 400)                                           \
    X(EXTERNAL_ACCOUNT_REQUIRED, "externalAccountRequired", 403) \
    X(INCORRECT_RESPONSE, "incorrectResponse", 403)              \
    X(INVALID_CONTACT, "invalidContact", 400)                    \
    X(INVALID_PROFILE, "invalidProfile", 400)                    \
    X(ORDER_NOT_READY, "orderNotReady", 403)                     \
    X(RATE_LIMITED, "rateLimited", 429)                          \
    X(REJECTED_IDENTIFIER, "rejectedIdentifier", 403)            \
    X(SERVER_INTERNAL, "serverInternal", 500)                    \
    X(TLS, "tls", 400)                                           \
    X(UNAUTHORIZED, "unauthorized", 403)                         \
    X(UNSUPPORTED_CONTACT, "unsupportedContact", 400)            \
    X(UNSUPPORTED_IDENTIFIER, "unsupportedIdentifier", 400)      \
    X(USER_ACTION_REQUIRED, "userActionRequired", 403)

/** Types of problems, from RELAY_PROBLEMS. */
enum relay_problem_type {
#define RELAY_PROBLEM_ENUM(name, text, status) RELAY_##name,
    RELAY_PROBLEMS(RELAY_PROBLEM_ENUM)
#undef RELAY_PROBLEM_ENUM
        RELAY_PROBLEM_TYPES
};

/** A problem of one identifier (RFC 8555 6.7.1). */
struct relay_subproblem {
    enum relay_problem_type type;
    char *identifier_type; /**< "dns" or "ip" */
    char *identifier;
    char *detail;
};

/** A problem; zero is none (status 0). Release: relay_problem_free. */
struct relay_problem {
    int status; /**< HTTP status */
    enum relay_problem_type type;
    char detail[RELAY_DETAIL_SIZE];
    int64_t retry_after; /**< seconds; 0: none */
    struct relay_subproblem *subproblems;
    size_t subproblem_count;
};

/** Releases and zeroes. */
void relay_problem_free(struct relay_problem *problem);

/** "malformed" ... */
const char *relay_problem_name(enum relay_problem_type type);

/** The type called so; RELAY_SERVER_INTERNAL when there is none. */
enum relay_problem_type relay_problem_find(const char *name);

/**
 * Sets the problem, with its type's status, in place of what was there, and fails with
 * AW_CODE_REFUSED. The detail is for a person: what is wrong and what to do.
 */
AW_MUST_USE aw_result relay_problem_fail(struct relay_problem *problem,
    enum relay_problem_type type, const char *format, ...) AW_PRINTF(3, 4);

/** Gives a problem that was just set another status (404, 405, 415, 503) and returns `r`. */
AW_MUST_USE aw_result relay_problem_status(aw_result r, struct relay_problem *problem, int status);

/** Adds a subproblem of an identifier; beyond RELAY_SUBPROBLEMS_MAX nothing happens. */
AW_MUST_USE aw_result relay_problem_add(struct relay_problem *problem, enum relay_problem_type type,
    const struct aw_name *name, const char *detail);

/**
 * The problem of a failed call: what the signer refused (`refusal` with an error in it), else the
 * error's code.
 */
void relay_problem_map(
    const struct aw_error *error, const struct signer_refusal *refusal, struct relay_problem *out);

/**
 * What a CA said, as the client gets it: types that are about the request stay, those that are
 * about our account there become serverInternal. Texts are escaped.
 * @param retry_after of the CA's response; -1: none
 */
AW_MUST_USE aw_result relay_problem_upstream(
    const struct acme_problem *upstream, int64_t retry_after, struct relay_problem *out);

/** Writes the members of the document, for the `error` of orders and challenges too. */
void relay_problem_write(struct aw_json_writer *w, const struct relay_problem *problem);

/** Makes the response the problem document (application/problem+json); Allow and Location stay. */
AW_MUST_USE aw_result relay_problem_respond(
    const struct relay_problem *problem, struct relay_response *response);

#endif
