/* An officer revokes a certificate with its account's key: what is signed and recorded, what is
 * not, and what becomes of the certificate's key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer_world.h"
#include "tests/faults/disk.h"

#define REVOKE(members) "{\"account\":\"main\",\"nonce\":\"n\"," members "}"

/* $CERT, a certificate of app-a's. */
static int
setup(void **state)
{
    (void)world_setup(state);
    world_set_octets(
        *state, "CERT", world_certificate(KEY_P256, "a.example.edu", LITERAL("\x01\x02")));
    world_set_octets(*state, "NONE", LITERAL("no certificate"));
    return 0;
}

static void
call(struct world *w, const char *parameters, struct world_answer *out)
{
    AW_CLEANUP(aw_free) char *text = world_expand(w, parameters);

    world_call_admin(w, OFFICER, "RevokeCertificate", text, out);
}

/* Nothing is signed, and what was tried is on record. */
static const struct {
    const char *name, *parameters, *error, *detail;
} faults[] = {
    {"one member more", REVOKE("\"certificate\":\"$CERT\",\"force\":true"), "InvalidRequest", ""},
    {"no account", "{\"nonce\":\"n\",\"certificate\":\"$CERT\"}", "InvalidRequest", "account"},
    {"no such account", "{\"account\":\"none\",\"nonce\":\"n\",\"certificate\":\"$CERT\"}",
        "Failed", "not-found"},
    {"an account that is not registered",
        "{\"account\":\"raw\",\"nonce\":\"n\",\"certificate\":\"$CERT\"}", "Failed", "not-found"},
    {"an account of a CA that is not pinned",
        "{\"account\":\"unpinned\",\"nonce\":\"n\",\"certificate\":\"$CERT\"}", "Failed",
        "not-found"},
    {"no nonce", "{\"account\":\"main\",\"certificate\":\"$CERT\"}", "InvalidRequest", "nonce"},
    {"a nonce that is none", "{\"account\":\"main\",\"nonce\":\"n n\",\"certificate\":\"$CERT\"}",
        "InvalidRequest", "nonce"},
    {"no certificate", REVOKE("\"reason\":4"), "InvalidRequest", "certificate"},
    {"a certificate that is not base64url", REVOKE("\"certificate\":\"$CERT=\""), "InvalidRequest",
        "certificate"},
    {"what is no certificate", REVOKE("\"certificate\":\"$NONE\""), "InvalidRequest",
        "certificate"},
    {"a reason that is text", REVOKE("\"certificate\":\"$CERT\",\"reason\":\"4\""),
        "InvalidRequest", "reason"},
    {"a reason below all", REVOKE("\"certificate\":\"$CERT\",\"reason\":-1"), "InvalidRequest",
        "reason"},
    {"certificateHold", REVOKE("\"certificate\":\"$CERT\",\"reason\":6"), "InvalidRequest",
        "reason"},
    {"7, which is not used", REVOKE("\"certificate\":\"$CERT\",\"reason\":7"), "InvalidRequest",
        "reason"},
    {"removeFromCRL", REVOKE("\"certificate\":\"$CERT\",\"reason\":8"), "InvalidRequest", "reason"},
    {"a reason above all", REVOKE("\"certificate\":\"$CERT\",\"reason\":10"), "InvalidRequest",
        "reason"},
};

static void
every_fault_is_told_and_on_record(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(faults); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {.json = NULL};
        AW_CLEANUP(world_record_free) struct world_record last = {.entry = NULL};
        int64_t before = world_position(w);

        call(w, faults[i].parameters, &answer);
        const char *detail = strcmp(answer.error, "Failed") == 0 ? world_text(&answer, "tag")
                                                                 : world_text(&answer, "field");
        if (strcmp(answer.error, faults[i].error) != 0 || strcmp(detail, faults[i].detail) != 0)
            fail_msg("%s: %s %s: %s", faults[i].name, answer.error, detail,
                world_text(&answer, "message"));
        assert_null(aw_json_member(answer.parameters, "jws"));
        assert_int_equal(world_position(w) - before, 1);
        world_last(w, &last);
        assert_string_equal(last.entry->operation, "revoke");
        assert_string_equal(last.entry->verdict, "refuse");
    }
}

static void
a_ca_without_revocation(void **state)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {.json = NULL};
    struct world *w = *state;
    struct ca *ca = accounts_find(w->core->accounts, "main")->ca;
    char *url = ca->pin.revoke_cert;

    ca->pin.revoke_cert = NULL;
    call(w, REVOKE("\"certificate\":\"$CERT\""), &answer);
    ca->pin.revoke_cert = url;
    assert_string_equal(world_text(&answer, "tag"), "unsupported");
}

