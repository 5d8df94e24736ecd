/* The start: configuration and policies checked together, what stops it, what survives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "signer_world.h"

static int
setup(void **state)
{
    (void)world_setup(state);
    struct world *w = *state;
    core_close(&w->core);
    return 0;
}

/* Replaces `from` in signer.yaml. */
static void
edit(struct world *w, const char *from, const char *to)
{
    AW_CLEANUP(aw_free) char *old = NULL, *new = NULL;
    size_t size;

    assert_ok(aw_file_read(w->config, 65536, &old, &size));
    const char *at = strstr(old, from);
    assert_non_null(at);
    assert_ok(aw_format(&new, "%.*s%s%s", (int)(at - old), old, to, at + strlen(from)));
    world_write(w, "signer.yaml", new);
}

/* There is a fault of that file and text, on that line (0: on any) and past that column. */
static void
expect_fault(const struct aw_faults *faults, const char *file, const char *part, unsigned line,
    unsigned column)
{
    for (size_t i = 0; i < faults->count; i++) {
        const struct aw_fault *fault = &faults->items[i];

        if (strstr(fault->file, file) != NULL && strstr(fault->message, part) != NULL &&
            (line == 0 || fault->line == line) && fault->column >= column)
            return;
    }
    aw_faults_print(faults, stderr);
    fail_msg("no fault of %s:%u: %s", file, line, part);
}

/* What is wrong in signer.yaml's meaning does not hide what is wrong in the policies. */
static void
check_config_tells_faults_of_all_files(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};

    edit(w, "192.0.2.0/24", "192.0.2.1/24");
    edit(w, "https://ca.example.org/directory", "https://CA.example.org/directory");
    edit(w, RELAY_URL, "https://user@relay.example.net");
    world_write(w, "policy.d/app-b.yaml", "application: app-b\n");
    world_write(w, "policy.d/app-g.yaml", "application: [\n");
    assert_int_equal(core_check_config(w->config, &faults, &warnings).code, AW_CODE_CONFIG);
    expect_fault(&faults, "signer.yaml", "ceiling", 15, 40);
    expect_fault(&faults, "signer.yaml", "directory of ca2", 13, 0);
    expect_fault(&faults, "signer.yaml", "url of a relay: ", 24, 20);
    expect_fault(&faults, "app-b.yaml", "", 0, 0);
    expect_fault(&faults, "app-g.yaml", "", 0, 0);
}

/* What a relay's clients sign for has one spelling; a reload takes another relay or URL in force.
 */
static void
a_relay_has_one_url(void **state)
{
    static const struct {
        const char *name, *url;
    } rows[] = {{"a user", "https://u@r.example"}, {"a query", "https://r.example/?a"},
        {"a fragment", "https://r.example#a"}, {"upper case", "https://R.example"},
        {"https's own port", "https://r.example:443"}, {"a dot segment", "https://r.example/.."},
        {"two slashes", "https://r.example//a"}, {"an escape", "https://r.example/%61"},
        {"an IPv6 address's long form", "https://[2001:0db8::1]"}, {"no host", "https://:1"}};
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    char url[AW_CONFIG_RELAY_URL_MAX + 1], *before = NULL;
    struct peer peer = world_peer(RELAY, NULL), other = world_peer("lp", NULL);
    size_t size;

    assert_ok(aw_file_read(w->config, 65536, &before, &size));
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};

        edit(w, RELAY_URL, rows[i].url);
        if (core_check_config(w->config, &faults, &warnings).code != AW_CODE_CONFIG)
            fail_msg("%s is taken", rows[i].name);
        expect_fault(&faults, "signer.yaml", "url of a relay: ", 24, 0);
        world_write(w, "signer.yaml", before);
    }
    world_open(w);
    assert_true(core_relay_of(w->core, &peer, url));
    assert_string_equal(url, RELAY_URL);
    assert_false(core_relay_of(w->core, &other, url));
    edit(w, "user: " RELAY ", url: \"" RELAY_URL, "user: lp, url: \"https://[2001:db8::1]:8443");
    world_reload(w);
    assert_true(core_relay_of(w->core, &other, url));
    assert_string_equal(url, "https://[2001:db8::1]:8443");
    assert_false(core_relay_of(w->core, &peer, url));
    free(before);
}

static void
check_config_warns_of_a_relay_that_is_missing(void **state)
{
    static const char policy[] = "application: app-b\nowner: o\naccount: main\n"
                                 "names: {exact: [b.example.edu]}\nrelay: {}\n";
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0}, none = {0};

    world_write(w, "policy.d/app-b.yaml", policy);
    assert_ok(core_check_config(w->config, &faults, &none));
    edit(w, "relays:\n  - {user: " RELAY ", url: \"" RELAY_URL "\"}\n", "");
    assert_ok(core_check_config(w->config, &faults, &warnings));
    assert_int_equal(warnings.total, none.total + 1);
    expect_fault(&warnings, "app-b.yaml", "add it under relays", 0, 0);
}

