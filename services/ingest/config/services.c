/* SPDX-License-Identifier: MIT */
/* The tables of the services: one struct and one table a kind, all with the same first fields. */
#include <string.h>

#include "ingest/config/internal.h"

#define LIVE .reload = SL_CONFIG_LIVE

static const char *const priorities[] = {"low", "normal", "high"};
#define NAME(name, text) text,
static const char *const receive_venues[] = {SL_CONF_VENUES(NAME) "external"};
static const char *const emits[] = {"deltas", "top", "both"};
static const char *const bulks[] = {"auto", "always", "never"};
static const char *const queues[] = {"local", "redis"};

static const struct sl_config_field sink_name = {.type = SL_CONFIG_STRING, .refers_to = "sinks"};
static const struct sl_config_field glob = {.type = SL_CONFIG_STRING, .min = "1", .max = "64"};
static const struct sl_config_field candle = {.type = SL_CONFIG_DURATION, .min = "1s", .max = "31d"};
static const struct sl_config_field header = {.type = SL_CONFIG_SECRET, .max = "4096"};
static const struct sl_config_field hmac_key = {.type = SL_CONFIG_SECRET, .min = "16"};
static const struct sl_config_field own_interval = {.type = SL_CONFIG_DURATION, .max = "31d"};

/* What all services have. */
#define COMMON_FIELDS(owner)                                                                                           \
    {SL_CONFIG_KEY("enabled", owner, common.enabled), .type = SL_CONFIG_BOOL, .default_text = "true",                  \
     .help = "False: the service does not run."},                                                                      \
        {SL_CONFIG_KEY("sinks", owner, common.sinks),                                                                  \
         .type = SL_CONFIG_LIST,                                                                                       \
         .element = &sink_name,                                                                                        \
         .required = true,                                                                                             \
         .min = "1",                                                                                                   \
         .max = "16",                                                                                                  \
         .help = "Where its events go."},                                                                              \
        {SL_CONFIG_KEY("retry", owner, common.retry), .type = SL_CONFIG_STRING, .refers_to = "retry",                  \
         .help = "How it tries again; else its venue's, else the entry default."},                                     \
        {SL_CONFIG_KEY("breaker", owner, common.breaker), .type = SL_CONFIG_STRING, .refers_to = "breakers",           \
         .help = "The circuit breaker of its requests; else its venue's."},                                            \
        {SL_CONFIG_KEY("bulkhead", owner, common.bulkhead), .type = SL_CONFIG_STRING, .refers_to = "bulkheads",        \
         .help = "How many of its requests run at once; else its venue's."},                                           \
        {SL_CONFIG_KEY("limit", owner, common.limit), .type = SL_CONFIG_STRING, .refers_to = "limits",                 \
         .help = "The rate limit of its requests; else its venue's, else the entry VENUE-rest, else what is built "    \
                 "in."},                                                                                               \
    {                                                                                                                  \
        SL_CONFIG_KEY("priority", owner, common.priority),                                                             \
            .type = SL_CONFIG_ENUM, SL__CHOICES(priorities), .default_text = "normal",                                 \
            .help = "Of its requests where others wait for the same limit."                                            \
    }

/* And what those have that read a venue. */
#define MARKET_FIELDS(owner)                                                                                           \
    {SL_CONFIG_KEY("venue", owner, market.venue), .type = SL_CONFIG_ENUM, SL__CHOICES(sl__conf_venues),                \
     .required = true, .help = "The exchange."},                                                                       \
        {SL_CONFIG_KEY("instruments", owner, market.instruments),                                                      \
         .type = SL_CONFIG_LIST,                                                                                       \
         .element = &glob,                                                                                             \
         .required = true,                                                                                             \
         .min = "1",                                                                                                   \
         .max = "65536",                                                                                               \
         LIVE,                                                                                                         \
         .help = "Names such as BTC-USDT, or globs such as ETH-*; new listings that fit are added."},                  \
        {SL_CONFIG_KEY("exclude", owner, market.exclude),                                                              \
         .type = SL_CONFIG_LIST,                                                                                       \
         .element = &glob,                                                                                             \
         .max = "65536",                                                                                               \
         LIVE,                                                                                                         \
         .help = "Of these, what is left out."},                                                                       \
    {                                                                                                                  \
        SL_CONFIG_KEY("partitioned", owner, market.partitioned),                                                       \
            .type = SL_CONFIG_BOOL, .default_text = "true",                                                            \
            .help = "Its instruments are split among the replicas; false: each replica takes all."                     \
    }

