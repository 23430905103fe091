/* SPDX-License-Identifier: MIT */
/* Names of Binance's streams, paths of its connections, SUBSCRIBE and UNSUBSCRIBE. */
#include "binance.h"

#define NS_PER_MS INT64_C(1000000)
#define MS_PER_SECOND INT64_C(1000)

/* "A control frame" of more than 4096 bytes gets the connection closed with code 3001 (seen by crypto-crawler). */
#define MESSAGE_BYTES 4096

const char *sl__binance_interval(sl_venue venue, int64_t interval_ns)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } intervals[] = {
        {"1m", 60},    {"3m", 180},   {"5m", 300},   {"15m", 900},   {"30m", 1800}, {"1h", 3600},   {"2h", 7200},
        {"4h", 14400}, {"6h", 21600}, {"8h", 28800}, {"12h", 43200}, {"1d", 86400}, {"3d", 259200}, {"1w", 604800},
    };
    if (interval_ns == SL_SECONDS(1)) {
        return venue == SL_VENUE_BINANCE_SPOT ? "1s" : NULL;
    }
    for (size_t at = 0; at < sizeof(intervals) / sizeof(intervals[0]); at++) {
        if (interval_ns == SL_SECONDS(intervals[at].seconds)) {
            return intervals[at].name;
        }
    }
    return NULL;
}

/* Symbols of these markets: letters, digits, '_', and letters of other scripts. */
static bool symbol_is_fine(const char *symbol)
{
    for (; *symbol != '\0'; symbol++) {
        char c = *symbol;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!plain && (unsigned char)c < 0x80) {
            return false;
        }
    }
    return true;
}

/* "@depth@100ms", "@depth20@100ms": spot sends each 1000 ms or 100 ms, futures 500, 250, 100, and diffs at once (0 ms). */
static int put_depth(struct sl__writer *writer, const sl_subscription *subscription)
{
    bool spot = subscription->instrument->venue == SL_VENUE_BINANCE_SPOT;
    bool partial = subscription->depth != 0;
    int64_t plain_ms = spot ? MS_PER_SECOND : 250; /* meant by "@depth" alone */
    int64_t fastest_ms = spot || partial ? 100 : 0;
    int64_t ms = subscription->interval_ns == 0 ? fastest_ms : subscription->interval_ns / NS_PER_MS;
    bool known = ms == plain_ms || ms == fastest_ms || ms == 100 || (!spot && ms == 500);
    if (!known || subscription->interval_ns % NS_PER_MS != 0 ||
        (partial && subscription->depth != 5 && subscription->depth != 10 && subscription->depth != 20)) {
        return SL_EINVAL;
    }
    sl__put(writer, "@depth");
    if (partial) {
        sl__put_int(writer, subscription->depth);
    }
    if (ms != plain_ms) {
        sl__put(writer, "@");
        sl__put_int(writer, ms);
        sl__put(writer, "ms");
    }
    return 0;
}

/* What is behind the symbol; NULL where the market has no such stream, or it has parameters. */
static const char *suffix_of(const sl_subscription *subscription)
{
    bool futures = subscription->instrument->venue != SL_VENUE_BINANCE_SPOT;
    switch (subscription->feed) {
    case SL_FEED_TRADES:
        return "@trade";
    case SL_FEED_AGG_TRADES:
        return "@aggTrade";
    case SL_FEED_BEST:
        return "@bookTicker";
    case SL_FEED_TICKER:
        return "@ticker";
    case SL_FEED_FUNDING:
        return futures ? "@markPrice@1s" : NULL;
    case SL_FEED_LIQUIDATIONS:
        return futures ? "@forceOrder" : NULL;
    default:
        return NULL;
    }
}

