/* Out of memory at every single allocation of loading, and of the texts about a verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpsl.h>

#include "common/hex.h"
#include "common/io.h"
#include "support.h"
#include "tests/faults/memory.h"

/* More applications than an index walks; long names, so that a block of texts is full among the
 * networks; entries for growths of every table. */
enum { CROWD = 8, LONG_NAMES = 15, NETWORKS = 40, TRIES_MAX = 100000 };

/* The list of public suffixes is thousands of allocations of libpsl's: it is there or it is not,
 * and is read once. */
static psl_ctx_t *suffixes;
static bool list_fails;

psl_ctx_t *__real_psl_latest(const char *path);
psl_ctx_t *__wrap_psl_latest(const char *path);
void __real_psl_free(psl_ctx_t *list);
void __wrap_psl_free(psl_ctx_t *list);

psl_ctx_t *
__wrap_psl_latest(const char *path)
{
    memory_fail_pause();
    if (suffixes == NULL)
        suffixes = __real_psl_latest(path);
    memory_fail_resume();
    return list_fails ? NULL : suffixes;
}

void
__wrap_psl_free(psl_ctx_t *list)
{
    assert_true(list == NULL || list == suffixes);
}

/* libyaml 0.2.5 forgets a stack of its own, 128 octets, where the next allocation fails. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
    return "leak:yaml_parser_load\n";
}

static const enum memory_failure failures[] = {MEMORY_FAILS_ONCE, MEMORY_FAILS_FOR_GOOD};

#define LABEL "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-12345"
static const char head[] =
    "application: rich\nowner: rich@example.edu\naccount: main\nprincipals:\n  - user: alice\n"
    "  - gid: 100\nnames:\n  exact: [a.example.edu, 'b\xc3\xbc"
    "cher.example.edu'";
static const char middle[] =
    "]\n  subdomains_of: [s.example.edu, shared.example.edu]\n"
    "  wildcards_of: [w.example.edu]\n  deny: [d.s.example.edu]\n  addresses: [";
static const char rest[] =
    "]\nprofiles: [classic]\nkeys: [ec-p256]\noperations: [order, revoke]\n"
    "limits:\n  names_per_certificate: 3\nshares_with: [app00]\nexpires: 2030-01-02\n"
    "warn_until: 2026-01-01\n";

struct folder {
    char path[64];
    struct aw_name ceiling;
    struct policy_network network;
    struct policy_account account;
    struct policy_source source;
};

static void
write_rich(const struct folder *folder)
{
    char text[8192];
    size_t length = (size_t)snprintf(text, sizeof(text), "%s", head);

    for (int i = 0; i < LONG_NAMES; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length,
            ", n%d." LABEL "." LABEL "." LABEL ".example.edu", i);
    length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", middle);
    for (int i = 0; i < NETWORKS; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s2001:db8:%x::/%d",
            i == 0 ? "" : ", ", i + 1, 48 + i % 2 * 16);
    length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", rest);
    assert_true(length < sizeof(text));
    folder_write(folder->path, "rich.yaml", text, length);
}

static int
setup(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));

    assert_non_null(folder);
    folder_make(folder->path);
    folder->ceiling = name_of("example.edu");
    folder->network = network_of("2001:db8::/32");
    folder->account = (struct policy_account){.name = "main",
        .ceiling = &folder->ceiling,
        .ceiling_count = 1,
        .networks = &folder->network,
        .network_count = 1};
    folder->source = (struct policy_source){folder->path, &folder->account, 1, &test_resolver};
    for (int i = 0; i < CROWD; i++) {
        char name[32], text[512];

        snprintf(name, sizeof(name), "app%02d.yaml", i);
        snprintf(text, sizeof(text),
            "application: app%02d\nowner: o@example.edu\naccount: main\nprincipals:\n  - uid: %d\n"
            "names:\n  subdomains_of: [shared.example.edu]\n  exact: [h%d.example.edu]\n",
            i, 3000 + i, i);
        folder_write(folder->path, name, text, strlen(text));
    }
    write_rich(folder);
    folder_write(folder->path, "not-read.yml", "", 0);
    *state = folder;
    return 0;
}

static int
teardown(void **state)
{
    struct folder *folder = *state;

    folder_remove(folder->path);
    __real_psl_free(suffixes);
    suffixes = NULL;
    free(folder);
    return 0;
}

/* What a load must be that says it succeeded: the very policy. */
static void
check_whole(policy_snapshot **snapshot, const char digest[AW_DIGEST_HEX_SIZE], size_t warned,
    size_t warnings)
{
    assert_non_null(*snapshot);
    assert_string_equal(policy_digest(*snapshot), digest);
    assert_int_equal(warned, warnings);
    policy_release(snapshot);
}

