/* ACME objects as a CA writes them: directory, order, authorization, problem (RFC 8555 7.1, 6.7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/acme.h"
#include "common/io.h"

static bool
has(const char *text, const char *words)
{
    return words == NULL || strstr(text, words) != NULL;
}

/* Rows of the parsers: a document, what comes of it, and words of the message. */
struct row {
    const char *name, *text;
    enum aw_code code;
    const char *words;
};

static unsigned
check(const struct row *row, aw_result r)
{
    if (r.code == row->code && (aw_ok(r) || has(aw_error_last()->message, row->words)))
        return 0;
    print_error("%s: found %s: %s\n", row->name, aw_code_tag(r.code),
        aw_ok(r) ? "" : aw_error_last()->message);
    return 1;
}

#define FIXED                                                            \
    "\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\","     \
    "\"newOrder\":\"https://ca/o\",\"revokeCert\":\"https://ca/r?a=b\"," \
    "\"keyChange\":\"https://ca/k\""

static const struct row directory_rows[] = {
    {"the least", "{" FIXED "}", AW_CODE_OK, NULL},
    {"unknown members", "{" FIXED ",\"x\":{\"y\":[1.5e3]},\"newAuthz\":\"ftp://x\"}", AW_CODE_OK,
        NULL},
    {"null meta", "{" FIXED ",\"meta\":null}", AW_CODE_OK, NULL},
    {"meta is a list", "{" FIXED ",\"meta\":[]}", AW_CODE_SYNTAX, "meta: expected an object"},
    {"profiles are a list", "{" FIXED ",\"meta\":{\"profiles\":[\"a\"]}}", AW_CODE_SYNTAX,
        "profiles: expected an object"},
    {"CAA identities", "{" FIXED ",\"meta\":{\"caaIdentities\":[\"ca.example\",\"b.example\"]}}",
        AW_CODE_OK, NULL},
    {"a CAA identity that is no name", "{" FIXED ",\"meta\":{\"caaIdentities\":[\"a; b\"]}}",
        AW_CODE_SYNTAX, "caaIdentities"},
    {"a CAA identity that is a number", "{" FIXED ",\"meta\":{\"caaIdentities\":[1]}}",
        AW_CODE_SYNTAX, "caaIdentities"},
    {"external account as text", "{" FIXED ",\"meta\":{\"externalAccountRequired\":\"yes\"}}",
        AW_CODE_SYNTAX, "externalAccountRequired"},
    {"no newNonce", "{\"newOrder\":\"https://ca/o\"}", AW_CODE_SYNTAX, "newNonce"},
    {"http", "{\"newNonce\":\"http://ca/n\"}", AW_CODE_SYNTAX, "found the URL \"http://ca/n\""},
    {"twice", "{" FIXED ",\"newNonce\":\"https://evil/n\"}", AW_CODE_SYNTAX, "directory: "},
    {"HTML", "<html>", AW_CODE_SYNTAX, "the CA's directory: "},
    {"a list", "[]", AW_CODE_SYNTAX, "no object"},
    {"nothing", "", AW_CODE_SYNTAX, "the CA's directory: "},
};

static void
parses_directories(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(directory_rows); i++) {
        AW_CLEANUP(acme_directory_free) struct acme_directory directory;
        const char *text = directory_rows[i].text;

        failed += check(&directory_rows[i], acme_directory_parse(text, strlen(text), &directory));
    }
    assert_int_equal(failed, 0);
}

