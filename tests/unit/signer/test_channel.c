/* What crosses from a gate to the core: what is said arrives, and nothing else is taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/channel.h"

enum { SOON_MS = 50 };

#define METHOD "org.acmeward.Signer.NewOrder"
#define CALL(parameters) "{\"method\":\"" METHOD "\",\"parameters\":" parameters "}"

static void
encode(const char *text, struct channel_message *out)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};

    assert_true(aw_ok(aw_varlink_call_parse(text, strlen(text), &call)));
    assert_true(aw_ok(channel_encode(&call, out)));
}

static void
what_is_said_arrives(void **state)
{
    static const char *const rows[] = {"{}", "{\"a\":1}", "{\"a\":-9007199254740991}",
        "{\"a\":9007199254740991,\"b\":[true,false,null,\"\"],\"c\":{\"d\":{}}}",
        "{\"text\":\"\xe2\x82\xac\\u0001\"}", "{\"A\":1,\"a\":2}"};
    (void)state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
        AW_CLEANUP(aw_json_free) cJSON *expected = NULL;
        AW_CLEANUP(aw_free) char *text = NULL;

        assert_true(aw_ok(aw_format(&text, CALL("%s"), rows[i])));
        encode(text, &message);
        assert_true(aw_ok(channel_decode(&message, &call)));
        assert_string_equal(call.method, METHOD);
        assert_true(aw_ok(aw_json_parse(rows[i], strlen(rows[i]), AW_JSON_STRICT, &expected)));
        if (!cJSON_Compare(expected, call.parameters, true))
            fail_msg("%s: something else arrives", rows[i]);
    }
}

/* A call cut off anywhere, and one with something behind it, is none. */
static void
a_call_that_is_cut_off(void **state)
{
    AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
    (void)state;

    encode(CALL("{\"nonce\":\"n\",\"names\":[\"a.example\"],\"order\":7,\"in\":{\"x\":null}}"),
        &message);
    for (size_t size = 0; size < message.size; size++) {
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
        /* A copy of its size, so that what is read beyond it is found. */
        AW_CLEANUP(aw_free) uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, message.data, size);
        const struct channel_message cut = {.kind = CHANNEL_CALL, .data = copy, .size = size};
        if (channel_decode(&cut, &call).code != AW_CODE_MISMATCH)
            fail_msg("%zu octets are taken for a call", size);
    }
}

/* Octets for tests; a string literal's NUL is not one of them. */
#define OCTETS(text) (const uint8_t *)(text), sizeof(text) - 1
#define TEXT(length, text) length "\0\0\0" text
#define NAMED TEXT("\x1c", METHOD)

static void
what_no_gate_sends(void **state)
{
    static const struct {
        const char *name;
        const uint8_t *octets;
        size_t size;
    } rows[] = {
        {"nothing", OCTETS("")},
        {"a method alone", OCTETS(NAMED)},
        {"a method without an interface", OCTETS(TEXT("\x08", "NewOrder") "o\0\0\0\0")},
        {"a method's name with a NUL", OCTETS(TEXT("\x05", "a.B\0c") "o\0\0\0\0")},
        {"a method's name that is too long", OCTETS("\xff\xff\0\0")},
        {"parameters that are an array", OCTETS(NAMED "a\0\0\0\0")},
        {"parameters that are null", OCTETS(NAMED "n")},
        {"something behind", OCTETS(NAMED "o\0\0\0\0n")},
        {"a value of no type", OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "x")},
        {"a member twice", OCTETS(NAMED "o\2\0\0\0" TEXT("\1", "a") "n" TEXT("\1", "a") "n")},
        {"a name with a NUL", OCTETS(NAMED "o\1\0\0\0" TEXT("\2", "a\0") "n")},
        {"a text with a NUL", OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "s" TEXT("\2", "x\0"))},
        {"overlong UTF-8", OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "s" TEXT("\2", "\xc0\x80"))},
        {"a lone surrogate",
            OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "s" TEXT("\3", "\xed\xa0\x80"))},
        {"half a character", OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "s" TEXT("\1", "\xe2"))},
        {"a text longer than the message",
            OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "s\xff\xff\xff\xff")},
        {"a number over 2^53-1", OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "i\0\0\0\0\0\0\x20\0")},
        {"more members than there is room for", OCTETS(NAMED "o\xff\xff\xff\xff")},
        {"more values than there is room for",
            OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "a\xff\xff\xff\xff")},
        {"65 members",
            OCTETS(NAMED "o\x41\0\0\0" /* and as much behind as that would be */
                         "                                                                 "
                         "                                                                 ")},
        {"too deep", OCTETS(NAMED "o\1\0\0\0" TEXT("\1", "a") "a\1\0\0\0a\1\0\0\0a\1\0\0\0a\1\0\0\0"
                                                              "a\1\0\0\0a\1\0\0\0a\0\0\0\0")},
    };
    (void)state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
        AW_CLEANUP(aw_free) uint8_t *copy = malloc(rows[i].size + 1);
        assert_non_null(copy);
        memcpy(copy, rows[i].octets, rows[i].size);
        const struct channel_message message = {
            .kind = CHANNEL_CALL, .data = copy, .size = rows[i].size};
        if (channel_decode(&message, &call).code != AW_CODE_MISMATCH)
            fail_msg("%s: taken for a call", rows[i].name);
    }
}

