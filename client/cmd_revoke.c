/* acmeward revoke. */
#include "client/command.h"
#include "client/revoke.h"

aw_result
cmd_revoke(const struct options *options, struct output *out)
{
    AW_CLEANUP(revoke_free) struct revoke r = {0};

    AW_TRY(revoke_begin(options, out, &r));
    aw_result done = revoke_run(&r);
    if (!aw_ok(done) && r.link != NULL)
        output_keep_refusal(out, signer_link_refusal(r.link));
    return done;
}
