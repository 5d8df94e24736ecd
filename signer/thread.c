#include "signer/thread.h"

#include <errno.h>

aw_result
thread_start(pthread_t *out, void *(*run)(void *context), void *context)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    int error = pthread_create(out, &attributes, run, context);
    pthread_attr_destroy(&attributes);
    errno = error;
    return error == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start a thread");
}
