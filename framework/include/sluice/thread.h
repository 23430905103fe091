/* SPDX-License-Identifier: MIT */
/*
 * Other threads: running blocking functions off the loop, posting calls to a loop from any thread, and
 * channels between runtimes.
 */
#ifndef SLUICE_THREAD_H
#define SLUICE_THREAD_H

#include "sluice/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl_offload_options {
    void *arg;
    const char *name;           /* shown in dumps */
    bool abandon;               /* a cancelled caller leaves at once; the function runs on and its result is dropped */
    void (*release)(void *arg); /* called on the thread when the function has ended, also if abandoned; or by the
                                     caller when the function never ran */
    sl_capacity_limiter *limiter; /* NULL: the runtime's own, SL_OFFLOAD_THREADS tokens; must outlive the functions
                                     that hold its tokens, and is of no more use after a run that left some behind */
};

#define SL_OFFLOAD_THREADS 40

/*
 * Runs fn(arg) on a worker thread and waits for it. Returns what it returns (its sl_fail() message
 * comes along). Cancellation point: cancelled at entry, the function never starts; cancelled while it
 * runs, the call waits for its end and then returns its result (the cancellation shows at the next
 * cancellation point), or leaves with SL_ECANCELED in abandon mode. The limiter's token is held until
 * the thread has ended with the function. SL_EAGAIN when no thread can be started; SL_EINVAL, SL_ENOMEM,
 * SL_ENOTASK. The function gets SL_OFFLOAD_STACK_BYTES of stack. A simulated clock stands still while a
 * task waits here, and the functions' ends are heard of one by one, in the order of the calls, when nothing else can run:
 * how fast threads are changes nothing in a seed's run, and a function there must not wait for what a task does after the
 * end of a later one. An abandoned function may outlive the run: what it uses must do so too.
 */
#define SL_OFFLOAD_STACK_BYTES ((size_t)1024 * 1024)
SL_MUST_CHECK int sl_offload_with(sl_task_fn fn, const struct sl_offload_options *options);
#define sl_offload(fn, ...) sl_offload_with((fn), &(const struct sl_offload_options){.arg = __VA_ARGS__})

/*
 * In the function on the worker thread: 0, or SL_ECANCELED when the waiting task was cancelled (the
 * reason, if `reason` is given, is copied there); SL_EMISUSE on any other thread.
 */
int sl_offload_cancelled(char *reason, size_t reason_bytes);

/* ---- posting to a loop ---- */

typedef struct sl_loop_ref sl_loop_ref;
typedef void (*sl_post_fn)(void *arg);

/* A reference to this thread's runtime that may go to other threads and outlive it. NULL when memory is short or outside a runtime. */
sl_loop_ref *sl_loop_ref_new(void);
void sl_loop_ref_free(sl_loop_ref *loop); /* any thread; NULL is fine */

/*
 * Has fn(arg) called on the loop's thread, outside any task (it must not block), in the order of the
 * posts; safe from any thread, not from signal handlers. With SL_POST_COALESCE a post is dropped (0) when
 * the same fn and arg are still queued with that flag; they no longer are once the call has begun. Tasks
 * run between one batch of calls and the next. What is queued when the run ends is called then, after all
 * tasks have ended; what those calls post is refused. 0, SL_EINVAL (no loop, no fn), SL_ENOMEM, SL_EBUSY
 * when SL_POSTS_MAX are queued, SL_ECLOSED when that runtime has ended. Source: Trio's entry queue.
 */
#define SL_POST_COALESCE 1u
#define SL_POSTS_MAX ((size_t)1 << 20)
SL_MUST_CHECK int sl_loop_post(sl_loop_ref *loop, sl_post_fn fn, void *arg, unsigned flags);

/* ---- channels between threads ---- */

typedef struct sl_thread_channel sl_thread_channel;

/*
 * A bounded queue with any number of sending and receiving runtimes. Reference counted: each thread
 * that uses it takes its own reference. Calls wait, first come first served, as tasks of the calling
 * runtime (cancellation points); outside a runtime only the try_ calls work. What is handed over cannot be
 * cancelled any more: no item is lost or doubled. A simulated clock stands still while a task waits here.
 * `capacity` is 1 to SL_CHANNEL_CAPACITY_MAX items of 0 to SL_CHANNEL_ITEM_BYTES_MAX bytes, else SL_EINVAL.
 * Codes are those of channel.h; SL_ENOMEM also when there is no memory to wait.
 */
SL_MUST_CHECK int sl_thread_channel_open(size_t capacity, size_t item_bytes, sl_thread_channel **ret_channel);
sl_thread_channel *sl_thread_channel_ref(sl_thread_channel *channel);
void sl_thread_channel_unref(sl_thread_channel *channel);
SL_MUST_CHECK int sl_thread_channel_send(sl_thread_channel *channel, const void *item);
SL_MUST_CHECK int sl_thread_channel_receive(sl_thread_channel *channel, void *ret_item);
SL_MUST_CHECK int sl_thread_channel_try_send(sl_thread_channel *channel, const void *item);
SL_MUST_CHECK int sl_thread_channel_try_receive(sl_thread_channel *channel, void *ret_item);
void sl_thread_channel_close(sl_thread_channel *channel); /* receivers drain, then SL_EOF; senders SL_EBROKEN */

#ifdef __cplusplus
}
#endif

#endif
