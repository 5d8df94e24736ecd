/* One certificate from order to download, against a scripted CA and a scripted signer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "issue_scene.h"

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
    assert_true(aw_ok(scene_issue(&scene, &caller, &result)));
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
    aw_result r = scene_issue(&scene, &caller, &result);
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
    assert_int_equal(scene_issue(&scene, &caller, &result).code, AW_CODE_CA_UNAVAILABLE);
    assert_non_null(strstr(aw_error_last()->message, "still ready after 4 requests"));
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
    assert_true(aw_ok(scene_issue(&scene, &caller, &result)));
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
        aw_result r = scene_issue_with(&scene, profile_rows[i].asked, &none, &result);
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
    assert_int_equal(scene_issue_with(&scene, NULL, &none, &result).code, AW_CODE_CA_REFUSED);
    assert_non_null(strstr(aw_error_last()->message, "no challenge can be met: offered are 1"));
    assert_true(scripted_ca_check(&scene.ca, "none"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issues_a_prevalidated_order_in_four_requests),
        cmocka_unit_test(validates_what_is_pending),
        cmocka_unit_test(gives_up_on_an_order_that_stays_ready),
        cmocka_unit_test(passes_on_warnings_and_tickets),
        cmocka_unit_test(checks_the_profile),
        cmocka_unit_test(needs_no_callbacks_where_nothing_is_to_be_met),
    };

    scripted_ca_clean_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
