#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/names.h"
#include "tests/unit/common/mutate.h"

#define TEXT(literal) literal, sizeof(literal) - 1
#define TEN "abcdefghij"
#define L63 TEN TEN TEN TEN TEN TEN "abc"
/* 253 octets: three labels of 63 with dots, one of 61. */
#define N253 L63 "." L63 "." L63 "." TEN TEN TEN TEN TEN TEN "a"

typedef aw_result parser(const char *text, size_t length, struct aw_name *out);

/* A buffer of exactly the text's length, so that a sanitizer sees a read too far. */
static aw_result
parse(parser *parse_name, const char *text, size_t length, struct aw_name *out)
{
    char *exact = malloc(length > 0 ? length : 1);

    assert_non_null(exact);
    memcpy(exact, text, length);
    aw_result r = parse_name(length > 0 ? exact : exact + 1, length, out);
    free(exact);
    return r;
}

static const struct {
    const char *name;
    const char *text;
    size_t length;
    const char *reason;
} refused[] = {
    {"attack 73 f*.a", TEXT("f*.example.edu"), "an asterisk must be the whole first label"},
    {"attack 73 *f.a", TEXT("*f.example.edu"), "an asterisk"},
    {"attack 73 *.*.a", TEXT("*.*.example.edu"), "an asterisk"},
    {"attack 73 a.*.b", TEXT("a.*.example.edu"), "an asterisk"},
    {"attack 73 an asterisk alone", TEXT("*"), "an asterisk"},
    {"attack 73 *.", TEXT("*."), "an empty label"},
    {"attack 73 **.a", TEXT("**.example.edu"), "an asterisk"},
    {"attack 73 *a label inside xn--", TEXT("xn--*.example.edu"), "an asterisk"},
    {"attack 74 a trailing dot", TEXT("www.example.edu."), "a trailing dot"},
    {"attack 74 a trailing dot of a wildcard", TEXT("*.example.edu."), "a trailing dot"},
    {"attack 74 two trailing dots", TEXT("www.example.edu.."), "an empty label"},
    {"attack 76 a U-label",
        TEXT("b\xc3\xbc"
             "cher.example.edu"),
        "A-labels"},
    {"attack 76 full-width letters", TEXT("\xef\xbd\x81.example.edu"), "A-labels"},
    {"attack 76 an ideographic full stop",
        TEXT("a\xe3\x80\x82"
             "example.edu"),
        "A-labels"},
    {"attack 77 bad punycode", TEXT("xn--99999999999.example.edu"), "not valid"},
    {"attack 77 an A-label of ASCII", TEXT("xn--abc-.example.edu"), "a hyphen at"},
    {"attack 77 an empty A-label", TEXT("xn--.example.edu"), "a hyphen at"},
    {"attack 77 an A-label of one digit", TEXT("xn--a.example.edu"), "not valid"},
    {"attack 77 an A-label of capitals", TEXT("xn--bcher-2pa.example.edu"), "not valid"},
    {"attack 77 an A-label of an emoji", TEXT("xn--e28h.example.edu"), "not valid"},
    {"attack 77 a combining mark first", TEXT("xn--a-bcb.example.edu"), "not valid"},
    {"attack 77 an A-label of an A-label", TEXT("xn--xn--bcher-kva-.example.edu"), "a hyphen"},
    {"attack 77 ab--c", TEXT("ab--c.example.edu"), "\"--\" as third"},
    {"attack 77 ab--", TEXT("ab--.example.edu"), "a hyphen at"},
    {"attack 77 an A-label with a bidi control", TEXT("xn--ab-g4t.example.edu"), "not valid"},
    {"attack 77 an A-label of a ligature", TEXT("xn--x-sy8h.example.edu"), "not valid"},
    {"attack 77 an A-label with a zero-width space", TEXT("xn--ab-g1t.edu"), "not valid"},
    {"attack 77 a bad A-label in the middle", TEXT("www.xn--abc-.edu"), "a hyphen"},
    {"attack 78 an underscore", TEXT("_acme.example.edu"), "an underscore"},
    {"attack 78 an underscore inside", TEXT("a_b.example.edu"), "an underscore"},
    {"attack 78 an empty label", TEXT("www..example.edu"), "an empty label"},
    {"attack 78 a leading dot", TEXT(".example.edu"), "an empty label"},
    {"attack 78 a dot alone", TEXT("."), "an empty label"},
    {"attack 78 nothing", TEXT(""), "empty"},
    {"attack 79 a label of 64 octets", TEXT(L63 "d.example.edu"), "more than 63"},
    {"attack 79 a name of 254 octets", TEXT(N253 "b"), "more than 253"},
    {"attack 79 a name of 254 octets and a dot", TEXT(N253 "."), "more than 253"},
    {"attack 81 a single label", TEXT("edu"), "a single label"},
    {"attack 81 a wildcard of a single label", TEXT("*.edu"), "a single label"},
    {"attack 82 an IPv4 address", TEXT("192.0.2.1"), "an IP address"},
    {"attack 82 an IPv6 address", TEXT("2001:db8::1"), "an IP address"},
    {"attack 82 three numbers", TEXT("192.0.2"), "a numeric last label"},
    {"attack 82 five numbers", TEXT("192.0.2.1.1"), "a numeric last label"},
    {"attack 82 leading zeros", TEXT("192.0.2.001"), "a numeric last label"},
    {"attack 82 a numeric TLD", TEXT("www.example.123"), "a numeric last label"},
    {"attack 82 a hexadecimal TLD", TEXT("www.example.0x7F"), "a numeric last label"},
    {"attack 82 a hexadecimal TLD of letters", TEXT("www.example.0xaf"), "a numeric last label"},
    {"attack 82 0x alone", TEXT("127.0x"), "a numeric last label"},
    {"attack 82 a wildcard of an address", TEXT("*.192.0.2.1"), "a numeric last label"},
    {"attack 82 an address in brackets", TEXT("[2001:db8::1]"), "characters other than"},
    {"attack 83 a space", TEXT("www example.edu"), "characters other than"},
    {"attack 83 a space at the end", TEXT("www.example.edu "), "characters other than"},
    {"attack 83 a space before", TEXT(" www.example.edu"), "characters other than"},
    {"attack 83 a bidi control",
        TEXT("a\xe2\x80\xae"
             "b.example.edu"),
        "beyond ASCII"},
    {"attack 83 a zero-width space",
        TEXT("a\xe2\x80\x8b"
             "b.example.edu"),
        "beyond ASCII"},
    {"attack 83 a line feed", TEXT("a\n.example.edu"), "characters other than"},
    {"attack 54 NUL inside", TEXT("www.example.edu\0.evil.edu"), "a NUL"},
    {"attack 54 NUL at the end", TEXT("www.example.edu\0"), "a NUL"},
    {"a hyphen first", TEXT("-a.example.edu"), "a hyphen at"},
    {"a hyphen last", TEXT("a-.example.edu"), "a hyphen at"},
    {"a hyphen alone", TEXT("-.example.edu"), "a hyphen at"},
    {"a hyphen at the end of all", TEXT("example.edu-"), "a hyphen at"},
    {"a port", TEXT("example.edu:443"), "characters other than"},
    {"a URL", TEXT("https://example.edu/"), "characters other than"},
    {"a percent sign", TEXT("www%2eexample.edu"), "characters other than"},
    {"an e-mail address", TEXT("a@example.edu"), "characters other than"},
};

