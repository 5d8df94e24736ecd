/**
 * @file renewal_config.h
 * @brief renewal/NAME.conf: the settings that `renew` repeats, written by `certonly`.
 *
 * Certbot's file name, in YAML, read by the table that every other configuration of ours is read
 * by: unknown keys are refused with their line. The file names commands (hooks) that renew runs as
 * its user, so it must belong to root or that user and be writable for nobody else. A new option of
 * certonly that a renewal has to repeat is one row in renewal_config.c.
 */
#ifndef AW_CLIENT_RENEWAL_CONFIG_H
#define AW_CLIENT_RENEWAL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "client/options.h"
#include "common/result.h"
#include "common/yaml.h"

/** One file, read. Release: renewal_config_free. */
struct renewal_config;

/** "ROOT/renewal/NAME.conf"; allocated. */
AW_MUST_USE aw_result renewal_config_path(const char *root, const char *name, char **out);

/**
 * The settings as such a file has them; release with free().
 * @param application the one that the certificate was ordered as
 */
AW_MUST_USE aw_result renewal_config_text(
    const struct options *options, const char *application, char **out);

/** Whether the file has that very text. */
bool renewal_config_has(const char *path, const char *text);

/**
 * Writes the settings durably (0644), in place of what is there; the folder is made (0755). A file
 * that has them already is left alone.
 */
AW_MUST_USE aw_result renewal_config_write(
    const char *path, const struct options *options, const char *application);

/**
 * Reads one and checks it as the command line is checked.
 * @return AW_CODE_NOT_FOUND; AW_CODE_CONFIG when there are faults (in `faults`, each with its line)
 */
AW_MUST_USE aw_result renewal_config_read(
    const char *path, struct aw_faults *faults, struct renewal_config **out);

/** What certonly would have been given; strings live as long as the file. */
struct options *renewal_config_options(struct renewal_config *config);

/** Releases and nulls; NULL is allowed. */
void renewal_config_free(struct renewal_config **config);

/** Removes the file, if there is one. */
AW_MUST_USE aw_result renewal_config_remove(const char *root, const char *name);

/** Called for each certificate that has a file, in order of names. */
typedef aw_result (*renewal_config_visit)(const char *name, void *context);

/** Visits the names of all files. */
AW_MUST_USE aw_result renewal_config_list(
    const char *root, renewal_config_visit visit, void *context);

#endif
