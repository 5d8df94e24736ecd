/* Whether a certificate of that name is there already, and what to do then. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/renew.h"
#include "common/io.h"
#include "hostkey/host_key.h"

/* Names of one side that the other has not, as "a, b". */
struct difference {
    char *added;
    char *dropped;
};

static void
free_difference(struct difference *d)
{
    free(d->added);
    free(d->dropped);
}

static aw_result
append(char **list, const char *name)
{
    AW_CLEANUP(aw_free) char *before = AW_MOVE(*list);

    return aw_format(
        list, "%s%s%s", before == NULL ? "" : before, before == NULL ? "" : ", ", name);
}

static bool
is_stored(const struct store_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->name_count; i++)
        if (strcmp(entry->names[i], name) == 0)
            return true;
    return false;
}

static bool
is_ordered(const struct certonly *c, const char *name)
{
    for (size_t i = 0; i < c->name_count; i++)
        if (strcmp(c->names[i].text, name) == 0)
            return true;
    return false;
}

static aw_result
compare(const struct certonly *c, const struct store_entry *entry, struct difference *out)
{
    for (size_t i = 0; i < c->name_count; i++)
        if (!is_stored(entry, c->names[i].text))
            AW_TRY(append(&out->added, c->names[i].text));
    for (size_t i = 0; i < entry->name_count; i++)
        if (!is_ordered(c, entry->names[i]))
            AW_TRY(append(&out->dropped, entry->names[i]));
    return AW_OK;
}

/* certbot asks here; we don't ask, so the command must say it. */
static aw_result
check_difference(const struct certonly *c, const struct difference *d)
{
    const struct options *o = c->options;
    bool same = d->added == NULL && d->dropped == NULL;

    if (same || o->renew_with_new_names || (o->expand && d->dropped == NULL))
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_USAGE, "certificate %s is for other names: this order %s%.300s%s%s%.300s",
            c->cert_name, d->added == NULL ? "" : "adds ", d->added == NULL ? "" : d->added,
            d->added == NULL || d->dropped == NULL ? "" : " and ",
            d->dropped == NULL ? "" : "drops ", d->dropped == NULL ? "" : d->dropped),
        "%s--renew-with-new-domains replaces it; --cert-name NAME makes another one beside it",
        d->dropped == NULL ? "--expand or " : "");
}

static bool
is_good(const struct certonly *c, const struct store_entry *entry)
{
    int64_t now = (int64_t)time(NULL);
    const char *asked = c->options->key_type;

    return entry->fault == NULL && now >= entry->not_before &&
           entry->not_after - now > (entry->not_after - entry->not_before) / RENEW_PART &&
           (asked == NULL || strcmp(asked, entry->key_type) == 0) &&
           certonly_same_uri(c->options->key_uri, entry->key_uri);
}

static aw_result
tell_kept(struct certonly *c, const struct store_entry *entry)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    char expiry[32];

    aw_time_text(entry->not_after, expiry);
    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", "kept");
    aw_json_pair(&w, "name", c->cert_name);
    aw_json_pair_integer(&w, "version", entry->version);
    aw_json_pair_integer(&w, "not_after", entry->not_after);
    aw_json_pair(&w, "serial", entry->serial);
    certonly_write_files(&w, entry->live);
    aw_json_end_object(&w);
    AW_TRY(output_json(c->out, &w));
    output_line(c->out,
        "kept: certificate %s is good until %s, nothing was ordered (--force-renewal orders "
        "anyway)",
        c->cert_name, expiry);
    return AW_OK;
}

/* A key that can't be copied is not replaced by a file because an option was forgotten. */
static aw_result
check_place(const struct certonly *c, const char *key_uri)
{
    const struct options *o = c->options;

    if (key_uri == NULL || o->key_uri != NULL || o->new_key)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_USAGE, "the key of certificate %s is in a token", c->cert_name),
        "give --key-uri '%s' again; --new-key makes one in a file", key_uri);
}

/* What is stored is replaced whatever it is: it need not be read but for where its key is. */
static aw_result
check_forced(const struct certonly *c)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *key_uri = NULL;

    AW_TRY(aw_format(&path, "%s/live/%s/privkey.pem", c->config->certificates, c->cert_name));
    aw_result r = host_key_reference_of(path, &key_uri);
    if (!aw_ok(r)) /* a key that can't be read is in no token */
        return r.code == AW_CODE_MEMORY ? r : AW_OK;
    return check_place(c, key_uri);
}

aw_result
certonly_existing(struct certonly *c, bool *keep)
{
    AW_CLEANUP(store_entry_free) struct store_entry entry = {0};
    AW_CLEANUP(free_difference) struct difference difference = {0};

    *keep = false;
    if (c->options->force_renewal)
        return check_forced(c);
    aw_result r = store_read(c->config->certificates, c->cert_name, &entry);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    if (entry.names == NULL) /* it can't be read: it can't be compared, and must be replaced */
        return AW_OK;
    AW_TRY(check_place(c, entry.key_uri));
    AW_TRY(compare(c, &entry, &difference));
    AW_TRY(check_difference(c, &difference));
    *keep = difference.added == NULL && difference.dropped == NULL && is_good(c, &entry);
    return *keep ? tell_kept(c, &entry) : AW_OK;
}
