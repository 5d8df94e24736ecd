/* The figures as text, and the thread that writes them. Names: prometheus.io/docs/practices/naming.
 */
#include "signer/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/connections.h"
#include "signer/core.h"

enum { FILE_MODE = 0644 }; /* node_exporter reads it; there is no secret in it */

static const char *const verdict_names[METRICS_VERDICTS] = {"permit", "warn", "refuse"};

static void
head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP acmeward_%s %s\n# TYPE acmeward_%s %s\n", name, help, name, type);
}

static void
plain(FILE *f, const char *name, const char *type, const char *help, int64_t value)
{
    head(f, name, type, help);
    fprintf(f, "acmeward_%s %" PRId64 "\n", name, value);
}

static void
gauge(FILE *f, const char *name, const char *help, int64_t value)
{
    plain(f, name, "gauge", help, value);
}

static void
counter(FILE *f, const char *name, const char *help, int64_t value)
{
    plain(f, name, "counter", help, value);
}

static void
write_requests(FILE *f, const struct metrics_figures *figures)
{
    head(f, "requests_total", "counter", "Requests of applications that were decided.");
    for (size_t i = 0; i < SIGN_OPERATION_COUNT; i++)
        for (size_t j = 0; j < METRICS_VERDICTS; j++)
            if (i != SIGN_CHECK && i != SIGN_WHOAMI)
                fprintf(f, "acmeward_requests_total{operation=\"%s\",verdict=\"%s\"} %" PRId64 "\n",
                    sign_operation_name((enum sign_operation)i), verdict_names[j],
                    figures->operations[i][j]);
}

/* Tags are of letters, digits, ".", "_" and "-": nothing to escape. */
static void
write_rules(FILE *f, const struct metrics_figures *figures)
{
    head(f, "decisions_total", "counter", "Decisions by the rule that decided.");
    for (size_t i = 0; i <= METRICS_RULES_MAX; i++)
        for (size_t j = 0; j < METRICS_VERDICTS; j++)
            if (figures->rules[i].verdicts[j] != 0)
                fprintf(f, "acmeward_decisions_total{verdict=\"%s\",rule=\"%s\"} %" PRId64 "\n",
                    verdict_names[j], figures->rules[i].rule, figures->rules[i].verdicts[j]);
}

static void
write_token(FILE *f, struct core *core, const struct metrics_figures *figures)
{
    unsigned waiting = 0, had = 0;
    int64_t total = 0;

    head(f, "token_sign_seconds", "histogram", "How long the token took for a signature.");
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        total += figures->buckets[i];
        if (metrics_bounds[i] == INT64_MAX)
            fprintf(f, "acmeward_token_sign_seconds_bucket{le=\"+Inf\"} %" PRId64 "\n", total);
        else
            fprintf(f, "acmeward_token_sign_seconds_bucket{le=\"%g\"} %" PRId64 "\n",
                (double)metrics_bounds[i] / 1e6, total);
    }
    fprintf(f,
        "acmeward_token_sign_seconds_sum %.6f\nacmeward_token_sign_seconds_count %" PRId64 "\n",
        (double)figures->token_microseconds / 1e6, total);
    counter(f, "token_failures_total", "Signatures that the token did not make.",
        figures->token_failures);
    turns_count(core->turns, &waiting, &had);
    gauge(f, "token_waiting", "Requests that wait for their turn at the token.", waiting);
    gauge(f, "token_busy", "Requests that have a turn at the token.", had);
}

static void
write_forward(FILE *f, struct core *core)
{
    struct forward_state state;

    if (core->forward == NULL)
        return;
    forward_state(core->forward, &state);
    gauge(f, "forward_lag_records", "Durable records that the receiver has not taken yet.",
        state.behind);
    counter(
        f, "forward_failures_total", "Attempts that the receiver did not take.", state.failures);
}

static void
write_record(FILE *f, struct core *core)
{
    struct audit_room room;
    int64_t appended = 0, durable = 0;
    struct checkpoints_state state = {.size = 0};

    audit_log_position(core->audit, &appended, &durable);
    audit_log_room(core->audit, &room);
    counter(f, "audit_records_total", "Records of the audit log, of earlier runs too.", appended);
    gauge(f, "audit_lag_records", "Records that are not durable yet.", appended - durable);
    gauge(f, "audit_healthy", "0: the log can't be written, nothing is signed.",
        aw_ok(audit_log_healthy(core->audit)));
    gauge(f, "audit_free_bytes", "Room for records on the file system of the audit log.",
        room.free > 0 ? room.free : 0);
    gauge(f, "audit_reserve_bytes", "From here down only what is permitted is recorded.",
        room.reserve);
    counter(f, "refusals_unrecorded_total",
        "Refusals that were counted only: their user's budget or the room was used up.",
        ledger_unrecorded(core->ledger));
    gauge(f, "ledger_replayed_records", "Records that the ledger lacked at the start.",
        core->ledger_replayed);
    write_forward(f, core);
    if (core->checkpoints == NULL)
        return;
    checkpoints_state(core->checkpoints, &state);
    gauge(f, "checkpoint_records", "Records that the last checkpoint covers.", state.size);
    gauge(f, "checkpoint_timestamp_seconds", "When this run made its last checkpoint; 0: none yet.",
        state.at);
    gauge(f, "checkpoint_failing", "1: the last checkpoint failed, or could not be exported.",
        state.message[0] != '\0' || (state.exports && state.export.message[0] != '\0'));
    if (!state.exports)
        return;
    gauge(f, "export_records", "Records that the last checkpoint covers that was exported.",
        state.export.exported);
    gauge(f, "export_waiting_files", "Exported checkpoints that nobody has fetched and removed.",
        state.export.waiting);
    gauge(f, "export_waiting_seconds", "How long the oldest of them has waited.",
        state.export.waiting_for);
}

