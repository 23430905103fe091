/* SPDX-License-Identifier: MIT */
/* Starting threads of ours. */
#include "thread.h"

#include <signal.h>

int sl__thread_start(void *(*run)(void *arg), void *arg, size_t stack_bytes, pthread_t *ret_thread)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    if (pthread_attr_init(&attributes) != 0) {
        return SL_EAGAIN;
    }
    (void)pthread_attr_setstacksize(&attributes, stack_bytes);
    (void)pthread_attr_setdetachstate(&attributes,
                                      ret_thread == NULL ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits the mask */
    int code = pthread_create(ret_thread == NULL ? &thread : ret_thread, &attributes, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return code == 0 ? 0 : SL_EAGAIN;
}
