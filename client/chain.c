/*
 * What a CA sent as a certificate (attack 109). The text is scanned before OpenSSL sees it: its PEM
 * reader looks past whatever stands between the blocks, and a file that holds our private key is
 * written beside this one.
 */
#include "client/chain.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/io.h"
#include "common/log.h"
#include "common/openssl.h"

static const char begin_mark[] = "-----BEGIN CERTIFICATE-----";
static const char end_mark[] = "-----END CERTIFICATE-----";
static const char white[] = " \t\r";
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t";

/* One line of the text, without its end and the white space before that. */
struct line {
    const char *text;
    size_t length;
    unsigned number;
};

static bool
next_line(const char **rest, size_t *left, struct line *line)
{
    if (*left == 0)
        return false;
    const char *end = memchr(*rest, '\n', *left);
    size_t length = end == NULL ? *left : (size_t)(end - *rest);

    line->text = *rest;
    line->length = length;
    line->number++;
    *rest += end == NULL ? length : length + 1;
    *left -= end == NULL ? length : length + 1;
    while (line->length > 0 && strchr(white, line->text[line->length - 1]) != NULL &&
           line->text[line->length - 1] != '\0')
        line->length--;
    return true;
}

static bool
is_line(const struct line *line, const char *mark)
{
    return line->length == strlen(mark) && memcmp(line->text, mark, line->length) == 0;
}

static aw_result
refuse_line(const struct line *line)
{
    static const char begin[] = "-----BEGIN ";
    char shown[64];

    aw_log_escape(line->text, line->length, shown, sizeof(shown));
    if (line->length > strlen(begin) && memcmp(line->text, begin, strlen(begin)) == 0)
        return aw_fail(AW_CODE_MISMATCH,
            "line %u begins a foreign block, \"%s\"; expected certificates only", line->number,
            shown);
    return aw_fail(
        AW_CODE_MISMATCH, "line %u, \"%s\", is no part of a certificate", line->number, shown);
}

static bool
only_of(const struct line *line, const char *allowed)
{
    for (size_t i = 0; i < line->length; i++)
        if (line->text[i] == '\0' || strchr(allowed, line->text[i]) == NULL)
            return false;
    return true;
}

/* Only white space outside of blocks, only base64 inside: no headers, no other blocks. */
static aw_result
scan(const char *pem, size_t size)
{
    struct line line = {0};
    bool inside = false;

    while (next_line(&pem, &size, &line)) {
        if (!inside && is_line(&line, begin_mark))
            inside = true;
        else if (inside && is_line(&line, end_mark))
            inside = false;
        else if (!only_of(&line, inside ? base64 : white))
            return refuse_line(&line);
    }
    if (inside)
        return aw_fail(AW_CODE_SYNTAX, "it ends inside a certificate");
    return AW_OK;
}

static void
free_openssl(void *pointer_to_pointer)
{
    OPENSSL_free(*(void **)pointer_to_pointer);
}

/* A library without any algorithm: there is no decoder to be looked for. Kept until the end; NULL,
 * for want of memory, is the one with all. */
static OSSL_LIB_CTX *bare;
static pthread_once_t bare_once = PTHREAD_ONCE_INIT;

static void
make_bare(void)
{
    bare = OSSL_LIB_CTX_new();
    if (bare != NULL && OSSL_PROVIDER_load(bare, "null") == NULL) {
        OSSL_LIB_CTX_free(bare);
        bare = NULL;
    }
    ERR_clear_error();
}

