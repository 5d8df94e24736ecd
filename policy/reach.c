/*
 * Names that applications gain and lose. Every entry that differs stands for a few questions, which
 * are collected first. Then each is put to both policies, for all who have an entry that could
 * allow what is asked about.
 */
#include "policy/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/question.h"

enum { WORDS_SIZE = 640 };

struct reach {
    const struct comparison *all;
    struct questions questions;
    bool *cut[2]; /* accounts of either side whose ceiling is another on the other */
};

static void
reach_free(struct reach *reach)
{
    policy_questions_free(&reach->questions);
    free(reach->cut[0]);
    free(reach->cut[1]);
}

static const policy_snapshot *
side_of(const struct reach *reach, int side)
{
    return side == 0 ? reach->all->before : reach->all->after;
}

/* Verdicts. */

/* How an application's question is decided by both policies. */
struct answer {
    const struct application *applications[2];
    struct finding found[2]; /* where there is an application */
    bool allowed[2];
};

static struct answer
ask(const struct reach *reach, const char *name, const struct question *question)
{
    struct answer answer = {0};

    for (int side = 0; side < 2; side++) {
        const policy_snapshot *snapshot = side_of(reach, side);

        answer.applications[side] = policy_application_of(snapshot, name);
        if (answer.applications[side] == NULL)
            continue;
        answer.found[side] = policy_question_decide(snapshot, answer.applications[side], question);
        answer.allowed[side] = answer.found[side].allowed;
    }
    return answer;
}

/* 'names.held-by-other "www.example.edu" of app2'; NULL where there is no application. */
static const char *
finding_words(
    const struct reach *reach, int side, const struct answer *answer, char out[WORDS_SIZE])
{
    const policy_snapshot *snapshot = side_of(reach, side);
    const struct finding *found = &answer->found[side];
    const char *tag = policy_rule_tag(found->rule);

    if (answer->applications[side] == NULL)
        return NULL;
    if (found->claim == CLAIM_NONE)
        snprintf(out, WORDS_SIZE, "%s", tag);
    else if (!found->foreign)
        snprintf(out, WORDS_SIZE, "%s \"%s\"", tag, snapshot->index.texts[found->claim]);
    else
        snprintf(out, WORDS_SIZE, "%s \"%s\" of %s", tag, snapshot->index.texts[found->claim],
            owner_of(snapshot, found->claim)->shown.name);
    return out;
}

/* What is one label below is told only where it is not as all that is below. */
static bool
says_no_more(const struct reach *reach, const char *name, const struct question *question,
    const struct answer *answer)
{
    struct question wider = {ASK_BELOW, question->text};

    if (question->form != ASK_ONE_BELOW)
        return false;
    struct answer all = ask(reach, name, &wider);
    return all.allowed[0] == answer->allowed[0] && all.allowed[1] == answer->allowed[1];
}

static aw_result
tell(const struct reach *reach, const char *name, const struct question *question)
{
    struct answer answer = ask(reach, name, question);
    char words[2][WORDS_SIZE], text[AW_NAME_MAX + 3];

    if (answer.allowed[0] == answer.allowed[1] || says_no_more(reach, name, question, &answer))
        return AW_OK;
    snprintf(
        text, sizeof(text), "%s%s", question->form == ASK_WILDCARD ? "*." : "", question->text);
    return policy_changes_add(
        reach->all->changes, &(struct policy_change){.subject = name,
                                 .effect = answer.allowed[1] ? POLICY_GAINS : POLICY_LOSES,
                                 .what = policy_question_words(question->form),
                                 .text = text,
                                 .before = finding_words(reach, 0, &answer, words[0]),
                                 .after = finding_words(reach, 1, &answer, words[1])});
}

/* Whom to ask about. */

static aw_result
tell_chain(const struct reach *reach, int side, enum claim_kind kind,
    const struct policy_index_key *key, const struct question *question)
{
    const policy_snapshot *snapshot = side_of(reach, side);
    uint32_t claim = policy_index_find(&snapshot->index, kind, key);

    for (; claim != CLAIM_NONE; claim = policy_index_next(&snapshot->index, claim))
        AW_TRY(tell(reach, owner_of(snapshot, claim)->shown.name, question));
    return AW_OK;
}

