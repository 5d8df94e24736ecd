/* When a certificate is due, by a clock that is moved: renew_examine decides by struct renew's
 * `now` alone. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>

#include <glob.h>
#include <sys/stat.h>

#include "authority.h"
#include "client/renew.h"
#include "common/io.h"
#include "store_place.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

static const char name[] = "a.example.edu";
static struct party authority;

/* One run of renew that stops short of ordering. */
struct look {
    struct options options;
    struct output out;
    char config[128];
    FILE *words;
};

static void
write_certificate(struct place *place, int64_t life)
{
    struct party leaf = authority_make(
        &authority, &(struct wish){.subject = "a", .san = "DNS:a.example.edu", .until = life});
    char *cert = authority_pem(leaf.certificate), *chain = authority_pem(authority.certificate);
    char *both = authority_join(cert, chain, NULL), *key_text = authority_key_pem(leaf.key);
    aw_secret *key = NULL;
    unsigned version = 0;

    assert_true(aw_ok(aw_secret_new(strlen(key_text), &key)));
    assert_true(aw_ok(aw_secret_append(key, key_text, strlen(key_text))));
    const struct store_version content = {cert, chain, both, key, NULL};
    assert_true(aw_ok(store_write(place->root, name, &content, &version)));
    assert_int_equal(version, 1);
    aw_secret_free(&key);
    free(key_text);
    free(both);
    free(chain);
    free(cert);
    authority_free(&leaf);
}

static void
begin(struct place *place, struct look *look)
{
    char text[256];

    memset(look, 0, sizeof(*look));
    snprintf(look->config, sizeof(look->config), "%s/client.yaml", place->root);
    snprintf(text, sizeof(text), "signer: %s/none\ncertificates: %s\n", place->root, place->root);
    put(place, "client.yaml", text, 0644);
    look->options = (struct options){.config = look->config, .config_dir = place->root};
    look->words = fopen("/dev/null", "w");
    assert_non_null(look->words);
    output_open(&look->out, look->words, look->words);
}

static void
end(struct look *look)
{
    output_close(&look->out);
    fclose(look->words);
}

/* Why it is due at that time, or "" when it is not. */
static void
ask(struct place *place, struct look *look, int64_t now, char *why, size_t size)
{
    struct renew r = {
        .options = &look->options, .out = &look->out, .root = place->root, .lock = -1, .now = now};

    assert_true(aw_ok(certonly_config(&look->options, &look->out, &r.config)));
    assert_true(aw_ok(renew_examine(&r, name)));
    assert_int_equal(r.failed, 0);
    snprintf(why, size, "%s", r.count == 0 ? "" : r.items[0].why);
    renew_free(&r);
}

static const struct row {
    const char *name;
    int64_t life;
    int64_t left; /* of it, when it becomes due */
    /* RFC 9773: before the end of the life; 0: the CA has none */
    int64_t window_start, window_end, chosen;
    const char *why;
} rows[] = {
    {"90 days", 90 * DAY, 30 * DAY, 0, 0, 0, "a third of its lifetime is left"},
    {"47 days", 47 * DAY, 15 * DAY + 16 * HOUR, 0, 0, 0, "a third of its lifetime is left"},
    {"6 days", 6 * DAY, 2 * DAY, 0, 0, 0, "a third of its lifetime is left"},
    {"two hours", 2 * HOUR, 40 * 60, 0, 0, 0, "a third of its lifetime is left"},
    {"47 days, the CA's window is early", 47 * DAY, 30 * DAY, 31 * DAY, 29 * DAY, 30 * DAY,
        "the CA's time has come"},
    {"6 days, the CA's window is late", 6 * DAY, DAY, 2 * DAY, 6 * HOUR, DAY,
        "the CA's time has come"},
    {"6 days, the window ends before the timer's next run", 6 * DAY, 3 * DAY + 12 * HOUR, 5 * DAY,
        3 * DAY, 3 * DAY + 1, "the CA's time has come"},
    {"6 days, no window beyond the last tenth", 6 * DAY, 6 * DAY / 10, DAY, -DAY, HOUR,
        "the CA's time has come"},
};

static void
write_window(struct place *place, const struct row *row, int64_t expires)
{
    const struct renew_state state = {.version = 1,
        .window_start = expires - row->window_start,
        .window_end = expires - row->window_end,
        .chosen = expires - row->chosen,
        .ask = expires, /* nothing is asked before */
        .deployed = 1};

    assert_true(aw_ok(renew_state_write(place->root, name, &state)));
}

