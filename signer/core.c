#include "signer/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/json.h"
#include "common/log.h"
#include "csr/csr.h"
#include "jose/jwk.h"
#include "signer/alarm.h"
#include "signer/core_freeze.h"
#include "signer/files.h"
#include "signer/held_keys.h"
#include "signer/readiness.h"

enum { START_RETRIES = 50 };

int64_t
core_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

aw_result
core_check_config(const char *config_path, struct aw_faults *faults, struct aw_faults *warnings)
{
    AW_CLEANUP(files_free) struct files files = {0};
    const struct policy_resolver resolver = users_resolver(NULL);

    AW_TRY(files_load(config_path, &resolver, faults, warnings, &files));
    readiness_warn(files.config, warnings);
    return AW_OK;
}

void
core_log_faults(enum aw_log_level level, const struct aw_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        aw_log(level, "%s:%u:%u: %s", faults->items[i].file, faults->items[i].line,
            faults->items[i].column, faults->items[i].message);
}

static aw_result
prepare(OSSL_LIB_CTX *libctx)
{
    AW_TRY(csr_prepare(libctx, NULL));
    return jose_prepare(&(struct jose_openssl){libctx, NULL});
}

static aw_result
open_crypto(struct core *core)
{
    core->libctx = OSSL_LIB_CTX_new();
    if (core->libctx == NULL)
        return aw_fail_openssl("can't make an OpenSSL library context");
    if (core->config->openssl_properties == NULL)
        return prepare(core->libctx);
    AW_CLEANUP(aw_free) char *file = CONF_get1_default_config_file();
    if (file == NULL || OSSL_LIB_CTX_load_config(core->libctx, file) != 1 ||
        EVP_set_default_properties(core->libctx, core->config->openssl_properties) != 1)
        return aw_hint(
            aw_fail_openssl("openssl_properties: \"%s\"", core->config->openssl_properties),
            "load the provider that has these properties in OpenSSL's configuration file");
    return prepare(core->libctx);
}

static aw_result
open_log(struct core *core, const char *folder)
{
    const struct audit_log_how how = {
        .folder = folder, .segment_size = core->config->audit.segment_mib * 1024 * 1024};
    struct audit_log_opening opening;

    AW_TRY(audit_log_open_with(&how, &core->audit, &opening));
    if (opening.repaired > 0)
        aw_log(AW_LOG_WARNING, "the audit log ended in half a record: %zu octets were set aside",
            opening.repaired);
    if (opening.mended > 0)
        aw_log(AW_LOG_WARNING,
            "the marks of %lld closed segments of the audit log were missing or wrong, and were "
            "made anew",
            (long long)opening.mended);
    if (opening.begun > 0)
        aw_log(AW_LOG_NOTICE,
            "the audit log was read from record %lld on; acmeward-admin audit verify reads it all",
            (long long)opening.begun + 1);
    return AW_OK;
}

static aw_result
open_log_and_ledger(struct core *core)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    AW_CLEANUP(aw_free) char *database = NULL;
    struct ledger_recovery recovery = {0};

    AW_TRY(aw_path_join(core->config->paths.state, "audit", &folder));
    AW_TRY(aw_folder_make(folder, 0750));
    AW_TRY(open_log(core, folder));
    AW_TRY(aw_path_join(core->config->paths.state, "ledger.db", &database));
    AW_TRY(ledger_open(database, folder, core->audit, &core->ledger, &recovery));
    AW_TRY(forward_open(&(struct forward_how){.log = core->audit,
                            .folder = folder,
                            .to = (enum aw_config_forward)core->config->audit.forward,
                            .socket = core->config->audit.forward_socket,
                            .target = &core->forward_target},
        &core->forward));
    clock_begin(&core->clock, ledger_time(core->ledger));
    core->ledger_replayed = recovery.replayed;
    if (recovery.rebuilt)
        aw_log(AW_LOG_WARNING, "the ledger was made anew from the audit log");
    if (recovery.replayed > 0)
        aw_log(AW_LOG_NOTICE, "the ledger took in %lld records that it lacked",
            (long long)recovery.replayed);
    return AW_OK;
}

/* Applications never have the last session: an administrator's call and the checkpoints come
 * through when sixty-four connections wait. A token that has but one session shares it. */
