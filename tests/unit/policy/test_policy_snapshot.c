/* A snapshot's life: shared by threads, never changed, decided on without memory; what it shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "common/io.h"
#include "support.h"

enum { MANY = 40, THREADS = 4, ROUNDS = 2000 };

/* The linker leads the calls of the code under test here. */
static atomic_size_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *
__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}

/* Policies. */

/* `MANY` applications that all list the same suffix and deny the same name; a central one shares
 * with all but the last. */
static policy_snapshot *
load_many(void)
{
    struct aw_name ceiling = name_of("example.edu");
    struct policy_account account = {.name = "main", .ceiling = &ceiling, .ceiling_count = 1};
    char folder[64], file[32], text[4096];

    folder_make(folder);
    for (int i = 0; i < MANY; i++) {
        snprintf(file, sizeof(file), "f%d.yaml", MANY - i);
        snprintf(text, sizeof(text),
            "application: app%02d\nowner: o@example.edu\naccount: main\nprincipals:\n"
            "  - uid: %d\n  - gid: 100\n"
            "names:\n  subdomains_of: [shared.example.edu]\n  exact: [h%d.example.edu]\n"
            "  deny: [pay.shared.example.edu]\n",
            i, 2000 + i, i);
        folder_write(folder, file, text, strlen(text));
    }
    size_t length = (size_t)snprintf(text, sizeof(text),
        "application: central\nowner: o@example.edu\naccount: main\nprincipals:\n  - uid: 1\n"
        "names:\n  exact: [central.example.edu]\n  subdomains_of: [example.edu]\nshares_with: [");
    for (int i = 0; i < MANY - 1; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "app%02d, ", i);
    snprintf(text + length, sizeof(text) - length, "]\n");
    folder_write(folder, "central.yaml", text, strlen(text));
    policy_snapshot *snapshot = load_folder(folder, &account, 1);
    folder_remove(folder);
    return snapshot;
}

static struct policy_verdict
decide(const policy_snapshot *snapshot, uid_t uid, const char *text)
{
    struct policy_subject subject = {.uid = uid};
    struct aw_name name = name_of(text);
    struct policy_request request = {.names = &name, .name_count = 1};
    struct policy_verdict verdict;

    policy_decide(snapshot, &subject, &request, 1000, &verdict);
    /* It points into what is about to leave its scope. */
    verdict.name = NULL;
    return verdict;
}

static const char one[] =
    "application: one\nowner: one@example.edu\naccount: main\nprincipals:\n  - user: alice\n"
    "names:\n  exact: [a.example.edu, 'bücher.example.edu']\n  subdomains_of: [s.example.edu]\n"
    "  wildcards_of: [w.example.edu]\n  deny: [d.s.example.edu]\n  addresses: [192.0.2.1]\n"
    "profiles: [classic]\nkeys: [ec-p256, rsa-4096]\noperations: [order, revoke]\n"
    "limits:\n  names_per_certificate: 3\n  orders_per_day: 7\n"
    "  revocations_per_day: 9\nexpires: 2030-01-02\n"
    "warn_until: 2026-01-01\n";
static const char two[] =
    "application: two\nowner: two@example.edu\naccount: main\nprincipals:\n  - user: bob\n"
    "  - user: ghost\nnames:\n  exact: [b.example.edu]\n";

/* Crowds. */

static void
one_suffix_of_many_applications_is_decided_for_each(void **state)
{
    policy_snapshot *snapshot = load_many();
    struct policy_verdict v;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        v = decide(snapshot, (uid_t)(2000 + i), "x.shared.example.edu");
        assert_true(v.allowed);
        assert_string_equal(v.matched, "shared.example.edu");
        v = decide(snapshot, (uid_t)(2000 + i), "pay.shared.example.edu");
        assert_int_equal(v.rule, POLICY_RULE_NAMES_DENY);
        v = decide(snapshot, (uid_t)(2000 + i), "h1.example.edu");
        assert_int_equal(v.allowed, i == 1);
    }
    /* The only one that is not shared with is the last of the crowd. */
    v = decide(snapshot, 1, "x.shared.example.edu");
    assert_int_equal(v.rule, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER);
    assert_string_equal(v.other, "app39");
    assert_true(decide(snapshot, 1, "h38.example.edu").allowed);
    assert_false(decide(snapshot, 1, "h39.example.edu").allowed);
    policy_release(&snapshot);
}

