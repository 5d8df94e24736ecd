#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "jose/jws.h"
#include "signing.h"

static const struct jose_openssl plain;
static struct signing_key keys[JOSE_ED25519 + 1];

#define JOE                                                                                        \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define BILBO                                                                                      \
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250" \
    "b"                                                                                            \
    "yB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlc" \
    "m"                                                                                            \
    "UgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"

/* Signing inputs, keys and signatures as the RFCs print them. */
static const struct {
    const char *name;
    enum jose_algorithm algorithm;
    const char *jwk, *input, *signature;
} signatures[] = {
    {"RFC 7515 A.2", JOSE_RS256,
        "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
        "Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
        "7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb"
        "3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FR"
        "WyuXpoQ\",\"e\":\"AQAB\"}",
        "eyJhbGciOiJSUzI1NiJ9." JOE,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
        "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
        "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY"
        "I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"RFC 7515 A.3", JOSE_ES256,
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "eyJhbGciOiJFUzI1NiJ9." JOE,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"RFC 7515 A.4", JOSE_ES512,
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":"
        "\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5"
        "EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_"
        "l"
        "2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG"
        "8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
    {"RFC 7520 4.1", JOSE_RS256,
        "{\"kty\":\"RSA\",\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-"
        "XV2jRojdN"
        "hxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3R"
        "BordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQ"
        "bS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHd"
        "rNP5zw\",\"e\":\"AQAB\"}",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." BILBO,
        "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xu"
        "glII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5a"
        "AE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0"
        "KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"},
    {"RFC 7520 4.3", JOSE_ES512,
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AHKZLLOsCOzz5cY97ewNUajB957y-C-"
        "U88c3v13nmGZx6sYl_oJ"
        "Xu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt\",\"y\":"
        "\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6p"
        "V5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1\"}",
        "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." BILBO,
        "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQ"
        "y3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
    {"RFC 8037 A.4", JOSE_EDDSA,
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static const struct {
    const char *name, *key, *input, *mac;
} macs[] = {
    {"RFC 7515 A.1",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE,
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RFC 7520 4.4", "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9." BILBO,
        "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"},
};

/* The RFCs' headers have no url, so these come past the reader. */
static void
fill(struct jose_jws *jws, enum jose_algorithm algorithm, const char *input, const char *signature)
{
    jws->algorithm = algorithm;
    jws->input = (char *)(uintptr_t)input;
    jws->input_size = strlen(input);
    assert_true(aw_ok(aw_b64url_decode(signature, strlen(signature), jws->signature,
        sizeof(jws->signature), &jws->signature_size)));
}

static void
signatures_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(signatures); i++) {
        AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
        struct jose_jws jws = {0};
        enum jose_fault fault;
        print_message("%s\n", signatures[i].name);
        assert_true(aw_ok(jose_jwk_parse_text(signatures[i].jwk, &plain, &fault, &jwk)));
        fill(&jws, signatures[i].algorithm, signatures[i].input, signatures[i].signature);
        assert_true(aw_ok(jose_jws_verify(&jws, jwk, &plain, &fault)));
        assert_true(jws.verified);
        if (jws.signature_size < sizeof(jws.signature)) { /* no octet that says nothing */
            jws.signature_size++;
            assert_false(aw_ok(jose_jws_verify(&jws, jwk, &plain, &fault)));
            assert_int_equal(fault, JOSE_BAD_SIGNATURE);
            assert_false(jws.verified);
            jws.signature_size--;
        }
        jws.signature[jws.signature_size - 1] ^= 1;
        assert_false(aw_ok(jose_jws_verify(&jws, jwk, &plain, &fault)));
        assert_int_equal(fault, JOSE_BAD_SIGNATURE);
        assert_false(jws.verified);
    }
}

static aw_secret *
secret_of(const void *bytes, size_t size)
{
    aw_secret *secret = NULL;

    assert_true(aw_ok(aw_secret_new(size, &secret)));
    assert_true(aw_ok(aw_secret_append(secret, bytes, size)));
    return secret;
}

static void
macs_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(macs); i++) {
        struct jose_jws jws = {0};
        enum jose_fault fault;
        uint8_t bytes[128];
        size_t size;
        print_message("%s\n", macs[i].name);
        assert_true(
            aw_ok(aw_b64url_decode(macs[i].key, strlen(macs[i].key), bytes, sizeof(bytes), &size)));
        AW_CLEANUP(aw_secret_free) aw_secret *key = secret_of(bytes, size);
        fill(&jws, JOSE_HS256, macs[i].input, macs[i].mac);
        assert_true(aw_ok(jose_jws_verify_mac(&jws, key, &plain, &fault)));
        assert_true(jws.verified);
        jws.signature_size = 31; /* attack 87: truncated */
        assert_false(aw_ok(jose_jws_verify_mac(&jws, key, &plain, &fault)));
        assert_int_equal(fault, JOSE_BAD_SIGNATURE);
        assert_false(jws.verified);
    }
}

