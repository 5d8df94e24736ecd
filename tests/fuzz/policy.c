/*
 * Files of policy.d, divided by lines of "%%", loaded as the loader does it but from memory. What
 * is accepted never allows a name outside of the account's ceiling or below a denied one, nor
 * anything to nobody, and loads again to the same digest.
 */
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "fuzz.h"
#include "policy/entry.h"

enum { FILES_MAX = 8, CEILINGS = 2 };

/* Seconds: the beginning, any day of a file, the year 2500. */
static const int64_t days[] = {0, 1795478400, 16725225600};

static const char *const ceilings[CEILINGS] = {"example.edu", "uni.example"};

/* Who exists: all but those whose names begin with "ghost". */
static aw_result
find(const char *name, bool *found, uint32_t *id)
{
    *found = strncmp(name, "ghost", 5) != 0;
    *id = strcmp(name, "root") == 0     ? 0
          : strcmp(name, "nobody") == 0 ? 65534
                                        : 1000 + (uint8_t)name[0];
    return AW_OK;
}

static aw_result
find_user(const char *name, bool *found, uid_t *uid, void *context)
{
    (void)context;
    return find(name, found, uid);
}

static aw_result
find_group(const char *name, bool *found, gid_t *gid, void *context)
{
    (void)context;
    return find(name, found, gid);
}

static const struct policy_resolver resolver = {.user = find_user, .group = find_group};

static struct aw_name
name_of(const char *text)
{
    struct aw_name name;
    bool address = text[strspn(text, "0123456789.:abcdef")] == '\0';

    FUZZ_CHECK(aw_ok(address ? aw_name_parse_address(text, strlen(text), &name)
                             : aw_name_parse_file(text, strlen(text), &name)));
    return name;
}

static aw_result
add_accounts(struct draft *draft)
{
    struct aw_name names[CEILINGS] = {name_of(ceilings[0]), name_of(ceilings[1])};
    struct policy_network network;

    AW_TRY(policy_network_parse("192.0.2.0/24", 12, &network));
    struct policy_account accounts[] = {
        {.name = "main", names, CEILINGS, .orders_per_day = 100, &network, 1},
        {.name = "other", names, 1, 0, NULL, 0},
        {.name = "nothing"},
    };
    return policy_draft_accounts(draft, accounts, AW_COUNT(accounts));
}

/* As the loader does with each file. */
static aw_result
add_file(const struct checker *checker, size_t number, const char *text, size_t length)
{
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    AW_CLEANUP(policy_file_release) struct policy_file file = {0};
    char name[32];

    snprintf(name, sizeof(name), "/policy.d/%zu.yaml", number);
    if (!aw_ok(aw_yaml_parse(name, text, length, checker->draft->faults, &yaml))) {
        checker->draft->incomplete = true;
        return AW_OK;
    }
    policy_file_read(aw_yaml_root(yaml), &file, checker->draft->faults);
    return policy_entry_add(checker, &file);
}

static aw_result
add_files(const struct checker *checker, const char *text, size_t size)
{
    static const char divider[] = "\n%%\n";

    for (size_t i = 0; i < FILES_MAX; i++) {
        const char *end = memmem(text, size, divider, sizeof(divider) - 1);
        size_t length = end == NULL ? size : (size_t)(end - text) + 1;

        AW_TRY(add_file(checker, i, text, length));
        if (end == NULL)
            break;
        size -= length + sizeof(divider) - 2;
        text = end + sizeof(divider) - 1;
    }
    return AW_OK;
}

static aw_result
load(const char *text, size_t size, struct aw_faults *faults, policy_snapshot **out)
{
    static psl_ctx_t *suffixes;
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    AW_CLEANUP(policy_draft_release)
    struct draft draft = {
        .snapshot = policy_snapshot_new(), .faults = faults, .warnings = &warnings};

    if (suffixes == NULL)
        suffixes = psl_latest(NULL);
    FUZZ_CHECK(suffixes != NULL && draft.snapshot != NULL);
    AW_TRY(policy_index_open(&draft.snapshot->index));
    AW_TRY(add_accounts(&draft));
    AW_TRY(
        add_files(&(struct checker){.draft = &draft, .suffixes = suffixes, .resolver = &resolver},
            text, size));
    AW_TRY(policy_compile(&draft));
    if (faults->total == 0)
        policy_warn_overlaps(&draft);
    fuzz_check_faults(&warnings);
    AW_TRY(aw_faults_result(faults));
    *out = AW_MOVE(draft.snapshot);
    return AW_OK;
}

static bool
is_below(const char *name, const char *domain)
{
    size_t length = strlen(name), tail = strlen(domain);

    if (strncmp(name, "*.", 2) == 0)
        return is_below(name + 2, domain);
    return length >= tail && strcmp(name + length - tail, domain) == 0 &&
           (length == tail || name[length - tail - 1] == '.');
}

