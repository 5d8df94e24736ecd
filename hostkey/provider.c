/* Signing, by OpenSSL's pkcs11-provider in a library context of its own. */
#include <string.h>

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include "common/io.h"
#include "common/openssl.h"
#include "hostkey/internal.h"

/*
 * no-deinit: version 1.0 with SoftHSM crashes at exit without it, and p11-kit finalizes the module.
 * cache-keys=false: its cache goes on signing after a key was destroyed in the token.
 */
static const char settings[] = "openssl_conf = start\n"
                               "[start]\n"
                               "providers = providers\n"
                               "[providers]\n"
                               "default = first\n"
                               "pkcs11 = second\n"
                               "[first]\n"
                               "activate = 1\n"
                               "[second]\n"
                               "activate = 1\n"
                               "pkcs11-module-quirks = no-deinit\n"
                               "pkcs11-module-cache-keys = false\n"
                               "pkcs11-module-load-behavior = early\n";

static void
free_conf(CONF **conf)
{
    NCONF_free(*conf);
}

static void
free_method(UI_METHOD **method)
{
    UI_destroy_method(*method);
}

static void
close_store(OSSL_STORE_CTX **store)
{
    OSSL_STORE_close(*store);
}

/* OpenSSL's configuration language has quotes, escapes and variables: paths have none of them. */
static aw_result
check_path(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+";

    return path == NULL || path[strspn(path, plain)] == '\0'
               ? AW_OK
               : aw_fail(AW_CODE_CONFIG,
                     "the path of the PKCS#11 module, %s, has characters that OpenSSL's "
                     "configuration does not take",
                     path);
}

aw_result
host_key_configure(host_key *k)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    k->libctx = OSSL_LIB_CTX_new();
    AW_CLEANUP(free_conf) CONF *conf = k->libctx == NULL ? NULL : NCONF_new_ex(k->libctx, NULL);

    /* The very module that has the token: left to itself the provider takes p11-kit's proxy, which
     * is in a package of its own (p11-kit-modules). */
    AW_TRY(check_path(k->provider_path));
    AW_TRY(aw_format(&text, "%s%s%s\n", settings,
        k->provider_path == NULL ? "" : "pkcs11-module-path = ",
        k->provider_path == NULL ? "" : k->provider_path));
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(text, -1);
    OPENSSL_load_builtin_modules();
    if (conf == NULL || bio == NULL || NCONF_load_bio(conf, bio, NULL) != 1)
        return aw_fail_openssl("can't configure OpenSSL's provider for tokens");
    if (CONF_modules_load(conf, NULL, 0) <= 0 ||
        OSSL_PROVIDER_available(k->libctx, "pkcs11") != 1) {
        ERR_clear_error();
        return aw_hint(aw_fail(AW_CODE_UNAVAILABLE,
                           "OpenSSL has no provider for tokens: its module pkcs11 can't be loaded"),
            "install the package pkcs11-provider (Debian 13; Debian 12 has it in "
            "bookworm-backports)");
    }
    ERR_clear_error(); /* what it leaves there is no failure */
    return AW_OK;
}

/* The provider would ask the terminal where nobody answers. */
static int
give_pin(char *out, int size, int writing, void *context)
{
    const aw_secret *pin = context;

    (void)writing;
    if (pin == NULL || pin->size > (size_t)size)
        return -1;
    memcpy(out, pin->data, pin->size);
    return (int)pin->size;
}

/* Without the query: the PIN comes from us. */
static aw_result
write_bare(host_key *k, char **out)
{
    P11KitUriType parts = P11_KIT_URI_FOR_OBJECT_ON_TOKEN;

    AW_CLEANUP(aw_free) char *source = NULL;
    const char *at = p11_kit_uri_get_pin_source(k->uri);
    if (at != NULL)
        AW_TRY(aw_format(&source, "%s", at));
    p11_kit_uri_set_pin_source(k->uri, NULL);
    int rv = p11_kit_uri_format(k->uri, parts, out);
    p11_kit_uri_set_pin_source(k->uri, source);
    return rv == P11_KIT_URI_OK ? AW_OK : aw_fail_memory();
}

static EVP_PKEY *
first_key(OSSL_STORE_CTX *store)
{
    EVP_PKEY *key = NULL;

    while (key == NULL && OSSL_STORE_eof(store) != 1) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info != NULL && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
        if (info == NULL && OSSL_STORE_error(store) == 1)
            break;
    }
    return key;
}

static aw_result
fetch(host_key *k)
{
    AW_CLEANUP(aw_free) char *uri = NULL;

    AW_TRY(write_bare(k, &uri));
    AW_CLEANUP(free_method) UI_METHOD *method = UI_UTIL_wrap_read_pem_callback(give_pin, 0);
    if (method == NULL)
        return aw_fail_memory();
    AW_CLEANUP(close_store)
    OSSL_STORE_CTX *store =
        OSSL_STORE_open_ex(uri, k->libctx, NULL, method, k->pin, NULL, NULL, NULL);
    if (store == NULL || OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) != 1)
        return aw_fail_openssl("OpenSSL's provider can't open %s", uri);
    k->key = first_key(store);
    if (k->key == NULL)
        return aw_fail_openssl("OpenSSL's provider can't use the key %s", uri);
    ERR_clear_error();
    return AW_OK;
}

aw_result
host_key_load(host_key *k, EVP_PKEY **key, OSSL_LIB_CTX **libctx)
{
    if (!k->found)
        return aw_fail(AW_CODE_INTERNAL, "no key was found or made");
    if (k->key == NULL)
        AW_TRY(fetch(k));
    *key = k->key;
    *libctx = k->libctx;
    return AW_OK;
}

aw_result
host_key_public(host_key *k, EVP_PKEY **out)
{
    EVP_PKEY *key = NULL;
    OSSL_LIB_CTX *libctx = NULL;
    unsigned char *der = NULL;

    AW_TRY(host_key_load(k, &key, &libctx));
    int size = i2d_PUBKEY(key, &der);
    const unsigned char *at = der;
    *out = size <= 0 ? NULL : d2i_PUBKEY(NULL, &at, size);
    OPENSSL_free(der);
    if (*out == NULL)
        return aw_fail_openssl("can't read the public half of %s", k->text);
    ERR_clear_error();
    return AW_OK;
}

void
host_key_unload(host_key *k)
{
    EVP_PKEY_free(k->key);
    k->key = NULL;
    OSSL_LIB_CTX_free(k->libctx);
    k->libctx = NULL;
}