static void
requests_refuse(void **state)
{
    static const struct aw_name nothing;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(refused); i++) {
        struct aw_name name;
        aw_result r = parse(aw_name_parse, refused[i].text, refused[i].length, &name);
        if (r.code != AW_CODE_SYNTAX)
            fail_msg("%s: %s", refused[i].name, aw_code_tag(r.code));
        if (strstr(aw_error_last()->message, refused[i].reason) == NULL)
            fail_msg("%s: %s", refused[i].name, aw_error_last()->message);
        if (memcmp(&name, &nothing, sizeof(name)) != 0)
            fail_msg("%s: something of the name is left", refused[i].name);
    }
}

static const struct {
    const char *name;
    const char *text;
    const char *canonical;
    enum aw_name_form form;
    uint8_t labels;
} accepted[] = {
    {"a host", "www.example.edu", "www.example.edu", AW_NAME_HOST, 3},
    {"two labels", "example.edu", "example.edu", AW_NAME_HOST, 2},
    {"attack 75 upper case", "WWW.Example.EDU", "www.example.edu", AW_NAME_HOST, 3},
    {"attack 75 an A-label in upper case", "XN--BCHER-KVA.example.edu", "xn--bcher-kva.example.edu",
        AW_NAME_HOST, 3},
    {"the first and last letters and digits", "az09.example.ax", "az09.example.ax", AW_NAME_HOST,
        3},
    {"a last label that only begins in hexadecimal", "www.example.0xfg", "www.example.0xfg",
        AW_NAME_HOST, 3},
    {"a wildcard", "*.example.edu", "*.example.edu", AW_NAME_WILDCARD, 3},
    {"a wildcard in upper case", "*.EXAMPLE.edu", "*.example.edu", AW_NAME_WILDCARD, 3},
    {"an A-label", "xn--bcher-kva.example.edu", "xn--bcher-kva.example.edu", AW_NAME_HOST, 3},
    {"an A-label with sharp s (IDNA2008)", "xn--strae-oqa.de", "xn--strae-oqa.de", AW_NAME_HOST, 2},
    {"an A-label as last label", "example.xn--p1ai", "example.xn--p1ai", AW_NAME_HOST, 2},
    {"a right-to-left A-label", "xn--4dbrk0ce.example.edu", "xn--4dbrk0ce.example.edu",
        AW_NAME_HOST, 3},
    {"digits first", "3com.example.edu", "3com.example.edu", AW_NAME_HOST, 3},
    {"numeric labels before the last", "1.0.example.edu", "1.0.example.edu", AW_NAME_HOST, 4},
    {"digits in the last label", "example.a1", "example.a1", AW_NAME_HOST, 2},
    {"hyphens inside", "a-b---c.example.edu", "a-b---c.example.edu", AW_NAME_HOST, 3},
    {"hyphens in 2 and 3", "a--b.example.edu", "a--b.example.edu", AW_NAME_HOST, 3},
    {"attack 79 a label of 63 octets", L63 ".example.edu", L63 ".example.edu", AW_NAME_HOST, 3},
    {"attack 79 a name of 253 octets", N253, N253, AW_NAME_HOST, 4},
};

