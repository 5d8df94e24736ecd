/**
 * @file confine.h
 * @brief The relay's sandbox: what it may reach, by its configuration.
 */
#ifndef AW_RELAY_CONFINE_H
#define AW_RELAY_CONFINE_H

#include "common/result.h"
#include "relay/config.h"

/** Refuses, with what to do, when the kernel does not offer what is to be in force; then puts it in
 * force. Before there is a second thread. */
AW_MUST_USE aw_result relay_confine(const struct relay_config *config);

#endif
