/**
 * @file admin.h
 * @brief The administrators' socket: org.acmeward.Admin, each method with the role it needs.
 *
 * Every call that changes something is on record, permitted or refused, before its answer leaves.
 */
#ifndef AW_SIGNER_ADMIN_H
#define AW_SIGNER_ADMIN_H

#include "common/hex.h"
#include "common/json.h"
#include "signer/connections.h"
#include "signer/ledger_app_eabs.h"

/** The service of the administrators' gate: admits whom the configuration names. */
extern const struct gate_service admin_service;

/** An administrator's call on its way. */
struct admin_call {
    struct core *core;
    const struct peer *peer;
    enum peer_role role;
    const cJSON *parameters;
    struct aw_json_writer reply; /**< members of the reply; the object is opened already */
    const char *field;           /**< parameter that is being read; NULL: none in particular */
    char message[512];           /**< for the record: what was done, without secrets */
    char account[AW_CONFIG_LABEL_MAX + 1];     /**< for the record; may be empty */
    char application[AW_CONFIG_LABEL_MAX + 1]; /**< for the record; may be empty */
    char kid[LEDGER_KID_SIZE + 1];             /**< for the record: app-eab; may be empty */
    int64_t not_after;              /**< for the record: when the app-eab expires; 0: never */
    int64_t account_id;             /**< for the record: account with a relay; 0: none */
    int64_t count;                  /**< for the record: accounts that it is for; 0: any number */
    char input[AW_DIGEST_HEX_SIZE]; /**< for the record: SHA-256 of what was signed, hex; may be
                                       empty */
    bool recorded;                  /**< the handler has put the call on record itself */
};

/** A method's work; writes into call->reply. */
typedef aw_result (*admin_handler)(struct admin_call *call);

/** Puts the call on record as permitted or refused and waits until that is durable. */
AW_MUST_USE aw_result admin_record(struct admin_call *call, const char *operation, bool permitted);

/**
 * @name Methods
 * admin_handler each, by the names of org.acmeward.Admin, whose interface file says what they take
 * and do; admin.c's table has the role each needs and its name on record, and puts the call on
 * record after it. A failure is answered as InvalidRequest (AW_CODE_SYNTAX, with `field`),
 * Unavailable (AW_CODE_BUSY) or Failed, and is on record as a refusal.
 * @{
 */
/* admin_service.c */
aw_result admin_get_status(struct admin_call *call);
aw_result admin_reload(struct admin_call *call);
aw_result admin_freeze(struct admin_call *call);
aw_result admin_unfreeze(struct admin_call *call);
aw_result admin_examine_token(struct admin_call *call);

/* admin_audit.c */
aw_result admin_create_audit_key(struct admin_call *call);
aw_result admin_rotate_audit_key(struct admin_call *call);
aw_result admin_get_audit_key(struct admin_call *call);
aw_result admin_rotate_log(struct admin_call *call);
aw_result admin_make_checkpoint(struct admin_call *call);

/* admin_ca.c */
aw_result admin_list_cas(struct admin_call *call);
aw_result admin_pin_ca(struct admin_call *call);

/* admin_eab.c */
aw_result admin_list_eabs(struct admin_call *call);
aw_result admin_import_eab(struct admin_call *call);
aw_result admin_import_wrapped_eab(struct admin_call *call);
aw_result admin_destroy_eab(struct admin_call *call);

/* admin_wrapping.c */
aw_result admin_create_wrapping_key(struct admin_call *call);
aw_result admin_get_wrapping_key(struct admin_call *call);
aw_result admin_destroy_wrapping_key(struct admin_call *call);

/* admin_app_eab.c */
aw_result admin_create_relay_key(struct admin_call *call);
aw_result admin_get_relay_key(struct admin_call *call);
aw_result admin_destroy_relay_key(struct admin_call *call);
aw_result admin_create_app_eab(struct admin_call *call);
aw_result admin_list_app_eabs(struct admin_call *call);
aw_result admin_revoke_app_eab(struct admin_call *call);

/* admin_account.c */
aw_result admin_list_accounts(struct admin_call *call);
aw_result admin_create_account(struct admin_call *call);
aw_result admin_new_account(struct admin_call *call);
aw_result admin_forget_attempt(struct admin_call *call);
aw_result admin_register_account(struct admin_call *call);

/* admin_revoke.c */
aw_result admin_fetch_certificate(struct admin_call *call);
aw_result admin_revoke_certificate(struct admin_call *call);

/* admin_adopt.c */
aw_result admin_adopt_account(struct admin_call *call);

/* admin_account_change.c */
aw_result admin_update_account(struct admin_call *call);
aw_result admin_deactivate_account(struct admin_call *call);
aw_result admin_note_deactivated(struct admin_call *call);
aw_result admin_retire_account(struct admin_call *call);

/* admin_key_change.c */
aw_result admin_start_key_change(struct admin_call *call);
aw_result admin_sign_key_change(struct admin_call *call);
aw_result admin_look_up_account(struct admin_call *call);
aw_result admin_query_account(struct admin_call *call);
aw_result admin_confirm_key_change(struct admin_call *call);
aw_result admin_destroy_old_key(struct admin_call *call);
aw_result admin_cancel_key_change(struct admin_call *call);
/** @} */

/** The CA of that name; within accounts_change. AW_CODE_NOT_FOUND. */
AW_MUST_USE aw_result admin_find_ca(struct admin_call *call, const char *name, struct ca **out);

/** CKA_LABEL of the wrapping key. */
#define ADMIN_WRAPPING_LABEL "acmeward-wrapping"

/** AW_CODE_MISMATCH unless the token's wrapping key has that fingerprint. */
AW_MUST_USE aw_result admin_wrapping_check(struct admin_call *call, const char *fingerprint);

/** Reads "nonce": base64url characters only (RFC 8555 6.5.1). */
AW_MUST_USE aw_result admin_read_nonce(struct admin_call *call, const char **out);

/** Refuses where the CA's directory has no such resource; `what`: "keyChange", "revokeCert". */
AW_MUST_USE aw_result admin_check_resource(
    const struct account *account, const char *what, const char *url);

/** Writes a KeyReport as member "report". */
void admin_write_report(struct aw_json_writer *w, const struct token_key_report *report);

#endif
