/* From what was read to a snapshot: order, index, and the checks between applications. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/draft.h"

static void
    AW_PRINTF(4, 5) fault_at(struct draft *draft, const struct policy_application *application,
        const struct place *place, const char *format, ...)
{
    char message[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    aw_faults_add(draft->faults, application->file, place->line, place->column, "%s", message);
}

/* Applications, in the order of their names. */

static int
by_name(const void *a, const void *b)
{
    const struct draft_application *x = a, *y = b;
    int order = strcmp(x->compiled.shown.name, y->compiled.shown.name);

    return order != 0 ? order : (int)x->serial - (int)y->serial;
}

static aw_result
sort_applications(struct draft *draft)
{
    policy_snapshot *snapshot = draft->snapshot;

    if (draft->count > 0)
        qsort(draft->applications, draft->count, sizeof(*draft->applications), by_name);
    snapshot->applications = calloc(draft->count + 1, sizeof(*snapshot->applications));
    if (snapshot->applications == NULL)
        return aw_fail_memory();
    snapshot->application_count = draft->count;
    for (size_t i = 0; i < draft->count; i++) {
        snapshot->applications[i] = draft->applications[i].compiled;
        snapshot->counts.inert += draft->applications[i].compiled.shown.inert;
    }
    snapshot->counts.applications = draft->count;
    return AW_OK;
}

/* Sorted, so applications of one name stand side by side. */
static void
check_names(struct draft *draft)
{
    for (size_t i = 1; i < draft->count; i++) {
        const struct policy_application *before = &draft->applications[i - 1].compiled.shown;
        const struct policy_application *shown = &draft->applications[i].compiled.shown;

        if (strcmp(before->name, shown->name) == 0)
            fault_at(draft, shown, &draft->applications[i].place,
                "application: \"%s\" is the name of another one too, in %s", shown->name,
                policy_base_name(before->file));
    }
}

/* Members: from the order of reading to the order of names. */

static int
by_member(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (int)x->application - (int)y->application;
}

static void
renumber(struct members *members, const uint16_t *numbers)
{
    size_t kept = 0;

    for (size_t i = 0; i < members->count; i++)
        members->items[i].application = numbers[members->items[i].application];
    if (members->count > 0)
        qsort(members->items, members->count, sizeof(*members->items), by_member);
    for (size_t i = 0; i < members->count; i++)
        if (kept == 0 || by_member(&members->items[kept - 1], &members->items[i]) != 0)
            members->items[kept++] = members->items[i];
    members->count = kept;
}

static aw_result
compile_members(struct draft *draft)
{
    uint16_t *numbers = calloc(draft->count + 1, sizeof(*numbers));

    if (numbers == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < draft->count; i++)
        numbers[draft->applications[i].serial] = (uint16_t)i;
    renumber(&draft->snapshot->users, numbers);
    renumber(&draft->snapshot->groups, numbers);
    free(numbers);
    return AW_OK;
}

/* The index. */

const char *const policy_list_names[CLAIM_LISTS] = {"names.exact", "names.subdomains_of",
    "names.wildcards_of", "names.deny", "names.addresses", "profiles", "shares_with",
    "relay.networks", "relay.client_certificates"};

static aw_result
link_entry(struct draft *draft, uint32_t claim, uint16_t number)
{
    struct policy_index *index = &draft->snapshot->index;
    uint32_t head;

    AW_TRY(policy_index_link(index, claim, number, &head));
    if (head != CLAIM_NONE && index->owners[head] == number)
        fault_at(draft, &draft->snapshot->applications[number].shown, &draft->places[claim],
            "%s: \"%s\" is listed twice; the first one is on line %u",
            policy_list_names[policy_index_kind(index, claim)], index->texts[claim],
            draft->places[head].line);
    return AW_OK;
}

/* Notes that an application lists a name one label below another one; one sample is enough. */
static aw_result
link_child(struct draft *draft, enum claim_kind kind, uint32_t claim, uint16_t number)
{
    struct policy_index *index = &draft->snapshot->index;
    const char *name = index->texts[claim], *dot = strchr(name, '.');
    aw_yaml_node node = {.line = draft->places[claim].line, .column = draft->places[claim].column};
    uint32_t head;

    if (dot == NULL)
        return AW_OK;
    struct policy_index_key parent = policy_index_key_of(dot + 1);
    head = policy_index_find(index, kind, &parent);
    if (head != CLAIM_NONE && index->owners[head] == number)
        return AW_OK;
    AW_TRY(policy_draft_claim(draft, kind, name, node));
    return policy_index_link(index, (uint32_t)index->count - 1, number, &head);
}

static aw_result
link_list(struct draft *draft, uint16_t number, enum claim_kind kind, uint32_t first)
{
    const struct application *application = &draft->snapshot->applications[number];

    for (uint32_t i = first; i < first + application->list_count[kind]; i++) {
        AW_TRY(link_entry(draft, i, number));
        if (kind == CLAIM_EXACT)
            AW_TRY(link_child(draft, CLAIM_EXACT_CHILD, i, number));
        if (kind == CLAIM_DENY)
            AW_TRY(link_child(draft, CLAIM_DENY_CHILD, i, number));
    }
    return AW_OK;
}

