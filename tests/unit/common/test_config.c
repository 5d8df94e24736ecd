/* signer.yaml: what is read, and every fault with its line and column, all at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/io.h"

/* Parts of a good file; line numbers in the rows below count from the part that is replaced. */
#define TOKEN "token:\n  module: /usr/lib/p11.so\n  uri: \"pkcs11:token=t\"\n"
#define CAS "cas:\n  - name: ca1\n    directory: https://ca.example.net/directory\n"
#define ACCOUNTS "accounts:\n  - name: main\n    ca: ca1\n    ceiling: [example.edu]\n"
#define ADMINISTRATORS "administrators:\n  officers:\n    - user: root\n"

struct fixture {
    char path[64];
    struct aw_faults faults;
    struct aw_config *config;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->path, sizeof(f->path), "/tmp/aw-config-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    aw_config_free(&f->config);
    aw_faults_free(&f->faults);
    unlink(f->path);
    free(f);
    return 0;
}

static void
put(struct fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    aw_config_free(&f->config);
    aw_faults_free(&f->faults);
}

static aw_result
load(struct fixture *f, const char *text)
{
    put(f, text);
    return aw_config_load(f->path, &f->faults, &f->config);
}

static void
must_load(struct fixture *f, const char *text)
{
    if (!aw_ok(load(f, text)))
        fail_msg("%s", aw_error_last()->message);
    assert_int_equal(f->faults.total, 0);
    assert_string_equal(f->config->file, f->path);
}

/* What is read. */

static void
a_small_file_gets_defaults(void **state)
{
    struct fixture *f = *state;

    must_load(f, TOKEN CAS ACCOUNTS ADMINISTRATORS);
    const struct aw_config *config = f->config;
    assert_string_equal(config->token.module, "/usr/lib/p11.so");
    assert_string_equal(config->token.uri, "pkcs11:token=t");
    assert_null(config->token.pin_source);
    assert_int_equal(config->token.sessions, 8);
    assert_int_equal(config->token.timeout_ms, 10000);
    assert_string_equal(config->paths.state, "/var/lib/acmeward");
    assert_string_equal(config->paths.policies, "/etc/acmeward/policy.d");
    assert_string_equal(config->paths.application_socket, "/run/acmeward/signer.sock");
    assert_string_equal(config->paths.admin_socket, "/run/acmeward/admin.sock");
    assert_null(config->openssl_properties);
    assert_int_equal(config->accounts[0].key, 0);
    assert_int_equal(config->accounts[0].orders_per_day, 0);
    assert_int_equal(config->operators.count, 0);
    assert_null(config->audit.key);
}

