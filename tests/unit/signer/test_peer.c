/* Who is at the other end, and which role that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signer/peer.h"
#include "signer/relays.h"
#include "signer/users.h"

static void
the_kernel_says_who_it_is(void **state)
{
    struct peer peer = {0};
    gid_t groups[512];
    int ends[2];
    char number[32];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(peer_from_fd(ends[0], &peer).code, AW_CODE_OK);
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.groups[0], getegid());
    int count = getgroups(512, groups);
    assert_int_equal(peer.group_count, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        assert_int_equal(peer.groups[1 + i], groups[i]);
    snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
    assert_string_equal(peer.user, number);
    users_name_of(NULL, peer.uid, peer.user, sizeof(peer.user));
    const struct passwd *me = getpwuid(geteuid());
    assert_string_equal(peer.user, me == NULL ? number : me->pw_name);
    struct policy_subject subject = peer_subject(&peer);
    assert_int_equal(subject.uid, peer.uid);
    assert_int_equal(subject.group_count, peer.group_count);
    close(ends[0]);
    close(ends[1]);
}

static void
a_uid_without_a_name_keeps_its_number(void **state)
{
    struct peer peer = {.uid = 3999999999u, .user = "3999999999"};

    (void)state;
    users_name_of(NULL, peer.uid, peer.user, sizeof(peer.user));
    assert_string_equal(peer.user, "3999999999");
}

static void
what_is_no_socket_is_nobody(void **state)
{
    struct peer peer = {0};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(peer_from_fd(ends[0], &peer).code, AW_CODE_IO);
    assert_int_equal(peer_from_fd(-1, &peer).code, AW_CODE_IO);
    close(ends[0]);
    close(ends[1]);
}

/* Sockets that change hands. */

