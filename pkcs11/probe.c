#include "pkcs11/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/keytype.h"
#include "pkcs11/mac.h"
#include "pkcs11/probe_parts.h"
#include "pkcs11/template.h"

/* No key of ours has such a label: those are "acmeward-account:..." and "acmeward-eab:...". */
#define LABEL "acmeward-probe:"
#define LABEL_MAC LABEL "eab"
#define LABEL_RELAY LABEL "relay"
#define LABEL_UNWRAPPED LABEL "unwrapped"

/* Rows of all keys; objects of one label that a search looks at. */
enum { ROWS_MAX = 512, SWEPT_MAX = 64 };

struct probing {
    token *t;
    struct probe_tools tools;
    struct token_probe *out;
};

static const char making[] = "make it like the real ones";

/* Labels of all keys that a probe ever makes, for the sweep. */
static const char *const labels[] = {LABEL "ec-p256", LABEL "ec-p384", LABEL "rsa-2048",
    LABEL "rsa-3072", LABEL "rsa-4096", LABEL_MAC, LABEL_RELAY, LABEL_UNWRAPPED};

/* In the order of enum token_key_type. */
static const char *
label_of(enum token_key_type type)
{
    return labels[type];
}

/* Rows. */

static struct token_probe_row *
add_row(struct token_probe *out, const struct probe_subject *subject, const char *attempt, CK_RV rv)
{
    struct token_probe_row *row = &out->rows[out->row_count];

    if (out->row_count + 1 < ROWS_MAX)
        out->row_count++;
    snprintf(row->key, sizeof(row->key), "%s", subject->title);
    snprintf(row->attempt, sizeof(row->attempt), "%s", attempt);
    snprintf(row->answer, sizeof(row->answer), "%s", token_ckr_name(rv));
    return row;
}

/* Answers after which nothing is known of the attempt itself. */
static bool
proves_nothing(CK_RV rv)
{
    switch (token_ckr_class(rv)) {
    case TOKEN_CKR_SESSION:
    case TOKEN_CKR_HANDLE:
    case TOKEN_CKR_LOGIN:
    case TOKEN_CKR_GONE:
    case TOKEN_CKR_PIN:
    case TOKEN_CKR_BUSY:
        return true;
    case TOKEN_CKR_GOOD:
    case TOKEN_CKR_ATTRIBUTE:
    case TOKEN_CKR_UNSUPPORTED:
    case TOKEN_CKR_DOUBT:
    case TOKEN_CKR_FATAL:
        return false;
    }
    return true;
}

/* Whether the key is still there and this session can see it. */
static bool
is_there(const struct probe_try *attempt)
{
    CK_OBJECT_CLASS class;
    CK_ATTRIBUTE attribute = {CKA_CLASS, &class, sizeof(class)};

    return PROBE_CALL(attempt->s, C_GetAttributeValue, attempt->s->handle, attempt->subject->object,
               &attribute, 1) == CKR_OK;
}

static enum token_probe_verdict
judge(const struct probe_try *attempt)
{
    if (attempt->got)
        return TOKEN_PROBE_NOT_ENFORCED;
    if (proves_nothing(attempt->answer) || attempt->unproved || !is_there(attempt))
        return TOKEN_PROBE_UNCLEAR;
    return attempt->absent ? TOKEN_PROBE_NOT_OFFERED : TOKEN_PROBE_ENFORCED;
}

static void
tell(struct token_probe_row *row, const char *note, const char *consequence)
{
    static const char *const texts[] = {
        [TOKEN_PROBE_ENFORCED] = "enforced",
        [TOKEN_PROBE_NOT_ENFORCED] = "NOT ENFORCED",
        [TOKEN_PROBE_NOT_OFFERED] = "not offered by this token",
        [TOKEN_PROBE_UNCLEAR] = "UNCLEAR: the attempt proves nothing",
    };
    bool bad = row->verdict == TOKEN_PROBE_NOT_ENFORCED;
    bool noted = note[0] != '\0' && row->verdict != TOKEN_PROBE_NOT_OFFERED;

    snprintf(row->follows, sizeof(row->follows), "%s%s%s%s%s%s", texts[row->verdict],
        bad ? ": " : "", bad ? consequence : "", noted ? " (" : "", noted ? note : "",
        noted ? ")" : "");
}

