/* URLs that the account key may sign for: attacks 18 and 21 to 24. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "signer/request.h"
#include "signer/url.h"

/* `reason` is a part of the message; NULL: passes. */
struct row {
    const char *name, *url, *reason;
};

static const struct row rows[] = {
    {"usual", "https://acme.example.com/acme/order/123", NULL},
    {"every unreserved character", "https://ca.example/AZaz09-._~", NULL},
    {"port", "https://ca.example:14000/order/1", NULL},
    {"highest port", "https://ca.example:65535/order/1", NULL},
    {"single label", "https://localhost:14000/order/1", NULL},
    {"IPv4", "https://127.0.0.1:14000/order/1", NULL},
    {"IPv6", "https://[2001:db8::1]/order/1", NULL},
    {"IPv6 and port", "https://[::1]:14000/order/1", NULL},
    {"A-label", "https://xn--bcher-kva.example/order/1", NULL},
    {"slash at the end", "https://ca.example/order/", NULL},
    {"dots that are no segment", "https://ca.example/a..b/...", NULL},
    {"attack 18: user name", "https://ca.example@evil.example/order", "user name"},
    {"attack 18: user name and password", "https://ca.example:x@evil.example/order", "user name"},
    {"attack 18: empty user name", "https://@ca.example/order", "user name"},
    {"attack 21: ..", "https://ca.example/a/../b", "\"..\""},
    {"attack 21: .. at the end", "https://ca.example/a/..", "\"..\""},
    {"attack 21: .. at the beginning", "https://ca.example/../b", "\"..\""},
    {"attack 21: .", "https://ca.example/a/./b", "\".\""},
    {"attack 21: . at the end", "https://ca.example/a/.", "\".\""},
    {"attack 21: encoded dots", "https://ca.example/a/%2e%2e/b", "percent-encoding"},
    {"attack 21: encoded slash", "https://ca.example/a%2fb", "percent-encoding"},
    {"attack 21: //", "https://ca.example//b", "\"//\""},
    {"attack 21: // inside", "https://ca.example/a//b", "\"//\""},
    {"attack 21: // at the end", "https://ca.example/a//", "\"//\""},
    {"attack 21: backslash", "https://ca.example/a\\b", "backslash"},
    {"attack 21: backslash for the path", "https://ca.example\\@evil.example/", "no path"},
    {"attack 21: parameters", "https://ca.example/a;b=c", "semicolon"},
    {"attack 22: port 443", "https://ca.example:443/order", "443"},
    {"attack 22: port 0443", "https://ca.example:0443/order", "port"},
    {"attack 22: port 0", "https://ca.example:0/order", "port"},
    {"attack 22: port 65536", "https://ca.example:65536/order", "65535"},
    {"attack 22: port of six digits", "https://ca.example:100000/order", "port"},
    {"attack 22: port that is 443 modulo 2^32", "https://ca.example:4294967739/order",
        "not a number"},
    {"attack 22: port that is 1 modulo 2^32", "https://ca.example:4294967297/order",
        "not a number"},
    {"attack 22: letters that make a number", "https://ca.example:1a/order", "not a number"},
    {"attack 22: empty port", "https://ca.example:/order", "port"},
    {"attack 22: port with a sign", "https://ca.example:+80/order", "port"},
    {"attack 22: two ports", "https://ca.example:80:80/order", "port"},
    {"attack 22: upper case host", "https://CA.example/order", "upper case"},
    {"attack 22: upper case scheme", "HTTPS://ca.example/order", "https://"},
    {"attack 22: trailing dot", "https://ca.example./order", "host"},
    {"attack 22: 0x7f.1", "https://0x7f.1/order", "host"},
    {"attack 22: hexadecimal", "https://0x7f000001/order", "host"},
    {"attack 22: decimal", "https://2130706433/order", "host"},
    {"attack 22: octal", "https://0177.0.0.1/order", "host"},
    {"attack 22: short IPv4", "https://127.1/order", "host"},
    {"attack 22: IPv4 with a trailing dot", "https://127.0.0.1./order", "host"},
    {"attack 22: IPv6, not canonical", "https://[2001:db8:0::1]/order", "brackets"},
    {"attack 22: IPv6, upper case", "https://[2001:DB8::1]/order", "brackets"},
    {"attack 22: IPv6 with a zone", "https://[fe80::1%25eth0]/order", "brackets"},
    {"attack 22: IPv4 in brackets", "https://[127.0.0.1]/order", "brackets"},
    {"attack 22: IPv6 without brackets", "https://2001:db8::1/order", "host"},
    {"attack 22: open bracket", "https://[::1/order", "host"},
    {"attack 22: nothing in brackets", "https://[]/order", "brackets"},
    {"attack 22: something after the bracket", "https://[::1]x/order", "after the address"},
    {"attack 22: something after the bracket, port", "https://[::1]x:80/order",
        "after the address"},
    {"attack 22: U-label",
        "https://b\xc3\xbc"
        "cher.example/order",
        "ASCII"},
    {"attack 22: wildcard", "https://*.example/order", "host"},
    {"attack 22: underscore", "https://c_a.example/order", "host"},
    {"attack 22: encoded host", "https://c%61.example/order", "host"},
    {"attack 22: empty host", "https:///order", "host"},
    {"attack 22: space", "https://ca.example /order", "host"},
    {"attack 23: query", "https://ca.example/order?x=1", "a query"},
    {"attack 23: empty query", "https://ca.example/order?", "a query"},
    {"attack 23: query after the host", "https://ca.example?x=1/order", "no path"},
    {"attack 23: fragment", "https://ca.example/order#x", "fragment"},
    {"attack 23: fragment after the host", "https://ca.example#/order", "no path"},
    {"http", "http://ca.example/order", "https://"},
    {"no scheme", "//ca.example/order", "https://"},
    {"empty", "", "https://"},
    {"scheme alone", "https://", "no path"},
    {"no path", "https://ca.example", "no path"},
    {"path of a slash", "https://ca.example/", "no path but"},
    {"attack 100: line break", "https://ca.example/order\r\nX: y", "a character"},
    {"attack 100: ESC", "https://ca.example/order\x1b[2J", "a character"},
    {"attack 30: quotes", "https://ca.example/order\",\"x\":\"", "a character"},
    {"tab", "https://ca.example/or\tder", "a character"},
    {"not ASCII", "https://ca.example/\xc3\xa9", "a character"},
    {"tilde and plus", "https://ca.example/~a+b", "a character"},
};

