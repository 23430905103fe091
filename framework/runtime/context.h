/* SPDX-License-Identifier: MIT */
/*
 * Switching between stacks, with the annotations that AddressSanitizer, ThreadSanitizer and valgrind
 * need. Control words of the floating-point unit are not switched: a task that changes them sets them
 * back before it waits.
 */
#ifndef SL_RUNTIME_CONTEXT_H
#define SL_RUNTIME_CONTEXT_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SL_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SL_TSAN 1
#endif
#endif

#if defined(SL_CONTEXT_UCONTEXT)
#include <ucontext.h>
#endif

typedef struct sl_context {
    void *stack_pointer; /* where the callee-saved registers lie while it does not run */
#if defined(SL_CONTEXT_UCONTEXT)
    ucontext_t ucontext;
    void (*entry)(void *);
    void *argument;
#endif
#if defined(SL_ASAN)
    void *fake_stack;
    const void *stack_bottom;
    size_t stack_bytes;
#endif
#if defined(SL_TSAN)
    void *fiber;
#endif
} sl_context;

/* Prepares a context that calls entry(argument) on the given stack; entry never returns. */
void sl__context_make(sl_context *context, void *stack_bottom, size_t stack_bytes, void (*entry)(void *),
                      void *argument);

/* Adopts the thread's own stack. */
void sl__context_adopt(sl_context *context);

/* Releases what the annotations hold; not for the running context. */
void sl__context_done(sl_context *context);

/* Saves `from`, runs `to`; returns when something switches back. `last` says that `from` never runs again. */
void sl__context_switch(sl_context *from, sl_context *to, int last);

/* First call in a new context. */
void sl__context_entered(void);

#endif
