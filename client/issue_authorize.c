/* Authorizations of an order: those that are pending get their challenges met, all at once. */
#include <stdlib.h>
#include <string.h>

#include "client/issue_internal.h"
#include "common/io.h"

static const char json[] = "application/json";

/* A pending authorization and what is done about it. */
struct task {
    const char *url; /* of the order */
    struct acme_authorization authorization;
    const struct acme_challenge *challenge; /* in it */
    char *key_authorization;
    bool deployed;
};

struct tasks {
    struct issue *issue;
    struct task *list;
    size_t count;
    char *all; /* their names, for hooks */
};

static struct issue_challenge
challenge_of(const struct tasks *tasks, const struct task *task)
{
    return (struct issue_challenge){.name = &task->authorization.name,
        .type = task->challenge->type,
        .all = tasks->all,
        .remaining = tasks->count - 1 - (size_t)(task - tasks->list),
        .token = task->challenge->token,
        .key_authorization = task->key_authorization};
}

/* Runs on every path; the failure that led here outlives what cleaning up may add. */
static void
tasks_free(struct tasks *tasks)
{
    const struct issue_callbacks *callbacks = tasks->issue->callbacks;
    struct aw_error error;

    aw_error_save(&error);
    for (size_t i = 0; i < tasks->count; i++) {
        struct task *task = &tasks->list[i];
        if (task->deployed) {
            struct issue_challenge challenge = challenge_of(tasks, task);
            callbacks->cleanup(callbacks->context, &challenge);
        }
        acme_authorization_free(&task->authorization);
        free(task->key_authorization);
    }
    free(tasks->list);
    free(tasks->all);
    aw_ignore(aw_error_restore(&error), "it was returned already");
}

/* Reading. */

static aw_result
read_authorization(struct issue *issue, const char *url, struct acme_authorization *out)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(issue_post(issue, "PostAsGet", url, json, &response));
    return acme_authorization_parse(response.body, response.size, out);
}

static bool
is_ordered(const struct issue *issue, const struct acme_authorization *authorization)
{
    for (size_t i = 0; i < issue->order.name_count; i++) {
        const struct aw_name *name = &issue->order.names[i];
        bool wildcard = name->form == AW_NAME_WILDCARD;
        if (wildcard == authorization->wildcard &&
            strcmp(name->text + (wildcard ? strlen("*.") : 0), authorization->name.text) == 0)
            return true;
    }
    return false;
}

/* The challenge of an authorization that failed says why. */
static aw_result
authorization_failed(const struct issue *issue, const struct acme_authorization *authorization)
{
    for (size_t i = 0; i < authorization->challenge_count; i++) {
        const struct acme_problem *problem = &authorization->challenges[i].problem;
        if (problem->type[0] != '\0' || problem->detail != NULL) {
            AW_TRY(acme_session_keep(issue->session, problem));
            return aw_context(acme_problem_fail(problem, -1, authorization->challenges[i].type),
                "validating %s", authorization->name.text);
        }
    }
    return aw_hint(
        aw_fail(AW_CODE_CA_REFUSED, "validating %s: the CA made it %s and tells no reason",
            authorization->name.text, acme_status_name(authorization->status)),
        "try again: a new order may get a new authorization");
}

static aw_result
add_task(struct tasks *tasks, const char *url)
{
    struct task *task = &tasks->list[tasks->count];

    AW_TRY(read_authorization(tasks->issue, url, &task->authorization));
    tasks->count++;
    task->url = url;
    switch (task->authorization.status) {
    case ACME_VALID:
        acme_authorization_free(&task->authorization);
        tasks->count--;
        return AW_OK;
    case ACME_PENDING:
        break;
    case ACME_READY:
    case ACME_PROCESSING:
    case ACME_INVALID:
    case ACME_DEACTIVATED:
    case ACME_EXPIRED:
    case ACME_REVOKED:
        return authorization_failed(tasks->issue, &task->authorization);
    }
    if (!is_ordered(tasks->issue, &task->authorization))
        return aw_hint(
            aw_fail(AW_CODE_MISMATCH, "the CA wants %s%s validated, which was not ordered",
                task->authorization.wildcard ? "*." : "", task->authorization.name.text),
            "report it to the CA");
    return AW_OK;
}

/* Choosing. */

/* A CA that validates domains beforehand, by mail for one, offers nothing that a host could do. */
static aw_result
lapsed(const struct acme_authorization *authorization)
{
    const char *ignored = authorization->ignored_types;

    return aw_hint(aw_fail(AW_CODE_CA_REFUSED,
                       "the CA's validation of %s%s has lapsed, or it never had one%s%s",
                       authorization->wildcard ? "*." : "", authorization->name.text,
                       ignored[0] != '\0' ? "; it offers " : "; it offers no challenge", ignored),
        "nothing can be done on this host: whoever manages the domain at the CA has it validated "
        "there once more, then try again");
}

static aw_result
none_possible(const struct acme_authorization *authorization)
{
    const char *ignored = authorization->ignored_types;

    if (authorization->challenge_count == 0)
        return lapsed(authorization);
    return aw_hint(aw_fail(AW_CODE_CA_REFUSED,
                       "%s must be validated, and no challenge can be met: offered are %zu that "
                       "acmeward knows%s%s",
                       authorization->name.text, authorization->challenge_count,
                       ignored[0] != '\0' ? " and, not known to it, " : "", ignored),
        "set up a challenge (--webroot or --standalone), or have the name validated at the CA");
}

