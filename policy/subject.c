/* Who asks: from the peer's user and groups to an application. */
#include "policy/snapshot.h"

/*
 * The identities of a subject are numbered: 0 is its user, 1 on are its groups. Root has its user
 * only: it belongs to whatever groups it likes, so a group that a policy names is no statement
 * about root. Nobody has none.
 */
static size_t
identity_count(const struct policy_subject *subject)
{
    if (subject->uid == POLICY_NOBODY)
        return 0;
    if (subject->uid == 0)
        return 1;
    return 1 + subject->group_count;
}

static const struct members *
members_of(const policy_snapshot *snapshot, size_t identity)
{
    return identity == 0 ? &snapshot->users : &snapshot->groups;
}

static uint32_t
id_of(const struct policy_subject *subject, size_t identity)
{
    return identity == 0 ? subject->uid : subject->groups[identity - 1];
}

/* The first member that is not before (id, application). */
static size_t
members_from(const struct members *members, uint32_t id, uint16_t application)
{
    size_t low = 0, high = members->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct member *member = &members->items[middle];

        if (member->id < id || (member->id == id && member->application < application))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* True when one of the subject's first `count` identities is a principal of the application. */
static bool
matches(const policy_snapshot *snapshot, const struct policy_subject *subject, size_t count,
    uint16_t application)
{
    for (size_t i = 0; i < count; i++) {
        const struct members *members = members_of(snapshot, i);
        size_t at = members_from(members, id_of(subject, i), application);

        if (at < members->count && members->items[at].id == id_of(subject, i) &&
            members->items[at].application == application)
            return true;
    }
    return false;
}

/* A walk over what a subject is a principal of. */
struct walk {
    const policy_snapshot *snapshot;
    const struct policy_subject *subject;
    bool once; /* each application for the first identity only that is a principal of it */
    policy_visit_ground visit;
    void *context;
};

/* False: stopped. */
static bool
visit_identity(const struct walk *walk, size_t identity)
{
    const struct members *members = members_of(walk->snapshot, identity);
    uint32_t id = id_of(walk->subject, identity);

    for (size_t at = members_from(members, id, 0);
         at < members->count && members->items[at].id == id; at++) {
        uint16_t number = members->items[at].application;
        const struct policy_ground ground = {.by_group = identity > 0,
            .group = identity > 0 ? id : 0,
            .application = &walk->snapshot->applications[number].shown};

        if (walk->once && matches(walk->snapshot, walk->subject, identity, number))
            continue;
        if (!walk->visit(&ground, walk->context))
            return false;
    }
    return true;
}

static void
visit_all_identities(const struct walk *walk)
{
    for (size_t i = 0; i < identity_count(walk->subject); i++)
        if (!visit_identity(walk, i))
            return;
}

void
policy_visit_grounds(const policy_snapshot *snapshot, const struct policy_subject *subject,
    policy_visit_ground visit, void *context)
{
    const struct walk walk = {snapshot, subject, false, visit, context};

    visit_all_identities(&walk);
}

struct application_visit {
    policy_visit visit;
    void *context;
};

static bool
visit_application(const struct policy_ground *ground, void *context)
{
    const struct application_visit *to = context;

    return to->visit(ground->application, to->context);
}

void
policy_visit_subject(const policy_snapshot *snapshot, const struct policy_subject *subject,
    policy_visit visit, void *context)
{
    struct application_visit to = {visit, context};
    const struct walk walk = {snapshot, subject, true, visit_application, &to};

    visit_all_identities(&walk);
}

/* The first applications that were visited; more than two are never looked at. */
struct first_two {
    const struct policy_application *items[2];
    size_t count;
};

static bool
keep_first_two(const struct policy_application *application, void *context)
{
    struct first_two *found = context;

    found->items[found->count++] = application;
    return found->count < 2;
}

static struct first_two
first_two_of(const policy_snapshot *snapshot, const struct policy_subject *subject)
{
    struct first_two found = {0};

    policy_visit_subject(snapshot, subject, keep_first_two, &found);
    return found;
}

/* An application that exists but is another's gets the same answer as one that does not exist. */
const struct application *
policy_choose(const policy_snapshot *snapshot, const struct policy_subject *subject,
    const char *name, enum policy_rule *rule)
{
    struct first_two found = first_two_of(snapshot, subject);
    const struct policy_application *named = name == NULL ? NULL : policy_find(snapshot, name);
    const struct application *chosen = (const struct application *)(const void *)named;

    *rule = POLICY_RULE_APPLICATION_NONE;
    if (found.count == 0)
        return NULL;
    *rule = POLICY_RULE_APPLICATION_AMBIGUOUS;
    if (name == NULL)
        return found.count == 1 ? (const struct application *)(const void *)found.items[0] : NULL;
    *rule = POLICY_RULE_APPLICATION_UNKNOWN;
    if (chosen == NULL ||
        !matches(snapshot, subject, identity_count(subject), number_of(snapshot, chosen)))
        return NULL;
    return chosen;
}