static void
a_whole_file(void **state)
{
    struct fixture *f = *state;

    must_load(f,
        "token: {module: /m.so, uri: \"pkcs11:\", pin_source: /p, sessions: 64, timeout_ms: 100}\n"
        "paths: {state: /s, policies: /p.d, application_socket: /a.sock, admin_socket: /b.sock}\n"
        "openssl_properties: fips=yes\n"
        "audit: {key: audit-1, origin: log.example/1, every_records: 7, every_minutes: 1440,"
        " export: /e, segment_mib: 16, forward: syslog, forward_socket: /l}\n"
        "cas:\n"
        "  - {name: ca-1, directory: \"https://ca.example.net/d\", ca_file: /roots.pem}\n"
        "  - {name: ca.2_x, directory: \"https://ca.example.org/d\"}\n"
        "accounts:\n"
        "  - name: b\n    ca: ca.2_x\n    key: rsa-3072\n    orders_per_day: 300\n"
        "    ceiling: [Example.EDU, b\xc3\xbc"
        "cher.example, 192.0.2.0/24, \"2001:db8::1\"]\n"
        "  - {name: a, ca: ca-1, ceiling: [edu.example]}\n"
        "administrators:\n"
        "  officers: [{user: root}, {group: crypto}]\n"
        "  operators: [{user: watch}]\n"
        "relays:\n  - {user: acmeward-relay, url: \"https://acme.example.edu:14443/inner\"}\n"
        "  - {group: relays, url: \"https://[2001:db8::1]\"}\n");
    const struct aw_config *config = f->config;
    assert_int_equal(config->relay_count, 2);
    assert_string_equal(config->relays[0].who.user, "acmeward-relay");
    assert_string_equal(config->relays[0].url, "https://acme.example.edu:14443/inner");
    assert_string_equal(config->relays[1].who.group, "relays");
    assert_null(config->relays[1].who.user);
    assert_string_equal(config->openssl_properties, "fips=yes");
    assert_string_equal(aw_config_find_ca(config, "ca-1")->ca_file, "/roots.pem");
    assert_null(aw_config_find_ca(config, "ca-9"));
    assert_null(aw_config_find_account(config, "c"));
    const struct aw_config_account *account = aw_config_find_account(config, "b");
    assert_string_equal(aw_config_key_names[account->key], "rsa-3072");
    assert_int_equal(account->orders_per_day, 300);
    assert_int_equal(account->ceiling_count, 2);
    assert_string_equal(account->ceiling[0].text, "example.edu");
    assert_string_equal(account->ceiling[1].text, "xn--bcher-kva.example");
    assert_int_equal(account->network_count, 2);
    assert_string_equal(account->networks[0], "192.0.2.0/24");
    assert_string_equal(account->networks[1], "2001:db8::1");
    assert_int_equal(config->officers.count, 2);
    assert_string_equal(config->officers.items[0].user, "root");
    assert_string_equal(config->officers.items[1].group, "crypto");
    assert_string_equal(config->operators.items[0].user, "watch");
    assert_string_equal(config->audit.key, "audit-1");
    assert_string_equal(config->audit.origin, "log.example/1");
    assert_int_equal(config->audit.every_records, 7);
    assert_int_equal(config->audit.every_minutes, 1440);
    assert_string_equal(config->audit.export, "/e");
    assert_string_equal(aw_config_export_folder(config), "/e");
    assert_int_equal(config->audit.segment_mib, 16);
    assert_int_equal(config->audit.forward, AW_FORWARD_SYSLOG);
    assert_string_equal(config->audit.forward_socket, "/l");
}

/* Presets: what is said goes before, what is not said comes from the table, or is unknown. */

#define UNKNOWN "unknown unknown unknown unknown"

static const struct ca_row {
    const char *name, *entry, *directory, *facts;
} ca_rows[] = {
    {"nothing is known", "directory: \"https://ca.example/d\"", "https://ca.example/d", UNKNOWN},
    {"a preset alone", "preset: zerossl", "https://acme.zerossl.com/v2/DV90",
        "reusable unsupported challenges unknown"},
    {"another one", "preset: google", "https://dv.acme-v02.api.pki.goog/directory",
        "one-time supported challenges unknown"},
    {"a directory of the table", "directory: \"https://acme.sectigo.com/v2/InCommonRSAOV/\"",
        "https://acme.sectigo.com/v2/InCommonRSAOV/", "unknown unknown prevalidated domains"},
    {"the preset's directory moved", "preset: zerossl, directory: \"https://new.example/d\"",
        "https://new.example/d", "reusable unsupported challenges unknown"},
    {"a fact is another", "preset: zerossl, key_change: supported, eab: one-time",
        "https://acme.zerossl.com/v2/DV90", "one-time supported challenges unknown"},
    {"a fact is unknown again", "preset: zerossl, key_change: unknown",
        "https://acme.zerossl.com/v2/DV90", "reusable unknown challenges unknown"},
    {"all is said",
        "directory: \"https://ca.example/d\", eab: none, key_change: unsupported, validation: "
        "prevalidated, scope: none",
        "https://ca.example/d", "none unsupported prevalidated none"},
};

static void
presets(void **state)
{
    struct fixture *f = *state;
    char text[1024], facts[128];

    for (size_t i = 0; i < AW_COUNT(ca_rows); i++) {
        snprintf(text, sizeof(text), "cas: [{name: ca1, %s}]\n" TOKEN ACCOUNTS ADMINISTRATORS,
            ca_rows[i].entry);
        aw_config_free(&f->config);
        must_load(f, text);
        const struct aw_config_ca *ca = &f->config->cas[0];
        snprintf(facts, sizeof(facts), "%s %s %s %s", aw_ca_eab_names[ca->eab],
            aw_ca_key_change_names[ca->key_change], aw_ca_validation_names[ca->validation],
            aw_ca_scope_names[ca->scope]);
        if (strcmp(facts, ca_rows[i].facts) != 0 ||
            strcmp(ca->directory, ca_rows[i].directory) != 0)
            fail_msg("%s: %s %s", ca_rows[i].name, ca->directory, facts);
    }
}

