#include "signer/confine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <openssl/conf.h>

#include "common/io.h"
#include "common/sandbox_paths.h"
#include "pkcs11/token.h"

/* Where p11-kit, SoftHSM and OpenSSL have their configuration. */
static const struct sandbox_path token_files[] = {
    {"/etc/pkcs11", SANDBOX_READ},
    {"/etc/softhsm", SANDBOX_READ},
    {"/etc/ssl/openssl.cnf", SANDBOX_READ},
};

/* Files in /etc are replaced, so a rule for one would soon be for none: hence all of /etc. */
static const struct sandbox_path user_files[] = {
    {"/etc", SANDBOX_READ},
    {"/run/systemd/userdb", SANDBOX_READ},
    {"/var/lib/sss", SANDBOX_READ},
    {"/var/lib/extrausers", SANDBOX_READ},
    {"/proc/sys/kernel", SANDBOX_READ},
};

/* The file itself: a PIN that is replaced is read by the next start, which the latch asks for. */
static aw_result
add_pin(struct sandbox_paths *paths, const struct aw_config *config)
{
    AW_CLEANUP(aw_free) char *source = NULL;

    if (config->token.pin_source != NULL)
        return sandbox_paths_add(paths, config->token.pin_source, SANDBOX_READ);
    AW_TRY(token_pin_source(config->token.uri, config->token.module, &source));
    return sandbox_paths_add(paths, source, SANDBOX_READ);
}

static aw_result
add_token(struct sandbox_paths *paths, const struct aw_config *config)
{
    AW_TRY(add_pin(paths, config));
    AW_TRY(sandbox_paths_add_folder_of(paths, config->token.module, SANDBOX_PROGRAM));
    AW_TRY(sandbox_paths_add_all(paths, token_files, AW_COUNT(token_files)));
    AW_TRY(sandbox_paths_add_strings(paths, &config->token.paths, SANDBOX_WRITE));
    AW_TRY(sandbox_paths_add_strings(paths, &config->token.devices, SANDBOX_DEVICE));
    if (config->token.network != AW_NETWORK_INET)
        return AW_OK;
    return sandbox_paths_add_network(paths);
}

static aw_result
add_openssl(struct sandbox_paths *paths, const struct aw_config *config)
{
    AW_CLEANUP(aw_free) char *file = NULL;

    if (config->openssl_properties == NULL)
        return AW_OK;
    file = CONF_get1_default_config_file();
    return sandbox_paths_add_folder_of(
        paths, file, SANDBOX_READ); /* what it includes lies beside it */
}

static aw_result
core_paths(const struct aw_config *config, struct sandbox_paths *paths)
{
    AW_TRY(sandbox_paths_add_libraries(paths));
    AW_TRY(sandbox_paths_add_folder_of(paths, config->file, SANDBOX_READ));
    AW_TRY(sandbox_paths_add(paths, config->paths.policies, SANDBOX_READ));
    AW_TRY(sandbox_paths_add(paths, config->paths.state, SANDBOX_WRITE));
    AW_TRY(sandbox_paths_add(paths, aw_config_export_folder(config), SANDBOX_WRITE));
    AW_TRY(sandbox_paths_add_folder_of(paths, config->metrics.file, SANDBOX_WRITE));
    AW_TRY(sandbox_paths_add_folder_of(paths, config->paths.application_socket, SANDBOX_REMOVE));
    AW_TRY(sandbox_paths_add_folder_of(paths, config->paths.admin_socket, SANDBOX_REMOVE));
    for (size_t i = 0; i < config->ca_count; i++)
        AW_TRY(sandbox_paths_add_folder_of(paths, config->cas[i].issuers, SANDBOX_READ));
    AW_TRY(add_openssl(paths, config));
    return add_token(paths, config);
}

aw_result
confine_core(const struct aw_config *config)
{
    AW_CLEANUP(sandbox_paths_free) struct sandbox_paths paths = {NULL, 0};

    AW_TRY(core_paths(config, &paths));
    const struct sandbox sandbox = {.kind = SANDBOX_CORE,
        .use = config->sandbox,
        .network = (enum aw_config_network)config->token.network,
        .devices = config->token.devices.count > 0,
        .reconnects = config->audit.forward == AW_FORWARD_SYSLOG,
        .paths = paths.items,
        .path_count = paths.count};
    return sandbox_enter(&sandbox);
}

aw_result
confine_keeper(const struct aw_config_sandbox *use, const char *beside, const char *installed)
{
    AW_CLEANUP(sandbox_paths_free) struct sandbox_paths paths = {NULL, 0};

    AW_TRY(sandbox_paths_add_libraries(&paths));
    AW_TRY(sandbox_paths_add(&paths, "/proc", SANDBOX_READ)); /* the gate counts its threads */
    AW_TRY(sandbox_paths_add_folder_of(&paths, beside, SANDBOX_PROGRAM));
    AW_TRY(sandbox_paths_add_folder_of(&paths, installed, SANDBOX_PROGRAM));
    const struct sandbox sandbox = {
        .kind = SANDBOX_KEEPER, .use = *use, .paths = paths.items, .path_count = paths.count};
    return sandbox_enter(&sandbox);
}

aw_result
confine_users(const struct aw_config_sandbox *use)
{
    AW_CLEANUP(sandbox_paths_free) struct sandbox_paths paths = {NULL, 0};

    AW_TRY(sandbox_paths_add_libraries(&paths));
    AW_TRY(sandbox_paths_add_all(&paths, user_files, AW_COUNT(user_files)));
    const struct sandbox sandbox = {.kind = SANDBOX_USERS,
        .use = *use,
        .network = AW_NETWORK_INET,
        .paths = paths.items,
        .path_count = paths.count};
    return sandbox_enter(&sandbox);
}

aw_result
confine_read(const char *config_path, struct aw_faults *faults, struct aw_config_sandbox *out)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;

    AW_TRY(aw_config_load(config_path, faults, &config));
    *out = config->sandbox;
    return AW_OK;
}

aw_result
confine_check(const struct aw_config_sandbox *use)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    if (use->landlock && sandbox_landlock_version() == 0)
        return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "this kernel offers no Landlock"),
            "add landlock to the kernel's lsm= parameter (5.13 or newer), or go without it: "
            "sandbox: {landlock: false} in signer.yaml");
    if (use->seccomp && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) != 0)
        return aw_hint(aw_fail_errno(AW_CODE_UNSUPPORTED, "this kernel offers no seccomp filters"),
            "it needs CONFIG_SECCOMP_FILTER; or go without it: sandbox: {seccomp: false} in "
            "signer.yaml");
    return AW_OK;
}