static void
requests_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(accepted); i++) {
        struct aw_name name, file_name;
        size_t length = strlen(accepted[i].text);
        if (!aw_ok(parse(aw_name_parse, accepted[i].text, length, &name)))
            fail_msg("%s: %s", accepted[i].name, aw_error_last()->message);
        if (strcmp(name.text, accepted[i].canonical) != 0 || name.form != accepted[i].form ||
            name.labels != accepted[i].labels || name.length != strlen(name.text))
            fail_msg("%s: %s, %d labels", accepted[i].name, name.text, name.labels);
        assert_string_equal(aw_name_type(&name), "dns");
        if (!aw_ok(parse(aw_name_parse_file, accepted[i].text, length, &file_name)) ||
            aw_name_compare(&name, &file_name) != 0)
            fail_msg("%s: not the same in a file", accepted[i].name);
    }
}

static const struct {
    const char *name;
    const char *text;
    const char *canonical; /* NULL: refused */
    const char *reason;
} filed[] = {
    {"a U-label",
        "b\xc3\xbc"
        "cher.example.edu",
        "xn--bcher-kva.example.edu", NULL},
    {"a U-label in capitals",
        "B\xc3\x9c"
        "CHER.Example.edu",
        "xn--bcher-kva.example.edu", NULL},
    {"a U-label decomposed",
        "bu\xcc\x88"
        "cher.example.edu",
        "xn--bcher-kva.example.edu", NULL},
    {"sharp s, non-transitional",
        "stra\xc3\x9f"
        "e.de",
        "xn--strae-oqa.de", NULL},
    {"a wildcard of a U-label",
        "*.b\xc3\xbc"
        "cher.edu",
        "*.xn--bcher-kva.edu", NULL},
    {"a U-label beside an A-label",
        "b\xc3\xbc"
        "cher.xn--p1ai",
        "xn--bcher-kva.xn--p1ai", NULL},
    {"attack 81 a single label, for the loader to judge", "edu", "edu", NULL},
    {"a wildcard of a single label", "*.edu", "*.edu", NULL},
    {"a single U-label", "\xd1\x80\xd1\x84", "xn--p1ai", NULL},
    {"attack 73 an asterisk before a U-label", "*\xc3\xbc.example.edu", NULL, ""},
    {"attack 74 a trailing dot behind a U-label",
        "b\xc3\xbc"
        "cher.edu.",
        NULL, "a trailing dot"},
    {"attack 74 an ideographic trailing dot",
        "b\xc3\xbc"
        "cher.edu\xe3\x80\x82",
        NULL, "a trailing dot"},
    {"attack 76 an emoji", "\xf0\x9f\x98\x80.example.edu", NULL, "internationalized"},
    {"attack 77 bad punycode beside a U-label", "\xc3\xbc.xn--99999999999.edu", NULL,
        "internationalized"},
    {"attack 78 an underscore beside a U-label",
        "_a.b\xc3\xbc"
        "cher.edu",
        NULL, "underscore"},
    {"attack 79 a long U-label", L63 "\xc3\xbc.example.edu", NULL, "internationalized"},
    {"attack 79 a name of 254 octets when encoded",
        "\xc3\xbc." L63 "." L63 "." L63 "." TEN TEN TEN TEN TEN "abcd", NULL, "internationalized"},
    {"attack 79 a name of 253 octets when encoded",
        "\xc3\xbc." L63 "." L63 "." L63 "." TEN TEN TEN TEN TEN "abc",
        "xn--tda." L63 "." L63 "." L63 "." TEN TEN TEN TEN TEN "abc", NULL},
    {"attack 79 more octets than any name has in UTF-8", "\xc3\xbc" N253 N253 N253 N253, NULL,
        "more than 253"},
    {"attack 79 a wildcard of 254 octets when encoded",
        "*.\xc3\xbc." L63 "." L63 "." L63 "." TEN TEN TEN TEN TEN "ab", NULL, "more than 253"},
    {"attack 82 an address", "192.0.2.1", NULL, "an IP address"},
    {"attack 82 an address in full-width digits", "\xef\xbc\x91\xef\xbc\x99\xef\xbc\x92.0.2.1",
        NULL, "an IP address"},
    {"attack 83 a bidi override",
        "a\xe2\x80\xae"
        "b.example.edu",
        NULL, "internationalized"},
    {"attack 83 a space beside a U-label", "b\xc3\xbc cher.edu", NULL, ""},
    {"attack 9 invalid UTF-8",
        "b\xfc"
        "cher.example.edu",
        NULL, "internationalized"},
    {"attack 77 an A-label of ASCII", "xn--abc-.example.edu", NULL, "a hyphen"},
    {"nothing", "", NULL, "empty"},
};

