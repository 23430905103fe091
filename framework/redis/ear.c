/* SPDX-License-Identifier: MIT */
/*
 * Ears: one subscription for all tasks of a client that wait for a hint. Messages may be lost, so each of them also has
 * its timer; this only makes it quick.
 */
#include <string.h>

#include "client.h"
#include "sluice/runtime.h"

struct sl__redis_hub {
    sl_redis_pubsub *pubsub;
    struct sl_redis_ear *first;
};

/* NULL: all of them. */
static void tell(const struct sl__redis_hub *hub, const char *channel)
{
    for (struct sl_redis_ear *ear = hub->first; ear != NULL; ear = ear->next) {
        if (channel == NULL || strcmp(ear->channel, channel) == 0) {
            sl_event_set(&ear->heard);
        }
    }
}

/* The hub's task. A confirmed subscription is told too: what is waited for may have happened before. */
static int hear(void *arg)
{
    struct sl__redis_hub *hub = arg;
    for (;;) {
        struct sl_redis_message message;
        SL_TRY(sl_redis_pubsub_next(hub->pubsub, &message));
        tell(hub, message.kind == SL_REDIS_GAP ? NULL : message.channel);
    }
}

static struct sl__redis_hub *hub_of(sl_redis *redis)
{
    if (redis->hub != NULL || redis->main->ended) {
        return redis->main->ended ? NULL : redis->hub;
    }
    struct sl__redis_hub *hub = sl_calloc(1, sizeof *hub);
    if (hub == NULL || sl_redis_pubsub_open(redis->scope, redis, NULL, &hub->pubsub) < 0) {
        sl_free(hub);
        return NULL;
    }
    redis->hub = hub;
    if (sl_spawn(redis->scope, hear, hub, .name = "redis ears", .daemon = true) < 0) {
        sl_log(SL_LOG_WARNING, "no task for hints from Redis: timers take their place");
    }
    return hub;
}

static size_t listeners(const struct sl__redis_hub *hub, const char *channel)
{
    size_t count = 0;
    for (const struct sl_redis_ear *ear = hub->first; ear != NULL; ear = ear->next) {
        count += strcmp(ear->channel, channel) == 0;
    }
    return count;
}

void sl_redis_listen(sl_redis *redis, struct sl_redis_ear *ear, const char *channel)
{
    struct sl__redis_hub *hub = hub_of(redis);
    if (hub == NULL) {
        return;
    }
    ear->channel = channel;
    if (sl_redis_subscribe(hub->pubsub, ear->channel, false) < 0) {
        return;
    }
    if (listeners(hub, channel) > 0) {
        sl_event_set(&ear->heard); /* it was confirmed long ago: what is waited for may just have happened */
    }
    ear->prev = NULL;
    ear->next = hub->first;
    if (hub->first != NULL) {
        hub->first->prev = ear;
    }
    hub->first = ear;
    ear->listening = true;
}

void sl_redis_unlisten(sl_redis *redis, struct sl_redis_ear *ear)
{
    struct sl__redis_hub *hub = redis->hub;
    if (!ear->listening) {
        return;
    }
    *(ear->prev != NULL ? &ear->prev->next : &hub->first) = ear->next;
    if (ear->next != NULL) {
        ear->next->prev = ear->prev;
    }
    ear->listening = false;
    if (listeners(hub, ear->channel) == 0) {
        (void)sl_redis_unsubscribe(hub->pubsub, ear->channel, false);
    }
}
