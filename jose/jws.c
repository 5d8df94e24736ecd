/* The protected header and the three members of a flattened JWS. */
#include "jose/jws.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"

static const char *const algorithms[] = {
    [JOSE_ES256] = "ES256",
    [JOSE_ES384] = "ES384",
    [JOSE_ES512] = "ES512",
    [JOSE_RS256] = "RS256",
    [JOSE_EDDSA] = "EdDSA",
    [JOSE_HS256] = "HS256",
    [JOSE_HS384] = "HS384",
    [JOSE_HS512] = "HS512",
};

const char *
jose_algorithm_name(enum jose_algorithm algorithm)
{
    return algorithms[algorithm];
}

/* Nothing but the form says whether MACs or signatures are offered: attack 29. */
static aw_result
read_algorithm(const cJSON *header, enum jose_form form, struct jose_jws *jws)
{
    unsigned first = form == JOSE_BINDING ? JOSE_HS256 : JOSE_ES256;
    unsigned last = form == JOSE_BINDING ? JOSE_HS512 : JOSE_EDDSA;
    const char *name;

    AW_TRY(aw_json_string(header, "alg", 32, &name));
    for (unsigned i = first; i <= last; i++)
        if (strcmp(algorithms[i], name) == 0) {
            jws->algorithm = i;
            return AW_OK;
        }
    return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "the algorithm of the JWS is not offered"),
        form == JOSE_BINDING ? "use HS256, HS384 or HS512"
                             : "use ES256, ES384, ES512, RS256 or EdDSA");
}