static void
keeps_what_a_directory_says(void **state)
{
    static const char text[] =
        "{" FIXED ",\"renewalInfo\":\"https://ca/ari\",\"meta\":{\"externalAccountRequired\":true,"
        "\"termsOfService\":\"https://ca/terms\\u001b[2J\",\"website\":\"https://ca/\","
        "\"profiles\":{\"short\\u001b\":\"six days\",\"Classic\":1}}}";
    AW_CLEANUP(aw_free) char *profiles = NULL;
    AW_CLEANUP(acme_directory_free) struct acme_directory d;

    (void)state;
    assert_true(aw_ok(acme_directory_parse(text, strlen(text), &d)));
    assert_string_equal(d.new_nonce, "https://ca/n");
    assert_string_equal(d.new_account, "https://ca/a");
    assert_string_equal(d.new_order, "https://ca/o");
    assert_string_equal(d.revoke_cert, "https://ca/r?a=b");
    assert_string_equal(d.key_change, "https://ca/k");
    assert_string_equal(d.renewal_info, "https://ca/ari");
    assert_string_equal(d.terms_of_service, "https://ca/terms\\x1b[2J");
    assert_string_equal(d.website, "https://ca/");
    assert_true(d.external_account_required);
    assert_true(acme_directory_has_profile(&d, "Classic"));
    assert_false(acme_directory_has_profile(&d, "classic"));
    assert_true(aw_ok(acme_directory_profiles(&d, &profiles)));
    assert_string_equal(profiles, "short\\x1b, Classic");
}

/* Orders. */

#define DNS(name) "{\"type\":\"dns\",\"value\":\"" name "\"}"
#define ORDER(status, names, authorizations, more)                                               \
    "{\"status\":\"" status "\",\"identifiers\":[" names "],\"authorizations\":[" authorizations \
    "],\"finalize\":\"https://ca/f\"" more "}"
#define AUTHZ "\"https://ca/z\""

static const struct row order_rows[] = {
    {"pending", ORDER("pending", DNS("a.example.edu"), AUTHZ, ""), AW_CODE_OK, NULL},
    {"ready", ORDER("ready", DNS("a.example.edu"), AUTHZ, ""), AW_CODE_OK, NULL},
    {"processing", ORDER("processing", DNS("a.example.edu"), AUTHZ, ""), AW_CODE_OK, NULL},
    {"valid", ORDER("valid", DNS("a.example.edu"), AUTHZ, ",\"certificate\":\"https://ca/c\""),
        AW_CODE_OK, NULL},
    {"invalid", ORDER("invalid", DNS("a.example.edu"), AUTHZ, ",\"error\":{}"), AW_CODE_OK, NULL},
    {"a wildcard", ORDER("ready", DNS("*.example.edu"), AUTHZ, ""), AW_CODE_OK, NULL},
    {"an address", ORDER("ready", "{\"type\":\"ip\",\"value\":\"192.0.2.1\"}", AUTHZ, ""),
        AW_CODE_OK, NULL},
    {"unknown members", ORDER("ready", DNS("a.example.edu"), AUTHZ, ",\"x\":1,\"expires\":7"),
        AW_CODE_OK, NULL},
    {"an unknown status", ORDER("shipped", DNS("a.example.edu"), AUTHZ, ""), AW_CODE_SYNTAX,
        "status: found \"shipped\", expected one of pending, ready, processing, valid, invalid"},
    {"a status with ESC", ORDER("\\u001b[2J", DNS("a.example.edu"), AUTHZ, ""), AW_CODE_SYNTAX,
        "status: found \"\\x1b[2J\""},
    {"a status of authorizations", ORDER("expired", DNS("a.example.edu"), AUTHZ, ""),
        AW_CODE_SYNTAX, "status: found \"expired\""},
    {"a status in upper case", ORDER("Valid", DNS("a.example.edu"), AUTHZ, ""), AW_CODE_SYNTAX,
        "status: found \"Valid\""},
    {"no status", "{}", AW_CODE_SYNTAX, "status"},
    {"no names", ORDER("ready", "", AUTHZ, ""), AW_CODE_LIMIT, "identifiers"},
    {"one name twice", ORDER("ready", DNS("a.example.edu") "," DNS("A.example.edu"), AUTHZ, ""),
        AW_CODE_SYNTAX, "identifiers: found one name twice"},
    {"a name that is none", ORDER("ready", DNS("../x"), AUTHZ, ""), AW_CODE_SYNTAX,
        "identifiers[0]: "},
    {"another type", ORDER("ready", "{\"type\":\"email\",\"value\":\"a@b\"}", AUTHZ, ""),
        AW_CODE_SYNTAX, "found the type \"email\", expected dns or ip"},
    {"an identifier that is text", ORDER("ready", "\"a.example.edu\"", AUTHZ, ""), AW_CODE_SYNTAX,
        "identifiers[0]: "},
    {"no authorizations", ORDER("ready", DNS("a.example.edu"), "", ""), AW_CODE_LIMIT,
        "authorizations"},
    {"an authorization over http", ORDER("ready", DNS("a.example.edu"), "\"http://ca/z\"", ""),
        AW_CODE_SYNTAX, "authorizations[0]: found the URL"},
    {"an authorization with a line's end",
        ORDER("ready", DNS("a.example.edu"), "\"https://ca/z\\r\\nx\"", ""), AW_CODE_SYNTAX,
        "https://ca/z\\x0d\\x0ax"},
    {"an authorization that is a number", ORDER("ready", DNS("a.example.edu"), "1", ""),
        AW_CODE_SYNTAX, "authorizations[0]: expected a URL"},
    {"an authorization twice", ORDER("ready", DNS("a.example.edu"), AUTHZ "," AUTHZ, ""),
        AW_CODE_SYNTAX, "authorizations: found https://ca/z twice"},
    {"no finalize",
        "{\"status\":\"ready\",\"identifiers\":[" DNS(
            "a.example.edu") "],\"authorizations\":[" AUTHZ "]}",
        AW_CODE_SYNTAX, "finalize"},
    {"a certificate that is a number",
        ORDER("valid", DNS("a.example.edu"), AUTHZ, ",\"certificate\":7"), AW_CODE_SYNTAX,
        "certificate"},
    {"a NUL in a name", ORDER("ready", DNS("a.example.edu\\u0000.evil"), AUTHZ, ""), AW_CODE_SYNTAX,
        "the CA's order: "},
    {"status twice", ORDER("ready", DNS("a.example.edu"), AUTHZ, ",\"status\":\"valid\""),
        AW_CODE_SYNTAX, "the CA's order: "},
};

