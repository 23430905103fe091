/* SPDX-License-Identifier: MIT */
/*
 * Channels between tasks of one runtime. A channel carries items of one fixed size by copy; it has
 * sending and receiving ends, which can be cloned and are closed one by one. (Between runtimes on
 * different threads: thread.h.)
 *
 * What the calls return beside 0:
 *   SL_EOF       receive: every sending end is closed and the buffer is empty; for ever
 *   SL_EBROKEN   send: every receiving end is closed; for ever
 *   SL_ECLOSED   this end itself was closed, also while a task waited on it; for ever
 *   SL_EAGAIN    a try_ call would have had to wait
 *   SL_ECANCELED no effect on the channel; SL_ENOTASK for a blocking call outside a task
 * An item handed to a waiting receiver, and room given to a waiting sender, is theirs: a later try_ call
 * cannot take it, and a cancellation after that moment does not undo it. A send that returns 0 has given
 * the item away; after any other result it is still the caller's.
 *
 * All calls are for the runtime's thread; those that do not block also for callbacks of its event loop.
 */
#ifndef SLUICE_CHANNEL_H
#define SLUICE_CHANNEL_H

#include "sluice/memory.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_sender sl_sender;
typedef struct sl_receiver sl_receiver;

/* What a send does when the buffer is full. All but BLOCK count what they drop, and never wait. */
enum sl_overflow {
    SL_BLOCK,
    SL_DROP_OLDEST,
    SL_DROP_NEWEST, /* the item being sent */
    SL_CONFLATE     /* replaces the queued item of the same key, in its place; a new key drops the oldest */
};

struct sl_channel_options {
    size_t capacity;   /* items; 0 is a rendezvous (only with SL_BLOCK); at most SL_CHANNEL_CAPACITY_MAX */
    size_t item_bytes; /* 0 is legal: only the signal counts; at most SL_CHANNEL_ITEM_BYTES_MAX */
    enum sl_overflow overflow;
    uint64_t (*key)(const void *item); /* for SL_CONFLATE; called once for each item that is sent */
    /*
     * Called once for every item that was sent and will never be received: dropped, replaced, or left in
     * the buffer when the last receiving end closes. May be NULL. Must not block or use this channel.
     */
    void (*drop)(void *item);
    const char *name; /* copied (31 bytes), for dumps; may be NULL */
};

#define SL_CHANNEL_CAPACITY_MAX ((size_t)1 << 24)
#define SL_CHANNEL_ITEM_BYTES_MAX ((size_t)1 << 16)

/*
 * Makes a channel and its first two ends. All memory it will ever need is allocated here, in one piece
 * for the buffer (capacity rounded up to a power of two). 0, SL_EINVAL, SL_ENOMEM. Does not block.
 */
SL_MUST_CHECK int sl_channel_open(const struct sl_channel_options *options, sl_sender **ret_sender,
                                  sl_receiver **ret_receiver);

/* Send and receive one item of item_bytes (NULL is fine for 0 bytes). Cancellation points. */
SL_MUST_CHECK int sl_channel_send(sl_sender *sender, const void *item);
SL_MUST_CHECK int sl_channel_receive(sl_receiver *receiver, void *ret_item);

/* The same without waiting. No cancellation points. */
SL_MUST_CHECK int sl_channel_try_send(sl_sender *sender, const void *item);
SL_MUST_CHECK int sl_channel_try_receive(sl_receiver *receiver, void *ret_item);

/* Another end of the same channel. 0, SL_ECLOSED (misuse) when that end is closed, SL_ENOMEM. */
SL_MUST_CHECK int sl_sender_clone(sl_sender *sender, sl_sender **ret_sender);
SL_MUST_CHECK int sl_receiver_clone(sl_receiver *receiver, sl_receiver **ret_receiver);

/*
 * Close: wakes the tasks that wait on this very end, with SL_ECLOSED, and, when it was the last of its
 * side, those on the other side. Idempotent. The end stays valid (all calls give SL_ECLOSED) until it is
 * freed. Free closes first; NULL is fine; no task may be waiting on it then (SL_EBUSY, nothing done; a
 * task that was woken already is no longer waiting). Neither blocks.
 */
void sl_sender_close(sl_sender *sender);
void sl_receiver_close(sl_receiver *receiver);
int sl_sender_free(sl_sender *sender);
int sl_receiver_free(sl_receiver *receiver);