static aw_result
write_certificates(FILE *f, const struct core *core, int64_t now)
{
    AW_CLEANUP(aw_free) struct metrics_expiry *items = NULL;
    size_t count = 0;

    AW_TRY(metrics_expiries(core->metrics, now, &items, &count));
    size_t told = count < METRICS_APPLICATIONS_MAX ? count : METRICS_APPLICATIONS_MAX;
    head(f, "certificate_expiry_timestamp_seconds", "gauge",
        "When the first set of names of the application is without a certificate.");
    for (size_t i = 0; i < told; i++)
        fprintf(f,
            "acmeward_certificate_expiry_timestamp_seconds{application=\"%s\"} %" PRId64 "\n",
            items[i].application, items[i].first_end);
    head(f, "certificate_expiry_days", "gauge", "The same in days from now.");
    for (size_t i = 0; i < told; i++)
        fprintf(f, "acmeward_certificate_expiry_days{application=\"%s\"} %.2f\n",
            items[i].application, (double)(items[i].first_end - now) / 86400);
    gauge(f, "certificate_applications_untold",
        "Applications beyond those above; all of theirs expire later.", (int64_t)(count - told));
    return AW_OK;
}

static void
write_log(FILE *f)
{
    counter(f, "log_lost_total",
        "Lines of the signer's log that were left out, since its reader did not read.",
        (int64_t)aw_log_lost());
}

static void
write_state(FILE *f, struct core *core)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(core);
    struct policy_counts counts;
    int64_t ahead = 0;

    policy_count(snapshot, &counts);
    core_time(core, &ahead);
    head(f, "build_info", "gauge", "The version that runs.");
    fprintf(f, "acmeward_build_info{version=\"" ACMEWARD_VERSION "\"} 1\n");
    gauge(f, "start_timestamp_seconds", "When the signer started.", core->started_at);
    gauge(f, "written_timestamp_seconds", "When these figures were written.", core_now());
    gauge(
        f, "frozen", "1: an administrator has stopped all signing.", core_frozen(core, NULL, NULL));
    gauge(
        f, "clock_ahead_seconds", "How far the clock is ahead of the time of the records.", ahead);
    gauge(f, "applications", "Applications of the policies.", (int64_t)counts.applications);
    gauge(f, "applications_inert", "Of these without a user or group that exists.",
        (int64_t)counts.inert);
    gauge(f, "connections", "Open connections at both sockets.", atomic_load(&core->connections));
    counter(f, "failures_total", "Permitted operations that failed afterwards.",
        atomic_load(&core->failures));
}

static aw_result
render(struct core *core, char **out)
{
    AW_CLEANUP(aw_free) struct metrics_figures *figures = malloc(sizeof(*figures));
    char *text = NULL;
    size_t size = 0;
    FILE *f = figures == NULL ? NULL : open_memstream(&text, &size);

    if (f == NULL)
        return aw_fail_memory();
    metrics_copy(core->metrics, figures);
    write_state(f, core);
    write_log(f);
    write_requests(f, figures);
    write_rules(f, figures);
    write_token(f, core, figures);
    write_record(f, core);
    aw_result r = write_certificates(f, core, core_now());
    bool whole = ferror(f) == 0;
    if (fclose(f) != 0 || !whole || text == NULL || !aw_ok(r)) {
        free(text);
        return aw_ok(r) ? aw_fail_memory() : r;
    }
    *out = text;
    return AW_OK;
}

/* Writing. */

struct metrics_writer {
    struct core *core;
    int stop_fd;
    pthread_t thread;
};

static aw_result
write_once(struct core *core)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(render(core, &text));
    if (text == NULL)
        return aw_fail_memory();
    /* node_exporter reads *.prom only, and never half a file. */
    return aw_file_replace(core->metrics_path, text, strlen(text), FILE_MODE);
}

static void *
write_on(void *context)
{
    struct metrics_writer *writer = context;
    struct pollfd stop = {.fd = writer->stop_fd, .events = POLLIN};
    int wait_ms = (int)(writer->core->metrics_seconds * 1000);

    do {
        if (!aw_ok(write_once(writer->core)))
            teller_failure(&writer->core->teller, AW_LOG_WARNING, "no figures for Prometheus");
    } while (poll(&stop, 1, wait_ms) <= 0);
    return NULL;
}

aw_result
metrics_start(struct core *core)
{
    if (core->metrics_path == NULL)
        return AW_OK;
    struct metrics_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return aw_fail_memory();
    writer->core = core;
    writer->stop_fd = eventfd(0, EFD_CLOEXEC);
    errno = writer->stop_fd < 0 ? errno : pthread_create(&writer->thread, NULL, write_on, writer);
    if (writer->stop_fd >= 0 && errno == 0) {
        *metrics_writer_of(core->metrics) = writer;
        return AW_OK;
    }
    aw_result r = aw_fail_errno(AW_CODE_INTERNAL, "can't start to write figures");
    aw_close(&writer->stop_fd);
    free(writer);
    return r;
}

void
metrics_stop(metrics *self)
{
    struct metrics_writer **slot = self == NULL ? NULL : metrics_writer_of(self);

    if (slot == NULL || *slot == NULL)
        return;
    eventfd_write((*slot)->stop_fd, 1);
    pthread_join((*slot)->thread, NULL);
    aw_close(&(*slot)->stop_fd);
    free(*slot);
    *slot = NULL;
}