static void
check_config_warns_of_unknown_administrators(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};

    edit(w, "user: games", "user: no-such-user");
    edit(w, "user: " RELAY, "user: no-such-relay");
    assert_ok(core_check_config(w->config, &faults, &warnings));
    assert_int_equal(faults.total, 0);
    expect_fault(&warnings, "signer.yaml", "no-such-user", 0, 0);
    expect_fault(&warnings, "signer.yaml", "no-such-relay", 24, 0);
}

static void
expect_no_start(struct world *w, const char *row, enum aw_code code, const char *part)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = core_open(w->config, NULL, &faults, &w->core);

    if (r.code != code || w->core != NULL || strstr(aw_error_last()->message, part) == NULL)
        fail_msg("%s: %s %s", row, aw_code_tag(r.code), aw_ok(r) ? "" : aw_error_last()->message);
}

/* Others must not be able to write what decides, or what is on record. */
static void
loose_modes_stop_the_start(void **state)
{
    static const struct {
        const char *path;
        mode_t loose, right;
    } rows[] = {
        {"signer.yaml", 0666, 0644},
        {".", 0775, 0755},
        {"policy.d", 0777, 0755},
        {"policy.d", 0775, 0755},
        {"state", 0755, 0750},
        {"state", 0770, 0750},
        {"state/audit", 0777, 0750},
        {"state/audit/audit.jsonl", 0666, 0640},
        {"state/ledger.db", 0666, 0640},
        {"state/ledger.db", 0660, 0640},
        {"state/accounts", 0777, 0750},
        {"state/accounts/main.json", 0662, 0640},
        {"state/cas", 0770, 0750},
        {"state/cas/ca1.json", 0666, 0640},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char path[256];

        world_path(w, rows[i].path, path);
        assert_int_equal(chmod(path, rows[i].loose), 0);
        expect_no_start(w, rows[i].path, AW_CODE_PERMISSION, rows[i].path);
        assert_int_equal(chmod(path, rows[i].right), 0);
    }
    world_open(w);
}

static void
what_is_damaged_stops_the_start(void **state)
{
    static const struct {
        const char *file, *text, *part;
        enum aw_code code;
    } rows[] = {
        {"state/accounts/main.json", "{}", "main.json", AW_CODE_SYNTAX},
        {"state/accounts/main.json", "{\"ca\":\"ca1\",\"state\":\"lost\"}", "lost",
            AW_CODE_CORRUPT},
        {"state/accounts/main.json",
            "{\"ca\":\"ca1\",\"state\":\"registered\",\"thumbprint\":\"x\",\"key\":"
            "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
            "without its URL", AW_CODE_CORRUPT},
        {"state/accounts/main.json",
            "{\"ca\":\"ca1\",\"state\":\"unregistered\",\"thumbprint\":\"x\",\"key\":\"AAAA\"}",
            "SHA-256", AW_CODE_CORRUPT},
        {"state/cas/ca1.json", "{\"eabs\":[{}],\"directory\":\"x\"}", "ca1.json", AW_CODE_SYNTAX},
        /* What a newer acmeward or a hand wrote besides would be lost with the next change. */
        {"state/accounts/main.json", "{\"ca\":\"ca1\",\"state\":\"no-key\",\"held\":true}",
            "unknown member \"held\"", AW_CODE_SYNTAX},
        {"state/accounts/main.json",
            "{\"ca\":\"ca1\",\"state\":\"no-key\",\"old\":{\"number\":1,\"thumbprint\":\"x\","
            "\"held\":1}}",
            "unknown member \"held\"", AW_CODE_SYNTAX},
        {"state/cas/ca1.json", "{\"eabs\":[],\"directory\":\"x\",\"held\":1}",
            "unknown member \"held\"", AW_CODE_SYNTAX},
        {"state/cas/ca1.json",
            "{\"eabs\":[{\"kid\":\"k\",\"label\":\"l\",\"algorithm\":\"HS256\",\"held\":1}],"
            "\"directory\":\"x\"}",
            "unknown member \"held\"", AW_CODE_SYNTAX},
        {"state/cas/ca1.json",
            "{\"eabs\":[],\"directory\":\"" CA "directory\",\"pinned_at\":5,\"pin\":{"
            "\"newNonce\":\"a\",\"newAccount\":\"b\",\"newOrder\":\"c\",\"held\":1}}",
            "unknown member \"held\"", AW_CODE_SYNTAX},
        {"state/cas/ca1.json", "{\"eabs\":[],\"directory\":\"" CA "directory\",\"pinned_at\":5}",
            "ca1.json", AW_CODE_SYNTAX},
        {"state/audit/audit.jsonl", "{\"seq\":1}\n", "audit", AW_CODE_CORRUPT},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *old = NULL;
        char path[256];
        size_t size;

        world_path(w, rows[i].file, path);
        assert_ok(aw_file_read(path, 1 << 20, &old, &size));
        world_write(w, rows[i].file, rows[i].text);
        assert_int_equal(chmod(path, 0640), 0);
        expect_no_start(w, rows[i].text, rows[i].code, rows[i].part);
        world_write(w, rows[i].file, old);
        assert_int_equal(chmod(path, 0640), 0);
    }
    world_open(w);
}

