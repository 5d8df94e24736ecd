#include "admin/acme_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

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

static aw_result
write_contacts(struct aw_json_writer *w, const struct admin_new_account *asked)
{
    aw_json_name(w, "contact");
    aw_json_begin_array(w);
    for (size_t i = 0; i < asked->contact_count; i++) {
        bool prefixed = strncmp(asked->contact[i], "mailto:", 7) == 0;
        AW_CLEANUP(aw_free) char *contact = NULL;

        AW_TRY(aw_format(&contact, "%s%s", prefixed ? "" : "mailto:", asked->contact[i]));
        aw_json_write_string(w, contact);
    }
    aw_json_end_array(w);
    return AW_OK;
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

void
admin_signing_begin(struct aw_json_writer *w, const char *account, const char *nonce)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "account", account);
    aw_json_pair(w, "nonce", nonce);
}

aw_result
admin_signing_call(const struct admin_options *options, const char *method,
    struct aw_json_writer *w, char **url, char **jws)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    aw_json_end_object(w);
    AW_TRY(admin_call(options, method, w, &reply));
    return admin_take_jws(reply, url, jws);
}

aw_result
admin_sign_new_account(void *context, const char *nonce, char **url, char **jws)
{
    struct admin_new_account *asked = context;
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    admin_signing_begin(&w, asked->account, nonce);
    AW_TRY(write_contacts(&w, asked));
    aw_json_pair_bool(&w, "terms_agreed", asked->terms_agreed);
    if (asked->kid != NULL)
        aw_json_pair(&w, "kid", asked->kid);
    aw_json_pair_bool(&w, "only_existing", asked->only_existing);
    aw_json_pair_bool(&w, "unprocessed", asked->calls++ > 0);
    return admin_signing_call(asked->options, "NewAccount", &w, url, jws);
}

aw_result
admin_sign_request(void *context, const char *nonce, char **url, char **jws)
{
    const struct admin_request *request = context;
    struct aw_json_writer w = {0};

    admin_signing_begin(&w, request->account, nonce);
    if (request->key != NULL)
        aw_json_pair(&w, "key", request->key);
    return admin_signing_call(request->options, request->method, &w, url, jws);
}

aw_result
admin_ca_connect(
    const struct aw_config *config, const char *account, const char *ca_file, struct admin_ca *out)
{
    const struct aw_config_ca *ca = admin_account_ca(config, account);

    if (ca == NULL)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "%s has no account \"%s\"", config->file, account),
            "account list shows them; accounts are configured in signer.yaml");
    AW_TRY(admin_http_open(ca, ca_file, &out->h));
    AW_TRY(acme_directory_fetch(out->h, ca->directory, &out->directory));
    return acme_session_new(out->h, out->directory.new_nonce, NULL, &out->session);
}

aw_result
admin_ca_open(const struct admin_options *options, const char *account, const char *ca_file,
    struct admin_ca *out)
{
    AW_TRY(admin_config(options, &out->config));
    return admin_ca_connect(out->config, account, ca_file, out);
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
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    admin_signing_begin(&w, asked->account, nonce);
    AW_TRY(write_contacts(&w, asked));
    return admin_signing_call(asked->options, "UpdateAccount", &w, url, jws);
}
