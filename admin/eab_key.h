/**
 * @file eab_key.h
 * @brief Reads an EAB HMAC key from a person: terminal without echo, standard input, descriptor.
 */
#ifndef AW_ADMIN_EAB_KEY_H
#define AW_ADMIN_EAB_KEY_H

#include <stdbool.h>

#include "common/result.h"
#include "common/secret.h"

/** Octets of a key. */
enum { ADMIN_EAB_KEY_MAX = 512 };

/** What to tell when the key was encoded twice. */
#define ADMIN_EAB_TWICE \
    "  the text was base64 of base64, as Google's tool prints it: it was decoded twice"

/**
 * Reads and decodes a key: base64url or base64, padded or not, also encoded once more.
 * @param key_fd number of a descriptor as text; NULL: standard input
 * @param[out] twice it was encoded twice
 */
AW_MUST_USE aw_result admin_eab_key_read(const char *key_fd, aw_secret **out, bool *twice);

#endif
