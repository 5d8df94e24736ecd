/* Administrators' methods on CAs: pins and EAB keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/log.h"
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

static aw_result
read_pin(struct admin_call *call, const char *directory, struct ca_pin *pin)
{
    static const char *const members[] = {"newNonce", "newAccount", "newOrder", "revokeCert",
        "keyChange", "renewalInfo", "termsOfService", "externalAccountRequired"};
    const struct pin_row rows[] = {
        {"newNonce", true, &pin->new_nonce},
        {"newAccount", true, &pin->new_account},
        {"newOrder", true, &pin->new_order},
        {"revokeCert", true, &pin->revoke_cert},
        {"keyChange", true, &pin->key_change},
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

static aw_result
find_ca(struct admin_call *call, const char *name, struct ca **out)
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

    AW_TRY(find_ca(call, name, &ca));
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

static aw_result
list_eabs(struct admin_call *call)
{
    struct aw_json_writer *w = &call->reply;
    size_t count = 0;
    const struct ca *cas = accounts_cas(call->core->accounts, &count);

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < cas[i].eab_count; j++) {
            const struct ca_eab *eab = &cas[i].eabs[j];
            AW_CLEANUP(token_mac_free) token_mac *mac = NULL;
            aw_result r = token_mac_find(call->core->token, eab->label, eab->algorithm, &mac);

            if (!aw_ok(r) && r.code != AW_CODE_TOKEN_KEY_MISSING)
                return r;
            aw_json_begin_object(w);
            aw_json_pair(w, "ca", cas[i].name);
            aw_json_pair(w, "kid", eab->kid);
            aw_json_pair(w, "algorithm", token_mac_algorithm_name(eab->algorithm));
            aw_json_pair_bool(w, "present", mac != NULL);
            aw_json_end_object(w);
        }
    return AW_OK;
}

aw_result
admin_list_eabs(struct admin_call *call)
{
    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    aw_json_name(&call->reply, "eabs");
    aw_json_begin_array(&call->reply);
    accounts_read(call->core->accounts);
    aw_result r = list_eabs(call);
    accounts_read_end(call->core->accounts);
    aw_json_end_array(&call->reply);
    return r;
}

/* The parameters of ImportEab, with the key in secret memory. */
struct eab_import {
    const char *ca;
    const char *kid;
    enum token_mac_algorithm algorithm;
    aw_secret *key;
    bool force;
};

static aw_result
decode_key(const cJSON *parameters, aw_secret **out)
{
    const char *text = NULL;

    AW_TRY(aw_json_string(parameters, "key", AW_B64URL_LENGTH(TOKEN_MAC_KEY_MAX), &text));
    AW_TRY(aw_secret_new(TOKEN_MAC_KEY_MAX + 1, out));
    AW_TRY(aw_b64url_decode(text, strlen(text), (*out)->data, (*out)->capacity, &(*out)->size));
    return (*out)->size > 0 ? AW_OK : aw_fail(AW_CODE_SYNTAX, "key: found nothing");
}

static aw_result
read_import(struct admin_call *call, struct eab_import *import)
{
    static const char *const members[] = {"ca", "kid", "algorithm", "key", "force"};
    const char *algorithm = NULL;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "ca";
    AW_TRY(aw_json_string(call->parameters, "ca", AW_CONFIG_LABEL_MAX, &import->ca));
    call->field = "kid";
    AW_TRY(aw_json_string(call->parameters, "kid", ACCOUNTS_KID_MAX, &import->kid));
    if (import->kid[0] == '\0')
        return aw_fail(AW_CODE_SYNTAX, "kid: found nothing, expected the CA's key identifier");
    call->field = "algorithm";
    AW_TRY(aw_json_string(call->parameters, "algorithm", 8, &algorithm));
    if (!token_mac_algorithm_parse(algorithm, &import->algorithm))
        return aw_fail(
            AW_CODE_SYNTAX, "algorithm: found \"%s\", expected HS256, HS384 or HS512", algorithm);
    call->field = "force";
    AW_TRY(aw_json_optional_bool(call->parameters, "force", &import->force));
    call->field = "key";
    AW_TRY(decode_key(call->parameters, &import->key));
    call->field = NULL;
    return AW_OK;
}

static struct ca_eab *
find_eab(struct ca *ca, const char *kid)
{
    for (size_t i = 0; i < ca->eab_count; i++)
        if (strcmp(ca->eabs[i].kid, kid) == 0)
            return &ca->eabs[i];
    return NULL;
}

static aw_result
add_eab(struct ca *draft, const struct eab_import *import, const char *label)
{
    if (draft->eab_count == ACCOUNTS_EABS_MAX)
        return aw_hint(
            aw_fail(AW_CODE_LIMIT, "%s has %d EAB keys already", draft->name, ACCOUNTS_EABS_MAX),
            "destroy one that is of no more use: acmeward-admin eab destroy");
    struct ca_eab *eab = &draft->eabs[draft->eab_count++];
    eab->kid = strdup(import->kid);
    eab->label = strdup(label);
    eab->algorithm = import->algorithm;
    return eab->kid == NULL || eab->label == NULL ? aw_fail_memory() : AW_OK;
}

static void
drop_eab(struct ca *draft, struct ca_eab *eab)
{
    free(eab->kid);
    free(eab->label);
    *eab = draft->eabs[--draft->eab_count];
    memset(&draft->eabs[draft->eab_count], 0, sizeof(*eab));
}