/* Signs with that reason (-1: none), and checks the JWS and its record. */
static void
revoke(struct world *w, const char *row, int reason)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {.json = NULL};
    AW_CLEANUP(world_record_free) struct world_record last = {.entry = NULL};
    AW_CLEANUP(aw_free) char *payload = NULL;
    struct sign_reply reply = {.jws = NULL};
    char member[32] = "", message[32], parameters[128];

    if (reason >= 0)
        snprintf(member, sizeof(member), ",\"reason\":%d", reason);
    snprintf(parameters, sizeof(parameters), REVOKE("\"certificate\":\"$CERT\"%s"), member);
    call(w, parameters, &answer);
    if (answer.error[0] != '\0')
        fail_msg("%s: %s %s", row, answer.error, world_text(&answer, "message"));
    assert_true(
        aw_ok(aw_format(&payload, "{\"certificate\":\"%s\"%s}", world_value(w, "CERT"), member)));
    reply.url = strdup(world_text(&answer, "url"));
    reply.jws = cJSON_PrintUnformatted(aw_json_member(answer.parameters, "jws"));
    assert_string_equal(reply.url, CA "revoke-cert");
    world_last(w, &last);
    world_check_jws(w, row, &reply, "n", payload, last.entry);
    sign_reply_free(&reply);
    const struct audit_entry *entry = last.entry;
    assert_string_equal(entry->operation, "revoke");
    assert_string_equal(entry->verdict, "permit");
    assert_true(entry->has_uid);
    assert_int_equal(entry->uid, world_peer(OFFICER, NULL).uid);
    assert_string_equal(entry->user, OFFICER);
    assert_string_equal(entry->account, "main");
    assert_string_equal(entry->url, CA "revoke-cert");
    assert_string_equal(entry->serial, "0102");
    assert_int_equal(entry->name_count, 1);
    assert_string_equal(entry->names[0], "a.example.edu");
    assert_non_null(entry->certificate);
    assert_int_not_equal(entry->not_after, 0);
    assert_non_null(entry->issuer);
    snprintf(message, sizeof(message), "reason %d", reason);
    if (reason < 0)
        assert_null(entry->message);
    else
        assert_string_equal(entry->message, message);
    assert_int_equal(reason == 1, entry->rule != NULL);
}

static void
each_reason_is_signed_and_on_record(void **state)
{
    static const int reasons[] = {-1, 0, 2, 3, 4, 5, 9};
    char row[32];

    for (size_t i = 0; i < AW_COUNT(reasons); i++) {
        snprintf(row, sizeof(row), "reason %d", reasons[i]);
        revoke(*state, row, reasons[i]);
    }
}

/* Finalizes an order of app-a's with the certificate's key; the rule that refuses it, or "". */
static void
finalize(struct world *w, const char *row, const char *base, const char *rule)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);

    world_order(w, "daemon", "a.example.edu", base);
    world_set_octets(w, "C", world_csr(KEY_P256, "a.example.edu"));
    (void)world_ask(w, &peer, "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}", &reply);
    if (strcmp(reply.rule == NULL ? "" : reply.rule, rule) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\"", row, reply.rule == NULL ? "" : reply.rule, rule);
}

/* From the call to the refusal: test_authorize_keys.c begins with the record. */
static void
attack_112_a_key_an_officer_revokes_as_compromised(void **state)
{
    AW_CLEANUP(world_record_free) struct world_record last = {.entry = NULL};
    struct world *w = *state;

    finalize(w, "the first", "order/1", "");
    revoke(w, "superseded", 4);
    world_last(w, &last);
    assert_string_equal(last.entry->application, "app-a"); /* whose key it is */
    finalize(w, "superseded is no fault of the key", "order/2", "");
    revoke(w, "compromised", 1);
    finalize(w, "attack 112: compromised", "order/3", "key.refused");
    world_restart(w);
    finalize(w, "attack 112: after a restart", "order/4", "key.refused");
}

/* It is what often follows a freeze. */
static void
a_freeze_is_no_hindrance(void **state)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {.json = NULL};

    world_call_admin(*state, OPERATOR, "Freeze", "{\"reason\":\"stolen\"}", &answer);
    assert_string_equal(answer.error, "");
    revoke(*state, "frozen", 4);
}

static void
attack_104_nothing_signed_that_is_not_on_record(void **state)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {.json = NULL};
    struct world *w = *state;

    disk_fail("fdatasync", "audit.jsonl", EIO);
    call(w, REVOKE("\"certificate\":\"$CERT\""), &answer);
    assert_int_not_equal(disk_fail_end(), 0);
    assert_string_equal(answer.error, "Failed");
    assert_null(aw_json_member(answer.parameters, "jws"));
    world_restart(w);
    revoke(w, "afterwards", 4);
}

int
main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(every_fault_is_told_and_on_record),
        cmocka_unit_test(a_ca_without_revocation),
        cmocka_unit_test(each_reason_is_signed_and_on_record),
        cmocka_unit_test(attack_112_a_key_an_officer_revokes_as_compromised),
        cmocka_unit_test(attack_104_nothing_signed_that_is_not_on_record),
        cmocka_unit_test(a_freeze_is_no_hindrance),
    };

    return cmocka_run_group_tests_name("admin_revoke", shared, setup, world_teardown);
}
