/* One certificate from order to download, against a scripted CA and a scripted signer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/issue.h"
#include "common/io.h"
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

/* The caller's part: writes down what it was asked. */
struct caller {
    char log[4096];
    const char *choice; /* NULL: none is possible */
    bool deploy_fails;
    bool spoils; /* cleaning up leaves a failure of its own behind */
};

static void note(struct caller *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
note(struct caller *c, const char *format, ...)
{
    size_t used = strlen(c->log);
    va_list ap;

    va_start(ap, format);
    vsnprintf(c->log + used, sizeof(c->log) - used, format, ap);
    va_end(ap);
}

static const char *
choose(void *context, const struct acme_authorization *authorization)
{
    struct caller *c = context;

    if (c->choice == NULL) {
        aw_ignore(aw_fail(AW_CODE_USAGE, "no way to answer for %s", authorization->name.text),
            "NULL tells it");
        return NULL;
    }
    return strcmp(c->choice, "first") == 0 ? authorization->challenges[0].type : c->choice;
}

static aw_result
deploy(void *context, const struct issue_challenge *challenge)
{
    struct caller *c = context;

    if (c->deploy_fails)
        return aw_fail(AW_CODE_IO, "can't write %s", challenge->token);
    note(c, "deploy %s %s %s %s\n", challenge->name->text, challenge->type, challenge->token,
        challenge->key_authorization);
    return AW_OK;
}

static void
cleanup(void *context, const struct issue_challenge *challenge)
{
    struct caller *c = context;

    note(c, "cleanup %s\n", challenge->token);
    if (c->spoils)
        aw_ignore(aw_fail(AW_CODE_IO, "can't remove"), "as a real one would");
}

static void
progress(void *context, enum issue_step step, const char *name, const char *detail)
{
    note(context, "%s%s%s%s%s\n", issue_step_text(step), name != NULL ? " " : "",
        name != NULL ? name : "", detail != NULL ? " " : "", detail != NULL ? detail : "");
}

/* All that a row needs. */
struct scene {
    struct scripted_ca ca;
    struct scripted_signer signer;
    struct aw_name names[2];
};

static void
scene_start(struct scene *scene)
{
    scripted_ca_start(&scene->ca, NULL);
    scripted_signer_start(&scene->signer, scene->ca.base);
    assert_true(aw_ok(aw_name_parse("*.example.edu", 13, &scene->names[0])));
    assert_true(aw_ok(aw_name_parse("a.example.edu", 13, &scene->names[1])));
}

static void
scene_stop(struct scene *scene)
{
    scripted_signer_stop(&scene->signer);
    scripted_ca_stop(&scene->ca);
}

static aw_result
issue_with(struct scene *scene, const char *profile, const struct issue_callbacks *callbacks,
    struct issue_result *out)
{
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(acme_session_free) acme_session *session = NULL;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    struct http_options options = {.ca_file = scene->ca.ca_file};
    struct issue_request request = {.thumbprint = "THUMB",
        .profile = profile,
        .names = scene->names,
        .name_count = 2,
        .csr = (const uint8_t *)"csr",
        .csr_size = 3};
    char nonce[96];

    snprintf(nonce, sizeof(nonce), "%s/nonce", scene->ca.base);
    AW_TRY(http_open(&options, &h));
    AW_TRY(acme_session_new(h, nonce, NULL, &session));
    AW_TRY(signer_link_open(scene->signer.path, getuid(), &link));
    aw_result r = issue_certificate(session, link, &request, callbacks, out);
    scripted_ca_settle(&scene->ca);
    scripted_signer_settle(&scene->signer);
    return r;
}

static aw_result
issue(struct scene *scene, struct caller *caller, struct issue_result *out)
{
    struct issue_callbacks callbacks = {choose, deploy, cleanup, progress, caller};

    return issue_with(scene, NULL, &callbacks, out);
}

/* The floor: four requests on one connection, and what the signer is told in between. */
static void
issues_a_prevalidated_order_in_four_requests(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, FINALIZED(VALID), CHAIN};
    AW_CLEANUP(scene_stop) struct scene scene;
    AW_CLEANUP(issue_result_free) struct issue_result result = {0};
    struct caller caller = {.choice = NULL};
    char expected[256];

    (void)state;
    scene_start(&scene);
    scripted_ca_load(&scene.ca, answers, AW_COUNT(answers));
    scripted_signer_load(&scene.signer, NULL, 0);
    assert_true(aw_ok(issue(&scene, &caller, &result)));
    assert_true(scripted_ca_check(&scene.ca, "floor"));
    assert_string_equal(scene.ca.used, "n1\nn2\nn3\n");
    assert_int_equal(scene.ca.connections, 1);
    assert_string_equal(
        scene.signer.calls, "NewOrder\nClaimUrls\nFinalize\nClaimUrls\nPostAsGet\n");
    assert_int_equal(scene.signer.claim_count, 3);
    assert_string_equal(scene.signer.claims[0].kind, "order");
    assert_string_equal(scene.signer.claims[1].kind, "finalize");
    assert_string_equal(scene.signer.claims[2].kind, "certificate");
    assert_string_equal(caller.log, "ordering\nfinalizing\ndownloading\ndone\n");
    assert_string_equal(result.chain, "-----BEGIN ...");
    assert_int_equal(result.chain_size, strlen(result.chain));
    assert_string_equal(result.order.application, "app");
    assert_int_equal(result.order.ticket, 1);
    assert_null(result.warning);
    assert_int_equal(result.validated, 0);
    assert_int_equal(result.requests, 4);
    snprintf(expected, sizeof(expected), "%s/order/1", scene.ca.base);
    assert_string_equal(result.order_url, expected);
    snprintf(expected, sizeof(expected), "%s/cert/1", scene.ca.base);
    assert_string_equal(result.certificate_url, expected);
}