static int
listen_somewhere(char folder[64], struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(folder, 64, "/tmp/aw-peer-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/s", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(chmod(address->sun_path, 0666), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* In a child: connects as `before`, becomes `after`, and only then says something. */
static pid_t
connect_and_become(const struct sockaddr_un *address, uid_t before, uid_t after)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool good = fd >= 0 && seteuid(before) == 0 &&
                connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
                seteuid(0) == 0 && setuid(after) == 0 && write(fd, "x", 1) == 1;
    _exit(good ? 0 : 1);
}

/* SO_PEERCRED is of the moment of connect: who takes a socket over acts as who opened it, and a
 * socket taken from somebody else gives nothing of one's own. */
static void
attack_95_a_socket_passed_on_after_connect(void **state)
{
    static const struct {
        const char *name;
        uid_t before, after;
    } rows[] = {{"attack 95: opened by daemon, used by bin", 1, 2},
        {"attack 95: opened by bin, used by daemon", 2, 1}};
    struct sockaddr_un address;
    char folder[64];

    (void)state;
    if (geteuid() != 0)
        skip();
    int listening = listen_somewhere(folder, &address);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct peer peer = {0};
        char said = 0;
        int status = 1;
        pid_t child = connect_and_become(&address, rows[i].before, rows[i].after);
        assert_true(child > 0);
        int fd = accept(listening, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, &said, 1), 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(peer_from_fd(fd, &peer).code, AW_CODE_OK);
        if (peer.uid != rows[i].before)
            fail_msg("%s: uid %u", rows[i].name, (unsigned)peer.uid);
        close(fd);
    }
    close(listening);
    unlink(address.sun_path);
    assert_int_equal(rmdir(folder), 0);
}

/* Roles. */

static aw_result
find_user(const char *name, bool *found, uid_t *uid, void *context)
{
    char *end = NULL;

    (void)context;
    if (strcmp(name, "?") == 0)
        return aw_fail(AW_CODE_IO, "no directory");
    *uid = (uid_t)strtoul(name, &end, 10);
    *found = end != name && *end == '\0';
    return AW_OK;
}

static aw_result
find_group(const char *name, bool *found, gid_t *gid, void *context)
{
    return find_user(name, found, gid, context);
}

static const struct policy_resolver resolver = {.user = find_user, .group = find_group};

/* Names are numbers; "x" does not exist, whether "?" does can't be told. */
static struct aw_config_principal officers[] = {{.user = (char[]){"10"}},
    {.group = (char[]){"100"}}, {.user = (char[]){"x"}}, {.user = (char[]){"65534"}},
    {.group = (char[]){"65534"}}};
static struct aw_config_principal operators[] = {
    {.user = (char[]){"20"}}, {.user = (char[]){"10"}}, {.group = (char[]){"200"}}};

static void
the_highest_role_counts(void **state)
{
    static const struct {
        const char *name;
        uid_t uid;
        gid_t groups[2];
        enum peer_role role;
    } rows[] = {
        {"an officer", 10, {1, 2}, PEER_OFFICER},
        {"an operator", 20, {1, 2}, PEER_OPERATOR},
        {"nobody", 30, {1, 2}, PEER_NOBODY},
        {"root, who is not named", 0, {0, 0}, PEER_NOBODY},
        {"by the primary group", 30, {100, 2}, PEER_OFFICER},
        {"attack 96a: by a supplementary group", 30, {1, 200}, PEER_OPERATOR},
        {"operator by name, officer by group", 20, {1, 100}, PEER_OFFICER},
        {"a uid that is a group's number", 100, {1, 2}, PEER_NOBODY},
        {"a group that is a uid's number", 30, {10, 20}, PEER_NOBODY},
        {"the overflow uid", 65534, {1, 2}, PEER_NOBODY},
        {"the overflow group", 30, {1, 65534}, PEER_NOBODY},
    };
    struct aw_config config = {.file = (char[]){"signer.yaml"},
        .officers = {officers, AW_COUNT(officers)},
        .operators = {operators, AW_COUNT(operators)}};
    struct aw_faults warnings = {0};
    struct peer_roles roles = {0};

    (void)state;
    assert_true(aw_ok(peer_roles_resolve(&config, &resolver, &warnings, &roles)));
    assert_int_equal(warnings.total, 3);
    assert_non_null(strstr(warnings.items[0].message, "user \"x\""));
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct peer peer = {.uid = rows[i].uid, .group_count = 2};

        memcpy(peer.groups, rows[i].groups, sizeof(rows[i].groups));
        if (peer_role_of(&peer, &roles) != rows[i].role)
            fail_msg("%s is %s", rows[i].name, peer_role_name(peer_role_of(&peer, &roles)));
        struct grounds grounds = {.count = 0};
        peer_grounds_of(&peer, &roles, &grounds);
        if ((grounds.count > 0) != (rows[i].role != PEER_NOBODY) ||
            grounds_have_group(&grounds, 30))
            fail_msg("%s: other grounds than its role", rows[i].name);
    }
    aw_faults_free(&warnings);
    peer_roles_free(&roles);
    assert_int_equal(peer_role_of(&(struct peer){.uid = 10}, &roles), PEER_NOBODY);
}

