/* SPDX-License-Identifier: MIT */
/* Publish and subscribe: what is subscribed, the messages that wait for their reader, and what a loss means. */
#include <string.h>

#include "client.h"

#define FREE_BUDGET SL_SECONDS(1)

struct channel {
    char *name;
    bool pattern;
};

/* One piece of news: three texts behind it, each with its NUL. */
struct news {
    struct news *next;
    enum sl_redis_news kind;
    uint64_t dropped;
    size_t channel_bytes, pattern_bytes, text_bytes;
    char texts[];
};

struct sl_redis_pubsub {
    sl_redis *redis;
    struct sl__redis_connection *connection;
    struct sl_redis_pubsub_options options;
    struct channel *channels;
    size_t channels_count, channels_capacity;
    struct news *first, *last, *shown;
    size_t messages, messages_bytes;
    uint64_t dropped; /* that the reader has to be told of */
    bool lost;        /* so was a connection */
    bool reading;
    sl_event arrived;
};

/* ---- the queue ---- */

static size_t bytes_of(const struct news *news)
{
    return sizeof *news + news->channel_bytes + news->pattern_bytes + news->text_bytes + 3;
}

static struct news *take_first(sl_redis_pubsub *pubsub)
{
    struct news *news = pubsub->first;
    pubsub->first = news->next;
    if (pubsub->first == NULL) {
        pubsub->last = NULL;
    }
    pubsub->messages--;
    pubsub->messages_bytes -= bytes_of(news);
    return news;
}

static void drop_oldest(sl_redis_pubsub *pubsub)
{
    sl_free(take_first(pubsub));
    pubsub->dropped++;
}

static char *put_text(char *out, const struct sl_redis_value *text)
{
    if (text != NULL) {
        memcpy(out, text->text, text->size_bytes);
        out += text->size_bytes;
    }
    *out = '\0';
    return out + 1;
}

static size_t length_of(const struct sl_redis_value *text)
{
    return text == NULL ? 0 : text->size_bytes;
}

static void add(sl_redis_pubsub *pubsub, enum sl_redis_news kind, const struct sl_redis_value *channel,
                const struct sl_redis_value *pattern, const struct sl_redis_value *text)
{
    struct news head = {.kind = kind,
                        .channel_bytes = length_of(channel),
                        .pattern_bytes = length_of(pattern),
                        .text_bytes = length_of(text)};
    size_t bytes = bytes_of(&head);
    while (pubsub->first != NULL && (pubsub->messages >= pubsub->options.messages_max ||
                                     pubsub->messages_bytes + bytes > pubsub->options.messages_bytes_max)) {
        drop_oldest(pubsub);
    }
    struct news *news = bytes > pubsub->options.messages_bytes_max ? NULL : sl_malloc(bytes);
    sl_event_set(&pubsub->arrived);
    if (news == NULL) {
        pubsub->dropped++;
        return;
    }
    *news = head;
    (void)put_text(put_text(put_text(news->texts, channel), pattern), text);
    *(pubsub->last != NULL ? &pubsub->last->next : &pubsub->first) = news;
    pubsub->last = news;
    pubsub->messages++;
    pubsub->messages_bytes += bytes;
}

/* ---- the connection ---- */

/* "message" channel text, "pmessage" pattern channel text, "subscribe" channel count; the rest is not news. */
static void on_push(void *context, struct sl_redis_value message)
{
    sl_redis_pubsub *pubsub = context;
    struct sl_redis_list list = sl_redis_value_list(&message);
    struct sl_redis_value parts[4];
    size_t count = 0;
    while (count < 4 && sl_redis_list_next(&list, &parts[count])) {
        count++;
    }
    if (count == 3 && sl_redis_value_is(&parts[0], "message")) {
        add(pubsub, SL_REDIS_MESSAGE, &parts[1], NULL, &parts[2]);
    } else if (count == 4 && sl_redis_value_is(&parts[0], "pmessage")) {
        add(pubsub, SL_REDIS_MESSAGE, &parts[2], &parts[1], &parts[3]);
    } else if (count == 3 && sl_redis_value_is(&parts[0], "subscribe")) {
        add(pubsub, SL_REDIS_SUBSCRIBED, &parts[1], NULL, NULL);
    } else if (count == 3 && sl_redis_value_is(&parts[0], "psubscribe")) {
        add(pubsub, SL_REDIS_SUBSCRIBED, NULL, &parts[1], NULL);
    }
}

static int tell(sl_redis_pubsub *pubsub, const struct channel *channel, bool on)
{
    const char *verb = channel->pattern ? (on ? "PSUBSCRIBE" : "PUNSUBSCRIBE") : (on ? "SUBSCRIBE" : "UNSUBSCRIBE");
    const struct sl_bytes pieces[] = {sl_redis_text(verb), sl_redis_text(channel->name)};
    return sl__redis_post(pubsub->connection, pieces, 2);
}

static void on_up(void *context)
{
    sl_redis_pubsub *pubsub = context;
    for (size_t i = 0; i < pubsub->channels_count; i++) {
        if (tell(pubsub, &pubsub->channels[i], true) < 0) {
            sl__redis_connection_lose(pubsub->connection, SL_ENOMEM, "no memory to subscribe");
            return;
        }
    }
}

static void on_down(void *context)
{
    sl_redis_pubsub *pubsub = context;
    pubsub->lost = true;
    sl_event_set(&pubsub->arrived);
}

/* ---- life ---- */