/* At any time sent == received + dropped + conflated + used. */
struct sl_channel_statistics {
    size_t used, capacity, high_water; /* items; high_water is never reset */
    size_t senders, receivers;         /* open ends */
    size_t senders_waiting, receivers_waiting;
    uint64_t sent; /* sends that returned, or will return, 0 */
    uint64_t received;
    uint64_t dropped;   /* by the overflow policy, or left when the last receiving end closed */
    uint64_t conflated; /* replaced by a newer item of the same key */
};
void sl_sender_statistics(const sl_sender *sender, struct sl_channel_statistics *ret_statistics);
void sl_receiver_statistics(const sl_receiver *receiver, struct sl_channel_statistics *ret_statistics);

/* ---- select ---- */

struct sl_event;

enum sl_select_kind { SL_SELECT_SEND, SL_SELECT_RECEIVE, SL_SELECT_EVENT, SL_SELECT_STOP };

struct sl_select_clause {
    enum sl_select_kind kind;
    sl_sender *sender;      /* SEND */
    sl_receiver *receiver;  /* RECEIVE */
    struct sl_event *event; /* EVENT: fires when it is set */
    void *item;             /* SEND: read from; RECEIVE: written to */
    int code;               /* set for the clause that fired: 0, SL_EOF, SL_EBROKEN, SL_ECLOSED */
};

#define SL_SELECT_CLAUSES_MAX 64

/*
 * Waits until one clause can go on, does it, and returns its index; with several ready, the first in
 * array order. SL_SELECT_STOP fires when the running task is asked to stop. `timeout` (relative) 0
 * polls (SL_EAGAIN), SL_NEVER waits for ever, else SL_ETIMEDOUT (also for an empty set). A channel that
 * is finished or broken fires with that code. The same channel twice is harmless; a task that offers
 * both to send and to receive on one channel does not meet itself. Every clause that did not fire is
 * without effect. Cancellation point. SL_EINVAL (an unknown kind, a clause without its object, too many
 * clauses, a negative timeout), SL_ECANCELED, SL_ENOTASK.
 */
SL_MUST_CHECK int sl_select(struct sl_select_clause *clauses, size_t count, sl_time timeout);

/* ---- broadcast: every subscriber gets every item ---- */

typedef struct sl_broadcast sl_broadcast;
typedef struct sl_subscriber sl_subscriber;

/*
 * A ring of `capacity` items (1 to SL_CHANNEL_CAPACITY_MAX) of `item_bytes` (0 to
 * SL_CHANNEL_ITEM_BYTES_MAX), shared by all subscribers. A subscriber that falls more than the ring
 * behind loses the oldest items; its next receive returns SL_ELAGGED once, with the number lost, then
 * goes on with the oldest item that is left. 0, SL_EINVAL, SL_ENOMEM. Release it with
 * sl_broadcast_unref().
 */
SL_MUST_CHECK int sl_broadcast_open(size_t capacity, size_t item_bytes, sl_broadcast **ret_broadcast);

/* Gives the item to every subscriber; never waits. 0, or SL_ECLOSED. */
int sl_broadcast_send(sl_broadcast *broadcast, const void *item);

/* No more items: subscribers drain, then get SL_EOF. Idempotent. */
void sl_broadcast_close(sl_broadcast *broadcast);

/* A new subscriber, which sees later items only. 0, SL_ECLOSED, SL_ENOMEM. Free it with sl_subscriber_free(). */
SL_MUST_CHECK int sl_broadcast_subscribe(sl_broadcast *broadcast, sl_subscriber **ret_subscriber);

/*
 * The subscriber's next item. 0; SL_ELAGGED, with the number of items lost in `ret_lost` (may be NULL)
 * and no item; SL_EOF; SL_ECANCELED, SL_ENOTASK. Several tasks may share a subscriber: each item goes
 * to one of them, first come first served. Cancellation point. The try form never waits and adds
 * SL_EAGAIN.
 */
SL_MUST_CHECK int sl_subscriber_receive(sl_subscriber *subscriber, void *ret_item, uint64_t *ret_lost);
SL_MUST_CHECK int sl_subscriber_try_receive(sl_subscriber *subscriber, void *ret_item, uint64_t *ret_lost);

/* 0, or SL_EBUSY while a task waits on it. NULL is fine. */
int sl_subscriber_free(sl_subscriber *subscriber);

/* Closes it and gives the handle back; the memory goes when the last subscriber is freed. NULL is fine. */
void sl_broadcast_unref(sl_broadcast *broadcast);

/*
 * sl_auto(sl_sender) *out = NULL; frees the end when it leaves its block. Declare it before the scope
 * whose tasks use it: the scope is left first.
 */
SL_AUTO_DECLARE(sl_sender, sl_sender_free)
SL_AUTO_DECLARE(sl_receiver, sl_receiver_free)
SL_AUTO_DECLARE(sl_subscriber, sl_subscriber_free)
SL_AUTO_DECLARE(sl_broadcast, sl_broadcast_unref)

#ifdef __cplusplus
}
#endif

#endif
