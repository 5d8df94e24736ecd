/* The programs of renewal-hooks/: a folder that can't be read is told, and is not an empty one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lineage_hooks.h"
#include "common/io.h"

struct place {
    char root[64], hooks[96], folder[128];
};

static void
make_nothing(const struct place *place)
{
    (void)place;
}

static void
make_folder(const struct place *place)
{
    assert_int_equal(mkdir(place->folder, 0755), 0);
}

/* It tells that it ran. */
static void
make_program(const struct place *place)
{
    static const char text[] = "#!/bin/sh\necho ran $RENEWED_DOMAINS\n";
    char path[192];

    make_folder(place);
    snprintf(path, sizeof(path), "%s/10-tell", place->folder);
    assert_true(aw_ok(aw_file_replace(path, text, strlen(text), 0755)));
}

static void
make_failing(const struct place *place)
{
    static const char text[] = "#!/bin/sh\nexit 3\n";
    char path[192];

    make_folder(place);
    snprintf(path, sizeof(path), "%s/10-fail", place->folder);
    assert_true(aw_ok(aw_file_replace(path, text, strlen(text), 0755)));
}

static void
make_writable(const struct place *place)
{
    make_program(place);
    assert_int_equal(chmod(place->folder, 0777), 0);
}

static void
make_file(const struct place *place)
{
    assert_true(aw_ok(aw_file_replace(place->folder, "x", 1, 0755)));
}

static void
make_loop(const struct place *place)
{
    assert_int_equal(symlink(place->folder, place->folder), 0);
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void
begin(struct place *place)
{
    snprintf(place->root, sizeof(place->root), "/tmp/acmeward-hooks-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    snprintf(place->hooks, sizeof(place->hooks), "%s/renewal-hooks", place->root);
    snprintf(place->folder, sizeof(place->folder), "%s/deploy", place->hooks);
    assert_int_equal(mkdir(place->hooks, 0755), 0);
}

/* What is said while the deploy hooks of a new certificate run. */
static bool
deploy(const struct place *place, char said[2048])
{
    AW_CLEANUP(lineage_hooks_free) lineage_hooks *hooks = NULL;
    const struct lineage_commands commands = {NULL, NULL, NULL};
    const struct lineage lineage = {.live = place->root, .domains = "a.example.edu"};
    struct output out;
    FILE *messages = fmemopen(said, 2048, "w");

    assert_non_null(messages);
    output_open(&out, messages, messages);
    assert_true(aw_ok(lineage_hooks_new(place->root, true, &out, &hooks)));
    bool good = lineage_hooks_deploy(hooks, &commands, &lineage);
    output_close(&out);
    assert_int_equal(fclose(messages), 0);
    return good;
}

static void
a_folder_of_hooks_that_can_not_be_read_is_told(void **state)
{
    static const struct {
        const char *name;
        void (*make)(const struct place *place);
        bool good;
        const char *said; /* part of it; "": nothing is said */
    } rows[] = {
        {"no folder", make_nothing, true, ""},
        {"an empty folder", make_folder, true, ""},
        {"a program", make_program, true, "ran a.example.edu"},
        {"a program that fails", make_failing, false, "ended with status 3; it ran: '/tmp/"},
        {"a folder that others may write", make_writable, false, "renewal-hooks/deploy is run: "},
        {"a file in its place", make_file, false, "renewal-hooks/deploy is run: can't read"},
        {"a link to itself", make_loop, false, "renewal-hooks/deploy is run: can't read"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct place place;
        char said[2048] = "";

        begin(&place);
        rows[i].make(&place);
        bool good = deploy(&place, said);
        if (good != rows[i].good || strstr(said, rows[i].said) == NULL ||
            (rows[i].said[0] == '\0' && said[0] != '\0') ||
            (!good && (strstr(said, "warning") == NULL || strstr(said, "ran ") != NULL)))
            fail_msg("%s: %d: %s", rows[i].name, good, said);
        assert_int_equal(nftw(place.root, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
}

/* What a run that was cut off left behind is used when it is whole and nothing else. */
static void
a_list_of_hooks_that_is_not_ours_is_not_used(void **state)
{
    static const struct {
        const char *name, *text, *said;
        bool ran;
    } rows[] = {
        {"ours", "{\"commands\":[\"echo ran one\"]}", "was cut off", true},
        {"a member more", "{\"commands\":[\"echo ran one\"],\"then\":[]}",
            "is not used: unknown member \"then\"", false},
        {"an entry that is no command", "{\"commands\":[\"echo ran one\",1]}",
            "is not used: \"commands\" has an entry that is no string", false},
        {"no commands", "{}", "is not used", false},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(lineage_hooks_free) lineage_hooks *hooks = NULL;
        struct place place;
        struct output out;
        char said[2048] = "", path[192];
        FILE *messages = fmemopen(said, sizeof(said), "w");

        begin(&place);
        assert_non_null(messages);
        output_open(&out, messages, messages);
        snprintf(path, sizeof(path), "%s/archive", place.root);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/archive/.post-hooks.json", place.root);
        assert_true(aw_ok(aw_file_replace(path, rows[i].text, strlen(rows[i].text), 0600)));
        assert_true(aw_ok(lineage_hooks_new(place.root, true, &out, &hooks)));
        assert_true(lineage_hooks_after(hooks));
        output_close(&out);
        assert_int_equal(fclose(messages), 0);
        if (strstr(said, rows[i].said) == NULL || (strstr(said, "ran one") != NULL) != rows[i].ran)
            fail_msg("%s: %s", rows[i].name, said);
        assert_int_equal(nftw(place.root, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_hooks_that_can_not_be_read_is_told),
        cmocka_unit_test(a_list_of_hooks_that_is_not_ours_is_not_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
