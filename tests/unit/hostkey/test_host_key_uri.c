/* What a URI of a key may say, and the PEM file that stands for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "hostkey/host_key.h"

#define LONG_1 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_4 LONG_1 LONG_1 LONG_1 LONG_1
#define LONG_32 LONG_4 LONG_4 LONG_4 LONG_4 LONG_4 LONG_4 LONG_4 LONG_4

/* The one form of a URI; NULL: refused, `words` say why. */
static const struct {
    const char *name, *uri, *form, *words;
} rows[] = {
    {"token and object", "pkcs11:token=web;object=www", "pkcs11:token=web;object=www;type=private",
        NULL},
    {"another order", "pkcs11:object=www;token=web", "pkcs11:token=web;object=www;type=private",
        NULL},
    {"type said", "pkcs11:type=private;token=web;object=www",
        "pkcs11:token=web;object=www;type=private", NULL},
    {"serial and id", "pkcs11:serial=77;id=%01%02", "pkcs11:serial=77;id=%01%02;type=private",
        NULL},
    {"pin-source", "pkcs11:token=web;object=www?pin-source=file:/p",
        "pkcs11:token=web;object=www;type=private?pin-source=file%3A%2Fp", NULL},
    {"pin-source as a path", "pkcs11:token=web;object=www?pin-source=/p",
        "pkcs11:token=web;object=www;type=private?pin-source=%2Fp", NULL},
    {"escapes", "pkcs11:token=my%20web;object=a%3bb",
        "pkcs11:token=my%20web;object=a%3Bb;type=private", NULL},
    {"empty", "", NULL, "is no PKCS#11 URI"},
    {"a path", "/etc/ssl/key.pem", NULL, "is no PKCS#11 URI"},
    {"nothing named", "pkcs11:", NULL, "names no token"},
    {"no token", "pkcs11:object=www", NULL, "names no token"},
    {"no object", "pkcs11:token=web", NULL, "names no object"},
    {"empty object", "pkcs11:token=web;object=", NULL, "names no object"},
    {"a PIN", "pkcs11:token=web;object=www?pin-value=1234", NULL, "has a pin-value"},
    {"a PIN where none belongs", "pkcs11:token=web;object=www;pin-value=1234", NULL,
        "has a pin-value"},
    {"a PIN in capitals", "pkcs11:token=web;object=www?PIN-VALUE=1234", NULL, "has a pin-value"},
    {"a PIN in a broken URI", "pkcs11:%zz?pin-value=1234", NULL, "has a pin-value"},
    {"a module's path", "pkcs11:token=web;object=www?module-path=/tmp/evil.so", NULL,
        "names a PKCS#11 module"},
    {"a module's name", "pkcs11:token=web;object=www?module-name=evil", NULL,
        "names a PKCS#11 module"},
    {"a command for the PIN", "pkcs11:token=web;object=www?pin-source=%7cid", NULL,
        "pin-source of the key's URI is no file"},
    {"a relative PIN", "pkcs11:token=web;object=www?pin-source=file:pin", NULL,
        "pin-source of the key's URI is no file"},
    {"a public key", "pkcs11:token=web;object=www;type=public", NULL,
        "something else than a private key"},
    {"a certificate", "pkcs11:token=web;object=www;type=cert", NULL,
        "something else than a private key"},
    {"unknown", "pkcs11:token=web;object=www;colour=red", NULL, "RFC 7512 does not know"},
    {"too long", "pkcs11:token=web;object=" LONG_32, NULL, "longer than 2048"},
};

/* Versions of p11-kit differ in whether they escape these two in a query (RFC 3986 lets them). */
static char *
plain(const char *text)
{
    char *copy = strdup(text);
    char *to = copy;

    assert_non_null(copy);
    for (const char *from = copy; *from != '\0'; to++) {
        bool escape = strncmp(from, "%3A", 3) == 0 || strncmp(from, "%2F", 3) == 0;

        *to = escape ? (from[1] == '3' ? ':' : '/') : *from;
        from += escape ? 3 : 1;
    }
    *to = '\0';
    return copy;
}

