/* acmeward-admin: one table of commands; each is in the file of its noun. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_cli.h"
#include "common/log.h"
#include "common/program.h"

const struct admin_command admin_commands[] = {
    {"eab", "import", admin_eab_import,
        "--ca NAME --kid KID [--algorithm HS256|HS384|HS512] [--key-fd N] [--force] | --wrapped "
        "FILE [--force]",
        "store an EAB HMAC key in the token; the key comes from the terminal, standard input or a "
        "descriptor, or wrapped from a file"},
    {"eab", "wrapping-key", admin_eab_wrapping_key, "create|show|destroy",
        "the key pair of the token to which EAB keys are encrypted on their way to it"},
    {"eab", "wrap", admin_eab_wrap,
        "--public-key FILE --fingerprint HEX --ca NAME --kid KID --out FILE [--algorithm "
        "HS256|HS384|HS512] [--key-fd N] [--force]",
        "encrypt an EAB HMAC key to a wrapping key, on a workstation; needs neither token nor "
        "signer"},
    {"eab", "list", admin_eab_list, "", "EAB keys in the token"},
    {"eab", "destroy", admin_eab_destroy, "--ca NAME --kid KID", "destroy an EAB key in the token"},
    {"ca", "pin", admin_ca_pin, "NAME [--ca-file FILE] [--replace] [--yes]",
        "fetch a CA's directory, show it, and pin its URLs"},
    {"ca", "list", admin_ca_list, "", "CAs and what they are pinned to"},
    {"ca", "presets", admin_ca_presets, "[--json]",
        "CAs that signer.yaml can name, and what is known of them"},
    {"app", "connect-line", admin_app_connect_line, "APPLICATION KEYFILE",
        "the line for authorized_keys that lets another host's ssh key act for an application"},
    {"relay-key", "create", admin_relay_key_create, "",
        "make the key in the token that app-eabs are derived of, once"},
    {"relay-key", "show", admin_relay_key_show, "", "whether there is one, and its check value"},
    {"relay-key", "destroy", admin_relay_key_destroy, "[--yes]",
        "destroy it: all app-eabs end, accounts that were made with them go on"},
    {"app-eab", "create", admin_app_eab_create, "APPLICATION [--expires DATE] [--once] [--json]",
        "make the credential by which clients of a relay belong to an application; shown once"},
    {"app-eab", "list", admin_app_eab_list, "[APPLICATION] [--json]",
        "credentials, and what became of them"},
    {"app-eab", "revoke", admin_app_eab_revoke, "KID [--accounts]",
        "no account is made with it any more; those that were go on, or are deactivated too"},
    {"account", "create", admin_account_create, "NAME", "make the account's key in the token"},
    {"account", "register", admin_account_register,
        "NAME [--kid KID] [--contact EMAIL]... [--agree-tos] [--recover] [--ca-file FILE]",
        "register the account at its CA, with external account binding where --kid is given"},
    {"account", "rotate", admin_account_rotate, "NAME [--cancel] [--ca-file FILE]",
        "change the account over to a fresh key of the token, and destroy the old one once the CA "
        "refuses it; again after any failure"},
    {"account", "adopt", admin_account_adopt,
        "NAME --key-file FILE [--url URL] [--keep-file] [--ca-file FILE]",
        "change an account of certbot, lego, uacme or acme.sh over to a key of the token, and "
        "destroy "
        "the key in the file"},
    {"account", "update", admin_account_update,
        "NAME --contact EMAIL... | --no-contact [--ca-file FILE]", "change the account's contacts"},
    {"account", "deactivate", admin_account_deactivate, "NAME --yes [--ca-file FILE]",
        "end the account at its CA, for good"},
    {"account", "recover", admin_account_recover, "NAME --yes",
        "after the loss of the token: a new key in the account's place, and what is to be done "
        "then"},
    {"account", "show", admin_account_show, "NAME",
        "one account, and the CAA records that bind its domains to it"},
    {"account", "list", admin_account_list, "", "all accounts"},
    {"token", "doctor", admin_token_doctor, "", "what the token holds, and whether it keeps it"},
    {"policy", "check", admin_policy_check, "[--policies DIR] [--json]",
        "every fault of configuration and policies, and what is worth a warning"},
    {"policy", "show", admin_policy_show, "[--application A] [--policies DIR] [--json]",
        "who may order what"},
    {"policy", "explain", admin_policy_explain,
        "--application A [--name N]... [--csr FILE] [--key-type TYPE] [--profile P] [--revoke] "
        "[--on DATE] [--policies DIR] [--json]",
        "the path to a verdict, rule by rule; status 3 if it is a refusal"},
    {"policy", "new", admin_policy_new,
        "APPLICATION --owner OWNER --user USER|--group GROUP... [--relay] --name N|--subdomains-of "
        "N... [--account A] [--revoke] [--expires DATE] [--policies DIR] [--stdout] [--json]",
        "write an application's policy with comments, checked together with all others; never "
        "over a file that is there"},
    {"policy", "test", admin_policy_test, "[--policies DIR] [--json] FILE...",
        "ask the expectations in files; status 1 if one is not met, 2 on trouble"},
    {"policy", "diff", admin_policy_diff, "[--json] OLD NEW",
        "who gains and who loses what; folders, or signer.yaml's; status 1 if they differ, 2 on "
        "trouble"},
    {"audit", "show", admin_audit_show,
        "[--application A] [--name N] [--verdict permit|refuse|warn] [--kind KIND] [--since TIME] "
        "[--until TIME] [--last N] [--folder DIR] [--archive DIR]... [--partial] [--json]",
        "records of the audit log"},
    {"audit", "verify", admin_audit_verify,
        "[--folder DIR] [--archive DIR]... [--partial] [--checkpoint FILE]... [--public-key "
        "FILE]... [--json]",
        "check chain and tree of the audit log, and that it continues its checkpoints and those "
        "given; needs neither token nor signer"},
    {"audit", "key", admin_audit_key, "create|rotate|show",
        "make the key that signs checkpoints in the token, replace it, print its public half"},
    {"audit", "rotate", admin_audit_rotate, "",
        "close the segment of the audit log that is written to, so that it can be archived"},
    {"audit", "checkpoint", admin_audit_checkpoint, "", "a signed head of the audit log as of now"},
    {"audit", "prove", admin_audit_prove,
        "SEQ | --from FILE [--checkpoint FILE] [--folder DIR] [--archive DIR]...",
        "prove that a record is in the log, or that a checkpoint continues an older one; JSON"},
    {"audit", "verify-proof", admin_audit_verify_proof, "FILE --public-key FILE... [--json]",
        "verify what prove printed; needs no log"},
    {"certificates", NULL, admin_certificates,
        "[--application A] [--name N] [--expiring DAYS] [--revoked] [--folder DIR] [--archive "
        "DIR]... "
        "[--partial] "
        "[--json]",
        "the certificates that were handed back; needs neither token nor signer"},
    {"doctor", NULL, admin_doctor, "[--folder DIR] [--archive DIR]... [--partial] [--json]",
        "what does not hold, of token, keys, probe, log, sandbox, accounts and policies; status 1 "
        "if anything"},
    {"report", "p4", admin_report_p4,
        "[--format text|csv|json|html] [--folder DIR] [--archive DIR]... [--partial] [--json]",
        "evidence for a security review: token, keys, probe, who can have what signed, audit log, "
        "sandbox"},
    {"report", NULL, admin_report,
        "[--format text|csv|json|html] [--section "
        "grants|clients|app_eabs|certificates|refusals|unused] "
        "[--application A] [--since TIME] [--until TIME] [--mail-hook COMMAND] [--policies DIR] "
        "[--folder DIR] [--archive DIR]... [--partial] [--json]",
        "who may issue what, what expires when, what was refused, what is not used; needs neither "
        "token nor signer"},
    {"revoke", NULL, admin_revoke,
        "--application A | --serial S | --certificate FILE [--account NAME] [--reason "
        "unspecified|keycompromise|affiliationchanged|superseded|cessationofoperation] "
        "[--ca-file FILE] [--folder DIR] [--archive DIR]... [--partial] [--yes]",
        "revoke a certificate, or all of an application that are not expired, with the account's "
        "key"},
    {"status", NULL, admin_status, "", "how the signer is"},
    {"reload", NULL, admin_reload, "", "load configuration and policies anew"},
    {"freeze", NULL, admin_freeze, "--reason TEXT [--application A]",
        "stop all signing for applications, or for one"},
    {"unfreeze", NULL, admin_unfreeze, "[--application A]", "let signing go on"},
    {NULL, NULL, NULL, NULL, NULL},
};

static void
print_command(FILE *stream, const char *before, const struct admin_command *c)
{
    fprintf(stream, "%s%s%s%s%s%s\n", before, c->noun, c->verb == NULL ? "" : " ",
        c->verb == NULL ? "" : c->verb, c->usage[0] == '\0' ? "" : " ", c->usage);
}

/* All commands of a noun, or of all where it is NULL; false when there are none. */
static bool
print_commands(FILE *stream, const char *noun)
{
    bool any = false;

    for (const struct admin_command *c = admin_commands; c->noun != NULL; c++) {
        if (noun != NULL && strcmp(c->noun, noun) != 0)
            continue;
        print_command(stream, "  ", c);
        fprintf(stream, "      %s\n", c->about);
        any = true;
    }
    return any;
}

