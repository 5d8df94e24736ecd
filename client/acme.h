/**
 * @file acme.h
 * @brief RFC 8555 as a client speaks it: directory, nonces, problems, orders, authorizations.
 *
 * Requests are signed elsewhere: each POST asks a callback for the JWS that belongs to a nonce, so
 * the same code serves applications (through the signer) and administrators (newAccount). What a CA
 * answers is read in tolerant mode: unknown members are allowed, everything used is checked.
 */
#ifndef AW_CLIENT_ACME_H
#define AW_CLIENT_ACME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "client/http.h"
#include "common/names.h"
#include "common/result.h"

/** Limits. */
enum {
    ACME_NONCES_MAX = 32,        /**< nonces kept in the pool */
    ACME_BAD_NONCE_RETRIES = 10, /**< of one request (RFC 8555 6.5), each with the answer's nonce */
    ACME_NAMES_MAX = 100,
    ACME_CHALLENGES_MAX = 32, /**< of one authorization; more are ignored */
    ACME_PROBLEM_DETAIL_MAX = 2000,
    ACME_PROBLEM_TYPE_SIZE = 128,
    ACME_SUBPROBLEMS_MAX = 100,
    ACME_TOKEN_MAX = 128,            /**< characters of a challenge token (RFC 8555 8.1) */
    ACME_RETRIES_MAX = 5,            /**< of a request that met 429, 5xx or a dropped connection */
    ACME_RETRY_AFTER_MAX = 600,      /**< longest Retry-After that is waited for, in seconds */
    ACME_BACKOFF_FIRST_MS = 250,     /**< first wait where the CA gives no Retry-After; doubles */
    ACME_BACKOFF_MAX_MS = 10 * 1000, /**< longest such wait */
    ACME_PROFILE_MAX = 128,          /**< octets of a profile's name */
    ACME_IGNORED_TYPES_SIZE = 128,   /**< text of the challenge types that we do not know */
};

/** A directory (RFC 8555 7.1.1). Release: acme_directory_free. */
struct acme_directory {
    char *new_nonce, *new_account, *new_order;
    char *revoke_cert, *key_change; /**< NULL: the CA has none, though it should */
    char *renewal_info;             /**< RFC 9773; NULL: none */
    char *terms_of_service;         /**< NULL: none */
    char *website;
    char *
        caa_identities; /**< names of the CA in CAA records, with spaces between; NULL: none told */
    bool external_account_required;
    cJSON *profiles; /**< names with descriptions (draft-ietf-acme-profiles); NULL: none */
};

/** Whether the CA offers a profile. */
bool acme_directory_has_profile(const struct acme_directory *directory, const char *name);

/** The names of all it offers, escaped, with ", " between; "" when there are none. */
AW_MUST_USE aw_result acme_directory_profiles(const struct acme_directory *directory, char **out);

/** Parses a directory document. */
AW_MUST_USE aw_result acme_directory_parse(
    const char *text, size_t size, struct acme_directory *out);

/** Fetches and parses one. */
AW_MUST_USE aw_result acme_directory_fetch(http *h, const char *url, struct acme_directory *out);

/** Releases and zeroes. */
void acme_directory_free(struct acme_directory *directory);

/** A problem document (RFC 7807, RFC 8555 6.7). Texts are escaped for a terminal. */
struct acme_problem {
    long status;
    char type[ACME_PROBLEM_TYPE_SIZE]; /**< without "urn:ietf:params:acme:error:" when it has that
                                          prefix */
    char *detail;
    char *instance; /**< URL for a person, as with userActionRequired; NULL: none */
    struct acme_subproblem {
        char type[ACME_PROBLEM_TYPE_SIZE];
        char *detail;
        char *identifier;
    } * subproblems;
    size_t subproblem_count;
};

/** Reads a problem from an answer; one that is no problem document yields type "" and the status.
 */
AW_MUST_USE aw_result acme_problem_parse(
    const struct http_response *response, struct acme_problem *out);

/** Releases and zeroes. */
void acme_problem_free(struct acme_problem *problem);

/** Copies one into another, which must be zeroed. */
AW_MUST_USE aw_result acme_problem_copy(const struct acme_problem *from, struct acme_problem *out);

/**
 * Fails with a problem: AW_CODE_CA_REFUSED for 4xx, AW_CODE_CA_UNAVAILABLE for 5xx and rateLimited,
 * with type, detail and subproblems in the message and a hint by type (never by detail).
 */
AW_MUST_USE aw_result acme_problem_fail(
    const struct acme_problem *problem, int64_t retry_after, const char *what);

/** What a session tells and asks while it works; NULL callbacks are allowed. */
struct acme_progress {
    void (*waiting)(
        void *context, const char *why, int64_t seconds); /**< before a wait of 1 s on */
    bool (*stop)(void *context); /**< asked before a wait and twice a second in it: true ends it */
    void *context;
};

/** A conversation with one CA: connection and nonces. For one thread. */
typedef struct acme_session acme_session;

/** Makes a session; `h` must outlive it. Release: acme_session_free. */
AW_MUST_USE aw_result acme_session_new(
    http *h, const char *new_nonce_url, const struct acme_progress *progress, acme_session **out);

/** Releases and nulls; NULL is allowed. */
void acme_session_free(acme_session **session);

