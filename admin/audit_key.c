/* audit key create, rotate, show; audit rotate; audit checkpoint: asked of the signer. */
#include <stdio.h>
#include <string.h>

#include "admin/admin_cli.h"

struct verb {
    const char *name, *method, *advice;
};

static const struct verb *
find_verb(const char *name)
{
    static const struct verb verbs[] = {
        {"create", "CreateAuditKey",
            "keep the line or the PEM text where the owner of the HSM host can't write: it is what "
            "checkpoints are verified with\n"},
        {"rotate", "RotateAuditKey",
            "the old key has signed its last checkpoint and is destroyed; whoever has its public "
            "half can go on verifying with it, and may keep the new one's beside it\n"},
        {"show", "GetAuditKey", ""},
    };

    for (size_t i = 0; i < AW_COUNT(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

aw_result
admin_audit_key(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *verb = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, &verb, 1));
    const struct verb *chosen = find_verb(verb);
    if (chosen == NULL)
        return aw_fail(
            AW_CODE_USAGE, "audit key: found \"%s\", expected create, rotate or show", verb);
    AW_TRY(admin_call_plain(options, chosen->method, &reply));
    if (options->json)
        return admin_print_json(reply);
    AW_TRY(admin_print_text(reply, "verifier", "\n"));
    AW_TRY(admin_print_text(reply, "pem", ""));
    admin_print_report(aw_json_member(reply, "report"), stderr);
    fputs(chosen->advice, stderr);
    return AW_OK;
}

aw_result
admin_audit_rotate(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "RotateLog", &reply));
    if (options->json)
        return admin_print_json(reply);
    printf("segment %lld is closed: records %lld to %lld\n", admin_number(reply, "segment"),
        admin_number(reply, "first"), admin_number(reply, "last"));
    return AW_OK;
}

aw_result
admin_audit_checkpoint(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "MakeCheckpoint", &reply));
    if (options->json)
        return admin_print_json(reply);
    return admin_print_text(reply, "checkpoint", "");
}
