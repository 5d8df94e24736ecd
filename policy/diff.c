/* What an application is and may, but for its names; accounts; and the comparison as a whole. */
#include "policy/diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "policy/reach.h"
#include "policy/words.h"

/* One application on both sides; either may be NULL, not both. */
struct pair {
    const struct comparison *all;
    const char *name;
    const struct application *before;
    const struct application *after;
};

static aw_result
add(const struct pair *pair, const struct policy_change *change)
{
    struct policy_change named = *change;

    named.subject = pair->name;
    return policy_changes_add(pair->all->changes, &named);
}

/* Something that is there or not: gained, lost, or neither. */
static aw_result
compare_presence(
    const struct pair *pair, const char *what, const char *text, bool before, bool after)
{
    if (before == after)
        return AW_OK;
    return add(
        pair, &(struct policy_change){
                  .effect = after ? POLICY_GAINS : POLICY_LOSES, .what = what, .text = text});
}

/* Texts that only say who or where. */
static aw_result
compare_text(const struct pair *pair, const char *what, const char *before, const char *after)
{
    if (strcmp(before, after) == 0)
        return AW_OK;
    return add(pair, &(struct policy_change){
                         .effect = POLICY_CHANGES, .what = what, .before = before, .after = after});
}

/* Numbers of which more is a gain. */
static aw_result
compare_number(const struct pair *pair, const char *what, int64_t before, int64_t after)
{
    char texts[2][24];

    if (before == after)
        return AW_OK;
    snprintf(texts[0], sizeof(texts[0]), "%" PRId64, before);
    snprintf(texts[1], sizeof(texts[1]), "%" PRId64, after);
    return add(pair, &(struct policy_change){.effect = after > before ? POLICY_GAINS : POLICY_LOSES,
                         .what = what,
                         .before = pair->before == NULL ? NULL : texts[0],
                         .after = pair->after == NULL ? NULL : texts[1]});
}

static const char *
day_text(int64_t seconds, const char *none, char out[32])
{
    if (seconds == 0)
        return none;
    aw_time_text(seconds, out);
    out[10] = '\0';
    return out;
}

/* 0 is "never": for expires the latest of days, for warn_until the earliest. */
static aw_result
compare_day(const struct pair *pair, const char *what, int64_t before, int64_t after)
{
    bool expires = strcmp(what, "expires") == 0;
    int64_t never = expires ? INT64_MAX : 0;
    int64_t days[2] = {before == 0 ? never : before, after == 0 ? never : after};
    char texts[2][32];

    if (before == after)
        return AW_OK;
    return add(
        pair, &(struct policy_change){.effect = days[1] > days[0] ? POLICY_GAINS : POLICY_LOSES,
                  .what = what,
                  .before = day_text(before, expires ? "never" : "none", texts[0]),
                  .after = day_text(after, expires ? "never" : "none", texts[1])});
}

/* An entry of a list that only one side has: profiles and shares_with. */
static aw_result
compare_list(const struct pair *pair, enum claim_kind kind, const char *what, bool gained)
{
    const policy_snapshot *mine = gained ? pair->all->after : pair->all->before;
    const policy_snapshot *other = gained ? pair->all->before : pair->all->after;
    const struct application *listing = gained ? pair->after : pair->before;
    const struct application *opposite = gained ? pair->before : pair->after;

    if (listing == NULL)
        return AW_OK;
    uint32_t first = policy_first_of(listing, kind);
    for (uint32_t i = first; i < first + listing->list_count[kind]; i++) {
        const char *text = mine->index.texts[i];
        struct policy_index_key key = policy_index_key_of(text);

        if (!policy_lists(other, opposite, kind, &key))
            AW_TRY(compare_presence(pair, what, text, !gained, gained));
    }
    return AW_OK;
}

/* Principals: lines of a text. */

static bool
has_line(const char *lines, const char *line, size_t length)
{
    for (; *lines != '\0'; lines = strchr(lines, '\n') + 1)
        if (strncmp(lines, line, length) == 0 && lines[length] == '\n')
            return true;
    return false;
}

