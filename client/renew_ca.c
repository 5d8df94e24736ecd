#include "client/renew_ca.h"

#include <stdlib.h>
#include <string.h>

#include "client/certonly.h"
#include "client/interrupt.h"
#include "common/io.h"

/* A CA that does not answer holds up what needs no answer. */
enum { DIRECTORY_SECONDS = 20 };

static const char *
text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static aw_result
key_of(const struct options *o, char **out)
{
    return aw_format(out, "%s|%s|%s|%s", text_of(o->signer), text_of(o->application),
        text_of(o->ca_file), text_of(o->proxy));
}

/* Which directory the account of the application has. */
static aw_result
ask_signer(const struct client_config *config, const char *ssh_control, char **directory)
{
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(whoami_free) struct whoami whoami = {0};
    struct signer_place place = client_config_signer(config);
    const struct whoami_application *application = NULL;

    place.ssh_control = ssh_control;
    AW_TRY(signer_link_open(&place, &link));
    AW_TRY(whoami_ask(link, &whoami));
    AW_TRY(whoami_find(&whoami, config->application, &application));
    if (application->directory == NULL)
        return aw_fail(AW_CODE_UNAVAILABLE, "the CA of %s is not pinned yet", application->name);
    return aw_format(directory, "%s", application->directory);
}

static aw_result
ask_directory(const struct client_config *config, struct renew_ca *ca)
{
    AW_CLEANUP(acme_directory_free) struct acme_directory directory = {0};
    const struct http_options options = {.ca_file = config->ca_file,
        .proxy = config->proxy,
        .user_agent = "acmeward/" ACMEWARD_VERSION,
        .total_seconds = DIRECTORY_SECONDS,
        .stop = interrupt_came};

    AW_TRY(http_open(&options, &ca->h));
    AW_TRY(acme_directory_fetch(ca->h, ca->directory, &directory));
    ca->renewal_info = AW_MOVE(directory.renewal_info);
    return AW_OK;
}

static aw_result
ask(const struct renew_ca_settings *settings, struct output *out, struct renew_ca *ca)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;

    AW_TRY(certonly_config(settings->options, out, &config));
    AW_TRY(ask_signer(config, settings->ssh_control, &ca->directory));
    return ask_directory(config, ca);
}

aw_result
renew_ca_find(struct renew_cas *cas, const struct renew_ca_settings *settings, struct output *out,
    struct renew_ca **ca)
{
    AW_CLEANUP(aw_free) char *key = NULL;

    AW_TRY(key_of(settings->options, &key));
    for (size_t i = 0; i < cas->count; i++) {
        *ca = &cas->items[i];
        if (strcmp((*ca)->key, key) == 0)
            return AW_OK;
    }
    if (cas->count == RENEW_CAS_MAX)
        return aw_fail(AW_CODE_LIMIT, "more than %d CAs", RENEW_CAS_MAX);
    *ca = &cas->items[cas->count++];
    (*ca)->key = AW_MOVE(key);
    if (!aw_ok(ask(settings, out, *ca))) {
        (*ca)->broken = true;
        output_note(out, "no renewal information was asked for: %s", aw_error_last()->message);
    }
    return AW_OK;
}

aw_result
renew_ca_window(struct renew_ca *ca, const char *id, struct ari *out)
{
    memset(out, 0, sizeof(*out));
    if (ca->broken || ca->renewal_info == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "the CA has no renewal information");
    aw_result r = ari_fetch(ca->h, ca->renewal_info, id, out);
    /* What the CA answers is about one certificate; no answer is about them all. */
    ca->broken = !aw_ok(r) && (r.code == AW_CODE_TIMEOUT || r.code == AW_CODE_CA_UNAVAILABLE);
    return r;
}

void
renew_cas_free(struct renew_cas *cas)
{
    for (size_t i = 0; i < cas->count; i++) {
        free(cas->items[i].key);
        free(cas->items[i].directory);
        free(cas->items[i].renewal_info);
        http_close(&cas->items[i].h);
    }
    memset(cas, 0, sizeof(*cas));
}
