#include "audit/base64.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/io.h"

aw_result
audit_base64_encode(const void *bytes, size_t size, char **out)
{
    *out = NULL;
    if (size > INT_MAX / 2)
        return aw_fail(AW_CODE_LIMIT, "%zu octets are too many for base64", size);
    char *text = malloc((size + 2) / 3 * 4 + 1);
    if (text == NULL)
        return aw_fail_memory();
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);
    *out = text;
    return AW_OK;
}

/* OpenSSL's decoder puts up with white space, padding anywhere and unused bits that are not zero.
 */
static aw_result
check_canonical(const char *text, size_t length, const uint8_t *bytes, size_t size, bool *canonical)
{
    AW_CLEANUP(aw_free) char *again = NULL;

    AW_TRY(audit_base64_encode(bytes, size, &again));
    *canonical = strlen(again) == length && memcmp(again, text, length) == 0;
    return AW_OK;
}

aw_result
audit_base64_decode(const char *text, size_t length, uint8_t **out, size_t *size)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    bool canonical = false;

    *out = NULL;
    if (length == 0 || length % 4 != 0 || length > INT_MAX / 2)
        return aw_fail(AW_CODE_SYNTAX, "no base64 has %zu characters", length);
    bytes = malloc(length / 4 * 3);
    if (bytes == NULL)
        return aw_fail_memory();
    int found = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length);
    if (found > 0) /* it counts the padding as octets */
        found -= (text[length - 1] == '=') + (text[length - 2] == '=');
    if (found > 0)
        AW_TRY(check_canonical(text, length, bytes, (size_t)found, &canonical));
    if (!canonical)
        return aw_fail(AW_CODE_SYNTAX, "found \"%.*s%s\", expected base64 (RFC 4648 section 4)",
            (int)(length < 40 ? length : 40), text, length < 40 ? "" : "...");
    *size = (size_t)found;
    *out = AW_MOVE(bytes);
    return AW_OK;
}
