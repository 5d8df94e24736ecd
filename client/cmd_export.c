/* acmeward export: a stored certificate for another program or host. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/certonly.h"
#include "client/command.h"
#include "client/export.h"
#include "common/io.h"
#include "common/nss.h"

static aw_result
read_format(const char *text, enum export_format *out)
{
    for (size_t i = 0; text != NULL && export_formats[i] != NULL; i++)
        if (strcmp(export_formats[i], text) == 0) {
            *out = (enum export_format)i;
            return AW_OK;
        }
    if (text == NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "export needs --format"),
            "pem: a folder of four files; pkcs12: one file (also for Java); iis-ccs: IIS Central "
            "Certificate Store; haproxy: chain and key in one file");
    return aw_fail(
        AW_CODE_USAGE, "--format: found \"%.40s\", expected pem, pkcs12, iis-ccs or haproxy", text);
}

static aw_result
read_group(const char *name, gid_t *out)
{
    bool found = false;

    *out = (gid_t)-1;
    if (name == NULL)
        return AW_OK;
    AW_TRY(aw_context(aw_nss_group(name, &found, out), "--group"));
    if (!found)
        return aw_fail(AW_CODE_USAGE, "--group: there is no group \"%.64s\" on this host", name);
    return AW_OK;
}

static aw_result
read_descriptor(const char *text, int *out)
{
    size_t length = strlen(text);

    if (length == 0 || length > 4 || strspn(text, "0123456789") != length)
        return aw_fail(AW_CODE_USAGE, "--passphrase-fd: found \"%.40s\", expected a number", text);
    *out = (int)strtol(text, NULL, 10);
    return AW_OK;
}

static aw_result
read_passphrase(const struct options *o, bool wanted, aw_secret **out)
{
    int descriptor = -1;

    if (!wanted && (o->passphrase_file != NULL || o->passphrase_fd != NULL))
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "--format %s holds the key as it is", o->export_format),
            "leave the passphrase out; file modes protect it, as they do the store");
    if (!wanted)
        return AW_OK;
    if (o->passphrase_file != NULL && o->passphrase_fd != NULL)
        return aw_fail(AW_CODE_USAGE, "--passphrase-file and --passphrase-fd exclude each other");
    if (o->passphrase_file == NULL && o->passphrase_fd == NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "--format %s needs a passphrase", o->export_format),
            "--passphrase-file FILE (mode 0600), or --passphrase-fd 0 to read it from standard "
            "input; there is no way to type it into the command line, where ps would show it");
    if (o->passphrase_fd != NULL)
        AW_TRY(read_descriptor(o->passphrase_fd, &descriptor));
    return passphrase_read(o->passphrase_file, descriptor, out);
}

static aw_result
read_algorithms(const struct options *o, bool encrypts, bool *legacy)
{
    const char *text = o->pkcs12_algorithms;

    *legacy = text != NULL && strcmp(text, "legacy") == 0;
    if (text != NULL && !encrypts)
        return aw_fail(AW_CODE_USAGE, "--pkcs12-algorithms goes with --format pkcs12 or iis-ccs");
    if (text != NULL && !*legacy && strcmp(text, "aes") != 0)
        return aw_fail(
            AW_CODE_USAGE, "--pkcs12-algorithms: found \"%.40s\", expected aes or legacy", text);
    return AW_OK;
}

static aw_result
read_request(const struct options *o, struct export_request *request, aw_secret **passphrase)
{
    if (o->cert_name == NULL)
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "export needs --cert-name"), "acmeward certificates lists them");
    AW_TRY(store_name_check(o->cert_name));
    AW_TRY(read_format(o->export_format, &request->format));
    if (o->export_out == NULL)
        return aw_fail(AW_CODE_USAGE, "export needs --out: a file or folder");
    request->cert_name = o->cert_name;
    request->out = o->export_out;
    AW_TRY(read_group(o->group, &request->group));
    AW_TRY(read_algorithms(o, export_encrypts(request->format), &request->legacy));
    AW_TRY(read_passphrase(o, export_encrypts(request->format), passphrase));
    request->passphrase = *passphrase;
    return AW_OK;
}

static void
write_list(struct aw_json_writer *w, const char *name, char *const *list, size_t count)
{
    aw_json_name(w, name);
    aw_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        aw_json_write_string(w, list[i]);
    aw_json_end_array(w);
}

static aw_result
tell(const struct export_request *request, const struct export_result *result, struct output *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    char expiry[32];

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", "exported");
    aw_json_pair(&w, "name", request->cert_name);
    aw_json_pair(&w, "format", export_formats[request->format]);
    write_list(&w, "files", result->files, result->file_count);
    write_list(&w, "skipped", result->skipped, result->skipped_count);
    aw_json_pair_integer(&w, "not_after", result->not_after);
    aw_json_end_object(&w);
    AW_TRY(output_json(out, &w));
    aw_time_text(result->not_after, expiry);
    output_line(out, "exported: certificate %s as %s, expires %s", request->cert_name,
        export_formats[request->format], expiry);
    for (size_t i = 0; i < result->file_count; i++)
        output_line(out, "  %s", result->files[i]);
    for (size_t i = 0; i < result->skipped_count; i++)
        output_note(
            out, "no file for the address %s: IIS looks for host names", result->skipped[i]);
    return AW_OK;
}

aw_result
cmd_export(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *passphrase = NULL;
    AW_CLEANUP(export_result_free) struct export_result result = {0};
    struct export_request request = {0};

    AW_TRY(read_request(options, &request, &passphrase));
    AW_TRY(certonly_config(options, out, &config));
    request.root = config->certificates;
    AW_TRY(export_run(&request, &result));
    return tell(&request, &result, out);
}