static aw_result
open_turns(struct core *core)
{
    unsigned sessions = token_sessions(core->token), count = sessions > 1 ? sessions - 1 : 1;

    return turns_new(
        &(struct turns_rule){.count = count,
            .share = count,
            .timeout_ms = (unsigned)core->config->token.timeout_ms,
            .what = "the token",
            .hint = "try again later; if it happens often, raise token.sessions in signer.yaml"},
        &core->turns);
}

static aw_result
open_token(struct core *core)
{
    AW_CLEANUP(aw_free) char *latch = NULL;

    AW_TRY(aw_path_join(core->config->paths.state, "pin.latch", &latch));
    struct token_config how = {
        .module = core->config->token.module,
        .uri = core->config->token.uri,
        .pin_source = core->config->token.pin_source,
        .latch = latch,
        .sessions = (unsigned)core->config->token.sessions + 1, /* see open_turns */
        .timeout_ms = (unsigned)core->config->token.timeout_ms,
        .start_retries = START_RETRIES,
        .libctx = core->libctx,
    };
    aw_result r = token_open(&how, &core->token);
    if (!aw_ok(r) && core->sandbox.landlock > 0 && r.code != AW_CODE_TOKEN_PIN)
        aw_log(AW_LOG_NOTICE, "in its sandbox the token's module reaches only what token: paths, "
                              "devices and network in signer.yaml open to it");
    AW_TRY(r);
    return open_turns(core);
}

static aw_result
load_first(struct core *core, struct aw_faults *faults)
{
    AW_CLEANUP(files_free) struct files files = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    const struct policy_resolver resolver = users_resolver(core->users);
    aw_result r = files_load(core->config_path, &resolver, faults, &warnings, &files);

    core_log_faults(AW_LOG_WARNING, &warnings);
    AW_TRY(r);
    core->config = AW_MOVE(files.config);
    core->snapshot = AW_MOVE(files.snapshot);
    core->roles = files.roles;
    core->relays = files.relays;
    core->issuers = files.issuers;
    files.roles = (struct peer_roles){0};
    files.relays = (struct relays){0};
    files.issuers = (struct issuers_set){0};
    return AW_OK;
}

/* One record for each CA that has issuers: what "verified" means from here on. */
static aw_result
record_issuers_of(struct core *core, const char *ca, const issuers *list)
{
    char digests[ISSUERS_MAX * AW_DIGEST_HEX_SIZE + 1] = "";
    AW_CLEANUP(aw_free) char *message = NULL;
    size_t used = 0;

    for (size_t i = 0; i < issuers_count(list); i++)
        used += (size_t)snprintf(
            digests + used, sizeof(digests) - used, " %s", issuers_item(list, i).digest);
    AW_TRY(aw_format(&message, "CA %s is held to%s", ca, digests));
    struct audit_entry entry = {.kind = AUDIT_ISSUERS, .message = message};
    return core_record(core, &entry);
}

/* At the start, or under change_lock: nobody swaps the files meanwhile. */
static aw_result
record_issuers(struct core *core)
{
    for (size_t i = 0; i < core->issuers.count; i++)
        if (core->issuers.items[i] != NULL)
            AW_TRY(record_issuers_of(core, core->config->cas[i].name, core->issuers.items[i]));
    return AW_OK;
}

static aw_result
record_start(struct core *core)
{
    char message[128];
    struct audit_entry entry = {
        .kind = AUDIT_START,
        .policy = policy_digest(core->snapshot),
        .message = message,
    };

    snprintf(message, sizeof(message), "acmeward-signer " ACMEWARD_VERSION "%s%s",
        core->config->sandbox.seccomp ? "" : ", without seccomp",
        core->config->sandbox.landlock ? "" : ", without Landlock");
    return core_record(core, &entry);
}

static aw_result
note_certificate(void *context, const struct ledger_certificate *found)
{
    metrics_certificate(context, found->application, found->names, found->not_after);
    return AW_OK;
}

/* The inventory is read once; what is handed back afterwards is noted as it comes. */
static aw_result
open_metrics(struct core *core)
{
    const char *file = core->config->metrics.file;

    core->metrics_seconds = core->config->metrics.seconds;
    if (file == NULL)
        return AW_OK;
    core->metrics_path = strdup(file);
    if (core->metrics_path == NULL)
        return aw_fail_memory();
    AW_TRY(ledger_visit_certificates(core->ledger, core_now(), note_certificate, core->metrics));
    return metrics_start(core);
}