static void
parses_orders(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(order_rows); i++) {
        AW_CLEANUP(acme_order_free) struct acme_order order;
        const char *text = order_rows[i].text;

        failed += check(&order_rows[i], acme_order_parse(text, strlen(text), &order));
    }
    assert_int_equal(failed, 0);
}

static void
keeps_what_an_order_says(void **state)
{
    static const char text[] = ORDER("invalid", DNS("b.example.edu") "," DNS("a.example.edu"),
        "\"https://ca/z/2\",\"https://ca/z/1\"",
        ",\"certificate\":\"https://ca/c\",\"profile\":\"shortlived\",\"error\":{\"type\":"
        "\"urn:ietf:params:acme:error:caa\",\"detail\":\"no\",\"status\":403}");
    AW_CLEANUP(acme_order_free) struct acme_order order;

    (void)state;
    assert_true(aw_ok(acme_order_parse(text, strlen(text), &order)));
    assert_int_equal(order.status, ACME_INVALID);
    assert_int_equal(order.name_count, 2);
    assert_string_equal(order.names[0].text, "a.example.edu");
    assert_string_equal(order.names[1].text, "b.example.edu");
    assert_int_equal(order.authorization_count, 2);
    assert_string_equal(order.authorizations[0], "https://ca/z/1");
    assert_string_equal(order.finalize, "https://ca/f");
    assert_string_equal(order.certificate, "https://ca/c");
    assert_string_equal(order.profile, "shortlived");
    assert_string_equal(order.problem.type, "caa");
    assert_string_equal(order.problem.detail, "no");
    assert_int_equal(order.problem.status, 403);
}