/* @param[out] out NULL at the end */
static aw_result
read_block(BIO *bio, OSSL_LIB_CTX *libctx, size_t index, X509 **out)
{
    AW_CLEANUP(free_openssl) char *name = NULL;
    AW_CLEANUP(free_openssl) char *header = NULL;
    AW_CLEANUP(free_openssl) unsigned char *der = NULL;
    long size = 0;

    *out = NULL;
    ERR_clear_error();
    if (PEM_read_bio(bio, &name, &header, &der, &size) != 1) {
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
            return aw_context(aw_fail_openssl("can't decode it"), "certificate %zu", index + 1);
        ERR_clear_error();
        return AW_OK;
    }
    const unsigned char *next = der;
    X509 *certificate = X509_new_ex(libctx, NULL);
    if (certificate == NULL)
        return aw_fail_memory();
    if (d2i_X509(&certificate, &next, size) == NULL) /* which has released it */
        return aw_context(aw_fail_openssl("can't parse it"), "certificate %zu", index + 1);
    if (next != der + size) {
        X509_free(certificate);
        return aw_fail(AW_CODE_SYNTAX, "certificate %zu: octets behind its end", index + 1);
    }
    *out = certificate;
    return AW_OK;
}

static aw_result
read_blocks(BIO *bio, OSSL_LIB_CTX *libctx, struct chain *chain)
{
    X509 *certificate = NULL;

    for (;;) {
        AW_TRY(read_block(bio, libctx, chain->count, &certificate));
        if (certificate == NULL)
            break;
        if (chain->count == CHAIN_CERTIFICATES_MAX) {
            X509_free(certificate);
            return aw_fail(
                AW_CODE_LIMIT, "more than %d certificates in the chain", CHAIN_CERTIFICATES_MAX);
        }
        chain->certificates[chain->count++] = certificate;
    }
    return chain->count == 0 ? aw_fail(AW_CODE_SYNTAX, "there is no certificate in it") : AW_OK;
}

static aw_result
read_with(OSSL_LIB_CTX *libctx, const char *pem, size_t size, struct chain *out)
{
    AW_CLEANUP(chain_free) struct chain chain = {0};

    if (size > CHAIN_PEM_MAX)
        return aw_fail(
            AW_CODE_LIMIT, "the chain has %zu octets, at most %d expected", size, CHAIN_PEM_MAX);
    AW_TRY(scan(pem, size));
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(pem, (int)size);
    if (bio == NULL)
        return aw_fail_memory();
    AW_TRY(read_blocks(bio, libctx, &chain));
    *out = chain;
    chain.count = 0;
    return AW_OK;
}

aw_result
chain_read(const char *pem, size_t size, struct chain *out)
{
    return read_with(NULL, pem, size, out);
}

aw_result
chain_read_bare(const char *pem, size_t size, struct chain *out)
{
    pthread_once(&bare_once, make_bare);
    return read_with(bare, pem, size, out);
}

static void
subject_text(const X509 *certificate, char *out, size_t capacity)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    out[0] = '\0';
    if (bio == NULL ||
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0)
        return;
    long size = BIO_get_mem_data(bio, &text);
    if (size > 0)
        aw_log_escape(text, (size_t)size, out, capacity);
}

static aw_result
check_link(const struct chain *chain, size_t index)
{
    X509 *lower = chain->certificates[index], *upper = chain->certificates[index + 1];
    char lower_text[128], upper_text[128];

    if (X509_check_ca(upper) != 0 && X509_check_issued(upper, lower) == X509_V_OK &&
        X509_verify(lower, X509_get0_pubkey(upper)) == 1)
        return AW_OK;
    ERR_clear_error();
    subject_text(lower, lower_text, sizeof(lower_text));
    subject_text(upper, upper_text, sizeof(upper_text));
    return aw_fail(AW_CODE_MISMATCH,
        "certificate %zu of the chain (\"%s\") did not sign certificate %zu (\"%s\")", index + 2,
        upper_text, index + 1, lower_text);
}

static aw_result
check_names(const struct chain_leaf *leaf, const struct aw_name *names, size_t count)
{
    size_t i = 0, j = 0;

    while (i < leaf->name_count || j < count) {
        int order = i == leaf->name_count ? 1
                    : j == count          ? -1
                                          : aw_name_compare(&leaf->names[i], &names[j]);
        if (order < 0)
            return aw_fail(AW_CODE_MISMATCH, "the certificate holds %s, which was not ordered",
                leaf->names[i].text);
        if (order > 0)
            return aw_fail(AW_CODE_MISMATCH, "the certificate does not hold %s, which was ordered",
                names[j].text);
        i++;
        j++;
    }
    return AW_OK;
}

