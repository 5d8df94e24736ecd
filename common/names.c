#include "common/names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>

#include "common/io.h"
#include "common/log.h"

/* A text and how it is read. */
struct input {
    const char *text;
    size_t length;
    bool file; /* a person wrote it: U-labels and a single label are allowed */
};

static aw_result
refuse(const struct input *in, const char *reason)
{
    char shown[320];

    aw_log_escape(in->text, in->length, shown, sizeof(shown));
    return aw_fail(AW_CODE_SYNTAX, "name \"%s\": %s", shown, reason);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter_or_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool
is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((uint8_t)text[i] >= 0x80)
            return false;
    return true;
}

/* Only of hexadecimal or decimal digits: what some parsers take for a part of an IPv4 address. */
static bool
is_numeric(const char *label, size_t length)
{
    bool hex = length >= 2 && label[0] == '0' && label[1] == 'x';

    for (size_t i = hex ? 2 : 0; i < length; i++)
        if (!is_digit(label[i]) && !(hex && label[i] >= 'a' && label[i] <= 'f'))
            return false;
    return true;
}

/* Why the octets of a label are none, or NULL. */
static const char *
label_fault(const char *label, size_t length)
{
    if (length == 0)
        return "an empty label";
    for (size_t i = 0; i < length; i++) {
        char c = label[i];
        if (c == '*')
            return "an asterisk must be the whole first label";
        if (c == '_')
            return "an underscore is not allowed in a host name";
        if ((uint8_t)c >= 0x80)
            return "characters beyond ASCII; requests take A-labels (xn--...)";
        if (!is_letter_or_digit(c) && c != '-')
            return "characters other than letters, digits, hyphens and dots";
    }
    if (length > AW_LABEL_MAX)
        return "a label of more than 63 octets";
    if (label[0] == '-' || label[length - 1] == '-')
        return "a hyphen at the beginning or end of a label";
    return NULL;
}

/*
 * RFC 5891 4.2.3.1 keeps "--" in positions 3 and 4 for A-labels, and one must be what its U-label
 * encodes to: idn2_register_u8 decodes it, tests the U-label, encodes it again and compares.
 */
static aw_result
check_alabel(const struct input *in, const char *label, size_t length)
{
    char text[AW_LABEL_MAX + 1];
    uint8_t *encoded = NULL;

    if (length < 4 || label[2] != '-' || label[3] != '-')
        return AW_OK;
    if (memcmp(label, "xn", 2) != 0)
        return refuse(in, "\"--\" as third and fourth character of a label");
    memcpy(text, label, length);
    text[length] = '\0';
    int rc = idn2_register_u8(NULL, (const uint8_t *)text, &encoded, 0);
    idn2_free(encoded);
    if (rc == IDN2_MALLOC)
        return aw_fail_memory();
    if (rc != IDN2_OK)
        return aw_hint(
            refuse(in, "an A-label (xn--...) that is not valid"), "libidn2: %s", idn2_strerror(rc));
    return AW_OK;
}

static aw_result
check_label(const struct input *in, const char *label, size_t length)
{
    const char *fault = label_fault(label, length);

    if (fault == NULL)
        return check_alabel(in, label, length);
    if (!is_ascii(label, length))
        return aw_hint(refuse(in, fault), "write the name as the command idn2 prints it");
    return refuse(in, fault);
}

/* Checks the labels of `host`, a part of out->text, and counts them. */
static aw_result
check_labels(const struct input *in, const char *host, struct aw_name *out)
{
    const char *label = host;
    size_t length;

    for (;; label += length + 1) {
        length = strcspn(label, ".");
        if (length == 0 && *label == '\0' && label != host)
            return aw_hint(refuse(in, "a trailing dot"), "leave the dot at the end off");
        AW_TRY(check_label(in, label, length));
        out->labels++;
        if (label[length] == '\0')
            break;
    }
    if (is_numeric(label, length))
        return refuse(in, "a numeric last label");
    if (label == host && !in->file)
        return refuse(in, "a single label; a fully qualified name is expected");
    return AW_OK;
}

static bool
is_address(const char *text)
{
    uint8_t octets[16];

    return inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1;
}

