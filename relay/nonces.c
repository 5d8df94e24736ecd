#include "relay/nonces.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/json.h"

enum { KEPT_SIZE = 16, STOCK_MAX = 4 * RELAY_NONCES_BATCH, NOBODY = -1 };

/* One that was given out: the beginning of its SHA-256, which nobody can aim at. */
struct given {
    uint8_t digest[KEPT_SIZE];
    int32_t next; /* in its bucket */
    bool there;
};

/* Those of one kind: a ring, the oldest is overwritten, with an index by digest. */
struct memory {
    struct given ring[RELAY_NONCES_GIVEN];
    int32_t buckets[RELAY_NONCES_GIVEN];
    size_t next;
};

struct relay_nonces {
    pthread_mutex_t lock;
    char stock[STOCK_MAX][RELAY_NONCE_SIZE];
    int64_t stock_until_ms[STOCK_MAX]; /* they would be refused by the signer then */
    size_t count;
    bool told_low;
    int64_t pause_until_ms; /* after a failure */
    int64_t keep_until_ms;  /* what is in stock, after it was dropped */
    struct memory kinds[RELAY_NONCE_KINDS];
};

aw_result
relay_nonces_new(struct relay_nonces **out)
{
    struct relay_nonces *nonces = calloc(1, sizeof(*nonces));

    if (nonces == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&nonces->lock, NULL);
    for (int kind = 0; kind < RELAY_NONCE_KINDS; kind++)
        for (size_t i = 0; i < RELAY_NONCES_GIVEN; i++)
            nonces->kinds[kind].buckets[i] = NOBODY;
    *out = nonces;
    return AW_OK;
}

void
relay_nonces_free(struct relay_nonces **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

/* Memory; all under the lock. */

static void
digest_of(const char *nonce, uint8_t out[KEPT_SIZE])
{
    uint8_t digest[AW_DIGEST_SIZE];

    SHA256((const unsigned char *)nonce, strlen(nonce), digest);
    memcpy(out, digest, KEPT_SIZE);
}

static int32_t *
bucket_of(struct memory *memory, const uint8_t digest[KEPT_SIZE])
{
    uint32_t number;

    memcpy(&number, digest, sizeof(number));
    return &memory->buckets[number % RELAY_NONCES_GIVEN];
}

/* True when it was there; it is not any more. */
static bool
forget(struct memory *memory, const uint8_t digest[KEPT_SIZE])
{
    for (int32_t *link = bucket_of(memory, digest); *link != NOBODY;
         link = &memory->ring[*link].next) {
        struct given *given = &memory->ring[*link];

        if (memcmp(given->digest, digest, KEPT_SIZE) != 0)
            continue;
        given->there = false;
        *link = given->next;
        return true;
    }
    return false;
}

static void
remember(struct memory *memory, const char *nonce)
{
    struct given *given = &memory->ring[memory->next];

    if (given->there)
        forget(memory, given->digest);
    digest_of(nonce, given->digest);
    int32_t *bucket = bucket_of(memory, given->digest);
    given->next = *bucket;
    given->there = true;
    *bucket = (int32_t)memory->next;
    memory->next = (memory->next + 1) % RELAY_NONCES_GIVEN;
}

bool
relay_nonces_use(struct relay_nonces *nonces, const char *nonce)
{
    uint8_t digest[KEPT_SIZE];
    bool good = false;

    digest_of(nonce, digest);
    pthread_mutex_lock(&nonces->lock);
    for (int kind = 0; kind < RELAY_NONCE_KINDS && !good; kind++)
        good = forget(&nonces->kinds[kind], digest);
    pthread_mutex_unlock(&nonces->lock);
    return good;
}

/* Stock. */

void
relay_nonces_drop(struct relay_nonces *nonces)
{
    int64_t now_ms = aw_now_ms();

    pthread_mutex_lock(&nonces->lock);
    if (now_ms >= nonces->keep_until_ms) {
        nonces->count = 0;
        nonces->keep_until_ms = now_ms + RELAY_NONCES_DROP_MS;
    }
    pthread_mutex_unlock(&nonces->lock);
}

/* Under the lock: the last that is still good; NOBODY: none. */
static int
last_good(struct relay_nonces *nonces)
{
    int64_t now_ms = aw_now_ms();

    while (nonces->count > 0 && nonces->stock_until_ms[nonces->count - 1] < now_ms)
        nonces->count--;
    return (int)nonces->count - 1;
}

bool
relay_nonces_ready(struct relay_nonces *nonces)
{
    pthread_mutex_lock(&nonces->lock);
    bool ready = last_good(nonces) != NOBODY;
    pthread_mutex_unlock(&nonces->lock);
    return ready;
}

bool
relay_nonces_low(struct relay_nonces *nonces)
{
    pthread_mutex_lock(&nonces->lock);
    bool low = nonces->count < RELAY_NONCES_LOW && !nonces->told_low &&
               aw_now_ms() >= nonces->pause_until_ms;
    nonces->told_low = nonces->told_low || low;
    pthread_mutex_unlock(&nonces->lock);
    return low;
}

/* RFC 8555 6.5.1: base64url. Under the lock. */
static aw_result
put_in_stock(struct relay_nonces *nonces, const char *nonce, int64_t until_ms)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = nonce == NULL ? 0 : strlen(nonce);

    if (length == 0 || length >= RELAY_NONCE_SIZE || strspn(nonce, set) != length)
        return aw_fail(AW_CODE_SYNTAX, "the signer's reply: a nonce is no base64url text");
    if (nonces->count == STOCK_MAX)
        return AW_OK;
    memcpy(nonces->stock[nonces->count], nonce, length + 1);
    nonces->stock_until_ms[nonces->count++] = until_ms;
    return AW_OK;
}

