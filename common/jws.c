#include "common/jws.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"

/* Algorithms (RFC 7518 3.1): `mac` ones are for an external account binding alone. */
static const struct {
    const char *name;
    bool mac;
} algorithms[] = {
    {"ES256", false},
    {"ES384", false},
    {"RS256", false},
    {"HS256", true},
    {"HS384", true},
    {"HS512", true},
};

/*
 * RFC 8555 6.2, 7.3.4 and 7.3.5. What a request could lead to is refused long before; this holds
 * the shapes together where they are written: a binding is never of the form of a request, nor the
 * reverse, and what a new key signs for a key change lacks the nonce that every request has.
 */
static aw_result
check_header(const struct aw_jws_header *header)
{
    size_t i = 0;

    while (i < AW_COUNT(algorithms) && strcmp(header->algorithm, algorithms[i].name) != 0)
        i++;
    if (i == AW_COUNT(algorithms))
        return aw_fail(AW_CODE_INTERNAL, "JWS: no such algorithm");
    if ((header->kid == NULL) == (header->jwk == NULL))
        return aw_fail(AW_CODE_INTERNAL, "JWS: exactly one of kid and jwk is expected");
    if (header->inner && (algorithms[i].mac || header->jwk == NULL || header->nonce != NULL))
        return aw_fail(AW_CODE_INTERNAL, "JWS: a new key's is signed, with a jwk and no nonce");
    if (!header->inner && (algorithms[i].mac != (header->nonce == NULL) ||
                              (algorithms[i].mac && header->kid == NULL)))
        return aw_fail(AW_CODE_INTERNAL,
            "JWS: a MAC with a kid and without a nonce, or a signature with a nonce is expected");
    if (header->url == NULL)
        return aw_fail(AW_CODE_INTERNAL, "JWS: a URL is expected");
    return AW_OK;
}

static aw_result
write_header(const struct aw_jws_header *header, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "alg", header->algorithm);
    if (header->kid != NULL) {
        aw_json_pair(&w, "kid", header->kid);
    } else {
        aw_json_name(&w, "jwk");
        aw_json_write_raw(&w, header->jwk);
    }
    if (header->nonce != NULL)
        aw_json_pair(&w, "nonce", header->nonce);
    aw_json_pair(&w, "url", header->url);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

/* RFC 7515 5.1: ASCII(BASE64URL(header) || "." || BASE64URL(payload)) */
static aw_result
join(const char *header, const char *payload, struct aw_jws *out)
{
    size_t header_length = strlen(header), payload_length = strlen(payload);

    out->header_size = AW_B64URL_LENGTH(header_length);
    out->input_size = out->header_size + 1 + AW_B64URL_LENGTH(payload_length);
    out->input = malloc(out->input_size + 1);
    if (out->input == NULL)
        return aw_fail_memory();
    aw_b64url_encode(header, header_length, out->input);
    out->input[out->header_size] = '.';
    aw_b64url_encode(payload, payload_length, out->input + out->header_size + 1);
    return AW_OK;
}

aw_result
aw_jws_build(const struct aw_jws_header *header, const char *payload, struct aw_jws *out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};

    *out = (struct aw_jws){0};
    AW_TRY(check_header(header));
    AW_TRY(write_header(header, &text));
    AW_TRY(join(text, payload, &jws));
    if (EVP_Digest(jws.input, jws.input_size, jws.digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("JWS: SHA-256");
    *out = jws;
    jws.input = NULL;
    return AW_OK;
}

void
aw_jws_free(struct aw_jws *jws)
{
    free(jws->input);
    *jws = (struct aw_jws){0};
}

aw_result
aw_jws_serialize(const struct aw_jws *jws, const uint8_t *signature, size_t size, char **out)
{
    AW_CLEANUP(aw_free) char *encoded = NULL;

    AW_TRY(aw_b64url_encode_new(signature, size, &encoded));
    /* base64url needs no escapes */
    return aw_format(out, "{\"protected\":\"%.*s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
        (int)jws->header_size, jws->input, jws->input + jws->header_size + 1, encoded);
}

aw_result
aw_jws_payload_revoke(const uint8_t *certificate, size_t size, int reason, char **out)
{
    AW_CLEANUP(aw_free) char *encoded = NULL;

    AW_TRY(aw_b64url_encode_new(certificate, size, &encoded));
    if (reason < 0)
        return aw_format(out, "{\"certificate\":\"%s\"}", encoded);
    return aw_format(out, "{\"certificate\":\"%s\",\"reason\":%d}", encoded, reason);
}

aw_result
aw_jws_reason_parse(const char *text, int *out)
{
    static const struct {
        const char *name;
        int code;
    } reasons[] = {
        {"unspecified", -1}, /* RFC 5280 5.3.1: rather no reason */
        {"keycompromise", 1},
        {"affiliationchanged", 3},
        {"superseded", 4},
        {"cessationofoperation", 5},
    };

    *out = -1;
    if (text == NULL)
        return AW_OK;
    for (size_t i = 0; i < AW_COUNT(reasons); i++)
        if (strcasecmp(reasons[i].name, text) == 0) {
            *out = reasons[i].code;
            return AW_OK;
        }
    return aw_fail(AW_CODE_USAGE,
        "found \"%.40s\", expected unspecified, keycompromise, affiliationchanged, superseded or "
        "cessationofoperation",
        text);
}
