/**
 * @file question.h
 * @brief What a comparison asks both policies: a few questions for each entry that differs, each
 * about many names.
 */
#ifndef AW_POLICY_QUESTION_H
#define AW_POLICY_QUESTION_H

#include "policy/decide.h"

/** What is asked about a text. */
enum question_form { ASK_NAME, ASK_WILDCARD, ASK_BELOW, ASK_ONE_BELOW, ASK_NETWORK };

/** A question; the text is of one of the two policies. */
struct question {
    enum question_form form;
    const char *text;
};

/** Questions in the making. Zero-initialise; release: policy_questions_free. */
struct questions {
    struct question *items;
    size_t count;
    size_t capacity;
};

/** What the form asks about, in words: "names below". */
const char *policy_question_words(enum question_form form);

/** Adds all that an entry decides, of its own application and of others. AW_CODE_MEMORY. */
AW_MUST_USE aw_result policy_questions_add(
    struct questions *questions, enum claim_kind kind, const char *text);

/** The same for all entries of an application, which may be NULL. */
AW_MUST_USE aw_result policy_questions_add_all(struct questions *questions,
    const policy_snapshot *snapshot, const struct application *application);

/** Adds what the ceilings cut or let through, which may be in the midst of what an entry covers. */
AW_MUST_USE aw_result policy_questions_add_ceilings(
    struct questions *questions, const policy_snapshot *snapshot);

/** Puts them in order, each once. */
void policy_questions_finish(struct questions *questions);

/** How a policy answers. */
struct finding policy_question_decide(const policy_snapshot *snapshot,
    const struct application *application, const struct question *question);

/** Releases and zeroes. */
void policy_questions_free(struct questions *questions);

#endif
