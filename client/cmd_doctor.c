/* acmeward doctor: settings, socket, policy, CA and clock, store, timer. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/command.h"
#include "client/doctor.h"
#include "common/io.h"

enum { DAY = 24 * 3600, EXPIRES_SOON_DAYS = 30 };

static const char *const verdict_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};

static void
write_check(struct aw_json_writer *w, enum doctor_verdict verdict, const char *check,
    const char *message, const char *hint)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "check", check);
    aw_json_pair(w, "verdict", verdict_names[verdict]);
    aw_json_pair(w, "message", message);
    aw_json_pair(w, "hint", hint);
    aw_json_end_object(w);
}

void
doctor_tell(struct doctor *d, enum doctor_verdict verdict, const char *check, const char *message,
    const char *hint)
{
    static const enum output_colour colours[] = {
        [DOCTOR_OK] = OUTPUT_GREEN, [DOCTOR_WARN] = OUTPUT_YELLOW, [DOCTOR_FAIL] = OUTPUT_RED};
    AW_CLEANUP(aw_free) char *safe = output_safe(message);
    struct output *out = d->out;

    if (hint != NULL && hint[0] == '\0')
        hint = NULL;
    d->warnings += verdict == DOCTOR_WARN;
    d->failures += verdict == DOCTOR_FAIL;
    write_check(&d->w, verdict, check, message, hint);
    output_line(out, "%s%-4s%s  %-11s  %s", output_colour(out, out->results, colours[verdict]),
        verdict_names[verdict], output_colour(out, out->results, OUTPUT_PLAIN), check, safe);
    if (hint != NULL)
        output_line(out, "                   %s", hint);
    /* With --quiet lines are not told, but what is wrong is. */
    if (out->quiet && !out->json && verdict != DOCTOR_OK)
        output_warning(out, "%s: %s", check, safe);
}

void
doctor_tell_failure(struct doctor *d, enum doctor_verdict verdict, const char *check)
{
    struct aw_error error;

    aw_error_save(&error);
    doctor_tell(d, verdict, check, error.message, error.hint);
}

/* The socket. */

static bool
look_at_socket(struct doctor *d)
{
    const char *path = d->config->signer;
    AW_CLEANUP(aw_free) char *text = NULL;
    struct stat st;

    if (strncmp(path, "ssh:", strlen("ssh:")) == 0)
        return true;
    if (stat(path, &st) != 0) {
        aw_ignore(aw_fail_errno(AW_CODE_UNAVAILABLE, "%s", path), "it is told below");
        doctor_tell(d, DOCTOR_FAIL, "socket", aw_error_last()->message,
            errno == ENOENT ? "the signer does not run here, or client.yaml names another socket"
                            : "its folder must be open to this user");
        return false;
    }
    if (!S_ISSOCK(st.st_mode) || !aw_ok(aw_format(&text, "%s, uid %u, mode %04o", path,
                                     (unsigned)st.st_uid, (unsigned)st.st_mode & 07777))) {
        doctor_tell(d, DOCTOR_FAIL, "socket", path, "this is no socket: look at client.yaml");
        return false;
    }
    bool ours = st.st_uid == 0 || st.st_uid == d->config->signer_uid;
    doctor_tell(d, ours ? DOCTOR_OK : DOCTOR_WARN, "socket", text,
        ours ? NULL : "it belongs to neither root nor signer_user of client.yaml");
    return true;
}

/* The policy. */

static void
look_at_application(
    struct doctor *d, const struct whoami *whoami, const struct whoami_application *a)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    int64_t now = (int64_t)time(NULL);
    char day[32];

    aw_time_text(a->expires, day);
    if (!aw_ok(whoami_ready(whoami, a))) {
        doctor_tell_failure(d, DOCTOR_FAIL, "policy");
        return;
    }
    bool soon = a->expires != 0 && a->expires < now + (int64_t)EXPIRES_SOON_DAYS * DAY;
    aw_result r = a->expires == 0 ? aw_format(&text, "%s: may order", a->name)
                                  : aw_format(&text, "%s: may order until %.10s", a->name, day);
    if (aw_ok(r))
        doctor_tell(d, soon ? DOCTOR_WARN : DOCTOR_OK, "policy", text,
            soon ? "the policy ends soon: ask its owner" : NULL);
    if (a->orders_per_day > 0 && a->orders_today >= a->orders_per_day)
        doctor_tell(d, DOCTOR_WARN, "policy", "no orders are left for today",
            "the limit counts the last 24 hours");
    aw_time_text(a->warn_until, day);
    AW_CLEANUP(aw_free) char *roll_out = NULL;
    if (a->warn_until > now &&
        aw_ok(aw_format(&roll_out, "%s: in roll-out until %.10s", a->name, day)))
        doctor_tell(d, DOCTOR_WARN, "policy", roll_out,
            "what is let through now may be refused then: certonly --check tells");
}

static aw_result
ask_signer(struct doctor *d, struct whoami *whoami)
{
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    const struct signer_place place = client_config_signer(d->config);

    AW_TRY(signer_link_open(&place, &link));
    return whoami_ask(link, whoami);
}

static void
look_at_signer(struct doctor *d)
{
    AW_CLEANUP(whoami_free) struct whoami whoami = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    if (!look_at_socket(d))
        return;
    if (!aw_ok(ask_signer(d, &whoami))) {
        doctor_tell_failure(d, DOCTOR_FAIL, "signer");
        return;
    }
    if (aw_ok(aw_format(&text, "answers; you are %s, %zu application%s", whoami.user, whoami.count,
            whoami.count == 1 ? "" : "s")))
        doctor_tell(d, whoami.count == 0 ? DOCTOR_FAIL : DOCTOR_OK, "signer", text,
            whoami.count == 0 ? "ask the signer's administrator for a policy for this user" : NULL);
    for (size_t i = 0; i < whoami.count; i++)
        look_at_application(d, &whoami, &whoami.applications[i]);
    doctor_look_at_cas(d, &whoami);
}

/* The whole. */

static aw_result
finish(struct doctor *d)
{
    aw_json_end_array(&d->w);
    aw_json_pair_integer(&d->w, "warnings", (int64_t)d->warnings);
    aw_json_pair_integer(&d->w, "failures", (int64_t)d->failures);
    aw_json_pair(&d->w, "status", d->failures > 0 ? "failed" : "ok");
    aw_json_end_object(&d->w);
    AW_TRY(output_json(d->out, &d->w));
    if (d->failures == 0)
        return AW_OK;
    d->out->told = true;
    return aw_fail(AW_CODE_MISMATCH, "%zu check%s failed, %zu want%s a look", d->failures,
        d->failures == 1 ? "" : "s", d->warnings, d->warnings == 1 ? "s" : "");
}

aw_result
cmd_doctor(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    struct doctor d = {.out = out};

    AW_TRY(certonly_config(options, out, &config));
    d.config = config;
    aw_json_begin_object(&d.w);
    aw_json_name(&d.w, "checks");
    aw_json_begin_array(&d.w);
    doctor_tell(&d, DOCTOR_OK, "settings",
        config->file == NULL ? "defaults: there is no client.yaml" : config->file, NULL);
    look_at_signer(&d);
    doctor_look_at_host(&d);
    aw_result r = finish(&d);
    aw_json_writer_free(&d.w);
    return r;
}
