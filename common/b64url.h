/**
 * @file b64url.h
 * @brief Strict base64url without padding (RFC 4648 section 5, RFC 7515 section 2).
 */
#ifndef AW_COMMON_B64URL_H
#define AW_COMMON_B64URL_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Characters that `size` bytes take, without the terminating NUL. */
#define AW_B64URL_LENGTH(size) (((size)*4 + 2) / 3)

/** Encodes into `out`, which holds AW_B64URL_LENGTH(size) + 1 characters; ends it with NUL. */
void aw_b64url_encode(const void *bytes, size_t size, char *out);

/** Encodes into a new string; release with free(). */
AW_MUST_USE aw_result aw_b64url_encode_new(const void *bytes, size_t size, char **out);

/**
 * Decodes `length` characters of text. Refused (AW_CODE_SYNTAX): padding, any other alphabet, white
 * space, an impossible length, non-zero unused bits. AW_CODE_LIMIT when `capacity` is too small.
 * @param[out] size bytes written to `out`
 */
AW_MUST_USE aw_result aw_b64url_decode(
    const char *text, size_t length, uint8_t *out, size_t capacity, size_t *size);

/** Decodes into a new buffer (at least one byte is allocated); release with free(). */
AW_MUST_USE aw_result aw_b64url_decode_new(
    const char *text, size_t length, uint8_t **out, size_t *size);

struct aw_secret;

/**
 * Decodes what a person pasted as a key: base64url or base64, padded or not, white space at either
 * end ignored, non-zero unused bits refused. For EAB import only. Works on secret memory: decodes
 * `text` into `out` (capacity at least text->size) and leaves no copy elsewhere.
 */
AW_MUST_USE aw_result aw_base64_decode_lenient(const struct aw_secret *text, struct aw_secret *out);

#endif
