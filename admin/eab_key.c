#include "admin/eab_key.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/io.h"

/* What may be pasted: a key of 512 octets, encoded twice. */
enum { KEY_TEXT_MAX = 4096 };

static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

static aw_result
read_line(int fd, int signals, aw_secret *out)
{
    struct pollfd either[] = {
        {.fd = fd, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
    };

    for (;;) {
        char octet;
        int ready = poll(either, AW_COUNT(either), -1);

        if (ready > 0 && either[1].revents != 0)
            return aw_fail(AW_CODE_CLOSED, "a signal came before the whole key; nothing was done");
        ssize_t got = ready < 0 ? -1 : read(fd, &octet, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return aw_fail_errno(AW_CODE_IO, "can't read the key");
        if (got == 0 || octet == '\n')
            return AW_OK;
        AW_TRY(aw_secret_append(out, &octet, 1));
    }
}

static aw_result
read_without_echo(int fd, int signals, aw_secret *out)
{
    struct termios old, quiet;

    if (tcgetattr(fd, &old) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't ask the terminal");
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    if (tcsetattr(fd, TCSAFLUSH, &quiet) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't switch the terminal's echo off");
    fputs("EAB HMAC key (not shown): ", stderr); /* only now: what came before was thrown away */
    aw_result r = read_line(fd, signals, out);
    tcsetattr(fd, TCSAFLUSH, &old);
    fputc('\n', stderr);
    return r;
}

/* A signal that ends or stops the program does so when echo is on again. */
static aw_result
read_terminal(int fd, aw_secret *out)
{
    sigset_t waiting, before;

    sigemptyset(&waiting);
    for (size_t i = 0; i < AW_COUNT(ending); i++)
        sigaddset(&waiting, ending[i]);
    AW_CLEANUP(aw_close) int signals = signalfd(-1, &waiting, SFD_CLOEXEC);
    if (signals < 0)
        return aw_fail_errno(AW_CODE_IO, "can't wait for signals");
    pthread_sigmask(SIG_BLOCK, &waiting, &before);
    aw_result r = read_without_echo(fd, signals, out);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static aw_result
descriptor_of(const char *text, int *out)
{
    char *end = NULL;
    long number = text == NULL ? STDIN_FILENO : strtol(text, &end, 10);

    if (text != NULL && (end == text || *end != '\0' || number < 0 || number > 65535))
        return aw_fail(
            AW_CODE_USAGE, "--key-fd: found \"%s\", expected a descriptor's number", text);
    *out = (int)number;
    return AW_OK;
}

static aw_result
read_key_text(const char *key_fd, aw_secret *out)
{
    int fd = -1;

    AW_TRY(descriptor_of(key_fd, &fd));
    if (isatty(fd))
        return read_terminal(fd, out);
    return aw_context(aw_fd_read_secret(fd, out), "the key");
}

/* Google's tool prints the base64url text of the key, encoded once more: then every octet of what
 * was decoded is a base64url character, which by chance happens to no real key of 16 octets or
 * more. */
static bool
looks_encoded(const aw_secret *key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=";

    for (size_t i = 0; i < key->size; i++)
        if (key->data[i] == '\0' || strchr(alphabet, key->data[i]) == NULL)
            return false;
    return key->size >= 22;
}

static aw_result
decode_key(const aw_secret *text, aw_secret **out, bool *twice)
{
    AW_CLEANUP(aw_secret_free) aw_secret *once = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *again = NULL;

    if (text->size == 0)
        return aw_fail(AW_CODE_USAGE, "no key was given");
    AW_TRY(aw_secret_new(KEY_TEXT_MAX, &once));
    AW_TRY(aw_hint(aw_base64_decode_lenient(text, once),
        "the CA gives the key as base64url or base64 text; paste it as it is"));
    *twice = looks_encoded(once);
    if (*twice) {
        AW_TRY(aw_secret_new(KEY_TEXT_MAX, &again));
        *twice = aw_ok(aw_base64_decode_lenient(once, again)) && again->size > 0;
    }
    if (*twice)
        *out = AW_MOVE(again);
    else
        *out = AW_MOVE(once);
    if ((*out)->size > ADMIN_EAB_KEY_MAX)
        return aw_fail(AW_CODE_LIMIT, "the key has %zu octets; at most %d are possible",
            (*out)->size, ADMIN_EAB_KEY_MAX);
    return AW_OK;
}

aw_result
admin_eab_key_read(const char *key_fd, aw_secret **out, bool *twice)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;

    AW_TRY(aw_secret_new(KEY_TEXT_MAX, &text));
    AW_TRY(read_key_text(key_fd, text));
    return decode_key(text, out, twice);
}
