/* Administrators' methods on accounts: keys, newAccount, the account URL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "signer/admin_account.h"
#include "signer/held_keys.h"
#include "signer/jws.h"
#include "signer/request.h"
#include "signer/url.h"

enum { CONTACT_SIZE = 256 };

static bool
write_application(const struct policy_application *application, void *context)
{
    struct {
        struct aw_json_writer *w;
        const char *account;
    } *wanted = context;

    if (strcmp(application->account, wanted->account) == 0)
        aw_json_write_string(wanted->w, application->name);
    return true;
}

static void
write_applications(struct admin_call *call, const struct account *account)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(call->core);
    struct {
        struct aw_json_writer *w;
        const char *account;
    } wanted = {&call->reply, account->name};

    aw_json_name(&call->reply, "applications");
    aw_json_begin_array(&call->reply);
    policy_visit_all(snapshot, write_application, &wanted);
    aw_json_end_array(&call->reply);
}

static const char *
key_change_name(const struct account *account)
{
    if (account->old.thumbprint != NULL)
        return "confirmed";
    if (account->next.thumbprint == NULL)
        return "none";
    return account->change_attempted_at == 0 ? "made" : "attempted";
}

static void
write_account(struct admin_call *call, const struct account *account)
{
    struct aw_json_writer *w = &call->reply;
    token_key *key = accounts_known_key(call->core->accounts, account);

    aw_json_begin_object(w);
    aw_json_pair(w, "name", account->name);
    aw_json_pair(w, "ca", account->ca->name);
    aw_json_pair(w, "state", account_state_name(account->state));
    aw_json_pair(w, "key_type", token_key_type_name(account->key_type));
    aw_json_pair(w, "thumbprint", account->thumbprint);
    aw_json_pair(w, "jwk", key == NULL ? NULL : token_key_jwk(key));
    aw_json_pair(w, "url", account->url);
    aw_json_pair(w, "key_change", key_change_name(account));
    aw_json_pair(w, "next_thumbprint", account->next.thumbprint);
    aw_json_pair(w, "old_thumbprint", account->old.thumbprint);
    aw_json_pair(w, "attempted_kid", account->attempted_kid);
    if (account->attempted_at != 0)
        aw_json_pair_integer(w, "attempted_at", account->attempted_at);
    if (account->registered_at != 0)
        aw_json_pair_integer(w, "registered_at", account->registered_at);
    aw_json_pair(w, "contact", account->contact);
    aw_json_pair(w, "former_url", account->former_url);
    aw_json_pair(w, "former_thumbprint", account->former_thumbprint);
    if (account->former_at != 0)
        aw_json_pair_integer(w, "former_at", account->former_at);
    write_applications(call, account);
    aw_json_end_object(w);
}

aw_result
admin_list_accounts(struct admin_call *call)
{
    size_t count = 0;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    aw_json_name(&call->reply, "accounts");
    aw_json_begin_array(&call->reply);
    accounts_read(call->core->accounts);
    const struct account *all = accounts_all(call->core->accounts, &count);
    for (size_t i = 0; i < count; i++)
        write_account(call, &all[i]);
    accounts_read_end(call->core->accounts);
    aw_json_end_array(&call->reply);
    return AW_OK;
}

static aw_result
find_account(struct admin_call *call, const char *name, struct account **out)
{
    *out = accounts_find(call->core->accounts, name);
    if (*out == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no account \"%s\"", name),
            "accounts are listed under accounts in signer.yaml; acmeward-admin account list shows "
            "them; after an edit: acmeward-admin reload");
    snprintf(call->account, sizeof(call->account), "%s", name);
    return AW_OK;
}

static aw_result
work_on_draft(struct admin_call *call, const char *name, admin_account_work work)
{
    AW_CLEANUP(account_draft_free) struct account draft = {0};
    struct account *account = NULL;

    AW_TRY(find_account(call, name, &account));
    AW_TRY(account_draft(call->core->accounts, account, &draft));
    return work(call, account, &draft);
}

aw_result
admin_with_account(struct admin_call *call, admin_account_work work)
{
    const char *name = NULL;

    call->field = "account";
    AW_TRY(aw_json_string(call->parameters, "account", AW_CONFIG_LABEL_MAX, &name));
    call->field = NULL;
    accounts_change(call->core->accounts);
    aw_result r = work_on_draft(call, name, work);
    accounts_change_end(call->core->accounts);
    return r;
}

aw_result
admin_commit_account(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_TRY(accounts_commit(call->core->accounts, account, draft));
    aw_json_name(&call->reply, "state");
    write_account(call, account);
    return AW_OK;
}

aw_result
admin_set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = text == NULL ? NULL : strdup(text);
    return text != NULL && *slot == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
admin_note_key(struct account *draft)
{
    const uint8_t *spki = NULL;
    size_t size = 0;

    AW_TRY(admin_set_text(&draft->thumbprint, token_key_thumbprint(draft->key)));
    token_key_spki(draft->key, &spki, &size);
    if (EVP_Digest(spki, size, draft->key_digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("can't hash a public key");
    draft->has_key_digest = true;
    return AW_OK;
}

/* A key that is in the token already, but not in the state file, was made by a ceremony that was
 * cut off: it is taken over, not made twice. */