/* An entry without its key in the token (a restored state folder, a new token) may be filled. */
static aw_result
refuse_present(struct admin_call *call, const struct ca *ca, const struct ca_eab *eab)
{
    AW_CLEANUP(token_mac_free) token_mac *mac = NULL;
    aw_result r = token_mac_find(call->core->token, eab->label, eab->algorithm, &mac);

    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    AW_TRY(r);
    return aw_hint(
        aw_fail(AW_CODE_EXISTS, "the EAB key %s of %s is in the token already", eab->kid, ca->name),
        "destroy it first with acmeward-admin eab destroy, or use another --kid");
}

/* Takes the entry back after a failed import; what can't be taken back is an entry without a key,
 * which may be filled. */
static void
retract_eab(struct admin_call *call, struct ca *ca, const char *kid)
{
    AW_CLEANUP(ca_draft_free) struct ca draft = {0};
    struct aw_error error;

    aw_error_save(&error);
    aw_result r = ca_draft(ca, &draft);
    struct ca_eab *eab = aw_ok(r) ? find_eab(&draft, kid) : NULL;
    if (eab != NULL) {
        drop_eab(&draft, eab);
        r = accounts_commit_ca(call->core->accounts, ca, &draft);
    }
    if (!aw_ok(r))
        aw_log_failure(AW_LOG_WARNING, "the entry of an EAB key that was not imported stays");
    aw_ignore(aw_error_restore(&error), "the caller returns the first failure");
}

/* The entry is on disk before the key is in the token: a key that no entry names would be lost to
 * sight, an entry without a key is shown and may be filled. */
static aw_result
import_eab(
    struct admin_call *call, const struct eab_import *import, struct token_key_report *report)
{
    AW_CLEANUP(ca_draft_free) struct ca draft = {0};
    AW_CLEANUP(aw_free) char *label = NULL;
    struct ca *ca = NULL;

    AW_TRY(find_ca(call, import->ca, &ca));
    AW_TRY(ca_draft(ca, &draft));
    struct ca_eab *eab = find_eab(&draft, import->kid);
    if (eab != NULL) {
        AW_TRY(refuse_present(call, ca, eab));
        drop_eab(&draft, eab);
    }
    AW_TRY(accounts_eab_label(import->ca, import->kid, &label));
    AW_TRY(add_eab(&draft, import, label));
    snprintf(call->message, sizeof(call->message), "%s: kid %.200s, %zu bits", import->ca,
        import->kid, import->key->size * 8);
    AW_TRY(admin_record(call, "eab-import", true));
    AW_TRY(accounts_commit_ca(call->core->accounts, ca, &draft));
    aw_result r = token_mac_import(
        call->core->token, label, import->algorithm, import->key, import->force, report);
    if (r.code == AW_CODE_EXISTS) /* a key from before, which the entry now names */
        return aw_hint(r, "acmeward-admin eab list shows it now: destroy it, then import again");
    if (!aw_ok(r))
        retract_eab(call, ca, import->kid);
    return r;
}

aw_result
admin_import_eab(struct admin_call *call)
{
    struct eab_import import = {0};
    struct token_key_report report = {0};
    aw_result r = read_import(call, &import);

    if (aw_ok(r)) {
        accounts_change(call->core->accounts);
        r = import_eab(call, &import, &report);
        accounts_change_end(call->core->accounts);
    }
    if (aw_ok(r)) {
        aw_json_pair_integer(&call->reply, "bits", (int64_t)import.key->size * 8);
        admin_write_report(&call->reply, &report);
    }
    aw_secret_free(&import.key);
    return r;
}

static aw_result
destroy_in_token(struct admin_call *call, const struct ca_eab *eab)
{
    AW_CLEANUP(token_mac_free) token_mac *mac = NULL;
    aw_result r = token_mac_find(call->core->token, eab->label, eab->algorithm, &mac);

    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    AW_TRY(r);
    return token_mac_destroy(mac);
}

static aw_result
destroy_eab(struct admin_call *call, const char *name, const char *kid)
{
    AW_CLEANUP(ca_draft_free) struct ca draft = {0};
    struct ca *ca = NULL;

    AW_TRY(find_ca(call, name, &ca));
    AW_TRY(ca_draft(ca, &draft));
    struct ca_eab *eab = find_eab(&draft, kid);
    if (eab == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "%s has no EAB key \"%.200s\"", name, kid),
            "acmeward-admin eab list shows what there is");
    snprintf(call->message, sizeof(call->message), "%s: kid %.200s", name, kid);
    AW_TRY(admin_record(call, "eab-destroy", true));
    AW_TRY(destroy_in_token(call, eab));
    drop_eab(&draft, eab);
    return accounts_commit_ca(call->core->accounts, ca, &draft);
}

aw_result
admin_destroy_eab(struct admin_call *call)
{
    static const char *const members[] = {"ca", "kid"};
    const char *name = NULL, *kid = NULL;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "ca";
    AW_TRY(aw_json_string(call->parameters, "ca", AW_CONFIG_LABEL_MAX, &name));
    call->field = "kid";
    AW_TRY(aw_json_string(call->parameters, "kid", ACCOUNTS_KID_MAX, &kid));
    call->field = NULL;
    accounts_change(call->core->accounts);
    aw_result r = destroy_eab(call, name, kid);
    accounts_change_end(call->core->accounts);
    return r;
}
