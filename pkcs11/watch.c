/* Calls to the token that do not come back. */
#include <string.h>
#include <time.h>

#include "pkcs11/internal.h"

/* A smart card may take minutes for an RSA-4096 key. */
enum { GENERATION_FACTOR = 10 };

static long long
now_ms(void)
{
    struct timespec now;

    /* Coarse: a few milliseconds do not matter, and it is the cheapest that there is. */
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
token_session_enter(struct token_session *s, const char *function)
{
    atomic_store_explicit(&s->since, now_ms(), memory_order_relaxed);
    atomic_store_explicit(&s->function, function, memory_order_release);
}

static aw_result
watch_session(const token *t, struct token_session *s)
{
    const char *function = atomic_load_explicit(&s->function, memory_order_acquire);

    if (function == NULL)
        return AW_OK;
    long long limit = t->stuck_ms;
    if (strcmp(function, "C_GenerateKeyPair") == 0)
        limit *= GENERATION_FACTOR;
    long long waited = now_ms() - atomic_load_explicit(&s->since, memory_order_relaxed);
    if (waited <= limit)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_TOKEN_GONE, "the token has not answered %s for %lld s", function,
                       waited / 1000),
        "see whether the device, its driver or its service hangs; the service manager starts the "
        "signer anew");
}

aw_result
token_watch(token *t)
{
    AW_TRY(watch_session(t, &t->anchor));
    AW_TRY(watch_session(t, &t->writer));
    AW_TRY(watch_session(t, &t->asker));
    for (unsigned i = 0; i < t->pool.size; i++)
        AW_TRY(watch_session(t, &t->pool.sessions[i]));
    return AW_OK;
}