static aw_result
compare_principals(const struct pair *pair, const char *mine, const char *other, bool gained)
{
    for (const char *end; *mine != '\0'; mine = end + 1) {
        AW_CLEANUP(aw_free) char *text = NULL;

        end = strchr(mine, '\n');
        if (has_line(other, mine, (size_t)(end - mine)))
            continue;
        text = strndup(mine, (size_t)(end - mine));
        if (text == NULL)
            return aw_fail_memory();
        AW_TRY(compare_presence(pair, "principal", text, !gained, gained));
    }
    return AW_OK;
}

/* Conditions make a relay's clients fewer: the side that covers the other has more. */
static aw_result
compare_relay(
    const struct pair *pair, const struct policy_relay *before, const struct policy_relay *after)
{
    AW_CLEANUP(aw_free) char *old = NULL;
    AW_CLEANUP(aw_free) char *new = NULL;
    bool gains = policy_relay_covers(after, before), loses = policy_relay_covers(before, after);

    if (gains && loses)
        return AW_OK;
    AW_TRY(policy_relay_text(before, &old));
    AW_TRY(policy_relay_text(after, &new));
    return add(pair, &(struct policy_change){.effect = gains   ? POLICY_GAINS
                                                       : loses ? POLICY_LOSES
                                                               : POLICY_CHANGES,
                         .what = "relay",
                         .before = pair->before == NULL ? NULL : old,
                         .after = pair->after == NULL ? NULL : new});
}

/* The application. */

/* What stands for the side where the application does not exist: it may nothing. */
static const struct policy_application absent = {
    .name = "", .owner = "", .account = "", .principals = ""};

static aw_result
compare_rights(const struct pair *pair, const struct policy_application *before,
    const struct policy_application *after)
{
    AW_TRY(compare_presence(pair, "operation", policy_operation_name(POLICY_ORDER),
        before->can_order, after->can_order));
    AW_TRY(compare_presence(pair, "operation", policy_operation_name(POLICY_REVOKE),
        before->can_revoke, after->can_revoke));
    for (unsigned key = 0; key < POLICY_KEY_COUNT; key++)
        AW_TRY(compare_presence(pair, "key", policy_key_name((enum policy_key)key),
            before->keys >> key & 1, after->keys >> key & 1));
    AW_TRY(compare_principals(pair, before->principals, after->principals, false));
    AW_TRY(compare_principals(pair, after->principals, before->principals, true));
    for (int gained = 0; gained < 2; gained++) {
        AW_TRY(compare_list(pair, CLAIM_PROFILES, "profile", gained));
        AW_TRY(compare_list(pair, CLAIM_SHARES, "shares_with", gained));
    }
    AW_TRY(compare_relay(pair, &before->relay, &after->relay));
    AW_TRY(compare_number(pair, "limits.names_per_certificate", before->names_per_certificate,
        after->names_per_certificate));
    AW_TRY(compare_number(
        pair, "limits.orders_per_day", before->orders_per_day, after->orders_per_day));
    return compare_number(pair, "limits.revocations_per_day",
        before->can_revoke ? before->revocations_per_day : 0,
        after->can_revoke ? after->revocations_per_day : 0);
}

/* What is said of a new application besides its rights. */
static aw_result
describe(const struct pair *pair, const struct policy_application *shown)
{
    char text[32];

    AW_TRY(compare_presence(pair, "account", shown->account, false, true));
    AW_TRY(compare_presence(pair, "owner", shown->owner, false, true));
    if (shown->expires != 0)
        AW_TRY(
            compare_presence(pair, "expires", day_text(shown->expires, NULL, text), false, true));
    if (shown->warn_until != 0)
        AW_TRY(compare_presence(
            pair, "warn_until", day_text(shown->warn_until, NULL, text), false, true));
    return AW_OK;
}

