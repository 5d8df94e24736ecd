/* Reading the command line by the table, with getopt_long. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "client/chain.h"
#include "client/challenge.h"
#include "client/options.h"
#include "common/io.h"
#include "common/log.h"
#include "hostkey/host_key.h"

/* Values that getopt_long gives for rows begin here, above every letter. */
enum { ROW_BASE = 1000, ROWS_MAX = 200 };

/* getopt_long's two tables. */
struct tables {
    struct option longs[ROWS_MAX + 1];
    char shorts[2 * ROWS_MAX + 4];
};

static void
make_tables(unsigned command, struct tables *out)
{
    size_t longs = 0, shorts = 0;

    memset(out, 0, sizeof(*out));
    /* ":": a missing value is told apart from an unknown option. */
    out->shorts[shorts++] = ':';
    for (size_t i = 0; options_table[i].name != NULL && longs < ROWS_MAX; i++) {
        const struct options_row *row = &options_table[i];

        if ((row->commands & command) == 0)
            continue;
        out->longs[longs++] = (struct option){.name = row->name,
            .has_arg = row->value == NULL ? no_argument : required_argument,
            .val = ROW_BASE + (int)i};
        if (row->letter != 0)
            out->shorts[shorts++] = row->letter;
        if (row->letter != 0 && row->value != NULL)
            out->shorts[shorts++] = ':';
    }
}

static const struct options_row *
row_of(int value)
{
    if (value >= ROW_BASE)
        return &options_table[value - ROW_BASE];
    for (const struct options_row *row = options_table; row->name != NULL; row++)
        if (row->letter != 0 && row->letter == value)
            return row;
    return NULL;
}

/* A name as a person types it: U-labels and addresses too. */
static aw_result
parse_name(const char *text, size_t length, struct aw_name *out)
{
    char shown[2 * AW_NAME_MAX];
    struct aw_name typed;
    bool address = memchr(text, ':', length) != NULL || strspn(text, "0123456789.") >= length;

    aw_log_escape(text, length, shown, sizeof(shown));
    aw_result r = address ? aw_name_parse_address(text, length, out)
                          : aw_name_parse_file(text, length, &typed);
    /* The one for files lets a single label through. */
    if (aw_ok(r) && !address)
        r = aw_name_parse(typed.text, typed.length, out);
    if (aw_ok(r) || r.code == AW_CODE_MEMORY)
        return r;
    return aw_fail(AW_CODE_USAGE, "--domain \"%s\": %s", shown, aw_error_last()->message);
}

static aw_result
add_name(struct options *out, const char *text, size_t length)
{
    struct options_name *place = &out->names[out->name_count];

    if (out->name_count == OPTIONS_NAMES_MAX)
        return aw_fail(AW_CODE_USAGE, "more than %d names", OPTIONS_NAMES_MAX);
    AW_TRY(parse_name(text, length, &place->name));
    place->webroot = out->webroot_path;
    for (size_t i = 0; i < out->name_count; i++)
        if (aw_name_compare(&out->names[i].name, &place->name) == 0)
            return AW_OK;
    out->name_count++;
    return AW_OK;
}

