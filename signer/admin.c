#include "signer/admin.h"

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/request.h"
#include "signer/service.h"

#define ERROR(name) "org.acmeward.Admin." name

/* The permissions: a method that is not here does not exist; the default is officer's work. */
static const struct method {
    const char *name;      /* Varlink */
    const char *operation; /* in records; NULL: changes nothing, and is not recorded */
    enum peer_role role;
    admin_handler handler;
} methods[] = {
    {"GetStatus", NULL, PEER_OPERATOR, admin_get_status},
    {"Reload", NULL, PEER_OPERATOR, admin_reload}, /* has a record of its own kind */
    {"Freeze", "freeze", PEER_OPERATOR, admin_freeze},
    {"Unfreeze", "unfreeze", PEER_OFFICER, admin_unfreeze},
    {"ListCas", NULL, PEER_OPERATOR, admin_list_cas},
    {"PinCa", "ca-pin", PEER_OFFICER, admin_pin_ca},
    {"ImportEab", "eab-import", PEER_OFFICER, admin_import_eab},
    {"ImportWrappedEab", "eab-import", PEER_OFFICER, admin_import_wrapped_eab},
    {"CreateWrappingKey", "wrapping-key-create", PEER_OFFICER, admin_create_wrapping_key},
    {"GetWrappingKey", NULL, PEER_OPERATOR, admin_get_wrapping_key},
    {"DestroyWrappingKey", "wrapping-key-destroy", PEER_OFFICER, admin_destroy_wrapping_key},
    {"ListEabs", NULL, PEER_OPERATOR, admin_list_eabs},
    {"DestroyEab", "eab-destroy", PEER_OFFICER, admin_destroy_eab},
    {"CreateRelayKey", "relay-key-create", PEER_OFFICER, admin_create_relay_key},
    {"GetRelayKey", NULL, PEER_OPERATOR, admin_get_relay_key},
    {"DestroyRelayKey", "relay-key-destroy", PEER_OFFICER, admin_destroy_relay_key},
    {"CreateAppEab", "app-eab-create", PEER_OFFICER, admin_create_app_eab},
    {"ListAppEabs", NULL, PEER_OPERATOR, admin_list_app_eabs},
    {"RevokeAppEab", "app-eab-revoke", PEER_OFFICER, admin_revoke_app_eab},
    {"ListAccounts", NULL, PEER_OPERATOR, admin_list_accounts},
    {"CreateAccount", "account-create", PEER_OFFICER, admin_create_account},
    {"NewAccount", "new-account", PEER_OFFICER, admin_new_account},
    {"ForgetAttempt", "forget-attempt", PEER_OFFICER, admin_forget_attempt},
    {"RegisterAccount", "account-register", PEER_OFFICER, admin_register_account},
    {"FetchCertificate", "fetch-certificate", PEER_OFFICER, admin_fetch_certificate},
    {"RevokeCertificate", "revoke", PEER_OFFICER, admin_revoke_certificate},
    {"AdoptAccount", "account-adopt", PEER_OFFICER, admin_adopt_account},
    {"UpdateAccount", "account-update", PEER_OFFICER, admin_update_account},
    {"DeactivateAccount", "account-deactivate", PEER_OFFICER, admin_deactivate_account},
    {"NoteDeactivated", "account-deactivated", PEER_OFFICER, admin_note_deactivated},
    {"RetireAccount", "account-retire", PEER_OFFICER, admin_retire_account},
    {"StartKeyChange", "key-change-start", PEER_OFFICER, admin_start_key_change},
    {"SignKeyChange", "key-change", PEER_OFFICER, admin_sign_key_change},
    {"LookUpAccount", "account-lookup", PEER_OFFICER, admin_look_up_account},
    {"QueryAccount", "account-query", PEER_OFFICER, admin_query_account},
    {"ConfirmKeyChange", "key-change-confirm", PEER_OFFICER, admin_confirm_key_change},
    {"DestroyOldKey", "old-key-destroy", PEER_OFFICER, admin_destroy_old_key},
    {"CancelKeyChange", "key-change-cancel", PEER_OFFICER, admin_cancel_key_change},
    {"CreateAuditKey", "audit-key-create", PEER_OFFICER, admin_create_audit_key},
    {"RotateAuditKey", "audit-key-rotate", PEER_OFFICER, admin_rotate_audit_key},
    {"GetAuditKey", NULL, PEER_OPERATOR, admin_get_audit_key},
    {"RotateLog", "audit-rotate", PEER_OPERATOR, admin_rotate_log},
    {"MakeCheckpoint", NULL, PEER_OPERATOR, admin_make_checkpoint}, /* stored, so not recorded */
    {"ExamineToken", NULL, PEER_OPERATOR, admin_examine_token},
};

aw_result
admin_record(struct admin_call *call, const char *operation, bool permitted)
{
    struct audit_entry entry = {
        .kind = AUDIT_ADMIN,
        .has_uid = true,
        .uid = call->peer->uid,
        .user = call->peer->user,
        .application = call->application[0] == '\0' ? NULL : call->application,
        .account = call->account[0] == '\0' ? NULL : call->account,
        .operation = operation,
        .verdict = permitted ? "permit" : "refuse",
        .input = call->input[0] == '\0' ? NULL : call->input,
        .kid = call->kid[0] == '\0' ? NULL : call->kid,
        .not_after = call->not_after,
        .account_id = call->account_id,
        .count = call->count,
        .message = call->message[0] == '\0' ? NULL : call->message,
    };

    call->recorded = true;
    return core_record(call->core, &entry);
}