static void
files_encode_ulabels(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(filed); i++) {
        struct aw_name name;
        aw_result r = parse(aw_name_parse_file, filed[i].text, strlen(filed[i].text), &name);
        if (filed[i].canonical != NULL) {
            if (!aw_ok(r) || strcmp(name.text, filed[i].canonical) != 0)
                fail_msg("%s: %s", filed[i].name, aw_ok(r) ? name.text : aw_error_last()->message);
            continue;
        }
        if (r.code != AW_CODE_SYNTAX)
            fail_msg("%s: %s %s", filed[i].name, aw_code_tag(r.code), name.text);
        if (strstr(aw_error_last()->message, filed[i].reason) == NULL)
            fail_msg("%s: %s", filed[i].name, aw_error_last()->message);
    }
}

static void
messages_show_the_name_escaped(void **state)
{
    struct aw_name name;

    (void)state;
    assert_int_equal(aw_name_parse(TEXT("a\x1b[2J\nb.edu"), &name).code, AW_CODE_SYNTAX);
    assert_non_null(strstr(aw_error_last()->message, "\"a\\x1b[2J\\x0ab.edu\""));
}

static const struct {
    const char *name;
    const char *text;
    size_t size; /* 0: refused */
    const char *reason;
} addresses[] = {
    {"IPv4", "192.0.2.1", 4, NULL},
    {"IPv4 zero", "0.0.0.0", 4, NULL},
    {"IPv6", "2001:db8::1", 16, NULL},
    {"IPv6 unspecified", "::", 16, NULL},
    {"IPv6 of eight groups", "2001:db8:1:2:3:4:5:6", 16, NULL},
    {"IPv4-compatible", "::192.0.2.1", 16, NULL},
    {"attack 131 IPv4-mapped", "::ffff:192.0.2.1", 0, "form of IPv6"},
    {"attack 131 IPv4-mapped in hexadecimal", "::ffff:c000:201", 0, "form of IPv6"},
    {"attack 22 leading zeros", "192.0.2.01", 0, "not an IP"},
    {"attack 22 hexadecimal", "0x7f.1", 0, "not an IP"},
    {"attack 22 three parts", "127.0.1", 0, "not an IP"},
    {"over 255", "192.0.2.256", 0, "not an IP"},
    {"upper case", "2001:DB8::1", 0, "canonical"},
    {"zeros before a group", "2001:0db8::1", 0, "canonical"},
    {"not shortened", "2001:db8:0:0:0:0:0:1", 0, "canonical"},
    {"one group shortened", "2001:db8::2:3:4:5:6", 0, "canonical"},
    {"the shorter run shortened", "2001::1:0:0:0:1", 0, "canonical"},
    {"attack 132 a zone", "fe80::1%eth0", 0, "not an IP"},
    {"attack 132 brackets", "[::1]", 0, "not an IP"},
    {"attack 132 a prefix", "192.0.2.0/24", 0, "not an IP"},
    {"a space", "192.0.2.1 ", 0, "not an IP"},
    {"a name", "www.example.edu", 0, "not an IP"},
    {"nothing", "", 0, "not an IP"},
    {"too long", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 0, "not an IP"},
};

