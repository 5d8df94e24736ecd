/* One request to its response: what must hold before a handler is called, and what every answer
 * has. The table is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "relay/accounts.h"
#include "relay/directory.h"
#include "relay/handlers.h"
#include "relay_world.h"

static unsigned handled;
static char seen[256]; /* what the handler saw */

static aw_result
handle(struct relay_call *call)
{
    handled++;
    snprintf(seen, sizeof(seen), "%s %lld %s",
        call->account != NULL ? call->account->application : "by key",
        (long long)call->match.numbers[0], call->payload != NULL ? "payload" : "empty");
    relay_response_empty(call->response, 200);
    return AW_OK;
}

static aw_result
fail_within(struct relay_call *call)
{
    (void)call;
    return aw_fail(AW_CODE_IO, "the disk /dev/secret is full");
}

static aw_result
refuse(struct relay_call *call)
{
    return relay_problem_fail(&call->problem, RELAY_ORDER_NOT_READY, "not ready yet");
}

static aw_result
give_nothing(struct relay_call *call)
{
    (void)call;
    return AW_OK;
}

static aw_result
ask_signer(struct relay_call *call)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    return relay_call_signer(call, "NewOrder", "{}", &reply);
}

const struct relay_route relay_routes[] = {
    {RELAY_GET, "/directory", RELAY_NO_SIGNATURE, RELAY_ON_LOOP, relay_get_directory},
    {RELAY_GET, RELAY_NONCE_PATTERN, RELAY_NO_SIGNATURE, RELAY_ON_LOOP, relay_get_nonce},
    {RELAY_POST, "/acme/new-account", RELAY_BY_KEY, RELAY_ON_WORKER, handle},
    {RELAY_POST, RELAY_ACCOUNT_PATTERN, RELAY_BY_ACCOUNT, RELAY_ON_WORKER, handle},
    {RELAY_POST, "/acme/order/#", RELAY_BY_ACCOUNT, RELAY_ON_WORKER, handle},
    {RELAY_POST, "/acme/revoke-cert", RELAY_BY_EITHER, RELAY_ON_WORKER, handle},
    {RELAY_POST, "/acme/fails", RELAY_BY_ACCOUNT, RELAY_ON_WORKER, fail_within},
    {RELAY_POST, "/acme/refuses", RELAY_BY_ACCOUNT, RELAY_ON_WORKER, refuse},
    {RELAY_POST, "/acme/nothing", RELAY_BY_ACCOUNT, RELAY_ON_WORKER, give_nothing},
    {RELAY_POST, "/acme/signer", RELAY_BY_ACCOUNT, RELAY_ON_WORKER, ask_signer},
};
const size_t relay_route_count = AW_COUNT(relay_routes);

static struct relay_world world;

static int
set_up(void **state)
{
    (void)state;
    handled = 0;
    seen[0] = '\0';
    relay_world_open(&world);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    relay_world_close(&world);
    return 0;
}

static struct signing_key stranger, rsa;

