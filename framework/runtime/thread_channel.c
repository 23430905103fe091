/* SPDX-License-Identifier: MIT */
/*
 * Channels between runtimes on different threads: a ring under a mutex, and queues of parked tasks. A
 * waiter lies on its task's stack. Whoever serves it does so under the lock and then posts its wake-up to
 * its loop; from that moment a cancellation comes too late, so nothing is lost or doubled.
 */
#include <pthread.h>
#include <string.h>

#include "internal.h"
#include "post.h"
#include "sluice/channel.h"

struct waiter {
    struct waiter *next, *prev;
    bool queued;
    sl_task *task;
    sl_loop_ref *loop;
    void *item; /* taken from a sender, filled for a receiver */
    int result;
    sl_thread_channel *channel;
    struct sl__post_node wake;
};

struct queue {
    struct waiter *first, *last;
};

struct sl_thread_channel {
    atomic_size_t references;
    pthread_mutex_t lock;
    bool closed;
    size_t capacity, item_bytes, count, head;
    struct queue senders, receivers;
    unsigned char items[];
};

static void push(struct queue *queue, struct waiter *waiter)
{
    waiter->next = NULL;
    waiter->prev = queue->last;
    if (queue->last != NULL) {
        queue->last->next = waiter;
    } else {
        queue->first = waiter;
    }
    queue->last = waiter;
    waiter->queued = true;
}

static void take_off(struct queue *queue, struct waiter *waiter)
{
    if (waiter->prev != NULL) {
        waiter->prev->next = waiter->next;
    } else {
        queue->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->prev = waiter->prev;
    } else {
        queue->last = waiter->prev;
    }
    waiter->queued = false;
}

static void on_wake(void *argument)
{
    struct waiter *waiter = argument;
    sl_unpark(waiter->task, waiter->result);
}

/* With the lock held. The task cannot leave before its loop has made the call, so the post cannot fail. */
static void serve(struct queue *queue, struct waiter *waiter, int result)
{
    take_off(queue, waiter);
    waiter->result = result;
    waiter->wake = (struct sl__post_node){.fn = on_wake, .arg = waiter};
    SL_ASSERT(sl__loop_post_node(waiter->loop, &waiter->wake) == 0);
}

static void copy(const sl_thread_channel *channel, void *to, const void *from)
{
    if (channel->item_bytes > 0) {
        memcpy(to, from, channel->item_bytes);
    }
}

static unsigned char *slot(sl_thread_channel *channel, size_t index)
{
    return channel->items + (channel->head + index) % channel->capacity * channel->item_bytes;
}

/* With the lock held: 0, SL_EBROKEN, or SL_EAGAIN when the buffer is full. */
static int send_now(sl_thread_channel *channel, const void *item)
{
    if (channel->closed) {
        return SL_EBROKEN;
    }
    struct waiter *receiver = channel->receivers.first;
    if (receiver != NULL) {
        copy(channel, receiver->item, item);
        serve(&channel->receivers, receiver, 0);
        return 0;
    }
    if (channel->count == channel->capacity) {
        return SL_EAGAIN;
    }
    copy(channel, slot(channel, channel->count++), item);
    return 0;
}

/* With the lock held: 0, SL_EOF, or SL_EAGAIN when the buffer is empty. */
static int receive_now(sl_thread_channel *channel, void *ret_item)
{
    if (channel->count == 0) {
        return channel->closed ? SL_EOF : SL_EAGAIN;
    }
    copy(channel, ret_item, slot(channel, 0));
    channel->head = (channel->head + 1) % channel->capacity;
    channel->count--;
    struct waiter *sender = channel->senders.first;
    if (sender != NULL) {
        copy(channel, slot(channel, channel->count++), sender->item);
        serve(&channel->senders, sender, 0);
    }
    return 0;
}

static bool leave(struct waiter *waiter, struct queue *queue)
{
    (void)pthread_mutex_lock(&waiter->channel->lock);
    bool queued = waiter->queued;
    if (queued) {
        take_off(queue, waiter);
    }
    (void)pthread_mutex_unlock(&waiter->channel->lock);
    return queued;
}

static bool leave_senders(sl_task *task, void *object)
{
    (void)task;
    return leave(object, &((struct waiter *)object)->channel->senders);
}

static bool leave_receivers(sl_task *task, void *object)
{
    (void)task;
    return leave(object, &((struct waiter *)object)->channel->receivers);
}

static int exchange(sl_thread_channel *channel, void *item, bool sending)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    struct waiter waiter = {.task = task, .loop = sl_loop_ref_new(), .item = item, .channel = channel};
    if (waiter.loop == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to wait on a thread channel");
    }
    (void)pthread_mutex_lock(&channel->lock);
    int code = sending ? send_now(channel, item) : receive_now(channel, item);
    if (code == SL_EAGAIN) {
        push(sending ? &channel->senders : &channel->receivers, &waiter);
    }
    (void)pthread_mutex_unlock(&channel->lock);
    if (code == SL_EAGAIN) {
        task->runtime->external++; /* another thread ends this wait: a simulated clock stands still */
        code = sl_park(sending ? leave_senders : leave_receivers, &waiter, "thread channel");
        task->runtime->external--;
    } else {
        sl__coop(task);
    }
    sl_loop_ref_free(waiter.loop);
    return code;
}

int sl_thread_channel_open(size_t capacity, size_t item_bytes, sl_thread_channel **ret_channel)
{
    if (capacity == 0 || capacity > SL_CHANNEL_CAPACITY_MAX || item_bytes > SL_CHANNEL_ITEM_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "sl_thread_channel_open(): capacity or item size out of range");
    }
    sl_thread_channel *channel = sl_calloc(1, sizeof *channel + capacity * item_bytes);
    if (channel == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a thread channel");
    }
    atomic_init(&channel->references, 1);
    (void)pthread_mutex_init(&channel->lock, NULL);
    channel->capacity = capacity;
    channel->item_bytes = item_bytes;
    *ret_channel = channel;
    return 0;
}

sl_thread_channel *sl_thread_channel_ref(sl_thread_channel *channel)
{
    atomic_fetch_add(&channel->references, 1);
    return channel;
}

void sl_thread_channel_unref(sl_thread_channel *channel)
{
    if (channel != NULL && atomic_fetch_sub(&channel->references, 1) == 1) {
        (void)pthread_mutex_destroy(&channel->lock);
        sl_free(channel);
    }
}

int sl_thread_channel_send(sl_thread_channel *channel, const void *item)
{
    return exchange(channel, (void *)item, true);
}

int sl_thread_channel_receive(sl_thread_channel *channel, void *ret_item)
{
    return exchange(channel, ret_item, false);
}

int sl_thread_channel_try_send(sl_thread_channel *channel, const void *item)
{
    (void)pthread_mutex_lock(&channel->lock);
    int code = send_now(channel, item);
    (void)pthread_mutex_unlock(&channel->lock);
    return code;
}

int sl_thread_channel_try_receive(sl_thread_channel *channel, void *ret_item)
{
    (void)pthread_mutex_lock(&channel->lock);
    int code = receive_now(channel, ret_item);
    (void)pthread_mutex_unlock(&channel->lock);
    return code;
}

void sl_thread_channel_close(sl_thread_channel *channel)
{
    (void)pthread_mutex_lock(&channel->lock);
    channel->closed = true;
    while (channel->senders.first != NULL) {
        serve(&channel->senders, channel->senders.first, SL_EBROKEN);
    }
    while (channel->receivers.first != NULL) {
        serve(&channel->receivers, channel->receivers.first, SL_EOF);
    }
    (void)pthread_mutex_unlock(&channel->lock);
}