/* Threads. */

struct shared {
    policy_snapshot *snapshot;
    atomic_size_t wrong;
};

static void *
decide_often(void *argument)
{
    struct shared *shared = argument;

    for (int i = 0; i < ROUNDS; i++) {
        policy_snapshot *mine = policy_retain(shared->snapshot);
        struct policy_verdict v = decide(mine, 2003, "x.shared.example.edu");

        if (!v.allowed || strcmp(v.application->name, "app03") != 0)
            shared->wrong++;
        policy_release(&mine);
    }
    return NULL;
}

static void
threads_share_a_snapshot(void **state)
{
    struct shared shared = {.snapshot = load_many()};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decide_often, &shared), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.wrong, 0);
    policy_release(&shared.snapshot);
    assert_null(shared.snapshot);
    policy_release(&shared.snapshot);
    policy_release(NULL);
}

/* The last reference may go in any thread, while another policy is in force (attack 93). */
static void *
release_one(void *argument)
{
    policy_snapshot *mine = argument;
    struct policy_verdict v = decide(mine, 2003, "x.shared.example.edu");

    policy_release(&mine);
    return v.allowed ? NULL : argument;
}

static void
the_last_user_of_an_old_policy_releases_it(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        policy_snapshot *old = load_many();
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, release_one, policy_retain(old)), 0);
        policy_release(&old);
        for (int i = 0; i < THREADS; i++) {
            void *wrong;

            assert_int_equal(pthread_join(threads[i], &wrong), 0);
            assert_null(wrong);
        }
    }
}

static void
deciding_takes_no_memory(void **state)
{
    static const char *const names[] = {"x.shared.example.edu", "*.shared.example.edu",
        "h39.example.edu", "192.0.2.1", "2001:db8::1", "www.example.net", "nothing.example.edu"};
    policy_snapshot *snapshot = load_many();

    (void)state;
    assert_true(allocations > 0);
    for (size_t i = 0; i < AW_COUNT(names); i++) {
        struct aw_name name = name_of(names[i]);
        struct policy_subject subject = {.uid = 1};
        struct policy_request request = {.names = &name, .name_count = 1};
        struct policy_verdict verdict;
        size_t before = allocations;

        policy_decide(snapshot, &subject, &request, 1000, &verdict);
        assert_int_equal(allocations, before);
    }
    policy_release(&snapshot);
}

/* What is shown. */

