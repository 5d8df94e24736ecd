#include "client/revoke.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "client/own_key.h"
#include "common/io.h"
#include "common/jws.h"

enum { KEY_COMPROMISE = 1 };

static aw_result
check_options(struct revoke *r)
{
    const struct options *o = r->options;

    if ((o->cert_name == NULL) == (o->cert_path == NULL))
        return aw_hint(aw_fail(AW_CODE_USAGE,
                           "revoke needs --cert-name NAME or --cert-path FILE, one of them"),
            "acmeward certificates lists what is stored");
    if (o->cert_name != NULL)
        AW_TRY(store_name_check(o->cert_name));
    if (o->delete_after_revoke && o->no_delete_after_revoke)
        return aw_fail(
            AW_CODE_USAGE, "--delete-after-revoke and --no-delete-after-revoke exclude each other");
    if (o->delete_after_revoke && o->cert_name == NULL)
        return aw_fail(AW_CODE_USAGE, "--delete-after-revoke goes with --cert-name: a file that "
                                      "--cert-path names is left alone");
    AW_TRY(aw_context(aw_jws_reason_parse(o->reason, &r->reason), "--reason"));
    r->own = o->key_path != NULL || r->reason == KEY_COMPROMISE;
    r->remove = o->delete_after_revoke;
    if (r->own && o->key_path == NULL && o->cert_name == NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "--reason keycompromise needs --key-path FILE"),
            "a CA believes that a key is compromised when the key itself says so (RFC 8555 7.6)");
    return AW_OK;
}

static aw_result
find_files(struct revoke *r)
{
    const struct options *o = r->options;
    const char *live = r->config->certificates;

    if (o->cert_name == NULL) {
        AW_TRY(aw_format(&r->path, "%s", o->cert_path));
    } else {
        AW_TRY(aw_format(&r->path, "%s/live/%s/cert.pem", live, o->cert_name));
        AW_TRY(aw_format(&r->key_path, "%s/live/%s/privkey.pem", live, o->cert_name));
    }
    if (o->key_path == NULL)
        return AW_OK;
    return client_config_replace(&r->key_path, o->key_path);
}

static aw_result
read_certificate(struct revoke *r)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};
    size_t size = 0;

    aw_result read = aw_file_read(r->path, CHAIN_PEM_MAX, &text, &size);
    if (read.code == AW_CODE_NOT_FOUND && r->options->cert_name != NULL)
        return aw_hint(read, "acmeward certificates lists what is stored");
    AW_TRY(read);
    AW_TRY(aw_context(chain_read(text, size, &r->chain), "%s", r->path));
    AW_TRY(aw_context(chain_leaf_read(r->chain.certificates[0], &leaf), "%s", r->path));
    memcpy(r->serial, leaf.serial, sizeof(r->serial));
    return chain_der(&r->chain, 0, &r->der, &r->size);
}

/* A URI, or a file that stands for one; NULL: the file is a key. */
static aw_result
find_uri(const char *path, char **uri)
{
    if (host_key_is_uri(path))
        return aw_context(host_key_uri_check(path, uri), "--key-path");
    aw_result r = host_key_reference_of(path, uri);
    return r.code == AW_CODE_NOT_FOUND ? AW_OK : aw_context(r, "%s", path);
}

/* The certificate's public half tells; what the token signs has to fit it. */
static aw_result
use_token(struct revoke *r, const char *uri)
{
    AW_CLEANUP(chain_key_free) EVP_PKEY *public = NULL;
    OSSL_LIB_CTX *libctx;

    AW_TRY(certonly_token_open(r->config, uri, false, &r->token));
    AW_TRY(host_key_find(r->token));
    AW_TRY(host_key_public(r->token, &public));
    AW_TRY(aw_context(own_key_check(public, r->chain.certificates[0]), "%s", uri));
    AW_TRY(host_key_load(r->token, &r->key, &libctx));
    return EVP_PKEY_up_ref(r->key) == 1 ? AW_OK : aw_fail_openssl("can't use the key twice");
}

static aw_result
read_key(struct revoke *r)
{
    AW_CLEANUP(aw_free) char *uri = NULL;

    if (!r->own)
        return AW_OK;
    AW_TRY(find_uri(r->key_path, &uri));
    if (uri != NULL)
        return use_token(r, uri);
    AW_TRY(chain_key_read(r->key_path, r->key_path, &r->key));
    return aw_context(own_key_check(r->key, r->chain.certificates[0]), "%s", r->key_path);
}

aw_result
revoke_begin(const struct options *options, struct output *out, struct revoke *r)
{
    r->options = options;
    r->out = out;
    AW_TRY(check_options(r));
    AW_TRY(certonly_config(options, out, &r->config));
    AW_TRY(find_files(r));
    AW_TRY(read_certificate(r));
    AW_TRY(read_key(r));
    /* Before it is revoked: what can't be removed afterwards is told now. */
    return r->remove ? store_open(r->config->certificates, options->cert_name, &r->store) : AW_OK;
}

/* Where to. */

