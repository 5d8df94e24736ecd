#include "common/varlink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/io.h"

enum {
    CONNECT_WAIT_S = 10, /* longest wait for a place in the server's queue */
};

/* Connecting. */

static aw_result
untrusted(aw_result r, const char *path)
{
    return aw_hint(r,
        "check that %s is the signer's socket; the user that the signer runs as is a setting of "
        "the client",
        path);
}

/*
 * The folder decides who can put a socket there (attack 96): a name that others may replace would
 * let them answer for the signer. aw_path_check speaks of permissions; here it is a question of
 * trust, so its verdict is carried over to AW_CODE_MISMATCH.
 */
static aw_result
check_folder(const char *path, uid_t server_uid)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    struct aw_error error;

    AW_TRY(aw_path_folder(path, &folder));
    aw_result r = aw_path_check(folder, server_uid, 0022);
    if (aw_ok(r))
        return AW_OK;
    aw_error_save(&error);
    if (error.code == AW_CODE_PERMISSION && error.cause == AW_CAUSE_NONE)
        error.code = AW_CODE_MISMATCH;
    else if (error.code == AW_CODE_NOT_FOUND)
        error.code = AW_CODE_UNAVAILABLE;
    return aw_context(aw_error_restore(&error), "the folder of the socket %s", path);
}

static aw_result
check_server(int fd, const char *path, uid_t server_uid)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return aw_fail_errno(AW_CODE_MISMATCH, "can't tell who serves %s", path);
    if (peer.uid == 0 || peer.uid == server_uid)
        return AW_OK;
    return untrusted(aw_fail(AW_CODE_MISMATCH, "%s is served by uid %u, expected uid %u or root",
                         path, (unsigned)peer.uid, (unsigned)server_uid),
        path);
}

static aw_result
connect_failed(const char *path)
{
    switch (errno) {
    case EACCES:
    case EPERM:
        return aw_hint(aw_fail_errno(AW_CODE_PERMISSION, "can't connect to %s", path),
            "this user may not use the socket: join the group that owns it, or ask an "
            "administrator of the signer");
    case EAGAIN:
        return aw_hint(
            aw_fail(AW_CODE_BUSY, "%s has too many connections waiting", path), "try again later");
    case ENOENT:
    case ECONNREFUSED:
        return aw_hint(aw_fail_errno(AW_CODE_UNAVAILABLE, "nobody listens on %s", path),
            "is the signer running (systemctl status acmeward-signer), and is this its socket?");
    default:
        return aw_fail_errno(AW_CODE_UNAVAILABLE, "can't connect to %s", path);
    }
}

static aw_result
connect_socket(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = CONNECT_WAIT_S};
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(address.sun_path))
        return aw_fail(AW_CODE_LIMIT, "the socket's path has %zu octets, expected 1 to %zu: %s",
            length, sizeof(address.sun_path) - 1, path);
    memcpy(address.sun_path, path, length);
    /* unix(7): connect() waits for a place in the queue as long as SO_SNDTIMEO says. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set up a socket");
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        if (errno != EINTR)
            return connect_failed(path);
    return AW_OK;
}

aw_result
aw_varlink_connect(const char *path, uid_t server_uid, aw_varlink_stream **out)
{
    AW_CLEANUP(aw_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a socket");
    AW_TRY(check_folder(path, server_uid));
    AW_TRY(connect_socket(fd, path));
    AW_TRY(check_server(fd, path, server_uid));
    AW_TRY(aw_varlink_stream_new(fd, out));
    fd = -1;
    return AW_OK;
}

/* Invoking. */

static aw_result
read_answer(struct aw_varlink_answer *answer)
{
    static const char *const members[] = {"parameters", "error", "continues"};
    const char *error;
    bool continues = false;

    AW_TRY(aw_json_only(answer->message, members, AW_COUNT(members)));
    AW_TRY(aw_json_optional_bool(answer->message, "continues", &continues));
    if (continues)
        return aw_fail(AW_CODE_UNSUPPORTED, "continues: found true in the answer to a single call");
    AW_TRY(aw_json_optional_string(answer->message, "error", AW_VARLINK_MAX_METHOD, &error));
    if (error != NULL && !aw_varlink_name_valid(error))
        return aw_fail(AW_CODE_SYNTAX, "error: found \"%s\", expected a full name", error);
    if (error != NULL)
        snprintf(answer->error, sizeof(answer->error), "%s", error);
    return aw_varlink_parameters(answer->message, &answer->parameters);
}

static aw_result
parse_answer(const char *text, size_t length, struct aw_varlink_answer *out)
{
    AW_CLEANUP(aw_varlink_answer_free) struct aw_varlink_answer answer = {0};

    AW_TRY(aw_json_parse(text, length, AW_JSON_STRICT, &answer.message));
    AW_TRY(read_answer(&answer));
    *out = answer;
    answer.message = NULL;
    return AW_OK;
}

/* A call's text, which may hold a secret: its own buffer of the exact size, wiped on release. */
struct call_text {
    char *text;
    size_t size;
};

static void
call_text_free(struct call_text *call)
{
    if (call->text != NULL)
        OPENSSL_cleanse(call->text, call->size);
    free(call->text);
}

static aw_result
write_call(const char *method, const char *parameters, struct call_text *out)
{
    static const char form[] = "{\"method\":\"%s\",\"parameters\":%s}";

    out->size = sizeof(form) + strlen(method) + strlen(parameters);
    out->text = malloc(out->size);
    if (out->text == NULL)
        return aw_fail_memory();
    snprintf(out->text, out->size, form, method, parameters);
    return AW_OK;
}

aw_result
aw_varlink_invoke(aw_varlink_stream *stream, const char *method, const char *parameters,
    int timeout_ms, struct aw_varlink_answer *out)
{
    AW_CLEANUP(call_text_free) struct call_text call = {0};
    const char *text;
    size_t length;

    memset(out, 0, sizeof(*out));
    if (!aw_varlink_name_valid(method))
        return aw_fail(AW_CODE_USAGE, "found \"%s\", expected the full name of a method", method);
    AW_TRY(write_call(method, parameters, &call));
    AW_TRY(aw_varlink_exchange(stream, call.text, timeout_ms, &text, &length));
    return aw_context(parse_answer(text, length, out), "the answer to %s", method);
}

void
aw_varlink_answer_free(struct aw_varlink_answer *answer)
{
    aw_json_free(&answer->message);
    memset(answer, 0, sizeof(*answer));
}
