/* WhoAmI and Check: what an application may ask for; nothing is signed, recorded or counted. */
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/application.h"
#include "signer/service.h"

/* Carried through policy_visit_subject. */
struct whoami {
    struct core *core;
    struct aw_json_writer writer;
    int64_t now;
    aw_result result; /* the first failure */
};

static void
write_list(struct aw_json_writer *w, const char *name, const char *const *items, size_t count)
{
    aw_json_name(w, name);
    aw_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        aw_json_write_string(w, items[i]);
    aw_json_end_array(w);
}

static void
write_names(struct aw_json_writer *w, const struct policy_application *application)
{
    aw_json_name(w, "names");
    aw_json_begin_object(w);
    write_list(w, "exact", application->exact, application->exact_count);
    write_list(w, "subdomains_of", application->subdomains_of, application->subdomains_count);
    write_list(w, "wildcards_of", application->wildcards_of, application->wildcards_count);
    write_list(w, "deny", application->deny, application->deny_count);
    write_list(w, "addresses", application->addresses, application->addresses_count);
    aw_json_end_object(w);
}

static void
write_rights(struct aw_json_writer *w, const struct policy_application *application)
{
    const char *operations[2];
    const char *keys[POLICY_KEY_COUNT];
    size_t operation_count = 0, key_count = 0;

    if (application->can_order)
        operations[operation_count++] = "order";
    if (application->can_revoke)
        operations[operation_count++] = "revoke";
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
        if ((application->keys >> i & 1) != 0)
            keys[key_count++] = policy_key_name((enum policy_key)i);
    write_list(w, "operations", operations, operation_count);
    write_list(w, "keys", keys, key_count);
    write_list(w, "profiles", application->profiles, application->profiles_count);
}

static void
write_limits(struct whoami *me, const struct policy_application *application)
{
    struct aw_json_writer *w = &me->writer;
    struct ledger_usage today = {0};

    if (aw_ok(me->result))
        me->result = ledger_used_today(
            me->core->ledger, application->name, core_time(me->core, NULL), &today);
    aw_json_name(w, "limits");
    aw_json_begin_object(w);
    aw_json_pair_integer(w, "names_per_certificate", application->names_per_certificate);
    aw_json_pair_integer(w, "orders_per_day", application->orders_per_day);
    aw_json_pair_integer(w, "orders_today", today.orders);
    aw_json_pair_integer(w, "revocations_per_day", application->revocations_per_day);
    aw_json_pair_integer(w, "revocations_today", today.revocations);
    aw_json_end_object(w);
}

void
application_write_directory(struct aw_json_writer *w, const char *name, const struct ca *ca)
{
    aw_json_name(w, name);
    if (ca->pinned_at == 0) {
        aw_json_write_string(w, NULL);
        return;
    }
    aw_json_begin_object(w);
    aw_json_pair(w, "ca", ca->name);
    aw_json_pair(w, "directory", ca->directory);
    aw_json_pair(w, "newNonce", ca->pin.new_nonce);
    aw_json_pair(w, "newOrder", ca->pin.new_order);
    aw_json_pair(w, "revokeCert", ca->pin.revoke_cert);
    aw_json_pair(w, "renewalInfo", ca->pin.renewal_info);
    aw_json_end_object(w);
}

static const char *
state_of(const struct policy_application *application, const struct account *account, int64_t now)
{
    if (application->inert)
        return "inert";
    if (application->expires != 0 && now >= application->expires)
        return "expired";
    if (account == NULL)
        return "account-missing";
    if (account->ca->pinned_at == 0)
        return "ca-unpinned";
    return account->state == ACCOUNT_REGISTERED ? "ready" : "account-unregistered";
}

static void
write_account(struct whoami *me, const struct policy_application *application)
{
    struct aw_json_writer *w = &me->writer;

    accounts_read(me->core->accounts);
    const struct account *account = accounts_find(me->core->accounts, application->account);
    aw_json_pair(w, "state", state_of(application, account, me->now));
    aw_json_pair(w, "account_url", account == NULL ? NULL : account->url);
    aw_json_pair(w, "thumbprint", account == NULL ? NULL : account->thumbprint);
    if (account != NULL)
        application_write_directory(w, "directory", account->ca);
    else
        aw_json_pair(w, "directory", NULL);
    accounts_read_end(me->core->accounts);
}

static bool
write_application(const struct policy_application *application, void *context)
{
    struct whoami *me = context;
    struct aw_json_writer *w = &me->writer;

    aw_json_begin_object(w);
    aw_json_pair(w, "name", application->name);
    aw_json_pair(w, "owner", application->owner);
    aw_json_pair(w, "account", application->account);
    write_names(w, application);
    write_rights(w, application);
    write_limits(me, application);
    if (application->expires != 0)
        aw_json_pair_integer(w, "expires", application->expires);
    if (application->warn_until != 0)
        aw_json_pair_integer(w, "warn_until", application->warn_until);
    write_account(me, application);
    aw_json_end_object(w);
    return aw_ok(me->result);
}

