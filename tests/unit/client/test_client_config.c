/* client.yaml: defaults, every field, every kind of fault. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/chain.h"
#include "client/config.h"
#include "common/io.h"

static char path[64];

static int
make_file(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/acmeward-client-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Reads the text; the faults' texts are joined into `seen`. */
static aw_result
load(const char *text, char *seen, size_t capacity, struct client_config **out)
{
    struct aw_faults faults = {0};

    assert_true(aw_ok(aw_file_replace(path, text, strlen(text), 0600)));
    aw_result r = client_config_load(path, &faults, out);
    seen[0] = '\0';
    for (size_t i = 0; i < faults.count; i++) {
        size_t used = strlen(seen);
        snprintf(seen + used, capacity - used, "%u: %s\n", faults.items[i].line,
            faults.items[i].message);
    }
    aw_faults_free(&faults);
    return r;
}

static const struct {
    const char *name;
    const char *text;
    const char *fault; /* NULL: none */
} rows[] = {
    {"empty", "", NULL},
    {"comments", "# nothing\n", NULL},
    {"empty mapping", "{}\n", NULL},
    {"a list", "- a\n", "expected"},
    {"unknown key", "signer: /s\nsigners: /x\n", "2: "},
    {"EAB key", "eab_hmac_key: abc\n", "eab_hmac_key"},
    {"twice", "signer: /a\nsigner: /b\n", "2: "},
    {"relative signer", "signer: run/s\n", "signer: found \"run/s\", expected an absolute path"},
    {"relative root", "certificates: live\n", "expected an absolute path"},
    {"relative roots", "ca_file: ca.pem\n", "expected an absolute path"},
    {"empty signer", "signer: \"\"\n", "1: "},
    {"no such user", "\nsigner_user: no-such-user-here\n", "2: signer_user: there is no user"},
    {"key type", "key_type: ec-p521\n", "1: key_type"},
    {"port 0", "http_01_port: 0\n", "1: http_01_port"},
    {"port 65536", "http_01_port: 65536\n", "1: http_01_port"},
    {"port text", "http_01_port: http\n", "1: http_01_port"},
    {"no YAML", "signer: [\n", ": "},
    {"two faults", "key_type: x\nhttp_01_port: x\n", "2: http_01_port"},
};

static void
test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct client_config *config = NULL;
        char seen[4096];

        aw_result r = load(rows[i].text, seen, sizeof(seen), &config);
        if (rows[i].fault == NULL ? !aw_ok(r) : r.code != AW_CODE_CONFIG)
            fail_msg("%s: %s: %s", rows[i].name, aw_code_tag(r.code), seen);
        if (rows[i].fault != NULL && strstr(seen, rows[i].fault) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, seen, rows[i].fault);
        if ((config != NULL) != aw_ok(r))
            fail_msg("%s: settings in spite of faults", rows[i].name);
        client_config_free(&config);
    }
}

static void
test_all_fields(void **state)
{
    struct client_config *config = NULL;
    char seen[4096];

    (void)state;
    aw_result r = load("signer: /run/other.sock\n"
                       "signer_user: nobody\n"
                       "certificates: /srv/tls\n"
                       "ca_file: /etc/ca.pem\n"
                       "proxy: http://proxy.example.edu:3128\n"
                       "application: dept_myapp1\n"
                       "key_type: rsa-3072\n"
                       "http_01_port: 8080\n"
                       "http_01_address: 192.0.2.1\n",
        seen, sizeof(seen), &config);
    if (!aw_ok(r))
        fail_msg("%s", seen);
    assert_string_equal(config->file, path);
    assert_string_equal(config->signer, "/run/other.sock");
    assert_int_equal(config->signer_uid, getpwnam("nobody")->pw_uid);
    assert_string_equal(config->certificates, "/srv/tls");
    assert_string_equal(config->ca_file, "/etc/ca.pem");
    assert_string_equal(config->proxy, "http://proxy.example.edu:3128");
    assert_string_equal(config->application, "dept_myapp1");
    assert_string_equal(chain_key_types[config->key_type], "rsa-3072");
    assert_int_equal(config->http_01_port, 8080);
    assert_string_equal(config->http_01_address, "192.0.2.1");
    assert_true(aw_ok(client_config_replace(&config->signer, NULL)));
    assert_string_equal(config->signer, "/run/other.sock");
    assert_true(aw_ok(client_config_replace(&config->signer, "/s")));
    assert_string_equal(config->signer, "/s");
    client_config_free(&config);
    client_config_free(&config);
}

static void
test_defaults(void **state)
{
    struct client_config *config = NULL;
    char seen[4096];

    (void)state;
    assert_true(aw_ok(load("", seen, sizeof(seen), &config)));
    assert_string_equal(config->signer, "/run/acmeward/signer.sock");
    assert_string_equal(config->signer_user, "acmeward");
    assert_string_equal(config->certificates, "/etc/acmeward");
    assert_string_equal(chain_key_types[config->key_type], "ec-p256");
    assert_int_equal(config->http_01_port, 80);
    assert_null(config->ca_file);
    assert_null(config->proxy);
    assert_null(config->application);
    assert_null(config->http_01_address);
    client_config_free(&config);
}

/* Who may write it chooses the server that is taken for the signer. */
static void
test_loose_modes(void **state)
{
    struct aw_faults faults = {0};
    struct client_config *config = NULL;

    (void)state;
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(client_config_load(path, &faults, &config).code, AW_CODE_CONFIG);
    assert_non_null(strstr(faults.items[0].message, "0666"));
    aw_faults_free(&faults);
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(aw_ok(client_config_load(path, &faults, &config)));
    client_config_free(&config);
}

static void
test_named_but_missing(void **state)
{
    struct aw_faults faults = {0};
    struct client_config *config = NULL;

    (void)state;
    assert_int_equal(
        client_config_load("/nonexistent/client.yaml", &faults, &config).code, AW_CODE_CONFIG);
    assert_null(config);
    assert_int_equal(faults.count, 1);
    aw_faults_free(&faults);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_all_fields),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_loose_modes),
        cmocka_unit_test(test_named_but_missing),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
