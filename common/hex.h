/**
 * @file hex.h
 * @brief Digests as lower-case hexadecimal text.
 */
#ifndef AW_COMMON_HEX_H
#define AW_COMMON_HEX_H

#include <stddef.h>

/** A SHA-256 digest. */
enum {
    AW_DIGEST_SIZE = 32,                         /**< octets */
    AW_DIGEST_HEX_SIZE = 2 * AW_DIGEST_SIZE + 1, /**< digits, with the NUL */
};

/** Writes 2 * size lower-case digits and a NUL. */
void aw_hex(const void *bytes, size_t size, char *out);

#endif
