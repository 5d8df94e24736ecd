#include "audit/verifier.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "audit/base64.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"

/* C2SP signed-note: ECDSA. */
enum { TYPE_ECDSA = 0x02, ID_DIGITS = 2 * AUDIT_KEY_ID_SIZE };

struct audit_verifier {
    char name[AUDIT_NAME_MAX + 1]; /* empty: none */
    uint8_t id[AUDIT_KEY_ID_SIZE];
    EVP_PKEY *key;
    uint8_t *spki;
    size_t spki_size;
};

static void
openssl_free(void *slot)
{
    OPENSSL_free(*(void **)slot);
}

bool
audit_name_ok(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
            return false;
    return length > 0 && length <= AUDIT_NAME_MAX;
}

void
audit_verifier_free(audit_verifier **verifier)
{
    if (*verifier == NULL)
        return;
    EVP_PKEY_free((*verifier)->key);
    OPENSSL_free((*verifier)->spki);
    free(*verifier);
    *verifier = NULL;
}

static aw_result
not_a_key(const char *why)
{
    if (aw_openssl_lacked_memory()) /* else none of OpenSSL's many reasons helps */
        return aw_fail_memory();
    return aw_hint(aw_fail(AW_CODE_SYNTAX, "this is no public key of an audit log: %s", why),
        "give the PEM text or the line that \"acmeward-admin audit key show\" prints");
}

/* OpenSSL writes a key as it was read, unless it is told how: one key has one ID. */
static bool
set_one_form(EVP_PKEY *key)
{
    return EVP_PKEY_set_utf8_string_param(
               key, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP) == 1 &&
           EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
               OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1;
}

/* The key as OpenSSL encodes it: named curve, uncompressed point. */
static aw_result
take_key(EVP_PKEY **key, const char *name, audit_verifier **out)
{
    AW_CLEANUP(audit_verifier_free) audit_verifier *v = calloc(1, sizeof(*v));
    uint8_t digest[EVP_MAX_MD_SIZE];
    char group[32] = "";

    if (v == NULL)
        return aw_fail_memory();
    if (EVP_PKEY_get_group_name(*key, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "prime256v1") != 0)
        return not_a_key("it is not on the curve P-256");
    if (name != NULL && !audit_name_ok(name))
        return not_a_key("its name has characters that a name has not");
    memcpy(v->name, name == NULL ? "" : name, name == NULL ? 1 : strlen(name) + 1);
    v->key = AW_MOVE(*key);
    int size = set_one_form(v->key) ? i2d_PUBKEY(v->key, &v->spki) : 0;
    if (size <= 0 || EVP_Digest(v->spki, (size_t)size, digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("cannot encode an audit key");
    v->spki_size = (size_t)size;
    memcpy(v->id, digest, sizeof(v->id));
    *out = AW_MOVE(v);
    return AW_OK;
}

aw_result
audit_verifier_of_spki(const char *name, const uint8_t *der, size_t size, audit_verifier **out)
{
    AW_CLEANUP(audit_verifier_free) audit_verifier *v = NULL;
    const unsigned char *at = der;
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)size);

    *out = NULL;
    if (key == NULL || at != der + size)
        return not_a_key("it is not a SubjectPublicKeyInfo");
    AW_TRY(take_key(&key, name, &v));
    if (v->spki_size != size || memcmp(v->spki, der, size) != 0)
        return not_a_key("its curve is not named, or its point is compressed");
    *out = AW_MOVE(v);
    return AW_OK;
}

static aw_result
parse_pem(const char *text, size_t length, audit_verifier **out)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(text, (int)length);
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *key = NULL;

    if (bio == NULL)
        return aw_fail_memory();
    key = PEM_read_bio_PUBKEY(bio, NULL, aw_no_passphrase, NULL);
    if (key == NULL)
        return not_a_key("the PEM text holds no PUBLIC KEY");
    return take_key(&key, NULL, out);
}

/* The type and the key. */
static aw_result
parse_material(const char *name, const char *text, size_t length, audit_verifier **out)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    size_t size = 0;

    aw_result r = audit_base64_decode(text, length, &bytes, &size);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r))
        return not_a_key("what stands behind the second plus is not base64");
    if (bytes[0] != TYPE_ECDSA)
        return not_a_key("its type is not 0x02, ECDSA");
    return audit_verifier_of_spki(name, bytes + 1, size - 1, out);
}

static aw_result
parse_line(const char *text, size_t length, audit_verifier **out)
{
    AW_CLEANUP(audit_verifier_free) audit_verifier *v = NULL;
    char name[AUDIT_NAME_MAX + 1] = "";
    char id[ID_DIGITS + 1];
    const char *plus = memchr(text, '+', length);
    size_t name_length = plus == NULL ? 0 : (size_t)(plus - text);

    if (name_length == 0 || name_length > AUDIT_NAME_MAX ||
        memchr(text, '\0', name_length) != NULL || length < name_length + ID_DIGITS + 2 ||
        plus[1 + ID_DIGITS] != '+')
        return not_a_key("it is neither PEM nor NAME+ID+KEY");
    memcpy(name, text, name_length);
    const char *material = plus + ID_DIGITS + 2;
    AW_TRY(parse_material(name, material, (size_t)(text + length - material), &v));
    aw_hex(v->id, sizeof(v->id), id);
    if (memcmp(id, plus + 1, ID_DIGITS) != 0)
        return not_a_key("its ID is not the one of the key");
    *out = AW_MOVE(v);
    return AW_OK;
}

