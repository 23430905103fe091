/* SPDX-License-Identifier: MIT */
/*
 * Channels. Whoever finds a counterpart waiting serves it in the same step: an item goes straight from
 * the sender's memory to the receiver's, and a slot that becomes free is filled by the first waiting
 * sender at once. So while somebody waits there is nothing left that a later call could take first.
 */
#include "sluice/channel.h"

#include <stdio.h>

#include "channel_internal.h"

/* ---- opening ---- */

static const char *check_options(const struct sl_channel_options *options)
{
    if (options->capacity > SL_CHANNEL_CAPACITY_MAX || options->item_bytes > SL_CHANNEL_ITEM_BYTES_MAX) {
        return "capacity or item_bytes too large";
    }
    if ((unsigned)options->overflow > SL_CONFLATE) {
        return "unknown overflow policy";
    }
    if (options->capacity == 0 && options->overflow != SL_BLOCK) {
        return "a rendezvous cannot drop items";
    }
    if (options->overflow == SL_CONFLATE && options->key == NULL) {
        return "SL_CONFLATE without a key function";
    }
    return NULL;
}

static void channel_free(struct sl__channel *channel)
{
    if (channel != NULL) {
        sl__conflation_free(channel->conflation);
        sl_free(channel->ring);
        sl_free(channel);
    }
}

static int allocate_buffer(struct sl__channel *channel)
{
    if (channel->capacity == 0) {
        return 0;
    }
    size_t slots = sl__ring_slots(channel->capacity);
    size_t bytes;
    if (__builtin_mul_overflow(slots, channel->item_bytes, &bytes)) {
        return SL_ENOMEM;
    }
    channel->mask = slots - 1;
    channel->ring = sl_malloc(bytes);
    if (channel->ring == NULL) {
        return SL_ENOMEM;
    }
    return channel->overflow == SL_CONFLATE ? sl__conflation_open(slots, &channel->conflation) : 0;
}

static void set_texts(struct sl__channel *channel, const char *name)
{
    const char *send = name == NULL ? "channel send" : "send to ";
    const char *receive = name == NULL ? "channel receive" : "receive from ";
    int kept = SL_CHANNEL_NAME_BYTES - 1;
    name = name == NULL ? "" : name;
    (void)snprintf(channel->send_text, sizeof channel->send_text, "%s%.*s", send, kept, name);
    (void)snprintf(channel->receive_text, sizeof channel->receive_text, "%s%.*s", receive, kept, name);
}

static sl_sender *sender_new(struct sl__channel *channel)
{
    sl_sender *sender = sl_calloc(1, sizeof *sender);
    if (sender != NULL) {
        sender->end.channel = channel;
        channel->ends++;
        channel->open_senders++;
    }
    return sender;
}

static sl_receiver *receiver_new(struct sl__channel *channel)
{
    sl_receiver *receiver = sl_calloc(1, sizeof *receiver);
    if (receiver != NULL) {
        receiver->end.channel = channel;
        channel->ends++;
        channel->open_receivers++;
    }
    return receiver;
}

int sl_channel_open(const struct sl_channel_options *options, sl_sender **ret_sender, sl_receiver **ret_receiver)
{
    const char *wrong = check_options(options);
    if (wrong != NULL) {
        return sl_fail(SL_EINVAL, "sl_channel_open(): %s", wrong);
    }
    struct sl__channel *channel = sl_calloc(1, sizeof *channel);
    if (channel == NULL) {
        return sl_fail(SL_ENOMEM, "sl_channel_open(): no memory");
    }
    channel->capacity = options->capacity;
    channel->item_bytes = options->item_bytes;
    channel->overflow = options->overflow;
    channel->key = options->key;
    channel->drop = options->drop;
    set_texts(channel, options->name);
    bool has_buffer = allocate_buffer(channel) == 0;
    sl_sender *sender = has_buffer ? sender_new(channel) : NULL;
    sl_receiver *receiver = sender != NULL ? receiver_new(channel) : NULL;
    if (receiver == NULL) {
        sl_free(sender);
        channel_free(channel);
        return sl_fail(SL_ENOMEM, "sl_channel_open(): no memory for %zu items of %zu bytes", options->capacity,
                       options->item_bytes);
    }
    *ret_sender = sender;
    *ret_receiver = receiver;
    return 0;
}

