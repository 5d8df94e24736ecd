/* revoke: any certificate, or all of an application; the signer signs, and this sends. */
#include "admin/revoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "admin/acme_call.h"
#include "admin/audit_files.h"
#include "client/acme.h"
#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/jws.h"
#include "csr/csr.h"

/* A CA that does not answer is not asked a thousand times. */
enum { UNANSWERED_MAX = 3 };

enum { HTTP_NOT_FOUND = 404, HTTP_GONE = 410 };

enum { DIGEST_TEXT = AW_DIGEST_HEX_SIZE, PEM_MAX = 256 * 1024 };

/* One run. */
struct revoking {
    const struct admin_options *options;
    struct aw_config *config;
    const char *ca_file, *reason_text;
    int reason;
    bool yes;
    struct revoke_list list;

    char *account; /* whose CA is connected */
    struct admin_ca ca;
    const struct revoke_item *item; /* being worked on */
    const char *url;                /* being fetched */

    size_t revoked, already, failed, in_a_row;
    bool stopped;            /* the rest was not tried */
    struct aw_error telling; /* the first failure, or the one that stopped the run */
    struct aw_json_writer results;
};

static void
disconnect(struct revoking *run)
{
    admin_ca_close(&run->ca);
    aw_free(&run->account);
}

static void
revoking_free(struct revoking *run)
{
    disconnect(run);
    revoke_list_free(&run->list);
    aw_config_free(&run->config);
    aw_json_writer_free(&run->results);
}

/* What is asked. */

static aw_result
read_file(const char *path, uint8_t **der, size_t *size, char digest[DIGEST_TEXT])
{
    AW_CLEANUP(aw_free) char *text = NULL;
    unsigned char hash[AW_DIGEST_SIZE];
    size_t length = 0;

    AW_TRY(aw_file_read(path, PEM_MAX, &text, &length));
    AW_TRY(aw_context(certificate_from_text(text, length, der, size), "%s", path));
    if (EVP_Digest(*der, *size, hash, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("can't hash a certificate");
    aw_hex(hash, sizeof(hash), digest);
    return AW_OK;
}

/* One that the inventory lacks: the account must be told. */
static aw_result
list_stranger(
    struct revoking *run, const char *account, const char *digest, uint8_t *der, size_t size)
{
    AW_CLEANUP(certificate_free) struct certificate *certificate = NULL;
    char rule[CSR_RULE_SIZE];

    if (account == NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "no client handed that certificate back, so which "
                                              "account it was issued to is not known"),
            "name it with --account; acmeward-admin account list shows them");
    AW_TRY(certificate_parse(der, size, rule, &certificate));
    run->list.items = calloc(1, sizeof(*run->list.items));
    if (run->list.items == NULL)
        return aw_fail_memory();
    struct revoke_item *item = &run->list.items[0];
    run->list.count = 1;
    item->not_after = certificate->not_after;
    AW_TRY(aw_format(&item->application, "-"));
    AW_TRY(aw_format(&item->account, "%s", account));
    AW_TRY(aw_format(&item->serial, "%s", certificate->serial));
    AW_TRY(aw_format(&item->digest, "%s", digest));
    return aw_format(
        &item->names, "%s", certificate->name_count == 0 ? "-" : certificate->names[0].text);
}

static aw_result
list_file(
    struct revoking *run, const struct audit_source *log, const char *path, const char *account)
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    char digest[DIGEST_TEXT];
    size_t size = 0;

    AW_TRY(read_file(path, &der, &size, digest));
    AW_TRY(revoke_find(log, &(struct revoke_wanted){.digest = digest}, &run->list));
    if (run->list.count == 0)
        AW_TRY(list_stranger(run, account, digest, der, size));
    run->list.items[0].der = AW_MOVE(der);
    run->list.items[0].size = size;
    return AW_OK;
}

static void
show_list(const struct revoking *run)
{
    char until[32];

    for (size_t i = 0; i < run->list.count; i++) {
        const struct revoke_item *item = &run->list.items[i];

        aw_time_text(item->not_after, until);
        fprintf(
            stderr, "%s  %s  until %s  %s\n", item->application, item->serial, until, item->names);
    }
}

/* The conversation with the CA. */

