/* SPDX-License-Identifier: MIT */
/* Names and texts of market events. See event.h. */
#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const venue_names[SL_VENUE_COUNT] = {"none", "binance", "binance-usdm", "binance-coinm"};
static const char *const feed_names[SL_FEED_COUNT] = {"none", "trades", "agg_trades", "depth", "best", "snapshot"};
static const char *const kind_names[SL_EVENT_KIND_COUNT] = {"none",          "trade", "book_delta",
                                                            "book_snapshot", "best",  "gap"};
static const char *const side_names[] = {"none", "buy", "sell"};
static const char *const reason_names[SL_GAP_REASON_COUNT] = {"none", "sequence", "disconnected"};

static const char *name_of(const char *const *names, size_t count, size_t index)
{
    return index < count ? names[index] : "?";
}

const char *sl_venue_name(sl_venue venue)
{
    return name_of(venue_names, COUNT(venue_names), (size_t)venue);
}

const char *sl_feed_name(sl_feed feed)
{
    return name_of(feed_names, COUNT(feed_names), (size_t)feed);
}

const char *sl_event_kind_name(sl_event_kind kind)
{
    return name_of(kind_names, COUNT(kind_names), (size_t)kind);
}

const char *sl_side_name(sl_side side)
{
    return name_of(side_names, COUNT(side_names), (size_t)side);
}

const char *sl_gap_reason_name(sl_gap_reason reason)
{
    return name_of(reason_names, COUNT(reason_names), (size_t)reason);
}

sl_venue sl_venue_find(const char *name)
{
    for (size_t index = 1; index < COUNT(venue_names); index++) {
        if (strcmp(venue_names[index], name) == 0) {
            return (sl_venue)index;
        }
    }
    return SL_VENUE_NONE;
}

int sl_event_set_instrument(sl_market_event *event, const char *name, size_t size_bytes)
{
    if (size_bytes == 0 || size_bytes >= SL_INSTRUMENT_MAX) {
        return SL_EMSGSIZE;
    }
    memcpy(event->instrument, name, size_bytes);
    memset(event->instrument + size_bytes, 0, SL_INSTRUMENT_MAX - size_bytes);
    return 0;
}

/* "12.50 x 3" */
struct level_text {
    char text[2 * SL_DECIMAL_TEXT_MAX + 4];
};

static struct level_text level_text(sl_decimal price, sl_decimal quantity)
{
    struct level_text result;
    size_t length = sl_decimal_format(price, SL_DECIMAL_SCALED, result.text);
    memcpy(result.text + length, " x ", 3);
    (void)sl_decimal_format(quantity, SL_DECIMAL_SCALED, result.text + length + 3);
    return result;
}

static int describe_body(const sl_market_event *event, char *buffer, size_t size_bytes)
{
    const sl_trade *trade = &event->as.trade;
    const sl_book_delta *delta = &event->as.delta;
    const sl_book_snapshot *snapshot = &event->as.snapshot;
    const sl_best *best = &event->as.best;
    const sl_gap *gap = &event->as.gap;
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return snprintf(buffer, size_bytes, "#%" PRId64 " %s %s%s", trade->id, sl_side_name(trade->taker),
                        level_text(trade->price, trade->quantity).text, trade->off_book ? " off book" : "");
    case SL_EVENT_BOOK_DELTA:
        return snprintf(buffer, size_bytes, "%" PRId64 "..%" PRId64 " after %" PRId64 ": %zu bids, %zu asks",
                        delta->first_id, delta->last_id, delta->has_previous ? delta->previous_id : delta->first_id - 1,
                        delta->levels.bid_count, delta->levels.ask_count);
    case SL_EVENT_BOOK_SNAPSHOT:
        return snprintf(buffer, size_bytes, "at %" PRId64 ": %zu bids, %zu asks", snapshot->last_id,
                        snapshot->levels.bid_count, snapshot->levels.ask_count);
    case SL_EVENT_BEST:
        return snprintf(buffer, size_bytes, "at %" PRId64 ": bid %s, ask %s", best->update_id,
                        level_text(best->bid.price, best->bid.quantity).text,
                        level_text(best->ask.price, best->ask.quantity).text);
    case SL_EVENT_GAP:
        return snprintf(buffer, size_bytes, "after %" PRId64 " to %" PRId64 " (%s)%s", gap->from_id, gap->to_id,
                        sl_gap_reason_name(gap->reason), gap->healed ? " healed" : "");
    default:
        return snprintf(buffer, size_bytes, "-");
    }
}

size_t sl_event_describe(const sl_market_event *event, char buffer[SL_EVENT_TEXT_MAX])
{
    int head = snprintf(buffer, SL_EVENT_TEXT_MAX, "%s %s %s %s ", sl_venue_name(event->venue), event->instrument,
                        sl_feed_name(event->feed), sl_event_kind_name(event->kind));
    size_t length = head > 0 ? (size_t)head : 0; /* at most 100 bytes: all parts have short names */
    int body = describe_body(event, buffer + length, SL_EVENT_TEXT_MAX - length);
    length += body > 0 ? (size_t)body : 0;
    return length < SL_EVENT_TEXT_MAX ? length : SL_EVENT_TEXT_MAX - 1;
}
