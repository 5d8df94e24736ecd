/* Administrators' methods on the service itself: status, reload, freeze, examination. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "common/lock.h"
#include "common/log.h"
#include "signer/admin.h"

enum {
    STATUS_LISTED_MAX = 100,   /* of each kind; the rest is counted */
    LEAVING_MORE_MS = 2 * 1000 /* than a reply is sent for */
};

static void
write_freeze(struct admin_call *call)
{
    char reason[CORE_REASON_MAX + 1];
    int64_t since = 0;
    bool frozen = core_frozen(call->core, &since, reason);

    aw_json_pair_bool(&call->reply, "frozen", frozen);
    if (frozen) {
        aw_json_pair_integer(&call->reply, "frozen_since", since);
        aw_json_pair(&call->reply, "frozen_reason", reason);
    }
}

static void
write_frozen_applications(struct admin_call *call)
{
    struct aw_json_writer *w = &call->reply;
    struct freeze item;

    aw_json_name(w, "frozen_applications");
    aw_json_begin_array(w);
    for (size_t i = 0; i < STATUS_LISTED_MAX && freezes_get(call->core->freezes, i, &item); i++) {
        aw_json_begin_object(w);
        aw_json_pair(w, "application", item.application);
        aw_json_pair_integer(w, "since", item.since);
        aw_json_pair(w, "reason", item.reason);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

/* Applications that an administrator must know of, the first of them one by one. */
struct noted {
    struct aw_json_writer *w;
    int64_t now;
    int64_t listed;
    int64_t active; /* in roll-out */
    int64_t ended;
};

static bool
write_inert(const struct policy_application *application, void *context)
{
    struct noted *noted = context;

    if (!application->inert)
        return true;
    aw_json_begin_object(noted->w);
    aw_json_pair(noted->w, "application", application->name);
    aw_json_pair(noted->w, "owner", application->owner);
    aw_json_pair(noted->w, "missing", application->missing);
    aw_json_end_object(noted->w);
    return ++noted->listed < STATUS_LISTED_MAX;
}

static bool
write_roll_out(const struct policy_application *application, void *context)
{
    struct noted *noted = context;
    bool ended = noted->now >= application->warn_until;

    if (application->warn_until == 0)
        return true;
    noted->active += !ended;
    noted->ended += ended;
    if (noted->listed++ >= STATUS_LISTED_MAX)
        return true;
    aw_json_begin_object(noted->w);
    aw_json_pair(noted->w, "application", application->name);
    aw_json_pair(noted->w, "owner", application->owner);
    aw_json_pair_integer(noted->w, "until", application->warn_until);
    aw_json_pair_bool(noted->w, "ended", ended);
    aw_json_end_object(noted->w);
    return true;
}

static void
write_noted(struct admin_call *call, const policy_snapshot *snapshot)
{
    struct aw_json_writer *w = &call->reply;
    struct noted inert = {.w = w}, roll_outs = {.w = w, .now = core_now()};

    aw_json_name(w, "inert_applications");
    aw_json_begin_array(w);
    policy_visit_all(snapshot, write_inert, &inert);
    aw_json_end_array(w);
    aw_json_name(w, "roll_outs");
    aw_json_begin_array(w);
    policy_visit_all(snapshot, write_roll_out, &roll_outs);
    aw_json_end_array(w);
    aw_json_pair_integer(w, "roll_outs_active", roll_outs.active);
    aw_json_pair_integer(w, "roll_outs_ended", roll_outs.ended);
}

static void
write_policy(struct admin_call *call)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(call->core);
    struct policy_counts counts;

    policy_count(snapshot, &counts);
    pthread_mutex_lock(&call->core->lock);
    int64_t loaded_at = call->core->loaded_at;
    pthread_mutex_unlock(&call->core->lock);
    aw_json_pair(&call->reply, "policy_digest", policy_digest(snapshot));
    aw_json_pair_integer(&call->reply, "policy_loaded_at", loaded_at);
    aw_json_pair_integer(&call->reply, "applications", (int64_t)counts.applications);
    aw_json_pair_integer(&call->reply, "inert", (int64_t)counts.inert);
    aw_json_pair_integer(&call->reply, "names", (int64_t)counts.names);
    write_noted(call, snapshot);
}

/* Health is a signature with a real key, verified: a wiped token still says "logged in". */
static aw_result
try_token(struct core *core)
{
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    struct token_info info;
    token_key *key = NULL;
    size_t count = 0, size = 0;
    aw_result r = AW_OK;

    accounts_read(core->accounts);
    struct account *all = accounts_all(core->accounts, &count);
    for (size_t i = 0; i < count && key == NULL && aw_ok(r); i++)
        if (all[i].state != ACCOUNT_NO_KEY)
            r = accounts_key(core->accounts, &all[i], &key);
    if (aw_ok(r))
        r = key == NULL ? token_info_get(core->token, &info)
                        : token_key_sign(key, "health", 6, signature, &size);
    accounts_read_end(core->accounts);
    return r;
}

static void
write_room_and_clock(struct admin_call *call)
{
    struct audit_room room;
    int64_t ahead = 0;

    struct audit_log_segments segments;

    audit_log_room(call->core->audit, &room);
    audit_log_segments(call->core->audit, &segments);
    core_time(call->core, &ahead);
    aw_json_pair_integer(&call->reply, "audit_free", room.free > 0 ? room.free : 0);
    aw_json_pair_integer(&call->reply, "audit_reserve", room.reserve);
    aw_json_pair_integer(&call->reply, "audit_segments", segments.closed);
    aw_json_pair_integer(&call->reply, "audit_segment_size", segments.size);
    if (segments.message[0] != '\0')
        aw_json_pair(&call->reply, "audit_segment_message", segments.message);
    aw_json_pair_integer(&call->reply, "clock_ahead", ahead);
}

static void
write_health(struct admin_call *call)
{
    int64_t appended = 0, durable = 0;
    aw_result r = audit_log_healthy(call->core->audit);

    audit_log_position(call->core->audit, &appended, &durable);
    aw_json_pair_integer(&call->reply, "audit_appended", appended);
    aw_json_pair_integer(&call->reply, "audit_durable", durable);
    aw_json_pair_bool(&call->reply, "audit_healthy", aw_ok(r));
    write_room_and_clock(call);
    r = try_token(call->core);
    core_note_failure(call->core, r.code);
    aw_json_pair_bool(&call->reply, "token_healthy", aw_ok(r));
    if (!aw_ok(r))
        aw_json_pair(&call->reply, "token_message", aw_error_last()->message);
}

static void
write_unverified(struct admin_call *call)
{
    struct core *core = call->core;

    aw_json_name(&call->reply, "unverified_cas");
    aw_json_begin_array(&call->reply);
    pthread_mutex_lock(&core->lock);
    for (size_t i = 0; i < core->issuers.count; i++)
        if (core->issuers.items[i] == NULL)
            aw_json_write_string(&call->reply, core->config->cas[i].name);
    pthread_mutex_unlock(&core->lock);
    aw_json_end_array(&call->reply);
}

static void
write_relays(struct admin_call *call)
{
    struct core *core = call->core;

    aw_json_name(&call->reply, "relays");
    aw_json_begin_array(&call->reply);
    pthread_mutex_lock(&core->lock);
    for (size_t i = 0; i < core->relays.count; i++)
        aw_json_write_string(&call->reply, core->relays.items[i].url);
    pthread_mutex_unlock(&core->lock);
    aw_json_end_array(&call->reply);
}

static void
write_export(struct admin_call *call, const struct exporter_state *state)
{
    if (state->exported > 0)
        aw_json_pair_integer(&call->reply, "export_size", state->exported);
    aw_json_pair_integer(&call->reply, "export_waiting", state->waiting);
    aw_json_pair_integer(&call->reply, "export_waiting_seconds", state->waiting_for);
    if (state->message[0] != '\0')
        aw_json_pair(&call->reply, "export_message", state->message);
}

static void
write_checkpoints(struct admin_call *call)
{
    struct checkpoints_state state = {.size = 0};

    if (call->core->checkpoints == NULL)
        return;
    checkpoints_state(call->core->checkpoints, &state);
    aw_json_pair_integer(&call->reply, "checkpoint_size", state.size);
    if (state.at != 0)
        aw_json_pair_integer(&call->reply, "checkpoint_at", state.at);
    if (state.message[0] != '\0')
        aw_json_pair(&call->reply, "checkpoint_message", state.message);
    if (state.exports)
        write_export(call, &state.export);
}

static void
write_log(struct admin_call *call)
{
    uint64_t lost = aw_log_lost();

    if (lost > 0)
        aw_json_pair_integer(&call->reply, "log_lost", (int64_t)lost);
}

static void
write_forward(struct admin_call *call)
{
    struct forward_state state;

    if (call->core->forward == NULL)
        return;
    forward_state(call->core->forward, &state);
    aw_json_pair(&call->reply, "forward", state.to);
    aw_json_pair_integer(&call->reply, "forwarded", state.forwarded);
    aw_json_pair_integer(&call->reply, "forward_behind", state.behind);
    aw_json_pair_integer(&call->reply, "forward_failures", state.failures);
    if (state.message[0] != '\0')
        aw_json_pair(&call->reply, "forward_message", state.message);
}

static void
write_strings(struct aw_json_writer *w, const char *name, const struct aw_yaml_strings *list)
{
    aw_json_name(w, name);
    aw_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++)
        aw_json_write_string(w, list->items[i].text);
    aw_json_end_array(w);
}

