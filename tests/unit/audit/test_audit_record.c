#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "audit/record.h"
#include "common/hex.h"
#include "common/io.h"
#include "support.h"

#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES "1111111111111111111111111111111111111111111111111111111111111111"

static const char *const two_names[] = {"www.example.edu", "*.cdn.example.edu"};

static struct audit_record
full_record(void)
{
    return (struct audit_record){.seq = 7,
        .previous = ONES,
        .entry = {.kind = AUDIT_CERTIFICATE,
            .time = 1795487665,
            .has_uid = true,
            .uid = 4294967295,
            .user = "myapp1",
            .application = "dept_myapp1",
            .account = "incommon-ov",
            .operation = "record-certificate",
            .verdict = "permit",
            .rule = "names.exact",
            .names = two_names,
            .name_count = AW_COUNT(two_names),
            .policy = ZERO,
            .input = ONES,
            .order = 3,
            .order_url = "https://ca.example/order/1",
            .url = "https://ca.example/cert/1",
            .url_kind = "certificate",
            .csr = ONES,
            .key = ZERO,
            .serial = "0a1b",
            .not_after = 1800000000,
            .issuer = "CN=R1,O=CA",
            .certificate = ONES,
            .has_verified = true,
            .verified = true,
            .count = 12,
            .message = "done"}};
}

static const char full_line[] =
    "{\"seq\":7,\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"certificate\",\"uid\":4294967295,"
    "\"user\":\"myapp1\",\"application\":\"dept_myapp1\",\"account\":\"incommon-ov\","
    "\"operation\":\"record-certificate\",\"verdict\":\"permit\",\"rule\":\"names.exact\","
    "\"names\":[\"www.example.edu\",\"*.cdn.example.edu\"],\"policy\":\"" ZERO
    "\",\"input\":\"" ONES "\",\"order\":3,\"order_url\":\"https://ca.example/order/1\","
    "\"url\":\"https://ca.example/cert/1\",\"url_kind\":\"certificate\",\"csr\":\"" ONES
    "\",\"key\":\"" ZERO "\",\"serial\":\"0a1b\",\"not_after\":1800000000,"
    "\"issuer\":\"CN=R1,O=CA\",\"certificate\":\"" ONES
    "\",\"verified\":true,\"count\":12,\"message\":\"done\","
    "\"prev\":\"" ONES "\"}";

static void
every_member_has_its_place(void **state)
{
    struct audit_record record = full_record();
    char *line;
    size_t length;

    (void)state;
    expect_ok("full", audit_record_write(&record, &line, &length));
    assert_string_equal(line, full_line);
    assert_int_equal(length, strlen(full_line));
    free(line);
}

static void
absent_members_are_left_out(void **state)
{
    struct audit_record record = {.seq = 1, .entry = {.kind = AUDIT_START}, .previous = ZERO};
    char *line;
    size_t length;

    (void)state;
    expect_ok("empty", audit_record_write(&record, &line, &length));
    assert_string_equal(line,
        "{\"seq\":1,\"time\":\"1970-01-01T00:00:00Z\",\"kind\":\"start\",\"prev\":\"" ZERO "\"}");
    free(line);
}

static void
a_line_is_read_back_whole(void **state)
{
    struct audit_record record;
    char *line;
    size_t length;

    (void)state;
    expect_ok("read", audit_record_parse(full_line, strlen(full_line), &record));
    assert_int_equal(record.seq, 7);
    assert_int_equal(record.entry.name_count, 2);
    assert_string_equal(record.entry.names[1], "*.cdn.example.edu");
    assert_true(record.entry.has_uid);
    assert_int_equal(record.entry.uid, 4294967295);
    assert_string_equal(record.previous, ONES);
    /* Every member came back if writing gives the same line. */
    expect_ok("write", audit_record_write(&record, &line, &length));
    assert_string_equal(line, full_line);
    free(line);
    audit_record_free(&record);
    assert_null(record.json);
}