aw_result
admin_make_key(struct admin_call *call, const struct account *account, int64_t number,
    struct token_key_report *report, token_key **out)
{
    AW_CLEANUP(aw_free) char *label = NULL;

    AW_TRY(accounts_key_label(account->name, number, &label));
    aw_result r = token_key_find(call->core->token, label, out);
    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return token_key_generate(call->core->token, label, account->key_type, report, out);
    AW_TRY(r);
    if (token_key_kind(*out) == account->key_type)
        return AW_OK;
    r = aw_fail(AW_CODE_MISMATCH, "the token's key \"%s\" is of type %s, configured is %s", label,
        token_key_type_name(token_key_kind(*out)), token_key_type_name(account->key_type));
    token_key_free(out);
    return aw_hint(r, "make both the same in signer.yaml, or destroy the key in the token");
}

static aw_result
create(struct admin_call *call, struct account *account, struct account *draft)
{
    struct token_key_report report = {0};

    if (account->state != ACCOUNT_NO_KEY)
        return aw_hint(aw_fail(AW_CODE_EXISTS, "account %s has its key already (thumbprint %s)",
                           account->name, account->thumbprint),
            "to register it: acmeward-admin account register %s", account->name);
    snprintf(call->message, sizeof(call->message), "%s", token_key_type_name(account->key_type));
    AW_TRY(admin_record(call, "account-create", true));
    AW_TRY(admin_make_key(call, draft, draft->key_number, &report, &draft->key));
    AW_TRY(admin_note_key(draft));
    draft->state = ACCOUNT_UNREGISTERED;
    AW_TRY(admin_commit_account(call, account, draft));
    held_keys_refresh_late(call->core);
    admin_write_report(&call->reply, &report);
    return AW_OK;
}

aw_result
admin_create_account(struct admin_call *call)
{
    static const char *const members[] = {"account"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, create);
}

/* RFC 8555 7.3: mailto URLs, without hfields and with one address each. */
aw_result
admin_read_contacts(struct admin_call *call, struct admin_contacts *out)
{
    const cJSON *list = NULL, *item = NULL;

    call->field = "contact";
    AW_TRY(aw_json_array(call->parameters, "contact", 0, ADMIN_CONTACTS_MAX, &list));
    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_GetStringValue(item);

        if (text == NULL || strncmp(text, "mailto:", 7) != 0 || strlen(text) >= CONTACT_SIZE ||
            strpbrk(text, "?, \"\\") != NULL || strchr(text, '@') == NULL)
            return aw_fail(AW_CODE_SYNTAX,
                "contact: expected mailto: URLs of one address each (RFC 8555 7.3)");
        out->items[out->count++] = text;
    }
    call->field = NULL;
    return AW_OK;
}

