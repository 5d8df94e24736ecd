/* ssh://[user@]host[:port][/socket]: what it is made of, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/ssh_url.h"

/* The parts with a blank between, "-" for one that is not there; NULL: refused, `words` say why. */
static const struct {
    const char *url, *parts, *words;
} rows[] = {
    {"ssh://hsm", "- hsm - -", NULL},
    {"ssh://hsm/", "- hsm - -", NULL},
    {"ssh://app@hsm.example.edu:2222/run/acmeward/signer.sock",
        "app hsm.example.edu 2222 /run/acmeward/signer.sock", NULL},
    {"ssh://_a.b-c@192.0.2.1:65535", "_a.b-c 192.0.2.1 65535 -", NULL},
    {"ssh://[2001:db8::1]", "- 2001:db8::1 - -", NULL},
    {"ssh://app@[::1]:22/s", "app ::1 22 /s", NULL},
    {"ssh://h:022", "- h 022 -", NULL},
    {"SSH://hsm", NULL, "expected ssh://"},
    {"ssh:/hsm", NULL, "expected ssh://"},
    {"ssh://", NULL, "the host \"\""},
    {"ssh://@hsm", NULL, "the user \"\""},
    {"ssh://a@b@hsm", NULL, "the host \"b@hsm\""},
    {"ssh://-oProxyCommand=x@hsm", NULL, "the user"},
    {"ssh://a:password@hsm", NULL, "there is no password in the URL"},
    {"ssh://-hsm", NULL, "the host \"-hsm\""},
    {"ssh://hsm:", NULL, "the port \"\""},
    {"ssh://hsm:-1", NULL, "the port \"-1\""},
    {"ssh://hsm:0", NULL, "the port \"0\""},
    {"ssh://hsm:65536", NULL, "the port \"65536\""},
    {"ssh://hsm:123456", NULL, "the port \"123456\""},
    {"ssh://hsm:22 ", NULL, "the port \"22 \""},
    {"ssh://2001:db8::1", NULL, "the port"},
    {"ssh://[::1", NULL, "without \"]\""},
    {"ssh://[::1]22", NULL, "behind the host"},
    {"ssh://[hsm.example.edu]", NULL, "the host"},
    {"ssh://hs m", NULL, "the host"},
    {"ssh://hsm\n", NULL, "the host"},
    {"ssh://h%73m", NULL, "the host"},
    {"ssh://hsm?x", NULL, "the host"},
    {"ssh://hsm/$(id)", NULL, "the socket"},
    {"ssh://hsm/a b", NULL, "the socket"},
    {"ssh://hsm/a'b", NULL, "the socket"},
    {"ssh://hsm/../s", NULL, "the socket"},
    {"ssh://hsm/run?x", NULL, "the socket"},
};

static const char *
shown(const char *part)
{
    return part == NULL ? "-" : part;
}

static void
is_made_of_its_parts_or_refused(void **state)
{
    char parts[256];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(ssh_url_free) struct ssh_url url;
        aw_result r = ssh_url_parse(rows[i].url, &url);

        snprintf(parts, sizeof(parts), "%s %s %s %s", shown(url.user), shown(url.host),
            shown(url.port), shown(url.socket));
        if (rows[i].parts != NULL) {
            if (!aw_ok(r) || strcmp(parts, rows[i].parts) != 0)
                fail_msg("%s: %s", rows[i].url, aw_ok(r) ? parts : aw_error_last()->message);
            continue;
        }
        if (r.code != AW_CODE_CONFIG || strstr(aw_error_last()->message, rows[i].words) == NULL ||
            strcmp(parts, "- - - -") != 0)
            fail_msg("%s: %s %s", rows[i].url, parts, aw_ok(r) ? "" : aw_error_last()->message);
    }
}

/* Whatever is too long for a host, user or socket's path. */
static void
has_limits(void **state)
{
    static const char *const forms[] = {"ssh://%s@h", "ssh://%s", "ssh://h/%s"};
    char long_text[300], text[400];

    (void)state;
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        AW_CLEANUP(ssh_url_free) struct ssh_url url;

        snprintf(text, sizeof(text), "%.*s%s%s", (int)(strchr(forms[i], '%') - forms[i]), forms[i],
            long_text, strchr(forms[i], '%') + 2);
        assert_int_equal(ssh_url_parse(text, &url).code, AW_CODE_CONFIG);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_made_of_its_parts_or_refused),
        cmocka_unit_test(has_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