/* Attempts. */

static void
make_attempt(
    struct probing *p, const struct probe_subject *subject, const struct probe_attempt *table_row)
{
    AW_CLEANUP(token_session_close) struct token_session s = {.owner = p->t};
    struct probe_try attempt = {
        .row = table_row, .subject = subject, .tools = &p->tools, .s = &s, .answer = CKR_OK};

    /* Each has a session of its own: an attempt may leave it in the middle of an operation. */
    attempt.answer = probe_answer(&s, token_session_open(&s, CKF_RW_SESSION));
    if (attempt.answer == CKR_OK)
        table_row->run(&attempt);
    struct token_probe_row *row = add_row(p->out, subject, table_row->name, attempt.answer);
    row->verdict = judge(&attempt);
    row->required = table_row->required && subject->required;
    tell(row, attempt.note, table_row->consequence);
}

static void
attempt_all(struct probing *p, const struct probe_subject *subject)
{
    for (size_t i = 0; i < probe_attempt_count; i++)
        if ((probe_attempts[i].kinds & subject->kind) != 0)
            make_attempt(p, subject, &probe_attempts[i]);
}

struct attempts {
    struct probing *p;
    struct probe_subject *subject;
};

/* On a key of ours that was made as real ones are. */
static aw_result
attempts_run(struct token_session *s, void *context)
{
    struct attempts *a = context;
    const struct token_object_name name = {
        .class = a->subject->class, .label = a->subject->label, .what = "throw-away key"};

    AW_TRY(token_object_find_one(s, &name, &a->subject->object));
    attempt_all(a->p, a->subject);
    return AW_OK;
}

/* The token will not or cannot make such a key, in contrast to: it can't just now. */
static bool
is_finding(aw_result r)
{
    return r.code == AW_CODE_TOKEN || r.code == AW_CODE_UNSUPPORTED;
}

/* The making of a key like the real ones: the ladder's report is a finding. */
static void
tell_making(struct probing *p, const struct probe_subject *subject, aw_result r,
    const struct token_key_report *report)
{
    CK_RV rv = aw_ok(r) ? CKR_OK : aw_error_last()->cause_number;
    struct token_probe_row *row = add_row(p->out, subject, making, rv);

    if (!aw_ok(r)) {
        row->verdict = TOKEN_PROBE_NOT_ENFORCED;
        row->required = subject->required;
        if (aw_error_last()->cause != AW_CAUSE_CKR)
            snprintf(row->answer, sizeof(row->answer), "-");
        snprintf(row->follows, sizeof(row->follows),
            "NOT ENFORCED: there can be no such key: %.400s", aw_error_last()->message);
        return;
    }
    bool strict = report->dropped[0] == '\0' && report->weaker[0] == '\0';
    row->verdict = strict ? TOKEN_PROBE_ENFORCED : TOKEN_PROBE_NOT_ENFORCED;
    /* A key that is not PRIVATE needs no login, so the PIN protects nothing. */
    row->required = subject->required && strstr(report->weaker, "PRIVATE") != NULL;
    if (strict)
        tell(row, "", "");
    else
        snprintf(row->follows, sizeof(row->follows),
            "NOT ENFORCED: attributes refused: %.200s; not as asked: %.200s",
            report->dropped[0] == '\0' ? "none" : report->dropped,
            report->weaker[0] == '\0' ? "none" : report->weaker);
}

static aw_result
probe_account_key(struct probing *p, enum token_key_type type)
{
    AW_CLEANUP(token_key_free) token_key *key = NULL;
    const struct token_key_form *form = token_key_form(type);
    struct token_key_report report;
    struct probe_subject subject = {.label = label_of(type),
        .kind = form->curve == NULL ? PROBE_RSA : PROBE_EC,
        .class = CKO_PRIVATE_KEY,
        .required = true};
    struct attempts attempts = {p, &subject};

    snprintf(subject.title, sizeof(subject.title), "account key (%s)", form->text);
    aw_result r = token_key_generate(p->t, subject.label, type, &report, &key);
    if (!aw_ok(r) && !is_finding(r))
        return r;
    tell_making(p, &subject, r, &report);
    if (!aw_ok(r))
        return AW_OK;
    subject.public_key = key->public_key->key;
    return token_run_write(p->t, attempts_run, &attempts);
}