static bool
in_ceiling(const struct policy_application *application, const struct aw_name *name)
{
    bool is_main = strcmp(application->account, "main") == 0;

    if (name->form == AW_NAME_ADDRESS)
        return is_main && strncmp(name->text, "192.0.2.", 8) == 0;
    return strcmp(application->account, "nothing") != 0 &&
           (is_below(name->text, ceilings[0]) || (is_main && is_below(name->text, ceilings[1])));
}

static bool
is_denied(const struct policy_application *application, const struct aw_name *name)
{
    for (size_t i = 0; i < application->deny_count; i++)
        if (is_below(name->text, application->deny[i]))
            return true;
    return false;
}

static void
check_texts(const policy_snapshot *snapshot, const struct policy_request *request,
    const struct policy_verdict *verdict, int64_t now)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_free) char *refusal = NULL;

    FUZZ_CHECK(aw_ok(policy_explain(snapshot, verdict->application, request, now, &text)));
    FUZZ_CHECK(text[0] != '\0');
    if (verdict->allowed)
        return;
    FUZZ_CHECK(aw_ok(policy_refusal_text(verdict, request, &refusal)));
    FUZZ_CHECK(refusal[0] != '\0');
    fuzz_check_plain(refusal);
}

static void
check_decision(const policy_snapshot *snapshot, const struct policy_application *application,
    const struct aw_name *name)
{
    struct policy_request request = {POLICY_ORDER, application->name, name, 1, .has_key = false};
    struct policy_verdict verdict;

    for (size_t i = 0; i < AW_COUNT(days); i++) {
        request.operation = i == 1 ? POLICY_ORDER : POLICY_REVOKE;
        policy_decide_application(snapshot, application, &request, days[i], &verdict);
        FUZZ_CHECK(verdict.application == application);
        FUZZ_CHECK(!verdict.allowed || in_ceiling(application, name));
        FUZZ_CHECK(!verdict.allowed || !is_denied(application, name));
        FUZZ_CHECK(!verdict.allowed || !application->inert);
        FUZZ_CHECK(!verdict.allowed || application->expires == 0 || days[i] < application->expires);
        FUZZ_CHECK(!verdict.warned || (verdict.allowed && days[i] < application->warn_until));
        FUZZ_CHECK(
            !verdict.allowed ||
            (request.operation == POLICY_ORDER ? application->can_order : application->can_revoke));
        check_texts(snapshot, &request, &verdict, days[i]);
    }
}

/* The name itself, below it, and its wildcard. */
static void
check_around(
    const policy_snapshot *snapshot, const struct policy_application *application, const char *text)
{
    static const char *const prefixes[] = {"", "*.", "www.", "a.b."};

    for (size_t i = 0; i < AW_COUNT(prefixes); i++) {
        char longer[AW_NAME_MAX + 8];
        struct aw_name name;
        int length = snprintf(longer, sizeof(longer), "%s%s", prefixes[i], text);

        if (aw_ok(aw_name_parse(longer, (size_t)length, &name)))
            check_decision(snapshot, application, &name);
    }
}

static void
check_outside(const policy_snapshot *snapshot, const struct policy_application *application)
{
    static const char *const outside[] = {"www.example.org", "*.example.org", "evil-example.edu",
        "example.edu.example.org", "*.edu", "192.0.3.1", "2001:db8::1"};

    for (size_t i = 0; i < AW_COUNT(outside); i++) {
        struct aw_name name = name_of(outside[i]);

        FUZZ_CHECK(!in_ceiling(application, &name));
        check_decision(snapshot, application, &name);
    }
}

static void
check_list(const policy_snapshot *snapshot, const struct policy_application *application,
    const char *const *texts, size_t count)
{
    enum { LOOKED_AT = 16 };

    for (size_t i = 0; i < count && i < LOOKED_AT; i++)
        check_around(snapshot, application, texts[i]);
}

