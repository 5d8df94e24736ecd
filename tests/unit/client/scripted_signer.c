#include "scripted_signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/varlink.h"

enum { WAIT_MS = 60000 };

static const char interface[] = "org.acmeward.Signer.";

static const char *
text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(aw_json_member(object, name));

    return text != NULL ? text : "";
}

static aw_result
fail_with(const char *error, const char *parameters, char **reply)
{
    char name[128];

    snprintf(name, sizeof(name), "%s%s", strchr(error, '.') != NULL ? "" : interface, error);
    return aw_varlink_error(name, parameters, reply);
}

/* The kind of claim that each method signs for. */
static bool
is_claimed(const struct scripted_signer *s, const char *method, const char *url)
{
    for (size_t i = 0; i < s->claim_count; i++) {
        const char *kind = s->claims[i].kind;
        if (strcmp(s->claims[i].url, url) != 0)
            continue;
        if (strcmp(method, "Finalize") == 0)
            return strcmp(kind, "finalize") == 0;
        if (strcmp(method, "AnswerChallenge") == 0)
            return strcmp(kind, "challenge") == 0;
        return strcmp(kind, "finalize") != 0;
    }
    return false;
}

static aw_result
take_claims(struct scripted_signer *s, const cJSON *parameters, char **reply)
{
    const cJSON *urls = aw_json_member(parameters, "urls"), *element;

    cJSON_ArrayForEach(element, urls)
    {
        if (s->claim_count == SIGNER_URLS_MAX)
            return fail_with("LedgerRefused", "{\"rule\":\"url.too-many\"}", reply);
        snprintf(s->claims[s->claim_count].kind, sizeof(s->claims[0].kind), "%s",
            text_of(element, "kind"));
        snprintf(s->claims[s->claim_count++].url, sizeof(s->claims[0].url), "%s",
            text_of(element, "url"));
    }
    return aw_varlink_reply("{}", reply);
}

static aw_result
sign(const cJSON *parameters, const char *head, const char *url, char **reply)
{
    const char *nonce = text_of(parameters, "nonce");
    AW_CLEANUP(aw_free) char *protected = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_b64url_encode_new(nonce, strlen(nonce), &protected));
    AW_TRY(aw_format(&text,
        "{%s\"url\":\"%s\",\"jws\":{\"protected\":\"%s\",\"payload\":\"e30\","
        "\"signature\":\"c2ln\"},\"warning\":null}",
        head, url, protected));
    return aw_varlink_reply(text, reply);
}

static aw_result
answer_usual(struct scripted_signer *s, const char *method, const cJSON *parameters, char **reply)
{
    const char *url = text_of(parameters, "url");
    char head[96];

    if (strcmp(method, "NewOrder") == 0) {
        snprintf(
            head, sizeof(head), "\"application\":\"app\",\"order\":%ld,\"names\":[],", ++s->ticket);
        return sign(parameters, head, s->new_order, reply);
    }
    if (strcmp(method, "ClaimUrls") == 0)
        return take_claims(s, parameters, reply);
    if (strcmp(method, "Finalize") == 0 || strcmp(method, "PostAsGet") == 0 ||
        strcmp(method, "AnswerChallenge") == 0)
        return is_claimed(s, method, url)
                   ? sign(parameters, "", url, reply)
                   : fail_with("LedgerRefused",
                         "{\"rule\":\"url.unclaimed\",\"message\":\"not claimed\"}", reply);
    if (strcmp(method, "RecordCertificate") == 0)
        return aw_varlink_reply("{}", reply);
    return aw_varlink_error_about("org.varlink.service.MethodNotFound", "method", method, reply);
}

static const struct signer_change *
find_change(struct scripted_signer *s, const char *method)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->taken[i] && strcmp(s->changes[i].method, method) == 0) {
            s->taken[i] = true;
            return &s->changes[i];
        }
    }
    return NULL;
}

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
append(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(text + used, SIGNER_LOG_MAX - used, format, ap);
    va_end(ap);
}

static void
note_call(struct scripted_signer *s, const char *method, const cJSON *parameters)
{
    char *text = cJSON_PrintUnformatted(parameters);

    append(s->calls, "%s\n", method);
    append(s->log, "%s %s\n", method, text != NULL ? text : "");
    cJSON_free(text);
}

/* *reply stays NULL when there is to be none. */
static aw_result
answer(struct scripted_signer *s, const struct aw_varlink_call *call, bool *end, char **reply)
{
    const char *method = strrchr(call->method, '.') + 1;

    note_call(s, method, call->parameters);
    const struct signer_change *change = find_change(s, method);
    *end = change != NULL && change->close;
    if (change != NULL && change->error != NULL)
        return fail_with(change->error, change->parameters, reply);
    if (change != NULL && change->parameters != NULL)
        return aw_varlink_reply(change->parameters, reply);
    return *end ? AW_OK : answer_usual(s, method, call->parameters, reply);
}

static aw_result
serve(struct scripted_signer *s, int fd)
{
    AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;

    AW_TRY(aw_varlink_stream_new(fd, &stream));
    for (bool end = false; !end;) {
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
        AW_CLEANUP(aw_free) char *reply = NULL;
        const char *text;
        size_t length;

        AW_TRY(aw_varlink_receive(stream, WAIT_MS, WAIT_MS, &text, &length));
        AW_TRY(aw_varlink_call_parse(text, length, &call));
        pthread_mutex_lock(&s->lock);
        aw_result r = answer(s, &call, &end, &reply);
        pthread_mutex_unlock(&s->lock);
        AW_TRY(r);
        if (reply != NULL)
            AW_TRY(aw_varlink_send(stream, reply, WAIT_MS));
    }
    return AW_OK;
}

static void *
serve_each(void *context)
{
    struct scripted_signer *s = context;
    int fd;

    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        pthread_mutex_lock(&s->lock);
        s->connections++;
        pthread_mutex_unlock(&s->lock);
        aw_ignore(serve(s, fd), "a connection that ended");
    }
    return NULL;
}

void
scripted_signer_start(struct scripted_signer *s, const char *base)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(s, 0, sizeof(*s));
    snprintf(s->folder, sizeof(s->folder), "/tmp/aw-signer-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(chmod(s->folder, 0755), 0);
    snprintf(s->path, sizeof(s->path), "%s/s", s->folder);
    snprintf(s->new_order, sizeof(s->new_order), "%s/new-order", base);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve_each, s), 0);
}

void
scripted_signer_load(struct scripted_signer *s, const struct signer_change *changes, size_t count)
{
    assert_true(count <= sizeof(s->taken) / sizeof(s->taken[0]));
    pthread_mutex_lock(&s->lock);
    s->changes = changes;
    s->count = count;
    memset(s->taken, 0, sizeof(s->taken));
    s->ticket = 0;
    s->connections = 0;
    s->claim_count = 0;
    s->calls[0] = s->log[0] = '\0';
    pthread_mutex_unlock(&s->lock);
}

void
scripted_signer_settle(struct scripted_signer *s)
{
    pthread_mutex_lock(&s->lock);
    pthread_mutex_unlock(&s->lock);
}

void
scripted_signer_stop(struct scripted_signer *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    pthread_mutex_destroy(&s->lock);
    unlink(s->path);
    rmdir(s->folder);
}