aw_result
admin_note_contacts(struct account *draft, const struct admin_contacts *contacts)
{
    char text[ADMIN_CONTACTS_MAX * CONTACT_SIZE] = "";
    size_t used = 0;

    for (size_t i = 0; i < contacts->count; i++)
        used += (size_t)snprintf(
            text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ", contacts->items[i]);
    return admin_set_text(&draft->contact, used == 0 ? NULL : text);
}

/* The parameters of NewAccount. */
struct new_account {
    const char *nonce;
    const char *kid;
    struct admin_contacts contact;
    bool terms_agreed;
    bool only_existing;
    bool unprocessed;
};

static aw_result
read_new_account(struct admin_call *call, struct new_account *asked)
{
    static const char *const members[] = {
        "account", "nonce", "contact", "terms_agreed", "kid", "only_existing", "unprocessed"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    AW_TRY(admin_read_nonce(call, &asked->nonce));
    AW_TRY(admin_read_contacts(call, &asked->contact));
    call->field = "terms_agreed";
    AW_TRY(aw_json_optional_bool(call->parameters, "terms_agreed", &asked->terms_agreed));
    call->field = "kid";
    AW_TRY(aw_json_optional_string(call->parameters, "kid", ACCOUNTS_KID_MAX, &asked->kid));
    call->field = "only_existing";
    AW_TRY(aw_json_optional_bool(call->parameters, "only_existing", &asked->only_existing));
    call->field = "unprocessed";
    AW_TRY(aw_json_optional_bool(call->parameters, "unprocessed", &asked->unprocessed));
    call->field = NULL;
    return AW_OK;
}

static aw_result
find_mac(struct admin_call *call, const struct ca *ca, const char *kid,
    enum token_mac_algorithm *algorithm, token_mac **out)
{
    for (size_t i = 0; i < ca->eab_count; i++)
        if (strcmp(ca->eabs[i].kid, kid) == 0) {
            *algorithm = ca->eabs[i].algorithm;
            return token_mac_find(call->core->token, ca->eabs[i].label, *algorithm, out);
        }
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "%s has no EAB key \"%s\"", ca->name, kid),
        "import it: acmeward-admin eab import --ca %s --kid ...", ca->name);
}

/* RFC 8555 7.3.4: the payload is the account's public key, the URL that of the outer JWS. */
static aw_result
bind_externally(struct admin_call *call, const struct account *account, const char *jwk,
    const char *kid, char **out)
{
    AW_CLEANUP(token_mac_free) token_mac *mac = NULL;
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};
    enum token_mac_algorithm algorithm = TOKEN_HS256;
    uint8_t value[TOKEN_MAC_MAX];
    size_t size = 0;

    AW_TRY(find_mac(call, account->ca, kid, &algorithm, &mac));
    AW_TRY(aw_jws_build(&(struct aw_jws_header){.algorithm = token_mac_algorithm_name(algorithm),
                            .kid = kid,
                            .url = account->ca->pin.new_account},
        jwk, &jws));
    AW_TRY(token_mac_compute(mac, jws.input, jws.input_size, value, &size));
    return aw_jws_serialize(&jws, value, size, out);
}

