#include "policy/words.h"

#include <stdlib.h>
#include <time.h>

void
policy_words_free(struct words *words)
{
    if (words->stream != NULL)
        fclose(words->stream);
    free(words->text);
}

aw_result
policy_words_open(struct words *words)
{
    words->stream = open_memstream(&words->text, &words->size);
    return words->stream == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
policy_words_finish(struct words *words, char **out)
{
    bool lost = ferror(words->stream) != 0;
    int closed = fclose(AW_MOVE(words->stream));

    /* The text is made to measure at the end, and may be lost there too. */
    if (lost || closed != 0 || words->text == NULL)
        return aw_fail_memory();
    *out = AW_MOVE(words->text);
    return AW_OK;
}

void
policy_words_keys(FILE *out, uint32_t keys)
{
    const char *comma = "";

    for (unsigned key = 0; key < POLICY_KEY_COUNT; key++) {
        if ((keys >> key & 1) == 0)
            continue;
        fprintf(out, "%s%s", comma, policy_key_name((enum policy_key)key));
        comma = ", ";
    }
}

void
policy_words_profiles(FILE *out, const struct policy_application *application)
{
    for (size_t i = 0; i < application->profiles_count; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", application->profiles[i]);
    if (application->profiles_count == 0)
        fputs("none", out);
}

void
policy_words_day(FILE *out, int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm day;
    char text[16] = "?";

    if (gmtime_r(&when, &day) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d", &day);
    fputs(text, out);
}

/* What an application allows. */

struct allowed_list {
    const char *lead;
    const char *const *items;
    size_t count;
};

void
policy_words_allowed(FILE *out, const struct policy_application *a, size_t most)
{
    const struct allowed_list lists[] = {
        {"", a->exact, a->exact_count},
        {"below ", a->subdomains_of, a->subdomains_count},
        {"*.", a->wildcards_of, a->wildcards_count},
        {"", a->addresses, a->addresses_count},
    };
    size_t shown = 0, total = 0;

    for (size_t i = 0; i < AW_COUNT(lists); i++) {
        total += lists[i].count;
        for (size_t j = 0; j < lists[i].count && shown < most; j++, shown++)
            fprintf(out, "%s%s%s", shown > 0 ? ", " : "", lists[i].lead, lists[i].items[j]);
    }
    if (total > shown)
        fprintf(out, " and %zu more", total - shown);
    if (total == 0)
        fputs("nothing", out);
}