/* True when no allocation failed any more. */
static bool
try_load(const struct folder *folder, long n, enum memory_failure failure,
    const char digest[AW_DIGEST_HEX_SIZE], size_t warnings)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warned = {0};
    policy_snapshot *snapshot = NULL;

    memory_fail_at_new_place(
        failure == MEMORY_FAILS_ONCE ? MEMORY_PLACE_EXACT : MEMORY_PLACE_OURS, failure);
    aw_result r = policy_load(&folder->source, &faults, &warned, &snapshot);
    bool failed = memory_fail_end();
    if (aw_ok(r)) {
        check_whole(&snapshot, digest, warned.total, warnings);
        return !failed;
    }
    if (!failed)
        fail_msg("allocation %ld: %s", n, aw_error_last()->message);
    assert_null(snapshot);
    /* A file that was read half is a fault, the list of public suffixes is absent, OpenSSL fails.
     */
    assert_true(r.code == AW_CODE_MEMORY || r.code == AW_CODE_CONFIG || r.code == AW_CODE_CRYPTO ||
                r.code == AW_CODE_UNSUPPORTED);
    return false;
}

static void
a_policy_is_loaded_whole_or_not_at_all(void **state)
{
    const struct folder *folder = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    policy_snapshot *snapshot = load_folder_warned(folder->path, &folder->account, 1, &warnings);
    char digest[AW_DIGEST_HEX_SIZE];

    memcpy(digest, policy_digest(snapshot), sizeof(digest));
    policy_release(&snapshot);
    for (size_t i = 0; i < AW_COUNT(failures); i++) {
        long n = 1;

        memory_places_forget();
        while (!try_load(folder, n, failures[i], digest, warnings.total))
            assert_true(++n < TRIES_MAX);
        assert_true(n > 50);
    }
}

/* Without it nobody could tell what a policy must not allow. */
static void
no_policy_without_the_list_of_public_suffixes(void **state)
{
    const struct folder *folder = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    policy_snapshot *snapshot = NULL;

    list_fails = true;
    aw_result r = policy_load(&folder->source, &faults, NULL, &snapshot);
    list_fails = false;
    assert_int_equal(r.code, AW_CODE_UNSUPPORTED);
    assert_null(snapshot);
    assert_non_null(strstr(aw_error_last()->hint, "publicsuffix"));
}

/* Texts. */

static aw_result
explain(const policy_snapshot *snapshot, const struct policy_request *request, char **out)
{
    return policy_explain(snapshot, policy_find(snapshot, "rich"), request, 1000, out);
}

static aw_result
refuse(const policy_snapshot *snapshot, const struct policy_request *request, char **out)
{
    struct policy_verdict verdict;

    policy_decide_application(
        snapshot, policy_find(snapshot, "rich"), request, 1800000000, &verdict);
    assert_false(verdict.allowed);
    return policy_refusal_text(&verdict, request, out);
}

static aw_result
list(const policy_snapshot *snapshot, const struct policy_request *request, char **out)
{
    (void)request;
    return policy_allowed_text(policy_find(snapshot, "rich"), out);
}

static void
a_text_is_whole_or_not_there(void **state)
{
    static aw_result (*const makers[])(
        const policy_snapshot *, const struct policy_request *, char **) = {explain, refuse, list};
    const struct folder *folder = *state;
    policy_snapshot *snapshot = load_folder(folder->path, &folder->account, 1);
    const struct aw_name names[] = {name_of("a.example.edu"), name_of("h3.example.edu")};
    struct policy_request request = {
        .operation = POLICY_ORDER, .names = names, .name_count = AW_COUNT(names)};

    for (size_t i = 0; i < AW_COUNT(makers) * AW_COUNT(failures); i++) {
        AW_CLEANUP(aw_free) char *whole = NULL;
        bool failed = true;

        assert_true(aw_ok(makers[i / 2](snapshot, &request, &whole)));
        for (long n = 1; failed; n++) {
            AW_CLEANUP(aw_free) char *text = NULL;

            memory_fail_at(n, failures[i % 2]);
            aw_result r = makers[i / 2](snapshot, &request, &text);
            failed = memory_fail_end();
            assert_int_equal(r.code, failed ? AW_CODE_MEMORY : AW_CODE_OK);
            if (failed)
                assert_null(text);
            else
                assert_string_equal(text, whole);
            assert_true(n < TRIES_MAX);
        }
    }
    policy_release(&snapshot);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_policy_is_loaded_whole_or_not_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(
            no_policy_without_the_list_of_public_suffixes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_text_is_whole_or_not_there, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
