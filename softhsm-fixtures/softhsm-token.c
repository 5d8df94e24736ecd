/*
 * softhsm-token: what softhsm2-util and pkcs11-tool can't do without a PIN on their command line,
 * where every local user reads it. PINs come from files only.
 *
 * For tests and the quick start; the product never imports an account key.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>

#include "common/io.h"
#include "common/result.h"
#include "common/secret.h"
#include "softhsm-fixtures/ec_key.h"

#define DEFAULT_MODULE "/usr/lib/softhsm/libsofthsm2.so"

enum {
    PIN_MAX = 255,
    SLOTS_MAX = 64,
    LABEL_SIZE = 32, /* CK_TOKEN_INFO's label: blank-padded, no NUL */
    LABEL_MAX = 128, /* of an object */
    ID_MAX = 32,
    RANDOM_ID_SIZE = 16, /* CKA_ID when --id is not given, as for a generated key */
};

/* The command line. */
struct options {
    const char *command;
    const char *module;
    const char *token;
    const char *pin_file;
    const char *so_pin_file;
    const char *key_file;
    const char *key_label;
    const char *key_id;
};

/* An initialised module and, once open, a session. */
struct connection {
    CK_FUNCTION_LIST *module;
    CK_SESSION_HANDLE session; /* 0: none */
};

static aw_result
check(CK_RV rv, const char *call)
{
    if (rv == CKR_OK)
        return AW_OK;
    return aw_fail_cause(AW_CODE_TOKEN, AW_CAUSE_CKR, rv, "%s: %s", call, p11_kit_strerror(rv));
}

static void
disconnect(struct connection *c)
{
    if (c->module == NULL)
        return;
    if (c->session != 0)
        c->module->C_CloseSession(c->session);
    p11_kit_module_finalize(c->module);
    p11_kit_module_release(c->module);
    c->module = NULL;
}

static aw_result
connect_module(const char *path, struct connection *out)
{
    CK_FUNCTION_LIST *module = p11_kit_module_load(path, P11_KIT_MODULE_UNMANAGED);

    if (module == NULL)
        return aw_hint(aw_fail(AW_CODE_TOKEN_ABSENT, "can't load %s: %s", path, p11_kit_message()),
            "install softhsm2 or name the module with --module");
    CK_RV rv = p11_kit_module_initialize(module);
    if (rv != CKR_OK) {
        p11_kit_module_release(module);
        return check(rv, "C_Initialize");
    }
    out->module = module;
    return AW_OK;
}

static aw_result
read_pin(const char *path, aw_secret **out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;

    AW_TRY(aw_file_open_checked(path, geteuid(), 0077, &fd));
    AW_TRY(aw_secret_new(PIN_MAX, &pin));
    AW_TRY(aw_fd_read_secret(fd, pin));
    if (pin->size > 0 && pin->data[pin->size - 1] == '\n')
        pin->size--;
    if (pin->size == 0)
        return aw_fail(AW_CODE_SYNTAX, "%s is empty, expected a PIN", path);
    *out = AW_MOVE(pin);
    return AW_OK;
}

static aw_result
pad_label(const char *label, uint8_t out[LABEL_SIZE])
{
    size_t length = strlen(label);

    if (length == 0 || length > LABEL_SIZE)
        return aw_fail(
            AW_CODE_USAGE, "the token label has %zu octets, expected 1 to %d", length, LABEL_SIZE);
    memset(out, ' ', LABEL_SIZE);
    memcpy(out, label, length);
    return AW_OK;
}