static aw_result
copy_member(const cJSON *header, const char *name, size_t max, char **out)
{
    const char *text;

    AW_TRY(aw_json_string(header, name, max, &text));
    if (text[0] == '\0')
        return aw_fail(AW_CODE_SYNTAX, "the protected header's \"%s\" is empty", name);
    *out = strdup(text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

/* RFC 8555 6.5.2: a nonce that is not base64url is refused before all else. */
static aw_result
read_nonce(const cJSON *header, enum jose_form form, struct jose_jws *jws)
{
    uint8_t bytes[JOSE_NONCE_MAX];
    size_t size;

    if (form != JOSE_REQUEST) {
        if (aw_json_member(header, "nonce") != NULL)
            return aw_fail(AW_CODE_SYNTAX, "the protected header of an inner JWS has a nonce");
        return AW_OK;
    }
    AW_TRY(copy_member(header, "nonce", JOSE_NONCE_MAX, &jws->nonce));
    return aw_context(
        aw_b64url_decode(jws->nonce, strlen(jws->nonce), bytes, sizeof(bytes), &size), "the nonce");
}

/* RFC 8555 6.2, 7.3.4, 7.3.5 */
static aw_result
read_key(const cJSON *header, enum jose_form form, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jws *jws)
{
    const cJSON *jwk = aw_json_member(header, "jwk"), *kid = aw_json_member(header, "kid");

    if ((jwk != NULL) == (kid != NULL))
        return aw_fail(AW_CODE_SYNTAX, "the protected header has %s of \"jwk\" and \"kid\"",
            jwk != NULL ? "both" : "none");
    if (jwk != NULL && form == JOSE_BINDING)
        return aw_fail(AW_CODE_SYNTAX, "an external account binding names its key by \"kid\"");
    if (kid != NULL && form == JOSE_NEW_KEY)
        return aw_fail(AW_CODE_SYNTAX, "the new key's JWS has a \"kid\" instead of a \"jwk\"");
    if (kid != NULL)
        return copy_member(header, "kid", JOSE_KID_MAX, &jws->kid);
    return jose_jwk_parse(jwk, openssl, fault, &jws->jwk);
}

/* crit (RFC 7515 4.1.11) would ask for what we do not do, b64 (RFC 7797) changes what is signed. */
static aw_result
read_header(const cJSON *header, enum jose_form form, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jws *jws)
{
    static const char *const foreign[] = {"crit", "b64"};

    if (!cJSON_IsObject(header))
        return aw_fail(AW_CODE_SYNTAX, "the protected header is not an object");
    for (size_t i = 0; i < AW_COUNT(foreign); i++)
        if (aw_json_member(header, foreign[i]) != NULL)
            return aw_fail(AW_CODE_SYNTAX, "the protected header has \"%s\"", foreign[i]);
    AW_TRY(copy_member(header, "url", JOSE_URL_MAX, &jws->url));
    AW_TRY(read_nonce(header, form, jws));
    AW_TRY(read_algorithm(header, form, jws));
    return read_key(header, form, openssl, fault, jws);
}

static aw_result
decode_header(const char *text, enum jose_form form, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jws *jws)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    AW_CLEANUP(aw_json_free) cJSON *header = NULL;
    size_t size;

    AW_TRY(aw_context(
        aw_b64url_decode_new(text, strlen(text), &bytes, &size), "the protected header"));
    AW_TRY(aw_context(
        aw_json_parse((const char *)bytes, size, AW_JSON_STRICT, &header), "the protected header"));
    return read_header(header, form, openssl, fault, jws);
}

static aw_result
check_lengths(const struct jose_parts *parts)
{
    if (strlen(parts->header) > JOSE_HEADER_MAX)
        return aw_fail(
            AW_CODE_LIMIT, "the protected header is longer than %d characters", JOSE_HEADER_MAX);
    if (strlen(parts->payload) > JOSE_PAYLOAD_MAX)
        return aw_fail(AW_CODE_LIMIT, "the payload is longer than %d characters", JOSE_PAYLOAD_MAX);
    return AW_OK;
}

static aw_result
write_input(
    const struct jose_parts *parts, const struct jose_openssl *openssl, struct jose_jws *jws)
{
    jws->header_size = strlen(parts->header);
    jws->input_size = jws->header_size + 1 + strlen(parts->payload);
    jws->input = malloc(jws->input_size + 1);
    if (jws->input == NULL)
        return aw_fail_memory();
    memcpy(jws->input, parts->header, jws->header_size);
    jws->input[jws->header_size] = '.';
    memcpy(jws->input + jws->header_size + 1, parts->payload,
        jws->input_size - jws->header_size); /* with its NUL */
    if (EVP_Q_digest(openssl->libctx, "SHA256", openssl->properties, jws->input, jws->input_size,
            jws->digest, NULL) != 1)
        return aw_fail_openssl("hashing a JWS");
    return AW_OK;
}

static aw_result
read_parts(const struct jose_parts *parts, enum jose_form form, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jws *jws)
{
    AW_TRY(check_lengths(parts));
    AW_TRY(aw_context(aw_b64url_decode(parts->signature, strlen(parts->signature), jws->signature,
                          sizeof(jws->signature), &jws->signature_size),
        "the signature"));
    AW_TRY(write_input(parts, openssl, jws));
    return decode_header(parts->header, form, openssl, fault, jws);
}

static enum jose_fault
fault_of(aw_result r)
{
    if (r.code == AW_CODE_UNSUPPORTED)
        return JOSE_BAD_ALGORITHM;
    return r.code == AW_CODE_SYNTAX || r.code == AW_CODE_LIMIT ? JOSE_BAD_FORM : JOSE_NO_FAULT;
}

aw_result
jose_jws_read(const struct jose_parts *parts, enum jose_form form,
    const struct jose_openssl *openssl, enum jose_fault *fault, struct jose_jws **out)
{
    AW_CLEANUP(jose_jws_free) struct jose_jws *jws = calloc(1, sizeof(*jws));

    *fault = JOSE_NO_FAULT;
    if (jws == NULL)
        return aw_fail_memory();
    aw_result r = read_parts(parts, form, openssl, fault, jws);
    if (*fault == JOSE_NO_FAULT)
        *fault = fault_of(r);
    AW_TRY(r);
    *out = AW_MOVE(jws);
    return AW_OK;
}

aw_result
jose_parts_of(const cJSON *json, struct jose_parts *out)
{
    static const char *const members[] = {"protected", "payload", "signature"};

    AW_TRY(aw_json_only(json, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(json, "protected", JOSE_HEADER_MAX, &out->header));
    AW_TRY(aw_json_string(json, "payload", JOSE_PAYLOAD_MAX, &out->payload));
    return aw_json_string(json, "signature", AW_B64URL_LENGTH(JOSE_SIGNATURE_MAX), &out->signature);
}

aw_result
jose_jws_read_json(const cJSON *json, enum jose_form form, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jws **out)
{
    struct jose_parts parts;
    aw_result r = jose_parts_of(json, &parts);

    *fault = fault_of(r);
    AW_TRY(r);
    return jose_jws_read(&parts, form, openssl, fault, out);
}

bool
jose_jws_is_empty(const struct jose_jws *jws)
{
    return jws->input_size == jws->header_size + 1;
}

aw_result
jose_jws_payload(const struct jose_jws *jws, cJSON **out)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    size_t size;

    if (!jws->verified)
        return aw_fail(AW_CODE_INTERNAL, "the payload of a JWS that nobody verified");
    AW_TRY(aw_context(aw_b64url_decode_new(jws->input + jws->header_size + 1,
                          jws->input_size - jws->header_size - 1, &bytes, &size),
        "the payload"));
    AW_TRY(aw_context(
        aw_json_parse((const char *)bytes, size, AW_JSON_TOLERANT, &json), "the payload"));
    if (!cJSON_IsObject(json))
        return aw_fail(AW_CODE_SYNTAX, "the payload is not an object");
    *out = AW_MOVE(json);
    return AW_OK;
}

void
jose_jws_free(struct jose_jws **jws)
{
    if (*jws == NULL)
        return;
    free((*jws)->url);
    free((*jws)->nonce);
    free((*jws)->kid);
    jose_jwk_free(&(*jws)->jwk);
    free((*jws)->input);
    free(*jws);
    *jws = NULL;
}
