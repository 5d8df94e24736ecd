#include "signer/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"

enum { LOOK_MS = 5 };

/* The least of those from `from` on; -1: none. */
static int
next_kept(int from, const int *keep, size_t count)
{
    int next = -1;

    for (size_t i = 0; i < count; i++)
        if (keep[i] >= from && (next < 0 || keep[i] < next))
            next = keep[i];
    return next;
}

static void
close_others(const int *keep, size_t count)
{
    int from = STDERR_FILENO + 1;

    for (int kept = next_kept(from, keep, count); kept >= 0;
         from = kept + 1, kept = next_kept(from, keep, count))
        if (kept > from)
            close_range((unsigned)from, (unsigned)kept - 1, 0);
    close_range((unsigned)from, ~0U, 0);
}

static bool
begin(const struct child *child, pid_t parent)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    /* The parent may have ended before the child could ask. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return false;
    prctl(PR_SET_NAME, child->name);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN); /* who reads the log may go */
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return false;
    close_others(child->keep, child->keep_count);
    aw_log_never_wait(); /* anew: that closed what it looks at */
    return true;
}

aw_result
child_start(const struct child *child, pid_t *out)
{
    pid_t parent = getpid();

    *out = fork();
    if (*out < 0)
        return aw_fail_errno(AW_CODE_IO, "can't fork");
    if (*out > 0)
        return AW_OK;
    _exit(begin(child, parent) ? child->run(child->context) : 1);
}

void
child_end(pid_t child)
{
    int64_t deadline = aw_now_ms() + CHILD_END_MS;

    for (;;) {
        pid_t ended = waitpid(child, NULL, WNOHANG);

        if (ended == child || (ended < 0 && errno != EINTR))
            return;
        /* A core in its sandbox can't kill: the kernel does when the core ends (see begin). */
        if (aw_now_ms() > deadline && kill(child, SIGKILL) != 0)
            return;
        poll(NULL, 0, LOOK_MS);
    }
}
