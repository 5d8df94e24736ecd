/*
 * Random policies, with a fixed seed: what a comparison tells is true and complete, and an entry
 * that is said to add nothing can be left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/diff.h"
#include "world.h"

enum { PAIRS = 300, POLICIES = 300, NAMES = 120 };

static bool
allows(const policy_snapshot *snapshot, const char *application, const struct aw_name *name)
{
    const struct application *inside = policy_inside(snapshot, policy_find(snapshot, application));

    return inside != NULL && policy_decide_name(snapshot, inside, name).allowed;
}

/* Comparisons. */

static bool
is_below(const char *name, const char *above)
{
    size_t length = strlen(name), size = strlen(above);

    return length > size + 1 && name[length - size - 1] == '.' &&
           strcmp(name + length - size, above) == 0;
}

static bool
is_in(const struct aw_name *name, const char *network)
{
    struct policy_network whole = network_of(network);
    struct policy_network address = {
        .size = name->address_size, .prefix = (uint8_t)(name->address_size * 8)};

    memcpy(address.address, name->address, sizeof(address.address));
    address = policy_network_shorten(&address, whole.prefix);
    return memcmp(address.address, whole.address, sizeof(whole.address)) == 0;
}

static bool
speaks_of(const struct policy_change *change, const struct aw_name *name)
{
    if (strcmp(change->what, "name") == 0)
        return strcmp(change->text, name->text) == 0;
    if (strcmp(change->what, "addresses") == 0)
        return name->form == AW_NAME_ADDRESS && is_in(name, change->text);
    if (name->form != AW_NAME_HOST)
        return false;
    if (strcmp(change->what, "names one label below") == 0)
        return strcmp(strchr(name->text, '.') + 1, change->text) == 0;
    return strcmp(change->what, "names below") == 0 && is_below(name->text, change->text);
}

static bool
is_told(const struct policy_changes *changes, const char *application, const struct aw_name *name,
    enum policy_effect effect)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct policy_change *change = &changes->items[i];

        if (!change->of_account && change->effect == effect && change->text != NULL &&
            strcmp(change->subject, application) == 0 && speaks_of(change, name))
            return true;
    }
    return false;
}

static size_t differences;

/* Every name whose verdict differs is told. */
static size_t
look_for_untold(const policy_snapshot *const sides[2], const struct policy_changes *changes)
{
    size_t failed = 0;

    for (int i = 0; i < NAMES; i++) {
        struct aw_name name = random_identifier();

        for (int number = 0; number < APPLICATIONS_MAX; number++) {
            char application[8];
            snprintf(application, sizeof(application), "app%02d", number);
            bool before = allows(sides[0], application, &name);
            bool after = allows(sides[1], application, &name);

            differences += before != after;
            if (before == after ||
                is_told(changes, application, &name, after ? POLICY_GAINS : POLICY_LOSES))
                continue;
            fprintf(stderr, "FAILED: nothing says that %s %s %s\n", application,
                after ? "gains" : "loses", name.text);
            failed++;
        }
    }
    return failed;
}

/* Every name that is told differs. */
static size_t
look_for_untrue(const policy_snapshot *const sides[2], const struct policy_changes *changes)
{
    size_t failed = 0;

    for (size_t i = 0; i < changes->count; i++) {
        const struct policy_change *change = &changes->items[i];

        if (strcmp(change->what, "name") != 0)
            continue;
        struct aw_name name = name_of(change->text);
        bool gains = change->effect == POLICY_GAINS;
        if (allows(sides[0], change->subject, &name) == !gains &&
            allows(sides[1], change->subject, &name) == gains)
            continue;
        fprintf(stderr, "FAILED: it is not true that %s %s %s\n", change->subject,
            policy_effect_name(change->effect), change->text);
        failed++;
    }
    return failed;
}

/* A few changes of the kinds that people make. */
static void
change_world(struct world *w)
{
    for (unsigned i = 1 + pick(3); i > 0; i--) {
        struct rules *a = &w->applications[pick((unsigned)w->count)];
        enum list list = (enum list)pick(DENY + 1);

        switch (pick(6)) {
        case 0:
            world_random_rules(w, (int)(a - w->applications));
            break;
        case 1:
            a->account = !a->account;
            break;
        case 2:
            a->shares[pick((unsigned)w->count)] = pick(2) == 0;
            a->shares[a - w->applications] = false;
            break;
        case 3:
            /* The last application goes: nobody may share with it any more. */
            for (int j = 0; j < w->count && w->count > 1; j++)
                w->applications[j].shares[w->count - 1] = false;
            w->count -= w->count > 1;
            break;
        default:
            if (a->counts[list] > (list == EXACT) && pick(2) == 0)
                a->counts[list]--;
            else if (a->counts[list] < LIST_MAX) {
                random_name(a->lists[list][a->counts[list]]);
                a->counts[list] += !has(a, list, a->lists[list][a->counts[list]]);
            }
        }
    }
}

