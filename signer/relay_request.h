/**
 * @file relay_request.h
 * @brief A relay's request, parsed: the methods of org.acmeward.Relay, and what is an operation of
 * the contract with a client's evidence in place of typed parameters.
 */
#ifndef AW_SIGNER_RELAY_REQUEST_H
#define AW_SIGNER_RELAY_REQUEST_H

#include "signer/request.h"

/** Methods: enum name, Varlink method, operation. GetNonces, FindAccount and GetAccount ask only,
 * and are none. */
#define RELAY_METHODS(X)                                              \
    X(GET_NONCES, "GetNonces", SIGN_WHOAMI)                           \
    X(FIND_ACCOUNT, "FindAccount", SIGN_WHOAMI)                       \
    X(GET_ACCOUNT, "GetAccount", SIGN_WHOAMI)                         \
    X(NEW_ACCOUNT, "NewAccount", SIGN_INNER_ACCOUNT)                  \
    X(CHANGE_KEY, "ChangeKey", SIGN_INNER_KEY_CHANGE)                 \
    X(DEACTIVATE_ACCOUNT, "DeactivateAccount", SIGN_INNER_DEACTIVATE) \
    X(NEW_ORDER, "NewOrder", SIGN_NEW_ORDER)                          \
    X(CLAIM_URLS, "ClaimUrls", SIGN_CLAIM)                            \
    X(FINALIZE, "Finalize", SIGN_FINALIZE)                            \
    X(POST_AS_GET, "PostAsGet", SIGN_POST_AS_GET)                     \
    X(ANSWER_CHALLENGE, "AnswerChallenge", SIGN_ANSWER_CHALLENGE)     \
    X(REVOKE, "Revoke", SIGN_REVOKE)                                  \
    X(RECORD_CERTIFICATE, "RecordCertificate", SIGN_RECORD_CERTIFICATE)

/** Methods. */
enum relay_method {
#define RELAY_METHOD_ENUM(name, method, operation) RELAY_##name,
    RELAY_METHODS(RELAY_METHOD_ENUM)
#undef RELAY_METHOD_ENUM
        RELAY_METHOD_COUNT
};

/** Finds a method by its Varlink name; false for an unknown one. */
bool relay_method_parse(const char *name, enum relay_method *out);

/** True for one that only asks: nothing is signed or recorded. */
bool relay_method_asks(enum relay_method method);

/** Parses the parameters of a call, as sign_request_parse() does. Release: sign_request_free. */
AW_MUST_USE aw_result relay_request_parse(enum relay_method method, const cJSON *parameters,
    struct sign_request *out, const char **field);

#endif
