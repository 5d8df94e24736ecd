/*
 * account adopt: an account that another client made (its EAB is spent) is changed over to a key of
 * the token. The old key is read once, signs what retires it, is shown to be worth nothing, and its
 * file destroyed. It is here, and not in the signer, that the old key is used: it was on a disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "admin/account.h"
#include "admin/account_key.h"
#include "admin/acme_call.h"
#include "admin/foreign_key.h"
#include "client/own_key.h"
#include "common/io.h"

struct adoption {
    const struct admin_options *options;
    const char *name, *key_file, *ca_file;
    const char *url; /* as said; NULL: as the CA says */
    bool keep;
    struct admin_ca ca;
    struct admin_foreign_file file; /* that the key was read from */
    EVP_PKEY *key;
    char *account_url; /* the CA's */
    char *inner;       /* what the token's key signed */
};

static void
adoption_free(struct adoption *work)
{
    admin_ca_close(&work->ca);
    EVP_PKEY_free(work->key);
    admin_foreign_file_close(&work->file);
    free(work->account_url);
    free(work->inner);
}

static aw_result
copy(const char *text, char **out)
{
    *out = strdup(text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

/* Requests that the old key signs (acme_signer). */

static aw_result
sign_old(
    struct adoption *work, const struct own_key_account_request *request, char **url, char **jws)
{
    AW_TRY(own_key_sign_account(work->key, request, jws));
    aw_result r = copy(request->url, url);
    if (!aw_ok(r))
        aw_free(jws);
    return r;
}

static aw_result
sign_look_up(void *context, const char *nonce, char **url, char **jws)
{
    struct adoption *work = context;
    const struct own_key_account_request request = {.nonce = nonce,
        .url = work->ca.directory.new_account,
        .payload = "{\"onlyReturnExisting\":true}"};

    return sign_old(work, &request, url, jws);
}

static aw_result
sign_change(void *context, const char *nonce, char **url, char **jws)
{
    struct adoption *work = context;
    const struct own_key_account_request request = {.kid = work->account_url,
        .nonce = nonce,
        .url = work->ca.directory.key_change,
        .payload = work->inner};

    return sign_old(work, &request, url, jws);
}

static aw_result
sign_query(void *context, const char *nonce, char **url, char **jws)
{
    struct adoption *work = context;
    const struct own_key_account_request request = {
        .kid = work->account_url, .nonce = nonce, .url = work->account_url, .payload = ""};

    return sign_old(work, &request, url, jws);
}

static aw_result
look_up_by_token(struct adoption *work, char **url)
{
    struct admin_new_account asked = {
        .options = work->options, .account = work->name, .only_existing = true};

    return admin_key_look_up_by(&work->ca, admin_sign_new_account, &asked, url);
}

/* The steps. */

static aw_result
simple_call(const struct adoption *work, const char *method, const char *url)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", work->name);
    if (url != NULL)
        aw_json_pair(&w, "url", url);
    aw_json_end_object(&w);
    return admin_call(work->options, method, &w, &reply);
}

static aw_result
check_url(const struct adoption *work, const char *found)
{
    if (work->url == NULL || strcmp(work->url, found) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "the CA says that the key's account is %s, not %s",
                       found, work->url),
        "leave --url out, or look for the key that belongs to that account");
}

static aw_result
sign_inner(struct adoption *work)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(aw_free) char *jwk = NULL, *url = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(own_key_jwk(work->key, &jwk));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", work->name);
    aw_json_pair(&w, "url", work->account_url);
    aw_json_name(&w, "old_key");
    aw_json_write_raw(&w, jwk);
    aw_json_end_object(&w);
    AW_TRY(admin_call(work->options, "AdoptAccount", &w, &reply));
    return admin_take_jws(reply, &url, &work->inner);
}

static aw_result
take_over(struct adoption *work)
{
    AW_TRY(aw_hint(simple_call(work, "RegisterAccount", work->account_url),
        "the CA has the new key for %s: run the command again when the signer is well",
        work->account_url));
    puts("changed over: the CA has the token's key for the account");
    return AW_OK;
}

