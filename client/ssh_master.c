#include "client/ssh_master.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/interrupt.h"
#include "client/ssh.h"
#include "client/ssh_arguments.h"
#include "common/io.h"

enum {
    START_MS = 2 * SSH_CONNECT_TIMEOUT_S * 1000, /* to connect, and to log in */
    LOOK_MS = 20,
    END_MS = 2000,
};

/* ssh binds a name of 17 octets more first, and a socket's path has 107. */
static const char folder_template[] = "/tmp/acmeward-ssh-XXXXXX";

struct ssh_master {
    char folder[sizeof(folder_template)];
    char *socket;
    int pid_fd; /* not the number, which another may have once it ended */
};

/* In the new process: ssh in our place, that ends when we do, and says nothing. */
static void
become(char *const words[], pid_t parent)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_DFL);
    if (getppid() == parent && nowhere >= 0 && dup2(nowhere, STDIN_FILENO) >= 0 &&
        dup2(nowhere, STDOUT_FILENO) >= 0 && dup2(nowhere, STDERR_FILENO) >= 0)
        execvp(words[0], words);
    _exit(127);
}

static aw_result
spawn(const char *url, const char *config, ssh_master *master)
{
    AW_CLEANUP(ssh_url_free) struct ssh_url parts = {0};
    struct ssh_arguments a = {.count = 0};
    pid_t parent = getpid();

    AW_TRY(ssh_url_parse(url, &parts));
    ssh_arguments_begin(&a, &parts, config, master->socket);
    ssh_arguments_add(&a, "-oControlMaster=yes");
    ssh_arguments_add(&a, "-N");
    ssh_arguments_add(&a, "--");
    ssh_arguments_add(&a, parts.host);
    pid_t pid = fork();
    if (pid < 0)
        return aw_fail_errno(AW_CODE_UNAVAILABLE, "can't make a process for ssh");
    if (pid == 0)
        become(a.words, parent);
    master->pid_fd = pidfd_open(pid, 0);
    if (master->pid_fd >= 0)
        return AW_OK;
    aw_result r = aw_fail_errno(AW_CODE_UNAVAILABLE, "can't watch ssh");
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return r;
}

/* Whether it ended within that time. */
static bool
ended(const ssh_master *master, int ms)
{
    struct pollfd p = {.fd = master->pid_fd, .events = POLLIN};

    return poll(&p, 1, ms) > 0;
}

/* The socket is made when ssh has logged in. */
static aw_result
wait_for_socket(const ssh_master *master)
{
    int64_t deadline = aw_now_ms() + START_MS;

    while (access(master->socket, F_OK) != 0) {
        AW_TRY(interrupt_check());
        if (ended(master, LOOK_MS) || aw_now_ms() > deadline)
            return aw_fail(AW_CODE_UNAVAILABLE, "ssh did not come through");
    }
    return AW_OK;
}

aw_result
ssh_master_start(const char *url, const char *config, ssh_master **out)
{
    AW_CLEANUP(ssh_master_end) ssh_master *master = calloc(1, sizeof(*master));

    if (master == NULL)
        return aw_fail_memory();
    master->pid_fd = -1;
    memcpy(master->folder, folder_template, sizeof(folder_template));
    if (mkdtemp(master->folder) == NULL) {
        master->folder[0] = '\0';
        return aw_fail_errno(AW_CODE_UNAVAILABLE, "can't make a folder in /tmp");
    }
    AW_TRY(aw_format(&master->socket, "%s/ssh", master->folder));
    AW_TRY(spawn(url, config, master));
    AW_TRY(wait_for_socket(master));
    *out = AW_MOVE(master);
    return AW_OK;
}

bool
ssh_master_lives(const ssh_master *master)
{
    return master != NULL && !ended(master, 0);
}

const char *
ssh_master_socket(const ssh_master *master)
{
    return master->socket;
}

static void
end_process(ssh_master *master)
{
    if (master->pid_fd < 0)
        return;
    pidfd_send_signal(master->pid_fd, SIGTERM, NULL, 0);
    if (!ended(master, END_MS))
        pidfd_send_signal(master->pid_fd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)master->pid_fd, NULL, WEXITED);
    aw_close(&master->pid_fd);
}

void
ssh_master_end(ssh_master **slot)
{
    ssh_master *master = *slot;

    if (master == NULL)
        return;
    end_process(master);
    if (master->socket != NULL)
        unlink(master->socket);
    if (master->folder[0] != '\0')
        rmdir(master->folder);
    free(master->socket);
    free(master);
    *slot = NULL;
}
