/* Keys of certificates; they are made here and leave this process only for the disk. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "client/chain.h"
#include "common/io.h"
#include "common/openssl.h"

/* Octets of a private key's file; RSA-4096 takes 3,300. */
enum { KEY_FILE_MAX = 32 * 1024 };

const char *const chain_key_types[] = {
    "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096", NULL};

/* How OpenSSL calls them: a curve (its name, and as a key tells it), or a number of bits. */
static const struct key_form {
    const char *type;
    const char *curve;
    const char *group;
    size_t bits;
} forms[] = {
    {"ec-p256", "P-256", "prime256v1", 0},
    {"ec-p384", "P-384", "secp384r1", 0},
    {"rsa-2048", NULL, NULL, 2048},
    {"rsa-3072", NULL, NULL, 3072},
    {"rsa-4096", NULL, NULL, 4096},
};

aw_result
chain_key_generate(OSSL_LIB_CTX *libctx, const char *type, EVP_PKEY **out)
{
    *out = NULL;
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        if (strcmp(forms[i].type, type) != 0)
            continue;
        if (forms[i].curve != NULL)
            *out = EVP_PKEY_Q_keygen(libctx, NULL, "EC", forms[i].curve);
        else
            *out = EVP_PKEY_Q_keygen(libctx, NULL, "RSA", forms[i].bits);
        return *out == NULL ? aw_fail_openssl("can't make a key of type %s", type) : AW_OK;
    }
    return aw_hint(aw_fail(AW_CODE_USAGE, "\"%s\" is not a key type", type),
        "expected ec-p256, ec-p384, rsa-2048, rsa-3072 or rsa-4096");
}

/* NULL: of another type. */
static const char *
find_type(const EVP_PKEY *key)
{
    char group[64] = "";
    bool ec = EVP_PKEY_is_a(key, "EC") == 1;
    bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;

    if (ec && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
        return NULL;
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        if (ec && forms[i].group != NULL && strcmp(forms[i].group, group) == 0)
            return forms[i].type;
        if (rsa && forms[i].bits != 0 && (size_t)EVP_PKEY_get_bits(key) == forms[i].bits)
            return forms[i].type;
    }
    return NULL;
}

/* Looked at twice: OpenSSL may just lack memory for a moment. */
const char *
chain_key_type(const EVP_PKEY *key)
{
    const char *type = find_type(key);

    if (type == NULL)
        type = find_type(key);
    return type == NULL ? "other" : type;
}

void
chain_key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

aw_result
chain_key_pem(EVP_PKEY *key, aw_secret **out)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    /* A memory BIO wipes its buffer when it grows and when it is released. */
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;

    if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return aw_fail_openssl("can't write the key as PEM");
    long size = BIO_get_mem_data(bio, &text);
    if (size <= 0)
        return aw_fail_openssl("can't write the key as PEM");
    AW_TRY(aw_secret_new((size_t)size, &secret));
    AW_TRY(aw_secret_append(secret, text, (size_t)size));
    *out = AW_MOVE(secret);
    return AW_OK;
}

/* The label of such a file (hostkey/reference.c). */
static const char reference[] = "-----BEGIN PKCS#11 PROVIDER URI-----";

aw_result
chain_key_file_read(const char *path, const char *name, aw_secret **out)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    struct stat st;

    AW_CLEANUP(aw_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", name);
    if ((st.st_mode & 0007) != 0)
        return aw_hint(aw_fail(AW_CODE_PERMISSION, "%s has mode %04o: everybody may use it", name,
                           (unsigned)st.st_mode & 07777),
            "chmod o= %s; who could read it until now may have a copy: a new key is better", path);
    AW_TRY(aw_secret_new(KEY_FILE_MAX, &secret));
    AW_TRY(aw_fd_read_secret(fd, secret));
    if (memmem(secret->data, secret->size, reference, strlen(reference)) != NULL)
        return aw_fail(AW_CODE_UNSUPPORTED, "%s stands for a key that is in a token", name);
    *out = AW_MOVE(secret);
    return AW_OK;
}

aw_result
chain_key_read(const char *path, const char *name, EVP_PKEY **out)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;

    AW_TRY(chain_key_file_read(path, name, &secret));
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(secret->data, (int)secret->size);
    *out = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, aw_no_passphrase, NULL);
    return *out == NULL ? aw_fail_openssl("%s holds no readable key", name) : AW_OK;
}
