/* The table of options, their help, and what certbot's are answered that mean nothing here. */
#include "client/options.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define AT(member) offsetof(struct options, member)
#define FLAG(option, letter, member, commands, help)                   \
    {                                                                  \
        option, NULL, help, AT(member), commands, OPTIONS_FLAG, letter \
    }
#define TEXT(option, letter, value, member, commands, help)             \
    {                                                                   \
        option, value, help, AT(member), commands, OPTIONS_TEXT, letter \
    }
#define DOMAIN(option, letter, help)                                              \
    {                                                                             \
        option, "NAME", help, AT(names), OPTIONS_CERTONLY, OPTIONS_DOMAIN, letter \
    }
#define ACCOUNT(option, letter, value)                                            \
    {                                                                             \
        option, value, NULL, AT(account), OPTIONS_CERTONLY, OPTIONS_NOTED, letter \
    }
#define REFUSED(option, value, why)                            \
    {                                                          \
        option, value, why, 0, OPTIONS_ALL, OPTIONS_REFUSED, 0 \
    }

#define WHY_EAB                                                                             \
    "the EAB key stays in the token: an administrator imports it once with acmeward-admin " \
    "eab import. What was typed here could be read by every local user (ps): if it was "    \
    "real, have the CA issue a new one"

/* A TEXT without help is another spelling. */
const struct options_row options_table[] = {
    DOMAIN("domain", 'd', "name of the certificate; again, or with commas, for more"),
    DOMAIN("domains", 0, NULL),
    TEXT("cert-name", 0, "NAME", cert_name, OPTIONS_STORE & ~OPTIONS_IMPORT,
        "what to call the certificate on disk; default: its first name"),
    TEXT("application", 0, "APP", application,
        (OPTIONS_SIGNER & ~OPTIONS_REPEATING) | OPTIONS_IMPORT,
        "the application of the policy to act as; default: the only one"),
    TEXT("csr", 0, "FILE", csr, OPTIONS_CERTONLY,
        "request made elsewhere, PEM or DER; \"-\" is standard input. The key stays there, and "
        "nothing is stored here"),
    TEXT("cert-path", 0, "FILE", cert_path, OPTIONS_REVOKE | OPTIONS_CERTONLY,
        "the certificate to revoke, in PEM, where it is not stored here; with --csr, where to "
        "write the certificate"),
    TEXT("chain-path", 0, "FILE", chain_path, OPTIONS_CERTONLY,
        "with --csr, where to write the chain above it"),
    TEXT("fullchain-path", 0, "FILE", fullchain_path, OPTIONS_CERTONLY,
        "with --csr, where to write both; without any of the three, both go to standard output"),
    TEXT("key-path", 0, "FILE", key_path, OPTIONS_REVOKE,
        "sign with the certificate's own private key (a pkcs11: URI where it is in a token): "
        "neither "
        "account nor signer is needed"),
    TEXT("reason", 0, "REASON", reason, OPTIONS_REVOKE,
        "unspecified, keycompromise (with the certificate's own key), affiliationchanged, "
        "superseded or cessationofoperation"),
    FLAG("delete-after-revoke", 0, delete_after_revoke, OPTIONS_REVOKE,
        "remove the certificate's files, its keys included"),
    FLAG("no-delete-after-revoke", 0, no_delete_after_revoke, OPTIONS_REVOKE,
        "leave them there, as happens anyway"),
    TEXT("format", 0, "FORMAT", export_format, OPTIONS_EXPORT,
        "pem (a folder), pkcs12 (also for Java), iis-ccs (IIS Central Certificate Store) or "
        "haproxy (chain and key in one file)"),
    TEXT("out", 0, "PATH", export_out, OPTIONS_EXPORT,
        "the file; for pem and iis-ccs the folder. Files are replaced atomically"),
    TEXT("passphrase-file", 0, "FILE", passphrase_file, OPTIONS_EXPORT,
        "passphrase for pkcs12 and iis-ccs: one line, readable by its owner only"),
    TEXT("passphrase-fd", 0, "NUMBER", passphrase_fd, OPTIONS_EXPORT,
        "read the passphrase from that descriptor; 0 is standard input"),
    TEXT("pkcs12-algorithms", 0, "WHICH", pkcs12_algorithms, OPTIONS_EXPORT,
        "aes, or legacy (triple DES, SHA-1) for Windows Server 2016 and older; default: aes"),
    TEXT("group", 0, "GROUP", group, OPTIONS_EXPORT,
        "group that may read the files with the key: mode 0640 instead of 0600"),
    FLAG("webroot", 0, webroot, OPTIONS_CERTONLY,
        "where validation is needed: put files below the folder of a running web server"),
    TEXT("webroot-path", 'w', "DIR", webroot_path, OPTIONS_CERTONLY,
        "that folder, for the names that follow it"),
    FLAG("standalone", 0, standalone, OPTIONS_CERTONLY,
        "where validation is needed: answer on port 80 meanwhile"),
    FLAG("manual", 0, manual, OPTIONS_CERTONLY,
        "where validation is needed: by commands of yours, for http-01 and dns-01"),
    TEXT("manual-auth-hook", 0, "COMMAND", manual_auth_hook, OPTIONS_CERTONLY,
        "puts CERTBOT_VALIDATION where the CA will look for it"),
    TEXT("manual-cleanup-hook", 0, "COMMAND", manual_cleanup_hook, OPTIONS_CERTONLY,
        "removes it again"),
    FLAG("dns-rfc2136", 0, dns_rfc2136, OPTIONS_CERTONLY,
        "where validation is needed: by dynamic updates of the DNS zone; wildcards too"),
    TEXT("dns-rfc2136-credentials", 0, "FILE", dns_rfc2136_credentials, OPTIONS_CERTONLY,
        "the DNS server and the TSIG key for that, as certbot has it; mode 0600"),
    TEXT("dns-rfc2136-propagation-seconds", 0, "SECONDS", dns_rfc2136_seconds, OPTIONS_CERTONLY,
        "how long the zone's servers are waited for at most; default: 60"),
    TEXT("authenticator", 'a', "NAME", authenticator, OPTIONS_CERTONLY, NULL),
    TEXT("preferred-challenges", 0, "TYPE", preferred_challenges, OPTIONS_CERTONLY,
        "http, dns or tls-alpn; several with commas between, the best first"),
    TEXT("http-01-port", 0, "PORT", http_01_port, OPTIONS_CERTONLY,
        "listen there for --standalone, behind a redirection of port 80"),
    TEXT("http-01-address", 0, "ADDRESS", http_01_address, OPTIONS_CERTONLY,
        "listen at that address only"),
    TEXT("tls-alpn-01-port", 0, "PORT", tls_alpn_01_port, OPTIONS_CERTONLY,
        "listen there for --standalone --preferred-challenges tls-alpn, behind a redirection of "
        "port 443"),
    TEXT("tls-alpn-01-address", 0, "ADDRESS", tls_alpn_01_address, OPTIONS_CERTONLY,
        "listen at that address only"),
    TEXT("issuance-timeout", 0, "SECONDS", issuance_timeout, OPTIONS_ORDERING | OPTIONS_ORDERS,
        "how long the CA may take in all; default: 3600. The next run goes on with the order"),
    TEXT("key-type", 0, "TYPE", key_type, OPTIONS_CERTONLY,
        "ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096, ecdsa or rsa"),
    TEXT("elliptic-curve", 0, "CURVE", elliptic_curve, OPTIONS_CERTONLY,
        "secp256r1 or secp384r1, for --key-type ecdsa"),
    TEXT("rsa-key-size", 0, "BITS", rsa_key_size, OPTIONS_CERTONLY,
        "2048, 3072 or 4096, for --key-type rsa"),
    TEXT("required-profile", 0, "PROFILE", profile, OPTIONS_CERTONLY,
        "certificate profile of the CA, or no order"),
    TEXT("profile", 0, "PROFILE", profile, OPTIONS_CERTONLY, NULL),
    TEXT("preferred-profile", 0, "PROFILE", preferred_profile, OPTIONS_CERTONLY,
        "certificate profile, where the CA has it"),
    TEXT("preferred-chain", 0, "ISSUER", preferred_chain, OPTIONS_CERTONLY,
        "of several chains that the CA offers, the one whose topmost certificate has an issuer "
        "with that common name"),
    TEXT("key-uri", 0, "URI", key_uri, OPTIONS_CERTONLY,
        "keep the key in a token: pkcs11:token=NAME;object=NAME, made there when it is not there "
        "yet; the server uses it by the same URI"),
    FLAG("reuse-key", 0, reuse_key, OPTIONS_CERTONLY,
        "keep the private key of the certificate that is replaced; renewals do so too"),
    FLAG("no-reuse-key", 0, keep, OPTIONS_CERTONLY, NULL),
    FLAG("new-key", 0, new_key, OPTIONS_CERTONLY, "a new key this once, although --reuse-key"),
    FLAG("must-staple", 0, must_staple, OPTIONS_CERTONLY,
        "ask for the extension that makes browsers insist on a stapled OCSP answer"),
    TEXT("pre-hook", 0, "COMMAND", pre_hook, OPTIONS_ORDERING,
        "run this before anything is ordered; once, however many certificates name it"),
    TEXT("post-hook", 0, "COMMAND", post_hook, OPTIONS_ORDERING,
        "run this at the end, when something was to be ordered, whatever came of it"),
    TEXT("deploy-hook", 0, "COMMAND", deploy_hook, OPTIONS_ORDERING,
        "run this for each new certificate, with RENEWED_LINEAGE and RENEWED_DOMAINS"),
    TEXT("renew-hook", 0, "COMMAND", deploy_hook, OPTIONS_ORDERING, NULL),
    FLAG("disable-hook-validation", 0, disable_hook_validation, OPTIONS_ORDERING,
        "don't look for the hooks' programs before anything is ordered"),
    FLAG("no-random-sleep-on-renew", 0, no_random_sleep, OPTIONS_RENEW,
        "don't wait up to 480 seconds first, as is done where nobody watches"),
    TEXT("jobs", 0, "NUMBER", jobs, OPTIONS_REPEATING, "orders at a time; default: 4"),
    FLAG("dry-run", 0, dry_run, OPTIONS_ORDERING,
        "try all that needs no order, and with dry_run_application an order at a staging CA"),
    FLAG("check", 0, check, OPTIONS_CERTONLY,
        "only ask the policy what would be refused; nothing is ordered"),
    FLAG("force-renewal", 0, force_renewal, OPTIONS_ORDERING,
        "order although the certificate is good, or has other names"),
    FLAG("renew-by-default", 0, force_renewal, OPTIONS_ORDERING, NULL),
    FLAG("expand", 0, expand, OPTIONS_CERTONLY, "order when names are added and none dropped"),
    FLAG("renew-with-new-domains", 0, renew_with_new_names, OPTIONS_CERTONLY,
        "order when the names are others"),
    FLAG("keep-until-expiring", 0, keep, OPTIONS_CERTONLY, NULL),
    FLAG("keep", 0, keep, OPTIONS_CERTONLY, NULL),
    FLAG("reinstall", 0, keep, OPTIONS_CERTONLY, NULL),
    TEXT("server", 0, "URL", server, OPTIONS_CA & ~OPTIONS_REPEATING,
        "the directory that the application's account must belong to; revoke with the "
        "certificate's own key: the CA's, and no signer is asked"),
    TEXT("ca-file", 0, "FILE", ca_file, OPTIONS_CA | OPTIONS_DOCTOR,
        "roots to trust for the CA's web server, instead of the system's"),
    TEXT("proxy", 0, "URL", proxy, OPTIONS_CA | OPTIONS_DOCTOR, "proxy to the CA"),
    TEXT("signer", 0, "SOCKET", signer, OPTIONS_SIGNER | OPTIONS_CONNECT | OPTIONS_DOCTOR,
        "the signer's socket, or ssh://user@host where it is on another host"),
    TEXT("config", 'c', "FILE", config, OPTIONS_ALL,
        "configuration; default: /etc/acmeward/client.yaml"),
    TEXT("config-dir", 0, "DIR", config_dir, OPTIONS_STORE | OPTIONS_DOCTOR,
        "where archive/ and live/ are"),
    FLAG("json", 0, json, OPTIONS_ALL, "one JSON object on standard output"),
    FLAG("quiet", 'q', quiet, OPTIONS_ALL, "say nothing but failures and warnings"),
    FLAG("verbose", 'v', verbose, OPTIONS_CA | OPTIONS_DOCTOR,
        "show each call of the signer and each request to the CA; of what is signed all but the "
        "signature"),
    FLAG("non-interactive", 'n', non_interactive, OPTIONS_ALL, "accepted: nothing is ever asked"),
    FLAG("noninteractive", 0, non_interactive, OPTIONS_ALL, NULL),
    FLAG("help", 'h', help, OPTIONS_ALL, "this text"),
    ACCOUNT("agree-tos", 0, NULL),
    ACCOUNT("email", 'm', "ADDRESS"),
    ACCOUNT("no-eff-email", 0, NULL),
    ACCOUNT("eff-email", 0, NULL),
    ACCOUNT("register-unsafely-without-email", 0, NULL),
    ACCOUNT("eab-kid", 0, "KID"),
    REFUSED("eab-hmac-key", "KEY", WHY_EAB),
    REFUSED("staging", NULL,
        "the CA is that of the application's account: ask for an application on an account of a "
        "staging CA, and name it with --application"),
    REFUSED("test-cert", NULL, "see --staging: the CA is that of the application's account"),
    REFUSED("no-verify-ssl", NULL,
        "the CA's web server is always verified: --ca-file names its "
        "roots"),
    {.name = NULL},
};