#define STALE_FIELD(owner)                                                                                             \
    {                                                                                                                  \
        SL_CONFIG_KEY("stale_after", owner, stale_after),                                                              \
            .type = SL_CONFIG_DURATION, .default_text = "0", .max = "7d",                                              \
            .help = "No event of a channel for so long and it is stale; 0: by the channel, with quiet markets known."  \
    }

/* ---- connections ---- */

static const struct sl_config_field connection_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_connections, redundancy), .type = SL_CONFIG_UINT, .default_text = "1", .min = "1",
     .max = "2", .help = "2: each subscription on two connections, the first copy of an event wins."},
    {SL_CONFIG_AT(struct sl_conf_connections, max_streams), .type = SL_CONFIG_UINT, .default_text = "0", .max = "10000",
     .help = "Subscriptions of one connection; 0, or more than the venue allows: what it allows."},
    {SL_CONFIG_AT(struct sl_conf_connections, rotate), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "90d",
     .help = "A connection this old is replaced, the new one first; 0: shortly before the venue would cut it."},
    {SL_CONFIG_AT(struct sl_conf_connections, connect_timeout), .type = SL_CONFIG_DURATION, .default_text = "10s",
     .min = "100ms", .max = "5m", .help = "From the name to the end of the WebSocket handshake."},
    {SL_CONFIG_AT(struct sl_conf_connections, silence), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "1h",
     .help = "No frame for so long and the connection is dead; 0: by the venue's heartbeat."},
    {SL_CONFIG_AT(struct sl_conf_connections, compression), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "Offer permessage-deflate: less traffic, more work."},
    {SL_CONFIG_KEY("max_message", struct sl_conf_connections, max_message_bytes), .type = SL_CONFIG_SIZE,
     .default_text = "16MiB", .min = "4KiB", .max = "256MiB", .help = "A larger message ends the connection."},
};
static const struct sl_config_section connections = {
    SL_CONFIG_TABLE("connections", struct sl_conf_connections, connection_fields),
    .help = "The WebSocket connections of a service."};

#define CONNECTIONS_FIELD(owner)                                                                                       \
    {                                                                                                                  \
        SL_CONFIG_AT(owner, connections), .type = SL_CONFIG_SECTION, .section = &connections,                          \
                                          .help = "How many connections there are, and when they are replaced."        \
    }

/* ---- instruments and candles ---- */

static void check_globs(sl_config_check *check, const char *key, const struct sl_config_list *globs)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:*?";
    for (size_t i = 0; i < globs->count; i++) {
        const char *text = *(const char *const *)sl_config_list_at(globs, i);
        size_t good = strspn(text, allowed);
        if (text[good] != '\0') {
            sl_config_reject(check, key,
                             "item %zu has a character that no instrument has; expected letters, digits, "
                             "- _ . / : and the wildcards * and ?",
                             i + 1);
            return;
        }
    }
}

static void check_market(sl_config_check *check, const struct sl_conf_market *market)
{
    check_globs(check, "instruments", &market->instruments);
    check_globs(check, "exclude", &market->exclude);
}

static bool has_channel(const struct sl_config_list *channels, int channel)
{
    for (size_t i = 0; i < channels->count; i++) {
        if (*(const int *)sl_config_list_at(channels, i) == channel) {
            return true;
        }
    }
    return false;
}

static void check_candles(sl_config_check *check, const struct sl_config_list *channels,
                          const struct sl_config_list *candles)
{
    if (has_channel(channels, SL_CONF_CHANNEL_CANDLES) && candles->count == 0) {
        sl_config_reject(check, "candles", "no length, but channels has candles; expected at least one, such as [1m]");
    }
}

/* ---- stream ---- */

