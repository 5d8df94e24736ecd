#include "client/signer_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ssh.h"
#include "client/ssh_turn.h"
#include "client/ssh_url.h"
#include "client/text.h"
#include "common/io.h"
#include "common/json.h"
#include "common/log.h"
#include "common/varlink.h"

struct signer_link {
    char *path;
    uid_t server_uid;
    char *ssh_config, *ssh_control;
    ssh_process *ssh;          /* NULL: a socket of this host */
    aw_varlink_stream *stream; /* NULL: to be made anew */
    bool proved;               /* an answer came through the stream */
    bool relay;
    const struct signer_behalf *behalf;
    int64_t signed_before; /* for that behalf */
    struct signer_refusal refusal;
};

static const char interface[] = "org.acmeward.Signer.", relay_interface[] = "org.acmeward.Relay.";

static const char *
interface_of(const signer_link *link)
{
    return link->relay ? relay_interface : interface;
}

/* Octets of a member of a refusal that are kept. */
enum { REFUSAL_TEXT_MAX = 4096 };

static aw_result
connect_signer(signer_link *link)
{
    link->proved = false;
    if (!ssh_url_is(link->path))
        return aw_varlink_connect(link->path, link->server_uid, &link->stream);
    ssh_process_end(&link->ssh);
    const struct ssh_place place = {link->path, link->ssh_config, link->ssh_control};
    return ssh_process_start(&place, &link->ssh, &link->stream);
}

/* A relay has many links; a client has one, whose ssh logs in while the CA is asked. */
static bool
logs_in_by_turns(const signer_link *link)
{
    return link->relay && ssh_url_is(link->path);
}

static aw_result
copy(const char *text, char **out)
{
    return text == NULL ? AW_OK : aw_format(out, "%s", text);
}

static aw_result
copy_place(const struct signer_place *place, signer_link *link)
{
    link->server_uid = place->server_uid;
    link->relay = place->relay;
    AW_TRY(copy(place->at, &link->path));
    AW_TRY(copy(place->ssh_config, &link->ssh_config));
    return copy(place->ssh_control, &link->ssh_control);
}

aw_result
signer_link_open(const struct signer_place *place, signer_link **out)
{
    AW_CLEANUP(signer_link_close) signer_link *link = calloc(1, sizeof(*link));

    if (link == NULL)
        return aw_fail_memory();
    link->refusal.retry_after = -1;
    AW_TRY(copy_place(place, link));
    if (!logs_in_by_turns(link)) /* else with the first call */
        AW_TRY(connect_signer(link));
    *out = AW_MOVE(link);
    return AW_OK;
}

void
signer_refusal_free(struct signer_refusal *refusal)
{
    free(refusal->error);
    free(refusal->rule);
    free(refusal->application);
    free(refusal->name);
    free(refusal->allowed);
    free(refusal->owner);
    free(refusal->message);
    memset(refusal, 0, sizeof(*refusal));
    refusal->retry_after = -1;
}

void
signer_link_close(signer_link **link)
{
    if (*link == NULL)
        return;
    aw_varlink_stream_free(&(*link)->stream);
    ssh_process_end(&(*link)->ssh);
    signer_refusal_free(&(*link)->refusal);
    free((*link)->ssh_config);
    free((*link)->ssh_control);
    free((*link)->path);
    free(*link);
    *link = NULL;
}

const struct signer_refusal *
signer_link_refusal(const signer_link *link)
{
    return &link->refusal;
}

void
signer_link_take_refusal(signer_link *link, struct signer_refusal *out)
{
    *out = link->refusal;
    link->refusal = (struct signer_refusal){.retry_after = -1};
}

void
signer_link_set_behalf(signer_link *link, const struct signer_behalf *behalf)
{
    link->behalf = behalf;
    link->signed_before = 0;
}

int64_t
signer_link_signed(const signer_link *link)
{
    return link->signed_before;
}

void
signer_link_set_signed(signer_link *link, int64_t ticket)
{
    link->signed_before = ticket;
}

const struct signer_behalf *
signer_link_behalf(const signer_link *link)
{
    return link->behalf;
}

bool
signer_link_is_relay(const signer_link *link)
{
    return link->relay;
}

/* Error replies. */