aw_result
options_add_names(struct options *out, const char *text)
{
    if (out->names == NULL)
        out->names = calloc(OPTIONS_NAMES_MAX + 1, sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    for (;;) {
        text += strspn(text, " ");
        size_t length = strcspn(text, ","), used = length;
        while (used > 0 && text[used - 1] == ' ')
            used--;
        AW_TRY(add_name(out, text, used));
        if (text[length] == '\0')
            return AW_OK;
        text += length + 1;
    }
}

static aw_result
take(const struct options_row *row, const char *value, struct options *out)
{
    char *slot = (char *)out + row->offset;
    bool set = true;

    switch (row->kind) {
    case OPTIONS_FLAG:
    case OPTIONS_NOTED:
        memcpy(slot, &set, sizeof(set));
        return AW_OK;
    case OPTIONS_TEXT:
        if (value[0] == '\0')
            return aw_fail(AW_CODE_USAGE, "--%s has an empty value", row->name);
        memcpy(slot, &value, sizeof(value));
        return AW_OK;
    case OPTIONS_DOMAIN:
        return options_add_names(out, value);
    case OPTIONS_REFUSED:
        break;
    }
    return aw_hint(aw_fail(AW_CODE_USAGE, "--%s is not for acmeward", row->name), "%s", row->help);
}

/* The option's name alone: a value may be a secret in the wrong place. */
static aw_result
refuse_option(const char *what, const char *argument)
{
    char shown[64];

    if (optopt >= ROW_BASE)
        snprintf(shown, sizeof(shown), "--%s", options_table[optopt - ROW_BASE].name);
    else if (optopt > ' ' && optopt <= '~')
        snprintf(shown, sizeof(shown), "-%c", optopt);
    else
        aw_log_escape(argument, strcspn(argument, "="), shown, sizeof(shown));
    return aw_hint(aw_fail(AW_CODE_USAGE, "%s: %s", what, shown), "--help lists the options");
}

/* Sets a text that certbot splits into two options. */
static aw_result
choose_type(const char *option, const char *value, const char *const *pairs, struct options *out)
{
    for (size_t i = 0; pairs[i] != NULL; i += 2)
        if (strcmp(value, pairs[i]) == 0) {
            out->key_type = pairs[i + 1];
            return AW_OK;
        }
    return aw_fail(AW_CODE_USAGE, "--%s: found \"%.40s\", expected %s, %s%s%s", option, value,
        pairs[0], pairs[2], pairs[4] == NULL ? "" : " or ", pairs[4] == NULL ? "" : pairs[4]);
}

/* certbot's --key-type ecdsa and rsa become ours; without one, the other two decide. */
static aw_result
translate_key(struct options *out)
{
    static const char *const curves[] = {"secp256r1", "ec-p256", "secp384r1", "ec-p384", NULL};
    static const char *const sizes[] = {
        "2048", "rsa-2048", "3072", "rsa-3072", "4096", "rsa-4096", NULL};
    const char *type = out->key_type;
    bool ecdsa = type != NULL && strcmp(type, "ecdsa") == 0;
    bool rsa = type != NULL && strcmp(type, "rsa") == 0;

    if (ecdsa)
        return choose_type("elliptic-curve",
            out->elliptic_curve == NULL ? "secp256r1" : out->elliptic_curve, curves, out);
    if (rsa)
        return choose_type(
            "rsa-key-size", out->rsa_key_size == NULL ? "2048" : out->rsa_key_size, sizes, out);
    for (size_t i = 0; type != NULL; i++) {
        if (chain_key_types[i] == NULL)
            return aw_fail(AW_CODE_USAGE,
                "--key-type: found \"%.40s\", expected ec-p256, ec-p384, rsa-2048, rsa-3072, "
                "rsa-4096, ecdsa or rsa",
                type);
        if (strcmp(type, chain_key_types[i]) == 0)
            return AW_OK;
    }
    if (out->elliptic_curve != NULL && out->rsa_key_size != NULL)
        return aw_fail(AW_CODE_USAGE, "--elliptic-curve and --rsa-key-size exclude each other");
    if (out->elliptic_curve != NULL)
        return choose_type("elliptic-curve", out->elliptic_curve, curves, out);
    return out->rsa_key_size == NULL ? AW_OK
                                     : choose_type("rsa-key-size", out->rsa_key_size, sizes, out);
}

/* What a way needs besides, and what belongs to no other. */
static aw_result
check_way(const struct options *out)
{
    bool hooks = out->manual_auth_hook != NULL || out->manual_cleanup_hook != NULL;

    if (out->preferred_challenges != NULL)
        AW_TRY(challenge_preferences_check(out->preferred_challenges));
    if (out->webroot && out->webroot_path == NULL)
        return aw_fail(AW_CODE_USAGE, "--webroot needs --webroot-path DIR");
    if (out->manual && out->manual_auth_hook == NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "--manual needs --manual-auth-hook COMMAND"),
            "nothing is ever asked here; a command that waits for a person will do");
    if (out->dns_rfc2136 && out->dns_rfc2136_credentials == NULL)
        return aw_fail(AW_CODE_USAGE, "--dns-rfc2136 needs --dns-rfc2136-credentials FILE");
    if (out->dns_rfc2136 && out->dns_rfc2136_credentials[0] != '/')
        return aw_fail(AW_CODE_USAGE,
            "--dns-rfc2136-credentials: expected an absolute path: renewals read it too");
    const char *seconds = out->dns_rfc2136_seconds;
    if (seconds != NULL &&
        (strlen(seconds) > 5 || strspn(seconds, "0123456789") != strlen(seconds)))
        return aw_fail(AW_CODE_USAGE,
            "--dns-rfc2136-propagation-seconds: found \"%.40s\", expected 0 to 99999", seconds);
    if (hooks && !out->manual)
        return aw_fail(
            AW_CODE_USAGE, "--manual-auth-hook and --manual-cleanup-hook belong to --manual");
    return AW_OK;
}

/* --authenticator is certbot's longer way to say --webroot and so on; it ends up as the one name of
 * the way, whatever was typed. */