static void
copy_file(struct world *w, const char *from, const char *to)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    char path[256];
    size_t size;

    world_path(w, from, path);
    assert_ok(aw_file_read(path, 1 << 20, &text, &size));
    world_write(w, to, text);
    world_path(w, to, path);
    assert_int_equal(chmod(path, 0640), 0);
}

/* What is lost, or another account's or CA's, is not signed with. */
static void
what_is_lost_or_swapped_signs_nothing(void **state)
{
    static const struct {
        const char *name, *file, *by; /* by NULL: it is lost */
        int outcome;
    } rows[] = {
        {"an account is lost", "state/accounts/main.json", NULL, SIGN_OUTCOME_NOT_READY},
        {"a pin is lost", "state/cas/ca1.json", NULL, SIGN_OUTCOME_NOT_READY},
        {"another account's file", "state/accounts/main.json", "state/accounts/twin.json",
            WORLD_UNAVAILABLE},
    };
    struct world *w = *state;
    struct peer peer = world_peer("daemon", NULL);

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
        char path[256];

        copy_file(w, rows[i].file, "kept.json");
        world_path(w, rows[i].file, path);
        if (rows[i].by == NULL)
            assert_int_equal(unlink(path), 0);
        else
            copy_file(w, rows[i].by, rows[i].file);
        world_open(w);
        int outcome = world_ask(w, &peer, "NewOrder",
            "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}",
            &reply);
        if (outcome != rows[i].outcome || reply.jws != NULL)
            fail_msg("%s: %d %s", rows[i].name, outcome, aw_error_last()->message);
        core_close(&w->core);
        copy_file(w, "kept.json", rows[i].file);
    }
    world_open(w);
    world_expect(w, &(struct world_row){"put back", "daemon", "NewOrder",
                        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
                        "\"a.example.edu\"}]}",
                        SIGN_OUTCOME_DONE, NULL});
}

/* A second signer on the same state does not get as far as the sockets. */
static void
there_is_one_signer(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    struct core *second = NULL;

    world_open(w);
    assert_int_equal(core_open(w->config, NULL, &faults, &second).code, AW_CODE_BUSY);
    assert_null(second);
}

static aw_result
count_kinds(const struct audit_record *record, void *context)
{
    int *counts = context;

    counts[record->entry.kind]++;
    return AW_OK;
}

static void
starts_and_ends_are_on_record(void **state)
{
    struct world *w = *state;
    int counts[AUDIT_ALARM + 1] = {0};
    char folder[256];

    world_open(w);
    core_close(&w->core);
    world_path(w, "state/audit", folder);
    assert_ok(audit_read(folder, 1, count_kinds, counts));
    assert_int_equal(counts[AUDIT_START], 2);
    assert_int_equal(counts[AUDIT_STOP], 2);
}

/* The directory that the pin was made for is part of it. */
static void
a_moved_directory_must_be_pinned_anew(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);

    edit(w, CA "directory", CA "directory2");
    world_open(w);
    assert_int_equal(
        world_ask(w, &peer, "NewOrder",
            "{\"nonce\":\"n\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}",
            &reply),
        SIGN_OUTCOME_NOT_READY);
    assert_string_equal(reply.rule, "ca");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(check_config_tells_faults_of_all_files),
        TEST(check_config_warns_of_unknown_administrators),
        TEST(loose_modes_stop_the_start),
        TEST(what_is_damaged_stops_the_start),
        TEST(what_is_lost_or_swapped_signs_nothing),
        TEST(there_is_one_signer),
        TEST(starts_and_ends_are_on_record),
        TEST(check_config_warns_of_a_relay_that_is_missing),
        TEST(a_relay_has_one_url),
        TEST(a_moved_directory_must_be_pinned_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
