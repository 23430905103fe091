/* SPDX-License-Identifier: MIT */
/* The one door to the heap, with the counters and the failure injection that the tests use. */
#include "sluice/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int64_t memory_held;
static _Atomic int64_t memory_asked;
static _Atomic int64_t fail_after = -1;
static _Atomic int failed;

/* Counts the allocation; true when it is the one that must fail. */
static bool refuse(void)
{
    atomic_fetch_add_explicit(&memory_asked, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_after, memory_order_relaxed) < 0) {
        return false;
    }
    if (atomic_fetch_sub_explicit(&fail_after, 1, memory_order_relaxed) != 0) {
        return false;
    }
    atomic_store_explicit(&failed, 1, memory_order_relaxed);
    return true;
}

static void *count(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add_explicit(&memory_held, 1, memory_order_relaxed);
    }
    return memory;
}

void *sl_malloc(size_t size_bytes)
{
    return refuse() ? NULL : count(malloc(size_bytes == 0 ? 1 : size_bytes));
}

void *sl_calloc(size_t items, size_t size_bytes)
{
    if (refuse()) {
        return NULL;
    }
    return count(items == 0 || size_bytes == 0 ? calloc(1, 1) : calloc(items, size_bytes));
}

void *sl_realloc(void *memory, size_t size_bytes)
{
    if (memory == NULL) {
        return sl_malloc(size_bytes);
    }
    return refuse() ? NULL : realloc(memory, size_bytes == 0 ? 1 : size_bytes);
}

void sl_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub_explicit(&memory_held, 1, memory_order_relaxed);
        free(memory);
    }
}

char *sl_strdup(const char *text)
{
    return sl_strndup(text, PTRDIFF_MAX);
}

char *sl_strndup(const char *text, size_t max_bytes)
{
    size_t length = strnlen(text, max_bytes);
    char *copy = sl_malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

void sl_memory_fail_after(int64_t allocations)
{
    atomic_store_explicit(&failed, 0, memory_order_relaxed);
    atomic_store_explicit(&fail_after, allocations, memory_order_relaxed);
}

int64_t sl_memory_held(void)
{
    return atomic_load_explicit(&memory_held, memory_order_relaxed);
}

int64_t sl_memory_asked(void)
{
    return atomic_load_explicit(&memory_asked, memory_order_relaxed);
}

int sl_memory_failed(void)
{
    return atomic_load_explicit(&failed, memory_order_relaxed);
}
