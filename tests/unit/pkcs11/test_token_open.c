/* Opening: configuration, discovery, PIN and latch, with the message for each failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/login.h"
#include "softhsm.h"

static int
setup(void **state)
{
    struct softhsm *h = malloc(sizeof(*h));

    softhsm_make(h);
    *state = h;
    return 0;
}

static int
teardown(void **state)
{
    softhsm_remove(*state);
    free(*state);
    return 0;
}

/* Configuration. NULL: as softhsm_make has it. */
static const struct {
    const char *name;
    const char *module;
    const char *uri;
    enum aw_code code;
    const char *part;
    const char *hint;
} rows[] = {
    {"no such module", "/nonexistent/p11.so", NULL, AW_CODE_TOKEN_ABSENT, "/nonexistent/p11.so",
        "module"},
    {"relative module", "libsofthsm2.so", NULL, AW_CODE_CONFIG, "not an absolute path",
        "whole path"},
    {"a library that is no module", "/lib/x86_64-linux-gnu/libm.so.6", NULL, AW_CODE_TOKEN_ABSENT,
        "C_GetFunctionList", "module"},
    {"missing token", NULL, "pkcs11:token=elsewhere", AW_CODE_TOKEN_ABSENT, "\"test\" (serial",
        "correct the URI"},
    {"missing serial", NULL, "pkcs11:token=test;serial=00", AW_CODE_TOKEN_ABSENT,
        "no token matches", "correct the URI"},
    {"two tokens", NULL, "pkcs11:manufacturer=SoftHSM%20project", AW_CODE_CONFIG, "2 tokens match",
        "serial="},
    {"no scheme", NULL, "token=test", AW_CODE_CONFIG, "not valid", "RFC 7512"},
    {"bad escape", NULL, "pkcs11:token=%zz", AW_CODE_CONFIG, "not valid", "RFC 7512"},
    {"unknown attribute", NULL, "pkcs11:tokn=test", AW_CODE_CONFIG, "does not know", "token="},
    {"an object's URI", NULL, "pkcs11:token=test;object=key", AW_CODE_CONFIG, "names an object",
        "leave"},
    {"another module in the URI", NULL, "pkcs11:token=test?module-path=/x.so", AW_CODE_CONFIG,
        "/x.so", "leave"},
    {"a slot that is not it", NULL, "pkcs11:token=test;slot-id=7", AW_CODE_TOKEN_ABSENT,
        "no token matches", "correct"},
};

static void
test_messages(void **state)
{
    struct softhsm *h = *state;

    softhsm_add_token(h, "second");
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct token_config config = h->config;
        token *t = NULL;
        if (rows[i].module != NULL)
            config.module = rows[i].module;
        if (rows[i].uri != NULL)
            config.uri = rows[i].uri;
        aw_result r = token_open(&config, &t);
        const struct aw_error *error = aw_error_last();
        assert_null(t);
        if (r.code != rows[i].code || strstr(error->message, rows[i].part) == NULL ||
            strstr(error->hint, rows[i].hint) == NULL)
            fail_msg("%s: %s, \"%s\" (hint: %s)", rows[i].name, aw_code_tag(r.code), error->message,
                error->hint);
        assert_int_equal(access(h->latch, F_OK), -1);
    }
    token *t = softhsm_open(h); /* and the right one is found beside the second */
    token_close(&t);
}

/* A PIN in the URI is refused and never quoted, whatever else is wrong with the URI. */
static void
test_pin_value_is_refused(void **state)
{
    static const char *const forms[] = {"pkcs11:token=test?pin-value=%s",
        "pkcs11:token=test?pin-source=/p&pin-value=%s", "pkcs11:token=%%zz?pin-value=%s"};
    struct softhsm *h = *state;

    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        struct token_config config = h->config;
        char uri[160];
        token *t = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(uri, sizeof(uri), forms[i], h->pin);
#pragma GCC diagnostic pop
        config.uri = uri;
        assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "pin-value");
        assert_null(strstr(aw_error_last()->message, h->pin));
        assert_null(strstr(aw_error_last()->hint, h->pin));
        assert_non_null(strstr(aw_error_last()->hint, "pin-source"));
    }
}

