/* account update, deactivate, recover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/account.h"
#include "admin/account_key.h"
#include "admin/acme_call.h"
#include "common/io.h"

enum { CONTACTS_MAX = 8 };

/* update. */

aw_result
admin_account_update(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_ca_close) struct admin_ca ca = {.session = NULL};
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};
    const char *name = NULL, *ca_file = NULL, *contact[CONTACTS_MAX];
    size_t count = 0;
    bool none = false;
    const struct admin_option table[] = {
        {.name = "contact", .list = contact, .list_count = &count, .list_max = CONTACTS_MAX},
        {.name = "no-contact", .flag = &none},
        {.name = "ca-file", .value = &ca_file},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &name, 1));
    if ((count == 0) != none)
        return aw_fail(AW_CODE_USAGE, "either --contact or --no-contact is needed");
    struct admin_new_account asked = {
        .options = options, .account = name, .contact = contact, .contact_count = count};
    AW_TRY(admin_ca_open(options, name, ca_file, &ca));
    AW_TRY(acme_post(ca.session, admin_sign_update, &asked, true, "updating the account", &answer));
    puts("updated: the CA has the contacts");
    return AW_OK;
}

/* deactivate. */

static aw_result
note(const struct admin_options *options, const char *method, const char *name, cJSON **reply)
{
    struct aw_json_writer w = {0};

    admin_account_write_name(name, &w);
    return admin_call(options, method, &w, reply);
}

/* A CA that refuses may have done it before, when its answer was lost: then it refuses any request.
 */
static aw_result
deactivate(struct admin_ca *ca, const struct admin_options *options, const char *name)
{
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};
    struct admin_request request = {
        .options = options, .method = "DeactivateAccount", .account = name};
    struct admin_request question = {
        .options = options, .method = "QueryAccount", .account = name, .key = "present"};
    struct aw_error first;
    aw_result r = acme_post(
        ca->session, admin_sign_request, &request, true, "deactivating the account", &answer);

    if (r.code != AW_CODE_CA_REFUSED)
        return r;
    aw_error_save(&first);
    if (aw_ok(admin_key_prove_refused_by(ca, admin_sign_request, &question, "account's")))
        return AW_OK;
    return aw_error_restore(&first);
}

aw_result
admin_account_deactivate(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_ca_close) struct admin_ca ca = {.session = NULL};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *name = NULL, *ca_file = NULL;
    bool yes = false;
    const struct admin_option table[] = {
        {.name = "yes", .flag = &yes}, {.name = "ca-file", .value = &ca_file}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &name, 1));
    if (!yes)
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "nobody can take a deactivation back (RFC 8555 7.3.6)"),
            "its certificates stay valid, but are renewed and revoked by nobody: if that is meant, "
            "account deactivate %s --yes",
            name);
    AW_TRY(admin_ca_open(options, name, ca_file, &ca));
    AW_TRY(deactivate(&ca, options, name));
    AW_TRY(aw_hint(note(options, "NoteDeactivated", name, &reply),
        "the CA has deactivated it: run the command again when the signer is well"));
    if (options->json)
        return admin_print_json(reply);
    admin_account_print(aw_json_member(reply, "state"));
    puts("deactivated: the CA takes nothing from it any more");
    return AW_OK;
}

/* recover: what is lost can't be had back; what is to be done then. */

static void
print_recovery(const char *name, const cJSON *state)
{
    const char *ca = admin_text(state, "ca");
    const char *url = admin_text(state, "former_url");

    printf(
        "the account was given up, and has another key in the token. If only its state was "
        "restored "
        "from an\nolder copy, acmeward-admin account register %s --recover finds it again; else "
        "what is left to do:\n"
        "  1. a new EAB from the CA: acmeward-admin eab import --ca %s --kid KID\n"
        "  2. acmeward-admin account register %s --kid KID --agree-tos --contact ...\n"
        "  3. tell the CA: \"deactivate the account %s (key thumbprint %s), its key is lost; "
        "block its EAB\"\n"
        "  4. see what it signed last, and that you know all of it:\n"
        "     acmeward-admin audit show --last 50; acmeward-admin certificates\n"
        "     and compare with the CA's own list and Certificate Transparency: a lost token may be "
        "a stolen one\n"
        "  5. CAA records with accounturi name the old account: acmeward-admin account show %s\n"
        "orders that were under way are begun anew by the clients; certificates stay valid; those "
        "of "
        "the old account are revoked with their own keys (acmeward revoke --key-path) or by the "
        "CA\n",
        name, ca, name, url, admin_text(state, "former_thumbprint"), name);
}

aw_result
admin_account_recover(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(aw_json_free) cJSON *made = NULL;
    const char *name = NULL;
    bool yes = false;
    const struct admin_option table[] = {{.name = "yes", .flag = &yes}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &name, 1));
    if (!yes)
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "this gives the account up that %s has at its CA", name),
            "if its key is lost and there is no copy of the token to restore: account recover %s "
            "--yes",
            name);
    AW_TRY(note(options, "RetireAccount", name, &reply));
    AW_TRY(aw_hint(note(options, "CreateAccount", name, &made),
        "the account is given up; make its new key with account create %s", name));
    if (options->json)
        return admin_print_json(made);
    admin_account_print(aw_json_member(made, "state"));
    admin_print_report(aw_json_member(made, "report"), stdout);
    print_recovery(name, aw_json_member(made, "state"));
    return AW_OK;
}
