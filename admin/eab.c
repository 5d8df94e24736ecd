/* eab import, list, destroy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "admin/admin_cli.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/secret.h"

enum {
    KEY_TEXT_MAX = 4096, /* what may be pasted: a key of 512 octets, encoded twice */
    KEY_SIZE_MAX = 512,
};

static aw_result
read_line(int fd, aw_secret *out)
{
    for (;;) {
        char octet;
        ssize_t got = read(fd, &octet, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return aw_fail_errno(AW_CODE_IO, "can't read the key");
        if (got == 0 || octet == '\n')
            return AW_OK;
        AW_TRY(aw_secret_append(out, &octet, 1));
    }
}

/* Echo is switched on again on every path; a line that a signal cut off ends the program anyway. */
static aw_result
read_terminal(int fd, aw_secret *out)
{
    struct termios old, quiet;

    if (tcgetattr(fd, &old) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't ask the terminal");
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    if (tcsetattr(fd, TCSAFLUSH, &quiet) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't switch the terminal's echo off");
    fputs("EAB HMAC key (not shown): ", stderr); /* only now: what came before was thrown away */
    aw_result r = read_line(fd, out);
    tcsetattr(fd, TCSAFLUSH, &old);
    fputc('\n', stderr);
    return r;
}

static aw_result
descriptor_of(const char *text, int *out)
{
    char *end = NULL;
    long number = text == NULL ? STDIN_FILENO : strtol(text, &end, 10);

    if (text != NULL && (end == text || *end != '\0' || number < 0 || number > 65535))
        return aw_fail(
            AW_CODE_USAGE, "--key-fd: found \"%s\", expected a descriptor's number", text);
    *out = (int)number;
    return AW_OK;
}

static aw_result
read_key_text(const char *key_fd, aw_secret *out)
{
    int fd = -1;

    AW_TRY(descriptor_of(key_fd, &fd));
    if (isatty(fd))
        return read_terminal(fd, out);
    return aw_context(aw_fd_read_secret(fd, out), "the key");
}

/* Google's tool prints the base64url text of the key, encoded once more: then every octet of what
 * was decoded is a base64url character, which by chance happens to no real key of 16 octets or
 * more. */
static bool
looks_encoded(const aw_secret *key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=";

    for (size_t i = 0; i < key->size; i++)
        if (key->data[i] == '\0' || strchr(alphabet, key->data[i]) == NULL)
            return false;
    return key->size >= 22;
}

static aw_result
decode_key(const aw_secret *text, aw_secret **out, bool *twice)
{
    AW_CLEANUP(aw_secret_free) aw_secret *once = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *again = NULL;

    if (text->size == 0)
        return aw_fail(AW_CODE_USAGE, "no key was given");
    AW_TRY(aw_secret_new(KEY_TEXT_MAX, &once));
    AW_TRY(aw_hint(aw_base64_decode_lenient(text, once),
        "the CA gives the key as base64url or base64 text; paste it as it is"));
    *twice = looks_encoded(once);
    if (*twice) {
        AW_TRY(aw_secret_new(KEY_TEXT_MAX, &again));
        *twice = aw_ok(aw_base64_decode_lenient(once, again)) && again->size > 0;
    }
    if (*twice)
        *out = AW_MOVE(again);
    else
        *out = AW_MOVE(once);
    if ((*out)->size > KEY_SIZE_MAX)
        return aw_fail(AW_CODE_LIMIT, "the key has %zu octets; at most %d are possible",
            (*out)->size, KEY_SIZE_MAX);
    return AW_OK;
}

static aw_result
write_key(struct aw_json_writer *w, const aw_secret *key)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;

    AW_TRY(aw_secret_new(AW_B64URL_LENGTH(KEY_SIZE_MAX) + 1, &text));
    aw_b64url_encode(key->data, key->size, (char *)text->data);
    aw_json_pair(w, "key", (const char *)text->data);
    return AW_OK;
}

static void
print_import(const cJSON *reply, bool twice)
{
    const cJSON *report = aw_json_member(reply, "report");

    printf("imported: %lld bits, in the token, not extractable\n", admin_number(reply, "bits"));
    if (twice)
        puts("  the text was base64 of base64, as Google's tool prints it: it was decoded twice");
    if (admin_true(report, "padded"))
        puts("  the key is shorter than the digest: it is stored padded with zeros, which gives "
             "the same MAC (RFC 2104)");
    if (admin_text(report, "dropped")[0] != '\0')
        printf("  the token refused these attributes: %s\n", admin_text(report, "dropped"));
    if (admin_text(report, "weaker")[0] != '\0')
        printf("  the token set these otherwise than asked: %s\n", admin_text(report, "weaker"));
    puts("  now destroy every other copy: mail, clipboard, password manager entry, shell history");
}

struct import_options {
    const char *ca, *kid, *algorithm, *key_fd;
    bool force;
};

static aw_result
import_key(const struct admin_options *options, const struct import_options *asked, cJSON **reply,
    bool *twice)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(aw_secret_new(KEY_TEXT_MAX, &text));
    AW_TRY(read_key_text(asked->key_fd, text));
    AW_TRY(decode_key(text, &key, twice));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "ca", asked->ca);
    aw_json_pair(&w, "kid", asked->kid);
    aw_json_pair(&w, "algorithm", asked->algorithm);
    aw_result r = write_key(&w, key);
    if (!aw_ok(r)) {
        aw_json_writer_free(&w);
        return r;
    }
    aw_json_pair_bool(&w, "force", asked->force);
    aw_json_end_object(&w);
    return admin_call(options, "ImportEab", &w, reply);
}

aw_result
admin_eab_import(const struct admin_options *options, int argc, char **argv)
{
    struct import_options asked = {.algorithm = "HS256"};
    const struct admin_option table[] = {
        {.name = "ca", .value = &asked.ca},
        {.name = "kid", .value = &asked.kid},
        {.name = "algorithm", .value = &asked.algorithm},
        {.name = "key-fd", .value = &asked.key_fd},
        {.name = "force", .flag = &asked.force},
    };
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    bool twice = false;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (asked.ca == NULL || asked.kid == NULL)
        return aw_fail(AW_CODE_USAGE, "--ca and --kid are needed: both are told by the CA");
    AW_TRY(import_key(options, &asked, &reply, &twice));
    if (options->json)
        return admin_print_json(reply);
    print_import(reply, twice);
    return AW_OK;
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
