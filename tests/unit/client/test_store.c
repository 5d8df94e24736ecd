/* What is on disk after every step, crash and mishap. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/store.h"
#include "client/store_steps.h"
#include "common/io.h"
#include "store_place.h"

static void
assert_mode(struct place *place, const char *path, mode_t type, mode_t mode)
{
    struct stat st;

    if (lstat(at(place, path), &st) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    if ((st.st_mode & S_IFMT) != type || (type != S_IFLNK && (st.st_mode & 07777) != mode))
        fail_msg("%s: mode %o, expected %o", path, st.st_mode, type | mode);
}

static void
test_names(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } rows[] = {
        {"www.example.edu", true},
        {"web", true},
        {"_first-2.B", true},
        {"a", true},
        {"", false},
        {".", false},
        {"..", false},
        {".hidden", false},
        {"-d", false},
        {"a/b", false},
        {"../x", false},
        {"a b", false},
        {"*.example.edu", false},
        {"a\nb", false},
        {"b\303\274cher", false},
    };
    char text[STORE_NAME_MAX + 2];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        aw_result r = store_name_check(rows[i].name);
        if (r.code != (rows[i].good ? AW_CODE_OK : AW_CODE_USAGE))
            fail_msg("\"%s\": %s", rows[i].name, aw_code_tag(r.code));
    }
    memset(text, 'a', sizeof(text));
    text[STORE_NAME_MAX + 1] = '\0';
    assert_int_equal(store_name_check(text).code, AW_CODE_USAGE);
    text[STORE_NAME_MAX] = '\0';
    assert_true(aw_ok(store_name_check(text)));
}

/* certbot's layout to the letter, whatever the umask. */
static void
test_layout(void **state)
{
    static const struct {
        const char *path;
        mode_t type, mode;
    } rows[] = {
        {"archive", S_IFDIR, 0700},
        {"live", S_IFDIR, 0700},
        {"archive/" NAME, S_IFDIR, 0755},
        {"live/" NAME, S_IFDIR, 0755},
        {"live/" NAME "/README", S_IFREG, 0644},
        {"archive/" NAME "/cert1.pem", S_IFREG, 0644},
        {"archive/" NAME "/chain1.pem", S_IFREG, 0644},
        {"archive/" NAME "/fullchain1.pem", S_IFREG, 0644},
        {"archive/" NAME "/privkey1.pem", S_IFREG, 0600},
        {"archive/" NAME "/privkey2.pem", S_IFREG, 0600},
        {"archive/.lock-" NAME, S_IFREG, 0600},
    };
    static const mode_t masks[] = {0, 0077, 0022};
    struct place *place = *state;
    char target[128];

    for (size_t i = 0; i < AW_COUNT(masks); i++) {
        mode_t before = umask(masks[i]);
        char text[16];

        snprintf(text, sizeof(text), "v%zu", i + 1);
        assert_int_equal(write_marked(place, text), i + 1);
        umask(before);
        assert_live(place, text);
    }
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        assert_mode(place, rows[i].path, rows[i].type, rows[i].mode);
    for (size_t i = 0; i < STORE_KINDS; i++) {
        char path[64], expected[64];

        snprintf(path, sizeof(path), "live/" NAME "/%s.pem", store_kind_names[i]);
        snprintf(expected, sizeof(expected), "../../archive/" NAME "/%s3.pem", store_kind_names[i]);
        ssize_t length = readlink(at(place, path), target, sizeof(target) - 1);
        assert_true(length > 0);
        target[length] = '\0';
        assert_string_equal(target, expected);
    }
    assert_text(place, "archive/" NAME "/cert1.pem", "cert v1\n"); /* old versions stay */
}

/* In a child: opens the store, does some of the steps, dies without cleaning up. */
static void
crash_after(struct place *place, unsigned steps, const char *mark_text)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct marked m;
        store *s = NULL;

        mark(&m, mark_text);
        if (!aw_ok(store_open(place->root, NAME, &s)))
            _exit(2);
        for (unsigned step = 0; step < steps; step++)
            if (!aw_ok(store_step(s, &m.version, s->highest + 1, step)))
                _exit(3);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool
holds_mark(struct place *place, const char *mark_text)
{
    char *text = text_at(place, "live/" NAME "/privkey.pem");
    bool found = strstr(text, mark_text) != NULL;

    free(text);
    return found;
}

/* After a crash at every step the next run finds or makes one whole version, the old or the new. */
static void
test_crash_at_every_step(void **state)
{
    struct place *place = *state;

    for (unsigned steps = 0; steps <= STORE_STEPS; steps++) {
        char old[16], new[16], after[16];
        store *s = NULL;

        snprintf(old, sizeof(old), "old%u", steps);
        snprintf(new, sizeof(new), "new%u", steps);
        snprintf(after, sizeof(after), "after%u", steps);
        write_marked(place, old);
        crash_after(place, steps, new);
        if (steps <= 2 * STORE_KINDS) /* nothing live was touched */
            assert_live(place, old);
        if (!aw_ok(store_open(place->root, NAME, &s)))
            fail_msg("after %u steps: %s", steps, aw_error_last()->message);
        assert_live(place, holds_mark(place, new) ? new : old);
        if (steps > 2 * STORE_KINDS)
            assert_live(place, new);
        store_close(&s);
        write_marked(place, after);
        assert_live(place, after);
    }
}

