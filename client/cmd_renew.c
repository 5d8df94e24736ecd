/* acmeward renew: the sequence. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/command.h"
#include "client/interrupt.h"
#include "client/renew.h"
#include "client/store_order_list.h"
#include "common/io.h"

/* One renew at a time; different ones would sleep, ask and run hooks beside each other. */
static aw_result
lock(struct renew *r)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/archive/.lock", r->root));
    r->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r->lock < 0 && errno == ENOENT)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there are no certificates in %s", r->root),
            "acmeward certonly gets one; --config-dir names another folder");
    if (r->lock < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make %s", path);
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0)
        return AW_OK;
    if (errno != EWOULDBLOCK)
        return aw_fail_errno(AW_CODE_IO, "can't lock %s", path);
    return aw_hint(aw_fail(AW_CODE_BUSY, "another renew is running"),
        "wait for it to end (it holds %s)", path);
}

static aw_result
read_jobs(const char *text, size_t *out)
{
    size_t length = text == NULL ? 0 : strlen(text);
    long jobs = RENEW_JOBS;

    if (text != NULL)
        jobs = length <= 2 && strspn(text, "0123456789") == length ? strtol(text, NULL, 10) : 0;
    if (jobs < 1 || jobs > RENEW_JOBS_MAX)
        return aw_fail(
            AW_CODE_USAGE, "--jobs: found \"%.40s\", expected 1 to %d", text, RENEW_JOBS_MAX);
    *out = (size_t)jobs;
    return AW_OK;
}

static aw_result
begin(const struct options *options, struct output *out, struct renew *r)
{
    r->options = options;
    r->out = out;
    r->now = (int64_t)time(NULL);
    AW_TRY(read_jobs(options->jobs, &r->jobs));
    AW_TRY(certonly_check_hooks(options));
    if (options->cert_name != NULL)
        AW_TRY(store_name_check(options->cert_name));
    AW_TRY(certonly_config(options, out, &r->config));
    r->root = r->config->certificates;
    AW_TRY(lock(r));
    aw_json_begin_array(&r->renewed_json);
    aw_json_begin_array(&r->failed_json);
    aw_json_begin_array(&r->waiting_json);
    return lineage_hooks_new(r->root, true, out, &r->hooks);
}

static aw_result
examine(const char *name, void *context)
{
    struct renew *r = context;

    AW_TRY(interrupt_check());
    return renew_examine(r, name);
}

static aw_result
examine_all(struct renew *r)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    const char *name = r->options->cert_name;

    if (name == NULL)
        return renewal_config_list(r->root, examine, r);
    AW_TRY(renewal_config_path(r->root, name, &path));
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "%s has no settings: there is no %s", name, path),
            "acmeward certonly --cert-name %s writes them; acmeward certificates lists what is "
            "stored",
            name);
    return renew_examine(r, name);
}

/* As certbot: who runs it by a timer at the full hour does not meet all others at the CA. */
static aw_result
sleep_a_while(const struct renew *r)
{
    unsigned random = 0;

    if (r->options->no_random_sleep || r->options->dry_run || isatty(STDIN_FILENO) == 1 ||
        getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return AW_OK;
    int64_t seconds = 1 + (int64_t)random % RENEW_SLEEP_MAX;
    output_note(
        r->out, "waiting %lld seconds first (--no-random-sleep-on-renew: not)", (long long)seconds);
    return interrupt_wait(seconds * 1000);
}

static aw_result
add_order(const char *name, void *context)
{
    struct renew *r = context;

    if (r->options->cert_name != NULL && strcmp(r->options->cert_name, name) != 0)
        return AW_OK;
    return renew_add_order(r, name);
}

static aw_result
run(struct renew *r)
{
    AW_TRY(r->resume ? store_order_list(r->root, add_order, r) : examine_all(r));
    if (r->count > 0 && !r->resume)
        AW_TRY(sleep_a_while(r));
    return renew_all(r);
}

static aw_result
run_all(const struct options *options, struct output *out, bool resume)
{
    AW_CLEANUP(renew_free) struct renew r = {.resume = resume, .lock = -1};

    AW_TRY(interrupt_begin());
    AW_TRY(begin(options, out, &r));
    aw_result done = run(&r);
    struct aw_error error;
    aw_error_save(&error);
    if (!lineage_hooks_after(r.hooks) && r.code == AW_CODE_OK)
        r.code = AW_CODE_IO;
    if (!aw_ok(done))
        return aw_error_restore(&error);
    return renew_report(&r);
}

aw_result
cmd_renew(const struct options *options, struct output *out)
{
    return run_all(options, out, false);
}

aw_result
cmd_orders_resume(const struct options *options, struct output *out)
{
    return run_all(options, out, true);
}
