#include "admin/foreign_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "common/openssl.h"
#include "common/secret.h"

enum { FILE_MAX = 32 * 1024, NUMBER_MAX = 2048 };

static aw_result
read_file(const char *path, struct admin_foreign_file *file, aw_secret **out)
{
    AW_TRY(aw_secret_new(FILE_MAX, out));
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file->fd < 0 || fstat(file->fd, &file->read) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", path);
    return aw_context(aw_fd_read_secret(file->fd, *out), "%s", path);
}

void
admin_foreign_file_close(struct admin_foreign_file *file)
{
    aw_close(&file->fd);
}

/* JWK (RFC 7517, RFC 7518 6). */

/* Numbers of a key that OpenSSL's builder borrows until it has built. */
enum { NUMBERS_MAX = 8 };

struct numbers {
    BIGNUM *items[NUMBERS_MAX];
    size_t count;
};

static void
numbers_free(struct numbers *numbers)
{
    for (size_t i = 0; i < numbers->count; i++)
        BN_clear_free(numbers->items[i]);
}

static aw_result
decode(const cJSON *jwk, const char *name, uint8_t octets[NUMBER_MAX], size_t *size)
{
    const char *text = NULL;

    AW_TRY(aw_json_string(jwk, name, AW_B64URL_LENGTH(NUMBER_MAX), &text));
    return aw_context(aw_b64url_decode(text, strlen(text), octets, NUMBER_MAX, size), "%s", name);
}

static aw_result
push_number(const cJSON *jwk, const char *name, const char *param, struct numbers *numbers,
    OSSL_PARAM_BLD *builder)
{
    uint8_t octets[NUMBER_MAX];
    size_t size = 0;
    aw_result r = decode(jwk, name, octets, &size);
    BIGNUM *number = aw_ok(r) ? BN_secure_new() : NULL;

    if (number != NULL)
        numbers->items[numbers->count++] = number;
    bool pushed = number != NULL && BN_bin2bn(octets, (int)size, number) != NULL &&
                  OSSL_PARAM_BLD_push_BN(builder, param, number) == 1;
    OPENSSL_cleanse(octets, sizeof(octets));
    AW_TRY(r);
    return pushed ? AW_OK : aw_fail_openssl("%s of the key", name);
}

static aw_result
push_rsa(const cJSON *jwk, struct numbers *numbers, OSSL_PARAM_BLD *builder)
{
    static const char *const rows[][2] = {{"n", OSSL_PKEY_PARAM_RSA_N},
        {"e", OSSL_PKEY_PARAM_RSA_E}, {"d", OSSL_PKEY_PARAM_RSA_D},
        {"p", OSSL_PKEY_PARAM_RSA_FACTOR1}, {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
        {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1}, {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
        {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        AW_TRY(push_number(jwk, rows[i][0], rows[i][1], numbers, builder));
    return AW_OK;
}

/* The point as OpenSSL wants it: uncompressed (SEC 1 2.3.3). */
static aw_result
push_ec(
    const cJSON *jwk, uint8_t point[2 * 66 + 1], struct numbers *numbers, OSSL_PARAM_BLD *builder)
{
    const char *curve = NULL;
    uint8_t octets[NUMBER_MAX];
    size_t width = 0, size = 0;

    AW_TRY(aw_json_string(jwk, "crv", 8, &curve));
    width = strcmp(curve, "P-256") == 0 ? 32 : strcmp(curve, "P-384") == 0 ? 48 : 0;
    if (width == 0)
        return aw_fail(AW_CODE_UNSUPPORTED, "the key is on %s, not P-256 or P-384", curve);
    point[0] = 0x04;
    for (size_t i = 0; i < 2; i++) {
        AW_TRY(decode(jwk, i == 0 ? "x" : "y", octets, &size));
        if (size != width)
            return aw_fail(AW_CODE_SYNTAX, "a coordinate has %zu octets", size);
        memcpy(point + 1 + i * width, octets, width);
    }
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * width) !=
            1)
        return aw_fail_openssl("the public key");
    return push_number(jwk, "d", OSSL_PKEY_PARAM_PRIV_KEY, numbers, builder);
}

static aw_result
build(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **out)
{
    AW_CLEANUP(aw_params_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    AW_CLEANUP(aw_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, out, EVP_PKEY_KEYPAIR, params) != 1)
        return aw_fail_openssl("the JWK is no valid %s key", type);
    return AW_OK;
}

static aw_result
read_jwk(const aw_secret *text, EVP_PKEY **out)
{
    AW_CLEANUP(aw_json_free) cJSON *jwk = NULL;
    AW_CLEANUP(aw_param_builder_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    AW_CLEANUP(numbers_free) struct numbers numbers = {.count = 0};
    uint8_t point[2 * 66 + 1];
    const char *type = NULL;

    if (builder == NULL)
        return aw_fail_memory();
    AW_TRY(aw_json_parse((const char *)text->data, text->size, AW_JSON_TOLERANT, &jwk));
    AW_TRY(aw_json_string(jwk, "kty", 8, &type));
    if (strcmp(type, "RSA") == 0) {
        AW_TRY(push_rsa(jwk, &numbers, builder));
        return build("RSA", builder, out);
    }
    if (strcmp(type, "EC") != 0)
        return aw_fail(AW_CODE_UNSUPPORTED, "the key is of type %s, not RSA or EC", type);
    AW_TRY(push_ec(jwk, point, &numbers, builder));
    return build("EC", builder, out);
}

/* PEM. */

static aw_result
read_pem(const aw_secret *text, EVP_PKEY **out)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(text->data, (int)text->size);

    *out = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, aw_no_passphrase, NULL);
    if (*out == NULL)
        return aw_hint(aw_fail_openssl("it holds no private key in PEM form"),
            "an encrypted one: openssl pkey -in FILE -out PLAIN, on a memory file system");
    return AW_OK;
}

aw_result
admin_foreign_key_read(
    const char *path, struct admin_foreign_file *file, EVP_PKEY **out, const char **kind)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;
    size_t skip = 0;

    AW_TRY(read_file(path, file, &text));
    while (skip < text->size && strchr(" \t\r\n", text->data[skip]) != NULL)
        skip++;
    bool json = skip < text->size && text->data[skip] == '{';
    *kind = json ? "JWK" : "PEM";
    return aw_hint(aw_context(json ? read_jwk(text, out) : read_pem(text, out), "%s", path),
        "expected certbot's private_key.json, or the PEM account key of lego, uacme or acme.sh");
}

