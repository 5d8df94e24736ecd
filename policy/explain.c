/* The whole path to a verdict, for an administrator. */
#include <string.h>

#include "policy/nearest.h"
#include "policy/words.h"

/* One a line in the application, one after the other here. */
static void
write_principals(FILE *out, const char *principals)
{
    fputs(principals[0] == '\0' ? "  principals: none\n" : "  principals: ", out);
    for (const char *at = principals; *at != '\0'; at++)
        if (*at != '\n')
            fputc(*at, out);
        else if (at[1] != '\0')
            fputs(", ", out);
    if (principals[0] != '\0')
        fputs("\n", out);
}

static void
write_application(FILE *out, const struct policy_application *a, int64_t now)
{
    fprintf(out, "application %s: owner %s, account %s, file %s\n", a->name, a->owner, a->account,
        a->file);
    write_principals(out, a->principals);
    if (a->relay.allowed) {
        fputs("  relay: ", out);
        policy_words_relay(out, &a->relay);
        fputs("\n", out);
    }
    if (a->inert)
        fprintf(out, "  inert: there is no %s\n", a->missing);
    if (a->expires != 0) {
        fputs("  expires on ", out);
        policy_words_day(out, a->expires);
        fputs("\n", out);
    }
    if (a->warn_until != 0) {
        fputs(now < a->warn_until ? "  in roll-out: what warn_until covers is signed until "
                                  : "  roll-out over: refusals count since ",
            out);
        policy_words_day(out, a->warn_until);
        fputs("\n", out);
    }
}

/* Conditions on the request as a whole. */

static void
write_gate(
    FILE *out, const struct policy_application *a, const struct gate_answer *gate, int64_t now)
{
    bool demoted = gate->demotable && now < a->warn_until;

    fprintf(out, "  %s: %s: %s", policy_rule_tag(gate->rule),
        demoted ? "would be refused, let through by warn_until" : "refused",
        policy_rule_meaning(gate->rule));
    if (gate->rule == POLICY_RULE_KEYS) {
        fputs("; allowed: ", out);
        policy_words_keys(out, a->keys);
    } else if (gate->rule == POLICY_RULE_PROFILE) {
        fputs("; allowed: ", out);
        policy_words_profiles(out, a);
    } else if (gate->rule == POLICY_RULE_LIMIT_NAMES) {
        fprintf(out, "; allowed: %lld", (long long)a->names_per_certificate);
    }
    fputs("\n", out);
}

static void
write_gates(FILE *out, const struct application *application, const struct policy_request *request,
    int64_t now)
{
    struct gate_answer gates[POLICY_GATES];
    const char *lead = "  passed: ";

    policy_ask_gates(application, request, now, gates);
    for (size_t i = 0; i < POLICY_GATES; i++) {
        /* Two conditions may be of one rule. */
        bool told = i + 1 < POLICY_GATES && gates[i + 1].rule == gates[i].rule;

        if (!gates[i].passed || told)
            continue;
        fprintf(out, "%s%s", lead, policy_rule_tag(gates[i].rule));
        lead = ", ";
    }
    fputs(lead[0] == ',' ? "\n" : "", out);
    for (size_t i = 0; i < POLICY_GATES; i++)
        if (!gates[i].passed)
            write_gate(out, &application->shown, &gates[i], now);
}

/* A name. */

/* What is asked about a name, in this order, for each form of names. */
static const enum policy_rule questions[] = {
    POLICY_RULE_ACCOUNT_CEILING,
    POLICY_RULE_NAMES_DENY,
    POLICY_RULE_NAMES_WILDCARD_COVERS_DENIED,
    POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER,
    POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER,
};

static bool
is_asked(enum policy_rule rule, const struct aw_name *name, const struct finding *found)
{
    bool wildcard = name->form == AW_NAME_WILDCARD;

    if (rule == POLICY_RULE_NAMES_WILDCARD_COVERS_DENIED ||
        rule == POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER)
        return wildcard;
    if (rule == POLICY_RULE_NAMES_DENY)
        return name->form != AW_NAME_ADDRESS;
    /* The own entry for a wildcard is as specific as there can be. */
    if (rule == POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER)
        return !wildcard || !found->allowed;
    return true;
}