static void
test_limits_of_configuration(void **state)
{
    struct softhsm *h = *state;
    struct token_config config = h->config;
    token *t = NULL;

    config.sessions = 0;
    assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "0 sessions");
    config.sessions = TOKEN_SESSIONS_MAX + 1;
    assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "66 sessions");
    config = h->config;
    config.latch = NULL;
    assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "latch");
    config = h->config;
    config.uri = NULL;
    assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "no token URI");
    config = h->config;
    config.pin_source = NULL;
    assert_fails(token_open(&config, &t), AW_CODE_TOKEN_PIN, "no source");
    config = h->config;
    config.properties = "provider=nonexistent";
    assert_fails(token_open(&config, &t), AW_CODE_CRYPTO, "provider=nonexistent");
}

/* One owner of a module: login and finalisation would be shared otherwise. */
static void
test_second_open_is_refused(void **state)
{
    struct softhsm *h = *state;
    token *t = softhsm_open(h);
    token *second = NULL;
    token_key *key = NULL;
    struct token_key_report report;

    assert_fails(token_open(&h->config, &second), AW_CODE_TOKEN, "another part of this process");
    assert_ok(token_key_generate(t, "k", TOKEN_KEY_EC_P256, &report, &key)); /* unharmed */
    token_key_free(&key);
    token_close(&t);
}

static void
test_uris_that_name_it(void **state)
{
    struct softhsm *h = *state;
    struct token_info info;
    char uris[5][320];
    token *t = softhsm_open(h);

    assert_ok(token_info_get(t, &info));
    assert_string_equal(info.label, "test");
    assert_string_equal(info.manufacturer, "SoftHSM project");
    assert_int_equal(strlen(info.serial), 16);
    assert_false(
        info.pin_count_low || info.pin_final_try || info.pin_locked || info.write_protected);
    assert_true((info.flags & CKF_LOGIN_REQUIRED) != 0);
    token_close(&t);
    snprintf(uris[0], sizeof(uris[0]), "pkcs11:");
    snprintf(uris[1], sizeof(uris[1]), "pkcs11:serial=%s", info.serial);
    snprintf(uris[2], sizeof(uris[2]), "pkcs11:slot-id=%lu", info.slot);
    snprintf(uris[3], sizeof(uris[3]), "pkcs11:token=test?pin-source=file:%s", h->pin_path);
    snprintf(uris[4], sizeof(uris[4]), "pkcs11:token=test?pin-source=%s&module-path=%s",
        h->pin_path, SOFTHSM_MODULE);
    for (size_t i = 0; i < AW_COUNT(uris); i++) {
        struct token_config config = h->config;
        config.uri = uris[i];
        config.pin_source = i < 3 ? h->pin_path : NULL;
        if (!aw_ok(token_open(&config, &t)))
            fail_msg("%s: %s", uris[i], aw_error_last()->message);
        token_close(&t);
    }
    struct token_config config = h->config;
    config.uri = "pkcs11:token=test?pin-source=pin.txt";
    config.pin_source = NULL;
    assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "pin-source \"pin.txt\"");
    config.uri = "pkcs11:token=test?pin-source=%7Ccat%20/pin";
    assert_fails(token_open(&config, &t), AW_CODE_CONFIG, "pin-source");
}

/* The PIN's file. */

static const struct {
    const char *name;
    const char *text; /* NULL: the right PIN with a newline */
    unsigned mode;
    const char *part;
} pin_rows[] = {
    {"readable for the group", NULL, 0440, "pin"},
    {"readable for all", NULL, 0404, "pin"},
    {"writable for the group", NULL, 0620, "pin"},
    {"empty", "", 0400, "is empty"},
    {"a newline only", "\n", 0400, "is empty"},
};

