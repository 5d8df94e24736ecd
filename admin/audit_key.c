/* audit key create, show; audit checkpoint: asked of the signer. */
#include <stdio.h>
#include <string.h>

#include "admin/admin_cli.h"

/* PEM and the note have line breaks, which nothing here escapes: the signer's own text, checked. */
static aw_result
print_text(const cJSON *reply, const char *name, const char *end)
{
    const char *text = cJSON_GetStringValue(aw_json_member(reply, name));

    if (text == NULL)
        return aw_fail(AW_CODE_UNAVAILABLE, "the signer's reply has no %s", name);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' && *at != '\n')
            return aw_fail(AW_CODE_UNAVAILABLE, "the signer's %s has control characters", name);
    printf("%s%s", text, end);
    return AW_OK;
}

aw_result
admin_audit_key(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *verb = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, &verb, 1));
    bool create = strcmp(verb, "create") == 0;
    if (!create && strcmp(verb, "show") != 0)
        return aw_fail(AW_CODE_USAGE, "audit key: found \"%s\", expected create or show", verb);
    AW_TRY(admin_call_plain(options, create ? "CreateAuditKey" : "GetAuditKey", &reply));
    if (options->json)
        return admin_print_json(reply);
    AW_TRY(print_text(reply, "verifier", "\n"));
    AW_TRY(print_text(reply, "pem", ""));
    const cJSON *report = aw_json_member(reply, "report");
    if (report != NULL && admin_text(report, "dropped")[0] != '\0')
        fprintf(stderr, "the token refused these attributes: %s\n", admin_text(report, "dropped"));
    if (report != NULL && admin_text(report, "weaker")[0] != '\0')
        fprintf(
            stderr, "the token set these otherwise than asked: %s\n", admin_text(report, "weaker"));
    if (create)
        fputs("keep the line or the PEM text where the owner of the HSM host can't write: it is "
              "what checkpoints are verified with\n",
            stderr);
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
    return print_text(reply, "checkpoint", "");
}
