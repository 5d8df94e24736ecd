/**
 * @file networks.h
 * @brief Networks of relay.yaml: the addresses that may be connected to for a validation.
 */
#ifndef AW_RELAY_NETWORKS_H
#define AW_RELAY_NETWORKS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/yaml.h"

/** Whether it is "ADDRESS/PREFIX" or "ADDRESS", with no bits set behind the prefix, and not of
 * IPv4-mapped addresses, which count as IPv4. */
bool relay_network_check(const char *text);

/** Whether an address is in one of them; an IPv4-mapped address counts as IPv4. */
bool relay_networks_hold(const struct aw_yaml_strings *networks, const struct sockaddr *address);

#endif
