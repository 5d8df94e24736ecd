/* Networks of addresses in CIDR notation (RFC 4632, RFC 4291 2.3). */
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

/* A network wider than this is nobody's: the counterpart of the public suffix. */
enum { PREFIX_MIN_IPV4 = 8, PREFIX_MIN_IPV6 = 16 };

/* Decimal, no sign, no leading zero. */
static bool
parse_prefix(const char *digits, size_t length, unsigned *out)
{
    unsigned value = 0;

    if (length == 0 || length > 3 || (digits[0] == '0' && length > 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (unsigned)(digits[i] - '0');
    }
    *out = value;
    return true;
}

static void
keep_prefix(uint8_t address[16], unsigned prefix)
{
    for (unsigned bit = prefix; bit < 128; bit++)
        address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static aw_result
check_host_bits(const struct policy_network *network, const char *text, size_t length)
{
    struct policy_network masked = *network;
    char wanted[POLICY_NETWORK_TEXT_SIZE];

    keep_prefix(masked.address, masked.prefix);
    if (memcmp(masked.address, network->address, sizeof(masked.address)) == 0)
        return AW_OK;
    policy_network_text(&masked, wanted);
    return aw_fail(AW_CODE_SYNTAX, "\"%.*s\" has bits set behind its prefix, expected %s",
        (int)length, text, wanted);
}

aw_result
policy_network_parse(const char *text, size_t length, struct policy_network *out)
{
    const char *slash = memchr(text, '/', length);
    size_t address_length = slash == NULL ? length : (size_t)(slash - text);
    struct aw_name address;
    struct policy_network network = {0};

    AW_TRY(aw_name_parse_address(text, address_length, &address));
    unsigned most = address.address_size * 8u, prefix = most;
    unsigned least = address.address_size == 4 ? PREFIX_MIN_IPV4 : PREFIX_MIN_IPV6;
    if (slash != NULL && !parse_prefix(slash + 1, length - address_length - 1, &prefix))
        prefix = most + 1;
    if (prefix < least || prefix > most)
        return aw_fail(AW_CODE_SYNTAX, "\"%.*s\" has no prefix from %u to %u behind its slash",
            (int)length, text, least, most);
    network.size = address.address_size;
    network.prefix = (uint8_t)prefix;
    memcpy(network.address, address.address, address.address_size);
    AW_TRY(check_host_bits(&network, text, length));
    *out = network;
    return AW_OK;
}

void
policy_network_text(const struct policy_network *network, char out[POLICY_NETWORK_TEXT_SIZE])
{
    struct aw_name address;

    if (!aw_ok(aw_name_from_address(network->address, network->size, &address)))
        snprintf(out, POLICY_NETWORK_TEXT_SIZE, "?");
    else if (network->prefix == network->size * 8u)
        snprintf(out, POLICY_NETWORK_TEXT_SIZE, "%.47s", address.text);
    else
        snprintf(out, POLICY_NETWORK_TEXT_SIZE, "%.47s/%u", address.text, network->prefix);
}
