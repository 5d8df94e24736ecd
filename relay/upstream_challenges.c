#include "relay/upstream_challenges.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/authenticator.h"
#include "client/config.h"
#include "common/io.h"
#include "common/log.h"

struct upstream_challenges {
    struct options options;
    struct client_config unused; /* of web servers: none of them is used for dns-01 */
    struct output output;
    char seconds[24];
    char *notes; /* what the authenticator remarks, for the log */
    size_t notes_size;
    struct authenticator *authenticator;
};

static const char *
way_of(const struct relay_config *config)
{
    if (config->dns.rfc2136_credentials != NULL)
        return "dns-rfc2136";
    return config->dns.auth_hook != NULL ? "manual" : NULL;
}

static aw_result
open_output(struct upstream_challenges *c)
{
    FILE *notes = open_memstream(&c->notes, &c->notes_size);

    if (notes == NULL)
        return aw_fail_memory();
    output_open(&c->output, notes, notes);
    return AW_OK;
}

aw_result
upstream_challenges_new(const struct relay_config *config, struct upstream_challenges **out)
{
    AW_CLEANUP(upstream_challenges_free) struct upstream_challenges *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return aw_fail_memory();
    AW_TRY(open_output(c));
    snprintf(c->seconds, sizeof(c->seconds), "%lld", (long long)config->dns.propagation_seconds);
    c->options = (struct options){.authenticator = way_of(config),
        .preferred_challenges = "dns",
        .dns_rfc2136_credentials = config->dns.rfc2136_credentials,
        .dns_rfc2136_seconds = c->seconds,
        .manual_auth_hook = config->dns.auth_hook,
        .manual_cleanup_hook = config->dns.cleanup_hook};
    AW_TRY(authenticator_new(&c->options, &c->unused, &c->output, &c->authenticator));
    *out = AW_MOVE(c);
    return AW_OK;
}

void
upstream_challenges_free(struct upstream_challenges **slot)
{
    struct upstream_challenges *c = *slot;

    if (c == NULL)
        return;
    authenticator_free(&c->authenticator);
    if (c->output.messages != NULL) {
        output_close(&c->output);
        fclose(c->output.messages);
    }
    if (c->notes_size > 0)
        aw_log(AW_LOG_NOTICE, "challenges of the CA: %s", c->notes);
    free(c->notes);
    free(c);
    *slot = NULL;
}

const char *
upstream_challenges_choose(
    struct upstream_challenges *c, const struct acme_authorization *authorization)
{
    return authenticator_choose(c->authenticator, authorization);
}

aw_result
upstream_challenges_deploy(struct upstream_challenges *c, const struct issue_challenge *challenge)
{
    return authenticator_deploy(c->authenticator, challenge);
}

aw_result
upstream_challenges_wait(struct upstream_challenges *c)
{
    return authenticator_wait(c->authenticator);
}

void
upstream_challenges_remove(struct upstream_challenges *c, const struct issue_challenge *challenge)
{
    authenticator_remove(c->authenticator, challenge);
}