static void
write_sandbox(struct admin_call *call)
{
    struct core *core = call->core;
    struct aw_json_writer *w = &call->reply;

    pthread_mutex_lock(&core->lock);
    aw_json_name(w, "sandbox");
    aw_json_begin_object(w);
    aw_json_pair_bool(w, "seccomp", core->sandbox.seccomp);
    aw_json_pair_integer(w, "landlock", core->sandbox.landlock);
    aw_json_pair_bool(w, "root", core->sandbox.root);
    aw_json_pair(w, "network", aw_config_network_names[core->config->token.network]);
    write_strings(w, "paths", &core->config->token.paths);
    write_strings(w, "devices", &core->config->token.devices);
    aw_json_end_object(w);
    pthread_mutex_unlock(&core->lock);
}

aw_result
admin_get_status(struct admin_call *call)
{
    struct core *core = call->core;
    struct aw_json_writer *w = &call->reply;
    unsigned waiting = 0, had = 0;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    aw_json_pair(w, "version", ACMEWARD_VERSION);
    aw_json_pair_integer(w, "pid", getpid());
    aw_json_pair_integer(w, "started_at", core->started_at);
    aw_json_pair(w, "role", peer_role_name(call->role));
    write_freeze(call);
    write_frozen_applications(call);
    write_policy(call);
    write_health(call);
    write_unverified(call);
    write_relays(call);
    write_checkpoints(call);
    write_forward(call);
    write_log(call);
    write_sandbox(call);
    turns_count(core->turns, &waiting, &had);
    aw_json_pair_integer(w, "token_waiting", waiting);
    aw_json_pair_integer(w, "token_busy", had);
    aw_json_pair_integer(w, "permits", atomic_load(&core->permits));
    aw_json_pair_integer(w, "refusals", atomic_load(&core->refusals));
    aw_json_pair_integer(w, "failures", atomic_load(&core->failures));
    return AW_OK;
}