/* What a client may write in JSON and a message can't say is the client's fault, not the gate's. */
static void
more_members_than_a_message_has(void **state)
{
    AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
    char text[2048];
    size_t used =
        (size_t)snprintf(text, sizeof(text), "%s", "{\"method\":\"a.b.C\",\"parameters\":{");
    (void)state;

    for (int i = 0; i <= CHANNEL_MEMBERS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\"m%d\":1", i ? "," : "", i);
    snprintf(text + used, sizeof(text) - used, "}}");
    assert_true(aw_ok(aw_varlink_call_parse(text, strlen(text), &call)));
    assert_int_equal(AW_CODE_LIMIT, channel_encode(&call, &message).code);
    assert_null(message.data);
}

static void
garbage_is_told(void **state)
{
    AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
    AW_CLEANUP(channel_message_free) struct channel_message cut = {.data = NULL};
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
    char text[CHANNEL_TEXT_MAX + 100];
    const char *told = NULL;
    (void)state;

    assert_true(aw_ok(channel_encode_garbage("not JSON", &message)));
    assert_true(aw_ok(channel_decode_garbage(&message, &told)));
    assert_string_equal(told, "not JSON");
    assert_int_equal(AW_CODE_MISMATCH, channel_decode(&message, &call).code);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_true(aw_ok(channel_encode_garbage(text, &cut)));
    assert_true(aw_ok(channel_decode_garbage(&cut, &told)));
    assert_int_equal(CHANNEL_TEXT_MAX, strlen(told));
    cut.data[7] = 0xff;
    assert_int_equal(AW_CODE_MISMATCH, channel_decode_garbage(&cut, &told).code);
}

/* Sockets. */

struct pair {
    int near, far;
};

static void
pair_close(struct pair *p)
{
    aw_close(&p->near);
    aw_close(&p->far);
}

static struct pair
pair_of(int type)
{
    int ends[2];

    assert_int_equal(0, socketpair(AF_UNIX, type, 0, ends));
    return (struct pair){ends[0], ends[1]};
}

static void
messages_come_one_by_one(void **state)
{
    AW_CLEANUP(pair_close) struct pair p = pair_of(SOCK_STREAM);
    (void)state;

    for (int i = 0; i < 3; i++) {
        AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
        encode(CALL("{\"a\":1}"), &message);
        assert_true(aw_ok(channel_send(p.near, &message)));
    }
    aw_close(&p.near);
    for (int i = 0; i < 3; i++) {
        AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
        assert_true(aw_ok(channel_receive(p.far, SOON_MS, &message)));
        assert_true(aw_ok(channel_decode(&message, &call)));
    }
    struct channel_message none;
    assert_int_equal(AW_CODE_CLOSED, channel_receive(p.far, SOON_MS, &none).code);
}

