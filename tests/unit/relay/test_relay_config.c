/* relay.yaml: defaults, every kind of fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "relay/config.h"

#define TLS "tls: {certificate: /c.pem, key: /k.pem}\n"
#define URL "url: https://acme.example.edu:14443\n"

static char path[64];

static int
make_file(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/acmeward-relay-XXXXXX");
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
load(const char *text, char *seen, size_t capacity, struct relay_config **out)
{
    struct aw_faults faults = {0};

    assert_true(aw_ok(aw_file_replace(path, text, strlen(text), 0600)));
    aw_result r = relay_config_load(path, &faults, out);
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
    {"what must be there", URL TLS, NULL},
    {"everything",
        URL TLS "signer: ssh://acmeward@hsm.example.edu\nssh_config: /etc/ssh/relay\n"
                "listen: [\"[::1]:14443\", \"192.0.2.1:443\"]\nstate: /srv/relay\n"
                "terms_of_service: https://example.edu/terms\nwebsite: https://example.edu\n"
                "ca_file: /roots.pem\nproxy: http://proxy:3128\n"
                "limits: {connections: 10, connections_per_address: 2, workers: 1, queue: 5,\n"
                "  handshake_seconds: 1, request_seconds: 2, response_seconds: 3, idle_seconds: "
                "4}\n"
                "sandbox: {seccomp: false, landlock: false}\n",
        NULL},
    {"a path after the host", "url: https://example.edu/acme-relay\n" TLS, NULL},
    {"an address", "url: https://[2001:db8::1]:14443\n" TLS, NULL},
    {"nothing", "", "expected a mapping"},
    {"no URL", TLS, "url: found nothing, expected this key"},
    {"no certificate", URL "tls: {key: /k.pem}\n", "tls.certificate: found nothing"},
    {"http", "url: http://example.edu\n" TLS,
        "1: url: found \"http://example.edu\", expected a "
        "URL that begins with https://"},
    {"upper case in the host", "url: https://Example.edu\n" TLS, "a host name in lower case"},
    {"a slash at the end", "url: https://example.edu/\n" TLS, "no / at its end"},
    {"a user", "url: https://me@example.edu\n" TLS, "a host name"},
    {"a query", "url: https://example.edu/a?b\n" TLS, "a path of"},
    {"dots in the path", "url: https://example.edu/../a\n" TLS, "a path of"},
    {"no host", "url: https:///a\n" TLS, "a host name"},
    {"a relative path", URL "tls: {certificate: c.pem, key: /k.pem}\n",
        "tls.certificate: found \"c.pem\", expected an absolute path"},
    {"a wrong ssh URL", URL TLS "signer: ssh://-oProxyCommand=x\n", "signer: "},
    {"a name to listen at", URL TLS "listen: [\"localhost:14443\"]\n", "listen: found"},
    {"no port to listen at", URL TLS "listen: [\"192.0.2.1\"]\n", "listen: found \"192.0.2.1\""},
    {"a port too high", URL TLS "listen: [\"192.0.2.1:65536\"]\n", "listen: found"},
    {"IPv6 without brackets", URL TLS "listen: [\"::1:443\"]\n", "listen: found"},
    {"no user of that name", URL TLS "signer_user: nobody-here-is-called-so\n",
        "3: signer_user: there is no user"},
    {"profiles", URL TLS "profiles: [classic, short-lived]\n", NULL},
    {"a profile of another kind", URL TLS "profiles: [\"a b\"]\n", "profiles: found \"a b\""},
    {"no workers", URL TLS "limits: {workers: 0}\n", "limits.workers"},
    {"an unknown key", URL TLS "limit: {workers: 1}\n", "limit"},
};

static void
reads_and_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(relay_config_free) struct relay_config *config = NULL;
        char seen[4096];

        aw_result r = load(rows[i].text, seen, sizeof(seen), &config);
        if (rows[i].fault == NULL ? !aw_ok(r) : aw_ok(r) || strstr(seen, rows[i].fault) == NULL)
            fail_msg("%s: %s", rows[i].name, seen);
    }
}

static void
base_paths(void **state)
{
    static const struct {
        const char *text;
        const char *base;
    } bases[] = {{URL TLS, ""}, {"url: https://example.edu/a/b\n" TLS, "/a/b"}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(bases); i++) {
        AW_CLEANUP(relay_config_free) struct relay_config *config = NULL;
        char seen[4096];

        assert_true(aw_ok(load(bases[i].text, seen, sizeof(seen), &config)));
        assert_string_equal(config->base_path, bases[i].base);
    }
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    struct relay_config *config = NULL;

    (void)state;
    assert_true(aw_ok(aw_file_replace(path, URL TLS, strlen(URL TLS), 0600)));
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(relay_config_load(path, &faults, &config).code, AW_CODE_CONFIG);
    assert_null(config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_refuses, make_file, remove_file),
        cmocka_unit_test_setup_teardown(base_paths, make_file, remove_file),
        cmocka_unit_test_setup_teardown(
            a_file_that_others_may_write_is_refused, make_file, remove_file),
    };
    return cmocka_run_group_tests_name("relay_config", tests, NULL, NULL);
}