static void
test_crash_of_the_first_version(void **state)
{
    struct place *place = *state;

    for (unsigned steps = 0; steps <= STORE_STEPS; steps++) {
        store *s = NULL;

        crash_after(place, steps, "first");
        assert_true(aw_ok(store_open(place->root, NAME, &s)));
        bool whole = steps >= STORE_KINDS;
        assert_int_equal(s->highest, whole ? 1 : 0);
        if (whole)
            assert_live(place, "first");
        store_close(&s);
        empty_place(place);
    }
}

/* A child that does nothing but add versions, killed at any moment. */
static void
test_kill_at_any_moment(void **state)
{
    struct place *place = *state;

    write_marked(place, "begin");
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            struct marked m;
            store *s = NULL;
            unsigned version;

            mark(&m, "killed");
            while (aw_ok(store_open(place->root, NAME, &s)) &&
                   aw_ok(store_add(s, &m.version, &version)))
                store_close(&s);
            _exit(2);
        }
        usleep(2000 + (useconds_t)round * 1500);
        kill(child, SIGKILL);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it never failed by itself */
        store *s = NULL;
        if (!aw_ok(store_open(place->root, NAME, &s)))
            fail_msg("round %d: %s", round, aw_error_last()->message);
        store_close(&s);
        assert_live(place, holds_mark(place, "killed") ? "killed" : "begin");
    }
    write_marked(place, "end");
    assert_live(place, "end");
}

static void
test_lock(void **state)
{
    struct place *place = *state;
    store *first = NULL, *second = NULL, *other = NULL;

    assert_true(aw_ok(store_open(place->root, NAME, &first)));
    assert_int_equal(store_open(place->root, NAME, &second).code, AW_CODE_BUSY);
    assert_non_null(strstr(aw_error_last()->message, "another run works on"));
    assert_null(second);
    assert_true(aw_ok(store_open(place->root, "other", &other))); /* one certificate, one lock */
    store_close(&first);
    store_close(&other);
    assert_true(aw_ok(store_open(place->root, NAME, &second)));
    store_close(&second);
    store_close(&second);
}

/* A run that came to nothing leaves nothing that looks like a certificate. */
static void
test_nothing_left(void **state)
{
    struct place *place = *state;
    store *s = NULL;

    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    store_close(&s);
    assert_int_not_equal(access(at(place, "live/" NAME), F_OK), 0);
    assert_int_not_equal(access(at(place, "archive/" NAME), F_OK), 0);
}

/* The disk is full, as near as a test comes: nothing installed is touched. */
static void
test_no_space(void **state)
{
    struct place *place = *state;
    struct rlimit before, none = {0, 0};
    struct marked m;
    unsigned version = 0;
    store *s = NULL;

    write_marked(place, "good");
    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    mark(&m, "lost");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    aw_result r = store_add(s, &m.version, &version);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r.code, AW_CODE_IO);
    store_close(&s);
    aw_secret_free(&m.key);
    assert_live(place, "good");
    assert_int_equal(write_marked(place, "again"), 2);
    assert_live(place, "again");
}

/* What aw_file_replace had not renamed yet may hold a private key. */
static void
test_leftovers(void **state)
{
    struct place *place = *state;
    store *s = NULL;

    write_marked(place, "one");
    put(place, "archive/" NAME "/privkey2.pem.Ab12Cd", "half a key", 0600);
    put(place, "archive/" NAME "/cert2.pem", "half a version", 0644);
    put(place, "archive/" NAME "/notes.txt", "somebody's", 0644);
    put(place, "archive/" NAME "/cert02.pem", "somebody's", 0644);
    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    store_close(&s);
    assert_int_not_equal(access(at(place, "archive/" NAME "/privkey2.pem.Ab12Cd"), F_OK), 0);
    assert_int_not_equal(access(at(place, "archive/" NAME "/cert2.pem"), F_OK), 0);
    assert_text(place, "archive/" NAME "/notes.txt", "somebody's");
    assert_text(place, "archive/" NAME "/cert02.pem", "somebody's");
    assert_live(place, "one");
}

static void
open_fails(struct place *place, enum aw_code code, const char *reason)
{
    store *s = NULL;
    aw_result r = store_open(place->root, NAME, &s);

    if (r.code != code || strstr(aw_error_last()->message, reason) == NULL)
        fail_msg("%s: %s, expected %s, \"%s\"", aw_code_tag(r.code), aw_error_last()->message,
            aw_code_tag(code), reason);
    assert_null(s);
}

