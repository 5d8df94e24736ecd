/* policy new: a file with comments, checked by the loader before it is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "admin/policy_files.h"
#include "common/io.h"

enum { LIST_MAX = 100, FILE_MODE = 0644 };

/* Values of an option that may be repeated. */
struct values {
    const char *items[LIST_MAX];
    size_t count;
};

/* What the command line says of the application. */
struct wanted {
    const char *application, *owner, *account, *expires, *folder;
    struct values users, groups, names, subdomains;
    bool revoke, relay, to_stdout, json;
};

#define LIST(values) .list = (values).items, .list_count = &(values).count, .list_max = LIST_MAX

static aw_result
read_options(int argc, char **argv, struct wanted *out)
{
    const struct admin_option table[] = {
        {.name = "owner", .value = &out->owner},
        {.name = "account", .value = &out->account},
        {.name = "expires", .value = &out->expires},
        {.name = "policies", .value = &out->folder},
        {.name = "user", LIST(out->users)},
        {.name = "group", LIST(out->groups)},
        {.name = "name", LIST(out->names)},
        {.name = "subdomains-of", LIST(out->subdomains)},
        {.name = "revoke", .flag = &out->revoke},
        {.name = "relay", .flag = &out->relay},
        {.name = "stdout", .flag = &out->to_stdout},
        {.name = "json", .flag = &out->json},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &out->application, 1));
    if (!aw_config_label_ok(out->application))
        return aw_fail(AW_CODE_USAGE,
            "\"%s\" is no name of an application: 1 to %d of a-z 0-9 _ . -, a letter or digit "
            "first",
            out->application, AW_CONFIG_LABEL_MAX);
    if (out->owner == NULL)
        return aw_fail(AW_CODE_USAGE, "--owner is needed: whom to ask, an address of mail for one");
    if (out->users.count + out->groups.count == 0 && !out->relay)
        return aw_fail(AW_CODE_USAGE,
            "--user or --group is needed: who may ask as %s on this host; or --relay: only clients "
            "of a relay may",
            out->application);
    if (out->names.count + out->subdomains.count == 0)
        return aw_fail(AW_CODE_USAGE, "--name or --subdomains-of is needed: what may be asked for");
    return AW_OK;
}

/* Where only one account is configured nobody needs to name it. */
static aw_result
choose_account(const struct admin_policy *loaded, struct wanted *wanted)
{
    AW_CLEANUP(aw_free) char *names = NULL;
    const struct policy_accounts *accounts = &loaded->accounts;

    if (wanted->account != NULL)
        return AW_OK;
    if (accounts->count == 1) {
        wanted->account = accounts->items[0].name;
        return AW_OK;
    }
    for (size_t i = 0; i < accounts->count; i++) {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(names);
        AW_TRY(aw_format(&names, "%s%s%s", before == NULL ? "" : before, before == NULL ? "" : ", ",
            accounts->items[i].name));
    }
    return aw_fail(AW_CODE_USAGE, "--account is needed; signer.yaml has %s",
        names == NULL ? "none yet" : names);
}

/* The text. */

/* Plain where no reader of YAML takes it for anything but text, else as JSON has it, which is YAML
 * too. */
static bool
is_plain(const char *value)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "0123456789._/@+-";
    static const char *const words[] = {
        "null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    size_t length = strlen(value), taken = 0;

    for (size_t i = 0; i < AW_COUNT(words); i++)
        if (strcasecmp(words[i], value) == 0)
            return false;
    while (taken < length && (strchr(letters, value[taken]) != NULL ||
                                 (taken > 0 && strchr(others, value[taken]) != NULL)))
        taken++;
    return length > 0 && taken == length;
}

static aw_result
put_value(FILE *file, const char *before, const char *value, const char *after)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer w = {0};

    aw_json_write_string(&w, value);
    AW_TRY(aw_json_writer_finish(&w, &text));
    fprintf(file, "%s%s%s", before, is_plain(value) ? value : text, after);
    return AW_OK;
}

