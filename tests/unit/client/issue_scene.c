#include "issue_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void note(struct caller *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
note(struct caller *c, const char *format, ...)
{
    size_t used = strlen(c->log);
    va_list ap;

    va_start(ap, format);
    vsnprintf(c->log + used, sizeof(c->log) - used, format, ap);
    va_end(ap);
}

static const char *
choose(void *context, const struct acme_authorization *authorization)
{
    struct caller *c = context;

    if (c->choice == NULL) {
        aw_ignore(aw_fail(AW_CODE_USAGE, "no way to answer for %s", authorization->name.text),
            "NULL tells it");
        return NULL;
    }
    return strcmp(c->choice, "first") == 0 ? authorization->challenges[0].type : c->choice;
}

static aw_result
deploy(void *context, const struct issue_challenge *challenge)
{
    struct caller *c = context;

    if (c->deploy_fails)
        return aw_fail(AW_CODE_IO, "can't write %s", challenge->token);
    note(c, "deploy %s %s %s %s\n", challenge->name->text, challenge->type, challenge->token,
        challenge->key_authorization);
    return AW_OK;
}

static void
cleanup(void *context, const struct issue_challenge *challenge)
{
    struct caller *c = context;

    note(c, "cleanup %s\n", challenge->token);
    if (c->spoils)
        aw_ignore(aw_fail(AW_CODE_IO, "can't remove"), "as a real one would");
}

static void
progress(void *context, enum issue_step step, const char *name, const char *detail)
{
    note(context, "%s%s%s%s%s\n", issue_step_text(step), name != NULL ? " " : "",
        name != NULL ? name : "", detail != NULL ? " " : "", detail != NULL ? detail : "");
}

void
scene_start(struct scene *scene)
{
    scripted_ca_start(&scene->ca, NULL);
    scripted_signer_start(&scene->signer, scene->ca.base);
    assert_true(aw_ok(aw_name_parse("*.example.edu", 13, &scene->names[0])));
    assert_true(aw_ok(aw_name_parse("a.example.edu", 13, &scene->names[1])));
}

void
scene_stop(struct scene *scene)
{
    scripted_signer_stop(&scene->signer);
    scripted_ca_stop(&scene->ca);
}

aw_result
scene_issue_with(struct scene *scene, const char *profile, const struct issue_callbacks *callbacks,
    struct issue_result *out)
{
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(acme_session_free) acme_session *session = NULL;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    struct http_options options = {.ca_file = scene->ca.ca_file};
    struct issue_request request = {.thumbprint = "THUMB",
        .profile = profile,
        .names = scene->names,
        .name_count = 2,
        .csr = (const uint8_t *)"csr",
        .csr_size = 3};
    char nonce[96];

    snprintf(nonce, sizeof(nonce), "%s/nonce", scene->ca.base);
    AW_TRY(http_open(&options, &h));
    AW_TRY(acme_session_new(h, nonce, NULL, &session));
    AW_TRY(signer_link_open(
        &(struct signer_place){.at = scene->signer.path, .server_uid = getuid()}, &link));
    aw_result r = issue_certificate(session, link, &request, callbacks, out);
    scripted_ca_settle(&scene->ca);
    scripted_signer_settle(&scene->signer);
    return r;
}

aw_result
scene_issue(struct scene *scene, struct caller *caller, struct issue_result *out)
{
    struct issue_callbacks callbacks = {.choose = choose,
        .deploy = deploy,
        .cleanup = cleanup,
        .progress = progress,
        .context = caller};

    return scene_issue_with(scene, NULL, &callbacks, out);
}
