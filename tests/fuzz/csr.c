/*
 * CSRs: as they are, and with the info part signed by a key of ours, so that the grammar alone
 * stands in the way. What is accepted reads the same to OpenSSL and is the DER that it would write.
 */
#include "csr/csr.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include "common/io.h"
#include "csr/der.h"
#include "fuzz.h"
#include "tests/unit/csr/csr_builder.h"

enum { POINT_SIZE = 65, SIGNATURE_MAX = 80 };

static bool
same_names(const struct csr *csr, const struct reference *reference)
{
    if (reference->odd_name || reference->name_count != csr->name_count)
        return false;
    for (size_t i = 0; i < csr->name_count; i++)
        if (strcmp(csr->names[i].text, reference->names[i]) != 0)
            return false;
    return true;
}

static bool
check(const uint8_t *der, size_t size)
{
    AW_CLEANUP(csr_free) struct csr *csr = NULL;
    static struct reference reference;
    char rule[CSR_RULE_SIZE];
    aw_result r = csr_parse(der, size, NULL, NULL, rule, &csr);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(csr == NULL && rule[0] != '\0');
        return false;
    }
    FUZZ_CHECK(csr->name_count >= 1 && csr->name_count <= CSR_NAMES_MAX && size <= CSR_SIZE_MAX);
    fuzz_check_names(csr->names, csr->name_count);
    reference_read((octets){der, size}, &reference);
    FUZZ_CHECK(reference.accepted && reference.same_der);
    FUZZ_CHECK(same_names(csr, &reference));
    return true;
}

static EVP_PKEY *
our_key(void)
{
    static EVP_PKEY *key;

    if (key == NULL)
        key = EVP_EC_gen("P-256");
    FUZZ_CHECK(key != NULL);
    return key;
}

/* A subjectKeyIdentifier of the point that was there becomes ours, as the point does. */
static void
put_our_identifier(uint8_t *info, size_t size, const uint8_t *theirs, const uint8_t *ours)
{
    uint8_t from[EVP_MAX_MD_SIZE], to[EVP_MAX_MD_SIZE];
    size_t length = 0;

    FUZZ_CHECK(EVP_Q_digest(NULL, "SHA1", NULL, theirs, POINT_SIZE, from, &length) == 1);
    FUZZ_CHECK(EVP_Q_digest(NULL, "SHA1", NULL, ours, POINT_SIZE, to, &length) == 1);
    uint8_t *at = memmem(info, size, from, length);
    if (at != NULL)
        memcpy(at, to, length);
}

/* Puts our point where the info has one of P-256; false when it has none. */
static bool
put_our_point(uint8_t *info, size_t size)
{
    static const uint8_t head[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
    uint8_t *at = memmem(info, size, head, sizeof(head));
    uint8_t point[POINT_SIZE];
    size_t length = 0;

    if (at == NULL || size - (size_t)(at - info) < sizeof(head) + POINT_SIZE)
        return false;
    FUZZ_CHECK(EVP_PKEY_get_octet_string_param(
                   our_key(), "encoded-pub-key", point, sizeof(point), &length) == 1);
    FUZZ_CHECK(length == POINT_SIZE);
    put_our_identifier(info, size, at + sizeof(head), point);
    memcpy(at + sizeof(head), point, POINT_SIZE);
    return true;
}

static size_t
sign(const uint8_t *info, size_t size, uint8_t signature[SIGNATURE_MAX])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = SIGNATURE_MAX;

    FUZZ_CHECK(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, our_key(), NULL) == 1);
    FUZZ_CHECK(EVP_DigestSign(context, signature, &length, info, size) == 1);
    EVP_MD_CTX_free(context);
    return length;
}

/* Octets of the CertificationRequestInfo; all of the input when it is no CSR and nothing else. */
static struct der
info_of(const uint8_t *data, size_t size)
{
    struct der whole = {data, size}, inner, contents;

    if (der_take(&whole, DER_SEQUENCE, &inner) != DER_TAKEN || whole.size > 0)
        return (struct der){data, size};
    const uint8_t *begin = inner.data;
    if (der_take(&inner, DER_SEQUENCE, &contents) != DER_TAKEN)
        return (struct der){data, size};
    return (struct der){begin, (size_t)(inner.data - begin)};
}

/* True when it was signed and accepted; *signable: it has a place for our key. */
static bool
check_signed(const uint8_t *data, size_t size, bool *signable)
{
    struct der info = info_of(data, size);
    AW_CLEANUP(aw_free) uint8_t *copy = malloc(info.size + 1);
    uint8_t signature[SIGNATURE_MAX];
    size_t capacity = info.size + 256;

    memcpy(copy, info.data, info.size);
    *signable = put_our_point(copy, info.size);
    if (!*signable)
        return false;
    AW_CLEANUP(aw_free) uint8_t *der = malloc(capacity);
    struct der_writer w = {.data = der, .begin = capacity};
    size_t length = sign(copy, info.size, signature);
    der_put(&w, signature, length);
    der_wrap_bits(&w, capacity);
    size_t end = w.begin;
    der_put_oid(&w, NID_ecdsa_with_SHA256);
    der_wrap(&w, DER_SEQUENCE, end);
    der_put(&w, copy, info.size);
    der_wrap(&w, DER_SEQUENCE, capacity);
    FUZZ_CHECK(!w.full);
    return check(der + w.begin, capacity - w.begin);
}

/* A file may hold PEM. */
static bool
check_text(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    size_t length = 0;
    aw_result r = csr_from_text((const char *)data, size, &der, &length);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        return false;
    }
    return check(der, length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool plain = check(data, size), text = check_text(data, size);

    bool signable, accepted = check_signed(data, size, &signable);

    FUZZ_CHECK(!plain || text);
    FUZZ_CHECK(!plain || !signable || accepted);
    if (text || accepted)
        fuzz_accept();
    return 0;
}
