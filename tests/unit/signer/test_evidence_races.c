/* Evidence, not trust: what is good once is so for whoever comes at the same moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "relayed.h"
#include "signer/application.h"
#include "signer/ledger_inner.h"

enum { RACERS = 6, ROUNDS = 5 };

/* One call, ready to be made. Threads use nothing of the world but its core. */
struct racer {
    struct core *core;
    struct peer peer;
    struct aw_varlink_call call;
    pthread_barrier_t *start;
    pthread_t thread;
    char *reply;
};

static void *
race(void *context)
{
    struct racer *r = context;

    pthread_barrier_wait(r->start);
    struct gate_answer said = {.reply = NULL};
    bool good = aw_ok(application_service.answer(r->core, &r->peer, &r->call, &said));
    r->reply = good ? said.reply : NULL;
    return NULL;
}

static void
prepare(struct world *w, struct racer *r, const char *method, const char *parameters)
{
    AW_CLEANUP(aw_free) char *expanded = world_expand(w, parameters);
    AW_CLEANUP(aw_free) char *text = NULL;

    assert_ok(aw_format(
        &text, "{\"method\":\"org.acmeward.Relay.%s\",\"parameters\":%s}", method, expanded));
    *r = (struct racer){.core = w->core, .peer = world_peer(RELAY, NULL)};
    assert_ok(aw_varlink_call_parse(text, strlen(text), &r->call));
}

/* How many of them came out well; all others were refused by the rule. */
static size_t
run(struct racer racers[RACERS], const char *rule)
{
    pthread_barrier_t start;
    size_t good = 0;

    assert_int_equal(pthread_barrier_init(&start, NULL, RACERS), 0);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].start = &start;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++)
        pthread_join(racers[i].thread, NULL);
    pthread_barrier_destroy(&start);
    for (size_t i = 0; i < RACERS; i++) {
        assert_non_null(racers[i].reply);
        bool refused = strstr(racers[i].reply, "\"error\"") != NULL;
        if (refused && strstr(racers[i].reply, rule) == NULL)
            fail_msg("%s", racers[i].reply);
        good += !refused;
        free(racers[i].reply);
        aw_varlink_call_free(&racers[i].call);
    }
    return good;
}

static void
attack_89_one_evidence_by_many_connections(void **state)
{
    struct world *w = *state;
    struct racer racers[RACERS];

    relayed_names(w, "PAYLOAD", APP_A);
    for (int round = 0; round < ROUNDS; round++) {
        relayed_sign(w, "E",
            &(struct relayed_request){
                .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
        for (size_t i = 0; i < RACERS; i++)
            prepare(w, &racers[i], "NewOrder", NEW_ORDER);
        assert_int_equal(run(racers, "evidence.nonce"), 1);
    }
}

/* newAccount of a new client, bound with that credential. */
static void
register_with(struct world *w, struct racer *r, const char *kid, const uint8_t *key, size_t size)
{
    struct relayed_client client;
    struct signing_jws jws = {0};
    AW_CLEANUP(aw_free) char *header = NULL;

    relayed_client_new(JOSE_EC_P256, &client);
    assert_ok(aw_format(&header,
        "{\"alg\":\"HS256\",\"kid\":\"%s\",\"url\":\"" RELAY_URL "/acme/new-account\"}", kid));
    signing_mac(key, size, JOSE_HS256, header, client.key.jwk, &jws);
    AW_CLEANUP(aw_free) char *text = signing_text(&jws);
    world_set(w, "BINDING", "%s", text);
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &client,
            .path = "/acme/new-account",
            .payload = "{\"externalAccountBinding\":$BINDING}",
            .by_jwk = true});
    prepare(w, r, "NewAccount", "{\"evidence\":$E," SEEN "}");
    signing_free(&jws);
    relayed_client_free(&client);
}

static void
attack_88_a_credential_for_one_account_by_many(void **state)
{
    struct world *w = *state;
    struct racer racers[RACERS];

    for (int round = 0; round < ROUNDS; round++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        uint8_t key[64];
        size_t size;
        world_call_admin(
            w, OFFICER, "CreateAppEab", "{\"application\":\"app-a\",\"once\":true}", &answer);
        const char *text = world_text(&answer, "key");
        assert_ok(aw_b64url_decode(text, strlen(text), key, sizeof(key), &size));
        for (size_t i = 0; i < RACERS; i++)
            register_with(w, &racers[i], world_text(&answer, "kid"), key, size);
        assert_int_equal(run(racers, "evidence.binding.used"), 1);
    }
}

/* keyChange from the client's key to a fresh one. */
static void
change_key(struct world *w, struct racer *r, const struct relayed_client *client)
{
    struct relayed_client fresh;
    struct signing_jws jws = {0};
    AW_CLEANUP(aw_free) char *header = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL;

    relayed_client_new(JOSE_EC_P256, &fresh);
    assert_ok(aw_format(&header,
        "{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"" RELAY_URL "/acme/key-change\"}", fresh.key.jwk));
    assert_ok(aw_format(&payload, "{\"account\":\"" RELAY_URL "/acme/account/%lld\",\"oldKey\":%s}",
        (long long)client->account, client->key.jwk));
    signing_sign(&fresh.key, JOSE_ES256, header, payload, &jws);
    AW_CLEANUP(aw_free) char *text = signing_text(&jws);
    world_set(w, "INNER", "%s", text);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = client, .path = "/acme/key-change", .payload = "$INNER"});
    prepare(w, r, "ChangeKey", "{\"evidence\":$E," SEEN "}");
    signing_free(&jws);
    relayed_client_free(&fresh);
}

/* Of those who have a key, one moves the account away from it: nobody takes it back with the old
 * key a moment later. */
static void
attack_88_one_key_changed_by_many(void **state)
{
    struct world *w = *state;
    struct racer racers[RACERS];

    for (int round = 0; round < ROUNDS; round++) {
        struct relayed_client client;

        relayed_client_new(JOSE_EC_P256, &client);
        relayed_account(w, &client, "app-a");
        for (size_t i = 0; i < RACERS; i++)
            change_key(w, &racers[i], &client);
        assert_int_equal(run(racers, "evidence."), 1);
        relayed_client_free(&client);
    }
}

static int
make(void **state)
{
    AW_CLEANUP(world_answer_free) struct world_answer made = {0};

    if (relayed_setup(state) != 0)
        return -1;
    world_call_admin(*state, OFFICER, "CreateRelayKey", "{}", &made);
    return made.error[0] == '\0' ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            attack_89_one_evidence_by_many_connections, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_88_a_credential_for_one_account_by_many, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_88_one_key_changed_by_many, relayed_begin, relayed_end),
    };

    return cmocka_run_group_tests(tests, make, world_teardown);
}
