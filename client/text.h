/**
 * @file text.h
 * @brief A message that is built up piece by piece and cut where it is full.
 */
#ifndef AW_CLIENT_TEXT_H
#define AW_CLIENT_TEXT_H

#include <stddef.h>

#include "common/result.h"

/** A text; begin with a zeroed struct. Always ended by a NUL. */
struct client_text {
    char bytes[AW_ERROR_MESSAGE_SIZE];
    size_t used;
};

/** Adds to it, as printf. */
void client_text_add(struct client_text *t, const char *format, ...) AW_PRINTF(2, 3);

#endif
