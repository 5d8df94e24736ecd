/* acmeward delete: a certificate's files, keys and settings. Nothing is revoked. */
#include <errno.h>
#include <unistd.h>

#include "client/certonly.h"
#include "client/command.h"
#include "client/renewal_config.h"
#include "common/io.h"
#include "hostkey/host_key.h"

/* A name that was mistyped must not make folders. */
static aw_result
check_there(const char *root, const char *name)
{
    AW_CLEANUP(aw_free) char *live = NULL;
    AW_CLEANUP(aw_free) char *archive = NULL;
    AW_CLEANUP(aw_free) char *settings = NULL;

    AW_TRY(aw_format(&live, "%s/live/%s", root, name));
    AW_TRY(aw_format(&archive, "%s/archive/%s", root, name));
    AW_TRY(renewal_config_path(root, name, &settings));
    if (access(live, F_OK) == 0 || access(archive, F_OK) == 0 || access(settings, F_OK) == 0)
        return AW_OK;
    if (errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "can't look for certificate %s in %s", name, root);
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no certificate %s in %s", name, root),
        "acmeward certificates lists what is stored");
}

static aw_result
tell(struct output *out, const char *name, const char *key_uri)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", "deleted");
    aw_json_pair(&w, "name", name);
    aw_json_pair(&w, "key_uri", key_uri);
    aw_json_end_object(&w);
    AW_TRY(output_json(out, &w));
    output_line(
        out, "deleted: certificate %s, its keys and its settings; it was not revoked", name);
    if (key_uri != NULL)
        output_note(out, "the key in the token is still there: %s", key_uri);
    return AW_OK;
}

aw_result
cmd_delete(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    AW_CLEANUP(store_close) store *s = NULL;
    AW_CLEANUP(aw_free) char *key = NULL;
    AW_CLEANUP(aw_free) char *key_uri = NULL;

    if (options->cert_name == NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "delete needs --cert-name NAME"),
            "acmeward certificates lists what is stored");
    AW_TRY(store_name_check(options->cert_name));
    AW_TRY(certonly_config(options, out, &config));
    AW_TRY(check_there(config->certificates, options->cert_name));
    AW_TRY(aw_format(&key, "%s/live/%s/privkey.pem", config->certificates, options->cert_name));
    aw_ignore(host_key_reference_of(key, &key_uri), "then the key is a file");
    AW_TRY(store_open(config->certificates, options->cert_name, &s));
    AW_TRY(store_remove(s));
    return tell(out, options->cert_name, key_uri);
}
