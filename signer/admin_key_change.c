/*
 * Administrators' methods for a key change (RFC 8555 7.3.5). Each step is durable before what
 * belongs to it leaves, so that it goes on after any end: the next key is made, keyChange was
 * signed ("attempted"), the CA confirmed it and the keys changed places, the old one is destroyed.
 * No key that the CA may still know is destroyed here without an administrator who says that he
 * asked the CA.
 */
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/io.h"
#include "signer/admin_account.h"
#include "signer/held_keys.h"
#include "signer/jws.h"
#include "signer/request.h"

aw_result
admin_check_registered(const struct account *account)
{
    if (account->state == ACCOUNT_REGISTERED && account->ca->pinned_at != 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "account %s is not registered, or its CA not pinned",
                       account->name),
        "acmeward-admin account show %s tells its state", account->name);
}

aw_result
admin_check_resource(const struct account *account, const char *what, const char *url)
{
    if (url != NULL)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "the directory of the CA %s has no %s",
                       account->ca->name, what),
        "acmeward-admin ca pin %s, if it has one by now; else ask the CA", account->ca->name);
}

static aw_result
only_account(struct admin_call *call, admin_account_work work)
{
    static const char *const members[] = {"account"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, work);
}

/* 1. The next key. */

static aw_result
start(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(token_key_free) token_key *key = NULL;
    struct token_key_report report = {.padded = false};

    AW_TRY(admin_check_registered(account));
    AW_TRY(admin_check_resource(account, "keyChange", account->ca->pin.key_change));
    if (account->next.thumbprint != NULL || account->old.thumbprint != NULL)
        return aw_hint(aw_fail(AW_CODE_EXISTS, "a key change of %s is under way", account->name),
            "acmeward-admin account rotate %s goes on with it", account->name);
    draft->next.number = account->key_number + 1;
    snprintf(call->message, sizeof(call->message), "key %lld", (long long)draft->next.number);
    AW_TRY(admin_record(call, "key-change-start", true));
    AW_TRY(admin_make_key(call, account, draft->next.number, &report, &key));
    AW_TRY(admin_set_text(&draft->next.thumbprint, token_key_thumbprint(key)));
    draft->change_attempted_at = 0;
    AW_TRY(admin_commit_account(call, account, draft));
    held_keys_refresh_late(call->core);
    admin_write_report(&call->reply, &report);
    return AW_OK;
}

aw_result
admin_start_key_change(struct admin_call *call)
{
    return only_account(call, start);
}

/* 2. keyChange: signed by the old key, and inside of it by the new one. */

static aw_result
sign_inner(const struct account *account, token_key *old, token_key *next, char **out)
{
    AW_CLEANUP(aw_free) char *payload = NULL;
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};

    AW_TRY(jws_payload_key_change(account->url, token_key_jwk(old), &payload));
    AW_TRY(aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(next),
                            .jwk = token_key_jwk(next),
                            .url = account->ca->pin.key_change,
                            .inner = true},
        payload, &jws));
    return admin_sign_jws(next, &jws, out);
}

static aw_result
build_outer(const struct account *account, token_key *old, const char *nonce, const char *inner,
    struct aw_jws *jws)
{
    return aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(old),
                            .kid = account->url,
                            .nonce = nonce,
                            .url = account->ca->pin.key_change},
        inner, jws);
}

static aw_result
sign_change(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(token_key_free) token_key *next = NULL;
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};
    AW_CLEANUP(aw_free) char *inner = NULL, *text = NULL;
    const char *nonce = NULL;
    token_key *old = NULL;

    AW_TRY(admin_read_nonce(call, &nonce));
    AW_TRY(admin_check_registered(account));
    AW_TRY(admin_check_resource(account, "keyChange", account->ca->pin.key_change));
    AW_TRY(accounts_other_key(call->core->accounts, account, &account->next, &next));
    AW_TRY(accounts_key(call->core->accounts, account, &old));
    AW_TRY(sign_inner(account, old, next, &inner));
    AW_TRY(build_outer(account, old, nonce, inner, &jws));
    aw_hex(jws.digest, sizeof(jws.digest), call->input);
    snprintf(call->message, sizeof(call->message), "from %s to %s", account->thumbprint,
        account->next.thumbprint);
    AW_TRY(admin_record(call, "key-change", true));
    AW_TRY(admin_sign_jws(old, &jws, &text));
    draft->change_attempted_at = core_now();
    AW_TRY(accounts_commit(call->core->accounts, account, draft));
    admin_write_jws(call, account->ca->pin.key_change, text);
    return AW_OK;
}

aw_result
admin_sign_key_change(struct admin_call *call)
{
    static const char *const members[] = {"account", "nonce"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, sign_change);
}

/* 3. Questions to the CA, signed by one of the keys: which account has it, does it still count. */

struct question {
    const char *nonce;
    token_key *key;     /* borrowed: `present` or `other` */
    token_key *other;   /* looked up for this */
    const char *letter; /* which, for the record */
};

static void
question_free(struct question *question)
{
    token_key_free(&question->other);
}

static aw_result
read_question(struct admin_call *call, struct account *account, struct question *out)
{
    static const char *const members[] = {"account", "nonce", "key"};
    accounts *table = call->core->accounts;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    AW_TRY(admin_read_nonce(call, &out->nonce));
    call->field = "key";
    AW_TRY(aw_json_string(call->parameters, "key", 8, &out->letter));
    if (strcmp(out->letter, "present") == 0)
        AW_TRY(accounts_key(table, account, &out->key));
    else if (strcmp(out->letter, "next") == 0)
        AW_TRY(accounts_other_key(table, account, &account->next, &out->other));
    else if (strcmp(out->letter, "old") == 0)
        AW_TRY(accounts_other_key(table, account, &account->old, &out->other));
    else
        return aw_fail(AW_CODE_SYNTAX, "key: expected present, next or old");
    call->field = NULL;
    if (out->key == NULL)
        out->key = out->other;
    return AW_OK;
}