static bool
is_pem(const char *text, size_t length)
{
    static const char begin[] = "-----BEGIN ";

    return length >= sizeof(begin) - 1 && memcmp(text, begin, sizeof(begin) - 1) == 0;
}

/* What "audit key create" prints is taken as it is: the line, then the PEM text. */
static aw_result
parse_both(const char *text, size_t line_length, size_t length, audit_verifier **out)
{
    AW_CLEANUP(audit_verifier_free) audit_verifier *line = NULL;
    AW_CLEANUP(audit_verifier_free) audit_verifier *pem = NULL;

    AW_TRY(parse_line(text, line_length, &line));
    AW_TRY(parse_pem(text + line_length + 1, length - line_length - 1, &pem));
    if (line->spki_size != pem->spki_size || memcmp(line->spki, pem->spki, line->spki_size) != 0)
        return not_a_key("its line and its PEM text are of two keys");
    *out = AW_MOVE(line);
    return AW_OK;
}

aw_result
audit_verifier_parse(const char *text, size_t length, audit_verifier **out)
{
    *out = NULL;
    if (length > AUDIT_VERIFIER_MAX)
        return not_a_key("it is too long");
    if (is_pem(text, length))
        return parse_pem(text, length, out);
    const char *end = memchr(text, '\n', length);
    size_t line_length = end == NULL ? length : (size_t)(end - text);
    if (end != NULL && is_pem(end + 1, length - line_length - 1))
        return parse_both(text, line_length, length, out);
    if (length > 0 && text[length - 1] == '\n')
        length--;
    return parse_line(text, length, out);
}

const char *
audit_verifier_name(const audit_verifier *verifier)
{
    return verifier->name[0] == '\0' ? NULL : verifier->name;
}

const uint8_t *
audit_verifier_id(const audit_verifier *verifier)
{
    return verifier->id;
}

aw_result
audit_verifier_line(const audit_verifier *verifier, char **out)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = malloc(verifier->spki_size + 1);
    AW_CLEANUP(aw_free) char *text = NULL;
    char id[ID_DIGITS + 1];

    if (bytes == NULL)
        return aw_fail_memory();
    if (verifier->name[0] == '\0')
        return aw_fail(AW_CODE_INTERNAL, "a key without a name has no verifier line");
    bytes[0] = TYPE_ECDSA;
    memcpy(bytes + 1, verifier->spki, verifier->spki_size);
    AW_TRY(audit_base64_encode(bytes, verifier->spki_size + 1, &text));
    aw_hex(verifier->id, sizeof(verifier->id), id);
    return aw_format(out, "%s+%s+%s", verifier->name, id, text);
}

aw_result
audit_verifier_pem(const audit_verifier *verifier, char **out)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    *out = NULL;
    if (bio == NULL || PEM_write_bio_PUBKEY(bio, verifier->key) != 1)
        return aw_fail_openssl("cannot write an audit key as PEM");
    long size = BIO_get_mem_data(bio, &text);
    *out = strndup(text, (size_t)size);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
audit_signature_der(const uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE], uint8_t **out, size_t *size)
{
    enum { HALF = AUDIT_RAW_SIGNATURE_SIZE / 2 };
    AW_CLEANUP(aw_ecdsa_pair_free) ECDSA_SIG *signature = ECDSA_SIG_new();
    AW_CLEANUP(openssl_free) unsigned char *der = NULL;
    BIGNUM *r = BN_bin2bn(raw, HALF, NULL);
    BIGNUM *s = BN_bin2bn(raw + HALF, HALF, NULL);

    *out = NULL;
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return aw_fail_memory();
    }
    int length = i2d_ECDSA_SIG(signature, &der);
    if (length <= 0)
        return aw_fail_openssl("cannot encode a signature");
    *out = malloc((size_t)length);
    if (*out == NULL)
        return aw_fail_memory();
    memcpy(*out, der, (size_t)length);
    *size = (size_t)length;
    return AW_OK;
}

aw_result
audit_verifier_check(const audit_verifier *verifier, const char *text, size_t length,
    const uint8_t *signature, size_t size)
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL ||
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, verifier->key) != 1)
        return aw_fail_openssl("cannot prepare to verify a signature");
    int verdict = EVP_DigestVerify(context, signature, size, (const unsigned char *)text, length);
    ERR_clear_error(); /* why it does not verify is all one */
    return verdict == 1 ? AW_OK
                        : aw_fail(AW_CODE_MISMATCH, "the signature is not one of this key's");
}
