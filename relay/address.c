#include "relay/address.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static bool
parse_port(const char *text, in_port_t *out)
{
    char *end;

    if (text[0] < '1' || text[0] > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    *out = htons((in_port_t)port);
    return *end == '\0' && port <= UINT16_MAX;
}

static bool
parse_v6(const char *text, in_port_t port, struct relay_address *out)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = port};

    if (inet_pton(AF_INET6, text, &address.sin6_addr) != 1)
        return false;
    memcpy(&out->storage, &address, sizeof(address));
    out->size = sizeof(address);
    return true;
}

static bool
parse_v4(const char *text, in_port_t port, struct relay_address *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};

    if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
        return false;
    memcpy(&out->storage, &address, sizeof(address));
    out->size = sizeof(address);
    return true;
}

bool
relay_address_parse(const char *text, struct relay_address *out)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    in_port_t port;

    memset(out, 0, sizeof(*out));
    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    size_t length = (size_t)(colon - text);
    if (length >= sizeof(host))
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    if (host[0] != '[')
        return parse_v4(host, port, out);
    if (length < 2 || host[length - 1] != ']')
        return false;
    host[length - 1] = '\0';
    return parse_v6(host + 1, port, out);
}

static const struct in6_addr *
v6_of(const struct sockaddr_storage *address)
{
    return &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
}

static struct in_addr
v4_of(const struct sockaddr_storage *address)
{
    struct in_addr out;

    if (address->ss_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)address)->sin_addr;
    memcpy(&out, v6_of(address)->s6_addr + 12, sizeof(out));
    return out;
}

static bool
is_v4(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ||
           (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6_of(address)));
}

void
relay_address_text(const struct sockaddr_storage *address, char out[RELAY_ADDRESS_SIZE])
{
    out[0] = '\0';
    if (is_v4(address)) {
        struct in_addr v4 = v4_of(address);
        inet_ntop(AF_INET, &v4, out, RELAY_ADDRESS_SIZE);
    } else if (address->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, v6_of(address), out, RELAY_ADDRESS_SIZE);
    }
}

struct relay_neighbourhood
relay_address_neighbourhood(const struct sockaddr_storage *address)
{
    struct relay_neighbourhood out = {0, 0};

    if (is_v4(address))
        out.low = UINT64_C(0xffff00000000) | ntohl(v4_of(address).s_addr);
    else if (address->ss_family == AF_INET6)
        memcpy(&out.high, v6_of(address)->s6_addr, sizeof(out.high));
    return out;
}
