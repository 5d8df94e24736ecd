/* renewal/NAME.conf: what certonly writes is what renew reads; every kind of fault. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "client/renewal_config.h"
#include "client/store.h"
#include "common/io.h"

enum { WORDS_MAX = 64, LINE_MAX = 1024 };

static char root[64];
static char path[128];

static int
make_folder(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/acmeward-renewal-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof(path), "%s/renewal/a.conf", root);
    return 0;
}

static int
remove_folder(void **state)
{
    char folder[128];

    (void)state;
    snprintf(folder, sizeof(folder), "%s/renewal", root);
    unlink(path);
    rmdir(folder);
    return rmdir(root);
}

static void
write_line(const char *text)
{
    char line[LINE_MAX], *argv[WORDS_MAX], *rest = NULL;
    struct options options = {0};
    int argc = 0;

    snprintf(line, sizeof(line), "%s", text);
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    argv[argc] = NULL;
    if (!aw_ok(options_read(argc, argv, OPTIONS_CERTONLY, &options)))
        fail_msg("%s: %s", text, aw_error_last()->message);
    if (!aw_ok(renewal_config_write(path, &options, "app")))
        fail_msg("%s: %s", text, aw_error_last()->message);
    options_free(&options);
}

/* Reads what is there; the faults' texts are joined into `seen`. */
static aw_result
load(char *seen, size_t capacity, struct renewal_config **out)
{
    struct aw_faults faults = {0};

    *out = NULL;
    seen[0] = '\0';
    aw_result r = renewal_config_read(path, &faults, out);
    for (size_t i = 0; i < faults.count; i++) {
        size_t used = strlen(seen);
        snprintf(seen + used, capacity - used, "%u: %s\n", faults.items[i].line,
            faults.items[i].message);
    }
    aw_faults_free(&faults);
    return r;
}

/* Everything that certonly takes and a renewal repeats. */
static const struct {
    const char *name;
    const char *line;
    const char *text; /* a line of the file */
} written[] = {
    {"names in their order", "certonly -d b.example.edu,a.example.edu",
        "domains: [\"b.example.edu\",\"a.example.edu\"]\n"},
    {"application", "certonly -d a.example.edu --application other", "application: \"app\"\n"},
    {"server", "certonly -d a.example.edu --server https://ca/dir", "server: \"https://ca/dir\"\n"},
    {"standalone", "certonly -d a.example.edu --standalone", "authenticator: \"standalone\"\n"},
    {"webroot", "certonly -w /srv/a -d a.example.edu", "authenticator: \"webroot\"\n"},
    {"web roots", "certonly -w /srv/a -d a.example.edu -w /srv/b -d b.example.edu",
        "webroot_map: {\"a.example.edu\":\"/srv/a\",\"b.example.edu\":\"/srv/b\"}\n"},
    {"key type", "certonly -d a.example.edu --key-type ecdsa --elliptic-curve secp384r1",
        "key_type: \"ec-p384\"\n"},
    {"key kept", "certonly -d a.example.edu --reuse-key", "reuse_key: true\n"},
    {"must-staple", "certonly -d a.example.edu --must-staple", "must_staple: true\n"},
    {"profile", "certonly -d a.example.edu --required-profile short", "profile: \"short\"\n"},
    {"preferred profile", "certonly -d a.example.edu --preferred-profile short",
        "preferred_profile: \"short\"\n"},
    {"chain", "certonly -d a.example.edu --preferred-chain Root", "preferred_chain: \"Root\"\n"},
    {"port", "certonly -d a.example.edu --http-01-port 8080", "http_01_port: \"8080\"\n"},
    {"address", "certonly -d a.example.edu --http-01-address ::1", "http_01_address: \"::1\"\n"},
    {"time", "certonly -d a.example.edu --issuance-timeout 9", "issuance_timeout: \"9\"\n"},
    {"signer", "certonly -d a.example.edu --signer /run/s", "signer: \"/run/s\"\n"},
    {"roots", "certonly -d a.example.edu --ca-file /etc/ca", "ca_file: \"/etc/ca\"\n"},
    {"proxy", "certonly -d a.example.edu --proxy http://p:1", "proxy: \"http://p:1\"\n"},
    {"quotes", "certonly -d a.example.edu --profile a\"\\b'#:", "profile: \"a\\\"\\\\b'#:\"\n"},
    {"not what holds once", "certonly -d a.example.edu --force-renewal --json --new-key",
        "domains"},
};

static void
test_what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(written); i++) {
        AW_CLEANUP(renewal_config_free) struct renewal_config *config = NULL;
        AW_CLEANUP(aw_free) char *first = NULL;
        AW_CLEANUP(aw_free) char *second = NULL;
        char seen[4096];
        size_t size;

        write_line(written[i].line);
        assert_true(aw_ok(aw_file_read(path, 4096, &first, &size)));
        if (strstr(first, written[i].text) == NULL)
            fail_msg("%s: no %s in\n%s", written[i].name, written[i].text, first);
        if (!aw_ok(load(seen, sizeof(seen), &config)))
            fail_msg("%s: %s%s", written[i].name, seen, first);
        assert_true(aw_ok(renewal_config_write(path, renewal_config_options(config), "app")));
        assert_true(aw_ok(aw_file_read(path, 4096, &second, &size)));
        assert_string_equal(first, second);
    }
}

