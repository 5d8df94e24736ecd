/* The CA: its web server, its directory; and our clock, by the CA's. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/acme.h"
#include "client/doctor.h"
#include "client/http.h"
#include "common/io.h"

/* Certificates begin an hour before they are issued, with most CAs; an answer takes seconds. */
enum { CLOCK_WARN_SECONDS = 60, CLOCK_FAIL_SECONDS = 3600 };

static void
compare_clocks(struct doctor *d, int64_t theirs)
{
    int64_t off = (int64_t)time(NULL) - theirs;
    int64_t away = off < 0 ? -off : off;
    char text[128];

    if (theirs == 0) {
        doctor_tell(d, DOCTOR_WARN, "clock", "the CA's answer has no date to compare with", NULL);
        return;
    }
    if (away <= 2)
        snprintf(text, sizeof(text), "that of the CA");
    else
        snprintf(text, sizeof(text), "%lld seconds %s the CA's", (long long)away,
            off < 0 ? "behind" : "ahead of");
    doctor_tell(d,
        away < CLOCK_WARN_SECONDS   ? DOCTOR_OK
        : away < CLOCK_FAIL_SECONDS ? DOCTOR_WARN
                                    : DOCTOR_FAIL,
        "clock", text,
        away < CLOCK_WARN_SECONDS ? NULL
                                  : "keep this host's time with chrony or systemd-timesyncd");
}

static aw_result
fetch(http *h, const struct whoami_application *a, int64_t *date)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    AW_CLEANUP(acme_directory_free) struct acme_directory directory = {0};

    AW_TRY(http_request(h, HTTP_GET, a->directory, NULL, &response));
    *date = response.date;
    if (response.status != 200)
        return aw_hint(aw_fail(AW_CODE_CA_UNAVAILABLE, "%s answered with HTTP %ld", a->directory,
                           response.status),
            "the CA may be in trouble, or its directory has moved: ask the signer's administrator");
    AW_TRY(acme_directory_parse(response.body, response.size, &directory));
    if (a->new_nonce != NULL && strcmp(directory.new_nonce, a->new_nonce) != 0)
        return aw_hint(aw_fail(AW_CODE_MISMATCH,
                           "the directory has other URLs than those that the signer has pinned"),
            "the CA has moved: an administrator runs acmeward-admin ca pin --replace");
    return AW_OK;
}

static void
look_at_ca(struct doctor *d, http *h, const struct whoami_application *a)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    int64_t date = 0;

    if (!aw_ok(fetch(h, a, &date))) {
        doctor_tell_failure(d, DOCTOR_FAIL, "ca");
        return;
    }
    if (aw_ok(aw_format(&text, "%s answers, its certificate is trusted", a->directory)))
        doctor_tell(d, DOCTOR_OK, "ca", text, NULL);
    compare_clocks(d, date);
}

/* Applications mostly share a CA. */
static bool
was_looked_at(const struct whoami *whoami, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (whoami->applications[i].directory != NULL &&
            strcmp(whoami->applications[i].directory, whoami->applications[index].directory) == 0)
            return true;
    return false;
}

void
doctor_look_at_cas(struct doctor *d, const struct whoami *whoami)
{
    AW_CLEANUP(http_close) http *h = NULL;
    const struct http_options options = {
        .ca_file = d->config->ca_file, .proxy = d->config->proxy, .total_seconds = 20};

    if (!aw_ok(http_open(&options, &h))) {
        doctor_tell_failure(d, DOCTOR_FAIL, "ca");
        return;
    }
    for (size_t i = 0; i < whoami->count; i++)
        if (whoami->applications[i].directory != NULL && !was_looked_at(whoami, i))
            look_at_ca(d, h, &whoami->applications[i]);
}
