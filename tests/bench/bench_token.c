/*
 * The floor: a bare loop of C_Sign, with a session a thread and the key's handle at hand; with
 * --verify each signature is verified by OpenSSL, as the signer does before it lets one out.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <p11-kit/pkcs11.h>

#include "bench.h"
#include "common/io.h"
#include "common/secret.h"

enum {
    DIGEST_SIZE = 32, /* SHA-256 */
    FIELD_SIZE = 32,  /* P-256 */
    POINT_SIZE = 65,  /* uncompressed */
    DER_MAX = 80,     /* of an ECDSA signature over P-256 */
    SLOTS_MAX = 64,
    PIN_MAX = 255,
};

struct options {
    const char *module, *token, *pin_file, *label;
    double threads, seconds;
    bool verify;
};

/* The token, open and logged in. */
struct floor {
    const struct options *options;
    CK_FUNCTION_LIST *module;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE anchor; /* keeps the login */
    CK_OBJECT_HANDLE key;
    EVP_PKEY *public_key;
};

struct loop {
    struct floor *floor;
    CK_SESSION_HANDLE session;
    EVP_PKEY_CTX *verifier; /* NULL: signatures are not verified */
    uint64_t number;
    uint8_t digest[DIGEST_SIZE];
};

static aw_result
check(CK_RV rv, const char *function)
{
    if (rv == CKR_OK)
        return AW_OK;
    return aw_fail_cause(AW_CODE_TOKEN, AW_CAUSE_CKR, rv, "%s answers 0x%lx", function, rv);
}

static aw_result
load_module(struct floor *floor)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_C_GetFunctionList get = NULL;
    void *library = dlopen(floor->options->module, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

    if (symbol == NULL)
        return aw_fail(AW_CODE_TOKEN_ABSENT, "can't load the module: %s", dlerror());
    memcpy(&get, &symbol, sizeof(get));
    AW_TRY(check(get(&floor->module), "C_GetFunctionList"));
    return check(floor->module->C_Initialize(&arguments), "C_Initialize");
}

static aw_result
find_slot(struct floor *floor)
{
    const char *wanted = floor->options->token;
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    uint8_t label[32];

    memset(label, ' ', sizeof(label));
    if (strlen(wanted) > sizeof(label))
        return aw_fail(AW_CODE_USAGE, "--token is longer than %zu octets", sizeof(label));
    memcpy(label, wanted, strlen(wanted));
    AW_TRY(check(floor->module->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList"));
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        AW_TRY(check(floor->module->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo"));
        if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 || memcmp(info.label, label, 32) != 0)
            continue;
        floor->slot = slots[i];
        return AW_OK;
    }
    return aw_fail(AW_CODE_TOKEN_ABSENT, "there is no token \"%s\"", wanted);
}

static aw_result
open_session(const struct floor *floor, CK_SESSION_HANDLE *out)
{
    return check(floor->module->C_OpenSession(floor->slot, CKF_SERIAL_SESSION, NULL, NULL, out),
        "C_OpenSession");
}

static aw_result
login(struct floor *floor)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;

    AW_TRY(aw_file_open_checked(floor->options->pin_file, geteuid(), 0077, &fd));
    AW_TRY(aw_secret_new(PIN_MAX, &pin));
    AW_TRY(aw_fd_read_secret(fd, pin));
    AW_TRY(open_session(floor, &floor->anchor));
    return check(floor->module->C_Login(floor->anchor, CKU_USER, pin->data, pin->size), "C_Login");
}

static aw_result
find_object(const struct floor *floor, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *out)
{
    CK_FUNCTION_LIST *f = floor->module;
    AW_CLEANUP(aw_free) char *label = strdup(floor->options->label);
    CK_ULONG count = 0;

    if (label == NULL)
        return aw_fail_memory();
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof(class)}, {CKA_LABEL, label, strlen(label)}};
    AW_TRY(check(f->C_FindObjectsInit(floor->anchor, template, 2), "C_FindObjectsInit"));
    AW_TRY(check(f->C_FindObjects(floor->anchor, out, 1, &count), "C_FindObjects"));
    AW_TRY(check(f->C_FindObjectsFinal(floor->anchor), "C_FindObjectsFinal"));
    if (count == 1)
        return AW_OK;
    return aw_fail(AW_CODE_TOKEN_KEY_MISSING, "the token has no key pair \"%s\"", label);
}

static aw_result
make_public_key(uint8_t *point, EVP_PKEY **out)
{
    char curve[] = "prime256v1";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, POINT_SIZE),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool made = context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, parameters) == 1;

    EVP_PKEY_CTX_free(context);
    return made ? AW_OK : aw_fail_openssl("can't make the public key");
}

/* CKA_EC_POINT is the point in an OCTET STRING (PKCS#11 v2.40, 2.3.3). */
static aw_result
read_public_key(struct floor *floor)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    uint8_t wrapped[2 + POINT_SIZE];
    CK_ATTRIBUTE attribute = {CKA_EC_POINT, wrapped, sizeof(wrapped)};

    AW_TRY(find_object(floor, CKO_PUBLIC_KEY, &object));
    AW_TRY(check(floor->module->C_GetAttributeValue(floor->anchor, object, &attribute, 1),
        "C_GetAttributeValue"));
    if (attribute.ulValueLen != sizeof(wrapped))
        return aw_fail(AW_CODE_UNSUPPORTED, "the key is not on P-256: its point has %lu octets",
            attribute.ulValueLen);
    return make_public_key(wrapped + 2, &floor->public_key);
}

