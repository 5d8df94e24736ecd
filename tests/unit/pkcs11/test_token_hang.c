/*
 * A token that hangs: whoever waits for what its call holds is told "busy" in time, the watch tells
 * of the call, and all is well again if it comes back after all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mock_world.h"

enum { TIMEOUT_MS = 40, STUCK_MS = 80 };

static int
setup(void **state)
{
    struct token_key_report report;

    (void)state;
    mock_make(&world.h);
    world.h.config.timeout_ms = TIMEOUT_MS;
    world.h.config.stuck_ms = STUCK_MS;
    world.t = softhsm_open(&world.h);
    assert_ok(token_key_generate(world.t, "ec", TOKEN_KEY_EC_P256, &report, &world.keys[USE_EC]));
    return 0;
}

static aw_result
run_sign(void)
{
    return mock_world_use(USE_EC, "sign");
}

static aw_result
run_info(void)
{
    struct token_info info;

    return token_info_get(world.t, &info);
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
run_generate(void)
{
    struct token_key_report report;
    token_key *key = NULL;
    aw_result r = token_key_generate(world.t, "new", TOKEN_KEY_EC_P256, &report, &key);

    if (aw_ok(r))
        r = token_key_destroy(key);
    token_key_free(&key);
    return r;
}

static void
nothing(void)
{
}

#define LOST "C_SignInit:1-2:CKR_KEY_HANDLE_INVALID;"

/* What hangs, in what, and what another thread wants meanwhile. */
static const struct {
    const char *name;
    const char *rules;
    const char *function; /* that hangs */
    void (*before)(void);
    aw_result (*hangs)(void);
    aw_result (*other)(void);
    enum aw_code code; /* of the other: OK where it needs nothing of the one that hangs */
} rows[] = {
    {"a signature beside a signature", "C_Sign:1:wait", "C_Sign", nothing, run_sign, run_sign,
        AW_CODE_OK},
    {"a signature beside a search", "C_FindObjects:1:wait", "C_FindObjects", nothing, run_find,
        run_sign, AW_CODE_OK},
    {"a search beside a search", "C_FindObjects:1:wait", "C_FindObjects", nothing, run_find,
        run_find, AW_CODE_BUSY},
    {"a search beside a generation", "C_GenerateKeyPair:1:wait", "C_GenerateKeyPair", nothing,
        run_generate, run_find, AW_CODE_BUSY},
    {"a generation beside a generation", "C_GenerateKeyPair:1:wait", "C_GenerateKeyPair", nothing,
        run_generate, run_generate, AW_CODE_BUSY},
    {"a signature beside a generation", "C_GenerateKeyPair:1:wait", "C_GenerateKeyPair", nothing,
        run_generate, run_sign, AW_CODE_OK},
    {"a login beside a login", "C_Login:1:wait", "C_Login", mock_world_logout, run_sign, run_sign,
        AW_CODE_BUSY},
    {"a generation beside a login", "C_Login:1:wait", "C_Login", mock_world_logout, run_sign,
        run_generate, AW_CODE_BUSY},
    {"two that look for the key again", LOST "C_GetAttributeValue:1:wait", "C_GetAttributeValue",
        nothing, run_sign, run_sign, AW_CODE_BUSY},
    {"token information beside the same", "C_GetTokenInfo:1:wait", "C_GetTokenInfo", nothing,
        run_info, run_info, AW_CODE_BUSY},
    {"a signature beside token information", "C_GetTokenInfo:1:wait", "C_GetTokenInfo", nothing,
        run_info, run_sign, AW_CODE_OK},
    {"a session that is closed", LOST "C_CloseSession:1:wait", "C_CloseSession", nothing, run_sign,
        run_info, AW_CODE_OK},
};

struct worker {
    pthread_t thread;
    aw_result (*run)(void);
    enum aw_code code;
};

static void *
work(void *context)
{
    struct worker *w = context;

    w->code = w->run().code;
    return NULL;
}

static void
wait_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

/* The watch tells of it, sooner or later; a key pair may take ten times as long. */
static void
check_watch(const char *name, const char *function)
{
    bool generation = strcmp(function, "C_GenerateKeyPair") == 0;

    if (generation) {
        wait_ms(2L * STUCK_MS);
        assert_ok(token_watch(world.t));
    }
    while (aw_ok(token_watch(world.t)))
        wait_ms(5);
    assert_fails(token_watch(world.t), AW_CODE_TOKEN_GONE, function);
    if (strstr(aw_error_last()->hint, "hangs") == NULL)
        fail_msg("%s: \"%s\"", name, aw_error_last()->hint);
}

static void
test_a_hanging_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct worker worker = {.run = rows[i].hangs};
        assert_ok(token_watch(world.t));
        rows[i].before();
        mock_forget_calls(&world.h);
        mock_rules(&world.h, "%s", rows[i].rules);
        assert_int_equal(pthread_create(&worker.thread, NULL, work, &worker), 0);
        while (mock_calls(&world.h, rows[i].function) == 0)
            wait_ms(1);
        aw_result r = rows[i].other();
        if (r.code != rows[i].code)
            fail_msg("%s: %s (%s)", rows[i].name, aw_code_tag(r.code),
                aw_ok(r) ? "" : aw_error_last()->message);
        check_watch(rows[i].name, rows[i].function);
        mock_rules(&world.h, "%s", "");
        pthread_join(worker.thread, NULL);
        if (worker.code != AW_CODE_OK)
            fail_msg("%s: it came back, and then %s", rows[i].name, aw_code_tag(worker.code));
        assert_ok(token_watch(world.t));
        assert_ok(rows[i].other());
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_hanging_call, setup, mock_world_teardown),
    };

    return cmocka_run_group_tests_name("token_hang", tests, NULL, NULL);
}