static aw_result
sign_question(struct admin_call *call, const struct question *question, const char *operation,
    const struct aw_jws_header *header, const char *payload)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_jws_build(header, payload, &jws));
    aw_hex(jws.digest, sizeof(jws.digest), call->input);
    snprintf(call->message, sizeof(call->message), "by the %s key %s", question->letter,
        token_key_thumbprint(question->key));
    AW_TRY(admin_record(call, operation, true));
    AW_TRY(admin_sign_jws(question->key, &jws, &text));
    admin_write_jws(call, header->url, text);
    return AW_OK;
}

static aw_result
look_up(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(question_free) struct question question = {.nonce = NULL};

    (void)draft;
    AW_TRY(admin_check_registered(account));
    AW_TRY(read_question(call, account, &question));
    const struct aw_jws_header header = {.algorithm = token_key_algorithm(question.key),
        .jwk = token_key_jwk(question.key),
        .nonce = question.nonce,
        .url = account->ca->pin.new_account};
    return sign_question(
        call, &question, "account-lookup", &header, "{\"onlyReturnExisting\":true}");
}

aw_result
admin_look_up_account(struct admin_call *call)
{
    return admin_with_account(call, look_up);
}

static aw_result
query(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(question_free) struct question question = {.nonce = NULL};

    (void)draft;
    AW_TRY(admin_check_registered(account));
    AW_TRY(read_question(call, account, &question));
    const struct aw_jws_header header = {.algorithm = token_key_algorithm(question.key),
        .kid = account->url,
        .nonce = question.nonce,
        .url = account->url};
    return sign_question(call, &question, "account-query", &header, "");
}

aw_result
admin_query_account(struct admin_call *call)
{
    return admin_with_account(call, query);
}

/* 4. The CA confirmed: the keys change places. */

static aw_result
check_confirmed_url(const struct account *account, const char *url)
{
    if (strcmp(url, account->url) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH,
                       "the CA says that the new key is that of %s, not of %s", url, account->url),
        "that account is another one: do not go on; ask the CA");
}

static aw_result
confirm(struct admin_call *call, struct account *account, struct account *draft)
{
    const char *url = NULL;

    call->field = "url";
    AW_TRY(aw_json_string(call->parameters, "url", SIGN_URL_MAX, &url));
    call->field = NULL;
    AW_TRY(admin_check_registered(account));
    AW_TRY(accounts_other_key(call->core->accounts, account, &account->next, &draft->key));
    if (account->change_attempted_at == 0)
        return aw_fail(AW_CODE_NOT_FOUND, "no keyChange of %s was signed: none can be confirmed",
            account->name);
    AW_TRY(check_confirmed_url(account, url));
    snprintf(call->message, sizeof(call->message), "from %s to %s", account->thumbprint,
        account->next.thumbprint);
    AW_TRY(admin_record(call, "key-change-confirm", true));
    draft->old.number = account->key_number;
    AW_TRY(admin_set_text(&draft->old.thumbprint, account->thumbprint));
    draft->key_number = account->next.number;
    AW_TRY(admin_set_text(&draft->next.thumbprint, NULL));
    draft->next.number = draft->change_attempted_at = 0;
    AW_TRY(admin_note_key(draft));
    return admin_commit_account(call, account, draft);
}

aw_result
admin_confirm_key_change(struct admin_call *call)
{
    static const char *const members[] = {"account", "url"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, confirm);
}

/* 5. What is of no more use is destroyed: first in the token, so that a state file never says less
 * than there is. */

static aw_result
destroy_key(struct admin_call *call, struct account *account, const struct account_key *which)
{
    AW_CLEANUP(token_key_free) token_key *key = NULL;
    aw_result r = accounts_other_key(call->core->accounts, account, which, &key);

    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK; /* destroyed, and the process was killed before that was written down */
    AW_TRY(r);
    return token_key_destroy(key);
}

static aw_result
destroy_old(struct admin_call *call, struct account *account, struct account *draft)
{
    snprintf(call->message, sizeof(call->message), "%s",
        account->old.thumbprint == NULL ? "none" : account->old.thumbprint);
    if (account->old.thumbprint != NULL)
        AW_TRY(admin_record(call, "old-key-destroy", true));
    AW_TRY(destroy_key(call, account, &account->old));
    AW_TRY(admin_set_text(&draft->old.thumbprint, NULL));
    draft->old.number = 0;
    return admin_commit_account(call, account, draft);
}

aw_result
admin_destroy_old_key(struct admin_call *call)
{
    return only_account(call, destroy_old);
}

static aw_result
cancel(struct admin_call *call, struct account *account, struct account *draft)
{
    snprintf(call->message, sizeof(call->message), "%s",
        account->next.thumbprint == NULL ? "none" : account->next.thumbprint);
    if (account->next.thumbprint != NULL)
        AW_TRY(admin_record(call, "key-change-cancel", true));
    AW_TRY(destroy_key(call, account, &account->next));
    AW_TRY(admin_set_text(&draft->next.thumbprint, NULL));
    draft->next.number = draft->change_attempted_at = 0;
    return admin_commit_account(call, account, draft);
}

aw_result
admin_cancel_key_change(struct admin_call *call)
{
    return only_account(call, cancel);
}
