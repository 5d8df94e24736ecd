/**
 * @file import_certbot.h
 * @brief One renewal configuration of certbot's, read into the settings that renew repeats.
 *
 * Names come from the certificate, as certbot has it. What means nothing here, or can't be taken
 * over, is listed with its line; a file whose certificate can't be read is a failure.
 */
#ifndef AW_CLIENT_IMPORT_CERTBOT_H
#define AW_CLIENT_IMPORT_CERTBOT_H

#include "client/options.h"
#include "common/result.h"

/** Limits. */
enum { IMPORT_FILE_MAX = 256 * 1024, IMPORT_LEFT_MAX = 100 };

/** Something that was not taken over. */
struct import_left {
    char *what; /**< "KEY = VALUE" */
    const char *why;
    unsigned line;
};

/** One file. Release: import_certbot_free. */
struct import_certbot {
    struct options options; /**< settings; strings are of `texts` */
    struct import_left left[IMPORT_LEFT_MAX];
    size_t left_count;
    char **texts;
    size_t text_count;
};

/** Reads one; AW_CODE_SYNTAX with the line, AW_CODE_IO, AW_CODE_USAGE for what excludes each other.
 */
AW_MUST_USE aw_result import_certbot_read(const char *path, struct import_certbot *out);

/** Releases and zeroes. */
void import_certbot_free(struct import_certbot *file);

#endif