/* A CA whose accounts can't be limited to domains is one that people are warned of. */
static void
a_ca_without_scope_is_warned_of(void **state)
{
    struct fixture *f = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};

    must_load(f,
        "cas:\n  - {name: good, preset: sectigo-incommon-ecc-ov}\n"
        "  - name: ca1\n    directory: https://acme.enterprise.sectigo.com/\n" TOKEN ACCOUNTS
            ADMINISTRATORS);
    aw_config_warn(f->config, &warnings);
    assert_int_equal(warnings.total, 1);
    assert_int_equal(warnings.items[0].line, 3);
    assert_non_null(strstr(warnings.items[0].message, "can't limit an account to domains"));
}

/* Who takes over a relay must not be an administrator by that. */
static void
a_relay_that_is_an_administrator_is_warned_of(void **state)
{
    struct fixture *f = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};

    must_load(f, TOKEN CAS ACCOUNTS "administrators:\n  officers: [{user: root}, {group: crypto}]\n"
                                    "  operators: [{user: watch}]\n"
                                    "relays:\n  - {user: crypto, url: \"https://a.example\"}\n"
                                    "  - {group: crypto, url: \"https://a.example\"}\n"
                                    "  - {user: watch, url: \"https://a.example\"}\n");
    aw_config_warn(f->config, &warnings);
    assert_int_equal(warnings.total, 2);
    assert_int_equal(warnings.items[0].line, 16);
    assert_non_null(strstr(warnings.items[0].message, "the group \"crypto\" is an administrator"));
    assert_int_equal(warnings.items[1].line, 17);
}

/* Faults. */

