/* SPDX-License-Identifier: MIT */
/*
 * Calls posted to a loop from any thread. The queue is shared between the runtime and the references to
 * it, and is freed with the last of them. What is queued when the run ends is still called, and what those
 * calls post is refused. Source: Trio's entry queue.
 */
#include "post.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "internal.h"

/* Calls made in one turn of the loop, so that posts cannot starve tasks. */
#define POSTS_A_TURN 256
/* Buckets of the first table of coalescing posts; a power of two. It grows with them, and goes with the queue. */
#define BUCKETS_MIN ((size_t)64)

struct sl_loop_ref {
    atomic_size_t references;
    pthread_mutex_t lock;
    bool closed;
    struct sl__post_node *first, *last;
    size_t count;
    /* the queued coalescing posts, by hash */
    struct sl__post_node **buckets;
    size_t bucket_count;
    size_t coalescing;
    uv_async_t async;
};

struct sl__post_queue {
    struct sl_loop_ref ref;
};

/* Fibonacci hashing; the count is a power of two. */
static size_t bucket_of(size_t bucket_count, sl_post_fn fn, const void *arg)
{
    uintptr_t bits;
    memcpy(&bits, &fn, sizeof bits);
    uint64_t hash = ((uint64_t)bits * 31 + (uint64_t)(uintptr_t)arg) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 32) & (bucket_count - 1);
}

static void unref(sl_loop_ref *loop)
{
    if (atomic_fetch_sub(&loop->references, 1) == 1) {
        (void)pthread_mutex_destroy(&loop->lock);
        sl_free(loop->buckets);
        sl_free(loop);
    }
}

