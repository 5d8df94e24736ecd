#include "signer/relay_nonces.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/b64url.h"
#include "common/config.h"
#include "common/lock.h"

enum { KEY_SIZE = 32, MAC_SIZE = 17, BODY_SIZE = 16, OCTETS = BODY_SIZE + MAC_SIZE };

_Static_assert(AW_B64URL_LENGTH(OCTETS) + 1 == RELAY_NONCE_SIZE, "a nonce's characters");

/* A relay's nonces: serial numbers below `next`; a bit of `used` for each of the last ones. */
struct window {
    char base[AW_CONFIG_RELAY_URL_MAX + 1]; /* "": free */
    uint64_t next;
    int64_t asked;
    uint8_t *used;
};

struct relay_nonces {
    pthread_mutex_t lock;
    uint64_t size; /* of a window */
    uint8_t key[KEY_SIZE];
    struct window windows[RELAY_NONCE_BASES_MAX];
};

struct nonce {
    uint64_t serial;
    int64_t made;
};

aw_result
relay_nonces_new(size_t window, relay_nonces **out)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&self->lock, NULL);
    self->size = window;
    if (RAND_priv_bytes(self->key, sizeof(self->key)) != 1)
        return aw_fail_openssl("making a key for nonces");
    *out = AW_MOVE(self);
    return AW_OK;
}

void
relay_nonces_free(relay_nonces **slot)
{
    if (*slot == NULL)
        return;
    for (size_t i = 0; i < RELAY_NONCE_BASES_MAX; i++)
        free((*slot)->windows[i].used);
    OPENSSL_cleanse((*slot)->key, sizeof((*slot)->key));
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

static struct window *
find(relay_nonces *self, const char *base)
{
    for (size_t i = 0; i < RELAY_NONCE_BASES_MAX; i++)
        if (strcmp(self->windows[i].base, base) == 0)
            return &self->windows[i];
    return NULL;
}

/* A free window, or the one that was asked for longest ago. */
static struct window *
choose(relay_nonces *self)
{
    struct window *chosen = &self->windows[0];

    for (size_t i = 0; i < RELAY_NONCE_BASES_MAX; i++) {
        if (self->windows[i].base[0] == '\0')
            return &self->windows[i];
        if (self->windows[i].asked < chosen->asked)
            chosen = &self->windows[i];
    }
    return chosen;
}

/* Serial numbers begin anywhere: those of a window that ended are not those of the next. */
static aw_result
open_window(relay_nonces *self, const char *base, struct window **out)
{
    struct window *window = find(self, base);
    uint32_t start;

    *out = window;
    if (window != NULL)
        return AW_OK;
    window = choose(self);
    if (strlen(base) >= sizeof(window->base))
        return aw_fail(AW_CODE_INTERNAL, "a relay's URL is too long");
    if (window->used == NULL)
        window->used = calloc(1, self->size / 8);
    if (window->used == NULL)
        return aw_fail_memory();
    if (RAND_bytes((uint8_t *)&start, sizeof(start)) != 1)
        return aw_fail_openssl("beginning a relay's nonces");
    memset(window->used, 0, self->size / 8);
    memcpy(window->base, base, strlen(base) + 1);
    window->next = ((uint64_t)start << 24) + self->size;
    *out = window;
    return AW_OK;
}

static uint8_t *
bit_of(const relay_nonces *self, struct window *window, uint64_t serial, uint8_t *mask)
{
    uint64_t place = serial % self->size;

    *mask = (uint8_t)(1u << place % 8);
    return &window->used[place / 8];
}

static void
put(uint64_t value, uint8_t out[8])
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t
get(const uint8_t in[8])
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

static aw_result
compute_mac(const relay_nonces *self, const char *base, const uint8_t body[BODY_SIZE],
    uint8_t out[EVP_MAX_MD_SIZE])
{
    uint8_t input[BODY_SIZE + AW_CONFIG_RELAY_URL_MAX];
    size_t length = strlen(base), size;

    if (length > AW_CONFIG_RELAY_URL_MAX)
        return aw_fail(AW_CODE_INTERNAL, "a relay's URL is too long");
    memcpy(input, body, BODY_SIZE);
    memcpy(input + BODY_SIZE, base, length);
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, self->key, sizeof(self->key), input,
            BODY_SIZE + length, out, EVP_MAX_MD_SIZE, &size) == NULL)
        return aw_fail_openssl("computing a nonce");
    return AW_OK;
}

