/* Profiles of a CA (draft-ietf-acme-profiles). What is required is asked for or nothing is ordered;
 * what is preferred is left out, as certbot does, where the CA does not have it. */

#include "client/certonly.h"
#include "common/io.h"

static aw_result
fail_unknown(const char *profile, const struct acme_directory *directory)
{
    AW_CLEANUP(aw_free) char *offered = NULL;

    AW_TRY(acme_directory_profiles(directory, &offered));
    return aw_hint(aw_fail(AW_CODE_CA_REFUSED, "the CA has no profile \"%.128s\"; it offers %s",
                       profile, offered[0] == '\0' ? "none" : offered),
        "--preferred-profile uses a profile where the CA has it, and its default where not");
}

aw_result
certonly_take_profile(struct certonly *c, const struct acme_directory *directory)
{
    const char *profile = certonly_profile(c);

    if (profile == NULL || acme_directory_has_profile(directory, profile))
        return AW_OK;
    if (c->options->profile != NULL)
        return fail_unknown(profile, directory);
    certonly_drop_profile(c, "its directory does not list it");
    return AW_OK;
}

aw_result
certonly_find_profile(struct certonly *c, http *h)
{
    AW_CLEANUP(acme_directory_free) struct acme_directory directory = {0};

    if (certonly_profile(c) == NULL)
        return AW_OK;
    AW_TRY(acme_directory_fetch(h, c->application->directory, &directory));
    return certonly_take_profile(c, &directory);
}

void
certonly_drop_profile(struct certonly *c, const char *why)
{
    output_note(c->out, "the CA has no profile \"%.128s\" (%s): its default is ordered",
        c->options->preferred_profile, why);
    c->profile_dropped = true;
}

const char *
certonly_profile(const struct certonly *c)
{
    if (c->options->profile != NULL)
        return c->options->profile;
    return c->profile_dropped ? NULL : c->options->preferred_profile;
}