static void
print_usage(FILE *stream)
{
    fputs("usage: acmeward-admin [--config FILE] [--socket PATH] [--json] COMMAND ...\n\n", stream);
    print_commands(stream, NULL);
    fputs(
        "\n  --config FILE    signer.yaml (default: " AW_CONFIG_PATH ")\n"
        "  --socket PATH    administrators' socket (default: as signer.yaml says)\n"
        "  --json           the signer's answer, or the failure, as JSON\n"
        "  --version, --help; COMMAND --help\n"
        "\nExit status: 0 done, 1 failed, 2 usage or configuration, 3 refused by policy, 4 refused "
        "by the CA,\n5 signer or token unavailable.\n",
        stream);
}

static int
print_failure(aw_result r)
{
    const struct aw_error *error = aw_error_last();
    char text[AW_ERROR_MESSAGE_SIZE * 2];

    /* What was found comes before what it means, also where both go to one file. */
    fflush(stdout);
    aw_log_escape(error->message, strlen(error->message), text, sizeof(text));
    fprintf(stderr, "acmeward-admin: %s\n", text);
    if (error->hint[0] != '\0') {
        aw_log_escape(error->hint, strlen(error->hint), text, sizeof(text));
        fprintf(stderr, "  hint: %s\n", text);
    }
    return aw_code_exit(r.code);
}