static void
a_message_that_is_none(void **state)
{
    static const struct {
        const char *name;
        const uint8_t *octets;
        size_t size;
        bool ends; /* as when the gate was killed: it has said nothing wrong */
    } rows[] = {
        {"another kind", OCTETS("\3\0\0\0\0\0\0\0"), false},
        {"no kind", OCTETS("\0\0\0\0\0\0\0\0"), false},
        {"a size over the limit", OCTETS("\1\0\0\0\1\0\x08\0"), false},
        {"half a header, then the end", OCTETS("\1\0\0\0\1"), true},
        {"half a header, then nothing", OCTETS("\1\0\0\0\1"), false},
        {"no body, then the end", OCTETS("\1\0\0\0\4\0\0\0"), true},
        {"half a body, then the end", OCTETS("\1\0\0\0\4\0\0\0ab"), true},
        {"half a body, then nothing", OCTETS("\1\0\0\0\4\0\0\0ab"), false},
    };
    (void)state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(pair_close) struct pair p = pair_of(SOCK_STREAM);
        struct channel_message message = {.data = NULL};

        assert_int_equal(rows[i].size, send(p.near, rows[i].octets, rows[i].size, 0));
        if (rows[i].ends)
            aw_close(&p.near);
        aw_result r = channel_receive(p.far, SOON_MS, &message);
        if (r.code != (rows[i].ends ? AW_CODE_CLOSED : AW_CODE_MISMATCH))
            fail_msg("%s: %s", rows[i].name, aw_ok(r) ? "a message" : aw_code_tag(r.code));
        assert_null(message.data);
    }
}

/* Sends an octet with that many descriptors of standard input. */
static void
pass(int fd, char octet, size_t size, size_t count)
{
    char octets[] = {octet, octet};
    struct iovec part = {octets, size};
    union {
        char octets[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {.octets = {0}};
    struct msghdr what = {.msg_iov = &part, .msg_iovlen = 1};

    if (count > 0) {
        what.msg_control = control.octets;
        what.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&what);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memset(CMSG_DATA(c), 0, count * sizeof(int));
    }
    assert_int_equal(size, sendmsg(fd, &what, 0));
}

static void
descriptors_that_are_not_two(void **state)
{
    static const struct {
        const char *name;
        char octet;
        size_t size, count;
        enum aw_code code;
    } rows[] = {
        {"an arrival", 'c', 1, 2, AW_CODE_OK},
        {"none", 'c', 1, 0, AW_CODE_MISMATCH},
        {"one", 'c', 1, 1, AW_CODE_MISMATCH},
        {"three", 'c', 1, 3, AW_CODE_MISMATCH},
        {"another octet", 'x', 1, 2, AW_CODE_MISMATCH},
        {"two octets", 'c', 2, 2, AW_CODE_MISMATCH},
    };
    (void)state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(pair_close) struct pair p = pair_of(SOCK_SEQPACKET);
        AW_CLEANUP(aw_close) int connection = -1;
        AW_CLEANUP(aw_close) int channel = -1;

        pass(p.near, rows[i].octet, rows[i].size, rows[i].count);
        if (channel_take(p.far, &connection, &channel).code != rows[i].code)
            fail_msg("%s: another result", rows[i].name);
        assert_int_equal(rows[i].code == AW_CODE_OK, connection >= 0 && channel >= 0);
        aw_close(&p.near);
        assert_int_equal(AW_CODE_CLOSED, channel_take(p.far, &(int){-1}, &(int){-1}).code);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_arrives),
        cmocka_unit_test(a_call_that_is_cut_off),
        cmocka_unit_test(what_no_gate_sends),
        cmocka_unit_test(more_members_than_a_message_has),
        cmocka_unit_test(garbage_is_told),
        cmocka_unit_test(messages_come_one_by_one),
        cmocka_unit_test(a_message_that_is_none),
        cmocka_unit_test(descriptors_that_are_not_two),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
