#include "signer/files.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "policy/accounts.h"
#include "signer/url.h"

void
files_free(struct files *files)
{
    aw_config_free(&files->config);
    policy_release(&files->snapshot);
    peer_roles_free(&files->roles);
    relays_free(&files->relays);
    issuers_set_free(&files->issuers);
}

/* The origin that all of an account's requests go to comes from here. */
static void
check_directories(const struct aw_config *config, struct aw_faults *faults)
{
    for (size_t i = 0; i < config->ca_count; i++)
        if (!aw_ok(url_check_pin(config->cas[i].directory)))
            aw_faults_add(faults, config->file, config->cas[i].place.line,
                config->cas[i].place.column, "directory of %s: %s", config->cas[i].name,
                aw_error_last()->message);
}

/* What inner clients sign for is compared byte for byte: no two spellings of one URL. */
static aw_result
check_relays(const struct aw_config *config, struct aw_faults *faults)
{
    for (size_t i = 0; i < config->relay_count; i++) {
        const struct aw_config_relay *relay = &config->relays[i];
        AW_CLEANUP(aw_free) char *directory = NULL;

        AW_TRY(aw_format(&directory, "%s/directory", relay->url));
        if (!aw_ok(url_check_form(directory)))
            aw_faults_add(faults, config->file, relay->place.line, relay->place.column,
                "url of a relay: %s", aw_error_last()->message);
    }
    return AW_OK;
}

/* Configuration and policies together, since policies name accounts. */
aw_result
files_load(const char *path, const struct policy_resolver *resolver, struct aw_faults *faults,
    struct aw_faults *warnings, struct files *files)
{
    AW_CLEANUP(policy_accounts_free) struct policy_accounts list = {0};

    AW_TRY(aw_config_load(path, faults, &files->config));
    aw_config_warn(files->config, warnings);
    check_directories(files->config, faults);
    AW_TRY(check_relays(files->config, faults));
    aw_result r = policy_accounts_of(files->config, faults, &list);
    if (!aw_ok(r) && r.code != AW_CODE_CONFIG)
        return r;
    AW_TRY(issuers_set_load(files->config, faults, warnings, &files->issuers));
    AW_TRY(peer_roles_resolve(files->config, resolver, warnings, &files->roles));
    AW_TRY(relays_resolve(files->config, resolver, warnings, &files->relays));
    r = policy_load(
        &(struct policy_source){files->config->paths.policies, list.items, list.count, resolver},
        faults, warnings, &files->snapshot);
    if (aw_ok(r))
        policy_warn_no_relay(files->snapshot, files->config, warnings);
    return aw_ok(r) ? aw_faults_result(faults) : r;
}

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

/* What lies in a folder of ours, each by name: no links, nothing that others own or may write. */
static aw_result
check_entries(const char *path)
{
    AW_CLEANUP(close_folder) DIR *folder = opendir(path);

    if (folder == NULL)
        return errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "%s", path);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        AW_CLEANUP(aw_free) char *name = NULL;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        AW_TRY(aw_path_join(path, entry->d_name, &name));
        aw_result r = aw_path_check(name, geteuid(), 0022);
        if (!aw_ok(r) && r.code != AW_CODE_NOT_FOUND) /* it may just have been replaced */
            return r;
    }
    return AW_OK;
}

/* Ledger, latch, freezes; accounts and pins; the record. */
static aw_result
check_state(const char *state)
{
    static const char *const folders[] = {"accounts", "cas", "audit"};

    AW_TRY(aw_path_check(state, geteuid(), 0027));
    AW_TRY(check_entries(state));
    for (size_t i = 0; i < AW_COUNT(folders); i++) {
        AW_CLEANUP(aw_free) char *path = NULL;

        AW_TRY(aw_path_join(state, folders[i], &path));
        AW_TRY(check_entries(path));
    }
    return AW_OK;
}

/* Itself and where it is; NULL: none is configured. */
static aw_result
check_place(const char *path)
{
    if (path == NULL)
        return AW_OK;
    AW_TRY(aw_path_check(path, geteuid(), 0022));
    return aw_path_check_place(path, geteuid());
}

