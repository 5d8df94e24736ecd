#include "relay/signer.h"

#include <pthread.h>
#include <stdlib.h>

/* Idle links that are kept; more are closed when they come back. */
enum { IDLE_MAX = 64 };

struct relay_signer {
    struct signer_place place;
    pthread_mutex_t lock; /* of what follows */
    signer_link *idle[IDLE_MAX];
    size_t count;
};

aw_result
relay_signer_new(const struct signer_place *place, struct relay_signer **out)
{
    struct relay_signer *signer = calloc(1, sizeof(*signer));

    if (signer == NULL)
        return aw_fail_memory();
    signer->place = *place;
    pthread_mutex_init(&signer->lock, NULL);
    *out = signer;
    return AW_OK;
}

void
relay_signer_free(struct relay_signer **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    for (size_t i = 0; i < (*slot)->count; i++)
        signer_link_close(&(*slot)->idle[i]);
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

aw_result
relay_signer_take(struct relay_signer *signer, signer_link **out)
{
    *out = NULL;
    pthread_mutex_lock(&signer->lock);
    if (signer->count > 0)
        *out = signer->idle[--signer->count];
    pthread_mutex_unlock(&signer->lock);
    return *out != NULL ? AW_OK : signer_link_open(&signer->place, out);
}

void
relay_signer_give(struct relay_signer *signer, signer_link **link)
{
    if (*link == NULL)
        return;
    pthread_mutex_lock(&signer->lock);
    if (signer->count < IDLE_MAX)
        signer->idle[signer->count++] = AW_MOVE(*link);
    pthread_mutex_unlock(&signer->lock);
    signer_link_close(link);
}

aw_result
relay_signer_call(struct relay_signer *signer, const char *method, const char *parameters,
    struct signer_refusal *refusal, cJSON **reply)
{
    signer_link *link;

    *refusal = (struct signer_refusal){.retry_after = -1};
    *reply = NULL;
    AW_TRY(relay_signer_take(signer, &link));
    aw_result r = signer_link_call(link, method, parameters, reply);
    if (!aw_ok(r))
        signer_link_take_refusal(link, refusal);
    relay_signer_give(signer, &link);
    return r;
}
