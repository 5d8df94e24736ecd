#include "signer/alarm.h"

#include "common/io.h"

/* Carried through policy_visit_all. */
struct visit {
    struct core *core;
    const policy_snapshot *before;
    policy_snapshot *now;
    size_t told;
    size_t untold;
    aw_result result; /* the first failure */
};

static bool
was_inert(const policy_snapshot *before, const char *name)
{
    const struct policy_application *old = before == NULL ? NULL : policy_find(before, name);

    return old != NULL && old->inert;
}

static aw_result
record(const struct visit *visit, const struct policy_application *application, const char *message)
{
    struct audit_entry entry = {
        .kind = AUDIT_ALARM,
        .application = application == NULL ? NULL : application->name,
        .account = application == NULL ? NULL : application->account,
        .rule = policy_rule_tag(POLICY_RULE_APPLICATION_INERT),
        .policy = policy_digest(visit->now),
        .message = message,
    };

    return core_record(visit->core, &entry);
}

static aw_result
alarm_one(const struct visit *visit, const struct policy_application *application)
{
    AW_CLEANUP(aw_free) char *message = NULL;

    AW_TRY(aw_format(&message,
        "there is no %s: %s is refused everything until there is and the policy is loaded anew; "
        "ask %s",
        application->missing, application->name, application->owner));
    return record(visit, application, message);
}

static bool
look_at(const struct policy_application *application, void *context)
{
    struct visit *visit = context;

    if (!application->inert || was_inert(visit->before, application->name))
        return true;
    if (visit->told == ALARM_INERT_MAX) {
        visit->untold++;
        return true;
    }
    visit->told++;
    visit->result = alarm_one(visit, application);
    return aw_ok(visit->result);
}

static aw_result
alarm_rest(const struct visit *visit)
{
    AW_CLEANUP(aw_free) char *message = NULL;

    if (visit->untold == 0)
        return AW_OK;
    AW_TRY(aw_format(&message,
        "%zu more applications name a user or group that does not exist, and are refused "
        "everything",
        visit->untold));
    return record(visit, NULL, message);
}

aw_result
alarm_inert(struct core *core, const policy_snapshot *before)
{
    AW_CLEANUP(policy_release) policy_snapshot *now = core_snapshot(core);
    struct visit visit = {.core = core, .before = before, .now = now, .result = AW_OK};

    policy_visit_all(now, look_at, &visit);
    AW_TRY(visit.result);
    return alarm_rest(&visit);
}
