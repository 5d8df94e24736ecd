#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/secret.h"

/* RFC 4648 section 10 without padding, and RFC 7515 appendix C. */
static const struct {
    const char *bytes;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg"},
    {"fo", "Zm8"},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg"},
    {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"},
    {"\x03\xec\xff\xe0\xc1", "A-z_4ME"},
};

static void
vectors_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(vectors); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
        size_t size, expected = strlen(vectors[i].bytes);
        assert_true(aw_ok(aw_b64url_encode_new(vectors[i].bytes, expected, &text)));
        assert_string_equal(text, vectors[i].text);
        assert_int_equal(strlen(text), AW_B64URL_LENGTH(expected));
        assert_true(aw_ok(aw_b64url_decode_new(text, strlen(text), &bytes, &size)));
        assert_int_equal(size, expected);
        assert_memory_equal(bytes, vectors[i].bytes, size);
    }
}

/* OpenSSL's encoder is the oracle, its alphabet and padding translated. */
static void
agrees_with_openssl(void **state)
{
    uint8_t bytes[70], back[70];
    char expected[100], text[100];
    size_t size;

    (void)state;
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
        EVP_EncodeBlock((unsigned char *)expected, bytes, (int)n);
        expected[strcspn(expected, "=")] = '\0';
        for (char *c = expected; *c != '\0'; c++)
            *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        aw_b64url_encode(bytes, n, text);
        assert_string_equal(text, expected);
        assert_true(aw_ok(aw_b64url_decode(text, strlen(text), back, n, &size)));
        assert_int_equal(size, n);
        assert_memory_equal(back, bytes, n);
    }
}

static const struct {
    const char *name;
    const char *text;
    size_t length;
    const char *reason;
} refused[] = {
    {"padding", "Zg==", 4, "character 3"},
    {"base64's plus", "A+z_", 4, "character 2"},
    {"base64's slash", "A/z4", 4, "character 2"},
    {"a space", "Zm 9", 4, "character 3"},
    {"a newline at the end", "Zm9v\n", 5, "character 5"},
    {"a newline in the place of a digit", "Zm9vYm\n", 7, "character 7"},
    {"NUL", "Zm9\0", 4, "character 4"},
    {"beyond ASCII", "Zm9\xc3", 4, "character 4"},
    {"one digit", "Z", 1, "whole number"},
    {"five digits", "Zm9vY", 5, "whole number"},
    {"unused bits of two digits", "Zh", 2, "unused bits"},
    {"unused bits of three digits", "Zm9", 3, "unused bits"},
};

static void
refuses_what_is_not_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(refused); i++) {
        uint8_t out[16];
        size_t size;
        aw_result r = aw_b64url_decode(refused[i].text, refused[i].length, out, sizeof(out), &size);
        if (r.code != AW_CODE_SYNTAX || !strstr(aw_error_last()->message, refused[i].reason))
            fail_msg("%s: %s, %s", refused[i].name, aw_code_tag(r.code), aw_error_last()->message);
    }
}

static void
capacity_is_kept(void **state)
{
    uint8_t out[3] = {0, 0, 0x5a};
    size_t size;

    (void)state;
    assert_int_equal(aw_b64url_decode("Zm9v", 4, out, 2, &size).code, AW_CODE_LIMIT);
    assert_int_equal(out[2], 0x5a);
    assert_true(aw_ok(aw_b64url_decode("Zm8", 3, out, 2, &size)));
    assert_int_equal(out[2], 0x5a);
}

/* What people paste as an EAB key. */
static const struct {
    const char *name;
    const char *text;
    const char *bytes; /* NULL: refused */
    const char *reason;
} pasted[] = {
    {"base64url", "A-z_4ME", "\x03\xec\xff\xe0\xc1", NULL},
    {"base64url with padding", "A-z_4ME=", "\x03\xec\xff\xe0\xc1", NULL},
    {"base64", "A+z/4ME", "\x03\xec\xff\xe0\xc1", NULL},
    {"base64 with padding", "A+z/4ME=", "\x03\xec\xff\xe0\xc1", NULL},
    {"a minus first", "-_-_", "\xfb\xff\xbf", NULL},
    {"white space around", " \r\n\tZm9v\r\n ", "foo", NULL},
    {"two fill characters", "Zg==", "f", NULL},
    {"empty", "", "", NULL},
    {"white space only", " \n", "", NULL},
    {"white space inside", "Zm9v Zm9v", NULL, "character 5"},
    {"both alphabets", "A-z/4ME", NULL, "mixes"},
    {"too little padding", "Zg=", NULL, "1 \"=\" after 2"},
    {"too much padding", "Zm9v====", NULL, "4 \"=\" after 4"},
    {"padding without need", "Zm9v=", NULL, "\"=\""},
    {"padding alone", "==", NULL, "\"=\""},
    {"padding inside", "Zg==Zg==", NULL, "character 3"},
    {"unused bits", "Zh==", NULL, "unused bits"},
    {"one digit over", "Zm9vY", NULL, "whole number"},
    {"quotes", "\"Zm9v\"", NULL, "character 1"},
};

static void
lenient_takes_what_people_paste(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(pasted); i++) {
        AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;
        AW_CLEANUP(aw_secret_free) aw_secret *out = NULL;
        static const uint8_t zeros[32];
        size_t length = strlen(pasted[i].text);
        assert_true(aw_ok(aw_secret_new(32, &text)));
        assert_true(aw_ok(aw_secret_new(length > 0 ? length : 1, &out)));
        assert_true(aw_ok(aw_secret_append(text, pasted[i].text, length)));
        aw_result r = aw_base64_decode_lenient(text, out);
        if (pasted[i].bytes != NULL) {
            if (!aw_ok(r) || !aw_secret_equal(out, pasted[i].bytes, strlen(pasted[i].bytes)))
                fail_msg("%s: refused or wrong", pasted[i].name);
            continue;
        }
        if (r.code != AW_CODE_SYNTAX || !strstr(aw_error_last()->message, pasted[i].reason))
            fail_msg("%s: %s, %s", pasted[i].name, aw_code_tag(r.code), aw_error_last()->message);
        if (out->size != 0 || memcmp(out->data, zeros, out->capacity) != 0)
            fail_msg("%s: octets of the key are left behind", pasted[i].name);
        if (aw_error_last()->hint[0] == '\0')
            fail_msg("%s: no hint", pasted[i].name);
    }
}

static void
lenient_keeps_the_capacity(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *out = NULL;

    (void)state;
    assert_true(aw_ok(aw_secret_new(32, &text)));
    assert_true(aw_ok(aw_secret_new(2, &out)));
    assert_true(aw_ok(aw_secret_append(text, "Zm9vYmFy", 8)));
    assert_int_equal(aw_base64_decode_lenient(text, out).code, AW_CODE_LIMIT);
    assert_int_equal(out->size, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_rfcs),
        cmocka_unit_test(agrees_with_openssl),
        cmocka_unit_test(refuses_what_is_not_exact),
        cmocka_unit_test(capacity_is_kept),
        cmocka_unit_test(lenient_takes_what_people_paste),
        cmocka_unit_test(lenient_keeps_the_capacity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