static void
shows_an_application_as_its_file_says(void **state)
{
    const char *const files[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    const struct policy_application *a = policy_find(snapshot, "one");

    (void)state;
    assert_non_null(a);
    assert_string_equal(a->name, "one");
    assert_string_equal(a->owner, "one@example.edu");
    assert_string_equal(a->account, "main");
    assert_non_null(strstr(a->file, "/x.yaml"));
    assert_false(a->inert);
    assert_null(a->missing);
    assert_int_equal(a->expires, 1893542400);
    assert_int_equal(a->warn_until, 1767225600);
    assert_int_equal(a->names_per_certificate, 3);
    assert_int_equal(a->orders_per_day, 7);
    assert_int_equal(a->revocations_per_day, 9);
    assert_true(a->can_order && a->can_revoke);
    assert_int_equal(a->keys, 1u << POLICY_KEY_EC_P256 | 1u << POLICY_KEY_RSA_4096);
    assert_int_equal(a->exact_count, 2);
    assert_string_equal(a->exact[1], "xn--bcher-kva.example.edu");
    assert_int_equal(a->subdomains_count, 1);
    assert_string_equal(a->subdomains_of[0], "s.example.edu");
    assert_int_equal(a->wildcards_count, 1);
    assert_string_equal(a->wildcards_of[0], "w.example.edu");
    assert_int_equal(a->deny_count, 1);
    assert_string_equal(a->deny[0], "d.s.example.edu");
    assert_int_equal(a->addresses_count, 1);
    assert_string_equal(a->addresses[0], "192.0.2.1");
    assert_int_equal(a->profiles_count, 1);
    assert_string_equal(a->profiles[0], "classic");
    policy_release(&snapshot);
}

static void
shows_the_defaults(void **state)
{
    const char *const files[][2] = {{"y.yaml", two}, {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    const struct policy_application *a = policy_find(snapshot, "two");

    (void)state;
    assert_non_null(a);
    assert_true(a->inert);
    assert_string_equal(a->missing, "user ghost");
    assert_true(a->can_order && !a->can_revoke);
    assert_int_equal(a->keys, (1u << POLICY_KEY_COUNT) - 1);
    assert_int_equal(a->names_per_certificate, 100);
    assert_int_equal(a->orders_per_day, 50);
    assert_int_equal(a->revocations_per_day, 50);
    assert_int_equal(a->expires, 0);
    assert_int_equal(a->warn_until, 0);
    assert_int_equal(a->profiles_count, 0);
    assert_null(policy_find(snapshot, "tw"));
    assert_null(policy_find(snapshot, ""));
    policy_release(&snapshot);
}

static void
counts_what_it_holds(void **state)
{
    const char *const files[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    struct policy_counts counts;

    (void)state;
    policy_count(snapshot, &counts);
    assert_int_equal(counts.applications, 2);
    assert_int_equal(counts.inert, 1);
    assert_int_equal(counts.names, 7);
    policy_release(&snapshot);
}

/* Names of visited applications, one after the other. */
struct visited {
    char names[512];
    int left; /* visits until it stops */
};

static bool
note(const struct policy_application *application, void *context)
{
    struct visited *visited = context;

    size_t length = strlen(visited->names);

    snprintf(visited->names + length, sizeof(visited->names) - length, "%s ", application->name);
    return --visited->left != 0;
}

struct grounds {
    size_t by_user, by_group;
};

static bool
count_ground(const struct policy_ground *ground, void *context)
{
    struct grounds *found = context;

    assert_non_null(ground->application);
    if (ground->by_group)
        assert_int_equal(ground->group, 100);
    ++*(ground->by_group ? &found->by_group : &found->by_user);
    return true;
}

static struct grounds
grounds_of(const policy_snapshot *snapshot, const struct policy_subject *subject)
{
    struct grounds found = {0};

    policy_visit_grounds(snapshot, subject, count_ground, &found);
    return found;
}

static void
visits_in_order_and_each_once(void **state)
{
    policy_snapshot *snapshot = load_many();
    const gid_t groups[] = {100, 100};
    struct policy_subject both = {2002, groups, 2}, other = {4711, NULL, 0};
    struct policy_subject nobody = {65534, groups, 2}, root = {0, groups, 2};
    struct visited all = {.left = 3}, some = {.left = 3}, none = {0};

    (void)state;
    policy_visit_all(snapshot, note, &all);
    assert_string_equal(all.names, "app00 app01 app02 ");
    policy_visit_subject(snapshot, &both, note, &some);
    assert_string_equal(some.names, "app02 app00 app01 ");
    some = (struct visited){.left = -1};
    policy_visit_subject(snapshot, &both, note, &some);
    assert_int_equal(strlen(some.names), MANY * strlen("app00 "));
    policy_visit_subject(snapshot, &other, note, &none);
    policy_visit_subject(snapshot, &nobody, note, &none);
    policy_visit_subject(snapshot, &root, note, &none);
    assert_string_equal(none.names, "");
    assert_int_equal(grounds_of(snapshot, &both).by_user, 1);
    assert_int_equal(grounds_of(snapshot, &both).by_group, 2 * MANY);
    assert_int_equal(
        grounds_of(snapshot, &other).by_group + grounds_of(snapshot, &other).by_user, 0);
    assert_int_equal(grounds_of(snapshot, &nobody).by_group, 0);
    assert_int_equal(grounds_of(snapshot, &root).by_group, 0);
    policy_release(&snapshot);
}

/* Digests. */

static void
take_digest(policy_snapshot *snapshot, char out[AW_DIGEST_HEX_SIZE])
{
    memcpy(out, policy_digest(snapshot), 65);
    assert_int_equal(strlen(out), 64);
    assert_int_equal(strspn(out, "0123456789abcdef"), 64);
    policy_release(&snapshot);
}

static void
a_digest_follows_what_is_said_not_how(void **state)
{
    const char *const plain[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    const char *const renamed[][2] = {{"b.yaml", one}, {"a.yaml", two}, {NULL, NULL}};
    AW_CLEANUP(aw_free) char *commented = NULL;
    char first[AW_DIGEST_HEX_SIZE], second[AW_DIGEST_HEX_SIZE];

    (void)state;
    assert_true(aw_ok(aw_format(&commented, "# a comment\n%s\n", two)));
    const char *const reworded[][2] = {{"x.yaml", one}, {"y.yaml", commented}, {NULL, NULL}};
    take_digest(load_files(plain), first);
    take_digest(load_files(renamed), second);
    assert_string_equal(first, second);
    take_digest(load_files(reworded), second);
    assert_string_equal(first, second);
}

static void
a_digest_changes_with_every_statement(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } changes[] = {{"application: one", "application: onf"}, {"one@", "onf@"}, {"alice", "bob"},
        {"user: alice", "uid: 1001"}, {"user: alice", "group: web"}, {"user: alice", "gid: 1001"},
        {"exact: [a.", "exact: [b."}, {"subdomains_of: [s.", "subdomains_of: [t."}, {"[w.", "[v."},
        {"[d.s", "[e.s"}, {"192.0.2.1", "192.0.2.0/31"}, {"classic", "other"},
        {"rsa-4096", "rsa-3072"}, {", revoke", ""}, {"certificate: 3", "certificate: 4"},
        {"orders_per_day: 7", "orders_per_day: 8"}, {"day: 9", "day: 8"}, {"2030", "2031"},
        {"2026", "2025"}, {"  exact: [a.example.edu, 'bücher.example.edu']\n", ""},
        {"warn_until", "shares_with: [two]\nwarn_until"}};
    char digests[AW_COUNT(changes) + 2][AW_DIGEST_HEX_SIZE];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(changes); i++) {
        const char *at = strstr(one, changes[i].from);
        AW_CLEANUP(aw_free) char *text = NULL;

        assert_non_null(at);
        assert_true(aw_ok(aw_format(
            &text, "%.*s%s%s", (int)(at - one), one, changes[i].to, at + strlen(changes[i].from))));
        const char *const files[][2] = {{"x.yaml", text}, {"y.yaml", two}, {NULL, NULL}};
        take_digest(load_files(files), digests[i]);
    }
    const char *const files[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    take_digest(load_files(files), digests[AW_COUNT(changes)]);
    take_digest(load_files_at(1000, files), digests[AW_COUNT(changes) + 1]);
    for (size_t i = 0; i < AW_COUNT(digests); i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(digests[i], digests[j]) == 0)
                fail_msg("changes %zu and %zu have one digest", i, j);
}

/* Decisions for a named application. */

static void
an_application_of_another_snapshot_is_refused(void **state)
{
    const char *const files[][2] = {{"x.yaml", one}, {NULL, NULL}};
    policy_snapshot *here = load_files(files), *there = load_files(files);
    const struct policy_application *mine = policy_find(here, "one");
    uintptr_t at = (uintptr_t)mine;
    const struct policy_application *cases[] = {policy_find(there, "one"), NULL,
        (const void *)(at + 8), (const void *)(at - 4096), (const void *)(at + 4096), mine};
    struct policy_request request = {.operation = POLICY_ORDER};
    AW_CLEANUP(aw_free) char *text = NULL;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(cases); i++) {
        struct policy_verdict v;

        policy_decide_application(here, cases[i], &request, 1000, &v);
        assert_int_equal(v.allowed, cases[i] == mine);
        if (cases[i] != mine)
            assert_int_equal(v.rule, POLICY_RULE_APPLICATION_UNKNOWN);
    }
    assert_int_equal(policy_explain(here, cases[0], &request, 1000, &text).code, AW_CODE_NOT_FOUND);
    policy_release(&here);
    policy_release(&there);
}

static void
what_no_enum_names_is_refused(void **state)
{
    const char *const files[][2] = {{"x.yaml", one}, {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    const struct policy_application *a = policy_find(snapshot, "one");
    struct aw_name name = name_of("a.example.edu");
    struct policy_request operation = {.operation = (enum policy_operation)7};
    struct policy_request key = {.has_key = true, .key = (enum policy_key)31};
    struct policy_request form = {.names = &name, .name_count = 1};
    struct policy_verdict v;

    (void)state;
    policy_decide_application(snapshot, a, &operation, 1767225600, &v);
    assert_false(v.allowed);
    assert_int_equal(v.rule, POLICY_RULE_OPERATION);
    policy_decide_application(snapshot, a, &key, 1767225600, &v);
    assert_false(v.allowed);
    assert_int_equal(v.rule, POLICY_RULE_KEYS);
    name.form = (enum aw_name_form)9;
    policy_decide_application(snapshot, a, &form, 1767225600, &v);
    assert_false(v.allowed);
    assert_int_equal(v.rule, POLICY_RULE_NAMES_NONE);
    policy_release(&snapshot);
}

static void
a_network_is_written_in_one_way(void **state)
{
    static const struct {
        const char *text;
        const char *canonical; /* NULL: refused */
    } rows[] = {{"192.0.2.16/28", "192.0.2.16/28"}, {"192.0.2.1/32", "192.0.2.1"},
        {"192.0.2.1", "192.0.2.1"}, {"10.0.0.0/8", "10.0.0.0/8"},
        {"2001:db8::/32", "2001:db8::/32"}, {"2001:db8::1/128", "2001:db8::1"},
        {"192.0.2.0/7", NULL}, {"192.0.2.1/31", NULL}, {"192.0.2.0/24/24", NULL}, {"/24", NULL},
        {"", NULL}, {"192.0.2.0/-1", NULL}, {"192.0.2.0 /24", NULL}, {"192.0.2.0/", NULL},
        {"192.0.2.0/1234", NULL}, {"192.0.2.0/024", NULL}, {"192.0.2.0/2a", NULL},
        {"192.0.2.0/33", NULL}, {"0.0.0.0/0", NULL}, {"2001:DB8::/32", NULL}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char text[POLICY_NETWORK_TEXT_SIZE];
        struct policy_network network;
        aw_result r = policy_network_parse(rows[i].text, strlen(rows[i].text), &network);

        if (aw_ok(r) != (rows[i].canonical != NULL))
            fail_msg("%s", rows[i].text);
        if (rows[i].canonical == NULL)
            continue;
        policy_network_text(&network, text);
        assert_string_equal(text, rows[i].canonical);
    }
    char text[POLICY_NETWORK_TEXT_SIZE];
    policy_network_text(&(struct policy_network){.size = 5}, text);
    assert_string_equal(text, "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_suffix_of_many_applications_is_decided_for_each),
        cmocka_unit_test(threads_share_a_snapshot),
        cmocka_unit_test(the_last_user_of_an_old_policy_releases_it),
        cmocka_unit_test(deciding_takes_no_memory),
        cmocka_unit_test(shows_an_application_as_its_file_says),
        cmocka_unit_test(shows_the_defaults),
        cmocka_unit_test(counts_what_it_holds),
        cmocka_unit_test(visits_in_order_and_each_once),
        cmocka_unit_test(a_digest_follows_what_is_said_not_how),
        cmocka_unit_test(a_digest_changes_with_every_statement),
        cmocka_unit_test(an_application_of_another_snapshot_is_refused),
        cmocka_unit_test(what_no_enum_names_is_refused),
        cmocka_unit_test(a_network_is_written_in_one_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