static void
test_nothing_of_one_run_is_repeated(void **state)
{
    AW_CLEANUP(renewal_config_free) struct renewal_config *config = NULL;
    char seen[4096];

    (void)state;
    write_line(
        "certonly -d a.example.edu --standalone --force-renewal --new-key --json -q --check");
    assert_true(aw_ok(load(seen, sizeof(seen), &config)));
    const struct options *options = renewal_config_options(config);
    assert_true(options->standalone);
    assert_false(options->force_renewal || options->new_key || options->json || options->quiet ||
                 options->check);
    assert_string_equal(options->names[0].name.text, "a.example.edu");
    assert_string_equal(options->application, "app");
}

static void
test_settings_are_readable_for_all_and_writable_for_one(void **state)
{
    struct stat st;

    (void)state;
    write_line("certonly -d a.example.edu");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

#define GOOD "domains: [a.example.edu]\n"

static const struct {
    const char *name;
    const char *text;
    const char *fault; /* NULL: none */
} rows[] = {
    {"least", GOOD, NULL},
    {"by hand", "# mine\ndomains:\n  - a.example.edu\n  - b.example.edu\nkey_type: rsa\n", NULL},
    {"map by hand",
        GOOD "authenticator: webroot\nwebroot_path: /srv\nwebroot_map:\n  a.example.edu: /srv/a\n",
        NULL},
    {"empty", "", "expected a mapping"},
    {"without names", "key_type: rsa\n", "domains"},
    {"no names", "domains: []\n", "1: domains"},
    {"bad name", "domains: [a.example.edu, \"a b\"]\n", "1: domains[1]: "},
    {"unknown key", GOOD "pre_hok: x\n", "2: "},
    {"certbot's file", "version = 2.1.0\n[renewalparams]\n", ": "},
    {"twice", GOOD GOOD, "2: "},
    {"key type", GOOD "key_type: dsa\n", "--key-type: found \"dsa\""},
    {"flag", GOOD "reuse_key: 1\n", "2: reuse_key"},
    {"authenticator", GOOD "authenticator: apache\n", "--authenticator: found \"apache\""},
    {"webroot without folder", GOOD "authenticator: webroot\n", "--webroot-path"},
    {"map of another name", GOOD "webroot_map: {b.example.edu: /srv}\n", "2: webroot_map"},
    {"map that is none", GOOD "webroot_map: /srv\n", "2: webroot_map: found a value"},
    {"EAB key", GOOD "eab_hmac_key: abc\n", "eab_hmac_key"},
};

static void
test_faults(void **state)
{
    (void)state;
    write_line("certonly -d a.example.edu");
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(renewal_config_free) struct renewal_config *config = NULL;
        char seen[4096];

        assert_true(aw_ok(aw_file_replace(path, rows[i].text, strlen(rows[i].text), 0644)));
        aw_result r = load(seen, sizeof(seen), &config);
        if (rows[i].fault == NULL ? !aw_ok(r) : r.code != AW_CODE_CONFIG)
            fail_msg("%s: %s: %s", rows[i].name, aw_code_tag(r.code), seen);
        if (rows[i].fault != NULL && strstr(seen, rows[i].fault) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, seen, rows[i].fault);
        if ((config != NULL) != aw_ok(r))
            fail_msg("%s: settings in spite of faults", rows[i].name);
    }
}

/* Who may write it would have his commands run by root. */
static void
test_settings_that_others_may_write_are_refused(void **state)
{
    AW_CLEANUP(renewal_config_free) struct renewal_config *config = NULL;
    char seen[4096];

    (void)state;
    write_line("certonly -d a.example.edu");
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(load(seen, sizeof(seen), &config).code, AW_CODE_CONFIG);
    assert_non_null(strstr(seen, "0664"));
}

static aw_result
collect(const char *name, void *context)
{
    char *seen = context;

    snprintf(seen + strlen(seen), 64 - strlen(seen), "%s ", name);
    return AW_OK;
}

static void
test_list_and_remove(void **state)
{
    struct renewal_config *config = NULL;
    char names[64] = "", seen[4096];

    (void)state;
    write_line("certonly -d a.example.edu");
    assert_true(aw_ok(renewal_config_list(root, collect, names)));
    assert_string_equal(names, "a ");
    assert_true(aw_ok(renewal_config_remove(root, "a")));
    assert_true(aw_ok(renewal_config_remove(root, "a")));
    assert_int_equal(load(seen, sizeof(seen), &config).code, AW_CODE_NOT_FOUND);
    names[0] = '\0';
    assert_true(aw_ok(renewal_config_list(root, collect, names)));
    assert_string_equal(names, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_nothing_of_one_run_is_repeated),
        cmocka_unit_test(test_settings_are_readable_for_all_and_writable_for_one),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_settings_that_others_may_write_are_refused),
        cmocka_unit_test(test_list_and_remove),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
