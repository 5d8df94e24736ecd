/* eab import, list, destroy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_cli.h"
#include "admin/eab_key.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/wrapped.h"

static aw_result
write_key(struct aw_json_writer *w, const aw_secret *key)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;

    AW_TRY(aw_secret_new(AW_B64URL_LENGTH(ADMIN_EAB_KEY_MAX) + 1, &text));
    aw_b64url_encode(key->data, key->size, (char *)text->data);
    aw_json_pair(w, "key", (const char *)text->data);
    return AW_OK;
}

static void
print_import(const cJSON *reply)
{
    const cJSON *report = aw_json_member(reply, "report");

    printf("imported: %lld bits, in the token, not extractable\n", admin_number(reply, "bits"));
    if (admin_true(report, "padded"))
        puts("  the key is shorter than the hash's block: it is stored padded with zeros, which "
             "gives the same MAC (RFC 2104)");
    admin_print_report(report, stdout);
}

struct import_options {
    const char *ca, *kid, *algorithm, *key_fd, *wrapped;
    bool force;
};

static aw_result
import_key(const struct admin_options *options, const struct import_options *asked, cJSON **reply,
    bool *twice)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(admin_eab_key_read(asked->key_fd, &key, twice));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "ca", asked->ca);
    aw_json_pair(&w, "kid", asked->kid);
    aw_json_pair(&w, "algorithm", asked->algorithm == NULL ? "HS256" : asked->algorithm);
    aw_result r = write_key(&w, key);
    if (!aw_ok(r)) {
        aw_json_writer_free(&w);
        return r;
    }
    aw_json_pair_bool(&w, "force", asked->force);
    aw_json_end_object(&w);
    return admin_call(options, "ImportEab", &w, reply);
}

static aw_result
import_clear(const struct admin_options *options, const struct import_options *asked)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    bool twice = false;

    if (asked->ca == NULL || asked->kid == NULL)
        return aw_fail(AW_CODE_USAGE, "--ca and --kid are needed: both are told by the CA");
    AW_TRY(import_key(options, asked, &reply, &twice));
    if (options->json)
        return admin_print_json(reply);
    print_import(reply);
    if (twice)
        puts(ADMIN_EAB_TWICE);
    puts("  now destroy every other copy: mail, clipboard, password manager entry, shell history");
    return AW_OK;
}

/* Wrapped: all that was said when it was wrapped is in the file. */

static aw_result
check_said(const char *option, const char *said, const char *wrapped)
{
    if (said == NULL || strcmp(said, wrapped) == 0)
        return AW_OK;
    return aw_fail(AW_CODE_MISMATCH, "--%s says \"%s\", the key was wrapped for \"%s\"", option,
        said, wrapped);
}

static void
write_wrapped(
    struct aw_json_writer *w, const struct aw_wrapped *wrapped, const struct import_options *asked)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "ca", wrapped->terms.ca);
    aw_json_pair(w, "kid", wrapped->terms.kid);
    aw_json_pair(w, "algorithm", wrapped->terms.algorithm);
    aw_json_pair_integer(w, "bits", wrapped->terms.bits);
    aw_json_pair(w, "wrapping_key", wrapped->terms.wrapping_key);
    aw_json_pair(w, "wrapped", wrapped->wrapped);
    aw_json_pair(w, "check", wrapped->check);
    aw_json_pair_bool(w, "force", asked->force);
    aw_json_end_object(w);
}

static aw_result
import_wrapped(const struct admin_options *options, const struct import_options *asked)
{
    AW_CLEANUP(aw_wrapped_free) struct aw_wrapped wrapped = {.json = NULL};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer w = {0};
    size_t size = 0;

    if (asked->key_fd != NULL)
        return aw_fail(
            AW_CODE_USAGE, "--key-fd does not go with --wrapped: the key is in the file");
    AW_TRY(aw_file_read(asked->wrapped, AW_WRAPPED_FILE_MAX, &text, &size));
    AW_TRY(aw_context(aw_wrapped_parse(text, size, &wrapped), "%s", asked->wrapped));
    AW_TRY(check_said("ca", asked->ca, wrapped.terms.ca));
    AW_TRY(check_said("kid", asked->kid, wrapped.terms.kid));
    AW_TRY(check_said("algorithm", asked->algorithm, wrapped.terms.algorithm));
    write_wrapped(&w, &wrapped, asked);
    AW_TRY(admin_call(options, "ImportWrappedEab", &w, &reply));
    if (options->json)
        return admin_print_json(reply);
    print_import(reply);
    printf("  CA %s, kid %s, %s: unwrapped inside the token; its MAC and its flags were compared\n",
        admin_text(wrapped.json, "ca"), admin_text(wrapped.json, "kid"), wrapped.terms.algorithm);
    AW_TRY(admin_print_sha256("  file", text, size));
    puts("  now destroy every other copy of the key, and the wrapped file: with the token it is "
         "one");
    return AW_OK;
}

aw_result
admin_eab_import(const struct admin_options *options, int argc, char **argv)
{
    struct import_options asked = {.ca = NULL};
    const struct admin_option table[] = {
        {.name = "ca", .value = &asked.ca},
        {.name = "kid", .value = &asked.kid},
        {.name = "algorithm", .value = &asked.algorithm},
        {.name = "key-fd", .value = &asked.key_fd},
        {.name = "wrapped", .value = &asked.wrapped},
        {.name = "force", .flag = &asked.force},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    return asked.wrapped != NULL ? import_wrapped(options, &asked) : import_clear(options, &asked);
}

aw_result
admin_eab_list(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const cJSON *eab = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "ListEabs", &reply));
    if (options->json)
        return admin_print_json(reply);
    cJSON_ArrayForEach(eab, aw_json_member(reply, "eabs")) printf("%s  kid %s  %s  %s\n",
        admin_text(eab, "ca"), admin_text(eab, "kid"), admin_text(eab, "algorithm"),
        admin_true(eab, "present") ? "in the token" : "NOT in the token");
    return AW_OK;
}

aw_result
admin_eab_destroy(const struct admin_options *options, int argc, char **argv)
{
    const char *ca = NULL, *kid = NULL;
    const struct admin_option table[] = {
        {.name = "ca", .value = &ca}, {.name = "kid", .value = &kid}};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (ca == NULL || kid == NULL)
        return aw_fail(AW_CODE_USAGE, "--ca and --kid are needed; eab list shows them");
    aw_json_begin_object(&w);
    aw_json_pair(&w, "ca", ca);
    aw_json_pair(&w, "kid", kid);
    aw_json_end_object(&w);
    AW_TRY(admin_call(options, "DestroyEab", &w, &reply));
    puts("destroyed");
    return AW_OK;
}