#define URL "\"url\":\"https://acme.example.edu/acme/new-order\""
#define NONCE "\"nonce\":\"oFvnlFP1wIhRlYS2jTaXbA\""
#define KID "\"kid\":\"https://acme.example.edu/acme/account/1\""

/* The body of a request, as the relay reads it. */
static aw_result
read_body(const char *text, enum jose_fault *fault, struct jose_jws **out)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;

    *fault = JOSE_BAD_FORM;
    AW_TRY(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json));
    return jose_jws_read_json(json, JOSE_REQUEST, &plain, fault, out);
}

static void
every_kind_of_key_signs(void **state)
{
    (void)state;
    for (unsigned type = 0; type < AW_COUNT(keys); type++) {
        struct signing_jws made = {0};
        char header[2048];
        enum jose_algorithm algorithm = signing_algorithm(type);
        (void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"," URL "," NONCE ",\"jwk\":%s}",
            jose_algorithm_name(algorithm), keys[type].jwk);
        signing_sign(&keys[type], algorithm, header, "{\"csr\":\"x\"}", &made);
        AW_CLEANUP(aw_free) char *text = signing_text(&made);
        AW_CLEANUP(jose_jws_free) struct jose_jws *jws = NULL;
        AW_CLEANUP(aw_json_free) cJSON *payload = NULL;
        enum jose_fault fault;
        assert_true(aw_ok(read_body(text, &fault, &jws)));
        assert_int_equal(jws->algorithm, algorithm);
        assert_string_equal(jws->url, "https://acme.example.edu/acme/new-order");
        assert_string_equal(jws->nonce, "oFvnlFP1wIhRlYS2jTaXbA");
        assert_null(jws->kid);
        assert_string_equal(jws->jwk->text, keys[type].jwk);
        assert_false(jose_jws_is_empty(jws));
        assert_int_equal(jose_jws_payload(jws, &payload).code, AW_CODE_INTERNAL);
        assert_true(aw_ok(jose_jws_verify(jws, jws->jwk, &plain, &fault)));
        assert_true(aw_ok(jose_jws_payload(jws, &payload)));
        assert_string_equal(aw_json_member(payload, "csr")->valuestring, "x");
        signing_free(&made);
    }
}

#define HEADER(members) "{\"alg\":\"ES256\"," members "}"