static const struct sl_config_field stream_fields[] = {
    COMMON_FIELDS(struct sl_conf_stream),
    MARKET_FIELDS(struct sl_conf_stream),
    {SL_CONFIG_AT(struct sl_conf_stream, channels), .type = SL_CONFIG_LIST, .element = &sl__conf_channel,
     .default_text = "[trades]", .min = "1", .max = "10",
     .help = "What is subscribed to; books have a kind of their own."},
    {SL_CONFIG_AT(struct sl_conf_stream, candles), .type = SL_CONFIG_LIST, .element = &candle, .default_text = "[1m]",
     .max = "16", .help = "Lengths of candles, for the channel candles; those that the venue has."},
    CONNECTIONS_FIELD(struct sl_conf_stream),
    STALE_FIELD(struct sl_conf_stream),
    {SL_CONFIG_AT(struct sl_conf_stream, fill_gaps), .type = SL_CONFIG_BOOL, .default_text = "true", LIVE,
     .help = "Missing trades are fetched by REST where the venue lets us."},
};

static void check_stream(const void *value, sl_config_check *check)
{
    const struct sl_conf_stream *stream = value;
    check_market(check, &stream->market);
    check_candles(check, &stream->channels, &stream->candles);
    if (has_channel(&stream->channels, SL_CONF_CHANNEL_BOOK)) {
        sl_config_reject(check, "channels", "book is no channel of a stream; expected a service of kind book for it");
    }
}

static const struct sl_config_section stream = {SL_CONFIG_TABLE("stream", struct sl_conf_stream, stream_fields),
                                                .check = check_stream,
                                                .help = "Trades, best prices, candles and more by WebSocket."};

/* ---- book ---- */

static const struct sl_config_field book_fields[] = {
    COMMON_FIELDS(struct sl_conf_book),
    MARKET_FIELDS(struct sl_conf_book),
    CONNECTIONS_FIELD(struct sl_conf_book),
    {SL_CONFIG_AT(struct sl_conf_book, depth), .type = SL_CONFIG_UINT, .default_text = "0", .max = "50000",
     .help = "Levels a side that are kept; 0: as many as the venue gives."},
    {SL_CONFIG_AT(struct sl_conf_book, snapshot_depth), .type = SL_CONFIG_UINT, .default_text = "0", .max = "5000",
     .help = "Levels a side asked for by REST (more cost more of the limit); 0: the venue's most, or depth."},
    {SL_CONFIG_AT(struct sl_conf_book, interval), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "10s",
     .help = "Between the venue's updates, where it has a choice; 0: the fastest that needs no key."},
    {SL_CONFIG_AT(struct sl_conf_book, emit), .type = SL_CONFIG_ENUM, SL__CHOICES(emits), .default_text = "deltas",
     .help = "What the sinks get: each change, the best bid and offer after each change of them, or both."},
    {SL_CONFIG_AT(struct sl_conf_book, verify), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "7d",
     .help = "Compare with a new snapshot so often (for venues without sequence or checksum); 0: never."},
    STALE_FIELD(struct sl_conf_book),
};

static void check_book(const void *value, sl_config_check *check)
{
    const struct sl_conf_book *book = value;
    check_market(check, &book->market);
    if (book->verify > 0 && book->verify < SL_SECONDS(10)) {
        sl_config_reject(check, "verify", "too often for any venue's limit; expected 0 or at least 10s");
    }
}

static const struct sl_config_section book = {SL_CONFIG_TABLE("book", struct sl_conf_book, book_fields),
                                              .check = check_book,
                                              .help = "Exact order books: snapshot, changes, healing of gaps."};

/* ---- poll ---- */

