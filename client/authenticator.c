#include "client/authenticator_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"

static const char http_01[] = "http-01", dns_01[] = "dns-01", tls_alpn_01[] = "tls-alpn-01";

/* --webroot. */

static const char *
webroot_of(const struct options *o, const struct aw_name *name)
{
    for (size_t i = 0; i < o->name_count; i++)
        if (strcmp(o->names[i].name.text, name->text) == 0)
            return o->names[i].webroot;
    return o->webroot_path;
}

static aw_result
webroot_deploy(struct authenticator *a, const struct issue_challenge *challenge)
{
    if (a->webroot == NULL)
        AW_TRY(challenge_webroot_new(&a->webroot));
    return challenge_webroot_deploy(a->webroot, webroot_of(a->options, challenge->name),
        challenge->token, challenge->key_authorization);
}

static void
webroot_remove(struct authenticator *a, const struct issue_challenge *challenge)
{
    if (a->webroot != NULL)
        challenge_webroot_remove(a->webroot, challenge->token);
}

/* --standalone: a port is taken only when a challenge has to be met there. */

static aw_result
standalone_deploy(struct authenticator *a, const struct issue_challenge *challenge)
{
    const struct client_config *config = a->config;

    bool tls = strcmp(challenge->type, tls_alpn_01) == 0;
    if (a->turn < 0)
        AW_TRY(challenge_port_turn(config->certificates,
            (unsigned)(tls ? config->tls_alpn_01_port : config->http_01_port), &a->turn));
    if (tls) {
        if (a->tls_alpn == NULL)
            AW_TRY(challenge_tls_alpn_start(
                config->tls_alpn_01_address, (unsigned)config->tls_alpn_01_port, &a->tls_alpn));
        return challenge_tls_alpn_deploy(
            a->tls_alpn, challenge->name, challenge->key_authorization);
    }
    if (a->standalone == NULL)
        AW_TRY(challenge_standalone_start(
            config->http_01_address, (unsigned)config->http_01_port, &a->standalone));
    return challenge_standalone_deploy(
        a->standalone, challenge->token, challenge->key_authorization);
}

static void
standalone_remove(struct authenticator *a, const struct issue_challenge *challenge)
{
    if (strcmp(challenge->type, tls_alpn_01) == 0 && a->tls_alpn != NULL)
        challenge_tls_alpn_remove(a->tls_alpn, challenge->name);
    if (strcmp(challenge->type, http_01) == 0 && a->standalone != NULL)
        challenge_standalone_remove(a->standalone, challenge->token);
}

static const struct authenticator_way ways[] = {
    {.name = "webroot", .types = {http_01}, .deploy = webroot_deploy, .remove = webroot_remove},
    {.name = "standalone",
        .types = {http_01, tls_alpn_01},
        .deploy = standalone_deploy,
        .remove = standalone_remove},
    {.name = "manual",
        .types = {http_01, dns_01},
        .deploy = manual_deploy,
        .remove = manual_remove},
    {.name = "dns-rfc2136",
        .types = {dns_01},
        .begin = dns_begin,
        .deploy = dns_deploy,
        .wait = dns_wait,
        .remove = dns_remove},
};

aw_result
authenticator_new(const struct options *options, const struct client_config *config,
    struct output *out, struct authenticator **made)
{
    AW_CLEANUP(authenticator_free) struct authenticator *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return aw_fail_memory();
    a->turn = -1;
    a->options = options;
    a->config = config;
    a->out = out;
    for (size_t i = 0; i < AW_COUNT(ways) && options->authenticator != NULL; i++)
        if (strcmp(ways[i].name, options->authenticator) == 0)
            a->way = &ways[i];
    if (a->way != NULL && a->way->begin != NULL)
        AW_TRY(a->way->begin(a));
    *made = AW_MOVE(a);
    return AW_OK;
}

void
authenticator_free(struct authenticator **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct authenticator *a = *slot;

    challenge_webroot_free(&a->webroot);
    challenge_standalone_stop(&a->standalone);
    challenge_tls_alpn_stop(&a->tls_alpn);
    aw_close(&a->turn);
    manual_free(a);
    dns_free(a);
    free(a);
    *slot = NULL;
}

aw_result
authenticator_validation(const struct issue_challenge *challenge, char **validation)
{
    uint8_t digest[AW_DIGEST_SIZE];

    if (strcmp(challenge->type, dns_01) != 0)
        return aw_format(validation, "%s", challenge->key_authorization);
    AW_TRY(challenge_digest(challenge->key_authorization, digest));
    return aw_b64url_encode_new(digest, sizeof(digest), validation);
}

/* Choosing. */

static bool
is_offered(const struct acme_authorization *authorization, const char *type)
{
    for (size_t i = 0; i < authorization->challenge_count; i++)
        if (strcmp(authorization->challenges[i].type, type) == 0)
            return true;
    return false;
}

/* In the order of --preferred-challenges, where it is given, else of the way. */
static const char *
find_type(const struct authenticator *a, const struct acme_authorization *authorization)
{
    const char *preferred = a->options->preferred_challenges;
    const char *found = NULL;
    size_t best = 0;

    for (size_t i = 0; a->way->types[i] != NULL; i++) {
        const char *type = a->way->types[i];
        size_t place = preferred == NULL ? i + 1 : challenge_preference(preferred, type);
        if (place != 0 && is_offered(authorization, type) && (found == NULL || place < best)) {
            found = type;
            best = place;
        }
    }
    return found;
}

static void
refuse(const struct authenticator *a, const struct acme_authorization *authorization)
{
    static const char ways_hint[] =
        "--webroot -w DIR where a web server of %s runs here, --standalone where none does, "
        "--manual with hooks, or --dns-rfc2136, which wildcards need";
    const char *name = authorization->name.text;
    const char *star = authorization->wildcard ? "*." : "";

    if (a->way == NULL) {
        aw_ignore(
            aw_hint(aw_fail(AW_CODE_CA_REFUSED,
                        "the CA wants %s%s validated, and no way to do that was given", star, name),
                ways_hint, name),
            "issue_certificate returns it");
        return;
    }
    aw_result r = aw_fail(AW_CODE_CA_REFUSED,
        "the CA wants %s%s validated, and offers nothing that --%s%s%s can do", star, name,
        a->way->name,
        a->options->preferred_challenges == NULL ? "" : " with --preferred-challenges ",
        a->options->preferred_challenges == NULL ? "" : a->options->preferred_challenges);
    aw_ignore(
        authorization->wildcard
            ? aw_hint(r, "wildcards are validated by dns-01 alone: --dns-rfc2136, or --manual "
                         "with hooks; or have the name validated at the CA")
            : aw_hint(r, ways_hint, name),
        "issue_certificate returns it");
}

const char *
authenticator_choose(struct authenticator *a, const struct acme_authorization *authorization)
{
    const char *type = a->way == NULL ? NULL : find_type(a, authorization);

    if (type == NULL)
        refuse(a, authorization);
    return type;
}

aw_result
authenticator_deploy(struct authenticator *a, const struct issue_challenge *challenge)
{
    return a->way->deploy(a, challenge);
}

aw_result
authenticator_wait(struct authenticator *a)
{
    return a->way->wait == NULL ? AW_OK : a->way->wait(a);
}

void
authenticator_remove(struct authenticator *a, const struct issue_challenge *challenge)
{
    a->way->remove(a, challenge);
}