/* Protected headers; the jwk of the P-256 key stands for JWK. */
static const struct {
    const char *name;
    enum jose_form form;
    const char *header; /* before JWK */
    const char *rest;   /* after it; NULL: no JWK */
    enum jose_fault fault;
    const char *reason;
} headers[] = {
    {"with kid", JOSE_REQUEST, HEADER(URL "," NONCE "," KID), NULL, JOSE_NO_FAULT, ""},
    {"with jwk", JOSE_REQUEST, "{\"alg\":\"ES256\"," URL "," NONCE ",\"jwk\":", "}", JOSE_NO_FAULT,
        ""},
    {"unknown members are left out of account", JOSE_REQUEST,
        HEADER("\"typ\":\"JOSE\"," URL "," NONCE "," KID), NULL, JOSE_NO_FAULT, ""},
    {"attack 27: kid where the new key's jwk belongs", JOSE_NEW_KEY, HEADER(URL "," KID), NULL,
        JOSE_BAD_FORM, "kid"},
    {"attack 28: jwk and kid", JOSE_REQUEST,
        "{\"alg\":\"ES256\"," URL "," NONCE "," KID ",\"jwk\":", "}", JOSE_BAD_FORM, "both"},
    {"neither jwk nor kid", JOSE_REQUEST, HEADER(URL "," NONCE), NULL, JOSE_BAD_FORM, "none"},
    {"attack 29: alg none", JOSE_REQUEST, "{\"alg\":\"none\"," URL "," NONCE "," KID "}", NULL,
        JOSE_BAD_ALGORITHM, "not offered"},
    {"attack 29: a MAC where a signature belongs", JOSE_REQUEST,
        "{\"alg\":\"HS256\"," URL "," NONCE "," KID "}", NULL, JOSE_BAD_ALGORITHM, "not offered"},
    {"attack 29: a signature where a MAC belongs", JOSE_BINDING, HEADER(URL "," KID), NULL,
        JOSE_BAD_ALGORITHM, "not offered"},
    {"alg in lower case", JOSE_REQUEST, "{\"alg\":\"es256\"," URL "," NONCE "," KID "}", NULL,
        JOSE_BAD_ALGORITHM, "not offered"},
    {"RS1", JOSE_REQUEST, "{\"alg\":\"RS1\"," URL "," NONCE "," KID "}", NULL, JOSE_BAD_ALGORITHM,
        "not offered"},
    {"no alg", JOSE_REQUEST, "{" URL "," NONCE "," KID "}", NULL, JOSE_BAD_FORM, "alg"},
    {"attack 30: a nonce with CRLF", JOSE_REQUEST, HEADER(URL ",\"nonce\":\"ab\\r\\nX: y\"," KID),
        NULL, JOSE_BAD_FORM, "nonce"},
    {"attack 30: a nonce with a quote", JOSE_REQUEST, HEADER(URL ",\"nonce\":\"ab\\\"cd\"," KID),
        NULL, JOSE_BAD_FORM, "nonce"},
    {"an empty nonce", JOSE_REQUEST, HEADER(URL ",\"nonce\":\"\"," KID), NULL, JOSE_BAD_FORM,
        "nonce"},
    {"no nonce", JOSE_REQUEST, HEADER(URL "," KID), NULL, JOSE_BAD_FORM, "nonce"},
    {"attack 31: crit", JOSE_REQUEST, HEADER(URL "," NONCE "," KID ",\"crit\":[\"url\"]"), NULL,
        JOSE_BAD_FORM, "crit"},
    {"attack 32: b64:false", JOSE_REQUEST, HEADER(URL "," NONCE "," KID ",\"b64\":false"), NULL,
        JOSE_BAD_FORM, "b64"},
    {"attack 32: b64:true", JOSE_REQUEST, HEADER(URL "," NONCE "," KID ",\"b64\":true"), NULL,
        JOSE_BAD_FORM, "b64"},
    {"attack 33: a binding where a request belongs", JOSE_REQUEST,
        "{\"alg\":\"HS256\"," URL ",\"kid\":\"app-x\"}", NULL, JOSE_BAD_FORM, "nonce"},
    {"attack 33: a request where a binding belongs", JOSE_BINDING,
        "{\"alg\":\"HS256\"," URL "," NONCE "," KID "}", NULL, JOSE_BAD_FORM, "nonce"},
    {"a binding", JOSE_BINDING, "{\"alg\":\"HS256\"," URL ",\"kid\":\"app-x\"}", NULL,
        JOSE_NO_FAULT, ""},
    {"a binding by jwk", JOSE_BINDING, "{\"alg\":\"HS256\"," URL ",\"jwk\":", "}", JOSE_BAD_FORM,
        "kid"},
    {"a new key", JOSE_NEW_KEY, "{\"alg\":\"ES256\"," URL ",\"jwk\":", "}", JOSE_NO_FAULT, ""},
    {"a new key with a nonce", JOSE_NEW_KEY, "{\"alg\":\"ES256\"," URL "," NONCE ",\"jwk\":", "}",
        JOSE_BAD_FORM, "nonce"},
    {"no url", JOSE_REQUEST, HEADER(NONCE "," KID), NULL, JOSE_BAD_FORM, "url"},
    {"url is no string", JOSE_REQUEST, HEADER("\"url\":[\"x\"]," NONCE "," KID), NULL,
        JOSE_BAD_FORM, "url"},
    {"attack 1: url twice", JOSE_REQUEST, HEADER(URL "," URL "," NONCE "," KID), NULL,
        JOSE_BAD_FORM, "url"},
    {"attack 13: an escaped url beside url", JOSE_REQUEST,
        HEADER(URL ",\"u\\u0072l\":\"x\"," NONCE "," KID), NULL, JOSE_BAD_FORM, "url"},
    {"attack 2: URL", JOSE_REQUEST, HEADER("\"URL\":\"https://a\"," NONCE "," KID), NULL,
        JOSE_BAD_FORM, "url"},
    {"attack 8: text after the header", JOSE_REQUEST, HEADER(URL "," NONCE "," KID) "{}", NULL,
        JOSE_BAD_FORM, "protected header"},
    {"a header that is no object", JOSE_REQUEST, "\"ES256\"", NULL, JOSE_BAD_FORM, "not an object"},
    {"an empty header", JOSE_REQUEST, "", NULL, JOSE_BAD_FORM, "protected header"},
};