/** HTTP requests made by the connection of the session. */
size_t acme_session_requests(const acme_session *session);

/** From now on no wait of this session ends later than that many seconds from now. */
void acme_session_limit(acme_session *session, int64_t seconds);

/**
 * Waits; AW_CODE_INTERRUPTED when `stop` said so, AW_CODE_TIMEOUT at once when the wait would end
 * after the session's limit. `why` is told through `waiting`.
 */
AW_MUST_USE aw_result acme_wait(acme_session *session, const char *why, int64_t ms);

/**
 * The next wait in milliseconds: Retry-After when it is over 0 (at most ACME_RETRY_AFTER_MAX
 * seconds), else ACME_BACKOFF_FIRST_MS doubled at each call up to ACME_BACKOFF_MAX_MS. *last_ms
 * begins as 0, or as half of another first wait.
 */
int64_t acme_backoff(int64_t *last_ms, int64_t retry_after);

/**
 * Refuses a URL of the CA's that is not https on the origin of `pinned` (attack 26), byte for byte
 * as the signer compares. `what` names it: "order", "finalize" ...
 */
AW_MUST_USE aw_result acme_url_check(const char *pinned, const char *url, const char *what);

/** Refuses an answer of another media type. */
AW_MUST_USE aw_result acme_expect_type(
    const struct http_response *response, const char *type, const char *what);

/** Gives the JWS for a nonce, and where to post it. Both allocated. */
typedef aw_result (*acme_signer)(void *context, const char *nonce, char **url, char **jws);

/**
 * Posts a signed request. The nonce comes from the pool, or newNonce. badNonce: signed again with
 * the nonce of that very answer. 429 and 503 wait for Retry-After within ACME_RETRY_AFTER_MAX;
 * other 5xx and dropped connections back off, where `idempotent`. An error status that is left
 * fails with its problem. (libcurl itself sends a request again when a connection that was used
 * before ends without an answer; the nonce keeps the CA from taking it twice.)
 */
AW_MUST_USE aw_result acme_post(acme_session *session, acme_signer sign, void *context,
    bool idempotent, const char *what, struct http_response *out);

/** Type of the problem that this session's last acme_post failed with; "" when it was none. */
const char *acme_session_problem(const acme_session *session);

/** That problem whole, or the one of an order or challenge that issue_certificate failed with; type
 * "" and status 0 when the CA told none. */
const struct acme_problem *acme_session_told(const acme_session *session);

/** Keeps a copy of a problem that came in an object of the CA's, for acme_session_told. */
AW_MUST_USE aw_result acme_session_keep(acme_session *session, const struct acme_problem *problem);

/** Seconds that the CA asked to wait with the answer that acme_post failed with; -1: none. */
int64_t acme_session_retry_after(const acme_session *session);

/** Order and authorization states (RFC 8555 7.1.6). An unknown one is a failure, not a wait. */
enum acme_status {
    ACME_PENDING,
    ACME_READY,
    ACME_PROCESSING,
    ACME_VALID,
    ACME_INVALID,
    ACME_DEACTIVATED,
    ACME_EXPIRED,
    ACME_REVOKED,
};

/** Name as in RFC 8555. */
const char *acme_status_name(enum acme_status status);

/** An order object (RFC 8555 7.1.3). Release: acme_order_free. */
struct acme_order {
    enum acme_status status;
    struct aw_name *names; /**< sorted */
    size_t name_count;
    char **authorizations; /**< URLs, sorted */
    size_t authorization_count;
    char *finalize;
    char *certificate;           /**< NULL until valid */
    char *profile;               /**< NULL: none told */
    struct acme_problem problem; /**< of an invalid order; type "" when none was told */
};

/** Parses an order. */
AW_MUST_USE aw_result acme_order_parse(const char *text, size_t size, struct acme_order *out);

/**
 * Refuses (AW_CODE_MISMATCH) a later state of an order whose identifiers, authorizations or
 * finalize URL changed (RFC 8555 7.1.3).
 */
AW_MUST_USE aw_result acme_order_check_same(
    const struct acme_order *first, const struct acme_order *later);

/** Releases and zeroes. */
void acme_order_free(struct acme_order *order);

/** A challenge that we know how to answer; others are left out. */
struct acme_challenge {
    char type[32]; /**< "http-01" ... */
    enum acme_status status;
    char *url;
    char token[ACME_TOKEN_MAX + 1]; /**< base64url characters only: it becomes a file name */
    struct acme_problem problem;
};

/**
 * An authorization object (RFC 8555 7.1.4). Challenges are read where the state is pending or
 * invalid: a valid one needs none. Release: acme_authorization_free.
 */
struct acme_authorization {
    enum acme_status status;
    struct aw_name name;
    bool wildcard;
    struct acme_challenge *challenges;
    size_t challenge_count;
    size_t ignored_challenges;                   /**< of types that we do not know */
    char ignored_types[ACME_IGNORED_TYPES_SIZE]; /**< "sectigo-email-01, ...", as far as it fits */
};

/** Parses an authorization. */
AW_MUST_USE aw_result acme_authorization_parse(
    const char *text, size_t size, struct acme_authorization *out);

/** Releases and zeroes. */
void acme_authorization_free(struct acme_authorization *authorization);

#endif