static const struct sl_config_field poll_fields[] = {
    COMMON_FIELDS(struct sl_conf_poll),
    MARKET_FIELDS(struct sl_conf_poll),
    {SL_CONFIG_AT(struct sl_conf_poll, channel), .type = SL_CONFIG_ENUM, .choices = sl__conf_channels,
     .choice_count = SL_CONF_CHANNEL_COUNT, .required = true,
     .help = "What is asked for: ticker, best, funding, open_interest, candles or book."},
    {SL_CONFIG_AT(struct sl_conf_poll, bulk), .type = SL_CONFIG_ENUM, SL__CHOICES(bulks), .default_text = "auto",
     .help = "One request for all instruments, where the venue has that; auto: when it costs less than single ones."},
    {SL_CONFIG_AT(struct sl_conf_poll, candle), .type = SL_CONFIG_DURATION, .default_text = "1m", .min = "1s",
     .max = "31d", .help = "Length of candles, for the channel candles; the last two are asked for."},
    {SL_CONFIG_AT(struct sl_conf_poll, depth), .type = SL_CONFIG_UINT, .default_text = "0", .max = "5000",
     .help = "Levels a side, for the channel book; 0: the venue's best bargain."},
    {SL_CONFIG_AT(struct sl_conf_poll, headers), .type = SL_CONFIG_MAP, .element = &header, .max = "32",
     .help = "Sent with each request; never shown."},
    {SL_CONFIG_AT(struct sl_conf_poll, interval), .type = SL_CONFIG_DURATION, .default_text = "1m", .max = "31d", LIVE,
     .help = "Of each instrument; 0: round and round, as fast as the limit lets it."},
    {SL_CONFIG_AT(struct sl_conf_poll, intervals), .type = SL_CONFIG_MAP, .element = &own_interval, .max = "256", LIVE,
     .help = "By pattern (BTC-*: 5s), of instruments with an interval of their own: the first that fits. Where the "
             "limit is too low for all, the shorter intervals go first."},
    {SL_CONFIG_AT(struct sl_conf_poll, spread), .type = SL_CONFIG_BOOL, .default_text = "true", LIVE,
     .help = "Requests are spread over the interval."},
    {SL_CONFIG_AT(struct sl_conf_poll, concurrency), .type = SL_CONFIG_UINT, .default_text = "8", .min = "1",
     .max = "1000", LIVE, .help = "Requests under way at once."},
    {SL_CONFIG_AT(struct sl_conf_poll, cost), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1000000", LIVE,
     .help = "What one request takes of the limit; 0: what the venue says."},
    {SL_CONFIG_AT(struct sl_conf_poll, timeout), .type = SL_CONFIG_DURATION, .default_text = "10s", .min = "10ms",
     .max = "10m", LIVE, .help = "Of one attempt, without waits for the limit."},
    {SL_CONFIG_AT(struct sl_conf_poll, stale_after), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "31d",
     LIVE, .help = "An instrument without an answer for so long is stale; 0: three times its interval."},
    {SL_CONFIG_AT(struct sl_conf_poll, only_changed), .type = SL_CONFIG_BOOL, .default_text = "false", LIVE,
     .help = "What is equal to the one before, but for its time, is dropped."},
};

static void check_poll(const void *value, sl_config_check *check)
{
    const struct sl_conf_poll *poll = value;
    check_market(check, &poll->market);
    if (sl_conf_poll_request(poll) == 0) {
        sl_config_reject(check, "channel",
                         "%s cannot be asked for; expected ticker, best, funding, open_interest, "
                         "candles or book",
                         sl_conf_channel_name(poll->channel));
    }
    if (poll->interval > 0 && poll->interval < SL_MILLISECONDS(10)) {
        sl_config_reject(check, "interval", "too short; expected 0 or at least 10ms");
    }
    for (size_t i = 0; i < poll->intervals.count; i++) {
        const char *pattern = poll->intervals.names[i];
        sl_time interval = *(const sl_time *)sl_config_map_at(&poll->intervals, i);
        if (interval > 0 && interval < SL_MILLISECONDS(10)) {
            sl_config_reject(check, "intervals", "%s: too short; expected 0 or at least 10ms", pattern);
        }
        check_globs(check, "intervals",
                    &(struct sl_config_list){.items = &pattern, .count = 1, .item_bytes = sizeof pattern});
    }
}

static const struct sl_config_section poll = {SL_CONFIG_TABLE("poll", struct sl_conf_poll, poll_fields),
                                              .check = check_poll,
                                              .help = "Requests to the venue, for each instrument again and again."};

/* ---- backfill ---- */

