#include "signer/turned.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/io.h"
#include "common/result.h"

/* His socket takes the answer at once, or never. A gate that holds the connection too ends it. */
static void
tell_first(struct turned *turned)
{
    struct turned_one *one = &turned->items[turned->first];

    aw_ignore(aw_varlink_send(one->stream, one->reply, 0), "the connection ends anyway");
    shutdown(aw_varlink_stream_fd(one->stream), SHUT_RDWR);
    aw_varlink_stream_free(&one->stream);
    aw_free(&one->reply);
    turned->first = (turned->first + 1) % TURNED_MAX;
    turned->count--;
}

void
turned_add(struct turned *turned, aw_varlink_stream **stream, char **reply, int wait_ms)
{
    if (turned->count == TURNED_MAX)
        tell_first(turned);
    turned->items[(turned->first + turned->count) % TURNED_MAX] =
        (struct turned_one){*stream, *reply, aw_now_ms() + wait_ms};
    turned->count++;
    *stream = NULL;
    *reply = NULL;
}

int
turned_tell(struct turned *turned)
{
    while (turned->count > 0) {
        int64_t left = turned->items[turned->first].due_ms - aw_now_ms();

        if (left > 0)
            return (int)left;
        tell_first(turned);
    }
    return -1;
}

void
turned_end(struct turned *turned)
{
    while (turned->count > 0)
        tell_first(turned);
}