/* The caller says why; a name that needed no challenge the last time is worth a word more. */
static aw_result
not_chosen(void)
{
    struct aw_error error;

    aw_error_save(&error);
    return aw_hint(aw_error_restore(&error),
        "%s%sif this name needed no challenge before, its validation at the CA has lapsed: whoever "
        "manages the domain at the CA has it validated there once more",
        error.hint, error.hint[0] != '\0' ? "; " : "");
}

static aw_result
choose(const struct issue *issue, struct task *task)
{
    const struct issue_callbacks *callbacks = issue->callbacks;
    const struct acme_authorization *authorization = &task->authorization;

    if (callbacks->choose == NULL || authorization->challenge_count == 0)
        return none_possible(authorization);
    const char *type = callbacks->choose(callbacks->context, authorization);
    if (type == NULL && aw_error_last()->code == AW_CODE_OK)
        return none_possible(authorization);
    if (type == NULL)
        return not_chosen();
    for (size_t i = 0; i < authorization->challenge_count; i++)
        if (strcmp(authorization->challenges[i].type, type) == 0)
            task->challenge = &authorization->challenges[i];
    if (task->challenge == NULL)
        return aw_fail(AW_CODE_INTERNAL, "chose the challenge %s, which is not offered", type);
    AW_TRY(acme_url_check(issue->pinned, task->challenge->url, "challenge"));
    return aw_format(
        &task->key_authorization, "%s.%s", task->challenge->token, issue->request->thumbprint);
}

static aw_result
claim_challenges(const struct tasks *tasks)
{
    struct issue *issue = tasks->issue;
    AW_CLEANUP(aw_free) struct signer_claim *claims = calloc(tasks->count, sizeof(*claims));

    if (claims == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < tasks->count; i++)
        claims[i] = (struct signer_claim){"challenge", tasks->list[i].challenge->url};
    return signer_claim_urls(issue->link, &issue->result.order, claims, tasks->count);
}

/* Meeting. */

/* "a.example.edu,b.example.edu" */
static aw_result
list_names(struct tasks *tasks)
{
    for (size_t i = 0; i < tasks->count; i++) {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(tasks->all);
        AW_TRY(aw_format(&tasks->all, "%s%s%s", before == NULL ? "" : before,
            before == NULL ? "" : ",", tasks->list[i].authorization.name.text));
    }
    return AW_OK;
}

static aw_result
deploy(const struct tasks *tasks, struct task *task)
{
    const struct issue *issue = tasks->issue;
    const struct issue_callbacks *callbacks = issue->callbacks;
    struct issue_challenge challenge = challenge_of(tasks, task);

    issue_tell(issue, ISSUE_AUTHORIZE, task->authorization.name.text, task->challenge->type);
    AW_TRY(callbacks->deploy(callbacks->context, &challenge));
    task->deployed = true;
    return AW_OK;
}

/* A challenge that was answered before is not answered again; a lost answer shows in the poll. */
static aw_result
answer(struct issue *issue, const struct task *task)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    if (task->challenge->status != ACME_PENDING)
        return AW_OK;
    aw_result r = issue_post(issue, "AnswerChallenge", task->challenge->url, json, &response);
    return aw_ok(r) || issue_answer_lost() ? AW_OK : r;
}

static aw_result
await(struct issue *issue, const struct task *task)
{
    int64_t end = aw_now_ms() + (int64_t)ISSUE_VALIDATION_SECONDS * 1000;
    int64_t backoff_ms = ISSUE_POLL_BEFORE_MS;

    while (aw_now_ms() <= end) {
        AW_CLEANUP(acme_authorization_free) struct acme_authorization now = {0};
        AW_TRY(aw_context(acme_wait(issue->session, "the CA validates",
                              acme_backoff(&backoff_ms, issue->retry_after)),
            "validating %s", task->authorization.name.text));
        AW_TRY(read_authorization(issue, task->url, &now));
        if (now.status == ACME_VALID)
            return AW_OK;
        if (now.status != ACME_PENDING)
            return authorization_failed(issue, &now);
    }
    return aw_hint(aw_fail(AW_CODE_TIMEOUT, "validating %s: still pending after %d seconds",
                       task->authorization.name.text, ISSUE_VALIDATION_SECONDS),
        "ask the CA's support what it waits for");
}

static aw_result
meet(struct tasks *tasks)
{
    const struct issue_callbacks *callbacks = tasks->issue->callbacks;

    AW_TRY(list_names(tasks));
    AW_TRY(claim_challenges(tasks));
    for (size_t i = 0; i < tasks->count; i++)
        AW_TRY(deploy(tasks, &tasks->list[i]));
    if (callbacks->deployed != NULL)
        AW_TRY(callbacks->deployed(callbacks->context));
    for (size_t i = 0; i < tasks->count; i++)
        AW_TRY(answer(tasks->issue, &tasks->list[i]));
    for (size_t i = 0; i < tasks->count; i++)
        AW_TRY(await(tasks->issue, &tasks->list[i]));
    return AW_OK;
}

aw_result
issue_authorize(struct issue *issue)
{
    const struct acme_order *order = &issue->order;
    AW_CLEANUP(tasks_free) struct tasks tasks = {.issue = issue};

    tasks.list = calloc(order->authorization_count, sizeof(*tasks.list));
    if (tasks.list == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < order->authorization_count; i++)
        AW_TRY(add_task(&tasks, order->authorizations[i]));
    for (size_t i = 0; i < tasks.count; i++)
        AW_TRY(choose(issue, &tasks.list[i]));
    if (tasks.count > 0)
        AW_TRY(meet(&tasks));
    issue->result.validated = tasks.count;
    return AW_OK;
}