aw_result
admin_reload(struct admin_call *call)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(aw_hint(core_reload(call->core, call->peer, &faults, &warnings),
        "the policy in force is unchanged; acmeward-admin policy check shows every fault"));
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(call->core);
    aw_json_pair(&call->reply, "policy_digest", policy_digest(snapshot));
    aw_faults_write(&call->reply, "warnings", &warnings);
    return AW_OK;
}

/* A misspelt application would leave somebody believing that it is frozen. */
static aw_result
check_application(struct admin_call *call, const char *application)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(call->core);

    if (policy_find(snapshot, application) == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND,
                           "there is no application \"%s\": nothing was frozen", application),
            "acmeward-admin policy show lists them");
    snprintf(call->application, sizeof(call->application), "%s", application);
    return AW_OK;
}

/* On record even where the file could not be written: then the next start freezes by the record. */
static aw_result
record_freeze(struct admin_call *call, aw_result written)
{
    struct aw_error error;

    if (aw_ok(written))
        return admin_record(call, "freeze", true);
    aw_error_save(&error);
    bool recorded = aw_ok(admin_record(call, "freeze", true));
    return aw_hint(aw_error_restore(&error),
        recorded ? "signing is stopped all the same, and it is on record: the next start freezes "
                   "by that; make space or mend the disk"
                 : "signing is stopped until the signer ends, but nothing keeps it so then: make "
                   "space or mend the disk, then freeze again");
}

static aw_result
freeze(struct admin_call *call, const char *application, const char *reason)
{
    AW_HOLD(&call->core->freeze_lock);
    aw_result r = application == NULL
                      ? core_freeze(call->core, reason)
                      : freezes_add(call->core->freezes, application, reason, core_now());
    return r.code == AW_CODE_LIMIT ? r : record_freeze(call, r); /* of too many nothing counts */
}

/* Without the lock: it may take as long as a peer that does not read is waited for. Also where the
 * freeze could not be made to last: it is in force, and its answer says so. */
