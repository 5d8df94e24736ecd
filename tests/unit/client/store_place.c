#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>

#include "client/chain.h"
#include "client/store_steps.h"
#include "common/io.h"
#include "store_place.h"

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

int
make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    snprintf(place->root, sizeof(place->root), "/tmp/acmeward-store-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    *state = place;
    return 0;
}

int
remove_place(void **state)
{
    struct place *place = *state;

    assert_int_equal(nftw(place->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(place);
    return 0;
}

const char *
at(struct place *place, const char *path)
{
    snprintf(place->path, sizeof(place->path), "%s/%s", place->root, path);
    return place->path;
}

char *
text_at(struct place *place, const char *path)
{
    char *text = NULL;
    size_t size = 0;

    if (!aw_ok(aw_file_read(at(place, path), CHAIN_PEM_MAX, &text, &size)))
        fail_msg("%s", aw_error_last()->message);
    return text;
}

void
assert_text(struct place *place, const char *path, const char *expected)
{
    char *text = text_at(place, path);

    if (strcmp(text, expected) != 0)
        fail_msg("%s holds \"%.60s\", expected \"%.60s\"", path, text, expected);
    free(text);
}

void
mark(struct marked *m, const char *mark_text)
{
    char key[64];

    for (size_t i = 0; i < 3; i++)
        snprintf(m->texts[i], sizeof(m->texts[i]), "%s %s\n", store_kind_names[i], mark_text);
    snprintf(key, sizeof(key), "privkey %s\n", mark_text);
    assert_true(aw_ok(aw_secret_new(sizeof(key), &m->key)));
    assert_true(aw_ok(aw_secret_append(m->key, key, strlen(key))));
    m->version = (struct store_version){m->texts[0], m->texts[1], m->texts[2], m->key, NULL};
}

unsigned
write_marked(struct place *place, const char *mark_text)
{
    struct marked m;
    unsigned version = 0;

    mark(&m, mark_text);
    if (!aw_ok(store_write(place->root, NAME, &m.version, &version)))
        fail_msg("%s", aw_error_last()->message);
    aw_secret_free(&m.key);
    return version;
}

void
assert_live(struct place *place, const char *mark_text)
{
    for (size_t i = 0; i < STORE_KINDS; i++) {
        char path[64], expected[64];

        snprintf(path, sizeof(path), "live/" NAME "/%s.pem", store_kind_names[i]);
        snprintf(expected, sizeof(expected), "%s %s\n", store_kind_names[i], mark_text);
        assert_text(place, path, expected);
    }
}

void
put(struct place *place, const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(at(place, path), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(at(place, path), mode), 0);
}

void
empty_place(struct place *place)
{
    assert_int_equal(nftw(at(place, "archive"), remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(nftw(at(place, "live"), remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}
