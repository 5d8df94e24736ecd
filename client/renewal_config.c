#include "client/renewal_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/listing.h"
#include "client/store.h"
#include "common/io.h"
#include "common/json.h"

/* What the table fills, and what is made of it. The document stays: web roots point into it. */
struct renewal_config {
    struct options read; /* strings are owned */
    struct aw_yaml_strings domains;
    aw_yaml_node webroot_map;
    aw_yaml *yaml;
    struct options options; /* a copy of `read`, with names, settled as a command line is */
};

#define AT(member) offsetof(struct renewal_config, member)
#define TEXT(key, member)                                                \
    {                                                                    \
        .name = (key), .kind = AW_YAML_STRING, .offset = AT(read.member) \
    }
#define FLAG(key, member)                                              \
    {                                                                  \
        .name = (key), .kind = AW_YAML_BOOL, .offset = AT(read.member) \
    }

/*
 * What a renewal repeats. A row is all that a new option takes: it is read from here and written
 * by here. Keys are certbot's where the meaning is the same.
 */
static const struct aw_yaml_field fields[] = {
    {.name = "domains",
        .kind = AW_YAML_STRINGS,
        .offset = AT(domains),
        .required = true,
        .min = 1,
        .max = OPTIONS_NAMES_MAX},
    TEXT("application", application),
    TEXT("server", server),
    TEXT("key_type", key_type),
    TEXT("key_uri", key_uri),
    FLAG("reuse_key", reuse_key),
    FLAG("must_staple", must_staple),
    TEXT("profile", profile),
    TEXT("preferred_profile", preferred_profile),
    TEXT("preferred_chain", preferred_chain),
    TEXT("authenticator", authenticator),
    TEXT("webroot_path", webroot_path),
    {.name = "webroot_map", .kind = AW_YAML_NODE, .offset = AT(webroot_map)},
    TEXT("preferred_challenges", preferred_challenges),
    TEXT("http_01_port", http_01_port),
    TEXT("http_01_address", http_01_address),
    TEXT("tls_alpn_01_port", tls_alpn_01_port),
    TEXT("tls_alpn_01_address", tls_alpn_01_address),
    TEXT("manual_auth_hook", manual_auth_hook),
    TEXT("manual_cleanup_hook", manual_cleanup_hook),
    TEXT("dns_rfc2136_credentials", dns_rfc2136_credentials),
    TEXT("dns_rfc2136_propagation_seconds", dns_rfc2136_seconds),
    TEXT("issuance_timeout", issuance_timeout),
    TEXT("pre_hook", pre_hook),
    TEXT("post_hook", post_hook),
    TEXT("deploy_hook", deploy_hook),
    TEXT("signer", signer),
    TEXT("ca_file", ca_file),
    TEXT("proxy", proxy),
    {.name = NULL},
};

static const char head[] =
    "# Written by acmeward certonly; acmeward renew repeats these settings. What is changed here\n"
    "# holds from the next renewal on; certonly for this certificate writes the file anew.\n";

aw_result
renewal_config_path(const char *root, const char *name, char **out)
{
    AW_TRY(store_name_check(name));
    return aw_format(out, "%s/renewal/%s.conf", root, name);
}

/* Writing. JSON's strings, lists and objects are YAML. */

static void
write_domains(struct aw_json_writer *w, const struct options *options)
{
    aw_json_begin_array(w);
    for (size_t i = 0; i < options->name_count; i++)
        aw_json_write_string(w, options->names[i].name.text);
    aw_json_end_array(w);
}

static void
write_map(struct aw_json_writer *w, const struct options *options)
{
    aw_json_begin_object(w);
    for (size_t i = 0; i < options->name_count; i++)
        if (options->names[i].webroot != NULL)
            aw_json_pair(w, options->names[i].name.text, options->names[i].webroot);
    aw_json_end_object(w);
}

/* False: it has no value, and is left out. Lists and mappings are the names' two. */
static bool
write_value(struct aw_json_writer *w, const struct aw_yaml_field *field,
    const struct renewal_config *config)
{
    const char *slot = (const char *)config + field->offset;
    const char *text = NULL;
    bool set = false;

    if (field->kind == AW_YAML_STRINGS) {
        write_domains(w, &config->read);
        return true;
    }
    if (field->kind == AW_YAML_NODE) {
        write_map(w, &config->read);
        return config->read.webroot;
    }
    if (field->kind == AW_YAML_BOOL) {
        memcpy(&set, slot, sizeof(set));
        aw_json_write_bool(w, set);
        return set;
    }
    memcpy(&text, slot, sizeof(text));
    aw_json_write_string(w, text);
    return text != NULL;
}

static aw_result
write_row(FILE *file, const struct aw_yaml_field *field, const struct renewal_config *config)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *value = NULL;

    bool there = write_value(&w, field, config);
    AW_TRY(aw_json_writer_finish(&w, &value));
    if (there)
        fprintf(file, "%s: %s\n", field->name, value);
    return AW_OK;
}

