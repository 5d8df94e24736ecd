#include "client/ssh_turn.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static int taken;

void
ssh_turn_take(void)
{
    pthread_mutex_lock(&lock);
    while (taken == SSH_TURNS)
        pthread_cond_wait(&freed, &lock);
    taken++;
    pthread_mutex_unlock(&lock);
}

void
ssh_turn_give(void)
{
    pthread_mutex_lock(&lock);
    taken--;
    pthread_cond_signal(&freed);
    pthread_mutex_unlock(&lock);
}