static aw_result
ask_signer(struct revoke *r)
{
    output_step(r->out, "asking the signer", r->config->signer, NULL);
    const struct signer_place place = client_config_signer(r->config);
    aw_result opened = signer_link_open(&place, &r->link);
    if (!aw_ok(opened) && r->own)
        return aw_hint(opened, "the certificate's own key needs no signer: --server URL names the "
                               "CA's directory");
    AW_TRY(opened);
    AW_TRY(whoami_ask(r->link, &r->whoami));
    AW_TRY(whoami_find(&r->whoami, r->config->application, &r->application));
    AW_TRY(certonly_server_check(r->options->server, r->application));
    if (r->own && r->application->revoke_cert == NULL && r->application->directory != NULL)
        return aw_hint(aw_fail(AW_CODE_UNSUPPORTED,
                           "the directory of the CA of %s has no revokeCert", r->application->name),
            "it revokes in a way of its own: ask the CA");
    if (r->own && r->application->revoke_cert == NULL)
        return aw_hint(
            aw_fail(AW_CODE_UNAVAILABLE, "the CA of %s is not pinned yet", r->application->name),
            "--server URL names the CA's directory");
    return r->own ? AW_OK : whoami_ready(&r->whoami, r->application);
}

static aw_result
connect_to_ca(struct revoke *r)
{
    const struct http_options options = {.ca_file = r->config->ca_file,
        .proxy = r->config->proxy,
        .user_agent = "acmeward/" ACMEWARD_VERSION};
    const char *new_nonce;

    AW_TRY(http_open(&options, &r->h));
    if (r->application == NULL)
        AW_TRY(acme_directory_fetch(r->h, r->options->server, &r->directory));
    if (r->application == NULL && r->directory.revoke_cert == NULL)
        return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "the directory of the CA has no revokeCert"),
            "it revokes in a way of its own: ask the CA");
    new_nonce = r->application == NULL ? r->directory.new_nonce : r->application->new_nonce;
    return acme_session_new(r->h, new_nonce, NULL, &r->session);
}

/* Signing: with the account's key in the signer, or with the certificate's here. */

static aw_result
sign_there(void *context, const char *nonce, char **url, char **jws)
{
    struct revoke *r = context;
    const struct signer_revoke asked = {.application = r->application->name,
        .certificate = r->der,
        .size = r->size,
        .reason = r->reason};
    AW_CLEANUP(signer_signed_free) struct signer_signed signed_request = {0};

    AW_TRY(signer_revoke(r->link, &asked, nonce, &signed_request));
    *url = AW_MOVE(signed_request.url);
    *jws = AW_MOVE(signed_request.jws);
    return AW_OK;
}

static aw_result
sign_here(void *context, const char *nonce, char **url, char **jws)
{
    struct revoke *r = context;
    const char *where =
        r->application == NULL ? r->directory.revoke_cert : r->application->revoke_cert;
    const struct own_key_request request = {where, r->der, r->size, r->reason};

    AW_TRY(own_key_sign(r->key, &request, nonce, jws));
    *url = strdup(where);
    return *url != NULL ? AW_OK : aw_fail_memory();
}

/* Revoked twice is revoked: a lost answer is asked for again (RFC 8555 7.6). */
static aw_result
send(struct revoke *r)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    output_step(r->out, "revoking", r->serial, NULL);
    aw_result posted = acme_post(r->session, r->own ? sign_here : sign_there, r, true,
        "revoking the certificate", &response);
    r->already = !aw_ok(posted) && strcmp(acme_session_problem(r->session), "alreadyRevoked") == 0;
    return r->already ? AW_OK : posted;
}

static aw_result
tell(struct revoke *r)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *key = r->own ? "certificate" : "account";

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", r->already ? "already revoked" : "revoked");
    aw_json_pair(&w, "name", r->options->cert_name);
    aw_json_pair(&w, "serial", r->serial);
    aw_json_pair(&w, "signed_with", key);
    aw_json_pair(&w, "application", r->application == NULL ? NULL : r->application->name);
    aw_json_pair_bool(&w, "deleted", r->remove);
    aw_json_end_object(&w);
    AW_TRY(output_json(r->out, &w));
    output_line(r->out, "%s: serial %s, with the %s key",
        r->already ? "already revoked" : "revoked", r->serial,
        r->own ? "certificate's own" : "account's");
    if (r->remove)
        output_line(r->out, "  the files of %s are removed", r->options->cert_name);
    else if (r->options->cert_name != NULL)
        output_note(r->out,
            "the files of %s are still there: acmeward certonly --force-renewal replaces them with "
            "a new key, revoke --delete-after-revoke removes them",
            r->options->cert_name);
    return AW_OK;
}

aw_result
revoke_run(struct revoke *r)
{
    if (!r->own || r->options->server == NULL)
        AW_TRY(ask_signer(r));
    AW_TRY(connect_to_ca(r));
    AW_TRY(send(r));
    if (r->remove)
        AW_TRY(
            aw_context(store_remove(r->store), "the certificate is revoked, but its files stay"));
    return tell(r);
}

void
revoke_free(struct revoke *r)
{
    store_close(&r->store);
    acme_session_free(&r->session);
    acme_directory_free(&r->directory);
    http_close(&r->h);
    whoami_free(&r->whoami);
    signer_link_close(&r->link);
    chain_key_free(&r->key);
    host_key_close(&r->token);
    chain_free(&r->chain);
    client_config_free(&r->config);
    free(r->path);
    free(r->key_path);
    free(r->der);
    memset(r, 0, sizeof(*r));
}