static aw_result
wait_for_leaving(struct core *core, aw_result frozen)
{
    bool gone = leaving_wait(&core->leaving, GATE_SEND_MS + LEAVING_MORE_MS);

    if (!aw_ok(frozen) || gone)
        return frozen;
    return aw_fail(AW_CODE_TIMEOUT,
        "signing is stopped, but what was signed before is still on its way to a peer that does "
        "not read");
}

aw_result
admin_freeze(struct admin_call *call)
{
    static const char *const members[] = {"reason", "application"};
    const char *reason = NULL, *application = NULL;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "reason";
    AW_TRY(aw_json_string(call->parameters, "reason", CORE_REASON_MAX, &reason));
    call->field = "application";
    AW_TRY(aw_json_optional_string(
        call->parameters, "application", AW_CONFIG_LABEL_MAX, &application));
    call->field = NULL;
    snprintf(call->message, sizeof(call->message), "%s", reason);
    if (application == NULL)
        core_freeze_now(call->core, reason); /* and again below: an unfreeze may be under way */
    else
        AW_TRY(check_application(call, application));
    return wait_for_leaving(call->core, freeze(call, application, reason));
}

/* On record before it takes effect: after it, signatures leave. */
aw_result
admin_unfreeze(struct admin_call *call)
{
    static const char *const members[] = {"application"};
    const char *application = NULL;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    AW_TRY(aw_json_optional_string(
        call->parameters, "application", AW_CONFIG_LABEL_MAX, &application));
    AW_HOLD(&call->core->freeze_lock);
    if (application != NULL) {
        snprintf(call->application, sizeof(call->application), "%s", application);
        if (!freezes_find(call->core->freezes, application, NULL))
            return aw_fail(AW_CODE_NOT_FOUND, "%s is not frozen by itself", application);
    }
    AW_TRY(admin_record(call, "unfreeze", true));
    return application == NULL ? core_unfreeze(call->core)
                               : freezes_remove(call->core->freezes, application);
}

static void
write_token(struct aw_json_writer *w, const struct token_examination *found)
{
    const struct token_info *info = &found->info;
    const char *pin = info->pin_locked      ? "locked"
                      : info->pin_final_try ? "final try"
                      : info->pin_count_low ? "count low"
                                            : "ok";

    aw_json_name(w, "token");
    aw_json_begin_object(w);
    aw_json_pair(w, "label", info->label);
    aw_json_pair(w, "manufacturer", info->manufacturer);
    aw_json_pair(w, "model", info->model);
    aw_json_pair(w, "serial", info->serial);
    aw_json_pair_integer(w, "slot", (int64_t)info->slot);
    aw_json_pair(w, "pin_state", pin);
    aw_json_pair_bool(w, "write_protected", info->write_protected);
    aw_json_pair(w, "pin_source", found->pin_source);
    aw_json_pair(w, "pin_faults", found->pin_faults);
    aw_json_end_object(w);
}

static void
write_object(struct aw_json_writer *w, const struct token_object *object)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "label", object->label);
    aw_json_pair(w, "id", object->id);
    aw_json_pair(w, "kind", object->kind);
    aw_json_pair(w, "attributes", object->attributes);
    aw_json_pair(w, "faults", object->faults);
    aw_json_pair_bool(w, "value_readable", object->value_readable);
    aw_json_pair(w, "value_answer", object->value_answer);
    aw_json_end_object(w);
}

static void
write_mechanism(struct aw_json_writer *w, const struct token_mechanism *mechanism)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "name", mechanism->name);
    aw_json_pair_bool(w, "present", mechanism->present);
    aw_json_pair_bool(w, "required", mechanism->required);
    aw_json_pair(w, "needed_for", mechanism->needed_for);
    aw_json_end_object(w);
}

aw_result
admin_examine_token(struct admin_call *call)
{
    AW_CLEANUP(token_examination_free) struct token_examination *found = NULL;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(token_examine(call->core->token, &found));
    write_token(&call->reply, found);
    aw_json_name(&call->reply, "objects");
    aw_json_begin_array(&call->reply);
    for (size_t i = 0; i < found->object_count; i++)
        write_object(&call->reply, &found->objects[i]);
    aw_json_end_array(&call->reply);
    aw_json_name(&call->reply, "mechanisms");
    aw_json_begin_array(&call->reply);
    for (size_t i = 0; i < found->mechanism_count; i++)
        write_mechanism(&call->reply, &found->mechanisms[i]);
    aw_json_end_array(&call->reply);
    return AW_OK;
}
