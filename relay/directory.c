#include "relay/directory.h"

#include <stdio.h>

#include "common/json.h"
#include "relay/handlers.h"

static void
write_urls(struct aw_json_writer *w, const struct relay_config *config)
{
    static const struct {
        const char *name;
        const char *path;
    } resources[] = {
        {"newNonce", "new-nonce"}, {"newAccount", "new-account"}, {"newOrder", "new-order"},
        {"revokeCert", "revoke-cert"}, {"keyChange", "key-change"},
        {"renewalInfo", "renewal-info"}, /* RFC 9773 4 */
    };
    char url[RELAY_URL_MAX + 64];

    for (size_t i = 0; i < AW_COUNT(resources); i++) {
        snprintf(url, sizeof(url), "%s/acme/%s", config->url, resources[i].path);
        aw_json_pair(w, resources[i].name, url);
    }
}

/* draft-aaron-acme-profiles 3: names, each with a text for people. */
static void
write_profiles(struct aw_json_writer *w, const struct relay_config *config)
{
    if (config->profiles.count == 0)
        return;
    aw_json_name(w, "profiles");
    aw_json_begin_object(w);
    for (size_t i = 0; i < config->profiles.count; i++)
        aw_json_pair(w, config->profiles.items[i].text, "as the CA behind this server defines it");
    aw_json_end_object(w);
}

aw_result
relay_directory_write(const struct relay_config *config, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    write_urls(&w, config);
    aw_json_name(&w, "meta");
    aw_json_begin_object(&w);
    aw_json_pair_bool(&w, "externalAccountRequired", true);
    if (config->terms_of_service != NULL)
        aw_json_pair(&w, "termsOfService", config->terms_of_service);
    if (config->website != NULL)
        aw_json_pair(&w, "website", config->website);
    write_profiles(&w, config);
    aw_json_end_object(&w);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
relay_get_directory(struct relay_call *call)
{
    return relay_response_text(call->response, 200, "application/json", call->relay->directory);
}

aw_result
relay_get_nonce(struct relay_call *call)
{
    relay_response_empty(call->response, call->request->method == RELAY_HEAD ? 200 : 204);
    return AW_OK;
}
