/* Certificates that were issued through the relay: revoked at their CA, and when to renew them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/sha.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "relay/store.h"
#include "relay_stage.h"

#define OTHER_DER "YWJk"

/* A certificate of account 7's key: base64url of its DER, and the SHA-256. */
struct certificate {
    char *text;
    char sha256[AW_DIGEST_HEX_SIZE];
};

static void
make_certificate(const struct stage *s, struct certificate *out)
{
    EVP_PKEY *key = s->world.key.key;
    AW_CLEANUP(aw_x509_free) X509 *certificate = X509_new();
    uint8_t *der = NULL, digest[AW_DIGEST_SIZE];

    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    int size = i2d_X509(certificate, &der);
    assert_true(size > 0);
    assert_true(aw_ok(aw_b64url_encode_new(der, (size_t)size, &out->text)));
    SHA256(der, (size_t)size, digest);
    aw_hex(digest, sizeof(digest), out->sha256);
    OPENSSL_free(der);
}

static void
certificate_free(struct certificate *c)
{
    free(c->text);
}

static void
store_renewable(struct stage *s, int64_t ticket, const char *sha256, const char *renewal)
{
    struct stored_order order = {.ticket = ticket,
        .account = 7,
        .application = (char[]){"web"},
        .state = ORDER_PROCESSING,
        .identifiers = (char[]){"[]"},
        .url = (char[]){"u"},
        .new_order = (char[]){"n"},
        .document = (char[]){"{}"},
        .opened = 1,
        .expires = INT64_C(1) << 40};
    char *const chains[] = {(char[]){"pem"}};
    const struct stored_certificate certificate = {sha256, renewal, chains, 1, true, 0};

    assert_true(aw_ok(relay_store_order_add(s->world.relay.store, &order)));
    assert_true(aw_ok(relay_store_finish(s->world.relay.store, ticket, &certificate)));
}

static void
store_certificate(struct stage *s, const char *sha256)
{
    store_renewable(s, 3, sha256, "key.serial");
}

#define REVOKED                                   \
    {                                             \
        "POST /revoke", 200, NULL, NULL, CA_PLAIN \
    }
#define BAD_NONCE                                                \
    {                                                            \
        "POST /revoke", 400, PROBLEM, TYPE("badNonce"), CA_PLAIN \
    }
#define ALREADY                                                        \
    {                                                                  \
        "POST /revoke", 400, PROBLEM, TYPE("alreadyRevoked"), CA_PLAIN \
    }

static const struct {
    const char *name;
    enum { ACCOUNT, ITS_KEY, ANOTHER_KEY } by;
    const char *payload; /* $CERT stands for the certificate */
    struct ca_answer answers[3];
    size_t count;
    int status;
    const char *part;  /* of a problem */
    const char *calls; /* of the signer's Revoke, by what `again` was */
} rows[] = {
    {"by the account", ACCOUNT, "{\"certificate\":\"$CERT\",\"reason\":4}", {NONCE, REVOKED}, 2,
        200, NULL, "f"},
    {"by a key of its own", ITS_KEY, "{\"certificate\":\"$CERT\"}", {NONCE, REVOKED}, 2, 200, NULL,
        "f"},
    {"attack 40: by another key", ANOTHER_KEY, "{\"certificate\":\"$CERT\"}", {{NULL}}, 0, 403,
        "signed neither with the certificate's key nor by an account", ""},
    {"with a nonce that the CA refuses", ACCOUNT, "{\"certificate\":\"$CERT\"}",
        {NONCE, BAD_NONCE, REVOKED}, 3, 200, NULL, "ft"},
    {"once more", ACCOUNT, "{\"certificate\":\"$CERT\"}", {NONCE, ALREADY}, 2, 400,
        "alreadyRevoked", "f"},
    {"of another relay, by the account", ACCOUNT, "{\"certificate\":\"" OTHER_DER "\"}",
        {NONCE, REVOKED}, 2, 200, NULL, "f"},
    {"of another relay, by a key", ITS_KEY, "{\"certificate\":\"" OTHER_DER "\"}", {{NULL}}, 0, 403,
        "unauthorized", ""},
    {"for no reason that there is", ACCOUNT, "{\"certificate\":\"$CERT\",\"reason\":7}", {{NULL}},
        0, 400, "badRevocationReason", ""},
    {"for a reason that no subscriber has", ITS_KEY, "{\"certificate\":\"$CERT\",\"reason\":2}",
        {{NULL}}, 0, 400, "badRevocationReason", ""},
    {"for a reason beyond all", ACCOUNT, "{\"certificate\":\"$CERT\",\"reason\":11}", {{NULL}}, 0,
        400, "badRevocationReason", ""},
    {"for a reason that is no number", ACCOUNT, "{\"certificate\":\"$CERT\",\"reason\":\"x\"}",
        {{NULL}}, 0, 400, "badRevocationReason", ""},
    {"no certificate", ACCOUNT, "{\"certificate\":\"=\"}", {{NULL}}, 0, 400, "malformed", ""},
    {"nothing", ACCOUNT, "", {{NULL}}, 0, 400, "malformed", ""},
};

