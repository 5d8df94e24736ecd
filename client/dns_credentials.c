#include "client/dns_credentials.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/io.h"

static const char prefix[] = "dns_rfc2136_";

/* What the file has, as text. */
struct raw {
    const char *server, *port, *name, *secret, *algorithm, *sign_query, *propagation_servers;
};

static const struct {
    const char *key;
    size_t offset;
} keys[] = {
    {"server", offsetof(struct raw, server)},
    {"port", offsetof(struct raw, port)},
    {"name", offsetof(struct raw, name)},
    {"secret", offsetof(struct raw, secret)},
    {"algorithm", offsetof(struct raw, algorithm)},
    {"sign_query", offsetof(struct raw, sign_query)},
    {"propagation_servers", offsetof(struct raw, propagation_servers)},
};

/* certbot's names, and TSIG's (RFC 8945 6). libldns 1.8 has no others. */
static const struct {
    const char *name, *algorithm;
} algorithms[] = {
    {"HMAC-SHA256", "hmac-sha256."},
    {"HMAC-SHA512", "hmac-sha512."},
    {"HMAC-SHA1", "hmac-sha1."},
    {"HMAC-MD5", "hmac-md5.sig-alg.reg.int."},
};

/* Lines. */

static aw_result
bad_line(const char *path, unsigned line, const char *what)
{
    return aw_hint(aw_fail(AW_CODE_CONFIG, "%s:%u: %s", path, line, what),
        "expected lines like dns_rfc2136_server = 192.0.2.1; acmeward(1) lists them");
}

/* Cuts blanks on both sides, and quotes that stand on both. */
static char *
trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
        length--;
    if (length >= 2 && text[0] == text[length - 1] && (text[0] == '"' || text[0] == '\'')) {
        text++;
        length -= 2;
    }
    text[length] = '\0';
    return text;
}

static const char **
slot_of(const char *key, struct raw *raw)
{
    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return NULL;
    for (size_t i = 0; i < AW_COUNT(keys); i++)
        if (strcmp(key + strlen(prefix), keys[i].key) == 0)
            return (const char **)(void *)((char *)raw + keys[i].offset);
    return NULL;
}

static aw_result
take_line(const char *path, unsigned number, char *line, struct raw *raw)
{
    line += strspn(line, " \t\r");
    if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
        return AW_OK;
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return bad_line(path, number, "there is no \"=\"");
    *equals = '\0';
    const char **slot = slot_of(trim(line), raw);
    const char *value = trim(equals + 1);
    if (slot == NULL)
        return bad_line(path, number, "an unknown key");
    if (*slot != NULL)
        return bad_line(path, number, "a key that was there already");
    if (value[0] == '\0')
        return bad_line(path, number, "a key without a value");
    *slot = value;
    return AW_OK;
}

static aw_result
take_lines(const char *path, char *text, struct raw *raw)
{
    unsigned number = 1;

    for (char *line = text; line != NULL; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        AW_TRY(take_line(path, number, line, raw));
        line = end;
    }
    return AW_OK;
}

/* Values. */

/* 0: it is none. */
static unsigned
port_of(const char *text, size_t length)
{
    bool digits = length >= 1 && length <= 5 && strspn(text, "0123456789") == length;
    unsigned long port = digits ? strtoul(text, NULL, 10) : 0;

    return port <= 65535 ? (unsigned)port : 0;
}

static aw_result
take_port(const char *path, const char *text, unsigned *out)
{
    *out = text == NULL ? DNS_PORT : port_of(text, strlen(text));
    return *out != 0 ? AW_OK
                     : aw_fail(AW_CODE_CONFIG, "%s: dns_rfc2136_port: expected 1 to 65535", path);
}

