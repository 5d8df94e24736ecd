#include "admin/acme_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

enum { CONTACT_SIZE = 300 };

aw_result
admin_http_open(const struct aw_config_ca *ca, const char *ca_file, http **out)
{
    const struct http_options how = {
        .ca_file = ca_file != NULL ? ca_file : ca->ca_file,
        .user_agent = "acmeward-admin/" ACMEWARD_VERSION,
    };

    return http_open(&how, out);
}

const struct aw_config_ca *
admin_account_ca(const struct aw_config *config, const char *account)
{
    const struct aw_config_account *found = aw_config_find_account(config, account);

    return found == NULL ? NULL : aw_config_find_ca(config, found->ca);
}

static void
write_contacts(struct aw_json_writer *w, const struct admin_new_account *asked)
{
    char contact[CONTACT_SIZE];

    aw_json_name(w, "contact");
    aw_json_begin_array(w);
    for (size_t i = 0; i < asked->contact_count; i++) {
        bool prefixed = strncmp(asked->contact[i], "mailto:", 7) == 0;

        snprintf(contact, sizeof(contact), "%s%s", prefixed ? "" : "mailto:", asked->contact[i]);
        aw_json_write_string(w, contact);
    }
    aw_json_end_array(w);
}

aw_result
admin_take_jws(const cJSON *reply, char **url, char **jws)
{
    const char *target = cJSON_GetStringValue(aw_json_member(reply, "url"));
    const cJSON *signed_text = aw_json_member(reply, "jws");

    if (target == NULL || !cJSON_IsObject(signed_text))
        return aw_fail(AW_CODE_INTERNAL, "the signer's reply has no url or jws");
    *url = strdup(target);
    *jws = cJSON_PrintUnformatted(signed_text);
    if (*url == NULL || *jws == NULL) {
        aw_free(url);
        aw_free(jws);
        return aw_fail_memory();
    }
    return AW_OK;
}

aw_result
admin_sign_new_account(void *context, const char *nonce, char **url, char **jws)
{
    struct admin_new_account *asked = context;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", asked->account);
    aw_json_pair(&w, "nonce", nonce);
    write_contacts(&w, asked);
    aw_json_pair_bool(&w, "terms_agreed", asked->terms_agreed);
    if (asked->kid != NULL)
        aw_json_pair(&w, "kid", asked->kid);
    aw_json_pair_bool(&w, "only_existing", asked->only_existing);
    aw_json_pair_bool(&w, "unprocessed", asked->calls++ > 0);
    aw_json_end_object(&w);
    AW_TRY(admin_call(asked->options, "NewAccount", &w, &reply));
    return admin_take_jws(reply, url, jws);
}

aw_result
admin_sign_request(void *context, const char *nonce, char **url, char **jws)
{
    const struct admin_request *request = context;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", request->account);
    aw_json_pair(&w, "nonce", nonce);
    if (request->key != NULL)
        aw_json_pair(&w, "key", request->key);
    aw_json_end_object(&w);
    AW_TRY(admin_call(request->options, request->method, &w, &reply));
    return admin_take_jws(reply, url, jws);
}

aw_result
admin_ca_open(const struct admin_options *options, const char *account, const char *ca_file,
    struct admin_ca *out)
{
    AW_TRY(admin_config(options, &out->config));
    const struct aw_config_account *named = aw_config_find_account(out->config, account);
    if (named == NULL)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "%s has no account \"%s\"", out->config->file, account),
            "account list shows them; accounts are configured in signer.yaml");
    const struct aw_config_ca *ca = aw_config_find_ca(out->config, named->ca);
    AW_TRY(admin_http_open(ca, ca_file, &out->h));
    AW_TRY(acme_directory_fetch(out->h, ca->directory, &out->directory));
    return acme_session_new(out->h, out->directory.new_nonce, NULL, &out->session);
}

void
admin_ca_close(struct admin_ca *ca)
{
    acme_session_free(&ca->session);
    acme_directory_free(&ca->directory);
    http_close(&ca->h);
    aw_config_free(&ca->config);
}

aw_result
admin_sign_update(void *context, const char *nonce, char **url, char **jws)
{
    const struct admin_new_account *asked = context;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", asked->account);
    aw_json_pair(&w, "nonce", nonce);
    write_contacts(&w, asked);
    aw_json_end_object(&w);
    AW_TRY(admin_call(asked->options, "UpdateAccount", &w, &reply));
    return admin_take_jws(reply, url, jws);
}
