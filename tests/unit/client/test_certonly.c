/* acmeward certonly from the command line to the disk, against a scripted CA and a scripted signer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <unistd.h>

#include "certonly_world.h"
#include "client/store.h"
#include "common/json.h"

enum { CHANGES_MAX = 6, ANSWERS_MAX = 8 };

#define JSON "Content-Type: application/json\r\n"
#define PEM "Content-Type: application/pem-certificate-chain\r\n"
#define ORDER(status, more)                                                                        \
    "{\"status\":\"" status "\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]," \
    "\"authorizations\":[\"$B/authz/1\"],\"finalize\":\"$B/finalize/1\"" more "}"
#define NONCE                                    \
    {                                            \
        "HEAD /nonce", 200, NULL, NULL, CA_PLAIN \
    }
#define OPENED(status)                                                                       \
    {                                                                                        \
        "POST /new-order", 201, JSON "Location: $B/order/1\r\n", ORDER(status, ""), CA_PLAIN \
    }
#define FINALIZED                                                                                 \
    {                                                                                             \
        "POST /finalize/1", 200, JSON, ORDER("valid", ",\"certificate\":\"$B/cert/1\""), CA_PLAIN \
    }
#define CERTIFICATE                                 \
    {                                               \
        "POST /cert/1", 200, PEM, "CHAIN", CA_PLAIN \
    }
#define ISSUED                                         \
    {                                                  \
        NONCE, OPENED("ready"), FINALIZED, CERTIFICATE \
    }
#define DIRECTORY(meta)                                                                         \
    {                                                                                           \
        "GET /dir", 200, JSON,                                                                  \
            "{\"newNonce\":\"$B/nonce\",\"newAccount\":\"$B/a\",\"newOrder\":\"$B/new-order\"," \
            "\"revokeCert\":\"$B/r\",\"keyChange\":\"$B/k\",\"meta\":{" meta "}}",              \
            CA_PLAIN                                                                            \
    }
#define AUTHORIZATION(status)                                                                     \
    {                                                                                             \
        "POST /authz/1", 200, JSON,                                                               \
            "{\"status\":\"" status                                                               \
            "\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example.edu\"},"                   \
            "\"challenges\":[{\"type\":\"http-01\",\"status\":\"" status "\",\"url\":\"$B/c/1\"," \
            "\"token\":\"tok-1\"}]}",                                                             \
            CA_PLAIN                                                                              \
    }

#define POLICY_REFUSED                                                                           \
    "{\"rule\":\"names.none\",\"application\":\"app\",\"name\":\"a.example.edu\",\"allowed\":"   \
    "\"x.example.edu\",\"owner\":\"team@example.edu\",\"message\":\"a.example.edu is not among " \
    "(rule names.none); allowed: x.example.edu; ask team@example.edu\"}"

static const struct row {
    const char *name;
    const char *words;
    int status;
    const char *said; /* somewhere on standard output or error */
    struct ca_answer answers[ANSWERS_MAX];
    struct signer_change changes[CHANGES_MAX]; /* besides WhoAmI */
    enum chain_kind chain;
    bool stored;   /* begins with a good certificate */
    unsigned live; /* version that is live afterwards; 0: none */
    bool asked;    /* the signer was asked who we are */
} rows[] = {
    {.name = "first certificate",
        .words = "-d a.example.edu",
        .said = "issued: certificate a.example.edu, version 1",
        .answers = ISSUED,
        .live = 1,
        .asked = true},
    {.name = "first certificate, JSON",
        .words = "-d a.example.edu --json",
        .said = "{\"status\":\"issued\",\"name\":\"a.example.edu\",\"version\":1,\"names\":"
                "[\"a.example.edu\"],\"application\":\"app\"",
        .answers = ISSUED,
        .live = 1,
        .asked = true},
    {.name = "a required profile that the CA lacks: nothing is ordered",
        .words = "-d a.example.edu --required-profile short",
        .status = 4,
        .said = "the CA has no profile \"short\"; it offers classic, tls",
        .answers = {DIRECTORY("\"profiles\":{\"classic\":\"\",\"tls\":\"\"}")},
        .asked = true},
    {.name = "a preferred profile that the CA lacks is dropped",
        .words = "-d a.example.edu --preferred-profile short",
        .said = "the CA has no profile \"short\" (its directory does not list it): its default",
        .answers = {DIRECTORY(""), NONCE, OPENED("ready"), FINALIZED, CERTIFICATE},
        .live = 1,
        .asked = true},
    {.name = "a preferred profile that the CA refuses is dropped",
        .words = "-d a.example.edu --preferred-profile short",
        .said = "invalidProfile",
        .answers = {DIRECTORY("\"profiles\":{\"short\":\"\"}"), NONCE,
            {"POST /new-order", 400, "Content-Type: application/problem+json\r\n",
                "{\"type\":\"urn:ietf:params:acme:error:invalidProfile\"}", CA_PLAIN},
            OPENED("ready"), FINALIZED, CERTIFICATE},
        .live = 1,
        .asked = true},
    {.name = "a preferred profile that the CA has is asked for",
        .words = "-d a.example.edu --preferred-profile short",
        .status = 1,
        .said = "the CA's order has the profile other, asked was short",
        .answers = {DIRECTORY("\"profiles\":{\"short\":\"\"}"), NONCE,
            {"POST /new-order", 201, JSON "Location: $B/order/1\r\n",
                ORDER("ready", ",\"profile\":\"other\""), CA_PLAIN}},
        .asked = true},
    {.name = "a good certificate is kept",
        .words = "-d a.example.edu",
        .said = "kept: certificate a.example.edu",
        .stored = true,
        .live = 1},
    {.name = "a good certificate is kept, JSON",
        .words = "-d a.example.edu --json",
        .said = "{\"status\":\"kept\"",
        .stored = true,
        .live = 1},
    {.name = "by force",
        .words = "-d a.example.edu --force-renewal",
        .said = "version 2",
        .answers = ISSUED,
        .stored = true,
        .live = 2,
        .asked = true},
    {.name = "the key of the one before is kept",
        .words = "-d a.example.edu --force-renewal --reuse-key",
        .status = 1,
        .said = "key", /* the CA's chain is for another key: ours was sent */
        .answers = ISSUED,
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "the key of the one before is not kept this once",
        .words = "-d a.example.edu --force-renewal --reuse-key --new-key",
        .said = "version 2",
        .answers = ISSUED,
        .stored = true,
        .live = 2,
        .asked = true},
    {.name = "no chain is the preferred one",
        .words = "-d a.example.edu --preferred-chain Other",
        .said = "the CA offers no chain up to \"Other\": its own choice is used",
        .answers = ISSUED,
        .live = 1,
        .asked = true},
    {.name = "other names",
        .words = "-d a.example.edu -d b.example.edu",
        .status = 2,
        .said = "this order adds b.example.edu",
        .stored = true,
        .live = 1},
    {.name = "other names, both ways",
        .words = "-d b.example.edu --cert-name a.example.edu --expand",
        .status = 2,
        .said = "adds b.example.edu and drops a.example.edu",
        .stored = true,
        .live = 1},
    {.name = "no name", .words = "", .status = 2, .said = "certonly needs a name"},
    {.name = "a certificate's name that is none",
        .words = "-d a.example.edu --cert-name ../x",
        .status = 2,
        .said = "can't be the name of a certificate"},
    {.name = "a port that is none",
        .words = "-d a.example.edu --http-01-port 99999",
        .status = 2,
        .said = "--http-01-port"},
    {.name = "the policy refuses",
        .words = "-d a.example.edu",
        .status = 3,
        .said = "refused: a.example.edu is not among (rule names.none); allowed: x.example.edu; "
                "ask team@example.edu",
        .answers = {NONCE},
        .changes = {{"NewOrder", "PolicyRefused", POLICY_REFUSED, false}},
        .asked = true},
    {.name = "the policy refuses, JSON",
        .words = "-d a.example.edu --json",
        .status = 3,
        .said = "\"refusal\":{\"error\":\"PolicyRefused\",\"rule\":\"names.none\"",
        .answers = {NONCE},
        .changes = {{"NewOrder", "PolicyRefused", POLICY_REFUSED, false}},
        .asked = true},
    {.name = "a key type that the policy has not",
        .words = "-d a.example.edu --key-type rsa-2048",
        .status = 3,
        .said = "refused: key type rsa-2048 is not among the key types of app (rule keys); "
                "allowed: ec-p256",
        .asked = true},
    {.name = "another CA",
        .words = "-d a.example.edu --server https://acme.example.org/dir",
        .status = 2,
        .said = "application app orders from",
        .asked = true},
    {.name = "the options of a command carried over",
        .words = "-d a.example.edu --agree-tos -m me@example.edu --non-interactive",
        .said = "registered by an administrator",
        .answers = ISSUED,
        .live = 1,
        .asked = true},
    {.name = "another's application",
        .words = "-d a.example.edu --application other",
        .status = 3,
        .said = "is not application other",
        .asked = true},
    {.name = "allowed",
        .words = "-d a.example.edu --check",
        .said = "allowed: application app",
        .changes = {{"Check", NULL, "{\"application\":\"app\",\"allowed\":true,\"findings\":[]}",
            false}},
        .asked = true},
    {.name = "not allowed",
        .words = "-d a.example.edu -d b.example.edu --check",
        .status = 3,
        .said = "refused: b.example.edu is denied (rule names.deny)",
        .changes = {{"Check", NULL,
            "{\"application\":\"app\",\"allowed\":false,\"findings\":[{\"name\":\"b.example.edu\","
            "\"rule\":\"names.deny\",\"message\":\"b.example.edu is denied\"}]}",
            false}},
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "not allowed, JSON",
        .words = "-d a.example.edu --check --json",
        .status = 3,
        .said =
            "{\"status\":\"refused\",\"application\":\"app\",\"key_type\":\"ec-p256\","
            "\"findings\":[{\"name\":null,\"rule\":\"r\",\"message\":\"m\",\"warning\":false}]}\n",
        .changes = {{"Check", NULL,
            "{\"application\":\"app\",\"allowed\":false,\"findings\":[{\"rule\":\"r\","
            "\"message\":\"m\"}]}",
            false}},
        .asked = true},
    {.name = "allowed for now",
        .words = "-d a.example.edu --check",
        .said = "warning: will be refused from 2099-01-01 on: m (rule r)\nallowed: application app",
        .changes = {{"Check", NULL,
            "{\"application\":\"app\",\"allowed\":true,\"findings\":[{\"rule\":\"r\","
            "\"message\":\"will be refused from 2099-01-01 on: m (rule r)\",\"warning\":true}]}",
            false}},
        .asked = true},
    {.name = "an answer to Check that says nothing",
        .words = "-d a.example.edu --check",
        .status = 1,
        .said = "the signer's answer to Check",
        .changes = {{"Check", NULL, "{}", false}},
        .asked = true},
    {.name = "validation without a way",
        .words = "-d a.example.edu",
        .status = 4,
        .said = "the CA wants a.example.edu validated, and no way to do that was given",
        .answers = {NONCE, OPENED("pending"), AUTHORIZATION("pending")},
        .asked = true},
    {.name = "a web root that is not there",
        .words = "-d a.example.edu -w /nonexistent",
        .status = 1,
        .said = "can't open the web root /nonexistent",
        .answers = {NONCE, OPENED("pending"), AUTHORIZATION("pending")},
        .asked = true},
    {.name = "the CA refuses",
        .words = "-d a.example.edu --force-renewal",
        .status = 4,
        .said = "rejectedIdentifier",
        .answers = {NONCE,
            {"POST /new-order", 403, "Content-Type: application/problem+json\r\n",
                "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\"}", CA_PLAIN}},
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "attack 109: no certificate",
        .words = "-d a.example.edu --force-renewal",
        .status = 1,
        .said = "the CA's certificate is not used: line 1, \"<html>busy</html>\"",
        .answers = ISSUED,
        .chain = GARBAGE,
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "attack 109: another key",
        .words = "-d a.example.edu --force-renewal",
        .status = 1,
        .said = "not for the key",
        .answers = ISSUED,
        .chain = OTHER_KEY,
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "attack 109: another name",
        .words = "-d a.example.edu --force-renewal",
        .status = 1,
        .said = "does not hold a.example.edu",
        .answers = ISSUED,
        .chain = OTHER_NAME,
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "attack 109: a private key in the chain",
        .words = "-d a.example.edu --force-renewal",
        .status = 1,
        .said = "BEGIN PRIVATE KEY",
        .answers = ISSUED,
        .chain = WITH_KEY,
        .stored = true,
        .live = 1,
        .asked = true},
    {.name = "attack 109: nothing is left of a first one either",
        .words = "-d a.example.edu",
        .status = 1,
        .said = "not for the key",
        .answers = ISSUED,
        .chain = OTHER_KEY,
        .asked = true},
    {.name = "the signer does not take it back",
        .words = "-d a.example.edu",
        .said = "did not take it into its inventory",
        .answers = ISSUED,
        .changes = {{"RecordCertificate", "Unavailable", "{\"tag\":\"io\",\"message\":\"full\"}",
            false}},
        .live = 1,
        .asked = true},
};

