#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t accepted;
static char folder[64];

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void
remove_folder(void)
{
    if (folder[0] != '\0')
        nftw(folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
    folder[0] = '\0';
}

void
fuzz_fail(const char *file, int line, const char *property)
{
    fprintf(stderr, "%s:%d: does not hold: %s\nlast failure: %s\n", file, line, property,
        aw_error_last()->message);
    remove_folder();
    abort();
}

void
fuzz_accept(void)
{
    accepted++;
}

size_t
fuzz_accepted(void)
{
    return accepted;
}

char *
fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

void
fuzz_check_refusal(aw_result r)
{
    const struct aw_error *error = aw_error_last();

    FUZZ_CHECK(!aw_ok(r));
    FUZZ_CHECK(error->code == r.code);
    FUZZ_CHECK(error->message[0] != '\0');
    FUZZ_CHECK(r.code != AW_CODE_MEMORY && r.code != AW_CODE_INTERNAL && r.code != AW_CODE_IO);
}

void
fuzz_check_plain(const char *text)
{
    const uint8_t *c = (const uint8_t *)text;

    for (; c != NULL && *c != '\0'; c++) {
        FUZZ_CHECK(*c >= 0x20 && *c != 0x7f);
        FUZZ_CHECK(*c != 0xc2 || c[1] >= 0xa0); /* C1 in UTF-8 */
    }
}

void
fuzz_check_faults(const struct aw_faults *faults)
{
    FUZZ_CHECK(faults->count <= faults->total && faults->count <= AW_YAML_MAX_FAULTS);
    for (size_t i = 0; i < faults->count; i++) {
        FUZZ_CHECK(faults->items[i].file != NULL && faults->items[i].message != NULL);
        FUZZ_CHECK(faults->items[i].message[0] != '\0');
        FUZZ_CHECK((faults->items[i].line == 0) == (faults->items[i].column == 0));
        fuzz_check_plain(faults->items[i].message);
    }
}

static bool
same_name(const struct aw_name *a, const struct aw_name *b)
{
    return a->form == b->form && a->labels == b->labels && a->length == b->length &&
           a->address_size == b->address_size &&
           memcmp(a->address, b->address, sizeof(a->address)) == 0 && strcmp(a->text, b->text) == 0;
}

void
fuzz_check_name(const struct aw_name *name)
{
    struct aw_name again;
    size_t length = strlen(name->text);
    bool single = name->labels == (name->form == AW_NAME_WILDCARD ? 2 : 1);
    aw_result r = name->form == AW_NAME_ADDRESS ? aw_name_parse_address(name->text, length, &again)
                  : single                      ? aw_name_parse_file(name->text, length, &again)
                                                : aw_name_parse(name->text, length, &again);

    FUZZ_CHECK(aw_ok(r));
    FUZZ_CHECK(length == name->length && length <= AW_NAME_MAX);
    FUZZ_CHECK(same_name(name, &again));
}

void
fuzz_check_names(const struct aw_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fuzz_check_name(&names[i]);
        FUZZ_CHECK(i == 0 || aw_name_compare(&names[i - 1], &names[i]) < 0);
    }
}

const char *
fuzz_folder(void)
{
    if (folder[0] != '\0')
        return folder;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof(folder), "%s/acmeward-fuzz-XXXXXX", base);
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    FUZZ_CHECK(atexit(remove_folder) == 0);
    return folder;
}

bool
fuzz_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}