static const struct sl_config_field backfill_fields[] = {
    COMMON_FIELDS(struct sl_conf_backfill),
    MARKET_FIELDS(struct sl_conf_backfill),
    {SL_CONFIG_AT(struct sl_conf_backfill, channels), .type = SL_CONFIG_LIST, .element = &sl__conf_channel,
     .default_text = "[trades]", .min = "1", .max = "2", .help = "trades, candles or both."},
    {SL_CONFIG_AT(struct sl_conf_backfill, candles), .type = SL_CONFIG_LIST, .element = &candle, .default_text = "[1m]",
     .max = "16", .help = "Lengths of candles, for the channel candles."},
    {SL_CONFIG_AT(struct sl_conf_backfill, from), .type = SL_CONFIG_STRING, .required = true, .min = "2", .max = "40",
     .help = "Begin: 2026-01-31, 2026-01-31T08:00:00Z, or how long ago: 30d."},
    {SL_CONFIG_AT(struct sl_conf_backfill, to), .type = SL_CONFIG_STRING, .min = "2", .max = "40",
     .help = "End, in the same way; none: until the service was started."},
    {SL_CONFIG_AT(struct sl_conf_backfill, chunk), .type = SL_CONFIG_DURATION, .default_text = "1h", .min = "1m",
     .max = "31d", .help = "What one job covers."},
    {SL_CONFIG_AT(struct sl_conf_backfill, concurrency), .type = SL_CONFIG_UINT, .default_text = "4", .min = "1",
     .max = "1000", LIVE, .help = "Jobs under way at once in this process."},
    {SL_CONFIG_AT(struct sl_conf_backfill, queue), .type = SL_CONFIG_ENUM, SL__CHOICES(queues), .default_text = "local",
     .help = "Where jobs are kept: a file of this process, or Redis, for all replicas."},
    {SL_CONFIG_AT(struct sl_conf_backfill, state), .type = SL_CONFIG_STRING, .default_text = "sluice-backfill.db",
     .min = "1", .max = SL__CONF_TEXT_MAX, .help = "File of the local queue: what is done, so that it goes on there."},
};

static void check_backfill(const void *value, sl_config_check *check)
{
    const struct sl_conf_backfill *backfill = value;
    int64_t now = SL_SECONDS(4000000000); /* any: only the order counts, and ages are before it */
    int64_t from = 0;
    int64_t to = now;
    check_market(check, &backfill->market);
    check_candles(check, &backfill->channels, &backfill->candles);
    for (size_t i = 0; i < backfill->channels.count; i++) {
        int channel = *(const int *)sl_config_list_at(&backfill->channels, i);
        if (channel != SL_CONF_CHANNEL_TRADES && channel != SL_CONF_CHANNEL_CANDLES) {
            sl_config_reject(check, "channels", "%s has no history; expected trades or candles",
                             sl_conf_channel_name(channel));
            break;
        }
    }
    bool good = sl_conf_time_parse(backfill->from, now, &from);
    if (!good) {
        sl_config_reject(check, "from", "no time; expected 2026-01-31, 2026-01-31T08:00:00Z or an age such as 30d");
    }
    if (backfill->to != NULL && !sl_conf_time_parse(backfill->to, now, &to)) {
        sl_config_reject(check, "to", "no time; expected 2026-01-31, 2026-01-31T08:00:00Z or an age such as 30d");
    } else if (good && backfill->to != NULL && to <= from) {
        sl_config_reject(check, "to", "not after from; expected a later time");
    }
}

static const struct sl_config_section backfill = {SL_CONFIG_TABLE("backfill", struct sl_conf_backfill, backfill_fields),
                                                  .check = check_backfill,
                                                  .help = "Trades and candles of the past, as jobs that are resumed."};

/* ---- receive ---- */

static const struct sl_config_field hmac_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_hmac, keys), .type = SL_CONFIG_MAP, .element = &hmac_key, .required = true, .min = "1",
     .max = "64", .help = "Secrets that both sides know, by their id: several while one is being replaced."},
    {SL_CONFIG_AT(struct sl_conf_hmac, header), .type = SL_CONFIG_STRING, .default_text = "X-Signature", .min = "1",
     .max = "64", .help = "Has the HMAC-SHA-256 of time, a point and the body, in hexadecimal."},
    {SL_CONFIG_AT(struct sl_conf_hmac, timestamp_header), .type = SL_CONFIG_STRING, .default_text = "X-Timestamp",
     .min = "1", .max = "64", .help = "Has the time, in seconds since 1970."},
    {SL_CONFIG_AT(struct sl_conf_hmac, key_header), .type = SL_CONFIG_STRING, .default_text = "X-Key-Id", .min = "1",
     .max = "64", .help = "Has the id of the key; where there is but one key it may be left out."},
    {SL_CONFIG_AT(struct sl_conf_hmac, tolerance), .type = SL_CONFIG_DURATION, .default_text = "5m", .min = "1s",
     .max = "1h", .help = "A time that is further from ours is refused, and within it each signature is taken once."},
};
static const struct sl_config_section hmac = {SL_CONFIG_TABLE("hmac", struct sl_conf_hmac, hmac_fields),
                                              .help = "A signature of each request."};

