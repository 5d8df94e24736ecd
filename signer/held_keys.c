#include "signer/held_keys.h"

#include "common/hex.h"
#include "common/log.h"

static void
swap(struct core *core, struct token_held *held)
{
    pthread_mutex_lock(&core->lock);
    struct token_held old = core->held;
    core->held = *held;
    pthread_mutex_unlock(&core->lock);
    *held = old;
}

static aw_result
search_and_swap(struct core *core)
{
    AW_CLEANUP(token_held_free) struct token_held held = {0};

    AW_TRY(token_held_read(core->token, &held));
    if (held.unread > 0)
        aw_log(AW_LOG_NOTICE,
            "%zu public keys or certificates of the token are of other types than a certificate's "
            "key here may have: CSRs are not compared with them",
            held.unread);
    swap(core, &held);
    return AW_OK;
}

/* One at a time, so that what a later search found is not replaced by what an earlier one did. */
aw_result
held_keys_refresh(struct core *core)
{
    pthread_mutex_lock(&core->held_lock);
    aw_result r = search_and_swap(core);
    pthread_mutex_unlock(&core->held_lock);
    core_note_failure(core, r.code);
    return r;
}

void
held_keys_refresh_late(struct core *core)
{
    if (!aw_ok(held_keys_refresh(core)))
        aw_log_failure(AW_LOG_WARNING,
            "the token could not be searched for its public keys: those found before still count");
}

bool
held_keys_has(struct core *core, const uint8_t digest[AW_DIGEST_SIZE])
{
    pthread_mutex_lock(&core->lock);
    bool found = token_held_has(&core->held, digest);
    pthread_mutex_unlock(&core->lock);
    return found;
}
