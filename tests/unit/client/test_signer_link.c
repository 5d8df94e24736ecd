/* The signer as the client calls it: what is sent, what comes back, refusals, lost connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/signer_link.h"
#include "common/io.h"
#include "common/json.h"
#include "scripted_signer.h"

static char application[] = "app";
static const struct signer_order order = {.application = application, .ticket = 7};

static bool
has(const char *text, const char *words)
{
    return words == NULL || strstr(text, words) != NULL;
}

static void
parse_names(struct aw_name names[2])
{
    assert_true(aw_ok(aw_name_parse_address("192.0.2.1", 9, &names[0])));
    assert_true(aw_ok(aw_name_parse("*.example.edu", 13, &names[1])));
}

static void
claim(signer_link *link, const char *kind, const char *url)
{
    struct signer_claim one = {kind, url};

    assert_true(aw_ok(signer_claim_urls(link, &order, &one, 1)));
}

/* The parameters of each call, as the interface file says. */
static void
sends_what_the_interface_says(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_order_free) struct signer_order opened = {0};
    struct aw_name names[2];
    struct signer_signed signed_request;
    static const uint8_t leaf[] = {1, 2, 3}, above[] = {0xff};
    const uint8_t *const chain[] = {leaf, above};
    const size_t sizes[] = {sizeof(leaf), sizeof(above)};

    (void)state;
    parse_names(names);
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, NULL, 0);
    assert_true(aw_ok(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
    assert_true(
        aw_ok(signer_new_order(link, &(struct signer_new_order){"a\"pp", names, 2, "short", NULL},
            "n1", &opened, &signed_request)));
    assert_string_equal(signed_request.url, "https://ca/new-order");
    assert_string_equal(
        signed_request.jws, "{\"protected\":\"bjE\",\"payload\":\"e30\",\"signature\":\"c2ln\"}");
    assert_null(signed_request.warning);
    assert_string_equal(opened.application, "app");
    assert_int_equal(opened.ticket, 1);
    signer_signed_free(&signed_request);

    claim(link, "finalize", "https://ca/f");
    claim(link, "challenge", "https://ca/c");
    struct signer_target target = {&order, "n2", "https://ca/f"};
    assert_true(aw_ok(signer_finalize(link, &target, leaf, sizeof(leaf), &signed_request)));
    assert_string_equal(signed_request.url, "https://ca/f");
    signer_signed_free(&signed_request);
    target.url = "https://ca/c";
    assert_true(aw_ok(signer_post_url(link, "AnswerChallenge", &target, &signed_request)));
    signer_signed_free(&signed_request);
    assert_true(aw_ok(signer_record_certificate(link, &order, chain, sizes, 2)));
    scripted_signer_settle(&s);
    assert_string_equal(s.log,
        "NewOrder {\"application\":\"a\\\"pp\",\"nonce\":\"n1\",\"identifiers\":["
        "{\"type\":\"ip\",\"value\":\"192.0.2.1\"},{\"type\":\"dns\",\"value\":\"*.example.edu\"}],"
        "\"profile\":\"short\"}\n"
        "ClaimUrls {\"application\":\"app\",\"order\":7,\"urls\":["
        "{\"kind\":\"finalize\",\"url\":\"https://ca/f\"}]}\n"
        "ClaimUrls {\"application\":\"app\",\"order\":7,\"urls\":["
        "{\"kind\":\"challenge\",\"url\":\"https://ca/c\"}]}\n"
        "Finalize {\"application\":\"app\",\"order\":7,\"nonce\":\"n2\",\"url\":\"https://ca/f\","
        "\"csr\":\"AQID\"}\n"
        "AnswerChallenge {\"application\":\"app\",\"order\":7,\"nonce\":\"n2\","
        "\"url\":\"https://ca/c\"}\n"
        "RecordCertificate {\"application\":\"app\",\"order\":7,\"certificate\":\"AQID\","
        "\"chain\":[\"_w\"]}\n");
    assert_int_equal(s.connections, 1);
}

static void
leaves_out_what_is_not_asked(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_order_free) struct signer_order opened = {0};
    AW_CLEANUP(signer_signed_free) struct signer_signed signed_request = {0};
    struct aw_name names[2];

    (void)state;
    parse_names(names);
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, NULL, 0);
    assert_true(aw_ok(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
    assert_true(aw_ok(signer_new_order(link, &(struct signer_new_order){NULL, names, 1, NULL, NULL},
        "n", &opened, &signed_request)));
    scripted_signer_settle(&s);
    assert_string_equal(s.log,
        "NewOrder {\"nonce\":\"n\",\"identifiers\":[{\"type\":\"ip\",\"value\":\"192.0.2.1\"}]}\n");
    assert_int_equal(signer_record_certificate(link, &order, NULL, NULL, 0).code, AW_CODE_INTERNAL);
}

/* Error replies to NewOrder. */
static const struct {
    const char *name;
    struct signer_change change;
    enum aw_code code;
    const char *message, *hint;
} refusal_rows[] = {
    {"the policy",
        {"NewOrder", "PolicyRefused",
            "{\"rule\":\"names.exact\",\"application\":\"dept_myapp1\",\"name\":"
            "\"pay.dept.example.edu\",\"allowed\":\"myapp1.dept.example.edu\",\"owner\":"
            "\"myapp1-team@dept.example.edu\",\"message\":"
            "\"pay.dept.example.edu is not among the names of dept_myapp1 (rule names.exact); "
            "allowed: myapp1.dept.example.edu; ask myapp1-team@dept.example.edu\"}",
            false},
        AW_CODE_REFUSED,
        "refused: pay.dept.example.edu is not among the names of dept_myapp1 (rule names.exact); "
        "allowed: myapp1.dept.example.edu; ask myapp1-team@dept.example.edu",
        "--check"},
    {"the policy, and no application matches",
        {"NewOrder", "PolicyRefused",
            "{\"rule\":\"subject\",\"application\":null,\"name\":null,\"allowed\":null,\"owner\":"
            "null,\"message\":\"no application\"}",
            false},
        AW_CODE_REFUSED, "refused: no application", "whoami"},
    {"a quota",
        {"NewOrder", "LedgerRefused",
            "{\"rule\":\"quota.orders_per_day\",\"application\":\"app\",\"message\":\"50 of 50\","
            "\"retry_after\":3600}",
            false},
        AW_CODE_REFUSED, "refused: 50 of 50 (rule quota.orders_per_day)",
        "not before 3600 seconds"},
    {"a CSR",
        {"NewOrder", "CsrRefused", "{\"rule\":\"csr.san.email\",\"message\":\"an email\"}", false},
        AW_CODE_REFUSED, "refused: an email (rule csr.san.email)", "let acmeward make"},
    {"what does not parse",
        {"NewOrder", "InvalidRequest", "{\"field\":\"nonce\",\"message\":\"too long\"}", false},
        AW_CODE_SYNTAX, "the signer can't read the request: too long (about nonce)", "one version"},
    {"not ready",
        {"NewOrder", "NotReady", "{\"what\":\"account\",\"message\":\"not registered\"}", false},
        AW_CODE_UNAVAILABLE, "the signer is not ready: not registered (about account)",
        "administrator"},
    {"frozen", {"NewOrder", "Frozen", "{\"since\":1,\"message\":\"since today\"}", false},
        AW_CODE_FROZEN, "signing was stopped by an administrator: since today", "unfreeze"},
    {"unavailable",
        {"NewOrder", "Unavailable",
            "{\"tag\":\"token-gone\",\"message\":\"no token\",\"retry_after\":5}", false},
        AW_CODE_UNAVAILABLE, "the signer can't sign now: no token (about token-gone)",
        "not before 5 seconds"},
    {"an error without members", {"NewOrder", "PolicyRefused", "{}", false}, AW_CODE_REFUSED,
        "refused: PolicyRefused", NULL},
    {"members of the wrong types",
        {"NewOrder", "PolicyRefused", "{\"rule\":7,\"message\":[],\"retry_after\":\"x\"}", false},
        AW_CODE_REFUSED, "refused: PolicyRefused", NULL},
    {"ESC in the message",
        {"NewOrder", "PolicyRefused", "{\"rule\":\"r\",\"message\":\"a\\u001b[2Jb\"}", false},
        AW_CODE_REFUSED, "refused: a\\x1b[2Jb", NULL},
    {"an unknown method",
        {"NewOrder", "org.varlink.service.MethodNotFound", "{\"method\":\"NewOrder\"}", false},
        AW_CODE_UNSUPPORTED, "the signer does not know the call: MethodNotFound", "one version"},
    {"an unknown error", {"NewOrder", "Odd", "{}", false}, AW_CODE_UNSUPPORTED,
        "the signer does not know the call: Odd", NULL},
    {"a known name of another interface",
        {"NewOrder", "org.example.PolicyRefused", "{\"message\":\"m\"}", false},
        AW_CODE_UNSUPPORTED, "the signer does not know the call: m", NULL},
    /* Replies that are not as the interface says. */
    {"no ticket", {"NewOrder", NULL, "{\"application\":\"app\"}", false}, AW_CODE_SYNTAX, "order",
        NULL},
    {"ticket 0", {"NewOrder", NULL, "{\"application\":\"app\",\"order\":0}", false}, AW_CODE_LIMIT,
        "order", NULL},
    {"no JWS",
        {"NewOrder", NULL, "{\"application\":\"app\",\"order\":1,\"url\":\"https://ca/o\"}", false},
        AW_CODE_SYNTAX, "jws", NULL},
    {"half a JWS",
        {"NewOrder", NULL,
            "{\"application\":\"app\",\"order\":1,\"url\":\"https://ca/o\",\"jws\":{\"protected\":"
            "\"a\",\"payload\":\"b\"}}",
            false},
        AW_CODE_SYNTAX, "signature", NULL},
};

static void
tells_refusals(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    struct aw_name names[2];
    unsigned failed = 0;

    (void)state;
    parse_names(names);
    scripted_signer_start(&s, "https://ca");
    for (size_t i = 0; i < AW_COUNT(refusal_rows); i++) {
        AW_CLEANUP(signer_link_close) signer_link *link = NULL;
        AW_CLEANUP(signer_order_free) struct signer_order opened = {0};
        AW_CLEANUP(signer_signed_free) struct signer_signed signed_request = {0};

        scripted_signer_load(&s, &refusal_rows[i].change, 1);
        assert_true(aw_ok(
            signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
        aw_result r = signer_new_order(link, &(struct signer_new_order){NULL, names, 1, NULL, NULL},
            "n", &opened, &signed_request);
        const struct aw_error *error = aw_error_last();
        if (r.code == refusal_rows[i].code && has(error->message, refusal_rows[i].message) &&
            has(error->hint, refusal_rows[i].hint) && opened.application == NULL &&
            signed_request.jws == NULL)
            continue;
        failed++;
        print_error("%s: found %s: %s (%s)\n", refusal_rows[i].name, aw_code_tag(r.code),
            error->message, error->hint);
    }
    assert_int_equal(failed, 0);
}

static void
keeps_the_fields_of_the_last_refusal(void **state)
{
    static const struct signer_change change = {"Check", "PolicyRefused",
        "{\"rule\":\"names.deny\",\"application\":\"a\",\"name\":\"n\",\"allowed\":\"x\","
        "\"owner\":\"o\",\"message\":\"m\\u001b\",\"retry_after\":9}",
        false};
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    cJSON *reply = NULL;

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, &change, 1);
    assert_true(aw_ok(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
    const struct signer_refusal *refusal = signer_link_refusal(link);
    assert_null(refusal->error);
    assert_int_equal(refusal->retry_after, -1);
    assert_int_equal(signer_link_call(link, "Check", "{}", &reply).code, AW_CODE_REFUSED);
    assert_null(reply);
    assert_string_equal(refusal->error, "PolicyRefused");
    assert_string_equal(refusal->rule, "names.deny");
    assert_string_equal(refusal->application, "a");
    assert_string_equal(refusal->name, "n");
    assert_string_equal(refusal->allowed, "x");
    assert_string_equal(refusal->owner, "o");
    assert_string_equal(refusal->message, "m\x1b");
    assert_int_equal(refusal->retry_after, 9);
    assert_true(aw_ok(signer_link_call(link, "RecordCertificate", "{}", &reply)));
    assert_true(cJSON_IsObject(reply));
    aw_json_free(&reply);
    assert_null(refusal->error);
    assert_null(refusal->rule);
    assert_int_equal(refusal->retry_after, -1);
}

static void
refuses_a_signature_for_another_url(void **state)
{
    static const struct signer_change change = {"PostAsGet", NULL,
        "{\"url\":\"https://ca/other\",\"jws\":{\"protected\":\"\",\"payload\":\"\","
        "\"signature\":\"\"}}",
        false};
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_signed_free) struct signer_signed signed_request = {0};
    struct signer_target target = {&order, "n", "https://ca/o"};

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, &change, 1);
    assert_true(aw_ok(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
    assert_int_equal(
        signer_post_url(link, "PostAsGet", &target, &signed_request).code, AW_CODE_MISMATCH);
    assert_null(signed_request.jws);
}

static void
keeps_a_warning(void **state)
{
    static const struct signer_change change = {"PostAsGet", NULL,
        "{\"url\":\"https://ca/o\",\"warning\":\"until May\",\"jws\":{\"protected\":\"\","
        "\"payload\":\"\",\"signature\":\"\"}}",
        false};
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_signed_free) struct signer_signed signed_request = {0};
    struct signer_target target = {&order, "n", "https://ca/o"};

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, &change, 1);
    assert_true(aw_ok(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
    assert_true(aw_ok(signer_post_url(link, "PostAsGet", &target, &signed_request)));
    assert_string_equal(signed_request.warning, "until May");
}

/* Connections that end. `calls`: as the signer saw them. */
static const struct {
    const char *name;
    struct signer_change changes[3];
    size_t count;
    enum aw_code code;
    unsigned connections;
    const char *words, *hint;
} lost_rows[] = {
    {"after the answer: made anew", {{"ClaimUrls", NULL, "{}", true}}, 1, AW_CODE_OK, 2, NULL,
        NULL},
    {"without an answer, once: made anew",
        {{"ClaimUrls", NULL, "{}", false}, {"RecordCertificate", NULL, NULL, true}}, 2, AW_CODE_OK,
        2, NULL, NULL},
    {"without an answer, twice: given up",
        {{"ClaimUrls", NULL, "{}", false}, {"RecordCertificate", NULL, NULL, true},
            {"RecordCertificate", NULL, NULL, true}},
        3, AW_CODE_UNAVAILABLE, 2, "the signer at /tmp/aw-signer-", "among the principals"},
};

static void
connects_anew_once(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    unsigned failed = 0;

    (void)state;
    scripted_signer_start(&s, "https://ca");
    for (size_t i = 0; i < AW_COUNT(lost_rows); i++) {
        AW_CLEANUP(signer_link_close) signer_link *link = NULL;
        cJSON *reply = NULL;

        scripted_signer_load(&s, lost_rows[i].changes, lost_rows[i].count);
        assert_true(aw_ok(
            signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
        assert_true(aw_ok(signer_link_call(link, "ClaimUrls", "{}", &reply)));
        aw_json_free(&reply);
        aw_result r = signer_link_call(link, "RecordCertificate", "{}", &reply);
        aw_json_free(&reply);
        const struct aw_error *error = aw_error_last();
        scripted_signer_settle(&s);
        if (r.code == lost_rows[i].code && s.connections == lost_rows[i].connections &&
            (aw_ok(r) ||
                (has(error->message, lost_rows[i].words) && has(error->hint, lost_rows[i].hint))))
            continue;
        failed++;
        print_error("%s: found %s, %u connections: %s (%s)\n", lost_rows[i].name,
            aw_code_tag(r.code), s.connections, error->message, error->hint);
    }
    assert_int_equal(failed, 0);
}

static void
says_when_nobody_is_there(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    signer_link *link = NULL;
    cJSON *reply = NULL;
    char away[64];

    (void)state;
    assert_int_equal(
        signer_link_open(
            &(struct signer_place){.at = "/nonexistent/s", .server_uid = getuid()}, &link)
            .code,
        AW_CODE_UNAVAILABLE);
    assert_null(link);
    scripted_signer_start(&s, "https://ca");
    static const struct signer_change change = {"ClaimUrls", NULL, "{}", true};
    scripted_signer_load(&s, &change, 1);
    assert_true(aw_ok(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link)));
    assert_true(aw_ok(signer_link_call(link, "ClaimUrls", "{}", &reply)));
    aw_json_free(&reply);
    snprintf(away, sizeof(away), "%s.away", s.path);
    assert_int_equal(rename(s.path, away), 0);
    assert_int_equal(signer_link_call(link, "ClaimUrls", "{}", &reply).code, AW_CODE_UNAVAILABLE);
    assert_non_null(strstr(aw_error_last()->message, "nobody listens"));
    assert_int_equal(rename(away, s.path), 0);
    assert_true(aw_ok(signer_link_call(link, "ClaimUrls", "{}", &reply)));
    aw_json_free(&reply);
    signer_link_close(&link);
    signer_link_close(&link);
}

/* Attack 96: a socket in a folder that others can write to. */
static void
distrusts_a_loose_folder_attack_96(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    signer_link *link = NULL;

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, NULL, 0);
    assert_int_equal(chmod(s.folder, 0777), 0);
    assert_int_equal(
        signer_link_open(&(struct signer_place){.at = s.path, .server_uid = getuid()}, &link).code,
        AW_CODE_MISMATCH);
    assert_null(link);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_what_the_interface_says),
        cmocka_unit_test(leaves_out_what_is_not_asked),
        cmocka_unit_test(tells_refusals),
        cmocka_unit_test(keeps_the_fields_of_the_last_refusal),
        cmocka_unit_test(refuses_a_signature_for_another_url),
        cmocka_unit_test(keeps_a_warning),
        cmocka_unit_test(connects_anew_once),
        cmocka_unit_test(says_when_nobody_is_there),
        cmocka_unit_test(distrusts_a_loose_folder_attack_96),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
