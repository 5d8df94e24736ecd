#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tests/faults/mock_rules.h"

static void
path_of(const struct softhsm *h, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", h->root, name);
}

void
mock_make(struct softhsm *h)
{
    char path[128];

    softhsm_make(h);
    h->config.module = MOCK_MODULE;
    mock_rules(h, "%s", "");
    path_of(h, "rules", path);
    setenv(MOCK_RULES, path, 1);
    path_of(h, "calls", path);
    setenv(MOCK_CALLS, path, 1);
}

void
mock_rules(const struct softhsm *h, const char *format, ...)
{
    static _Atomic long serial; /* no two files of rules are of the same time */
    char path[128], new[128], text[2048];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert_in_range(length, 0, sizeof(text) - 1);
    path_of(h, "rules", path);
    path_of(h, "rules.new", new);
    int fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, (size_t)length), length);
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1 + ++serial}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    assert_int_equal(rename(new, path), 0);
}

unsigned
mock_calls(const struct softhsm *h, const char *function)
{
    char path[128], line[64];
    unsigned count = 0;

    path_of(h, "calls", path);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        count += strcmp(line, function) == 0;
    }
    if (file != NULL)
        fclose(file);
    return count;
}

void
mock_forget_calls(const struct softhsm *h)
{
    char path[128];

    path_of(h, "calls", path);
    if (truncate(path, 0) != 0)
        return; /* nothing was called yet */
}

unsigned
mock_objects(void)
{
    CK_FUNCTION_LIST *f = softhsm_functions();
    CK_SESSION_HANDLE session = softhsm_session();
    CK_OBJECT_HANDLE objects[64];
    CK_ULONG count = 0;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template = {CKA_TOKEN, &yes, sizeof(yes)};

    assert_int_equal(f->C_FindObjectsInit(session, &template, 1), CKR_OK);
    assert_int_equal(f->C_FindObjects(session, objects, 64, &count), CKR_OK);
    assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
    assert_int_equal(f->C_CloseSession(session), CKR_OK);
    return (unsigned)count;
}

/* r || s (RFC 7518 3.4) as OpenSSL wants it; anything else stays. */
static size_t
to_der(EVP_PKEY *key, const uint8_t *signature, size_t length, uint8_t out[TOKEN_SIGNATURE_MAX])
{
    unsigned char *at = out;

    memcpy(out, signature, length);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
        return length;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    assert_int_equal(ECDSA_SIG_set0(pair, BN_bin2bn(signature, (int)length / 2, NULL),
                         BN_bin2bn(signature + length / 2, (int)length / 2, NULL)),
        1);
    int size = i2d_ECDSA_SIG(pair, &at);
    ECDSA_SIG_free(pair);
    assert_true(size > 0);
    return (size_t)size;
}

bool
mock_verifies(
    const token_key *key, const void *input, size_t size, const uint8_t *signature, size_t length)
{
    const uint8_t *spki;
    size_t spki_size;
    uint8_t der[TOKEN_SIGNATURE_MAX];

    token_key_spki(key, &spki, &spki_size);
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &spki, (long)spki_size);
    assert_non_null(public_key);
    size_t der_size = to_der(public_key, signature, length, der);
    const EVP_MD *digest =
        strcmp(token_key_algorithm(key), "ES384") == 0 ? EVP_sha384() : EVP_sha256();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, digest, NULL, public_key), 1);
    bool good = EVP_DigestVerify(context, der, der_size, input, size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public_key);
    return good;
}
