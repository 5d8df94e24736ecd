/* certbot's files: the reader by a table; what is taken over is tested with real ones (e2e.import).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "client/configobj.h"

static const struct {
    const char *name;
    const char *text;
    const char *seen;  /* "depth section key=value|value;" */
    const char *fault; /* NULL: none */
} rows[] = {
    {"nothing", "\n# a = b\n", "", NULL},
    {"plain", "a = b c\n", "0  a=b c;", NULL},
    {"no newline at the end", "a=b", "0  a=b;", NULL},
    {"empty value", "a =\n", "0  a=;", NULL},
    {"comment behind", "a = b # c\n", "0  a=b;", NULL},
    {"sections", "[s]\na = 1\n[[t]]\nb = 2\n[u]\nc = 3\n", "1 s a=1;2 t b=2;1 u c=3;", NULL},
    {"list", "a = x, y\n", "0  a=x|y;", NULL},
    {"list of one", "a = /srv/www,\n", "0  a=/srv/www;", NULL},
    {"double quotes", "a = \"x, # 'y'\"\n", "0  a=x, # 'y';", NULL},
    {"single quotes", "a = 'x \"y\"'  # z\n", "0  a=x \"y\";", NULL},
    {"quotes in a list", "a = \"x,1\", y, 'z'\n", "0  a=x,1|y|z;", NULL},
    {"= in a value", "a = b=c\n", "0  a=b=c;", NULL},
    {"; is no comment", "a = systemctl reload x; true\n", "0  a=systemctl reload x; true;", NULL},
    {"key that is a name", "*.example.edu = /srv\n", "0  *.example.edu=/srv;", NULL},
    {"Windows' line ends", "a = b\r\n", "0  a=b;", NULL},
    {"no =", "a\n", "", "line 1: expected KEY = VALUE"},
    {"no key", "x = 1\n= b\n", "0  x=1;", "line 2: expected KEY = VALUE"},
    {"open quote", "a = \"b\n", "", "line 1: a quote is not closed"},
    {"three quotes", "a = '''b\nc'''\n", "", "line 1: a quote is not closed, or a value goes over"},
    {"text behind quotes", "a = \"b\" c\n", "", "line 1: there is more"},
    {"empty item", "a = b,,c\n", "", "line 1: an item of a list is empty"},
    {"brackets", "[a\n", "", "line 1: a section's brackets"},
    {"brackets do not match", "[[a]\n", "", "line 1: a section's brackets"},
    {"too deep", "[[[[[a]]]]]\n", "", "line 1: a section's brackets"},
};

static aw_result
collect(const struct configobj_entry *entry, void *context)
{
    char *seen = context;
    size_t used = strlen(seen);

    used += (size_t)snprintf(
        seen + used, 512 - used, "%zu %s %s=", entry->depth, entry->section, entry->key);
    for (size_t i = 0; i < entry->value_count; i++)
        used +=
            (size_t)snprintf(seen + used, 512 - used, "%s%s", i == 0 ? "" : "|", entry->values[i]);
    snprintf(seen + used, 512 - used, ";");
    return AW_OK;
}

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char seen[512] = "";

        aw_result r = configobj_read(rows[i].text, collect, seen);
        if (aw_ok(r) != (rows[i].fault == NULL))
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        if (!aw_ok(r) && strstr(aw_error_last()->message, rows[i].fault) == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        if (strcmp(seen, rows[i].seen) != 0)
            fail_msg("%s: \"%s\"", rows[i].name, seen);
    }
}

static void
test_a_line_that_is_too_long(void **state)
{
    static char text[CONFIGOBJ_LINE_MAX + 16];
    char seen[512] = "";

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "a = ", 4);
    assert_int_equal(configobj_read(text, collect, seen).code, AW_CODE_SYNTAX);
    text[CONFIGOBJ_LINE_MAX - 1] = '\0';
    text[200] = '\0'; /* what is collected is short */
    assert_true(aw_ok(configobj_read(text, collect, seen)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_a_line_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