static void
test_pin_file(void **state)
{
    struct softhsm *h = *state;
    token *t = NULL;
    char text[400];

    for (size_t i = 0; i < AW_COUNT(pin_rows); i++) {
        snprintf(text, sizeof(text), "%s\n", h->pin);
        softhsm_write_pin(h, pin_rows[i].text == NULL ? text : pin_rows[i].text, pin_rows[i].mode);
        aw_result r = token_open(&h->config, &t);
        if (r.code != AW_CODE_TOKEN_PIN ||
            strstr(aw_error_last()->message, pin_rows[i].part) == NULL ||
            aw_error_last()->hint[0] == '\0')
            fail_msg("%s: %s %s", pin_rows[i].name, aw_code_tag(r.code), aw_error_last()->message);
        assert_int_equal(access(h->latch, F_OK), -1); /* nothing was tried */
    }
    memset(text, '1', sizeof(text));
    text[TOKEN_PIN_MAX + 1] = '\0';
    softhsm_write_pin(h, text, 0400);
    assert_fails(token_open(&h->config, &t), AW_CODE_TOKEN_PIN, "255");
    unlink(h->pin_path);
    assert_fails(token_open(&h->config, &t), AW_CODE_TOKEN_PIN, h->pin_path);
    softhsm_write_pin(h, h->pin, 0600); /* no newline at the end: as good */
    t = softhsm_open(h);
    token_close(&t);
}

static void
test_pin_symlink_is_refused(void **state)
{
    struct softhsm *h = *state;
    char elsewhere[160];
    token *t = NULL;

    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", h->root);
    assert_int_equal(rename(h->pin_path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, h->pin_path), 0);
    assert_fails(token_open(&h->config, &t), AW_CODE_TOKEN_PIN, "symbolic link");
}

/* systemd's credentials: the mask of their ACL shows as group permission. */
static void
test_permission_bits_by_folder(void **state)
{
    static const struct {
        const char *path;
        mode_t forbidden;
    } folders[] = {{"/etc/acmeward/pin", 0077},
        {"/run/credentials/acmeward-signer.service/pin", 0037},
        {"/run/credentials/../../tmp/pin", 0077}, {"/run/credentials-of-mine/pin", 0077},
        {"/tmp/run/credentials/x/pin", 0077}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(folders); i++)
        if (token_pin_forbidden(folders[i].path) != folders[i].forbidden)
            fail_msg("%s: %04o", folders[i].path, token_pin_forbidden(folders[i].path));
}

/* The latch. A function list with our own C_Login counts the attempts that reach the token. */

static unsigned logins;
static CK_C_Login real_login;

static CK_RV
counting_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, unsigned char *pin, unsigned long size)
{
    logins++;
    return real_login(s, user, pin, size);
}

static void
count_logins(void)
{
    CK_FUNCTION_LIST *f = softhsm_functions();

    logins = 0;
    real_login = f->C_Login;
    f->C_Login = counting_login;
}

static void
stop_counting(void)
{
    softhsm_functions()->C_Login = real_login;
}

/* Attack 96c: a restart loop with a wrong PIN. */
static void
attack_96c_a_wrong_pin_is_tried_once(void **state)
{
    struct softhsm *h = *state;
    token *t = NULL;
    struct stat st;

    softhsm_write_pin(h, "not the PIN\n", 0400);
    count_logins();
    assert_fails(token_open(&h->config, &t), AW_CODE_TOKEN_PIN, "CKR_PIN_INCORRECT");
    assert_non_null(strstr(aw_error_last()->hint, h->latch));
    assert_int_equal(logins, 1);
    assert_int_equal(stat(h->latch, &st), 0);
    for (int restart = 0; restart < 5; restart++) {
        assert_fails(token_open(&h->config, &t), AW_CODE_TOKEN_PIN, "no login");
        assert_non_null(strstr(aw_error_last()->hint, h->latch));
    }
    assert_int_equal(logins, 1);
    softhsm_write_pin(h, h->pin, 0400);
    assert_fails(
        token_open(&h->config, &t), AW_CODE_TOKEN_PIN, "no login"); /* until it is cleared */
    assert_int_equal(logins, 1);
    assert_int_equal(unlink(h->latch), 0);
    t = softhsm_open(h);
    assert_int_equal(logins, 2);
    assert_int_equal(access(h->latch, F_OK), -1);
    token_close(&t);
    stop_counting();
}

