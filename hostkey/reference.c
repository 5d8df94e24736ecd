/* The PEM file in place of a key: a description and a URI in a SEQUENCE, as pkcs11-provider's
 * decoder has it (provider-pkcs11(7), "URIs in PEM files"). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/io.h"
#include "common/openssl.h"
#include "hostkey/host_key.h"

#define LABEL "PKCS#11 PROVIDER URI"
#define DESCRIPTION "PKCS#11 Provider URI v1.0"

enum { FILE_MAX = 32 * 1024 };

static void
free_parts(ASN1_SEQUENCE_ANY **parts)
{
    sk_ASN1_TYPE_pop_free(*parts, ASN1_TYPE_free);
}

static void
free_octets(unsigned char **octets)
{
    OPENSSL_free(*octets);
}

static void
free_text(char **text)
{
    OPENSSL_free(*text);
}

static aw_result
add_text(ASN1_SEQUENCE_ANY *parts, int type, const char *text)
{
    ASN1_TYPE *part = ASN1_TYPE_new();
    ASN1_STRING *value = ASN1_STRING_type_new(type);

    if (part == NULL || value == NULL || ASN1_STRING_set(value, text, -1) != 1 ||
        sk_ASN1_TYPE_push(parts, part) <= 0) {
        ASN1_TYPE_free(part);
        ASN1_STRING_free(value);
        return aw_fail_memory();
    }
    ASN1_TYPE_set(part, type, value);
    return AW_OK;
}

aw_result
host_key_reference_write(const char *uri, char **pem)
{
    AW_CLEANUP(free_parts) ASN1_SEQUENCE_ANY *parts = sk_ASN1_TYPE_new_null();
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_mem());
    AW_CLEANUP(free_octets) unsigned char *der = NULL;
    char *text = NULL;

    if (parts == NULL || bio == NULL)
        return aw_fail_memory();
    AW_TRY(add_text(parts, V_ASN1_VISIBLESTRING, DESCRIPTION));
    AW_TRY(add_text(parts, V_ASN1_UTF8STRING, uri));
    int size = i2d_ASN1_SEQUENCE_ANY(parts, &der);
    if (size <= 0 || PEM_write_bio(bio, LABEL, "", der, size) <= 0)
        return aw_fail_openssl("can't write the key's URI as PEM");
    long length = BIO_get_mem_data(bio, &text);
    return aw_format(pem, "%.*s", (int)length, text);
}

/* NULL: it is another file. */
static ASN1_SEQUENCE_ANY *
read_parts(BIO *bio)
{
    AW_CLEANUP(free_text) char *label = NULL;
    AW_CLEANUP(free_text) char *header = NULL;
    AW_CLEANUP(free_octets) unsigned char *der = NULL;
    long size = 0;

    if (PEM_read_bio(bio, &label, &header, &der, &size) != 1 || strcmp(label, LABEL) != 0)
        return NULL;
    const unsigned char *at = der;
    return d2i_ASN1_SEQUENCE_ANY(NULL, &at, size);
}

aw_result
host_key_reference_read(const char *pem, size_t size, char **uri)
{
    if (memmem(pem, size, "BEGIN " LABEL, strlen("BEGIN " LABEL)) == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "the file names no key in a token");
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(pem, (int)size);
    if (bio == NULL)
        return aw_fail_memory();
    AW_CLEANUP(free_parts) ASN1_SEQUENCE_ANY *parts = read_parts(bio);
    const ASN1_TYPE *part = sk_ASN1_TYPE_num(parts) == 2 ? sk_ASN1_TYPE_value(parts, 1) : NULL;
    if (part == NULL || part->type != V_ASN1_UTF8STRING)
        return aw_fail_openssl("the file names no key in a token that can be read");
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_TRY(aw_format(&text, "%.*s", ASN1_STRING_length(part->value.utf8string),
        (const char *)ASN1_STRING_get0_data(part->value.utf8string)));
    return host_key_uri_check(text, uri);
}

aw_result
host_key_reference_of(const char *path, char **uri)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL; /* it may be a key after all */
    AW_CLEANUP(aw_close) int fd = -1;

    AW_TRY(aw_secret_new(FILE_MAX, &text));
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || !aw_ok(aw_fd_read_secret(fd, text)))
        return aw_fail(AW_CODE_NOT_FOUND, "%s names no key in a token", path);
    return host_key_reference_read((const char *)text->data, text->size, uri);
}
