/* A refusal in the one line that a user reads. */
#include "policy/words.h"

aw_result
policy_allowed_text(const struct policy_application *application, char **out)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};

    AW_TRY(policy_words_open(&words));
    policy_words_allowed(words.stream, application, POLICY_ALLOWED_SHOWN);
    return policy_words_finish(&words, out);
}

static const char *
text_of(const struct aw_name *name)
{
    return name == NULL ? "the name" : name->text;
}

/* What is wrong with a name. Another application's entries are not shown: they are not the user's.
 */
static void
write_name_fault(FILE *out, const struct policy_verdict *v)
{
    const char *application = v->application->name, *name = text_of(v->name);
    const char *other = v->other == NULL ? "another application" : v->other;

    if (v->rule == POLICY_RULE_NAMES_DENY)
        fprintf(out, "%s is denied to %s by \"%s\"", name, application, v->matched);
    else if (v->rule == POLICY_RULE_NAMES_WILDCARD_COVERS_DENIED)
        fprintf(out, "%s would stand for %s, which is denied to %s", name, v->matched, application);
    else if (v->rule == POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER)
        fprintf(out, "%s would stand for names of %s, which %s does not share", name, other,
            application);
    else if (v->rule == POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER)
        fprintf(out, "%s belongs to %s, which %s does not share", name, other, application);
    else if (v->rule == POLICY_RULE_ACCOUNT_CEILING)
        fprintf(out, "%s is outside of what the account %s may ever order", name,
            v->application->account);
    else
        fprintf(out, "%s is not among the names of %s", name, application);
}

static void
write_choice_fault(FILE *out, const struct policy_verdict *v, const struct policy_request *request)
{
    if (v->rule == POLICY_RULE_APPLICATION_UNKNOWN && request->application != NULL)
        fprintf(out, "%s is not an application of yours", request->application);
    else if (v->rule == POLICY_RULE_APPLICATION_AMBIGUOUS)
        fputs("several applications are yours: name the one you mean", out);
    else
        fputs("no application is yours", out);
}

static void
write_application_fault(
    FILE *out, const struct policy_verdict *v, const struct policy_request *request)
{
    const struct policy_application *a = v->application;

    if (v->rule == POLICY_RULE_APPLICATION_EXPIRED) {
        fprintf(out, "the policy of %s ended on ", a->name);
        policy_words_day(out, a->expires);
    } else if (v->rule == POLICY_RULE_APPLICATION_INERT) {
        fprintf(out, "a user or group that the policy of %s names does not exist", a->name);
    } else if (v->rule == POLICY_RULE_OPERATION) {
        fprintf(out, "the operation is not among those of %s", a->name);
    } else if (v->rule == POLICY_RULE_LIMIT_NAMES) {
        fprintf(out, "%zu names are more than the %lld that a certificate of %s may have",
            request->name_count, (long long)a->names_per_certificate, a->name);
    } else if (v->rule == POLICY_RULE_PROFILE) {
        fprintf(out, "the profile %s is not among those of %s",
            request->profile == NULL ? "" : request->profile, a->name);
    } else if (v->rule == POLICY_RULE_VALIDITY) {
        fputs("notBefore and notAfter may not be asked for", out);
    } else if (v->rule == POLICY_RULE_RELAY) {
        fprintf(out, "%s may not be used through a relay", a->name);
    } else if (v->rule == POLICY_RULE_RELAY_NETWORKS) {
        fprintf(out, "the relay's client is in none of the networks of %s", a->name);
    } else if (v->rule == POLICY_RULE_RELAY_CERTIFICATES) {
        fprintf(out, "the relay's client has none of the TLS certificates of %s", a->name);
    } else if (v->rule == POLICY_RULE_RELAY_VALIDATION) {
        fprintf(out, "the relay has not validated the names by %s, as %s asks for",
            policy_validation_names[a->relay.validation], a->name);
    } else {
        fprintf(out, "the key type is not among those of %s", a->name);
    }
}

/* What would be allowed instead, where that helps. */
static void
write_instead(FILE *out, const struct policy_verdict *v)
{
    const struct policy_application *a = v->application;

    if (v->name != NULL) {
        fputs("; allowed: ", out);
        policy_words_allowed(out, a, POLICY_ALLOWED_SHOWN);
    } else if (v->rule == POLICY_RULE_KEYS) {
        fputs("; allowed: ", out);
        policy_words_keys(out, a->keys);
    } else if (v->rule == POLICY_RULE_PROFILE) {
        fputs("; allowed: ", out);
        policy_words_profiles(out, a);
    }
}

/* All of the line but what may go before it. */
static void
write_refusal(FILE *out, const struct policy_verdict *verdict, const struct policy_request *request)
{
    if (verdict->application == NULL)
        write_choice_fault(out, verdict, request);
    else if (verdict->name != NULL)
        write_name_fault(out, verdict);
    else
        write_application_fault(out, verdict, request);
    fprintf(out, " (rule %s)", policy_rule_tag(verdict->rule));
    if (verdict->application != NULL) {
        write_instead(out, verdict);
        fprintf(out, "; ask %s", verdict->application->owner);
    }
}

aw_result
policy_refusal_text(
    const struct policy_verdict *verdict, const struct policy_request *request, char **out)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};

    AW_TRY(policy_words_open(&words));
    write_refusal(words.stream, verdict, request);
    return policy_words_finish(&words, out);
}

aw_result
policy_warning_text(
    const struct policy_verdict *verdict, const struct policy_request *request, char **out)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};

    AW_TRY(policy_words_open(&words));
    fputs("will be refused from ", words.stream);
    policy_words_day(words.stream, verdict->application->warn_until);
    fputs(" on: ", words.stream);
    write_refusal(words.stream, verdict, request);
    return policy_words_finish(&words, out);
}
