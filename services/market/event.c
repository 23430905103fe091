/* SPDX-License-Identifier: MIT */
/* Names and texts of market events. See event.h. */
#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const feed_names[SL_FEED_COUNT] = {"none",         "trades",        "agg_trades", "depth",
                                                      "best",         "ticker",        "candles",    "funding",
                                                      "liquidations", "open_interest", "status",     "snapshot"};
static const char *const kind_names[SL_EVENT_KIND_COUNT] = {
    "none",   "trade",   "book_delta",  "book_snapshot", "best",   "ticker",
    "candle", "funding", "liquidation", "open_interest", "status", "gap"};
static const char *const side_names[] = {"none", "buy", "sell"};
static const char *const reason_names[SL_GAP_REASON_COUNT] = {"none",         "sequence",  "checksum", "crossed",
                                                              "disconnected", "restarted", "different"};

static const char *name_of(const char *const *names, size_t count, size_t index)
{
    return index < count ? names[index] : "?";
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

sl_feed sl_feed_find(const char *name)
{
    for (size_t index = 1; index < COUNT(feed_names); index++) {
        if (strcmp(feed_names[index], name) == 0) {
            return (sl_feed)index;
        }
    }
    return SL_FEED_NONE;
}

size_t sl_trade_id_format(const sl_trade *trade, char buffer[SL_TRADE_ID_MAX])
{
    const sl_uuid *uuid = &trade->uuid;
    int length = 0;
    if (uuid->high == 0 && uuid->low == 0) {
        length = snprintf(buffer, SL_TRADE_ID_MAX, "%" PRId64, trade->id);
    } else {
        length =
            snprintf(buffer, SL_TRADE_ID_MAX, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                     uuid->high >> 32, uuid->high >> 16 & 0xffff, uuid->high & 0xffff, uuid->low >> 48,
                     uuid->low & UINT64_C(0xffffffffffff));
    }
    return length > 0 ? (size_t)length : 0;
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

/* A decimal's text, to be written into a line at once. */
struct number_text {
    char text[SL_DECIMAL_TEXT_MAX];
};

static struct number_text number_text(sl_decimal number)
{
    struct number_text result;
    (void)sl_decimal_format(number, SL_DECIMAL_SCALED, result.text);
    return result;
}

static int describe_book(const sl_market_event *event, char *buffer, size_t size_bytes)
{
    const sl_book_delta *delta = &event->as.delta;
    const sl_book_snapshot *snapshot = &event->as.snapshot;
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        return snprintf(buffer, size_bytes, "%" PRId64 "..%" PRId64 " after %" PRId64 ": %zu bids, %zu asks",
                        delta->first_id, delta->last_id, delta->has_previous ? delta->previous_id : delta->first_id - 1,
                        delta->levels.bid_count, delta->levels.ask_count);
    }
    return snprintf(buffer, size_bytes, "at %" PRId64 ": %zu bids, %zu asks", snapshot->last_id,
                    snapshot->levels.bid_count, snapshot->levels.ask_count);
}

static int describe_trade(const sl_trade *trade, char *buffer, size_t size_bytes)
{
    char id[SL_TRADE_ID_MAX];
    (void)sl_trade_id_format(trade, id);
    return snprintf(buffer, size_bytes, "#%s %s %s%s", id, sl_side_name(trade->taker),
                    level_text(trade->price, trade->quantity).text, trade->off_book ? " off book" : "");
}

/* Candles, funding and what else is counted rather than traded. */
static int describe_figures(const sl_market_event *event, char *buffer, size_t size_bytes)
{
    const sl_candle *candle = &event->as.candle;
    const sl_funding *funding = &event->as.funding;
    const sl_liquidation *liquidation = &event->as.liquidation;
    switch (event->kind) {
    case SL_EVENT_TICKER:
        return snprintf(buffer, size_bytes, "last %s", number_text(event->as.ticker.last).text);
    case SL_EVENT_CANDLE:
        return snprintf(buffer, size_bytes, "%" PRId64 " s at %" PRId64 ": close %s%s",
                        candle->interval_ns / 1000000000, candle->open_time_ns, number_text(candle->close).text,
                        candle->closed ? ", closed" : "");
    case SL_EVENT_FUNDING:
        return snprintf(buffer, size_bytes, "mark %s, rate %s",
                        funding->has_mark ? number_text(funding->mark_price).text : "-",
                        funding->has_rate ? number_text(funding->rate).text : "-");
    case SL_EVENT_LIQUIDATION:
        return snprintf(buffer, size_bytes, "%s %s", sl_side_name(liquidation->side),
                        level_text(liquidation->price, liquidation->quantity).text);
    case SL_EVENT_OPEN_INTEREST:
        return snprintf(buffer, size_bytes, "%s", number_text(event->as.open_interest.quantity).text);
    default:
        return snprintf(buffer, size_bytes, "-");
    }
}

static int describe_body(const sl_market_event *event, char *buffer, size_t size_bytes)
{
    const sl_best *best = &event->as.best;
    const sl_gap *gap = &event->as.gap;
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return describe_trade(&event->as.trade, buffer, size_bytes);
    case SL_EVENT_BOOK_DELTA:
    case SL_EVENT_BOOK_SNAPSHOT:
        return describe_book(event, buffer, size_bytes);
    case SL_EVENT_BEST:
        return snprintf(buffer, size_bytes, "at %" PRId64 ": bid %s, ask %s", best->update_id,
                        level_text(best->bid.price, best->bid.quantity).text,
                        level_text(best->ask.price, best->ask.quantity).text);
    case SL_EVENT_STATUS:
        return snprintf(buffer, size_bytes, "%s", sl_instrument_status_name(event->as.status));
    case SL_EVENT_GAP:
        return snprintf(buffer, size_bytes, "after %" PRId64 " to %" PRId64 " (%s)%s", gap->from_id, gap->to_id,
                        sl_gap_reason_name(gap->reason), gap->healed ? " healed" : "");
    default:
        return describe_figures(event, buffer, size_bytes);
    }
}

size_t sl_event_describe(const sl_market_event *event, char buffer[SL_EVENT_TEXT_MAX])
{
    const sl_instrument *instrument = event->instrument;
    int head = snprintf(
        buffer, SL_EVENT_TEXT_MAX, "%s %s %s %s ", instrument == NULL ? "none" : sl_venue_name(instrument->venue),
        instrument == NULL ? "-" : instrument->name, sl_feed_name(event->feed), sl_event_kind_name(event->kind));
    size_t length = head > 0 ? (size_t)head : 0; /* at most 130 bytes: all parts have short names */
    int body = describe_body(event, buffer + length, SL_EVENT_TEXT_MAX - length);
    length += body > 0 ? (size_t)body : 0;
    return length < SL_EVENT_TEXT_MAX ? length : SL_EVENT_TEXT_MAX - 1;
}