static aw_result
probe_mac_key(struct probing *p)
{
    AW_CLEANUP(aw_secret_free) aw_secret *value = NULL;
    struct token_key_report report;
    struct probe_subject subject = {.title = "EAB key (HS256)",
        .label = LABEL_MAC,
        .kind = PROBE_MAC,
        .class = CKO_SECRET_KEY,
        .required = true};
    struct attempts attempts = {p, &subject};

    /* Long enough for any HMAC: no attempt shall fail because the key is short. */
    AW_TRY(aw_secret_new(TOKEN_MAC_MAX, &value));
    value->size = value->capacity;
    if (RAND_bytes_ex(p->t->libctx, value->data, value->size, 0) != 1)
        return aw_fail_openssl("no random octets for a throw-away key");
    aw_result r = token_mac_import(p->t, LABEL_MAC, TOKEN_HS256, value, false, &report);
    if (!aw_ok(r) && !is_finding(r))
        return r;
    tell_making(p, &subject, r, &report);
    return aw_ok(r) ? token_run_write(p->t, attempts_run, &attempts) : AW_OK;
}

/* Of one template with the EAB key, so what was tried on that holds for it; but it is born in the
 * token, and not every token makes such keys. Nothing here must hold: not every site has a relay.
 */
static aw_result
probe_relay_key(struct probing *p)
{
    const struct probe_subject subject = {.title = "relay key (HS256)"};
    struct token_key_report report;
    aw_result r = token_mac_generate(p->t, LABEL_RELAY, TOKEN_HS256, &report);

    if (!aw_ok(r) && !is_finding(r))
        return r;
    tell_making(p, &subject, r, &report);
    return AW_OK;
}

/* A key that came into the token wrapped. Ours are looked at one by one as they come (unwrap.c), so
 * nothing here must hold. */

struct unwrapping {
    const struct probe_tools *tools;
    CK_OBJECT_HANDLE object;
    bool made;
};

static aw_result
create_unwrapped(struct token_session *s, const struct token_template *templates, void *context)
{
    struct unwrapping *u = context;
    struct token_template template = templates[0];
    CK_RV rv = probe_unwrap(s, u->tools, template.attributes, template.count, &u->object);

    return rv == CKR_OK ? AW_OK : token_session_note(s, "C_UnwrapKey", rv);
}

/* As an EAB key would be: with the ladder, and flags read back. */
static aw_result
unwrap_strictly(struct token_session *s, struct unwrapping *u, struct token_key_report *report)
{
    static const uint8_t id[TOKEN_NEW_ID_SIZE] = "acmeward-probe:";
    const struct token_mac_name name = {LABEL_UNWRAPPED, id, TOKEN_HS256};
    struct token_ladder ladder = {.template_count = 1, .create = create_unwrapped, .context = u};
    struct token_template *t = &ladder.templates[0];

    token_mac_template(t, &name);
    AW_TRY(token_ladder_create(s, &ladder, report));
    u->made = true;
    return token_template_verify(s, u->object, t, report);
}

/* A token without AES key wrap, or that unwraps no such key, is none the worse for it. */
static void
tell_not_unwrapped(struct probing *p, const struct probe_subject *subject, CK_RV rv)
{
    struct token_probe_row *row = add_row(p->out, subject, making, rv);

    row->verdict = proves_nothing(rv) ? TOKEN_PROBE_UNCLEAR : TOKEN_PROBE_NOT_OFFERED;
    tell(row, "", "");
}

static aw_result
unwrapped_run(struct token_session *s, void *context)
{
    struct probing *p = context;
    struct probe_subject subject = {.title = "key unwrapped into the token",
        .label = LABEL_UNWRAPPED,
        .kind = PROBE_UNWRAPPED,
        .class = CKO_SECRET_KEY};
    struct unwrapping u = {.tools = &p->tools};
    struct token_key_report report = {0};

    if (p->tools.blob_size == 0) {
        tell_not_unwrapped(p, &subject, p->tools.answer);
        return AW_OK;
    }
    aw_result r = unwrap_strictly(s, &u, &report);
    if (!u.made) {
        tell_not_unwrapped(p, &subject, probe_answer(s, r));
        return AW_OK;
    }
    tell_making(p, &subject, r, &report);
    subject.object = u.object;
    attempt_all(p, &subject);
    return AW_OK;
}

