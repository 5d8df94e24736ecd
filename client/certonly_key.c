/* The key of an order: fresh, or with --reuse-key that of the certificate which it replaces. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "client/certonly.h"
#include "client/chain.h"
#include "common/io.h"

/* Its type is what the order asks for, unless another was asked for or the policy has it no more.
 */
static const char *
unfit(const struct certonly *c, const char *type)
{
    if (c->options->key_type != NULL && strcmp(c->options->key_type, type) != 0)
        return "a key of another type was asked for";
    return whoami_has(c->application, "keys", type) ? NULL : "the policy does not have its type";
}

aw_result
certonly_reuse_key(struct certonly *c)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(chain_key_free) EVP_PKEY *key = NULL;

    if (!c->options->reuse_key || c->options->new_key || c->options->key_uri != NULL)
        return AW_OK;
    AW_TRY(aw_path_join(store_live(c->store), "privkey.pem", &path));
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return AW_OK;
    AW_TRY(aw_hint(chain_key_read(path, path, &key),
        "--new-key makes another one; --key-uri keeps one in a token"));
    const char *type = chain_key_type(key), *why = unfit(c, type);
    if (why != NULL) {
        output_note(c->out, "the key of type %s is not kept: %s", type, why);
        return AW_OK;
    }
    c->key_type = type;
    c->reused_key = AW_MOVE(key);
    return AW_OK;
}

aw_result
certonly_order_key(struct certonly *c, EVP_PKEY **out)
{
    if (c->reused_key == NULL) {
        output_step(c->out, "making a key", c->key_type, NULL);
        return chain_key_generate(NULL, c->key_type, out);
    }
    output_step(c->out, "keeping the key", c->key_type, NULL);
    if (EVP_PKEY_up_ref(c->reused_key) != 1)
        return aw_fail_openssl("can't use the key twice");
    *out = c->reused_key;
    return AW_OK;
}