static const struct {
    const char *name;
    struct relay_world_signed what;
    int status;
    const char *problem; /* NULL: handled */
    const char *seen;
} posts[] = {
    {"a request with a payload", {.path = "/acme/order/5", .payload = "{\"a\":1}"}, 200, NULL,
        "web 5 payload"},
    {"POST-as-GET", {.path = "/acme/order/5"}, 200, NULL, "web 5 empty"},
    {"by its own key", {.path = "/acme/new-account", .by_key = true, .payload = "{}"}, 200, NULL,
        "by key 0 payload"},
    {"by an RSA key", {.path = "/acme/new-account", .by_key = true, .key = &rsa, .payload = "{}"},
        200, NULL, "by key 0 payload"},
    {"either, by account", {.path = "/acme/revoke-cert", .payload = "{}"}, 200, NULL,
        "web 0 payload"},
    {"either, by key", {.path = "/acme/revoke-cert", .by_key = true, .payload = "{}"}, 200, NULL,
        "by key 0 payload"},
    {"kid where jwk goes", {.path = "/acme/new-account"}, 400, "malformed", NULL},
    {"jwk where kid goes", {.path = "/acme/order/5", .by_key = true}, 400, "malformed", NULL},
    {"another's key", {.path = "/acme/order/5", .key = &stranger}, 400, "malformed", NULL},
    {"another kind of key", {.path = "/acme/order/5", .key = &rsa}, 400, "badPublicKey", NULL},
    {"an unknown account", {.path = "/acme/order/5", .kid = WORLD_URL "/acme/account/8"}, 400,
        "accountDoesNotExist", NULL},
    {"an account elsewhere",
        {.path = "/acme/order/5", .kid = "https://ca.example/base/acme/account/7"}, 400,
        "accountDoesNotExist", NULL},
    {"an account spelled otherwise", {.path = "/acme/order/5", .kid = WORLD_URL "/acme/account/07"},
        400, "accountDoesNotExist", NULL},
    {"another URL", {.path = "/acme/order/5", .url = WORLD_URL "/acme/order/6"}, 403,
        "unauthorized", NULL},
    {"another host",
        {.path = "/acme/order/5", .url = "https://relay.example.edu/base/acme/order/5"}, 403,
        "unauthorized", NULL},
    {"a query on the signed URL", {.path = "/acme/order/5", .url = WORLD_URL "/acme/order/5?a"},
        403, "unauthorized", NULL},
    {"a nonce of nobody", {.path = "/acme/order/5", .nonce = "bm9uZW5v"}, 400, "badNonce", NULL},
    {"a payload that is no object", {.path = "/acme/order/5", .payload = "[]"}, 400, "malformed",
        NULL},
    {"a payload with a member twice", {.path = "/acme/order/5", .payload = "{\"a\":1,\"a\":2}"},
        400, "malformed", NULL},
    {"a failure of ours", {.path = "/acme/fails"}, 500, "serverInternal", NULL},
    {"a refusal of ours", {.path = "/acme/refuses"}, 403, "orderNotReady", NULL},
    {"no answer", {.path = "/acme/nothing"}, 500, "serverInternal", NULL},
    {"a refusal of the signer", {.path = "/acme/signer"}, 403, "unauthorized", NULL},
};

static bool
is_problem(const struct relay_response *response, const char *type)
{
    char text[128];

    snprintf(text, sizeof(text), "\"urn:ietf:params:acme:error:%s\"", type);
    return response->body != NULL && strstr(response->body, text) != NULL &&
           strcmp(response->content_type, "application/problem+json") == 0;
}

/* RFC 8555 6.2, 6.4, 6.5, 6.7. */
static void
what_must_hold_of_a_post(void **state)
{
    (void)state;
    signing_key_new(JOSE_EC_P256, &stranger);
    signing_key_new(JOSE_RSA, &rsa);
    for (size_t i = 0; i < AW_COUNT(posts); i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        AW_CLEANUP(aw_free) char *body = relay_world_sign(&world, &posts[i].what);

        handled = 0;
        relay_world_ask(&world, RELAY_POST, posts[i].what.path, body, &response);
        if (response.status != posts[i].status ||
            (posts[i].problem != NULL && !is_problem(&response, posts[i].problem)))
            fail_msg("%s: %d %s", posts[i].name, response.status, response.body);
        if (handled != (posts[i].seen != NULL ? 1 : 0) ||
            (posts[i].seen != NULL && strcmp(seen, posts[i].seen) != 0))
            fail_msg("%s: the handler saw \"%s\"", posts[i].name, seen);
        if (!relay_nonces_use(world.relay.nonces, response.nonce))
            fail_msg("%s: the answer's nonce is of no use", posts[i].name);
        if (response.body != NULL && strstr(response.body, "/dev/secret") != NULL)
            fail_msg("%s: tells what is the log's", posts[i].name);
    }
    signing_key_free(&stranger);
    signing_key_free(&rsa);
}

static void
a_request_counts_once(void **state)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};
    AW_CLEANUP(aw_free)
    char *body = relay_world_sign(&world, &(struct relay_world_signed){.path = "/acme/order/5"});

    (void)state;
    relay_world_ask(&world, RELAY_POST, "/acme/order/5", body, &response);
    assert_int_equal(response.status, 200);
    relay_response_free(&response);
    relay_world_ask(&world, RELAY_POST, "/acme/order/5", body, &response);
    assert_int_equal(response.status, 400);
    assert_true(is_problem(&response, "badNonce"));
    assert_int_equal(handled, 1);
}

