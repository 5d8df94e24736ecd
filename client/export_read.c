/* The live version of a certificate, whole. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "client/export.h"
#include "client/store.h"
#include "common/io.h"

/* A damaged certificate is not handed on: it would fail there, where nobody knows why. */
static aw_result
look(const char *root, const char *cert_name, char **live)
{
    AW_CLEANUP(store_entry_free) struct store_entry entry = {0};

    aw_result r = store_read(root, cert_name, &entry);
    if (r.code == AW_CODE_NOT_FOUND)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "there is no certificate %s in %s", cert_name, root),
            "acmeward certificates lists what there is");
    AW_TRY(r);
    if (entry.fault != NULL)
        return aw_hint(aw_fail(AW_CODE_CORRUPT, "certificate %s: %s", cert_name, entry.fault),
            "if a certonly is at work, wait for it; else acmeward certonly --cert-name %s "
            "--force-renewal makes a new one",
            cert_name);
    *live = AW_MOVE(entry.live);
    return AW_OK;
}

static aw_result
read_chain(const char *live, struct chain *out)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    AW_TRY(aw_path_join(live, "fullchain.pem", &path));
    AW_TRY(aw_file_read(path, CHAIN_PEM_MAX, &text, &size));
    return aw_context(chain_read(text, size, out), "%s", path);
}

static aw_result
read_key(const char *live, EVP_PKEY **out)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_path_join(live, "privkey.pem", &path));
    aw_result r = chain_key_read(path, path, out);
    return r.code != AW_CODE_UNSUPPORTED
               ? r
               : aw_hint(aw_fail(AW_CODE_UNSUPPORTED,
                             "the key can't be exported: it is in a token and stays there"),
                     "copy fullchain.pem and privkey.pem, which names the key, to a host that has "
                     "the token; or order with a key in a file (certonly without --key-uri)");
}

aw_result
export_read(const char *root, const char *cert_name, struct export_material *out)
{
    AW_CLEANUP(export_material_free) struct export_material material = {0};
    AW_CLEANUP(aw_free) char *live = NULL;

    AW_TRY(look(root, cert_name, &live));
    AW_TRY(read_chain(live, &material.chain));
    AW_TRY(read_key(live, &material.key));
    const EVP_PKEY *public = X509_get0_pubkey(material.chain.certificates[0]);
    if (public == NULL || EVP_PKEY_eq(public, material.key) != 1) {
        ERR_clear_error();
        return aw_hint(
            aw_fail(AW_CODE_BUSY, "certificate %s is being replaced just now", cert_name),
            "try again");
    }
    *out = material;
    memset(&material, 0, sizeof(material));
    return AW_OK;
}

void
export_material_free(struct export_material *material)
{
    chain_free(&material->chain);
    chain_key_free(&material->key);
}