/* A later state of the order ORDER(..., a and b, z/1 and z/2). */
#define BOTH DNS("a.example.edu") "," DNS("b.example.edu")
#define TWO "\"https://ca/z/1\",\"https://ca/z/2\""
static const struct row change_rows[] = {
    {"only the status", ORDER("valid", BOTH, TWO, ""), AW_CODE_OK, NULL},
    {"another order of the lists",
        ORDER("ready", DNS("b.example.edu") "," DNS("a.example.edu"),
            "\"https://ca/z/2\",\"https://ca/z/1\"", ""),
        AW_CODE_OK, NULL},
    {"a name less", ORDER("ready", DNS("a.example.edu"), TWO, ""), AW_CODE_MISMATCH,
        "changed the order's identifiers"},
    {"another name", ORDER("ready", DNS("a.example.edu") "," DNS("c.example.edu"), TWO, ""),
        AW_CODE_MISMATCH, "identifiers"},
    {"an authorization more", ORDER("ready", BOTH, TWO ",\"https://ca/z/3\"", ""), AW_CODE_MISMATCH,
        "changed the order's authorizations"},
    {"another authorization", ORDER("ready", BOTH, "\"https://ca/z/1\",\"https://ca/z/4\"", ""),
        AW_CODE_MISMATCH, "authorizations"},
    {"another finalize",
        "{\"status\":\"ready\",\"identifiers\":[" BOTH "],\"authorizations\":[" TWO
        "],\"finalize\":\"https://ca/g\"}",
        AW_CODE_MISMATCH, "changed the order's finalize URL"},
};

static void
refuses_orders_that_change(void **state)
{
    static const char text[] = ORDER("ready", BOTH, TWO, "");
    AW_CLEANUP(acme_order_free) struct acme_order first;
    unsigned failed = 0;

    (void)state;
    assert_true(aw_ok(acme_order_parse(text, strlen(text), &first)));
    for (size_t i = 0; i < AW_COUNT(change_rows); i++) {
        AW_CLEANUP(acme_order_free) struct acme_order later;
        const char *now = change_rows[i].text;

        assert_true(aw_ok(acme_order_parse(now, strlen(now), &later)));
        failed += check(&change_rows[i], acme_order_check_same(&first, &later));
    }
    assert_int_equal(failed, 0);
}

/* Authorizations. */

#define AUTHORIZATION(status, challenges) \
    "{\"status\":\"" status               \
    "\",\"identifier\":" DNS("a.example.edu") ",\"challenges\":[" challenges "]}"
#define CHALLENGE(type, status, token)                                                             \
    "{\"type\":\"" type "\",\"status\":\"" status "\",\"url\":\"https://ca/x\",\"token\":\"" token \
    "\"}"
#define LONG_TOKEN                                                     \
    "0123456789012345678901234567890123456789012345678901234567890123" \
    "0123456789012345678901234567890123456789012345678901234567890123"