static aw_result
not_permitted(struct admin_call *call, const struct method *method, char **reply)
{
    snprintf(call->message, sizeof(call->message), "%s is no %s", call->peer->user,
        peer_role_name(method->role));
    if (method->operation != NULL)
        AW_TRY(admin_record(call, method->operation, false));
    aw_json_pair(&call->reply, "role", peer_role_name(method->role));
    aw_json_pair(&call->reply, "message", call->message);
    return service_finish(&call->reply, ERROR("NotPermitted"), reply);
}

static aw_result
write_failure(struct admin_call *call, const struct aw_error *error, char **reply)
{
    struct aw_json_writer w = {0};

    aw_json_writer_free(&call->reply);
    aw_json_begin_object(&w);
    if (error->code == AW_CODE_SYNTAX || (error->code == AW_CODE_LIMIT && call->field != NULL)) {
        aw_json_pair(&w, "field", call->field);
        aw_json_pair(&w, "message", error->message);
        return service_finish(&w, ERROR("InvalidRequest"), reply);
    }
    aw_json_pair(&w, "tag", aw_code_tag(error->code));
    aw_json_pair(&w, "message", error->message);
    if (error->code == AW_CODE_BUSY) {
        aw_json_pair_integer(&w, "retry_after", 1);
        return service_finish(&w, ERROR("Unavailable"), reply);
    }
    aw_json_pair(&w, "hint", error->hint);
    return service_finish(&w, ERROR("Failed"), reply);
}

/* What an administrator tried in vain is on record too, with the reason. */
static aw_result
failed(struct admin_call *call, const struct method *method, char **reply)
{
    struct aw_error error;

    aw_error_save(&error);
    teller_failure(&call->core->teller, AW_LOG_WARNING, method->name);
    core_note_failure(call->core, error.code);
    if (method->operation != NULL) {
        snprintf(call->message, sizeof(call->message), "%.500s", error.message);
        if (!aw_ok(admin_record(call, method->operation, false)))
            teller_failure(&call->core->teller, AW_LOG_ERROR,
                "a failed administrator's call could not be recorded");
    }
    return write_failure(call, &error, reply);
}

/* A reload the signer's own user may have too, who could send SIGHUP but would not learn what came
 * of it: so does the unit. */
static bool
may_call(const struct admin_call *call, const struct method *method)
{
    return call->role >= method->role ||
           (method->handler == admin_reload && core_is_self(call->peer));
}

static aw_result
run(struct admin_call *call, const struct method *method, char **reply)
{
    aw_json_begin_object(&call->reply);
    if (!may_call(call, method))
        return not_permitted(call, method, reply);
    aw_result r = method->handler(call);
    if (aw_ok(r) && method->operation != NULL && !call->recorded)
        r = admin_record(call, method->operation, true);
    if (!aw_ok(r))
        return failed(call, method, reply);
    return service_finish(&call->reply, NULL, reply);
}

static aw_result
answer(struct core *core, const struct peer *peer, const struct aw_varlink_call *message,
    struct gate_answer *out)
{
    struct admin_call call = {.core = core, .peer = peer, .parameters = message->parameters};
    struct service_method method = {NULL, NULL};
    bool handled = false;

    AW_TRY(service_answer(&service_admin, message, &handled, &method, &out->reply));
    if (handled)
        return AW_OK;
    call.role = core_role_of(core, peer);
    for (size_t i = 0; i < AW_COUNT(methods); i++)
        if (strcmp(methods[i].name, method.name) == 0)
            return run(&call, &methods[i], &out->reply);
    return service_not_found(message, SERVICE_ADMIN, &out->reply);
}

static aw_result
answer_garbage(struct core *core, const struct peer *peer, char **reply)
{
    struct aw_json_writer w = {0};

    core_count_garbage(core, peer);
    aw_json_begin_object(&w);
    aw_json_pair(&w, "message", aw_error_last()->message);
    return service_finish(&w, ERROR("InvalidRequest"), reply);
}

static aw_result
answer_failure(char **reply)
{
    struct admin_call none = {.field = NULL};
    struct aw_error error;

    aw_error_save(&error);
    return write_failure(&none, &error, reply);
}

const struct gate_service admin_service = {
    .name = "administrators",
    .grounds = core_grounds_of,
    .answer = answer,
    .answer_garbage = answer_garbage,
    .answer_failure = answer_failure,
    .limits = GATE_LIMITS(GATE_CONNECTIONS_PER_UID_MAX), /* a freeze stands in no line */
};

void
admin_write_report(struct aw_json_writer *w, const struct token_key_report *report)
{
    aw_json_name(w, "report");
    aw_json_begin_object(w);
    aw_json_pair(w, "dropped", report->dropped);
    aw_json_pair(w, "weaker", report->weaker);
    aw_json_pair_bool(w, "padded", report->padded);
    aw_json_pair_bool(w, "always_protected", report->always_protected);
    aw_json_end_object(w);
}

aw_result
admin_read_nonce(struct admin_call *call, const char **out)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    call->field = "nonce";
    AW_TRY(aw_json_string(call->parameters, "nonce", SIGN_NONCE_MAX, out));
    if ((*out)[0] == '\0' || strspn(*out, allowed) != strlen(*out))
        return aw_fail(AW_CODE_SYNTAX, "nonce: expected base64url characters (RFC 8555 6.5.1)");
    call->field = NULL;
    return AW_OK;
}
