/* What holds for challenges whatever way they are met. */
#include <string.h>

#include <openssl/evp.h>

#include "client/challenge.h"
#include "common/hex.h"

aw_result
challenge_digest(const char *key_authorization, uint8_t out[AW_DIGEST_SIZE])
{
    unsigned size = 0;

    if (EVP_Digest(key_authorization, strlen(key_authorization), out, &size, EVP_sha256(), NULL) !=
        1)
        return aw_fail_openssl("can't digest a key authorization");
    return AW_OK;
}

static const char *const types[] = {"http-01", "dns-01", "tls-alpn-01"};

/* certbot's short names beside those of the RFCs. */
static bool
is_type(const char *word, size_t length, const char *type)
{
    size_t whole = strlen(type);

    return (length == whole || length + strlen("-01") == whole) && strncmp(word, type, length) == 0;
}

/* The word at *list, without blanks around it; *list goes behind its comma, or NULL at the end. */
static const char *
next_word(const char **list, size_t *length)
{
    const char *word = *list + strspn(*list, " ");
    size_t whole = strcspn(word, ",");

    *list = word[whole] == '\0' ? NULL : word + whole + 1;
    while (whole > 0 && word[whole - 1] == ' ')
        whole--;
    *length = whole;
    return word;
}

size_t
challenge_preference(const char *list, const char *type)
{
    for (size_t place = 1; list != NULL; place++) {
        size_t length;
        const char *word = next_word(&list, &length);
        if (is_type(word, length, type))
            return place;
    }
    return 0;
}

aw_result
challenge_preferences_check(const char *list)
{
    while (list != NULL) {
        size_t length;
        const char *word = next_word(&list, &length);
        bool known = false;
        for (size_t i = 0; i < AW_COUNT(types); i++)
            known = known || is_type(word, length, types[i]);
        if (!known)
            return aw_hint(aw_fail(AW_CODE_USAGE, "--preferred-challenges: found \"%.*s\"",
                               (int)(length < 40 ? length : 40), word),
                "expected http, dns or tls-alpn, or several with commas between, the best first");
    }
    return AW_OK;
}
