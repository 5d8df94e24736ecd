/* The administrators' methods: what each refuses, and an account's way to registration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "common/b64url.h"
#include "common/io.h"
#include "signer/admin.h"
#include "signer_world.h"

#define URLS(rest)                                                                             \
    "\"newNonce\":\"" CA "new-nonce\",\"newAccount\":\"" CA "new-account\",\"newOrder\":\"" CA \
    "new-order\",\"revokeCert\":\"" CA "revoke-cert\",\"keyChange\":\"" CA "key-change\"," rest
#define PIN "{\"ca\":\"ca1\",\"replace\":false,\"pin\":{" URLS("\"externalAccountRequired\":true}}")
#define IMPORT(kid, key)                                                         \
    "{\"ca\":\"ca1\",\"kid\":\"" kid "\",\"algorithm\":\"HS256\",\"key\":\"" key \
    "\",\"force\":false}"
#define NEW_ACCOUNT(rest)                                                             \
    "{\"account\":\"main\",\"nonce\":\"n-1\",\"contact\":[\"mailto:a@example.edu\"]," \
    "\"terms_agreed\":true," rest "}"
#define WITH_KID NEW_ACCOUNT("\"kid\":\"kid-1\",\"only_existing\":false,\"unprocessed\":false")
#define REGISTER "{\"account\":\"main\",\"url\":\"" ACCOUNT_URL "\",\"orders\":null}"

/* Calls as an officer and expects an error ("" for success), and its tag or field. */
static void
expect(struct world *w, const char *row, const char *method, const char *parameters,
    const char *error, const char *detail)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, method, parameters, &answer);
    const char *found = strcmp(answer.error, "InvalidRequest") == 0 ? world_text(&answer, "field")
                                                                    : world_text(&answer, "tag");
    if (strcmp(answer.error, error) != 0 || strcmp(found, detail) != 0)
        fail_msg("%s: %s %s: %s", row, answer.error, found, world_text(&answer, "message"));
}

static void
set_key(struct world *w, const char *name, size_t size)
{
    uint8_t raw[256];

    assert_int_equal(RAND_bytes(raw, (int)size), 1);
    world_set_octets(w, name, octets_of(raw, size));
}

static int
setup(void **state)
{
    (void)world_setup_bare(state);
    struct world *w = *state;
    set_key(w, "KEY", 32);
    return 0;
}