static aw_result
check_ready(const struct account *account, const struct new_account *asked)
{
    if (account->ca->pinned_at == 0)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "the CA %s is not pinned", account->ca->name),
            "acmeward-admin ca pin %s", account->ca->name);
    if (account->state == ACCOUNT_NO_KEY)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "account %s has no key yet", account->name),
            "acmeward-admin account create %s", account->name);
    if (account->state == ACCOUNT_DEACTIVATED)
        return aw_hint(
            aw_fail(AW_CODE_EXISTS, "account %s is deactivated: its key can't have another one",
                account->name),
            "acmeward-admin account recover %s makes a new key, for a new account", account->name);
    if (account->state == ACCOUNT_REGISTERED && !asked->only_existing)
        return aw_fail(
            AW_CODE_EXISTS, "account %s is registered already: %s", account->name, account->url);
    /* After a first attempt whose answer was lost, only onlyReturnExisting may be tried: an EAB can
     * be good for one account only, and a second newAccount might spend it for nothing. */
    if (account->state == ACCOUNT_ATTEMPTED && !asked->only_existing && !asked->unprocessed)
        return aw_hint(
            aw_fail(AW_CODE_EXISTS,
                "a newAccount for %s has left already and its answer is not known", account->name),
            "look for the account first: acmeward-admin account register %s --recover",
            account->name);
    if (account->ca->pin.external_account_required && asked->kid == NULL && !asked->only_existing)
        return aw_hint(aw_fail(AW_CODE_USAGE, "the CA %s asks for an external account binding",
                           account->ca->name),
            "import the EAB key it gave you and name it with --kid");
    return AW_OK;
}

static aw_result
build_new_account(struct admin_call *call, const struct account *account, token_key *key,
    const struct new_account *asked, struct aw_jws *jws)
{
    AW_CLEANUP(aw_free) char *binding = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL;

    if (asked->kid != NULL && !asked->only_existing)
        AW_TRY(bind_externally(call, account, token_key_jwk(key), asked->kid, &binding));
    AW_TRY(jws_payload_new_account(&(struct jws_new_account){.contact = asked->contact.items,
                                       .contact_count = asked->contact.count,
                                       .terms_agreed = asked->terms_agreed,
                                       .only_existing = asked->only_existing,
                                       .binding = binding},
        &payload));
    return aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(key),
                            .jwk = token_key_jwk(key),
                            .nonce = asked->nonce,
                            .url = account->ca->pin.new_account},
        payload, jws);
}

aw_result
admin_sign_jws(token_key *key, const struct aw_jws *jws, char **out)
{
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t size = 0;

    AW_TRY(token_key_sign(key, jws->input, jws->input_size, signature, &size));
    return aw_jws_serialize(jws, signature, size, out);
}

void
admin_write_jws(struct admin_call *call, const char *url, const char *jws)
{
    aw_json_pair(&call->reply, "url", url);
    aw_json_name(&call->reply, "jws");
    aw_json_write_raw(&call->reply, jws);
}

/* The attempt is durable before the signature leaves; a token that fails has attempted nothing. */
static aw_result
note_attempt(struct admin_call *call, struct account *account, struct account *draft,
    const struct new_account *asked)
{
    if (asked->only_existing)
        return AW_OK;
    AW_TRY(admin_set_text(&draft->attempted_kid, asked->kid));
    AW_TRY(admin_note_contacts(draft, &asked->contact));
    draft->attempted_at = core_now();
    draft->state = ACCOUNT_ATTEMPTED;
    return accounts_commit(call->core->accounts, account, draft);
}

static void
describe_new_account(
    struct admin_call *call, const struct new_account *asked, const struct aw_jws *jws)
{
    aw_hex(jws->digest, sizeof(jws->digest), call->input);
    snprintf(call->message, sizeof(call->message), "%s%.200s",
        asked->only_existing ? "onlyReturnExisting"
        : asked->kid == NULL ? "no binding"
                             : "kid ",
        asked->only_existing || asked->kid == NULL ? "" : asked->kid);
}

static aw_result
sign_new_account(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};
    AW_CLEANUP(aw_free) char *text = NULL;
    struct new_account asked = {0};
    token_key *key = NULL;

    AW_TRY(read_new_account(call, &asked));
    AW_TRY(check_ready(account, &asked));
    AW_TRY(accounts_key(call->core->accounts, account, &key));
    AW_TRY(build_new_account(call, account, key, &asked, &jws));
    describe_new_account(call, &asked, &jws);
    AW_TRY(admin_record(call, "new-account", true));
    AW_TRY(admin_sign_jws(key, &jws, &text));
    AW_TRY(note_attempt(call, account, draft, &asked));
    admin_write_jws(call, account->ca->pin.new_account, text);
    return AW_OK;
}

