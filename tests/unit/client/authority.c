#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "authority.h"

static void
set_serial(X509 *certificate)
{
    unsigned char octets[16];
    ASN1_INTEGER *serial = X509_get_serialNumber(certificate);

    assert_int_equal(RAND_bytes(octets, sizeof(octets)), 1);
    octets[0] = (unsigned char)((octets[0] & 0x7f) | 0x40);
    assert_int_equal(ASN1_STRING_set(serial, octets, sizeof(octets)), 1);
}

static void
add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct party
authority_make(const struct party *issuer, const struct wish *wish)
{
    struct party made = {wish->key, X509_new()};
    X509_NAME *subject = X509_NAME_new();
    int64_t from = wish->from == 0 ? -3600 : wish->from;
    int64_t until = wish->until == 0 ? 86400 : wish->until;

    if (made.key == NULL)
        made.key = EVP_EC_gen("P-256");
    else
        EVP_PKEY_up_ref(made.key);
    assert_non_null(made.key);
    X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_UTF8, (const unsigned char *)wish->subject, -1, -1, 0);
    assert_int_equal(X509_set_version(made.certificate, X509_VERSION_3), 1);
    if (wish->serial == NULL)
        set_serial(made.certificate);
    else
        assert_int_equal(ASN1_STRING_set(X509_get_serialNumber(made.certificate), wish->serial,
                             (int)wish->serial_size),
            1);
    X509_set_subject_name(made.certificate, subject);
    X509_set_issuer_name(
        made.certificate, issuer == NULL ? subject : X509_get_subject_name(issuer->certificate));
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), until);
    X509_set_pubkey(made.certificate, made.key);
    add_extension(
        made.certificate, NID_basic_constraints, wish->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (wish->san != NULL)
        add_extension(made.certificate, NID_subject_alt_name, wish->san);
    if (wish->usage != NULL)
        add_extension(made.certificate, NID_key_usage, wish->usage);
    if (wish->purposes != NULL)
        add_extension(made.certificate, NID_ext_key_usage, wish->purposes);
    if (wish->constraints != NULL)
        add_extension(made.certificate, NID_name_constraints, wish->constraints);
    assert_true(X509_sign(made.certificate, issuer == NULL ? made.key : issuer->key,
                    EVP_get_digestbyname(wish->digest == NULL ? "SHA256" : wish->digest)) > 0);
    X509_NAME_free(subject);
    return made;
}

void
authority_free(struct party *party)
{
    EVP_PKEY_free(party->key);
    X509_free(party->certificate);
    memset(party, 0, sizeof(*party));
}

char *
authority_written(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)size);

    assert_non_null(text);
    BIO_free(bio);
    return text;
}

char *
authority_pem(const X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    return authority_written(bio);
}

unsigned char *
authority_der(const X509 *certificate, size_t *size)
{
    int length = i2d_X509(certificate, NULL);
    unsigned char *der = malloc((size_t)length), *at = der;

    assert_non_null(der);
    *size = (size_t)i2d_X509(certificate, &at);
    return der;
}

char *
authority_key_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return authority_written(bio);
}

char *
authority_block(const X509 *certificate, const char *label, size_t extra)
{
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char *der = NULL;
    int size = i2d_X509(certificate, &der);
    unsigned char *longer = calloc(1, (size_t)size + extra);

    assert_non_null(longer);
    memcpy(longer, der, (size_t)size);
    assert_true(PEM_write_bio(bio, label, "", longer, size + (long)extra) > 0);
    OPENSSL_free(der);
    free(longer);
    return authority_written(bio);
}

char *
authority_join(const char *first, ...)
{
    size_t length = 0;
    char *all = strdup(first);
    va_list ap;

    va_start(ap, first);
    for (const char *next; (next = va_arg(ap, const char *)) != NULL;) {
        length = strlen(all);
        all = realloc(all, length + strlen(next) + 1);
        assert_non_null(all);
        memcpy(all + length, next, strlen(next) + 1);
    }
    va_end(ap);
    return all;
}

void
authority_names(const char *const *texts, size_t count, struct aw_name *out)
{
    for (size_t i = 0; i < count; i++)
        if (!aw_ok(aw_name_parse(texts[i], strlen(texts[i]), &out[i])))
            assert_true(aw_ok(aw_name_parse_address(texts[i], strlen(texts[i]), &out[i])));
    assert_true(aw_names_sort(out, count));
}
