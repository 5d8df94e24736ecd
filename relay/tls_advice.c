#include "relay/tls_advice.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { HOST_SIZE = 256 };

/* relay.yaml's url is checked: https, then a host, an address in brackets or not, perhaps a port.
 */
static void
host_of(const char *url, char out[HOST_SIZE])
{
    const char *start = strstr(url, "://");
    bool bracket = false;

    start = start == NULL ? url : start + 3;
    bracket = *start == '[';
    start += bracket;
    snprintf(out, HOST_SIZE, "%.*s", (int)strcspn(start, bracket ? "]" : ":/"), start);
}

static bool
is_for(X509 *certificate, const char *host)
{
    return X509_check_host(certificate, host, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(certificate, host, 0) == 1;
}

/* Days from now to the time, rounded down; false: the time is none. */
static bool
days_until(const ASN1_TIME *when, int *days)
{
    int seconds = 0;

    if (ASN1_TIME_diff(days, &seconds, NULL, when) != 1)
        return false;
    *days -= seconds < 0;
    return true;
}

void
relay_tls_advise(X509 *certificate, const char *url, char out[RELAY_TLS_ADVICE_SIZE])
{
    char host[HOST_SIZE];
    int from = 0, until = 0;

    out[0] = '\0';
    if (certificate == NULL)
        return;
    host_of(url, host);
    if (!days_until(X509_get0_notBefore(certificate), &from) ||
        !days_until(X509_get0_notAfter(certificate), &until))
        snprintf(out, RELAY_TLS_ADVICE_SIZE, "its times can't be read");
    else if (until < 0)
        snprintf(out, RELAY_TLS_ADVICE_SIZE, "it has expired: no client goes on; renew it");
    else if (from > 0)
        snprintf(out, RELAY_TLS_ADVICE_SIZE, "it is not valid before %d days from now", from);
    else if (!is_for(certificate, host))
        snprintf(out, RELAY_TLS_ADVICE_SIZE,
            "it is not for %s, the host of url: clients will refuse it", host);
    else if (until < RELAY_TLS_WARN_DAYS)
        snprintf(out, RELAY_TLS_ADVICE_SIZE, "it expires in %d days: is it renewed?", until);
}