int sl_sender_clone(sl_sender *sender, sl_sender **ret_sender)
{
    if (sender->end.closed) {
        return sl__misuse(SL_ECLOSED, "sl_sender_clone(): this end is closed");
    }
    sl_sender *clone = sender_new(sender->end.channel);
    if (clone == NULL) {
        return sl_fail(SL_ENOMEM, "sl_sender_clone(): no memory");
    }
    *ret_sender = clone;
    return 0;
}

int sl_receiver_clone(sl_receiver *receiver, sl_receiver **ret_receiver)
{
    if (receiver->end.closed) {
        return sl__misuse(SL_ECLOSED, "sl_receiver_clone(): this end is closed");
    }
    sl_receiver *clone = receiver_new(receiver->end.channel);
    if (clone == NULL) {
        return sl_fail(SL_ENOMEM, "sl_receiver_clone(): no memory");
    }
    *ret_receiver = clone;
    return 0;
}

/* ---- passing items on ---- */

static inline void wake(struct sl__channel_waiter *waiter, int result)
{
    waiter->end->waiting--;
    sl__waiter_wake(&waiter->waiter, result);
}

/* The same with result 0 for the first of the queue, which is what a hand-over does. */
static inline void wake_first(struct sl__wait_queue *queue, struct sl__channel_waiter *waiter)
{
    waiter->end->waiting--;
    sl__wait_queue_take_first(queue);
    sl_task *task = waiter->waiter.task;
    sl_unpark(task, SL_LIKELY(waiter->waiter.select == NULL) ? 0 : sl__select_fired(&waiter->waiter, 0));
}

static inline struct sl__channel_waiter *first_waiter(const struct sl__wait_queue *queue)
{
    return SL_CONTAINER(queue->first, struct sl__channel_waiter, waiter);
}

/* Takes the oldest item out of the ring; its bytes stay valid until the next put(). */
static inline void *take(struct sl__channel *channel)
{
    if (SL_UNLIKELY(channel->conflation != NULL)) {
        sl__conflation_remove(channel->conflation, channel->head & channel->mask);
    }
    void *slot = sl__channel_slot(channel, 0);
    channel->head++;
    channel->used--;
    return slot;
}

static inline void put(struct sl__channel *channel, const void *item)
{
    sl__item_copy(sl__channel_slot(channel, channel->used), item, channel->item_bytes);
    channel->used++;
    if (channel->used > channel->high_water) {
        channel->high_water = channel->used;
    }
}

static void drop(struct sl__channel *channel, void *item)
{
    if (channel->drop != NULL) {
        channel->drop(item);
    }
}

static void drop_oldest(struct sl__channel *channel)
{
    channel->dropped++;
    drop(channel, take(channel));
}

static __attribute__((noinline)) int send_conflated(struct sl__channel *channel, const void *item)
{
    uint64_t key = channel->key(item);
    size_t slot = sl__conflation_find(channel->conflation, key);
    channel->sent++;
    if (slot != SIZE_MAX) {
        void *older = channel->ring + slot * channel->item_bytes;
        channel->conflated++;
        drop(channel, older);
        sl__item_copy(older, item, channel->item_bytes);
        return 0;
    }
    if (channel->used == channel->capacity) {
        drop_oldest(channel);
    }
    sl__conflation_put(channel->conflation, key, (channel->head + channel->used) & channel->mask);
    put(channel, item);
    return 0;
}

