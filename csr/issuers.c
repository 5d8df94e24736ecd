/* The pinned issuers themselves: read from PEM, kept as DER. */
#include "csr/issuers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "csr/csr.h"

struct issuer {
    uint8_t *der;
    size_t size;
    char digest[AW_DIGEST_HEX_SIZE];
    char subject[256];
    int64_t not_after;
};

struct issuers {
    atomic_uint owners;
    struct issuer items[ISSUERS_MAX];
    size_t count;
};

/* One block of a PEM file. */
struct block {
    char *name, *header;
    unsigned char *data;
    long size;
};

static void
release_block(struct block *block)
{
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    OPENSSL_clear_free(block->data, block->size > 0 ? (size_t)block->size : 0);
}

static aw_result
take_subject(const X509 *x509, struct issuer *out)
{
    AW_CLEANUP(aw_bio_free) BIO *text = BIO_new(BIO_s_mem());

    if (text == NULL ||
        X509_NAME_print_ex(text, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253) < 0)
        return aw_fail_openssl("the subject");
    int length = BIO_read(text, out->subject, sizeof(out->subject) - 1);
    out->subject[length > 0 ? length : 0] = '\0';
    return AW_OK;
}

static aw_result
take_dates(const X509 *x509, struct issuer *out)
{
    struct tm parts;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(x509), &parts) != 1)
        return aw_fail(AW_CODE_CONFIG, "its notAfter is no time");
    out->not_after = (int64_t)timegm(&parts);
    return AW_OK;
}

/* 1: a certificate of version 3 that says it is a CA. A leaf that is pinned would vouch for itself.
 */
static aw_result
check_is_ca(X509 *x509)
{
    if (X509_check_ca(x509) == 1 && (X509_get_key_usage(x509) & KU_KEY_CERT_SIGN) != 0)
        return AW_OK;
    ERR_clear_error();
    return aw_fail(AW_CODE_CONFIG, "it is no CA's certificate (basicConstraints, keyUsage)");
}

static aw_result
read_certificate(const struct block *block, struct issuer *out)
{
    const unsigned char *at = block->data;
    AW_CLEANUP(aw_x509_free) X509 *x509 = d2i_X509(NULL, &at, block->size);
    uint8_t digest[AW_DIGEST_SIZE];

    if (x509 == NULL || at != block->data + block->size) {
        ERR_clear_error();
        return aw_fail(AW_CODE_CONFIG, "it can't be read as a certificate");
    }
    AW_TRY(check_is_ca(x509));
    AW_TRY(take_subject(x509, out));
    AW_TRY(take_dates(x509, out));
    if (EVP_Q_digest(NULL, "SHA256", NULL, block->data, (size_t)block->size, digest, NULL) != 1)
        return aw_fail_openssl("SHA-256");
    aw_hex(digest, sizeof(digest), out->digest);
    out->size = (size_t)block->size;
    out->der = malloc(out->size);
    if (out->der == NULL)
        return aw_fail_memory();
    memcpy(out->der, block->data, out->size);
    return AW_OK;
}

static aw_result
add_block(const struct block *block, issuers *list)
{
    struct issuer *place = &list->items[list->count];

    if (strcmp(block->name, PEM_STRING_X509) != 0)
        return aw_hint(aw_fail(AW_CODE_CONFIG,
                           "found a block \"%.40s\", expected only certificates", block->name),
            "the file is read by the signer and needs nothing secret");
    if (list->count == ISSUERS_MAX)
        return aw_fail(AW_CODE_CONFIG, "more than %d certificates", ISSUERS_MAX);
    list->count++; /* what a failure leaves there is released with the list */
    AW_TRY(aw_context(read_certificate(block, place), "certificate %zu", list->count));
    for (size_t i = 0; i + 1 < list->count; i++)
        if (strcmp(list->items[i].digest, place->digest) == 0)
            return aw_fail(
                AW_CODE_CONFIG, "certificates %zu and %zu are the same", i + 1, list->count);
    return AW_OK;
}

static bool
next_block(BIO *bio, struct block *out)
{
    return PEM_read_bio(bio, &out->name, &out->header, &out->data, &out->size) == 1;
}