static aw_result
tell_network(const struct reach *reach, int side, const struct question *question)
{
    const policy_snapshot *snapshot = side_of(reach, side);
    struct policy_network network = policy_index_network_of(question->text);
    char octets[INDEX_NETWORK_KEY_SIZE];

    for (int prefix = policy_next_prefix(snapshot, network.size, network.prefix + 1); prefix >= 0;
         prefix = policy_next_prefix(snapshot, network.size, prefix)) {
        struct policy_network shorter = policy_network_shorten(&network, (unsigned)prefix);
        struct policy_index_key key = policy_index_network_key(&shorter, octets);

        AW_TRY(tell_chain(reach, side, CLAIM_ADDRESSES, &key, question));
    }
    return AW_OK;
}

/* All who have an entry that could allow it. */
static aw_result
tell_side(const struct reach *reach, int side, const struct question *question)
{
    struct policy_index_suffixes suffixes;
    unsigned from = question->form == ASK_NAME ? 1 : 0;

    if (question->form == ASK_NETWORK)
        return tell_network(reach, side, question);
    policy_index_suffixes_of(question->text, strlen(question->text), &suffixes);
    if (question->form == ASK_WILDCARD)
        return tell_chain(reach, side, CLAIM_WILDCARDS, &suffixes.keys[0], question);
    if (question->form == ASK_NAME)
        AW_TRY(tell_chain(reach, side, CLAIM_EXACT, &suffixes.keys[0], question));
    for (unsigned i = from; i < suffixes.count; i++)
        AW_TRY(tell_chain(reach, side, CLAIM_SUBDOMAINS, &suffixes.keys[i], question));
    return AW_OK;
}

/* Entries that differ. */

static const enum question_form own_forms[CLAIM_NAMES] = {
    [CLAIM_EXACT] = ASK_NAME,
    [CLAIM_SUBDOMAINS] = ASK_BELOW,
    [CLAIM_WILDCARDS] = ASK_WILDCARD,
    [CLAIM_DENY] = ASK_BELOW,
    [CLAIM_ADDRESSES] = ASK_NETWORK,
};

/* An entry of one side that changes nothing for its own application, and every entry of deny. */
static aw_result
tell_entry(const struct reach *reach, int side, const struct application *application,
    enum claim_kind kind, const char *text)
{
    struct question question = {own_forms[kind], text};
    struct answer answer = ask(reach, application->shown.name, &question);
    char found[WORDS_SIZE], words[2][WORDS_SIZE + 16];

    if (kind != CLAIM_DENY && answer.allowed[0] != answer.allowed[1])
        return AW_OK;
    for (int i = 0; i < 2; i++)
        snprintf(words[i], sizeof(words[i]), "%s%s%s", i == side ? "listed" : "not listed",
            kind == CLAIM_DENY ? "" : ", ",
            kind == CLAIM_DENY ? "" : finding_words(reach, i, &answer, found));
    return policy_changes_add(
        reach->all->changes, &(struct policy_change){.subject = application->shown.name,
                                 .effect = POLICY_CHANGES,
                                 .what = policy_list_names[kind],
                                 .text = text,
                                 .before = words[0],
                                 .after = words[1]});
}

/* One application of one side, and the same of the other, if it is there. */
struct pair {
    int side;
    const struct application *mine;
    const struct application *theirs;
};

/* The next entry of a list, from a claim on, that only this side's application has. */
static uint32_t
next_only_here(
    const struct reach *reach, const struct pair *pair, enum claim_kind kind, uint32_t from)
{
    const struct policy_index *index = &side_of(reach, pair->side)->index;
    uint32_t first = policy_first_of(pair->mine, kind);
    uint32_t end = first + pair->mine->list_count[kind];

    for (uint32_t i = from < first ? first : from; i < end; i++) {
        struct policy_index_key key = policy_index_key_of_claim(index, i);

        if (!policy_lists(side_of(reach, !pair->side), pair->theirs, kind, &key))
            return i;
    }
    return CLAIM_NONE;
}

static bool
lists_more(const struct reach *reach, const struct pair *pair, enum claim_kind kind)
{
    return next_only_here(reach, pair, kind, 0) != CLAIM_NONE;
}

static aw_result
collect_list(struct reach *reach, const struct pair *pair, enum claim_kind kind)
{
    const char **texts = side_of(reach, pair->side)->index.texts;
    uint32_t i = next_only_here(reach, pair, kind, 0);

    for (; i != CLAIM_NONE; i = next_only_here(reach, pair, kind, i + 1)) {
        AW_TRY(policy_questions_add(&reach->questions, kind, texts[i]));
        if (pair->theirs != NULL)
            AW_TRY(tell_entry(reach, pair->side, pair->mine, kind, texts[i]));
    }
    return AW_OK;
}