/* Lists of names, and which of the names of --name belong there. */
enum shape { SHAPE_EXACT, SHAPE_WILDCARD, SHAPE_ADDRESS };

static enum shape
shape_of(const char *name)
{
    struct policy_network network;

    if (strncmp(name, "*.", 2) == 0)
        return SHAPE_WILDCARD;
    return aw_ok(policy_network_parse(name, strlen(name), &network)) ? SHAPE_ADDRESS : SHAPE_EXACT;
}

static aw_result
put_list(FILE *file, const char *key, const struct values *values, const char *example)
{
    if (values->count == 0) {
        fprintf(file, "  # %s: [%s]\n", key, example);
        return AW_OK;
    }
    fprintf(file, "  %s:\n", key);
    for (size_t i = 0; i < values->count; i++)
        AW_TRY(put_value(file, "    - ", values->items[i], "\n"));
    return AW_OK;
}

static aw_result
put_names(FILE *file, const struct wanted *wanted)
{
    struct values lists[3] = {{.count = 0}, {.count = 0}, {.count = 0}};

    for (size_t i = 0; i < wanted->names.count; i++) {
        const char *name = wanted->names.items[i];
        enum shape shape = shape_of(name);

        lists[shape].items[lists[shape].count++] = name + (shape == SHAPE_WILDCARD ? 2 : 0);
    }
    fputs("\n# What it may ask for. The more specific entry of two applications holds a name.\n"
          "names:\n  # The names themselves.\n",
        file);
    AW_TRY(put_list(file, "exact", &lists[SHAPE_EXACT], "app.dept.example.edu"));
    fputs("  # Every host name below, at any depth; not the name itself, no wildcard.\n", file);
    AW_TRY(put_list(file, "subdomains_of", &wanted->subdomains, "app.dept.example.edu"));
    fputs("  # The one identifier *.NAME; written without the asterisk.\n", file);
    AW_TRY(put_list(file, "wildcards_of", &lists[SHAPE_WILDCARD], "cdn.app.dept.example.edu"));
    fputs("  # Addresses and networks (RFC 8738).\n", file);
    AW_TRY(put_list(file, "addresses", &lists[SHAPE_ADDRESS], "192.0.2.16/28"));
    fputs("  # Taken away again, with all below: wins over everything above.\n"
          "  # deny: [pay.app.dept.example.edu]\n",
        file);
    return AW_OK;
}

static aw_result
put_principals(FILE *file, const struct wanted *wanted)
{
    bool any = wanted->users.count + wanted->groups.count > 0;

    fprintf(file,
        "\n# Who may use it on this host: user, group, or by number uid, gid.\n%sprincipals:\n",
        any ? "" : "# ");
    if (!any)
        fputs("#   - user: name\n", file);
    for (size_t i = 0; i < wanted->users.count; i++)
        AW_TRY(put_value(file, "  - user: ", wanted->users.items[i], "\n"));
    for (size_t i = 0; i < wanted->groups.count; i++)
        AW_TRY(put_value(file, "  - group: ", wanted->groups.items[i], "\n"));
    return AW_OK;
}

static void
put_relay(FILE *file, const struct wanted *wanted)
{
    const char *mark = wanted->relay ? "" : "# ";

    fprintf(file,
        "\n# For ACME clients that know nothing of acmeward, through a relay of signer.yaml, each "
        "with an app-eab.\n"
        "# Further conditions rest on the relay's word: networks: [192.0.2.0/24], "
        "client_certificates: [SHA-256],\n"
        "# validation: http-01 (dns-01, tls-alpn-01), proof inside the network.\n"
        "%srelay:\n%s  validation: none\n",
        mark, mark);
}

