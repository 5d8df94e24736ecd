/* Attack 88d, 109: the inventory against forged certificates and against a CA that goes wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/admin.h"
#include "tests/unit/client/authority.h"

#define AKI "aYhba4dGQEHhs3uEe6CuLN4ByNQ."
#define REPLACES_B "\"replaces\":\"" AKI "C7s\""  /* the serial 0bbb */
#define REPLACES_OWN "\"replaces\":\"" AKI "DA\"" /* 0c */
#define ORDER_FOR(name, more) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"" name "\"}]," more "}"

/* The CA, and a forger with the same names. */
static struct {
    struct world w;
    struct party root, intermediate, forger;
} t;

static int
setup(void **state)
{
    (void)state;
    world_make(&t.w);
    t.root = authority_make(NULL, &(struct wish){.subject = "Root", .ca = true});
    t.intermediate = authority_make(&t.root, &(struct wish){.subject = "R1", .ca = true});
    t.forger = authority_make(NULL, &(struct wish){.subject = "R1", .ca = true});
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    authority_free(&t.root);
    authority_free(&t.intermediate);
    authority_free(&t.forger);
    world_remove(&t.w);
    return 0;
}

static void
pin(const struct party *issuer)
{
    AW_CLEANUP(aw_free) char *pem = authority_pem(issuer->certificate);

    world_write(&t.w, "issuers.pem", pem);
    world_pin_issuers(&t.w, "issuers.pem");
    world_reload(&t.w);
}

static void
unpin(void)
{
    world_pin_issuers(&t.w, NULL);
    world_reload(&t.w);
}

static void
set_certificate(const char *name, const X509 *certificate)
{
    size_t size;
    unsigned char *der = authority_der(certificate, &size);

    world_set_octets(&t.w, name, octets_of(der, size));
    free(der);
}

/* $CERT of that wish, with the key that was finalized; $CHAIN is the intermediate's. */
static void
make_certificate(const struct party *issuer, const struct wish *wish, enum test_key key)
{
    struct wish whole = *wish;

    whole.subject = "leaf";
    whole.key = test_key(key);
    struct party made = authority_make(issuer, &whole);
    set_certificate("CERT", made.certificate);
    set_certificate("CHAIN", t.intermediate.certificate);
    authority_free(&made);
}

/* An order of that user, finalized with the key; $ORDER is its ticket. */
static void
finalize(const char *user, const char *names, const char *base, enum test_key key)
{
    struct peer peer = world_peer(user, NULL);
    struct sign_reply reply = {0};

    world_order(&t.w, user, names, base);
    world_set_octets(&t.w, "C", world_csr(key, names));
    assert_int_equal(world_ask(&t.w, &peer, "Finalize",
                         "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\","
                         "\"csr\":\"$C\"}",
                         &reply),
        SIGN_OUTCOME_DONE);
    sign_reply_free(&reply);
}

static int
ask(const char *user, const char *method, const char *parameters, char rule[64])
{
    struct peer peer = world_peer(user, NULL);
    struct sign_reply reply = {0};
    int outcome = world_ask(&t.w, &peer, method, parameters, &reply);

    snprintf(rule, 64, "%s", reply.rule == NULL ? "" : reply.rule);
    sign_reply_free(&reply);
    return outcome;
}

static int
hand_back(const char *user)
{
    char rule[64];

    return ask(user, "RecordCertificate",
        "{\"order\":$ORDER,\"certificate\":\"$CERT\",\"chain\":[\"$CHAIN\"]}", rule);
}

#define SAN_A "DNS:a.example.edu"
#define SAN_B "DNS:b.example.edu"