static aw_result
read_blocks(const char *text, size_t size, issuers *list)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(text, (int)size);

    if (bio == NULL)
        return aw_fail_memory();
    for (;;) {
        AW_CLEANUP(release_block) struct block block = {0};

        if (!next_block(bio, &block))
            break;
        AW_TRY(add_block(&block, list));
    }
    unsigned long error = ERR_peek_last_error();
    ERR_clear_error();
    if (ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return aw_fail(AW_CODE_CONFIG, "what follows certificate %zu is no PEM", list->count);
    return list->count > 0 ? AW_OK : aw_fail(AW_CODE_CONFIG, "there is no certificate in it");
}

static aw_result
read_file(const char *path, issuers *list)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    AW_TRY(aw_file_read(path, ISSUERS_FILE_MAX, &text, &size));
    return aw_context(read_blocks(text, size, list), "%s", path);
}

aw_result
issuers_load(const char *path, issuers **out)
{
    AW_CLEANUP(issuers_release) issuers *list = calloc(1, sizeof(*list));

    *out = NULL;
    if (list == NULL)
        return aw_fail_memory();
    atomic_init(&list->owners, 1);
    aw_result r = read_file(path, list);
    if (!aw_ok(r) && r.code != AW_CODE_MEMORY && r.code != AW_CODE_CONFIG) {
        struct aw_error error;
        aw_error_save(&error);
        error.code = AW_CODE_CONFIG;
        return aw_error_restore(&error);
    }
    AW_TRY(r);
    *out = AW_MOVE(list);
    return AW_OK;
}

issuers *
issuers_retain(issuers *list)
{
    if (list != NULL)
        atomic_fetch_add(&list->owners, 1);
    return list;
}

void
issuers_release(issuers **slot)
{
    issuers *list = *slot;

    *slot = NULL;
    if (list == NULL || atomic_fetch_sub(&list->owners, 1) > 1)
        return;
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].der);
    free(list);
}

size_t
issuers_count(const issuers *list)
{
    return list == NULL ? 0 : list->count;
}

struct issuers_item
issuers_item(const issuers *list, size_t index)
{
    const struct issuer *item = &list->items[index];

    return (struct issuers_item){
        item->der, item->size, item->digest, item->subject, item->not_after};
}

/* The set of a configuration. */

static void
warn_of_dates(const struct aw_config *config, const struct aw_config_ca *ca, const issuers *list,
    struct aw_faults *warnings)
{
    int64_t now = (int64_t)time(NULL);

    for (size_t i = 0; i < issuers_count(list); i++)
        if (list->items[i].not_after < now)
            aw_faults_add(warnings, config->file, ca->place.line, ca->place.column,
                "issuers of %s: %.200s has expired: nothing below it is verified any more",
                ca->name, list->items[i].subject);
}

static aw_result
load_one(const struct aw_config *config, const struct aw_config_ca *ca, struct aw_faults *faults,
    struct aw_faults *warnings, issuers **out)
{
    if (ca->issuers == NULL) {
        aw_faults_add(warnings, config->file, ca->place.line, ca->place.column,
            "CA %s has no issuers: certificates that are handed back are not verified, the "
            "inventory holds what clients say, and the first to hand back a serial number may name "
            "it in \"replaces\"",
            ca->name);
        return AW_OK;
    }
    aw_result r = issuers_load(ca->issuers, out);
    if (r.code == AW_CODE_CONFIG) {
        aw_faults_add(faults, config->file, ca->place.line, ca->place.column, "issuers of %s: %s",
            ca->name, aw_error_last()->message);
        return AW_OK;
    }
    AW_TRY(r);
    warn_of_dates(config, ca, *out, warnings);
    return AW_OK;
}

aw_result
issuers_set_load(const struct aw_config *config, struct aw_faults *faults,
    struct aw_faults *warnings, struct issuers_set *out)
{
    AW_CLEANUP(issuers_set_free)
    struct issuers_set set = {.items = calloc(config->ca_count + 1, sizeof(issuers *))};

    *out = (struct issuers_set){0};
    if (set.items == NULL)
        return aw_fail_memory();
    set.count = config->ca_count;
    for (size_t i = 0; i < set.count; i++)
        AW_TRY(load_one(config, &config->cas[i], faults, warnings, &set.items[i]));
    *out = set;
    set = (struct issuers_set){0};
    return AW_OK;
}

void
issuers_set_free(struct issuers_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        issuers_release(&set->items[i]);
    free(set->items);
    *set = (struct issuers_set){0};
}
