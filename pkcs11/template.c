#include "pkcs11/template.h"

#include <stdio.h>

#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"

/* Attributes left out at once before all are: 16 droppable ones make 697 tries at most. */
enum { DROPPED_TOGETHER_MAX = 3 };

void
token_list_add(char *list, const char *name)
{
    size_t used = strlen(list);

    snprintf(list + used, TOKEN_LIST_SIZE - used, "%s%s", used == 0 ? "" : ", ", name);
}

static void
append(struct token_template *t, CK_ATTRIBUTE attribute, bool droppable)
{
    if (t->count == TOKEN_TEMPLATE_MAX)
        return; /* seen at once: the creation would lack an attribute in every test */
    t->attributes[t->count] = attribute;
    t->droppable[t->count++] = droppable;
}

void
token_template_must(struct token_template *t, CK_ATTRIBUTE attribute)
{
    append(t, attribute, false);
}

void
token_template_must_flag(struct token_template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    append(t, token_attribute_bool(type, value), false);
}

void
token_template_name(
    struct token_template *t, const char *label, const uint8_t id[TOKEN_NEW_ID_SIZE])
{
    token_template_must_flag(t, CKA_TOKEN, true);
    token_template_must(t, token_attribute(CKA_LABEL, label, strlen(label)));
    token_template_must(t, token_attribute(CKA_ID, id, TOKEN_NEW_ID_SIZE));
}

void
token_template_may(struct token_template *t, CK_ATTRIBUTE attribute)
{
    append(t, attribute, true);
}

void
token_template_deny(struct token_template *t, const CK_ATTRIBUTE_TYPE *types, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        append(t, token_attribute_bool(types[i], false), true);
}

/* The templates without the droppable attributes whose bits are set. */
static void
reduce(
    const struct token_ladder *ladder, unsigned mask, struct token_template out[2], char *dropped)
{
    unsigned bit = 0;

    dropped[0] = '\0';
    for (unsigned i = 0; i < ladder->template_count; i++) {
        const struct token_template *from = &ladder->templates[i];
        out[i].count = 0;
        for (unsigned j = 0; j < from->count; j++) {
            bool drop = from->droppable[j] && (mask >> bit & 1) != 0;
            if (from->droppable[j])
                bit++;
            if (drop)
                token_list_add(dropped, token_attribute_name(from->attributes[j].type));
            else
                append(&out[i], from->attributes[j], from->droppable[j]);
        }
    }
}

static unsigned
count_droppable(const struct token_ladder *ladder)
{
    unsigned count = 0;

    for (unsigned i = 0; i < ladder->template_count; i++)
        for (unsigned j = 0; j < ladder->templates[i].count; j++)
            count += ladder->templates[i].droppable[j];
    return count;
}

/* Beside the answers meant for it, tokens refuse templates with this one. */
static bool
refused(const struct token_session *s)
{
    return token_ckr_class(s->answer) == TOKEN_CKR_ATTRIBUTE || s->answer == CKR_ARGUMENTS_BAD;
}

static aw_result
attempt(struct token_session *s, const struct token_ladder *ladder, unsigned mask,
    struct token_key_report *report)
{
    struct token_template templates[2];

    token_session_forgive(s);
    reduce(ladder, mask, templates, report->dropped);
    return ladder->create(s, templates, ladder->context);
}

aw_result
token_ladder_create(
    struct token_session *s, const struct token_ladder *ladder, struct token_key_report *report)
{
    unsigned droppable = count_droppable(ladder);
    aw_result r = attempt(s, ladder, 0, report);

    if (droppable > TOKEN_DROPPABLE_MAX)
        return aw_fail(AW_CODE_INTERNAL, "%u droppable attributes", droppable);
    for (int together = 1; together <= DROPPED_TOGETHER_MAX; together++) {
        for (unsigned mask = 1; mask < 1U << droppable; mask++) {
            if (aw_ok(r) || !refused(s))
                return r;
            if (__builtin_popcount(mask) == together)
                r = attempt(s, ladder, mask, report);
        }
    }
    if (aw_ok(r) || !refused(s))
        return r;
    return aw_context(attempt(s, ladder, (1U << droppable) - 1, report),
        "the token refuses the key even with the least attributes");
}

static aw_result
verify_flag(struct token_session *s, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *asked,
    struct token_key_report *report)
{
    enum token_flag flag;
    CK_BBOOL wanted;

    memcpy(&wanted, asked->pValue, sizeof(wanted));
    AW_TRY(token_flag_read(s, object, asked->type, &flag));
    if (flag == (wanted == CK_FALSE ? TOKEN_FLAG_FALSE : TOKEN_FLAG_TRUE))
        return AW_OK;
    token_list_add(report->weaker, token_attribute_name(asked->type));
    if (asked->type == CKA_SENSITIVE || asked->type == CKA_EXTRACTABLE)
        return aw_hint(
            aw_fail(AW_CODE_TOKEN,
                "the token made a key that it would give away: it accepted %s %s and did "
                "not keep to it",
                token_attribute_name(asked->type), wanted == CK_FALSE ? "false" : "true"),
            "such a token protects nothing; do not use it");
    return AW_OK;
}

aw_result
token_template_verify(struct token_session *s, CK_OBJECT_HANDLE object,
    const struct token_template *template, struct token_key_report *report)
{
    for (unsigned i = 0; i < template->count; i++)
        if (template->attributes[i].ulValueLen == sizeof(CK_BBOOL))
            AW_TRY(verify_flag(s, object, &template->attributes[i], report));
    return AW_OK;
}

aw_result
token_template_born(
    struct token_session *s, CK_OBJECT_HANDLE object, struct token_key_report *report)
{
    static const CK_ATTRIBUTE_TYPE types[] = {
        CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE};

    report->always_protected = true;
    for (size_t i = 0; i < AW_COUNT(types); i++) {
        enum token_flag flag;
        AW_TRY(token_flag_read(s, object, types[i], &flag));
        if (flag == TOKEN_FLAG_TRUE)
            continue;
        report->always_protected = false;
        token_list_add(report->weaker, token_attribute_name(types[i]));
    }
    return AW_OK;
}
