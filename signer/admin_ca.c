/* Administrators' methods on CAs: pins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/request.h"
#include "signer/url.h"

static void
write_issuers(struct aw_json_writer *w, const issuers *list)
{
    aw_json_name(w, "issuers");
    aw_json_begin_array(w);
    for (size_t i = 0; i < issuers_count(list); i++) {
        struct issuers_item item = issuers_item(list, i);

        aw_json_begin_object(w);
        aw_json_pair(w, "digest", item.digest);
        aw_json_pair(w, "subject", item.subject);
        aw_json_pair_integer(w, "not_after", item.not_after);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

aw_result
admin_list_cas(struct admin_call *call)
{
    struct aw_json_writer *w = &call->reply;
    size_t count = 0;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    aw_json_name(w, "cas");
    aw_json_begin_array(w);
    accounts_read(call->core->accounts);
    const struct ca *cas = accounts_cas(call->core->accounts, &count);
    for (size_t i = 0; i < count; i++) {
        AW_CLEANUP(issuers_release) issuers *list = core_issuers(call->core, cas[i].name);

        aw_json_begin_object(w);
        aw_json_pair(w, "name", cas[i].name);
        aw_json_pair(w, "directory", cas[i].directory);
        if (cas[i].pinned_at != 0) {
            aw_json_pair_integer(w, "pinned_at", cas[i].pinned_at);
            aw_json_name(w, "pin");
            ca_pin_write(w, &cas[i].pin);
        }
        write_issuers(w, list);
        aw_json_end_object(w);
    }
    accounts_read_end(call->core->accounts);
    aw_json_end_array(w);
    return AW_OK;
}

/* A pin's URLs: each of the right form and on the directory's own origin. */
struct pin_row {
    const char *name;
    bool required;
    char **slot;
};

static aw_result
read_pin_url(
    struct admin_call *call, const cJSON *json, const char *directory, const struct pin_row *row)
{
    const char *text = NULL;

    call->field = row->name;
    AW_TRY(aw_json_optional_string(json, row->name, SIGN_URL_MAX, &text));
    if (text == NULL && !row->required)
        return AW_OK;
    if (text == NULL)
        return aw_fail(AW_CODE_SYNTAX, "%s is missing (RFC 8555 7.1.1)", row->name);
    AW_TRY(aw_context(url_check_pin(text), "%s", row->name));
    if (!url_same_origin(text, directory))
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "%s (%s) is not on the origin of the directory %s",
                           row->name, text, directory),
            "such a CA can't be pinned to one origin; if the directory moved, configure its new "
            "URL");
    *row->slot = strdup(text);
    return *row->slot == NULL ? aw_fail_memory() : AW_OK;
}

/* Shown to people as part of a DNS record, so each is a host name. */
static aw_result
read_caa_identities(struct admin_call *call, const cJSON *json, struct ca_pin *pin)
{
    const char *text = NULL;
    struct aw_name name;

    call->field = "caaIdentities";
    AW_TRY(aw_json_optional_string(json, "caaIdentities", SIGN_URL_MAX, &text));
    if (text == NULL)
        return AW_OK;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, " ");

        AW_TRY(aw_context(aw_name_parse(at, length, &name), "caaIdentities"));
        at += length;
        if (*at == '\0')
            break;
    }
    pin->caa_identities = strdup(text);
    return pin->caa_identities == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
read_pin(struct admin_call *call, const char *directory, struct ca_pin *pin)
{
    static const char *const members[] = {"newNonce", "newAccount", "newOrder", "revokeCert",
        "keyChange", "renewalInfo", "termsOfService", "caaIdentities", "externalAccountRequired"};
    const struct pin_row rows[] = {
        {"newNonce", true, &pin->new_nonce},
        {"newAccount", true, &pin->new_account},
        {"newOrder", true, &pin->new_order},
        {"revokeCert", false, &pin->revoke_cert},
        {"keyChange", false, &pin->key_change},
        {"renewalInfo", false, &pin->renewal_info},
    };
    const cJSON *json = NULL;
    const char *terms = NULL;

    call->field = "pin";
    AW_TRY(aw_json_object(call->parameters, "pin", &json));
    AW_TRY(aw_json_only(json, members, AW_COUNT(members)));
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        AW_TRY(read_pin_url(call, json, directory, &rows[i]));
    call->field = "termsOfService"; /* shown to people, signed for by nobody: may be anywhere */
    AW_TRY(aw_json_optional_string(json, "termsOfService", SIGN_URL_MAX, &terms));
    if (terms != NULL && (pin->terms_of_service = strdup(terms)) == NULL)
        return aw_fail_memory();
    AW_TRY(read_caa_identities(call, json, pin));
    call->field = "externalAccountRequired";
    AW_TRY(aw_json_optional_bool(json, "externalAccountRequired", &pin->external_account_required));
    call->field = NULL;
    return AW_OK;
}

static bool
same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_pin(const struct ca_pin *a, const struct ca_pin *b)
{
    return same_text(a->new_nonce, b->new_nonce) && same_text(a->new_account, b->new_account) &&
           same_text(a->new_order, b->new_order) && same_text(a->revoke_cert, b->revoke_cert) &&
           same_text(a->key_change, b->key_change) && same_text(a->renewal_info, b->renewal_info);
}

aw_result
admin_find_ca(struct admin_call *call, const char *name, struct ca **out)
{
    *out = accounts_find_ca(call->core->accounts, name);
    if (*out == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no CA \"%s\"", name),
            "CAs are listed under cas in signer.yaml; acmeward-admin ca list shows them");
    return AW_OK;
}

static aw_result
pin_named(struct admin_call *call, const char *name, bool replace)
{
    AW_CLEANUP(ca_draft_free) struct ca draft = {0};
    AW_CLEANUP(ca_pin_free) struct ca_pin pin = {0};
    struct ca *ca = NULL;

    AW_TRY(admin_find_ca(call, name, &ca));
    AW_TRY(read_pin(call, ca->directory, &pin));
    if (ca->pinned_at != 0 && !same_pin(&ca->pin, &pin) && !replace)
        return aw_hint(aw_fail(AW_CODE_EXISTS, "%s is pinned already, to other URLs", ca->name),
            "if the CA really moved, pin it again with --replace");
    AW_TRY(ca_draft(ca, &draft));
    ca_pin_free(&draft.pin);
    draft.pin = pin;
    pin = (struct ca_pin){0};
    draft.pinned_at = core_now();
    snprintf(call->message, sizeof(call->message), "%s: %.400s", ca->name, ca->directory);
    AW_TRY(admin_record(call, "ca-pin", true));
    return accounts_commit_ca(call->core->accounts, ca, &draft);
}

aw_result
admin_pin_ca(struct admin_call *call)
{
    static const char *const members[] = {"ca", "pin", "replace"};
    const char *name = NULL;
    bool replace = false;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "ca";
    AW_TRY(aw_json_string(call->parameters, "ca", AW_CONFIG_LABEL_MAX, &name));
    call->field = "replace";
    AW_TRY(aw_json_optional_bool(call->parameters, "replace", &replace));
    accounts_change(call->core->accounts);
    aw_result r = pin_named(call, name, replace);
    accounts_change_end(call->core->accounts);
    return r;
}
