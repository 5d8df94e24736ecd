/* status, reload, freeze, unfreeze, token doctor. */
#include <stdio.h>
#include <string.h>

#include "admin/admin_cli.h"
#include "common/io.h"
#include "common/log.h"

static void
print_relays(const cJSON *relays)
{
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, relays)
    {
        if (cJSON_IsString(item)) /* of a URL's form, which the signer has checked */
            printf("relay   %s\n", item->valuestring);
    }
}

static void
print_unverified(const cJSON *cas)
{
    const cJSON *ca = NULL;
    char name[2 * AW_CONFIG_LABEL_MAX];

    cJSON_ArrayForEach(ca, cas)
    {
        const char *text = cJSON_GetStringValue(ca);

        if (text == NULL)
            continue;
        aw_log_escape(text, strlen(text), name, sizeof(name));
        printf("issuers none pinned for %s: its certificates are not verified, and the first to "
               "hand back a serial\n        number may name it in \"replaces\"; set issuers in "
               "signer.yaml\n",
            name);
    }
}

/* Lists are cut by the signer. */
static void
print_rest(const cJSON *list, long long total)
{
    long long listed = cJSON_GetArraySize(list);

    if (total > listed)
        printf("        and %lld more\n", total - listed);
}

static void
print_inert(const cJSON *s)
{
    const cJSON *list = aw_json_member(s, "inert_applications"), *item = NULL;

    cJSON_ArrayForEach(item, list) printf(
        "INERT   %s: there is no %s, everything is refused; ask %s\n",
        admin_text(item, "application"), admin_text(item, "missing"), admin_text(item, "owner"));
    print_rest(list, admin_number(s, "inert"));
}

static void
print_roll_outs(const cJSON *s)
{
    long long active = admin_number(s, "roll_outs_active");
    long long ended = admin_number(s, "roll_outs_ended");
    const cJSON *list = aw_json_member(s, "roll_outs"), *item = NULL;

    if (active + ended == 0)
        return;
    printf("roll-out  %lld going on, %lld over\n", active, ended);
    cJSON_ArrayForEach(item, list) printf("        %s: %s %.10s; ask %s\n",
        admin_text(item, "application"),
        admin_true(item, "ended") ? "over, refusals count since" : "signed with a warning until",
        admin_time(item, "until"), admin_text(item, "owner"));
    print_rest(list, active + ended);
}

static void
print_checkpoints(const cJSON *s)
{
    if (aw_json_member(s, "checkpoint_size") != NULL)
        printf("        checkpoint of %lld records at %s\n", admin_number(s, "checkpoint_size"),
            admin_time(s, "checkpoint_at"));
    if (aw_json_member(s, "checkpoint_message") != NULL)
        printf("        NO CHECKPOINTS: %s\n", admin_text(s, "checkpoint_message"));
    if (admin_number(s, "export_waiting") > 0)
        printf("        exported and not fetched yet: %lld, the oldest for %lld s\n",
            admin_number(s, "export_waiting"), admin_number(s, "export_waiting_seconds"));
    if (aw_json_member(s, "export_message") != NULL)
        printf("        NOT EXPORTED: %s\n", admin_text(s, "export_message"));
}

static void
print_forward(const cJSON *s)
{
    if (aw_json_member(s, "forward") == NULL)
        return;
    printf("        forwarded to %s up to record %lld, %lld behind\n", admin_text(s, "forward"),
        admin_number(s, "forwarded"), admin_number(s, "forward_behind"));
    if (aw_json_member(s, "forward_message") != NULL)
        printf("        NOT FORWARDED: %s\n", admin_text(s, "forward_message"));
}

/* Of the signer's messages; the audit log is another thing. */
static void
print_log(const cJSON *s)
{
    if (admin_number(s, "log_lost") > 0)
        printf("log       LINES LEFT OUT: %lld, whoever reads the signer's messages is slow or "
               "stopped; no record of the audit log is missing by that\n",
            admin_number(s, "log_lost"));
}

static void
print_opened(const cJSON *list, const char *what)
{
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, list)
        printf("        open to the token's module: %s %s\n", what, cJSON_GetStringValue(item));
}

static void
print_sandbox(const cJSON *sandbox)
{
    printf("sandbox %s, ", admin_true(sandbox, "seccomp") ? "seccomp" : "NO SECCOMP");
    if (admin_number(sandbox, "landlock") > 0)
        printf("Landlock (version %lld)", admin_number(sandbox, "landlock"));
    else
        printf("NO LANDLOCK");
    if (admin_true(sandbox, "root"))
        fputs("; RUNS AS ROOT (allow_root)", stdout);
    printf("; sockets of the token's module: %s\n", admin_text(sandbox, "network"));
    print_opened(aw_json_member(sandbox, "paths"), "path");
    print_opened(aw_json_member(sandbox, "devices"), "device");
}