aw_result
core_load(const char *config_path, users *who, struct aw_faults *faults, struct core **out)
{
    AW_CLEANUP(core_close) struct core *core = calloc(1, sizeof(*core));

    if (core == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&core->freeze_lock, NULL);
    pthread_mutex_init(&core->change_lock, NULL);
    pthread_mutex_init(&core->held_lock, NULL);
    pthread_mutex_init(&core->lock, NULL);
    leaving_init(&core->leaving);
    core->teller = (struct teller)TELLER_INIT;
    core->config_path = config_path;
    core->forward_target.fd = -1;
    core->users = who;
    core->started_at = core->loaded_at = core_now();
    AW_TRY(metrics_new(&core->metrics));
    AW_TRY(load_first(core, faults));
    AW_TRY(files_check_owners(core->config));
    AW_TRY(forward_target_open((enum aw_config_forward)core->config->audit.forward,
        core->config->audit.forward_socket, &core->forward_target));
    *out = AW_MOVE(core);
    return AW_OK;
}

aw_result
core_start(struct core *core)
{
    AW_TRY(open_crypto(core));
    AW_TRY(core_freeze_read(core));
    AW_TRY(open_log_and_ledger(core));
    AW_TRY(open_token(core));
    AW_TRY(relay_nonces_new(RELAY_NONCE_WINDOW, &core->nonces));
    AW_TRY(held_keys_refresh(core));
    AW_TRY(accounts_open(core->config, core->token, &core->accounts));
    AW_TRY(record_start(core));
    AW_TRY(core_freeze_compare(core));
    AW_TRY(alarm_inert(core, NULL));
    AW_TRY(record_issuers(core));
    AW_TRY(checkpoints_open(core, &core->checkpoints));
    return open_metrics(core);
}

aw_result
core_open(const char *config_path, users *who, struct aw_faults *faults, struct core **out)
{
    AW_TRY(core_load(config_path, who, faults, out));
    aw_result r = core_start(*out);
    if (!aw_ok(r))
        core_close(out);
    return r;
}

void
core_close(struct core **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct core *core = *slot;
    struct aw_error why;

    aw_error_save(&why);
    if (core->accounts != NULL) {
        struct audit_entry entry = {.kind = AUDIT_STOP};
        if (!aw_ok(ledger_record_counts(core->ledger, true, core_time(core, NULL))))
            aw_log_failure(AW_LOG_ERROR, "counts of refusals could not be recorded");
        if (!aw_ok(core_record(core, &entry)))
            aw_log_failure(AW_LOG_ERROR, "the end could not be recorded");
    }
    metrics_free(&core->metrics); /* its thread looks at the rest */
    checkpoints_close(&core->checkpoints);
    accounts_free(&core->accounts);
    ledger_close(&core->ledger);
    forward_close(&core->forward);
    forward_target_close(&core->forward_target);
    audit_log_close(&core->audit);
    turns_free(&core->turns);
    relay_nonces_free(&core->nonces);
    token_close(&core->token);
    policy_release(&core->snapshot);
    aw_config_free(&core->config);
    peer_roles_free(&core->roles);
    relays_free(&core->relays);
    issuers_set_free(&core->issuers);
    free(core->freeze_path);
    freezes_free(&core->freezes);
    free(core->metrics_path);
    OSSL_LIB_CTX_free(core->libctx);
    token_held_free(&core->held);
    pthread_mutex_destroy(&core->lock);
    pthread_mutex_destroy(&core->held_lock);
    pthread_mutex_destroy(&core->change_lock);
    pthread_mutex_destroy(&core->freeze_lock);
    leaving_destroy(&core->leaving);
    free(core);
    *slot = NULL;
    aw_ignore(aw_error_restore(&why), "why it is closed is the caller's to tell");
}

policy_snapshot *
core_snapshot(struct core *core)
{
    pthread_mutex_lock(&core->lock);
    policy_snapshot *snapshot = policy_retain(core->snapshot);
    pthread_mutex_unlock(&core->lock);
    return snapshot;
}

