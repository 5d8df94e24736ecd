/* What is signed, decoded again by other means: attacks 27 to 34 have no place to go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <openssl/sha.h>

#include "common/b64url.h"
#include "common/result.h"
#include "signer/jws.h"

#define URL "https://ca.example/order/1"
#define KID "https://ca.example/acct/1"
#define NONCE "oFvnlFP1wIhRlYS2jTaXbA"

/* RFC 7515 2, written apart from common/b64url.c. */
static char *
decode(const char *text, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = calloc(1, length + 1);
    unsigned bits = 0, held = 0;
    size_t size = 0;

    for (size_t i = 0; i < length; i++) {
        const char *digit = memchr(digits, text[i], 64);
        assert_non_null(digit);
        bits = bits << 6 | (unsigned)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[size++] = (char)(bits >> held & 0xff);
        }
    }
    assert_int_equal(strlen(out), size);
    return out;
}

/* A header and payload as text, of a JWS that is released here. */
struct parts {
    char *header, *payload;
};

static struct parts
take_apart(struct aw_jws *jws)
{
    const char *dot = strchr(jws->input, '.');
    uint8_t digest[32];

    assert_non_null(dot);
    assert_null(strchr(dot + 1, '.'));
    assert_int_equal(jws->header_size, dot - jws->input);
    assert_int_equal(jws->input_size, strlen(jws->input));
    SHA256((const unsigned char *)jws->input, jws->input_size, digest);
    assert_memory_equal(jws->digest, digest, sizeof(digest));
    struct parts parts = {decode(jws->input, jws->header_size), decode(dot + 1, strlen(dot + 1))};
    aw_jws_free(jws);
    assert_null(jws->input);
    aw_jws_free(jws);
    return parts;
}

static void
free_parts(struct parts *parts)
{
    free(parts->header);
    free(parts->payload);
}

static void
expect(const struct aw_jws_header *header, const char *payload, const char *expected)
{
    struct aw_jws jws;

    assert_true(aw_ok(aw_jws_build(header, payload, &jws)));
    struct parts parts = take_apart(&jws);
    assert_string_equal(parts.header, expected);
    assert_string_equal(parts.payload, payload);
    free_parts(&parts);
}

/* RFC 8555 6.2: alg, nonce, url, and either kid or jwk; nothing else is ever written. */
static void
headers(void **state)
{
    (void)state;
    expect(&(struct aw_jws_header){"ES256", KID, NULL, NONCE, URL, false}, "",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"nonce\":\"" NONCE "\",\"url\":\"" URL "\"}");
    expect(&(struct aw_jws_header){"RS256", KID, NULL, NONCE, URL, false}, "{\"a\":1}",
        "{\"alg\":\"RS256\",\"kid\":\"" KID "\",\"nonce\":\"" NONCE "\",\"url\":\"" URL "\"}");
    expect(&(struct aw_jws_header){"ES384", NULL, "{\"kty\":\"EC\"}", NONCE, URL, false}, "{}",
        "{\"alg\":\"ES384\",\"jwk\":{\"kty\":\"EC\"},\"nonce\":\"" NONCE "\",\"url\":\"" URL "\"}");
    expect(&(struct aw_jws_header){"HS256", "kid-1", NULL, NULL, URL, false}, "{\"kty\":\"EC\"}",
        "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"" URL "\"}");
    expect(&(struct aw_jws_header){"ES256", NULL, "{\"kty\":\"EC\"}", NULL, URL, true}, "{}",
        "{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"},\"url\":\"" URL "\"}");
}

/* RFC 7515 3.3 and A.1 give the encodings of a header and a payload; here, of ours. */
static void
encoding_is_that_of_rfc_7515(void **state)
{
    const struct aw_jws_header header = {"HS256", "a", NULL, NULL, "https://a/b", false};
    struct aw_jws jws;

    (void)state;
    assert_true(aw_ok(aw_jws_build(&header, "{\"iss\":\"joe\"}", &jws)));
    assert_string_equal(jws.input,
        "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEiLCJ1cmwiOiJodHRwczovL2EvYiJ9.eyJpc3MiOiJqb2UifQ");
    aw_jws_free(&jws);
}