static void
a_deactivated_account(void **state)
{
    static const struct {
        const char *path;
        int status;
    } asked[] = {{"/acme/order/5", 403}, {"/acme/revoke-cert", 403}, {"/acme/account/7", 403}};

    (void)state;
    world.inactive = true;
    for (size_t i = 0; i < AW_COUNT(asked); i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        AW_CLEANUP(aw_free)
        char *body = relay_world_sign(&world, &(struct relay_world_signed){.path = asked[i].path});

        relay_world_ask(&world, RELAY_POST, asked[i].path, body, &response);
        if (response.status != asked[i].status)
            fail_msg("%s: %d", asked[i].path, response.status);
    }
}

static const struct {
    const char *name;
    const char *content_type;
    const char *body;
    int status;
    const char *problem; /* NULL: malformed */
} forms[] = {
    {"no content type", NULL, "{}", 415, NULL},
    {"JSON", "application/json", "{}", 415, NULL},
    {"a longer type", "application/jose+jsonx", "{}", 415, NULL},
    {"a parameter", "application/jose+json; charset=utf-8", "{}", 400, NULL},
    {"no body", "application/jose+json", "", 400, NULL},
    {"no JSON", "application/jose+json", "hello", 400, NULL},
    {"no JWS", "application/jose+json", "{\"a\":1}", 400, NULL},
    {"an unprotected header", "application/jose+json",
        "{\"protected\":\"e30\",\"header\":{},\"payload\":\"\",\"signature\":\"YQ\"}", 400, NULL},
    {"algorithm none", "application/jose+json",
        "{\"protected\":"
        "\"eyJhbGciOiJub25lIiwibm9uY2UiOiJhYWFhIiwidXJsIjoiaHR0cHM6Ly9hIiwia2lkIjoiYSJ9"
        "\",\"payload\":\"\",\"signature\":\"YQ\"}",
        400, "badSignatureAlgorithm"},
};

static void
forms_of_a_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};

        relay_handle(&world.relay,
            &(struct relay_request){.method = RELAY_POST,
                .path = "/base/acme/order/5",
                .content_type = forms[i].content_type,
                .body = forms[i].body,
                .size = strlen(forms[i].body)},
            &response);
        if (response.status != forms[i].status ||
            !is_problem(&response, forms[i].problem != NULL ? forms[i].problem : "malformed"))
            fail_msg("%s: %d %s", forms[i].name, response.status, response.body);
        assert_int_equal(handled, 0);
    }
}

/* A client may ask for what it likes: nothing of it reaches the signer unsigned. The account may
 * have got another key, so the signer is asked for it again: once in RELAY_ACCOUNT_FRESH_MS,
 * however many come. */
static void
bad_signatures_never_reach_the_signer(void **state)
{
    int64_t began = aw_now_ms();

    (void)state;
    signing_key_new(JOSE_EC_P256, &stranger);
    for (int i = 0; i < 100; i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        AW_CLEANUP(aw_free)
        char *body = relay_world_sign(
            &world, &(struct relay_world_signed){.path = "/acme/signer", .key = &stranger});

        relay_world_ask(&world, RELAY_POST, "/acme/signer", body, &response);
        assert_int_equal(response.status, 400);
    }
    /* One batch of nonces, and the account; a loaded machine takes more than a second here. */
    assert_in_range(
        world.calls, 2, (uintmax_t)(2 + (aw_now_ms() - began) / RELAY_ACCOUNT_FRESH_MS));
    signing_key_free(&stranger);
}

static const struct {
    const char *name;
    enum relay_method method;
    const char *path;
    int status;
    bool nonce;
    const char *allow;
} gets[] = {
    {"the directory", RELAY_GET, "/directory", 200, false, NULL},
    {"a nonce by HEAD", RELAY_HEAD, "/acme/new-nonce", 200, true, NULL},
    {"a nonce by GET", RELAY_GET, "/acme/new-nonce", 204, true, NULL},
    {"an order by GET", RELAY_GET, "/acme/order/5", 405, false, "POST"},
    {"PUT", RELAY_OTHER, "/acme/new-nonce", 405, false, "GET, HEAD"},
    {"nothing there", RELAY_GET, "/else", 404, false, NULL},
    {"POST to nothing", RELAY_POST, "/else", 404, true, NULL},
};

