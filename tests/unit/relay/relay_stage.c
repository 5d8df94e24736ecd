#include "relay_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/chain.h"
#include "common/b64url.h"
#include "common/io.h"

static void
make_certificate(struct stage *s)
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_free) char *leaf = NULL;
    AW_CLEANUP(aw_free) char *issuer = NULL;
    const struct chain_request asked = {s->scene.names, 2, false};
    size_t size = 0;

    s->issuer = authority_make(NULL, &(struct wish){.subject = "root", .ca = true, .until = 86400});
    s->leaf = authority_make(&s->issuer, &(struct wish){.subject = "leaf",
                                             .san = "DNS:a.example.edu,DNS:*.example.edu",
                                             .from = -60,
                                             .until = 86400});
    assert_true(aw_ok(chain_csr(NULL, s->leaf.key, &asked, &der, &size)));
    assert_true(aw_ok(aw_b64url_encode_new(der, size, &text)));
    assert_true(aw_ok(aw_format(&s->finalize, "{\"csr\":\"%s\"}", text)));
    leaf = authority_pem(s->leaf.certificate);
    issuer = authority_pem(s->issuer.certificate);
    s->chain = authority_join(leaf, issuer, NULL);
}

void
stage_open(struct stage *s)
{
    memset(s, 0, sizeof(*s));
    scene_start(&s->scene);
    scripted_signer_load(&s->scene.signer, NULL, 0);
    relay_world_open(&s->world);
    relay_world_connect(&s->world, s->scene.signer.path, s->scene.ca.base, s->scene.ca.ca_file);
    relay_world_again(&s->world);
    make_certificate(s);
}

void
stage_close(struct stage *s)
{
    relay_world_close(&s->world);
    scene_stop(&s->scene);
    authority_free(&s->leaf);
    authority_free(&s->issuer);
    free(s->finalize);
    free(s->chain);
}

/* The CA's script; its certificate is put in where a body is "CHAIN". */
void
stage_script(struct stage *s, const struct ca_answer *answers, size_t count)
{
    assert_true(count <= AW_COUNT(s->answers));
    for (size_t i = 0; i < count; i++) {
        s->answers[i] = answers[i];
        if (answers[i].body != NULL && strcmp(answers[i].body, "CHAIN") == 0)
            s->answers[i].body = s->chain;
    }
    scripted_ca_load(&s->scene.ca, s->answers, count);
}

void
stage_post(struct stage *s, const struct relay_world_signed *what, struct relay_response *response)
{
    AW_CLEANUP(aw_free) char *body = relay_world_sign(&s->world, what);

    relay_world_ask(&s->world, RELAY_POST, what->path, body, response);
}

/* Posts as account 7, and compares status and a part of the answer. */
void
stage_expect(struct stage *s, const char *path, const char *payload, int status, const char *part)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};
    const struct relay_world_signed what = {.path = path, .payload = payload};

    stage_post(s, &what, &response);
    if (response.status != status || strstr(response.body, part) == NULL)
        fail_msg(
            "%s: %d %s, expected %d with %s", path, response.status, response.body, status, part);
}
