#include "relay/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct network {
    size_t size; /* octets of the address */
    unsigned prefix;
    uint8_t address[16];
};

static bool
bits_same(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool
parse_prefix(const char *text, size_t size, unsigned *out)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    long prefix = strtol(text, &end, 10);
    *out = (unsigned)prefix;
    return *end == '\0' && prefix <= (long)size * 8;
}

/* Bits behind the prefix would say that something else was meant. */
static bool
is_clean(const struct network *network)
{
    static const uint8_t zero[16];
    uint8_t rest[16];

    memcpy(rest, network->address, sizeof(rest));
    for (unsigned bit = 0; bit < network->prefix; bit++)
        rest[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
    return memcmp(rest, zero, network->size) == 0;
}

static bool
parse(const char *text, struct network *out)
{
    char address[64];
    size_t length = strcspn(text, "/");

    memset(out, 0, sizeof(*out));
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET, address, out->address) == 1)
        out->size = 4;
    else if (inet_pton(AF_INET6, address, out->address) == 1)
        out->size = 16;
    else
        return false;
    out->prefix = (unsigned)out->size * 8;
    if (text[length] == '/' && !parse_prefix(text + length + 1, out->size, &out->prefix))
        return false;
    return is_clean(out);
}

/* It would hold nothing: what is asked about is taken for IPv4. */
static bool
is_mapped(const struct network *network)
{
    return network->size == 16 && network->prefix >= 96 &&
           IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)network->address);
}

bool
relay_network_check(const char *text)
{
    struct network network;

    return parse(text, &network) && !is_mapped(&network);
}

static size_t
octets_of(const struct sockaddr *address, const uint8_t **out)
{
    if (address->sa_family == AF_INET) {
        *out = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
        return 4;
    }
    if (address->sa_family != AF_INET6)
        return 0;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    bool mapped = IN6_IS_ADDR_V4MAPPED(six);
    *out = six->s6_addr + (mapped ? 12 : 0);
    return mapped ? 4 : 16;
}

bool
relay_networks_hold(const struct aw_yaml_strings *networks, const struct sockaddr *address)
{
    const uint8_t *octets = NULL;
    size_t size = octets_of(address, &octets);

    for (size_t i = 0; i < networks->count && size > 0; i++) {
        struct network network;
        if (parse(networks->items[i].text, &network) && network.size == size &&
            bits_same(network.address, octets, network.prefix))
            return true;
    }
    return false;
}