/* Old and new change places: `files` holds the old ones afterwards. */
static void
swap_files(struct core *core, struct files *files)
{
    struct files old;

    pthread_mutex_lock(&core->lock);
    old = (struct files){core->config, core->snapshot, core->roles, core->relays, core->issuers};
    core->config = files->config;
    core->snapshot = files->snapshot;
    core->roles = files->roles;
    core->relays = files->relays;
    core->issuers = files->issuers;
    core->loaded_at = core_now();
    pthread_mutex_unlock(&core->lock);
    *files = old;
}

/* Under change_lock: two reloads at once could leave the older policy in force. */
static aw_result
reload_files(struct core *core, struct aw_faults *faults, struct aw_faults *warnings)
{
    AW_CLEANUP(files_free) struct files files = {0};
    const struct policy_resolver resolver = users_resolver(core->users);

    AW_TRY(files_load(core->config_path, &resolver, faults, warnings, &files));
    AW_TRY(files_check_unchanged(core->config, files.config, faults));
    AW_TRY(files_check_owners(files.config));
    AW_TRY(accounts_reload(core->accounts, files.config));
    swap_files(core, &files);
    return AW_OK;
}

static aw_result
record_reload(struct core *core, const struct peer *by, const struct aw_error *error)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(core);
    struct audit_entry entry = {
        .kind = AUDIT_RELOAD,
        .has_uid = by != NULL,
        .uid = by == NULL ? 0 : by->uid,
        .user = by == NULL ? NULL : by->user,
        .verdict = error->code == AW_CODE_OK ? "permit" : "refuse",
        .policy = policy_digest(snapshot),
        .message = error->code == AW_CODE_OK ? NULL : error->message,
    };

    return core_record(core, &entry);
}

aw_result
core_reload(
    struct core *core, const struct peer *by, struct aw_faults *faults, struct aw_faults *warnings)
{
    AW_CLEANUP(policy_release) policy_snapshot *before = NULL;
    struct aw_error error = {.code = AW_CODE_OK};

    pthread_mutex_lock(&core->change_lock);
    before = core_snapshot(core);
    aw_result r = reload_files(core, faults, warnings);
    if (!aw_ok(r))
        aw_error_save(&error);
    held_keys_refresh_late(core);
    core_log_faults(AW_LOG_ERROR, faults);
    core_log_faults(AW_LOG_WARNING, warnings);
    aw_result recorded = record_reload(core, by, &error);
    if (aw_ok(r) && aw_ok(recorded))
        recorded = alarm_inert(core, before);
    if (aw_ok(r) && aw_ok(recorded))
        recorded = record_issuers(core);
    pthread_mutex_unlock(&core->change_lock);
    AW_TRY(recorded);
    return aw_ok(r) ? r : aw_error_restore(&error);
}

issuers *
core_issuers(struct core *core, const char *ca)
{
    issuers *found = NULL;

    pthread_mutex_lock(&core->lock);
    for (size_t i = 0; i < core->issuers.count && found == NULL; i++)
        if (strcmp(core->config->cas[i].name, ca) == 0)
            found = issuers_retain(core->issuers.items[i]);
    pthread_mutex_unlock(&core->lock);
    return found;
}

void
core_note_failure(struct core *core, enum aw_code code)
{
    if (code == AW_CODE_TOKEN_GONE)
        atomic_store(&core->token_gone, true);
}

int64_t
core_time(const struct core *core, int64_t *ahead)
{
    return clock_now(&core->clock, ahead);
}

void
core_count_garbage(struct core *core, const struct peer *peer)
{
    const struct audit_entry entry = {
        .has_uid = true, .uid = peer->uid, .user = peer->user, .rule = "request.invalid"};

    ledger_count_refusal(core->ledger, &entry);
}

aw_result
core_record(struct core *core, struct audit_entry *entry)
{
    struct ledger_verdict unused = {.rule = LEDGER_NONE};
    int64_t seq = 0;

    entry->time = core_time(core, NULL);
    AW_TRY(ledger_submit(core->ledger, NULL, entry, entry->time, &unused, &seq));
    return audit_log_wait(core->audit, seq);
}

aw_result
core_housekeep(struct core *core)
{
    AW_TRY(ledger_commit(core->ledger));
    AW_TRY(audit_log_healthy(core->audit));
    AW_TRY(ledger_record_counts(core->ledger, false, core_time(core, NULL)));
    return watch_look(core);
}