static void
protected_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(headers); i++) {
        AW_CLEANUP(jose_jws_free) struct jose_jws *jws = NULL;
        struct signing_jws made = {0};
        enum jose_fault fault;
        char header[2048];
        const char *rest = headers[i].rest;
        (void)snprintf(header, sizeof(header), "%s%s%s", headers[i].header,
            rest != NULL ? keys[JOSE_EC_P256].jwk : "", rest != NULL ? rest : "");
        signing_sign(&keys[JOSE_EC_P256], JOSE_ES256, header, "{}", &made);
        struct jose_parts parts = signing_parts(&made);
        aw_result r = jose_jws_read(&parts, headers[i].form, &plain, &fault, &jws);
        bool good = headers[i].fault == JOSE_NO_FAULT;
        if (aw_ok(r) != good || fault != headers[i].fault ||
            (!good && strstr(aw_error_last()->message, headers[i].reason) == NULL))
            fail_msg("%s: fault %d, %s", headers[i].name, fault, aw_error_last()->message);
        signing_free(&made);
    }
}

/* Bodies: %1$s header, %2$s payload, %3$s signature. */
static const struct {
    const char *name, *body;
    bool good;
    const char *reason;
} bodies[] = {
    {"the three members", "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\"}",
        true, ""},
    {"in another order", "{\"signature\":\"%3$s\",\"payload\":\"%2$s\",\"protected\":\"%1$s\"}",
        true, ""},
    {"attack 34: an unprotected header",
        "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\",\"header\":{}}", false,
        "header"},
    {"attack 34: the general form",
        "{\"payload\":\"%2$s\",\"signatures\":[{\"protected\":\"%1$s\",\"signature\":\"%3$s\"}]}",
        false, "signatures"},
    {"attack 34: a second signature",
        "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\",\"signatures\":[]}",
        false, "signatures"},
    {"attack 1: payload twice",
        "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\"}",
        false, "payload"},
    {"attack 1: signature twice",
        "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\",\"signature\":\"\"}",
        false, "signature"},
    {"no payload", "{\"protected\":\"%1$s\",\"signature\":\"%3$s\"}", false, "payload"},
    {"no signature", "{\"protected\":\"%1$s\",\"payload\":\"%2$s\"}", false, "signature"},
    {"no header", "{\"payload\":\"%2$s\",\"signature\":\"%3$s\"}", false, "protected"},
    {"a padded signature", "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s=\"}",
        false, "signature"},
    {"a header that is no base64url",
        "{\"protected\":\"%1$s.\",\"payload\":\"%2$s\",\"signature\":\"%3$s\"}", false,
        "protected header"},
    {"the payload is null", "{\"protected\":\"%1$s\",\"payload\":null,\"signature\":\"%3$s\"}",
        false, "payload"},
    {"a signature that is too long",
        "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s%3$s%3$s%3$s%3$s%3$s%3$s%"
        "3$s"
        "%3$s\"}",
        false, "signature"},
    {"compact", "\"%1$s.%2$s.%3$s\"", false, ""},
    {"an array of one", "[{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\"}]",
        false, ""},
    {"attack 8: text after it",
        "{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\"}{}", false, ""},
    {"attack 15: a BOM before it",
        "\xef\xbb\xbf{\"protected\":\"%1$s\",\"payload\":\"%2$s\",\"signature\":\"%3$s\"}", false,
        ""},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *
body_of(size_t row, const struct signing_jws *made)
{
    char *body = NULL;

    assert_true(
        asprintf(&body, bodies[row].body, made->header, made->payload, made->signature) > 0);
    return body;
}
#pragma GCC diagnostic pop

static void
bodies_of_requests(void **state)
{
    struct signing_jws made = {0};

    (void)state;
    signing_sign(
        &keys[JOSE_EC_P256], JOSE_ES256, HEADER(URL "," NONCE "," KID), "{\"a\":1}", &made);
    for (size_t i = 0; i < AW_COUNT(bodies); i++) {
        AW_CLEANUP(aw_free) char *body = body_of(i, &made);
        AW_CLEANUP(jose_jws_free) struct jose_jws *jws = NULL;
        enum jose_fault fault;
        aw_result r = read_body(body, &fault, &jws);
        if (aw_ok(r) != bodies[i].good ||
            fault != (bodies[i].good ? JOSE_NO_FAULT : JOSE_BAD_FORM) ||
            (!bodies[i].good && strstr(aw_error_last()->message, bodies[i].reason) == NULL))
            fail_msg("%s: fault %d, %s", bodies[i].name, fault, aw_error_last()->message);
    }
    signing_free(&made);
}

static struct jose_jws *
read_one(const struct signing_jws *made)
{
    struct jose_parts parts = signing_parts(made);
    struct jose_jws *jws = NULL;
    enum jose_fault fault;

    assert_true(aw_ok(jose_jws_read(&parts, JOSE_REQUEST, &plain, &fault, &jws)));
    return jws;
}

static struct jose_jwk *
jwk_of(enum jose_key type)
{
    struct jose_jwk *jwk = NULL;
    enum jose_fault fault;

    assert_true(aw_ok(jose_jwk_parse_text(keys[type].jwk, &plain, &fault, &jwk)));
    return jwk;
}

/* Every algorithm with every kind of key: only its own verifies, and none is tried with another. */
static void
an_algorithm_has_one_kind_of_key(void **state)
{
    (void)state;
    for (unsigned type = 0; type < AW_COUNT(keys); type++) {
        struct signing_jws made = {0};
        char header[512];
        enum jose_algorithm algorithm = signing_algorithm(type);
        (void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"," URL "," NONCE "," KID "}",
            jose_algorithm_name(algorithm));
        signing_sign(&keys[type], algorithm, header, "{}", &made);
        AW_CLEANUP(jose_jws_free) struct jose_jws *jws = read_one(&made);
        for (unsigned other = 0; other < AW_COUNT(keys); other++) {
            AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = jwk_of(other);
            enum jose_fault fault;
            aw_result r = jose_jws_verify(jws, jwk, &plain, &fault);
            assert_int_equal(aw_ok(r), type == other);
            assert_int_equal(fault, type == other ? JOSE_NO_FAULT : JOSE_BAD_KEY);
        }
        signing_free(&made);
    }
}

/* Attack 29: RS256 becomes HS256, and the public key is the secret. */
static void
a_public_key_is_no_secret(void **state)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = jwk_of(JOSE_RSA);
    struct signing_jws made = {0};
    struct jose_jws jws = {0};
    enum jose_fault fault;

    (void)state;
    signing_mac(jwk->text, strlen(jwk->text), JOSE_HS256,
        "{\"alg\":\"HS256\"," URL "," NONCE "," KID "}", "{}", &made);
    AW_CLEANUP(aw_free) char *input = NULL;
    assert_true(asprintf(&input, "%s.%s", made.header, made.payload) > 0);
    fill(&jws, JOSE_HS256, input, made.signature);
    assert_false(aw_ok(jose_jws_verify(&jws, jwk, &plain, &fault)));
    assert_int_equal(fault, JOSE_BAD_KEY);
    AW_CLEANUP(aw_secret_free) aw_secret *key = secret_of(jwk->text, strlen(jwk->text));
    jws.algorithm = JOSE_RS256;
    assert_false(aw_ok(jose_jws_verify_mac(&jws, key, &plain, &fault)));
    assert_int_equal(fault, JOSE_BAD_KEY);
    signing_free(&made);
}

