/* account create, register, show, list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/account.h"
#include "admin/acme_call.h"
#include "admin/admin_cli.h"
#include "common/io.h"

enum { CONTACTS_MAX = 8 };

static void
print_key_change(const cJSON *account)
{
    const char *name = admin_text(account, "name");

    if (cJSON_IsString(aw_json_member(account, "next_thumbprint")))
        printf("  key change   begun, onto %s: account rotate %s goes on with it\n",
            admin_text(account, "next_thumbprint"), name);
    if (cJSON_IsString(aw_json_member(account, "old_thumbprint")))
        printf("  old key      %s, to be destroyed: account rotate %s goes on with it\n",
            admin_text(account, "old_thumbprint"), name);
}

void
admin_account_print(const cJSON *account)
{
    const cJSON *application = NULL;

    printf("%s  (CA %s)\n", admin_text(account, "name"), admin_text(account, "ca"));
    printf("  state        %s\n", admin_text(account, "state"));
    printf("  key          %s  thumbprint %s\n", admin_text(account, "key_type"),
        admin_text(account, "thumbprint"));
    printf("  account URL  %s\n", admin_text(account, "url"));
    if (cJSON_IsString(aw_json_member(account, "contact")))
        printf("  contact      %s\n", admin_text(account, "contact"));
    if (cJSON_IsNumber(aw_json_member(account, "former_at")))
        printf("  in place of  %s (key %s), given up %s\n", admin_text(account, "former_url"),
            admin_text(account, "former_thumbprint"), admin_time(account, "former_at"));
    print_key_change(account);
    if (cJSON_IsNumber(aw_json_member(account, "attempted_at")))
        printf("  newAccount   left at %s, EAB kid %s\n", admin_time(account, "attempted_at"),
            admin_text(account, "attempted_kid"));
    if (cJSON_IsNumber(aw_json_member(account, "registered_at")))
        printf("  registered   %s\n", admin_time(account, "registered_at"));
    printf("  applications ");
    cJSON_ArrayForEach(application, aw_json_member(account, "applications"))
        printf(" %s", application->valuestring);
    putchar('\n');
}

void
admin_account_write_name(const char *name, struct aw_json_writer *w)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "account", name);
    aw_json_end_object(w);
}

aw_result
admin_account_create(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};
    const char *name = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, &name, 1));
    admin_account_write_name(name, &w);
    AW_TRY(admin_call(options, "CreateAccount", &w, &reply));
    if (options->json)
        return admin_print_json(reply);
    admin_account_print(aw_json_member(reply, "state"));
    admin_print_report(aw_json_member(reply, "report"), stdout);
    printf("the private key was generated in the token and never leaves it; next: acmeward-admin "
           "account register %s\n",
        name);
    return AW_OK;
}

aw_result
admin_account_find(
    const struct admin_options *options, const char *name, cJSON **reply, const cJSON **out)
{
    const cJSON *account = NULL;

    AW_TRY(admin_call_plain(options, "ListAccounts", reply));
    cJSON_ArrayForEach(account, aw_json_member(*reply, "accounts"))
    {
        const char *other = cJSON_GetStringValue(aw_json_member(account, "name"));

        if (other != NULL && strcmp(other, name) == 0) {
            *out = account;
            return AW_OK;
        }
    }
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no account \"%s\"", name),
        "account list shows them; accounts are configured in signer.yaml");
}

aw_result
admin_account_list(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const cJSON *account = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "ListAccounts", &reply));
    if (options->json)
        return admin_print_json(reply);
    cJSON_ArrayForEach(account, aw_json_member(reply, "accounts")) admin_account_print(account);
    return AW_OK;
}

/* register. */

struct register_options {
    const char *name;
    const char *kid;
    const char *ca_file;
    const char *contact[CONTACTS_MAX];
    size_t contact_count;
    bool agree;
    bool recover;
};

/* The orders list is told in the account object (RFC 8555 7.1.2); a CA may leave it out. */
static aw_result
orders_url(const struct http_response *answer, char **out)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *text = NULL;

    *out = NULL;
    if (answer->size == 0 ||
        !aw_ok(aw_json_parse(answer->body, answer->size, AW_JSON_TOLERANT, &json)))
        return AW_OK; /* the account URL is what counts */
    text = cJSON_GetStringValue(aw_json_member(json, "orders"));
    if (text != NULL && (*out = strdup(text)) == NULL)
        return aw_fail_memory();
    return AW_OK;
}

/* The signer makes the URL durable before anything else happens with it. */
static aw_result
store_url(const struct admin_options *options, const char *name, const struct http_response *answer,
    cJSON **reply)
{
    AW_CLEANUP(aw_free) char *orders = NULL;
    struct aw_json_writer w = {0};

    if (answer->location == NULL)
        return aw_fail(
            AW_CODE_CA_UNAVAILABLE, "the CA answered newAccount without a Location (RFC 8555 7.3)");
    AW_TRY(orders_url(answer, &orders));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "account", name);
    aw_json_pair(&w, "url", answer->location);
    if (orders != NULL)
        aw_json_pair(&w, "orders", orders);
    aw_json_end_object(&w);
    return aw_hint(admin_call(options, "RegisterAccount", &w, reply),
        "the account exists at the CA as %s; when the signer is well again: account register %s "
        "--recover",
        answer->location, name);
}

struct registration {
    struct admin_new_account asked;
    const struct aw_config_ca *ca;
    acme_session *session;
    struct http_response answer;
};

