#include "signer/jws.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"

static void
pair_if(struct aw_json_writer *w, const char *name, const char *value)
{
    if (value != NULL)
        aw_json_pair(w, name, value);
}

aw_result
jws_payload_new_order(const struct jws_new_order *order, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_name(&w, "identifiers");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < order->name_count; i++) {
        aw_json_begin_object(&w);
        aw_json_pair(&w, "type", aw_name_type(&order->names[i]));
        aw_json_pair(&w, "value", order->names[i].text);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    pair_if(&w, "profile", order->profile);
    pair_if(&w, "notBefore", order->not_before);
    pair_if(&w, "notAfter", order->not_after);
    pair_if(&w, "replaces", order->replaces);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
jws_payload_finalize(const uint8_t *csr, size_t size, char **out)
{
    AW_CLEANUP(aw_free) char *encoded = NULL;

    AW_TRY(aw_b64url_encode_new(csr, size, &encoded));
    return aw_format(out, "{\"csr\":\"%s\"}", encoded);
}

static void
write_account(struct aw_json_writer *w, const struct jws_new_account *account)
{
    if (account->terms_agreed) {
        aw_json_pair_bool(w, "termsOfServiceAgreed", true);
    }
    if (account->contact_count > 0) {
        aw_json_name(w, "contact");
        aw_json_begin_array(w);
        for (size_t i = 0; i < account->contact_count; i++)
            aw_json_write_string(w, account->contact[i]);
        aw_json_end_array(w);
    }
    if (account->binding != NULL) {
        aw_json_name(w, "externalAccountBinding");
        aw_json_write_raw(w, account->binding);
    }
}

aw_result
jws_payload_new_account(const struct jws_new_account *account, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    if (account->only_existing)
        aw_json_pair_bool(&w, "onlyReturnExisting", true);
    else
        write_account(&w, account);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
jws_payload_key_change(const char *account_url, const char *old_jwk, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", account_url);
    aw_json_name(&w, "oldKey");
    aw_json_write_raw(&w, old_jwk);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}
