#include "client/text.h"

#include <stdarg.h>
#include <stdio.h>

void
client_text_add(struct client_text *t, const char *format, ...)
{
    size_t room = sizeof(t->bytes) - t->used;
    va_list ap;

    va_start(ap, format);
    int length = vsnprintf(t->bytes + t->used, room, format, ap);
    va_end(ap);
    if (length > 0)
        t->used += (size_t)length < room ? (size_t)length : room - 1;
}
