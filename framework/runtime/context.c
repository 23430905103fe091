/* SPDX-License-Identifier: MIT */
/* Stack switching: annotations for the sanitizers around the switch of the platform. */
#include "context.h"

#include <stdint.h>
#include <string.h>

#if defined(SL_ASAN)
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(SL_TSAN)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

#if defined(SL_CONTEXT_UCONTEXT)

/* makecontext() passes ints only: the pointer travels in two halves. */
static void ucontext_start(unsigned high, unsigned low)
{
    sl_context *context = (sl_context *)(uintptr_t)(((uint64_t)high << 32) | low);
    context->entry(context->argument);
}

static void platform_make(sl_context *context, char *bottom, size_t bytes, void (*entry)(void *), void *argument)
{
    (void)getcontext(&context->ucontext);
    context->ucontext.uc_stack.ss_sp = bottom;
    context->ucontext.uc_stack.ss_size = bytes;
    context->ucontext.uc_link = NULL;
    context->entry = entry;
    context->argument = argument;
    uint64_t bits = (uint64_t)(uintptr_t)context;
    makecontext(&context->ucontext, (void (*)(void))ucontext_start, 2, (unsigned)(bits >> 32), (unsigned)bits);
}

static inline void platform_switch(sl_context *from, sl_context *to)
{
    (void)swapcontext(&from->ucontext, &to->ucontext);
}

#else

void sl__context_swap(void **save_stack_pointer, void *load_stack_pointer);
void sl__context_start(void);

#if defined(__x86_64__)
enum { FRAME_WORDS = 9, FRAME_ENTRY = 3, FRAME_ARGUMENT = 2, FRAME_RETURN = 6 };
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, FRAME_ENTRY = 2, FRAME_ARGUMENT = 3, FRAME_RETURN = 1 };
#else
#error "no stack switch for this processor: build with -DSLUICE_UCONTEXT=ON"
#endif

/* Lays down the frame that sl__context_swap() pops: it "returns" to sl__context_start(). */
static void platform_make(sl_context *context, char *bottom, size_t bytes, void (*entry)(void *), void *argument)
{
    uintptr_t top = ((uintptr_t)bottom + bytes) & ~(uintptr_t)15;
    void **frame = (void **)(top - FRAME_WORDS * sizeof(void *));
    memset(frame, 0, FRAME_WORDS * sizeof(void *));
    memcpy(&frame[FRAME_ENTRY], &entry, sizeof entry);
    frame[FRAME_ARGUMENT] = argument;
    void (*start)(void) = sl__context_start;
    memcpy(&frame[FRAME_RETURN], &start, sizeof start);
    context->stack_pointer = frame;
}

static inline void platform_switch(sl_context *from, sl_context *to)
{
    sl__context_swap(&from->stack_pointer, to->stack_pointer);
}

#endif

void sl__context_make(sl_context *context, void *stack_bottom, size_t stack_bytes, void (*entry)(void *),
                      void *argument)
{
#if defined(SL_ASAN)
    context->fake_stack = NULL;
    context->stack_bottom = stack_bottom;
    context->stack_bytes = stack_bytes;
#endif
#if defined(SL_TSAN)
    context->fiber = __tsan_create_fiber(0);
#endif
    platform_make(context, stack_bottom, stack_bytes, entry, argument);
}

void sl__context_adopt(sl_context *context)
{
    memset(context, 0, sizeof *context);
#if defined(SL_ASAN)
    pthread_attr_t attributes;
    void *bottom = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &bottom, &bytes);
        (void)pthread_attr_destroy(&attributes);
    }
    context->stack_bottom = bottom;
    context->stack_bytes = bytes;
#endif
#if defined(SL_TSAN)
    context->fiber = __tsan_get_current_fiber();
#endif
}

void sl__context_done(sl_context *context)
{
#if defined(SL_TSAN)
    __tsan_destroy_fiber(context->fiber);
#endif
    (void)context;
}

void sl__context_switch(sl_context *from, sl_context *to, int last)
{
    (void)last;
#if defined(SL_ASAN)
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->stack_bottom, to->stack_bytes);
#endif
#if defined(SL_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    platform_switch(from, to);
#if defined(SL_ASAN)
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void sl__context_entered(void)
{
#if defined(SL_ASAN)
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}
