/* SPDX-License-Identifier: MIT */
/*
 * Pooled stacks with guards. Stacks are mapped by the slab; below each lies a guard of several pages, made by
 * MADV_GUARD_INSTALL (Linux 6.13) where the kernel has it, as that takes no mapping of its own: with
 * mprotect(), the fallback, vm.max_map_count ends at about 32 000 stacks. Idle stacks beyond a number
 * keep their addresses but give their memory back.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#if defined(SL_ASAN)
#include <sanitizer/asan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define SL_VALGRIND 1
#endif
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Wide enough that a function's frame does not step over it: compilers probe frames of more than a page. */
#define GUARD_BYTES ((size_t)16 * 1024)
#define CLASSES 10 /* SL_STACK_BYTES_MIN to SL_STACK_BYTES_MAX */
#define SLAB_BYTES ((size_t)5 * 1024 * 1024)

_Static_assert(SL_STACK_BYTES_MIN << (CLASSES - 1) == SL_STACK_BYTES_MAX, "a class for each size");

struct slab {
    struct slab *next;
    char *memory;
    size_t bytes;
    struct sl__stack stacks[];
};

struct sl__stack_pool {
    struct sl__stack *hot[CLASSES];  /* last used first */
    struct sl__stack *cold[CLASSES]; /* their memory is the system's */
    size_t hot_count, cold_count, mapped;
    struct slab *slabs;
    bool guard_by_mprotect;
};

int sl__stacks_open(sl_runtime *runtime)
{
    runtime->stacks = sl_calloc(1, sizeof *runtime->stacks);
    return runtime->stacks == NULL ? SL_ENOMEM : 0;
}

void sl__stacks_close(sl_runtime *runtime)
{
    if (runtime->stacks == NULL) {
        return;
    }
    struct slab *slab = runtime->stacks->slabs;
    while (slab != NULL) {
        struct slab *next = slab->next;
#if defined(SL_VALGRIND)
        for (size_t i = 0; i < slab->bytes / slab->stacks[0].bytes; i++) {
            VALGRIND_STACK_DEREGISTER(slab->stacks[i].valgrind_id);
        }
#endif
        (void)munmap(slab->memory, slab->bytes);
        sl_free(slab);
        slab = next;
    }
    sl_free(runtime->stacks);
    runtime->stacks = NULL;
}

static int install_guard(struct sl__stack_pool *pool, char *base)
{
    if (!pool->guard_by_mprotect) {
        if (madvise(base, GUARD_BYTES, MADV_GUARD_INSTALL) == 0) {
            return 0;
        }
        pool->guard_by_mprotect = true;
    }
    return mprotect(base, GUARD_BYTES, PROT_NONE) == 0 ? 0 : SL_ENOMEM;
}

/* Maps a slab of stacks of one class and puts them on the cold list. */
static int map_slab(struct sl__stack_pool *pool, unsigned class_index)
{
    size_t stride = (SL_STACK_BYTES_MIN << class_index) + GUARD_BYTES;
    size_t count = SLAB_BYTES / stride > 1 ? SLAB_BYTES / stride : 1;
    struct slab *slab = sl_malloc(sizeof *slab + count * sizeof slab->stacks[0]);
    if (slab == NULL) {
        return SL_ENOMEM;
    }
    slab->bytes = count * stride;
    slab->memory =
        mmap(NULL, slab->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab->memory == MAP_FAILED) {
        sl_free(slab);
        return SL_ENOMEM;
    }
    (void)madvise(slab->memory, slab->bytes, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < count; i++) {
        struct sl__stack *stack = &slab->stacks[i];
        *stack = (struct sl__stack){.base = slab->memory + i * stride,
                                    .bytes = stride,
                                    .class_index = (uint8_t)class_index,
                                    .color = (uint8_t)((pool->mapped + i) % SL_STACK_COLORS)};
        if (install_guard(pool, stack->base) < 0) {
            (void)munmap(slab->memory, slab->bytes);
            sl_free(slab);
            return SL_ENOMEM;
        }
    }
    /* The lowest address is taken first, so that neighbours share page tables. */
    for (size_t i = count; i-- > 0;) {
        struct sl__stack *stack = &slab->stacks[i];
#if defined(SL_VALGRIND)
        stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->base + GUARD_BYTES, stack->base + stack->bytes);
#endif
        stack->next = pool->cold[class_index];
        pool->cold[class_index] = stack;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->cold_count += count;
    pool->mapped += count;
    return 0;
}