/* Somebody edited the live folder: nothing of theirs is overwritten. */
static void
test_foreign_files(void **state)
{
    struct place *place = *state;

    write_marked(place, "one");
    assert_int_equal(unlink(at(place, "live/" NAME "/chain.pem")), 0);
    put(place, "live/" NAME "/chain.pem", "mine", 0644);
    open_fails(place, AW_CODE_CORRUPT, "no link");
    assert_text(place, "live/" NAME "/chain.pem", "mine");
    assert_int_equal(unlink(at(place, "live/" NAME "/chain.pem")), 0);
    assert_int_equal(symlink("/etc/passwd", at(place, "live/" NAME "/chain.pem")), 0);
    open_fails(place, AW_CODE_CORRUPT, "another place");
    assert_int_equal(unlink(at(place, "live/" NAME "/chain.pem")), 0);
    assert_int_equal(
        symlink("../../archive/" NAME "/cert1.pem", at(place, "live/" NAME "/chain.pem")), 0);
    open_fails(place, AW_CODE_CORRUPT, "another place");
    assert_int_equal(unlink(at(place, "live/" NAME "/chain.pem")), 0);
    assert_int_equal(write_marked(place, "two"), 2); /* a link that is missing is mended */
    assert_live(place, "two");
}

/* Whoever may write the root could put a folder of their own under the key. */
static void
test_loose_root(void **state)
{
    struct place *place = *state;

    assert_int_equal(chmod(place->root, 0777), 0);
    open_fails(place, AW_CODE_PERMISSION, "0777");
    assert_int_equal(chmod(place->root, 0755), 0);
    assert_int_equal(write_marked(place, "one"), 1);
}

/* A folder that others can write, or a link, would take the private key along. */
static void
test_loose_and_linked_folders(void **state)
{
    static const struct {
        const char *folder;
        bool link; /* else one of mode 0777 */
    } rows[] = {{"archive", false}, {"live", false}, {"archive/" NAME, false},
        {"live/" NAME, false}, {"archive", true}, {"archive/" NAME, true}, {"live/" NAME, true}};
    struct place *place = *state;
    unsigned failed = 0;

    for (unsigned i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *root = NULL;
        char path[64];
        store *s = NULL;

        snprintf(path, sizeof(path), "%u", i);
        assert_true(aw_ok(aw_path_join(place->root, path, &root)));
        assert_int_equal(mkdir(root, 0755), 0);
        snprintf(
            path, sizeof(path), "%u/%.*s", i, (int)strcspn(rows[i].folder, "/"), rows[i].folder);
        if (strchr(rows[i].folder, '/') != NULL)
            assert_int_equal(mkdir(at(place, path), 0700), 0);
        snprintf(path, sizeof(path), "%u/%s", i, rows[i].folder);
        if (rows[i].link)
            assert_int_equal(symlink(place->root, at(place, path)), 0);
        else
            assert_int_equal(mkdir(at(place, path), 0700) | chmod(at(place, path), 0777), 0);
        if (store_open(root, NAME, &s).code != AW_CODE_PERMISSION) {
            print_error("%s, %s: taken\n", rows[i].folder, rows[i].link ? "a link" : "mode 0777");
            failed++;
        }
        store_close(&s);
    }
    assert_int_equal(failed, 0);
}

static void
test_root_that_is_none(void **state)
{
    struct place *place = *state;
    struct place below = {.root = ""};

    put(place, "file", "", 0644);
    snprintf(below.root, sizeof(below.root), "%.40s/file", place->root);
    open_fails(&below, AW_CODE_EXISTS, "no folder");
    snprintf(below.root, sizeof(below.root), "%.40s/a/b", place->root);
    open_fails(&below, AW_CODE_NOT_FOUND, "can't make folder");
}

/* What is removed is gone, keys too; what is not ours stays; the name can be used again. */
static void
test_remove(void **state)
{
    struct place *place = *state;
    static const char *const gone[] = {"live/web", "archive/web/privkey1.pem",
        "archive/web/privkey2.pem", "archive/web/cert1.pem", "archive/web/fullchain2.pem"};
    struct stat st;
    store *s = NULL;

    write_marked(place, "one");
    write_marked(place, "two");
    put(place, "archive/web/notes.txt", "mine", 0644);
    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    assert_true(aw_ok(store_remove(s)));
    store_close(&s);
    for (size_t i = 0; i < AW_COUNT(gone); i++)
        if (lstat(at(place, gone[i]), &st) == 0)
            fail_msg("%s is still there", gone[i]);
    assert_text(place, "archive/web/notes.txt", "mine");
    assert_int_equal(unlink(at(place, "archive/web/notes.txt")), 0);
    assert_int_equal(write_marked(place, "three"), 1);
    assert_live(place, "three");
    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    assert_true(aw_ok(store_remove(s)));
    store_close(&s);
    assert_int_equal(lstat(at(place, "archive/web"), &st), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        IN_PLACE(test_layout),
        IN_PLACE(test_crash_at_every_step),
        IN_PLACE(test_crash_of_the_first_version),
        IN_PLACE(test_kill_at_any_moment),
        IN_PLACE(test_lock),
        IN_PLACE(test_remove),
        IN_PLACE(test_nothing_left),
        IN_PLACE(test_no_space),
        IN_PLACE(test_leftovers),
        IN_PLACE(test_foreign_files),
        IN_PLACE(test_loose_root),
        IN_PLACE(test_loose_and_linked_folders),
        IN_PLACE(test_root_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
