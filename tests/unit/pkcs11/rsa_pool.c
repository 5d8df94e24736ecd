/* RSA_* is what SoftHSM 2.6 calls, and deprecated in OpenSSL 3. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "rsa_pool.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/rsa.h>

enum { SIZES_MAX = 4, KEYS = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int bits;
    unsigned asked;
    RSA *keys[KEYS];
} pool[SIZES_MAX];

typedef int (*generator)(RSA *rsa, int bits, BIGNUM *exponent, BN_GENCB *callback);

static int
generate(RSA *rsa, int bits, BIGNUM *exponent, BN_GENCB *callback)
{
    void *symbol = dlsym(RTLD_NEXT, "RSA_generate_key_ex");
    generator real;

    memcpy(&real, &symbol, sizeof(real));
    return symbol == NULL ? 0 : real(rsa, bits, exponent, callback);
}

static bool
copy(RSA *to, const RSA *from)
{
    const BIGNUM *n, *e, *d, *p, *q, *dmp1, *dmq1, *iqmp;

    RSA_get0_key(from, &n, &e, &d);
    RSA_get0_factors(from, &p, &q);
    RSA_get0_crt_params(from, &dmp1, &dmq1, &iqmp);
    return RSA_set0_key(to, BN_dup(n), BN_dup(e), BN_dup(d)) == 1 &&
           RSA_set0_factors(to, BN_dup(p), BN_dup(q)) == 1 &&
           RSA_set0_crt_params(to, BN_dup(dmp1), BN_dup(dmq1), BN_dup(iqmp)) == 1;
}

static RSA **
next_place(int bits)
{
    for (unsigned i = 0; i < SIZES_MAX; i++) {
        if (pool[i].bits != 0 && pool[i].bits != bits)
            continue;
        pool[i].bits = bits;
        return &pool[i].keys[pool[i].asked++ % KEYS];
    }
    return NULL;
}

int RSA_generate_key_ex(RSA *rsa, int bits, BIGNUM *exponent, BN_GENCB *callback);

int
RSA_generate_key_ex(RSA *rsa, int bits, BIGNUM *exponent, BN_GENCB *callback)
{
    pthread_mutex_lock(&lock);
    RSA **place = BN_is_word(exponent, RSA_F4) ? next_place(bits) : NULL;
    if (place != NULL && *place == NULL) {
        *place = RSA_new();
        if (*place == NULL || generate(*place, bits, exponent, callback) != 1) {
            RSA_free(*place);
            *place = NULL;
        }
    }
    bool copied = place != NULL && *place != NULL && copy(rsa, *place);
    pthread_mutex_unlock(&lock);
    return copied ? 1 : place != NULL ? 0 : generate(rsa, bits, exponent, callback);
}

void
rsa_pool_use(void)
{
}
