/**
 * @file mock_world.h
 * @brief A token behind the mock with an EC key, an RSA key and a MAC key, and how they are used.
 */
#ifndef AW_TESTS_MOCK_WORLD_H
#define AW_TESTS_MOCK_WORLD_H

#include "mock.h"

/** What to use. */
enum mock_use { USE_EC, USE_RSA, USE_MAC, USES };

/** One world a process, as one module is. What is NULL is not open. */
struct mock_world {
    struct softhsm h;
    token *t;
    token_key *keys[2]; /**< EC P-256, RSA 2048 */
    token_mac *mac;
};
extern struct mock_world world;

/** cmocka's set-ups and tear-down: with everything open, with an EC key alone, with nothing open.
 */
int mock_world_setup(void **state);
int mock_world_setup_ec(void **state);
int mock_world_setup_closed(void **state);
int mock_world_teardown(void **state);

/**
 * Signs, or computes the MAC. What comes out must verify; of a failure nothing must come out. Ends
 * the test otherwise, with `name`.
 */
aw_result mock_world_use(enum mock_use what, const char *name);

/** Logs everybody out, behind the token's back. */
void mock_world_logout(void);

/** token_open with the world's configuration, and token_close. */
aw_result mock_world_try_open(void);

#endif