static aw_result
link_name(struct draft *draft, uint16_t number)
{
    struct policy_index *index = &draft->snapshot->index;
    const struct policy_application *shown = &draft->snapshot->applications[number].shown;
    uint32_t head;

    AW_TRY(policy_draft_claim(draft, CLAIM_APPLICATION, shown->name, (aw_yaml_node){0}));
    return policy_index_link(index, (uint32_t)index->count - 1, number, &head);
}

static aw_result
link_application(struct draft *draft, uint16_t number)
{
    const struct application *application = &draft->snapshot->applications[number];
    uint32_t first = application->first;

    for (unsigned kind = 0; kind < CLAIM_LISTS; kind++) {
        AW_TRY(link_list(draft, number, (enum claim_kind)kind, first));
        first += application->list_count[kind];
    }
    return link_name(draft, number);
}

/* Last application first: see policy_index_link. */
static aw_result
compile_index(struct draft *draft)
{
    for (size_t i = draft->count; i > 0; i--)
        AW_TRY(link_application(draft, (uint16_t)(i - 1)));
    return policy_index_close(&draft->snapshot->index);
}

/* Checks between applications. */

static void
find_account(struct draft *draft, size_t number)
{
    policy_snapshot *snapshot = draft->snapshot;
    struct application *application = &snapshot->applications[number];
    struct policy_index_key key = policy_index_key_of(application->shown.account);
    uint32_t claim = policy_index_find(&snapshot->index, CLAIM_ACCOUNT, &key);

    /* A file without an account has its fault already. */
    if (claim != CLAIM_NONE)
        application->account = snapshot->index.owners[claim];
    else if (application->shown.account[0] != '\0')
        fault_at(draft, &application->shown, &draft->applications[number].account_place,
            "account: found \"%.80s\", expected one of the accounts in signer.yaml",
            application->shown.account);
}

static void
check_shares(struct draft *draft, const struct application *application)
{
    const struct policy_index *index = &draft->snapshot->index;
    uint32_t first = application->first;

    for (unsigned kind = 0; kind < CLAIM_SHARES; kind++)
        first += application->list_count[kind];
    for (uint32_t i = first; i < first + application->list_count[CLAIM_SHARES]; i++) {
        const char *name = index->texts[i];

        if (strcmp(name, application->shown.name) == 0)
            fault_at(draft, &application->shown, &draft->places[i],
                "shares_with: found the application itself, expected other ones");
        else if (!draft->incomplete && policy_find(draft->snapshot, name) == NULL)
            fault_at(draft, &application->shown, &draft->places[i],
                "shares_with: found \"%.80s\", expected the name of an application", name);
    }
}

/* Each application's orders_per_day is guaranteed, so their sum must fit the account. */
static aw_result
check_quotas(struct draft *draft)
{
    policy_snapshot *snapshot = draft->snapshot;
    int64_t *sums = calloc(snapshot->account_count + 1, sizeof(*sums));

    if (sums == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < snapshot->application_count && snapshot->account_count > 0; i++) {
        const struct application *application = &snapshot->applications[i];
        const struct account *account = &snapshot->accounts[application->account];
        int64_t before = sums[application->account];

        sums[application->account] += application->shown.orders_per_day;
        if (account->orders_per_day > 0 && before <= account->orders_per_day &&
            sums[application->account] > account->orders_per_day)
            fault_at(draft, &application->shown, &draft->applications[i].place,
                "limits.orders_per_day: the %lld of this application bring account %s to %lld, "
                "expected at most its %lld",
                (long long)application->shown.orders_per_day, account->name,
                (long long)sums[application->account], (long long)account->orders_per_day);
    }
    free(sums);
    return AW_OK;
}

/* What is shown points into the index, which no longer moves. */
static void
point_lists(policy_snapshot *snapshot, struct application *application)
{
    struct policy_application *shown = &application->shown;
    const struct {
        const char *const **list;
        size_t *count;
        enum claim_kind kind;
    } lists[] = {
        {&shown->exact, &shown->exact_count, CLAIM_EXACT},
        {&shown->subdomains_of, &shown->subdomains_count, CLAIM_SUBDOMAINS},
        {&shown->wildcards_of, &shown->wildcards_count, CLAIM_WILDCARDS},
        {&shown->deny, &shown->deny_count, CLAIM_DENY},
        {&shown->addresses, &shown->addresses_count, CLAIM_ADDRESSES},
        {&shown->profiles, &shown->profiles_count, CLAIM_PROFILES},
        {&shown->shares_with, &shown->shares_count, CLAIM_SHARES},
        {&shown->relay.networks, &shown->relay.network_count, CLAIM_RELAY_NETWORKS},
        {&shown->relay.client_certificates, &shown->relay.certificate_count,
            CLAIM_RELAY_CERTIFICATES},
    };
    const char **at = snapshot->index.texts + application->first;

    for (size_t i = 0; i < AW_COUNT(lists); i++) {
        *lists[i].list = at;
        *lists[i].count = application->list_count[lists[i].kind];
        at += *lists[i].count;
    }
}

aw_result
policy_compile(struct draft *draft)
{
    policy_snapshot *snapshot = draft->snapshot;

    AW_TRY(sort_applications(draft));
    check_names(draft);
    AW_TRY(compile_index(draft));
    AW_TRY(compile_members(draft));
    for (size_t i = 0; i < snapshot->application_count; i++) {
        point_lists(snapshot, &snapshot->applications[i]);
        find_account(draft, i);
        check_shares(draft, &snapshot->applications[i]);
    }
    AW_TRY(check_quotas(draft));
    return policy_digest_all(draft);
}
