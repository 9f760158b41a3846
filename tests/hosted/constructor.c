/* A library whose constructor starts a thread that allocates, and waits for it. What the thread calls is in HOOK. */
#include <pthread.h>
#include <stdlib.h>

static void *call(void *hook)
{
    ((void (*)(void))hook)();
    return NULL;
}

__attribute__((constructor)) static void start(void)
{
    pthread_t thread;
    void *hook = (void *)strtoull(getenv("HOOK"), NULL, 16);
    if (pthread_create(&thread, NULL, call, hook) == 0)
        pthread_join(thread, NULL);
}