static void
test_when_it_is_due(void **state)
{
    struct place *place = *state;
    size_t failed = 0;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct store_entry entry;
        struct look look;
        char first[128], before[128], then[128];

        begin(place, &look);
        /* authority_make: valid from an hour ago. */
        write_certificate(place, row->life - HOUR);
        put(place, "renewal/a.example.edu.conf", "domains: [a.example.edu]\n", 0644);
        assert_true(aw_ok(store_read(place->root, name, &entry)));
        assert_int_equal(entry.not_after - entry.not_before, row->life);
        if (row->window_start != 0)
            write_window(place, row, entry.not_after);
        ask(place, &look, entry.not_before + 1, first, sizeof(first));
        ask(place, &look, entry.not_after - row->left - 1, before, sizeof(before));
        ask(place, &look, entry.not_after - row->left, then, sizeof(then));
        if (first[0] != '\0' || before[0] != '\0' ||
            strncmp(then, row->why, strlen(row->why)) != 0) {
            print_error("%s: \"%s\", \"%s\", \"%s\"\n", row->name, first, before, then);
            failed++;
        }
        store_entry_free(&entry);
        end(&look);
        empty_place(place);
    }
    assert_int_equal(failed, 0);
}

/* A failure is noted with the time of day; the clock is put back behind that. */
static void
attack_92_a_clock_that_was_ahead_holds_no_renewal_up(void **state)
{
    static const struct renew_failed failed = {.error = "no", .left = 90 * DAY};
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};
    AW_CLEANUP(aw_free) char *key = NULL;
    struct place *place = *state;
    struct aw_name names[1];
    struct look look;
    char why[128];

    begin(place, &look);
    write_certificate(place, 20 * 60); /* an hour old: due */
    put(place, "renewal/a.example.edu.conf", "domains: [a.example.edu]\n", 0644);
    assert_true(aw_ok(aw_name_parse(name, strlen(name), &names[0])));
    assert_true(aw_ok(renew_failure_key(names, 1, &key)));
    assert_true(aw_ok(renew_failure_add(place->root, key, &failed, &failure)));
    for (int i = 0; i < 2; i++) { /* by what was noted, and by what was noted of that */
        ask(place, &look, failure.last + i, why, sizeof(why));
        assert_string_equal(why, "");
    }
    ask(place, &look, failure.last - 60, why, sizeof(why));
    assert_string_not_equal(why, "");
    end(&look);
    empty_place(place);
}

/* Puts a member that no reader knows behind the others of the one file of that pattern. */
static void
add_member(const struct place *place, const char *pattern)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_free) char *longer = NULL;
    char path[256];
    size_t size;
    glob_t found;

    snprintf(path, sizeof(path), "%s/archive/%s", place->root, pattern);
    assert_int_equal(glob(path, GLOB_PERIOD, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    assert_true(aw_ok(aw_file_read(found.gl_pathv[0], 4096, &text, &size)));
    assert_int_equal(text[size - 1], '}');
    assert_true(aw_ok(aw_format(&longer, "%.*s,\"more\":1}", (int)size - 1, text)));
    assert_true(aw_ok(aw_file_replace(found.gl_pathv[0], longer, strlen(longer), 0600)));
    globfree(&found);
}

/* Notes that a version wrote which knew more are made anew, as damaged ones are. */
static void
notes_with_a_member_more_are_not_used(void **state)
{
    static const struct renew_failed failed = {.error = "no", .left = 90 * DAY};
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0}, again = {0};
    struct renew_state note = {.version = 1, .next = 5};
    struct place *place = *state;
    bool found = false;

    assert_int_equal(mkdir(at(place, "archive"), 0700), 0);
    assert_int_equal(mkdir(at(place, "live"), 0700), 0);
    assert_true(aw_ok(renew_state_write(place->root, name, &note)));
    assert_true(aw_ok(renew_failure_add(place->root, "key", &failed, &failure)));
    assert_true(aw_ok(renew_state_read(place->root, name, &note, &found)));
    assert_true(found && note.next == 5);
    add_member(place, ".renewal-*.json");
    add_member(place, ".failed-*.json");
    assert_true(aw_ok(renew_state_read(place->root, name, &note, &found)));
    assert_true(!found && note.next == 0);
    assert_true(aw_ok(renew_failure_read(place->root, "key", &again)));
    assert_true(again.count == 0 && again.error == NULL);
    empty_place(place);
}

static int
make(void **state)
{
    authority = authority_make(NULL, &(struct wish){.subject = "CA", .ca = true});
    assert_int_equal(make_place(state), 0);
    return mkdir(at(*state, "renewal"), 0755);
}

static int
unmake(void **state)
{
    authority_free(&authority);
    return remove_place(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_it_is_due),
        cmocka_unit_test(notes_with_a_member_more_are_not_used),
        cmocka_unit_test(attack_92_a_clock_that_was_ahead_holds_no_renewal_up),
    };

    return cmocka_run_group_tests(tests, make, unmake);
}
