/* The command line: certbot's names, our keys, and what is refused with a reason. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "client/options.h"

enum { WORDS_MAX = 64, LINE_MAX = 1024 };

/* A command line split at blanks; "_" stands for an empty argument. */
struct line {
    char text[LINE_MAX];
    char *argv[WORDS_MAX];
    int argc;
};

static void
split(const char *text, struct line *out)
{
    char *rest = NULL;

    snprintf(out->text, sizeof(out->text), "%s", text);
    out->argc = 0;
    for (char *word = strtok_r(out->text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest))
        out->argv[out->argc++] = strcmp(word, "_") == 0 ? word + 1 : word;
    out->argv[out->argc] = NULL;
}

static aw_result
read_line(const char *text, struct line *line, struct options *options)
{
    split(text, line);
    return options_read(line->argc, line->argv, OPTIONS_CERTONLY, options);
}

#define KEYS "expected ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096, ecdsa or rsa"

static const struct {
    const char *name;
    const char *line;
    enum aw_code verdict;
    const char *reason; /* part of message and hint */
} rows[] = {
    {"one name", "certonly -d a.example.edu", AW_CODE_OK, NULL},
    {"no name is for the command to refuse", "certonly", AW_CODE_OK, NULL},
    {"long, with =", "certonly --domain=a.example.edu", AW_CODE_OK, NULL},
    {"wildcard", "certonly -d *.example.edu", AW_CODE_OK, NULL},
    {"address", "certonly -d 192.0.2.1", AW_CODE_OK, NULL},
    {"IPv6 address", "certonly -d 2001:db8::1", AW_CODE_OK, NULL},
    {"U-label", "certonly -d b\303\274cher.example.edu", AW_CODE_OK, NULL},
    {"certbot's command",
        "certonly --standalone --non-interactive --agree-tos --email e@x.org "
        "--server https://ca/dir --domain a.example.edu --cert-name a",
        AW_CODE_OK, NULL},
    {"single label", "certonly -d localhost", AW_CODE_USAGE, "localhost"},
    {"empty name", "certonly -d _", AW_CODE_USAGE, "--domain"},
    {"empty part", "certonly -d a.example.edu,,b.example.edu", AW_CODE_USAGE, "--domain"},
    {"trailing comma", "certonly -d a.example.edu,", AW_CODE_USAGE, "--domain"},
    {"underscore", "certonly -d a_b.example.edu", AW_CODE_USAGE, "a_b.example.edu"},
    {"wildcard inside", "certonly -d f*.example.edu", AW_CODE_USAGE, "f*.example.edu"},
    {"trailing dot", "certonly -d a.example.edu.", AW_CODE_USAGE, "a.example.edu."},
    {"URL", "certonly -d https://a.example.edu/", AW_CODE_USAGE, "https"},
    {"bad address", "certonly -d 192.0.2.256", AW_CODE_USAGE, "192.0.2.256"},
    {"terminal sequence", "certonly -d a\033[2Jb.edu", AW_CODE_USAGE, "a\\x1b[2Jb.edu"},
    {"bare word", "certonly a.example.edu", AW_CODE_USAGE, "-d NAME"},
    {"unknown", "certonly --foo=bar", AW_CODE_USAGE, "unknown or ambiguous option: --foo"},
    {"unknown letter", "certonly -Z", AW_CODE_USAGE, "-Z"},
    {"ambiguous", "certonly --eff", AW_CODE_OK, NULL},
    {"ambiguous two ways", "certonly --no", AW_CODE_USAGE, "--no"},
    {"value missing", "certonly -d", AW_CODE_USAGE, "a value is missing for: -d"},
    {"long value missing", "certonly --cert-name", AW_CODE_USAGE, "missing for: --cert-name"},
    {"value too much", "certonly --json=1", AW_CODE_USAGE, "--json"},
    {"empty value", "certonly --cert-name _", AW_CODE_USAGE, "--cert-name has an empty value"},
    {"webroot", "certonly --webroot -w /srv -d a.example.edu", AW_CODE_OK, NULL},
    {"webroot implied", "certonly -w /srv -d a.example.edu", AW_CODE_OK, NULL},
    {"webroot without folder", "certonly --webroot", AW_CODE_USAGE, "--webroot-path"},
    {"two ways", "certonly --standalone -w /srv", AW_CODE_USAGE, "exclude"},
    {"authenticator", "certonly -a standalone", AW_CODE_OK, NULL},
    {"authenticator unknown", "certonly -a nginx", AW_CODE_USAGE, "nginx"},
    {"challenges", "certonly --preferred-challenges http", AW_CODE_OK, NULL},
    {"challenges in full", "certonly --preferred-challenges http-01", AW_CODE_OK, NULL},
    {"challenges in order", "certonly --preferred-challenges dns,http-01,tls-alpn", AW_CODE_OK,
        NULL},
    {"challenges unknown", "certonly --preferred-challenges tls-sni-01", AW_CODE_USAGE,
        "http, dns or tls-alpn"},
    {"challenges with a gap", "certonly --preferred-challenges dns,,http", AW_CODE_USAGE,
        "http, dns or tls-alpn"},
    {"manual", "certonly --manual --manual-auth-hook a --manual-cleanup-hook b", AW_CODE_OK, NULL},
    {"manual by name", "certonly -a manual --manual-auth-hook a", AW_CODE_OK, NULL},
    {"manual without a hook", "certonly --manual", AW_CODE_USAGE, "needs --manual-auth-hook"},
    {"a hook for another way", "certonly --standalone --manual-auth-hook a", AW_CODE_USAGE,
        "belong to --manual"},
    {"updates", "certonly --dns-rfc2136 --dns-rfc2136-credentials /f", AW_CODE_OK, NULL},
    {"updates by their file", "certonly --dns-rfc2136-credentials /f", AW_CODE_OK, NULL},
    {"updates without a file", "certonly -a dns-rfc2136", AW_CODE_USAGE,
        "needs --dns-rfc2136-cred"},
    {"a relative file", "certonly --dns-rfc2136-credentials f", AW_CODE_USAGE, "absolute path"},
    {"seconds", "certonly --dns-rfc2136-propagation-seconds 1m", AW_CODE_USAGE, "0 to 99999"},
    {"manual and web root", "certonly --manual --manual-auth-hook a -w /srv", AW_CODE_USAGE,
        "exclude"},
    {"key type", "certonly --key-type rsa-3072", AW_CODE_OK, NULL},
    {"key type unknown", "certonly --key-type dsa", AW_CODE_USAGE, KEYS},
    {"small key", "certonly --key-type rsa-1024", AW_CODE_USAGE, KEYS},
    {"small key, certbot's way", "certonly --key-type rsa --rsa-key-size 1024", AW_CODE_USAGE,
        "expected 2048, 3072 or 4096"},
    {"curve unknown", "certonly --elliptic-curve secp521r1", AW_CODE_USAGE,
        "expected secp256r1, secp384r1"},
    {"curve and size", "certonly --elliptic-curve secp384r1 --rsa-key-size 2048", AW_CODE_USAGE,
        "exclude"},
    {"EAB key", "certonly --eab-hmac-key s3cr3t", AW_CODE_USAGE, "acmeward-admin eab import"},
    {"EAB key, =", "certonly --eab-hmac-key=s3cr3t", AW_CODE_USAGE, "new one"},
    {"EAB key that begins with -", "certonly --eab-hmac-key -s3cr3t", AW_CODE_USAGE, "ps"},
    {"EAB key ID", "certonly --eab-kid KID", AW_CODE_OK, NULL},
    {"dry run", "certonly --dry-run", AW_CODE_OK, NULL},
    {"staging", "certonly --staging", AW_CODE_USAGE, "staging CA"},
    {"no verification", "certonly --no-verify-ssl", AW_CODE_USAGE, "always verified"},
    {"help before faults", "certonly --help --webroot", AW_CODE_OK, NULL},
};

