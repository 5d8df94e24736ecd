/* The key of an order in a token: the one that the URI names, made there when it is not there yet.
 * It is kept at renewals, since the servers' settings name it, and it can't have been copied. */
#include <string.h>

#include <openssl/evp.h>

#include "client/certonly.h"
#include "client/chain.h"
#include "common/io.h"

bool
certonly_same_uri(const char *asked, const char *stored)
{
    AW_CLEANUP(aw_free) char *checked = NULL;

    if (asked == NULL || stored == NULL)
        return asked == stored;
    return aw_ok(host_key_uri_check(asked, &checked)) && strcmp(checked, stored) == 0;
}

aw_result
certonly_token_open(
    const struct client_config *config, const char *uri, bool unattended, host_key **out)
{
    AW_CLEANUP(aw_free) char *lock = NULL;

    AW_TRY(aw_format(&lock, "%s/archive/.token.lock", config->certificates));
    const struct host_key_place place = {.uri = uri,
        .lock = lock,
        .module = config->pkcs11_module,
        .pin_file = config->key_pin_file,
        .unattended = unattended};

    return host_key_open(&place, out);
}

static aw_result
open_asked(const struct certonly *c, host_key **out)
{
    return certonly_token_open(c->config, c->options->key_uri, c->renewal != NULL, out);
}

/* A key that others may have is none of this option's, unless it is asked for knowingly. */
static aw_result
refuse_exposed(const struct certonly *c, const host_key *k)
{
    const char *why = host_key_exposure(k);

    if (why == NULL)
        return AW_OK;
    if (!c->options->reuse_key)
        return aw_hint(
            aw_fail(AW_CODE_EXISTS, "the token has a key %s, but %s", c->options->key_uri, why),
            "another object= has a new key made; --reuse-key takes this one as it is");
    output_warning(c->out, "the key in the token is used as asked, but %s", why);
    return AW_OK;
}

/* An existing key's type is what it is. */
static aw_result
take_type(struct certonly *c, const char *type)
{
    const char *asked = c->options->key_type;

    if (asked != NULL && strcmp(asked, type) != 0)
        return aw_hint(
            aw_fail(AW_CODE_MISMATCH, "the key in the token is of type %s, not %s", type, asked),
            "another object= in --key-uri has a new key made");
    for (size_t i = 0; chain_key_types[i] != NULL; i++)
        if (strcmp(chain_key_types[i], type) == 0)
            c->key_type = chain_key_types[i];
    if (strcmp(c->key_type, type) != 0 || !whoami_has(c->application, "keys", type))
        return aw_hint(aw_fail(AW_CODE_REFUSED,
                           "refused: the key in the token is of type %s, which is not among the "
                           "key types of %s (rule keys)",
                           type, c->application->name),
            "another object= in --key-uri has a new key made; or ask %s", c->application->owner);
    return AW_OK;
}

static aw_result
find(struct certonly *c, host_key *k, EVP_PKEY **key, OSSL_LIB_CTX **libctx)
{
    aw_result r = host_key_find(k);

    if (!aw_ok(r))
        return r;
    AW_TRY(refuse_exposed(c, k));
    AW_TRY(host_key_load(k, key, libctx));
    return take_type(c, chain_key_type(*key));
}

static aw_result
find_or_make(struct certonly *c, host_key *k, EVP_PKEY **key, OSSL_LIB_CTX **libctx)
{
    aw_result r = find(c, k, key, libctx);

    if (r.code != AW_CODE_TOKEN_KEY_MISSING) {
        if (aw_ok(r))
            output_step(c->out, "keeping the key in the token", c->key_type, NULL);
        return r;
    }
    /* What would keep it from being used is found out before it is made. */
    output_step(c->out, "making a key in the token", c->key_type, NULL);
    AW_TRY(host_key_make(k, c->key_type));
    return host_key_load(k, key, libctx);
}

aw_result
certonly_token_csr(struct certonly *c, struct store_order *order)
{
    AW_CLEANUP(host_key_close) host_key *k = NULL;
    const struct chain_request asked = {c->names, c->name_count, order->must_staple};
    EVP_PKEY *key = NULL;
    OSSL_LIB_CTX *libctx = NULL;

    AW_TRY(host_key_uri_check(c->options->key_uri, &order->key_uri));
    AW_TRY(open_asked(c, &k));
    AW_TRY(find_or_make(c, k, &key, &libctx));
    AW_TRY(chain_csr(libctx, key, &asked, &order->csr, &order->csr_size));
    return chain_csr_key(order->csr, order->csr_size, &order->key);
}

aw_result
certonly_token_try(struct certonly *c)
{
    AW_CLEANUP(host_key_close) host_key *k = NULL;
    EVP_PKEY *key = NULL;
    OSSL_LIB_CTX *libctx = NULL;

    output_step(c->out, "asking the token", c->options->key_uri, NULL);
    AW_TRY(open_asked(c, &k));
    aw_result r = find(c, k, &key, &libctx);
    if (r.code == AW_CODE_TOKEN_KEY_MISSING) {
        output_note(c->out, "the key is not in the token yet: an order makes it");
        return AW_OK;
    }
    return r;
}
