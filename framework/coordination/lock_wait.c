/* SPDX-License-Identifier: MIT */
/*
 * Who waits for which lock: one subscription for all waiters of a client. A message may be lost, so each waiter also
 * has its timer; this only makes it quick.
 */
#include <stdio.h>
#include <string.h>

#include "../redis/client.h"
#include "lock.h"
#include "sluice/runtime.h"

struct hub {
    sl_redis_pubsub *pubsub;
    struct sl__lock_waiter *first;
};

static void wake(const struct hub *hub, const char *channel)
{
    for (struct sl__lock_waiter *waiter = hub->first; waiter != NULL; waiter = waiter->next) {
        if (channel == NULL || strcmp(waiter->channel, channel) == 0) {
            sl_event_set(&waiter->woken);
        }
    }
}

/* The hub's task. A confirmed subscription wakes, too: the lock may have been given back before. */
static int hear(void *arg)
{
    struct hub *hub = arg;
    for (;;) {
        struct sl_redis_message message;
        SL_TRY(sl_redis_pubsub_next(hub->pubsub, &message));
        wake(hub, message.kind == SL_REDIS_GAP ? NULL : message.channel);
    }
}

static struct hub *hub_of(sl_redis *redis)
{
    if (redis->hub != NULL || redis->main->ended) {
        return redis->main->ended ? NULL : redis->hub;
    }
    struct hub *hub = sl_calloc(1, sizeof *hub);
    if (hub == NULL || sl_redis_pubsub_open(redis->scope, redis, NULL, &hub->pubsub) < 0) {
        sl_free(hub);
        return NULL;
    }
    redis->hub = hub;
    redis->free_hub = sl_free;
    if (sl_spawn(redis->scope, hear, hub, .name = "lock wake-ups", .daemon = true) < 0) {
        sl_log(SL_LOG_WARNING, "no task to wake those who wait for locks: their timers will");
    }
    return hub;
}

static size_t listeners(const struct hub *hub, const char *channel)
{
    size_t count = 0;
    for (const struct sl__lock_waiter *waiter = hub->first; waiter != NULL; waiter = waiter->next) {
        count += strcmp(waiter->channel, channel) == 0;
    }
    return count;
}

void sl__lock_listen(sl_redis *redis, struct sl__lock_waiter *waiter, const char *key)
{
    struct hub *hub = hub_of(redis);
    if (hub == NULL) {
        return;
    }
    (void)snprintf(waiter->channel, sizeof waiter->channel, SL__LOCK_CHANNEL "%s", key);
    if (sl_redis_subscribe(hub->pubsub, waiter->channel, false) < 0) {
        return;
    }
    waiter->prev = NULL;
    waiter->next = hub->first;
    if (hub->first != NULL) {
        hub->first->prev = waiter;
    }
    hub->first = waiter;
    waiter->listening = true;
}

void sl__lock_unlisten(sl_redis *redis, struct sl__lock_waiter *waiter)
{
    struct hub *hub = redis->hub;
    if (!waiter->listening) {
        return;
    }
    *(waiter->prev != NULL ? &waiter->prev->next : &hub->first) = waiter->next;
    if (waiter->next != NULL) {
        waiter->next->prev = waiter->prev;
    }
    waiter->listening = false;
    if (listeners(hub, waiter->channel) == 0) {
        (void)sl_redis_unsubscribe(hub->pubsub, waiter->channel, false);
    }
}
