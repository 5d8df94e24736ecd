/* Administrators' methods on the wrapping key, to which EAB keys are encrypted on their way. */
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "common/wrapped.h"
#include "signer/admin.h"
#include "signer/held_keys.h"

enum { PEM_MAX = 4096 };

static aw_result
pem_of(const struct token_wrapping *wrapping, char out[PEM_MAX])
{
    const unsigned char *at = wrapping->spki;
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)wrapping->spki_size);
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_mem());
    int size = 0;

    if (key == NULL || bio == NULL || PEM_write_bio_PUBKEY(bio, key) != 1 ||
        (size = BIO_read(bio, out, PEM_MAX - 1)) <= 0)
        return aw_fail_openssl("can't write the wrapping key as PEM");
    out[size] = '\0';
    return AW_OK;
}

static aw_result
read_wrapping(struct admin_call *call, struct token_wrapping *out)
{
    return aw_hint(token_wrapping_read(call->core->token, ADMIN_WRAPPING_LABEL, out),
        "an officer makes it: acmeward-admin eab wrapping-key create");
}

static aw_result
write_wrapping(struct admin_call *call)
{
    AW_CLEANUP(token_wrapping_free) struct token_wrapping wrapping = {.spki = NULL};
    char pem[PEM_MAX], hex[AW_WRAPPED_HEX + 1];

    AW_TRY(read_wrapping(call, &wrapping));
    AW_TRY(pem_of(&wrapping, pem));
    aw_hex(wrapping.digest, sizeof(wrapping.digest), hex);
    aw_json_pair(&call->reply, "pem", pem);
    aw_json_pair(&call->reply, "fingerprint", hex);
    return AW_OK;
}

aw_result
admin_wrapping_check(struct admin_call *call, const char *fingerprint)
{
    AW_CLEANUP(token_wrapping_free) struct token_wrapping wrapping = {.spki = NULL};
    char hex[AW_WRAPPED_HEX + 1];

    AW_TRY(read_wrapping(call, &wrapping));
    aw_hex(wrapping.digest, sizeof(wrapping.digest), hex);
    if (strcmp(hex, fingerprint) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH,
                       "the key was wrapped to another wrapping key (%.64s) than the token's (%s)",
                       fingerprint, hex),
        "wrap it anew, with what acmeward-admin eab wrapping-key show prints");
}

aw_result
admin_create_wrapping_key(struct admin_call *call)
{
    struct token_key_report report = {.padded = false};

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(admin_record(call, "wrapping-key-create", true));
    AW_TRY(token_wrapping_generate(call->core->token, ADMIN_WRAPPING_LABEL, &report));
    held_keys_refresh_late(call->core);
    AW_TRY(write_wrapping(call));
    admin_write_report(&call->reply, &report);
    return AW_OK;
}

aw_result
admin_get_wrapping_key(struct admin_call *call)
{
    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    return write_wrapping(call);
}

aw_result
admin_destroy_wrapping_key(struct admin_call *call)
{
    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(admin_record(call, "wrapping-key-destroy", true));
    return token_wrapping_destroy(call->core->token, ADMIN_WRAPPING_LABEL);
}