/* Two names, one of them a wildcard: all are deployed, then answered, then awaited. */
static void
validates_what_is_pending(void **state)
{
    static const struct ca_answer answers[] = {NONCE, PENDING,
        AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
        AUTHORIZATION("2", "example.edu", "pending", DNS01("2")), ANSWERED("1"), ANSWERED("2"),
        AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "processing")),
        AUTHORIZATION("1", "a.example.edu", "valid", ""),
        AUTHORIZATION("2", "example.edu", "valid", WILDCARD), POLLED(ORDER("pending")),
        POLLED(ORDER("ready")), FINALIZED(ORDER("processing")), POLLED(VALID), CHAIN};
    AW_CLEANUP(scene_stop) struct scene scene;
    AW_CLEANUP(issue_result_free) struct issue_result result = {0};
    struct caller caller = {.choice = "first"};

    (void)state;
    scene_start(&scene);
    scripted_ca_load(&scene.ca, answers, AW_COUNT(answers));
    scripted_signer_load(&scene.signer, NULL, 0);
    aw_result r = issue(&scene, &caller, &result);
    assert_true(scripted_ca_check(&scene.ca, "pending"));
    assert_true(aw_ok(r));
    assert_int_equal(result.validated, 2);
    assert_int_equal(scene.signer.claim_count, 7);
    assert_string_equal(scene.signer.claims[3].kind, "authorization");
    assert_string_equal(scene.signer.claims[4].kind, "challenge");
    assert_string_equal(scene.signer.claims[6].kind, "certificate");
    assert_string_equal(caller.log,
        "ordering\n"
        "authorizing a.example.edu http-01\ndeploy a.example.edu http-01 tok-1 tok-1.THUMB\n"
        "authorizing example.edu dns-01\ndeploy example.edu dns-01 tok-2 tok-2.THUMB\n"
        "cleanup tok-1\ncleanup tok-2\n"
        "waiting for the CA pending\nwaiting for the CA pending\n"
        "finalizing\nwaiting for the CA processing\ndownloading\ndone\n");
    assert_int_equal(result.requests, AW_COUNT(answers));
}

enum { ANSWERS_MAX = 12, CHANGES_MAX = 3 };