static const struct row authorization_rows[] = {
    {"pending", AUTHORIZATION("pending", CHALLENGE("http-01", "pending", "aB-_9")), AW_CODE_OK,
        NULL},
    {"the longest token", AUTHORIZATION("pending", CHALLENGE("http-01", "pending", LONG_TOKEN)),
        AW_CODE_OK, NULL},
    {"a token that is too long",
        AUTHORIZATION("pending", CHALLENGE("http-01", "pending", LONG_TOKEN "0")), AW_CODE_LIMIT,
        "token"},
    {"attack 109: a token with ../",
        AUTHORIZATION("pending", CHALLENGE("http-01", "pending", "../../etc/cron.d/x")),
        AW_CODE_SYNTAX, "a.example.edu: its http-01 challenge: token: found \"../../etc"},
    {"attack 109: a token with a shell's characters",
        AUTHORIZATION("pending", CHALLENGE("dns-01", "pending", "$(id)")), AW_CODE_SYNTAX,
        "token: found \"$(id)\", expected base64url"},
    {"attack 109: a token with a line's end",
        AUTHORIZATION("pending", CHALLENGE("http-01", "pending", "a\\nb")), AW_CODE_SYNTAX,
        "token: found \"a\\x0ab\""},
    {"attack 109: a token with a NUL",
        AUTHORIZATION("pending", CHALLENGE("http-01", "pending", "a\\u0000b")), AW_CODE_SYNTAX,
        "the CA's authorization: "},
    {"an empty token", AUTHORIZATION("pending", CHALLENGE("http-01", "pending", "")),
        AW_CODE_SYNTAX, "token: found \"\""},
    {"an unknown status of a challenge",
        AUTHORIZATION("pending", CHALLENGE("http-01", "waiting", "a")), AW_CODE_SYNTAX,
        "status: found \"waiting\", expected one of pending, processing, valid, invalid"},
    {"an unknown type is ignored whole",
        AUTHORIZATION("pending", "{\"type\":\"sectigo-email-01\",\"status\":\"odd\"}"), AW_CODE_OK,
        NULL},
    {"a challenge without type", AUTHORIZATION("pending", "{}"), AW_CODE_SYNTAX, "type"},
    {"a challenge over http",
        AUTHORIZATION("pending", "{\"type\":\"http-01\",\"status\":\"pending\",\"token\":\"a\","
                                 "\"url\":\"http://ca/x\"}"),
        AW_CODE_SYNTAX, "url: found the URL \"http://ca/x\""},
    {"pending without challenges", "{\"status\":\"pending\",\"identifier\":" DNS("a.b") "}",
        AW_CODE_SYNTAX, "challenges"},
    {"valid without challenges", "{\"status\":\"valid\",\"identifier\":" DNS("a.b") "}", AW_CODE_OK,
        NULL},
    {"valid with challenges of any form", AUTHORIZATION("valid", "{\"type\":7}"), AW_CODE_OK, NULL},
    {"deactivated", AUTHORIZATION("deactivated", ""), AW_CODE_OK, NULL},
    {"expired", AUTHORIZATION("expired", ""), AW_CODE_OK, NULL},
    {"revoked", AUTHORIZATION("revoked", ""), AW_CODE_OK, NULL},
    {"ready is no state of it", AUTHORIZATION("ready", ""), AW_CODE_SYNTAX,
        "status: found \"ready\", expected one of pending, valid, invalid, deactivated, expired"},
    {"an unknown status", AUTHORIZATION("prevalidated", ""), AW_CODE_SYNTAX,
        "a.example.edu: status: found \"prevalidated\""},
    {"a wildcard as the identifier",
        "{\"status\":\"valid\",\"identifier\":" DNS("*.example.edu") "}", AW_CODE_SYNTAX,
        "expected a name without \"*.\""},
    {"no identifier", "{\"status\":\"valid\"}", AW_CODE_SYNTAX, "identifier"},
};

static void
parses_authorizations(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(authorization_rows); i++) {
        AW_CLEANUP(acme_authorization_free) struct acme_authorization authorization;
        const char *text = authorization_rows[i].text;

        failed += check(
            &authorization_rows[i], acme_authorization_parse(text, strlen(text), &authorization));
    }
    assert_int_equal(failed, 0);
}

static void
ignores_challenges_that_it_does_not_know(void **state)
{
    static const char text[] = AUTHORIZATION("pending",
        "{\"type\":\"sectigo-email-01\"}," CHALLENGE("http-01", "pending",
            "tok") ","
                   "{\"type\":\"\\u001bx\"}," CHALLENGE("dns-01", "processing", "tok"));
    AW_CLEANUP(acme_authorization_free) struct acme_authorization a;

    (void)state;
    assert_true(aw_ok(acme_authorization_parse(text, strlen(text), &a)));
    assert_int_equal(a.challenge_count, 2);
    assert_string_equal(a.challenges[0].type, "http-01");
    assert_string_equal(a.challenges[0].token, "tok");
    assert_string_equal(a.challenges[0].url, "https://ca/x");
    assert_int_equal(a.challenges[1].status, ACME_PROCESSING);
    assert_int_equal(a.ignored_challenges, 2);
    assert_string_equal(a.ignored_types, "sectigo-email-01, \\x1bx");
}

/* Far more challenges than are kept, of types with long names. */
static void
keeps_a_limited_number_of_challenges(void **state)
{
    AW_CLEANUP(acme_authorization_free) struct acme_authorization a;
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    assert_non_null(f);
    fprintf(f, "{\"status\":\"pending\",\"identifier\":" DNS("a.example.edu") ",\"challenges\":[");
    for (size_t i = 0; i < 10; i++)
        fprintf(f, "{\"type\":\"some-quite-long-type-of-challenge-%zu\"},", i);
    for (size_t i = 0; i < 3 * ACME_CHALLENGES_MAX; i++)
        fprintf(f, "%s%s", i == 0 ? "" : ",", CHALLENGE("http-01", "pending", "t"));
    fprintf(f, "]}");
    assert_int_equal(fclose(f), 0);
    assert_true(aw_ok(acme_authorization_parse(text, size, &a)));
    assert_int_equal(a.challenge_count, ACME_CHALLENGES_MAX - 10);
    assert_int_equal(a.ignored_challenges, 10);
    assert_true(strlen(a.ignored_types) < ACME_IGNORED_TYPES_SIZE);
}

