/**
 * @file secret.h
 * @brief Secret memory: locked, left out of core dumps, wiped on release.
 *
 * PINs, EAB HMAC keys and the JSON that carries them live in an aw_secret and nowhere else.
 * The bytes are on pages of their own (mlock, MADV_DONTDUMP, MADV_DONTFORK). Making one fails when
 * the pages cannot be locked: raise RLIMIT_MEMLOCK.
 */
#ifndef AW_COMMON_SECRET_H
#define AW_COMMON_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Largest secret, in bytes. */
enum { AW_SECRET_MAX = 512 * 1024 };

/** Secret bytes. `size` is the length in use, at most `capacity`. */
typedef struct aw_secret {
    uint8_t *data;
    size_t size;
    size_t capacity;
} aw_secret;

/** Makes an empty secret (size 0) of a capacity from 1 to AW_SECRET_MAX. Release: aw_secret_free.
 */
AW_MUST_USE aw_result aw_secret_new(size_t capacity, aw_secret **out);

/** Appends bytes; AW_CODE_LIMIT when the capacity would be exceeded (nothing is appended then). */
AW_MUST_USE aw_result aw_secret_append(aw_secret *secret, const void *bytes, size_t size);

/** True when the contents are equal; time depends on the lengths only. */
bool aw_secret_equal(const aw_secret *secret, const void *bytes, size_t size);

/** Wipes the contents and sets size to 0. */
void aw_secret_wipe(aw_secret *secret);

/** Wipes, unlocks, releases and nulls; NULL is allowed. */
void aw_secret_free(aw_secret **secret);

/** Wipes and releases a text (char **) that holds a secret; for AW_CLEANUP. NULL is allowed. */
void aw_secret_text_free(char **text);

#endif