/* Scripts with their outcome; `log`: words that the caller's log must have. */
static const struct {
    const char *name;
    struct ca_answer answers[ANSWERS_MAX];
    struct signer_change changes[CHANGES_MAX];
    struct caller caller;
    enum aw_code code;
    const char *words, *hint, *log;
} rows[] = {
    /* Sequences that end well. */
    {.name = "authorizations that are valid already are left alone",
        .answers = {NONCE, PENDING, AUTHORIZATION("1", "a.example.edu", "valid", ""),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD), POLLED(ORDER("ready")),
            FINALIZED(VALID), CHAIN}},
    {.name = "a challenge that was answered before is not answered again",
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "processing")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD),
            AUTHORIZATION("1", "a.example.edu", "valid", ""), POLLED(ORDER("ready")),
            FINALIZED(VALID), CHAIN},
        .caller = {.choice = "http-01"},
        .log = "cleanup tok-1"},
    {.name = "an answer to a challenge is lost",
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD),
            {"POST /challenge/1", 500, NULL, NULL, CA_PLAIN},
            AUTHORIZATION("1", "a.example.edu", "valid", ""), POLLED(ORDER("ready")),
            FINALIZED(VALID), CHAIN},
        .caller = {.choice = "http-01"}},
    {.name = "badNonce on the order: the last ticket counts",
        .answers = {NONCE, {"POST /new-order", 400, PROBLEM, TYPE("badNonce"), CA_PLAIN}, READY,
            FINALIZED(VALID), CHAIN}},
    {.name = "finalize's answer is lost, the order tells",
        .answers = {NONCE, READY, {"POST /finalize/1", 502, NULL, NULL, CA_PLAIN}, POLLED(VALID),
            CHAIN}},
    {.name = "finalize arrived twice",
        .answers = {NONCE, READY,
            {"POST /finalize/1", 403, PROBLEM, TYPE("orderNotReady"), CA_PLAIN},
            POLLED(ORDER("processing")), POLLED(VALID), CHAIN}},
    {.name = "finalize never arrived",
        .answers = {NONCE, READY, {"POST /finalize/1", 502, NULL, NULL, CA_PLAIN},
            POLLED(ORDER("ready")), POLLED(ORDER("ready")), FINALIZED(VALID), CHAIN}},
    {.name = "unknown members and alternate chains",
        .answers = {NONCE, OPENED(ORDER_MORE("ready", ",\"replaces\":\"x\"")), FINALIZED(VALID),
            {"POST /cert/1", 200, PEM "Link: <$B/cert/2>;rel=\"alternate\"\r\n", "x", CA_PLAIN}}},
    /* Orders that are not what was asked, or that change. */
    {.name = "a name less",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE,
            OPENED(ORDER_OF("ready", DNS("a.example.edu"), "\"$B/authz/1\"", "$B/finalize/1", ""))},
        .words = "the CA's order has 1 names (a.example.edu ...), asked were 2"},
    {.name = "another name",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, OPENED(ORDER_OF("ready", DNS("a.example.edu") "," DNS("b.example.edu"),
                               "\"$B/authz/1\"", "$B/finalize/1", ""))},
        .words = "asked were 2 (*.example.edu ...)"},
    {.name = "no Location",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, {"POST /new-order", 201, JSON, ORDER("ready"), CA_PLAIN}},
        .words = "ordering: the answer has no Location"},
    {.name = "an order with a status of the CA's own",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, OPENED(ORDER("accepted"))},
        .words = "status: found \"accepted\""},
    {.name = "a new order that is valid already",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, OPENED(VALID)},
        .words = "valid already, for a key that is not ours"},
    {.name = "a new order that is invalid",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, OPENED(ORDER("invalid"))},
        .words = "made the order invalid and tells "
                 "no reason"},
    {.name = "authorizations that change",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, READY,
            FINALIZED(ORDER_OF(
                "processing", NAMES, "\"$B/authz/1\",\"$B/authz/3\"", "$B/finalize/1", ""))},
        .words = "changed the order's authorizations"},
    {.name = "names that change",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, READY, FINALIZED(ORDER("processing")),
            POLLED(ORDER_OF("valid", DNS("a.example.edu") "," DNS("evil.example"),
                "\"$B/authz/1\",\"$B/authz/2\"", "$B/finalize/1", ""))},
        .words = "changed the order's identifiers"},
    {.name = "an unknown status while polling",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, READY, FINALIZED(ORDER("processing")), POLLED(ORDER("shipped"))},
        .words = "status: found \"shipped\""},
    /* Attack 26. */
    {.name = "attack 26: an order URL elsewhere",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, {"POST /new-order", 201, JSON "Location: https://evil.example/o\r\n",
                               ORDER("ready"), CA_PLAIN}},
        .words = "order URL https://evil.example/o is not on the pinned origin"},
    {.name = "attack 26: a finalize URL elsewhere",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE,
            OPENED(ORDER_OF("ready", NAMES, "\"$B/authz/1\"", "https://evil.example/f", ""))},
        .words = "finalize URL https://evil.example/f is not on the pinned origin"},
    {.name = "attack 26: an authorization elsewhere",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE,
            OPENED(ORDER_OF("pending", NAMES, "\"https://evil.example/z\"", "$B/finalize/1", ""))},
        .words = "authorization URL https://evil.example/z is not on the pinned origin"},
    {.name = "attack 26: a challenge elsewhere",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending",
                ",\"challenges\":[{\"type\":\"http-01\",\"status\":\"pending\",\"token\":\"t\","
                "\"url\":\"https://evil.example/c\"}]"),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD)},
        .caller = {.choice = "http-01"},
        .words = "challenge URL https://evil.example/c is not on the pinned origin"},
    {.name = "attack 26: a certificate elsewhere",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, READY,
            FINALIZED(ORDER_MORE("valid", ",\"certificate\":\"https://evil.example/c\""))},
        .words = "certificate URL https://evil.example/c is not on the pinned origin"},
    {.name = "attack 26: a redirect",
        .code = AW_CODE_CA_UNAVAILABLE,
        .answers = {NONCE,
            {"POST /new-order", 308, "Location: https://evil.example/\r\n", NULL, CA_PLAIN}},
        .words = "(HTTP 308) to https://evil.example/, which is not followed"},
    /* Authorizations. */
    {.name = "attack 109: a token with ../",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending",
                ",\"challenges\":[{\"type\":\"http-01\",\"status\":\"pending\",\"token\":"
                "\"../x\",\"url\":\"$B/challenge/1\"}]")},
        .caller = {.choice = "http-01"},
        .words = "token: found \"../x\""},
    {.name = "an authorization for a name that was not ordered",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "evil.example", "pending", HTTP01("1", "pending"))},
        .caller = {.choice = "http-01"},
        .words = "wants evil.example validated, which was not"},
    {.name = "a wildcard's authorization for a plain name",
        .code = AW_CODE_MISMATCH,
        .answers = {NONCE, PENDING, AUTHORIZATION("1", "a.example.edu", "pending", DNS01("1"))},
        .caller = {.choice = "dns-01"},
        .words = "wants *.a.example.edu validated"},
    {.name = "an authorization that is expired",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, PENDING, AUTHORIZATION("1", "a.example.edu", "expired", "")},
        .words = "validating a.example.edu: the CA made it expired"},
    {.name = "no challenge that we know",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending",
                ",\"challenges\":[{\"type\":\"sectigo-email-01\"}]"),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD)},
        .caller = {.choice = "http-01"},
        .words = "offered are 0 that acmeward knows and, not known to it, sectigo-email-01",
        .hint = "--webroot"},
    {.name = "no challenge that the caller can meet",
        .code = AW_CODE_USAGE,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD)},
        .words = "no way to answer for a.example.edu"},
    {.name = "a choice that was not offered",
        .code = AW_CODE_INTERNAL,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD)},
        .caller = {.choice = "tls-alpn-01"},
        .words = "chose the challenge tls-alpn-01"},
    {.name = "a challenge that can't be deployed",
        .code = AW_CODE_IO,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD)},
        .caller = {.choice = "http-01", .deploy_fails = true},
        .words = "can't write tok-1"},
    {.name = "a validation that fails is cleaned up, and says why",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD), ANSWERED("1"),
            AUTHORIZATION("1", "a.example.edu", "invalid",
                ",\"challenges\":[{\"type\":\"http-01\",\"status\":\"invalid\",\"url\":\"$B/c\","
                "\"token\":\"t\",\"error\":" TYPE("connection") "}]")},
        .caller = {.choice = "http-01", .spoils = true},
        .words = "validating a.example.edu: http-01: the CA says connection: told so",
        .hint = "check DNS, firewall",
        .log = "cleanup tok-1"},
    {.name = "an answer that is refused",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, PENDING,
            AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD),
            {"POST /challenge/1", 403, PROBLEM, TYPE("unauthorized"), CA_PLAIN}},
        .caller = {.choice = "http-01"},
        .words = "unauthorized (HTTP 403): told so",
        .log = "cleanup tok-1"},
    {.name = "an order that fails after its authorizations",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, PENDING, AUTHORIZATION("1", "a.example.edu", "valid", ""),
            AUTHORIZATION("2", "example.edu", "valid", WILDCARD),
            POLLED(ORDER_MORE("invalid", ",\"error\":" TYPE("caa")))},
        .words = "validating the names: the CA says caa: told so",
        .hint = "CAA record"},
    /* Finalize and the certificate. */
    {.name = "finalize is refused",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, READY, {"POST /finalize/1", 400, PROBLEM, TYPE("badCSR"), CA_PLAIN}},
        .words = "finalizing: the CA says badCSR (HTTP 400): told so"},
    {.name = "finalize comes too early",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, READY,
            {"POST /finalize/1", 403, PROBLEM, TYPE("orderNotReady"), CA_PLAIN},
            POLLED(ORDER("pending"))},
        .words = "finalizing: the CA says orderNotReady (HTTP 403): told so"},
    {.name = "an order that fails while processing",
        .code = AW_CODE_CA_REFUSED,
        .answers = {NONCE, READY, FINALIZED(ORDER("processing")),
            POLLED(ORDER_MORE("invalid", ",\"error\":" TYPE("rejectedIdentifier")))},
        .words = "finalizing: the CA says rejectedIdentifier: told so"},
    {.name = "an order that is valid without a certificate",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, READY, FINALIZED(ORDER("valid"))},
        .words = "names no certificate"},
    {.name = "an order as text",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, {"POST /new-order", 201, "Content-Type: text/plain\r\n" LOCATION,
                               ORDER("ready"), CA_PLAIN}},
        .words = "ordering: the answer's media type is text/plain, expected application/json"},
    {.name = "a finalize answer without a media type",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, READY, {"POST /finalize/1", 200, NULL, VALID, CA_PLAIN}},
        .words = "finalizing: the answer's media type is not told"},
    {.name = "a certificate as DER",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, READY, FINALIZED(VALID),
            {"POST /cert/1", 200, "Content-Type: application/pkix-cert\r\n", "x", CA_PLAIN}},
        .words = "application/pkix-cert, expected application/pem-certificate-chain"},
    {.name = "attack 109: a certificate with a NUL",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, READY, FINALIZED(VALID), {"POST /cert/1", 200, PEM, "ab", CA_NUL_BODY}},
        .words = "the CA's certificate has a NUL at octet 2"},
    {.name = "an empty certificate",
        .code = AW_CODE_SYNTAX,
        .answers = {NONCE, READY, FINALIZED(VALID), {"POST /cert/1", 200, PEM, NULL, CA_PLAIN}},
        .words = "the CA's certificate is empty"},
    /* The signer. */
    {.name = "the policy refuses the order",
        .code = AW_CODE_REFUSED,
        .answers = {NONCE},
        .changes = {{"NewOrder", "PolicyRefused", "{\"rule\":\"names\",\"message\":\"no\"}",
            false}},
        .words = "refused: no (rule names)"},
    {.name = "another application has the order's URLs",
        .code = AW_CODE_REFUSED,
        .answers = {NONCE, READY},
        .changes = {{"ClaimUrls", "LedgerRefused", "{\"rule\":\"url.taken\",\"message\":\"no\"}",
            false}},
        .words = "refused: no (rule url.taken)"},
    {.name = "the policy has changed at finalize",
        .code = AW_CODE_REFUSED,
        .answers = {NONCE, READY},
        .changes = {{"Finalize", "PolicyRefused", "{\"rule\":\"expired\",\"message\":\"no\"}",
            false}},
        .words = "refused: no (rule expired)"},
    {.name = "the signer is away for the certificate",
        .code = AW_CODE_UNAVAILABLE,
        .answers = {NONCE, READY, FINALIZED(VALID)},
        .changes = {{"PostAsGet", "Unavailable", "{\"tag\":\"token-gone\",\"message\":\"gone\"}",
            false}},
        .words = "the signer can't sign now: gone"},
};

