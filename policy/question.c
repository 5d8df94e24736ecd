#include "policy/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
policy_question_words(enum question_form form)
{
    static const char *const words[] = {
        [ASK_NAME] = "name",
        [ASK_WILDCARD] = "name",
        [ASK_BELOW] = "names below",
        [ASK_ONE_BELOW] = "names one label below",
        [ASK_NETWORK] = "addresses",
    };

    return words[form];
}

void
policy_questions_free(struct questions *questions)
{
    free(questions->items);
    *questions = (struct questions){0};
}

/* Making them. */

static aw_result
add(struct questions *questions, enum question_form form, const char *text)
{
    if (questions->count == questions->capacity) {
        size_t capacity = questions->capacity == 0 ? 256 : 2 * questions->capacity;
        struct question *items = realloc(questions->items, capacity * sizeof(*items));

        if (items == NULL)
            return aw_fail_memory();
        questions->items = items;
        questions->capacity = capacity;
    }
    questions->items[questions->count++] = (struct question){form, text};
    return AW_OK;
}

static aw_result
add_around(struct questions *questions, const char *text)
{
    AW_TRY(add(questions, ASK_BELOW, text));
    AW_TRY(add(questions, ASK_ONE_BELOW, text));
    return add(questions, ASK_WILDCARD, text);
}

/* The wildcard that stands for a name, which others may have. */
static aw_result
add_wildcard_over(struct questions *questions, const char *text)
{
    const char *dot = strchr(text, '.');

    return dot == NULL ? AW_OK : add(questions, ASK_WILDCARD, dot + 1);
}

aw_result
policy_questions_add(struct questions *questions, enum claim_kind kind, const char *text)
{
    if (kind == CLAIM_ADDRESSES)
        return add(questions, ASK_NETWORK, text);
    if (kind == CLAIM_EXACT || kind == CLAIM_DENY) {
        AW_TRY(add(questions, ASK_NAME, text));
        AW_TRY(add_wildcard_over(questions, text));
    }
    return kind == CLAIM_EXACT ? AW_OK : add_around(questions, text);
}

aw_result
policy_questions_add_all(struct questions *questions, const policy_snapshot *snapshot,
    const struct application *application)
{
    uint32_t claim = application == NULL ? 0 : application->first;

    for (unsigned kind = 0; kind < CLAIM_NAMES && application != NULL; kind++)
        for (uint32_t end = claim + application->list_count[kind]; claim < end; claim++)
            AW_TRY(policy_questions_add(
                questions, (enum claim_kind)kind, snapshot->index.texts[claim]));
    return AW_OK;
}

static aw_result
add_ceiling(struct questions *questions, enum claim_kind kind, const char *text)
{
    if (kind == CLAIM_CEILING_NETWORK)
        return add(questions, ASK_NETWORK, text);
    if (kind == CLAIM_ACCOUNT)
        return AW_OK;
    AW_TRY(add(questions, ASK_NAME, text));
    return add_around(questions, text);
}

aw_result
policy_questions_add_ceilings(struct questions *questions, const policy_snapshot *snapshot)
{
    const struct policy_index *index = &snapshot->index;

    for (uint32_t i = 0; i < index->count && claim_is_of_account(policy_index_kind(index, i)); i++)
        AW_TRY(add_ceiling(questions, policy_index_kind(index, i), index->texts[i]));
    return AW_OK;
}

static int
by_question(const void *a, const void *b)
{
    const struct question *x = a, *y = b;

    return x->form != y->form ? (int)x->form - (int)y->form : strcmp(x->text, y->text);
}

void
policy_questions_finish(struct questions *questions)
{
    size_t kept = 0;

    if (questions->count > 0)
        qsort(questions->items, questions->count, sizeof(*questions->items), by_question);
    for (size_t i = 0; i < questions->count; i++)
        if (kept == 0 || by_question(&questions->items[kept - 1], &questions->items[i]) != 0)
            questions->items[kept++] = questions->items[i];
    questions->count = kept;
}

/* Answers. */

/* A host name or a wildcard; that of the longest name does not fit: nobody can have it. */
static struct finding
decide_name(const policy_snapshot *snapshot, const struct application *application,
    enum aw_name_form form, const char *text)
{
    struct aw_name name = {.form = form};
    int length =
        snprintf(name.text, sizeof(name.text), "%s%s", form == AW_NAME_WILDCARD ? "*." : "", text);

    if (length > AW_NAME_MAX)
        return (struct finding){.rule = POLICY_RULE_NAMES_NONE, .claim = CLAIM_NONE};
    name.length = (uint8_t)length;
    return policy_decide_name(snapshot, application, &name);
}

struct finding
policy_question_decide(const policy_snapshot *snapshot, const struct application *application,
    const struct question *question)
{
    struct policy_network network;

    switch (question->form) {
    case ASK_NAME:
        return decide_name(snapshot, application, AW_NAME_HOST, question->text);
    case ASK_WILDCARD:
        return decide_name(snapshot, application, AW_NAME_WILDCARD, question->text);
    case ASK_BELOW:
        return policy_decide_below(snapshot, application, question->text, BELOW_ANY);
    case ASK_ONE_BELOW:
        return policy_decide_below(snapshot, application, question->text, BELOW_ONE);
    case ASK_NETWORK:
        break;
    }
    network = policy_index_network_of(question->text);
    return policy_decide_network(snapshot, application, &network);
}
