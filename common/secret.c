#include "common/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/crypto.h>

static size_t
round_to_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

static aw_result
map_pages(size_t size, uint8_t **out)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return aw_fail_memory();
    if (mlock(pages, size) != 0) {
        aw_result r = aw_fail_errno(AW_CODE_PERMISSION, "can't lock %zu bytes for a secret", size);
        munmap(pages, size);
        return aw_hint(r, "raise the memory lock limit (LimitMEMLOCK=, ulimit -l)");
    }
    if (madvise(pages, size, MADV_DONTDUMP) != 0 || madvise(pages, size, MADV_DONTFORK) != 0) {
        aw_result r = aw_fail_errno(AW_CODE_IO, "can't keep a secret out of core dumps");
        munmap(pages, size);
        return r;
    }
    *out = pages;
    return AW_OK;
}

aw_result
aw_secret_new(size_t capacity, aw_secret **out)
{
    if (capacity == 0 || capacity > AW_SECRET_MAX)
        return aw_fail(AW_CODE_LIMIT, "a secret of %zu bytes is not possible (1 to %d)", capacity,
            AW_SECRET_MAX);
    aw_secret *secret = calloc(1, sizeof(*secret));
    if (secret == NULL)
        return aw_fail_memory();
    aw_result r = map_pages(round_to_pages(capacity), &secret->data);
    if (!aw_ok(r)) {
        free(secret);
        return r;
    }
    secret->capacity = capacity;
    *out = secret;
    return AW_OK;
}

aw_result
aw_secret_append(aw_secret *secret, const void *bytes, size_t size)
{
    if (size > secret->capacity - secret->size)
        return aw_fail(
            AW_CODE_LIMIT, "the secret is longer than the %zu bytes expected", secret->capacity);
    if (size > 0)
        memcpy(secret->data + secret->size, bytes, size);
    secret->size += size;
    return AW_OK;
}

bool
aw_secret_equal(const aw_secret *secret, const void *bytes, size_t size)
{
    return secret->size == size && CRYPTO_memcmp(secret->data, bytes, size) == 0;
}

void
aw_secret_wipe(aw_secret *secret)
{
    OPENSSL_cleanse(secret->data, secret->capacity);
    secret->size = 0;
}

void
aw_secret_free(aw_secret **secret)
{
    if (secret == NULL || *secret == NULL)
        return;
    aw_secret_wipe(*secret);
    munmap((*secret)->data, round_to_pages((*secret)->capacity));
    free(*secret);
    *secret = NULL;
}

void
aw_secret_text_free(char **text)
{
    if (*text != NULL)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}