static size_t
count_answers(const struct ca_answer *answers)
{
    size_t count = 0;

    while (count < ANSWERS_MAX && answers[count].request != NULL)
        count++;
    return count;
}

static size_t
count_changes(const struct signer_change *changes)
{
    size_t count = 0;

    while (count < CHANGES_MAX && changes[count].method != NULL)
        count++;
    return count;
}

static bool
has(const char *text, const char *words)
{
    return words == NULL || strstr(text, words) != NULL;
}

static void
issues_by_script(void **state)
{
    AW_CLEANUP(scene_stop) struct scene scene;
    unsigned failed = 0;

    (void)state;
    scene_start(&scene);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(issue_result_free) struct issue_result result = {0};
        struct caller caller = rows[i].caller;

        scripted_ca_load(&scene.ca, rows[i].answers, count_answers(rows[i].answers));
        scripted_signer_load(&scene.signer, rows[i].changes, count_changes(rows[i].changes));
        aw_result r = issue(&scene, &caller, &result);
        const struct aw_error *error = aw_error_last();
        bool told = aw_ok(r) ? result.chain != NULL
                             : result.chain == NULL && has(error->message, rows[i].words) &&
                                   has(error->hint, rows[i].hint);
        if (scripted_ca_check(&scene.ca, rows[i].name) && r.code == rows[i].code && told &&
            has(caller.log, rows[i].log))
            continue;
        failed++;
        print_error("%s: found %s: %s (%s); calls %s, log %s\n", rows[i].name, aw_code_tag(r.code),
            aw_ok(r) ? "" : error->message, aw_ok(r) ? "" : error->hint, scene.signer.calls,
            caller.log);
    }
    assert_int_equal(failed, 0);
}

