#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "softhsm.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "rsa_pool.h"

static unsigned char so_pin[] = "so-pin-of-a-test";

CK_FUNCTION_LIST *
softhsm_functions(void)
{
    static CK_FUNCTION_LIST *functions;
    CK_C_GetFunctionList get;

    if (functions != NULL)
        return functions;
    void *library = dlopen(SOFTHSM_MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    assert_non_null(library);
    void *symbol = dlsym(library, "C_GetFunctionList");
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof(get));
    assert_int_equal(get(&functions), CKR_OK);
    dlclose(library);
    return functions;
}

static void
write_file(const char *path, const char *text, unsigned mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

void
softhsm_write_pin(struct softhsm *h, const char *text, unsigned mode)
{
    write_file(h->pin_path, text, mode);
}

/* The last slot is the one without a token. */
static CK_SLOT_ID
free_slot(CK_FUNCTION_LIST *f)
{
    CK_SLOT_ID slots[32];
    CK_ULONG count = 32;

    assert_int_equal(f->C_GetSlotList(CK_FALSE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        assert_int_equal(f->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if ((info.flags & CKF_TOKEN_INITIALIZED) == 0)
            return slots[i];
    }
    fail_msg("SoftHSM shows no free slot");
    return 0;
}

void
softhsm_add_token(struct softhsm *h, const char *label)
{
    CK_FUNCTION_LIST *f = softhsm_functions();
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_SESSION_HANDLE session;
    unsigned char padded[32];

    memset(padded, ' ', sizeof(padded));
    memcpy(padded, label, strlen(label));
    assert_int_equal(f->C_Initialize(&arguments), CKR_OK);
    CK_SLOT_ID slot = free_slot(f);
    assert_int_equal(f->C_InitToken(slot, so_pin, sizeof(so_pin) - 1, padded), CKR_OK);
    assert_int_equal(
        f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session), CKR_OK);
    assert_int_equal(f->C_Login(session, CKU_SO, so_pin, sizeof(so_pin) - 1), CKR_OK);
    assert_int_equal(f->C_InitPIN(session, (unsigned char *)h->pin, strlen(h->pin)), CKR_OK);
    assert_int_equal(f->C_Finalize(NULL), CKR_OK);
}

static void
make_pin(char pin[17])
{
    unsigned char random[8];

    assert_int_equal(RAND_bytes(random, sizeof(random)), 1);
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(pin + 2 * i, 3, "%02x", random[i]);
}

/* SoftHSM writes and syncs a file for each object: in memory, where there is such a folder, since
 * what a throw-away token loses with the power is of no concern. */
static void
make_root(char *root, size_t size)
{
    static const char *const folders[] = {"/dev/shm", "/tmp"};

    for (size_t i = 0; i < AW_COUNT(folders); i++) {
        snprintf(root, size, "%s/aw-softhsm-XXXXXX", folders[i]);
        if (mkdtemp(root) != NULL)
            return;
    }
    fail_msg("no folder for a token");
}

void
softhsm_make(struct softhsm *h)
{
    char path[128];
    char text[512];

    memset(h, 0, sizeof(*h));
    rsa_pool_use();
    make_root(h->root, sizeof(h->root));
    snprintf(path, sizeof(path), "%s/tokens", h->root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(text, sizeof(text),
        "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", path);
    snprintf(path, sizeof(path), "%s/softhsm2.conf", h->root);
    write_file(path, text, 0600);
    setenv("SOFTHSM2_CONF", path, 1);
    make_pin(h->pin);
    snprintf(h->pin_path, sizeof(h->pin_path), "%s/pin", h->root);
    snprintf(h->latch, sizeof(h->latch), "%s/latch", h->root);
    snprintf(h->uri, sizeof(h->uri), "pkcs11:token=test");
    snprintf(text, sizeof(text), "%s\n", h->pin);
    softhsm_write_pin(h, text, 0400);
    softhsm_add_token(h, "test");
    h->config = (struct token_config){.module = SOFTHSM_MODULE,
        .uri = h->uri,
        .pin_source = h->pin_path,
        .latch = h->latch,
        .sessions = 4,
        .timeout_ms = 10000};
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
softhsm_remove(struct softhsm *h)
{
    nftw(h->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

CK_SLOT_ID
softhsm_slot(const char *label)
{
    CK_FUNCTION_LIST *f = softhsm_functions();
    CK_SLOT_ID slots[32];
    CK_ULONG count = 32;

    assert_int_equal(f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        assert_int_equal(f->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if ((info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
            strncmp((const char *)info.label, label, strlen(label)) == 0)
            return slots[i];
    }
    fail_msg("no token %s", label);
    return 0;
}

CK_SESSION_HANDLE
softhsm_session(void)
{
    CK_SESSION_HANDLE session;

    assert_int_equal(softhsm_functions()->C_OpenSession(softhsm_slot("test"),
                         CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
        CKR_OK);
    return session;
}

CK_OBJECT_HANDLE
softhsm_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label)
{
    CK_FUNCTION_LIST *f = softhsm_functions();
    char text[64];
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ULONG count = 0;

    snprintf(text, sizeof(text), "%s", label);
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_LABEL, text, strlen(text)}};
    assert_int_equal(f->C_FindObjectsInit(session, template, 2), CKR_OK);
    assert_int_equal(f->C_FindObjects(session, &object, 1, &count), CKR_OK);
    assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
    return count == 1 ? object : CK_INVALID_HANDLE;
}

static void
put(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
    CK_OBJECT_HANDLE object;

    assert_int_equal(
        softhsm_functions()->C_CreateObject(session, template, count, &object), CKR_OK);
}

static void
put_ec(CK_SESSION_HANDLE session, const EVP_PKEY *key, CK_ATTRIBUTE *template, CK_ULONG count,
    bool bare)
{
    uint8_t point[256];
    size_t size;
    char curve[64];
    unsigned char *params = NULL, *wrapped = NULL;

    assert_int_equal(EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL), 1);
    int params_size = i2d_ASN1_OBJECT(OBJ_nid2obj(OBJ_sn2nid(curve)), &params);
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &size),
        1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(octets, point, (int)size), 1);
    int wrapped_size = i2d_ASN1_OCTET_STRING(octets, &wrapped);
    ASN1_OCTET_STRING_free(octets);
    template[count++] = (CK_ATTRIBUTE){CKA_EC_PARAMS, params, (CK_ULONG)params_size};
    template[count++] = bare ? (CK_ATTRIBUTE){CKA_EC_POINT, point, size}
                             : (CK_ATTRIBUTE){CKA_EC_POINT, wrapped, (CK_ULONG)wrapped_size};
    put(session, template, count);
    OPENSSL_free(params);
    OPENSSL_free(wrapped);
}

static void
put_rsa(CK_SESSION_HANDLE session, const EVP_PKEY *key, CK_ATTRIBUTE *template, CK_ULONG count)
{
    BIGNUM *n = NULL, *e = NULL;
    uint8_t modulus[2048], exponent[8];

    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e), 1);
    template[count++] = (CK_ATTRIBUTE){CKA_MODULUS, modulus, (CK_ULONG)BN_bn2bin(n, modulus)};
    template[count++] =
        (CK_ATTRIBUTE){CKA_PUBLIC_EXPONENT, exponent, (CK_ULONG)BN_bn2bin(e, exponent)};
    put(session, template, count);
    BN_free(n);
    BN_free(e);
}

void
softhsm_put_public_key(CK_SESSION_HANDLE session, const uint8_t *spki, size_t size, bool bare)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_BBOOL yes = CK_TRUE;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &spki, (long)size);

    assert_non_null(key);
    bool ec = EVP_PKEY_is_a(key, "EC");
    CK_KEY_TYPE type = ec ? CKK_EC : CKK_RSA;
    CK_ATTRIBUTE template[8] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_KEY_TYPE, &type, sizeof(type)}};
    if (ec)
        put_ec(session, key, template, 3, bare);
    else
        put_rsa(session, key, template, 3);
    EVP_PKEY_free(key);
}

void
softhsm_put_certificate(CK_SESSION_HANDLE session, const uint8_t *der, size_t size)
{
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_CERTIFICATE_TYPE type = CKC_X_509;
    CK_BBOOL yes = CK_TRUE;
    uint8_t subject[] = {0x30, 0}, value[8192];

    assert_true(size <= sizeof(value));
    memcpy(value, der, size);
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_CERTIFICATE_TYPE, &type, sizeof(type)}, {CKA_SUBJECT, subject, sizeof(subject)},
        {CKA_VALUE, value, size}};
    put(session, template, AW_COUNT(template));
}

token *
softhsm_open(const struct softhsm *h)
{
    token *t = NULL;

    assert_ok(token_open(&h->config, &t));
    return t;
}