/* Faults of calls, before any ceremony. */
static const struct {
    const char *name, *method, *parameters, *error, *detail;
} faults[] = {
    {"unknown member", "PinCa", "{\"ca\":\"ca1\",\"url\":\"x\"}", "InvalidRequest", ""},
    {"no CA", "PinCa", "{\"pin\":{}}", "InvalidRequest", "ca"},
    {"a name too long", "PinCa",
        "{\"ca\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
        "InvalidRequest", "ca"},
    {"unknown CA", "PinCa", "{\"ca\":\"ca9\",\"pin\":{}}", "Failed", "not-found"},
    {"replace is no boolean", "PinCa", "{\"ca\":\"ca1\",\"pin\":{},\"replace\":1}",
        "InvalidRequest", "replace"},
    {"no pin", "PinCa", "{\"ca\":\"ca1\"}", "InvalidRequest", "pin"},
    {"pin with more", "PinCa", "{\"ca\":\"ca1\",\"pin\":{" URLS("\"newAuthz\":\"x\"}}"),
        "InvalidRequest", "pin"},
    {"a URL is missing", "PinCa", "{\"ca\":\"ca1\",\"pin\":{\"newNonce\":\"" CA "n\"}}",
        "InvalidRequest", "newAccount"},
    {"a URL of another origin", "PinCa",
        "{\"ca\":\"ca1\",\"pin\":{\"newNonce\":\"https://ca.example.org/n\"}}", "Failed",
        "mismatch"},
    {"http", "PinCa", "{\"ca\":\"ca1\",\"pin\":{\"newNonce\":\"http://ca.example.net/n\"}}",
        "InvalidRequest", "newNonce"},
    {"a CAA identity that is no name", "PinCa",
        "{\"ca\":\"ca1\",\"pin\":{" URLS("\"caaIdentities\":\"ca.example; x\"}}"), "InvalidRequest",
        "caaIdentities"},
    {"an empty CAA identity", "PinCa",
        "{\"ca\":\"ca1\",\"pin\":{" URLS("\"caaIdentities\":\"ca.example \"}}"), "InvalidRequest",
        "caaIdentities"},
    {"a number for a URL", "PinCa", "{\"ca\":\"ca1\",\"pin\":{\"newNonce\":1}}", "InvalidRequest",
        "newNonce"},
    {"binding required is no boolean", "PinCa",
        "{\"ca\":\"ca1\",\"pin\":{" URLS("\"externalAccountRequired\":\"yes\"}}"), "InvalidRequest",
        "externalAccountRequired"},

    {"no kid", "ImportEab", IMPORT("", "$KEY"), "InvalidRequest", "kid"},
    {"unknown algorithm", "ImportEab",
        "{\"ca\":\"ca1\",\"kid\":\"k\",\"algorithm\":\"none\",\"key\":\"$KEY\"}", "InvalidRequest",
        "algorithm"},
    {"a padded key", "ImportEab", IMPORT("k", "AAAA="), "InvalidRequest", "key"},
    {"an empty key", "ImportEab", IMPORT("k", ""), "InvalidRequest", "key"},
    {"a short key", "ImportEab", IMPORT("k", "AAAA"), "Failed", "limit"},
    {"unknown CA of a key", "ImportEab",
        "{\"ca\":\"ca9\",\"kid\":\"k\",\"algorithm\":\"HS256\",\"key\":\"$KEY\"}", "Failed",
        "not-found"},
    {"no such EAB key", "DestroyEab", "{\"ca\":\"ca1\",\"kid\":\"k\"}", "Failed", "not-found"},

    {"no account", "CreateAccount", "{}", "InvalidRequest", "account"},
    {"unknown account", "CreateAccount", "{\"account\":\"x\"}", "Failed", "not-found"},
    {"a nonce with a quote", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"a\\\"\",\"contact\":[],\"terms_agreed\":true}",
        "InvalidRequest", "nonce"},
    {"a contact that is no mailto", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[\"https://x\"]}", "InvalidRequest",
        "contact"},
    {"a contact with header fields", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[\"mailto:a@b.c?bcc=d@e.f\"]}",
        "InvalidRequest", "contact"},
    {"nine contacts", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[1,2,3,4,5,6,7,8,9]}", "InvalidRequest",
        "contact"},
    {"a member that newAccount has not", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[],\"payload\":\"x\"}", "InvalidRequest",
        ""},
    {"newAccount without a pin", "NewAccount", WITH_KID, "Failed", "not-found"},
    {"an account URL without a pin", "RegisterAccount", REGISTER, "Failed", "not-found"},
    {"an account URL with a query", "RegisterAccount",
        "{\"account\":\"main\",\"url\":\"" ACCOUNT_URL "?x\"}", "InvalidRequest", "url"},
    {"an account URL elsewhere", "RegisterAccount",
        "{\"account\":\"main\",\"url\":\"https://ca.example.org/acct/1\"}", "Failed", "mismatch"},
    {"the directory as account URL", "RegisterAccount",
        "{\"account\":\"main\",\"url\":\"" CA "directory\"}", "Failed", "mismatch"},
    {"no attempt", "ForgetAttempt", "{\"account\":\"main\"}", "Failed", "not-found"},
    {"no reason", "Freeze", "{}", "InvalidRequest", "reason"},
};

static void
every_fault_says_where(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(faults); i++)
        expect(w, faults[i].name, faults[i].method, faults[i].parameters, faults[i].error,
            faults[i].detail);
    assert_false(core_frozen(w->core, NULL, NULL));
    size_t count = 0;
    accounts_read(w->core->accounts);
    const struct ca *cas = accounts_cas(w->core->accounts, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(cas[i].pinned_at, 0);
        assert_int_equal(cas[i].eab_count, 0);
    }
    accounts_read_end(w->core->accounts);
}

static void
what_was_tried_in_vain_is_on_record(void **state)
{
    struct world *w = *state;

    expect(w, "short", "ImportEab", IMPORT("kid-9", "AAAA"), "Failed", "limit");
    world_expect_admin(w, "short", "eab-import", "refuse");
}

