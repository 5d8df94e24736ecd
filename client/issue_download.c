/* The certificate, and of several chains that the CA offers the one that is preferred. */
#include <stdlib.h>
#include <string.h>

#include "client/issue_internal.h"

static aw_result
check_text(const struct http_response *response)
{
    if (response->size == 0)
        return aw_fail(AW_CODE_SYNTAX, "the CA's certificate is empty");
    if (strlen(response->body) != response->size)
        return aw_fail(
            AW_CODE_SYNTAX, "the CA's certificate has a NUL at octet %zu", strlen(response->body));
    return AW_OK;
}

static aw_result
fetch(struct issue *issue, const char *url, struct http_response *out)
{
    struct signer_claim claim = {"certificate", url};

    AW_TRY(acme_url_check(issue->pinned, url, "certificate"));
    AW_TRY(signer_claim_urls(issue->link, &issue->result.order, &claim, 1));
    AW_TRY(issue_post(issue, "PostAsGet", url, "application/pem-certificate-chain", out));
    return check_text(out);
}

static void
take(struct issue *issue, struct http_response *response)
{
    free(issue->result.chain);
    issue->result.chain_size = response->size;
    issue->result.chain = AW_MOVE(response->body);
}

static bool
is_preferred(const struct issue *issue, const struct http_response *response)
{
    const struct issue_callbacks *callbacks = issue->callbacks;

    return callbacks->prefer(callbacks->context, response->body, response->size);
}

/* RFC 8555 7.4.2: others are named by links of the first. What goes wrong with one of them does
 * not take away the one that is there. */
static void
look_for_preferred(struct issue *issue, const struct http_response *first)
{
    for (size_t i = 0; i < first->link_count; i++) {
        AW_CLEANUP(http_response_free) struct http_response other = {0};

        if (strcmp(first->links[i].rel, "alternate") != 0 ||
            !aw_ok(fetch(issue, first->links[i].url, &other)) || !is_preferred(issue, &other))
            continue;
        take(issue, &other);
        return;
    }
}

aw_result
issue_download(struct issue *issue)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    if (issue->order.certificate == NULL)
        return aw_hint(aw_fail(AW_CODE_SYNTAX, "the CA's valid order names no certificate"),
            "RFC 8555 7.1.3 wants its URL there: report it to the CA");
    issue_tell(issue, ISSUE_DOWNLOAD, NULL, NULL);
    AW_TRY(fetch(issue, issue->order.certificate, &response));
    bool search = issue->callbacks->prefer != NULL && !is_preferred(issue, &response);
    take(issue, &response);
    if (search)
        look_for_preferred(issue, &response);
    issue->result.certificate_url = AW_MOVE(issue->order.certificate);
    return AW_OK;
}
