#include "audit/hasher.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "common/hex.h"

struct audit_hasher {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

aw_result
audit_hasher_new(audit_hasher **out)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = calloc(1, sizeof(*hasher));

    if (hasher == NULL)
        return aw_fail_memory();
    hasher->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    hasher->context = EVP_MD_CTX_new();
    if (hasher->algorithm == NULL || hasher->context == NULL)
        return aw_fail_openssl("cannot get SHA-256 for the audit log");
    *out = AW_MOVE(hasher);
    return AW_OK;
}

void
audit_hasher_free(audit_hasher **hasher)
{
    if (*hasher == NULL)
        return;
    EVP_MD_CTX_free((*hasher)->context);
    EVP_MD_free((*hasher)->algorithm);
    free(*hasher);
    *hasher = NULL;
}

aw_result
audit_hasher_parts(
    audit_hasher *hasher, const struct audit_part *parts, size_t count, uint8_t out[AW_DIGEST_SIZE])
{
    bool good = EVP_DigestInit_ex2(hasher->context, hasher->algorithm, NULL) == 1;

    for (size_t i = 0; i < count && good; i++)
        good = EVP_DigestUpdate(hasher->context, parts[i].bytes, parts[i].size) == 1;
    if (!good || EVP_DigestFinal_ex(hasher->context, out, NULL) != 1)
        return aw_fail_openssl("cannot compute the digest of an audit record");
    return AW_OK;
}

aw_result
audit_hasher_line(
    audit_hasher *hasher, const char *line, size_t length, char out[AW_DIGEST_HEX_SIZE])
{
    const struct audit_part parts[] = {{line, length}, {"\n", 1}};
    uint8_t digest[AW_DIGEST_SIZE];

    AW_TRY(audit_hasher_parts(hasher, parts, AW_COUNT(parts), digest));
    aw_hex(digest, sizeof(digest), out);
    return AW_OK;
}