static int end(void *arg)
{
    sl_redis_pubsub *pubsub = arg;
    while (pubsub->first != NULL) {
        sl_free(take_first(pubsub));
    }
    for (size_t i = 0; i < pubsub->channels_count; i++) {
        sl_free(pubsub->channels[i].name);
    }
    sl_free(pubsub->channels);
    sl_free(pubsub->shown);
    sl__redis_connection_free(pubsub->connection);
    sl_free(pubsub);
    return 0;
}

int sl_redis_pubsub_open(sl_scope *scope, sl_redis *redis, const struct sl_redis_pubsub_options *options,
                         sl_redis_pubsub **ret_pubsub)
{
    sl_redis_pubsub *pubsub = sl_calloc(1, sizeof *pubsub);
    if (pubsub == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis subscription");
    }
    const struct sl__redis_hooks hooks = {.context = pubsub,
                                          .locate = sl__redis_locate,
                                          .locate_context = redis,
                                          .push = on_push,
                                          .up = on_up,
                                          .down = on_down,
                                          .all_pushed = true};
    sl_cleanup *cleanup = NULL;
    sl_event_init(&pubsub->arrived);
    pubsub->redis = redis;
    pubsub->options = options == NULL ? (struct sl_redis_pubsub_options){0} : *options;
    pubsub->options.messages_max =
        pubsub->options.messages_max == 0 ? SL_REDIS_MESSAGES_MAX : pubsub->options.messages_max;
    pubsub->options.messages_bytes_max =
        pubsub->options.messages_bytes_max == 0 ? SL_REDIS_MESSAGES_BYTES_MAX : pubsub->options.messages_bytes_max;
    pubsub->connection = sl__redis_connection_of(redis, &hooks);
    int code = pubsub->connection == NULL ? sl_fail(SL_ENOMEM, "no memory for a Redis subscription") : 0;
    code = code == 0 ? sl_cleanup_reserve(scope, &cleanup) : code;
    code = code == 0 ? sl__redis_connection_start(pubsub->connection, scope) : code;
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
        (void)end(pubsub);
        return code;
    }
    *ret_pubsub = pubsub;
    return sl_cleanup_arm(cleanup, end, pubsub, FREE_BUDGET);
}

/* ---- channels ---- */

static struct channel *find(const sl_redis_pubsub *pubsub, const char *name, bool pattern)
{
    for (size_t i = 0; i < pubsub->channels_count; i++) {
        if (pubsub->channels[i].pattern == pattern && strcmp(pubsub->channels[i].name, name) == 0) {
            return &pubsub->channels[i];
        }
    }
    return NULL;
}

int sl_redis_subscribe(sl_redis_pubsub *pubsub, const char *name, bool pattern)
{
    if (find(pubsub, name, pattern) != NULL) {
        return 0;
    }
    if (pubsub->channels_count == SL_REDIS_CHANNELS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d Redis channels", SL_REDIS_CHANNELS_MAX);
    }
    if (pubsub->channels_count == pubsub->channels_capacity) {
        size_t capacity = pubsub->channels_capacity == 0 ? 8 : 2 * pubsub->channels_capacity;
        struct channel *channels = sl_realloc(pubsub->channels, capacity * sizeof *channels);
        if (channels == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a Redis channel");
        }
        pubsub->channels = channels;
        pubsub->channels_capacity = capacity;
    }
    struct channel channel = {.name = sl_strdup(name), .pattern = pattern};
    int code =
        channel.name == NULL ? sl_fail(SL_ENOMEM, "no memory for a Redis channel") : tell(pubsub, &channel, true);
    if (code < 0) {
        sl_free(channel.name);
        return code;
    }
    pubsub->channels[pubsub->channels_count++] = channel;
    return 0;
}

int sl_redis_unsubscribe(sl_redis_pubsub *pubsub, const char *name, bool pattern)
{
    struct channel *channel = find(pubsub, name, pattern);
    if (channel == NULL) {
        return 0;
    }
    struct channel gone = *channel;
    *channel = pubsub->channels[--pubsub->channels_count];
    int code = tell(pubsub, &gone, false);
    sl_free(gone.name);
    return code;
}

/* ---- reading ---- */

/* What was dropped was older than what is left. A lost connection is told of once another has come. */
static bool gap(sl_redis_pubsub *pubsub, struct sl_redis_message *ret_message)
{
    if (pubsub->dropped == 0 && !(pubsub->lost && pubsub->connection->up)) {
        return false;
    }
    *ret_message = (struct sl_redis_message){
        .kind = SL_REDIS_GAP, .channel = "", .pattern = "", .text = "", .dropped = pubsub->dropped};
    if (pubsub->dropped == 0) {
        pubsub->lost = false;
    }
    pubsub->dropped = 0;
    return true;
}

int sl_redis_pubsub_next(sl_redis_pubsub *pubsub, struct sl_redis_message *ret_message)
{
    if (pubsub->reading) {
        return sl_fail(SL_EBUSY, "another task reads this Redis subscription");
    }
    sl_free(pubsub->shown);
    pubsub->shown = NULL;
    SL_TRY(sl_checkpoint_cheap());
    while (!gap(pubsub, ret_message)) {
        if (pubsub->first != NULL) {
            struct news *news = pubsub->shown = take_first(pubsub);
            const char *pattern = news->texts + news->channel_bytes + 1;
            const char *text = pattern + news->pattern_bytes + 1;
            *ret_message = (struct sl_redis_message){news->kind, news->texts, pattern, text, news->text_bytes, 0};
            return 0;
        }
        if (pubsub->connection->ended) {
            return sl_fail(SL_ECLOSED, "the Redis subscription's scope has ended");
        }
        sl_event_reset(&pubsub->arrived);
        pubsub->reading = true;
        int code = sl_event_wait(&pubsub->arrived);
        pubsub->reading = false;
        SL_TRY(code);
    }
    return 0;
}
