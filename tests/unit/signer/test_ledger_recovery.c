/* The ledger is an index of the log: whatever happens to it, the log's word stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/io.h"
#include "ledger_support.h"

#define U "https://ca.example.net/"

/* A small generator, so that every run sees the same operations. */
static uint32_t
next(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

enum { APPLICATIONS = 3, ORDERS_KNOWN = 64 };

struct world {
    uint32_t seed;
    int64_t orders[ORDERS_KNOWN];
    int64_t at;
    int permits, refusals;
};

static const char *const applications[APPLICATIONS] = {"app-a", "app-b", "app-c"};
static const char *const name_sets[] = {"a.example.edu", "b.example.edu a.example.edu",
    "c.example.edu", "*.c.example.edu d.example.edu"};

/* A random request; many are refused, which is right: refusals are records too. */
static void
random_ask(struct world *world, struct ask *ask, struct sign_claim *claim, char *url, char *digest)
{
    static const enum sign_operation operations[] = {SIGN_NEW_ORDER, SIGN_CLAIM, SIGN_CLAIM,
        SIGN_CLAIM, SIGN_FINALIZE, SIGN_POST_AS_GET, SIGN_ANSWER_CHALLENGE, SIGN_REVOKE,
        SIGN_RECORD_CERTIFICATE};
    uint32_t which = next(&world->seed, ORDERS_KNOWN);
    uint32_t kind = next(&world->seed, 5);

    *ask = (struct ask){operations[next(&world->seed, AW_COUNT(operations))],
        .application = applications[which % APPLICATIONS], .order = world->orders[which],
        .names = name_sets[which % AW_COUNT(name_sets)], .limit = 40, .url = url, .csr = digest,
        .key = digest, .at = world->at, .claims = claim, .claim_count = 1};
    if (ask->operation == SIGN_FINALIZE)
        kind = SIGN_URL_FINALIZE;
    if (ask->order == 0)
        ask->operation = SIGN_NEW_ORDER;
    snprintf(url, 64, U "%u/%u/%u", which, kind, next(&world->seed, 3));
    snprintf(digest, 65, "%064x", which % 16);
    *claim = (struct sign_claim){(enum sign_url_kind)kind, url};
    if (ask->operation == SIGN_CLAIM)
        ask->url = NULL;
    /* The clock: mostly on, sometimes back. */
    world->at += (int64_t)next(&world->seed, 400) - 40;
    if (ask->operation == SIGN_NEW_ORDER)
        ask->order = which; /* remembered by the caller */
}

static void
random_step(struct ledger_scene *scene, struct world *world)
{
    char url[64];
    char digest[AW_DIGEST_HEX_SIZE];
    struct sign_claim claim;
    struct ask ask;
    struct ledger_verdict verdict;
    int64_t seq;

    random_ask(world, &ask, &claim, url, digest);
    int64_t slot = ask.order;
    if (ask.operation == SIGN_NEW_ORDER)
        ask.order = 0;
    if (!aw_ok(scene_ask(scene, &ask, &verdict, &seq)))
        fail_msg("random step: %s", aw_error_last()->message);
    if (ask.operation == SIGN_NEW_ORDER && verdict.rule == LEDGER_NONE)
        world->orders[slot] = seq;
    *(verdict.rule == LEDGER_NONE ? &world->permits : &world->refusals) += 1;
}

static void
expect_same(const char *what, char *a, char *b)
{
    const char *x = a;
    const char *y = b;

    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    if (*x != *y)
        fail_msg("%s: the tables differ: \"%.200s\" and \"%.200s\"", what, x, y);
    free(a);
    free(b);
}

static void
replay_makes_the_same_tables(void **state)
{
    struct ledger_scene scene;
    struct world world = {.seed = 20261124};

    (void)state;
    scene_start(&scene);
    assert_false(scene.recovery.rebuilt);
    for (int i = 0; i < 5000; i++) {
        random_step(&scene, &world);
        if (i % 700 == 699)
            scene_foreign_record(&scene, world.at + 500);
    }
    assert_true(world.permits > 1000 && world.refusals > 1000);
    random_step(&scene, &world);
    scene_close(&scene);
    char *live = scene_dump(&scene);
    scene_open(&scene);
    assert_int_equal(scene.recovery.replayed, 0);
    scene_close(&scene);
    scene_forget(&scene);
    scene_open(&scene);
    assert_true(scene.recovery.rebuilt);
    assert_true(scene.recovery.replayed >= 5000);
    scene_close(&scene);
    expect_same("rebuilt", live, scene_dump(&scene));
    scene_end(&scene);
}

/* Works until it is killed. */
static void
child_main(const struct ledger_scene *where, uint32_t seed)
{
    struct ledger_scene scene = *where;
    struct world world = {.seed = seed};
    int64_t appended;
    int64_t durable;

    if (!aw_ok(scene_try_open(&scene)))
        _exit(1);
    for (int i = 1;; i++) {
        random_step(&scene, &world);
        audit_log_position(scene.log, &appended, &durable);
        if (appended - durable > 500 && !aw_ok(audit_log_wait(scene.log, appended - 50)))
            _exit(2);
        if (i % 97 == 0 && !aw_ok(ledger_commit(scene.ledger)))
            _exit(3);
    }
}

static void
kill_a_child(const struct ledger_scene *scene, uint32_t seed)
{
    uint32_t nap = seed;
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        child_main(scene, seed);
    usleep(1000 + next(&nap, 150000));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
attack_92_kill_9_loses_nothing(void **state)
{
    struct ledger_scene scene;

    (void)state;
    scene_start(&scene);
    scene_order(&scene, "app-a", NULL); /* on a slow machine the first child may do nothing */
    scene_close(&scene);
    for (uint32_t round = 0; round < 20; round++) {
        bool removed = round % 4 == 3; /* but its write-ahead log is still there */
        kill_a_child(&scene, round * 7919 + 1);
        if (removed)
            assert_int_equal(unlink(scene.path), 0);
        scene_open(&scene);
        assert_int_equal(scene.recovery.rebuilt, removed); /* the log is never behind */
        scene_close(&scene);
        char *found = scene_dump(&scene);
        scene_forget(&scene);
        scene_open(&scene);
        scene_close(&scene);
        expect_same("after a kill", found, scene_dump(&scene));
    }
    scene_end(&scene);
}

/* Damage. Each row does something to the closed files of a ledger with one order used up. */

static void
write_at(const char *path, long offset, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "r+");

    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void
damage_header(const struct ledger_scene *scene)
{
    write_at(scene->path, 0, "garbage", 7);
}

static void
damage_page(const struct ledger_scene *scene, int page)
{
    char noise[2000];

    memset(noise, 0x5a, sizeof(noise));
    write_at(scene->path, (page - 1) * 4096L, noise, sizeof(noise));
}

static void
damage_meta(const struct ledger_scene *scene)
{
    damage_page(scene, 2);
}

/* Not read at start, so that only a check of the whole finds it. */
static void
damage_claims(const struct ledger_scene *scene)
{
    damage_page(scene, 6);
}

static void
damage_cut(const struct ledger_scene *scene)
{
    assert_int_equal(truncate(scene->path, 5000), 0);
}

static void
damage_text(const struct ledger_scene *scene)
{
    assert_int_equal(truncate(scene->path, 0), 0);
    write_at(scene->path, 0, "this is a text file, no database\n", 33);
}

static void
damage_version(const struct ledger_scene *scene)
{
    write_at(scene->path, 60, "\0\0\0\x63", 4); /* user_version 99 */
}

/* A file format that SQLite would read and not write. */
static void
damage_write_format(const struct ledger_scene *scene)
{
    write_at(scene->path, 18, "\3", 1);
}

/* Number of cells of the first page: it looks like an empty database, but for its size. */
static void
damage_schema(const struct ledger_scene *scene)
{
    write_at(scene->path, 103, "\0\0", 2);
}

static const struct damage {
    const char *name;
    void (*damage)(const struct ledger_scene *scene);
    bool aside;
} damages[] = {
    {"removed", scene_forget, false},
    {"header", damage_header, true},
    {"its position", damage_meta, true},
    {"its claims", damage_claims, true},
    {"cut", damage_cut, true},
    {"a text", damage_text, true},
    {"another version", damage_version, true},
    {"its write format", damage_write_format, true},
    {"its list of tables", damage_schema, true},
};

static void
break_seal(const struct ledger_scene *scene)
{
    char seal[160];

    snprintf(seal, sizeof(seal), "%s.seal", scene->path);
    assert_int_equal(unlink(seal), 0);
}

static void
a_bad_database_is_set_aside_and_rebuilt(void **state)
{
    const struct ask ask = {SIGN_NEW_ORDER, .limit = 3};

    (void)state;
    for (size_t i = 0; i < 2 * AW_COUNT(damages); i++) {
        const struct damage *row = &damages[i / 2];
        struct ledger_scene scene;
        struct stat st;
        scene_start(&scene);
        for (int n = 0; n < 3; n++)
            scene_expect(&scene, row->name, &ask, LEDGER_NONE);
        scene_close(&scene);
        char *before = scene_dump(&scene);
        if (i % 2 == 0) /* SQLite's check and ours have to find it, not the seal */
            break_seal(&scene);
        row->damage(&scene);
        scene_open(&scene);
        if (!scene.recovery.rebuilt || scene.recovery.replayed != 3)
            fail_msg("%s: not rebuilt", row->name);
        if ((scene_count(&scene, "ledger.db.bad-") > 0) != row->aside)
            fail_msg("%s: set aside or not", row->name);
        scene_close(&scene);
        assert_int_equal(stat(scene.path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        expect_same(row->name, before, scene_dump(&scene));
        scene_open(&scene);
        scene_expect(&scene, row->name, &ask, LEDGER_QUOTA_ORDERS);
        scene_end(&scene);
    }
}

/* The seal. */

/* A text that is in no index: SQLite finds nothing wrong with it. */
static void
change_value(const struct ledger_scene *scene)
{
    AW_CLEANUP(aw_free) char *bytes = NULL;
    size_t size;

    assert_true(aw_ok(aw_file_read(scene->path, 1 << 20, &bytes, &size)));
    const char *name = memmem(bytes, size, "changed.example", 15);
    assert_non_null(name);
    write_at(scene->path, name - bytes, "another.example", 15);
}

static void
keep_all(const struct ledger_scene *scene)
{
    (void)scene;
}

static void
garble_seal(const struct ledger_scene *scene)
{
    char seal[160];

    snprintf(seal, sizeof(seal), "%s.seal", scene->path);
    write_at(seal, 7, "x", 1);
}

static void
remove_database(const struct ledger_scene *scene)
{
    assert_int_equal(unlink(scene->path), 0);
}

/* Left by a signer that was killed: the seal, if one was left, is not of what is there. */
static void
leave_log(const struct ledger_scene *scene)
{
    char log[160];

    snprintf(log, sizeof(log), "%s-wal", scene->path);
    FILE *file = fopen(log, "w");
    assert_non_null(file);
    assert_int_equal(fwrite("x", 1, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    garble_seal(scene);
}

static const struct {
    const char *name;
    void (*change)(const struct ledger_scene *scene);
    int aside, rebuilt;
} seals[] = {
    {"nothing", keep_all, 0, false},
    {"one value", change_value, 2, true}, /* with its seal */
    {"the seal", garble_seal, 2, true},
    {"no seal", break_seal, 0, false},
    {"no database", remove_database, 0, true},
    {"a write-ahead log", leave_log, 0, false},
};

static void
a_sealed_database_is_what_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(seals); i++) {
        struct ledger_scene scene;

        scene_start(&scene);
        scene_order(&scene, "app-a", "changed.example.edu");
        assert_int_equal(scene_count(&scene, "ledger.db.seal"), 0);
        scene_close(&scene);
        assert_int_equal(scene_count(&scene, "ledger.db.seal"), 1);
        char *before = scene_dump(&scene);
        seals[i].change(&scene);
        scene_open(&scene);
        if (scene.recovery.rebuilt != seals[i].rebuilt ||
            scene_count(&scene, "ledger.db.bad-") != seals[i].aside)
            fail_msg("%s: %s, %d files set aside", seals[i].name,
                scene.recovery.rebuilt ? "rebuilt" : "kept", scene_count(&scene, "ledger.db.bad-"));
        assert_int_equal(scene_count(&scene, "ledger.db.seal"), 0);
        scene_close(&scene);
        expect_same(seals[i].name, before, scene_dump(&scene));
        scene_end(&scene);
    }
}

static void
a_link_or_a_second_signer_is_refused(void **state)
{
    struct ledger_scene scene;
    struct ledger_recovery recovery;
    ledger *second = NULL;

    (void)state;
    scene_start(&scene);
    scene_order(&scene, "app-a", NULL);
    assert_true(aw_ok(ledger_commit(scene.ledger)));
    aw_result r = ledger_open(scene.path, scene.folder, scene.log, &second, &recovery);
    assert_int_equal(r.code, AW_CODE_BUSY);
    assert_null(second);
    assert_int_equal(scene_count(&scene, "ledger.db.bad-"), 0);
    scene_close(&scene);
    scene_forget(&scene);
    assert_int_equal(symlink("elsewhere", scene.path), 0);
    r = scene_try_open(&scene);
    assert_false(aw_ok(r));
    assert_int_equal(scene_count(&scene, "elsewhere"), 0);
    scene_end(&scene);
}

/* A log that permits what no ledger would have: its fault is said, whatever the database is. */
static void
a_log_that_contradicts_itself_is_refused(void **state)
{
    static const struct {
        const char *name;
        struct audit_entry entry;
    } rows[] = {
        {"a poll of no order", {.kind = AUDIT_DECISION, .operation = "post-as-get", .order = 77}},
        {"an order without names", {.kind = AUDIT_DECISION, .operation = "new-order"}},
        {"an unknown operation", {.kind = AUDIT_DECISION, .operation = "sign-anything"}},
        {"a claim of no kind", {.kind = AUDIT_CLAIM, .operation = "claim", .order = 1, .url = U}},
        {"a claim of an unknown kind",
            {.kind = AUDIT_CLAIM, .operation = "claim", .order = 1, .url = U, .url_kind = "key"}},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct ledger_scene scene;
        struct audit_entry entry = rows[i].entry;
        int64_t seq;
        scene_start(&scene);
        scene_order(&scene, "app-a", NULL);
        entry.time = T0;
        entry.application = "app-a";
        entry.account = "acct";
        entry.verdict = "permit";
        assert_true(aw_ok(audit_log_append(scene.log, &entry, &seq)));
        scene_close(&scene);
        aw_result r = scene_try_open(&scene);
        if (r.code != AW_CODE_CORRUPT || strstr(aw_error_last()->message, "record 2") == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        assert_null(scene.ledger);
        scene_end(&scene);
    }
}

/* The service manager starts the signer anew every two seconds, as long as the log has that fault.
 */
static void
a_log_that_contradicts_itself_fills_no_disk(void **state)
{
    const struct audit_entry entry = {.kind = AUDIT_DECISION,
        .time = T0,
        .application = "app-a",
        .account = "acct",
        .operation = "post-as-get",
        .verdict = "permit",
        .order = 77};
    struct ledger_scene scene;
    int64_t seq;

    (void)state;
    scene_start(&scene);
    for (int i = 0; i < 1000; i++) /* more than are taken in at once */
        assert_true(aw_ok(audit_log_append(
            scene.log, &(struct audit_entry){.kind = AUDIT_RELOAD, .time = T0}, &seq)));
    assert_true(aw_ok(audit_log_append(scene.log, &entry, &seq)));
    scene_close(&scene);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scene_try_open(&scene).code, AW_CODE_CORRUPT);
        assert_non_null(strstr(aw_error_last()->message, "record 1001"));
        if (scene_count(&scene, "ledger.db.bad") > 1)
            fail_msg("start %d: %d are aside", i, scene_count(&scene, "ledger.db.bad"));
        scene_close(&scene);
    }
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_makes_the_same_tables),
        cmocka_unit_test(attack_92_kill_9_loses_nothing),
        cmocka_unit_test(a_bad_database_is_set_aside_and_rebuilt),
        cmocka_unit_test(a_sealed_database_is_what_it_was),
        cmocka_unit_test(a_link_or_a_second_signer_is_refused),
        cmocka_unit_test(a_log_that_contradicts_itself_is_refused),
        cmocka_unit_test(a_log_that_contradicts_itself_fills_no_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
