/**
 * @file request_fields.h
 * @brief Every parameter that a request can have, read from a JSON object as its form says. Private
 * to the files that know forms: request.c, relay_request.c, evidence.c.
 *
 * ACME's payloads (RFC 8555 7.4, 7.6) and the signer's own methods name their parameters alike, and
 * so are read by the same functions.
 */
#ifndef AW_SIGNER_REQUEST_FIELDS_H
#define AW_SIGNER_REQUEST_FIELDS_H

#include "signer/request.h"

/** Parameters: bit, member, reading function. */
#define REQUEST_FIELDS(X)                           \
    X(APPLICATION, "application", read_application) \
    X(EVIDENCE, "evidence", request_read_evidence)  \
    X(SEEN, "seen", request_read_seen)              \
    X(NONCE, "nonce", read_nonce)                   \
    X(IDENTIFIERS, "identifiers", read_identifiers) \
    X(PROFILE, "profile", read_profile)             \
    X(NOT_BEFORE, "notBefore", read_not_before)     \
    X(NOT_AFTER, "notAfter", read_not_after)        \
    X(REPLACES, "replaces", read_replaces)          \
    X(KEY, "key", read_key)                         \
    X(ORDER, "order", read_order)                   \
    X(URL, "url", read_url)                         \
    X(URLS, "urls", read_claims)                    \
    X(CSR, "csr", read_csr)                         \
    X(CERTIFICATE, "certificate", read_certificate) \
    X(CHAIN, "chain", read_chain)                   \
    X(REASON, "reason", read_reason)                \
    X(AGAIN, "again", request_read_again)           \
    X(REPEATED, "again", request_read_repeated)     \
    X(COUNT, "count", request_read_count)           \
    X(ACCOUNT, "account", request_read_account)     \
    X(THUMBPRINT, "thumbprint", request_read_thumbprint)

/** Parameters. */
enum request_field {
#define REQUEST_FIELD_ENUM(id, name, read) REQUEST_FIELD_##id,
    REQUEST_FIELDS(REQUEST_FIELD_ENUM)
#undef REQUEST_FIELD_ENUM
        REQUEST_FIELDS_END
};

/** The bit of a parameter in a form. */
#define REQUEST_BIT(id) (1u << REQUEST_FIELD_##id)

/** Which parameters there are. */
struct request_form {
    unsigned required;
    unsigned optional;
    bool
        foreign; /**< other members are left out of account, as ACME asks of servers (RFC 8555 6) */
};

/** One parameter: where it is read from and to. */
struct request_place {
    const cJSON *parameters;
    const char *name;
    struct sign_request *out;
};

/** Reads all of a form; out->operation stays, all else is written. Fails as sign_request_parse().
 */
AW_MUST_USE aw_result request_read(const struct request_form *form, const cJSON *parameters,
    struct sign_request *out, const char **field);

/** @name Parameters of a relay's requests (request_relayed.c). Fail as sign_request_parse(). @{ */
AW_MUST_USE aw_result request_read_evidence(const struct request_place *p);
AW_MUST_USE aw_result request_read_seen(const struct request_place *p);
AW_MUST_USE aw_result request_read_again(const struct request_place *p);
AW_MUST_USE aw_result request_read_repeated(const struct request_place *p);
AW_MUST_USE aw_result request_read_count(const struct request_place *p);
AW_MUST_USE aw_result request_read_account(const struct request_place *p);
AW_MUST_USE aw_result request_read_thumbprint(const struct request_place *p);
/** @} */

#endif
