/* Problem documents: their form, and what becomes which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "relay/problem.h"

static char refused_name[] = "www.example.edu", said[] = "not yours\x1b[31m";

static const struct {
    const char *name;
    const char *error;
    const char *rule;
    int64_t retry_after;
    const char *type;
    int status;
    int64_t answer_retry_after;
} refusals[] = {
    {"a name", "PolicyRefused", "names.none", -1, "rejectedIdentifier", 403, 0},
    {"the ceiling", "PolicyRefused", "account.ceiling", -1, "rejectedIdentifier", 403, 0},
    {"relays", "PolicyRefused", "relay.networks", -1, "unauthorized", 403, 0},
    {"a profile", "PolicyRefused", "profiles", -1, "invalidProfile", 400, 0},
    {"a key type", "PolicyRefused", "keys", -1, "badCSR", 400, 0},
    {"a quota", "LedgerRefused", "quota.orders_per_day", 3600, "rateLimited", 429, 3600},
    {"a quota without a time", "LedgerRefused", "quota.orders_per_day", -1, "rateLimited", 429,
        RELAY_RETRY_SECONDS},
    {"another's key", "LedgerRefused", "finalize.key", -1, "badCSR", 400, 0},
    {"no such order", "LedgerRefused", "order.unknown", -1, "malformed", 404, 0},
    {"another's certificate", "LedgerRefused", "revoke.key", -1, "unauthorized", 403, 0},
    {"a CSR", "CsrRefused", "extension", -1, "badCSR", 400, 0},
    {"a used nonce", "EvidenceRefused", "evidence.nonce", -1, "badNonce", 400, 0},
    {"an algorithm", "EvidenceRefused", "evidence.algorithm", -1, "badSignatureAlgorithm", 400, 0},
    {"a key", "EvidenceRefused", "evidence.key", -1, "badPublicKey", 400, 0},
    {"a signature", "EvidenceRefused", "evidence.signature", -1, "malformed", 400, 0},
    {"a URL", "EvidenceRefused", "evidence.url", -1, "unauthorized", 403, 0},
    {"a revoked binding", "EvidenceRefused", "evidence.binding.revoked", -1, "unauthorized", 403,
        0},
    {"a tag of tomorrow", "EvidenceRefused", "evidence.else", -1, "unauthorized", 403, 0},
    {"no rule", "PolicyRefused", NULL, -1, "unauthorized", 403, 0},
    {"frozen", "Frozen", NULL, -1, "serverInternal", 503, RELAY_RETRY_SECONDS},
    {"not ready", "NotReady", "account", -1, "serverInternal", 503, RELAY_RETRY_SECONDS},
    {"unavailable", "Unavailable", NULL, 5, "serverInternal", 503, 5},
    {"an error of tomorrow", "Else", NULL, -1, "serverInternal", 500, 0},
};

static void
refusals_of_the_signer(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(refusals); i++) {
        AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};
        char error[64], rule[64];
        struct signer_refusal refusal = {.error = error,
            .message = said,
            .name = refused_name,
            .retry_after = refusals[i].retry_after};

        snprintf(error, sizeof(error), "%s", refusals[i].error);
        if (refusals[i].rule != NULL) {
            snprintf(rule, sizeof(rule), "%s", refusals[i].rule);
            refusal.rule = rule;
        }
        relay_problem_map(&(struct aw_error){.code = AW_CODE_REFUSED}, &refusal, &problem);
        if (strcmp(relay_problem_name(problem.type), refusals[i].type) != 0 ||
            problem.status != refusals[i].status ||
            problem.retry_after != refusals[i].answer_retry_after)
            fail_msg("%s: %s %d, retry after %lld", refusals[i].name,
                relay_problem_name(problem.type), problem.status, (long long)problem.retry_after);
        if (strchr(problem.detail, '\x1b') != NULL)
            fail_msg("%s: what was said could drive a terminal", refusals[i].name);
        if (problem.subproblem_count != (problem.type == RELAY_REJECTED_IDENTIFIER ? 1 : 0))
            fail_msg("%s: %zu subproblems", refusals[i].name, problem.subproblem_count);
    }
}

static const struct {
    enum aw_code code;
    int status;
} errors[] = {
    {AW_CODE_UNAVAILABLE, 503},
    {AW_CODE_TIMEOUT, 503},
    {AW_CODE_CA_UNAVAILABLE, 503},
    {AW_CODE_BUSY, 503},
    {AW_CODE_MEMORY, 503},
    {AW_CODE_IO, 500},
    {AW_CODE_CORRUPT, 500},
    {AW_CODE_SYNTAX, 500},
    {AW_CODE_INTERNAL, 500},
    {AW_CODE_REFUSED, 500},
};

/* Paths, addresses and states in our own texts are nobody's business. */
static void
texts_of_our_own_failures_stay_here(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(errors); i++) {
        AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};
        struct aw_error error = {.code = errors[i].code, .message = "/var/lib/secret.db is gone"};

        relay_problem_map(&error, &(struct signer_refusal){0}, &problem);
        if (problem.status != errors[i].status || problem.type != RELAY_SERVER_INTERNAL)
            fail_msg("%s: %d", aw_code_tag(errors[i].code), problem.status);
        if (strstr(problem.detail, "secret") != NULL)
            fail_msg("%s: told \"%s\"", aw_code_tag(errors[i].code), problem.detail);
    }
}

