/*
 * Administrators' methods that change an account at its CA (RFC 8555 7.3.2, 7.3.6) or give it up:
 * contacts, deactivation, and the loss of a token.
 */
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/io.h"
#include "signer/admin_account.h"

/* Numbers that are looked at for keys that the account's file does not know. */
enum { LATER_KEYS = 64 };

static aw_result
sign_to_account(struct admin_call *call, struct account *account, const char *operation,
    const char *nonce, const char *payload)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {.input = NULL};
    AW_CLEANUP(aw_free) char *text = NULL;
    token_key *key = NULL;

    AW_TRY(accounts_key(call->core->accounts, account, &key));
    AW_TRY(aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(key),
                            .kid = account->url,
                            .nonce = nonce,
                            .url = account->url},
        payload, &jws));
    aw_hex(jws.digest, sizeof(jws.digest), call->input);
    AW_TRY(admin_record(call, operation, true));
    AW_TRY(admin_sign_jws(key, &jws, &text));
    admin_write_jws(call, account->url, text);
    return AW_OK;
}

/* Contacts. */

static aw_result
write_contacts(const struct admin_contacts *contacts, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_name(&w, "contact");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < contacts->count; i++)
        aw_json_write_string(&w, contacts->items[i]);
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

static aw_result
update(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(aw_free) char *payload = NULL;
    struct admin_contacts contacts = {.count = 0};
    const char *nonce = NULL;

    AW_TRY(admin_read_nonce(call, &nonce));
    AW_TRY(admin_read_contacts(call, &contacts));
    AW_TRY(admin_check_registered(account));
    AW_TRY(write_contacts(&contacts, &payload));
    AW_TRY(admin_note_contacts(draft, &contacts));
    snprintf(call->message, sizeof(call->message), "contact %.480s",
        draft->contact == NULL ? "none" : draft->contact);
    AW_TRY(sign_to_account(call, account, "account-update", nonce, payload));
    return accounts_commit(call->core->accounts, account, draft);
}

aw_result
admin_update_account(struct admin_call *call)
{
    static const char *const members[] = {"account", "nonce", "contact"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, update);
}

/* Deactivation. Signed as often as it takes; noted when the CA has done it. */

static aw_result
deactivate(struct admin_call *call, struct account *account, struct account *draft)
{
    const char *nonce = NULL;

    (void)draft;
    AW_TRY(admin_read_nonce(call, &nonce));
    AW_TRY(admin_check_registered(account));
    snprintf(call->message, sizeof(call->message), "%.500s", account->url);
    return sign_to_account(
        call, account, "account-deactivate", nonce, "{\"status\":\"deactivated\"}");
}

aw_result
admin_deactivate_account(struct admin_call *call)
{
    static const char *const members[] = {"account", "nonce"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, deactivate);
}

static aw_result
note_deactivated(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_TRY(admin_check_registered(account));
    snprintf(call->message, sizeof(call->message), "%.500s", account->url);
    AW_TRY(admin_record(call, "account-deactivated", true));
    draft->state = ACCOUNT_DEACTIVATED;
    return admin_commit_account(call, account, draft);
}

aw_result
admin_note_deactivated(struct admin_call *call)
{
    static const char *const members[] = {"account"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, note_deactivated);
}

/* Retiring: the account's key is lost with its token, or the account is deactivated. */

static aw_result
check_retirable(struct admin_call *call, struct account *account)
{
    AW_CLEANUP(aw_free) char *label = NULL;
    AW_CLEANUP(token_key_free) token_key *found = NULL;

    if (account->state == ACCOUNT_NO_KEY)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "account %s has no key that could be lost", account->name),
            "acmeward-admin account create %s", account->name);
    if (account->state == ACCOUNT_DEACTIVATED)
        return AW_OK;
    /* A handle from before says nothing: the token is asked. */
    AW_TRY(accounts_key_label(account->name, account->key_number, &label));
    aw_result r = token_key_find(call->core->token, label, &found);
    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    AW_TRY(r);
    if (strcmp(token_key_thumbprint(found), account->thumbprint) != 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_EXISTS, "the key of account %s is in the token: it is not lost",
                       account->name),
        "for a fresh key: account rotate %s; to end the account: account deactivate %s",
        account->name, account->name);
}

static aw_result
reset(struct account *account, struct account *draft)
{
    AW_TRY(admin_set_text(&draft->former_url, account->url));
    AW_TRY(admin_set_text(&draft->former_thumbprint, account->thumbprint));
    draft->former_at = core_now();
    AW_TRY(admin_set_text(&draft->thumbprint, NULL));
    AW_TRY(admin_set_text(&draft->url, NULL));
    AW_TRY(admin_set_text(&draft->orders, NULL));
    AW_TRY(admin_set_text(&draft->attempted_kid, NULL));
    AW_TRY(admin_set_text(&draft->contact, NULL));
    AW_TRY(admin_set_text(&draft->next.thumbprint, NULL));
    AW_TRY(admin_set_text(&draft->old.thumbprint, NULL));
    /* Numbers that a lost token may have used are not used again. */
    draft->key_number += draft->next.number > draft->key_number ? 2 : 1;
    draft->next.number = draft->old.number = draft->change_attempted_at = 0;
    draft->attempted_at = draft->registered_at = 0;
    draft->has_key_digest = false;
    draft->state = ACCOUNT_NO_KEY;
    return AW_OK;
}

/*
 * Where an older copy of the state was restored, keys of later changes are in the token and not in
 * the account's file: the last is taken, by which the CA finds the account (register --recover).
 */
static aw_result
take_later_key(struct admin_call *call, struct account *draft)
{
    int64_t last = draft->key_number;

    for (int64_t number = last; number < draft->key_number + LATER_KEYS; number++) {
        AW_CLEANUP(aw_free) char *label = NULL;
        AW_CLEANUP(token_key_free) token_key *found = NULL;

        AW_TRY(accounts_key_label(draft->name, number, &label));
        aw_result r = token_key_find(call->core->token, label, &found);
        if (aw_ok(r))
            last = number;
        else if (r.code != AW_CODE_TOKEN_KEY_MISSING)
            return r;
    }
    draft->key_number = last;
    return AW_OK;
}

static aw_result
retire(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_TRY(check_retirable(call, account));
    snprintf(call->message, sizeof(call->message), "%.400s, key %s",
        account->url == NULL ? "never registered" : account->url, account->thumbprint);
    AW_TRY(admin_record(call, "account-retire", true));
    AW_TRY(reset(account, draft));
    AW_TRY(take_later_key(call, draft));
    return admin_commit_account(call, account, draft);
}

aw_result
admin_retire_account(struct admin_call *call)
{
    static const char *const members[] = {"account"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, retire);
}
