#include "signer/readiness.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "pkcs11/token.h"
#include "signer/files.h"

/* systemd makes it when the unit starts. */
#define CREDENTIALS "/run/credentials/"

struct looker {
    const struct aw_config *config;
    struct aw_faults *warnings;
};

/* A failed check, as a warning. */
static void
warn_failed(const struct looker *looker, const char *key, const char *advice)
{
    const struct aw_error *error = aw_error_last();

    aw_faults_add(looker->warnings, looker->config->file, 0, 0, "%s: %s: %s", key, error->message,
        advice != NULL           ? advice
        : error->hint[0] != '\0' ? error->hint
                                 : "the signer does not start so");
}

static void
look_for(const struct looker *looker, const char *key, const char *path, int mode)
{
    if (access(path, F_OK) != 0 || (geteuid() != 0 && access(path, mode) != 0))
        aw_faults_add(
            looker->warnings, looker->config->file, 0, 0, "%s: %s: %s", key, path, strerror(errno));
}

static void
look_for_all(const struct looker *looker, const char *key, const struct aw_yaml_strings *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        look_for(looker, key, paths->items[i].text, R_OK);
}

static void
look_for_pin(const struct looker *looker)
{
    AW_CLEANUP(aw_free) char *named = NULL;
    const char *path = looker->config->token.pin_source;

    /* A faulty URI the files' own checks tell of. */
    if (path == NULL &&
        aw_ok(token_pin_source(looker->config->token.uri, looker->config->token.module, &named)))
        path = named;
    if (path == NULL || strncmp(path, CREDENTIALS, strlen(CREDENTIALS)) == 0)
        return;
    if (geteuid() == 0)
        look_for(looker, "token.pin_source", path, F_OK);
    else if (!aw_ok(aw_path_check(path, geteuid(), 0077)))
        warn_failed(looker, "token.pin_source",
            "the PIN's file belongs to the signer's user and has mode 0400");
    else
        look_for(looker, "token.pin_source", path, R_OK);
}

static void
look_for_folder(const struct looker *looker, const char *key, const char *file)
{
    AW_CLEANUP(aw_free) char *copy = strdup(file);

    if (copy != NULL)
        look_for(looker, key, dirname(copy), W_OK);
}

void
readiness_warn(const struct aw_config *config, struct aw_faults *warnings)
{
    const struct looker looker = {config, warnings};
    const char *folder = aw_config_export_folder(config);

    look_for(&looker, "token.module", config->token.module, R_OK);
    look_for_all(&looker, "token.paths", &config->token.paths);
    look_for_all(&looker, "token.devices", &config->token.devices);
    look_for_pin(&looker);
    if (folder != NULL)
        look_for(&looker, "audit.export", folder, W_OK);
    if (config->metrics.file != NULL)
        look_for_folder(&looker, "metrics.file", config->metrics.file);
    look_for(&looker, "paths.state", config->paths.state, W_OK);
    if (geteuid() != 0 && !aw_ok(files_check_owners(config)) &&
        aw_error_last()->code != AW_CODE_NOT_FOUND)
        warn_failed(&looker, "owners", NULL);
}
