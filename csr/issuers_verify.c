/* A chain against the pinned issuers, by OpenSSL (RFC 5280 6). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "common/openssl.h"
#include "csr/issuers.h"

/* OpenSSL's level 2: 112 bits, so no SHA-1 and no RSA below 2048 (SSL_CTX_set_security_level(3)).
 */
enum { STRENGTH = 2 };

static void
release_stack(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
}

static void
release_context(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
}

/* In the context of our own: its providers verify the signatures. NULL: it can't be read. */
static aw_result
parse(OSSL_LIB_CTX *libctx, const uint8_t *der, size_t size, X509 **out)
{
    const unsigned char *at = der;
    X509 *x509 = X509_new_ex(libctx, NULL);

    *out = NULL;
    if (x509 == NULL)
        return aw_fail_memory();
    /* d2i frees and nulls what it was given when it fails */
    if (d2i_X509(&x509, &at, (long)size) != NULL && at != der + size) {
        X509_free(x509);
        x509 = NULL;
    }
    if (x509 == NULL && aw_openssl_lacked_memory())
        return aw_fail_memory();
    ERR_clear_error();
    *out = x509;
    return AW_OK;
}

static aw_result
push(OSSL_LIB_CTX *libctx, const uint8_t *der, size_t size, STACK_OF(X509) * stack)
{
    X509 *x509 = NULL;

    AW_TRY(parse(libctx, der, size, &x509));
    if (x509 == NULL)
        return aw_fail(AW_CODE_SYNTAX, "a certificate of the chain can't be read");
    if (sk_X509_push(stack, x509) > 0)
        return AW_OK;
    X509_free(x509);
    return aw_fail_memory();
}

/* What is needed for one verification. */
struct parts {
    X509 *leaf;
    STACK_OF(X509) * trusted;
    STACK_OF(X509) * untrusted;
};

static void
release_parts(struct parts *parts)
{
    aw_x509_free(&parts->leaf);
    release_stack(&parts->trusted);
    release_stack(&parts->untrusted);
}

static aw_result
make_parts(
    const issuers *list, const struct issuers_chain *chain, OSSL_LIB_CTX *libctx, struct parts *out)
{
    out->trusted = sk_X509_new_null();
    out->untrusted = sk_X509_new_null();
    if (out->trusted == NULL || out->untrusted == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < issuers_count(list); i++) {
        struct issuers_item item = issuers_item(list, i);
        AW_TRY(push(libctx, item.der, item.size, out->trusted));
    }
    for (size_t i = 0; i < chain->above_count && i < ISSUERS_CHAIN_MAX; i++)
        AW_TRY(push(libctx, chain->above[i], chain->above_sizes[i], out->untrusted));
    AW_TRY(parse(libctx, chain->leaf, chain->leaf_size, &out->leaf));
    return out->leaf != NULL ? AW_OK : aw_fail(AW_CODE_SYNTAX, "the certificate can't be read");
}

static int64_t
seconds_of(const ASN1_TIME *time, int64_t otherwise)
{
    struct tm parts;

    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : otherwise;
}

/* Who issued it does not change when it ends; a CA's clock may be a little ahead of ours. */
static int64_t
time_of(const X509 *leaf, int64_t now)
{
    int64_t begin = seconds_of(X509_get0_notBefore(leaf), now);
    int64_t end = seconds_of(X509_get0_notAfter(leaf), now);

    if (now < begin && begin - now <= ISSUERS_CLOCK_SKEW)
        return begin;
    return now < end ? now : end - 1; /* OpenSSL takes the last second for too late */
}

static void
set_parameters(X509_STORE_CTX *context, int64_t when)
{
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);

    /* A pinned intermediate is trusted as it is: its root need not be pinned too. */
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_depth(parameters, ISSUERS_CHAIN_MAX);
    X509_VERIFY_PARAM_set_auth_level(parameters, STRENGTH);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)when);
}

static aw_result
verify(const struct parts *parts, OSSL_LIB_CTX *libctx, int64_t now, bool *verified,
    char reason[ISSUERS_REASON_SIZE])
{
    AW_CLEANUP(release_context) X509_STORE_CTX *context = X509_STORE_CTX_new_ex(libctx, NULL);

    if (context == NULL || X509_STORE_CTX_init(context, NULL, parts->leaf, parts->untrusted) != 1)
        return aw_fail_openssl("preparing the verification of a chain");
    X509_STORE_CTX_set0_trusted_stack(context, parts->trusted);
    set_parameters(context, time_of(parts->leaf, now));
    int answer = X509_verify_cert(context);
    int error = X509_STORE_CTX_get_error(context);
    *verified = answer == 1 && error == X509_V_OK;
    bool lacked = aw_openssl_lacked_memory();
    if (error == X509_V_ERR_OUT_OF_MEM || (!*verified && lacked))
        return aw_fail_memory();
    if (!*verified)
        snprintf(reason, ISSUERS_REASON_SIZE, "%s, at certificate %d of the chain",
            X509_verify_cert_error_string(error), X509_STORE_CTX_get_error_depth(context));
    return AW_OK;
}

static aw_result
verify_once(const issuers *list, const struct issuers_chain *chain, OSSL_LIB_CTX *libctx,
    int64_t now, bool *verified, char reason[ISSUERS_REASON_SIZE])
{
    AW_CLEANUP(release_parts) struct parts parts = {0};

    *verified = false;
    reason[0] = '\0';
    aw_result r = make_parts(list, chain, libctx, &parts);
    if (r.code == AW_CODE_SYNTAX) {
        snprintf(reason, ISSUERS_REASON_SIZE, "%.200s", aw_error_last()->message);
        return AW_OK;
    }
    AW_TRY(r);
    return verify(&parts, libctx, now, verified, reason);
}

/* A doubt counts when OpenSSL has it twice: when it lacks memory for a moment it says of a good
 * chain that it is none, and an alarm would say so of the CA. */
aw_result
issuers_verify(const issuers *list, const struct issuers_chain *chain, OSSL_LIB_CTX *libctx,
    int64_t now, bool *verified, char reason[ISSUERS_REASON_SIZE])
{
    AW_TRY(verify_once(list, chain, libctx, now, verified, reason));
    return *verified ? AW_OK : verify_once(list, chain, libctx, now, verified, reason);
}