/* The slot of the token of that label; with label NULL, of the first uninitialised token. */
static aw_result
find_slot(struct connection *c, const char *label, CK_SLOT_ID *out)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    uint8_t padded[LABEL_SIZE];

    if (label != NULL)
        AW_TRY(pad_label(label, padded));
    AW_TRY(check(c->module->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList"));
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        AW_TRY(check(c->module->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo"));
        bool initialised = (info.flags & CKF_TOKEN_INITIALIZED) != 0;
        bool wanted = label == NULL ? !initialised
                                    : initialised && memcmp(info.label, padded, LABEL_SIZE) == 0;
        if (wanted) {
            *out = slots[i];
            return AW_OK;
        }
    }
    return aw_fail(AW_CODE_TOKEN_ABSENT, "none of %lu slots has %s%s", count,
        label == NULL ? "an uninitialised token" : "a token of the label ",
        label == NULL ? "" : label);
}

static aw_result
login(struct connection *c, CK_SLOT_ID slot, CK_USER_TYPE user, const aw_secret *pin)
{
    const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;

    AW_TRY(check(c->module->C_OpenSession(slot, flags, NULL, NULL, &c->session), "C_OpenSession"));
    return check(c->module->C_Login(c->session, user, pin->data, pin->size), "C_Login");
}

static aw_result
require(const char *value, const char *option, const char *command)
{
    if (value != NULL)
        return AW_OK;
    return aw_fail(AW_CODE_USAGE, "%s needs %s", command, option);
}

static aw_result
command_init(const struct options *o)
{
    AW_CLEANUP(disconnect) struct connection c = {0};
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *so_pin = NULL;
    CK_SLOT_ID slot = 0;
    uint8_t label[LABEL_SIZE];

    AW_TRY(require(o->so_pin_file, "--so-pin-file", o->command));
    AW_TRY(pad_label(o->token, label));
    AW_TRY(read_pin(o->pin_file, &pin));
    AW_TRY(read_pin(o->so_pin_file, &so_pin));
    AW_TRY(connect_module(o->module, &c));
    if (aw_ok(find_slot(&c, o->token, &slot)))
        return aw_fail(AW_CODE_EXISTS, "there is a token of the label %s", o->token);
    AW_TRY(find_slot(&c, NULL, &slot));
    AW_TRY(check(c.module->C_InitToken(slot, so_pin->data, so_pin->size, label), "C_InitToken"));
    AW_TRY(login(&c, slot, CKU_SO, so_pin));
    return check(c.module->C_InitPIN(c.session, pin->data, pin->size), "C_InitPIN");
}

#define ATTRIBUTE(type, pointer, size) \
    {                                  \
        (type), (pointer), (size)      \
    }
#define ATTRIBUTE_FLAG(type, flag) ATTRIBUTE(type, &(flag), sizeof(flag))

/* What both halves of the pair share. */
struct pair {
    struct fixture_ec_key key;
    char label[LABEL_MAX + 1]; /* a copy: Cryptoki's attributes know no const */
    uint8_t id[ID_MAX];
    size_t id_size;
};

static void
release_pair(struct pair *pair)
{
    fixture_ec_key_release(&pair->key);
}

/* The attributes that a generated account key has; LOCAL can't be had by import. */
static aw_result
create_private(struct connection *c, struct pair *pair)
{
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_OBJECT_HANDLE object = 0;
    CK_ATTRIBUTE attributes[] = {
        ATTRIBUTE(CKA_CLASS, &class, sizeof(class)),
        ATTRIBUTE(CKA_KEY_TYPE, &type, sizeof(type)),
        ATTRIBUTE(CKA_LABEL, pair->label, strlen(pair->label)),
        ATTRIBUTE(CKA_ID, pair->id, pair->id_size),
        ATTRIBUTE(CKA_EC_PARAMS, pair->key.params, pair->key.params_size),
        ATTRIBUTE(CKA_VALUE, pair->key.value->data, pair->key.value->size),
        ATTRIBUTE_FLAG(CKA_TOKEN, yes),
        ATTRIBUTE_FLAG(CKA_PRIVATE, yes),
        ATTRIBUTE_FLAG(CKA_SENSITIVE, yes),
        ATTRIBUTE_FLAG(CKA_EXTRACTABLE, no),
        ATTRIBUTE_FLAG(CKA_MODIFIABLE, no),
        ATTRIBUTE_FLAG(CKA_COPYABLE, no),
        ATTRIBUTE_FLAG(CKA_SIGN, yes),
        ATTRIBUTE_FLAG(CKA_SIGN_RECOVER, no),
        ATTRIBUTE_FLAG(CKA_DECRYPT, no),
        ATTRIBUTE_FLAG(CKA_UNWRAP, no),
        ATTRIBUTE_FLAG(CKA_DERIVE, no),
    };

    return check(c->module->C_CreateObject(c->session, attributes, AW_COUNT(attributes), &object),
        "C_CreateObject (private key)");
}

static aw_result
create_public(struct connection *c, struct pair *pair)
{
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_OBJECT_HANDLE object = 0;
    CK_ATTRIBUTE attributes[] = {
        ATTRIBUTE(CKA_CLASS, &class, sizeof(class)),
        ATTRIBUTE(CKA_KEY_TYPE, &type, sizeof(type)),
        ATTRIBUTE(CKA_LABEL, pair->label, strlen(pair->label)),
        ATTRIBUTE(CKA_ID, pair->id, pair->id_size),
        ATTRIBUTE(CKA_EC_PARAMS, pair->key.params, pair->key.params_size),
        ATTRIBUTE(CKA_EC_POINT, pair->key.point, pair->key.point_size),
        ATTRIBUTE_FLAG(CKA_TOKEN, yes),
        ATTRIBUTE_FLAG(CKA_PRIVATE, no),
        ATTRIBUTE_FLAG(CKA_MODIFIABLE, no),
        ATTRIBUTE_FLAG(CKA_COPYABLE, no),
        ATTRIBUTE_FLAG(CKA_VERIFY, yes),
        ATTRIBUTE_FLAG(CKA_VERIFY_RECOVER, no),
        ATTRIBUTE_FLAG(CKA_ENCRYPT, no),
        ATTRIBUTE_FLAG(CKA_WRAP, no),
        ATTRIBUTE_FLAG(CKA_DERIVE, no),
    };

    return check(c->module->C_CreateObject(c->session, attributes, AW_COUNT(attributes), &object),
        "C_CreateObject (public key)");
}

static aw_result
read_id(const char *hex, struct pair *pair)
{
    if (hex == NULL) {
        pair->id_size = RANDOM_ID_SIZE;
        if (RAND_bytes(pair->id, RANDOM_ID_SIZE) != 1)
            return aw_fail_openssl("no random numbers");
        return AW_OK;
    }
    if (OPENSSL_hexstr2buf_ex(pair->id, sizeof(pair->id), &pair->id_size, hex, '\0') != 1 ||
        pair->id_size == 0)
        return aw_fail(
            AW_CODE_USAGE, "--id is '%s', expected 1 to %d octets in hexadecimal", hex, ID_MAX);
    return AW_OK;
}

static aw_result
read_pair(const struct options *o, struct pair *pair)
{
    AW_TRY(require(o->key_file, "--key", o->command));
    AW_TRY(require(o->key_label, "--label", o->command));
    if (strlen(o->key_label) > LABEL_MAX)
        return aw_fail(AW_CODE_USAGE, "--label is longer than %d octets", LABEL_MAX);
    memcpy(pair->label, o->key_label, strlen(o->key_label) + 1);
    AW_TRY(read_id(o->key_id, pair));
    return fixture_ec_key_read(o->key_file, &pair->key);
}

static aw_result
command_import_key(const struct options *o)
{
    AW_CLEANUP(disconnect) struct connection c = {0};
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;
    AW_CLEANUP(release_pair) struct pair pair = {0};
    CK_SLOT_ID slot = 0;

    AW_TRY(read_pair(o, &pair));
    AW_TRY(read_pin(o->pin_file, &pin));
    AW_TRY(connect_module(o->module, &c));
    AW_TRY(find_slot(&c, o->token, &slot));
    AW_TRY(login(&c, slot, CKU_USER, pin));
    AW_TRY(create_private(&c, &pair));
    return create_public(&c, &pair);
}

static const char usage[] =
    "usage: softhsm-token init --token LABEL --pin-file FILE --so-pin-file FILE [--module PATH]\n"
    "       softhsm-token import-key --token LABEL --pin-file FILE --key FILE.pem\n"
    "                                --label LABEL [--id HEX] [--module PATH]\n"
    "SOFTHSM2_CONF in the environment names the configuration, as for every user of SoftHSM.\n";

static aw_result
parse_options(int argc, char **argv, struct options *out)
{
    static const struct option names[] = {
        {"module", required_argument, NULL, 'm'},
        {"token", required_argument, NULL, 't'},
        {"pin-file", required_argument, NULL, 'p'},
        {"so-pin-file", required_argument, NULL, 's'},
        {"key", required_argument, NULL, 'k'},
        {"label", required_argument, NULL, 'l'},
        {"id", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;

    out->module = DEFAULT_MODULE;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        const char **place = option == 'm'   ? &out->module
                             : option == 't' ? &out->token
                             : option == 'p' ? &out->pin_file
                             : option == 's' ? &out->so_pin_file
                             : option == 'k' ? &out->key_file
                             : option == 'l' ? &out->key_label
                             : option == 'i' ? &out->key_id
                                             : NULL;
        if (place == NULL)
            return aw_hint(aw_fail(AW_CODE_USAGE, "the command line is wrong"), "%s", usage);
        *place = optarg;
    }
    if (optind + 1 != argc)
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "expected one command, found %d", argc - optind), "%s", usage);
    out->command = argv[optind];
    return AW_OK;
}

static aw_result
run(int argc, char **argv)
{
    static const struct {
        const char *name;
        aw_result (*function)(const struct options *);
    } commands[] = {{"init", command_init}, {"import-key", command_import_key}};
    struct options options = {0};

    AW_TRY(parse_options(argc, argv, &options));
    for (size_t i = 0; i < AW_COUNT(commands); i++) {
        if (strcmp(options.command, commands[i].name) != 0)
            continue;
        AW_TRY(require(options.token, "--token", options.command));
        AW_TRY(require(options.pin_file, "--pin-file", options.command));
        return commands[i].function(&options);
    }
    return aw_hint(aw_fail(AW_CODE_USAGE, "unknown command '%s'", options.command), "%s", usage);
}

int
main(int argc, char **argv)
{
    aw_result r = run(argc, argv);

    if (aw_ok(r))
        return 0;
    const struct aw_error *error = aw_error_last();
    fprintf(stderr, "softhsm-token: %s\n", error->message);
    if (error->hint[0] != '\0')
        fprintf(stderr, "%s\n", error->hint);
    return aw_code_exit(r.code);
}
