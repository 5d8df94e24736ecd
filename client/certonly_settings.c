/* What a renewal repeats, written with the certificate, or beside an order under way. */
#include <unistd.h>

#include "client/certonly.h"
#include "client/renew_state.h"
#include "client/renewal_config.h"
#include "client/store_steps.h"
#include "common/io.h"

/* A crash right after the certificate is stored leaves its deploy hooks to the next renew. */
static aw_result
note_undeployed(const struct certonly *c)
{
    const char *root = c->config->certificates;
    struct renew_state state;
    unsigned version;
    bool found;

    AW_TRY(renew_state_read(root, c->cert_name, &state, &found));
    if (found)
        return AW_OK;
    AW_TRY(store_link_read(store_live(c->store), c->cert_name, STORE_CERT, &version));
    state.deployed = version;
    return renew_state_write(root, c->cert_name, &state);
}

aw_result
certonly_order_settings(const struct certonly *c, char **text)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(renewal_config_path(c->config->certificates, c->cert_name, &path));
    AW_TRY(renewal_config_text(c->options, c->application->name, text));
    if (renewal_config_has(path, *text))
        aw_free(text);
    return AW_OK;
}

aw_result
certonly_write_settings(const struct certonly *c)
{
    const char *root = c->config->certificates;
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(renewal_config_path(root, c->cert_name, &path));
    AW_TRY(note_undeployed(c));
    /* It was ordered by them; a person may have written into them. */
    if (c->renewal != NULL && access(path, F_OK) == 0)
        return AW_OK;
    return renewal_config_write(path, c->options, c->application->name);
}