static char busy[] = "too many", wrong[] = "CAA forbids";

static const struct {
    const char *name;
    struct acme_problem problem;
    int64_t retry_after;
    const char *type;
    int status;
    int64_t answer_retry_after;
} upstreams[] = {
    {"the name", {.status = 400, .type = "rejectedIdentifier", .detail = wrong}, -1,
        "rejectedIdentifier", 403, 0},
    {"CAA", {.status = 403, .type = "caa", .detail = wrong}, -1, "caa", 403, 0},
    {"a rate", {.status = 429, .type = "rateLimited", .detail = busy}, 120, "rateLimited", 429,
        120},
    {"a rate without a time", {.status = 429, .type = "rateLimited", .detail = busy}, -1,
        "rateLimited", 429, RELAY_RETRY_SECONDS},
    {"our nonce", {.status = 400, .type = "badNonce", .detail = wrong}, -1, "serverInternal", 500,
        0},
    {"our account", {.status = 400, .type = "accountDoesNotExist", .detail = wrong}, -1,
        "serverInternal", 500, 0},
    {"its fault", {.status = 500, .type = "serverInternal"}, -1, "serverInternal", 503,
        RELAY_RETRY_SECONDS},
    {"a type of its own", {.status = 400, .type = "urn:acme:else", .detail = wrong}, -1,
        "serverInternal", 500, 0},
};

static void
problems_of_the_ca(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(upstreams); i++) {
        AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};

        assert_true(aw_ok(
            relay_problem_upstream(&upstreams[i].problem, upstreams[i].retry_after, &problem)));
        if (strcmp(relay_problem_name(problem.type), upstreams[i].type) != 0 ||
            problem.status != upstreams[i].status ||
            problem.retry_after != upstreams[i].answer_retry_after)
            fail_msg("%s: %s %d, retry after %lld", upstreams[i].name,
                relay_problem_name(problem.type), problem.status, (long long)problem.retry_after);
        if (upstreams[i].problem.detail != NULL &&
            strstr(problem.detail, upstreams[i].problem.detail) == NULL)
            fail_msg("%s: \"%s\"", upstreams[i].name, problem.detail);
    }
}

/* RFC 8555 6.7, 6.7.1, 6.2 (algorithms). */
static void
the_document(void **state)
{
    AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};
    AW_CLEANUP(relay_response_free) struct relay_response response = {.nonce = "n"};
    struct aw_name name;

    (void)state;
    assert_true(aw_ok(aw_name_parse("www.example.edu", 15, &name)));
    assert_false(aw_ok(relay_problem_fail(&problem, RELAY_REJECTED_IDENTIFIER, "no \"%s\"", "x")));
    assert_true(aw_ok(relay_problem_add(&problem, RELAY_CAA, &name, "forbidden")));
    assert_true(aw_ok(relay_problem_respond(&problem, &response)));
    assert_string_equal(response.body,
        "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"status\":403,"
        "\"detail\":\"no \\\"x\\\"\",\"subproblems\":["
        "{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"forbidden\","
        "\"identifier\":{\"type\":\"dns\",\"value\":\"www.example.edu\"}}]}");
    assert_string_equal(response.content_type, "application/problem+json");
    assert_int_equal(response.status, 403);
    assert_string_equal(response.nonce, "n");

    assert_false(aw_ok(relay_problem_fail(&problem, RELAY_BAD_SIGNATURE_ALGORITHM, "no")));
    assert_true(aw_ok(relay_problem_respond(&problem, &response)));
    assert_non_null(strstr(
        response.body, "\"algorithms\":[\"ES256\",\"ES384\",\"ES512\",\"RS256\",\"EdDSA\"]"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_of_the_signer),
        cmocka_unit_test(texts_of_our_own_failures_stay_here),
        cmocka_unit_test(problems_of_the_ca),
        cmocka_unit_test(the_document),
    };
    return cmocka_run_group_tests_name("relay_problem", tests, NULL, NULL);
}
