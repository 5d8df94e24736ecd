#include <stdlib.h>
#include <time.h>

#include "client/certonly.h"
#include "common/io.h"

enum { DAY = 24 * 3600 };

void
certonly_write_files(struct aw_json_writer *w, const char *live)
{
    static const char *const files[] = {"cert", "chain", "fullchain", "privkey"};

    aw_json_pair(w, "live", live);
    for (size_t i = 0; i < AW_COUNT(files); i++) {
        AW_CLEANUP(aw_free) char *path = NULL;

        if (!aw_ok(aw_format(&path, "%s/%s.pem", live, files[i])))
            w->failed = true;
        else
            aw_json_pair(w, files[i], path);
    }
}

static void
write_names(struct aw_json_writer *w, const struct certonly *c)
{
    aw_json_name(w, "names");
    aw_json_begin_array(w);
    for (size_t i = 0; i < c->name_count; i++)
        aw_json_write_string(w, c->names[i].text);
    aw_json_end_array(w);
}

static void
write_result(
    struct aw_json_writer *w, const struct certonly *c, const struct certonly_result *result)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "status", "issued");
    aw_json_pair(w, "name", c->cert_name);
    aw_json_pair_integer(w, "version", result->version);
    write_names(w, c);
    aw_json_pair(w, "application", c->application->name);
    aw_json_pair(w, "key_type", c->key_type);
    aw_json_pair(w, "serial", result->serial);
    aw_json_pair_integer(w, "not_before", result->not_before);
    aw_json_pair_integer(w, "not_after", result->not_after);
    certonly_write_files(w, store_live(c->store));
    aw_json_pair(w, "order_url", result->issued->order_url);
    aw_json_pair_integer(w, "validated", (int64_t)result->issued->validated);
    aw_json_pair_integer(w, "requests", (int64_t)result->issued->requests);
    aw_json_pair(w, "warning", result->issued->warning);
    aw_json_pair_integer(w, "milliseconds", (int64_t)(output_seconds(c->out) * 1000));
    aw_json_end_object(w);
}

static aw_result
tell_warning(struct output *out, const char *warning)
{
    AW_CLEANUP(aw_free) char *safe = warning == NULL ? NULL : output_safe(warning);

    if (safe != NULL)
        output_warning(out, "this %s", safe);
    return AW_OK;
}

aw_result
certonly_report(struct certonly *c, const struct certonly_result *result)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *live = store_live(c->store);
    char expiry[32];

    write_result(&w, c, result);
    AW_TRY(output_json(c->out, &w));
    AW_TRY(tell_warning(c->out, result->issued->warning));
    aw_time_text(result->not_after, expiry);
    output_line(c->out, "issued: certificate %s, version %u, for %s%s", c->cert_name,
        result->version, c->names[0].text, c->name_count > 1 ? " and others" : "");
    output_line(c->out, "  %s/fullchain.pem", live);
    output_line(c->out, "  %s/privkey.pem%s", live,
        c->options->key_uri == NULL ? "" : ", which names the key in the token");
    output_line(c->out, "  expires %s, in %lld days; serial %s", expiry,
        (long long)((result->not_after - (int64_t)time(NULL)) / DAY), result->serial);
    output_line(c->out, "  %.1f seconds; requests: %zu, names validated: %zu",
        output_seconds(c->out), result->issued->requests, result->issued->validated);
    return AW_OK;
}