#define LONG_PATH                                                                        \
    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct row {
    const char *name, *text;
    unsigned line, column;
    const char *part; /* of the first fault's message */
} rows[] = {
    {"nothing", "", 1, 1, ""},
    {"no mapping", "- a\n", 1, 1, "a list"},
    {"a tab", "token:\n\tmodule: x\n", 2, 1, ""},
    {"an anchor", "token: &a\n  module: /m.so\n", 1, 8, ""},
    {"an unknown key", "tokens: 1\n" TOKEN CAS ACCOUNTS ADMINISTRATORS, 1, 1, "token"},
    {"a key twice", TOKEN TOKEN CAS ACCOUNTS ADMINISTRATORS, 4, 1, "token"},
    {"a PIN in the file", "token:\n  module: /m.so\n  uri: x\n  pin: \"1234\"\n", 4, 3, "pin"},
    {"no module", "token:\n  uri: x\n" CAS ACCOUNTS ADMINISTRATORS, 2, 3, "module"},
    {"a relative module", "token:\n  uri: x\n  module: p11.so\n" CAS ACCOUNTS ADMINISTRATORS, 3, 11,
        "token.module"},
    {"a relative pin_source",
        "token:\n  uri: x\n  module: /p11.so\n  pin_source: pin\n" CAS ACCOUNTS ADMINISTRATORS, 4,
        15, "token.pin_source"},
    {"no session", "token:\n  uri: x\n  module: /m\n  sessions: 0\n" CAS ACCOUNTS ADMINISTRATORS, 4,
        13, "sessions"},
    {"a relay without a URL", TOKEN CAS ACCOUNTS ADMINISTRATORS "relays:\n  - user: r\n", 15, 5,
        "url"},
    {"a relay that is nobody",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "relays:\n  - url: https://r.example\n", 15, 5,
        "exactly one of user and group"},
    {"a relay that is user and group",
        TOKEN CAS ACCOUNTS ADMINISTRATORS
        "relays:\n  - {user: r, group: r, url: \"https://r.example\"}\n",
        15, 5, "exactly one of user and group"},
    {"a relay without TLS",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "relays:\n  - user: r\n    url: http://r.example\n", 16,
        10, "https://"},
    {"a relay's directory instead of its base",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "relays:\n  - user: r\n    url: https://r.example/\n", 16,
        10, "no slash at the end"},
    {"a user who is a relay twice",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "relays:\n"
                                          "  - {user: r, url: \"https://r.example\"}\n"
                                          "  - {group: r, url: \"https://r.example\"}\n"
                                          "  - {user: r, url: \"https://s.example\"}\n",
        17, 5, "user \"r\" is a relay twice"},
    {"a group that is a relay twice",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "relays:\n"
                                          "  - {group: r, url: \"https://r.example\"}\n"
                                          "  - {group: r, url: \"https://s.example\"}\n",
        16, 5, "group \"r\" is a relay twice"},
    {"a relay's URL too long",
        TOKEN CAS ACCOUNTS ADMINISTRATORS
        "relays:\n  - user: r\n    url: https://" LONG_PATH LONG_PATH LONG_PATH "\n",
        16, 10, "at most 256"},
    {"an origin without a key", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  origin: a\n", 15, 11,
        "audit.origin: of no use without"},
    {"an export without a key", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  export: none\n", 15,
        11, "audit.export: of no use without"},
    {"a key without an origin",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: a\n  export: none\n", 15, 3,
        "missing \"origin\""},
    {"a key without an export", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: a\n  origin: a\n",
        15, 3, "missing \"export\""},
    {"forwarding to nowhere", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  forward: udp\n", 15, 12,
        "forward"},
    {"a relative socket of syslog",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  forward_socket: log\n", 15, 19,
        "audit.forward_socket"},
    {"no segment size", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  segment_mib: 0\n", 15, 16,
        "segment_mib"},
    {"an audit key's name", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: A b\n  origin: a\n",
        15, 8, "audit.key"},
    {"an origin with a space",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: a\n  origin: a b\n", 16, 11,
        "audit.origin"},
    {"an origin with a plus", TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: a\n  origin: a+b\n",
        16, 11, "audit.origin"},
    {"a relative export folder",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: a\n  origin: b\n  export: c\n", 17, 11,
        "audit.export"},
    {"no records",
        TOKEN CAS ACCOUNTS ADMINISTRATORS "audit:\n  key: a\n  origin: b\n  every_records: 0\n", 17,
        18, "every_records"},
    {"a fraction",
        "token:\n  uri: x\n  module: /m\n  timeout_ms: 1.5e3\n" CAS ACCOUNTS ADMINISTRATORS, 4, 15,
        "timeout_ms"},
    {"a relative state", "paths:\n  state: var\n" TOKEN CAS ACCOUNTS ADMINISTRATORS, 2, 10,
        "paths.state"},
    {"relative policies", "paths: {policies: p.d}\n" TOKEN CAS ACCOUNTS ADMINISTRATORS, 1, 19,
        "paths.policies"},
    {"a socket's path too long",
        "paths:\n  admin_socket: " LONG_PATH "\n" TOKEN CAS ACCOUNTS ADMINISTRATORS, 2, 17,
        "at most 107"},
    {"one path for two sockets",
        "paths:\n  application_socket: /s\n  admin_socket: /s\n" TOKEN CAS ACCOUNTS ADMINISTRATORS,
        3, 17, "application_socket too"},
    {"no CA", "cas: []\n" TOKEN ACCOUNTS ADMINISTRATORS, 1, 6, "cas"},
    {"http",
        "cas:\n  - name: ca1\n    directory: http://ca.example.net/d\n" TOKEN ACCOUNTS
            ADMINISTRATORS,
        3, 16, "https://"},
    {"no directory and no preset", "cas:\n  - name: ca1\n" TOKEN ACCOUNTS ADMINISTRATORS, 2, 5,
        "directory is missing"},
    {"an unknown preset", "cas:\n  - {name: ca1, preset: zero}\n" TOKEN ACCOUNTS ADMINISTRATORS, 2,
        25, "preset"},
    {"a CA's name with a slash",
        "cas:\n  - directory: https://ca.example.net/d\n    name: ../x\n" TOKEN ACCOUNTS
            ADMINISTRATORS,
        3, 11, "name of a CA"},
    {"a CA's name in upper case",
        "cas:\n  - directory: https://ca.example.net/d\n    name: CA1\n" TOKEN ACCOUNTS
            ADMINISTRATORS,
        3, 11, "name of a CA"},
    {"a CA twice",
        "cas:\n  - {name: ca1, directory: \"https://a.example/d\"}\n"
        "  - {name: ca1, directory: \"https://b.example/d\"}\n" TOKEN ACCOUNTS ADMINISTRATORS,
        3, 12, "twice"},
    {"a relative ca_file",
        "cas:\n  - {name: ca1, directory: \"https://a.example/d\", ca_file: r.pem}\n" TOKEN ACCOUNTS
            ADMINISTRATORS,
        2, 60, "ca_file"},
    {"an account of no CA",
        "accounts:\n  - name: main\n    ca: ca9\n    ceiling: [example.edu]\n" TOKEN CAS
            ADMINISTRATORS,
        3, 9, "not among the names under cas"},
    {"an account twice",
        "accounts:\n  - {name: m, ca: ca1, ceiling: [example.edu]}\n"
        "  - {name: m, ca: ca1, ceiling: [example.edu]}\n" TOKEN CAS ADMINISTRATORS,
        3, 12, "twice"},
    {"an account's name with a dot first",
        "accounts:\n  - {name: .m, ca: ca1, ceiling: [example.edu]}\n" TOKEN CAS ADMINISTRATORS, 2,
        12, "name of an account"},
    {"an account without a ceiling",
        "accounts:\n  - name: main\n    ca: ca1\n" TOKEN CAS ADMINISTRATORS, 2, 5, "ceiling"},
    {"an empty ceiling",
        "accounts:\n  - name: main\n    ca: ca1\n    ceiling: []\n" TOKEN CAS ADMINISTRATORS, 4, 14,
        "ceiling"},
    {"a wildcard as ceiling",
        "accounts:\n  - name: main\n    ca: ca1\n    ceiling: [example.edu, "
        "\"*.example.edu\"]\n" TOKEN CAS ADMINISTRATORS,
        4, 28, "expected a domain"},
    {"no name as ceiling",
        "accounts:\n  - name: main\n    ca: ca1\n    ceiling:\n      - a..b\n" TOKEN CAS
            ADMINISTRATORS,
        5, 9, "ceiling"},
    {"an unknown key type",
        "accounts:\n  - name: main\n    ca: ca1\n    key: rsa-1024\n    ceiling: "
        "[example.edu]\n" TOKEN CAS ADMINISTRATORS,
        4, 10, "key"},
    {"a negative limit",
        "accounts:\n  - name: main\n    ca: ca1\n    orders_per_day: -1\n    ceiling: "
        "[a.example]\n" TOKEN CAS ADMINISTRATORS,
        4, 21, "orders_per_day"},
    {"no officer", "administrators:\n  operators: [{user: x}]\n" TOKEN CAS ACCOUNTS, 2, 3,
        "officers"},
    {"an administrator who is both",
        "administrators:\n  officers:\n    - {user: x, group: y}\n" TOKEN CAS ACCOUNTS, 3, 7,
        "exactly one of user and group"},
    {"an administrator who is neither", "administrators:\n  officers: [{}]\n" TOKEN CAS ACCOUNTS, 2,
        14, "exactly one of user and group"},
    {"an administrator by number", "administrators:\n  officers: [{uid: 0}]\n" TOKEN CAS ACCOUNTS,
        2, 15, "uid"},
};