/* What the token would answer, and whether the marker stays. */
static CK_RV scripted_answer;
static char *scripted_latch;
static bool latched_during_login;

static CK_RV
scripted_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, unsigned char *pin, unsigned long size)
{
    (void)s;
    (void)user;
    (void)pin;
    (void)size;
    logins++;
    latched_during_login = access(scripted_latch, F_OK) == 0;
    return scripted_answer;
}

static const struct {
    const char *name;
    CK_RV answer;
    enum aw_code code;
    bool latched;
} login_rows[] = {
    {"incorrect", CKR_PIN_INCORRECT, AW_CODE_TOKEN_PIN, true},
    {"locked", CKR_PIN_LOCKED, AW_CODE_TOKEN_PIN, true},
    {"expired", CKR_PIN_EXPIRED, AW_CODE_TOKEN_PIN, true},
    {"length", CKR_PIN_LEN_RANGE, AW_CODE_TOKEN_PIN, true},
    /* It may have counted. */
    {"device error", CKR_DEVICE_ERROR, AW_CODE_TOKEN_GONE, true},
    {"device removed", CKR_DEVICE_REMOVED, AW_CODE_TOKEN_GONE, true},
    {"general error", CKR_GENERAL_ERROR, AW_CODE_TOKEN_PIN, true},
    {"no memory", CKR_HOST_MEMORY, AW_CODE_TOKEN_PIN, true},
    {"a vendor's own", CKR_VENDOR_DEFINED + 1, AW_CODE_TOKEN_PIN, true},
    /* It can't have. */
    {"SO logged in", CKR_USER_ANOTHER_ALREADY_LOGGED_IN, AW_CODE_BUSY, false},
    {"no token", CKR_TOKEN_NOT_PRESENT, AW_CODE_TOKEN_GONE, false},
    {"no session", CKR_SESSION_HANDLE_INVALID, AW_CODE_TOKEN, false},
    /* A login that nobody sees afterwards. */
    {"already logged in", CKR_USER_ALREADY_LOGGED_IN, AW_CODE_TOKEN, false},
    {"fine", CKR_OK, AW_CODE_TOKEN, false},
};

static void
test_answers_to_login(void **state)
{
    struct softhsm *h = *state;
    CK_FUNCTION_LIST *f = softhsm_functions();

    real_login = f->C_Login;
    scripted_latch = h->latch;
    f->C_Login = scripted_login;
    for (size_t i = 0; i < AW_COUNT(login_rows); i++) {
        token *t = NULL;
        logins = 0;
        scripted_answer = login_rows[i].answer;
        aw_result r = token_open(&h->config, &t);
        bool latched = access(h->latch, F_OK) == 0;
        token_close(&t);
        if (r.code != login_rows[i].code || latched != login_rows[i].latched || logins != 1 ||
            !latched_during_login)
            fail_msg("%s: %s, marker %d, %u logins, marker during login %d", login_rows[i].name,
                aw_code_tag(r.code), latched, logins, latched_during_login);
        unlink(h->latch);
    }
    f->C_Login = real_login;
}

static void
test_no_marker_no_login(void **state)
{
    struct softhsm *h = *state;
    struct token_config config = h->config;
    char latch[160];
    token *t = NULL;

    snprintf(latch, sizeof(latch), "%s/absent/latch", h->root);
    config.latch = latch;
    count_logins();
    aw_result r = token_open(&config, &t);
    stop_counting();
    assert_false(aw_ok(r));
    assert_non_null(strstr(aw_error_last()->message, "no login without a marker"));
    assert_non_null(strstr(aw_error_last()->hint, "absent"));
    assert_int_equal(logins, 0);
}

