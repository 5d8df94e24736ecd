/*
 * account rotate: a key change (RFC 8555 7.3.5) onto a fresh key of the token. Each run goes on
 * where the last one ended, whatever ended it: the signer keeps the step, and the CA is asked which
 * key it has where an answer was lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/account.h"
#include "admin/account_key.h"
#include "admin/acme_call.h"
#include "common/io.h"

struct rotation {
    const struct admin_options *options;
    const char *name;
    struct admin_ca ca;
    cJSON *state; /* the signer's last reply that had it */
    bool quiet;   /* for --json */
};

static void
rotation_free(struct rotation *work)
{
    admin_ca_close(&work->ca);
    aw_json_free(&work->state);
}

static void
tell(const struct rotation *work, const char *text)
{
    if (!work->quiet)
        puts(text);
}

/* Asks the signer for a step, and keeps what state the account is in then. */
static aw_result
step(struct rotation *work, const char *method, const char *url)
{
    struct aw_json_writer w = {0};
    cJSON *reply = NULL;

    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", work->name);
    if (url != NULL)
        aw_json_pair(&w, "url", url);
    aw_json_end_object(&w);
    AW_TRY(admin_call(work->options, method, &w, &reply));
    aw_json_free(&work->state);
    work->state = reply;
    return AW_OK;
}

static aw_result
confirm(struct rotation *work, const char *url)
{
    AW_TRY(aw_hint(step(work, "ConfirmKeyChange", url),
        "the CA has the new key: when the signer is well again, run the command again"));
    tell(work, "the CA has the new key: requests are signed with it from now on");
    return AW_OK;
}

/* Which key does the CA have? After a lost answer only it knows. *changed: the new one. */
static aw_result
resolve(struct rotation *work, bool *changed)
{
    AW_CLEANUP(aw_free) char *url = NULL;

    *changed = false;
    AW_TRY(admin_key_look_up(&work->ca, work->options, work->name, "next", &url));
    if (url != NULL) {
        *changed = true;
        return confirm(work, url);
    }
    AW_TRY(admin_key_look_up(&work->ca, work->options, work->name, "present", &url));
    if (url != NULL)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_CA_REFUSED, "the CA has an account for neither key of %s", work->name),
        "both keys are kept; ask the CA what became of the account");
}

/* ZeroSSL for one answers 500 to every keyChange. */
static aw_result
not_changed(const struct rotation *work, const struct aw_error *first)
{
    char why[300];

    snprintf(why, sizeof(why), "%.299s", first->message);
    return aw_hint(
        aw_fail(first->code, "%s; the CA still has the present key, with which all goes on", why),
        "try again later: account rotate %s. A CA that always answers so offers no key change "
        "(ZeroSSL, for one): take the new key away with account rotate %s --cancel; to be rid of "
        "the present key there, register a new account under another name with a new EAB, move the "
        "policies to it, and then account deactivate %s",
        work->name, work->name, work->name);
}

static aw_result
post_change(struct rotation *work)
{
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};
    struct admin_request request = {
        .options = work->options, .method = "SignKeyChange", .account = work->name};
    struct aw_error first;
    bool changed = false;
    aw_result r =
        acme_post(work->ca.session, admin_sign_request, &request, false, "keyChange", &answer);

    if (aw_ok(r)) {
        const char *url =
            cJSON_GetStringValue(aw_json_member(aw_json_member(work->state, "state"), "url"));
        return url == NULL ? aw_fail(AW_CODE_INTERNAL, "the signer's reply has no account URL")
                           : confirm(work, url);
    }
    if (r.code != AW_CODE_CA_REFUSED && r.code != AW_CODE_CA_UNAVAILABLE &&
        r.code != AW_CODE_TIMEOUT && r.code != AW_CODE_CLOSED && r.code != AW_CODE_IO)
        return r; /* the signer's: nothing left */
    aw_error_save(&first);
    if (!aw_ok(resolve(work, &changed)))
        return aw_hint(aw_error_restore(&first),
            "whether the CA changed the key is not known: both are kept; run account rotate %s "
            "again, which asks the CA first",
            work->name);
    return changed ? AW_OK : not_changed(work, &first);
}

static const char *
change_of(const cJSON *account)
{
    const char *text = cJSON_GetStringValue(aw_json_member(account, "key_change"));

    return text == NULL ? "" : text;
}