static aw_result
put_rest(FILE *file, const struct wanted *wanted)
{
    fprintf(file,
        "\n# order: orders, validation, download. revoke: certificates whose key it had signed.\n"
        "operations: [order%s]\n\n"
        "# Key types of its certificates. Left out: all.\n"
        "# keys: [ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096]\n\n"
        "# ACME profiles that may be asked for. Left out: none.\n# profiles: [tlsserver]\n\n"
        "# orders_per_day is the share of the account's limit that is guaranteed to it, and the "
        "most it gets.\n"
        "limits:\n  names_per_certificate: 20\n  orders_per_day: 50\n\n"
        "# Applications whose names this one may cover.\n# shares_with: [other]\n\n"
        "# The day, from 00:00 UTC on, on which nothing is signed any more.\n",
        wanted->revoke ? ", revoke" : "");
    if (wanted->expires == NULL)
        fputs("# expires: 2099-12-31\n", file);
    else
        AW_TRY(put_value(file, "expires: ", wanted->expires, "\n"));
    fputs("\n# For a roll-out: until that day some refusals are only recorded.\n"
          "# warn_until: 2099-12-31\n",
        file);
    put_relay(file, wanted);
    return AW_OK;
}

static aw_result
put_all(FILE *file, const struct wanted *wanted)
{
    fprintf(file,
        "# Policy of %s: acmeward-policy(5) explains every key.\n# After a change: acmeward-admin "
        "policy check, then acmeward-admin reload.\n",
        wanted->application);
    AW_TRY(put_value(file, "application: ", wanted->application, "\n\n"));
    AW_TRY(put_value(file,
        "# Whom to ask: shown to whoever is refused; reports are for them.\nowner: ", wanted->owner,
        "\n\n"));
    AW_TRY(put_value(file,
        "# The ACME account that signs, one of signer.yaml.\naccount: ", wanted->account, "\n"));
    AW_TRY(put_principals(file, wanted));
    AW_TRY(put_names(file, wanted));
    return put_rest(file, wanted);
}

static aw_result
make_text(const struct wanted *wanted, char **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    if (file == NULL)
        return aw_fail_memory();
    aw_result r = put_all(file, wanted);
    if (fclose(file) != 0 || text == NULL)
        return aw_ok(r) ? aw_fail_memory() : r;
    *out = AW_MOVE(text);
    return r;
}

/* What was done. */

static aw_result
tell_json(const struct admin_policy *loaded, const struct policy_application *application)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "written", application->file);
    aw_json_name(&w, "application");
    admin_policy_write(&w, application);
    aw_faults_write(&w, "warnings", &loaded->warnings);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

static aw_result
write_and_tell(const struct wanted *wanted, const struct admin_policy *loaded, const char *path,
    const char *text)
{
    const struct policy_application *application = NULL;

    AW_TRY(admin_policy_find(loaded, wanted->application, &application));
    if (!wanted->json)
        admin_policy_warn(loaded);
    if (wanted->to_stdout) {
        fputs(text, stdout);
        return AW_OK;
    }
    AW_TRY(aw_file_create(path, text, strlen(text), FILE_MODE));
    if (wanted->json)
        return tell_json(loaded, application);
    puts("written; what it allows:");
    admin_policy_print(application);
    puts(wanted->folder == NULL ? "acmeward-admin reload puts it in force"
                                : "to be put in force where the signer is");
    return AW_OK;
}

aw_result
admin_policy_new(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    AW_CLEANUP(aw_free) char *file = NULL, *path = NULL, *text = NULL;
    struct wanted wanted = {.json = options->json};
    struct stat st;

    AW_TRY(read_options(argc, argv, &wanted));
    AW_TRY(admin_policy_accounts(options->config, wanted.folder != NULL, &loaded));
    AW_TRY(choose_account(&loaded, &wanted));
    AW_TRY(aw_format(&file, "%s.yaml", wanted.application));
    AW_TRY(aw_path_join(
        wanted.folder == NULL ? loaded.config->paths.policies : wanted.folder, file, &path));
    /* Else the loader would say that the application is there twice. */
    if (lstat(path, &st) == 0)
        return aw_hint(aw_fail(AW_CODE_EXISTS, "%s is there already", path),
            "change it by hand, then acmeward-admin policy check");
    AW_TRY(make_text(&wanted, &text));
    AW_TRY(admin_policy_load_addition(wanted.folder, path, text, &loaded));
    return write_and_tell(&wanted, &loaded, path, text);
}