/* The sweep. */

struct sweep {
    const char *label;
    size_t left;
};

static aw_result
find_label(struct token_session *s, const char *label, CK_OBJECT_HANDLE *out, size_t *found)
{
    const CK_ATTRIBUTE template[] = {token_attribute(CKA_LABEL, label, strlen(label))};

    *found = SWEPT_MAX;
    return token_objects_find(s, template, AW_COUNT(template), out, found);
}

static aw_result
sweep_run(struct token_session *s, void *context)
{
    struct sweep *sweep = context;
    CK_OBJECT_HANDLE objects[SWEPT_MAX];
    size_t found;

    AW_TRY(find_label(s, sweep->label, objects, &found));
    for (size_t i = 0; i < found; i++)
        (void)PROBE_CALL(s, C_DestroyObject, s->handle, objects[i]);
    if (found == 0)
        return AW_OK;
    return find_label(s, sweep->label, objects, &sweep->left); /* looked at, not believed */
}

/* Goes on after a failure: each label by itself. */
static void
sweep_all(struct probing *p)
{
    for (size_t i = 0; i < AW_COUNT(labels); i++) {
        struct sweep sweep = {.label = labels[i]};
        aw_result r = token_run_write(p->t, sweep_run, &sweep);
        if (!aw_ok(r) || sweep.left > 0)
            token_list_add(p->out->left_behind, labels[i]);
    }
}

/* The whole. */

static aw_result
probe_all(struct probing *p, const enum token_key_type *types, size_t count)
{
    AW_CLEANUP(token_session_close) struct token_session s = {.owner = p->t}; /* of the tools */

    AW_TRY(token_session_open(&s, CKF_RW_SESSION));
    probe_tools_make(&s, &p->tools);
    for (size_t i = 0; i < count; i++)
        AW_TRY(probe_account_key(p, types[i]));
    AW_TRY(probe_mac_key(p));
    AW_TRY(probe_relay_key(p));
    return token_run_write(p->t, unwrapped_run, p);
}

aw_result
token_probe_run(token *t, const enum token_key_type *types, size_t count, struct token_probe **out)
{
    AW_CLEANUP(token_probe_free) struct token_probe *probe = calloc(1, sizeof(*probe));
    struct probing p = {.t = t, .out = probe};
    struct aw_error error;

    if (probe == NULL)
        return aw_fail_memory();
    probe->rows = calloc(ROWS_MAX, sizeof(*probe->rows));
    if (probe->rows == NULL)
        return aw_fail_memory();
    AW_TRY(token_info_get(t, &probe->info));
    sweep_all(&p); /* what a probe that was cut off left */
    probe->left_behind[0] = '\0';
    aw_result r = probe_all(&p, types, count);
    aw_error_save(&error);
    sweep_all(&p);
    if (!aw_ok(r))
        return aw_context(aw_error_restore(&error), "the probe was cut off%s%s",
            probe->left_behind[0] == '\0' ? "" : " and left behind ", probe->left_behind);
    *out = AW_MOVE(probe);
    return AW_OK;
}

bool
token_probe_holds(const struct token_probe *probe)
{
    bool holds = probe->left_behind[0] == '\0';

    for (size_t i = 0; i < probe->row_count; i++) {
        const struct token_probe_row *row = &probe->rows[i];
        if (row->required &&
            (row->verdict == TOKEN_PROBE_NOT_ENFORCED || row->verdict == TOKEN_PROBE_UNCLEAR))
            holds = false;
    }
    return holds;
}

const char *
token_probe_verdict_name(enum token_probe_verdict verdict)
{
    static const char *const names[] = {
        [TOKEN_PROBE_ENFORCED] = "enforced",
        [TOKEN_PROBE_NOT_ENFORCED] = "not-enforced",
        [TOKEN_PROBE_NOT_OFFERED] = "not-offered",
        [TOKEN_PROBE_UNCLEAR] = "unclear",
    };

    return names[verdict];
}

void
token_probe_free(struct token_probe **probe)
{
    if (probe == NULL || *probe == NULL)
        return;
    free((*probe)->rows);
    free(*probe);
    *probe = NULL;
}