/* Three answers: verified, not verified, and nobody looked. */
static void
verified_is_true_false_or_absent(void **state)
{
    static const struct {
        const char *name;
        bool has, verified;
        const char *text; /* NULL: not in the line */
    } rows[] = {
        {"verified", true, true, "\"verified\":true"},
        {"not verified", true, false, "\"verified\":false"},
        {"nothing is pinned", false, false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_record record = {.seq = 1,
            .previous = ZERO,
            .entry = {.kind = AUDIT_CERTIFICATE,
                .has_verified = rows[i].has,
                .verified = rows[i].verified}};
        struct audit_record back;
        char *line;
        size_t length;
        expect_ok(rows[i].name, audit_record_write(&record, &line, &length));
        if ((strstr(line, "verified") == NULL) != (rows[i].text == NULL) ||
            (rows[i].text != NULL && strstr(line, rows[i].text) == NULL))
            fail_msg("%s: %s", rows[i].name, line);
        expect_ok(rows[i].name, audit_record_parse(line, length, &back));
        if (back.entry.has_verified != rows[i].has || back.entry.verified != rows[i].verified)
            fail_msg("%s: came back otherwise", rows[i].name);
        audit_record_free(&back);
        free(line);
    }
}

static void
the_digest_covers_the_newline(void **state)
{
    char text[sizeof(full_line) + 1];
    uint8_t digest[32];
    char hex[AW_DIGEST_HEX_SIZE];
    struct audit_record with, without;
    size_t length = strlen(full_line);

    (void)state;
    snprintf(text, sizeof(text), "%s\n", full_line);
    assert_int_equal(EVP_Digest(text, length + 1, digest, NULL, EVP_sha256(), NULL), 1);
    aw_hex(digest, sizeof(digest), hex);
    expect_ok("with", audit_record_parse(text, length + 1, &with));
    expect_ok("without", audit_record_parse(text, length, &without));
    assert_string_equal(with.digest, hex);
    assert_string_equal(without.digest, hex);
    audit_record_free(&with);
    audit_record_free(&without);
}

static void
every_kind_has_its_name(void **state)
{
    (void)state;
    for (int kind = AUDIT_START; kind <= AUDIT_ISSUERS; kind++) {
        struct audit_record record = {
            .seq = 1, .entry = {.kind = (enum audit_kind)kind}, .previous = ZERO};
        struct audit_record back;
        char *line;
        size_t length;
        const char *name = audit_kind_name(record.entry.kind);
        expect_ok(name, audit_record_write(&record, &line, &length));
        expect_ok(name, audit_record_parse(line, length, &back));
        assert_int_equal(back.entry.kind, kind);
        audit_record_free(&back);
        free(line);
    }
}

/* Attack 100: what a stranger named ends up as one line that does nothing to a terminal. */
static void
attack_100_hostile_text_stays_in_its_line(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        const char *back; /* NULL: as it was */
    } rows[] = {
        {"attack 100: line feed", "a\n{\"seq\":8}", NULL},
        {"attack 100: carriage return", "a\rb", NULL},
        {"attack 100: ESC sequence", "\x1b[2J\x1b]0;title\x07", NULL},
        {"attack 100: DEL", "a\x7f", NULL},
        {"attack 100: C1 CSI",
            "a\xc2\x9b"
            "31m",
            NULL},
        {"attack 100: quotes and backslash", "\"},{\\\"", NULL},
        {"attack 100: invalid UTF-8", "a\xff\xc0\xaf", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"attack 100: lone surrogate as UTF-8", "\xed\xa0\x80",
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"attack 100: empty text", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_record record = {.seq = 1,
            .previous = ZERO,
            .entry = {.application = rows[i].text, .names = &rows[i].text, .name_count = 1}};
        struct audit_record back;
        char *line;
        size_t length;
        expect_ok(rows[i].name, audit_record_write(&record, &line, &length));
        for (size_t at = 0; at < length; at++) {
            if ((uint8_t)line[at] < 0x20 || line[at] == 0x7f || (uint8_t)line[at] == 0x9b)
                fail_msg("%s: octet 0x%02x in the line", rows[i].name, (uint8_t)line[at]);
        }
        expect_ok(rows[i].name, audit_record_parse(line, length, &back));
        const char *expected = rows[i].back != NULL ? rows[i].back : rows[i].text;
        if (strcmp(back.entry.application, expected) != 0 ||
            strcmp(back.entry.names[0], expected) != 0)
            fail_msg("%s: came back as \"%s\"", rows[i].name, back.entry.application);
        audit_record_free(&back);
        free(line);
    }
}

#define HEAD "{\"seq\":1,\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"start\""
#define TAIL ",\"prev\":\"" ZERO "\"}"

static void
what_is_no_record_is_refused(void **state)
{
    static const struct {
        const char *name;
        const char *line;
        const char *reason;
        enum aw_code code;
    } rows[] = {
        {"nothing", "", "", AW_CODE_SYNTAX},
        {"no object", "[]", "no object", AW_CODE_SYNTAX},
        {"unknown member", HEAD ",\"colour\":\"red\"" TAIL, "unknown or out of order",
            AW_CODE_SYNTAX},
        {"order of members", HEAD ",\"user\":\"a\",\"uid\":1" TAIL, "unknown or out of order",
            AW_CODE_SYNTAX},
        {"member behind prev", HEAD TAIL "x", "", AW_CODE_SYNTAX},
        {"duplicate member", HEAD ",\"user\":\"a\",\"user\":\"b\"" TAIL, "", AW_CODE_SYNTAX},
        {"case of members", HEAD ",\"User\":\"a\"" TAIL, "unknown or out of order", AW_CODE_SYNTAX},
        {"no prev", HEAD "}", "prev", AW_CODE_SYNTAX},
        {"no seq", "{\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"start\"" TAIL, "seq",
            AW_CODE_SYNTAX},
        {"seq 0", "{\"seq\":0,\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"start\"" TAIL, "seq",
            AW_CODE_LIMIT},
        {"seq as text", "{\"seq\":\"1\",\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"start\"" TAIL,
            "seq", AW_CODE_SYNTAX},
        {"seq over 2^53-1",
            "{\"seq\":9007199254740992,\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"start\"" TAIL,
            "", AW_CODE_SYNTAX},
        {"time without Z", "{\"seq\":1,\"time\":\"2026-11-24T02:34:25\",\"kind\":\"start\"" TAIL,
            "time", AW_CODE_SYNTAX},
        {"time of 30 February",
            "{\"seq\":1,\"time\":\"2026-02-30T02:34:25Z\",\"kind\":\"start\"" TAIL, "time",
            AW_CODE_SYNTAX},
        {"time before 1970", "{\"seq\":1,\"time\":\"1969-12-31T23:59:59Z\",\"kind\":\"start\"" TAIL,
            "from 1970 on", AW_CODE_SYNTAX},
        {"kind as number", "{\"seq\":1,\"time\":\"2026-11-24T02:34:25Z\",\"kind\":1" TAIL, "kind",
            AW_CODE_SYNTAX},
        {"unknown kind", "{\"seq\":1,\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"party\"" TAIL,
            "no kind", AW_CODE_SYNTAX},
        {"uid -1", HEAD ",\"uid\":-1" TAIL, "uid", AW_CODE_LIMIT},
        {"uid 2^32", HEAD ",\"uid\":4294967296" TAIL, "uid", AW_CODE_LIMIT},
        {"null member", HEAD ",\"user\":null" TAIL, "user", AW_CODE_SYNTAX},
        {"number for text", HEAD ",\"user\":1" TAIL, "user", AW_CODE_SYNTAX},
        {"names empty", HEAD ",\"names\":[]" TAIL, "names", AW_CODE_LIMIT},
        {"names of numbers", HEAD ",\"names\":[1]" TAIL, "names", AW_CODE_SYNTAX},
        {"short digest", HEAD ",\"policy\":\"00\"" TAIL, "64 lower-case hex", AW_CODE_SYNTAX},
        {"upper-case digest",
            HEAD
            ",\"policy\":\"A000000000000000000000000000000000000000000000000000000000000000\"" TAIL,
            "64 lower-case hex", AW_CODE_SYNTAX},
        {"verified as number", HEAD ",\"verified\":1" TAIL, "neither true nor false",
            AW_CODE_SYNTAX},
        {"order 0", HEAD ",\"order\":0" TAIL, "order", AW_CODE_LIMIT},
        {"NUL escape", HEAD ",\"user\":\"a\\u0000\"" TAIL, "", AW_CODE_SYNTAX},
        {"two lines", HEAD TAIL "\n" HEAD TAIL "\n", "", AW_CODE_SYNTAX},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_record record;
        aw_result r = audit_record_parse(rows[i].line, strlen(rows[i].line), &record);
        expect_failure(rows[i].name, r, rows[i].code, rows[i].reason);
    }
}

static void
what_no_record_can_hold_is_not_written(void **state)
{
    static const char *const null_name[] = {NULL};
    static char huge[AUDIT_RECORD_MAX + 1];
    static const char *many[5000];
    struct {
        const char *name;
        struct audit_entry entry;
        enum aw_code code;
        const char *reason;
    } rows[] = {
        {"line too long", {.message = huge}, AW_CODE_LIMIT, "octets"},
        {"too many names", {.names = many, .name_count = AW_COUNT(many)}, AW_CODE_LIMIT, "names"},
        {"NULL among names", {.names = null_name, .name_count = 1}, AW_CODE_INTERNAL, "name 0"},
        {"time before 1970", {.time = -1}, AW_CODE_INTERNAL, "time"},
        {"time after 9999", {.time = 253402300800}, AW_CODE_INTERNAL, "time"},
        {"order -1", {.order = -1}, AW_CODE_INTERNAL, "order"},
        {"not_after over 2^53-1", {.not_after = INT64_MAX}, AW_CODE_INTERNAL, "not_after"},
        {"no such kind", {.kind = (enum audit_kind)99}, AW_CODE_INTERNAL, "kind"},
        {"digest of another form", {.csr = "sha256:00"}, AW_CODE_SYNTAX, "64 lower-case hex"},
    };

    (void)state;
    memset(huge, 'a', sizeof(huge) - 1);
    for (size_t i = 0; i < AW_COUNT(many); i++)
        many[i] = "a";
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_record record = {.seq = 1, .entry = rows[i].entry, .previous = ZERO};
        char *line;
        size_t length;
        aw_result r = audit_record_write(&record, &line, &length);
        expect_failure(rows[i].name, r, rows[i].code, rows[i].reason);
    }
}

