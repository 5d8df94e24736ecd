#include "relay/tls_key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/io.h"
#include "common/openssl.h"

/* Files. */

aw_result
relay_tls_file_open(const char *path, mode_t forbidden, FILE **out)
{
    AW_CLEANUP(aw_free) char *real = realpath(path, NULL);
    int fd = -1;

    *out = NULL;
    if (real == NULL)
        return aw_fail_errno(AW_CODE_IO, "%s", path);
    AW_TRY(aw_file_open_checked(real, geteuid(), forbidden, &fd));
    *out = fdopen(fd, "r");
    if (*out != NULL)
        return AW_OK;
    aw_close(&fd);
    return aw_fail_memory();
}

void
relay_tls_file_close(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

static aw_result
read_pem(const char *path, EVP_PKEY **out)
{
    AW_CLEANUP(relay_tls_file_close) FILE *file = NULL;

    AW_TRY(relay_tls_file_open(path, 0027, &file));
    *out = PEM_read_PrivateKey(file, NULL, aw_no_passphrase, NULL);
    return *out != NULL ? AW_OK
                        : aw_fail_openssl("%s holds no PEM private key without a passphrase", path);
}

/* The token. */

/* The URI that the settings, or the file that they name, have; NULL: the file holds a key. */
static aw_result
find_uri(const char *named, char **out)
{
    AW_CLEANUP(aw_free) char *found = NULL;

    *out = NULL;
    if (host_key_is_uri(named))
        return host_key_uri_check(named, out);
    aw_result r = host_key_reference_of(named, &found);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    return aw_context(host_key_uri_check(found, out), "%s", named);
}

static aw_result
open_token(struct relay_tls_key *self, const struct relay_config *config, const char *uri)
{
    AW_CLEANUP(host_key_close) host_key *token = NULL;
    AW_CLEANUP(aw_free) char *kept = NULL;

    AW_TRY(aw_format(&kept, "%s", uri));
    AW_TRY(host_key_open(&(struct host_key_place){.uri = uri,
                             .module = config->tls.pkcs11_module,
                             .pin_file = config->tls.key_pin_file,
                             .settings = "relay.yaml",
                             .unattended = true},
        &token));
    AW_TRY(host_key_find(token));
    self->token = AW_MOVE(token);
    self->uri = AW_MOVE(kept);
    return AW_OK;
}

static aw_result
use_token(struct relay_tls_key *self, const struct relay_config *config, const char *uri,
    struct relay_tls_key *out)
{
    bool same = self->uri != NULL && strcmp(self->uri, uri) == 0;

    if (self->settled && !same)
        return aw_hint(aw_fail(AW_CODE_CONFIG, "the key is another one in a token now"),
            "tokens are opened at the start: restart acmeward-relay");
    if (!same)
        AW_TRY(open_token(self, config, uri));
    AW_TRY(host_key_load(self->token, &out->key, &out->libctx));
    if (EVP_PKEY_up_ref(out->key) != 1)
        return aw_fail_openssl("can't use the key twice");
    return host_key_public(self->token, &out->public);
}

static void
release_keys(struct relay_tls_key *self)
{
    EVP_PKEY_free(self->key);
    EVP_PKEY_free(self->public);
}

aw_result
relay_tls_key_read(struct relay_tls_key *self, const struct relay_config *config)
{
    AW_CLEANUP(aw_free) char *uri = NULL;
    AW_CLEANUP(release_keys) struct relay_tls_key read = {.token = NULL};

    AW_TRY(find_uri(config->tls.key, &uri));
    AW_TRY(
        uri == NULL ? read_pem(config->tls.key, &read.key) : use_token(self, config, uri, &read));
    AW_TRY(relay_tls_key_try(&read));
    release_keys(self);
    self->key = AW_MOVE(read.key);
    self->public = AW_MOVE(read.public);
    self->libctx = read.libctx;
    self->settled = true;
    return AW_OK;
}

aw_result
relay_tls_key_try(const struct relay_tls_key *self)
{
    static const unsigned char text[] = "acmeward-relay";
    unsigned char signature[1024]; /* RSA of 8192 bits */
    size_t size = sizeof(signature);

    if (self->libctx == NULL)
        return AW_OK;
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *again = EVP_MD_CTX_new();
    if (context == NULL || again == NULL)
        return aw_fail_memory();
    if (EVP_DigestSignInit_ex(context, NULL, "SHA256", self->libctx, NULL, self->key, NULL) == 1 &&
        EVP_DigestSign(context, signature, &size, text, sizeof(text)) == 1 &&
        EVP_DigestVerifyInit(again, NULL, EVP_sha256(), NULL, self->public) == 1 &&
        EVP_DigestVerify(again, signature, size, text, sizeof(text)) == 1)
        return AW_OK;
    return aw_hint(aw_fail_openssl("the token does not sign with the relay's key"),
        "is the token there, with its key, and may the relay's user use it?");
}

void
relay_tls_key_close(struct relay_tls_key *self)
{
    release_keys(self);
    host_key_close(&self->token);
    free(self->uri);
    *self = (struct relay_tls_key){.token = NULL};
}