static int put_stream(struct sl__writer *writer, const sl_subscription *subscription)
{
    const sl_instrument *instrument = subscription->instrument;
    if (instrument == NULL || !symbol_is_fine(instrument->symbol) ||
        (subscription->feed != SL_FEED_DEPTH &&
         (subscription->depth != 0 || (subscription->feed != SL_FEED_CANDLES && subscription->interval_ns != 0)))) {
        return SL_EINVAL;
    }
    if (subscription->feed == SL_FEED_STATUS) {
        sl__put(writer, "!contractInfo"); /* of all instruments at once */
        return instrument->venue == SL_VENUE_BINANCE_SPOT ? SL_EINVAL : 0;
    }
    sl__put_json(writer, instrument->symbol, SL__LOWER);
    if (subscription->feed == SL_FEED_DEPTH) {
        return put_depth(writer, subscription);
    }
    if (subscription->feed == SL_FEED_CANDLES) {
        const char *interval = sl__binance_interval(instrument->venue, subscription->interval_ns);
        sl__put(writer, "@kline_");
        sl__put(writer, interval == NULL ? "" : interval);
        return interval == NULL ? SL_EINVAL : 0;
    }
    const char *suffix = suffix_of(subscription);
    sl__put(writer, suffix == NULL ? "" : suffix);
    return suffix == NULL ? SL_EINVAL : 0;
}

/*
 * USD-M: which of its routes carries the feed. On the wrong one nothing comes, and no error either. Source:
 * developers.binance.com, USD-M futures, "Important WebSocket Change Notice" of 2026.
 */
static const char *route_of(const sl_subscription *subscription)
{
    if (subscription->instrument->venue != SL_VENUE_BINANCE_USDM) {
        return "";
    }
    bool public = subscription->feed == SL_FEED_DEPTH || subscription->feed == SL_FEED_BEST ||
                  subscription->feed == SL_FEED_TRADES;
    return public ? "/public" : "/market";
}

bool sl__binance_together(const sl_subscription *a, const sl_subscription *b)
{
    return strcmp(route_of(a), route_of(b)) == 0;
}

int sl__binance_stream_path(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    if (count == 0) {
        return SL_EINVAL;
    }
    for (size_t at = 1; at < count; at++) {
        if (subscriptions[at].instrument->venue != subscriptions[0].instrument->venue ||
            !sl__binance_together(&subscriptions[0], &subscriptions[at])) {
            return SL_EINVAL;
        }
    }
    sl__put(&writer, route_of(&subscriptions[0]));
    sl__put(&writer, "/stream");
    return sl__written(&writer);
}

int sl__binance_subscribe(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id,
                          char *buffer, size_t size_bytes, size_t *ret_size_bytes)
{
    /* The tail fits in any case: it is left free while the names are written. */
    static const size_t tail_bytes = sizeof("],\"id\":-9223372036854775808}") - 1;
    size_bytes = size_bytes < MESSAGE_BYTES ? size_bytes : MESSAGE_BYTES;
    if (size_bytes <= tail_bytes) {
        return SL_EMSGSIZE;
    }
    struct sl__writer writer = sl__writer(buffer, size_bytes - tail_bytes);
    size_t done = 0;
    sl__put(&writer, off ? "{\"method\":\"UNSUBSCRIBE\",\"params\":[" : "{\"method\":\"SUBSCRIBE\",\"params\":[");
    for (; done < count; done++) {
        struct sl__writer before = writer;
        sl__put(&writer, done == 0 ? "\"" : ",\"");
        SL_TRY(put_stream(&writer, &subscriptions[done]));
        sl__put(&writer, "\"");
        if (writer.full) {
            writer = before;
            break;
        }
    }
    if (done == 0) {
        return count == 0 ? SL_EINVAL : SL_EMSGSIZE;
    }
    writer.size_bytes = size_bytes;
    writer.full = false;
    sl__put(&writer, "],\"id\":");
    sl__put_int(&writer, request_id);
    sl__put(&writer, "}");
    *ret_size_bytes = writer.length;
    return writer.full ? SL_EMSGSIZE : (int)done;
}
