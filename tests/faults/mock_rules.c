#include "mock_rules.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mock_names.h"

enum { RULES_SIZE = 16384, WORDS = 4, POLL_MS = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mock_rule rules[MOCK_RULES_MAX];
static unsigned rule_count;
static struct stat read_from; /* which file the rules are from; zero: none */

static void
die(const char *what, const char *detail)
{
    fprintf(stderr, "mock module: %s: %s\n", what, detail);
    abort();
}

/* Parsing. */

static bool
parse_when(const char *text, struct mock_rule *out)
{
    char *end;

    out->first = 1;
    out->last = ~0UL;
    if (strcmp(text, "*") == 0)
        return true;
    out->first = out->last = strtoul(text, &end, 10);
    if (strcmp(end, "+") == 0)
        out->last = ~0UL;
    else if (*end == '-')
        out->last = strtoul(end + 1, &end, 10);
    return out->first > 0 && out->last >= out->first && (*end == '\0' || *end == '+');
}

/* CKA_X=true */
static bool
parse_setting(char *text, struct mock_rule *out)
{
    char *value = strchr(text, '=');

    if (value == NULL)
        return false;
    *value++ = '\0';
    out->value = strcmp(value, "true") == 0 ? 1 : strcmp(value, "false") == 0 ? 0 : -1;
    return mock_constant(text, &out->type) && (out->value >= 0 || strcmp(value, "absent") == 0);
}

static bool
parse_flags(const char *text, struct mock_rule *out)
{
    out->value = text[0] == '+';
    return (text[0] == '+' || text[0] == '-') && mock_constant(text + 1, &out->type);
}

/* What the words behind an action's name are. */
enum form { NOTHING, NUMBER, ANSWER, ATTRIBUTE, ATTRIBUTE_ANSWER, LEAK, SETTING, FLAG };

static const struct {
    const char *name;
    enum mock_action action;
    enum form form;
} actions[] = {
    {"after", MOCK_AFTER, ANSWER},
    {"delay", MOCK_DELAY, NUMBER},
    {"wait", MOCK_WAIT, NOTHING},
    {"crash", MOCK_CRASH, NOTHING},
    {"refuse", MOCK_REFUSE, ATTRIBUTE_ANSWER},
    {"ignore", MOCK_IGNORE, ATTRIBUTE},
    {"force", MOCK_FORCE, SETTING},
    {"misreport", MOCK_MISREPORT, SETTING},
    {"leak", MOCK_LEAK, LEAK},
    {"wrong", MOCK_WRONG, NOTHING},
    {"short", MOCK_SHORT, NOTHING},
    {"flags", MOCK_FLAGS, FLAG},
    {"zero-first", MOCK_ZERO_FIRST, NOTHING},
    {"zero-second", MOCK_ZERO_SECOND, NOTHING},
    {"high", MOCK_HIGH, NOTHING},
    {"other", MOCK_OTHER, NOTHING},
    {"scribble", MOCK_SCRIBBLE, NOTHING},
    {"tell", MOCK_TELL, NUMBER},
    {"serial", MOCK_SERIAL, NOTHING},
    {"substitute", MOCK_SUBSTITUTE, NUMBER},
    {"die", MOCK_DIE, NOTHING},
    {"handle", MOCK_HANDLE, NUMBER},
    {"twice", MOCK_TWICE, NOTHING},
};

static bool
parse_words(enum form form, char **words, unsigned count, struct mock_rule *out)
{
    switch (form) {
    case NOTHING:
        return count == 0;
    case NUMBER:
    case ATTRIBUTE:
        return count == 1 && mock_constant(words[0], &out->type);
    case ANSWER:
        return count == 1 && mock_constant(words[0], &out->answer);
    case LEAK:
        if (count == 1)
            return mock_constant(words[0], &out->type);
        return count == 2 && mock_constant(words[0], &out->type) &&
               mock_constant(words[1], &out->answer);
    case ATTRIBUTE_ANSWER:
        return count == 2 && mock_constant(words[0], &out->type) &&
               mock_constant(words[1], &out->answer);
    case SETTING:
        return count == 1 && parse_setting(words[0], out);
    case FLAG:
        return count == 1 && parse_flags(words[0], out);
    }
    return false;
}

static bool
parse_action(char *text, struct mock_rule *out)
{
    char *words[WORDS] = {NULL};
    char *rest = NULL;
    unsigned count = 0;

    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (count == WORDS)
            return false;
        words[count++] = word;
    }
    if (count == 0)
        return false;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, words[0]) != 0)
            continue;
        out->action = actions[i].action;
        return parse_words(actions[i].form, words + 1, count - 1, out);
    }
    out->action = MOCK_ANSWER;
    bool named = strncmp(words[0], "CKR_", 4) == 0 || words[0][0] == '0';
    return count == 1 && named && mock_constant(words[0], &out->answer);
}

