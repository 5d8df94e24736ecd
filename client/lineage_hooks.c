#include "client/lineage_hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/hook.h"
#include "client/listing.h"
#include "common/io.h"
#include "common/json.h"

enum { PENDING_MAX = 256 * 1024, DOMAINS_MAX = 64 * 1024 };

/* Commands, each once. */
struct commands {
    char *items[LINEAGE_HOOKS_MAX];
    size_t count;
};

struct lineage_hooks {
    const char *root;
    struct output *out;
    bool folders;
    bool noted;              /* what has to run at the end is on disk */
    bool started;            /* the programs of renewal-hooks/pre have run */
    struct commands before;  /* pre hooks that have run */
    struct commands pending; /* post hooks of certificates */
    char *renewed, *failed;  /* names, with spaces between */
};

static bool
has(const struct commands *list, const char *command)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], command) == 0)
            return true;
    return false;
}

static aw_result
add(struct commands *list, const char *command)
{
    if (has(list, command))
        return AW_OK;
    if (list->count == LINEAGE_HOOKS_MAX)
        return aw_fail(AW_CODE_LIMIT, "more than %d different hooks", LINEAGE_HOOKS_MAX);
    AW_TRY(aw_format(&list->items[list->count], "%s", command));
    list->count++;
    return AW_OK;
}

static void
empty(struct commands *list)
{
    while (list->count > 0)
        free(list->items[--list->count]);
}

/* Running. */

/* What it wrote is for whoever runs us; certbot tells it too. */
static void
tell_output(struct output *out, const char *option, const struct hook_output *output)
{
    const char *texts[] = {output->out, output->err};

    for (size_t i = 0; i < AW_COUNT(texts); i++) {
        AW_CLEANUP(aw_free) char *safe = NULL;
        char *rest = NULL;

        if (texts[i] == NULL || texts[i][0] == '\0')
            continue;
        AW_CLEANUP(aw_free) char *copy = strdup(texts[i]);
        for (char *line = copy == NULL ? NULL : strtok_r(copy, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            aw_free(&safe);
            safe = output_safe(line);
            output_note(out, "%s: %s", option, safe);
        }
    }
}

static bool
run(const lineage_hooks *hooks, const struct hook *hook)
{
    AW_CLEANUP(hook_output_free) struct hook_output output = {0};

    output_step(hooks->out, "running", hook->option, hook->command);
    aw_result r = hook_run(hook, &output);
    tell_output(hooks->out, hook->option, &output);
    if (!aw_ok(r)) {
        const struct aw_error *error = aw_error_last();
        output_warning(
            hooks->out, "%s%s%s", error->message, error->hint[0] == '\0' ? "" : "; ", error->hint);
    }
    return aw_ok(r);
}

/* As run-parts and certbot have it: no hidden file, no editor's back-up. */
static int
is_program(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && entry->d_name[length - 1] != '~';
}

/* A path for the shell: in single quotes, those in it written apart. */
static aw_result
quote(const char *path, char **out)
{
    AW_CLEANUP(aw_free) char *quoted = malloc(4 * strlen(path) + 3);
    char *end = quoted;

    if (quoted == NULL)
        return aw_fail_memory();
    *end++ = '\'';
    for (; *path != '\0'; path++) {
        if (*path == '\'') {
            memcpy(end, "'\\'", 3);
            end += 3;
        }
        *end++ = *path;
    }
    *end++ = '\'';
    *end = '\0';
    *out = AW_MOVE(quoted);
    return AW_OK;
}

/* Whoever may write it has his commands run by our user. */
static bool
run_program(const lineage_hooks *hooks, const char *path, const struct hook *like)
{
    AW_CLEANUP(aw_free) char *command = NULL;
    struct hook hook = *like;

    if (access(path, X_OK) != 0)
        return true;
    if (!aw_ok(aw_path_check(path, geteuid(), 0022)) || !aw_ok(quote(path, &command))) {
        output_warning(hooks->out, "%s is not run: %s", path, aw_error_last()->message);
        return false;
    }
    hook.option = path;
    hook.command = command;
    return run(hooks, &hook);
}

static bool
run_folder(const lineage_hooks *hooks, const char *name, const struct hook *like)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(listing_free) struct listing folder = {.count = 0};
    bool good = true;

    if (!hooks->folders || !aw_ok(aw_format(&path, "%s/renewal-hooks/%s", hooks->root, name)))
        return true;
    aw_result r = listing_read(path, is_program, &folder);
    if (aw_ok(r) && folder.count == 0)
        return true;
    if (!aw_ok(r) || !aw_ok(aw_path_check(path, geteuid(), 0022))) {
        output_warning(hooks->out, "nothing in %s is run: %s", path, aw_error_last()->message);
        return false;
    }
    for (int i = 0; i < folder.count; i++) {
        AW_CLEANUP(aw_free) char *file = NULL;
        if (aw_ok(aw_path_join(path, folder.items[i]->d_name, &file)))
            good = run_program(hooks, file, like) && good;
    }
    return good;
}

/* What a killed run left. */

static aw_result
pending_path(const char *root, char **out)
{
    return aw_format(out, "%s/archive/.post-hooks.json", root);
}

/* An empty list is written too: the programs of renewal-hooks/post are pending then. */
static aw_result
write_pending(const lineage_hooks *hooks)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    AW_TRY(pending_path(hooks->root, &path));
    aw_json_begin_object(&w);
    aw_json_name(&w, "commands");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < hooks->pending.count; i++)
        aw_json_write_string(&w, hooks->pending.items[i]);
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    return aw_file_replace(path, text, strlen(text), 0600);
}

