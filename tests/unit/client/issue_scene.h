/**
 * @file issue_scene.h
 * @brief What tests of issue share: the answers of a CA, a caller that writes down what it was
 * asked, and both servers.
 */
#ifndef AW_TESTS_ISSUE_SCENE_H
#define AW_TESTS_ISSUE_SCENE_H

#include "client/issue.h"
#include "scripted_ca.h"
#include "scripted_signer.h"

#define JSON "Content-Type: application/json\r\n"
#define PROBLEM "Content-Type: application/problem+json\r\n"
#define PEM "Content-Type: application/pem-certificate-chain\r\n"
#define LOCATION "Location: $B/order/1\r\n"
#define TYPE(type) "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"told so\"}"

#define DNS(name) "{\"type\":\"dns\",\"value\":\"" name "\"}"
#define NAMES DNS("a.example.edu") "," DNS("*.example.edu")
#define ORDER_OF(status, names, authorizations, finalize, more)                                  \
    "{\"status\":\"" status "\",\"identifiers\":[" names "],\"authorizations\":[" authorizations \
    "],\"finalize\":\"" finalize "\"" more "}"
#define ORDER_MORE(status, more) \
    ORDER_OF(status, NAMES, "\"$B/authz/1\",\"$B/authz/2\"", "$B/finalize/1", more)
#define ORDER(status) ORDER_MORE(status, "")
#define VALID ORDER_MORE("valid", ",\"certificate\":\"$B/cert/1\"")

#define NONCE                                    \
    {                                            \
        "HEAD /nonce", 200, NULL, NULL, CA_PLAIN \
    }
#define OPENED(body)                                          \
    {                                                         \
        "POST /new-order", 201, JSON LOCATION, body, CA_PLAIN \
    }
#define READY OPENED(ORDER("ready"))
#define PENDING OPENED(ORDER("pending"))
#define FINALIZED(body)                               \
    {                                                 \
        "POST /finalize/1", 200, JSON, body, CA_PLAIN \
    }
#define POLLED(body)                               \
    {                                              \
        "POST /order/1", 200, JSON, body, CA_PLAIN \
    }
#define CHAIN                                                \
    {                                                        \
        "POST /cert/1", 200, PEM, "-----BEGIN ...", CA_PLAIN \
    }

#define AUTHORIZATION(number, name, status, more)                                     \
    {                                                                                 \
        "POST /authz/" number, 200, JSON,                                             \
            "{\"status\":\"" status "\",\"identifier\":" DNS(name) more "}", CA_PLAIN \
    }
#define HTTP01(number, status)                                                                    \
    ",\"challenges\":[{\"type\":\"sectigo-email-01\"},{\"type\":\"http-01\",\"status\":\"" status \
    "\",\"url\":\"$B/challenge/" number "\",\"token\":\"tok-" number "\"}]"
#define DNS01(number)                                                                         \
    ",\"wildcard\":true,\"challenges\":[{\"type\":\"dns-01\",\"status\":\"pending\",\"url\":" \
    "\"$B/challenge/" number "\",\"token\":\"tok-" number "\"}]"
#define ANSWERED(number)                                                         \
    {                                                                            \
        "POST /challenge/" number, 200, JSON, "{\"type\":\"http-01\"}", CA_PLAIN \
    }
#define WILDCARD ",\"wildcard\":true"

/** The caller's part: writes down what it was asked. */
struct caller {
    char log[4096];
    const char *choice; /**< "first": the first that is offered; NULL: none is possible */
    bool deploy_fails;
    bool spoils; /**< cleaning up leaves a failure of its own behind */
};

/** Both servers, and the names that are ordered. */
struct scene {
    struct scripted_ca ca;
    struct scripted_signer signer;
    struct aw_name names[2];
};

/** Starts both. */
void scene_start(struct scene *scene);

/** Stops both; for AW_CLEANUP. */
void scene_stop(struct scene *scene);

/** Issues with callbacks of one's own; `profile` may be NULL. */
aw_result scene_issue_with(struct scene *scene, const char *profile,
    const struct issue_callbacks *callbacks, struct issue_result *out);

/** Issues for the caller. */
aw_result scene_issue(struct scene *scene, struct caller *caller, struct issue_result *out);

#endif