static void
the_longest_line_passes(void **state)
{
    static char text[AUDIT_RECORD_MAX];
    struct audit_record record = {.seq = 1, .entry = {.message = text}, .previous = ZERO};
    struct audit_record back;
    char *line;
    size_t length;

    (void)state;
    expect_ok("empty", audit_record_write(&record, &line, &length));
    free(line);
    memset(text, 'a', AUDIT_RECORD_MAX - 1 - length);
    expect_ok("longest", audit_record_write(&record, &line, &length));
    assert_int_equal(length, AUDIT_RECORD_MAX - 1);
    expect_ok("back", audit_record_parse(line, length, &back));
    assert_string_equal(back.entry.message, text);
    audit_record_free(&back);
    /* The same with one octet more, in the message. */
    static char longer[AUDIT_RECORD_MAX + 1];
    size_t before = (size_t)(strstr(line, "aa") - line);
    memcpy(longer, line, before);
    longer[before] = 'a';
    memcpy(longer + before + 1, line + before, length - before);
    expect_failure("too long to be read", audit_record_parse(longer, length + 1, &back),
        AW_CODE_LIMIT, "octets");
    free(line);
    text[strlen(text)] = 'a';
    expect_failure(
        "one more", audit_record_write(&record, &line, &length), AW_CODE_LIMIT, "octets");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_has_its_place),
        cmocka_unit_test(absent_members_are_left_out),
        cmocka_unit_test(a_line_is_read_back_whole),
        cmocka_unit_test(verified_is_true_false_or_absent),
        cmocka_unit_test(the_digest_covers_the_newline),
        cmocka_unit_test(every_kind_has_its_name),
        cmocka_unit_test(attack_100_hostile_text_stays_in_its_line),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(what_no_record_can_hold_is_not_written),
        cmocka_unit_test(the_longest_line_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
