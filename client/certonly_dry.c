/* --dry-run: all that can be tried without an order of the real account; and, where an application
 * of a staging CA's account is configured, an order of that, whose certificate is thrown away. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/acme.h"
#include "client/certonly.h"
#include "client/interrupt.h"
#include "common/io.h"

/* The CA's web server answers, and its certificate is taken. */
static aw_result
reach_ca(struct certonly *c)
{
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(acme_directory_free) struct acme_directory directory = {0};
    const struct http_options options = {.ca_file = c->config->ca_file,
        .proxy = c->config->proxy,
        .user_agent = "acmeward/" ACMEWARD_VERSION,
        .stop = interrupt_came};

    output_step(c->out, "asking the CA", c->application->directory, NULL);
    AW_TRY(http_open(&options, &h));
    AW_TRY(acme_directory_fetch(h, c->application->directory, &directory));
    return certonly_take_profile(c, &directory);
}

/* What would stop storing is found here, as it is before an order. */
static aw_result
open_store(struct certonly *c)
{
    if (c->csr.der != NULL) /* what comes of it is stored by whoever made the request */
        return AW_OK;
    if (access(c->config->certificates, F_OK) != 0 && errno == ENOENT)
        output_note(c->out, "%s is not there yet: an order makes it", c->config->certificates);
    else
        AW_TRY(store_open(c->config->certificates, c->cert_name, &c->store));
    return AW_OK;
}

aw_result
certonly_dry_run(struct certonly *c)
{
    AW_TRY(whoami_ready(&c->whoami, c->application));
    AW_TRY(reach_ca(c));
    AW_TRY(open_store(c));
    if (c->options->key_uri != NULL)
        AW_TRY(certonly_token_try(c));
    return certonly_check(c);
}

/* A rehearsal must not cost what it rehearses. */
static aw_result
find_stage(const struct certonly *c, const struct whoami_application **out)
{
    const char *name = c->config->dry_run_application;

    AW_TRY(aw_context(whoami_find(&c->whoami, name, out), "dry_run_application"));
    AW_TRY(whoami_ready(&c->whoami, *out));
    if (strcmp((*out)->directory, c->application->directory) != 0)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_CONFIG, "dry_run_application %s orders from %s, as %s itself does", name,
            (*out)->directory, c->application->name),
        "a dry run would use up its limits: name an application of an account at a staging CA");
}

aw_result
certonly_rehearse(struct certonly *c)
{
    struct certonly stage = *c; /* all that it points to stays ours */
    struct client_config config = *c->config;

    if (config.dry_run_application == NULL) {
        output_note(c->out, "no order was placed: client.yaml names no dry_run_application");
        return AW_OK;
    }
    AW_TRY(find_stage(c, &stage.application));
    if (config.dry_run_ca_file != NULL)
        config.ca_file = config.dry_run_ca_file;
    stage.config = &config;
    stage.store = NULL;
    stage.rehearsal = true;
    stage.profile_dropped = false;
    AW_TRY(certonly_choose_key(&stage));
    AW_TRY(aw_context(certonly_issue(&stage), "rehearsal as %s", config.dry_run_application));
    output_line(c->out, "rehearsed: %s issued it for application %s, and it was thrown away",
        stage.application->directory, stage.application->name);
    c->rehearsed = true;
    return AW_OK;
}
