#include "common/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/config_parts.h"
#include "common/io.h"

const char *const aw_config_key_names[] = {
    "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096", NULL};

const char *const aw_config_forward_names[] = {"none", "journal", "syslog", NULL};

enum { TABLE_SIZE = 12 }; /* rows of a table below */

/* How much of a file must be there: all that a signer needs, or what policies are about. */
enum scope { SCOPE_SIGNER, SCOPE_ACCOUNTS };

/* What the tables below fill before its parts are checked and taken over. */
struct raw_config {
    enum scope scope;
    struct aw_config config;
    struct aw_yaml_items cas;
    struct aw_yaml_items accounts;
    struct aw_yaml_items relays;
    struct {
        struct aw_yaml_items officers;
        struct aw_yaml_items operators;
    } administrators;
};

#define FIELD(type, member) offsetof(struct type, member)

static const struct aw_yaml_field paths_fields[] = {
    {.name = "state", .kind = AW_YAML_STRING, .offset = FIELD(raw_config, config.paths.state)},
    {.name = "policies",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.paths.policies)},
    {.name = "application_socket",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.paths.application_socket)},
    {.name = "admin_socket",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.paths.admin_socket)},
    {.name = NULL},
};

static const struct aw_yaml_field audit_fields[] = {
    {.name = "key",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.audit.key),
        .place = FIELD(raw_config, config.audit.place)},
    {.name = "origin", .kind = AW_YAML_STRING, .offset = FIELD(raw_config, config.audit.origin)},
    {.name = "every_records",
        .kind = AW_YAML_INTEGER,
        .offset = FIELD(raw_config, config.audit.every_records),
        .min = 1,
        .max = 1000000},
    {.name = "every_minutes",
        .kind = AW_YAML_INTEGER,
        .offset = FIELD(raw_config, config.audit.every_minutes),
        .min = 1,
        .max = 1440},
    {.name = "export", .kind = AW_YAML_STRING, .offset = FIELD(raw_config, config.audit.export)},
    {.name = "forward",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(raw_config, config.audit.forward),
        .choices = aw_config_forward_names},
    {.name = "forward_socket",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.audit.forward_socket)},
    {.name = "segment_mib",
        .kind = AW_YAML_INTEGER,
        .offset = FIELD(raw_config, config.audit.segment_mib),
        .min = 1,
        .max = 1048576},
    {.name = NULL},
};

static const struct aw_yaml_field metrics_fields[] = {
    {.name = "file",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.metrics.file),
        .required = true},
    {.name = "every_seconds",
        .kind = AW_YAML_INTEGER,
        .offset = FIELD(raw_config, config.metrics.seconds),
        .min = 1,
        .max = 3600},
    {.name = NULL},
};

static const struct aw_yaml_field administrators_fields[] = {
    {.name = "officers",
        .kind = AW_YAML_LIST,
        .offset = FIELD(raw_config, administrators.officers),
        .required = true,
        .min = 1},
    {.name = "operators",
        .kind = AW_YAML_LIST,
        .offset = FIELD(raw_config, administrators.operators)},
    {.name = NULL},
};

/* Where a mapping's offset is 0, its rows count from the whole struct. */
static const struct aw_yaml_field root_fields[] = {
    {.name = "token",
        .kind = AW_YAML_MAPPING,
        .offset = FIELD(raw_config, config.token),
        .fields = aw_config_token_fields,
        .required = true},
    {.name = "paths", .kind = AW_YAML_MAPPING, .fields = paths_fields},
    {.name = "openssl_properties",
        .kind = AW_YAML_STRING,
        .offset = FIELD(raw_config, config.openssl_properties)},
    {.name = "allow_root",
        .kind = AW_YAML_BOOL,
        .offset = FIELD(raw_config, config.sandbox.allow_root)},
    {.name = "sandbox",
        .kind = AW_YAML_MAPPING,
        .offset = FIELD(raw_config, config.sandbox),
        .fields = aw_config_sandbox_fields},
    {.name = "audit", .kind = AW_YAML_MAPPING, .fields = audit_fields},
    {.name = "metrics", .kind = AW_YAML_MAPPING, .fields = metrics_fields},
    {.name = "cas",
        .kind = AW_YAML_LIST,
        .offset = FIELD(raw_config, cas),
        .required = true,
        .min = 1},
    {.name = "accounts",
        .kind = AW_YAML_LIST,
        .offset = FIELD(raw_config, accounts),
        .required = true,
        .min = 1},
    {.name = "administrators",
        .kind = AW_YAML_MAPPING,
        .fields = administrators_fields,
        .required = true},
    {.name = "relays", .kind = AW_YAML_LIST, .offset = FIELD(raw_config, relays)},
    {.name = NULL},
};

