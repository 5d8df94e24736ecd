#include <string.h>

#include "client/http_internal.h"
#include "common/log.h"

static const char private_ca[] =
    "if the CA is private, name its roots with --ca-file; if it is not, somebody may be between "
    "you and the CA: do not go on";

/* CURLcodes that tell more than "it failed". `dropped`: the connection was made, then lost. */
static const struct failure {
    CURLcode number;
    enum aw_code code;
    bool dropped;
    const char *hint;
} failures[] = {
    {CURLE_URL_MALFORMAT, AW_CODE_SYNTAX, false, "check the URL: https://HOST/PATH"},
    {CURLE_COULDNT_RESOLVE_PROXY, AW_CODE_CA_UNAVAILABLE, false,
        "check the name of the proxy (in the configuration, or https_proxy in the environment)"},
    {CURLE_COULDNT_RESOLVE_HOST, AW_CODE_CA_UNAVAILABLE, false,
        "check the host's spelling in the URL and this machine's DNS; where only a proxy may "
        "go out, name it in the configuration or in https_proxy"},
    {CURLE_COULDNT_CONNECT, AW_CODE_CA_UNAVAILABLE, false,
        "is the CA up, and may this machine reach it? Where only a proxy may go out, name it in "
        "the configuration or in https_proxy"},
    {CURLE_PROXY, AW_CODE_CA_UNAVAILABLE, false, "the proxy refuses: check its settings"},
    {CURLE_OPERATION_TIMEDOUT, AW_CODE_TIMEOUT, false,
        "the CA is slow or something swallows packets: try again later"},
    {CURLE_PEER_FAILED_VERIFICATION, AW_CODE_CA_UNAVAILABLE, false, private_ca},
    {CURLE_SSL_CACERT_BADFILE, AW_CODE_CONFIG, false,
        "the file of --ca-file must be readable and hold certificates in PEM form"},
    {CURLE_SSL_CONNECT_ERROR, AW_CODE_CA_UNAVAILABLE, false,
        "the CA must speak TLS 1.2 or later; is the port right?"},
    {CURLE_SEND_ERROR, AW_CODE_CA_UNAVAILABLE, true, "the connection was lost: try again"},
    {CURLE_RECV_ERROR, AW_CODE_CA_UNAVAILABLE, true, "the connection was lost: try again"},
    {CURLE_GOT_NOTHING, AW_CODE_CA_UNAVAILABLE, true, "the connection was lost: try again"},
    {CURLE_PARTIAL_FILE, AW_CODE_CA_UNAVAILABLE, true, "the connection was lost: try again"},
    {CURLE_FILESIZE_EXCEEDED, AW_CODE_LIMIT, false, "no answer of a CA is that long: is this one?"},
    {CURLE_ABORTED_BY_CALLBACK, AW_CODE_INTERRUPTED, false, "it was asked to end: run it again"},
    {CURLE_OUT_OF_MEMORY, AW_CODE_MEMORY, false, "give the program more memory"},
};

static const struct failure *
find(CURLcode number)
{
    static const struct failure other = {
        CURLE_OK, AW_CODE_CA_UNAVAILABLE, false, "is this really the URL of a CA's ACME server?"};

    for (size_t i = 0; i < AW_COUNT(failures); i++)
        if (failures[i].number == number)
            return &failures[i];
    return &other;
}

/* OpenSSL's own words, where libcurl passes them on: then nothing is wrong with the CA. */
static bool
lacked_memory(const char *words)
{
    return strstr(words, "malloc failure") != NULL;
}

aw_result
http_fail(const struct http_asked *asked, CURLcode code, const char *words)
{
    const struct failure *failure = find(lacked_memory(words) ? CURLE_OUT_OF_MEMORY : code);
    const char *text = words[0] != '\0' ? words : curl_easy_strerror(code);
    char shown[CURL_ERROR_SIZE * 2];

    aw_log_escape(text, strlen(text), shown, sizeof(shown));
    return aw_hint(aw_fail_cause(failure->code, AW_CAUSE_CURL, (unsigned long)code, "%s %s: %s",
                       asked->method, asked->url, shown),
        "%s", failure->hint);
}

bool
http_dropped(const struct aw_error *error)
{
    return error->cause == AW_CAUSE_CURL && find((CURLcode)error->cause_number)->dropped;
}
