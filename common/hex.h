/**
 * @file hex.h
 * @brief Digests as lower-case hexadecimal text.
 */
#ifndef AW_COMMON_HEX_H
#define AW_COMMON_HEX_H

#include <stddef.h>

/** Writes 2 * size lower-case digits and a NUL. */
void aw_hex(const void *bytes, size_t size, char *out);

#endif
