/* Administrators' methods on the audit log: the audit key, checkpoints. */
#include <stdio.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/checkpoints.h"
#include "signer/held_keys.h"

static aw_result
maker_of(const struct admin_call *call, checkpoints **out)
{
    *out = call->core->checkpoints;
    if (*out != NULL)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_CONFIG, "no checkpoints are configured"),
        "give key and origin under audit in signer.yaml and restart the signer");
}

static aw_result
write_key(struct admin_call *call, checkpoints *maker)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    AW_CLEANUP(aw_free) char *pem = NULL;

    AW_TRY(checkpoints_key_text(maker, &line, &pem));
    aw_json_pair(&call->reply, "verifier", line);
    aw_json_pair(&call->reply, "pem", pem);
    return AW_OK;
}

aw_result
admin_create_audit_key(struct admin_call *call)
{
    struct token_key_report report = {.padded = false};
    checkpoints *maker = NULL;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(maker_of(call, &maker));
    AW_TRY(admin_record(call, "audit-key-create", true));
    AW_TRY(checkpoints_create_key(maker, &report));
    held_keys_refresh_late(call->core);
    AW_TRY(write_key(call, maker));
    admin_write_report(&call->reply, &report);
    return AW_OK;
}

aw_result
admin_rotate_audit_key(struct admin_call *call)
{
    struct token_key_report report = {.padded = false};
    checkpoints *maker = NULL;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(maker_of(call, &maker));
    AW_TRY(admin_record(call, "audit-key-rotate", true));
    AW_TRY(checkpoints_rotate_key(maker, call->peer, &report));
    held_keys_refresh_late(call->core);
    AW_TRY(write_key(call, maker));
    admin_write_report(&call->reply, &report);
    return AW_OK;
}

aw_result
admin_get_audit_key(struct admin_call *call)
{
    checkpoints *maker = NULL;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(maker_of(call, &maker));
    return write_key(call, maker);
}

/* On record in the segment that is closed, which therefore is never empty. */
aw_result
admin_rotate_log(struct admin_call *call)
{
    struct audit_segment closed;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(admin_record(call, "audit-rotate", true));
    AW_TRY(audit_log_rotate(call->core->audit, &closed));
    aw_json_pair_integer(&call->reply, "segment", closed.number);
    aw_json_pair_integer(&call->reply, "first", closed.first);
    aw_json_pair_integer(&call->reply, "last", closed.last);
    return AW_OK;
}

aw_result
admin_make_checkpoint(struct admin_call *call)
{
    AW_CLEANUP(aw_free) char *note = NULL;
    checkpoints *maker = NULL;
    int64_t size = 0;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(maker_of(call, &maker));
    AW_TRY(checkpoints_make(maker, &note, &size));
    aw_json_pair(&call->reply, "checkpoint", note);
    aw_json_pair_integer(&call->reply, "size", size);
    return AW_OK;
}
