#include "client/import_certbot.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "client/chain.h"
#include "client/configobj.h"
#include "common/io.h"
#include "common/log.h"

/* What is read of the file besides the settings. */
struct reading {
    struct import_certbot *out;
    const char *certificate;
    struct map {
        const char *name, *folder;
    } map[OPTIONS_NAMES_MAX];
    size_t map_count;
};

enum kind {
    TEXT,    /* the first value is a setting */
    FLAG,    /* True or False */
    LAST,    /* of a list the last one */
    SILENT,  /* means nothing here, and nobody misses it */
    MISSING, /* means nothing here, and is told */
};

#define AT(member) offsetof(struct options, member)

static const char accounts[] = "accounts are the signer's";
static const char installers[] = "servers are told by a deploy hook here";

/* certbot's keys of [renewalparams], and before it. */
static const struct row {
    const char *key;
    enum kind kind;
    size_t offset;
    const char *why;
} rows[] = {
    {"server", TEXT, AT(server), NULL},
    {"authenticator", TEXT, AT(authenticator), NULL},
    {"webroot_path", LAST, AT(webroot_path), NULL},
    {"key_type", TEXT, AT(key_type), NULL},
    {"rsa_key_size", TEXT, AT(rsa_key_size), NULL},
    {"elliptic_curve", TEXT, AT(elliptic_curve), NULL},
    {"reuse_key", FLAG, AT(reuse_key), NULL},
    {"must_staple", FLAG, AT(must_staple), NULL},
    {"preferred_chain", TEXT, AT(preferred_chain), NULL},
    {"required_profile", TEXT, AT(profile), NULL},
    {"preferred_profile", TEXT, AT(preferred_profile), NULL},
    {"pref_challs", LAST, AT(preferred_challenges), NULL},
    {"preferred_challenges", LAST, AT(preferred_challenges), NULL},
    {"http01_port", TEXT, AT(http_01_port), NULL},
    {"http01_address", TEXT, AT(http_01_address), NULL},
    {"pre_hook", TEXT, AT(pre_hook), NULL},
    {"post_hook", TEXT, AT(post_hook), NULL},
    {"renew_hook", TEXT, AT(deploy_hook), NULL},
    {"deploy_hook", TEXT, AT(deploy_hook), NULL},
    {"manual_auth_hook", TEXT, AT(manual_auth_hook), NULL},
    {"manual_cleanup_hook", TEXT, AT(manual_cleanup_hook), NULL},
    {"dns_rfc2136_credentials", TEXT, AT(dns_rfc2136_credentials), NULL},
    {"dns_rfc2136_propagation_seconds", TEXT, AT(dns_rfc2136_seconds), NULL},
    {"account", MISSING, 0, accounts},
    {"eab_kid", MISSING, 0, accounts},
    {"eab_hmac_key", MISSING, 0,
        "the EAB key belongs into the token; if it is real, have the CA issue a new one"},
    {"installer", MISSING, 0, installers},
    {"config_dir", SILENT, 0, NULL},
    {"work_dir", SILENT, 0, NULL},
    {"logs_dir", SILENT, 0, NULL},
    {"version", SILENT, 0, NULL},
    {"archive_dir", SILENT, 0, NULL},
    {"privkey", SILENT, 0, NULL},
    {"chain", SILENT, 0, NULL},
    {"fullchain", SILENT, 0, NULL},
    {"email", SILENT, 0, NULL},
    {"noninteractive_mode", SILENT, 0, NULL},
    {"renew_before_expiry", MISSING, 0, "a third of the lifetime, or the CA's word, decides here"},
};

