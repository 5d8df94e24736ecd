/* What a run is about: settings, names, application, key type. */
#include "client/certonly.h"

#include <stdlib.h>
#include <string.h>

#include "client/chain.h"
#include "common/io.h"

static void
free_faults(struct aw_faults *faults)
{
    aw_faults_free(faults);
}

static aw_result
read_port(const char *option, const char *text, int64_t *out)
{
    size_t length = strlen(text);
    long port = length > 0 && length <= 5 && strspn(text, "0123456789") == length
                    ? strtol(text, NULL, 10)
                    : 0;

    if (port < 1 || port > 65535)
        return aw_fail(AW_CODE_USAGE, "--%s: found \"%.40s\", expected 1 to 65535", option, text);
    *out = port;
    return AW_OK;
}

static aw_result
put_options_over(const struct options *options, struct client_config *config)
{
    AW_TRY(client_config_replace(&config->signer, options->signer));
    AW_TRY(client_config_replace(&config->certificates, options->config_dir));
    AW_TRY(client_config_replace(&config->ca_file, options->ca_file));
    AW_TRY(client_config_replace(&config->proxy, options->proxy));
    AW_TRY(client_config_replace(&config->application, options->application));
    AW_TRY(client_config_replace(&config->http_01_address, options->http_01_address));
    if (options->http_01_port != NULL)
        AW_TRY(read_port("http-01-port", options->http_01_port, &config->http_01_port));
    AW_TRY(client_config_replace(&config->tls_alpn_01_address, options->tls_alpn_01_address));
    if (options->tls_alpn_01_port != NULL)
        AW_TRY(read_port("tls-alpn-01-port", options->tls_alpn_01_port, &config->tls_alpn_01_port));
    return AW_OK;
}

/* "a//" and "a/" are "a": the folder's name is checked as it is written. */
static void
cut_slashes(char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

aw_result
certonly_config(const struct options *options, struct output *out, struct client_config **config)
{
    AW_CLEANUP(free_faults) struct aw_faults faults = {0};
    AW_CLEANUP(client_config_free) struct client_config *read = NULL;

    aw_result r = client_config_load(options->config, &faults, &read);
    if (!aw_ok(r) && faults.count > 1 && !out->json)
        aw_faults_print(&faults, out->messages);
    AW_TRY(r);
    AW_TRY(put_options_over(options, read));
    cut_slashes(read->certificates);
    *config = AW_MOVE(read);
    return AW_OK;
}

/* *.example.edu is stored as example.edu; the colons of an IPv6 address become hyphens. */
static aw_result
default_name(const struct aw_name *first, char **out)
{
    AW_TRY(aw_format(
        out, "%s", first->form == AW_NAME_WILDCARD ? first->text + strlen("*.") : first->text));
    for (char *c = strchr(*out, ':'); c != NULL; c = strchr(c, ':'))
        *c = '-';
    if ((*out)[0] == '-')
        (*out)[0] = '_';
    return AW_OK;
}

static aw_result
take_names(struct certonly *c)
{
    const struct options *o = c->options;

    AW_TRY(certonly_csr_refuse_paths(o));
    if (o->csr != NULL)
        return certonly_csr_read(c);
    if (o->name_count == 0)
        return aw_hint(aw_fail(AW_CODE_USAGE, "certonly needs a name"),
            "acmeward certonly -d www.example.edu; acmeward whoami shows what you may order");
    c->names = calloc(o->name_count, sizeof(*c->names));
    if (c->names == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < o->name_count; i++)
        c->names[i] = o->names[i].name;
    c->name_count = o->name_count;
    if (!aw_names_sort(c->names, c->name_count))
        return aw_fail(AW_CODE_INTERNAL, "a name is there twice");
    if (o->cert_name != NULL)
        AW_TRY(aw_format(&c->cert_name, "%s", o->cert_name));
    else
        AW_TRY(default_name(&o->names[0].name, &c->cert_name));
    return store_name_check(c->cert_name);
}

static aw_result
read_seconds(const char *text, int64_t *out)
{
    size_t length = strlen(text);
    long seconds = length > 0 && length <= 6 && strspn(text, "0123456789") == length
                       ? strtol(text, NULL, 10)
                       : 0;

    if (seconds < 1)
        return aw_fail(AW_CODE_USAGE,
            "--issuance-timeout: found \"%.40s\", expected 1 to 999999 seconds", text);
    *out = seconds;
    return AW_OK;
}

aw_result
certonly_begin(const struct options *options, struct output *out, struct certonly *c)
{
    c->options = options;
    c->out = out;
    AW_TRY(take_names(c));
    /* A renewal goes on without: better a certificate that is not deployed than none. */
    if (c->renewal == NULL)
        AW_TRY(certonly_check_hooks(options));
    if (options->issuance_timeout != NULL)
        AW_TRY(read_seconds(options->issuance_timeout, &c->seconds));
    AW_TRY(certonly_config(options, out, &c->config));
    AW_TRY(authenticator_new(options, c->config, out, &c->authenticator));
    if (options->account)
        output_note(out, "--email, --agree-tos and --eab-kid were not needed: the account was "
                         "registered by "
                         "an administrator of the signer");
    return AW_OK;
}

/* The CA follows from the account; a command carried over from elsewhere may name it anyway. */
aw_result
certonly_server_check(const char *asked, const struct whoami_application *application)
{
    const char *is = application->directory;

    if (asked == NULL || (is != NULL && strcmp(asked, is) == 0))
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_USAGE, "--server %.200s: application %s orders from %s, with account %s",
            asked, application->name, is == NULL ? "a CA that is not pinned yet" : is,
            application->account),
        "leave --server out, or name the application of an account of that CA with --application; "
        "accounts and CAs are in the signer's signer.yaml");
}