/* Lowers and copies; the checks see the canonical text. */
static aw_result
parse_ascii(const struct input *in, struct aw_name *out)
{
    const char *host = out->text;

    *out = (struct aw_name){.form = AW_NAME_HOST};
    if (in->length == 0)
        return refuse(in, "empty");
    if (memchr(in->text, '\0', in->length) != NULL)
        return refuse(in, "a NUL octet");
    if (in->length > AW_NAME_MAX)
        return refuse(in, "more than 253 octets");
    for (size_t i = 0; i < in->length; i++) {
        char c = in->text[i];
        out->text[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    out->length = (uint8_t)in->length;
    if (is_address(out->text))
        return aw_hint(refuse(in, "an IP address where a DNS name is expected"),
            "an address is an identifier of type ip (RFC 8738)");
    if (strncmp(out->text, "*.", 2) == 0) {
        out->form = AW_NAME_WILDCARD;
        out->labels = 1;
        host += 2;
    }
    return check_labels(in, host, out);
}

/* A name that failed half-way is no name. */
static aw_result
parse(const struct input *in, struct aw_name *out)
{
    aw_result r = parse_ascii(in, out);

    if (!aw_ok(r))
        *out = (struct aw_name){0};
    return r;
}

aw_result
aw_name_parse(const char *text, size_t length, struct aw_name *out)
{
    return parse(&(struct input){text, length, false}, out);
}

/* IDNA2008, non-transitional, after UTS 46's mapping: a person may have typed capitals. What comes
 * out is not trusted, but parsed like a name that was written so. */
static aw_result
parse_encoded(const struct input *in, const char *given, struct aw_name *out)
{
    size_t star = strncmp(given, "*.", 2) == 0 ? 2 : 0;
    AW_CLEANUP(aw_free) char *ascii = NULL;
    char *encoded = NULL;

    int rc = idn2_to_ascii_8z(given + star, &encoded, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc == IDN2_MALLOC)
        return aw_fail_memory();
    if (rc != IDN2_OK)
        return aw_hint(
            refuse(in, "not a valid internationalized name"), "libidn2: %s", idn2_strerror(rc));
    aw_result r = aw_format(&ascii, "%.*s%s", (int)star, given, encoded);
    idn2_free(encoded);
    AW_TRY(r);
    return parse(&(struct input){ascii, strlen(ascii), true}, out);
}

aw_result
aw_name_parse_file(const char *text, size_t length, struct aw_name *out)
{
    struct input in = {text, length, true};
    char given[4 * AW_NAME_MAX + 1];

    if (is_ascii(text, length))
        return parse(&in, out);
    *out = (struct aw_name){0};
    if (length >= sizeof(given))
        return refuse(&in, "more than 253 octets");
    if (memchr(text, '\0', length) != NULL)
        return refuse(&in, "a NUL octet");
    memcpy(given, text, length);
    given[length] = '\0';
    return parse_encoded(&in, given, out);
}

/* 4 or 16 octets, and their text in canonical form. */
static void
set_address(const uint8_t *octets, size_t size, struct aw_name *out)
{
    *out = (struct aw_name){.form = AW_NAME_ADDRESS, .address_size = (uint8_t)size};
    memcpy(out->address, octets, size);
    inet_ntop(size == 4 ? AF_INET : AF_INET6, out->address, out->text, sizeof(out->text));
    out->length = (uint8_t)strlen(out->text);
}

/* ::ffff:0:0/96: another name of an IPv4 address, which rules for that address would not see. */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

aw_result
aw_name_from_address(const uint8_t *octets, size_t size, struct aw_name *out)
{
    *out = (struct aw_name){0};
    if (size != 4 && size != 16)
        return aw_fail(AW_CODE_SYNTAX, "an IP address of %zu octets, expected 4 or 16", size);
    if (size == 16 && memcmp(octets, mapped, sizeof(mapped)) == 0)
        return aw_fail(AW_CODE_SYNTAX,
            "the IPv4 address %u.%u.%u.%u in the form of IPv6 (RFC 4291 2.5.5.2)", octets[12],
            octets[13], octets[14], octets[15]);
    set_address(octets, size, out);
    return AW_OK;
}

aw_result
aw_name_parse_address(const char *text, size_t length, struct aw_name *out)
{
    struct input in = {text, length, false};
    char given[INET6_ADDRSTRLEN + 1];
    uint8_t octets[16];

    *out = (struct aw_name){0};
    if (length > INET6_ADDRSTRLEN || memchr(text, '\0', length) != NULL)
        return refuse(&in, "not an IP address");
    memcpy(given, text, length);
    given[length] = '\0';
    if (inet_pton(AF_INET, given, octets) == 1)
        set_address(octets, 4, out);
    else if (inet_pton(AF_INET6, given, octets) == 1)
        AW_TRY(aw_name_from_address(octets, 16, out));
    else
        return refuse(&in, "not an IP address");
    if (strcmp(given, out->text) == 0)
        return AW_OK;
    aw_result r = aw_hint(
        refuse(&in, "an IP address not in canonical form (RFC 5952)"), "write it as %s", out->text);
    *out = (struct aw_name){0};
    return r;
}

const char *
aw_name_type(const struct aw_name *name)
{
    return name->form == AW_NAME_ADDRESS ? "ip" : "dns";
}

int
aw_name_compare(const struct aw_name *a, const struct aw_name *b)
{
    int order = strcmp(a->text, b->text);

    return order != 0 ? order : (int)a->form - (int)b->form;
}

static int
compare_elements(const void *a, const void *b)
{
    return aw_name_compare(a, b);
}

bool
aw_names_sort(struct aw_name *names, size_t count)
{
    if (count < 2)
        return true;
    qsort(names, count, sizeof(*names), compare_elements);
    for (size_t i = 1; i < count; i++)
        if (aw_name_compare(&names[i - 1], &names[i]) == 0)
            return false;
    return true;
}
