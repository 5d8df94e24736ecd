/**
 * @file mock_names.h
 * @brief Constants of Cryptoki by name, as far as rules need them.
 */
#ifndef AW_TESTS_MOCK_NAMES_H
#define AW_TESTS_MOCK_NAMES_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

/** The value of CKR_X, CKA_X or CKF_X, or of a number; false for anything else. */
bool mock_constant(const char *text, unsigned long *out);

#endif