/* EAB keys. */

static void
list(struct world *w, const char *method, char **out)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OPERATOR, method, "{}", &answer);
    assert_string_equal(answer.error, "");
    *out = cJSON_PrintUnformatted(answer.parameters);
}

static void
expect_list(struct world *w, const char *method, const char *part, bool there)
{
    char *text = NULL;

    list(w, method, &text);
    if ((strstr(text, part) != NULL) != there)
        fail_msg("%s: %s", method, text);
    free(text);
}

static void
eab_keys_come_and_go(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    int64_t bits = 0;

    world_call_admin(w, OFFICER, "ImportEab", IMPORT("kid-1", "$KEY"), &answer);
    assert_string_equal(answer.error, "");
    assert_ok(aw_json_integer(answer.parameters, "bits", 256, 256, &bits));
    world_expect_admin(w, "import", "eab-import", "permit");
    expect_list(w, "ListEabs", "\"kid\":\"kid-1\",\"algorithm\":\"HS256\",\"present\":true", true);
    expect(w, "again", "ImportEab", IMPORT("kid-1", "$KEY"), "Failed", "exists");
    expect(w, "beside it", "ImportEab", IMPORT("kid-2", "$KEY"), "", "");
    expect(w, "forced", "ImportEab",
        "{\"ca\":\"ca1\",\"kid\":\"short\",\"algorithm\":\"HS256\",\"key\":\"c2hvcnQta2V5\","
        "\"force\":true}",
        "", "");
    world_restart(w);
    expect_list(w, "ListEabs", "short", true);
    expect(w, "destroyed", "DestroyEab", "{\"ca\":\"ca1\",\"kid\":\"kid-1\"}", "", "");
    world_expect_admin(w, "destroyed", "eab-destroy", "permit");
    expect_list(w, "ListEabs", "kid-1", false);
    expect(w, "gone", "DestroyEab", "{\"ca\":\"ca1\",\"kid\":\"kid-1\"}", "Failed", "not-found");
    expect(w, "once more", "ImportEab", IMPORT("kid-1", "$KEY"), "", "");
}

/* Neither the log nor a state file has the key, in any of its forms. */
static void
an_imported_key_is_in_no_file(void **state)
{
    static const char *const files[] = {"state/audit/audit.jsonl", "state/cas/ca1.json"};
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *key = world_expand(w, "$KEY");

    expect(w, "import", "ImportEab", IMPORT("kid-1", "$KEY"), "", "");
    expect(w, "again", "ImportEab", IMPORT("kid-1", "$KEY"), "Failed", "exists");
    for (size_t i = 0; i < AW_COUNT(files); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        char path[256];
        size_t size;

        world_path(w, files[i], path);
        assert_ok(aw_file_read(path, 1 << 20, &text, &size));
        assert_non_null(strstr(text, "kid-1"));
        assert_null(strstr(text, key));
    }
}

/* Pins. */

static void
a_pin_changes_only_with_replace(void **state)
{
    struct world *w = *state;

    expect(w, "pin", "PinCa", PIN, "", "");
    world_expect_admin(w, "pin", "ca-pin", "permit");
    expect(w, "the same", "PinCa", PIN, "", "");
    expect(w, "another", "PinCa",
        "{\"ca\":\"ca1\",\"replace\":false,\"pin\":{" URLS(
            "\"renewalInfo\":\"" CA "ari\",\"externalAccountRequired\":true}}"),
        "Failed", "exists");
    expect_list(w, "ListCas", "\"renewalInfo\":null", true);
    expect(w, "replaced", "PinCa",
        "{\"ca\":\"ca1\",\"replace\":true,\"pin\":{" URLS(
            "\"renewalInfo\":\"" CA "ari\",\"termsOfService\":\"https://x.example/terms\","
            "\"caaIdentities\":\"ca.example ca.example.net\","
            "\"externalAccountRequired\":true}}"),
        "", "");
    world_restart(w);
    expect_list(w, "ListCas", "\"renewalInfo\":\"" CA "ari\"", true);
    expect_list(w, "ListCas", "\"caaIdentities\":\"ca.example ca.example.net\"", true);
}

/* An account's way. */