aw_result
application_whoami(struct core *core, const struct peer *peer, char **reply)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(core);
    const struct policy_subject subject = peer_subject(peer);
    struct whoami me = {.core = core, .now = core_now()};

    aw_json_begin_object(&me.writer);
    aw_json_pair_integer(&me.writer, "uid", peer->uid);
    aw_json_pair(&me.writer, "user", peer->user);
    aw_json_pair_bool(&me.writer, "frozen", core_frozen(core, NULL, NULL));
    aw_json_name(&me.writer, "applications");
    aw_json_begin_array(&me.writer);
    policy_visit_subject(snapshot, &subject, write_application, &me);
    if (!aw_ok(me.result)) {
        aw_json_writer_free(&me.writer);
        return application_unavailable(SERVICE_SIGNER, reply);
    }
    aw_json_end_array(&me.writer);
    return service_finish(&me.writer, NULL, reply);
}

/* Check: each name by itself, then what is of the request as a whole. */
struct check {
    policy_snapshot *snapshot;
    struct policy_subject subject;
    int64_t now;
    struct aw_json_writer writer;
    const char *application;
    bool allowed;
};

static aw_result
write_finding(
    struct check *check, const struct policy_verdict *verdict, const struct policy_request *asked)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer *w = &check->writer;

    AW_TRY(verdict->warned ? policy_warning_text(verdict, asked, &text)
                           : policy_refusal_text(verdict, asked, &text));
    aw_json_begin_object(w);
    if (verdict->name != NULL)
        aw_json_pair(w, "name", verdict->name->text);
    aw_json_pair(w, "rule", policy_rule_tag(verdict->rule));
    aw_json_pair(w, "message", text);
    aw_json_pair_bool(w, "warning", verdict->warned);
    aw_json_end_object(w);
    return AW_OK;
}

static aw_result
check_one(struct check *check, const struct policy_request *asked, bool *refused)
{
    struct policy_verdict verdict;

    policy_decide(check->snapshot, &check->subject, asked, check->now, &verdict);
    if (verdict.application != NULL)
        check->application = verdict.application->name;
    *refused = !verdict.allowed;
    check->allowed = check->allowed && verdict.allowed;
    /* Of several names one that is let through was told when it was asked for by itself. */
    if (verdict.warned && verdict.name != NULL && asked->name_count > 1)
        return AW_OK;
    return verdict.allowed && !verdict.warned ? AW_OK : write_finding(check, &verdict, asked);
}

static aw_result
check_names(struct check *check, const struct sign_request *request)
{
    struct policy_request asked = {.operation = POLICY_ORDER, .application = request->application};
    bool refused = false, any = false;

    for (size_t i = 0; i < request->name_count; i++) {
        asked.names = &request->names[i];
        asked.name_count = 1;
        AW_TRY(check_one(check, &asked, &refused));
        any = any || refused;
    }
    if (any || request->name_count < 2)
        return AW_OK;
    /* Only the number of names is left to be at fault. */
    asked.names = request->names;
    asked.name_count = request->name_count;
    return check_one(check, &asked, &refused);
}

/* Without names: the application, its expiry, its operations; then key and profile; then names.
 * So each fault is told once, and one does not hide another. */
static aw_result
check_all(struct check *check, const struct sign_request *request, enum policy_key key)
{
    struct policy_request asked = {.operation = POLICY_ORDER, .application = request->application};
    bool refused = false;

    AW_TRY(check_one(check, &asked, &refused));
    if (refused)
        return AW_OK;
    if (request->key != NULL) {
        asked.has_key = true;
        asked.key = key;
        AW_TRY(check_one(check, &asked, &refused));
    }
    if (request->profile != NULL) {
        asked.has_key = false;
        asked.profile = request->profile;
        AW_TRY(check_one(check, &asked, &refused));
    }
    return check_names(check, request);
}

static bool
key_of_name(const char *name, enum policy_key *out)
{
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
        if (strcmp(policy_key_name((enum policy_key)i), name) == 0) {
            *out = (enum policy_key)i;
            return true;
        }
    return false;
}

aw_result
application_check(
    struct core *core, const struct peer *peer, const struct sign_request *request, char **reply)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(core);
    struct check check = {
        .snapshot = snapshot, .subject = peer_subject(peer), .now = core_now(), .allowed = true};
    enum policy_key key = POLICY_KEY_EC_P256;

    if (request->key != NULL && !key_of_name(request->key, &key)) {
        aw_ignore(aw_fail(AW_CODE_SYNTAX, "\"%.64s\" is no key type, expected such as ec-p256",
                      request->key),
            "becomes the reply");
        return application_invalid(SERVICE_SIGNER, "key", reply);
    }
    aw_json_begin_object(&check.writer);
    aw_json_name(&check.writer, "findings");
    aw_json_begin_array(&check.writer);
    aw_result r = check_all(&check, request, key);
    if (!aw_ok(r)) {
        aw_json_writer_free(&check.writer);
        return application_unavailable(SERVICE_SIGNER, reply);
    }
    aw_json_end_array(&check.writer);
    aw_json_pair(&check.writer, "application", check.application);
    aw_json_pair_bool(&check.writer, "allowed", check.allowed);
    return service_finish(&check.writer, NULL, reply);
}