/* What each certificate becomes: rows of the record, and of the alarm that follows it. */
static const struct {
    const char *name;
    bool forged;
    struct wish wish;
    enum test_key key;
    int outcome;
    int verified;      /* 1, -1 */
    const char *alarm; /* its tag; NULL: none */
    const char *text;  /* part of the alarm's message */
} rows[] = {
    {"the CA's own", false, {.san = SAN_A}, KEY_P256, SIGN_OUTCOME_DONE, 1, NULL, NULL},
    {"for TLS servers and clients", false,
        {.san = SAN_A,
            .usage = "digitalSignature,keyEncipherment",
            .purposes = "serverAuth,clientAuth"},
        KEY_P256, SIGN_OUTCOME_DONE, 1, NULL, NULL},
    {"attack 88d: of a forger with the CA's name", true, {.san = SAN_A}, KEY_P256,
        SIGN_OUTCOME_DONE, -1, "certificate.unverified", "does not chain"},
    {"attack 88d: forged, and a CA's", true, {.san = SAN_A, .ca = true}, KEY_P256,
        SIGN_OUTCOME_DONE, -1, "certificate.unverified", "does not chain"},
    {"attack 109: the CA made a CA of us", false, {.san = SAN_A, .ca = true}, KEY_P256,
        SIGN_OUTCOME_DONE, 1, "certificate.properties", "CA:TRUE"},
    {"attack 109: the key may sign certificates", false,
        {.san = SAN_A, .usage = "digitalSignature,keyCertSign"}, KEY_P256, SIGN_OUTCOME_DONE, 1,
        "certificate.properties", "keyUsage"},
    {"attack 109: for signing code", false, {.san = SAN_A, .purposes = "serverAuth,codeSigning"},
        KEY_P256, SIGN_OUTCOME_DONE, 1, "certificate.properties", "extKeyUsage"},
    {"attack 109: for any purpose", false, {.san = SAN_A, .purposes = "anyExtendedKeyUsage"},
        KEY_P256, SIGN_OUTCOME_DONE, 1, "certificate.properties", "extKeyUsage"},
    {"attack 109: the CA added a name", false, {.san = SAN_A "," SAN_B}, KEY_P256,
        SIGN_OUTCOME_LEDGER_REFUSED, 1, "certificate.names", "the CA did issue it"},
    {"attack 109: the CA certified another key", false, {.san = SAN_A}, KEY_P384,
        SIGN_OUTCOME_LEDGER_REFUSED, 1, "certificate.key", "the CA did issue it"},
    {"attack 88d: forged, for another name", true, {.san = SAN_B}, KEY_P256,
        SIGN_OUTCOME_LEDGER_REFUSED, -1, "certificate.names", "does not chain"},
    {"attack 88d: forged, for another key", true, {.san = SAN_A}, KEY_P384,
        SIGN_OUTCOME_LEDGER_REFUSED, -1, "certificate.key", "does not chain"},
};

static aw_result
keep(const struct audit_record *record, void *context)
{
    struct audit_entry *entry = context;

    entry->kind = record->entry.kind;
    entry->has_verified = record->entry.has_verified;
    entry->verified = record->entry.verified;
    return record->entry.kind == AUDIT_CERTIFICATE ? aw_fail(AW_CODE_EXISTS, "found") : AW_OK;
}

/* The certificate's own record, the first after `before`. */
static void
read_certificate(int64_t before, struct audit_entry *out)
{
    char folder[256];

    world_path(&t.w, "state/audit", folder);
    aw_ignore(audit_read(folder, before + 1, keep, out), "it stops where it found one");
}

static unsigned
check_row(size_t i, const struct world_record *last, const struct audit_entry *own, int outcome)
{
    const char *rule = last->entry->rule == NULL ? "" : last->entry->rule;
    const char *message = last->entry->message == NULL ? "" : last->entry->message;
    bool alarmed = last->entry->kind == AUDIT_ALARM;

    if (outcome == rows[i].outcome && own->kind == AUDIT_CERTIFICATE && own->has_verified &&
        own->verified == (rows[i].verified > 0) && alarmed == (rows[i].alarm != NULL) &&
        (!alarmed || (strcmp(rule, rows[i].alarm) == 0 && strstr(message, rows[i].text) != NULL &&
                         last->entry->has_verified && last->entry->verified == own->verified &&
                         last->entry->issuer != NULL && last->entry->certificate != NULL)))
        return 0;
    print_error("row \"%s\": outcome %d, verified %d %d, last record %s \"%s\": %s\n", rows[i].name,
        outcome, own->has_verified, own->verified, audit_kind_name(last->entry->kind), rule,
        message);
    return 1;
}

