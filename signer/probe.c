#include "signer/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/config.h"
#include "common/io.h"
#include "common/json.h"
#include "common/log.h"
#include "pkcs11/probe.h"

/* How often a start-up that sees no token looks again (100 ms apart). */
enum { START_RETRIES = 50, KEY_TYPES = TOKEN_KEY_RSA_4096 + 1 };

/* Who may, and when. */

/* Root would leave files in a token's folder that the signer can't read; others have no PIN. */
static aw_result
check_user(const char *state)
{
    struct stat st;

    if (stat(state, &st) != 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "can't look at %s", state),
            "make the signer's state folder, owned by its user");
    if (st.st_uid == geteuid())
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_PERMISSION, "%s belongs to uid %u, this is uid %u", state,
                       (unsigned)st.st_uid, (unsigned)geteuid()),
        "run it as the signer's user, for example: runuser -u acmeward -- acmeward-signer "
        "--probe-token");
}

/*
 * A signer holds the lock of its audit log as long as it runs (audit/file.c). Held here too, so
 * that none starts meanwhile. Sockets tell nothing: a service manager may listen on them.
 */
static aw_result
keep_signer_out(const char *state, int *fd)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    AW_TRY(aw_path_join(state, "audit/audit.jsonl", &path));
    *fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0 && errno == ENOENT)
        return AW_OK; /* no signer was ever started here */
    if (*fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", path);
    if (fcntl(*fd, F_OFD_SETLK, &whole) == 0)
        return AW_OK;
    if (errno != EAGAIN && errno != EACCES)
        return aw_fail_errno(AW_CODE_IO, "can't lock %s", path);
    return aw_hint(aw_fail(AW_CODE_BUSY, "a signer is running: it holds %s", path),
        "stop it first (systemctl stop acmeward-signer), and its sockets, which would start it");
}

/* Opening. */

static aw_result
open_token(const struct aw_config *config, token **out)
{
    AW_CLEANUP(aw_free) char *latch = NULL;

    /* The same latch as the signer's: a wrong PIN is tried once by both together. */
    AW_TRY(aw_path_join(config->paths.state, "pin.latch", &latch));
    const struct token_config how = {
        .module = config->token.module,
        .uri = config->token.uri,
        .pin_source = config->token.pin_source,
        .latch = latch,
        .sessions = 1,
        .timeout_ms = (unsigned)config->token.timeout_ms,
        .start_retries = START_RETRIES,
    };
    return token_open(&how, out);
}

static size_t
types_in_use(const struct aw_config *config, enum token_key_type out[KEY_TYPES])
{
    bool used[KEY_TYPES] = {false};
    size_t count = 0;

    for (size_t i = 0; i < config->account_count; i++)
        used[config->accounts[i].key] = true;
    if (config->account_count == 0)
        used[TOKEN_KEY_EC_P256] = true;
    for (int type = 0; type < KEY_TYPES; type++)
        if (used[type])
            out[count++] = (enum token_key_type)type;
    return count;
}

/* Telling. */

static void
write_table(const struct token_probe *probe, FILE *out)
{
    const char *key = "";

    fprintf(out, "token \"%s\" (%s, %s, serial %s)\n", probe->info.label, probe->info.manufacturer,
        probe->info.model, probe->info.serial);
    for (size_t i = 0; i < probe->row_count; i++) {
        const struct token_probe_row *row = &probe->rows[i];
        if (strcmp(key, row->key) != 0)
            fprintf(out, "\n%-50s  %-36s  %s\n", row->key, "the token answered", "what follows");
        key = row->key;
        bool tolerable = row->verdict == TOKEN_PROBE_NOT_ENFORCED && !row->required;
        fprintf(out, "  %-48s  %-36s  %s%s\n", row->attempt, row->answer, row->follows,
            tolerable ? " [no requirement]" : "");
    }
    if (probe->left_behind[0] != '\0')
        fprintf(
            out, "\nleft behind, since the token did not destroy them: %s\n", probe->left_behind);
    fprintf(out, "\n%s\n",
        token_probe_holds(probe) ? "all that must hold holds"
                                 : "this token does not enforce what must hold: do not use it");
}

static aw_result
make_json(const struct token_probe *probe, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair_integer(&w, "probed_at", (int64_t)time(NULL));
    aw_json_pair(&w, "version", ACMEWARD_VERSION);
    aw_json_pair(&w, "token", probe->info.label);
    aw_json_pair(&w, "manufacturer", probe->info.manufacturer);
    aw_json_pair(&w, "model", probe->info.model);
    aw_json_pair(&w, "serial", probe->info.serial);
    aw_json_pair_bool(&w, "holds", token_probe_holds(probe));
    aw_json_pair(&w, "left_behind", probe->left_behind);
    aw_json_name(&w, "rows");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < probe->row_count; i++) {
        const struct token_probe_row *row = &probe->rows[i];
        aw_json_begin_object(&w);
        aw_json_pair(&w, "key", row->key);
        aw_json_pair(&w, "attempt", row->attempt);
        aw_json_pair(&w, "answer", row->answer);
        aw_json_pair(&w, "verdict", token_probe_verdict_name(row->verdict));
        aw_json_pair_bool(&w, "required", row->required);
        aw_json_pair(&w, "follows", row->follows);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

/* What was found stays for acmeward-admin report p4, fit or not, until the next probe. */
static aw_result
keep_result(const char *state, const char *json)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_path_join(state, PROBE_RESULT_NAME, &path));
    return aw_file_replace(path, json, strlen(json), 0640);
}

/* The whole. */

static aw_result
probe_and_tell(const struct aw_config *config, bool json, FILE *out, bool *holds)
{
    AW_CLEANUP(token_close) token *t = NULL;
    AW_CLEANUP(token_probe_free) struct token_probe *probe = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    enum token_key_type types[KEY_TYPES];
    size_t count = types_in_use(config, types);

    AW_TRY(open_token(config, &t));
    AW_TRY(token_probe_run(t, types, count, &probe));
    *holds = token_probe_holds(probe);
    AW_TRY(make_json(probe, &text));
    if (json)
        fprintf(out, "%s\n", text);
    else
        write_table(probe, out);
    AW_TRY(keep_result(config->paths.state, text));
    return fflush(out) == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't write what was found");
}

static void
block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

aw_result
probe_token(const char *config_path, bool json, FILE *out, bool *holds)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_close) int lock = -1;

    aw_result r = aw_config_load(config_path, &faults, &config);
    for (size_t i = 0; i < faults.count; i++)
        aw_log(AW_LOG_ERROR, "%s:%u:%u: %s", faults.items[i].file, faults.items[i].line,
            faults.items[i].column, faults.items[i].message);
    AW_TRY(r);
    AW_TRY(check_user(config->paths.state));
    AW_TRY(keep_signer_out(config->paths.state, &lock));
    block_signals();
    return probe_and_tell(config, json, out, holds);
}
