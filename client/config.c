#include "client/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/chain.h"
#include "client/challenge.h"
#include "client/config_parts.h"
#include "client/ssh_url.h"
#include "common/io.h"
#include "common/nss.h"

/* What the table fills; places are for faults of meaning. */
struct raw_config {
    struct client_config config;
    aw_yaml_node signer_user_place;
};

#define ROW(key, type, member) \
    .name = (key), .kind = (type), .offset = offsetof(struct raw_config, config.member)

static const struct aw_yaml_field fields[] = {
    {ROW("signer", AW_YAML_STRING, signer)},
    {ROW("signer_user", AW_YAML_STRING, signer_user),
        .place = offsetof(struct raw_config, signer_user_place)},
    {ROW("ssh_config", AW_YAML_STRING, ssh_config)},
    {ROW("certificates", AW_YAML_STRING, certificates)},
    {ROW("ca_file", AW_YAML_STRING, ca_file)},
    {ROW("proxy", AW_YAML_STRING, proxy)},
    {ROW("application", AW_YAML_STRING, application)},
    {ROW("dry_run_application", AW_YAML_STRING, dry_run_application)},
    {ROW("dry_run_ca_file", AW_YAML_STRING, dry_run_ca_file)},
    {ROW("key_type", AW_YAML_ENUM, key_type), .choices = chain_key_types},
    {ROW("pkcs11_module", AW_YAML_STRING, pkcs11_module)},
    {ROW("key_pin_file", AW_YAML_STRING, key_pin_file)},
    {ROW("http_01_port", AW_YAML_INTEGER, http_01_port), .min = 1, .max = 65535},
    {ROW("http_01_address", AW_YAML_STRING, http_01_address)},
    {ROW("tls_alpn_01_port", AW_YAML_INTEGER, tls_alpn_01_port), .min = 1, .max = 65535},
    {ROW("tls_alpn_01_address", AW_YAML_STRING, tls_alpn_01_address)},
    {.name = NULL},
};

aw_result
client_config_replace(char **slot, const char *value)
{
    if (value == NULL)
        return AW_OK;
    char *copy = strdup(value);
    if (copy == NULL)
        return aw_fail_memory();
    free(*slot);
    *slot = copy;
    return AW_OK;
}

static void
check_paths(const struct client_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    const struct config_path paths[] = {
        {"signer", ssh_url_is(config->signer) ? NULL : config->signer},
        {"ssh_config", config->ssh_config},
        {"certificates", config->certificates},
        {"ca_file", config->ca_file},
        {"dry_run_ca_file", config->dry_run_ca_file},
        {"pkcs11_module", config->pkcs11_module},
        {"key_pin_file", config->key_pin_file},
    };

    config_check_paths(paths, AW_COUNT(paths), root, faults);
}

static aw_result
set_defaults(struct client_config *config)
{
    AW_TRY(config_default(&config->signer, "/run/acmeward/signer.sock"));
    AW_TRY(config_default(&config->signer_user, "acmeward"));
    return config_default(&config->certificates, "/etc/acmeward");
}

static aw_result
read_file(const char *path, struct aw_faults *faults, struct raw_config *raw)
{
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;

    AW_TRY(config_check_owner(path, faults));
    AW_TRY(aw_yaml_load(path, faults, &yaml));
    /* A file of comments alone is a file of defaults. */
    if (aw_yaml_shape(aw_yaml_root(yaml)) != AW_YAML_IS_NOTHING)
        aw_yaml_read_mapping(aw_yaml_root(yaml), fields, raw, faults);
    struct client_config *config = &raw->config;
    AW_TRY(client_config_replace(&config->file, path));
    AW_TRY(set_defaults(config));
    AW_TRY(config_signer_user(
        config->signer_user, raw->signer_user_place, faults, &config->signer_uid));
    check_paths(config, aw_yaml_root(yaml), faults);
    config_check_signer(config->signer, aw_yaml_root(yaml), faults);
    return aw_faults_result(faults);
}

static aw_result
use_defaults(struct raw_config *raw)
{
    bool found;

    AW_TRY(set_defaults(&raw->config));
    return aw_nss_user(raw->config.signer_user, &found, &raw->config.signer_uid);
}

static void
free_raw(struct raw_config *raw)
{
    free(raw->config.file);
    aw_yaml_release(fields, raw);
}

aw_result
client_config_load(const char *path, struct aw_faults *faults, struct client_config **out)
{
    AW_CLEANUP(free_raw)
    struct raw_config raw = {
        .config.http_01_port = CHALLENGE_PORT, .config.tls_alpn_01_port = CHALLENGE_TLS_PORT};

    *out = NULL;
    if (path == NULL && access(CLIENT_CONFIG_PATH, F_OK) != 0 && errno == ENOENT)
        AW_TRY(use_defaults(&raw));
    else
        AW_TRY(read_file(path == NULL ? CLIENT_CONFIG_PATH : path, faults, &raw));
    struct client_config *config = malloc(sizeof(*config));
    if (config == NULL)
        return aw_fail_memory();
    *config = raw.config;
    memset(&raw, 0, sizeof(raw));
    *out = config;
    return AW_OK;
}

struct signer_place
client_config_signer(const struct client_config *config)
{
    return (struct signer_place){
        .at = config->signer, .server_uid = config->signer_uid, .ssh_config = config->ssh_config};
}

void
client_config_free(struct client_config **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct raw_config raw = {.config = **slot};

    free_raw(&raw);
    free(*slot);
    *slot = NULL;
}
