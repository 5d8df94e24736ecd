/* What a CA answers: one text, read as directory, order, authorization and problem. */
#include "client/acme.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "fuzz.h"

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool
took(aw_result r)
{
    if (aw_ok(r))
        return true;
    fuzz_check_refusal(r);
    FUZZ_CHECK(aw_error_last()->hint[0] != '\0');
    return false;
}

static void
check_url(const char *url, bool required)
{
    FUZZ_CHECK(url != NULL || !required);
    FUZZ_CHECK(url == NULL || aw_ok(http_url_check(url)));
    FUZZ_CHECK(url == NULL || strncmp(url, "https://", 8) == 0);
}

static bool
check_directory(const char *text, size_t size)
{
    AW_CLEANUP(acme_directory_free) struct acme_directory directory;

    if (!took(acme_directory_parse(text, size, &directory)))
        return false;
    check_url(directory.new_nonce, true);
    check_url(directory.new_account, true);
    check_url(directory.new_order, true);
    check_url(directory.revoke_cert, false);
    check_url(directory.key_change, false);
    check_url(directory.renewal_info, false);
    fuzz_check_plain(directory.terms_of_service);
    fuzz_check_plain(directory.website);
    return true;
}

static void
check_problem(const struct acme_problem *problem)
{
    FUZZ_CHECK(problem->subproblem_count <= ACME_SUBPROBLEMS_MAX);
    fuzz_check_plain(problem->type);
    fuzz_check_plain(problem->detail);
    fuzz_check_plain(problem->instance);
    for (size_t i = 0; i < problem->subproblem_count; i++) {
        fuzz_check_plain(problem->subproblems[i].type);
        fuzz_check_plain(problem->subproblems[i].detail);
        fuzz_check_plain(problem->subproblems[i].identifier);
    }
    aw_result r = acme_problem_fail(problem, -1, "asking");
    FUZZ_CHECK(r.code == AW_CODE_CA_REFUSED || r.code == AW_CODE_CA_UNAVAILABLE);
    fuzz_check_refusal(r);
    fuzz_check_plain(aw_error_last()->message);
    fuzz_check_plain(aw_error_last()->hint);
}

static bool
check_order(const char *text, size_t size)
{
    AW_CLEANUP(acme_order_free) struct acme_order order;

    if (!took(acme_order_parse(text, size, &order)))
        return false;
    FUZZ_CHECK(order.name_count >= 1 && order.name_count <= ACME_NAMES_MAX);
    FUZZ_CHECK(order.authorization_count >= 1 && order.authorization_count <= ACME_NAMES_MAX);
    FUZZ_CHECK(order.status <= ACME_INVALID && acme_status_name(order.status) != NULL);
    fuzz_check_names(order.names, order.name_count);
    for (size_t i = 0; i < order.authorization_count; i++) {
        check_url(order.authorizations[i], true);
        FUZZ_CHECK(i == 0 || strcmp(order.authorizations[i - 1], order.authorizations[i]) < 0);
    }
    check_url(order.finalize, true);
    check_url(order.certificate, false);
    fuzz_check_plain(order.profile);
    check_problem(&order.problem);
    FUZZ_CHECK(aw_ok(acme_order_check_same(&order, &order)));
    return true;
}

static void
check_challenge(const struct acme_challenge *challenge)
{
    FUZZ_CHECK(challenge->token[0] != '\0');
    FUZZ_CHECK(challenge->token[strspn(challenge->token, base64url)] == '\0');
    FUZZ_CHECK(strcmp(challenge->type, "http-01") == 0 || strcmp(challenge->type, "dns-01") == 0 ||
               strcmp(challenge->type, "tls-alpn-01") == 0);
    check_url(challenge->url, true);
    check_problem(&challenge->problem);
}

static bool
check_authorization(const char *text, size_t size)
{
    AW_CLEANUP(acme_authorization_free) struct acme_authorization authorization;

    if (!took(acme_authorization_parse(text, size, &authorization)))
        return false;
    fuzz_check_name(&authorization.name);
    FUZZ_CHECK(authorization.name.form != AW_NAME_WILDCARD);
    FUZZ_CHECK(authorization.challenge_count <= ACME_CHALLENGES_MAX);
    fuzz_check_plain(authorization.ignored_types);
    for (size_t i = 0; i < authorization.challenge_count; i++)
        check_challenge(&authorization.challenges[i]);
    return true;
}

/* A problem is read as far as it goes: only memory can be in the way. */
static bool
check_answer(char *text, size_t size)
{
    struct http_response response = {.status = 403,
        .body = text,
        .size = size,
        .content_type = (char[]){"application/problem+json"},
        .retry_after = -1};
    AW_CLEANUP(acme_problem_free) struct acme_problem problem;

    FUZZ_CHECK(aw_ok(acme_problem_parse(&response, &problem)));
    FUZZ_CHECK(problem.status == 403);
    check_problem(&problem);
    return problem.type[0] != '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    bool good = check_directory(text, size);

    good = check_order(text, size) || good;
    good = check_authorization(text, size) || good;
    if (check_answer(text, size) || good)
        fuzz_accept();
    return 0;
}