static aw_result
refuse_key(const struct certonly *c)
{
    AW_CLEANUP(aw_free) char *allowed = NULL;

    AW_TRY(whoami_list_text(c->application->json, "keys", &allowed));
    return aw_fail(AW_CODE_REFUSED,
        "refused: key type %s is not among the key types of %s (rule keys); allowed: %s; ask %s",
        c->key_type, c->application->name, allowed, c->application->owner);
}

/* The type asked for, or the configured one, or the best that the policy has. */
aw_result
certonly_choose_key(struct certonly *c)
{
    c->key_type = c->csr.key != NULL ? chain_key_type(c->csr.key) : c->options->key_type;
    if (c->key_type != NULL)
        return c->options->check || whoami_has(c->application, "keys", c->key_type) ? AW_OK
                                                                                    : refuse_key(c);
    c->key_type = chain_key_types[c->config->key_type];
    for (size_t i = 0; chain_key_types[i] != NULL; i++)
        if (!whoami_has(c->application, "keys", c->key_type))
            c->key_type = chain_key_types[i];
    return AW_OK;
}

aw_result
certonly_connect(struct certonly *c)
{
    output_step(c->out, "asking the signer", c->config->signer, NULL);
    struct signer_place place = client_config_signer(c->config);
    place.ssh_control = c->renewal == NULL ? NULL : c->renewal->ssh_control;
    AW_TRY(signer_link_open(&place, &c->link));
    AW_TRY(whoami_ask(c->link, &c->whoami));
    AW_TRY(whoami_find(&c->whoami, c->config->application, &c->application));
    AW_TRY(certonly_server_check(c->options->server, c->application));
    return certonly_choose_key(c);
}

void
certonly_free(struct certonly *c)
{
    authenticator_free(&c->authenticator);
    store_close(&c->store);
    chain_key_free(&c->reused_key);
    whoami_free(&c->whoami);
    signer_link_close(&c->link);
    client_config_free(&c->config);
    certonly_csr_free(&c->csr);
    free(c->names);
    free(c->cert_name);
    memset(c, 0, sizeof(*c));
}
