/* The file of --dns-rfc2136-credentials: certbot's form, and what is wrong told without a value. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "client/dns_credentials.h"

#define S "dns_rfc2136_server = 192.0.2.1\n"
#define N "dns_rfc2136_name = acme.\n"
#define K "dns_rfc2136_secret = c2VjcmV0LXNlY3JldA==\n"
#define SECRET "c2VjcmV0LXNlY3JldA=="

static const struct row {
    const char *name;
    const char *text;
    enum aw_code code;
    const char *message; /* in the failure; of a success: the algorithm */
    unsigned port;
} rows[] = {
    {"least", S N K, AW_CODE_OK, "hmac-sha256.", 53},
    {"certbot's whole", S "dns_rfc2136_port = 5300\n" N K "dns_rfc2136_algorithm = HMAC-SHA512\n",
        AW_CODE_OK, "hmac-sha512.", 5300},
    {"comments, blanks, CRLF, no end of line",
        "# a = b\r\n; c\r\n\r\n  dns_rfc2136_server=192.0.2.1\r\n" N
        "\tdns_rfc2136_secret\t=\t" SECRET,
        AW_CODE_OK, "hmac-sha256.", 53},
    {"quotes", S N "dns_rfc2136_secret = \"" SECRET "\"\n", AW_CODE_OK, "hmac-sha256.", 53},
    {"algorithm in small letters", S N K "dns_rfc2136_algorithm = hmac-md5\n", AW_CODE_OK,
        "hmac-md5.sig-alg.reg.int.", 53},
    {"empty", "", AW_CODE_CONFIG, "dns_rfc2136_server is missing", 0},
    {"no name", S K, AW_CODE_CONFIG, "dns_rfc2136_name is missing", 0},
    {"another plug-in's", S N K "dns_cloudflare_api_token = x\n", AW_CODE_CONFIG, ":4: an unknown",
        0},
    {"the secret as a key", S N SECRET "\n", AW_CODE_CONFIG, ":3: an unknown key", 0},
    {"no equals sign", S N K "secret\n", AW_CODE_CONFIG, ":4: there is no", 0},
    {"twice", S N K K, AW_CODE_CONFIG, ":4: a key that was there", 0},
    {"no value", S N "dns_rfc2136_secret = \n", AW_CODE_CONFIG, ":3: a key without", 0},
    {"port 0", S N K "dns_rfc2136_port = 0\n", AW_CODE_CONFIG, "1 to 65535", 0},
    {"port with a tail", S N K "dns_rfc2136_port = 53x\n", AW_CODE_CONFIG, "1 to 65535", 0},
    {"a propagation server's port with a tail",
        S N K "dns_rfc2136_propagation_servers = 192.0.2.1, 192.0.2.2@53x\n", AW_CODE_CONFIG,
        "server 2: expected ADDRESS", 0},
    {"a propagation server without its port",
        S N K "dns_rfc2136_propagation_servers = 192.0.2.2@ 53\n", AW_CODE_CONFIG, "ADDRESS@PORT",
        0},
    {"a propagation server without its address", S N K "dns_rfc2136_propagation_servers = @53\n",
        AW_CODE_CONFIG, "ADDRESS@PORT", 0},
    {"a propagation server's port too high",
        S N K "dns_rfc2136_propagation_servers = 192.0.2.2@65536\n", AW_CODE_CONFIG, "ADDRESS@PORT",
        0},
    {"port too long", S N K "dns_rfc2136_port = 000053\n", AW_CODE_CONFIG, "1 to 65535", 0},
    {"sign_query", S N K "dns_rfc2136_sign_query = maybe\n", AW_CODE_CONFIG, "true or false", 0},
    {"secret with blanks inside", S N "dns_rfc2136_secret = a b\n", AW_CODE_CONFIG, "base64", 0},
};

static aw_result
parse(const char *text, size_t size, struct dns_credentials *out)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;

    assert_true(aw_ok(aw_secret_new(DNS_CREDENTIALS_MAX + 1, &secret)));
    assert_true(aw_ok(aw_secret_append(secret, text, size)));
    return dns_credentials_parse("FILE", &secret, out);
}

static bool
holds(const struct row *row)
{
    AW_CLEANUP(dns_credentials_free) struct dns_credentials read = {.text = NULL};

    aw_result r = parse(row->text, strlen(row->text), &read);
    if (r.code != row->code)
        return false;
    if (aw_ok(r))
        return strcmp(read.server, "192.0.2.1") == 0 && strcmp(read.key.name, "acme.") == 0 &&
               strcmp(read.key.secret, SECRET) == 0 && read.port == row->port &&
               strcmp(read.key.algorithm, row->message) == 0;
    return strstr(aw_error_last()->message, row->message) != NULL &&
           strstr(aw_error_last()->message, SECRET) == NULL && read.text == NULL;
}

static void
test_rows(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (!holds(&rows[i])) {
            print_error("%s: %s\n", rows[i].name, aw_error_last()->message);
            all = false;
        }
    assert_true(all);
}

static void
test_nul(void **state)
{
    struct dns_credentials read = {.text = NULL};

    (void)state;
    assert_int_equal(parse(S N K "\0", sizeof(S N K "\0"), &read).code, AW_CODE_CONFIG);
    assert_null(read.text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_nul)};

    return cmocka_run_group_tests_name("dns_credentials", tests, NULL, NULL);
}