/* Problems. */

#define TYPE(type) "\"type\":\"urn:ietf:params:acme:error:" type "\""

/* What a failure says of each problem. `media`: NULL is the right one. */
static const struct {
    const char *name, *media, *body;
    long status;
    int64_t retry_after;
    enum aw_code code;
    const char *words, *hint;
} problem_rows[] = {
    {"type and detail", NULL, "{" TYPE("malformed") ",\"detail\":\"what?\"}", 400, -1,
        AW_CODE_CA_REFUSED, "doing: the CA says malformed (HTTP 400): what?", "fault of acmeward"},
    {"rateLimited", NULL, "{" TYPE("rateLimited") "}", 429, 3600, AW_CODE_CA_UNAVAILABLE,
        "rateLimited (HTTP 429)", "wait, then try again; the CA says: not before 3600 seconds"},
    {"rateLimited by another status", NULL, "{" TYPE("rateLimited") "}", 403, -1,
        AW_CODE_CA_UNAVAILABLE, "rateLimited", "fewer requests"},
    {"serverInternal", NULL, "{" TYPE("serverInternal") "}", 500, -1, AW_CODE_CA_UNAVAILABLE,
        "serverInternal (HTTP 500)", "try again later"},
    {"userActionRequired", NULL,
        "{" TYPE("userActionRequired") ",\"instance\":\"https://ca/terms\"}", 403, -1,
        AW_CODE_CA_REFUSED, "userActionRequired",
        "must act at the CA, for example agree to new "
        "terms; see https://ca/terms"},
    {"subproblems", NULL,
        "{" TYPE("compound") ",\"detail\":\"two\",\"subproblems\":[{" TYPE(
            "caa") ",\"detail\":\"no\",\"identifier\":" DNS("a.example.edu") "},{" TYPE("dns") "},"
                                                                                               "7]"
                                                                                               "}",
        403, -1, AW_CODE_CA_REFUSED,
        "compound (HTTP 403): two; a.example.edu: caa: no; also: dns; also: ", "delegated"},
    {"a status in the document is not believed", NULL, "{" TYPE("caa") ",\"status\":200}", 403, -1,
        AW_CODE_CA_REFUSED, "caa (HTTP 403)", "CAA record"},
    {"an unknown type goes by status: 403", NULL, "{" TYPE("odd") "}", 403, -1, AW_CODE_CA_REFUSED,
        "odd (HTTP 403)", "ask an administrator"},
    {"an unknown type goes by status: 401", NULL, "{\"type\":\"https://ca/e\"}", 401, -1,
        AW_CODE_CA_REFUSED, "https://ca/e (HTTP 401)", "ask an administrator"},
    {"an unknown type goes by status: 429", NULL, "{" TYPE("odd") "}", 429, -1,
        AW_CODE_CA_UNAVAILABLE, "odd (HTTP 429)", "wait"},
    {"an unknown type goes by status: 503", NULL, "{" TYPE("odd") "}", 503, -1,
        AW_CODE_CA_UNAVAILABLE, "odd (HTTP 503)", "in trouble"},
    {"an unknown type goes by status: 409", NULL, "{" TYPE("odd") "}", 409, -1, AW_CODE_CA_REFUSED,
        "odd (HTTP 409)", "support"},
    {"never by detail", NULL, "{\"detail\":\"rateLimited badNonce\"}", 400, -1, AW_CODE_CA_REFUSED,
        "no problem type told (HTTP 400): rateLimited badNonce", "support"},
    {"about:blank is no type", NULL, "{\"type\":\"about:blank\"}", 404, -1, AW_CODE_CA_REFUSED,
        "no problem type told (HTTP 404)", "has it moved"},
    {"ESC in type and detail", NULL, "{\"type\":\"\\u001b[2J\",\"detail\":\"a\\u001b]0;b\\nc\"}",
        400, -1, AW_CODE_CA_REFUSED, "\\x1b[2J (HTTP 400): a\\x1b]0;b\\x0ac", NULL},
    {"members of the wrong types", NULL, "{\"type\":7,\"detail\":[],\"subproblems\":{}}", 400, -1,
        AW_CODE_CA_REFUSED, "no problem type told (HTTP 400)", NULL},
    {"application/json will do", "application/json", "{" TYPE("caa") "}", 403, -1,
        AW_CODE_CA_REFUSED, "caa (HTTP 403)", NULL},
    {"HTML", "text/html", "<html>", 502, -1, AW_CODE_CA_UNAVAILABLE,
        "no problem type told (HTTP 502)", "in trouble"},
    {"a problem of another media type is none", "text/html", "{" TYPE("rateLimited") "}", 403, -1,
        AW_CODE_CA_REFUSED, "no problem type told (HTTP 403)", NULL},
    {"broken JSON", NULL, "{", 403, -1, AW_CODE_CA_REFUSED, "no problem type told (HTTP 403)",
        NULL},
    {"a list", NULL, "[]", 403, -1, AW_CODE_CA_REFUSED, "no problem type told (HTTP 403)", NULL},
};