static aw_result
read_pending(lineage_hooks *hooks, const char *path)
{
    static const char *const members[] = {"commands"};
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;
    const cJSON *list, *item;
    size_t size;

    AW_TRY(aw_path_check(path, geteuid(), 0077));
    AW_TRY(aw_file_read(path, PENDING_MAX, &text, &size));
    AW_TRY(aw_json_parse(text, size, AW_JSON_STRICT, &object));
    AW_TRY(aw_json_only(object, members, AW_COUNT(members)));
    AW_TRY(aw_json_array(object, "commands", 0, LINEAGE_HOOKS_MAX, &list));
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return aw_fail(AW_CODE_SYNTAX, "\"commands\" has an entry that is no string");
        AW_TRY(add(&hooks->pending, cJSON_GetStringValue(item)));
    }
    return AW_OK;
}

aw_result
lineage_hooks_new(const char *root, bool folders, struct output *out, lineage_hooks **slot)
{
    AW_CLEANUP(lineage_hooks_free) lineage_hooks *hooks = calloc(1, sizeof(*hooks));
    AW_CLEANUP(aw_free) char *path = NULL;

    if (hooks == NULL)
        return aw_fail_memory();
    hooks->root = root;
    hooks->folders = folders;
    hooks->out = out;
    AW_TRY(pending_path(root, &path));
    if (folders && access(path, F_OK) == 0) {
        output_note(out, "a run before this one was cut off: its post hooks run at the end");
        if (!aw_ok(read_pending(hooks, path))) {
            output_warning(out, "%s is not used: %s", path, aw_error_last()->message);
            empty(&hooks->pending);
        }
        hooks->noted = true;
    }
    *slot = AW_MOVE(hooks);
    return AW_OK;
}

void
lineage_hooks_free(lineage_hooks **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    lineage_hooks *hooks = *slot;

    empty(&hooks->before);
    empty(&hooks->pending);
    free(hooks->renewed);
    free(hooks->failed);
    free(hooks);
    *slot = NULL;
}

/* Before, at and after. */

/* certonly, which has no folders, does what certbot does: what is killed does not run it. */
static aw_result
note_for_the_end(lineage_hooks *hooks, const char *command)
{
    bool fresh = command != NULL && !has(&hooks->pending, command);

    if (fresh)
        AW_TRY(add(&hooks->pending, command));
    if (!hooks->folders || (hooks->noted && !fresh))
        return AW_OK;
    AW_TRY(aw_context(write_pending(hooks), "what has to run at the end"));
    hooks->noted = true;
    return AW_OK;
}

aw_result
lineage_hooks_before(lineage_hooks *hooks, const struct lineage_commands *commands)
{
    const struct hook folder = {.option = NULL};
    const struct hook hook = {.option = "--pre-hook", .command = commands->pre};

    AW_TRY(note_for_the_end(hooks, commands->post));
    if (!hooks->started)
        run_folder(hooks, "pre", &folder);
    hooks->started = true;
    if (commands->pre == NULL || has(&hooks->before, commands->pre))
        return AW_OK;
    AW_TRY(add(&hooks->before, commands->pre));
    run(hooks, &hook);
    return AW_OK;
}

bool
lineage_hooks_deploy(
    lineage_hooks *hooks, const struct lineage_commands *commands, const struct lineage *lineage)
{
    const struct hook_variable variables[] = {
        {"RENEWED_LINEAGE", lineage->live},
        {"RENEWED_DOMAINS", lineage->domains},
    };
    const struct hook hook = {.option = "--deploy-hook",
        .command = commands->deploy,
        .variables = variables,
        .variable_count = AW_COUNT(variables)};
    bool good = run_folder(hooks, "deploy", &hook);

    return (commands->deploy == NULL || run(hooks, &hook)) && good;
}

void
lineage_hooks_note(lineage_hooks *hooks, bool renewed, const char *domains)
{
    char **list = renewed ? &hooks->renewed : &hooks->failed;
    AW_CLEANUP(aw_free) char *before = NULL;

    /* One string of an environment holds 128 KiB: what is more is left out. */
    if (*list != NULL && strlen(*list) + strlen(domains) >= DOMAINS_MAX)
        return;
    before = AW_MOVE(*list);
    if (!aw_ok(aw_format(
            list, "%s%s%s", before == NULL ? "" : before, before == NULL ? "" : " ", domains)))
        *list = NULL;
}

static bool
forget_pending(const lineage_hooks *hooks)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    if (aw_ok(pending_path(hooks->root, &path)) && (unlink(path) == 0 || errno == ENOENT))
        return true;
    output_warning(hooks->out, "can't remove %s: the post hooks will run once more", path);
    return false;
}

bool
lineage_hooks_after(lineage_hooks *hooks)
{
    const struct hook_variable variables[] = {
        {"RENEWED_DOMAINS", hooks->renewed == NULL ? "" : hooks->renewed},
        {"FAILED_DOMAINS", hooks->failed == NULL ? "" : hooks->failed},
    };
    struct hook hook = {.option = "--post-hook",
        .variables = variables,
        .variable_count = AW_COUNT(variables),
        .always = true};
    bool good = true;

    if (!hooks->noted && hooks->pending.count == 0)
        return true;
    good = run_folder(hooks, "post", &hook);
    for (size_t i = 0; i < hooks->pending.count; i++) {
        hook.command = hooks->pending.items[i];
        good = run(hooks, &hook) && good;
    }
    empty(&hooks->pending);
    return (!hooks->noted || forget_pending(hooks)) && good;
}
