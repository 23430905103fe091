/* SPDX-License-Identifier: MIT */
/*
 * Broadcast: one ring, numbered items, and a cursor for each subscriber. Item n lies in slot n & mask
 * until item n + capacity is sent. A subscriber that waits has seen everything, so that a new item can go
 * straight into its task's memory.
 */
#include "channel_internal.h"

struct sl_broadcast {
    unsigned char *ring;
    size_t mask, capacity, item_bytes;
    uint64_t next; /* number of the item that will be sent next */
    struct sl__wait_queue waiters;
    size_t references; /* the handle and each subscriber */
    bool closed;
};

struct sl_subscriber {
    sl_broadcast *broadcast;
    uint64_t next; /* number of the item it gets next */
    size_t waiting;
};

struct subscriber_waiter {
    struct sl__waiter waiter;
    sl_subscriber *subscriber;
    void *item;
};

static void unref(sl_broadcast *broadcast)
{
    if (--broadcast->references == 0) {
        sl_free(broadcast->ring);
        sl_free(broadcast);
    }
}

int sl_broadcast_open(size_t capacity, size_t item_bytes, sl_broadcast **ret_broadcast)
{
    if (capacity == 0 || capacity > SL_CHANNEL_CAPACITY_MAX || item_bytes > SL_CHANNEL_ITEM_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "sl_broadcast_open(): capacity or item_bytes out of range");
    }
    sl_broadcast *broadcast = sl_calloc(1, sizeof *broadcast);
    size_t slots = sl__ring_slots(capacity);
    size_t bytes;
    bool fits = !__builtin_mul_overflow(slots, item_bytes, &bytes);
    unsigned char *ring = broadcast != NULL && fits ? sl_malloc(bytes) : NULL;
    if (ring == NULL) {
        sl_free(broadcast);
        return sl_fail(SL_ENOMEM, "sl_broadcast_open(): no memory for %zu items of %zu bytes", capacity, item_bytes);
    }
    broadcast->ring = ring;
    broadcast->mask = slots - 1;
    broadcast->capacity = capacity;
    broadcast->item_bytes = item_bytes;
    broadcast->references = 1;
    *ret_broadcast = broadcast;
    return 0;
}

int sl_broadcast_subscribe(sl_broadcast *broadcast, sl_subscriber **ret_subscriber)
{
    if (broadcast->closed) {
        return SL_ECLOSED;
    }
    sl_subscriber *subscriber = sl_calloc(1, sizeof *subscriber);
    if (subscriber == NULL) {
        return sl_fail(SL_ENOMEM, "sl_broadcast_subscribe(): no memory");
    }
    subscriber->broadcast = broadcast;
    subscriber->next = broadcast->next;
    broadcast->references++;
    *ret_subscriber = subscriber;
    return 0;
}

static void waiter_remove(struct subscriber_waiter *waiter)
{
    sl__wait_queue_remove(&waiter->waiter);
    waiter->subscriber->waiting--;
}

static void serve(struct subscriber_waiter *waiter, int result)
{
    waiter_remove(waiter);
    sl_unpark(waiter->waiter.task, result);
}

int sl_broadcast_send(sl_broadcast *broadcast, const void *item)
{
    if (broadcast->closed) {
        return SL_ECLOSED;
    }
    uint64_t number = broadcast->next++;
    sl__item_copy(broadcast->ring + (size_t)(number & broadcast->mask) * broadcast->item_bytes, item,
                  broadcast->item_bytes);
    struct sl__waiter *next = broadcast->waiters.first;
    while (next != NULL) {
        struct subscriber_waiter *waiter = SL_CONTAINER(next, struct subscriber_waiter, waiter);
        next = next->next;
        /* Of several tasks on one subscriber only the first gets this item. */
        if (waiter->subscriber->next == number) {
            sl__item_copy(waiter->item, item, broadcast->item_bytes);
            waiter->subscriber->next++;
            serve(waiter, 0);
        }
    }
    return 0;
}

void sl_broadcast_close(sl_broadcast *broadcast)
{
    broadcast->closed = true;
    while (broadcast->waiters.first != NULL) {
        serve(SL_CONTAINER(broadcast->waiters.first, struct subscriber_waiter, waiter), SL_EOF);
    }
}

void sl_broadcast_unref(sl_broadcast *broadcast)
{
    if (broadcast != NULL) {
        sl_broadcast_close(broadcast);
        unref(broadcast);
    }
}

int sl_subscriber_free(sl_subscriber *subscriber)
{
    if (subscriber == NULL) {
        return 0;
    }
    if (subscriber->waiting > 0) {
        return sl__misuse(SL_EBUSY, "sl_subscriber_free(): a task waits on this subscriber");
    }
    unref(subscriber->broadcast);
    sl_free(subscriber);
    return 0;
}

int sl_subscriber_try_receive(sl_subscriber *subscriber, void *ret_item, uint64_t *ret_lost)
{
    const sl_broadcast *broadcast = subscriber->broadcast;
    uint64_t behind = broadcast->next - subscriber->next;
    if (behind == 0) {
        return broadcast->closed ? SL_EOF : SL_EAGAIN;
    }
    if (SL_UNLIKELY(behind > broadcast->capacity)) {
        uint64_t lost = behind - broadcast->capacity;
        subscriber->next += lost;
        if (ret_lost != NULL) {
            *ret_lost = lost;
        }
        return SL_ELAGGED;
    }
    sl__item_copy(ret_item, broadcast->ring + (size_t)(subscriber->next & broadcast->mask) * broadcast->item_bytes,
                  broadcast->item_bytes);
    subscriber->next++;
    return 0;
}

static bool waiter_abort(sl_task *task, void *object)
{
    (void)task;
    waiter_remove(object);
    return true;
}

int sl_subscriber_receive(sl_subscriber *subscriber, void *ret_item, uint64_t *ret_lost)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl__coop(task);
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    int code = sl_subscriber_try_receive(subscriber, ret_item, ret_lost);
    if (code != SL_EAGAIN) {
        return code;
    }
    struct subscriber_waiter waiter = {.waiter = {.task = task}, .subscriber = subscriber, .item = ret_item};
    sl__wait_queue_push(&subscriber->broadcast->waiters, &waiter.waiter);
    subscriber->waiting++;
    return sl_park(waiter_abort, &waiter, "broadcast");
}
