/**
 * @file directory.h
 * @brief The directory object (RFC 8555 7.1.1).
 */
#ifndef AW_RELAY_DIRECTORY_H
#define AW_RELAY_DIRECTORY_H

#include "common/result.h"
#include "relay/config.h"

/** Writes it, as JSON text; release with free(). */
AW_MUST_USE aw_result relay_directory_write(const struct relay_config *config, char **out);

#endif
