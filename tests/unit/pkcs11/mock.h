/**
 * @file mock.h
 * @brief The mock module (tests/faults) over a private SoftHSM2: its rules, its count of calls.
 */
#ifndef AW_TESTS_MOCK_H
#define AW_TESTS_MOCK_H

#include "softhsm.h"

/** Like softhsm_make, but the configuration names the mock; no rules yet. */
void mock_make(struct softhsm *h);

/** Replaces the rules (tests/faults/mock_rules.h); counts of calls in them begin anew. */
void mock_rules(const struct softhsm *h, const char *format, ...) AW_PRINTF(2, 3);

/** How often a function was called since mock_make or mock_forget_calls. */
unsigned mock_calls(const struct softhsm *h, const char *function);

/** Counts from here. */
void mock_forget_calls(const struct softhsm *h);

/** Token objects in the token "test", asked of SoftHSM itself by a process that is logged in. */
unsigned mock_objects(void);

/** Whether a JWS signature of a key verifies, by OpenSSL alone. */
bool mock_verifies(
    const token_key *key, const void *input, size_t size, const uint8_t *signature, size_t length);

#endif