static aw_result
translate_challenges(struct options *out)
{
    const struct {
        const char *name;
        bool *set;
    } ways[] = {{"webroot", &out->webroot}, {"standalone", &out->standalone},
        {"manual", &out->manual}, {"dns-rfc2136", &out->dns_rfc2136}};
    const char *asked = out->authenticator, *first = NULL;
    bool known = asked == NULL;

    out->dns_rfc2136 = out->dns_rfc2136 || out->dns_rfc2136_credentials != NULL;
    out->webroot = out->webroot || out->webroot_path != NULL;
    for (size_t i = 0; i < AW_COUNT(ways); i++) {
        bool named = asked != NULL && strcmp(asked, ways[i].name) == 0;
        known = known || named;
        *ways[i].set = *ways[i].set || named;
        if (*ways[i].set && first != NULL)
            return aw_fail(AW_CODE_USAGE, "--%s and --%s exclude each other", first, ways[i].name);
        if (*ways[i].set)
            first = ways[i].name;
    }
    if (!known)
        return aw_fail(AW_CODE_USAGE,
            "--authenticator: found \"%.40s\", expected webroot, standalone, manual or "
            "dns-rfc2136",
            asked);
    if (first != NULL)
        out->authenticator = first;
    return check_way(out);
}

/* Names typed before any web root belong to the first one, as certbot has it. */
static void
spread_webroot(struct options *out)
{
    const char *first = out->webroot_path;

    for (size_t i = out->name_count; i-- > 0;)
        if (out->names[i].webroot != NULL)
            first = out->names[i].webroot;
    for (size_t i = 0; i < out->name_count; i++)
        if (out->names[i].webroot == NULL)
            out->names[i].webroot = first;
}

static aw_result
read_all(int argc, char **argv, const struct tables *tables, struct options *out)
{
    int value;

    opterr = 0;
    optind = 0; /* glibc: begin anew */
    while ((value = getopt_long(argc, argv, tables->shorts, tables->longs, NULL)) != -1) {
        const char *argument = argv[optind > 0 ? optind - 1 : 0];

        if (value == ':')
            return refuse_option("a value is missing for", argument);
        if (value == '?')
            return refuse_option(optopt >= ROW_BASE ? "a value is given that does not belong to"
                                                    : "unknown or ambiguous option",
                argument);
        const struct options_row *row = row_of(value);
        if (row == NULL)
            return aw_fail(AW_CODE_INTERNAL, "option %d is in no table", value);
        AW_TRY(take(row, optarg, out));
    }
    return AW_OK;
}

static const char *
argument_hint(unsigned command)
{
    if (command == OPTIONS_IMPORT)
        return "one folder is imported at a time";
    if (command == OPTIONS_CERTONLY)
        return "names are given with -d NAME; --help lists the options";
    if ((command & OPTIONS_STORE) != 0)
        return "a certificate is named with --cert-name NAME; --help lists the options";
    return "--help lists the options";
}

/* What stands without an option. */
static aw_result
take_argument(int argc, char **argv, unsigned command, struct options *out)
{
    if (optind == argc)
        return AW_OK;
    if ((command & (OPTIONS_IMPORT | OPTIONS_ORDERS)) != 0 && optind == argc - 1) {
        out->argument = argv[optind];
        return AW_OK;
    }
    return aw_hint(aw_fail(AW_CODE_USAGE, "found an argument that belongs to no option"), "%s",
        argument_hint(command));
}

/* Renewals keep the key that the servers' settings name. */
static aw_result
check_key_uri(const struct options *out)
{
    AW_CLEANUP(aw_free) char *checked = NULL;

    if (out->key_uri == NULL)
        return AW_OK;
    if (out->new_key)
        return aw_hint(aw_fail(AW_CODE_USAGE, "--new-key does not go with --key-uri"),
            "a new key is a new object: give --key-uri another object= (or id=), and the server "
            "too");
    return aw_context(host_key_uri_check(out->key_uri, &checked), "--key-uri");
}

aw_result
options_settle(struct options *out)
{
    AW_TRY(translate_key(out));
    AW_TRY(check_key_uri(out));
    AW_TRY(translate_challenges(out));
    spread_webroot(out);
    return AW_OK;
}

aw_result
options_read(int argc, char **argv, unsigned command, struct options *out)
{
    struct tables tables;
    AW_CLEANUP(options_free) struct options options = {0};

    make_tables(command, &tables);
    AW_TRY(read_all(argc, argv, &tables, &options));
    AW_TRY(take_argument(argc, argv, command, &options));
    if (!options.help)
        AW_TRY(options_settle(&options));
    *out = options;
    options.names = NULL;
    return AW_OK;
}

void
options_free(struct options *options)
{
    free(options->names);
    memset(options, 0, sizeof(*options));
}
