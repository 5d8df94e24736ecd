/**
 * @file base64.h
 * @brief Strict base64 with padding (RFC 4648 section 4), as notes have it. Private to audit/.
 */
#ifndef AW_AUDIT_BASE64_H
#define AW_AUDIT_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/json.h"
#include "common/result.h"

/** Encodes into a new string; release with free(). */
AW_MUST_USE aw_result audit_base64_encode(const void *bytes, size_t size, char **out);

/**
 * Decodes the one text that the encoder writes for these octets; anything else, the empty text
 * included, is refused (AW_CODE_SYNTAX). Release with free(). AW_CODE_MEMORY says nothing of the
 * text, and is to be passed on as it is.
 */
AW_MUST_USE aw_result audit_base64_decode(
    const char *text, size_t length, uint8_t **out, size_t *size);

#endif
