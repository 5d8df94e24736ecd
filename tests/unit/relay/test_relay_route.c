/* Paths and methods: what is answered, what is 404, what is 405. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/route.h"

static const struct {
    const char *name;
    enum relay_method method;
    const char *path;
    const char *pattern; /* NULL: no route */
    const char *allow;   /* without a route: NULL is 404, else 405 */
} rows[] = {
    {"the directory", RELAY_GET, "/directory", "/directory", NULL},
    {"HEAD where GET goes", RELAY_HEAD, "/directory", "/directory", NULL},
    {"a nonce by HEAD", RELAY_HEAD, "/acme/new-nonce", "/acme/new-nonce", NULL},
    {"a nonce by GET", RELAY_GET, "/acme/new-nonce", "/acme/new-nonce", NULL},
    {"POST where GET goes", RELAY_POST, "/directory", NULL, "GET, HEAD"},
    {"PUT", RELAY_OTHER, "/acme/new-nonce", NULL, "GET, HEAD"},
    {"nothing", RELAY_GET, "/", NULL, NULL},
    {"an empty path", RELAY_GET, "", NULL, NULL},
    {"a slash more", RELAY_GET, "/directory/", NULL, NULL},
    {"two slashes", RELAY_GET, "//directory", NULL, NULL},
    {"upper case", RELAY_GET, "/Directory", NULL, NULL},
    {"a longer name", RELAY_GET, "/directoryx", NULL, NULL},
    {"a shorter name", RELAY_GET, "/director", NULL, NULL},
    {"dots", RELAY_GET, "/acme/../directory", NULL, NULL},
};

static void
paths_and_methods(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct relay_match match;

        relay_route_find(rows[i].method, rows[i].path, &match);
        const char *pattern = match.route == NULL ? NULL : match.route->pattern;
        if ((pattern == NULL) != (rows[i].pattern == NULL) ||
            (pattern != NULL && strcmp(pattern, rows[i].pattern) != 0))
            fail_msg("%s: got %s", rows[i].name, pattern);
        if (pattern == NULL &&
            ((match.allow == NULL) != (rows[i].allow == NULL) ||
                (match.allow != NULL && strcmp(match.allow, rows[i].allow) != 0)))
            fail_msg("%s: allows %s", rows[i].name, match.allow);
    }
}

/* A path beyond every limit is not looked at. */
static void
a_path_too_long(void **state)
{
    struct relay_match match;
    char path[RELAY_PATH_MAX + 64];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    relay_route_find(RELAY_GET, path, &match);
    assert_null(match.route);
    assert_false(match.known);
}

/* What holds of any table: GET needs no signature, POST always one; nothing on the loop waits. */
static void
the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < relay_route_count; i++) {
        const struct relay_route *route = &relay_routes[i];
        bool post = route->method == RELAY_POST;

        if (post == (route->authentication == RELAY_NO_SIGNATURE))
            fail_msg("%s: POST is signed, GET is not", route->pattern);
        if (post && route->place != RELAY_ON_WORKER)
            fail_msg("%s: signatures are verified on workers", route->pattern);
        if (route->handler == NULL || route->pattern[0] != '/')
            fail_msg("row %zu is not whole", i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_methods),
        cmocka_unit_test(a_path_too_long),
        cmocka_unit_test(the_table_is_sound),
    };
    return cmocka_run_group_tests_name("relay_route", tests, NULL, NULL);
}
