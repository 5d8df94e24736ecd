/**
 * @file scripted_ca.h
 * @brief An HTTPS server on loopback that answers by script, whatever it is asked.
 *
 * Its key and certificate are made at start. Each answer names the request that it is for; another
 * request, or one too many, is a fault that scripted_ca_check reports. "$B" in a body or field is
 * replaced with the server's "https://127.0.0.1:PORT". Every answer carries a fresh Replay-Nonce
 * "n1", "n2" ... unless it has CA_NO_NONCE; the nonce of each POST is taken out of the JWS.
 */
#ifndef AW_TESTS_SCRIPTED_CA_H
#define AW_TESTS_SCRIPTED_CA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

/** What an answer does beside its plain form. */
enum ca_trick {
    CA_PLAIN,
    CA_NO_NONCE,
    CA_CLOSE,          /**< the connection ends after the answer */
    CA_DROP,           /**< no answer: the connection ends */
    CA_RAW,            /**< the body is all that is sent, then the connection ends */
    CA_NUL_FIELD,      /**< a header field with a NUL in it */
    CA_GIB_BODY,       /**< a Content-Length of 1 GiB, and octets until the client leaves */
    CA_ENDLESS_BODY,   /**< octets until the client leaves, no length told */
    CA_ENDLESS_HEADER, /**< header fields until the client leaves */
    CA_SLOW_BODY,      /**< a few octets now and then until the client leaves */
    CA_NUL_BODY,       /**< the body, then a NUL and an "x" */
};

/** One answer. */
struct ca_answer {
    const char *request; /**< "POST /new-order" */
    int status;
    const char *fields; /**< header lines, each with its CRLF, or NULL */
    const char *body;   /**< or NULL */
    enum ca_trick trick;
};

enum { CA_TEXT_MAX = 16 * 1024, CA_ANSWERS_MAX = 32 };

/** The server. */
struct scripted_ca {
    char folder[32];
    char ca_file[64]; /**< its certificate: the roots to trust */
    char base[64];
    unsigned port;
    int listener;
    SSL_CTX *tls;
    pthread_t thread;
    pthread_mutex_t lock; /**< over what follows */
    const struct ca_answer *answers;
    size_t count, next;
    bool any;                   /**< the script goes by the request */
    bool given[CA_ANSWERS_MAX]; /**< of such a script */
    unsigned connections;
    unsigned nonces;             /**< given out so far */
    char requests[CA_TEXT_MAX];  /**< "HEAD /nonce\n" ... */
    char used[CA_TEXT_MAX];      /**< nonces of POSTs: "n1\n" ... */
    char last[CA_TEXT_MAX];      /**< the last request with its header */
    char last_body[CA_TEXT_MAX]; /**< and its body */
    char fault[512];
};

/** How the server is wrong; zero: it is right. */
struct ca_server_options {
    const char *san; /**< NULL: "IP:127.0.0.1" */
    bool old_tls;    /**< nothing above TLS 1.1 */
};

/** Starts; fails the test when it can't. */
void scripted_ca_start(struct scripted_ca *ca, const struct ca_server_options *options);

/** Sets the script anew and forgets what was asked so far. */
void scripted_ca_load(struct scripted_ca *ca, const struct ca_answer *answers, size_t count);

/** A script that goes by the request: the answers for one are given in turn, the last of them from
 * then on. For tests that do not know which requests come. */
void scripted_ca_load_any(struct scripted_ca *ca, const struct ca_answer *answers, size_t count);

/** After an answer, before its members are read: what the server wrote is seen here. */
void scripted_ca_settle(struct scripted_ca *ca);

/** True when all answers were asked for and nothing else; prints what was wrong. Settles too. */
bool scripted_ca_check(struct scripted_ca *ca, const char *row);

/** Stops and removes its files; for AW_CLEANUP. */
void scripted_ca_stop(struct scripted_ca *ca);

/** Takes proxy settings, netrc and the like out of this process's environment. */
void scripted_ca_clean_environment(void);

#endif