/* An order that stays "ready" is finalized a few times, then given up. */
static void
gives_up_on_an_order_that_stays_ready(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, FINALIZED(ORDER("ready")),
        POLLED(ORDER("ready")), FINALIZED(ORDER("ready")), POLLED(ORDER("ready")),
        FINALIZED(ORDER("ready")), POLLED(ORDER("ready")), FINALIZED(ORDER("ready")),
        POLLED(ORDER("ready"))};
    AW_CLEANUP(scene_stop) struct scene scene;
    AW_CLEANUP(issue_result_free) struct issue_result result = {0};
    struct caller caller = {.choice = NULL};

    (void)state;
    scene_start(&scene);
    scripted_ca_load(&scene.ca, answers, AW_COUNT(answers));
    scripted_signer_load(&scene.signer, NULL, 0);
    assert_int_equal(issue(&scene, &caller, &result).code, AW_CODE_CA_REFUSED);
    assert_non_null(strstr(aw_error_last()->message, "the CA made the order ready"));
    assert_true(scripted_ca_check(&scene.ca, "ready"));
}

static void
passes_on_warnings_and_tickets(void **state)
{
    static const struct ca_answer answers[] = {NONCE,
        {"POST /new-order", 400, PROBLEM, TYPE("badNonce"), CA_PLAIN}, READY, FINALIZED(VALID),
        CHAIN};
    AW_CLEANUP(scene_stop) struct scene scene;
    AW_CLEANUP(issue_result_free) struct issue_result result = {0};
    struct caller caller = {.choice = NULL};
    char reply[512];

    (void)state;
    scene_start(&scene);
    snprintf(reply, sizeof(reply),
        "{\"application\":\"app\",\"order\":41,\"url\":\"%s\",\"warning\":\"beyond the policy\","
        "\"jws\":{\"protected\":\"\",\"payload\":\"\",\"signature\":\"\"}}",
        scene.signer.new_order);
    struct signer_change change = {"NewOrder", NULL, reply, false};
    scripted_ca_load(&scene.ca, answers, AW_COUNT(answers));
    scripted_signer_load(&scene.signer, &change, 1);
    assert_true(aw_ok(issue(&scene, &caller, &result)));
    assert_string_equal(result.warning, "beyond the policy");
    assert_int_equal(result.order.ticket, 1); /* of the second NewOrder */
    assert_non_null(strstr(scene.signer.log, "ClaimUrls {\"application\":\"app\",\"order\":1,"));
    assert_null(strstr(scene.signer.log, "\"order\":41"));
}