bool
mock_rule_parse(const char *text, struct mock_rule *out)
{
    char copy[256];
    char when[32];
    int used = 0;

    memset(out, 0, sizeof(*out));
    if (sscanf(text, " %31[A-Za-z_]:%31[^:]:%n", out->function, when, &used) != 2 || used == 0)
        return false;
    size_t length = strlen(text + used);
    if (length >= sizeof(copy) || !parse_when(when, out))
        return false;
    memcpy(copy, text + used, length + 1);
    return parse_action(copy, out);
}

/* The file. */

static void
read_rules(const char *path)
{
    char text[RULES_SIZE];
    char *rest = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (size < 0 || fstat(fd, &read_from) != 0)
        die("can't read the rules", path);
    close(fd);
    text[size] = '\0';
    rule_count = 0;
    for (char *line = strtok_r(text, ";\n", &rest); line != NULL;
         line = strtok_r(NULL, ";\n", &rest)) {
        if (rule_count == MOCK_RULES_MAX || !mock_rule_parse(line, &rules[rule_count]))
            die("not a rule, or one too many", line);
        rule_count++;
    }
}

/* Rules are replaced by rename, so another file has another inode. */
static bool
same_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_ino == read_from.st_ino &&
           st.st_mtim.tv_sec == read_from.st_mtim.tv_sec &&
           st.st_mtim.tv_nsec == read_from.st_mtim.tv_nsec && st.st_size == read_from.st_size;
}

/* One descriptor for all: the file is emptied, never replaced. */
static void
note_call(const char *function)
{
    static atomic_int fd = -1;
    const char *path = getenv(MOCK_CALLS);
    char line[64];

    if (path == NULL)
        return;
    if (fd < 0 || access(path, F_OK) != 0)
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int length = snprintf(line, sizeof(line), "%s\n", function);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        die("can't note a call", path);
}

static void
pause_ms(unsigned long ms)
{
    const struct timespec time = {
        .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

static void
collect(struct mock_call *call, const char *function, const char *path)
{
    pthread_mutex_lock(&lock);
    if (!same_file(path))
        read_rules(path);
    for (unsigned i = 0; i < rule_count; i++) {
        struct mock_rule *rule = &rules[i];
        if (strcmp(rule->function, function) != 0)
            continue;
        rule->seen++;
        if (rule->seen >= rule->first && rule->seen <= rule->last)
            call->hits[call->count++] = *rule;
    }
    pthread_mutex_unlock(&lock);
}

static void
wait_for_new_rules(const char *path)
{
    struct stat before, now;

    if (stat(path, &before) != 0)
        die("can't look at the rules", path);
    do {
        pause_ms(POLL_MS);
    } while (stat(path, &now) == 0 && now.st_ino == before.st_ino);
}

void
mock_call_begin(struct mock_call *call, const char *function)
{
    const char *path = getenv(MOCK_RULES);

    call->count = 0;
    note_call(function);
    if (path == NULL)
        return;
    collect(call, function, path);
    for (unsigned i = 0; i < call->count; i++) {
        if (call->hits[i].action == MOCK_DELAY)
            pause_ms(call->hits[i].type);
        else if (call->hits[i].action == MOCK_WAIT)
            wait_for_new_rules(path);
        else if (call->hits[i].action == MOCK_CRASH)
            raise(SIGKILL);
    }
}

const struct mock_rule *
mock_call_find(const struct mock_call *call, enum mock_action action)
{
    for (unsigned i = 0; i < call->count; i++)
        if (call->hits[i].action == action)
            return &call->hits[i];
    return NULL;
}

const struct mock_rule *
mock_call_find_for(const struct mock_call *call, enum mock_action action, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < call->count; i++)
        if (call->hits[i].action == action && call->hits[i].type == type)
            return &call->hits[i];
    return NULL;
}
