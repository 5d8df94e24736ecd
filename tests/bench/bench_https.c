/*
 * What the relay's figures are held against, and how they are taken (tests/bench/relay.py).
 *
 *   bench_https serve PORT CERTIFICATE KEY               libevent's HTTP over OpenSSL, one static
 *                                                        answer, nothing else: the floor
 *   bench_https load PORT METHOD PATH CONNECTIONS SECONDS CONNECTIONS that ask again and again,
 *                                                        eight threads; tells requests and failures
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>

#include "bench.h"
#include "common/io.h"

enum { THREADS = 8, ANSWER_SIZE = 8192, SOURCES = 16 };

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "bench_https: %s\n", what);
    exit(1);
}

static int
number(const char *text)
{
    double value;

    if (!aw_ok(bench_number("argument", text, &value)))
        die(aw_error_last()->message);
    return (int)value;
}

/* The floor. */

static struct bufferevent *
make_connection(struct event_base *base, void *context)
{
    return bufferevent_openssl_socket_new(
        base, -1, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void
answer(struct evhttp_request *request, void *context)
{
    static const char text[] = "{\"newNonce\":\"https://localhost/acme/new-nonce\"}";
    struct evbuffer *body = evbuffer_new();

    (void)context;
    evbuffer_add(body, text, sizeof(text) - 1);
    evhttp_send_reply(request, 200, NULL, body);
    evbuffer_free(body);
}

static void
serve(int port, const char *certificate, const char *key)
{
    struct event_base *base = event_base_new();
    struct evhttp *server = evhttp_new(base);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        die("no certificate");
    evhttp_set_bevcb(server, make_connection, tls);
    evhttp_set_gencb(server, answer, NULL);
    struct evhttp_bound_socket *bound =
        evhttp_bind_socket_with_handle(server, "127.0.0.1", (unsigned short)port);
    int one = 1;
    /* Connections inherit it; without, header and body wait for each other's acknowledgement. */
    if (bound == NULL || setsockopt(evhttp_bound_socket_get_fd(bound), IPPROTO_TCP, TCP_NODELAY,
                             &one, sizeof(one)) != 0)
        die("can't listen");
    puts("ready");
    fflush(stdout);
    event_base_dispatch(base);
}

/* The load. */

static struct {
    int port, connections;
    char request[256];
    int64_t begun_ms, end_ms;
    int seconds;
    SSL_CTX *tls;
    atomic_long asked, failed;
    pthread_barrier_t ready; /* everybody is connected */
} load;

/* From several addresses, as departments' hosts come. */
static SSL *
connect_one(int number)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    SSL *ssl = SSL_new(load.tls);

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)(number % SOURCES));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((unsigned short)load.port);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    SSL_set_fd(ssl, fd);
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && SSL_connect(ssl) == 1)
        return ssl;
    close(fd);
    SSL_free(ssl);
    return NULL;
}

/* Octets of the whole answer, once its header is there; 0: not yet. */
static size_t
whole(const char *text, bool head)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");

    if (end == NULL)
        return 0;
    return (size_t)(end + 4 - text) +
           (head || length == NULL ? 0 : strtoul(length + strlen("Content-Length: "), NULL, 10));
}

static bool
ask(SSL *ssl)
{
    char text[ANSWER_SIZE];
    size_t got = 0, wanted = 0;
    bool head = strncmp(load.request, "HEAD", 4) == 0;

    if (SSL_write(ssl, load.request, (int)strlen(load.request)) <= 0)
        return false;
    while (wanted == 0 || got < wanted) {
        int more = SSL_read(ssl, text + got, (int)(sizeof(text) - 1 - got));

        if (more <= 0)
            return false;
        got += (size_t)more;
        text[got] = '\0';
        wanted = whole(text, head);
    }
    return strncmp(text, "HTTP/1.1 20", 11) == 0;
}

static void
ask_all(SSL **connections, int count)
{
    for (int i = 0; i < count && aw_now_ms() < load.end_ms; i++) {
        if (connections[i] != NULL && ask(connections[i])) {
            load.asked++;
        } else {
            load.failed++;
            connections[i] = NULL;
        }
    }
}

static void *
run(void *context)
{
    int first = (int)(intptr_t)context, count = 0;
    SSL **connections = calloc((size_t)load.connections, sizeof(connections[0]));

    for (int i = first; i < load.connections; i += THREADS)
        connections[count++] = connect_one(i);
    if (pthread_barrier_wait(&load.ready) == PTHREAD_BARRIER_SERIAL_THREAD) {
        load.begun_ms = aw_now_ms();
        load.end_ms = load.begun_ms + load.seconds * INT64_C(1000);
    }
    pthread_barrier_wait(&load.ready);
    while (aw_now_ms() < load.end_ms)
        ask_all(connections, count);
    free(connections);
    return NULL;
}

static void
run_load(const char *method, const char *path, int seconds)
{
    pthread_t threads[THREADS];

    snprintf(load.request, sizeof(load.request), "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
        method, path);
    load.tls = SSL_CTX_new(TLS_client_method());
    pthread_barrier_init(&load.ready, NULL, THREADS);
    load.seconds = seconds;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i) != 0)
            die("can't start a thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%ld %ld %lld\n", (long)load.asked, (long)load.failed,
        (long long)(aw_now_ms() - load.begun_ms));
}

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 5 && strcmp(argv[1], "serve") == 0) {
        serve(number(argv[2]), argv[3], argv[4]);
    } else if (argc == 7 && strcmp(argv[1], "load") == 0) {
        load.port = number(argv[2]);
        load.connections = number(argv[5]);
        run_load(argv[3], argv[4], number(argv[6]));
    } else {
        die("usage: serve PORT CERTIFICATE KEY | load PORT METHOD PATH CONNECTIONS SECONDS");
    }
    return 0;
}
