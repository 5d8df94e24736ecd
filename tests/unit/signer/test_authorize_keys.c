/* Keys that no certificate may have, and keys that stay refused: attacks 110 to 112. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/hex.h"
#include "common/io.h"
#include "signer_world.h"

#define LEDGER SIGN_OUTCOME_LEDGER_REFUSED
#define CSR SIGN_OUTCOME_CSR_REFUSED
#define DONE SIGN_OUTCOME_DONE

/* An order of that user for one name is finalized with the key; the outcome and rule are these. */
static void
expect_finalize(struct world *w, const char *row, const char *user, enum test_key key, int outcome,
    const char *rule)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    static unsigned orders;
    struct peer peer = world_peer(user, NULL);
    const char *name = strcmp(user, "daemon") == 0 ? "a.example.edu" : "b.example.edu";
    char base[32];

    snprintf(base, sizeof(base), "k%u", orders++);
    world_order(w, user, name, base);
    world_set_octets(w, "C", world_csr(key, name));
    int got = world_ask(w, &peer, "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}", &reply);
    if (got != outcome || strcmp(reply.rule == NULL ? "" : reply.rule, rule) != 0)
        fail_msg("%s: outcome %d %s (%s)", row, got, reply.rule ? reply.rule : "",
            reply.message ? reply.message : "");
}

static void
set_in_token(struct world *w, bool there)
{
    CK_SESSION_HANDLE session = softhsm_session();
    octets key = public_key(KEY_P256_TOKEN);
    CK_FUNCTION_LIST *f = softhsm_functions();

    if (there) {
        softhsm_put_public_key(session, key.data, key.size, false);
    } else {
        CK_OBJECT_HANDLE object = softhsm_find(session, CKO_PUBLIC_KEY, "");
        assert_int_not_equal(object, CK_INVALID_HANDLE);
        assert_int_equal(f->C_DestroyObject(session, object), CKR_OK);
    }
    f->C_CloseSession(session);
    world_reload(w);
}

/* The key is in two places, and stays refused when it is in the token no more. */
static void
attacks_111_and_112_a_key_that_was_in_the_token(void **state)
{
    struct world *w = *state;

    set_in_token(w, true);
    expect_finalize(w, "attack 111", "daemon", KEY_P256_TOKEN, CSR, "csr.key.token");
    set_in_token(w, false);
    expect_finalize(
        w, "attack 112: gone from the token", "daemon", KEY_P256_TOKEN, LEDGER, "key.refused");
    expect_finalize(
        w, "attack 112: another application", "bin", KEY_P256_TOKEN, LEDGER, "key.refused");
    world_restart(w);
    expect_finalize(w, "attack 112: after a restart", "bin", KEY_P256_TOKEN, LEDGER, "key.refused");
    expect_finalize(w, "another key", "daemon", KEY_P256, DONE, "");
}

/* Renames accounts, so that the new ones have no state, and gives their applications another. */
static void
forget_accounts(struct world *w)
{
    static const char *const gone[] = {"{name: twin", "{name: keyless", "{name: unpinned"};
    AW_CLEANUP(aw_free) char *config = NULL;
    size_t size = 0;

    assert_ok(aw_file_read(w->config, 65536, &config, &size));
    for (size_t i = 0; i < AW_COUNT(gone); i++) {
        char *at = strstr(config, gone[i]);
        assert_non_null(at);
        at[strlen("{name: ")] = 'x';
    }
    world_write(w, "signer.yaml", config);
    world_write(w, "policy.d/app-keyless.yaml",
        "application: app-keyless\nowner: team@example.edu\naccount: main\n"
        "principals: [{user: list}]\nnames: {exact: [k.example.edu]}\n");
    world_write(w, "policy.d/app-unpinned.yaml",
        "application: app-unpinned\nowner: team@example.edu\naccount: main\n"
        "principals: [{user: backup}]\nnames: {exact: [u.example.edu]}\n");
    world_reload(w);
}

/* The twin's key is the account's no more, once the configuration has it no more. */
static void
attacks_110_and_112_a_key_that_was_an_accounts(void **state)
{
    struct world *w = *state;

    expect_finalize(w, "attack 110", "daemon", KEY_P256_OTHER, CSR, "csr.key.account");
    forget_accounts(w);
    expect_finalize(
        w, "attack 112: no account's now", "daemon", KEY_P256_OTHER, LEDGER, "key.refused");
}

