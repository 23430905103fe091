/* SPDX-License-Identifier: MIT */
/* The three drivers of Binance. */
#include "binance.h"

#define HOURS(count) SL_MINUTES(60 * (count))

static int decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    SL_TRY(sl__decoder_new(sl_venue_driver_of(options->venue), options, sizeof(struct sl__binance), ret_decoder));
    ((struct sl__binance *)*ret_decoder)->read_plain =
        sl__binance_has_avx2() ? sl__binance_read_plain_avx2 : sl__binance_read_plain;
    return 0;
}

/* Requests need not have an instrument: each market has its own functions. */
#define MARKET(name, driver_venue)                                                                                     \
    static int rest_path_##name(const sl_venue_request *request, char *buffer, size_t size_bytes)                      \
    {                                                                                                                  \
        return sl__binance_rest_path(driver_venue, request, buffer, size_bytes);                                       \
    }                                                                                                                  \
    static uint32_t cost_##name(const sl_venue_request *request)                                                       \
    {                                                                                                                  \
        return sl__binance_cost(driver_venue, request);                                                                \
    }

MARKET(spot, SL_VENUE_BINANCE_SPOT)
MARKET(usdm, SL_VENUE_BINANCE_USDM)
MARKET(coinm, SL_VENUE_BINANCE_COINM)

#define SPOT_FEEDS                                                                                                     \
    (SL_FEED_BIT(SL_FEED_TRADES) | SL_FEED_BIT(SL_FEED_AGG_TRADES) | SL_FEED_BIT(SL_FEED_DEPTH) |                      \
     SL_FEED_BIT(SL_FEED_BEST) | SL_FEED_BIT(SL_FEED_TICKER) | SL_FEED_BIT(SL_FEED_CANDLES))
#define FUTURES_FEEDS                                                                                                  \
    (SPOT_FEEDS | SL_FEED_BIT(SL_FEED_FUNDING) | SL_FEED_BIT(SL_FEED_LIQUIDATIONS) | SL_FEED_BIT(SL_FEED_STATUS))

#define SPOT_BULK (1u << SL_REQUEST_TICKER | 1u << SL_REQUEST_BEST)
#define FUTURES_BULK (SPOT_BULK | 1u << SL_REQUEST_FUNDING)
#define SPOT_REQUESTS                                                                                                  \
    (SPOT_BULK | 1u << SL_REQUEST_INSTRUMENTS | 1u << SL_REQUEST_SNAPSHOT | 1u << SL_REQUEST_TRADES |                  \
     1u << SL_REQUEST_CANDLES)
#define FUTURES_REQUESTS (SPOT_REQUESTS | FUTURES_BULK | 1u << SL_REQUEST_OPEN_INTEREST)

/* The same for all three. */
#define COMMON                                                                                                         \
    .consecutive_trades = true, .decoder_new = decoder_new, .decode = sl__binance_decode,                              \
    .look_ahead = sl__binance_look_ahead, .stream_path = sl__binance_stream_path, .together = sl__binance_together,    \
    .subscribe = sl__binance_subscribe, .decode_rest = sl__binance_decode_rest, .decoder_free = sl__decoder_free

/*
 * "A WebSocket connection has a limit of 5 incoming messages per second" (pings, pongs and JSON all count: one a
 * second is left to pongs), "1024 streams", "300 connections per attempt every 5 minutes per IP", "valid for 24
 * hours", "the server will send a ping frame every 20 seconds": binance-spot-api-docs, web-socket-streams.md.
 * Requests: rest-api.md, "LIMITS", and exchangeInfo's rateLimits (REQUEST_WEIGHT 6000 a minute, RAW_REQUESTS
 * 61000 in 5 minutes). A burst is taken from the steady rate: it is that of the dearest request, so that all the rest
 * can be used.
 */
const sl_venue_driver sl__binance_spot = {
    .venue = SL_VENUE_BINANCE_SPOT,
    .title = "Binance spot",
    .stream_origin = "wss://stream.binance.com:9443",
    .rest_origin = "https://api.binance.com",
    .feeds = SPOT_FEEDS,
    .requests = SPOT_REQUESTS,
    .bulk = SPOT_BULK,
    .book_rule = SL_BOOK_RULE_BINANCE_SPOT,
    .limits = {.per_connection = 1024,
               .per_message = 200,
               .message_bytes = 4096,
               .messages = 4,
               .messages_burst = 2,
               .messages_per = SL_SECONDS(1),
               .connects = 300,
               .connects_per = SL_MINUTES(5),
               .max_age = HOURS(24),
               .silence = SL_SECONDS(60),
               .acknowledges = true,
               .ack_within = SL_SECONDS(10)},
    .limit_dialect = "used-weight",
    .rates = {{.count = 6000, .period = SL_MINUTES(1), .burst = 250},
              {.count = 61000, .period = SL_MINUTES(5), .per_call = true}},
    .rest_path = rest_path_spot,
    .cost = cost_spot,
    COMMON,
};

/*
 * "10 incoming messages per second", "200 streams" (1024 on a newer page), "24 hours", "a ping frame every 3
 * minutes", weight 2400 a minute: developers.binance.com, "Websocket Market Streams" and "General Info". The
 * weight is shared by USD-M and COIN-M of one address since their merge: one limiter for both is the safe choice.
 */
#define FUTURES_LIMITS                                                                                                 \
    .limits = {.per_connection = 200,                                                                                  \
               .per_message = 200,                                                                                     \
               .message_bytes = 4096,                                                                                  \
               .messages = 9,                                                                                          \
               .messages_burst = 4,                                                                                    \
               .messages_per = SL_SECONDS(1),                                                                          \
               .connects = 300,                                                                                        \
               .connects_per = SL_MINUTES(5),                                                                          \
               .max_age = HOURS(24),                                                                                   \
               .silence = SL_SECONDS(200),                                                                             \
               .acknowledges = true,                                                                                   \
               .ack_within = SL_SECONDS(10)},                                                                          \
    .limit_dialect = "used-weight", .rates = {{.count = 2400, .period = SL_MINUTES(1), .burst = 100}}

const sl_venue_driver sl__binance_usdm = {
    .venue = SL_VENUE_BINANCE_USDM,
    .title = "Binance USD-M futures",
    .stream_origin = "wss://fstream.binance.com",
    .rest_origin = "https://fapi.binance.com",
    .feeds = FUTURES_FEEDS,
    .requests = FUTURES_REQUESTS,
    .bulk = FUTURES_BULK,
    .trades_need_key = true,
    .book_rule = SL_BOOK_RULE_BINANCE_FUTURES,
    FUTURES_LIMITS,
    .rest_path = rest_path_usdm,
    .cost = cost_usdm,
    COMMON,
};

const sl_venue_driver sl__binance_coinm = {
    .venue = SL_VENUE_BINANCE_COINM,
    .title = "Binance COIN-M futures",
    .stream_origin = "wss://dstream.binance.com",
    .rest_origin = "https://dapi.binance.com",
    .feeds = FUTURES_FEEDS,
    .requests = FUTURES_REQUESTS,
    .bulk = FUTURES_BULK,
    .trades_need_key = true,
    .book_rule = SL_BOOK_RULE_BINANCE_FUTURES,
    FUTURES_LIMITS,
    .rest_path = rest_path_coinm,
    .cost = cost_coinm,
    COMMON,
};
