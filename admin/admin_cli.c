#include "admin/admin_cli.h"

#include <errno.h>
#include <grp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/log.h"

enum { CALL_TIMEOUT_MS = 120 * 1000, TEXT_SLOTS = 8, TEXT_SIZE = 1024 };

static const struct admin_option *
find_option(const struct admin_option *options, size_t count, const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

/* One "--name", "--name value" or "--name=value"; *i is moved past what was used. */
static aw_result
take_option(int argc, char **argv, int *i, const struct admin_option *options, size_t count)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct admin_option *option = find_option(options, count, name, length);
    const char *value = equals == NULL ? NULL : equals + 1;

    if (option == NULL)
        return aw_fail(AW_CODE_USAGE, "unknown option --%.*s", (int)length, name);
    if (option->flag != NULL) {
        *option->flag = true;
        return value == NULL ? AW_OK : aw_fail(AW_CODE_USAGE, "--%s takes no value", option->name);
    }
    if (value == NULL && *i + 1 < argc)
        value = argv[++*i];
    if (value == NULL)
        return aw_fail(AW_CODE_USAGE, "--%s needs a value", option->name);
    if (option->list == NULL) {
        if (*option->value != NULL)
            return aw_fail(AW_CODE_USAGE, "--%s is given twice", option->name);
        *option->value = value;
        return AW_OK;
    }
    if (*option->list_count == option->list_max)
        return aw_fail(
            AW_CODE_USAGE, "--%s is there more than %zu times", option->name, option->list_max);
    option->list[(*option->list_count)++] = value;
    return AW_OK;
}

aw_result
admin_parse_words(int argc, char **argv, const struct admin_option *options, size_t option_count,
    const struct admin_words *words)
{
    *words->count = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0)
            AW_TRY(take_option(argc, argv, &i, options, option_count));
        else if (*words->count < words->max)
            words->items[(*words->count)++] = argv[i];
        else
            return aw_fail(AW_CODE_USAGE, "\"%s\" is not expected here", argv[i]);
    }
    return AW_OK;
}

aw_result
admin_parse(int argc, char **argv, const struct admin_option *options, size_t option_count,
    const char **positional, size_t positional_count)
{
    size_t found = 0;
    struct admin_words words = {positional, &found, positional_count};

    AW_TRY(admin_parse_words(argc, argv, options, option_count, &words));
    if (found < positional_count)
        return aw_fail(AW_CODE_USAGE, "%s needs %zu argument%s", argv[0], positional_count,
            positional_count == 1 ? "" : "s");
    return AW_OK;
}

aw_result
admin_unreadable(aw_result r, const char *path)
{
    char text[1024];
    struct group entry;
    struct group *group = NULL;
    struct stat st;

    if (aw_ok(r) || access(path, R_OK) == 0 || errno != EACCES || stat(path, &st) != 0 ||
        (st.st_mode & S_IRGRP) == 0)
        return r;
    if (getgrgid_r(st.st_gid, &entry, text, sizeof(text), &group) != 0 || group == NULL)
        return r;
    return aw_hint(r, "root may read it, and who is in the group %s", group->gr_name);
}

aw_result
admin_config(const struct admin_options *options, struct aw_config **out)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = aw_config_load(options->config, &faults, out);

    if (!aw_ok(r))
        aw_faults_print(&faults, stderr);
    return admin_unreadable(r, options->config);
}

aw_result
admin_parse_time(const char *option, const char *text, int64_t fallback, int64_t *out)
{
    char full[48];

    *out = fallback;
    if (text == NULL)
        return AW_OK;
    snprintf(full, sizeof(full), "%.30s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
    if (!aw_ok(aw_time_parse(full, out)))
        return aw_fail(AW_CODE_USAGE,
            "--%s: found \"%s\", expected 2026-11-24 or 2026-11-24T02:34:25Z (UTC)", option, text);
    return AW_OK;
}

aw_result
admin_parse_name(const char *option, const char *text, struct aw_name *out)
{
    size_t length = strlen(text);

    if (aw_ok(aw_name_parse_address(text, length, out)) ||
        aw_ok(aw_name_parse_file(text, length, out)))
        return AW_OK;
    return aw_fail(AW_CODE_USAGE, "--%s: %s", option, aw_error_last()->message);
}

/* The signer may run as the owner of its socket's folder: as trustworthy as the folder is. */
static uid_t
owner_of_folder(const char *path)
{
    AW_CLEANUP(aw_free) char *folder = strdup(path);
    struct stat status;

    if (folder == NULL)
        return 0;
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0';
    return stat(folder, &status) == 0 ? status.st_uid : 0;
}

static aw_result
connect_signer(const struct admin_options *options, aw_varlink_stream **out)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    const char *path = options->socket;

    if (path == NULL) {
        AW_TRY(admin_config(options, &config));
        path = config->paths.admin_socket;
    }
    return aw_varlink_connect(path, owner_of_folder(path), out);
}

static enum aw_code
code_of_tag(const char *tag)
{
    for (int code = AW_CODE_USAGE; code <= AW_CODE_INTERNAL; code++)
        if (tag != NULL && strcmp(aw_code_tag((enum aw_code)code), tag) == 0)
            return (enum aw_code)code;
    return AW_CODE_UNAVAILABLE;
}