static void
close_file(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

static aw_result
write_text(const struct renewal_config *config, char **text, size_t *size)
{
    AW_CLEANUP(close_file) FILE *file = open_memstream(text, size);

    if (file == NULL)
        return aw_fail_memory();
    fputs(head, file);
    for (const struct aw_yaml_field *field = fields; field->name != NULL; field++)
        AW_TRY(write_row(file, field, config));
    return fflush(file) == 0 ? AW_OK : aw_fail_memory();
}

static aw_result
make_folder_of(const char *path)
{
    AW_CLEANUP(aw_free) char *folder = NULL;

    AW_TRY(aw_path_folder(path, &folder));
    AW_TRY(aw_folder_make(folder, 0755));
    return aw_path_check(folder, geteuid(), 0022);
}

aw_result
renewal_config_text(const struct options *options, const char *application, char **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct renewal_config settings = {.read = *options};
    size_t size = 0;

    settings.read.application = application;
    AW_TRY(write_text(&settings, &text, &size));
    if (text == NULL) /* closing it asks for memory too */
        return aw_fail_memory();
    *out = AW_MOVE(text);
    return AW_OK;
}

bool
renewal_config_has(const char *path, const char *text)
{
    AW_CLEANUP(aw_free) char *found = NULL;
    size_t size = strlen(text), found_size = 0;

    return aw_ok(aw_file_read(path, size, &found, &found_size)) && found_size == size &&
           memcmp(found, text, size) == 0;
}

aw_result
renewal_config_write(const char *path, const struct options *options, const char *application)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(make_folder_of(path));
    AW_TRY(renewal_config_text(options, application, &text));
    return renewal_config_has(path, text) ? AW_OK : aw_file_replace(path, text, strlen(text), 0644);
}

/* Reading. */

static void
read_domains(struct renewal_config *config, struct aw_faults *faults)
{
    for (size_t i = 0; i < config->domains.count; i++) {
        const struct aw_yaml_string *item = &config->domains.items[i];

        if (!aw_ok(options_add_names(&config->options, item->text)))
            aw_yaml_fault(item->node, faults, "domains[%zu]: %s", i, aw_error_last()->message);
    }
}

static struct options_name *
find_name(struct options *options, const char *text)
{
    for (size_t i = 0; i < options->name_count; i++)
        if (strcmp(options->names[i].name.text, text) == 0)
            return &options->names[i];
    return NULL;
}

static void
read_map(struct renewal_config *config, struct aw_faults *faults)
{
    aw_yaml_node map = config->webroot_map, key, value;
    const char *name, *path;
    size_t name_length, path_length;

    if (aw_yaml_shape(map) != AW_YAML_IS_MAPPING && map.index != 0)
        aw_yaml_fault(map, faults, "webroot_map: found %s, expected a mapping of names to folders",
            aw_yaml_kind_text(map));
    for (size_t i = 0; aw_yaml_pair(map, i, &key, &value); i++) {
        struct options_name *place = NULL;

        if (aw_yaml_scalar(key, &name, &name_length))
            place = find_name(&config->options, name);
        if (place == NULL)
            aw_yaml_fault(key, faults, "webroot_map: expected names that are in domains");
        else if (!aw_yaml_scalar(value, &path, &path_length))
            aw_yaml_fault(value, faults, "webroot_map: expected a folder for %s", name);
        else
            place->webroot = path;
    }
}

/* The same rules as for what is typed; they know no lines. */
static aw_result
read_document(struct renewal_config *config, struct aw_faults *faults)
{
    aw_yaml_node root = aw_yaml_root(config->yaml);

    aw_yaml_read_mapping(root, fields, config, faults);
    config->options = config->read;
    read_domains(config, faults);
    read_map(config, faults);
    AW_TRY(aw_faults_result(faults));
    if (!aw_ok(options_settle(&config->options)))
        aw_yaml_fault(root, faults, "%s", aw_error_last()->message);
    return aw_faults_result(faults);
}

static aw_result
check_owner(const char *path, struct aw_faults *faults)
{
    aw_result r = aw_path_check(path, geteuid(), 0022);

    if (r.code != AW_CODE_PERMISSION)
        return r;
    aw_faults_add(faults, path, 0, 0, "%s", aw_error_last()->message);
    return aw_faults_result(faults);
}

aw_result
renewal_config_read(const char *path, struct aw_faults *faults, struct renewal_config **out)
{
    AW_CLEANUP(renewal_config_free) struct renewal_config *config = calloc(1, sizeof(*config));

    if (config == NULL)
        return aw_fail_memory();
    AW_TRY(check_owner(path, faults));
    AW_TRY(aw_yaml_load(path, faults, &config->yaml));
    AW_TRY(read_document(config, faults));
    *out = AW_MOVE(config);
    return AW_OK;
}

struct options *
renewal_config_options(struct renewal_config *config)
{
    return &config->options;
}

void
renewal_config_free(struct renewal_config **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct renewal_config *config = *slot;

    free(config->options.names);
    aw_yaml_release(fields, config);
    aw_yaml_free(&config->yaml);
    free(config);
    *slot = NULL;
}

aw_result
renewal_config_remove(const char *root, const char *name)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(renewal_config_path(root, name, &path));
    if (unlink(path) == 0)
        return aw_folder_sync_of(path);
    return errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't remove %s", path);
}

/* The folder. */

static const char ending[] = ".conf";

/* Cuts the ending off. */
static int
is_config(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && length > strlen(ending) &&
           strcmp(entry->d_name + length - strlen(ending), ending) == 0;
}

aw_result
renewal_config_list(const char *root, renewal_config_visit visit, void *context)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    AW_CLEANUP(listing_free) struct listing found = {.count = 0};

    AW_TRY(aw_path_join(root, "renewal", &folder));
    AW_TRY(listing_read(folder, is_config, &found));
    for (int i = 0; i < found.count; i++) {
        char *name = found.items[i]->d_name;

        name[strlen(name) - strlen(ending)] = '\0';
        AW_TRY(visit(name, context));
    }
    return AW_OK;
}