static bool
fault_is(struct fixture *f, const struct row *row)
{
    aw_result r = load(f, row->text);
    const struct aw_fault *fault = f->faults.count > 0 ? &f->faults.items[0] : NULL;

    if (r.code == AW_CODE_CONFIG && f->config == NULL && fault != NULL &&
        fault->line == row->line && fault->column == row->column &&
        strcmp(fault->file, f->path) == 0 && strstr(fault->message, row->part) != NULL)
        return true;
    print_error("%s: %s at %u:%u: %s\n", row->name, aw_code_tag(r.code),
        fault == NULL ? 0 : fault->line, fault == NULL ? 0 : fault->column,
        fault == NULL ? "" : fault->message);
    return false;
}

static void
every_fault_has_its_place(void **state)
{
    size_t bad = 0;

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        bad += !fault_is(*state, &rows[i]);
    assert_int_equal(bad, 0);
}

static bool
has(const struct aw_faults *faults, unsigned line, const char *part)
{
    for (size_t i = 0; i < faults->count; i++)
        if (faults->items[i].line == line && strstr(faults->items[i].message, part) != NULL)
            return true;
    return false;
}

static void
all_faults_are_told_at_once(void **state)
{
    static const struct {
        unsigned line;
        const char *part;
    } expected[] = {{2, "token.module"}, {3, "sessions"}, {2, "uri"}, {6, "name of a CA"},
        {7, "https://"}, {9, "not among"}, {10, "ceiling"}, {12, "exactly one"}, {13, "colour"}};
    struct fixture *f = *state;

    aw_result r = load(f, "token:\n"
                          "  module: p11.so\n"
                          "  sessions: many\n"
                          "cas:\n"
                          "  -\n"
                          "    name: CA\n"
                          "    directory: ftp://x\n"
                          "accounts:\n"
                          "  - {name: main, ca: none,\n"
                          "     ceiling: [\"*.x.example\"]}\n"
                          "administrators:\n"
                          "  officers: [{}]\n"
                          "colour: blue\n");
    assert_int_equal(r.code, AW_CODE_CONFIG);
    for (size_t i = 0; i < AW_COUNT(expected); i++)
        if (!has(&f->faults, expected[i].line, expected[i].part)) {
            aw_faults_print(&f->faults, stderr);
            fail_msg("line %u: no fault of %s", expected[i].line, expected[i].part);
        }
    assert_int_equal(f->faults.total, AW_COUNT(expected));
}