/* What the CA did with it only the CA knows, whatever its answer was. */
static aw_result
change(struct adoption *work)
{
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};
    AW_CLEANUP(aw_free) char *found = NULL;
    struct aw_error first;

    AW_TRY(sign_inner(work));
    aw_result r = acme_post(work->ca.session, sign_change, work, false, "keyChange", &answer);
    if (aw_ok(r))
        return take_over(work);
    aw_error_save(&first);
    if (aw_ok(look_up_by_token(work, &found))) {
        if (found != NULL)
            return take_over(work);
        aw_ignore(simple_call(work, "ForgetAttempt", NULL), "the next run asks the CA again");
    }
    return aw_hint(aw_error_restore(&first),
        "the file was left as it is; run the command again: it asks the CA first which key it has");
}

/* What an earlier run has come to. */
static aw_result
find(struct adoption *work, bool *changed)
{
    AW_CLEANUP(aw_free) char *by_token = NULL;

    AW_TRY(look_up_by_token(work, &by_token));
    *changed = by_token != NULL;
    if (*changed) {
        work->account_url = AW_MOVE(by_token);
        return check_url(work, work->account_url);
    }
    AW_TRY(admin_key_look_up_by(&work->ca, sign_look_up, work, &work->account_url));
    if (work->account_url == NULL)
        return aw_hint(
            aw_fail(AW_CODE_CA_REFUSED, "the CA has no account for the key in %s", work->key_file),
            "is it a key for this CA, and the account's rather than a certificate's?");
    return check_url(work, work->account_url);
}

/* An EAB key in the open is worth more than the account's, where the CA takes it twice. */
static void
tell_of_eab(const struct adoption *work)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    aw_ignore(admin_foreign_eab_find(work->key_file, &path), "what can't be read can't be told of");
    if (path != NULL)
        printf("%s still holds an EAB HMAC key (CA_EAB_HMAC_KEY): have it blocked or replaced at "
               "the CA, and remove that file\n",
            path);
}

static aw_result
destroy(const struct adoption *work)
{
    if (work->keep) {
        printf("%s was kept: it is worth nothing any more\n", work->key_file);
        return AW_OK;
    }
    AW_TRY(aw_hint(admin_foreign_key_destroy(work->key_file, &work->file),
        "the key that was in it is worth nothing any more: look at the file and remove it by "
        "hand"));
    printf(
        "%s was overwritten and removed. Copies and backups of it may exist, and a disk may keep "
        "what was overwritten: they hold a key that the CA refuses. The other client has no "
        "account any more: remove its timer\n",
        work->key_file);
    return AW_OK;
}

static aw_result
adopt(struct adoption *work, const char *state)
{
    bool changed = false;

    if (strcmp(state, "no-key") == 0)
        AW_TRY(simple_call(work, "CreateAccount", NULL));
    AW_TRY(admin_ca_open(work->options, work->name, work->ca_file, &work->ca));
    AW_TRY(find(work, &changed));
    printf("account %s\n", work->account_url);
    if (!changed)
        AW_TRY(change(work));
    else if (strcmp(state, "registered") != 0)
        AW_TRY(take_over(work));
    AW_TRY(admin_key_prove_taken(&work->ca, work->options, work->name));
    AW_TRY(admin_key_prove_refused_by(&work->ca, sign_query, work, "old"));
    puts("a request with the old key was refused by the CA: it is worth nothing any more");
    tell_of_eab(work);
    return destroy(work);
}

aw_result
admin_account_adopt(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(adoption_free) struct adoption work = {.options = options, .file = {.fd = -1}};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const struct admin_option table[] = {{.name = "key-file", .value = &work.key_file},
        {.name = "url", .value = &work.url}, {.name = "ca-file", .value = &work.ca_file},
        {.name = "keep-file", .flag = &work.keep}};
    const cJSON *account = NULL;
    const char *kind = NULL;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &work.name, 1));
    if (work.key_file == NULL)
        return aw_fail(AW_CODE_USAGE, "--key-file is needed: the other client's account key");
    AW_TRY(admin_account_find(options, work.name, &reply, &account));
    AW_TRY(admin_foreign_key_read(work.key_file, &work.file, &work.key, &kind));
    printf("read an account key: %s (%s)\n", EVP_PKEY_get0_type_name(work.key), kind);
    return adopt(&work, cJSON_GetStringValue(aw_json_member(account, "state")));
}