static void
test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct line line;
        struct options options = {0};

        aw_result r = read_line(rows[i].line, &line, &options);
        const struct aw_error *e = aw_error_last();
        if (r.code != rows[i].verdict)
            fail_msg("%s: %s (%s)", rows[i].name, aw_code_tag(r.code), e->message);
        if (rows[i].reason != NULL && strstr(e->message, rows[i].reason) == NULL &&
            strstr(e->hint, rows[i].reason) == NULL)
            fail_msg("%s: \"%s\", \"%s\"", rows[i].name, e->message, e->hint);
        if (!aw_ok(r) &&
            (strstr(e->message, "s3cr3t") != NULL || strstr(e->hint, "s3cr3t") != NULL))
            fail_msg("%s: the value is echoed", rows[i].name);
        options_free(&options);
    }
}

static void
test_names(void **state)
{
    struct line line;
    struct options o = {0};

    (void)state;
    assert_true(aw_ok(read_line("certonly -d B.example.edu,a.example.edu -d a.example.edu "
                                "--domains *.example.edu -d b\303\274cher.example.edu",
        &line, &o)));
    assert_int_equal(o.name_count, 4);
    assert_string_equal(o.names[0].name.text, "b.example.edu");
    assert_string_equal(o.names[1].name.text, "a.example.edu");
    assert_string_equal(o.names[2].name.text, "*.example.edu");
    assert_int_equal(o.names[2].name.form, AW_NAME_WILDCARD);
    assert_string_equal(o.names[3].name.text, "xn--bcher-kva.example.edu");
    options_free(&o);
}