static void
addresses_are_canonical(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(addresses); i++) {
        struct aw_name name, again;
        aw_result r =
            parse(aw_name_parse_address, addresses[i].text, strlen(addresses[i].text), &name);
        if (aw_ok(r) != (addresses[i].size > 0))
            fail_msg("%s: %s", addresses[i].name, aw_code_tag(r.code));
        if (!aw_ok(r) && strstr(aw_error_last()->message, addresses[i].reason) == NULL)
            fail_msg("%s: %s", addresses[i].name, aw_error_last()->message);
        if (!aw_ok(r))
            continue;
        assert_string_equal(name.text, addresses[i].text);
        assert_int_equal(name.address_size, addresses[i].size);
        assert_int_equal(name.labels, 0);
        assert_int_equal(name.length, strlen(name.text));
        assert_string_equal(aw_name_type(&name), "ip");
        assert_true(aw_ok(aw_name_from_address(name.address, name.address_size, &again)));
        assert_int_equal(aw_name_compare(&name, &again), 0);
    }
}

static void
addresses_have_4_or_16_octets(void **state)
{
    static const uint8_t octets[32] = {192, 0, 2, 7};
    struct aw_name name;

    (void)state;
    for (size_t size = 0; size <= sizeof(octets); size++) {
        aw_result r = aw_name_from_address(octets, size, &name);
        assert_int_equal(r.code, size == 4 || size == 16 ? AW_CODE_OK : AW_CODE_SYNTAX);
    }
    assert_true(aw_ok(aw_name_from_address(octets, 4, &name)));
    assert_string_equal(name.text, "192.0.2.7");
    assert_true(aw_ok(parse(aw_name_parse_address, TEXT("192.0.2.7"), &name)));
    assert_int_equal(parse(aw_name_parse_address, TEXT("192.0.2.7\0"), &name).code, AW_CODE_SYNTAX);
}

static void
attack_83a_the_same_name_twice(void **state)
{
    static const struct {
        const char *name;
        const char *names[4];
        size_t count;
        bool distinct;
    } rows[] = {
        {"none", {NULL}, 0, true},
        {"one", {"a.edu"}, 1, true},
        {"three", {"c.edu", "a.edu", "b.edu"}, 3, true},
        {"twice", {"c.edu", "a.edu", "c.edu"}, 3, false},
        {"twice in another case", {"a.edu", "b.edu", "A.EDU"}, 3, false},
        {"a wildcard and its base", {"*.a.edu", "a.edu"}, 2, true},
        {"a wildcard twice", {"*.a.edu", "b.edu", "a.edu", "*.a.edu"}, 4, false},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct aw_name names[4];
        for (size_t n = 0; n < rows[i].count; n++)
            assert_true(
                aw_ok(aw_name_parse(rows[i].names[n], strlen(rows[i].names[n]), &names[n])));
        if (aw_names_sort(names, rows[i].count) != rows[i].distinct)
            fail_msg("%s", rows[i].name);
        for (size_t n = 1; n < rows[i].count; n++)
            if (aw_name_compare(&names[n - 1], &names[n]) > 0)
                fail_msg("%s: not sorted", rows[i].name);
    }
}

