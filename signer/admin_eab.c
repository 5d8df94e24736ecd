/* Administrators' methods on EAB keys: imported in clear or wrapped, listed, destroyed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/log.h"
#include "common/wrapped.h"
#include "signer/admin.h"

/* Octets of a wrapped key that are taken in; what it must have, the token's layer knows. */
enum { WRAPPED_MAX = 512 };

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

/* The parameters of ImportEab, with the key in secret memory, and of ImportWrappedEab. */
struct eab_import {
    const char *ca;
    const char *kid;
    enum token_mac_algorithm algorithm;
    size_t bits;
    aw_secret *key; /* NULL: it is wrapped */
    const char *wrapping_key;
    uint8_t wrapped[WRAPPED_MAX], check[TOKEN_MAC_MAX];
    size_t wrapped_size, check_size;
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

/* What both kinds of import have. */
static aw_result
read_terms(struct admin_call *call, struct eab_import *import)
{
    const char *algorithm = NULL;

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
    return aw_json_optional_bool(call->parameters, "force", &import->force);
}

static aw_result
read_import(struct admin_call *call, struct eab_import *import)
{
    static const char *const members[] = {"ca", "kid", "algorithm", "key", "force"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    AW_TRY(read_terms(call, import));
    call->field = "key";
    AW_TRY(decode_key(call->parameters, &import->key));
    import->bits = import->key->size * 8;
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

static aw_result
bring_clear(struct admin_call *call, const struct eab_import *import, const char *label,
    struct token_key_report *report)
{
    return token_mac_import(
        call->core->token, label, import->algorithm, import->key, import->force, report);
}

/* The entry is on disk before the key is in the token: a key that no entry names would be lost to
 * sight, an entry without a key is shown and may be filled. */
static aw_result
import_eab(struct admin_call *call, const struct eab_import *import,
    aw_result (*bring)(struct admin_call *call, const struct eab_import *import, const char *label,
        struct token_key_report *report),
    struct token_key_report *report)
{
    AW_CLEANUP(ca_draft_free) struct ca draft = {0};
    AW_CLEANUP(aw_free) char *label = NULL;
    struct ca *ca = NULL;

    AW_TRY(admin_find_ca(call, import->ca, &ca));
    AW_TRY(ca_draft(ca, &draft));
    struct ca_eab *eab = find_eab(&draft, import->kid);
    if (eab != NULL) {
        AW_TRY(refuse_present(call, ca, eab));
        drop_eab(&draft, eab);
    }
    AW_TRY(accounts_eab_label(import->ca, import->kid, &label));
    AW_TRY(add_eab(&draft, import, label));
    snprintf(call->message, sizeof(call->message), "%s: kid %.200s, %zu bits%s", import->ca,
        import->kid, import->bits, import->key == NULL ? ", wrapped" : "");
    AW_TRY(admin_record(call, "eab-import", true));
    AW_TRY(accounts_commit_ca(call->core->accounts, ca, &draft));
    aw_result r = bring(call, import, label, report);
    if (r.code == AW_CODE_EXISTS) /* a key from before, which the entry now names */
        return aw_hint(r, "acmeward-admin eab list shows it now: destroy it, then import again");
    if (!aw_ok(r))
        retract_eab(call, ca, import->kid);
    return r;
}

static void
write_import(
    struct admin_call *call, const struct eab_import *import, const struct token_key_report *report)
{
    aw_json_pair_integer(&call->reply, "bits", (int64_t)import->bits);
    admin_write_report(&call->reply, report);
}

aw_result
admin_import_eab(struct admin_call *call)
{
    struct eab_import import = {.ca = NULL};
    struct token_key_report report = {0};
    aw_result r = read_import(call, &import);

    if (aw_ok(r)) {
        accounts_change(call->core->accounts);
        r = import_eab(call, &import, bring_clear, &report);
        accounts_change_end(call->core->accounts);
    }
    if (aw_ok(r))
        write_import(call, &import, &report);
    aw_secret_free(&import.key);
    return r;
}

/* Wrapped. */

static aw_result
decode_octets(
    struct admin_call *call, const char *name, uint8_t *out, size_t capacity, size_t *size)
{
    const char *text = NULL;

    call->field = name;
    AW_TRY(aw_json_string(call->parameters, name, AW_B64URL_LENGTH(capacity), &text));
    return aw_context(aw_b64url_decode(text, strlen(text), out, capacity, size), "%s", name);
}

static aw_result
read_wrapped(struct admin_call *call, struct eab_import *import)
{
    static const char *const members[] = {
        "ca", "kid", "algorithm", "bits", "wrapping_key", "wrapped", "check", "force"};
    int64_t bits = 0;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    AW_TRY(read_terms(call, import));
    call->field = "bits";
    AW_TRY(aw_json_integer(call->parameters, "bits", 8, 8 * TOKEN_MAC_KEY_MAX, &bits));
    import->bits = (size_t)bits;
    call->field = "wrapping_key";
    AW_TRY(aw_json_string(call->parameters, "wrapping_key", AW_WRAPPED_HEX, &import->wrapping_key));
    AW_TRY(decode_octets(
        call, "wrapped", import->wrapped, sizeof(import->wrapped), &import->wrapped_size));
    AW_TRY(decode_octets(call, "check", import->check, sizeof(import->check), &import->check_size));
    call->field = NULL;
    if (import->bits >= 8 * token_mac_size(import->algorithm) || import->force)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_LIMIT,
                       "the wrapped HMAC key has %zu bits; %s asks for at least %zu (RFC 7518 3.2)",
                       import->bits, token_mac_algorithm_name(import->algorithm),
                       8 * token_mac_size(import->algorithm)),
        "if the CA really gave such a key, force the import");
}

/* The token says by the check value whether all of this is what was wrapped. */
static aw_result
bring_wrapped(struct admin_call *call, const struct eab_import *import, const char *label,
    struct token_key_report *report)
{
    const struct aw_wrapped_terms terms = {.ca = import->ca,
        .kid = import->kid,
        .algorithm = token_mac_algorithm_name(import->algorithm),
        .bits = (int64_t)import->bits,
        .wrapping_key = import->wrapping_key};
    AW_CLEANUP(aw_free) uint8_t *text = NULL;
    size_t size = 0;

    AW_TRY(admin_wrapping_check(call, import->wrapping_key));
    AW_TRY(aw_wrapped_check_text(&terms, &text, &size));
    const struct token_wrapped wrapped = {.label = label,
        .algorithm = import->algorithm,
        .wrapped = {import->wrapped, import->wrapped_size},
        .check_text = {text, size},
        .check = {import->check, import->check_size}};
    AW_TRY(token_mac_unwrap(call->core->token, ADMIN_WRAPPING_LABEL, &wrapped, report));
    report->padded = import->bits < 8 * token_mac_block(import->algorithm);
    return AW_OK;
}

aw_result
admin_import_wrapped_eab(struct admin_call *call)
{
    struct eab_import import = {.ca = NULL};
    struct token_key_report report = {0};

    AW_TRY(read_wrapped(call, &import));
    accounts_change(call->core->accounts);
    aw_result r = import_eab(call, &import, bring_wrapped, &report);
    accounts_change_end(call->core->accounts);
    AW_TRY(r);
    write_import(call, &import, &report);
    return AW_OK;
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

    AW_TRY(admin_find_ca(call, name, &ca));
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