static aw_result
open_floor(struct floor *floor)
{
    AW_TRY(load_module(floor));
    AW_TRY(find_slot(floor));
    AW_TRY(login(floor));
    AW_TRY(find_object(floor, CKO_PRIVATE_KEY, &floor->key));
    return read_public_key(floor);
}

static void
close_floor(struct floor *floor)
{
    EVP_PKEY_free(floor->public_key);
    if (floor->module != NULL)
        floor->module->C_Finalize(NULL);
}

/* The job. */

static void
close_loop(void *state)
{
    struct loop *loop = state;

    if (loop == NULL)
        return;
    loop->floor->module->C_CloseSession(loop->session);
    EVP_PKEY_CTX_free(loop->verifier);
    free(loop);
}

static aw_result
open_loop(void *context, unsigned thread, void **state)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return aw_fail_memory();
    *state = loop;
    loop->floor = context;
    memset(loop->digest, (int)thread, sizeof(loop->digest));
    AW_TRY(open_session(loop->floor, &loop->session));
    if (!loop->floor->options->verify)
        return AW_OK;
    loop->verifier = EVP_PKEY_CTX_new_from_pkey(NULL, loop->floor->public_key, NULL);
    if (loop->verifier == NULL || EVP_PKEY_verify_init(loop->verifier) != 1)
        return aw_fail_openssl("can't prepare to verify");
    return AW_OK;
}

static int
to_der(const uint8_t raw[2 * FIELD_SIZE], uint8_t der[DER_MAX])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    unsigned char *at = der;
    int size = -1;

    if (signature != NULL && ECDSA_SIG_set0(signature, BN_bin2bn(raw, FIELD_SIZE, NULL),
                                 BN_bin2bn(raw + FIELD_SIZE, FIELD_SIZE, NULL)) == 1)
        size = i2d_ECDSA_SIG(signature, &at);
    ECDSA_SIG_free(signature);
    return size;
}

static aw_result
verify(const struct loop *loop, const uint8_t raw[2 * FIELD_SIZE])
{
    uint8_t der[DER_MAX];
    int size = to_der(raw, der);

    if (size <= 0 ||
        EVP_PKEY_verify(loop->verifier, der, (size_t)size, loop->digest, sizeof(loop->digest)) != 1)
        return aw_fail_openssl("a signature does not verify");
    return AW_OK;
}

static aw_result
sign(void *state)
{
    struct loop *loop = state;
    CK_FUNCTION_LIST *f = loop->floor->module;
    CK_MECHANISM mechanism = {.mechanism = CKM_ECDSA};
    uint8_t raw[2 * FIELD_SIZE];
    CK_ULONG size = sizeof(raw);

    loop->number++;
    memcpy(loop->digest, &loop->number, sizeof(loop->number));
    AW_TRY(check(f->C_SignInit(loop->session, &mechanism, loop->floor->key), "C_SignInit"));
    AW_TRY(check(f->C_Sign(loop->session, loop->digest, DIGEST_SIZE, raw, &size), "C_Sign"));
    return loop->verifier == NULL ? AW_OK : verify(loop, raw);
}

static const char usage[] =
    "usage: bench_token --module PATH --token LABEL --pin-file FILE --label KEY\n"
    "                   [--threads N] [--seconds S] [--verify]\n";

static aw_result
parse(int argc, char **argv, struct options *out)
{
    static const struct option names[] = {{"module", required_argument, NULL, 'm'},
        {"token", required_argument, NULL, 't'}, {"pin-file", required_argument, NULL, 'p'},
        {"label", required_argument, NULL, 'l'}, {"threads", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'}, {"verify", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'm')
            out->module = optarg;
        else if (option == 't')
            out->token = optarg;
        else if (option == 'p')
            out->pin_file = optarg;
        else if (option == 'l')
            out->label = optarg;
        else if (option == 'n')
            AW_TRY(bench_number("--threads", optarg, &out->threads));
        else if (option == 's')
            AW_TRY(bench_number("--seconds", optarg, &out->seconds));
        else if (option == 'v')
            out->verify = true;
        else
            return aw_fail(AW_CODE_USAGE, "the command line is wrong; %s", usage);
    }
    if (out->module == NULL || out->token == NULL || out->pin_file == NULL || out->label == NULL)
        return aw_fail(AW_CODE_USAGE, "an option is missing; %s", usage);
    return AW_OK;
}

static aw_result
run(int argc, char **argv, struct bench_outcome *outcome)
{
    struct options options = {.threads = 1, .seconds = 1};
    AW_CLEANUP(close_floor) struct floor floor = {.options = &options};
    const struct bench_job job = {
        .context = &floor, .open = open_loop, .operate = sign, .close = close_loop};

    AW_TRY(parse(argc, argv, &options));
    AW_TRY(open_floor(&floor));
    return bench_run(
        &job, &(struct bench_plan){(unsigned)options.threads, options.seconds}, outcome);
}

int
main(int argc, char **argv)
{
    static struct bench_outcome outcome;

    if (!aw_ok(run(argc, argv, &outcome)))
        return bench_failed("bench_token");
    bench_print(&outcome);
    return 0;
}