static const struct row pin_rows[] = {
    {"usual", "https://acme.example.com/v2/directory", NULL},
    {"query", "https://acme.example.com/v2/new-nonce?org=12&unit=a/b:c", NULL},
    {"query with a question mark", "https://acme.example.com/v2?a?b", NULL},
    {"empty query", "https://acme.example.com/v2?", "query"},
    {"attack 23: fragment", "https://acme.example.com/v2?a#b", "query"},
    {"attack 23: fragment, no query", "https://acme.example.com/v2#b", "fragment"},
    {"percent-encoding", "https://acme.example.com/v2?a=%41", "query"},
    {"quotes in the query", "https://acme.example.com/v2?a=\"", "query"},
    {"attack 21: .. before the query", "https://acme.example.com/a/../b?x", "\"..\""},
    {"attack 22: port 443", "https://acme.example.com:443/v2?a", "443"},
    {"path of a slash", "https://acme.example.com/?a", "no path but"},
    {"no path", "https://acme.example.com?a", "no path"},
};

static void
check_rows(aw_result (*check)(const char *), const struct row *table, size_t count)
{
    unsigned failures = 0;

    for (size_t i = 0; i < count; i++) {
        aw_result r = check(table[i].url);
        const char *message = aw_ok(r) ? "passed" : aw_error_last()->message;
        bool good = table[i].reason == NULL
                        ? aw_ok(r)
                        : r.code == AW_CODE_SYNTAX && strstr(message, table[i].reason) != NULL;
        if (!good)
            print_error("row \"%s\": %s; expected %s\n", table[i].name, message,
                table[i].reason != NULL ? table[i].reason : "to pass");
        failures += !good;
    }
    assert_int_equal(failures, 0);
}

static void
form(void **state)
{
    (void)state;
    check_rows(url_check_form, rows, AW_COUNT(rows));
}

static void
pins(void **state)
{
    (void)state;
    check_rows(url_check_pin, pin_rows, AW_COUNT(pin_rows));
}

/* Every octet in host and path: only those of the narrow form pass. */
static void
every_octet(void **state)
{
    static const char path_octets[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-._~/";
    static const char host_octets[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

    (void)state;
    for (int c = 1; c < 256; c++) {
        char url[] = "https://ca.example/ab_de";
        url[21] = (char)c;
        assert_int_equal(aw_ok(url_check_form(url)), strchr(path_octets, c) != NULL);
        char host[] = "https://ca_ca.example/a";
        host[10] = (char)c;
        /* "ca/ca.example/a" is another host with a longer path. */
        assert_int_equal(aw_ok(url_check_form(host)), strchr(host_octets, c) != NULL || c == '/');
    }
}

static void
length(void **state)
{
    char *url = malloc(SIGN_URL_MAX + 2);

    (void)state;
    memset(url, 'a', SIGN_URL_MAX + 1);
    memcpy(url, "https://ca.example/", strlen("https://ca.example/"));
    url[SIGN_URL_MAX + 1] = '\0';
    assert_false(aw_ok(url_check_form(url)));
    assert_false(aw_ok(url_check_pin(url)));
    url[SIGN_URL_MAX] = '\0';
    assert_true(aw_ok(url_check_form(url)));
    free(url);
}

static void
attack_24_origin(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } origins[] = {
        {"https://ca.example/a", "https://ca.example/b/c", true},
        {"https://ca.example:8443/a", "https://ca.example:8443/b?c", true},
        {"https://[::1]:14000/a", "https://[::1]:14000/b", true},
        {"https://ca.example/a", "https://staging.ca.example/a", false},
        {"https://ca.example/a", "https://ca.example.evil.example/a", false},
        {"https://ca.example.evil.example/a", "https://ca.example/a", false},
        {"https://ca.example/a", "https://ca.exampl/a", false},
        {"https://ca.example/a", "https://ca.example:8443/a", false},
        {"https://ca.example:8443/a", "https://ca.example:8444/a", false},
        {"https://ca.example/a", "http://ca.example/a", false},
        {"https://ca.example/a", "https://ca.example", false},
        {"", "", false},
        {"https://", "https://", false},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(origins); i++)
        if (url_same_origin(origins[i].a, origins[i].b) != origins[i].same)
            fail_msg("%s and %s", origins[i].a, origins[i].b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),
        cmocka_unit_test(pins),
        cmocka_unit_test(every_octet),
        cmocka_unit_test(length),
        cmocka_unit_test(attack_24_origin),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