aw_result
files_check_owners(const struct aw_config *config)
{
    const char *export_folder = aw_config_export_folder(config);

    AW_TRY(check_place(config->file));
    AW_TRY(check_place(config->paths.policies));
    for (size_t i = 0; i < config->ca_count; i++)
        AW_TRY(check_place(config->cas[i].issuers));
    /* Whoever takes checkpoints off the host may be in its group, and empty it. */
    if (export_folder != NULL)
        AW_TRY(aw_hint(aw_path_check(export_folder, geteuid(), 0002),
            "export under audit names the folder; it belongs to the signer's user: install -d -o "
            "acmeward -m 0755 %s",
            export_folder));
    AW_TRY(aw_path_check_place(config->paths.state, geteuid()));
    return check_state(config->paths.state);
}

static bool
same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_texts(const struct aw_yaml_strings *a, const struct aw_yaml_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i].text, b->items[i].text) != 0)
            return false;
    return true;
}

static bool
same_sandbox(const struct aw_config *a, const struct aw_config *b)
{
    return a->sandbox.seccomp == b->sandbox.seccomp && a->sandbox.landlock == b->sandbox.landlock &&
           a->token.network == b->token.network && same_texts(&a->token.paths, &b->token.paths) &&
           same_texts(&a->token.devices, &b->token.devices);
}

/* What was opened at the start stays; a file that says otherwise would be misleading. */
aw_result
files_check_unchanged(
    const struct aw_config *old, const struct aw_config *new, struct aw_faults *faults)
{
    const struct {
        const char *name, *old, *new;
    } rows[] = {
        {"token.module", old->token.module, new->token.module},
        {"token.uri", old->token.uri, new->token.uri},
        {"token.pin_source", old->token.pin_source, new->token.pin_source},
        {"paths.state", old->paths.state, new->paths.state},
        {"paths.application_socket", old->paths.application_socket, new->paths.application_socket},
        {"paths.admin_socket", old->paths.admin_socket, new->paths.admin_socket},
        {"openssl_properties", old->openssl_properties, new->openssl_properties},
        {"metrics.file", old->metrics.file, new->metrics.file},
        {"audit.key", old->audit.key, new->audit.key},
        {"audit.origin", old->audit.origin, new->audit.origin},
        {"audit.forward_socket", old->audit.forward_socket, new->audit.forward_socket},
        {"audit.forward", aw_config_forward_names[old->audit.forward],
            aw_config_forward_names[new->audit.forward]},
        {"audit.export", old->audit.export, new->audit.export},
    };

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (!same_text(rows[i].old, rows[i].new))
            aw_faults_add(faults, new->file, 0, 0,
                "%s: changed from \"%s\" to \"%s\"; this is taken at the start only: restart the "
                "signer",
                rows[i].name, rows[i].old == NULL ? "" : rows[i].old,
                rows[i].new == NULL ? "" : rows[i].new);
    if (old->token.sessions != new->token.sessions ||
        old->token.timeout_ms != new->token.timeout_ms)
        aw_faults_add(faults, new->file, 0, 0,
            "token: sessions or timeout_ms changed; they are taken at the start only: restart the "
            "signer");
    if (old->metrics.seconds != new->metrics.seconds)
        aw_faults_add(faults, new->file, 0, 0,
            "metrics: every_seconds changed; it is taken at the start only: restart the signer");
    if (old->audit.every_records != new->audit.every_records ||
        old->audit.every_minutes != new->audit.every_minutes ||
        old->audit.segment_mib != new->audit.segment_mib)
        aw_faults_add(faults, new->file, 0, 0,
            "audit: every_records, every_minutes or segment_mib changed; they are taken at the "
            "start only: restart the signer");
    if (!same_sandbox(old, new))
        aw_faults_add(faults, new->file, 0, 0,
            "sandbox, or token: paths, devices or network changed; they are taken at the start "
            "only: restart the signer");
    return aw_faults_result(faults);
}