static bool
is_listed(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

/* What is asked beside names. */
static void
check_gates(const policy_snapshot *snapshot, const struct policy_application *application)
{
    static const char *const profiles[] = {NULL, "classic", "other"};
    struct aw_name name = name_of("www.myapp1.example.edu");
    struct policy_verdict verdict;

    for (unsigned i = 0; i < 2 * POLICY_KEY_COUNT * AW_COUNT(profiles); i++) {
        struct policy_request request = {.operation = POLICY_ORDER,
            .names = &name,
            .name_count = 1,
            .has_key = true,
            .key = (enum policy_key)(i / 2 % POLICY_KEY_COUNT),
            .profile = profiles[i / 2 / POLICY_KEY_COUNT],
            .has_validity = i % 2 != 0};
        policy_decide_application(snapshot, application, &request, days[1], &verdict);
        check_texts(snapshot, &request, &verdict, days[1]);
        FUZZ_CHECK(!verdict.allowed || !request.has_validity);
        if (!verdict.allowed || verdict.warned)
            continue;
        FUZZ_CHECK((application->keys >> request.key & 1) != 0);
        FUZZ_CHECK(request.profile == NULL ||
                   is_listed(application->profiles, application->profiles_count, request.profile));
    }
}

static bool
check_application(const struct policy_application *application, void *context)
{
    const policy_snapshot *snapshot = context;
    AW_CLEANUP(aw_free) char *allowed = NULL;

    FUZZ_CHECK(policy_find(snapshot, application->name) == application);
    fuzz_check_plain(application->owner);
    check_gates(snapshot, application);
    check_outside(snapshot, application);
    check_list(snapshot, application, application->exact, application->exact_count);
    check_list(snapshot, application, application->subdomains_of, application->subdomains_count);
    check_list(snapshot, application, application->wildcards_of, application->wildcards_count);
    check_list(snapshot, application, application->deny, application->deny_count);
    check_around(snapshot, application, "example.edu");
    FUZZ_CHECK(aw_ok(policy_allowed_text(application, &allowed)));
    fuzz_check_plain(allowed);
    return true;
}

/* A subject, and what is found of it. */
struct asked {
    const policy_snapshot *snapshot;
    struct policy_subject subject;
    const struct policy_application *matching[POLICY_APPLICATIONS_MAX];
    size_t matches;
};

static bool
note_match(const struct policy_application *application, void *context)
{
    struct asked *asked = context;

    asked->matching[asked->matches++] = application;
    return true;
}

/* By name: only one's own, and then as the application itself is decided. */
static bool
check_named(const struct policy_application *application, void *context)
{
    const struct asked *asked = context;
    struct aw_name name = name_of("www.myapp1.example.edu");
    struct policy_request request = {POLICY_ORDER, application->name, &name, 1, .has_key = false};
    struct policy_verdict verdict, own;
    size_t i = 0;

    policy_decide(asked->snapshot, &asked->subject, &request, days[1], &verdict);
    policy_decide_application(asked->snapshot, application, &request, days[1], &own);
    while (i < asked->matches && asked->matching[i] != application)
        i++;
    if (i < asked->matches)
        FUZZ_CHECK(verdict.allowed == own.allowed && verdict.rule == own.rule);
    else
        FUZZ_CHECK(!verdict.allowed && (verdict.rule == POLICY_RULE_APPLICATION_UNKNOWN ||
                                           verdict.rule == POLICY_RULE_APPLICATION_NONE));
    return true;
}

static bool
count_ground(const struct policy_ground *ground, void *context)
{
    FUZZ_CHECK(ground->application != NULL);
    ++*(size_t *)context;
    return true;
}

static void
check_subject(const policy_snapshot *snapshot, uid_t uid, gid_t gid)
{
    static struct asked asked;
    struct aw_name name = name_of("www.example.edu");
    struct policy_request request = {POLICY_ORDER, NULL, &name, 1, .has_key = false};
    struct policy_verdict verdict;
    size_t grounds = 0;

    asked.snapshot = snapshot;
    asked.subject = (struct policy_subject){uid, &gid, 1};
    asked.matches = 0;
    policy_visit_subject(snapshot, &asked.subject, note_match, &asked);
    policy_visit_grounds(snapshot, &asked.subject, count_ground, &grounds);
    FUZZ_CHECK((grounds > 0) == (asked.matches > 0) && grounds >= asked.matches);
    policy_decide(snapshot, &asked.subject, &request, days[1], &verdict);
    FUZZ_CHECK(asked.matches != 0 || verdict.rule == POLICY_RULE_APPLICATION_NONE);
    FUZZ_CHECK(asked.matches < 2 || verdict.rule == POLICY_RULE_APPLICATION_AMBIGUOUS);
    FUZZ_CHECK(!verdict.allowed || asked.matches == 1);
    FUZZ_CHECK(uid != POLICY_NOBODY || asked.matches == 0);
    policy_visit_all(snapshot, check_named, &asked);
}

static void
check_snapshot(policy_snapshot *snapshot, const char *text, size_t size)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(policy_release) policy_snapshot *again = NULL;
    struct policy_counts counts;

    policy_count(snapshot, &counts);
    FUZZ_CHECK(counts.applications >= 1 && counts.inert <= counts.applications);
    check_subject(snapshot, 1000 + 'm', 1000 + 'w');
    check_subject(snapshot, 1042, 1043);
    check_subject(snapshot, 0, 0);
    check_subject(snapshot, 4000000000, POLICY_NOBODY);
    check_subject(snapshot, POLICY_NOBODY, 1043);
    policy_visit_all(snapshot, check_application, snapshot);
    FUZZ_CHECK(aw_ok(load(text, size, &faults, &again)));
    FUZZ_CHECK(strlen(policy_digest(snapshot)) == 64);
    FUZZ_CHECK(strcmp(policy_digest(snapshot), policy_digest(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = NULL;
    const char *text = (const char *)data;
    aw_result r = load(text, size, &faults, &snapshot);

    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (snapshot != NULL) && aw_ok(r) == (faults.total == 0));
    if (snapshot == NULL)
        return 0;
    check_snapshot(snapshot, text, size);
    fuzz_accept();
    return 0;
}