/* Who is a relay, and for which URL: a user before a group, whatever the order of the file. */
static void
a_peer_is_one_relay(void **state)
{
    struct aw_config_relay items[] = {
        {.who.group = (char[]){"200"}, .url = (char[]){"https://g"}},
        {.who.user = (char[]){"10"}, .url = (char[]){"https://u"}},
        {.who.user = (char[]){"x"}, .url = (char[]){"https://x"}},
        {.who.user = (char[]){"65534"}, .url = (char[]){"https://y"}},
        {.who.group = (char[]){"65534"}, .url = (char[]){"https://y"}},
        {.who.user = (char[]){"010"}, .url = (char[]){"https://z"}},
        {.who.group = (char[]){"100"}, .url = (char[]){"https://h"}},
    };
    static const struct {
        const char *name;
        uid_t uid;
        gid_t groups[2];
        const char *url; /* NULL: no relay */
    } rows[] = {
        {"by user", 10, {1, 2}, "https://u"},
        {"by user, though a group comes first in the file", 10, {1, 200}, "https://u"},
        {"by a supplementary group", 30, {1, 200}, "https://g"},
        {"by two groups: the file's order, not the kernel's", 30, {100, 200}, "https://g"},
        {"nobody", 30, {1, 2}, NULL},
        {"root, who is not named", 0, {0, 0}, NULL},
        {"a uid that is a group's number", 200, {1, 2}, NULL},
        {"a group that is a uid's number", 30, {10, 1}, NULL},
        {"the overflow uid", 65534, {1, 2}, NULL},
        {"the overflow group", 30, {1, 65534}, NULL},
    };
    struct aw_config config = {
        .file = (char[]){"signer.yaml"}, .relays = items, .relay_count = AW_COUNT(items)};
    struct aw_faults warnings = {0};
    struct relays relays = {0};

    (void)state;
    assert_true(aw_ok(relays_resolve(&config, &resolver, &warnings, &relays)));
    assert_int_equal(warnings.total, 4);
    assert_non_null(strstr(warnings.items[0].message, "user \"x\" does not exist"));
    assert_non_null(strstr(warnings.items[2].message, "\"010\" is a relay already"));
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct peer peer = {.uid = rows[i].uid, .group_count = 2};
        struct grounds grounds = {.count = 0};

        memcpy(peer.groups, rows[i].groups, sizeof(rows[i].groups));
        const struct relay_entry *found = relays_find(&relays, &peer);
        if ((found == NULL) != (rows[i].url == NULL) ||
            (found != NULL && strcmp(found->url, rows[i].url) != 0))
            fail_msg("%s: %s", rows[i].name, found == NULL ? "no relay" : found->url);
        relays_grounds_of(&relays, &peer, &grounds);
        if ((grounds.count == 1) != (rows[i].url != NULL))
            fail_msg("%s: %zu grounds", rows[i].name, grounds.count);
    }
    aw_faults_free(&warnings);
    relays_free(&relays);
    assert_null(relays_find(&relays, &(struct peer){.uid = 10}));
}

static void
who_can_not_be_looked_up_is_not_left_without_a_role(void **state)
{
    struct aw_config_principal unknown[][2] = {
        {{.user = (char[]){"10"}}, {.user = (char[]){"?"}}},
        {{.user = (char[]){"10"}}, {.group = (char[]){"?"}}},
    };

    (void)state;
    for (size_t i = 0; i < 2 * AW_COUNT(unknown); i++) {
        const struct aw_config_role role = {unknown[i / 2], 2};
        struct aw_config config = {.file = (char[]){"signer.yaml"}};
        struct aw_faults warnings = {0};
        struct peer_roles roles = {0};

        *(i % 2 == 0 ? &config.officers : &config.operators) = role;
        assert_int_equal(
            peer_roles_resolve(&config, &resolver, &warnings, &roles).code, AW_CODE_IO);
        assert_string_equal(aw_error_last()->message, "administrators: no directory");
        assert_int_equal(warnings.total, 0);
        peer_roles_free(&roles);
    }
    struct aw_config_relay relay = {.who.user = (char[]){"?"}, .url = (char[]){"https://r"}};
    struct aw_config config = {.relays = &relay, .relay_count = 1};
    struct aw_faults warnings = {0};
    struct relays relays = {0};
    assert_int_equal(relays_resolve(&config, &resolver, &warnings, &relays).code, AW_CODE_IO);
    relays_free(&relays);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_says_who_it_is),
        cmocka_unit_test(a_uid_without_a_name_keeps_its_number),
        cmocka_unit_test(what_is_no_socket_is_nobody),
        cmocka_unit_test(attack_95_a_socket_passed_on_after_connect),
        cmocka_unit_test(the_highest_role_counts),
        cmocka_unit_test(who_can_not_be_looked_up_is_not_left_without_a_role),
        cmocka_unit_test(a_peer_is_one_relay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
