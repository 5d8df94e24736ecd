/* acmeward certonly: the sequence. */
#include "client/certonly.h"
#include "client/command.h"
#include "client/interrupt.h"

/* Nothing is stored here: whoever made the request keeps the result. */
static aw_result
for_csr(struct certonly *c)
{
    AW_TRY(certonly_csr_check_paths(c));
    AW_TRY(certonly_connect(c));
    if (c->options->dry_run)
        return certonly_dry_run(c);
    AW_TRY(whoami_ready(&c->whoami, c->application));
    return certonly_issue(c);
}

static aw_result
run(struct certonly *c)
{
    bool keep = false;

    if (c->options->check) {
        AW_TRY(certonly_connect(c));
        return certonly_check(c);
    }
    if (c->csr.der != NULL)
        return for_csr(c);
    if (c->options->dry_run) {
        AW_TRY(certonly_connect(c));
        return certonly_dry_run(c);
    }
    AW_TRY(certonly_existing(c, &keep));
    if (keep)
        return AW_OK;
    AW_TRY(certonly_connect(c));
    AW_TRY(whoami_ready(&c->whoami, c->application));
    /* Before the order: a certificate that can't be stored is not worth one. */
    AW_TRY(store_open(c->config->certificates, c->cert_name, &c->store));
    return certonly_issue_with_hooks(c);
}

aw_result
cmd_certonly(const struct options *options, struct output *out)
{
    AW_CLEANUP(certonly_free) struct certonly c = {0};

    AW_TRY(interrupt_begin());
    AW_TRY(certonly_begin(options, out, &c));
    aw_result r = run(&c);
    if (!aw_ok(r) && c.link != NULL)
        output_keep_refusal(out, signer_link_refusal(c.link));
    return r;
}