static const struct {
    const char *name, *asked;
    struct ca_answer answer;
    enum aw_code code;
} profile_rows[] = {
    {"the CA tells none", "short", READY, AW_CODE_OK},
    {"the same", "short", OPENED(ORDER_MORE("ready", ",\"profile\":\"short\"")), AW_CODE_OK},
    {"another", "short", OPENED(ORDER_MORE("ready", ",\"profile\":\"classic\"")), AW_CODE_MISMATCH},
    {"the CA's own", NULL, OPENED(ORDER_MORE("ready", ",\"profile\":\"classic\"")), AW_CODE_OK},
};

static void
checks_the_profile(void **state)
{
    AW_CLEANUP(scene_stop) struct scene scene;
    unsigned failed = 0;

    (void)state;
    scene_start(&scene);
    for (size_t i = 0; i < AW_COUNT(profile_rows); i++) {
        AW_CLEANUP(issue_result_free) struct issue_result result = {0};
        const struct issue_callbacks none = {.context = NULL};
        const struct ca_answer answers[] = {NONCE, profile_rows[i].answer, FINALIZED(VALID), CHAIN};

        scripted_ca_load(
            &scene.ca, answers, profile_rows[i].code == AW_CODE_OK ? AW_COUNT(answers) : 2);
        scripted_signer_load(&scene.signer, NULL, 0);
        aw_result r = issue_with(&scene, profile_rows[i].asked, &none, &result);
        bool asked = strstr(scene.signer.log, "\"profile\":\"short\"") != NULL;
        if (scripted_ca_check(&scene.ca, profile_rows[i].name) && r.code == profile_rows[i].code &&
            asked == (profile_rows[i].asked != NULL))
            continue;
        failed++;
        print_error("%s: found %s\n", profile_rows[i].name, aw_code_tag(r.code));
    }
    assert_int_equal(failed, 0);
}