/* What an error of the interface means for us. `refused`: the text begins with "refused: ". */
static const struct kind {
    const char *error;
    enum aw_code code;
    const char *lead;
    const char *hint;
    bool whole; /* the message names rule, what is allowed and whom to ask */
} kinds[] = {
    {"PolicyRefused", AW_CODE_REFUSED, "refused",
        "acmeward whoami shows what is allowed; certonly --check tells all that would be refused",
        true},
    {"LedgerRefused", AW_CODE_REFUSED, "refused", "the rule's name is explained in the manual",
        false},
    {"CsrRefused", AW_CODE_REFUSED, "refused", "let acmeward make the key and the request", false},
    {"EvidenceRefused", AW_CODE_REFUSED, "refused",
        "the client signs its request anew, with a fresh nonce", false},
    {"InvalidRequest", AW_CODE_SYNTAX, "the signer can't read the request",
        "are acmeward and acmeward-signer of one version?", false},
    {"NotReady", AW_CODE_UNAVAILABLE, "the signer is not ready",
        "an administrator must act: acmeward-admin status, acmeward-admin account list", false},
    {"Frozen", AW_CODE_FROZEN, "signing was stopped by an administrator",
        "ask the administrators of the signer; acmeward-admin unfreeze lets it go on", false},
    {"Unavailable", AW_CODE_UNAVAILABLE, "the signer can't sign now", "try again later", false},
};

/* An error of varlink itself, or one that we do not know: another version is likely. */
static const struct kind unknown_kind = {"", AW_CODE_UNSUPPORTED,
    "the signer does not know the call", "are acmeward and acmeward-signer of one version?", false};

static const struct kind *
find_kind(const signer_link *link, const char *error)
{
    const char *ours = interface_of(link);

    if (strncmp(error, ours, strlen(ours)) != 0)
        return &unknown_kind;
    for (size_t i = 0; i < AW_COUNT(kinds); i++)
        if (strcmp(error + strlen(ours), kinds[i].error) == 0)
            return &kinds[i];
    return &unknown_kind;
}