static void
test_too_many_names(void **state)
{
    static char text[4096];
    char *argv[] = {(char[]){"certonly"}, (char[]){"-d"}, text, NULL};
    struct options o = {0};

    (void)state;
    for (int i = 0; i <= OPTIONS_NAMES_MAX; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%sn%d.example.edu", i == 0 ? "" : ",", i);
    }
    assert_int_equal(options_read(3, argv, OPTIONS_CERTONLY, &o).code, AW_CODE_USAGE);
    assert_non_null(strstr(aw_error_last()->message, "more than 100"));
    assert_null(o.names);
}

/* certbot: a web root is for the names behind it; names before the first belong to the first. */
static void
test_webroots(void **state)
{
    struct line line;
    struct options o = {0};

    (void)state;
    assert_true(aw_ok(read_line("certonly -d a.example.edu -w /one -d b.example.edu -w /two -d "
                                "c.example.edu,d.example.edu",
        &line, &o)));
    assert_true(o.webroot);
    assert_string_equal(o.names[0].webroot, "/one");
    assert_string_equal(o.names[1].webroot, "/one");
    assert_string_equal(o.names[2].webroot, "/two");
    assert_string_equal(o.names[3].webroot, "/two");
    options_free(&o);
    assert_true(aw_ok(read_line("certonly -d a.example.edu -w /one", &line, &o)));
    assert_string_equal(o.names[0].webroot, "/one");
    options_free(&o);
}