/* What was signed is changed in one octet, header, payload or signature. */
static void
what_was_altered_does_not_verify(void **state)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = jwk_of(JOSE_EC_P256);
    struct signing_jws made = {0};

    (void)state;
    signing_sign(
        &keys[JOSE_EC_P256], JOSE_ES256, HEADER(URL "," NONCE "," KID), "{\"a\":1}", &made);
    AW_CLEANUP(jose_jws_free) struct jose_jws *jws = read_one(&made);
    const size_t places[] = {0, jws->header_size - 1, jws->header_size + 1, jws->input_size - 1};
    for (size_t i = 0; i < AW_COUNT(places); i++) {
        enum jose_fault fault;
        jws->input[places[i]] ^= 1;
        assert_false(aw_ok(jose_jws_verify(jws, jwk, &plain, &fault)));
        assert_int_equal(fault, JOSE_BAD_SIGNATURE);
        jws->input[places[i]] ^= 1;
        assert_true(aw_ok(jose_jws_verify(jws, jwk, &plain, &fault)));
    }
    enum jose_fault fault;
    jws->signature_size--;
    assert_false(aw_ok(jose_jws_verify(jws, jwk, &plain, &fault)));
    assert_int_equal(fault, JOSE_BAD_SIGNATURE);
    memset(jws->signature, 0, sizeof(jws->signature)); /* CVE-2022-21449 */
    jws->signature_size++;
    assert_false(aw_ok(jose_jws_verify(jws, jwk, &plain, &fault)));
    assert_int_equal(fault, JOSE_BAD_SIGNATURE);
    signing_free(&made);
}

