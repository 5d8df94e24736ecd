/* What renew and orders resume do for one certificate, by its settings. */
#include "client/certonly.h"
#include "client/store_steps.h"

/* Decided before the lock was taken: another run may have been there meanwhile. */
static aw_result
check_version(const struct certonly *c)
{
    unsigned version;

    AW_TRY(store_link_read(store_live(c->store), c->cert_name, STORE_CERT, &version));
    if (version == c->renewal->version || c->renewal->resume_only)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_BUSY, "certificate %s was renewed by another run meanwhile", c->cert_name),
        "nothing is left to do");
}

static aw_result
run(struct certonly *c)
{
    AW_TRY(certonly_connect(c));
    if (c->options->dry_run)
        return certonly_dry_run(c);
    AW_TRY(whoami_ready(&c->whoami, c->application));
    AW_TRY(store_open(c->config->certificates, c->cert_name, &c->store));
    AW_TRY(check_version(c));
    return certonly_issue(c);
}

aw_result
certonly_renew(
    const struct options *settings, struct output *out, const struct certonly_renewal *renewal)
{
    AW_CLEANUP(certonly_free) struct certonly c = {.renewal = renewal};

    AW_TRY(certonly_begin(settings, out, &c));
    aw_result r = run(&c);
    if (!aw_ok(r) && c.link != NULL)
        output_keep_refusal(out, signer_link_refusal(c.link));
    return r;
}