/* "f" and "t" by the calls of the log. */
static void
told_again(const struct scripted_signer *signer, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *at = signer->log; (at = strstr(at, "\"again\":")) != NULL; at++)
        used += (size_t)snprintf(out + used, size - used, "%c", at[strlen("\"again\":")]);
}

static void
put_in(const char *template, const char *certificate, char *out, size_t size)
{
    const char *mark = strstr(template, "$CERT");

    if (mark == NULL)
        snprintf(out, size, "%s", template);
    else
        snprintf(out, size, "%.*s%s%s", (int)(mark - template), template, certificate,
            mark + strlen("$CERT"));
}

static void
revokes_at_the_ca(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(stage_close) struct stage s;
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        AW_CLEANUP(certificate_free) struct certificate certificate = {NULL};
        char reply[256], payload[1024], again[8];
        const struct signer_change changes[] = {
            {.method = "Revoke", .parameters = reply}, {.method = "Revoke", .parameters = reply}};
        const struct relay_world_signed what = {
            .key = rows[i].by == ANOTHER_KEY ? &s.world.other : NULL,
            .path = "/acme/revoke-cert",
            .payload = payload,
            .by_key = rows[i].by != ACCOUNT};

        stage_open(&s);
        make_certificate(&s, &certificate);
        put_in(rows[i].payload, certificate.text, payload, sizeof(payload));
        snprintf(reply, sizeof(reply),
            "{\"application\":\"web\",\"url\":\"%s/revoke\",\"jws\":{\"protected\":\"bjE\","
            "\"payload\":\"b\",\"signature\":\"c\"}}",
            s.scene.ca.base);
        store_certificate(&s, certificate.sha256);
        stage_script(&s, rows[i].answers, rows[i].count);
        scripted_signer_load(&s.scene.signer, changes, AW_COUNT(changes));
        stage_post(&s, &what, &response);
        if (response.status != rows[i].status ||
            (rows[i].part != NULL && strstr(response.body, rows[i].part) == NULL))
            fail_msg("%s: %d %s", rows[i].name, response.status, response.body);
        scripted_signer_settle(&s.scene.signer);
        told_again(&s.scene.signer, again, sizeof(again));
        assert_string_equal(again, rows[i].calls);
    }
}

#define WINDOW \
    "{\"suggestedWindow\":{\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2026-01-02T00:00:00Z\"}}"

static void
get(struct stage *s, const char *path, struct relay_response *response)
{
    relay_response_free(response);
    relay_world_ask(&s->world, RELAY_GET, path, NULL, response);
}

/* RFC 9773: the CA's answer, once for as long as it says; of nothing that was not issued here. */
static void
passes_renewal_information_on(void **state)
{
    static const struct ca_answer answers[] = {
        {"GET /ari/key.serial", 200, JSON "Retry-After: 7200\r\n", WINDOW, CA_PLAIN}};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};

    (void)state;
    stage_open(&s);
    store_certificate(&s, "00");
    stage_script(&s, answers, AW_COUNT(answers));
    get(&s, "/acme/renewal-info/key.serial", &response);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.body, WINDOW);
    assert_int_equal(response.retry_after, 7200);
    get(&s, "/acme/renewal-info/key.serial", &response);
    assert_int_equal(response.status, 200);
    assert_in_range(response.retry_after, 7190, 7200);
    get(&s, "/acme/renewal-info/key.other", &response);
    assert_int_equal(response.status, 404);
    assert_true(scripted_ca_check(&s.scene.ca, "asked once"));
}

/* Whoever asks again and again does not have the CA asked again and again. */
static void
says_when_the_ca_has_no_renewal_information(void **state)
{
    static const struct ca_answer answers[] = {{"GET /ari/key.serial", 500, NULL, NULL, CA_PLAIN},
        {"GET /ari/key.other", 200, JSON, "{}", CA_PLAIN}};
    static const char *const paths[] = {
        "/acme/renewal-info/key.serial", "/acme/renewal-info/key.other"};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};

    (void)state;
    stage_open(&s);
    store_certificate(&s, "00");
    store_renewable(&s, 4, "01", "key.other");
    stage_script(&s, answers, AW_COUNT(answers));
    for (size_t i = 0; i < 3 * AW_COUNT(paths); i++) {
        get(&s, paths[i % AW_COUNT(paths)], &response);
        assert_int_equal(response.status, 503);
        assert_true(response.retry_after > 0);
    }
    assert_true(scripted_ca_check(&s.scene.ca, "asked once of each"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revokes_at_the_ca),
        cmocka_unit_test(passes_renewal_information_on),
        cmocka_unit_test(says_when_the_ca_has_no_renewal_information),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
