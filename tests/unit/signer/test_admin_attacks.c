/* External account binding, at the signer (RFC 8555 7.3.4): what an officer's client, taken over,
 * could ask the HMAC key for. Attacks 84 to 87. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/io.h"
#include "signer_world.h"

#define URLS                                                                                   \
    "\"newNonce\":\"" CA "new-nonce\",\"newAccount\":\"" CA "new-account\",\"newOrder\":\"" CA \
    "new-order\",\"revokeCert\":\"" CA "revoke-cert\",\"keyChange\":\"" CA "key-change\","     \
    "\"renewalInfo\":null,\"termsOfService\":null,\"externalAccountRequired\":true"
#define NEW_ACCOUNT(more)                                                           \
    "{\"account\":\"main\",\"nonce\":\"n-1\",\"contact\":[],\"terms_agreed\":true," \
    "\"kid\":\"kid-1\"" more "}"

static void
must(struct world *w, const char *method, const char *parameters)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, method, parameters, &answer);
    if (answer.error[0] != '\0')
        fail_msg("%s: %s %s", method, answer.error, world_text(&answer, "message"));
}

/* The CA is pinned, the account has its key, the EAB key is there. */
static int
setup(void **state)
{
    uint8_t key[32];

    (void)world_setup_bare(state);
    struct world *w = *state;
    memset(key, 0x5a, sizeof(key));
    world_set_octets(w, "KEY", octets_of(key, sizeof(key)));
    must(w, "PinCa", "{\"ca\":\"ca1\",\"replace\":false,\"pin\":{" URLS "}}");
    must(w, "CreateAccount", "{\"account\":\"main\"}");
    must(w, "ImportEab",
        "{\"ca\":\"ca1\",\"kid\":\"kid-1\",\"algorithm\":\"HS256\",\"key\":\"$KEY\",\"force\":"
        "false}");
    return 0;
}

static const struct {
    const char *name, *method, *parameters, *error;
} rows[] = {
    {"attack 84: a key of one's own", "NewAccount",
        NEW_ACCOUNT(",\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"),
        "InvalidRequest"},
    {"attack 84: its thumbprint", "NewAccount", NEW_ACCOUNT(",\"thumbprint\":\"AA\""),
        "InvalidRequest"},
    {"attack 84: another label", "NewAccount", NEW_ACCOUNT(",\"label\":\"x\""), "InvalidRequest"},
    {"attack 85: another URL", "NewAccount",
        NEW_ACCOUNT(",\"url\":\"https://evil.example/new-account\""), "InvalidRequest"},
    {"attack 85: another CA", "NewAccount", NEW_ACCOUNT(",\"ca\":\"ca2\""), "InvalidRequest"},
    {"attack 86: a kid that is not here", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n-1\",\"contact\":[],\"terms_agreed\":true,\"kid\":"
        "\"kid-2\"}",
        "Failed"},
    {"attack 86: a kid that begins alike", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n-1\",\"contact\":[],\"terms_agreed\":true,\"kid\":"
        "\"kid-1 \"}",
        "Failed"},
    {"attack 87: a payload", "NewAccount", NEW_ACCOUNT(",\"payload\":\"e30\""), "InvalidRequest"},
    {"attack 87: a protected header", "NewAccount", NEW_ACCOUNT(",\"protected\":\"e30\""),
        "InvalidRequest"},
    {"attack 87: an algorithm", "NewAccount", NEW_ACCOUNT(",\"algorithm\":\"HS512\""),
        "InvalidRequest"},
    {"attack 87: a length", "NewAccount", NEW_ACCOUNT(",\"mac_size\":1"), "InvalidRequest"},
    {"attack 87: a method for it", "Mac", "{\"kid\":\"kid-1\",\"input\":\"e30\"}",
        "MethodNotFound"},
    {"attack 87: another", "SignEab", "{}", "MethodNotFound"},
};

static void
attacks_84_to_87_cannot_be_said(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call_admin(w, OFFICER, rows[i].method, rows[i].parameters, &answer);
        if (strcmp(answer.error, rows[i].error) != 0 ||
            aw_json_member(answer.parameters, "jws") != NULL)
            fail_msg("%s: %s %s", rows[i].name, answer.error, world_text(&answer, "message"));
    }
}

/* What the HMAC key does sign: this account's key, this kid, the pinned URL, the whole MAC. */
static void
attacks_84_to_87_the_binding_is_of_this_account(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_json_free) cJSON *body = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL, *header = NULL, *bound = NULL;
    const cJSON *jws = NULL, *binding = NULL;
    const char *mac = NULL;
    token_key *key = NULL;

    world_call_admin(w, OFFICER, "NewAccount", NEW_ACCOUNT(""), &answer);
    assert_string_equal(answer.error, "");
    assert_ok(aw_json_object(answer.parameters, "jws", &jws));
    payload = world_decode(jws, "payload");
    assert_ok(aw_json_parse(payload, strlen(payload), AW_JSON_STRICT, &body));
    assert_ok(aw_json_object(body, "externalAccountBinding", &binding));
    header = world_decode(binding, "protected");
    assert_string_equal(
        header, "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"" CA "new-account\"}");
    bound = world_decode(binding, "payload");
    accounts_read(w->core->accounts);
    assert_ok(accounts_key(w->core->accounts, accounts_find(w->core->accounts, "main"), &key));
    assert_string_equal(bound, token_key_jwk(key));
    accounts_read_end(w->core->accounts);
    assert_ok(aw_json_string(binding, "signature", 128, &mac));
    assert_int_equal(strlen(mac), 43); /* 32 octets: nothing is cut off */
}

static void
destroy(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class)
{
    CK_OBJECT_HANDLE object = softhsm_find(session, class, "acmeward-account:main");

    assert_int_not_equal(object, CK_INVALID_HANDLE);
    assert_int_equal(softhsm_functions()->C_DestroyObject(session, object), CKR_OK);
}

/* Another key under the account's label: the one that was noted, or none. */
static void
attack_84_another_key_under_the_label(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer gone = {0}, other = {0};
    struct token_key_report report;
    token_key *key = NULL;

    world_restart(w); /* nothing is looked up yet */
    CK_SESSION_HANDLE session = softhsm_session();
    destroy(session, CKO_PRIVATE_KEY);
    destroy(session, CKO_PUBLIC_KEY);
    world_call_admin(w, OFFICER, "NewAccount", NEW_ACCOUNT(""), &gone);
    assert_string_equal(gone.error, "Failed");
    assert_string_equal(world_text(&gone, "tag"), "token-key-missing");
    assert_ok(token_key_generate(
        w->core->token, "acmeward-account:main", TOKEN_KEY_EC_P256, &report, &key));
    token_key_free(&key);
    world_call_admin(w, OFFICER, "NewAccount", NEW_ACCOUNT(""), &other);
    assert_string_equal(other.error, "Failed");
    assert_string_equal(world_text(&other, "tag"), "mismatch");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(attacks_84_to_87_cannot_be_said, setup, world_teardown),
        cmocka_unit_test_setup_teardown(
            attacks_84_to_87_the_binding_is_of_this_account, setup, world_teardown),
        cmocka_unit_test_setup_teardown(
            attack_84_another_key_under_the_label, setup, world_teardown),
    };

    return cmocka_run_group_tests_name("admin_attacks", tests, NULL, NULL);
}
