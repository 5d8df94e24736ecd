/* What a CA or a signer may answer at each step of an issuance, and what comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "issue_scene.h"

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
        .words = "has lapsed, or it never had one; it offers sectigo-email-01",
        .hint = "whoever manages the domain at the CA"},
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
        .words = "refused: no"},
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
        .words = "refused: no"},
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
        aw_result r = scene_issue(&scene, &caller, &result);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issues_by_script),
    };

    scripted_ca_clean_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
