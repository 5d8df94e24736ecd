/* certonly --check: what the policy would refuse, before anything is ordered. */
#include <string.h>

#include "client/certonly.h"
#include "common/io.h"

/* A finding as the signer tells it. */
struct finding {
    const char *name; /* NULL: of the whole request */
    const char *rule;
    const char *message;
    bool warning; /* let through for now */
};

static void
write_identifiers(struct aw_json_writer *w, const struct certonly *c)
{
    aw_json_begin_array(w);
    for (size_t i = 0; i < c->name_count; i++) {
        aw_json_begin_object(w);
        aw_json_pair(w, "type", aw_name_type(&c->names[i]));
        aw_json_pair(w, "value", c->names[i].text);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

static aw_result
ask(struct certonly *c, cJSON **reply)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *parameters = NULL;

    aw_json_begin_object(&w);
    aw_json_pair(&w, "application", c->application->name);
    aw_json_name(&w, "identifiers");
    write_identifiers(&w, c);
    aw_json_pair(&w, "key", c->key_type);
    if (certonly_profile(c) != NULL)
        aw_json_pair(&w, "profile", certonly_profile(c));
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &parameters));
    return signer_link_call(c->link, "Check", parameters, reply);
}

static aw_result
read_finding(const cJSON *item, struct finding *out)
{
    AW_TRY(aw_json_optional_string(item, "name", WHOAMI_TEXT_MAX, &out->name));
    AW_TRY(aw_json_string(item, "rule", WHOAMI_TEXT_MAX, &out->rule));
    AW_TRY(aw_json_string(item, "message", WHOAMI_TEXT_MAX, &out->message));
    return aw_json_optional_bool(item, "warning", &out->warning);
}

static void
write_finding(struct aw_json_writer *w, const struct finding *finding)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "name", finding->name);
    aw_json_pair(w, "rule", finding->rule);
    aw_json_pair(w, "message", finding->message);
    aw_json_pair_bool(w, "warning", finding->warning);
    aw_json_end_object(w);
}

static aw_result
tell_finding(struct output *out, const struct finding *finding)
{
    AW_CLEANUP(aw_free) char *message = output_safe(finding->message);
    AW_CLEANUP(aw_free) char *rule = output_safe(finding->rule);
    const char *lead = finding->warning ? "warning" : "refused";

    if (message == NULL || rule == NULL)
        return aw_fail_memory();
    /* The signer's text names the rule as a rule; say it where it does not. */
    if (strstr(message, rule) != NULL)
        output_line(out, "%s: %s", lead, message);
    else
        output_line(out, "%s: %s (rule %s)", lead, message, rule);
    return AW_OK;
}

static aw_result
tell_findings(struct certonly *c, const cJSON *findings, struct aw_json_writer *w)
{
    aw_json_name(w, "findings");
    aw_json_begin_array(w);
    for (const cJSON *item = findings == NULL ? NULL : findings->child; item != NULL;
         item = item->next) {
        struct finding finding = {0};

        AW_TRY(aw_context(read_finding(item, &finding), "the signer's answer to Check"));
        write_finding(w, &finding);
        AW_TRY(tell_finding(c->out, &finding));
    }
    aw_json_end_array(w);
    return AW_OK;
}

static aw_result
read_reply(const cJSON *reply, bool *allowed, const cJSON **findings)
{
    if (aw_json_member(reply, "allowed") == NULL)
        return aw_fail(AW_CODE_SYNTAX, "member \"allowed\" is missing");
    AW_TRY(aw_json_optional_bool(reply, "allowed", allowed));
    return aw_json_array(reply, "findings", 0, AW_JSON_MAX_NODES, findings);
}

static aw_result
tell(struct certonly *c, bool allowed, const cJSON *findings)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", allowed ? "allowed" : "refused");
    aw_json_pair(&w, "application", c->application->name);
    aw_json_pair(&w, "key_type", c->key_type);
    if (c->options->dry_run)
        aw_json_pair_bool(&w, "rehearsed", c->rehearsed);
    AW_TRY(tell_findings(c, findings, &w));
    aw_json_end_object(&w);
    AW_TRY(output_json(c->out, &w));
    c->out->told = true;
    if (allowed) {
        output_line(c->out, "allowed: application %s may order %s%s, key type %s",
            c->application->name, c->names[0].text, c->name_count > 1 ? " and the others" : "",
            c->key_type);
        return AW_OK;
    }
    return aw_hint(aw_fail(AW_CODE_REFUSED, "refused: application %s may not order this",
                       c->application->name),
        "nothing was ordered; ask %s", c->application->owner);
}

aw_result
certonly_check(struct certonly *c)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const cJSON *findings = NULL;
    bool allowed = false;

    output_step(c->out, "checking", c->names[0].text, NULL);
    AW_TRY(ask(c, &reply));
    AW_TRY(aw_context(read_reply(reply, &allowed, &findings), "the signer's answer to Check"));
    if (allowed && c->options->dry_run)
        AW_TRY(certonly_rehearse(c));
    AW_TRY(tell(c, allowed, findings));
    if (!aw_ok(whoami_ready(&c->whoami, c->application)))
        output_note(c->out, "%s", aw_error_last()->message);
    return AW_OK;
}
