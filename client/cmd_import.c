/* acmeward import-certbot DIR: certbot's renewal configurations become ours. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/certonly.h"
#include "client/command.h"
#include "client/import_certbot.h"
#include "client/renewal_config.h"
#include "common/io.h"

static const char usual[] = "/etc/letsencrypt";

/* Carried through the list. */
struct import {
    const struct options *options;
    struct output *out;
    struct client_config *config;
    const char *from;
    struct aw_json_writer imported, left;
    size_t count, failed;
};

static void
write_left(struct aw_json_writer *w, const struct import_certbot *file)
{
    aw_json_name(w, "not_taken");
    aw_json_begin_array(w);
    for (size_t i = 0; i < file->left_count; i++) {
        aw_json_begin_object(w);
        aw_json_pair(w, "setting", file->left[i].what);
        aw_json_pair(w, "why", file->left[i].why);
        aw_json_pair_integer(w, "line", file->left[i].line);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

static void
tell_imported(struct import *m, const char *name, const struct import_certbot *file)
{
    struct aw_json_writer *w = &m->imported;

    m->count++;
    aw_json_begin_object(w);
    aw_json_pair(w, "name", name);
    write_left(w, file);
    aw_json_end_object(w);
    output_line(m->out, "imported: %s, for %s%s", name, file->options.names[0].name.text,
        file->options.name_count > 1 ? " and others" : "");
    for (size_t i = 0; i < file->left_count; i++) {
        AW_CLEANUP(aw_free) char *what = output_safe(file->left[i].what);
        output_line(m->out, "  not taken over: %s (%s)", what, file->left[i].why);
    }
}

static void
tell_left(struct import *m, const char *name, const char *why)
{
    AW_CLEANUP(aw_free) char *safe = output_safe(why);
    struct aw_json_writer *w = &m->left;

    m->failed++;
    aw_json_begin_object(w);
    aw_json_pair(w, "name", name);
    aw_json_pair(w, "why", why);
    aw_json_end_object(w);
    output_warning(m->out, "%s is not imported: %s", name, safe);
}

static aw_result
import_file(struct import *m, const char *name, struct import_certbot *file)
{
    AW_CLEANUP(aw_free) char *from = NULL;
    AW_CLEANUP(aw_free) char *to = NULL;

    AW_TRY(renewal_config_path(m->config->certificates, name, &to));
    AW_TRY(aw_format(&from, "%s/renewal/%s.conf", m->from, name));
    if (access(to, F_OK) == 0)
        return aw_fail(AW_CODE_EXISTS, "%s is there already; remove it to import again", to);
    AW_TRY(import_certbot_read(from, file));
    return renewal_config_write(to, &file->options, m->config->application);
}

static aw_result
visit(const char *name, void *context)
{
    AW_CLEANUP(import_certbot_free) struct import_certbot file = {0};
    struct import *m = context;

    aw_result r = import_file(m, name, &file);
    if (r.code == AW_CODE_MEMORY || r.code == AW_CODE_PERMISSION)
        return r;
    if (aw_ok(r))
        tell_imported(m, name, &file);
    else
        tell_left(m, name, aw_error_last()->message);
    return AW_OK;
}

/* Programs are not copied: what they do with certbot's paths is for a person to see. */
static void
tell_folders(const struct import *m)
{
    static const char *const kinds[] = {"pre", "deploy", "post"};

    for (size_t i = 0; i < AW_COUNT(kinds); i++) {
        AW_CLEANUP(aw_free) char *path = NULL;
        struct dirent **items = NULL;

        if (!aw_ok(aw_format(&path, "%s/renewal-hooks/%s", m->from, kinds[i])))
            return;
        int count = scandir(path, &items, NULL, NULL);
        for (int j = 0; j < count; j++)
            free(items[j]);
        free(items);
        if (count > 2)
            output_note(m->out,
                "the programs of %s are not copied: see what they do, then put them "
                "into %s/renewal-hooks/%s",
                path, m->config->certificates, kinds[i]);
    }
}

static aw_result
tell(struct import *m)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", m->failed == 0 ? "imported" : "failed");
    aw_json_pair_array(&w, "imported", &m->imported);
    aw_json_pair_array(&w, "left", &m->left);
    aw_json_end_object(&w);
    AW_TRY(output_json(m->out, &w));
    m->out->told = true;
    tell_folders(m);
    if (m->count > 0)
        output_line(m->out,
            "acmeward renew --dry-run tries them; acmeward renew then orders each "
            "anew, with a new key. Servers need the paths in %s/live",
            m->config->certificates);
    if (m->failed > 0)
        return aw_fail(AW_CODE_CONFIG, "%zu of %zu configurations were not imported", m->failed,
            m->failed + m->count);
    return AW_OK;
}

static aw_result
run(struct import *m)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    AW_CLEANUP(aw_free) char *archive = NULL;

    AW_TRY(aw_path_join(m->from, "renewal", &folder));
    if (access(folder, R_OK) != 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "can't read %s", folder),
            "name certbot's folder: acmeward import-certbot /etc/letsencrypt");
    AW_TRY(aw_folder_make(m->config->certificates, 0755));
    AW_TRY(aw_path_join(m->config->certificates, "archive", &archive));
    AW_TRY(aw_folder_make(archive, 0700)); /* where renew keeps its lock */
    aw_json_begin_array(&m->imported);
    aw_json_begin_array(&m->left);
    AW_TRY(renewal_config_list(m->from, visit, m));
    if (m->count + m->failed == 0)
        return aw_fail(AW_CODE_NOT_FOUND, "there is no configuration in %s", folder);
    return tell(m);
}

aw_result
cmd_import_certbot(const struct options *options, struct output *out)
{
    struct import m = {.options = options, .out = out};

    m.from = options->argument == NULL ? usual : options->argument;
    aw_result r = certonly_config(options, out, &m.config);
    if (aw_ok(r))
        r = run(&m);
    aw_json_writer_free(&m.imported);
    aw_json_writer_free(&m.left);
    client_config_free(&m.config);
    return r;
}
