/* SPDX-License-Identifier: MIT */
/* Threads of ours beside the loop's: small stacks, and no signals. */
#ifndef SL_RUNTIME_THREAD_H
#define SL_RUNTIME_THREAD_H

#include <pthread.h>

#include "sluice/error.h"

/*
 * Starts a thread that gets no signals: the program's handlers are for its own threads, and a closed pipe is an error
 * of its call there. `ret_thread` NULL: nobody joins it. 0, or SL_EAGAIN when no thread can be started.
 */
SL_MUST_CHECK int sl__thread_start(void *(*run)(void *arg), void *arg, size_t stack_bytes, pthread_t *ret_thread);

#endif