/* WhoAmI first, then the row's changes. */
static void
load_signer(struct world *w, const struct row *row, struct signer_change *changes)
{
    size_t count = 1;

    changes[0] = (struct signer_change){"WhoAmI", NULL, w->whoami, false};
    for (size_t i = 0; i < CHANGES_MAX && row->changes[i].method != NULL; i++)
        changes[count++] = row->changes[i];
    scripted_signer_load(&w->signer, changes, count);
}

static void
load_ca(struct world *w, const struct row *row, struct ca_answer *answers)
{
    size_t count = 0;

    for (; count < ANSWERS_MAX && row->answers[count].request != NULL; count++) {
        answers[count] = row->answers[count];
        if (answers[count].body != NULL && strcmp(answers[count].body, "CHAIN") == 0)
            answers[count].body = w->chains[row->chain];
    }
    scripted_ca_load(&w->ca, answers, count);
}

static void
check_live(struct world *w, const struct row *row)
{
    struct store_entry entry = {0};
    char root[128], archive[192];

    snprintf(root, sizeof(root), "%s/tls", w->root);
    aw_result r = store_read(root, "a.example.edu", &entry);
    if (row->live == 0 && r.code != AW_CODE_NOT_FOUND)
        fail_msg("%s: something is live", row->name);
    if (row->live != 0 && (!aw_ok(r) || entry.fault != NULL || entry.version != row->live))
        fail_msg("%s: version %u, %s", row->name, entry.version,
            entry.fault == NULL ? "no fault" : entry.fault);
    store_entry_free(&entry);
    snprintf(
        archive, sizeof(archive), "%s/archive/a.example.edu/privkey%u.pem", root, row->live + 1);
    if (access(archive, F_OK) == 0)
        fail_msg("%s: a key without certificate is on disk", row->name);
}

