/* --manual: commands of the administrator's, with certbot's environment variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/authenticator_internal.h"
#include "client/hook.h"
#include "common/io.h"

/* What an auth hook said goes to the clean-up hook of the same challenge. */
struct manual_run {
    struct manual_run *next;
    char *token;
    char *output;
};

void
manual_free(struct authenticator *a)
{
    while (a->manual != NULL) {
        struct manual_run *run = a->manual;
        a->manual = run->next;
        free(run->token);
        free(run->output);
        free(run);
    }
}

static const char *
output_of(const struct authenticator *a, const char *token)
{
    for (const struct manual_run *run = a->manual; run != NULL; run = run->next)
        if (strcmp(run->token, token) == 0)
            return run->output;
    return "";
}

static aw_result
remember(struct authenticator *a, const char *token, char **output)
{
    AW_CLEANUP(aw_free) char *copy = NULL;

    AW_TRY(aw_format(&copy, "%s", token));
    struct manual_run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        return aw_fail_memory();
    *run = (struct manual_run){a->manual, AW_MOVE(copy), AW_MOVE(*output)};
    a->manual = run;
    return AW_OK;
}

/* CERTBOT_TOKEN is http-01's alone: a file's name. */
static aw_result
run_hook(const struct hook *base, const struct issue_challenge *challenge, const char *before,
    struct hook_output *output)
{
    AW_CLEANUP(aw_free) char *validation = NULL;
    char remaining[32];

    AW_TRY(authenticator_validation(challenge, &validation));
    snprintf(remaining, sizeof(remaining), "%zu", challenge->remaining);
    struct hook_variable variables[6] = {
        {"CERTBOT_DOMAIN", challenge->name->text},
        {"CERTBOT_VALIDATION", validation},
        {"CERTBOT_ALL_DOMAINS", challenge->all},
        {"CERTBOT_REMAINING_CHALLENGES", remaining},
    };
    struct hook hook = *base;
    hook.variables = variables;
    hook.variable_count = 4;
    if (strcmp(challenge->type, "http-01") == 0)
        variables[hook.variable_count++] =
            (struct hook_variable){"CERTBOT_TOKEN", challenge->token};
    if (before != NULL)
        variables[hook.variable_count++] = (struct hook_variable){"CERTBOT_AUTH_OUTPUT", before};
    return hook_run(&hook, output);
}

static aw_result
authorize(struct authenticator *a, const struct issue_challenge *challenge)
{
    AW_CLEANUP(hook_output_free) struct hook_output output = {0};
    const struct hook hook = {
        .option = "--manual-auth-hook", .command = a->options->manual_auth_hook};

    AW_TRY(challenge_token_check(challenge->token));
    AW_TRY(aw_context(
        run_hook(&hook, challenge, NULL, &output), "validating %s", challenge->name->text));
    if (output.cut)
        output_note(a->out, "--manual-auth-hook for %s: of its output, %d octets are kept",
            challenge->name->text, HOOK_OUTPUT_MAX);
    return remember(a, challenge->token, &output.out);
}

/* A hook that failed may have done half of its work. */
aw_result
manual_deploy(struct authenticator *a, const struct issue_challenge *challenge)
{
    struct aw_error error;

    aw_result r = authorize(a, challenge);
    if (aw_ok(r))
        return r;
    aw_error_save(&error);
    manual_remove(a, challenge);
    return aw_error_restore(&error);
}

void
manual_remove(struct authenticator *a, const struct issue_challenge *challenge)
{
    AW_CLEANUP(hook_output_free) struct hook_output output = {0};
    const struct hook hook = {.option = "--manual-cleanup-hook",
        .command = a->options->manual_cleanup_hook,
        .always = true};

    if (hook.command == NULL)
        return;
    aw_result r = run_hook(&hook, challenge, output_of(a, challenge->token), &output);
    if (!aw_ok(r))
        output_note(
            a->out, "cleaning up for %s: %s", challenge->name->text, aw_error_last()->message);
}
