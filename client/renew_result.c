/* What came of it: hooks, what is kept for the next run, what is told. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "client/renew.h"
#include "common/io.h"

enum { RESULT_MAX = 256 * 1024, TEXT_MAX = 16 * 1024 };

/* A failure as `certonly --json` writes it. */
struct told {
    const char *tag, *message, *hint;
    int64_t retry_after;
};

static enum aw_code
code_of(const char *tag)
{
    for (int code = AW_CODE_OK + 1; code <= AW_CODE_INTERNAL; code++)
        if (strcmp(aw_code_tag((enum aw_code)code), tag) == 0)
            return (enum aw_code)code;
    return AW_CODE_INTERNAL;
}

/* Nothing is wrong with the certificate: the same would meet the next one. */
static bool
stops_all(enum aw_code code)
{
    return code == AW_CODE_UNAVAILABLE || code == AW_CODE_FROZEN || code == AW_CODE_TOKEN ||
           code == AW_CODE_TOKEN_ABSENT || code == AW_CODE_TOKEN_GONE ||
           code == AW_CODE_TOKEN_PIN || code == AW_CODE_INTERRUPTED || code == AW_CODE_MEMORY;
}

static void
note_code(struct renew *r, enum aw_code code)
{
    if (r->code == AW_CODE_OK)
        r->code = code;
}

/* Telling. */

static void
write_failed(struct renew *r, const char *name, const struct told *told)
{
    struct aw_json_writer *w = &r->failed_json;

    aw_json_begin_object(w);
    aw_json_pair(w, "name", name);
    aw_json_pair(w, "tag", told->tag);
    aw_json_pair(w, "message", told->message);
    aw_json_pair(w, "hint", told->hint);
    aw_json_end_object(w);
}

static void
tell_failed(struct renew *r, const char *name, const struct told *told)
{
    AW_CLEANUP(aw_free) char *message = output_safe(told->message);
    AW_CLEANUP(aw_free) char *hint = told->hint == NULL ? NULL : output_safe(told->hint);

    write_failed(r, name, told);
    output_warning(r->out, "certificate %s was not renewed: %s", name, message);
    if (hint != NULL && hint[0] != '\0')
        fprintf(r->out->messages, "  %s\n", hint);
}

/* The same as last time was told then. */
static void
tell_again(
    struct renew *r, const char *name, const struct told *told, const struct renew_failure *failure)
{
    char first[32], next[32];

    aw_time_text(failure->first, first);
    aw_time_text(failure->next, next);
    write_failed(r, name, told);
    output_warning(r->out,
        "certificate %s still fails, since %s, %lld times, as told then; next try %s", name, first,
        (long long)failure->count, next);
}

void
renew_fail(struct renew *r, const char *name)
{
    const struct aw_error *error = aw_error_last();
    const struct told told = {
        .tag = aw_code_tag(error->code), .message = error->message, .hint = error->hint};

    r->failed++;
    note_code(r, error->code);
    tell_failed(r, name, &told);
}

void
renew_wait(struct renew *r, const char *name, const struct renew_failure *failure)
{
    struct aw_json_writer *w = &r->waiting_json;
    char next[32];

    r->waiting++;
    aw_time_text(failure->next, next);
    aw_json_begin_object(w);
    aw_json_pair(w, "name", name);
    aw_json_pair_integer(w, "until", failure->next);
    aw_json_pair_integer(w, "failures", failure->count);
    aw_json_pair(w, "error", failure->error);
    aw_json_end_object(w);
    output_line(r->out, "waits:   certificate %s failed before; next try %s (--force-renewal: now)",
        name, next);
}

/* Success. */

bool
renew_deploy(struct renew *r, const char *name, const struct options *settings, const char *domains)
{
    AW_CLEANUP(aw_free) char *live = NULL;
    const struct lineage_commands commands = {.deploy = r->options->deploy_hook != NULL
                                                            ? r->options->deploy_hook
                                                            : settings->deploy_hook};

    if (!aw_ok(aw_format(&live, "%s/live/%s", r->root, name)))
        return false;
    const struct lineage lineage = {live, domains};
    bool good = lineage_hooks_deploy(r->hooks, &commands, &lineage);
    if (!good) {
        note_code(r, AW_CODE_IO);
        output_warning(
            r->out, "a deploy hook of %s failed: the next run of renew runs it again", name);
    }
    return good;
}

static aw_result
deploy(struct renew *r, const struct renew_item *item, int64_t version)
{
    AW_CLEANUP(renewal_config_free) struct renewal_config *config = NULL;
    struct renew_state state;
    bool found;

    AW_TRY(renew_settings(r, item->name, &config));
    AW_TRY(renew_state_read(r->root, item->name, &state, &found));
    if (renew_deploy(r, item->name, renewal_config_options(config), item->domains))
        state.deployed = version;
    state.version = version;
    state.window_start = state.window_end = state.chosen = state.ask = state.next = 0;
    AW_TRY(renew_state_write(r->root, item->name, &state));
    return renew_failure_forget(r->root, item->key);
}

static aw_result
take_success(struct renew *r, const struct renew_item *item, const cJSON *object, const char *text)
{
    int64_t version, not_after;
    char date[32];

    r->renewed++;
    aw_json_write_raw(&r->renewed_json, text);
    if (r->options->dry_run) {
        bool rehearsed = cJSON_IsTrue(aw_json_member(object, "rehearsed"));
        output_line(r->out, "dry run: certificate %s %s", item->name,
            rehearsed ? "was ordered from the staging CA and thrown away" : "would be ordered");
        return AW_OK;
    }
    AW_TRY(aw_json_integer(object, "version", 1, INT64_C(1) << 31, &version));
    AW_TRY(aw_json_integer(object, "not_after", 0, INT64_C(1) << 52, &not_after));
    aw_time_text(not_after, date);
    output_line(r->out, "renewed: certificate %s, version %lld, expires %s", item->name,
        (long long)version, date);
    lineage_hooks_note(r->hooks, true, item->domains);
    return deploy(r, item, version);
}

