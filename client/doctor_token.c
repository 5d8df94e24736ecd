/* Keys in a token: whether the next renewal can sign with them. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "client/doctor.h"
#include "common/io.h"

static aw_result
read_leaf(const struct store_entry *entry, struct chain *out)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    AW_TRY(aw_path_join(entry->live, "cert.pem", &path));
    AW_TRY(aw_file_read(path, CHAIN_PEM_MAX, &text, &size));
    return aw_context(chain_read(text, size, out), "%s", path);
}

/* No signature is made: that the PIN is taken and the public half fits says enough. */
static aw_result
compare(const struct doctor *d, const struct store_entry *entry, const char **exposure)
{
    AW_CLEANUP(host_key_close) host_key *k = NULL;
    AW_CLEANUP(chain_free) struct chain leaf = {.count = 0};
    AW_CLEANUP(chain_key_free) EVP_PKEY *public = NULL;

    AW_TRY(read_leaf(entry, &leaf));
    AW_TRY(certonly_token_open(d->config, entry->key_uri, true, &k));
    AW_TRY(host_key_find(k));
    *exposure = host_key_exposure(k);
    AW_TRY(host_key_public(k, &public));
    if (EVP_PKEY_eq(X509_get0_pubkey(leaf.certificates[0]), public) == 1)
        return AW_OK;
    ERR_clear_error();
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "the key in the token is not the certificate's"),
        "somebody put another one there: certonly --force-renewal orders for it");
}

void
doctor_look_at_token(struct doctor *d, const struct store_entry *entry)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    const char *exposure = NULL;

    aw_result r = aw_context(compare(d, entry, &exposure), "%s", entry->name);
    if (!aw_ok(r))
        doctor_tell_failure(d, DOCTOR_FAIL, "key");
    else if (aw_ok(aw_format(&text, "%s: in the token, %s%s%s", entry->name, entry->key_uri,
                 exposure == NULL ? "" : "; ", exposure == NULL ? "" : exposure)))
        doctor_tell(d, exposure == NULL ? DOCTOR_OK : DOCTOR_WARN, "key", text,
            exposure == NULL ? NULL : "another object= in --key-uri has a new key made");
}