static void
headers_that_are_never_written(void **state)
{
    static const struct {
        const char *name;
        struct aw_jws_header header;
    } rows[] = {
        {"attack 28: kid and jwk", {"ES256", KID, "{}", NONCE, URL, false}},
        {"neither kid nor jwk", {"ES256", NULL, NULL, NONCE, URL, false}},
        {"attack 29: none", {"none", KID, NULL, NONCE, URL, false}},
        {"attack 29: None", {"None", KID, NULL, NONCE, URL, false}},
        {"attack 29: empty", {"", KID, NULL, NONCE, URL, false}},
        {"attack 29: HS256 for a request", {"HS256", KID, NULL, NONCE, URL, false}},
        {"attack 29: ES256 with more", {"ES256 ", KID, NULL, NONCE, URL, false}},
        {"attack 33: a binding with a jwk", {"HS256", NULL, "{}", NULL, URL, false}},
        {"attack 33: a binding with a signature", {"ES256", "kid-1", NULL, NULL, URL, false}},
        {"a signature without a nonce", {"ES256", NULL, "{}", NULL, URL, false}},
        {"a new key's with a nonce", {"ES256", NULL, "{}", NONCE, URL, true}},
        {"a new key's with a kid", {"ES256", KID, NULL, NULL, URL, true}},
        {"a new key's by a MAC", {"HS256", NULL, "{}", NULL, URL, true}},
        {"a new key's with kid and jwk", {"ES256", KID, "{}", NULL, URL, true}},
        {"no URL", {"ES256", KID, NULL, NONCE, NULL, false}},
    };
    struct aw_jws jws;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        aw_result r = aw_jws_build(&rows[i].header, "", &jws);
        if (r.code != AW_CODE_INTERNAL || jws.input != NULL)
            fail_msg("row \"%s\" was built", rows[i].name);
    }
}

/* Were such a nonce or URL to get past the parsers, it would still be one string. */
static void
attack_30_and_31_no_string_ends_early(void **state)
{
    static const char *const hostile[] = {
        "\",\"alg\":\"none",
        "a\",\"crit\":[\"b64\"],\"b64\":false,\"x\":\"",
        "a\r\nX: y",
        "\\",
        "\\\",\"crit\":\"",
        "</script>",
        "\x7f",
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(hostile); i++) {
        struct aw_jws jws;
        const struct aw_jws_header header = {"ES256", KID, NULL, hostile[i], hostile[i], false};
        assert_true(aw_ok(aw_jws_build(&header, "", &jws)));
        struct parts parts = take_apart(&jws);
        cJSON *json = cJSON_ParseWithOpts(parts.header, NULL, true);
        assert_int_equal(cJSON_GetArraySize(json), 4);
        assert_string_equal(cJSON_GetArrayItem(json, 0)->valuestring, "ES256");
        assert_string_equal(cJSON_GetArrayItem(json, 2)->valuestring, hostile[i]);
        assert_string_equal(cJSON_GetArrayItem(json, 3)->valuestring, hostile[i]);
        cJSON_Delete(json);
        free_parts(&parts);
    }
}

/* RFC 7515 7.2.2; attack 34: there is no unprotected header and no second signature. */
static void
attack_34_serialization(void **state)
{
    static const uint8_t signature[] = {0xfb, 0xff, 0x00};
    const struct aw_jws_header header = {"HS256", "a", NULL, NULL, "https://a/b", false};
    struct aw_jws jws;
    char *text;

    (void)state;
    assert_true(aw_ok(aw_jws_build(&header, "{\"iss\":\"joe\"}", &jws)));
    assert_true(aw_ok(aw_jws_serialize(&jws, signature, sizeof(signature), &text)));
    assert_string_equal(text,
        "{\"protected\":\"eyJhbGciOiJIUzI1NiIsImtpZCI6ImEiLCJ1cmwiOiJodHRwczovL2EvYiJ9\","
        "\"payload\":\"eyJpc3MiOiJqb2UifQ\",\"signature\":\"-_8A\"}");
    free(text);
    aw_jws_free(&jws);
}

static void
post_as_get_has_an_empty_payload(void **state)
{
    const struct aw_jws_header header = {"ES256", KID, NULL, NONCE, URL, false};
    struct aw_jws jws;
    char *text;

    (void)state;
    assert_true(aw_ok(aw_jws_build(&header, "", &jws)));
    assert_int_equal(jws.input_size, jws.header_size + 1);
    assert_true(aw_ok(aw_jws_serialize(&jws, (const uint8_t *)"x", 1, &text)));
    assert_non_null(strstr(text, ",\"payload\":\"\",\"signature\":\"eA\"}"));
    free(text);
    aw_jws_free(&jws);
}