static void
print_status(const cJSON *s)
{
    printf("acmeward-signer %s  pid %lld  up since %s  you are %s\n", admin_text(s, "version"),
        admin_number(s, "pid"), admin_time(s, "started_at"), admin_text(s, "role"));
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, aw_json_member(s, "frozen_applications"))
        printf("FROZEN  %s since %s: %s\n", admin_text(item, "application"),
            admin_time(item, "since"), admin_text(item, "reason"));
    if (admin_true(s, "frozen"))
        printf(
            "FROZEN since %s: %s\n", admin_time(s, "frozen_since"), admin_text(s, "frozen_reason"));
    printf("token   %s\n", admin_true(s, "token_healthy") ? "signs, and the signature verifies"
                                                          : admin_text(s, "token_message"));
    printf("audit   %s; %lld records, %lld durable; %lld closed segments\n",
        admin_true(s, "audit_healthy") ? "writable" : "BROKEN: nothing is signed",
        admin_number(s, "audit_appended"), admin_number(s, "audit_durable"),
        admin_number(s, "audit_segments"));
    if (admin_number(s, "audit_free") <= admin_number(s, "audit_reserve"))
        printf(
            "        LOW: %lld octets are left for records, refusals are only counted: make room\n",
            admin_number(s, "audit_free"));
    if (aw_json_member(s, "audit_segment_message") != NULL)
        printf("        SEGMENT NOT CLOSED: %s\n", admin_text(s, "audit_segment_message"));
    print_checkpoints(s);
    print_forward(s);
    print_log(s);
    if (admin_number(s, "clock_ahead") != 0)
        printf("clock   OFF by %lld seconds from the time of the records: see docs/operations.md\n",
            admin_number(s, "clock_ahead"));
    printf("policy  %lld applications (%lld inert), %lld names, loaded %s\n        digest %s\n",
        admin_number(s, "applications"), admin_number(s, "inert"), admin_number(s, "names"),
        admin_time(s, "policy_loaded_at"), admin_text(s, "policy_digest"));
    print_inert(s);
    print_roll_outs(s);
    print_unverified(aw_json_member(s, "unverified_cas"));
    print_relays(aw_json_member(s, "relays"));
    print_sandbox(aw_json_member(s, "sandbox"));
    printf("turns   %lld requests at the token, %lld waiting\n", admin_number(s, "token_busy"),
        admin_number(s, "token_waiting"));
    printf("since the start: %lld permits, %lld refusals, %lld failures\n",
        admin_number(s, "permits"), admin_number(s, "refusals"), admin_number(s, "failures"));
}

/* Of the file as it is now, where this user may read it. */
static void
warn_of_config(const struct admin_options *options)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;

    if (!aw_ok(aw_config_load(options->config, &faults, &config)))
        return;
    aw_config_warn(config, &warnings);
    for (size_t i = 0; i < warnings.count; i++)
        printf("warning: %s\n", warnings.items[i].message);
}

aw_result
admin_status(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "GetStatus", &reply));
    if (options->json)
        return admin_print_json(reply);
    print_status(reply);
    warn_of_config(options);
    return AW_OK;
}

aw_result
admin_reload(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const cJSON *warning = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "Reload", &reply));
    if (options->json)
        return admin_print_json(reply);
    printf("reloaded; policy digest %s\n", admin_text(reply, "policy_digest"));
    cJSON_ArrayForEach(warning, aw_json_member(reply, "warnings")) printf(
        "warning: %s:%lld:%lld: %s\n", admin_text(warning, "file"), admin_number(warning, "line"),
        admin_number(warning, "column"), admin_text(warning, "message"));
    return AW_OK;
}

/* The signer's replies have no members. */
static aw_result
print_freeze(bool frozen, const char *application, const char *reason)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair_bool(&w, "frozen", frozen);
    aw_json_pair(&w, "application", application);
    if (reason != NULL)
        aw_json_pair(&w, "reason", reason);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

