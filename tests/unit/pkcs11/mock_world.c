#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mock_world.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

static const char message[] = "what is to be signed";

struct mock_world world;

static uint8_t expected_mac[32];

/* The MAC is known, since the key was made here. */
static void
make_mac(void)
{
    struct token_key_report report;
    aw_secret *value = NULL;
    size_t size = 0;

    assert_ok(aw_secret_new(32, &value));
    value->size = 32;
    assert_int_equal(RAND_bytes(value->data, 32), 1);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, value->data, 32,
        (const unsigned char *)message, sizeof(message), expected_mac, sizeof(expected_mac),
        &size));
    assert_ok(token_mac_import(world.t, "eab", TOKEN_HS256, value, false, &report));
    aw_secret_free(&value);
    assert_ok(token_mac_find(world.t, "eab", TOKEN_HS256, &world.mac));
}

int
mock_world_setup_ec(void **state)
{
    struct token_key_report report;

    (void)state;
    mock_make(&world.h);
    world.t = softhsm_open(&world.h);
    assert_ok(token_key_generate(world.t, "ec", TOKEN_KEY_EC_P256, &report, &world.keys[USE_EC]));
    make_mac();
    return 0;
}

int
mock_world_setup(void **state)
{
    struct token_key_report report;

    mock_world_setup_ec(state);
    assert_ok(
        token_key_generate(world.t, "rsa", TOKEN_KEY_RSA_2048, &report, &world.keys[USE_RSA]));
    return 0;
}

int
mock_world_setup_closed(void **state)
{
    (void)state;
    mock_make(&world.h);
    return 0;
}

int
mock_world_teardown(void **state)
{
    (void)state;
    mock_rules(&world.h, "%s", "");
    token_key_free(&world.keys[USE_EC]);
    token_key_free(&world.keys[USE_RSA]);
    token_mac_free(&world.mac);
    token_close(&world.t);
    softhsm_remove(&world.h);
    return 0;
}

static void
check_output(enum mock_use what, const char *name, const uint8_t *out, size_t size)
{
    bool good = what == USE_MAC
                    ? size == sizeof(expected_mac) && memcmp(out, expected_mac, size) == 0
                    : mock_verifies(world.keys[what], message, sizeof(message), out, size);

    if (!good)
        fail_msg("%s: what came out does not verify", name);
}

aw_result
mock_world_use(enum mock_use what, const char *name)
{
    uint8_t out[TOKEN_SIGNATURE_MAX], untouched[TOKEN_SIGNATURE_MAX];
    size_t size = 1;

    memset(out, 0xa5, sizeof(out));
    memset(untouched, 0xa5, sizeof(untouched));
    aw_result r = what == USE_MAC
                      ? token_mac_compute(world.mac, message, sizeof(message), out, &size)
                      : token_key_sign(world.keys[what], message, sizeof(message), out, &size);
    if (aw_ok(r))
        check_output(what, name, out, size);
    else if (size != 0 || memcmp(out, untouched, sizeof(out)) != 0)
        fail_msg("%s: failed, and gave %zu octets", name, size);
    return r;
}

void
mock_world_logout(void)
{
    CK_SESSION_HANDLE session = softhsm_session();

    assert_int_equal(softhsm_functions()->C_Logout(session), CKR_OK);
    assert_int_equal(softhsm_functions()->C_CloseSession(session), CKR_OK);
}

aw_result
mock_world_try_open(void)
{
    token *opened = NULL;
    aw_result r = token_open(&world.h.config, &opened);

    token_close(&opened);
    return r;
}