static aw_result
keep_text(const cJSON *parameters, const char *name, char **out)
{
    const char *text = cJSON_GetStringValue(aw_json_member(parameters, name));

    if (text == NULL)
        return AW_OK;
    *out = strndup(text, REFUSAL_TEXT_MAX);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static aw_result
keep_refusal(const struct aw_varlink_answer *answer, struct signer_refusal *out)
{
    const cJSON *parameters = answer->parameters;
    const cJSON *retry_after = aw_json_member(parameters, "retry_after");
    const char *dot = strrchr(answer->error, '.');
    /* Members by kind of error; each has one that says which rule, tag, field or thing it was. */
    static const char *const rules[] = {"rule", "tag", "field", "what"};

    out->error = strdup(dot != NULL ? dot + 1 : answer->error);
    if (out->error == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < AW_COUNT(rules) && out->rule == NULL; i++)
        AW_TRY(keep_text(parameters, rules[i], &out->rule));
    AW_TRY(keep_text(parameters, "application", &out->application));
    AW_TRY(keep_text(parameters, "name", &out->name));
    AW_TRY(keep_text(parameters, "allowed", &out->allowed));
    AW_TRY(keep_text(parameters, "owner", &out->owner));
    AW_TRY(keep_text(parameters, "message", &out->message));
    if (cJSON_IsNumber(retry_after) && retry_after->valuedouble >= 0)
        out->retry_after = (int64_t)retry_after->valuedouble;
    return AW_OK;
}

static void
describe(const struct kind *kind, const struct signer_refusal *refusal, struct client_text *t)
{
    client_text_add(
        t, "%s: %s", kind->lead, refusal->message != NULL ? refusal->message : refusal->error);
    if (refusal->rule != NULL && !kind->whole)
        client_text_add(
            t, " (%s %s)", kind->code == AW_CODE_REFUSED ? "rule" : "about", refusal->rule);
}

static aw_result
fail_refused(const struct kind *kind, const struct signer_refusal *refusal)
{
    struct client_text t = {.used = 0};
    char shown[AW_ERROR_MESSAGE_SIZE];
    AW_CLEANUP(aw_free) char *when = NULL;

    describe(kind, refusal, &t);
    aw_log_escape(t.bytes, t.used, shown, sizeof(shown));
    if (refusal->retry_after >= 0)
        AW_TRY(aw_format(
            &when, "; not before %lld seconds from now", (long long)refusal->retry_after));
    return aw_hint(aw_fail_cause(kind->code, AW_CAUSE_VARLINK, 0, "%s", shown), "%s%s", kind->hint,
        when != NULL ? when : "");
}

/* Calls. */

static signer_tracer tracer;
static void *tracer_context;

void
signer_link_trace(signer_tracer wanted, void *context)
{
    tracer = wanted;
    tracer_context = context;
}

static void
trace(const struct signer_exchange *call, aw_result r, const struct aw_varlink_answer *answer)
{
    struct signer_exchange exchange = *call;
    struct aw_error error; /* of the call: telling must not replace it */

    if (tracer == NULL)
        return;
    aw_error_save(&error);
    exchange.milliseconds = aw_now_ms() - call->milliseconds;
    exchange.failure = aw_ok(r) ? NULL : error.message;
    exchange.reply = aw_ok(r) ? answer->parameters : NULL;
    exchange.error = aw_ok(r) && answer->error[0] != '\0' ? answer->error : NULL;
    tracer(&exchange, tracer_context);
    if (!aw_ok(r))
        aw_ignore(aw_error_restore(&error), "it is the caller's");
}

/* After any failure the stream is of no more use. */
static aw_result
invoke_once(
    signer_link *link, const char *method, const char *parameters, struct aw_varlink_answer *answer)
{
    if (link->stream == NULL)
        AW_TRY(connect_signer(link));
    const struct signer_exchange call = {
        .method = method, .parameters = parameters, .milliseconds = aw_now_ms()};
    aw_result r =
        aw_varlink_invoke(link->stream, method, parameters, SIGNER_LINK_TIMEOUT_MS, answer);
    trace(&call, r, answer);
    if (aw_ok(r))
        link->proved = true;
    else
        aw_varlink_stream_free(&link->stream);
    return r;
}

/* That ssh has logged in is seen from the first answer alone. */
static aw_result
invoke(
    signer_link *link, const char *method, const char *parameters, struct aw_varlink_answer *answer)
{
    bool login = logs_in_by_turns(link) && link->stream == NULL;

    if (login)
        ssh_turn_take();
    aw_result r = invoke_once(link, method, parameters, answer);
    if (login)
        ssh_turn_give();
    return r;
}

/* A peer that closed with our message unread shows as a reset. */
static bool
was_closed(const struct aw_error *error)
{
    return error->code == AW_CODE_CLOSED ||
           (error->code == AW_CODE_IO && error->cause == AW_CAUSE_ERRNO &&
               error->cause_number == ECONNRESET);
}

/* A login shell that prints something puts it before the signer's first answer. */
static aw_result
not_the_signers(const signer_link *link, struct aw_error *error)
{
    error->code = AW_CODE_UNAVAILABLE;
    return aw_hint(aw_context(aw_error_restore(error),
                       "what comes from %s is no answer of a signer", link->path),
        "was it cut off, or does something print to standard output at login there (a start-up "
        "file of the account's shell)? ssh with the same user and host shows it");
}

static aw_result
call_failed(signer_link *link, struct aw_error *error)
{
    bool closed = was_closed(error);

    if (closed && link->ssh != NULL)
        return ssh_process_explain(&link->ssh);
    if (link->ssh != NULL && error->code == AW_CODE_SYNTAX)
        return not_the_signers(link, error);
    if (closed || error->code == AW_CODE_TIMEOUT)
        error->code = AW_CODE_UNAVAILABLE;
    aw_result r = aw_context(aw_error_restore(error), "the signer at %s", link->path);
    if (!closed)
        return r;
    return aw_hint(r,
        "the signer turns users away whom no policy names: is uid %u among the principals of an "
        "application? Else try again, it may have been restarted",
        (unsigned)geteuid());
}

static aw_result
invoke_again(
    signer_link *link, const char *method, const char *parameters, struct aw_varlink_answer *answer)
{
    /* ssh that never came through would fail the same way again. */
    bool idle = link->stream != NULL && (link->ssh == NULL || link->proved);
    struct aw_error error;

    aw_result r = invoke(link, method, parameters, answer);
    if (aw_ok(r))
        return r;
    aw_error_save(&error);
    if (idle && was_closed(&error)) {
        r = invoke(link, method, parameters, answer);
        if (aw_ok(r))
            return r;
        aw_error_save(&error);
    }
    return call_failed(link, &error);
}

aw_result
signer_link_call(signer_link *link, const char *method, const char *parameters, cJSON **reply)
{
    AW_CLEANUP(aw_varlink_answer_free) struct aw_varlink_answer answer = {0};
    char full[AW_VARLINK_MAX_METHOD + 1];

    *reply = NULL;
    signer_refusal_free(&link->refusal);
    snprintf(full, sizeof(full), "%s%s", interface_of(link), method);
    AW_TRY(invoke_again(link, full, parameters, &answer));
    if (answer.error[0] != '\0') {
        AW_TRY(keep_refusal(&answer, &link->refusal));
        return fail_refused(find_kind(link, answer.error), &link->refusal);
    }
    *reply = cJSON_DetachItemFromObjectCaseSensitive(answer.message, "parameters");
    return *reply != NULL ? AW_OK : aw_fail_memory();
}
