#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "jose/jwk.h"
#include "signing.h"

static const struct jose_openssl plain;

#define N_7638                                                                                \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_" \
    "BJECPeb"                                                                                 \
    "WKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"       \
    "FDW2QvzqY368Q"                                                                           \
    "QMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"                    \
    "bFTWhAI4vMQFh6WeZu0fM4lFd2"                                                              \
    "NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define X_256 "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y_256 "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define X_521 \
    "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt"
#define Y_521 \
    "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"
#define X_ED "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

/* The RFCs' keys, as printed there but for white space; thumbprints where an RFC prints one. */
static const struct {
    const char *name, *jwk, *text, *thumbprint;
    enum jose_key type;
} vectors[] = {
    {"RFC 7638 3.1",
        "{\"kty\":\"RSA\",\"n\":\"" N_7638
        "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
        "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"" N_7638 "\"}",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", JOSE_RSA},
    {"RFC 8037 A.3", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X_ED "\"}",
        "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"" X_ED "\"}",
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", JOSE_ED25519},
    {"RFC 7515 A.3", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}",
        "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\"}", NULL,
        JOSE_EC_P256},
    {"RFC 7520 3.1",
        "{\"kty\":\"EC\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\","
        "\"crv\":\"P-521\",\"x\":\"" X_521 "\",\"y\":\"" Y_521 "\"}",
        "{\"crv\":\"P-521\",\"kty\":\"EC\",\"x\":\"" X_521 "\",\"y\":\"" Y_521 "\"}", NULL,
        JOSE_EC_P521},
};

static void
keys_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(vectors); i++) {
        AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
        enum jose_fault fault;
        char thumbprint[JOSE_THUMBPRINT_TEXT];
        print_message("%s\n", vectors[i].name);
        assert_true(aw_ok(jose_jwk_parse_text(vectors[i].jwk, &plain, &fault, &jwk)));
        assert_int_equal(fault, JOSE_NO_FAULT);
        assert_int_equal(jwk->type, vectors[i].type);
        assert_string_equal(jwk->text, vectors[i].text);
        jose_thumbprint_text(jwk->thumbprint, thumbprint);
        if (vectors[i].thumbprint != NULL)
            assert_string_equal(thumbprint, vectors[i].thumbprint);
    }
}

/* What OpenSSL made is read, and its canonical text is what it was written as. */
static void
every_kind_of_key_is_read(void **state)
{
    (void)state;
    for (unsigned type = JOSE_EC_P256; type <= JOSE_ED25519; type++) {
        struct signing_key key = {0};
        AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
        enum jose_fault fault;
        signing_key_new(type, &key);
        assert_true(aw_ok(jose_jwk_parse_text(key.jwk, &plain, &fault, &jwk)));
        assert_int_equal(jwk->type, type);
        assert_string_equal(jwk->text, key.jwk);
        assert_true(strlen(jwk->text) <= JOSE_JWK_MAX);
        assert_int_equal(EVP_PKEY_eq(jwk->key, key.key), 1);
        signing_key_free(&key);
    }
}

#define EC(members) "{\"kty\":\"EC\",\"crv\":\"P-256\"," members "}"
#define XY "\"x\":\"" X_256 "\",\"y\":\"" Y_256 "\""
#define RSA(n, e) "{\"kty\":\"RSA\",\"n\":\"" n "\",\"e\":\"" e "\"}"