/* Up to the CA's word that it has the new key. */
static aw_result
change(struct rotation *work)
{
    const cJSON *account = aw_json_member(work->state, "state");
    bool changed = false;

    if (strcmp(change_of(account), "none") == 0) {
        AW_TRY(step(work, "StartKeyChange", NULL));
        tell(work, "a new key was made in the token");
        if (!work->quiet)
            admin_print_report(aw_json_member(work->state, "report"), stdout);
    } else {
        tell(work, "going on with the key change that was begun");
    }
    account = aw_json_member(work->state, "state");
    if (strcmp(change_of(account), "attempted") == 0)
        AW_TRY(resolve(work, &changed));
    if (changed || strcmp(change_of(account), "confirmed") == 0)
        return AW_OK;
    return post_change(work);
}

/* The old key is destroyed only when the CA has taken a request with the new one, and refused one
 * with the old one. */
static aw_result
retire(struct rotation *work)
{
    AW_TRY(admin_key_prove_taken(&work->ca, work->options, work->name));
    tell(work, "a request with the new key was taken by the CA");
    AW_TRY(admin_key_prove_refused(&work->ca, work->options, work->name));
    tell(work, "a request with the old key was refused by the CA: it is worth nothing any more");
    AW_TRY(step(work, "DestroyOldKey", NULL));
    tell(work, "the old key was destroyed in the token");
    return AW_OK;
}

static aw_result
take_state(struct rotation *work)
{
    const cJSON *account = NULL;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_account_find(work->options, work->name, &reply, &account));
    work->state = cJSON_CreateObject();
    cJSON *copy = cJSON_Duplicate(account, true);
    if (work->state == NULL || copy == NULL || !cJSON_AddItemToObject(work->state, "state", copy))
        return aw_fail_memory();
    return AW_OK;
}

static aw_result
cancel(struct rotation *work)
{
    const char *now = change_of(aw_json_member(work->state, "state"));
    bool changed = false;

    if (strcmp(now, "none") == 0)
        return aw_fail(AW_CODE_NOT_FOUND, "no key change of %s is under way", work->name);
    if (strcmp(now, "attempted") == 0)
        AW_TRY(resolve(work, &changed));
    if (changed || strcmp(now, "confirmed") == 0)
        return aw_hint(aw_fail(AW_CODE_EXISTS, "the CA has the new key of %s already", work->name),
            "account rotate %s ends the change", work->name);
    AW_TRY(step(work, "CancelKeyChange", NULL));
    tell(work, "the new key was destroyed; the present one stays");
    return AW_OK;
}

/* Known beforehand: no key is made that would have to be taken away again. */
static aw_result
check_offered(const struct rotation *work)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;

    AW_TRY(admin_config(work->options, &config));
    const struct aw_config_ca *ca = admin_account_ca(config, work->name);
    if (ca == NULL || ca->key_change != (int)AW_CA_KEY_CHANGE_NO ||
        strcmp(change_of(aw_json_member(work->state, "state")), "none") != 0)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_UNSUPPORTED, "the CA %s offers no key change: nothing was done", ca->name),
        "to be rid of the present key: add an account under another name to %s, register it with a "
        "new EAB, move the policies to it, then account deactivate %s. If the CA has learnt it "
        "meanwhile: key_change: supported, in the CA's entry there",
        config->file, work->name);
}

aw_result
admin_account_rotate(const struct admin_options *options, int argc, char **argv)
{
    const char *ca_file = NULL;
    bool back = false;
    const struct admin_option table[] = {
        {.name = "ca-file", .value = &ca_file}, {.name = "cancel", .flag = &back}};
    AW_CLEANUP(rotation_free)
    struct rotation work = {.options = options, .quiet = options->json};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &work.name, 1));
    AW_TRY(take_state(&work));
    if (!back)
        AW_TRY(check_offered(&work));
    AW_TRY(admin_ca_open(options, work.name, ca_file, &work.ca));
    if (back) {
        AW_TRY(cancel(&work));
    } else {
        AW_TRY(change(&work));
        AW_TRY(retire(&work));
    }
    if (options->json)
        return admin_print_json(work.state);
    admin_account_print(aw_json_member(work.state, "state"));
    return AW_OK;
}
