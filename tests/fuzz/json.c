/* Strict JSON: what the scan lets through, cJSON and our writer read and write the same way. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"
#include "common/json_scan.h"
#include "fuzz.h"

enum { TOLERANT_DEPTH = 16 };

/* Limits of json.h, and members that differ. */
static void
check_tree(const cJSON *value, unsigned depth, unsigned most)
{
    bool container = cJSON_IsObject(value) || cJSON_IsArray(value);

    FUZZ_CHECK(depth + container <= most);
    for (const cJSON *a = value->child; a != NULL; a = a->next) {
        FUZZ_CHECK((a->string != NULL) == cJSON_IsObject(value));
        if (a->string != NULL)
            FUZZ_CHECK(aw_json_member(value, a->string) == a);
        check_tree(a, depth + 1, most);
    }
}

static void
write_value(struct aw_json_writer *w, const cJSON *value)
{
    if (cJSON_IsString(value))
        aw_json_write_string(w, value->valuestring);
    else if (cJSON_IsBool(value))
        aw_json_write_bool(w, cJSON_IsTrue(value));
    else if (cJSON_IsNull(value))
        aw_json_write_string(w, NULL);
    else if (cJSON_IsNumber(value)) {
        FUZZ_CHECK(fabs(value->valuedouble) <= (double)AW_JSON_EXACT_MAX);
        FUZZ_CHECK(value->valuedouble == floor(value->valuedouble));
        aw_json_write_integer(w, (int64_t)value->valuedouble);
    }
}

static void
write_tree(struct aw_json_writer *w, const cJSON *value)
{
    bool object = cJSON_IsObject(value);

    if (!object && !cJSON_IsArray(value)) {
        write_value(w, value);
        return;
    }
    (object ? aw_json_begin_object : aw_json_begin_array)(w);
    for (const cJSON *member = value->child; member != NULL; member = member->next) {
        if (object)
            aw_json_name(w, member->string);
        write_tree(w, member);
    }
    (object ? aw_json_end_object : aw_json_end_array)(w);
}

static char *
write_text(const cJSON *value)
{
    struct aw_json_writer w = {0};
    char *text = NULL;

    write_tree(&w, value);
    FUZZ_CHECK(aw_ok(aw_json_writer_finish(&w, &text)));
    return text;
}

/* Escapes may make the text longer than a document may be. */
static void
check_written(const cJSON *value)
{
    AW_CLEANUP(aw_free) char *text = write_text(value);
    AW_CLEANUP(aw_free) char *text_again = NULL;
    AW_CLEANUP(aw_json_free) cJSON *again = NULL;

    if (strlen(text) > AW_JSON_MAX_SIZE)
        return;
    FUZZ_CHECK(aw_ok(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &again)));
    FUZZ_CHECK(cJSON_Compare(value, again, true));
    text_again = write_text(again);
    FUZZ_CHECK(strcmp(text, text_again) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_json_free) cJSON *strict = NULL;
    AW_CLEANUP(aw_json_free) cJSON *tolerant = NULL;
    const char *text = (const char *)data;
    aw_result r = aw_json_parse(text, size, AW_JSON_STRICT, &strict);

    FUZZ_CHECK(aw_ok(r) == (strict != NULL));
    if (!aw_ok(r))
        fuzz_check_refusal(r);
    aw_result tolerantly = aw_json_parse(text, size, AW_JSON_TOLERANT, &tolerant);
    if (!aw_ok(tolerantly))
        fuzz_check_refusal(tolerantly);
    else
        check_tree(tolerant, 0, TOLERANT_DEPTH);
    if (strict == NULL)
        return 0;
    FUZZ_CHECK(cJSON_Compare(strict, tolerant, true));
    check_tree(strict, 0, AW_JSON_MAX_DEPTH);
    check_written(strict);
    fuzz_accept();
    return 0;
}