static aw_result
connect_for(struct revoking *run, const char *account)
{
    if (run->account != NULL && strcmp(run->account, account) == 0)
        return AW_OK;
    disconnect(run);
    AW_TRY(admin_ca_connect(run->config, account, run->ca_file, &run->ca));
    return aw_format(&run->account, "%s", account);
}

static aw_result
sign_fetch(void *context, const char *nonce, char **url, char **jws)
{
    const struct revoking *run = context;
    struct aw_json_writer w = {0};

    admin_signing_begin(&w, run->item->account, nonce);
    aw_json_pair(&w, "url", run->url);
    return admin_signing_call(run->options, "FetchCertificate", &w, url, jws);
}

static aw_result
sign_revoke(void *context, const char *nonce, char **url, char **jws)
{
    const struct revoking *run = context;
    AW_CLEANUP(aw_free) char *encoded = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(aw_b64url_encode_new(run->item->der, run->item->size, &encoded));
    admin_signing_begin(&w, run->item->account, nonce);
    aw_json_pair(&w, "certificate", encoded);
    if (run->reason >= 0)
        aw_json_pair_integer(&w, "reason", run->reason);
    return admin_signing_call(run->options, "RevokeCertificate", &w, url, jws);
}

/* What the CA gives must be what was handed back: its digest is on record. */
static aw_result
take_certificate(const struct http_response *response, struct revoke_item *item)
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    unsigned char hash[AW_DIGEST_SIZE];
    char digest[DIGEST_TEXT];
    size_t size = 0;

    AW_TRY(certificate_from_text(response->body, response->size, &der, &size));
    if (EVP_Digest(der, size, hash, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("can't hash a certificate");
    aw_hex(hash, sizeof(hash), digest);
    if (strcmp(digest, item->digest) != 0)
        return aw_fail(AW_CODE_MISMATCH, "the CA gives another certificate at its URL");
    item->der = AW_MOVE(der);
    item->size = size;
    return AW_OK;
}

static aw_result
fetch(struct revoking *run, struct revoke_item *item)
{
    aw_result r = aw_fail(AW_CODE_NOT_FOUND, "no URL of it is on record");

    for (size_t i = 0; i < item->url_count && item->der == NULL; i++) {
        AW_CLEANUP(http_response_free) struct http_response response = {0};

        run->url = item->urls[i];
        r = acme_post(
            run->ca.session, sign_fetch, run, true, "fetching the certificate", &response);
        if (aw_ok(r))
            r = take_certificate(&response, item);
    }
    if (item->der != NULL)
        return AW_OK;
    return aw_hint(r, "with the certificate in a file: acmeward-admin revoke --certificate FILE");
}

static bool
is_gone(const struct aw_error *error)
{
    return error->cause == AW_CAUSE_HTTP &&
           (error->cause_number == HTTP_NOT_FOUND || error->cause_number == HTTP_GONE);
}

static aw_result
revoke_one(struct revoking *run, struct revoke_item *item, bool *already)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    run->item = item;
    AW_TRY(connect_for(run, item->account));
    aw_result r = item->der == NULL ? fetch(run, item) : AW_OK;
    *already = r.code == AW_CODE_CA_REFUSED && item->signed_for != 0 && is_gone(aw_error_last());
    if (*already)
        return AW_OK; /* revoked by what was signed before, and the CA has it no longer */
    AW_TRY(r);
    r = acme_post(run->ca.session, sign_revoke, run, true, "revoking the certificate", &response);
    *already = !aw_ok(r) && strcmp(acme_session_problem(run->ca.session), "alreadyRevoked") == 0;
    return *already ? AW_OK : r;
}

/* Results. */

static void
tell(struct revoking *run, const struct revoke_item *item, const char *result, const char *message)
{
    if (!run->options->json)
        printf("%s  %s  %s%s%s\n", item->application, item->serial, result,
            message == NULL ? "" : ": ", message == NULL ? "" : message);
    aw_json_begin_object(&run->results);
    aw_json_pair(&run->results, "application", item->application);
    aw_json_pair(&run->results, "serial", item->serial);
    aw_json_pair(&run->results, "result", result);
    if (message != NULL)
        aw_json_pair(&run->results, "message", message);
    aw_json_end_object(&run->results);
}

/* What concerns one certificate; anything else would fail for the next one too. */
static bool
goes_on_after(enum aw_code code)
{
    return code == AW_CODE_CA_REFUSED || code == AW_CODE_CA_UNAVAILABLE ||
           code == AW_CODE_TIMEOUT || code == AW_CODE_NOT_FOUND || code == AW_CODE_REFUSED ||
           code == AW_CODE_MISMATCH || code == AW_CODE_SYNTAX || code == AW_CODE_LIMIT;
}

