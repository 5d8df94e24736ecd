/* The hooks of certonly: what renew runs for many, for one. */
#include "client/certonly.h"
#include "client/hook.h"
#include "client/lineage_hooks.h"
#include "client/renew_state.h"
#include "client/store_steps.h"
#include "common/io.h"

aw_result
certonly_check_hooks(const struct options *o)
{
    const struct {
        const char *option, *command;
    } hooks[] = {
        {"--pre-hook", o->pre_hook},
        {"--post-hook", o->post_hook},
        {"--deploy-hook", o->deploy_hook},
        {"--manual-auth-hook", o->manual_auth_hook},
        {"--manual-cleanup-hook", o->manual_cleanup_hook},
    };

    for (size_t i = 0; i < AW_COUNT(hooks) && !o->disable_hook_validation; i++)
        AW_TRY(hook_check(hooks[i].option, hooks[i].command));
    return AW_OK;
}

static aw_result
names_text(const struct certonly *c, char **out)
{
    AW_TRY(aw_format(out, "%s", c->options->names[0].name.text));
    for (size_t i = 1; i < c->options->name_count; i++) {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(*out);
        AW_TRY(aw_format(out, "%s %s", before, c->options->names[i].name.text));
    }
    return AW_OK;
}

/* For the next renew: the deploy hooks of this version have run, if they did. */
static aw_result
note_deployed(const struct certonly *c)
{
    const char *root = c->config->certificates;
    struct renew_state state;
    unsigned version;
    bool found;

    AW_TRY(renew_state_read(root, c->cert_name, &state, &found));
    AW_TRY(store_link_read(store_live(c->store), c->cert_name, STORE_CERT, &version));
    state.deployed = version;
    state.next = 0;
    return renew_state_write(root, c->cert_name, &state);
}

static aw_result
deploy(struct certonly *c, lineage_hooks *hooks, const struct lineage_commands *commands)
{
    AW_CLEANUP(aw_free) char *names = NULL;

    AW_TRY(names_text(c, &names));
    const struct lineage lineage = {store_live(c->store), names};
    lineage_hooks_note(hooks, true, names);
    if (!lineage_hooks_deploy(hooks, commands, &lineage)) {
        output_note(c->out, "the certificate is stored; the next renew runs the deploy hook again");
        return AW_OK;
    }
    return note_deployed(c);
}

aw_result
certonly_issue_with_hooks(struct certonly *c)
{
    AW_CLEANUP(lineage_hooks_free) lineage_hooks *hooks = NULL;
    const struct options *o = c->options;
    const struct lineage_commands commands = {o->pre_hook, o->post_hook, o->deploy_hook};
    struct aw_error error;

    AW_TRY(lineage_hooks_new(c->config->certificates, false, c->out, &hooks));
    AW_TRY(lineage_hooks_before(hooks, &commands));
    aw_result r = certonly_issue(c);
    if (aw_ok(r))
        r = deploy(c, hooks, &commands);
    aw_error_save(&error);
    lineage_hooks_after(hooks);
    return aw_ok(r) ? r : aw_error_restore(&error);
}