static const struct {
    const char *name, *payload, *reason; /* NULL: good */
} payloads[] = {
    {"an object", "{\"a\":1.5}", NULL},
    {"an array", "[]", "not an object"},
    {"text", "\"x\"", "not an object"},
    {"nothing", "", "payload"},
    {"attack 1: a member twice", "{\"a\":1,\"a\":2}", "payload"},
    {"attack 8: text after it", "{}{}", "payload"},
    {"attack 9: invalid UTF-8", "{\"a\":\"\xc0\x80\"}", "payload"},
};

static void
payloads_of_verified_requests(void **state)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = jwk_of(JOSE_EC_P256);

    (void)state;
    for (size_t i = 0; i < AW_COUNT(payloads); i++) {
        struct signing_jws made = {0};
        enum jose_fault fault;
        AW_CLEANUP(aw_json_free) cJSON *payload = NULL;
        signing_sign(&keys[JOSE_EC_P256], JOSE_ES256, HEADER(URL "," NONCE "," KID),
            payloads[i].payload, &made);
        AW_CLEANUP(jose_jws_free) struct jose_jws *jws = read_one(&made);
        assert_int_equal(jose_jws_is_empty(jws), payloads[i].payload[0] == '\0');
        assert_true(aw_ok(jose_jws_verify(jws, jwk, &plain, &fault)));
        aw_result r = jose_jws_payload(jws, &payload);
        if (aw_ok(r) != (payloads[i].reason == NULL) ||
            (!aw_ok(r) && strstr(aw_error_last()->message, payloads[i].reason) == NULL))
            fail_msg("%s: %s", payloads[i].name, aw_error_last()->message);
        signing_free(&made);
    }
}

static void
what_is_too_long_is_refused(void **state)
{
    static char text[JOSE_PAYLOAD_MAX + 2];
    struct signing_jws made = {0};
    AW_CLEANUP(jose_jws_free) struct jose_jws *jws = NULL;
    enum jose_fault fault;

    (void)state;
    memset(text, 'A', sizeof(text) - 1);
    signing_sign(&keys[JOSE_EC_P256], JOSE_ES256, HEADER(URL "," NONCE "," KID), "{}", &made);
    struct jose_parts parts = {made.header, text, made.signature};
    assert_int_equal(jose_jws_read(&parts, JOSE_REQUEST, &plain, &fault, &jws).code, AW_CODE_LIMIT);
    assert_int_equal(fault, JOSE_BAD_FORM);
    parts = (struct jose_parts){text, made.payload, made.signature};
    assert_int_equal(jose_jws_read(&parts, JOSE_REQUEST, &plain, &fault, &jws).code, AW_CODE_LIMIT);
    assert_int_equal(fault, JOSE_BAD_FORM);
    signing_free(&made);
}

static int
make_keys(void **state)
{
    (void)state;
    for (unsigned type = 0; type < AW_COUNT(keys); type++)
        signing_key_new(type, &keys[type]);
    return 0;
}

static int
free_keys(void **state)
{
    (void)state;
    for (unsigned type = 0; type < AW_COUNT(keys); type++)
        signing_key_free(&keys[type]);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_the_rfcs),
        cmocka_unit_test(macs_of_the_rfcs),
        cmocka_unit_test(every_kind_of_key_signs),
        cmocka_unit_test(protected_headers),
        cmocka_unit_test(bodies_of_requests),
        cmocka_unit_test(an_algorithm_has_one_kind_of_key),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(what_was_altered_does_not_verify),
        cmocka_unit_test(payloads_of_verified_requests),
        cmocka_unit_test(what_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
