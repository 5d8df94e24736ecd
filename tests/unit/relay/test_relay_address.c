/* Addresses: what is listened at, and whom connections count for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/address.h"

static const struct {
    const char *text;
    const char *address; /* as it is told; NULL: refused */
} rows[] = {
    {"192.0.2.1:443", "192.0.2.1"},
    {"[2001:db8::1]:14443", "2001:db8::1"},
    {"[::]:1", "::"},
    {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
    {"192.0.2.1", NULL},
    {"192.0.2.1:", NULL},
    {"192.0.2.1:0", NULL},
    {"192.0.2.1:080", NULL},
    {"192.0.2.1:65536", NULL},
    {"192.0.2.1:99999999999999999999", NULL},
    {"192.0.2.1:80x", NULL},
    {"192.0.2.1 :80", NULL},
    {"localhost:80", NULL},
    {"2001:db8::1:80", NULL},
    {"[2001:db8::1:80", NULL},
    {"[]:80", NULL},
    {"[192.0.2.1]:80", NULL},
    {":80", NULL},
    {"", NULL},
};

static void
what_is_listened_at(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct relay_address address;
        char text[RELAY_ADDRESS_SIZE];

        if (relay_address_parse(rows[i].text, &address) != (rows[i].address != NULL))
            fail_msg("\"%s\"", rows[i].text);
        if (rows[i].address == NULL)
            continue;
        relay_address_text(&address.storage, text);
        if (strcmp(text, rows[i].address) != 0)
            fail_msg("\"%s\" is told as %s", rows[i].text, text);
    }
}

static const struct {
    const char *name;
    const char *a, *b;
    bool same;
} pairs[] = {
    {"one address", "192.0.2.1:1", "192.0.2.1:2", true},
    {"another address", "192.0.2.1:1", "192.0.2.2:1", false},
    {"IPv4 through an IPv6 socket", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
    {"one /64", "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:1", true},
    {"the next /64", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
    {"IPv6 that looks like IPv4", "192.0.2.1:1", "[::192.0.2.1]:1", false},
};

/* Who has a /64 has more addresses than there are connections. */
static void
whom_a_connection_counts_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(pairs); i++) {
        struct relay_address a, b;

        assert_true(relay_address_parse(pairs[i].a, &a) && relay_address_parse(pairs[i].b, &b));
        struct relay_neighbourhood of_a = relay_address_neighbourhood(&a.storage);
        struct relay_neighbourhood of_b = relay_address_neighbourhood(&b.storage);
        if ((of_a.high == of_b.high && of_a.low == of_b.low) != pairs[i].same)
            fail_msg("%s", pairs[i].name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_listened_at),
        cmocka_unit_test(whom_a_connection_counts_for),
    };
    return cmocka_run_group_tests_name("relay_address", tests, NULL, NULL);
}
