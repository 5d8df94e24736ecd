/* Notes between keeper and core: an octet, perhaps a descriptor. */
#include <unistd.h>

#include "signer/keeper_child.h"
#include "signer/passing.h"

bool
keeper_note_send(int socket, char what, int fd)
{
    return passing_send(socket, what, &fd, fd >= 0 ? 1 : 0) == 1;
}

bool
keeper_note_take(int socket, char *what, int *fd)
{
    struct passing passed;

    *fd = -1;
    if (passing_take(socket, what, 1, &passed) != 1)
        return false;
    *fd = passed.fds[0];
    if (passed.fds[1] >= 0)
        close(passed.fds[1]); /* nobody sends two */
    return true;
}
