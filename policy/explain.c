/* Verdicts in words: the line a user reads, and the whole path for an administrator. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/decide.h"

enum { ALLOWED_SHOWN = 8 }; /* entries of a shortened list */

/* A text that grows. */
struct words {
    char *text;
    size_t size;
    FILE *stream;
};

static void
free_words(struct words *words)
{
    if (words->stream != NULL)
        fclose(words->stream);
    free(words->text);
}

static aw_result
open_words(struct words *words)
{
    words->stream = open_memstream(&words->text, &words->size);
    return words->stream == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
finish_words(struct words *words, char **out)
{
    int closed = fclose(AW_MOVE(words->stream));

    if (closed != 0)
        return aw_fail_memory();
    *out = AW_MOVE(words->text);
    return AW_OK;
}

/* What an application allows. */

struct allowed_list {
    const char *lead;
    const char *const *items;
    size_t count;
};

static void
write_allowed(FILE *out, const struct policy_application *a, size_t most)
{
    const struct allowed_list lists[] = {
        {"", a->exact, a->exact_count},
        {"below ", a->subdomains_of, a->subdomains_count},
        {"*.", a->wildcards_of, a->wildcards_count},
        {"", a->addresses, a->addresses_count},
    };
    size_t shown = 0, total = 0;

    for (size_t i = 0; i < AW_COUNT(lists); i++) {
        total += lists[i].count;
        for (size_t j = 0; j < lists[i].count && shown < most; j++, shown++)
            fprintf(out, "%s%s%s", shown > 0 ? ", " : "", lists[i].lead, lists[i].items[j]);
    }
    if (total > shown)
        fprintf(out, " and %zu more", total - shown);
    if (total == 0)
        fputs("nothing", out);
}

aw_result
policy_allowed_text(const struct policy_application *application, char **out)
{
    AW_CLEANUP(free_words) struct words words = {0};

    AW_TRY(open_words(&words));
    write_allowed(words.stream, application, ALLOWED_SHOWN);
    return finish_words(&words, out);
}

/* The line that a user reads. */

static void
write_keys(FILE *out, uint32_t keys)
{
    const char *comma = "";

    for (unsigned key = 0; key < POLICY_KEY_COUNT; key++) {
        if ((keys >> key & 1) == 0)
            continue;
        fprintf(out, "%s%s", comma, policy_key_name((enum policy_key)key));
        comma = ", ";
    }
}

static void
write_profiles(FILE *out, const struct policy_application *application)
{
    for (size_t i = 0; i < application->profiles_count; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", application->profiles[i]);
    if (application->profiles_count == 0)
        fputs("none", out);
}

static void
write_day(FILE *out, int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm day;
    char text[16] = "?";

    if (gmtime_r(&when, &day) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d", &day);
    fputs(text, out);
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
        write_day(out, a->expires);
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
        write_allowed(out, a, ALLOWED_SHOWN);
    } else if (v->rule == POLICY_RULE_KEYS) {
        fputs("; allowed: ", out);
        write_keys(out, a->keys);
    } else if (v->rule == POLICY_RULE_PROFILE) {
        fputs("; allowed: ", out);
        write_profiles(out, a);
    }
}

aw_result
policy_refusal_text(
    const struct policy_verdict *verdict, const struct policy_request *request, char **out)
{
    AW_CLEANUP(free_words) struct words words = {0};

    AW_TRY(open_words(&words));
    if (verdict->application == NULL)
        write_choice_fault(words.stream, verdict, request);
    else if (verdict->name != NULL)
        write_name_fault(words.stream, verdict);
    else
        write_application_fault(words.stream, verdict, request);
    fprintf(words.stream, " (rule %s)", policy_rule_tag(verdict->rule));
    if (verdict->application != NULL) {
        write_instead(words.stream, verdict);
        fprintf(words.stream, "; ask %s", verdict->application->owner);
    }
    return finish_words(&words, out);
}

/* The whole path, for an administrator. */

static void
write_application(FILE *out, const struct policy_application *a)
{
    fprintf(out, "application %s: owner %s, account %s, file %s\n", a->name, a->owner, a->account,
        a->file);
    if (a->inert)
        fputs("  inert: a user or group that it names does not exist\n", out);
    if (a->expires != 0) {
        fputs("  expires on ", out);
        write_day(out, a->expires);
        fputs("\n", out);
    }
    if (a->warn_until != 0) {
        fputs("  refusals that may be are only recorded until ", out);
        write_day(out, a->warn_until);
        fputs("\n", out);
    }
}

static size_t
labels_of(const char *text)
{
    size_t labels = 1;

    for (; *text != '\0'; text++)
        labels += *text == '.';
    return labels;
}

/* Labels that two names have in common, from the right. */
static size_t
common_labels(const char *a, const char *b)
{
    size_t i = strlen(a), j = strlen(b), labels = 0;

    while (i > 0 && j > 0 && a[i - 1] == b[j - 1]) {
        i--;
        j--;
        labels += a[i] == '.';
    }
    if ((i == 0 || a[i - 1] == '.') && (j == 0 || b[j - 1] == '.'))
        labels++;
    return labels;
}

/* The entry that is most like a name that no rule covers. */
struct nearest {
    const char *list;
    const char *text;
    size_t common;
    size_t labels;
};

static void
look_nearer(struct nearest *best, const char *list, const char *const *items, size_t count,
    const char *name)
{
    for (size_t i = 0; i < count; i++) {
        size_t common = common_labels(items[i], name), labels = labels_of(items[i]);

        if (common < best->common || (common == best->common && labels >= best->labels))
            continue;
        *best = (struct nearest){list, items[i], common, labels};
    }
}

static void
write_nearest(FILE *out, const struct policy_application *a, const struct aw_name *name)
{
    const char *text = name->form == AW_NAME_WILDCARD ? name->text + 2 : name->text;
    /* One label in common is a top-level domain: no help. */
    struct nearest best = {.common = 1};

    if (name->form == AW_NAME_ADDRESS)
        return;
    look_nearer(&best, "subdomains_of", a->subdomains_of, a->subdomains_count, text);
    look_nearer(&best, "wildcards_of", a->wildcards_of, a->wildcards_count, text);
    look_nearer(&best, "exact", a->exact, a->exact_count, text);
    if (best.text == NULL)
        return;
    fprintf(out, "    nearest: %s \"%s\"", best.list, best.text);
    if (strcmp(best.text, text) == 0 && strcmp(best.list, "subdomains_of") == 0)
        fprintf(out, ", which covers host names below it only: %s would have to be in %s",
            name->text, name->form == AW_NAME_WILDCARD ? "wildcards_of" : "exact");
    else if (name->form == AW_NAME_WILDCARD)
        fprintf(out, "; a wildcard is allowed by wildcards_of \"%s\" only", text);
    fputs("\n", out);
}

static void
write_name(FILE *out, const policy_snapshot *snapshot, const struct application *application,
    const struct aw_name *name)
{
    struct finding found = policy_decide_name(snapshot, application, name);
    const char *matched = found.claim == CLAIM_NONE ? NULL : snapshot->index.texts[found.claim];

    fprintf(out, "  %s: %s by %s", name->text, found.allowed ? "allowed" : "refused",
        policy_rule_tag(found.rule));
    if (matched != NULL)
        fprintf(out, " \"%s\"", matched);
    if (found.foreign)
        fprintf(out, " of %s", owner_of(snapshot, found.claim)->shown.name);
    fprintf(out, ": %s\n", policy_rule_meaning(found.rule));
    if (found.rule == POLICY_RULE_NAMES_NONE)
        write_nearest(out, &application->shown, name);
}

static void
write_verdict(FILE *out, const struct policy_verdict *verdict, const struct policy_application *a)
{
    fprintf(out, "verdict: %s by %s: %s\n",
        verdict->warned    ? "let through with a warning"
        : verdict->allowed ? "allowed"
                           : "refused",
        policy_rule_tag(verdict->rule), policy_rule_meaning(verdict->rule));
    if (!verdict->allowed)
        fprintf(out, "ask: %s\n", a->owner);
}

aw_result
policy_explain(const policy_snapshot *snapshot, const struct policy_application *application,
    const struct policy_request *request, int64_t now, char **out)
{
    AW_CLEANUP(free_words) struct words words = {0};
    const struct application *inside = policy_inside(snapshot, application);
    struct policy_verdict verdict;

    if (inside == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "the application is not one of this policy");
    policy_decide_application(snapshot, application, request, now, &verdict);
    AW_TRY(open_words(&words));
    write_application(words.stream, application);
    fprintf(words.stream, "operation %s, %zu names\n", policy_operation_name(request->operation),
        request->name_count);
    for (size_t i = 0; i < request->name_count; i++)
        write_name(words.stream, snapshot, inside, &request->names[i]);
    write_verdict(words.stream, &verdict, application);
    return finish_words(&words, out);
}