static const struct aw_yaml_field account_fields[] = {
    {.name = "name",
        .kind = AW_YAML_STRING,
        .offset = FIELD(aw_config_account, name),
        .required = true,
        .place = FIELD(aw_config_account, place)},
    {.name = "ca",
        .kind = AW_YAML_STRING,
        .offset = FIELD(aw_config_account, ca),
        .required = true},
    {.name = "key",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(aw_config_account, key),
        .choices = aw_config_key_names},
    {.name = "orders_per_day",
        .kind = AW_YAML_INTEGER,
        .offset = FIELD(aw_config_account, orders_per_day),
        .min = 0,
        .max = 1000000},
    {.name = "ceiling",
        .kind = AW_YAML_STRINGS,
        .offset = FIELD(aw_config_account, ceiling_texts),
        .required = true,
        .min = 1},
    {.name = NULL},
};

_Static_assert(
    AW_COUNT(root_fields) <= TABLE_SIZE && AW_COUNT(account_fields) <= TABLE_SIZE, "whole tables");

/* What SCOPE_ACCOUNTS requires of the two tables; ended by NULL. */
static const char *const root_musts[] = {"accounts", NULL};
static const char *const account_musts[] = {"name", "ceiling", NULL};

static bool
is_among(const char *name, const char *const *names)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* A copy of a table that requires nothing but `musts`. */
static const struct aw_yaml_field *
require_only(const struct aw_yaml_field *fields, const char *const *musts,
    struct aw_yaml_field out[TABLE_SIZE])
{
    size_t i = 0;

    for (; fields[i].name != NULL && i + 1 < TABLE_SIZE; i++) {
        out[i] = fields[i];
        out[i].required = is_among(fields[i].name, musts);
    }
    out[i] = (struct aw_yaml_field){.name = NULL};
    return out;
}

static const struct aw_yaml_field principal_fields[] = {
    {.name = "user", .kind = AW_YAML_STRING, .offset = FIELD(aw_config_principal, user)},
    {.name = "group", .kind = AW_YAML_STRING, .offset = FIELD(aw_config_principal, group)},
    {.name = NULL},
};

bool
aw_config_label_ok(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t length = strlen(text);

    return length > 0 && length <= AW_CONFIG_LABEL_MAX && strspn(text, allowed) == length &&
           strchr("_.-", text[0]) == NULL;
}

aw_yaml_node
aw_config_place(aw_yaml_node mapping, const char *name)
{
    aw_yaml_node key, value;
    const char *text = NULL;
    size_t length = 0;

    for (size_t i = 0; aw_yaml_pair(mapping, i, &key, &value); i++)
        if (aw_yaml_scalar(key, &text, &length) && strcmp(text, name) == 0)
            return value;
    return mapping;
}

void
aw_config_check_absolute(aw_yaml_node mapping, const char *field, const char *name,
    const char *path, struct aw_faults *faults)
{
    if (path != NULL && path[0] != '/')
        aw_yaml_fault(aw_config_place(mapping, name), faults,
            "%s: found \"%.200s\", expected an absolute path", field, path);
}

