#include "relay/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

static const char prefix[] = "urn:ietf:params:acme:error:";

static const struct {
    const char *name;
    int status;
} types[] = {
#define RELAY_PROBLEM_ROW(name, text, status) {text, status},
    RELAY_PROBLEMS(RELAY_PROBLEM_ROW)
#undef RELAY_PROBLEM_ROW
};

const char *
relay_problem_name(enum relay_problem_type type)
{
    return types[type].name;
}

enum relay_problem_type
relay_problem_find(const char *name)
{
    for (size_t i = 0; i < AW_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return (enum relay_problem_type)i;
    return RELAY_SERVER_INTERNAL;
}

void
relay_problem_free(struct relay_problem *problem)
{
    for (size_t i = 0; i < problem->subproblem_count; i++) {
        free(problem->subproblems[i].identifier_type);
        free(problem->subproblems[i].identifier);
        free(problem->subproblems[i].detail);
    }
    free(problem->subproblems);
    memset(problem, 0, sizeof(*problem));
}

aw_result
relay_problem_fail(
    struct relay_problem *problem, enum relay_problem_type type, const char *format, ...)
{
    va_list values;

    relay_problem_free(problem);
    problem->type = type;
    problem->status = types[type].status;
    va_start(values, format);
    vsnprintf(problem->detail, sizeof(problem->detail), format, values);
    va_end(values);
    return aw_fail(AW_CODE_REFUSED, "%s: %s", types[type].name, problem->detail);
}

aw_result
relay_problem_status(aw_result r, struct relay_problem *problem, int status)
{
    problem->status = status;
    return r;
}

static aw_result
copy_subproblem(const struct aw_name *name, const char *detail, struct relay_subproblem *out)
{
    out->identifier_type = strdup(aw_name_type(name));
    out->identifier = strdup(name->text);
    out->detail = strdup(detail);
    return out->identifier_type != NULL && out->identifier != NULL && out->detail != NULL
               ? AW_OK
               : aw_fail_memory();
}

aw_result
relay_problem_add(struct relay_problem *problem, enum relay_problem_type type,
    const struct aw_name *name, const char *detail)
{
    if (problem->subproblem_count == RELAY_SUBPROBLEMS_MAX)
        return AW_OK;
    struct relay_subproblem *grown = realloc(
        problem->subproblems, (problem->subproblem_count + 1) * sizeof(problem->subproblems[0]));
    if (grown == NULL)
        return aw_fail_memory();
    problem->subproblems = grown;
    grown[problem->subproblem_count] = (struct relay_subproblem){.type = type};
    return copy_subproblem(name, detail, &grown[problem->subproblem_count++]);
}

static void
write_type(struct aw_json_writer *w, enum relay_problem_type type)
{
    char text[sizeof(prefix) + 64];

    snprintf(text, sizeof(text), "%s%s", prefix, types[type].name);
    aw_json_pair(w, "type", text);
}

static void
write_subproblem(struct aw_json_writer *w, const struct relay_subproblem *subproblem)
{
    aw_json_begin_object(w);
    write_type(w, subproblem->type);
    aw_json_pair(w, "detail", subproblem->detail);
    aw_json_name(w, "identifier");
    aw_json_begin_object(w);
    aw_json_pair(w, "type", subproblem->identifier_type);
    aw_json_pair(w, "value", subproblem->identifier);
    aw_json_end_object(w);
    aw_json_end_object(w);
}

/* RFC 8555 6.2: the client is told what it could have used. */
static void
write_algorithms(struct aw_json_writer *w)
{
    static const char *const names[] = {"ES256", "ES384", "ES512", "RS256", "EdDSA"};

    aw_json_name(w, "algorithms");
    aw_json_begin_array(w);
    for (size_t i = 0; i < AW_COUNT(names); i++)
        aw_json_write_string(w, names[i]);
    aw_json_end_array(w);
}

void
relay_problem_write(struct aw_json_writer *w, const struct relay_problem *problem)
{
    aw_json_begin_object(w);
    write_type(w, problem->type);
    aw_json_pair_integer(w, "status", problem->status);
    aw_json_pair(w, "detail", problem->detail);
    if (problem->type == RELAY_BAD_SIGNATURE_ALGORITHM)
        write_algorithms(w);
    if (problem->subproblem_count > 0) {
        aw_json_name(w, "subproblems");
        aw_json_begin_array(w);
        for (size_t i = 0; i < problem->subproblem_count; i++)
            write_subproblem(w, &problem->subproblems[i]);
        aw_json_end_array(w);
    }
    aw_json_end_object(w);
}

aw_result
relay_problem_respond(const struct relay_problem *problem, struct relay_response *response)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *allow = response->allow;
    char *location = AW_MOVE(response->location); /* of a conflict (RFC 8555 7.3.5) */

    relay_problem_write(&w, problem);
    relay_response_reset(response);
    response->location = location;
    AW_TRY(relay_response_json(response, problem->status, &w));
    response->content_type = "application/problem+json";
    response->retry_after = problem->retry_after;
    response->allow = allow;
    return AW_OK;
}