static aw_result
check_dates(const struct chain_leaf *leaf)
{
    int64_t now = (int64_t)time(NULL);
    char date[32];

    if (leaf->not_before > now + CHAIN_CLOCK_SKEW_S) {
        aw_time_text(leaf->not_before, date);
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "the certificate is valid only from %s on", date),
            "is this host's clock right?");
    }
    if (leaf->not_after < now - CHAIN_CLOCK_SKEW_S) {
        aw_time_text(leaf->not_after, date);
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "the certificate expired at %s", date),
            "is this host's clock right?");
    }
    return AW_OK;
}

static aw_result
check_leaf(struct chain *chain, EVP_PKEY *key, const struct aw_name *names, size_t count)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};
    X509 *certificate = chain->certificates[0];
    EVP_PKEY *its_key = X509_get0_pubkey(certificate);

    if (its_key == NULL || EVP_PKEY_eq(its_key, key) != 1) {
        ERR_clear_error();
        return aw_fail(
            AW_CODE_MISMATCH, "the first certificate is not for the key that was ordered with");
    }
    if (X509_check_ca(certificate) != 0)
        return aw_fail(AW_CODE_MISMATCH, "the first certificate is one of a CA");
    AW_TRY(chain_leaf_read(certificate, &leaf));
    AW_TRY(check_names(&leaf, names, count));
    AW_TRY(check_dates(&leaf));
    memcpy(chain->serial, leaf.serial, sizeof(chain->serial));
    chain->not_before = leaf.not_before;
    chain->not_after = leaf.not_after;
    return AW_OK;
}

static aw_result
check_once(const char *pem, size_t size, EVP_PKEY *key, const struct aw_name *names, size_t count,
    struct chain *out)
{
    AW_CLEANUP(chain_free) struct chain chain = {0};

    AW_TRY(chain_read(pem, size, &chain));
    AW_TRY(check_leaf(&chain, key, names, count));
    for (size_t i = 0; i + 1 < chain.count; i++)
        AW_TRY(check_link(&chain, i));
    *out = chain;
    chain.count = 0;
    return AW_OK;
}

/* A doubt counts when it is had twice, with memory: OpenSSL that lacks some for a moment says of a
 * good certificate that its key or its names are none, and an order would be dropped for it. */
aw_result
chain_check(const char *pem, size_t size, EVP_PKEY *key, const struct aw_name *names, size_t count,
    struct chain *out)
{
    aw_result r = check_once(pem, size, key, names, count, out);

    if (!aw_ok(r) && r.code != AW_CODE_MEMORY)
        r = check_once(pem, size, key, names, count, out);
    return aw_ok(r) || !aw_openssl_lacked_memory() ? r : aw_fail_memory();
}

aw_result
chain_pem(const struct chain *chain, size_t first, size_t count, char **out)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio == NULL)
        return aw_fail_memory();
    for (size_t i = first; i < chain->count && i - first < count; i++)
        if (PEM_write_bio_X509(bio, chain->certificates[i]) != 1)
            return aw_fail_openssl("can't write a certificate as PEM");
    long size = BIO_get_mem_data(bio, &text);
    return aw_format(out, "%.*s", (int)size, size > 0 ? text : "");
}

aw_result
chain_der(const struct chain *chain, size_t index, uint8_t **der, size_t *size)
{
    int length = i2d_X509(chain->certificates[index], NULL);

    *der = length <= 0 ? NULL : malloc((size_t)length);
    if (*der == NULL)
        return aw_fail_openssl("can't encode a certificate");
    unsigned char *end = *der;
    *size = (size_t)i2d_X509(chain->certificates[index], &end);
    return AW_OK;
}

void
chain_free(struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        X509_free(chain->certificates[i]);
    memset(chain, 0, sizeof(*chain));
}
