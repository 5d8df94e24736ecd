/* Hooks are looked for before anything is ordered, as certbot does: a name that is misspelt shall
 * not be found out by the certificate that is not deployed. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/hook.h"
#include "common/io.h"

enum { WORD_MAX = 255 };

/* What a shell takes for more than a program's name is for the shell to judge. */
static const char name_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/";

/* Words of a command line's beginning that are the shell's own (POSIX 1003.1 2.4, 2.14, and those
 * of dash). */
static const char *const words_of_the_shell[] = {".", ":", "[", "alias", "break", "case", "cd",
    "command", "continue", "echo", "eval", "exec", "exit", "export", "false", "for", "getopts",
    "hash", "if", "kill", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift",
    "test", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait",
    "while"};

static bool
is_of_the_shell(const char *word)
{
    for (size_t i = 0; i < AW_COUNT(words_of_the_shell); i++)
        if (strcmp(words_of_the_shell[i], word) == 0)
            return true;
    return false;
}

/* 1: a program; 0: nothing; -1: something that can't be run. */
static int
look(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return 0;
    return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 1 : -1;
}

static bool
is_in_path(const char *word)
{
    static const char places[] = HOOK_PATH;
    char path[sizeof(places) + WORD_MAX + 2];

    for (const char *at = places; *at != '\0'; at += at[0] == ':') {
        size_t length = strcspn(at, ":");

        snprintf(path, sizeof(path), "%.*s/%s", (int)length, at, word);
        if (look(path) == 1)
            return true;
        at += length;
    }
    return false;
}

static aw_result
check_word(const char *option, const char *word)
{
    static const char hint[] = "--disable-hook-validation leaves this check out";
    bool is_path = strchr(word, '/') != NULL;
    int found = is_path ? look(word) : 0;

    if (found == 1 || (!is_path && (is_of_the_shell(word) || is_in_path(word))))
        return AW_OK;
    if (found == -1)
        return aw_hint(aw_fail(AW_CODE_USAGE, "%s: %s can't be run", option, word),
            "chmod +x, if it is the right file; %s", hint);
    if (is_path)
        return aw_hint(aw_fail(AW_CODE_USAGE, "%s: there is no %s", option, word), "%s", hint);
    return aw_hint(
        aw_fail(AW_CODE_USAGE, "%s: there is no program %s in %s", option, word, HOOK_PATH),
        "give its whole path; %s", hint);
}

aw_result
hook_check(const char *option, const char *command)
{
    char word[WORD_MAX + 1];

    if (command == NULL)
        return AW_OK;
    command += strspn(command, " \t\n");
    size_t length = strspn(command, name_characters);
    char next = command[length];
    if (length == 0 || length > WORD_MAX || (next != '\0' && strchr(" \t\n;&|<>", next) == NULL))
        return AW_OK;
    memcpy(word, command, length);
    word[length] = '\0';
    return check_word(option, word);
}