static aw_result
write_nonce(const relay_nonces *self, const char *base, const struct nonce *nonce,
    char out[RELAY_NONCE_SIZE])
{
    uint8_t octets[OCTETS], mac[EVP_MAX_MD_SIZE];

    put(nonce->serial, octets);
    put((uint64_t)nonce->made, octets + 8);
    AW_TRY(compute_mac(self, base, octets, mac));
    memcpy(octets + BODY_SIZE, mac, MAC_SIZE);
    aw_b64url_encode(octets, sizeof(octets), out);
    return AW_OK;
}

/* False: it is none of ours. */
static aw_result
read_nonce(
    const relay_nonces *self, const char *base, const char *text, struct nonce *out, bool *own)
{
    uint8_t octets[OCTETS], mac[EVP_MAX_MD_SIZE];
    size_t size;

    *own = false;
    if (strlen(text) != RELAY_NONCE_SIZE - 1 ||
        !aw_ok(aw_b64url_decode(text, strlen(text), octets, sizeof(octets), &size)))
        return AW_OK;
    AW_TRY(compute_mac(self, base, octets, mac));
    *own = CRYPTO_memcmp(mac, octets + BODY_SIZE, MAC_SIZE) == 0;
    *out = (struct nonce){get(octets), (int64_t)get(octets + 8)};
    return AW_OK;
}

aw_result
relay_nonces_make(
    relay_nonces *self, const char *base, int64_t now, char (*out)[RELAY_NONCE_SIZE], size_t count)
{
    struct window *window;
    uint8_t mask;

    AW_HOLD(&self->lock);
    AW_TRY(open_window(self, base, &window));
    window->asked = now;
    for (size_t i = 0; i < count; i++) {
        struct nonce nonce = {window->next, now};
        AW_TRY(write_nonce(self, base, &nonce, out[i]));
        uint8_t *octet = bit_of(self, window, window->next++, &mask);
        *octet = (uint8_t)(*octet & ~mask);
    }
    return AW_OK;
}

aw_result
relay_nonces_use(
    relay_nonces *self, const char *base, const char *text, int64_t now, enum relay_nonce *out)
{
    struct nonce nonce;
    uint8_t mask;
    bool own;

    *out = RELAY_NONCE_UNKNOWN;
    AW_TRY(read_nonce(self, base, text, &nonce, &own));
    AW_HOLD(&self->lock);
    struct window *window = find(self, base);
    if (!own || window == NULL || nonce.serial >= window->next)
        return AW_OK;
    *out = RELAY_NONCE_OLD;
    if (now - nonce.made > INT64_C(1000) * RELAY_NONCE_LIFETIME ||
        window->next - nonce.serial > self->size)
        return AW_OK;
    uint8_t *octet = bit_of(self, window, nonce.serial, &mask);
    *out = (*octet & mask) != 0 ? RELAY_NONCE_USED : RELAY_NONCE_GOOD;
    *octet |= mask;
    return AW_OK;
}

void
relay_nonces_give_back(relay_nonces *self, const char *base, const char *text)
{
    struct nonce nonce;
    uint8_t mask;
    bool own;

    if (!aw_ok(read_nonce(self, base, text, &nonce, &own)) || !own)
        return; /* it stays used */
    AW_HOLD(&self->lock);
    struct window *window = find(self, base);
    if (window == NULL || nonce.serial >= window->next || window->next - nonce.serial > self->size)
        return;
    uint8_t *octet = bit_of(self, window, nonce.serial, &mask);
    *octet = (uint8_t)(*octet & ~mask);
}