/* Before a record is made: whom to ask for it is found afterwards. */
static aw_result
check_servers(const char *path, const char *list)
{
    static const char between[] = ", \t";
    unsigned number = 1;

    for (list += strspn(list, between); *list != '\0'; number++) {
        size_t length = strcspn(list, between);
        const char *at = memchr(list, '@', length);

        if (at == list || length >= DNS_SERVER_TEXT_SIZE ||
            (at != NULL && port_of(at + 1, length - (size_t)(at + 1 - list)) == 0))
            return aw_fail(AW_CODE_CONFIG,
                "%s: dns_rfc2136_propagation_servers: server %u: expected ADDRESS or ADDRESS@PORT",
                path, number);
        list += length;
        list += strspn(list, between);
    }
    return AW_OK;
}

static aw_result
take_algorithm(const char *path, const char *text, const char **out)
{
    *out = algorithms[0].algorithm;
    if (text == NULL)
        return AW_OK;
    for (size_t i = 0; i < AW_COUNT(algorithms); i++)
        if (strcasecmp(text, algorithms[i].name) == 0) {
            *out = algorithms[i].algorithm;
            return AW_OK;
        }
    return aw_fail(AW_CODE_CONFIG,
        "%s: dns_rfc2136_algorithm: expected HMAC-SHA256, HMAC-SHA512, HMAC-SHA1 or HMAC-MD5",
        path);
}

static aw_result
check_secret(const char *path, const char *secret)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

    if (strspn(secret, letters) == strlen(secret))
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_CONFIG, "%s: dns_rfc2136_secret: expected base64", path),
        "it is what tsig-keygen writes as secret");
}

static aw_result
take_values(const char *path, const struct raw *raw, struct dns_credentials *out)
{
    const struct {
        const char *key, *value;
    } needed[] = {{"server", raw->server}, {"name", raw->name}, {"secret", raw->secret}};

    for (size_t i = 0; i < AW_COUNT(needed); i++)
        if (needed[i].value == NULL)
            return aw_fail(AW_CODE_CONFIG, "%s: dns_rfc2136_%s is missing", path, needed[i].key);
    AW_TRY(check_secret(path, raw->secret));
    AW_TRY(take_port(path, raw->port, &out->port));
    if (raw->propagation_servers != NULL)
        AW_TRY(check_servers(path, raw->propagation_servers));
    AW_TRY(take_algorithm(path, raw->algorithm, &out->key.algorithm));
    out->sign_query = raw->sign_query != NULL && strcasecmp(raw->sign_query, "true") == 0;
    if (raw->sign_query != NULL && !out->sign_query && strcasecmp(raw->sign_query, "false") != 0)
        return aw_fail(AW_CODE_CONFIG, "%s: dns_rfc2136_sign_query: expected true or false", path);
    out->server = raw->server;
    out->key.name = raw->name;
    out->key.secret = raw->secret;
    out->propagation_servers = raw->propagation_servers;
    return AW_OK;
}

aw_result
dns_credentials_parse(const char *path, aw_secret **text, struct dns_credentials *out)
{
    AW_CLEANUP(dns_credentials_free) struct dns_credentials read = {.text = AW_MOVE(*text)};
    struct raw raw = {NULL};

    if (memchr(read.text->data, '\0', read.text->size) != NULL)
        return aw_fail(AW_CODE_CONFIG, "%s: a NUL is in it", path);
    AW_TRY(aw_secret_append(read.text, "", 1));
    AW_TRY(take_lines(path, (char *)read.text->data, &raw));
    AW_TRY(take_values(path, &raw, &read));
    *out = read;
    read.text = NULL;
    return AW_OK;
}

aw_result
dns_credentials_load(const char *path, struct dns_credentials *out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;

    memset(out, 0, sizeof(*out));
    AW_TRY(
        aw_context(aw_file_open_checked(path, geteuid(), 0077, &fd), "--dns-rfc2136-credentials"));
    AW_TRY(aw_secret_new(DNS_CREDENTIALS_MAX + 1, &text));
    AW_TRY(aw_context(aw_fd_read_secret(fd, text), "%s", path));
    return dns_credentials_parse(path, &text, out);
}

void
dns_credentials_free(struct dns_credentials *credentials)
{
    aw_secret_free(&credentials->text);
    memset(credentials, 0, sizeof(*credentials));
}