/* Flags that SoftHSM never shows. */

static CK_FLAGS extra_flags;
static CK_FLAGS missing_flags;
static CK_C_GetTokenInfo real_info;

static CK_RV
flagged_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = real_info(slot, info);

    info->flags = (info->flags | extra_flags) & ~missing_flags;
    return rv;
}

static const struct {
    const char *name;
    CK_FLAGS extra;
    CK_FLAGS missing;
    enum aw_code code;
    const char *part;
    unsigned logins;
} flag_rows[] = {
    {"final try", CKF_USER_PIN_FINAL_TRY, 0, AW_CODE_TOKEN_PIN, "one more wrong PIN", 0},
    {"locked", CKF_USER_PIN_LOCKED, 0, AW_CODE_TOKEN_PIN, "is locked", 0},
    {"no user PIN", 0, CKF_USER_PIN_INITIALIZED, AW_CODE_TOKEN_PIN, "no user PIN yet", 0},
    {"count low is no reason", CKF_USER_PIN_COUNT_LOW, 0, AW_CODE_OK, "", 1},
    {"no login required", 0, CKF_LOGIN_REQUIRED, AW_CODE_OK, "", 0},
};

static void
test_flags_before_login(void **state)
{
    struct softhsm *h = *state;
    CK_FUNCTION_LIST *f = softhsm_functions();

    real_info = f->C_GetTokenInfo;
    f->C_GetTokenInfo = flagged_info;
    count_logins();
    for (size_t i = 0; i < AW_COUNT(flag_rows); i++) {
        token *t = NULL;
        logins = 0;
        extra_flags = flag_rows[i].extra;
        missing_flags = flag_rows[i].missing;
        aw_result r = token_open(&h->config, &t);
        if (r.code != flag_rows[i].code || logins != flag_rows[i].logins ||
            (!aw_ok(r) && strstr(aw_error_last()->message, flag_rows[i].part) == NULL))
            fail_msg("%s: %s, %u logins", flag_rows[i].name, aw_code_tag(r.code), logins);
        assert_int_equal(access(h->latch, F_OK), -1);
        token_close(&t);
    }
    f->C_GetTokenInfo = real_info;
    stop_counting();
}

/* A token that comes into sight while a start-up looks for it. */

static unsigned hidden_looks;
static CK_C_GetSlotList real_list;

static CK_RV
hiding_list(unsigned char present, CK_SLOT_ID *list, unsigned long *count)
{
    if (list == NULL && hidden_looks > 0) {
        hidden_looks--;
        *count = 0;
        return CKR_OK;
    }
    return real_list(present, list, count);
}

static void
test_start_looks_again(void **state)
{
    struct softhsm *h = *state;
    CK_FUNCTION_LIST *f = softhsm_functions();
    token *t = NULL;

    real_list = f->C_GetSlotList;
    f->C_GetSlotList = hiding_list;
    hidden_looks = 2;
    h->config.start_retries = 1;
    assert_fails(token_open(&h->config, &t), AW_CODE_TOKEN_ABSENT, "tokens here: none");
    hidden_looks = 2;
    h->config.start_retries = 2;
    t = softhsm_open(h);
    f->C_GetSlotList = real_list;
    token_close(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pin_value_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_open_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uris_that_name_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pin_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pin_symlink_is_refused, setup, teardown),
        cmocka_unit_test(test_permission_bits_by_folder),
        cmocka_unit_test_setup_teardown(attack_96c_a_wrong_pin_is_tried_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_to_login, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_marker_no_login, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flags_before_login, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_looks_again, setup, teardown),
    };

    return cmocka_run_group_tests_name("token_open", tests, NULL, NULL);
}
