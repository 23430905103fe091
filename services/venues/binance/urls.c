/* SPDX-License-Identifier: MIT */
/* Names of Binance's streams, paths of its connections and requests. See binance.h. */
#include "binance.h"

#include <stdio.h>
#include <string.h>

/* How the three markets differ. */
struct market {
    const char *stream_origin;
    const char *rest_origin;
    const char *depth_path;
    int depth_interval_fastest_ms;
    int depth_interval_plain_ms; /* the one that is asked for by "@depth" alone */
    int depth_limit;
};

static const struct market spot = {
    "wss://stream.binance.com:9443", "https://api.binance.com", "/api/v3/depth", 100, 1000, 5000,
};
static const struct market usdm = {
    "wss://fstream.binance.com", "https://fapi.binance.com", "/fapi/v1/depth", 0, 250, 1000,
};
static const struct market coinm = {
    "wss://dstream.binance.com", "https://dapi.binance.com", "/dapi/v1/depth", 0, 250, 1000,
};

static const struct market *market_of(sl_venue venue)
{
    switch (venue) {
    case SL_VENUE_BINANCE_SPOT:
        return &spot;
    case SL_VENUE_BINANCE_USDM:
        return &usdm;
    case SL_VENUE_BINANCE_COINM:
        return &coinm;
    default:
        return NULL;
    }
}

/* Text that is being written; `full` once something did not fit. */
struct writer {
    char *buffer;
    size_t size_bytes;
    size_t length;
    bool full;
};

static void put(struct writer *writer, const char *text)
{
    size_t length = strlen(text);
    if (writer->full || length >= writer->size_bytes - writer->length) {
        writer->full = true;
        return;
    }
    memcpy(writer->buffer + writer->length, text, length + 1);
    writer->length += length;
}

static void put_int(struct writer *writer, int value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", value);
    put(writer, text);
}

static int finish(const struct writer *writer)
{
    return writer->full ? SL_EMSGSIZE : (int)writer->length;
}

/* Symbols go into URLs: letters, digits and '_' only. `shift` turns the letters of one case into the other. */
static int put_symbol(struct writer *writer, const char *symbol, char from, int shift)
{
    size_t length = strlen(symbol);
    if (length == 0 || length >= SL_INSTRUMENT_MAX) {
        return SL_EINVAL;
    }
    for (size_t at = 0; at < length; at++) {
        char c = symbol[at];
        bool lower = c >= 'a' && c <= 'z';
        bool upper = c >= 'A' && c <= 'Z';
        if (!lower && !upper && !(c >= '0' && c <= '9') && c != '_') {
            return SL_EINVAL;
        }
        char text[2] = {(lower && from == 'a') || (upper && from == 'A') ? (char)(c + shift) : c, '\0'};
        put(writer, text);
    }
    return 0;
}

static int put_stream(struct writer *writer, const struct market *market, const sl_binance_stream *stream)
{
    if (stream->interval_ms < 0 || (stream->feed != SL_FEED_DEPTH && stream->interval_ms != 0)) {
        return SL_EINVAL;
    }
    SL_TRY(put_symbol(writer, stream->symbol, 'A', 'a' - 'A'));
    int interval_ms = stream->interval_ms == 0 ? market->depth_interval_fastest_ms : stream->interval_ms;
    switch (stream->feed) {
    case SL_FEED_TRADES:
        put(writer, "@trade");
        return 0;
    case SL_FEED_AGG_TRADES:
        put(writer, "@aggTrade");
        return 0;
    case SL_FEED_BEST:
        put(writer, "@bookTicker");
        return 0;
    case SL_FEED_DEPTH:
        put(writer, "@depth");
        if (interval_ms != market->depth_interval_plain_ms) {
            put(writer, "@");
            put_int(writer, interval_ms);
            put(writer, "ms");
        }
        return 0;
    default:
        return SL_EINVAL;
    }
}

int sl_binance_stream_name(sl_venue venue, const sl_binance_stream *stream, char *buffer, size_t size_bytes)
{
    const struct market *market = market_of(venue);
    struct writer writer = {buffer, size_bytes, 0, size_bytes == 0};
    if (market == NULL) {
        return SL_EINVAL;
    }
    SL_TRY(put_stream(&writer, market, stream));
    return finish(&writer);
}

/* USD-M: which of its routes carries the feed. */
static const char *route_of(sl_venue venue, sl_feed feed)
{
    if (venue != SL_VENUE_BINANCE_USDM) {
        return "";
    }
    return feed == SL_FEED_AGG_TRADES ? "/market" : "/public";
}

int sl_binance_stream_path(sl_venue venue, const sl_binance_stream *streams, size_t count, char *buffer,
                           size_t size_bytes)
{
    const struct market *market = market_of(venue);
    struct writer writer = {buffer, size_bytes, 0, size_bytes == 0};
    if (market == NULL || count == 0) {
        return SL_EINVAL;
    }
    const char *route = route_of(venue, streams[0].feed);
    put(&writer, route);
    put(&writer, "/stream?streams=");
    for (size_t at = 0; at < count; at++) {
        if (strcmp(route, route_of(venue, streams[at].feed)) != 0) {
            return SL_EINVAL;
        }
        put(&writer, at == 0 ? "" : "/");
        SL_TRY(put_stream(&writer, market, &streams[at]));
    }
    return finish(&writer);
}

/* Futures take only some limits. */
static bool limit_is_valid(sl_venue venue, int limit)
{
    static const int futures[] = {5, 10, 20, 50, 100, 500, 1000};
    if (venue == SL_VENUE_BINANCE_SPOT) {
        return limit >= 1 && limit <= spot.depth_limit;
    }
    for (size_t at = 0; at < sizeof(futures) / sizeof(futures[0]); at++) {
        if (futures[at] == limit) {
            return true;
        }
    }
    return false;
}

int sl_binance_depth_path(sl_venue venue, const char *symbol, int limit, char *buffer, size_t size_bytes)
{
    const struct market *market = market_of(venue);
    struct writer writer = {buffer, size_bytes, 0, size_bytes == 0};
    if (market == NULL || !limit_is_valid(venue, limit)) {
        return SL_EINVAL;
    }
    put(&writer, market->depth_path);
    put(&writer, "?symbol=");
    SL_TRY(put_symbol(&writer, symbol, 'a', 'A' - 'a'));
    put(&writer, "&limit=");
    put_int(&writer, limit);
    return finish(&writer);
}

int sl_binance_depth_limit(sl_venue venue)
{
    const struct market *market = market_of(venue);
    return market == NULL ? 0 : market->depth_limit;
}

const char *sl_binance_stream_origin(sl_venue venue)
{
    const struct market *market = market_of(venue);
    return market == NULL ? NULL : market->stream_origin;
}

const char *sl_binance_rest_origin(sl_venue venue)
{
    const struct market *market = market_of(venue);
    return market == NULL ? NULL : market->rest_origin;
}