static void
expect_state(struct world *w, const char *row, const char *wanted)
{
    accounts_read(w->core->accounts);
    const char *state = account_state_name(accounts_find(w->core->accounts, "main")->state);
    accounts_read_end(w->core->accounts);
    if (strcmp(state, wanted) != 0)
        fail_msg("%s: the account is %s", row, state);
}

static const struct {
    const char *name, *method, *parameters, *error, *detail, *state;
} way[] = {
    {"pin", "PinCa", PIN, "", "", "no-key"},
    {"newAccount without a key", "NewAccount", WITH_KID, "Failed", "not-found", "no-key"},
    {"registered without a key", "RegisterAccount", REGISTER, "Failed", "not-found", "no-key"},
    {"create", "CreateAccount", "{\"account\":\"main\"}", "", "", "unregistered"},
    {"create again", "CreateAccount", "{\"account\":\"main\"}", "Failed", "exists", "unregistered"},
    {"the CA asks for a binding", "NewAccount", NEW_ACCOUNT("\"kid\":null"), "Failed", "usage",
        "unregistered"},
    {"attack 86: an EAB key that is not here", "NewAccount", NEW_ACCOUNT("\"kid\":\"other\""),
        "Failed", "not-found", "unregistered"},
    {"import", "ImportEab", IMPORT("kid-1", "$KEY"), "", "", "unregistered"},
    {"look for it", "NewAccount", NEW_ACCOUNT("\"only_existing\":true"), "", "", "unregistered"},
    {"newAccount", "NewAccount", WITH_KID, "", "", "attempted"},
    {"attack 88: once more", "NewAccount", WITH_KID, "Failed", "exists", "attempted"},
    {"look for it after a lost answer", "NewAccount", NEW_ACCOUNT("\"only_existing\":true"), "", "",
        "attempted"},
    {"the CA said badNonce", "NewAccount", NEW_ACCOUNT("\"kid\":\"kid-1\",\"unprocessed\":true"),
        "", "", "attempted"},
    {"forget", "ForgetAttempt", "{\"account\":\"main\"}", "", "", "unregistered"},
    {"forget again", "ForgetAttempt", "{\"account\":\"main\"}", "Failed", "not-found",
        "unregistered"},
    {"newAccount again", "NewAccount", WITH_KID, "", "", "attempted"},
    {"register", "RegisterAccount", REGISTER, "", "", "registered"},
    {"the same URL again", "RegisterAccount", REGISTER, "", "", "registered"},
    {"another URL", "RegisterAccount", "{\"account\":\"main\",\"url\":\"" CA "acct/7\"}", "Failed",
        "exists", "registered"},
    {"attack 88: a second account", "NewAccount", WITH_KID, "Failed", "exists", "registered"},
    {"look for it when registered", "NewAccount", NEW_ACCOUNT("\"only_existing\":true"), "", "",
        "registered"},
    {"create when registered", "CreateAccount", "{\"account\":\"main\"}", "Failed", "exists",
        "registered"},
    {"forget when registered", "ForgetAttempt", "{\"account\":\"main\"}", "Failed", "not-found",
        "registered"},
};

/* Each state is on disk: the core is opened anew after every step. */
static void
an_accounts_way_to_registration(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(way); i++) {
        expect(w, way[i].name, way[i].method, way[i].parameters, way[i].error, way[i].detail);
        expect_state(w, way[i].name, way[i].state);
        world_restart(w);
        expect_state(w, way[i].name, way[i].state);
    }
}

/* The binding (RFC 8555 7.3.4): its MAC by the imported key, over this account's public key. */

static void
check_mac(struct world *w, const cJSON *binding)
{
    AW_CLEANUP(aw_free) char *key = world_expand(w, "$KEY"), *input = NULL, *expected = NULL;
    const char *header = NULL, *payload = NULL, *signature = NULL;
    uint8_t raw[64], mac[32];
    unsigned length = 0;
    size_t size = 0;

    assert_ok(aw_json_string(binding, "protected", 65536, &header));
    assert_ok(aw_json_string(binding, "payload", 65536, &payload));
    assert_ok(aw_json_string(binding, "signature", 65536, &signature));
    assert_ok(aw_format(&input, "%s.%s", header, payload));
    assert_ok(aw_b64url_decode(key, strlen(key), raw, sizeof(raw), &size));
    assert_non_null(HMAC(
        EVP_sha256(), raw, (int)size, (const unsigned char *)input, strlen(input), mac, &length));
    assert_ok(aw_b64url_encode_new(mac, length, &expected));
    assert_string_equal(signature, expected);
}