/* Payloads. */

static void
is_payload(aw_result r, char *text, const char *expected)
{
    assert_true(aw_ok(r));
    assert_string_equal(text, expected);
    free(text);
}

static void
new_order(void **state)
{
    static const uint8_t address[] = {192, 0, 2, 16};
    struct aw_name names[3];
    char *text;
    aw_result r;

    (void)state;
    assert_true(aw_ok(aw_name_parse("WWW.example.edu", 15, &names[0])));
    assert_true(aw_ok(aw_name_parse("*.example.edu", 13, &names[1])));
    assert_true(aw_ok(aw_name_from_address(address, sizeof(address), &names[2])));
    r = jws_payload_new_order(&(struct jws_new_order){.names = names, .name_count = 1}, &text);
    /* Attack 75: upper case is lowered in what is written. */
    is_payload(r, text, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.example.edu\"}]}");
    r = jws_payload_new_order(
        &(struct jws_new_order){names, 3, "shortlived", "2026-01-01T00:00:00Z",
            "2026-01-08T00:00:00Z", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
        &text);
    is_payload(r, text,
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"*.example.edu\"},{\"type\":\"ip\",\"value\":\"192.0.2.16\"}]"
        ","
        "\"profile\":\"shortlived\",\"notBefore\":\"2026-01-01T00:00:00Z\","
        "\"notAfter\":\"2026-01-08T00:00:00Z\","
        "\"replaces\":\"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE\"}");
}

static void
finalize_and_revoke(void **state)
{
    static const uint8_t der[] = {0x30, 0xfb, 0xff};
    char *text;
    aw_result r;

    (void)state;
    r = jws_payload_finalize(der, sizeof(der), &text);
    is_payload(r, text, "{\"csr\":\"MPv_\"}");
    r = aw_jws_payload_revoke(der, sizeof(der), -1, &text);
    is_payload(r, text, "{\"certificate\":\"MPv_\"}");
    r = aw_jws_payload_revoke(der, sizeof(der), 0, &text);
    is_payload(r, text, "{\"certificate\":\"MPv_\",\"reason\":0}");
    r = aw_jws_payload_revoke(der, sizeof(der), 4, &text);
    is_payload(r, text, "{\"certificate\":\"MPv_\",\"reason\":4}");
}

static void
new_account(void **state)
{
    static const char *const contact[] = {"mailto:a@example.edu", "mailto:\"b\"@example.edu"};
    char *text;
    aw_result r;

    (void)state;
    r = jws_payload_new_account(&(struct jws_new_account){0}, &text);
    is_payload(r, text, "{}");
    r = jws_payload_new_account(
        &(struct jws_new_account){contact, 2, true, false, "{\"protected\":\"x\"}"}, &text);
    is_payload(r, text,
        "{\"termsOfServiceAgreed\":true,"
        "\"contact\":[\"mailto:a@example.edu\",\"mailto:\\\"b\\\"@example.edu\"],"
        "\"externalAccountBinding\":{\"protected\":\"x\"}}");
    r = jws_payload_new_account(&(struct jws_new_account){contact, 2, true, true, "{}"}, &text);
    is_payload(r, text, "{\"onlyReturnExisting\":true}");
}

/* RFC 8555 7.3.5. */
static void
key_change(void **state)
{
    char *text;
    aw_result r = jws_payload_key_change(KID, "{\"kty\":\"EC\"}", &text);

    (void)state;
    is_payload(r, text, "{\"account\":\"" KID "\",\"oldKey\":{\"kty\":\"EC\"}}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(encoding_is_that_of_rfc_7515),
        cmocka_unit_test(headers_that_are_never_written),
        cmocka_unit_test(attack_30_and_31_no_string_ends_early),
        cmocka_unit_test(attack_34_serialization),
        cmocka_unit_test(post_as_get_has_an_empty_payload),
        cmocka_unit_test(new_order),
        cmocka_unit_test(finalize_and_revoke),
        cmocka_unit_test(new_account),
        cmocka_unit_test(key_change),
    };

    return cmocka_run_group_tests_name("jws", tests, NULL, NULL);
}
