#include "common/wrapped.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "common/config.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/json.h"
#include "common/openssl.h"

#define FORM "acmeward wrapped EAB key"

enum { VERSION = 1, RSA_OCTETS = 384, MAC_MAX = 64, BLOCK_MAX = 128, BITS_MAX = 4096 };

/* RFC 7518 3.2; blocks from RFC 4231. */
static const struct algorithm {
    const char *name, *digest;
    size_t size, block;
} algorithms[] = {
    {"HS256", "SHA256", 32, 64}, {"HS384", "SHA384", 48, 128}, {"HS512", "SHA512", 64, 128}};

static aw_result
find_algorithm(const char *name, const struct algorithm **out)
{
    for (size_t i = 0; i < AW_COUNT(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0) {
            *out = &algorithms[i];
            return AW_OK;
        }
    return aw_fail(
        AW_CODE_UNSUPPORTED, "algorithm \"%.16s\": expected HS256, HS384 or HS512", name);
}

bool
aw_wrapped_is_fingerprint(const char *text)
{
    return strlen(text) == AW_WRAPPED_HEX && strspn(text, "0123456789abcdef") == AW_WRAPPED_HEX;
}

aw_result
aw_wrapped_check_text(const struct aw_wrapped_terms *terms, uint8_t **out, size_t *size)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer w = {0};

    aw_json_begin_array(&w); /* one reading, whatever is in a kid */
    aw_json_write_string(&w, FORM);
    aw_json_write_integer(&w, VERSION);
    aw_json_write_string(&w, terms->ca);
    aw_json_write_string(&w, terms->kid);
    aw_json_write_string(&w, terms->algorithm);
    aw_json_write_integer(&w, terms->bits);
    aw_json_write_string(&w, terms->wrapping_key);
    aw_json_end_array(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    *size = strlen(text) + 1;
    *out = malloc(*size);
    if (*out == NULL)
        return aw_fail_memory();
    (*out)[0] = '\0';
    memcpy(*out + 1, text, *size - 1);
    return AW_OK;
}

/* Making. */

static aw_result
read_public(const uint8_t *spki, size_t size, EVP_PKEY **out)
{
    const unsigned char *at = spki;

    *out = d2i_PUBKEY(NULL, &at, (long)size);
    if (*out == NULL || at != spki + size)
        return aw_fail_openssl("the wrapping key is no public key");
    if (EVP_PKEY_is_a(*out, "RSA") != 1 || EVP_PKEY_get_size(*out) != RSA_OCTETS)
        return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "the wrapping key is no RSA key of %d bits",
                           8 * RSA_OCTETS),
            "take what acmeward-admin eab wrapping-key show prints");
    return AW_OK;
}

static aw_result
check_length(const struct algorithm *algorithm, const aw_secret *key, bool force)
{
    if (key->size == 0 || key->size * 8 > BITS_MAX)
        return aw_fail(
            AW_CODE_LIMIT, "an HMAC key has 1 to %d octets, not %zu", BITS_MAX / 8, key->size);
    if (key->size >= algorithm->size || force)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_LIMIT, "the HMAC key has %zu bits; %s asks for at least %zu (RFC 7518 3.2)",
            key->size * 8, algorithm->name, algorithm->size * 8),
        "see that it was copied whole; if the CA really gave such a key, say --force here and at "
        "the import: it is padded with zeros, which gives the same MAC");
}

/* RFC 2104 section 2. */
static aw_result
to_block(const struct algorithm *algorithm, const aw_secret *key, aw_secret **out)
{
    static const uint8_t zeros[BLOCK_MAX];
    AW_CLEANUP(aw_secret_free) aw_secret *block = NULL;

    AW_TRY(aw_secret_new(BLOCK_MAX, &block));
    if (key->size <= algorithm->block) {
        AW_TRY(aw_secret_append(block, key->data, key->size));
    } else if (EVP_Q_digest(NULL, algorithm->digest, NULL, key->data, key->size, block->data,
                   &block->size) != 1) {
        return aw_fail_openssl("can't hash a long key");
    }
    AW_TRY(aw_secret_append(block, zeros, algorithm->block - block->size));
    *out = AW_MOVE(block);
    return AW_OK;
}

static aw_result
encrypt(EVP_PKEY *key, const aw_secret *block, uint8_t out[RSA_OCTETS])
{
    AW_CLEANUP(aw_pkey_context_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    size_t size = RSA_OCTETS;

    if (context == NULL || EVP_PKEY_encrypt_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md_name(context, "SHA1", NULL) != 1 ||
        EVP_PKEY_encrypt(context, out, &size, block->data, block->size) != 1 || size != RSA_OCTETS)
        return aw_fail_openssl("can't encrypt to the wrapping key");
    return AW_OK;
}

static aw_result
compute_check(const struct algorithm *algorithm, const aw_secret *block,
    const struct aw_wrapped_terms *terms, uint8_t out[MAC_MAX])
{
    AW_CLEANUP(aw_free) uint8_t *text = NULL;
    size_t text_size = 0, size = 0;

    AW_TRY(aw_wrapped_check_text(terms, &text, &text_size));
    if (EVP_Q_mac(NULL, "HMAC", NULL, algorithm->digest, NULL, block->data, block->size, text,
            text_size, out, MAC_MAX, &size) == NULL ||
        size != algorithm->size)
        return aw_fail_openssl("can't compute the check value");
    return AW_OK;
}

static aw_result
pair_octets(struct aw_json_writer *w, const char *name, const uint8_t *octets, size_t size)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_b64url_encode_new(octets, size, &text));
    aw_json_pair(w, name, text);
    return AW_OK;
}