void
aw_config_check_label(
    const char *what, const char *name, aw_yaml_node place, struct aw_faults *faults)
{
    if (name != NULL && !aw_config_label_ok(name))
        aw_yaml_fault(place, faults,
            "%s: found \"%.80s\", expected 1 to %d characters of a-z 0-9 _ . - that begin with a "
            "letter or digit",
            what, name, AW_CONFIG_LABEL_MAX);
}

aw_result
aw_config_default(char **slot, const char *value)
{
    if (*slot != NULL)
        return AW_OK;
    *slot = strdup(value);
    return *slot == NULL ? aw_fail_memory() : AW_OK;
}

/* "192.0.2.0/24", "2001:db8::1": no host name has a colon or slash, or digits and dots alone. */
static bool
is_network(const char *text)
{
    return strpbrk(text, ":/") != NULL || strspn(text, "0123456789.") == strlen(text);
}

static void
read_ceiling(struct aw_config_account *account, struct aw_faults *faults)
{
    account->ceiling = calloc(account->ceiling_texts.count + 1, sizeof(*account->ceiling));
    account->networks = calloc(account->ceiling_texts.count + 1, sizeof(*account->networks));
    if (account->ceiling == NULL || account->networks == NULL) {
        aw_ignore(aw_fail_memory(), "becomes a fault");
        aw_faults_add(faults, "", 0, 0, "out of memory");
        return;
    }
    for (size_t i = 0; i < account->ceiling_texts.count; i++) {
        const struct aw_yaml_string *text = &account->ceiling_texts.items[i];
        struct aw_name *name = &account->ceiling[account->ceiling_count];

        if (is_network(text->text)) { /* the policy layer reads it */
            account->networks[account->network_count++] = text->text;
            continue;
        }
        aw_result r = aw_name_parse_file(text->text, strlen(text->text), name);

        if (!aw_ok(r))
            aw_yaml_fault(text->node, faults, "ceiling: %s", aw_error_last()->message);
        else if (name->form != AW_NAME_HOST)
            aw_yaml_fault(text->node, faults,
                "ceiling: found \"%s\", expected a domain (it covers itself and all below it)",
                name->text);
        else
            account->ceiling_count++;
    }
}

static void
read_accounts(const struct raw_config *raw, struct aw_config *config, struct aw_faults *faults)
{
    struct aw_yaml_field relaxed[TABLE_SIZE];
    const struct aw_yaml_field *fields = account_fields;
    bool alone = raw->scope == SCOPE_ACCOUNTS && config->ca_count == 0;

    if (raw->scope == SCOPE_ACCOUNTS)
        fields = require_only(account_fields, account_musts, relaxed);
    for (size_t i = 0; i < raw->accounts.count; i++) {
        struct aw_config_account *account = &config->accounts[i];

        aw_yaml_read_mapping(raw->accounts.items[i], fields, account, faults);
        aw_config_check_label("name of an account", account->name, account->place, faults);
        read_ceiling(account, faults);
        if (account->ca != NULL && !alone && aw_config_find_ca(config, account->ca) == NULL)
            aw_yaml_fault(aw_config_place(raw->accounts.items[i], "ca"), faults,
                "ca: \"%.64s\" is not among the names under cas", account->ca);
    }
}

