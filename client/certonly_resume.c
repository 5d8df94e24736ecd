/* The order under way: whether it is what is asked for now, and when it is worth keeping. */
#include <string.h>
#include <time.h>

#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "client/certonly.h"
#include "client/chain.h"
#include "common/io.h"

static bool
has_names(const struct certonly *c, const struct store_order *order)
{
    bool same = c->name_count == order->name_count;

    for (size_t i = 0; same && i < c->name_count; i++)
        same = aw_name_compare(&c->names[i], &order->names[i]) == 0;
    return same;
}

static bool
has_profile(const struct certonly *c, const struct store_order *order)
{
    const char *asked = certonly_profile(c);

    if (order->profile == NULL) /* or a preferred one, which that run dropped */
        return c->options->profile == NULL;
    return asked != NULL && strcmp(asked, order->profile) == 0;
}

/* A clock that went back makes it old too: better another order than one of next year. */
static bool
is_old(const struct store_order *order)
{
    int64_t now = (int64_t)time(NULL);

    return now > order->opened + STORE_ORDER_SECONDS || now + 86400 < order->opened;
}

/* Of a key that is in a token already, the type is what it is. */
static bool
has_other_type(const struct certonly *c, const struct store_order *order)
{
    const char *asked = order->key_uri == NULL ? c->key_type : c->options->key_type;

    return asked != NULL && strcmp(asked, chain_key_type(order->key)) != 0;
}

/* Why it is not gone on with; NULL: nothing speaks against it. */
static const char *
fault_of(const struct certonly *c, const struct store_order *order)
{
    if (!has_names(c, order))
        return "it is for other names";
    if (strcmp(c->application->name, order->application) != 0)
        return "it is another application's";
    if (!has_profile(c, order))
        return "it has another profile";
    if (c->options->must_staple != order->must_staple)
        return "it asks for other extensions";
    if (!certonly_same_uri(c->options->key_uri, order->key_uri))
        return "its key is another one";
    if (has_other_type(c, order))
        return "its key is of another type";
    return is_old(order) ? "it is older than the CA and the signer keep one" : NULL;
}

/* A key that is kept tells nothing: then it goes by the time at which the certificate was stored.
 */
static bool
is_older(const char *path, const struct store_order *order)
{
    struct stat st;

    return stat(path, &st) == 0 && (int64_t)st.st_mtime < order->opened;
}

/* Its certificate is there: the run that stored it was cut off before it could remove the order. */
static bool
is_stored(const struct certonly *c, const struct store_order *order)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *pem = NULL;
    AW_CLEANUP(chain_free) struct chain chain = {0};
    size_t size;

    if (!aw_ok(aw_path_join(store_live(c->store), "cert.pem", &path)) ||
        !aw_ok(aw_file_read(path, CHAIN_PEM_MAX, &pem, &size)) ||
        !aw_ok(chain_read(pem, size, &chain)) || chain.count == 0)
        return false;
    return EVP_PKEY_eq(X509_get0_pubkey(chain.certificates[0]), order->key) == 1 &&
           ((c->reused_key == NULL && order->key_uri == NULL) || !is_older(path, order));
}

static aw_result
none(const struct certonly *c)
{
    AW_TRY(store_order_forget(c->store));
    return aw_fail(AW_CODE_NOT_FOUND, "no order of %s is under way", c->cert_name);
}

static aw_result
not_usable(struct certonly *c, const char *why)
{
    output_note(c->out, "the order under way is left, and another made: %s", why);
    return none(c);
}

aw_result
certonly_under_way(struct certonly *c, struct store_order *out)
{
    AW_CLEANUP(store_order_free) struct store_order order = {0};

    memset(out, 0, sizeof(*out));
    aw_result r = store_order_read(c->store, &order);
    if (r.code == AW_CODE_CORRUPT)
        return not_usable(c, aw_error_last()->message);
    AW_TRY(r);
    if (is_stored(c, &order))
        return none(c);
    const char *fault = fault_of(c, &order);
    if (fault != NULL && aw_openssl_lacked_memory()) /* which may be why its key seems to differ */
        return aw_fail_memory();
    if (fault != NULL)
        return not_usable(c, fault);
    output_note(c->out, "going on with the order under way, %s", order.url);
    *out = order;
    memset(&order, 0, sizeof(order));
    return AW_OK;
}

/* What the CA or the signer refused, or what does not fit, will be so tomorrow too. */
bool
certonly_order_is_lost(enum aw_code code)
{
    return code == AW_CODE_CA_REFUSED || code == AW_CODE_REFUSED || code == AW_CODE_MISMATCH;
}

static void
drop_order(struct certonly *c, aw_result (*forget)(const store *s))
{
    struct aw_error error;

    if (c->store == NULL) /* --csr: nothing is written down */
        return;
    aw_error_save(&error);
    if (!aw_ok(forget(c->store)))
        output_note(c->out, "%s", aw_error_last()->message);
    aw_ignore(aw_error_restore(&error), "it is the caller's");
}

void
certonly_drop_order(struct certonly *c)
{
    drop_order(c, store_order_forget);
}

void
certonly_order_done(struct certonly *c)
{
    drop_order(c, store_order_done);
}