static void
what_needs_no_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(gets); i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};

        relay_world_ask(&world, gets[i].method, gets[i].path, NULL, &response);
        if (response.status != gets[i].status || (response.nonce[0] != '\0') != gets[i].nonce)
            fail_msg("%s: %d, nonce \"%s\"", gets[i].name, response.status, response.nonce);
        if ((response.allow == NULL) != (gets[i].allow == NULL) ||
            (gets[i].allow != NULL && strcmp(response.allow, gets[i].allow) != 0))
            fail_msg("%s: allows %s", gets[i].name, response.allow);
        if (gets[i].status >= 400 && !is_problem(&response, "malformed"))
            fail_msg("%s: %s", gets[i].name, response.body);
    }
}

static void
the_directory(void **state)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};

    (void)state;
    relay_world_ask(&world, RELAY_GET, "/directory", NULL, &response);
    assert_string_equal(response.body,
        "{\"newNonce\":\"" WORLD_URL "/acme/new-nonce\",\"newAccount\":\"" WORLD_URL
        "/acme/new-account\",\"newOrder\":\"" WORLD_URL
        "/acme/new-order\",\"revokeCert\":\"" WORLD_URL
        "/acme/revoke-cert\",\"keyChange\":\"" WORLD_URL
        "/acme/key-change\",\"renewalInfo\":\"" WORLD_URL
        "/acme/renewal-info\",\"meta\":{\"externalAccountRequired\":true}}");
}

static void
what_the_directory_tells_of_the_ca(void **state)
{
    static char terms[] = "https://example.edu/terms", classic[] = "classic";
    struct aw_yaml_string profile = {.text = classic};
    struct relay_config config = {.url = world.config.url,
        .terms_of_service = terms,
        .profiles = {.items = &profile, .count = 1}};
    AW_CLEANUP(aw_free) char *text = NULL;

    (void)state;
    assert_true(aw_ok(relay_directory_write(&config, &text)));
    assert_non_null(strstr(text,
        "\"meta\":{\"externalAccountRequired\":true,"
        "\"termsOfService\":\"https://example.edu/terms\",\"profiles\":{\"classic\":"));
}

/* Without the signer the directory is there, and who wants a nonce is told when to come back. */
static void
without_the_signer(void **state)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};

    (void)state;
    world.fails = AW_CODE_UNAVAILABLE;
    relay_world_ask(&world, RELAY_GET, "/directory", NULL, &response);
    assert_int_equal(response.status, 200);
    relay_response_free(&response);
    relay_world_ask(&world, RELAY_HEAD, "/acme/new-nonce", NULL, &response);
    assert_int_equal(response.status, 503);
    assert_int_equal(response.retry_after, RELAY_RETRY_SECONDS);
}

static void
where_it_is_answered(void **state)
{
    struct relay_request nonce = {.method = RELAY_HEAD, .path = "/base/acme/new-nonce"};
    struct relay_request order = {.method = RELAY_POST, .path = "/base/acme/order/5"};
    char out[RELAY_NONCE_SIZE];

    (void)state;
    assert_int_equal(relay_place_of(&world.relay, &nonce), RELAY_ON_WORKER); /* none in stock */
    assert_true(
        aw_ok(relay_nonces_give(world.relay.nonces, world.relay.signer, RELAY_NONCE_ASKED, out)));
    assert_int_equal(relay_place_of(&world.relay, &nonce), RELAY_ON_LOOP);
    assert_int_equal(relay_place_of(&world.relay, &order), RELAY_ON_WORKER);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_must_hold_of_a_post),
        TEST(a_request_counts_once),
        TEST(a_deactivated_account),
        TEST(forms_of_a_body),
        TEST(bad_signatures_never_reach_the_signer),
        TEST(what_needs_no_signature),
        TEST(the_directory),
        TEST(what_the_directory_tells_of_the_ca),
        TEST(without_the_signer),
        TEST(where_it_is_answered),
    };
    return cmocka_run_group_tests_name("relay_handle", tests, NULL, NULL);
}
