#include "signer/ledger_names.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

static int
compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the texts in place. */
static aw_result
join(const char **texts, size_t count, char **out)
{
    size_t size = 1;

    qsort(texts, count, sizeof(*texts), compare);
    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    char *text = malloc(size);
    if (text == NULL)
        return aw_fail_memory();
    char *end = text;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *end++ = ' ';
        end = mempcpy(end, texts[i], strlen(texts[i]));
    }
    *end = '\0';
    *out = text;
    return AW_OK;
}

aw_result
ledger_names_text(const char *const *names, size_t count, char **out)
{
    AW_CLEANUP(aw_free) const char **texts = calloc(count + 1, sizeof(*texts));

    if (texts == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < count; i++)
        texts[i] = names[i];
    return join(texts, count, out);
}

aw_result
ledger_names_of(const struct aw_name *names, size_t count, char **out)
{
    AW_CLEANUP(aw_free) const char **texts = calloc(count + 1, sizeof(*texts));

    if (texts == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < count; i++)
        texts[i] = names[i].text;
    return join(texts, count, out);
}