static aw_result
take_over(struct relay_nonces *nonces, const cJSON *reply, int64_t asked_ms)
{
    const cJSON *list, *item;
    int64_t lifetime;
    aw_result r = AW_OK;

    AW_TRY(aw_json_array(reply, "nonces", 1, RELAY_NONCES_BATCH, &list));
    AW_TRY(aw_json_integer(reply, "lifetime", 1, INT32_MAX, &lifetime));
    /* Half of the lifetime is the client's. */
    int64_t until_ms = asked_ms + lifetime * 1000 / 2;
    pthread_mutex_lock(&nonces->lock);
    cJSON_ArrayForEach(item, list)
    {
        if (aw_ok(r))
            r = put_in_stock(nonces, cJSON_GetStringValue(item), until_ms);
    }
    pthread_mutex_unlock(&nonces->lock);
    return r;
}

static aw_result
ask(struct relay_signer *signer, cJSON **reply)
{
    AW_CLEANUP(signer_refusal_free) struct signer_refusal refusal = {0};
    char parameters[64];

    snprintf(parameters, sizeof(parameters), "{\"count\":%d}", RELAY_NONCES_BATCH);
    return relay_signer_call(signer, "GetNonces", parameters, &refusal, reply);
}

aw_result
relay_nonces_fetch(struct relay_nonces *nonces, struct relay_signer *signer)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    int64_t asked_ms = aw_now_ms();

    aw_result r = ask(signer, &reply);
    if (aw_ok(r))
        r = take_over(nonces, reply, asked_ms);
    pthread_mutex_lock(&nonces->lock);
    nonces->told_low = false;
    if (!aw_ok(r))
        nonces->pause_until_ms = aw_now_ms() + RELAY_NONCES_PAUSE_MS;
    pthread_mutex_unlock(&nonces->lock);
    return r;
}

static bool
pauses(struct relay_nonces *nonces)
{
    pthread_mutex_lock(&nonces->lock);
    bool pauses = aw_now_ms() < nonces->pause_until_ms;
    pthread_mutex_unlock(&nonces->lock);
    return pauses;
}

/* True when there was one. */
static bool
try_give(struct relay_nonces *nonces, enum relay_nonce_kind kind, char out[RELAY_NONCE_SIZE])
{
    pthread_mutex_lock(&nonces->lock);
    int last = last_good(nonces);
    if (last != NOBODY) {
        memcpy(out, nonces->stock[last], RELAY_NONCE_SIZE);
        nonces->count--;
        remember(&nonces->kinds[kind], out);
    }
    pthread_mutex_unlock(&nonces->lock);
    return last != NOBODY;
}

aw_result
relay_nonces_give(struct relay_nonces *nonces, struct relay_signer *signer,
    enum relay_nonce_kind kind, char out[RELAY_NONCE_SIZE])
{
    if (try_give(nonces, kind, out))
        return AW_OK;
    out[0] = '\0';
    if (signer == NULL || pauses(nonces))
        return aw_fail(AW_CODE_BUSY, "no nonce is in stock");
    AW_TRY(relay_nonces_fetch(nonces, signer));
    return try_give(nonces, kind, out) ? AW_OK
                                       : aw_fail(AW_CODE_BUSY, "the nonces were gone at once");
}
