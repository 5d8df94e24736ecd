#include "signer/teller.h"

#include <stdbool.h>

#include "common/io.h"

/* True when a line may be written; *untold is how many were not, since the last one. */
static bool
take(struct teller *teller, unsigned *untold)
{
    int64_t now = aw_now_ms();

    pthread_mutex_lock(&teller->lock);
    int64_t owed = teller->next_ms > now ? teller->next_ms - now : 0;
    bool may = owed <= (TELLER_BURST - 1) * TELLER_PAUSE_MS;
    *untold = teller->untold;
    if (may)
        teller->next_ms = now + owed + TELLER_PAUSE_MS;
    teller->untold = may ? 0 : teller->untold + 1;
    pthread_mutex_unlock(&teller->lock);
    return may;
}

void
teller_failure(struct teller *teller, enum aw_log_level level, const char *context)
{
    unsigned untold;

    if (!take(teller, &untold))
        return;
    aw_log_failure(level, context);
    if (untold > 0)
        aw_log(level, "%u more such lines were left out before this one", untold);
}