static int
compare_account_names(const void *a, const void *b)
{
    const struct aw_config_account *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* Sorted by pointer, so that ten thousand accounts are compared once each. */
static void
check_account_names(const struct aw_config *config, struct aw_faults *faults)
{
    AW_CLEANUP(aw_free)
    const struct aw_config_account **sorted = calloc(config->account_count + 1, sizeof(*sorted));
    size_t count = 0;

    if (sorted == NULL)
        aw_faults_add(faults, "", 0, 0, "out of memory");
    for (size_t i = 0; sorted != NULL && i < config->account_count; i++)
        if (config->accounts[i].name != NULL)
            sorted[count++] = &config->accounts[i];
    if (count > 1)
        qsort(sorted, count, sizeof(sorted[0]), compare_account_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            aw_yaml_fault(
                sorted[i]->place, faults, "account \"%.64s\" is there twice", sorted[i]->name);
}

static void
read_role(const struct aw_yaml_items *items, struct aw_config_role *role, struct aw_faults *faults)
{
    role->count = items->count;
    for (size_t i = 0; i < items->count; i++) {
        struct aw_config_principal *principal = &role->items[i];

        aw_yaml_read_mapping(items->items[i], principal_fields, principal, faults);
        if ((principal->user == NULL) == (principal->group == NULL))
            aw_yaml_fault(
                items->items[i], faults, "an administrator is exactly one of user and group");
    }
}

void
aw_config_check_socket(aw_yaml_node paths, const char *field, const char *name, const char *path,
    struct aw_faults *faults)
{
    const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    aw_config_check_absolute(paths, field, name, path, faults);
    if (path != NULL && strlen(path) > most)
        aw_yaml_fault(aw_config_place(paths, name), faults,
            "%s: found %zu octets, a socket's path has at most %zu", field, strlen(path), most);
}

static void
check_paths(const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    aw_yaml_node paths = aw_config_place(root, "paths");
    const char *application = config->paths.application_socket;
    const char *admin = config->paths.admin_socket;

    aw_config_check_absolute(paths, "paths.state", "state", config->paths.state, faults);
    aw_config_check_absolute(paths, "paths.policies", "policies", config->paths.policies, faults);
    aw_config_check_socket(
        paths, "paths.application_socket", "application_socket", application, faults);
    aw_config_check_socket(paths, "paths.admin_socket", "admin_socket", admin, faults);
    if (strcmp(application, admin) == 0)
        aw_yaml_fault(aw_config_place(paths, "admin_socket"), faults,
            "paths.admin_socket: \"%.200s\" is the application_socket too", admin);
}

static aw_result
allocate_lists(const struct raw_config *raw, struct aw_config *config)
{
    config->ca_count = raw->cas.count;
    config->account_count = raw->accounts.count;
    config->relay_count = raw->relays.count;
    config->relays = calloc(raw->relays.count + 1, sizeof(*config->relays));
    config->cas = calloc(raw->cas.count + 1, sizeof(*config->cas));
    config->accounts = calloc(raw->accounts.count + 1, sizeof(*config->accounts));
    config->officers.items =
        calloc(raw->administrators.officers.count + 1, sizeof(*config->officers.items));
    config->operators.items =
        calloc(raw->administrators.operators.count + 1, sizeof(*config->operators.items));
    if (config->cas == NULL || config->accounts == NULL || config->relays == NULL ||
        config->officers.items == NULL || config->operators.items == NULL)
        return aw_fail_memory();
    return AW_OK;
}

static aw_result
set_defaults(struct aw_config *config)
{
    AW_TRY(aw_config_default(&config->audit.forward_socket, "/dev/log"));
    AW_TRY(aw_config_default(&config->paths.state, "/var/lib/acmeward"));
    AW_TRY(aw_config_default(&config->paths.policies, "/etc/acmeward/policy.d"));
    AW_TRY(aw_config_default(&config->paths.application_socket, "/run/acmeward/signer.sock"));
    return aw_config_default(&config->paths.admin_socket, "/run/acmeward/admin.sock");
}

static void
raw_release_lists(struct raw_config *raw)
{
    aw_free(&raw->cas.items);
    aw_free(&raw->accounts.items);
    aw_free(&raw->relays.items);
    aw_free(&raw->administrators.officers.items);
    aw_free(&raw->administrators.operators.items);
}

static aw_result
read_config(aw_yaml *yaml, enum scope scope, struct aw_faults *faults, struct aw_config *config)
{
    struct raw_config raw = {.scope = scope,
        .config.token = {.sessions = 8, .timeout_ms = 10000, .network = AW_NETWORK_NONE},
        .config.sandbox = {.seccomp = true, .landlock = true},
        .config.metrics = {.seconds = 15},
        .config.audit = {.every_records = 1000, .every_minutes = 60, .segment_mib = 64}};
    struct aw_yaml_field relaxed[TABLE_SIZE];
    const struct aw_yaml_field *fields = root_fields;

    if (scope == SCOPE_ACCOUNTS)
        fields = require_only(root_fields, root_musts, relaxed);
    aw_yaml_read_mapping(aw_yaml_root(yaml), fields, &raw, faults);
    *config = raw.config;
    aw_result r = allocate_lists(&raw, config);
    if (aw_ok(r))
        r = set_defaults(config);
    if (aw_ok(r)) {
        r = aw_config_read_cas(&raw.cas, config, faults);
        read_accounts(&raw, config, faults);
        check_account_names(config, faults);
        read_role(&raw.administrators.officers, &config->officers, faults);
        read_role(&raw.administrators.operators, &config->operators, faults);
        aw_config_read_relays(&raw.relays, config, faults);
        check_paths(config, aw_yaml_root(yaml), faults);
        aw_config_check_token(config, aw_yaml_root(yaml), faults);
        aw_config_check_audit(config, aw_yaml_root(yaml), faults);
        aw_config_check_metrics(config, aw_yaml_root(yaml), faults);
    }
    raw_release_lists(&raw);
    return r;
}

static aw_result
load(const char *path, enum scope scope, struct aw_faults *faults, struct aw_config **out)
{
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    AW_CLEANUP(aw_config_free) struct aw_config *config = calloc(1, sizeof(*config));

    *out = NULL;
    if (config == NULL)
        return aw_fail_memory();
    AW_TRY(aw_yaml_load(path, faults, &yaml));
    AW_TRY(read_config(yaml, scope, faults, config));
    AW_TRY(aw_config_default(&config->file, path));
    AW_TRY(aw_faults_result(faults));
    *out = AW_MOVE(config);
    return AW_OK;
}

aw_result
aw_config_load(const char *path, struct aw_faults *faults, struct aw_config **out)
{
    return load(path, SCOPE_SIGNER, faults, out);
}

aw_result
aw_config_load_accounts(const char *path, struct aw_faults *faults, struct aw_config **out)
{
    return load(path, SCOPE_ACCOUNTS, faults, out);
}

static void
free_role(struct aw_config_role *role)
{
    for (size_t i = 0; role->items != NULL && i < role->count; i++)
        aw_yaml_release(principal_fields, &role->items[i]);
    free(role->items);
}

void
aw_config_free(struct aw_config **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct aw_config *config = *slot;
    char *strings[] = {config->file, config->paths.state, config->paths.policies,
        config->paths.application_socket, config->paths.admin_socket, config->openssl_properties,
        config->audit.key, config->audit.origin, config->audit.export, config->audit.forward_socket,
        config->metrics.file};

    for (size_t i = 0; i < AW_COUNT(strings); i++)
        free(strings[i]);
    aw_yaml_release(aw_config_token_fields, &config->token);
    for (size_t i = 0; config->cas != NULL && i < config->ca_count; i++)
        aw_config_free_ca(&config->cas[i]);
    for (size_t i = 0; config->accounts != NULL && i < config->account_count; i++) {
        free(config->accounts[i].ceiling);
        free(config->accounts[i].networks);
        aw_yaml_release(account_fields, &config->accounts[i]);
    }
    free(config->cas);
    free(config->accounts);
    free_role(&config->officers);
    free_role(&config->operators);
    aw_config_free_relays(config);
    free(config);
    *slot = NULL;
}

const struct aw_config_ca *
aw_config_find_ca(const struct aw_config *config, const char *name)
{
    for (size_t i = 0; i < config->ca_count; i++)
        if (config->cas[i].name != NULL && strcmp(config->cas[i].name, name) == 0)
            return &config->cas[i];
    return NULL;
}

const struct aw_config_account *
aw_config_find_account(const struct aw_config *config, const char *name)
{
    for (size_t i = 0; i < config->account_count; i++)
        if (config->accounts[i].name != NULL && strcmp(config->accounts[i].name, name) == 0)
            return &config->accounts[i];
    return NULL;
}
