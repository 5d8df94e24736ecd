#include "client/ssh_url.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

#define SCHEME "ssh://"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum {
    HOST_MAX = 255, /* octets; RFC 1035 2.3.4 */
    USER_MAX = 64,
    PORT_DIGITS_MAX = 5,
    SOCKET_MAX = 107, /* unix(7): sun_path without its NUL */
};

bool
ssh_url_is(const char *text)
{
    return strncmp(text, SCHEME, sizeof(SCHEME) - 1) == 0;
}

void
ssh_url_free(struct ssh_url *url)
{
    free(url->user);
    free(url->host);
    free(url->port);
    free(url->socket);
    memset(url, 0, sizeof(*url));
}

/* A piece of the text. */
struct piece {
    const char *text;
    size_t length;
};

static aw_result
copy(struct piece piece, char **out)
{
    *out = strndup(piece.text, piece.length);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

/* A piece of the allowed characters that does not look like an option. */
static bool
is_word(struct piece piece, const char *allowed, size_t max)
{
    return piece.length > 0 && piece.length <= max && piece.text[0] != '-' &&
           strspn(piece.text, allowed) >= piece.length;
}

static aw_result
take_user(struct piece *rest, struct ssh_url *out)
{
    const char *at = memchr(rest->text, '@', rest->length);

    if (at == NULL)
        return AW_OK;
    struct piece user = {rest->text, (size_t)(at - rest->text)};
    rest->text = at + 1;
    rest->length -= user.length + 1;
    if (!is_word(user, LETTERS DIGITS "_.-", USER_MAX))
        return aw_fail(AW_CODE_CONFIG,
            "found the user \"%.*s\", expected 1 to %d letters, digits and _ . -; there is no "
            "password in the URL",
            (int)user.length, user.text, USER_MAX);
    return copy(user, &out->user);
}

static aw_result
take_port(struct piece port, struct ssh_url *out)
{
    AW_TRY(copy(port, &out->port));
    long number = is_word(port, DIGITS, PORT_DIGITS_MAX) ? strtol(out->port, NULL, 10) : 0;
    if (number < 1 || number > 65535)
        return aw_fail(AW_CODE_CONFIG, "found the port \"%.40s\", expected 1 to 65535", out->port);
    return AW_OK;
}

/* RFC 3986 3.2.2: an IPv6 address stands in brackets, so that its colons begin no port. */
static aw_result
take_host(struct piece rest, struct ssh_url *out)
{
    bool bracketed = rest.length > 0 && rest.text[0] == '[';
    const char *end =
        bracketed ? memchr(rest.text, ']', rest.length) : memchr(rest.text, ':', rest.length);
    struct piece host = rest, port = {NULL, 0};

    if (bracketed && end == NULL)
        return aw_fail(AW_CODE_CONFIG, "found \"[\" without \"]\"");
    if (end != NULL) {
        host = (struct piece){rest.text + bracketed, (size_t)(end - rest.text) - bracketed};
        port.text = end + bracketed;
        port.length = rest.length - (size_t)(port.text - rest.text);
    }
    if (!is_word(host, bracketed ? DIGITS "abcdefABCDEF:." : LETTERS DIGITS "_.-", HOST_MAX))
        return aw_fail(AW_CODE_CONFIG,
            "found the host \"%.*s\", expected a name of letters, digits and _ . -, or an address",
            (int)host.length, host.text);
    AW_TRY(copy(host, &out->host));
    if (port.length == 0)
        return AW_OK;
    if (port.text[0] != ':')
        return aw_fail(AW_CODE_CONFIG, "found \"%.*s\" behind the host, expected :port or /socket",
            (int)port.length, port.text);
    return take_port((struct piece){port.text + 1, port.length - 1}, out);
}

static aw_result
take_socket(const char *path, struct ssh_url *out)
{
    struct piece piece = {path, strlen(path)};

    if (piece.length <= 1)
        return AW_OK;
    if (!is_word(piece, LETTERS DIGITS "/_.-", SOCKET_MAX) || strstr(path, "..") != NULL)
        return aw_fail(AW_CODE_CONFIG,
            "found the socket \"%.200s\", expected at most %d letters, digits and / _ . -, "
            "without ..",
            path, SOCKET_MAX);
    return copy(piece, &out->socket);
}

static aw_result
parse(const char *text, struct ssh_url *out)
{
    if (!ssh_url_is(text))
        return aw_fail(AW_CODE_CONFIG, "found \"%.200s\", expected " SCHEME, text);
    struct piece authority = {text + sizeof(SCHEME) - 1, 0};
    authority.length = strcspn(authority.text, "/");
    const char *path = authority.text + authority.length;
    AW_TRY(take_user(&authority, out));
    AW_TRY(take_host(authority, out));
    return take_socket(path, out);
}

aw_result
ssh_url_parse(const char *text, struct ssh_url *out)
{
    memset(out, 0, sizeof(*out));
    aw_result r = parse(text, out);
    if (aw_ok(r))
        return r;
    ssh_url_free(out);
    return aw_hint(r, "a signer on another host is named ssh://user@host, with :port and /socket "
                      "where they are not the usual ones");
}
