#include "relay/route.h"

#include <string.h>

/* Segments of a path are compared one by one; `rest` is what is left of both. */

enum { ID_MAX_DIGITS = 16 }; /* numbers stay below 2^53 (JSON) */

static bool
read_number(const char *text, size_t length, int64_t *out)
{
    int64_t value = 0;

    if (length == 0 || length > ID_MAX_DIGITS || text[0] == '0')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return value < INT64_C(1) << 53;
}

static bool
read_word(const char *text, size_t length, char out[RELAY_WORD_SIZE])
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    if (length == 0 || length >= RELAY_WORD_SIZE || strspn(text, set) < length)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

static bool
read_type(const char *text, size_t length, char out[RELAY_WORD_SIZE])
{
    static const char *const types[] = {"http-01", "dns-01", "tls-alpn-01"};

    for (size_t i = 0; i < AW_COUNT(types); i++)
        if (strlen(types[i]) == length && memcmp(types[i], text, length) == 0)
            return read_word(text, length, out);
    return false;
}

/* One segment of pattern and path, of these lengths. */
struct segment {
    const char *pattern;
    size_t pattern_length;
    const char *text;
    size_t length;
};

static bool
match_segment(const struct segment *s, struct relay_match *match, unsigned *numbers)
{
    if (s->pattern_length != 1)
        return s->pattern_length == s->length && memcmp(s->pattern, s->text, s->length) == 0;
    switch (s->pattern[0]) {
    case '#':
        return *numbers < RELAY_NUMBERS_MAX &&
               read_number(s->text, s->length, &match->numbers[(*numbers)++]);
    case '!':
        return read_type(s->text, s->length, match->word);
    case '*':
        return read_word(s->text, s->length, match->word);
    default:
        return s->length == 1 && s->pattern[0] == s->text[0];
    }
}

bool
relay_path_matches(const char *pattern, const char *path, struct relay_match *match)
{
    unsigned numbers = 0;

    while (*pattern == '/' && *path == '/') {
        struct segment s = {.pattern = pattern + 1, .text = path + 1};
        s.pattern_length = strcspn(s.pattern, "/");
        s.length = strcspn(s.text, "/");
        if (!match_segment(&s, match, &numbers))
            return false;
        pattern = s.pattern + s.pattern_length;
        path = s.text + s.length;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool
method_fits(enum relay_method asked, enum relay_method offered)
{
    return asked == offered || (asked == RELAY_HEAD && offered == RELAY_GET);
}

void
relay_route_find(enum relay_method method, const char *path, struct relay_match *out)
{
    bool get = false, post = false;

    memset(out, 0, sizeof(*out));
    if (strlen(path) > RELAY_PATH_MAX)
        return;
    for (size_t i = 0; i < relay_route_count; i++) {
        struct relay_match match = {.known = true, .route = &relay_routes[i]};

        if (!relay_path_matches(relay_routes[i].pattern, path, &match))
            continue;
        if (method_fits(method, relay_routes[i].method)) {
            *out = match;
            return;
        }
        out->known = true;
        get = get || relay_routes[i].method == RELAY_GET;
        post = post || relay_routes[i].method == RELAY_POST;
    }
    if (out->known)
        out->allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
}
