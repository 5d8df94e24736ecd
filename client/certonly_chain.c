/* --preferred-chain: of several chains, the one up to an issuer of that name. */
#include <string.h>

#include <openssl/x509.h>

#include "client/certonly.h"
#include "client/chain.h"

/* As certbot has it: the issuer of the topmost certificate, by its common name. */
bool
certonly_is_preferred(const struct certonly *c, const char *text, size_t size)
{
    AW_CLEANUP(chain_free) struct chain chain = {0};
    char name[256];

    if (!aw_ok(chain_read_bare(text, size, &chain)) || chain.count == 0)
        return false;
    const X509_NAME *issuer = X509_get_issuer_name(chain.certificates[chain.count - 1]);
    return X509_NAME_get_text_by_NID(issuer, NID_commonName, name, sizeof(name)) > 0 &&
           strcmp(name, c->options->preferred_chain) == 0;
}
