/* Proof inside the network: what is accepted, and where no connection is made to. dns-01 needs a
 * DNS server: tests/e2e/test_relay_validation.py. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "client/challenge.h"
#include "common/io.h"
#include "relay/networks.h"
#include "relay/validation.h"

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define AUTHORIZATION TOKEN ".THUMB"

static struct aw_yaml_string loopback[] = {{.text = (char[]){"127.0.0.0/8"}}};
static struct aw_yaml_string elsewhere[] = {{.text = (char[]){"192.0.2.0/24"}}};

/* A client of the relay's, that proves the address 127.0.0.1. */
struct prover {
    challenge_standalone *http;
    challenge_tls_alpn *tls;
    struct relay_config config;
    struct aw_name name;
    struct relay_problem problem;
    struct validation v;
};

static void
prover_open(struct prover *p)
{
    memset(p, 0, sizeof(*p));
    assert_true(aw_ok(aw_name_parse_address("127.0.0.1", 9, &p->name)));
    assert_true(aw_ok(challenge_standalone_start("127.0.0.1", 0, &p->http)));
    assert_true(aw_ok(challenge_tls_alpn_start("127.0.0.1", 0, &p->tls)));
    p->config.validation.http_port = challenge_standalone_port(p->http);
    p->config.validation.tls_port = challenge_tls_alpn_port(p->tls);
    p->config.validation.networks = (struct aw_yaml_strings){loopback, 1};
    p->v = (struct validation){&p->config, &p->name, TOKEN, AUTHORIZATION, &p->problem, false, 10};
}

static void
prover_close(struct prover *p)
{
    challenge_standalone_stop(&p->http);
    challenge_tls_alpn_stop(&p->tls);
    relay_problem_free(&p->problem);
}

static void
expect(struct prover *p, aw_result r, enum relay_problem_type type, const char *words)
{
    assert_int_equal(r.code, AW_CODE_REFUSED);
    assert_string_equal(relay_problem_name(p->problem.type), relay_problem_name(type));
    if (strstr(p->problem.detail, words) == NULL)
        fail_msg("%s, expected \"%s\"", p->problem.detail, words);
}

static void
proves_by_http(void **state)
{
    AW_CLEANUP(prover_close) struct prover p;

    (void)state;
    prover_open(&p);
    expect(&p, validation_http(&p.v), RELAY_UNAUTHORIZED, "status 404");
    assert_true(aw_ok(challenge_standalone_deploy(p.http, TOKEN, TOKEN ".OTHER")));
    expect(&p, validation_http(&p.v), RELAY_UNAUTHORIZED, "does not hold the key authorization");
    challenge_standalone_remove(p.http, TOKEN);
    assert_true(aw_ok(challenge_standalone_deploy(p.http, TOKEN, AUTHORIZATION " \n")));
    assert_true(aw_ok(validation_http(&p.v)));
}

static void
proves_by_tls(void **state)
{
    AW_CLEANUP(prover_close) struct prover p;

    (void)state;
    prover_open(&p);
    expect(&p, validation_tls_alpn(&p.v), RELAY_TLS, "TLS with 127.0.0.1");
    assert_true(aw_ok(challenge_tls_alpn_deploy(p.tls, &p.name, TOKEN ".OTHER")));
    expect(&p, validation_tls_alpn(&p.v), RELAY_UNAUTHORIZED, "digest of the key authorization");
    challenge_tls_alpn_remove(p.tls, &p.name);
    assert_true(aw_ok(challenge_tls_alpn_deploy(p.tls, &p.name, AUTHORIZATION)));
    assert_true(aw_ok(validation_tls_alpn(&p.v)));
}

/* Whoever orders a name can't have the relay connect to what is not within its networks. */
static void
connects_within_its_networks_only(void **state)
{
    AW_CLEANUP(prover_close) struct prover p;

    (void)state;
    prover_open(&p);
    assert_true(aw_ok(challenge_standalone_deploy(p.http, TOKEN, AUTHORIZATION)));
    p.config.validation.networks = (struct aw_yaml_strings){elsewhere, 1};
    expect(&p, validation_http(&p.v), RELAY_CONNECTION, "within the networks");
    expect(&p, validation_tls_alpn(&p.v), RELAY_CONNECTION, "within the networks");
    p.config.validation.networks = (struct aw_yaml_strings){NULL, 0};
    expect(&p, validation_http(&p.v), RELAY_CONNECTION, "within the networks");
}

static void
tells_what_nobody_listens_at(void **state)
{
    AW_CLEANUP(prover_close) struct prover p;

    (void)state;
    prover_open(&p);
    challenge_standalone_stop(&p.http);
    expect(&p, validation_http(&p.v), RELAY_CONNECTION, "127.0.0.1");
}