static void
tells_every_difference(void **state)
{
    static struct world w;
    size_t failed = 0;

    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        AW_CLEANUP(policy_changes_free) struct policy_changes changes = {0};

        world_random(&w);
        AW_CLEANUP(policy_release) policy_snapshot *before = world_load(&w);
        change_world(&w);
        AW_CLEANUP(policy_release) policy_snapshot *after = world_load(&w);
        const policy_snapshot *sides[2] = {before, after};
        assert_true(aw_ok(policy_diff(before, after, &changes)));
        failed += look_for_untold(sides, &changes) + look_for_untrue(sides, &changes);
    }
    assert_int_equal(failed, 0);
    /* Comparing what is the same would show nothing. */
    assert_true(differences > 2000);
}

static void
tells_nothing_of_the_same(void **state)
{
    static struct world w;

    (void)state;
    for (int i = 0; i < 20; i++) {
        AW_CLEANUP(policy_changes_free) struct policy_changes changes = {0};

        world_random(&w);
        AW_CLEANUP(policy_release) policy_snapshot *before = world_load(&w);
        AW_CLEANUP(policy_release) policy_snapshot *after = world_load(&w);
        assert_true(aw_ok(policy_diff(before, after, &changes)));
        assert_int_equal(changes.count, 0);
    }
}

/* Entries that add nothing. */

static void
remove_entry(struct rules *a, enum list list, const char *text)
{
    int kept = 0;

    for (int i = 0; i < a->counts[list]; i++)
        if (strcmp(a->lists[list][i], text) != 0)
            memmove(a->lists[list][kept++], a->lists[list][i], TEXT_SIZE);
    assert_int_equal(kept, a->counts[list] - 1);
    a->counts[list] = kept;
}

/* The list that has a line of an application's file. */
static enum list
list_at(const struct world *w, int number, unsigned line)
{
    for (int list = 0; list < LISTS; list++)
        if (world_line_of(w, number, (enum list)list) == line)
            return (enum list)list;
    fail_msg("line %u is that of no list", line);
    return LISTS;
}

static size_t
compare_without(const struct world *w, const policy_snapshot *with, const struct aw_fault *warning)
{
    static struct world less;
    char text[TEXT_SIZE];
    size_t failed = 0;
    int number = world_number_of(w, warning->file);

    less = *w;
    assert_int_equal(sscanf(warning->message, "\"%63[^\"]\" adds nothing", text), 1);
    remove_entry(&less.applications[number], list_at(w, number, warning->line), text);
    AW_CLEANUP(policy_release) policy_snapshot *without = world_load(&less);
    for (int i = 0; i < NAMES; i++) {
        struct aw_name name = random_identifier();

        for (int a = 0; a < w->count; a++)
            if (allows(with, w->applications[a].name, &name) !=
                allows(without, w->applications[a].name, &name)) {
                fprintf(stderr, "FAILED: %s, but without it %s is another matter for %s\n",
                    warning->message, name.text, w->applications[a].name);
                failed++;
            }
    }
    return failed;
}

static void
what_adds_nothing_can_be_left_out(void **state)
{
    static struct world w;
    size_t failed = 0, tried[LISTS] = {0};

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};

        world_random(&w);
        AW_CLEANUP(policy_release) policy_snapshot *with = world_load_warned(&w, &warnings);
        for (size_t j = 0; j < warnings.count; j++) {
            const struct aw_fault *warning = &warnings.items[j];

            if (strstr(warning->message, "\" adds nothing: ") == NULL)
                continue;
            int number = world_number_of(&w, warning->file);
            tried[list_at(&w, number, warning->line)]++;
            failed += compare_without(&w, with, warning);
        }
    }
    assert_int_equal(failed, 0);
    assert_true(
        tried[EXACT] > 20 && tried[SUBDOMAINS] > 20 && tried[DENY] > 20 && tried[ADDRESSES] > 20);
    assert_int_equal(tried[WILDCARDS], 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_every_difference),
        cmocka_unit_test(tells_nothing_of_the_same),
        cmocka_unit_test(what_adds_nothing_can_be_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