/* For policies nothing but accounts is needed; what is there is checked as ever. */
static void
accounts_alone(void **state)
{
    static const struct {
        const char *name, *text, *fault; /* NULL: none */
    } parts[] = {
        {"accounts", "accounts:\n  - {name: main, ceiling: [example.edu]}\n", NULL},
        {"a CA that is not listed, as nothing is", ACCOUNTS, NULL},
        {"a whole file", TOKEN CAS ACCOUNTS ADMINISTRATORS, NULL},
        {"nothing", "", "found nothing"},
        {"no accounts", CAS, "accounts: found nothing"},
        {"no ceiling", "accounts:\n  - {name: main}\n", "ceiling: found nothing"},
        {"no name", "accounts:\n  - {ceiling: [example.edu]}\n", "name: found nothing"},
        {"a CA that is not among those listed",
            CAS "accounts:\n  - {name: main, ca: ca2, ceiling: [example.edu]}\n",
            "\"ca2\" is not among"},
        {"half a token", "token: {uri: \"pkcs11:\"}\n" ACCOUNTS, "token.module: found nothing"},
        {"no officers", ACCOUNTS "administrators: {}\n", "officers: found nothing"},
        {"an unknown key", ACCOUNTS "colour: blue\n", "unknown key \"colour\""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < AW_COUNT(parts); i++) {
        put(f, parts[i].text);
        aw_result r = aw_config_load_accounts(f->path, &f->faults, &f->config);
        bool well = parts[i].fault == NULL
                        ? aw_ok(r) && f->faults.total == 0 && f->config->account_count == 1
                        : r.code == AW_CODE_CONFIG && f->faults.total == 1 &&
                              strstr(f->faults.items[0].message, parts[i].fault) != NULL;
        if (well)
            continue;
        aw_faults_print(&f->faults, stderr);
        fail_msg("%s", parts[i].name);
    }
}

/* What a fault shows of a file cannot drive a terminal. */
static void
faults_are_safe_to_print(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        load(f, "paths: {state: \"x\\e[2J\"}\n" TOKEN CAS ACCOUNTS ADMINISTRATORS).code,
        AW_CODE_CONFIG);
    for (size_t i = 0; i < f->faults.count; i++)
        assert_null(strchr(f->faults.items[i].message, '\x1b'));
}

static void
a_file_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(aw_config_load(f->path, &f->faults, &f->config).code, AW_CODE_CONFIG);
    assert_null(f->config);
    assert_int_equal(f->faults.total, 1);
    assert_string_equal(f->faults.items[0].file, f->path);
}

static void
labels(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } labels_[] = {{"a", true}, {"incommon-ov", true}, {"9.x_y", true}, {"", false}, {"-a", false},
        {".", false}, {"a/b", false}, {"A", false}, {"a b", false}, {"a\n", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(labels_); i++)
        if (aw_config_label_ok(labels_[i].text) != labels_[i].good)
            fail_msg("\"%s\"", labels_[i].text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_small_file_gets_defaults),
        TEST(a_whole_file),
        TEST(presets),
        TEST(a_ca_without_scope_is_warned_of),
        TEST(a_relay_that_is_an_administrator_is_warned_of),
        TEST(every_fault_has_its_place),
        TEST(all_faults_are_told_at_once),
        TEST(accounts_alone),
        TEST(faults_are_safe_to_print),
        TEST(a_file_that_cannot_be_read),
        cmocka_unit_test(labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
