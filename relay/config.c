#include "relay/config.h"

#include <stdlib.h>
#include <string.h>

#include "client/config.h"
#include "client/config_parts.h"
#include "client/ssh_url.h"
#include "common/io.h"
#include "hostkey/host_key.h"
#include "relay/address.h"
#include "relay/networks.h"

/* What the tables fill; places are for faults of meaning. */
struct raw_config {
    struct relay_config config;
    aw_yaml_node url_place;
    aw_yaml_node signer_user_place;
};

#define AT(member) .offset = offsetof(struct raw_config, config.member)
#define ROW(key, type, member) .name = (key), .kind = (type), AT(member)
#define LIMIT(key, least, most) \
    ROW(#key, AW_YAML_INTEGER, limits.key), .min = (least), .max = (most)

static const struct aw_yaml_field tls_fields[] = {
    {ROW("certificate", AW_YAML_STRING, tls.certificate), .required = true},
    {ROW("key", AW_YAML_STRING, tls.key), .required = true},
    {ROW("pkcs11_module", AW_YAML_STRING, tls.pkcs11_module)},
    {ROW("key_pin_file", AW_YAML_STRING, tls.key_pin_file)},
    {ROW("key_paths", AW_YAML_STRINGS, tls.key_paths), .max = 32},
    {ROW("client_ca", AW_YAML_STRING, tls.client_ca)},
    {.name = NULL},
};

static const struct aw_yaml_field limits_fields[] = {
    {LIMIT(connections, 1, 100000)},
    {LIMIT(connections_per_address, 1, 100000)},
    {LIMIT(workers, 1, 256)},
    {LIMIT(queue, 1, 100000)},
    {LIMIT(orders, 1, 256)},
    {LIMIT(handshake_seconds, 1, 600)},
    {LIMIT(request_seconds, 1, 600)},
    {LIMIT(response_seconds, 1, 600)},
    {LIMIT(idle_seconds, 1, 3600)},
    {.name = NULL},
};

static const struct aw_yaml_field dns_fields[] = {
    {ROW("rfc2136_credentials", AW_YAML_STRING, dns.rfc2136_credentials)},
    {ROW("propagation_seconds", AW_YAML_INTEGER, dns.propagation_seconds), .min = 0, .max = 3600},
    {ROW("auth_hook", AW_YAML_STRING, dns.auth_hook)},
    {ROW("cleanup_hook", AW_YAML_STRING, dns.cleanup_hook)},
    {.name = NULL},
};

#define PORT(key) ROW(#key, AW_YAML_INTEGER, validation.key), .min = 1, .max = 65535

static const struct aw_yaml_field validation_fields[] = {
    {ROW("resolver", AW_YAML_STRING, validation.resolver)},
    {PORT(resolver_port)},
    {ROW("networks", AW_YAML_STRINGS, validation.networks), .min = 1, .max = 256},
    {PORT(http_port)},
    {PORT(tls_port)},
    {.name = NULL},
};

static const struct aw_yaml_field sandbox_fields[] = {
    {ROW("seccomp", AW_YAML_BOOL, sandbox.seccomp)},
    {ROW("landlock", AW_YAML_BOOL, sandbox.landlock)},
    {.name = NULL},
};

/* Where a mapping's offset is 0, its rows count from the whole struct. */
static const struct aw_yaml_field fields[] = {
    {ROW("signer", AW_YAML_STRING, signer)},
    {ROW("signer_user", AW_YAML_STRING, signer_user),
        .place = offsetof(struct raw_config, signer_user_place)},
    {ROW("ssh_config", AW_YAML_STRING, ssh_config)},
    {ROW("url", AW_YAML_STRING, url), .required = true,
        .place = offsetof(struct raw_config, url_place)},
    {ROW("listen", AW_YAML_STRINGS, listen), .min = 1, .max = 16},
    {.name = "tls", .kind = AW_YAML_MAPPING, .fields = tls_fields, .required = true},
    {ROW("state", AW_YAML_STRING, state)},
    {ROW("terms_of_service", AW_YAML_STRING, terms_of_service)},
    {ROW("website", AW_YAML_STRING, website)},
    {ROW("profiles", AW_YAML_STRINGS, profiles), .max = 32},
    {ROW("ca_file", AW_YAML_STRING, ca_file)},
    {ROW("proxy", AW_YAML_STRING, proxy)},
    {ROW("allow_root", AW_YAML_BOOL, sandbox.allow_root)},
    {.name = "limits", .kind = AW_YAML_MAPPING, .fields = limits_fields},
    {.name = "dns", .kind = AW_YAML_MAPPING, .fields = dns_fields},
    {.name = "validation", .kind = AW_YAML_MAPPING, .fields = validation_fields},
    {.name = "sandbox", .kind = AW_YAML_MAPPING, .fields = sandbox_fields},
    {.name = NULL},
};

/* What is in force where the file says nothing. */
static const struct relay_config defaults = {
    .limits =
        {
            .connections = 4096,
            .connections_per_address = 256,
            .workers = 16,
            .queue = 1024,
            .orders = 32,
            .handshake_seconds = 10,
            .request_seconds = 20,
            .response_seconds = 60,
            .idle_seconds = 60,
        },
    .dns = {.propagation_seconds = 60},
    .validation = {.resolver_port = 53, .http_port = 80, .tls_port = 443},
    .sandbox = {.seccomp = true, .landlock = true},
};

static aw_result
set_defaults(struct relay_config *config)
{
    AW_TRY(config_default(&config->signer, "/run/acmeward/signer.sock"));
    AW_TRY(config_default(&config->signer_user, "acmeward"));
    return config_default(&config->state, "/var/lib/acmeward-relay");
}

static bool
key_is_uri(const struct relay_config *config)
{
    return config->tls.key != NULL && host_key_is_uri(config->tls.key);
}

static void
check_paths(const struct relay_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    const struct config_path paths[] = {
        {"signer", ssh_url_is(config->signer) ? NULL : config->signer},
        {"ssh_config", config->ssh_config},
        {"tls.certificate", config->tls.certificate},
        {"tls.key", key_is_uri(config) ? NULL : config->tls.key},
        {"tls.pkcs11_module", config->tls.pkcs11_module},
        {"tls.key_pin_file", config->tls.key_pin_file},
        {"tls.client_ca", config->tls.client_ca},
        {"state", config->state},
        {"ca_file", config->ca_file},
        {"dns.rfc2136_credentials", config->dns.rfc2136_credentials},
    };

    config_check_paths(paths, AW_COUNT(paths), root, faults);
}

static void
check_key(const struct relay_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    const struct aw_yaml_strings *paths = &config->tls.key_paths;
    AW_CLEANUP(aw_free) char *uri = NULL;

    if (key_is_uri(config) && !aw_ok(host_key_uri_check(config->tls.key, &uri)))
        aw_yaml_fault(root, faults, "tls.key: %s", aw_error_last()->message);
    for (size_t i = 0; i < paths->count; i++)
        if (paths->items[i].text[0] != '/')
            aw_yaml_fault(paths->items[i].node, faults,
                "tls.key_paths: found \"%.200s\", expected an absolute path", paths->items[i].text);
}

static void
check_dns(const struct relay_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    bool hooks = config->dns.auth_hook != NULL;

    if (hooks && config->dns.rfc2136_credentials != NULL)
        aw_yaml_fault(root, faults, "dns: rfc2136_credentials and auth_hook exclude each other");
    if (!hooks && config->dns.cleanup_hook != NULL)
        aw_yaml_fault(root, faults, "dns: cleanup_hook goes with auth_hook");
}

static void
check_networks(const struct relay_config *config, struct aw_faults *faults)
{
    const struct aw_yaml_strings *networks = &config->validation.networks;

    for (size_t i = 0; i < networks->count; i++)
        if (!relay_network_check(networks->items[i].text))
            aw_yaml_fault(networks->items[i].node, faults,
                "validation.networks: found \"%.100s\", expected ADDRESS/PREFIX with no bits set "
                "behind the prefix: 192.0.2.0/24 or 2001:db8::/32",
                networks->items[i].text);
}

/* Clients sign the URL as it is here, so there must be one spelling: RFC 8555 6.4 compares octets.
 */
static const char *
fault_of_url(const char *url)
{
    static const char scheme[] = "https://";
    static const char authority_set[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    static const char path_set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "-._~/";

    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return "a URL that begins with https://";
    const char *authority = url + sizeof(scheme) - 1;
    size_t length = strspn(authority, authority_set);
    const char *path = authority + length;
    if (length == 0 || (*path != '\0' && *path != '/'))
        return "a host name in lower case or an address, and a port where it is not 443, after "
               "https://";
    if (path[strspn(path, path_set)] != '\0' || strstr(path, "//") != NULL ||
        strstr(path, "/.") != NULL)
        return "a path of letters, digits and -._~ only";
    if (url[strlen(url) - 1] == '/')
        return "no / at its end";
    return strlen(url) > RELAY_URL_MAX ? "at most 200 octets" : NULL;
}

static void
check_url(const struct raw_config *raw, struct relay_config *config, struct aw_faults *faults)
{
    if (config->url == NULL)
        return; /* there is a fault for it */
    const char *expected = fault_of_url(config->url);
    if (expected != NULL)
        aw_yaml_fault(
            raw->url_place, faults, "url: found \"%.250s\", expected %s", config->url, expected);
    else
        config->base_path = strchr(config->url + strlen("https://"), '/');
    if (config->base_path == NULL)
        config->base_path = "";
}

/* Numeric addresses only: a name would be looked up, and could mean another address tomorrow. */
static void
check_listen(const struct relay_config *config, struct aw_faults *faults)
{
    struct relay_address address;

    for (size_t i = 0; i < config->listen.count; i++)
        if (!relay_address_parse(config->listen.items[i].text, &address))
            aw_yaml_fault(config->listen.items[i].node, faults,
                "listen: found \"%.100s\", expected a numeric address and a port: "
                "\"[::]:14443\" or \"192.0.2.1:14443\"",
                config->listen.items[i].text);
}

/* What goes into the directory is what the signer takes for a profile. */
static void
check_profiles(const struct relay_config *config, struct aw_faults *faults)
{
    for (size_t i = 0; i < config->profiles.count; i++)
        if (!aw_config_label_ok(config->profiles.items[i].text))
            aw_yaml_fault(config->profiles.items[i].node, faults,
                "profiles: found \"%.100s\", expected letters, digits and _.-",
                config->profiles.items[i].text);
}

static aw_result
read_file(const char *path, struct aw_faults *faults, struct raw_config *raw)
{
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    struct relay_config *config = &raw->config;

    AW_TRY(config_check_owner(path, faults));
    AW_TRY(aw_yaml_load(path, faults, &yaml));
    aw_yaml_node root = aw_yaml_root(yaml);
    aw_yaml_read_mapping(root, fields, raw, faults);
    AW_TRY(client_config_replace(&config->file, path));
    AW_TRY(set_defaults(config));
    AW_TRY(config_signer_user(
        config->signer_user, raw->signer_user_place, faults, &config->signer_uid));
    check_paths(config, root, faults);
    config_check_signer(config->signer, root, faults);
    check_key(config, root, faults);
    check_dns(config, root, faults);
    check_networks(config, faults);
    check_url(raw, config, faults);
    check_listen(config, faults);
    check_profiles(config, faults);
    return aw_faults_result(faults);
}

static void
free_raw(struct raw_config *raw)
{
    free(raw->config.file);
    aw_yaml_release(fields, raw);
}

aw_result
relay_config_load(const char *path, struct aw_faults *faults, struct relay_config **out)
{
    AW_CLEANUP(free_raw) struct raw_config raw = {.config = defaults};

    *out = NULL;
    AW_TRY(read_file(path, faults, &raw));
    struct relay_config *config = malloc(sizeof(*config));
    if (config == NULL)
        return aw_fail_memory();
    *config = raw.config;
    memset(&raw, 0, sizeof(raw));
    *out = config;
    return AW_OK;
}

struct signer_place
relay_config_signer(const struct relay_config *config)
{
    return (struct signer_place){.at = config->signer,
        .server_uid = config->signer_uid,
        .ssh_config = config->ssh_config,
        .relay = true};
}

void
relay_config_free(struct relay_config **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct raw_config raw = {.config = **slot};

    free_raw(&raw);
    free(*slot);
    *slot = NULL;
}