static const struct row *
find_row(const char *key)
{
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

/* A copy that lives as long as the settings. */
static aw_result
keep(struct import_certbot *out, const char *text, const char **slot)
{
    char **texts = realloc(out->texts, (out->text_count + 1) * sizeof(*texts));

    if (texts == NULL)
        return aw_fail_memory();
    out->texts = texts;
    texts[out->text_count] = strdup(text);
    if (texts[out->text_count] == NULL)
        return aw_fail_memory();
    *slot = texts[out->text_count++];
    return AW_OK;
}

/* The value of a secret is not shown. */
static aw_result
leave(struct import_certbot *out, const struct configobj_entry *entry, const char *why)
{
    bool secret = strcmp(entry->key, "eab_hmac_key") == 0;
    const char *value = entry->value_count == 0 ? "" : entry->values[0];

    if (out->left_count == IMPORT_LEFT_MAX)
        return aw_fail(
            AW_CODE_LIMIT, "more than %d settings that mean nothing here", IMPORT_LEFT_MAX);
    struct import_left *left = &out->left[out->left_count];
    AW_TRY(aw_format(&left->what, "%.100s = %.200s", entry->key, secret ? "..." : value));
    left->why = why;
    left->line = entry->line;
    out->left_count++;
    return AW_OK;
}

static aw_result
take_map(struct reading *r, const struct configobj_entry *entry)
{
    if (entry->value_count == 0 || r->map_count == OPTIONS_NAMES_MAX)
        return leave(r->out, entry, "no folder, or too many names");
    AW_TRY(keep(r->out, entry->key, &r->map[r->map_count].name));
    AW_TRY(keep(r->out, entry->values[0], &r->map[r->map_count].folder));
    r->map_count++;
    return AW_OK;
}

static aw_result
take_value(struct import_certbot *out, const struct row *row, const struct configobj_entry *entry)
{
    char *slot = (char *)&out->options + row->offset;
    bool last = row->kind == LAST, set;
    const char *text = entry->values[last ? entry->value_count - 1 : 0];

    if (row->kind == FLAG) {
        set = strcmp(text, "True") == 0;
        memcpy(slot, &set, sizeof(set));
        return AW_OK;
    }
    AW_TRY(keep(out, text, &text));
    memcpy(slot, &text, sizeof(text));
    return AW_OK;
}

static aw_result
take(const struct configobj_entry *entry, void *context)
{
    struct reading *r = context;
    const struct row *row = find_row(entry->key);

    if (entry->depth == 2 && strcmp(entry->section, "webroot_map") == 0)
        return take_map(r, entry);
    if (entry->depth == 0 && strcmp(entry->key, "cert") == 0 && entry->value_count == 1)
        return keep(r->out, entry->values[0], &r->certificate);
    if (entry->value_count == 0 || strcmp(entry->values[0], "None") == 0)
        return AW_OK;
    if (row == NULL)
        return leave(r->out, entry, "it is not known here");
    if (row->kind == SILENT)
        return AW_OK;
    if (row->kind == MISSING)
        return leave(r->out, entry, row->why);
    return take_value(r->out, row, entry);
}

/* The whole. */

static aw_result
take_names(struct reading *r)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(chain_free) struct chain chain = {0};
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};
    size_t size;

    if (r->certificate == NULL)
        return aw_fail(AW_CODE_SYNTAX, "there is no \"cert = FILE\", whose names it is for");
    AW_TRY(aw_file_read(r->certificate, CHAIN_PEM_MAX, &text, &size));
    AW_TRY(aw_context(chain_read(text, size, &chain), "%s", r->certificate));
    AW_TRY(aw_context(chain_leaf_read(chain.certificates[0], &leaf), "%s", r->certificate));
    for (size_t i = 0; i < leaf.name_count; i++)
        AW_TRY(options_add_names(&r->out->options, leaf.names[i].text));
    return AW_OK;
}

static void
apply_map(const struct reading *r)
{
    struct options *o = &r->out->options;

    for (size_t i = 0; i < o->name_count; i++)
        for (size_t j = 0; j < r->map_count; j++)
            if (strcmp(o->names[i].name.text, r->map[j].name) == 0)
                o->names[i].webroot = r->map[j].folder;
    if (o->authenticator != NULL && strcmp(o->authenticator, "webroot") == 0 &&
        o->webroot_path == NULL && r->map_count > 0)
        o->webroot_path = r->map[0].folder;
}

/* A key that belongs to the other type is certbot's default, not a wish. */
static void
choose_key(struct options *o)
{
    if (o->key_type != NULL && strcmp(o->key_type, "rsa") == 0)
        o->elliptic_curve = NULL;
    else if (o->key_type != NULL || o->elliptic_curve != NULL)
        o->rsa_key_size = NULL;
}

/* Names that are validated already need no way to do it: the others are left to a person. */
static aw_result
check_way(struct import_certbot *out)
{
    static const char *const known[] = {"webroot", "standalone", "manual", "dns-rfc2136"};
    const char *way = out->options.authenticator;

    for (size_t i = 0; way != NULL && i < AW_COUNT(known); i++)
        if (strcmp(way, known[i]) == 0)
            return AW_OK;
    if (way == NULL)
        return AW_OK;
    const struct configobj_entry entry = {.key = "authenticator", .values = &way, .value_count = 1};
    out->options.authenticator = NULL;
    return leave(out, &entry,
        "that plug-in is not here: names that the CA has not validated need webroot, standalone, "
        "manual or dns-rfc2136");
}

static aw_result
read_file(struct reading *r, const char *path)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    AW_TRY(aw_file_read(path, IMPORT_FILE_MAX, &text, &size));
    AW_TRY(configobj_read(text, take, r));
    AW_TRY(take_names(r));
    apply_map(r);
    choose_key(&r->out->options);
    AW_TRY(check_way(r->out));
    return options_settle(&r->out->options);
}

aw_result
import_certbot_read(const char *path, struct import_certbot *out)
{
    AW_CLEANUP(aw_free) struct reading *r = calloc(1, sizeof(*r));

    memset(out, 0, sizeof(*out));
    if (r == NULL)
        return aw_fail_memory();
    r->out = out;
    aw_result result = aw_context(read_file(r, path), "%s", path);
    if (!aw_ok(result))
        import_certbot_free(out);
    return result;
}

void
import_certbot_free(struct import_certbot *file)
{
    for (size_t i = 0; i < file->left_count; i++)
        free(file->left[i].what);
    for (size_t i = 0; i < file->text_count; i++)
        free(file->texts[i]);
    free(file->texts);
    options_free(&file->options);
    memset(file, 0, sizeof(*file));
}