aw_result
admin_freeze(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *reason = NULL, *application = NULL;
    const struct admin_option table[] = {
        {.name = "reason", .value = &reason}, {.name = "application", .value = &application}};
    struct aw_json_writer w = {0};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (reason == NULL)
        return aw_fail(AW_CODE_USAGE, "--reason is needed: it is shown to whoever is refused");
    aw_json_begin_object(&w);
    aw_json_pair(&w, "reason", reason);
    if (application != NULL)
        aw_json_pair(&w, "application", application);
    aw_json_end_object(&w);
    AW_TRY(admin_call(options, "Freeze", &w, &reply));
    if (options->json)
        return print_freeze(true, application, reason);
    printf(
        "frozen: nothing is signed for %s until acmeward-admin unfreeze%s%s, restarts included\n",
        application == NULL ? "applications" : application,
        application == NULL ? "" : " --application ", application == NULL ? "" : application);
    return AW_OK;
}

/* Both kinds of freeze are apart: what is still stopped is said, so that nobody takes one for both.
 */
static aw_result
print_unfrozen(const struct admin_options *options, const char *application)
{
    AW_CLEANUP(aw_json_free) cJSON *status = NULL;
    const cJSON *item = NULL;

    AW_TRY(admin_call_plain(options, "GetStatus", &status));
    if (application != NULL && admin_true(status, "frozen")) {
        printf("unfrozen, but signing for all is stopped besides: acmeward-admin unfreeze\n");
        return AW_OK;
    }
    printf("unfrozen: signing%s%s goes on\n", application == NULL ? "" : " for ",
        application == NULL ? "" : application);
    cJSON_ArrayForEach(item, aw_json_member(status, "frozen_applications"))
    {
        const char *name = admin_text(item, "application");

        if (application == NULL)
            printf("  %s stays frozen by itself: acmeward-admin unfreeze --application %s\n", name,
                name);
    }
    return AW_OK;
}

aw_result
admin_unfreeze(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *application = NULL;
    const struct admin_option table[] = {{.name = "application", .value = &application}};
    struct aw_json_writer w = {0};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    aw_json_begin_object(&w);
    if (application != NULL)
        aw_json_pair(&w, "application", application);
    aw_json_end_object(&w);
    AW_TRY(admin_call(options, "Unfreeze", &w, &reply));
    if (options->json)
        return print_freeze(false, application, NULL);
    return print_unfrozen(options, application);
}

static bool
print_objects(const cJSON *objects)
{
    const cJSON *object = NULL;
    bool well = true;

    cJSON_ArrayForEach(object, objects)
    {
        bool readable = admin_true(object, "value_readable");
        const char *faults = admin_text(object, "faults");

        const char *answer = admin_text(object, "value_answer");

        printf("%s  %s  id %s\n  is      %s\n", admin_text(object, "kind"),
            admin_text(object, "label"), admin_text(object, "id"),
            admin_text(object, "attributes"));
        /* A public key has no secret, and was not asked for one. */
        if (readable || answer[0] != '\0')
            printf("  secret  %s (%s)\n", readable ? "CAN BE READ" : "can't be read", answer);
        if (faults[0] != '\0')
            printf("  FAULT   %s\n", faults);
        well = well && !readable && faults[0] == '\0';
    }
    return well;
}

static bool
print_mechanisms(const cJSON *mechanisms)
{
    const cJSON *mechanism = NULL;
    bool well = true;

    cJSON_ArrayForEach(mechanism, mechanisms)
    {
        bool missing = admin_true(mechanism, "required") && !admin_true(mechanism, "present");

        printf("%-26s %-8s %s\n", admin_text(mechanism, "name"),
            admin_true(mechanism, "present") ? "present"
            : missing                        ? "MISSING"
                                             : "absent",
            admin_text(mechanism, "needed_for"));
        well = well && !missing;
    }
    return well;
}

aw_result
admin_token_doctor(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "ExamineToken", &reply));
    if (options->json)
        return admin_print_json(reply);
    const cJSON *token = aw_json_member(reply, "token");
    const char *faults = admin_text(token, "pin_faults");

    printf("token %s (%s %s, serial %s, slot %lld), PIN %s\nPIN source %s%s%s\n",
        admin_text(token, "label"), admin_text(token, "manufacturer"), admin_text(token, "model"),
        admin_text(token, "serial"), admin_number(token, "slot"), admin_text(token, "pin_state"),
        admin_text(token, "pin_source"), faults[0] == '\0' ? "" : "\n  FAULT   ", faults);
    bool well = faults[0] == '\0';
    well = print_objects(aw_json_member(reply, "objects")) && well;
    well = print_mechanisms(aw_json_member(reply, "mechanisms")) && well;
    if (!well)
        return aw_hint(aw_fail(AW_CODE_TOKEN, "the token is not as it should be"),
            "what is marked FAULT, CAN BE READ or MISSING above says where");
    puts("all as it should be");
    return AW_OK;
}