static void
tells_problems(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(problem_rows); i++) {
        AW_CLEANUP(acme_problem_free) struct acme_problem problem = {0};
        AW_CLEANUP(aw_free) char *body = strdup(problem_rows[i].body);
        char media[64];

        snprintf(media, sizeof(media), "%s",
            problem_rows[i].media != NULL ? problem_rows[i].media : "application/problem+json");
        struct http_response response = {.status = problem_rows[i].status,
            .body = body,
            .size = strlen(body),
            .content_type = media};
        assert_true(aw_ok(acme_problem_parse(&response, &problem)));
        aw_result r = acme_problem_fail(&problem, problem_rows[i].retry_after, "doing");
        const struct aw_error *error = aw_error_last();
        if (r.code == problem_rows[i].code && has(error->message, problem_rows[i].words) &&
            has(error->hint, problem_rows[i].hint))
            continue;
        failed++;
        print_error("%s: found %s: %s (%s)\n", problem_rows[i].name, aw_code_tag(r.code),
            error->message, error->hint);
    }
    assert_int_equal(failed, 0);
}

/* Each type of RFC 8555 6.7 is known: its hint is not that of an unknown one. */
static void
knows_the_types_of_rfc_8555(void **state)
{
    static const char *const types[] = {"accountDoesNotExist", "alreadyRevoked", "badCSR",
        "badNonce", "badPublicKey", "badRevocationReason", "badSignatureAlgorithm", "caa",
        "compound", "connection", "dns", "externalAccountRequired", "incorrectResponse",
        "invalidContact", "malformed", "orderNotReady", "rateLimited", "rejectedIdentifier",
        "serverInternal", "tls", "unauthorized", "unsupportedContact", "unsupportedIdentifier",
        "userActionRequired"};
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(types); i++) {
        struct acme_problem problem = {.status = 409};

        snprintf(problem.type, sizeof(problem.type), "%s", types[i]);
        aw_ignore(acme_problem_fail(&problem, -1, "doing"), "the text is what counts");
        if (aw_error_last()->hint[0] != '\0' && strstr(aw_error_last()->hint, "support") == NULL)
            continue;
        failed++;
        print_error("%s: found the hint \"%s\"\n", types[i], aw_error_last()->hint);
    }
    assert_int_equal(failed, 0);
}

