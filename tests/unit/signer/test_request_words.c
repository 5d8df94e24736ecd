/* What operations and kinds of URLs are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer/request.h"

static void
names_of_operations(void **state)
{
    enum sign_operation operation;

    (void)state;
    assert_string_equal(sign_operation_name(SIGN_NEW_ORDER), "new-order");
    assert_true(sign_operation_parse("PostAsGet", &operation));
    assert_int_equal(operation, SIGN_POST_AS_GET);
    assert_true(sign_operation_parse("WhoAmI", &operation));
    assert_int_equal(operation, SIGN_WHOAMI);
    assert_false(sign_operation_parse("postasget", &operation));
    assert_false(sign_operation_parse("new-order", &operation));
    assert_false(sign_operation_parse("", &operation));
}

static void
names_of_kinds(void **state)
{
    static const char *const kinds[] = {
        "order", "finalize", "authorization", "challenge", "certificate"};
    enum sign_url_kind kind;

    (void)state;
    for (enum sign_url_kind k = SIGN_URL_ORDER; k <= SIGN_URL_CERTIFICATE; k++) {
        assert_true(sign_url_kind_parse(kinds[k], &kind));
        assert_int_equal(kind, k);
    }
    assert_false(sign_url_kind_parse("account", &kind));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_operations),
        cmocka_unit_test(names_of_kinds),
    };

    return cmocka_run_group_tests_name("request_words", tests, NULL, NULL);
}
