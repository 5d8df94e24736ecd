#include "client/ari.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "client/acme_internal.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"

enum { TIME_TEXT_MAX = 64, EXPLANATION_MAX = 1000, SERIAL_MAX = 64 };

static void
free_octets(unsigned char **octets)
{
    OPENSSL_free(*octets);
}

/* The INTEGER's contents: header and length are 2 octets, since a serial number has at most 20
 * (RFC 5280 4.1.2.2); SERIAL_MAX is what is borne. */
static aw_result
encode_serial(const X509 *certificate, char **out)
{
    AW_CLEANUP(free_octets) unsigned char *der = NULL;
    int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), &der);

    if (size <= 2 || size - 2 > SERIAL_MAX)
        return aw_fail_openssl("the certificate's serial number can't be written");
    return aw_b64url_encode_new(der + 2, (size_t)size - 2, out);
}

static void
free_authority(AUTHORITY_KEYID **authority)
{
    AUTHORITY_KEYID_free(*authority);
}

aw_result
ari_id(const X509 *certificate, char **out)
{
    AW_CLEANUP(free_authority)
    AUTHORITY_KEYID *authority =
        X509_get_ext_d2i(certificate, NID_authority_key_identifier, NULL, NULL);
    AW_CLEANUP(aw_free) char *key = NULL;
    AW_CLEANUP(aw_free) char *serial = NULL;

    if (authority == NULL || authority->keyid == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "the certificate does not name its issuer's key");
    AW_TRY(aw_b64url_encode_new(ASN1_STRING_get0_data(authority->keyid),
        (size_t)ASN1_STRING_length(authority->keyid), &key));
    AW_TRY(encode_serial(certificate, &serial));
    return aw_format(out, "%s.%s", key, serial);
}

static bool
parse_pair(const char *text, int64_t max, int64_t *out)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *out = INT64_C(10) * (text[0] - '0') + (text[1] - '0');
    return *out <= max;
}

/* "Z", or "+02:00". */
static bool
parse_zone(const char *text, int64_t *offset)
{
    int64_t hours, minutes;

    *offset = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (strlen(text) != strlen("+hh:mm") || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
        !parse_pair(text + 1, 23, &hours) || !parse_pair(text + 4, 59, &minutes))
        return false;
    *offset = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return true;
}

/* RFC 3339 as CAs write it: fractions of a second and offsets too. */
static aw_result
read_time(const cJSON *window, const char *name, int64_t *out)
{
    const char *text;
    struct tm tm = {0};
    int64_t offset;

    AW_TRY(aw_json_string(window, name, TIME_TEXT_MAX, &text));
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest != NULL && *rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (rest == NULL || !parse_zone(rest, &offset))
        return aw_fail(AW_CODE_SYNTAX, "%s: expected a time (RFC 3339)", name);
    *out = (int64_t)timegm(&tm) - offset;
    return AW_OK;
}

static aw_result
read_explanation(const cJSON *object, char **out)
{
    const char *text;

    AW_TRY(aw_json_optional_string(object, "explanationURL", EXPLANATION_MAX, &text));
    return text == NULL ? AW_OK : acme_text(text, EXPLANATION_MAX, out);
}

static aw_result
read_object(const char *text, size_t size, struct ari *out)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;
    const cJSON *window;

    AW_TRY(acme_object_parse(text, size, &object));
    AW_TRY(aw_json_object(object, "suggestedWindow", &window));
    AW_TRY(read_time(window, "start", &out->start));
    AW_TRY(read_time(window, "end", &out->end));
    if (out->end < out->start)
        return aw_fail(AW_CODE_SYNTAX, "suggestedWindow: its end is before its start");
    return read_explanation(object, &out->explanation);
}

aw_result
ari_parse(const char *text, size_t size, struct ari *out)
{
    AW_CLEANUP(ari_free) struct ari ari = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_context(read_object(text, size, &ari), "the CA's renewal information"));
    *out = ari;
    memset(&ari, 0, sizeof(ari));
    return AW_OK;
}

static int64_t
within_limits(int64_t retry_after)
{
    if (retry_after < 0)
        return ARI_RETRY_DEFAULT;
    if (retry_after < ARI_RETRY_MIN)
        return ARI_RETRY_MIN;
    return retry_after < ARI_RETRY_MAX ? retry_after : ARI_RETRY_MAX;
}

static aw_result
judge(const struct http_response *response)
{
    AW_CLEANUP(acme_problem_free) struct acme_problem problem = {0};
    static const char what[] = "asking for renewal information";

    if (response->status == 200)
        return acme_expect_type(response, "application/json", what);
    AW_TRY(acme_problem_parse(response, &problem));
    return acme_problem_fail(&problem, response->retry_after, what);
}

aw_result
ari_fetch(http *h, const char *renewal_info, const char *id, struct ari *out)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    AW_CLEANUP(aw_free) char *url = NULL;
    size_t length = strlen(renewal_info);
    const char *slash = length > 0 && renewal_info[length - 1] == '/' ? "" : "/";

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_format(&url, "%s%s%s", renewal_info, slash, id));
    AW_TRY(http_request(h, HTTP_GET, url, NULL, &response));
    AW_TRY(judge(&response));
    AW_TRY(ari_parse(response.body, response.size, out));
    out->retry_after = within_limits(response.retry_after);
    return AW_OK;
}

aw_result
ari_choose(const struct ari *ari, int64_t *out)
{
    uint64_t width = (uint64_t)(ari->end - ari->start) + 1, random;
    const uint64_t limit = UINT64_MAX - UINT64_MAX % width; /* no part of it comes up more often */

    do {
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return aw_fail_errno(AW_CODE_IO, "the system gives no random numbers");
    } while (random >= limit);
    *out = ari->start + (int64_t)(random % width);
    return AW_OK;
}

void
ari_free(struct ari *ari)
{
    free(ari->explanation);
    memset(ari, 0, sizeof(*ari));
}
