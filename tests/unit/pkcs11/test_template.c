/* The ladder of attributes against a creation that refuses what a row says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pkcs11/ckr.h"
#include "pkcs11/template.h"

enum { REFUSED_MAX = 8 };

struct picky_token {
    CK_ATTRIBUTE_TYPE refused[REFUSED_MAX];
    CK_RV answer;
    unsigned tries;
    bool kept_sensitive; /* in every try */
};

static bool
has(const struct token_template *t, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->attributes[i].type == type)
            return true;
    return false;
}

static aw_result
create(struct token_session *s, const struct token_template *templates, void *context)
{
    struct picky_token *picky = context;

    picky->tries++;
    picky->kept_sensitive &=
        has(&templates[0], CKA_SENSITIVE) && has(&templates[0], CKA_EXTRACTABLE);
    for (unsigned i = 0; i < REFUSED_MAX && picky->refused[i] != 0; i++) {
        if (!has(&templates[0], picky->refused[i]))
            continue;
        s->answer = picky->answer;
        return token_ckr_fail(picky->answer, "C_CreateObject");
    }
    return AW_OK;
}

static const CK_ATTRIBUTE_TYPE denied[] = {CKA_COPYABLE, CKA_MODIFIABLE, CKA_VERIFY, CKA_DERIVE,
    CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP};

static const struct {
    const char *name;
    CK_ATTRIBUTE_TYPE refused[REFUSED_MAX];
    CK_RV answer;
    enum aw_code code;
    const char *dropped;
    unsigned tries_max;
} rows[] = {
    {"nothing refused", {0}, CKR_OK, AW_CODE_OK, "", 1},
    {"one", {CKA_MODIFIABLE}, CKR_ATTRIBUTE_READ_ONLY, AW_CODE_OK, "MODIFIABLE", 9},
    {"the last one", {CKA_UNWRAP}, CKR_TEMPLATE_INCONSISTENT, AW_CODE_OK, "UNWRAP", 9},
    {"one, by a generic answer", {CKA_COPYABLE}, CKR_ARGUMENTS_BAD, AW_CODE_OK, "COPYABLE", 9},
    {"two", {CKA_COPYABLE, CKA_WRAP}, CKR_ATTRIBUTE_TYPE_INVALID, AW_CODE_OK, "COPYABLE, WRAP", 37},
    {"three", {CKA_COPYABLE, CKA_VERIFY, CKA_DERIVE}, CKR_ATTRIBUTE_VALUE_INVALID, AW_CODE_OK,
        "COPYABLE, VERIFY, DERIVE", 93},
    {"four: all are dropped", {CKA_COPYABLE, CKA_VERIFY, CKA_DERIVE, CKA_WRAP},
        CKR_ATTRIBUTE_TYPE_INVALID, AW_CODE_OK,
        "COPYABLE, MODIFIABLE, VERIFY, DERIVE, ENCRYPT, DECRYPT, WRAP, UNWRAP", 94},
    {"SENSITIVE is never dropped", {CKA_SENSITIVE}, CKR_ATTRIBUTE_TYPE_INVALID, AW_CODE_UNSUPPORTED,
        NULL, 94},
    {"EXTRACTABLE false is never dropped", {CKA_EXTRACTABLE}, CKR_TEMPLATE_INCONSISTENT,
        AW_CODE_UNSUPPORTED, NULL, 94},
    {"another failure ends it", {CKA_COPYABLE}, CKR_DEVICE_MEMORY, AW_CODE_TOKEN, NULL, 1},
    {"gone ends it", {CKA_COPYABLE}, CKR_DEVICE_REMOVED, AW_CODE_TOKEN_GONE, NULL, 1},
};

static void
check_row(size_t i)
{
    struct token_session s = {0};
    struct token_key_report report = {0};
    struct picky_token picky = {.answer = rows[i].answer, .kept_sensitive = true};
    struct token_ladder ladder = {.template_count = 1, .create = create, .context = &picky};

    memcpy(picky.refused, rows[i].refused, sizeof(picky.refused));
    token_template_must_flag(&ladder.templates[0], CKA_SENSITIVE, true);
    token_template_must_flag(&ladder.templates[0], CKA_EXTRACTABLE, false);
    token_template_deny(&ladder.templates[0], denied, AW_COUNT(denied));
    aw_result r = token_ladder_create(&s, &ladder, &report);
    if (r.code != rows[i].code)
        fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
    if (rows[i].dropped != NULL && strcmp(report.dropped, rows[i].dropped) != 0)
        fail_msg("%s: dropped %s", rows[i].name, report.dropped);
    if (picky.tries > rows[i].tries_max)
        fail_msg("%s: %u tries", rows[i].name, picky.tries);
    if (!picky.kept_sensitive)
        fail_msg("%s: SENSITIVE or EXTRACTABLE was left out", rows[i].name);
}

static void
test_ladder(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        check_row(i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ladder)};

    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
