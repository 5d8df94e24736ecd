/**
 * @file utf8.h
 * @brief One character of UTF-8 (RFC 3629): overlong forms, surrogates and values over U+10FFFF
 * are invalid. Small enough to be inline; glibc's own decoder depends on the locale.
 */
#ifndef AW_COMMON_UTF8_H
#define AW_COMMON_UTF8_H

#include <stddef.h>
#include <stdint.h>

/**
 * Decodes the character that begins at `text`, of which `left` octets (at least 1) may be read.
 * @return its octets, 1 to 4, or 0 when the first octet begins no valid character
 */
static inline size_t
aw_utf8_decode(const char *text, size_t left, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)text[0];
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (size == 0 || size > left || first > 0xf4)
        return 0;
    uint32_t value = size == 1 ? first : first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | ((uint8_t)text[i] & 0x3f);
    }
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *out = value;
    return size;
}

/** Encodes a valid character; returns its octets, 1 to 4. */
static inline size_t
aw_utf8_encode(uint32_t value, char out[4])
{
    size_t size = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;

    for (size_t i = size; i-- > 1; value >>= 6)
        out[i] = (char)(0x80 | (value & 0x3f));
    out[0] = (char)(size == 1 ? value : (0xf00u >> size & 0xff) | value);
    return size;
}

#endif