/* Failure. */

/* One for all certificates of the CA, when it asks for fewer requests (RFC 8555 6.6). */
static aw_result
keep_limit(struct renew *r, const struct renew_item *item, const struct told *told)
{
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};
    const struct renew_failed failed = {
        told->message, told->retry_after, INT64_C(8) * told->retry_after};

    if (item->directory == NULL || told->retry_after <= 0)
        return AW_OK;
    return renew_failure_add(r->root, item->directory, &failed, &failure);
}

static aw_result
keep_failure(struct renew *r, const struct renew_item *item, const struct told *told)
{
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};
    const struct renew_failed failed = {told->message, told->retry_after, item->left};

    AW_TRY(renew_failure_read(r->root, item->key, &failure));
    bool same = failure.count > 0 && strcmp(failure.error, told->message) == 0;
    AW_TRY(renew_failure_add(r->root, item->key, &failed, &failure));
    if (same)
        tell_again(r, item->name, told, &failure);
    else
        tell_failed(r, item->name, told);
    return keep_limit(r, item, told);
}

static aw_result
take_failure(struct renew *r, const struct renew_item *item, const struct told *told)
{
    enum aw_code code = code_of(told->tag);

    r->failed++;
    note_code(r, code);
    lineage_hooks_note(r->hooks, false, item->domains);
    if (stops_all(code)) {
        if (!r->stopped)
            tell_failed(r, item->name, told);
        r->stopped = true;
        return AW_OK;
    }
    if (code == AW_CODE_BUSY || r->options->dry_run) {
        tell_failed(r, item->name, told);
        return AW_OK;
    }
    return keep_failure(r, item, told);
}

static aw_result
read_error(const cJSON *object, struct told *told)
{
    const cJSON *error;

    AW_TRY(aw_json_object(object, "error", &error));
    AW_TRY(aw_json_string(error, "tag", TEXT_MAX, &told->tag));
    AW_TRY(aw_json_string(error, "message", TEXT_MAX, &told->message));
    AW_TRY(aw_json_optional_string(error, "hint", TEXT_MAX, &told->hint));
    return aw_json_optional_integer(error, "retry_after", 0, INT64_C(1) << 40, &told->retry_after);
}

static aw_result
take(struct renew *r, const struct renew_item *item, int status, char *text, size_t size)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;
    struct told told = {0};

    while (size > 0 && text[size - 1] == '\n')
        text[--size] = '\0';
    if (!WIFEXITED(status))
        return aw_fail(
            AW_CODE_IO, "the process that ordered it was ended by signal %d", WTERMSIG(status));
    AW_TRY(aw_json_parse(text, size, AW_JSON_TOLERANT, &object));
    if (WEXITSTATUS(status) == 0)
        return take_success(r, item, object, text);
    if (aw_json_member(object, "error") == NULL) /* a dry run's findings */
        told = (struct told){aw_code_tag(AW_CODE_REFUSED), "the policy would refuse it",
            "acmeward certonly --check says why", 0};
    else
        AW_TRY(read_error(object, &told));
    return take_failure(r, item, &told);
}

void
renew_take(struct renew *r, const struct renew_item *item, int status, FILE *results)
{
    AW_CLEANUP(aw_free) char *text = calloc(1, RESULT_MAX);
    size_t size = text == NULL ? 0 : fread(text, 1, RESULT_MAX - 1, results);
    aw_result result = text == NULL ? aw_fail_memory() : take(r, item, status, text, size);

    if (!aw_ok(result))
        renew_fail(r, item->name);
}

/* The end. */

static aw_result
write_report(struct renew *r)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", r->code == AW_CODE_OK ? "done" : "failed");
    aw_json_pair_integer(&w, "examined", (int64_t)r->examined);
    aw_json_pair_integer(&w, "not_due", (int64_t)r->not_due);
    aw_json_pair_integer(&w, "not_begun", (int64_t)r->left);
    aw_json_pair_array(&w, "renewed", &r->renewed_json);
    aw_json_pair_array(&w, "failed", &r->failed_json);
    aw_json_pair_array(&w, "waiting", &r->waiting_json);
    aw_json_pair_integer(&w, "milliseconds", (int64_t)(output_seconds(r->out) * 1000));
    aw_json_end_object(&w);
    return output_json(r->out, &w);
}

aw_result
renew_report(struct renew *r)
{
    AW_TRY(write_report(r));
    r->out->told = true;
    output_line(r->out, "renewed %zu, failed %zu, waiting after a failure %zu, not due %zu%s",
        r->renewed, r->failed, r->waiting, r->not_due,
        r->examined > 0 ? ""
        : r->resume     ? ": no order is under way"
                        : ": no certificate has settings in renewal/");
    if (r->code == AW_CODE_OK)
        return AW_OK;
    if (r->left > 0)
        output_note(r->out, "%zu more are due: the next run goes on with them", r->left);
    return aw_fail(r->code,
        r->failed > 0 ? "%zu of %zu certificates were not renewed"
                      : "%zu of %zu certificates failed, and a hook did",
        r->failed, r->examined);
}