static bool
is_form(const char *found, const char *expected)
{
    AW_CLEANUP(aw_free) char *one = plain(found);
    AW_CLEANUP(aw_free) char *other = plain(expected);

    return strcmp(one, other) == 0;
}

static void
test_uris(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *form = NULL;

        aw_result r = host_key_uri_check(rows[i].uri, &form);
        if (aw_ok(r) != (rows[i].form != NULL))
            fail_msg("%s: %s", rows[i].name, aw_ok(r) ? form : aw_error_last()->message);
        if (form != NULL && rows[i].form != NULL && !is_form(form, rows[i].form))
            fail_msg("%s: %s", rows[i].name, form);
        if (!aw_ok(r) &&
            (r.code != AW_CODE_USAGE || strstr(aw_error_last()->message, rows[i].words) == NULL))
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
    }
}

/* A PIN that was typed must not get into a message, and so into a log. */
static void
test_pin_is_not_quoted(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *form = NULL;

        if (!aw_ok(host_key_uri_check(rows[i].uri, &form)))
            if (strstr(aw_error_last()->message, "1234") != NULL && strlen(rows[i].uri) < 100)
                fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
    }
}

static void
test_reference_is_read_as_written(void **state)
{
    AW_CLEANUP(aw_free) char *pem = NULL;
    AW_CLEANUP(aw_free) char *uri = NULL;

    (void)state;
    assert_true(aw_ok(host_key_reference_write(rows[4].form, &pem)));
    assert_non_null(strstr(pem, "-----BEGIN PKCS#11 PROVIDER URI-----\n"));
    assert_true(aw_ok(host_key_reference_read(pem, strlen(pem), &uri)));
    assert_true(is_form(uri, rows[4].form));
}

#define BEGIN "-----BEGIN PKCS#11 PROVIDER URI-----\n"
#define END "-----END PKCS#11 PROVIDER URI-----\n"

/* A reference from elsewhere (uri2pem.py writes such), and what is none. */
static const struct {
    const char *name, *pem;
    enum aw_code code;
} files[] = {
    {"of another program",
        BEGIN "MEUaGVBLQ1MjMTEgUHJvdmlkZXIgVVJJIHYxLjAMKHBrY3MxMTp0b2tlbj13ZWI7b2JqZWN0PXd3\n"
              "dzt0eXBlPXByaXZhdGU=\n" END,
        AW_CODE_OK},
    {"empty", "", AW_CODE_NOT_FOUND},
    {"a key", "-----BEGIN PRIVATE KEY-----\nMEUa\n-----END PRIVATE KEY-----\n", AW_CODE_NOT_FOUND},
    {"cut off", BEGIN "MEUaGVBLQ1MjMTEgUHJvdmlkZXIg\n", AW_CODE_CRYPTO},
    {"not DER", BEGIN "AAAA\n" END, AW_CODE_CRYPTO},
    {"a URI that is refused", /* names no object */
        BEGIN "MC0aGVBLQ1MjMTEgUHJvdmlkZXIgVVJJIHYxLjAMEHBrY3MxMTp0b2tlbj13ZWI=\n" END,
        AW_CODE_USAGE},
};

static void
test_references(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(files); i++) {
        AW_CLEANUP(aw_free) char *uri = NULL;

        aw_result r = host_key_reference_read(files[i].pem, strlen(files[i].pem), &uri);
        if (r.code != files[i].code)
            fail_msg("%s: %s", files[i].name, aw_ok(r) ? uri : aw_error_last()->message);
    }
}

static void
test_is_uri(void **state)
{
    (void)state;
    assert_true(host_key_is_uri("pkcs11:"));
    assert_true(host_key_is_uri("PKCS11:token=web"));
    assert_false(host_key_is_uri("/pkcs11:"));
    assert_false(host_key_is_uri(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_pin_is_not_quoted),
        cmocka_unit_test(test_reference_is_read_as_written),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_is_uri),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