static void
test_rows(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct signer_change changes[CHANGES_MAX + 1];
        struct ca_answer answers[ANSWERS_MAX];

        begin(w, row->stored);
        load_signer(w, row, changes);
        load_ca(w, row, answers);
        int status = run(w, row->words);
        if (status != row->status)
            fail_msg("%s: exit %d: %s%s", row->name, status, w->out, w->err);
        if (strstr(w->out, row->said) == NULL && strstr(w->err, row->said) == NULL)
            fail_msg("%s: not said: %s\n%s%s", row->name, row->said, w->out, w->err);
        if (!scripted_ca_check(&w->ca, row->name))
            fail_msg("%s: the CA was asked otherwise", row->name);
        if ((strstr(w->signer.calls, "WhoAmI") != NULL) != row->asked)
            fail_msg("%s: the signer was%s asked", row->name, row->asked ? " not" : "");
        check_live(w, row);
    }
}

/* With --json standard output is one object, whatever happens. */
static void
test_json_is_alone(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct signer_change changes[CHANGES_MAX + 1];
        struct ca_answer answers[ANSWERS_MAX];
        char words[512];
        cJSON *json = NULL;

        begin(w, row->stored);
        load_signer(w, row, changes);
        load_ca(w, row, answers);
        snprintf(words, sizeof(words), "%s --json -q", row->words);
        assert_int_equal(run(w, words), row->status);
        size_t length = strlen(w->out);
        if (length == 0 || !aw_ok(aw_json_parse(w->out, length, AW_JSON_STRICT, &json)))
            fail_msg("%s: %s", row->name, w->out);
        assert_string_equal(w->err, "");
        aw_json_free(&json);
    }
}

