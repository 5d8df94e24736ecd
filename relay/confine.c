#include "relay/confine.h"

#include <stdlib.h>

#include "client/ssh_url.h"
#include "common/io.h"
#include "common/sandbox.h"
#include "common/sandbox_paths.h"
#include "hostkey/host_key.h"

/* Certificates are replaced in their folders, and links to them (live/NAME) are too. */
static aw_result
add_file(struct sandbox_paths *paths, const char *path)
{
    AW_CLEANUP(aw_free) char *real = path == NULL ? NULL : realpath(path, NULL);

    AW_TRY(sandbox_paths_add_folder_of(paths, path, SANDBOX_READ));
    return sandbox_paths_add_folder_of(paths, real, SANDBOX_READ);
}

/* Module, its configuration and the PIN were read before; what the module uses afterwards is told
 * by key_paths. */
static aw_result
add_key(struct sandbox_paths *paths, const struct relay_config *config)
{
    if (!host_key_is_uri(config->tls.key))
        AW_TRY(add_file(paths, config->tls.key));
    return sandbox_paths_add_strings(paths, &config->tls.key_paths, SANDBOX_WRITE);
}

/* ssh finds its keys and the hosts it knows in the state folder, the home of the relay's user, or
 * where ssh_config says. */
static aw_result
add_programs(struct sandbox_paths *paths)
{
    static const struct sandbox_path files[] = {
        {"/etc", SANDBOX_READ},
        {"/bin", SANDBOX_PROGRAM},
        {"/sbin", SANDBOX_PROGRAM},
        {"/dev/null", SANDBOX_DEVICE},
        {"/dev/tty", SANDBOX_DEVICE},
        {"/run", SANDBOX_READ},
        {"/proc", SANDBOX_READ},
        {"/tmp", SANDBOX_WRITE},
    };

    return sandbox_paths_add_all(paths, files, AW_COUNT(files));
}

static aw_result
add_paths(const struct relay_config *config, bool programs, struct sandbox_paths *paths)
{
    AW_TRY(sandbox_paths_add_libraries(paths));
    AW_TRY(sandbox_paths_add_network(paths));
    AW_TRY(add_file(paths, config->file));
    AW_TRY(add_file(paths, config->tls.certificate));
    AW_TRY(add_key(paths, config));
    AW_TRY(add_file(paths, config->tls.client_ca));
    AW_TRY(add_file(paths, config->ca_file));
    AW_TRY(add_file(paths, config->ssh_config));
    AW_TRY(add_file(paths, config->dns.rfc2136_credentials));
    AW_TRY(sandbox_paths_add(paths, "/etc/ssl", SANDBOX_READ));
    AW_TRY(sandbox_paths_add(paths, config->state, SANDBOX_WRITE));
    return programs ? add_programs(paths) : AW_OK;
}

aw_result
relay_confine(const struct relay_config *config)
{
    AW_CLEANUP(sandbox_paths_free) struct sandbox_paths paths = {NULL, 0};
    bool programs = ssh_url_is(config->signer) || config->dns.auth_hook != NULL;

    AW_TRY(add_paths(config, programs, &paths));
    const struct sandbox sandbox = {.kind = programs ? SANDBOX_RELAY_PROGRAMS : SANDBOX_RELAY,
        .use = config->sandbox,
        .network = AW_NETWORK_INET,
        .paths = paths.items,
        .path_count = paths.count};
    return sandbox_enter(&sandbox);
}