static __attribute__((noinline)) int send_to_full(struct sl__channel *channel, const void *item)
{
    channel->sent++;
    if (channel->overflow == SL_DROP_NEWEST) {
        channel->dropped++;
        drop(channel, (void *)(uintptr_t)item);
        return 0;
    }
    drop_oldest(channel);
    put(channel, item);
    return 0;
}

/* Everything a send does without waiting, or SL_EAGAIN. */
static inline __attribute__((always_inline)) int send_now(sl_sender *sender, const void *item)
{
    struct sl__channel *channel = sender->end.channel;
    if (SL_UNLIKELY(sender->end.closed)) {
        return SL_ECLOSED;
    }
    if (channel->receivers.first != NULL) {
        struct sl__channel_waiter *receiver = first_waiter(&channel->receivers);
        sl__item_copy(receiver->item, item, channel->item_bytes);
        channel->sent++;
        wake_first(&channel->receivers, receiver);
        return 0;
    }
    if (SL_UNLIKELY(channel->open_receivers == 0)) {
        return SL_EBROKEN;
    }
    if (SL_UNLIKELY(channel->conflation != NULL)) {
        return send_conflated(channel, item);
    }
    if (channel->used == channel->capacity) {
        return channel->overflow == SL_BLOCK ? SL_EAGAIN : send_to_full(channel, item);
    }
    channel->sent++;
    put(channel, item);
    return 0;
}

static inline __attribute__((always_inline)) int receive_now(sl_receiver *receiver, void *ret_item)
{
    struct sl__channel *channel = receiver->end.channel;
    if (SL_UNLIKELY(receiver->end.closed)) {
        return SL_ECLOSED;
    }
    bool from_buffer = channel->used > 0;
    if (from_buffer) {
        sl__item_copy(ret_item, take(channel), channel->item_bytes);
    }
    if (channel->senders.first != NULL) {
        struct sl__channel_waiter *sender = first_waiter(&channel->senders);
        channel->sent++;
        if (from_buffer) {
            put(channel, sender->item);
        } else {
            sl__item_copy(ret_item, sender->item, channel->item_bytes);
        }
        wake_first(&channel->senders, sender);
        return 0;
    }
    if (from_buffer) {
        return 0;
    }
    return channel->open_senders == 0 ? SL_EOF : SL_EAGAIN;
}

int sl_channel_try_send(sl_sender *sender, const void *item)
{
    return send_now(sender, item);
}

int sl_channel_try_receive(sl_receiver *receiver, void *ret_item)
{
    return receive_now(receiver, ret_item);
}

static bool waiter_abort(sl_task *task, void *object)
{
    (void)task;
    sl__channel_waiter_remove(object);
    return true;
}

/* Apart from its callers, so that their usual way needs no frame. */
static __attribute__((noinline)) int wait(sl_task *task, struct sl__wait_queue *queue, struct sl__end *end, void *item,
                                          const char *what)
{
    struct sl__channel_waiter waiter;
    waiter.waiter.task = task;
    waiter.waiter.select = NULL;
    waiter.end = end;
    waiter.item = item;
    sl__channel_waiter_push(queue, &waiter);
    return sl_park(waiter_abort, &waiter, what);
}

int sl_channel_send(sl_sender *sender, const void *item)
{
    sl_task *task = sl__self();
    if (SL_UNLIKELY(task == NULL)) {
        return SL_ENOTASK;
    }
    sl__coop(task);
    if (SL_UNLIKELY(sl__cancelled(task))) {
        return SL_ECANCELED;
    }
    int code = send_now(sender, item);
    if (code != SL_EAGAIN) {
        return code;
    }
    struct sl__channel *channel = sender->end.channel;
    return wait(task, &channel->senders, &sender->end, (void *)(uintptr_t)item, channel->send_text);
}