static void
new_account_is_bound_by_the_imported_key(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0}, created = {0};
    AW_CLEANUP(aw_json_free) cJSON *body = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL, *header = NULL, *inner = NULL, *bound = NULL;
    AW_CLEANUP(aw_free) char *wanted = NULL;
    const cJSON *jws = NULL, *binding = NULL, *account = NULL;

    expect(w, "pin", "PinCa", PIN, "", "");
    expect(w, "import", "ImportEab", IMPORT("kid-1", "$KEY"), "", "");
    world_call_admin(w, OFFICER, "CreateAccount", "{\"account\":\"main\"}", &created);
    assert_ok(aw_json_object(created.parameters, "state", &account));
    const struct world_answer made = {.parameters = account};
    world_call_admin(w, OFFICER, "NewAccount", WITH_KID, &answer);
    assert_string_equal(world_text(&answer, "url"), CA "new-account");
    assert_ok(aw_json_object(answer.parameters, "jws", &jws));
    payload = world_decode(jws, "payload");
    assert_ok(aw_json_parse(payload, strlen(payload), AW_JSON_STRICT, &body));
    assert_true(cJSON_IsTrue(aw_json_member(body, "termsOfServiceAgreed")));
    assert_ok(aw_json_object(body, "externalAccountBinding", &binding));
    inner = world_decode(binding, "protected");
    assert_string_equal(
        inner, "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"" CA "new-account\"}");
    bound = world_decode(binding, "payload");
    assert_string_equal(bound, world_text(&made, "jwk"));
    check_mac(w, binding);
    header = world_decode(jws, "protected");
    assert_ok(aw_format(&wanted,
        "{\"alg\":\"ES256\",\"jwk\":%s,\"nonce\":\"n-1\",\"url\":\"" CA "new-account\"}", bound));
    assert_string_equal(header, wanted);
}

/* The service itself. */

static void
a_reload_says_who_asked(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0}, bad = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    world_call_admin(w, OPERATOR, "Reload", "{}", &answer);
    assert_string_equal(answer.error, "");
    world_last(w, &last);
    assert_int_equal(last.entry->kind, AUDIT_RELOAD);
    assert_string_equal(last.entry->user, OPERATOR);
    world_write(w, "policy.d/app-b.yaml", "application: [");
    world_call_admin(w, OPERATOR, "Reload", "{}", &bad);
    assert_string_equal(bad.error, "Failed");
    assert_string_equal(world_text(&bad, "tag"), "config");
}

static void
status_and_doctor_answer(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer status = {0}, found = {0};

    expect(w, "pin", "PinCa", PIN, "", "");
    expect(w, "create", "CreateAccount", "{\"account\":\"main\"}", "", "");
    world_call_admin(w, OPERATOR, "GetStatus", "{}", &status);
    assert_true(cJSON_IsTrue(aw_json_member(status.parameters, "token_healthy")));
    assert_true(cJSON_IsTrue(aw_json_member(status.parameters, "audit_healthy")));
    assert_string_equal(world_text(&status, "role"), "operator");
    world_call_admin(w, OPERATOR, "ExamineToken", "{}", &found);
    assert_string_equal(found.error, "");
    AW_CLEANUP(aw_free) char *text = cJSON_PrintUnformatted(found.parameters);
    assert_non_null(strstr(text, "acmeward-account:main"));
    assert_null(strstr(text, "\"value_readable\":true"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_fault_says_where),
        TEST(what_was_tried_in_vain_is_on_record),
        TEST(eab_keys_come_and_go),
        TEST(an_imported_key_is_in_no_file),
        TEST(a_pin_changes_only_with_replace),
        TEST(an_accounts_way_to_registration),
        TEST(new_account_is_bound_by_the_imported_key),
        TEST(a_reload_says_who_asked),
        TEST(status_and_doctor_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