/* Any spelling that a person could have meant: abbreviations, underscores, one dash. */
static bool
names_secret(const char *argument)
{
    static const char option[] = "eab-hmac-key";
    char name[64];
    size_t length = strcspn(argument, "=");

    if (argument[0] != '-' || length >= sizeof(name))
        return false;
    memcpy(name, argument, length);
    name[length] = '\0';
    const char *bare = name + strspn(name, "-");
    length = strlen(bare);
    return strcasestr(bare, "hmac") != NULL ||
           (length >= 2 && length <= strlen(option) && strncasecmp(option, bare, length) == 0);
}

bool
options_wipe_secrets(int argc, char **argv)
{
    bool found = false;

    for (int i = 1; i < argc; i++) {
        if (!names_secret(argv[i]))
            continue;
        found = true;
        char *value = strchr(argv[i], '=');
        if (value != NULL)
            value++;
        else if (i + 1 < argc)
            value = argv[++i];
        if (value != NULL)
            memset(value, 'x', strlen(value));
    }
    return found;
}

aw_result
options_refuse_secret(void)
{
    return aw_hint(aw_fail(AW_CODE_USAGE, "--eab-hmac-key is not for acmeward"), WHY_EAB);
}

void
options_print_help(unsigned command, FILE *stream)
{
    for (const struct options_row *row = options_table; row->name != NULL; row++) {
        char left[64];

        if (row->help == NULL || (row->commands & command) == 0 || row->kind == OPTIONS_REFUSED)
            continue;
        snprintf(left, sizeof(left), "%c%c%s--%s%s%s", row->letter == 0 ? ' ' : '-',
            row->letter == 0 ? ' ' : row->letter, row->letter == 0 ? "  " : ", ", row->name,
            row->value == NULL ? "" : " ", row->value == NULL ? "" : row->value);
        fprintf(stream, "  %-32s  %s\n", left, row->help);
    }
}