/* Without callbacks an order that needs a challenge fails, and says so. */
static void
needs_no_callbacks_where_nothing_is_to_be_met(void **state)
{
    static const struct ca_answer answers[] = {NONCE, PENDING,
        AUTHORIZATION("1", "a.example.edu", "pending", HTTP01("1", "pending")),
        AUTHORIZATION("2", "example.edu", "valid", WILDCARD)};
    AW_CLEANUP(scene_stop) struct scene scene;
    AW_CLEANUP(issue_result_free) struct issue_result result = {0};
    const struct issue_callbacks none = {.context = NULL};

    (void)state;
    scene_start(&scene);
    scripted_ca_load(&scene.ca, answers, AW_COUNT(answers));
    scripted_signer_load(&scene.signer, NULL, 0);
    assert_int_equal(issue_with(&scene, NULL, &none, &result).code, AW_CODE_CA_REFUSED);
    assert_non_null(strstr(aw_error_last()->message, "no challenge can be met: offered are 1"));
    assert_true(scripted_ca_check(&scene.ca, "none"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issues_a_prevalidated_order_in_four_requests),
        cmocka_unit_test(validates_what_is_pending),
        cmocka_unit_test(issues_by_script),
        cmocka_unit_test(gives_up_on_an_order_that_stays_ready),
        cmocka_unit_test(passes_on_warnings_and_tickets),
        cmocka_unit_test(checks_the_profile),
        cmocka_unit_test(needs_no_callbacks_where_nothing_is_to_be_met),
    };

    scripted_ca_clean_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
