/* One ssh for a run: an order of its own each would log in anew, and a host that counts logins
 * would take a thousand renewals for an attack. */
#include <stdlib.h>
#include <string.h>

#include "client/renew.h"
#include "client/ssh_url.h"
#include "common/io.h"

static struct renew_signer *
find(struct renew *r, const char *url)
{
    for (size_t i = 0; i < r->signer_count; i++)
        if (strcmp(r->signers[i].url, url) == 0)
            return &r->signers[i];
    if (r->signer_count == RENEW_SIGNERS_MAX)
        return NULL;
    struct renew_signer *signer = &r->signers[r->signer_count];
    signer->url = strdup(url);
    r->signer_count += signer->url != NULL;
    return signer->url == NULL ? NULL : signer;
}

const char *
renew_shared_ssh(struct renew *r, const struct options *settings)
{
    const char *url = settings->signer != NULL ? settings->signer : r->config->signer;
    struct renew_signer *signer = ssh_url_is(url) ? find(r, url) : NULL;

    if (signer == NULL || signer->broken)
        return NULL;
    if (!ssh_master_lives(signer->master)) {
        ssh_master_end(&signer->master);
        signer->broken = !aw_ok(ssh_master_start(url, r->config->ssh_config, &signer->master));
    }
    return signer->broken ? NULL : ssh_master_socket(signer->master);
}

void
renew_shared_ssh_end(struct renew *r)
{
    for (size_t i = 0; i < r->signer_count; i++) {
        ssh_master_end(&r->signers[i].master);
        free(r->signers[i].url);
    }
    r->signer_count = 0;
}