/* A web root is written to and tidied when validation goes on. */
static void
test_webroot_is_tidied(void **state)
{
    static const struct row row = {
        .answers = {NONCE, OPENED("pending"), AUTHORIZATION("pending"),
            {"POST /c/1", 403, "Content-Type: application/problem+json\r\n",
                "{\"type\":\"urn:ietf:params:acme:error:unauthorized\"}", CA_PLAIN}}};
    struct world *w = *state;
    struct signer_change changes[CHANGES_MAX + 1];
    struct ca_answer answers[ANSWERS_MAX];
    char words[256], path[256];

    begin(w, false);
    load_signer(w, &row, changes);
    load_ca(w, &row, answers);
    snprintf(words, sizeof(words), "-d a.example.edu --webroot -w %s", w->root);
    assert_int_equal(run(w, words), 4);
    assert_true(scripted_ca_check(&w->ca, "webroot"));
    snprintf(path, sizeof(path), "%s/.well-known", w->root);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* The settings are there with the certificate, and not without. */
static void
test_settings_are_written(void **state)
{
    static const struct row issued = {.answers = ISSUED},
                            refused = {.answers = {NONCE, OPENED("invalid")}};
    const struct row *both[] = {&refused, &issued};
    struct world *w = *state;
    char path[256];

    begin(w, false);
    for (size_t i = 0; i < AW_COUNT(both); i++) {
        struct signer_change changes[CHANGES_MAX + 1];
        struct ca_answer answers[ANSWERS_MAX];

        load_signer(w, both[i], changes);
        load_ca(w, both[i], answers);
        assert_int_equal(run(w, "-d a.example.edu"), i == 0 ? 4 : 0);
        snprintf(path, sizeof(path), "%s/tls/renewal/a.example.edu.conf", w->root);
        assert_int_equal(access(path, F_OK), i == 0 ? -1 : 0);
    }
}

/* A certificate in its last third is renewed without force. */
static void
test_renewal_is_due(void **state)
{
    static const struct row row = {.name = "due", .answers = ISSUED, .live = 2};
    struct world *w = *state;
    struct signer_change changes[CHANGES_MAX + 1];
    struct ca_answer answers[ANSWERS_MAX];
    char *kept_leaf = w->old_leaf, *kept_key = w->old_key;

    struct party due = authority_make(&w->authority,
        &(struct wish){.subject = "a", .san = "DNS:a.example.edu", .from = -80000, .until = 30000});
    w->old_leaf = authority_pem(due.certificate);
    w->old_key = authority_key_pem(due.key);
    begin(w, true);
    load_signer(w, &row, changes);
    load_ca(w, &row, answers);
    assert_int_equal(run(w, "-d a.example.edu"), 0);
    assert_true(scripted_ca_check(&w->ca, "due"));
    check_live(w, &row);
    free(w->old_leaf);
    free(w->old_key);
    w->old_leaf = kept_leaf;
    w->old_key = kept_key;
    authority_free(&due);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_json_is_alone),
        cmocka_unit_test(test_webroot_is_tidied),
        cmocka_unit_test(test_settings_are_written),
        cmocka_unit_test(test_renewal_is_due),
    };

    return cmocka_run_group_tests(tests, make_world, remove_world);
}
