#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "common/io.h"
#include "csr/csr.h"

/* What a PEM block is to be. */
struct wanted {
    bool (*is)(const char *name);
    const char *text;
};

/* Both names are in use (RFC 7468 section 7). */
static bool
is_request(const char *name)
{
    return strcmp(name, "CERTIFICATE REQUEST") == 0 || strcmp(name, "NEW CERTIFICATE REQUEST") == 0;
}

static bool
is_certificate(const char *name)
{
    return strcmp(name, "CERTIFICATE") == 0;
}

static aw_result
copy(const uint8_t *bytes, size_t size, uint8_t **der, size_t *der_size)
{
    *der = malloc(size + 1);
    if (*der == NULL)
        return aw_fail_memory();
    memcpy(*der, bytes, size);
    *der_size = size;
    return AW_OK;
}

static aw_result
from_pem(BIO *bio, const struct wanted *wanted, uint8_t **der, size_t *der_size)
{
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long length = 0;
    aw_result r = AW_OK;

    if (PEM_read_bio(bio, &name, &header, &data, &length) != 1)
        r = aw_openssl_lacked_memory()
                ? aw_fail_memory()
                : aw_fail(AW_CODE_SYNTAX, "found neither DER nor a whole PEM block of a %s",
                      wanted->text);
    else if (!wanted->is(name))
        r = aw_fail(
            AW_CODE_SYNTAX, "found a PEM block \"%.60s\", expected a %s", name, wanted->text);
    else
        r = copy(data, (size_t)length, der, der_size);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return r;
}

static aw_result
from_text(
    const char *text, size_t size, const struct wanted *wanted, uint8_t **der, size_t *der_size)
{
    if (size > 0 && (uint8_t)text[0] == 0x30) /* SEQUENCE: DER, which no PEM text begins with */
        return copy((const uint8_t *)text, size, der, der_size);
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    if (bio == NULL)
        return aw_fail_memory();
    aw_result r = from_pem(bio, wanted, der, der_size);
    BIO_free(bio);
    return r;
}

aw_result
csr_from_text(const char *text, size_t size, uint8_t **der, size_t *der_size)
{
    return from_text(
        text, size, &(struct wanted){is_request, "CERTIFICATE REQUEST"}, der, der_size);
}

aw_result
certificate_from_text(const char *text, size_t size, uint8_t **der, size_t *der_size)
{
    return from_text(text, size, &(struct wanted){is_certificate, "CERTIFICATE"}, der, der_size);
}