static const struct sl_config_field receive_fields[] = {
    COMMON_FIELDS(struct sl_conf_receive),
    {SL_CONFIG_AT(struct sl_conf_receive, listen), .type = SL_CONFIG_STRING, .required = true, .max = "256",
     .help = "Address and port: 127.0.0.1:9000."},
    {SL_CONFIG_AT(struct sl_conf_receive, path), .type = SL_CONFIG_STRING, .default_text = "/ingest", .min = "1",
     .max = "256", .help = "Of the endpoint."},
    {SL_CONFIG_AT(struct sl_conf_receive, post), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "Takes POST requests: an event, an array of them, or one a line."},
    {SL_CONFIG_AT(struct sl_conf_receive, websocket), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "Takes WebSocket messages of the same form; each is answered."},
    {SL_CONFIG_AT(struct sl_conf_receive, venue), .type = SL_CONFIG_ENUM, SL__CHOICES(receive_venues),
     .default_text = "external", .help = "That of events that name none."},
    {SL_CONFIG_AT(struct sl_conf_receive, api_key), .type = SL_CONFIG_SECRET, .min = "16", LIVE,
     .help = "Asked for in the header X-API-Key, or Authorization: Bearer."},
    {SL_CONFIG_AT(struct sl_conf_receive, hmac), .type = SL_CONFIG_SECTION, .section = &hmac, .optional = true,
     .help = "Asks for a signature of each POST, and of the WebSocket's handshake (with an empty body)."},
    {SL_CONFIG_AT(struct sl_conf_receive, tls), .type = SL_CONFIG_SECTION, .section = &sl__conf_server_tls,
     .optional = true, .help = "Serves https and wss."},
    {SL_CONFIG_KEY("max_body", struct sl_conf_receive, max_body_bytes), .type = SL_CONFIG_SIZE, .default_text = "1MiB",
     .min = "1KiB", .max = "64MiB", .help = "Of a request or message."},
    {SL_CONFIG_AT(struct sl_conf_receive, max_connections), .type = SL_CONFIG_UINT, .default_text = "1000", .min = "1",
     .max = "100000", .help = "At once; others are refused."},
    {SL_CONFIG_AT(struct sl_conf_receive, rate), .type = SL_CONFIG_RATE, .default_text = "1000/1s", LIVE,
     .help = "Requests and messages of one client address; more are answered 429."},
    {SL_CONFIG_AT(struct sl_conf_receive, remember), .type = SL_CONFIG_UINT, .default_text = "100000",
     .max = "10000000",
     .help = "Identities of the last so many events: those that come again are acknowledged, not stored again."},
};

static void check_receive(const void *value, sl_config_check *check)
{
    const struct sl_conf_receive *receive = value;
    sl__conf_check_listen(check, "listen", receive->listen);
    sl__conf_check_guard(check, receive->listen,
                         receive->api_key != NULL || receive->hmac != NULL ||
                             (receive->tls != NULL && receive->tls->client_ca != NULL),
                         "api_key, hmac or tls.client_ca");
    if (receive->path[0] != '/') {
        sl_config_reject(check, "path", "no path; expected / at its beginning");
    }
    if (!receive->post && !receive->websocket) {
        sl_config_reject(check, NULL, "neither post nor websocket; expected at least one of them");
    }
}

static const struct sl_config_section receive = {SL_CONFIG_TABLE("receive", struct sl_conf_receive, receive_fields),
                                                 .check = check_receive,
                                                 .help = "Events that others send, by POST or WebSocket."};

const struct sl_config_section *const sl__conf_services[SL_CONF_SERVICE_KINDS] = {&stream, &book, &poll, &backfill,
                                                                                  &receive};