int sl_channel_receive(sl_receiver *receiver, void *ret_item)
{
    sl_task *task = sl__self();
    if (SL_UNLIKELY(task == NULL)) {
        return SL_ENOTASK;
    }
    sl__coop(task);
    if (SL_UNLIKELY(sl__cancelled(task))) {
        return SL_ECANCELED;
    }
    int code = receive_now(receiver, ret_item);
    if (code != SL_EAGAIN) {
        return code;
    }
    struct sl__channel *channel = receiver->end.channel;
    return wait(task, &channel->receivers, &receiver->end, ret_item, channel->receive_text);
}

/* ---- closing ---- */

static void wake_all(struct sl__wait_queue *queue, int result)
{
    while (queue->first != NULL) {
        wake(first_waiter(queue), result);
    }
}

/* Wakes those who wait on this end. A select that is woken takes more than one waiter off: look anew then. */
static void wake_end(struct sl__wait_queue *queue, const struct sl__end *end)
{
    struct sl__waiter *waiter = queue->first;
    while (end->waiting > 0) {
        struct sl__channel_waiter *candidate = SL_CONTAINER(waiter, struct sl__channel_waiter, waiter);
        struct sl__waiter *next = waiter->next;
        if (candidate->end == end) {
            bool selects = waiter->select != NULL;
            wake(candidate, SL_ECLOSED);
            next = selects ? queue->first : next;
        }
        waiter = next;
    }
}

void sl_sender_close(sl_sender *sender)
{
    if (sender->end.closed) {
        return;
    }
    struct sl__channel *channel = sender->end.channel;
    sender->end.closed = true;
    channel->open_senders--;
    wake_end(&channel->senders, &sender->end);
    if (channel->open_senders == 0) {
        wake_all(&channel->receivers, SL_EOF);
    }
}

void sl_receiver_close(sl_receiver *receiver)
{
    if (receiver->end.closed) {
        return;
    }
    struct sl__channel *channel = receiver->end.channel;
    receiver->end.closed = true;
    channel->open_receivers--;
    wake_end(&channel->receivers, &receiver->end);
    if (channel->open_receivers > 0) {
        return;
    }
    wake_all(&channel->senders, SL_EBROKEN);
    while (channel->used > 0) {
        drop_oldest(channel);
    }
}

static void end_free(struct sl__channel *channel, void *end)
{
    sl_free(end);
    if (--channel->ends == 0) {
        channel_free(channel);
    }
}

int sl_sender_free(sl_sender *sender)
{
    if (sender == NULL) {
        return 0;
    }
    if (sender->end.waiting > 0) {
        return sl__misuse(SL_EBUSY, "sl_sender_free(): a task waits on this end");
    }
    sl_sender_close(sender);
    end_free(sender->end.channel, sender);
    return 0;
}

int sl_receiver_free(sl_receiver *receiver)
{
    if (receiver == NULL) {
        return 0;
    }
    if (receiver->end.waiting > 0) {
        return sl__misuse(SL_EBUSY, "sl_receiver_free(): a task waits on this end");
    }
    sl_receiver_close(receiver);
    end_free(receiver->end.channel, receiver);
    return 0;
}

/* ---- statistics ---- */

static void statistics(const struct sl__channel *channel, struct sl_channel_statistics *ret_statistics)
{
    *ret_statistics = (struct sl_channel_statistics){
        .used = channel->used,
        .capacity = channel->capacity,
        .high_water = channel->high_water,
        .senders = channel->open_senders,
        .receivers = channel->open_receivers,
        .senders_waiting = channel->senders.count,
        .receivers_waiting = channel->receivers.count,
        .sent = channel->sent,
        .received = channel->sent - channel->dropped - channel->conflated - channel->used,
        .dropped = channel->dropped,
        .conflated = channel->conflated,
    };
}

void sl_sender_statistics(const sl_sender *sender, struct sl_channel_statistics *ret_statistics)
{
    statistics(sender->end.channel, ret_statistics);
}

void sl_receiver_statistics(const sl_receiver *receiver, struct sl_channel_statistics *ret_statistics)
{
    statistics(receiver->end.channel, ret_statistics);
}
