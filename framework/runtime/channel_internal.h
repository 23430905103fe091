/* SPDX-License-Identifier: MIT */
/* What channel.c, conflate.c and select.c share. */
#ifndef SL_RUNTIME_CHANNEL_INTERNAL_H
#define SL_RUNTIME_CHANNEL_INTERNAL_H

#include <string.h>

#include "internal.h"
#include "sluice/channel.h"

#define SL_CHANNEL_NAME_BYTES 32

struct sl__conflation; /* conflate.c: which slot holds the item of a key */

struct sl__channel {
    /* the ring; `used` of its slots from `head` on hold items */
    unsigned char *ring;
    size_t mask; /* slots - 1; the slots are a power of two, not less than the capacity */
    size_t head, used, capacity;
    size_t item_bytes;
    /* a receiver waits only while the buffer is empty, a sender only while it is full */
    struct sl__wait_queue senders, receivers;
    size_t open_senders, open_receivers;
    uint64_t sent, dropped, conflated; /* the rest was received, or is in the buffer */
    size_t high_water;
    enum sl_overflow overflow;
    size_t ends; /* not freed yet; the channel lives as long as one of them */
    struct sl__conflation *conflation;
    uint64_t (*key)(const void *item);
    void (*drop)(void *item);
    char send_text[SL_CHANNEL_NAME_BYTES + 16]; /* what a waiting task shows in dumps */
    char receive_text[SL_CHANNEL_NAME_BYTES + 16];
};

/* One end, of either side. */
struct sl__end {
    struct sl__channel *channel;
    size_t waiting; /* waiters of this very end */
    bool closed;
};

struct sl_sender {
    struct sl__end end;
};

struct sl_receiver {
    struct sl__end end;
};

struct sl__channel_waiter {
    struct sl__waiter waiter;
    struct sl__end *end;
    void *item; /* a sender's is only read */
};

static inline void sl__channel_waiter_push(struct sl__wait_queue *queue, struct sl__channel_waiter *waiter)
{
    sl__wait_queue_push(queue, &waiter->waiter);
    waiter->end->waiting++;
}

static inline void sl__channel_waiter_remove(struct sl__channel_waiter *waiter)
{
    if (waiter->waiter.queue != NULL) {
        sl__wait_queue_remove(&waiter->waiter);
        waiter->end->waiting--;
    }
}

/* One word is what most items are: a pointer or a number. */
static inline void sl__item_copy(void *to, const void *from, size_t bytes)
{
    if (bytes == sizeof(uint64_t)) {
        memcpy(to, from, sizeof(uint64_t));
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

static inline unsigned char *sl__channel_slot(const struct sl__channel *channel, size_t offset)
{
    return channel->ring + ((channel->head + offset) & channel->mask) * channel->item_bytes;
}

/* conflate.c. Slots are counted as the ring counts them. */
int sl__conflation_open(size_t slots, struct sl__conflation **ret_conflation);
void sl__conflation_free(struct sl__conflation *conflation);
/* The slot that holds `key`, or SIZE_MAX. */
size_t sl__conflation_find(const struct sl__conflation *conflation, uint64_t key);
void sl__conflation_put(struct sl__conflation *conflation, uint64_t key, size_t slot);
void sl__conflation_remove(struct sl__conflation *conflation, size_t slot);

/* Smallest power of two that is not less than `count`, which is at least 1. */
static inline size_t sl__ring_slots(size_t count)
{
    size_t slots = 1;
    while (slots < count) {
        slots *= 2;
    }
    return slots;
}

#endif