/* What is left beside it. */

aw_result
admin_foreign_eab_find(const char *key_file, char **out)
{
    static const char name[] = "CA_EAB_HMAC_KEY=";
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;
    AW_CLEANUP(admin_foreign_file_close) struct admin_foreign_file file = {.fd = -1};
    const char *slash = strrchr(key_file, '/');

    *out = NULL;
    AW_TRY(aw_format(
        &path, "%.*s%s", slash == NULL ? 0 : (int)(slash - key_file + 1), key_file, "ca.conf"));
    if (access(path, F_OK) != 0)
        return AW_OK;
    AW_TRY(read_file(path, &file, &text));
    if (memmem(text->data, text->size, name, strlen(name)) != NULL)
        *out = AW_MOVE(path);
    return AW_OK;
}

/* Destroying. */

static aw_result
overwrite(int fd, off_t size)
{
    static const char zeros[4096];

    for (off_t done = 0; done < size; done += (off_t)sizeof(zeros)) {
        size_t left = (size_t)(size - done);
        AW_TRY(aw_fd_write(fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros)));
    }
    return fsync(fd) == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't write through");
}

/* Open since it was read, its number is nobody else's. */
static aw_result
check_same(const char *path, const struct stat *found, const struct admin_foreign_file *file)
{
    const struct stat *read = &file->read;

    if (found->st_dev == read->st_dev && found->st_ino == read->st_ino &&
        found->st_size == read->st_size && found->st_mtim.tv_sec == read->st_mtim.tv_sec &&
        found->st_mtim.tv_nsec == read->st_mtim.tv_nsec)
        return AW_OK;
    return aw_fail(AW_CODE_MISMATCH,
        "%s is not what the key was read from any more, and was left as it is", path);
}

/* To write. uacme leaves 0400, which keeps even its owner from that. */
static int
open_again(const char *path, int file)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;

    if (fd >= 0 || errno != EACCES || fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return fd;
    (void)fchmod(file, S_IRUSR | S_IWUSR); /* else opening it tells */
    return open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
}

aw_result
admin_foreign_key_destroy(const char *path, const struct admin_foreign_file *file)
{
    AW_CLEANUP(aw_close) int fd = open_again(path, file->fd);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s to destroy it", path);
    if (!S_ISREG(status.st_mode))
        return aw_fail(AW_CODE_IO, "%s is no regular file", path);
    AW_TRY(check_same(path, &status, file));
    AW_TRY(aw_context(overwrite(fd, status.st_size), "%s", path));
    if (unlink(path) != 0)
        return aw_fail_errno(AW_CODE_IO, "%s was overwritten, but can't be removed", path);
    return aw_folder_sync_of(path);
}