static const struct {
    const char *network;
    const char *address; /* NULL: the network is none */
    bool holds;
} rows[] = {
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"0.0.0.0/0", "198.51.100.1", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"192.0.2.0/24", "::ffff:192.0.2.9", true},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/32", "2001:db9::1", false},
    {"192.0.2.1/24", NULL, false},
    {"192.0.2.0/33", NULL, false},
    {"192.0.2.0/", NULL, false},
    {"192.0.2.0/-1", NULL, false},
    {"2001:db8::/129", NULL, false},
    {"::ffff:192.0.2.0/120", NULL, false},
    {"::/0", "2001:db8::1", true},
    {"www.example.edu", NULL, false},
    {"", NULL, false},
};

static void
knows_networks(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct aw_yaml_string one = {.text = strdup(rows[i].network)};
        const struct aw_yaml_strings list = {&one, 1};
        struct sockaddr_storage address = {.ss_family = AF_INET};

        if (relay_network_check(rows[i].network) != (rows[i].address != NULL))
            fail_msg("%s", rows[i].network);
        if (rows[i].address != NULL && strchr(rows[i].address, ':') != NULL)
            address.ss_family = AF_INET6;
        void *at = address.ss_family == AF_INET
                       ? (void *)&((struct sockaddr_in *)&address)->sin_addr
                       : (void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
        if (rows[i].address != NULL)
            assert_int_equal(inet_pton(address.ss_family, rows[i].address, at), 1);
        if (relay_networks_hold(&list, (struct sockaddr *)&address) != rows[i].holds)
            fail_msg("%s %s", rows[i].network, rows[i].address);
        free(one.text);
    }
}

/* Begins a handshake and never ends it: an octet now and then, until the other one goes. */
static void *
drip(void *context)
{
    static const char head[] = {0x16, 0x03, 0x03, 0x40, 0x00};
    int client = accept(*(int *)context, NULL, NULL);
    bool on = client >= 0 && send(client, head, sizeof(head), MSG_NOSIGNAL) == sizeof(head);

    for (int i = 0; on && i < 200; i++) {
        poll(NULL, 0, 50);
        on = send(client, "\x02", 1, MSG_NOSIGNAL) == 1;
    }
    close(client);
    return NULL;
}

/* The threads that validate are those that orders of all applications wait for. */
static void
slow_handshakes_hold_no_thread(void **state)
{
    AW_CLEANUP(prover_close) struct prover p;
    AW_CLEANUP(aw_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int64_t begun;
    pthread_t thread;

    (void)state;
    prover_open(&p);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    assert_int_equal(pthread_create(&thread, NULL, drip, &fd), 0);
    p.config.validation.tls_port = ntohs(at.sin_port);
    p.v.seconds = 1;
    begun = aw_now_ms();
    expect(&p, validation_tls_alpn(&p.v), RELAY_TLS, "no end of the handshake in 1 seconds");
    assert_true(aw_now_ms() - begun < 5000);
    pthread_join(thread, NULL);
}

static int
listen_somewhere(unsigned *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

struct redirecting {
    int fd;
    unsigned to;
};

static void *
redirect(void *context)
{
    const struct redirecting *r = context;
    char text[256];
    int client = accept(r->fd, NULL, NULL);

    snprintf(text, sizeof(text),
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/stop\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n",
        r->to);
    if (client >= 0 && recv(client, (char[1024]){0}, 1024, 0) > 0)
        send(client, text, strlen(text), MSG_NOSIGNAL);
    close(client);
    return NULL;
}

/* Whoever orders a name can't have the relay ask other services within its networks either. */
static void
follows_redirects_to_web_servers_only(void **state)
{
    AW_CLEANUP(prover_close) struct prover p;
    struct redirecting r;
    unsigned port;
    pthread_t thread;

    (void)state;
    prover_open(&p);
    r.fd = listen_somewhere(&port);
    int other = listen_somewhere(&r.to);
    p.config.validation.http_port = port;
    assert_int_equal(pthread_create(&thread, NULL, redirect, &r), 0);
    expect(&p, validation_http(&p.v), RELAY_CONNECTION, "a port that is no web server's");
    pthread_join(thread, NULL);
    assert_int_equal(poll(&(struct pollfd){.fd = other, .events = POLLIN}, 1, 0), 0);
    close(other);
    close(r.fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proves_by_http),
        cmocka_unit_test(proves_by_tls),
        cmocka_unit_test(connects_within_its_networks_only),
        cmocka_unit_test(follows_redirects_to_web_servers_only),
        cmocka_unit_test(slow_handshakes_hold_no_thread),
        cmocka_unit_test(tells_what_nobody_listens_at),
        cmocka_unit_test(knows_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