/* Mutation. */

static const char *const seeds[] = {"www.example.edu", "*.cdn.myapp1.dept.example.edu",
    "xn--bcher-kva.example.edu",
    "b\xc3\xbc"
    "cher.stra\xc3\x9f"
    "e.de",
    "xn--4dbrk0ce.xn--p1ai", "192.0.2.1", "2001:db8::1", "a-b.3com.example.org"};

static const char *const words[] = {".", "..", "*", "*.", "-", "--", "xn--", "_", " ", "0x", "1",
    "A", "\xc3\xbc", "\xc3\x9f", "\xe2\x80\xae", "\xe3\x80\x82", "\xff", ":", "::", "kva", TEN,
    L63};

/* What is accepted is canonical: of the right octets, within the lengths, and parses to itself. */
static bool
check_mutated(parser *parse_name, const char *text, size_t length)
{
    struct aw_name name, again;
    aw_result r = parse(parse_name, text, length, &name);

    if (r.code != AW_CODE_SYNTAX && !aw_ok(r))
        fail_msg("%s: %.*s", aw_code_tag(r.code), (int)length, text);
    if (!aw_ok(r))
        return false;
    if (!aw_ok(parse(parse_name, name.text, name.length, &again)) ||
        memcmp(&name, &again, sizeof(name)) != 0)
        fail_msg("%s does not parse to itself", name.text);
    assert_in_range(name.length, 1, AW_NAME_MAX);
    assert_int_equal(name.length, strlen(name.text));
    const char *octets = name.form == AW_NAME_ADDRESS ? "0123456789abcdef.:"
                                                      : "abcdefghijklmnopqrstuvwxyz0123456789-.";
    const char *rest = name.form == AW_NAME_WILDCARD ? name.text + 2 : name.text;
    if (rest[strspn(rest, octets)] != '\0')
        fail_msg("%s has octets that no name has", name.text);
    return true;
}

static void
mutated_names(void **state)
{
    struct mutator m = {UINT64_C(0x5eed0002), words, AW_COUNT(words)};
    size_t requests = 0, files = 0, numbers = 0;
    enum { ROUNDS = 20000 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char text[600];
        size_t length = strlen(seeds[i % (int)AW_COUNT(seeds)]);
        memcpy(text, seeds[i % (int)AW_COUNT(seeds)], length);
        for (size_t n = 1 + mutate_below(&m, 4); n > 0; n--)
            mutate_once(&m, text, &length, sizeof(text));
        bool request = check_mutated(aw_name_parse, text, length);
        bool file = check_mutated(aw_name_parse_file, text, length);
        if (request && !file)
            fail_msg("a request takes what a file refuses: %.*s", (int)length, text);
        if (request && check_mutated(aw_name_parse_address, text, length))
            fail_msg("a name and an address: %.*s", (int)length, text);
        requests += request;
        files += file;
        numbers += check_mutated(aw_name_parse_address, text, length);
    }
    /* The mutations must reach both sides. */
    assert_in_range(requests, ROUNDS / 50, ROUNDS / 2);
    assert_in_range(files, requests + 1, ROUNDS / 2);
    assert_in_range(numbers, ROUNDS / 200, ROUNDS / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_refuse),
        cmocka_unit_test(requests_accept),
        cmocka_unit_test(files_encode_ulabels),
        cmocka_unit_test(messages_show_the_name_escaped),
        cmocka_unit_test(addresses_are_canonical),
        cmocka_unit_test(addresses_have_4_or_16_octets),
        cmocka_unit_test(attack_83a_the_same_name_twice),
        cmocka_unit_test(mutated_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
