/**
 * @file csr_rsa.h
 * @brief RSA keys for tests, of three or four primes (RFC 8017 3.2): nobody sees it in a public
 * key, and large primes take seconds to find, of each program that wants some.
 */
#ifndef AW_TEST_CSR_RSA_H
#define AW_TEST_CSR_RSA_H

#include <openssl/evp.h>

/** A new key of that many bits and that public exponent; NULL on failure. The caller frees it. */
EVP_PKEY *csr_rsa(int size, unsigned e);

#endif