static aw_result
write_file(const struct aw_wrapped_terms *terms, const uint8_t wrapped[RSA_OCTETS],
    const uint8_t *check, size_t check_size, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "form", FORM);
    aw_json_pair_integer(&w, "version", VERSION);
    aw_json_pair(&w, "ca", terms->ca);
    aw_json_pair(&w, "kid", terms->kid);
    aw_json_pair(&w, "algorithm", terms->algorithm);
    aw_json_pair_integer(&w, "bits", terms->bits);
    aw_json_pair(&w, "encryption", "RSA-OAEP-SHA1");
    aw_json_pair(&w, "wrapping_key", terms->wrapping_key);
    AW_TRY(pair_octets(&w, "wrapped", wrapped, RSA_OCTETS));
    AW_TRY(pair_octets(&w, "check", check, check_size));
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
aw_wrapped_make(const struct aw_wrapped_terms *terms, const aw_secret *key, const uint8_t *spki,
    size_t spki_size, bool force, char **file)
{
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *public = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *block = NULL;
    const struct algorithm *algorithm = NULL;
    uint8_t digest[AW_DIGEST_SIZE], wrapped[RSA_OCTETS], check[MAC_MAX];
    char hex[AW_WRAPPED_HEX + 1];
    struct aw_wrapped_terms whole = *terms;

    AW_TRY(find_algorithm(terms->algorithm, &algorithm));
    AW_TRY(check_length(algorithm, key, force));
    AW_TRY(read_public(spki, spki_size, &public));
    if (EVP_Digest(spki, spki_size, digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("SHA-256");
    aw_hex(digest, sizeof(digest), hex);
    whole.bits = (int64_t)key->size * 8;
    whole.wrapping_key = hex;
    AW_TRY(to_block(algorithm, key, &block));
    AW_TRY(encrypt(public, block, wrapped));
    AW_TRY(compute_check(algorithm, block, &whole, check));
    return write_file(&whole, wrapped, check, algorithm->size, file);
}

/* Reading. */

static aw_result
read_terms(const cJSON *json, struct aw_wrapped_terms *out)
{
    const struct algorithm *algorithm = NULL;

    AW_TRY(aw_json_string(json, "ca", AW_CONFIG_LABEL_MAX, &out->ca));
    AW_TRY(aw_json_string(json, "kid", AW_WRAPPED_KID_MAX, &out->kid));
    AW_TRY(aw_json_string(json, "algorithm", 8, &out->algorithm));
    AW_TRY(find_algorithm(out->algorithm, &algorithm));
    AW_TRY(aw_json_integer(json, "bits", 8, BITS_MAX, &out->bits));
    AW_TRY(aw_json_string(json, "wrapping_key", AW_WRAPPED_HEX, &out->wrapping_key));
    if (!aw_wrapped_is_fingerprint(out->wrapping_key))
        return aw_fail(AW_CODE_SYNTAX, "wrapping_key: expected a SHA-256 in lower-case hex");
    return AW_OK;
}

static aw_result
read_file(struct aw_wrapped *w)
{
    static const char *const members[] = {"form", "version", "ca", "kid", "algorithm", "bits",
        "encryption", "wrapping_key", "wrapped", "check"};
    const char *form = NULL, *encryption = NULL;
    int64_t version = 0;

    AW_TRY(aw_json_only(w->json, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(w->json, "form", 64, &form));
    AW_TRY(aw_json_integer(w->json, "version", 0, 1000, &version));
    AW_TRY(aw_json_string(w->json, "encryption", 64, &encryption));
    if (strcmp(form, FORM) != 0 || version != VERSION || strcmp(encryption, "RSA-OAEP-SHA1") != 0)
        return aw_fail(
            AW_CODE_SYNTAX, "form, version or encryption are not those of a wrapped key");
    AW_TRY(read_terms(w->json, &w->terms));
    AW_TRY(aw_json_string(w->json, "wrapped", AW_B64URL_LENGTH(RSA_OCTETS), &w->wrapped));
    return aw_json_string(w->json, "check", AW_B64URL_LENGTH(MAC_MAX), &w->check);
}

aw_result
aw_wrapped_parse(const char *text, size_t size, struct aw_wrapped *out)
{
    *out = (struct aw_wrapped){.json = NULL};
    aw_result r = aw_json_parse(text, size, AW_JSON_STRICT, &out->json);
    if (aw_ok(r))
        r = read_file(out);
    if (aw_ok(r))
        return AW_OK;
    aw_wrapped_free(out);
    return aw_hint(aw_context(r, "wrapped key"),
        "expected the file that acmeward-admin eab wrap wrote, unchanged");
}

void
aw_wrapped_free(struct aw_wrapped *wrapped)
{
    aw_json_free(&wrapped->json);
    *wrapped = (struct aw_wrapped){.json = NULL};
}