static void
note_failure(struct revoking *run, const struct revoke_item *item)
{
    struct aw_error error;

    aw_error_save(&error);
    tell(run, item, "failed", error.message);
    bool answered = error.code != AW_CODE_CA_UNAVAILABLE && error.code != AW_CODE_TIMEOUT;
    run->in_a_row = answered ? 0 : run->in_a_row + 1;
    run->stopped = !goes_on_after(error.code) || run->in_a_row == UNANSWERED_MAX;
    if (run->failed++ == 0 || run->stopped)
        run->telling = error;
}

static void
revoke_all(struct revoking *run)
{
    aw_json_begin_object(&run->results);
    aw_json_name(&run->results, "certificates");
    aw_json_begin_array(&run->results);
    for (size_t i = 0; i < run->list.count && !run->stopped; i++) {
        struct revoke_item *item = &run->list.items[i];
        bool already = false;

        if (!aw_ok(revoke_one(run, item, &already))) {
            note_failure(run, item);
            continue;
        }
        run->in_a_row = 0;
        run->revoked += !already;
        run->already += already;
        tell(run, item, already ? "already revoked" : "revoked", NULL);
    }
    aw_json_end_array(&run->results);
}

static aw_result
close_results(struct revoking *run)
{
    size_t left = run->list.count - run->revoked - run->already;

    if (!run->options->json) {
        printf("%zu revoked, %zu were revoked already, %zu failed, %zu not tried\n", run->revoked,
            run->already, run->failed, left - run->failed);
    } else {
        aw_json_pair_integer(&run->results, "revoked", (int64_t)run->revoked);
        aw_json_pair_integer(&run->results, "already_revoked", (int64_t)run->already);
        aw_json_pair_integer(&run->results, "failed", (int64_t)run->failed);
        aw_json_pair_integer(&run->results, "not_tried", (int64_t)(left - run->failed));
        aw_json_end_object(&run->results);
        AW_TRY(admin_print_writer(&run->results));
    }
    if (run->failed == 0)
        return AW_OK;
    return aw_hint(
        aw_fail(run->telling.code, "%zu of %zu are not revoked; %s: %s", left, run->list.count,
            run->stopped ? "stopped at" : "the first", run->telling.message),
        "%s",
        run->telling.hint[0] != '\0' ? run->telling.hint : "run it again: it goes on where it was");
}

static aw_result
run_list(struct revoking *run)
{
    if (run->list.count == 0)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "there is no such certificate that is not expired"),
            "acmeward-admin certificates lists what was handed back; any other one can be revoked "
            "with --certificate FILE --account NAME");
    show_list(run);
    AW_TRY(admin_confirm(run->yes, "Revoke these certificates?", "nothing was revoked"));
    revoke_all(run);
    return close_results(run);
}

aw_result
admin_revoke(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(revoking_free) struct revoking run = {.options = options};
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    struct revoke_wanted wanted = {0};
    const char *file = NULL, *account = NULL;
    const struct admin_option table[] = {
        {.name = "application", .value = &wanted.application},
        {.name = "serial", .value = &wanted.serial},
        {.name = "certificate", .value = &file},
        {.name = "account", .value = &account},
        {.name = "reason", .value = &run.reason_text},
        {.name = "ca-file", .value = &run.ca_file},
        ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "yes", .flag = &run.yes},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if ((wanted.application != NULL) + (wanted.serial != NULL) + (file != NULL) != 1)
        return aw_fail(AW_CODE_USAGE, "exactly one of --application, --serial and --certificate");
    if (account != NULL && file == NULL)
        return aw_fail(AW_CODE_USAGE, "--account goes with --certificate");
    AW_TRY(aw_context(aw_jws_reason_parse(run.reason_text, &run.reason), "--reason"));
    AW_TRY(admin_config(options, &run.config));
    AW_TRY(admin_audit_log_find(options, &log));
    log.source.absent = admin_audit_tell_absent;
    if (file != NULL)
        AW_TRY(list_file(&run, &log.source, file, account));
    else
        AW_TRY(revoke_find(&log.source, &wanted, &run.list));
    return run_list(&run);
}