static const struct {
    const char *name, *jwk;
    enum jose_fault fault;
    const char *reason;
} refused[] = {
    {"not an object", "[]", JOSE_BAD_FORM, "not an object"},
    {"no kty", "{\"crv\":\"P-256\"," XY "}", JOSE_BAD_FORM, "kty"},
    {"attack 1: kty twice", "{\"kty\":\"EC\",\"kty\":\"EC\",\"crv\":\"P-256\"," XY "}",
        JOSE_BAD_FORM, "kty"},
    {"attack 13: kty twice, once escaped",
        "{\"kty\":\"EC\",\"k\\u0074y\":\"RSA\",\"crv\":\"P-256\"," XY "}", JOSE_BAD_FORM, "kty"},
    {"a symmetric key", "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMko\"}",
        JOSE_BAD_FORM, "private member \"k\""},
    {"a symmetric kind", "{\"kty\":\"oct\",\"crv\":\"x\"}", JOSE_BAD_KEY, "kind"},
    {"a private key", EC(XY ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""),
        JOSE_BAD_FORM, "private member \"d\""},
    {"for encryption", EC(XY ",\"use\":\"enc\""), JOSE_BAD_FORM, "use"},
    {"secp256k1", "{\"kty\":\"EC\",\"crv\":\"secp256k1\"," XY "}", JOSE_BAD_KEY, "kind"},
    {"another curve's name", "{\"kty\":\"EC\",\"crv\":\"P-384\"," XY "}", JOSE_BAD_FORM,
        "48 octets"},
    {"a curve of another kind", "{\"kty\":\"EC\",\"crv\":\"Ed25519\",\"x\":\"" X_ED "\"}",
        JOSE_BAD_KEY, "kind"},
    {"Ed448", "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" X_ED "\"}", JOSE_BAD_KEY, "kind"},
    {"X25519", "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" X_ED "\"}", JOSE_BAD_KEY, "kind"},
    {"no y", EC("\"x\":\"" X_256 "\""), JOSE_BAD_FORM, "y"},
    {"y is null", EC("\"x\":\"" X_256 "\",\"y\":null"), JOSE_BAD_FORM, "y"},
    {"a short coordinate",
        EC("\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA\",\"y\":\"" Y_256 "\""),
        JOSE_BAD_FORM, "32 octets"},
    {"a zero octet before a coordinate",
        EC("\"x\":\"AH_NzidwxbRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF\","
           "\"y\":\"" Y_256 "\""),
        JOSE_BAD_FORM, "32 octets"},
    {"a short second coordinate",
        EC("\"x\":\"" X_256 "\",\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA\""),
        JOSE_BAD_FORM, "32 octets"},
    {"padding", EC("\"x\":\"" X_256 "=\",\"y\":\"" Y_256 "\""), JOSE_BAD_FORM, "\"x\""},
    {"a point beside the curve", EC("\"x\":\"" X_256 "\",\"y\":\"" X_256 "\""), JOSE_BAD_KEY,
        "point"},
    {"attack 67: RSA of 1024 bits",
        RSA("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
            "_BJE"
            "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGk",
            "AQAB"),
        JOSE_BAD_KEY, "length"},
    {"attack 67: the exponent 3", RSA(N_7638, "Aw"), JOSE_BAD_KEY, "65537"},
    {"the exponent 1", RSA(N_7638, "AQ"), JOSE_BAD_KEY, "65537"},
    {"a zero octet before the exponent", RSA(N_7638, "AAEAAQ"), JOSE_BAD_KEY, "65537"},
    {"a zero octet before the modulus", RSA("AA", "AQAB"), JOSE_BAD_FORM, "zero octet"},
    {"an empty modulus", RSA("", "AQAB"), JOSE_BAD_FORM, "empty"},
    {"RSA of 4104 bits", RSA(N_7638 N_7638 "A", "AQAB"), JOSE_BAD_FORM, "\"n\""},
};

static void
keys_that_are_not_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(refused); i++) {
        AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
        enum jose_fault fault;
        aw_result r = jose_jwk_parse_text(refused[i].jwk, &plain, &fault, &jwk);
        if (aw_ok(r) || fault != refused[i].fault || jwk != NULL ||
            strstr(aw_error_last()->message, refused[i].reason) == NULL)
            fail_msg(
                "%s: %d, fault %d, %s", refused[i].name, r.code, fault, aw_error_last()->message);
    }
}

static void
an_even_modulus_is_refused(void **state)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
    enum jose_fault fault;
    char text[1024];

    (void)state;
    (void)snprintf(text, sizeof(text), "%s", vectors[0].text);
    char *end = strstr(text, "DKgw\"");
    assert_non_null(end);
    end[3] = 'g';
    assert_false(aw_ok(jose_jwk_parse_text(text, &plain, &fault, &jwk)));
    assert_int_equal(fault, JOSE_BAD_KEY);
    assert_non_null(strstr(aw_error_last()->message, "even"));
}

static void
what_verifying_needs_is_found(void **state)
{
    (void)state;
    assert_true(aw_ok(jose_prepare(&plain)));
    assert_false(aw_ok(jose_prepare(&(struct jose_openssl){NULL, "provider=none"})));
    assert_non_null(strstr(aw_error_last()->hint, "provider"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_the_rfcs),
        cmocka_unit_test(every_kind_of_key_is_read),
        cmocka_unit_test(keys_that_are_not_accepted),
        cmocka_unit_test(an_even_modulus_is_refused),
        cmocka_unit_test(what_verifying_needs_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
