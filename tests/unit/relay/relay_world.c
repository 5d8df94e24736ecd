#include "relay_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "common/json.h"
#include "common/lock.h"

static struct relay_world *here; /* whose signer is asked */

static void
add_nonces(struct aw_json_writer *w)
{
    char nonce[32];

    aw_json_name(w, "nonces");
    aw_json_begin_array(w);
    for (int i = 0; i < RELAY_NONCES_BATCH; i++) {
        snprintf(nonce, sizeof(nonce), "nonce-%06u", here->nonces++);
        aw_json_write_string(w, nonce);
    }
    aw_json_end_array(w);
    aw_json_pair_integer(w, "lifetime", 3600);
}

static void
add_ca(struct aw_json_writer *w)
{
    static const char *const resources[][2] = {{"directory", "dir"}, {"newNonce", "nonce"},
        {"newOrder", "new-order"}, {"revokeCert", "revoke"}, {"renewalInfo", "ari"}};
    char url[128];

    if (here->ca == NULL)
        return;
    aw_json_pair(w, "account_url", "https://ca.example/account/1");
    aw_json_pair(w, "thumbprint", "THUMB");
    aw_json_name(w, "ca");
    aw_json_begin_object(w);
    aw_json_pair(w, "ca", "test");
    for (size_t i = 0; i < AW_COUNT(resources); i++) {
        snprintf(url, sizeof(url), "%s/%s", here->ca, resources[i][1]);
        aw_json_pair(w, resources[i][0], url);
    }
    aw_json_end_object(w);
}

static void
add_account(struct aw_json_writer *w, const struct signing_key *key)
{
    aw_json_pair(w, "application", "web");
    aw_json_pair(w, "owner", "web@example.edu");
    aw_json_pair(w, "jwk", key->jwk);
    aw_json_pair_bool(w, "active", !here->inactive);
    aw_json_pair(w, "validation", here->validation);
    add_ca(w);
    aw_json_name(w, "profiles");
    aw_json_begin_array(w);
    aw_json_end_array(w);
}

static aw_result
unknown_account(struct signer_refusal *refusal)
{
    refusal->error = strdup("EvidenceRefused");
    refusal->rule = strdup("evidence.account");
    refusal->message = strdup("no such account");
    return aw_fail(AW_CODE_REFUSED, "no such account");
}

static bool
is_asked_for(const struct signing_key *key, const char *parameters)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
    char thumbprint[JOSE_THUMBPRINT_TEXT];
    enum jose_fault fault;

    if (!aw_ok(jose_jwk_parse_text(key->jwk, &(struct jose_openssl){0}, &fault, &jwk)))
        return false;
    jose_thumbprint_text(jwk->thumbprint, thumbprint);
    return strstr(parameters, thumbprint) != NULL;
}

static void
add_found(struct aw_json_writer *w, const char *parameters)
{
    if (is_asked_for(&here->key, parameters))
        aw_json_pair_integer(w, "account", 7);
    else if (is_asked_for(&here->other, parameters))
        aw_json_pair_integer(w, "account", 8);
}

/* Methods with evidence, which the test does not look into. */
static bool
add_done(struct aw_json_writer *w, const char *method)
{
    if (strcmp(method, "NewAccount") == 0) {
        aw_json_pair_integer(w, "account", 9);
        aw_json_pair_bool(w, "created", true);
        return true;
    }
    if (strcmp(method, "DeactivateAccount") == 0)
        here->inactive = true;
    return strcmp(method, "DeactivateAccount") == 0 || strcmp(method, "ChangeKey") == 0;
}

static aw_result
answer(const char *method, const char *parameters, struct signer_refusal *refusal, cJSON **reply)
{
    struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    *refusal = (struct signer_refusal){.retry_after = -1};
    *reply = NULL;
    here->calls++;
    snprintf(here->last, sizeof(here->last), "%s %s", method, parameters);
    if (here->fails != AW_CODE_OK)
        return aw_fail(here->fails, "the test's signer fails");
    aw_json_begin_object(&w);
    if (strcmp(method, "GetNonces") == 0) {
        add_nonces(&w);
    } else if (strcmp(method, "GetAccount") == 0 && strstr(parameters, ":7}") != NULL) {
        add_account(&w, &here->key);
    } else if (strcmp(method, "FindAccount") == 0) {
        add_found(&w, parameters);
    } else if (add_done(&w, method)) {
    } else if (strcmp(method, "GetAccount") == 0 && strstr(parameters, ":8}") != NULL &&
               here->ca != NULL) {
        add_account(&w, &here->other);
    } else {
        aw_json_writer_free(&w);
        return unknown_account(refusal);
    }
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    return aw_json_parse(text, strlen(text), AW_JSON_STRICT, reply);
}