static void
ask_revocation(struct world *w, const char *user, int reason, const char *rule)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer(user, NULL);

    world_set(w, "REASON", "%d", reason);
    (void)world_ask(w, &peer, "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT\",\"reason\":$REASON}", &reply);
    assert_string_equal(reply.rule == NULL ? "" : reply.rule, rule);
    assert_null(reply.jws);
}

/* keyCompromise has to be proved with the key, but what an application says of its own is kept. */
static void
attack_112_a_key_called_compromised(void **state)
{
    struct world *w = *state;

    expect_finalize(w, "the first", "daemon", KEY_P256, DONE, "");
    world_set_octets(w, "CERT", world_certificate(KEY_P256, "a.example.edu", LITERAL("\x01\x02")));
    ask_revocation(w, "daemon", 1, "revoke.reason");
    expect_finalize(w, "attack 112: compromised", "daemon", KEY_P256, LEDGER, "key.refused");
}

/* What admin_revoke.c records of an officer's revocation; without the rule nothing is kept. */
static void
record_revocation(struct world *w, const char *rule)
{
    uint8_t digest[AW_DIGEST_SIZE];
    char text[AW_DIGEST_HEX_SIZE];
    octets key = public_key(KEY_P256);

    assert_int_equal(EVP_Digest(key.data, key.size, digest, NULL, EVP_sha256(), NULL), 1);
    aw_hex(digest, sizeof(digest), text);
    struct audit_entry entry = {
        .kind = AUDIT_ADMIN, .operation = "revoke", .verdict = "permit", .rule = rule, .key = text};
    assert_true(aw_ok(core_record(w->core, &entry)));
}

static void
attack_112_a_key_an_officer_calls_compromised(void **state)
{
    struct world *w = *state;

    expect_finalize(w, "the first", "daemon", KEY_P256, DONE, "");
    record_revocation(w, NULL);
    expect_finalize(w, "superseded is no fault of the key", "daemon", KEY_P256, DONE, "");
    record_revocation(w, "revoke.compromised");
    expect_finalize(w, "attack 112: an officer's word", "daemon", KEY_P256, LEDGER, "key.refused");
}

/* None of this makes the key of another refused. */
static void
attack_112_another_cannot_have_a_key_refused(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply forged = {0}, foreign = {0}, names = {0};
    struct peer peer = world_peer("daemon", NULL);
    octets key = public_key(KEY_RSA_2048);

    expect_finalize(w, "its own", "bin", KEY_RSA_2048, DONE, "");
    /* Its certificate is public. */
    world_set_octets(
        w, "CERT", world_certificate(KEY_RSA_2048, "b.example.edu", LITERAL("\x0b\xbb")));
    ask_revocation(w, "daemon", 1, "revoke.reason");
    /* So is its key; the CSR's signature is not of it. */
    world_order(w, "daemon", "a.example.edu", "poison");
    world_set_octets(w, "C",
        csr_of(
            &(struct csr_parts){.key = KEY_P256, .names = dns("a.example.edu"), .key_info = key}));
    assert_int_equal(
        world_ask(w, &peer, "Finalize",
            "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}",
            &forged),
        CSR);
    /* Possessed, and used by another application, or for other names: of the use, not of the key.
     */
    world_set_octets(w, "C", world_csr(KEY_RSA_2048, "a.example.edu"));
    assert_int_equal(
        world_ask(w, &peer, "Finalize",
            "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}",
            &foreign),
        LEDGER);
    assert_string_equal(foreign.rule, "finalize.key");
    world_set_octets(w, "C", world_csr(KEY_RSA_2048, "b.example.edu"));
    assert_int_equal(
        world_ask(w, &peer, "Finalize",
            "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}",
            &names),
        SIGN_OUTCOME_POLICY_REFUSED);
    expect_finalize(w, "still its own", "bin", KEY_RSA_2048, DONE, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            attacks_111_and_112_a_key_that_was_in_the_token, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(
            attacks_110_and_112_a_key_that_was_an_accounts, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(
            attack_112_a_key_called_compromised, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(
            attack_112_a_key_an_officer_calls_compromised, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(
            attack_112_another_cannot_have_a_key_refused, world_setup, world_teardown),
    };

    return cmocka_run_group_tests_name("authorize_keys", tests, NULL, NULL);
}
