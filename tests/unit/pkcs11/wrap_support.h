/**
 * @file wrap_support.h
 * @brief The workstation's side of a wrapped import, by OpenSSL alone.
 */
#ifndef AW_TESTS_WRAP_SUPPORT_H
#define AW_TESTS_WRAP_SUPPORT_H

#include "softhsm.h"

/** An HMAC key of one block, encrypted to a wrapping key, with its check value. */
struct wrap_sample {
    enum token_mac_algorithm algorithm;
    uint8_t value[128];
    size_t size; /**< octets of the value: the hash's block */
    uint8_t wrapped[512];
    size_t wrapped_size;
    uint8_t check[64];
    size_t check_size;
};

/** Wraps a random key to the key of that SubjectPublicKeyInfo. */
void wrap_sample_make(struct wrap_sample *out, enum token_mac_algorithm algorithm,
    const struct token_wrapping *wrapping);

/** The same as token_mac_unwrap takes it; points into the sample. */
struct token_wrapped wrap_sample_of(const struct wrap_sample *sample, const char *label);

#endif