/* Takes the first node off; its record, if it was ours, is freed by the caller. */
static struct sl__post_node *take(sl_loop_ref *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    struct sl__post_node *node = loop->first;
    if (node != NULL) {
        loop->first = node->next;
        loop->last = loop->first == NULL ? NULL : loop->last;
        loop->count--;
        if (node->coalesce) {
            struct sl__post_node **link = &loop->buckets[bucket_of(loop->bucket_count, node->fn, node->arg)];
            while (*link != node) {
                link = &(*link)->bucket_next;
            }
            *link = node->bucket_next;
            loop->coalescing--;
        }
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return node;
}

static size_t call_some(sl_loop_ref *loop, size_t most)
{
    size_t calls = 0;
    struct sl__post_node *node;
    while (calls < most && (node = take(loop)) != NULL) {
        sl_post_fn fn = node->fn;
        void *arg = node->arg;
        if (node->allocated) {
            sl_free(node);
        }
        fn(arg);
        calls++;
    }
    return calls;
}

static void on_async(uv_async_t *async)
{
    sl_loop_ref *loop = async->data;
    if (call_some(loop, POSTS_A_TURN) == POSTS_A_TURN) {
        (void)uv_async_send(async);
    }
}

int sl__posts_open(sl_runtime *runtime)
{
    if (runtime->posts != NULL) {
        return 0;
    }
    struct sl__post_queue *queue = sl_calloc(1, sizeof *queue);
    if (queue == NULL) {
        return SL_ENOMEM;
    }
    sl_loop_ref *loop = &queue->ref;
    atomic_init(&loop->references, 1);
    if (pthread_mutex_init(&loop->lock, NULL) != 0) {
        sl_free(queue);
        return SL_ENOMEM;
    }
    int code = uv_async_init(&runtime->loop, &loop->async, on_async);
    if (code < 0) {
        unref(loop);
        return code;
    }
    loop->async.data = loop;
    runtime->posts = queue;
    return 0;
}

static void on_async_closed(uv_handle_t *handle)
{
    unref(handle->data);
}

void sl__posts_close(sl_runtime *runtime)
{
    if (runtime->posts == NULL) {
        return;
    }
    sl_loop_ref *loop = &runtime->posts->ref;
    (void)pthread_mutex_lock(&loop->lock);
    loop->closed = true;
    (void)pthread_mutex_unlock(&loop->lock);
    (void)call_some(loop, SIZE_MAX); /* nothing comes in any more, so that this ends */
    runtime->posts = NULL;
    uv_close((uv_handle_t *)&loop->async, on_async_closed);
}

size_t sl__posts_queued(const sl_runtime *runtime)
{
    if (runtime->posts == NULL) {
        return 0;
    }
    sl_loop_ref *loop = &runtime->posts->ref;
    (void)pthread_mutex_lock(&loop->lock);
    size_t count = loop->count;
    (void)pthread_mutex_unlock(&loop->lock);
    return count;
}

sl_loop_ref *sl_loop_ref_new(void)
{
    sl_runtime *runtime = sl__runtime;
    if (runtime == NULL || sl__posts_open(runtime) < 0) {
        return NULL;
    }
    atomic_fetch_add(&runtime->posts->ref.references, 1);
    return &runtime->posts->ref;
}

void sl_loop_ref_free(sl_loop_ref *loop)
{
    if (loop != NULL) {
        unref(loop);
    }
}

/* With the lock held: whether a coalescing post of these waits for its call. */
static bool is_queued(const sl_loop_ref *loop, sl_post_fn fn, const void *arg)
{
    if (loop->coalescing == 0) {
        return false;
    }
    const struct sl__post_node *node = loop->buckets[bucket_of(loop->bucket_count, fn, arg)];
    while (node != NULL && (node->fn != fn || node->arg != arg)) {
        node = node->bucket_next;
    }
    return node != NULL;
}

/* With the lock held: room for one more coalescing post, in chains of two on average. */
static int make_room(sl_loop_ref *loop)
{
    if (loop->coalescing < loop->bucket_count * 2) {
        return 0;
    }
    size_t count = loop->bucket_count == 0 ? BUCKETS_MIN : loop->bucket_count * 4;
    struct sl__post_node **buckets = sl_calloc(count, sizeof(struct sl__post_node *));
    if (buckets == NULL) {
        return loop->buckets == NULL ? SL_ENOMEM : 0; /* longer chains do as well */
    }
    for (size_t i = 0; i < loop->bucket_count; i++) {
        for (struct sl__post_node *node = loop->buckets[i], *next; node != NULL; node = next) {
            next = node->bucket_next;
            struct sl__post_node **bucket = &buckets[bucket_of(count, node->fn, node->arg)];
            node->bucket_next = *bucket;
            *bucket = node;
        }
    }
    sl_free(loop->buckets);
    loop->buckets = buckets;
    loop->bucket_count = count;
    return 0;
}

/* With the lock held, which also keeps the handle from being closed meanwhile. */
static void append(sl_loop_ref *loop, struct sl__post_node *node)
{
    node->next = NULL;
    if (loop->last != NULL) {
        loop->last->next = node;
    } else {
        loop->first = node;
    }
    loop->last = node;
    loop->count++;
    if (node->coalesce) {
        struct sl__post_node **bucket = &loop->buckets[bucket_of(loop->bucket_count, node->fn, node->arg)];
        node->bucket_next = *bucket;
        *bucket = node;
        loop->coalescing++;
    }
    (void)uv_async_send(&loop->async);
}

int sl__loop_post_node(sl_loop_ref *loop, struct sl__post_node *node)
{
    (void)pthread_mutex_lock(&loop->lock);
    int code = loop->closed ? SL_ECLOSED : 0;
    if (code == 0) {
        append(loop, node);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return code;
}

int sl_loop_post(sl_loop_ref *loop, sl_post_fn fn, void *arg, unsigned flags)
{
    bool coalesce = (flags & SL_POST_COALESCE) != 0;
    if (loop == NULL || fn == NULL) {
        return SL_EINVAL;
    }
    struct sl__post_node *node = sl_malloc(sizeof *node);
    if (node == NULL) {
        return SL_ENOMEM;
    }
    *node = (struct sl__post_node){.fn = fn, .arg = arg, .allocated = true, .coalesce = coalesce};
    (void)pthread_mutex_lock(&loop->lock);
    int code = 0;
    if (loop->closed) {
        code = SL_ECLOSED;
    } else if (coalesce && is_queued(loop, fn, arg)) {
        sl_free(node);
        node = NULL;
    } else if (loop->count >= SL_POSTS_MAX) {
        code = SL_EBUSY;
    } else {
        code = coalesce ? make_room(loop) : 0;
        if (code == 0) {
            append(loop, node);
        }
    }
    (void)pthread_mutex_unlock(&loop->lock);
    if (code < 0) {
        sl_free(node);
    }
    return code;
}
