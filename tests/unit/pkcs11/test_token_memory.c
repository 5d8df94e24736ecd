/*
 * Out of memory at every place that allocates, while a token is opened, searched and used: ours,
 * and those of libp11 and OpenSSL as far as they bear it. The module itself has enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libp11.h>
#include <p11-kit/uri.h>

#include "mock_world.h"
#include "tests/faults/memory.h"
#include "tests/faults/mock_functions.h"

enum { TRIES_MAX = 5000 };

/* Functions that mock_functions.h leaves to the mock. */
#define OTHER_FUNCTIONS(X)                                                                       \
    X(C_OpenSession, (CK_SLOT_ID a, CK_FLAGS b, void *c, CK_NOTIFY d, CK_SESSION_HANDLE *e),     \
        (a, b, c, d, e))                                                                         \
    X(C_CreateObject, (CK_SESSION_HANDLE a, CK_ATTRIBUTE * b, CK_ULONG c, CK_OBJECT_HANDLE * d), \
        (a, b, c, d))                                                                            \
    X(C_GenerateKeyPair,                                                                         \
        (CK_SESSION_HANDLE a, CK_MECHANISM * b, CK_ATTRIBUTE * c, CK_ULONG d, CK_ATTRIBUTE * e,  \
            CK_ULONG f, CK_OBJECT_HANDLE * g, CK_OBJECT_HANDLE * h),                             \
        (a, b, c, d, e, f, g, h))                                                                \
    X(C_GetAttributeValue,                                                                       \
        (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE * c, CK_ULONG d), (a, b, c, d))   \
    X(C_FindObjects, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE * b, CK_ULONG c, CK_ULONG * d),      \
        (a, b, c, d))                                                                            \
    X(C_Sign, (CK_SESSION_HANDLE a, CK_BYTE * b, CK_ULONG c, CK_BYTE * d, CK_ULONG * e),         \
        (a, b, c, d, e))                                                                         \
    X(C_GetTokenInfo, (CK_SLOT_ID a, CK_TOKEN_INFO * b), (a, b))