/* A command may have --json as an option of its own. */
static bool
asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

/* The members of the client's failures (docs/client.md). Not behind a result, which says already
 * what is wrong. */
static void
print_failure_json(const struct aw_error *error)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    if (admin_has_told())
        return;
    aw_json_begin_failure(&w, error);
    aw_json_end_object(&w);
    aw_json_end_object(&w);
    aw_ignore(admin_print_writer(&w), "the exit status tells it too");
    fflush(stdout);
}

static const struct admin_command *
find_command(int argc, char **argv)
{
    for (const struct admin_command *c = admin_commands; c->noun != NULL; c++) {
        if (strcmp(c->noun, argv[0]) != 0)
            continue;
        if (c->verb == NULL || (argc > 1 && strcmp(c->verb, argv[1]) == 0))
            return c;
    }
    return NULL;
}

/* Options before the command; returns the index of the first word that is none. */
static int
global_options(int argc, char **argv, struct admin_options *options)
{
    int i = 1;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            options->json = true;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            options->config = argv[++i];
        else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc)
            options->socket = argv[++i];
        else
            return i;
    }
    return i;
}

/* A secret on a command line is readable by every local user: say so, and do not repeat it. */
static bool
mentions_hmac_key(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--eab-hmac-key", 14) == 0 || strncmp(argv[i], "--key=", 6) == 0 ||
            strcmp(argv[i], "--key") == 0)
            return true;
    return false;
}

static int
refuse_hmac_key(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        memset(argv[i], 'x', strlen(argv[i]));
    fputs("acmeward-admin: a key is never taken from the command line, where every local user can "
          "read it\n"
          "  hint: leave the option out and paste the key when asked, or use standard input or "
          "--key-fd; if what you typed is a real key, have the CA replace it\n",
        stderr);
    return aw_code_exit(AW_CODE_USAGE);
}

/* Help on one command, or on those of a noun; false when there is no such noun. */
static bool
help(const struct admin_command *command, const char *noun)
{
    if (command == NULL || command->verb == NULL)
        return print_commands(stdout, noun);
    print_command(stdout, "usage: acmeward-admin ", command);
    printf("  %s\n", command->about);
    return true;
}

static int
no_command(int argc, char **argv)
{
    if (argc == 1 && print_commands(stderr, argv[0]))
        return aw_code_exit(AW_CODE_USAGE);
    fprintf(stderr, "acmeward-admin: there is no command \"%s%s%s\"; --help lists them\n", argv[0],
        argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    return aw_code_exit(AW_CODE_USAGE);
}

static int
run_command(const struct admin_command *command, const struct admin_options *options, int argc,
    char **argv, int first)
{
    int skip = first + (command->verb == NULL ? 0 : 1);
    struct aw_error error;

    aw_result r = command->run(options, argc - skip, argv + skip);
    if (aw_ok(r))
        return fflush(stdout) == 0 ? 0 : aw_code_exit(AW_CODE_IO);
    aw_error_save(&error);
    int status = print_failure(r);
    if (asks_for_json(argc, argv))
        print_failure_json(&error);
    if (r.code == AW_CODE_USAGE)
        print_command(stderr, "usage: acmeward-admin ", command);
    return status;
}

int
main(int argc, char **argv)
{
    struct admin_options options = {.config = AW_CONFIG_PATH};

    aw_program_streams();
    aw_log_open("acmeward-admin", AW_LOG_WARNING);
    if (mentions_hmac_key(argc, argv))
        return refuse_hmac_key(argc, argv);
    int first = global_options(argc, argv, &options);
    if (first < argc && strcmp(argv[first], "--version") == 0) {
        puts("acmeward-admin " ACMEWARD_VERSION);
        return 0;
    }
    if (first >= argc || strcmp(argv[first], "--help") == 0) {
        print_usage(first >= argc ? stderr : stdout);
        return first >= argc ? aw_code_exit(AW_CODE_USAGE) : 0;
    }
    const struct admin_command *command = find_command(argc - first, argv + first);
    if (strcmp(argv[argc - 1], "--help") == 0 && help(command, argv[first]))
        return 0;
    return command == NULL ? no_command(argc - first, argv + first)
                           : run_command(command, &options, argc, argv, first);
}
