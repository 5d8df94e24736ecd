/**
 * @file rsa_pool.h
 * @brief Primes for SoftHSM's RSA keys that a test's process has looked for only twice.
 *
 * A program that links test_softhsm has its own RSA_generate_key_ex, which SoftHSM calls instead of
 * OpenSSL's. Two keys of each size are really generated, so that a key and its neighbour are two;
 * from then on they take turns. Most of the time of a test that makes hundreds of keys was in
 * looking for primes. OpenSSL's own keys (EVP) do not come from here.
 */
#ifndef AW_TEST_RSA_POOL_H
#define AW_TEST_RSA_POOL_H

/** Has the linker take this file; nothing else. */
void rsa_pool_use(void);

#endif
