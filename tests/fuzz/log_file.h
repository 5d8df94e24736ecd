/**
 * @file log_file.h
 * @brief An audit log as a fuzz target's input: written into the folder, its chain mended.
 */
#ifndef AW_TEST_FUZZ_LOG_FILE_H
#define AW_TEST_FUZZ_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>

/** Path of the log in fuzz_folder(). Release with free(). */
char *log_file_path(void);

/** Makes these octets the log. */
void log_file_write(const void *bytes, size_t size);

/**
 * Puts the digest of the line before into every line that has one, in place, so that what reads the
 * log goes deep; true when that changed any.
 */
bool log_file_mend(char *text, size_t size);

#endif