/* Rules that the name has passed before the one that decided. */
static void
write_passed(FILE *out, const policy_snapshot *snapshot, const struct application *application,
    const struct aw_name *name, const struct finding *found)
{
    const char *lead = "    passed: ";

    for (size_t i = 0; i < AW_COUNT(questions) && questions[i] != found->rule; i++) {
        if (!is_asked(questions[i], name, found))
            continue;
        fprintf(out, "%s%s", lead, policy_rule_tag(questions[i]));
        lead = ", ";
        if (questions[i] == POLICY_RULE_ACCOUNT_CEILING)
            fprintf(
                out, " (inside of \"%s\")", policy_nearest_ceiling(snapshot, application, name));
    }
    fputs(lead[0] == ',' ? "\n" : "", out);
}

static void
write_nearest(FILE *out, const struct policy_application *a, const struct aw_name *name,
    enum policy_rule rule)
{
    bool wildcard = name->form == AW_NAME_WILDCARD;
    const char *text = wildcard ? name->text + 2 : name->text;
    struct nearest best = policy_nearest(a, name);

    if (best.list == NULL)
        return;
    fprintf(out, "    nearest: %s \"%s\"", best.list, best.text);
    if (best.covers)
        fprintf(out, ", which covers it; %s goes before it", policy_rule_tag(rule));
    else if (strcmp(best.text, text) == 0 && strcmp(best.list, "subdomains_of") == 0)
        fprintf(out, ", which covers host names below it only: %s would have to be in %s",
            name->text, wildcard ? "wildcards_of" : "exact");
    else if (wildcard)
        fprintf(out, "; a wildcard is allowed by wildcards_of \"%s\" only", text);
    fputs("\n", out);
}

static void
write_refusal(FILE *out, const policy_snapshot *snapshot, const struct application *application,
    const struct aw_name *name, enum policy_rule rule)
{
    const char *ceiling = NULL;

    if (rule == POLICY_RULE_ACCOUNT_CEILING)
        ceiling = policy_nearest_ceiling(snapshot, application, name);
    if (ceiling != NULL)
        fprintf(out, "    nearest: ceiling \"%s\" of account %s\n", ceiling,
            application->shown.account);
    write_nearest(out, &application->shown, name, rule);
}

static void
write_name(FILE *out, const policy_snapshot *snapshot, const struct application *application,
    const struct aw_name *name, int64_t now)
{
    struct finding found = policy_decide_name(snapshot, application, name);
    const char *matched = found.claim == CLAIM_NONE ? NULL : snapshot->index.texts[found.claim];
    bool demoted = found.rule == POLICY_RULE_NAMES_NONE && now < application->shown.warn_until;

    fprintf(out, "  %s: %s by %s", name->text,
        found.allowed ? "allowed"
        : demoted     ? "let through by warn_until, would be refused"
                      : "refused",
        policy_rule_tag(found.rule));
    if (matched != NULL)
        fprintf(out, " \"%s\"", matched);
    if (found.foreign)
        fprintf(out, " of %s", owner_of(snapshot, found.claim)->shown.name);
    fprintf(out, ": %s\n", policy_rule_meaning(found.rule));
    write_passed(out, snapshot, application, name, &found);
    if (!found.allowed)
        write_refusal(out, snapshot, application, name, found.rule);
}

static void
write_verdict(FILE *out, const struct policy_verdict *verdict, const struct policy_application *a)
{
    fprintf(out, "verdict: %s by %s: %s\n",
        verdict->warned    ? "let through with a warning"
        : verdict->allowed ? "allowed"
                           : "refused",
        policy_rule_tag(verdict->rule), policy_rule_meaning(verdict->rule));
    if (verdict->warned) {
        fputs("refused from ", out);
        policy_words_day(out, a->warn_until);
        fputs(" on\n", out);
    }
    if (!verdict->allowed)
        fprintf(out, "ask: %s\n", a->owner);
}

aw_result
policy_explain(const policy_snapshot *snapshot, const struct policy_application *application,
    const struct policy_request *request, int64_t now, char **out)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};
    const struct application *inside = policy_inside(snapshot, application);
    struct policy_verdict verdict;

    if (inside == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "the application is not one of this policy");
    policy_decide_application(snapshot, application, request, now, &verdict);
    AW_TRY(policy_words_open(&words));
    write_application(words.stream, application, now);
    fprintf(words.stream, "operation %s, %zu name%s\n", policy_operation_name(request->operation),
        request->name_count, request->name_count == 1 ? "" : "s");
    write_gates(words.stream, inside, request, now);
    for (size_t i = 0; i < request->name_count; i++)
        write_name(words.stream, snapshot, inside, &request->names[i], now);
    write_verdict(words.stream, &verdict, application);
    return policy_words_finish(&words, out);
}