static aw_result
compare_application(const struct pair *pair)
{
    const struct policy_application *before = pair->before == NULL ? &absent : &pair->before->shown;
    const struct policy_application *after = pair->after == NULL ? &absent : &pair->after->shown;

    AW_TRY(compare_presence(
        pair, "application", pair->name, pair->before != NULL, pair->after != NULL));
    AW_TRY(compare_rights(pair, before, after));
    if (pair->before == NULL)
        return describe(pair, after);
    if (pair->after == NULL)
        return AW_OK;
    AW_TRY(compare_text(pair, "owner", before->owner, after->owner));
    AW_TRY(compare_text(pair, "account", before->account, after->account));
    AW_TRY(compare_day(pair, "expires", before->expires, after->expires));
    return compare_day(pair, "warn_until", before->warn_until, after->warn_until);
}

static aw_result
compare_applications(const struct comparison *all)
{
    for (size_t i = 0; i < all->before->application_count; i++) {
        const struct application *before = &all->before->applications[i];
        struct pair pair = {
            all, before->shown.name, before, policy_application_of(all->after, before->shown.name)};

        AW_TRY(compare_application(&pair));
    }
    for (size_t i = 0; i < all->after->application_count; i++) {
        const struct application *after = &all->after->applications[i];
        struct pair pair = {all, after->shown.name, NULL, after};

        if (policy_application_of(all->before, after->shown.name) == NULL)
            AW_TRY(compare_application(&pair));
    }
    return AW_OK;
}

/* Accounts. */

/* The account's ceiling as far as only one side has it. */
static aw_result
compare_ceiling(const struct comparison *all, bool gained)
{
    const policy_snapshot *mine = gained ? all->after : all->before;
    const policy_snapshot *other = gained ? all->before : all->after;
    const struct policy_index *index = &mine->index;

    for (uint32_t i = 0; i < index->count; i++) {
        enum claim_kind kind = policy_index_kind(index, i);

        if (!claim_is_of_account(kind))
            break;
        const char *name = mine->accounts[index->owners[i]].name;
        struct policy_index_key key = policy_index_key_of_claim(index, i);
        int account = policy_account_of(other, name);

        if (account >= 0 &&
            policy_index_find_own(&other->index, kind, &key, (uint16_t)account) != CLAIM_NONE)
            continue;
        struct policy_change change = {.of_account = true,
            .subject = name,
            .effect = gained ? POLICY_GAINS : POLICY_LOSES,
            .what = kind == CLAIM_ACCOUNT ? "account" : "ceiling",
            .text = index->texts[i]};
        AW_TRY(policy_changes_add(all->changes, &change));
    }
    return AW_OK;
}

/* 0 is "no limit is known". */
static aw_result
compare_quotas(const struct comparison *all)
{
    for (size_t i = 0; i < all->before->account_count; i++) {
        const struct account *before = &all->before->accounts[i];
        int number = policy_account_of(all->after, before->name);
        char texts[2][24];

        if (number < 0 || all->after->accounts[number].orders_per_day == before->orders_per_day)
            continue;
        int64_t limits[2] = {before->orders_per_day, all->after->accounts[number].orders_per_day};
        for (int j = 0; j < 2; j++)
            snprintf(texts[j], sizeof(texts[j]), "%" PRId64, limits[j]);
        struct policy_change change = {.of_account = true,
            .subject = before->name,
            .effect = limits[1] == 0 || (limits[0] != 0 && limits[1] > limits[0]) ? POLICY_GAINS
                                                                                  : POLICY_LOSES,
            .what = "orders_per_day",
            .before = limits[0] == 0 ? "no limit" : texts[0],
            .after = limits[1] == 0 ? "no limit" : texts[1]};
        AW_TRY(policy_changes_add(all->changes, &change));
    }
    return AW_OK;
}

aw_result
policy_diff(const policy_snapshot *before, const policy_snapshot *after, struct policy_changes *out)
{
    struct comparison all = {before, after, out};

    AW_TRY(compare_ceiling(&all, false));
    AW_TRY(compare_ceiling(&all, true));
    AW_TRY(compare_quotas(&all));
    AW_TRY(compare_applications(&all));
    AW_TRY(policy_reach_compare(&all));
    policy_changes_finish(out);
    return AW_OK;
}