static void
test_key_types(void **state)
{
    static const struct {
        const char *line;
        const char *type;
    } types[] = {
        {"certonly", NULL},
        {"certonly --key-type ec-p384", "ec-p384"},
        {"certonly --key-type ecdsa", "ec-p256"},
        {"certonly --key-type ecdsa --elliptic-curve secp384r1", "ec-p384"},
        {"certonly --elliptic-curve secp384r1", "ec-p384"},
        {"certonly --key-type rsa", "rsa-2048"},
        {"certonly --key-type rsa --rsa-key-size 4096", "rsa-4096"},
        {"certonly --rsa-key-size 3072", "rsa-3072"},
        {"certonly --key-type ecdsa --rsa-key-size 4096", "ec-p256"},
        {"certonly --key-type rsa --elliptic-curve secp384r1", "rsa-2048"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(types); i++) {
        struct line line;
        struct options o = {0};

        if (!aw_ok(read_line(types[i].line, &line, &o)))
            fail_msg("%s: %s", types[i].line, aw_error_last()->message);
        if (types[i].type == NULL ? o.key_type != NULL
                                  : o.key_type == NULL || strcmp(o.key_type, types[i].type) != 0)
            fail_msg("%s: %s", types[i].line, o.key_type == NULL ? "none" : o.key_type);
        options_free(&o);
    }
}

static void
test_values(void **state)
{
    struct line line;
    struct options o = {0};

    (void)state;
    assert_true(
        aw_ok(read_line("certonly --cert-name n --application a --profile p --ca-file f "
                        "--proxy x --signer s -c c --config-dir d --http-01-port 8080 -q -n "
                        "--check --json --force-renewal --expand -m a@b --server u",
            &line, &o)));
    assert_string_equal(o.cert_name, "n");
    assert_string_equal(o.application, "a");
    assert_string_equal(o.profile, "p");
    assert_string_equal(o.ca_file, "f");
    assert_string_equal(o.proxy, "x");
    assert_string_equal(o.signer, "s");
    assert_string_equal(o.config, "c");
    assert_string_equal(o.config_dir, "d");
    assert_string_equal(o.http_01_port, "8080");
    assert_string_equal(o.server, "u");
    assert_true(o.quiet && o.non_interactive && o.check && o.json && o.force_renewal && o.expand);
    assert_true(o.account);
    assert_false(o.webroot || o.standalone || o.renew_with_new_names || o.help);
    options_free(&o);
}

/* Options of another command are unknown. */
static void
test_other_command(void **state)
{
    struct line line;
    struct options o = {0};

    (void)state;
    split("whoami -d a.example.edu", &line);
    assert_int_equal(options_read(line.argc, line.argv, OPTIONS_WHOAMI, &o).code, AW_CODE_USAGE);
    split("certificates --signer s", &line);
    assert_int_equal(
        options_read(line.argc, line.argv, OPTIONS_CERTIFICATES, &o).code, AW_CODE_USAGE);
    split("certificates --eab-hmac-key s", &line);
    assert_int_equal(
        options_read(line.argc, line.argv, OPTIONS_CERTIFICATES, &o).code, AW_CODE_USAGE);
    assert_non_null(strstr(aw_error_last()->hint, "eab import"));
}

/* What ps shows a moment later. */
static void
test_wiping(void **state)
{
    static const struct {
        const char *before;
        const char *after;
    } lines[] = {
        {"p certonly --eab-hmac-key s3cr3t -d a", "p certonly --eab-hmac-key xxxxxx -d a"},
        {"p certonly --eab-hmac-key=s3cr3t -d a", "p certonly --eab-hmac-key=xxxxxx -d a"},
        {"p certonly --eab-hmac-key -s3cr3t", "p certonly --eab-hmac-key xxxxxxx"},
        {"p certonly --eab-h s3cr3t", "p certonly --eab-h xxxxxx"},
        {"p certonly --eab=s3cr3t", "p certonly --eab=xxxxxx"},
        {"p certonly -eab-hmac-key s3cr3t", "p certonly -eab-hmac-key xxxxxx"},
        {"p certonly --EAB_HMAC_KEY=s3cr3t", "p certonly --EAB_HMAC_KEY=xxxxxx"},
        {"p certonly --hmac s3cr3t", "p certonly --hmac xxxxxx"},
        {"p --eab-hmac-key s3cr3t certonly", "p --eab-hmac-key xxxxxx certonly"},
        {"p certonly --eab-hmac-key", "p certonly --eab-hmac-key"},
        {"p certonly --eab-kid kid --email a@b", "p certonly --eab-kid kid --email a@b"},
        {"p certonly -d hmac.example.edu -e x", "p certonly -d hmac.example.edu -e x"},
        {"p certonly --eab-hmac-key s3cr3t --eab-hmac-key=s3cr3t",
            "p certonly --eab-hmac-key xxxxxx --eab-hmac-key=xxxxxx"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(lines); i++) {
        struct line line;
        char after[LINE_MAX] = "";

        split(lines[i].before, &line);
        bool found = options_wipe_secrets(line.argc, line.argv);
        assert_int_equal(found, strstr(lines[i].before, "s3cr3t") != NULL ||
                                    strstr(lines[i].before, "eab-hmac-key") != NULL);
        for (int j = 0; j < line.argc; j++) {
            size_t used = strlen(after);
            snprintf(after + used, sizeof(after) - used, "%s%s", j == 0 ? "" : " ", line.argv[j]);
        }
        if (strcmp(after, lines[i].after) != 0)
            fail_msg("%s: %s", lines[i].before, after);
    }
}

/* Whatever is in the table can be read, and whatever helps is helped. */
static void
check_help(unsigned command)
{
    char *text = NULL;
    size_t size = 0;

    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    options_print_help(command, stream);
    fclose(stream);
    for (const struct options_row *row = options_table; row->name != NULL; row++) {
        char shown[64];

        snprintf(shown, sizeof(shown), "--%s ", row->name);
        bool expected =
            row->help != NULL && row->kind != OPTIONS_REFUSED && (row->commands & command) != 0;
        if ((strstr(text, shown) != NULL) != expected)
            fail_msg("--%s: %s", row->name, expected ? "no help" : "help for what is refused");
    }
    free(text);
}

static void
test_help(void **state)
{
    (void)state;
    check_help(OPTIONS_CERTONLY);
    check_help(OPTIONS_REVOKE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_too_many_names),
        cmocka_unit_test(test_webroots),
        cmocka_unit_test(test_key_types),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_other_command),
        cmocka_unit_test(test_wiping),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