/* The next spawn will write here. */
static inline void prefetch_top(const struct sl__stack *stack)
{
    const char *top = stack->base + stack->bytes - (size_t)stack->color * SL_STACK_COLOR_BYTES;
    for (size_t line = 1; line <= 9; line++) {
        __builtin_prefetch(top - line * 64, 1);
    }
}

struct sl__stack *sl__stack_get(sl_runtime *runtime, size_t bytes)
{
    struct sl__stack_pool *pool = runtime->stacks;
    unsigned class_index = 0;
    while ((SL_STACK_BYTES_MIN << class_index) < bytes) {
        class_index++;
    }
    struct sl__stack *stack = pool->hot[class_index];
    if (SL_LIKELY(stack != NULL)) {
        pool->hot[class_index] = stack->next;
        pool->hot_count--;
        if (stack->next != NULL) {
            prefetch_top(stack->next);
        }
        return stack;
    }
    if (pool->cold[class_index] == NULL && map_slab(pool, class_index) < 0) {
        return NULL;
    }
    stack = pool->cold[class_index];
    pool->cold[class_index] = stack->next;
    pool->cold_count--;
    return stack;
}

void sl__stack_put(sl_runtime *runtime, struct sl__stack *stack)
{
    struct sl__stack_pool *pool = runtime->stacks;
#if defined(SL_ASAN)
    __asan_unpoison_memory_region(stack->base + GUARD_BYTES, stack->bytes - GUARD_BYTES);
#endif
    stack->next = pool->hot[stack->class_index];
    pool->hot[stack->class_index] = stack;
    pool->hot_count++;
}

bool sl__stacks_trim(sl_runtime *runtime, size_t limit)
{
    struct sl__stack_pool *pool = runtime->stacks;
    for (unsigned i = CLASSES; i-- > 0;) {
        while (pool->hot[i] != NULL && pool->hot_count > runtime->options.stack_pool_hot) {
            if (limit-- == 0) {
                return true;
            }
            struct sl__stack *stack = pool->hot[i];
            pool->hot[i] = stack->next;
            pool->hot_count--;
            (void)madvise(stack->base + GUARD_BYTES, stack->bytes - GUARD_BYTES, MADV_DONTNEED);
            stack->next = pool->cold[i];
            pool->cold[i] = stack;
            pool->cold_count++;
        }
    }
    return false;
}

size_t sl__stacks_idle(const sl_runtime *runtime)
{
    return runtime->stacks->hot_count;
}

size_t sl__stack_used(const struct sl__stack *stack)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char resident[256];
    char *start = stack->base + GUARD_BYTES;
    char *end = stack->base + stack->bytes;
    while (start < end) {
        size_t pages = (size_t)(end - start) / page;
        pages = pages < sizeof resident ? pages : sizeof resident;
        if (mincore(start, pages * page, resident) != 0) {
            return 0;
        }
        for (size_t i = 0; i < pages; i++) {
            if (resident[i] & 1) {
                return (size_t)(end - (start + i * page));
            }
        }
        start += pages * page;
    }
    return 0;
}

void sl__stacks_count(const sl_runtime *runtime, size_t *ret_pooled, size_t *ret_mapped)
{
    *ret_pooled = runtime->stacks->hot_count + runtime->stacks->cold_count;
    *ret_mapped = runtime->stacks->mapped;
}

/* Where the guard of a stack lies; for the overflow handler. */
bool sl__stack_guards(const struct sl__stack *stack, const void *address)
{
    const char *byte = address;
    return byte >= stack->base && byte < stack->base + GUARD_BYTES;
}

void *sl__stack_bottom(const struct sl__stack *stack)
{
    return stack->base + GUARD_BYTES;
}
