/*
 * RSA moduli that are known to be unsafe, as the CA/Browser Forum's requirements (6.1.1.3, 6.1.6)
 * have CAs refuse them: small factors, factors close together, and keys of CVE-2017-15361 (ROCA).
 */
#include <openssl/bn.h>

#include "csr/fields.h"

enum {
    FACTOR_LIMIT = 752, /* SP 800-89 5.3.3: no factor below */
    ROCA_LIMIT = 701,   /* the 126th prime: primes of ROCA keys from 2048 bits on depend on all */
    ROCA_GENERATOR = 65537,
    FERMAT_ROUNDS = 100, /* BR 6.1.1.3 */
};

static bool
is_small_prime(unsigned number)
{
    for (unsigned d = 2; d * d <= number; d++)
        if (number % d == 0)
            return false;
    return number > 1;
}

/* True when `rest` is a power of the generator modulo `prime`. */
static bool
is_roca_rest(unsigned rest, unsigned prime)
{
    unsigned power = 1;

    do {
        if (power == rest)
            return true;
        power = power * (ROCA_GENERATOR % prime) % prime;
    } while (power != 1);
    return false;
}

/*
 * ROCA's primes are k * M + (65537^a mod M), M the product of the small primes, so that modulo each
 * of these n is a power of 65537. By chance that holds for one modulus in more than 2^100.
 */
static aw_result
check_small_primes(struct csr_fields *f, const BIGNUM *n)
{
    bool roca = true;

    for (unsigned prime = 2; prime < FACTOR_LIMIT; prime++) {
        if (!is_small_prime(prime))
            continue;
        BN_ULONG rest = BN_mod_word(n, prime);
        if (rest == (BN_ULONG)-1)
            return aw_fail_openssl("CSR: dividing the RSA modulus");
        if (rest == 0)
            return csr_refuse(f, CSR_BAD_KEY_WEAK, "the RSA modulus is divisible by %u", prime);
        /* 2 divides no modulus here, and is no test of the power. */
        roca = roca && (prime > ROCA_LIMIT || is_roca_rest((unsigned)rest, prime));
    }
    if (roca)
        return csr_refuse(
            f, CSR_BAD_KEY_WEAK, "the RSA key was made by a faulty token (CVE-2017-15361)");
    return AW_OK;
}

/* Squares leave few of the remainders; most numbers are found out here. */
static bool
may_be_square(const BIGNUM *number)
{
    static const unsigned moduli[] = {64, 63, 65, 11, 17, 19, 23};

    for (size_t i = 0; i < AW_COUNT(moduli); i++) {
        BN_ULONG rest = BN_mod_word(number, moduli[i]);
        bool found = false;
        for (unsigned root = 0; root < moduli[i] && !found; root++)
            found = root * root % moduli[i] == rest;
        if (!found)
            return false;
    }
    return true;
}

/* The greatest root whose square is at most `number`: Newton's method from above. */
static bool
square_root(BIGNUM *root, const BIGNUM *number, BN_CTX *context)
{
    BN_CTX_start(context);
    BIGNUM *next = BN_CTX_get(context);
    bool ok = next != NULL;

    ok = ok && BN_set_bit(next, (BN_num_bits(number) + 1) / 2) == 1;
    do {
        ok = ok && BN_copy(root, next) != NULL;
        ok = ok && BN_div(next, NULL, number, root, context) == 1;
        ok = ok && BN_add(next, next, root) == 1 && BN_rshift1(next, next) == 1;
    } while (ok && BN_cmp(next, root) < 0);
    BN_CTX_end(context);
    return ok;
}

/* What Fermat's method works on: number = middle^2 - square. */
struct fermat {
    BIGNUM *middle, *square, *step, *root;
};

static bool
is_square(struct fermat *t, BN_CTX *context, bool *out)
{
    *out = false;
    if (!may_be_square(t->square))
        return true;
    if (!square_root(t->root, t->square, context) || BN_sqr(t->step, t->root, context) != 1)
        return false;
    *out = BN_cmp(t->step, t->square) == 0;
    return true;
}

/* (middle + 1)^2 = middle^2 + 2 * middle + 1 */
static bool
advance(struct fermat *t)
{
    return BN_lshift1(t->step, t->middle) == 1 && BN_add_word(t->step, 1) == 1 &&
           BN_add(t->square, t->square, t->step) == 1 && BN_add_word(t->middle, 1) == 1;
}

static bool
find_close_factors(const BIGNUM *n, struct fermat *t, BN_CTX *context, bool *out)
{
    bool ok = square_root(t->middle, n, context) && BN_sqr(t->square, t->middle, context) == 1 &&
              BN_sub(t->square, t->square, n) == 1; /* at most 0 */

    *out = ok && BN_is_zero(t->square);
    for (int i = 0; ok && !*out && i < FERMAT_ROUNDS; i++)
        ok = advance(t) && is_square(t, context, out);
    return ok;
}

static aw_result
check_close_factors(struct csr_fields *f, const BIGNUM *n)
{
    BN_CTX *context = BN_CTX_new();
    bool close = false, ok = false;

    if (context == NULL)
        return aw_fail_memory();
    BN_CTX_start(context);
    struct fermat t = {
        BN_CTX_get(context), BN_CTX_get(context), BN_CTX_get(context), BN_CTX_get(context)};
    if (t.root != NULL)
        ok = find_close_factors(n, &t, context, &close);
    BN_CTX_end(context);
    BN_CTX_free(context);
    if (!ok)
        return aw_fail_openssl("CSR: looking for factors of the RSA modulus");
    if (close)
        return csr_refuse(f, CSR_BAD_KEY_WEAK, "the factors of the RSA modulus are too close");
    return AW_OK;
}

aw_result
csr_rsa_check(struct csr_fields *f)
{
    BIGNUM *n = BN_bin2bn(f->key_value.data, (int)f->key_value.size, NULL);

    if (n == NULL)
        return aw_fail_memory();
    aw_result r = check_small_primes(f, n);
    if (aw_ok(r))
        r = check_close_factors(f, n);
    BN_free(n);
    return r;
}
