/* --dry-run: all that can be tried without an order. */
#include <errno.h>
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
    return certonly_check(c);
}