aw_result __wrap_relay_signer_call(struct relay_signer *signer, const char *method,
    const char *parameters, struct signer_refusal *refusal, cJSON **reply);

/* The relay's workers ask too. */
aw_result
__wrap_relay_signer_call(struct relay_signer *signer, const char *method, const char *parameters,
    struct signer_refusal *refusal, cJSON **reply)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    AW_HOLD(&lock);

    (void)signer;
    return answer(method, parameters, refusal, reply);
}

void
relay_world_open(struct relay_world *world)
{
    static char url[] = WORLD_URL, signer[] = "/nowhere";

    memset(world, 0, sizeof(*world));
    world->config.url = url;
    world->config.base_path = url + strlen("https://relay.example.edu:14443");
    world->config.signer = signer;
    snprintf(world->state, sizeof(world->state), "/tmp/aw-relay-XXXXXX");
    assert_non_null(mkdtemp(world->state));
    world->config.state = world->state;
    here = world;
    world->validation = "none";
    world->config.limits.orders = 1;
    world->config.limits.workers = 2;
    signing_key_new(JOSE_EC_P256, &world->other);
    signing_key_new(JOSE_EC_P256, &world->key);
    assert_true(aw_ok(relay_open(&world->config, &world->relay)));
}

void
relay_world_close(struct relay_world *world)
{
    static const char *const files[] = {"", "-wal", "-shm"};
    char path[64];

    relay_close(&world->relay);
    for (size_t i = 0; i < AW_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/relay.db%s", world->state, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(world->state), 0);
    signing_key_free(&world->key);
    signing_key_free(&world->other);
    here = NULL;
}

void
relay_world_again(struct relay_world *world)
{
    relay_close(&world->relay);
    assert_true(aw_ok(relay_open(&world->config, &world->relay)));
}

void
relay_world_connect(struct relay_world *world, char *signer, const char *ca, char *ca_file)
{
    world->config.signer = signer;
    world->config.signer_uid = getuid();
    world->config.ca_file = ca_file;
    world->ca = ca;
}

char *
relay_world_sign(struct relay_world *world, const struct relay_world_signed *what)
{
    const struct signing_key *key = what->key != NULL ? what->key : &world->key;
    AW_CLEANUP(signing_free) struct signing_jws jws = {0};
    AW_CLEANUP(aw_free) char *url = NULL, *header = NULL, *who = NULL;
    char nonce[RELAY_NONCE_SIZE];

    assert_true(aw_ok(
        relay_nonces_give(world->relay.nonces, world->relay.signer, RELAY_NONCE_ASKED, nonce)));
    assert_true(aw_ok(aw_format(&url, "%s%s", WORLD_URL, what->path)));
    if (what->by_key)
        assert_true(aw_ok(aw_format(&who, "\"jwk\":%s", key->jwk)));
    else
        assert_true(aw_ok(aw_format(
            &who, "\"kid\":\"%s\"", what->kid != NULL ? what->kid : WORLD_URL "/acme/account/7")));
    assert_true(aw_ok(aw_format(&header, "{\"alg\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\",%s}",
        jose_algorithm_name(signing_algorithm(key->type)),
        what->nonce != NULL ? what->nonce : nonce, what->url != NULL ? what->url : url, who)));
    signing_sign(key, signing_algorithm(key->type), header,
        what->payload != NULL ? what->payload : "", &jws);
    return signing_text(&jws);
}

void
relay_world_ask(struct relay_world *world, enum relay_method method, const char *path,
    const char *body, struct relay_response *response)
{
    AW_CLEANUP(aw_free) char *whole = NULL;

    assert_true(aw_ok(aw_format(&whole, "/base%s", path)));
    relay_handle(&world->relay,
        &(struct relay_request){.method = method,
            .path = whole,
            .content_type = body != NULL ? "application/jose+json" : NULL,
            .body = body,
            .size = body != NULL ? strlen(body) : 0,
            .address = "192.0.2.1"},
        response);
}