static aw_result
fail_with(const struct aw_varlink_answer *answer)
{
    const char *name = strrchr(answer->error, '.');
    const char *message = cJSON_GetStringValue(aw_json_member(answer->parameters, "message"));
    const char *hint = cJSON_GetStringValue(aw_json_member(answer->parameters, "hint"));
    const char *tag = cJSON_GetStringValue(aw_json_member(answer->parameters, "tag"));
    enum aw_code code = code_of_tag(tag);

    name = name == NULL ? answer->error : name + 1;
    if (strcmp(name, "NotPermitted") == 0)
        return aw_hint(aw_fail(AW_CODE_PERMISSION, "not permitted: %s",
                           message == NULL ? answer->error : message),
            "roles are listed under administrators in signer.yaml");
    if (strcmp(name, "InvalidRequest") == 0)
        code = AW_CODE_USAGE;
    aw_result r = aw_fail(code, "%s", message == NULL ? answer->error : message);
    return hint == NULL || hint[0] == '\0' ? r : aw_hint(r, "%s", hint);
}

static void
wipe_text(char **text)
{
    if (*text != NULL)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

aw_result
admin_call(const struct admin_options *options, const char *method,
    struct aw_json_writer *parameters, cJSON **reply)
{
    AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;
    AW_CLEANUP(aw_varlink_answer_free) struct aw_varlink_answer answer = {0};
    AW_CLEANUP(wipe_text) char *text = NULL;
    char full[AW_VARLINK_MAX_METHOD + 1];

    AW_TRY(aw_json_writer_finish(parameters, &text));
    AW_TRY(connect_signer(options, &stream));
    snprintf(full, sizeof(full), "org.acmeward.Admin.%s", method);
    aw_result r = aw_varlink_invoke(stream, full, text, CALL_TIMEOUT_MS, &answer);
    if (r.code == AW_CODE_CLOSED)
        return aw_hint(aw_fail(AW_CODE_PERMISSION, "the signer closed the connection"),
            "it does so when you are neither operator nor officer (administrators in signer.yaml)");
    AW_TRY(r);
    if (answer.error[0] != '\0')
        return fail_with(&answer);
    *reply = cJSON_Duplicate(answer.parameters, true);
    return *reply == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
admin_call_plain(const struct admin_options *options, const char *method, cJSON **reply)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_end_object(&w);
    return admin_call(options, method, &w, reply);
}

/* Set once: what is printed as JSON is the answer. */
static bool told;

bool
admin_has_told(void)
{
    return told;
}

void
admin_note_told(bool json)
{
    told |= json;
}

aw_result
admin_print_json(const cJSON *reply)
{
    told = true;
    char *text = cJSON_PrintUnformatted(reply);

    if (text == NULL)
        return aw_fail_memory();
    puts(text);
    cJSON_free(text);
    return AW_OK;
}

aw_result
admin_print_writer(struct aw_json_writer *w)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_json_writer_finish(w, &text));
    told = true;
    puts(text);
    return AW_OK;
}

/* printf calls show a few members at once: each gets a slot of its own, in turn. */
static char *
next_slot(void)
{
    static char slots[TEXT_SLOTS][TEXT_SIZE];
    static unsigned turn;

    return slots[turn++ % TEXT_SLOTS];
}

const char *
admin_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(aw_json_member(object, name));
    char *slot = next_slot();

    if (text == NULL)
        return "-";
    aw_log_escape(text, strlen(text), slot, TEXT_SIZE);
    return slot;
}

long long
admin_number(const cJSON *object, const char *name)
{
    const cJSON *member = aw_json_member(object, name);

    return cJSON_IsNumber(member) ? llround(member->valuedouble) : 0;
}

const char *
admin_time(const cJSON *object, const char *name)
{
    char *slot = next_slot();

    if (!cJSON_IsNumber(aw_json_member(object, name)))
        return "-";
    aw_time_text(admin_number(object, name), slot);
    return slot;
}

bool
admin_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(aw_json_member(object, name));
}

void
admin_print_report(const cJSON *report, FILE *stream)
{
    if (report == NULL)
        return;
    if (admin_text(report, "dropped")[0] != '\0')
        fprintf(
            stream, "  the token refused these attributes: %s\n", admin_text(report, "dropped"));
    if (admin_text(report, "weaker")[0] != '\0')
        fprintf(stream, "  the token set these otherwise than asked: %s\n",
            admin_text(report, "weaker"));
}

/* PEM and the note have line breaks, which nothing here escapes: the signer's own text, checked. */
aw_result
admin_print_text(const cJSON *reply, const char *name, const char *end)
{
    const char *text = cJSON_GetStringValue(aw_json_member(reply, name));

    if (text == NULL)
        return aw_fail(AW_CODE_UNAVAILABLE, "the signer's reply has no %s", name);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' && *at != '\n')
            return aw_fail(AW_CODE_UNAVAILABLE, "the signer's %s has control characters", name);
    printf("%s%s", text, end);
    return AW_OK;
}

aw_result
admin_sha256(const char *text, size_t size, char hex[AW_DIGEST_HEX_SIZE])
{
    unsigned char digest[32];

    if (EVP_Digest(text, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("SHA-256");
    aw_hex(digest, sizeof(digest), hex);
    return AW_OK;
}

aw_result
admin_print_sha256(const char *what, const char *text, size_t size)
{
    char hex[AW_DIGEST_HEX_SIZE];

    AW_TRY(admin_sha256(text, size, hex));
    printf("%s sha256 %s\n", what, hex);
    return AW_OK;
}

aw_result
admin_confirm(bool yes, const char *question, const char *otherwise)
{
    char answer[8] = "";

    if (yes)
        return AW_OK;
    if (!isatty(STDIN_FILENO))
        return aw_fail(
            AW_CODE_USAGE, "nobody is there to confirm: look at what is shown and say --yes");
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
        return aw_fail(AW_CODE_REFUSED, "%s", otherwise);
    return AW_OK;
}
