/**
 * @file csr_rsa.h
 * @brief RSA keys for tests, of primes that stand here: to find those of 4096 bits takes seconds of
 * each program that wants one, and some runs many.
 */
#ifndef AW_TEST_CSR_RSA_H
#define AW_TEST_CSR_RSA_H

#include <openssl/evp.h>

/** The key of that size and exponent, always the same; NULL if there is none. The caller frees it.
 */
EVP_PKEY *csr_rsa(int size, unsigned e);

#endif