static aw_result
post_new_account(struct registration *work, bool only_existing)
{
    http_response_free(&work->answer);
    work->asked.only_existing = only_existing;
    work->asked.calls = 0;
    return acme_post(
        work->session, admin_sign_new_account, &work->asked, false, "newAccount", &work->answer);
}

/* The CA refused and has no account of this key: whatever was tried has made none. */
static aw_result
forget_attempt(const struct admin_new_account *asked)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};

    admin_account_write_name(asked->account, &w);
    return admin_call(asked->options, "ForgetAttempt", &w, &reply);
}

static aw_result
recover(struct registration *work)
{
    aw_result r = post_new_account(work, true);

    if (aw_ok(r))
        puts("the account existed already: it is recovered, the first one is kept");
    else if (strcmp(acme_session_problem(work->session), "accountDoesNotExist") == 0)
        AW_TRY(forget_attempt(&work->asked));
    return r;
}

/* What a refusal means for the next attempt. */
static aw_result
refused_for_good(const struct registration *work, const struct aw_error *first)
{
    static const char *const hints[] = {
        [AW_CA_EAB_UNKNOWN] = "the CA has no account of this key. Whether its EAB may be used once "
                              "more is not known here: try again, and if it is refused then, have "
                              "the CA issue a new one",
        [AW_CA_EAB_NONE] = "the CA has no account of this key; it asks for no EAB",
        [AW_CA_EAB_REUSABLE] = "the CA has no account of this key; the EAB can be used again, when "
                               "what the CA complains of is mended",
        [AW_CA_EAB_ONE_TIME] = "the CA has no account of this key. Its EAB are good for one "
                               "account, and this one may be spent: have the CA issue a new one, "
                               "eab import it, and register with its kid",
    };
    aw_result r = aw_error_restore(first);

    return work->asked.kid == NULL || work->ca == NULL ? r : aw_hint(r, "%s", hints[work->ca->eab]);
}

/* Whether an EAB may be used twice is documented both ways: where the CA refuses it, the account
 * may have been made by an attempt whose answer was lost. */
static aw_result
register_or_recover(struct registration *work, const struct register_options *asked)
{
    struct aw_error first;

    if (asked->recover)
        return recover(work);
    aw_result r = post_new_account(work, false);
    if (r.code != AW_CODE_CA_REFUSED)
        return r;
    aw_error_save(&first);
    fprintf(stderr, "%s\nasking the CA for an account that this key may have already ...\n",
        first.message);
    return aw_ok(recover(work)) ? AW_OK : refused_for_good(work, &first);
}

static aw_result
register_account(
    const struct admin_options *options, const struct register_options *asked, cJSON **reply)
{
    AW_CLEANUP(admin_ca_close) struct admin_ca ca = {.session = NULL};
    struct registration work = {.asked = {.options = options,
                                    .account = asked->name,
                                    .kid = asked->kid,
                                    .contact = asked->contact,
                                    .contact_count = asked->contact_count,
                                    .terms_agreed = asked->agree}};

    AW_TRY(admin_ca_open(options, asked->name, asked->ca_file, &ca));
    if (ca.directory.terms_of_service != NULL && !asked->agree && !asked->recover)
        return aw_hint(aw_fail(AW_CODE_USAGE, "the CA asks you to agree to its terms: %s",
                           ca.directory.terms_of_service),
            "read them and say --agree-tos");
    work.session = ca.session;
    work.ca = admin_account_ca(ca.config, asked->name);
    aw_result r = register_or_recover(&work, asked);
    if (aw_ok(r))
        r = store_url(options, asked->name, &work.answer, reply);
    http_response_free(&work.answer);
    return r;
}

/* What the EAB key is still good for. */
static void
print_eab(const struct register_options *asked, const char *ca, int eab)
{
    static const char *const uses[] = {
        [AW_CA_EAB_UNKNOWN] = "unless your CA lets it bind more accounts, destroy it",
        [AW_CA_EAB_NONE] = "destroy it",
        [AW_CA_EAB_REUSABLE] = "at this CA it can bind more accounts: keep it while you need that, "
                               "then destroy it",
        [AW_CA_EAB_ONE_TIME] = "at this CA it is spent: destroy it",
    };

    printf("the EAB key %s is of no more use for this account; %s: acmeward-admin eab destroy --ca "
           "%s --kid %s\n",
        asked->kid, uses[eab], ca, asked->kid);
}

static void
print_registered(
    const struct admin_options *options, const struct register_options *asked, const cJSON *reply)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    const struct aw_config_ca *ca = NULL;

    admin_account_print(aw_json_member(reply, "state"));
    puts("registered: the account URL is stored durably");
    if (asked->kid == NULL)
        return;
    if (aw_ok(admin_config(options, &config)))
        ca = admin_account_ca(config, asked->name);
    print_eab(asked, admin_text(aw_json_member(reply, "state"), "ca"),
        ca == NULL ? (int)AW_CA_EAB_UNKNOWN : ca->eab);
}

aw_result
admin_account_register(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct register_options asked = {0};
    const struct admin_option table[] = {
        {.name = "kid", .value = &asked.kid},
        {.name = "ca-file", .value = &asked.ca_file},
        {.name = "contact",
            .list = asked.contact,
            .list_count = &asked.contact_count,
            .list_max = CONTACTS_MAX},
        {.name = "agree-tos", .flag = &asked.agree},
        {.name = "recover", .flag = &asked.recover},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &asked.name, 1));
    AW_TRY(register_account(options, &asked, &reply));
    if (options->json)
        return admin_print_json(reply);
    print_registered(options, &asked, reply);
    return AW_OK;
}