/* All entries of both sides' application of that name. */
static aw_result
collect_both(struct reach *reach, const char *name)
{
    for (int side = 0; side < 2; side++) {
        const policy_snapshot *snapshot = side_of(reach, side);

        AW_TRY(policy_questions_add_all(
            &reach->questions, snapshot, policy_application_of(snapshot, name)));
    }
    return AW_OK;
}

/* What belongs to an application that is shared with on one side only. */
static aw_result
collect_shared(struct reach *reach, const struct pair *pair)
{
    const char **texts = side_of(reach, pair->side)->index.texts;
    uint32_t i = next_only_here(reach, pair, CLAIM_SHARES, 0);

    for (; i != CLAIM_NONE; i = next_only_here(reach, pair, CLAIM_SHARES, i + 1))
        AW_TRY(collect_both(reach, texts[i]));
    return AW_OK;
}

/* Notes accounts of one side that have a ceiling the other side's do not have, on both. */
static void
compare_ceilings(struct reach *reach, int side)
{
    const policy_snapshot *mine = side_of(reach, side), *other = side_of(reach, !side);

    for (uint32_t i = 0; i < mine->index.count; i++) {
        enum claim_kind kind = policy_index_kind(&mine->index, i);

        if (!claim_is_of_account(kind))
            break;
        uint16_t number = mine->index.owners[i];
        int theirs = policy_account_of(other, mine->accounts[number].name);
        struct policy_index_key key = policy_index_key_of_claim(&mine->index, i);
        if (theirs < 0 ||
            policy_index_find_own(&other->index, kind, &key, (uint16_t)theirs) != CLAIM_NONE)
            continue;
        reach->cut[side][number] = true;
        reach->cut[!side][theirs] = true;
    }
}

/* Entries stay, but what they are worth may not. */
static bool
is_affected(const struct reach *reach, const struct pair *pair)
{
    return strcmp(pair->mine->shown.account, pair->theirs->shown.account) != 0 ||
           reach->cut[pair->side][pair->mine->account] || lists_more(reach, pair, CLAIM_DENY) ||
           lists_more(reach, pair, CLAIM_SHARES);
}

static aw_result
collect_application(struct reach *reach, const struct pair *pair)
{
    for (unsigned kind = 0; kind < CLAIM_NAMES; kind++)
        AW_TRY(collect_list(reach, pair, (enum claim_kind)kind));
    AW_TRY(collect_shared(reach, pair));
    if (pair->theirs == NULL || !is_affected(reach, pair))
        return AW_OK;
    return collect_both(reach, pair->mine->shown.name);
}

static aw_result
collect_side(struct reach *reach, int side)
{
    const policy_snapshot *mine = side_of(reach, side), *other = side_of(reach, !side);

    for (size_t i = 0; i < mine->application_count; i++) {
        const struct application *application = &mine->applications[i];
        struct pair pair = {
            side, application, policy_application_of(other, application->shown.name)};

        AW_TRY(collect_application(reach, &pair));
    }
    return AW_OK;
}

/* A ceiling may lie below an entry that differs: then the entry alone says too little. */
static aw_result
collect(struct reach *reach)
{
    AW_TRY(collect_side(reach, 0));
    AW_TRY(collect_side(reach, 1));
    for (int side = 0; side < 2 && reach->questions.count > 0; side++)
        AW_TRY(policy_questions_add_ceilings(&reach->questions, side_of(reach, side)));
    policy_questions_finish(&reach->questions);
    return AW_OK;
}

aw_result
policy_reach_compare(const struct comparison *comparison)
{
    AW_CLEANUP(reach_free) struct reach reach = {.all = comparison};

    for (int side = 0; side < 2; side++) {
        reach.cut[side] = calloc(side_of(&reach, side)->account_count + 1, sizeof(bool));
        if (reach.cut[side] == NULL)
            return aw_fail_memory();
    }
    compare_ceilings(&reach, 0);
    compare_ceilings(&reach, 1);
    AW_TRY(collect(&reach));
    for (size_t i = 0; i < reach.questions.count; i++)
        for (int side = 0; side < 2; side++)
            AW_TRY(tell_side(&reach, side, &reach.questions.items[i]));
    return AW_OK;
}