/* SoftHSM does not bear it: it runs with memory. */
#define WRAP(name, parameters, arguments)  \
    static CK_RV(*real_##name) parameters; \
    static CK_RV paused_##name parameters  \
    {                                      \
        memory_fail_pause();               \
        CK_RV rv = real_##name arguments;  \
        memory_fail_resume();              \
        return rv;                         \
    }
MOCK_PLAIN_FUNCTIONS(WRAP)
OTHER_FUNCTIONS(WRAP)
#undef WRAP

/* Nor do libp11's lists (0.4.12: it reads through NULL). */
int __real_PKCS11_enumerate_slots(PKCS11_CTX *context, PKCS11_SLOT **slots, unsigned *count);
int __wrap_PKCS11_enumerate_slots(PKCS11_CTX *context, PKCS11_SLOT **slots, unsigned *count);

int
__wrap_PKCS11_enumerate_slots(PKCS11_CTX *context, PKCS11_SLOT **slots, unsigned *count)
{
    memory_fail_pause();
    int result = __real_PKCS11_enumerate_slots(context, slots, count);
    memory_fail_resume();
    return result;
}

/* Nor does p11-kit's parser (0.24: it reads and writes through NULL). */
P11KitUri *__real_p11_kit_uri_new(void);
P11KitUri *__wrap_p11_kit_uri_new(void);
int __real_p11_kit_uri_parse(const char *text, P11KitUriType type, P11KitUri *uri);
int __wrap_p11_kit_uri_parse(const char *text, P11KitUriType type, P11KitUri *uri);

int
__wrap_p11_kit_uri_parse(const char *text, P11KitUriType type, P11KitUri *uri)
{
    memory_fail_pause();
    int result = __real_p11_kit_uri_parse(text, type, uri);
    memory_fail_resume();
    return result;
}

P11KitUri *
__wrap_p11_kit_uri_new(void)
{
    memory_fail_pause();
    P11KitUri *uri = __real_p11_kit_uri_new();
    memory_fail_resume();
    return uri;
}

static int
wrap_module(void **state)
{
    CK_FUNCTION_LIST *f = softhsm_functions();

    (void)state;
#define PATCH(name, parameters, arguments) \
    real_##name = f->name;                 \
    f->name = paused_##name;
    MOCK_PLAIN_FUNCTIONS(PATCH)
    OTHER_FUNCTIONS(PATCH)
#undef PATCH
    return 0;
}

static int
setup(void **state)
{
    struct token_key_report report;
    aw_secret *value = NULL;

    (void)state;
    softhsm_make(&world.h);
    world.h.config.sessions = 1;
    world.t = softhsm_open(&world.h);
    assert_ok(token_key_generate(world.t, "ec", TOKEN_KEY_EC_P256, &report, &world.keys[USE_EC]));
    assert_ok(
        token_key_generate(world.t, "rsa", TOKEN_KEY_RSA_2048, &report, &world.keys[USE_RSA]));
    assert_ok(aw_secret_new(32, &value));
    assert_ok(aw_secret_append(value, "0123456789abcdef0123456789abcdef", 32));
    assert_ok(token_mac_import(world.t, "eab", TOKEN_HS256, value, false, &report));
    aw_secret_free(&value);
    assert_ok(token_mac_find(world.t, "eab", TOKEN_HS256, &world.mac));
    return 0;
}

static int
setup_closed(void **state)
{
    (void)state;
    softhsm_make(&world.h);
    world.h.config.sessions = 2;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    token_key_free(&world.keys[USE_EC]);
    token_key_free(&world.keys[USE_RSA]);
    token_mac_free(&world.mac);
    token_close(&world.t);
    softhsm_remove(&world.h);
    return 0;
}

/* What is done with too little memory; nothing that it made is left. */

static token_key *made;

static aw_result
run_sign(void)
{
    uint8_t out[TOKEN_SIGNATURE_MAX];
    size_t size;

    return token_key_sign(world.keys[USE_EC], "message", 7, out, &size);
}

static aw_result
run_sign_rsa(void)
{
    uint8_t out[TOKEN_SIGNATURE_MAX];
    size_t size;

    return token_key_sign(world.keys[USE_RSA], "message", 7, out, &size);
}

static aw_result
run_mac(void)
{
    uint8_t out[TOKEN_MAC_MAX];
    size_t size;

    return token_mac_compute(world.mac, "message", 7, out, &size);
}

static aw_result
run_find(void)
{
    token_key *key = NULL;
    aw_result r = token_key_find(world.t, "ec", &key);

    token_key_free(&key);
    return r;
}

static aw_result
run_find_rsa(void)
{
    token_key *key = NULL;
    aw_result r = token_key_find(world.t, "rsa", &key);

    token_key_free(&key);
    return r;
}

static aw_result
run_find_mac(void)
{
    token_mac *mac = NULL;
    aw_result r = token_mac_find(world.t, "eab", TOKEN_HS256, &mac);

    token_mac_free(&mac);
    return r;
}

static aw_result
run_generate(void)
{
    struct token_key_report report;

    return token_key_generate(world.t, "new", TOKEN_KEY_EC_P256, &report, &made);
}

static aw_result
run_import(void)
{
    struct token_key_report report;
    aw_secret *value = NULL;

    AW_TRY(aw_secret_new(32, &value));
    aw_result r = aw_secret_append(value, "0123456789abcdef", 16);
    if (aw_ok(r))
        r = token_mac_import(world.t, "new", TOKEN_HS256, value, true, &report);
    aw_secret_free(&value);
    return r;
}

static aw_result
run_examine(void)
{
    struct token_examination *e = NULL;
    aw_result r = token_examine(world.t, &e);

    token_examination_free(&e);
    return r;
}

static aw_result
run_open(void)
{
    token *t = NULL;
    aw_result r = token_open(&world.h.config, &t);

    token_close(&t);
    return r;
}

static void
close_sessions(void)
{
    assert_int_equal(softhsm_functions()->C_CloseAllSessions(softhsm_slot("test")), CKR_OK);
}

static void
nothing(void)
{
}

static const struct operation {
    const char *name;
    void (*before)(void);
    aw_result (*run)(void);
    bool makes;
} operations[] = {
    {"sign", nothing, run_sign, false},
    {"sign with RSA", nothing, run_sign_rsa, false},
    {"compute a MAC", nothing, run_mac, false},
    {"find", nothing, run_find, false},
    {"find an RSA key", nothing, run_find_rsa, false},
    {"find a MAC key", nothing, run_find_mac, false},
    {"sign after everything was lost", close_sessions, run_sign, false},
    {"generate", nothing, run_generate, true},
    {"import", nothing, run_import, true},
    {"examine", nothing, run_examine, false},
};

static const struct operation opening = {"open", nothing, run_open, false};

static void
destroy_new(const char *name, unsigned expected)
{
    static const CK_OBJECT_CLASS classes[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY};
    CK_SESSION_HANDLE session = softhsm_session();
    unsigned found = 0;

    for (size_t i = 0; i < AW_COUNT(classes); i++) {
        CK_OBJECT_HANDLE object = softhsm_find(session, classes[i], "new");
        if (object == CK_INVALID_HANDLE)
            continue;
        assert_int_equal(softhsm_functions()->C_DestroyObject(session, object), CKR_OK);
        found++;
    }
    assert_int_equal(softhsm_functions()->C_CloseSession(session), CKR_OK);
    if (expected == 0 && found != 0)
        fail_msg("%s: it failed, and left %u objects", name, found);
    token_key_free(&made);
}

/* True while an allocation failed. Whatever failed: a clean error, and then it works. */
static bool
try_with(const struct operation *o, long n, enum memory_failure failure)
{
    char name[96];

    snprintf(name, sizeof(name), "%s, allocation %ld%s", o->name, n,
        failure == MEMORY_FAILS_ONCE ? "" : " and on");
    o->before();
    memory_fail_at_new_place(
        failure == MEMORY_FAILS_ONCE ? MEMORY_PLACE_EXACT : MEMORY_PLACE_OURS, failure);
    aw_result r = o->run();
    bool failed = memory_fail_end();
    if (!failed && !aw_ok(r))
        fail_msg("%s: %s", name, aw_error_last()->message);
    if (!aw_ok(r) && (r.code == AW_CODE_INTERNAL || aw_error_last()->message[0] == '\0'))
        fail_msg("%s: %s \"%s\"", name, aw_code_tag(r.code), aw_error_last()->message);
    if (access(world.h.latch, F_OK) == 0)
        fail_msg("%s: the PIN's marker stays", name);
    if (o->makes)
        destroy_new(name, aw_ok(r) ? 1 : 0);
    return failed;
}

static void
try_each(const struct operation *o, enum memory_failure failure)
{
    long n = 1;

    assert_ok(o->run()); /* what is made once and kept */
    if (o->makes)
        destroy_new(o->name, 1);
    memory_places_forget();
    while (try_with(o, n, failure))
        if (++n > TRIES_MAX)
            fail_msg("%s: no end of allocations", o->name);
}

static void
test_using_without_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(operations); i++) {
        try_each(&operations[i], MEMORY_FAILS_ONCE);
        try_each(&operations[i], MEMORY_FAILS_FOR_GOOD);
    }
}

static void
test_opening_without_memory(void **state)
{
    (void)state;
    try_each(&opening, MEMORY_FAILS_ONCE);
    try_each(&opening, MEMORY_FAILS_FOR_GOOD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_using_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opening_without_memory, setup_closed, teardown),
    };

    return cmocka_run_group_tests_name("token_memory", tests, wrap_module, NULL);
}