aw_result
admin_new_account(struct admin_call *call)
{
    return admin_with_account(call, sign_new_account);
}

static aw_result
forget_attempt(struct admin_call *call, struct account *account, struct account *draft)
{
    if (account->state != ACCOUNT_ATTEMPTED)
        return aw_fail(AW_CODE_NOT_FOUND, "account %s is %s: there is no attempt to forget",
            account->name, account_state_name(account->state));
    snprintf(call->message, sizeof(call->message), "kid %.200s",
        account->attempted_kid == NULL ? "none" : account->attempted_kid);
    AW_TRY(admin_record(call, "forget-attempt", true));
    AW_TRY(admin_set_text(&draft->attempted_kid, NULL));
    draft->attempted_at = 0;
    draft->state = ACCOUNT_UNREGISTERED;
    return admin_commit_account(call, account, draft);
}

aw_result
admin_forget_attempt(struct admin_call *call)
{
    static const char *const members[] = {"account"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, forget_attempt);
}

aw_result
admin_check_account_url(const struct account *account, const char *what, const char *url)
{
    const struct ca_pin *pin = &account->ca->pin;
    const char *const fixed[] = {account->ca->directory, pin->new_nonce, pin->new_account,
        pin->new_order, pin->revoke_cert, pin->key_change, pin->renewal_info};

    AW_TRY(aw_context(url_check_form(url), "%s", what));
    if (!url_same_origin(url, account->ca->directory))
        return aw_fail(AW_CODE_MISMATCH, "%s %s is not on the origin of %s", what, url,
            account->ca->directory);
    for (size_t i = 0; i < AW_COUNT(fixed); i++)
        if (fixed[i] != NULL && strcmp(url, fixed[i]) == 0)
            return aw_fail(AW_CODE_MISMATCH, "%s %s is a resource of the directory", what, url);
    return AW_OK;
}

static aw_result
read_urls(
    struct admin_call *call, const struct account *account, const char **url, const char **orders)
{
    call->field = "url";
    AW_TRY(aw_json_string(call->parameters, "url", SIGN_URL_MAX, url));
    AW_TRY(admin_check_account_url(account, "url", *url));
    call->field = "orders";
    AW_TRY(aw_json_optional_string(call->parameters, "orders", SIGN_URL_MAX, orders));
    if (*orders != NULL) /* never signed for: it may be anywhere */
        AW_TRY(aw_context(url_check_pin(*orders), "orders"));
    call->field = NULL;
    return AW_OK;
}

static aw_result
check_registrable(const struct account *account, const char *url)
{
    if (account->ca->pinned_at == 0)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "the CA %s is not pinned", account->ca->name),
            "acmeward-admin ca pin %s", account->ca->name);
    if (account->state == ACCOUNT_NO_KEY)
        return aw_fail(AW_CODE_NOT_FOUND, "account %s has no key yet", account->name);
    if (account->state >= ACCOUNT_REGISTERED && strcmp(account->url, url) != 0)
        return aw_hint(
            aw_fail(AW_CODE_EXISTS, "account %s is registered as %s", account->name, account->url),
            "one account of the configuration is one account at the CA: use another name");
    return AW_OK;
}

static aw_result
register_url(struct admin_call *call, struct account *account, struct account *draft)
{
    const char *url = NULL, *orders = NULL;

    AW_TRY(read_urls(call, account, &url, &orders));
    AW_TRY(check_registrable(account, url));
    snprintf(call->message, sizeof(call->message), "%.500s", url);
    AW_TRY(admin_record(call, "account-register", true));
    AW_TRY(admin_set_text(&draft->url, url));
    AW_TRY(admin_set_text(&draft->orders, orders));
    draft->registered_at = core_now();
    draft->state = ACCOUNT_REGISTERED;
    return admin_commit_account(call, account, draft);
}

aw_result
admin_register_account(struct admin_call *call)
{
    static const char *const members[] = {"account", "url", "orders"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, register_url);
}
