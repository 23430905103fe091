/* SPDX-License-Identifier: MIT */
/*
 * The one door to the heap. Everything in Sluice allocates here, so that a test can make the n-th
 * allocation fail and count what is still held.
 */
#ifndef SLUICE_MEMORY_H
#define SLUICE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Like malloc(), calloc(), realloc() and free(); any thread. A size of 0 allocates one byte. */
SL_MUST_CHECK void *sl_malloc(size_t size_bytes);
SL_MUST_CHECK void *sl_calloc(size_t count, size_t size_bytes); /* NULL also when the product overflows */
SL_MUST_CHECK void *sl_realloc(void *memory, size_t size_bytes);
void sl_free(void *memory);

/* A copy of `text` (up to `max_bytes` of it); NULL when memory is short. Free with sl_free(). */
SL_MUST_CHECK char *sl_strdup(const char *text);
SL_MUST_CHECK char *sl_strndup(const char *text, size_t max_bytes);

/*
 * For tests. After `count` more successful allocations the next one fails (once); 0 fails the next
 * one, -1 turns it off. Counts the allocations of all threads.
 */
void sl_memory_fail_after(int64_t count);

/* How many allocations are held now, and how many were asked for since the process began; any thread. */
int64_t sl_memory_held(void);
int64_t sl_memory_asked(void);

/* Whether the failure that sl_memory_fail_after() ordered has happened. */
int sl_memory_failed(void);

/*
 * A variable that frees itself when it leaves its block: sl_auto(sl_response) *response = NULL; calls
 * sl_response_autofree(&response). Modules declare the handler with SL_AUTO_DECLARE(type, free_fn).
 */
#define sl_auto(type) __attribute__((cleanup(type##_autofree))) type
#define SL_AUTO_DECLARE(type, free_function)                                                                           \
    static inline void type##_autofree(type **variable)                                                                \
    {                                                                                                                  \
        (void)free_function(*variable);                                                                                \
    }

#ifdef __cplusplus
}
#endif

#endif