static void
attacks_88d_109_what_a_certificate_becomes(void **state)
{
    unsigned failures = 0;

    (void)state;
    pin(&t.root);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_entry own = {0};
        struct world_record last;
        char base[16];

        snprintf(base, sizeof(base), "o%zu", i);
        finalize("daemon", "a.example.edu", base, KEY_P256);
        int64_t before = world_position(&t.w);
        make_certificate(rows[i].forged ? &t.forger : &t.intermediate, &rows[i].wish, rows[i].key);
        int outcome = hand_back("daemon");
        world_last(&t.w, &last);
        read_certificate(before, &own);
        failures += check_row(i, &last, &own, outcome);
        world_record_free(&last);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

/* The record says what it was, for the inventory. */
static void
a_record_holds_what_an_inventory_needs(void **state)
{
    struct world_record last;

    (void)state;
    pin(&t.intermediate);
    finalize("daemon", "a.example.edu", "whole", KEY_P256);
    make_certificate(&t.intermediate,
        &(struct wish){.san = SAN_A, .serial = "\x01\xab", .serial_size = 2}, KEY_P256);
    assert_int_equal(hand_back("daemon"), SIGN_OUTCOME_DONE);
    world_last(&t.w, &last);
    const struct audit_entry *entry = last.entry;
    assert_int_equal(entry->kind, AUDIT_CERTIFICATE);
    assert_string_equal(entry->serial, "01ab");
    assert_string_equal(entry->issuer, "CN=R1");
    assert_string_equal(entry->application, "app-a");
    assert_string_equal(entry->account, "main");
    assert_string_equal(entry->names[0], "a.example.edu");
    assert_int_equal(strlen(entry->certificate), 64);
    assert_int_equal(strlen(entry->key), 64);
    assert_true(entry->not_after > core_now());
    assert_null(entry->message);
    world_record_free(&last);
    int64_t before = world_position(&t.w);
    assert_int_equal(hand_back("daemon"), SIGN_OUTCOME_DONE);
    assert_int_equal(world_position(&t.w), before);
}

/* app-a forges app-b's serial, and is first. */
static void
attack_88d_a_forger_does_not_take_the_right_to_replace(void **state)
{
    const struct wish wish_a = {.san = SAN_A, .serial = "\x0b\xbb", .serial_size = 2};
    const struct wish wish_b = {.san = SAN_B, .serial = "\x0b\xbb", .serial_size = 2};
    char rule[64];

    (void)state;
    unpin();
    finalize("daemon", "a.example.edu", "before", KEY_P256);
    make_certificate(&t.intermediate,
        &(struct wish){.san = SAN_A, .serial = "\x0c", .serial_size = 1}, KEY_P256);
    assert_int_equal(hand_back("daemon"), SIGN_OUTCOME_DONE);
    assert_int_equal(ask("daemon", "NewOrder", ORDER_FOR("a.example.edu", REPLACES_OWN), rule),
        SIGN_OUTCOME_DONE);
    pin(&t.root); /* what was never checked does not count any more */
    assert_int_equal(ask("daemon", "NewOrder", ORDER_FOR("a.example.edu", REPLACES_OWN), rule),
        SIGN_OUTCOME_LEDGER_REFUSED);
    assert_string_equal(rule, "order.replaces");
    finalize("daemon", "a.example.edu", "forged", KEY_P256);
    make_certificate(&t.forger, &wish_a, KEY_P256);
    assert_int_equal(hand_back("daemon"), SIGN_OUTCOME_DONE);
    assert_int_equal(ask("daemon", "NewOrder", ORDER_FOR("a.example.edu", REPLACES_B), rule),
        SIGN_OUTCOME_LEDGER_REFUSED);
    assert_string_equal(rule, "order.replaces");
    finalize("bin", "b.example.edu", "real", KEY_RSA_2048);
    make_certificate(&t.intermediate, &wish_b, KEY_RSA_2048);
    assert_int_equal(hand_back("bin"), SIGN_OUTCOME_DONE);
    assert_int_equal(ask("daemon", "NewOrder", ORDER_FOR("a.example.edu", REPLACES_B), rule),
        SIGN_OUTCOME_LEDGER_REFUSED);
    assert_int_equal(
        ask("bin", "NewOrder", ORDER_FOR("b.example.edu", REPLACES_B), rule), SIGN_OUTCOME_DONE);
}

/* app-a makes one up with its own key and app-b's serial, for the CA to revoke app-b's. */
static void
attack_126_anothers_serial_on_the_own_key(void **state)
{
    const struct wish forged = {.san = SAN_A, .serial = "\x0d\xdd", .serial_size = 2};
    const struct wish real = {.san = SAN_B, .serial = "\x0d\xdd", .serial_size = 2};
    const char *revoke = "{\"nonce\":\"$N\",\"certificate\":\"$CERT\"}";
    char rule[64];

    (void)state;
    pin(&t.root);
    finalize("bin", "b.example.edu", "real-126", KEY_RSA_2048);
    make_certificate(&t.intermediate, &real, KEY_RSA_2048);
    assert_int_equal(hand_back("bin"), SIGN_OUTCOME_DONE);
    finalize("daemon", "a.example.edu", "own-126", KEY_P256);
    make_certificate(&t.forger, &forged, KEY_P256);
    assert_int_equal(ask("daemon", "Revoke", revoke, rule), SIGN_OUTCOME_LEDGER_REFUSED);
    assert_string_equal(rule, "revoke.serial");
    make_certificate(
        &t.forger, &(struct wish){.san = SAN_A, .serial = "\x0d\xde", .serial_size = 2}, KEY_P256);
    assert_int_equal(ask("daemon", "Revoke", revoke, rule), SIGN_OUTCOME_DONE);
}

static void
without_issuers_nothing_is_said(void **state)
{
    struct world_record last;

    (void)state;
    unpin();
    finalize("daemon", "a.example.edu", "unchecked", KEY_P256);
    make_certificate(&t.forger, &(struct wish){.san = SAN_A, .ca = true}, KEY_P256);
    assert_int_equal(hand_back("daemon"), SIGN_OUTCOME_DONE);
    world_last(&t.w, &last);
    assert_int_equal(last.entry->kind, AUDIT_CERTIFICATE);
    assert_false(last.entry->has_verified);
    world_record_free(&last);
}

static void
status_and_record_tell_what_is_pinned(void **state)
{
    struct world_answer answer;
    struct world_record last;

    (void)state;
    unpin();
    world_call(&t.w, &admin_service, "games", "org.acmeward.Admin.GetStatus", "{}", &answer);
    assert_int_equal(cJSON_GetArraySize(aw_json_member(answer.parameters, "unverified_cas")), 2);
    world_answer_free(&answer);
    pin(&t.root);
    world_last(&t.w, &last);
    assert_int_equal(last.entry->kind, AUDIT_ISSUERS);
    assert_non_null(strstr(last.entry->message, "CA ca1 is held to "));
    world_call(&t.w, &admin_service, "games", "org.acmeward.Admin.ListCas", "{}", &answer);
    const cJSON *pinned =
        aw_json_member(aw_json_member(answer.parameters, "cas")->child, "issuers");
    assert_int_equal(cJSON_GetArraySize(pinned), 1);
    const char *digest = cJSON_GetStringValue(aw_json_member(pinned->child, "digest"));
    assert_non_null(strstr(last.entry->message, digest));
    world_answer_free(&answer);
    world_record_free(&last);
    world_call(&t.w, &admin_service, "games", "org.acmeward.Admin.GetStatus", "{}", &answer);
    const cJSON *without = aw_json_member(answer.parameters, "unverified_cas");
    assert_int_equal(cJSON_GetArraySize(without), 1);
    assert_string_equal(without->child->valuestring, "ca2");
    world_answer_free(&answer);
    world_restart(&t.w);
    world_last(&t.w, &last);
    assert_int_equal(last.entry->kind, AUDIT_ISSUERS);
    world_record_free(&last);
}

/* A file that can't be read leaves the old issuers in force. */
static void
a_bad_file_changes_nothing(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    issuers *list;

    (void)state;
    pin(&t.root);
    world_write(&t.w, "issuers.pem", "not a certificate\n");
    assert_int_equal(core_reload(t.w.core, NULL, &faults, &warnings).code, AW_CODE_CONFIG);
    assert_int_equal(faults.total, 1);
    assert_non_null(strstr(faults.items[0].message, "issuers of ca1"));
    list = core_issuers(t.w.core, "ca1");
    assert_int_equal(issuers_count(list), 1);
    issuers_release(&list);
    assert_null(core_issuers(t.w.core, "ca2"));
    assert_null(core_issuers(t.w.core, "nowhere"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_88d_109_what_a_certificate_becomes),
        cmocka_unit_test(a_record_holds_what_an_inventory_needs),
        cmocka_unit_test(attack_88d_a_forger_does_not_take_the_right_to_replace),
        cmocka_unit_test(attack_126_anothers_serial_on_the_own_key),
        cmocka_unit_test(without_issuers_nothing_is_said),
        cmocka_unit_test(status_and_record_tell_what_is_pinned),
        cmocka_unit_test(a_bad_file_changes_nothing),
    };

    return cmocka_run_group_tests_name("inventory", tests, setup, teardown);
}
