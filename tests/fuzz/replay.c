/*
 * replay CORPUS-FOLDER MUTATIONS: gives a fuzz target every file of the folder, then damaged ones,
 * the same on every run. A file good-* must be accepted, a file bad-* must not; others are inputs
 * that once failed. What fails is named, and written in hex for xxd -r -p.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "fuzz.h"
#include "mutate.h"

enum { INPUT_MAX = 1024 * 1024, INPUTS_MAX = 1000, GROWTH = 256, SHOWN_MAX = 16 * 1024 };

static struct input inputs[INPUTS_MAX];
static size_t input_count;

/* The present input, for the message when it fails. */
static struct input present;
static size_t present_mutation;

static void
show(const char *text, size_t size)
{
    aw_result r = aw_fd_write(STDERR_FILENO, text, size);
    aw_ignore(r, "the process is ending");
}

static void
tell_present(void)
{
    static const char digits[] = "0123456789abcdef";
    char line[512];
    int used = snprintf(line, sizeof(line), "\nfailed: %s, mutation %zu, %zu octets, in hex:\n",
        present.name, present_mutation, present.size);

    show(line, (size_t)used);
    for (size_t i = 0; i < present.size && i < SHOWN_MAX; i++) {
        char pair[] = {digits[present.data[i] >> 4], digits[present.data[i] & 15]};
        show(pair, sizeof(pair));
    }
    show("\n", 1);
}

static void
on_signal(int number)
{
    tell_present();
    signal(number, SIG_DFL);
    raise(number);
}

/* Sanitizers end the process in their own way. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void
watch(void)
{
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(tell_present);
    else
        signal(SIGSEGV, on_signal);
    signal(SIGABRT, on_signal);
}

static void
run(const struct input *input, size_t mutation)
{
    char *exact = fuzz_text(input->data, input->size);

    present = *input;
    present_mutation = mutation;
    FUZZ_CHECK(LLVMFuzzerTestOneInput((const uint8_t *)exact, input->size) == 0);
    free(exact);
}

static bool
begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* True when the file fares as its name says. */
static bool
run_file(const struct input *input)
{
    size_t before = fuzz_accepted();

    run(input, 0);
    bool accepted = fuzz_accepted() > before;
    bool wrong =
        (begins(input->name, "good-") && !accepted) || (begins(input->name, "bad-") && accepted);
    if (wrong)
        fprintf(stderr, "%s is %s; last failure: %s\n", input->name,
            accepted ? "accepted" : "refused", aw_error_last()->message);
    return !wrong;
}

/* The copy has room to grow; it is copied again, to its exact size, by run(). */
static void
run_mutation(size_t number)
{
    const struct input *seed = &inputs[mutate_below(input_count)];
    const struct input *other = &inputs[mutate_below(input_count)];
    size_t capacity = seed->size + GROWTH;
    struct input copy = {seed->name, malloc(capacity), seed->size};

    FUZZ_CHECK(copy.data != NULL);
    memcpy(copy.data, seed->data, seed->size);
    mutate(&copy, capacity, other);
    run(&copy, number);
    free(copy.data);
}

static int
is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static aw_result
read_input(const char *folder, const char *name)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    struct input *input = &inputs[input_count];

    if (input_count == INPUTS_MAX)
        return aw_fail(AW_CODE_LIMIT, "more than %d files in %s", INPUTS_MAX, folder);
    AW_TRY(aw_path_join(folder, name, &path));
    AW_TRY(aw_file_read(path, INPUT_MAX, (char **)&input->data, &input->size));
    input->name = strdup(name);
    input_count++;
    return input->name == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
read_inputs(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_candidate, alphasort);
    aw_result r = count < 0 ? aw_fail_errno(AW_CODE_IO, "%s", folder) : AW_OK;

    for (int i = 0; i < count; i++) {
        if (aw_ok(r))
            r = read_input(folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (aw_ok(r) && input_count == 0)
        return aw_fail(AW_CODE_NOT_FOUND, "no inputs in %s", folder);
    return r;
}

static void
release_inputs(void)
{
    for (size_t i = 0; i < input_count; i++) {
        free(inputs[i].data);
        free((char *)(uintptr_t)inputs[i].name);
    }
}

int
main(int argc, char **argv)
{
    size_t failures = 0;

    if (argc != 3 || !aw_ok(read_inputs(argv[1]))) {
        fprintf(stderr, "replay: %s\n",
            argc != 3 ? "expected CORPUS-FOLDER MUTATIONS" : aw_error_last()->message);
        return 2;
    }
    watch();
    for (size_t i = 0; i < input_count; i++)
        failures += !run_file(&inputs[i]);
    size_t accepted = fuzz_accepted(), mutations = strtoul(argv[2], NULL, 10);
    mutate_seed(input_count);
    for (size_t i = 1; i <= mutations; i++)
        run_mutation(i);
    printf("%zu inputs, %zu accepted; %zu mutations, %zu accepted; %zu failures\n", input_count,
        accepted, mutations, fuzz_accepted() - accepted, failures);
    release_inputs();
    return failures > 0;
}