/* Far too much of everything is cut, not lost or overrun. */
static void
cuts_long_problems(void **state)
{
    AW_CLEANUP(acme_problem_free) struct acme_problem problem = {0};
    AW_CLEANUP(aw_free) char *body = NULL;
    char media[] = "application/problem+json";
    size_t size;
    FILE *f = open_memstream(&body, &size);

    (void)state;
    assert_non_null(f);
    fprintf(f, "{\"type\":\"%01000d\",\"detail\":\"%09000d\",\"subproblems\":[{}", 0, 0);
    for (size_t i = 0; i < 3 * ACME_SUBPROBLEMS_MAX; i++)
        fprintf(f, ",{\"detail\":\"%zu\",\"type\":\"ttttttttttttttttttttttttttt\"}", i);
    fprintf(f, "]}");
    assert_int_equal(fclose(f), 0);
    struct http_response response = {
        .status = 400, .body = body, .size = size, .content_type = media};
    assert_true(aw_ok(acme_problem_parse(&response, &problem)));
    assert_int_equal(strlen(problem.detail), ACME_PROBLEM_DETAIL_MAX);
    assert_int_equal(problem.subproblem_count, ACME_SUBPROBLEMS_MAX);
    assert_int_equal(acme_problem_fail(&problem, -1, "doing").code, AW_CODE_CA_REFUSED);
    assert_int_equal(strlen(aw_error_last()->message), AW_ERROR_MESSAGE_SIZE - 1);
}

/* Origins, byte for byte (attack 26). */
static const struct {
    const char *name, *url;
    enum aw_code code;
} origin_rows[] = {
    {"another path", "https://ca.example.edu:14000/order/1", AW_CODE_OK},
    {"a query", "https://ca.example.edu:14000/order?id=1", AW_CODE_OK},
    {"another host", "https://evil.example.edu:14000/order/1", AW_CODE_MISMATCH},
    {"another port", "https://ca.example.edu:14001/order/1", AW_CODE_MISMATCH},
    {"a longer port", "https://ca.example.edu:140000/order/1", AW_CODE_MISMATCH},
    {"no port", "https://ca.example.edu/order/1", AW_CODE_MISMATCH},
    {"a user name", "https://ca.example.edu:14000@evil/order/1", AW_CODE_MISMATCH},
    {"a user name before the host", "https://x@ca.example.edu:14000/order/1", AW_CODE_MISMATCH},
    {"upper case", "https://CA.example.edu:14000/order/1", AW_CODE_MISMATCH},
    {"a backslash", "https://ca.example.edu:14000\\@evil/order/1", AW_CODE_SYNTAX},
    {"http", "http://ca.example.edu:14000/order/1", AW_CODE_SYNTAX},
    {"a space", "https://ca.example.edu:14000/a b", AW_CODE_SYNTAX},
    {"nothing", "", AW_CODE_SYNTAX},
};

static void
stays_on_the_pinned_origin_attack_26(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(origin_rows); i++) {
        aw_result r =
            acme_url_check("https://ca.example.edu:14000/new-order", origin_rows[i].url, "order");
        if (r.code == origin_rows[i].code)
            continue;
        failed++;
        print_error("%s: found %s\n", origin_rows[i].name, aw_code_tag(r.code));
    }
    assert_int_equal(failed, 0);
}

static void
backs_off(void **state)
{
    int64_t last = 0;

    (void)state;
    assert_int_equal(acme_backoff(&last, -1), 250);
    assert_int_equal(acme_backoff(&last, 0), 500);
    assert_int_equal(acme_backoff(&last, 7), 7000);
    assert_int_equal(acme_backoff(&last, -1), 1000);
    assert_int_equal(acme_backoff(&last, 1000000), ACME_RETRY_AFTER_MAX * 1000);
    for (size_t i = 0; i < 20; i++)
        acme_backoff(&last, -1);
    assert_int_equal(acme_backoff(&last, -1), 10000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_directories),
        cmocka_unit_test(keeps_what_a_directory_says),
        cmocka_unit_test(parses_orders),
        cmocka_unit_test(keeps_what_an_order_says),
        cmocka_unit_test(refuses_orders_that_change),
        cmocka_unit_test(parses_authorizations),
        cmocka_unit_test(ignores_challenges_that_it_does_not_know),
        cmocka_unit_test(keeps_a_limited_number_of_challenges),
        cmocka_unit_test(tells_problems),
        cmocka_unit_test(knows_the_types_of_rfc_8555),
        cmocka_unit_test(cuts_long_problems),
        cmocka_unit_test(stays_on_the_pinned_origin_attack_26),
        cmocka_unit_test(backs_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
