/**
 * @file signer_world.h
 * @brief A whole core for tests: token, signer.yaml, policies, pinned CA, registered account.
 *
 * Peers are system users that every Debian has; policies and administrators name them:
 * daemon app-a, bin app-b (both on the account "main"), group www-data app-g, mail app-m1 and
 * app-m2, news app-warn, uucp app-expired, proxy app-inert, man app-raw (account without key),
 * backup app-unpinned, list app-keyless (its key is not in the token), irc app-one (one order a
 * day). sys is officer, games operator. The account "twin" has the test key KEY_P256_OTHER.
 */
#ifndef TESTS_SIGNER_WORLD_H
#define TESTS_SIGNER_WORLD_H

#include "signer/authorize.h"
#include "signer/connections.h"
#include "tests/unit/csr/csr_builder.h"
#include "tests/unit/pkcs11/softhsm.h"

/** Where the world's CA is, and its account. */
#define CA "https://ca.example.net/acme/"
#define ACCOUNT_URL CA "acct/1"

/** Administrators. */
#define OFFICER "sys"
#define OPERATOR "games"

/** The user who is a relay, and the base of its URLs. */
#define RELAY "sync"
#define RELAY_URL "https://relay.example.net:14443/inner"

struct world {
    struct softhsm h;
    char folder[128]; /**< of everything */
    char config[160]; /**< path of signer.yaml */
    struct core *core;
    struct variable {
        char name[24];
        char *value;
    } variables[48];
    size_t variable_count;
};

/** Makes the world and opens its core. */
void world_make(struct world *w);
/** The same without pins and accounts: what is before any ceremony. */
void world_make_bare(struct world *w);
/** Closes, removes everything. */
void world_remove(struct world *w);
/** cmocka's set-up: *state becomes a new world of world_make(), of world_make_bare(). */
int world_setup(void **state);
int world_setup_bare(void **state);
/** Its tear-down. */
int world_teardown(void **state);
/** Opens the core; must succeed. */
void world_open(struct world *w);
/** Closes the core, opens it anew. */
void world_restart(struct world *w);
/** Reloads; must succeed. */
void world_reload(struct world *w);

/** Replaces a file below the world's folder, e.g. "policy.d/app-a.yaml". */
void world_write(struct world *w, const char *name, const char *text);

/** Adds to signer.yaml what begins with "audit:", in place of what was added before; the core must
 * be closed. */
void world_configure_audit(struct world *w, const char *section);
/** Path of a file below the world's folder. */
void world_path(const struct world *w, const char *name, char out[256]);

/** Writes signer.yaml anew, with that file below the world's folder as the issuers of the CA of the
 * account "main", or with none (NULL). To be loaded by the test. */
void world_pin_issuers(struct world *w, const char *name);

/** A peer as the kernel would say. `group`: a supplementary group, or NULL. */
struct peer world_peer(const char *user, const char *group);

/** Sets what $NAME stands for in requests. */
void world_set(struct world *w, const char *name, const char *format, ...) AW_PRINTF(3, 4);
/** Sets $NAME to base64url of octets. */
void world_set_octets(struct world *w, const char *name, octets value);
/** What $NAME stands for. */
const char *world_value(const struct world *w, const char *name);
/** Text with variables put in; release with free(). */
char *world_expand(const struct world *w, const char *text);

/** What became of a request: enum sign_outcome, or one of these. */
enum { WORLD_INVALID = 100, WORLD_UNAVAILABLE };

/** Parses a request and authorizes it. After WORLD_INVALID reply->rule is the field. */
int world_ask(struct world *w, const struct peer *peer, const char *method, const char *parameters,
    struct sign_reply *reply);

/** A row of requests, and what is to become of them. */
struct world_row {
    const char *name, *user, *method, *parameters;
    int outcome;
    const char *rule; /**< of a refusal; the field of an invalid request, NULL: none */
};

/** True when it is refused so, unsigned and recorded; else prints the row's name. What does not
 * parse is no decision, and not recorded. */
bool world_refuses(struct world *w, const struct world_row *row);

/** Fails the test unless the row comes out so (rule NULL: by any or none), and a JWS is there just
 * when it is to be. */
void world_expect(struct world *w, const struct world_row *row);

/** A call on one of the two sockets' services, by its full name, and what is answered. */
struct world_answer {
    cJSON *json;
    const char *error;       /**< last part of its name; "" for success */
    const cJSON *parameters; /**< of the reply or error */
    bool light;              /**< of gate_answer */
};
void world_call(struct world *w, const struct gate_service *service, const char *user,
    const char *method, const char *parameters, struct world_answer *out);
/** The same on the applications', on the administrators' socket, by the method's own name. */
void world_call_signer(struct world *w, const char *user, const char *method,
    const char *parameters, struct world_answer *out);
void world_call_admin(struct world *w, const char *user, const char *method, const char *parameters,
    struct world_answer *out);
void world_answer_free(struct world_answer *answer);
/** A string of the answer's parameters; "" for none. */
const char *world_text(const struct world_answer *answer, const char *name);

/** The last record of the log, waited for. */
struct world_record {
    struct audit_record record;
    const struct audit_entry *entry;
};
void world_last(struct world *w, struct world_record *out);
void world_record_free(struct world_record *record);

/** That it is an administrator's operation, with that verdict; `row` is named where it is not. */
void
world_expect_admin(struct world *w, const char *row, const char *operation, const char *verdict);
/** Records so far. */
int64_t world_position(struct world *w);

/** Checks a JWS: header, payload (NULL: any), signature by the account "main", and that `record`
 * has its digest. */
void world_check_jws(struct world *w, const char *row, const struct sign_reply *reply,
    const char *nonce, const char *payload, const struct audit_entry *record);

/** Text of a member in base64url, as the parts of a JWS are; release with free(). */
char *world_decode(const cJSON *object, const char *name);

/** Opens an order for that user and names ("a b"), claims BASE order, finalize, authz, chall, cert;
 * sets $ORDER to its ticket and $BASE. */
int64_t world_order(struct world *w, const char *user, const char *names, const char *base);

/** A CSR or certificate with these names ("a b"). */
octets world_csr(enum test_key key, const char *names);
octets world_certificate(enum test_key key, const char *names, octets serial);

#endif
