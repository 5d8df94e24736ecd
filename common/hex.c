#include "common/hex.h"

#include <stdint.h>

void
aw_hex(const void *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *octets = bytes;

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[octets[i] >> 4];
        out[2 * i + 1] = digits[octets[i] & 15];
    }
    out[2 * size] = '\0';
}
