/*
 * A PKCS#11 module that is SoftHSM, but signs as slowly as a network HSM: SLOW_MILLISECONDS a
 * signature, SLOW_AT_ONCE at a time. For measurements only.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include <p11-kit/pkcs11.h>

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

enum { SLOW_MILLISECONDS = 5, SLOW_AT_ONCE = 8 };

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST slow;
static sem_t places;

static CK_RV
sign_slowly(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG size, CK_BYTE_PTR signature,
    CK_ULONG_PTR signature_size)
{
    const struct timespec pause = {.tv_nsec = SLOW_MILLISECONDS * 1000000L};

    while (sem_wait(&places) != 0)
        continue;
    nanosleep(&pause, NULL);
    CK_RV rv = real->C_Sign(session, data, size, signature, signature_size);
    sem_post(&places);
    return rv;
}

static void
load(void)
{
    CK_C_GetFunctionList get = NULL;
    void *library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

    if (symbol == NULL)
        return;
    memcpy(&get, &symbol, sizeof(get));
    if (get(&real) != CKR_OK || sem_init(&places, 0, SLOW_AT_ONCE) != 0) {
        real = NULL;
        return;
    }
    slow = *real;
    slow.C_Sign = sign_slowly;
}

__attribute__((visibility("default"))) CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (real == NULL)
        return CKR_GENERAL_ERROR;
    slow.C_GetFunctionList = C_GetFunctionList;
    *list = &slow;
    return CKR_OK;
}
