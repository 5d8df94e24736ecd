/**
 * @file relay_stage.h
 * @brief A relay between a scripted signer and a scripted CA, and a client that asks it.
 */
#ifndef AW_TESTS_RELAY_STAGE_H
#define AW_TESTS_RELAY_STAGE_H

#include "relay_world.h"
#include "tests/unit/client/authority.h"
#include "tests/unit/client/issue_scene.h"

/** An order of the names that the stage's CSR has, and the certificate of the CA's script. */
#define NEW_ORDER "{\"identifiers\":[" NAMES "]}"
#define BAG                                         \
    {                                               \
        "POST /cert/1", 200, PEM, "CHAIN", CA_PLAIN \
    }

/** The stage. */
struct stage {
    struct scene scene;
    struct relay_world world;
    struct party issuer, leaf;
    char *finalize; /**< payload with a CSR */
    char *chain;    /**< PEM for that CSR's key */
    struct ca_answer answers[16];
};

/** Opens; the test fails when it can't. Release: stage_close, for AW_CLEANUP. */
void stage_open(struct stage *s);
void stage_close(struct stage *s);

/** The CA's script; its certificate is put in where a body is "CHAIN". */
void stage_script(struct stage *s, const struct ca_answer *answers, size_t count);

/** Posts what a client signs. */
void
stage_post(struct stage *s, const struct relay_world_signed *what, struct relay_response *response);

/** Posts as account 7, and compares status and a part of the answer. */
void
stage_expect(struct stage *s, const char *path, const char *payload, int status, const char *part);

#endif
